//! Functions of numbers.
//!
//! Those that are not exact come from `libm`, so that every platform gives the same bits.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::Parameter::{Bigint, Double, Fractional, Number};
use super::{Arguments, Function, Returned, Returns};
use crate::column::DataType;
use crate::expression::cast::truncated;
use crate::expression::scalar::{Reason, Scalar};
use crate::number::unsigned_zero;

const ANGLE: &[(&str, super::Parameter)] = &[("angle", Double)];
const NUMBER: &[(&str, super::Parameter)] = &[("number", Number)];
const VALUE: &[(&str, super::Parameter)] = &[("number", Double)];

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new(
        "abs",
        NUMBER,
        Returns::Same,
        |arguments, _| match arguments.get(0) {
            Scalar::Bigint(value) => match value.checked_abs() {
                Some(value) => Ok(Scalar::Bigint(value)),
                None => Err(Reason::OutOfRange(DataType::Bigint)),
            },
            Scalar::Decimal(value) => Ok(Scalar::Decimal(value.abs())),
            _ => Ok(Scalar::Double(arguments.double(0).abs())),
        },
    )
    .says("The number without its sign.")
    .example("abs(-3)", "3"),
    Function::new(
        "sign",
        NUMBER,
        Returns::Bigint,
        |arguments, _| match arguments.get(0) {
            Scalar::Bigint(value) => Ok(Scalar::Bigint(value.signum())),
            Scalar::Decimal(value) => {
                let sign = value.cmp(&Decimal::ZERO);
                Ok(Scalar::Bigint(sign as i64))
            }
            _ => {
                let value = arguments.double(0);
                Ok(Scalar::Bigint(
                    i64::from(value > 0.0) - i64::from(value < 0.0),
                ))
            }
        },
    )
    .says("-1, 0 or 1 for a negative number, zero, a positive number.")
    .example("sign(-2.5)", "-1"),
    Function::new("ceil", NUMBER, Returns::Same, |arguments, _| {
        whole(arguments, f64::ceil, |value| value.ceil())
    })
    .alias("ceiling")
    .says("The next whole number up.")
    .example("ceil(2.1)", "3.0"),
    Function::new("floor", NUMBER, Returns::Same, |arguments, _| {
        whole(arguments, f64::floor, |value| value.floor())
    })
    .says("The next whole number down.")
    .example("floor(-2.1)", "-3.0"),
    Function::new("round", NUMBER, Returns::Bigint, |arguments, _| {
        let up = |value: f64| {
            let down = value.floor();
            if value - down >= 0.5 {
                down + 1.0
            } else {
                down
            }
        };
        to_bigint(arguments, up, |value| {
            places_of(value, 0, true).unwrap_or(value)
        })
    })
    .says("The nearest bigint; halves go up.")
    .example("round(-2.5)", "-2"),
    Function::new(
        "round",
        &[("number", Fractional), ("places", Bigint)],
        Returns::Same,
        |arguments, _| {
            to_places(arguments, true, |rest, unit, negative| {
                rest * 2 > unit || (rest * 2 == unit && !negative)
            })
        },
    )
    .says("The number rounded to that many decimal places; halves go up.")
    .example("round(2.675, 2)", "2.68"),
    Function::new("trunc", NUMBER, Returns::Bigint, |arguments, _| {
        to_bigint(arguments, f64::trunc, |value| value.trunc())
    })
    .says("The number without its fraction, a bigint.")
    .example("trunc(-2.9)", "-2"),
    Function::new(
        "trunc",
        &[("number", Fractional), ("places", Bigint)],
        Returns::Same,
        |arguments, _| to_places(arguments, false, |_, _, _| false),
    )
    .says("The number cut to that many decimal places.")
    .example("trunc(2.679, 2)", "2.67"),
    Function::new("sqrt", VALUE, Returns::Double, |arguments, _| {
        real(arguments, f64::sqrt)
    })
    .says("The square root; not a number below 0.")
    .example("sqrt(9)", "3.0"),
    Function::new("cbrt", VALUE, Returns::Double, |arguments, _| {
        real(arguments, libm::cbrt)
    })
    .says("The cube root.")
    .example("cbrt(27)", "3.0"),
    Function::new("exp", VALUE, Returns::Double, |arguments, _| {
        real(arguments, libm::exp)
    })
    .says("e to the power of the number.")
    .example("exp(0)", "1.0"),
    Function::new("ln", VALUE, Returns::Double, |arguments, _| {
        real(arguments, libm::log)
    })
    .says("The natural logarithm.")
    .example("ln(1)", "0.0"),
    Function::new(
        "log",
        &[("base", Double), ("number", Double)],
        Returns::Double,
        |arguments, _| {
            let (base, value) = (arguments.double(0), arguments.double(1));
            if base <= 0.0 || base == 1.0 {
                return Ok(Scalar::Double(f64::NAN));
            }
            Ok(Scalar::Double(libm::log(value) / libm::log(base)))
        },
    )
    .says("The logarithm to a base.")
    .example("log(2, 8)", "3.0"),
    Function::new(
        "power",
        &[("base", Double), ("exponent", Double)],
        Returns::Double,
        |arguments, _| {
            Ok(Scalar::Double(libm::pow(
                arguments.double(0),
                arguments.double(1),
            )))
        },
    )
    .says("The base to the power of the exponent.")
    .example("power(2, 10)", "1024.0"),
    Function::new("sin", ANGLE, Returns::Double, |arguments, _| {
        real(arguments, libm::sin)
    })
    .says("The sine of an angle in radians.")
    .example("sin(0)", "0.0"),
    Function::new("cos", ANGLE, Returns::Double, |arguments, _| {
        real(arguments, libm::cos)
    })
    .says("The cosine of an angle in radians.")
    .example("cos(0)", "1.0"),
    Function::new("tan", ANGLE, Returns::Double, |arguments, _| {
        real(arguments, libm::tan)
    })
    .says("The tangent of an angle in radians.")
    .example("tan(0)", "0.0"),
    Function::new("asin", VALUE, Returns::Double, |arguments, _| {
        real(arguments, libm::asin)
    })
    .says("The angle whose sine the number is.")
    .example("asin(0)", "0.0"),
    Function::new("acos", VALUE, Returns::Double, |arguments, _| {
        real(arguments, libm::acos)
    })
    .says("The angle whose cosine the number is.")
    .example("acos(1)", "0.0"),
    Function::new("atan", VALUE, Returns::Double, |arguments, _| {
        real(arguments, libm::atan)
    })
    .says("The angle whose tangent the number is.")
    .example("atan(0)", "0.0"),
    Function::new(
        "atan2",
        &[("y", Double), ("x", Double)],
        Returns::Double,
        |arguments, _| {
            Ok(Scalar::Double(libm::atan2(
                arguments.double(0),
                arguments.double(1),
            )))
        },
    )
    .says("The angle of the point (x, y).")
    .example("atan2(0, 1)", "0.0"),
    Function::new("degrees", ANGLE, Returns::Double, |arguments, _| {
        real(arguments, f64::to_degrees)
    })
    .says("Converts radians to degrees.")
    .example("degrees(pi())", "180.0"),
    Function::new("radians", ANGLE, Returns::Double, |arguments, _| {
        real(arguments, f64::to_radians)
    })
    .says("Converts degrees to radians.")
    .example("radians(0)", "0.0"),
    Function::new("pi", &[], Returns::Double, |_, _| {
        Ok(Scalar::Double(std::f64::consts::PI))
    })
    .says("π.")
    .example("pi()", "3.141592653589793"),
];

