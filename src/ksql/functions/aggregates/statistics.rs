//! STDDEV_SAMP, CORRELATION.

use crate::ksql::functions::{Aggregate, Outcome, Spec};
use crate::ksql::value::Value;

pub(super) const AGGREGATES: &[Aggregate] = &[
    squared_deviation("STDDEV_SAMP(value INT) DOUBLE"),
    squared_deviation("STDDEV_SAMP(value BIGINT) DOUBLE"),
    squared_deviation("STDDEV_SAMP(value DOUBLE) DOUBLE"),
    deviation("STDDEV_SAMPLE(value INT) DOUBLE"),
    deviation("STDDEV_SAMPLE(value BIGINT) DOUBLE"),
    deviation("STDDEV_SAMPLE(value DOUBLE) DOUBLE"),
    correlation("CORRELATION(x INT, y INT) DOUBLE"),
    correlation("CORRELATION(x BIGINT, y BIGINT) DOUBLE"),
    correlation("CORRELATION(x DOUBLE, y DOUBLE) DOUBLE"),
];

/// The state is count, sum, and the sum of squared distances from the mean, kept by the method of
/// Youngs and Cramer, whose last digits ksqlDB's are.
const fn deviation(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: "The standard deviation of a sample.",
        start: |_| moments([0.0; 3]),
        add: |_, state, values| moved(state, &values[0], 1.0),
        undo: Some(|_, state, values| moved(state, &values[0], -1.0)),
        merge: |_, first, second| {
            let ([count, sum, distances], [others, more, theirs]) = (parts(&first), parts(&second));
            let between = match count == 0.0 || others == 0.0 {
                true => 0.0,
                false => {
                    let apart = sum / count - more / others;
                    count * others * apart * apart / (count + others)
                }
            };
            let merged = [count + others, sum + more, distances + theirs + between];
            Ok(moments(merged))
        },
        result: |_, state| Ok(Value::Double(variance(state).sqrt())),
        returns: None,
        has_nested_state: true,
    }
}

/// The older function of ksqlDB, which gives the square of what its name says.
const fn squared_deviation(signature: &'static str) -> Aggregate {
    Aggregate {
        about: "The variance of a sample, as ksqlDB has it: STDDEV_SAMPLE is its square root.",
        result: |_, state| Ok(Value::Double(variance(state))),
        ..deviation(signature)
    }
}

fn variance(state: &Value) -> f64 {
    let [count, _, distances] = parts(state);
    if count < 2.0 {
        0.0
    } else {
        distances / (count - 1.0)
    }
}

fn moments(parts: [f64; 3]) -> Value {
    Value::structure(parts.map(Value::Double).to_vec())
}

fn parts(state: &Value) -> [f64; 3] {
    let [count, sum, distances, ..] = sums(state);
    [count, sum, distances]
}

/// Adds a value, or takes it back.
fn moved(before: Value, value: &Value, sign: f64) -> Outcome {
    let Some(value) = value.as_f64() else {
        return Ok(before);
    };
    let [count, sum, distances] = parts(&before);
    let after = count + sign;
    let change = match count.min(after) < 1.0 {
        true => 0.0,
        false => {
            // Taking back asks how far the value is from the sum that it is part of.
            let apart = value * (count + 1.0) - (sum + value);
            apart * apart / (count * after)
        }
    };
    Ok(moments([
        after,
        sum + sign * value,
        distances + sign * change,
    ]))
}

/// The state is count, sum of x, of x², of y, of y², of xy.
const fn correlation(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: "How far two columns rise together: -1 to 1.",
        start: |_| state([0.0; 6]),
        add: |_, state, values| added(state, values, 1.0),
        undo: Some(|_, state, values| added(state, values, -1.0)),
        merge: |_: &Spec, first, second| {
            let (mut sums, more) = (sums(&first), self::sums(&second));
            sums.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
            Ok(state(sums))
        },
        result: |_, state| {
            let [count, x, xx, y, yy, xy] = sums(state);
            let covariance = count * xy - x * y;
            let spread = (count * xx - x * x) * (count * yy - y * y);
            Ok(Value::Double(covariance / spread.sqrt()))
        },
        returns: None,
        has_nested_state: true,
    }
}

fn state(sums: [f64; 6]) -> Value {
    Value::structure(sums.map(Value::Double).to_vec())
}

fn sums(state: &Value) -> [f64; 6] {
    let mut sums = [0.0; 6];
    if let Value::Struct(parts) = state {
        sums.iter_mut()
            .zip(parts.iter())
            .for_each(|(sum, part)| *sum = part.as_f64().unwrap_or_default());
    }
    sums
}

fn added(before: Value, values: &[Value], sign: f64) -> Outcome {
    if values.iter().any(Value::is_null) {
        return Ok(before);
    }
    let x = values.first().and_then(Value::as_f64).unwrap_or_default();
    let y = values.get(1).and_then(Value::as_f64).unwrap_or_default();
    let mut sums = sums(&before);
    let parts = [1.0, x, x * x, y, y * y, x * y];
    sums.iter_mut()
        .zip(parts)
        .for_each(|(sum, part)| *sum += sign * part);
    Ok(state(sums))
}
