//! Which batch is sent to which broker, and when: a machine that its caller steps, as [`reading`] is.
//!
//! In: batches, the time, what has become of connections and requests. Out: requests, and what became
//! of the records. A broker has a few requests at a time, each with one batch at most of each
//! partition that it leads. [`backlog`] says what happens to a batch that fails.
//!
//! [`reading`]: super::reading
//! [`backlog`]: super::backlog

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::batch::{Builder, Codec, Unpacker};
use super::super::wire::connection::Frame;
use super::super::wire::produce::{self, BY_ID, Batches, Name};
use super::super::wire::{self, Api, code, init_producer_id};
use super::backlog::{Backlog, Fate, Identity, is_unknown};
use super::cluster::{self, Cluster, Loss, SOON, Useless};
use super::sockets::Machine;

/// How many bytes of batches a request has, but for one that is larger by itself.
const REQUEST_BYTES: usize = 4 << 20;

/// How records are written.
#[derive(Debug, Clone)]
pub struct Options {
    /// How brokers are spoken to.
    pub cluster: cluster::Options,
    /// How many brokers must have a record: 0, 1, or -1 for all in sync.
    pub acks: i16,
    /// Whether brokers tell a batch that is sent again, by numbers.
    pub is_idempotent: bool,
    /// How long a leader waits for the others in sync.
    pub timeout: Duration,
    /// How long a record may be on its way.
    pub within: Duration,
    /// How many requests a broker has at a time.
    pub in_flight: usize,
    /// What packs a batch.
    pub codec: Codec,
    /// How long after a failure it is tried again.
    pub backoff: Duration,
    /// How large a batch, unpacked, may be.
    pub limit: usize,
}

/// Why records were not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The topic is gone, or has no such partition.
    Gone,
    /// They were too long on their way.
    TimedOut,
    /// The codec refuses them.
    Unpackable,
    /// The broker refuses, by this code.
    Refused(i16),
}

/// What became of records since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many are written.
    pub acknowledged: u64,
    /// How many never will be.
    pub failed: u64,
    /// Why the first of those, and its partition.
    pub first_failure: Option<(Failure, usize)>,
    /// The offset of the last record of each batch, where it is known, with its partition.
    pub reached: Vec<(usize, i64)>,
}

impl Outcome {
    /// Adds what came later.
    pub fn extend(&mut self, later: Outcome) {
        self.acknowledged += later.acknowledged;
        self.failed += later.failed;
        self.first_failure = self.first_failure.or(later.first_failure);
        self.reached.extend(later.reached);
    }

    /// Returns whether nothing has become of any record.
    pub fn is_empty(&self) -> bool {
        self.acknowledged == 0 && self.failed == 0
    }
}

/// A partition that is written to.
#[derive(Debug)]
struct Partition {
    topic: usize,
    number: i32,
    backlog: Backlog,
    retry_at: Instant,
    failure: Option<Failure>,
}

/// A batch that is being sent: its partition, its ordinal and its bytes.
type Taken = (usize, u64, Arc<Vec<u8>>);

/// What is asked of brokers.
#[derive(Debug)]
pub enum Question {
    /// Who the producer is.
    Identity,
    /// Whether batches are written: their partitions and ordinals.
    Batches(Vec<(usize, u64)>),
}

/// Writes to partitions of topics.
#[derive(Debug)]
pub struct Writing {
    options: Options,
    cluster: Cluster<Question>,
    partitions: Vec<Partition>,
    identity: Option<Identity>,
    /// Whether the identity is asked for, and before when it is not asked for again.
    is_identity_asked: bool,
    identity_at: Instant,
    /// Which partition comes first in the next request.
    turn: usize,
    outcome: Outcome,
    unpacker: Unpacker,
}

impl Writing {
    /// Returns one that writes to no partition yet. `brokers` are addresses.
    pub fn new(options: Options, brokers: &[String], now: Instant) -> Self {
        Writing {
            cluster: Cluster::new(options.cluster.clone(), brokers, now),
            unpacker: Unpacker::new(options.limit),
            options,
            partitions: Vec::new(),
            identity: None,
            is_identity_asked: false,
            identity_at: now,
            turn: 0,
            outcome: Outcome::default(),
        }
    }

