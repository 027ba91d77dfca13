//! Result tables whose rows are all known before the first is printed; [`super::grid`] has the policy.
//!
//! In: headings and rows of text. Out: lines without trailing spaces, headings first; numbers are
//! at the right of their column. Nothing in them can move the cursor.

use std::fmt;

use super::grid::{Cell, Column, Grid, Shortage, Times};
use super::printable::printable;

/// Where the values of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table of results.
#[derive(Debug)]
pub struct Table {
    grid: Grid,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Returns a table without rows whose lines have some room.
    pub fn new(columns: Vec<Column>, room: Option<usize>) -> Self {
        Table {
            grid: Grid::new(columns, room, Times::Iso),
            rows: Vec::new(),
        }
    }

    /// Adds a row of text with a cell for each column.
    pub fn row<T: fmt::Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.cells(cells.map(|cell| Cell::Text(printable(cell.as_bytes()))));
    }

    /// Adds a row with a cell for each column; texts are [`printable`].
    pub fn cells(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        self.grid.measure(&cells);
        self.rows.push(cells);
    }

    /// Returns the lines, each ended, and what they have no room for.
    pub fn fitted(mut self) -> (String, Shortage) {
        let shortage = self.grid.fit();
        let rows = self.rows.iter().map(|row| self.grid.line(row));
        let lines = std::iter::once(self.grid.heading()).chain(rows);
        (lines.map(|line| line + "\n").collect(), shortage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let columns = [("topic", Align::Left), ("records", Align::Right)];
        let columns = columns.map(|(name, align)| Column::new(name, align));
        let mut table = Table::new(columns.to_vec(), None);
        table.row(["mono_signal", "6000"]);
        table.row(["tower", "11976"]);
        let (lines, shortage) = table.fitted();
        assert_eq!(
            lines,
            "topic        records\nmono_signal     6000\ntower          11976\n"
        );
        assert_eq!(shortage, Shortage::default());
    }
}
