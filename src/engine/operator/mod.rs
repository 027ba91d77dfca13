//! The stages composed: records, watermarks, idle partitions and processing time in, panes out.

mod assign;
mod batch;
mod fire;
mod handoff;
mod open;
mod restore;

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::column::{Column, Value};
use crate::engine::account::Account;
use crate::engine::aggregate::{Accumulator, Arguments, Seen, Slot};
use crate::engine::combine::merge::{Merger, Partial};
use crate::engine::combine::parts::{Handing, Parts};
use crate::engine::pane::journal::{Event, Journal, Misfit};
use crate::engine::pane::trigger::Trigger;
use crate::engine::pane::{Panes, Refinement};
use crate::engine::placement::grid::Grid;
use crate::engine::placement::session::Sessions;
use crate::engine::placement::sliding::Sliding;
use crate::engine::placement::timers::Timers;
use crate::engine::state::history::Before;
use crate::engine::state::history::Firings;
use crate::engine::state::keys::KeyId;
use crate::engine::state::store::Store;
use crate::engine::watermark::{BEGINNING, Bound, Watermarks};
use crate::engine::window::{Window, Windows};

/// 1980-01-01 in ms since 1970, UTC.
pub(super) const YEAR_1980: i64 = 315_532_800_000;

/// What an operator computes.
#[derive(Debug)]
pub struct Settings {
    /// Where: the windows.
    pub windows: Windows,
    /// For how long after a window's close its late records are kept, in ms.
    pub grace_ms: i64,
    /// How far the watermark stays behind the highest event time.
    pub bound: Bound,
    /// When panes leave.
    pub trigger: Trigger,
    /// How a pane relates to the one before.
    pub refinement: Refinement,
    /// What: one entry an aggregate.
    pub aggregates: Vec<Box<dyn Accumulator>>,
    /// The values of which each window and key takes one record; `None`: it takes all. For
    /// windows of a grid, since sessions that become one may both hold a value.
    pub distinct: Option<Box<dyn Seen>>,
}

/// Some records of one partition, in its order, by column.
#[derive(Debug)]
pub struct Input<'b, 'a> {
    /// Which of the operator's partitions, from 0: whose watermark they move.
    pub partition: usize,
    /// The number of that partition among all of the input, which breaks ties between records of
    /// one event time.
    pub origin: u32,
    /// A number of the first record that grows with its place in the partition: an offset, a line.
    pub first: u64,
    /// The offset or line of each record, which a journal names; empty where they are not known.
    pub places: &'b [u64],
    /// The records among them that do not fit, in their order.
    pub malformed: &'b [Misfit<'b>],
    /// Event times in ms since 1970, UTC; one a record.
    pub times: &'b [i64],
    /// When each record came, in processing time, where that is part of the input.
    pub arrivals: Option<&'b [i64]>,
    /// Which records `--where` selects; `None` for all. The others move the watermark, too.
    pub selected: Option<&'b [bool]>,
    /// The grouping columns; empty for one group.
    pub keys: &'b [Cow<'b, Column<'a>>],
    /// The arguments, one entry an aggregate; `None` for `count(*)`.
    pub arguments: &'b [Option<Cow<'b, Column<'a>>>],
    /// What `max_by` and `min_by` give of a record; one entry an aggregate, or empty for none of them.
    pub carried: &'b [Option<Cow<'b, Column<'a>>>],
    /// Which records take an earlier one back; `None` for none of them.
    pub taken_back: Option<&'b [bool]>,
    /// What tells records apart, where [`Settings::distinct`] asks for it.
    pub distinct: Option<&'b Column<'a>>,
    /// What stands for the records where they were added up elsewhere.
    pub parts: Option<&'b Parts>,
}

impl<'b, 'a> Input<'b, 'a> {
    /// Returns what an aggregate takes of the records whose arguments are a column.
    pub(super) fn arguments_of<'i>(&'i self, column: Option<&'i Column<'a>>) -> Arguments<'i, 'a> {
        Arguments {
            column,
            carried: None,
            times: self.times,
            partition: self.origin,
            first: self.first,
            taken_back: self.taken_back,
        }
    }
}

/// A record that came after the close of a window that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Its row in the batch.
    pub row: usize,
    /// Of its windows that had closed the one that closed last.
    pub window: Window,
    /// The combined watermark then.
    pub watermark: i64,
    /// How far the watermark was past that window's close, in ms.
    pub by_ms: i64,
    /// Whether it was dropped, because the grace of all its windows had passed.
    pub expired: bool,
}

