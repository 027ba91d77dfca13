//! Windows of one size, one every so often: tumbling and hopping.

use super::span::{MAX_WINDOWS, Window};
use crate::error::{Error, Result};
use crate::term::units::format_duration;

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
                "the size and advance of a window must be above zero",
            ));
        }
        if advance_ms > size_ms {
            return Err(Error::usage(format!(
                "the advance {} is larger than the size {}: records between two windows would be lost",
                format_duration(advance_ms),
                format_duration(size_ms)
            )));
        }
        if size_ms / advance_ms > MAX_WINDOWS {
            return Err(Error::usage(format!(
                "every record would lie in {} windows; at most {MAX_WINDOWS} are possible",
                size_ms / advance_ms
            ))
            .hint("choose a longer advance or a shorter size"));
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

    /// Returns how long a window is, in ms.
    pub(crate) fn size_ms(&self) -> i64 {
        self.size_ms
    }

    /// Returns how long after a window the next one starts, in ms.
    pub(crate) fn advance_ms(&self) -> i64 {
        self.advance_ms
    }

    /// Returns how far the starts lie behind multiples of the advance, in ms.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Returns the start of the last window that contains `at`.
    fn last_start(&self, at: i64) -> i64 {
        at - (at - self.offset_ms).rem_euclid(self.advance_ms)
    }

    /// Adds the windows that contain `at`, the one that closes last first, and those among them
    /// that end after the last of them starts but not after `at`; returns when the last starts
    /// and when the next one would.
    pub(super) fn push_containing(&self, at: i64, windows: &mut Vec<Window>) -> (i64, i64) {
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
    use crate::engine::window::Windows;

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
