//! How the slots of a record are found.

pub mod grid;
pub mod session;
pub mod sliding;
pub mod timers;
