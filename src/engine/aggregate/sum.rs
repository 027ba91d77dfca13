//! `sum`, `avg`: exact over `bigint`, in the order of the input over `double`.

use serde::{Deserialize, Serialize};

use super::{Arguments, Slot, State, each};
use crate::column::Value;

/// A sum of `bigint`s. 96 bits hold 2^32 of the largest, so it never wraps; half as large a state
/// as an `i128`, of which fewer would stay in the cache.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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

    #[inline]
    fn add(&mut self, argument: i64) {
        let (low, wrapped) = self.low.overflowing_add(argument);
        self.low = low;
        if wrapped {
            self.wraps += if argument > 0 { 1 } else { -1 };
        }
        self.added = true;
    }
}

impl State for Exact {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        each(arguments.bigints(), slots, rows, |slot, argument| {
            states[slot].add(argument);
        });
    }

    fn merge(&mut self, other: &Self) {
        let (low, wrapped) = self.low.overflowing_add(other.low);
        self.low = low;
        let wrap = i32::from(wrapped) * if other.low > 0 { 1 } else { -1 };
        self.wraps += other.wraps + wrap;
        self.added |= other.added;
    }

    fn result(&self) -> Value {
        match self.added {
            true => Value::Integer(self.sum()),
            false => Value::Null,
        }
    }
}

/// A mean of `bigint`s: the exact sum, divided once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ExactMean {
    sum: Exact,
    count: u64,
}

impl State for ExactMean {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        each(arguments.bigints(), slots, rows, |slot, argument| {
            states[slot].sum.add(argument);
            states[slot].count += 1;
        });
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    fn result(&self) -> Value {
        mean(self.sum.sum() as f64, self.count)
    }
}

/// A sum of `double`s.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Float {
    sum: f64,
    count: u64,
}

impl State for Float {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        each(arguments.doubles(), slots, rows, |slot, argument| {
            states[slot].sum += argument;
            states[slot].count += 1;
        });
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            _ => Value::Double(self.sum),
        }
    }
}

/// A mean of `double`s.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct FloatMean(Float);

impl State for FloatMean {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        each(arguments.doubles(), slots, rows, |slot, argument| {
            states[slot].0.sum += argument;
            states[slot].0.count += 1;
        });
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn result(&self) -> Value {
        mean(self.0.sum, self.0.count)
    }
}

fn mean(sum: f64, count: u64) -> Value {
    match count {
        0 => Value::Null,
        count => Value::Double(sum / count as f64),
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
