//! Operators that look at one row at a time.

use std::sync::Arc;

use super::{Event, Key, Operator, Row};
use crate::ksql::expr::{Node, cast};
use crate::ksql::functions::Call;
use crate::ksql::functions::TableFunction;
use crate::ksql::types::Type;
use crate::ksql::value::Value;

/// What WHERE and HAVING ask.
pub struct Test(pub Node);

/// Lets the rows pass of which a condition holds. A table's row of which it no longer holds is
/// taken back.
pub struct Filter {
    /// The condition.
    pub test: Test,
    /// Whether it is a table that is filtered.
    pub of_table: bool,
}

impl Operator for Filter {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        let passes = |row: &Row| self.test.0.holds(row);
        if !self.of_table {
            if !event.is_null && passes(&event.row) {
                out.push(event);
            }
            return;
        }
        let new = event.new_row().filter(|row| passes(row)).cloned();
        let old = event.old.clone().filter(|row| passes(row));
        if new.is_some() || old.is_some() {
            out.push(Event {
                old,
                ..event.with_row(new)
            });
        }
    }
}

/// A row for each that the table functions make of a row, with what they gave behind its columns.
pub struct Flatten {
    /// Functions, arguments, types of the arguments and of the result.
    pub functions: Vec<(&'static TableFunction, Vec<Node>, Vec<Type>, Type)>,
}

impl Operator for Flatten {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        if event.is_null {
            return;
        }
        let lists: Vec<Vec<Value>> = self
            .functions
            .iter()
            .map(|(function, arguments, types, returns)| {
                let values: Vec<Value> = arguments
                    .iter()
                    .map(|argument| argument.value(&event.row))
                    .collect();
                let apply =
                    |_: usize, _: &[Value]| Err("a table function takes no lambda".to_owned());
                (function.body)(&Call {
                    values: &values,
                    types,
                    returns,
                    apply: &apply,
                })
                .unwrap_or_default()
            })
            .collect();
        let rows = lists.iter().map(Vec::len).max().unwrap_or_default();
        for nth in 0..rows {
            let made = lists
                .iter()
                .map(|list| list.get(nth).cloned().unwrap_or_default());
            let row: Row = event.row.iter().cloned().chain(made).collect();
            out.push(event.with_row(Some(row)));
        }
    }
}

/// Gives a stream's rows another key. What `appends` is also the last column, so that later clauses
/// can name it.
pub struct Rekey {
    /// The new key; none for no key.
    pub keys: Vec<Node>,
    /// Whether the key becomes a column.
    pub appends: bool,
    /// Whether a row without a key goes on: to PARTITION BY, not to a join.
    pub keeps_null: bool,
}

impl Operator for Rekey {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        let values: Vec<Value> = self.keys.iter().map(|key| key.value(&event.row)).collect();
        let key = Key::of(values.clone());
        if key.is_null() && !self.keeps_null {
            return;
        }
        let row = match self.appends {
            true => event.row.iter().cloned().chain(values).collect(),
            false => event.row.clone(),
        };
        out.push(Event { key, row, ..event });
    }
}

/// Gives a table's rows another key, for GROUP BY: the row of the old key is taken back, the one of
/// the new key is added. Where both are the same it is one change.
pub struct RekeyTable {
    /// The new key.
    pub keys: Vec<Node>,
}

impl Operator for RekeyTable {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        let key_of = |row: &Row| Key::of(self.keys.iter().map(|key| key.value(row)).collect());
        let old = event
            .old
            .clone()
            .map(|row| (key_of(&row), row))
            .filter(|(key, _)| !key.is_null());
        let new = event
            .new_row()
            .map(|row| (key_of(row), row.clone()))
            .filter(|(key, _)| !key.is_null());
        match (old, new) {
            (Some((old_key, old)), Some((key, row))) if old_key == key => {
                out.push(Event {
                    key,
                    old: Some(old),
                    ..event.with_row(Some(row))
                });
            }
            (old, new) => {
                if let Some((key, row)) = old {
                    out.push(Event {
                        key,
                        old: Some(row),
                        ..event.with_row(None)
                    });
                }
                if let Some((key, row)) = new {
                    out.push(Event {
                        key,
                        old: None,
                        ..event.with_row(Some(row))
                    });
                }
            }
        }
    }
}

/// Computes the columns of the result. The key stays as it is, but for the order of its parts.
pub struct Select {
    /// The value's columns.
    pub values: Vec<Node>,
}

impl Operator for Select {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        let select =
            |row: &Row| -> Row { self.values.iter().map(|value| value.value(row)).collect() };
        let old = event.old.as_ref().map(select);
        let row = if event.is_null {
            Arc::from([])
        } else {
            select(&event.row)
        };
        out.push(Event { row, old, ..event });
    }
}

/// Makes values of wider types: what INSERT INTO does where a stream's columns are wider than the
/// query's.
pub struct Convert {
    /// From which type to which, of each column of the key.
    pub keys: Vec<(Type, Type)>,
    /// The same of the value.
    pub values: Vec<(Type, Type)>,
}

impl Operator for Convert {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        let convert = |values: &Row, types: &[(Type, Type)]| -> Row {
            let pairs = values.iter().zip(types);
            pairs
                .map(|(value, (from, to))| cast(value, from, to).unwrap_or_default())
                .collect()
        };
        let key = Key {
            values: convert(&event.key.values, &self.keys),
            ..event.key
        };
        let old = event.old.as_ref().map(|old| convert(old, &self.values));
        let row = convert(&event.row, &self.values);
        out.push(Event {
            key,
            row,
            old,
            ..event
        });
    }
}

/// Gives the windows of keys another size; each begins where it began.
pub struct Resize {
    /// The size, in ms.
    pub size_ms: i64,
}

impl Operator for Resize {
    fn process(&mut self, _: usize, mut event: Event, out: &mut Vec<Event>) {
        if let Some(window) = &mut event.key.window {
            window.end = window.start.saturating_add(self.size_ms);
        }
        out.push(event);
    }
}
