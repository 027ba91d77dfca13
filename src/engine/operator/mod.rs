//! A windowed aggregation: records, watermarks, idle partitions and processing time in, panes out.
//!
//! The way of a record is [`Operator::on_batch`], and in it `on_row`: processing time and the
//! watermark move and what is due fires (`fire`), the record goes into its windows (`assign`), and
//! what it has made due by count fires. Records of which none can make anything due go together
//! (`batch`).
//!
//! Beside that way: `open` shows windows that have not left, `handoff` hands states on to operators
//! elsewhere and takes them in, `restore` makes the state rows of a log, and the log the state again.

mod assign;
mod batch;
mod fire;
mod handoff;
mod input;
mod listener;
mod open_windows;
mod restore;

pub use assign::Late;
pub use input::{Input, Noted};
use listener::Listener;
pub use open_windows::{Awaited, Open};

use super::account::Account;
use super::aggregate::{Accumulator, Arguments, Seen};
use super::lateness::Lateness;
use super::leave::Leave;
use super::pane::journal::{Detail, Event, Journal, Misfit};
use super::pane::trigger::Trigger;
use super::pane::{Panes, Refinement};
use super::placement::Placement;
use super::state::history::History;
use super::state::keys::KeyId;
use super::state::store::Store;
use super::watermark::{BEGINNING, Bound, END, Watermarks};
use super::window::{Window, Windows};
use crate::error::Result;

/// 1980-01-01 in ms since 1970, UTC.
pub(crate) const YEAR_1980: i64 = 315_532_800_000;

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

/// A windowed aggregation.
#[derive(Debug)]
pub struct Operator {
    /// Finds the windows of a record.
    placement: Placement,
    /// All that is kept whichever way they are found.
    books: Books,
    /// The account as it was before records that are not counted.
    uncounted: Option<Account>,
    /// The combined watermark at each malformed record of the last batch.
    malformed_at: Vec<i64>,
}

/// What an operator keeps beside the placement, so that both can be lent side by side.
#[derive(Debug)]
struct Books {
    windows: Windows,
    lateness: Lateness,
    trigger: Trigger,
    refinement: Refinement,
    watermarks: Watermarks,
    account: Account,
    store: Store,
    /// What each slot has fired.
    history: History,
    /// What happens to a window that leaves.
    leave: Leave,
    /// How far processing time has come.
    processing_time: Option<i64>,
    /// How many records were read.
    records: u64,
    /// The keys of the batch, one per row.
    key_ids: Vec<KeyId>,
    /// Late records since they were last handed over, if they are wanted.
    lates: Option<Vec<Late>>,
    listener: Option<Listener>,
    /// The watermark upstream, while a part is taken in that is judged by it.
    judged_at: i64,
    /// How many parts came after their window had left.
    strays: u64,
}

impl Operator {
    /// Returns an operator over an input of `partitions` partitions.
    pub fn new(settings: Settings, partitions: usize) -> Self {
        let lateness = Lateness::new(&settings.windows, settings.grace_ms);
        let history = History::new(&settings.trigger);
        let fires_once = history.fires_once();
        let books = Books {
            lateness,
            trigger: settings.trigger,
            refinement: match settings.refinement {
                // Of the one pane there is nothing to discard.
                Refinement::Discarding if fires_once => Refinement::Accumulating,
                other => other,
            },
            watermarks: Watermarks::new(partitions, settings.bound),
            account: Account::default(),
            store: Store::new(settings.aggregates, settings.distinct),
            history,
            leave: Leave::Show,
            processing_time: None,
            records: 0,
            key_ids: Vec::new(),
            lates: None,
            listener: None,
            judged_at: BEGINNING,
            strays: 0,
            windows: settings.windows,
        };
        Operator {
            placement: Placement::new(&books.windows, lateness, fires_once),
            books,
            uncounted: None,
            malformed_at: Vec::new(),
        }
    }

    /// Tells a listener from now on what happens.
    pub fn set_journal(&mut self, journal: Box<dyn Journal>) {
        self.books.listener = Some(Listener::new(journal));
    }

