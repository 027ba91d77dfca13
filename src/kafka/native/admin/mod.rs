//! Requests for administration: topics, settings, groups, offsets.

mod groups;

use std::ffi::{CString, c_char, c_int};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;
use rdkafka::error::RDKafkaErrorCode;

use crate::error::Result;
use crate::kafka::native::{Owned, c_text, refusal, rust_slice, rust_text};
use crate::kafka::{Failure, REQUEST_TIMEOUT};
pub use groups::{Group, Member};

/// One setting of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As Kafka calls it: `retention.ms`.
    pub name: String,
    /// `None` where the broker keeps it secret.
    pub value: Option<String>,
    /// Whether it is not set for this topic.
    pub is_default: bool,
}

/// What of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetOf {
    /// The first record that is there.
    Earliest,
    /// The high watermark: one past the last record, transaction markers included.
    Latest,
    /// The last stable offset: where readers of committed records come to now, which is the first
    /// record of the oldest open transaction, or the high watermark.
    LastStable,
    /// The record with the highest timestamp.
    MaxTimestamp,
    /// The first record at or after a time in ms since 1970.
    Time(i64),
}

/// A partition, the offset that was asked for and that record's timestamp; -1 where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetInfo {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset, or why there is none.
    pub offset: Result<i64, RDKafkaErrorCode>,
    /// In ms since 1970.
    pub timestamp: i64,
}

/// The id of a topic, where the broker has one, or why it is not known.
pub type TopicIdentity = Result<Option<String>, RDKafkaErrorCode>;

/// Sends admin requests through a client and waits for the answers.
pub(in crate::kafka) struct Requests<'a> {
    /// The client; it outlives the requests.
    rk: *mut rd::rd_kafka_t,
    /// Called every some milliseconds while waiting; its error ends the wait.
    tick: &'a dyn Fn() -> Result<()>,
}

impl<'a> Requests<'a> {
    pub fn new(
        client: &'a rdkafka::client::NativeClient,
        tick: &'a dyn Fn() -> Result<()>,
    ) -> Self {
        let rk = client.ptr();
        Requests { rk, tick }
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Safety
    /// `send` calls the librdkafka function of `op` with these options and this queue.
    unsafe fn ask(
        &self,
        op: Op,
        send: impl FnOnce(*const rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
    ) -> Result<Owned<rd::rd_kafka_event_t>, Failure> {
        const POLL_TIMEOUT: Duration = Duration::from_millis(20);
        // SAFETY: the client lives as long as `self`; options and queue live until the answer.
        unsafe {
            let options = Owned::new(
                rd::rd_kafka_AdminOptions_new(self.rk, op),
                rd::rd_kafka_AdminOptions_destroy,
            )?;
            let timeout = REQUEST_TIMEOUT.as_millis() as c_int;
            let mut reason = [0; 256];
            rd::rd_kafka_AdminOptions_set_request_timeout(
                options.ptr(),
                timeout,
                reason.as_mut_ptr(),
                reason.len(),
            );
            let queue = Owned::new(rd::rd_kafka_queue_new(self.rk), rd::rd_kafka_queue_destroy)?;
            send(options.ptr(), queue.ptr());
            let deadline = Instant::now() + REQUEST_TIMEOUT + Duration::from_secs(1);
            loop {
                let event = rd::rd_kafka_queue_poll(queue.ptr(), POLL_TIMEOUT.as_millis() as c_int);
                if !event.is_null() {
                    let event = Owned::new(event, rd::rd_kafka_event_destroy)?;
                    let code = rd::rd_kafka_event_error(event.ptr());
                    refusal(
                        code,
                        rust_text(rd::rd_kafka_event_error_string(event.ptr())),
                    )?;
                    return Ok(event);
                }
                (self.tick)()?;
                if Instant::now() > deadline {
                    let timed_out = RDKafkaErrorCode::OperationTimedOut;
                    return Err(Failure::Refused(timed_out, timed_out.to_string()));
                }
            }
        }
    }

    /// Creates a topic; a replication of -1 is the broker's default.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        settings: &[(String, String)],
        only_check: bool,
    ) -> Result<(), Failure> {
        let c_name = c_text(name)?;
        let mut reason = [0; 512];
        // SAFETY: the topic and the answer live until the end of this function.
        unsafe {
            let made = rd::rd_kafka_NewTopic_new(
                c_name.as_ptr(),
                partitions,
                replication,
                reason.as_mut_ptr(),
                reason.len(),
            );
            if made.is_null() {
                let reason = rust_text(reason.as_ptr());
                return Err(Failure::Refused(RDKafkaErrorCode::InvalidArgument, reason));
            }
            let topic = Owned::new(made, rd::rd_kafka_NewTopic_destroy)?;
            for (name, value) in settings {
                let (name, value) = (c_text(name)?, c_text(value)?);
                rd::rd_kafka_NewTopic_set_config(topic.ptr(), name.as_ptr(), value.as_ptr());
            }
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_CREATETOPICS, |options, queue| {
                let (reason, size) = (reason.as_mut_ptr(), reason.len());
                rd::rd_kafka_AdminOptions_set_validate_only(
                    options.cast_mut(),
                    only_check.into(),
                    reason,
                    size,
                );
                rd::rd_kafka_CreateTopics(self.rk, &mut topic.ptr(), 1, options, queue);
            })?;
            let answer = rd::rd_kafka_event_CreateTopics_result(event.ptr());
            let mut count = 0;
            let topics = rd::rd_kafka_CreateTopics_result_topics(answer, &mut count);
            topic_results(rust_slice(topics, count))
        }
    }

