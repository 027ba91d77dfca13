//! The loops: one operation over all rows of a batch.
//!
//! Each is compiled for its type and for column × column, column × constant and constant ×
//! column, without a branch per row where no value is null, so that the compiler vectorises it.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::scalar::Scalar;
use super::syntax::{Arithmetic, Comparison, Connective};
use crate::column::{Column, DataType, Values};
use crate::number::{self, Number, parse_integer, unsigned_zero};

/// What an operand came to: a column, or one value for every row.
#[derive(Debug)]
pub(super) enum Operand<'b, 'a> {
    Column(Cow<'b, Column<'a>>),
    Constant(Scalar<&'a str>),
}

impl<'b, 'a> Operand<'b, 'a> {
    pub fn computed<T: Element<'a>>(values: Values<T>) -> Self {
        Operand::Column(Cow::Owned(T::column(values)))
    }

    /// Returns the value of a row.
    #[inline]
    pub fn get(&self, row: usize) -> Scalar<&'a str> {
        let column = match self {
            Operand::Constant(constant) => return *constant,
            Operand::Column(column) => column.as_ref(),
        };
        let value = match column {
            Column::Bigint(values) => values.get(row).map(Scalar::Bigint),
            Column::Double(values) => values.get(row).map(Scalar::Double),
            Column::Decimal(values) => values.get(row).map(Scalar::Decimal),
            Column::Boolean(values) => values.get(row).map(Scalar::Boolean),
            Column::Text(values) | Column::Any(values) => values.get(row).map(Scalar::Text),
            Column::Number(values) => values.get(row).map(Scalar::from),
        };
        value.unwrap_or(Scalar::Null)
    }

    /// Returns the values as `T`, which the checker has made sure they are.
    pub fn view<T: Element<'a>>(&self) -> View<'_, T> {
        match self {
            Operand::Column(column) => match T::values(column) {
                Some(values) => View::Each(values),
                None => unreachable!("the checker typed this operand otherwise"),
            },
            Operand::Constant(constant) => View::All(T::from_scalar(*constant)),
        }
    }

    /// Returns the number of a row, of whatever type of number.
    #[inline]
    pub fn number(&self, row: usize) -> Option<Number> {
        Number::from_scalar(self.get(row))
    }

    /// Returns whether every value is a bigint or null.
    pub fn is_bigint(&self) -> bool {
        match self {
            Operand::Column(column) => matches!(column.as_ref(), Column::Bigint(_)),
            Operand::Constant(constant) => matches!(constant, Scalar::Bigint(_) | Scalar::Null),
        }
    }

    /// Returns a column of `rows`, whatever the operand is.
    pub fn into_column(self, data_type: DataType, rows: usize) -> Cow<'b, Column<'a>> {
        fn all<'a, T: Element<'a>>(constant: Scalar<&'a str>, rows: usize) -> Column<'a> {
            T::column(same(T::from_scalar(constant), rows))
        }
        let constant = match self {
            Operand::Column(column) => return column,
            Operand::Constant(constant) => constant,
        };
        Cow::Owned(match data_type {
            DataType::Bigint | DataType::Timestamp => all::<i64>(constant, rows),
            DataType::Double => all::<f64>(constant, rows),
            DataType::Decimal => all::<Decimal>(constant, rows),
            DataType::Boolean => all::<bool>(constant, rows),
            DataType::Text => all::<&str>(constant, rows),
            DataType::Number => all::<Number>(constant, rows),
            DataType::Any => Column::Any(same(<&str>::from_scalar(constant), rows)),
        })
    }
}

/// A type that a column holds.
pub(super) trait Element<'a>: Copy + Default {
    fn values<'v>(column: &'v Column<'a>) -> Option<&'v Values<Self>>;
    fn from_scalar(scalar: Scalar<&'a str>) -> Option<Self>;
    fn column(values: Values<Self>) -> Column<'a>;
}

