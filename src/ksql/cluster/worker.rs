//! A query at work in this process: a member of its group. It is not `node::group`, whose tasks window
//! one topic: a task here has several inputs, which it takes in the order of their times, and operators
//! instead of windows.
//!
//! Life of a task:
//! 1. The group gives the leading partition of a stage to this process: what the task remembers is
//!    restored, on a thread of its own, while other tasks go on.
//! 2. Records of all its partitions go through its operators in the order of their times.
//! 3. At intervals rows, what has changed of what it remembers, and offsets are committed in one
//!    transaction.
//! 4. The group takes the partition away: what is finished is committed first.
//!
//! Whatever goes wrong with a commit, the remedy is the same: forget what was not committed, and
//! restore.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};

use super::layout::{Cut, Layout};
use super::outbox::Outbox;
use super::restore::{Job, Restored};
use super::task::Task;
use super::topics::AT_ONCE;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::member::{Member, Place, Rebalance};
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::kafka::producer::{Options, Producer, TopicId};
use crate::kafka::slot;
use crate::ksql::bytes::{self, Bytes};
use crate::ksql::catalog::Source;
use crate::ksql::plan::Recipe;
use crate::ksql::records;
use crate::ksql::run::{Event, Headers, Key, Leaving, Saved};

/// How long nothing may come before the group is looked at.
const TURN: Duration = Duration::from_millis(5);
/// How many records are processed before the group is looked at.
const MOST_STEPS: usize = 2_000;
/// How many records of one task are processed before another may be earlier.
const SLICE: usize = 50;
/// How often what was read between stages is deleted.
const PURGE: Duration = Duration::from_secs(10);
/// The most records in flight: the broker sets the pace.
const IN_FLIGHT: usize = 20_000;

/// What a worker is to do.
pub(super) struct Work {
    /// The query's id.
    pub id: String,
    pub group: String,
    pub recipe: Recipe,
    pub sink: Source,
    /// Whether topics that the group has not read are read from their beginning.
    pub from_beginning: bool,
    pub commit_every: Duration,
}

/// A worker of a query.
pub(super) struct Worker {
    work: Work,
    settings: Settings,
    context: Context,
    layout: Rc<Layout>,
    admin: Admin,
    member: Member,
    producer: Producer,
    /// Whether a transaction has begun.
    is_open: bool,
    committed: Instant,
    purged: Instant,
    slots: BTreeMap<(usize, i32), Slot>,
    sink: (TopicId, Partitioner),
    cuts: Vec<(TopicId, Partitioner)>,
    logs: Vec<Option<TopicId>>,
    outbox: Outbox,
    left: Vec<Leaving>,
    unread: (u64, Option<String>),
}

/// A task, or what will be one.
type Slot = slot::Slot<Restored, Task>;

impl Worker {
    /// Joins the query's group; its topics are there.
    ///
    /// # Errors
    /// `refused` for a topic that is missing, `retry` when no broker answers.
    pub fn join(
        work: Work,
        layout: Layout,
        settings: &Settings,
        context: &Context,
    ) -> Result<Self> {
        let admin = Admin::new(settings)?;
        layout.create_topics(&admin)?;
        let options = Options {
            transactional: Some(format!("{}-k-{:016x}", work.group, rand::random::<u64>())),
            open_for: work.commit_every,
            patient: true,
            at_once: Some(IN_FLIGHT),
            ..Options::default()
        };
        let mut producer = Producer::new(settings, &options)?;
        producer.init_transactions()?;
        let sink = admin.topic(&work.sink.topic)?.partitions.len() as i32;
        let spread = |partitions| Partitioner::new(Partitioning::Murmur2, partitions);
        let sink = (producer.topic(&work.sink.topic)?, spread(sink));
        let mut cut = |cut: &Cut| Ok((producer.topic(&cut.topic)?, spread(cut.partitions)));
        let cuts = layout.cuts.iter().map(&mut cut).collect::<Result<_>>()?;
        let parts = layout.parts.iter();
        let mut log = |name: &String| producer.topic(name);
        let logs = parts.map(|part| part.changelog.as_ref().map(&mut log).transpose());
        let logs = logs.collect::<Result<_>>()?;
        let leads = layout.parts.iter().filter_map(|part| part.inputs.first());
        let leads: Vec<&str> = leads.map(|input| &*input.topic).collect();
        let member = Member::join(settings, &work.group, &leads)?;
        Ok(Worker {
            work,
            settings: settings.clone(),
            context: context.clone(),
            layout: Rc::new(layout),
            admin,
            member,
            producer,
            is_open: false,
            committed: Instant::now(),
            purged: Instant::now(),
            slots: BTreeMap::new(),
            sink,
            cuts,
            logs,
            outbox: Outbox::default(),
            left: Vec::new(),
            unread: (0, None),
        })
    }

