//! What decoded records look like: names and types of columns, and their values by column.
//!
//! A [`Columns`] is some hundred to some thousand records turned on their side, so that expressions
//! and aggregates run over plain vectors. Text borrows from the bytes of the source. Every other
//! stage builds on this one.

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::derived::{Derived, Path, Step};
use crate::number::Number;

/// The type of a column or of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// A 64-bit integer; times are this, in ms since 1970, UTC.
    Bigint,
    /// A 64-bit IEEE float.
    Double,
    /// A number of at most 28 decimal digits, exactly as it was written.
    Decimal,
    /// True or false.
    Boolean,
    /// UTF-8 text.
    Text,
    /// A time as expressions make it: in a column it is a bigint, ms since 1970, UTC.
    Timestamp,
    /// A number as wide as each value: bigint, else decimal, else double.
    Number,
    /// Of an undeclared column: the text of each value, until its use decides what it is.
    Any,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DataType::Bigint => "bigint",
            DataType::Double => "double",
            DataType::Decimal => "decimal",
            DataType::Boolean => "boolean",
            DataType::Text => "text",
            DataType::Timestamp => "timestamp",
            DataType::Number => "number",
            DataType::Any => "any",
        })
    }
}

/// A column's name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As in the header of the CSV or the member's name in JSON.
    pub name: String,
    /// What its values are.
    pub(crate) data_type: DataType,
}

/// The columns of an input, in the order of its header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// In the order of the header; names are unique.
    pub fields: Vec<Field>,
    /// The index of the column `change` where it is beside a window's bounds, as in a result of `k
    /// window`: a record of `-` takes an earlier one back.
    pub change: Option<usize>,
    /// Whether records may have columns that are not here, as objects of JSON may: a column of any
    /// name is there, and null where a record has none.
    pub open: bool,
    /// The columns that are not fields or members themselves, by index.
    pub(crate) derived: Vec<(usize, Derived)>,
    /// Paths into members that the first records have, for messages.
    pub(crate) nested: Vec<Path>,
    /// Whether records have parts beside their value, such as a key, as those of a topic have.
    pub(crate) has_parts: bool,
    /// How many digits decimals may have that were declared with this many, by index.
    pub digits: Vec<(usize, Digits)>,
}

/// How many digits a decimal may have, as `decimal(10, 2)` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// In all.
    pub all: u32,
    /// Of them behind the point.
    pub fraction: u32,
}

impl Digits {
    /// Returns whether a number has no more digits, zeros before and behind them aside.
    pub(crate) fn hold(self, number: Decimal) -> bool {
        let number = number.normalize();
        let whole = number.trunc().abs();
        let most = 10_u128.checked_pow(self.all.saturating_sub(self.fraction));
        let fits = most.is_none_or(|most| whole.mantissa().unsigned_abs() < most);
        fits && number.scale() <= self.fraction
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "decimal({}, {})", self.all, self.fraction)
    }
}

