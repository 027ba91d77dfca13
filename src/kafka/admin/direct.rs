//! Administration without librdkafka: what each question of [`Admin`] asks which broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::{Admin, Group, OffsetInfo, OffsetOf, Partition, Setting, Topic, TopicIdentity};
use crate::error::{Error, Result};
use crate::kafka::direct::asking::{Ask, At, Outcome};
use crate::kafka::wire::metadata::{self, Found, Metadata};
use crate::kafka::wire::{
    Api, bytes, change_topics, code, create_topics, describe_configs, list_groups, offsets,
};
use crate::kafka::{Failure, REQUEST_TIMEOUT, is_settling, refusal_of, words_of};

/// How long a broker may take for a change.
const TIMEOUT_MS: i32 = REQUEST_TIMEOUT.as_millis() as i32;

/// A topic's partition that nobody leads, and why.
pub(super) type Unled = (String, i32, RDKafkaErrorCode);

/// Topics and some of their partitions.
pub(super) type Places = Vec<(String, Vec<i32>)>;

impl Admin {
    /// Returns whether requests go out without librdkafka.
    pub(super) fn is_direct(&self) -> bool {
        self.asker.is_some()
    }

    /// Waits for the answers to some requests.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when they refuse this client.
    pub(super) fn send(&self, asks: Vec<Ask>) -> Result<Vec<Outcome>> {
        let missing = || Error::bug("the direct client is asked for what librdkafka has to do");
        let asker = self.asker.as_ref().ok_or_else(missing)?;
        let mut asker = asker.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.forget(); // what was once in the way need not be any more
        let look = || {
            self.settings.interrupt.check()?;
            self.settings.check_health(&self.health)
        };
        let outcomes = asker.ask(asks, REQUEST_TIMEOUT, look)?;
        outcomes.ok_or_else(|| self.settings.unreachable(&self.health))
    }

