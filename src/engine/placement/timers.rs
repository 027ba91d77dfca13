//! When slots that have a window of their own are due: those of sessions and sliding windows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::engine::aggregate::Slot;
use crate::engine::state::store::Store;

/// Notes of slots by the watermark at which something may be to do.
///
/// A slot may come to be due later than a note says, and then gets a new one when it is looked
/// at; it is never due before its earliest note.
#[derive(Debug, Default)]
pub struct Timers {
    /// The time, the slot, and the stamp that it had; a slot with another one is in other use.
    notes: BinaryHeap<Reverse<(i64, Slot, u32)>>,
}

impl Timers {
    /// Notes that a slot may be due at a watermark.
    pub fn set(&mut self, at: i64, slot: Slot, store: &Store) {
        let stamp = store.entry(slot).stamp;
        self.notes.push(Reverse((at, slot, stamp)));
    }

    /// Returns the watermark at which something may be to do.
    #[inline]
    pub fn due(&self) -> i64 {
        self.notes
            .peek()
            .map_or(i64::MAX, |&Reverse((at, _, _))| at)
    }

    /// Returns the slots that are due at a watermark, each once; `due_at` says when one is.
    pub fn take_due(
        &mut self,
        watermark: i64,
        store: &Store,
        due_at: impl Fn(Slot) -> i64,
    ) -> Vec<Slot> {
        let mut due = Vec::new();
        while let Some(&Reverse((at, slot, stamp))) = self.notes.peek()
            && at <= watermark
        {
            self.notes.pop();
            if store.entry(slot).stamp != stamp {
                continue;
            }
            match due_at(slot) {
                later if later > watermark => self.notes.push(Reverse((later, slot, stamp))),
                _ => due.push(slot),
            }
        }
        due.sort_unstable();
        due.dedup();
        due
    }
}
