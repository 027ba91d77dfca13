//! A topic: one record a row, the rows of one key in one partition.
//!
//! The key is JSON of the grouping columns and the window, the value JSON of all columns, the
//! timestamp the window's end.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sink;
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::engine::watermark::END;
use crate::engine::window::Window;
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::partitioner::partition_of;
use crate::kafka::producer::{Block, Options, Producer, Record, TopicId};
use crate::notation::push_json;
use crate::result::{BOUNDS, Header, bounds};
use crate::source::{self, TAKEN_BACK};
use crate::term::units::format_time;

/// How many partitions a topic gets that is not there yet.
const PARTITIONS: i32 = 3;

/// Rows as records of a topic.
pub struct TopicSink {
    name: String,
    producer: Shared,
    topic: TopicId,
    partitions: i32,
    header: Header,
    /// Whether a row that is taken back is a tombstone, and not a row that says so.
    tombstones: bool,
    /// `"caller":`, … escaped once, in the order of the columns.
    members: Vec<Vec<u8>>,
    /// Those of the key's grouping columns.
    key_members: Vec<Vec<u8>>,
    /// Those of a window's bounds.
    bound_members: [Vec<u8>; 2],
    /// The window of the last row, and its bounds as members.
    window: Option<Window>,
    bounds: Vec<u8>,
}

/// A producer that a sink sends through together with others, who may end a transaction of all
/// that was sent.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Producer>>);

impl Shared {
    /// Returns a producer that can be handed to several.
    pub fn new(producer: Producer) -> Self {
        Shared(Arc::new(Mutex::new(producer)))
    }

    /// Returns the producer; other holders wait.
    pub fn lock(&self) -> MutexGuard<'_, Producer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TopicSink {
    /// Opens a topic, which is created with endless retention where it does not exist. A row that
    /// takes an earlier one back is written as a tombstone if `tombstones` says so.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the topic may not be created.
    pub fn open(settings: &Settings, name: &str, header: Header, tombstones: bool) -> Result<Self> {
        let producer = Shared::new(Producer::new(settings, &Options::default())?);
        Self::open_shared(&Admin::new(settings)?, name, header, tombstones, producer)
    }

    /// Opens a topic as [`TopicSink::open`] does, and sends through a producer that others send
    /// through, too.
    ///
    /// # Errors
    /// As [`TopicSink::open`].
    pub fn open_shared(
        admin: &Admin,
        name: &str,
        header: Header,
        tombstones: bool,
        producer: Shared,
    ) -> Result<Self> {
        let topic = match admin.find_topic(name)? {
            Some(topic) => topic,
            None => admin.create_data_topic(name, PARTITIONS)?,
        };
        let id = producer.lock().topic(name)?;
        let keys = header.keys.iter().map(String::as_str);
        Ok(TopicSink {
            topic: id,
            name: name.to_owned(),
            producer,
            partitions: topic.partitions.len() as i32,
            members: header.names().map(crate::notation::member).collect(),
            key_members: keys.map(crate::notation::member).collect(),
            bound_members: BOUNDS.map(crate::notation::member),
            window: None,
            bounds: Vec::new(),
            header,
            tombstones,
        })
    }

    /// Appends a row to a block as a record.
    fn push(&mut self, block: &mut Vec<u8>, pane: Pane<'_>) -> Result<Row> {
        self.keep_bounds(pane.window());
        let time = pane.window().end;
        if time <= 0 {
            return Err(Error::refused(format!(
                "cannot write the window that ends at {} to topic `{}`: Kafka accepts no time before 1970",
                format_time(time),
                self.name
            ))
            .hint("write to a file, or see `--time-unit s|ms|us|ns`"));
        }
        let start = block.len();
        let (partition, columns) = self.push_key(block, pane);
        let key = start..block.len();
        self.push_value(block, pane, columns);
        Ok(Row {
            is_tombstone: pane.firing.is_retraction && self.tombstones,
            partition,
            // The one window of all time ends never: the record has the time of writing.
            timestamp: (time < END).then_some(time),
            value: key.end..block.len(),
            key,
        })
    }

