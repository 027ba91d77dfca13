//! `sum`, `avg`: exact, whatever the order.

use num_bigint::{BigInt, Sign};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::State;
use super::argument::Row;
use super::exact::{Exact, quotient};
use super::net::Retract;
use crate::column::Value;
use crate::number::Number;

/// A sum of `bigint`s: 127 bits, which 2^64 of the largest do not exceed, so it never wraps; in
/// two words, of which more stay in the cache than of an `i128` and a flag.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Integers {
    low: i64,
    /// Twice how often `low` has gone over its range less how often under; and 1 once anything
    /// was added.
    wraps: i64,
}

impl Integers {
    fn sum(&self) -> i128 {
        i128::from(self.low) + (i128::from(self.wraps >> 1) << 64)
    }

    #[inline]
    fn add(&mut self, argument: i64) {
        let (low, wrapped) = self.low.overflowing_add(argument);
        self.low = low;
        if wrapped {
            self.wraps += if argument > 0 { 2 } else { -2 };
        }
        self.wraps |= 1;
    }

    #[inline]
    fn subtract(&mut self, argument: i64) {
        let (low, wrapped) = self.low.overflowing_sub(argument);
        self.low = low;
        if wrapped {
            self.wraps += if argument > 0 { -2 } else { 2 };
        }
        self.wraps |= 1;
    }

    fn merge(&mut self, other: &Self) {
        let added = (self.wraps | other.wraps) & 1;
        self.add(other.low);
        self.wraps = (((self.wraps >> 1) + (other.wraps >> 1)) << 1) | added;
    }
}

/// `sum` over `bigint`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Sum(Integers);

impl State for Sum {
    type Argument<'a> = i64;

    #[inline]
    fn add(&mut self, argument: i64, _: Row<'_>) {
        self.0.add(argument);
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn result(&self) -> Value {
        match self.0.wraps & 1 {
            0 => Value::Null,
            _ => Value::Integer(self.0.sum()),
        }
    }
}

impl Retract for Sum {
    fn retract(&mut self, argument: i64) {
        self.0.subtract(argument);
    }

    fn none_left(&self) -> Value {
        difference(Value::Integer(self.0.sum()), self.0.sum() == 0)
    }
}

/// Returns the sum of as many arguments as were taken back: of a part of a result, how much it has
/// changed by; null where nothing has.
fn difference(sum: Value, is_zero: bool) -> Value {
    if is_zero { Value::Null } else { sum }
}

/// `avg` over `bigint`: the exact sum over the count, rounded once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Mean {
    sum: Integers,
    count: i64,
}

impl State for Mean {
    type Argument<'a> = i64;

    #[inline]
    fn add(&mut self, argument: i64, _: Row<'_>) {
        self.sum.add(argument);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            count => Value::Double(quotient(self.sum.sum(), count, 0)),
        }
    }
}

impl Retract for Mean {
    fn retract(&mut self, argument: i64) {
        self.sum.subtract(argument);
        self.count -= 1;
    }
}

/// `sum` over `decimal`: exact. More digits than a decimal holds are text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DecimalSum {
    /// How many [`LIMB`]s.
    high: i64,
    /// How many ones, less than [`LIMB`] either way.
    ones: i128,
    /// How many [`LIMB`]ths, less than [`LIMB`] either way.
    fraction: i128,
    count: i64,
}

/// A fraction has at most 28 decimal places.
const LIMB: i128 = 10_i128.pow(Decimal::MAX_SCALE);

impl DecimalSum {
    #[inline]
    fn add_times(&mut self, argument: Decimal, times: i128) {
        let one = 10_i128.pow(argument.scale());
        let mantissa = argument.mantissa() * times;
        self.add_parts(mantissa / one, mantissa % one * (LIMB / one));
    }

    #[inline]
    fn add_parts(&mut self, ones: i128, fraction: i128) {
        self.fraction += fraction;
        self.ones += ones + self.fraction / LIMB;
        self.fraction %= LIMB;
        self.high += (self.ones / LIMB) as i64; // at most 9 for each argument
        self.ones %= LIMB;
    }

    /// Returns the sum without trailing zeros: a whole number, and how many of its digits are
    /// decimal places.
    fn digits(&self) -> (BigInt, u32) {
        let (mut fraction, mut places) = (self.fraction, Decimal::MAX_SCALE);
        while places > 0 && fraction % 10 == 0 {
            fraction /= 10;
            places -= 1;
        }
        let ones = BigInt::from(self.high) * LIMB + self.ones;
        (ones * 10_i128.pow(places) + fraction, places)
    }
}

/// Returns a number whose last digits are decimal places as text.
fn written(number: &BigInt, places: u32) -> String {
    let sign = if number.sign() == Sign::Minus {
        "-"
    } else {
        ""
    };
    let places = places as usize;
    let mut digits = format!("{:0>width$}", number.magnitude(), width = places + 1);
    if places > 0 {
        digits.insert(digits.len() - places, '.');
    }
    format!("{sign}{digits}")
}

impl State for DecimalSum {
    type Argument<'a> = Decimal;

    #[inline]
    fn add(&mut self, argument: Decimal, _: Row<'_>) {
        self.add_times(argument, 1);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.high += other.high;
        self.count += other.count;
        self.add_parts(other.ones, other.fraction);
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            _ => self.value(),
        }
    }
}

impl DecimalSum {
    fn value(&self) -> Value {
        let (number, places) = self.digits();
        let fits = i128::try_from(&number).ok();
        let fits = fits.and_then(|number| Decimal::try_from_i128_with_scale(number, places).ok());
        match fits {
            Some(sum) => Value::Decimal(sum),
            None => Value::Text(written(&number, places).into()),
        }
    }
}

