//! The open windows of a fixed grid (tumbling, hopping, of the calendar, global), shared by all keys.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::Due;
use crate::engine::aggregate::Slot;
use crate::engine::lateness::{Judgement, Lateness};
use crate::engine::state::keys::KeyId;
use crate::engine::state::store::Store;
use crate::engine::window::{Span, Window, Windows};

/// When the next of no windows is due; the loop over due windows ends by there being none.
const NEVER: i64 = i64::MAX;

/// Finds a key's slot in each window that contains a time.
#[derive(Debug)]
pub struct Grid {
    lateness: Lateness,
    /// Whether windows have something to do when they close, and not only when they expire.
    close: bool,
    /// The windows of the last record, most often those of the next one.
    near: Near,
    /// The watermark at which the first of the windows has something to do.
    due: i64,
    by_end: BTreeMap<Window, usize>,
    all: Vec<OpenWindow>,
    free: Vec<usize>,
}

/// The windows that contain the times of a span.
#[derive(Debug)]
struct Near {
    span: Span,
    /// Below this watermark all of them are open.
    first_close: i64,
    windows: Vec<Candidate>,
    found: Vec<Window>,
}

/// A window that a record lies in.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    window: Window,
    /// Its place among the open ones, once a record has opened it.
    index: Option<usize>,
}

/// One window that holds records. Created by its first record, dropped at its close and grace.
#[derive(Debug, Default)]
struct OpenWindow {
    /// Whether what is to be done at its close was done.
    closed: bool,
    /// How many records it has taken in, but for those that its slots count.
    records: u64,
    slots: Vec<Slot>,
    by_key: ByKey,
}

/// The slots of one window by key: a table while the window holds few of the keys, then a vector.
#[derive(Debug, Default)]
struct ByKey {
    few: HashTable<Slot>,
    many: Vec<Slot>,
}

/// Stands in a vector of slots where a key has none.
const NONE: Slot = Slot::MAX;

/// The times that lie in the windows of the last record, and the watermark below which nothing
/// happens to these or any other.
#[derive(Debug, Clone, Copy)]
pub struct Quiet {
    pub span: Span,
    pub below: i64,
}

