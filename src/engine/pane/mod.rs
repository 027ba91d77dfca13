//! What leaves a window: panes, gathered in the order in which they were fired.

pub mod journal;
pub mod trigger;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::column::{Value, ValueRef};
use crate::engine::key;
use crate::engine::window::Window;

/// When a pane was fired, compared with its window's close (Beam's `PaneInfo.Timing`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timing {
    /// Before the window closed.
    Early,
    /// The one at the close; where none is fired then, the next, if it holds records that came
    /// before.
    OnTime,
    /// After that.
    Late,
}

impl Timing {
    /// Returns its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Timing::Early => "early",
            Timing::OnTime => "on_time",
            Timing::Late => "late",
        }
    }
}

/// What a pane is among those of its window and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Firing {
    /// The window.
    pub window: Window,
    /// When it was fired.
    pub timing: Timing,
    /// How many panes came before it.
    pub index: u32,
    /// Whether no pane can follow, because the window's grace has passed.
    pub is_last: bool,
    /// Whether it takes an earlier pane back.
    pub is_retraction: bool,
}

/// How a pane relates to earlier ones of its window and key ("The Dataflow Model", §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Refinement {
    /// Each pane holds what came since the one before.
    Discarding,
    /// Each pane holds all that came, and replaces the one before.
    #[default]
    Accumulating,
    /// As accumulating, and the one before is taken back first.
    Retracting,
}

impl Refinement {
    /// Returns the one of a name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Refinement::Discarding,
            Refinement::Accumulating,
            Refinement::Retracting,
        ];
        all.into_iter().find(|one| one.name() == name)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Refinement::Discarding => "discarding",
            Refinement::Accumulating => "accumulating",
            Refinement::Retracting => "retracting",
        }
    }
}

impl fmt::Display for Refinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One result row.
#[derive(Debug, Clone, Copy)]
pub struct Pane<'p> {
    /// Which pane it is.
    pub firing: Firing,
    key: &'p [u8],
    /// The aggregates, in the order of the plan.
    pub values: &'p [Value],
}

impl<'p> Pane<'p> {
    /// Returns the window.
    pub fn window(&self) -> Window {
        self.firing.window
    }

    /// Returns the grouping values, in the order of the plan.
    pub fn key(&self) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        key::values(self.key)
    }

    /// Returns the grouping values as the engine's bytes.
    pub(crate) fn key_bytes(&self) -> &'p [u8] {
        self.key
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
    firing: Firing,
    key_end: usize,
    value_end: usize,
}

impl Panes {
    /// Adds a pane; `push_key` appends its key's bytes.
    pub fn push(
        &mut self,
        firing: Firing,
        push_key: impl FnOnce(&mut Vec<u8>),
        values: impl Iterator<Item = Value>,
    ) {
        push_key(&mut self.keys);
        self.values.extend(values);
        self.rows.push(Row {
            firing,
            key_end: self.keys.len(),
            value_end: self.values.len(),
        });
    }

    /// Returns the panes in the order in which they were fired.
    pub fn iter(&self) -> impl Iterator<Item = Pane<'_>> {
        let (mut key_start, mut value_start) = (0, 0);
        self.rows.iter().map(move |row| {
            let pane = Pane {
                firing: row.firing,
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
