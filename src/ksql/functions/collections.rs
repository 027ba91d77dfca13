//! Arrays and maps, and lambdas over them.

use std::cmp::Ordering;

use super::{Call, Outcome, Scalar, lenient, strict};
use crate::ksql::types::Type;
use crate::ksql::value::{Value, in_java_order, text_of};

/// How many elements a generated array has at most.
const MAX_SERIES: i64 = 100_000;

const REMOVE: &str = "The array without the elements that equal a value.";

pub(super) const FUNCTIONS: &[Scalar] = &[
    lenient(
        "ARRAY_CONTAINS(array ARRAY<T>, value T) BOOLEAN",
        "Whether an element equals a value.",
        |call| Ok(has(call.elements(0), call.value(1)).into()),
    ),
    strict(
        "ARRAY_DISTINCT(array ARRAY<T>) ARRAY<T>",
        "The different elements, in the order in which they come first.",
        |call| Ok(Value::array(distinct(call.elements(0).iter()))),
    ),
    strict(
        "ARRAY_EXCEPT(left ARRAY<T>, right ARRAY<T>) ARRAY<T>",
        "The different elements of the left that are not in the right.",
        |call| {
            Ok(Value::array(distinct(
                call.elements(0)
                    .iter()
                    .filter(|value| !call.elements(1).contains(value)),
            )))
        },
    ),
    strict(
        "ARRAY_INTERSECT(left ARRAY<T>, right ARRAY<T>) ARRAY<T>",
        "The different elements that are in both.",
        |call| {
            Ok(Value::array(distinct(
                call.elements(0)
                    .iter()
                    .filter(|value| call.elements(1).contains(value)),
            )))
        },
    ),
    strict(
        "ARRAY_UNION(left ARRAY<T>, right ARRAY<T>) ARRAY<T>",
        "The different elements that are in either.",
        |call| {
            Ok(Value::array(distinct(
                call.elements(0).iter().chain(call.elements(1)),
            )))
        },
    ),
    lenient(
        "ARRAY_CONCAT(left ARRAY<T>, right ARRAY<T>) ARRAY<T>",
        "The elements of the left, then those of the right.",
        |call| {
            if call.value(0).is_null() && call.value(1).is_null() {
                return Ok(Value::Null);
            }
            Ok(Value::array(
                call.elements(0)
                    .iter()
                    .chain(call.elements(1))
                    .cloned()
                    .collect(),
            ))
        },
    ),
    strict(
        "ARRAY_JOIN(array ARRAY<T>) STRING",
        "The elements as text, with commas between them.",
        array_join,
    ),
    lenient(
        "ARRAY_JOIN(array ARRAY<T>, separator STRING) STRING",
        "The elements as text, with a separator between them.",
        |call| {
            if call.value(0).is_null() {
                Ok(Value::Null)
            } else {
                array_join(call)
            }
        },
    ),
    strict(
        "ARRAY_LENGTH(array ARRAY<T>) INT",
        "How many elements there are.",
        |call| Ok(Value::Int(call.elements(0).len() as i32)),
    ),
    strict(
        "CARDINALITY(array ARRAY<T>) INT",
        "How many elements there are.",
        |call| Ok(Value::Int(call.elements(0).len() as i32)),
    ),
    strict(
        "CARDINALITY(map MAP<K, V>) INT",
        "How many entries there are.",
        |call| Ok(Value::Int(call.entries(0).len() as i32)),
    ),
    strict(
        "ARRAY_MAX(array ARRAY<T>) T",
        "The largest element; nulls are left out.",
        |call| Ok(extreme(call, Ordering::Greater)),
    ),
    strict(
        "ARRAY_MIN(array ARRAY<T>) T",
        "The smallest element; nulls are left out.",
        |call| Ok(extreme(call, Ordering::Less)),
    ),
    lenient(
        "ARRAY_REMOVE(array ARRAY<T>, value T) ARRAY<T>",
        REMOVE,
        |call| {
            if call.value(0).is_null() {
                return Ok(Value::Null);
            }
            let is_kept = |value: &&Value| *value != call.value(1) && !value.equals(call.value(1));
            Ok(Value::array(
                call.elements(0).iter().filter(is_kept).cloned().collect(),
            ))
        },
    ),
    strict(
        "ARRAY_SORT(array ARRAY<T>) ARRAY<T>",
        "The elements in order, nulls last.",
        array_sort,
    ),
    strict(
        "ARRAY_SORT(array ARRAY<T>, direction STRING) ARRAY<T>",
        "The elements in order, ASC or DESC, nulls last.",
        array_sort,
    ),
    strict(
        "AS_MAP(keys ARRAY<STRING>, values ARRAY<V>) MAP<STRING, V>",
        "A map of keys and values; a key without a value has null.",
        |call| {
            let values = call.elements(1).iter().cloned();
            Ok(Value::map(
                call.elements(0)
                    .iter()
                    .cloned()
                    .zip(values.chain(std::iter::repeat(Value::Null))),
            ))
        },
    ),
    strict(
        "ENTRIES(map MAP<STRING, V>, sorted BOOLEAN) ARRAY<STRUCT<K STRING, V V>>",
        "The entries as structs of K and V.",
        |call| {
            let mut entries = in_java_order(call.entries(0));
            if *call.value(1) == Value::Boolean(true) {
                entries.sort_by(|left, right| left.0.compare(right.0).unwrap_or(Ordering::Equal));
            }
            Ok(Value::array(
                entries
                    .into_iter()
                    .map(|(key, value)| Value::structure(vec![key.clone(), value.clone()]))
                    .collect(),
            ))
        },
    ),
    strict(
        "GENERATE_SERIES(start INT, end INT) ARRAY<INT>",
        "The whole numbers from one to another.",
        series,
    ),
    strict(
        "GENERATE_SERIES(start INT, end INT, step INT) ARRAY<INT>",
        "Every so many of the whole numbers from one to another.",
        series,
    ),
    strict(
        "GENERATE_SERIES(start BIGINT, end BIGINT) ARRAY<BIGINT>",
        "The whole numbers from one to another.",
        series,
    ),
    strict(
        "GENERATE_SERIES(start BIGINT, end BIGINT, step INT) ARRAY<BIGINT>",
        "Every so many of the whole numbers from one to another.",
        series,
    ),
    strict("MAP_KEYS(map MAP<K, V>) ARRAY<K>", "The keys.", |call| {
        Ok(Value::array(
            in_java_order(call.entries(0))
                .into_iter()
                .map(|(key, _)| key.clone())
                .collect(),
        ))
    }),
    strict(
        "MAP_VALUES(map MAP<K, V>) ARRAY<V>",
        "The values.",
        |call| {
            Ok(Value::array(
                in_java_order(call.entries(0))
                    .into_iter()
                    .map(|(_, value)| value.clone())
                    .collect(),
            ))
        },
    ),
    lenient(
        "MAP_UNION(left MAP<K, V>, right MAP<K, V>) MAP<K, V>",
        "The entries of both; of one key that of the right.",
        |call| {
            if call.value(0).is_null() && call.value(1).is_null() {
                return Ok(Value::Null);
            }
            Ok(Value::map(
                call.entries(0).iter().chain(call.entries(1)).cloned(),
            ))
        },
    ),
    lenient(
        "SLICE(array ARRAY<T>, from INT, to INT) ARRAY<T>",
        "The elements from one to another, counted from 1; null if the array ends before.",
        |call| {
            if call.value(0).is_null() {
                return Ok(Value::Null);
            }
            let length = call.elements(0).len() as i64;
            let bound = |at: usize, otherwise: i64| call.value(at).as_i64().unwrap_or(otherwise);
            let (from, to) = (bound(1, 1) - 1, bound(2, length));
            let is_within = 0 <= from && from <= to && to <= length;
            Ok(if is_within {
                Value::array(call.elements(0)[from as usize..to as usize].to_vec())
            } else {
                Value::Null
            })
        },
    ),
    lenient(
        "ELT(n INT, text STRING...) STRING",
        "The nth of the texts.",
        |call| {
            let n = usize::try_from(call.whole(0)).unwrap_or_default();
            Ok(if n == 0 {
                Value::Null
            } else {
                call.value(n).clone()
            })
        },
    ),
    lenient(
        "FIELD(text STRING, candidate STRING...) INT",
        "Which of the candidates a text is; 0 for none.",
        |call| {
            let found = call.some_text(0).and_then(|text| {
                call.values[1..]
                    .iter()
                    .position(|value| value.as_str() == Some(text))
            });
            Ok(Value::Int(found.map_or(0, |at| at as i32 + 1)))
        },
    ),
    strict(
        "TRANSFORM(array ARRAY<T>, change (T) => U) ARRAY<U>",
        "Each element changed.",
        |call| {
            let changed: Result<Vec<Value>, String> = call
                .elements(0)
                .iter()
                .map(|value| (call.apply)(1, std::slice::from_ref(value)))
                .collect();
            Ok(Value::array(changed?))
        },
    ),
    strict(
        "TRANSFORM(map MAP<K, V>, key (K, V) => R, value (K, V) => U) MAP<R, U>",
        "Each key and each value changed.",
        |call| {
            let entry = |(key, value): &(Value, Value)| {
                let arguments = [key.clone(), value.clone()];
                Ok(((call.apply)(1, &arguments)?, (call.apply)(2, &arguments)?))
            };
            let changed: Result<Vec<(Value, Value)>, String> =
                call.entries(0).iter().map(entry).collect();
            entries_as_java_collects(changed?)
        },
    ),
    strict(
        "FILTER(array ARRAY<T>, is (T) => BOOLEAN) ARRAY<T>",
        "The elements of which a condition holds.",
        |call| {
            let mut kept = Vec::new();
            for value in call.elements(0) {
                if holds((call.apply)(1, std::slice::from_ref(value)))? {
                    kept.push(value.clone());
                }
            }
            Ok(Value::array(kept))
        },
    ),
    strict(
        "FILTER(map MAP<K, V>, is (K, V) => BOOLEAN) MAP<K, V>",
        "The entries of which a condition holds.",
        |call| {
            let mut kept = Vec::new();
            for (key, value) in call.entries(0) {
                if holds((call.apply)(1, &[key.clone(), value.clone()]))? {
                    kept.push((key.clone(), value.clone()));
                }
            }
            entries_as_java_collects(kept)
        },
    ),
    lenient(
        "REDUCE(array ARRAY<T>, state S, step (S, T) => S) S",
        "What a state becomes by each element in turn.",
        |call| {
            let step = |state: Value, value: &Value| (call.apply)(2, &[state, value.clone()]);
            if call.value(1).is_null() {
                return Ok(Value::Null);
            }
            call.elements(0)
                .iter()
                .try_fold(call.value(1).clone(), step)
        },
    ),
    lenient(
        "REDUCE(map MAP<K, V>, state S, step (S, K, V) => S) S",
        "What a state becomes by each entry in turn.",
        |call| {
            let step = |state: Value, (key, value): &(Value, Value)| {
                (call.apply)(2, &[state, key.clone(), value.clone()])
            };
            if call.value(1).is_null() {
                return Ok(Value::Null);
            }
            call.entries(0).iter().try_fold(call.value(1).clone(), step)
        },
    ),
];

