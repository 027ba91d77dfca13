//! What is asked of which broker, and when: a machine that its caller steps.
//!
//! In: the time, and what has become of connections and requests. Out: [`Action`]s, which
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
use super::super::wire::bytes::{Garbled, Input, Output};
use super::super::wire::connection::Frame;
use super::super::wire::fetch::{self, BY_ID, Part, Wanted};
use super::super::wire::metadata::{self, Metadata, TopicId};
use super::super::wire::versions::{self, Versions};
use super::super::wire::{self, Api, code};
use super::chunk::{Answered, Broken, Chunk};

/// How long is waited before something is tried again, at first and at most.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);
/// How long no broker may know a topic before it is gone: one that has just started may not yet.
const FORGOTTEN: Duration = Duration::from_secs(2);
/// How long a broker waits for records while others of its partitions have no room: those may have
/// some soon, and cannot be asked for meanwhile.
const BRIEFLY: Duration = Duration::from_millis(10);

/// How records are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the brokers know this client by.
    pub client: String,
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
    /// How long an answer may take, beyond what the broker was asked to wait.
    pub patience: Duration,
    /// How often is asked who leads a partition, though all is well.
    pub metadata_age: Duration,
}

/// What the caller is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect to a broker, and report it by [`Machine::connected`] or [`Machine::lost`].
    Connect(usize),
    /// Close the connection to a broker that is not needed, or does not answer for so long.
    Close(usize, Option<Duration>),
    /// Send a request.
    Send(usize, Vec<u8>),
}

/// Why a partition cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The next record was deleted.
    OutOfRange,
    /// The topic is gone.
    Gone,
    /// Another topic has its name now.
    Replaced,
    /// The leader has lost records that were read, from an offset on.
    Truncated(i64),
    /// A batch cannot be read.
    Broken(Broken),
    /// The broker refuses, by this code.
    Refused(i16),
}

/// A broker.
#[derive(Debug)]
struct Node {
    /// Its number; none for an address that the user has named, until it is known whose that is.
    id: Option<i32>,
    address: String,
    link: Link,
    /// Asked and not answered, in order.
    asked: VecDeque<Asked>,
    correlation: i32,
    /// Not to be connected to before, and how long to wait the next time.
    retry_at: Instant,
    backoff: Duration,
    /// Nothing is fetched before.
    throttled_until: Instant,
    /// Whether the last connection came to nothing.
    has_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Connecting,
    /// Connected, and asked what it knows.
    Greeting,
    Up(Versions),
}

#[derive(Debug)]
struct Asked {
    correlation: i32,
    since: Instant,
    deadline: Instant,
    question: Question,
}

#[derive(Debug)]
enum Question {
    Versions,
    Metadata,
    /// Of these partitions.
    Fetch(Vec<usize>),
}

impl Node {
    fn new(id: Option<i32>, address: &str, now: Instant) -> Self {
        Node {
            id,
            address: address.to_owned(),
            link: Link::Down,
            asked: VecDeque::new(),
            correlation: 0,
            retry_at: now,
            backoff: SOON,
            throttled_until: now,
            has_failed: false,
        }
    }

    fn is_fetched_from(&self) -> bool {
        let mut asked = self.asked.iter();
        asked.any(|asked| matches!(asked.question, Question::Fetch(_)))
    }
}

