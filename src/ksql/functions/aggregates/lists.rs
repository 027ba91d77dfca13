//! COLLECT_LIST, COLLECT_SET, HISTOGRAM, TOPK, TOPKDISTINCT, COUNT_DISTINCT, SUM_LIST, ATTR.

use std::cmp::Ordering;
use std::sync::Arc;

use super::as_it_is;
use crate::ksql::functions::{Aggregate, Outcome, Spec};
use crate::ksql::types::{Field, Type};
use crate::ksql::value::Value;

/// How many different values HISTOGRAM counts.
const MAX_COUNTED: usize = 1_000;

pub(super) const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        signature: "COLLECT_LIST(value T) ARRAY<T>",
        about: "All values in order, at most `ksql.functions.collect_list.limit`.",
        start: |_| Value::array(Vec::new()),
        add: |spec, state, values| {
            Ok(changed(state, |list| {
                if list.len() < spec.limits.collect_list {
                    list.push(values[0].clone())
                }
            }))
        },
        undo: Some(|_, state, values| Ok(changed(state, |list| remove_last(list, &values[0])))),
        merge: |spec, first, second| {
            Ok(changed(first, |list| {
                list.extend(elements(&second).iter().cloned());
                list.truncate(spec.limits.collect_list);
            }))
        },
        result: as_it_is,
        returns: None,
        has_nested_state: true,
    },
    Aggregate {
        signature: "COLLECT_SET(value T) ARRAY<T>",
        about: "The different values in the order in which they came first, at most `ksql.functions.collect_set.limit`.",
        start: |_| Value::array(Vec::new()),
        add: |spec, state, values| {
            let limit = spec.limits.collect_set;
            Ok(changed(state, |list| add_new(list, &values[0], limit)))
        },
        undo: None,
        merge: |spec, first, second| {
            let limit = spec.limits.collect_set;
            Ok(changed(first, |list| {
                elements(&second)
                    .iter()
                    .for_each(|value| add_new(list, value, limit))
            }))
        },
        result: as_it_is,
        returns: None,
        has_nested_state: true,
    },
    Aggregate {
        signature: "HISTOGRAM(value STRING) MAP<STRING, BIGINT>",
        about: "How often each value came, for at most 1000 of them.",
        start: |_| Value::map([]),
        add: |_, state, values| Ok(counted(state, &values[0], 1)),
        undo: Some(|_, state, values| Ok(counted(state, &values[0], -1))),
        merge: merge_counts,
        result: as_it_is,
        returns: None,
        has_nested_state: true,
    },
    Aggregate {
        signature: "COUNT_DISTINCT(value T) BIGINT",
        about: "How many different values there are; exact, where ksqlDB estimates.",
        start: |_| Value::array(Vec::new()),
        add: |_, state, values| {
            Ok(changed(state, |list| {
                if !values[0].is_null() && !list.contains(&values[0]) {
                    list.push(values[0].clone())
                }
            }))
        },
        undo: None,
        merge: |_, first, second| {
            Ok(changed(first, |list| {
                for value in elements(&second) {
                    if !list.contains(value) {
                        list.push(value.clone());
                    }
                }
            }))
        },
        result: |_, state| Ok(Value::Bigint(elements(state).len() as i64)),
        returns: None,
        has_nested_state: true,
    },
    topk("TOPK(value INT, k INT LITERAL) ARRAY<INT>"),
    topk("TOPK(value BIGINT, k INT LITERAL) ARRAY<BIGINT>"),
    topk("TOPK(value DOUBLE, k INT LITERAL) ARRAY<DOUBLE>"),
    Aggregate {
        returns: Some(array_of_first),
        ..topk("TOPK(value DECIMAL, k INT LITERAL) ARRAY<DECIMAL>")
    },
    topk("TOPK(value STRING, k INT LITERAL) ARRAY<STRING>"),
    topk("TOPK(value BYTES, k INT LITERAL) ARRAY<BYTES>"),
    topk("TOPK(value DATE, k INT LITERAL) ARRAY<DATE>"),
    topk("TOPK(value TIME, k INT LITERAL) ARRAY<TIME>"),
    topk("TOPK(value TIMESTAMP, k INT LITERAL) ARRAY<TIMESTAMP>"),
    Aggregate {
        returns: Some(rows),
        ..topk("TOPK(value T, column ANY..., k INT LITERAL) ANY")
    },
    topk_distinct("TOPKDISTINCT(value INT, k INT LITERAL) ARRAY<INT>"),
    topk_distinct("TOPKDISTINCT(value BIGINT, k INT LITERAL) ARRAY<BIGINT>"),
    topk_distinct("TOPKDISTINCT(value DOUBLE, k INT LITERAL) ARRAY<DOUBLE>"),
    Aggregate {
        returns: Some(array_of_first),
        ..topk_distinct("TOPKDISTINCT(value DECIMAL, k INT LITERAL) ARRAY<DECIMAL>")
    },
    topk_distinct("TOPKDISTINCT(value STRING, k INT LITERAL) ARRAY<STRING>"),
    topk_distinct("TOPKDISTINCT(value BYTES, k INT LITERAL) ARRAY<BYTES>"),
    topk_distinct("TOPKDISTINCT(value DATE, k INT LITERAL) ARRAY<DATE>"),
    topk_distinct("TOPKDISTINCT(value TIME, k INT LITERAL) ARRAY<TIME>"),
    topk_distinct("TOPKDISTINCT(value TIMESTAMP, k INT LITERAL) ARRAY<TIMESTAMP>"),
    sum_list("SUM_LIST(list ARRAY<INT>) INT"),
    sum_list("SUM_LIST(list ARRAY<BIGINT>) BIGINT"),
    sum_list("SUM_LIST(list ARRAY<DOUBLE>) DOUBLE"),
    Aggregate {
        signature: "ATTR(value T) T",
        about: "The value, if all rows have the same; else null.",
        // The different values with how often each came.
        start: |_| Value::map([]),
        add: |_, state, values| Ok(counted(state, &values[0], 1)),
        undo: Some(|_, state, values| Ok(counted(state, &values[0], -1))),
        merge: merge_counts,
        result: |_, state| {
            Ok(match state {
                Value::Map(entries) if entries.len() == 1 => entries[0].0.clone(),
                _ => Value::Null,
            })
        },
        returns: None,
        has_nested_state: true,
    },
];

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        _ => &[],
    }
}