    /// Adds a partition of a topic; they count from 0.
    pub fn add_partition(&mut self, topic: &str, number: i32, now: Instant) {
        let mut topics = 0..self.cluster.topics();
        let known = topics.find(|&nth| self.cluster.topic(nth).name == topic);
        let topic = known.unwrap_or_else(|| self.cluster.add_topic(topic));
        self.partitions.push(Partition {
            topic,
            number,
            backlog: Backlog::default(),
            retry_at: now,
            failure: None,
        });
    }

    /// Adds records that are there since some time to a partition's.
    pub fn add(&mut self, nth: usize, builder: &mut Builder, since: Instant) {
        let count = builder.count();
        let packed = builder.pack(self.options.codec);
        let partition = &mut self.partitions[nth];
        match packed {
            _ if partition.failure.is_some() => self.outcome.failed += count as u64,
            Ok(bytes) => partition.backlog.push(bytes, count, since),
            Err(_) => {
                self.outcome.failed += count as u64;
                self.fail(nth, Failure::Unpackable);
            }
        }
    }

    /// Returns whether a batch that is not full is to be sent now: another one on its way would be
    /// followed by many small ones.
    pub fn is_idle(&self, nth: usize) -> bool {
        let partition = &self.partitions[nth];
        partition.backlog.is_empty() || partition.failure.is_some()
    }

    /// Returns above which size a batch would be refused, if that is known.
    pub fn too_large(&self, nth: usize) -> Option<usize> {
        self.partitions[nth].backlog.too_large()
    }

    /// Returns how many partitions there are.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Returns the memory of a batch that is gone, for another one.
    pub fn spare(&mut self) -> Option<Vec<u8>> {
        let mut partitions = self.partitions.iter_mut();
        partitions.find_map(|partition| partition.backlog.spare())
    }

    /// Returns how many bytes are not acknowledged.
    pub fn bytes(&self) -> usize {
        let partitions = self.partitions.iter();
        partitions.map(|partition| partition.backlog.bytes()).sum()
    }

    /// Returns what became of records since it was last asked.
    pub fn outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// Returns when something is due next, if nothing happens until then.
    pub fn wakes_at(&self, now: Instant) -> Instant {
        let of_partitions = self.partitions.iter().flat_map(|partition| {
            let since = partition.backlog.since();
            let expired = since.into_iter().map(|since| since + self.options.within);
            std::iter::once(partition.retry_at).chain(expired)
        });
        let others = std::iter::once(self.identity_at).chain(of_partitions);
        self.cluster.wakes_at(now, others)
    }

    fn has_work(&self) -> bool {
        let mut partitions = self.partitions.iter();
        partitions.any(|partition| !partition.backlog.is_empty())
    }

    /// Takes up what the brokers have said of the topics, and which questions got no answer.
    fn take_news(&mut self, now: Instant) {
        while let Some(question) = self.cluster.dropped() {
            match question {
                Question::Identity => self.is_identity_asked = false,
                Question::Batches(batches) => {
                    for (nth, ordinal) in batches {
                        let partition = &mut self.partitions[nth];
                        partition.backlog.dropped(ordinal);
                        partition.retry_at = now + self.options.backoff;
                    }
                }
            }
        }
        while let Some((topic, loss)) = self.cluster.loss() {
            let failure = match loss {
                Loss::Gone | Loss::Replaced => Failure::Gone,
                Loss::Refused(code) => Failure::Refused(code),
            };
            for nth in 0..self.partitions.len() {
                if self.partitions[nth].topic == topic {
                    self.fail(nth, failure);
                }
            }
        }
    }

    /// Has the brokers asked again where nobody leads a partition that has batches; one that its topic
    /// does not have will never be led.
    fn seek_leaders(&mut self) {
        for nth in 0..self.partitions.len() {
            let partition = &self.partitions[nth];
            let topic = self.cluster.topic(partition.topic);
            if partition.backlog.is_empty() || topic.led(partition.number).by.is_some() {
                continue;
            }
            if topic.partitions() > 0 && partition.number as usize >= topic.partitions() {
                self.fail(nth, Failure::Gone);
            } else {
                self.cluster.look_up();
            }
        }
    }

    /// Gives up what was on its way for too long.
    fn expire(&mut self, now: Instant) {
        for nth in 0..self.partitions.len() {
            let since = self.partitions[nth].backlog.since();
            if since.is_some_and(|since| now >= since + self.options.within) {
                self.fail(nth, Failure::TimedOut);
            }
        }
    }

