//! A producer's client: records wait in it, leave in batches, and are acknowledged later. Each
//! partition gets its batches in order and once (an idempotent producer).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::client::{View, micros, offsets_of};
use super::log::{NewRecord, State};
use super::transaction::{Transactional, again};
use super::world::{Event, MS, Time, World};
use crate::kafka::member::Place;
use crate::kafka::port::{Deliveries, OwnRecord, Proof, Sends, Step, StepError};
use crate::kafka::producer::{Block, Record};

/// How many records wait in a client at most.
const ROOM: usize = 500;

/// What the client of a producer keeps.
#[derive(Debug)]
pub(super) struct SenderClient {
    pub process: usize,
    /// `Some` where it sends in transactions.
    pub transactional: Option<Transactional>,
    pub epoch: i32,
    /// For how long a record may be on its way.
    pub within: Time,
    /// The error after which nothing is possible any more.
    pub fatal: Option<Code>,
    /// Whether the transaction can only be given up.
    pub has_failed: bool,
    /// Whether it was replaced by another client.
    pub is_closed: bool,
    pub waiting: VecDeque<(Place, NewRecord, Time)>,
    pub is_flushing: bool,
    /// How many records wait in it at most.
    pub room: usize,
    /// What is on its way to each partition, in order.
    on_its_way: BTreeMap<Place, VecDeque<Batch>>,
    /// When the last batch of each partition comes to its broker.
    arrivals: BTreeMap<Place, Time>,
    pub deliveries: Deliveries,
    pub in_flight: usize,
    /// The number of the transaction: batches of an earlier one are dropped.
    pub nth: u64,
}

/// Records on their way to one partition.
#[derive(Debug)]
struct Batch {
    place: Place,
    records: Vec<NewRecord>,
    sent: Time,
    nth: u64,
}

impl SenderClient {
    pub fn new(process: usize, transactional: Option<String>, within: Time) -> Self {
        SenderClient {
            process,
            transactional,
            epoch: -1,
            within,
            fatal: None,
            has_failed: false,
            is_closed: false,
            waiting: VecDeque::new(),
            is_flushing: false,
            room: ROOM,
            on_its_way: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            deliveries: Deliveries::default(),
            in_flight: 0,
            nth: 0,
        }
    }

    fn fail(&mut self, count: usize, code: Code, place: &Place) {
        self.deliveries.failed += count as u64;
        self.has_failed = true;
        let failure = (code, place.topic.to_string(), place.partition);
        self.deliveries.first_failure.get_or_insert(failure);
    }

    /// Returns whether there is nothing to report.
    pub fn is_quiet(&self) -> bool {
        self.deliveries.acknowledged + self.deliveries.failed == 0
    }

    /// Gives up what waits.
    pub fn purge(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.deliveries.failed += waiting.len() as u64 + self.in_flight as u64;
        self.in_flight = 0;
        self.nth += 1;
    }
}

impl World {
    /// Has a client send what waits in it, soon.
    pub fn flush_soon(&mut self, sender: usize, delay: Time) {
        if !self.senders[sender].is_flushing {
            self.senders[sender].is_flushing = true;
            self.after(delay, Event::Flush(sender));
        }
    }

    pub fn flush(&mut self, nth: usize) {
        let process = self.senders[nth].process;
        match self.asleep(process) {
            None => return,
            Some(until) if until > self.now => {
                return self.after(until - self.now, Event::Flush(nth));
            }
            Some(_) => {}
        }
        let now = self.now;
        let sender = &mut self.senders[nth];
        sender.is_flushing = false;
        if sender.is_closed || sender.fatal.is_some() {
            let waiting = std::mem::take(&mut sender.waiting);
            if let (Some((place, ..)), Some(code)) = (waiting.front(), sender.fatal) {
                let place = place.clone();
                sender.fail(waiting.len(), code, &place);
            }
            return;
        }
        let mut batches: Vec<Batch> = Vec::new();
        while let Some((place, record, at)) = sender.waiting.pop_front() {
            if sender.transactional.is_none() && now > at + sender.within {
                sender.fail(1, Code::MessageTimedOut, &place);
                continue;
            }
            match batches.iter_mut().find(|batch| batch.place == place) {
                Some(batch) => batch.records.push(record),
                None => batches.push(Batch {
                    nth: sender.nth,
                    place,
                    records: vec![record],
                    sent: at,
                }),
            }
        }
        for batch in batches {
            let latency = self.latency();
            let sender = &mut self.senders[nth];
            sender.in_flight += batch.records.len();
            let last = sender.arrivals.entry(batch.place.clone()).or_default();
            *last = (*last).max(now + latency);
            let delay = *last - now;
            let place = batch.place.clone();
            let queue = sender.on_its_way.entry(place.clone()).or_default();
            queue.push_back(batch);
            self.after(delay, Event::Arrive(nth, place));
        }
    }

