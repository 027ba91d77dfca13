//! One step of something that takes seconds: a spinner with its time, then a line that stays.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::term::printable::printable;
use crate::term::report::Report;

/// A step under way; its spinner is hidden where stderr is not a terminal.
#[derive(Debug)]
pub struct Step {
    report: Report,
    doing: String,
    bar: ProgressBar,
    began: Instant,
}

impl Step {
    /// Begins a step; `doing` follows the spinner: `waiting for kafka`.
    pub fn begin(report: &Report, doing: impl Into<String>) -> Self {
        let doing = doing.into();
        let bar = report.bars().add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_message(printable(doing.as_bytes()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Step {
            report: report.clone(),
            doing,
            bar,
            began: Instant::now(),
        }
    }

    /// Shows what the step is at: the last line of a program, the reason for waiting on.
    pub fn at(&self, detail: &str) {
        let message = format!("{}: {}", self.doing, detail.trim());
        self.bar.set_message(printable(message.as_bytes()));
    }

    /// Ends the step with a line that stays, with the time it took.
    pub fn done(self, line: &str) {
        self.bar.finish_and_clear();
        let seconds = self.began.elapsed().as_secs_f64();
        self.report.status(format!("{line:<64} {seconds:>6.1} s"));
    }
}

impl Drop for Step {
    /// Takes the spinner off the screen, however the step ends.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
