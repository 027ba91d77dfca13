//! The batches of one partition that no broker has acknowledged, in their order, and the rules by
//! which they are sent again.
//!
//! ```text
//!  added ──► waiting ──────────────► asked ──── acknowledged, or written before ──► gone
//!               ▲                      │
//!               └── failed: once all that is on its way was answered ──┘
//! ```
//!
//! At most some are on their way; at the begin, and after a failure, a single one until it is
//! acknowledged: a broker that knows nothing of the producer, or has forgotten it in a restart, takes
//! any number for the first, and would take the second batch before the first. After a failure that
//! passes, nothing more is sent until all that is on its way was answered; then everything that is left
//! goes out again, in order. So a batch that a broker refuses because the one before it was refused
//! needs no rule of its own. Where the first of
//! all is refused for its number, the broker has lost what came before: the partition then numbers
//! from 0 again in the producer's next epoch, as KIP-360 says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::super::batch::{Sender, Unpacker, halve, stamp};
use super::super::wire::code;

/// One batch.
#[derive(Debug)]
struct Batch {
    /// Tells it from the others of its partition.
    ordinal: u64,
    bytes: Arc<Vec<u8>>,
    /// How many records it has.
    count: i32,
    /// The number of its first record, once it was sent.
    sequence: Option<i32>,
    since: Instant,
    is_asked: bool,
}

/// What has become of a batch that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is written: so many records, from an offset on where that is known.
    Written(i32, Option<i64>),
    /// It is sent again, or was given up before.
    Waits,
    /// It cannot be written, by this code.
    Refused(i16),
}

/// Who numbers the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Backlog {
    batches: VecDeque<Batch>,
    added: u64,
    /// How many are on their way.
    asked: usize,
    bytes: usize,
    /// Whether nothing more is sent until all that is on its way was answered.
    drains: bool,
    /// Whether a batch was acknowledged since the begin, or the last failure.
    is_proven: bool,
    /// Whether the broker has lost what came before.
    has_gap: bool,
    /// As whom the records are numbered; none before the first.
    identity: Option<Identity>,
    /// The number of the next record.
    sequence: i32,
    /// As many bytes as were too many for a batch.
    too_large: Option<usize>,
    /// The memory of a batch that is gone.
    spare: Option<Vec<u8>>,
}

impl Backlog {
    /// Returns whether there is no batch.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Returns how many batches there are that are not on their way.
    pub fn waiting(&self) -> usize {
        self.batches.len() - self.asked
    }

    /// Returns how many bytes all have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns since when the oldest one is there.
    pub fn since(&self) -> Option<Instant> {
        self.batches.front().map(|batch| batch.since)
    }

    /// Returns the size above which the topic takes no batch, as far as that is known.
    pub fn too_large(&self) -> Option<usize> {
        self.too_large
    }

    /// Returns the memory of a batch that is gone, for another one.
    pub fn spare(&mut self) -> Option<Vec<u8>> {
        self.spare.take()
    }

    /// Adds a batch of so many records, which are there since some time.
    pub fn push(&mut self, bytes: Vec<u8>, count: i32, since: Instant) {
        self.bytes += bytes.len();
        self.added += 1;
        self.batches.push_back(Batch {
            ordinal: self.added,
            bytes: Arc::new(bytes),
            count,
            sequence: None,
            since,
            is_asked: false,
        });
    }

    /// Takes the next batch to be sent, if there is one and fewer than `most` are on their way; returns
    /// what tells it from others, and its bytes. `identity` is `None` where records are not numbered.
    pub fn ask(&mut self, identity: Option<Identity>, most: usize) -> Option<(u64, Arc<Vec<u8>>)> {
        let most = if self.is_proven { most } else { 1 };
        if self.asked >= most || self.drains {
            return None;
        }
        let nth = self.batches.iter().position(|batch| !batch.is_asked)?;
        self.identity = self.identity.or(identity);
        let batch = &mut self.batches[nth];
        let is_new = batch.sequence.is_none();
        if is_new {
            batch.sequence = Some(self.sequence);
            self.sequence = after(self.sequence, batch.count);
        }
        if is_new {
            let sender = sender(self.identity, batch.sequence);
            stamp(Arc::make_mut(&mut batch.bytes).as_mut_slice(), sender);
        }
        batch.is_asked = true;
        self.asked += 1;
        Some((batch.ordinal, batch.bytes.clone()))
    }

