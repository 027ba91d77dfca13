//! Call detail records: calls and the tower segments of connected calls, made from a seed.
//!
//! In: a [`Recipe`]. Out: [`Call`]s and [`Segment`]s in the order they leave, and their bytes as
//! CSV or JSON lines.
//!
//! ```text
//! Recipe ─► Arrivals ─► Generator ─────────────► Reorder ─► Rows ─► bytes
//!           when calls   who, how long, where     by when    text
//!           start        (chunks, any thread)     they leave
//! ```
//!
//! Chunk c of the calls has random streams of its own, so that the bytes depend on the recipe
//! alone, whatever the number of threads. Arithmetic on floats is `+ - * /` and square root,
//! which IEEE 754 fixes to the last bit, and the functions of `libm`, which are made of
//! nothing else: the bytes are the same on every platform.

mod callers;
mod chunks;
mod delay;
mod digits;
mod duration;
mod generate;
mod recipe;
mod reorder;
mod rows;
mod towers;

pub use chunks::in_order;
pub use delay::Delay;
#[cfg(test)]
pub use delay::Law;
pub use duration::parse_ms;
pub use generate::{Arrivals, CHUNK, Chunk, Departure, Generator};
pub use recipe::{Arrival, Order, RECIPE_FILE, Recipe};
pub use reorder::{Leaves, Reorder};
pub use rows::{Format, Rows, subscriber_name, tower_name};

/// How a call ended; the names are those of the `disposition` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Somebody answered; the call lasts at least 1 ms and is carried by towers.
    Connected,
    /// The callee was busy; the call lasts 0 ms and has no tower.
    Busy,
    /// The network refused; the call lasts 0 ms and has no tower.
    Failed,
}

impl Disposition {
    /// All of them, in the order of their numbers.
    pub const ALL: [Disposition; 3] = [Self::Connected, Self::Busy, Self::Failed];

    /// Returns the text in the `disposition` column.
    pub fn name(self) -> &'static str {
        match self {
            Disposition::Connected => "connected",
            Disposition::Busy => "busy",
            Disposition::Failed => "failed",
        }
    }
}

/// A call: one row of `mono_signal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The place in the order of starts, from 0.
    pub id: u64,
    /// ms since 1970, UTC.
    pub start: i64,
    /// ms; 0 exactly where the call was not connected.
    pub duration_ms: u32,
    /// Which subscriber calls, `0..callers`.
    pub caller: u32,
    /// Which subscriber is called, `0..callers`, never the caller.
    pub callee: u32,
    /// How it ended.
    pub disposition: Disposition,
}

impl Call {
    /// Returns when the call ends, in ms since 1970, UTC.
    pub fn end(&self) -> i64 {
        self.start + i64::from(self.duration_ms)
    }
}

/// A part of a connected call carried by one tower: one row of `tower`.
///
/// The segments of a call tile it: the first starts with it, each next one starts where the
/// last ended and on another tower, the last ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The call's id.
    pub call_id: u64,
    /// ms since 1970, UTC.
    pub start: i64,
    /// ms, at least 1.
    pub duration_ms: u32,
    /// Which tower, `0..towers`.
    pub tower: u32,
}

impl Segment {
    /// Returns when the segment ends, in ms since 1970, UTC.
    pub fn end(&self) -> i64 {
        self.start + i64::from(self.duration_ms)
    }
}
