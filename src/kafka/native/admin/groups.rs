//! Requests about consumer groups: their members and their offsets.

use rdkafka::TopicPartitionList;
use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;

use super::{Requests, elements, error_result};
use crate::error::Error;
use crate::kafka::Failure;
use crate::kafka::native::{Owned, c_text, refusal, rust_slice, rust_text};
use crate::record::Committed;

/// A consumer group as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// `stable`, `empty`, …
    pub state: String,
    /// `classic`, `consumer` (KIP-848), `share` (KIP-932), `streams` (KIP-1071), or empty if the broker
    /// does not report it.
    pub protocol: String,
}

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The client's name for itself.
    pub client: String,
    /// Unique in its group.
    pub id: String,
    /// Where it runs, as the broker sees it.
    pub host: String,
    /// What it reads.
    pub partitions: Vec<(String, i32)>,
}

impl Requests<'_> {
    /// Returns all consumer groups.
    pub fn groups(&self) -> Result<Vec<Group>, Failure> {
        // SAFETY: the answer lives until the end of this function.
        unsafe {
            let event = self.ask(
                Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
                |options, queue| {
                    rd::rd_kafka_ListConsumerGroups(self.rk, options, queue);
                },
            )?;
            let answer = rd::rd_kafka_event_ListConsumerGroups_result(event.ptr());
            let mut count = 0;
            let groups = rd::rd_kafka_ListConsumerGroups_result_valid(answer, &mut count);
            let groups = rust_slice(groups, count).iter().map(|&group| Group {
                name: rust_text(rd::rd_kafka_ConsumerGroupListing_group_id(group)),
                state: state_name(rd::rd_kafka_ConsumerGroupListing_state(group)).to_owned(),
                protocol: protocol_name(rd::rd_kafka_ConsumerGroupListing_type(group)).to_owned(),
            });
            Ok(groups.collect())
        }
    }

    /// Returns a group and its members; an unknown group has the state `dead`.
    pub fn group(&self, name: &str) -> Result<(Group, Vec<Member>), Failure> {
        let c_name = c_text(name)?;
        // SAFETY: the name and the answer live until the end of this function.
        unsafe {
            let event = self.ask(
                Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
                |options, queue| {
                    rd::rd_kafka_DescribeConsumerGroups(
                        self.rk,
                        &mut c_name.as_ptr(),
                        1,
                        options,
                        queue,
                    );
                },
            )?;
            let answer = rd::rd_kafka_event_DescribeConsumerGroups_result(event.ptr());
            let mut count = 0;
            let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(answer, &mut count);
            let Some(&group) = rust_slice(groups, count).first() else {
                return Err(Error::bug("a group's description is missing").into());
            };
            error_result(rd::rd_kafka_ConsumerGroupDescription_error(group))?;
            let members =
                (0..rd::rd_kafka_ConsumerGroupDescription_member_count(group)).map(|at| {
                    let member = rd::rd_kafka_ConsumerGroupDescription_member(group, at);
                    let assignment = rd::rd_kafka_MemberDescription_assignment(member);
                    let partitions = rd::rd_kafka_MemberAssignment_partitions(assignment);
                    Member {
                        client: rust_text(rd::rd_kafka_MemberDescription_client_id(member)),
                        id: rust_text(rd::rd_kafka_MemberDescription_consumer_id(member)),
                        host: rust_text(rd::rd_kafka_MemberDescription_host(member)),
                        partitions: elements(partitions)
                            .iter()
                            .map(|element| (rust_text(element.topic), element.partition))
                            .collect(),
                    }
                });
            let members = members.collect();
            let group = Group {
                name: name.to_owned(),
                state: state_name(rd::rd_kafka_ConsumerGroupDescription_state(group)).to_owned(),
                protocol: protocol_name(rd::rd_kafka_ConsumerGroupDescription_type(group))
                    .to_owned(),
            };
            Ok((group, members))
        }
    }

    /// Returns the offsets that a group has committed, and what was noted beside them: topic,
    /// partition, offset and note.
    pub fn group_offsets(&self, name: &str) -> Result<Vec<(String, i32, Committed)>, Failure> {
        let c_name = c_text(name)?;
        // SAFETY: the request and the answer live until the end of this function.
        unsafe {
            let request = Owned::new(
                rd::rd_kafka_ListConsumerGroupOffsets_new(c_name.as_ptr(), std::ptr::null()),
                rd::rd_kafka_ListConsumerGroupOffsets_destroy,
            )?;
            let event = self.ask(
                Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
                |options, queue| {
                    rd::rd_kafka_ListConsumerGroupOffsets(
                        self.rk,
                        &mut request.ptr(),
                        1,
                        options,
                        queue,
                    );
                },
            )?;
            let answer = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event.ptr());
            let mut count = 0;
            let groups = rd::rd_kafka_ListConsumerGroupOffsets_result_groups(answer, &mut count);
            let mut offsets = Vec::new();
            for &group in rust_slice(groups, count) {
                error_result(rd::rd_kafka_group_result_error(group))?;
                for element in elements(rd::rd_kafka_group_result_partitions(group)) {
                    refusal(element.err, String::new())?;
                    if element.offset >= 0 {
                        let note = rust_slice(element.metadata.cast::<u8>(), element.metadata_size);
                        let committed = Committed {
                            offset: element.offset,
                            metadata: String::from_utf8_lossy(note).into_owned(),
                        };
                        offsets.push((rust_text(element.topic), element.partition, committed));
                    }
                }
            }
            Ok(offsets)
        }
    }

    /// Deletes a group that has no members, with its offsets.
    pub fn delete_group(&self, name: &str) -> Result<(), Failure> {
        let c_name = c_text(name)?;
        // SAFETY: the request and the answer live until the end of this function.
        unsafe {
            let request = Owned::new(
                rd::rd_kafka_DeleteGroup_new(c_name.as_ptr()),
                rd::rd_kafka_DeleteGroup_destroy,
            )?;
            let event = self.ask(Op::RD_KAFKA_ADMIN_OP_DELETEGROUPS, |options, queue| {
                rd::rd_kafka_DeleteGroups(self.rk, &mut request.ptr(), 1, options, queue);
            })?;
            let answer = rd::rd_kafka_event_DeleteGroups_result(event.ptr());
            let mut count = 0;
            let groups = rd::rd_kafka_DeleteGroups_result_groups(answer, &mut count);
            let mut groups = rust_slice(groups, count).iter();
            groups.try_for_each(|&group| error_result(rd::rd_kafka_group_result_error(group)))
        }
    }

    /// Sets the committed offsets of a group that has no members.
    pub fn set_group_offsets(
        &self,
        name: &str,
        offsets: &TopicPartitionList,
    ) -> Result<(), Failure> {
        let c_name = c_text(name)?;
        // SAFETY: the request and the answer live until the end of this function.
        unsafe {
            let request = Owned::new(
                rd::rd_kafka_AlterConsumerGroupOffsets_new(c_name.as_ptr(), offsets.ptr()),
                rd::rd_kafka_AlterConsumerGroupOffsets_destroy,
            )?;
            let event = self.ask(
                Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
                |options, queue| {
                    rd::rd_kafka_AlterConsumerGroupOffsets(
                        self.rk,
                        &mut request.ptr(),
                        1,
                        options,
                        queue,
                    );
                },
            )?;
            let answer = rd::rd_kafka_event_AlterConsumerGroupOffsets_result(event.ptr());
            let mut count = 0;
            let groups = rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(answer, &mut count);
            for &group in rust_slice(groups, count) {
                error_result(rd::rd_kafka_group_result_error(group))?;
                for element in elements(rd::rd_kafka_group_result_partitions(group)) {
                    refusal(element.err, String::new())?;
                }
            }
            Ok(())
        }
    }
}

fn state_name(state: rd::rd_kafka_consumer_group_state_t) -> &'static str {
    use rd::rd_kafka_consumer_group_state_t as State;
    match state {
        State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE => "preparing rebalance",
        State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => "completing rebalance",
        State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => "stable",
        State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => "dead",
        State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => "empty",
        _ => "unknown",
    }
}

fn protocol_name(kind: rd::rd_kafka_consumer_group_type_t) -> &'static str {
    use rd::rd_kafka_consumer_group_type_t as Type;
    match kind {
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => "consumer",
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => "classic",
        _ => "",
    }
}
