//! When slots that have a window of their own are due: those of sessions and sliding windows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Due;
use crate::engine::aggregate::Slot;
use crate::engine::lateness::Lateness;
use crate::engine::state::history::History;
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

    /// Returns the slots that are due at a watermark, each once, in the order of rows; those that
    /// close and do not leave yet will be due again.
    pub fn take_due(
        &mut self,
        watermark: i64,
        lateness: &Lateness,
        history: &History,
        store: &Store,
    ) -> Option<Due> {
        let mut slots = Vec::new();
        while let Some(&Reverse((at, slot, stamp))) = self.notes.peek()
            && at <= watermark
        {
            self.notes.pop();
            let entry = store.entry(slot);
            if entry.stamp != stamp {
                continue;
            }
            let waits_for_close =
                !lateness.is_moment(entry.window) && history.waits_for_close(slot);
            let due_at = if waits_for_close {
                lateness.closes_at(entry.window)
            } else {
                lateness.leaves_at(entry.window)
            };
            match due_at {
                later if later > watermark => self.notes.push(Reverse((later, slot, stamp))),
                _ => slots.push(slot),
            }
        }
        if slots.is_empty() {
            return None;
        }
        slots.sort_unstable();
        slots.dedup();
        store.sort(&mut slots);
        let window = |slot: Slot| store.entry(slot).window;
        // What ends first leaves first.
        let leaving = slots.partition_point(|&slot| lateness.has_left(window(slot), watermark));
        for &slot in &slots[leaving..] {
            self.set(lateness.expires_at(window(slot)), slot, store);
        }
        Some(Due { slots, leaving })
    }
}
