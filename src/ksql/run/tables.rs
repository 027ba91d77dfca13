//! Tables: the last row of each key, and joins by it.

use super::store::{Changes, Store, remembers};
use super::{Event, Key, Operator, Row};
use crate::engine::codec::Corrupt;
use crate::error::Result;
use crate::ksql::expr::Node;
use crate::ksql::syntax::JoinKind;
use crate::ksql::value::Value;

/// Turns a topic's records into changes: each says what was there before.
#[derive(Default)]
pub struct Table {
    rows: Store<Key, Row>,
}

impl Operator for Table {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.values.is_empty() || event.key.values.iter().all(Value::is_null) {
            return;
        }
        let old = match event.new_row() {
            Some(row) => self.rows.insert(event.key.clone(), row.clone()),
            None => self.rows.remove(&event.key),
        };
        out.push(Event { old, ..event });
    }

    remembers!(rows);
}

/// Returns the columns of both sides; nulls for a side that has none.
pub(super) fn joined(
    left: Option<&Row>,
    right: Option<&Row>,
    widths: (usize, usize),
    key: Option<&Key>,
) -> Row {
    let side = |row: Option<&Row>, width: usize| match row {
        Some(row) => row.to_vec(),
        None => vec![Value::Null; width],
    };
    let mut columns = side(left, widths.0);
    columns.extend(side(right, widths.1));
    if let Some(key) = key {
        columns.extend(key.values.iter().cloned());
    }
    columns.into()
}

/// Joins each row of a stream with the row that a table has at that moment.
pub struct StreamTableJoin {
    /// Inner or left.
    pub kind: JoinKind,
    /// How many columns the sides have.
    pub widths: (usize, usize),
    /// Whether the key becomes the last column.
    pub appends_key: bool,
    rows: Store<Key, Row>,
}

impl StreamTableJoin {
    /// Returns a join.
    pub fn new(kind: JoinKind, widths: (usize, usize), appends_key: bool) -> Self {
        StreamTableJoin {
            kind,
            widths,
            appends_key,
            rows: Store::default(),
        }
    }
}

impl Operator for StreamTableJoin {
    fn process(&mut self, port: usize, event: Event, out: &mut Vec<Event>) {
        if port == 1 {
            match event.new_row() {
                Some(row) => self.rows.insert(event.key.clone(), row.clone()),
                None => self.rows.remove(&event.key),
            };
            return;
        }
        if event.is_null || (event.key.is_null() && self.kind == JoinKind::Inner) {
            return;
        }
        // A windowed stream finds the row of its key without the window.
        let found = match event.key.is_null() {
            true => None,
            false => self.rows.get(&event.key),
        };
        if found.is_none() && self.kind == JoinKind::Inner {
            return;
        }
        let key = self.appends_key.then_some(&event.key);
        let row = joined(Some(&event.row), found, self.widths, key);
        out.push(event.with_row(Some(row)));
    }

    remembers!(rows);
}

/// Joins two tables by their keys.
pub struct TableJoin {
    /// Which rows without a partner are kept.
    pub kind: JoinKind,
    /// How many columns the sides have.
    pub widths: (usize, usize),
    /// Whether the key becomes the last column.
    pub appends_key: bool,
    sides: [Store<Key, (Row, i64)>; 2],
}

impl TableJoin {
    /// Returns a join.
    pub fn new(kind: JoinKind, widths: (usize, usize), appends_key: bool) -> Self {
        TableJoin {
            kind,
            widths,
            appends_key,
            sides: Default::default(),
        }
    }

    fn row(&self, key: &Key, left: Option<&Row>, right: Option<&Row>) -> Option<Row> {
        let is_kept = match (left, right) {
            (Some(_), Some(_)) => true,
            (Some(_), None) => matches!(self.kind, JoinKind::Left | JoinKind::Outer),
            (None, Some(_)) => matches!(self.kind, JoinKind::Right | JoinKind::Outer),
            (None, None) => false,
        };
        is_kept.then(|| joined(left, right, self.widths, self.appends_key.then_some(key)))
    }
}

impl Operator for TableJoin {
    fn process(&mut self, port: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.is_null() {
            return;
        }
        let other = self.sides[1 - port].get(&event.key).cloned();
        match event.new_row() {
            Some(row) => self.sides[port].insert(event.key.clone(), (row.clone(), event.time)),
            None => self.sides[port].remove(&event.key),
        };
        let other_row = other.as_ref().map(|(row, _)| row);
        let of = |row: Option<&Row>| match port {
            0 => self.row(&event.key, row, other_row),
            _ => self.row(&event.key, other_row, row),
        };
        let (new, old) = (of(event.new_row()), of(event.old.as_ref()));
        if new.is_none() && old.is_none() {
            return;
        }
        let time = other.map_or(event.time, |(_, time)| time.max(event.time));
        out.push(Event {
            old,
            time,
            ..event.with_row(new)
        });
    }

    fn has_state(&self) -> bool {
        true
    }

    fn log_changes(&mut self) {
        self.sides.iter_mut().for_each(Store::log_changes);
    }

    fn changes(&mut self, changes: &mut Changes) -> Result<()> {
        let mut sides = (0..).zip(&mut self.sides);
        sides.try_for_each(|(side, rows)| rows.changes(side, changes))
    }

    fn restore(&mut self, side: u8, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let rows = self.sides.get_mut(usize::from(side)).ok_or(Corrupt)?;
        rows.restore(key, value).map(drop)
    }
}

/// Returns the key that an expression of a table's row gives.
pub(super) fn key_of(expression: &Node, row: &Row) -> Key {
    Key::of(vec![expression.value(row)])
}
