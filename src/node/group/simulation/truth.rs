//! What readers of committed records should see: the same tasks over the same records, without a
//! group, a broker or a fault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bumpalo::Bump;

use super::Failure;
use super::client::View;
use super::process::{settings, sink};
use super::run::Records;
use super::scenario::{GROUP, INPUT, RESULTS, Scenario};
use super::world::{Process, SharedWorld, World, lock};
use crate::engine::operator::Operator;
use crate::engine::pane::Panes;
use crate::error::Result;
use crate::format::Origins;
use crate::interrupt::Interrupt;
use crate::kafka::admin::Admin;
use crate::kafka::member::Place;
use crate::kafka::port::OwnRecord;
use crate::kafka::producer::{Options, Producer};
use crate::node::Outputs;
use crate::node::evaluate::Evaluator;
use crate::node::group::commit::Guarantee;
use crate::node::group::commit_metadata::Role;
use crate::node::group::repartition;
use crate::node::group::restore::Restored;
use crate::node::group::task::{self, Bounds, Task};
use crate::node::group::topics::Topics;
use crate::record::Message;
use crate::sink::Sink;
use crate::sink::topic::{Shared, TopicSink};

/// Rows by their key, in order; one without a value takes the one before back.
type Rows = BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

/// Compares what readers see with the truth.
pub(super) fn compare(scenario: &Scenario, records: &Records) -> Option<Failure> {
    let mut found = Rows::new();
    for record in &records.results {
        let (key, value) = (record.key().unwrap_or_default(), record.value());
        let rows = found.entry(key.to_vec()).or_default();
        rows.push(value.map(<[u8]>::to_vec));
    }
    let truth = match Truth::compute(scenario, &records.input) {
        Ok(truth) => truth,
        Err(error) => return Some(Failure::new("the truth", error.to_string())),
    };
    match scenario.guarantee {
        Guarantee::ExactlyOnce if scenario.is_repartitioned => same_last(&truth, &found),
        Guarantee::ExactlyOnce => same(&truth, &found),
        Guarantee::AtLeastOnce => bounded(&truth, &found, true),
        Guarantee::AtMostOnce => bounded(&truth, &found, false).or_else(|| {
            let is_doubled = |key: &&Vec<u8>| {
                let rows = |rows: &Rows| rows.get(*key).map_or(0, Vec::len);
                rows(&found) > rows(&truth) && !scenario.is_repartitioned
            };
            let key = found.keys().find(is_doubled)?;
            Some(Failure::new("doubled", format!("rows of {}", text(key))))
        }),
    }
}

/// Each key has the same rows in the same order: none twice, and none left out.
fn same(truth: &Rows, found: &Rows) -> Option<Failure> {
    let mut keys = truth.keys().chain(found.keys());
    let other = keys.find(|key| truth.get(*key) != found.get(*key))?;
    let shown = |rows: Option<&Vec<Option<Vec<u8>>>>| {
        let rows = rows.into_iter().flatten();
        let rows = rows.map(|row| row.as_ref().map_or("-".to_owned(), |row| text(row)));
        rows.collect::<Vec<_>>().join(" ")
    };
    let (truth, found) = (shown(truth.get(other)), shown(found.get(other)));
    let details = format!("{}: {found}\n    instead of {truth}", text(other));
    Some(Failure::new("other rows", details))
}

