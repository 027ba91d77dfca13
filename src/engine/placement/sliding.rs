//! Sliding windows: every set of a key's records that are at most so far apart.
//!
//! A record at `t` ends the window `[t − apart, t]`, and begins, right after it, the window
//! `[t + 1, t + 1 + apart]` if another record lies in that (Kafka Streams'
//! `KStreamSlidingWindowAggregate`, KIP-450). Both ends belong to a window.
//!
//! ```text
//! apart 4, records at 1 3 6     [-3,1] 1    [-1,3] 1 3    [2,6] 3 6    [4,8] 6
//! ```
//! Beside a slot for each window there is one for each moment that has records, from which the
//! states of new windows are made.

use super::timers::Timers;
use crate::engine::aggregate::Slot;
use crate::engine::state::keys::KeyId;
use crate::engine::state::store::Store;
use crate::engine::window::Window;

/// The windows and moments that hold records, by key.
#[derive(Debug)]
pub struct Sliding {
    /// When they are due.
    pub timers: Timers,
    apart_ms: i64,
    by_key: Vec<Slots>,
}

/// One key's slots, each by its window's start, the earliest first.
#[derive(Debug, Default)]
struct Slots {
    windows: Vec<Slot>,
    moments: Vec<Slot>,
}

impl Sliding {
    pub fn new(apart_ms: i64) -> Self {
        Sliding {
            timers: Timers::default(),
            apart_ms,
            by_key: Vec::new(),
        }
    }

    fn of(&self, key: KeyId) -> Option<&Slots> {
        self.by_key.get(key as usize)
    }

    /// Returns the windows that a record at `at` of a key lies in, and those that it makes, the
    /// earliest first, each with its slot if it has one.
    pub fn windows(&self, key: KeyId, at: i64, store: &Store) -> Vec<(Window, Option<Slot>)> {
        let none = Slots::default();
        let slots = self.of(key).unwrap_or(&none);
        let start = |slot: Slot| store.entry(slot).window.start;
        let from = at.saturating_sub(self.apart_ms);
        let first = slots.windows.partition_point(|&slot| start(slot) < from);
        let around = slots.windows[first..].iter().copied();
        let around = around.take_while(|&slot| start(slot) <= at.saturating_add(1));
        let mut windows: Vec<(Window, Option<Slot>)> = around
            .map(|slot| (store.entry(slot).window, Some(slot)))
            .collect();

        let mut made = vec![from];
        // The window after the record before it, which holds this one.
        let before = slots.moments.partition_point(|&slot| start(slot) < at);
        let before = before.checked_sub(1).map(|nth| start(slots.moments[nth]));
        made.extend(
            before
                .map(|before| before + 1)
                .filter(|&start| start >= from),
        );
        // The window after this one, if there is something in it.
        let after = slots.moments.partition_point(|&slot| start(slot) <= at);
        let next = slots.moments.get(after).map(|&slot| start(slot));
        made.extend(
            next.filter(|&next| next - at <= self.apart_ms + 1)
                .map(|_| at + 1),
        );
        for start in made {
            let place = windows.partition_point(|(window, _)| window.start < start);
            if windows
                .get(place)
                .is_none_or(|(window, _)| window.start != start)
            {
                let end = start.saturating_add(self.apart_ms);
                windows.insert(place, (Window { start, end }, None));
            }
        }
        windows
    }

    /// Returns the slot of a moment, if it has one.
    pub fn moment(&self, key: KeyId, at: i64, store: &Store) -> Option<Slot> {
        let mut moments = self.moments(key, Window::instant(at), store);
        moments.next()
    }

    /// Returns the slots of the moments in a window.
    pub fn moments(&self, key: KeyId, window: Window, store: &Store) -> impl Iterator<Item = Slot> {
        let moments = self.of(key).map_or(&[][..], |slots| &slots.moments);
        let start = |slot: Slot| store.entry(slot).window.start;
        let first = moments.partition_point(|&slot| start(slot) < window.start);
        let last = moments.partition_point(|&slot| start(slot) <= window.end);
        moments[first..last].iter().copied()
    }

    /// Adds the slot of a window, or of a moment, whose window has no extent.
    pub fn add(&mut self, slot: Slot, store: &Store) {
        let entry = store.entry(slot);
        let key = entry.key as usize;
        if key >= self.by_key.len() {
            self.by_key.resize_with(key + 1, Slots::default);
        }
        let slots = self.by_key[key].like(entry.window);
        let at = slots.partition_point(|&slot| store.entry(slot).window.start < entry.window.start);
        slots.insert(at, slot);
    }

    /// Removes a slot.
    pub fn remove(&mut self, slot: Slot, store: &Store) {
        let entry = store.entry(slot);
        if let Some(slots) = self.by_key.get_mut(entry.key as usize) {
            slots.like(entry.window).retain(|&other| other != slot);
        }
    }

    /// Takes the slots of all windows and moments out.
    pub fn take_all(&mut self) -> Vec<Slot> {
        let by_key = self.by_key.iter_mut();
        let slots = by_key.flat_map(|slots| slots.windows.drain(..).chain(slots.moments.drain(..)));
        slots.collect()
    }

    /// Returns the slots of all windows.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.by_key
            .iter()
            .flat_map(|slots| slots.windows.iter().copied())
    }
}

impl Slots {
    /// Windows have an extent, moments have none.
    fn like(&mut self, window: Window) -> &mut Vec<Slot> {
        if window.is_instant() {
            &mut self.moments
        } else {
            &mut self.windows
        }
    }
}
