//! A query at work: rows are pushed through operators, one at a time, deterministically.
//!
//! ```text
//! source ─► [table] ─► join ─► filter ─► flatten ─► rekey | aggregate ─► filter ─► select ─► sink
//! ```
//! An [`Event`] is a row of a stream or a change of a table. Operators keep their state; none knows
//! a clock, a topic or a file. Windows are those of `engine::window`, and `engine::lateness` says
//! which records are late; for joins of streams that is `streams`.

mod aggregate;
mod foreign;
mod session_windows;
mod simple;
mod stages;
mod store;
mod streams;
mod suppress;
mod tables;

use std::sync::Arc;

use super::value::Value;
use crate::engine::codec::Corrupt;
use crate::engine::window::Window;
use crate::error::Result;

pub use aggregate::{Aggregated, Grouped, Windowed};
pub use foreign::ForeignJoin;
pub use session_windows::Sessions;
pub use simple::{Convert, Filter, Flatten, Rekey, RekeyTable, Resize, Select, Test};
pub use stages::{Feed, Stage};
pub use store::{Changes, Entry, Saved};
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

    /// Returns its columns, so many of them; nulls if there is no key.
    pub fn columns(&self, count: usize) -> impl Iterator<Item = &Value> {
        let nulls = std::iter::repeat(&Value::Null);
        self.values.iter().chain(nulls).take(count)
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

    /// Returns why the query cannot go on.
    fn failure(&self) -> Option<&str> {
        None
    }

    /// Returns whether it remembers anything.
    fn has_state(&self) -> bool {
        false
    }

    /// Notes from now on which of its entries change.
    fn log_changes(&mut self) {}

    /// Hands over the entries that have changed since the last time.
    ///
    /// # Errors
    /// `bug` where one cannot be written.
    fn changes(&mut self, _changes: &mut Changes) -> Result<()> {
        Ok(())
    }

    /// Takes in an entry of one of its maps that [`Operator::changes`] has handed over.
    ///
    /// # Errors
    /// [`Corrupt`] where it is none of its entries.
    fn restore(&mut self, _map: u8, _key: &[u8], _value: &[u8]) -> Result<(), Corrupt> {
        Err(Corrupt)
    }
}

/// Operators, and where the events of each go.
#[derive(Default)]
pub struct Topology {
    nodes: Vec<Node>,
    /// Whether events that have to come together with others by key leave, to come in again.
    is_split: bool,
}

struct Node {
    operator: Box<dyn Operator>,
    next: Option<Place>,
    /// Whether its events have a new key, so that in a group they go on in another process.
    is_cut: bool,
    /// Whether they go on in one task all together.
    is_gathered: bool,
}

/// A port of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    node: usize,
    port: usize,
}

/// An event that leaves a topology.
#[derive(Debug)]
pub struct Leaving {
    /// The cut that it leaves at; `None` for the sink.
    pub cut: Option<Place>,
    /// What leaves.
    pub event: Event,
}

impl Topology {
    /// Adds an operator; what it gives out leaves the query until it is [led](Topology::lead)
    /// elsewhere.
    pub fn add(&mut self, operator: impl Operator + 'static) -> Place {
        self.nodes.push(Node {
            operator: Box::new(operator),
            next: None,
            is_cut: false,
            is_gathered: false,
        });
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
        self.nodes[from.node].next = Some(Place {
            node: to.node,
            port,
        });
    }

    /// Returns why the query cannot go on: a sum that its type does not hold.
    pub fn failure(&self) -> Option<&str> {
        self.nodes.iter().find_map(|node| node.operator.failure())
    }

    /// Notes that the events of an operator have a new key: what follows needs all events of a key
    /// together.
    pub fn cut(&mut self, from: Place) {
        self.nodes[from.node].is_cut = true;
    }

    /// Notes that all events of an operator are needed together, whatever their keys.
    pub fn gather(&mut self, from: Place) {
        self.nodes[from.node].is_cut = true;
        self.nodes[from.node].is_gathered = true;
    }

    /// Returns whether all events that leave at a cut are needed together.
    pub fn is_gathered(&self, cut: Place) -> bool {
        self.nodes[cut.node].is_gathered
    }

    /// Pushes an event into an operator; what leaves the query is added to `out`.
    pub fn push(&mut self, at: Place, event: Event, out: &mut Vec<Event>) {
        self.flow(at, event, &mut |leaving| out.push(leaving.event));
    }

    /// Goes on with an event as if an operator had given it out; what leaves the query is added to
    /// `out`.
    pub fn push_behind(&mut self, operator: Place, event: Event, out: &mut Vec<Event>) {
        match self.nodes[operator.node].next {
            Some(next) => self.push(next, event, out),
            None => out.push(event),
        }
    }

    /// Returns how many operators there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Pushes an event into an operator; what leaves the query is added to `out`, and where the
    /// topology [is split](Topology::split) what leaves at a cut, too.
    pub fn step(&mut self, at: Place, event: Event, out: &mut Vec<Leaving>) {
        self.flow(at, event, &mut |leaving| out.push(leaving));
    }

    fn flow(&mut self, at: Place, event: Event, out: &mut impl FnMut(Leaving)) {
        let mut given = Vec::new();
        let node = &mut self.nodes[at.node];
        node.operator.process(at.port, event, &mut given);
        let leaves = node.next.is_none() || (self.is_split && node.is_cut);
        let cut = node.next.is_some().then_some(Place { port: 0, ..at });
        match node.next {
            Some(next) if !leaves => given
                .into_iter()
                .for_each(|event| self.flow(next, event, out)),
            _ => given
                .into_iter()
                .for_each(|event| out(Leaving { cut, event })),
        }
    }
}
