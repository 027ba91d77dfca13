//! A member of a consumer group: which partitions it owns, and their records.
//!
//! In: a group and the topics that it shares. Out: partitions that are given and taken away, and
//! [`Fetched`] batches of those that were begun. A given partition is not read before
//! [`Member::begin`] says from where, so that its state can be restored first while others are
//! read. A partition that is taken away is released by [`Member::release`], once its last work is
//! committed. Until then the group waits.

mod librdkafka;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use self::librdkafka::Librdkafka;
use super::admin::Admin;
use super::fetch::{LOOK_UP, is_passing};
use super::fetched::Fetched;
use super::port::{Joins, KnowsOffsets, Proof};
use super::unreadable::{gone, not_read, purged};
use super::{Failure, Health, Outage, Settings, is_settling, words_of};
use crate::clock;
use crate::error::{Error, Remedy, Result};
use crate::fault::{Fault, is_planted};
use crate::interrupt::Interrupt;
use crate::record::Committed;

/// How long a member may be silent before the group continues without it.
const SESSION: &str = "session.timeout.ms";
const SESSION_MS: &str = "6000";

/// A partition of a topic, which a member may own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

/// What the group has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebalance {
    /// These are the member's own from now on; to be answered by [`Member::accept`].
    Given(Vec<Place>),
    /// These go to other members; to be answered by [`Member::release`].
    Taken {
        /// Which.
        places: Vec<Place>,
        /// Whether others may own them already, because this member was away for too long.
        lost: bool,
    },
}

/// What the group has answered to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has taken the offsets.
    Taken,
    /// It is rebalancing and not done yet: try again later.
    Later,
    /// It has continued without this member, whose partitions may be others' by now.
    Gone,
}

/// A member of a group.
pub struct Member {
    settings: Settings,
    group: String,
    /// The topics that the group shares.
    topics: Vec<String>,
    /// The partitions whose next records were gone when they were last read.
    gone: BTreeSet<Place>,
    /// Whether one of them was read since this member joined: its client takes no other offset for it.
    is_astray: bool,
    /// When one of them last seemed to be gone: by what a broker said, or by a commit that failed.
    doubted: Option<Instant>,
    /// The partitions that were begun.
    begun: BTreeSet<Place>,
    /// Those of them that are to continue from another offset, and have not begun to.
    sought: BTreeMap<Place, i64>,
    client: Box<dyn Joins>,
    health: Arc<Health>,
    outage: Outage,
}

/// Reads a group's offsets, from any thread.
#[derive(Clone)]
pub(crate) struct Offsets {
    client: Arc<dyn KnowsOffsets>,
    interrupt: Interrupt,
}

impl Member {
    /// Joins a group that shares some topics.
    ///
    /// # Errors
    /// `usage` for properties that do not go together.
    pub fn join(settings: &Settings, group: &str, topics: &[&str]) -> Result<Self> {
        let (client, health) = match &settings.cluster {
            Some(cluster) => (cluster.member(group, topics), Arc::default()),
            None => Librdkafka::join(settings, group, topics)?,
        };
        Ok(Member {
            settings: settings.clone(),
            group: group.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            gone: BTreeSet::new(),
            is_astray: false,
            doubted: None,
            begun: BTreeSet::new(),
            sought: BTreeMap::new(),
            client,
            health,
            outage: Outage::endless(),
        })
    }

