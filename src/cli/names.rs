//! The names of topics and groups: with K_PREFIX each person of a class has names of their own.
//!
//! Typed names, defaults of flags, and names taken from files or envelopes all pass through here, once.
//! What `k` derives from a group (its internal topics, its transactions) begins with the group's name,
//! and so with the prefix.

use std::sync::LazyLock;

use crate::error::{Error, Result};

/// The variable that holds the prefix.
const VARIABLE: &str = "K_PREFIX";
static PREFIX: LazyLock<String> = LazyLock::new(|| std::env::var(VARIABLE).unwrap_or_default());

/// Puts the prefix before a name. A name that begins with it stays as it is, so that a name can be
/// copied from what `k` prints.
pub(crate) fn prefixed(name: &str) -> String {
    with_prefix(&PREFIX, name)
}

/// Returns whether a topic or a group has the prefix; without a prefix, all do.
pub(crate) fn is_own(name: &str) -> bool {
    name.starts_with(PREFIX.as_str())
}

/// Parses the name of a topic or a group, for clap.
///
/// # Errors
/// None; clap expects a `Result`.
pub(crate) fn parse(name: &str) -> Result<String, std::convert::Infallible> {
    Ok(prefixed(name))
}

/// Checks the prefix before it is used.
///
/// # Errors
/// `usage` for a prefix that the name of a topic cannot begin with.
pub(crate) fn check() -> Result<()> {
    check_prefix(&PREFIX)
}

fn with_prefix(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) {
        name.to_owned()
    } else {
        format!("{prefix}{name}")
    }
}

fn check_prefix(prefix: &str) -> Result<()> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match prefix.chars().find(|c| !is_allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(Error::usage(format!(
            "the variable {VARIABLE} is `{prefix}`: the name of a topic cannot contain `{c}`"
        ))
        .hint("use letters, digits, `.`, `_` and `-`: K_PREFIX=ada-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_once_before_a_name() {
        assert_eq!(with_prefix("", "calls"), "calls");
        assert_eq!(with_prefix("ada-", "calls"), "ada-calls");
        assert_eq!(with_prefix("ada-", "ada-calls"), "ada-calls");
        assert_eq!(with_prefix("ada-", "ada"), "ada-ada");
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_topics_name() {
        for prefix in ["", "ada-", "team.1_"] {
            assert!(check_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in ["ada/", "ü", "a b"] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
