//! A task: a stage of one partition, the records that wait for it, and what it remembers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::layout::Layout;
use super::order::{self, Queue};
use super::restore::{POSITIONS, Restored, unreadable};
use super::topics::record_of;
use crate::engine::codec;
use crate::error::{Error, Result};
use crate::kafka::fetched::Fetched;
use crate::kafka::member::Place;
use crate::ksql::catalog::Source;
use crate::ksql::plan::Recipe;
use crate::ksql::records;
use crate::ksql::run::{self, Entry, Event, Feed, Leaving, Saved, Topology};

/// The most records that wait of one partition.
const MOST_WAITING: usize = 2_000;

/// A task.
pub(super) struct Task {
    /// Which stage, by its place in the layout.
    pub nth: usize,
    pub partition: i32,
    layout: Rc<Layout>,
    topology: Topology,
    /// The query's sources.
    sources: Vec<Source>,
    pub inputs: Vec<Input>,
    /// Whether something has happened since the last commit.
    pub is_changed: bool,
}

/// A partition that a task reads.
pub(super) struct Input {
    pub place: Place,
    queue: Queue<Waiting>,
    /// The offset of the first record that was not processed.
    pub position: i64,
    /// The offset of the first record that has not come.
    fetched: i64,
}

/// What a record brings: an event for each that reads it.
struct Waiting {
    offset: i64,
    events: Vec<(run::Place, Event)>,
}

impl Task {
    /// Makes the task of a stage that remembers what was found.
    ///
    /// # Errors
    /// `refused` for what it cannot have remembered.
    pub fn new(
        layout: &Rc<Layout>,
        recipe: &Recipe,
        (nth, partition): (usize, i32),
        restored: Restored,
    ) -> Result<Self> {
        let plan = layout.plan(recipe)?;
        let part = &layout.parts[nth];
        let mut topology = plan.topology;
        for (key, value) in &restored.rows {
            let log = part.changelog.clone().map(|topic| (topic, partition));
            let row = topology.restore(key, value);
            row.map_err(|_| unreadable(log.as_ref()))?;
        }
        if part.changelog.is_some() {
            topology.log_changes(&part.stage);
        }
        let now = Instant::now();
        let inputs = part.inputs.iter().zip(restored.positions);
        let input = |(input, position): (&super::layout::Input, i64)| Input {
            place: Place {
                topic: input.topic.clone(),
                partition,
            },
            queue: Queue::new(now, input.is_internal),
            position,
            fetched: position,
        };
        Ok(Task {
            nth,
            partition,
            inputs: inputs.map(input).collect(),
            layout: layout.clone(),
            topology,
            sources: plan.inputs.into_iter().map(|(source, _)| source).collect(),
            is_changed: !restored.is_committed,
        })
    }

    /// Returns whether there is room for more records of an input.
    pub fn has_room(&self, input: usize) -> bool {
        self.inputs[input].queue.len() < MOST_WAITING
    }

    /// Takes records of an input in. `skip` gets the reason of each that is not a row.
    ///
    /// # Errors
    /// `refused` for what another version has sent between stages.
    pub fn take_in(
        &mut self,
        input: usize,
        fetched: &Fetched,
        mut skip: impl FnMut(String),
    ) -> Result<()> {
        let layout = self.layout.clone();
        let feeds = &layout.parts[self.nth].inputs[input].feeds;
        let (queue, now) = (&mut self.inputs[input], Instant::now());
        for nth in 0..fetched.len() {
            let message = fetched.get(nth);
            queue.fetched = message.offset + 1;
            let mut events = Vec::with_capacity(feeds.len());
            for &(feed, at) in feeds {
                let Feed::Input(source) = feed else {
                    let sent = message.value.unwrap_or_default();
                    let event = Event::loaded(sent).map_err(|_| unsent(&queue.place))?;
                    events.push((at, event));
                    continue;
                };
                let source = &self.sources[source];
                let read = record_of(source, &message).and_then(|record| {
                    let event = records::read(source, &record);
                    event.map_err(|misfit| misfit.reason().to_owned())
                });
                match read {
                    Ok(event) => events.push((at, event)),
                    Err(why) => skip(format!(
                        "topic {}, partition {}, offset {}: {why}",
                        source.topic, message.partition, message.offset
                    )),
                }
            }
            let time = events.first().map(|(_, event)| event.time);
            let time = time.or(message.timestamp).unwrap_or_default();
            let offset = message.offset;
            queue.queue.push(now, time, Waiting { offset, events });
        }
        Ok(())
    }

    /// Notes how far the client has come in an input, transaction markers included, and where the input
    /// ends as far as is known.
    pub fn note(&mut self, input: usize, reached: Option<i64>, end: Option<i64>) {
        let input = &mut self.inputs[input];
        if let Some(reached) = reached.filter(|reached| *reached > input.fetched) {
            input.fetched = reached;
        }
        input.queue.is_at_end = end.is_some_and(|end| input.fetched >= end);
        if input.queue.len() == 0 && input.position < input.fetched {
            input.position = input.fetched;
            self.is_changed = true;
        }
    }

    /// Returns the time of the record that is next; `None` where there is none, or another may come
    /// before it.
    pub fn next(&self, now: Instant) -> Option<i64> {
        let queues = self.inputs.iter().map(|input| &input.queue);
        order::next(queues, now).map(|(time, _)| time)
    }

    /// Returns whether records may still come that are earlier than what others have.
    pub fn holds_back(&self, now: Instant) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|input| input.queue.holds_back(now))
    }

    /// Processes the record that is next; what follows from it is added to `out`. Returns whether there
    /// was one.
    pub fn step(&mut self, now: Instant, out: &mut Vec<Leaving>) -> bool {
        let next = order::next(self.inputs.iter().map(|input| &input.queue), now);
        let Some((_, nth)) = next else { return false };
        let input = &mut self.inputs[nth];
        let Some(waiting) = input.queue.pop() else {
            return false;
        };
        input.position = waiting.offset + 1;
        self.is_changed = true;
        for (at, event) in waiting.events {
            self.topology.step(at, event, out);
        }
        true
    }

    /// Returns the rows that the changelog needs for a commit.
    ///
    /// # Errors
    /// `bug` where one cannot be written; `data` where the query cannot go on, before it commits.
    pub fn changes(&mut self) -> Result<Vec<Entry>> {
        if let Some(reason) = self.topology.failure() {
            return Err(Error::data(format!("the query ended: {reason}")));
        }
        let mut rows = self
            .topology
            .changes(&self.layout.parts[self.nth].stage)?
            .rows;
        let position = |input: &Input| (input.place.topic.to_string(), input.position);
        let positions: Vec<(String, i64)> = self.inputs.iter().map(position).collect();
        let mut bytes = Vec::new();
        codec::put(&mut bytes, &positions)?;
        rows.push((POSITIONS.to_vec(), Some(bytes)));
        Ok(rows)
    }

    /// Returns all partitions that the task reads.
    pub fn places(layout: &Layout, (nth, partition): (usize, i32)) -> Vec<Place> {
        let place = |input: &super::layout::Input| Place {
            topic: Arc::clone(&input.topic),
            partition,
        };
        layout.parts[nth].inputs.iter().map(place).collect()
    }
}

fn unsent(place: &Place) -> Error {
    let Place { topic, partition } = place;
    Error::refused(format!(
        "topic `{topic}`, partition {partition}, holds what this version of `k` has not written"
    ))
    .hint("the version of `k` that wrote it can continue with it")
}
