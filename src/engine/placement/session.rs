//! Sessions: a key's records of which each is at most a gap from the next.
//!
//! ```text
//! gap 5     records at  1   4       12 14      then one at  8:
//!           sessions   [1,  4]     [12,14]    →            [1,              14]
//! ```
//! As Kafka Streams' `KStreamSessionWindowAggregate` has them: both ends belong to a session.

use super::timers::Timers;
use crate::engine::aggregate::Slot;
use crate::engine::state::keys::KeyId;
use crate::engine::state::store::Store;
use crate::engine::window::Window;

/// The sessions that hold records, by key.
#[derive(Debug)]
pub struct Sessions {
    /// When they are due.
    pub timers: Timers,
    gap_ms: i64,
    max_ms: i64,
    /// The slots of each key's sessions, the earliest first.
    by_key: Vec<Vec<Slot>>,
}

/// The session that a record makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// From its first record to its last.
    pub window: Window,
    /// The session that the record joins; `None` where it makes a new one.
    pub into: Option<Slot>,
    /// The later sessions that become part of it: of a record one at most.
    pub bridged: Vec<Slot>,
}

impl Sessions {
    pub fn new(gap_ms: i64, max_ms: Option<i64>) -> Self {
        Sessions {
            timers: Timers::default(),
            gap_ms,
            max_ms: max_ms.unwrap_or(i64::MAX),
            by_key: Vec::new(),
        }
    }

    /// Returns the session that a record of a key would make; changes nothing.
    pub fn join(&self, key: KeyId, at: i64, store: &Store) -> Joined {
        let sessions = self.by_key.get(key as usize).map_or(&[][..], Vec::as_slice);
        let window = |slot: Slot| store.entry(slot).window;
        // The last session that starts at or before the record, and the one after it.
        let after = sessions.partition_point(|&slot| window(slot).start <= at);
        let before = after.checked_sub(1).map(|nth| sessions[nth]);
        let after = sessions.get(after).copied();
        let before = before.filter(|&slot| at.saturating_sub(window(slot).end) <= self.gap_ms);
        let after = after.filter(|&slot| window(slot).start.saturating_sub(at) <= self.gap_ms);

        let joined = |into: Option<Slot>, bridged: Option<Slot>| {
            let alone = Window::instant(at);
            let parts = into.into_iter().chain(bridged).map(window);
            let window = parts.fold(alone, |whole, part| Window {
                start: whole.start.min(part.start),
                end: whole.end.max(part.end),
            });
            let fits = window.end.saturating_sub(window.start) <= self.max_ms;
            fits.then_some(Joined {
                window,
                into,
                bridged: bridged.into_iter().collect(),
            })
        };
        // Inside a session nothing is bridged: its neighbours are further than a gap away, or
        // the maximum keeps them apart.
        let inside = before.is_some_and(|slot| at <= window(slot).end);
        let bridged = after.filter(|_| before.is_some() && !inside);
        (bridged.and_then(|_| joined(before, bridged)))
            .or_else(|| before.and_then(|_| joined(before, None)))
            .or_else(|| after.filter(|_| !inside).and_then(|_| joined(after, None)))
            .unwrap_or(Joined {
                window: Window::instant(at),
                into: None,
                bridged: Vec::new(),
            })
    }

    /// Returns the session that a key's records of a whole session would make with all that they
    /// are near to, where there is no maximum; changes nothing.
    pub fn join_part(&self, key: KeyId, part: Window, store: &Store) -> Joined {
        let sessions = self.by_key.get(key as usize).map_or(&[][..], Vec::as_slice);
        let window = |slot: Slot| store.entry(slot).window;
        let first = sessions
            .partition_point(|&slot| part.start.saturating_sub(window(slot).end) > self.gap_ms);
        let near = sessions[first..].iter().copied();
        let near =
            near.take_while(|&slot| window(slot).start.saturating_sub(part.end) <= self.gap_ms);
        let mut joined = Joined {
            window: part,
            into: None,
            bridged: Vec::new(),
        };
        for slot in near {
            let whole = &mut joined.window;
            whole.start = whole.start.min(window(slot).start);
            whole.end = whole.end.max(window(slot).end);
            match joined.into {
                None => joined.into = Some(slot),
                Some(_) => joined.bridged.push(slot),
            }
        }
        joined
    }

    /// Takes the slots of a key's sessions out.
    pub fn take(&mut self, key: KeyId) -> Vec<Slot> {
        let sessions = self.by_key.get_mut(key as usize);
        sessions.map(std::mem::take).unwrap_or_default()
    }

    /// Takes the slots of all sessions out.
    pub fn take_all(&mut self) -> Vec<Slot> {
        let sessions = self.by_key.iter_mut();
        sessions.flat_map(|sessions| sessions.drain(..)).collect()
    }

    /// Adds a session's slot.
    pub fn add(&mut self, slot: Slot, store: &Store) {
        let entry = store.entry(slot);
        let key = entry.key as usize;
        if key >= self.by_key.len() {
            self.by_key.resize_with(key + 1, Vec::new);
        }
        let sessions = &mut self.by_key[key];
        let at =
            sessions.partition_point(|&slot| store.entry(slot).window.start < entry.window.start);
        sessions.insert(at, slot);
    }

    /// Removes a session's slot.
    pub fn remove(&mut self, slot: Slot, store: &Store) {
        let key = store.entry(slot).key as usize;
        if let Some(sessions) = self.by_key.get_mut(key) {
            sessions.retain(|&other| other != slot);
        }
    }

    /// Returns the slots of all sessions.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.by_key.iter().flatten().copied()
    }
}
