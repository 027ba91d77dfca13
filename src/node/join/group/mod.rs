//! The node of a join in a group: several processes share the partitions of two topics, and any of them may
//! end at any moment.
//!
//! In: the partitions that the group gives to this process, and their records. Out: rows in a topic, what
//! changes of the held records in a changelog, and the group's offsets, all three in one transaction.
//!
//! Life of a task:
//! 1. The group gives the partition that leads it to this process ([`assignment`]): [`restore`] finds how far it has read and
//!    what it holds, on a thread of its own, while other tasks go on.
//! 2. Where the records of a side do not lie by what they are joined on, a task for each of its partitions
//!    decodes them and sends them on ([`handover`]).
//! 3. A task that joins reads one partition of each side, with an engine and a watermark of its own
//!    ([`task`], [`feed`]).
//! 4. At intervals rows, changes and offsets become visible together.
//! 5. The group takes the partition away: finished work is committed first, and the rest is dropped.
//!
//! Whatever goes wrong with a commit, the remedy is the same: forget what was not committed, and restore.
//!
//! - [`layout`]: which partition is read by which task
//! - [`silence`]: which partitions no longer hold event time back
//! - [`start`]: what a process and its group agree on before it joins

mod assignment;
mod ended;
mod feed;
mod handover;
mod layout;
mod restore;
mod silence;
pub mod start;
mod task;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};

use super::frame;
use crate::clock;
use crate::engine::join::Side;
use crate::engine::join::account::Account;
use crate::engine::watermark::BEGINNING;
use crate::error::{Error, Remedy, Result};
use crate::fault::{Fault, is_planted};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::member::{Member, Place};
use crate::kafka::producer::TopicId;
use crate::kafka::slot;
use crate::node::group::repartition::{self, Purge};
use crate::node::group::topic_watch::TopicWatch;
use crate::node::group::topics;
use crate::node::input::Form;
use crate::notation::Notation;
use crate::plan::JoinPlan;
use crate::sink::joined::JoinedSink;
use crate::sink::topic::Shared;
use crate::term::report::Report;
pub use layout::internal_topics;
use layout::{Layout, Role, TaskId};
use restore::Restored;
use silence::Silence;
use task::Task;

/// The most records that are taken from a partition at once.
const MAX_BATCH: usize = 4_096;
/// How long nothing may come before a signal or the group is looked at.
const TURN: Duration = Duration::from_millis(5);
/// What is said beside an offset: that it is of a task of a join.
const METADATA: &str = "k join";

/// How the node runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The group.
    pub group: String,
    /// The topic of the rows.
    pub to: String,
    /// How long a partition that is at its end holds event time back; with [`Options::exit`] each is read
    /// to its end.
    pub idle: Duration,
    /// How often rows, state and offsets are committed.
    pub commit_every: Duration,
    /// Whether the run ends when the group has read what the topics hold now.
    pub exit: bool,
    /// Whether malformed records are counted instead of ending the run.
    pub skip_bad: bool,
}

/// What a node is made of.
pub struct Parts<'n> {
    /// What is joined.
    pub plan: &'n JoinPlan,
    /// How the records of both sides are written.
    pub forms: [Form; 2],
    /// How the work is spread.
    pub(crate) layout: Layout,
    /// Sends rows, changes and offsets, in transactions.
    pub producer: Shared,
    /// Asks the cluster.
    pub admin: &'n Admin,
    /// Where Kafka is.
    pub settings: &'n Settings,
    /// Where messages go.
    pub report: &'n Report,
    /// Ends the run.
    pub interrupt: &'n Interrupt,
}