    /// Leaves the group, if it still counts this member, and joins it again. Until the group gives
    /// it partitions again, it owns none.
    ///
    /// # Errors
    /// As [`Member::join`].
    pub fn rejoin(&mut self) -> Result<()> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let mut again = Member::join(&self.settings, &self.group, &topics)?;
        again.gone = std::mem::take(&mut self.gone);
        *self = again;
        Ok(())
    }

    /// Returns whether it can only go on by [`Member::rejoin`].
    pub(crate) fn is_astray(&self) -> bool {
        self.is_astray
    }

    /// Returns how long a member may be silent before the group continues without it.
    ///
    /// # Errors
    /// `usage` where the user has set it to what is not a number.
    pub fn session(settings: &Settings) -> Result<Duration> {
        let ms = settings.property(SESSION).unwrap_or(SESSION_MS);
        let ms = ms.parse().map(Duration::from_millis);
        ms.map_err(|_| Error::usage(format!("property `{SESSION}` is not a number")))
    }

    /// Looks after the client; returns what the group has decided, if it has.
    ///
    /// # Errors
    /// `refused` once the client is unusable.
    pub fn serve(&mut self) -> Result<Option<Rebalance>> {
        /// A look takes one event, and with `-X debug=…` most are lines of the log: as many come while
        /// a node does its work once.
        const MAX_EVENTS: usize = 32;
        for _ in 0..MAX_EVENTS {
            match self.client.poll() {
                Some(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                    self.doubted = Some(clock::now());
                    self.check_topics()?;
                }
                Some(error) if !is_passing(&error) => return Err(self.error_of(&error, "read")),
                _ => {}
            }
            let decided = self.client.decided();
            if decided.is_some() {
                return Ok(decided);
            }
        }
        Ok(None)
    }

    /// Returns the error of a topic that was deleted. One that a broker does not know yet, such as
    /// just after it was created, is not an error.
    fn check_topics(&self) -> Result<()> {
        let admin = Admin::new(&self.settings)?;
        for topic in &self.topics {
            match admin.find_topic(topic) {
                Ok(None) => return Err(gone(topic)),
                Err(error) if error.remedy() != Remedy::Retry => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits for a broker that has gone: to be called when there is nothing to read.
    ///
    /// # Errors
    /// `refused` once the client is unusable or a topic is gone.
    pub(crate) fn watch_silence(&mut self) -> Result<()> {
        self.outage.ride_out(&self.settings, &self.health)?;
        // All brokers know by then what one has reported first.
        if self.doubted.is_some_and(|at| clock::since(at) > LOOK_UP) {
            self.doubted = None;
            self.check_topics()?;
        }
        Ok(())
    }

    /// Has the topics looked up again when there is nothing to read: a commit that fails because a
    /// topic was deleted may be the only sign of the deletion.
    pub(crate) fn doubt_topics(&mut self) {
        self.doubted = Some(clock::now());
    }

    /// Takes partitions that were given, and reads none of them yet.
    ///
    /// # Errors
    /// `bug` when nothing was given.
    pub fn accept(&mut self) -> Result<()> {
        let accepted = self.client.assign(&[]);
        accepted.map_err(|error| self.error_of(&error, "take partitions"))
    }

    /// Lets go of partitions that are taken.
    ///
    /// # Errors
    /// `bug` when nothing is taken.
    pub fn release(&mut self, places: &[Place]) -> Result<()> {
        let mut begun = Vec::new();
        for place in places {
            self.sought.remove(place);
            self.gone.remove(place);
            if self.begun.remove(place) {
                begun.push(place.clone());
            }
        }
        let released = self.client.unassign(&begun);
        released.map_err(|error| self.error_of(&error, "release partitions"))
    }

    /// Begins to fetch a partition at an offset, again if it was being fetched.
    ///
    /// Anew by a seek. To take it out of what is fetched and put it back would be an answer to what
    /// the group has decided meanwhile and nobody has looked at: others would be given partitions
    /// whose last work is not committed.
    ///
    /// # Errors
    /// `refused` when the client does not take it.
    pub fn begin(&mut self, place: &Place, offset: i64) -> Result<()> {
        if !self.begun.insert(place.clone()) {
            if !is_planted(Fault::NotSought) {
                self.sought.insert(place.clone(), offset);
            }
            return Ok(());
        }
        let begun = self.client.assign(&[(place.clone(), offset)]);
        begun.map_err(|error| self.error_of(&error, "begin"))
    }

    /// Lets a partition continue from where it was begun again; returns whether it does. The client
    /// takes no other offset before it has begun with the first, or when the group has taken the
    /// partition.
    fn seek(&mut self, place: &Place) -> bool {
        let Some(&offset) = self.sought.get(place) else {
            return true;
        };
        let is_there = self.client.seek(place, offset);
        if is_there {
            self.sought.remove(place);
        }
        is_there
    }

    /// Waits for records of the partitions that were begun, no longer than `timeout`; not at all where
    /// some have come since the last wait.
    pub fn wait(&self, timeout: Duration) {
        self.client.wait(timeout);
    }

    /// Reads what there is of a partition that was begun, at most `most` records.
    ///
    /// # Errors
    /// `fenced` when the next record is no longer there, and the member [is astray](Member::is_astray):
    /// others may have the partition by now, and have purged what they have read. `refused` if that is
    /// so again, or the partition is gone.
    pub fn read(&mut self, place: &Place, most: usize) -> Result<Fetched> {
        if !self.begun.contains(place) || !self.seek(place) {
            return Ok(Fetched::default());
        }
        let read = self.client.read(place, most);
        if let Err(code) = read {
            let is_gone = matches!(
                code,
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange
            );
            if !is_gone {
                return Err(not_read(&place.topic, place.partition, code));
            }
            let error = purged(&place.topic, place.partition);
            if !self.gone.insert(place.clone()) {
                return Err(self.with_ways_out(error, place));
            }
            self.is_astray = true;
            return Err(Error::fenced(error.to_string()));
        }
        let fetched = read.unwrap_or_default();
        if !fetched.is_empty() {
            self.gone.remove(place);
        }
        Ok(fetched)
    }

    /// Adds how to continue without the records that are gone.
    fn with_ways_out(&self, error: Error, place: &Place) -> Error {
        let Place { topic, partition } = place;
        // Where records are repartitioned, what was read is reported downstream, too.
        let error = match self.topics.as_slice() {
            [_] => error.hint(format!(
                "`kafka-consumer-groups.sh --reset-offsets --execute --group {} --topic \
                 {topic}:{partition} --to-earliest` continues with the state, without them",
                self.group
            )),
            _ => error,
        };
        error.hint("start over with `--reset`; with another `--group` and `--to`, earlier results are kept")
    }

    /// Returns the next offset that would be handed over, for each partition of which something was
    /// read since it was begun. Transaction markers count as read.
    pub(crate) fn positions(&self) -> BTreeMap<Place, i64> {
        let positions = self.client.positions().into_iter();
        // A client forgets its position when it takes another offset, and not before.
        let begun = positions.filter(|(place, _)| !self.sought.contains_key(place));
        begun.collect()
    }

    /// Returns the high watermark that the last fetch of a partition has seen.
    pub(crate) fn high_watermark(&self, place: &Place) -> Option<i64> {
        self.client.high_watermark(place)
    }

    /// Commits the next offset to read, and a note, for some partitions.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn commit(&mut self, offsets: &TopicPartitionList) -> Result<Answer> {
        match self.client.commit(offsets)? {
            // A group without members takes offsets from anybody.
            Ok(()) if self.is_lost() => Ok(Answer::Gone),
            Ok(()) => Ok(Answer::Taken),
            Err(error) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::UnknownMemberId) => Ok(Answer::Gone),
                Some(
                    RDKafkaErrorCode::IllegalGeneration | RDKafkaErrorCode::RebalanceInProgress,
                ) => Ok(Answer::Later),
                _ => Err(self.error_of(&error, "commit the group's offsets")),
            },
        }
    }

    /// Returns whether the group has continued without this member, as far as its client knows.
    fn is_lost(&self) -> bool {
        self.client.is_lost()
    }

    /// Returns what proves to a transaction that this member is at work. To be asked for again for
    /// each transaction; `None` where it has no place in the group, or has lost it.
    pub(crate) fn proof(&self) -> Option<Proof> {
        if is_planted(Fault::NoProof) {
            return Some(Proof::Member(String::new(), -1));
        }
        let proof = self.client.proof().ok().flatten();
        proof.filter(|_| !self.is_lost())
    }

    /// Returns a reader of the group's offsets.
    pub(crate) fn offsets(&self) -> Offsets {
        Offsets {
            client: self.client.offsets(),
            interrupt: self.settings.interrupt.clone(),
        }
    }

    fn error_of(&self, error: &KafkaError, what: &str) -> Error {
        error_of(&self.settings, &self.health, error, what)
    }
}

