//! What is computed: one small state a window and key, for each aggregate.
//!
//! Comes in: a column of arguments and, a row, the slot of its window and key. Goes out: a
//! [`Value`] a slot. States of one aggregate lie side by side in one vector, so that a batch is
//! added in one tight loop (as DataFusion's `GroupsAccumulator` does); null arguments are passed over.

mod count;
mod extremes;
mod sum;

use crate::column::{Column, DataType, Value, Values};
use crate::error::{Error, Result};

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
            (Function::Count, None) => Box::new(count::Rows::default()),
            (Function::Count, Some(_)) => Box::new(count::NotNull::default()),
            (Function::Sum, Some(Bigint)) => Box::new(States::<sum::Exact>::default()),
            (Function::Sum, Some(Double)) => Box::new(States::<sum::Float>::default()),
            (Function::Avg, Some(Bigint)) => Box::new(States::<sum::ExactMean>::default()),
            (Function::Avg, Some(Double)) => Box::new(States::<sum::FloatMean>::default()),
            (Function::Min, Some(Bigint)) => Box::new(States::<extremes::Least<i64>>::default()),
            (Function::Max, Some(Bigint)) => Box::new(States::<extremes::Greatest<i64>>::default()),
            (Function::Min, Some(Double)) => Box::new(States::<extremes::Least<f64>>::default()),
            (Function::Max, Some(Double)) => Box::new(States::<extremes::Greatest<f64>>::default()),
            (Function::Min, Some(Text)) => Box::new(States::<extremes::LeastText>::default()),
            (Function::Max, Some(Text)) => Box::new(States::<extremes::GreatestText>::default()),
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

/// The states of one aggregate, by slot.
pub trait Accumulator: std::fmt::Debug + Send {
    /// Makes a slot's state empty; a slot one past the last is new.
    fn reset(&mut self, slot: Slot);

    /// Adds `rows[i]` of the arguments to the slot `slots[i]`, in their order.
    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: Option<&Column<'_>>);

    /// Returns the value of a slot; null where nothing but nulls was added, 0 for a count.
    fn result(&self, slot: Slot) -> Value;
}

/// The state of one aggregate in one slot.
trait State: Default + std::fmt::Debug + Send {
    /// What is added; text borrows.
    type Argument<'a>: Copy + Default;

    /// Returns the arguments of the state's type.
    fn arguments<'c, 'a>(column: &'c Column<'a>) -> Option<&'c Values<Self::Argument<'a>>>;

    /// Adds one argument that is not null.
    fn add(&mut self, argument: Self::Argument<'_>);

    /// Returns the value.
    fn result(&self) -> Value;
}

/// The states of one aggregate whose state is `S`.
#[derive(Debug)]
struct States<S>(Vec<S>);

impl<S> Default for States<S> {
    fn default() -> Self {
        States(Vec::new())
    }
}

impl<S: State> Accumulator for States<S> {
    fn reset(&mut self, slot: Slot) {
        reset(&mut self.0, slot);
    }

    fn add(&mut self, slots: &[Slot], rows: &[u32], arguments: Option<&Column<'_>>) {
        let Some(arguments) = arguments.and_then(S::arguments) else {
            debug_assert!(false, "the plan has checked the argument's type");
            return;
        };
        if arguments.nulls.is_empty() {
            for (&slot, &row) in slots.iter().zip(rows) {
                self.0[slot as usize].add(arguments.values[row as usize]);
            }
        } else {
            for (&slot, &row) in slots.iter().zip(rows) {
                if let Some(argument) = arguments.get(row as usize) {
                    self.0[slot as usize].add(argument);
                }
            }
        }
    }

    fn result(&self, slot: Slot) -> Value {
        self.0[slot as usize].result()
    }
}

fn reset<S: Default>(states: &mut Vec<S>, slot: Slot) {
    match states.get_mut(slot as usize) {
        Some(state) => *state = S::default(),
        None => states.push(S::default()),
    }
}
