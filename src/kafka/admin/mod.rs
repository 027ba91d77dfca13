//! Topics, their settings and offsets, and consumer groups.
//!
//! In: names and a request. Out: plain descriptions. Every request ends within [`REQUEST_TIMEOUT`], and at
//! once when no broker can be reached or the user stops the run.

mod direct;
mod groups;
mod offsets;
mod transactions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::client::NativeClient;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::error::{Error, Result};
use crate::kafka::direct::asking::Asker;
use crate::kafka::native::admin::Requests;
pub use crate::kafka::native::admin::{
    Group, Member, OffsetInfo, OffsetOf, Setting, TopicIdentity,
};
use crate::kafka::{
    Context, Failure, Health, REQUEST_TIMEOUT, Settings, aside, check_topic_name, not_created,
    words_of,
};
use crate::term::units::format_plural;

use offsets::offset_list;
pub(crate) use transactions::OpenTransaction;

/// The value that means "keep forever" and "any time ahead".
const KEEP_FOREVER: [(&str, &str); 2] = [
    ("retention.ms", "-1"),
    ("message.timestamp.after.max.ms", "9223372036854775807"),
];

/// How long a partition may take to get ready after its topic was created.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a partition may take to get another leader when its broker has died: Kafka gives a
/// broker up after 9 s by default, and a busy machine takes its time to vote.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic and where its partitions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// In the order of their numbers, from 0 on.
    pub partitions: Vec<Partition>,
}

/// A partition and the brokers that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the topic.
    pub number: i32,
    /// The broker that reads and writes go to; `None` while there is none.
    pub(crate) leader: Option<i32>,
    /// The brokers that hold it.
    pub(crate) replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub(crate) in_sync: Vec<i32>,
}

impl Topic {
    /// Returns whether every partition can be written to.
    fn is_ready(&self) -> bool {
        let mut partitions = self.partitions.iter();
        !self.partitions.is_empty() && partitions.all(|partition| partition.leader.is_some())
    }
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The offset of the first record that is still there.
    pub first: i64,
    /// The high watermark: one past the last record, transaction markers included.
    pub end: i64,
}

impl Extent {
    /// Returns the number of offsets; in a plain topic, of records.
    pub fn records(&self) -> i64 {
        (self.end - self.first).max(0)
    }
}

/// A connection for administration.
pub struct Admin {
    settings: Settings,
    /// What asks without librdkafka, where that is possible.
    asker: Option<Mutex<Asker>>,
    /// librdkafka's client, once it is needed.
    client: OnceLock<Arc<BaseProducer<Context>>>,
    context: Context,
    /// A client of some group, made for the first question about a group's offsets: librdkafka
    /// 2.12 follows a null pointer where a client without a group hears that the coordinator of
    /// the one it asks about is elsewhere or not ready yet.
    grouped: OnceLock<BaseConsumer<Context>>,
    /// Whether a broker has answered yet.
    has_answered: AtomicBool,
    health: Arc<Health>,
}

impl Admin {
    /// Makes a client; it connects with the first request.
    ///
    /// # Errors
    /// `usage` for properties that do not go together.
    pub fn new(settings: &Settings) -> Result<Self> {
        let (context, health) = settings.context();
        let is_direct = settings.cluster.is_none() && settings.client.administers();
        let asker = is_direct
            .then(|| Asker::new(settings, &health))
            .transpose()?;
        Ok(Admin {
            settings: settings.clone(),
            asker: asker.map(Mutex::new),
            client: OnceLock::new(),
            context,
            grouped: OnceLock::new(),
            has_answered: AtomicBool::new(false),
            health,
        })
    }

    /// Looks after the client while waiting: its errors, a signal.
    fn tick(&self) -> Result<()> {
        self.settings.interrupt.check()?;
        if let Some(client) = self.client.get() {
            client.poll(Duration::ZERO);
        }
        self.settings.check_health(&self.health)
    }

    /// Returns librdkafka's client.
    fn client(&self) -> Result<&Arc<BaseProducer<Context>>> {
        if self.settings.cluster.is_some() {
            return Err(Error::bug("another cluster is asked by librdkafka"));
        }
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let config = self.settings.config(&[])?;
        let client = config.create_with_context(self.context.clone());
        let client = client.map_err(not_created)?;
        Ok(self.client.get_or_init(|| Arc::new(client)))
    }

