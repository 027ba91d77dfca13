//! `cast`: one value, one type → the value in that type, or why it has none.

use bumpalo::Bump;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::scalar::{Reason, Scalar};
use crate::column::DataType;
use crate::number::{Number, nearest_double, parse_decimal};
use crate::term::units;
use crate::term::units::format_time;

/// Returns `value`, of a type, as `to`; null stays null.
///
/// Double or decimal → bigint cuts the fraction off, as in ksqlDB; double → decimal takes the
/// shortest digits that read back as the double. Text may have blanks around its number;
/// `true`, `t`, `yes`, `y` and their opposites are booleans, whatever their case. A time is ISO
/// 8601 as text.
///
/// # Errors
/// `OutOfRange` for a double beyond bigint, `NoSuch` for a text that is none of the type.
pub(super) fn cast<'a>(
    value: Scalar<&'a str>,
    from: DataType,
    to: DataType,
    arena: &'a Bump,
) -> Result<Scalar<&'a str>, Reason> {
    Ok(match (value, to) {
        (Scalar::Bigint(value), DataType::Double) => Scalar::Double(value as f64),
        (Scalar::Double(value), DataType::Bigint) => Scalar::Bigint(truncated(value)?),
        (Scalar::Bigint(value), DataType::Decimal) => Scalar::Decimal(value.into()),
        (Scalar::Double(value), DataType::Decimal) => Scalar::Decimal(nearest_decimal(value)?),
        (Scalar::Decimal(value), DataType::Double) => Scalar::Double(nearest_double(value)),
        (Scalar::Decimal(value), DataType::Bigint) => {
            let whole = value.to_i64(); // without its fraction
            Scalar::Bigint(whole.ok_or(Reason::OutOfRange(DataType::Bigint))?)
        }
        (Scalar::Decimal(value), DataType::Text) => {
            Scalar::Text(arena.alloc_str(&value.to_string()))
        }
        (Scalar::Bigint(value), DataType::Text) if from == DataType::Timestamp => {
            Scalar::Text(arena.alloc_str(&format_time(value)))
        }
        (Scalar::Bigint(value), DataType::Text) => {
            Scalar::Text(arena.alloc_str(itoa::Buffer::new().format(value)))
        }
        (Scalar::Double(value), DataType::Text) => {
            Scalar::Text(arena.alloc_str(ryu::Buffer::new().format(value)))
        }
        (Scalar::Boolean(value), DataType::Text) => {
            Scalar::Text(if value { "true" } else { "false" })
        }
        (Scalar::Text(text), _) => {
            let read = match from {
                DataType::Any => used_as(text, to)?,
                _ => parsed(text, to),
            };
            read.ok_or_else(|| Reason::NoSuch(text.chars().take(40).collect(), to))?
        }
        (value, _) => value,
    })
}

fn parsed(text: &str, to: DataType) -> Option<Scalar<&str>> {
    let trimmed = text.trim();
    match to {
        DataType::Bigint => trimmed.parse().ok().map(Scalar::Bigint),
        DataType::Double => trimmed.parse().ok().map(Scalar::Double),
        DataType::Number => Number::parse(trimmed.as_bytes()).map(Scalar::from),
        DataType::Decimal => parse_decimal(trimmed.as_bytes()).map(Scalar::Decimal),
        DataType::Boolean => boolean(trimmed).map(Scalar::Boolean),
        DataType::Text | DataType::Any => Some(Scalar::Text(text)),
        DataType::Timestamp => time_named(trimmed).map(Scalar::Bigint),
    }
}

/// Reads the value of an undeclared column as its use asks.
fn used_as(text: &str, to: DataType) -> Result<Option<Scalar<&str>>, Reason> {
    let number = || Number::parse(text.as_bytes());
    Ok(match to {
        DataType::Bigint => match number() {
            Some(Number::Integer(value)) => Some(Scalar::Bigint(value)),
            Some(Number::Decimal(value)) => {
                let whole = value.to_i64(); // without its fraction
                Some(Scalar::Bigint(whole.ok_or(Reason::OutOfRange(to))?))
            }
            Some(Number::Double(value)) => Some(Scalar::Bigint(truncated(value)?)),
            None => None,
        },
        DataType::Double => number().map(|number| Scalar::Double(number.to_f64())),
        DataType::Number => number().map(Scalar::from),
        DataType::Timestamp => match number() {
            Some(Number::Integer(at)) => Some(Scalar::Bigint(at)),
            _ => time_named(text.trim()).map(Scalar::Bigint),
        },
        _ => parsed(text, to),
    })
}

fn boolean(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["true", "t", "yes", "y"].iter().any(is) {
        Some(true)
    } else if ["false", "f", "no", "n"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}

/// Returns the decimal of a double's shortest digits.
///
/// # Errors
/// `OutOfRange` for more digits than a decimal holds, and for NaN.
pub(super) fn nearest_decimal(value: f64) -> Result<Decimal, Reason> {
    let digits = ryu::Buffer::new().format(value).to_owned();
    parse_decimal(digits.as_bytes()).ok_or(Reason::OutOfRange(DataType::Decimal))
}

/// Returns `value` without its fraction.
///
/// # Errors
/// `OutOfRange` beyond bigint and for NaN.
pub(super) fn truncated(value: f64) -> Result<i64, Reason> {
    // 2^63 is the first double past the range; -2^63 is its lowest.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&value) {
        Ok(value as i64)
    } else {
        Err(Reason::OutOfRange(DataType::Bigint))
    }
}

/// Returns the time that text names in ISO 8601, in ms since 1970; without a zone it is UTC.
pub fn time_named(text: &str) -> Option<i64> {
    let text = text.trim();
    // Numbers, and times relative to now, are times elsewhere.
    let begins_with_year = text.get(..5).is_some_and(|year| year.ends_with('-'));
    begins_with_year
        .then(|| units::parse_time(text, 0).ok())
        .flatten()
}
