//! CAST: which types become which, and how.

use super::super::decimal::Decimal;
use super::super::time::{parse_date, parse_time, parse_timestamp};
use super::super::types::Type;
use super::super::value::{Value, text_of};

const DAY_MS: i64 = 86_400_000;

/// Returns whether there is a cast from one type to another.
pub fn can_cast(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (_, Type::String) => *from != Type::Bytes,
        (Type::Array(from), Type::Array(to)) => can_cast(from, to),
        (Type::Map(from_key, from), Type::Map(to_key, to)) => {
            can_cast(from_key, to_key) && can_cast(from, to)
        }
        (Type::Struct(from), Type::Struct(to)) => to.iter().all(|field| {
            let same = from.iter().find(|other| other.name == field.name);
            same.is_none_or(|same| can_cast(&same.of, &field.of))
        }),
        (Type::String, Type::Boolean | Type::Date | Type::Time | Type::Timestamp) => true,
        (Type::String, to) => to.is_number(),
        (Type::Timestamp, Type::Date | Type::Time) | (Type::Date, Type::Timestamp) => true,
        _ => from == to || (from.is_number() && to.is_number()),
    }
}

/// Returns a value as one of another type.
///
/// # Errors
/// What does not fit.
pub fn cast(value: &Value, from: &Type, to: &Type) -> Result<Value, String> {
    if from == to || value.is_null() {
        return Ok(value.clone());
    }
    let misfit = || {
        let text = text_of(value, from).unwrap_or_default();
        format!("cannot cast '{text}' to {to}")
    };
    let converted = match (value, to) {
        (Value::Array(values), Type::Array(to)) => {
            let Type::Array(from) = from else {
                return Err(misfit());
            };
            let values: Result<Vec<Value>, String> =
                values.iter().map(|value| cast(value, from, to)).collect();
            return Ok(Value::array(values?));
        }
        (Value::Map(entries), Type::Map(to_key, to)) => {
            let Type::Map(from_key, from) = from else {
                return Err(misfit());
            };
            let entries: Result<Vec<(Value, Value)>, String> = entries
                .iter()
                .map(|(key, value)| Ok((cast(key, from_key, to_key)?, cast(value, from, to)?)))
                .collect();
            return Ok(Value::map(entries?));
        }
        (Value::Struct(values), Type::Struct(to)) => {
            let Type::Struct(from) = from else {
                return Err(misfit());
            };
            let values: Result<Vec<Value>, String> = to
                .iter()
                .map(
                    |field| match from.iter().position(|other| other.name == field.name) {
                        Some(at) => cast(&values[at], &from[at].of, &field.of),
                        None => Ok(Value::Null),
                    },
                )
                .collect();
            return Ok(Value::structure(values?));
        }
        (_, Type::String) => text_of(value, from).map(Value::from),
        (Value::String(text), _) => of_text(text, to),
        (_, Type::Int) => match value {
            Value::Double(value) => Some(Value::Int(*value as i32)),
            Value::Decimal(value) => Some(Value::Int(value.to_i64_wrapping() as i32)),
            _ => value.as_i64().map(|value| Value::Int(value as i32)),
        },
        (_, Type::Bigint) => match value {
            Value::Double(value) => Some(Value::Bigint(*value as i64)),
            Value::Decimal(value) => Some(Value::Bigint(value.to_i64_wrapping())),
            _ => value.as_i64().map(Value::Bigint),
        },
        (_, Type::Double) => value.as_f64().map(Value::Double),
        (_, Type::Decimal { precision, scale }) => value
            .as_decimal()
            .and_then(|value| value.fit(*precision, *scale))
            .map(Value::Decimal),
        (Value::Timestamp(ms), Type::Date) => {
            i32::try_from(ms.div_euclid(DAY_MS)).ok().map(Value::Date)
        }
        (Value::Timestamp(ms), Type::Time) => Some(Value::Time(ms.rem_euclid(DAY_MS) as i32)),
        (Value::Date(days), Type::Timestamp) => Some(Value::Timestamp(i64::from(*days) * DAY_MS)),
        _ => None,
    };
    converted.ok_or_else(misfit)
}

fn of_text(text: &str, to: &Type) -> Option<Value> {
    let trimmed = text.trim();
    Some(match to {
        Type::Boolean => Value::Boolean(parse_boolean(trimmed).unwrap_or(false)),
        Type::Int => Value::Int(trimmed.parse().ok()?),
        Type::Bigint => Value::Bigint(trimmed.parse().ok()?),
        Type::Double => Value::Double(trimmed.parse().ok()?),
        Type::Decimal { precision, scale } => {
            Value::Decimal(Decimal::parse(trimmed)?.fit(*precision, *scale)?)
        }
        Type::Date => Value::Date(parse_date(trimmed)?),
        Type::Time => Value::Time(parse_time(trimmed)?),
        Type::Timestamp => Value::Timestamp(parse_timestamp(trimmed)?),
        _ => return None,
    })
}

/// Reads `true`, `yes`, `false`, `no`, or the beginning of one; case does not count.
pub(super) fn parse_boolean(text: &str) -> Option<bool> {
    let text = text.to_lowercase();
    if text.is_empty() {
        return None;
    }
    let begins = |words: [&str; 2]| words.iter().any(|word| word.starts_with(&text));
    if begins(["true", "yes"]) {
        Some(true)
    } else if begins(["false", "no"]) {
        Some(false)
    } else {
        None
    }
}