    /// Sends a request.
    fn ask<T>(
        &self,
        request: impl FnOnce(&Requests<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ask_by(self.client()?.client().native_client(), request)
    }

    /// Sends a request by a client. A time-out is reported as what it is: a broker out of reach.
    fn ask_by<T>(
        &self,
        client: &NativeClient,
        request: impl FnOnce(&Requests<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let tick = || self.tick();
        let requests = Requests::new(client, &tick);
        request(&requests).map_err(|failure| match failure.code() {
            Some(
                RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown,
            ) => self.settings.unreachable(&self.health).into(),
            _ => failure,
        })
    }

    /// Asks for one topic or all.
    fn metadata(&self, topic: Option<&str>) -> Result<Vec<(Topic, Option<RDKafkaErrorCode>)>> {
        if let Some(cluster) = &self.settings.cluster {
            return Ok(cluster.topics(topic));
        }
        if self.is_direct() {
            return self.find_topics(topic);
        }
        let client = self.client()?.clone();
        let topic = topic.map(str::to_owned);
        let ask = move || {
            let metadata = client
                .client()
                .fetch_metadata(topic.as_deref(), REQUEST_TIMEOUT)?;
            Ok(metadata.topics().iter().map(read_topic).collect())
        };
        let topics = aside(ask, || self.tick())?.map_err(|error| match error {
            KafkaError::MetadataFetch(_) => self.settings.unreachable(&self.health),
            error => Error::refused(format!("cannot ask for topics: {error}")),
        })?;
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(topics)
    }

    /// Connects the client, unless it is. librdkafka looks for the leaders of partitions by itself,
    /// but where it is not connected yet it may ask again only after 3 s.
    fn connect(&self, topic: &str) -> Result<()> {
        if self.has_answered.load(Ordering::Relaxed) {
            Ok(())
        } else {
            self.metadata(Some(topic)).map(drop)
        }
    }

    /// Returns the cluster's name for itself; empty where it has none.
    ///
    /// # Errors
    /// `stopped` on a signal.
    pub(crate) fn cluster_id(&self) -> Result<String> {
        if self.settings.cluster.is_some() {
            return Ok(self.settings.brokers.clone());
        }
        if self.is_direct() {
            let found = self.ask_metadata(Some(Vec::new()))?;
            return Ok(found.cluster.unwrap_or_default());
        }
        let client = self.client()?.clone();
        let ask = move || client.client().fetch_cluster_id(REQUEST_TIMEOUT);
        Ok(aside(ask, || self.tick())?.unwrap_or_default())
    }

    /// Returns all topics by name, internal ones too.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn topics(&self) -> Result<Vec<Topic>> {
        let topics = self.metadata(None)?.into_iter();
        let mut topics: Vec<Topic> = topics.map(|(topic, _)| topic).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Returns a topic if it exists.
    ///
    /// # Errors
    /// `usage` for a name that no topic can have, `retry` when no broker answers, `refused` when
    /// it must not be seen.
    pub(crate) fn find_topic(&self, name: &str) -> Result<Option<Topic>> {
        check_topic_name(name)?;
        let Some((topic, error)) = self.metadata(Some(name))?.pop() else {
            return Ok(None);
        };
        match error {
            None => Ok(Some(topic)),
            Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(Some(topic)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            Some(code) => {
                let what = format!("use topic `{name}`");
                Err(Failure::Refused(code, words_of(code)).into_error(what))
            }
        }
    }

    /// Returns a topic that must exist.
    ///
    /// # Errors
    /// As [`find_topic`](Self::find_topic), and `refused` when it does not exist.
    pub fn topic(&self, name: &str) -> Result<Topic> {
        if let Some(topic) = self.find_topic(name)? {
            return Ok(topic);
        }
        // One that was just created is not known to each broker yet.
        let is_known = |topics: Vec<Topic>| topics.iter().any(|topic| topic.name == name);
        if self.topics().is_ok_and(is_known) {
            self.wait_for(name, |topic| topic.is_some())?
        } else {
            None
        }
        .ok_or_else(|| self.unknown_topic(name))
    }

    fn unknown_topic(&self, name: &str) -> Error {
        let error = Error::refused(format!("topic `{name}` does not exist"));
        let topics = self.topics().unwrap_or_default();
        match nearest(name, topics.iter().map(|topic| topic.name.as_str())) {
            Some(near) => error.hint(format!(
                "did you mean `{near}`? `k topic list` shows them all"
            )),
            None => error.hint("`k topic list` shows the topics, `k topic create` creates one"),
        }
    }

    /// Waits until the topic is as wanted. The controller answers a change before all brokers
    /// know of it, and the next command may ask another one.
    fn wait_for(
        &self,
        name: &str,
        wanted: impl Fn(Option<&Topic>) -> bool,
    ) -> Result<Option<Topic>> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            let topic = self.find_topic(name)?;
            if wanted(topic.as_ref()) {
                return Ok(topic);
            }
            let now = Instant::now();
            if now > deadline {
                return Err(Error::retry(format!(
                    "topic `{name}` was changed, but the brokers do not show it yet"
                )));
            }
            self.settings
                .interrupt
                .sleep_until(now + Duration::from_millis(20));
        }
    }

    /// Creates a topic; without `replication` the broker's default. It can be used at once.
    ///
    /// # Errors
    /// `usage` for a name that no topic can have, `refused` with the broker's reason, `retry` when
    /// no broker answers.
    pub(crate) fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: Option<i32>,
        settings: &[(String, String)],
    ) -> Result<()> {
        check_topic_name(name)?;
        let replication = replication.unwrap_or(-1);
        self.create(name, partitions, replication, settings, false)
            .map_err(|failure| failure.into_error(format!("create topic `{name}`")))?;
        self.wait_for(name, |topic| topic.is_some_and(Topic::is_ready))
            .map(drop)
    }

