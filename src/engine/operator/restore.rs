//! The state as rows of a log, and built again from them.

use serde::Serialize;

use super::{Operator, Placement};
use crate::engine::aggregate::Slot;
use crate::engine::codec::{self, Corrupt};
use crate::engine::state::changes::{Changes, parse_row_key, push_row_key};
use crate::engine::window::Window;

impl Operator {
    /// Keeps note of what changes from now on, for [`Operator::take_changes`].
    pub fn log_changes(&mut self) {
        self.store.changes = Some(Changes::default());
    }

    /// Returns whether anything has changed since [`Operator::take_changes`] was last called.
    pub fn has_changed(&self) -> bool {
        let changes = self.store.changes.as_ref();
        changes
            .is_some_and(|changes| !changes.changed.is_empty() || !changes.dropped_ends.is_empty())
    }

    /// Hands over the row key of every window and key that has changed since the last call, and
    /// its states; `None` for what is no more. To be called between two batches.
    pub fn take_changes(&mut self, mut row: impl FnMut(&[u8], Option<&[u8]>)) {
        let Some(mut changes) = self.store.changes.take() else {
            return;
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut changed = std::mem::take(&mut changes.changed);
        changed.retain(|&slot| std::mem::take(&mut changes.of[slot as usize].changed));
        for &slot in &changed {
            let entry = self.store.entry(slot);
            // A session that has grown has another row key.
            let note = &mut changes.of[slot as usize];
            if let Some((window, length)) =
                note.logged.filter(|(window, _)| *window != entry.window)
            {
                note.logged = None;
                changes.take_back(entry, window, length, &self.store.keys);
            }
        }
        let mut start = 0;
        for end in changes.dropped_ends.drain(..) {
            row(&changes.dropped[start..end], None);
            start = end;
        }
        changes.dropped.clear();
        for slot in changed.drain(..) {
            let entry = *self.store.entry(slot);
            key.clear();
            push_row_key(&mut key, entry.window, &entry, &self.store.keys);
            value.clear();
            self.store.save_states(slot, &mut value);
            self.save_fired(slot, &mut value);
            changes.log(slot, entry.window, key.len() + value.len());
            row(&key, Some(&value));
        }
        changes.changed = changed; // keeps its room
        self.store.changes = Some(changes);
    }

    /// Takes up a row that [`Operator::take_changes`] has handed over, after the header.
    ///
    /// # Errors
    /// [`Corrupt`] where it is none of the same plan.
    pub fn restore_row(&mut self, row_key: &[u8], mut value: &[u8]) -> Result<(), Corrupt> {
        let length = row_key.len() + value.len();
        let (window, key) = parse_row_key(row_key).ok_or(Corrupt)?;
        if self.watermarks.combined() >= self.gone_at(window) {
            return Ok(()); // its last row has left: who wrote this had slept, or was cut off
        }
        let slot = self.store.load_states(key, window, &mut value)?;
        // What was to be done at a close was done before the state was saved.
        let closed = self.watermarks.combined() >= self.windows.closes_at(window);
        self.load_fired(slot, &mut value)?;
        self.place(slot, closed);
        if let Some(changes) = &mut self.store.changes {
            changes.log(slot, window, length);
        }
        match value.is_empty() {
            true => Ok(()),
            false => Err(Corrupt),
        }
    }

    /// Takes a slot of an earlier run into its place.
    fn place(&mut self, slot: Slot, closed: bool) {
        let window = self.store.entry(slot).window;
        let due = self.first_due(window);
        match &mut self.placement {
            Placement::Grid(grid) => grid.load(slot, closed, &self.store),
            Placement::Sessions(sessions, timers) => {
                sessions.add(slot, &self.store);
                timers.set(due, slot, &self.store);
            }
            Placement::Sliding(sliding, timers) => {
                sliding.add(slot, &self.store);
                timers.set(due, slot, &self.store);
            }
        }
    }

    /// Returns the watermark at which a window, or a moment of sliding ones, is no more.
    fn gone_at(&self, window: Window) -> i64 {
        match self.windows.is_moment(window) {
            true => self.forgotten_at(window.start),
            false => self.expires_at(window),
        }
    }

    /// Returns what is saved beside the rows: how far event time and processing time have come.
    pub fn save_header(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::put(&mut bytes, &self.header());
        bytes
    }

    fn header(&self) -> impl Serialize {
        (self.watermarks.saved(), self.processing_time)
    }

    /// Takes up what [`Operator::save_header`] has returned.
    ///
    /// # Errors
    /// [`Corrupt`] where it is none of the same plan and number of partitions.
    pub fn load_header(&mut self, mut bytes: &[u8]) -> Result<(), Corrupt> {
        self.watermarks.load(&mut bytes)?;
        self.processing_time = codec::take(&mut bytes)?;
        Ok(())
    }

    /// Returns how many rows the log has, and how many bytes they are.
    pub fn logged(&self) -> (u64, u64) {
        let changes = self.store.changes.as_ref();
        changes.map_or((0, 0), |changes| (changes.rows, changes.bytes))
    }
}