macro_rules! element {
    ($type:ty, $variant:ident) => {
        impl<'a> Element<'a> for $type {
            fn values<'v>(column: &'v Column<'a>) -> Option<&'v Values<Self>> {
                match column {
                    Column::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn from_scalar(scalar: Scalar<&'a str>) -> Option<Self> {
                match scalar {
                    Scalar::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn column(values: Values<Self>) -> Column<'a> {
                Column::$variant(values)
            }
        }
    };
}

element!(i64, Bigint);
element!(f64, Double);
element!(Decimal, Decimal);
element!(bool, Boolean);

impl<'a> Element<'a> for &'a str {
    fn values<'v>(column: &'v Column<'a>) -> Option<&'v Values<Self>> {
        match column {
            Column::Text(values) | Column::Any(values) => Some(values),
            _ => None,
        }
    }

    fn from_scalar(scalar: Scalar<&'a str>) -> Option<Self> {
        match scalar {
            Scalar::Text(value) => Some(value),
            _ => None,
        }
    }

    fn column(values: Values<Self>) -> Column<'a> {
        Column::Text(values)
    }
}

impl<'a> Element<'a> for Number {
    fn values<'v>(column: &'v Column<'a>) -> Option<&'v Values<Self>> {
        match column {
            Column::Number(values) => Some(values),
            _ => None,
        }
    }

    fn from_scalar(scalar: Scalar<&'a str>) -> Option<Self> {
        match scalar {
            Scalar::Bigint(value) => Some(Number::Integer(value)),
            Scalar::Decimal(value) => Some(Number::Decimal(value)),
            Scalar::Double(value) => Some(Number::Double(value)),
            _ => None,
        }
    }

    /// While all are bigints, so is the column.
    fn column(values: Values<Self>) -> Column<'a> {
        match integers_of(&values) {
            Some(integers) => Column::Bigint(integers),
            None => Column::Number(values),
        }
    }
}

/// Reads texts as bigints, if all are.
pub(super) fn read_integers(texts: &Values<&str>) -> Option<Values<i64>> {
    let is_null = |row: usize| texts.nulls.get(row) == Some(&true);
    let read = |(row, text): (usize, &&str)| match parse_integer(text.as_bytes()) {
        None if is_null(row) => Some(0),
        read => read,
    };
    let values: Option<Vec<i64>> = texts.values.iter().enumerate().map(read).collect();
    Some(Values {
        values: values?,
        nulls: texts.nulls.clone(),
    })
}

/// Returns numbers as bigints, if all are.
pub(super) fn integers_of(numbers: &Values<Number>) -> Option<Values<i64>> {
    let integer = |number: &Number| match number {
        Number::Integer(value) => Some(*value),
        _ => None,
    };
    let values: Option<Vec<i64>> = numbers.values.iter().map(integer).collect();
    Some(Values {
        values: values?,
        nulls: numbers.nulls.clone(),
    })
}

/// The values of an operand whose type is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'v, T> {
    /// One per row.
    Each(&'v Values<T>),
    /// The same in every row.
    All(Option<T>),
}

impl<T: Copy + Default> View<'_, T> {
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        match self {
            View::Each(values) => values.get(row),
            View::All(value) => *value,
        }
    }
}

/// Returns a column with one value in every row.
pub(super) fn same<T: Copy + Default>(value: Option<T>, rows: usize) -> Values<T> {
    let nulls = if value.is_none() {
        vec![true; rows]
    } else {
        Vec::new()
    };
    Values {
        values: vec![value.unwrap_or_default(); rows],
        nulls,
    }
}

/// Returns `f` of every row; null where the operand is.
pub(super) fn unary<T, R>(operand: View<T>, rows: usize, f: impl Fn(T) -> R) -> Values<R>
where
    T: Copy,
    R: Copy + Default,
{
    match operand {
        View::Each(operand) => Values {
            values: operand.values.iter().map(|value| f(*value)).collect(),
            nulls: operand.nulls.clone(),
        },
        View::All(value) => same(value.map(f), rows),
    }
}

