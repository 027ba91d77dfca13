//! A topic: all its partitions, each in its order. The partition furthest behind comes first, or
//! all are merged by their records' timestamps.
//!
//! In: a topic and the range that is read. Out: batches of borrowed messages.

use std::ops;
use std::time::{Duration, Instant};

use super::{Batch, Committed, Message, Polled, Records, Source};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, OffsetOf, Topic};
use crate::kafka::fetch::Fetcher;
use crate::kafka::fetched::Fetched;
use crate::term::units::now_ms;

/// The most records that are handed over at once.
const MAX_BATCH: usize = 4_096;
/// How long the partitions are asked in turn before the next one is.
const TURN: Duration = Duration::from_millis(5);
/// How long a merge waits for a partition that has more and brings nothing, before it goes on.
const STALLED: Duration = Duration::from_secs(1);

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Since {
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
pub(crate) enum Until {
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
pub(crate) struct Range {
    /// Where reading begins without a group, or where the group has not committed.
    pub since: Since,
    /// Where it ends.
    pub until: Until,
    /// The group whose committed offsets are where reading begins.
    pub group: Option<String>,
}

/// A topic that is read.
pub(crate) struct KafkaSource {
    topic: String,
    /// Dropped before the fetcher: a client waits for its last record to be given back.
    partitions: Vec<Partition>,
    fetcher: Fetcher,
    until: Until,
    /// The partition of the last batch, and which of the records fetched from it.
    last: (usize, ops::Range<usize>),
    /// Whether partitions are merged by timestamp.
    merged: bool,
    /// Since when the merge has waited for a partition.
    waits_since: Option<Instant>,
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
    /// The records that were fetched last; batches borrow from here.
    fetched: Fetched,
    /// How many of them were handed over.
    taken: usize,
}

impl Partition {
    /// Returns whether all that was fetched has been handed over.
    fn is_drained(&self) -> bool {
        self.taken == self.fetched.len()
    }

    /// Returns what decides for a record whether reading ends before it.
    fn is_beyond(&self, until: Until) -> impl Fn(&Message<'_>) -> bool + use<> {
        let end = self.end;
        move |message| match until {
            Until::Time(time) => message.timestamp.is_some_and(|at| at >= time),
            _ => end.is_some_and(|end| message.offset >= end),
        }
    }

    fn take_up(&mut self, fetched: Fetched) {
        self.fetched = fetched;
        self.taken = 0;
    }

    /// Returns the timestamp of the `nth` record that was fetched; one that has none comes first.
    fn time(&self, nth: usize) -> i64 {
        self.fetched.get(nth).timestamp.unwrap_or(i64::MIN)
    }
}

impl KafkaSource {
    /// Opens a topic.
    ///
    /// # Errors
    /// `refused` when it does not exist, `retry` when no broker answers.
    pub fn open(settings: &Settings, topic: &str, range: &Range) -> Result<Self> {
        let found = Starts::find(&Admin::new(settings)?, topic, range.since)?;
        let numbers: Vec<i32> = found.iter().map(|(number, _)| number).collect();
        let high: Vec<i64> = found.iter().map(|(_, start)| start.end).collect();
        let mut starts: Vec<i64> = found.iter().map(|(_, start)| start.first).collect();
        let mut fetcher = Fetcher::new(settings, topic, range.group.as_deref())?;
        let mut committed = vec![None; numbers.len()];
        if range.group.is_some() {
            committed = fetcher.committed(&numbers)?;
            if range.since != Since::Beginning {
                keep_first(&mut fetcher, found.iter(), &committed)?;
            }
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
                    fetched: Fetched::default(),
                    taken: 0,
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
            last: (0, 0..0),
            merged: false,
            waits_since: None,
            preferred: 0,
            again: false,
        })
    }

    /// Merges the partitions from now on: of the next records of all of them, the one with the
    /// lowest timestamp comes first. Each partition keeps its order.
    pub(crate) fn merge(&mut self) {
        self.merged = true;
    }

    /// Waits for the first records, at most `timeout`, without consuming them; returns whether
    /// there are any, for [`KafkaSource::at_hand`].
    ///
    /// # Errors
    /// As [`Source::poll`].
    pub(crate) fn await_first(&mut self, timeout: Duration) -> Result<bool> {
        self.again = self.again || self.fetch(timeout)?;
        Ok(self.again)
    }

    /// Returns the records that come next, and for a merge those behind them in their partition.
    pub(crate) fn at_hand(&self) -> Records<'_> {
        let (nth, range) = &self.last;
        let partition = &self.partitions[*nth];
        let messages = (range.start..partition.fetched.len()).map(|nth| partition.fetched.get(nth));
        let is_beyond = partition.is_beyond(self.until);
        Records::Messages(messages.take_while(|message| !is_beyond(message)).collect())
    }

    /// Finds the next records of some partition, for `last`; whether there are any.
    fn fetch(&mut self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        loop {
            if self.merged && self.next_merged() {
                return Ok(true);
            }
            self.fetcher.serve()?;
            match self.refill()? {
                true if !self.merged => return Ok(true),
                true => continue,
                false => self.note_ends(),
            }
            if self.has_ended() {
                return Ok(false);
            }
            if self.merged && self.next_merged() {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            let partitions = &self.partitions;
            self.fetcher.watch_silence(|nth| !partitions[nth].done)?;
            let waited_for = self.first_open();
            if self.read(waited_for, TURN)? && !self.merged {
                return Ok(true);
            }
        }
    }

    /// Reads partitions whose records were all handed over: each of them for a merge, else until
    /// one has any. Returns whether any has.
    fn refill(&mut self) -> Result<bool> {
        let (count, preferred) = (self.partitions.len(), self.preferred);
        let mut any = false;
        for nth in (0..count).map(|turn| (preferred + turn) % count) {
            let partition = &self.partitions[nth];
            if !partition.done && partition.is_drained() && self.read(nth, Duration::ZERO)? {
                any = true;
                if !self.merged {
                    break;
                }
            }
        }
        Ok(any)
    }

    /// Reads a partition whose records were all handed over; whether there are any.
    fn read(&mut self, nth: usize, timeout: Duration) -> Result<bool> {
        let partition = &mut self.partitions[nth];
        partition.take_up(Fetched::default()); // given back before more is asked for
        partition.take_up(self.fetcher.read(nth, timeout, MAX_BATCH)?);
        let count = partition.fetched.len();
        if count > 0 {
            self.last = (nth, 0..count);
        }
        Ok(count > 0)
    }

    /// Finds, for `last`, the records that come before those of all other partitions. None while a
    /// partition with more to come has nothing available, unless it has stalled.
    fn next_merged(&mut self) -> bool {
        let open = || {
            self.partitions
                .iter()
                .enumerate()
                .filter(|(_, partition)| !partition.done)
        };
        let at_hand = || open().filter(|(_, partition)| !partition.is_drained());
        let next = |partition: &Partition| partition.time(partition.taken);
        let Some((nth, first)) = at_hand().min_by_key(|(_, partition)| next(partition)) else {
            self.waits_since = None;
            return false;
        };
        if open().any(|(_, partition)| partition.is_drained() && !partition.at_end) {
            let since = self.waits_since.get_or_insert_with(Instant::now);
            if since.elapsed() < STALLED {
                return false;
            }
        } else {
            self.waits_since = None;
        }
        let others = at_hand().filter(|&(other, _)| other != nth);
        let limit = others.map(|(_, partition)| next(partition)).min();
        let mut end = first.taken + 1;
        while end < first.fetched.len() && limit.is_none_or(|limit| first.time(end) <= limit) {
            end += 1;
        }
        self.last = (nth, first.taken..end);
        true
    }

    /// Returns the partition to wait for: the preferred one, if nothing of it is available; for a
    /// merge one that has more to come.
    fn first_open(&self) -> usize {
        let count = self.partitions.len();
        let turns = (0..count).map(|turn| (self.preferred + turn) % count);
        let open = |&nth: &usize| !self.partitions[nth].done && self.partitions[nth].is_drained();
        let mut open = turns.filter(open);
        let has_more = |&nth: &usize| !self.merged || !self.partitions[nth].at_end;
        (open.clone().find(has_more))
            .or_else(|| open.next())
            .unwrap_or(0)
    }

    /// Notes which partitions are at their end, by position: transaction markers are not records,
    /// and the position moves past them.
    fn note_ends(&mut self) {
        let positions = self.fetcher.positions();
        let passed = matches!(self.until, Until::Time(time) if now_ms() >= time);
        for (nth, (partition, position)) in self.partitions.iter_mut().zip(positions).enumerate() {
            if !partition.is_drained() || partition.done {
                continue; // the fetcher's position is past what was handed over, or is to be read
            }
            partition.position = partition
                .position
                .max(position.unwrap_or(partition.position));
            let high = self.fetcher.high_watermark(nth);
            partition.at_end |= high.is_some_and(|high| partition.position >= high);
            partition.done |= partition.end.is_some_and(|end| partition.position >= end)
                || passed && partition.at_end;
        }
    }

    /// Returns whether nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.partitions.iter().all(|partition| partition.done)
    }

    /// Returns the last batch, cut where reading ends.
    fn batch(&mut self) -> Batch<'_> {
        let (nth, range) = self.last.clone();
        let partition = &mut self.partitions[nth];
        let is_beyond = partition.is_beyond(self.until);
        partition.taken = range.end;
        let mut messages = partition.fetched.messages(range);
        if let Some(last) = messages.last() {
            partition.position = last.offset + 1;
            partition.at_end = false;
            partition.done = partition.end.is_some_and(|end| partition.position >= end);
        }
        // Where the last one is not beyond the end, none is.
        let is_cut = match self.until {
            Until::Never => false,
            Until::End | Until::Offset(_) => messages.last().is_some_and(&is_beyond),
            Until::Time(_) => true,
        };
        let cut = if is_cut {
            messages.iter().position(is_beyond)
        } else {
            None
        };
        if let Some(cut) = cut {
            partition.position = messages[cut].offset;
            partition.done = true;
            messages.truncate(cut);
        }
        // A partition that is done holds nothing back.
        partition.at_end |= partition.done;
        Batch {
            partition: nth,
            records: Records::Messages(messages),
        }
    }
}