    /// The next batch comes to its partition. A batch that has to wait keeps those behind it waiting.
    pub fn arrive(&mut self, nth: usize, place: Place) {
        let now = self.now;
        let sender = &mut self.senders[nth];
        let queue = sender.on_its_way.entry(place.clone()).or_default();
        let Some(batch) = queue.pop_front() else {
            return;
        };
        if batch.nth != sender.nth && sender.transactional.is_some() {
            return; // of a transaction that was given up
        }
        let wait = |world: &mut World, batch: Batch, delay: Time| {
            let sender = &mut world.senders[nth];
            let queue = sender.on_its_way.entry(place.clone()).or_default();
            queue.push_front(batch);
            world.after(delay, Event::Arrive(nth, place.clone()));
        };
        if now < self.down_until {
            // The client sends it again, for as long as it may.
            let back = self.down_until + 10 * MS;
            let is_late = sender.transactional.is_none() && back > batch.sent + sender.within;
            if is_late || sender.is_closed {
                sender.in_flight = sender.in_flight.saturating_sub(batch.records.len());
                return sender.fail(batch.records.len(), Code::MessageTimedOut, &place);
            }
            return wait(self, batch, back - now);
        }
        let (id, epoch) = (sender.transactional.clone(), sender.epoch);
        let state = match id {
            None => State::Committed,
            Some(id) => match self.join_transaction(&id, epoch, Some(&batch.place)) {
                Ok(open) => State::Open(open),
                Err(Code::ConcurrentTransactions) => return wait(self, batch, 5 * MS),
                Err(code) => {
                    self.note(&format!("{id}: records refused: {code:?}"));
                    let sender = &mut self.senders[nth];
                    sender.fatal = Some(Code::Fenced);
                    sender.in_flight = sender.in_flight.saturating_sub(batch.records.len());
                    return sender.fail(batch.records.len(), Code::Fenced, &batch.place);
                }
            },
        };
        let Batch {
            place,
            records,
            nth: transaction,
            ..
        } = batch;
        let sender = nth;
        let count = records.len() as u64;
        let Some(log) = self.log(&place) else {
            return self.senders[sender].fail(count as usize, Code::UnknownTopic, &place);
        };
        let mut last = -1;
        for record in records {
            last = log.append(place.partition, state, record);
        }
        let mut delay = self.latency();
        if self.loses_answer() {
            delay += self.dice.between(100 * MS, 400 * MS); // it is sent again, and known
        }
        self.after(
            delay,
            Event::Acknowledge {
                sender,
                transaction,
                count,
                place,
                last,
            },
        );
    }

    pub fn acknowledge(
        &mut self,
        (sender, nth): (usize, u64),
        count: u64,
        place: Place,
        last: i64,
    ) {
        let sender = &mut self.senders[sender];
        if sender.nth != nth {
            return; // it was given up meanwhile
        }
        sender.in_flight -= count as usize;
        sender.deliveries.acknowledged += count;
        let reached = (place.topic.to_string(), place.partition, last);
        sender.deliveries.reached.push(reached);
    }
}

impl SenderClient {
    /// Takes what waits, as if it had been read.
    pub fn take_waiting(&mut self) -> Vec<(Place, OwnRecord)> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let waiting = waiting.map(|(place, record, _)| {
            let record = OwnRecord {
                partition: place.partition,
                offset: 0,
                timestamp: record.timestamp,
                bytes: record.bytes,
                key: record.key,
                value: record.value,
            };
            (place, record)
        });
        waiting.collect()
    }

    /// Has a record that was taken wait again.
    pub fn keep(&mut self, place: Place, record: OwnRecord) {
        let record = NewRecord {
            timestamp: record.timestamp,
            bytes: record.bytes,
            key: record.key,
            value: record.value,
        };
        self.waiting.push_back((place, record, 0));
    }
}

/// A producer's client, as its process uses it.
pub(super) struct Sender {
    view: View,
    nth: usize,
    timeout: Time,
}

