//! A record as it is drawn, and the end of a window as it is written: what gathering and drawing share.

use super::lives::Key;
use crate::engine::watermark::{BEGINNING, END};
use crate::term::units::format_time;

/// A record that is drawn by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dot {
    /// Its event time.
    pub at: i64,
    /// When it came, in processing time or in order.
    pub when: i64,
    /// Its number among all that were read.
    pub record: u64,
    /// Its line or offset.
    pub place: u64,
    /// Its partition.
    pub partition: usize,
    /// Its key.
    pub key: Key,
    /// By how much it was late, in ms.
    pub late_by_ms: i64,
}

/// Writes the end of a window; those of all time have none.
pub(super) fn edge(at: i64) -> String {
    match at {
        BEGINNING => "the beginning".to_owned(),
        END => "the end".to_owned(),
        at => format_time(at),
    }
}
