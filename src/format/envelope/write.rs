//! A record written as an envelope.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::column::ValueRef;
use crate::notation::push_json;
use crate::source::{Header, Message};

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

    pub(super) fn push_with<'h>(
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