    /// Asks whether a topic could be created, and creates none.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic).
    pub(crate) fn check_topic_creation(&self) -> Result<()> {
        self.create("k-check", 1, -1, &[], true)
            .map_err(|failure| failure.into_error("create a topic"))
    }

    /// Creates a topic, or asks whether one could be created.
    fn create(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        settings: &[(String, String)],
        only_check: bool,
    ) -> Result<(), Failure> {
        if self.is_direct() {
            return self.make_topic(name, partitions, replication, settings, only_check);
        }
        self.ask(|requests| {
            requests.create_topic(name, partitions, replication, settings, only_check)
        })
    }

    /// Creates a topic for event times of any age, says so, and waits until it can be written to.
    /// It is not an error if the topic was created meanwhile.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic).
    pub fn create_data_topic(&self, name: &str, partitions: i32) -> Result<Topic> {
        let topic = self.create_if_missing(name, partitions, &KEEP_FOREVER)?;
        let partitions = format_plural(topic.partitions.len() as u64, "partition");
        let report = &self.settings.report;
        report.status(format!("created topic `{name}` with {partitions}"));
        Ok(topic)
    }

    /// Creates a topic with some settings, and waits until it can be written to. It is not an error if
    /// the topic has come into being meanwhile.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic).
    pub(crate) fn create_if_missing(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<Topic> {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let create = |settings: &[(String, String)]| {
            if let Some(cluster) = &self.settings.cluster {
                let created = cluster.create_topic(name, partitions, settings);
                return created.map_err(|code| Failure::Refused(code, words_of(code)));
            }
            self.create(name, partitions, -1, settings, false)
        };
        let mut created = create(&settings);
        // Brokers before 3.6 do not know how far ahead a timestamp may be.
        if created
            .as_ref()
            .is_err_and(|failure| failure.code() == Some(RDKafkaErrorCode::InvalidConfig))
        {
            let known = settings
                .iter()
                .filter(|(name, _)| name != KEEP_FOREVER[1].0);
            created = create(&known.cloned().collect::<Vec<_>>());
        }
        match created {
            Err(failure) if failure.code() != Some(RDKafkaErrorCode::TopicAlreadyExists) => {
                return Err(failure.into_error(format!("create topic `{name}`")));
            }
            _ => {}
        }
        let topic = self.wait_for(name, |topic| topic.is_some_and(Topic::is_ready))?;
        topic.ok_or_else(|| self.unknown_topic(name))
    }

    /// Returns the ids by which brokers distinguish topics that had the same name one after the
    /// other, by name; brokers before 2.8 have none.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn topic_ids(&self, names: &[&str]) -> Result<BTreeMap<String, TopicIdentity>> {
        if let Some(cluster) = &self.settings.cluster {
            return Ok(cluster.topic_ids(names).into_iter().collect());
        }
        if self.is_direct() {
            return Ok(self.find_topic_ids(names)?.into_iter().collect());
        }
        let ids = self.ask(|requests| requests.topic_ids(names));
        let ids = ids.map_err(|failure| failure.into_error("look topics up"))?;
        Ok(ids.into_iter().collect())
    }