impl Drop for Member {
    /// Leaves the group at once, so that the others need not wait for it.
    fn drop(&mut self) {
        let begun: Vec<Place> = self.begun.iter().cloned().collect();
        self.release(&begun).unwrap_or(()); // the group notices anyway
        self.client.leave();
    }
}

impl Offsets {
    /// Returns where the group has come to in some partitions; `None` where it never committed. Waits
    /// for transactions that may still commit another offset.
    ///
    /// # Errors
    /// `stopped` on a signal, `refused` when the group may not be read.
    pub(crate) fn committed(&self, places: &[Place]) -> Result<Vec<Option<Committed>>> {
        let mut wanted = TopicPartitionList::new();
        for place in places {
            wanted.add_partition(&place.topic, place.partition);
        }
        loop {
            let found = self.client.committed(&wanted)?.and_then(|found| {
                let places = places.iter();
                places.map(|place| offset_of(&found, place)).collect()
            });
            match found {
                Ok(committed) => return Ok(committed),
                Err(error) if is_passing(&error) || will_settle(&error) => {
                    let soon = clock::now() + Duration::from_millis(100);
                    self.interrupt.sleep_until(soon);
                }
                Err(error) => {
                    let code = error.rdkafka_error_code();
                    let topic = places.first().map_or("", |place| &place.topic);
                    return Err(match code {
                        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => gone(topic),
                        Some(code) => Failure::Refused(code, words_of(code))
                            .into_error("read the group's offsets"),
                        None => Error::refused(format!("cannot read the group's offsets: {error}")),
                    });
                }
            }
        }
    }
}

fn error_of(settings: &Settings, health: &Health, error: &KafkaError, what: &str) -> Error {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure) => {
            settings.unreachable(health)
        }
        Some(code) => Failure::Refused(code, words_of(code)).into_error(what),
        None => Error::refused(format!("cannot {what}: {error}")),
    }
}

/// Returns what a group's coordinator has answered about a partition.
fn offset_of(found: &TopicPartitionList, place: &Place) -> Result<Option<Committed>, KafkaError> {
    let Some(element) = found.find_partition(&place.topic, place.partition) else {
        return Ok(None);
    };
    element.error()?;
    Ok(match element.offset() {
        Offset::Offset(offset) => Some(Committed {
            offset,
            metadata: element.metadata().to_owned(),
        }),
        _ => None,
    })
}

/// Returns whether the coordinator needs some time, or a transaction may still commit an offset.
fn will_settle(error: &KafkaError) -> bool {
    error
        .rdkafka_error_code()
        .is_some_and(|code| is_settling(code) || code == RDKafkaErrorCode::UnstableOffsetCommit)
}
