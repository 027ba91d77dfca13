//! A member's client: librdkafka's consumer, which carries out what the member decides.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::super::fetch::close;
use super::super::fetched::Fetched;
use super::super::native::high_watermark;
use super::super::native::transaction::LibrdkafkaProof;
use super::super::port::{Joins, KnowsOffsets, Proof};
use super::super::queue::{Bell, Queue};
use super::super::{Context, Health, REQUEST_TIMEOUT, Settings, aside, not_created};
use super::{Place, Rebalance, SESSION, SESSION_MS, error_of};
use crate::error::Result;
use crate::interrupt::Interrupt;

/// How long the coordinator may take to answer before it is asked again.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(1);

/// A consumer that has joined a group.
pub(super) struct Librdkafka {
    settings: Settings,
    /// The partitions that were begun; their queues are given back before the client is.
    queues: BTreeMap<Place, Queue>,
    /// Rings when something comes into one of them.
    bell: Arc<Bell>,
    consumer: Arc<BaseConsumer<Joined>>,
    health: Arc<Health>,
}

/// Takes what a member's client says.
struct Joined {
    context: Context,
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// Whether the member is leaving, and answers for itself.
    leaving: AtomicBool,
}

impl Joined {
    fn rebalances(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        let rebalances = self.rebalances.lock();
        rebalances.unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Joined {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ConsumerContext for Joined {
    /// Only notes what was decided: the node answers when it has ended its transaction.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        if self.leaving.load(Ordering::Relaxed) {
            // Everything was released before.
            let none = TopicPartitionList::new();
            consumer.incremental_unassign(&none).unwrap_or(());
            return;
        }
        let places = partitions.elements();
        let places = places.iter().map(|element| Place {
            topic: element.topic().into(),
            partition: element.partition(),
        });
        let places = places.collect();
        self.rebalances().push_back(match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Given(places),
            _ => Rebalance::Taken {
                places,
                lost: consumer.assignment_lost(),
            },
        });
    }
}

impl Librdkafka {
    /// Joins a group that shares some topics.
    ///
    /// # Errors
    /// `usage` for properties that do not go together.
    pub fn join(
        settings: &Settings,
        group: &str,
        topics: &[&str],
    ) -> Result<(Box<dyn Joins>, Arc<Health>)> {
        let (context, health) = settings.context();
        let config = settings.config(&[
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            // A member that is gone is noticed soon, and a new one need not wait long.
            (SESSION, SESSION_MS),
            ("heartbeat.interval.ms", "500"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "false"),
            // Offsets, too, are then read only once no transaction holds other ones.
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            // A topic that is deleted or gets more partitions is noticed soon, too.
            ("topic.metadata.refresh.interval.ms", "10000"),
            ("fetch.queue.backoff.ms", "2"),
            ("queued.min.messages", "1000000"),
            // For each partition, and three times as much memory: more would only wait for the work.
            ("queued.max.messages.kbytes", "512"),
            ("fetch.message.max.bytes", "524288"),
            // A partition whose records were not worked off yet is left out of a request, and waits
            // for its answer: for this long, if those in it are at their end.
            ("fetch.wait.max.ms", "10"),
        ])?;
        let joined = Joined {
            context,
            rebalances: Mutex::default(),
            leaving: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<_> = config.create_with_context(joined).map_err(not_created)?;
        let subscribed = consumer.subscribe(topics);
        subscribed.map_err(|error| error_of(settings, &health, &error, "join the group"))?;
        let client = Librdkafka {
            settings: settings.clone(),
            queues: BTreeMap::new(),
            bell: Arc::default(),
            consumer: Arc::new(consumer),
            health: health.clone(),
        };
        Ok((Box::new(client), health))
    }
}

impl Joins for Librdkafka {
    fn poll(&mut self) -> Option<KafkaError> {
        self.consumer.poll(Duration::ZERO)?.err()
    }

    fn decided(&mut self) -> Option<Rebalance> {
        self.consumer.context().rebalances().pop_front()
    }

