//! `min`, `max`.

use std::cmp::Ordering;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Arguments, Slot, State, each};
use crate::column::{Value, Values};

/// A number that has a least and a greatest.
pub(super) trait Number:
    Copy + Default + PartialOrd + Serialize + DeserializeOwned + std::fmt::Debug + Send + 'static
{
    fn values<'b>(arguments: &Arguments<'b, '_>) -> Option<&'b Values<Self>>;
    fn into_value(self) -> Value;
}

impl Number for i64 {
    fn values<'b>(arguments: &Arguments<'b, '_>) -> Option<&'b Values<i64>> {
        arguments.bigints()
    }

    fn into_value(self) -> Value {
        Value::Integer(self.into())
    }
}

impl Number for f64 {
    fn values<'b>(arguments: &Arguments<'b, '_>) -> Option<&'b Values<f64>> {
        arguments.doubles()
    }

    fn into_value(self) -> Value {
        Value::Double(self)
    }
}

/// The smallest (`Least`) or largest number so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Extreme<N> {
    number: Option<N>,
    wanted: End,
}

/// The first (`Least`) or last text by bytes so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ExtremeText {
    text: Option<Box<str>>,
    wanted: End,
}

/// Which end of the order is wanted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum End {
    Least,
    Greatest,
}

impl End {
    #[inline]
    fn prefers(self, order: Option<Ordering>) -> bool {
        match self {
            End::Least => order == Some(Ordering::Less),
            End::Greatest => order == Some(Ordering::Greater),
        }
    }
}

impl<N> Extreme<N> {
    pub fn new(wanted: End) -> Self {
        let number = None;
        Extreme { number, wanted }
    }
}

impl ExtremeText {
    pub fn new(wanted: End) -> Self {
        let text = None;
        ExtremeText { text, wanted }
    }

    fn add(&mut self, text: &str) {
        let known = self.text.as_deref();
        if known.is_none_or(|known| self.wanted.prefers(text.partial_cmp(known))) {
            self.text = Some(text.into());
        }
    }
}

impl<N: Number> Extreme<N> {
    #[inline]
    fn add(&mut self, number: N) {
        if self
            .number
            .is_none_or(|known| self.wanted.prefers(number.partial_cmp(&known)))
        {
            self.number = Some(number);
        }
    }
}

impl<N: Number> State for Extreme<N> {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        each(N::values(arguments), slots, rows, |slot, argument| {
            states[slot].add(argument);
        });
    }

    fn merge(&mut self, other: &Self) {
        other.number.into_iter().for_each(|number| self.add(number));
    }

    fn result(&self) -> Value {
        self.number.map_or(Value::Null, N::into_value)
    }
}

impl State for ExtremeText {
    fn add(states: &mut [Self], slots: &[Slot], rows: &[u32], arguments: &Arguments<'_, '_>) {
        each(arguments.texts(), slots, rows, |slot, argument| {
            states[slot].add(argument);
        });
    }

    fn merge(&mut self, other: &Self) {
        other.text.iter().for_each(|text| self.add(text));
    }

    fn result(&self) -> Value {
        self.text.clone().map_or(Value::Null, Value::Text)
    }
}
