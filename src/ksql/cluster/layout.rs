//! How the stages of a query are spread over partitions, and the topics between them.
//!
//! A task is a stage of one partition. It reads the partitions of its number of all that feeds the
//! stage, so these must be spread alike: as many partitions, and the same bytes for the same key.
//! Where two sources are not, the second is repartitioned, too.
//!
//! The first topic of a stage leads: the group gives out its partitions, and the owner of one reads
//! the others' partitions of the same number.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kafka::admin::Admin;
use crate::kafka::check_topic_name;
use crate::ksql::format::Format;
use crate::ksql::plan::{Plan, Recipe};
use crate::ksql::run::{Feed, Place, Stage};
use crate::ksql::schema::Column;

/// The configuration of changelog topics: the segment that is being written is never compacted.
const CHANGELOG: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "16777216"),
    ("min.cleanable.dirty.ratio", "0.3"),
];

/// The configuration of repartition topics: records are deleted once they were read.
const REPARTITION: [(&str, &str); 3] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("segment.bytes", "16777216"),
];

/// A query's stages over partitions.
#[derive(Debug)]
pub(super) struct Layout {
    /// Each after those that feed it.
    pub parts: Vec<Part>,
    /// What goes between them.
    pub cuts: Vec<Cut>,
    /// The inputs that are cut because they are not spread as another one is.
    unlike: Vec<usize>,
}

/// A stage over partitions.
#[derive(Debug)]
pub(super) struct Part {
    pub stage: Stage,
    pub partitions: i32,
    /// The topics that it reads; the first leads.
    pub inputs: Vec<Input>,
    /// Where it keeps what it remembers.
    pub changelog: Option<String>,
}

/// A topic that a stage reads.
#[derive(Debug)]
pub(super) struct Input {
    pub topic: Arc<str>,
    /// What becomes of its records.
    pub feeds: Vec<(Feed, Place)>,
    /// Whether it is one between stages.
    pub is_internal: bool,
}

/// A topic between two stages.
#[derive(Debug)]
pub(super) struct Cut {
    pub at: Place,
    pub topic: String,
    pub partitions: i32,
    /// How keys are written that decide the partition; `None` where it does not matter.
    pub key: Option<(Format, Vec<Column>)>,
}

impl Layout {
    /// Lays a query out. `partitions` tells how many a topic has.
    ///
    /// # Errors
    /// `usage` for a plan that no longer holds, `refused` for a topic that is missing.
    pub fn of(
        recipe: &Recipe,
        group: &str,
        partitions: impl Fn(&str) -> Result<i32>,
    ) -> Result<Self> {
        let mut layout = Layout {
            parts: Vec::new(),
            cuts: Vec::new(),
            unlike: Vec::new(),
        };
        loop {
            let (plan, stages) = layout.split(recipe)?;
            let unlike = layout.spread(&plan, stages, group, &partitions)?;
            match unlike {
                Some(input) => layout.unlike.push(input),
                None => return Ok(layout),
            }
        }
    }

    /// Returns the plan for a task, with its stages.
    fn split(&self, recipe: &Recipe) -> Result<(Plan, Vec<Stage>)> {
        let mut plan = recipe.plan()?;
        for &input in &self.unlike {
            let place = plan.inputs[input].1;
            plan.topology.cut(place);
        }
        let topics = plan.inputs.iter().map(|(source, _)| &source.topic);
        let topics: Vec<&String> = topics.collect();
        let first = |topic: &&String| topics.iter().position(|known| known == topic);
        let numbers: Vec<usize> = topics.iter().filter_map(first).collect();
        let places: Vec<Place> = plan.inputs.iter().map(|(_, place)| *place).collect();
        let stages = plan.topology.split(&places, &numbers);
        Ok((plan, stages))
    }

    /// Returns the plan for a task of this layout.
    ///
    /// # Errors
    /// `usage` for a plan that no longer holds.
    pub fn plan(&self, recipe: &Recipe) -> Result<Plan> {
        self.split(recipe).map(|(plan, _)| plan)
    }

