//! The internal topics of a group, which hold the state of its tasks and what they send to each
//! other, and whether the topics and the group's offsets fit together.

use super::changelog::{self, Changelog};
use super::commit_metadata::CommitMetadata;
use super::plan::Described;
use super::repartition::{self, Repartition};
use super::task::{Task, Work};
use crate::error::{Error, Result};
use crate::kafka::admin::{Admin, Topic};
use crate::kafka::fetch::Fetcher;
use crate::kafka::producer::Producer;
use crate::kafka::{Settings, check_topic_name};
use crate::node::join;
use crate::sink::topic::Shared;
use crate::source::Committed;
use crate::source::kafka::Starts;

/// Where the tasks of a process write at a commit, beside their rows.
pub(super) struct Topics {
    pub changelog: Changelog,
    /// `Some` where records are not grouped by their key.
    pub repartition: Option<Repartition>,
}

impl Topics {
    /// Opens the topics of a group, which are created where they are missing, with as many
    /// partitions as the input.
    pub fn open(
        admin: &Admin,
        settings: &Settings,
        group: &str,
        partitions: usize,
        is_repartitioned: bool,
        input: Option<String>,
        producer: &Shared,
    ) -> Result<Self> {
        let changelog = changelog::name_of(group);
        open(admin, &changelog, group, partitions, &changelog::SETTINGS)?;
        let repartition = repartition::name_of(group);
        Ok(Topics {
            changelog: Changelog::open(changelog, input, producer)?,
            repartition: if is_repartitioned {
                let kept = &repartition::SETTINGS;
                let topic = open(admin, &repartition, group, partitions, kept)?;
                Some(Repartition::open(admin, settings, &topic, producer)?)
            } else {
                None
            },
        })
    }

    /// Sends what a task has to keep, or to send on.
    pub fn write(&self, task: &mut Task, producer: &mut Producer) -> Result<()> {
        match (&task.work, &self.repartition) {
            (Work::Upstream(_), Some(repartition)) => repartition.write(task, producer),
            _ => self.changelog.write(task, producer),
        }
    }
}

/// Makes sure that a topic exists with as many partitions as the input.
pub(in crate::node) fn open(
    admin: &Admin,
    name: &str,
    group: &str,
    partitions: usize,
    settings: &[(&str, &str)],
) -> Result<Topic> {
    let topic = match admin.find_topic(name)? {
        Some(topic) => topic,
        None => admin.create_if_missing(name, partitions as i32, settings)?,
    };
    match topic.partitions.len() {
        found if found == partitions => Ok(topic),
        found => Err(has_grown(group, partitions, found)),
    }
}

/// Returns the error of an input whose partitions are not as many as those of the group's state.
pub(in crate::node) fn has_grown(group: &str, has: usize, had: usize) -> Error {
    Error::refused(format!(
        "the topic has {has} partitions, and the state of group `{group}` was built with {had}"
    ))
    .hint("the records of a key may now be in other partitions: start over with `--reset`, or use another group")
}

/// Returns the topics that hold a group's state, and what its tasks send on.
///
/// # Errors
/// `retry` when no broker answers.
pub fn state_topics(admin: &Admin, group: &str) -> Result<Vec<String>> {
    let names = [changelog::name_of(group), repartition::name_of(group)];
    let names = names.into_iter().chain(join::group::internal_topics(group));
    let names: Vec<String> = names.collect();
    let names = names.iter().filter(|name| check_topic_name(name).is_ok());
    let found = names.map(|name| admin.find_topic(name));
    let found: Vec<_> = found.collect::<Result<_>>()?;
    Ok(found
        .into_iter()
        .flatten()
        .map(|topic| topic.name)
        .collect())
}

/// Returns whether the group's repartition topic exists.
///
/// # Errors
/// `retry` when no broker answers.
pub fn has_repartition(admin: &Admin, group: &str) -> Result<bool> {
    let topic = admin.find_topic(&repartition::name_of(group))?;
    Ok(topic.is_some())
}

/// Refuses to go on where the group's repartition topic is gone.
///
/// # Errors
/// `refused`, with the ways out.
pub fn refuse_lost_repartition(
    admin: &Admin,
    settings: &Settings,
    group: &str,
    starts: &Starts,
) -> Result<()> {
    if has_repartition(admin, group)? {
        return Ok(());
    }
    match refuse_lost_state(settings, group, starts) {
        // Another process has created it meanwhile.
        Err(_) if has_repartition(admin, group)? => Ok(()),
        refused => refused,
    }
}

/// Refuses to begin with what an earlier group of the same name has left in the topic by which
/// records are brought together.
///
/// # Errors
/// `refused`, with the way out.
pub fn refuse_remains(admin: &Admin, settings: &Settings, group: &str) -> Result<()> {
    // Where another process has been quicker, the topic is there after the plan.
    if !has_repartition(admin, group)? || Described::load(admin, settings, group)?.is_some() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "topic `{}` exists, but there is no state of group `{group}`",
        repartition::name_of(group)
    ))
    .hint("start over with `--reset`, which deletes it, or use another `--group`"))
}

/// Forgets a group's state and offsets; no process of it may be running.
///
/// # Errors
/// `refused` where one is.
pub fn reset(admin: &Admin, group: &str) -> Result<()> {
    admin.delete_group(group)?;
    let topics = state_topics(admin, group)?;
    topics
        .iter()
        .try_for_each(|topic| admin.delete_topic(topic))
}

/// Refuses to go on where a group has committed offsets of a topic and its state is gone.
///
/// # Errors
/// `refused`, with the ways out.
pub fn refuse_lost_state(settings: &Settings, group: &str, starts: &Starts) -> Result<()> {
    let topic = starts.topic();
    let commits = committed(settings, group, starts)?;
    let of_a_task = |commit: &Committed| CommitMetadata::parse(&commit.metadata).is_some();
    if commits.iter().flatten().any(of_a_task) {
        Err(Error::refused(format!(
            "group `{group}` has read topic `{topic}`, but there is no state of it"
        ))
        .hint("start over with `--reset`, which deletes its offsets, or use another `--group`"))
    } else {
        Ok(())
    }
}

/// Returns where a group has come to in each partition, asked as a consumer would: librdkafka's
/// request for administrators crashes on a coordinator that is still loading.
pub(in crate::node) fn committed(
    settings: &Settings,
    group: &str,
    starts: &Starts,
) -> Result<Vec<Option<Committed>>> {
    let numbers: Vec<i32> = starts.iter().map(|(number, _)| number).collect();
    Fetcher::new(settings, starts.topic(), Some(group))?.committed(&numbers)
}
