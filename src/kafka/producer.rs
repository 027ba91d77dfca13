//! Many records into topics, with an account of each.
//!
//! In: blocks of bytes, and records whose values are in them. Out: records in topics, and how many
//! of them the broker has acknowledged. A record that cannot be delivered ends the run with its
//! place; none is dropped silently.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::client::Client;
use super::direct::writer::{Refusal, Writer};
pub use super::native::produce::{Block, Record};
use super::native::produce::{Sender, TopicHandle};
use super::port::{Deliveries, Sends, Step, StepError};
use super::{Health, Outage, Settings, words_of};
use crate::clock;
use crate::error::{Error, Remedy, Result};

/// How often delivery reports are looked at while records are being handed over.
const SERVE_EVERY: u64 = 4_096;
/// How long a wait for room or for acknowledgements lasts before a signal is looked for.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// How many records may be on their way at once: more would leave the processor's cache before they
/// are acknowledged.
const AT_ONCE: usize = 40_000;
/// How long a record may be on its way: an outage is reported long before.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a transaction may take to be committed or given up, from then on.
const TRANSACTION_END_TIMEOUT: Duration = Duration::from_secs(10);

/// Which acknowledgement a record needs before it counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// None: sent is written.
    Zero,
    /// The partition's leader has it.
    One,
    /// All brokers in sync have it; retries make no duplicates and change no order.
    #[default]
    All,
}

impl fmt::Display for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Acks::Zero => "0",
            Acks::One => "1",
            Acks::All => "all",
        })
    }
}

/// How records are sent.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which acknowledgement a record needs.
    pub acks: Acks,
    /// A codec of librdkafka's: `none`, `gzip`, `snappy`, `lz4`, `zstd`; its default without one.
    pub compression: Option<String>,
    /// Who sends in transactions; `None` for records that are visible one by one.
    pub(crate) transactional: Option<String>,
    /// For how long a transaction is sent to before it is committed, at most.
    pub(crate) open_for: Duration,
    /// Whether a broker that is away is waited for as long as it takes.
    pub(crate) patient: bool,
    /// How many records may be on their way at once; [`AT_ONCE`] if it is not said.
    pub(crate) at_once: Option<usize>,
    /// How long a record may be on its way, without transactions; a minute if it is not said.
    pub within: Option<Duration>,
    /// Whether a record may be written twice where an answer is lost. Sending then begins at once, and
    /// not only when a broker has given the producer a number, which librdkafka asks for every 500 ms.
    pub(crate) may_double: bool,
    /// Whether a broker gets a request only once it has answered the one before.
    ///
    /// With [`Acks::All`] a batch that is sent again is known by its number and dropped. But when a
    /// leader changes, librdkafka begins to number again if a batch is refused because the one before
    /// it was, and what another partition had on its way then may be taken twice (its issue 4953).
    /// One request at a time is never refused for that; many small ones take longer.
    pub(crate) one_at_a_time: bool,
    /// Whether a member of a group sends, which librdkafka does: its transactions are there.
    pub(crate) in_group: bool,
}

/// One of the topics that a [`Producer`] sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicId(usize);

/// What carries records to their topics.
pub(super) enum Carrier {
    Librdkafka(Sender),
    Direct(Box<Writer>),
    Cluster(Box<dyn Sends>),
}

/// A topic as its carrier knows it; must be dropped before that.
enum Handle {
    Librdkafka(TopicHandle),
    Direct(usize),
    /// By its name.
    Cluster,
}

impl Carrier {
    fn topic(&mut self, name: &str) -> Result<Handle> {
        match self {
            Carrier::Librdkafka(sender) => Ok(Handle::Librdkafka(sender.topic(name)?)),
            Carrier::Direct(writer) => Ok(Handle::Direct(writer.topic(name))),
            Carrier::Cluster(_) => Ok(Handle::Cluster),
        }
    }

    #[inline]
    fn send(
        &mut self,
        (name, handle): &(String, Handle),
        block: &Arc<Block>,
        record: &Record<'_>,
    ) -> Result<(), RDKafkaErrorCode> {
        match (self, handle) {
            (Carrier::Librdkafka(sender), Handle::Librdkafka(topic)) => {
                sender.send(topic, block, record)
            }
            (Carrier::Direct(writer), &Handle::Direct(topic)) => {
                let sent = writer.send(topic, block.bytes(), record);
                sent.map_err(|refusal| match refusal {
                    Refusal::Full => RDKafkaErrorCode::QueueFull,
                    Refusal::TooLarge => RDKafkaErrorCode::MessageSizeTooLarge,
                })
            }
            (Carrier::Cluster(sender), _) => sender.send(name, block, record),
            _ => Err(RDKafkaErrorCode::UnknownTopic), // a handle of another carrier
        }
    }

