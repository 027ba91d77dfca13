//! `sum`, `avg`: exact over `bigint`, in the order of the input over `double`.

use super::State;
use crate::column::{Column, Value, Values};

/// A sum of `bigint`s. 96 bits hold 2^32 of the largest, so it never wraps; half as large a state
/// as an `i128`, of which fewer would stay in the cache.
#[derive(Debug, Default)]
pub(super) struct Exact {
    low: i64,
    /// How often `low` has gone over its range, less how often under.
    wraps: i32,
    added: bool,
}

impl Exact {
    fn sum(&self) -> i128 {
        i128::from(self.low) + (i128::from(self.wraps) << 64)
    }
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
        let (low, wrapped) = self.low.overflowing_add(argument);
        self.low = low;
        if wrapped {
            self.wraps += if argument > 0 { 1 } else { -1 };
        }
        self.added = true;
    }

    fn result(&self) -> Value {
        if self.added {
            Value::Integer(self.sum())
        } else {
            Value::Null
        }
    }
}

/// A mean of `bigint`s: the exact sum, divided once.
#[derive(Debug, Default)]
pub(super) struct ExactMean {
    sum: Exact,
    count: u64,
}

impl State for ExactMean {
    type Argument<'a> = i64;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<i64>> {
        Exact::arguments(column)
    }

    #[inline]
    fn add(&mut self, argument: i64) {
        self.sum.add(argument);
        self.count += 1;
    }

    fn result(&self) -> Value {
        mean(self.sum.sum() as f64, self.count)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_beyond_64_bits_are_exact_in_any_order() {
        let arguments = [
            i64::MAX,
            i64::MAX,
            7,
            i64::MIN,
            i64::MAX,
            i64::MIN,
            i64::MIN,
            i64::MIN,
        ];
        let mut sum = Exact::default();
        let mut expected = 0_i128;
        for argument in arguments {
            sum.add(argument);
            expected += i128::from(argument);
            assert_eq!(sum.result(), Value::Integer(expected));
        }
    }
}
