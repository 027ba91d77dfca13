//! One value of an expression, or why there is none.

use rust_decimal::Decimal;

use crate::column::{DataType, Value};
use crate::number::Number;

/// Why a row has no result.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reason {
    /// The result does not fit in the type.
    OutOfRange(DataType),
    /// The text cannot be read as the type.
    NoSuch(Box<str>, DataType),
    /// What else is wrong, for people.
    Wrong(String),
}

/// One value; `S` is its text, owned by a constant and borrowed in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<S> {
    Null,
    Bigint(i64),
    Double(f64),
    Decimal(Decimal),
    Boolean(bool),
    Text(S),
}

impl From<Number> for Scalar<&str> {
    fn from(number: Number) -> Self {
        match number {
            Number::Integer(value) => Scalar::Bigint(value),
            Number::Decimal(value) => Scalar::Decimal(value),
            Number::Double(value) => Scalar::Double(value),
        }
    }
}

impl Scalar<&str> {
    pub fn to_owned(self) -> Scalar<Box<str>> {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::Bigint(value) => Scalar::Bigint(value),
            Scalar::Double(value) => Scalar::Double(value),
            Scalar::Decimal(value) => Scalar::Decimal(value),
            Scalar::Boolean(value) => Scalar::Boolean(value),
            Scalar::Text(value) => Scalar::Text(value.into()),
        }
    }
}

impl Scalar<Box<str>> {
    pub fn value(&self) -> Value {
        match self {
            Scalar::Null => Value::Null,
            Scalar::Bigint(value) => Value::Integer((*value).into()),
            Scalar::Double(value) => Value::Double(*value),
            Scalar::Decimal(value) => Value::Decimal(*value),
            Scalar::Boolean(value) => Value::Boolean(*value),
            Scalar::Text(value) => Value::Text(value.clone()),
        }
    }
}
