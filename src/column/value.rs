//! Values: one, owned or borrowed; of one column; of all columns of some records.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::data_type::DataType;
use crate::number::Number;

/// One value, owned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// SQL's null: an empty CSV field, JSON's null.
    Null,
    /// An integer; sums may be wider than the `bigint` that went in.
    Integer(i128),
    /// A 64-bit IEEE float.
    Double(f64),
    /// A number of decimal digits; 1.5 and 1.50 are equal.
    Decimal(Decimal),
    /// True or false.
    Boolean(bool),
    /// UTF-8 text.
    Text(Box<str>),
    /// Some values, as `collect` gives them; never an argument or a key.
    List(Box<[Value]>),
    /// A value of an undeclared column.
    Any(Box<str>),
}

/// One value, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// As [`Value::Null`].
    Null,
    /// As [`Value::Integer`].
    Integer(i128),
    /// As [`Value::Double`].
    Double(f64),
    /// As [`Value::Decimal`].
    Decimal(Decimal),
    /// As [`Value::Boolean`].
    Boolean(bool),
    /// As [`Value::Text`].
    Text(&'a str),
    /// As [`Value::List`].
    List(&'a [Value]),
    /// As [`Value::Any`].
    Any(&'a str),
}

impl From<Number> for ValueRef<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Integer(value) => ValueRef::Integer(value.into()),
            Number::Decimal(value) => ValueRef::Decimal(value),
            Number::Double(value) => ValueRef::Double(value),
        }
    }
}

impl Value {
    /// Returns the value without owning its text.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Double(value) => ValueRef::Double(*value),
            Value::Decimal(value) => ValueRef::Decimal(*value),
            Value::Boolean(value) => ValueRef::Boolean(*value),
            Value::Text(value) => ValueRef::Text(value),
            Value::List(values) => ValueRef::List(values),
            Value::Any(text) => ValueRef::Any(text),
        }
    }
}

impl<'a> ValueRef<'a> {
    /// Returns text, or what stood in a column that nobody declared; `None` for any other value.
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            ValueRef::Text(text) | ValueRef::Any(text) => Some(text),
            _ => None,
        }
    }

    /// Returns an integer of 64 bits, such as a time; `None` for any other value.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            ValueRef::Integer(value) => i64::try_from(value).ok(),
            _ => None,
        }
    }

    /// Returns the value, owned.
    pub(crate) fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Integer(value),
            ValueRef::Double(value) => Value::Double(value),
            ValueRef::Decimal(value) => Value::Decimal(value),
            ValueRef::Boolean(value) => Value::Boolean(value),
            ValueRef::Text(value) => Value::Text(value.into()),
            ValueRef::List(values) => Value::List(values.into()),
            ValueRef::Any(text) => Value::Any(text.into()),
        }
    }
}

/// The values of one type in one column; `nulls` is empty when no value is null.
#[derive(Debug, Clone, PartialEq)]
pub struct Values<T> {
    /// One per row; the value in a null row means nothing.
    pub values: Vec<T>,
    /// Empty, or one per row: true where the row is null.
    pub nulls: Vec<bool>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Values {
            values: Vec::new(),
            nulls: Vec::new(),
        }
    }
}

impl<T: Copy + Default> Values<T> {
    /// Returns an empty column with room for `rows`.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Values {
            values: Vec::with_capacity(rows),
            nulls: Vec::new(),
        }
    }

    /// Returns a column of `values`, of which those of the rows `nulls` mean nothing.
    pub(crate) fn with_nulls(values: Vec<T>, nulls: &[usize]) -> Self {
        let mut column = Values {
            nulls: vec![false; if nulls.is_empty() { 0 } else { values.len() }],
            values,
        };
        nulls.iter().for_each(|&row| column.nulls[row] = true);
        column
    }

    /// Returns the value of a row, `None` for null.
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        match self.nulls.get(row) {
            Some(true) => None,
            _ => Some(self.values[row]),
        }
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: Option<T>) {
        match value {
            Some(value) => {
                self.values.push(value);
                if !self.nulls.is_empty() {
                    self.nulls.push(false);
                }
            }
            None => {
                self.nulls.resize(self.values.len(), false);
                self.nulls.push(true);
                self.values.push(T::default());
            }
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Drops the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }
}

impl<T: Copy + Default> FromIterator<Option<T>> for Values<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut values = Values::with_capacity(rows.size_hint().0);
        rows.for_each(|row| values.push(row));
        values
    }
}

