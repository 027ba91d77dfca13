//! The line below a live table: how fast records come, how far event time is, what is left to read.

use std::time::{Duration, Instant};

use super::summary::shown_watermark;
use crate::engine::account::Account;
use crate::term::rate::Rate;
use crate::term::units::{format_plural, format_rate};

/// How often a live table is drawn.
const REDRAW: Duration = Duration::from_millis(250);

/// What the line is made of.
#[derive(Debug)]
pub(super) struct Footer {
    drawn: Instant,
    rate: Rate,
}

impl Footer {
    /// Returns the footer of a run that begins.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Footer {
            drawn: now,
            rate: Rate::new(now),
        }
    }

    /// Returns whether it is time to draw.
    pub(super) fn is_due(&self) -> bool {
        self.drawn.elapsed() >= REDRAW
    }

    /// Returns the line: `12.3 k/s, watermark 2026-01-01T00:00:10Z, 1,234 records behind`.
    pub(super) fn line(&mut self, account: &Account, watermark: i64, lag: Option<u64>) -> String {
        self.drawn = Instant::now();
        self.text(self.drawn, account.records(), watermark, lag)
    }

    fn text(&mut self, now: Instant, records: u64, watermark: i64, lag: Option<u64>) -> String {
        let rate = format_rate(self.rate.take(now, records));
        let watermark = shown_watermark(watermark);
        let lag = match lag {
            None => String::new(),
            Some(0) => ", nothing left to read".to_owned(),
            Some(lag) => format!(", {} behind", format_plural(lag, "record")),
        };
        format!("{rate}, watermark {watermark}{lag}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::watermark::BEGINNING;

    #[test]
    fn the_rate_is_that_of_the_last_two_seconds() {
        let mut footer = Footer::new();
        let began = footer.drawn;
        let at = |half: u32| began + half * Duration::from_millis(500);
        let mut line = |half, records| footer.text(at(half), records, BEGINNING, None);
        assert_eq!(line(1, 500), "1000/s, watermark not set");
        for half in 2..=8 {
            line(half, 500 * u64::from(half));
        }
        assert_eq!(line(9, 4_000), "750/s, watermark not set");
        for half in 10..=13 {
            line(half, 4_000);
        }
        let silent = footer.text(at(14), 4_000, 1_767_225_600_000, Some(1_200));
        assert_eq!(
            silent,
            "0/s, watermark 2026-01-01T00:00:00Z, 1,200 records behind"
        );
    }
}
