//! The plan that the state of a group was built with, kept as the first row of its changelog.
//!
//! A state of another plan would be misread. So the first process of a group writes its plan in canonical
//! text, and every other process is compared with it before it joins. From that row a process also
//! learns the columns' types, which are then the same in all of them. If several processes are the first
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
use crate::plan::clauses::{Difference, quoted};
use crate::plan::{Plan, Query};

/// How the key of a row with a plan begins. The writer draws the rest at random: if several processes
/// begin at the same time, each leaves a row, and the first counts, even after compaction. Earlier
/// versions had only one such row, and this was its whole key. No window's key begins like this: the
/// window would lie millions of years ahead.
const PLAN: &[u8] = b"plan";

/// Returns whether a row of the changelog holds a plan.
pub(in crate::node) fn is_plan(key: &[u8]) -> bool {
    let rest = key.strip_prefix(PLAN);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
}

/// The columns of the input with their types.
pub const COLUMNS: &str = "columns";

/// The plan, in its canonical text.
const TEXT: &str = "plan";

const DECIMAL_COMMA: &str = "--decimal-comma";

/// What earlier versions called the flags of windows.
const WINDOW: &str = "the window";

/// The flags of which earlier versions kept what was typed, each by itself.
const TYPED: [&str; 14] = [
    "--by",
    "--agg",
    "--where",
    "--distinct",
    "--change",
    "--time",
    "--time-unit",
    "--arrival",
    "--having",
    "--trigger",
    "--refine",
    "--out-of-order",
    "--ahead",
    "--grace",
];

/// What distinguishes a state from another that was built with the same plan.
const ID: &str = "id";

/// How states are written; another number where they cannot be read any more.
const STATE: &str = "1";

/// What a state depends on: the plan, and what the input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described(Vec<(String, String)>);

