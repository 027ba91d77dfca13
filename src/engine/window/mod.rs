//! Where in event time: kinds of windows, and those of a grid that contain a time.
//!
//! In: a record's event time. Out: the windows of a fixed grid that contain it; those of sessions
//! and sliding windows depend on the key's other records and are found by `placement`. Times are ms
//! since 1970, UTC ("The Dataflow Model", §2.2; Kafka Streams' `TimeWindows`, `SessionWindows`,
//! `SlidingWindows`).

mod aligned;
pub mod calendar;
mod span;

pub use aligned::Aligned;
use calendar::Calendar;
pub use span::{ALL_TIME, Span, Window};

use super::watermark::{BEGINNING, END};

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
