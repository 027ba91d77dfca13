//! One input of a run: its records, ready to be sent.
//!
//! In: batches of lines. Out: [`Row`]s whose values are in a [`Block`] and whose keys are beside
//! it, so that sending a row allocates nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bumpalo::Bump;

use crate::column::{DataType, Field, Misfit, Schema, ValueRef};
use crate::context::Context;
use crate::engine::operator::YEAR_1980;
use crate::error::{Error, Result};
use crate::expression::{add_column, column_named, unknown_column};
use crate::format::dialect::Dialect;
use crate::format::envelope::Envelope;
use crate::format::{
    Decoded, Decoder, Layout, Malformed, Origins, Place, Reading, TimeFrom, open_up_time,
};
use crate::kafka::producer::Block;
use crate::node::input::{self, Form, Given, LineKind, Notation};
use crate::notation::{push_csv, push_json};
use crate::number::with_decimal_point;
use crate::source::file::Framing;
use crate::source::series::Piece;
use crate::source::{Header, Lines, Polled, Records, Source};

/// How records of an input become key, value and time.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The column of the key; `none` for no key, `None` for the first of [`KEYS`] that exists.
    pub key: Option<String>,
    /// The column of the time, or an expression; `none` for the time of sending, `None` for
    /// [`TIME`] if it exists.
    pub time: Option<String>,
    /// How times are read.
    pub reading: Reading,
    /// The format of the values.
    pub value: ValueNotation,
    /// The separator of key and value in a raw line.
    pub separator: Option<String>,
    /// Whether the empty value of a raw line is null.
    pub tombstones: bool,
    /// What the flags say about the input.
    pub given: Given,
    /// Whether malformed records are skipped and counted instead of ending the run.
    pub skip_bad: bool,
    /// What the topic that an envelope names is called here.
    pub rename: fn(&str) -> String,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ValueNotation {
    /// A JSON object with the names of the columns.
    #[default]
    Json,
    /// The row as CSV, without a header.
    Csv,
    /// Each line unchanged; none is a header.
    Raw,
}

/// The columns of the key by default.
const KEYS: [&str; 2] = ["caller", "call_id"];
/// The column of the time by default.
const TIME: &str = "start_timestamp";

/// A record, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Its key among [`Feed::key`]'s bytes; `None` for null.
    key: Option<Range<usize>>,
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
struct Prepared {
    block: Arc<Block>,
    keys: Vec<u8>,
    rows: Vec<Row>,
    next: usize,
    /// What ends the run after the last row.
    stop: Option<Error>,
}

enum Reader {
    Columns {
        decoder: Box<Decoder>,
        key: Option<usize>,
        timed: bool,
        writer: Writer,
    },
    Envelopes(fn(&str) -> String),
    /// Each line unchanged.
    Texts {
        separator: Option<String>,
        tombstones: bool,
    },
}

/// How a row becomes a value.
enum Writer {
    /// Unchanged.
    Raw,
    /// As a JSON object, by columns and their members `"name":`, escaped once.
    Json(Vec<(usize, Vec<u8>)>),
    /// As CSV of these columns.
    Csv(Vec<usize>),
}

/// Whether there is a record to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Yes,
    NotYet,
    Never,
}

/// An input.
pub struct Feed {
    /// Its name for messages.
    pub name: String,
    source: Box<dyn Source>,
    reader: Reader,
    skip_bad: bool,
    prepared: Prepared,
    /// How many malformed records were skipped.
    pub skipped: u64,
    /// How many records have a time from a column, and how many of these are before 1980.
    pub timed: u64,
    pub before_1980: u64,
    /// The bytes of the input so far.
    pub consumed: u64,
    /// The size of the input, if it is a file.
    pub size: Option<u64>,
}