/// Returns a map as Java's `Collectors.toMap` makes one: no key twice, no value null.
fn entries_as_java_collects(entries: Vec<(Value, Value)>) -> Outcome {
    if entries.iter().any(|(_, value)| value.is_null()) {
        return Err("a value of the new map is null".to_owned());
    }
    let count = entries.len();
    match Value::map(entries) {
        Value::Map(map) if map.len() < count => Err("a key of the new map comes twice".to_owned()),
        map => Ok(map),
    }
}

fn holds(outcome: Outcome) -> Result<bool, String> {
    match outcome? {
        Value::Boolean(value) => Ok(value),
        _ => Err("a condition that is null".to_owned()),
    }
}

fn has(elements: &[Value], value: &Value) -> bool {
    elements
        .iter()
        .any(|element| element.equals(value) || (element.is_null() && value.is_null()))
}

fn distinct<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for value in values {
        if !found.contains(value) {
            found.push(value.clone());
        }
    }
    found
}

fn extreme(call: &Call, wanted: Ordering) -> Value {
    let values = call.elements(0).iter().filter(|value| !value.is_null());
    let chosen = values.reduce(|best, value| {
        if value.compare(best) == Some(wanted) {
            value
        } else {
            best
        }
    });
    chosen.cloned().unwrap_or_default()
}

