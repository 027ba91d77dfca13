//! Where a record goes: the windows that hold it, and what is counted of it.
//!
//! Comes in: a row of a batch, once the watermark has taken note of its time. Goes out: the row
//! left for its slots' states, or a record counted as expired or a duplicate.

use super::{Input, Late, Operator, Placement};
use crate::engine::aggregate::Slot;
use crate::engine::pane::journal::Event;
use crate::engine::state::keys::KeyId;
use crate::engine::window::Window;

impl Operator {
    /// Puts a record into its windows.
    #[inline]
    pub(super) fn assign(&mut self, row: usize, input: &Input<'_, '_>) {
        match self.placement {
            _ if self.keeps_apart() => self.assign_apart(row, input),
            Placement::Grid(_) => self.assign_on_grid(row, input),
            Placement::Sessions(..) if self.handing.is_some() => self.add_to_part(row, input),
            Placement::Sessions(..) => self.assign_to_session(row, input),
            Placement::Sliding(..) => self.assign_to_sliding(row, input),
        }
    }

    #[inline]
    fn assign_on_grid(&mut self, row: usize, input: &Input<'_, '_>) {
        let all_taken = self.journal.is_none() && !self.store.tells_apart();
        let Placement::Grid(grid) = &mut self.placement else {
            return;
        };
        let found = grid.find(input.times[row], &self.windows);
        if !all_taken || !grid.all_open(self.watermarks.combined()) {
            return self.assign_where_kept(row, found, input);
        }
        self.account.on_time += 1;
        self.account.windows.on_time += found as u64;
        let key = self.key_ids[row];
        for nth in 0..found {
            let slot = grid.slot(nth, key, &mut self.store, false);
            grid.count(nth, 1);
            self.store.push(slot, row);
            if let Some(firings) = &mut self.firings {
                firings.touch(slot, &self.store);
            }
        }
    }

    /// Puts a record into those of its windows on the grid that still take it.
    fn assign_where_kept(&mut self, row: usize, found: usize, input: &Input<'_, '_>) {
        let watermark = self.watermarks.combined();
        let values = input.arguments_of(input.distinct);
        let (mut kept, mut closed, mut duplicate) = (false, None, false);
        for nth in 0..found {
            let Placement::Grid(grid) = &mut self.placement else {
                return;
            };
            let candidate = *grid.candidate(nth);
            let late = watermark >= candidate.window.end;
            if late {
                closed = closed.or(Some(candidate.window)); // the first is the one that ends last
            }
            if watermark >= candidate.expires_at {
                self.expire(candidate.window);
                continue;
            }
            let slot = grid.slot(nth, self.key_ids[row], &mut self.store, late);
            if !self.store.is_first(slot, row, &values) {
                duplicate = true;
                let window = candidate.window;
                self.note(|record| Event::Duplicate { record, window });
                continue;
            }
            kept = true;
            self.take_in(row, slot, candidate.window, late, &[]);
        }
        match duplicate && !kept {
            true => self.account.duplicates += 1,
            false => self.count(row, kept, closed),
        }
    }

    fn assign_to_session(&mut self, row: usize, input: &Input<'_, '_>) {
        let (key, watermark) = (self.key_ids[row], self.judging());
        let Placement::Sessions(sessions, _) = &mut self.placement else {
            return;
        };
        // Upstream it was judged and counted.
        let part = input.parts.and_then(|parts| parts.judged_whole(row));
        let joined = match part {
            Some(part) => sessions.join_part(key, part, &self.store),
            None => sessions.join(key, input.times[row], &self.store),
        };
        let window = joined.window;
        let closes_at = self.windows.closes_at(window);
        let expires_at = closes_at.saturating_add(self.grace_ms);
        let late = watermark >= closes_at;
        if watermark >= expires_at && part.is_some() {
            self.strays += 1;
            return;
        }
        if watermark >= expires_at {
            self.expire(window);
            return self.count(row, false, Some(window));
        }
        let slots = || joined.into.iter().chain(&joined.bridged);
        let earlier = || slots().map(|&slot| self.store.entry(slot));
        let born_late = late && earlier().all(|entry| entry.born_late);
        let joins: Vec<Window> = match self.journal {
            Some(_) => earlier().map(|entry| entry.window).collect(),
            None => Vec::new(),
        };
        let slot = match joined.into {
            Some(slot) => slot,
            None => {
                let slot = self.store.take(key, window, late);
                sessions.add(slot, &self.store);
                slot
            }
        };
        for &bridged in &joined.bridged {
            self.flush(input);
            self.merge(slot, bridged);
        }
        let first_due = self.first_due(window);
        let Placement::Sessions(_, timers) = &mut self.placement else {
            return;
        };
        let reopened = match &mut self.firings {
            Some(firings) => firings.reopen(slot, late, &self.store),
            None => false,
        };
        // A bridge may close before the note of the earlier session, which had closed.
        if joined.into.is_none() || !joined.bridged.is_empty() || reopened {
            timers.set(first_due, slot, &self.store);
        }
        self.store.set_window(slot, window, born_late);
        if part.is_some() {
            return self.leave(row, slot);
        }
        self.take_in(row, slot, window, late, &joins);
        self.count(row, true, late.then_some(window));
    }

