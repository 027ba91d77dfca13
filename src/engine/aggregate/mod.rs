//! What is computed: for each aggregate, one small state per window and key.
//!
//! In: a column of arguments and, a row, the slot of its window and key. Out: a [`Value`] a slot.
//! States of one aggregate lie side by side in one vector, so that a batch is added in one tight
//! loop (as DataFusion's `GroupsAccumulator` does); null arguments are passed over.
//!
//! An aggregate is one type with [`State`]: add, merge, result; saving comes with serde. Results
//! are free of order: whatever the order of rows and merges, the same rows give the same value; but
//! for [`in_order`], which ksqlDB's language asks for.
//! One that can take rows back has [`net::Retract`], too.

mod argument;
mod choice;
mod count;
mod deviation;
mod distinct;
mod exact;
mod extremes;
mod function;
mod hyperloglog;
pub(crate) mod in_order;
mod mode;
mod net;
mod order;
mod quantile;
mod sum;
mod top;

#[cfg(test)]
mod tests;

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::column::{Column, Value};
use crate::engine::codec::{self, Corrupt};
use crate::error::{Error, Result};
use argument::{Argument, Row};
pub use distinct::{Seen, seen};
pub use function::{Function, all};
pub use quantile::Share;

/// A slot's number: the place of one window's and key's states.
pub type Slot = u32;

/// What the rows of a batch bring along.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'b, 'a> {
    /// One argument a row; `None` for `count(*)`.
    pub column: Option<&'b Column<'a>>,
    /// What `max_by` and `min_by` give of the row that they choose by its argument.
    pub carried: Option<&'b Column<'a>>,
    /// The rows' event times in ms since 1970, UTC.
    pub times: &'b [i64],
    /// Their partition.
    pub partition: u32,
    /// A number of the first row that grows with its place in the partition; the next row's is
    /// one more. Breaks ties between rows of one event time.
    pub first: u64,
    /// Which rows take an earlier one back; `None` for none of them.
    pub taken_back: Option<&'b [bool]>,
}

/// The states of one aggregate, by slot.
pub trait Accumulator: std::fmt::Debug + Send + 'static {
    /// Makes a slot's state empty; a slot one past the last is new.
    fn reset(&mut self, slot: Slot);

    /// Makes the states of some slots empty.
    fn reset_all(&mut self, slots: &[Slot]);

    /// Adds `rows[i]` of the arguments to the slot `slots[i]`, in their order.
    ///
    /// # Errors
    /// `bug` where the arguments are of another type than the plan says.
    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) -> Result<()>;

    /// Adds what the slot `from` holds to the slot `into`.
    fn merge(&mut self, into: Slot, from: Slot);

    /// Adds what the slots `from` of other states of the same aggregate hold to the slots `into`.
    ///
    /// # Errors
    /// `bug` where they are of another aggregate.
    fn absorb(&mut self, into: &[Slot], other: &dyn Accumulator, from: &[Slot]) -> Result<()>;

    /// Takes the states of `slots` out, in this order, and leaves empty ones.
    fn split_off(&mut self, slots: &[Slot]) -> Box<dyn Accumulator>;

    /// Returns states of the same aggregate without a slot.
    fn empty(&self) -> Box<dyn Accumulator>;

    /// Returns the value of a slot; null where nothing but nulls was added, 0 for a count.
    fn result(&self, slot: Slot) -> Value;

    /// Appends a slot's state to `bytes`.
    ///
    /// # Errors
    /// `bug` where it cannot be written.
    fn save(&self, slot: Slot, bytes: &mut Vec<u8>) -> Result<()>;

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
    /// What it takes of a row.
    type Argument<'a>: Argument<'a>;

    /// Adds a row.
    fn add(&mut self, argument: Self::Argument<'_>, row: Row<'_>);

    /// Adds what another state of the same aggregate holds.
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

    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) -> Result<()> {
        let states = self.of.as_mut_slice();
        S::Argument::each(arguments, slots, rows, |slot, row, argument| {
            states[slot].add(argument, Row::new(arguments, row));
        })
    }

    fn merge(&mut self, into: Slot, from: Slot) {
        let from = self.of[from as usize].clone();
        self.of[into as usize].merge(&from);
    }

    fn absorb(&mut self, into: &[Slot], other: &dyn Accumulator, from: &[Slot]) -> Result<()> {
        let other = other.as_any().downcast_ref::<Self>();
        let other = other
            .ok_or_else(|| Error::bug("the states of two different aggregates are put together"))?;
        for (&into, &from) in into.iter().zip(from) {
            self.of[into as usize].merge(&other.of[from as usize]);
        }
        Ok(())
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

    fn save(&self, slot: Slot, bytes: &mut Vec<u8>) -> Result<()> {
        codec::put(bytes, &self.of[slot as usize])
    }

    fn load(&mut self, slot: Slot, bytes: &mut &[u8]) -> Result<(), Corrupt> {
        self.of[slot as usize] = codec::take(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
