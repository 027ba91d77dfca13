//! `max_by`, `min_by`: what a column holds where another one is largest.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Kept, Place, Row};
use crate::column::{Value, ValueRef};
use crate::number::{Number, canonical_double};

/// The value beside the smallest argument so far, or beside the `GREATEST`. Of rows whose arguments
/// are equal the first one counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Beside<T, const GREATEST: bool>(Option<Chosen<T>>);

/// The row that was chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Chosen<T> {
    argument: T,
    place: Place,
    value: Value,
}

impl<T, const GREATEST: bool> Default for Beside<T, GREATEST> {
    fn default() -> Self {
        Beside(None)
    }
}

impl<T: Kept, const GREATEST: bool> Beside<T, GREATEST> {
    /// Returns whether a row is chosen before the one that is known.
    #[inline]
    fn is_better(&self, argument: T::Argument<'_>, place: Place) -> bool {
        let Some(known) = &self.0 else {
            return true;
        };
        let kept = known.argument.argument();
        if T::ranks_as(argument, kept) {
            return place < known.place;
        }
        if GREATEST {
            T::compare_largest(argument, kept) == Ordering::Greater
        } else {
            T::compare(argument, kept) == Ordering::Less
        }
    }
}

impl<T: Kept, const GREATEST: bool> State for Beside<T, GREATEST> {
    type Argument<'a> = T::Argument<'a>;

    #[inline]
    fn add(&mut self, argument: T::Argument<'_>, row: Row<'_>) {
        let place = row.place();
        if !self.is_better(argument, place) {
            return;
        }
        let value = match row.carried() {
            ValueRef::Null => return,
            value => in_one_form(value),
        };
        match &mut self.0 {
            Some(known) => {
                known.argument.set(argument);
                known.place = place;
                known.value = value;
            }
            None => {
                let argument = T::of(argument);
                self.0 = Some(Chosen {
                    argument,
                    place,
                    value,
                });
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.0
            && self.is_better(theirs.argument.argument(), theirs.place)
        {
            self.0 = Some(theirs.clone());
        }
    }

    fn result(&self) -> Value {
        let chosen = self.0.as_ref();
        chosen.map_or(Value::Null, |chosen| chosen.value.clone())
    }
}

/// Returns a value as `first` gives it: of equal numbers always the same one.
fn in_one_form(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Double(value) => Value::Double(canonical_double(value)),
        ValueRef::Decimal(value) => ValueRef::from(Number::Decimal(value).canonical()).to_value(),
        other => other.to_value(),
    }
}
