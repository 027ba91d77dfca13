//! How the rows of an answer are written.

use std::io::IsTerminal;

use crate::error::{Error, Result};
use crate::ksql::document::Document;
use crate::term::grid::{self, Cell, Column, GAP, Grid, Times};
use crate::term::printable::printable;
use crate::term::table::{Align, Table};

/// A row: each value as text and as JSON; `None` for null.
type Row = Vec<(Option<String>, Document)>;

/// How wide a line is that columns share, in characters.
const LINE: usize = 80;
/// A column that would have less has what it needs.
const LEAST: usize = 8;
/// What shows everything beside a table.
const ALL_BY_OUTPUT: &str = "`--output csv`";

/// How rows are written; ksqlDB's names are taken, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    #[value(alias = "tabular")]
    Table,
    Json,
    #[value(alias = "batch")]
    Csv,
}

impl Output {
    /// Returns the default.
    pub fn by_default() -> Self {
        if std::io::stdout().is_terminal() {
            Output::Table
        } else {
            Output::Csv
        }
    }

    /// Returns rows as text, each line ended, and what to say of those that have no room.
    pub fn text(self, columns: &[String], rows: &[Row]) -> Result<(String, Option<String>)> {
        let text = match self {
            Output::Table => {
                let mut table = Table::new(headings(columns, rows), grid::room());
                rows.iter().for_each(|row| table.row(texts(row)));
                let (lines, shortage) = table.fitted();
                return Ok((lines, shortage.hint(ALL_BY_OUTPUT)));
            }
            Output::Json => {
                let line = |row: &Row| {
                    let members = columns
                        .iter()
                        .cloned()
                        .zip(row.iter().map(|(_, value)| value.clone()));
                    format!("{}\n", Document::Object(members.collect()))
                };
                rows.iter().map(line).collect()
            }
            Output::Csv => {
                let failed =
                    |error: csv::Error| Error::data(format!("cannot write a row: {error}"));
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(columns).map_err(failed)?;
                for row in rows {
                    let fields = row
                        .iter()
                        .map(|(text, _)| text.as_deref().unwrap_or_default());
                    writer.write_record(fields).map_err(failed)?;
                }
                let bytes = writer
                    .into_inner()
                    .map_err(|error| failed(error.into_error().into()))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        Ok((text, None))
    }
}

/// Rows that come a few at a time.
#[derive(Debug)]
pub(super) struct Stream {
    output: Output,
    grid: Grid,
}

impl Stream {
    /// Returns a stream whose first rows are these; nothing is known yet of those to come, so the
    /// columns share the line.
    pub fn new(output: Output, columns: &[String], first: &[Row]) -> Self {
        let mut grid = Grid::new(headings(columns, first), grid::room(), Times::Iso);
        let share = (LINE / columns.len().max(1)).saturating_sub(GAP);
        if share >= LEAST {
            let blank = Cell::Text(" ".repeat(share));
            grid.measure(&vec![blank; columns.len()]);
        }
        Stream { output, grid }
    }

    /// Returns the next rows as text, the headings before the first of them, and what to say of what
    /// has no room.
    pub fn next(
        &mut self,
        columns: &[String],
        rows: &[Row],
        is_first: bool,
    ) -> Result<(String, Option<String>)> {
        if self.output != Output::Table {
            let (text, _) = self.output.text(columns, rows)?;
            let rest = text.split_once('\n').map(|(_, rest)| rest.to_owned());
            let is_repeated = self.output == Output::Csv && !is_first;
            return Ok((rest.filter(|_| is_repeated).unwrap_or(text), None));
        }
        let cells = |row: &Row| -> Vec<Cell> {
            let texts = texts(row).map(|text| Cell::Text(printable(text.as_bytes())));
            texts.collect()
        };
        let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
        rows.iter().for_each(|row| self.grid.measure(row));
        let (mut text, mut hint) = (String::new(), None);
        if is_first {
            hint = self.grid.fit().hint(ALL_BY_OUTPUT);
            text = self.grid.heading() + "\n";
        }
        for row in &rows {
            text.push_str(&self.grid.line(row));
            text.push('\n');
        }
        Ok((text, hint))
    }
}

/// Returns columns under their headings; those of numbers alone are at the right.
fn headings(columns: &[String], rows: &[Row]) -> Vec<Column> {
    let is_number = |at: usize| {
        let kinds = rows.iter().map(|row| &row[at].1);
        let mut known = kinds
            .filter(|value| !matches!(value, Document::Null))
            .peekable();
        known.peek().is_some() && known.all(|value| matches!(value, Document::Number(_)))
    };
    let columns = columns.iter().enumerate().map(|(at, column)| {
        let align = match is_number(at) {
            true => Align::Right,
            false => Align::Left,
        };
        Column::new(column, align)
    });
    columns.collect()
}

fn texts(row: &Row) -> impl Iterator<Item = &str> {
    row.iter()
        .map(|(text, _)| text.as_deref().unwrap_or("null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(texts: &[&str]) -> Row {
        let cell = |text: &&str| (Some((*text).to_owned()), Document::Text((*text).to_owned()));
        texts.iter().map(cell).collect()
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn columns_of_a_stream_share_the_line_and_rows_to_come_keep_them() {
        let columns = named(&["ID", "NAME"]);
        let first = [row(&["1", "ada"])];
        let mut stream = Stream::new(Output::Table, &columns, &first);
        let (shown, hint) = stream.next(&columns, &first, true).expect("rows");
        let more = [row(&["2", "grace"])];
        let (more, _) = stream.next(&columns, &more, false).expect("rows");
        let at = |line: &str, word| line.find(word);
        let lines: Vec<&str> = shown.lines().chain(more.lines()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(at(lines[0], "NAME"), Some(LINE / 2));
        assert_eq!(at(lines[1], "ada"), at(lines[2], "grace"));
        assert_eq!((at(lines[1], "ada"), hint), (Some(LINE / 2), None));
    }

    #[test]
    fn the_headings_of_a_stream_come_once() {
        let columns = named(&["ID"]);
        let rows = [row(&["1"])];
        for (output, first, next) in [
            (Output::Csv, "ID\n1\n", "1\n"),
            (Output::Json, "{\"ID\":\"1\"}\n", "{\"ID\":\"1\"}\n"),
        ] {
            let mut stream = Stream::new(output, &columns, &rows);
            let mut shown = |is_first| stream.next(&columns, &rows, is_first).expect("rows").0;
            assert_eq!(
                (shown(true), shown(false)),
                (first.to_owned(), next.to_owned())
            );
        }
    }
}