/// One column of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Column<'a> {
    /// 64-bit integers.
    Bigint(Values<i64>),
    /// 64-bit floats.
    Double(Values<f64>),
    /// Decimal numbers.
    Decimal(Values<Decimal>),
    /// Booleans.
    Boolean(Values<bool>),
    /// Text that borrows from the batch's bytes or its arena.
    Text(Values<&'a str>),
    /// Numbers of which some are not bigints; while all are, the column is [`Column::Bigint`].
    Number(Values<Number>),
    /// The values of an undeclared column, unchanged.
    Any(Values<&'a str>),
}

impl<'a> Column<'a> {
    /// Returns an empty column of a type, with room for `rows`.
    pub(crate) fn with_capacity(data_type: DataType, rows: usize) -> Self {
        match data_type {
            DataType::Bigint | DataType::Timestamp => Column::Bigint(Values::with_capacity(rows)),
            DataType::Double => Column::Double(Values::with_capacity(rows)),
            DataType::Decimal => Column::Decimal(Values::with_capacity(rows)),
            DataType::Boolean => Column::Boolean(Values::with_capacity(rows)),
            DataType::Text => Column::Text(Values::with_capacity(rows)),
            DataType::Number => Column::Number(Values::with_capacity(rows)),
            DataType::Any => Column::Any(Values::with_capacity(rows)),
        }
    }

    /// Returns the type of its values.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Column::Bigint(_) => DataType::Bigint,
            Column::Double(_) => DataType::Double,
            Column::Decimal(_) => DataType::Decimal,
            Column::Boolean(_) => DataType::Boolean,
            Column::Text(_) => DataType::Text,
            Column::Number(_) => DataType::Number,
            Column::Any(_) => DataType::Any,
        }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Bigint(values) => values.len(),
            Column::Double(values) => values.len(),
            Column::Decimal(values) => values.len(),
            Column::Boolean(values) => values.len(),
            Column::Text(values) | Column::Any(values) => values.len(),
            Column::Number(values) => values.len(),
        }
    }

    /// Returns whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Column::Bigint(values) => values.truncate(rows),
            Column::Double(values) => values.truncate(rows),
            Column::Decimal(values) => values.truncate(rows),
            Column::Boolean(values) => values.truncate(rows),
            Column::Text(values) | Column::Any(values) => values.truncate(rows),
            Column::Number(values) => values.truncate(rows),
        }
    }

    /// Returns which rows are null; empty where none is.
    pub fn nulls(&self) -> &[bool] {
        match self {
            Column::Bigint(values) => &values.nulls,
            Column::Double(values) => &values.nulls,
            Column::Decimal(values) => &values.nulls,
            Column::Boolean(values) => &values.nulls,
            Column::Text(values) | Column::Any(values) => &values.nulls,
            Column::Number(values) => &values.nulls,
        }
    }

    /// Adds a row that is null.
    pub(crate) fn push_null(&mut self) {
        match self {
            Column::Bigint(values) => values.push(None),
            Column::Double(values) => values.push(None),
            Column::Decimal(values) => values.push(None),
            Column::Boolean(values) => values.push(None),
            Column::Text(values) | Column::Any(values) => values.push(None),
            Column::Number(values) => values.push(None),
        }
    }

    /// Returns the value of a row.
    pub fn value_ref(&self, row: usize) -> ValueRef<'a> {
        let value = match self {
            Column::Bigint(values) => values.get(row).map(|v| ValueRef::Integer(v.into())),
            Column::Double(values) => values.get(row).map(ValueRef::Double),
            Column::Decimal(values) => values.get(row).map(ValueRef::Decimal),
            Column::Boolean(values) => values.get(row).map(ValueRef::Boolean),
            Column::Text(values) => values.get(row).map(ValueRef::Text),
            Column::Number(values) => values.get(row).map(ValueRef::from),
            Column::Any(values) => values.get(row).map(ValueRef::Any),
        };
        value.unwrap_or(ValueRef::Null)
    }

    /// Returns the value of a row, owned.
    pub fn value(&self, row: usize) -> Value {
        self.value_ref(row).to_value()
    }
}

/// Some records by column: `columns[c]` is the column `c` of a `Schema`, every one `rows` long.
///
/// Columns that the plan does not name are not decoded: they are empty vectors of their type.
#[derive(Debug, Clone, Default)]
pub struct Columns<'a> {
    /// The number of records.
    pub rows: usize,
    /// In the order of the schema.
    pub columns: Vec<Column<'a>>,
    /// Whether numbers have a decimal comma in the undeclared columns.
    pub(crate) decimal_comma: bool,
}

/// Why a record does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// For people: what is wrong, with the value as it was written.
    pub reason: String,
    /// How such a record can be kept, if it can.
    pub(crate) cure: Option<String>,
}

impl From<String> for Misfit {
    fn from(reason: String) -> Self {
        Misfit { reason, cure: None }
    }
}

impl Misfit {
    /// Returns it with a way to keep such records.
    #[must_use]
    pub fn or(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}