    /// Makes one session of two.
    pub(super) fn merge(&mut self, into: Slot, bridged: Slot) {
        self.store.merge(into, bridged);
        self.merge_fired(into, bridged);
        if let Placement::Sessions(sessions, _) = &mut self.placement {
            sessions.remove(bridged, &self.store);
        }
        self.store.drop(&[bridged]);
    }

    fn assign_to_sliding(&mut self, row: usize, input: &Input<'_, '_>) {
        let Placement::Sliding(sliding, _) = &self.placement else {
            return;
        };
        let (key, at) = (self.key_ids[row], input.times[row]);
        let watermark = self.judging();
        let found = sliding.windows(key, at, &self.store);
        let (mut kept, mut closed) = (false, None);
        for (window, slot) in found {
            let closes_at = self.windows.closes_at(window);
            let late = watermark >= closes_at;
            let expired = watermark >= closes_at.saturating_add(self.grace_ms);
            let holds = window.start <= at;
            if holds && late {
                closed = Some(window);
            }
            if expired {
                if holds {
                    self.expire(window);
                }
                continue;
            }
            // The window after the record comes last: one that is not kept makes none.
            if !holds && !kept {
                continue;
            }
            let slot = match slot {
                Some(slot) => slot,
                None => self.make_sliding(key, window, late, input),
            };
            if holds {
                kept = true;
                self.take_in(row, slot, window, late, &[]);
            }
        }
        if kept {
            self.keep_moment(row, key, at);
        }
        self.count(row, kept, closed);
    }

    /// Makes a sliding window of what the key's moments in it hold.
    fn make_sliding(
        &mut self,
        key: KeyId,
        window: Window,
        late: bool,
        input: &Input<'_, '_>,
    ) -> Slot {
        self.flush(input);
        let slot = self.store.take(key, window, late);
        let first_due = self.first_due(window);
        let Placement::Sliding(sliding, timers) = &mut self.placement else {
            return slot;
        };
        let moments: Vec<Slot> = sliding.moments(key, window, &self.store).collect();
        for &moment in &moments {
            self.store.merge(slot, moment);
        }
        sliding.add(slot, &self.store);
        timers.set(first_due, slot, &self.store);
        if let Some(firings) = &mut self.firings {
            firings.begin(slot, &moments, &self.store);
        }
        if let Some(journal) = &mut self.journal {
            let mut bytes = Vec::new();
            self.store.keys.push_bytes(key, &mut bytes);
            let moments = moments
                .iter()
                .map(|&slot| self.store.entry(slot).window.start);
            let moments: Vec<i64> = moments.collect();
            journal.note(Event::Made {
                window,
                key: &bytes,
                moments: &moments,
            });
        }
        slot
    }

    /// Keeps what a record brings for windows that later ones make.
    fn keep_moment(&mut self, row: usize, key: KeyId, at: i64) {
        let Placement::Sliding(sliding, timers) = &mut self.placement else {
            return;
        };
        let moment = match sliding.moment(key, at, &self.store) {
            Some(moment) => moment,
            None => {
                let window = Window { start: at, end: at };
                let moment = self.store.take(key, window, false);
                sliding.add(moment, &self.store);
                let forgotten = self.windows.forgotten_at(at).saturating_add(self.grace_ms);
                timers.set(forgotten, moment, &self.store);
                moment
            }
        };
        self.store.count(moment);
        self.store.push(moment, row);
        if let Some(firings) = &mut self.firings {
            firings.keep(moment, &self.store);
        }
    }

    /// Takes a record into a window that still takes it.
    fn take_in(&mut self, row: usize, slot: Slot, window: Window, late: bool, joins: &[Window]) {
        match late {
            true => self.account.windows.late += 1,
            false => self.account.windows.on_time += 1,
        }
        self.store.count(slot);
        self.leave(row, slot);
        self.note(|record| Event::Assigned {
            record,
            window,
            late,
            joins,
        });
    }

    /// Leaves a row to be added to a slot, which may have to fire by that.
    #[inline]
    pub(super) fn leave(&mut self, row: usize, slot: Slot) {
        self.store.push(slot, row);
        if let Some(firings) = &mut self.firings {
            firings.touch(slot, &self.store);
        }
    }

    /// Counts that a record came after the grace of one of its windows.
    pub(super) fn expire(&mut self, window: Window) {
        self.account.windows.expired += 1;
        let by_ms = self.past_close(window);
        self.note(|record| Event::Expired {
            record,
            window,
            by_ms,
        });
    }

    /// Counts a record by its best window; `closed` is the one that closed last of its windows
    /// that had closed.
    pub(super) fn count(&mut self, row: usize, kept: bool, closed: Option<Window>) {
        let Some(window) = closed else {
            self.account.on_time += 1;
            return;
        };
        let (watermark, by_ms) = (self.judging(), self.past_close(window));
        if kept {
            self.account.late += 1;
        } else {
            self.account.expired += 1;
            let needed = by_ms.saturating_add(1);
            self.account.grace_needed_ms = self.account.grace_needed_ms.max(needed);
        }
        if let Some(lates) = &mut self.lates {
            lates.push(Late {
                row,
                window,
                watermark,
                by_ms,
                expired: !kept,
            });
        }
    }

    /// Returns how far the watermark is past a window's close, in ms.
    fn past_close(&self, window: Window) -> i64 {
        let closes_at = self.windows.closes_at(window);
        self.judging().saturating_sub(closes_at)
    }
}
