//! The partitions that the group gives to a process and takes away.
//!
//! In: what the group has decided. Out: tasks with their restored state. A task that moves to
//! another process is committed first.

use std::io;
use std::path::Path;

use super::commit_metadata::Role;
use super::idle::Idle;
use super::restore::{Belongs, Job, Local, LogReader, Restored};
use super::snapshot::file::Flaw;
use super::snapshot::{Home, Snapshot};
use super::task::{Bounds, Task};

use super::{Node, Slot, topics};
use crate::clock;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::admin::Admin;
use crate::kafka::member::{Place, Rebalance};
use crate::source::kafka::{Since, Starts};
use crate::term::units::{format_bytes, format_plural};

impl Node<'_> {
    /// Carries out what the group has decided.
    pub(super) fn rebalance(&mut self, rebalance: Rebalance) -> Result<()> {
        self.shared = Some(clock::now());
        match rebalance {
            Rebalance::Given(places) => {
                self.member.accept()?;
                self.report
                    .detail(format!("given {}", names(&places, self.starts.topic())));
                places.into_iter().try_for_each(|place| self.restore(place))
            }
            Rebalance::Taken { places, lost } => {
                self.report
                    .detail(format!("taken {}", names(&places, self.starts.topic())));
                // Other processes continue where this commit ends.
                let committed = if is_planted(Fault::ReleasedBeforeCommit) {
                    Ok(())
                } else if lost {
                    Err(Error::fenced("the group has continued without this member"))
                } else {
                    self.commit()
                };
                if committed.is_err() {
                    self.commit.give_up()?;
                }
                places.iter().for_each(|place| self.let_go(place));
                self.member.release(&places)?;
                committed
            }
        }
    }

    /// Joins the group again; its partitions may belong to others by now.
    pub(super) fn rejoin(&mut self) -> Result<()> {
        let places: Vec<Place> = self.slots.keys().cloned().collect();
        places.iter().for_each(|place| self.let_go(place));
        self.shared = None;
        self.member.rejoin()
    }

    /// Drops the work on a partition; what was committed stays.
    fn forget(&mut self, place: &Place) {
        if let Some(Slot::Working(task)) = self.slots.remove(place) {
            self.counted.absorb(task.counted());
        }
    }

    /// Drops a partition that goes to another process.
    fn let_go(&mut self, place: &Place) {
        self.forget(place);
        // From here on nothing is appended to it.
        let had_state = has_state(self.role(place));
        if let Some(snapshots) = self.snapshots.as_mut().filter(|_| had_state) {
            snapshots.release(place.partition);
        }
    }

    /// Starts to restore the state of a partition from its changelog.
    pub(super) fn restore(&mut self, place: Place) -> Result<()> {
        self.forget(&place);
        let had = self.starts.len();
        if *place.topic == *self.starts.topic() && place.partition as usize >= had {
            let topic = Admin::new(self.settings)?.topic(&place.topic)?;
            let has = topic.partitions.len();
            return Err(topics::has_grown(&self.options.group, has, had));
        }
        self.silence.iter_mut().for_each(Idle::forget);
        let role = self.role(&place);
        let upstream = match role {
            Role::Downstream => self.starts.len(),
            Role::Window | Role::Upstream => 0,
        };
        let mut operator = match role {
            Role::Upstream => self.plan.upstream_operator()?,
            Role::Window | Role::Downstream => self.plan.operator(upstream.max(1))?,
        };
        let home = if has_state(role) {
            operator.log_changes();
            self.home(place.partition, role)
        } else {
            None
        };
        if role != Role::Downstream && self.outputs.late.is_some() {
            operator.keep_lates();
        }
        let restoring = Job {
            operator,
            role,
            upstream,
            place: place.clone(),
            offsets: self.member.offsets(),
            belongs: Belongs {
                group: self.options.group.clone(),
                input: self.starts.topic().into(),
                id: self.topics.changelog.input().map(str::to_owned),
                guarantee: self.options.guarantee,
                first: self.bounds(&place)?.first(),
            },
            log: self.log_reader(),
            home,
        }
        .begin();
        self.slots.insert(place, Slot::Restoring(restoring));
        Ok(())
    }

    /// Returns what reads the changelog.
    pub(super) fn log_reader(&self) -> LogReader {
        LogReader {
            topic: self.topics.changelog.topic().to_owned(),
            settings: self.settings.clone(),
        }
    }

    /// Starts the tasks whose state was restored.
    pub(super) fn take_restored(&mut self) -> Result<()> {
        let mut restored = Vec::new();
        for (place, slot) in &mut self.slots {
            let Slot::Restoring(restoring) = slot else {
                continue;
            };
            if let Some(answer) = restoring.answer() {
                restored.push((place.clone(), answer?));
            }
        }
        for (place, mut restored) in restored {
            self.tell_restored(&place, &restored);
            let snapshot = restored.local.take();
            let snapshot = snapshot.and_then(|local| self.keep(&place, local));
            let role = self.role(&place);
            let mut task = Task::new(&place, role, restored, self.bounds(&place)?)?;
            task.snapshot = snapshot;
            self.member.begin(&place, task.position)?;
            self.slots.insert(place, Slot::Working(Box::new(task)));
        }
        Ok(())
    }

    /// Says in one line what this process does, once it is settled, unless it was said last.
    pub(super) fn tell_work(&mut self) {
        let is_restoring = |slot: &Slot| matches!(slot, Slot::Restoring(_));
        if !self.is_settled() || self.slots.values().any(is_restoring) {
            return;
        }
        let places: Vec<Place> = self.slots.keys().cloned().collect();
        if self.told.as_ref() != Some(&places) {
            let work = work(&self.options.group, &places, &self.starts);
            self.report.status(work);
            self.told = Some(places);
        }
    }

    /// Takes the snapshot of a partition for this process, if snapshots are kept.
    fn home(&mut self, partition: i32, role: Role) -> Option<Home> {
        match self.snapshots.as_mut()?.take(partition, role) {
            Ok(Some(home)) => return Some(home),
            Ok(None) => self.report.status(format!(
                "partition {partition}: another process keeps its snapshot, so this one keeps none"
            )),
            Err(source) => {
                let error = Error::io("take its snapshot", source);
                self.report.warning(format!(
                    "partition {partition}: {error}; no snapshot is kept"
                ));
            }
        }
        None
    }

    /// Writes the state of a task that starts as its snapshot, if possible.
    fn keep(&self, place: &Place, local: Local) -> Option<Snapshot> {
        let Local { home, draft, .. } = local;
        let path = home.path();
        let begun = draft.and_then(|draft| Snapshot::begin(home, draft));
        begun
            .map_err(|source| self.warn_of_snapshot(place, &path, source))
            .ok()
    }

    /// Appends what was committed to the snapshots of the tasks.
    pub(super) fn add_to_snapshots(&mut self) {
        let producer = self.commit.producer();
        let mut failed = Vec::new();
        for (place, slot) in &mut self.slots {
            if let Slot::Working(task) = slot
                && let Some(snapshot) = &mut task.snapshot
            {
                let last = producer.lock().last_offset(place.partition);
                if let Err(source) = snapshot.commit(last.map(|last| last + 1)) {
                    failed.push((place.clone(), snapshot.path(), source));
                    task.snapshot = None; // what follows would not fit
                }
            }
        }
        for (place, path, source) in failed {
            self.warn_of_snapshot(&place, &path, source);
        }
    }

    fn warn_of_snapshot(&self, place: &Place, path: &Path, source: io::Error) {
        let error = Error::io(format!("write snapshot `{}`", path.display()), source);
        self.report.warning(format!(
            "partition {}: {error}; from now on its state is only in the changelog",
            place.partition,
        ));
    }

    /// Returns the role of the task of a partition.
    fn role(&self, place: &Place) -> Role {
        match &self.topics.repartition {
            None => Role::Window,
            Some(_) if *place.topic == *self.starts.topic() => Role::Upstream,
            Some(_) => Role::Downstream,
        }
    }

    /// Returns where a task begins and ends.
    fn bounds(&self, place: &Place) -> Result<Bounds> {
        let exit = self.options.exit;
        match &self.topics.repartition {
            Some(repartition) if self.role(place) == Role::Downstream => {
                let ends = self.starts.iter().map(|(_, start)| start.end);
                Ok(Bounds::Upstream {
                    first: repartition.starts().of(place.partition)?.first,
                    ends: exit.then(|| ends.collect()),
                })
            }
            _ => {
                let start = self.starts.of(place.partition)?;
                Ok(Bounds::Offsets {
                    first: start.first,
                    end: exit.then_some(start.end),
                    is_fixed: self.options.since == Since::Beginning,
                })
            }
        }
    }

    fn tell_restored(&self, place: &Place, restored: &Restored) {
        let local = restored.local.as_ref();
        if let Some(metrics) = &self.metrics {
            metrics.restored(restored.took, restored.found);
        }
        let partition = place.partition;
        if let (true, Some(committed)) = (restored.goes_on, &restored.committed) {
            self.report.status(format!(
                "partition {partition}: the group's offset is gone; continuing at {}, the offset of its state",
                committed.offset
            ));
        }
        if let Some(Local { home, flaw, .. }) = local
            && let Some(flaw) = flaw.as_ref().filter(|flaw| !matches!(flaw, Flaw::Missing))
        {
            let path = home.path();
            let path = path.display();
            self.report.status(match flaw {
                Flaw::CutOff => format!(
                    "partition {partition}: snapshot `{path}` {flaw}; the rest is read from the changelog"
                ),
                _ => format!(
                    "partition {partition}: snapshot `{path}` {flaw}; its state is read from the changelog"
                ),
            });
        }
        let (rows, bytes) = restored.operator.logged();
        if rows == 0 {
            return;
        }
        let parts = local.map(|_| {
            format!(
                ": {} from the snapshot, then {} of the changelog",
                format_plural(restored.found.rows, "row"),
                format_plural(restored.found.records, "record"),
            )
        });
        self.report.status(format!(
            "partition {partition}: restored {} of state, {}, in {:.1} s{}",
            format_plural(rows, "row"),
            format_bytes(bytes),
            restored.took.as_secs_f64(),
            parts.unwrap_or_default(),
        ));
    }
}

