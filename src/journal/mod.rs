//! The format of a journal's file: the engine's events as lines of JSON.
//!
//! In: [`Event`]s of the engine, or a file that `--journal` has written. Out: the same [`Event`],
//! which is written and read by this one definition. `docs/journal.md` describes every member;
//! [`VERSION`] is in the first line and grows when an older reader would get one wrong.
//!
//! A listener of this process takes events from [`Event::of`] without any text in between.
//! Times are ms since 1970, UTC.

mod event;
mod json;
mod plan;
mod reader;

pub use event::{
    Assigned, Duplicate, End, Event, Expired, Filtered, Idle, Malformed, Pane, Read, Tick,
};
pub(crate) use event::{Bounds, Change, Closed};
pub use json::Json;
pub use plan::{Aggregate, Kind, Length, Plan, Windows};
pub use reader::Reader;

/// The version of the format that is written.
pub const VERSION: u32 = 1;