    /// Deletes a topic with its records.
    pub fn delete_topic(&self, name: &str) -> Result<(), Failure> {
        let c_name = c_text(name)?;
        // SAFETY: the topic and the answer live until the end of this function.
        unsafe {
            let topic = Owned::new(
                rd::rd_kafka_DeleteTopic_new(c_name.as_ptr()),
                rd::rd_kafka_DeleteTopic_destroy,
            )?;
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_DELETETOPICS, |options, queue| {
                rd::rd_kafka_DeleteTopics(self.rk, &mut topic.ptr(), 1, options, queue);
            })?;
            let answer = rd::rd_kafka_event_DeleteTopics_result(event.ptr());
            let mut count = 0;
            let topics = rd::rd_kafka_DeleteTopics_result_topics(answer, &mut count);
            topic_results(rust_slice(topics, count))
        }
    }

    /// Returns the ids by which brokers distinguish topics of the same name; `None` of a broker
    /// that has none.
    pub fn topic_ids(&self, names: &[&str]) -> Result<Vec<(String, TopicIdentity)>, Failure> {
        let c_names: Vec<CString> = names
            .iter()
            .map(|name| c_text(name))
            .collect::<Result<_>>()?;
        let mut c_names: Vec<*const c_char> = c_names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: names, request and answer live until the end of this function, and ids as long as
        // the answer.
        unsafe {
            let request = Owned::new(
                rd::rd_kafka_TopicCollection_of_topic_names(c_names.as_mut_ptr(), c_names.len()),
                rd::rd_kafka_TopicCollection_destroy,
            )?;
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, |options, queue| {
                rd::rd_kafka_DescribeTopics(self.rk, request.ptr(), options, queue);
            })?;
            let answer = rd::rd_kafka_event_DescribeTopics_result(event.ptr());
            let mut count = 0;
            let topics = rd::rd_kafka_DescribeTopics_result_topics(answer, &mut count);
            let topics = rust_slice(topics, count).iter().map(|&topic| {
                let name = rust_text(rd::rd_kafka_TopicDescription_name(topic));
                let error = rd::rd_kafka_TopicDescription_error(topic);
                let code = if error.is_null() {
                    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
                } else {
                    rd::rd_kafka_error_code(error)
                };
                let known = code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
                let id = if known {
                    Ok(uuid_text(rd::rd_kafka_TopicDescription_topic_id(topic)))
                } else {
                    Err(code.into())
                };
                (name, id)
            });
            Ok(topics.collect())
        }
    }

    /// Deletes the records of partitions that lie before the offsets of a list.
    pub fn delete_records(&self, before: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: the list, the request and the answer live until the end of this function.
        unsafe {
            let request = Owned::new(
                rd::rd_kafka_DeleteRecords_new(before.ptr()),
                rd::rd_kafka_DeleteRecords_destroy,
            )?;
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_DELETERECORDS, |options, queue| {
                rd::rd_kafka_DeleteRecords(self.rk, &mut request.ptr(), 1, options, queue);
            })?;
            let answer = rd::rd_kafka_event_DeleteRecords_result(event.ptr());
            let mut results = elements(rd::rd_kafka_DeleteRecords_result_offsets(answer)).iter();
            results.try_for_each(|element| refusal(element.err, String::new()))
        }
    }

    /// Gives a topic more partitions, `total` in all.
    pub fn create_partitions(&self, topic: &str, total: usize) -> Result<(), Failure> {
        let c_topic = c_text(topic)?;
        let mut reason = [0; 512];
        // SAFETY: the request and the answer live until the end of this function.
        unsafe {
            let made = rd::rd_kafka_NewPartitions_new(
                c_topic.as_ptr(),
                total,
                reason.as_mut_ptr(),
                reason.len(),
            );
            if made.is_null() {
                let reason = rust_text(reason.as_ptr());
                return Err(Failure::Refused(RDKafkaErrorCode::InvalidArgument, reason));
            }
            let partitions = Owned::new(made, rd::rd_kafka_NewPartitions_destroy)?;
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, |options, queue| {
                rd::rd_kafka_CreatePartitions(self.rk, &mut partitions.ptr(), 1, options, queue);
            })?;
            let answer = rd::rd_kafka_event_CreatePartitions_result(event.ptr());
            let mut count = 0;
            let topics = rd::rd_kafka_CreatePartitions_result_topics(answer, &mut count);
            topic_results(rust_slice(topics, count))
        }
    }

    /// Returns the settings of a topic.
    pub fn topic_settings(&self, topic: &str) -> Result<Vec<Setting>, Failure> {
        let resource = topic_resource(topic)?;
        // SAFETY: the resource and the answer live until the end of this function.
        unsafe {
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, |options, queue| {
                rd::rd_kafka_DescribeConfigs(self.rk, &mut resource.ptr(), 1, options, queue);
            })?;
            let answer = rd::rd_kafka_event_DescribeConfigs_result(event.ptr());
            let mut count = 0;
            let resources = rd::rd_kafka_DescribeConfigs_result_resources(answer, &mut count);
            let mut settings = Vec::new();
            for &resource in rust_slice(resources, count) {
                resource_result(resource)?;
                let mut count = 0;
                let entries = rd::rd_kafka_ConfigResource_configs(resource, &mut count);
                settings.extend(rust_slice(entries, count).iter().map(|&entry| {
                    let value = rd::rd_kafka_ConfigEntry_value(entry);
                    let source = rd::rd_kafka_ConfigEntry_source(entry);
                    Setting {
                        name: rust_text(rd::rd_kafka_ConfigEntry_name(entry)),
                        value: (!value.is_null()).then(|| rust_text(value)),
                        is_default: source
                            != rd::rd_kafka_ConfigSource_t::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG,
                    }
                }));
            }
            Ok(settings)
        }
    }

    /// Changes settings of a topic and leaves the others alone; `None` takes a setting back.
    pub fn alter_settings(
        &self,
        topic: &str,
        changes: &[(String, Option<String>)],
    ) -> Result<(), Failure> {
        use rd::rd_kafka_AlterConfigOpType_t as Change;
        let resource = topic_resource(topic)?;
        // SAFETY: the resource and the answer live until the end of this function.
        unsafe {
            for (name, value) in changes {
                let name = c_text(name)?;
                let (change, value) = match value {
                    Some(value) => (Change::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, c_text(value)?),
                    None => (
                        Change::RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE,
                        CString::default(),
                    ),
                };
                let error = rd::rd_kafka_ConfigResource_add_incremental_config(
                    resource.ptr(),
                    name.as_ptr(),
                    change,
                    value.as_ptr(),
                );
                failure_of(error)?;
            }
            let event = self.ask(
                Op::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
                |options, queue| {
                    rd::rd_kafka_IncrementalAlterConfigs(
                        self.rk,
                        &mut resource.ptr(),
                        1,
                        options,
                        queue,
                    );
                },
            )?;
            let answer = rd::rd_kafka_event_IncrementalAlterConfigs_result(event.ptr());
            let mut count = 0;
            let resources =
                rd::rd_kafka_IncrementalAlterConfigs_result_resources(answer, &mut count);
            rust_slice(resources, count)
                .iter()
                .try_for_each(|&resource| resource_result(resource))
        }
    }

    /// Returns an offset of each partition, whether its records are committed or not.
    pub fn list_offsets(
        &self,
        partitions: &[(&str, i32)],
        wanted: OffsetOf,
    ) -> Result<Vec<OffsetInfo>, Failure> {
        use rd::rd_kafka_OffsetSpec_t as Spec;
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let spec = match wanted {
            OffsetOf::Earliest => Spec::RD_KAFKA_OFFSET_SPEC_EARLIEST as i64,
            OffsetOf::Latest | OffsetOf::LastStable => Spec::RD_KAFKA_OFFSET_SPEC_LATEST as i64,
            OffsetOf::MaxTimestamp => Spec::RD_KAFKA_OFFSET_SPEC_MAX_TIMESTAMP as i64,
            // Below zero are the marks above; no record is older than 1970 for Kafka.
            OffsetOf::Time(time) => time.max(0),
        };
        let list = TopicPartitionList::with_capacity(partitions.len());
        // SAFETY: the list and the answer live until the end of this function.
        unsafe {
            for &(topic, partition) in partitions {
                let topic = c_text(topic)?;
                let added =
                    rd::rd_kafka_topic_partition_list_add(list.ptr(), topic.as_ptr(), partition);
                (*added).offset = spec;
            }
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS, |options, queue| {
                if wanted == OffsetOf::LastStable {
                    let level =
                        rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
                    let refused =
                        rd::rd_kafka_AdminOptions_set_isolation_level(options.cast_mut(), level);
                    rd::rd_kafka_error_destroy(refused); // none: the request has this option
                }
                rd::rd_kafka_ListOffsets(self.rk, list.ptr(), options, queue);
            })?;
            let answer = rd::rd_kafka_event_ListOffsets_result(event.ptr());
            let mut count = 0;
            let infos = rd::rd_kafka_ListOffsets_result_infos(answer, &mut count);
            let infos = rust_slice(infos, count).iter().map(|&info| {
                let element = &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
                let known = element.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
                OffsetInfo {
                    topic: rust_text(element.topic),
                    partition: element.partition,
                    offset: match known {
                        // The client has no broker to ask, and reports no error.
                        true if element.offset == i64::from(rd::RD_KAFKA_OFFSET_INVALID) => {
                            Err(RDKafkaErrorCode::LeaderNotAvailable)
                        }
                        true => Ok(element.offset),
                        false => Err(element.err.into()),
                    },
                    timestamp: rd::rd_kafka_ListOffsetsResultInfo_timestamp(info),
                }
            });
            Ok(infos.collect())
        }
    }
}

