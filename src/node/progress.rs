//! Where a group may begin again: the first record that an open window still needs.
//!
//! State is in memory, so a restart reads again what open windows hold. The watermark is stored in
//! the commit's metadata: windows that had left stay closed, and nothing is counted twice in a row
//! that was written.

use std::collections::VecDeque;
use std::fmt;

use crate::engine::watermark::BEGINNING;
use crate::source::{Batch, Committed, Records, Source};

/// Ends a span, so that little is read again for the sake of its last records.
const SPAN: usize = 64;

/// What of each partition is still needed.
#[derive(Debug)]
pub(super) struct Progress {
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    /// The records read, first to last, as long as an open window may hold one.
    spans: VecDeque<Span>,
    committed: Option<Committed>,
    /// Records before this offset were counted by an earlier run.
    counted_to: i64,
}

/// Some records that follow each other.
#[derive(Debug)]
struct Span {
    first_offset: i64,
    /// The watermark at which no open window holds a record of the span.
    forgotten_at: i64,
}

impl Progress {
    /// Takes up what a group has committed; returns the highest watermark noted beside it.
    pub fn restore(source: &dyn Source) -> (Self, i64) {
        let mut watermark = BEGINNING;
        let partition = |nth| {
            let committed = source.committed(nth).cloned();
            let note = committed
                .as_ref()
                .and_then(|committed| CommitMetadata::parse(&committed.metadata));
            watermark = watermark.max(note.map_or(BEGINNING, |note| note.watermark));
            Partition {
                spans: VecDeque::new(),
                committed,
                counted_to: note.map_or(0, |note| note.counted_to),
            }
        };
        let partitions = (0..source.partitions()).map(partition).collect();
        (Progress { partitions }, watermark)
    }

    /// Cuts a batch into what an earlier run has counted and what is new, either of which may be
    /// empty.
    pub fn split<'a>(&self, batch: Batch<'a>) -> [Batch<'a>; 2] {
        let partition = batch.partition;
        let Records::Messages(mut old) = batch.records else {
            let none = Records::Messages(Vec::new());
            return [
                Batch {
                    partition,
                    records: none,
                },
                batch,
            ];
        };
        let counted_to = self.partitions[partition].counted_to;
        let new = old.split_off(old.partition_point(|message| message.offset < counted_to));
        [old, new].map(|messages| Batch {
            partition,
            records: Records::Messages(messages),
        })
    }

    /// Notes for how long the records of a batch are needed. `times` are their event times;
    /// `forgotten_at` returns the watermark at which no open window holds a record of a time.
    pub fn add(&mut self, batch: &Batch<'_>, times: &[i64], forgotten_at: impl Fn(i64) -> i64) {
        let Records::Messages(messages) = &batch.records else {
            return;
        };
        // Where a record was malformed, times and messages do not lie side by side.
        let step = if times.len() == messages.len() {
            SPAN
        } else {
            usize::MAX
        };
        let times = times.chunks(step.min(times.len().max(1)));
        for (messages, times) in messages.chunks(step.min(messages.len().max(1))).zip(times) {
            let latest = times.iter().copied().max();
            self.partitions[batch.partition].spans.push_back(Span {
                first_offset: messages[0].offset,
                forgotten_at: latest.map_or(BEGINNING, &forgotten_at),
            });
        }
    }

    /// Returns what is to be committed at a watermark: for each partition that has moved the
    /// first offset that is still needed.
    pub fn positions(&mut self, source: &dyn Source, watermark: i64) -> Vec<(usize, Committed)> {
        let mut moved = Vec::new();
        for (nth, partition) in self.partitions.iter_mut().enumerate() {
            let Some(position) = source.position(nth) else {
                continue;
            };
            let spans = &mut partition.spans;
            while spans
                .front()
                .is_some_and(|span| span.forgotten_at <= watermark)
            {
                spans.pop_front();
            }
            let note = CommitMetadata {
                watermark,
                counted_to: position.max(partition.counted_to),
            };
            let committed = Committed {
                offset: spans.front().map_or(position, |span| span.first_offset),
                metadata: note.to_string(),
            };
            if partition.committed.as_ref() != Some(&committed) {
                partition.committed = Some(committed.clone());
                moved.push((nth, committed));
            }
        }
        moved
    }

    /// Notes that what [`positions`](Self::positions) returned was not committed.
    pub fn forget_committed(&mut self) {
        let partitions = self.partitions.iter_mut();
        partitions.for_each(|partition| partition.committed = None);
    }
}

/// What a commit says beside its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CommitMetadata {
    /// The combined watermark in ms since 1970, UTC.
    watermark: i64,
    /// Records before this offset have been counted.
    counted_to: i64,
}

impl CommitMetadata {
    fn parse(metadata: &str) -> Option<CommitMetadata> {
        let mut words = metadata.split(' ');
        let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse().ok();
        Some(CommitMetadata {
            watermark: number("watermark=")?,
            counted_to: number("counted_to=")?,
        })
    }
}

impl fmt::Display for CommitMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommitMetadata {
            watermark,
            counted_to,
        } = self;
        write!(f, "watermark={watermark} counted_to={counted_to}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_from_its_metadata() {
        let note = CommitMetadata {
            watermark: -5,
            counted_to: 7,
        };
        assert_eq!(CommitMetadata::parse(&note.to_string()), Some(note));
        assert_eq!(CommitMetadata::parse("somebody else's note"), None);
    }
}
