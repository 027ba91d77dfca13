//! What is asked of which broker, and when: a machine that its caller steps.
//!
//! In: the time, and what has become of connections and requests. Out: [`Action`](super::cluster::Action)s, which
//! are requests and connections to be made, and pieces of what was read. It has no clock, socket
//! or thread, so a test plays the brokers.
//!
//! ```text
//!               leader known                 room for more
//! no leader ───────────────► ready ────────────────────────────► asked
//!     ▲                       ▲ ▲                                │ │ │
//!     │                       │ └──────────── records ───────────┘ │ │
//!     │                       └───── connection lost, in a while ──┘ │
//!     └── not leader, unknown epoch, …: brokers are asked who is ────┤
//!                                                                    ▼
//!                   gone, out of range, damaged, refused:         failed
//! ```
//!
//! A broker has one fetch at a time, of all partitions that it leads and that have room; the next one
//! leaves before the records of the last are unpacked. A partition has room while less than twice
//! what it may be sent at once waits for the reader, and all partitions together hold less than they
//! may. One of which nothing waits always has, or one that is not read yet could starve the one that
//! the reader needs first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::batch::{Batch, Unpacker};
use super::super::wire::bytes::Input;
use super::super::wire::connection::Frame;
use super::super::wire::fetch::{self, BY_ID, Part, Wanted};
use super::super::wire::{self, Api, code};
use super::chunk::{Answered, Broken, Chunk};
use super::cluster::{self, Cluster, Loss, SOON, Useless};
use super::sockets::Machine;

/// How long a broker waits for records while others of its partitions have no room: those may have
/// some soon, and cannot be asked for meanwhile.
const BRIEFLY: Duration = Duration::from_millis(10);

/// How records are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// How brokers are spoken to.
    pub cluster: cluster::Options,
    /// Whether records of open and aborted transactions are left out.
    pub committed: bool,
    /// How long a broker waits for records, and for how many bytes.
    pub max_wait: Duration,
    /// See `max_wait`.
    pub min_bytes: i32,
    /// How many bytes an answer has at most, but for a batch that is larger by itself.
    pub fetch_bytes: usize,
    /// How many bytes it has of one partition at most, with the same exception.
    pub partition_bytes: usize,
    /// How many bytes may wait for the reader.
    pub room: usize,
    /// How large an answer, and a batch unpacked, may be.
    pub limit: usize,
}

/// Why a partition cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The next record was deleted.
    OutOfRange,
    /// The whole topic cannot be.
    Lost(Loss),
    /// The leader has lost records that were read, from an offset on.
    Truncated(i64),
    /// A batch cannot be read.
    Broken(Broken),
    /// The broker refuses, by this code.
    Refused(i16),
}

/// A partition that is read.
#[derive(Debug)]
struct Partition {
    number: i32,
    /// The next offset to be asked for.
    offset: i64,
    /// The epoch of the leader that was asked last; -1 before.
    leader_epoch: i32,
    /// The epoch of the last record that came, and whether the next leader is to compare it.
    last_epoch: i32,
    is_to_compare: bool,
    /// Whether a request for it is out.
    is_asked: bool,
    has_failed: bool,
    /// Whether what has come cannot be read.
    has_broken: bool,
    retry_at: Instant,
    high_watermark: Option<i64>,
    /// How many bytes to ask for: more, where a batch was cut off.
    max_bytes: usize,
    /// How many bytes have come and were not handed over, packed.
    pending: usize,
    /// How many bytes were handed over and not read.
    waiting: usize,
}

/// What came for a partition.
#[derive(Debug)]
enum Pending {
    Answered(Answered),
    Failed(Failure),
}

/// Reads partitions of one topic.
#[derive(Debug)]
pub struct Reading {
    options: Options,
    /// Asked for these partitions.
    cluster: Cluster<Vec<usize>>,
    partitions: Vec<Partition>,
    /// Which partition comes first in the next request.
    turn: usize,
    pending: VecDeque<(usize, Pending)>,
    unpacker: Unpacker,
}

/// The only topic.
const TOPIC: usize = 0;

