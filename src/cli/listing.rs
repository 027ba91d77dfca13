//! Short lists as a result: a table for people, CSV or JSON lines for programs.
//!
//! Comes in: columns and rows of values. Goes out: stdout.

use std::io::{BufWriter, IsTerminal, Write};

use crate::column::Value;
use crate::error::{Error, Result};
use crate::sink::text::push_json;
use crate::term::table::{Align, Table};
use crate::term::units;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Aligned columns, times as ISO 8601.
    Table,
    /// Comma-separated values with a header, times as ms since 1970.
    Csv,
    /// One JSON object a line, times as ms since 1970.
    Json,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// In ms since 1970, UTC.
    Time,
}

/// Rows of values under headings.
#[derive(Debug)]
pub(super) struct Listing {
    columns: &'static [(&'static str, Kind)],
    rows: Vec<Vec<Value>>,
}

impl Listing {
    pub fn new(columns: &'static [(&'static str, Kind)]) -> Self {
        let rows = Vec::new();
        Listing { columns, rows }
    }

    /// Adds a row with a value for each column.
    pub fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        self.rows.push(values.into_iter().collect());
    }

    /// Prints to stdout; without a format, a table on a terminal and CSV elsewhere.
    ///
    /// # Errors
    /// `refused` when stdout cannot be written to; a closed pipe is none.
    pub fn print(&self, format: Option<Format>) -> Result<()> {
        let stdout = std::io::stdout().lock();
        let format = format.unwrap_or(match stdout.is_terminal() {
            true => Format::Table,
            false => Format::Csv,
        });
        let mut out = BufWriter::new(stdout);
        let written = match format {
            Format::Table => self.write_table(&mut out),
            Format::Csv => self.write_csv(&mut out),
            Format::Json => self.write_json(&mut out),
        };
        written
            .and_then(|()| out.flush())
            .map_err(|source| Error::io("write to stdout", source))
    }

    fn write_table(&self, out: &mut impl Write) -> std::io::Result<()> {
        let columns: Vec<(&str, Align)> = self
            .columns
            .iter()
            .map(|&(name, kind)| match kind {
                Kind::Number => (name, Align::Right),
                Kind::Text | Kind::Time => (name, Align::Left),
            })
            .collect();
        let mut table = Table::new(&columns);
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(self.columns)
                .map(|(value, (_, kind))| match value {
                    Value::Integer(ms) if *kind == Kind::Time => {
                        units::format_time(i64::try_from(*ms).unwrap_or(i64::MAX))
                    }
                    value => plain(value),
                });
            table.row(cells);
        }
        writeln!(out, "{table}")
    }

    fn write_csv(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(self.columns.iter().map(|(name, _)| name))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(plain))?;
        }
        writer.flush()
    }

    fn write_json(&self, out: &mut impl Write) -> std::io::Result<()> {
        for row in &self.rows {
            out.write_all(b"{")?;
            for (at, (value, (name, _))) in row.iter().zip(self.columns).enumerate() {
                let comma = if at > 0 { "," } else { "" };
                write!(out, "{comma}\"{name}\":")?;
                let mut json = Vec::new();
                push_json(&mut json, value.as_ref());
                out.write_all(&json)?;
            }
            out.write_all(b"}\n")?;
        }
        Ok(())
    }
}

/// Returns a value as a cell; null is empty.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Boolean(is) => is.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
    }
}

/// Returns text as a value.
pub(super) fn text(text: impl Into<Box<str>>) -> Value {
    Value::Text(text.into())
}

/// Returns a whole number as a value.
pub(super) fn number(number: impl Into<i128>) -> Value {
    Value::Integer(number.into())
}

/// Returns a number that may be missing; Kafka writes missing ones as -1.
pub(super) fn number_or_null(number: i64) -> Value {
    if number < 0 {
        Value::Null
    } else {
        Value::Integer(number.into())
    }
}
