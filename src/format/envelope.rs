//! Envelopes: one JSON line a record, with everything that a topic keeps of it.
//!
//! In: records, or the lines that [`Writer`] wrote. Out: the other. A record that goes out and
//! comes in again has the same key, value, timestamp and headers, whatever bytes they hold: what is
//! not UTF-8 is written as base64.
//!
//! ```json
//! {"topic":"t","partition":0,"offset":7,"timestamp":1767225600000,"key":"a","headers":[["h","1"]],"value":"…"}
//! {"topic":"t","partition":0,"offset":8,"timestamp":null,"key":null,"headers":[["h",null,"/w=="]],"value_base64":"/w=="}
//! ```
//!
//! What `kcat -J` prints is read, too: `ts` for the timestamp, `payload` for the value, and headers as
//! names and values in turn.
//!
//! Where columns are wanted, [`Decoder`] takes them from the values, as from a topic's records.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bumpalo::Bump;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::dialect::Dialect;
use super::json::reason_of;
use super::{Decoded, Malformed, Origins, Place};
use crate::column::ValueRef;
use crate::notation::push_json;
use crate::source::{Header, Headers, Lines, Message, Read, Records};

/// Writes the records of one topic as envelopes.
#[derive(Debug, Clone)]
pub struct Writer {
    /// What every line begins with, as far as the partition's number.
    head: Vec<u8>,
}

impl Writer {
    /// Returns a writer of the records of `topic`.
    pub fn new(topic: &str) -> Self {
        let mut head = b"{\"topic\":".to_vec();
        push_json(&mut head, ValueRef::Text(topic));
        head.extend_from_slice(b",\"partition\":");
        Writer { head }
    }

    /// Appends a record as one line.
    pub fn push(&self, lines: &mut Vec<u8>, message: &Message<'_>) {
        self.push_with(lines, message, message.headers.iter());
    }

    fn push_with<'h>(
        &self,
        lines: &mut Vec<u8>,
        message: &Message<'_>,
        headers: impl Iterator<Item = Header<'h>>,
    ) {
        lines.extend_from_slice(&self.head);
        push_integer(lines, message.partition.into());
        lines.extend_from_slice(b",\"offset\":");
        push_integer(lines, message.offset);
        lines.extend_from_slice(b",\"timestamp\":");
        match message.timestamp {
            Some(timestamp) => push_integer(lines, timestamp),
            None => lines.extend_from_slice(b"null"),
        }
        push_member(lines, "key", message.key);
        lines.extend_from_slice(b",\"headers\":[");
        for (nth, header) in headers.enumerate() {
            lines.extend_from_slice(if nth > 0 { b",[" } else { b"[" });
            push_header(lines, header);
            lines.push(b']');
        }
        lines.push(b']');
        push_member(lines, "value", message.value);
        lines.extend_from_slice(b"}\n");
    }
}

