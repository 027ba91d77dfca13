//! Bytes ↔ columns: CSV, JSON lines and any text, bare or in envelopes.
//!
//! In: [`Records`] as bytes. Out: [`Decoded`], the fields that a plan names, by column, with each
//! record's event time, and every record that does not fit with its place and the reason. Nothing
//! is dropped here: the node decides what happens to a malformed record.

pub mod delimited;
pub mod dialect;
pub(crate) mod envelope;
mod field;
pub mod header;
pub(crate) mod json;
mod judged;
mod parts;
mod plain;
mod quoted;
pub(crate) mod registry;
mod rows;
mod scan;
pub mod schema;
mod time;
mod tree;

use std::borrow::Cow;
use std::fmt;

pub use crate::column::Misfit;
use crate::column::{Column, Columns, Schema, Values};
use crate::error::Error;
use crate::format::dialect::Dialect;
use crate::number::with_decimal_point;
use crate::source::{Lines, Records};
use bumpalo::Bump;
pub(crate) use time::time_of;
pub(crate) use time::{Computed, Reading, open_up_time};
pub use time::{TimeFrom, TimeUnit};
use time::{text_to_ms, times_of};

/// The earliest event time, year 1, in ms since 1970, UTC.
pub(crate) const EARLIEST: i64 = -62_135_596_800_000;
/// The latest event time, the last ms of year 9999, UTC.
pub(crate) const LATEST: i64 = 253_402_300_799_999;

/// What of each record is wanted.
#[derive(Debug, Clone)]
pub struct Layout {
    /// All columns that a record has.
    pub schema: Schema,
    /// Indexes of the columns to decode, ascending.
    pub wanted: Vec<usize>,
    /// Where the event time comes from.
    pub time: TimeFrom,
}

/// Decodes batches of one format.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// CSV.
    Delimited(delimited::Decoder),
    /// One JSON object a line or a message.
    Json(json::Decoder),
    /// Any text.
    Raw(delimited::raw::Decoder),
    /// One envelope a line, its value in one of the other formats.
    Envelopes(envelope::Decoder),
    /// Records of another format, of which more is judged.
    Judged(judged::Decoder),
}

impl Decoder {
    /// Returns a decoder of CSV with commas; of other dialects, [`delimited::Decoder::new`].
    pub fn csv(layout: Layout) -> Self {
        let decoder = delimited::Decoder::new(layout.clone(), Dialect::default());
        Decoder::Delimited(decoder).judged(&layout)
    }

    /// Returns what records do differently.
    pub fn dialect(&self) -> Dialect {
        match self {
            Decoder::Delimited(decoder) => decoder.dialect().clone(),
            Decoder::Json(decoder) => Dialect {
                spelling: decoder.spelling().clone(),
                ..Dialect::default()
            },
            Decoder::Raw(decoder) => decoder.dialect().clone(),
            Decoder::Envelopes(decoder) => decoder.dialect(),
            Decoder::Judged(decoder) => decoder.values().dialect(),
        }
    }

    /// Decodes the wanted columns of some records; text that had to be unescaped lives in `arena`.
    /// Each row's origin is kept only where `origins` says so.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let mut decoded = match self {
            Decoder::Delimited(decoder) => decoder.decode(records, origins, arena),
            Decoder::Json(decoder) => decoder.decode(records, origins, arena),
            Decoder::Raw(decoder) => decoder.decode(records, origins, arena),
            Decoder::Envelopes(decoder) => decoder.decode(records, origins, arena),
            Decoder::Judged(decoder) => decoder.decode(records, origins, arena),
        };
        for malformed in &mut decoded.malformed {
            if let Some(framed) = registry::misfit(malformed.bytes) {
                malformed.misfit = framed;
            }
        }
        decoded
    }

    /// Returns it for records of which more is judged than it does, if the layout says so.
    #[must_use]
    pub fn judged(self, layout: &Layout) -> Self {
        let judged = judged::Decoder::new(self, layout);
        if judged.is_idle() {
            judged.into_values()
        } else {
            Decoder::Judged(judged)
        }
    }

    /// Returns whether lines are envelopes.
    pub(crate) fn is_of_envelopes(&self) -> bool {
        match self {
            Decoder::Envelopes(_) => true,
            Decoder::Json(_) | Decoder::Delimited(_) | Decoder::Raw(_) => false,
            Decoder::Judged(decoder) => decoder.values().is_of_envelopes(),
        }
    }

    /// Returns whether records, or the values of envelopes, are JSON.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Decoder::Json(_) => true,
            Decoder::Delimited(_) | Decoder::Raw(_) => false,
            Decoder::Envelopes(decoder) => decoder.values().is_json(),
            Decoder::Judged(decoder) => decoder.values().is_json(),
        }
    }
}

