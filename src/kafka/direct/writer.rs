//! Writes records without librdkafka: they are gathered into batches where they are handed over, and
//! a thread packs the batches and sends them.
//!
//! A batch is sent when it is full; one that is not, when nothing of its partition is on its way and
//! its first record has waited for a moment. So batches grow with what is to be sent, and a single
//! record does not wait long.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::super::batch::{Builder, Codec};
use super::super::port::Deliveries;
use super::super::producer::{self, Acks, Record};
use super::super::{Health, Settings, refusal_of};
use super::sockets::{Bell, Machine as _, Sockets};
use super::writing::{self, Failure, Outcome, Writing};
use super::{brokers, cluster_options, wiring};
use crate::error::{Error, Result};
use crate::term::units::now_ms;

/// How large a batch is, unless the user or the topic says otherwise.
const BATCH_BYTES: u64 = 1_000_000;
/// How many bytes are gathered and not acknowledged, at most.
const ROOM_KBYTES: u64 = 32 << 10;
/// How many buffers of batches that are gone are kept for others.
const SPARE: usize = 16;

/// Why a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room now.
    Full,
    /// It is larger than a record may be.
    TooLarge,
}

/// See the module. Its thread ends when it is dropped; what was not sent is given up.
pub struct Writer {
    limits: Limits,
    topics: Vec<Topic>,
    /// By the number that the thread knows them by.
    partitions: Vec<Gathered>,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// How many bytes are gathered here, and were handed over and not acknowledged.
    gathered: usize,
    queued: usize,
    /// Whether batches that are not full lie with the thread.
    is_lent: bool,
    /// Whether nothing is waited for, until the next record.
    hurries: bool,
    health: Arc<Health>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    batch: usize,
    record: usize,
    room: usize,
    linger: Duration,
}

#[derive(Debug)]
struct Topic {
    name: String,
    /// Which partition has which number of the thread's.
    partitions: HashMap<i32, usize>,
    /// By number, for the usual ones.
    first: Vec<Option<usize>>,
}

/// The records of a partition that are not in a batch yet.
#[derive(Debug)]
struct Gathered {
    topic: usize,
    number: i32,
    builder: Builder,
    since: Instant,
    limit: usize,
}

/// What the thread and the writer share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something has become of records.
    changed: Condvar,
    bell: Bell,
}

#[derive(Debug, Default)]
struct State {
    /// New partitions: topics and numbers.
    added: Vec<(String, i32)>,
    /// Full batches of partitions, and since when their first records wait.
    full: Vec<(usize, Builder, Instant)>,
    /// Those that are not full, by partition.
    open: Vec<Option<(Builder, Instant)>>,
    /// Whether a batch that is not full is to be sent, by partition.
    idle: Vec<bool>,
    /// The sizes above which batches are refused, where that is known, by partition.
    too_large: Vec<Option<usize>>,
    spare: Vec<Vec<u8>>,
    /// How many bytes the thread has.
    queued: usize,
    /// Whether nothing is waited for.
    hurries: bool,
    outcome: Outcome,
    is_closing: bool,
    /// Whether the thread waits for its sockets.
    is_waiting: bool,
    /// Why the thread has ended by itself.
    ended: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread, if it waits.
    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.is_waiting) {
            self.bell.ring();
        }
    }
}

