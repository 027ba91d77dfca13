//! What depends on the order of rows, for ksqlDB's language: doubles as Java adds and compares them,
//! and how late the rows of a window go.
//!
//! `sum` and `max` of this engine are free of order; `0.1 + 0.2 + 0.3` in Java is not.

use serde::{Deserialize, Serialize};

use super::argument::Row;
use super::{Accumulator, State, States};
use crate::column::Value;

/// Returns the sum of doubles, each addition rounded as Java rounds it; null of no argument.
pub(crate) fn running_sum() -> Box<dyn Accumulator> {
    States::boxed(RunningSum::default())
}

/// Returns the smallest double, or the `greatest`. As a comparison in Java: -0 is 0, and NaN is
/// neither above nor below anything, so that a first NaN stays.
pub(crate) fn first_extreme(greatest: bool) -> Box<dyn Accumulator> {
    if greatest {
        States::boxed(FirstExtreme::<true>::default())
    } else {
        States::boxed(FirstExtreme::<false>::default())
    }
}

/// Returns the latest event time of all rows, in ms.
pub(crate) fn latest() -> Box<dyn Accumulator> {
    States::boxed(Latest::default())
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct RunningSum(Option<f64>);

impl State for RunningSum {
    type Argument<'a> = f64;

    #[inline]
    fn add(&mut self, argument: f64, _: Row<'_>) {
        self.0 = Some(self.0.unwrap_or_default() + argument);
    }

    fn merge(&mut self, other: &Self) {
        if let Some(sum) = other.0 {
            self.0 = Some(self.0.unwrap_or_default() + sum);
        }
    }

    fn result(&self) -> Value {
        self.0.map_or(Value::Null, Value::Double)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct FirstExtreme<const GREATEST: bool>(Option<f64>);

impl<const GREATEST: bool> FirstExtreme<GREATEST> {
    #[inline]
    fn see(&mut self, argument: f64) {
        let is_better = match self.0 {
            None => true,
            Some(known) if GREATEST => argument > known,
            Some(known) => argument < known,
        };
        if is_better {
            self.0 = Some(argument);
        }
    }
}

impl<const GREATEST: bool> State for FirstExtreme<GREATEST> {
    type Argument<'a> = f64;

    #[inline]
    fn add(&mut self, argument: f64, _: Row<'_>) {
        self.see(argument);
    }

    fn merge(&mut self, other: &Self) {
        if let Some(argument) = other.0 {
            self.see(argument);
        }
    }

    fn result(&self) -> Value {
        self.0.map_or(Value::Null, Value::Double)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Latest(i64);

impl Default for Latest {
    fn default() -> Self {
        Latest(i64::MIN)
    }
}

impl State for Latest {
    type Argument<'a> = ();

    #[inline]
    fn add(&mut self, _: (), row: Row<'_>) {
        self.0 = self.0.max(row.at());
    }

    fn merge(&mut self, other: &Self) {
        self.0 = self.0.max(other.0);
    }

    fn result(&self) -> Value {
        match self.0 {
            i64::MIN => Value::Null,
            at => Value::Integer(at.into()),
        }
    }
}
