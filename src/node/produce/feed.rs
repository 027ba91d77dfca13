//! One input of a run: its records, ready to be sent.
//!
//! In: batches of lines. Out: [`Row`]s whose values are in a [`Block`] and whose keys are beside
//! it, so that sending a row allocates nothing.

use std::sync::Arc;
use std::time::Duration;

use super::rows::{
    Prepared, Row, Skips, Writer, prepare_columns, prepare_envelopes, prepare_texts,
};
use crate::column::{DataType, Field, Schema, ValueRef};
use crate::context::Context;
use crate::engine::operator::YEAR_1980;
use crate::error::{Error, Result};
use crate::expression::{add_column, column_named, unknown_column};
use crate::format::dialect::Dialect;
use crate::format::{Decoder, Layout, Reading, TimeFrom, open_up_time};
use crate::kafka::producer::Block;
use crate::node::input::{self, Form, Given, LineKind, Notation};
use crate::notation::push_json;
use crate::source::file::Framing;
use crate::source::series::Piece;
use crate::source::{Polled, Records, Source};

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
    /// The malformed records that were skipped.
    pub(super) skipped: Skips,
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
            skipped: Skips::default(),
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
            self.skipped.absorb(malformed);
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