/// A partition that is read.
#[derive(Debug)]
struct Partition {
    number: i32,
    /// The next offset to be asked for.
    offset: i64,
    leader: Option<i32>,
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

/// When the brokers are asked who leads.
#[derive(Debug)]
struct Lookup {
    is_wanted: bool,
    is_asked: bool,
    last: Option<Instant>,
    /// Since when no broker knows the topic.
    forgotten_since: Option<Instant>,
    /// The broker to be connected to if none is.
    turn: usize,
}

/// Reads partitions of one topic.
#[derive(Debug)]
pub struct Machine {
    options: Options,
    topic: String,
    id: Option<TopicId>,
    nodes: Vec<Node>,
    partitions: Vec<Partition>,
    lookup: Lookup,
    /// Which partition comes first in the next request.
    turn: usize,
    actions: VecDeque<Action>,
    pending: VecDeque<(usize, Pending)>,
    unpacker: Unpacker,
}

impl Machine {
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
            leader: None,
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
        let brokers = brokers.iter();
        Machine {
            partitions: starts.iter().map(partition).collect(),
            nodes: brokers.map(|broker| Node::new(None, broker, now)).collect(),
            unpacker: Unpacker::new(options.limit),
            options,
            topic: topic.to_owned(),
            id: None,
            lookup: Lookup {
                is_wanted: true,
                is_asked: false,
                last: None,
                forgotten_since: None,
                turn: 0,
            },
            turn: 0,
            actions: VecDeque::new(),
            pending: VecDeque::new(),
        }
    }

    /// Returns a broker's address.
    pub fn address(&self, node: usize) -> &str {
        &self.nodes[node].address
    }

    /// Returns whether no broker can be reached.
    pub fn is_cut_off(&self) -> bool {
        self.nodes.iter().all(|node| node.has_failed)
    }

    /// Returns the high watermark of a partition, once an answer has had it.
    pub fn high_watermark(&self, partition: usize) -> Option<i64> {
        self.partitions[partition].high_watermark
    }

    /// Takes note that a broker is connected to.
    pub fn connected(&mut self, node: usize, now: Instant) {
        self.nodes[node].link = Link::Greeting;
        self.ask(
            node,
            Api::Versions,
            Question::Versions,
            (now, Duration::ZERO),
            |_| {},
        );
    }

    /// Takes note that there is no connection to a broker, or none any more.
    pub fn lost(&mut self, node: usize, now: Instant) {
        let lost = &mut self.nodes[node];
        lost.has_failed = true;
        lost.retry_at = now + lost.backoff;
        lost.backoff = (2 * lost.backoff).min(LATER);
        self.forget(node);
        self.lookup.is_wanted = true; // another may lead by now
    }

    /// Takes a connection for closed, and what was asked there for not asked.
    fn forget(&mut self, node: usize) {
        self.nodes[node].link = Link::Down;
        for asked in std::mem::take(&mut self.nodes[node].asked) {
            match asked.question {
                Question::Versions => {}
                Question::Metadata => {
                    self.lookup.is_asked = false;
                    self.lookup.is_wanted = true;
                }
                Question::Fetch(partitions) => self.not_asked(&partitions),
            }
        }
    }

    fn not_asked(&mut self, partitions: &[usize]) {
        for &nth in partitions {
            self.partitions[nth].is_asked = false;
        }
    }

    /// Takes note that the reader is done with so many bytes of a partition.
    pub fn taken(&mut self, partition: usize, bytes: usize) {
        let waiting = &mut self.partitions[partition].waiting;
        *waiting = waiting.saturating_sub(bytes);
    }

    /// Has the brokers asked whether the topic is still there.
    pub fn look_up(&mut self) {
        self.lookup.is_wanted = true;
    }

