//! What was computed in parts, put together.

pub mod handoff;
pub mod merge;
