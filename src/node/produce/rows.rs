//! The rows of a batch of lines, ready to be sent: as columns, as envelopes, or as they are.
//!
//! In: whole lines. Out: [`Prepared`], and the malformed records that were skipped.

use std::ops::Range;
use std::sync::Arc;

use bumpalo::Bump;

use crate::column::{Misfit, ValueRef};
use crate::error::Error;
use crate::format::envelope::Envelope;
use crate::format::{Decoded, Decoder, Malformed, Origins, Place};
use crate::kafka::producer::Block;
use crate::notation::{push_csv, push_json};
use crate::number::with_decimal_point;
use crate::source::{Header, Lines, Records};

/// A record, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Its key's place in [`Prepared::keys`]; `None` for null.
    pub key: Option<Range<usize>>,
    /// Its value's place in the block; `None` for null.
    pub value: Option<Range<usize>>,
    /// Milliseconds since 1970, above 0; `None` becomes the time of sending.
    pub time: Option<i64>,
    /// The topic and partition that an envelope names.
    pub from: Option<(Arc<str>, i32)>,
    /// The headers of an envelope.
    headers: OwnedHeaders,
}

/// Names and values of headers; usually empty, and then without an allocation.
type OwnedHeaders = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl Row {
    /// Returns the headers of an envelope, in their order.
    pub fn headers(&self) -> Vec<Header<'_>> {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| Header {
            name,
            value: value.as_deref(),
        });
        headers.collect()
    }
}

/// The rows of one batch.
#[derive(Debug)]
pub(super) struct Prepared {
    pub block: Arc<Block>,
    pub keys: Vec<u8>,
    pub rows: Vec<Row>,
    /// The next one to be sent.
    pub next: usize,
    /// What ends the run after the last row.
    pub stop: Option<Error>,
}

/// How a row becomes a value.
pub(super) enum Writer {
    /// Unchanged.
    Raw,
    /// As a JSON object, by columns and their members `"name":`, escaped once.
    Json(Vec<(usize, Vec<u8>)>),
    /// As CSV of these columns.
    Csv(Vec<usize>),
}

/// The malformed records that were skipped.
#[derive(Debug, Default)]
pub(super) struct Skips {
    /// How many.
    pub count: u64,
    /// The line about the first.
    pub first: Option<String>,
}

impl Skips {
    /// Adds those that were skipped after these.
    pub fn absorb(&mut self, later: Skips) {
        self.count += later.count;
        self.first = self.first.take().or(later.first);
    }
}

/// Returns why a record with this time cannot be sent: 0 would become now, and -1 means none.
fn refuse_time(time: i64) -> Option<String> {
    (time <= 0).then(|| {
        format!("the time {time} ms is not after 1970-01-01T00:00:00Z, and Kafka cannot store it")
    })
}

/// Returns the rows of a batch, and the malformed records that were skipped.
pub(super) fn prepare_columns(
    decoder: &mut Decoder,
    key: Option<usize>,
    timed: bool,
    writer: &Writer,
    lines: Lines<'_>,
    skip_bad: bool,
    name: &str,
) -> (Prepared, Skips) {
    let arena = Bump::new();
    let mut decoded = decoder.decode(&Records::Lines(lines), Origins::Keep, &arena);
    if timed {
        let times = decoded.times.iter().enumerate();
        let misfits: Vec<(usize, Misfit)> = times
            .filter_map(|(row, &time)| Some((row, refuse_time(time)?.into())))
            .collect();
        if !misfits.is_empty() {
            let origins = decoded.origins.clone();
            decoded.refuse(misfits, |row| origins[row]);
        }
    }
    let (stop, skipped) = account(&decoded.malformed, skip_bad, name);
    if let Some((rows, _)) = &stop {
        decoded.truncate(*rows);
    }

    let mut values = match writer {
        Writer::Raw => lines.bytes.to_vec(),
        Writer::Json(_) | Writer::Csv(_) => Vec::with_capacity(2 * lines.bytes.len()),
    };
    let mut keys = Vec::new();
    let rows = (0..decoded.columns.rows).map(|row| Row {
        key: key
            .and_then(|column| push_key(&mut keys, decoded.columns.columns[column].value_ref(row))),
        value: Some(match writer {
            Writer::Raw => place_in(lines.bytes, decoded.origins[row].1),
            Writer::Json(members) => push_object(&mut values, &decoded, row, members),
            Writer::Csv(columns) => push_record(&mut values, &decoded, row, columns),
        }),
        time: timed.then(|| decoded.times[row]),
        from: None,
        headers: Vec::new(),
    });
    let rows = rows.collect();
    let prepared = Prepared {
        block: Arc::new(values.into()),
        keys,
        rows,
        next: 0,
        stop: stop.map(|(_, error)| error),
    };
    (prepared, skipped)
}