impl Sender {
    pub fn new(view: View, nth: usize, timeout: Time) -> Self {
        Sender { view, nth, timeout }
    }

    fn with<T>(&self, act: impl FnOnce(&mut SenderClient) -> T) -> T {
        act(&mut self.view.lock().senders[self.nth])
    }

    /// Sends a request for a transaction; the answer may be lost.
    fn request(
        &self,
        request: impl FnOnce(&mut World, &str, i32) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let (id, epoch) = self.with(|sender| (sender.transactional.clone(), sender.epoch));
        let id = id.unwrap_or_default();
        let answer = self.view.ask(|world| {
            let answer = request(world, &id, epoch);
            let is_lost = answer.is_ok() && world.loses_answer();
            (answer, is_lost)
        });
        let answer = match answer {
            None | Some((_, true)) => Err(again(Code::OperationTimedOut)),
            Some((answer, _)) => answer,
        };
        if let Err(error) = &answer
            && error.is_fatal
        {
            let code = error.code;
            self.with(|sender| sender.fatal = Some(code));
        }
        if answer.is_err() {
            self.view.pause(20 * MS);
        }
        answer
    }
}

impl Sends for Sender {
    fn send(&mut self, topic: &str, block: &Arc<Block>, record: &Record<'_>) -> Result<(), Code> {
        if self.view.is_dead() {
            return Ok(());
        }
        let mut world = self.view.lock();
        let now = world.now;
        let sender = &mut world.senders[self.nth];
        if let Some(code) = sender.fatal {
            return Err(code);
        }
        if sender.waiting.len() + sender.in_flight >= sender.room {
            return Err(Code::QueueFull);
        }
        let value = record.value.clone().map(|range| &block.bytes()[range]);
        let new = NewRecord::new(record.timestamp, record.key, value);
        let place = Place {
            topic: topic.into(),
            partition: record.partition,
        };
        sender.waiting.push_back((place, new, now));
        let linger = world.dice.between(0, 10 * MS);
        world.flush_soon(self.nth, linger);
        // Between two records, too, a process may be made to wait.
        let stalls = world.dice.happens(20);
        drop(world);
        if stalls {
            self.view.travel();
        }
        Ok(())
    }

    fn hurry(&mut self) {
        if !self.view.is_dead() {
            let nth = self.nth;
            self.view.lock().flush(nth);
        }
    }

    fn serve(&mut self, timeout: Duration) -> Deliveries {
        let timeout = micros(timeout);
        if timeout > 0 && self.with(|sender| sender.is_quiet()) {
            let left = self.with(|sender| sender.waiting.len() + sender.in_flight);
            self.view.pause(if left > 0 {
                timeout.min(2 * MS)
            } else {
                timeout
            });
        }
        self.with(|sender| std::mem::take(&mut sender.deliveries))
    }

    fn step(&mut self, step: Step<'_>) -> Result<(), StepError> {
        if self.view.is_dead() {
            return Ok(());
        }
        if let Some(code) = self.with(|sender| sender.fatal) {
            return Err(StepError::of(code, true));
        }
        let timeout = self.timeout;
        match step {
            Step::Init => {
                let mut epoch = -1;
                self.request(|world, id, _| {
                    epoch = world.init_producer(id, timeout)?;
                    Ok(())
                })?;
                self.with(|sender| sender.epoch = epoch);
                Ok(())
            }
            Step::Begin => {
                self.with(|sender| sender.has_failed = false);
                Ok(())
            }
            Step::Offsets(offsets, member) => {
                let Some(Proof::Member(id, generation)) = member.proof() else {
                    return Err(StepError::gone());
                };
                let offsets = offsets_of(offsets);
                self.request(|world, transactional, epoch| {
                    world.add_offsets(transactional, epoch, (&id, generation), offsets)
                })
            }
            Step::Commit => {
                if self.with(|sender| sender.has_failed) {
                    return Err(StepError::of(Code::PurgeQueue, false));
                }
                self.request(|world, id, epoch| world.end_transaction(id, epoch, true))
            }
            Step::Abort => {
                self.with(SenderClient::purge);
                // librdkafka waits until all that it has given up was looked at.
                if !self.with(|sender| sender.is_quiet()) {
                    self.view.pause(20 * MS);
                    return Err(again(Code::OperationTimedOut));
                }
                self.request(|world, id, epoch| world.end_transaction(id, epoch, false))
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.with(|sender| {
            sender.is_closed = true;
            sender.waiting.clear();
        });
    }
}
