//! Joins two inputs by key and event time, stepped: no clock, socket, thread, sleep or print
//! inside.
//!
//! In: [`Records`] of either side, each partition in its order. Out: [`Joined`] rows, through
//! [`Emit`]. What a record carries besides time and key are bytes that are not looked at.
//!
//! Life of a record:
//! 1. [`clock`]: its event time moves its side's watermark, and perhaps the combined one; what is
//!    due by that leaves first.
//! 2. [`streams`]: it is late when it is below the combined watermark; else it meets the held
//!    records of the other side, oldest first, and is held itself.
//!    [`table`]: a stream's record waits for the table's watermark, then takes the latest value of
//!    its key as of its time.
//! 3. [`held`]: held records leave once the watermark has passed them by more than the bound, those
//!    without a partner, as rows of an outer join.
//! 4. [`account`]: each record is counted once.
//! 5. [`changes`]: in a group, what is held is kept elsewhere, too.
//!
//! **Order.** The next record is taken from the side whose watermark is furthest behind
//! ([`Join::furthest_behind`]), so that for inputs of one partition each the rows and their order
//! depend on the two sequences of records alone. Rows leave as soon as they are certain: pairs with
//! the later read of their records, its partners in order of their event times; rows without a
//! partner when the bound has passed, in order of their event times, the left side first.
//!
//! References: Flink's `IntervalJoinOperator` (what is late, what is held) and
//! `TemporalRowTimeJoinOperator`; Kafka Streams' `KStreamKStreamJoin` (rows without a partner) and
//! KIP-914 (versioned tables).

pub mod account;
mod changes;
mod clock;
mod held;
mod keys;
mod streams;
mod table;
mod versions;

#[cfg(test)]
mod moves;
#[cfg(test)]
mod tests;

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::engine::codec::Corrupt;
use crate::error::Result;
use account::Account;
use clock::Clock;
use streams::Streams;
use table::Table;

/// One of the two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first named; the stream of a join with a table.
    Left,
    /// The second named; the table of a join with a table.
    Right,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    /// Returns 0 for left and 1 for right.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Returns the other one.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// Which records without a partner give a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Kind {
    /// None.
    #[default]
    Inner,
    /// Those of the left side.
    Left,
    /// Those of both sides.
    Outer,
}

impl Kind {
    /// Returns whether records of a side that have no partner give a row.
    pub fn keeps(self, side: Side) -> bool {
        match side {
            Side::Left => self != Kind::Inner,
            Side::Right => self == Kind::Outer,
        }
    }
}

/// What two records must have in common besides their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Event times that differ by at most this many ms, both ends included.
    Within(i64),
    /// The right one is the latest of its key as of the left one's time.
    Table,
}

/// How a [`Join`] works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What two records must have in common besides their key.
    pub method: Method,
    /// Which records without a partner give a row.
    pub kind: Kind,
    /// How far each side's watermark stays behind its highest event time, in ms.
    pub out_of_order_ms: [i64; 2],
    /// How many partitions each side has.
    pub partitions: [usize; 2],
}

/// What a record is for a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It has a key.
    Keyed,
    /// Its key is null, which equals nothing.
    NullKey,
    /// It deletes the row of its key from a table.
    Tombstone,
}

/// Some records of one partition in its order, their bytes in one piece that is used again.
#[derive(Debug)]
pub struct Records {
    partition: usize,
    /// Key after rest after key …; the code that fills the records appends here.
    pub bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The first that the join has not taken in.
    next: usize,
    /// The first that the join has not looked ahead to.
    ahead: usize,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    time: i64,
    hash: u64,
    /// Where the key ends in the bytes; it begins where the last record ends.
    key_end: usize,
    end: usize,
    content: Content,
}

impl Records {
    /// Forgets the records; those to come are of `partition`.
    pub fn clear(&mut self, partition: usize) {
        self.partition = partition;
        self.bytes.clear();
        self.entries.clear();
        (self.next, self.ahead) = (0, 0);
    }

    /// Makes a record of the bytes that were appended since the last one: its key up to
    /// `key_end`, then its rest. The time is in ms since 1970, UTC.
    #[inline]
    pub fn add(&mut self, time: i64, key_end: usize, content: Content) {
        let key = &self.bytes[self.start_of(self.entries.len())..key_end];
        self.entries.push(Entry {
            time,
            hash: self.hasher.hash_one(key),
            key_end,
            end: self.bytes.len(),
            content,
        });
    }

    /// Adds a record of bytes that [`Records::each`] has handed over.
    pub(crate) fn push(&mut self, time: i64, bytes: &[u8], key_len: usize, content: Content) {
        let key_end = self.bytes.len() + key_len;
        self.bytes.extend_from_slice(bytes);
        self.add(time, key_end, content);
    }

