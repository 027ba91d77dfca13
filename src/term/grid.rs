//! Rows of values under headings, each in one line that fits: what every table of data is made of.
//!
//! Comes in: cells. Goes out: lines. Rows may be written before the next ones are known: columns are
//! as wide as what was measured so far, and only grow.
//!
//! Where a row has no room, in this order: columns that say little go ([`Column::spare`] says which
//! and when, `window_end` first), times lose their year and zone, long texts are cut with `…`, then the
//! columns furthest to the right go, but never the first. [`Grid::fit`] names those that are left out
//! and those that are cut. What is longer still is cut: a row is never wrapped. A list of sentences is
//! not a table: see [`super::entries`].
//!
//! Numbers are digits alone, so that they can be pasted; all of a column have as many decimals.

use std::borrow::Cow;

use console::{Alignment, Term, measure_text_width, pad_str, truncate_str};

use super::printable::printable;
use super::table::Align;
use super::units::{format_short_time, format_time};

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Times {
    /// ISO 8601, in UTC.
    Iso,
    /// Milliseconds since 1970, UTC.
    Ms,
}

/// A column of a [`Grid`].
#[derive(Debug, Clone)]
pub struct Column {
    name: String,
    align: Align,
    spare: Option<Spare>,
    is_shown: bool,
    /// What a text is cut to.
    longest: usize,
    /// The widest text, the heading among them.
    text: usize,
    /// The widest time, in full and short.
    times: [usize; 2],
    /// The most characters before the point of a number, and behind it.
    whole: usize,
    decimals: usize,
}

/// When a column is left out of a row that has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spare {
    /// Before times are shortened.
    First,
    /// After that, and in this order.
    Then(usize),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Anything; what would move the cursor is escaped.
    Text(String),
    /// A number in digits.
    Number(String),
    /// A time in ms since 1970, UTC.
    Time(i64),
}

/// What rows have no room for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shortage {
    /// The columns that are not there.
    pub left_out: Vec<String>,
    /// The columns of which some values are cut.
    pub cut: Vec<String>,
}

/// Columns, and the width that their rows have.
#[derive(Debug, Clone)]
pub struct Grid {
    columns: Vec<Column>,
    width: Option<usize>,
    times: Times,
    has_short_times: bool,
}

/// What shows everything beside a table of most commands.
pub const ALL_IN_CSV: &str = "`--format csv`";

/// The gap between two columns.
pub const GAP: usize = 2;
/// No text is cut to less, as long as there is another column to leave out.
const LEAST_TEXT: usize = 12;

/// Returns how wide a row on stdout may be: as `COLUMNS` says, or the terminal; any where there is none.
pub fn room() -> Option<usize> {
    let terminal = Term::stdout();
    let asked = std::env::var("COLUMNS").ok();
    let asked = asked.and_then(|columns| columns.parse().ok());
    let asked = asked.filter(|&columns: &usize| columns > 0);
    asked.or_else(|| terminal.is_term().then(|| terminal.size().1.into()))
}

impl Column {
    /// Returns a column under a heading.
    pub fn new(name: &str, align: Align) -> Self {
        let name = printable(name.as_bytes());
        Column {
            text: measure_text_width(&name),
            name,
            align,
            spare: None,
            is_shown: true,
            longest: usize::MAX,
            times: [0; 2],
            whole: 0,
            decimals: 0,
        }
    }

    /// Says when it is left out.
    pub fn spare(self, spare: Option<Spare>) -> Self {
        Column { spare, ..self }
    }

    fn measure(&mut self, cell: &Cell, times: Times) {
        match cell {
            Cell::Text(text) => self.text = self.text.max(measure_text_width(text)),
            Cell::Time(at) if times == Times::Ms => self.measure_number(&at.to_string()),
            Cell::Time(at) => {
                let [full, short] = &mut self.times;
                *full = (*full).max(format_time(*at).len());
                *short = (*short).max(format_short_time(*at).len());
            }
            Cell::Number(digits) => self.measure_number(digits),
        }
    }

