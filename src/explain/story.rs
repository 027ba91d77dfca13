//! What happened to one window, as data.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::life::{Origin, Outcome, Row};
use super::witness::Clock;
use crate::journal::{Bounds, Event, Json, Kind, Plan, Read};

/// What happened to a window of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Story {
    /// The window.
    pub window: Bounds,
    /// Its key.
    pub key: Vec<Json>,
    /// The watermark at which it closes; `None` at the end of the input.
    pub(crate) closes_at: Option<i64>,
    /// The watermark at which its grace has passed.
    pub expires_at: Option<i64>,
    /// How many records it has taken in.
    pub records: u64,
    /// How many of them came after its close.
    pub late: u64,
    /// How many came after its grace, or with a `--distinct` value that it had.
    pub refused: u64,
    /// Some of all these, in the order in which they came: the first and the last.
    pub entries: Vec<Entry>,
    /// The rows, in their order; of many the first and the last.
    pub rows: Vec<Row>,
    /// How many rows there were, without those that take others back.
    pub(crate) fired: u64,
    /// How many records came since the last of them.
    pub since: u64,
    /// Whether it has closed.
    pub(crate) has_closed: bool,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// A record of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Which record.
    #[serde(flatten)]
    pub origin: Origin,
    /// What it is to the window.
    pub outcome: Outcome,
    /// How far the watermark was past the close, in ms.
    pub by: Option<i64>,
    /// The watermark then.
    pub watermark: Option<i64>,
    /// The columns that are shown of it, by name.
    pub columns: BTreeMap<String, Json>,
}

/// How a window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// It is there.
    Open,
    /// It left with its last row.
    Row,
    /// It left without one, for the rows before had shown all.
    Quietly,
}

/// What a person wants to know of windows.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The grouping values of their key, as they are printed; `None` for every key.
    pub key: Option<Vec<String>>,
    /// The most entries and rows that are kept of one.
    pub most: usize,
}

impl Wanted {
    /// Returns whether a key is the one that was asked for, if one was.
    pub(crate) fn is_of(&self, key: &[Json]) -> bool {
        let same = |wanted: &Vec<String>| {
            let mut pairs = wanted.iter().zip(key);
            wanted.len() == key.len() && pairs.all(|(wanted, value)| value.plain() == *wanted)
        };
        self.key.as_ref().is_none_or(same)
    }
}

/// Hears of a run, and keeps the stories of some windows.
#[derive(Debug)]
pub(crate) struct Stories {
    plan: Plan,
    /// The windows begin at this moment, or hold it.
    at: i64,
    wanted: Wanted,
    /// How far event time has come.
    pub clock: Clock,
    current: Option<Origin>,
    key: Vec<Json>,
    columns: BTreeMap<String, Json>,
    /// Those that may still change, and those that were asked for.
    stories: HashMap<(Vec<Json>, Bounds), Story>,
    ended: Vec<Story>,
}

impl Stories {
    /// Returns what hears of a run of a plan, for the windows at a moment.
    pub fn new(plan: Plan, at: i64, wanted: Wanted) -> Self {
        Stories {
            plan,
            at,
            wanted,
            clock: Clock::default(),
            current: None,
            key: Vec::new(),
            columns: BTreeMap::new(),
            stories: HashMap::new(),
            ended: Vec::new(),
        }
    }

    /// Returns the stories: only of windows that begin at the moment, if any does, by key.
    pub fn take(mut self) -> Vec<Story> {
        let (at, windows) = (self.at, &self.plan.windows);
        let open = self.stories.into_values();
        self.ended
            .extend(open.filter(|story| windows.hold(story.window, at)));
        let begins = |story: &Story| story.window.start == Some(at);
        if self.ended.iter().any(begins) {
            self.ended.retain(begins);
        }
        self.ended.sort_by(|a, b| {
            (a.window.end, &a.window, &a.key).cmp(&(b.window.end, &b.window, &b.key))
        });
        self.ended
    }

    /// Returns whether any window that was asked for has come.
    pub(crate) fn has_any(&self) -> bool {
        !self.stories.is_empty() || !self.ended.is_empty()
    }

