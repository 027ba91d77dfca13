//! What each slot has fired so far.
//!
//! Where windows fire once that is next to nothing: what of open ones was shown before they left,
//! since no process might have continued. Else it is a few numbers a slot, and the panes that are
//! to be taken back.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::store::Store;
use crate::column::Value;
use crate::engine::aggregate::Slot;
use crate::engine::codec::{self, Corrupt};
use crate::engine::pane::trigger::Trigger;
use crate::engine::pane::{Firing, Timing};
use crate::error::Result;

/// What the slots of an operator have fired.
#[derive(Debug)]
pub enum History {
    /// Each window fires once, when it leaves; here are the slots that were shown while it was open.
    Once(HashMap<Slot, ShownOpen>),
    /// Windows fire again and again.
    Often(Firings),
}

/// What of a slot that fires once was shown while its window was open.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ShownOpen {
    /// How many panes were fired.
    pub fired: u32,
    /// What is to be taken back before the next pane.
    pub shown: Vec<Shown>,
}

/// A pane that was fired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    pub firing: Firing,
    pub values: Vec<Value>,
}

/// What a slot's next pane is.
#[derive(Debug)]
pub struct Next {
    pub timing: Timing,
    /// How many panes came before it.
    pub index: u32,
    /// What is to be taken back before it.
    pub shown: Vec<Shown>,
}

/// What each slot has fired, by slot.
#[derive(Debug)]
pub struct Firings {
    of: Vec<Fired>,
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
struct Fired {
    /// The stamp of the slot that it is about; `None` of none.
    #[serde(skip)]
    stamp: Option<u32>,
    /// Whether the slot is among [`Firings::changed`].
    #[serde(skip)]
    listed: bool,
    /// How many records came since the last pane; of a moment, how many came.
    since: u64,
    /// How many panes were fired.
    fired: u32,
    /// Whether what is to be done at the window's close was done, or could not be.
    closed: bool,
    /// Whether records that came before the close are not shown yet: the next pane is on time.
    waits: bool,
    /// What is to be taken back before the next pane.
    shown: Vec<Shown>,
}

impl History {
    pub fn new(trigger: &Trigger) -> Self {
        match trigger {
            Trigger::Final => History::Once(HashMap::new()),
            Trigger::Panes { .. } => History::Often(Firings {
                of: Vec::new(),
                periodic: trigger.periods().next().is_some(),
                changed: Vec::new(),
                touched: Vec::new(),
            }),
        }
    }

    /// Returns whether windows fire once.
    pub fn fires_once(&self) -> bool {
        matches!(self, History::Once(_))
    }

    /// Notes that a record went into a slot.
    #[inline]
    pub fn touch(&mut self, slot: Slot, store: &Store) {
        if let History::Often(firings) = self {
            firings.touch(slot, store);
        }
    }

    /// Notes that a record came at a moment, which itself fires nothing.
    pub fn keep(&mut self, moment: Slot, store: &Store) {
        if let History::Often(firings) = self {
            firings.of(moment, store).since += 1;
        }
    }

    /// Notes that a slot begins with what some moments brought, which it has not shown.
    pub fn begin(&mut self, slot: Slot, moments: &[Slot], store: &Store) {
        if let History::Often(firings) = self {
            firings.begin(slot, moments, store);
        }
    }

    /// Says whether a session's window is closed, which a record may change; returns whether it
    /// is open again, with something to do at its close.
    pub fn reopen(&mut self, slot: Slot, closed: bool, store: &Store) -> bool {
        let History::Often(firings) = self else {
            return false;
        };
        let fired = firings.of(slot, store);
        let reopened = fired.closed && !closed;
        fired.closed &= closed;
        reopened
    }

    /// Returns whether a slot has something to do when its window closes, and not only when it
    /// leaves.
    pub fn waits_for_close(&self, slot: Slot) -> bool {
        match self {
            History::Once(_) => false,
            History::Often(firings) => !firings.of[slot as usize].closed,
        }
    }

    /// Returns how many records came into a slot since it last fired, where slots fire often.
    pub fn since(&self, slot: Slot) -> u64 {
        match self {
            History::Once(_) => 0,
            History::Often(firings) => firings.since(slot),
        }
    }

    /// Makes one history of two.
    pub fn merge(&mut self, into: Slot, from: Slot, store: &Store) {
        match self {
            History::Once(open) => {
                if !open.is_empty()
                    && let Some(from) = open.remove(&from)
                {
                    let into = open.entry(into).or_default();
                    into.fired = into.fired.max(from.fired);
                    into.shown.extend(from.shown);
                }
            }
            History::Often(firings) => firings.merge(into, from, store),
        }
    }

