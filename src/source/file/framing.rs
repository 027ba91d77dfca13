//! What ends a record, and the whole records in some bytes.

use crate::source::Survey;

/// What ends a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A newline outside quotes; fields are between the delimiter.
    Delimited(u8),
    /// A newline.
    Lines,
}

/// Whole records at the front of a buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whole {
    pub length: usize,
    /// How many, blank lines among them.
    pub records: usize,
    pub survey: Survey,
}

impl Whole {
    /// Returns the whole records at the front of some bytes.
    pub fn of(bytes: &[u8], framing: Framing) -> Self {
        let lines = Self::surveyed(bytes, memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1));
        match framing {
            Framing::Delimited(delimiter) if lines.survey.quoted => {
                let ends = QuotedRecords::new(bytes, delimiter);
                let (records, end) = ends.fold((0, 0), |(records, _), end| (records + 1, end));
                Whole {
                    records,
                    ..Self::surveyed(bytes, end)
                }
            }
            _ => lines,
        }
    }

    /// Returns as many bytes as whole lines.
    pub fn surveyed(bytes: &[u8], length: usize) -> Self {
        let survey = Survey::of(&bytes[..length]);
        Whole {
            length,
            records: survey.newlines,
            survey,
        }
    }
}

/// The ends of the whole records in CSV bytes that hold quotes. A quote opens only at a field's
/// start, as the `csv` crate has it.
pub(super) struct QuotedRecords<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    at: usize,
    at_field_start: bool,
    pub is_quoted: bool,
    /// Whether the byte before is a quote that closes.
    has_closed: bool,
    /// Where the last field in quotes begins.
    pub opened: usize,
}

impl<'a> QuotedRecords<'a> {
    pub fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        QuotedRecords {
            bytes,
            delimiter,
            at: 0,
            at_field_start: true,
            is_quoted: false,
            has_closed: false,
            opened: 0,
        }
    }
}

impl Iterator for QuotedRecords<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let at = self.at;
            let had_closed = std::mem::take(&mut self.has_closed);
            match byte {
                b'"' if self.at_field_start => (self.is_quoted, self.opened) = (true, at),
                b'"' if self.is_quoted => (self.is_quoted, self.has_closed) = (false, true),
                // A doubled quote closes and opens again.
                b'"' if had_closed => self.is_quoted = true,
                _ => {}
            }
            self.at += 1;
            let is_end = byte == b'\n' && !self.is_quoted;
            self.at_field_start = is_end || byte == self.delimiter && !self.is_quoted;
            if is_end {
                return Some(self.at);
            }
        }
        None
    }
}
