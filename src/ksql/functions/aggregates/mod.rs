//! Aggregates, a file a family.

mod lists;
mod numbers;
mod offsets;
mod statistics;

use super::{Aggregate, Outcome, Spec};
use crate::ksql::value::Value;

pub(super) const FAMILIES: &[&[Aggregate]] = &[
    numbers::AGGREGATES,
    lists::AGGREGATES,
    offsets::AGGREGATES,
    statistics::AGGREGATES,
];

/// The result is the state.
fn as_it_is(_: &Spec, state: &Value) -> Outcome {
    Ok(state.clone())
}
