//! Functions that hide what a text says and show its shape: upper case, lower case, digits, others.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use super::Parameter::{Bigint, Text};
use super::{Arguments, Function, Parameter, Returned, Returns};
use crate::expression::scalar::Scalar;

/// What stands for each kind of character; null leaves it as it is.
const SHOWN: &[(&str, Parameter)] = &[
    ("upper", Text),
    ("lower", Text),
    ("digit", Text),
    ("other", Text),
];
const TEXT: &[(&str, Parameter)] = &[("text", Text)];
const PART: &[(&str, Parameter)] = &[("text", Text), ("n", Bigint)];

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("mask", TEXT, Returns::Text, |arguments, arena| {
        mask(arguments, 1, |_, _| true, arena)
    })
    .optional(SHOWN)
    .sees_null()
    .says("The text with upper case as X, lower case as x, digits as n, everything else as -.")
    .example("mask('Room 12, Ada')", "Xxxx-nn--Xxx"),
    Function::new("mask_left", PART, Returns::Text, |arguments, arena| {
        let n = arguments.bigint(1);
        mask(arguments, 2, |at, _| n.is_some_and(|n| at < n), arena)
    })
    .optional(SHOWN)
    .sees_null()
    .says("The same for the first n characters.")
    .example("mask_left('4915112345678', 9)", "nnnnnnnnn5678"),
    Function::new("mask_right", PART, Returns::Text, |arguments, arena| {
        let n = arguments.bigint(1);
        mask(
            arguments,
            2,
            |at, all| n.is_some_and(|n| at >= all - n),
            arena,
        )
    })
    .optional(SHOWN)
    .sees_null()
    .says("The same for the last n characters.")
    .example("mask_right('4915112345678', 4)", "491511234nnnn"),
    Function::new("mask_keep_left", PART, Returns::Text, |arguments, arena| {
        let n = arguments.bigint(1);
        mask(arguments, 2, |at, _| n.is_some_and(|n| at >= n), arena)
    })
    .optional(SHOWN)
    .sees_null()
    .says("The same for all but the first n characters.")
    .example("mask_keep_left('Ada L.', 1)", "Axx-X-"),
    Function::new(
        "mask_keep_right",
        PART,
        Returns::Text,
        |arguments, arena| {
            let n = arguments.bigint(1);
            mask(
                arguments,
                2,
                |at, all| n.is_some_and(|n| at < all - n),
                arena,
            )
        },
    )
    .optional(SHOWN)
    .sees_null()
    .says("The same for all but the last n characters.")
    .example("mask_keep_right('4915112345678', 3)", "nnnnnnnnnn678"),
];

/// Masks the characters that `hides` by their place and the number of all; the arguments from
/// `first` on say what stands for each kind.
fn mask<'a>(
    arguments: Arguments<'_, 'a>,
    first: usize,
    hides: impl Fn(i64, i64) -> bool,
    arena: &'a Bump,
) -> Returned<'a> {
    if arguments.is_null(0) || (first == 2 && arguments.is_null(1)) {
        return Ok(Scalar::Null);
    }
    let text = arguments.text(0);
    let all = text.chars().count() as i64;
    let shown = |at: usize, default: char| match arguments.values.get(first + at) {
        None => Some(default),
        Some(Scalar::Text(text)) => text.chars().next(),
        Some(_) => None,
    };
    let (upper, lower) = (shown(0, 'X'), shown(1, 'x'));
    let (digit, other) = (shown(2, 'n'), shown(3, '-'));
    let mut masked = ArenaString::with_capacity_in(text.len(), arena);
    for (at, character) in (0..).zip(text.chars()) {
        let mask = match character {
            _ if !hides(at, all) => None,
            _ if character.is_uppercase() => upper,
            _ if character.is_lowercase() => lower,
            _ if character.is_numeric() => digit,
            _ => other,
        };
        masked.push(mask.unwrap_or(character));
    }
    Ok(Scalar::Text(masked.into_bump_str()))
}