/// A process that joins for a group.
pub struct Node<'n> {
    parts: Parts<'n>,
    options: Options,
    /// Before the member: what they have fetched is given back before it leaves.
    slots: BTreeMap<TaskId, Slot>,
    member: Member,
    sink: JoinedSink,
    topics: Topics,
    /// Notices when topics are deleted.
    lookout: TopicWatch,
    silence: Silence,
    /// Whether a transaction has begun.
    is_open: bool,
    committed: Instant,
    /// What tasks that have ended counted.
    counted: Account,
    /// The line about the first malformed record of each side that was skipped.
    first_skipped: [Option<String>; 2],
    /// Whether the run has ended without what was done since the last commit.
    has_given_up: bool,
    /// When the group last rebalanced; `None` before this process is a member.
    shared: Option<Instant>,
    /// The tasks that were reported last.
    told: Option<Vec<TaskId>>,
    /// When the group was last asked whether it has read everything.
    asked: Instant,
    /// Where what was sent between tasks ends, once all of it was.
    sent_ends: Option<Vec<(Place, i64)>>,
}

/// Where tasks send to.
struct Topics {
    via: [Option<TopicId>; 2],
    partitions: i32,
    changelog: TopicId,
    /// Deletes what was read between tasks, by side.
    purges: [Option<Purge>; 2],
}

/// A task, or what will be one.
type Slot = slot::Slot<Restored, Task>;

impl Topics {
    /// Opens the topics of a group, which are created where they are missing.
    fn open(parts: &Parts<'_>, group: &str) -> Result<Self> {
        let Layout {
            sides,
            partitions,
            changelog,
        } = &parts.layout;
        let open = |name: &str, settings: &[(&str, &str)]| {
            topics::open(parts.admin, name, group, *partitions as usize, settings)?;
            parts.producer.lock().topic(name)
        };
        let mut via = [None, None];
        let mut purges = [None, None];
        for (nth, side) in sides.iter().enumerate() {
            if let Some(name) = &side.via {
                via[nth] = Some(open(name, &repartition::SETTINGS)?);
                purges[nth] = Some(Purge::begin(name, parts.settings));
            }
        }
        Ok(Topics {
            via,
            partitions: *partitions,
            changelog: open(changelog, &crate::node::group::changelog::SETTINGS)?,
            purges,
        })
    }

    /// Returns the topic through which a side's records are brought together.
    fn via(&self, side: Side) -> Result<TopicId> {
        self.via[side.index()].ok_or_else(|| Error::bug("a side is spread that need not be"))
    }

    fn partitions(&self) -> i32 {
        self.partitions
    }
}

impl<'n> Node<'n> {
    /// Joins the group; its state is that of the plan.
    ///
    /// # Errors
    /// `refused` where a topic is missing, `retry` when no broker answers.
    pub fn join(parts: Parts<'n>, options: Options) -> Result<Self> {
        let topics = Topics::open(&parts, &options.group)?;
        parts.producer.lock().init_transactions()?;
        let frame = frame(parts.plan, Notation::Json);
        let (keys, producer) = (parts.plan.keys(), parts.producer.clone());
        let sink = JoinedSink::topic_shared(parts.admin, &options.to, frame, keys, producer)?;
        let layout = &parts.layout;
        let inputs = layout.sides.iter().map(|side| side.topic.to_string());
        let own = layout.sides.iter().filter_map(|side| side.via.as_ref());
        let depends = inputs.chain(own.map(|name| name.to_string()));
        let depends = depends.chain([layout.changelog.clone(), options.to.clone()]);
        let lookout = TopicWatch::begin(parts.admin, parts.settings, depends.collect())?;
        let member = Member::join(parts.settings, &options.group, &layout.leads())?;
        Ok(Node {
            slots: BTreeMap::new(),
            member,
            sink,
            topics,
            lookout,
            silence: Silence::begin(parts.settings, options.idle),
            is_open: false,
            committed: clock::now(),
            counted: Account::default(),
            first_skipped: [None, None],
            has_given_up: false,
            shared: None,
            told: None,
            asked: clock::now(),
            sent_ends: None,
            parts,
            options,
        })
    }

    /// Returns where every record went that this process has read, without what it has given up.
    pub fn account(&self) -> Account {
        let mut account = self.counted;
        for task in self.tasks() {
            account.absorb(if self.has_given_up {
                task.counted()
            } else {
                task.account()
            });
        }
        account
    }

