//! Rows of a join: CSV, JSON lines, a table or records of a topic.
//!
//! In: [`Joined`] rows, whose pieces are text already. Out: lines. Rows are put together in one
//! buffer, which is handed on before it grows large.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::table::Look;
use super::topic::Shared;
use crate::column::{DataType, Field, ValueRef};
use crate::engine::join::{Emit, Joined};
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::kafka::producer::{Block, Options, Producer, Record, TopicId};
use crate::notation::{Notation, push_csv, push_json};
use crate::outlet::Outlet;
use crate::term::grid::{ALL_IN_CSV, Cell, Column, Grid, Times};
use crate::term::printable::printable;
use crate::term::report::Report;
use crate::term::table::Align;
use crate::term::units::format_time;

/// Rows are handed on before they fill more than this.
const FLUSH_BYTES: usize = 256 << 10;
/// How many partitions a topic gets that is not there yet.
const PARTITIONS: i32 = 3;

/// What is in a row besides the pieces of its records.
#[derive(Debug, Clone)]
pub struct Frame {
    /// How rows are written.
    pub notation: Notation,
    /// The columns of either side, all null.
    pub nulls: [Vec<u8>; 2],
    /// How the event time is written.
    pub times: Times,
}

/// Something that rows of a join are written to.
pub struct JoinedSink {
    frame: Frame,
    lines: Vec<u8>,
    /// The rows in `lines`; kept for a topic alone.
    rows: Vec<RowEnds>,
    output: Output,
}

enum Output {
    Text(Outlet),
    Table(Table),
    Topic(Box<Topic>),
}

/// Where a row's key and the row end in the lines, and its time.
struct RowEnds {
    key: usize,
    row: usize,
    time: i64,
}

impl JoinedSink {
    /// Returns a sink of CSV or JSON lines; CSV begins with the names of the columns.
    pub fn text(outlet: Outlet, frame: Frame, columns: &[Field]) -> Self {
        let mut lines = Vec::new();
        if frame.notation == Notation::Csv {
            for (nth, column) in columns.iter().enumerate() {
                if nth > 0 {
                    lines.push(b',');
                }
                push_csv(&mut lines, ValueRef::Text(&column.name));
            }
            lines.push(b'\n');
        }
        Self::new(frame, lines, Output::Text(outlet))
    }

    /// Returns a sink of aligned columns; the rows of its frame are JSON.
    pub fn table(outlet: Outlet, frame: Frame, columns: &[Field], look: Look) -> Self {
        let table = Table::new(outlet, columns, look);
        Self::new(frame, Vec::new(), Output::Table(table))
    }

    /// Returns a sink of records in a topic: the key is what is joined on, one column as text, several as
    /// an object, the value a JSON object, which the frame's rows are; the timestamp is the event time. A topic that is not
    /// there is created with endless retention.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the topic may not be created.
    pub fn topic(settings: &Settings, name: &str, frame: Frame, keys: &[Field]) -> Result<Self> {
        let producer = Shared::new(Producer::new(settings, &Options::default())?);
        Self::topic_shared(&Admin::new(settings)?, name, frame, keys, producer)
    }

    /// Returns a sink as [`JoinedSink::topic`] does, which sends through a producer that others send
    /// through, too.
    ///
    /// # Errors
    /// As [`JoinedSink::topic`].
    pub fn topic_shared(
        admin: &Admin,
        name: &str,
        frame: Frame,
        keys: &[Field],
        producer: Shared,
    ) -> Result<Self> {
        let topic = Box::new(Topic::open(admin, name, keys, producer)?);
        Ok(Self::new(frame, Vec::new(), Output::Topic(topic)))
    }

    /// Forgets the rows that have not been handed on.
    pub(crate) fn forget(&mut self) {
        self.lines.clear();
        self.rows.clear();
    }

    fn new(frame: Frame, lines: Vec<u8>, output: Output) -> Self {
        JoinedSink {
            frame,
            lines,
            rows: Vec::new(),
            output,
        }
    }

