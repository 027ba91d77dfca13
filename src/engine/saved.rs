//! An operator's whole state as bytes, and back.
//!
//! Holds watermarks, processing time, the account, and of each slot its key, window, states and
//! what it has fired. The bytes fit an operator of the same plan and number of partitions only,
//! which their keeper has to see to.

use super::aggregate::Slot;
use super::operator::{Operator, Placement};
use super::save::{self, Corrupt};
use super::trigger::Trigger;

impl Operator {
    /// Returns the state between two batches.
    pub fn save(&mut self) -> Vec<u8> {
        let mut slots: Vec<Slot> = self.all_slots();
        self.store.sort(&mut slots);
        let mut bytes = Vec::new();
        save::put(&mut bytes, &self.watermarks.saved());
        save::put(
            &mut bytes,
            &(
                self.account,
                self.processing_time,
                self.records,
                slots.len(),
            ),
        );
        for slot in slots {
            self.store.save(slot, &mut bytes);
            let window = self.store.entry(slot).window;
            let closed = match &self.placement {
                Placement::Grid(grid) => grid.is_closed(window),
                _ => false,
            };
            save::put(&mut bytes, &closed);
            if let Some(firings) = &mut self.firings {
                firings.save(slot, &self.store, &mut bytes);
            }
        }
        bytes
    }

    /// Takes up a state that was saved, in place of its own, which is empty.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are not those of an operator of the same plan.
    pub fn load(&mut self, mut bytes: &[u8]) -> Result<(), Corrupt> {
        let bytes = &mut bytes;
        self.watermarks.load(bytes)?;
        let slots: usize;
        (self.account, self.processing_time, self.records, slots) = save::take(bytes)?;
        for _ in 0..slots {
            let slot = self.store.load(bytes)?;
            let closed: bool = save::take(bytes)?;
            self.take_up(slot, closed, bytes)?;
        }
        match bytes.is_empty() {
            true => Ok(()),
            false => Err(Corrupt),
        }
    }

    /// Takes a slot of an earlier run into its place, with what it has fired.
    pub(super) fn take_up(
        &mut self,
        slot: Slot,
        closed: bool,
        bytes: &mut &[u8],
    ) -> Result<(), Corrupt> {
        if let Some(firings) = &mut self.firings {
            firings.load(slot, bytes, &self.store)?;
            // Moments fire nothing.
            if !self.windows.is_moment(self.store.entry(slot).window) {
                firings.list(slot, &self.store);
            }
        }
        self.place(slot, closed);
        Ok(())
    }

    fn place(&mut self, slot: Slot, closed: bool) {
        let window = self.store.entry(slot).window;
        let due = match self.trigger {
            // Whether it has fired at its close is looked at when it is due.
            Trigger::Panes { .. } => self.windows.closes_at(window),
            Trigger::Final => self.windows.closes_at(window).saturating_add(self.grace_ms),
        };
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

    /// Returns every slot in use.
    fn all_slots(&self) -> Vec<Slot> {
        match &self.placement {
            Placement::Grid(grid) => {
                let windows = grid.open_windows();
                windows
                    .flat_map(|(_, slots)| slots.iter().copied())
                    .collect()
            }
            Placement::Sessions(sessions, _) => sessions.slots().collect(),
            Placement::Sliding(sliding, _) => sliding
                .windows_of_all()
                .chain(sliding.moments_of_all())
                .collect(),
        }
    }
}
