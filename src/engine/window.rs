//! Where in event time: kinds of windows, and when each closes.
//!
//! Comes in: a record's event time. Goes out: the windows of a fixed grid that contain it; those
//! of sessions and sliding windows depend on the key's other records and are found by
//! [`super::session`] and [`super::sliding`]. Times are ms since 1970, UTC ("The Dataflow
//! Model", §2.2; Kafka Streams' `TimeWindows`, `SessionWindows`, `SlidingWindows`).

use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::watermark::{BEGINNING, END};
use crate::error::{Error, Result};
use crate::term::units::format_duration;

/// A span of event time in ms since 1970, UTC. Orders by end, then start, which is the order in
/// which windows close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first ms in it.
    pub start: i64,
    /// The first ms after it; of a session or a sliding window the last ms in it.
    pub end: i64,
}

/// The one window of all time.
pub const ALL_TIME: Window = Window {
    start: BEGINNING,
    end: END,
};

/// Which windows records are put into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Windows {
    /// Of one size, one every so often: tumbling, hopping.
    Aligned(Aligned),
    /// Of days, weeks, months or years of the calendar, in a time zone.
    Calendar(Calendar),
    /// A key's records of which each is at most `gap_ms` from the next, first to last.
    Session {
        /// A gap of exactly this joins.
        gap_ms: i64,
        /// The longest time between the first and the last record; `None` for any.
        max_ms: Option<i64>,
    },
    /// A key's records that are at most this far apart, for every such set that ends with a
    /// record or begins right after one (Kafka Streams' `SlidingWindows`, KIP-450).
    Sliding {
        /// From the first to the last ms of a window.
        apart_ms: i64,
    },
    /// [`ALL_TIME`].
    Global,
}

impl Windows {
    /// Returns the watermark at which a window closes.
    #[inline]
    pub fn closes_at(&self, window: Window) -> i64 {
        match self {
            Windows::Aligned(_) | Windows::Calendar(_) | Windows::Global => window.end,
            Windows::Session { gap_ms, .. } => window.end.saturating_add(*gap_ms).saturating_add(1),
            Windows::Sliding { .. } => window.end.saturating_add(1),
        }
    }

    /// Returns whether a slot's window is a moment of sliding windows, from which they are made.
    pub(super) fn is_moment(&self, window: Window) -> bool {
        matches!(self, Windows::Sliding { .. }) && window.start == window.end
    }

    /// Returns the watermark at which no window that is open then can hold a record of time `at`.
    /// A session may go on for ever: it is the end of the input.
    pub fn forgotten_at(&self, at: i64) -> i64 {
        match self {
            Windows::Session { .. } => END,
            // The window after the record says where it begins.
            Windows::Sliding { apart_ms } => at.saturating_add(*apart_ms).saturating_add(2),
            _ => self.span(at, &mut Vec::new()).last_end,
        }
    }

    /// Adds to `windows` those that contain `at`, the one that closes last first, and returns
    /// the times that lie in exactly these. Sessions and sliding windows have none.
    pub fn span(&self, at: i64, windows: &mut Vec<Window>) -> Span {
        let first = windows.len();
        let (mut from, mut to) = match self {
            Windows::Aligned(aligned) => aligned.push_containing(at, windows),
            Windows::Calendar(calendar) => calendar.push_containing(at, windows),
            _ => {
                windows.push(ALL_TIME);
                (BEGINNING, END)
            }
        };
        // A size that the advance does not divide: some windows end in between.
        let mut last_end = from;
        let mut kept = first;
        for nth in first..windows.len() {
            let window = windows[nth];
            last_end = last_end.max(window.end);
            if window.end <= at {
                from = from.max(window.end);
            } else {
                to = to.min(window.end);
                windows[kept] = window;
                kept += 1;
            }
        }
        windows.truncate(kept);
        Span { from, to, last_end }
    }
}

/// Times that lie in the same windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first of them.
    pub from: i64,
    /// The first ms after them.
    pub to: i64,
    /// The end of the window that ends last.
    pub last_end: i64,
}

impl Ord for Window {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.end, self.start).cmp(&(other.end, other.start))
    }
}

impl PartialOrd for Window {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The most windows that a record may lie in.
pub(super) const MOST_WINDOWS: i64 = 100_000;

/// Windows of one size that start every `advance`: tumbling where both are equal, else hopping.
///
/// ```text
/// size 4, advance 2      0   2   4   6   8
/// windows of time 5          [2,     6)
///                                [4,     8)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aligned {
    size_ms: i64,
    advance_ms: i64,
    offset_ms: i64,
}

