//! The internal topics of a group, which hold what its tasks keep and what they tell each other.

use super::changelog::{self, Changelog};
use super::repartition::{self, Repartition};
use super::task::{Task, Work};
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::producer::Producer;
use crate::sink::topic::Shared;

/// Where the tasks of a process write at a commit, beside their rows.
pub(super) struct Topics {
    pub changelog: Changelog,
    /// There where records are grouped by something else than their key.
    pub repartition: Option<Repartition>,
}

impl Topics {
    /// Opens the topics of a group, which are created where they are missing, with as many
    /// partitions as the input.
    pub fn open(
        settings: &Settings,
        group: &str,
        partitions: usize,
        is_repartitioned: bool,
        producer: &Shared,
    ) -> Result<Self> {
        let admin = Admin::new(settings)?;
        let changelog = changelog::name_of(group);
        open(&admin, &changelog, group, partitions, &changelog::SETTINGS)?;
        let repartition = repartition::name_of(group);
        Ok(Topics {
            changelog: Changelog::open(changelog, producer)?,
            repartition: match is_repartitioned {
                false => None,
                true => {
                    let kept = &repartition::SETTINGS;
                    open(&admin, &repartition, group, partitions, kept)?;
                    let opened = Repartition::open(&admin, settings, &repartition, producer);
                    Some(opened?)
                }
            },
        })
    }

    /// Sends what a task has to keep, or to hand on.
    pub fn write(&self, task: &mut Task, producer: &mut Producer) -> Result<()> {
        match (&task.work, &self.repartition) {
            (Work::Upstream(_), Some(repartition)) => repartition.write(task, producer),
            _ => self.changelog.write(task, producer),
        }
    }
}

/// Sees to it that a topic is there with as many partitions as the input.
fn open(
    admin: &Admin,
    name: &str,
    group: &str,
    partitions: usize,
    settings: &[(&str, &str)],
) -> Result<()> {
    let topic = match admin.find_topic(name)? {
        Some(topic) => topic,
        None => admin.create_if_missing(name, partitions as i32, settings)?,
    };
    match topic.partitions.len() {
        found if found == partitions => Ok(()),
        found => Err(has_grown(group, partitions, found)),
    }
}

/// Returns the error of an input whose partitions are not as many as those of the group's state.
pub(super) fn has_grown(group: &str, has: usize, had: usize) -> Error {
    Error::refused(format!(
        "the topic has {has} partitions, and the state of group `{group}` was built with {had}"
    ))
    .hint("a key's records may lie in other partitions now: begin anew with `--reset`, or as another group")
}