impl Feed {
    /// Opens a file or stdin and finds out the format and columns of its records.
    ///
    /// # Errors
    /// `refused` if it cannot be read, `usage` for a column that it does not have.
    pub fn open(piece: &Piece, mapping: &Mapping, context: &Context) -> Result<Self> {
        let is_raw = mapping.value == ValueNotation::Raw;
        let (mut lines, kind) =
            input::open_lines(std::slice::from_ref(piece), &mapping.given, context)?;
        let size = lines.size();
        let (source, reader): (Box<dyn Source>, Reader) = match kind {
            _ if is_raw => {
                lines.set_framing(Framing::Lines);
                let reader = Reader::Texts {
                    separator: mapping.separator.clone(),
                    tombstones: mapping.tombstones,
                };
                (Box::new(lines), reader)
            }
            LineKind::Envelopes => (Box::new(lines), Reader::Envelopes(mapping.rename)),
            LineKind::Rows(_) | LineKind::Objects | LineKind::Texts => {
                let input = input::columns(lines, kind, mapping.given.clone(), context)?;
                let reader = Reader::of_columns(&input.form, input.schema, mapping, context)?;
                (input.source, reader)
            }
        };
        Ok(Feed {
            name: source.name(),
            source,
            reader,
            skip_bad: mapping.skip_bad,
            prepared: Prepared {
                block: Arc::new(Vec::new().into()),
                keys: Vec::new(),
                rows: Vec::new(),
                next: 0,
                stop: None,
            },
            skipped: 0,
            timed: 0,
            before_1980: 0,
            consumed: 0,
            size,
        })
    }

    /// Returns whether its records name their topics.
    pub fn has_envelopes(&self) -> bool {
        matches!(self.reader, Reader::Envelopes(_))
    }

    /// Makes sure that the next record is available, waiting at most `timeout`.
    ///
    /// # Errors
    /// `data` for a malformed record, `refused` if the input cannot be read.
    pub(super) fn fill(&mut self, timeout: Duration) -> Result<Ready> {
        while self.prepared.next == self.prepared.rows.len() {
            if let Some(stop) = self.prepared.stop.take() {
                return Err(stop);
            }
            let batch = match self.source.poll(timeout)? {
                Polled::Batch(batch) => batch,
                Polled::Pending => return Ok(Ready::NotYet),
                Polled::End => return Ok(Ready::Never),
            };
            let Records::Lines(lines) = batch.records else {
                return Err(Error::bug("a file holds lines"));
            };
            self.consumed += lines.bytes.len() as u64;
            let (prepared, malformed) = match &mut self.reader {
                Reader::Columns {
                    decoder,
                    key,
                    timed,
                    writer,
                } => prepare_columns(
                    decoder,
                    *key,
                    *timed,
                    writer,
                    lines,
                    self.skip_bad,
                    &self.name,
                ),
                Reader::Envelopes(rename) => {
                    prepare_envelopes(lines, *rename, self.skip_bad, &self.name)
                }
                Reader::Texts {
                    separator,
                    tombstones,
                } => {
                    let separator = separator.as_deref();
                    prepare_texts(lines, separator, *tombstones, self.skip_bad, &self.name)
                }
            };
            if let Reader::Columns { timed: true, .. } = self.reader {
                let old = |row: &&Row| row.time.is_some_and(|time| time < YEAR_1980);
                self.timed += prepared.rows.len() as u64;
                self.before_1980 += prepared.rows.iter().filter(old).count() as u64;
            }
            self.prepared = prepared;
            self.skipped += malformed;
        }
        Ok(Ready::Yes)
    }

    /// Returns the next record, if [`fill`](Self::fill) found one.
    pub(super) fn head(&self) -> Option<&Row> {
        self.prepared.rows.get(self.prepared.next)
    }

    /// Returns the key of one of its rows.
    pub(super) fn key(&self, row: &Row) -> Option<&[u8]> {
        row.key.clone().map(|range| &self.prepared.keys[range])
    }

    /// Returns the block with the values of the current records.
    pub fn block(&self) -> &Arc<Block> {
        &self.prepared.block
    }

    /// Moves on to the next record.
    pub fn advance(&mut self) {
        self.prepared.next += 1;
    }
}

