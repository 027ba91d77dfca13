//! A topic: all its partitions, each in its order, the one furthest behind first.
//!
//! Comes in: a topic and from where to where it is read. Goes out: batches of borrowed messages.

use std::time::{Duration, Instant};

use super::{Batch, Committed, Message, Polled, Records, Source};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, OffsetOf};
use crate::kafka::fetch::{Fetched, Fetcher};
use crate::term::units::now_ms;

/// The most records that are handed over at once.
const MOST: usize = 4_096;
/// How long the partitions are asked in turn before the next one is.
const TURN: Duration = Duration::from_millis(5);

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Since {
    /// The first record that is there.
    #[default]
    Beginning,
    /// After the last record.
    End,
    /// This offset, in every partition.
    Offset(i64),
    /// The first record at or after a time in ms since 1970, UTC.
    Time(i64),
}

/// Where reading ends; exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// Never: new records are followed.
    #[default]
    Never,
    /// The ends that the partitions have at the start.
    End,
    /// This offset, in every partition.
    Offset(i64),
    /// The first record at or after a time in ms since 1970, UTC, or the end of a partition once
    /// the clock has passed that time.
    Time(i64),
}

/// What of a topic is read.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// Where reading begins without a group, or where the group has not committed.
    pub since: Since,
    /// Where it ends.
    pub until: Until,
    /// The group whose committed offsets are where reading begins.
    pub group: Option<String>,
}

/// A topic that is read.
pub struct KafkaSource {
    topic: String,
    /// The partition and records of the last batch, which borrows from here. Dropped before the
    /// fetcher: a client waits for its last record to be given back.
    last: (usize, Fetched),
    fetcher: Fetcher,
    partitions: Vec<Partition>,
    until: Until,
    /// Which partition is read first.
    preferred: usize,
    /// Whether the last batch is to be handed over again.
    again: bool,
}

/// One partition of the topic.
struct Partition {
    number: i32,
    /// The next offset to be handed over.
    position: i64,
    /// The first offset that is not read; none for a topic that is followed.
    end: Option<i64>,
    /// Whether nothing more will be read.
    done: bool,
    /// Whether everything known to be there has been handed over.
    at_end: bool,
    committed: Option<Committed>,
}

impl KafkaSource {
    /// Opens a topic.
    ///
    /// # Errors
    /// `refused` when it does not exist, `retry` when no broker answers.
    pub fn open(settings: &Settings, topic: &str, range: &Range) -> Result<Self> {
        let admin = Admin::new(settings)?;
        let numbers: Vec<i32> = admin
            .topic(topic)?
            .partitions
            .iter()
            .map(|partition| partition.number)
            .collect();
        let named: Vec<(&str, i32)> = numbers.iter().map(|&number| (topic, number)).collect();
        let offsets = |wanted: OffsetOf| -> Result<Vec<i64>> {
            let found = admin.offsets(&named, wanted)?;
            let of = |number: &i32| {
                let info = found.iter().find(|info| info.partition == *number);
                match info.map(|info| &info.offset) {
                    Some(Ok(offset)) => Ok(*offset),
                    Some(Err(reason)) => Err(Error::refused(format!(
                        "cannot find an offset of topic `{topic}`, partition {number}: {reason}"
                    ))),
                    None => Err(Error::bug("the broker left a partition out")),
                }
            };
            numbers.iter().map(of).collect()
        };
        let (low, high) = (offsets(OffsetOf::Earliest)?, offsets(OffsetOf::Latest)?);
        let mut starts = match range.since {
            Since::Beginning => low.clone(),
            Since::End => high.clone(),
            Since::Offset(offset) => clamp(offset, &low, &high),
            Since::Time(time) => {
                let found = offsets(OffsetOf::Time(time))?;
                let after_all = |(&offset, &high)| if offset < 0 { high } else { offset };
                found.iter().zip(&high).map(after_all).collect()
            }
        };
        let mut fetcher = Fetcher::new(settings, topic, range.group.as_deref())?;
        let mut committed = vec![None; numbers.len()];
        if range.group.is_some() {
            committed = fetcher.committed(&numbers)?;
            for (start, committed) in starts.iter_mut().zip(&committed) {
                *start = committed
                    .as_ref()
                    .map_or(*start, |committed| committed.offset);
            }
        }
        let partitions: Vec<Partition> = (0..numbers.len())
            .map(|nth| {
                let end = match range.until {
                    Until::End => Some(high[nth]),
                    Until::Offset(offset) => Some(offset),
                    Until::Never | Until::Time(_) => None,
                };
                Partition {
                    number: numbers[nth],
                    position: starts[nth],
                    end,
                    done: end.is_some_and(|end| starts[nth] >= end),
                    at_end: starts[nth] >= high[nth],
                    committed: committed[nth].clone(),
                }
            })
            .collect();
        let starts: Vec<(i32, i64)> = numbers.iter().copied().zip(starts).collect();
        fetcher.assign(&starts)?;
        Ok(KafkaSource {
            topic: topic.to_owned(),
            fetcher,
            partitions,
            until: range.until,
            preferred: 0,
            last: (0, Fetched::default()),
            again: false,
        })
    }