    /// Returns the lines about the first malformed record of each side that was skipped.
    pub fn take_first_skipped(&mut self) -> [Option<String>; 2] {
        std::mem::take(&mut self.first_skipped)
    }

    /// Returns how far event time has come in the task furthest behind.
    pub fn watermark(&self) -> i64 {
        let joining = self.tasks().filter(|task| task.id.0 == Role::Join);
        joining.map(Task::watermark).min().unwrap_or(BEGINNING)
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.slots.values().filter_map(Slot::task)
    }

    /// Works for the group until a signal, or with [`Options::exit`] until everything is read.
    ///
    /// # Errors
    /// `stopped` after a signal, when everything was committed or a warning has said that it was not;
    /// `data` at a malformed record, unless they are skipped; `refused` where the world does not let it
    /// go on.
    pub fn run(&mut self) -> Result<()> {
        // What was done up to a signal is kept; after an error nothing is since the last commit.
        let ended = self.work().and_then(|()| self.commit());
        let is_all = ended.is_ok() && self.options.exit && !self.parts.interrupt.is_set();
        if ended.is_err() {
            self.has_given_up = true;
            let _ = self.give_up(); // brokers do it after some time
        }
        let stopped = self.parts.interrupt.check();
        match ended {
            Err(error) if stopped.is_err() && error.remedy().is_passing() => {
                self.parts.report.warning(format!(
                    "the work since the last commit is discarded: {error}"
                ));
                stopped
            }
            ended => ended.and(stopped),
        }?;
        if is_all {
            self.await_readable()
        } else {
            Ok(())
        }
    }

