//! Records → columns, for the engine.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bumpalo::Bump;

use super::json::{Line, Lines};
use super::{Windowing, column_type, data_type, is_plain};
use crate::column::Column;
use crate::engine::operator::{Input, Noted, Operator};
use crate::engine::pane::Panes;
use crate::error::Result;
use crate::ksql::catalog::Source;
use crate::ksql::expr::Node;
use crate::ksql::run::Event;
use crate::ksql::schema::PSEUDO;
use crate::ksql::types::Type;
use crate::ksql::value::Value;

/// Reads records of a source into the columns that a query takes.
#[derive(Debug)]
pub struct Reader {
    /// The columns of a row that are read, and their types; the batch begins with them.
    read: Vec<(usize, Type)>,
    /// What the batch has behind them: computed from a row.
    computed: Vec<Node>,
    filter: Option<Node>,
    /// The columns of the batch that are the keys.
    keys: Vec<usize>,
    /// The columns of the batch that the engine's states take.
    arguments: Vec<Option<usize>>,
    /// The column of a row that is ROWTIME.
    row_time: usize,
    /// Reads plain lines; `None` where each record is read as a row.
    lines: Option<Lines>,
    /// Room for a row.
    room: Vec<Value>,
}

/// Some records by column.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    pub(super) columns: Vec<Column<'a>>,
    pub(super) times: Vec<i64>,
}

impl Reader {
    /// Returns the reader of a query's records.
    pub fn new(windowing: &Windowing, source: &Source) -> Self {
        let (expressions, arguments) = windowing.expressions();
        let own = source.schema.columns().map(|column| column.of.clone());
        let pseudo = PSEUDO.iter().map(|(_, of)| of.clone());
        let types: Vec<Type> = own.chain(pseudo).collect();
        let row_time = source.schema.columns().count();
        let mut wanted = BTreeSet::new();
        let all = expressions.iter().copied().chain(&windowing.filter);
        all.for_each(|expression| expression.add_columns(&mut wanted));
        // The place of a record is known where it is read as a row.
        let is_readable = |&at: &usize| at <= row_time && data_type(&types[at]).is_some();
        let by_column = is_plain(source) && wanted.iter().all(is_readable);
        let time_at = source.time.as_ref().and_then(|time| {
            let mut columns = source.schema.columns();
            columns.position(|column| column.name == time.name)
        });
        if !by_column {
            wanted.clear();
        } else {
            wanted.extend(time_at);
        }
        let read: Vec<(usize, Type)> = wanted
            .into_iter()
            .map(|at| (at, types[at].clone()))
            .collect();
        let mut computed = Vec::new();
        let places: Vec<usize> = expressions
            .iter()
            .map(|expression| {
                let column = expression.as_column();
                let found = column.and_then(|at| read.iter().position(|(known, _)| *known == at));
                found.unwrap_or_else(|| {
                    computed.push((*expression).clone());
                    read.len() + computed.len() - 1
                })
            })
            .collect();
        let lines = by_column.then(|| Lines::new(source, &read, (row_time, time_at)));
        Reader {
            keys: places[..windowing.keys.len()].to_vec(),
            arguments: arguments.iter().map(|at| at.map(|at| places[at])).collect(),
            filter: windowing.filter.clone(),
            room: vec![Value::Null; types.len()],
            row_time,
            lines,
            read,
            computed,
        }
    }

    /// Returns a batch without a row.
    pub fn batch<'a>(&self) -> Batch<'a> {
        let read = self.read.iter().map(|(_, of)| of.clone());
        let computed = self.computed.iter().map(Node::type_or_string);
        let columns = read
            .chain(computed)
            .map(|of| Column::with_capacity(column_type(&of), 0));
        Batch {
            columns: columns.collect(),
            times: Vec::new(),
        }
    }

