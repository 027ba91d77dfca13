//! Bars and rates on stderr; hidden where stderr is no terminal, and for what ends at once.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::term::report::Report;
use crate::term::units;

/// A bar over a known or unknown number of records, drawn at most ten times a second.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Returns a bar over `total` records, or a spinner where the total is not known.
    /// `doing` stands before it: `generating`.
    pub fn new(report: &Report, doing: &'static str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{msg} [{bar:24}] {count}/{total}, {rate}, {eta} left",
            None => "{msg} {spinner} {count}, {rate}",
        };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
            .with_key(
                "count",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    out.write_str(&units::format_count(state.pos()))
                        .unwrap_or(());
                },
            )
            .with_key(
                "total",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    out.write_str(&units::format_count(state.len().unwrap_or(0)))
                        .unwrap_or(());
                },
            )
            .with_key(
                "rate",
                |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    out.write_str(&units::format_rate(state.per_sec()))
                        .unwrap_or(());
                },
            );
        bar.set_style(style);
        bar.set_message(doing);
        let bar = report.bars().add(bar); // drawn from here on
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// Sets the number of records in all, where it was only estimated.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Sets the number of records done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    /// Takes the bar off the screen, however the run ends.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
