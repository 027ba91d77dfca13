//! Where results go: rows of windows as CSV, JSON lines, a table or records of a topic; records
//! of topics as they are.
//!
//! Comes in: [`Panes`] or messages. Goes out: bytes.

pub mod records;
pub mod table;
pub mod text;
pub mod topic;

use crate::engine::pane::Panes;
use crate::error::Result;

/// The columns of a result: `window_start`, `window_end`, the grouping columns, the aggregates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The names of the grouping columns.
    pub keys: Vec<String>,
    /// The names of the aggregates.
    pub values: Vec<String>,
}

impl Header {
    /// Returns all names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let window = ["window_start", "window_end"].into_iter();
        let rest = self.keys.iter().chain(&self.values).map(String::as_str);
        window.chain(rest)
    }
}

/// Something that results are written to.
pub trait Sink {
    /// Writes some rows.
    ///
    /// # Errors
    /// `refused` when a file or disk refuses, `ClosedPipe` when nobody reads any more.
    fn write(&mut self, panes: &Panes) -> Result<()>;

    /// Sees to it that every row written so far can be read by others.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn flush(&mut self) -> Result<()>;

    /// Returns whether a person watches, who wants to see open windows, too.
    fn wants_open(&self) -> bool {
        false
    }

    /// Shows the rows of open windows as they are now, in place of those shown before.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn show_open(&mut self, _open: &Panes) -> Result<()> {
        Ok(())
    }
}