impl Described {
    /// Returns the description of a plan over an input, of which each part has a name; what is a default
    /// is empty.
    pub fn new<'f>(plan: &Plan, input: impl IntoIterator<Item = (&'f str, String)>) -> Self {
        Self::of_text(plan.clauses().of_state().to_string(), input)
    }

    /// Returns the description of a plan by its text, with other parts that must be the same.
    pub(in crate::node) fn of_text<'f>(
        plan: String,
        parts: impl IntoIterator<Item = (&'f str, String)>,
    ) -> Self {
        let (plan, state) = ((TEXT, plan), ("state", STATE.to_owned()));
        let rows = [plan].into_iter().chain(parts).chain([state]);
        Described(rows.map(|(name, text)| (name.to_owned(), text)).collect())
    }

    /// Returns what a part of the description says.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut parts = self.0.iter();
        let found = parts.find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str())
    }

    /// Returns every part with its name, in order.
    pub(super) fn to_vec(&self) -> Vec<(String, String)> {
        self.0.clone()
    }

    /// Returns the query whose plan built the state of a group.
    ///
    /// # Errors
    /// `refused` for a plan of another version that this one cannot read.
    pub fn query(&self, group: &str) -> Result<Query> {
        let text = self.flags();
        let query = text.parse();
        query.map_err(|error: Error| Described::unreadable(group, &text, &error))
    }

    /// Returns the error about a plan that this version cannot read, or cannot compute.
    pub fn unreadable(group: &str, text: &str, why: &Error) -> Error {
        Error::refused(format!(
            "the state of group `{group}` was built by another version of `k`, with a plan that this \
             one cannot go on with: {why}"
        ))
        .hint(format!("the plan is `{text}`"))
        .hint("go on with that version, begin as another `--group`, or again with `--reset`, which forgets state and offsets")
    }

    /// Returns the plan's text; of a version that kept the flags by themselves, these as they were typed.
    pub fn flags(&self) -> String {
        if let Some(text) = self.get(TEXT) {
            return text.to_owned();
        }
        let mut text = self.get(WINDOW).unwrap_or_default().to_owned();
        for flag in TYPED {
            match self.get(flag).filter(|value| !value.is_empty()) {
                Some(learned) if flag == "--out-of-order" && learned.starts_with("percentile") => {
                    text += &format!(" --watermark {learned}");
                }
                Some(value) => text += &format!(" {flag} {}", quoted(value)),
                None => {}
            }
        }
        if self
            .get(DECIMAL_COMMA)
            .is_some_and(|value| !value.is_empty())
        {
            text = text + " " + DECIMAL_COMMA;
        }
        text
    }

    /// Reads the plan that a group's state was built with; `None` for a group without a state.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` when the topic may not be read.
    pub fn load(admin: &Admin, settings: &Settings, group: &str) -> Result<Option<Self>> {
        Self::load_from(admin, settings, name_of(group))
    }

    /// Reads the plan that is the first row of a changelog, if there is one.
    ///
    /// # Errors
    /// As [`Described::load`].
    pub(in crate::node) fn load_from(
        admin: &Admin,
        settings: &Settings,
        topic: String,
    ) -> Result<Option<Self>> {
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
        self.store_in(admin, settings, &name_of(group), partitions)
    }

    /// Writes the plan down as the first row of a changelog, which is created where it is missing.
    ///
    /// # Errors
    /// As [`Described::store`].
    pub(in crate::node) fn store_in(
        &self,
        admin: &Admin,
        settings: &Settings,
        topic: &str,
        partitions: usize,
    ) -> Result<()> {
        admin.create_if_missing(topic, partitions as i32, &SETTINGS)?;
        let options = Options {
            may_double: true, // the topic is compacted
            in_group: true,
            ..Options::default()
        };
        let mut producer = Producer::new(settings, &options)?;
        let topic = producer.topic(topic)?;
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
            "start over with `--reset`, which deletes state and offsets, or use another `--group`",
        )
    }

    /// Refuses to continue with a state that another plan has built, or the same one of another
    /// input. `plan` is what is described, `before` what the state was built with.
    ///
    /// # Errors
    /// `refused`, with what differs and the ways out.
    pub fn check(
        &self,
        group: &str,
        plan: &Plan,
        (built_with, before): (&Described, &Plan),
    ) -> Result<()> {
        let difference = self.other_input(built_with).or_else(|| {
            let (now, before) = (plan.clauses().of_state(), before.clauses().of_state());
            now.difference(&before)
        });
        difference.map_or(Ok(()), |difference| Err(Self::another(group, difference)))
    }

    /// Refuses a description that is not word for word the one that the state was built with.
    ///
    /// # Errors
    /// As [`Described::check`].
    pub(in crate::node) fn check_text(&self, group: &str, built_with: &Described) -> Result<()> {
        let text = || {
            let (was, is) = (built_with.get(TEXT)?, self.get(TEXT)?);
            (was != is).then(|| Difference {
                name: TEXT.to_owned(),
                was: Some(was.to_owned()),
                is: Some(is.to_owned()),
            })
        };
        let difference = self.other_input(built_with).or_else(text);
        difference.map_or(Ok(()), |difference| Err(Self::another(group, difference)))
    }

    fn another(group: &str, Difference { name, was, is }: Difference) -> Error {
        let said = |text: Option<String>| match text {
            None => "not given".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        let (was, is) = (said(was), said(is));
        Error::refused(format!(
            "the state of group `{group}` was built with another plan: {name} was {was} and is {is}"
        ))
        .hint(
            "use another `--group`, or start over with `--reset`, which deletes state and offsets",
        )
    }

    /// Returns in what the input differs first. Of the columns only those types matter that states depend
    /// on, which the plan compares.
    fn other_input(&self, built_with: &Described) -> Option<Difference> {
        let given = |described: &Described, name: &str| {
            let text = described.get(name).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let parts = self.0.iter().map(|(name, _)| name.as_str());
        let mut parts = parts.filter(|name| ![TEXT, COLUMNS].contains(name));
        parts.find_map(|name| {
            let (was, is) = (given(built_with, name), given(self, name));
            (was != is).then(|| Difference {
                name: name.to_owned(),
                was,
                is,
            })
        })
    }
}