impl Schema {
    /// Returns the index of the field or member `name`, matched exactly.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let mut fields = self.fields.iter().enumerate();
        let found = fields.find(|(index, field)| field.name == name && !self.is_derived(*index));
        found.map(|(index, _)| index)
    }

    /// Returns how many digits the decimals of a column may have; `None` for any number.
    pub(crate) fn digits_of(&self, index: usize) -> Option<Digits> {
        let mut digits = self.digits.iter();
        digits
            .find(|(of, _)| *of == index)
            .map(|(_, digits)| *digits)
    }

    /// Returns whether a column is not itself a field or member.
    pub(crate) fn is_derived(&self, index: usize) -> bool {
        self.derived.iter().any(|(derived, _)| *derived == index)
    }

    /// Returns the index of a path or a part of the record; where records have none, of a field that is
    /// called so.
    pub(crate) fn index_of_derived(&self, wanted: &Derived) -> Option<usize> {
        let mut all = self.derived.iter();
        let derived = all.find(|(_, derived)| derived == wanted);
        match (derived, wanted) {
            (Some((index, _)), _) => Some(*index),
            (None, Derived::Part(_)) if self.has_parts => None,
            (None, wanted) => self.index_of(&wanted.to_string()),
        }
    }

    /// Adds a path or a part of the record that an expression names, where records may have it.
    pub(crate) fn add_derived(&mut self, derived: &Derived) {
        let may_have = match derived {
            Derived::Path(_) => self.open,
            Derived::Part(_) => self.has_parts,
        };
        if !may_have || self.derived.iter().any(|(_, known)| known == derived) {
            return;
        }
        let name = derived.to_string();
        // What is declared of the name holds for the path, too.
        let declared = match derived {
            Derived::Path(_) => self.index_of(&name),
            Derived::Part(_) => None,
        };
        let data_type = match declared {
            Some(index) => self.fields[index].data_type,
            None => derived.data_type(),
        };
        let digits = declared.and_then(|index| self.digits_of(index));
        let new = self.fields.len();
        self.digits.extend(digits.map(|digits| (new, digits)));
        self.derived.push((new, derived.clone()));
        self.fields.push(Field { name, data_type });
    }

    /// Returns whether a column that was added for a plan may well be in the first records.
    pub(crate) fn is_seen(&self, index: usize) -> bool {
        let mut derived = self.derived.iter();
        let derived = derived.find(|(derived, _)| *derived == index);
        match derived.map(|(_, derived)| derived) {
            None => false,
            Some(Derived::Part(_)) => true,
            Some(Derived::Path(path)) => {
                let mut nested = self.nested.iter();
                let is_known = match self.index_of(&path.member) {
                    // Nobody has looked into the member.
                    Some(_) if nested.all(|known| known.member != path.member) => true,
                    _ => self.nested.contains(&path.of_any_element()),
                };
                is_known || self.index_of(&path.to_string()).is_some()
            }
        }
    }

    /// Returns the ways through JSON to the value of a column, of which the first that leads somewhere
    /// counts; none to a part of the record.
    pub fn ways(&self, index: usize) -> Vec<Vec<Step>> {
        let derived = self.derived.iter().find(|(derived, _)| *derived == index);
        let own = vec![Step::Member(self.fields[index].name.clone())];
        match derived.map(|(_, derived)| derived) {
            None => vec![own],
            Some(Derived::Path(path)) => {
                let mut way = vec![Step::Member(path.member.clone())];
                way.extend(path.steps.iter().cloned());
                vec![own, way]
            }
            Some(Derived::Part(_)) => Vec::new(),
        }
    }

    /// Returns how many fields a record of CSV has: what is derived comes behind them.
    pub fn width(&self) -> usize {
        self.fields.len() - self.derived.len()
    }

    /// Returns the columns that have a name, with their indexes: others are never used.
    pub fn named(&self) -> impl Iterator<Item = (usize, &Field)> + Clone {
        let fields = self.fields.iter().enumerate();
        fields.filter(|(_, field)| !field.name.is_empty())
    }

    /// Returns the names as a list for an error message, those of nested values among them: `a, b, b.c`;
    /// the first of very many.
    pub fn names(&self) -> String {
        self.names_before(self.fields.len())
    }

    /// As [`Schema::names`], of the columns before `end` alone.
    pub(crate) fn names_before(&self, end: usize) -> String {
        const MAX_NAMES: usize = 100;
        let named = self.named().filter(|(index, _)| *index < end);
        let names = named.map(|(_, field)| field.name.clone());
        let nested = self.nested.iter().map(Path::to_string);
        let all = names.clone().count() + self.nested.len();
        let names: Vec<String> = names.chain(nested).take(MAX_NAMES).collect();
        match all - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// Returns a double in its canonical form: -0 is 0, and NaN is one value.
#[inline]
pub(crate) fn told_apart(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else {
        value + 0.0
    }
}

/// Orders two doubles by size: -0 equals 0; NaN equals itself and is above the others.
#[inline]
pub(crate) fn compare_doubles(left: f64, right: f64) -> Ordering {
    let order = left.partial_cmp(&right);
    order.unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// Returns a decimal whose zero has no sign: SQL knows no -0.
pub(crate) fn unsigned_zero(value: Decimal) -> Decimal {
    if value.is_zero() { value.abs() } else { value }
}

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

/// Some records by column: `columns[c]` is the column `c` of a [`Schema`], every one `rows` long.
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