    /// Keeps late records from now on, for [`Operator::take_lates`].
    pub fn keep_lates(&mut self) {
        self.books.lates = Some(Vec::new());
    }

    /// Returns the late records since the last call.
    pub fn take_lates(&mut self) -> Vec<Late> {
        let lates = self.books.lates.as_mut();
        lates.map(std::mem::take).unwrap_or_default()
    }

    /// Takes in some records; panes that became due leave into `panes`.
    ///
    /// Its meaning is record by record: how records are cut into batches changes nothing.
    ///
    /// # Errors
    /// `bug` where a column has another type than planned; the panes are wrong then.
    pub fn on_batch(&mut self, input: &Input<'_, '_>, panes: &mut Panes) -> Result<()> {
        let rows = input.times.len();
        self.books.listen();
        self.books.find_keys(input);
        self.malformed_at.clear();
        let mut malformed = input.malformed.iter().peekable();
        let mut next = 0;
        while next < rows {
            while let Some(misfit) = malformed.next_if(|misfit| misfit.before <= next) {
                self.on_malformed(input.partition, misfit);
            }
            let limit = malformed.peek().map_or(rows, |misfit| misfit.before);
            let after = self.on_run(next..limit.min(rows), input);
            if after == next {
                // The row itself needs a look.
                self.on_row(next, input, panes);
                next += 1;
            } else {
                next = after;
            }
        }
        malformed.for_each(|misfit| self.on_malformed(input.partition, misfit));
        self.books.flush(input);
        // Parts that wait for being handed over name their keys by numbers.
        if self.partials() == 0 {
            self.books.store.keys.sweep(rows);
        }
        self.books.store.check()
    }

    #[inline]
    fn on_row(&mut self, row: usize, input: &Input<'_, '_>, panes: &mut Panes) {
        // Processing time first: the record comes after what it makes due.
        if let Some(arrivals) = input.arrivals {
            self.books.note_clock(arrivals[row]);
            if self.is_tick(arrivals[row]) {
                self.books.flush(input);
                self.on_tick(arrivals[row], panes);
            }
        }
        let books = &mut self.books;
        if books.notes_records() {
            books.note_read(row, input);
        }
        // Then event time: what its watermark closes does not hold it any more.
        let (at, partition) = (input.times[row], input.partition);
        let reached = match books.listener {
            Some(_) => books.watermarks.of(partition),
            None => END, // nobody asks whether a partition moves alone
        };
        let moved = books.watermarks.observe(partition, at);
        if moved || books.watermarks.of(partition) > reached {
            books.note_watermark(Some(partition), Some(books.records));
        }
        if moved && self.placement.due() <= books.watermarks.combined() {
            books.flush(input);
            self.fire_due(panes);
        }
        let books = &mut self.books;
        books.account.before_1980 += u64::from(at < YEAR_1980);
        if input.selected.is_some_and(|selected| !selected[row]) {
            books.account.filtered += 1;
            books.note_record(|record| Event::Filtered { record });
        } else {
            self.assign(row, input);
            self.books.fire_counted(input, panes);
        }
        self.books.records += 1;
    }

    /// Moves the watermark of a partition to a known value.
    pub fn on_watermark(&mut self, partition: usize, at: i64, panes: &mut Panes) {
        if self.books.watermarks.advance(partition, at) {
            self.books.note_watermark(Some(partition), None);
            self.fire_due(panes);
        }
    }

    /// Tells the listener, if there is one, how far processing time has come; it moves nothing.
    pub(crate) fn on_clock(&mut self, now: i64) {
        self.books.note_clock(now);
    }

    /// Moves processing time, which some triggers wait for.
    pub fn on_tick(&mut self, now: i64, panes: &mut Panes) {
        let is_tick = self.is_tick(now);
        let books = &mut self.books;
        books.note_clock(now);
        if is_tick {
            books.note(Event::Tick { at: now });
            books.fire_periodic(now, panes);
        }
        let last = books.processing_time.unwrap_or(now);
        books.processing_time = Some(last.max(now));
    }

