//! When panes leave, and what they hold: triggers and refinements over the slots of a store.

use super::{Input, Operator, Placement};
use crate::column::Value;
use crate::engine::aggregate::Slot;
use crate::engine::combine::merge::Partial;
use crate::engine::combine::parts::Left;
use crate::engine::pane::journal::{Event, Why};
use crate::engine::pane::trigger::{Repeat, Trigger};
use crate::engine::pane::{Firing, Panes, Refinement, Timing};
use crate::engine::placement::grid::Due;
use crate::engine::state::history::{Before, Shown};
use crate::engine::window::{Window, Windows};

impl Operator {
    /// Returns the watermark at which some window has something to do.
    #[inline]
    pub(super) fn due(&self) -> i64 {
        match &self.placement {
            Placement::Grid(grid) => grid.due(),
            Placement::Sessions(_, timers) | Placement::Sliding(_, timers) => timers.due(),
        }
    }

    /// Fires what the watermark has made due: panes of windows that have closed, and the last
    /// ones of those whose grace has passed, which are dropped.
    pub(super) fn fire_due(&mut self, panes: &mut Panes) {
        let watermark = self.watermarks.combined();
        if let Placement::Grid(_) = self.placement {
            return self.fire_grid(watermark, panes);
        }
        let mut due = self.due_slots(watermark);
        self.store.sort(&mut due);
        for slot in due {
            self.fire_slot(slot, watermark, panes);
        }
    }

    fn fire_grid(&mut self, watermark: i64, panes: &mut Panes) {
        let sorted = self.partials.is_none() && self.handing.is_none(); // parts: as a whole
        while let Placement::Grid(grid) = &mut self.placement
            && let Some(due) = grid.next_due(watermark, sorted, &mut self.store)
        {
            let Due { slots, expired } = due;
            if let Some(partials) = &mut self.partials {
                partials.push(Partial::take(&slots, &mut self.store));
            } else if let Some(handing) = &mut self.handing {
                let judged_at = None;
                let left = slots.into_iter();
                handing
                    .left
                    .extend(left.map(|slot| Left { slot, judged_at }));
                continue; // they are dropped once they were handed on
            } else {
                for &slot in &slots {
                    match expired {
                        true => self.fire_last(slot, panes),
                        false => self.fire_at_close(slot, panes),
                    }
                }
            }
            if expired {
                self.store.drop(&slots);
            }
        }
    }

    /// Returns the slots of sessions or sliding windows that are due.
    fn due_slots(&mut self, watermark: i64) -> Vec<Slot> {
        let (windows, grace_ms, store) = (&self.windows, self.grace_ms, &self.store);
        let firings = self.firings.as_ref();
        let due_at = |slot: Slot| {
            let window = store.entry(slot).window;
            if windows.is_moment(window) {
                return windows.forgotten_at(window.start).saturating_add(grace_ms);
            }
            let closes_at = windows.closes_at(window);
            match firings.is_some_and(|firings| !firings.of[slot as usize].closed) {
                true => closes_at,
                false => closes_at.saturating_add(grace_ms),
            }
        };
        match &mut self.placement {
            Placement::Grid(_) => Vec::new(),
            Placement::Sessions(_, timers) | Placement::Sliding(_, timers) => {
                timers.take_due(watermark, store, due_at)
            }
        }
    }

    /// Fires a session or sliding window that is due; drops it when its grace has passed.
    fn fire_slot(&mut self, slot: Slot, watermark: i64, panes: &mut Panes) {
        let window = self.store.entry(slot).window;
        let expires_at = self.expires_at(window);
        let moment = self.windows.is_moment(window);
        if !moment && watermark < expires_at {
            self.fire_at_close(slot, panes);
            if let Placement::Sessions(_, timers) | Placement::Sliding(_, timers) =
                &mut self.placement
            {
                timers.set(expires_at, slot, &self.store);
            }
            return;
        }
        if !moment {
            self.fire_last(slot, panes);
        }
        match &mut self.placement {
            Placement::Grid(_) => {}
            Placement::Sessions(sessions, _) => sessions.remove(slot, &self.store),
            Placement::Sliding(sliding, _) => sliding.remove(slot, &self.store),
        }
        self.store.drop(&[slot]);
    }