/// Whether to keep where each row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// For rows that may have to be named or written elsewhere.
    Keep,
    /// For speed.
    Forget,
}

/// Some records by column, and those that do not fit.
#[derive(Debug, Default)]
pub struct Decoded<'a> {
    /// The records that fit; columns that are not wanted are empty.
    pub columns: Columns<'a>,
    /// Their event times in ms since 1970, UTC, one per row.
    pub times: Vec<i64>,
    /// Where each row is and its bytes, one per row; empty unless it was to be kept.
    pub(crate) origins: Vec<Origin<'a>>,
    /// The records that do not fit, in their order.
    pub malformed: Vec<Malformed<'a>>,
}

/// The time of a row that has none, until it is taken out as malformed.
const NO_TIME: i64 = i64::MIN;

/// Where a record is, and its bytes as they came.
pub(crate) type Origin<'a> = (Place, &'a [u8]);

/// A record that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed<'a> {
    /// How many rows of the batch that fit come before it.
    pub before: usize,
    /// Where it is.
    pub place: Place,
    /// Its event time, where that could be read.
    pub at: Option<i64>,
    /// Why it does not fit.
    pub(crate) misfit: Misfit,
    /// The record as it came.
    pub bytes: &'a [u8],
}

/// A malformed record that was skipped: what the summary shows of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    place: Place,
    reason: String,
}

impl Skipped {
    /// Returns the line that shows it as the first of `source`.
    pub fn to_line(&self, source: &str) -> String {
        let place = self.place.within(source);
        format!("first malformed: {place}: {}", self.reason)
    }
}

impl Malformed<'_> {
    /// Returns what is kept of it when it is skipped.
    pub fn to_skipped(&self) -> Skipped {
        Skipped {
            place: self.place,
            reason: self.misfit.reason.clone(),
        }
    }

    /// Returns the error of a run that this record of `source` ends.
    pub fn to_error(&self, source: &str) -> Error {
        let Misfit { reason, cure } = &self.misfit;
        let error = Error::data(format!("{}: {reason}", self.place.within(source)));
        let error = match cure {
            Some(cure) => error.hint(cure),
            None => error,
        };
        error.hint("skip and count such records with `--skip-bad`")
    }
}

/// Where a record is in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The line of a file or pipe; the first is 1.
    Line(u64),
    /// The line of one of several files.
    FileLine(&'static str, u64),
    /// The partition and offset in a topic.
    Offset(i32, i64),
}

impl Place {
    /// Returns where the line of a number stands among some lines.
    pub fn of(lines: &Lines<'_>, line: u64) -> Self {
        match lines.section {
            None => Place::Line(line),
            Some(section) => Place::FileLine(section.file, line - section.before),
        }
    }

    /// Returns the words for it in a source.
    pub fn within(self, source: &str) -> String {
        match self {
            Place::FileLine(..) => self.to_string(),
            place => format!("{source}, {place}"),
        }
    }

    /// Returns the number of the line, or the offset.
    pub fn number(self) -> u64 {
        match self {
            Place::Line(line) | Place::FileLine(_, line) => line,
            Place::Offset(_, offset) => offset.unsigned_abs(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::FileLine(file, line) => write!(f, "{file}, line {line}"),
            Place::Offset(partition, offset) => write!(f, "partition {partition}, offset {offset}"),
        }
    }
}

/// Returns texts with points in those that are numbers with a decimal comma.
fn pointed<'a>(texts: &Values<&'a str>, arena: &'a Bump) -> Values<&'a str> {
    let text = |text: &'a str| match with_decimal_point(text) {
        Some(Cow::Owned(number)) => &*arena.alloc_str(&number),
        _ => text,
    };
    let rows = 0..texts.len();
    rows.map(|row| texts.get(row).map(text)).collect()
}