    fn measure_number(&mut self, digits: &str) {
        if !is_decimal(digits) {
            self.text = self.text.max(measure_text_width(digits));
            return;
        }
        let (whole, decimals) = split(digits);
        self.whole = self.whole.max(whole.len());
        self.decimals = self.decimals.max(decimals.len());
    }

    fn width(&self, has_short_times: bool) -> usize {
        let number = self.whole + self.decimals + usize::from(self.decimals > 0);
        let time = self.times[usize::from(has_short_times)];
        self.text.min(self.longest).max(number).max(time)
    }

    /// Returns a number with as many decimals as the column has.
    fn number<'d>(&self, digits: &'d str) -> Cow<'d, str> {
        let (whole, decimals) = split(digits);
        match self.decimals - decimals.len().min(self.decimals) {
            0 => digits.into(),
            _ if !is_decimal(digits) => digits.into(),
            missing => format!("{whole}.{decimals}{}", "0".repeat(missing)).into(),
        }
    }
}

/// Returns whether a number is written in digits alone, unlike 1e300 and NaN.
fn is_decimal(digits: &str) -> bool {
    let is_digit = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
    digits.chars().all(is_digit)
}

/// Returns what stands before the point of a number, and behind it.
fn split(digits: &str) -> (&str, &str) {
    digits.split_once('.').unwrap_or((digits, ""))
}

impl Grid {
    /// Returns a grid whose rows are no wider than `width`, if there is one.
    pub fn new(columns: Vec<Column>, width: Option<usize>, times: Times) -> Self {
        Grid {
            columns,
            width,
            times,
            has_short_times: false,
        }
    }

