//! The header of CSV.

use std::collections::HashSet;

use super::dialect::csv_reader;
use super::shown;
use crate::error::{Error, Result};

/// Returns the names in a header line. The first and the last column may have none, as the index that
/// pandas writes: such a column is there and is never used.
///
/// # Errors
/// `data` when a name is missing, stands twice or is not UTF-8.
pub fn parse_header(line: &[u8], delimiter: u8) -> Result<Vec<String>> {
    let mut reader = csv_reader(line, delimiter);
    let mut header = csv::ByteRecord::new();
    reader
        .read_byte_record(&mut header)
        .map_err(|source| Error::data("the header cannot be read").caused_by(source))?;
    // A newline would have ended the header before.
    if reader
        .read_byte_record(&mut csv::ByteRecord::new())
        .unwrap_or(true)
    {
        return Err(without_newlines());
    }
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    let mut known = HashSet::with_capacity(header.len());
    let has_names = header.iter().any(|name| !name.trim_ascii().is_empty());
    for (at, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name).map_err(|_| {
            Error::data(format!(
                "the header's column {} is not UTF-8: {}",
                at + 1,
                shown(name)
            ))
        })?;
        let name = name.trim();
        let is_at_edge = at == 0 || at + 1 == header.len();
        if name.is_empty() && is_at_edge && has_names {
            names.push(String::new());
            continue;
        }
        if name.is_empty() {
            return Err(
                Error::data(format!("the header's column {} has no name", at + 1))
                    .hint("the first line of CSV names its columns"),
            );
        }
        if !known.insert(name) {
            return Err(Error::data(format!(
                "the header names column `{name}` twice"
            )));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Returns the error of lines that end in carriage returns alone.
pub(crate) fn without_newlines() -> Error {
    Error::data("lines end with carriage returns instead of newlines")
        .hint("`tr '\\r' '\\n' < FILE | k …` converts them")
}
