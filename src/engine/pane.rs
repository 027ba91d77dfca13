//! What leaves a window: panes, gathered in the order in which they were fired.

use crate::column::{Value, ValueRef};
use crate::engine::key;
use crate::engine::window::Window;

/// One result row.
#[derive(Debug, Clone, Copy)]
pub struct Pane<'p> {
    /// The window.
    pub window: Window,
    key: &'p [u8],
    /// The aggregates, in the order of the plan.
    pub values: &'p [Value],
}

impl<'p> Pane<'p> {
    /// Returns the grouping values, in the order of the plan.
    pub fn key(&self) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        key::values(self.key)
    }
}

/// Panes in the order in which they were fired; filled by the engine, drained by the node.
#[derive(Debug, Default)]
pub struct Panes {
    rows: Vec<Row>,
    keys: Vec<u8>,
    values: Vec<Value>,
}

#[derive(Debug)]
struct Row {
    window: Window,
    key_end: usize,
    value_end: usize,
}

impl Panes {
    /// Adds a pane.
    pub fn push(&mut self, window: Window, key: &[u8], values: impl Iterator<Item = Value>) {
        self.keys.extend_from_slice(key);
        self.values.extend(values);
        self.rows.push(Row {
            window,
            key_end: self.keys.len(),
            value_end: self.values.len(),
        });
    }

    /// Returns the panes in the order in which they were fired.
    pub fn iter(&self) -> impl Iterator<Item = Pane<'_>> {
        let (mut key_start, mut value_start) = (0, 0);
        self.rows.iter().map(move |row| {
            let pane = Pane {
                window: row.window,
                key: &self.keys[key_start..row.key_end],
                values: &self.values[value_start..row.value_end],
            };
            (key_start, value_start) = (row.key_end, row.value_end);
            pane
        })
    }

    /// Returns the number of panes.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there is no pane.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Drops all panes and keeps the room.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.keys.clear();
        self.values.clear();
    }
}
