//! What `k gen` prints at its end.

use super::job::{Tally, Written};
use crate::cdr::{Disposition, Recipe};
use crate::term::report::Report;
use crate::term::units;

/// The figures of the summary.
pub(super) struct Summary<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) written: &'a Written,
    /// Where calls and segments went.
    pub(super) to: &'a [String; 2],
    /// Whether the run was completed.
    pub(super) is_complete: bool,
}

impl Summary<'_> {
    pub(super) fn show(&self, report: &Report) {
        let Written {
            calls,
            segments,
            elapsed,
        } = self.written;
        let counts = [
            calls.as_ref().map(|tally| (self.count_calls(tally), tally)),
            segments
                .as_ref()
                .map(|tally| (units::format_plural(tally.rows, "tower segment"), tally)),
        ];
        let written: Vec<String> = counts
            .into_iter()
            .zip(self.to)
            .filter_map(|(count, to)| {
                let (count, tally) = count?;
                Some(format!(
                    "{count} to {to} ({})",
                    units::format_bytes(tally.bytes)
                ))
            })
            .collect();
        let rows: u64 = calls.iter().chain(segments).map(|tally| tally.rows).sum();
        let seconds = elapsed.as_secs_f64();
        report.status(format!("wrote {}", written.join(" and ")));
        // Of a batch that was cut off, only the number of rows is known.
        let is_known = |calls: &&Tally| calls.rows == calls.dispositions.iter().sum::<u64>();
        if let Some(calls) = calls.as_ref().filter(is_known) {
            report.status(self.dispositions(calls));
        }
        report.status(format!(
            "took {seconds:.3} s, rows at {}",
            units::format_rate(rows as f64 / seconds.max(1e-9)),
        ));
        report.status(format!(
            "the same again with `--seed {} --start {}`",
            self.recipe.seed,
            units::format_time(self.recipe.start_timestamp)
        ));
    }

    /// Returns `100 calls`, or `110 rows (100 calls, 10 of them twice)`.
    fn count_calls(&self, tally: &Tally) -> String {
        if self.recipe.duplicates == 0.0 {
            return units::format_plural(tally.rows, "call");
        }
        let rows = units::format_plural(tally.rows, "row");
        match tally.rows.checked_sub(self.recipe.calls()) {
            Some(copies) if self.is_complete => format!(
                "{rows} ({}, {} of them twice)",
                units::format_plural(self.recipe.calls(), "call"),
                units::format_count(copies)
            ),
            _ => format!("{rows} of calls"),
        }
    }

    /// Returns `80 connected, 10 busy, 10 failed; 3 out of order, by up to 1m30s`.
    fn dispositions(&self, calls: &Tally) -> String {
        let counts: Vec<String> = Disposition::ALL
            .iter()
            .zip(calls.dispositions)
            .map(|(disposition, count)| {
                format!("{} {}", units::format_count(count), disposition.name())
            })
            .collect();
        let order = match calls.out_of_order {
            0 => "none out of order".to_owned(),
            count => format!(
                "{} out of order, by up to {}",
                units::format_count(count),
                units::format_duration(calls.furthest_ms)
            ),
        };
        format!("{}; {order}", counts.join(", "))
    }
}
