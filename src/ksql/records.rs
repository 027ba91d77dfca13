//! A topic's records ⇄ rows of a stream or table.

use std::sync::Arc;

use super::catalog::{KeyWindows, Source};
use super::document::Document;
use super::run::{Event, Headers, Key};
use super::schema::Column;
use super::syntax::Role;
use super::time::parse_by_pattern;
use super::types::Type;
use super::value::{Value, base64};
use crate::engine::window::Window;

/// A record of a topic.
#[derive(Debug, Clone)]
pub struct Record {
    /// The topic.
    pub topic: String,
    /// The key; null for none.
    pub key: Document,
    /// The value; null for a tombstone.
    pub value: Document,
    /// The record's time, in ms.
    pub time: i64,
    /// The window of a windowed key, and whether it is a session.
    pub window: Option<(Window, bool)>,
    /// The headers.
    pub headers: Headers,
    /// The partition that it is in.
    pub partition: i32,
    /// Where it is in the partition.
    pub offset: i64,
}

/// Why a record is not a row.
#[derive(Debug, Clone)]
pub enum Misfit {
    /// Key or value cannot be read.
    Unreadable(String),
    /// The column of its time has none.
    Timeless(String),
}

impl Misfit {
    /// Returns which record is none, and why.
    pub fn place(&self, topic: &str, offset: i64) -> String {
        format!("topic {topic}, record {offset}: {}", self.reason())
    }

    /// Returns it in words.
    pub fn reason(&self) -> &str {
        match self {
            Misfit::Unreadable(reason) | Misfit::Timeless(reason) => reason,
        }
    }
}

/// Reads a record as a row of a source: its columns, then those that every row has.
///
/// # Errors
/// Why it is none.
pub fn read(source: &Source, record: &Record) -> Result<Event, Misfit> {
    let unreadable = |part: &str| {
        let part = part.to_owned();
        move |reason: String| Misfit::Unreadable(format!("{part}: {reason}"))
    };
    let schema = &source.schema;
    let key = source
        .key_format
        .read(&record.key, &schema.key, true)
        .map_err(unreadable("key"))?;
    // No key at all is not a key whose columns are null: it stays none where it is written again.
    let found_by = Key::of(key.clone().unwrap_or_default());
    let key = key.unwrap_or_else(|| vec![Value::Null; schema.key.len()]);
    let written = source.written_value();
    let value = source
        .value_format
        .read(&record.value, &written, false)
        .map_err(unreadable("value"))?;
    let is_null = value.is_none();
    let mut value = value.unwrap_or_else(|| vec![Value::Null; written.len()]);
    for (at, role) in &source.headers {
        value.insert((*at).min(value.len()), header(role, &record.headers));
    }
    let mut row: Vec<Value> = key.into_iter().chain(value).collect();
    let time = if is_null {
        record.time
    } else {
        time_of(source, &row, record.time)?
    };
    row.extend([
        Value::Bigint(time),
        Value::Int(record.partition),
        Value::Bigint(record.offset),
    ]);
    let mut key = found_by;
    if source.windows.is_some() {
        let Some((window, _)) = record.window else {
            return Err(Misfit::Unreadable("key: it has no window".to_owned()));
        };
        row.extend([Value::Bigint(window.start), Value::Bigint(window.end)]);
        key.window = Some(window);
    }
    Ok(Event {
        key,
        row: row.into(),
        is_null,
        old: None,
        time,
        headers: record.headers.clone(),
    })
}

fn header(role: &Role, headers: &Headers) -> Value {
    let bytes = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_ref()
            .map_or(Value::Null, |bytes| Value::Bytes(bytes.as_slice().into()))
    };
    match role {
        Role::Header(name) => {
            let found = headers.iter().rfind(|(known, _)| known == name);
            found.map_or(Value::Null, |(_, value)| bytes(value))
        }
        _ => {
            let header = |(name, value): &(String, Option<Vec<u8>>)| {
                Value::structure(vec![Value::from(name.as_str()), bytes(value)])
            };
            Value::array(headers.iter().map(header).collect())
        }
    }
}

/// Returns a row's time: that of the column that is named, else the record's.
fn time_of(source: &Source, row: &[Value], record_time: i64) -> Result<i64, Misfit> {
    let Some(column) = &source.time else {
        return Ok(record_time);
    };
    let at = source
        .schema
        .columns()
        .position(|known| known.name == column.name);
    let value = at.and_then(|at| row.get(at)).cloned().unwrap_or_default();
    column_time(&value, column.pattern.as_deref()).ok_or_else(|| {
        Misfit::Timeless(format!("column {}: no time of 1970 or later", column.name))
    })
}

fn column_time(value: &Value, pattern: Option<&str>) -> Option<i64> {
    let ms = match (value, pattern) {
        (Value::String(text), Some(pattern)) => {
            parse_by_pattern(text, pattern, &jiff::tz::TimeZone::UTC)?.as_millisecond()
        }
        _ => value.as_i64()?,
    };
    (ms >= 0).then_some(ms)
}

