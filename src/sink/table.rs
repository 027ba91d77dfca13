//! A table for people: rows as they come, and below them the open windows, redrawn.
//!
//! Rows are never held back, so widths come from the header and the first rows and only grow.

use console::{Alignment, Term, measure_text_width, pad_str, style};

use super::{Header, Role, Sink};
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::error::{Error, Result};
use crate::outlet::Outlet;
use crate::term::printable::printable;
use crate::term::units::format_time;

/// Rows as aligned columns on stdout.
pub struct TableSink {
    output: Outlet,
    header: Header,
    names: Vec<String>,
    /// What each column is; values are right-aligned.
    roles: Vec<Role>,
    widths: Vec<usize>,
    terminal: Option<Term>,
    header_written: bool,
    /// How many lines of open windows are at the bottom of the screen.
    drawn: usize,
}

impl TableSink {
    /// Returns a table on `output`; with a `terminal`, which must show the same, open windows are
    /// drawn below the rows.
    pub fn new(output: Outlet, header: Header, terminal: Option<Term>) -> Self {
        let names: Vec<String> = header
            .names()
            .map(|name| printable(name.as_bytes()))
            .collect();
        let widths = names.iter().map(|name| measure_text_width(name)).collect();
        TableSink {
            output,
            roles: header.columns().map(|(_, role)| role).collect(),
            header,
            names,
            widths,
            terminal,
            header_written: false,
            drawn: 0,
        }
    }

    fn cells(&self, pane: Pane<'_>) -> Vec<String> {
        let row = self.header.row(pane).zip(&self.roles);
        let cell = |(value, role): (ValueRef<'_>, &Role)| match (role, value) {
            // As the engine had it.
            (Role::Start | Role::End | Role::Time, ValueRef::Integer(at)) => format_time(at as i64),
            (Role::Start, _) => "-∞".to_owned(),
            (Role::End, _) => "∞".to_owned(),
            (Role::Time | Role::Key | Role::Value, value) => shown(value),
        };
        row.map(cell).collect()
    }

    fn widen(&mut self, cells: &[String]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(measure_text_width(cell));
        }
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        let columns = cells.iter().zip(&self.widths).zip(&self.roles);
        for (nth, ((cell, &width), role)) in columns.enumerate() {
            let alignment = match role {
                Role::Value => Alignment::Right,
                _ => Alignment::Left,
            };
            if nth > 0 {
                line.push_str("  ");
            }
            line.push_str(&pad_str(cell, width, alignment, None));
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn erase_open(&mut self) -> Result<()> {
        if let Some(terminal) = &self.terminal
            && self.drawn > 0
        {
            terminal.clear_last_lines(self.drawn).map_err(unwritable)?;
        }
        self.drawn = 0;
        Ok(())
    }

    fn write_header(&mut self) -> Result<()> {
        if !self.header_written {
            self.header_written = true;
            let header = self.line(&self.names);
            self.output.write(format!("{header}\n").as_bytes())?;
        }
        Ok(())
    }
}

impl Sink for TableSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        if panes.is_empty() {
            return Ok(());
        }
        self.erase_open()?;
        let rows: Vec<Vec<String>> = panes.iter().map(|pane| self.cells(pane)).collect();
        rows.iter().for_each(|cells| self.widen(cells));
        self.write_header()?;
        for cells in rows {
            let line = self.line(&cells);
            self.output.write(format!("{line}\n").as_bytes())?;
        }
        Ok(())
    }

    fn check_reader(&self) -> Result<()> {
        self.output.check_reader()
    }

    fn flush(&mut self) -> Result<()> {
        self.erase_open()?;
        self.write_header()
    }

    fn wants_open(&self) -> bool {
        self.terminal.is_some()
    }

    fn show_open(&mut self, open: &Panes) -> Result<()> {
        self.erase_open()?;
        let Some(terminal) = &self.terminal else {
            return Ok(());
        };
        let (height, width) = terminal.size();
        let room = usize::from(height).saturating_sub(4).max(1);
        let rows: Vec<Vec<String>> = open
            .iter()
            .take(room)
            .map(|pane| self.cells(pane))
            .collect();
        rows.iter().for_each(|cells| self.widen(cells));
        self.write_header()?;
        for cells in &rows {
            let line = format!("{}  open", self.line(cells));
            let line = console::truncate_str(&line, width.into(), "…");
            self.output
                .write(format!("{}\n", style(line).dim()).as_bytes())?;
        }
        self.drawn = rows.len();
        if open.len() > rows.len() {
            let more = format!("… and {} more open rows", open.len() - rows.len());
            self.output
                .write(format!("{}\n", style(more).dim()).as_bytes())?;
            self.drawn += 1;
        }
        Ok(())
    }
}

fn unwritable(source: std::io::Error) -> Error {
    Error::io("write the table", source)
}

/// Returns a value for people: null as such, doubles with at most three decimals.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Double(value) if value.abs() < 1e15 => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        ValueRef::Double(value) => value.to_string(),
        ValueRef::Decimal(value) => value.to_string(),
        ValueRef::Boolean(value) => value.to_string(),
        ValueRef::Text(text) | ValueRef::Any(text) => printable(text.as_bytes()),
        ValueRef::List(values) => {
            let shown: Vec<String> = values.iter().map(|value| shown(value.as_ref())).collect();
            format!("[{}]", shown.join(", "))
        }
    }
}
