//! Numbers: rounding, powers, logarithms, angles. Powers and angles come from `libm`, so that every
//! platform gives the same bits; logarithms from the platform, whose last digit is Java's.

use super::strings::as_first;
use super::{Call, Outcome, Scalar, lenient, strict};
use crate::ksql::decimal::Decimal;
use crate::ksql::types::Type;
use crate::ksql::value::Value;

/// A function of one double.
macro_rules! of_double {
    ($signature:literal, $about:literal, $body:expr) => {
        strict($signature, $about, |call| {
            let body: fn(f64) -> f64 = $body;
            Ok(Value::Double(body(call.double(0))))
        })
    };
}

pub(super) const FUNCTIONS: &[Scalar] = &[
    strict(
        "ABS(value INT) INT",
        "The value without its sign.",
        |call| Ok(Value::Int((call.whole(0) as i32).wrapping_abs())),
    ),
    strict(
        "ABS(value BIGINT) BIGINT",
        "The value without its sign.",
        |call| Ok(Value::Bigint(call.whole(0).wrapping_abs())),
    ),
    strict(
        "ABS(value DOUBLE) DOUBLE",
        "The value without its sign.",
        |call| Ok(Value::Double(call.double(0).abs())),
    ),
    strict(
        "ABS(value DECIMAL) DECIMAL",
        "The value without its sign.",
        |call| of_decimal(call, |value| value.abs()),
    )
    .returning(as_first),
    strict(
        "CEIL(value INT) INT",
        "The whole number at or above the value.",
        same,
    ),
    strict(
        "CEIL(value BIGINT) BIGINT",
        "The whole number at or above the value.",
        same,
    ),
    strict(
        "CEIL(value DOUBLE) DOUBLE",
        "The whole number at or above the value.",
        |call| Ok(Value::Double(call.double(0).ceil())),
    ),
    strict(
        "CEIL(value DECIMAL) DECIMAL",
        "The whole number at or above the value.",
        |call| {
            of_decimal(call, |value| {
                Decimal::new(value.ceil(), 0).with_scale(value.scale())
            })
        },
    )
    .returning(as_first),
    strict(
        "FLOOR(value INT) INT",
        "The whole number at or below the value.",
        same,
    ),
    strict(
        "FLOOR(value BIGINT) BIGINT",
        "The whole number at or below the value.",
        same,
    ),
    strict(
        "FLOOR(value DOUBLE) DOUBLE",
        "The whole number at or below the value.",
        |call| Ok(Value::Double(call.double(0).floor())),
    ),
    strict(
        "FLOOR(value DECIMAL) DECIMAL",
        "The whole number at or below the value.",
        |call| {
            of_decimal(call, |value| {
                Decimal::new(value.floor(), 0).with_scale(value.scale())
            })
        },
    )
    .returning(as_first),
    strict("ROUND(value INT) BIGINT", "The value.", |call| {
        Ok(Value::Bigint(call.whole(0)))
    }),
    strict("ROUND(value BIGINT) BIGINT", "The value.", same),
    strict(
        "ROUND(value DOUBLE) BIGINT",
        "The nearest whole number; halves go up.",
        |call| Ok(Value::Bigint((call.double(0) + 0.5).floor() as i64)),
    ),
    strict(
        "ROUND(value DECIMAL) DECIMAL",
        "The nearest whole number; halves go away from zero.",
        |call| of_decimal(call, |value| round_half_up(value, 0)),
    )
    .returning(whole_decimal),
    strict("ROUND(value INT, places INT) INT", "The value.", same),
    strict("ROUND(value BIGINT, places INT) BIGINT", "The value.", same),
    strict(
        "ROUND(value DOUBLE, places INT) DOUBLE",
        "The value with so many places; halves go up.",
        |call| {
            let value = call.double(0);
            let Some(decimal) = Decimal::of_double(value) else {
                return Ok(Value::Double(value));
            };
            Ok(Value::Double(
                round_half_up(&decimal, call.whole(1)).to_f64(),
            ))
        },
    ),
    strict(
        "ROUND(value DECIMAL, places INT) DECIMAL",
        "The value with so many places; halves go up.",
        |call| {
            of_decimal(call, |value| {
                round_half_up(value, call.whole(1)).with_scale(value.scale())
            })
        },
    )
    .returning(as_first),
    strict("TRUNC(value INT) BIGINT", "The value.", |call| {
        Ok(Value::Bigint(call.whole(0)))
    }),
    strict("TRUNC(value BIGINT) BIGINT", "The value.", same),
    strict(
        "TRUNC(value DOUBLE) BIGINT",
        "The value without its fraction.",
        |call| Ok(Value::Bigint(call.double(0) as i64)),
    ),
    strict(
        "TRUNC(value DECIMAL) DECIMAL",
        "The value without its fraction.",
        |call| of_decimal(call, |value| truncate(value, 0)),
    )
    .returning(whole_decimal),
    strict("TRUNC(value INT, places INT) INT", "The value.", same),
    strict("TRUNC(value BIGINT, places INT) BIGINT", "The value.", same),
    strict(
        "TRUNC(value DOUBLE, places INT) DOUBLE",
        "The value cut to so many places.",
        |call| {
            let value = call.double(0);
            Ok(Value::Double(
                Decimal::of_double(value)
                    .map_or(value, |value| truncate(&value, call.whole(1)).to_f64()),
            ))
        },
    ),
    strict(
        "TRUNC(value DECIMAL, places INT) DECIMAL",
        "The value cut to so many places.",
        |call| {
            of_decimal(call, |value| {
                truncate(value, call.whole(1)).with_scale(value.scale())
            })
        },
    )
    .returning(as_first),
    strict("SIGN(value INT) INT", "-1, 0 or 1.", |call| {
        Ok(Value::Int(call.whole(0).signum() as i32))
    }),
    strict("SIGN(value BIGINT) INT", "-1, 0 or 1.", |call| {
        Ok(Value::Int(call.whole(0).signum() as i32))
    }),
    strict("SIGN(value DOUBLE) INT", "-1, 0 or 1.", |call| {
        let value = call.double(0);
        Ok(Value::Int(i32::from(value > 0.0) - i32::from(value < 0.0)))
    }),
    of_double!(
        "SQRT(value DOUBLE) DOUBLE",
        "The square root; NaN below zero.",
        f64::sqrt
    ),
    of_double!("CBRT(value DOUBLE) DOUBLE", "The cube root.", libm::cbrt),
    of_double!(
        "EXP(value DOUBLE) DOUBLE",
        "e to the power of the value.",
        libm::exp
    ),
    of_double!("LN(value DOUBLE) DOUBLE", "The natural logarithm.", f64::ln),
    of_double!(
        "LOG(value DOUBLE) DOUBLE",
        "The natural logarithm, as ksqlDB has it.",
        f64::ln
    ),
    strict(
        "LOG(base DOUBLE, value DOUBLE) DOUBLE",
        "The logarithm to a base.",
        |call| {
            let base = call.double(0);
            let has_logarithm = base > 0.0 && base != 1.0;
            Ok(Value::Double(if has_logarithm {
                call.double(1).ln() / base.ln()
            } else {
                f64::NAN
            }))
        },
    ),
    strict(
        "POWER(base DOUBLE, exponent DOUBLE) DOUBLE",
        "A power.",
        |call| Ok(Value::Double(libm::pow(call.double(0), call.double(1)))),
    ),
    of_double!(
        "ACOS(value DOUBLE) DOUBLE",
        "The angle of a cosine, in radians.",
        libm::acos
    ),
    of_double!(
        "ASIN(value DOUBLE) DOUBLE",
        "The angle of a sine, in radians.",
        libm::asin
    ),
    of_double!(
        "ATAN(value DOUBLE) DOUBLE",
        "The angle of a tangent, in radians.",
        libm::atan
    ),
    strict(
        "ATAN2(y DOUBLE, x DOUBLE) DOUBLE",
        "The angle of a point, in radians.",
        |call| Ok(Value::Double(libm::atan2(call.double(0), call.double(1)))),
    ),
    of_double!(
        "COS(angle DOUBLE) DOUBLE",
        "The cosine of an angle in radians.",
        libm::cos
    ),
    of_double!(
        "COSH(angle DOUBLE) DOUBLE",
        "The hyperbolic cosine.",
        libm::cosh
    ),
    of_double!(
        "COT(angle DOUBLE) DOUBLE",
        "The cotangent of an angle in radians.",
        |angle| 1.0 / libm::tan(angle)
    ),
    of_double!(
        "SIN(angle DOUBLE) DOUBLE",
        "The sine of an angle in radians.",
        libm::sin
    ),
    of_double!(
        "SINH(angle DOUBLE) DOUBLE",
        "The hyperbolic sine.",
        libm::sinh
    ),
    of_double!(
        "TAN(angle DOUBLE) DOUBLE",
        "The tangent of an angle in radians.",
        libm::tan
    ),
    of_double!(
        "TANH(angle DOUBLE) DOUBLE",
        "The hyperbolic tangent.",
        libm::tanh
    ),
    of_double!(
        "DEGREES(angle DOUBLE) DOUBLE",
        "Radians as degrees.",
        |angle| angle * (180.0 / std::f64::consts::PI)
    ),
    of_double!(
        "RADIANS(angle DOUBLE) DOUBLE",
        "Degrees as radians.",
        |angle| angle / 180.0 * std::f64::consts::PI
    ),
    lenient("PI() DOUBLE", "π.", |_| {
        Ok(Value::Double(std::f64::consts::PI))
    }),
];

