//! STDDEV_SAMP, CORRELATION.

use crate::ksql::functions::{Aggregate, Outcome, Spec};
use crate::ksql::value::Value;

pub(super) const AGGREGATES: &[Aggregate] = &[
    deviation("STDDEV_SAMP(value INT) DOUBLE"),
    deviation("STDDEV_SAMP(value BIGINT) DOUBLE"),
    deviation("STDDEV_SAMP(value DOUBLE) DOUBLE"),
    deviation("STDDEV_SAMPLE(value INT) DOUBLE"),
    deviation("STDDEV_SAMPLE(value BIGINT) DOUBLE"),
    deviation("STDDEV_SAMPLE(value DOUBLE) DOUBLE"),
    correlation("CORRELATION(x INT, y INT) DOUBLE"),
    correlation("CORRELATION(x BIGINT, y BIGINT) DOUBLE"),
    correlation("CORRELATION(x DOUBLE, y DOUBLE) DOUBLE"),
];

/// The state is count, sum of x, of x², of y, of y², of xy.
const fn deviation(signature: &'static str) -> Aggregate {
    Aggregate {
        signature,
        about: "The standard deviation of a sample.",
        result: |_, state| {
            let [count, x, xx, ..] = sums(state);
            let variance = (xx - x * x / count) / (count - 1.0);
            Ok(Value::Double(if count < 2.0 {
                0.0
            } else {
                variance.max(0.0).sqrt()
            }))
        },
        ..correlation(signature)
    }
}

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