    /// Deletes a topic with its records.
    ///
    /// # Errors
    /// `refused` with the broker's reason, `retry` when no broker answers.
    pub(crate) fn delete_topic(&self, name: &str) -> Result<()> {
        let deleted = if self.is_direct() {
            self.drop_topic(name)
        } else {
            self.ask(|requests| requests.delete_topic(name))
        };
        deleted.map_err(|failure| failure.into_error(format!("delete topic `{name}`")))?;
        self.wait_for(name, |topic| topic.is_none()).map(drop)
    }

    /// Deletes the records of a topic that lie before an offset, for some partitions.
    ///
    /// # Errors
    /// `refused` with the broker's reason, `retry` when no broker answers.
    pub fn delete_records(&self, topic: &str, before: &[(i32, i64)]) -> Result<()> {
        if let Some(cluster) = &self.settings.cluster {
            cluster.delete_records(topic, before);
            return Ok(());
        }
        let what = || format!("delete records of topic `{topic}`");
        if self.is_direct() {
            let purged = self.purge(topic, before);
            return purged.map_err(|failure| failure.into_error(what()));
        }
        let before = before
            .iter()
            .map(|&(partition, offset)| ((topic.to_owned(), partition), offset));
        let list = offset_list(before)?;
        self.connect(topic)?;
        self.ask(|requests| requests.delete_records(&list))
            .map_err(|failure| failure.into_error(what()))
    }

    /// Gives a topic more partitions, `total` in all.
    ///
    /// # Errors
    /// `refused` with the broker's reason, such as fewer than there are.
    pub(crate) fn create_partitions(&self, topic: &str, total: i32) -> Result<()> {
        let grown = if self.is_direct() {
            self.add_partitions(topic, total)
        } else {
            self.ask(|requests| requests.create_partitions(topic, total.max(0) as usize))
        };
        let what = || format!("give topic `{topic}` {total} partitions");
        grown.map_err(|failure| failure.into_error(what()))?;
        let grown = |topic: &Topic| topic.partitions.len() >= total as usize && topic.is_ready();
        self.wait_for(topic, |topic| topic.is_some_and(grown))
            .map(drop)
    }

    /// Returns all settings of a topic by name.
    ///
    /// # Errors
    /// `refused` with the broker's reason.
    pub(crate) fn topic_settings(&self, topic: &str) -> Result<Vec<Setting>> {
        if self.settings.cluster.is_some() {
            return Ok(Vec::new());
        }
        let settings = if self.is_direct() {
            self.find_settings(topic)
        } else {
            self.ask(|requests| requests.topic_settings(topic))
        };
        let what = || format!("read the settings of topic `{topic}`");
        let mut settings = settings.map_err(|failure| failure.into_error(what()))?;
        settings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(settings)
    }

    /// Changes settings of a topic and leaves the others alone; `None` takes a setting back.
    ///
    /// # Errors
    /// `refused` with the broker's reason, such as an unknown setting.
    pub(crate) fn alter_topic(
        &self,
        topic: &str,
        changes: &[(String, Option<String>)],
    ) -> Result<()> {
        let changed = if self.is_direct() {
            self.change_settings(topic, changes)
        } else {
            self.ask(|requests| requests.alter_settings(topic, changes))
        };
        changed.map_err(|failure| failure.into_error(format!("change topic `{topic}`")))
    }
}

fn read_topic(topic: &rdkafka::metadata::MetadataTopic) -> (Topic, Option<RDKafkaErrorCode>) {
    let mut partitions: Vec<Partition> = topic
        .partitions()
        .iter()
        .map(|partition| Partition {
            number: partition.id(),
            leader: (partition.leader() >= 0).then_some(partition.leader()),
            replicas: partition.replicas().to_vec(),
            in_sync: partition.isr().to_vec(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.number);
    let name = topic.name().to_owned();
    (
        Topic { name, partitions },
        topic.error().map(RDKafkaErrorCode::from),
    )
}

/// Returns the name that `name` was most likely meant to be.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognized() {
        let topics = ["mono_signal", "tower"];
        assert_eq!(
            nearest("mono-signal", topics.into_iter()),
            Some("mono_signal")
        );
        assert_eq!(nearest("towers", topics.into_iter()), Some("tower"));
        assert_eq!(nearest("orders", topics.into_iter()), None);
    }
}
