//! `min`, `max`.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Kept, Row};
use crate::column::Value;

/// The smallest argument so far, or the `GREATEST`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Extreme<T, const GREATEST: bool>(Option<T>);

impl<T, const GREATEST: bool> Default for Extreme<T, GREATEST> {
    fn default() -> Self {
        Extreme(None)
    }
}

impl<T: Kept, const GREATEST: bool> Extreme<T, GREATEST> {
    #[inline]
    fn see(&mut self, argument: T::Argument<'_>) {
        match &mut self.0 {
            None => self.0 = Some(T::of(argument)),
            Some(known) => {
                let is_better = if GREATEST {
                    T::compare_largest(argument, known.argument()) == Ordering::Greater
                } else {
                    T::compare(argument, known.argument()) == Ordering::Less
                };
                if is_better {
                    known.set(argument);
                }
            }
        }
    }
}

impl<T: Kept, const GREATEST: bool> State for Extreme<T, GREATEST> {
    type Argument<'a> = T::Argument<'a>;

    #[inline]
    fn add(&mut self, argument: T::Argument<'_>, _: Row<'_>) {
        self.see(argument);
    }

    fn merge(&mut self, other: &Self) {
        if let Some(argument) = &other.0 {
            self.see(argument.argument());
        }
    }

    fn result(&self) -> Value {
        self.0.as_ref().map_or(Value::Null, T::value)
    }
}
