//! `cast`: one value, one type → the value in that type, or why it has none.

use bumpalo::Bump;

use super::eval::Reason;
use super::tree::Scalar;
use super::types::time_named;
use crate::column::DataType;
use crate::term::units::format_time;

/// Returns `value`, of a type, as `to`; null stays null.
///
/// Double → bigint cuts the fraction off, as in ksqlDB. Text may have blanks around its number;
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