    /// Spreads stages over partitions; returns an input that cannot be read as it is.
    fn spread(
        &mut self,
        plan: &Plan,
        stages: Vec<Stage>,
        group: &str,
        partitions: &impl Fn(&str) -> Result<i32>,
    ) -> Result<Option<usize>> {
        self.parts.clear();
        self.cuts.clear();
        for stage in stages {
            let name = format!("{group}-{}", self.parts.len());
            let mut part = Part {
                partitions: 0,
                inputs: Vec::new(),
                changelog: stage.has_state.then(|| format!("{name}-changelog")),
                stage,
            };
            // All that is not from between stages first: it decides how the rest is spread.
            let mut key = None;
            for &(feed, at) in &part.stage.feeds {
                let Feed::Input(nth) = feed else { continue };
                let source = &plan.inputs[nth].0;
                let has = partitions(&source.topic)?;
                let types = source.schema.key.iter().map(|column| column.of.clone());
                let form = (source.key_format, types.collect::<Vec<_>>());
                let known = part
                    .inputs
                    .iter_mut()
                    .find(|known| *known.topic == *source.topic);
                match (known, &key) {
                    (Some(known), _) => known.feeds.push((feed, at)),
                    (None, Some((known, _))) if *known != form || part.partitions != has => {
                        return Ok(Some(nth));
                    }
                    (None, _) => part.inputs.push(Input {
                        topic: source.topic.as_str().into(),
                        feeds: vec![(feed, at)],
                        is_internal: false,
                    }),
                }
                part.partitions = has;
                key.get_or_insert((form, source.schema.key.clone()));
            }
            let key = key.map(|((format, _), columns)| (format, columns));
            let mut cuts = Vec::new();
            for &(feed, at) in &part.stage.feeds {
                let Feed::Cut(cut) = feed else { continue };
                let topic = format!("{group}-{}-repartition", cut.number());
                part.inputs.push(Input {
                    topic: topic.as_str().into(),
                    feeds: vec![(feed, at)],
                    is_internal: true,
                });
                cuts.push((cut, topic));
            }
            if key.is_none() {
                let before = |cut: &Place| {
                    let mut parts = self.parts.iter();
                    parts.find(|part| part.stage.cuts.contains(cut))
                };
                let upstream = cuts.iter().filter_map(|(cut, _)| before(cut));
                let is_gathered = cuts.iter().any(|(cut, _)| plan.topology.is_gathered(*cut));
                part.partitions = match upstream.map(|part| part.partitions).max() {
                    Some(most) if !is_gathered => most,
                    _ => 1,
                };
            }
            for (at, topic) in cuts {
                self.cuts.push(Cut {
                    at,
                    topic,
                    partitions: part.partitions,
                    key: key.clone(),
                });
            }
            self.parts.push(part);
        }
        Ok(None)
    }

    /// Returns the topics that hold what is between stages, and what stages remember, with the number of
    /// their partitions and their configuration.
    fn internal(
        &self,
    ) -> impl Iterator<Item = (&str, i32, &'static [(&'static str, &'static str)])> {
        let cuts = self.cuts.iter();
        let cuts = cuts.map(|cut| (cut.topic.as_str(), cut.partitions, &REPARTITION[..]));
        let parts = self.parts.iter();
        let changelog = |part: &Part| part.changelog.clone().map(|_| part.partitions);
        let logs = parts.filter_map(move |part| {
            let partitions = changelog(part)?;
            Some((part.changelog.as_deref()?, partitions, &CHANGELOG[..]))
        });
        cuts.chain(logs)
    }

    /// Makes sure that the topics of the query are there.
    ///
    /// # Errors
    /// `refused` where one has another number of partitions, or may not be created.
    pub fn create_topics(&self, admin: &Admin) -> Result<()> {
        for (name, partitions, settings) in self.internal() {
            check_topic_name(name)?;
            let topic = match admin.find_topic(name)? {
                Some(topic) => topic,
                None => admin.create_if_missing(name, partitions, settings)?,
            };
            let found = topic.partitions.len();
            if found != partitions as usize {
                return Err(Error::refused(format!(
                    "the query's topics have {partitions} partitions now, and topic `{name}`, which holds its work, has {found}"
                ))
                .hint("TERMINATE the query and create it again: everything is computed again"));
            }
        }
        Ok(())
    }

    /// Returns the names of the query's own topics.
    pub fn internal_topics(&self) -> impl Iterator<Item = &str> {
        self.internal().map(|(name, ..)| name)
    }
}
