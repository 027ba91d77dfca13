//! A topology cut into stages: what runs in one task, and what goes through topics between them.
//!
//! ```text
//! calls ─► filter ─► rekey ─╫─ repartition topic ─► count ─► select ─► sink
//!          stage 0, a task per partition of calls  │  stage 1, a task per partition of that topic
//! ```
//! Operators that hand events to each other directly are one stage, and so are those that read the
//! same topic: it is read once. A task is a stage of one partition; all that it reads must be spread
//! over partitions by the same key in the same way.

use std::collections::BTreeMap;

use super::store::{Changes, Saved, node_of};
use super::{Place, Topology};
use crate::engine::codec::Corrupt;
use crate::error::Result;

/// What comes into a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// The query's nth input.
    Input(usize),
    /// What has left at a cut of the query.
    Cut(Place),
}

/// Operators that run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What comes in, and where.
    pub feeds: Vec<(Feed, Place)>,
    /// Where events leave for other stages.
    pub cuts: Vec<Place>,
    /// Whether an operator remembers anything.
    pub has_state: bool,
    nodes: Vec<usize>,
}

impl Place {
    /// Returns the number of its operator.
    pub fn number(self) -> usize {
        self.node
    }
}

impl Topology {
    /// Lets events leave at cuts from now on, and returns the stages between them, in an order in
    /// which each comes after those that feed it. `inputs` are the places of the query's inputs;
    /// those with the same number in `topics` read the same topic.
    pub fn split(&mut self, inputs: &[Place], topics: &[usize]) -> Vec<Stage> {
        self.is_split = true;
        let stage_of = self.stage_of(inputs, topics);
        let mut stages: BTreeMap<usize, Stage> = BTreeMap::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let stage = stages.entry(stage_of[number]).or_insert_with(|| Stage {
                feeds: Vec::new(),
                cuts: Vec::new(),
                has_state: false,
                nodes: Vec::new(),
            });
            stage.nodes.push(number);
            stage.has_state |= node.operator.has_state();
            if node.is_cut && node.next.is_some() {
                stage.cuts.push(Place {
                    node: number,
                    port: 0,
                });
            }
        }
        let mut feed = |feed: Feed, at: Place| {
            if let Some(stage) = stages.get_mut(&stage_of[at.node]) {
                stage.feeds.push((feed, at));
            }
        };
        for (nth, place) in inputs.iter().enumerate() {
            feed(Feed::Input(nth), *place);
        }
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(next) = node.next.filter(|_| node.is_cut) {
                let from = Place {
                    node: number,
                    port: 0,
                };
                feed(Feed::Cut(from), next);
            }
        }
        in_order(stages.into_values().collect())
    }

    /// Returns for each operator the least number of those in its stage.
    fn stage_of(&self, inputs: &[Place], topics: &[usize]) -> Vec<usize> {
        let mut stage_of: Vec<usize> = (0..self.nodes.len()).collect();
        let mut join = |one: usize, other: usize| {
            let (from, to) = (stage_of[one], stage_of[other]);
            let (least, most) = (from.min(to), from.max(to));
            for stage in stage_of.iter_mut().filter(|stage| **stage == most) {
                *stage = least;
            }
        };
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(next) = node.next.filter(|_| !node.is_cut) {
                join(number, next.node);
            }
        }
        for (nth, place) in inputs.iter().enumerate() {
            for (other, topic) in inputs[..nth].iter().zip(topics) {
                if *topic == topics[nth] {
                    join(place.node, other.node);
                }
            }
        }
        stage_of
    }

    /// Notes from now on what changes in the operators of a stage.
    pub fn log_changes(&mut self, stage: &Stage) {
        for &number in &stage.nodes {
            self.nodes[number].operator.log_changes();
        }
    }

    /// Hands over what has changed in the operators of a stage since the last time.
    ///
    /// # Errors
    /// `bug` where an entry cannot be written.
    pub fn changes(&mut self, stage: &Stage) -> Result<Changes> {
        let mut changes = Changes::default();
        for &number in &stage.nodes {
            changes.of(number as u64)?;
            self.nodes[number].operator.changes(&mut changes)?;
        }
        Ok(changes)
    }

    /// Takes in an entry that [`Topology::changes`] has handed over.
    ///
    /// # Errors
    /// [`Corrupt`] where there is no such operator, or it is none of its entries.
    pub fn restore(&mut self, mut key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let number = node_of(&mut key)?;
        let map = u8::load(&mut key)?;
        let node = self.nodes.get_mut(number).ok_or(Corrupt)?;
        node.operator.restore(map, key, value)
    }
}

/// Puts stages behind those that feed them.
fn in_order(mut stages: Vec<Stage>) -> Vec<Stage> {
    let mut ordered: Vec<Stage> = Vec::new();
    while !stages.is_empty() {
        let is_known = |cut: &Place, own: &Stage| {
            own.cuts.contains(cut) || ordered.iter().any(|stage| stage.cuts.contains(cut))
        };
        let is_next = |stage: &Stage| {
            let mut cuts = stage.feeds.iter().filter_map(|(feed, _)| match feed {
                Feed::Cut(cut) => Some(cut),
                Feed::Input(_) => None,
            });
            cuts.all(|cut| is_known(cut, stage))
        };
        // Events flow from sources to the sink, so there is one; the first where two feed each other.
        let next = stages.iter().position(is_next).unwrap_or_default();
        ordered.push(stages.remove(next));
    }
    ordered
}
