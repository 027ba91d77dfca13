//! A query at work: rows are pushed through operators, one at a time, deterministically.
//!
//! ```text
//! source ─► [table] ─► join ─► filter ─► flatten ─► rekey | aggregate ─► filter ─► select ─► sink
//! ```
//! An [`Event`] is a row of a stream or a change of a table. Operators keep their state; none knows
//! a clock, a topic or a file. Windows are those of `engine::window`, and `engine::lateness` says
//! which records are late.

mod aggregate;
mod foreign;
mod session;
mod simple;
mod streams;
mod suppress;
mod tables;

use std::sync::Arc;

use super::value::Value;
use crate::engine::window::Window;

pub use aggregate::{Aggregated, Grouped, Windowed};
pub use foreign::ForeignJoin;
pub use session::Sessions;
pub use simple::{Filter, Flatten, Rekey, RekeyTable, Select, Test};
pub use streams::StreamJoin;
pub use suppress::Suppress;
pub use tables::{StreamTableJoin, Table, TableJoin};

/// The values of a row, shared by all who look at it.
pub type Row = Arc<[Value]>;

/// Names and bytes that a record carries beside key and value.
pub type Headers = Arc<Vec<(String, Option<Vec<u8>>)>>;

/// What a record is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Key {
    /// The key's columns; none of a stream without a key.
    pub values: Row,
    /// The window, of windowed keys.
    pub window: Option<Window>,
}

impl Key {
    /// Returns a key without a window.
    pub fn of(values: Vec<Value>) -> Self {
        Key {
            values: values.into(),
            window: None,
        }
    }

    /// Returns whether there is no key, or a part of it is null: such a row finds no partner.
    pub fn is_null(&self) -> bool {
        self.values.is_empty() || self.values.iter().any(Value::is_null)
    }
}

/// A row of a stream, or a change of a table.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it is found by.
    pub key: Key,
    /// All columns; of a null value those of the key and nulls.
    pub row: Row,
    /// Whether the value is null: of a table, whether the key's row is gone.
    pub is_null: bool,
    /// Of a table: the row that was there before.
    pub old: Option<Row>,
    /// Event time, in ms.
    pub time: i64,
    /// The headers of the record that led to it.
    pub headers: Headers,
}

impl Event {
    /// Returns a table's new row.
    pub fn new_row(&self) -> Option<&Row> {
        (!self.is_null).then_some(&self.row)
    }

    /// Returns the event with another new row.
    fn with_row(&self, row: Option<Row>) -> Event {
        let is_null = row.is_none();
        Event {
            row: row.unwrap_or_else(|| Arc::from([])),
            is_null,
            ..self.clone()
        }
    }
}

/// A step of a query.
pub trait Operator {
    /// Takes in an event at a port (0, or 1 for the right side of a join), gives out what follows.
    fn process(&mut self, port: usize, event: Event, out: &mut Vec<Event>);
}

/// Operators, and where the events of each go.
#[derive(Default)]
pub struct Topology {
    nodes: Vec<(Box<dyn Operator>, Option<Place>)>,
}

/// A port of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    node: usize,
    port: usize,
}

impl Topology {
    /// Adds an operator; what it gives out leaves the query until it is [led](Topology::lead)
    /// elsewhere.
    pub fn add(&mut self, operator: impl Operator + 'static) -> Place {
        self.nodes.push((Box::new(operator), None));
        Place {
            node: self.nodes.len() - 1,
            port: 0,
        }
    }

    /// Leads the events of one operator to the first port of another.
    pub fn lead(&mut self, from: Place, to: Place) {
        self.lead_to_port(from, to, 0);
    }

    /// Leads the events of one operator to a port of another.
    pub fn lead_to_port(&mut self, from: Place, to: Place, port: usize) {
        self.nodes[from.node].1 = Some(Place {
            node: to.node,
            port,
        });
    }

    /// Pushes an event into an operator; what leaves the query is added to `out`.
    pub fn push(&mut self, at: Place, event: Event, out: &mut Vec<Event>) {
        let mut given = Vec::new();
        self.nodes[at.node].0.process(at.port, event, &mut given);
        match self.nodes[at.node].1 {
            None => out.append(&mut given),
            Some(next) => given
                .into_iter()
                .for_each(|event| self.push(next, event, out)),
        }
    }
}