impl Writer {
    /// Starts the thread; it connects with the first record.
    ///
    /// # Errors
    /// `refused` where the system gives no thread.
    pub fn start(
        settings: &Settings,
        options: &producer::Options,
        within: Duration,
        health: Arc<Health>,
    ) -> Result<Self> {
        let ms = |name, default| Duration::from_millis(settings.number(name, default));
        let limit = settings.number("receive.message.max.bytes", 100_000_000) as usize;
        let within = ms("message.timeout.ms", within.as_millis() as u64);
        let within = ms("delivery.timeout.ms", within.as_millis() as u64);
        let in_flight = if options.one_at_a_time { 1 } else { 5 };
        let in_flight = settings.number("max.in.flight", in_flight);
        let in_flight = settings.number("max.in.flight.requests.per.connection", in_flight);
        let is_idempotent = options.acks == Acks::All && !options.may_double;
        let writing = writing::Options {
            cluster: cluster_options(settings),
            acks: match options.acks {
                Acks::Zero => 0,
                Acks::One => 1,
                Acks::All => -1,
            },
            is_idempotent,
            timeout: ms("request.timeout.ms", 30_000).min(within),
            within,
            // A broker remembers the last five batches of a producer.
            in_flight: (in_flight as usize).clamp(1, if is_idempotent { 5 } else { 1_000 }),
            codec: codec(settings, options),
            backoff: ms("retry.backoff.ms", 100),
            limit,
        };
        let record = settings.number("message.max.bytes", BATCH_BYTES) as usize;
        let limits = Limits {
            batch: settings.number("batch.size", BATCH_BYTES.min(record as u64)) as usize,
            record,
            room: settings.number("queue.buffering.max.kbytes", ROOM_KBYTES) as usize * 1024,
            linger: ms("linger.ms", settings.number("queue.buffering.max.ms", 5)),
        };
        let machine = Writing::new(writing, &brokers(settings), Instant::now());
        let (bell, ear) = Bell::new()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            bell,
        });
        let thread = Thread {
            machine,
            sockets: Sockets::new(wiring(settings, limit, health.clone())?, &shared.bell, ear)?,
            shared: shared.clone(),
            linger: limits.linger,
            is_silent: options.acks == Acks::Zero,
        };
        Ok(Writer {
            limits,
            topics: Vec::new(),
            partitions: Vec::new(),
            shared,
            thread: Some(thread.start()?),
            gathered: 0,
            queued: 0,
            is_lent: false,
            hurries: false,
            health,
        })
    }

    /// Makes a topic known; they count from 0.
    pub fn topic(&mut self, name: &str) -> usize {
        self.topics.push(Topic {
            name: name.to_owned(),
            partitions: HashMap::new(),
            first: Vec::new(),
        });
        self.topics.len() - 1
    }

    /// Takes a record, whose value lies in a block.
    ///
    /// # Errors
    /// [`Refusal`]; it is not taken.
    pub fn send(&mut self, topic: usize, block: &[u8], record: &Record<'_>) -> Result<(), Refusal> {
        let value = record.value.clone().map(|range| &block[range]);
        let size = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let size = size(record.key) + size(value);
        if size > self.limits.record {
            return Err(Refusal::TooLarge);
        }
        if self.gathered + self.queued >= self.limits.room {
            return Err(Refusal::Full);
        }
        self.hurries = false;
        if self.is_lent {
            self.take_back();
        }
        let nth = self.partition(topic, record.partition);
        let gathered = &mut self.partitions[nth];
        let before = gathered.builder.size();
        if gathered.builder.count() > 0 && before + size > gathered.limit {
            self.hand_over(nth);
        }
        let gathered = &mut self.partitions[nth];
        if gathered.builder.count() == 0 {
            gathered.since = Instant::now();
        }
        let before = gathered.builder.size();
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let headers = record.headers.iter().copied();
        gathered.builder.push(timestamp, record.key, value, headers);
        self.gathered += gathered.builder.size() - before;
        Ok(())
    }

    /// Returns the thread's number of a partition.
    fn partition(&mut self, topic: usize, number: i32) -> usize {
        let known = usize::try_from(number).ok();
        let known = known.and_then(|nth| self.topics[topic].first.get(nth));
        match known {
            Some(&Some(nth)) => nth,
            _ => self.add_partition(topic, number),
        }
    }

    fn add_partition(&mut self, topic: usize, number: i32) -> usize {
        /// As many are found by their number.
        const USUAL: usize = 10_000;
        let known = &mut self.topics[topic];
        if let Some(&nth) = known.partitions.get(&number) {
            return nth;
        }
        let nth = self.partitions.len();
        known.partitions.insert(number, nth);
        if let Some(at) = usize::try_from(number).ok().filter(|&at| at < USUAL) {
            if known.first.len() <= at {
                known.first.resize(at + 1, None);
            }
            known.first[at] = Some(nth);
        }
        self.partitions.push(Gathered {
            topic,
            number,
            builder: Builder::default(),
            since: Instant::now(),
            limit: self.limits.batch,
        });
        let mut state = self.shared.lock();
        state.added.push((known.name.clone(), number));
        state.open.push(None);
        state.idle.push(true);
        state.too_large.push(None);
        nth
    }

    /// Hands a full batch over, and takes up how large the next ones may be.
    fn hand_over(&mut self, nth: usize) {
        let mut state = self.shared.lock();
        let gathered = &mut self.partitions[nth];
        let next = state.spare.pop().map(Builder::reusing).unwrap_or_default();
        let full = std::mem::replace(&mut gathered.builder, next);
        self.gathered -= full.size();
        state.queued += full.size();
        state.full.push((nth, full, gathered.since));
        if let Some(too_large) = state.too_large[nth] {
            gathered.limit = gathered.limit.min(too_large / 2);
        }
        self.queued = state.queued;
        self.shared.wake(&mut state);
    }

    /// Takes back the batches that are not full and were not sent.
    fn take_back(&mut self) {
        self.is_lent = false;
        let mut state = self.shared.lock();
        for (gathered, open) in self.partitions.iter_mut().zip(&mut state.open) {
            if let Some((builder, since)) = open.take() {
                self.gathered += builder.size();
                (gathered.builder, gathered.since) = (builder, since);
            }
        }
        self.queued = state.queued;
    }

    /// Has all that was taken so far sent without waiting for more.
    pub fn hurry(&mut self) {
        self.hurries = true;
    }

    /// Lends all batches to the thread, which sends them when they have waited long enough; at once where
    /// it is to [hurry](Self::hurry). Returns what became of records, after waiting for at most `timeout`
    /// where nothing has.
    pub fn serve(&mut self, timeout: Duration) -> Deliveries {
        match self.outcome(timeout) {
            Ok(outcome) => self.deliveries(outcome),
            Err(reason) => {
                self.health.note(RDKafkaErrorCode::Fatal, &reason);
                Deliveries::default()
            }
        }
    }

    /// Returns what became of records in librdkafka's codes, which the messages are about.
    fn deliveries(&self, outcome: Outcome) -> Deliveries {
        let place = |nth: usize| {
            let Gathered { topic, number, .. } = self.partitions[nth];
            (self.topics[topic].name.clone(), number)
        };
        let first_failure = outcome.first_failure.map(|(failure, nth)| {
            let (topic, number) = place(nth);
            (code(failure), topic, number)
        });
        let reached = outcome.reached.into_iter().map(|(nth, offset)| {
            let (topic, number) = place(nth);
            (topic, number, offset)
        });
        Deliveries {
            acknowledged: outcome.acknowledged,
            failed: outcome.failed,
            first_failure,
            reached: reached.collect(),
        }
    }

    fn outcome(&mut self, timeout: Duration) -> Result<Outcome, String> {
        let hurries = self.hurries;
        let deadline = Instant::now() + timeout;
        let shared = self.shared.clone();
        let mut state = shared.lock();
        state.hurries = hurries;
        let mut has_more = false;
        for (nth, gathered) in self.partitions.iter_mut().enumerate() {
            if gathered.builder.count() == 0 {
                continue;
            }
            let builder = std::mem::take(&mut gathered.builder);
            self.gathered -= builder.size();
            let waits = !hurries && gathered.since.elapsed() < self.limits.linger;
            if state.idle[nth] && !waits {
                state.idle[nth] = false;
                state.queued += builder.size();
                state.full.push((nth, builder, gathered.since));
            } else {
                state.open[nth] = Some((builder, gathered.since));
                self.is_lent = true;
            }
            has_more = true;
        }
        if has_more || hurries {
            shared.wake(&mut state);
        }
        while state.outcome.is_empty() && state.ended.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.queued = state.queued;
        match &state.ended {
            Some(reason) => Err(reason.clone()),
            None => Ok(std::mem::take(&mut state.outcome)),
        }
    }
}

