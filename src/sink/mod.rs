//! Where results go: rows of windows and joins as CSV, JSON lines, a table or records of a topic;
//! records of topics as they are.
//!
//! In: [`Panes`] or messages. Out: bytes.

pub(crate) mod joined;
mod rank;
pub(crate) mod records;
mod select;
mod spread;
pub(crate) mod table;
pub mod text;
pub(crate) mod topic;

pub(crate) use rank::RankSink;
pub(crate) use select::SelectSink;

use crate::engine::pane::Panes;
use crate::error::Result;

/// Something that results are written to.
pub trait Sink: Send {
    /// Writes some rows.
    ///
    /// # Errors
    /// `refused` when a file or disk refuses, `ClosedPipe` if the reader has gone.
    fn write(&mut self, panes: &Panes) -> Result<()>;

    /// Says that of each window that has a row so far all rows were written.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn end_windows(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes sure that others can read every row written so far.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn flush(&mut self) -> Result<()>;

    /// Looks whether anybody still reads, while there is nothing to write.
    ///
    /// # Errors
    /// `ClosedPipe` if the reader has gone.
    fn check_reader(&self) -> Result<()> {
        Ok(())
    }

    /// Returns whether rows go to a terminal, which also shows open windows.
    fn wants_open(&self) -> bool {
        false
    }

    /// Shows the rows of open windows as they are now, and below them how the run goes, in place of
    /// what was shown before.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn show_open(&mut self, _open: &Panes, _footer: &str) -> Result<()> {
        Ok(())
    }
}
