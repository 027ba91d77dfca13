//! What is kept of the events of a run: enough to draw it, in memory that does not grow with it.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use super::dot::Dot;
use super::lives::{Key, Lives, OTHERS, Shown};
use super::recent::{Fired, Recent};
use super::run::Numbers;
use super::sample::Steps;
use super::spread::Spread;
use super::{FATES, Fate};
use crate::column::ValueRef;
use crate::engine::key;
use crate::engine::pane::journal::{Detail, Event, Journal, Run};
use crate::engine::watermark::{BEGINNING, END};
use crate::engine::window::Window;
use crate::notation::push_csv;

/// How many records of a fate are drawn one by one; of more, only how many are where.
pub const EXACT: usize = 1_500;
/// How many stretches are kept in which nothing came.
const MOST_GAPS: usize = 6;

/// How many silences of a partition are kept.
const MOST_IDLE: usize = 256;

/// Of how many keys is kept whether they are the one that was asked for.
const MOST_WANTED: usize = 50_000;

/// What stands up the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Processing time, in ms since 1970, by what is named: a column, the broker.
    Time(String),
    /// The number of records read.
    Order,
}

/// What a picture is of.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Where the records come from.
    pub source: String,
    /// What is computed, as it is typed: `--tumbling 10s --grace 5s`.
    pub asked: String,
    /// The names of the grouping columns.
    pub keys: Vec<String>,
    /// The name of the value that panes are drawn with.
    pub value: String,
    /// What stands up the picture.
    pub clock: Clock,
    /// How many partitions there are.
    pub partitions: usize,
}

/// What of it is drawn.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The key whose windows are drawn; `None` for the one with most records.
    pub key: Option<String>,
    /// From which event time to which; `None` for all.
    pub between: Option<(i64, i64)>,
}

/// The records of a fate.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    pub count: u64,
    /// All of them, unless there are too many.
    pub dots: Vec<Dot>,
}

/// A partition, as it is seen by its watermark.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub watermark: Steps<i64>,
    pub is_idle: bool,
    /// Since when it is idle, or was not.
    pub idle: Vec<(i64, bool)>,
    pub records: u64,
}

/// What is known of a record before the next one comes.
#[derive(Debug)]
struct AtHand {
    dot: Dot,
    fate: Option<Fate>,
    has_place: bool,
}

/// What a picture is drawn from.
#[derive(Debug)]
pub struct Gathered {
    pub(super) subject: Subject,
    pub(super) view: View,
    pub(super) clouds: [Cloud; FATES.len()],
    pub(super) spread: Spread,
    pub(super) lives: Lives,
    pub(super) watermark: Steps<i64>,
    pub(super) partitions: Vec<Partition>,
    /// Which partition holds the watermark back, and by how much the furthest is ahead of it.
    pub(super) behind: Steps<usize>,
    /// The longest stretches in which nothing came.
    pub(super) gaps: Vec<(i64, i64)>,
    /// The least and the highest processing time.
    pub(super) up: Option<(i64, i64)>,
    pub(super) rows: u64,
    pub(super) has_ended: bool,
    /// The stretch of processing time that alone is there, of a run that goes on.
    pub(super) stretch: Option<(i64, i64)>,
    /// For how many records a mark stands, where it is a sample.
    pub(super) sampled: u32,
    /// The records of the last while, where the run goes on and not all of it is kept.
    pub(super) recent: Option<Box<Recent>>,
    wanted: HashMap<Box<[u8]>, bool>,
    at_hand: Option<AtHand>,
    /// How far processing time has come.
    pub(super) now: i64,
    /// When the last record came.
    pub(super) came: i64,
    key: (Vec<u8>, Key),
    pub(super) numbers: Numbers,
}

impl Gathered {
    /// Returns what there is before the first event.
    pub fn new(subject: Subject, view: View) -> Self {
        let partitions = (0..subject.partitions).map(|_| Partition::default());
        Gathered {
            partitions: partitions.collect(),
            subject,
            view,
            clouds: Default::default(),
            spread: Spread::default(),
            lives: Lives::default(),
            watermark: Steps::default(),
            behind: Steps::default(),
            gaps: Vec::new(),
            up: None,
            rows: 0,
            has_ended: false,
            stretch: None,
            sampled: 1,
            recent: None,
            wanted: HashMap::new(),
            at_hand: None,
            now: i64::MIN,
            came: i64::MIN,
            key: (Vec::new(), OTHERS),
            numbers: Numbers::default(),
        }
    }