    /// Gives up all records of a partition: those behind the first would be out of order.
    fn fail(&mut self, nth: usize, failure: Failure) {
        let partition = &mut self.partitions[nth];
        partition.failure.get_or_insert(failure);
        self.outcome.failed += partition.backlog.clear();
        self.outcome.first_failure.get_or_insert((failure, nth));
    }

    fn ask_identity(&mut self, now: Instant) {
        if self.is_identity_asked || self.identity_at > now {
            return;
        }
        let node = self.cluster.any();
        let version = node.and_then(|node| self.cluster.version(node, Api::InitProducer));
        let Some((node, version)) = node.zip(version) else {
            return self.cluster.connect_to_any(now);
        };
        self.is_identity_asked = true;
        let (api, times) = ((Api::InitProducer, version), (now, Duration::ZERO));
        self.cluster.ask(
            node,
            api,
            Question::Identity,
            times,
            init_producer_id::write,
        );
    }

    fn take_identity(&mut self, answer: init_producer_id::Answer, now: Instant) {
        self.is_identity_asked = false;
        self.identity_at = now + SOON;
        match answer.error {
            code::NONE => {
                let init_producer_id::Answer { id, epoch, .. } = answer;
                self.identity = Some(Identity { id, epoch });
            }
            error if code::PASSING.contains(&error) || code::PASSING_WRITES.contains(&error) => {}
            error => {
                for nth in 0..self.partitions.len() {
                    self.fail(nth, Failure::Refused(error));
                }
            }
        }
    }

    /// Sends the next batches to a broker; whether there were any.
    fn write_to(&mut self, node: usize, now: Instant) -> bool {
        let Some(id) = self.cluster.id(node) else {
            return false;
        };
        let count = self.partitions.len();
        let is_due = |nth: &usize| {
            let Partition { topic, number, .. } = self.partitions[*nth];
            let partition = &self.partitions[*nth];
            partition.backlog.waiting() > 0
                && partition.retry_at <= now
                && self.cluster.topic(topic).led(number).by == Some(id)
        };
        let turns = (0..count).map(|nth| (self.turn + nth) % count);
        let due: Vec<usize> = turns.filter(is_due).collect();
        if due.is_empty() {
            return false;
        }
        let Some(version) = self.cluster.version(node, Api::Produce) else {
            self.cluster.connect(node, now);
            return false;
        };
        let asked = self.cluster.asked(node);
        let asked = asked.filter(|asked| matches!(asked, Question::Batches(_)));
        if asked.count() >= self.options.in_flight || self.cluster.is_throttled(node, now) {
            return false;
        }
        let (mut batches, mut size) = (Vec::new(), 0);
        for nth in due {
            if size >= REQUEST_BYTES {
                break;
            }
            let backlog = &mut self.partitions[nth].backlog;
            if let Some((ordinal, bytes)) = backlog.ask(self.identity, self.options.in_flight) {
                size += bytes.len();
                batches.push((nth, ordinal, bytes));
            }
        }
        if batches.is_empty() {
            return false;
        }
        self.turn = (self.turn + 1) % count;
        self.send(node, version, &batches, now);
        true
    }

