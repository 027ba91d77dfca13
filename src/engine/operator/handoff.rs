//! What leaves as states instead of rows: for threads to put together, and for an operator elsewhere;
//! and what comes in that operators upstream have handed on.

use super::{Books, Input, Noted, Operator};
use crate::engine::aggregate::Slot;
use crate::engine::codec;
use crate::engine::combine::handoff::{Combining, Head, Parts};
use crate::engine::combine::merge::Merger;
use crate::engine::lateness::Judgement;
use crate::engine::leave::{HandOn, Leave, Left};
use crate::engine::pane::Panes;
use crate::engine::placement::Placement;
use crate::engine::placement::grid::Grid;
use crate::engine::placement::session::Sessions;
use crate::engine::state::keys::KeyId;
use crate::engine::watermark::BEGINNING;
use crate::engine::window::Window;
use crate::error::Result;

impl Operator {
    /// Keeps windows that leave as parts from now on, for [`Operator::hand_over`]: others
    /// hold more of them. For windows of a grid that fire once.
    pub fn keep_partials(&mut self) {
        self.books.leave = Leave::Merge(Vec::new());
    }

    /// Returns how many windows have left as parts since they were last handed over.
    pub fn partials(&self) -> usize {
        match &self.books.leave {
            Leave::Merge(partials) => partials.len(),
            Leave::Show | Leave::HandOn(_) => 0,
        }
    }

    /// Hands over the parts of windows that have left, as those of the operator with the number
    /// `nth`.
    ///
    /// # Errors
    /// `bug` where another operator has another plan.
    pub fn hand_over(&mut self, nth: usize, merger: &mut Merger) -> Result<()> {
        let keys = &mut self.books.store.keys;
        let mut rows = 0;
        if let Leave::Merge(partials) = &mut self.books.leave {
            for part in partials.drain(..) {
                rows += part.len();
                merger.add(nth, part, keys)?;
            }
        }
        keys.sweep(rows);
        Ok(())
    }

    /// Hands parts on from now on, and shows nothing itself: for [`Operator::take_parts`].
    pub fn hand_on(&mut self, combining: Combining) {
        self.books.leave = Leave::HandOn(HandOn {
            combining,
            left: Vec::new(),
        });
    }

    /// Hands over the key and the rest of every part since the last call, and begins with empty
    /// states. To be called between two batches.
    ///
    /// # Errors
    /// `bug` where a state cannot be written; then what was handed over is not all.
    pub fn take_parts(&mut self, mut part: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let Leave::HandOn(hand_on) = &mut self.books.leave else {
            return Ok(()); // no parts leave
        };
        let mut left = std::mem::take(&mut hand_on.left);
        let judged_at = None;
        let open = self.placement.take_all().into_iter();
        left.extend(open.map(|slot| Left { slot, judged_at }));
        let store = &mut self.books.store;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for &Left { slot, judged_at } in &left {
            let entry = store.entry(slot);
            key.clear();
            store.keys.push_bytes(entry.key, &mut key);
            value.clear();
            codec::put(&mut value, &(entry.window, judged_at))?;
            store.save_states(slot, &mut value)?;
            part(&key, &value);
        }
        let slots: Vec<Slot> = left.iter().map(|left| left.slot).collect();
        store.drop(&slots);
        store.keys.sweep(slots.len());
        Ok(())
    }

    /// Returns room for parts of the same plan.
    pub fn no_parts(&self) -> Parts {
        Parts::new(self.books.store.no_states())
    }

    /// Takes in parts that operators upstream have handed on; panes that became due leave into
    /// `panes`. The watermarks of those operators are to follow, by [`Operator::on_watermark`].
    ///
    /// # Errors
    /// `bug` where the parts are of another plan; the panes are wrong then.
    pub fn on_parts(&mut self, parts: &Parts, panes: &mut Panes) -> Result<()> {
        let books = &mut self.books;
        books.key_ids.clear();
        let ids = parts.keys().map(|key| books.store.keys.intern(key));
        books.key_ids.extend(ids);
        let input = Input {
            partition: 0,
            origin: 0,
            first: 0,
            noted: Noted::default(),
            malformed: &[],
            times: parts.times(),
            arrivals: None,
            selected: None,
            keys: &[],
            arguments: &[],
            carried: &[],
            taken_back: None,
            distinct: None,
            parts: Some(parts),
        };
        for (row, head) in parts.heads().iter().enumerate() {
            self.books.judged_at = head.judged_at.unwrap_or(BEGINNING);
            match &mut self.placement {
                Placement::Grid(grid) => self.books.assign_part(grid, row, head),
                Placement::Sessions(_) | Placement::Sliding(_) => self.assign(row, &input),
            }
            self.books.fire_counted(&input, panes);
        }
        let books = &mut self.books;
        books.judged_at = BEGINNING;
        books.flush(&input);
        books.store.keys.sweep(parts.len());
        books.store.check()
    }

    /// Returns how many parts were dropped because their window had left.
    pub fn strays(&self) -> u64 {
        self.books.strays
    }
}

impl Books {
    /// Hands a record on alone: what windows it lies in is found where all records of its key are.
    pub(super) fn hand_on_alone(&mut self, row: usize, input: &Input<'_, '_>) {
        let moment = Window::instant(input.times[row]);
        let watermark = self.watermarks.combined();
        let slot = self.take_apart(self.key_ids[row], moment, false, Some(watermark));
        self.store.push(slot, row);
    }

    /// Returns a slot that is handed on with the next parts, and takes no other record.
    pub(super) fn take_apart(
        &mut self,
        key: KeyId,
        window: Window,
        late: bool,
        judged_at: Option<i64>,
    ) -> Slot {
        let slot = self.store.take(key, window, late);
        self.leave.hand_on(slot, judged_at);
        slot
    }

    /// Adds a record to the others of its session that were read since the last parts were taken.
    pub(super) fn add_to_part(
        &mut self,
        sessions: &mut Sessions,
        row: usize,
        input: &Input<'_, '_>,
    ) {
        let (key, at) = (self.key_ids[row], input.times[row]);
        let alone = Window::instant(at);
        if self.lateness.judge(alone, self.watermarks.combined()) != Judgement::OnTime {
            // Late unless its session is a longer one, perhaps of what came before it here.
            let before = sessions.take(key).into_iter();
            before.for_each(|slot| self.leave.hand_on(slot, None));
            return self.hand_on_alone(row, input);
        }
        let joined = sessions.join(key, at, &self.store);
        let slot = match joined.into {
            Some(slot) => slot,
            None => self.begin_session(sessions, key, joined.window, false),
        };
        for bridged in joined.bridged {
            self.flush(input);
            self.merge(sessions, slot, bridged);
        }
        self.store.set_window(slot, joined.window, false);
        self.store.push(slot, row);
        self.count(row, true, None);
        self.account.windows.on_time += 1;
    }

    /// Puts a part into its window on the grid. One whose window has left, since its place had
    /// been idle or it was sent twice, is dropped and counted.
    fn assign_part(&mut self, grid: &mut Grid, row: usize, part: &Head) {
        let watermark = self.watermarks.combined();
        let judged = self.lateness.judge(part.window, watermark);
        if judged == Judgement::Expired {
            self.strays += 1;
            return;
        }
        let closed = judged == Judgement::Late;
        let (key, store) = (self.key_ids[row], &mut self.store);
        let slot = grid.slot_in(part.window, key, store, closed, part.born_late);
        let born_late = store.entry(slot).born_late && part.born_late;
        store.set_window(slot, part.window, born_late);
        self.leave_for(slot, row);
    }
}
