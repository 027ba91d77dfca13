//! What an operator hands on to another, and takes in from others.

use super::{Input, Operator, Placement};
use crate::engine::aggregate::Slot;
use crate::engine::codec;
use crate::engine::combine::parts::{Combining, Handing, Head, Left, Parts};
use crate::engine::pane::Panes;
use crate::engine::watermark::BEGINNING;
use crate::engine::window::{Window, Windows};

impl Operator {
    /// Hands parts on from now on, and shows nothing itself: for [`Operator::take_parts`].
    pub fn hand_on(&mut self, combining: Combining) {
        self.handing = Some(Handing {
            combining,
            left: Vec::new(),
        });
    }

    /// Returns whether each record leaves as a part of its own.
    #[inline]
    pub(super) fn keeps_apart(&self) -> bool {
        let handing = self.handing.as_ref();
        handing.is_some_and(|handing| handing.combining == Combining::ByRecord)
    }

    /// Puts a record into a slot of its own, in each window of a grid that still takes it; what
    /// windows another one lies in is found where all records of its key are.
    pub(super) fn assign_apart(&mut self, row: usize, input: &Input<'_, '_>) {
        let at = input.times[row];
        let watermark = self.watermarks.combined();
        let Placement::Grid(grid) = &mut self.placement else {
            let moment = Window { start: at, end: at };
            return self.set_apart(row, moment, false, Some(watermark));
        };
        let found = grid.find(at, &self.windows);
        let (mut kept, mut closed) = (false, None);
        for nth in 0..found {
            let Placement::Grid(grid) = &self.placement else {
                return;
            };
            let candidate = *grid.candidate(nth);
            let late = watermark >= candidate.window.end;
            if late {
                closed = closed.or(Some(candidate.window));
            }
            if watermark >= candidate.expires_at {
                self.expire(candidate.window);
                continue;
            }
            kept = true;
            match late {
                true => self.account.windows.late += 1,
                false => self.account.windows.on_time += 1,
            }
            self.set_apart(row, candidate.window, late, None);
        }
        self.count(row, kept, closed);
    }

    /// Adds a record to the others of its session that were read since the last parts were taken.
    pub(super) fn add_to_part(&mut self, row: usize, input: &Input<'_, '_>) {
        let (key, at, watermark) = (
            self.key_ids[row],
            input.times[row],
            self.watermarks.combined(),
        );
        let alone = Window { start: at, end: at };
        let Placement::Sessions(sessions, _) = &mut self.placement else {
            return;
        };
        if watermark >= self.windows.closes_at(alone) {
            // Late unless its session is a longer one, perhaps of what came before it here.
            let before = sessions.take(key).into_iter();
            if let Some(handing) = &mut self.handing {
                let judged_at = None;
                let before = before.map(|slot| Left { slot, judged_at });
                handing.left.extend(before);
            }
            return self.set_apart(row, alone, false, Some(watermark));
        }
        let joined = sessions.join(key, at, &self.store);
        let slot = match joined.into {
            Some(slot) => slot,
            None => {
                let slot = self.store.take(key, joined.window, false);
                sessions.add(slot, &self.store);
                slot
            }
        };
        for bridged in joined.bridged {
            self.flush(input);
            self.merge(slot, bridged);
        }
        self.store.set_window(slot, joined.window, false);
        self.store.push(slot, row);
        self.count(row, true, None);
        self.account.windows.on_time += 1;
    }

    fn set_apart(&mut self, row: usize, window: Window, late: bool, judged_at: Option<i64>) {
        let slot = self.store.take(self.key_ids[row], window, late);
        self.store.push(slot, row);
        if let Some(handing) = &mut self.handing {
            handing.left.push(Left { slot, judged_at });
        }
    }

    /// Hands over the key and the rest of every part since the last call, and begins with empty
    /// states. To be called between two batches.
    pub fn take_parts(&mut self, mut part: impl FnMut(&[u8], &[u8])) {
        let Some(handing) = &mut self.handing else {
            return;
        };
        let mut left = std::mem::take(&mut handing.left);
        let open = match &mut self.placement {
            Placement::Grid(grid) => grid.take_all(),
            Placement::Sessions(sessions, _) => sessions.take_all(),
            Placement::Sliding(..) => Vec::new(),
        };
        let judged_at = None;
        left.extend(open.into_iter().map(|slot| Left { slot, judged_at }));
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for &Left { slot, judged_at } in &left {
            let entry = self.store.entry(slot);
            key.clear();
            self.store.keys.push_bytes(entry.key, &mut key);
            value.clear();
            codec::put(&mut value, &(entry.window, judged_at));
            self.store.save_states(slot, &mut value);
            part(&key, &value);
        }
        let slots: Vec<Slot> = left.iter().map(|left| left.slot).collect();
        self.store.drop(&slots);
        self.store.keys.sweep(slots.len());
    }

    /// Returns room for parts of the same plan.
    pub fn no_parts(&self) -> Parts {
        Parts {
            keys: Vec::new(),
            key_ends: Vec::new(),
            times: Vec::new(),
            heads: Vec::new(),
            states: self.store.no_states(),
        }
    }

    /// Takes in parts that operators upstream have handed on; panes that became due leave into
    /// `panes`. The watermarks of those operators are to follow, by [`Operator::on_watermark`].
    pub fn on_parts(&mut self, parts: &Parts, panes: &mut Panes) {
        self.key_ids.clear();
        let mut start = 0;
        for &end in &parts.key_ends {
            let id = self.store.keys.intern(&parts.keys[start..end]);
            self.key_ids.push(id);
            start = end;
        }
        let input = Input {
            partition: 0,
            origin: 0,
            first: 0,
            places: &[],
            malformed: &[],
            times: &parts.times,
            arrivals: None,
            selected: None,
            keys: &[],
            arguments: &[],
            carried: &[],
            taken_back: None,
            distinct: None,
            parts: Some(parts),
        };
        for (row, head) in parts.heads.iter().enumerate() {
            self.judged_at = head.judged_at.unwrap_or(BEGINNING);
            match self.windows {
                Windows::Session { .. } | Windows::Sliding { .. } => self.assign(row, &input),
                _ => self.assign_part(row, head),
            }
            self.fire_counted(&input, panes);
        }
        self.judged_at = BEGINNING;
        self.flush(&input);
        self.store.keys.sweep(parts.len());
    }

    /// Puts a part into its window on the grid. One whose window has left, since its place had
    /// been idle or it was sent twice, is dropped and counted.
    fn assign_part(&mut self, row: usize, part: &Head) {
        let watermark = self.watermarks.combined();
        if watermark >= self.expires_at(part.window) {
            self.strays += 1;
            return;
        }
        let Placement::Grid(grid) = &mut self.placement else {
            return;
        };
        let closed = watermark >= part.window.end;
        let (key, store) = (self.key_ids[row], &mut self.store);
        let slot = grid.slot_in(part.window, key, store, closed, part.born_late);
        let born_late = store.entry(slot).born_late && part.born_late;
        store.set_window(slot, part.window, born_late);
        self.leave(row, slot);
    }

    /// Returns how many parts were dropped because their window had left.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Returns the watermark that a record is judged by: of a part that of the place where it was
    /// read, which is ahead of the combined one unless it had been idle.
    #[inline]
    pub(super) fn judging(&self) -> i64 {
        self.watermarks.combined().max(self.judged_at)
    }
}