    fn is_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    fn assign(&mut self, begun: &[(Place, i64)]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (place, offset) in begun {
            // Before the assignment: a queue that is forwarded later may have spilt records.
            let queue = Queue::of_partition(&self.consumer, &place.topic, place.partition);
            let queue = queue.map_err(|error| KafkaError::Subscription(error.to_string()))?;
            self.queues
                .insert(place.clone(), queue.with_bell(&self.bell));
            add(&mut list, place, *offset)?;
        }
        self.consumer.incremental_assign(&list)
    }

    fn unassign(&mut self, begun: &[Place]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for place in begun {
            self.queues.remove(place);
            list.add_partition(&place.topic, place.partition);
        }
        self.consumer.incremental_unassign(&list)
    }

    fn seek(&mut self, place: &Place, offset: i64) -> bool {
        let mut list = TopicPartitionList::new();
        if add(&mut list, place, offset).is_err() {
            return false;
        }
        let sought = self.consumer.seek_partitions(list, COORDINATOR_TIMEOUT);
        sought.is_ok_and(|list| {
            let mut elements = list.elements().into_iter();
            elements.all(|element| element.error().is_ok())
        })
    }

    fn read(&mut self, place: &Place, most: usize) -> Result<Fetched, RDKafkaErrorCode> {
        let Some(queue) = self.queues.get(place) else {
            return Ok(Fetched::default());
        };
        let fetched = queue.read(Duration::ZERO, most);
        match fetched.error() {
            Some(code) => Err(code),
            None => Ok(fetched.into()),
        }
    }

    fn wait(&self, timeout: Duration) {
        self.bell.wait(timeout);
    }

    fn positions(&self) -> BTreeMap<Place, i64> {
        let positions = self.consumer.position().unwrap_or_default();
        let elements = positions.elements();
        let positions = elements
            .iter()
            .filter_map(|element| match element.offset() {
                Offset::Offset(offset) => {
                    let topic = element.topic().into();
                    let partition = element.partition();
                    Some((Place { topic, partition }, offset))
                }
                _ => None,
            });
        positions.collect()
    }

    fn high_watermark(&self, place: &Place) -> Option<i64> {
        high_watermark(&self.consumer, &place.topic, place.partition)
    }

    fn commit(&mut self, offsets: &TopicPartitionList) -> Result<Result<(), KafkaError>> {
        let (consumer, offsets) = (self.consumer.clone(), offsets.clone());
        let began = Instant::now();
        aside(
            move || consumer.commit(&offsets, CommitMode::Sync),
            || {
                if self.settings.interrupt.is_set() && began.elapsed() > REQUEST_TIMEOUT {
                    Err(self.settings.unreachable(&self.health))
                } else {
                    Ok(())
                }
            },
        )
    }

    fn proof(&self) -> Result<Option<Proof>> {
        let proof = LibrdkafkaProof::of(self.consumer.client().native_client())?;
        Ok(proof.map(Proof::Librdkafka))
    }

    fn offsets(&self) -> Arc<dyn KnowsOffsets> {
        Arc::new(Offsets {
            consumer: self.consumer.clone(),
            interrupt: self.settings.interrupt.clone(),
        })
    }

    fn leave(&mut self) {
        let context = self.consumer.context();
        context.leaving.store(true, Ordering::Relaxed);
        // A decision that was not answered is waited for by the client's end.
        let pending = !context.rebalances().is_empty();
        if pending {
            let none = TopicPartitionList::new();
            self.consumer.incremental_unassign(&none).unwrap_or(());
        }
        self.queues.clear();
        close(&mut self.consumer);
    }
}

fn add(list: &mut TopicPartitionList, place: &Place, offset: i64) -> Result<(), KafkaError> {
    list.add_partition_offset(&place.topic, place.partition, Offset::Offset(offset))
}

/// Reads the group's offsets by a member's client.
struct Offsets {
    consumer: Arc<BaseConsumer<Joined>>,
    interrupt: Interrupt,
}

impl KnowsOffsets for Offsets {
    fn committed(
        &self,
        wanted: &TopicPartitionList,
    ) -> Result<Result<TopicPartitionList, KafkaError>> {
        let (consumer, wanted) = (self.consumer.clone(), wanted.clone());
        let ask = move || consumer.committed_offsets(wanted, COORDINATOR_TIMEOUT);
        aside(ask, || self.interrupt.check())
    }
}
