//! The members of an envelope, read in whatever order they stand.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bumpalo::Bump;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Envelope;
use crate::source::Header;

/// The members that make an object an envelope.
#[derive(Deserialize)]
pub(super) struct Members {
    #[serde(rename = "topic")]
    _topic: IgnoredAny,
    #[serde(rename = "partition")]
    _partition: IgnoredAny,
    #[serde(rename = "offset")]
    _offset: IgnoredAny,
    #[serde(default, alias = "payload", deserialize_with = "present")]
    pub value: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    pub value_base64: Option<IgnoredAny>,
}

/// A member that is null is there, too.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<IgnoredAny>, D::Error> {
    IgnoredAny::deserialize(value).map(Some)
}

/// The members of an envelope.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    KeyBase64,
    Headers,
    Value,
    ValueBase64,
    /// kcat's timestamp.
    Ts,
    /// kcat's word for what kind of timestamp that is.
    Tstype,
    /// kcat's value: text, null, or the JSON that it has decoded.
    Payload,
    #[serde(other)]
    Other,
}

/// Reads an envelope.
pub(super) struct EnvelopeVisitor<'a> {
    pub arena: &'a Bump,
}

impl<'de> Visitor<'de> for EnvelopeVisitor<'de> {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Envelope<'de>, M::Error> {
        let arena = self.arena;
        let text = || TextSeed { arena };
        let (mut topic, mut partition, mut offset, mut timestamp) = (None, None, None, None);
        let (mut key, mut value, mut headers) = (None, None, Vec::new());
        let mut is_timed = true;
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                Member::Topic => topic = members.next_value_seed(text())?,
                Member::Partition => partition = Some(members.next_value()?),
                Member::Offset => offset = Some(members.next_value()?),
                Member::Timestamp => timestamp = members.next_value()?,
                Member::Key => {
                    let text = members.next_value_seed(text())?;
                    key = text.map(str::as_bytes).or(key);
                }
                Member::Value => {
                    let text = members.next_value_seed(text())?;
                    value = Some(text.map(str::as_bytes).or(value.flatten()));
                }
                Member::KeyBase64 => {
                    let text = members.next_value_seed(text())?;
                    key = decode(text, arena)?.or(key);
                }
                Member::ValueBase64 => {
                    let text = members.next_value_seed(text())?;
                    value = Some(decode(text, arena)?.or(value.flatten()));
                }
                Member::Headers => {
                    // Few records have any, and an empty list owns nothing.
                    let owned: Vec<HeaderPart> = members.next_value()?;
                    headers = read_headers(owned, arena)?;
                }
                Member::Ts => timestamp = members.next_value()?,
                Member::Tstype => is_timed = members.next_value::<Cow<'_, str>>()? != "unknown",
                Member::Payload => {
                    let payload: &'de RawValue = members.next_value()?;
                    value = Some(read_payload(payload, arena).map_err(M::Error::custom)?);
                }
                Member::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Envelope {
            topic: topic.ok_or_else(|| M::Error::missing_field("topic"))?,
            partition: partition.ok_or_else(|| M::Error::missing_field("partition"))?,
            offset: offset.ok_or_else(|| M::Error::missing_field("offset"))?,
            timestamp: timestamp.filter(|_| is_timed),
            key,
            headers,
            value: value.ok_or_else(|| M::Error::missing_field("value"))?,
        })
    }
}

/// What is in a list of headers: a header, or of kcat's a name or a value.
#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderPart {
    Text(Option<String>),
    Header(Vec<Option<String>>),
}

/// Takes over a list of headers; kcat writes names and values in turn.
fn read_headers<'a, E: serde::de::Error>(
    parts: Vec<HeaderPart>,
    arena: &'a Bump,
) -> Result<Vec<Header<'a>>, E> {
    let mut headers = Vec::new();
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        let header = match (part, parts.as_slice().first()) {
            (HeaderPart::Header(header), _) => header,
            (HeaderPart::Text(name), Some(HeaderPart::Text(value))) => {
                let header = vec![name, value.clone()];
                parts.next();
                header
            }
            (HeaderPart::Text(_), _) => return Err(E::custom("the name of a header has no value")),
        };
        headers.push(read_header(&header, arena)?);
    }
    Ok(headers)
}

/// Takes over a value as kcat prints it: a text is the value; an object, which it has decoded, is
/// kept as JSON.
fn read_payload<'a>(
    payload: &'a RawValue,
    arena: &'a Bump,
) -> Result<Option<&'a [u8]>, serde_json::Error> {
    let json = payload.get();
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => {
            let text: &str = match serde_json::from_str(json)? {
                Cow::Borrowed(text) => text,
                Cow::Owned(text) => arena.alloc_str(&text),
            };
            Ok(Some(text.as_bytes()))
        }
        _ => Ok(Some(json.as_bytes())),
    }
}

/// Takes over `[name, text]` or `[name, null, base64]`.
fn read_header<'a, E: serde::de::Error>(
    header: &[Option<String>],
    arena: &'a Bump,
) -> Result<Header<'a>, E> {
    let (name, text, base64) = match header {
        [Some(name), text] => (name, text.as_deref(), None),
        [Some(name), text, base64] => (name, text.as_deref(), base64.as_deref()),
        _ => return Err(E::custom("a header must be written [name, value]")),
    };
    let text = text.map(|text| arena.alloc_str(text).as_bytes());
    Ok(Header {
        name: arena.alloc_str(name).as_bytes(),
        value: decode(base64, arena)?.or(text),
    })
}

fn decode<'a, E: serde::de::Error>(
    base64: Option<&str>,
    arena: &'a Bump,
) -> Result<Option<&'a [u8]>, E> {
    let Some(base64) = base64 else {
        return Ok(None);
    };
    let buffer = arena.alloc_slice_fill_copy(base64::decoded_len_estimate(base64.len()), 0);
    match STANDARD.decode_slice(base64, buffer) {
        Ok(length) => Ok(Some(&buffer[..length])),
        Err(error) => Err(E::custom(format_args!("not base64: {error}"))),
    }
}

/// Reads text or null; text that was escaped goes to the arena.
struct TextSeed<'a> {
    arena: &'a Bump,
}

impl<'de> DeserializeSeed<'de> for TextSeed<'de> {
    type Value = Option<&'de str>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed<'de> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(self.arena.alloc_str(text)))
    }
}
