//! Events → the lives of some records.
//!
//! The engine reports of a record in one go: read, then maybe a watermark, then filtered or its
//! windows one by one. So what a life needs is at hand when its record comes: the watermark, who
//! moved it there, and the last row that each open window has shown.

use std::collections::{BTreeMap, HashMap};

use super::life::{InWindow, Life, Origin, Outcome, Row, WayOut};
use crate::journal::{Bounds, Change, Event, Json, Kind, Pane, Plan, Read};

/// A window of a key.
type Place = (Vec<Json>, Bounds);

/// Hears of a run, and keeps the lives of chosen records.
#[derive(Debug)]
pub struct Witness {
    plan: Plan,
    /// The combined watermark, who moved it there, and whether the input has ended.
    pub clock: Clock,
    /// The record that was read last.
    current: Option<Origin>,
    key: Vec<Json>,
    /// Its `--distinct` value.
    distinct: Option<Json>,
    lives: Vec<Life>,
    /// The life of the record that was read last, if it was chosen.
    at_hand: Option<usize>,
    /// The lives that are not over.
    pending: Vec<usize>,
    /// The last row of each window that may show another, where windows show several.
    shown: HashMap<Place, Row>,
    /// Which record came first with a `--distinct` value, by window.
    first: HashMap<(Place, Json), Origin>,
}

/// How far event time has come.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The combined watermark; `None` before there is one, and at the end.
    pub watermark: Option<i64>,
    /// The record that moved it there; `None` where a silence did.
    pub moved_by: Option<Origin>,
    /// Whether the input has ended.
    pub(crate) has_ended: bool,
}

impl Clock {
    /// Takes note of an event; `read` is the record that came last.
    pub fn take(&mut self, event: &Event, read: Option<&Origin>) {
        match event {
            Event::Watermark(moved) if moved.combined != self.watermark => {
                self.watermark = moved.combined;
                self.moved_by = moved.record.map(|record| match read {
                    Some(read) if read.record == record => read.clone(),
                    _ => Origin {
                        record,
                        partition: moved.partition.unwrap_or(0),
                        place: None,
                        file: None,
                        at: None,
                        arrival: None,
                    },
                });
            }
            Event::End(_) => self.has_ended = true,
            _ => {}
        }
    }

    /// Returns a row that leaves now; `read` is the record that came last, where it is known.
    pub fn row(&self, pane: &Pane, plan: &Plan, read: Option<&Origin>) -> Row {
        let mut row = Row::of(pane, plan);
        if row.why == "count" {
            row.last_record = read.cloned();
        }
        if self.has_ended {
            row.why = "end".to_owned()
        } else {
            row.watermark = self.watermark;
            row.moved_by = self.moved_by.clone();
        }
        row
    }
}

impl Witness {
    /// Returns a witness of a run of a plan.
    pub fn new(plan: Plan) -> Self {
        Witness {
            plan,
            clock: Clock::default(),
            current: None,
            key: Vec::new(),
            distinct: None,
            lives: Vec::new(),
            at_hand: None,
            pending: Vec::new(),
            shown: HashMap::new(),
            first: HashMap::new(),
        }
    }

    /// Returns whether every record is needed, and not only the chosen ones.
    pub(crate) fn needs_records(&self) -> bool {
        let changes = matches!(self.plan.windows.kind, Kind::Session | Kind::Sliding);
        self.plan.distinct.is_some() || changes && !self.pending.is_empty()
    }

    /// Returns how many lives have begun.
    pub fn len(&self) -> usize {
        self.lives.len()
    }

    /// Returns whether none has.
    pub fn is_empty(&self) -> bool {
        self.lives.is_empty()
    }

    /// Returns whether all lives that have begun are over.
    pub fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns the lives, in the order of their records.
    pub fn lives(&mut self) -> &mut [Life] {
        &mut self.lives
    }

    /// Returns the lives, in the order of their records.
    pub fn into_lives(self) -> Vec<Life> {
        self.lives
    }

