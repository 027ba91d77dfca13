//! The seam between what `k`'s clients decide and what carries it out.
//!
//! [`Member`], [`Producer`](super::producer::Producer),
//! [`Fetcher`](super::fetch::Fetcher) and [`Admin`](super::admin::Admin) decide: in which order a
//! commit's steps follow each other, when a fence holds, what is read again. What they decide is
//! carried out by librdkafka, or by a [`Cluster`] that the settings name in its place. A simulated
//! cluster is one: then whatever a node of a group does can be done again by a seed, and at any of
//! these calls its process may die or sleep.
//!
//! One call stands for one request, or for what a client keeps itself. None of them is made for each
//! record but [`Sends::send`], which librdkafka's own sender serves without a table of functions.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::admin::{OffsetInfo, OffsetOf, Topic, TopicIdentity};
use super::fetched::Fetched;
use super::member::{Member, Place, Rebalance};
use super::native::transaction::LibrdkafkaProof;
use super::producer::{self, Block, Record};
use crate::error::Result;
use crate::record::{Headers, Message};

/// A cluster that is reached otherwise than by librdkafka.
pub(crate) trait Cluster: fmt::Debug + Send + Sync {
    /// Begins to send.
    fn sender(&self, options: &producer::Options) -> Box<dyn Sends>;

    /// Joins a group that shares some topics.
    fn member(&self, group: &str, topics: &[&str]) -> Box<dyn Joins>;

    /// Begins to read partitions of a topic, each from an offset.
    fn reader(&self, topic: &str, starts: &[(i32, i64)]) -> Box<dyn Reads>;

    /// Returns where a group has come to, as [`KnowsOffsets::committed`].
    ///
    /// # Errors
    /// What the coordinator answers.
    fn committed(
        &self,
        group: &str,
        wanted: &TopicPartitionList,
    ) -> Result<TopicPartitionList, KafkaError>;

    /// Returns a topic, or all.
    fn topics(&self, name: Option<&str>) -> Vec<(Topic, Option<RDKafkaErrorCode>)>;

    /// Creates a topic.
    ///
    /// # Errors
    /// What the controller answers.
    fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(String, String)],
    ) -> Result<(), RDKafkaErrorCode>;

    /// Returns the ids of topics.
    fn topic_ids(&self, names: &[&str]) -> Vec<(String, TopicIdentity)>;

    /// Returns an offset of each partition.
    fn offsets(&self, partitions: &[(&str, i32)], wanted: OffsetOf) -> Vec<OffsetInfo>;

    /// Deletes the records before an offset of each partition.
    fn delete_records(&self, topic: &str, before: &[(i32, i64)]);
}

/// A member of a group, as the client of a consumer.
pub(crate) trait Joins: Send {
    /// Looks after the client; returns an error that it reports.
    fn poll(&mut self) -> Option<KafkaError>;

    /// Returns the next thing that the group has decided; to be answered by [`Joins::assign`] or
    /// [`Joins::unassign`].
    fn decided(&mut self) -> Option<Rebalance>;

    /// Returns whether the group has continued without this member, as far as its client knows.
    fn is_lost(&self) -> bool;

    /// Adds partitions to what is fetched, each from an offset.
    ///
    /// # Errors
    /// What the client answers.
    fn assign(&mut self, begun: &[(Place, i64)]) -> Result<(), KafkaError>;

    /// Takes partitions from what is fetched.
    ///
    /// # Errors
    /// What the client answers.
    fn unassign(&mut self, begun: &[Place]) -> Result<(), KafkaError>;

    /// Lets a partition continue at an offset; returns whether the client has taken it.
    fn seek(&mut self, place: &Place, offset: i64) -> bool;

    /// Reads what there is of a partition, at most `most` records.
    ///
    /// # Errors
    /// Why the partition cannot be read on.
    fn read(&mut self, place: &Place, most: usize) -> Result<Fetched, RDKafkaErrorCode>;

    /// Waits for records, no longer than `timeout`.
    fn wait(&self, timeout: Duration);

    /// Returns the next offset that would be handed over, of the partitions where it is known.
    fn positions(&self) -> BTreeMap<Place, i64>;

    /// Returns the high watermark that the last fetch has seen.
    fn high_watermark(&self, place: &Place) -> Option<i64>;

    /// Commits offsets.
    ///
    /// # Errors
    /// The outer one where it is given up, the inner one is what the coordinator answers.
    fn commit(&mut self, offsets: &TopicPartitionList) -> Result<Result<(), KafkaError>>;

    /// Returns what proves to a transaction that this member is at work; `None` where it has no place
    /// in the group.
    ///
    /// # Errors
    /// `bug` for a client without a group.
    fn proof(&self) -> Result<Option<Proof>>;

    /// Returns a reader of the group's offsets.
    fn offsets(&self) -> Arc<dyn KnowsOffsets>;

    /// Leaves the group.
    fn leave(&mut self);
}