    /// Takes an answer of a broker.
    ///
    /// # Errors
    /// Why its connection is of no use; it is to be closed, and [`Machine::lost`].
    pub fn answered(&mut self, node: usize, frame: Frame, now: Instant) -> Result<(), String> {
        let garbled = |error: Garbled| error.to_string();
        let (correlation, _) = wire::answer(&frame).map_err(garbled)?;
        let asked = self.nodes[node].asked.front();
        if asked.is_none_or(|asked| asked.correlation != correlation) {
            return Err("it answers what was not asked".to_owned());
        }
        let version = |api| match self.nodes[node].link {
            Link::Up(versions) => self.version(api, versions),
            _ => 0,
        };
        match self.nodes[node].asked.front().map(|asked| &asked.question) {
            None => {}
            Some(Question::Versions) => {
                let input = wire::body(Api::Versions, 0, &frame).map_err(garbled)?;
                let known = versions::read(input).map_err(garbled)?;
                let known = known.map_err(|_| "it is older than Kafka 2.1".to_owned())?;
                let node = &mut self.nodes[node];
                node.link = Link::Up(known);
                node.has_failed = false;
                node.backoff = SOON;
                node.asked.pop_front();
            }
            Some(Question::Metadata) => {
                let version = version(Api::Metadata);
                let input = wire::body(Api::Metadata, version, &frame).map_err(garbled)?;
                let found = metadata::read(input, version).map_err(garbled)?;
                self.nodes[node].asked.pop_front();
                self.lookup.is_asked = false;
                self.take_metadata(found, now);
            }
            Some(Question::Fetch(_)) => {
                let version = version(Api::Fetch);
                let frame = Arc::new(frame);
                let input = wire::body(Api::Fetch, version, &frame).map_err(garbled)?;
                self.take_fetched(node, input, version, &frame, now)?;
            }
        }
        Ok(())
    }

    /// Returns the version of a request to a broker. A topic's id is known from the same version on in
    /// which a fetch needs it, but for brokers that are between the two.
    fn version(&self, api: Api, versions: Versions) -> i16 {
        match (api, self.id) {
            (Api::Fetch, None) => versions.of(api).min(BY_ID - 1),
            _ => versions.of(api),
        }
    }

    /// Takes up who the brokers are, and who leads.
    fn take_metadata(&mut self, found: Metadata, now: Instant) {
        for broker in &found.brokers {
            self.take_broker(broker, now);
        }
        match found.error {
            code::NONE => self.lookup.forgotten_since = None,
            code::UNKNOWN_TOPIC => {
                let since = *self.lookup.forgotten_since.get_or_insert(now);
                if now.duration_since(since) >= FORGOTTEN {
                    self.fail_all(&Failure::Gone)
                } else {
                    self.lookup.is_wanted = true
                }
                return;
            }
            error if code::PASSING.contains(&error) => {
                self.lookup.is_wanted = true;
                return;
            }
            error => return self.fail_all(&Failure::Refused(error)),
        }
        if self.id.is_some() && found.id.is_some() && self.id != found.id {
            return self.fail_all(&Failure::Replaced);
        }
        self.id = self.id.or(found.id);
        for partition in &mut self.partitions {
            let mut leaders = found.leaders.iter();
            let leader = leaders.find(|leader| leader.partition == partition.number);
            // One that is older than what is known comes from a broker that is behind.
            let leader = leader.filter(|leader| {
                leader.epoch < 0 || leader.epoch >= partition.leader_epoch || found.id.is_none()
            });
            let Some(leader) = leader else {
                continue;
            };
            let is_new = leader.epoch > partition.leader_epoch && partition.leader_epoch >= 0;
            partition.is_to_compare |= is_new;
            partition.leader_epoch = leader.epoch;
            partition.leader = leader.broker;
        }
        let mut open = self
            .partitions
            .iter()
            .filter(|partition| !partition.has_failed);
        self.lookup.is_wanted |= open.any(|partition| partition.leader.is_none());
    }

    fn take_broker(&mut self, broker: &metadata::Broker, now: Instant) {
        let known = self
            .nodes
            .iter()
            .position(|node| node.id == Some(broker.id));
        let same = || {
            let is_same = |node: &Node| node.id.is_none() && node.address == broker.address;
            self.nodes.iter().position(is_same)
        };
        match known.or_else(same) {
            None => self
                .nodes
                .push(Node::new(Some(broker.id), &broker.address, now)),
            Some(nth) => {
                let node = &mut self.nodes[nth];
                node.id = Some(broker.id);
                if node.address != broker.address {
                    node.address.clone_from(&broker.address);
                    if node.link != Link::Down {
                        self.close(nth, None);
                    }
                }
            }
        }
    }

