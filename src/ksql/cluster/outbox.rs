//! Records on their way out: gathered in a block, then sent.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::kafka::producer::{Block, Producer, Record, TopicId};
use crate::ksql::run::Headers;
use crate::source::Header;

/// Records that are sent together.
#[derive(Default)]
pub(super) struct Outbox {
    block: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    topic: TopicId,
    partition: i32,
    time: Option<i64>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Headers,
}

impl Outbox {
    /// Adds a record. Without a time it has that of sending; Kafka takes none before 1970.
    pub fn push(
        &mut self,
        (topic, partition): (TopicId, i32),
        time: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers,
    ) {
        let mut keep = |bytes: &[u8]| {
            let start = self.block.len();
            self.block.extend_from_slice(bytes);
            start..self.block.len()
        };
        let (key, value) = (key.map(&mut keep), value.map(&mut keep));
        self.rows.push(Row {
            topic,
            partition,
            time: time.map(|time| time.max(1)),
            key,
            value,
            headers,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn clear(&mut self) {
        self.block.clear();
        self.rows.clear();
    }

    /// Sends all of them.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn send(&mut self, producer: &mut Producer) -> Result<()> {
        let block = Arc::new(Block::from(std::mem::take(&mut self.block)));
        for row in self.rows.drain(..) {
            let headers: Vec<Header<'_>> = row
                .headers
                .iter()
                .map(|(name, value)| Header {
                    name: name.as_bytes(),
                    value: value.as_deref(),
                })
                .collect();
            let record = Record {
                partition: row.partition,
                timestamp: row.time,
                key: row.key.map(|range| &block.bytes()[range]),
                value: row.value,
                headers: &headers,
            };
            producer.send(row.topic, &block, &record)?;
        }
        Ok(())
    }
}