impl Retract for DecimalSum {
    fn retract(&mut self, argument: Decimal) {
        self.add_times(argument, -1);
        self.count -= 1;
    }

    fn none_left(&self) -> Value {
        difference(self.value(), self.digits().0 == BigInt::ZERO)
    }
}

/// `sum` over `double`: the exact sum, rounded once. Beyond the range of doubles, and where an
/// argument is not finite, it is ∞, -∞ or NaN, as IEEE 754 has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DoubleSum {
    sum: Exact,
    count: i64,
}

impl State for DoubleSum {
    type Argument<'a> = f64;

    #[inline]
    fn add(&mut self, argument: f64, _: Row<'_>) {
        self.sum.add(argument, 1);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            _ => Value::Double(self.sum.to_f64()),
        }
    }
}

impl Retract for DoubleSum {
    fn retract(&mut self, argument: f64) {
        self.sum.add(argument, -1);
        self.count -= 1;
    }

    fn none_left(&self) -> Value {
        let sum = self.sum.to_f64();
        difference(Value::Double(sum), sum == 0.0)
    }
}

/// `sum` over numbers as wide as their values: of integers an integer, with decimals an exact
/// decimal; with doubles the exact sum of them and of the nearest double to all else.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct NumberSum {
    integers: Integers,
    /// Created by the first number that is not an integer.
    wide: Option<Box<Wide>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Wide {
    decimals: DecimalSum,
    doubles: DoubleSum,
}

impl Wide {
    /// Returns whether doubles are left, or a part of them has changed the sum.
    fn has_doubles(&self) -> bool {
        self.doubles.count != 0 || self.doubles.sum.to_f64() != 0.0
    }

    fn has_decimals(&self) -> bool {
        self.decimals.count != 0 || self.decimals.digits().0 != BigInt::ZERO
    }
}

impl NumberSum {
    #[inline]
    fn add(&mut self, argument: Number, times: i64) {
        match argument {
            Number::Integer(value) if times > 0 => self.integers.add(value),
            Number::Integer(value) => self.integers.subtract(value),
            Number::Decimal(value) => {
                let sum = &mut self.wide.get_or_insert_default().decimals;
                sum.add_times(value, times.into());
                sum.count += times;
            }
            Number::Double(value) => {
                let sum = &mut self.wide.get_or_insert_default().doubles;
                sum.sum.add(value, times);
                sum.count += times;
            }
        }
    }

    /// Returns the sum of integers and decimals.
    fn decimals(&self, wide: &Wide) -> DecimalSum {
        let mut sum = wide.decimals.clone();
        sum.add_parts(self.integers.sum(), 0);
        sum
    }

    /// Returns the exact sum of the doubles, and of the double nearest to the sum of all else.
    fn exact(&self) -> Exact {
        let Some(wide) = &self.wide else {
            let mut exact = Exact::default();
            exact.add(self.integers.sum() as f64, 1);
            return exact;
        };
        let mut exact = wide.doubles.sum.clone();
        let (number, places) = self.decimals(wide).digits();
        exact.add(written(&number, places).parse().unwrap_or(f64::NAN), 1);
        exact
    }
}

impl State for NumberSum {
    type Argument<'a> = Number;

    #[inline]
    fn add(&mut self, argument: Number, _: Row<'_>) {
        self.add(argument, 1);
    }

    fn merge(&mut self, other: &Self) {
        self.integers.merge(&other.integers);
        if let Some(other) = &other.wide {
            let wide = self.wide.get_or_insert_default();
            wide.decimals.merge(&other.decimals);
            wide.doubles.merge(&other.doubles);
        }
    }

    fn result(&self) -> Value {
        let has_integers = self.integers.wraps & 1 == 1;
        match &self.wide {
            Some(wide) if wide.has_doubles() => Value::Double(self.exact().to_f64()),
            Some(wide) if wide.has_decimals() => {
                let mut sum = self.decimals(wide);
                sum.count = 1;
                match sum.result() {
                    // It is a number, however many digits it has.
                    Value::Text(digits) => Value::Any(digits),
                    sum => sum,
                }
            }
            _ if has_integers => Value::Integer(self.integers.sum()),
            _ => Value::Null,
        }
    }
}

impl Retract for NumberSum {
    fn retract(&mut self, argument: Number) {
        self.add(argument, -1);
    }

    fn none_left(&self) -> Value {
        let sum = State::result(self);
        difference(sum, self.exact().to_f64() == 0.0)
    }
}

/// `avg` over numbers as wide as their values: the exact sum, rounded and divided.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct NumberMean {
    sum: NumberSum,
    count: i64,
}

impl State for NumberMean {
    type Argument<'a> = Number;

    #[inline]
    fn add(&mut self, argument: Number, _: Row<'_>) {
        self.sum.add(argument, 1);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    fn result(&self) -> Value {
        match self.count {
            0 => Value::Null,
            count => Value::Double(self.sum.exact().over(count)),
        }
    }
}

impl Retract for NumberMean {
    fn retract(&mut self, argument: Number) {
        self.sum.add(argument, -1);
        self.count -= 1;
    }
}

/// `avg` over `double`: the exact sum over the count, rounded once. A sum beyond the range of doubles
/// may have a mean within it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DoubleMean(DoubleSum);

impl State for DoubleMean {
    type Argument<'a> = f64;

    #[inline]
    fn add(&mut self, argument: f64, row: Row<'_>) {
        self.0.add(argument, row);
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn result(&self) -> Value {
        match &self.0 {
            DoubleSum { count: 0, .. } => Value::Null,
            DoubleSum { sum, count } => Value::Double(sum.over(*count)),
        }
    }
}

impl Retract for DoubleMean {
    fn retract(&mut self, argument: f64) {
        self.0.retract(argument);
    }
}