fn code(failure: Failure) -> RDKafkaErrorCode {
    match failure {
        Failure::Gone => RDKafkaErrorCode::UnknownTopicOrPartition,
        Failure::TimedOut => RDKafkaErrorCode::MessageTimedOut,
        Failure::Unpackable => RDKafkaErrorCode::BadCompression,
        Failure::Refused(code) => {
            let code = refusal_of(code).code();
            code.unwrap_or(RDKafkaErrorCode::Unknown)
        }
    }
}

/// Returns what packs batches: what the user has set, else what the command says.
fn codec(settings: &Settings, options: &producer::Options) -> Codec {
    let set = ["compression.codec", "compression.type"];
    let set = set.iter().find_map(|name| settings.property(name));
    let name = set.or(options.compression.as_deref()).unwrap_or("none");
    let mut all = Codec::ALL.into_iter();
    let named = all.find(|codec| codec.to_string() == name);
    named.unwrap_or_default()
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closing = true;
        self.shared.wake(&mut state);
        drop(state);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was printed
        }
    }
}

/// What the thread has.
struct Thread {
    machine: Writing,
    sockets: Sockets,
    shared: Arc<Shared>,
    linger: Duration,
    /// Whether brokers acknowledge nothing: what was sent is written.
    is_silent: bool,
}

