//! What a result of windows looks like: its columns, and which of them and of its rows are shown.
//!
//! A plan says it, and sinks write it. In: [`Pane`]s with all that was computed. Out: values in the
//! order of the [`Header`]; columns that are chosen or computed from them ([`select`]); rows that are
//! kept, in their order ([`rank`]).

pub(crate) mod rank;
pub(crate) mod select;

use crate::column::{Value, ValueRef};
use crate::engine::pane::Pane;
use crate::engine::watermark::{BEGINNING, END};
use crate::engine::window::Window;

/// The names of the columns that hold a window's bounds.
pub(crate) const BOUNDS: [&str; 2] = ["window_start", "window_end"];

/// The columns of a result: `window_start`, `window_end`, the grouping columns, the aggregates,
/// and where they are wanted `change` and those that say which pane a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The names of the grouping columns.
    pub keys: Vec<String>,
    /// The names of the aggregates.
    pub values: Vec<String>,
    /// Whether numbers have a decimal comma in grouping undeclared columns: with a point such a
    /// value is another number, or none, and so a text.
    pub(crate) decimal_comma: bool,
    /// Those of the columns above that hold times in ms since 1970.
    pub times: Vec<String>,
    /// Whether rows say `+` for a result and `-` for one that is taken back.
    pub change: bool,
    /// Whether rows have `timing`, `pane`, `is_last`.
    pub panes: bool,
    /// The columns that were chosen, which are then all that the values of a row are; `None` for
    /// the ones above.
    pub selected: Option<Vec<(String, Role)>>,
}

/// The role of a column of a result, which decides how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The start of a window.
    Start,
    /// The end of a window.
    End,
    /// A time in ms since 1970.
    Time,
    /// A grouping value.
    Key,
    /// What was computed.
    Value,
}

impl Header {
    /// Returns all names in order, and what they are of.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Role)> {
        let window = BOUNDS.into_iter().zip([Role::Start, Role::End]);
        let role_of = |name: &String, role| {
            if self.times.contains(name) {
                Role::Time
            } else {
                role
            }
        };
        let keys = self.keys.iter();
        let keys = keys.map(move |name| (name.as_str(), role_of(name, Role::Key)));
        let values = self.values.iter();
        let values = values.map(move |name| (name.as_str(), role_of(name, Role::Value)));
        let change = self.change.then_some(("change", Role::Value));
        let panes = ["timing", "pane", "is_last"].map(|name| (name, Role::Value));
        let panes = panes.into_iter().filter(|_| self.panes);
        let whole = window.chain(keys).chain(values);
        let whole = whole.chain(change).chain(panes);
        let selected = self.selected.iter().flatten();
        let selected = selected.map(|(name, role)| (name.as_str(), *role));
        whole.filter(|_| self.selected.is_none()).chain(selected)
    }

    /// Returns all names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns().map(|(name, _)| name)
    }

    /// Returns a pane's values in the order of the names; the ends of all time are null.
    pub fn row<'p>(&self, pane: Pane<'p>) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        self.front(pane.window()).chain(self.rest(pane))
    }

    /// Returns the values in front of a row, which are the same for all rows of a window; none
    /// where columns were chosen.
    pub(crate) fn front<'p>(&self, window: Window) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        let front = self.selected.is_none().then(|| bounds(window));
        front.into_iter().flatten()
    }

    /// Returns the values of a row behind those.
    pub(crate) fn rest<'p>(&self, pane: Pane<'p>) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        let whole = self.selected.is_none();
        let keys = whole.then(|| self.key(pane)).into_iter().flatten();
        keys.chain(self.behind_key(pane))
    }

    /// Returns the grouping values of a row.
    pub(crate) fn key<'p>(&self, pane: Pane<'p>) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        let has_commas = self.decimal_comma;
        pane.key().map(move |value| match value {
            ValueRef::Any(text) if has_commas && text.contains('.') => ValueRef::Text(text),
            value => value,
        })
    }

    /// Returns the values of a row behind window and grouping values; all of it where columns were
    /// chosen.
    pub(crate) fn behind_key<'p>(
        &self,
        pane: Pane<'p>,
    ) -> impl Iterator<Item = ValueRef<'p>> + use<'p> {
        let firing = pane.firing;
        let change = ValueRef::Text(if firing.is_retraction { "-" } else { "+" });
        let panes = [
            ValueRef::Text(firing.timing.name()),
            ValueRef::Integer(firing.index.into()),
            ValueRef::Boolean(firing.is_last),
        ];
        let whole = self.selected.is_none();
        let shown = if whole && self.panes { panes.len() } else { 0 };
        let values = pane.values.iter().map(Value::as_ref);
        values
            .chain((whole && self.change).then_some(change))
            .chain(panes.into_iter().take(shown))
    }
}

/// Returns a window's start and end in ms since 1970, UTC; the ends of all time are null.
pub(crate) fn bounds(window: Window) -> [ValueRef<'static>; 2] {
    [window.start, window.end].map(|at| match at {
        BEGINNING | END => ValueRef::Null,
        at => ValueRef::Integer(at.into()),
    })
}
