//! What states take of rows: arguments of each type, and the position of the row.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Arguments, Slot};
use crate::column::{Column, Value, ValueRef, Values};
use crate::error::{Error, Result};
use crate::number::{self, Number, canonical_double, compare_doubles};

/// A row of a batch: its time and position, and whether it takes an earlier one back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'r> {
    batch: &'r Arguments<'r, 'r>,
    index: u32,
}

/// The position of a row in the order that breaks every tie: by event time, partition, and number
/// in the partition.
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

    /// Returns its event time, in ms.
    #[inline]
    pub fn at(self) -> i64 {
        self.batch.times[self.index as usize]
    }

    #[inline]
    pub fn place(self) -> Place {
        Place {
            at: self.at(),
            partition: self.batch.partition,
            number: self.batch.first + u64::from(self.index),
        }
    }

    /// Returns what the row carries along with its argument.
    pub fn carried(self) -> ValueRef<'r> {
        let carried = self.batch.carried;
        carried.map_or(ValueRef::Null, |carried| {
            carried.value_ref(self.index as usize)
        })
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
    ///
    /// # Errors
    /// `bug` where the arguments are of another type.
    fn each(
        arguments: &Arguments<'_, 'a>,
        slots: &[Slot],
        rows: &[u32],
        add: impl FnMut(usize, u32, Self),
    ) -> Result<()>;
}

/// A row, whatever its argument.
impl Argument<'_> for () {
    #[inline]
    fn each(
        _arguments: &Arguments<'_, '_>,
        slots: &[Slot],
        rows: &[u32],
        mut add: impl FnMut(usize, u32, Self),
    ) -> Result<()> {
        for (&slot, &row) in slots.iter().zip(rows) {
            add(slot as usize, row, ());
        }
        Ok(())
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
    ) -> Result<()> {
        let nulls = arguments.column.map_or(&[][..], Column::nulls);
        for (&slot, &row) in slots.iter().zip(rows) {
            if !nulls.get(row as usize).copied().unwrap_or(false) {
                add(slot as usize, row, Present);
            }
        }
        Ok(())
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
            ) -> Result<()> {
                match arguments.column {
                    Some(Column::$variant(values)) => each(values, slots, rows, add),
                    other => return Err(mistyped(other)),
                }
                Ok(())
            }
        }
    };
}

argument!(i64, Bigint);
argument!(f64, Double);
argument!(Decimal, Decimal);
argument!(bool, Boolean);

impl<'a> Argument<'a> for &'a str {
    #[inline]
    fn each(
        arguments: &Arguments<'_, 'a>,
        slots: &[Slot],
        rows: &[u32],
        add: impl FnMut(usize, u32, Self),
    ) -> Result<()> {
        match arguments.column {
            Some(Column::Text(values) | Column::Any(values)) => each(values, slots, rows, add),
            other => return Err(mistyped(other)),
        }
        Ok(())
    }
}

/// A column of numbers is of the narrowest type that holds a batch.
impl<'a> Argument<'a> for Number {
    #[inline]
    fn each(
        arguments: &Arguments<'_, 'a>,
        slots: &[Slot],
        rows: &[u32],
        mut add: impl FnMut(usize, u32, Self),
    ) -> Result<()> {
        match arguments.column {
            Some(Column::Bigint(values)) => each(values, slots, rows, |slot, row, value| {
                add(slot, row, Number::Integer(value));
            }),
            Some(Column::Decimal(values)) => each(values, slots, rows, |slot, row, value| {
                add(slot, row, Number::Decimal(value));
            }),
            Some(Column::Double(values)) => each(values, slots, rows, |slot, row, value| {
                add(slot, row, Number::Double(value));
            }),
            Some(Column::Number(values)) => each(values, slots, rows, add),
            other => return Err(mistyped(other)),
        }
        Ok(())
    }
}

/// The plan has checked the argument's type: a batch that brings another loses records, unless it ends
/// the run.
#[cold]
fn mistyped(column: Option<&Column<'_>>) -> Error {
    let is = column.map_or("none".to_owned(), |column| column.data_type().to_string());
    Error::bug(format!(
        "the argument of an aggregate is not of its planned type: {is}"
    ))
}

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

    /// Orders two arguments: numbers by size, -0 being 0 and NaN last; false before true; text by
    /// bytes.
    fn compare(left: Self::Argument<'_>, right: Self::Argument<'_>) -> Ordering;

    /// Orders two arguments for what keeps the largest. Of undeclared values, those that are
    /// numbers come last: so a text counts, here as there, only where there is no number.
    fn compare_largest(left: Self::Argument<'_>, right: Self::Argument<'_>) -> Ordering {
        Self::compare(left, right)
    }

    /// Returns whether two arguments are of one size, however they were written.
    fn ranks_as(left: Self::Argument<'_>, right: Self::Argument<'_>) -> bool {
        Self::compare(left, right) == Ordering::Equal
    }

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
        canonical_double(argument)
    }

    fn argument(&self) -> f64 {
        *self
    }

    #[inline]
    fn compare(left: f64, right: f64) -> Ordering {
        compare_doubles(left, right)
    }

    fn hash(argument: f64) -> u64 {
        xxh3_64(&canonical_double(argument).to_le_bytes())
    }

    fn value(&self) -> Value {
        Value::Double(canonical_double(*self))
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

/// Of equal numbers the same one is kept, whichever came first.
impl Kept for Number {
    type Argument<'a> = Number;

    fn of(argument: Number) -> Self {
        argument.canonical()
    }

    fn argument(&self) -> Number {
        *self
    }

    fn compare(left: Number, right: Number) -> Ordering {
        left.compare(right)
    }

    fn hash(argument: Number) -> u64 {
        match argument.canonical() {
            Number::Integer(value) => i64::hash(value),
            Number::Decimal(value) => Decimal::hash(value),
            Number::Double(value) => f64::hash(value),
        }
    }

    fn value(&self) -> Value {
        ValueRef::from(*self).to_value()
    }
}

/// A value of an undeclared column: of such values only those of the same characters are equal, and
/// numbers come in their order before texts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AsItStood(String);

impl Kept for AsItStood {
    type Argument<'a> = &'a str;

    fn of(argument: &str) -> Self {
        AsItStood(argument.to_owned())
    }

    fn set(&mut self, argument: &str) {
        self.0.set(argument);
    }

    fn argument(&self) -> &str {
        &self.0
    }

    fn compare(left: &str, right: &str) -> Ordering {
        number::order(left, right)
    }

    fn compare_largest(left: &str, right: &str) -> Ordering {
        let is_text = |text: &str| Number::parse(text.as_bytes()).is_none_or(Number::is_nan);
        match (is_text(left), is_text(right)) {
            (left, right) if left != right => right.cmp(&left),
            _ => number::order(left, right),
        }
    }

    fn ranks_as(left: &str, right: &str) -> bool {
        number::compare(left, right) == Ordering::Equal
    }

    fn hash(argument: &str) -> u64 {
        String::hash(argument)
    }

    fn value(&self) -> Value {
        Value::Any(self.0.as_str().into())
    }
}
