//! A JSON document as it is written: numbers keep their digits.
//!
//! `serde_json::Value` makes 64-bit numbers of numbers, which DECIMAL(33, 16) does not survive.
//! Here `serde_json` checks the text and cuts it into pieces, and a number stays the text it is.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How deeply a document may nest.
const MAX_NESTING: usize = 128;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// `null`; of a topic: no key, a tombstone.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Document>),
    /// An object, its members in order.
    Object(Vec<(String, Document)>),
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Document::of_raw(raw, 0)
    }

    fn of_raw(raw: &RawValue, depth: usize) -> Result<Self, String> {
        if depth > MAX_NESTING {
            return Err(format!("nested more than {MAX_NESTING} levels deep"));
        }
        let text = raw.get();
        let read = |error: serde_json::Error| error.to_string();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Document::Null,
            Some(b't') => Document::Boolean(true),
            Some(b'f') => Document::Boolean(false),
            Some(b'"') => Document::Text(serde_json::from_str(text).map_err(read)?),
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(read)?;
                let elements = elements
                    .into_iter()
                    .map(|element| Document::of_raw(element, depth + 1));
                Document::Array(elements.collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let mut deserializer = serde_json::Deserializer::from_str(text);
                let members = deserializer.deserialize_map(Members).map_err(read)?;
                let members = members
                    .into_iter()
                    .map(|(name, member)| Ok((name, Document::of_raw(member, depth + 1)?)));
                Document::Object(members.collect::<Result<_, String>>()?)
            }
            _ => Document::Number(text.to_owned()),
        })
    }

    /// Returns the member of an object.
    pub fn get(&self, name: &str) -> Option<&Document> {
        match self {
            Document::Object(members) => members
                .iter()
                .rfind(|(member, _)| member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns a string's text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Document::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Document::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Returns what kind of value it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Document::Null => "null",
            Document::Boolean(_) => "a boolean",
            Document::Number(_) => "a number",
            Document::Text(_) => "a string",
            Document::Array(_) => "an array",
            Document::Object(_) => "an object",
        }
    }

    /// Returns its text, cut where it is long.
    pub fn shown(&self) -> String {
        let text = self.to_string();
        match text.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// Without blanks.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Document::Null => f.write_str("null"),
            Document::Boolean(value) => write!(f, "{value}"),
            Document::Number(digits) => f.write_str(digits),
            Document::Text(value) => f.write_str(&text(value)?),
            Document::Array(elements) => {
                f.write_str("[")?;
                for (nth, element) in elements.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { "," };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Document::Object(members) => {
                f.write_str("{")?;
                for (nth, (name, value)) in members.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{value}", text(name)?)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Reads an object's members without looking into them.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_as_it_was_read() {
        for text in [
            "null",
            "1.10",
            "12345678987654321.2345678987654321",
            "[1,{\"a\":[]}]",
            "\"\\\"\"",
            "{\"b\":1,\"a\":2}",
        ] {
            assert_eq!(Document::parse(text).expect("JSON").to_string(), text);
        }
    }

    #[test]
    fn no_text_overflows_the_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Document::parse(&deep).is_err());
        for text in ["", "{", "[1,]", "nul", "1 2"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }
}