    /// Hears an event; every record that may lie in the windows has to come.
    pub fn hear(&mut self, event: &Event) {
        self.clock.take(event, self.current.as_ref());
        match event {
            Event::Read(read) => self.read(read),
            Event::Assigned(assigned) => {
                self.merge(&assigned.joins, assigned.window);
                let outcome = if assigned.late {
                    Outcome::Late
                } else {
                    Outcome::OnTime
                };
                self.enter(assigned.window, outcome, assigned.by);
            }
            Event::Duplicate(duplicate) => {
                self.enter(duplicate.window, Outcome::Duplicate, None);
            }
            Event::Expired(expired) => {
                self.enter(expired.window, Outcome::Expired, Some(expired.by));
            }
            Event::Closed(closed) => {
                if let Some(story) = self.stories.get_mut(&(closed.key.clone(), closed.window)) {
                    story.has_closed = true;
                }
            }
            Event::Pane(pane) => {
                let row = self.clock.row(pane, &self.plan, self.current.as_ref());
                let most = self.wanted.most;
                let place = (pane.key.clone(), pane.window);
                let Some(story) = self.stories.get_mut(&place) else {
                    return;
                };
                if !row.takes_back {
                    story.fired += 1;
                    story.since = 0;
                }
                let is_last = row.is_last && !row.takes_back;
                push_ends(&mut story.rows, row, most);
                if is_last {
                    self.end(&place, Ending::Row);
                }
            }
            Event::Left(left) => self.end(&(left.key.clone(), left.window), Ending::Quietly),
            _ => {}
        }
    }

    /// Says that records may come unseen from now on.
    pub fn pause(&mut self) {
        self.current = None;
    }

    fn read(&mut self, read: &Read) {
        self.current = Some(Origin::of(read));
        self.key.clone_from(&read.key);
        let names = self.plan.columns.iter().cloned();
        self.columns = names.zip(read.columns.iter().cloned()).collect();
    }

    /// Returns whether a window is watched: of sessions every one, which may grow into one that was
    /// asked for.
    fn is_watched(&self, window: Bounds) -> bool {
        let windows = &self.plan.windows;
        windows.kind == Kind::Session || windows.hold(window, self.at)
    }

    fn enter(&mut self, window: Bounds, outcome: Outcome, by: Option<i64>) {
        let Some(origin) = self.current.clone() else {
            return;
        };
        if !self.wanted.is_of(&self.key) || !self.is_watched(window) {
            return;
        }
        let is_its = |story: &&mut Story| story.window == window && story.key == self.key;
        let left = self.ended.iter_mut().find(is_its);
        let story = match left.filter(|_| outcome == Outcome::Expired) {
            Some(story) => story,
            None => {
                let place = (self.key.clone(), window);
                let plan = &self.plan;
                let begin = || Story::new(window, self.key.clone(), plan);
                self.stories.entry(place).or_insert_with(begin)
            }
        };
        if outcome.is_kept() {
            story.records += 1;
            story.since += 1;
        } else {
            story.refused += 1
        }
        story.late += u64::from(outcome == Outcome::Late);
        story.has_closed |= matches!(outcome, Outcome::Late | Outcome::Expired);
        let entry = Entry {
            origin,
            outcome,
            by,
            watermark: self.clock.watermark,
            columns: self.columns.clone(),
        };
        push_ends(&mut story.entries, entry, self.wanted.most);
    }

    /// Sessions have become one.
    fn merge(&mut self, joins: &[Bounds], window: Bounds) {
        if joins == [window] || !self.wanted.is_of(&self.key) {
            return;
        }
        let joined = joins
            .iter()
            .filter_map(|joined| self.stories.remove(&(self.key.clone(), *joined)));
        let mut joined: Vec<Story> = joined.collect();
        joined.sort_by_key(|story| story.entries.first().map(|entry| entry.origin.record));
        let Some(first) = joined.first() else {
            return;
        };
        let mut story = Story::new(window, first.key.clone(), &self.plan);
        for part in joined {
            story.records += part.records;
            story.late += part.late;
            story.refused += part.refused;
            story.fired += part.fired;
            story.since += part.since;
            story.entries.extend(part.entries);
            story.rows.extend(part.rows);
        }
        story.entries.sort_by_key(|entry| entry.origin.record);
        shorten(&mut story.entries, self.wanted.most);
        shorten(&mut story.rows, self.wanted.most);
        self.stories.insert((self.key.clone(), window), story);
    }

    fn end(&mut self, place: &(Vec<Json>, Bounds), ending: Ending) {
        if let Some(mut story) = self.stories.remove(place) {
            story.ending = ending;
            story.has_closed = true;
            if self.plan.windows.hold(story.window, self.at) {
                self.ended.push(story);
            }
        }
    }
}

impl Story {
    fn new(window: Bounds, key: Vec<Json>, plan: &Plan) -> Self {
        let closes_at = plan.closes_at(window);
        Story {
            window,
            key,
            closes_at,
            expires_at: plan.expires_at(window),
            records: 0,
            late: 0,
            refused: 0,
            entries: Vec::new(),
            rows: Vec::new(),
            fired: 0,
            since: 0,
            has_closed: false,
            ending: Ending::Open,
        }
    }
}

/// Adds to a list of which the first half and the last ones are kept.
fn push_ends<T>(list: &mut Vec<T>, item: T, most: usize) {
    list.push(item);
    shorten(list, most);
}

fn shorten<T>(list: &mut Vec<T>, most: usize) {
    let most = most.max(2);
    if list.len() > most {
        let surplus = list.len() - most;
        list.drain(most / 2..most / 2 + surplus);
    }
}
