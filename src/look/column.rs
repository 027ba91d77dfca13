//! One column: what its values are, how many are null or come again.

use serde::Serialize;

use super::Seen;
use crate::column::ValueRef;
use crate::number::{Number, with_decimal_point};
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
    /// A number with a comma where others have a point.
    Comma,
    Boolean,
    Time,
    Json,
    Text,
}

const KINDS: [(Kind, &str); 8] = [
    (Kind::Bigint, "bigint"),
    (Kind::Decimal, "decimal"),
    (Kind::Double, "double"),
    (Kind::Comma, "decimal"),
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
    /// The first value of each of them, and where it is.
    first: [Option<(String, String)>; KINDS.len()],
    /// Whether a comma cannot be one between thousands: `1,234` may be, and `1,5` may not.
    has_decimal_comma: bool,
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
    /// Where it is.
    pub odd_at: Option<String>,
    /// The numbers that have a comma where others have a point.
    pub decimal_commas: Option<Among>,
    /// Whether one of them cannot be read otherwise, as `1,234` can.
    pub has_decimal_comma: bool,
    /// Of a text many of whose values are numbers, those that are not.
    pub text_among_numbers: Option<Among>,
}

/// Some values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Among {
    /// How many there are.
    pub count: u64,
    /// The first.
    pub first: String,
    /// Where it is.
    pub at: String,
}

impl Tally {
    /// Counts a value that is somewhere; of numbers with a decimal comma if that was said.
    pub fn add(&mut self, value: ValueRef<'_>, has_commas: bool, at: impl Fn() -> String) {
        let (ValueRef::Any(text) | ValueRef::Text(text)) = value else {
            self.nulls += 1;
            return;
        };
        let kind = match with_decimal_point(text).filter(|_| has_commas) {
            Some(number) => kind_of(&number),
            None => kind_of(text),
        };
        self.has_decimal_comma |= kind == Kind::Comma && !may_be_thousands(text);
        let kind = kind as usize;
        self.kinds[kind] += 1;
        if self.kinds[kind] == 1 {
            self.first[kind] = Some((cut(text), at()));
        }
        let is_new = !self.seen.came_before(text.as_bytes());
        if is_new && self.examples.len() < EXAMPLES {
            self.examples.push(cut(text));
        }
    }

    /// Returns whether all values so far are numbers, and there are some.
    pub fn is_of_numbers(&self) -> bool {
        let [bigint, decimal, double, comma, others @ ..] = self.kinds;
        bigint + decimal + double + comma > 0 && others.iter().all(|&count| count == 0)
    }

    /// Returns the first of its values.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    pub fn finish(self, name: String) -> ColumnFound {
        /// A text whose values are numbers this often is not meant to be one: one in ten.
        const MANY: u64 = 10;
        let [bigint, decimal, double, comma, boolean, time, json, text] = self.kinds;
        let values: u64 = self.kinds.iter().sum();
        let numbers = bigint + decimal + double + comma;
        // Of numbers the widest counts, of others what most are.
        let (kind, of_kind) = match numbers * 2 > values {
            true if double > 0 => (Kind::Double, numbers),
            true if decimal + comma > 0 => (Kind::Decimal, numbers),
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
            Kind::Bigint | Kind::Decimal | Kind::Double | Kind::Comma => !is_number(nth),
            kind => nth != kind as usize,
        };
        let first = |is_meant: &dyn Fn(usize) -> bool| {
            let first = self.first.iter().enumerate();
            let mut first = first.filter(|(nth, _)| is_meant(*nth));
            first.find_map(|(_, first)| first.clone())
        };
        let (first_odd, odd_at) = first(&is_odd).unzip();
        let among = |count: u64, is_meant: &dyn Fn(usize) -> bool| {
            let (first, at) = first(is_meant).filter(|_| count > 0)?;
            Some(Among { count, first, at })
        };
        let is_mixed = kind == Kind::Text && numbers * MANY >= values;
        let texts = if is_mixed && numbers > 0 {
            values - numbers
        } else {
            0
        };
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
            first_odd,
            odd_at,
            decimal_commas: among(comma, &|nth| nth == Kind::Comma as usize),
            has_decimal_comma: self.has_decimal_comma,
            text_among_numbers: among(texts, &|nth| !is_number(nth)),
        }
    }
}

/// Returns whether the kind of this number is one of numbers.
fn is_number(nth: usize) -> bool {
    nth <= Kind::Comma as usize
}

/// Returns whether the comma of a number may be one between thousands, as in `1,234`.
fn may_be_thousands(text: &str) -> bool {
    let fraction = text.trim_ascii().split_once(',');
    fraction.is_some_and(|(whole, fraction)| !whole.contains('.') && fraction.len() == 3)
}

fn kind_of(text: &str) -> Kind {
    match Number::parse(text.as_bytes()).filter(|_| !is_code(text)) {
        Some(Number::Integer(_)) => return Kind::Bigint,
        Some(Number::Decimal(_)) => return Kind::Decimal,
        Some(Number::Double(_)) => return Kind::Double,
        None => {}
    }
    match text {
        _ if text.contains(',') && has_decimal_comma(text) => Kind::Comma,
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

/// Returns whether a text with a comma is a number once that is a point.
fn has_decimal_comma(text: &str) -> bool {
    let number = with_decimal_point(text);
    let number = number.filter(|number| Number::parse(number.as_bytes()).is_some());
    number.is_some_and(|number| !is_code(&number))
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
        for (line, value) in (2..).zip(values) {
            let value = match *value {
                "" => ValueRef::Null,
                text => ValueRef::Any(text),
            };
            tally.add(value, false, || format!("line {line}"));
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
    fn numbers_with_commas_are_numbers_and_may_be_thousands() {
        for (values, data_type, commas, is_certain) in [
            (&["1,5", "2", "1.234,25"][..], "decimal", 2, true),
            (&["1,234", "2,500"], "decimal", 2, false),
            (&["a", "1,5", "b"], "text", 1, true),
            (&["1,2,3", "a"], "text", 0, false),
        ] {
            let found = found(values);
            let count = found.decimal_commas.as_ref().map_or(0, |among| among.count);
            let is_as_told = (found.data_type, count, found.has_decimal_comma);
            assert_eq!(is_as_told, (data_type, commas, is_certain), "{values:?}");
        }
        let first = found(&["7", "1,5"]).decimal_commas.expect("a comma");
        assert_eq!((&*first.first, &*first.at), ("1,5", "line 3"));
    }

    #[test]
    fn texts_among_numbers_are_counted_and_the_first_has_a_place() {
        let mixed = found(&["1", "n/a", "b", "2"]).text_among_numbers;
        let expected = Among {
            count: 2,
            first: "n/a".to_owned(),
            at: "line 3".to_owned(),
        };
        assert_eq!(mixed, Some(expected));
        let few = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "1"];
        assert_eq!(found(&few).text_among_numbers, None);
        assert_eq!(found(&["1", "2", "n/a"]).odd_at.as_deref(), Some("line 4"));
    }

    #[test]
    fn values_that_come_again_and_nulls_are_counted() {
        let found = found(&["a", "b", "a", "", "c", "d"]);
        assert_eq!((found.values, found.nulls, found.distinct), (5, 1, 4));
        assert_eq!(found.examples, ["a", "b", "c"]);
    }
}
