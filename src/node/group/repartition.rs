//! The repartition topic of a group: it brings together the records of one group value that lie in
//! several partitions.
//!
//! ```text
//! input      task upstream, one per partition         repartition topic           task downstream
//! records ─► event time, --where, late?, added up ─► parts, by key; its mark ─► whole windows ─► rows
//! ```
//!
//! A commit of a task upstream sends what the task has pre-aggregated since the last one, each part
//! to the partition of its key. Then it sends a mark with its watermark to every partition. So a
//! task that has read a mark has read all that came before that watermark. Downstream, the minimum
//! of all marks closes windows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::changelog::Rows;
use super::task::{Task, Work};
use crate::clock::{self, Errand};
use crate::engine::codec;
use crate::engine::pane::Panes;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, Topic};
use crate::kafka::partitioner::partition_of;
use crate::kafka::producer::{Producer, TopicId};
use crate::sink::topic::Shared;
use crate::source::Message;
use crate::source::kafka::{Since, Starts};

/// How repartition topics are kept: until what they hold was read, whatever its age.
pub(in crate::node) const SETTINGS: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    // Whole segments are given back once they were read.
    ("segment.bytes", "16777216"),
];

/// How often what was read is deleted.
const PURGE: Duration = Duration::from_secs(5);

/// The first byte of a record.
const PART: u8 = 0;
const MARK: u8 = 1;
/// The key of marks, for people who look at the topic; they go to every partition.
const MARK_KEY: &[u8] = b"watermark";

/// Where tasks upstream send what they have added up.
pub(super) struct Repartition {
    topic: TopicId,
    /// Where each partition begins for a group that has not committed.
    starts: Starts,
    purge: Purge,
}

/// How far a task upstream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::node) struct Mark {
    /// Its partition.
    pub upstream: i32,
    /// The next offset that it reads. Grows with each commit: a mark with a lower one is of a
    /// process that has gone back, or slept.
    pub position: i64,
    /// Its watermark, in ms since 1970, UTC.
    pub watermark: i64,
}

/// Returns the name of a group's repartition topic.
pub fn name_of(group: &str) -> String {
    format!("{group}-window-repartition")
}

impl Repartition {
    /// Makes use of the topic of a group, which is there.
    pub fn open(
        admin: &Admin,
        settings: &Settings,
        topic: &Topic,
        producer: &Shared,
    ) -> Result<Self> {
        Ok(Repartition {
            topic: producer.lock().topic(&topic.name)?,
            starts: Starts::find_of(admin, topic, Since::Beginning)?,
            purge: Purge::begin(&topic.name, settings),
        })
    }

    /// Returns where its partitions begin.
    pub fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Sends what a task has added up, and then how far it has come.
    pub fn write(&self, task: &mut Task, producer: &mut Producer) -> Result<()> {
        let partitions = self.starts.len();
        let mut rows: Vec<Rows> = std::iter::repeat_with(Rows::default)
            .take(partitions)
            .collect();
        let mut sent = Vec::new();
        if is_planted(Fault::MarkBeforeParts) {
            sent.push(MARK);
            codec::put(&mut sent, &task.mark())?;
            rows.iter_mut()
                .for_each(|rows| rows.push(MARK_KEY, Some(&sent)));
        }
        task.operator.take_parts(|key, part| {
            sent.clear();
            sent.push(PART);
            sent.extend_from_slice(part);
            let partition = partition_of(key, partitions as i32);
            rows[partition as usize].push(key, Some(&sent));
        })?;
        sent.clear();
        sent.push(MARK);
        codec::put(&mut sent, &task.mark())?;
        for (partition, mut rows) in rows.into_iter().enumerate() {
            rows.push(MARK_KEY, Some(&sent));
            rows.send(self.topic, partition as i32, producer)?;
        }
        Ok(())
    }

    /// Lets what was read and committed be deleted, now and then.
    pub fn purge<'t>(&mut self, tasks: impl Iterator<Item = &'t Task>) {
        let downstream = tasks.filter(|task| matches!(task.work, Work::Downstream(_)));
        self.purge
            .purge(downstream.map(|task| (task.place.partition, task.base())));
    }
}

/// Takes records of the repartition topic into the windows of a task downstream.
///
/// # Errors
/// `refused` at a record that none of the same plan has sent.
pub(super) fn take_in(task: &mut Task, messages: &[Message<'_>], panes: &mut Panes) -> Result<()> {
    let Work::Downstream(downstream) = &mut task.work else {
        return Err(Error::bug(
            "only tasks downstream read the repartition topic",
        ));
    };
    let (operator, parts) = (&mut task.operator, &mut downstream.parts);
    for message in messages {
        let strange = || strange(&task.name, message);
        match message.value.and_then(<[u8]>::split_first) {
            Some((&PART, part)) => {
                let key = message.key.unwrap_or_default();
                parts.push(key, part).map_err(|_| strange())?;
            }
            Some((&MARK, mut mark)) => {
                let mark: Mark = codec::take(&mut mark).map_err(|_| strange())?;
                task.is_shown &= parts.is_empty();
                operator.on_parts(parts, panes)?;
                parts.clear();
                let upstream = mark.upstream as usize;
                let known = downstream.positions.get_mut(upstream);
                let known = known.ok_or_else(strange)?;
                if mark.position > *known {
                    task.is_shown = false;
                    downstream.heard[upstream] = clock::now();
                    *known = mark.position;
                    operator.on_watermark(upstream, mark.watermark, panes);
                }
            }
            _ => return Err(strange()),
        }
    }
    task.is_shown &= parts.is_empty();
    operator.on_parts(parts, panes)?;
    parts.clear();
    Ok(())
}

fn strange(topic: &str, message: &Message<'_>) -> Error {
    Error::refused("a record of the repartition topic does not fit this group's plan")
        .during(format!(
            "reading {topic}, partition {}, offset {}",
            message.partition, message.offset
        ))
        .hint("start over with `--reset`, or use another group")
}

/// Deletes what was read, on a thread of its own.
pub(in crate::node) struct Purge {
    topic: String,
    settings: Settings,
    last: Instant,
    /// Up to where each partition was purged.
    purged: BTreeMap<i32, i64>,
    /// The deletion that is not back yet.
    errand: Option<Errand<Result<()>>>,
}

impl Purge {
    /// Begins with nothing deleted.
    pub fn begin(topic: &str, settings: &Settings) -> Self {
        Purge {
            topic: topic.to_owned(),
            settings: settings.clone(),
            last: clock::now(),
            purged: BTreeMap::new(),
            errand: None,
        }
    }

    /// Deletes, now and then, what was read and committed: partitions, and the offset that each is needed
    /// from.
    pub fn purge(&mut self, needed: impl Iterator<Item = (i32, i64)>) {
        match self.errand.as_mut().map(Errand::answer) {
            Some(None) => return,
            // What could not be deleted is deleted with what was read by then.
            Some(Some(_)) => self.errand = None,
            None => {}
        }
        if clock::since(self.last) < PURGE {
            return;
        }
        self.last = clock::now();
        let needed: Vec<(i32, i64)> = needed
            .filter(|(partition, from)| self.purged.insert(*partition, *from) != Some(*from))
            .collect();
        if !needed.is_empty() {
            let (topic, settings) = (self.topic.clone(), self.settings.clone());
            self.errand = Some(Errand::begin(move || {
                Admin::new(&settings)?.delete_records(&topic, &needed)
            }));
        }
    }
}
