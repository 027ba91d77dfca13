//! Records of partitions that the caller chooses, read directly or by librdkafka.
//!
//! In: a topic, its partitions and where each begins. Out: [`Fetched`] batches. What both
//! ways share is here: outages, topics that go, open transactions, and a group's offsets, which
//! librdkafka keeps.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Client;
use super::direct::Direct;
use super::fetched::Fetched;
use super::native::high_watermark;
use super::open_transactions;
use super::port::Reads;
use super::queue::Queue;
use super::unreadable::{gone, not_read};
use super::{
    Context, Failure, Health, Outage, REQUEST_TIMEOUT, Settings, aside, is_settling, not_created,
    words_of,
};
use crate::clock;
use crate::error::{Error, Result};
use crate::record::Committed;

/// How often a topic that brings nothing is looked up: librdkafka does not report its deletion to a
/// client that reads in batches.
pub(super) const LOOK_UP: Duration = Duration::from_secs(3);
/// How long a commit may take once the user has stopped the run or no broker can be reached.
const HURRIED_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a partition is without a leader before that is reported: mostly another one is elected at once.
const ORPHANED: Duration = Duration::from_secs(2);

/// Reads the partitions of one topic. Not a member of its group: every partition is assigned here.
pub struct Fetcher {
    settings: Settings,
    topic: String,
    /// The group whose offsets are asked for.
    group: Option<String>,
    partitions: Vec<i32>,
    /// Where each was begun.
    starts: Vec<i64>,
    way: Way,
    /// For a group's offsets, and for reading by librdkafka.
    consumer: Option<Arc<BaseConsumer<Context>>>,
    health: Arc<Health>,
    outage: Outage,
    looked_up: Instant,
    /// Whether the topic is gone, once the broker has answered.
    lookup: Option<mpsc::Receiver<bool>>,
    open: open_transactions::Watch,
    /// Partitions without a leader: since when, and which ones were reported.
    orphans: (Option<Instant>, Vec<i32>),
    /// Whether the failure of the last commit was reported.
    told_uncommitted: bool,
}

/// How records are read.
enum Way {
    /// From librdkafka's queues, one for each partition, which are given back before the client is.
    Queues(Vec<Queue>),
    Direct(Direct),
    Cluster(Box<dyn Reads>),
}

impl Fetcher {
    /// Makes a client that reads `topic` for `group`, or for none.
    ///
    /// # Errors
    /// `usage` for properties that do not go together.
    pub fn new(settings: &Settings, topic: &str, group: Option<&str>) -> Result<Self> {
        let (context, health) = settings.context();
        let needs_consumer = settings.cluster.is_none()
            && (group.is_some() || settings.client() == Client::Librdkafka);
        let consumer = if needs_consumer {
            Some(Arc::new(consumer(settings, group, context)?))
        } else {
            None
        };
        Ok(Fetcher {
            consumer,
            settings: settings.clone(),
            topic: topic.to_owned(),
            group: group.map(str::to_owned),
            partitions: Vec::new(),
            starts: Vec::new(),
            way: Way::Queues(Vec::new()),
            health,
            outage: Outage::default(),
            looked_up: clock::now(),
            lookup: None,
            open: open_transactions::Watch::new(settings),
            orphans: (None, Vec::new()),
            told_uncommitted: false,
        })
    }

    /// Returns librdkafka's client.
    fn consumer(&self) -> Result<&Arc<BaseConsumer<Context>>> {
        let missing = || Error::bug("a group's offsets are asked for, and no group was named");
        self.consumer.as_ref().ok_or_else(missing)
    }

    /// Returns where the group has come to in each partition; `None` where it never committed.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the group may not be read.
    pub fn committed(&self, partitions: &[i32]) -> Result<Vec<Option<Committed>>> {
        let mut wanted = TopicPartitionList::with_capacity(partitions.len());
        for &partition in partitions {
            wanted.add_partition(&self.topic, partition);
        }
        let began = clock::now();
        let committed = loop {
            match self.ask_committed(&wanted)? {
                Ok(committed) => break committed,
                Err(error)
                    if error.rdkafka_error_code().is_some_and(is_settling)
                        && clock::since(began) < REQUEST_TIMEOUT =>
                {
                    let soon = clock::now() + Duration::from_millis(100);
                    self.settings.interrupt.sleep_until(soon);
                }
                Err(error) => return Err(self.error_of(&error, "read the group's offsets")),
            }
        };
        let found = |&partition: &i32| {
            let element = committed.find_partition(&self.topic, partition)?;
            match element.offset() {
                Offset::Offset(offset) => Some(Committed {
                    offset,
                    metadata: element.metadata().to_owned(),
                }),
                _ => None,
            }
        };
        Ok(partitions.iter().map(found).collect())
    }