fn push_integer(lines: &mut Vec<u8>, value: i64) {
    lines.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `,"name":"text"`, or `,"name_base64":"…"` for bytes that are not UTF-8.
fn push_member(lines: &mut Vec<u8>, name: &str, bytes: Option<&[u8]>) {
    lines.extend_from_slice(b",\"");
    lines.extend_from_slice(name.as_bytes());
    match Text::of(bytes) {
        Text::Null => lines.extend_from_slice(b"\":null"),
        Text::Utf8(text) => {
            lines.extend_from_slice(b"\":");
            push_json(lines, ValueRef::Text(text));
        }
        Text::Binary(bytes) => {
            lines.extend_from_slice(b"_base64\":");
            push_base64(lines, bytes);
        }
    }
}

/// Appends `"name","text"`, or `"name",null,"base64"` for bytes that are not UTF-8. Names are text
/// by Kafka's own rule.
fn push_header(lines: &mut Vec<u8>, header: Header<'_>) {
    push_json(lines, ValueRef::Text(&String::from_utf8_lossy(header.name)));
    lines.push(b',');
    match Text::of(header.value) {
        Text::Null => lines.extend_from_slice(b"null"),
        Text::Utf8(text) => push_json(lines, ValueRef::Text(text)),
        Text::Binary(bytes) => {
            lines.extend_from_slice(b"null,");
            push_base64(lines, bytes);
        }
    }
}

fn push_base64(lines: &mut Vec<u8>, bytes: &[u8]) {
    push_json(lines, ValueRef::Text(&STANDARD.encode(bytes)));
}

/// Bytes by how JSON can hold them.
enum Text<'a> {
    Null,
    Utf8(&'a str),
    Binary(&'a [u8]),
}

impl<'a> Text<'a> {
    fn of(bytes: Option<&'a [u8]>) -> Self {
        match bytes {
            None => Text::Null,
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Text::Utf8(text),
                Err(_) => Text::Binary(bytes),
            },
        }
    }
}

/// A record as an envelope has it; text borrows from the line, or from an arena where the line
/// had it escaped or as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The topic that it was read from.
    pub topic: &'a str,
    /// The partition that it was read from.
    pub partition: i32,
    /// Its place in that partition.
    pub offset: i64,
    /// In ms since 1970, UTC; `None` when it had none.
    pub timestamp: Option<i64>,
    /// `None` for null.
    pub key: Option<&'a [u8]>,
    /// In their order; names may come twice.
    pub headers: Vec<Header<'a>>,
    /// `None` for null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    /// Returns whether a line is an envelope: an object with topic, partition, offset and value, or
    /// kcat's payload.
    pub fn is(line: &[u8]) -> bool {
        let members = serde_json::from_slice::<Members>(line);
        members.is_ok_and(|members| members.value.is_some() || members.value_base64.is_some())
    }

    /// Reads a line; members that no envelope has are passed over.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn parse(line: &'a [u8], arena: &'a Bump) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_slice(line);
        json.deserialize_map(EnvelopeVisitor { arena })
            .and_then(|envelope| json.end().map(|()| envelope))
            .map_err(|error| reason_of(&error))
    }

    /// Returns the record.
    fn message(&self, arena: &'a Bump) -> Message<'a> {
        let read = Read {
            topic: self.topic,
            headers: arena.alloc_slice_copy(&self.headers),
        };
        Message {
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key,
            value: self.value,
            headers: Headers::of(arena.alloc(read), 0),
        }
    }
}

/// Decodes the values of envelopes.
#[derive(Debug, Clone)]
pub struct Decoder {
    values: Box<super::Decoder>,
}

impl Decoder {
    /// Returns a decoder of envelopes whose values `values` decodes.
    pub fn new(values: super::Decoder) -> Self {
        Decoder {
            values: Box::new(values),
        }
    }

    /// Returns the decoder of the values.
    pub fn values(&self) -> &super::Decoder {
        &self.values
    }

    /// Returns what the values do differently.
    pub fn dialect(&self) -> Dialect {
        self.values.dialect()
    }

    /// Decodes the values of some envelopes. A value that does not fit is placed where it was in
    /// its topic, a line that is not an envelope by its number.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let Records::Lines(lines) = records else {
            return self.values.decode(records, origins, arena);
        };
        let (messages, malformed) = open(*lines, arena);
        if malformed.is_empty() {
            let messages = Records::Messages(messages);
            return self.values.decode(&messages, origins, arena);
        }
        let places: Vec<Place> = messages.iter().map(place_of).collect();
        let messages = Records::Messages(messages);
        let mut decoded = self.values.decode(&messages, Origins::Keep, arena);
        let mut rows = decoded.origins.iter().map(|(place, _)| *place).peekable();
        let mut misfits = std::mem::take(&mut decoded.malformed)
            .into_iter()
            .peekable();
        let mut places = places.into_iter();
        let (mut opened, mut before) = (0, 0);
        for (envelopes, line) in malformed {
            // An envelope may hold no row or, as CSV, several.
            for place in places.by_ref().take(envelopes - opened) {
                before += std::iter::from_fn(|| rows.next_if_eq(&place)).count();
                let misfit = || misfits.next_if(|misfit| misfit.place == place);
                decoded.malformed.extend(std::iter::from_fn(misfit));
            }
            opened = envelopes;
            decoded.malformed.push(Malformed { before, ..line });
        }
        decoded.malformed.extend(misfits);
        if origins == Origins::Forget {
            decoded.origins.clear();
        }
        decoded
    }
}

