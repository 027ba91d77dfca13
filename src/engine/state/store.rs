//! The states of window × key, and the records that are not yet added to them.
//!
//! Each window and key has a slot, a small number that its states are found by. In: rows with their
//! slots. Out: values, and the slots in the order of their results.

use super::changes::Changes;
use super::keys::{KeyId, Keys};
use crate::column::Value;
use crate::engine::aggregate::{Accumulator, Arguments, Seen, Slot};
use crate::engine::codec::{self, Corrupt};
use crate::engine::window::Window;
use crate::error::{Error, Result};

/// States by slot.
#[derive(Debug)]
pub struct Store {
    /// The keys that have a slot.
    pub keys: Keys,
    entries: Vec<Entry>,
    free: Vec<Slot>,
    aggregates: Vec<Box<dyn Accumulator>>,
    /// The values of which each slot takes one record; kept for as long as the slot.
    seen: Option<Box<dyn Seen>>,
    /// Records that have a slot and are not yet added to its states.
    pending: Pending,
    /// Which states have changed, if there is a log of them.
    pub changes: Option<Changes>,
    /// The first error since [`Store::check`] was last called: records are missing in the states.
    fault: Option<Error>,
}

/// What a slot is for. Created by its first record, meaningless once the slot is free.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub key: KeyId,
    pub window: Window,
    /// Whether its window had closed before its first record came; of a session, whenever one did.
    pub born_late: bool,
    /// How many records it has taken in, but for those that a grid counts by window; from 2^32 - 1 on
    /// no more are counted, so that an entry is no larger than without.
    pub records: u32,
    /// Counts the uses of the slot, so that a note about an earlier one is known as old.
    pub stamp: u32,
}

#[derive(Debug, Default)]
struct Pending {
    slots: Vec<Slot>,
    rows: Vec<u32>,
}

impl Store {
    pub fn new(aggregates: Vec<Box<dyn Accumulator>>, seen: Option<Box<dyn Seen>>) -> Self {
        Store {
            keys: Keys::default(),
            entries: Vec::new(),
            free: Vec::new(),
            aggregates,
            seen,
            pending: Pending::default(),
            changes: None,
            fault: None,
        }
    }

