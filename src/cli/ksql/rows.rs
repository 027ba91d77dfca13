//! How the rows of an answer are written.

use std::io::IsTerminal;

use crate::error::{Error, Result};
use crate::ksql::document::Document;
use crate::term::table::{Align, Table};

/// How wide a line is, in characters.
const LINE: usize = 80;

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

    /// Returns rows that come a few at a time as text, the headings before the first of them.
    pub fn stream(
        self,
        columns: &[String],
        rows: &[Vec<(Option<String>, Document)>],
        is_first: bool,
    ) -> Result<String> {
        if self != Output::Table {
            let text = self.text(columns, rows)?;
            return Ok(match text.split_once('\n') {
                Some((_, rest)) if self == Output::Csv && !is_first => rest.to_owned(),
                _ => text,
            });
        }
        // Nothing is known yet of the rows to come: the columns share the line.
        let width = (LINE / columns.len().max(1)).saturating_sub(2).max(8);
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(|cell| format!("{cell:<width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        let mut text = String::new();
        if is_first {
            text.push_str(&line(&mut columns.iter().map(String::as_str)));
        }
        for row in rows {
            let cells = row.iter().map(|(text, _)| text.as_deref());
            text.push_str(&line(&mut cells.map(|cell| cell.unwrap_or("null"))));
        }
        Ok(text)
    }

    /// Returns rows as text, each line ended.
    pub fn text(
        self,
        columns: &[String],
        rows: &[Vec<(Option<String>, Document)>],
    ) -> Result<String> {
        match self {
            Output::Table => {
                let is_number = |at: usize| {
                    let kinds = rows.iter().map(|row| &row[at].1);
                    let mut known = kinds
                        .filter(|value| !matches!(value, Document::Null))
                        .peekable();
                    known.peek().is_some()
                        && known.all(|value| matches!(value, Document::Number(_)))
                };
                let align = |at: usize| {
                    if is_number(at) {
                        Align::Right
                    } else {
                        Align::Left
                    }
                };
                let headings: Vec<(&str, Align)> = columns
                    .iter()
                    .enumerate()
                    .map(|(at, column)| (column.as_str(), align(at)))
                    .collect();
                let mut table = Table::new(&headings);
                for row in rows {
                    table.row(
                        row.iter()
                            .map(|(text, _)| text.as_deref().unwrap_or("null")),
                    );
                }
                Ok(format!("{table}\n"))
            }
            Output::Json => {
                let line = |row: &Vec<(Option<String>, Document)>| {
                    let members = columns
                        .iter()
                        .cloned()
                        .zip(row.iter().map(|(_, value)| value.clone()));
                    format!("{}\n", Document::Object(members.collect()))
                };
                Ok(rows.iter().map(line).collect())
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
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }
}
