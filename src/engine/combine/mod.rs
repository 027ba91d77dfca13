//! What was computed in parts, put together.

pub mod merge;
pub mod parts;
