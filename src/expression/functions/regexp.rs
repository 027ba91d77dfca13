//! Functions of regular expressions, those of the `regex` crate: no backtracking, so no text can
//! make a pattern slow; no references back and no looking around.

use std::cell::RefCell;

use bumpalo::Bump;
use regex::{Captures, Regex, Replacer};

use super::Parameter::{Bigint, Text};
use super::{Constants, Function, MAX_GROWTH, Returns, check_growth};
use crate::expression::scalar::{Reason, Scalar};

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
    .says("Whether any part of the text matches a regular expression.")
    .example("regexp_like('+49151', '^[+][0-9]+$')", "true"),
    Function::new(
        "regexp_extract",
        &[("pattern", Text), ("text", Text)],
        Returns::Text,
        |arguments, _| {
            let group = match arguments.values.len() {
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
            let text = arguments.text(0);
            let new = Replacement {
                new: arguments.text(2),
                most: text.len() + MAX_GROWTH,
            };
            let replaced = with(arguments.text(1), |regex| regex.replace_all(text, new))?;
            check_growth(replaced.len(), text.len())?;
            Ok(match replaced {
                std::borrow::Cow::Borrowed(_) => Scalar::Text(text),
                std::borrow::Cow::Owned(replaced) => Scalar::Text(&*arena.alloc_str(&replaced)),
            })
        },
    )
    .checks(|constants| check(constants, 1))
    .says("The text with each part that matches replaced; `$1` is the first group.")
    .example("regexp_replace('a1b22', '[0-9]+', '.')", "a.b."),
];

/// What a match becomes, as Java's `Matcher.replaceAll` reads it: `$1` is a group, `$12` the
/// twelfth only if there are that many, `${name}` one with a name, and what is behind `\\` stands
/// for itself. A group that is not there is empty, a `$` with none behind it itself, where Java
/// fails.
struct Replacement<'n> {
    new: &'n str,
    /// Nothing more is put in once the text is longer than this, for it will be refused.
    most: usize,
}

impl Replacer for Replacement<'_> {
    fn replace_append(&mut self, found: &Captures<'_>, replaced: &mut String) {
        let mut rest = self.new;
        while let Some(at) = rest.find(['$', '\\']) {
            if replaced.len() > self.most {
                return;
            }
            replaced.push_str(&rest[..at]);
            let (sign, behind) = rest[at..].split_at(1);
            let (part, length) = match sign {
                "$" => group(behind, found).unwrap_or(("$", 0)),
                _ => {
                    let next = behind.chars().next().map_or(0, char::len_utf8);
                    (&behind[..next], next)
                }
            };
            replaced.push_str(part);
            rest = &behind[length..];
        }
        if replaced.len() <= self.most {
            replaced.push_str(rest);
        }
    }
}

/// Returns the group that a text names at its front, and how many bytes name it.
fn group<'f>(text: &str, found: &Captures<'f>) -> Option<(&'f str, usize)> {
    if let Some((name, _)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        let part = found.name(name).map_or("", |part| part.as_str());
        return Some((part, name.len() + 2));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // The first digit is a group in any case, the others where there are that many.
    let is_group = |length: &usize| {
        let number = text[..*length].parse::<usize>();
        *length == 1 || number.is_ok_and(|number| number < found.len())
    };
    let length = (1..=digits).take_while(is_group).last()?;
    let number = text[..length].parse().unwrap_or(usize::MAX);
    let part = found.get(number).map_or("", |part| part.as_str());
    Some((part, length))
}

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
    format!("the regular expression is invalid: {reason}")
}

/// Calls `f` with a compiled pattern. The last ones are kept, since most often all rows have one.
fn with<T>(pattern: &str, f: impl FnOnce(&Regex) -> T) -> Result<T, Reason> {
    /// How many patterns are kept.
    const MAX_PATTERNS: usize = 16;
    thread_local! {
        static COMPILED: RefCell<Vec<Regex>> = const { RefCell::new(Vec::new()) };
    }
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(regex) = compiled.iter().find(|regex| regex.as_str() == pattern) {
            return Ok(f(regex));
        }
        let regex = Regex::new(pattern).map_err(|error| Reason::Wrong(describe(&error)))?;
        if compiled.len() == MAX_PATTERNS {
            compiled.clear();
        }
        let result = f(&regex);
        compiled.push(regex);
        Ok(result)
    })
}
