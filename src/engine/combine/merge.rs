//! Parts of windows that were computed apart, and the whole.
//!
//! In: the states of a window that has left, of each part of the input. Out: one pane a key in the
//! order of rows, as if one had read it all.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::engine::account::Account;
use crate::engine::aggregate::{Accumulator, Slot};
use crate::engine::pane::{Firing, Panes, Timing};
use crate::engine::state::keys::{KeyId, Keys};
use crate::engine::state::store::Store;
use crate::engine::window::{ALL_TIME, Window};
use crate::error::Result;

/// The states of one window's keys in one part of the input; the number `i` stands for the same
/// key in each of its vectors.
#[derive(Debug)]
pub struct Partial {
    window: Window,
    /// By the numbers of who holds it: an operator, then a [`Merger`].
    keys: Vec<KeyId>,
    /// Whether the window had closed before a key's first record came.
    born_late: Vec<bool>,
    aggregates: Vec<Box<dyn Accumulator>>,
}

/// Puts parts together until every part of a window is there.
#[derive(Debug, Default)]
pub struct Merger {
    keys: Keys,
    windows: BTreeMap<Window, Partial>,
    /// By the number of the operator that parts come from.
    known: Vec<Known>,
    /// By key, its place in the current partial; [`NONE`] between one use and the next.
    places: Vec<Slot>,
    panes: Panes,
}

/// What the keys of one operator are called here; looked up once a key, not once a window.
#[derive(Debug, Default)]
struct Known {
    ids: Vec<KeyId>,
    /// How often numbers had been taken away there and here.
    taken_away: (u64, u64),
}

/// Stands where a key has no number, or no place.
const NONE: u32 = u32::MAX;

impl Partial {
    /// Takes the states of a window's slots, in any order.
    pub(crate) fn take(slots: &[Slot], store: &mut Store) -> Self {
        let entries = || slots.iter().map(|&slot| store.entry(slot));
        Partial {
            // A window that left has records, and they have slots.
            window: entries().next().map_or(ALL_TIME, |entry| entry.window),
            keys: entries().map(|entry| entry.key).collect(),
            born_late: entries().map(|entry| entry.born_late).collect(),
            aggregates: store.split_off(slots),
        }
    }

    /// Returns how many keys it has.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds another part of the same window.
    fn absorb(&mut self, other: &Partial, places: &mut [Slot], held: &mut Keys) -> Result<()> {
        for (place, &key) in self.keys.iter().enumerate() {
            places[key as usize] = place as Slot;
        }
        let mut into = Vec::with_capacity(other.keys.len());
        for (&key, &born_late) in other.keys.iter().zip(&other.born_late) {
            let mut place = places[key as usize];
            if place == NONE {
                place = self.keys.len() as Slot;
                self.keys.push(key);
                self.born_late.push(born_late);
                let aggregates = self.aggregates.iter_mut();
                aggregates.for_each(|aggregate| aggregate.reset(place));
                held.hold(key);
            }
            self.born_late[place as usize] &= born_late;
            into.push(place);
        }
        let from: Vec<Slot> = (0..other.keys.len() as Slot).collect();
        for (ours, theirs) in self.aggregates.iter_mut().zip(&other.aggregates) {
            ours.absorb(&into, theirs.as_ref(), &from)?;
        }
        self.forget(places);
        Ok(())
    }

    /// Leaves no place of its keys behind.
    fn forget(&self, places: &mut [Slot]) {
        for &key in &self.keys {
            places[key as usize] = NONE;
        }
    }

