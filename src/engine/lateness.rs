//! When a window closes, when it expires, and so who is late: decided here for every window. Joins
//! have no windows, and rules of their own ([`crate::engine::join`]).
//!
//! ```text
//! watermark   ───────────────────────┬─────────────────┬──────────────►
//! a record is          on time       │      late       │    expired
//!                                closes_at         expires_at
//! ```
//! A window of a grid closes at its end, a session once a gap after its last record has passed, a
//! sliding window right after its last ms; each expires a grace later (Kafka Streams'
//! `KStreamWindowAggregate`: `windowEnd > closeTime`).

use super::watermark::END;
use super::window::{Window, Windows};

/// What a record is to one of its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The window is open.
    OnTime,
    /// The window has closed and still takes records.
    Late,
    /// The window's grace has passed, too: it takes none.
    Expired,
}

/// The rule by which records are judged.
#[derive(Debug, Clone, Copy)]
pub struct Lateness {
    /// How long after its end a window closes, in ms.
    after_end_ms: i64,
    /// For how long after its close it takes late records, in ms.
    grace_ms: i64,
    /// How long after its time a moment may become part of a new sliding window, in ms; `None` for
    /// other windows, which have no moments.
    moment_ms: Option<i64>,
}

impl Lateness {
    /// Returns the rule for windows with a grace.
    pub fn new(windows: &Windows, grace_ms: i64) -> Self {
        let (after_end_ms, moment_ms) = match windows {
            Windows::Aligned(_) | Windows::Calendar(_) | Windows::Global => (0, None),
            Windows::Session { gap_ms, .. } => (gap_ms.saturating_add(1), None),
            // The last window that holds a moment begins 1 ms after the record before it.
            Windows::Sliding { apart_ms } => (1, Some(apart_ms.saturating_add(2))),
        };
        Lateness {
            after_end_ms,
            grace_ms,
            moment_ms,
        }
    }

    /// Returns what a record of a window is at a watermark.
    #[inline]
    pub fn judge(&self, window: Window, watermark: i64) -> Judgement {
        let closes_at = self.closes_at(window);
        if watermark < closes_at {
            Judgement::OnTime
        } else if watermark < closes_at.saturating_add(self.grace_ms) {
            Judgement::Late
        } else {
            Judgement::Expired
        }
    }

    /// Returns whether a window has closed at a watermark.
    #[inline]
    pub fn is_closed(&self, window: Window, watermark: i64) -> bool {
        self.judge(window, watermark) != Judgement::OnTime
    }

    /// Returns the watermark at which a window closes.
    #[inline]
    pub fn closes_at(&self, window: Window) -> i64 {
        window.end.saturating_add(self.after_end_ms)
    }

    /// Returns the watermark at which a window's grace has passed.
    #[inline]
    pub fn expires_at(&self, window: Window) -> i64 {
        self.closes_at(window).saturating_add(self.grace_ms)
    }

    /// Returns how far a watermark is past a window's close, in ms.
    pub fn past_close(&self, window: Window, watermark: i64) -> i64 {
        watermark.saturating_sub(self.closes_at(window))
    }

    /// Returns whether a slot's window is a moment of sliding windows, from which they are made.
    #[inline]
    pub fn is_moment(&self, window: Window) -> bool {
        self.moment_ms.is_some() && window.is_instant()
    }

    /// Returns the watermark at which a window, or a moment, is dropped.
    #[inline]
    pub fn leaves_at(&self, window: Window) -> i64 {
        match self.moment_ms {
            Some(moment_ms) if window.is_instant() => {
                let forgotten = window.start.saturating_add(moment_ms);
                forgotten.saturating_add(self.grace_ms)
            }
            _ => self.expires_at(window),
        }
    }

    /// Returns whether a window, or a moment, is dropped at a watermark.
    #[inline]
    pub fn has_left(&self, window: Window, watermark: i64) -> bool {
        watermark >= self.leaves_at(window)
    }

    /// Returns the watermark at which a record of time `at` is in no window that takes records. A
    /// session may go on forever: it is the end of the input.
    pub fn forgotten_at(&self, at: i64, windows: &Windows) -> i64 {
        match windows {
            Windows::Session { .. } => END,
            Windows::Sliding { .. } => self.leaves_at(Window::instant(at)),
            Windows::Aligned(_) | Windows::Calendar(_) | Windows::Global => {
                let end = windows.span(at, &mut Vec::new()).last_end;
                self.expires_at(Window { start: at, end })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Judgement::{Expired, Late, OnTime};
    use super::*;
    use crate::engine::window::Aligned;

    #[test]
    fn a_record_is_on_time_until_the_close_and_late_until_the_grace_has_passed() {
        let ten = Windows::Aligned(Aligned::tumbling(10).expect("a size"));
        let session = Windows::Session {
            gap_ms: 5,
            max_ms: None,
        };
        let sliding = Windows::Sliding { apart_ms: 10 };
        for (windows, closes_at) in [(ten, 10), (session, 16), (sliding, 11)] {
            let window = Window { start: 0, end: 10 };
            let judged = |grace_ms: i64, watermark: i64| {
                Lateness::new(&windows, grace_ms).judge(window, watermark)
            };
            assert_eq!(judged(3, closes_at - 1), OnTime, "{windows:?}");
            assert_eq!(judged(3, closes_at), Late, "{windows:?}");
            assert_eq!(judged(3, closes_at + 2), Late, "{windows:?}");
            assert_eq!(judged(3, closes_at + 3), Expired, "{windows:?}");
            assert_eq!(judged(0, closes_at), Expired, "{windows:?}");
        }
    }

    #[test]
    fn a_moment_stays_as_long_as_a_window_may_be_made_of_it() {
        // The record before comes at 7: its next window is [8, 18], and closes at 19.
        let sliding = Windows::Sliding { apart_ms: 10 };
        let lateness = Lateness::new(&sliding, 3);
        let moment = Window::instant(7);
        let last = Window { start: 8, end: 18 };
        assert!(lateness.is_moment(moment) && !lateness.is_moment(last));
        assert_eq!(lateness.leaves_at(moment), lateness.expires_at(last));
    }
}