    /// Makes room for a row.
    pub fn measure(&mut self, cells: &[Cell]) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.measure(cell, self.times);
        }
    }

    /// Takes up another width, as of a terminal that was resized.
    pub fn set_width(&mut self, width: Option<usize>) {
        self.width = width;
    }

    /// Leaves out and cuts what has no room beside what was measured so far.
    pub fn fit(&mut self) -> Shortage {
        let Some(width) = self.width else {
            return Shortage::default();
        };
        let mut order: Vec<(Spare, usize)> = (0..self.columns.len())
            .map(|at| (self.spare_of(at), at))
            .collect();
        // Of those that nobody has named the last one goes first.
        order.sort_by_key(|&(spare, at)| (spare, std::cmp::Reverse(at)));
        let mut order = order.into_iter().filter(|&(_, at)| at > 0).peekable();
        let mut left_out = Vec::new();
        while self.row_width() > width {
            match order.peek() {
                Some((Spare::Then(_), _)) | None if !self.has_short_times => {
                    self.has_short_times = true;
                }
                Some((Spare::Then(usize::MAX), _)) | None if self.cut_longest(width) => {}
                Some(&(_, at)) => {
                    order.next();
                    self.columns[at].is_shown = false;
                    left_out.push(at);
                    // What was cut for it may have room now.
                    let columns = self.columns.iter_mut();
                    columns.for_each(|column| column.longest = usize::MAX);
                }
                None => break,
            }
        }
        left_out.sort_unstable();
        let name = |at: usize| self.columns[at].name.clone();
        let is_cut = |&at: &usize| {
            let column = &self.columns[at];
            let is_first_of_none = at == 0 && self.row_width() > width;
            column.is_shown && (column.longest < column.text || is_first_of_none)
        };
        Shortage {
            left_out: left_out.into_iter().map(name).collect(),
            cut: (0..self.columns.len()).filter(is_cut).map(name).collect(),
        }
    }

    /// Cuts the longest texts so that rows fit, or as far as texts may be cut; returns whether there
    /// were any. What stands to the right is a number: cut, it would be another one.
    fn cut_longest(&mut self, width: usize) -> bool {
        let over = self.row_width().saturating_sub(width);
        let has_short_times = self.has_short_times;
        let shown = self.columns.iter_mut().filter(|column| column.is_shown);
        let shown = shown.filter(|column| column.align == Align::Left);
        let Some(longest) = shown.max_by_key(|column| column.text.min(column.longest)) else {
            return false;
        };
        let now = longest.width(has_short_times);
        let least = measure_text_width(&longest.name).max(LEAST_TEXT);
        longest.longest = now.saturating_sub(over).max(least);
        longest.width(has_short_times) < now
    }

    fn spare_of(&self, at: usize) -> Spare {
        self.columns[at].spare.unwrap_or(Spare::Then(usize::MAX))
    }

    fn row_width(&self) -> usize {
        let shown = self.columns.iter().filter(|column| column.is_shown);
        let widths = shown.map(|column| column.width(self.has_short_times) + GAP);
        widths.sum::<usize>().saturating_sub(GAP)
    }

    /// Returns the line of headings.
    pub fn heading(&self) -> String {
        let names = self.columns.iter().map(|column| Cow::from(&column.name));
        self.line_of(names)
    }

    /// Returns the line of a row.
    pub fn line(&self, cells: &[Cell]) -> String {
        let cells = self.columns.iter().zip(cells);
        self.line_of(cells.map(|(column, cell)| match cell {
            Cell::Text(text) => text.into(),
            Cell::Number(digits) => column.number(digits),
            Cell::Time(at) if self.times == Times::Ms => at.to_string().into(),
            Cell::Time(at) if self.has_short_times => format_short_time(*at).into(),
            Cell::Time(at) => format_time(*at).into(),
        }))
    }

    fn line_of<'c>(&self, cells: impl Iterator<Item = Cow<'c, str>>) -> String {
        let mut line = String::new();
        let columns = self.columns.iter().zip(cells);
        for (column, cell) in columns.filter(|(column, _)| column.is_shown) {
            let alignment = match column.align {
                Align::Left => Alignment::Left,
                Align::Right => Alignment::Right,
            };
            let width = column.width(self.has_short_times);
            let cut = (column.longest < usize::MAX).then_some("…");
            line.push_str(&pad_str(&cell, width, alignment, cut));
            line.push_str("  ");
        }
        let line = line.trim_end();
        match self.width {
            Some(width) => truncate_str(line, width, "…").into_owned(),
            None => line.to_owned(),
        }
    }
}

