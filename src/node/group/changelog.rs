//! The changelog topic of a group: a row for each open window and key.
//!
//! It is compacted and has as many partitions as the input, so that the state of a task is in the
//! partition of its number. Rows have the time of writing as their timestamp: with an old event
//! time the broker would delete them.

use std::ops::Range;
use std::sync::Arc;

use super::task::{Task, Work};
use crate::engine::codec;
use crate::engine::operator::Operator;
use crate::error::Result;
use crate::fault::{Fault, is_planted};
use crate::kafka::producer::{Block, Producer, Record, TopicId};
use crate::sink::topic::Shared;

/// The key of the header row, which belongs to no window. Other keys are longer.
pub(in crate::node) const HEADER: &[u8] = b"header";

/// The configuration of changelog topics.
pub(in crate::node) const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    // The segment that is being written is never compacted.
    ("segment.bytes", "16777216"),
    ("min.cleanable.dirty.ratio", "0.3"),
];

/// The changelog of a group.
pub(super) struct Changelog {
    name: String,
    topic: TopicId,
    /// The id of the input that the state was built from.
    input: Option<String>,
}

/// Returns the name of a group's changelog topic.
pub fn name_of(group: &str) -> String {
    format!("{group}-window-changelog")
}

impl Changelog {
    /// Uses the existing changelog of a group.
    pub fn open(name: String, input: Option<String>, producer: &Shared) -> Result<Self> {
        let mut producer = producer.lock();
        let topic = producer.topic(&name)?;
        producer.watch(topic); // for snapshots
        Ok(Changelog { name, topic, input })
    }

    /// Returns the topic's name.
    pub fn topic(&self) -> &str {
        &self.name
    }

    /// Returns the id of the input that the state was built from.
    pub fn input(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// Sends the changes of a task's state: rows, the header, deletions.
    ///
    /// Without a transaction, a crash may leave only the first part of them. If a window were
    /// deleted before the header says that it has closed, it would start again with the records
    /// since the last commit, and its row would replace the right one.
    pub fn write(&self, task: &mut Task, producer: &mut Producer) -> Result<()> {
        let Changed { mut there, gone } = std::mem::take(&mut task.changed);
        if is_planted(Fault::RowsForgotten) {
            there = Rows::default();
        }
        let mut value = Vec::new();
        codec::put(&mut value, &(task.operator.save_header()?, task.is_shown))?;
        let positions: &[i64] = match &task.work {
            Work::Downstream(downstream) => &downstream.positions,
            Work::Window | Work::Upstream(_) => &[],
        };
        codec::put(&mut value, &positions)?;
        codec::put(&mut value, &task.stand(self.input.clone()))?;
        there.push(HEADER, Some(&value));
        if let Some(snapshot) = &mut task.snapshot {
            let mut note = |key: &[u8], value: Option<&[u8]>| snapshot.note(key, value);
            there.each(&mut note);
            gone.each(&mut note);
        }
        there.send(self.topic, task.place.partition, producer)?;
        gone.send(self.topic, task.place.partition, producer)
    }
}

/// The changes of a state since it was last sent.
#[derive(Default)]
pub(super) struct Changed {
    there: Rows,
    gone: Rows,
}

impl Changed {
    /// Returns whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.there.rows.is_empty() && self.gone.rows.is_empty()
    }

    /// Adds what has changed since the last call.
    pub fn gather(&mut self, operator: &mut Operator) -> Result<()> {
        operator.take_changes(|key, value| match value {
            Some(_) => self.there.push(key, value),
            None => self.gone.push(key, value),
        })
    }
}

/// Rows of one partition, with their bytes in one block.
#[derive(Default)]
pub(in crate::node) struct Rows {
    keys: Vec<u8>,
    values: Vec<u8>,
    /// Where the key of each row ends, and where its value is.
    rows: Vec<(usize, Option<Range<usize>>)>,
}

impl Rows {
    /// Adds a row; a row without a value is a tombstone.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.keys.extend_from_slice(key);
        let start = self.values.len();
        self.values.extend_from_slice(value.unwrap_or_default());
        let range = value.map(|_| start..self.values.len());
        self.rows.push((self.keys.len(), range));
    }

    /// Calls a function for each row, in order.
    pub fn each(&self, mut row: impl FnMut(&[u8], Option<&[u8]>)) {
        let mut start = 0;
        for (end, value) in &self.rows {
            let value = value.clone().map(|range| &self.values[range]);
            row(&self.keys[start..*end], value);
            start = *end;
        }
    }

    /// Sends the rows in order.
    pub fn send(self, topic: TopicId, partition: i32, producer: &mut Producer) -> Result<()> {
        let block = Arc::new(Block::from(self.values));
        let mut start = 0;
        for (end, value) in self.rows {
            let record = Record {
                partition,
                key: Some(&self.keys[start..end]),
                value,
                ..Record::default()
            };
            producer.send(topic, &block, &record)?;
            start = end;
        }
        Ok(())
    }
}
