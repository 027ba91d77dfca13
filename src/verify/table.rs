//! A table of results by window and key, folded to its last state.
//!
//! In: decoded rows with `window_start`, `window_end`, key columns and aggregates, in their order;
//! an update of a window replaces what came before it, and `-` in the column `change` takes it
//! away. Out: one row for each window and key.

use std::collections::BTreeMap;
use std::fmt;

use rust_decimal::prelude::ToPrimitive;

use crate::column::known::CHANGE;
use crate::column::{Column, Columns, DataType, Schema, Value, ValueRef};
use crate::error::{Error, Result};
use crate::number::Number;
use crate::term::units;

/// The columns of `k window --panes`, which say of a row which pane it is.
const PANE_COLUMNS: [&str; 3] = ["timing", "pane", "is_last"];
/// How the names of aggregates begin that `k window` gives.
const AGGREGATES: [&str; 14] = [
    "count",
    "sum_",
    "min_",
    "max_",
    "avg_",
    "stddev_",
    "quantile_",
    "top_",
    "first_",
    "last_",
    "collect_",
    "mode_",
    "approx_distinct",
    "p",
];

/// The bounds of a window in ms since 1970, UTC; [`Span::ALL_TIME`] has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Its first moment.
    pub start: i64,
    /// Its end; of a session the last moment.
    pub end: i64,
}

impl Span {
    /// The window of `--global`.
    pub const ALL_TIME: Span = Span {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// Returns how long it is, in ms.
    pub fn length(self) -> i64 {
        self.end.saturating_sub(self.start)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Span::ALL_TIME => f.write_str("all time"),
            Span { start, end } => write!(
                f,
                "{} to {}",
                units::format_time(start),
                units::format_time(end)
            ),
        }
    }
}

/// The values of the key columns as text, so that `1` is the same key in CSV and in JSON; `None`
/// for null.
pub type Key = Vec<Option<Box<str>>>;

/// A window and a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The window.
    pub span: Span,
    /// In the order of [`ResultTable::keys`].
    pub key: Key,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window {}", self.span)?;
        if self.key.is_empty() {
            Ok(())
        } else {
            write!(f, ", key {}", key_text(&self.key))
        }
    }
}

/// Returns a key for a message.
pub fn key_text(key: &[Option<Box<str>>]) -> String {
    let parts = key.iter().map(|part| part.as_deref().unwrap_or("null"));
    parts.collect::<Vec<_>>().join(", ")
}

/// What is known of a window and key.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The last values, in the order of [`ResultTable::measures`].
    pub values: Vec<Value>,
    /// How many rows came for it, those that were taken back not counted.
    pub panes: u64,
    /// The sums of the values over these rows; null where they are not numbers.
    pub sums: Vec<Value>,
}

/// The last state of a result.
#[derive(Debug, Clone, Default)]
pub struct ResultTable {
    /// The names of the key columns.
    pub keys: Vec<String>,
    /// The names of the other columns.
    pub measures: Vec<String>,
    /// By window, then key.
    pub rows: BTreeMap<Cell, Row>,
}

impl ResultTable {
    /// Returns a table without rows.
    pub fn new(keys: Vec<String>, measures: Vec<String>) -> Self {
        ResultTable {
            keys,
            measures,
            rows: BTreeMap::new(),
        }
    }

    /// Takes a row in: the latest of its window and key counts.
    pub fn put(&mut self, cell: Cell, values: Vec<Value>) {
        let row = self.rows.entry(cell).or_insert_with(|| Row {
            values: Vec::new(),
            panes: 0,
            sums: vec![Value::Integer(0); values.len()],
        });
        for (sum, value) in row.sums.iter_mut().zip(&values) {
            *sum = added(sum, value);
        }
        row.panes += 1;
        row.values = values;
    }

    /// Takes the row of a window and key back.
    pub fn take_back(&mut self, cell: &Cell) {
        self.rows.remove(cell);
    }

    /// Returns whether its rows are of windows.
    pub fn is_of_windows(&self) -> bool {
        let first = self.rows.keys().next();
        first.is_some_and(|cell| cell.span != Span::ALL_TIME)
    }

    /// Returns whether a column is named as `k window` names an aggregate.
    pub fn has_aggregates(&self) -> bool {
        self.measures.iter().any(|name| has_name_of_aggregate(name))
    }

