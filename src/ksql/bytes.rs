//! Documents ⇄ the bytes of a topic's keys and values, as ksqlDB writes them.
//!
//! A windowed key has the start of its window behind it, eight bytes; a session its end and its
//! start (Kafka Streams' `WindowKeySchema`, `SessionKeySchema`).

use super::catalog::{KeyWindows, Source};
use super::document::Document;
use super::format::{Format, Kind};
use super::records::Record;
use super::run::Headers;
use super::schema::Column;
use super::types::Type;
use super::value::{Value, base64, from_base64};
use crate::engine::window::Window;

/// Returns the bytes of a key or a value; `None` of a null one.
pub fn encode(document: &Document, format: &Format, columns: &[Column]) -> Option<Vec<u8>> {
    let text = match document {
        Document::Null => return None,
        Document::Text(text) => text,
        other if format.kind == Kind::Kafka => return encode_number(&other.to_string(), columns),
        other => return Some(other.to_string().into_bytes()),
    };
    match (format.kind, columns.first().map(|column| &column.of)) {
        (Kind::Delimited, _) => Some(text.clone().into_bytes()),
        (Kind::Kafka, Some(Type::Bytes)) => match from_base64(text) {
            Some(Value::Bytes(bytes)) => Some(bytes.to_vec()),
            _ => None,
        },
        // NaN and the infinities are texts in a document.
        (Kind::Kafka, Some(Type::Double)) => encode_number(text, columns),
        (Kind::Kafka, _) => Some(text.clone().into_bytes()),
        _ => Some(document.to_string().into_bytes()),
    }
}

fn encode_number(text: &str, columns: &[Column]) -> Option<Vec<u8>> {
    match columns.first()?.of {
        Type::Int => Some(text.parse::<i32>().ok()?.to_be_bytes().to_vec()),
        Type::Bigint => Some(text.parse::<i64>().ok()?.to_be_bytes().to_vec()),
        Type::Double => Some(text.parse::<f64>().ok()?.to_be_bytes().to_vec()),
        _ => Some(text.as_bytes().to_vec()),
    }
}

/// Returns what the bytes of a key or a value say.
///
/// # Errors
/// What does not fit the format.
pub fn decode(
    bytes: Option<&[u8]>,
    format: &Format,
    columns: &[Column],
) -> Result<Document, String> {
    let Some(bytes) = bytes else {
        return Ok(Document::Null);
    };
    let text = || std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned());
    match (format.kind, columns.first().map(|column| &column.of)) {
        (Kind::None, _) | (_, None) => Ok(Document::Null),
        (Kind::Json, _) => Document::parse(text()?),
        (Kind::Delimited, _) => Ok(Document::Text(text()?.to_owned())),
        (Kind::Kafka, Some(Type::Int)) => {
            number(bytes, |bytes| i32::from_be_bytes(bytes).to_string())
        }
        (Kind::Kafka, Some(Type::Bigint)) => {
            number(bytes, |bytes| i64::from_be_bytes(bytes).to_string())
        }
        (Kind::Kafka, Some(Type::Double)) => {
            number(bytes, |bytes| f64::from_be_bytes(bytes).to_string())
        }
        (Kind::Kafka, Some(Type::Bytes)) => Ok(Document::Text(base64(bytes))),
        (Kind::Kafka, _) => Ok(Document::Text(text()?.to_owned())),
    }
}

fn number<const N: usize>(
    bytes: &[u8],
    shown: impl FnOnce([u8; N]) -> String,
) -> Result<Document, String> {
    match <[u8; N]>::try_from(bytes) {
        Ok(bytes) => Ok(Document::Number(shown(bytes))),
        Err(_) => Err(format!("{} bytes where {N} are a number", bytes.len())),
    }
}

