//! The loops: one operation over all rows of a batch.
//!
//! Each is compiled for its type and for column × column, column × constant and constant ×
//! column, without a branch per row where no value is null, so that the compiler vectorises it.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::syntax::{Arithmetic, Comparison, Connective};
use super::tree::Scalar;
use crate::column::{Column, DataType, Values, unsigned_zero};

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
            Column::Text(values) => values.get(row).map(Scalar::Text),
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
        })
    }
}

/// A type that a column holds.
pub(super) trait Element<'a>: Copy + Default + PartialOrd {
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
element!(&'a str, Text);

/// The values of an operand whose type is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'v, T> {
    /// One a row.
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

    fn nulls(&self) -> &[bool] {
        match self {
            View::Each(values) => &values.nulls,
            View::All(_) => &[],
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
    }
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
    fn of<'a, T: Element<'a>>(operand: &Operand<'_, 'a>) -> Vec<bool> {
        operand.view::<T>().nulls().to_vec()
    }
    let mut nulls = match operand {
        Operand::Constant(constant) => return vec![*constant == Scalar::Null; rows],
        Operand::Column(column) => match column.data_type() {
            DataType::Bigint | DataType::Timestamp => of::<i64>(operand),
            DataType::Double => of::<f64>(operand),
            DataType::Decimal => of::<Decimal>(operand),
            DataType::Boolean => of::<bool>(operand),
            DataType::Text => of::<&str>(operand),
        },
    };
    nulls.resize(rows, false);
    nulls
}