/// Where the partitions of a topic begin and end.
#[derive(Debug, Clone)]
pub(crate) struct Starts {
    topic: String,
    /// By partition, from 0.
    of: Vec<Start>,
}

/// Where one partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// The first offset that is read.
    pub first: i64,
    /// One past the last record that is there.
    pub end: i64,
}

impl Starts {
    /// Looks up where the partitions of a topic begin, if they are read since a place.
    ///
    /// # Errors
    /// `refused` when the topic does not exist, `retry` when no broker answers.
    pub fn find(admin: &Admin, topic: &str, since: Since) -> Result<Self> {
        Self::find_of(admin, &admin.topic(topic)?, since)
    }

    /// As [`Starts::find`], of a topic that was looked up: after it was created not every broker may
    /// know of it.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn find_of(admin: &Admin, topic: &Topic, since: Since) -> Result<Self> {
        let Topic {
            name: topic,
            partitions,
        } = topic;
        let named: Vec<(&str, i32)> = partitions
            .iter()
            .map(|partition| (topic.as_str(), partition.number))
            .collect();
        let offsets = |wanted: OffsetOf| -> Result<Vec<i64>> {
            let found = admin.offsets(&named, wanted)?;
            let of = |(_, number): &(&str, i32)| {
                let info = found.iter().find(|info| info.partition == *number);
                match info.map(|info| &info.offset) {
                    Some(Ok(offset)) => Ok(*offset),
                    Some(Err(reason)) => Err(Error::refused(format!(
                        "cannot find an offset of topic `{topic}`, partition {number}: {reason}"
                    ))),
                    None => Err(Error::bug("the broker did not answer for a partition")),
                }
            };
            named.iter().map(of).collect()
        };
        let (low, high) = (offsets(OffsetOf::Earliest)?, offsets(OffsetOf::Latest)?);
        let firsts = match since {
            Since::Beginning => low.clone(),
            Since::End => high.clone(),
            Since::Offset(offset) => {
                let bounds = low.iter().zip(&high);
                bounds
                    .map(|(&low, &high)| offset.clamp(low, high))
                    .collect()
            }
            Since::Time(time) => {
                let found = offsets(OffsetOf::Time(time))?;
                let after_all = |(&offset, &high)| if offset < 0 { high } else { offset };
                found.iter().zip(&high).map(after_all).collect()
            }
        };
        let of = firsts.into_iter().zip(high);
        Ok(Starts {
            topic: topic.to_owned(),
            of: of.map(|(first, end)| Start { first, end }).collect(),
        })
    }

    /// Returns the topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the number of partitions.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Returns where each partition begins and ends.
    pub fn iter(&self) -> impl Iterator<Item = (i32, Start)> {
        (0..).zip(self.of.iter().copied())
    }

    /// Returns where a partition begins and ends.
    ///
    /// # Errors
    /// `refused` for a partition that was not there.
    pub fn of(&self, partition: i32) -> Result<Start> {
        let start = usize::try_from(partition)
            .ok()
            .and_then(|nth| self.of.get(nth));
        start.copied().ok_or_else(|| {
            Error::refused(format!(
                "topic `{}` got more partitions: {partition} is new",
                self.topic
            ))
            .hint("the records of a key may now be in other partitions: start over with `--reset`, or use another group")
        })
    }
}