impl Aligned {
    /// Returns windows of `size_ms`, one after the other.
    ///
    /// # Errors
    /// `usage` for a size of zero or less.
    pub fn tumbling(size_ms: i64) -> Result<Self> {
        Self::hopping(size_ms, size_ms)
    }

    /// Returns windows of `size_ms` that start every `advance_ms`, which need not divide the size.
    ///
    /// # Errors
    /// `usage` for a size or an advance of zero or less, and for an advance above the size,
    /// which would leave gaps.
    pub fn hopping(size_ms: i64, advance_ms: i64) -> Result<Self> {
        if size_ms <= 0 || advance_ms <= 0 {
            return Err(Error::usage(
                "a window's size and advance must be above zero",
            ));
        }
        if advance_ms > size_ms {
            return Err(Error::usage(format!(
                "the advance {} is larger than the window's size {}: records between two windows would be lost",
                format_duration(advance_ms),
                format_duration(size_ms)
            )));
        }
        if size_ms / advance_ms > MOST_WINDOWS {
            return Err(Error::usage(format!(
                "every record would lie in {} windows; the most is {MOST_WINDOWS}",
                size_ms / advance_ms
            ))
            .hint("take a longer advance or a shorter size"));
        }
        Ok(Aligned {
            size_ms,
            advance_ms,
            offset_ms: 0,
        })
    }

    /// Shifts the starts from multiples of the advance by `offset_ms`.
    pub fn aligned_at(mut self, offset_ms: i64) -> Self {
        self.offset_ms = offset_ms.rem_euclid(self.advance_ms);
        self
    }

    /// Returns the start of the last window that contains `at`.
    fn last_start(&self, at: i64) -> i64 {
        at - (at - self.offset_ms).rem_euclid(self.advance_ms)
    }

    /// Adds the windows that contain `at`, the one that closes last first, and those among them
    /// that end after the last of them starts but not after `at`; returns when the last starts
    /// and when the next one would.
    fn push_containing(&self, at: i64, windows: &mut Vec<Window>) -> (i64, i64) {
        let from = self.last_start(at);
        let mut start = from;
        while from - start < self.size_ms {
            let end = start.saturating_add(self.size_ms);
            windows.push(Window { start, end });
            start -= self.advance_ms;
        }
        (from, from.saturating_add(self.advance_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn containing(windows: Aligned, at: i64) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        let span = Windows::Aligned(windows).span(at, &mut found);
        assert!(span.from <= at && at < span.to);
        for same in [span.from, span.to - 1] {
            let mut others = Vec::new();
            assert_eq!(Windows::Aligned(windows).span(same, &mut others), span);
            assert_eq!(others, found);
        }
        let pairs = found.iter().map(|window| (window.start, window.end));
        pairs.collect()
    }

    #[test]
    fn a_time_on_the_border_belongs_to_the_window_that_it_starts() {
        let ten = Aligned::tumbling(10).expect("a size");
        assert_eq!(containing(ten, 9), [(0, 10)]);
        assert_eq!(containing(ten, 10), [(10, 20)]);
        assert_eq!(containing(ten, -1), [(-10, 0)]);
    }

    #[test]
    fn hopping_windows_need_no_dividing_advance() {
        let windows = Aligned::hopping(10, 4).expect("a size");
        assert_eq!(containing(windows, 9), [(8, 18), (4, 14), (0, 10)]);
        assert_eq!(containing(windows, 11), [(8, 18), (4, 14)]);
        assert_eq!(containing(windows, -3), [(-4, 6), (-8, 2), (-12, -2)]);
    }

    #[test]
    fn every_window_that_is_returned_contains_the_time_and_none_is_missed() {
        for (size, advance, offset) in [(7, 3, 0), (10, 10, 4), (5, 1, 0), (6, 4, 3)] {
            let windows = Aligned::hopping(size, advance)
                .expect("a size")
                .aligned_at(offset);
            for at in -50..50 {
                let mut naive: Vec<(i64, i64)> = (-100..100)
                    .map(|n| n * advance + offset)
                    .filter(|&start| start <= at && at < start + size)
                    .map(|start| (start, start + size))
                    .collect();
                naive.reverse();
                assert_eq!(
                    containing(windows, at),
                    naive,
                    "{size} {advance} {offset} at {at}"
                );
            }
        }
    }

    #[test]
    fn windows_that_would_lose_records_are_refused() {
        assert!(Aligned::tumbling(0).is_err());
        assert!(Aligned::hopping(10, 0).is_err());
        assert!(Aligned::hopping(10, 11).is_err());
    }
}