/// Returns whether a task keeps a state in the changelog.
fn has_state(role: Role) -> bool {
    role != Role::Upstream
}

/// Returns the name of some partitions for messages; `input` is the topic that the group reads.
fn names(places: &[Place], input: &str) -> String {
    let passed_on = numbers(places.iter(), input, false);
    let passed_on = passed_on.map(|numbers| format!("{numbers} of the repartition topic"));
    let of_input = numbers(places.iter(), input, true);
    let named: Vec<String> = of_input.into_iter().chain(passed_on).collect();
    format!("partitions {}", named.join("; "))
}

/// Returns the numbers of the partitions of the input, or of the others: `0, 2`.
fn numbers<'p>(
    places: impl Iterator<Item = &'p Place>,
    input: &str,
    of_input: bool,
) -> Option<String> {
    let places = places.filter(|place| (*place.topic == *input) == of_input);
    let mut numbers: Vec<i32> = places.map(|place| place.partition).collect();
    numbers.sort_unstable();
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    (!numbers.is_empty()).then(|| numbers.join(", "))
}

/// Returns what a process of a group does: `group calls: partitions 0, 2 of 3; reading`.
fn work(group: &str, places: &[Place], starts: &Starts) -> String {
    let (input, all) = (starts.topic(), starts.len());
    let of_input = numbers(places.iter(), input, true);
    let of_input = of_input.map(|numbers| match numbers.contains(',') {
        true => format!("partitions {numbers} of {all}"),
        false => format!("partition {numbers} of {all}"),
    });
    let passed_on = numbers(places.iter(), input, false);
    let passed_on = passed_on.map(|numbers| format!("{numbers} of the repartition topic"));
    let mut work: Vec<String> = of_input.into_iter().chain(passed_on).collect();
    if work.is_empty() {
        return format!("group {group}: none of {all} partitions; standing by");
    }
    work.push("reading".to_owned());
    format!("group {group}: {}", work.join("; "))
}