    /// Asks the group's coordinator once.
    fn ask_committed(
        &self,
        wanted: &TopicPartitionList,
    ) -> Result<Result<TopicPartitionList, KafkaError>> {
        if let Some(cluster) = &self.settings.cluster {
            let group = self.group.as_deref().unwrap_or_default();
            return Ok(cluster.committed(group, wanted));
        }
        let (consumer, wanted) = (self.consumer()?.clone(), wanted.clone());
        let ask = move || consumer.committed_offsets(wanted, REQUEST_TIMEOUT);
        aside(ask, || self.settings.interrupt.check())
    }

    /// Commits the next offset to read, and a note, for some partitions. After a signal, too,
    /// but then it waits no longer than half a second, and a failure is only warned of.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when members of the group are at work, `stopped`
    /// instead of either after a signal.
    pub fn commit(&mut self, positions: &[(i32, Committed)]) -> Result<()> {
        let Err(error) = self.try_commit(positions) else {
            return Ok(());
        };
        let stopped = self.settings.interrupt.check();
        if stopped.is_err() && !self.told_uncommitted {
            self.told_uncommitted = true;
            self.settings.report.warning(format!(
                "{error}; the group will read its last records again"
            ));
        }
        stopped.and(Err(error))
    }

    fn try_commit(&self, positions: &[(i32, Committed)]) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, committed) in positions {
            let mut element = list.add_partition(&self.topic, *partition);
            element.set_metadata(committed.metadata.as_str());
            let set = element.set_offset(Offset::Offset(committed.offset));
            set.map_err(|error| self.error_of(&error, "commit"))?;
        }
        let consumer = self.consumer()?.clone();
        let (began, mut hurried) = (clock::now(), None);
        let committed = aside(
            move || consumer.commit(&list, CommitMode::Sync),
            || {
                self.serve()?;
                let is_patient = if self.settings.interrupt.is_set() || self.health.all_down() {
                    clock::since(*hurried.get_or_insert_with(clock::now)) < HURRIED_TIMEOUT
                } else {
                    clock::since(began) < REQUEST_TIMEOUT
                };
                let unreachable = || self.settings.unreachable(&self.health);
                is_patient.then_some(()).ok_or_else(unreachable)
            },
        )?;
        committed.map_err(|error| self.error_of(&error, "commit the group's offsets"))
    }

    /// Begins to fetch partitions at offsets.
    ///
    /// # Errors
    /// `refused` when the client does not take them.
    pub fn assign(&mut self, starts: &[(i32, i64)]) -> Result<()> {
        (self.partitions, self.starts) = starts.iter().copied().unzip();
        self.way = match (&self.settings.cluster, self.settings.client()) {
            (Some(cluster), _) => Way::Cluster(cluster.reader(&self.topic, starts)),
            (None, Client::Direct) => {
                let (settings, health) = (&self.settings, self.health.clone());
                Way::Direct(Direct::start(settings, &self.topic, starts, health)?)
            }
            (None, Client::Librdkafka) => Way::Queues(self.assign_queues(starts)?),
        };
        let offsets: Vec<String> = self.starts.iter().map(i64::to_string).collect();
        self.settings.report.detail(format!(
            "reading topic `{}` from offset {} by {}",
            self.topic,
            offsets.join(", "),
            self.settings.client
        ));
        Ok(())
    }

    fn assign_queues(&self, starts: &[(i32, i64)]) -> Result<Vec<Queue>> {
        let consumer = self.consumer()?;
        let mut list = TopicPartitionList::with_capacity(starts.len());
        let mut queues = Vec::with_capacity(starts.len());
        for &(partition, offset) in starts {
            // Before the assignment: a queue that is forwarded later may have spilt records.
            queues.push(Queue::of_partition(consumer, &self.topic, partition)?);
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .map_err(|error| self.error_of(&error, "assign"))?;
        }
        let assigned = consumer.assign(&list);
        assigned.map_err(|error| self.error_of(&error, "assign partitions"))?;
        Ok(queues)
    }

    /// Looks after the client: its errors and its log.
    ///
    /// # Errors
    /// `refused` once the client is unusable.
    pub fn serve(&self) -> Result<()> {
        let consumer = self.consumer.as_ref();
        match consumer.and_then(|consumer| consumer.poll(Duration::ZERO)) {
            Some(Err(error)) if !is_passing(&error) => Err(self.error_of(&error, "read")),
            _ => Ok(()),
        }
    }

    /// Waits for a broker that has gone, for a while, looks the topic up now and then, and says which
    /// open transaction is waited for: to be called when there is nothing to read. `is_read` says which
    /// of the partitions are still read, by their place among those that were assigned.
    ///
    /// # Errors
    /// `retry` when no broker comes back, `refused` once the client is unusable or the topic
    /// is gone.
    pub fn watch_silence(&mut self, is_read: impl Fn(usize) -> bool) -> Result<()> {
        self.outage.ride_out(&self.settings, &self.health)?;
        let behind = self.open.is_due().then(|| self.behind(is_read));
        for open in self.open.look(behind) {
            self.settings.report.status(open.waited_for());
        }
        self.watch_leaders();
        match self.lookup.as_ref().map(mpsc::Receiver::try_recv) {
            Some(Err(mpsc::TryRecvError::Empty)) => return Ok(()),
            Some(Ok(true)) => return Err(gone(&self.topic)),
            _ => self.lookup = None,
        }
        if clock::since(self.looked_up) >= LOOK_UP {
            self.looked_up = clock::now();
            match (&self.way, &self.consumer) {
                (Way::Direct(direct), _) => direct.look_up(),
                (Way::Queues(_), Some(consumer)) => {
                    self.lookup = Some(look_up(consumer.clone(), self.topic.clone()));
                }
                (Way::Queues(_), None) | (Way::Cluster(_), _) => {}
            }
        }
        Ok(())
    }

    /// Says which partitions have had no leader for a while, once.
    fn watch_leaders(&mut self) {
        let Way::Direct(direct) = &self.way else {
            return;
        };
        let orphans = direct.orphans();
        let (since, told) = &mut self.orphans;
        if orphans.is_empty() {
            (*since, *told) = (None, orphans);
        } else if since.get_or_insert_with(Instant::now).elapsed() >= ORPHANED && *told != orphans {
            let numbers: Vec<String> = orphans.iter().map(i32::to_string).collect();
            self.settings.report.status(format!(
                "waiting for a leader of topic `{}`, partition {}",
                self.topic,
                numbers.join(", ")
            ));
            *told = orphans;
        }
    }

    /// Returns the partitions that are not read to their end.
    fn behind(&self, is_read: impl Fn(usize) -> bool) -> Vec<(String, i32)> {
        let positions = self.positions();
        let numbers = self.partitions.iter().enumerate();
        let behind = numbers.filter(|&(nth, _)| {
            let position = positions[nth].unwrap_or(self.starts[nth]);
            let end = self.high_watermark(nth);
            is_read(nth) && end.is_some_and(|end| position < end)
        });
        behind
            .map(|(_, &number)| (self.topic.clone(), number))
            .collect()
    }

    /// Returns the open transaction that was waited for long enough.
    pub fn hopeless(&self) -> Option<&open_transactions::Open> {
        self.open.hopeless()
    }

    /// Reads what there is of the `nth` partition that was assigned, at most `most` records,
    /// waiting no longer than `timeout` for the first; directly, for the first of any partition.
    ///
    /// # Errors
    /// `refused` when the partition is gone or its offset is no longer there.
    pub fn read(&mut self, nth: usize, timeout: Duration, most: usize) -> Result<Fetched> {
        let queues = match &mut self.way {
            Way::Queues(queues) => queues,
            Way::Direct(direct) => {
                let read = direct.read(nth, timeout, most)?;
                return Ok(read.map_or_else(Fetched::default, Fetched::from));
            }
            Way::Cluster(reader) => {
                let read = reader.read(nth, timeout, most);
                return read.map_err(|code| not_read(&self.topic, self.partitions[nth], code));
            }
        };
        let fetched = queues[nth].read(timeout, most);
        match fetched.error() {
            Some(code) => Err(not_read(&self.topic, self.partitions[nth], code)),
            None => Ok(fetched.into()),
        }
    }

    /// Returns the next offset that would be handed over, for each partition; `None` before the
    /// first record. Transaction markers count as read.
    pub fn positions(&self) -> Vec<Option<i64>> {
        match &self.way {
            Way::Queues(_) => {}
            Way::Direct(direct) => return direct.positions().map(Some).collect(),
            Way::Cluster(reader) => return reader.positions(),
        }
        let positions = self.consumer.as_ref().and_then(|it| it.position().ok());
        let positions = positions.unwrap_or_default();
        let position = |&partition: &i32| {
            let element = positions.find_partition(&self.topic, partition)?;
            match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            }
        };
        self.partitions.iter().map(position).collect()
    }

    /// Returns the high watermark that the last fetch of the `nth` partition has seen.
    pub fn high_watermark(&self, nth: usize) -> Option<i64> {
        match (&self.way, &self.consumer) {
            (Way::Direct(direct), _) => direct.high_watermark(nth),
            (Way::Queues(_), Some(consumer)) => {
                high_watermark(consumer, &self.topic, self.partitions[nth])
            }
            (Way::Queues(_), None) => None,
            (Way::Cluster(reader), _) => reader.high_watermark(nth),
        }
    }

    fn error_of(&self, error: &KafkaError, what: &str) -> Error {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure,
            ) => self.settings.unreachable(&self.health),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => gone(&self.topic),
            Some(code) => Failure::Refused(code, words_of(code)).into_error(what),
            None => Error::refused(format!("cannot {what}: {error}")),
        }
        .during(format!("reading topic `{}`", self.topic))
    }
}