    /// Returns whether panes may leave when processing time comes to `now`.
    #[inline]
    fn is_tick(&self, now: i64) -> bool {
        let Some(last) = self.books.processing_time else {
            return true;
        };
        let mut periods = self.books.trigger.periods();
        periods.any(|period| now.div_euclid(period) > last.div_euclid(period))
    }

    /// Ends the input: every window closes.
    pub fn on_end(&mut self, panes: &mut Panes) {
        self.books.watermarks.end();
        self.books.note_end();
        self.fire_due(panes);
    }

    /// Marks a partition as idle, or as active again, so that it holds the others back no more.
    pub fn on_idle(&mut self, partition: usize, idle: bool, panes: &mut Panes) {
        let moved = self.books.watermarks.set_idle(partition, idle);
        self.books.note(Event::Idle { partition, idle });
        if moved {
            self.books.note_watermark(None, None);
            self.fire_due(panes);
        }
    }

    /// Takes up the combined watermark of an earlier run: windows that it had closed stay closed.
    pub(crate) fn restore_watermark(&mut self, combined: i64) {
        self.books.watermarks.restore(combined);
    }

    /// Moves the combined watermark, given that partitions further behind are idle.
    pub fn release(&mut self, combined: i64, panes: &mut Panes) {
        self.books.watermarks.restore(combined);
        self.fire_due(panes);
    }

    /// Goes on from the highest event time of the input before, which others have read.
    pub(crate) fn resume(&mut self, partition: usize, high: i64, panes: &mut Panes) {
        self.books.watermarks.resume(partition, high);
        self.fire_due(panes);
    }

    /// Counts a record that never became a row, and moves no watermark.
    pub fn on_malformed(&mut self, partition: usize, misfit: &Misfit<'_>) {
        let books = &mut self.books;
        books.note(Event::Malformed {
            record: books.records,
            partition,
            misfit,
        });
        self.malformed_at.push(books.watermarks.combined());
        if misfit.is_ahead {
            books.account.ahead += 1
        } else {
            books.account.malformed += 1
        }
        books.records += 1;
    }

    /// Returns the combined watermark at each malformed record of the last batch.
    pub(crate) fn malformed_at(&self) -> &[i64] {
        &self.malformed_at
    }

    /// Says whether records are counted from now on. Those that an earlier run has counted, and
    /// that are read again for the windows that were open, are not.
    pub(crate) fn set_counting(&mut self, counting: bool) {
        let account = &mut self.books.account;
        if counting {
            *account = self.uncounted.take().unwrap_or(*account)
        } else {
            self.uncounted = Some(*account)
        }
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        &self.books.account
    }

    /// Returns when panes leave.
    pub fn trigger(&self) -> &Trigger {
        &self.books.trigger
    }

    /// Returns how far event time has come.
    pub fn watermarks(&self) -> &Watermarks {
        &self.books.watermarks
    }

    /// Returns the watermark at which a record of time `at` is in no open window any more.
    pub(crate) fn forgotten_at(&self, at: i64) -> i64 {
        self.books.lateness.forgotten_at(at, &self.books.windows)
    }

    /// Returns the watermark at which a window's grace has passed.
    pub fn expires_at(&self, window: Window) -> i64 {
        self.books.lateness.expires_at(window)
    }

    /// Returns how many states are held.
    pub fn slots_in_use(&self) -> usize {
        self.books.store.len()
    }
}

impl Books {
    /// Finds the key of each row.
    fn find_keys(&mut self, input: &Input<'_, '_>) {
        self.key_ids.clear();
        // A run names the keys of all its records.
        let selected = input.selected.filter(|_| self.detail() != Detail::Runs);
        let (rows, keys) = (input.times.len(), &mut self.store.keys);
        keys.intern_rows(input.keys, rows, selected, &mut self.key_ids);
    }

    /// Adds the rows that wait to the states.
    fn flush(&mut self, input: &Input<'_, '_>) {
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
}