/// Returns `f` of both operands in every row; null where one of them is.
pub(super) fn binary<L, R, O>(
    left: View<L>,
    right: View<R>,
    rows: usize,
    f: impl Fn(L, R) -> O,
) -> Values<O>
where
    L: Copy,
    R: Copy,
    O: Copy + Default,
{
    match (left, right) {
        (View::Each(left), View::Each(right)) => {
            let both = left.values.iter().zip(&right.values);
            Values {
                values: both.map(|(left, right)| f(*left, *right)).collect(),
                nulls: either(&left.nulls, &right.nulls),
            }
        }
        (View::Each(left), View::All(Some(right))) => Values {
            values: left.values.iter().map(|left| f(*left, right)).collect(),
            nulls: left.nulls.clone(),
        },
        (View::All(Some(left)), View::Each(right)) => Values {
            values: right.values.iter().map(|right| f(left, *right)).collect(),
            nulls: right.nulls.clone(),
        },
        (View::All(Some(left)), View::All(Some(right))) => same(Some(f(left, right)), rows),
        (View::All(None), _) | (_, View::All(None)) => same(None, rows),
    }
}

fn either(left: &[bool], right: &[bool]) -> Vec<bool> {
    match (left, right) {
        ([], nulls) | (nulls, []) => nulls.to_vec(),
        _ => left
            .iter()
            .zip(right)
            .map(|(left, right)| left | right)
            .collect(),
    }
}

/// Returns a comparison in every row.
pub(super) fn compare(
    comparison: Comparison,
    data_type: DataType,
    left: &Operand,
    right: &Operand,
    rows: usize,
) -> Values<bool> {
    match data_type {
        DataType::Bigint | DataType::Timestamp => {
            compare_as::<i64>(comparison, left.view(), right.view(), rows)
        }
        DataType::Double => compare_as::<f64>(comparison, left.view(), right.view(), rows),
        DataType::Decimal => compare_as::<Decimal>(comparison, left.view(), right.view(), rows),
        DataType::Boolean => compare_as::<bool>(comparison, left.view(), right.view(), rows),
        DataType::Text => compare_as::<&str>(comparison, left.view(), right.view(), rows),
        DataType::Number if left.is_bigint() && right.is_bigint() => {
            compare_as::<i64>(comparison, left.view(), right.view(), rows)
        }
        DataType::Number => {
            let (left, right) = (|row| left.number(row), |row| right.number(row));
            compare_by(comparison, rows, left, right, Number::compare)
        }
        DataType::Any => {
            let (left, right) = (left.view::<&str>(), right.view::<&str>());
            let (left, right) = (|row| left.get(row), |row| right.get(row));
            compare_by(comparison, rows, left, right, number::compare)
        }
    }
}

/// Compares everything but a plain column of one type by an order of its own.
fn compare_by<T>(
    comparison: Comparison,
    rows: usize,
    left: impl Fn(usize) -> Option<T>,
    right: impl Fn(usize) -> Option<T>,
    order: impl Fn(T, T) -> Ordering,
) -> Values<bool> {
    let compared = |row: usize| {
        let order = match (left(row), right(row)) {
            (Some(left), Some(right)) => Some(order(left, right)),
            (None, None) if comparison == Comparison::Distinct => return Some(false),
            (None, None) if comparison == Comparison::NotDistinct => return Some(true),
            _ => None,
        };
        match comparison {
            Comparison::Equal => order.map(Ordering::is_eq),
            Comparison::NotEqual => order.map(Ordering::is_ne),
            Comparison::Less => order.map(Ordering::is_lt),
            Comparison::LessOrEqual => order.map(Ordering::is_le),
            Comparison::Greater => order.map(Ordering::is_gt),
            Comparison::GreaterOrEqual => order.map(Ordering::is_ge),
            Comparison::Distinct => Some(order.is_none_or(Ordering::is_ne)),
            Comparison::NotDistinct => Some(order.is_some_and(Ordering::is_eq)),
        }
    };
    (0..rows).map(compared).collect()
}

fn compare_as<T>(comparison: Comparison, left: View<T>, right: View<T>, rows: usize) -> Values<bool>
where
    T: Copy + Default + PartialOrd,
{
    let distinct = |wanted: bool| {
        let differ = |row| (left.get(row) != right.get(row)) == wanted;
        Values {
            values: (0..rows).map(differ).collect(),
            nulls: Vec::new(),
        }
    };
    match comparison {
        Comparison::Equal => binary(left, right, rows, |left, right| left == right),
        Comparison::NotEqual => binary(left, right, rows, |left, right| left != right),
        Comparison::Less => binary(left, right, rows, |left, right| left < right),
        Comparison::LessOrEqual => binary(left, right, rows, |left, right| left <= right),
        Comparison::Greater => binary(left, right, rows, |left, right| left > right),
        Comparison::GreaterOrEqual => binary(left, right, rows, |left, right| left >= right),
        Comparison::Distinct => distinct(true),
        Comparison::NotDistinct => distinct(false),
    }
}