    /// Waits for the answer to one request, which changes nothing: it is sent again where the
    /// connection is lost. None where no broker knows it.
    fn send_one<T>(
        &self,
        ask: &Ask,
        read: impl Fn(bytes::Input<'_>, i16) -> Result<T, bytes::Garbled>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            match self.send(vec![ask.clone()])?.pop() {
                Some(Outcome::Lost) if Instant::now() < deadline => {}
                Some(Outcome::Lost) | None => return Err(self.settings.unreachable(&self.health)),
                Some(outcome) => return outcome.read(&read),
            }
        }
    }

    /// Asks a broker for some topics, or for all, and who the brokers are.
    pub(super) fn ask_metadata(&self, topics: Option<Vec<String>>) -> Result<Metadata> {
        let ask = Ask::new(At::Any, Api::Metadata, move |output, version| {
            metadata::write(output, version, topics.as_deref());
        });
        let found = self.send_one(&ask, metadata::read)?;
        let found = found.ok_or_else(|| Error::bug("a broker without metadata was asked"))?;
        if let Some(asker) = &self.asker {
            let mut asker = asker.lock().unwrap_or_else(PoisonError::into_inner);
            asker.know(&found.brokers);
        }
        Ok(found)
    }

    /// Returns topics with the errors of those that are not known.
    pub(super) fn find_topics(
        &self,
        topic: Option<&str>,
    ) -> Result<Vec<(Topic, Option<RDKafkaErrorCode>)>> {
        let found = self.ask_metadata(topic.map(|topic| vec![topic.to_owned()]))?;
        Ok(found.topics.into_iter().map(read_topic).collect())
    }

    /// Returns the ids of topics.
    pub(super) fn find_topic_ids(&self, names: &[&str]) -> Result<Vec<(String, TopicIdentity)>> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let found = self.ask_metadata(Some(names))?;
        let ids = found.topics.into_iter().map(|topic| {
            let id = match error_of(topic.error) {
                Some(code) => Err(code),
                None => Ok(topic
                    .id
                    .map(|id| format!("{:032x}", u128::from_be_bytes(id)))),
            };
            (topic.name, id)
        });
        Ok(ids.collect())
    }

    /// Returns which broker leads which of some partitions, and why none leads others.
    pub(super) fn leaders(
        &self,
        partitions: &[(&str, i32)],
    ) -> Result<(BTreeMap<i32, Places>, Vec<Unled>)> {
        let topics: BTreeSet<&str> = partitions.iter().map(|(topic, _)| *topic).collect();
        let names = topics.iter().map(|name| (*name).to_owned()).collect();
        let found = self.ask_metadata(Some(names))?;
        let mut led: BTreeMap<i32, Places> = BTreeMap::new();
        let mut others = Vec::new();
        for &(topic, number) in partitions {
            match leader_of(&found, topic, number) {
                Ok(leader) => {
                    let places = led.entry(leader).or_default();
                    match places.last_mut().filter(|(name, _)| name == topic) {
                        Some((_, numbers)) => numbers.push(number),
                        None => places.push((topic.to_owned(), vec![number])),
                    }
                }
                Err(code) => others.push((topic.to_owned(), number, code)),
            }
        }
        Ok((led, others))
    }

    /// Returns an offset of each partition.
    pub(super) fn find_offsets(
        &self,
        partitions: &[(&str, i32)],
        wanted: OffsetOf,
    ) -> Result<Vec<OffsetInfo>, Failure> {
        /// From here on the highest timestamp is known.
        const WITH_MAX_TIMESTAMP: i16 = 7;
        let at = match wanted {
            OffsetOf::Earliest => offsets::EARLIEST,
            OffsetOf::Latest | OffsetOf::LastStable => offsets::LATEST,
            OffsetOf::MaxTimestamp => offsets::MAX_TIMESTAMP,
            // Below zero are the marks above; no record is older than 1970 for Kafka.
            OffsetOf::Time(time) => time.max(0),
        };
        let committed = wanted == OffsetOf::LastStable;
        let (led, others) = self.leaders(partitions)?;
        let asks = led.iter().map(|(&leader, places)| {
            let places = places.clone();
            Ask::new(
                At::Broker(leader),
                Api::ListOffsets,
                move |output, version| {
                    offsets::write(output, version, &places, at, committed);
                },
            )
        });
        let missing = |topic: String, partition, code| OffsetInfo {
            topic,
            partition,
            offset: Err(code),
            timestamp: -1,
        };
        let others = others.into_iter();
        let mut infos: Vec<OffsetInfo> = others
            .map(|(topic, partition, code)| missing(topic, partition, code))
            .collect();
        for (outcome, places) in self
            .send(asks.collect())?
            .into_iter()
            .zip(led.into_values())
        {
            let is_old =
                matches!(outcome, Outcome::Answer(_, version, _) if version < WITH_MAX_TIMESTAMP);
            if is_old && wanted == OffsetOf::MaxTimestamp {
                let reason =
                    "the broker does not know the highest timestamp: it is older than Kafka 3.0";
                let code = RDKafkaErrorCode::UnsupportedFeature;
                return Err(Failure::Refused(code, reason.to_owned()));
            }
            match outcome.read(offsets::read)? {
                Some(topics) => infos.extend(topics.into_iter().flat_map(infos_of)),
                // Another one leads soon.
                None => infos.extend(places.into_iter().flat_map(|(topic, partitions)| {
                    let code = RDKafkaErrorCode::LeaderNotAvailable;
                    let partitions = partitions.into_iter();
                    partitions.map(move |partition| missing(topic.clone(), partition, code))
                })),
            }
        }
        Ok(infos)
    }

    /// Creates a topic; a replication of -1 is the broker's default.
    pub(super) fn make_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        settings: &[(String, String)],
        only_check: bool,
    ) -> Result<(), Failure> {
        let (name, settings) = (name.to_owned(), settings.to_vec());
        let body = move |output: &mut bytes::Output, _| {
            let topic = create_topics::Topic {
                name: &name,
                partitions,
                replication: i16::try_from(replication).unwrap_or(i16::MAX),
                settings: &settings,
            };
            create_topics::write(output, topic, TIMEOUT_MS, only_check);
        };
        self.change(Api::CreateTopics, body, create_topics::read)
    }

    /// Has the controller change a topic; another one is asked where it is that no more.
    fn change(
        &self,
        api: Api,
        body: impl Fn(&mut bytes::Output, i16) + Clone + Send + Sync + 'static,
        read: impl Fn(bytes::Input<'_>, i16) -> Result<change_topics::Answer, bytes::Garbled>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            let controller = self.ask_metadata(Some(Vec::new()))?.controller;
            let at = controller.map_or(At::Any, At::Broker);
            let ask = Ask::new(at, api, body.clone());
            let answer = match self.send(vec![ask])?.pop() {
                Some(Outcome::Unknown) => {
                    let reason = "the broker does not know this request".to_owned();
                    return Err(Failure::Refused(
                        RDKafkaErrorCode::UnsupportedFeature,
                        reason,
                    ));
                }
                Some(outcome) => outcome.read(&read)?,
                None => None,
            };
            // Whether a change that was not answered was made is not known, so it is not sent again.
            let unreachable = || self.settings.unreachable(&self.health);
            let (error, reason) = answer.ok_or_else(unreachable)?;
            match refusal(error, reason) {
                Err(failure) if failure.code() == Some(RDKafkaErrorCode::NotController) => {
                    self.wait_a_moment(deadline, failure)?;
                }
                changed => return changed,
            }
        }
    }

    /// Deletes a topic with its records.
    pub(super) fn drop_topic(&self, name: &str) -> Result<(), Failure> {
        let name = name.to_owned();
        let body = move |output: &mut bytes::Output, _| {
            change_topics::write_delete(output, &name, TIMEOUT_MS);
        };
        self.change(Api::DeleteTopics, body, change_topics::read_delete)
    }

    /// Gives a topic more partitions, `total` in all.
    pub(super) fn add_partitions(&self, topic: &str, total: i32) -> Result<(), Failure> {
        let topic = topic.to_owned();
        let body = move |output: &mut bytes::Output, _| {
            change_topics::write_partitions(output, &topic, total, TIMEOUT_MS);
        };
        self.change(Api::CreatePartitions, body, |input, _| {
            change_topics::read_partitions(input)
        })
    }

    /// Changes settings of a topic and leaves the others alone; `None` takes a setting back.
    pub(super) fn change_settings(
        &self,
        topic: &str,
        changes: &[(String, Option<String>)],
    ) -> Result<(), Failure> {
        let (topic, changes) = (topic.to_owned(), changes.to_vec());
        let body = move |output: &mut bytes::Output, _| {
            change_topics::write_settings(output, &topic, &changes);
        };
        self.change(Api::AlterConfigs, body, |input, _| {
            change_topics::read_settings(input)
        })
    }

    /// Deletes the records of a topic that lie before an offset, for some partitions.
    pub(super) fn purge(&self, topic: &str, before: &[(i32, i64)]) -> Result<(), Failure> {
        let partitions: Vec<(&str, i32)> =
            before.iter().map(|(number, _)| (topic, *number)).collect();
        let (led, others) = self.leaders(&partitions)?;
        if let Some((_, _, code)) = others.into_iter().next() {
            return Err(Failure::Refused(code, words_of(code)));
        }
        let asks = led.into_iter().map(|(leader, places)| {
            let numbers: Vec<i32> = places
                .into_iter()
                .flat_map(|(_, numbers)| numbers)
                .collect();
            let mut before = before.to_vec();
            before.retain(|(number, _)| numbers.contains(number));
            let topic = topic.to_owned();
            Ask::new(At::Broker(leader), Api::DeleteRecords, move |output, _| {
                change_topics::write_purge(output, &topic, &before, TIMEOUT_MS);
            })
        });
        for outcome in self.send(asks.collect())? {
            let answer = outcome.read(|input, _| change_topics::read_purge(input))?;
            let (error, reason) = answer.ok_or_else(|| self.settings.unreachable(&self.health))?;
            refusal(error, reason)?;
        }
        Ok(())
    }

    /// Returns the settings of a topic.
    pub(super) fn find_settings(&self, topic: &str) -> Result<Vec<Setting>, Failure> {
        let topic = topic.to_owned();
        let ask = Ask::new(At::Any, Api::DescribeConfigs, move |output, version| {
            describe_configs::write(output, version, &topic);
        });
        let answer = self.send_one(&ask, describe_configs::read)?;
        let (error, reason, settings) = answer.unwrap_or_default();
        refusal(error, reason)?;
        let settings = settings.into_iter().map(|setting| Setting {
            name: setting.name,
            value: setting.value,
            is_default: !setting.is_own,
        });
        Ok(settings.collect())
    }

    /// Returns all groups whose members are consumers of some kind.
    pub(super) fn find_groups(&self) -> Result<Vec<Group>, Failure> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            let brokers = self.ask_metadata(Some(Vec::new()))?.brokers;
            let asks = brokers.iter().map(|broker| {
                Ask::new(At::Broker(broker.id), Api::ListGroups, |output, version| {
                    list_groups::write(output, version);
                })
            });
            let (mut groups, mut settling) = (Vec::new(), None);
            for outcome in self.send(asks.collect())? {
                // Another broker has the groups of one that is away.
                let Some((error, found)) = outcome.read(list_groups::read)? else {
                    continue;
                };
                match refusal(error, None) {
                    Err(failure) if failure.code().is_some_and(is_settling) => {
                        settling = Some(failure);
                    }
                    refused => refused?,
                }
                groups.extend(found);
            }
            match settling {
                Some(failure) => self.wait_a_moment(deadline, failure)?,
                None => return Ok(groups.into_iter().filter_map(read_group).collect()),
            }
        }
    }

    /// Waits before something is tried again.
    ///
    /// # Errors
    /// The failure once it is too late, `stopped` on a signal.
    pub(super) fn wait_a_moment(&self, deadline: Instant, failure: Failure) -> Result<(), Failure> {
        if Instant::now() >= deadline {
            return Err(failure);
        }
        let soon = Instant::now() + Duration::from_millis(100);
        self.settings.interrupt.sleep_until(soon);
        self.settings.interrupt.check()?;
        Ok(())
    }
}