/// Commits where a group begins in the partitions in which it has committed nothing: later that place
/// would be another one.
fn keep_first(
    fetcher: &mut Fetcher,
    starts: impl Iterator<Item = (i32, Start)>,
    committed: &[Option<Committed>],
) -> Result<()> {
    let new = starts.zip(committed).filter(|(_, known)| known.is_none());
    let first = |((number, start), _): ((i32, Start), _)| {
        let (offset, metadata) = (start.first, String::new());
        (number, Committed { offset, metadata })
    };
    let first: Vec<(i32, Committed)> = new.map(first).collect();
    if first.is_empty() {
        Ok(())
    } else {
        fetcher.commit(&first)
    }
}

impl Source for KafkaSource {
    fn partitions(&self) -> usize {
        self.partitions.len()
    }

    fn sample(&mut self, interrupt: &Interrupt) -> Result<Option<Records<'_>>> {
        while !self.await_first(Duration::from_millis(50))? {
            interrupt.check()?;
            if self.has_ended() {
                return Ok(None);
            }
        }
        Ok(Some(self.at_hand()))
    }

    fn poll(&mut self, timeout: Duration) -> Result<Polled<'_>> {
        if !std::mem::take(&mut self.again) && !self.fetch(timeout)? {
            return Ok(if self.has_ended() {
                Polled::End
            } else {
                Polled::Pending
            });
        }
        Ok(Polled::Batch(self.batch()))
    }

    fn is_live(&self) -> bool {
        true
    }

    fn at_end(&self, partition: usize) -> bool {
        self.partitions[partition].at_end
    }

    fn lag(&self) -> Option<u64> {
        let left = self.partitions.iter().enumerate().map(|(nth, partition)| {
            let high = self.fetcher.high_watermark(nth)?;
            u64::try_from((high - partition.position).max(0)).ok()
        });
        left.sum()
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
