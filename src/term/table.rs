//! Result tables: plain columns that read well without colour and fit 80 columns if they can.
//!
//! In: headings and rows of text. Out: lines without trailing spaces, headings first; numbers are
//! at the right of their column.

use std::fmt;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, presets};
use console::Term;

use super::printable::printable;

/// Where the values of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table of results, in which nothing can move the cursor; printed by its `Display` without a newline at the end.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// How many blanks are between two columns.
    pub const GAP: usize = 2;

    /// Returns a table without rows. Long texts are wrapped at the width of the terminal, numbers
    /// never; where stdout is none, nothing is wrapped.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        let terminal = Term::stdout();
        if terminal.is_term() {
            table.set_width(terminal.size().1);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(columns.iter().map(|(name, _)| printable(name.as_bytes())));
        let last = columns.len().saturating_sub(1);
        for (at, (column, (_, align))) in table.column_iter_mut().zip(columns).enumerate() {
            let gap = if at == last { 0 } else { Self::GAP };
            column.set_padding((0, gap as u16));
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
            if *align == Align::Right {
                // A number that is cut in two is none.
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        Table(table)
    }

    /// Adds a row with a cell for each column.
    pub fn row<T: fmt::Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        self.0.add_row(cells.map(|cell| printable(cell.as_bytes())));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.lines().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(&[("topic", Align::Left), ("records", Align::Right)]);
        table.row(["mono_signal", "6000"]);
        table.row(["tower", "11976"]);
        assert_eq!(
            table.to_string(),
            "topic        records\nmono_signal     6000\ntower          11976"
        );
    }
}