    /// Calls a function for each record with its time, its bytes, how many of these are its key, and what
    /// it is.
    pub(crate) fn each(&self, mut record: impl FnMut(i64, &[u8], usize, Content)) {
        for nth in 0..self.entries.len() {
            let each = self.get(nth);
            record(each.time, each.bytes, each.key_len, each.content);
        }
    }

    /// Returns how many of the records the join has taken in.
    pub(crate) fn taken(&self) -> usize {
        self.next
    }

    /// Returns whether there are records that the join has not taken in.
    pub fn has_more(&self) -> bool {
        self.next < self.entries.len()
    }

    fn start_of(&self, nth: usize) -> usize {
        match nth {
            0 => 0,
            _ => self.entries[nth - 1].end,
        }
    }

    fn get(&self, nth: usize) -> Record<'_> {
        let (start, entry) = (self.start_of(nth), self.entries[nth]);
        Record {
            time: entry.time,
            bytes: &self.bytes[start..entry.end],
            key_len: entry.key_end - start,
            content: entry.content,
        }
    }
}

/// One record; two keys are equal when their bytes are.
#[derive(Debug, Clone, Copy)]
struct Record<'a> {
    time: i64,
    /// The key, then the rest.
    bytes: &'a [u8],
    key_len: usize,
    content: Content,
}

impl<'a> Record<'a> {
    #[inline]
    fn key(&self) -> &'a [u8] {
        &self.bytes[..self.key_len]
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.key_len..]
    }
}

/// A row of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// What else the left record carries; `None` where there is none.
    pub left: Option<&'a [u8]>,
    /// What else the right record carries; `None` where there is none.
    pub right: Option<&'a [u8]>,
    /// The later of the two event times, in ms since 1970, UTC.
    pub time: i64,
}

/// What takes the rows.
pub trait Emit {
    /// Takes a row.
    ///
    /// # Errors
    /// Whatever keeps it from going on; the join ends with it.
    fn emit(&mut self, row: &Joined<'_>) -> Result<()>;
}

/// How a batch is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As long as its side is the one furthest behind.
    Together,
    /// All of it: the other side has nothing for now.
    Ahead,
}

/// Two inputs, joined.
#[derive(Debug)]
pub struct Join {
    clock: Clock,
    operator: Operator,
    account: Account,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
enum Operator {
    Streams(Streams),
    Table(Table),
}

impl Join {
    /// Returns a join that has seen no record.
    pub fn new(settings: &Settings) -> Self {
        let Settings {
            method,
            kind,
            out_of_order_ms,
            partitions,
        } = *settings;
        let hasher = DefaultHashBuilder::default();
        let (operator, first) = match method {
            Method::Within(ms) => (
                Operator::Streams(Streams::new(ms, kind, hasher.clone())),
                Side::Left,
            ),
            // Of two records of one time the table's counts for the stream's.
            Method::Table => (
                Operator::Table(Table::new(kind, hasher.clone())),
                Side::Right,
            ),
        };
        Join {
            clock: Clock::new(partitions, out_of_order_ms, first),
            operator,
            account: Account::default(),
            hasher,
        }
    }

    /// Returns a place for records, which hashes their keys as the join does.
    pub fn records(&self) -> Records {
        Records {
            partition: 0,
            bytes: Vec::new(),
            entries: Vec::new(),
            next: 0,
            ahead: 0,
            hasher: self.hasher.clone(),
        }
    }

    /// Takes in records of a side: all that has not been taken in, or as many as are due.
    ///
    /// Its meaning is record by record: how records are cut into batches changes nothing.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    pub fn on_batch(
        &mut self,
        side: Side,
        records: &mut Records,
        pace: Pace,
        out: &mut impl Emit,
    ) -> Result<()> {
        while records.has_more() && (pace == Pace::Ahead || self.furthest_behind() == side) {
            if records.next == records.ahead {
                self.look_ahead(side, records);
            }
            let (record, hash) = (
                records.get(records.next),
                records.entries[records.next].hash,
            );
            self.account.of(side).read(record.time);
            if self.clock.observe(side, records.partition, record.time) {
                self.on_time(out)?;
            }
            let (clock, account) = (&self.clock, &mut self.account);
            match &mut self.operator {
                Operator::Streams(streams) => {
                    streams.on_record(side, &record, hash, account, out)?
                }
                Operator::Table(table) => {
                    table.on_record(side, &record, hash, clock, account, out)?;
                }
            }
            records.next += 1;
        }
        Ok(())
    }

