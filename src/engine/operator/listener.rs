//! What is reported to a listener, if there is one.
//!
//! Nothing here is computed or kept without a listener, and of records no more than it wants
//! ([`Journal::detail`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use super::{Books, Input};
use crate::column::{Column, Value};
use crate::engine::aggregate::Slot;
use crate::engine::key;
use crate::engine::pane::Firing;
use crate::engine::pane::journal::{Detail, Event, Journal, Moves, Run, Why};
use crate::engine::state::keys::KeyId;
use crate::engine::window::Window;

/// A listener, and what is kept for it alone.
#[derive(Debug)]
pub(super) struct Listener {
    journal: Box<dyn Journal>,
    /// How much it wants of this batch.
    detail: Detail,
    /// How far processing time has come.
    now: Option<i64>,
    /// The windows that have not closed, by the watermark at which they do.
    closings: BTreeSet<(i64, Window, KeyId)>,
    /// The bytes of the key that is reported.
    key: Vec<u8>,
}

impl Listener {
    pub fn new(journal: Box<dyn Journal>) -> Self {
        Listener {
            detail: journal.detail(),
            journal,
            now: None,
            closings: BTreeSet::new(),
            key: Vec::new(),
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
            listener.detail = listener.journal.detail();
            if listener.detail != Detail::Each {
                listener.closings.clear(); // records that are not noted change windows unseen
            }
        }
    }

    /// Returns how much a listener wants of this batch.
    #[inline]
    pub(super) fn detail(&self) -> Detail {
        let listener = self.listener.as_ref();
        listener.map_or(Detail::Outline, |listener| listener.detail)
    }

    /// Returns whether a listener wants records.
    #[inline]
    pub(super) fn notes_records(&self) -> bool {
        self.detail() != Detail::Outline
    }

    /// Notes processing time, for the listener alone.
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
            && listener.detail != Detail::Outline
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

    /// Reports that a record was read.
    pub(super) fn note_read(&mut self, row: usize, input: &Input<'_, '_>) {
        let mut key = self.take_key_buffer();
        let columns = input.keys.iter();
        columns.for_each(|column| key::push(&mut key, column, row));
        let has_values = self.detail() == Detail::Each;
        let value = |column: &Option<Cow<'_, Column<'_>>>| match column {
            Some(column) => column.value(row),
            None => Value::Null,
        };
        let argument = |(nth, argument)| match input.carried.get(nth) {
            Some(carried @ Some(_)) => Value::List(Box::new([value(carried), value(argument)])),
            _ => value(argument),
        };
        let arguments = input.arguments.iter().enumerate();
        let arguments = arguments.filter(|_| has_values);
        let arguments: Vec<Value> = arguments.map(argument).collect();
        let columns = input.noted.columns.iter().filter(|_| has_values);
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
        self.keep_key_buffer(key);
    }

    /// Reports the rows of a run, before the watermark has taken note of them.
    pub(super) fn note_rows(
        &mut self,
        windows: &[Window],
        bound_ms: i64,
        rows: Range<usize>,
        input: &Input<'_, '_>,
    ) {
        let Some(listener) = &mut self.listener else {
            return;
        };
        let partition = input.partition;
        let arrivals = input.arrivals.map(|arrivals| &arrivals[rows.clone()]);
        let run = Run {
            partition,
            record: self.records,
            times: &input.times[rows.clone()],
            selected: input.selected.map(|selected| &selected[rows.clone()]),
            windows,
            moves: Moves {
                reached: self.watermarks.of(partition),
                combined: self.watermarks.combined(),
                bound_ms,
                others: self.watermarks.beside(partition),
            },
            arrivals,
            appended: input.noted.appended.get(rows.clone()).unwrap_or_default(),
            places: input.noted.places.get(rows.clone()).unwrap_or_default(),
            place: input.first + rows.start as u64,
            keys: &self.store.keys,
            ids: if input.keys.is_empty() {
                &[]
            } else {
                &self.key_ids[rows]
            },
        };
        listener.journal.note_run(listener.now, &run);
    }

    /// Returns room for the bytes of a key.
    fn take_key_buffer(&mut self) -> Vec<u8> {
        let listener = self.listener.as_mut();
        let mut key = listener.map_or_else(Vec::new, |listener| std::mem::take(&mut listener.key));
        key.clear();
        key
    }

    fn keep_key_buffer(&mut self, key: Vec<u8>) {
        if let Some(listener) = &mut self.listener {
            listener.key = key;
        }
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

    /// Notes that a window is there whose close is to be reported, unless it has closed.
    fn note_open(&mut self, key: KeyId, window: Window) {
        let at = self.lateness.closes_at(window);
        if let Some(listener) = &mut self.listener
            && listener.detail == Detail::Each
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
            let mut key = self.take_key_buffer();
            let entry = self.store.entry(slot);
            self.store.keys.push_bytes(entry.key, &mut key);
            self.note(Event::Pane {
                firing,
                key: &key,
                why,
                values,
            });
            self.keep_key_buffer(key);
        }
    }
}