impl Reading {
    /// Returns one that reads partitions of a topic from offsets on. `brokers` are addresses.
    pub fn new(
        options: Options,
        topic: &str,
        brokers: &[String],
        starts: &[(i32, i64)],
        now: Instant,
    ) -> Self {
        let partition = |&(number, offset): &(i32, i64)| Partition {
            number,
            offset,
            leader_epoch: -1,
            last_epoch: -1,
            is_to_compare: false,
            is_asked: false,
            has_failed: false,
            has_broken: false,
            retry_at: now,
            high_watermark: None,
            max_bytes: options.partition_bytes,
            pending: 0,
            waiting: 0,
        };
        let mut cluster = Cluster::new(options.cluster.clone(), brokers, now);
        cluster.add_topic(topic);
        Reading {
            partitions: starts.iter().map(partition).collect(),
            unpacker: Unpacker::new(options.limit),
            options,
            cluster,
            turn: 0,
            pending: VecDeque::new(),
        }
    }

    /// Returns the high watermark of a partition, once an answer has had it.
    pub fn high_watermark(&self, partition: usize) -> Option<i64> {
        self.partitions[partition].high_watermark
    }

    /// Returns the numbers of the partitions that nobody leads, as the brokers say.
    pub fn orphans(&self) -> impl Iterator<Item = i32> {
        let topic = self.cluster.topic(TOPIC);
        let numbers = self.partitions.iter().map(|partition| partition.number);
        numbers.filter(|&number| topic.led(number).is_orphaned)
    }

    /// Takes note that the reader is done with so many bytes of a partition.
    pub fn taken(&mut self, partition: usize, bytes: usize) {
        let waiting = &mut self.partitions[partition].waiting;
        *waiting = waiting.saturating_sub(bytes);
    }

    /// Has the brokers asked whether the topic is still there.
    pub fn look_up(&mut self) {
        self.cluster.look_up();
    }

    /// Takes up what the brokers have said of the topic, and which questions got no answer.
    fn take_news(&mut self) {
        while let Some(partitions) = self.cluster.dropped() {
            self.not_asked(&partitions);
        }
        while let Some((_, loss)) = self.cluster.loss() {
            for nth in 0..self.partitions.len() {
                self.fail(nth, Failure::Lost(loss));
            }
        }
    }

    /// Has the brokers asked again where nobody leads a partition that is read.
    fn seek_leaders(&mut self) {
        let topic = self.cluster.topic(TOPIC);
        let mut open = self.partitions.iter().filter(|open| !open.has_failed);
        if open.any(|partition| topic.led(partition.number).by.is_none()) {
            self.cluster.look_up();
        }
    }

    fn not_asked(&mut self, partitions: &[usize]) {
        for &nth in partitions {
            self.partitions[nth].is_asked = false;
        }
    }

    fn fail(&mut self, nth: usize, failure: Failure) {
        let partition = &mut self.partitions[nth];
        if !std::mem::replace(&mut partition.has_failed, true) {
            self.pending.push_back((nth, Pending::Failed(failure)));
        }
    }

