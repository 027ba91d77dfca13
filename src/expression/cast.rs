//! `cast`: one value, one type → the value in that type, or why it has none.

use bumpalo::Bump;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::eval::Reason;
use super::tree::Scalar;
use super::types::time_named;
use crate::column::DataType;
use crate::format::parse_decimal;
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
            parsed(text, to).ok_or_else(|| Reason::NoSuch(text.chars().take(40).collect(), to))?
        }
        (value, _) => value,
    })
}

fn parsed(text: &str, to: DataType) -> Option<Scalar<&str>> {
    let trimmed = text.trim();
    match to {
        DataType::Bigint => trimmed.parse().ok().map(Scalar::Bigint),
        DataType::Double => trimmed.parse().ok().map(Scalar::Double),
        DataType::Decimal => parse_decimal(trimmed.as_bytes()).map(Scalar::Decimal),
        DataType::Boolean => boolean(trimmed).map(Scalar::Boolean),
        DataType::Text => Some(Scalar::Text(text)),
        DataType::Timestamp => time_named(trimmed).map(Scalar::Bigint),
    }
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
/// `OutOfRange` for more digits than a decimal holds, and for what is no number.
pub(super) fn nearest_decimal(value: f64) -> Result<Decimal, Reason> {
    let digits = ryu::Buffer::new().format(value).to_owned();
    parse_decimal(digits.as_bytes()).ok_or(Reason::OutOfRange(DataType::Decimal))
}

/// Returns the double nearest to a decimal.
pub(super) fn nearest_double(value: Decimal) -> f64 {
    // By its digits: `to_f64` divides, and so rounds twice.
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// Returns `value` without its fraction.
///
/// # Errors
/// `OutOfRange` beyond bigint and for what is no number.
pub(super) fn truncated(value: f64) -> Result<i64, Reason> {
    // 2^63 is the first double past the range; -2^63 is its lowest.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&value) {
        Ok(value as i64)
    } else {
        Err(Reason::OutOfRange(DataType::Bigint))
    }
}
