//! `stddev`: the sample standard deviation.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Argument, Row};
use super::exact::{Addend, Exact};
use super::net::Retract;
use crate::column::Value;

/// The exact sums of the arguments and of their squares: what Welford's update would round at
/// each row, and so make depend on the order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Deviation<T> {
    sum: Exact,
    squares: Exact,
    count: i64,
    of: PhantomData<T>,
}

impl<T> Default for Deviation<T> {
    fn default() -> Self {
        Deviation {
            sum: Exact::default(),
            squares: Exact::default(),
            count: 0,
            of: PhantomData,
        }
    }
}

impl<T: Addend> Deviation<T> {
    fn add(&mut self, argument: T, times: i64) {
        self.sum.add(argument, times);
        self.squares.add_square(argument, times);
        self.count += times;
    }
}

impl<T> State for Deviation<T>
where
    T: Addend + for<'a> Argument<'a> + std::fmt::Debug + Send + 'static,
{
    type Argument<'a> = T;

    fn add(&mut self, argument: T, _: Row<'_>) {
        self.add(argument, 1);
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.count += other.count;
    }

    /// √((n·Σx² − (Σx)²) / (n·(n−1))): exact, rounded once. Null below two
    /// arguments, as SQL's `stddev_samp`.
    fn result(&self) -> Value {
        let Some(count) = u64::try_from(self.count).ok().filter(|count| *count > 1) else {
            return Value::Null;
        };
        if self.sum.beyond().is_some() {
            return Value::Double(f64::NAN);
        }
        let numerator = (self.squares.sum()).times_less_square(count, &self.sum.sum());
        let pairs = u128::from(count) * u128::from(count - 1);
        Value::Double(numerator.root_over(pairs))
    }
}

impl<T> Retract for Deviation<T>
where
    T: Addend + for<'a> Argument<'a> + std::fmt::Debug + Send + 'static,
{
    fn retract(&mut self, argument: T) {
        self.add(argument, -1);
    }
}