fn real<'a>(arguments: Arguments<'_, 'a>, f: impl Fn(f64) -> f64) -> Returned<'a> {
    Ok(Scalar::Double(f(arguments.double(0))))
}

/// Returns a double or decimal made whole; a bigint is.
fn whole<'a>(
    arguments: Arguments<'_, 'a>,
    f: impl Fn(f64) -> f64,
    of_decimal: impl Fn(Decimal) -> Decimal,
) -> Returned<'a> {
    match arguments.get(0) {
        Scalar::Double(value) => Ok(Scalar::Double(f(value))),
        Scalar::Decimal(value) => Ok(Scalar::Decimal(unsigned_zero(of_decimal(value)))),
        value => Ok(value),
    }
}

fn to_bigint<'a>(
    arguments: Arguments<'_, 'a>,
    f: impl Fn(f64) -> f64,
    of_decimal: impl Fn(Decimal) -> Decimal,
) -> Returned<'a> {
    match arguments.get(0) {
        Scalar::Double(value) => truncated(f(value)).map(Scalar::Bigint),
        Scalar::Decimal(value) => match of_decimal(value).to_i64() {
            Some(value) => Ok(Scalar::Bigint(value)),
            None => Err(Reason::OutOfRange(DataType::Bigint)),
        },
        value => Ok(value),
    }
}