    fn serve(&mut self, timeout: Duration) -> Deliveries {
        match self {
            Carrier::Librdkafka(sender) => sender.serve(timeout),
            Carrier::Direct(writer) => writer.serve(timeout),
            Carrier::Cluster(sender) => sender.serve(timeout),
        }
    }

    pub(super) fn hurry(&mut self) {
        match self {
            Carrier::Librdkafka(sender) => sender.hurry(),
            Carrier::Direct(writer) => writer.hurry(),
            Carrier::Cluster(sender) => sender.hurry(),
        }
    }

    /// Sends what waits for a moment, where that is longer than one look.
    fn press(&mut self) {
        if let Carrier::Direct(writer) = self {
            writer.hurry()
        }
    }

    pub(super) fn step(&mut self, step: Step<'_>) -> Result<(), StepError> {
        match self {
            Carrier::Librdkafka(sender) => sender.step(step),
            Carrier::Direct(_) => Err(StepError {
                code: RDKafkaErrorCode::InvalidTransactionalState,
                reason: "transactions are librdkafka's".to_owned(),
                is_fatal: true,
                is_abortable: false,
                is_retriable: false,
            }),
            Carrier::Cluster(sender) => sender.step(step),
        }
    }
}

/// Sends records.
pub struct Producer {
    /// Before the client: topics must be given back first.
    topics: Vec<(String, Handle)>,
    pub(super) sender: Carrier,
    pub(super) settings: Settings,
    options: Options,
    health: Arc<Health>,
    outage: Outage,
    /// Until when records may be sent, where another process may have taken over later.
    lease: Option<Instant>,
    /// Until when room is waited for, once a signal was seen.
    stop: Option<Instant>,
    sent: u64,
    acknowledged: u64,
    failed: u64,
    /// How many were acknowledged when the last transaction began.
    pub(super) begun_at: u64,
    /// The first record that was not delivered: why, its topic and its partition.
    failure: Option<(RDKafkaErrorCode, String, i32)>,
    /// Whose offsets are kept, and those of the last records by partition.
    watched: Option<(String, BTreeMap<i32, i64>)>,
}

impl Producer {
    /// Makes a client; it connects with the first record.
    ///
    /// # Errors
    /// `usage` for properties that do not go together.
    pub fn new(settings: &Settings, options: &Options) -> Result<Self> {
        let (sender, health) = connect(settings, options)?;
        Ok(Producer {
            topics: Vec::new(),
            sender,
            settings: settings.clone(),
            options: options.clone(),
            health,
            outage: if options.patient {
                Outage::endless()
            } else {
                Outage::default()
            },
            lease: None,
            stop: None,
            sent: 0,
            acknowledged: 0,
            failed: 0,
            begun_at: 0,
            failure: None,
            watched: None,
        })
    }

    /// Keeps the offsets of a topic's records from now on, for [`Producer::last_offset`].
    pub(crate) fn watch(&mut self, topic: TopicId) {
        self.watched = Some((self.topics[topic.0].0.clone(), BTreeMap::new()));
    }

    /// Returns the offset of the last acknowledged record in a partition of the topic that is
    /// watched, or of an earlier one; `None` where it is not known.
    pub(crate) fn last_offset(&self, partition: i32) -> Option<i64> {
        let (_, offsets) = self.watched.as_ref()?;
        offsets.get(&partition).copied()
    }

    /// Lets records be sent until `end`, and none after it.
    pub(crate) fn lend_until(&mut self, end: Instant) {
        self.lease = Some(end);
    }

