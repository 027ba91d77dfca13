//! COUNT, SUM, AVG, MIN, MAX.

use std::cmp::Ordering;

use super::as_it_is;
use crate::ksql::decimal::Decimal;
use crate::ksql::functions::strings::as_first;
use crate::ksql::functions::{Aggregate, Outcome, Spec};
use crate::ksql::types::Type;
use crate::ksql::value::Value;

const SUM: &str = "The sum of the values.";
const AVG: &str = "The mean of the values.";
const MIN: &str = "The smallest value.";
const MAX: &str = "The largest value.";

pub(super) const AGGREGATES: &[Aggregate] = &[
    count("COUNT() BIGINT"),
    count("COUNT(value T) BIGINT"),
    sum("SUM(value INT) INT"),
    sum("SUM(value BIGINT) BIGINT"),
    sum("SUM(value DOUBLE) DOUBLE"),
    Aggregate {
        returns: Some(as_first),
        ..sum("SUM(value DECIMAL) DECIMAL")
    },
    avg("AVG(value INT) DOUBLE"),
    avg("AVG(value BIGINT) DOUBLE"),
    avg("AVG(value DOUBLE) DOUBLE"),
    min("MIN(value INT) INT"),
    min("MIN(value BIGINT) BIGINT"),
    min("MIN(value DOUBLE) DOUBLE"),
    Aggregate {
        returns: Some(as_first),
        ..min("MIN(value DECIMAL) DECIMAL")
    },
    min("MIN(value STRING) STRING"),
    min("MIN(value BYTES) BYTES"),
    min("MIN(value DATE) DATE"),
    min("MIN(value TIME) TIME"),
    min("MIN(value TIMESTAMP) TIMESTAMP"),
    max("MAX(value INT) INT"),
    max("MAX(value BIGINT) BIGINT"),
    max("MAX(value DOUBLE) DOUBLE"),
    Aggregate {
        returns: Some(as_first),
        ..max("MAX(value DECIMAL) DECIMAL")
    },
    max("MAX(value STRING) STRING"),
    max("MAX(value BYTES) BYTES"),
    max("MAX(value DATE) DATE"),
    max("MAX(value TIME) TIME"),
    max("MAX(value TIMESTAMP) TIMESTAMP"),
];

const fn count(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: "How many rows there are, or how many values that are not null.",
        start: |_| Value::Bigint(0),
        add: |_, state, values| Ok(counted(state, values, 1)),
        undo: Some(|_, state, values| Ok(counted(state, values, -1))),
        merge: |_, first, second| Ok(Value::Bigint(whole(&first) + whole(&second))),
        result: as_it_is,
        returns: None,
        has_nested_state: false,
    }
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn counted(state: Value, values: &[Value], by: i64) -> Value {
    let is_counted = values.first().is_none_or(|value| !value.is_null());
    if is_counted {
        Value::Bigint(whole(&state).wrapping_add(by))
    } else {
        state
    }
}

const fn sum(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: SUM,
        start: |spec| zero(&spec.returns),
        add: |spec, state, values| plus(&spec.returns, state, &values[0], false),
        undo: Some(|spec, state, values| plus(&spec.returns, state, &values[0], true)),
        merge: |spec, first, second| plus(&spec.returns, first, &second, false),
        result: as_it_is,
        returns: None,
        has_nested_state: false,
    }
}

fn zero(of: &Type) -> Value {
    match of {
        Type::Int => Value::Int(0),
        Type::Bigint => Value::Bigint(0),
        Type::Decimal { scale, .. } => Value::Decimal(Decimal::new(0, *scale)),
        _ => Value::Double(0.0),
    }
}

/// Adds or subtracts a value; null changes nothing.
fn plus(of: &Type, state: Value, value: &Value, is_undone: bool) -> Outcome {
    Ok(match (&state, value) {
        (_, Value::Null) => state,
        (Value::Int(sum), Value::Int(value)) => Value::Int(if is_undone {
            sum.wrapping_sub(*value)
        } else {
            sum.wrapping_add(*value)
        }),
        (Value::Bigint(sum), _) => {
            let value = whole(value);
            Value::Bigint(if is_undone {
                sum.wrapping_sub(value)
            } else {
                sum.wrapping_add(value)
            })
        }
        (Value::Double(sum), _) => {
            let value = value.as_f64().unwrap_or(f64::NAN);
            Value::Double(if is_undone { sum - value } else { sum + value })
        }
        (Value::Decimal(sum), Value::Decimal(value)) => {
            let sum = if is_undone {
                sum.subtract(value)
            } else {
                sum.add(value)
            };
            let Type::Decimal { precision, scale } = of else {
                return Ok(Value::Decimal(sum));
            };
            match sum.fit(*precision, *scale) {
                Some(sum) => Value::Decimal(sum),
                None => return Err(format!("Numeric field overflow: a sum does not fit {of}")),
            }
        }
        _ => state,
    })
}

/// The state is the sum and the count.
const fn avg(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: AVG,
        start: |spec| {
            Value::structure(vec![
                zero(if spec.types[0] == Type::Double {
                    &Type::Double
                } else {
                    &Type::Bigint
                }),
                Value::Bigint(0),
            ])
        },
        add: |spec, state, values| averaged(spec, state, &values[0], 1),
        undo: Some(|spec, state, values| averaged(spec, state, &values[0], -1)),
        merge: |spec, first, second| {
            let (sum, count) = parts(&first);
            let (more, others) = parts(&second);
            let sum = plus(&spec.types[0], sum, &more, false)?;
            Ok(Value::structure(vec![sum, Value::Bigint(count + others)]))
        },
        result: |_, state| {
            let (sum, count) = parts(state);
            let sum = sum.as_f64().unwrap_or_default();
            Ok(Value::Double(if count == 0 {
                0.0
            } else {
                sum / count as f64
            }))
        },
        returns: None,
        has_nested_state: true,
    }
}

fn parts(state: &Value) -> (Value, i64) {
    match state {
        Value::Struct(parts) => (parts[0].clone(), whole(&parts[1])),
        _ => (Value::Bigint(0), 0),
    }
}

fn averaged(spec: &Spec, state: Value, value: &Value, by: i64) -> Outcome {
    if value.is_null() {
        return Ok(state);
    }
    let (sum, count) = parts(&state);
    let sum = plus(&spec.types[0], sum, value, by < 0)?;
    Ok(Value::structure(vec![sum, Value::Bigint(count + by)]))
}

const fn min(signature: &'static str) -> Aggregate {
    Aggregate {
        about: MIN,
        add: |_, state, values| Ok(better(state, &values[0], Ordering::Less)),
        merge: |_, first, second| Ok(better(first, &second, Ordering::Less)),
        ..max(signature)
    }
}

const fn max(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: MAX,
        start: |_| Value::Null,
        add: |_, state, values| Ok(better(state, &values[0], Ordering::Greater)),
        undo: None,
        merge: |_, first, second| Ok(better(first, &second, Ordering::Greater)),
        result: as_it_is,
        returns: None,
        has_nested_state: false,
    }
}

fn better(state: Value, value: &Value, wanted: Ordering) -> Value {
    match (&state, value) {
        (_, Value::Null) => state,
        (Value::Null, _) => value.clone(),
        _ if value.compare(&state) == Some(wanted) => value.clone(),
        _ => state,
    }
}