/// Returns an id as text; `None` for one that is all zeros, or null.
///
/// # Safety
/// The id is librdkafka's, or null.
unsafe fn uuid_text(id: *const rd::rd_kafka_Uuid_t) -> Option<String> {
    if id.is_null() {
        return None;
    }
    // SAFETY: as promised by the caller.
    let (high, low) = unsafe {
        (
            rd::rd_kafka_Uuid_most_significant_bits(id),
            rd::rd_kafka_Uuid_least_significant_bits(id),
        )
    };
    ((high, low) != (0, 0)).then(|| format!("{high:016x}{low:016x}"))
}

/// Returns the first refusal among results for topics.
///
/// # Safety
/// The results are librdkafka's.
unsafe fn topic_results(results: &[*const rd::rd_kafka_topic_result_t]) -> Result<(), Failure> {
    results.iter().try_for_each(|&result| {
        // SAFETY: as promised by the caller.
        unsafe {
            let reason = rust_text(rd::rd_kafka_topic_result_error_string(result));
            refusal(rd::rd_kafka_topic_result_error(result), reason)
        }
    })
}

/// # Safety
/// The resource is librdkafka's.
unsafe fn resource_result(resource: *const rd::rd_kafka_ConfigResource_t) -> Result<(), Failure> {
    // SAFETY: as promised by the caller.
    unsafe {
        let reason = rust_text(rd::rd_kafka_ConfigResource_error_string(resource));
        refusal(rd::rd_kafka_ConfigResource_error(resource), reason)
    }
}