    /// Takes an answer for a batch: a code, and its offset.
    pub fn answered(
        &mut self,
        ordinal: u64,
        error: i16,
        offset: i64,
        unpacker: &mut Unpacker,
    ) -> Fate {
        let Some(nth) = self.position(ordinal) else {
            return Fate::Waits;
        };
        self.asked -= usize::from(std::mem::take(&mut self.batches[nth].is_asked));
        let fate = match error {
            code::NONE => self.remove(nth, Some(offset).filter(|&offset| offset >= 0)),
            code::DUPLICATE => self.remove(nth, None),
            code::OUT_OF_ORDER | code::UNKNOWN_PRODUCER if self.identity.is_some() => {
                // One that is not the first follows a batch that has failed.
                self.has_gap |= nth == 0;
                self.drains = true;
                Fate::Waits
            }
            code::MESSAGE_TOO_LARGE => self.split(nth, unpacker),
            error if passes(error) => {
                self.drains = true;
                Fate::Waits
            }
            error => Fate::Refused(error),
        };
        self.end_drain();
        fate
    }

    /// Takes a batch that was asked about for not answered.
    pub fn dropped(&mut self, ordinal: u64) {
        if let Some(nth) = self.position(ordinal) {
            self.asked -= usize::from(std::mem::take(&mut self.batches[nth].is_asked));
            self.drains = true;
            self.end_drain();
        }
    }

    /// Gives all batches up; returns how many records they had.
    pub fn clear(&mut self) -> u64 {
        let count = self.batches.drain(..).map(|batch| batch.count as u64).sum();
        (self.asked, self.bytes, self.drains) = (0, 0, false);
        count
    }

    fn position(&self, ordinal: u64) -> Option<usize> {
        let mut batches = self.batches.iter();
        batches.position(|batch| batch.ordinal == ordinal)
    }

    fn remove(&mut self, nth: usize, offset: Option<i64>) -> Fate {
        let Some(batch) = self.batches.remove(nth) else {
            return Fate::Waits;
        };
        self.is_proven = true;
        self.bytes -= batch.bytes.len();
        self.spare = Arc::try_unwrap(batch.bytes).ok();
        Fate::Written(batch.count, offset)
    }

    /// Sends what is too large for the topic in two halves, which keep the records' numbers.
    fn split(&mut self, nth: usize, unpacker: &mut Unpacker) -> Fate {
        let batch = &self.batches[nth];
        let Some(halves) = halve(&batch.bytes, unpacker) else {
            return Fate::Refused(code::MESSAGE_TOO_LARGE);
        };
        let least = self.too_large.unwrap_or(usize::MAX);
        self.too_large = Some(least.min(batch.bytes.len()));
        let (mut sequence, since) = (batch.sequence, batch.since);
        self.bytes -= batch.bytes.len();
        self.batches.remove(nth);
        for (at, (mut bytes, count)) in halves.into_iter().enumerate() {
            self.bytes += bytes.len();
            self.added += 1;
            stamp(&mut bytes, sender(self.identity, sequence));
            let half = Batch {
                ordinal: self.added,
                bytes: Arc::new(bytes),
                count,
                sequence,
                since,
                is_asked: false,
            };
            self.batches.insert(nth + at, half);
            sequence = sequence.map(|sequence| after(sequence, count));
        }
        self.drains = true;
        Fate::Waits
    }

    /// Lets everything go out again, once nothing is on its way any more.
    fn end_drain(&mut self) {
        if self.asked > 0 || !self.drains {
            return;
        }
        (self.drains, self.is_proven) = (false, false);
        if std::mem::take(&mut self.has_gap)
            && let Some(identity) = &mut self.identity
        {
            identity.epoch = identity.epoch.saturating_add(1);
            self.sequence = 0;
            for batch in &mut self.batches {
                batch.sequence = None;
            }
        }
    }
}

fn sender(identity: Option<Identity>, sequence: Option<i32>) -> Option<Sender> {
    let (Identity { id, epoch }, sequence) = identity.zip(sequence)?;
    Some(Sender {
        id,
        epoch,
        sequence,
        is_transactional: false,
    })
}

/// Returns whether a batch that was refused by this code may be written later.
fn passes(error: i16) -> bool {
    code::PASSING.contains(&error) || code::PASSING_WRITES.contains(&error) || is_unknown(error)
}

/// Returns whether a broker knows nothing of a topic, or has nothing of a partition: whether any does is
/// asked then.
pub fn is_unknown(error: i16) -> bool {
    let unknown = [
        code::UNKNOWN_TOPIC,
        code::UNKNOWN_TOPIC_ID,
        code::INCONSISTENT_TOPIC_ID,
    ];
    unknown.contains(&error)
}

/// Returns the number that follows so many records; after the highest comes 0.
fn after(sequence: i32, count: i32) -> i32 {
    let next = i64::from(sequence) + i64::from(count);
    (next % (i64::from(i32::MAX) + 1)) as i32
}
