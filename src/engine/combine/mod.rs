//! What was computed in parts, put together.

pub mod handoff;
pub(crate) mod merge;
