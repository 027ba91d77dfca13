//! One column: what its values are, how many are null or come again.

use serde::Serialize;

use super::Seen;
use crate::column::ValueRef;
use crate::number::Number;
use crate::term::units::parse_iso;

/// How many examples are kept.
const EXAMPLES: usize = 3;
/// An example is no longer than this.
const MAX_EXAMPLE: usize = 60;

/// What values of a column are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bigint,
    Decimal,
    Double,
    Boolean,
    Time,
    Json,
    Text,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Bigint, "bigint"),
    (Kind::Decimal, "decimal"),
    (Kind::Double, "double"),
    (Kind::Boolean, "boolean"),
    (Kind::Time, "timestamp"),
    (Kind::Json, "json"),
    (Kind::Text, "text"),
];

/// Counts a column's values.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    nulls: u64,
    /// How many values are of each of [`KINDS`].
    kinds: [u64; KINDS.len()],
    /// The first value of each of them.
    first: [Option<String>; KINDS.len()],
    examples: Vec<String>,
    seen: Seen,
}

impl Clone for Seen {
    fn clone(&self) -> Self {
        Seen(self.0.clone())
    }
}

/// What is known of a column.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnFound {
    /// Its name.
    pub name: String,
    /// What most of its values are: the type that they have in use.
    #[serde(rename = "type")]
    pub data_type: &'static str,
    /// How many values are there, and how many are null.
    pub values: u64,
    /// How many are null: missing, or empty.
    pub nulls: u64,
    /// How many different ones there are; at least this many from a million on.
    pub distinct: u64,
    /// The first different ones.
    pub examples: Vec<String>,
    /// How many are not of the type, though most are; they are not numbers, or not times.
    pub odd: u64,
    /// The first of those.
    pub first_odd: Option<String>,
}

impl Tally {
    pub fn add(&mut self, value: ValueRef<'_>) {
        let (ValueRef::Any(text) | ValueRef::Text(text)) = value else {
            self.nulls += 1;
            return;
        };
        let kind = kind_of(text) as usize;
        self.kinds[kind] += 1;
        if self.kinds[kind] == 1 {
            self.first[kind] = Some(cut(text));
        }
        let is_new = !self.seen.came_before(text.as_bytes());
        if is_new && self.examples.len() < EXAMPLES {
            self.examples.push(cut(text));
        }
    }

    /// Returns whether all values so far are numbers, and there are some.
    pub fn is_of_numbers(&self) -> bool {
        let [bigint, decimal, double, others @ ..] = self.kinds;
        bigint + decimal + double > 0 && others.iter().all(|&count| count == 0)
    }

    /// Returns the first of its values.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    pub fn finish(self, name: String) -> ColumnFound {
        let [bigint, decimal, double, boolean, time, json, text] = self.kinds;
        let values: u64 = self.kinds.iter().sum();
        let numbers = bigint + decimal + double;
        // Of numbers the widest counts, of others what most are.
        let (kind, of_kind) = match numbers * 2 > values {
            true if double > 0 => (Kind::Double, numbers),
            true if decimal > 0 => (Kind::Decimal, numbers),
            true => (Kind::Bigint, numbers),
            false => [
                (Kind::Boolean, boolean),
                (Kind::Time, time),
                (Kind::Json, json),
            ]
            .into_iter()
            .find(|(_, count)| count * 2 > values)
            .unwrap_or((Kind::Text, values)),
        };
        let is_odd = |nth: usize| match kind {
            Kind::Text => false,
            Kind::Bigint | Kind::Decimal | Kind::Double => nth > Kind::Double as usize,
            kind => nth != kind as usize,
        };
        let first = self.first.iter().enumerate();
        let first_odd = first.filter(|(nth, _)| is_odd(*nth));
        debug_assert!(text <= values);
        ColumnFound {
            name,
            data_type: match values {
                0 => "null",
                _ => KINDS[kind as usize].1,
            },
            values,
            nulls: self.nulls,
            distinct: self.seen.len(),
            examples: self.examples,
            odd: values - of_kind,
            first_odd: first_odd.filter_map(|(_, first)| first.clone()).next(),
        }
    }
}

fn kind_of(text: &str) -> Kind {
    match Number::parse(text.as_bytes()).filter(|_| !is_code(text)) {
        Some(Number::Integer(_)) => return Kind::Bigint,
        Some(Number::Decimal(_)) => return Kind::Decimal,
        Some(Number::Double(_)) => return Kind::Double,
        None => {}
    }
    match text {
        "true" | "false" => Kind::Boolean,
        _ if text.starts_with(['{', '['])
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() =>
        {
            Kind::Json
        }
        _ if parse_iso(text.trim_ascii()).is_some() => Kind::Time,
        _ => Kind::Text,
    }
}

/// Returns whether digits are a code, as of a telephone, and no amount: a zero or a plus before them counts.
pub(super) fn is_code(text: &str) -> bool {
    let zeros = text.strip_prefix('0');
    zeros.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || text.starts_with('+')
}

/// Returns a text, or its beginning.
fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let mut start: String = characters.by_ref().take(MAX_EXAMPLE).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&str]) -> ColumnFound {
        let mut tally = Tally::default();
        for value in values {
            tally.add(match *value {
                "" => ValueRef::Null,
                text => ValueRef::Any(text),
            });
        }
        tally.finish("c".to_owned())
    }

    #[test]
    fn a_column_is_what_most_of_its_values_are() {
        for (values, data_type, odd) in [
            (&["1", "2", "", "30"][..], "bigint", 0),
            (&["1", "2", "007"], "bigint", 1),
            (&["+49151", "0151", "7"], "text", 0),
            (&["1", "2.5", "n/a"], "decimal", 1),
            (&["1", "1e3", "2.5"], "double", 0),
            (&["true", "false", "7"], "boolean", 1),
            (&["2026-01-01", "2026-01-01T00:00:00Z", "-"], "timestamp", 1),
            (&["{\"a\":1}", "[]"], "json", 0),
            (&["a", "1"], "text", 0),
            (&["{a", "b"], "text", 0),
            (&["", ""], "null", 0),
        ] {
            let found = found(values);
            assert_eq!((found.data_type, found.odd), (data_type, odd), "{values:?}");
            assert_eq!(found.first_odd.is_some(), odd > 0, "{values:?}");
        }
    }

    #[test]
    fn values_that_come_again_and_nulls_are_counted() {
        let found = found(&["a", "b", "a", "", "c", "d"]);
        assert_eq!((found.values, found.nulls, found.distinct), (5, 1, 4));
        assert_eq!(found.examples, ["a", "b", "c"]);
    }
}
