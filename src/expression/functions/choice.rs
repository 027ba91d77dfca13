//! Functions that choose between values of one type, null among them.

use std::cmp::Ordering;

use super::Parameter::Any;
use super::{Arguments, Function, Returned, Returns};
use crate::expression::scalar::Scalar;
use crate::number::compare_doubles;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new(
        "coalesce",
        &[("value", Any)],
        Returns::Same,
        |arguments, _| {
            let present = arguments.each().find(|value| *value != Scalar::Null);
            Ok(present.unwrap_or(Scalar::Null))
        },
    )
    .repeats()
    .sees_null()
    .chooses(all_before_are_null)
    .says("The first of its arguments that is not null.")
    .example("coalesce(null, 'b', 'c')", "b"),
    Function::new(
        "ifnull",
        &[("value", Any), ("instead", Any)],
        Returns::Same,
        |arguments, _| Ok(arguments.get(usize::from(arguments.is_null(0)))),
    )
    .sees_null()
    .chooses(all_before_are_null)
    .says("The value, or the other one if it is null.")
    .example("ifnull(null, 0)", "0"),
    Function::new(
        "nullif",
        &[("value", Any), ("null value", Any)],
        Returns::Same,
        |arguments, _| {
            if are_equal(arguments) {
                Ok(Scalar::Null)
            } else {
                Ok(arguments.get(0))
            }
        },
    )
    .sees_null()
    .says("The value, or null if it equals the other one.")
    .example("nullif('', '')", "null"),
    Function::new(
        "greatest",
        &[("value", Any)],
        Returns::Same,
        |arguments, _| extreme(arguments, Ordering::Greater),
    )
    .repeats()
    .sees_null()
    .says("The highest of its arguments, ignoring nulls.")
    .example("greatest(3, null, 7)", "7"),
    Function::new("least", &[("value", Any)], Returns::Same, |arguments, _| {
        extreme(arguments, Ordering::Less)
    })
    .repeats()
    .sees_null()
    .says("The lowest of its arguments, ignoring nulls.")
    .example("least('b', 'a')", "a"),
];

fn all_before_are_null(arguments: Arguments<'_, '_>, nth: usize) -> bool {
    (0..nth).all(|before| arguments.is_null(before))
}

fn are_equal(arguments: Arguments<'_, '_>) -> bool {
    match (arguments.get(0), arguments.get(1)) {
        (Scalar::Text(left), Scalar::Text(right)) => arguments.compare(left, right).is_eq(),
        (left, right) => left == right,
    }
}

fn extreme<'a>(arguments: Arguments<'_, 'a>, wanted: Ordering) -> Returned<'a> {
    let mut extreme = Scalar::Null;
    for value in arguments.each() {
        let better = match (value, extreme) {
            (Scalar::Null, _) => false,
            (_, Scalar::Null) => true,
            (Scalar::Bigint(value), Scalar::Bigint(best)) => value.cmp(&best) == wanted,
            (Scalar::Double(value), Scalar::Double(best)) => compare_doubles(value, best) == wanted,
            (Scalar::Decimal(value), Scalar::Decimal(best)) => value.cmp(&best) == wanted,
            (Scalar::Boolean(value), Scalar::Boolean(best)) => value.cmp(&best) == wanted,
            (Scalar::Text(value), Scalar::Text(best)) => arguments.compare(value, best) == wanted,
            _ => false,
        };
        if better {
            extreme = value;
        }
    }
    Ok(extreme)
}