fn array_join(call: &Call) -> Outcome {
    let Type::Array(of) = &call.types[0] else {
        return Ok(Value::Null);
    };
    let is_joined = matches!(
        **of,
        Type::Boolean
            | Type::Int
            | Type::Bigint
            | Type::Double
            | Type::Decimal { .. }
            | Type::String
    );
    if !is_joined && call.elements(0).iter().any(|value| !value.is_null()) {
        return Err(format!("elements of type {of} cannot be joined"));
    }
    let separator = if call.count() > 1 { call.text(1) } else { "," };
    let texts: Vec<String> = call
        .elements(0)
        .iter()
        .map(|value| text_of(value, of).unwrap_or_else(|| "null".to_owned()))
        .collect();
    Ok(texts.join(separator).into())
}

fn array_sort(call: &Call) -> Outcome {
    let is_descending = match call.text(1).to_uppercase().as_str() {
        "" | "ASC" | "ASCENDING" => false,
        "DESC" | "DESCENDING" => true,
        _ => return Ok(Value::Null),
    };
    let (mut values, nulls): (Vec<Value>, Vec<Value>) = call
        .elements(0)
        .iter()
        .cloned()
        .partition(|value| !value.is_null());
    values.sort_by(|left, right| {
        let order = left.compare(right).unwrap_or(Ordering::Equal);
        if is_descending {
            order.reverse()
        } else {
            order
        }
    });
    values.extend(nulls);
    Ok(Value::array(values))
}

fn series(call: &Call) -> Outcome {
    let (start, end) = (call.whole(0), call.whole(1));
    let step = match call.count() {
        3.. => call.whole(2),
        _ if start <= end => 1,
        _ => -1,
    };
    let leads_there = start == end || (start < end) == (step > 0);
    let count = end
        .checked_sub(start)
        .filter(|_| leads_there)
        .and_then(|distance| distance.checked_div(step));
    let Some(count) = count.filter(|count| (0..MAX_SERIES).contains(count)) else {
        return Err(format!("no series from {start} to {end} by {step}"));
    };
    let is_int = *call.returns == Type::array(Type::Int);
    let value = |nth: i64| {
        let value = start + nth * step;
        if is_int {
            Value::Int(value as i32)
        } else {
            Value::Bigint(value)
        }
    };
    Ok(Value::array((0..=count).map(value).collect()))
}