impl<'a> Decoded<'a> {
    /// Returns a column with points in its numbers, if it is undeclared and numbers have decimal
    /// commas: so they are ordered by size, and leave as what they are. What is not a number stays
    /// as it is.
    pub(crate) fn with_decimal_points<'c>(
        &self,
        column: Cow<'c, Column<'a>>,
        arena: &'a Bump,
    ) -> Cow<'c, Column<'a>> {
        match column.as_ref() {
            Column::Any(texts) if self.columns.decimal_comma => {
                Cow::Owned(Column::Any(pointed(texts, arena)))
            }
            _ => column,
        }
    }

    /// Moves rows that turned out not to fit from the columns to the malformed records, in the
    /// order of the source. `misfits` may name a row more than once: its first reason counts.
    pub(crate) fn refuse(
        &mut self,
        mut misfits: Vec<(usize, Misfit)>,
        origin: impl Fn(usize) -> Origin<'a>,
    ) {
        if misfits.is_empty() {
            return;
        }
        misfits.sort_by_key(|(row, _)| *row); // stable
        misfits.dedup_by_key(|(row, _)| *row);
        let rows: Vec<usize> = misfits.iter().map(|(row, _)| *row).collect();
        for (row, misfit) in misfits {
            let (place, bytes) = origin(row);
            // Malformed records that are before row `row` have `before` <= `row`.
            let at = self.malformed.partition_point(|other| other.before <= row);
            let time = self.times.get(row).copied();
            let malformed = Malformed {
                before: row,
                place,
                at: time.filter(|time| *time != NO_TIME),
                misfit,
                bytes,
            };
            self.malformed.insert(at, malformed);
        }
        self.remove(&rows);
    }

    /// Drops the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.columns.rows = rows;
        self.times.truncate(rows);
        self.origins.truncate(rows);
        let columns = self.columns.columns.iter_mut();
        columns.for_each(|column| column.truncate(rows));
    }

    /// Removes the rows `misfits` (ascending) from the columns and their times, and counts `before`
    /// of each malformed record again.
    fn remove(&mut self, misfits: &[usize]) {
        let Some(&first) = misfits.first() else {
            return;
        };
        let mut keep = vec![true; self.columns.rows];
        misfits.iter().for_each(|&row| keep[row] = false);
        for column in &mut self.columns.columns {
            match column {
                Column::Bigint(values) => retain(values, &keep),
                Column::Double(values) => retain(values, &keep),
                Column::Decimal(values) => retain(values, &keep),
                Column::Boolean(values) => retain(values, &keep),
                Column::Text(values) | Column::Any(values) => retain(values, &keep),
                Column::Number(values) => retain(values, &keep),
            }
        }
        retain_rows(&mut self.times, &keep);
        retain_rows(&mut self.origins, &keep);
        self.columns.rows -= misfits.len();
        for malformed in &mut self.malformed {
            if malformed.before > first {
                malformed.before -= misfits.partition_point(|&row| row < malformed.before);
            }
        }
    }
}

fn retain<T>(column: &mut Values<T>, keep: &[bool]) {
    retain_rows(&mut column.values, keep);
    retain_rows(&mut column.nulls, keep);
}

fn retain_rows<T>(rows: &mut Vec<T>, keep: &[bool]) {
    let mut kept = keep.iter();
    rows.retain(|_| *kept.next().unwrap_or(&true));
}

/// Returns how values of any kind are kept in a column whose type they do not fit.
fn declare_cure(name: &str) -> String {
    let name = if name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    };
    format!("declare it as text with `--schema '{name} string'`")
}

/// Returns bytes for a message: quoted, cut after 40 characters, never a control character.
fn shown(bytes: &[u8]) -> String {
    const MAX_CHARACTERS: usize = 40;
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text
        .chars()
        .take(MAX_CHARACTERS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(MAX_CHARACTERS).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
