//! Reads and writes partitions without librdkafka. Of what is read, whole batches stay in the memory that
//! they came in, and of a record only the positions of its parts are stored; what is written is put into
//! a batch at once.
//!
//! In: a topic, its partitions and where each begins; out: [`Entries`]. Or in: records; out: what became of
//! them ([`writer`]).
//!
//! - [`cluster`]: brokers, connections, who leads; a caller steps it
//! - [`reading`]: what is fetched from which broker, and when; a caller steps it
//! - [`chunk`]: answers → records that were checked and unpacked
//! - [`writing`]: what is sent to which broker, and when; a caller steps it
//! - [`backlog`]: a partition's batches that are not acknowledged, and when they are sent again
//! - [`login`]: what is said to a broker that asks for a login
//! - [`asking`]: requests whose answers are waited for
//! - [`sockets`]: all waiting for the network
//! - [`reader`], [`writer`]: the threads that step the machines by their sockets

pub(super) mod asking;
mod backlog;
pub mod chunk;
pub mod cluster;
mod login;
mod reader;
pub mod reading;
mod sockets;
#[cfg(test)]
mod tests;
pub(super) mod writer;
pub(super) mod writing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::chunk::{Broken, Chunk, Progress};
use self::cluster::Loss;
use self::reader::Shared;
use self::reading::{Failure, Options, Reading};
use self::sockets::Wiring;
use super::batch::{Damage, Entry};
use super::unreadable::{gone, purged};
use super::wire::connection::Family;
use super::wire::tls;
use super::{Health, Settings, refusal_of};
use crate::error::{Error, Result};

/// What the user can do where records have to be read as librdkafka reads them.
const OTHERWISE: &str = "`-X client=librdkafka` reads by librdkafka";

/// A reader of some partitions of a topic. Its thread ends when it is dropped.
pub struct Direct {
    topic: Arc<str>,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    partitions: Vec<Partition>,
    /// How much had come when it was last waited for more.
    seen: u64,
}

struct Partition {
    number: i32,
    /// The next offset to be handed out.
    position: i64,
    /// What is being read.
    progress: Option<Progress>,
    /// Whether anything was.
    has_begun: bool,
}

/// Records of one partition, in the memory that they came in.
#[derive(Debug)]
pub struct Entries {
    topic: Arc<str>,
    partition: i32,
    chunk: Arc<Chunk>,
    entries: Vec<Entry>,
}

impl Entries {
    /// Returns the topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Returns where each record's parts lie.
    #[inline]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the bytes in which they lie.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.chunk.bytes()
    }
}

impl Direct {
    /// Begins to read partitions from offsets on.
    ///
    /// # Errors
    /// `refused` where the system gives no thread.
    pub(super) fn start(
        settings: &Settings,
        topic: &str,
        starts: &[(i32, i64)],
        health: Arc<Health>,
    ) -> Result<Self> {
        let options = options(settings);
        let wiring = wiring(settings, options.limit, health)?;
        let brokers = brokers(settings);
        let machine = Reading::new(options, topic, &brokers, starts, Instant::now());
        let (shared, ear) = Shared::new(starts.len())?;
        let thread = reader::start(machine, wiring, shared.clone(), ear)?;
        let partition = |&(number, position): &(i32, i64)| Partition {
            number,
            position,
            progress: None,
            has_begun: false,
        };
        Ok(Direct {
            topic: topic.into(),
            shared,
            thread: Some(thread),
            partitions: starts.iter().map(partition).collect(),
            seen: 0,
        })
    }

    /// Reads what there is of the `nth` partition, at most `most` records, waiting no longer than
    /// `timeout` for any partition to have some. `None` where it has none.
    ///
    /// # Errors
    /// `refused` when it cannot be read on.
    pub fn read(&mut self, nth: usize, timeout: Duration, most: usize) -> Result<Option<Entries>> {
        let deadline = Instant::now() + timeout;
        loop {
            if !self.find_chunk(nth, deadline)? {
                return Ok(None);
            }
            let partition = &mut self.partitions[nth];
            let Some(progress) = &mut partition.progress else {
                return Ok(None);
            };
            let read = progress.read(most);
            let chunk = progress.chunk().clone();
            if progress.is_done() {
                partition.position = chunk.next_offset();
                partition.progress = None;
                self.shared.give_back(nth, chunk.size());
            } else if let Some(last) = read.as_ref().ok().and_then(|entries| entries.last()) {
                partition.position = last.offset + 1;
            }
            let number = partition.number;
            let entries = read.map_err(|broken| self.error(nth, &Failure::Broken(broken)))?;
            if !entries.is_empty() {
                return Ok(Some(Entries {
                    topic: self.topic.clone(),
                    partition: number,
                    chunk,
                    entries,
                }));
            }
        }
    }