/// What the next row that the watermark brings waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    /// The open window that is due first.
    pub window: Window,
    /// The watermark at which it is.
    pub watermark: i64,
    /// How many windows are open.
    pub windows: usize,
}

/// What has not left when a run is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// How many windows are open; of sessions and sliding windows those of each key.
    pub windows: usize,
    /// How many records they hold, each as often as it lies in one; `None` where that is not known.
    pub records: Option<u64>,
}

/// A windowed aggregation.
#[derive(Debug)]
pub struct Operator {
    pub(super) windows: Windows,
    pub(super) grace_ms: i64,
    pub(super) trigger: Trigger,
    pub(super) refinement: Refinement,
    pub(super) watermarks: Watermarks,
    pub(super) account: Account,
    /// The account as it was before records that are not counted.
    uncounted: Option<Account>,
    pub(super) store: Store,
    pub(super) placement: Placement,
    /// What each window and key has fired; kept unless each fires once.
    pub(super) firings: Option<Firings>,
    /// What was shown of open windows that each fire once.
    pub(super) before: HashMap<Slot, Before>,
    /// How far processing time has come.
    pub(super) processing_time: Option<i64>,
    /// How many records were read.
    pub(super) records: u64,
    /// The keys of the batch, one a row.
    pub(super) key_ids: Vec<KeyId>,
    /// The combined watermark at each malformed record of the last batch.
    malformed_at: Vec<i64>,
    /// Late records since they were last handed over, if somebody wants them.
    pub(super) lates: Option<Vec<Late>>,
    pub(super) journal: Option<Box<dyn Journal>>,
    /// Where windows go that have left, if others hold parts of them.
    pub(super) partials: Option<Vec<Partial>>,
    /// What is handed on to an operator elsewhere, if it is.
    pub(super) handing: Option<Handing>,
    /// The watermark upstream, while a part is taken in that is judged by it.
    pub(super) judged_at: i64,
    /// How many parts came after their window had left.
    pub(super) strays: u64,
}

/// How the slots of a record are found.
#[derive(Debug)]
pub(super) enum Placement {
    Grid(Grid),
    Sessions(Sessions, Timers),
    Sliding(Sliding, Timers),
}

impl Operator {
    /// Returns an operator over an input of `partitions` partitions.
    pub fn new(settings: Settings, partitions: usize) -> Self {
        let fires_once = settings.trigger == Trigger::Final;
        let placement = match settings.windows {
            Windows::Session { gap_ms, max_ms } => {
                Placement::Sessions(Sessions::new(gap_ms, max_ms), Timers::default())
            }
            Windows::Sliding { apart_ms } => {
                Placement::Sliding(Sliding::new(apart_ms), Timers::default())
            }
            _ => Placement::Grid(Grid::new(settings.grace_ms, !fires_once)),
        };
        Operator {
            windows: settings.windows,
            grace_ms: settings.grace_ms,
            trigger: settings.trigger,
            refinement: match settings.refinement {
                // Of the one pane there is nothing to discard.
                Refinement::Discarding if fires_once => Refinement::Accumulating,
                other => other,
            },
            watermarks: Watermarks::new(partitions, settings.bound),
            account: Account::default(),
            uncounted: None,
            store: Store::new(settings.aggregates, settings.distinct),
            placement,
            firings: (!fires_once).then(|| Firings::new(&settings.trigger)),
            before: HashMap::new(),
            processing_time: None,
            records: 0,
            key_ids: Vec::new(),
            malformed_at: Vec::new(),
            lates: None,
            journal: None,
            partials: None,
            handing: None,
            judged_at: BEGINNING,
            strays: 0,
        }
    }

    /// Tells a listener from now on what happens.
    pub fn set_journal(&mut self, journal: Box<dyn Journal>) {
        self.journal = Some(journal);
    }

    /// Keeps late records from now on, for [`Operator::take_lates`].
    pub fn keep_lates(&mut self) {
        self.lates = Some(Vec::new());
    }

    /// Keeps windows that leave as parts from now on, for [`Operator::hand_over`]: others
    /// hold more of them. For windows of a grid that fire once.
    pub fn keep_partials(&mut self) {
        self.partials = Some(Vec::new());
    }

    /// Returns how many windows have left as parts since they were last handed over.
    pub fn partials(&self) -> usize {
        self.partials.as_ref().map_or(0, Vec::len)
    }

    /// Hands over the parts of windows that have left, as those of the operator with the number
    /// `nth`.
    pub fn hand_over(&mut self, nth: usize, merger: &mut Merger) {
        let parts = self.partials.iter_mut();
        let mut rows = 0;
        for part in parts.flat_map(|parts| parts.drain(..)) {
            rows += part.len();
            merger.add(nth, part, &self.store.keys);
        }
        self.store.keys.sweep(rows);
    }