    fn work(&mut self) -> Result<()> {
        while !self.parts.interrupt.is_set() {
            match self.turn() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if matches!(error.remedy(), Remedy::Rejoin | Remedy::Retry) => {
                    self.rewind(&error)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does what there is to do; returns whether the run is over.
    fn turn(&mut self) -> Result<bool> {
        self.lookout.check()?;
        while let Some(rebalance) = self.member.serve()? {
            self.rebalance(rebalance)?;
        }
        self.take_restored()?;
        self.tell_work();
        let has_read = self.read()?;
        if !has_read {
            self.note_ends();
        }
        let has_worked = self.go_on()?;
        if !has_read && !has_worked {
            self.member.watch_silence()?;
            self.pass_silence()?;
            let due = self.options.commit_every;
            let due = due.saturating_sub(clock::since(self.committed));
            self.member
                .wait(TURN.min(due.max(Duration::from_millis(1))));
        }
        if clock::since(self.committed) >= self.options.commit_every {
            self.commit()?;
        }
        Ok(self.options.exit && self.is_all_read()?)
    }

    /// Reads what there is; returns whether there was anything.
    fn read(&mut self) -> Result<bool> {
        let mut has_read = false;
        for task in self.slots.values_mut().filter_map(Slot::task_mut) {
            for feed in task.feeds.iter_mut().filter(|feed| feed.wants_more()) {
                let fetched = self.member.read(&feed.place, MAX_BATCH)?;
                if !fetched.is_empty() {
                    has_read = true;
                    feed.take_in(fetched)?;
                }
            }
        }
        Ok(has_read)
    }

    /// Notes where the partitions end, as far as is known.
    fn note_ends(&mut self) {
        let positions = self.member.positions();
        for task in self.slots.values_mut().filter_map(Slot::task_mut) {
            for feed in &mut task.feeds {
                let end = self.member.high_watermark(&feed.place);
                let reached = match end {
                    Some(end) if is_planted(Fault::PositionSkips) => Some(end),
                    _ => positions.get(&feed.place).copied(),
                };
                feed.note(reached, end.filter(|end| *end >= 0));
            }
        }
    }

    /// Uses what was read; returns whether there was anything.
    fn go_on(&mut self) -> Result<bool> {
        if !self.tasks().any(Task::can_go_on) {
            return Ok(false);
        }
        self.begin()?;
        let (topics, sink, producer) = (&self.topics, &mut self.sink, &self.parts.producer);
        let tasks = self.slots.values_mut().filter_map(Slot::task_mut);
        for task in tasks.filter(|task| task.can_go_on()) {
            task.go_on(topics, sink, producer)?;
            for (nth, feed) in task.feeds.iter_mut().enumerate() {
                let side = match task.id.0 {
                    Role::Spread(side) => side.index(),
                    Role::Join => nth,
                };
                if let Some(line) = feed.load.take_first_skipped() {
                    self.first_skipped[side].get_or_insert(line);
                }
            }
        }
        Ok(true)
    }

    /// Lets event time go on past partitions that are at their end, and silent. Where all are read to their
    /// end this is not needed, and what comes later would be late.
    fn pass_silence(&mut self) -> Result<()> {
        if self.options.exit {
            return Ok(());
        }
        if let Some(found) = self.silence.answer() {
            self.begin()?; // rows may leave
            let tasks = self.slots.values_mut().filter_map(Slot::task_mut);
            return self.silence.pass(&found, tasks, &mut self.sink);
        }
        let tasks = self.slots.values().filter_map(Slot::task);
        self.silence.ask(&self.parts.layout, tasks);
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        if !self.is_open {
            self.parts.producer.lock().begin_transaction()?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Makes everything since the last commit visible, or nothing of it.
    fn commit(&mut self) -> Result<()> {
        self.committed = clock::now();
        if !self.is_open && !self.tasks().any(Task::is_changed) {
            return Ok(());
        }
        self.begin()?;
        self.sink.write()?;
        let too_far = i64::from(is_planted(Fault::CommittedTooFar));
        let mut offsets = TopicPartitionList::new();
        let mut producer = self.parts.producer.lock();
        let tasks = self.slots.values_mut().filter_map(Slot::task_mut);
        let mut changed: Vec<&mut Task> = tasks.filter(|task| task.is_changed()).collect();
        for task in &mut changed {
            task.write(&self.topics, &mut producer)?;
            for feed in &task.feeds {
                let Place { topic, partition } = &feed.place;
                let mut element = offsets.add_partition(topic, *partition);
                element.set_metadata(METADATA);
                let set = element.set_offset(Offset::Offset(feed.position() + too_far));
                set.map_err(|error| Error::bug(format!("no list of offsets: {error}")))?;
            }
        }
        producer.commit_transaction(&self.member, &offsets)?;
        self.is_open = false;
        changed.into_iter().for_each(Task::committed);
        drop(producer);
        self.purge();
        Ok(())
    }

    /// Deletes what was read between tasks, now and then.
    fn purge(&mut self) {
        for side in Side::BOTH {
            if let Some(purge) = &mut self.topics.purges[side.index()] {
                let tasks = self.slots.values().filter_map(Slot::task);
                let joining = tasks.filter(|task| task.id.0 == Role::Join);
                let read = |task: &Task| (task.id.1, task.feeds[side.index()].position());
                purge.purge(joining.map(read));
            }
        }
    }

    /// Gives up what was sent since the last commit.
    fn give_up(&mut self) -> Result<()> {
        if !is_planted(Fault::PanesKept) {
            self.sink.forget();
        }
        if std::mem::take(&mut self.is_open) && !is_planted(Fault::NotAborted) {
            self.parts.producer.lock().abort_transaction()?;
        }
        Ok(())
    }

    /// Forgets what was not committed, and restores what the last commit has left.
    fn rewind(&mut self, error: &Error) -> Result<()> {
        let report = self.parts.report;
        report.warning(format!("{error}; going back to the last commit"));
        self.give_up()?;
        if is_planted(Fault::NotRolledBack) {
            return Ok(());
        }
        self.member.doubt_topics();
        let tasks: Vec<TaskId> = self.slots.keys().copied().collect();
        if self.member.is_astray() {
            tasks.into_iter().for_each(|task| self.forget(task));
            self.shared = None;
            return self.member.rejoin();
        }
        tasks.into_iter().try_for_each(|task| self.restore(task))
    }
}
