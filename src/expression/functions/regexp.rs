//! Functions of regular expressions, those of the `regex` crate: no backtracking, so no text can
//! make a pattern slow; no references back and no looking around.

use std::cell::RefCell;

use bumpalo::Bump;
use regex::Regex;

use super::Parameter::{Bigint, Text};
use super::{Constants, Function, Returns};
use crate::expression::eval::Reason;
use crate::expression::tree::Scalar;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new(
        "regexp_like",
        &[("text", Text), ("pattern", Text)],
        Returns::Boolean,
        |arguments, _| {
            with(arguments.text(1), |regex| {
                Scalar::Boolean(regex.is_match(arguments.text(0)))
            })
        },
    )
    .checks(|constants| check(constants, 1))
    .says("Whether a part of the text matches a regular expression.")
    .example("regexp_like('+49151', '^[+][0-9]+$')", "true"),
    Function::new(
        "regexp_extract",
        &[("pattern", Text), ("text", Text)],
        Returns::Text,
        |arguments, _| {
            let group = match arguments.0.len() {
                3 => arguments
                    .bigint(2)
                    .and_then(|group| usize::try_from(group).ok()),
                _ => Some(0),
            };
            with(arguments.text(0), |regex| {
                let found = regex.captures(arguments.text(1));
                let part = found.zip(group).and_then(|(found, group)| found.get(group));
                part.map_or(Scalar::Null, |part| Scalar::Text(part.as_str()))
            })
        },
    )
    .optional(&[("group", Bigint)])
    .checks(|constants| check(constants, 0))
    .says("The first part of the text that matches, or a group of it; null if there is none.")
    .example("regexp_extract('(.)(.)$', 'tower', 1)", "e"),
    Function::new(
        "regexp_replace",
        &[("text", Text), ("pattern", Text), ("new", Text)],
        Returns::Text,
        |arguments, arena: &Bump| {
            let (text, new) = (arguments.text(0), arguments.text(2));
            with(arguments.text(1), |regex| {
                match regex.replace_all(text, new) {
                    std::borrow::Cow::Borrowed(_) => Scalar::Text(text),
                    std::borrow::Cow::Owned(replaced) => Scalar::Text(&*arena.alloc_str(&replaced)),
                }
            })
        },
    )
    .checks(|constants| check(constants, 1))
    .says("The text with each part that matches replaced; `$1` is the first group.")
    .example("regexp_replace('a1b22', '[0-9]+', '.')", "a.b."),
];

fn check(constants: Constants<'_>, at: usize) -> Result<(), (usize, String)> {
    match constants.text(at).map(Regex::new) {
        Some(Err(error)) => Err((at, describe(&error))),
        _ => Ok(()),
    }
}

/// Says in one line what is wrong with a regular expression.
fn describe(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    format!("the regular expression is wrong: {reason}")
}

/// Calls `f` with a compiled pattern. The last ones are kept, since most often all rows have one.
fn with<T>(pattern: &str, f: impl FnOnce(&Regex) -> T) -> Result<T, Reason> {
    /// How many patterns are kept.
    const MOST: usize = 16;
    thread_local! {
        static COMPILED: RefCell<Vec<Regex>> = const { RefCell::new(Vec::new()) };
    }
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(regex) = compiled.iter().find(|regex| regex.as_str() == pattern) {
            return Ok(f(regex));
        }
        let regex = Regex::new(pattern).map_err(|error| Reason::Wrong(describe(&error)))?;
        if compiled.len() == MOST {
            compiled.clear();
        }
        let result = f(&regex);
        compiled.push(regex);
        Ok(result)
    })
}