/// Changes an array in place if no one else has it.
fn changed(state: Value, change: impl FnOnce(&mut Vec<Value>)) -> Value {
    match state {
        Value::Array(mut list) => {
            change(Arc::make_mut(&mut list));
            Value::Array(list)
        }
        other => other,
    }
}

fn remove_last(list: &mut Vec<Value>, value: &Value) {
    if let Some(at) = list.iter().rposition(|known| known == value) {
        list.remove(at);
    }
}

fn add_new(list: &mut Vec<Value>, value: &Value, limit: usize) {
    if list.len() < limit && !list.contains(value) {
        list.push(value.clone());
    }
}

/// Adds up how often each value came in two states.
fn merge_counts(_: &Spec, first: Value, second: Value) -> Outcome {
    let Value::Map(entries) = &second else {
        return Ok(first);
    };
    Ok(entries.iter().fold(first, |state, (value, count)| {
        counted(state, value, count.as_i64().unwrap_or_default())
    }))
}

/// Counts a value in a map; one that came 0 times leaves it.
fn counted(state: Value, value: &Value, by: i64) -> Value {
    let Value::Map(mut entries) = state else {
        return state;
    };
    let map = Arc::make_mut(&mut entries);
    match map.iter().position(|(known, _)| known == value) {
        Some(at) => {
            let count = map[at].1.as_i64().unwrap_or_default() + by;
            if count < 1 {
                map.remove(at);
            } else {
                map[at].1 = Value::Bigint(count);
            }
        }
        None if map.len() < MAX_COUNTED => map.push((value.clone(), Value::Bigint(by))),
        None => {}
    }
    Value::Map(entries)
}

fn array_of_first(types: &[Type]) -> Result<Type, String> {
    types
        .first()
        .cloned()
        .map(Type::array)
        .ok_or_else(|| "no argument".to_owned())
}

