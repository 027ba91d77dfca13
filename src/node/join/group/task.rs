//! A task of a join: it sends the records of a partition to where they are joined, or joins.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Topics;
use super::feed::{Feed, Head};
use super::handover::{Mark, Outbox, SentRecord};
use super::layout::TaskId;
use crate::clock;
use crate::engine::codec::{self, Corrupt};
use crate::engine::join::account::Account;
use crate::engine::join::{Join, Pace, Side};
use crate::engine::watermark::BEGINNING;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::partitioner::Partitioner;
use crate::kafka::producer::Producer;
use crate::node::group::changelog::{HEADER, Rows};
use crate::sink::joined::{JoinedSink, RecordKeys};
use crate::sink::topic::Shared;

/// How many batches are joined before the group is looked at.
const MAX_BATCHES: usize = 16;

/// A task, with what it has read and holds.
pub(super) struct Task {
    pub id: TaskId,
    /// What it reads: one partition, or one of each side.
    pub feeds: Vec<Feed>,
    pub work: Work,
    /// How far it was at the last commit.
    base: Option<Base>,
    /// What it had counted then.
    counted: Account,
}

/// How far a task has come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    positions: Vec<i64>,
    watermark: i64,
}

/// What a task does.
pub(super) enum Work {
    Spread(Box<Spread>),
    Join(Box<Joining>),
}

/// Sends the records of a side to where they are joined.
pub(super) struct Spread {
    pub side: Side,
    pub keys: RecordKeys,
    pub partitioner: Partitioner,
    pub out_of_order_ms: i64,
    /// The highest event time.
    pub high: i64,
    pub account: Account,
    pub outbox: Outbox,
}

/// Joins, and keeps what it holds in a changelog.
pub(super) struct Joining {
    pub join: Join,
    /// How far each partition has come, by side.
    pub heads: [Vec<Head>; 2],
    /// The number of the next piece of what is held.
    next_piece: u64,
    /// The latest time in each piece that is kept, and its number.
    pieces: BinaryHeap<Reverse<(i64, u64)>>,
}

/// What the header of a changelog holds beside how far event time has come.
type Header = (Vec<i64>, [Vec<i64>; 2], u64);

impl Joining {
    /// Returns what holds nothing yet; `clocks` is how many partitions hold each side back.
    pub fn new(mut join: Join, clocks: [usize; 2]) -> Self {
        join.log_changes();
        let head = Head {
            position: 0,
            heard: clock::now(),
        };
        Joining {
            join,
            heads: clocks.map(|clocks| vec![head; clocks]),
            next_piece: 0,
            pieces: BinaryHeap::new(),
        }
    }

    /// Goes on from what a changelog holds. Returns the positions that it belongs to.
    pub fn take_over(
        &mut self,
        mut header: &[u8],
        rows: &BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<Vec<i64>, Corrupt> {
        let pieces = rows.values().map(Vec::as_slice);
        let latest = self.join.take_over(&mut header, pieces)?;
        let (positions, heads, next_piece): Header = codec::take(&mut header)?;
        for (known, positions) in self.heads.iter_mut().zip(&heads) {
            if known.len() != positions.len() {
                return Err(Corrupt);
            }
            for (head, &position) in known.iter_mut().zip(positions) {
                head.position = position;
            }
        }
        self.next_piece = next_piece;
        for (latest, key) in latest.into_iter().zip(rows.keys()) {
            let number = key.as_slice().try_into().map_err(|_| Corrupt)?;
            self.pieces
                .push(Reverse((latest, u64::from_be_bytes(number))));
        }
        Ok(positions)
    }

    /// Returns the changes of the state: pieces of what is held, the header, and what is of no use any more.
    fn changes(&mut self, positions: &[i64]) -> Result<Rows> {
        let mut rows = Rows::default();
        let (pieces, next) = (&mut self.pieces, &mut self.next_piece);
        self.join.take_changes(|latest, piece| {
            if !is_planted(Fault::RowsForgotten) {
                rows.push(&next.to_be_bytes(), Some(piece));
            }
            pieces.push(Reverse((latest, *next)));
            *next += 1;
        });
        let passed = self.join.passed();
        while let Some(&Reverse((latest, number))) = self.pieces.peek()
            && latest < passed
        {
            self.pieces.pop();
            rows.push(&number.to_be_bytes(), None);
        }
        let positions_of = |heads: &Vec<Head>| heads.iter().map(|head| head.position).collect();
        let heads: [Vec<i64>; 2] = self.heads.each_ref().map(positions_of);
        let mut header = Vec::new();
        self.join.save_clock(&mut header)?;
        codec::put(&mut header, &(positions, heads, self.next_piece))?;
        rows.push(HEADER, Some(&header));
        Ok(rows)
    }
}

impl Task {
    /// Returns a task that goes on where its feeds are.
    pub fn new(id: TaskId, feeds: Vec<Feed>, work: Work, is_committed: bool) -> Self {
        let mut task = Task {
            id,
            feeds,
            work,
            base: None,
            counted: Account::default(),
        };
        task.base = is_committed.then(|| task.reached());
        task
    }

