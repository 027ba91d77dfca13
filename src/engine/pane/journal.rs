//! The events that the engine reports to a listener as they happen.
//!
//! From these events alone every pane and the account can be computed again. Without a listener
//! nothing of this is made. Times are ms since 1970, UTC; keys are the bytes of [`crate::engine::state::keys`].

use crate::column::Value;
use crate::engine::pane::Firing;
use crate::engine::state::keys::{KeyId, Keys};
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

    /// Notes a run of records, for who wants [`Detail::Runs`].
    fn note_run(&mut self, _now: Option<i64>, _run: &Run<'_>) {}

    /// Returns how much of the next batch is wanted.
    fn detail(&self) -> Detail {
        Detail::Each
    }
}

/// How much of a batch somebody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Watermarks, malformed records, ticks and panes. Records go through the engine as fast as
    /// without a listener.
    Outline,
    /// Records, too: those in a row to which the same happens together as a [`Run`], by column, the
    /// others one by one without their arguments and columns. Which windows close is not noted.
    Runs,
    /// Each record with all that is known of it, and each window that closes.
    Each,
}

/// Records in a row that are on time in the same windows, or filtered, and by which no pane is due.
#[derive(Debug, Clone, Copy)]
pub struct Run<'r> {
    /// Their partition.
    pub partition: usize,
    /// The number of the first among all records that were read.
    pub record: u64,
    /// Their event times.
    pub times: &'r [i64],
    /// Which of them `--where` selects; `None` for all.
    pub selected: Option<&'r [bool]>,
    /// The windows that each goes into, in that order.
    pub windows: &'r [Window],
    /// How they move the watermark.
    pub moves: Moves,
    pub(crate) arrivals: Option<&'r [i64]>,
    pub(crate) appended: &'r [Option<i64>],
    pub(crate) places: &'r [u64],
    pub(crate) place: u64,
    pub(crate) keys: &'r Keys,
    /// One a record; empty where there are no grouping columns.
    pub(crate) ids: &'r [KeyId],
}

impl Run<'_> {
    /// Returns how far processing time comes with a record, where a column says it.
    #[inline]
    pub fn clock(&self, row: usize) -> Option<i64> {
        self.arrivals.map(|rows| rows[row])
    }

    /// Returns when a record came, as [`Event::Read`] says it.
    #[inline]
    pub fn arrival(&self, row: usize) -> Option<i64> {
        self.clock(row)
            .or_else(|| self.appended.get(row).copied().flatten())
    }

    /// Returns a record's offset or line.
    #[inline]
    pub fn place(&self, row: usize) -> u64 {
        let place = self.places.get(row).copied();
        place.unwrap_or(self.place + row as u64)
    }

    /// Returns a number that stands for a record's key for as long as [`Run::keys_named`] says the same;
    /// `None` where all records have one key.
    #[inline]
    pub fn key(&self, row: usize) -> Option<usize> {
        self.ids.get(row).map(|&id| id as usize)
    }

    /// Returns how often numbers of keys have come to name others.
    pub fn keys_named(&self) -> u64 {
        self.keys.taken_away()
    }

    /// Appends the bytes of a record's key.
    pub fn push_key(&self, row: usize, bytes: &mut Vec<u8>) {
        if let Some(&id) = self.ids.get(row) {
            self.keys.push_bytes(id, bytes);
        }
    }
}

/// How records move the watermark, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Moves {
    /// Their partition's watermark before the first of them.
    pub reached: i64,
    /// The combined watermark before the first of them.
    pub combined: i64,
    /// How far theirs stays behind the highest event time, in ms.
    pub bound_ms: i64,
    /// The least watermark of the other partitions that are not idle.
    pub others: Option<i64>,
}

impl Moves {
    /// Takes note of an event time; returns whether their partition's watermark moves by it.
    #[inline]
    pub fn observe(&mut self, at: i64) -> bool {
        let reached = at.saturating_sub(self.bound_ms);
        if reached <= self.reached {
            return false;
        }
        self.reached = reached;
        let lowest = self.others.map_or(reached, |others| others.min(reached));
        self.combined = self.combined.max(lowest);
        true
    }
}
