//! `min`, `max`.

use super::State;
use crate::column::{Column, Value, Values};

/// A number that has a least and a greatest.
pub(super) trait Number:
    Copy + Default + PartialOrd + std::fmt::Debug + Send + 'static
{
    fn values<'c>(column: &'c Column<'_>) -> Option<&'c Values<Self>>;
    fn into_value(self) -> Value;
}

impl Number for i64 {
    fn values<'c>(column: &'c Column<'_>) -> Option<&'c Values<i64>> {
        match column {
            Column::Bigint(values) => Some(values),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Integer(self.into())
    }
}

impl Number for f64 {
    fn values<'c>(column: &'c Column<'_>) -> Option<&'c Values<f64>> {
        match column {
            Column::Double(values) => Some(values),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Double(self)
    }
}

/// The smallest number so far.
#[derive(Debug, Default)]
pub(super) struct Least<N>(Option<N>);

/// The largest number so far.
#[derive(Debug, Default)]
pub(super) struct Greatest<N>(Option<N>);

impl<N: Number> State for Least<N> {
    type Argument<'a> = N;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<N>> {
        N::values(column)
    }

    #[inline]
    fn add(&mut self, argument: N) {
        if self.0.is_none_or(|least| argument < least) {
            self.0 = Some(argument);
        }
    }

    fn result(&self) -> Value {
        self.0.map_or(Value::Null, N::into_value)
    }
}

impl<N: Number> State for Greatest<N> {
    type Argument<'a> = N;

    fn arguments<'c>(column: &'c Column<'_>) -> Option<&'c Values<N>> {
        N::values(column)
    }

    #[inline]
    fn add(&mut self, argument: N) {
        if self.0.is_none_or(|greatest| argument > greatest) {
            self.0 = Some(argument);
        }
    }

    fn result(&self) -> Value {
        self.0.map_or(Value::Null, N::into_value)
    }
}

/// The first text by bytes so far.
#[derive(Debug, Default)]
pub(super) struct LeastText(Option<Box<str>>);

/// The last text by bytes so far.
#[derive(Debug, Default)]
pub(super) struct GreatestText(Option<Box<str>>);

fn texts<'c, 'a>(column: &'c Column<'a>) -> Option<&'c Values<&'a str>> {
    match column {
        Column::Text(values) => Some(values),
        _ => None,
    }
}

fn text_value(text: &Option<Box<str>>) -> Value {
    text.clone().map_or(Value::Null, Value::Text)
}

impl State for LeastText {
    type Argument<'a> = &'a str;

    fn arguments<'c, 'a>(column: &'c Column<'a>) -> Option<&'c Values<&'a str>> {
        texts(column)
    }

    fn add(&mut self, argument: &str) {
        if self.0.as_deref().is_none_or(|least| argument < least) {
            self.0 = Some(argument.into());
        }
    }

    fn result(&self) -> Value {
        text_value(&self.0)
    }
}

impl State for GreatestText {
    type Argument<'a> = &'a str;

    fn arguments<'c, 'a>(column: &'c Column<'a>) -> Option<&'c Values<&'a str>> {
        texts(column)
    }

    fn add(&mut self, argument: &str) {
        if self.0.as_deref().is_none_or(|greatest| argument > greatest) {
            self.0 = Some(argument.into());
        }
    }

    fn result(&self) -> Value {
        text_value(&self.0)
    }
}