    /// Returns how far event time has come.
    pub fn watermark(&self) -> i64 {
        match &self.work {
            Work::Spread(spread) => spread.watermark(),
            Work::Join(joining) => joining.join.watermark(),
        }
    }

    fn reached(&self) -> Base {
        Base {
            positions: self.feeds.iter().map(Feed::position).collect(),
            watermark: self.watermark(),
        }
    }

    /// Returns whether there is something to commit.
    pub fn is_changed(&self) -> bool {
        self.base.as_ref() != Some(&self.reached())
    }

    /// Notes that everything so far was committed.
    pub fn committed(&mut self) {
        self.base = Some(self.reached());
        self.counted = *self.account();
    }

    /// Returns what it has counted.
    pub fn account(&self) -> &Account {
        match &self.work {
            Work::Spread(spread) => &spread.account,
            Work::Join(joining) => joining.join.account(),
        }
    }

    /// Returns what it had counted at the last commit.
    pub fn counted(&self) -> &Account {
        &self.counted
    }

    /// Returns up to which offset a task that joins has heard of a partition of an input.
    pub fn heard_to(&self, side: Side, clock: usize) -> i64 {
        let feed = &self.feeds[side.index()];
        match &self.work {
            Work::Join(joining) if feed.is_sent() => joining.heads[side.index()][clock].position,
            _ => feed.position(),
        }
    }

    /// Returns whether everything that it is to read has been used.
    pub fn is_done(&self) -> bool {
        self.feeds.iter().all(Feed::has_nothing)
    }

    /// Returns whether there is something that was read and not used, and can be.
    pub fn can_go_on(&self) -> bool {
        match &self.work {
            Work::Spread(_) => !self.feeds[0].is_used_up(),
            Work::Join(joining) => {
                let behind = joining.join.furthest_behind();
                let feed = |side: Side| &self.feeds[side.index()];
                !feed(behind).is_used_up()
                    || feed(behind).has_nothing() && !feed(behind.other()).is_used_up()
                    // A mark may lie there, which moves the other side's clock.
                    || feed(behind.other()).is_sent() && !feed(behind.other()).is_used_up()
                        && !feed(behind.other()).load.has_more()
            }
        }
    }

    /// Uses what was read: as much as event time lets it.
    ///
    /// # Errors
    /// Those of the sink and the producer; `data` at a malformed record, unless they are skipped.
    pub fn go_on(
        &mut self,
        topics: &Topics,
        sink: &mut JoinedSink,
        producer: &Shared,
    ) -> Result<()> {
        match &mut self.work {
            Work::Spread(spread) => {
                let feed = &mut self.feeds[0];
                spread.take_in(feed)?;
                let topic = topics.via(spread.side)?;
                spread.outbox.send(topic, &mut producer.lock())
            }
            Work::Join(joining) => joining.go_on(&mut self.feeds, sink),
        }
    }