impl Reader {
    fn of_columns(
        form: &Form,
        mut schema: Schema,
        mapping: &Mapping,
        context: &Context,
    ) -> Result<Self> {
        let known = schema.fields.len();
        let named = |name: &Option<String>| name.clone().filter(|name| *name != "none");
        if let Some(key) = named(&mapping.key) {
            add_column(&mut schema, &key);
        }
        if let Some(time) = named(&mapping.time) {
            open_up_time(&mut schema, &time);
        }
        input::warn_of_unseen(&schema, known, context);
        let column = |flag: &str, name: &str| {
            column_named(&schema, name).ok_or_else(|| unknown_column(&schema, name, flag))
        };
        let key = match mapping.key.as_deref() {
            Some("none") => None,
            Some(name) => Some(column("--key", name)?),
            None => KEYS.iter().find_map(|name| schema.index_of(name)),
        };
        let time = match mapping.time.as_deref() {
            Some("none") => None,
            Some(text) => Some(text),
            None => Some(TIME).filter(|name| schema.index_of(name).is_some()),
        };
        let time_column = time.and_then(|name| schema.index_of(name));
        let own = || {
            let named = schema.named();
            named.filter(|(index, _)| !schema.is_derived(*index))
        };
        let writer = match (form.notation, mapping.value) {
            (Notation::Delimited, ValueNotation::Csv)
                if form.dialect == Dialect::default() && own().count() == schema.width() =>
            {
                Writer::Raw
            }
            (Notation::Json, ValueNotation::Json) => Writer::Raw,
            (_, ValueNotation::Csv | ValueNotation::Raw) => {
                Writer::Csv(own().map(|(index, _)| index).collect())
            }
            (_, ValueNotation::Json) => {
                let member = |(index, field): (usize, &Field)| {
                    let mut member = Vec::new();
                    push_json(&mut member, ValueRef::Text(&field.name));
                    member.push(b':');
                    (index, member)
                };
                Writer::Json(own().map(member).collect())
            }
        };
        // A value that is copied keeps every character, unless its type is declared.
        let is_declared = |name: &str| {
            let declared = mapping.given.declared.as_ref();
            declared.is_some_and(|declared| declared.index_of(name).is_some())
        };
        let is_copied = |index: usize| key == Some(index) || !matches!(writer, Writer::Raw);
        for (index, field) in schema.fields.iter_mut().enumerate() {
            if field.data_type == DataType::Bigint
                && is_copied(index)
                && time_column != Some(index)
                && !is_declared(&field.name)
            {
                field.data_type = DataType::Any;
            }
        }
        let time = time.map_or(Ok(TimeFrom::Nowhere), |text| {
            TimeFrom::named(text, &mapping.reading, &schema)
        })?;
        context.report.detail(match time {
            TimeFrom::Nowhere => "time of the records: the time of sending".to_owned(),
            _ => format!("time of the records: {}", time.describe(&schema)),
        });
        let mut wanted: Vec<usize> = match writer {
            Writer::Raw => key
                .into_iter()
                .chain(time.columns().iter().copied())
                .collect(),
            _ => (0..schema.fields.len()).collect(),
        };
        wanted.sort_unstable();
        wanted.dedup();
        let layout = Layout {
            schema,
            wanted,
            time,
        };
        Ok(Reader::Columns {
            key,
            timed: !matches!(layout.time, TimeFrom::Nowhere),
            decoder: Box::new(form.decoder(layout)),
            writer,
        })
    }
}

/// Returns why a record with this time cannot be sent: 0 would become now, and -1 means none.
fn refuse_time(time: i64) -> Option<String> {
    (time <= 0).then(|| {
        format!("the time {time} ms is not after 1970-01-01T00:00:00Z, and Kafka cannot store it")
    })
}

/// Returns the rows of a batch, and how many malformed records were skipped.
fn prepare_columns(
    decoder: &mut Decoder,
    key: Option<usize>,
    timed: bool,
    writer: &Writer,
    lines: Lines<'_>,
    skip_bad: bool,
    name: &str,
) -> (Prepared, u64) {
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

/// Returns what ends the run and after how many rows, or how many malformed records are skipped.
fn account(
    malformed: &[Malformed<'_>],
    skip_bad: bool,
    name: &str,
) -> (Option<(usize, Error)>, u64) {
    match (malformed.first(), skip_bad) {
        (Some(first), false) => (Some((first.before, first.to_error(name))), 0),
        _ => (None, malformed.len() as u64),
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
fn prepare_envelopes(
    lines: Lines<'_>,
    rename: fn(&str) -> String,
    skip_bad: bool,
    name: &str,
) -> (Prepared, u64) {
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
fn prepare_texts(
    lines: Lines<'_>,
    separator: Option<&str>,
    tombstones: bool,
    skip_bad: bool,
    name: &str,
) -> (Prepared, u64) {
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