    /// Returns the late records since the last call.
    pub fn take_lates(&mut self) -> Vec<Late> {
        self.lates.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes in some records; panes that became due leave into `panes`.
    ///
    /// Its meaning is record by record: how records are cut into batches changes nothing.
    pub fn on_batch(&mut self, input: &Input<'_, '_>, panes: &mut Panes) {
        self.key_ids.clear();
        let rows = input.times.len();
        let keys = &mut self.store.keys;
        keys.intern_rows(input.keys, rows, input.selected, &mut self.key_ids);
        self.malformed_at.clear();
        let mut malformed = input.malformed.iter().peekable();
        let mut next = 0;
        while next < rows {
            while let Some(misfit) = malformed.next_if(|misfit| misfit.before <= next) {
                self.on_malformed(input.partition, misfit);
            }
            let mut run = self.run(next, input);
            if let Some(misfit) = malformed.peek() {
                run.end = run.end.min(misfit.before);
            }
            if run.is_empty() {
                self.on_row(next, input, panes);
                next += 1;
            } else {
                next = run.end;
                self.on_run(run, input);
            }
        }
        malformed.for_each(|misfit| self.on_malformed(input.partition, misfit));
        self.flush(input);
        // Parts that wait for being handed over name their keys by numbers.
        if self.partials() == 0 {
            self.store.keys.sweep(rows);
        }
    }

    #[inline]
    fn on_row(&mut self, row: usize, input: &Input<'_, '_>, panes: &mut Panes) {
        if let Some(arrivals) = input.arrivals
            && self.is_tick(arrivals[row])
        {
            self.flush(input);
            self.on_tick(arrivals[row], panes);
        }
        if self.journal.is_some() {
            self.note_read(row, input);
        }
        let at = input.times[row];
        if self.watermarks.observe(input.partition, at) {
            self.note_watermark(Some(input.partition));
            if self.due() <= self.watermarks.combined() {
                self.flush(input);
                self.fire_due(panes);
            }
        }
        self.account.before_1980 += u64::from(at < YEAR_1980);
        if input.selected.is_some_and(|selected| !selected[row]) {
            self.account.filtered += 1;
            self.note(|record| Event::Filtered { record });
        } else {
            self.assign(row, input);
            self.fire_counted(input, panes);
        }
        self.records += 1;
    }

    /// Moves the watermark of a partition, as somebody says who knows it.
    pub fn on_watermark(&mut self, partition: usize, at: i64, panes: &mut Panes) {
        if self.watermarks.advance(partition, at) {
            self.note_watermark(Some(partition));
            self.fire_due(panes);
        }
    }

    /// Moves processing time, which some triggers wait for.
    pub fn on_tick(&mut self, now: i64, panes: &mut Panes) {
        if self.is_tick(now) {
            if let Some(journal) = &mut self.journal {
                journal.note(Event::Tick { at: now });
            }
            self.fire_periodic(now, panes);
        }
        let last = self.processing_time.unwrap_or(now);
        self.processing_time = Some(last.max(now));
    }

    /// Returns whether panes may leave when processing time comes to `now`.
    #[inline]
    fn is_tick(&self, now: i64) -> bool {
        let Some(last) = self.processing_time else {
            return true;
        };
        let mut periods = self.trigger.periods();
        periods.any(|period| now.div_euclid(period) > last.div_euclid(period))
    }

    /// Ends the input: every window closes.
    pub fn on_end(&mut self, panes: &mut Panes) {
        self.watermarks.end();
        if let Some(journal) = &mut self.journal {
            journal.note(Event::End);
        }
        self.fire_due(panes);
    }

    /// Marks a partition as idle, or as active again, so that it holds the others back no more.
    pub fn on_idle(&mut self, partition: usize, idle: bool, panes: &mut Panes) {
        let moved = self.watermarks.set_idle(partition, idle);
        if let Some(journal) = &mut self.journal {
            journal.note(Event::Idle { partition, idle });
        }
        if moved {
            self.note_watermark(None);
            self.fire_due(panes);
        }
    }

    /// Takes up the combined watermark of an earlier run: windows that it had closed stay closed.
    pub fn restore_watermark(&mut self, combined: i64) {
        self.watermarks.restore(combined);
    }

    /// Moves the combined watermark, as somebody says who knows that those further behind are idle.
    pub fn release(&mut self, combined: i64, panes: &mut Panes) {
        self.watermarks.restore(combined);
        self.fire_due(panes);
    }

    /// Goes on from the highest event time of the input before, which others have read.
    pub fn resume(&mut self, partition: usize, high: i64, panes: &mut Panes) {
        self.watermarks.resume(partition, high);
        self.fire_due(panes);
    }

    /// Counts a record that never became a row, and moves no watermark.
    pub fn on_malformed(&mut self, partition: usize, misfit: &Misfit<'_>) {
        self.note(|record| Event::Malformed {
            record,
            partition,
            misfit,
        });
        self.malformed_at.push(self.watermarks.combined());
        match misfit.is_ahead {
            true => self.account.ahead += 1,
            false => self.account.malformed += 1,
        }
        self.records += 1;
    }

    /// Returns the combined watermark at each malformed record of the last batch.
    pub fn malformed_at(&self) -> &[i64] {
        &self.malformed_at
    }

    /// Says whether records are counted from now on. Those that an earlier run has counted, and
    /// that are read again for the windows that were open, are not.
    pub fn set_counting(&mut self, counting: bool) {
        match counting {
            true => self.account = self.uncounted.take().unwrap_or(self.account),
            false => self.uncounted = Some(self.account),
        }
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Returns when panes leave.
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// Returns how far event time has come.
    pub fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    /// Returns the watermark at which a record of time `at` is in no open window any more.
    pub fn forgotten_at(&self, at: i64) -> i64 {
        let closed = self.windows.forgotten_at(at);
        closed.saturating_add(self.grace_ms)
    }

    /// Returns what would leave if the input ended.
    pub fn open(&self) -> Open {
        let (windows, records) = match &self.placement {
            Placement::Grid(grid) => grid.open_count(&self.store),
            Placement::Sessions(..) | Placement::Sliding(..) => {
                let records = |slot: Slot| u64::from(self.store.entry(slot).records);
                let slots = || self.open_slots();
                (slots().count(), slots().map(records).sum())
            }
        };
        let records = Some(records);
        Open { windows, records }
    }

    /// Returns the windows that are open; `None` where each key has its own.
    pub fn open_on_grid(&self) -> Option<impl Iterator<Item = Window>> {
        match &self.placement {
            Placement::Grid(grid) => Some(grid.not_closed()),
            Placement::Sessions(..) | Placement::Sliding(..) => None,
        }
    }

    /// Returns how many states are held.
    pub fn slots_in_use(&self) -> usize {
        self.store.len()
    }

    /// Adds the rows that wait to the states.
    pub(super) fn flush(&mut self, input: &Input<'_, '_>) {
        if let Some(parts) = input.parts {
            return self.store.absorb(parts.states());
        }
        let carried = input.carried.iter().chain(std::iter::repeat(&None));
        let columns = input.arguments.iter().zip(carried);
        let arguments = columns.map(|(column, carried)| Arguments {
            carried: carried.as_deref(),
            ..input.arguments_of(column.as_deref())
        });
        self.store.flush(arguments);
    }

    #[inline]
    pub(super) fn note<'e>(&mut self, event: impl FnOnce(u64) -> Event<'e>) {
        if let Some(journal) = &mut self.journal {
            journal.note(event(self.records));
        }
    }

    fn note_watermark(&mut self, partition: Option<usize>) {
        if let Some(journal) = &mut self.journal {
            let partition = partition.map(|nth| (nth, self.watermarks.of(nth)));
            let combined = self.watermarks.combined();
            journal.note(Event::Watermark {
                partition,
                combined,
            });
        }
    }

    fn note_read(&mut self, row: usize, input: &Input<'_, '_>) {
        let mut key = Vec::new();
        let columns = input.keys.iter();
        columns.for_each(|column| crate::engine::key::push(&mut key, column, row));
        let value = |column: &Option<Cow<'_, Column<'_>>>| match column {
            Some(column) => column.value(row),
            None => Value::Null,
        };
        let argument = |(nth, argument)| match input.carried.get(nth) {
            Some(carried @ Some(_)) => Value::List(Box::new([value(carried), value(argument)])),
            _ => value(argument),
        };
        let arguments = input.arguments.iter().enumerate();
        let arguments: Vec<Value> = arguments.map(argument).collect();
        self.note(|record| Event::Read {
            record,
            partition: input.partition,
            place: *input.places.get(row).unwrap_or(&(input.first + row as u64)),
            at: input.times[row],
            arrival: input.arrivals.map(|arrivals| arrivals[row]),
            key: &key,
            arguments: &arguments,
            taken_back: input.taken_back.is_some_and(|taken_back| taken_back[row]),
        });
    }
}
