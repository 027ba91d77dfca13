//! Sums, means and deviations by arithmetic of whole numbers, to compare with.

use super::*;

/// Returns a double as an integer × 2^-1074, by its decimal expansion and not by its bits.
pub(super) fn big(value: f64) -> BigInt {
    let exact = format!("{value:.1074}");
    let (whole, fraction) = exact.split_once('.').expect("1,074 places");
    let digits: BigInt = format!("{whole}{fraction}").parse().expect("digits");
    (digits << 1074_u32) / BigInt::from(10).pow(1074)
}

/// Returns numerator / denominator as the nearest double, by bisection over all doubles.
pub(super) fn nearest(numerator: &BigInt, denominator: &BigInt) -> f64 {
    let negative = numerator.sign() == num_bigint::Sign::Minus;
    let numerator = BigInt::from(numerator.magnitude().clone());
    // How the double of these bits compares with the quotient; ∞ stands for 2^1024.
    let compare = |bits: u64| {
        let value = match bits {
            0x7ff0_0000_0000_0000 => BigInt::from(1) << 2098_u32,
            _ => big(f64::from_bits(bits)),
        };
        (value * denominator).cmp(&numerator)
    };
    let (mut low, mut high) = (0, f64::INFINITY.to_bits());
    if compare(high) != Ordering::Greater {
        return if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match compare(middle) {
            Ordering::Greater => high = middle,
            _ => low = middle,
        }
    }
    let value = |bits: u64| match bits {
        0x7ff0_0000_0000_0000 => BigInt::from(1) << 2098_u32,
        _ => big(f64::from_bits(bits)),
    };
    let to_low: BigInt = &numerator - value(low) * denominator;
    let to_high: BigInt = value(high) * denominator - &numerator;
    let bits = match to_low.cmp(&to_high) {
        Ordering::Less => low,
        Ordering::Greater => high,
        Ordering::Equal if low % 2 == 0 => low,
        Ordering::Equal => high,
    };
    let value = f64::from_bits(bits);
    if negative { -value } else { value }
}

/// Returns the sum of doubles in units of 2^-1074.
pub(super) fn big_sum(arguments: &[f64]) -> BigInt {
    arguments.iter().map(|argument| big(*argument)).sum()
}

pub(super) fn one() -> BigInt {
    BigInt::from(1)
}

pub(super) fn plain_sum(arguments: &[f64]) -> Value {
    or_null(arguments, || {
        Value::Double(nearest(&big_sum(arguments), &one()) + 0.0)
    })
}

pub(super) fn plain_integer_sum(arguments: &[i64]) -> Value {
    or_null(arguments, || {
        integer(arguments.iter().map(|n| i128::from(*n)).sum::<i128>())
    })
}

/// Adds up in 10^-28.
pub(super) fn plain_decimal_sum(arguments: &[Decimal]) -> Value {
    let units = |value: &Decimal| {
        let zeros = Decimal::MAX_SCALE - value.scale();
        BigInt::from(value.mantissa()) * BigInt::from(10).pow(zeros)
    };
    or_null(arguments, || {
        let sum: BigInt = arguments.iter().map(units).sum();
        let digits = format!("{:0>29}", sum.magnitude());
        let (whole, fraction) = digits.split_at(digits.len() - 28);
        let sign = if sum < BigInt::ZERO { "-" } else { "" };
        let number = format!("{sign}{whole}.{fraction}");
        let number = number.trim_end_matches('0').trim_end_matches('.');
        match Decimal::from_str_exact(number) {
            Ok(sum) => Value::Decimal(sum),
            Err(_) => Value::Text(number.into()),
        }
    })
}

pub(super) fn plain_integer_mean(arguments: &[i64]) -> Value {
    let Value::Integer(sum) = plain_integer_sum(arguments) else {
        return Value::Null;
    };
    // Both are doubles: the processor rounds their quotient once.
    if sum.unsigned_abs() < 1 << f64::MANTISSA_DIGITS {
        return Value::Double(sum as f64 / arguments.len() as f64);
    }
    Value::Double(quotient(&BigInt::from(sum), &BigInt::from(arguments.len())))
}

/// Returns numerator / denominator, whole numbers, as the nearest double.
pub(super) fn quotient(numerator: &BigInt, denominator: &BigInt) -> f64 {
    nearest(&(numerator << 1074_u32), denominator) + 0.0
}

/// Returns √((n·Σx² − (Σx)²) / (n·(n−1))) of integers in units of 1 / `unit`.
pub(super) fn plain_deviation(integers: &[BigInt], unit: &BigInt) -> Value {
    let count = BigInt::from(integers.len());
    if integers.len() < 2 {
        return Value::Null;
    }
    let sum: BigInt = integers.iter().sum();
    let squares: BigInt = integers.iter().map(|n| n * n).sum();
    let numerator = &count * squares - &sum * &sum;
    let denominator = &count * (&count - 1) * unit * unit;
    // The root of the quotient to 100 bits.
    let quotient: BigInt = (numerator << 4500_u32) / denominator;
    let root = quotient.sqrt();
    Value::Double(nearest(&(root << 1074_u32), &(one() << 2250_u32)))
}

pub(super) fn right(function: Function, found: &Value, expected: &Value) {
    assert!(
        same(found, expected),
        "{function:?}: {found:?}, not {expected:?}"
    );
}
