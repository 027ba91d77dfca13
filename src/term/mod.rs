//! What is shown: results on stdout, all else on stderr.

pub(crate) mod entries;
pub(crate) mod grid;
pub mod period;
pub(crate) mod printable;
pub(crate) mod progress;
pub(crate) mod rate;
pub mod report;
pub(crate) mod screen;
pub(crate) mod step;
pub(crate) mod table;
pub mod units;