    /// Hands on the rows that have come so far.
    ///
    /// # Errors
    /// `refused` when a file, a disk or a topic refuses, `ClosedPipe` if the reader has gone, also
    /// when there is nothing to write.
    pub fn write(&mut self) -> Result<()> {
        let lines = &mut self.lines;
        let written = match &mut self.output {
            Output::Text(outlet) if lines.is_empty() => outlet.check_reader(),
            Output::Text(outlet) => outlet.write(lines),
            Output::Table(table) => table.write(lines),
            Output::Topic(topic) => {
                let lines = std::mem::replace(lines, Vec::with_capacity(2 * FLUSH_BYTES));
                topic.write(lines, self.rows.drain(..))
            }
        };
        self.lines.clear();
        self.lines.shrink_to(4 * FLUSH_BYTES);
        written
    }

    /// Flushes what has come, so that others can read it.
    ///
    /// # Errors
    /// As [`JoinedSink::write`].
    pub fn flush(&mut self) -> Result<()> {
        self.write()?;
        match &mut self.output {
            Output::Text(_) => Ok(()),
            Output::Table(table) => table.write_header(),
            Output::Topic(topic) => topic.producer.lock().flush(|_| {}),
        }
    }
}

impl Emit for JoinedSink {
    #[inline]
    fn emit(&mut self, row: &Joined<'_>) -> Result<()> {
        let JoinedSink { frame, lines, .. } = self;
        lines.extend_from_slice(row.key);
        let key = lines.len();
        lines.extend_from_slice(row.left.unwrap_or(&frame.nulls[0]));
        lines.extend_from_slice(row.right.unwrap_or(&frame.nulls[1]));
        let (before, after): (&[u8], &[u8]) = match frame.notation {
            Notation::Csv => (b",", b"\n"),
            Notation::Json => (b",\"event_time\":", b"}\n"),
        };
        lines.extend_from_slice(before);
        match (frame.times, frame.notation) {
            (Times::Ms, _) => {
                lines.extend_from_slice(itoa::Buffer::new().format(row.time).as_bytes());
            }
            (Times::Iso, Notation::Csv) => {
                lines.extend_from_slice(format_time(row.time).as_bytes())
            }
            (Times::Iso, Notation::Json) => {
                push_json(lines, ValueRef::Text(&format_time(row.time)))
            }
        }
        lines.extend_from_slice(after);
        if let Output::Topic(_) = self.output {
            self.rows.push(RowEnds {
                key,
                row: lines.len(),
                time: row.time,
            });
        }
        if self.lines.len() < FLUSH_BYTES {
            Ok(())
        } else {
            self.write()
        }
    }
}

/// Aligned columns for people.
struct Table {
    outlet: Outlet,
    grid: Grid,
    report: Report,
    /// What each column is.
    types: Vec<DataType>,
    header_written: bool,
}

impl Table {
    fn new(outlet: Outlet, columns: &[Field], look: Look) -> Self {
        let last = columns.len().saturating_sub(1);
        let column = |(nth, field): (usize, &Field)| {
            let align = match field.data_type {
                _ if nth == last => Align::Left, // the time
                DataType::Bigint
                | DataType::Double
                | DataType::Decimal
                | DataType::Timestamp
                | DataType::Number => Align::Right,
                DataType::Boolean | DataType::Text | DataType::Any => Align::Left,
            };
            Column::new(&field.name, align)
        };
        let columns_of_grid = columns.iter().enumerate().map(column).collect();
        Table {
            outlet,
            grid: Grid::new(columns_of_grid, look.room, look.times),
            report: look.report,
            types: columns.iter().map(|field| field.data_type).collect(),
            header_written: false,
        }
    }

    /// Writes rows; the header leaves with the first of them, which it is as wide as.
    fn write(&mut self, lines: &[u8]) -> Result<()> {
        if lines.is_empty() {
            return self.outlet.check_reader();
        }
        let objects = serde_json::Deserializer::from_slice(lines).into_iter::<Cells>();
        let mut rows = Vec::new();
        for object in objects {
            let Cells(texts) = object
                .map_err(|error| Error::bug(format!("a row is not a JSON object: {error}")))?;
            let cells = self.cells(texts);
            self.grid.measure(&cells);
            rows.push(cells);
        }
        self.write_header()?;
        let mut text = String::new();
        for cells in &rows {
            text.push_str(&self.grid.line(cells));
            text.push('\n');
        }
        self.outlet.write(text.as_bytes())
    }

