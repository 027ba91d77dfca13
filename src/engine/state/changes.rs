//! What of the state has changed since it was last looked at, as rows of a log.
//!
//! In: notes of the store that a slot has changed or was dropped. Out: for each window and key that
//! changed its states as bytes, and nothing for those that are gone. The last row of each is enough
//! to rebuild the state (Kafka Streams' `ChangeLoggingWindowBytesStore`). However often a slot
//! changes between two looks, it is one row; one that came and went is none.

use super::keys::{KeyId, Keys};
use crate::engine::aggregate::Slot;
use crate::engine::window::Window;

/// Which slots have changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// The slots that have changed, some perhaps twice.
    changed: Vec<Slot>,
    /// What is known of each slot.
    of: Vec<Note>,
    /// The row keys of what is gone, one after the other, and where each ends.
    dropped: Vec<u8>,
    dropped_ends: Vec<usize>,
    /// How many rows are in the log that were not taken back, and how long they are.
    rows: u64,
    bytes: u64,
}

/// What is known of a slot; empty again when it is dropped.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    changed: bool,
    /// The window of its row in the log, and the row's length.
    logged: Option<(Window, u32)>,
}

impl Changes {
    /// Notes that a slot has changed.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        let place = slot as usize;
        if place >= self.of.len() {
            self.of.resize(place + 1, Note::default());
        }
        if !self.of[place].changed {
            self.of[place].changed = true;
            self.changed.push(slot);
        }
    }

    /// Notes that a slot of a key is gone.
    pub fn drop(&mut self, slot: Slot, key: KeyId, keys: &Keys) {
        let Some(note) = self.of.get_mut(slot as usize) else {
            return; // it has not changed since the log began
        };
        if let Some((window, length)) = std::mem::take(note).logged {
            self.take_back(key, window, length, keys);
        }
    }

    /// Notes that a slot of a key has moved to `window`, as a session does that has grown: its row
    /// has another row key.
    pub fn relocate(&mut self, slot: Slot, key: KeyId, window: Window, keys: &Keys) {
        let logged = &mut self.of[slot as usize].logged;
        if let Some((before, length)) = logged.take_if(|(before, _)| *before != window) {
            self.take_back(key, before, length, keys);
        }
    }

    /// Notes that a row of the log is to be taken back.
    fn take_back(&mut self, key: KeyId, window: Window, length: u32, keys: &Keys) {
        push_row_key(&mut self.dropped, window, key, keys);
        self.dropped_ends.push(self.dropped.len());
        self.rows -= 1;
        self.bytes -= u64::from(length);
    }

    /// Notes a row that the log has now.
    pub fn log(&mut self, slot: Slot, window: Window, length: usize) {
        let place = slot as usize;
        if place >= self.of.len() {
            self.of.resize(place + 1, Note::default());
        }
        let length = length as u32;
        let before = self.of[place].logged.replace((window, length));
        self.bytes += u64::from(length);
        match before {
            Some((_, before)) => self.bytes -= u64::from(before),
            None => self.rows += 1,
        }
    }

    /// Returns whether anything is to be told to the log.
    pub fn are_there(&self) -> bool {
        !self.changed.is_empty() || !self.dropped_ends.is_empty()
    }

    /// Hands over the slots that have changed and are in use, each once.
    pub fn take_changed(&mut self) -> Vec<Slot> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|&slot| std::mem::take(&mut self.of[slot as usize].changed));
        changed
    }

    /// Takes the emptied list of what had changed back, for its room.
    pub fn give_back(&mut self, mut changed: Vec<Slot>) {
        changed.clear();
        self.changed = changed;
    }

    /// Hands over the row keys of what is gone.
    pub fn take_dropped(&mut self, mut row: impl FnMut(&[u8])) {
        let mut start = 0;
        for end in self.dropped_ends.drain(..) {
            row(&self.dropped[start..end]);
            start = end;
        }
        self.dropped.clear();
    }

    /// Returns how many rows the log has, and how many bytes they are.
    pub fn logged(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }
}

/// Appends what a row is found by: the window's start and end, then the key's bytes.
pub fn push_row_key(bytes: &mut Vec<u8>, window: Window, key: KeyId, keys: &Keys) {
    bytes.extend_from_slice(&window.start.to_be_bytes());
    bytes.extend_from_slice(&window.end.to_be_bytes());
    keys.push_bytes(key, bytes);
}

/// Returns the window and the key's bytes of a row key; `None` where it is none.
pub fn parse_row_key(row_key: &[u8]) -> Option<(Window, &[u8])> {
    let (start, rest) = row_key.split_first_chunk()?;
    let (end, key) = rest.split_first_chunk()?;
    let window = Window {
        start: i64::from_be_bytes(*start),
        end: i64::from_be_bytes(*end),
    };
    Some((window, key))
}
