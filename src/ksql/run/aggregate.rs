//! GROUP BY: states by key, and by window of a grid.
//!
//! A row of the result is the key's columns, the aggregates' results, the bounds of the window if
//! there is one, and ROWTIME: what the clauses behind GROUP BY may name.

use super::store::{Saved, Store, StreamTime, Sweep, remembers};
use super::{Event, Key, Operator, Row};
use crate::engine::codec::Corrupt;
use crate::engine::window::{Window, Windows};
use crate::error::Result;
use crate::ksql::expr::Node;
use crate::ksql::functions::{Aggregate, Spec};
use crate::ksql::value::Value;
use crate::ksql::window::Lateness;

/// An aggregate of a query.
pub struct Aggregated {
    /// Which.
    pub function: &'static Aggregate,
    /// What it is called with, but for the constants.
    pub arguments: Vec<Node>,
    /// The rest of the call.
    pub spec: Spec,
}

/// The states of all aggregates of one key, with the time of the latest row in them.
#[derive(Debug, Clone)]
pub(super) struct State {
    values: Vec<Value>,
    pub time: i64,
}

impl Saved for State {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.values.save(bytes)?;
        self.time.save(bytes)
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        let (values, time) = <(Vec<Value>, i64)>::load(bytes)?;
        Ok(State { values, time })
    }
}

/// Adds rows to states.
pub(super) struct Adder {
    aggregates: Vec<Aggregated>,
    /// Why the query cannot go on.
    failure: Option<String>,
}

impl Adder {
    pub fn new(aggregates: Vec<Aggregated>) -> Self {
        Adder {
            aggregates,
            failure: None,
        }
    }

    /// Returns the state of no row.
    pub fn start(&self, time: i64) -> State {
        let start = |aggregate: &Aggregated| (aggregate.function.start)(&aggregate.spec);
        State {
            values: self.aggregates.iter().map(start).collect(),
            time,
        }
    }

    /// Returns why the query cannot go on.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Adds a row. An aggregate that fails stays as it was, and the query cannot go on.
    pub fn add(&mut self, state: &mut State, row: &Row, time: i64) {
        for (aggregate, value) in self.aggregates.iter().zip(&mut state.values) {
            let arguments = aggregate.arguments_of(row);
            let before = std::mem::take(value);
            let kept = before.clone();
            *value = match (aggregate.function.add)(&aggregate.spec, before, &arguments) {
                Ok(value) => value,
                Err(reason) => {
                    self.failure.get_or_insert(reason);
                    kept
                }
            };
        }
        state.time = state.time.max(time);
    }

    /// Takes a row back.
    pub fn undo(&self, state: &mut State, row: &Row, time: i64) {
        for (aggregate, value) in self.aggregates.iter().zip(&mut state.values) {
            let Some(undo) = aggregate.function.undo else {
                continue;
            };
            let arguments = aggregate.arguments_of(row);
            let before = std::mem::take(value);
            let kept = before.clone();
            *value = undo(&aggregate.spec, before, &arguments).unwrap_or(kept);
        }
        state.time = state.time.max(time);
    }

    /// Returns the state of the rows of both.
    pub fn merge(&self, first: State, second: State) -> State {
        let time = first.time.max(second.time);
        let merge = |(aggregate, (first, second)): (&Aggregated, (Value, Value))| {
            let kept = first.clone();
            (aggregate.function.merge)(&aggregate.spec, first, second).unwrap_or(kept)
        };
        let values = self
            .aggregates
            .iter()
            .zip(first.values.into_iter().zip(second.values))
            .map(merge)
            .collect();
        State { values, time }
    }

    /// Returns the result's row.
    pub fn row(&self, key: &Key, state: &State) -> Row {
        let result = |(aggregate, value): (&Aggregated, &Value)| {
            (aggregate.function.result)(&aggregate.spec, value).unwrap_or_default()
        };
        let results = self.aggregates.iter().zip(&state.values).map(result);
        let mut row: Vec<Value> = key.values.iter().cloned().chain(results).collect();
        if let Some(window) = key.window {
            row.extend([Value::Bigint(window.start), Value::Bigint(window.end)]);
        }
        row.push(Value::Bigint(state.time));
        row.into()
    }
}