/// TOPK of several columns gives structs: `sort_col`, `col0`, `col1` ….
fn rows(types: &[Type]) -> Result<Type, String> {
    let columns = &types[..types.len() - 1];
    let fields = columns.iter().enumerate().map(|(nth, of)| {
        let name = if nth == 0 {
            "sort_col".to_owned()
        } else {
            format!("col{}", nth - 1)
        };
        Field {
            name,
            of: of.clone(),
        }
    });
    Ok(Type::array(Type::Struct(fields.collect())))
}

fn limit(spec: &Spec) -> usize {
    spec.constants
        .last()
        .and_then(Value::as_i64)
        .and_then(|k| usize::try_from(k).ok())
        .unwrap_or_default()
}

/// Returns what a row is sorted by.
fn sorted_by(value: &Value) -> &Value {
    match value {
        Value::Struct(fields) => &fields[0],
        other => other,
    }
}

/// Puts a value in its place, behind those that are equal.
fn ranked(list: &mut Vec<Value>, value: Value, limit: usize) {
    let is_larger =
        |known: &Value| sorted_by(&value).compare(sorted_by(known)) == Some(Ordering::Greater);
    let at = list.iter().position(is_larger).unwrap_or(list.len());
    list.insert(at, value);
    list.truncate(limit);
}

const fn topk(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: "The k largest values, the largest first; with more columns, those of their rows.",
        start: |_| Value::array(Vec::new()),
        add: |spec, state, values| {
            let value = match values {
                [value] => value.clone(),
                columns => Value::structure(columns.to_vec()),
            };
            if values[0].is_null() {
                return Ok(state);
            }
            Ok(changed(state, |list| ranked(list, value, limit(spec))))
        },
        undo: None,
        merge: |spec, first, second| {
            Ok(changed(first, |list| {
                elements(&second)
                    .iter()
                    .for_each(|value| ranked(list, value.clone(), limit(spec)));
            }))
        },
        result: as_it_is,
        returns: None,
        has_nested_state: true,
    }
}

const fn topk_distinct(signature: &'static str) -> Aggregate {
    Aggregate {
        about: "The k largest different values, the largest first.",
        add: |spec, state, values| {
            Ok(changed(state, |list| {
                ranked_once(list, &values[0], limit(spec))
            }))
        },
        merge: |spec, first, second| {
            Ok(changed(first, |list| {
                elements(&second)
                    .iter()
                    .for_each(|value| ranked_once(list, value, limit(spec)));
            }))
        },
        ..topk(signature)
    }
}

fn ranked_once(list: &mut Vec<Value>, value: &Value, limit: usize) {
    if !value.is_null() && !list.contains(value) {
        ranked(list, value.clone(), limit);
    }
}

const fn sum_list(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: "The sum of the elements of all lists.",
        start: |spec| match spec.returns {
            Type::Int => Value::Int(0),
            Type::Bigint => Value::Bigint(0),
            _ => Value::Double(0.0),
        },
        add: |_, state, values| {
            Ok(elements(&values[0])
                .iter()
                .fold(state, |state, value| plus(state, value, 1)))
        },
        undo: Some(|_, state, values| {
            Ok(elements(&values[0])
                .iter()
                .fold(state, |state, value| plus(state, value, -1)))
        }),
        merge: |_, first, second| Ok(plus(first, &second, 1)),
        result: as_it_is,
        returns: None,
        has_nested_state: false,
    }
}

fn plus(state: Value, value: &Value, sign: i64) -> Value {
    match (&state, value) {
        (_, Value::Null) => state,
        (Value::Int(sum), value) => {
            Value::Int(sum.wrapping_add((value.as_i64().unwrap_or_default() * sign) as i32))
        }
        (Value::Bigint(sum), value) => {
            Value::Bigint(sum.wrapping_add(value.as_i64().unwrap_or_default().wrapping_mul(sign)))
        }
        (Value::Double(sum), value) => {
            Value::Double(sum + value.as_f64().unwrap_or_default() * sign as f64)
        }
        _ => state,
    }
}
