//! Rows of a run as a chart: drawn at its end, and while it runs on a terminal.

use console::Term;

use super::{MOST_WINDOWS, What, draw};
use crate::column::{Value, ValueRef};
use crate::engine::pane::{Pane, Panes, Refinement};
use crate::error::{Error, Result};
use crate::outlet::Outlet;
use crate::picture::{CELL, Medium, cells};
use crate::result::{Header, Role};
use crate::sink::Sink;
use crate::verify::table::{Cell, ResultTable, Span, key_part};

/// Rows as a chart in characters.
pub struct ChartSink {
    output: Outlet,
    title: String,
    header: Header,
    table: ResultTable,
    adds_up: bool,
    medium: Medium,
    /// Where the chart is drawn again as rows come.
    terminal: Option<Term>,
    /// How many of its lines are on the screen.
    drawn: usize,
    is_new: bool,
}

impl ChartSink {
    /// Returns a chart of what `title` names, in characters; on a `terminal` it is drawn again and
    /// again.
    pub fn new(
        output: Outlet,
        title: String,
        header: Header,
        refinement: Refinement,
        (medium, terminal): (Medium, Option<Term>),
    ) -> Self {
        let names = |wanted: fn(Role) -> bool| {
            let columns = header.columns().filter(|(_, role)| wanted(*role));
            columns.map(|(name, _)| name.to_owned()).collect()
        };
        let keys = names(|role| matches!(role, Role::Key | Role::Time));
        let table = ResultTable::new(keys, names(|role| role == Role::Value));
        ChartSink {
            output,
            title,
            header,
            table,
            adds_up: refinement == Refinement::Discarding,
            medium,
            terminal,
            drawn: 0,
            is_new: true,
        }
    }

    fn put(table: &mut ResultTable, header: &Header, pane: Pane<'_>) {
        let window = pane.window();
        let span = Span {
            start: window.start,
            end: window.end,
        };
        let (mut key, mut values) = (Vec::new(), Vec::new());
        for ((_, role), value) in header.columns().zip(header.row(pane)) {
            match role {
                Role::Start | Role::End => {}
                Role::Key | Role::Time => key.push(key_part(&value.to_value())),
                Role::Value => values.push(as_number(value)),
            }
        }
        let cell = Cell { span, key };
        if pane.firing.is_retraction {
            table.take_back(&cell);
        } else {
            table.put(cell, values);
        }
        // Of a stream that does not end, the last windows are drawn.
        while table.rows.len() > 64 * MOST_WINDOWS {
            table.rows.pop_first();
        }
    }

    fn draw(&mut self, table: &ResultTable, footer: &str) -> Result<()> {
        let what = What {
            title: &self.title,
            measure: 0,
            adds_up: self.adds_up,
        };
        let scene = draw(table, what, self.medium);
        let mut text = cells::text(&scene, console::colors_enabled());
        if !footer.is_empty() {
            let columns = (self.medium.width / CELL.0) as usize;
            text += &console::truncate_str(footer, columns, "…");
            text.push('\n');
        }
        self.erase()?;
        self.drawn = text.lines().count();
        self.output.write(text.as_bytes())
    }

    /// Takes the chart off the screen.
    fn erase(&mut self) -> Result<()> {
        if let (Some(terminal), 1..) = (&self.terminal, self.drawn) {
            let cleared = terminal.clear_last_lines(self.drawn);
            cleared.map_err(|source| Error::io("write to the terminal", source))?;
        }
        self.drawn = 0;
        Ok(())
    }
}

/// Returns a value as a number where it is one: what nobody declared is text.
fn as_number(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Any(text) | ValueRef::Text(text) => text
            .parse()
            .map_or_else(|_| value.to_value(), Value::Double),
        value => value.to_value(),
    }
}

impl Sink for ChartSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        let (table, header) = (&mut self.table, &self.header);
        panes.iter().for_each(|pane| Self::put(table, header, pane));
        self.is_new |= !panes.is_empty();
        Ok(())
    }

    fn check_reader(&self) -> Result<()> {
        self.output.check_reader()
    }

    fn flush(&mut self) -> Result<()> {
        if self.is_new || self.drawn > 0 {
            self.is_new = false;
            let table = std::mem::take(&mut self.table);
            let drawn = self.draw(&table, "");
            self.table = table;
            return drawn;
        }
        Ok(())
    }

    fn wants_open(&self) -> bool {
        self.terminal.is_some()
    }

    fn show_open(&mut self, open: &Panes, footer: &str) -> Result<()> {
        if self.terminal.is_none() {
            return Ok(());
        }
        if open.is_empty() && footer.is_empty() {
            // A message is printed; the chart is drawn again below it.
            self.is_new = true;
            return self.erase();
        }
        let mut table = self.table.clone();
        open.iter()
            .for_each(|pane| Self::put(&mut table, &self.header, pane));
        self.draw(&table, footer)
    }
}
