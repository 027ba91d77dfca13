//! What states take of rows: arguments of each type, and where the row stands.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Arguments, Slot};
use crate::column::{Column, Value, Values, compare_doubles, told_apart};

/// A row of a batch: when and where it stands, and whether it takes an earlier one back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'r> {
    batch: &'r Arguments<'r, 'r>,
    index: u32,
}

/// Where a row stands in the order that breaks every tie: by event time, partition, and number in
/// the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    at: i64,
    partition: u32,
    number: u64,
}

impl<'r> Row<'r> {
    #[inline]
    pub fn new(batch: &'r Arguments<'r, 'r>, index: u32) -> Self {
        Row { batch, index }
    }

    #[inline]
    pub fn place(self) -> Place {
        Place {
            at: self.batch.times[self.index as usize],
            partition: self.batch.partition,
            number: self.batch.first + u64::from(self.index),
        }
    }

    #[inline]
    pub fn is_taken_back(self) -> bool {
        let taken_back = self.batch.taken_back;
        taken_back.is_some_and(|taken_back| taken_back[self.index as usize])
    }
}

/// What a state takes of a row.
pub(super) trait Argument<'a>: Copy {
    /// Calls `add` with the slot, the row and its argument, for each row whose argument is not null.
    fn each(
        arguments: &Arguments<'_, 'a>,
        slots: &[Slot],
        rows: &[u32],
        add: impl FnMut(usize, u32, Self),
    );
}

/// A row, whatever its argument.
impl Argument<'_> for () {
    #[inline]
    fn each(
        _arguments: &Arguments<'_, '_>,
        slots: &[Slot],
        rows: &[u32],
        mut add: impl FnMut(usize, u32, Self),
    ) {
        for (&slot, &row) in slots.iter().zip(rows) {
            add(slot as usize, row, ());
        }
    }
}

/// That the argument, of any type, is not null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present;

impl Argument<'_> for Present {
    #[inline]
    fn each(
        arguments: &Arguments<'_, '_>,
        slots: &[Slot],
        rows: &[u32],
        mut add: impl FnMut(usize, u32, Self),
    ) {
        let nulls = arguments.column.map_or(&[][..], |column| match column {
            Column::Bigint(values) => &values.nulls,
            Column::Double(values) => &values.nulls,
            Column::Decimal(values) => &values.nulls,
            Column::Boolean(values) => &values.nulls,
            Column::Text(values) => &values.nulls,
        });
        for (&slot, &row) in slots.iter().zip(rows) {
            if !nulls.get(row as usize).copied().unwrap_or(false) {
                add(slot as usize, row, Present);
            }
        }
    }
}

macro_rules! argument {
    ($type:ty, $variant:ident) => {
        impl<'a> Argument<'a> for $type {
            #[inline]
            fn each(
                arguments: &Arguments<'_, 'a>,
                slots: &[Slot],
                rows: &[u32],
                add: impl FnMut(usize, u32, Self),
            ) {
                match arguments.column {
                    Some(Column::$variant(values)) => each(values, slots, rows, add),
                    _ => debug_assert!(false, "the plan has checked the argument's type"),
                }
            }
        }
    };
}

argument!(i64, Bigint);
argument!(f64, Double);
argument!(Decimal, Decimal);
argument!(bool, Boolean);
argument!(&'a str, Text);

#[inline]
fn each<T: Copy + Default>(
    values: &Values<T>,
    slots: &[Slot],
    rows: &[u32],
    mut add: impl FnMut(usize, u32, T),
) {
    if values.nulls.is_empty() {
        for (&slot, &row) in slots.iter().zip(rows) {
            add(slot as usize, row, values.values[row as usize]);
        }
    } else {
        for (&slot, &row) in slots.iter().zip(rows) {
            if let Some(argument) = values.get(row as usize) {
                add(slot as usize, row, argument);
            }
        }
    }
}

/// An argument that a state keeps.
pub(super) trait Kept:
    Clone + Serialize + DeserializeOwned + std::fmt::Debug + Send + 'static
{
    type Argument<'a>: Argument<'a>;

    fn of(argument: Self::Argument<'_>) -> Self;

    /// Becomes another argument, in the room of the one before.
    fn set(&mut self, argument: Self::Argument<'_>) {
        *self = Self::of(argument);
    }

    fn argument(&self) -> Self::Argument<'_>;

    /// Orders two arguments: numbers by size, -0 being 0 and what is no number last; false before
    /// true; text by bytes.
    fn compare(left: Self::Argument<'_>, right: Self::Argument<'_>) -> Ordering;

    /// Returns 64 bits that look random, the same in every run.
    fn hash(argument: Self::Argument<'_>) -> u64;

    fn value(&self) -> Value;
}

impl Kept for i64 {
    type Argument<'a> = i64;

    fn of(argument: i64) -> Self {
        argument
    }

    fn argument(&self) -> i64 {
        *self
    }

    #[inline]
    fn compare(left: i64, right: i64) -> Ordering {
        left.cmp(&right)
    }

    fn hash(argument: i64) -> u64 {
        xxh3_64(&argument.to_le_bytes())
    }

    fn value(&self) -> Value {
        Value::Integer((*self).into())
    }
}

impl Kept for f64 {
    type Argument<'a> = f64;

    /// Which of -0 and 0 came first has to leave no trace.
    fn of(argument: f64) -> Self {
        told_apart(argument)
    }

    fn argument(&self) -> f64 {
        *self
    }

    #[inline]
    fn compare(left: f64, right: f64) -> Ordering {
        compare_doubles(left, right)
    }

    fn hash(argument: f64) -> u64 {
        xxh3_64(&told_apart(argument).to_le_bytes())
    }

    fn value(&self) -> Value {
        Value::Double(told_apart(*self))
    }
}

impl Kept for Decimal {
    type Argument<'a> = Decimal;

    /// Without trailing zeros: which of 1.5 and 1.50 came first has to leave no trace.
    fn of(argument: Decimal) -> Self {
        argument.normalize()
    }

    fn argument(&self) -> Decimal {
        *self
    }

    fn compare(left: Decimal, right: Decimal) -> Ordering {
        left.cmp(&right)
    }

    fn hash(argument: Decimal) -> u64 {
        xxh3_64(&argument.normalize().serialize())
    }

    fn value(&self) -> Value {
        Value::Decimal(*self)
    }
}

impl Kept for bool {
    type Argument<'a> = bool;

    fn of(argument: bool) -> Self {
        argument
    }

    fn argument(&self) -> bool {
        *self
    }

    fn compare(left: bool, right: bool) -> Ordering {
        left.cmp(&right)
    }

    fn hash(argument: bool) -> u64 {
        xxh3_64(&[argument.into()])
    }

    fn value(&self) -> Value {
        Value::Boolean(*self)
    }
}

impl Kept for String {
    type Argument<'a> = &'a str;

    fn of(argument: &str) -> Self {
        argument.to_owned()
    }

    fn set(&mut self, argument: &str) {
        self.clear();
        self.push_str(argument);
    }

    fn argument(&self) -> &str {
        self
    }

    fn compare(left: &str, right: &str) -> Ordering {
        left.cmp(right)
    }

    fn hash(argument: &str) -> u64 {
        xxh3_64(argument.as_bytes())
    }

    fn value(&self) -> Value {
        Value::Text(self.as_str().into())
    }
}
