//! Where a record goes: the windows that hold it, and what is counted of it.
//!
//! In: a row of a batch, once the watermark has taken note of its time. Out: the row left for its
//! slots' states, or a record counted as expired or a duplicate.

use super::{Books, Input, Operator};
use crate::engine::aggregate::Slot;
use crate::engine::combine::handoff::Combining;
use crate::engine::lateness::Judgement;
use crate::engine::pane::journal::Event;
use crate::engine::placement::Placement;
use crate::engine::placement::grid::Grid;
use crate::engine::placement::session::Sessions;
use crate::engine::placement::sliding::Sliding;
use crate::engine::state::keys::KeyId;
use crate::engine::window::Window;

/// A record that came after the close of a window that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Its row in the batch.
    pub row: usize,
    /// Of its windows that had closed the one that closed last.
    pub window: Window,
    /// The combined watermark then.
    pub watermark: i64,
    /// How far the watermark was past that window's close, in ms.
    pub by_ms: i64,
    /// Whether it was dropped, because the grace of all its windows had passed.
    pub expired: bool,
}

impl Operator {
    /// Puts a record into its windows.
    #[inline]
    pub(super) fn assign(&mut self, row: usize, input: &Input<'_, '_>) {
        let books = &mut self.books;
        match &mut self.placement {
            Placement::Grid(grid) => books.assign_on_grid(grid, row, input),
            Placement::Sessions(sessions) => match books.leave.hands_on() {
                None => books.assign_to_session(sessions, row, input),
                Some(Combining::ByWindow) => books.add_to_part(sessions, row, input),
                Some(Combining::ByRecord) => books.hand_on_alone(row, input),
            },
            Placement::Sliding(sliding) => match books.leave.hands_on() {
                None => books.assign_to_sliding(sliding, row, input),
                Some(_) => books.hand_on_alone(row, input),
            },
        }
    }
}

impl Books {
    #[inline]
    fn assign_on_grid(&mut self, grid: &mut Grid, row: usize, input: &Input<'_, '_>) {
        let found = grid.find(input.times[row], &self.windows);
        let all_taken = !self.notes_records() && !self.store.tells_apart();
        if !all_taken || !grid.all_open(self.watermarks.combined()) || self.leave.keeps_apart() {
            return self.assign_where_kept(grid, row, found, input);
        }
        self.account.on_time += 1;
        self.account.windows.on_time += found as u64;
        let key = self.key_ids[row];
        for nth in 0..found {
            let slot = grid.slot(nth, key, &mut self.store, false);
            grid.count(nth, 1);
            self.leave_for(slot, row);
        }
    }

    /// Puts a record into those of its windows on the grid that still take it.
    fn assign_where_kept(
        &mut self,
        grid: &mut Grid,
        row: usize,
        found: usize,
        input: &Input<'_, '_>,
    ) {
        let (key, watermark) = (self.key_ids[row], self.judging());
        let values = input.arguments_of(input.distinct);
        let keeps_apart = self.leave.keeps_apart();
        let (mut kept, mut closed, mut duplicate) = (false, None, false);
        for nth in 0..found {
            let window = grid.window(nth);
            let judged = self.lateness.judge(window, watermark);
            let late = judged != Judgement::OnTime;
            if late {
                closed = closed.max(Some(window));
            }
            if judged == Judgement::Expired {
                self.expire(window);
                continue;
            }
            let slot = if keeps_apart {
                self.take_apart(key, window, late, None)
            } else {
                grid.slot(nth, key, &mut self.store, late)
            };
            if !self.store.is_first(slot, row, &values) {
                duplicate = true;
                self.note_record(|record| Event::Duplicate { record, window });
                continue;
            }
            kept = true;
            self.take_in(row, slot, window, late, &[]);
        }
        if duplicate && !kept {
            self.account.duplicates += 1
        } else {
            self.count(row, kept, closed)
        }
    }

    fn assign_to_session(&mut self, sessions: &mut Sessions, row: usize, input: &Input<'_, '_>) {
        let (key, watermark) = (self.key_ids[row], self.judging());
        // Upstream it was judged and counted.
        let part = input.parts.and_then(|parts| parts.judged_whole(row));
        let joined = match part {
            Some(part) => sessions.join_part(key, part, &self.store),
            None => sessions.join(key, input.times[row], &self.store),
        };
        let window = joined.window;
        let judged = self.lateness.judge(window, watermark);
        if judged == Judgement::Expired {
            if part.is_some() {
                self.strays += 1;
                return;
            }
            self.expire(window);
            return self.count(row, false, Some(window));
        }
        let late = judged == Judgement::Late;
        let slots = || joined.into.iter().chain(&joined.bridged);
        let earlier = || slots().map(|&slot| self.store.entry(slot));
        let born_late = late && earlier().all(|entry| entry.born_late);
        let joins: Vec<Window> = if self.notes_records() {
            earlier().map(|entry| entry.window).collect()
        } else {
            Vec::new()
        };
        let slot = match joined.into {
            Some(slot) => slot,
            None => self.begin_session(sessions, key, window, late),
        };
        for &bridged in &joined.bridged {
            self.flush(input);
            self.merge(sessions, slot, bridged);
        }
        let reopened = self.history.reopen(slot, late, &self.store);
        // A bridge may close before the note of the earlier session, which had closed.
        if joined.into.is_none() || !joined.bridged.is_empty() || reopened {
            sessions
                .timers
                .set(self.first_due(window), slot, &self.store);
        }
        self.store.set_window(slot, window, born_late);
        if part.is_some() {
            return self.leave_for(slot, row);
        }
        self.take_in(row, slot, window, late, &joins);
        self.count(row, true, late.then_some(window));
    }

