//! Short lists as a result: a table for people, CSV or JSON lines for programs.
//!
//! In: columns and rows of values. Out: stdout.

use std::io::{BufWriter, IsTerminal, Write};

use crate::column::Value;
use crate::error::{Error, Result};
use crate::notation::push_json;
use crate::term::entries::entries;
use crate::term::grid::{self, ALL_IN_CSV, Cell, Column, Shortage, Spare};
use crate::term::printable::printable;
use crate::term::report::Report;
use crate::term::table::{Align, Table};

/// The format of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Aligned columns, times as ISO 8601.
    Table,
    /// Comma-separated values with a header, times as ms since 1970.
    Csv,
    /// One JSON object per line, times as ms since 1970.
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
    has_sentences: bool,
}

impl Listing {
    pub fn new(columns: &'static [(&'static str, Kind)]) -> Self {
        Listing {
            columns,
            rows: Vec::new(),
            has_sentences: false,
        }
    }

    /// Says that the last column holds sentences, and the one before it a title: people are shown
    /// no table then, but [`entries`].
    pub fn sentences(self) -> Self {
        Listing {
            has_sentences: true,
            ..self
        }
    }

    /// Adds a row with a value for each column.
    pub fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        self.rows.push(values.into_iter().collect());
    }

    /// Prints to stdout; without a format, a table on a terminal and CSV elsewhere. A hint names what
    /// a table has no room for.
    ///
    /// # Errors
    /// `refused` if stdout cannot be written to; a closed pipe is not an error.
    pub fn print(&self, format: Option<Format>, report: &Report) -> Result<()> {
        self.print_fitting(format, &[], report)
    }

    /// Prints a table, leaving out columns of `spare` in that order until it fits the terminal.
    ///
    /// # Errors
    /// See [`Listing::print`].
    pub fn print_fitting(
        &self,
        format: Option<Format>,
        spare: &[&str],
        report: &Report,
    ) -> Result<()> {
        let stdout = std::io::stdout().lock();
        let format = format.unwrap_or(if stdout.is_terminal() {
            Format::Table
        } else {
            Format::Csv
        });
        let mut out = BufWriter::new(stdout);
        let mut hint = None;
        let written = match format {
            Format::Table if self.has_sentences => out.write_all(self.entries().as_bytes()),
            Format::Table => {
                let (table, shortage) = self.table(grid::room(), spare);
                hint = shortage.hint(ALL_IN_CSV);
                out.write_all(table.as_bytes())
            }
            Format::Csv => self.write_csv(&mut out),
            Format::Json => self.write_json(&mut out),
        };
        written
            .and_then(|()| out.flush())
            .map_err(|source| Error::io("write to stdout", source))?;
        hint.into_iter().for_each(|hint| report.hint(hint));
        Ok(())
    }

    fn entries(&self) -> String {
        let rows = self.rows.iter().filter_map(|row| {
            let (sentence, title) = row.split_last()?;
            let title = title.iter().map(plain).collect::<Vec<_>>().join("  ");
            Some((title, plain(sentence)))
        });
        entries(rows, grid::room())
    }

    /// Returns a table whose rows have some room, and what they have none for.
    fn table(&self, room: Option<usize>, spare: &[&str]) -> (String, Shortage) {
        let column = |&(name, kind): &(&str, Kind)| {
            let align = match kind {
                Kind::Number => Align::Right,
                Kind::Text | Kind::Time => Align::Left,
            };
            let order = spare.iter().position(|spare| *spare == name);
            Column::new(name, align).spare(order.map(Spare::Then))
        };
        let columns = self.columns.iter().map(column).collect();
        let mut table = Table::new(columns, room);
        for row in &self.rows {
            let values = row.iter().zip(self.columns);
            table.cells(values.map(|(value, (_, kind))| cell(value, *kind)));
        }
        table.fitted()
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

/// Returns a value as a table shows it.
fn cell(value: &Value, kind: Kind) -> Cell {
    match (value, kind) {
        (Value::Integer(ms), Kind::Time) => Cell::Time(i64::try_from(*ms).unwrap_or(i64::MAX)),
        (Value::Integer(_) | Value::Double(_) | Value::Decimal(_), _) => Cell::Number(plain(value)),
        (value, _) => Cell::Text(printable(plain(value).as_bytes())),
    }
}

/// Returns a value as a field of CSV; null is empty.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Boolean(is) => is.to_string(),
        Value::Text(text) | Value::Any(text) => text.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_table_spares_columns_in_the_order_named_until_it_fits() {
        let mut listing = Listing::new(&[
            ("topic", Kind::Text),
            ("records", Kind::Number),
            ("first_time", Kind::Time),
            ("host", Kind::Text),
        ]);
        listing.row([text("calls"), number(6_000), number(0), text("127.0.0.1")]);
        let table = |room| {
            let (table, shortage) = listing.table(Some(room), &["host", "first_time"]);
            (
                table.lines().nth(1).unwrap_or_default().to_owned(),
                shortage.left_out.join(", "),
            )
        };
        let expect = |row: &str, left_out: &str| (row.to_owned(), left_out.to_owned());
        for (room, row, left_out) in [
            (47, "calls     6000  1970-01-01T00:00:00Z  127.0.0.1", ""),
            (46, "calls     6000  01-01 00:00:00  127.0.0.1", ""),
            (40, "calls     6000  01-01 00:00:00", "host"),
            (29, "calls     6000", "first_time, host"),
            (9, "calls", "records, first_time, host"),
        ] {
            assert_eq!(table(room), expect(row, left_out), "{room}");
        }
    }
}
