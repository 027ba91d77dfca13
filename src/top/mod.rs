//! What `k top` shows: topics, groups and nodes, now and over the last minute.
//!
//! ```text
//! Snapshot, one a second ─► History ─► View: sections of rows ─► draw: a screen
//!                                                             └► plain text (--once)
//! ```
//!
//! In: [`Snapshot`]s of what a broker told, with the time of each. Out: rows of text. Nothing here
//! asks a broker, reads a clock or knows a terminal.

pub mod draw;
pub mod history;
pub mod view;

pub use history::{Commit, Group, History, Partition, Snapshot, Topic};
