//! Fires panes when windows close, expire or are triggered: triggers and refinements over the slots of a store.

use super::{Books, Input, Operator};
use crate::column::Value;
use crate::engine::aggregate::Slot;
use crate::engine::combine::merge::Partial;
use crate::engine::lateness::Judgement;
use crate::engine::leave::Leave;
use crate::engine::pane::journal::Why;
use crate::engine::pane::trigger::{Repeat, Trigger};
use crate::engine::pane::{Firing, Panes, Refinement, Timing};
use crate::engine::placement::Due;
use crate::engine::state::history::{History, Shown, ShownOpen};
use crate::engine::window::{Window, Windows};

impl Operator {
    /// Fires what the watermark has made due: panes of windows that have closed, and the last
    /// ones of those whose grace has passed, which are dropped.
    pub(super) fn fire_due(&mut self, panes: &mut Panes) {
        let Operator {
            placement, books, ..
        } = self;
        let watermark = books.watermarks.combined();
        let sorted = matches!(books.leave, Leave::Show); // parts are sorted as a whole
        while let Some(due) = placement.take_due(
            watermark,
            sorted,
            &books.lateness,
            &books.history,
            &mut books.store,
        ) {
            books.on_due(due, panes);
        }
    }
}

impl Books {
    /// Does with slots that are due what is done with windows that leave.
    fn on_due(&mut self, due: Due, panes: &mut Panes) {
        let Due { slots, leaving } = due;
        match &mut self.leave {
            Leave::Show => {
                let (leaving, closing) = slots.split_at(leaving);
                leaving.iter().for_each(|&slot| self.fire_last(slot, panes));
                let closing = closing.iter();
                closing.for_each(|&slot| self.fire_at_close(slot, panes));
            }
            Leave::Merge(partials) => partials.push(Partial::take(&slots, &mut self.store)),
            Leave::HandOn(_) => {
                let slots = slots.into_iter();
                slots.for_each(|slot| self.leave.hand_on(slot, None));
                return; // they are dropped once they were handed on
            }
        }
        self.store.drop(&slots[..leaving]);
    }

    /// Fires a window that has closed, if its trigger waits for that.
    fn fire_at_close(&mut self, slot: Slot, panes: &mut Panes) {
        match &mut self.history {
            History::Once(_) => {} // its one pane leaves with it
            History::Often(firings) if firings.is_closed(slot) => {}
            History::Often(firings) => match self.trigger {
                Trigger::Panes {
                    watermark: true, ..
                } => self.fire(slot, Why::Close, panes),
                _ => {
                    firings.close(slot);
                    self.store.touch(slot);
                }
            },
        }
    }

    /// Fires a window that leaves, if it has something that was not shown.
    fn fire_last(&mut self, slot: Slot, panes: &mut Panes) {
        if self.lateness.is_moment(self.store.entry(slot).window) {
            return;
        }
        match &mut self.history {
            History::Once(open) => {
                let shown = if open.is_empty() {
                    ShownOpen::default()
                } else {
                    open.remove(&slot).unwrap_or_default()
                };
                self.fire_once(slot, shown, panes);
            }
            History::Often(firings) => match self.trigger {
                Trigger::Panes {
                    watermark: true, ..
                } if !firings.is_closed(slot) => self.fire(slot, Why::Close, panes),
                _ if firings.since(slot) > 0 => self.fire(slot, Why::Grace, panes),
                _ => self.note_left(slot),
            },
        }
    }

    /// Fires what the last record has made due by count.
    #[inline]
    pub(super) fn fire_counted(&mut self, input: &Input<'_, '_>, panes: &mut Panes) {
        if let History::Often(firings) = &mut self.history {
            let touched = std::mem::take(&mut firings.touched);
            self.fire_touched(touched, input, panes);
        }
    }

    fn fire_touched(&mut self, mut touched: Vec<Slot>, input: &Input<'_, '_>, panes: &mut Panes) {
        touched.sort_unstable_by_key(|&slot| self.store.entry(slot).window);
        touched.dedup();
        for slot in touched.drain(..) {
            let count = self.repeat(slot).and_then(|repeat| repeat.count);
            if count.is_some_and(|count| self.history.since(slot) >= count) {
                self.flush(input);
                self.fire(slot, Why::Count, panes);
            }
        }
        if let History::Often(firings) = &mut self.history {
            firings.touched = touched; // keeps its room
        }
    }

