//! What is shown: results on stdout, all else on stderr.

pub mod grid;
pub mod period;
pub mod printable;
pub mod progress;
pub mod report;
pub mod step;
pub mod table;
pub mod units;
