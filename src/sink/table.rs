//! A table for people: rows as they come, and below them the open windows, redrawn.
//!
//! Rows are never held back, so what has no room is decided with the first ones.

use console::{Term, style, truncate_str};

use super::Sink;
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::error::{Error, Result};
use crate::outlet::Outlet;
use crate::result::{Header, Role};
use crate::term::grid::{self, ALL_IN_CSV, Cell, Column, Grid, Spare, Times};
use crate::term::printable::printable;
use crate::term::report::Report;
use crate::term::table::Align;

/// What stands behind an open window.
const OPEN: &str = "  open";

/// How a table is laid out.
#[derive(Debug, Clone)]
pub struct Look {
    /// How wide rows may be.
    pub room: Option<usize>,
    /// How times are written.
    pub times: Times,
    /// Where to say which columns have no room.
    pub report: Report,
}

/// Rows as aligned columns on stdout.
pub struct TableSink {
    output: Outlet,
    header: Header,
    /// What each column is; values are right-aligned.
    roles: Vec<Role>,
    grid: Grid,
    report: Report,
    terminal: Option<Term>,
    header_written: bool,
    /// How many lines of open windows are at the bottom of the screen.
    drawn: usize,
}

impl TableSink {
    /// Returns a table on `output`; with a `terminal`, which must show the same, open windows are
    /// drawn below the rows.
    pub fn new(output: Outlet, header: Header, look: Look, terminal: Option<Term>) -> Self {
        let column = |(name, role): (&str, Role)| {
            let align = match role {
                Role::Value => Align::Right,
                Role::Start | Role::End | Role::Time | Role::Key => Align::Left,
            };
            Column::new(name, align).spare((role == Role::End).then_some(Spare::First))
        };
        let columns = header.columns().map(column).collect();
        // Open windows are marked as such.
        let beside = if terminal.is_some() { OPEN.len() } else { 0 };
        let room = look.room.map(|room| room.saturating_sub(beside));
        TableSink {
            output,
            roles: header.columns().map(|(_, role)| role).collect(),
            grid: Grid::new(columns, room, look.times),
            header,
            report: look.report,
            terminal,
            header_written: false,
            drawn: 0,
        }
    }

    fn cells(&self, pane: Pane<'_>) -> Vec<Cell> {
        let row = self.header.row(pane).zip(&self.roles);
        let cell = |(value, role): (ValueRef<'_>, &Role)| match (role, value) {
            // As the engine had it.
            (Role::Start | Role::End | Role::Time, ValueRef::Integer(at)) => Cell::Time(at as i64),
            (Role::Start, _) => Cell::Text("-∞".to_owned()),
            (Role::End, _) => Cell::Text("∞".to_owned()),
            (Role::Time | Role::Key | Role::Value, value) => shown(value),
        };
        row.map(cell).collect()
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
            if let Some(hint) = self.grid.fit().hint(ALL_IN_CSV) {
                self.report.hint(hint);
            }
            let header = self.grid.heading();
            self.output.write(format!("{header}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Writes a line that goes again, dim.
    fn write_dim(&mut self, line: &str, width: usize) -> Result<()> {
        let line = truncate_str(line, width, "…");
        self.drawn += 1;
        let line = format!("{}\n", style(line).dim());
        self.output.write(line.as_bytes())
    }
}

impl Sink for TableSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        if panes.is_empty() {
            return Ok(());
        }
        self.erase_open()?;
        let rows: Vec<Vec<Cell>> = panes.iter().map(|pane| self.cells(pane)).collect();
        rows.iter().for_each(|cells| self.grid.measure(cells));
        self.write_header()?;
        for cells in rows {
            let line = self.grid.line(&cells);
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

    fn show_open(&mut self, open: &Panes, footer: &str) -> Result<()> {
        self.erase_open()?;
        let Some(terminal) = &self.terminal else {
            return Ok(());
        };
        let (height, width) = terminal.size();
        self.grid
            .set_width(grid::room().map(|room| room.saturating_sub(OPEN.len())));
        let room = usize::from(height).saturating_sub(5).max(1);
        let rows: Vec<Vec<Cell>> = open
            .iter()
            .take(room)
            .map(|pane| self.cells(pane))
            .collect();
        rows.iter().for_each(|cells| self.grid.measure(cells));
        if !rows.is_empty() {
            self.write_header()?;
        }
        for cells in &rows {
            let line = format!("{}{OPEN}", self.grid.line(cells));
            self.write_dim(&line, width.into())?;
        }
        if open.len() > rows.len() {
            let more = format!("… and {} more open rows", open.len() - rows.len());
            self.write_dim(&more, width.into())?;
        }
        match footer.is_empty() {
            true => Ok(()),
            false => self.write_dim(footer, width.into()),
        }
    }
}

fn unwritable(source: std::io::Error) -> Error {
    Error::io("write the table", source)
}

/// Returns a value for people: null as such, doubles with at most three decimals.
fn shown(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Text("null".to_owned()),
        ValueRef::Integer(value) => Cell::Number(value.to_string()),
        ValueRef::Double(value) if value.abs() < 1e15 => {
            let text = format!("{value:.3}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            Cell::Number(text.to_owned())
        }
        ValueRef::Double(value) => Cell::Number(value.to_string()),
        ValueRef::Decimal(value) => Cell::Number(value.to_string()),
        ValueRef::Boolean(value) => Cell::Text(value.to_string()),
        ValueRef::Text(text) | ValueRef::Any(text) => Cell::Text(printable(text.as_bytes())),
        ValueRef::List(values) => {
            let shown: Vec<String> = values.iter().map(|value| in_list(value.as_ref())).collect();
            Cell::Text(format!("[{}]", shown.join(", ")))
        }
    }
}

fn in_list(value: ValueRef<'_>) -> String {
    match shown(value) {
        Cell::Text(text) | Cell::Number(text) => text,
        Cell::Time(at) => at.to_string(),
    }
}
