//! The columns of records' values, so that a person sees them below each other: members of JSON
//! objects, fields of the workshop's CSV.
//!
//! Comes in: the first values, which say what the columns are, then each value. Goes out: its fields.
//! A value that does not fit, or has a member that the first ones had not, has none: it is shown as it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::column::DataType;
use crate::column::known;
use crate::format::dialect::{Dialect, csv_reader};
use crate::format::schema;
use crate::number::is_bare;
use crate::source::{Message, Records};

/// The columns of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    names: Vec<String>,
    is_json: bool,
}

/// A field of a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field<'v> {
    /// JSON's null, an absent member, an empty field of CSV.
    Null,
    /// A number, or what JSON has no quotes around.
    Bare(Cow<'v, str>),
    /// Text.
    Text(Cow<'v, str>),
}

impl Spread {
    /// Returns the columns of the first values; `None` where they have none.
    pub(super) fn of(messages: &[Message<'_>]) -> Option<Self> {
        let mut values = messages.iter().filter_map(|message| message.value);
        let first = values.find(|value| !value.trim_ascii().is_empty())?;
        let is_json = first.trim_ascii_start().starts_with(b"{");
        let names = if is_json {
            let found = schema::of_objects(&Records::Messages(messages.to_vec()));
            found.fields.into_iter().map(|field| field.name).collect()
        } else {
            known::known_header(fields_of(first)?.len())?
        };
        let spread = Spread { names, is_json };
        // What the first value is says what the others are, if it is that.
        spread.fields(first).map(|_| spread)
    }

    /// Returns the names of the columns; one that the record's own columns have is called `value.…`.
    pub(super) fn columns<'s>(&'s self, taken: &[&str]) -> impl Iterator<Item = Cow<'s, str>> {
        self.names.iter().map(move |name| {
            if taken.contains(&name.as_str()) {
                format!("value.{name}").into()
            } else {
                name.into()
            }
        })
    }

    /// Returns which columns have numbers alone in some values.
    pub(super) fn are_numbers(&self, messages: &[Message<'_>]) -> Vec<bool> {
        let mut are_numbers = vec![true; self.names.len()];
        let values = messages.iter().filter_map(|message| message.value);
        for fields in values.filter_map(|value| self.fields(value)) {
            for (is_number, field) in are_numbers.iter_mut().zip(fields) {
                *is_number &= matches!(field, Field::Null | Field::Bare(_));
            }
        }
        are_numbers
    }

    /// Returns which columns hold times in ms.
    pub(super) fn times(&self) -> impl Iterator<Item = bool> {
        let names = self.names.iter();
        names.map(|name| known::known_type(name) == Some(DataType::Bigint))
    }

    /// Returns a field for each column; `None` for a value that does not fit.
    pub(super) fn fields<'v>(&self, value: &'v [u8]) -> Option<Vec<Field<'v>>> {
        let fields = if self.is_json {
            self.members(value)?
        } else {
            fields_of(value)?
        };
        (fields.len() == self.names.len()).then_some(fields)
    }

    fn members<'v>(&self, value: &'v [u8]) -> Option<Vec<Field<'v>>> {
        let Members(members) = serde_json::from_slice(value).ok()?;
        let mut fields = vec![Field::Null; self.names.len()];
        for (nth, (name, value)) in members.into_iter().enumerate() {
            // Members mostly come in the same order.
            let as_before = self.names.get(nth).is_some_and(|own| *own == name);
            let at = match as_before {
                true => nth,
                false => self.names.iter().position(|own| *own == name)?,
            };
            fields[at] = field_of(value.get());
        }
        Some(fields)
    }
}

fn field_of(json: &str) -> Field<'_> {
    match json.as_bytes() {
        b"null" => Field::Null,
        [b'"', ..] => match serde_json::from_str::<Cow<'_, str>>(json) {
            Ok(text) => Field::Text(text),
            Err(_) => Field::Bare(json.into()),
        },
        _ => Field::Bare(json.into()),
    }
}

/// Returns the fields of a line of CSV.
fn fields_of(line: &[u8]) -> Option<Vec<Field<'static>>> {
    let mut reader = csv_reader(line, Dialect::default().delimiter);
    let mut records = reader.records();
    let record = records.next()?.ok()?;
    if records.next().is_some() {
        return None;
    }
    let field = |text: &str| match text {
        "" => Field::Null,
        text if is_bare(text) => Field::Bare(text.to_owned().into()),
        text => Field::Text(text.to_owned().into()),
    };
    Some(record.iter().map(field).collect())
}

/// The members of a JSON object.
struct Members<'v>(Vec<(Cow<'v, str>, &'v RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct OfObject;
        impl<'de> Visitor<'de> for OfObject {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((member.0.0, member.1));
                }
                Ok(Members(members))
            }
        }
        object.deserialize_map(OfObject)
    }
}

/// A member's name, borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Name<'v>(#[serde(borrow)] Cow<'v, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Headers;

    fn message(value: &[u8]) -> Message<'_> {
        Message {
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            value: Some(value),
            headers: Headers::NONE,
        }
    }

    fn spread(values: &[&'static str]) -> Option<Spread> {
        let messages: Vec<Message<'_>> = values.iter().map(|v| message(v.as_bytes())).collect();
        Spread::of(&messages)
    }

    #[test]
    fn members_are_columns_in_the_order_of_their_first_appearance() {
        let spread = spread(&[r#"{"a":1,"key":"x"}"#, r#"{"b":null,"a":2}"#]).expect("objects");
        let columns: Vec<_> = spread.columns(&["key"]).collect();
        assert_eq!(columns, ["a", "value.key", "b"]);
        assert_eq!(
            spread.fields(br#"{"b":{"c":1.50},"a":"\u00e9"}"#),
            Some(vec![
                Field::Text("é".into()),
                Field::Null,
                Field::Bare(r#"{"c":1.50}"#.into())
            ])
        );
    }

    #[test]
    fn what_does_not_fit_has_no_fields() {
        let objects = spread(&[r#"{"a":1}"#]).expect("objects");
        for value in [r#"{"a":1,"z":2}"#, r#"{"a":1"#, "[1]", "x", ""] {
            assert_eq!(objects.fields(value.as_bytes()), None, "{value}");
        }
        let segments = spread(&["1,T001,5,9"]).expect("a segment");
        assert_eq!(segments.fields(b"1,T001,5"), None);
        assert_eq!(
            segments.fields(b"1,,5,9").map(|fields| fields[1].clone()),
            Some(Field::Null)
        );
        for values in [&["one two"][..], &["1,2"], &["{"], &[]] {
            assert_eq!(spread(values), None, "{values:?}");
        }
    }
}