impl Aggregated {
    fn arguments_of(&self, row: &Row) -> Vec<Value> {
        self.arguments
            .iter()
            .map(|argument| argument.value(row))
            .collect()
    }
}

/// Aggregates without windows, of a stream or of a table.
pub struct Grouped {
    adder: Adder,
    states: Store<Key, State>,
}

impl Grouped {
    /// Returns the operator of some aggregates.
    pub fn new(aggregates: Vec<Aggregated>) -> Self {
        Grouped {
            adder: Adder::new(aggregates),
            states: Store::default(),
        }
    }
}

impl Operator for Grouped {
    fn failure(&self) -> Option<&str> {
        self.adder.failure()
    }

    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.is_null() || (event.is_null && event.old.is_none()) {
            return;
        }
        let before = self.states.remove(&event.key);
        let old = before
            .as_ref()
            .map(|state| self.adder.row(&event.key, state));
        let is_known = before.is_some();
        let mut state = before.unwrap_or_else(|| self.adder.start(event.time));
        if let Some(row) = event.old.as_ref().filter(|_| is_known) {
            self.adder.undo(&mut state, row, event.time);
        }
        if let Some(row) = event.new_row() {
            self.adder.add(&mut state, row, event.time);
        }
        let row = self.adder.row(&event.key, &state);
        let time = state.time;
        self.states.insert(event.key.clone(), state);
        out.push(Event {
            old,
            time,
            ..event.with_row(Some(row))
        });
    }

    remembers!(states);
}

/// Aggregates of a stream in windows of a grid.
pub struct Windowed {
    adder: Adder,
    windows: Windows,
    lateness: Lateness,
    states: Store<Key, State>,
    stream_time: StreamTime,
    sweep: Sweep,
}

impl Windowed {
    /// Returns the operator of some aggregates in windows that take records for `grace_ms` after
    /// their end.
    pub fn new(aggregates: Vec<Aggregated>, windows: Windows, grace_ms: i64) -> Self {
        let lateness = Lateness::new(&windows, grace_ms);
        Windowed {
            adder: Adder::new(aggregates),
            windows,
            lateness,
            states: Store::default(),
            stream_time: StreamTime::default(),
            sweep: Sweep::default(),
        }
    }

    /// Forgets the windows that take no more records.
    fn forget(&mut self) {
        let (lateness, now) = (self.lateness, self.stream_time.now);
        self.states.remove_where(|key, _| {
            key.window
                .is_some_and(|window| lateness.is_expired(window, now))
        });
        self.sweep.done(self.states.len());
    }
}

impl Operator for Windowed {
    fn failure(&self) -> Option<&str> {
        self.adder.failure()
    }

    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.is_null() || event.is_null {
            return;
        }
        let has_moved = self.stream_time.reach(event.time);
        let mut windows: Vec<Window> = Vec::new();
        self.windows.span(event.time, &mut windows);
        // The earliest first; none begins before 1970, as in Kafka Streams.
        windows.sort_by_key(|window| window.start);
        for window in windows.into_iter().filter(|window| window.start >= 0) {
            if self.lateness.is_expired(window, self.stream_time.now) {
                continue;
            }
            let key = Key {
                values: event.key.values.clone(),
                window: Some(window),
            };
            let before = self.states.remove(&key);
            let old = before.as_ref().map(|state| self.adder.row(&key, state));
            let mut state = before.unwrap_or_else(|| self.adder.start(event.time));
            self.adder.add(&mut state, &event.row, event.time);
            let row = self.adder.row(&key, &state);
            let time = state.time;
            self.states.insert(key.clone(), state);
            out.push(Event {
                key,
                old,
                time,
                ..event.with_row(Some(row))
            });
        }
        if has_moved && self.sweep.is_due(self.states.len()) {
            self.forget();
        }
    }

    remembers!(states, stream_time);
}
