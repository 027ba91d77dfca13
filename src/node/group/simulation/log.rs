//! A partition's log: records and transaction markers with their offsets, and what readers of committed
//! records see of it (KIP-98).

use std::ops::Range;
use std::sync::Arc;

use crate::kafka::port::OwnRecord;

/// Which transaction, over all producers.
pub(super) type TransactionId = u64;

/// What is at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A record that readers see.
    Committed,
    /// A record of a transaction that has not ended.
    Open(TransactionId),
    /// A record of a transaction that was given up.
    Aborted,
    /// The end of a transaction.
    Marker,
}

#[derive(Debug, Clone)]
struct Entry {
    state: State,
    record: OwnRecord,
}

/// The log of a partition.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The first offset that is there.
    pub start: i64,
    /// One past the last.
    pub end: i64,
    entries: Vec<Entry>,
}

/// What is appended.
#[derive(Debug, Clone)]
pub(super) struct NewRecord {
    pub timestamp: Option<i64>,
    pub bytes: Arc<[u8]>,
    pub key: Option<Range<usize>>,
    pub value: Option<Range<usize>>,
}

impl NewRecord {
    pub fn new(timestamp: Option<i64>, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let mut bytes = key.unwrap_or_default().to_vec();
        let middle = bytes.len();
        bytes.extend_from_slice(value.unwrap_or_default());
        NewRecord {
            timestamp,
            key: key.map(|_| 0..middle),
            value: value.map(|_| middle..bytes.len()),
            bytes: bytes.into(),
        }
    }
}

impl Log {
    /// Appends a record; returns its offset.
    pub fn append(&mut self, partition: i32, state: State, record: NewRecord) -> i64 {
        let offset = self.end;
        self.end += 1;
        self.entries.push(Entry {
            state,
            record: OwnRecord {
                partition,
                offset,
                timestamp: record.timestamp,
                bytes: record.bytes,
                key: record.key,
                value: record.value,
            },
        });
        offset
    }

    /// Ends a transaction: its records are seen from now on, or never.
    pub fn end_transaction(&mut self, partition: i32, id: TransactionId, is_committed: bool) {
        for entry in &mut self.entries {
            if entry.state == State::Open(id) {
                entry.state = if is_committed {
                    State::Committed
                } else {
                    State::Aborted
                };
            }
        }
        self.append(partition, State::Marker, NewRecord::new(None, None, None));
    }

    /// Returns the last stable offset: where the oldest transaction begins that has not ended.
    pub fn stable(&self) -> i64 {
        let is_open = |entry: &&Entry| matches!(entry.state, State::Open(_));
        let open = self.entries.iter().find(is_open);
        open.map_or(self.end, |entry| entry.record.offset)
    }

    /// Returns the committed records from an offset on, at most `most`, and the next offset to read.
    pub fn read(&self, from: i64, most: usize) -> (Vec<OwnRecord>, i64) {
        let (stable, mut records) = (self.stable(), Vec::new());
        let first = self
            .entries
            .partition_point(|entry| entry.record.offset < from);
        for entry in &self.entries[first..] {
            if entry.record.offset >= stable {
                break;
            }
            if entry.state == State::Committed {
                if records.len() == most {
                    return (records, entry.record.offset);
                }
                records.push(entry.record.clone());
            }
        }
        (records, stable.max(from))
    }

    /// Deletes what lies before an offset.
    pub fn delete_before(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.end));
        let start = self.start;
        self.entries.retain(|entry| entry.record.offset >= start);
    }

    /// Keeps only the last record of each key, before the last stable offset, and drops tombstones
    /// that are old enough: offsets stay as they are.
    pub fn compact(&mut self, keep_tombstones_from: i64) {
        let stable = self.stable();
        let mut last = std::collections::BTreeMap::new();
        for entry in &self.entries {
            if entry.record.offset < stable && entry.state == State::Committed {
                last.insert(entry.record.key().map(<[u8]>::to_vec), entry.record.offset);
            }
        }
        self.entries.retain(|entry| {
            let offset = entry.record.offset;
            offset >= stable
                || match entry.state {
                    State::Committed => {
                        let key = entry.record.key().map(<[u8]>::to_vec);
                        let is_last = last.get(&key) == Some(&offset);
                        let is_old_tombstone =
                            entry.record.value().is_none() && offset < keep_tombstones_from;
                        is_last && !is_old_tombstone
                    }
                    State::Open(_) => true,
                    State::Aborted | State::Marker => false,
                }
        });
    }
}
