//! Delimited text with quotes → records, read by the `csv` crate.
//!
//! In: bytes. Out: records, unescaped, with their line and their bytes as they came. As where there
//! are no quotes, a newline alone ends a record, a carriage return before it belongs to the end,
//! and blank lines are not records.

use std::ops::Range;

use super::rows::without_return;

/// Reads record by record.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    reader: csv::Reader<&'b [u8]>,
    record: csv::ByteRecord,
    /// Where in `bytes` the last record ends.
    end: usize,
    /// The line after the last record; the first is 0.
    line: u64,
    /// Whether the last record ends with a carriage return.
    returned: bool,
}

impl<'b> Reader<'b> {
    /// Returns a reader of records whose fields are between `delimiter`s.
    pub fn new(bytes: &'b [u8], delimiter: u8) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(bytes);
        Reader {
            bytes,
            reader,
            record: csv::ByteRecord::new(),
            end: 0,
            line: 0,
            returned: false,
        }
    }

    /// Moves to the next record and returns its first line, counted from 0, and its bytes.
    pub fn next_record(&mut self) -> Option<(u64, &'b [u8])> {
        // Reading a slice into raw bytes, flexibly, has no error to return.
        while let Ok(true) = self.reader.read_byte_record(&mut self.record) {
            let end = self.reader.position().byte() as usize;
            let read = self.bytes.get(self.end..end).unwrap_or_default();
            self.end = end;
            // The `csv` crate passes over empty lines before the record.
            let empty = read.iter().take_while(|&&byte| byte == b'\n').count();
            let line = self.line + empty as u64;
            self.line += memchr::memchr_iter(b'\n', read).count() as u64;
            let record = &read[empty..];
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            let bytes = without_return(record);
            self.returned = bytes.len() < record.len();
            if !bytes.is_empty() {
                return Some((line, bytes));
            }
        }
        None
    }

    /// Returns how many fields the record has.
    pub fn width(&self) -> usize {
        self.record.len()
    }

    /// Returns the record's fields without quotes and delimiters, one behind the other.
    pub fn fields(&self) -> &[u8] {
        self.record.as_slice()
    }

    /// Returns where in [`Reader::fields`] a field stands.
    pub fn range(&self, column: usize) -> Range<usize> {
        let mut range = self.record.range(column).unwrap_or_default();
        let is_last = column + 1 == self.width();
        if is_last && self.returned && self.fields()[range.clone()].ends_with(b"\r") {
            range.end -= 1;
        }
        range
    }
}