/// Returns the refusal that an answer means, in the broker's words where it has any.
pub(super) fn refusal(error: i16, reason: Option<String>) -> Result<(), Failure> {
    if error == code::NONE {
        return Ok(());
    }
    match (
        refusal_of(error),
        reason.filter(|reason| !reason.is_empty()),
    ) {
        (Failure::Refused(code, _), Some(reason)) => Err(Failure::Refused(code, reason)),
        (failure, _) => Err(failure),
    }
}

fn error_of(error: i16) -> Option<RDKafkaErrorCode> {
    let refused = refusal(error, None).err()?;
    Some(refused.code().unwrap_or(RDKafkaErrorCode::Unknown))
}

fn leader_of(found: &Metadata, topic: &str, number: i32) -> Result<i32, RDKafkaErrorCode> {
    let mut topics = found.topics.iter();
    let Some(topic) = topics.find(|found| found.name == topic) else {
        return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
    };
    if let Some(code) = error_of(topic.error) {
        return Err(code);
    }
    let mut partitions = topic.leaders.iter();
    match partitions.find(|partition| partition.partition == number) {
        None => Err(RDKafkaErrorCode::UnknownTopicOrPartition),
        Some(partition) => partition.broker.ok_or(RDKafkaErrorCode::LeaderNotAvailable),
    }
}