    /// Hears an event. `is_chosen` is asked of each record that comes.
    pub fn hear(&mut self, event: &Event, is_chosen: impl FnOnce(&Event) -> bool) {
        self.clock.take(event, self.current.as_ref());
        match event {
            Event::Read(read) => {
                let chosen = is_chosen(event);
                self.read(read, chosen);
            }
            Event::Malformed(malformed) | Event::Ahead(malformed) => {
                self.at_hand = None;
                if is_chosen(event) {
                    let outcome = match event {
                        Event::Ahead(_) => Outcome::Ahead,
                        _ => Outcome::Malformed,
                    };
                    self.lives.push(Life {
                        reason: Some(malformed.reason.clone()),
                        ..self.begin(Origin::of_malformed(malformed), outcome)
                    });
                }
            }
            // The record's own time comes before what becomes of it.
            Event::Watermark(moved) => {
                let Clock {
                    watermark,
                    moved_by,
                    ..
                } = self.clock.clone();
                let life = self.life();
                if let Some(life) = life.filter(|life| Some(life.origin.record) == moved.record) {
                    (life.watermark, life.moved_by) = (watermark, moved_by);
                }
            }
            Event::Filtered(_) => {
                if let Some(life) = self.life() {
                    life.outcome = Outcome::Filtered;
                }
            }
            Event::Assigned(assigned) => {
                self.merge(&assigned.joins, assigned.window);
                let outcome = if assigned.late {
                    Outcome::Late
                } else {
                    Outcome::OnTime
                };
                self.place(assigned.window, outcome, assigned.by, &assigned.joins);
            }
            Event::Duplicate(duplicate) => {
                self.place(duplicate.window, Outcome::Duplicate, None, &[]);
            }
            Event::Expired(expired) => {
                self.place(expired.window, Outcome::Expired, Some(expired.by), &[]);
            }
            Event::Made(made) => self.made(&made.key, made.window, &made.moments),
            Event::Pane(pane) => self.pane(pane),
            Event::Left(left) => self.leave(&(left.key.clone(), left.window)),
            Event::End(_) => self.at_hand = None,
            Event::Plan(_) | Event::Idle(_) | Event::Tick(_) | Event::Closed(_) => {}
        }
    }

    fn begin(&self, origin: Origin, outcome: Outcome) -> Life {
        Life {
            origin,
            key: Vec::new(),
            columns: BTreeMap::new(),
            takes_back: false,
            watermark: self.clock.watermark,
            moved_by: self.clock.moved_by.clone(),
            outcome,
            reason: None,
            windows: Vec::new(),
            way_out: None,
        }
    }

    fn read(&mut self, read: &Read, is_chosen: bool) {
        let origin = Origin::of(read);
        self.at_hand = None;
        if self.plan.distinct.is_some() {
            let name = self.plan.distinct.as_ref();
            let nth = self
                .plan
                .columns
                .iter()
                .position(|column| Some(column) == name);
            let value = nth.and_then(|nth| read.columns.get(nth));
            self.distinct = value.filter(|value| !value.is_null()).cloned();
        }
        self.key.clone_from(&read.key);
        if is_chosen {
            let columns = self.plan.columns.iter().cloned();
            let life = Life {
                key: read.key.clone(),
                columns: columns.zip(read.columns.iter().cloned()).collect(),
                takes_back: read.change == Change::TakenBack,
                ..self.begin(origin.clone(), Outcome::Expired)
            };
            self.at_hand = Some(self.lives.len());
            self.pending.push(self.lives.len());
            self.lives.push(life);
        }
        self.current = Some(origin);
        // A filtered record has no windows: it is looked at again with the next one.
        self.settle();
    }

    fn life(&mut self) -> Option<&mut Life> {
        self.at_hand.map(|nth| &mut self.lives[nth])
    }

    /// Takes note that the record at hand is something to a window.
    fn place(&mut self, window: Bounds, outcome: Outcome, by: Option<i64>, joins: &[Bounds]) {
        let place = (self.key.clone(), window);
        let mut same_as = None;
        if let (Some(value), Some(current)) = (&self.distinct, &self.current) {
            let first = self.first.entry((place.clone(), value.clone()));
            let first = first.or_insert_with(|| current.clone());
            same_as = (first.record != current.record).then(|| first.clone());
        }
        let in_window = InWindow {
            by,
            joins: joins.to_vec(),
            same_as,
            before: self.shown.get(&place).cloned(),
            ..InWindow::new(window, outcome, &self.plan)
        };
        let Some(life) = self.life() else {
            return;
        };
        let at = life
            .windows
            .partition_point(|known| known.window.end < window.end);
        life.windows.insert(at, in_window);
        let outcomes = || life.windows.iter().map(|window| window.outcome);
        // Its best, and late rather than on time if one of several was closed, as the account has it.
        let is_kept = outcomes().any(Outcome::is_kept);
        let was_closed =
            outcomes().any(|outcome| matches!(outcome, Outcome::Late | Outcome::Expired));
        life.outcome = match (is_kept, was_closed) {
            (true, false) => Outcome::OnTime,
            (true, true) => Outcome::Late,
            (false, _) if outcomes().any(|outcome| outcome == Outcome::Duplicate) => {
                Outcome::Duplicate
            }
            (false, _) => Outcome::Expired,
        };
    }

