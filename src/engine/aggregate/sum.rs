//! `sum`, `avg`: exact, whatever the order.

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::Row;
use super::exact::Exact;
use super::net::Retract;
use crate::column::Value;

/// A sum of `bigint`s: 127 bits, which 2^64 of the largest do not exceed, so it never wraps; in
/// two words, of which more stay in the cache than of an `i128` and a flag.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Integers {
    low: i64,
    /// Twice how often `low` has gone over its range less how often under; and 1 once anything
    /// was added.
    wraps: i64,
}

impl Integers {
    fn sum(&self) -> i128 {
        i128::from(self.low) + (i128::from(self.wraps >> 1) << 64)
    }

    #[inline]
    fn add(&mut self, argument: i64) {
        let (low, wrapped) = self.low.overflowing_add(argument);
        self.low = low;
        if wrapped {
            self.wraps += if argument > 0 { 2 } else { -2 };
        }
        self.wraps |= 1;
    }

    #[inline]
    fn subtract(&mut self, argument: i64) {
        let (low, wrapped) = self.low.overflowing_sub(argument);
        self.low = low;
        if wrapped {
            self.wraps += if argument > 0 { -2 } else { 2 };
        }
        self.wraps |= 1;
    }

    fn merge(&mut self, other: &Self) {
        let added = (self.wraps | other.wraps) & 1;
        self.add(other.low);
        self.wraps = (((self.wraps >> 1) + (other.wraps >> 1)) << 1) | added;
    }
}

/// `sum` over `bigint`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sum(Integers);

impl State for Sum {
    type Argument<'a> = i64;

    #[inline]
    fn add(&mut self, argument: i64, _: Row<'_>) {
        self.0.add(argument);
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn result(&self) -> Value {
        match self.0.wraps & 1 {
            0 => Value::Null,
            _ => Value::Integer(self.0.sum()),
        }
    }
}

impl Retract for Sum {
    fn retract(&mut self, argument: i64) {
        self.0.subtract(argument);
    }
}

/// `avg` over `bigint`: the exact sum, divided once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Mean {
    sum: Integers,
    count: i64,
}

impl State for Mean {
    type Argument<'a> = i64;

    #[inline]
    fn add(&mut self, argument: i64, _: Row<'_>) {
        self.sum.add(argument);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            count => Value::Double(self.sum.sum() as f64 / count as f64),
        }
    }
}

impl Retract for Mean {
    fn retract(&mut self, argument: i64) {
        self.sum.subtract(argument);
        self.count -= 1;
    }
}

/// `sum` over `double`: the exact sum, rounded once. Beyond the range of doubles, and where an
/// argument is not finite, it is ∞, -∞ or no number, as IEEE 754 has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DoubleSum {
    sum: Exact,
    count: i64,
}

impl State for DoubleSum {
    type Argument<'a> = f64;

    #[inline]
    fn add(&mut self, argument: f64, _: Row<'_>) {
        self.sum.add(argument, 1);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            _ => Value::Double(self.sum.to_f64()),
        }
    }
}

impl Retract for DoubleSum {
    fn retract(&mut self, argument: f64) {
        self.sum.add(argument, -1);
        self.count -= 1;
    }
}

/// `avg` over `double`: the exact sum, rounded and divided.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DoubleMean(DoubleSum);

impl State for DoubleMean {
    type Argument<'a> = f64;

    #[inline]
    fn add(&mut self, argument: f64, row: Row<'_>) {
        self.0.add(argument, row);
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn result(&self) -> Value {
        let DoubleSum { sum, count } = &self.0;
        if *count == 0 {
            return Value::Null;
        }
        Value::Double(sum.beyond().unwrap_or_else(|| {
            // A sum beyond the range of doubles may have a mean within it.
            let (number, exponent) = sum.sum().rounded();
            libm::scalbn(number / *count as f64, exponent)
        }))
    }
}

impl Retract for DoubleMean {
    fn retract(&mut self, argument: f64) {
        self.0.retract(argument);
    }
}