/// Reads lines as envelopes. Beside each line that is none stands how many envelopes come before
/// it; blank lines are passed over.
#[allow(clippy::type_complexity)]
fn open<'a>(lines: Lines<'a>, arena: &'a Bump) -> (Vec<Message<'a>>, Vec<(usize, Malformed<'a>)>) {
    let (mut messages, mut malformed) = (Vec::new(), Vec::new());
    let numbered = (lines.first_line..).zip(lines.bytes.split(|&byte| byte == b'\n'));
    for (number, line) in numbered {
        let bytes = line.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        match Envelope::parse(bytes, arena) {
            Ok(envelope) => messages.push(envelope.message(arena)),
            Err(reason) => {
                let line = Malformed {
                    before: 0,
                    place: Place::of(&lines, number),
                    at: None,
                    misfit: reason.into(),
                    bytes,
                };
                malformed.push((messages.len(), line));
            }
        }
    }
    (messages, malformed)
}

fn place_of(message: &Message<'_>) -> Place {
    Place::Offset(message.partition, message.offset)
}

/// Reads the records that lines which are envelopes hold, to infer columns from; lines that are
/// none are passed over.
pub fn records<'a>(lines: Lines<'a>, arena: &'a Bump) -> Records<'a> {
    Records::Messages(open(lines, arena).0)
}

/// The members that make an object an envelope.
#[derive(Deserialize)]
struct Members {
    #[serde(rename = "topic")]
    _topic: IgnoredAny,
    #[serde(rename = "partition")]
    _partition: IgnoredAny,
    #[serde(rename = "offset")]
    _offset: IgnoredAny,
    #[serde(default, alias = "payload", deserialize_with = "present")]
    value: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    value_base64: Option<IgnoredAny>,
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
struct EnvelopeVisitor<'a> {
    arena: &'a Bump,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Layout, TimeFrom, delimited, schema};

    fn header<'a>(name: &'a str, value: Option<&'a [u8]>) -> Header<'a> {
        let name = name.as_bytes();
        Header { name, value }
    }