fn read_topic(found: Found) -> (Topic, Option<RDKafkaErrorCode>) {
    let partitions = found.leaders.into_iter().map(|leader| Partition {
        number: leader.partition,
        leader: leader.broker,
        replicas: leader.replicas,
        in_sync: leader.in_sync,
    });
    let mut partitions: Vec<Partition> = partitions.collect();
    partitions.sort_by_key(|partition| partition.number);
    let name = found.name;
    (Topic { name, partitions }, error_of(found.error))
}

fn infos_of(
    (topic, partitions): (String, Vec<offsets::Found>),
) -> impl Iterator<Item = OffsetInfo> {
    partitions.into_iter().map(move |found| OffsetInfo {
        topic: topic.clone(),
        partition: found.partition,
        offset: match error_of(found.error) {
            Some(code) => Err(code),
            None => Ok(found.offset),
        },
        timestamp: found.timestamp,
    })
}

/// Returns a group as it is listed; none of one whose members are not consumers, as those of Kafka Connect.
fn read_group(found: list_groups::Group) -> Option<Group> {
    let kind = found.kind.to_ascii_lowercase();
    let is_other = kind == "share" || kind == "streams";
    let is_of_consumers = is_other || ["", "consumer"].contains(&found.protocol.as_str());
    is_of_consumers.then(|| Group {
        name: found.name,
        state: words(&found.state),
        protocol: kind,
    })
}

/// Returns a state as it is shown: `PreparingRebalance` as `preparing rebalance`.
pub(super) fn words(state: &str) -> String {
    let mut words = String::with_capacity(state.len() + 1);
    for letter in state.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    if words.is_empty() {
        words.push_str("unknown");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: &str, protocol: &str, state: &str) -> Option<(String, String)> {
        let found = list_groups::Group {
            name: "g".to_owned(),
            protocol: protocol.to_owned(),
            state: state.to_owned(),
            kind: kind.to_owned(),
        };
        read_group(found).map(|group| (group.protocol, group.state))
    }

    #[test]
    fn groups_are_told_apart_by_their_kinds() {
        let shown = |kind: &str, state: &str| Some((kind.to_owned(), state.to_owned()));
        assert_eq!(group("Share", "share", "Stable"), shown("share", "stable"));
        assert_eq!(
            group("Streams", "streams", "NotReady"),
            shown("streams", "not ready")
        );
        let joining = shown("classic", "preparing rebalance");
        assert_eq!(group("Classic", "consumer", "PreparingRebalance"), joining);
        assert_eq!(group("Classic", "connect", "Stable"), None);
        // Before Kafka 2.6 a broker says no more.
        assert_eq!(group("", "consumer", ""), shown("", "unknown"));
    }

    #[test]
    fn a_refusal_is_in_the_brokers_words() {
        assert!(refusal(code::NONE, None).is_ok());
        let Err(Failure::Refused(code, reason)) = refusal(36, Some("There is one.".into())) else {
            panic!("no refusal");
        };
        assert_eq!(code, RDKafkaErrorCode::TopicAlreadyExists);
        assert_eq!(reason, "There is one.");
    }
}
