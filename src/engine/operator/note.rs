//! What is told to a listener, if there is one.

use std::borrow::Cow;

use super::{Books, Input};
use crate::column::{Column, Value};
use crate::engine::aggregate::Slot;
use crate::engine::key;
use crate::engine::pane::Firing;
use crate::engine::pane::journal::{Event, Why};

impl Books {
    /// Tells an event that names the record at hand.
    #[inline]
    pub(super) fn note<'e>(&mut self, event: impl FnOnce(u64) -> Event<'e>) {
        if let Some(journal) = &mut self.journal {
            journal.note(event(self.records));
        }
    }

    pub(super) fn note_watermark(&mut self, partition: Option<usize>) {
        if let Some(journal) = &mut self.journal {
            let partition = partition.map(|nth| (nth, self.watermarks.of(nth)));
            let combined = self.watermarks.combined();
            journal.note(Event::Watermark {
                partition,
                combined,
            });
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

    /// Tells that a sliding window was made of what some moments hold.
    pub(super) fn note_made(&mut self, slot: Slot, moments: &[Slot]) {
        if let Some(journal) = &mut self.journal {
            let entry = self.store.entry(slot);
            let mut key = Vec::new();
            self.store.keys.push_bytes(entry.key, &mut key);
            let moments = moments.iter();
            let moments = moments.map(|&slot| self.store.entry(slot).window.start);
            let moments: Vec<i64> = moments.collect();
            journal.note(Event::Made {
                window: entry.window,
                key: &key,
                moments: &moments,
            });
        }
    }

    pub(super) fn note_pane(&mut self, slot: Slot, firing: Firing, why: Why, values: &[Value]) {
        if let Some(journal) = &mut self.journal {
            let mut key = Vec::new();
            let entry = self.store.entry(slot);
            self.store.keys.push_bytes(entry.key, &mut key);
            journal.note(Event::Pane {
                firing,
                key: &key,
                why,
                values,
            });
        }
    }
}