/// Returns a record of a source's topic as its formats read it; where it is has to be added.
///
/// # Errors
/// What does not fit the formats.
pub fn record(
    source: &Source,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: Headers,
) -> Result<Record, String> {
    let part = |part: &str| {
        let part = part.to_owned();
        move |reason: String| format!("{part}: {reason}")
    };
    let (key, window) = match (key, source.windows) {
        (Some(bytes), Some(windows)) => {
            let (key, window) = split_window(bytes, windows).map_err(part("key"))?;
            (Some(key), Some((window, windows == KeyWindows::Session)))
        }
        (key, _) => (key, None),
    };
    let (format, columns) = (&source.value_format, source.written_value());
    Ok(Record {
        topic: source.topic.clone(),
        key: decode(key, &source.key_format, &source.schema.key).map_err(part("key"))?,
        value: decode(value, format, &columns).map_err(part("value"))?,
        time: 0,
        window,
        headers,
        partition: 0,
        offset: 0,
    })
}

/// The bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes {
    /// The key, with its window; `None` for null.
    pub key: Option<Vec<u8>>,
    /// How many of the key's bytes are the key without its window: what decides the partition.
    pub hashed: usize,
    /// The value; `None` for null.
    pub value: Option<Vec<u8>>,
}

impl Bytes {
    /// Returns a record of a sink's topic as its formats write it.
    pub fn of(record: &Record, sink: &Source) -> Self {
        let key = encode(&record.key, &sink.key_format, &sink.schema.key);
        let hashed = key.as_ref().map_or(0, Vec::len);
        let key = match (key, record.window) {
            (Some(key), Some((window, is_session))) => Some(with_window(key, window, is_session)),
            (key, _) => key,
        };
        Bytes {
            key,
            hashed,
            value: encode(&record.value, &sink.value_format, &sink.written_value()),
        }
    }
}

/// Puts the window behind a key's bytes.
pub fn with_window(mut key: Vec<u8>, window: Window, is_session: bool) -> Vec<u8> {
    if is_session {
        key.extend(window.end.to_be_bytes());
    }
    key.extend(window.start.to_be_bytes());
    key
}

/// Takes the window from behind a key's bytes.
///
/// # Errors
/// That there are too few bytes.
pub fn split_window(bytes: &[u8], windows: KeyWindows) -> Result<(&[u8], Window), String> {
    let too_short = || "too few bytes for a windowed key".to_owned();
    let last = |bytes: &[u8]| -> Option<(usize, i64)> {
        let at = bytes.len().checked_sub(8)?;
        Some((at, i64::from_be_bytes(bytes[at..].try_into().ok()?)))
    };
    let (at, start) = last(bytes).ok_or_else(too_short)?;
    match windows {
        KeyWindows::Session => {
            let (at, end) = last(&bytes[..at]).ok_or_else(too_short)?;
            Ok((&bytes[..at], Window { start, end }))
        }
        KeyWindows::Tumbling(size) | KeyWindows::Hopping(size) => Ok((
            &bytes[..at],
            Window {
                start,
                end: start.saturating_add(size),
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let column = |of: Type| {
            [Column {
                name: "K".to_owned(),
                of,
            }]
        };
        for (format, of, text) in [
            (Kind::Kafka, Type::Int, "-5"),
            (Kind::Kafka, Type::Bigint, "5000000000"),
            (Kind::Kafka, Type::Double, "1.5"),
            (Kind::Kafka, Type::String, "\"ada\""),
            (Kind::Kafka, Type::Bytes, "\"AQI=\""),
            (Kind::Json, Type::String, "\"ada\""),
            (Kind::Json, Type::Double, "1.50"),
            (Kind::Delimited, Type::Int, "\"1,2\""),
        ] {
            let (format, columns) = (Format::plain(format), column(of));
            let document = Document::parse(text).expect("JSON");
            let bytes = encode(&document, &format, &columns);
            assert_eq!(
                decode(bytes.as_deref(), &format, &columns).as_ref(),
                Ok(&document),
                "{text}"
            );
        }
    }

    #[test]
    fn a_windowed_key_keeps_its_window() {
        let window = Window { start: 10, end: 30 };
        for (windows, is_session) in [
            (KeyWindows::Tumbling(20), false),
            (KeyWindows::Session, true),
        ] {
            let bytes = with_window(b"ada".to_vec(), window, is_session);
            assert_eq!(split_window(&bytes, windows), Ok((&b"ada"[..], window)));
        }
        assert!(split_window(b"short", KeyWindows::Session).is_err());
    }
}