    /// Sends batches: their partitions, ordinals and bytes.
    fn send(&mut self, node: usize, version: i16, batches: &[Taken], now: Instant) {
        let has_ids = |(nth, ..): &Taken| {
            let topic = self.partitions[*nth].topic;
            self.cluster.topic(topic).id.is_some()
        };
        let version = if batches.iter().all(has_ids) {
            version
        } else {
            version.min(BY_ID - 1)
        };
        let mut topics: Vec<(usize, Batches<'_>)> = Vec::new();
        for (nth, _, bytes) in batches {
            let Partition { topic, number, .. } = self.partitions[*nth];
            match topics.iter_mut().find(|(known, _)| *known == topic) {
                Some((_, batches)) => batches.push((number, bytes)),
                None => topics.push((topic, vec![(number, bytes)])),
            }
        }
        let names: Vec<(String, _)> = topics
            .iter()
            .map(|(topic, _)| self.cluster.topic(*topic))
            .map(|topic| (topic.name.clone(), topic.id.unwrap_or_default()))
            .collect();
        let topics: Vec<produce::Topic<'_>> = topics
            .into_iter()
            .zip(&names)
            .map(|((_, batches), (name, id))| produce::Topic {
                name,
                id: *id,
                batches,
            })
            .collect();
        let request = produce::Request {
            acks: self.options.acks,
            timeout: self.options.timeout,
            topics: &topics,
        };
        let asked = batches.iter().map(|&(nth, ordinal, _)| (nth, ordinal));
        let question = Question::Batches(asked.collect());
        let (api, times) = ((Api::Produce, version), (now, self.options.timeout));
        self.cluster.ask(node, api, question, times, |output| {
            produce::write(output, version, &request);
        });
        // No answer comes: sent is written.
        if self.options.acks == 0
            && let Some(Question::Batches(batches)) = self.cluster.unasked(node)
        {
            for (nth, ordinal) in batches {
                self.take_part(nth, ordinal, (code::NONE, -1), now);
            }
        }
    }

    /// Takes what became of the batches of a request.
    fn take_written(
        &mut self,
        mut asked: Vec<(usize, u64)>,
        answer: &produce::Answer,
        now: Instant,
    ) -> Result<(), Useless> {
        for (name, parts) in &answer.topics {
            for part in parts {
                let is_it = |&(nth, _): &(usize, u64)| {
                    let partition = &self.partitions[nth];
                    let topic = self.cluster.topic(partition.topic);
                    let is_named = match name {
                        Name::Text(name) => topic.name == *name,
                        Name::Id(id) => topic.id == Some(*id),
                    };
                    is_named && partition.number == part.partition
                };
                let Some(at) = asked.iter().position(is_it) else {
                    return Err("it answers what was not asked".into());
                };
                let (nth, ordinal) = asked.swap_remove(at);
                self.take_part(nth, ordinal, (part.error, part.base_offset), now);
            }
        }
        for (nth, ordinal) in asked {
            self.partitions[nth].backlog.dropped(ordinal); // no word of it
        }
        Ok(())
    }

    fn take_part(&mut self, nth: usize, ordinal: u64, (error, offset): (i16, i64), now: Instant) {
        let partition = &mut self.partitions[nth];
        let fate = partition
            .backlog
            .answered(ordinal, error, offset, &mut self.unpacker);
        match fate {
            Fate::Written(count, offset) => {
                self.outcome.acknowledged += count as u64;
                let last = offset.map(|offset| (nth, offset + i64::from(count) - 1));
                self.outcome.reached.extend(last);
            }
            Fate::Refused(error) => self.fail(nth, Failure::Refused(error)),
            Fate::Waits if error == code::MESSAGE_TOO_LARGE => {}
            Fate::Waits => {
                partition.retry_at = now + self.options.backoff;
                let (topic, number) = (partition.topic, partition.number);
                if code::PASSING.contains(&error) {
                    self.cluster.forget_leader(topic, number);
                } else if is_unknown(error) {
                    self.cluster.look_up();
                }
            }
        }
    }
}

impl Machine for Writing {
    type Question = Question;

    fn cluster(&mut self) -> &mut Cluster<Question> {
        &mut self.cluster
    }

    fn tick(&mut self, now: Instant) {
        self.cluster.tick(now);
        self.take_news(now);
        self.expire(now);
        if !self.has_work() {
            return;
        }
        if self.options.is_idempotent && self.identity.is_none() {
            return self.ask_identity(now);
        }
        for node in 0..self.cluster.nodes() {
            while self.write_to(node, now) {}
        }
    }

    fn answered(&mut self, node: usize, frame: Frame, now: Instant) -> Result<(), Useless> {
        let answered = self.cluster.answered(node, frame, now)?;
        let Some((question, version, frame)) = answered else {
            self.take_news(now);
            self.seek_leaders();
            return Ok(());
        };
        match question {
            Question::Identity => {
                self.is_identity_asked = false;
                let input = wire::body(Api::InitProducer, version, &frame)?;
                self.take_identity(init_producer_id::read(input)?, now);
                Ok(())
            }
            Question::Batches(asked) => {
                let input = wire::body(Api::Produce, version, &frame);
                let answer = input.and_then(|input| produce::read(input, version));
                let taken = answer.map_err(Useless::from).and_then(|answer| {
                    self.cluster.throttle(node, answer.throttle, now);
                    self.take_written(asked.clone(), &answer, now)
                });
                if taken.is_err() {
                    // Whether they are written is not known.
                    for (nth, ordinal) in asked {
                        self.partitions[nth].backlog.dropped(ordinal);
                    }
                }
                taken
            }
        }
    }
}
