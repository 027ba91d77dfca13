//! Records in a row between which nothing is due.
//!
//! Most records lie in the windows of the one before, and no window closes between them. Then the
//! watermark need be looked at only once, and the records go into each window in one short loop.
//! What comes out is what `Operator::on_row` makes of them one by one.

use std::ops::Range;

use multiversion::multiversion;

use super::{Books, Input, Operator, YEAR_1980};
use crate::engine::pane::journal::Detail;
use crate::engine::placement::Placement;
use crate::engine::placement::grid::{Grid, Quiet};
use crate::engine::watermark::{Bound, highest};

impl Operator {
    /// Takes in the first of some rows of a batch, as far as none of them needs a look of its own;
    /// returns the row after them, the first of all if it does.
    pub(super) fn on_run(&mut self, rows: Range<usize>, input: &Input<'_, '_>) -> usize {
        match &mut self.placement {
            Placement::Grid(grid) => self.books.on_run(grid, rows, input),
            // Each record may make a window of its key another.
            Placement::Sessions(_) | Placement::Sliding(_) => rows.start,
        }
    }
}

impl Books {
    fn on_run(&mut self, grid: &mut Grid, rows: Range<usize>, input: &Input<'_, '_>) -> usize {
        let quiet = grid.quiet();
        let Some(bound_ms) = self.bound_of_runs(&quiet, input) else {
            return rows.start;
        };
        // The watermark stays below by as much as it stays behind.
        let to = quiet.span.to.min(quiet.below.saturating_add(bound_ms));
        let length = leading(&input.times[rows.clone()], quiet.span.from, to);
        let rows = rows.start..rows.start + length;
        if length > 0 {
            self.take_run(grid, bound_ms, rows.clone(), input);
        }
        rows.end
    }

    /// Returns how far the watermark stays behind, in ms; `None` where each row needs a look.
    fn bound_of_runs(&self, quiet: &Quiet, input: &Input<'_, '_>) -> Option<i64> {
        let by_one = self.detail() == Detail::Each
            || !self.history.fires_once()
            || self.store.tells_apart()
            || input.arrivals.is_some() && self.may_tick()
            || self.leave.keeps_apart();
        match self.watermarks.bound() {
            _ if by_one || self.watermarks.combined() >= quiet.below => None,
            Bound::Fixed(bound_ms) => Some(bound_ms),
            Bound::Percentile(_) => None,
        }
    }

    /// Returns whether panes may leave as processing time moves; its first moment is noted, too.
    fn may_tick(&self) -> bool {
        self.processing_time.is_none() || self.trigger.periods().next().is_some()
    }

    /// Takes in the rows of a run; the watermark stays `bound_ms` behind.
    fn take_run(
        &mut self,
        grid: &mut Grid,
        bound_ms: i64,
        rows: Range<usize>,
        input: &Input<'_, '_>,
    ) {
        if self.detail() == Detail::Runs {
            self.note_rows(grid.windows(), bound_ms, rows.clone(), input);
        }
        let times = &input.times[rows.clone()];
        let early = (grid.quiet().span.from < YEAR_1980).then_some(times);
        let before_1980 = early.iter().copied().flatten();
        let before_1980 = before_1980.filter(|&&at| at < YEAR_1980).count();
        if let Some(high) = highest(times) {
            let moved = self.watermarks.observe(input.partition, high);
            if self.listener.is_some() {
                self.note_mover(moved, bound_ms, rows.clone(), input);
            }
        }
        let selected = input.selected.map(|selected| &selected[rows.clone()]);
        let kept = selected.map_or(times.len(), |selected| {
            selected.iter().filter(|&&selected| selected).count()
        });
        let mut placed = 0;
        if kept > 0 {
            let keys = &self.key_ids[rows.clone()];
            placed = grid.place_run(keys, rows.start, selected, &mut self.store);
        }
        self.records += times.len() as u64;
        self.account.before_1980 += before_1980 as u64;
        self.account.filtered += (times.len() - kept) as u64;
        self.account.on_time += kept as u64;
        self.account.windows.on_time += placed as u64;
    }

    /// Reports which of a run's records has brought the watermark as far as it is now, and notes how far
    /// processing time has come with each.
    fn note_mover(
        &mut self,
        moved: bool,
        bound_ms: i64,
        rows: Range<usize>,
        input: &Input<'_, '_>,
    ) {
        let arrivals = input.arrivals.map(|arrivals| &arrivals[rows.clone()]);
        if moved && self.detail() == Detail::Outline {
            let needed = self.watermarks.combined().saturating_add(bound_ms);
            let mut times = input.times[rows].iter();
            let mover = times.position(|&at| at >= needed);
            if let (Some(arrivals), Some(row)) = (arrivals, mover) {
                arrivals[..=row]
                    .iter()
                    .for_each(|&now| self.note_clock(now));
            }
            let record = mover.map(|row| self.records + row as u64);
            self.note_watermark(Some(input.partition), record);
        }
        if let Some(now) = arrivals.and_then(highest) {
            self.note_clock(now);
        }
    }
}

/// Returns how many times there are before the first that is not in `from..to`.
#[multiversion(targets("x86_64+avx2"))]
fn leading(times: &[i64], from: i64, to: i64) -> usize {
    /// This many are looked at together, without a branch.
    const BLOCK: usize = 64;
    let lies_in = |at: &i64| (*at >= from) & (*at < to);
    let (blocks, _) = times.as_chunks::<BLOCK>();
    let all_lie_in = |block: &&[i64; BLOCK]| block.iter().fold(true, |all, at| all & lies_in(at));
    let whole = BLOCK * blocks.iter().take_while(all_lie_in).count();
    whole + times[whole..].iter().take_while(|at| lies_in(at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_outside_is_found_at_every_place() {
        for length in [0, 1, 63, 64, 65, 200] {
            for outside in 0..=length {
                for wrong in [9, 20, i64::MIN, i64::MAX] {
                    let mut times = vec![10; length];
                    times[outside..].fill(wrong);
                    assert_eq!(leading(&times, 10, 20), outside, "of {length}: {wrong}");
                }
            }
        }
    }
}
