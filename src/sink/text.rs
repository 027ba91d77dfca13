//! CSV and JSON lines.

use std::io::Write;

use super::{Header, Role, Sink};
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::engine::window::Window;
use crate::error::Result;
use crate::number::is_bare;
use crate::outlet::Outlet;
use crate::term::grid::Times;
use crate::term::units::format_time;

/// How a row becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// RFC 4180 with a header; null is an empty field, times are ms since 1970, UTC.
    Csv,
    /// One JSON object a line; times are ms since 1970, UTC.
    Json,
}

/// Rows as text lines.
pub struct TextSink {
    output: Outlet,
    notation: Notation,
    header: Header,
    /// `"window_start":`, … escaped once.
    members: Vec<Vec<u8>>,
    front: Front,
    lines: Vec<u8>,
    /// Which columns hold times, where these are not written as ms.
    iso: Option<Vec<bool>>,
}

/// How the rows of the last window begin.
#[derive(Debug, Default)]
struct Front {
    window: Option<Window>,
    text: Vec<u8>,
    fields: usize,
}

impl TextSink {
    /// Returns a sink that writes to `output`.
    pub fn new(output: Outlet, notation: Notation, header: Header) -> Self {
        TextSink {
            output,
            notation,
            members: header.names().map(member).collect(),
            header,
            front: Front::default(),
            lines: Vec::new(),
            iso: None,
        }
    }

    /// Writes times so; ms until it is told.
    pub(crate) fn with_times(self, times: Times) -> Self {
        let is_time = |role| matches!(role, Role::Start | Role::End | Role::Time);
        let columns = self.header.columns();
        let iso = (times == Times::Iso).then(|| columns.map(|(_, role)| is_time(role)).collect());
        TextSink { iso, ..self }
    }

    fn push_row(&mut self, pane: Pane<'_>) {
        let mut fields = self.push_front(pane.window());
        // Inner iteration: chained iterators are slow from outside.
        match &self.iso {
            None => self.header.rest(pane).for_each(|value| {
                push_field(&mut self.lines, self.notation, value, fields, &self.members);
                fields += 1;
            }),
            Some(iso) => self.header.rest(pane).for_each(|value| {
                let lines = &mut self.lines;
                push_iso(lines, self.notation, value, fields, &self.members, iso);
                fields += 1;
            }),
        }
        self.lines.extend_from_slice(match self.notation {
            Notation::Csv => b"\n",
            Notation::Json => b"}\n",
        });
    }

    /// Begins a row as all rows of its window begin; returns with how many fields.
    fn push_front(&mut self, window: Window) -> usize {
        if self.front.window != Some(window) {
            self.front.window = Some(window);
            self.front.text.clear();
            self.front.fields = 0;
            for value in self.header.front(window) {
                let (text, nth) = (&mut self.front.text, self.front.fields);
                match &self.iso {
                    None => push_field(text, self.notation, value, nth, &self.members),
                    Some(iso) => push_iso(text, self.notation, value, nth, &self.members, iso),
                }
                self.front.fields += 1;
            }
        }
        self.lines.extend_from_slice(&self.front.text);
        self.front.fields
    }

    fn begin(&mut self) -> Result<()> {
        let (notation, header) = (self.notation, &self.header);
        self.output.begin(|| {
            let mut head = Vec::new();
            if notation == Notation::Csv {
                for (nth, name) in header.names().enumerate() {
                    head.extend_from_slice(if nth > 0 { b"," } else { b"" });
                    push_csv(&mut head, ValueRef::Text(name));
                }
                head.push(b'\n');
            }
            head
        })
    }

    fn write_lines(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.output.write(&self.lines);
        self.lines.clear();
        written
    }
}

impl Sink for TextSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        /// Rows are handed on before they fill more than this.
        const FLUSH_BYTES: usize = 256 << 10;
        self.begin()?;
        for pane in panes.iter() {
            self.push_row(pane);
            if self.lines.len() >= FLUSH_BYTES {
                self.write_lines()?;
            }
        }
        self.write_lines()
    }

    fn check_reader(&self) -> Result<()> {
        self.output.check_reader()
    }

    fn flush(&mut self) -> Result<()> {
        self.begin()?;
        self.write_lines()
    }
}

/// Appends a value as the field of a row with the index `nth`.
#[inline(always)]
fn push_field(
    line: &mut Vec<u8>,
    notation: Notation,
    value: ValueRef<'_>,
    nth: usize,
    members: &[Vec<u8>],
) {
    match notation {
        Notation::Csv => {
            if nth > 0 {
                line.push(b',');
            }
            push_csv(line, value);
        }
        Notation::Json => {
            line.push(if nth > 0 { b',' } else { b'{' });
            line.extend_from_slice(&members[nth]);
            push_json(line, value);
        }
    }
}

/// As [`push_field`], with times as ISO 8601.
fn push_iso(
    line: &mut Vec<u8>,
    notation: Notation,
    value: ValueRef<'_>,
    nth: usize,
    members: &[Vec<u8>],
    is_time: &[bool],
) {
    match value {
        ValueRef::Integer(at) if is_time[nth] => {
            let at = format_time(i64::try_from(at).unwrap_or(i64::MAX));
            push_field(line, notation, ValueRef::Text(&at), nth, members);
        }
        value => push_field(line, notation, value, nth, members),
    }
}

/// Returns a JSON member's name with its colon: `"window_start":`.
pub fn member(name: &str) -> Vec<u8> {
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