    /// Returns the watermark at which a window's grace has passed.
    pub fn expires_at(&self, window: Window) -> i64 {
        self.windows.closes_at(window).saturating_add(self.grace_ms)
    }

    /// Fires a window that has closed, if its trigger waits for that.
    fn fire_at_close(&mut self, slot: Slot, panes: &mut Panes) {
        let Some(firings) = &mut self.firings else {
            return;
        };
        let history = &mut firings.of[slot as usize];
        match self.trigger {
            Trigger::Panes {
                watermark: true, ..
            } if !history.closed => self.fire(slot, Why::Close, panes),
            _ if !history.closed => {
                history.closed = true;
                history.waits = history.since > 0;
                self.store.touch(slot);
            }
            _ => {}
        }
    }

    /// Fires a window whose grace has passed, if it has something that was not shown.
    fn fire_last(&mut self, slot: Slot, panes: &mut Panes) {
        let Some(firings) = &self.firings else {
            return self.fire_once(slot, panes);
        };
        let history = &firings.of[slot as usize];
        match self.trigger {
            Trigger::Panes {
                watermark: true, ..
            } if !history.closed => self.fire(slot, Why::Close, panes),
            _ if history.since > 0 => self.fire(slot, Why::Grace, panes),
            _ => {}
        }
    }

    /// Fires what the last record has made due by count.
    #[inline]
    pub(super) fn fire_counted(&mut self, input: &Input<'_, '_>, panes: &mut Panes) {
        let Some(firings) = &mut self.firings else {
            return;
        };
        let mut touched = std::mem::take(&mut firings.touched);
        touched.sort_unstable_by_key(|&slot| self.store.entry(slot).window);
        touched.dedup();
        for slot in touched.drain(..) {
            let count = self.repeat(slot).and_then(|repeat| repeat.count);
            let since = self
                .firings
                .as_ref()
                .map_or(0, |firings| firings.since(slot));
            if count.is_some_and(|count| since >= count) {
                self.flush(input);
                self.fire(slot, Why::Count, panes);
            }
        }
        if let Some(firings) = &mut self.firings {
            firings.touched = touched; // keeps its room
        }
    }

    /// Fires the windows that changed and whose period of processing time is over.
    pub(super) fn fire_periodic(&mut self, now: i64, panes: &mut Panes) {
        let (Some(last), Some(firings)) = (self.processing_time, &mut self.firings) else {
            return;
        };
        let changed = std::mem::take(&mut firings.changed);
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        for (slot, stamp) in changed {
            if self.store.entry(slot).stamp != stamp {
                continue;
            }
            let period = self.repeat(slot).and_then(|repeat| repeat.every_ms);
            match period {
                Some(period) if now.div_euclid(period) > last.div_euclid(period) => due.push(slot),
                _ => waiting.push((slot, stamp)),
            }
        }
        if let Some(firings) = &mut self.firings {
            firings.changed = waiting;
            due.retain(|&slot| firings.unlist(slot));
        }
        self.store.sort(&mut due);
        for slot in due {
            self.fire(slot, Why::Every, panes);
        }
    }

    /// Returns the part of the trigger that holds for a slot's window now.
    fn repeat(&self, slot: Slot) -> Option<Repeat> {
        match self.trigger {
            Trigger::Final => None,
            Trigger::Panes { early, late, .. } => match self.is_closed(slot) {
                true => Some(late),
                false => Some(early),
            },
        }
    }

    pub(super) fn is_closed(&self, slot: Slot) -> bool {
        let window = self.store.entry(slot).window;
        self.watermarks.combined() >= self.windows.closes_at(window)
    }

    /// Fires the one pane of a slot that fires once.
    fn fire_once(&mut self, slot: Slot, panes: &mut Panes) {
        let entry = *self.store.entry(slot);
        let before = match self.before.is_empty() {
            true => Before::default(),
            false => self.before.remove(&slot).unwrap_or_default(),
        };
        let firing = Firing {
            window: entry.window,
            timing: match entry.born_late {
                true => Timing::Late,
                false => Timing::OnTime,
            },
            index: before.fired,
            is_last: true,
            is_retraction: false,
        };
        self.take_back(slot, before.shown, Why::Grace, panes);
        self.push_pane(slot, firing, Why::Grace, panes);
    }

