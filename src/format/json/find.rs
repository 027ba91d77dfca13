//! What lies in one JSON value, as it is written.

use std::borrow::Cow;
use std::fmt;

use bumpalo::Bump;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::column::derived::Step;

/// Returns what lies in JSON at the end of some steps, as it is written; `None` where there is nothing,
/// or no JSON.
pub fn find<'a>(json: &'a [u8], steps: &[Step]) -> Option<&'a RawValue> {
    let mut found: &RawValue = serde_json::from_slice(json).ok()?;
    for step in steps {
        let mut value = serde_json::Deserializer::from_str(found.get());
        found = value.deserialize_any(Inner(step)).ok()??;
    }
    Some(found)
}

/// Finds the member or the element that a step leads to.
struct Inner<'s>(&'s Step);

impl<'de> Visitor<'de> for Inner<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let value = members.next_value()?;
            if matches!(self.0, Step::Member(wanted) if *wanted == name) {
                found = Some(value); // of a member named twice the last one counts
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Self::Value, S::Error> {
        let mut found = None;
        for nth in 0.. {
            match elements.next_element()? {
                None => break,
                Some(value) if *self.0 == Step::Element(nth) => found = Some(value),
                Some(_) => {}
            }
        }
        Ok(found)
    }
}

/// Returns the text of a value: of a string without its quotes, of all else as it is written;
/// `None` for null.
pub(crate) fn text_of<'a>(raw: &'a str, arena: &'a Bump) -> serde_json::Result<Option<&'a str>> {
    let Some(inner) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) else {
        return Ok((raw != "null").then_some(raw));
    };
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Some(inner));
    }
    let text: String = serde_json::from_str(raw)?;
    Ok(Some(arena.alloc_str(&text)))
}