    #[inline]
    pub fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot as usize]
    }

    /// Says that a slot's window has become another, as a session's does.
    pub fn set_window(&mut self, slot: Slot, window: Window, born_late: bool) {
        let entry = &mut self.entries[slot as usize];
        (entry.window, entry.born_late) = (window, born_late);
        self.touch(slot);
    }

    /// Returns how many slots are in use.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Returns an empty slot for a key in a window; the key is held until it is dropped.
    pub fn take(&mut self, key: KeyId, window: Window, born_late: bool) -> Slot {
        self.keys.hold(key);
        let entry = Entry {
            key,
            window,
            born_late,
            records: 0,
            stamp: 0,
        };
        if let Some(slot) = self.free.pop() {
            let known = &mut self.entries[slot as usize];
            let stamp = known.stamp;
            *known = Entry { stamp, ..entry };
            return slot;
        }
        let slot = self.entries.len() as Slot;
        self.entries.push(entry);
        self.empty(slot);
        self.seen.iter_mut().for_each(|seen| seen.reset(slot));
        slot
    }

    /// Counts a record that a slot takes in.
    pub fn count(&mut self, slot: Slot) {
        let records = &mut self.entries[slot as usize].records;
        *records = records.saturating_add(1);
    }

    /// Makes a slot's states empty.
    pub fn empty(&mut self, slot: Slot) {
        self.aggregates
            .iter_mut()
            .for_each(|aggregate| aggregate.reset(slot));
    }

    /// Lets go of slots, and makes their states empty for the next windows.
    pub fn drop(&mut self, slots: &[Slot]) {
        for &slot in slots {
            if let Some(changes) = &mut self.changes {
                changes.drop(slot, self.entries[slot as usize].key, &self.keys);
            }
            let entry = &mut self.entries[slot as usize];
            entry.stamp = entry.stamp.wrapping_add(1);
            self.keys.release(entry.key);
        }
        self.free.extend_from_slice(slots);
        let aggregates = self.aggregates.iter_mut();
        aggregates.for_each(|aggregate| aggregate.reset_all(slots));
        self.seen.iter_mut().for_each(|seen| seen.reset_all(slots));
    }

    /// Returns whether `--distinct` is in use.
    pub fn tells_apart(&self) -> bool {
        self.seen.is_some()
    }

    /// Notes a row's value in a slot; returns whether it is the first of its kind there, as all
    /// are without `--distinct`.
    pub fn is_first(&mut self, slot: Slot, row: usize, values: &Arguments<'_, '_>) -> bool {
        let Some(seen) = &mut self.seen else {
            return true;
        };
        seen.is_first(slot, row as u32, values)
            .unwrap_or_else(|error| {
                self.fault.get_or_insert(error);
                true
            })
    }

    /// Says whether all records that came were taken in.
    ///
    /// # Errors
    /// `bug` where some were of another type than planned: the states are wrong.
    pub fn check(&mut self) -> Result<()> {
        self.fault.take().map_or(Ok(()), Err)
    }

    /// Leaves a row to be added to a slot.
    #[inline]
    pub fn push(&mut self, slot: Slot, row: usize) {
        self.pending.slots.push(slot);
        self.pending.rows.push(row as u32);
    }

    /// Leaves rows to be added to slots, one per row; returns the place of the first.
    #[inline]
    pub fn push_run(
        &mut self,
        rows: impl Iterator<Item = usize>,
        slots: impl Iterator<Item = Slot>,
    ) -> usize {
        let first = self.pending.slots.len();
        self.pending.rows.extend(rows.map(|row| row as u32));
        self.pending.slots.extend(slots);
        first
    }

    /// Returns the first place from `from` on of a row that was left for `slot`, and the row.
    pub fn find_pending(&self, slot: Slot, from: usize) -> Option<(usize, usize)> {
        let slots = &self.pending.slots[from..];
        if !slots.contains(&slot) {
            return None; // most often, and known without a branch a row
        }
        let place = from + slots.iter().position(|&pending| pending == slot)?;
        Some((place, self.pending.rows[place] as usize))
    }

    /// Makes `slot` the one of the row that was left at a place.
    pub fn place(&mut self, place: usize, slot: Slot) {
        self.pending.slots[place] = slot;
    }

    /// Notes that what is kept of a slot has changed.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        if let Some(changes) = &mut self.changes {
            changes.touch(slot);
        }
    }

    /// Returns how many rows were left.
    pub fn waiting(&self) -> usize {
        self.pending.rows.len()
    }

    /// Adds the rows that were left, `arguments` of each aggregate being those of the batch.
    pub fn flush<'b, 'a: 'b>(&mut self, arguments: impl Iterator<Item = Arguments<'b, 'a>>) {
        self.add_pending(arguments, |aggregate, slots, rows, arguments| {
            aggregate.add(slots, rows, &arguments)
        });
    }

    /// Adds the states that were left, `states` of each aggregate being those of some parts.
    pub fn absorb(&mut self, states: &[Box<dyn Accumulator>]) {
        self.add_pending(states.iter(), |aggregate, slots, rows, states| {
            aggregate.absorb(slots, states.as_ref(), rows)
        });
    }

    /// Adds the rows that were left, by what each aggregate has of them.
    fn add_pending<T>(
        &mut self,
        of_each: impl Iterator<Item = T>,
        mut add: impl FnMut(&mut dyn Accumulator, &[Slot], &[u32], T) -> Result<()>,
    ) {
        if self.pending.slots.is_empty() {
            return;
        }
        let Pending { slots, rows } = &mut self.pending;
        if let Some(changes) = &mut self.changes {
            slots.iter().for_each(|&slot| changes.touch(slot));
        }
        for (aggregate, of_it) in self.aggregates.iter_mut().zip(of_each) {
            if let Err(error) = add(aggregate.as_mut(), slots, rows, of_it) {
                self.fault.get_or_insert(error);
            }
        }
        slots.clear();
        rows.clear();
    }

    /// Returns states of the same aggregates without a slot.
    pub fn no_states(&self) -> Vec<Box<dyn Accumulator>> {
        let aggregates = self.aggregates.iter();
        aggregates.map(|aggregate| aggregate.empty()).collect()
    }

    /// Adds what the slot `from` holds to the slot `into`.
    pub fn merge(&mut self, into: Slot, from: Slot) {
        self.aggregates
            .iter_mut()
            .for_each(|aggregate| aggregate.merge(into, from));
        let records = self.entries[from as usize].records;
        let sum = &mut self.entries[into as usize].records;
        *sum = sum.saturating_add(records);
        self.touch(into);
    }

    /// Returns the values of a slot.
    pub fn values(&self, slot: Slot) -> impl Iterator<Item = Value> {
        self.aggregates
            .iter()
            .map(move |aggregate| aggregate.result(slot))
    }

    /// Puts slots in the order of their rows: by window end, start, key.
    pub fn sort(&self, slots: &mut [Slot]) {
        slots.sort_unstable_by(|&left, &right| {
            let (left, right) = (self.entry(left), self.entry(right));
            let windows = left.window.cmp(&right.window);
            windows.then_with(|| self.keys.compare(left.key, right.key))
        });
    }

    /// Takes the states of some slots out, in their order, one entry an aggregate.
    pub fn split_off(&mut self, slots: &[Slot]) -> Vec<Box<dyn Accumulator>> {
        let aggregates = self.aggregates.iter_mut();
        aggregates
            .map(|aggregate| aggregate.split_off(slots))
            .collect()
    }

    /// Appends a slot's states to `bytes`.
    ///
    /// # Errors
    /// `bug` where they cannot be written.
    pub fn save_states(&self, slot: Slot, bytes: &mut Vec<u8>) -> Result<()> {
        codec::put(bytes, &self.entry(slot).born_late)?;
        for aggregate in &self.aggregates {
            aggregate.save(slot, bytes)?;
        }
        self.seen.iter().try_for_each(|seen| seen.save(slot, bytes))
    }

    /// Returns a new slot with the states that were saved, for a key in a window.
    pub fn load_states(
        &mut self,
        key: &[u8],
        window: Window,
        bytes: &mut &[u8],
    ) -> Result<Slot, Corrupt> {
        let born_late = codec::take(bytes)?;
        let key = self.keys.intern(key);
        let slot = self.take(key, window, born_late);
        for aggregate in &mut self.aggregates {
            aggregate.load(slot, bytes)?;
        }
        if let Some(seen) = &mut self.seen {
            seen.load(slot, bytes)?;
        }
        Ok(slot)
    }
}