/// Returns whether an error passes by itself.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_none_or(|code| {
        matches!(
            code,
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    })
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.way = Way::Queues(Vec::new());
        if let Some(consumer) = &mut self.consumer {
            close(consumer);
        }
    }
}

/// Makes librdkafka's client for a group, or for none.
fn consumer(
    settings: &Settings,
    group: Option<&str>,
    context: Context,
) -> Result<BaseConsumer<Context>> {
    let isolation = if settings.uncommitted {
        "read_uncommitted"
    } else {
        "read_committed"
    };
    let group = group.map_or_else(|| format!("k-{}", std::process::id()), str::to_owned);
    let config = settings.config(&[
        ("group.id", &group), // needed to assign, though nothing is committed without a group
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "false"),
        ("isolation.level", isolation),
        // An offset that is gone must not be skipped silently.
        ("auto.offset.reset", "error"),
        ("fetch.queue.backoff.ms", "2"),
        ("queued.min.messages", "1000000"),
    ])?;
    config.create_with_context(context).map_err(not_created)
}

/// Asks whether a topic is gone, on a thread of its own; without an answer it is not.
fn look_up(consumer: Arc<BaseConsumer<Context>>, topic: String) -> mpsc::Receiver<bool> {
    let (sender, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let metadata = consumer.fetch_metadata(Some(&topic), REQUEST_TIMEOUT);
        let is_gone = |topic: &MetadataTopic| {
            let code = topic.error().map(RDKafkaErrorCode::from);
            code == Some(RDKafkaErrorCode::UnknownTopicOrPartition)
        };
        let gone = metadata.is_ok_and(|metadata| metadata.topics().iter().any(is_gone));
        sender.send(gone).unwrap_or(()); // nobody may wait any more
    });
    answer
}

/// Closes a client that is not used elsewhere any more. The crate does it, too, but looks only every
/// 100 ms whether it has.
pub(super) fn close<C: ConsumerContext>(consumer: &mut Arc<BaseConsumer<C>>) {
    let Some(consumer) = Arc::get_mut(consumer) else {
        return;
    };
    if consumer.close_queue().is_ok() {
        while !consumer.closed() {
            consumer.poll(Duration::from_millis(1));
        }
    }
}
