//! `first`, `last`, `collect`: by event time; ties by partition and place.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Kept, Place, Row};
use crate::column::Value;

/// The argument of the first row, or of the `LAST`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct End<T, const LAST: bool>(Option<(Place, T)>);

impl<T, const LAST: bool> Default for End<T, LAST> {
    fn default() -> Self {
        End(None)
    }
}

impl<T: Kept, const LAST: bool> End<T, LAST> {
    #[inline]
    fn see(&mut self, argument: T::Argument<'_>, place: Place) {
        let wanted = if LAST {
            Ordering::Greater
        } else {
            Ordering::Less
        };
        match &mut self.0 {
            None => self.0 = Some((place, T::of(argument))),
            Some((known, kept)) => {
                if place.cmp(known) == wanted {
                    *known = place;
                    kept.set(argument);
                }
            }
        }
    }
}

impl<T: Kept, const LAST: bool> State for End<T, LAST> {
    type Argument<'a> = T::Argument<'a>;

    #[inline]
    fn add(&mut self, argument: T::Argument<'_>, row: Row<'_>) {
        self.see(argument, row.place());
    }

    fn merge(&mut self, other: &Self) {
        if let Some((place, kept)) = &other.0 {
            self.see(kept.argument(), *place);
        }
    }

    fn result(&self) -> Value {
        let kept = self.0.as_ref();
        kept.map_or(Value::Null, |(_, kept)| kept.value())
    }
}

/// The arguments of the first rows, at most this many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Collect<T> {
    most: u32,
    /// In order.
    kept: Vec<(Place, T)>,
}

impl<T: Kept> Collect<T> {
    pub fn new(most: u32) -> Self {
        let kept = Vec::new();
        Collect { most, kept }
    }

    fn see(&mut self, argument: T::Argument<'_>, place: Place) {
        let full = self.kept.len() >= self.most as usize;
        if full && self.kept.last().is_some_and(|(last, _)| *last < place) {
            return;
        }
        let at = self.kept.partition_point(|(known, _)| *known < place);
        if full {
            self.kept.pop();
        }
        self.kept.insert(at, (place, T::of(argument)));
    }
}

impl<T: Kept> State for Collect<T> {
    type Argument<'a> = T::Argument<'a>;

    fn add(&mut self, argument: T::Argument<'_>, row: Row<'_>) {
        self.see(argument, row.place());
    }

    fn merge(&mut self, other: &Self) {
        for (place, kept) in &other.kept {
            self.see(kept.argument(), *place);
        }
    }

    fn result(&self) -> Value {
        if self.kept.is_empty() {
            Value::Null
        } else {
            Value::List(self.kept.iter().map(|(_, kept)| kept.value()).collect())
        }
    }
}