impl Grid {
    /// `fires_at_close` says whether windows have something to do when they close, too.
    pub fn new(lateness: Lateness, fires_at_close: bool) -> Self {
        Grid {
            lateness,
            close: fires_at_close,
            near: Near {
                span: Span {
                    from: 0,
                    to: 0,
                    last_end: 0,
                },
                first_close: NEVER,
                windows: Vec::new(),
                found: Vec::new(),
            },
            due: NEVER,
            by_end: BTreeMap::new(),
            all: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Finds the windows that contain `at`, the one that closes last first; returns how many.
    #[inline]
    pub fn find(&mut self, at: i64, windows: &Windows) -> usize {
        if at < self.near.span.from || at >= self.near.span.to {
            self.find_span(at, windows);
        }
        self.near.windows.len()
    }

    fn find_span(&mut self, at: i64, windows: &Windows) {
        let near = &mut self.near;
        near.found.clear();
        near.span = windows.span(at, &mut near.found);
        let first = near
            .found
            .last()
            .map_or(NEVER, |window| self.lateness.closes_at(*window));
        near.first_close = first;
        near.windows.clear();
        // The open ones among them lie side by side: one walk, and not a search for each.
        let ends = near.found.last().zip(near.found.first());
        let open = ends.map(|(first, last)| self.by_end.range(*first..=*last));
        let mut open = open.into_iter().flatten().rev().peekable();
        for &window in &near.found {
            while open.next_if(|(other, _)| **other > window).is_some() {}
            let index = open.next_if(|(other, _)| **other == window);
            near.windows.push(Candidate {
                window,
                index: index.map(|(_, &index)| index),
            });
        }
    }

    /// Returns when nothing happens to windows.
    #[inline]
    pub fn quiet(&self) -> Quiet {
        Quiet {
            span: self.near.span,
            below: self.due.min(self.near.first_close),
        }
    }

    /// Puts rows that lie in the windows of the last record into each, if they are selected; `keys`
    /// has one per row, the first being `first`. Returns how many places they took.
    pub fn place_run(
        &mut self,
        keys: &[KeyId],
        first: usize,
        selected: Option<&[bool]>,
        store: &mut Store,
    ) -> usize {
        let (before, mut counted) = (store.waiting(), 0);
        for nth in 0..self.near.windows.len() {
            // Most keys are known to the window: those are found in one short loop.
            let open = self.near.windows[nth].index;
            let known = open.map_or(&[][..], |index| &self.all[index].by_key.many);
            let slot = |&key: &KeyId| known.get(key as usize).copied().unwrap_or(NONE);
            let rows = first..first + keys.len();
            let mut from = match selected {
                None => store.push_run(rows, keys.iter().map(slot)),
                Some(selected) => {
                    let keys = keys.iter().zip(selected).filter(|&(_, selected)| *selected);
                    let rows = rows.filter(|row| selected[row - first]);
                    store.push_run(rows, keys.map(|(key, _)| slot(key)))
                }
            };
            while let Some((place, row)) = store.find_pending(NONE, from) {
                let slot = self.slot(nth, keys[row - first], store, false);
                store.place(place, slot);
                from = place + 1;
            }
            let placed = store.waiting() - before - counted;
            counted += placed;
            self.count(nth, placed as u64);
        }
        store.waiting() - before
    }

    /// Returns whether all windows that were found are open at a watermark.
    #[inline]
    pub fn all_open(&self, watermark: i64) -> bool {
        watermark < self.near.first_close
    }

    /// Returns the windows of the last record, the one that closes last first.
    pub fn windows(&self) -> &[Window] {
        &self.near.found
    }

    /// Returns the window that was found as number `nth`.
    #[inline]
    pub fn window(&self, nth: usize) -> Window {
        self.near.windows[nth].window
    }

    /// Counts records that the window that was found as number `nth` has taken in.
    #[inline]
    pub fn count(&mut self, nth: usize, records: u64) {
        if let Some(index) = self.near.windows[nth].index {
            self.all[index].records += records;
        }
    }

    /// Returns the slot of a key in the window that was found as number `nth`.
    #[inline]
    pub fn slot(&mut self, nth: usize, key: KeyId, store: &mut Store, born_late: bool) -> Slot {
        let index = match self.near.windows[nth].index {
            Some(index) => index,
            None => self.open(nth, born_late),
        };
        match self.all[index].by_key.get(key, store) {
            Some(slot) => slot,
            None => self.add(index, nth, key, store, born_late),
        }
    }

    #[cold]
    fn open(&mut self, nth: usize, born_late: bool) -> usize {
        let window = self.near.windows[nth].window;
        let index = self.open_window(window, born_late);
        self.near.windows[nth].index = Some(index);
        index
    }

    /// Returns the place of a window, which is opened if it is not open.
    fn index_of(&mut self, window: Window, closed: bool) -> usize {
        match self.by_end.get(&window) {
            Some(&index) => index,
            None => self.open_window(window, closed),
        }
    }

    /// Opens a window that is not open; returns its place.
    fn open_window(&mut self, window: Window, closed: bool) -> usize {
        let index = self.free.pop().unwrap_or(self.all.len());
        if index == self.all.len() {
            self.all.push(OpenWindow::default());
        }
        self.all[index].closed = closed;
        self.all[index].records = 0;
        self.by_end.insert(window, index);
        self.set_due();
        index
    }

    #[cold]
    fn add(
        &mut self,
        index: usize,
        nth: usize,
        key: KeyId,
        store: &mut Store,
        born_late: bool,
    ) -> Slot {
        let slot = store.take(key, self.near.windows[nth].window, born_late);
        self.all[index].add(key, slot, store);
        slot
    }

    /// Returns the slot of a key in a window, whether it is open or not. `closed` says whether what
    /// is to be done at its close was done, or could not be.
    pub fn slot_in(
        &mut self,
        window: Window,
        key: KeyId,
        store: &mut Store,
        closed: bool,
        born_late: bool,
    ) -> Slot {
        let index = self.index_of(window, closed);
        if let Some(slot) = self.all[index].by_key.get(key, store) {
            return slot;
        }
        let slot = store.take(key, window, born_late);
        self.all[index].add(key, slot, store);
        slot
    }

    /// Takes all slots out; no window is open any more.
    pub fn take_all(&mut self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for index in std::mem::take(&mut self.by_end).into_values() {
            slots.append(&mut self.all[index].slots);
            self.all[index].by_key.clear();
            self.free.push(index);
        }
        self.near.span.to = self.near.span.from; // what was found may name one
        self.set_due();
        slots
    }

    /// Takes up a slot of an earlier run.
    pub fn load(&mut self, slot: Slot, closed: bool, store: &Store) {
        let entry = *store.entry(slot);
        let index = self.index_of(entry.window, closed);
        self.all[index].add(entry.key, slot, store);
    }

    /// Returns the watermark at which some window has something to do.
    #[inline]
    pub fn due(&self) -> i64 {
        self.due
    }

    /// Returns the slots of the first window that is due at a watermark, in the order of rows if
    /// they are to be `sorted`.
    pub fn take_due(&mut self, watermark: i64, sorted: bool, store: &mut Store) -> Option<Due> {
        if self.due > watermark {
            return None;
        }
        let due = |(&window, &index): (&Window, &usize)| {
            let leaves = match self.lateness.judge(window, watermark) {
                Judgement::OnTime => return None,
                Judgement::Late if !self.close || self.all[index].closed => return None,
                Judgement::Late => false,
                Judgement::Expired => true,
            };
            Some((window, index, leaves))
        };
        let (window, index, leaves) = self.by_end.iter().find_map(due)?;
        let open = &mut self.all[index];
        open.closed = true;
        let slots = if sorted {
            open.sorted_slots(store)
        } else {
            open.slots.clone()
        };
        if leaves {
            open.slots.clear();
            open.by_key.clear();
            self.by_end.remove(&window);
            self.free.push(index);
            self.near.span.to = self.near.span.from; // what was found may name it
        }
        self.set_due();
        let leaving = if leaves { slots.len() } else { 0 };
        Some(Due { slots, leaving })
    }

    /// Returns the slots of the open windows, those of the one that closes first first.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let windows = self.by_end.values();
        windows.flat_map(|&index| self.all[index].slots.iter().copied())
    }

    /// Returns how many windows are open, and with how many records; those whose row has left at
    /// their close are not.
    pub fn open_count(&self, store: &Store) -> (usize, u64) {
        let open = || self.by_end.values().map(|&index| &self.all[index]);
        let open = || open().filter(|window| !window.closed);
        let records = open().map(|window| {
            let by_slot = window
                .slots
                .iter()
                .map(|&slot| u64::from(store.entry(slot).records));
            window.records + by_slot.sum::<u64>()
        });
        (open().count(), records.sum())
    }

    /// Returns the open windows whose row has not left at their close.
    pub fn not_closed(&self) -> impl Iterator<Item = Window> {
        let open = self.by_end.iter();
        let open = open.filter(|&(_, &index)| !self.all[index].closed);
        open.map(|(&window, _)| window)
    }

    fn set_due(&mut self) {
        let lateness = &self.lateness;
        let first = self.by_end.keys().next();
        self.due = first.map_or(NEVER, |window| lateness.expires_at(*window));
        if self.close {
            let mut windows = self.by_end.iter();
            let open = windows.find(|&(_, &index)| !self.all[index].closed);
            let closes_at = open.map_or(NEVER, |(window, _)| lateness.closes_at(*window));
            self.due = self.due.min(closes_at);
        }
    }
}

impl OpenWindow {
    /// Returns the slots in the order of their rows.
    fn sorted_slots(&self, store: &mut Store) -> Vec<Slot> {
        if self.by_key.many.is_empty() {
            let mut slots = self.slots.clone();
            store.sort(&mut slots);
            return slots;
        }
        let slot = |&key: &KeyId| self.by_key.many.get(key as usize).copied();
        let slots = store.keys.sorted().iter().filter_map(slot);
        slots.filter(|&slot| slot != NONE).collect()
    }

