//! Functions that choose among their arguments.

use std::cmp::Ordering;

use super::{Call, Outcome, Scalar, lenient};
use crate::ksql::types::Type;
use crate::ksql::value::Value;

const GREATEST: &str = "The largest of the values; nulls are left out.";
const LEAST: &str = "The smallest of the values; nulls are left out.";

pub(super) const FUNCTIONS: &[Scalar] = &[
    lenient(
        "AS_VALUE(key T) T",
        "A key's column as a column of the value.",
        first,
    ),
    lenient(
        "COALESCE(value T...) T",
        "The first value that is not null.",
        first_of,
    ),
    lenient(
        "IFNULL(value T, otherwise T) T",
        "The value, or another one if it is null.",
        first_of,
    ),
    lenient(
        "NULLIF(value T, null_for T) T",
        "The value, or null if it equals the other.",
        |call| {
            let is_equal = call.value(0).equals(call.value(1));
            Ok(if is_equal {
                Value::Null
            } else {
                call.value(0).clone()
            })
        },
    ),
    lenient("GREATEST(value INT...) INT", GREATEST, greatest),
    lenient("GREATEST(value BIGINT...) BIGINT", GREATEST, greatest),
    lenient("GREATEST(value DOUBLE...) DOUBLE", GREATEST, greatest),
    lenient("GREATEST(value STRING...) STRING", GREATEST, greatest),
    lenient("GREATEST(value BYTES...) BYTES", GREATEST, greatest),
    lenient("GREATEST(value DECIMAL...) DECIMAL", GREATEST, greatest).returning(widest),
    lenient("GREATEST(value DATE...) DATE", GREATEST, greatest),
    lenient("GREATEST(value TIME...) TIME", GREATEST, greatest),
    lenient("GREATEST(value TIMESTAMP...) TIMESTAMP", GREATEST, greatest),
    lenient("LEAST(value INT...) INT", LEAST, least),
    lenient("LEAST(value BIGINT...) BIGINT", LEAST, least),
    lenient("LEAST(value DOUBLE...) DOUBLE", LEAST, least),
    lenient("LEAST(value STRING...) STRING", LEAST, least),
    lenient("LEAST(value BYTES...) BYTES", LEAST, least),
    lenient("LEAST(value DECIMAL...) DECIMAL", LEAST, least).returning(widest),
    lenient("LEAST(value DATE...) DATE", LEAST, least),
    lenient("LEAST(value TIME...) TIME", LEAST, least),
    lenient("LEAST(value TIMESTAMP...) TIMESTAMP", LEAST, least),
];

fn first(call: &Call) -> Outcome {
    Ok(call.value(0).clone())
}

fn first_of(call: &Call) -> Outcome {
    Ok(call
        .values
        .iter()
        .find(|value| !value.is_null())
        .cloned()
        .unwrap_or_default())
}

fn greatest(call: &Call) -> Outcome {
    extreme(call, Ordering::Greater)
}

fn least(call: &Call) -> Outcome {
    extreme(call, Ordering::Less)
}

fn extreme(call: &Call, wanted: Ordering) -> Outcome {
    let values = call.values.iter().filter(|value| !value.is_null());
    let chosen = values.reduce(|best, value| {
        if value.compare(best) == Some(wanted) {
            value
        } else {
            best
        }
    });
    let chosen = chosen.cloned().unwrap_or_default();
    Ok(match (chosen, call.returns) {
        (Value::Decimal(value), Type::Decimal { scale, .. }) => {
            Value::Decimal(value.with_scale(*scale))
        }
        (other, _) => other,
    })
}

/// The decimal that holds every argument.
fn widest(types: &[Type]) -> Result<Type, String> {
    let (mut whole, mut scale) = (0, 0);
    for (digits, places) in types.iter().filter_map(Type::as_decimal) {
        whole = whole.max(digits - places);
        scale = scale.max(places);
    }
    Ok(Type::Decimal {
        precision: (whole + scale).max(1),
        scale,
    })
}
