//! `count`, `count(x)`.

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Present, Row};
use super::net::Retract;
use crate::column::Value;

/// Counts rows, whatever they hold. Below 0 where more rows were taken back than came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rows(i64);

/// Counts rows whose argument, of any type, is not null.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct NotNull(Rows);

impl State for Rows {
    type Argument<'a> = ();

    #[inline]
    fn add(&mut self, _: (), _: Row<'_>) {
        self.0 += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn result(&self) -> Value {
        Value::Integer(self.0.into())
    }
}

impl Retract for Rows {
    fn retract(&mut self, _: ()) {
        self.0 -= 1;
    }

    fn none_left(&self) -> Value {
        Value::Integer(0)
    }
}

impl State for NotNull {
    type Argument<'a> = Present;

    #[inline]
    fn add(&mut self, _: Present, _: Row<'_>) {
        self.0.0 += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn result(&self) -> Value {
        self.0.result()
    }
}

impl Retract for NotNull {
    fn retract(&mut self, _: Present) {
        self.0.retract(());
    }

    fn none_left(&self) -> Value {
        self.0.none_left()
    }
}