    /// Works until its interrupt is set.
    ///
    /// # Errors
    /// `refused` where the world does not let it go on; what was committed stays.
    pub fn run(mut self) -> Result<()> {
        let ended = self.work().and_then(|()| self.commit());
        if ended.is_err() && self.is_open {
            let _ = self.producer.abort_transaction(); // brokers do it after some time
        }
        if let (count @ 1.., Some(first)) = &self.unread {
            self.context.report.warning(format!(
                "query {}: {count} records could not be read and were left out; the first: {first}",
                self.work.id
            ));
        }
        match ended {
            Err(error) if self.is_stopped() && error.remedy().is_passing() => {
                self.context.report.warning(format!(
                    "query {}: the work since the last commit is discarded: {error}",
                    self.work.id
                ));
                Ok(())
            }
            ended => ended.map_err(|error| error.during(format!("running query {}", self.work.id))),
        }
    }

    fn is_stopped(&self) -> bool {
        self.context.interrupt.is_set()
    }

    fn work(&mut self) -> Result<()> {
        while !self.is_stopped() {
            match self.turn() {
                Ok(()) => {}
                Err(error) if matches!(error.remedy(), Remedy::Rejoin | Remedy::Retry) => {
                    self.rewind(&error)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does what there is to do.
    fn turn(&mut self) -> Result<()> {
        while let Some(rebalance) = self.member.serve()? {
            self.rebalance(rebalance)?;
        }
        self.take_restored()?;
        let has_read = self.read()?;
        let mut tasks = self.slots.values().filter_map(Slot::task);
        let now = Instant::now();
        if !has_read || tasks.any(|task| task.holds_back(now)) {
            self.note_ends();
        }
        let has_worked = self.process()?;
        if !has_read && !has_worked {
            self.member.watch_silence()?;
            let due = self
                .work
                .commit_every
                .saturating_sub(self.committed.elapsed());
            self.member
                .wait(TURN.min(due.max(Duration::from_millis(1))));
        }
        if self.committed.elapsed() >= self.work.commit_every {
            self.commit()?;
        }
        Ok(())
    }

    /// Carries out what the group has decided.
    fn rebalance(&mut self, rebalance: Rebalance) -> Result<()> {
        match rebalance {
            Rebalance::Given(places) => {
                self.member.accept()?;
                places
                    .iter()
                    .try_for_each(|place| self.restore_place(place))
            }
            Rebalance::Taken { places, lost } => {
                let committed = if lost {
                    Err(Error::fenced("the group has continued without this member"))
                } else {
                    self.commit()
                };
                if committed.is_err() {
                    self.give_up()?;
                }
                let mut released = Vec::new();
                for place in &places {
                    let Some(nth) = self.led_by(&place.topic) else {
                        continue;
                    };
                    self.slots.remove(&(nth, place.partition));
                    released.extend(Task::places(&self.layout, (nth, place.partition)));
                }
                self.member.release(&released)?;
                committed
            }
        }
    }

    /// Returns the stage that a topic leads.
    fn led_by(&self, topic: &str) -> Option<usize> {
        let mut parts = self.layout.parts.iter();
        parts.position(|part| {
            part.inputs
                .first()
                .is_some_and(|lead| *lead.topic == *topic)
        })
    }

    fn restore_place(&mut self, place: &Place) -> Result<()> {
        let Some(nth) = self.led_by(&place.topic) else {
            return Ok(());
        };
        let part = &self.layout.parts[nth];
        if place.partition >= part.partitions {
            return Err(Error::refused(format!(
                "topic `{}` has more partitions than the {} that the query was created with",
                place.topic, part.partitions
            ))
            .hint("TERMINATE the query and create it again: everything is computed again"));
        }
        self.restore((nth, place.partition));
        Ok(())
    }

    /// Begins to restore a task; what it was doing is forgotten.
    fn restore(&mut self, task: (usize, i32)) {
        let part = &self.layout.parts[task.0];
        let places = Task::places(&self.layout, task).into_iter();
        let from_end =
            |input: &super::layout::Input| !input.is_internal && !self.work.from_beginning;
        let places = places.zip(part.inputs.iter().map(from_end)).collect();
        let restoring = Job {
            settings: self.settings.clone(),
            offsets: self.member.offsets(),
            places,
            changelog: part.changelog.clone().map(|topic| (topic, task.1)),
        }
        .begin();
        self.slots.insert(task, Slot::Restoring(restoring));
    }

    /// Starts the tasks that remember everything again.
    fn take_restored(&mut self) -> Result<()> {
        let mut restored = Vec::new();
        for (task, slot) in &mut self.slots {
            if let Slot::Restoring(restoring) = slot
                && let Some(answer) = restoring.answer()
            {
                restored.push((*task, answer?));
            }
        }
        for (at, restored) in restored {
            let rows = restored.rows.len();
            let task = Task::new(&self.layout, &self.work.recipe, at, restored)?;
            for input in &task.inputs {
                self.member.begin(&input.place, input.position)?;
                self.context.report.detail(format!(
                    "query {}: topic `{}`, partition {}, from offset {}; {rows} entries restored",
                    self.work.id, input.place.topic, input.place.partition, input.position
                ));
            }
            self.slots.insert(at, Slot::Working(Box::new(task)));
        }
        Ok(())
    }

    /// Reads what there is; returns whether there was anything.
    fn read(&mut self) -> Result<bool> {
        let mut has_read = false;
        for slot in self.slots.values_mut() {
            let Some(task) = slot.task_mut() else {
                continue;
            };
            for nth in 0..task.inputs.len() {
                if !task.has_room(nth) {
                    continue;
                }
                let fetched = self.member.read(&task.inputs[nth].place, AT_ONCE)?;
                if fetched.is_empty() {
                    continue;
                }
                has_read = true;
                let (count, first) = &mut self.unread;
                task.take_in(nth, &fetched, |why| {
                    *count += 1;
                    first.get_or_insert(why);
                })?;
            }
        }
        Ok(has_read)
    }

    /// Notes where the partitions end, as far as is known.
    fn note_ends(&mut self) {
        let positions = self.member.positions();
        for slot in self.slots.values_mut() {
            let Some(task) = slot.task_mut() else {
                continue;
            };
            for nth in 0..task.inputs.len() {
                let place = &task.inputs[nth].place;
                let end = self.member.high_watermark(place).filter(|end| *end >= 0);
                let reached = positions.get(place).copied();
                task.note(nth, reached, end);
            }
        }
    }

    /// Processes records of all tasks in the order of their times; returns whether there were any.
    fn process(&mut self) -> Result<bool> {
        let (mut steps, now) = (0, Instant::now());
        while steps < MOST_STEPS {
            let tasks = || {
                let slots = self.slots.iter();
                slots.filter_map(|(at, slot)| Some((at, slot.task()?)))
            };
            if tasks().any(|(_, task)| task.holds_back(now)) {
                break;
            }
            let next = tasks().filter_map(|(at, task)| Some((task.next(now)?, *at)));
            let Some((_, at)) = next.min() else { break };
            let Some(task) = self.slots.get_mut(&at).and_then(Slot::task_mut) else {
                break;
            };
            steps += (0..SLICE)
                .take_while(|_| task.step(now, &mut self.left))
                .count();
            self.pack()?;
        }
        self.send()?;
        Ok(steps > 0)
    }

    /// Makes records of the events that have left.
    fn pack(&mut self) -> Result<()> {
        for leaving in self.left.drain(..) {
            let Leaving { cut, event } = leaving;
            let Some(cut) = cut else {
                let sink = &self.work.sink;
                match records::write(sink, &event, 0) {
                    Ok(record) => {
                        let bytes = Bytes::of(&record, sink);
                        let key = bytes.key.as_deref();
                        let hashed = key.map(|key| &key[..bytes.hashed]);
                        let to = (self.sink.0, self.sink.1.choose(hashed));
                        let (time, headers) = (Some(record.time), record.headers);
                        self.outbox
                            .push(to, time, key, bytes.value.as_deref(), headers);
                    }
                    Err(misfit) => {
                        self.unread.0 += 1;
                        self.unread.1.get_or_insert(misfit.reason().to_owned());
                    }
                }
                continue;
            };
            let mut cuts = self.layout.cuts.iter().zip(&mut self.cuts);
            let Some((cut, (topic, spread))) = cuts.find(|(known, _)| known.at == cut) else {
                return Err(Error::bug("an event left between two stages that are one"));
            };
            let key = key_of(cut, &event)?;
            let to = (*topic, spread.choose(key.as_deref()));
            let value = event.saved()?;
            self.outbox
                .push(to, None, key.as_deref(), Some(&value), Headers::default());
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        self.begin()?;
        self.outbox.send(&mut self.producer)
    }

    fn begin(&mut self) -> Result<()> {
        if !self.is_open {
            self.producer.begin_transaction()?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Makes everything since the last commit visible, or nothing of it.
    fn commit(&mut self) -> Result<()> {
        self.committed = Instant::now();
        self.send()?;
        let mut offsets = TopicPartitionList::new();
        for task in self.slots.values_mut().filter_map(Slot::task_mut) {
            if !task.is_changed {
                continue;
            }
            for input in &task.inputs {
                let Place { topic, partition } = &input.place;
                let offset = Offset::Offset(input.position);
                let added = offsets.add_partition_offset(topic, *partition, offset);
                added.map_err(|error| Error::bug(format!("no list of offsets: {error}")))?;
            }
            let Some(log) = self.logs[task.nth] else {
                continue;
            };
            for (key, value) in task.changes()? {
                let to = (log, task.partition);
                self.outbox
                    .push(to, None, Some(&key), value.as_deref(), Headers::default());
            }
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        self.begin()?;
        self.outbox.send(&mut self.producer)?;
        self.producer.commit_transaction(&self.member, &offsets)?;
        self.is_open = false;
        for task in self.slots.values_mut().filter_map(Slot::task_mut) {
            task.is_changed = false;
        }
        self.purge();
        Ok(())
    }

    /// Deletes what was read between stages, now and then.
    fn purge(&mut self) {
        if self.purged.elapsed() < PURGE {
            return;
        }
        self.purged = Instant::now();
        for task in self.slots.values().filter_map(Slot::task) {
            let inputs = task.inputs.iter().zip(&self.layout.parts[task.nth].inputs);
            for (input, _) in inputs.filter(|(_, input)| input.is_internal) {
                let read = (input.place.partition, input.position);
                // It is done again with the next ones.
                let _ = self.admin.delete_records(&input.place.topic, &[read]);
            }
        }
    }

    /// Gives up what was sent since the last commit.
    fn give_up(&mut self) -> Result<()> {
        self.outbox.clear();
        self.left.clear();
        if std::mem::take(&mut self.is_open) {
            self.producer.abort_transaction()?;
        }
        Ok(())
    }

    /// Forgets what was not committed, and restores what the last commit has left.
    fn rewind(&mut self, error: &Error) -> Result<()> {
        self.context.report.warning(format!(
            "query {}: {error}; going back to the last commit",
            self.work.id
        ));
        self.give_up()?;
        self.member.doubt_topics();
        if self.member.is_astray() {
            self.slots.clear();
            return self.member.rejoin();
        }
        let tasks: Vec<(usize, i32)> = self.slots.keys().copied().collect();
        tasks.into_iter().for_each(|task| self.restore(task));
        Ok(())
    }
}

/// Returns the bytes that decide the partition of an event between two stages; `None` for any.
fn key_of(cut: &Cut, event: &Event) -> Result<Option<Vec<u8>>> {
    let Key { values, .. } = &event.key;
    if event.key.is_null() {
        return Ok(None);
    }
    match &cut.key {
        Some((format, columns)) => {
            let document = format.write(values, columns, true);
            Ok(bytes::encode(&document, format, columns))
        }
        None => values.saved().map(Some),
    }
}