    /// Fires the windows that changed and whose period of processing time is over.
    pub(super) fn fire_periodic(&mut self, now: i64, panes: &mut Panes) {
        let (Some(last), History::Often(firings)) = (self.processing_time, &mut self.history)
        else {
            return; // nothing has come, or all waits for the watermark
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
        if let History::Often(firings) = &mut self.history {
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
        let window = self.store.entry(slot).window;
        let closed = || {
            let watermark = self.watermarks.combined();
            self.lateness.is_closed(window, watermark)
        };
        match self.trigger {
            Trigger::Final => None,
            Trigger::Panes { late, .. } if closed() => Some(late),
            Trigger::Panes { early, .. } => Some(early),
        }
    }

    /// Fires the one pane of a slot that fires once, and takes back what was shown before.
    fn fire_once(&mut self, slot: Slot, open: ShownOpen, panes: &mut Panes) {
        let entry = *self.store.entry(slot);
        let firing = Firing {
            window: entry.window,
            timing: if entry.born_late {
                Timing::Late
            } else {
                Timing::OnTime
            },
            index: open.fired,
            is_last: true,
            is_retraction: false,
        };
        // Most often nothing was shown before.
        if !open.shown.is_empty() {
            self.take_back(slot, open.shown, Why::Grace, panes);
        }
        self.push_pane(slot, firing, Why::Grace, panes);
    }

    /// Fires a pane of a slot, after what it takes back.
    pub(super) fn fire(&mut self, slot: Slot, why: Why, panes: &mut Panes) {
        let entry = *self.store.entry(slot);
        let watermark = self.watermarks.combined();
        let judged = self.lateness.judge(entry.window, watermark);
        let closed = judged != Judgement::OnTime;
        let next = self.history.next(slot, closed, entry.born_late);
        let firing = Firing {
            window: entry.window,
            timing: next.timing,
            index: next.index,
            // Who stops leaves the window to others.
            is_last: judged == Judgement::Expired && why != Why::Stop,
            is_retraction: false,
        };
        self.store.touch(slot);
        let values = self.is_taken_back().then(|| {
            let values: Vec<Value> = self.store.values(slot).collect();
            values
        });
        if let Some(values) = values.clone() {
            self.history.remember(slot, Shown { firing, values });
        }
        self.take_back(slot, next.shown, why, panes);
        match values {
            Some(values) => self.push_values(slot, firing, why, values, panes),
            None => self.push_pane(slot, firing, why, panes),
        }
        if self.refinement == Refinement::Discarding {
            self.store.empty(slot);
        }
    }

    /// Returns whether what is shown may have to be taken back. The same window's next pane replaces
    /// the one before; another session's does not.
    fn is_taken_back(&self) -> bool {
        match self.refinement {
            Refinement::Retracting => true,
            Refinement::Accumulating => matches!(self.windows, Windows::Session { .. }),
            Refinement::Discarding => false,
        }
    }

    /// Takes back what was shown of a slot, before its next pane.
    fn take_back(&mut self, slot: Slot, mut shown: Vec<Shown>, why: Why, panes: &mut Panes) {
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
        if self.listener.is_some() {
            let values = self.store.values(slot).collect();
            return self.push_values(slot, firing, why, values, panes);
        }
        self.account.rows += 1;
        let (keys, key) = (&self.store.keys, self.store.entry(slot).key);
        let values = self.store.values(slot);
        panes.push(firing, |bytes| keys.push_bytes(key, bytes), values);
    }

    /// Adds a pane of some values.
    fn push_values(
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

    /// Returns the watermark at which a slot may have something to do first; whether it has fired at
    /// its close already is looked at then.
    pub(super) fn first_due(&self, window: Window) -> i64 {
        match self.trigger {
            Trigger::Final => self.lateness.expires_at(window),
            Trigger::Panes { .. } => self.lateness.closes_at(window),
        }
    }
}