    /// Returns its places in the order of their keys.
    fn sorted(&self, keys: &mut Keys, places: &mut [Slot]) -> Vec<Slot> {
        /// Keys in order are gone through rather than sorted from one of this many on.
        const SHARE: usize = 8;
        if self.keys.len() * SHARE < keys.len() {
            let mut sorted: Vec<Slot> = (0..self.keys.len() as Slot).collect();
            let key = |place: Slot| self.keys[place as usize];
            sorted.sort_unstable_by(|&left, &right| keys.compare(key(left), key(right)));
            return sorted;
        }
        for (place, &key) in self.keys.iter().enumerate() {
            places[key as usize] = place as Slot;
        }
        let all = keys.sorted().iter().map(|&key| places[key as usize]);
        let sorted = all.filter(|&place| place != NONE).collect();
        self.forget(places);
        sorted
    }

    /// Adds the one pane of each key to `panes`.
    fn fire(&self, sorted: &[Slot], keys: &Keys, panes: &mut Panes) {
        for &place in sorted {
            let firing = Firing {
                window: self.window,
                timing: if self.born_late[place as usize] {
                    Timing::Late
                } else {
                    Timing::OnTime
                },
                index: 0,
                is_last: true,
                is_retraction: false,
            };
            let key = self.keys[place as usize];
            let values = self.aggregates.iter();
            let values = values.map(|aggregate| aggregate.result(place));
            panes.push(firing, |bytes| keys.push_bytes(key, bytes), values);
        }
    }
}

impl Merger {
    /// Returns the windows of which not all parts have come.
    pub fn windows(&self) -> impl Iterator<Item = Window> {
        self.windows.keys().copied()
    }

    /// Takes a window that has left the operator with the number `nth`, of whose `keys` it is.
    pub(crate) fn add(&mut self, nth: usize, mut part: Partial, keys: &Keys) -> Result<()> {
        self.rename(nth, &mut part.keys, keys);
        match self.windows.entry(part.window) {
            Entry::Vacant(first) => {
                part.keys.iter().for_each(|&key| self.keys.hold(key));
                first.insert(part);
                Ok(())
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.absorb(&part, &mut self.places, &mut self.keys)
            }
        }
    }

    /// Replaces an operator's numbers of keys by the ones here.
    fn rename(&mut self, nth: usize, keys: &mut [KeyId], theirs: &Keys) {
        if nth >= self.known.len() {
            self.known.resize_with(nth + 1, Known::default);
        }
        let known = &mut self.known[nth];
        let taken_away = (theirs.taken_away(), self.keys.taken_away());
        if known.taken_away != taken_away {
            known.ids.clear();
            known.taken_away = taken_away;
        }
        let mut bytes = Vec::new();
        for key in keys {
            let place = *key as usize;
            if place >= known.ids.len() {
                known.ids.resize(place + 1, NONE);
            }
            if known.ids[place] == NONE {
                bytes.clear();
                theirs.push_bytes(*key, &mut bytes);
                known.ids[place] = self.keys.intern(&bytes);
            }
            *key = known.ids[place];
            if *key as usize >= self.places.len() {
                self.places.resize(*key as usize + 1, NONE);
            }
        }
    }

    /// Fires the window that closes first, if `leaves` says so of it; returns whether it did.
    /// Its panes are taken by `take`, some at a time.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn fire_first<E>(
        &mut self,
        leaves: impl FnOnce(Window) -> bool,
        account: &mut Account,
        mut take: impl FnMut(&Panes) -> Result<(), E>,
    ) -> Result<bool, E> {
        /// This many panes stay in the processor's cache until they are taken.
        const SOME: usize = 1_024;
        let first = self.windows.first_entry();
        let Some(first) = first.filter(|first| leaves(*first.key())) else {
            return Ok(false);
        };
        let whole = first.remove();
        let sorted = whole.sorted(&mut self.keys, &mut self.places);
        for some in sorted.chunks(SOME) {
            self.panes.clear();
            whole.fire(some, &self.keys, &mut self.panes);
            account.rows += some.len() as u64;
            take(&self.panes)?;
        }
        whole.keys.iter().for_each(|&key| self.keys.release(key));
        self.keys.sweep(whole.keys.len());
        Ok(true)
    }
}