    /// Takes note that sessions of the current key have become one.
    fn merge(&mut self, joins: &[Bounds], window: Bounds) {
        let mut before: Option<Row> = None;
        for joined in joins.iter().filter(|joined| **joined != window) {
            let row = self.shown.remove(&(self.key.clone(), *joined));
            before = before.or(row);
            for &nth in &self.pending {
                let life = &mut self.lives[nth];
                if life.key != self.key {
                    continue;
                }
                for held in &mut life.windows {
                    if !held.has_left && held.now() == *joined {
                        held.became = Some(window);
                    }
                }
            }
        }
        if let Some(before) = before {
            self.shown
                .entry((self.key.clone(), window))
                .or_insert(before);
        }
    }

    /// A sliding window begins with what came at some moments: maybe with records that are watched.
    fn made(&mut self, key: &[Json], window: Bounds, moments: &[i64]) {
        for &nth in &self.pending {
            let life = &mut self.lives[nth];
            let is_in = life.origin.at.is_some_and(|at| moments.contains(&at));
            if !is_in || life.key != key || !life.outcome.is_kept() {
                continue;
            }
            if self.at_hand == Some(nth) {
                continue; // it is assigned by itself
            }
            let made = InWindow::new(window, Outcome::OnTime, &self.plan);
            life.windows.push(made);
        }
    }

    fn pane(&mut self, pane: &Pane) {
        let row = self.clock.row(pane, &self.plan, self.current.as_ref());
        let place = (pane.key.clone(), pane.window);
        for &nth in &self.pending {
            let life = &mut self.lives[nth];
            if life.key != pane.key {
                continue;
            }
            for held in &mut life.windows {
                if held.has_left || held.now() != pane.window {
                    continue;
                }
                if !row.takes_back {
                    held.carried_by.get_or_insert_with(|| row.clone());
                    held.rows += 1;
                    held.last = Some(row.clone());
                }
                held.has_left |= row.is_last && !row.takes_back;
            }
        }
        match row.is_last && !row.takes_back {
            true => {
                self.shown.remove(&place);
            }
            false if row.takes_back => {}
            false => {
                self.shown.insert(place, row);
            }
        }
        self.settle();
    }

    /// Takes note that a window leaves without a row.
    fn leave(&mut self, place: &Place) {
        self.shown.remove(place);
        for &nth in &self.pending {
            let life = &mut self.lives[nth];
            for held in &mut life.windows {
                let window = held.now();
                held.has_left |= life.key == place.0 && window == place.1;
            }
        }
        self.settle();
    }

    /// Forgets of the pending lives those that are over.
    fn settle(&mut self) {
        let (lives, at_hand) = (&self.lives, self.at_hand);
        self.pending
            .retain(|&nth| at_hand == Some(nth) || !lives[nth].is_over());
    }

    /// Says that nothing more comes of the record at hand, and that others may come unseen.
    pub fn pause(&mut self) {
        self.at_hand = None;
        self.current = None;
        self.settle();
    }

    /// Finds what would have kept the records that were dropped for being late, as far as the events
    /// say it: of windows on a grid, whose close does not depend on other records. Of sessions and
    /// sliding windows [`trial`](super::trial) finds it.
    pub fn find_ways_out(&mut self) {
        let (grace, bound) = (self.plan.grace, self.plan.out_of_order);
        for life in &mut self.lives {
            if life.outcome != Outcome::Expired || life.windows.is_empty() {
                continue;
            }
            // A window that has had the value already would not take it, however late.
            let open = life.windows.iter().filter(|held| held.same_as.is_none());
            let past = open.filter_map(|held| held.by).min();
            life.way_out = Some(WayOut {
                grace: past.map(|past| past + 1),
                out_of_order: past
                    .zip(bound)
                    .map(|(past, bound)| bound + past - grace + 1),
            });
        }
    }
}
