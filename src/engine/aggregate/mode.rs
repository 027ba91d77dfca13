//! `mode`: the argument that came most often.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::State;
use super::argument::{Kept, Row};
use super::distinct::Distinct;
use super::net::Retract;
use crate::column::Value;

/// How often each argument came, and which came most often: of several the smallest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "T: Kept")]
pub(super) struct Mode<T: Kept> {
    times: Distinct<T>,
    /// The argument and how often it came; `None` where none came more often than it was taken back.
    most: Option<(T, i64)>,
}

impl<T: Kept> Default for Mode<T> {
    fn default() -> Self {
        let times = Distinct::default();
        Mode { times, most: None }
    }
}

impl<T: Kept> Mode<T> {
    fn change(&mut self, argument: T::Argument<'_>, by: i64) {
        let now = self.times.add(argument, by);
        match &mut self.most {
            Some((most, times)) => match T::compare(argument, most.argument()) {
                // Another one may come more often now.
                Ordering::Equal if by < 0 => self.look(),
                Ordering::Equal => *times = now,
                order if now > *times || now == *times && order == Ordering::Less => {
                    most.set(argument);
                    *times = now;
                }
                _ => {}
            },
            None if now > 0 => self.most = Some((T::of(argument), now)),
            None => {}
        }
    }

    /// Looks through all arguments for the one that came most often.
    fn look(&mut self) {
        let present = self.times.each().filter(|(_, times)| *times > 0);
        self.most = present.max_by(|(left, left_times), (right, right_times)| {
            let by_size = || T::compare(right.argument(), left.argument());
            left_times.cmp(right_times).then_with(by_size)
        });
    }
}

impl<T: Kept> State for Mode<T> {
    type Argument<'a> = T::Argument<'a>;

    fn add(&mut self, argument: T::Argument<'_>, _: Row<'_>) {
        self.change(argument, 1);
    }

    fn merge(&mut self, other: &Self) {
        for (kept, times) in other.times.each() {
            self.change(kept.argument(), times);
        }
    }

    fn result(&self) -> Value {
        let most = self.most.as_ref();
        most.map_or(Value::Null, |(most, _)| most.value())
    }
}

impl<T: Kept> Retract for Mode<T> {
    fn retract(&mut self, argument: T::Argument<'_>) {
        self.change(argument, -1);
    }
}