/// Each key has the same last row, where that was not taken back. What comes before depends on which partition was read first.
fn same_last(truth: &Rows, found: &Rows) -> Option<Failure> {
    let last = |rows: &Rows| -> BTreeMap<Vec<u8>, Vec<u8>> {
        let rows = rows.iter();
        let last = rows.filter_map(|(key, rows)| Some((key.clone(), rows.last()?.clone()?)));
        let last = last.filter(|(_, row)| !row.ends_with(br#""change":"-"}"#));
        last.collect()
    };
    let (expected, found) = (last(truth), last(found));
    let keys = expected.keys().chain(found.keys());
    let other = keys
        .filter(|key| expected.get(*key) != found.get(*key))
        .map(|key| {
            let shown = |row: Option<&Vec<u8>>| row.map_or("nothing".into(), |row| text(row));
            format!(
                "{}: {} instead of {}",
                text(key),
                shown(found.get(key)),
                shown(expected.get(key))
            )
        });
    let other: Vec<String> = other.take(3).collect();
    (!other.is_empty()).then(|| Failure::new("other rows", other.join("; ")))
}

/// No row counts fewer records than there are, or none counts more.
fn bounded(truth: &Rows, found: &Rows, at_least: bool) -> Option<Failure> {
    let counts = |rows: &Rows| -> BTreeMap<Vec<u8>, i64> {
        let rows = rows.iter();
        let rows = rows.map(|(key, rows)| {
            let counts = rows.iter().flatten().map(|row| count(row));
            (key.clone(), counts.max().unwrap_or(0))
        });
        rows.collect()
    };
    let (expected, found) = (counts(truth), counts(found));
    let keys = expected.keys().chain(found.keys());
    let mut wrong = keys.filter(|key| {
        let (expected, found) = (
            expected.get(*key).copied().unwrap_or(0),
            found.get(*key).copied().unwrap_or(0),
        );
        if at_least {
            found < expected
        } else {
            found > expected
        }
    });
    wrong.next().map(|key| {
        let kind = if at_least { "lost" } else { "doubled" };
        let (found, expected) = (found.get(key), expected.get(key));
        Failure::new(kind, format!("{}: {found:?} of {expected:?}", text(key)))
    })
}

fn count(row: &[u8]) -> i64 {
    let row: serde_json::Value = serde_json::from_slice(row).unwrap_or_default();
    row["count"].as_i64().unwrap_or(0)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tasks over all records.
struct Truth {
    world: SharedWorld,
    sink: TopicSink,
    panes: Panes,
    rows: Rows,
}

impl Truth {
    fn compute(scenario: &Scenario, input: &[Vec<OwnRecord>]) -> Result<Rows> {
        let world = Arc::new(Mutex::new(World::new(0, false)));
        lock(&world).processes.push(Process::default());
        super::run::prepare(&world, scenario);
        let view = View {
            world: world.clone(),
            process: 0,
        };
        let settings = settings(view, Interrupt::default());
        let (plan, decoder) = scenario.plan()?;
        let admin = Admin::new(&settings)?;
        let producer = Shared::new(Producer::new(&settings, &Options::default())?);
        lock(&world).senders[0].room = usize::MAX;
        let mut truth = Truth {
            sink: sink(&admin, &plan, producer.clone())?,
            world,
            panes: Panes::default(),
            rows: Rows::new(),
        };
        let mut evaluator = Evaluator {
            plan: &plan,
            decoder,
            origins: Origins::Forget,
            for_journal: false,
            skip_bad: false,
            first_skipped: None,
        };
        let topics = Topics::open(
            &admin,
            &settings,
            GROUP,
            input.len(),
            scenario.is_repartitioned,
            None,
            &producer,
        )?;
        let (mut arena, mut outputs) = (Bump::new(), Outputs::default());
        for (partition, records) in (0..).zip(input) {
            let (role, operator) = if scenario.is_repartitioned {
                (Role::Upstream, plan.upstream_operator()?)
            } else {
                (Role::Window, plan.operator(1)?)
            };
            let mut task = begin(INPUT, partition, role, operator, 0)?;
            for records in records.chunks(20) {
                let messages = records.iter().map(OwnRecord::message).collect();
                task::take_in(
                    &mut task,
                    messages,
                    false,
                    &mut evaluator,
                    &mut outputs,
                    &mut truth.panes,
                    &mut arena,
                )?;
                truth.write()?;
            }
            if scenario.is_repartitioned {
                task.position = records.last().map_or(0, |last| last.offset + 1);
                topics.write(&mut task, &mut producer.lock())?;
            } else {
                task.finish(&mut truth.panes);
                truth.write()?;
            }
        }
        if scenario.is_repartitioned {
            truth.take_parts(&plan, input.len())?;
        }
        Ok(truth.rows)
    }

    /// Puts together what tasks upstream have sent.
    fn take_parts(&mut self, plan: &crate::plan::Plan, partitions: usize) -> Result<()> {
        let sent = self.sent();
        let topic = repartition::name_of(GROUP);
        for partition in 0..partitions as i32 {
            let operator = plan.operator(partitions)?;
            let mut task = begin(&topic, partition, Role::Downstream, operator, partitions)?;
            let parts = sent
                .iter()
                .filter(|(place, _)| place.partition == partition);
            let parts: Vec<Message<'_>> = parts.map(|(_, record)| record.message()).collect();
            repartition::take_in(&mut task, &parts, &mut self.panes)?;
            self.write()?;
            task.finish(&mut self.panes);
            self.write()?;
        }
        Ok(())
    }

    /// Takes in the rows that are due.
    fn write(&mut self) -> Result<()> {
        self.sink.write(&self.panes)?;
        self.panes.clear();
        for (place, record) in self.sent() {
            if *place.topic == *RESULTS {
                let (key, value) = (record.key().unwrap_or_default(), record.value());
                let rows = self.rows.entry(key.to_vec()).or_default();
                rows.push(value.map(<[u8]>::to_vec));
            } else {
                // Parts stay where they are.
                lock(&self.world).senders[0].keep(place, record);
            }
        }
        Ok(())
    }

    /// Takes what was sent.
    fn sent(&self) -> Vec<(Place, OwnRecord)> {
        lock(&self.world).senders[0].take_waiting()
    }
}

/// Returns a task that has read nothing.
fn begin(
    topic: &str,
    partition: i32,
    role: Role,
    operator: Operator,
    upstream: usize,
) -> Result<Task> {
    let place = Place {
        topic: topic.into(),
        partition,
    };
    let restored = Restored {
        operator,
        committed: None,
        goes_on: false,
        is_shown: false,
        positions: vec![0; upstream],
        found: Default::default(),
        local: None,
        took: Duration::ZERO,
    };
    let bounds = Bounds::Offsets {
        first: 0,
        end: None,
        is_fixed: true,
    };
    Task::new(&place, role, restored, bounds)
}
