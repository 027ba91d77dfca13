//! Records as rows of fields: what a cutter of lines gives, and what becomes columns.

use super::field::Ending;
use super::{Origin, shown};

/// Records that have the right number of fields, however they lie in memory. A column goes by its
/// index in the schema.
pub(super) trait Rows<'a> {
    /// Returns the number of records.
    fn count(&self) -> usize;
    /// Returns the bytes of a row's field.
    fn field(&self, row: usize, column: usize) -> &'a [u8];
    /// Returns a field for a message.
    fn shown(&self, row: usize, column: usize) -> String {
        shown(self.field(row, column))
    }
    /// Returns a row's field, and what ends with it.
    fn ending(&self, row: usize, column: usize) -> Ending<'a> {
        let bytes = self.field(row, column);
        Ending { bytes, last: None }
    }
    /// Returns a row's field as text; `None` where it is not UTF-8.
    fn text(&self, row: usize, column: usize) -> Option<&'a str>;
    /// Returns where a row is.
    fn origin(&self, row: usize) -> Origin<'a>;
}

/// Returns a line without the carriage return that some end with.
pub(super) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns why a record of another number of fields is not a row.
pub(super) fn wrong_width(fields: usize, width: usize) -> String {
    let plural = if fields == 1 { "" } else { "s" };
    format!("{fields} field{plural} where the header has {width}")
}