    /// Returns the place of a measure, whatever the case of its name: ksqlDB writes `COUNT`.
    pub fn measure(&self, name: &str) -> Option<usize> {
        let same = |measure: &String| measure.eq_ignore_ascii_case(name);
        self.measures.iter().position(same)
    }
}

fn added(sum: &Value, value: &Value) -> Value {
    match (sum, value) {
        (Value::Integer(sum), Value::Integer(value)) => Value::Integer(sum.saturating_add(*value)),
        _ => match (number(sum), number(value)) {
            (Some(sum), Some(value)) => Value::Double(sum + value),
            _ => Value::Null,
        },
    }
}

/// Returns a number as a float.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        Value::Decimal(value) => value.to_f64(),
        _ => None,
    }
}

/// Which columns of a result are what.
#[derive(Debug, Clone)]
pub struct Columnation {
    /// Where `window_start` and `window_end` stand; none where the result has neither.
    window: Option<[usize; 2]>,
    change: Option<usize>,
    keys: Vec<usize>,
    measures: Vec<usize>,
}

impl Columnation {
    /// Finds out which columns are keys: those that are named, else of all without an aggregate's
    /// name those that hold text or are before the first with one. The others are measures, except
    /// those about panes. `is_text` says of an undeclared column whether its first value is not a
    /// number.
    ///
    /// # Errors
    /// `data` when there is a window's start without its end, or a named key is missing.
    pub fn new(
        schema: &Schema,
        named: Option<&[String]>,
        is_text: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let find = |name: &str| {
            let mut fields = schema.fields.iter();
            fields.position(|field| field.name.eq_ignore_ascii_case(name))
        };
        let window = match (find("window_start"), find("window_end")) {
            (Some(start), Some(end)) => Some([start, end]),
            (None, None) => None,
            _ => {
                return Err(Error::data(
                    "a result must have both columns `window_start` and `window_end`, or neither",
                )
                .hint(format!("the columns are {}", schema.names())));
            }
        };
        let change = find(CHANGE);
        let is_told = |at: usize| {
            let name = &schema.fields[at].name;
            let of_panes = PANE_COLUMNS
                .iter()
                .any(|pane| name.eq_ignore_ascii_case(pane));
            let is_unnamed = name.is_empty();
            !is_unnamed
                && !of_panes
                && change != Some(at)
                && !window.is_some_and(|window| window.contains(&at))
        };
        let rest = (0..schema.fields.len()).filter(|&at| is_told(at));
        let keys: Vec<usize> = match named {
            Some(named) => {
                let found = named.iter().map(|name| {
                    find(name).ok_or_else(|| {
                        Error::data(format!("there is no key column `{name}`"))
                            .hint(format!("the columns are {}", schema.names()))
                    })
                });
                found.collect::<Result<_>>()?
            }
            None => {
                let is_measure = |at: usize| has_name_of_aggregate(&schema.fields[at].name);
                let first_measure = rest.clone().find(|&at| is_measure(at));
                let is_key = |&at: &usize| {
                    let is_text = match schema.fields[at].data_type {
                        DataType::Text => true,
                        DataType::Any => is_text(at) || first_measure.is_some_and(|m| at < m),
                        _ => false,
                    };
                    is_text && !is_measure(at)
                };
                rest.clone().filter(is_key).collect()
            }
        };
        let measures = rest.filter(|at| !keys.contains(at)).collect();
        Ok(Columnation {
            window,
            change,
            keys,
            measures,
        })
    }

    /// Returns a table of these columns without rows.
    pub fn table(&self, schema: &Schema) -> ResultTable {
        let names = |columns: &[usize]| {
            let names = columns.iter().map(|&at| schema.fields[at].name.clone());
            names.collect()
        };
        ResultTable::new(names(&self.keys), names(&self.measures))
    }

    /// Takes the row `row` of some decoded columns into a table.
    ///
    /// # Errors
    /// Says which of its bounds is not a time.
    pub fn add(
        &self,
        table: &mut ResultTable,
        columns: &Columns<'_>,
        row: usize,
    ) -> Result<(), String> {
        let columns = &columns.columns;
        let cell = Cell {
            span: self.span(columns, row)?,
            key: self
                .keys
                .iter()
                .map(|&at| key_part(&columns[at].value(row)))
                .collect(),
        };
        let change = self.change.map(|at| columns[at].value(row));
        match change {
            Some(Value::Text(change) | Value::Any(change)) if &*change == "-" => {
                table.take_back(&cell);
            }
            _ => {
                let values = self
                    .measures
                    .iter()
                    .map(|&at| measured(columns[at].value(row)));
                table.put(cell, values.collect());
            }
        }
        Ok(())
    }

