//! The queries of an app that run in this process, a thread each, and how far their groups are.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGTERM;

use super::layout::Layout;
use super::topics;
use super::worker::{Work, Worker};
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::ksql::plan::Recipe;

/// How often it is looked whether queries are done.
const LOOK: Duration = Duration::from_millis(50);
/// How long a query that ends here may be at work elsewhere before its topics are left to others.
const LEAVING: Duration = Duration::from_secs(5);

/// The queries that run in this process.
pub(super) struct Crew {
    settings: Settings,
    context: Context,
    hands: BTreeMap<String, Hand>,
}

struct Hand {
    /// Its own: a signal may end what is shown at the prompt, while queries go on.
    interrupt: Interrupt,
    thread: JoinHandle<Result<()>>,
}

/// A query's group, and what it reads.
pub(super) struct Group<'a> {
    pub name: &'a str,
    pub recipe: &'a Recipe,
    /// Where its rows go.
    pub sink: &'a str,
}

impl Crew {
    pub fn new(settings: &Settings, context: &Context) -> Self {
        Crew {
            settings: settings.clone(),
            context: context.clone(),
            hands: BTreeMap::new(),
        }
    }

    /// Returns whether a query runs here.
    pub fn runs(&self, id: &str) -> bool {
        self.hands.contains_key(id)
    }

    /// Starts a query, unless it runs.
    ///
    /// # Errors
    /// `refused` for a topic that is missing.
    pub fn start(&mut self, admin: &Admin, work: Work) -> Result<()> {
        if self.runs(&work.id) {
            return Ok(());
        }
        let layout = layout_of(admin, &work.recipe, &work.group)?;
        layout.create_topics(admin)?;
        let (id, interrupt) = (work.id.clone(), Interrupt::default());
        let settings = self.settings.clone().stopped_by(interrupt.clone());
        let context = Context {
            report: self.context.report.clone(),
            interrupt: interrupt.clone(),
        };
        let thread =
            std::thread::spawn(move || Worker::join(work, layout, &settings, &context)?.run());
        self.hands.insert(id, Hand { interrupt, thread });
        Ok(())
    }

    /// Ends the queries that are not among these.
    ///
    /// # Errors
    /// What ended one of them before.
    pub fn keep(&mut self, is_kept: impl Fn(&str) -> bool) -> Result<()> {
        let gone: Vec<String> = self
            .hands
            .keys()
            .filter(|id| !is_kept(id))
            .cloned()
            .collect();
        let gone = gone.iter().filter_map(|id| self.hands.remove(id)).collect();
        end(gone)
    }

    /// Looks whether all are at work.
    ///
    /// # Errors
    /// What has ended one of them.
    pub fn check(&mut self) -> Result<()> {
        let ended = self
            .hands
            .iter()
            .find(|(_, hand)| hand.thread.is_finished());
        let Some(id) = ended.map(|(id, _)| id.clone()) else {
            return Ok(());
        };
        let hand = self.hands.remove(&id);
        end(hand.into_iter().collect())?;
        self.context.interrupt.check()
    }

    /// Ends all of them, with what they have done committed.
    ///
    /// # Errors
    /// What has ended one of them before.
    pub fn end(&mut self) -> Result<()> {
        end(std::mem::take(&mut self.hands).into_values().collect())
    }

