//! What input files do differently: the delimiter, and which texts are null.

use std::sync::Arc;

use bumpalo::Bump;

use crate::number::{Number, with_decimal_point};

/// How records are written where they are not as RFC 4180 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// The delimiter of CSV.
    pub delimiter: u8,
    /// How values are spelled.
    pub spelling: Spelling,
}

/// How values are spelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The texts that are null, beside an empty field of CSV and JSON's null.
    pub nulls: Arc<[String]>,
    /// Whether numbers of CSV have a decimal comma; those of JSON have points.
    pub(crate) decimal_comma: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            delimiter: b',',
            spelling: Spelling::default(),
        }
    }
}

impl Spelling {
    /// Returns whether values are spelled as RFC 4180 and JSON have it.
    pub(crate) fn is_plain(&self) -> bool {
        self.nulls.is_empty() && !self.decimal_comma
    }

    /// Returns a field of a declared type as it is with a decimal point; a number with a point,
    /// which is none here, becomes something that is not a number either.
    pub fn number<'a>(&self, field: &'a [u8], arena: &'a Bump) -> &'a [u8] {
        if !self.decimal_comma || memchr::memchr2(b',', b'.', field).is_none() {
            return field;
        }
        match std::str::from_utf8(field).ok().and_then(with_decimal_point) {
            Some(number) => arena.alloc_str(&number).as_bytes(),
            None if Number::parse(field).is_some() => b"?",
            None => field,
        }
    }

    /// Returns whether a text is null.
    pub fn is_null(&self, text: &[u8]) -> bool {
        self.nulls.iter().any(|null| null.as_bytes() == text)
    }
}

/// The delimiters that are found from a header, with their names.
pub const DELIMITERS: [(u8, &str); 4] = [
    (b',', "comma"),
    (b';', "semicolon"),
    (b'\t', "tab"),
    (b'|', "bar"),
];

/// Returns the name of a delimiter.
pub(crate) fn delimiter_name(delimiter: u8) -> String {
    let known = DELIMITERS.iter().find(|(known, _)| *known == delimiter);
    known.map_or_else(
        || format!("`{}`", char::from(delimiter).escape_default()),
        |(_, name)| (*name).to_owned(),
    )
}

/// Returns what separates the columns of a header: of [`DELIMITERS`] the one that makes the most
/// columns of it, and the comma where none makes more than that. `header` is the first record as
/// it is with each, if it ends. One that leaves a column in the middle without a name, or cuts one
/// in quotes, is part of a name.
pub fn find_delimiter<'h>(header: impl Fn(u8) -> Option<&'h [u8]>) -> u8 {
    let mut best = (b',', 1);
    for (delimiter, _) in DELIMITERS {
        // One that is not in it makes one column; a reader costs more to build than to ask.
        let header = header(delimiter).filter(|header| header.contains(&delimiter));
        let columns = header.map_or(0, |header| columns(header, delimiter));
        if columns > best.1 {
            best = (delimiter, columns);
        }
    }
    best.0
}

/// Returns a reader of CSV of which no line is a header.
pub(crate) fn csv_reader(bytes: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(bytes)
}

/// Returns how many columns a header has with a delimiter; none if that is not what it is cut by.
fn columns(header: &[u8], delimiter: u8) -> usize {
    let mut reader = csv_reader(header, delimiter);
    let mut names = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut names).unwrap_or(false) {
        return 0;
    }
    let is_blank = |name: &[u8]| name.trim_ascii().is_empty();
    let middle = names.iter().take(names.len().saturating_sub(1)).skip(1);
    let is_cut = names.iter().any(|name| name.contains(&b'"'));
    if is_cut || delimiter != b',' && middle.into_iter().any(is_blank) {
        0
    } else {
        names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_its_delimiter_and_the_comma_is_never_mistaken() {
        for (header, delimiter) in [
            ("a", b','),
            ("a;b", b';'),
            ("a\tb c\td", b'\t'),
            ("a|b", b'|'),
            (";a;b", b';'),
            ("a;b;", b';'),
            ("Datum;Preis, EUR;Ort", b';'),
            ("\"a,b,c\";d", b';'),
            ("\"a;b;c\",d", b','),
            ("\"a;b;c\"", b','),
            ("a,b;c", b','),
            ("a,b|c,d", b','),
            ("a,b||||c", b','),
            ("a, b", b','),
            ("first name", b','),
            ("a;\"b,c,d\"", b';'),
            ("a,\"b;c|d;e\",\"f;g;h\"", b','),
            ("a,\"the \"\"b;c\"\"\"", b','),
        ] {
            let found = find_delimiter(|_| Some(header.as_bytes()));
            assert_eq!(char::from(found), char::from(delimiter), "{header}");
        }
    }
}