    fn span(&self, columns: &[Column<'_>], row: usize) -> Result<Span, String> {
        let Some([start, end]) = self.window else {
            return Ok(Span::ALL_TIME);
        };
        match [start, end].map(|at| columns[at].value(row)) {
            [Value::Null, Value::Null] => Ok(Span::ALL_TIME),
            [start, end] => Ok(Span {
                start: time(&start)?,
                end: time(&end)?,
            }),
        }
    }
}

/// Returns an undeclared value as the number that it is, if it is one.
fn measured(value: Value) -> Value {
    match value {
        Value::Any(text) => match Number::parse(text.as_bytes()) {
            // Sums of integers may have more digits than a decimal.
            Some(Number::Double(number)) => {
                text.parse().map_or(Value::Double(number), Value::Integer)
            }
            Some(number) => ValueRef::from(number).to_value(),
            None => Value::Text(text),
        },
        value => value,
    }
}

fn has_name_of_aggregate(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    AGGREGATES.iter().any(|begin| match *begin {
        "p" => name
            .strip_prefix('p')
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit())),
        begin => name.starts_with(begin),
    })
}

/// Returns a bound of a window: ms since 1970, or ISO 8601 as tables show it.
fn time(value: &Value) -> Result<i64, String> {
    let time = match value {
        Value::Integer(ms) => i64::try_from(*ms).ok(),
        Value::Text(text) | Value::Any(text) => {
            text.parse().ok().or_else(|| units::parse_iso(text))
        }
        _ => None,
    };
    time.ok_or_else(|| "the bounds of its window are not timestamps".to_owned())
}

/// Returns a value as a part of a key.
pub fn key_part(value: &Value) -> Option<Box<str>> {
    match value {
        Value::Null => None,
        value => Some(plain(value).into()),
    }
}

/// Returns a value as text; null is empty.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(is) => is.to_string(),
        Value::Text(text) | Value::Any(text) => text.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::List(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(start: i64, key: &str) -> Cell {
        Cell {
            span: Span {
                start,
                end: start + 10,
            },
            key: vec![Some(key.into())],
        }
    }

    #[test]
    fn the_last_row_of_a_window_and_key_counts_and_one_taken_back_does_not() {
        let mut table = ResultTable::new(vec!["k".to_owned()], vec!["count".to_owned()]);
        for count in [1, 2, 4] {
            table.put(cell(0, "a"), vec![Value::Integer(count)]);
        }
        table.put(cell(0, "b"), vec![Value::Integer(1)]);
        table.take_back(&cell(0, "b"));
        let row = &table.rows[&cell(0, "a")];
        assert_eq!(table.rows.len(), 1);
        assert_eq!(row.values, [Value::Integer(4)]);
        assert_eq!((row.panes, &row.sums[0]), (3, &Value::Integer(7)));
    }

    #[test]
    fn text_columns_are_keys_unless_they_have_an_aggregate_s_name() {
        let field = |name: &str, data_type| crate::column::Field {
            name: name.to_owned(),
            data_type,
        };
        let schema = Schema {
            fields: vec![
                field("window_start", DataType::Bigint),
                field("window_end", DataType::Bigint),
                field("caller", DataType::Text),
                field("count", DataType::Bigint),
                field("first_callee", DataType::Text),
                field("p99_duration", DataType::Double),
                field("place", DataType::Text),
                field("timing", DataType::Text),
                field("change", DataType::Text),
            ],
            ..Schema::default()
        };
        let none = |_| false;
        let found = Columnation::new(&schema, None, none).expect("a result");
        let table = found.table(&schema);
        assert_eq!(table.keys, ["caller", "place"]);
        assert_eq!(table.measures, ["count", "first_callee", "p99_duration"]);
        let named = Columnation::new(&schema, Some(&["count".to_owned()]), none).expect("a result");
        assert_eq!(named.table(&schema).keys, ["count"]);
        assert!(Columnation::new(&schema, Some(&["callee".to_owned()]), none).is_err());
    }
}
