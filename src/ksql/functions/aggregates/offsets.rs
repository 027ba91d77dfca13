//! EARLIEST_BY_OFFSET, LATEST_BY_OFFSET: the first and the last values.

use std::sync::Arc;

use crate::ksql::functions::{Aggregate, Spec};
use crate::ksql::value::Value;

const EARLIEST: &str =
    "The first value, or the first n of them; nulls count if the last argument is false.";
const LATEST: &str =
    "The last value, or the last n of them; nulls count if the last argument is false.";

pub(super) const AGGREGATES: &[Aggregate] = &[
    earliest("EARLIEST_BY_OFFSET(value T) T"),
    earliest("EARLIEST_BY_OFFSET(value T, ignore_nulls BOOLEAN LITERAL) T"),
    many(earliest(
        "EARLIEST_BY_OFFSET(value T, n INT LITERAL) ARRAY<T>",
    )),
    many(earliest(
        "EARLIEST_BY_OFFSET(value T, n INT LITERAL, ignore_nulls BOOLEAN LITERAL) ARRAY<T>",
    )),
    latest("LATEST_BY_OFFSET(value T) T"),
    latest("LATEST_BY_OFFSET(value T, ignore_nulls BOOLEAN LITERAL) T"),
    many(latest("LATEST_BY_OFFSET(value T, n INT LITERAL) ARRAY<T>")),
    many(latest(
        "LATEST_BY_OFFSET(value T, n INT LITERAL, ignore_nulls BOOLEAN LITERAL) ARRAY<T>",
    )),
];

/// The state is an array of at most n values.
const fn earliest(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: EARLIEST,
        start: |_| Value::array(Vec::new()),
        add: |spec, state, values| Ok(kept(spec, state, &values[..1], true)),
        undo: None,
        merge: |spec, first, second| Ok(kept(spec, first, elements(&second), true)),
        result: |_, state| Ok(elements(state).first().cloned().unwrap_or_default()),
        returns: None,
        has_nested_state: true,
    }
}

const fn latest(signature: &'static str) -> Aggregate {
    Aggregate {
        about: LATEST,
        add: |spec, state, values| Ok(kept(spec, state, &values[..1], false)),
        merge: |spec, first, second| Ok(kept(spec, first, elements(&second), false)),
        ..earliest(signature)
    }
}

const fn many(one: Aggregate) -> Aggregate {
    Aggregate {
        result: super::as_it_is,
        ..one
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        _ => &[],
    }
}

/// Adds values and keeps the first, or the last, n.
fn kept(spec: &Spec, state: Value, values: &[Value], are_first: bool) -> Value {
    let Value::Array(mut list) = state else {
        return state;
    };
    let ignores_nulls = !spec.constants.contains(&Value::Boolean(false));
    let n = spec.constants.iter().find_map(Value::as_i64).unwrap_or(1);
    let n = usize::try_from(n).unwrap_or_default();
    let kept = Arc::make_mut(&mut list);
    for value in values
        .iter()
        .filter(|value| !(ignores_nulls && value.is_null()))
    {
        if !are_first && kept.len() >= n.max(1) {
            kept.remove(0);
        }
        if kept.len() < n {
            kept.push(value.clone());
        }
    }
    Value::Array(list)
}
