//! `top`: the largest arguments.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Kept, Row};
use crate::column::Value;

/// The largest arguments, at most this many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Top<T> {
    most: u32,
    /// The largest first; equal ones each.
    kept: Vec<T>,
}

impl<T: Kept> Top<T> {
    pub fn new(most: u32) -> Self {
        let kept = Vec::new();
        Top { most, kept }
    }

    fn see(&mut self, argument: T::Argument<'_>) {
        let is_larger =
            |known: &T| T::compare_largest(known.argument(), argument) != Ordering::Less;
        let full = self.kept.len() >= self.most as usize;
        if full && self.kept.last().is_some_and(is_larger) {
            return;
        }
        let at = self.kept.partition_point(is_larger);
        if full {
            self.kept.pop();
        }
        self.kept.insert(at, T::of(argument));
    }
}

impl<T: Kept> State for Top<T> {
    type Argument<'a> = T::Argument<'a>;

    fn add(&mut self, argument: T::Argument<'_>, _: Row<'_>) {
        self.see(argument);
    }

    fn merge(&mut self, other: &Self) {
        other.kept.iter().for_each(|kept| self.see(kept.argument()));
    }

    fn result(&self) -> Value {
        if self.kept.is_empty() {
            Value::Null
        } else {
            Value::List(self.kept.iter().map(T::value).collect())
        }
    }
}