    /// Returns the slot of a session that begins.
    pub(super) fn begin_session(
        &mut self,
        sessions: &mut Sessions,
        key: KeyId,
        window: Window,
        late: bool,
    ) -> Slot {
        let slot = self.store.take(key, window, late);
        sessions.add(slot, &self.store);
        slot
    }

    /// Makes one session of two.
    pub(super) fn merge(&mut self, sessions: &mut Sessions, into: Slot, bridged: Slot) {
        self.store.merge(into, bridged);
        self.history.merge(into, bridged, &self.store);
        sessions.remove(bridged, &self.store);
        self.store.drop(&[bridged]);
    }

    fn assign_to_sliding(&mut self, sliding: &mut Sliding, row: usize, input: &Input<'_, '_>) {
        let (key, at) = (self.key_ids[row], input.times[row]);
        let watermark = self.judging();
        let found = sliding.windows(key, at, &self.store);
        let (mut kept, mut closed) = (false, None);
        for (window, slot) in found {
            let judged = self.lateness.judge(window, watermark);
            let late = judged != Judgement::OnTime;
            let holds = window.start <= at;
            if holds && late {
                closed = closed.max(Some(window));
            }
            if judged == Judgement::Expired {
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
                None => self.make_sliding(sliding, key, window, late, input),
            };
            if holds {
                kept = true;
                self.take_in(row, slot, window, late, &[]);
            }
        }
        if kept {
            self.keep_moment(sliding, row, key, at);
        }
        self.count(row, kept, closed);
    }

    /// Makes a sliding window of what the key's moments in it hold.
    fn make_sliding(
        &mut self,
        sliding: &mut Sliding,
        key: KeyId,
        window: Window,
        late: bool,
        input: &Input<'_, '_>,
    ) -> Slot {
        self.flush(input);
        let slot = self.store.take(key, window, late);
        let moments: Vec<Slot> = sliding.moments(key, window, &self.store).collect();
        for &moment in &moments {
            self.store.merge(slot, moment);
        }
        sliding.add(slot, &self.store);
        sliding
            .timers
            .set(self.first_due(window), slot, &self.store);
        self.history.begin(slot, &moments, &self.store);
        self.note_made(slot, &moments);
        slot
    }

    /// Keeps what a record brings for windows that later ones make.
    fn keep_moment(&mut self, sliding: &mut Sliding, row: usize, key: KeyId, at: i64) {
        let moment = match sliding.moment(key, at, &self.store) {
            Some(moment) => moment,
            None => {
                let window = Window::instant(at);
                let moment = self.store.take(key, window, false);
                sliding.add(moment, &self.store);
                let leaves_at = self.lateness.leaves_at(window);
                sliding.timers.set(leaves_at, moment, &self.store);
                moment
            }
        };
        self.store.count(moment);
        self.store.push(moment, row);
        self.history.keep(moment, &self.store);
    }

    /// Takes a record into a window that still takes it.
    fn take_in(&mut self, row: usize, slot: Slot, window: Window, late: bool, joins: &[Window]) {
        if late {
            self.account.windows.late += 1
        } else {
            self.account.windows.on_time += 1
        }
        self.store.count(slot);
        self.leave_for(slot, row);
        self.note_assigned(self.key_ids[row], window, late, joins);
    }

    /// Leaves a row to be added to a slot, which may have to fire by that.
    #[inline]
    pub(super) fn leave_for(&mut self, slot: Slot, row: usize) {
        self.store.push(slot, row);
        self.history.touch(slot, &self.store);
    }

    /// Counts that a record came after the grace of one of its windows.
    fn expire(&mut self, window: Window) {
        self.account.windows.expired += 1;
        let by_ms = self.lateness.past_close(window, self.judging());
        self.note_record(|record| Event::Expired {
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
        let watermark = self.judging();
        let by_ms = self.lateness.past_close(window, watermark);
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

    /// Returns the watermark that a record is judged by: of a part that of the place where it was
    /// read, which is ahead of the combined one unless it had been idle.
    #[inline]
    pub(super) fn judging(&self) -> i64 {
        self.watermarks.combined().max(self.judged_at)
    }
}
