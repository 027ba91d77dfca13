//! A topic: one record a row, the rows of one key in one partition.
//!
//! The key is JSON of the grouping columns and the window, the value JSON of all columns, the
//! timestamp the window's end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::text::push_json;
use super::{Header, Sink};
use crate::column::ValueRef;
use crate::engine::pane::{Pane, Panes};
use crate::engine::watermark::END;
use crate::engine::window::Window;
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::partitioner::partition_of;
use crate::kafka::producer::{Block, Options, Producer, Record, TopicId};
use crate::term::units::format_time;

/// The members that a window's bounds are in.
const BOUNDS: [&str; 2] = ["window_start", "window_end"];

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
    /// The window of the last row, and its bounds as members.
    window: Option<Window>,
    bounds: Vec<u8>,
    key: Vec<u8>,
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

    /// Returns the producer; whoever else has it waits.
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
            members: header.names().map(super::text::member).collect(),
            key_members: keys.map(super::text::member).collect(),
            window: None,
            bounds: Vec::new(),
            header,
            tombstones,
            key: Vec::new(),
        })
    }

    /// Builds the record's key; the partition depends on the grouping values alone, and a single
    /// text is hashed as it is, so that a caller's windows lie where the caller's calls do.
    fn build_key(&mut self, pane: Pane<'_>) -> i32 {
        self.key.clear();
        self.key.push(b'{');
        push_members(&mut self.key, &self.key_members, pane.key());
        self.key.push(b'}');
        let mut values = pane.key();
        let partition = match (values.next(), values.next()) {
            (Some(ValueRef::Text(only)), None) => partition_of(only.as_bytes(), self.partitions),
            _ => partition_of(&self.key, self.partitions),
        };
        self.key.pop(); // the brace: the window stands behind the columns
        if !self.key_members.is_empty() {
            self.key.push(b',');
        }
        self.key.extend_from_slice(&self.bounds);
        self.key.push(b'}');
        partition
    }

    /// Appends the record's value.
    fn push_value(&self, json: &mut Vec<u8>, pane: Pane<'_>) {
        json.push(b'{');
        let mut members = self.members.as_slice();
        if self.header.selected.is_none() {
            json.extend_from_slice(&self.bounds);
            members = members.get(BOUNDS.len()..).unwrap_or_default();
        }
        push_members(json, members, self.header.rest(pane));
        json.push(b'}');
    }

    /// Keeps a window's bounds as members of JSON objects; those of its other rows are the same.
    fn keep_bounds(&mut self, window: Window) {
        if self.window != Some(window) {
            self.window = Some(window);
            self.bounds.clear();
            let names = BOUNDS.map(super::text::member);
            push_members(&mut self.bounds, &names, super::bounds(window).into_iter());
        }
    }
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
        let mut bytes = Vec::new();
        let mut values = Vec::with_capacity(panes.len());
        for pane in panes.iter() {
            if pane.firing.is_retraction && self.tombstones {
                values.push(None);
                continue;
            }
            let start = bytes.len();
            self.keep_bounds(pane.window());
            self.push_value(&mut bytes, pane);
            values.push(Some(start..bytes.len()));
        }
        let block = Arc::new(Block::from(bytes));
        let shared = self.producer.clone();
        let mut producer = shared.lock();
        for (pane, value) in panes.iter().zip(values) {
            let end = pane.window().end;
            if end <= 0 {
                return Err(Error::refused(format!(
                    "cannot write the window that ends at {} to topic `{}`: Kafka takes no time before 1970",
                    format_time(end),
                    self.name
                ))
                .hint("write to a file, or see `--time-unit s|ms|us`"));
            }
            self.keep_bounds(pane.window());
            let partition = self.build_key(pane);
            let record = Record {
                partition,
                // The one window of all time ends never: the record has the time of writing.
                timestamp: (end < END).then_some(end),
                key: Some(&self.key),
                value,
                headers: &[],
            };
            producer.send(self.topic, &block, &record)?;
        }
        producer.serve(std::time::Duration::ZERO)
    }

    fn flush(&mut self) -> Result<()> {
        self.producer.lock().flush(|_| {})
    }
}
