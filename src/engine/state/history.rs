//! What each slot has fired so far.

use serde::{Deserialize, Serialize};

use super::store::Store;
use crate::column::Value;
use crate::engine::aggregate::Slot;
use crate::engine::codec::{self, Corrupt};
use crate::engine::pane::Firing;
use crate::engine::pane::trigger::Trigger;

/// What each slot has fired so far.
#[derive(Debug)]
pub struct Firings {
    pub of: Vec<History>,
    /// Whether processing time makes panes leave.
    periodic: bool,
    /// Slots that took records in since they last fired, with the stamps that they had, each once;
    /// kept where processing time makes panes leave.
    pub changed: Vec<(Slot, u32)>,
    /// The slots that the last record went into.
    pub touched: Vec<Slot>,
}

/// What one slot has fired. Begins with the slot; a merged session has that of all its parts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct History {
    /// The stamp of the slot that it is about; `None` of none.
    #[serde(skip)]
    stamp: Option<u32>,
    /// Whether the slot is among [`Firings::changed`].
    #[serde(skip)]
    listed: bool,
    /// How many records came since the last pane; of a moment, how many came.
    pub since: u64,
    /// How many panes were fired.
    pub fired: u32,
    /// Whether what is to be done at the window's close was done, or could not be.
    pub closed: bool,
    /// Whether records that came before the close are not shown yet: the next pane is on time.
    pub waits: bool,
    /// What is to be taken back before the next pane.
    pub shown: Vec<Shown>,
}

/// A pane that was fired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    pub firing: Firing,
    pub values: Vec<Value>,
}

impl Firings {
    pub fn new(trigger: &Trigger) -> Self {
        Firings {
            of: Vec::new(),
            periodic: trigger.periods().next().is_some(),
            changed: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Returns the history of a slot, which begins here if the slot is new.
    fn history(&mut self, slot: Slot, store: &Store) -> &mut History {
        let place = slot as usize;
        if place >= self.of.len() {
            self.of.resize_with(place + 1, History::default);
        }
        let (history, entry) = (&mut self.of[place], store.entry(slot));
        if history.stamp != Some(entry.stamp) {
            *history = History {
                stamp: Some(entry.stamp),
                closed: entry.born_late,
                ..History::default()
            };
        }
        history
    }

    /// Takes note that a record went into a slot.
    pub fn touch(&mut self, slot: Slot, store: &Store) {
        self.history(slot, store).since += 1;
        self.list(slot, store);
        self.touched.push(slot);
    }

    /// Takes note that a record came at a moment, which itself fires nothing.
    pub fn keep(&mut self, moment: Slot, store: &Store) {
        self.history(moment, store).since += 1;
    }

    /// Takes note that a slot begins with what some moments brought, which it has not shown.
    pub fn begin(&mut self, slot: Slot, moments: &[Slot], store: &Store) {
        let came: u64 = moments.iter().map(|&moment| self.since(moment)).sum();
        if came > 0 {
            self.history(slot, store).since += came;
            self.list(slot, store);
            self.touched.push(slot);
        }
    }

    /// Sees to it that processing time finds a slot that has something to show.
    pub fn list(&mut self, slot: Slot, store: &Store) {
        let history = &mut self.of[slot as usize];
        if self.periodic && history.since > 0 && !history.listed {
            history.listed = true;
            self.changed.push((slot, store.entry(slot).stamp));
        }
    }

    /// Takes note that processing time has found a slot; returns whether it has something to show.
    pub fn unlist(&mut self, slot: Slot) -> bool {
        let history = &mut self.of[slot as usize];
        history.listed = false;
        history.since > 0
    }

    /// Says whether a session's window is closed, which a record may change; returns whether it
    /// is open again.
    pub fn reopen(&mut self, slot: Slot, closed: bool, store: &Store) -> bool {
        let history = self.history(slot, store);
        let reopened = history.closed && !closed;
        history.closed &= closed;
        reopened
    }

    /// Makes one history of two.
    pub fn merge(&mut self, into: Slot, from: Slot, store: &Store) {
        let from = std::mem::take(self.history(from, store));
        let into = self.history(into, store);
        into.since += from.since;
        into.fired = into.fired.max(from.fired);
        into.closed &= from.closed;
        into.waits |= from.waits;
        into.shown.extend(from.shown);
    }

    /// Appends a slot's history to `bytes`.
    pub fn save(&mut self, slot: Slot, store: &Store, bytes: &mut Vec<u8>) {
        codec::put(bytes, self.history(slot, store));
    }

    /// Makes a slot's history what was saved.
    pub fn load(&mut self, slot: Slot, bytes: &mut &[u8], store: &Store) -> Result<(), Corrupt> {
        let history = self.history(slot, store);
        *history = codec::take(bytes)?;
        history.stamp = Some(store.entry(slot).stamp);
        Ok(())
    }

    pub fn since(&self, slot: Slot) -> u64 {
        self.of[slot as usize].since
    }
}

/// What of a window that fires once was shown before, while it was open.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Before {
    /// How many panes were fired.
    pub fired: u32,
    /// What is to be taken back before the next pane.
    pub shown: Vec<Shown>,
}