    /// Looks up what the next records will meet: finding it is waiting for memory, and many waits
    /// at once take little longer than one.
    fn look_ahead(&mut self, side: Side, records: &mut Records) {
        let next = &records.entries[records.next..];
        let next = &next[..next.len().min(streams::AHEAD)];
        records.ahead += next.len();
        if let Operator::Streams(streams) = &mut self.operator {
            streams.look_ahead(side, next.iter().map(|entry| entry.hash));
        }
    }

    /// Marks a partition as idle, so that it holds event time back no more, or as active again.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    pub fn on_idle(
        &mut self,
        side: Side,
        partition: usize,
        idle: bool,
        out: &mut impl Emit,
    ) -> Result<()> {
        if self.clock.set_idle(side, partition, idle) {
            self.on_time(out)
        } else {
            Ok(())
        }
    }

    /// Ends a side: nothing of it is expected any more. After both have ended nothing is held.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    pub fn on_end(&mut self, side: Side, out: &mut impl Emit) -> Result<()> {
        self.clock.end(side);
        self.on_time(out)
    }

    /// Moves the watermark of a side's partition, as its reader has heard of it elsewhere.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    pub(crate) fn on_watermark(
        &mut self,
        side: Side,
        partition: usize,
        watermark: i64,
        out: &mut impl Emit,
    ) -> Result<()> {
        if self.clock.advance(side, partition, watermark) {
            self.on_time(out)
        } else {
            Ok(())
        }
    }

    /// Returns whether a partition does not hold event time back.
    pub(crate) fn is_idle(&self, side: Side, partition: usize) -> bool {
        self.clock.is_idle(side, partition)
    }

    /// Notes what changes of the records that are held, until it is taken. Not for a table.
    pub(crate) fn log_changes(&mut self) {
        if let Operator::Streams(streams) = &mut self.operator {
            streams.log_changes();
        }
    }

    /// Hands over what has changed since the last call, in pieces, each with the latest time in it: a piece
    /// is of no use once that [has passed](Join::passed).
    pub(crate) fn take_changes(&mut self, piece: impl FnMut(i64, &[u8])) {
        if let Operator::Streams(streams) = &mut self.operator {
            streams.take_changes(piece);
        }
    }

    /// Returns the time before which no record is held any more.
    pub(crate) fn passed(&self) -> i64 {
        match &self.operator {
            Operator::Streams(streams) => streams.passed(),
            Operator::Table(_) => crate::engine::watermark::BEGINNING,
        }
    }

    /// Appends how far event time has come.
    ///
    /// # Errors
    /// `bug` where it cannot be written.
    pub(crate) fn save_clock(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.clock.save(bytes)
    }

    /// Takes up how far event time had come, and then what was held: the pieces that were handed over, in
    /// order. Returns the latest time in each. To be called before any record.
    ///
    /// # Errors
    /// [`Corrupt`] for what another join has written.
    pub(crate) fn take_over<'a>(
        &mut self,
        clock: &mut &[u8],
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Vec<i64>, Corrupt> {
        self.clock.load(clock)?;
        let Operator::Streams(streams) = &mut self.operator else {
            return Err(Corrupt);
        };
        streams.resume(self.clock.combined());
        for kept in changes::read(pieces.clone(), streams.passed())? {
            streams.take_over(&kept, &mut self.account);
        }
        pieces.map(changes::latest).collect()
    }

    /// Counts records that never became one.
    pub fn on_malformed(&mut self, side: Side, count: u64) {
        self.account.add_malformed(side, count);
    }

    /// Returns the side to read next: the one whose watermark is furthest behind, of those that
    /// are neither idle nor at their end; the left one of equals, or the table.
    #[inline]
    pub fn furthest_behind(&self) -> Side {
        self.clock.furthest_behind()
    }

    /// Returns the partition of a side that holds its watermark back, if one does.
    pub fn partition_behind(&self, side: Side) -> Option<usize> {
        self.clock.partition_behind(side)
    }

    /// Returns the combined watermark in ms since 1970, UTC.
    pub fn watermark(&self) -> i64 {
        self.clock.combined()
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Returns how many records of a side are held in memory.
    #[cfg(test)]
    pub fn held(&self, side: Side) -> usize {
        match &self.operator {
            Operator::Streams(streams) => streams.held(side),
            Operator::Table(table) => table.held(side),
        }
    }

    /// Lets leave what is due by the clock.
    fn on_time(&mut self, out: &mut impl Emit) -> Result<()> {
        let (clock, account) = (&self.clock, &mut self.account);
        match &mut self.operator {
            Operator::Streams(streams) => streams.on_time(clock.combined(), account, out),
            Operator::Table(table) => table.on_time(clock, account, out),
        }
    }
}