impl Shortage {
    /// Returns what to say of it; `everything` is what shows all, such as "`--format csv`".
    pub fn hint(&self, everything: &str) -> Option<String> {
        let (left_out, cut) = (self.left_out.join(", "), self.cut.join(", "));
        let are = if self.cut.len() == 1 { "is" } else { "are" };
        match (left_out.is_empty(), cut.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!(
                "no room here for {left_out}; {everything} has every column"
            )),
            (true, false) => Some(format!(
                "{cut} {are} cut to fit; {everything} has the whole text"
            )),
            (false, false) => Some(format!(
                "no room here for {left_out}, and {cut} {are} cut; {everything} has everything"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(at: i64) -> Cell {
        Cell::Time(at)
    }

    fn number(digits: &str) -> Cell {
        Cell::Number(digits.to_owned())
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn windows(width: usize) -> (Grid, Shortage) {
        let columns = vec![
            Column::new("window_start", Align::Left),
            Column::new("window_end", Align::Left).spare(Some(Spare::First)),
            Column::new("caller", Align::Left),
            Column::new("count", Align::Right),
            Column::new("avg_duration", Align::Right),
        ];
        let mut grid = Grid::new(columns, Some(width), Times::Iso);
        grid.measure(&row());
        let shortage = grid.fit();
        (grid, shortage)
    }

    fn row() -> [Cell; 5] {
        let end = time(1_767_225_610_000);
        let caller = text("01511234567");
        [
            time(1_767_225_600_000),
            end,
            caller,
            number("12"),
            number("7.25"),
        ]
    }

    #[test]
    fn the_end_of_a_window_goes_before_times_are_short_and_those_before_other_columns() {
        for (width, left_out, line) in [
            (
                76,
                "",
                "2026-01-01T00:00:00Z  2026-01-01T00:00:10Z  01511234567     12          7.25",
            ),
            (
                75,
                "window_end",
                "2026-01-01T00:00:00Z  01511234567     12          7.25",
            ),
            (
                53,
                "window_end",
                "01-01 00:00:00  01511234567     12          7.25",
            ),
            (
                47,
                "window_end, avg_duration",
                "01-01 00:00:00  01511234567     12",
            ),
            (
                30,
                "window_end, count, avg_duration",
                "01-01 00:00:00  01511234567",
            ),
            (10, "window_end, caller, count, avg_duration", "01-01 00:…"),
        ] {
            let (grid, shortage) = windows(width);
            assert_eq!(shortage.left_out.join(", "), left_out, "{width}");
            assert_eq!(shortage.cut.is_empty(), width > 10, "{width}");
            assert_eq!(grid.line(&row()), line, "{width}");
            assert!(measure_text_width(&grid.heading()) <= width);
        }
    }

    #[test]
    fn long_texts_are_cut_before_columns_are_left_out() {
        let columns = ["setting", "value", "set_for_topic"];
        let columns = columns.map(|name| Column::new(name, Align::Left)).to_vec();
        let mut grid = Grid::new(columns, Some(44), Times::Iso);
        let row = [
            text("cleanup.policy"),
            text(&"long ".repeat(40)),
            text("true"),
        ];
        grid.measure(&row);
        let shortage = grid.fit();
        assert_eq!(
            shortage.hint("`--format csv`").as_deref(),
            Some("value is cut to fit; `--format csv` has the whole text")
        );
        assert_eq!(grid.line(&row), "cleanup.policy  long long lo…  true");
        assert_eq!(
            grid.heading(),
            "setting         value          set_for_topic"
        );
    }

    #[test]
    fn a_number_is_left_out_before_it_is_cut() {
        let columns = vec![
            Column::new("topic", Align::Left),
            Column::new("records", Align::Right),
        ];
        let mut grid = Grid::new(columns, Some(30), Times::Iso);
        let row = [text("calls_of_a_day"), text("123,456,789,012,345,678")];
        grid.measure(&row);
        let shortage = grid.fit();
        assert_eq!(
            shortage.hint("`--format csv`").as_deref(),
            Some("no room here for records; `--format csv` has every column")
        );
        assert_eq!(grid.line(&row), "calls_of_a_day");
    }

    #[test]
    fn numbers_of_a_column_have_as_many_decimals() {
        let columns = vec![
            Column::new("x", Align::Right),
            Column::new("n", Align::Right),
        ];
        let mut grid = Grid::new(columns, None, Times::Iso);
        let rows = [
            ["1.5", "7"],
            ["-12", "1000"],
            ["0.125", "8"],
            ["1e300", "9"],
            ["NaN", "1"],
        ];
        let rows = rows.map(|row| row.map(number));
        rows.iter().for_each(|row| grid.measure(row));
        let lines: Vec<String> = rows.iter().map(|row| grid.line(row)).collect();
        assert_eq!(
            lines,
            [
                "  1.500     7",
                "-12.000  1000",
                "  0.125     8",
                "  1e300     9",
                "    NaN     1"
            ]
        );
    }

    #[test]
    fn times_may_be_ms() {
        let mut grid = Grid::new(vec![Column::new("at", Align::Left)], None, Times::Ms);
        grid.measure(&[time(1_767_225_600_000)]);
        assert_eq!(grid.line(&[time(1_767_225_600_000)]), "1767225600000");
    }

    #[test]
    fn a_row_that_is_longer_than_those_measured_is_cut() {
        let mut grid = Grid::new(vec![Column::new("value", Align::Left)], Some(8), Times::Iso);
        assert_eq!(grid.fit(), Shortage::default());
        assert_eq!(grid.line(&[text("a long value")]), "a long …");
    }
}
