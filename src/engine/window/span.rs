//! One window, and the times that lie in the same windows.

use serde::{Deserialize, Serialize};

use crate::engine::watermark::{BEGINNING, END};

/// A span of event time in ms since 1970, UTC. Orders by end, then start, which is the order in
/// which windows close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first ms in it.
    pub start: i64,
    /// The first ms after it; of a session or a sliding window the last ms in it.
    pub end: i64,
}

impl Window {
    /// Returns the window of one ms, both ends being in it.
    pub fn instant(at: i64) -> Self {
        Window { start: at, end: at }
    }

    /// Returns whether it begins where it ends.
    #[inline]
    pub fn is_instant(self) -> bool {
        self.start == self.end
    }
}

/// The one window of all time.
pub const ALL_TIME: Window = Window {
    start: BEGINNING,
    end: END,
};

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
pub(super) const MAX_WINDOWS: i64 = 100_000;