/// Writes a row that left a query as a record of its sink.
///
/// # Errors
/// Why its time cannot be told.
pub fn write(sink: &Source, event: &Event, offset: i64) -> Result<Record, Misfit> {
    let schema = &sink.schema;
    let key = sink.key_format.write(&event.key.values, &schema.key, true);
    let value = match event.is_null {
        true => Document::Null,
        false => sink.value_format.write(&event.row, &schema.value, false),
    };
    let mut time = event.time;
    if let Some(column) = sink.time.as_ref().filter(|_| !event.is_null) {
        let row: Vec<Value> = event
            .key
            .columns(schema.key.len())
            .chain(event.row.iter())
            .cloned()
            .collect();
        let at = schema.columns().position(|known| known.name == column.name);
        let value = at.and_then(|at| row.get(at)).cloned().unwrap_or_default();
        time = column_time(&value, column.pattern.as_deref()).ok_or_else(|| {
            Misfit::Timeless(format!("column {}: no time of 1970 or later", column.name))
        })?;
    }
    let is_session = sink.windows == Some(KeyWindows::Session);
    let window = event.key.window.filter(|_| sink.windows.is_some());
    let window = window.map(|window| (window, is_session));
    Ok(Record {
        topic: sink.topic.clone(),
        key,
        value,
        time,
        window,
        headers: event.headers.clone(),
        partition: 0,
        offset,
    })
}

impl Record {
    /// Reads a record as a line of JSON: `{"topic", "key", "value", "timestamp", "window"?, "headers"?}`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(line: &str, offset_of: impl FnOnce(&str) -> i64) -> Result<Self, String> {
        let document = Document::parse(line)?;
        let topic = document
            .get("topic")
            .and_then(Document::as_text)
            .ok_or("\"topic\" is missing")?
            .to_owned();
        let part = |name: &str| document.get(name).cloned().unwrap_or(Document::Null);
        let time = match document.get("timestamp") {
            None | Some(Document::Null) => 0,
            Some(time) => time.as_i64().ok_or("\"timestamp\" is not a whole number")?,
        };
        let window = match document.get("window") {
            None | Some(Document::Null) => None,
            Some(window) => {
                let bound = |name: &str| {
                    window
                        .get(name)
                        .and_then(Document::as_i64)
                        .ok_or(format!("\"window\" has no \"{name}\""))
                };
                let is_session = window
                    .get("type")
                    .and_then(Document::as_text)
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("session"));
                Some((
                    Window {
                        start: bound("start")?,
                        end: bound("end")?,
                    },
                    is_session,
                ))
            }
        };
        let mut headers = Vec::new();
        if let Some(Document::Array(elements)) = document.get("headers") {
            for element in elements {
                let named =
                    |upper: &str, lower: &str| element.get(upper).or_else(|| element.get(lower));
                let name = named("KEY", "key")
                    .and_then(Document::as_text)
                    .ok_or("a header has no \"KEY\"")?;
                let value = match named("VALUE", "value").and_then(Document::as_text) {
                    None => None,
                    Some(text) => match super::value::from_base64(text) {
                        Some(Value::Bytes(bytes)) => Some(bytes.to_vec()),
                        _ => return Err(format!("header \"{name}\": not base64")),
                    },
                };
                headers.push((name.to_owned(), value));
            }
        }
        let offset = offset_of(&topic);
        Ok(Record {
            key: part("key"),
            value: part("value"),
            topic,
            time,
            window,
            headers: Arc::new(headers),
            partition: 0,
            offset,
        })
    }

    /// Returns it as a line of JSON.
    pub fn line(&self) -> String {
        let text = |text: &str| Document::Text(text.to_owned());
        let number = |number: i64| Document::Number(number.to_string());
        let mut members = vec![
            ("topic".to_owned(), text(&self.topic)),
            ("key".to_owned(), self.key.clone()),
            ("value".to_owned(), self.value.clone()),
            ("timestamp".to_owned(), number(self.time)),
        ];
        if let Some((window, is_session)) = self.window {
            let kind = if is_session { "session" } else { "time" };
            let window = vec![
                ("start".to_owned(), number(window.start)),
                ("end".to_owned(), number(window.end)),
                ("type".to_owned(), text(kind)),
            ];
            members.push(("window".to_owned(), Document::Object(window)));
        }
        if !self.headers.is_empty() {
            let header = |(name, value): &(String, Option<Vec<u8>>)| {
                let value = value
                    .as_ref()
                    .map_or(Document::Null, |bytes| Document::Text(base64(bytes)));
                Document::Object(vec![
                    ("KEY".to_owned(), text(name)),
                    ("VALUE".to_owned(), value),
                ])
            };
            members.push((
                "headers".to_owned(),
                Document::Array(self.headers.iter().map(header).collect()),
            ));
        }
        Document::Object(members).to_string()
    }
}

/// Returns a column's description as JSON.
pub fn described(column: &Column) -> Document {
    let of: &Type = &column.of;
    Document::Object(vec![
        ("name".to_owned(), Document::Text(column.name.clone())),
        ("type".to_owned(), Document::Text(of.to_string())),
    ])
}