impl Thread {
    fn start(mut self) -> Result<std::thread::JoinHandle<()>> {
        let run = move || {
            let ended = self.run();
            let mut state = self.shared.lock();
            state.ended = ended.err();
            self.shared.changed.notify_all();
        };
        let started = std::thread::Builder::new().name("k-produce".to_owned());
        started
            .spawn(run)
            .map_err(|source| Error::io("start a thread", source))
    }

    /// Runs until the writer is gone.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn run(&mut self) -> Result<(), String> {
        while let Some(due) = self.hear() {
            self.machine.tick(Instant::now());
            self.sockets.act(&mut self.machine)?;
            self.tell();
            self.wait(due)?;
            self.sockets.receive(&mut self.machine);
        }
        Ok(())
    }

    /// Takes what the writer has handed over; returns when a batch that is not full is to be sent, or
    /// none where the writer is gone.
    fn hear(&mut self) -> Option<Option<Instant>> {
        let now = Instant::now();
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        for (topic, number) in state.added.drain(..) {
            self.machine.add_partition(&topic, number, now);
        }
        let mut taken = std::mem::take(&mut state.full);
        let mut due: Option<Instant> = None;
        for (nth, open) in state.open.iter_mut().enumerate() {
            let Some((builder, since)) = open.take() else {
                continue;
            };
            let at = since + self.linger;
            // One behind another is sent once that is acknowledged.
            let is_next =
                self.machine.is_idle(nth) && taken.iter().all(|(other, ..)| *other != nth);
            if is_next && (state.hurries || at <= now) {
                state.queued += builder.size();
                taken.push((nth, builder, since));
                continue;
            }
            *open = Some((builder, since));
            if is_next {
                due = Some(due.map_or(at, |due| due.min(at)));
            }
        }
        let is_closing = state.is_closing;
        drop(guard);
        for (nth, mut builder, since) in taken {
            self.machine.add(nth, &mut builder, since);
        }
        (!is_closing).then_some(due)
    }

    /// Tells the writer what became of records.
    fn tell(&mut self) {
        let is_sent = !self.is_silent || !self.sockets.has_unsent();
        let mut state = self.shared.lock();
        let state = &mut *state;
        for (nth, idle) in state.idle.iter_mut().enumerate() {
            if nth < self.machine.partitions() {
                *idle = self.machine.is_idle(nth);
                state.too_large[nth] = self.machine.too_large(nth);
            }
        }
        let handed: usize = state.full.iter().map(|(_, full, _)| full.size()).sum();
        state.queued = handed + self.machine.bytes();
        if is_sent {
            let outcome = self.machine.outcome();
            let is_any = !outcome.is_empty();
            state.outcome.extend(outcome);
            if is_any {
                self.shared.changed.notify_all();
            }
        }
        while state.spare.len() < SPARE
            && let Some(spare) = self.machine.spare()
        {
            state.spare.push(spare);
        }
    }

    /// Waits until a socket, the writer or the time asks for something.
    fn wait(&mut self, due: Option<Instant>) -> Result<(), String> {
        let now = Instant::now();
        let mut at = self.machine.wakes_at(now);
        at = due.map_or(at, |due| due.min(at));
        let mut left = at.saturating_duration_since(now);
        {
            let mut state = self.shared.lock();
            let open = state.open.iter().zip(&state.idle);
            let mut open = open.filter(|(open, idle)| open.is_some() && **idle);
            if state.is_closing || !state.full.is_empty() || state.hurries && open.next().is_some()
            {
                left = Duration::ZERO;
            }
            state.is_waiting = !left.is_zero();
        }
        self.sockets.wait(left)?;
        self.shared.lock().is_waiting = false;
        Ok(())
    }
}