    fn add(&mut self, key: KeyId, slot: Slot, store: &Store) {
        self.slots.push(slot);
        self.by_key.add(key, slot, &self.slots, store);
    }
}

impl ByKey {
    #[inline]
    fn get(&self, key: KeyId, store: &Store) -> Option<Slot> {
        if !self.many.is_empty() {
            let slot = self.many.get(key as usize).copied();
            return slot.filter(|&slot| slot != NONE);
        }
        let same = |&slot: &Slot| store.entry(slot).key == key;
        self.few.find(spread(key), same).copied()
    }

    /// Adds a slot, which is already the last of `all`.
    fn add(&mut self, key: KeyId, slot: Slot, all: &[Slot], store: &Store) {
        /// A vector takes as much room as a table from one key in this many on.
        const SHARE: usize = 8;
        /// Below this many slots a table is as quick.
        const FEW: usize = 64;
        if self.many.is_empty() && all.len() >= FEW && all.len() * SHARE >= store.keys.len() {
            self.few.clear();
            self.many.resize(store.keys.len(), NONE);
            all.iter()
                .for_each(|&slot| self.put(store.entry(slot).key, slot));
        } else if !self.many.is_empty() {
            self.put(key, slot);
        } else {
            let owner = |&slot: &Slot| spread(store.entry(slot).key);
            self.few.insert_unique(spread(key), slot, owner);
        }
    }

    fn put(&mut self, key: KeyId, slot: Slot) {
        let place = key as usize;
        if place >= self.many.len() {
            self.many.resize(place + 1, NONE);
        }
        self.many[place] = slot;
    }

    fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }
}

/// Spreads the bits of a key's number for a hash table (Fibonacci hashing).
#[inline]
fn spread(key: KeyId) -> u64 {
    u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
