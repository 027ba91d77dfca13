//! Short lists as a result: a table for people, CSV or JSON lines for programs.
//!
//! In: columns and rows of values. Out: stdout.

use std::io::{BufWriter, IsTerminal, Write};

use console::{Term, measure_text_width};

use crate::column::Value;
use crate::error::{Error, Result};
use crate::sink::text::push_json;
use crate::term::report::Report;
use crate::term::table::{Align, Table};
use crate::term::units;

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
    /// `refused` if stdout cannot be written to; a closed pipe is not an error.
    pub fn print(&self, format: Option<Format>) -> Result<()> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.write(format, &all)
    }

    /// Prints a table, leaving out columns of `spare` in that order until it fits the terminal. A
    /// hint names the columns left out.
    ///
    /// # Errors
    /// See [`Listing::print`].
    pub fn print_fitting(
        &self,
        format: Option<Format>,
        spare: &[&str],
        report: &Report,
    ) -> Result<()> {
        let terminal = Term::stdout();
        let is_table = matches!(format, None | Some(Format::Table)) && terminal.is_term();
        let room = if is_table {
            terminal.size().1.into()
        } else {
            usize::MAX
        };
        let (shown, left_out) = self.fitting(room, spare);
        self.write(format, &shown)?;
        if !left_out.is_empty() {
            report.hint(format!(
                "no room for {}; `--format csv` shows all columns",
                left_out.join(", ")
            ));
        }
        Ok(())
    }

    /// Returns which columns to show in `room` characters, and the names of the others.
    fn fitting<'s>(&self, room: usize, spare: &[&'s str]) -> (Vec<usize>, Vec<&'s str>) {
        let width = |at: usize| {
            let cells = self.rows.iter().map(|row| self.cell(row, at));
            let widest = cells.map(|cell| measure_text_width(&cell)).max();
            widest.unwrap_or(0).max(self.columns[at].0.len()) + Table::GAP
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut left_out = Vec::new();
        for &name in spare {
            // Nothing follows the last column.
            let needed = shown.iter().map(|&at| width(at)).sum::<usize>() - Table::GAP;
            if needed <= room {
                break;
            }
            shown.retain(|&at| self.columns[at].0 != name);
            left_out.push(name);
        }
        (shown, left_out)
    }

    /// Returns a value as a table shows it.
    fn cell(&self, row: &[Value], at: usize) -> String {
        match &row[at] {
            Value::Integer(ms) if self.columns[at].1 == Kind::Time => {
                units::format_time(i64::try_from(*ms).unwrap_or(i64::MAX))
            }
            value => plain(value),
        }
    }

    fn write(&self, format: Option<Format>, shown: &[usize]) -> Result<()> {
        let stdout = std::io::stdout().lock();
        let format = format.unwrap_or(if stdout.is_terminal() {
            Format::Table
        } else {
            Format::Csv
        });
        let mut out = BufWriter::new(stdout);
        let written = match format {
            Format::Table => self.write_table(&mut out, shown),
            Format::Csv => self.write_csv(&mut out),
            Format::Json => self.write_json(&mut out),
        };
        written
            .and_then(|()| out.flush())
            .map_err(|source| Error::io("write to stdout", source))
    }

    fn write_table(&self, out: &mut impl Write, shown: &[usize]) -> std::io::Result<()> {
        let heading = |&at: &usize| match self.columns[at] {
            (name, Kind::Number) => (name, Align::Right),
            (name, Kind::Text | Kind::Time) => (name, Align::Left),
        };
        let columns: Vec<(&str, Align)> = shown.iter().map(heading).collect();
        let mut table = Table::new(&columns);
        for row in &self.rows {
            table.row(shown.iter().map(|&at| self.cell(row, at)));
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
        let spare = ["host", "first_time"];
        // calls·, records·, 1970-01-01T00:00:00Z·, 127.0.0.1, with two blanks between them
        let whole = 5 + 2 + 7 + 2 + 20 + 2 + 9;
        assert_eq!(listing.fitting(whole, &spare), (vec![0, 1, 2, 3], vec![]));
        assert_eq!(
            listing.fitting(whole - 1, &spare),
            (vec![0, 1, 2], vec!["host"])
        );
        assert_eq!(
            listing.fitting(1, &spare),
            (vec![0, 1], vec!["host", "first_time"])
        );
    }
}