    /// Fetches the next records of some partition into `last`; whether there are any.
    fn fetch(&mut self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        self.last.1 = Fetched::default();
        loop {
            self.fetcher.serve()?;
            let count = self.partitions.len();
            for nth in (0..count).map(|turn| (self.preferred + turn) % count) {
                if self.partitions[nth].done {
                    continue;
                }
                let fetched = self.fetcher.read(nth, Duration::ZERO, MOST)?;
                if !fetched.is_empty() {
                    self.last = (nth, fetched);
                    return Ok(true);
                }
            }
            self.note_ends();
            if self.ended() || Instant::now() >= deadline {
                return Ok(false);
            }
            self.fetcher.watch_silence()?;
            let waited_for = self.first_open();
            let fetched = self.fetcher.read(waited_for, TURN, MOST)?;
            if !fetched.is_empty() {
                self.last = (waited_for, fetched);
                return Ok(true);
            }
        }
    }

    /// Returns the partition to wait for: the preferred one unless it is done.
    fn first_open(&self) -> usize {
        let count = self.partitions.len();
        let mut turns = (0..count).map(|turn| (self.preferred + turn) % count);
        turns.find(|&nth| !self.partitions[nth].done).unwrap_or(0)
    }

    /// Notes which partitions are at their end, by position: transaction markers are no records,
    /// and the position moves past them.
    fn note_ends(&mut self) {
        let positions = self.fetcher.positions();
        let passed = matches!(self.until, Until::Time(time) if now_ms() >= time);
        for (nth, (partition, position)) in self.partitions.iter_mut().zip(positions).enumerate() {
            partition.position = partition
                .position
                .max(position.unwrap_or(partition.position));
            let high = self.fetcher.high_watermark(nth);
            partition.at_end |= high.is_some_and(|high| partition.position >= high);
            partition.done |= partition.end.is_some_and(|end| partition.position >= end)
                || passed && partition.at_end;
        }
    }

    fn ended(&self) -> bool {
        self.partitions.iter().all(|partition| partition.done)
    }

    /// Returns the last batch, cut where reading ends.
    fn batch(&mut self) -> Batch<'_> {
        let nth = self.last.0;
        let partition = &mut self.partitions[nth];
        let (until, end) = (self.until, partition.end);
        let beyond = |message: &Message<'_>| match until {
            Until::Time(time) => message.timestamp.is_some_and(|at| at >= time),
            _ => end.is_some_and(|end| message.offset >= end),
        };
        let mut messages: Vec<Message<'_>> = self.last.1.iter().collect();
        if let Some(last) = messages.last() {
            partition.position = last.offset + 1;
            partition.at_end = false;
            partition.done = end.is_some_and(|end| partition.position >= end);
        }
        if let Some(cut) = messages.iter().position(beyond) {
            partition.position = messages[cut].offset;
            partition.done = true;
            messages.truncate(cut);
        }
        // A partition that is done holds nobody back.
        partition.at_end |= partition.done;
        Batch {
            partition: nth,
            records: Records::Messages(messages),
        }
    }
}

fn clamp(offset: i64, low: &[i64], high: &[i64]) -> Vec<i64> {
    let bounds = low.iter().zip(high);
    bounds
        .map(|(&low, &high)| offset.clamp(low, high))
        .collect()
}

impl Source for KafkaSource {
    fn partitions(&self) -> usize {
        self.partitions.len()
    }

    fn sample(&mut self, interrupt: &Interrupt) -> Result<Option<Records<'_>>> {
        loop {
            interrupt.check()?;
            if self.fetch(Duration::from_millis(50))? {
                break;
            }
            if self.ended() {
                return Ok(None);
            }
        }
        self.again = true;
        Ok(Some(self.batch().records))
    }

    fn poll(&mut self, timeout: Duration) -> Result<Polled<'_>> {
        if !std::mem::take(&mut self.again) && !self.fetch(timeout)? {
            return Ok(match self.ended() {
                true => Polled::End,
                false => Polled::Pending,
            });
        }
        Ok(Polled::Batch(self.batch()))
    }

    fn at_end(&self, partition: usize) -> bool {
        self.partitions[partition].at_end
    }

    fn prefer(&mut self, partition: usize) {
        self.preferred = partition;
    }

    fn name(&self) -> String {
        format!("topic `{}`", self.topic)
    }

    fn committed(&self, partition: usize) -> Option<&Committed> {
        self.partitions[partition].committed.as_ref()
    }

    fn position(&self, partition: usize) -> Option<i64> {
        Some(self.partitions[partition].position)
    }

    fn commit(&mut self, positions: &[(usize, Committed)]) -> Result<()> {
        let number = |nth: usize| self.partitions[nth].number;
        let positions: Vec<(i32, Committed)> = positions
            .iter()
            .map(|(nth, committed)| (number(*nth), committed.clone()))
            .collect();
        self.fetcher.commit(&positions)
    }
}