    /// Returns the values of a row, of which the last is its time.
    fn cells(&self, texts: Vec<String>) -> Vec<Cell> {
        let last = self.types.len().saturating_sub(1);
        let values = texts.into_iter().zip(&self.types).enumerate();
        let cell = |(nth, (text, data_type)): (usize, (String, &DataType))| match data_type {
            _ if nth == last => text.parse().map_or(Cell::Text(text), Cell::Time),
            DataType::Double | DataType::Decimal | DataType::Number => Cell::Number(text),
            _ => Cell::Text(text),
        };
        values.map(cell).collect()
    }

    fn write_header(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.header_written, true) {
            return Ok(());
        }
        if let Some(hint) = self.grid.fit().hint(ALL_IN_CSV) {
            self.report.hint(hint);
        }
        let heading = format!("{}\n", self.grid.heading());
        self.outlet.write(heading.as_bytes())
    }
}

/// The values of a JSON object as people read them.
struct Cells(Vec<String>);

impl<'de> serde::Deserialize<'de> for Cells {
    fn deserialize<D: serde::Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Cells;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut members: M,
            ) -> Result<Cells, M::Error> {
                let mut cells = Vec::new();
                while let Some((_, value)) =
                    members.next_entry::<serde::de::IgnoredAny, &RawValue>()?
                {
                    let value = value.get();
                    let text = serde_json::from_str::<String>(value);
                    let text = text.as_deref().unwrap_or(value);
                    cells.push(printable(text.as_bytes()));
                }
                Ok(Cells(cells))
            }
        }
        object.deserialize_map(Members)
    }
}

/// Records of a topic.
struct Topic {
    name: String,
    producer: Shared,
    topic: TopicId,
    partitioner: Partitioner,
    keys: RecordKeys,
}

/// Makes the keys of records of what rows are joined on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordKeys {
    /// What is before the value of the key, `{"call_id":`; `None` for a key of several columns.
    before: Option<usize>,
}

impl RecordKeys {
    /// Returns what makes the keys of rows that are joined on these columns.
    pub(crate) fn new(keys: &[Field]) -> Self {
        let before = match keys {
            [key] => Some(1 + crate::notation::member(&key.name).len()),
            _ => None,
        };
        RecordKeys { before }
    }

    /// Returns the key of a record, from the JSON that the rows of a join begin with: text without
    /// quotes, `None` for null; an object of several columns.
    pub(crate) fn of<'j>(&self, key: &'j [u8]) -> Option<Cow<'j, [u8]>> {
        match self.before {
            Some(before) => key_text(&key[before..]),
            None => Some([key, b"}"].concat().into()),
        }
    }
}

impl Topic {
    fn open(admin: &Admin, name: &str, keys: &[Field], producer: Shared) -> Result<Self> {
        let topic = match admin.find_topic(name)? {
            Some(topic) => topic,
            None => admin.create_data_topic(name, PARTITIONS)?,
        };
        let partitions = topic.partitions.len() as i32;
        let id = producer.lock().topic(name)?;
        Ok(Topic {
            topic: id,
            name: name.to_owned(),
            producer,
            partitioner: Partitioner::new(Partitioning::Murmur2, partitions),
            keys: RecordKeys::new(keys),
        })
    }

    fn write(&mut self, lines: Vec<u8>, rows: impl Iterator<Item = RowEnds>) -> Result<()> {
        let block = Arc::new(Block::from(lines));
        let mut producer = self.producer.lock();
        let mut start = 0;
        for row in rows {
            if row.time <= 0 {
                return Err(Error::refused(format!(
                    "cannot write a row of {} to topic `{}`: Kafka accepts no time before 1970",
                    format_time(row.time),
                    self.name
                ))
                .hint("write to a file, or see `--time-unit s|ms|us|ns`"));
            }
            let key = self.keys.of(&block.bytes()[start..row.key]);
            let record = Record {
                partition: self.partitioner.choose(key.as_deref()),
                timestamp: Some(row.time),
                key: key.as_deref(),
                value: Some(start..row.row - 1), // without the newline
                headers: &[],
            };
            producer.send(self.topic, &block, &record)?;
            start = row.row;
        }
        producer.serve(Duration::ZERO)
    }
}

/// Returns a JSON value as the key of a record: text without quotes, `None` for null.
fn key_text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match value {
        b"null" => None,
        [b'"', text @ .., b'"'] if memchr::memchr(b'\\', text).is_none() => Some(text.into()),
        [b'"', ..] => {
            let text: String = serde_json::from_slice(value).unwrap_or_default(); // written here
            Some(text.into_bytes().into())
        }
        value => Some(value.into()),
    }
}
