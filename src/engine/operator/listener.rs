//! What is reported to a listener, if there is one.
//!
//! Nothing here is computed or kept without a listener, and of single records nothing for one that
//! wants only what comes of them ([`Journal::wants_records`]).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Books, Input};
use crate::column::{Column, Value};
use crate::engine::aggregate::Slot;
use crate::engine::key;
use crate::engine::pane::Firing;
use crate::engine::pane::journal::{Event, Journal, Why};
use crate::engine::state::keys::KeyId;
use crate::engine::window::Window;

/// A listener, and what is kept for it alone.
#[derive(Debug)]
pub(super) struct Listener {
    journal: Box<dyn Journal>,
    /// Whether it wants the records of this batch one by one.
    by_record: bool,
    /// How far processing time has come.
    now: Option<i64>,
    /// The windows that have not closed, by the watermark at which they do.
    closings: BTreeSet<(i64, Window, KeyId)>,
}

impl Listener {
    pub fn new(journal: Box<dyn Journal>) -> Self {
        Listener {
            by_record: journal.wants_records(),
            journal,
            now: None,
            closings: BTreeSet::new(),
        }
    }

    fn note(&mut self, event: Event<'_>) {
        self.journal.note(self.now, event);
    }
}

impl Books {
    /// Asks the listener whether it wants the records of the batch that begins.
    pub(super) fn listen(&mut self) {
        if let Some(listener) = &mut self.listener {
            listener.by_record = listener.journal.wants_records();
            if !listener.by_record {
                listener.closings.clear(); // records that are not noted change windows unseen
            }
        }
    }

    /// Returns whether a listener wants each record.
    #[inline]
    pub(super) fn notes_records(&self) -> bool {
        self.listener
            .as_ref()
            .is_some_and(|listener| listener.by_record)
    }

    /// Notes  processing time, for the listener alone.
    pub(super) fn note_clock(&mut self, now: i64) {
        if let Some(listener) = &mut self.listener {
            listener.now = listener.now.max(Some(now));
        }
    }

    /// Reports what happened, record or not.
    pub(super) fn note(&mut self, event: Event<'_>) {
        if let Some(listener) = &mut self.listener {
            listener.note(event);
        }
    }

    /// Reports what became of the current record.
    #[inline]
    pub(super) fn note_record<'e>(&mut self, event: impl FnOnce(u64) -> Event<'e>) {
        if let Some(listener) = &mut self.listener
            && listener.by_record
        {
            listener.note(event(self.records));
        }
    }

    /// Reports that a watermark moved, and which windows close by that.
    pub(super) fn note_watermark(&mut self, partition: Option<usize>, record: Option<u64>) {
        let combined = self.watermarks.combined();
        if let Some(listener) = &mut self.listener {
            let partition = partition.map(|nth| (nth, self.watermarks.of(nth)));
            listener.note(Event::Watermark {
                partition,
                combined,
                record,
            });
            self.note_closings();
        }
    }

    /// Reports the end of the input, which closes every window.
    pub(super) fn note_end(&mut self) {
        self.note(Event::End);
        self.note_closings();
    }

    /// Reports which windows the watermark has closed.
    fn note_closings(&mut self) {
        let Some(listener) = &mut self.listener else {
            return;
        };
        let watermark = self.watermarks.combined();
        while let Some(&(at, window, id)) = listener.closings.first()
            && at <= watermark
        {
            listener.closings.pop_first();
            let mut key = Vec::new();
            self.store.keys.push_bytes(id, &mut key);
            let key = &key;
            listener.note(Event::Closed { window, key });
        }
    }

    pub(super) fn note_read(&mut self, row: usize, input: &Input<'_, '_>) {
        let mut key = Vec::new();
        let columns = input.keys.iter();
        columns.for_each(|column| key::push(&mut key, column, row));
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
        let columns = input.noted.columns.iter();
        let columns: Vec<Value> = columns.map(|column| column.value(row)).collect();
        let appended = || input.noted.appended.get(row).copied().flatten();
        let place = input.noted.places.get(row).copied();
        self.note_record(|record| Event::Read {
            record,
            partition: input.partition,
            place: place.unwrap_or(input.first + row as u64),
            at: input.times[row],
            arrival: input.arrivals.map(|rows| rows[row]).or_else(appended),
            key: &key,
            arguments: &arguments,
            columns: &columns,
            taken_back: input.taken_back.is_some_and(|taken_back| taken_back[row]),
        });
    }

    /// Reports that the current record went into a window of its key.
    pub(super) fn note_assigned(
        &mut self,
        key: KeyId,
        window: Window,
        late: bool,
        joins: &[Window],
    ) {
        if !self.notes_records() {
            return;
        }
        let late_by_ms = late.then(|| self.lateness.past_close(window, self.judging()));
        self.note_record(|record| Event::Assigned {
            record,
            window,
            late_by_ms,
            joins,
        });
        for &joined in joins {
            let at = self.lateness.closes_at(joined);
            if let Some(listener) = &mut self.listener {
                listener.closings.remove(&(at, joined, key));
            }
        }
        self.note_open(key, window);
    }

    /// Notes that  a window is there whose close is to be reported, unless it has closed.
    fn note_open(&mut self, key: KeyId, window: Window) {
        let at = self.lateness.closes_at(window);
        if let Some(listener) = &mut self.listener
            && at > self.watermarks.combined()
        {
            listener.closings.insert((at, window, key));
        }
    }

    /// Reports that a sliding window was made of what some moments hold.
    pub(super) fn note_made(&mut self, slot: Slot, moments: &[Slot]) {
        if !self.notes_records() {
            return;
        }
        let (window, id) = (self.store.entry(slot).window, self.store.entry(slot).key);
        let mut key = Vec::new();
        self.store.keys.push_bytes(id, &mut key);
        let moments = moments.iter();
        let moments = moments.map(|&slot| self.store.entry(slot).window.start);
        let moments: Vec<i64> = moments.collect();
        self.note(Event::Made {
            window,
            key: &key,
            moments: &moments,
        });
        self.note_open(id, window);
    }

    /// Reports that a window leaves, and has nothing to show.
    pub(super) fn note_left(&mut self, slot: Slot) {
        if self.listener.is_some() {
            let entry = *self.store.entry(slot);
            let mut key = Vec::new();
            self.store.keys.push_bytes(entry.key, &mut key);
            self.note(Event::Left {
                window: entry.window,
                key: &key,
            });
        }
    }

    pub(super) fn note_pane(&mut self, slot: Slot, firing: Firing, why: Why, values: &[Value]) {
        if self.listener.is_some() {
            let mut key = Vec::new();
            let entry = self.store.entry(slot);
            self.store.keys.push_bytes(entry.key, &mut key);
            self.note(Event::Pane {
                firing,
                key: &key,
                why,
                values,
            });
        }
    }
}