/// Adds `right` to `left` by SQL's three-valued logic: what decides (false for `and`, true for
/// `or`) decides beside null, too.
pub(super) fn connect(connective: Connective, left: &mut Values<bool>, right: &Values<bool>) {
    let decides = connective == Connective::Or;
    if left.nulls.is_empty() && right.nulls.is_empty() {
        let both = left.values.iter_mut().zip(&right.values);
        match connective {
            Connective::And => both.for_each(|(left, right)| *left &= right),
            Connective::Or => both.for_each(|(left, right)| *left |= right),
        }
        return;
    }
    left.nulls.resize(left.values.len(), false);
    for row in 0..left.values.len() {
        let connected = match (left.get(row), right.get(row)) {
            (Some(value), _) | (_, Some(value)) if value == decides => Some(decides),
            (None, _) | (_, None) => None,
            _ => Some(!decides),
        };
        left.values[row] = connected.unwrap_or_default();
        left.nulls[row] = connected.is_none();
    }
}

/// Returns bigint arithmetic in every row, and the rows (in order) whose result is beyond its
/// range: those are null. Division is by truncation; by zero it gives null.
pub(super) fn integers(
    operation: Arithmetic,
    left: View<i64>,
    right: View<i64>,
    rows: usize,
) -> (Values<i64>, Vec<usize>) {
    match operation {
        Arithmetic::Add => overflowing(left, right, rows, i64::overflowing_add),
        Arithmetic::Subtract => overflowing(left, right, rows, i64::overflowing_sub),
        Arithmetic::Multiply => overflowing(left, right, rows, i64::overflowing_mul),
        Arithmetic::Divide => dividing(left, right, rows, i64::overflowing_div),
        // The remainder of the lowest bigint by -1 is 0, whatever the quotient.
        Arithmetic::Remainder => dividing(left, right, rows, |left, right| {
            (left.wrapping_rem(right), false)
        }),
    }
}

fn overflowing(
    left: View<i64>,
    right: View<i64>,
    rows: usize,
    f: impl Fn(i64, i64) -> (i64, bool) + Copy,
) -> (Values<i64>, Vec<usize>) {
    let any = std::cell::Cell::new(false);
    let mut results = binary(left, right, rows, |left, right| {
        let (result, overflows) = f(left, right);
        any.set(any.get() | overflows);
        result
    });
    if !any.get() {
        return (results, Vec::new());
    }
    let beyond: Vec<usize> = (0..rows)
        .filter(|row| match (left.get(*row), right.get(*row)) {
            (Some(left), Some(right)) => f(left, right).1,
            _ => false,
        })
        .collect();
    set_null(&mut results, &beyond);
    (results, beyond)
}

fn dividing(
    left: View<i64>,
    right: View<i64>,
    rows: usize,
    f: impl Fn(i64, i64) -> (i64, bool),
) -> (Values<i64>, Vec<usize>) {
    // By what is neither 0 nor -1, nothing is beyond.
    if let View::All(Some(divisor)) = right
        && divisor != 0
        && divisor != -1
    {
        let results = binary(left, right, rows, |left, right| f(left, right).0);
        return (results, Vec::new());
    }
    let mut beyond = Vec::new();
    let results = (0..rows).map(|row| {
        let divisor = right.get(row).filter(|divisor| *divisor != 0)?;
        let (result, overflows) = f(left.get(row)?, divisor);
        if overflows {
            beyond.push(row);
            return None;
        }
        Some(result)
    });
    (results.collect(), beyond)
}