    /// Fires a pane of a slot, after what it takes back.
    pub(super) fn fire(&mut self, slot: Slot, why: Why, panes: &mut Panes) {
        let (window, closed) = (self.store.entry(slot).window, self.is_closed(slot));
        let is_kept = self.is_taken_back();
        let is_last = self.watermarks.combined() >= self.expires_at(window);
        let Some(firings) = &mut self.firings else {
            return;
        };
        let history = &mut firings.of[slot as usize];
        let firing = Firing {
            window,
            timing: match (closed, history.closed && !history.waits) {
                (false, _) => Timing::Early,
                (true, false) => Timing::OnTime,
                (true, true) => Timing::Late,
            },
            index: history.fired,
            is_last,
            is_retraction: false,
        };
        self.store.touch(slot);
        history.since = 0;
        history.fired += 1;
        history.closed |= closed;
        history.waits = false;
        let shown = std::mem::take(&mut history.shown);
        let kept: Option<Vec<Value>> = is_kept.then(|| self.store.values(slot).collect());
        if let Some(values) = kept.clone() {
            history.shown.push(Shown { firing, values });
        }
        self.take_back(slot, shown, why, panes);
        match kept {
            Some(values) => self.push_values(slot, firing, why, values, panes),
            None => self.push_pane(slot, firing, why, panes),
        }
        if self.refinement == Refinement::Discarding {
            self.store.empty(slot);
        }
    }

    /// Returns whether what is shown may have to be taken back. The same window's next pane replaces
    /// the one before; another session's does not.
    pub(super) fn is_taken_back(&self) -> bool {
        match self.refinement {
            Refinement::Retracting => true,
            Refinement::Accumulating => matches!(self.windows, Windows::Session { .. }),
            Refinement::Discarding => false,
        }
    }

    /// Takes back what was shown of a slot, before its next pane.
    pub(super) fn take_back(
        &mut self,
        slot: Slot,
        mut shown: Vec<Shown>,
        why: Why,
        panes: &mut Panes,
    ) {
        if self.refinement != Refinement::Retracting {
            let window = self.store.entry(slot).window;
            shown.retain(|shown| shown.firing.window != window);
        }
        shown.sort_by_key(|shown| shown.firing.window);
        for Shown { firing, values } in shown {
            let firing = Firing {
                is_retraction: true,
                ..firing
            };
            self.push_values(slot, firing, why, values, panes);
        }
    }

    /// Adds a pane of what a slot holds.
    fn push_pane(&mut self, slot: Slot, firing: Firing, why: Why, panes: &mut Panes) {
        if self.journal.is_some() {
            let values = self.store.values(slot).collect();
            return self.push_values(slot, firing, why, values, panes);
        }
        self.account.rows += 1;
        let (keys, key) = (&self.store.keys, self.store.entry(slot).key);
        let values = self.store.values(slot);
        panes.push(firing, |bytes| keys.push_bytes(key, bytes), values);
    }

    /// Adds a pane of some values.
    pub(super) fn push_values(
        &mut self,
        slot: Slot,
        firing: Firing,
        why: Why,
        values: Vec<Value>,
        panes: &mut Panes,
    ) {
        self.note_pane(slot, firing, why, &values);
        self.account.rows += 1;
        let (keys, key) = (&self.store.keys, self.store.entry(slot).key);
        let values = values.into_iter();
        panes.push(firing, |bytes| keys.push_bytes(key, bytes), values);
    }

    fn note_pane(&mut self, slot: Slot, firing: Firing, why: Why, values: &[Value]) {
        if let Some(journal) = &mut self.journal {
            let mut key = Vec::new();
            self.store
                .keys
                .push_bytes(self.store.entry(slot).key, &mut key);
            journal.note(Event::Pane {
                firing,
                key: &key,
                why,
                values,
            });
        }
    }

    /// Returns the watermark at which a slot may have something to do first; whether it has fired at
    /// its close already is looked at then.
    pub(super) fn first_due(&self, window: Window) -> i64 {
        match self.trigger {
            Trigger::Final => self.expires_at(window),
            Trigger::Panes { .. } => self.windows.closes_at(window),
        }
    }
}
