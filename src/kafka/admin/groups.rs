//! Consumer groups: their members and their offsets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::offsets::offset_list;
use super::{Admin, Group, Member, nearest};
use crate::error::{Error, Result};
use crate::kafka::{Context, REQUEST_TIMEOUT, is_settling, not_created};
use crate::record::Committed;

impl Admin {
    /// Returns all groups of consumers by name, those that share records (KIP-932) and of Kafka Streams
    /// (KIP-1071), too.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub(crate) fn groups(&self) -> Result<Vec<Group>> {
        let groups = if self.is_direct() {
            self.find_groups()
        } else {
            self.ask(|requests| requests.groups())
        };
        let mut groups = groups.map_err(|failure| failure.into_error("list the groups"))?;
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    /// Returns a group that must exist, and its members.
    ///
    /// # Errors
    /// `refused` when it does not exist.
    pub fn group(&self, name: &str) -> Result<(Group, Vec<Member>)> {
        let described = self.ask(|requests| requests.group(name));
        match described {
            Ok((group, _)) if group.state == "dead" => Err(self.unknown_group(name)),
            Err(failure) if failure.code() == Some(RDKafkaErrorCode::GroupIdNotFound) => {
                Err(self.unknown_group(name))
            }
            Err(failure) => Err(failure.into_error(format!("describe group `{name}`"))),
            Ok(described) => Ok(described),
        }
    }

    fn unknown_group(&self, name: &str) -> Error {
        let error = Error::refused(format!("group `{name}` does not exist"));
        let groups = self.groups().unwrap_or_default();
        match nearest(name, groups.iter().map(|group| group.name.as_str())) {
            Some(near) => error.hint(format!(
                "did you mean `{near}`? `k group list` shows them all"
            )),
            None => error.hint("`k group list` shows the groups"),
        }
    }

    /// Returns the offsets that a group has committed, by topic and partition.
    ///
    /// # Errors
    /// `refused` with the broker's reason.
    pub(crate) fn group_offsets(&self, name: &str) -> Result<BTreeMap<(String, i32), i64>> {
        let committed = self.group_commits(name)?.into_iter();
        Ok(committed
            .map(|(place, committed)| (place, committed.offset))
            .collect())
    }

    /// Returns the offsets that a group has committed and what was noted beside them, by topic and
    /// partition.
    ///
    /// # Errors
    /// `refused` with the broker's reason.
    pub(crate) fn group_commits(&self, name: &str) -> Result<BTreeMap<(String, i32), Committed>> {
        let consumer = self.grouped(name)?;
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let commits = loop {
            let client = consumer.client().native_client();
            match self.ask_by(client, |requests| requests.group_offsets(name)) {
                // After a start of the broker the group's coordinator needs some time.
                Err(failure)
                    if failure.code().is_some_and(is_settling) && Instant::now() < deadline =>
                {
                    let soon = Instant::now() + Duration::from_millis(100);
                    self.settings.interrupt.sleep_until(soon);
                }
                commits => break commits,
            }
        };
        let commits = commits
            .map_err(|failure| failure.into_error(format!("read the offsets of group `{name}`")))?;
        let commits = commits.into_iter();
        Ok(commits
            .map(|(topic, partition, committed)| ((topic, partition), committed))
            .collect())
    }

    /// Returns a client of a group: of `name`, if there is none yet.
    fn grouped(&self, name: &str) -> Result<&BaseConsumer<Context>> {
        if let Some(known) = self.grouped.get() {
            return Ok(known);
        }
        let (context, _) = self.settings.context();
        let client = self.settings.config(&[("group.id", name)])?;
        let client = client.create_with_context(context).map_err(not_created)?;
        Ok(self.grouped.get_or_init(|| client))
    }

    /// Deletes a group with its offsets; it is not an error if there is none.
    ///
    /// # Errors
    /// `refused` when the group has members.
    pub(crate) fn delete_group(&self, name: &str) -> Result<()> {
        let deleted = self.ask(|requests| requests.delete_group(name));
        deleted.or_else(|failure| match failure.code() {
            Some(RDKafkaErrorCode::GroupIdNotFound) => Ok(()),
            Some(RDKafkaErrorCode::NonEmptyGroup) => {
                Err(Error::refused(format!("group `{name}` has members"))
                    .hint("stop its members first; `k group describe` shows them"))
            }
            _ => Err(failure.into_error(format!("delete group `{name}`"))),
        })
    }

    /// Sets the committed offsets of a group that has no members.
    ///
    /// # Errors
    /// `refused` when the group has members.
    pub(crate) fn set_group_offsets(
        &self,
        name: &str,
        offsets: &BTreeMap<(String, i32), i64>,
    ) -> Result<()> {
        let offsets = offsets.iter();
        let list = offset_list(offsets.map(|(place, offset)| (place.clone(), *offset)))?;
        let set = self.ask(|requests| requests.set_group_offsets(name, &list));
        set.map_err(|failure| {
            let has_members = matches!(
                failure.code(),
                Some(RDKafkaErrorCode::NonEmptyGroup | RDKafkaErrorCode::UnknownMemberId)
            );
            let error = failure.into_error(format!("set the offsets of group `{name}`"));
            if has_members {
                error.hint("stop its members first; `k group describe` shows them")
            } else {
                error
            }
        })
    }
}