/// Returns double arithmetic in every row; division by zero gives null.
pub(super) fn doubles(
    operation: Arithmetic,
    left: View<f64>,
    right: View<f64>,
    rows: usize,
) -> Values<f64> {
    let mut results = match operation {
        Arithmetic::Add => binary(left, right, rows, |left, right| left + right),
        Arithmetic::Subtract => binary(left, right, rows, |left, right| left - right),
        Arithmetic::Multiply => binary(left, right, rows, |left, right| left * right),
        Arithmetic::Divide => binary(left, right, rows, |left, right| left / right),
        Arithmetic::Remainder => binary(left, right, rows, |left, right| left % right),
    };
    if matches!(operation, Arithmetic::Divide | Arithmetic::Remainder) {
        let by_zero: Vec<usize> = (0..rows)
            .filter(|row| right.get(*row) == Some(0.0))
            .collect();
        set_null(&mut results, &by_zero);
    }
    results
}

/// Returns decimal arithmetic in every row, and the rows (in order) whose result is beyond its
/// range: those are null. A product or quotient of more than 28 digits is rounded to 28, halves to
/// the even digit; division by zero gives null.
pub(super) fn decimals(
    operation: Arithmetic,
    left: View<Decimal>,
    right: View<Decimal>,
    rows: usize,
) -> (Values<Decimal>, Vec<usize>) {
    let apply = match operation {
        Arithmetic::Add => Decimal::checked_add,
        Arithmetic::Subtract => Decimal::checked_sub,
        Arithmetic::Multiply => Decimal::checked_mul,
        Arithmetic::Divide => Decimal::checked_div,
        Arithmetic::Remainder => Decimal::checked_rem,
    };
    let divides = matches!(operation, Arithmetic::Divide | Arithmetic::Remainder);
    let mut beyond = Vec::new();
    let results = (0..rows).map(|row| {
        let (left, right) = (left.get(row)?, right.get(row)?);
        if divides && right.is_zero() {
            return None;
        }
        let result = apply(left, right);
        if result.is_none() {
            beyond.push(row);
        }
        result.map(unsigned_zero)
    });
    (results.collect(), beyond)
}

/// Returns arithmetic on numbers in every row, each as wide as its values need: what is beyond a
/// bigint is a decimal, what is beyond a decimal a double. So no row fails. Among bigints, division
/// is by truncation; by zero it gives null.
pub(super) fn numbers(
    operation: Arithmetic,
    left: &Operand,
    right: &Operand,
    rows: usize,
) -> Values<Number> {
    let calculated = |row| calculate(operation, left.number(row)?, right.number(row)?);
    (0..rows).map(calculated).collect()
}

fn calculate(operation: Arithmetic, left: Number, right: Number) -> Option<Number> {
    if let (Number::Integer(left), Number::Integer(right)) = (left, right) {
        let result = match operation {
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide | Arithmetic::Remainder if right == 0 => return None,
            Arithmetic::Divide => left.checked_div(right),
            Arithmetic::Remainder => Some(left.wrapping_rem(right)),
        };
        if let Some(result) = result {
            return Some(Number::Integer(result));
        }
    }
    let divides = matches!(operation, Arithmetic::Divide | Arithmetic::Remainder);
    let is_double = |number| matches!(number, Number::Double(_));
    if !is_double(left)
        && !is_double(right)
        && let (Some(left), Some(right)) = (left.to_decimal(), right.to_decimal())
    {
        if divides && right.is_zero() {
            return None;
        }
        let result = match operation {
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide => left.checked_div(right),
            Arithmetic::Remainder => left.checked_rem(right),
        };
        if let Some(result) = result {
            return Some(Number::Decimal(unsigned_zero(result)));
        }
    }
    let (left, right) = (left.to_f64(), right.to_f64());
    if divides && right == 0.0 {
        return None;
    }
    Some(Number::Double(match operation {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    }))
}

/// Makes `rows` null.
pub(super) fn set_null<T>(values: &mut Values<T>, rows: &[usize]) {
    if rows.is_empty() {
        return;
    }
    values.nulls.resize(values.values.len(), false);
    for row in rows {
        values.nulls[*row] = true;
    }
}

/// Returns which rows are null.
pub(super) fn nulls(operand: &Operand, rows: usize) -> Vec<bool> {
    let mut nulls = match operand {
        Operand::Constant(constant) => return vec![*constant == Scalar::Null; rows],
        Operand::Column(column) => column.nulls().to_vec(),
    };
    nulls.resize(rows, false);
    nulls
}
