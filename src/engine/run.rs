//! Records in a row between which nothing is due.
//!
//! Most records lie in the windows of the one before, and no window closes between them. Then the
//! watermark need be looked at only once, and the records go into each window in one short loop.
//! What comes out is what [`Operator::on_batch`] makes of them one by one.

use std::ops::Range;

use super::operator::{Input, Operator, Placement, YEAR_1980};
use super::watermark::Bound;

impl Operator {
    /// Returns the rows of a batch from `first` on that can be taken in at once; none where the
    /// row itself needs a look.
    pub(super) fn run(&self, first: usize, input: &Input<'_, '_>) -> Range<usize> {
        let (Placement::Grid(grid), Bound::Fixed(bound_ms)) =
            (&self.placement, self.watermarks.bound())
        else {
            return first..first;
        };
        let by_one = self.journal.is_some()
            || self.firings.is_some()
            || self.store.tells_apart()
            || input.arrivals.is_some()
            || self.keeps_apart();
        let quiet = grid.quiet();
        if by_one || self.watermarks.combined() >= quiet.below {
            return first..first;
        }
        // The watermark stays below by as much as it stays behind.
        let to = quiet.span.to.min(quiet.below.saturating_add(bound_ms));
        let times = input.times[first..].iter();
        let lie_in = |at: &&i64| (quiet.span.from..to).contains(*at);
        first..first + times.take_while(lie_in).count()
    }

    /// Takes in the rows of a run.
    pub(super) fn on_run(&mut self, rows: Range<usize>, input: &Input<'_, '_>) {
        let times = &input.times[rows.clone()];
        let Placement::Grid(grid) = &mut self.placement else {
            return;
        };
        if let Some(&high) = times.iter().max() {
            self.watermarks.observe(input.partition, high);
        }
        let before_1980 = times.iter().filter(|&&at| at < YEAR_1980).count();
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
}