    fn fail_all(&mut self, failure: &Failure) {
        for nth in 0..self.partitions.len() {
            self.fail(nth, failure.clone());
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
        input: Input<'_>,
        version: i16,
        frame: &Arc<Frame>,
        now: Instant,
    ) -> Result<(), String> {
        let answer = fetch::read(input, version).map_err(|error| error.to_string())?;
        let node = &mut self.nodes[node];
        node.throttled_until = now + answer.throttle;
        let asked = node.asked.pop_front().map(|asked| asked.question);
        let Some(Question::Fetch(asked)) = asked else {
            return Ok(());
        };
        self.not_asked(&asked);
        if answer.error != code::NONE {
            for nth in asked {
                self.take_error(nth, answer.error, now);
            }
            return Ok(());
        }
        for part in answer.partitions {
            let is_it = |nth: &&usize| self.partitions[**nth].number == part.partition;
            let Some(&nth) = asked.iter().find(is_it) else {
                return Err("it answers what was not asked".to_owned());
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
                self.lookup.is_wanted = true;
            }
            error if code::PASSING.contains(&error) => {
                partition.leader = None;
                self.lookup.is_wanted = true;
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

    /// Returns whether [`Machine::deliver`] has something.
    pub fn has_deliverable(&self) -> bool {
        self.deliverable().is_some()
    }

    fn waiting(&self) -> usize {
        self.partitions
            .iter()
            .map(|partition| partition.waiting)
            .sum()
    }

    /// Returns what is to be done next.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        for nth in 0..self.nodes.len() {
            let oldest = self.nodes[nth].asked.front();
            let since = oldest.filter(|oldest| oldest.deadline <= now);
            if let Some(since) = since.map(|oldest| oldest.since) {
                self.close(nth, Some(now.duration_since(since)));
                self.lost(nth, now);
            }
        }
        self.ask_who_leads(now);
        let room = Room::of(self);
        for nth in 0..self.nodes.len() {
            self.fetch_from(nth, &room, now);
        }
    }

    /// Returns when something is due next, if nothing happens until then.
    pub fn wakes_at(&self, now: Instant) -> Instant {
        let mut at = now + LATER;
        let mut note = |due: Instant| {
            if due > now {
                at = at.min(due);
            }
        };
        for node in &self.nodes {
            note(node.retry_at);
            note(node.throttled_until);
            node.asked.iter().for_each(|asked| note(asked.deadline));
        }
        self.partitions
            .iter()
            .for_each(|partition| note(partition.retry_at));
        self.lookup.last.iter().for_each(|&last| note(last + SOON));
        at
    }

    fn close(&mut self, node: usize, silent_for: Option<Duration>) {
        self.forget(node);
        self.actions.push_back(Action::Close(node, silent_for));
    }

    fn connect(&mut self, node: usize, now: Instant) {
        let connected = &mut self.nodes[node];
        if connected.link == Link::Down && connected.retry_at <= now {
            connected.link = Link::Connecting;
            self.actions.push_back(Action::Connect(node));
        }
    }

    /// Sends a request.
    fn ask(
        &mut self,
        node: usize,
        api: Api,
        question: Question,
        (now, max_wait): (Instant, Duration),
        body: impl FnOnce(&mut Output),
    ) {
        let version = match self.nodes[node].link {
            Link::Up(versions) => self.version(api, versions),
            _ => 0,
        };
        let asked = &mut self.nodes[node];
        asked.correlation = asked.correlation.wrapping_add(1);
        let correlation = asked.correlation;
        // What was asked before is answered first.
        let before = asked.asked.back().map_or(now, |before| before.deadline);
        asked.asked.push_back(Asked {
            correlation,
            since: now,
            deadline: (now + max_wait + self.options.patience).max(before),
            question,
        });
        let bytes = wire::request(api, version, correlation, &self.options.client, body);
        self.actions.push_back(Action::Send(node, bytes));
    }

    /// Asks a broker who leads, if that is to be known and was not asked just now.
    fn ask_who_leads(&mut self, now: Instant) {
        let Lookup { last, is_asked, .. } = self.lookup;
        let waited = last.map(|last| now.duration_since(last));
        let is_old = waited.is_some_and(|waited| waited >= self.options.metadata_age);
        let is_soon = waited.is_some_and(|waited| waited < SOON);
        if !(self.lookup.is_wanted || is_old) || is_asked || is_soon {
            return;
        }
        let up = |node: &Node| match node.link {
            Link::Up(versions) => Some(versions),
            _ => None,
        };
        let mut nodes = self.nodes.iter().enumerate();
        // One that has no fetch to answer first is quicker.
        let found = nodes
            .clone()
            .find(|(_, node)| up(node).is_some() && node.asked.is_empty())
            .or_else(|| nodes.find(|(_, node)| up(node).is_some()))
            .and_then(|(nth, node)| Some((nth, up(node)?)));
        if let Some((nth, versions)) = found {
            let version = self.version(Api::Metadata, versions);
            self.lookup = Lookup {
                is_wanted: false,
                is_asked: true,
                last: Some(now),
                ..self.lookup
            };
            let topic = self.topic.clone();
            self.ask(
                nth,
                Api::Metadata,
                Question::Metadata,
                (now, Duration::ZERO),
                |output| {
                    metadata::write(output, version, &topic);
                },
            );
            return;
        }
        let mut links = self.nodes.iter().map(|node| node.link);
        if links.any(|link| link != Link::Down) {
            return; // one of which may answer soon
        }
        let count = self.nodes.len();
        let mut turns = (0..count).map(|nth| (self.lookup.turn + nth) % count);
        if let Some(nth) = turns.find(|&nth| self.nodes[nth].retry_at <= now) {
            self.lookup.turn = nth + 1;
            self.connect(nth, now);
        }
    }

    /// Fetches from a broker all partitions that it leads and that have room.
    fn fetch_from(&mut self, nth: usize, room: &Room, now: Instant) {
        let node = &self.nodes[nth];
        let Some(id) = node.id else {
            return;
        };
        if node.is_fetched_from() || matches!(node.link, Link::Connecting | Link::Greeting) {
            return;
        }
        let count = self.partitions.len();
        let (mut wanted, mut is_held_back) = (Vec::new(), false);
        for nth in (0..count).map(|nth| (self.turn + nth) % count) {
            let partition = &self.partitions[nth];
            let is_led = partition.leader == Some(id);
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
        let Link::Up(versions) = node.link else {
            return self.connect(nth, now);
        };
        if node.throttled_until > now {
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
        let version = self.version(Api::Fetch, versions);
        let partitions: Vec<Wanted> = wanted.iter().map(|&nth| self.wanted(nth)).collect();
        let (topic, id) = (self.topic.clone(), self.id.unwrap_or_default());
        let (min_bytes, committed) = (self.options.min_bytes, self.options.committed);
        let max_bytes = self.options.fetch_bytes as i32;
        let question = Question::Fetch(wanted);
        self.ask(nth, Api::Fetch, question, (now, max_wait), |output| {
            let request = fetch::Request {
                topic: &topic,
                id,
                max_wait,
                min_bytes,
                max_bytes,
                committed,
                partitions: &partitions,
            };
            fetch::write(output, version, &request);
        });
    }

    /// Notes that a partition is asked for, and returns from where.
    fn wanted(&mut self, nth: usize) -> Wanted {
        let partition = &mut self.partitions[nth];
        partition.is_asked = true;
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
    fn of(machine: &Machine) -> Self {
        let held: usize = machine.partitions.iter().map(Partition::held).sum();
        Room {
            is_any: held < machine.options.room,
            partition: 2 * machine.options.partition_bytes,
        }
    }

    fn is_for(&self, partition: &Partition) -> bool {
        let held = partition.held();
        held == 0 || self.is_any && held < self.partition
    }
}