    /// Notes that a slot fires while its window may fire again, and returns what the pane is.
    /// `closed` says whether the window has closed, `born_late` whether it had before its first
    /// record came.
    pub fn next(&mut self, slot: Slot, closed: bool, born_late: bool) -> Next {
        let (index, shown, at_close_done) = match self {
            History::Once(open) => {
                let open = open.entry(slot).or_default();
                open.fired += 1;
                (open.fired - 1, &mut open.shown, born_late)
            }
            History::Often(firings) => {
                let fired = &mut firings.of[slot as usize];
                let at_close_done = fired.closed && !fired.waits;
                fired.since = 0;
                fired.fired += 1;
                fired.closed |= closed;
                fired.waits = false;
                (fired.fired - 1, &mut fired.shown, at_close_done)
            }
        };
        Next {
            timing: match (closed, at_close_done) {
                (false, _) => Timing::Early,
                (true, false) => Timing::OnTime,
                (true, true) => Timing::Late,
            },
            index,
            shown: std::mem::take(shown),
        }
    }

    /// Keeps a pane that may have to be taken back.
    pub fn remember(&mut self, slot: Slot, shown: Shown) {
        match self {
            History::Once(open) => open.entry(slot).or_default().shown.push(shown),
            History::Often(firings) => firings.of[slot as usize].shown.push(shown),
        }
    }

    /// Appends what a slot has fired to `bytes`; nothing for one that fires once, and has not.
    ///
    /// # Errors
    /// `bug` where it cannot be written.
    pub fn save(&mut self, slot: Slot, store: &Store, bytes: &mut Vec<u8>) -> Result<()> {
        match self {
            History::Once(open) => match open.get(&slot) {
                Some(open) => codec::put(bytes, open),
                None => Ok(()),
            },
            History::Often(firings) => codec::put(bytes, firings.of(slot, store)),
        }
    }

    /// Takes up what was saved of a slot; a moment fires nothing.
    pub fn load(
        &mut self,
        slot: Slot,
        is_moment: bool,
        store: &Store,
        bytes: &mut &[u8],
    ) -> Result<(), Corrupt> {
        match self {
            History::Once(open) => {
                if !bytes.is_empty() {
                    open.insert(slot, codec::take(bytes)?);
                }
            }
            History::Often(firings) => {
                let fired = firings.of(slot, store);
                *fired = codec::take(bytes)?;
                fired.stamp = Some(store.entry(slot).stamp);
                if !is_moment {
                    firings.list(slot, store);
                }
            }
        }
        Ok(())
    }
}

impl Firings {
    /// Returns what a slot has fired, which begins here if the slot is new.
    fn of(&mut self, slot: Slot, store: &Store) -> &mut Fired {
        let place = slot as usize;
        if place >= self.of.len() {
            self.of.resize_with(place + 1, Fired::default);
        }
        let (fired, entry) = (&mut self.of[place], store.entry(slot));
        if fired.stamp != Some(entry.stamp) {
            *fired = Fired {
                stamp: Some(entry.stamp),
                closed: entry.born_late,
                ..Fired::default()
            };
        }
        fired
    }

    fn touch(&mut self, slot: Slot, store: &Store) {
        self.of(slot, store).since += 1;
        self.list(slot, store);
        self.touched.push(slot);
    }

    fn begin(&mut self, slot: Slot, moments: &[Slot], store: &Store) {
        let came: u64 = moments.iter().map(|&moment| self.since(moment)).sum();
        if came > 0 {
            self.of(slot, store).since += came;
            self.list(slot, store);
            self.touched.push(slot);
        }
    }

    /// Makes sure that processing time finds a slot that has something to show.
    fn list(&mut self, slot: Slot, store: &Store) {
        let fired = &mut self.of[slot as usize];
        if self.periodic && fired.since > 0 && !fired.listed {
            fired.listed = true;
            self.changed.push((slot, store.entry(slot).stamp));
        }
    }

    /// Notes that processing time has found a slot; returns whether it has something to show.
    pub fn unlist(&mut self, slot: Slot) -> bool {
        let fired = &mut self.of[slot as usize];
        fired.listed = false;
        fired.since > 0
    }

    fn merge(&mut self, into: Slot, from: Slot, store: &Store) {
        let from = std::mem::take(self.of(from, store));
        let into = self.of(into, store);
        into.since += from.since;
        into.fired = into.fired.max(from.fired);
        into.closed &= from.closed;
        into.waits |= from.waits;
        into.shown.extend(from.shown);
    }

    /// Returns how many records came into a slot since it last fired.
    pub fn since(&self, slot: Slot) -> u64 {
        self.of[slot as usize].since
    }

    /// Returns whether what is to be done at a slot's close was done, or could not be.
    pub fn is_closed(&self, slot: Slot) -> bool {
        self.of[slot as usize].closed
    }

    /// Notes that a window has closed without a pane.
    pub fn close(&mut self, slot: Slot) {
        let fired = &mut self.of[slot as usize];
        fired.closed = true;
        fired.waits = fired.since > 0;
    }
}