    /// Adds a line, unless it has to be read as a record; returns whether that is so.
    pub fn add_line<'a>(&mut self, line: &'a [u8], batch: &mut Batch<'a>, arena: &'a Bump) -> bool {
        let Some(lines) = &mut self.lines else {
            return false;
        };
        let Line::Row(time) = lines.read(line, batch, arena) else {
            return false;
        };
        batch.times.push(time);
        self.finish(None, batch, arena);
        true
    }

    /// Adds a row of the source.
    pub fn add_row<'a>(&mut self, event: &Event, batch: &mut Batch<'a>, arena: &'a Bump) {
        if event.is_null {
            return;
        }
        for ((at, _), column) in self.read.iter().zip(&mut batch.columns) {
            push(column, event.row.get(*at).unwrap_or(&Value::Null), arena);
        }
        batch.times.push(event.time);
        self.finish(Some(&event.row), batch, arena);
    }

    /// Computes what is computed of the last row, and takes the row out again if it does not count:
    /// it moves no stream time either.
    fn finish<'a>(&mut self, row: Option<&[Value]>, batch: &mut Batch<'a>, arena: &'a Bump) {
        let nth = batch.times.len() - 1;
        if self.filter.is_some() || !self.computed.is_empty() {
            let room = std::mem::take(&mut self.room);
            let (counts, room) = match row {
                Some(row) => (self.compute(row, batch, arena), room),
                None => {
                    let row = self.row(batch, nth, room);
                    (self.compute(&row, batch, arena), row)
                }
            };
            self.room = room;
            if !counts {
                return batch.truncate(nth);
            }
        }
        let is_null = |at: &usize| batch.columns[*at].nulls().get(nth) == Some(&true);
        if self.keys.iter().any(is_null) {
            batch.truncate(nth);
        }
    }

    /// Returns whether a row passes WHERE, and adds what is computed of it.
    fn compute<'a>(&self, row: &[Value], batch: &mut Batch<'a>, arena: &'a Bump) -> bool {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.holds(row))
        {
            return false;
        }
        let columns = &mut batch.columns[self.read.len()..];
        for (node, column) in self.computed.iter().zip(columns) {
            push(column, &node.value(row), arena);
        }
        true
    }

    /// Makes `room` the row of which some columns were read; the others are null.
    fn row(&self, batch: &Batch<'_>, nth: usize, mut room: Vec<Value>) -> Vec<Value> {
        for ((at, of), column) in self.read.iter().zip(&batch.columns) {
            room[*at] = value_of(column, nth, of);
        }
        room[self.row_time] = Value::Bigint(batch.times[nth]);
        room
    }

    /// Hands the rows of a batch to the engine.
    ///
    /// # Errors
    /// As [`Operator::on_batch`].
    pub fn hand_over(
        &self,
        batch: &Batch<'_>,
        operator: &mut Operator,
        panes: &mut Panes,
    ) -> Result<()> {
        let keys: Vec<Cow<'_, Column<'_>>> = self
            .keys
            .iter()
            .map(|at| Cow::Borrowed(&batch.columns[*at]))
            .collect();
        let argument = |at: &Option<usize>| at.map(|at| Cow::Borrowed(&batch.columns[at]));
        let arguments: Vec<_> = self.arguments.iter().map(argument).collect();
        let input = Input {
            partition: 0,
            origin: 0,
            first: 0,
            noted: Noted::default(),
            malformed: &[],
            times: &batch.times,
            arrivals: None,
            selected: None,
            keys: &keys,
            arguments: &arguments,
            carried: &[],
            taken_back: None,
            distinct: None,
            parts: None,
        };
        operator.on_batch(&input, panes)
    }
}

impl Batch<'_> {
    /// Returns whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Drops the rows from `rows` on.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(rows));
        self.times.truncate(rows);
    }
}

/// Adds a value to a column of its type.
fn push<'a>(column: &mut Column<'a>, value: &Value, arena: &'a Bump) {
    match (column, value) {
        (column, Value::Null) => column.push_null(),
        (Column::Text(values), Value::String(text)) => values.push(Some(arena.alloc_str(text))),
        (Column::Bigint(values), value) => values.push(value.as_i64()),
        (Column::Double(values), value) => values.push(value.as_f64()),
        (Column::Boolean(values), Value::Boolean(value)) => values.push(Some(*value)),
        // That there is one is what COUNT asks.
        (Column::Boolean(values), _) => values.push(Some(true)),
        (column, _) => column.push_null(),
    }
}

fn value_of(column: &Column<'_>, nth: usize, of: &Type) -> Value {
    match (column, of) {
        (Column::Text(values), _) => values.get(nth).map_or(Value::Null, Value::from),
        (Column::Double(values), _) => values.get(nth).map_or(Value::Null, Value::Double),
        (Column::Boolean(values), _) => values.get(nth).map_or(Value::Null, Value::Boolean),
        (Column::Bigint(values), of) => values
            .get(nth)
            .map_or(Value::Null, |value| whole(value, of)),
        _ => Value::Null,
    }
}

/// Returns a whole number as a value of its type; a wider one wraps, as in Java.
pub(super) fn whole(value: i64, of: &Type) -> Value {
    match of {
        Type::Int => Value::Int(value as i32),
        Type::Date => Value::Date(value as i32),
        Type::Time => Value::Time(value as i32),
        Type::Timestamp => Value::Timestamp(value),
        _ => Value::Bigint(value),
    }
}
