//! Bars and rates on stderr; hidden where stderr is not a terminal, and for what ends at once.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::term::report::Report;
use crate::term::units;

/// A bar over a known or unknown number of records, drawn at most ten times a second.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Returns a bar over `total` records, or a spinner where the total is not known. `doing`
    /// precedes it: `generating`.
    pub fn new(report: &Report, doing: &'static str, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => "{msg} [{bar:24}] {count}/{total}, {rate}, {eta} left",
            None => "{msg} {spinner} {count}, {rate}",
        };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        Self::draw(bar, report, doing, template)
    }

    /// Returns a bar that shows by itself how much of `total` has passed since `started`:
    /// `12 s of 60 s`.
    pub fn of_time(
        report: &Report,
        doing: &'static str,
        started: Instant,
        total: Duration,
    ) -> Self {
        let bar =
            ProgressBar::with_draw_target(Some(total.as_secs()), ProgressDrawTarget::hidden())
                .with_elapsed(started.elapsed());
        Self::draw(
            bar,
            report,
            doing,
            "{msg} {spinner} {passed} s of {total} s",
        )
    }

    /// Draws a bar from here on.
    fn draw(bar: ProgressBar, report: &Report, doing: &'static str, template: &str) -> Self {
        type Out<'o> = &'o mut dyn std::fmt::Write;
        // A bar that cannot be written harms nothing.
        fn put(out: Out<'_>, text: String) {
            let _ = out.write_str(&text);
        }
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ")
            .with_key("count", |state: &ProgressState, out: Out<'_>| {
                put(out, units::format_count(state.pos()));
            })
            .with_key("total", |state: &ProgressState, out: Out<'_>| {
                put(out, units::format_count(state.len().unwrap_or(0)));
            })
            .with_key("rate", |state: &ProgressState, out: Out<'_>| {
                put(out, units::format_rate(state.per_sec()));
            })
            .with_key("passed", |state: &ProgressState, out: Out<'_>| {
                put(out, units::format_count(state.elapsed().as_secs()));
            });
        bar.set_style(style);
        bar.set_message(doing);
        let bar = report.bars().add(bar);
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// Sets the number of records, or seconds, in all, where it was only estimated.
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
