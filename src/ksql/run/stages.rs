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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksql::plan::Plan;
    use crate::ksql::records::{self, Record};
    use crate::ksql::run::{Event, Leaving};
    use crate::ksql::session::Session;
    use std::collections::BTreeMap;

    const SOURCES: &str = "
        CREATE STREAM l (k STRING KEY, a INT) WITH (kafka_topic='l', value_format='JSON');
        CREATE STREAM r (k STRING KEY, o STRING, b INT) WITH (kafka_topic='r', value_format='JSON');
        CREATE TABLE t (k STRING PRIMARY KEY, o STRING, c INT) WITH (kafka_topic='t', value_format='JSON');
        CREATE TABLE u (k STRING PRIMARY KEY, d INT) WITH (kafka_topic='u', value_format='JSON');";

    const QUERIES: [&str; 12] = [
        "TABLE q AS SELECT k, COUNT(*) AS n, COLLECT_LIST(a) AS all_a FROM l GROUP BY k",
        "TABLE q AS SELECT o, SUM(b) AS s FROM r WINDOW TUMBLING (SIZE 5 SECONDS, GRACE PERIOD 2 SECONDS) GROUP BY o",
        "TABLE q AS SELECT o, MAX(b) AS s FROM r WINDOW HOPPING (SIZE 4 SECONDS, ADVANCE BY 2 SECONDS, GRACE PERIOD 1 SECOND) GROUP BY o EMIT FINAL",
        "TABLE q AS SELECT k, AVG(a) AS s FROM l WINDOW SESSION (3 SECONDS, GRACE PERIOD 4 SECONDS) GROUP BY k",
        "TABLE q AS SELECT o, COUNT(*) AS n, SUM(c) AS s FROM t GROUP BY o",
        "STREAM q AS SELECT l.k AS k, a, b FROM l LEFT JOIN r WITHIN 2 SECONDS GRACE PERIOD 1 SECOND ON l.k = r.k",
        "STREAM q AS SELECT ROWKEY, a, b FROM l FULL OUTER JOIN r WITHIN 2 SECONDS ON l.k = r.o",
        "STREAM q AS SELECT l.k AS k, a, c FROM l LEFT JOIN t ON l.k = t.k",
        "STREAM q AS SELECT r.o AS o, b, d FROM r JOIN u ON r.o = u.k",
        "TABLE q AS SELECT ROWKEY, c, d FROM t FULL OUTER JOIN u ON t.k = u.k",
        "TABLE q AS SELECT t.k AS k, c, d FROM t LEFT JOIN u ON t.o = u.k",
        "STREAM q AS SELECT u.k AS k, a, b, d FROM l JOIN r WITHIN 2 SECONDS ON l.k = r.o JOIN u ON r.k = u.k",
    ];

    /// Returns a plan without any state.
    fn plan(query: &str) -> Plan {
        let mut session = Session::default();
        for (_, statement) in crate::ksql::lexer::statements(SOURCES).expect("statements") {
            session.execute(statement).expect("a source");
        }
        session.execute(&format!("CREATE {query}")).expect(query);
        session.queries.remove(0).plan
    }

    /// Records of all topics, with keys that meet and times that go back now and then.
    fn input() -> Vec<Record> {
        let mut seed = 7_u64;
        let mut below = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % most
        };
        let mut offsets = BTreeMap::new();
        let record = |nth: u64| {
            let topic = ["l", "r", "t", "u"][below(4) as usize];
            let (key, other, number) = (below(4), below(4), below(100));
            let value = match (topic, below(6)) {
                ("t" | "u", 0) => "null".to_owned(),
                _ => format!(
                    r#"{{"O":"k{other}","A":{number},"B":{number},"C":{number},"D":{number}}}"#
                ),
            };
            let time = 10_000 + nth * 200 + below(3_000);
            let line = format!(
                r#"{{"topic":"{topic}","key":"k{key}","value":{value},"timestamp":{time}}}"#
            );
            let offset = offsets.entry(topic).or_insert(-1);
            *offset += 1;
            Record::parse(&line, |_| *offset).expect("a record")
        };
        (0..400).map(record).collect()
    }

    /// Returns the events that a record is, and where they go in.
    fn events(plan: &Plan, record: &Record) -> Vec<(Place, Event)> {
        let reads = plan
            .inputs
            .iter()
            .filter(|(source, _)| source.topic == record.topic);
        let event = |source| records::read(source, record).expect("a row");
        reads
            .map(|(source, place)| (*place, event(source)))
            .collect()
    }

    fn shown(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| format!("{event:?}")).collect()
    }

    /// Returns what leaves a query that runs in one piece.
    fn whole(query: &str) -> Vec<Event> {
        let mut plan = plan(query);
        let mut out = Vec::new();
        for record in input() {
            for (place, event) in events(&plan, &record) {
                plan.topology.push(place, event, &mut out);
            }
        }
        assert!(out.len() > 5, "{query}: {} rows", out.len());
        out
    }

    fn split(plan: &mut Plan) -> Vec<Stage> {
        let places: Vec<Place> = plan.inputs.iter().map(|(_, place)| *place).collect();
        let numbers: Vec<usize> = (0..places.len()).collect();
        plan.topology.split(&places, &numbers)
    }

    #[test]
    fn stages_that_send_each_other_bytes_and_are_restored_again_and_again_give_the_same() {
        for query in QUERIES {
            let mut current = plan(query);
            let stages = split(&mut current);
            stages
                .iter()
                .for_each(|stage| current.topology.log_changes(stage));
            let mut log: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let (mut out, mut left) = (Vec::new(), Vec::new());
            for (nth, record) in input().iter().enumerate() {
                let mut waiting = events(&current, record);
                while !waiting.is_empty() {
                    let (place, event) = waiting.remove(0);
                    let sent = event.saved().expect("bytes");
                    let event = Event::loaded(&sent).expect("an event");
                    current.topology.step(place, event, &mut left);
                    for Leaving { cut, event } in left.drain(..) {
                        let Some(cut) = cut else {
                            out.push(event);
                            continue;
                        };
                        let feeds = stages.iter().flat_map(|stage| &stage.feeds);
                        let mut next = feeds.filter(|(feed, _)| *feed == Feed::Cut(cut));
                        let (_, at) = next.next().expect("a stage that it feeds");
                        waiting.push((*at, event));
                    }
                }
                if nth % 7 != 0 {
                    continue;
                }
                // A commit, and a process that goes on from it.
                for stage in &stages {
                    for (key, value) in current.topology.changes(stage).expect("rows").rows {
                        match value {
                            Some(value) => log.insert(key, value),
                            None => log.remove(&key),
                        };
                    }
                }
                current = plan(query);
                assert_eq!(split(&mut current), stages);
                for (key, value) in &log {
                    let restored = current.topology.restore(key, value);
                    restored.expect("an entry of its own");
                }
                stages
                    .iter()
                    .for_each(|stage| current.topology.log_changes(stage));
            }
            assert_eq!(shown(&out), shown(&whole(query)), "{query}");
        }
    }

    #[test]
    fn rows_that_keep_their_key_are_not_sent_on() {
        for (query, stages) in [
            (QUERIES[0], 1),
            (QUERIES[1], 2),
            (QUERIES[5], 1),
            (QUERIES[6], 2),
            (QUERIES[10], 3),
        ] {
            assert_eq!(split(&mut plan(query)).len(), stages, "{query}");
        }
    }
}
