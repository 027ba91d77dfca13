//! Records that have no end: where they begin, and the way out.

use super::framing::QuotedRecords;
use super::{FileSource, Framing, MAX_RECORD_BYTES};
use crate::error::Error;
use crate::source::Survey;
use crate::source::reshape::Open;
use crate::term::units::format_plural;

impl FileSource {
    /// Returns where the quote opens that what was read does not close: it makes one field of all
    /// that follows.
    pub(super) fn open_quote(&self) -> Option<usize> {
        let Framing::Delimited(delimiter) = self.framing else {
            return None;
        };
        let mut records = QuotedRecords::new(&self.buffer[..self.filled], delimiter);
        records.by_ref().for_each(drop);
        records.is_quoted.then_some(records.opened)
    }

    /// Returns how far was looked for an end.
    pub(super) fn looked_through(&self) -> String {
        if self.ended {
            "the input".to_owned()
        } else {
            format!("{} MiB", MAX_RECORD_BYTES >> 20)
        }
    }

    /// Returns what of JSON that is not lines has not ended so far.
    pub(super) fn open_json(&self) -> Option<Open> {
        self.reshape.and_then(|reshape| reshape.open())
    }

    pub(super) fn without_end(&self, open: Open) -> Error {
        let (what, line) = match open {
            Open::Value(line) => {
                let before = format_plural(self.records, "record");
                (format!("after {before}, the value"), line)
            }
            Open::Array(line) => ("the array".to_owned(), line),
        };
        Error::data(format!(
            "{}: {what} that begins in line {line} of the input is not closed before the end of {}",
            self.name,
            self.looked_through(),
        ))
        .hint(match open {
            Open::Value(_) => "close its bracket or quote",
            Open::Array(_) => "the input may be cut off; if it is complete, close it with `]`",
        })
    }

    pub(super) fn not_closed(&self, opened: usize) -> Error {
        Error::data(format!(
            "{}, line {}: the quote that opens here is not closed before the end of {}",
            self.name,
            self.line + Survey::of(&self.buffer[..opened]).newlines as u64,
            self.looked_through(),
        ))
        .hint("close it; a quote inside a quoted field is written twice")
    }
}
