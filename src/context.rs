//! What a command's work is given beside its plan and options.

use crate::interrupt::Interrupt;
use crate::term::report::Report;

/// Where a run speaks to a person, and whether it is to stop.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where status, warnings and hints go.
    pub report: Report,
    /// Whether to stop.
    pub interrupt: Interrupt,
}