    /// Takes what a broker has fetched.
    fn take_fetched(
        &mut self,
        node: usize,
        asked: Vec<usize>,
        (input, version): (Input<'_>, i16),
        frame: &Arc<Frame>,
        now: Instant,
    ) -> Result<(), Useless> {
        let answer = fetch::read(input, version)?;
        self.cluster.throttle(node, answer.throttle, now);
        if answer.error != code::NONE {
            for nth in asked {
                self.take_error(nth, answer.error, now);
            }
            return Ok(());
        }
        for part in answer.partitions {
            let is_it = |nth: &&usize| self.partitions[**nth].number == part.partition;
            let Some(&nth) = asked.iter().find(is_it) else {
                return Err("it answers what was not asked".into());
            };
            match part.error {
                code::NONE => self.take_records(nth, part, frame, now),
                error => self.take_error(nth, error, now),
            }
        }
        Ok(())
    }

    /// Takes the code of an error for a partition.
    fn take_error(&mut self, nth: usize, error: i16, now: Instant) {
        let partition = &mut self.partitions[nth];
        partition.retry_at = now + SOON;
        match error {
            // Where it cannot compare epochs it says so, too.
            code::OFFSET_OUT_OF_RANGE if partition.is_to_compare => partition.is_to_compare = false,
            code::OFFSET_OUT_OF_RANGE => self.fail(nth, Failure::OutOfRange),
            code::UNKNOWN_TOPIC | code::UNKNOWN_TOPIC_ID | code::INCONSISTENT_TOPIC_ID => {
                self.cluster.look_up();
            }
            error if code::PASSING.contains(&error) => {
                self.cluster.forget_leader(TOPIC, partition.number);
            }
            error => self.fail(nth, Failure::Refused(error)),
        }
    }

    fn take_records(&mut self, nth: usize, part: Part, frame: &Arc<Frame>, now: Instant) {
        let partition = &mut self.partitions[nth];
        if let Some(at) = part.diverges_at.filter(|&at| at < partition.offset) {
            return self.fail(nth, Failure::Truncated(at));
        }
        if partition.has_failed {
            return; // nothing follows
        }
        partition.is_to_compare = false;
        partition.high_watermark = Some(part.high_watermark).filter(|&high| high >= 0);
        if part.records.is_empty() {
            return;
        }
        let (first, mut is_any) = (partition.offset, false);
        let mut rest = &frame[part.records.clone()];
        // What is damaged comes out as such when it is cut; the offset stays before it.
        while let Ok(Some(batch)) = Batch::take(&mut rest) {
            is_any = true;
            partition.offset = partition.offset.max(batch.header.next_offset());
            partition.last_epoch = batch.header.leader_epoch;
        }
        if !is_any && Batch::take(&mut rest).is_ok() {
            // The begin of one that is larger than was asked for, which brokers need not send whole.
            partition.max_bytes = (2 * partition.max_bytes).min(self.options.limit);
            return;
        }
        if partition.offset == first {
            partition.retry_at = now + SOON;
        }
        partition.max_bytes = self.options.partition_bytes;
        partition.pending += part.records.len();
        let aborted = self.options.committed.then_some(part.aborted);
        let answered = Answered::new(frame, part.records, first, aborted);
        self.pending.push_back((nth, Pending::Answered(answered)));
    }

    /// Returns the next of what has come for some partition, if the reader has room for it; nothing
    /// follows a failure. All pieces of an answer come together, unless they are large: so a
    /// batch that cannot be read is known of with the first of those before it.
    pub fn deliver(&mut self) -> Option<(usize, Vec<Result<Chunk, Failure>>)> {
        /// As many bytes are enough to be handed over.
        const ENOUGH: usize = 4 << 20;
        let at = self.deliverable()?;
        let (nth, pending) = &mut self.pending[at];
        let (nth, partition) = (*nth, &mut self.partitions[*nth]);
        let (mut pieces, mut size) = (Vec::new(), 0);
        let is_over = match pending {
            Pending::Failed(failure) => {
                pieces.push(Err(failure.clone()));
                true
            }
            Pending::Answered(answered) => {
                let left = answered.left();
                while answered.left() > 0 && size < ENOUGH && !partition.has_broken {
                    let cut = answered.cut(&mut self.unpacker);
                    size += cut.as_ref().map_or(0, Chunk::size);
                    partition.has_broken = cut.is_err();
                    pieces.push(cut.map_err(Failure::Broken));
                }
                partition.pending -= left - answered.left();
                answered.left() == 0
            }
        };
        partition.waiting += size;
        if partition.has_broken {
            partition.has_failed = true;
            partition.pending = 0;
            self.pending.retain(|(other, _)| *other != nth);
        } else if is_over {
            self.pending.remove(at);
        }
        Some((nth, pieces))
    }

    /// Returns which of what has come is handed over next. A partition's own comes in its order, since
    /// whether it may depends on the partition alone.
    fn deliverable(&self) -> Option<usize> {
        let has_room = self.waiting() < self.options.room;
        let mut pending = self.pending.iter();
        pending.position(|(nth, _)| has_room || self.partitions[*nth].waiting == 0)
    }

    /// Returns whether [`Reading::deliver`] has something.
    pub fn has_deliverable(&self) -> bool {
        self.deliverable().is_some()
    }

    fn waiting(&self) -> usize {
        self.partitions
            .iter()
            .map(|partition| partition.waiting)
            .sum()
    }

    /// Returns when something is due next, if nothing happens until then.
    pub fn wakes_at(&self, now: Instant) -> Instant {
        let partitions = self.partitions.iter().map(|partition| partition.retry_at);
        self.cluster.wakes_at(now, partitions)
    }

    /// Fetches from a broker all partitions that it leads and that have room.
    fn fetch_from(&mut self, node: usize, room: &Room, now: Instant) {
        let Some(id) = self.cluster.id(node) else {
            return;
        };
        if self.cluster.asked(node).next().is_some() {
            return;
        }
        let topic = self.cluster.topic(TOPIC);
        let count = self.partitions.len();
        let (mut wanted, mut is_held_back) = (Vec::new(), false);
        for nth in (0..count).map(|nth| (self.turn + nth) % count) {
            let partition = &self.partitions[nth];
            let is_led = topic.led(partition.number).by == Some(id);
            if !is_led || partition.has_failed || partition.is_asked {
                continue;
            }
            if partition.retry_at <= now && room.is_for(partition) {
                wanted.push(nth)
            } else {
                is_held_back = true
            }
        }
        if wanted.is_empty() {
            return;
        }
        let Some(mut version) = self.cluster.version(node, Api::Fetch) else {
            self.cluster.connect(node, now);
            return;
        };
        // A topic's id is known from the same version on in which a fetch needs it, but for brokers that
        // are between the two.
        if topic.id.is_none() {
            version = version.min(BY_ID - 1);
        }
        if self.cluster.is_throttled(node, now) {
            return;
        }
        // The first one is sent a batch of any size, so those that have nothing come before.
        wanted.sort_by_key(|&nth| self.partitions[nth].held() > 0);
        self.turn = (self.turn + 1) % count;
        let max_wait = if is_held_back {
            BRIEFLY
        } else {
            self.options.max_wait
        };
        let (topic, id) = (topic.name.clone(), topic.id.unwrap_or_default());
        let partitions: Vec<Wanted> = wanted.iter().map(|&nth| self.wanted(nth)).collect();
        let options = &self.options;
        let request = fetch::Request {
            topic: &topic,
            id,
            max_wait,
            min_bytes: options.min_bytes,
            max_bytes: options.fetch_bytes as i32,
            committed: options.committed,
            partitions: &partitions,
        };
        let (api, times) = ((Api::Fetch, version), (now, max_wait));
        self.cluster.ask(node, api, wanted, times, |output| {
            fetch::write(output, version, &request);
        });
    }

    /// Notes that a partition is asked for, and returns from where.
    fn wanted(&mut self, nth: usize) -> Wanted {
        let partition = &mut self.partitions[nth];
        partition.is_asked = true;
        let epoch = self.cluster.topic(TOPIC).led(partition.number).epoch;
        partition.is_to_compare |= partition.leader_epoch >= 0 && epoch > partition.leader_epoch;
        partition.leader_epoch = epoch;
        Wanted {
            partition: partition.number,
            leader_epoch: partition.leader_epoch,
            offset: partition.offset,
            last_epoch: if partition.is_to_compare {
                partition.last_epoch
            } else {
                -1
            },
            max_bytes: partition.max_bytes as i32,
        }
    }
}

impl Partition {
    /// Returns how many bytes have come that the reader is not done with.
    fn held(&self) -> usize {
        self.pending + self.waiting
    }
}

/// Which partitions may be sent more.
struct Room {
    is_any: bool,
    partition: usize,
}

impl Room {
    fn of(reading: &Reading) -> Self {
        let held: usize = reading.partitions.iter().map(Partition::held).sum();
        Room {
            is_any: held < reading.options.room,
            partition: 2 * reading.options.partition_bytes,
        }
    }

    fn is_for(&self, partition: &Partition) -> bool {
        let held = partition.held();
        held == 0 || self.is_any && held < self.partition
    }
}

impl Machine for Reading {
    type Question = Vec<usize>;

    fn cluster(&mut self) -> &mut Cluster<Vec<usize>> {
        &mut self.cluster
    }

    fn tick(&mut self, now: Instant) {
        self.cluster.tick(now);
        self.take_news();
        let room = Room::of(self);
        for nth in 0..self.cluster.nodes() {
            self.fetch_from(nth, &room, now);
        }
    }

    fn answered(&mut self, node: usize, frame: Frame, now: Instant) -> Result<(), Useless> {
        let answered = self.cluster.answered(node, frame, now)?;
        let Some((asked, version, frame)) = answered else {
            self.take_news();
            self.seek_leaders();
            return Ok(());
        };
        self.not_asked(&asked);
        let frame = Arc::new(frame);
        let input = wire::body(Api::Fetch, version, &frame)?;
        self.take_fetched(node, asked, (input, version), &frame, now)
    }
}
