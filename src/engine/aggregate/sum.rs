//! `sum`, `avg`: exact over `bigint`, in the order of the input over `double`.

use super::State;
use crate::column::{Column, Value, Values};

/// A sum of `bigint`s. 128 bits hold 2^64 of them, so it never wraps.
#[derive(Debug, Default)]
pub(super) struct Exact {
    sum: i128,
    added: bool,
}

impl State for Exact {
    type Argument<'a> = i64;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<i64>> {
        match column {
            Column::Bigint(values) => Some(values),
            _ => None,
        }
    }

    #[inline]
    fn add(&mut self, argument: i64) {
        self.sum += i128::from(argument);
        self.added = true;
    }

    fn result(&self) -> Value {
        if self.added {
            Value::Integer(self.sum)
        } else {
            Value::Null
        }
    }
}

/// A mean of `bigint`s: the exact sum, divided once.
#[derive(Debug, Default)]
pub(super) struct ExactMean {
    sum: i128,
    count: u64,
}

impl State for ExactMean {
    type Argument<'a> = i64;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<i64>> {
        Exact::arguments(column)
    }

    #[inline]
    fn add(&mut self, argument: i64) {
        self.sum += i128::from(argument);
        self.count += 1;
    }

    fn result(&self) -> Value {
        mean(self.sum as f64, self.count)
    }
}

/// A sum of `double`s.
#[derive(Debug, Default)]
pub(super) struct Float {
    sum: f64,
    count: u64,
}

impl State for Float {
    type Argument<'a> = f64;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<f64>> {
        match column {
            Column::Double(values) => Some(values),
            _ => None,
        }
    }

    #[inline]
    fn add(&mut self, argument: f64) {
        self.sum += argument;
        self.count += 1;
    }

    fn result(&self) -> Value {
        if self.count > 0 {
            Value::Double(self.sum)
        } else {
            Value::Null
        }
    }
}

/// A mean of `double`s.
#[derive(Debug, Default)]
pub(super) struct FloatMean(Float);

impl State for FloatMean {
    type Argument<'a> = f64;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<f64>> {
        Float::arguments(column)
    }

    #[inline]
    fn add(&mut self, argument: f64) {
        self.0.add(argument);
    }

    fn result(&self) -> Value {
        mean(self.0.sum, self.0.count)
    }
}

fn mean(sum: f64, count: u64) -> Value {
    if count > 0 {
        Value::Double(sum / count as f64)
    } else {
        Value::Null
    }
}