    /// Puts a new client in the place of an unusable one; what that one had not
    /// delivered is given up.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn renew(&mut self) -> Result<()> {
        let names: Vec<String> = self.topics.drain(..).map(|(name, _)| name).collect();
        (self.sender, self.health) = connect(&self.settings, &self.options)?;
        self.forget();
        for name in names {
            self.topic(&name)?;
        }
        Ok(())
    }

    /// Takes all records that were handed over for given up.
    pub(super) fn forget(&mut self) {
        self.failed = self.sent - self.acknowledged;
        self.failure = None;
    }

    /// Makes a topic known that records will be sent to; it must exist.
    ///
    /// # Errors
    /// `bug` when librdkafka takes no such topic.
    pub fn topic(&mut self, name: &str) -> Result<TopicId> {
        let known = self.topics.iter().position(|(known, _)| known == name);
        if let Some(at) = known {
            return Ok(TopicId(at));
        }
        let handle = self.sender.topic(name)?;
        self.topics.push((name.to_owned(), handle));
        Ok(TopicId(self.topics.len() - 1))
    }

    /// Returns how many records were handed over.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns how many records were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Hands a record over; its value stays in `block`. Waits while too much is in flight.
    ///
    /// # Errors
    /// `data` for a record that is too large, `refused` when an earlier one was not delivered,
    /// `retry` when no broker can be reached for long, `fenced` after the end of its lease, `stopped`
    /// on a signal, or some seconds after it for a [patient](Options::patient) one.
    pub fn send(&mut self, topic: TopicId, block: &Arc<Block>, record: &Record<'_>) -> Result<()> {
        loop {
            // Also after a wait for room.
            if self.lease.is_some_and(|end| clock::now() > end) {
                return Err(Error::fenced(
                    "the group may have continued without this member",
                ));
            }
            let known = &self.topics[topic.0];
            let name = &known.0;
            match self.sender.send(known, block, record) {
                Ok(()) => break,
                Err(RDKafkaErrorCode::QueueFull) => {}
                Err(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    let size = record.value.as_ref().map_or(0, |value| value.len());
                    return Err(too_large(name, Some(size)));
                }
                Err(RDKafkaErrorCode::UnknownPartition) => {
                    return Err(Error::refused(format!(
                        "topic `{name}` has no partition {}",
                        record.partition
                    )));
                }
                Err(code) => {
                    let error = Error::refused(format!(
                        "cannot write to topic `{name}`: {}",
                        words_of(code)
                    ));
                    return Err(self.cause_of(error));
                }
            }
            // Filling every gap at once would send ever smaller batches to a slow broker.
            let enough = self.in_flight() / 2;
            while self.in_flight() > enough {
                self.check_stop()?;
                self.serve(POLL_TIMEOUT)?;
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(SERVE_EVERY) {
            self.serve(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Returns `stopped` after a signal: some seconds after it where others depend on all that is sent.
    fn check_stop(&mut self) -> Result<()> {
        let mut stop = self.stop;
        let checked = if self.options.patient {
            self.check_deadline(&mut stop)
        } else {
            self.settings.interrupt.check()
        };
        self.stop = stop;
        checked
    }

    /// Takes delivery reports in, waiting at most `timeout` for one.
    ///
    /// # Errors
    /// `refused` when a record was not delivered, `retry` when no broker can be reached for long.
    pub fn serve(&mut self, timeout: Duration) -> Result<()> {
        self.take_in(timeout);
        if let Some(failure) = &self.failure {
            return Err(self.error_of(failure));
        }
        self.outage.ride_out(&self.settings, &self.health)
    }

    /// Waits until every record is acknowledged; `on_wait` gets their number now and then.
    ///
    /// # Errors
    /// As [`serve`](Self::serve), and `stopped` on a signal.
    pub fn flush(&mut self, mut on_wait: impl FnMut(u64)) -> Result<()> {
        self.sender.press();
        while self.in_flight() > 0 {
            self.settings.interrupt.check()?;
            self.serve(POLL_TIMEOUT)?;
            on_wait(self.acknowledged());
        }
        self.serve(Duration::ZERO)
    }

    /// Gives the records in flight some time to be acknowledged after a run has ended early,
    /// whatever has ended it. Returns how many of all were.
    pub(crate) fn settle(&mut self, within: Duration) -> u64 {
        self.sender.press();
        let deadline = clock::now() + within;
        while self.in_flight() > 0 && clock::now() < deadline {
            self.take_in(POLL_TIMEOUT);
        }
        self.acknowledged()
    }

    /// Looks after an outage while something else than a delivery is waited for.
    pub(super) fn watch_outage(&mut self) -> Result<()> {
        self.take_in(Duration::ZERO);
        self.outage.ride_out(&self.settings, &self.health)
    }

    /// Returns why a record was not delivered, if one was not: nothing that follows in its transaction
    /// can be done. Else the error itself, and that of a signal always.
    pub(super) fn cause_of(&mut self, error: Error) -> Error {
        if matches!(error.remedy(), Remedy::Stopped(_)) {
            return error;
        }
        // The report of it may be some moments behind.
        let deadline = clock::now() + POLL_TIMEOUT;
        while self.failure.is_none() && clock::now() < deadline {
            self.take_in(Duration::from_millis(1));
        }
        match &self.failure {
            Some(failure) => self.error_of(failure),
            None => error,
        }
    }

    fn take_in(&mut self, timeout: Duration) {
        let deliveries = self.sender.serve(timeout);
        self.acknowledged += deliveries.acknowledged;
        self.failed += deliveries.failed;
        self.failure = self.failure.take().or(deliveries.first_failure);
        if let Some((watched, offsets)) = &mut self.watched {
            let reached = deliveries.reached.into_iter();
            let reached = reached.filter(|(topic, ..)| topic == watched);
            offsets.extend(reached.map(|(_, partition, offset)| (partition, offset)));
        }
    }

    /// Returns how many records are not acknowledged yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged - self.failed
    }

    fn error_of(&self, failure: &(RDKafkaErrorCode, String, i32)) -> Error {
        let (code, topic, partition) = failure;
        let place = format!("writing to topic `{topic}`, partition {partition}");
        match code {
            RDKafkaErrorCode::MessageSizeTooLarge => too_large(topic, None).during(place),
            RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::PurgeQueue
            | RDKafkaErrorCode::PurgeInflight => {
                Error::fenced("a transaction was ended by another process").during(place)
            }
            RDKafkaErrorCode::InvalidTimestamp => {
                Error::refused(format!(
                    "topic `{topic}` does not accept a record whose time is so far from now"
                ))
                .during(place)
                    .hint(format!(
                        "`k topic alter {topic} --config message.timestamp.after.max.ms=9223372036854775807` allows it"
                    ))
            }
            // `BrokerDestroy`: what was in a partition's queue when librdkafka released a topic that
            // is not in the cluster's metadata any more (`rd_kafka_toppar_destroy_final`).
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::BrokerDestroy => Error::refused(format!(
                "topic `{topic}` is gone, or its partition {partition} is"
            ))
            .during(place)
            .hint("`k topic list` shows the topics"),
            // By a property that the user has set: `k`'s own time is longer than an outage may be.
            RDKafkaErrorCode::MessageTimedOut if self.health.reason().is_none() => {
                Error::retry(format!(
                    "no acknowledgement from topic `{topic}` within `message.timeout.ms`"
                ))
                .during(place)
            }
            RDKafkaErrorCode::MessageTimedOut => {
                self.settings.unreachable(&self.health).during(place)
            }
            code => Error::refused(format!(
                "cannot write to topic `{topic}`: {}",
                words_of(*code)
            ))
            .during(place),
        }
    }
}

/// Makes a client for records.
fn connect(settings: &Settings, options: &Options) -> Result<(Carrier, Arc<Health>)> {
    let (context, health) = settings.context();
    if let Some(cluster) = &settings.cluster {
        return Ok((Carrier::Cluster(cluster.sender(options)), health));
    }
    let is_own = options.transactional.is_none() && !options.in_group;
    if is_own && settings.writer() == Client::Direct {
        let within = options.within.unwrap_or(DELIVERY_TIMEOUT);
        let writer = Writer::start(settings, options, within, health.clone())?;
        return Ok((Carrier::Direct(Box::new(writer)), health));
    }
    let acks = options.acks.to_string();
    let idempotent = (options.acks == Acks::All && !options.may_double).to_string();
    let within = options
        .within
        .unwrap_or(DELIVERY_TIMEOUT)
        .as_millis()
        .to_string();
    let at_once = options.at_once.unwrap_or(AT_ONCE).to_string();
    let open_for = (options.open_for + TRANSACTION_END_TIMEOUT)
        .as_millis()
        .to_string();
    let mut own = vec![
        ("acks", acks.as_str()),
        ("enable.idempotence", idempotent.as_str()),
        // Topics are there before records are sent: one that is gone was deleted.
        ("topic.metadata.propagation.max.ms", "10000"),
        ("queue.buffering.max.messages", at_once.as_str()),
        ("queue.buffering.max.kbytes", "262144"),
    ];
    if let Some(codec) = &options.compression {
        own.push(("compression.codec", codec));
    }
    if options.one_at_a_time {
        own.push(("max.in.flight.requests.per.connection", "1"));
    }
    match &options.transactional {
        Some(id) => own.extend([
            ("transactional.id", id.as_str()),
            // What a process that was killed leaves open holds readers back for no longer.
            ("transaction.timeout.ms", open_for.as_str()),
            ("message.timeout.ms", "10000"),
        ]),
        None => own.push(("message.timeout.ms", within.as_str())),
    }
    let sender = Sender::new(&settings.config(&own)?, context)?;
    Ok((Carrier::Librdkafka(sender), health))
}

fn too_large(topic: &str, size: Option<usize>) -> Error {
    let size = size.map_or_else(String::new, |size| format!(" of {size} bytes"));
    Error::data(format!("a record{size} is too large for topic `{topic}`")).hint(
        "raise both `-X message.max.bytes=N` and the limit of the topic: `k topic alter --config max.message.bytes=N`",
    )
}