    /// Waits until queries have done what their topics hold now: each after those that fill its topics.
    ///
    /// # Errors
    /// What has ended one of them, and `stopped` on a signal.
    pub fn finish(&mut self, admin: &Admin, groups: &[Group<'_>]) -> Result<()> {
        for group in in_order(groups) {
            let layout = layout_of(admin, group.recipe, group.name)?;
            let parts = layout.parts.iter();
            let inputs = parts.flat_map(|part| {
                let partitions = part.partitions;
                part.inputs.iter().map(move |input| (input, partitions))
            });
            // What is between stages is complete once the stages before have read everything.
            let (internal, sources): (Vec<_>, Vec<_>) =
                inputs.partition(|(input, _)| input.is_internal);
            self.await_read(
                admin,
                group.name,
                sources.iter().map(|(i, n)| (&*i.topic, *n)),
            )?;
            for (input, partitions) in internal {
                self.await_read(
                    admin,
                    group.name,
                    std::iter::once((&*input.topic, partitions)),
                )?;
            }
            self.await_readable(admin, group.sink)?;
        }
        Ok(())
    }

    /// Waits until a group has committed what some topics hold now.
    fn await_read<'t>(
        &mut self,
        admin: &Admin,
        group: &str,
        inputs: impl Iterator<Item = (&'t str, i32)>,
    ) -> Result<()> {
        let mut missing = Vec::new();
        for (topic, partitions) in inputs {
            for (partition, range) in topics::held(admin, topic, 0..partitions)? {
                if !range.is_empty() {
                    missing.push(((topic.to_owned(), partition), range.end));
                }
            }
        }
        while !missing.is_empty() {
            self.check()?;
            self.context.interrupt.check()?;
            let committed = admin.group_offsets(group)?;
            missing.retain(|(place, end)| committed.get(place).is_none_or(|at| at < end));
            if !missing.is_empty() {
                self.context.interrupt.sleep_until(Instant::now() + LOOK);
            }
        }
        Ok(())
    }

    /// Waits until readers of committed records see all of a topic.
    fn await_readable(&mut self, admin: &Admin, topic: &str) -> Result<()> {
        let partitions = admin.topic(topic)?.partitions.len() as i32;
        let places: Vec<(&str, i32)> = (0..partitions).map(|number| (topic, number)).collect();
        while !admin.open_transactions(&places)?.is_empty() {
            self.context.interrupt.check()?;
            self.context.interrupt.sleep_until(Instant::now() + LOOK);
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.end(); // an error that matters was returned by `check`
    }
}

/// Ends queries: all get the signal before any is waited for.
fn end(hands: Vec<Hand>) -> Result<()> {
    for hand in &hands {
        hand.interrupt.set(SIGTERM);
    }
    let mut ended = Ok(());
    for hand in hands {
        let result = match hand.thread.join() {
            // Ended before it had begun to work: that was asked of it.
            Ok(Err(error)) if matches!(error.remedy(), Remedy::Stopped(_)) => Ok(()),
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        ended = ended.and(result);
    }
    ended
}

/// Returns how a query is spread over the partitions that its topics have now.
pub(super) fn layout_of(admin: &Admin, recipe: &Recipe, group: &str) -> Result<Layout> {
    Layout::of(recipe, group, |topic| {
        Ok(admin.topic(topic)?.partitions.len() as i32)
    })
}

/// Puts queries behind those that fill the topics that they read.
fn in_order<'a, 'g>(groups: &'a [Group<'g>]) -> Vec<&'a Group<'g>> {
    let reads = |group: &Group<'_>, topic: &str| {
        let query = &group.recipe.query;
        let joined = query.joins.iter().map(|join| &join.right);
        let relations = std::iter::once(&query.from).chain(joined);
        let mut sources =
            relations.filter_map(|relation| group.recipe.catalog.get(&relation.name.text));
        sources.any(|source| source.topic == topic)
    };
    let mut left: Vec<&Group<'_>> = groups.iter().collect();
    let mut ordered: Vec<&Group<'_>> = Vec::new();
    while !left.is_empty() {
        let is_fed = |group: &Group<'_>| {
            let mut others = left.iter().filter(|other| other.name != group.name);
            others.any(|other| reads(group, other.sink))
        };
        // Queries that feed each other: in the order of their statements.
        let next = left
            .iter()
            .position(|group| !is_fed(group))
            .unwrap_or_default();
        ordered.push(left.remove(next));
    }
    ordered
}

/// Deletes the group of a query that was ended, and the topics that held its work, unless another
/// process is still at it.
///
/// # Errors
/// `retry` when no broker answers.
pub(super) fn clean_up(admin: &Admin, layout: Option<&Layout>, group: &str) -> Result<bool> {
    let began = Instant::now();
    while let Err(error) = admin.delete_group(group) {
        if began.elapsed() > LEAVING {
            return match error.remedy() {
                Remedy::Retry => Err(error),
                _ => Ok(false),
            };
        }
        std::thread::sleep(LOOK);
    }
    for topic in layout.into_iter().flat_map(Layout::internal_topics) {
        if admin.find_topic(topic)?.is_some() {
            admin.delete_topic(topic)?;
        }
    }
    Ok(true)
}

/// Returns the error of a topic that a definition needs.
pub(super) fn missing(topic: &str) -> Error {
    Error::refused(format!("Kafka topic does not exist: {topic}"))
        .hint("WITH (…, PARTITIONS = 3) creates it; `k produce` fills it from a file")
}