    #[test]
    fn what_kcat_prints_is_an_envelope() {
        let arena = Bump::new();
        let line = br#"{"topic":"t","partition":2,"offset":7,"tstype":"create","ts":1767225600000,"broker":1,"headers":["trace","1","none",null],"key":"a","payload":"{\"x\":1}"}"#;
        assert!(Envelope::is(line));
        let envelope = Envelope::parse(line, &arena).expect("an envelope");
        let expected = Envelope {
            topic: "t",
            partition: 2,
            offset: 7,
            timestamp: Some(1_767_225_600_000),
            key: Some(b"a"),
            headers: vec![header("trace", Some(b"1")), header("none", None)],
            value: Some(b"{\"x\":1}"),
        };
        assert_eq!(envelope, expected);
        for (payload, value) in [
            ("null", None),
            (r#""plain""#, Some("plain")),
            (r#"{"x": 1}"#, Some(r#"{"x": 1}"#)), // decoded by `-s value=avro`
        ] {
            let line = format!(
                r#"{{"topic":"t","partition":0,"offset":0,"tstype":"unknown","ts":0,"key":null,"payload":{payload}}}"#
            );
            assert!(Envelope::is(line.as_bytes()), "{payload}");
            let envelope = Envelope::parse(line.as_bytes(), &arena).expect("an envelope");
            assert_eq!(envelope.value, value.map(str::as_bytes));
            assert_eq!((envelope.timestamp, envelope.key), (None, None));
        }
        let odd = br#"{"topic":"t","partition":0,"offset":0,"headers":["a"],"payload":""}"#;
        let error = Envelope::parse(odd, &arena).expect_err("half a header");
        assert!(
            error.contains("the name of a header has no value"),
            "{error}"
        );
    }

    #[test]
    fn any_record_comes_back_as_it_was() {
        let headers = [
            header("trace", Some(b"1")),
            header("trace", None),
            header("raw", Some(&[0xff, 0x00])),
            header("", Some(b"")),
        ];
        for (key, value) in [
            (None, None),
            (Some(&b""[..]), Some(&b""[..])),
            (
                Some("kéy\n".as_bytes()),
                Some(&b"{\"a\":\"\\u0000\"}\x00"[..]),
            ),
            (Some(&[0xff][..]), Some(&[0xfe, 0xff][..])),
        ] {
            for headers in [&[][..], &headers[..]] {
                let message = Message {
                    partition: 2,
                    offset: 41,
                    timestamp: Some(1_767_225_600_000),
                    key,
                    value,
                    headers: Headers::NONE,
                };
                let (mut line, arena) = (Vec::new(), Bump::new());
                Writer::new("t").push_with(&mut line, &message, headers.iter().copied());
                assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
                assert!(Envelope::is(&line));
                let read = Envelope {
                    topic: "t",
                    partition: 2,
                    offset: 41,
                    timestamp: message.timestamp,
                    key,
                    headers: headers.to_vec(),
                    value,
                };
                assert_eq!(Envelope::parse(&line, &arena), Ok(read));
            }
        }
    }

    #[test]
    fn lines_that_are_no_envelopes_keep_their_place_among_the_rows() {
        let envelope = |offset: i64, value: &str| {
            let value = serde_json::Value::from(value);
            format!(
                r#"{{"topic":"t","partition":0,"offset":{offset},"timestamp":5,"value":{value}}}"#
            )
        };
        let lines = [
            "no JSON".to_owned(),
            envelope(7, "1"),
            String::new(),
            envelope(8, "2\n3"),
            "{}".to_owned(),
            envelope(9, "x"),
            envelope(10, "4"),
        ];
        let layout = Layout {
            schema: schema::parse_declaration("n bigint").expect("a schema"),
            wanted: vec![0],
            time: TimeFrom::Record,
        };
        let values = delimited::Decoder::new(layout, Dialect::default());
        let mut decoder = Decoder::new(super::super::Decoder::Delimited(values));
        let (bytes, arena) = (lines.join("\n") + "\n", Bump::new());
        let lines = Lines::new(bytes.as_bytes(), 1);
        let decoded = decoder.decode(&Records::Lines(lines), Origins::Forget, &arena);
        assert_eq!((decoded.columns.rows, &decoded.times[..]), (4, &[5; 4][..]));
        let malformed = decoded.malformed.iter();
        let malformed: Vec<(usize, Place)> = malformed
            .map(|malformed| (malformed.before, malformed.place))
            .collect();
        assert_eq!(
            malformed,
            [
                (0, Place::Line(1)),
                (3, Place::Line(5)),
                (3, Place::Offset(0, 9)),
            ]
        );
    }

    #[test]
    fn members_come_in_any_order_and_others_are_passed_over() {
        let line = br#"{"value":"v","x":[{}],"offset":1,"partition":0,"topic":"t"}"#;
        let arena = Bump::new();
        let read = Envelope::parse(line, &arena).expect("an envelope");
        assert_eq!(
            (read.value, read.key, read.timestamp),
            (Some(&b"v"[..]), None, None)
        );
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let arena = Bump::new();
        for (line, reason) in [
            (r#"{"topic":"t"}"#, "missing field `partition`"),
            (
                r#"{"topic":"t","partition":0,"offset":1}"#,
                "missing field `value`",
            ),
            (
                r#"{"topic":"t","partition":0,"offset":1,"value":5}"#,
                "expected text or null",
            ),
            (
                r#"{"topic":"t","partition":0,"offset":1,"value_base64":"?"}"#,
                "not base64",
            ),
            (
                r#"{"topic":"t","partition":0,"offset":1,"value":"","headers":[["a"]]}"#,
                "[name, value]",
            ),
            (r#"{"topic":"t""#, "not JSON"),
        ] {
            let told = Envelope::parse(line.as_bytes(), &arena).expect_err(line);
            assert!(told.contains(reason), "{line}: {told}");
        }
    }

    #[test]
    fn data_of_other_members_is_no_envelope() {
        for line in [
            "{}",
            "[]",
            "no JSON",
            r#"{"topic":"t","partition":0,"offset":1}"#,
        ] {
            assert!(!Envelope::is(line.as_bytes()), "{line}");
        }
        assert!(Envelope::is(
            br#"{"topic":"t","partition":0,"offset":1,"value":null}"#
        ));
    }
}
