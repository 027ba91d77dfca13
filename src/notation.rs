//! How a value is written: as a field of CSV, or as JSON.

use std::io::Write;

use crate::column::ValueRef;
use crate::number::is_bare;

/// How a row becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// RFC 4180 with a header; null is an empty field, times are ms since 1970, UTC.
    Csv,
    /// One JSON object a line; times are ms since 1970, UTC.
    Json,
}

/// Returns a JSON member's name with its colon: `"window_start":`.
pub(crate) fn member(name: &str) -> Vec<u8> {
    let mut member = Vec::new();
    push_json(&mut member, ValueRef::Text(name));
    member.push(b':');
    member
}

/// Appends a value as a CSV field.
pub(crate) fn push_csv(line: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => {}
        ValueRef::Text(text) | ValueRef::Any(text) => push_csv_text(line, text.as_bytes()),
        ValueRef::Double(value) if !value.is_finite() => {
            line.extend_from_slice(not_finite(value).as_bytes());
        }
        ValueRef::List(_) => {
            let mut json = Vec::new();
            push_json(&mut json, value);
            push_csv_text(line, &json);
        }
        value => push_plain(line, value),
    }
}

/// Appends text as a CSV field; an empty one is quoted: without quotes it would be null.
pub(crate) fn push_csv_text(line: &mut Vec<u8>, text: &[u8]) {
    let special = |&byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    // Without an early end, since most text is short.
    let special = text.iter().fold(false, |any, byte| any | special(byte));
    if !special && !text.is_empty() {
        line.extend_from_slice(text);
        return;
    }
    line.push(b'"');
    for &byte in text {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

/// Appends a value as JSON.
pub(crate) fn push_json(line: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => line.extend_from_slice(b"null"),
        ValueRef::Text(text) => {
            // Writing text to a vector cannot fail.
            serde_json::to_writer(line, text).unwrap_or(());
        }
        // Unchanged, if JSON writes it so; else as text.
        ValueRef::Any(text) if is_bare(text) => line.extend_from_slice(text.as_bytes()),
        ValueRef::Any(text) => push_json(line, ValueRef::Text(text)),
        // JSON has no number for them: in quotes, as Jackson and so ksqlDB write them.
        ValueRef::Double(value) if !value.is_finite() => {
            push_json(line, ValueRef::Text(not_finite(value)));
        }
        ValueRef::List(values) => {
            line.push(b'[');
            for (nth, value) in values.iter().enumerate() {
                if nth > 0 {
                    line.push(b',');
                }
                push_json(line, value.as_ref());
            }
            line.push(b']');
        }
        value => push_plain(line, value),
    }
}

/// Returns the name of a double that is not a finite number.
fn not_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// Appends a number or a boolean; every double is written so that reading gives it back.
fn push_plain(line: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Integer(value) => {
            let mut digits = itoa::Buffer::new();
            line.extend_from_slice(match i64::try_from(value) {
                Ok(value) => digits.format(value).as_bytes(), // in half the time
                Err(_) => digits.format(value).as_bytes(),
            });
        }
        ValueRef::Double(value) => {
            line.extend_from_slice(ryu::Buffer::new().format(value).as_bytes());
        }
        // A vector takes whatever is written.
        ValueRef::Decimal(value) => write!(line, "{value}").unwrap_or(()),
        ValueRef::Boolean(true) => line.extend_from_slice(b"true"),
        ValueRef::Boolean(false) => line.extend_from_slice(b"false"),
        ValueRef::Null | ValueRef::Text(_) | ValueRef::List(_) | ValueRef::Any(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(value: ValueRef<'_>) -> String {
        let mut line = Vec::new();
        push_csv(&mut line, value);
        String::from_utf8(line).expect("UTF-8")
    }

    #[test]
    fn csv_fields_come_back_as_they_were() {
        for text in [
            "",
            "plain",
            "a,b",
            "say \"so\"",
            "two\nlines",
            "cr\r",
            "café",
        ] {
            let line = format!("{},x\n", csv(ValueRef::Text(text)));
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(line.as_bytes());
            let record = reader.records().next().expect("a record").expect("CSV");
            assert_eq!(&record[0], text);
        }
        assert_eq!(csv(ValueRef::Null), "");
    }

    #[test]
    fn doubles_come_back_as_they_were() {
        for value in [0.1, 85843.5, 1e300, -0.0, 3.0] {
            assert_eq!(csv(ValueRef::Double(value)).parse(), Ok(value));
        }
    }
}