/// Reads a group's offsets, from any thread.
pub(crate) trait KnowsOffsets: Send + Sync {
    /// Returns where the group has come to in some partitions, unless a transaction may still commit
    /// another offset.
    ///
    /// # Errors
    /// The outer one after a signal, the inner one is what the coordinator answers.
    fn committed(
        &self,
        wanted: &TopicPartitionList,
    ) -> Result<Result<TopicPartitionList, KafkaError>>;
}

/// What proves to a transaction that a member is at work.
pub(crate) enum Proof {
    /// Of librdkafka's consumer.
    Librdkafka(LibrdkafkaProof),
    /// The member's id and the group's generation.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "looked at by simulated brokers")
    )]
    Member(String, i32),
}

/// Reads partitions that the caller has chosen.
pub(crate) trait Reads: Send {
    /// Reads what there is of the `nth` partition, at most `most` records, waiting no longer than
    /// `timeout` for the first.
    ///
    /// # Errors
    /// Why the partition cannot be read on.
    fn read(
        &mut self,
        nth: usize,
        timeout: Duration,
        most: usize,
    ) -> Result<Fetched, RDKafkaErrorCode>;

    /// Returns the next offset that would be handed over, for each partition; `None` before the first
    /// record.
    fn positions(&self) -> Vec<Option<i64>>;

    /// Returns the high watermark of the `nth` partition.
    fn high_watermark(&self, nth: usize) -> Option<i64>;
}

/// Sends records, and takes the steps of transactions.
pub(crate) trait Sends: Send {
    /// Hands a record over.
    ///
    /// # Errors
    /// The code of what is wrong with the record, or `QueueFull`.
    fn send(
        &mut self,
        topic: &str,
        block: &Arc<Block>,
        record: &Record<'_>,
    ) -> Result<(), RDKafkaErrorCode>;

    /// Sends what waits for more to be sent with it.
    fn hurry(&mut self);

    /// Returns what became of records since the last look, waiting at most `timeout` for the first.
    fn serve(&mut self, timeout: Duration) -> Deliveries;

    /// Takes a step of a transaction, or continues with the one before; waits no longer than a moment.
    ///
    /// # Errors
    /// Why it came to nothing.
    fn step(&mut self, step: Step<'_>) -> Result<(), StepError>;
}

/// What became of records, as reported since the last look.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// How many were acknowledged.
    pub(crate) acknowledged: u64,
    /// How many were not delivered.
    pub(crate) failed: u64,
    /// The first of these: why, its topic and its partition.
    pub(crate) first_failure: Option<(RDKafkaErrorCode, String, i32)>,
    /// The topic, the partition and the offset of the last record of each batch that was
    /// acknowledged, where the broker has reported it: not of one that it had already.
    pub(crate) reached: Vec<(String, i32, i64)>,
}

/// A step of a transaction.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Gets an epoch, which fences the holder of an earlier one; ends what that one left open.
    Init,
    /// Begins a transaction; asks no broker.
    Begin,
    /// Adds a group's offsets, as long as the member is at work.
    Offsets(&'a TopicPartitionList, &'a Member),
    /// Makes everything visible.
    Commit,
    /// Makes nothing visible.
    Abort,
}

/// Why a step of a transaction came to nothing.
#[derive(Debug)]
pub(crate) struct StepError {
    /// What happened.
    pub(crate) code: RDKafkaErrorCode,
    /// In words.
    pub(crate) reason: String,
    /// The client is unusable.
    pub(crate) is_fatal: bool,
    /// The transaction has to be aborted.
    pub(crate) is_abortable: bool,
    /// The same step may be tried again.
    pub(crate) is_retriable: bool,
}

impl StepError {
    /// The group has continued without this member.
    pub(crate) fn gone() -> Self {
        Self::of(RDKafkaErrorCode::UnknownMemberId, false)
    }

    /// The transaction has to be aborted; after a fatal error the client is unusable, too.
    pub(crate) fn of(code: RDKafkaErrorCode, is_fatal: bool) -> Self {
        StepError {
            code,
            reason: code.to_string(),
            is_fatal,
            is_abortable: true,
            is_retriable: false,
        }
    }
}

/// A record in memory of its own.
#[derive(Debug, Clone)]
pub(crate) struct OwnRecord {
    /// The partition that it lies in.
    pub(crate) partition: i32,
    /// Its offset.
    pub(crate) offset: i64,
    /// In ms since 1970, UTC.
    pub(crate) timestamp: Option<i64>,
    /// Key and value, one after the other.
    pub(crate) bytes: Arc<[u8]>,
    /// Where its key is; `None` for null.
    pub(crate) key: Option<Range<usize>>,
    /// Where its value is; `None` for null.
    pub(crate) value: Option<Range<usize>>,
}

impl OwnRecord {
    /// Returns its key.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key.clone().map(|range| &self.bytes[range])
    }

    /// Returns its value.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.clone().map(|range| &self.bytes[range])
    }

    /// Returns it as readers see it.
    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key(),
            value: self.value(),
            headers: Headers::NONE,
        }
    }
}
