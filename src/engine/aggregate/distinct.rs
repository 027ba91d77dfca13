//! `count(distinct x)`, and the values that came before, for `--distinct`: exact.

use std::cmp::Ordering;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::argument::{Argument, AsItStood, Kept, Row};
use super::net::Retract;
use super::{Accumulator, Arguments, Slot, State, States};
use crate::column::{DataType, Value};
use crate::number::Number;

/// The arguments, and how often each came less how often it was taken back, which is never 0.
#[derive(Debug, Clone)]
pub(super) struct Distinct<T> {
    times: HashTable<(T, i64)>,
    /// How many arguments came more often than they were taken back.
    present: i64,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        let times = HashTable::new();
        Distinct { times, present: 0 }
    }
}

impl<T: Kept> Distinct<T> {
    /// Returns how many arguments there are that came more or less often than they were taken back.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Returns them, and how much more often each came.
    pub fn each(&self) -> impl Iterator<Item = (T, i64)> {
        self.times.iter().cloned()
    }

    /// Adds an argument this many times; returns how much more often it came by now than it was
    /// taken back.
    pub fn add(&mut self, argument: T::Argument<'_>, times: i64) -> i64 {
        let same =
            |(known, _): &(T, i64)| T::compare(known.argument(), argument) == Ordering::Equal;
        let hash = |(known, _): &(T, i64)| T::hash(known.argument());
        match self.times.entry(T::hash(argument), same, hash) {
            Entry::Occupied(mut known) => {
                let before = known.get().1;
                known.get_mut().1 += times;
                let after = before + times;
                self.present += i64::from(after > 0) - i64::from(before > 0);
                if after == 0 {
                    known.remove();
                }
                after
            }
            Entry::Vacant(new) => {
                new.insert((T::of(argument), times));
                self.present += i64::from(times > 0);
                times
            }
        }
    }
}

impl<T: Kept> State for Distinct<T> {
    type Argument<'a> = T::Argument<'a>;

    fn add(&mut self, argument: T::Argument<'_>, _: Row<'_>) {
        self.add(argument, 1);
    }

    fn merge(&mut self, other: &Self) {
        for (kept, times) in &other.times {
            self.add(kept.argument(), *times);
        }
    }

    fn result(&self) -> Value {
        Value::Integer(self.present.into())
    }
}

impl<T: Kept> Retract for Distinct<T> {
    fn retract(&mut self, argument: T::Argument<'_>) {
        self.add(argument, -1);
    }

    fn none_left(&self) -> Value {
        Value::Integer(0)
    }
}

/// The values that came to each slot.
pub trait Seen: Accumulator {
    /// Notes a row's value in a slot; returns whether it is the first of its kind there. Null is
    /// not a value: it is always new.
    ///
    /// # Errors
    /// `bug` where the values are of another type.
    fn is_first(
        &mut self,
        slot: Slot,
        row: u32,
        values: &Arguments<'_, '_>,
    ) -> crate::error::Result<bool>;
}

impl<T: Kept> Seen for States<Distinct<T>> {
    fn is_first(
        &mut self,
        slot: Slot,
        row: u32,
        values: &Arguments<'_, '_>,
    ) -> crate::error::Result<bool> {
        let mut is_first = true;
        T::Argument::each(values, &[slot], &[row], |slot, _, value| {
            let state = &mut self.of[slot];
            let before = state.present;
            state.add(value, 1);
            is_first = state.present > before;
        })?;
        Ok(is_first)
    }
}

/// Returns the values, of a type, of no slot yet.
pub fn seen(data_type: DataType) -> Box<dyn Seen> {
    fn none<T: Kept>() -> Box<dyn Seen> {
        let (of, empty) = (Vec::new(), Distinct::<T>::default());
        Box::new(States { of, empty })
    }
    match data_type {
        DataType::Bigint | DataType::Timestamp => none::<i64>(),
        DataType::Double => none::<f64>(),
        DataType::Decimal => none::<Decimal>(),
        DataType::Boolean => none::<bool>(),
        DataType::Text => none::<String>(),
        DataType::Number => none::<Number>(),
        DataType::Any => none::<AsItStood>(),
    }
}

/// In the order of the arguments: the same state is the same bytes.
impl<T: Kept> Serialize for Distinct<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<&(T, i64)> = self.times.iter().collect();
        entries.sort_unstable_by(|left, right| T::compare(left.0.argument(), right.0.argument()));
        entries.serialize(serializer)
    }
}

impl<'de, T: Kept> Deserialize<'de> for Distinct<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries: Vec<(T, i64)> = Vec::deserialize(deserializer)?;
        let mut distinct = Distinct::default();
        for (kept, times) in entries {
            distinct.add(kept.argument(), times);
        }
        Ok(distinct)
    }
}