fn same(call: &Call) -> Outcome {
    Ok(call.value(0).clone())
}

fn of_decimal(call: &Call, body: impl FnOnce(&Decimal) -> Decimal) -> Outcome {
    match call.value(0) {
        Value::Decimal(value) => Ok(Value::Decimal(body(value))),
        other => Ok(other.clone()),
    }
}

/// Rounds to places, which may be negative; halves go up, so that -1.5 becomes -1.
fn round_half_up(value: &Decimal, places: i64) -> Decimal {
    let half_up = |value: &Decimal, scale: u32| {
        // half up = floor(value × 10^scale + 0.5)
        let shifted = value.multiply(&Decimal::new(num_bigint::BigInt::from(10).pow(scale), 0));
        Decimal::new(shifted.add(&Decimal::new(5, 1)).floor(), scale)
    };
    let places = places.clamp(-400, 400);
    match u32::try_from(places) {
        Ok(scale) if scale >= value.scale() => value.clone(),
        Ok(scale) => half_up(value, scale),
        Err(_) => {
            let unit = Decimal::new(
                num_bigint::BigInt::from(10).pow(places.unsigned_abs() as u32),
                0,
            );
            let quotient = value.divide(&unit, value.scale() + places.unsigned_abs() as u32);
            quotient.map_or_else(
                || value.clone(),
                |quotient| half_up(&quotient, 0).multiply(&unit),
            )
        }
    }
}

fn truncate(value: &Decimal, places: i64) -> Decimal {
    let places = places.clamp(-400, 400);
    let unit = |power: u64| Decimal::new(num_bigint::BigInt::from(10).pow(power as u32), 0);
    match u32::try_from(places) {
        Ok(scale) if scale >= value.scale() => value.clone(),
        Ok(scale) => Decimal::new(value.multiply(&unit(u64::from(scale))).truncate(), scale),
        Err(_) => {
            let unit = unit(places.unsigned_abs());
            let quotient = value.divide(&unit, value.scale() + places.unsigned_abs() as u32);
            quotient.map_or_else(
                || value.clone(),
                |quotient| Decimal::new(quotient.truncate(), 0).multiply(&unit),
            )
        }
    }
}

/// DECIMAL(p, s) without its places: DECIMAL(p - s, 0).
fn whole_decimal(types: &[Type]) -> Result<Type, String> {
    match types.first() {
        Some(Type::Decimal { precision, scale }) => Ok(Type::Decimal {
            precision: (precision - scale).max(1),
            scale: 0,
        }),
        _ => as_first(types),
    }
}
