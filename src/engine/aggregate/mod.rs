//! What is computed: one small state a window and key, for each aggregate.
//!
//! Comes in: a column of arguments and, a row, the slot of its window and key. Goes out: a
//! [`Value`] a slot. States of one aggregate lie side by side in one vector, so that a batch is
//! added in one tight loop (as DataFusion's `GroupsAccumulator` does); null arguments are passed over.
//!
//! An aggregate is one type with [`State`]: add, merge, result; saving comes with serde.

mod count;
mod extremes;
mod sum;

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::column::{Column, DataType, Value, Values};
use crate::engine::save::{self, Corrupt};
use crate::error::{Error, Result};
use extremes::{End, Extreme, ExtremeText};

/// A slot's number: the place of one window's and key's states.
pub type Slot = u32;

/// Which function an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Rows, or rows whose argument is not null.
    Count,
    /// The sum: exact for `bigint`, whatever its size.
    Sum,
    /// The smallest argument.
    Min,
    /// The largest argument.
    Max,
    /// The mean, a `double`.
    Avg,
}

impl Function {
    /// All functions with their names.
    pub const ALL: [(&str, Function); 5] = [
        ("count", Function::Count),
        ("sum", Function::Sum),
        ("min", Function::Min),
        ("max", Function::Max),
        ("avg", Function::Avg),
    ];

    /// Returns the function of a name in lower case.
    pub fn named(name: &str) -> Option<Function> {
        let mut all = Self::ALL.into_iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, function)| function)
    }

    /// Returns the states of this function over arguments of a type; `None` for `count(*)`.
    ///
    /// # Errors
    /// `usage` for an argument that the function does not take.
    pub fn accumulator(self, argument: Option<DataType>) -> Result<Box<dyn Accumulator>> {
        use DataType::{Bigint, Boolean, Double, Text};
        Ok(match (self, argument) {
            (Function::Count, None) => States::boxed(count::Rows::default()),
            (Function::Count, Some(_)) => States::boxed(count::NotNull::default()),
            (Function::Sum, Some(Bigint)) => States::boxed(sum::Exact::default()),
            (Function::Sum, Some(Double)) => States::boxed(sum::Float::default()),
            (Function::Avg, Some(Bigint)) => States::boxed(sum::ExactMean::default()),
            (Function::Avg, Some(Double)) => States::boxed(sum::FloatMean::default()),
            (Function::Min, Some(Bigint)) => States::boxed(Extreme::<i64>::new(End::Least)),
            (Function::Max, Some(Bigint)) => States::boxed(Extreme::<i64>::new(End::Greatest)),
            (Function::Min, Some(Double)) => States::boxed(Extreme::<f64>::new(End::Least)),
            (Function::Max, Some(Double)) => States::boxed(Extreme::<f64>::new(End::Greatest)),
            (Function::Min, Some(Text)) => States::boxed(ExtremeText::new(End::Least)),
            (Function::Max, Some(Text)) => States::boxed(ExtremeText::new(End::Greatest)),
            (function, Some(other @ (Text | Boolean))) => {
                return Err(Error::usage(format!(
                    "`{}` takes no {other}",
                    function.name()
                )));
            }
            (function, None) => {
                let name = function.name();
                return Err(Error::usage(format!(
                    "`{name}` needs an argument, such as `{name}(duration)`"
                )));
            }
        })
    }

    /// Returns the function's name.
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, function)| *function == self)
            .map_or("", |(name, _)| name)
    }
}

/// What the rows of a batch bring along.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'b, 'a> {
    /// One argument a row; `None` for `count(*)`.
    pub column: Option<&'b Column<'a>>,
    /// The rows' event times in ms since 1970, UTC.
    pub times: &'b [i64],
    /// Their partition.
    pub partition: u32,
    /// A number of the first row that grows with its place in the partition; the next row's is
    /// one more. Breaks ties between rows of one event time.
    pub first: u64,
}

impl<'b, 'a> Arguments<'b, 'a> {
    /// Returns the arguments as integers.
    fn bigints(&self) -> Option<&'b Values<i64>> {
        match self.column {
            Some(Column::Bigint(values)) => Some(values),
            _ => None,
        }
    }

    /// Returns the arguments as floats.
    fn doubles(&self) -> Option<&'b Values<f64>> {
        match self.column {
            Some(Column::Double(values)) => Some(values),
            _ => None,
        }
    }

    /// Returns the arguments as text.
    fn texts(&self) -> Option<&'b Values<&'a str>> {
        match self.column {
            Some(Column::Text(values)) => Some(values),
            _ => None,
        }
    }
}