/// Returns what ends the run and after how many rows, or which malformed records are skipped.
fn account(
    malformed: &[Malformed<'_>],
    skip_bad: bool,
    name: &str,
) -> (Option<(usize, Error)>, Skips) {
    match (malformed.first(), skip_bad) {
        (None, _) => (None, Skips::default()),
        (Some(first), false) => (Some((first.before, first.to_error(name))), Skips::default()),
        (Some(first), true) => (
            None,
            Skips {
                count: malformed.len() as u64,
                first: Some(first.to_skipped().to_line(name)),
            },
        ),
    }
}

/// Returns the range of `part` in `whole`, of which it is a slice.
fn place_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Appends a key as text; nothing for null.
fn push_key(keys: &mut Vec<u8>, key: ValueRef<'_>) -> Option<Range<usize>> {
    let start = keys.len();
    match key {
        ValueRef::Null => return None,
        ValueRef::Text(text) | ValueRef::Any(text) => keys.extend_from_slice(text.as_bytes()),
        value => push_json(keys, value),
    }
    Some(start..keys.len())
}

fn push_object(
    values: &mut Vec<u8>,
    decoded: &Decoded<'_>,
    row: usize,
    members: &[(usize, Vec<u8>)],
) -> Range<usize> {
    let start = values.len();
    for (at, (index, member)) in members.iter().enumerate() {
        values.push(if at > 0 { b',' } else { b'{' });
        values.extend_from_slice(member);
        push_value(push_json, values, decoded, row, *index);
    }
    values.push(b'}');
    start..values.len()
}

fn push_record(
    values: &mut Vec<u8>,
    decoded: &Decoded<'_>,
    row: usize,
    columns: &[usize],
) -> Range<usize> {
    let start = values.len();
    for (at, &index) in columns.iter().enumerate() {
        if at > 0 {
            values.push(b',');
        }
        push_value(push_csv, values, decoded, row, index);
    }
    start..values.len()
}

/// Appends a value. An undeclared one is written as text; a number with a decimal comma gets a
/// point, as readers of the topic expect.
fn push_value(
    push: impl Fn(&mut Vec<u8>, ValueRef<'_>),
    values: &mut Vec<u8>,
    decoded: &Decoded<'_>,
    row: usize,
    index: usize,
) {
    let value = decoded.columns.columns[index].value_ref(row);
    match value {
        ValueRef::Any(text) if decoded.columns.decimal_comma && text.contains([',', '.']) => {
            match with_decimal_point(text) {
                Some(number) => push(values, ValueRef::Any(&number)),
                None => push(values, ValueRef::Text(text)),
            }
        }
        value => push(values, value),
    }
}

/// Like [`prepare_columns`], for envelopes.
pub(super) fn prepare_envelopes(
    lines: Lines<'_>,
    rename: fn(&str) -> String,
    skip_bad: bool,
    name: &str,
) -> (Prepared, Skips) {
    let (mut keys, mut values) = (Vec::new(), Vec::with_capacity(lines.bytes.len()));
    let mut rows: Vec<Row> = Vec::new();
    let mut malformed = Vec::new();
    let arena = Bump::new();
    let (mut named, mut topic): (String, Arc<str>) = (String::new(), Arc::from(""));
    for (line, bytes) in (lines.first_line..).zip(lines.bytes.split(|&byte| byte == b'\n')) {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        let read = Envelope::parse(bytes, &arena).and_then(|envelope| {
            let refused = envelope.timestamp.and_then(refuse_time);
            refused.map_or(Ok(envelope), Err)
        });
        let envelope = match read {
            Ok(envelope) => envelope,
            Err(reason) => {
                malformed.push(Malformed {
                    before: rows.len(),
                    place: Place::of(&lines, line),
                    at: None,
                    misfit: reason.into(),
                    bytes,
                });
                continue;
            }
        };
        if named != envelope.topic {
            named = envelope.topic.to_owned();
            topic = Arc::from(rename(&named));
        }
        let append = |all: &mut Vec<u8>, bytes: &[u8]| {
            all.extend_from_slice(bytes);
            all.len() - bytes.len()..all.len()
        };
        rows.push(Row {
            key: envelope.key.map(|key| append(&mut keys, key)),
            value: envelope.value.map(|value| append(&mut values, value)),
            time: envelope.timestamp,
            from: Some((topic.clone(), envelope.partition)),
            headers: owned(&envelope.headers),
        });
    }
    let (stop, skipped) = account(&malformed, skip_bad, name);
    if let Some((keep, _)) = &stop {
        rows.truncate(*keep);
    }
    let prepared = Prepared {
        block: Arc::new(values.into()),
        keys,
        rows,
        next: 0,
        stop: stop.map(|(_, error)| error),
    };
    (prepared, skipped)
}

/// Like [`prepare_columns`], for raw lines.
pub(super) fn prepare_texts(
    lines: Lines<'_>,
    separator: Option<&str>,
    tombstones: bool,
    skip_bad: bool,
    name: &str,
) -> (Prepared, Skips) {
    let (mut keys, mut rows, mut malformed) = (Vec::new(), Vec::new(), Vec::new());
    let finder = separator.map(memchr::memmem::Finder::new);
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', lines.bytes);
    for (number, end) in (lines.first_line..).zip(ends) {
        let line = start..end;
        start = end + 1;
        let bytes = &lines.bytes[line.clone()];
        let cut = finder
            .as_ref()
            .map(|finder| (finder.find(bytes), finder.needle().len()));
        let (key, value) = match cut {
            None => (None, line),
            Some((Some(at), length)) => {
                let key = keys.len()..keys.len() + at;
                keys.extend_from_slice(&bytes[..at]);
                (Some(key), line.start + at + length..line.end)
            }
            Some((None, _)) => {
                let separator = separator.unwrap_or_default();
                malformed.push(Malformed {
                    before: rows.len(),
                    place: Place::of(&lines, number),
                    at: None,
                    misfit: format!("the line has no `{}`", separator.escape_debug()).into(),
                    bytes,
                });
                continue;
            }
        };
        rows.push(Row {
            key,
            value: Some(value).filter(|value| !(tombstones && value.is_empty())),
            time: None,
            from: None,
            headers: Vec::new(),
        });
    }
    let (stop, skipped) = account(&malformed, skip_bad, name);
    if let Some((keep, _)) = &stop {
        rows.truncate(*keep);
    }
    let prepared = Prepared {
        block: Arc::new(lines.bytes.to_vec().into()),
        keys,
        rows,
        next: 0,
        stop: stop.map(|(_, error)| error),
    };
    (prepared, skipped)
}

fn owned(headers: &[Header<'_>]) -> OwnedHeaders {
    let headers = headers.iter();
    headers
        .map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec)))
        .collect()
}
