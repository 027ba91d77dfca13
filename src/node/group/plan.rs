//! The plan that the state of a group was built with, kept as the first row of its changelog.
//!
//! A state of another plan would be misread. So the first process of a group writes its plan, and
//! every other process is compared with it before it joins. From that plan a process also learns
//! the columns' types, which are then the same in all of them. If several processes are the first
//! at the same time, the one whose plan comes first in the topic wins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::changelog::{SETTINGS, name_of};
use super::restore::LogReader;
use crate::column::DataType;
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::producer::{Block, Options, Producer, Record};

/// How the key of a row with a plan begins. The writer draws the rest at random: if several processes
/// begin at the same time, each leaves a row, and the first counts, even after compaction. Earlier
/// versions had only one such row, and this was its whole key. No window's key begins like this: the
/// window would lie millions of years ahead.
const PLAN: &[u8] = b"plan";

/// Returns whether a row of the changelog holds a plan.
pub(super) fn is_plan(key: &[u8]) -> bool {
    let rest = key.strip_prefix(PLAN);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
}

/// The columns of the input with their types.
pub const COLUMNS: &str = "columns";

/// What distinguishes a state from another that was built with the same plan.
const ID: &str = "id";

/// How states are written; another number where they cannot be read any more.
const STATE: &str = "1";

/// What a state depends on: flags and what was typed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described(Vec<(String, String)>);

impl Described {
    /// Returns the description of a plan by its flags; a flag that was not given is empty.
    pub fn new<'f>(flags: impl IntoIterator<Item = (&'f str, String)>) -> Self {
        let flags = flags
            .into_iter()
            .map(|(flag, typed)| (flag.to_owned(), typed));
        let state = ("state".to_owned(), STATE.to_owned());
        Described(flags.chain([state]).collect())
    }

    /// Returns what was typed for a flag.
    pub fn get(&self, flag: &str) -> Option<&str> {
        let mut flags = self.0.iter();
        let found = flags.find(|(name, _)| name == flag);
        found.map(|(_, typed)| typed.as_str())
    }

    /// Returns every flag with what was typed for it, in order.
    pub(super) fn to_vec(&self) -> Vec<(String, String)> {
        self.0.clone()
    }

    /// Reads the plan that a group's state was built with; `None` for a group without a state.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the topic may not be read.
    pub fn load(admin: &Admin, settings: &Settings, group: &str) -> Result<Option<Self>> {
        let topic = name_of(group);
        if admin.find_topic(&topic)?.is_none() {
            return Ok(None);
        }
        let reader = LogReader {
            topic,
            settings: settings.clone(),
        };
        let mut found = None;
        let is_enough = AtomicBool::new(false);
        let held = reader.extent(admin, 0)?;
        reader.each(0, held, &is_enough, |key, value| {
            if is_plan(key) && found.is_none() {
                found = value.and_then(|json| serde_json::from_slice(json).ok());
                is_enough.store(true, Ordering::Relaxed);
            }
        })?;
        Ok(found.map(Described))
    }

    /// Writes the plan down for a group that has no state yet, with a mark of this state's own.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the topic may not be created.
    pub fn store(
        &self,
        admin: &Admin,
        settings: &Settings,
        group: &str,
        partitions: usize,
    ) -> Result<()> {
        let topic = name_of(group);
        admin.create_if_missing(&topic, partitions as i32, &SETTINGS)?;
        let options = Options {
            may_double: true, // the topic is compacted
            ..Options::default()
        };
        let mut producer = Producer::new(settings, &options)?;
        let topic = producer.topic(&topic)?;
        let id = (ID.to_owned(), format!("{:016x}", rand::random::<u64>()));
        let key = [PLAN, b"-", id.1.as_bytes()].concat();
        let row: Vec<_> = self.0.iter().chain([&id]).collect();
        let json = serde_json::to_vec(&row)
            .map_err(|error| Error::bug(format!("a plan cannot be written: {error}")))?;
        let length = json.len();
        let record = Record {
            key: Some(&key),
            value: Some(0..length),
            ..Record::default()
        };
        producer.send(topic, &Arc::new(Block::from(json)), &record)?;
        producer.flush(|_| {})
    }

    /// Returns the error about a state of other types than it would have to take.
    pub fn other_type(group: &str, (text, was, is): (String, DataType, DataType)) -> Error {
        Error::refused(format!(
            "the state of group `{group}` was built with another type: `{text}` was {was} and is {is}"
        ))
        .hint(
            "begin anew with `--reset`, which forgets state and offsets, or as another `--group`",
        )
    }

    /// Refuses to go on with a state that another plan has built.
    ///
    /// # Errors
    /// `refused`, with what differs and the ways out.
    pub fn check(&self, group: &str, built_with: &Described) -> Result<()> {
        let typed = |described: &Described, flag: &str| match described.get(flag) {
            None | Some("") => "not given".to_owned(),
            Some(typed) => format!("`{typed}`"),
        };
        // Of the columns only those types matter that states depend on, which the plan compares.
        let flags = self.0.iter().filter(|(flag, _)| flag != COLUMNS);
        let differs = flags.into_iter().find_map(|(flag, now)| {
            let same = built_with.get(flag).unwrap_or("") == now;
            (!same).then(|| (flag, typed(built_with, flag), typed(self, flag)))
        });
        let Some((flag, was, is)) = differs else {
            return Ok(());
        };
        Err(Error::refused(format!(
            "the state of group `{group}` was built with another plan: {flag} was {was} and is {is}"
        ))
        .hint(
            "begin as another `--group`, or anew with `--reset`, which forgets state and offsets",
        ))
    }
}