/// Calls `add` with the slot and the argument of each row whose argument is not null.
#[inline]
fn each<T: Copy + Default>(
    values: Option<&Values<T>>,
    slots: &[Slot],
    rows: &[u32],
    mut add: impl FnMut(usize, T),
) {
    let Some(values) = values else {
        debug_assert!(false, "the plan has checked the argument's type");
        return;
    };
    if values.nulls.is_empty() {
        for (&slot, &row) in slots.iter().zip(rows) {
            add(slot as usize, values.values[row as usize]);
        }
    } else {
        for (&slot, &row) in slots.iter().zip(rows) {
            if let Some(argument) = values.get(row as usize) {
                add(slot as usize, argument);
            }
        }
    }
}

/// The states of one aggregate, by slot.
pub trait Accumulator: std::fmt::Debug + Send + 'static {
    /// Makes a slot's state empty; a slot one past the last is new.
    fn reset(&mut self, slot: Slot);

    /// Makes the states of some slots empty.
    fn reset_all(&mut self, slots: &[Slot]);

    /// Adds `rows[i]` of the arguments to the slot `slots[i]`, in their order.
    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>);

    /// Adds what the slot `from` holds to the slot `into`.
    fn merge(&mut self, into: Slot, from: Slot);

    /// Adds what the slots `from` of other states of the same aggregate hold to the slots `into`.
    fn absorb(&mut self, into: &[Slot], other: &dyn Accumulator, from: &[Slot]);

    /// Takes the states of `slots` out, in this order, and leaves empty ones.
    fn split_off(&mut self, slots: &[Slot]) -> Box<dyn Accumulator>;

    /// Returns states of the same aggregate without a slot.
    fn empty(&self) -> Box<dyn Accumulator>;

    /// Returns the value of a slot; null where nothing but nulls was added, 0 for a count.
    fn result(&self, slot: Slot) -> Value;

    /// Appends a slot's state to `bytes`.
    fn save(&self, slot: Slot, bytes: &mut Vec<u8>);

    /// Makes a slot's state what was saved at the front of `bytes`, which moves past it.
    ///
    /// # Errors
    /// [`Corrupt`] where the bytes are none that [`Accumulator::save`] wrote.
    fn load(&mut self, slot: Slot, bytes: &mut &[u8]) -> Result<(), Corrupt>;

    /// Returns itself, for [`Accumulator::absorb`].
    fn as_any(&self) -> &dyn Any;
}

/// The state of one aggregate in one slot.
trait State: Clone + Serialize + DeserializeOwned + std::fmt::Debug + Send + 'static {
    /// Adds `rows[i]` of the arguments to `states[slots[i]]`.
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>);

    /// Adds what another state holds.
    fn merge(&mut self, other: &Self);

    /// Returns the value.
    fn result(&self) -> Value;
}

/// The states of one aggregate whose state is `S`.
#[derive(Debug)]
struct States<S> {
    of: Vec<S>,
    /// What a state is before anything was added.
    empty: S,
}

impl<S: State> States<S> {
    fn boxed(empty: S) -> Box<dyn Accumulator> {
        let of = Vec::new();
        Box::new(States { of, empty })
    }
}

impl<S: State> Accumulator for States<S> {
    fn reset(&mut self, slot: Slot) {
        match self.of.get_mut(slot as usize) {
            Some(state) => *state = self.empty.clone(),
            None => self.of.push(self.empty.clone()),
        }
    }

    fn reset_all(&mut self, slots: &[Slot]) {
        for &slot in slots {
            self.of[slot as usize] = self.empty.clone();
        }
    }

    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        S::add(&mut self.of, slots, rows, arguments);
    }

    fn merge(&mut self, into: Slot, from: Slot) {
        let from = self.of[from as usize].clone();
        self.of[into as usize].merge(&from);
    }

    fn absorb(&mut self, into: &[Slot], other: &dyn Accumulator, from: &[Slot]) {
        let Some(other) = other.as_any().downcast_ref::<Self>() else {
            debug_assert!(false, "one aggregate has one type of state");
            return;
        };
        for (&into, &from) in into.iter().zip(from) {
            self.of[into as usize].merge(&other.of[from as usize]);
        }
    }

    fn split_off(&mut self, slots: &[Slot]) -> Box<dyn Accumulator> {
        let taken =
            |&slot: &Slot| std::mem::replace(&mut self.of[slot as usize], self.empty.clone());
        let of = slots.iter().map(taken).collect();
        let empty = self.empty.clone();
        Box::new(States { of, empty })
    }

    fn empty(&self) -> Box<dyn Accumulator> {
        States::boxed(self.empty.clone())
    }

    fn result(&self, slot: Slot) -> Value {
        self.of[slot as usize].result()
    }

    fn save(&self, slot: Slot, bytes: &mut Vec<u8>) {
        save::put(bytes, &self.of[slot as usize]);
    }

    fn load(&mut self, slot: Slot, bytes: &mut &[u8]) -> Result<(), Corrupt> {
        self.of[slot as usize] = save::take(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
