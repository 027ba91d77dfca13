//! The events that the engine reports to a listener as they happen.
//!
//! From these events alone every pane and the account can be computed again. Without a listener
//! nothing of this is made. Times are ms since 1970, UTC; keys are the bytes of [`crate::engine::state::keys`].

use crate::column::Value;
use crate::engine::pane::Firing;
use crate::engine::window::Window;

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    /// A record was read.
    Read {
        /// Its number among all that were read, from 0; later events name it.
        record: u64,
        /// Its partition.
        partition: usize,
        /// Its offset, or its line.
        place: u64,
        /// Its event time.
        at: i64,
        /// When it came, in processing time: by the column of arrivals, else as the broker appended
        /// it; `None` where neither is known.
        arrival: Option<i64>,
        /// Its grouping values.
        key: &'e [u8],
        /// The arguments of the aggregates; null for `count(*)`, a list of both for `max_by`.
        arguments: &'e [Value],
        /// The columns that are wanted of it.
        columns: &'e [Value],
        /// Whether it takes an earlier one back.
        taken_back: bool,
    },
    /// A watermark moved: that of a partition, the combined one, or both.
    Watermark {
        /// The partition's, where a record or an upstream has moved it.
        partition: Option<(usize, i64)>,
        /// The combined one, which may be where it was.
        combined: i64,
        /// The record that moved it; `None` where none did, as when a partition falls silent.
        record: Option<u64>,
    },
    /// A partition fell silent, or spoke again.
    Idle {
        /// The partition.
        partition: usize,
        /// Whether it holds the watermark back no more.
        idle: bool,
    },
    /// Processing time came to a moment at which panes may leave.
    Tick {
        /// The moment.
        at: i64,
    },
    /// `--where` did not select a record.
    Filtered {
        /// The record.
        record: u64,
    },
    /// A window had taken a record of the same `--distinct` value.
    Duplicate {
        /// The record.
        record: u64,
        /// The window.
        window: Window,
    },
    /// A record went into a window.
    Assigned {
        /// The record.
        record: u64,
        /// The window; of a session what it is with the record.
        window: Window,
        /// How far the watermark was past the window's close, in ms; `None` before it.
        late_by_ms: Option<i64>,
        /// The sessions of the key that are part of it from now on.
        joins: &'e [Window],
    },
    /// A sliding window was made that holds what the key's records at some moments brought.
    Made {
        /// The window.
        window: Window,
        /// Its key.
        key: &'e [u8],
        /// The moments, in their order.
        moments: &'e [i64],
    },
    /// A record came after a window's grace.
    Expired {
        /// The record.
        record: u64,
        /// The window.
        window: Window,
        /// How far the watermark is past the window's close.
        by_ms: i64,
    },
    /// The watermark has reached a window's close. Its pane follows where the trigger waits for
    /// that, and else comes later, or not at all.
    Closed {
        /// The window.
        window: Window,
        /// Its key.
        key: &'e [u8],
    },
    /// A window's grace has passed, and it leaves without a pane: the ones before have shown all.
    Left {
        /// The window.
        window: Window,
        /// Its key.
        key: &'e [u8],
    },
    /// A pane was fired.
    Pane {
        /// Which pane it is.
        firing: Firing,
        /// Its key.
        key: &'e [u8],
        /// Why it was fired.
        why: Why,
        /// Its values.
        values: &'e [Value],
    },
    /// A record did not fit its format or its columns, or was too far ahead of its arrival.
    Malformed {
        /// Its number among all that were read.
        record: u64,
        /// Its partition.
        partition: usize,
        /// Where it is, and why it does not fit.
        misfit: &'e Misfit<'e>,
    },
    /// The input ended.
    End,
}

/// A record that does not fit its format or its columns, or comes from a wrong clock, among others
/// that do and are not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Misfit<'m> {
    /// How many of the others come before it.
    pub before: usize,
    /// Its offset, or its line.
    pub place: u64,
    /// Its event time, where that could be read.
    pub at: Option<i64>,
    /// Why it does not fit.
    pub reason: &'m str,
    /// Whether it would, if its time were not too far ahead of its arrival.
    pub(crate) is_ahead: bool,
}

/// Why a pane was fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The watermark closed its window.
    Close,
    /// Its window's grace has passed.
    Grace,
    /// This many records came since the last pane.
    Count,
    /// Processing time has come to a multiple of the period.
    Every,
    /// Nobody may go on.
    Stop,
}

impl Why {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Why::Close => "close",
            Why::Grace => "grace",
            Why::Count => "count",
            Why::Every => "every",
            Why::Stop => "stop",
        }
    }
}

/// Somebody who wants to know what happens.
pub trait Journal: std::fmt::Debug + Send {
    /// Notes  an event. `now` is processing time in ms since 1970, UTC, where the engine knows it:
    /// the highest arrival so far, or what ticks and the clock have said.
    fn note(&mut self, now: Option<i64>, event: Event<'_>);

    /// Returns whether the records of the next batch are wanted one by one. Where they are not,
    /// only watermarks, malformed records, ticks and panes are noted, and records go through the
    /// engine as fast as without a listener.
    fn wants_records(&self) -> bool {
        true
    }
}
