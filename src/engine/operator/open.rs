//! Windows that have not left: what they wait for, and what is shown of them before.
//!
//! A run that ends while windows are open shows them as they are. Where each fires more than once that
//! is a pane like any other; where each fires once, what was shown is remembered here, for its one row
//! to take back.

use std::collections::BTreeSet;

use super::{Awaited, Operator, Placement};
use crate::column::Value;
use crate::engine::aggregate::Slot;
use crate::engine::codec::{self, Corrupt};
use crate::engine::pane::journal::Why;
use crate::engine::pane::trigger::Trigger;
use crate::engine::pane::{Firing, Panes, Timing};
use crate::engine::state::history::{Before, Shown};
use crate::engine::window::Window;

impl Operator {
    /// Shows the open windows as they are, for there may be nobody who goes on. They stay open: what
    /// is shown of them is a pane like any other, which the next one replaces, or takes back.
    pub fn show_open(&mut self, panes: &mut Panes) {
        let mut slots: Vec<Slot> = self.open_slots().collect();
        self.store.sort(&mut slots);
        for slot in slots {
            match &self.firings {
                None => self.show_once(slot, panes),
                Some(firings) if firings.since(slot) > 0 => self.fire(slot, Why::Stop, panes),
                Some(_) => {}
            }
        }
    }

    /// Takes the open windows for shown as they are: a run of an earlier version has shown them, and did
    /// not say so in its state.
    pub fn take_for_shown(&mut self) {
        let account = self.account;
        self.show_open(&mut Panes::default());
        self.account = account;
    }

    /// Shows an open window that fires once.
    fn show_once(&mut self, slot: Slot, panes: &mut Panes) {
        let entry = *self.store.entry(slot);
        let before = self.before.remove(&slot).unwrap_or_default();
        let firing = Firing {
            window: entry.window,
            timing: match (self.is_closed(slot), entry.born_late) {
                (false, _) => Timing::Early,
                (true, false) => Timing::OnTime,
                (true, true) => Timing::Late,
            },
            index: before.fired,
            is_last: false,
            is_retraction: false,
        };
        let values: Vec<Value> = self.store.values(slot).collect();
        let mut now = Before {
            fired: before.fired + 1,
            shown: Vec::new(),
        };
        if self.is_taken_back() {
            let values = values.clone();
            now.shown.push(Shown { firing, values });
        }
        self.before.insert(slot, now);
        self.store.touch(slot);
        self.take_back(slot, before.shown, Why::Stop, panes);
        self.push_values(slot, firing, Why::Stop, values, panes);
    }

    /// Makes one of what two slots have fired.
    pub(super) fn merge_fired(&mut self, into: Slot, from: Slot) {
        if let Some(firings) = &mut self.firings {
            firings.merge(into, from, &self.store);
        } else if !self.before.is_empty()
            && let Some(from) = self.before.remove(&from)
        {
            let into = self.before.entry(into).or_default();
            into.fired = into.fired.max(from.fired);
            into.shown.extend(from.shown);
        }
    }

    /// Appends what a slot has fired to `bytes`; nothing for one that fires once, and has not.
    pub(super) fn save_fired(&mut self, slot: Slot, bytes: &mut Vec<u8>) {
        if let Some(firings) = &mut self.firings {
            firings.save(slot, &self.store, bytes);
        } else if let Some(before) = self.before.get(&slot) {
            codec::put(bytes, before);
        }
    }

    /// Takes up what was saved of a slot.
    pub(super) fn load_fired(&mut self, slot: Slot, bytes: &mut &[u8]) -> Result<(), Corrupt> {
        if let Some(firings) = &mut self.firings {
            firings.load(slot, bytes, &self.store)?;
            // Moments fire nothing.
            if !self.windows.is_moment(self.store.entry(slot).window) {
                firings.list(slot, &self.store);
            }
        } else if !bytes.is_empty() {
            self.before.insert(slot, codec::take(bytes)?);
        }
        Ok(())
    }

    /// Returns the open window that the watermark makes leave next.
    pub fn awaited(&self) -> Option<Awaited> {
        let windows = self
            .open_slots()
            .map(|slot| self.store.entry(slot).window)
            .map(|window| (self.due_at(window), window));
        let windows: BTreeSet<(i64, Window)> = windows.collect();
        let &(watermark, window) = windows.first()?;
        Some(Awaited {
            window,
            watermark,
            windows: windows.len(),
        })
    }

    /// Returns the watermark at which an open window has something to do next.
    fn due_at(&self, window: Window) -> i64 {
        let closes_at = self.windows.closes_at(window);
        let open = self.watermarks.combined() < closes_at;
        match self.trigger {
            Trigger::Panes {
                watermark: true, ..
            } if open => closes_at,
            _ => self.expires_at(window),
        }
    }

    /// Adds the rows of all open windows as they are now to `panes`, in order, without closing them.
    pub fn open_panes(&mut self, panes: &mut Panes) {
        let mut slots: Vec<Slot> = self.open_slots().collect();
        self.store.sort(&mut slots);
        for slot in slots {
            let entry = *self.store.entry(slot);
            let firing = Firing {
                window: entry.window,
                timing: Timing::Early,
                index: 0,
                is_last: false,
                is_retraction: false,
            };
            let (keys, values) = (&self.store.keys, self.store.values(slot));
            panes.push(firing, |bytes| keys.push_bytes(entry.key, bytes), values);
        }
    }

    /// Returns the slots of windows that have not left.
    pub(super) fn open_slots(&self) -> Box<dyn Iterator<Item = Slot> + '_> {
        match &self.placement {
            Placement::Grid(grid) => Box::new(
                grid.open_windows()
                    .flat_map(|(_, slots)| slots.iter().copied()),
            ),
            Placement::Sessions(sessions, _) => Box::new(sessions.slots()),
            Placement::Sliding(sliding, _) => Box::new(sliding.windows_of_all()),
        }
    }
}
