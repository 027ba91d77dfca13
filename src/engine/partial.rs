//! Parts of a window that were computed apart, and the whole.
//!
//! Comes in: the states of a window that has left, of each part of the input. Goes out: one
//! pane a key, as if one had read it all. Keys stand in the order of rows.

use std::cmp::Ordering;

use super::account::Account;
use super::aggregate::{Accumulator, Slot};
use super::key;
use super::pane::{Firing, Panes, Timing};
use super::store::Store;
use super::window::Window;

/// The states of one window's keys in one part of the input.
#[derive(Debug)]
pub struct Partial {
    window: Window,
    /// The keys' bytes, one after the other.
    bytes: Vec<u8>,
    keys: Vec<Key>,
    aggregates: Vec<Box<dyn Accumulator>>,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    prefix: u128,
    start: u32,
    end: u32,
    /// Its slot in `aggregates`.
    slot: Slot,
    /// Whether the window had closed before its first record came.
    born_late: bool,
}

impl Partial {
    /// Takes the states of a window's slots, which stand in the order of their rows.
    pub(super) fn take(slots: &[Slot], store: &mut Store) -> Self {
        let (mut bytes, mut keys) = (Vec::new(), Vec::with_capacity(slots.len()));
        let window = slots.first().map(|&slot| store.entry(slot).window);
        for (nth, &slot) in slots.iter().enumerate() {
            let (start, entry) = (bytes.len(), store.entry(slot));
            store.keys.push_bytes(entry.key, &mut bytes);
            keys.push(Key {
                prefix: store.keys.prefix(entry.key),
                start: start as u32,
                end: bytes.len() as u32,
                slot: nth as Slot,
                born_late: entry.born_late,
            });
        }
        Partial {
            // A window that left has records, and they have slots.
            window: window.unwrap_or(super::window::ALL_TIME),
            bytes,
            keys,
            aggregates: store.split_off(slots),
        }
    }

    /// Returns the window.
    pub fn window(&self) -> Window {
        self.window
    }

    fn bytes(&self, key: &Key) -> &[u8] {
        &self.bytes[key.start as usize..key.end as usize]
    }

    /// Adds another part of the same window.
    pub fn absorb(&mut self, other: &Partial) {
        let mut merged = Vec::with_capacity(self.keys.len().max(other.keys.len()));
        let (mut into, mut from) = (Vec::new(), Vec::new());
        let mut slots = self.keys.iter().map(|key| key.slot + 1).max().unwrap_or(0);
        let (mut left, mut right) = (0, 0);
        while right < other.keys.len() {
            let theirs = other.keys[right];
            let order = self.keys.get(left).map_or(Ordering::Greater, |ours| {
                let (known, new) = (self.bytes(ours), other.bytes(&theirs));
                match known == new {
                    true => Ordering::Equal,
                    false => {
                        (ours.prefix.cmp(&theirs.prefix)).then_with(|| key::compare(known, new))
                    }
                }
            });
            if order == Ordering::Less {
                merged.push(self.keys[left]);
                left += 1;
                continue;
            }
            let ours = match order {
                Ordering::Equal => {
                    left += 1;
                    let born_late = self.keys[left - 1].born_late && theirs.born_late;
                    Key {
                        born_late,
                        ..self.keys[left - 1]
                    }
                }
                _ => {
                    let start = self.bytes.len() as u32;
                    self.bytes.extend_from_slice(other.bytes(&theirs));
                    let end = self.bytes.len() as u32;
                    self.aggregates
                        .iter_mut()
                        .for_each(|aggregate| aggregate.reset(slots));
                    slots += 1;
                    Key {
                        start,
                        end,
                        slot: slots - 1,
                        ..theirs
                    }
                }
            };
            into.push(ours.slot);
            from.push(theirs.slot);
            merged.push(ours);
            right += 1;
        }
        merged.extend_from_slice(&self.keys[left..]);
        self.keys = merged;
        for (ours, theirs) in self.aggregates.iter_mut().zip(&other.aggregates) {
            ours.absorb(&into, theirs.as_ref(), &from);
        }
    }

    /// Adds the one pane of each key to `panes`, in order, and counts them.
    pub fn fire(&self, panes: &mut Panes, account: &mut Account) {
        for key in &self.keys {
            let firing = Firing {
                window: self.window,
                timing: match key.born_late {
                    true => Timing::Late,
                    false => Timing::OnTime,
                },
                index: 0,
                is_last: true,
                is_retraction: false,
            };
            let values = self
                .aggregates
                .iter()
                .map(|aggregate| aggregate.result(key.slot));
            let push_key = |bytes: &mut Vec<u8>| bytes.extend_from_slice(self.bytes(key));
            panes.push(firing, push_key, values);
        }
        account.rows += self.keys.len() as u64;
    }
}