    /// Appends the record's key; the partition depends on the grouping values alone, and a single
    /// text is hashed as it is, so that a caller's windows lie where the caller's calls do. Returns
    /// the partition, and where the members of the grouping columns stand.
    fn push_key(&self, block: &mut Vec<u8>, pane: Pane<'_>) -> (i32, Range<usize>) {
        let start = block.len();
        block.push(b'{');
        let (mut values, mut last) = (0, None);
        let key = self.header.key(pane).inspect(|value| {
            values += 1;
            last = Some(*value);
        });
        push_members(block, &self.key_members, key);
        let columns = start + 1..block.len();
        let partition = match last {
            Some(ValueRef::Text(only) | ValueRef::Any(only)) if values == 1 => {
                partition_of(only.as_bytes(), self.partitions)
            }
            _ => {
                block.push(b'}');
                let partition = partition_of(&block[start..], self.partitions);
                block.pop(); // the window stands behind the columns
                partition
            }
        };
        if !columns.is_empty() {
            block.push(b',');
        }
        block.extend_from_slice(&self.bounds);
        block.push(b'}');
        (partition, columns)
    }

    /// Appends the record's value; the members of the grouping columns are in the block already.
    fn push_value(&self, block: &mut Vec<u8>, pane: Pane<'_>, columns: Range<usize>) {
        block.push(b'{');
        let mut members = self.members.as_slice();
        if self.header.selected.is_none() {
            block.extend_from_slice(&self.bounds);
            if !columns.is_empty() {
                block.push(b',');
                block.extend_from_within(columns);
            }
            let written = BOUNDS.len() + self.key_members.len();
            members = members.get(written..).unwrap_or_default();
        }
        push_members(block, members, self.header.behind_key(pane));
        block.push(b'}');
    }

    /// Keeps a window's bounds as members of JSON objects; those of its other rows are the same.
    fn keep_bounds(&mut self, window: Window) {
        if self.window != Some(window) {
            self.window = Some(window);
            self.bounds.clear();
            let values = bounds(window).into_iter();
            push_members(&mut self.bounds, &self.bound_members, values);
        }
    }
}

/// A row as a record; key and value are in a block.
struct Row {
    partition: i32,
    timestamp: Option<i64>,
    key: Range<usize>,
    value: Range<usize>,
    /// Whether the value goes along as a header, and the record deletes the row of its key.
    is_tombstone: bool,
}

/// Appends members to a JSON object that is open, or to such members.
fn push_members<'a>(
    json: &mut Vec<u8>,
    names: &[Vec<u8>],
    values: impl Iterator<Item = ValueRef<'a>>,
) {
    let mut names = names.iter();
    // Not a loop: the values come from chains, which are faster from within.
    values.for_each(|value| {
        if !matches!(json.last(), None | Some(b'{')) {
            json.push(b',');
        }
        json.extend_from_slice(names.next().map_or(&[], Vec::as_slice));
        push_json(json, value);
    });
}

impl Sink for TopicSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        let mut block = Vec::new();
        let rows = panes.iter().map(|pane| self.push(&mut block, pane));
        let rows: Vec<Row> = rows.collect::<Result<_>>()?;
        let block = Arc::new(Block::from(block));
        let mut producer = self.producer.lock();
        for row in rows {
            let taken_back = [source::Header {
                name: TAKEN_BACK,
                value: Some(&block.bytes()[row.value.clone()]),
            }];
            let (value, headers) = if row.is_tombstone {
                (None, &taken_back[..])
            } else {
                (Some(row.value), &[][..])
            };
            let record = Record {
                partition: row.partition,
                timestamp: row.timestamp,
                key: Some(&block.bytes()[row.key]),
                value,
                headers,
            };
            producer.send(self.topic, &block, &record)?;
        }
        producer.serve(std::time::Duration::ZERO)
    }

    fn flush(&mut self) -> Result<()> {
        self.producer.lock().flush(|_| {})
    }
}