    /// Takes note of an event. `clock` is processing time, where the events know it.
    pub fn take(&mut self, clock: Option<i64>, event: &Event<'_>) {
        if let (Clock::Time(_), Some(clock)) = (&self.subject.clock, clock) {
            self.now = self.now.max(clock);
        }
        match *event {
            Event::Read {
                record,
                partition,
                place,
                at,
                arrival,
                key,
                ..
            } => {
                self.settle();
                if arrival.is_some() && self.subject.clock == Clock::Order && self.records() == 0 {
                    self.subject.clock = Clock::Time("append time".to_owned());
                }
                let when = self.arrive(record, arrival);
                let dot = Dot {
                    at,
                    when,
                    record,
                    place,
                    partition,
                    key: self.key_of(key),
                    late_by_ms: 0,
                };
                self.partition(partition).records += 1;
                self.at_hand = Some(AtHand {
                    dot,
                    fate: None,
                    has_place: true,
                });
            }
            Event::Malformed {
                record,
                partition,
                misfit,
            } => {
                self.settle();
                let when = self.arrive(record, None);
                let dot = Dot {
                    at: misfit.at.unwrap_or(BEGINNING),
                    when,
                    record,
                    place: misfit.place,
                    partition,
                    key: OTHERS,
                    late_by_ms: 0,
                };
                self.at_hand = Some(AtHand {
                    dot,
                    fate: Some(Fate::Malformed),
                    has_place: misfit.at.is_some() && !misfit.is_ahead,
                });
            }
            Event::Filtered { .. } => self.is(Fate::Filtered, 0),
            Event::Duplicate { .. } => self.is(Fate::Duplicate, 0),
            Event::Assigned {
                window,
                late_by_ms,
                joins,
                ..
            } => {
                let late = late_by_ms.is_some();
                let fate = if late { Fate::Late } else { Fate::OnTime };
                self.is(fate, late_by_ms.unwrap_or(0));
                if let Some(AtHand { dot, .. }) = self.at_hand {
                    self.lives.assign(dot.key, window, joins, dot.when, late);
                }
            }
            Event::Expired { window, by_ms, .. } => {
                self.is(Fate::Expired, by_ms);
                if let Some(AtHand { dot, .. }) = self.at_hand {
                    self.lives.expire(dot.key, window);
                }
            }
            Event::Made {
                window,
                key,
                moments,
            } => {
                let key = self.key_of(key);
                if key != OTHERS {
                    self.lives.make(key, window, self.now, moments.len() as u64);
                }
            }
            Event::Watermark {
                partition,
                combined,
                ..
            } => self.move_to(partition, combined),
            Event::Closed { .. } => {}
            Event::Left { window, key } => {
                let key = self.key_of(key);
                self.lives.leave(key, window, self.now);
            }
            Event::Idle { partition, idle } => {
                let now = self.now;
                let its = self.partition(partition);
                if its.is_idle != idle {
                    its.is_idle = idle;
                    its.idle.push((now, idle));
                    if its.idle.len() > MOST_IDLE {
                        its.idle.remove(0);
                    }
                }
                self.find_behind();
            }
            Event::Tick { at } => {
                if matches!(self.subject.clock, Clock::Time(_)) {
                    self.now = self.now.max(at);
                }
            }
            Event::Pane {
                firing,
                key,
                why,
                values,
            } => {
                self.rows += 1;
                let value = || values.first().map(|value| written(value.as_ref()));
                if let Some(recent) = &mut self.recent {
                    recent.fire(Fired {
                        when: self.now,
                        window: firing.window,
                        key: name_of(key),
                        timing: firing.timing,
                        is_retraction: firing.is_retraction,
                        value: value().unwrap_or_default(),
                    });
                }
                let key = self.key_of(key);
                if self.lives.keeps(key) {
                    let shown = Shown {
                        when: self.now,
                        timing: firing.timing,
                        index: firing.index,
                        is_last: firing.is_last,
                        is_retraction: firing.is_retraction,
                        why: why.name(),
                        value: value().unwrap_or_default(),
                    };
                    self.lives.show(key, firing.window, shown);
                }
            }
            Event::End => {
                self.settle();
                self.has_ended = true;
            }
        }
    }