    /// Finds what is read next of a partition; whether there is anything.
    fn find_chunk(&mut self, nth: usize, deadline: Instant) -> Result<bool> {
        if self.partitions[nth].progress.is_some() {
            return Ok(true);
        }
        let mut state = self.shared.lock();
        loop {
            let queue = &mut state.queues[nth];
            // Before a command has written anything, what it cannot read on is all there is to say.
            if !self.partitions[nth].has_begun
                && let Some(Err(failure)) = queue.chunks.back()
            {
                let failure = failure.clone();
                drop(state);
                return Err(self.error(nth, &failure));
            }
            match queue.chunks.pop_front() {
                Some(Ok(chunk)) => {
                    self.partitions[nth].has_begun = true;
                    self.partitions[nth].progress = Some(Progress::new(chunk));
                    return Ok(true);
                }
                Some(Err(failure)) => {
                    queue.chunks.push_front(Err(failure.clone())); // it stays as it is
                    drop(state);
                    return Err(self.error(nth, &failure));
                }
                None => {}
            }
            if let Some(reason) = &state.ended {
                return Err(Error::refused(format!("cannot read from Kafka: {reason}")));
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            // Another partition has some by now.
            if std::mem::replace(&mut self.seen, state.arrivals) != state.arrivals {
                return Ok(false);
            }
            state = self.shared.wait(state, deadline);
        }
    }

    /// Returns the next offset that would be handed over, for each partition.
    pub fn positions(&self) -> impl Iterator<Item = i64> {
        self.partitions.iter().map(|partition| partition.position)
    }

    /// Returns the high watermark that the last answer for the `nth` partition has had.
    pub fn high_watermark(&self, nth: usize) -> Option<i64> {
        self.shared.lock().queues[nth].high_watermark
    }

    /// Returns the numbers of the partitions that nobody leads.
    pub fn orphans(&self) -> Vec<i32> {
        self.shared.lock().orphans.clone()
    }

    /// Has the brokers asked whether the topic is still there.
    pub fn look_up(&self) {
        self.shared.look_up();
    }

    fn error(&self, nth: usize, failure: &Failure) -> Error {
        let (topic, number) = (&self.topic, self.partitions[nth].number);
        match failure {
            Failure::Lost(Loss::Gone) => gone(topic),
            Failure::Lost(Loss::Replaced) => gone(topic).during(format!(
                "reading topic `{topic}`, which another one of that name has taken the place of"
            )),
            Failure::OutOfRange => purged(topic, number)
                .hint("go on with what is there: `k group reset GROUP --to beginning`, or without a group"),
            Failure::Truncated(offset) => Error::refused(format!(
                "topic `{topic}`, partition {number} has lost records that were read, from offset \
                 {offset} on"
            ))
            .hint("a broker without them became the leader: `unclean.leader.election.enable` is on"),
            Failure::Lost(Loss::Refused(code)) | Failure::Refused(code) => refusal_of(*code)
                .into_error(format!("read topic `{topic}`"))
                .during(format!("reading topic `{topic}`, partition {number}")),
            Failure::Broken(broken) => broken_batch(topic, number, broken),
        }
    }
}

fn broken_batch(topic: &str, partition: i32, Broken { offset, damage }: &Broken) -> Error {
    let place = format!("topic `{topic}`, partition {partition}, offset {offset}");
    match damage {
        Damage::TooLarge(limit) => Error::refused(format!(
            "{place}: a batch of records is too large to be unpacked: it has more than {limit} bytes"
        ))
        .hint("`-X receive.message.max.bytes=2147483647` lets it have 2 GB, which is the most"),
        Damage::OldFormat => Error::refused(format!("{place}: {damage}")).hint(OTHERWISE),
        damage => Error::refused(format!("{place}: a batch of records is damaged: {damage}"))
            .hint(OTHERWISE),
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was printed
        }
    }
}

/// Returns the options that librdkafka's properties of the same meaning set.
fn options(settings: &Settings) -> Options {
    /// What an answer may have, before all that was asked for, at least.
    const HEAD: usize = 512;
    let limit = settings.number("receive.message.max.bytes", 100_000_000) as usize;
    let room = settings.number("queued.max.messages.kbytes", 64 << 10) as usize * 1024;
    let fetch = settings.number("fetch.max.bytes", 16 << 20) as usize;
    let partition = settings.number("max.partition.fetch.bytes", 1 << 20) as usize;
    let partition = settings.number("fetch.message.max.bytes", partition as u64) as usize;
    let fetch_bytes = fetch.min(limit.saturating_sub(HEAD)).max(1);
    Options {
        cluster: cluster_options(settings),
        committed: !settings.uncommitted,
        max_wait: Duration::from_millis(settings.number("fetch.wait.max.ms", 500)),
        min_bytes: settings.number("fetch.min.bytes", 1) as i32,
        fetch_bytes,
        partition_bytes: partition.clamp(1, fetch_bytes),
        room,
        limit,
    }
}

fn cluster_options(settings: &Settings) -> cluster::Options {
    let ms = |name, default| Duration::from_millis(settings.number(name, default));
    let security = settings.client.security.as_ref();
    cluster::Options {
        client: settings.property("client.id").unwrap_or("k").to_owned(),
        patience: ms("socket.timeout.ms", 20_000),
        metadata_age: ms("metadata.max.age.ms", 300_000),
        login: security.and_then(|security| security.login.clone()),
    }
}

/// Returns the addresses that the user has named.
fn brokers(settings: &Settings) -> Vec<String> {
    let brokers = settings.brokers.split(',');
    brokers.map(|broker| broker.trim().to_owned()).collect()
}

fn wiring(settings: &Settings, limit: usize, health: Arc<Health>) -> Result<Wiring> {
    let timeout = settings.number("socket.connection.setup.timeout.ms", 5_000);
    let security = settings.client.security.as_ref();
    let tls = security.and_then(|security| security.tls.as_ref());
    Ok(Wiring {
        family: family(settings),
        timeout: Duration::from_millis(timeout),
        limit,
        tls: tls.map(tls::Config::new).transpose()?,
        health,
        report: settings.report.clone(),
    })
}

fn family(settings: &Settings) -> Family {
    let set = settings.property("broker.address.family");
    match set.unwrap_or_else(|| settings.address_family()) {
        "v4" => Family::V4,
        "v6" => Family::V6,
        _ => Family::Any,
    }
}
