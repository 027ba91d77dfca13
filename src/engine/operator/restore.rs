//! The state as rows of a log, and built again from them.

use super::Operator;
use crate::engine::codec::{self, Corrupt};
use crate::engine::state::changes::{Changes, parse_row_key, push_row_key};
use crate::error::Result;

impl Operator {
    /// Keeps note of what changes from now on, for [`Operator::take_changes`].
    pub fn log_changes(&mut self) {
        self.books.store.changes = Some(Changes::default());
    }

    /// Returns whether anything has changed since [`Operator::take_changes`] was last called.
    pub fn has_changed(&self) -> bool {
        let changes = self.books.store.changes.as_ref();
        changes.is_some_and(Changes::are_there)
    }

    /// Hands over the row key of every window and key that has changed since the last call, and its
    /// states; `None` for what is gone. To be called between two batches.
    ///
    /// # Errors
    /// `bug` where a state cannot be written; then what was handed over is not all, and no commit.
    pub fn take_changes(&mut self, mut row: impl FnMut(&[u8], Option<&[u8]>)) -> Result<()> {
        let (store, history) = (&mut self.books.store, &mut self.books.history);
        let Some(mut changes) = store.changes.take() else {
            return Ok(()); // nobody keeps a log
        };
        // First what is gone: a session that has grown may stand where another did.
        let changed = changes.take_changed();
        for &slot in &changed {
            let entry = store.entry(slot);
            changes.relocate(slot, entry.key, entry.window, &store.keys);
        }
        changes.take_dropped(|key| row(key, None));
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for &slot in &changed {
            let entry = store.entry(slot);
            key.clear();
            push_row_key(&mut key, entry.window, entry.key, &store.keys);
            value.clear();
            store.save_states(slot, &mut value)?;
            history.save(slot, store, &mut value)?;
            changes.log(slot, entry.window, key.len() + value.len());
            row(&key, Some(&value));
        }
        changes.give_back(changed);
        store.changes = Some(changes);
        Ok(())
    }

    /// Takes up a row that [`Operator::take_changes`] has handed over, after the header.
    ///
    /// # Errors
    /// [`Corrupt`] where it is none of the same plan.
    pub fn restore_row(&mut self, row_key: &[u8], mut value: &[u8]) -> Result<(), Corrupt> {
        let Operator {
            placement, books, ..
        } = self;
        let length = row_key.len() + value.len();
        let (window, key) = parse_row_key(row_key).ok_or(Corrupt)?;
        let watermark = books.watermarks.combined();
        if books.lateness.has_left(window, watermark) {
            return Ok(()); // its last row has left: who wrote this had slept, or was cut off
        }
        let slot = books.store.load_states(key, window, &mut value)?;
        let is_moment = books.lateness.is_moment(window);
        books
            .history
            .load(slot, is_moment, &books.store, &mut value)?;
        // What was to be done at a close was done before the state was saved.
        let closed = books.lateness.is_closed(window, watermark);
        placement.load(slot, closed, books.first_due(window), &books.store);
        if let Some(changes) = &mut books.store.changes {
            changes.log(slot, window, length);
        }
        if value.is_empty() {
            Ok(())
        } else {
            Err(Corrupt)
        }
    }

    /// Returns what is saved beside the rows: how far event time and processing time have come.
    ///
    /// # Errors
    /// `bug` where that cannot be written.
    pub fn save_header(&self) -> Result<Vec<u8>> {
        let header = (self.books.watermarks.saved(), self.books.processing_time);
        let mut bytes = Vec::new();
        codec::put(&mut bytes, &header)?;
        Ok(bytes)
    }

    /// Takes up what [`Operator::save_header`] has returned.
    ///
    /// # Errors
    /// [`Corrupt`] where it is none of the same plan and number of partitions.
    pub fn load_header(&mut self, mut bytes: &[u8]) -> Result<(), Corrupt> {
        self.books.watermarks.load(&mut bytes)?;
        self.books.processing_time = codec::take(&mut bytes)?;
        Ok(())
    }

    /// Returns how many rows the log has, and how many bytes they are.
    pub fn logged(&self) -> (u64, u64) {
        let changes = self.books.store.changes.as_ref();
        changes.map_or((0, 0), Changes::logged)
    }
}