    /// Notes how far processing time has come with a record, and returns when that came.
    pub(super) fn arrive(&mut self, record: u64, arrival: Option<i64>) -> i64 {
        let when = match (&self.subject.clock, arrival) {
            (Clock::Order, _) => record as i64 + 1,
            (Clock::Time(_), Some(arrival)) => arrival,
            // Of a malformed record the arrival may be unknown: it comes after the one before.
            (Clock::Time(_), None) => self.now,
        };
        let before = self.came;
        self.now = self.now.max(when);
        self.came = self.came.max(when);
        if before > i64::MIN && matches!(self.subject.clock, Clock::Time(_)) {
            self.note_gap((before, self.came));
        }
        if self.behind.is_empty() {
            self.find_behind();
        }
        when
    }

    /// Keeps a stretch in which nothing came, if it is one of the longest.
    fn note_gap(&mut self, gap: (i64, i64)) {
        let length = |(from, to): (i64, i64)| to.saturating_sub(from);
        let shortest = self.gaps.last().map_or(0, |&gap| length(gap));
        if length(gap) > shortest || (length(gap) > 0 && self.gaps.len() < MOST_GAPS) {
            self.gaps.push(gap);
            self.gaps.sort_by_key(|&gap| std::cmp::Reverse(length(gap)));
            self.gaps.truncate(MOST_GAPS);
        }
    }

    pub(super) fn key_of(&mut self, bytes: &[u8]) -> Key {
        if self.key.1 != OTHERS && self.key.0 == bytes {
            return self.key.1;
        }
        let number = match &self.view.key {
            Some(wanted) => {
                let known = self.wanted.get(bytes).copied();
                let is_wanted = known.unwrap_or_else(|| {
                    let is_wanted = name_of(bytes) == *wanted;
                    if self.wanted.len() < MOST_WANTED {
                        self.wanted.insert(bytes.into(), is_wanted);
                    }
                    is_wanted
                });
                match is_wanted {
                    true => self.lives.key(bytes, || name_of(bytes)),
                    false => OTHERS,
                }
            }
            None => self.lives.key(bytes, || name_of(bytes)),
        };
        self.key.0.clear();
        self.key.0.extend_from_slice(bytes);
        self.key.1 = number;
        number
    }

    /// Says what becomes of the record at hand: by the best of its windows, and late if one had closed.
    fn is(&mut self, fate: Fate, late_by_ms: i64) {
        let Some(at_hand) = &mut self.at_hand else {
            return;
        };
        use Fate::{Duplicate, Expired, Late, OnTime};
        at_hand.fate = Some(match (at_hand.fate, fate) {
            (None, fate) => fate,
            (Some(OnTime), Late | Expired) | (Some(Late | Expired), OnTime | Late) => Late,
            (Some(Late), _) => Late,
            (Some(Duplicate), fate) => fate,
            (Some(before), _) => before,
        });
        at_hand.dot.late_by_ms = at_hand.dot.late_by_ms.max(late_by_ms);
    }

    /// Counts the record at hand, of which nothing more will be known.
    pub(super) fn settle(&mut self) {
        let Some(AtHand {
            dot,
            fate: Some(fate),
            has_place,
        }) = self.at_hand.take()
        else {
            return;
        };
        let fate = match fate {
            Fate::Malformed => fate,
            fate => self.fate_of(dot.key, fate),
        };
        self.lives.count(dot.key);
        if let Some(recent) = &mut self.recent {
            self.clouds[fate as usize].count += 1;
            recent.push(fate, dot, has_place);
        } else {
            self.put(fate, dot, has_place, 1);
        }
    }

    /// Returns what a record counts as that may be of another key than the one that was asked for.
    #[inline]
    pub(super) fn fate_of(&self, key: Key, fate: Fate) -> Fate {
        if self.view.key.is_some() && key == OTHERS {
            Fate::Other
        } else {
            fate
        }
    }