/// Returns a decimal to this many places, halves up or cut; `None` beyond the range of decimals.
fn places_of(value: Decimal, places: i64, halves_up: bool) -> Option<Decimal> {
    use RoundingStrategy::{MidpointAwayFromZero, MidpointTowardZero, ToZero};
    let strategy = match (halves_up, value.is_sign_negative()) {
        (true, false) => MidpointAwayFromZero,
        (true, true) => MidpointTowardZero,
        (false, _) => ToZero,
    };
    let most = i64::from(Decimal::MAX_SCALE);
    if let Ok(places) = u32::try_from(places.min(most)) {
        return Some(value.round_dp_with_strategy(places, strategy));
    }
    // Left of the point: a value this many times smaller, made whole.
    let unit = Decimal::new(1, places.max(-most).unsigned_abs() as u32);
    let kept = value.checked_mul(unit)?;
    let kept = kept.round_dp_with_strategy(0, strategy).checked_div(unit)?;
    Some(kept.normalize())
}

/// Returns a number to this many decimal places; those of a double are counted on its shortest
/// decimal digits as Java's `BigDecimal.valueOf` does. Whether the last place kept goes up,
/// `halves_up` decides for a decimal and `up` for a double, from (rest, unit, negative).
fn to_places<'a>(
    arguments: Arguments,
    halves_up: bool,
    up: impl Fn(u64, u64, bool) -> bool,
) -> Returned<'a> {
    let places = arguments.bigint(1).unwrap_or(0);
    if let Some(value) = arguments.decimal(0) {
        return match places_of(value, places, halves_up) {
            Some(value) => Ok(Scalar::Decimal(unsigned_zero(value))),
            None => Err(Reason::OutOfRange(DataType::Decimal)),
        };
    }
    let value = arguments.double(0);
    let rounded = shortest_digits(value).and_then(|(digits, exponent)| {
        // Digits to drop; all 17 that a double has are less than half of 10^18.
        let drop = exponent.saturating_add(places).saturating_neg();
        if drop <= 0 {
            return None;
        }
        if drop > 18 {
            return Some(0.0);
        }
        let unit = 10_u64.pow(drop as u32);
        let kept = digits / unit + u64::from(up(digits % unit, unit, value < 0.0));
        format!("{kept}e{}", -places).parse().ok()
    });
    let rounded = rounded.map_or(value, |rounded: f64| rounded.copysign(value));
    Ok(Scalar::Double(rounded))
}

/// Returns the shortest digits × 10^exponent that read back as the absolute value; `None` for
/// infinity and for NaN.
fn shortest_digits(value: f64) -> Option<(u64, i64)> {
    let printed = format!("{:e}", value.abs());
    let (mantissa, exponent) = printed.split_once('e')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((
        digits,
        exponent.parse::<i64>().ok()? - fraction.len() as i64,
    ))
}