/// # Safety
/// The error is librdkafka's, or null.
unsafe fn error_result(error: *const rd::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as promised by the caller.
    unsafe {
        refusal(
            rd::rd_kafka_error_code(error),
            rust_text(rd::rd_kafka_error_string(error)),
        )
    }
}

/// As [`error_result`], and gives the error back.
///
/// # Safety
/// The error is librdkafka's and the caller's own, or null.
unsafe fn failure_of(error: *mut rd::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    let error = Owned::new(error, rd::rd_kafka_error_destroy)?;
    // SAFETY: as promised by the caller.
    unsafe { error_result(error.ptr()) }
}

fn topic_resource(topic: &str) -> Result<Owned<rd::rd_kafka_ConfigResource_t>> {
    let topic = c_text(topic)?;
    let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    // SAFETY: the name is copied.
    let made = unsafe { rd::rd_kafka_ConfigResource_new(kind, topic.as_ptr()) };
    Owned::new(made, rd::rd_kafka_ConfigResource_destroy)
}

/// Returns the elements of a partition list; empty for null.
///
/// # Safety
/// The list is null or lives as long as `'a`.
unsafe fn elements<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    if list.is_null() {
        return &[];
    }
    // SAFETY: as promised by the caller.
    unsafe { rust_slice((*list).elems, (*list).cnt as usize) }
}