    /// Draws a record that stands for `of`.
    #[inline]
    pub(super) fn put(&mut self, fate: Fate, dot: Dot, has_place: bool, of: u32) {
        let is_outside = self
            .view
            .between
            .is_some_and(|(from, to)| has_place && !(from..to).contains(&dot.at));
        let cloud = &mut self.clouds[fate as usize];
        cloud.count += u64::from(of);
        if is_outside {
            return;
        }
        if cloud.dots.len() <= EXACT {
            cloud.dots.push(dot);
        }
        if has_place {
            self.spread.add(fate, dot.at, dot.when, of);
        }
        widen(&mut self.up, dot.when);
    }

    pub(super) fn partition(&mut self, nth: usize) -> &mut Partition {
        while self.partitions.len() <= nth {
            self.partitions.push(Partition::default());
        }
        &mut self.partitions[nth]
    }

    pub(super) fn move_to(&mut self, partition: Option<(usize, i64)>, combined: i64) {
        let now = self.now;
        if let Some((nth, at)) = partition {
            let its = self.partition(nth);
            its.watermark.step(now, at);
            its.is_idle = false;
            self.find_behind();
        }
        if combined > BEGINNING && combined < END && self.is_near(combined) {
            self.watermark.step(now, combined);
        }
    }

    /// Returns whether an event time is drawn, or not far from what is.
    fn is_near(&self, at: i64) -> bool {
        self.view.between.is_none_or(|(from, to)| {
            let around = to.saturating_sub(from);
            at >= from.saturating_sub(around) && at <= to.saturating_add(around)
        })
    }

    /// Finds the partition that holds the watermark back.
    fn find_behind(&mut self) {
        if self.partitions.len() < 2 {
            return;
        }
        let reached = |its: &Partition| its.watermark.last().map_or(BEGINNING, |(_, at)| *at);
        let active = self.partitions.iter().enumerate();
        let active = active.filter(|(_, its)| !its.is_idle);
        if let Some((nth, _)) = active.min_by_key(|(_, its)| reached(its)) {
            self.behind.step(self.now, nth);
        }
    }

    /// Says that no event follows for now: what is known of the last record is all.
    pub fn finish(&mut self) {
        self.settle();
        self.spread.finish();
    }

    /// Returns how many records had a fate, wherever they lie.
    pub fn count(&self, fate: Fate) -> u64 {
        self.clouds[fate as usize].count
    }

    /// Returns how many records there were.
    pub fn records(&self) -> u64 {
        self.clouds.iter().map(|cloud| cloud.count).sum()
    }
}

fn widen(range: &mut Option<(i64, i64)>, value: i64) {
    let (least, most) = range.get_or_insert((value, value));
    *least = (*least).min(value);
    *most = (*most).max(value);
}

/// Writes a key as a person types it: values with commas between.
fn name_of(bytes: &[u8]) -> String {
    let values = key::values(bytes).map(written);
    values.collect::<Vec<_>>().join(",")
}

/// Writes a value as a person reads it.
fn written(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        value => {
            let mut text = Vec::new();
            push_csv(&mut text, value);
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}

/// Hands the events of an engine to a [`Gathered`] that others look at, too.
#[derive(Debug, Clone)]
pub struct Listener(Arc<Mutex<Gathered>>);

impl Listener {
    /// Returns a listener that gathers.
    pub fn new(gathered: Gathered) -> Self {
        Listener(Arc::new(Mutex::new(gathered)))
    }

    /// Looks at what was gathered so far.
    pub fn with<T>(&self, look: impl FnOnce(&mut Gathered) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Journal for Listener {
    fn note(&mut self, now: Option<i64>, event: Event<'_>) {
        self.with(|gathered| gathered.take(now, &event));
    }

    fn note_run(&mut self, now: Option<i64>, run: &Run<'_>) {
        self.with(|gathered| gathered.take_run(now, run));
    }

    fn detail(&self) -> Detail {
        Detail::Runs
    }
}

/// Returns a window's ends where it has any, else those of the picture.
pub(super) fn bounded(window: Window, (from, to): (i64, i64)) -> (i64, i64) {
    let start = if window.start == BEGINNING {
        from
    } else {
        window.start
    };
    let end = if window.end == END { to } else { window.end };
    (start, end)
}
