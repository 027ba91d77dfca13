//! Where records come from: batches of borrowed bytes from a file, a pipe or a topic.
//!
//! In: what the reader is given. Out: [`Batch`]es, each of one partition and in its order. A source
//! decodes nothing; `format` does.

pub mod file;
pub(crate) mod kafka;
mod read_ahead;
pub(crate) mod reshape;
pub(crate) mod series;
mod survey;
mod unpack;

use std::time::Duration;

use crate::error::Result;
use crate::interrupt::Interrupt;
pub use crate::record::{Committed, Header, Message};
pub(crate) use crate::record::{Headers, Read, TAKEN_BACK};
pub(crate) use series::Section;
pub(crate) use survey::Survey;

/// How many of the first records are looked at, for the names of JSON's members.
pub(crate) const SAMPLE: usize = 1_000;

/// Something that records are read from.
pub trait Source: Send {
    /// Returns the number of partitions; batches name them `0..partitions()`.
    fn partitions(&self) -> usize;

    /// Waits for the first records and returns them without consuming them, so that types can be
    /// inferred; `None` where the source ends before any.
    ///
    /// # Errors
    /// As [`Source::poll`], and `stopped` on a signal.
    fn sample(&mut self, interrupt: &Interrupt) -> Result<Option<Records<'_>>>;

    /// Returns what comes next, waiting at most `timeout` for it.
    ///
    /// # Errors
    /// `refused` when a file cannot be read, `retry` when a broker is out of reach.
    fn poll(&mut self, timeout: Duration) -> Result<Polled<'_>>;

    /// Returns whether everything known to be in `partition` has been handed over.
    fn at_end(&self, partition: usize) -> bool;

    /// Returns whether records are read as they come, so that the clock says something of them.
    fn is_live(&self) -> bool {
        false
    }

    /// Returns how many records are known to be there and have not been handed over, if that is known.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// Asks for `partition` to be read before the others, because event time there is furthest behind.
    fn prefer(&mut self, _partition: usize) {}

    /// Returns where a group had come to in `partition` when the source was opened.
    fn committed(&self, _partition: usize) -> Option<&Committed> {
        None
    }

    /// Returns the next offset of `partition` that will be handed over, if it counts any.
    fn position(&self, _partition: usize) -> Option<i64> {
        None
    }

    /// Commits for its group where some partitions have come to.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when members of the group are at work; after a
    /// signal the user is warned instead, and it is `stopped`.
    fn commit(&mut self, _positions: &[(usize, Committed)]) -> Result<()> {
        Ok(())
    }

    /// Returns itself, if several readers can share it.
    fn as_file(&mut self) -> Option<&mut file::FileSource> {
        None
    }

    /// Returns its name in messages: `topic mono_signal`, `data/tower.csv`, `stdin`.
    fn name(&self) -> String;
}

/// What a [`Source`] had.
#[derive(Debug)]
pub enum Polled<'a> {
    /// Records of one partition.
    Batch(Batch<'a>),
    /// Nothing within the timeout; more may come.
    Pending,
    /// Nothing, and nothing ever again.
    End,
}

/// Records of one partition, in its order.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Which of the source's partitions, `0..partitions()`.
    pub partition: usize,
    /// The records.
    pub records: Records<'a>,
}

/// Records as bytes that borrow from the source.
#[derive(Debug)]
pub enum Records<'a> {
    /// Whole lines of a file or a pipe, without its header.
    Lines(Lines<'a>),
    /// Messages of a topic.
    Messages(Vec<Message<'a>>),
}

/// Whole lines of a file or a pipe; the last one ends with a newline, too.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// The lines, without a byte order mark.
    pub bytes: &'a [u8],
    /// The number of the first line; that of a file's first line is 1, and of several files that are
    /// read as one it goes on.
    pub(crate) first_line: u64,
    /// What is in the lines.
    pub(crate) survey: Survey,
    /// Which of several files they are of.
    pub(crate) section: Option<Section>,
}

impl<'a> Lines<'a> {
    /// Returns some lines, the first of which has the number `first_line`.
    pub fn new(bytes: &'a [u8], first_line: u64) -> Self {
        Lines {
            bytes,
            first_line,
            survey: Survey::of(bytes),
            section: None,
        }
    }
}