    /// Sends what a commit needs beside the rows.
    ///
    /// # Errors
    /// Those of the producer.
    pub fn write(&mut self, topics: &Topics, producer: &mut Producer) -> Result<()> {
        let positions: Vec<i64> = self.feeds.iter().map(Feed::position).collect();
        match &mut self.work {
            Work::Spread(spread) => {
                let mark = Mark {
                    upstream: self.id.1,
                    position: positions[0],
                    watermark: spread.watermark(),
                };
                for to in 0..topics.partitions() {
                    spread.outbox.push_mark(to, &mark)?;
                }
                spread.outbox.send(topics.via(spread.side)?, producer)
            }
            Work::Join(joining) => {
                let rows = joining.changes(&positions)?;
                rows.send(topics.changelog, self.id.1, producer)
            }
        }
    }
}

impl Spread {
    /// Returns the event time below which nothing is expected.
    fn watermark(&self) -> i64 {
        match self.high {
            BEGINNING => BEGINNING,
            high => high.saturating_sub(self.out_of_order_ms),
        }
    }

    /// Puts all records that are ready into the outbox.
    fn take_in(&mut self, feed: &mut Feed) -> Result<()> {
        let (outbox, high) = (&mut self.outbox, &mut self.high);
        let (keys, partitioner) = (&self.keys, &mut self.partitioner);
        let from = feed.place.partition;
        feed.load.records.each(|time, bytes, key_len, content| {
            *high = (*high).max(time);
            let key = keys.of(&bytes[..key_len]);
            let record = SentRecord {
                from,
                time,
                content,
                key_len,
                bytes,
            };
            outbox.push(partitioner.choose(key.as_deref()), &record);
        });
        let malformed = feed.load.take_malformed();
        self.account.add_malformed(self.side, malformed);
        feed.load.clear(0); // all of it is used
        feed.load.take_stop().map_or(Ok(()), Err)
    }
}

impl Joining {
    /// Hands records to the join: the side that is furthest behind first, and the other one where there is
    /// nothing to wait for.
    fn go_on(&mut self, feeds: &mut [Feed], sink: &mut JoinedSink) -> Result<()> {
        for _ in 0..MAX_BATCHES {
            for side in Side::BOTH {
                self.get_ready(side, feeds, sink)?;
            }
            let behind = self.join.furthest_behind();
            let (side, pace) = if feeds[behind.index()].load.has_more() {
                (behind, Pace::Together)
            } else if feeds[behind.index()].has_nothing()
                && feeds[behind.other().index()].load.has_more()
            {
                (behind.other(), Pace::Ahead)
            } else {
                return Ok(());
            };
            let feed = &mut feeds[side.index()];
            let malformed = feed.load.take_malformed();
            self.join.on_malformed(side, malformed);
            let records = &mut feed.load.records;
            self.join.on_batch(side, records, pace, sink)?;
            feed.load.take_stop().map_or(Ok(()), Err)?;
            if !feed.is_sent() {
                self.heads[side.index()][0].heard = clock::now();
            }
        }
        Ok(())
    }

    /// Gets the next records of a side ready, and hears the marks before them.
    fn get_ready(&mut self, side: Side, feeds: &mut [Feed], sink: &mut JoinedSink) -> Result<()> {
        let (join, heads) = (&mut self.join, &mut self.heads[side.index()]);
        feeds[side.index()].get_ready(|mark| {
            let upstream = usize::try_from(mark.upstream).unwrap_or(usize::MAX);
            let head = heads.get_mut(upstream).ok_or_else(|| {
                Error::refused(format!("partition {} of an input is new", mark.upstream))
                    .hint("start over with `--reset`, or use another group")
            })?;
            *head = Head {
                position: mark.position,
                heard: clock::now(),
            };
            join.on_watermark(side, upstream, mark.watermark, sink)
        })
    }
}
