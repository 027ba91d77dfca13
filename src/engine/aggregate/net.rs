//! States over input that takes rows back: what came less what was taken back.

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::Row;
use crate::column::Value;

/// A state that can take back what was added; in any order, also before it was added.
pub(super) trait Retract: State {
    /// Takes a row back.
    fn retract(&mut self, argument: Self::Argument<'_>);

    /// Returns the value where as many arguments were taken back as came.
    fn none_left(&self) -> Value {
        Value::Null
    }
}

/// A state of rows of which some take others back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Net<S> {
    state: S,
    /// How many arguments are left: below 0 where more were taken back than came.
    left: i64,
}

impl<S> Net<S> {
    pub fn new(state: S) -> Self {
        Net { state, left: 0 }
    }
}

impl<S: Retract> State for Net<S> {
    type Argument<'a> = S::Argument<'a>;

    fn add(&mut self, argument: S::Argument<'_>, row: Row<'_>) {
        if row.is_taken_back() {
            self.state.retract(argument);
            self.left -= 1;
        } else {
            self.state.add(argument, row);
            self.left += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.state.merge(&other.state);
        self.left += other.left;
    }

    fn result(&self) -> Value {
        match self.left {
            0 => self.state.none_left(),
            _ => self.state.result(),
        }
    }
}
