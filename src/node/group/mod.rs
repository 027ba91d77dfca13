//! The node of a group: several processes share the partitions of a topic, and any of them may end
//! at any moment.
//!
//! In: the partitions that the group gives to this process, and their records. Out: rows in a
//! topic, the changes of the state in a changelog topic, and the group's offsets; with `--guarantee
//! exactly-once` all three in one transaction.
//!
//! Life of a task, one for each partition of the input:
//! 1. The group gives the partition to this process (`assignment`): `restore` rebuilds its state from
//!    the changelog, on a thread of its own, while other tasks go on.
//! 2. [`task`]: its records are windowed with a watermark of their own.
//! 3. [`commit`]: at intervals the rows, the changes and the offsets become visible.
//! 4. The group takes the partition away: finished work is committed first, and the rest is
//!    dropped.
//!
//! Where records are not grouped by their key, those of one group value lie in several partitions.
//! Then the tasks of the input only judge records, pre-aggregate them, and send the parts through
//! the [`repartition`] topic. There is a second task for each partition of that topic, which holds
//! the windows.
//!
//! Whatever goes wrong with a commit, the remedy is the same: forget what was not committed, and
//! restore.
//!
//! - `changelog`: the rows of a state
//! - [`snapshot`]: the rows that this machine keeps of it
//! - [`start`]: what a process and its group agree on before it joins
//! - [`plan`]: rejects the state of another plan
//! - [`commit_metadata`]: what is kept beside a commit's offset
//! - [`inspect`]: a group as it is seen from outside
//! - [`keys`]: whether records need repartitioning
//! - [`metrics`]: the figures for Prometheus

mod assignment;
pub(in crate::node) mod changelog;
pub mod commit;
pub mod commit_metadata;
mod ended;
mod idle;
pub mod inspect;
pub mod keys;
mod log;
pub mod metrics;
pub mod plan;
mod readable;
pub(in crate::node) mod repartition;
pub(in crate::node) mod restore;
#[cfg(test)]
mod simulation;
pub mod snapshot;
pub mod start;
mod state_position;
mod task;
pub(in crate::node) mod topic_watch;
pub(in crate::node) mod topics;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bumpalo::Bump;

use crate::clock;
use crate::engine::account::Account;
use crate::engine::operator::Open;
use crate::engine::pane::Panes;
use crate::engine::watermark::BEGINNING;
use crate::error::{Error, Remedy, Result};
use crate::fault::{Fault, is_planted};
use crate::format::{Decoder, Origins};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::member::{Member, Place};
use crate::kafka::open_transactions;
use crate::kafka::slot;
use crate::node::Outputs;
use crate::node::evaluate::{Evaluator, now_ms};
use crate::node::side_output::SideOutput;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::sink::topic::Shared;
use crate::source::Message;
use crate::source::kafka::{Since, Starts};
use crate::term::report::Report;
use crate::term::units::{format_bytes, format_count, format_plural};
use commit::{Commit, Crash, Guarantee, Lease};
use idle::Idle;
use metrics::{Metrics, TaskFigures};
use restore::Restored;
use snapshot::Snapshots;
use task::{Counts, Task, Work};
use topic_watch::TopicWatch;
use topics::Topics;
pub use topics::{refuse_lost_repartition, refuse_lost_state, refuse_remains, reset, state_topics};

/// The most records that are taken from a partition at once.
const MAX_BATCH: usize = 4_096;
/// How long nothing may come before a signal or the group is looked at.
const TURN: Duration = Duration::from_millis(5);

/// How the node of a group runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The group.
    pub group: String,
    /// The topic that is shared.
    pub topic: String,
    /// Where it is read from before the group has committed.
    pub since: Since,
    /// The topic of the results.
    pub to: String,
    /// Whether records are brought together by what they are grouped by.
    pub is_repartitioned: bool,
    /// How long a partition that is at its end holds the others back, where they are brought
    /// together; with [`Options::exit`] each is read to its end.
    pub idle: Duration,
    /// What a crash may do to the results.
    pub guarantee: Guarantee,
    /// How often results, state and offsets are committed.
    pub commit_every: Duration,
    /// For how long it may send without a transaction.
    pub lease: Lease,
    /// How many bytes of state may be held; `None` for any.
    pub max_state: Option<u64>,
    /// Whether the run ends when the group has read what the topic holds now.
    pub exit: bool,
    /// Whether malformed records are counted instead of ending the run.
    pub skip_bad: bool,
    /// Where the process is to die, as in a crash.
    pub crash: Option<Crash>,
}

/// A process that works for a group.
pub struct Node<'n> {
    plan: &'n Plan,
    settings: &'n Settings,
    options: Options,
    report: &'n Report,
    interrupt: &'n Interrupt,
    /// Where states are kept on this machine, too. Before the member: others may want to add to
    /// them once it has left the group.
    snapshots: Option<Snapshots>,
    member: Member,
    rows: Evaluator<'n>,
    sink: Box<dyn Sink + 'n>,
    outputs: Outputs,
    topics: Topics,
    /// `Some` where tasks wait for what others read.
    silence: Option<Idle>,
    /// The transactions that tasks wait for.
    open: open_transactions::Watch,
    /// Notices when topics are deleted.
    lookout: TopicWatch,
    /// Asks the cluster when the node does nothing else.
    admin: &'n Admin,
    /// How many partitions the results have.
    results: i32,
    commit: Commit,
    metrics: Option<Metrics>,
    slots: BTreeMap<Place, Slot>,
    /// Where each partition begins if the group has not committed, and where it ended at the start.
    starts: Starts,
    /// What tasks that have ended counted.
    counted: Counts,
    /// Whether the run has ended without what was done since the last commit.
    has_given_up: bool,
    panes: Panes,
    arena: Bump,
    /// When the group last rebalanced; `None` before this process is a member.
    shared: Option<Instant>,
    /// The partitions that were reported last.
    told: Option<Vec<Place>>,
    /// When the group was last asked whether it has read everything.
    asked: Instant,
    /// Since when everything is read, and open windows of some partition were not shown.
    unshown: Cell<Option<Instant>>,
}

/// The state of a partition that this process owns.
type Slot = slot::Slot<Restored, Task>;

/// What a node is made of.
pub struct Parts<'n> {
    /// What is computed.
    pub plan: &'n Plan,
    /// The format of the records.
    pub decoder: Decoder,
    /// Where rows go; it sends through `producer`.
    pub sink: Box<dyn Sink + 'n>,
    /// Sends rows and changes.
    pub producer: Shared,
    /// What is set aside; no journal.
    pub outputs: Outputs,
    /// Gets the figures of the process.
    pub metrics: Option<Metrics>,
    /// Where states are kept on this machine, too.
    pub snapshots: Option<Snapshots>,
    /// Asks the cluster while the node joins, and at the end.
    pub admin: &'n Admin,
    /// Where Kafka is.
    pub settings: &'n Settings,
    /// Where messages go.
    pub report: &'n Report,
    /// Ends the run.
    pub interrupt: &'n Interrupt,
}

impl<'n> Node<'n> {
    /// Joins the group; its state is that of the plan.
    ///
    /// # Errors
    /// `refused` where a topic is missing, `retry` when no broker answers.
    pub fn join(parts: Parts<'n>, options: Options, starts: Starts) -> Result<Self> {
        let id = parts.admin.topic_ids(&[&options.topic])?;
        let id = id.into_values().find_map(Result::ok).flatten();
        let topics = Topics::open(
            parts.admin,
            parts.settings,
            &options.group,
            starts.len(),
            options.is_repartitioned,
            id,
            &parts.producer,
        )?;
        if options.guarantee == Guarantee::ExactlyOnce {
            parts.producer.lock().init_transactions()?;
        }
        let repartition = topics.repartition.as_ref();
        let repartition = repartition.map(|repartition| repartition.starts().topic());
        let silence =
            repartition.map(|_| Idle::begin(&options.topic, parts.settings, options.idle));
        let results = parts.admin.topic(&options.to)?;
        let own = [topics.changelog.topic(), &*options.topic, &*options.to];
        let depends = own.into_iter().chain(repartition).map(str::to_owned);
        let lookout = TopicWatch::begin(parts.admin, parts.settings, depends.collect())?;
        let read: Vec<&str> = repartition.into_iter().chain([&*options.topic]).collect();
        let member = Member::join(parts.settings, &options.group, &read)?;
        Ok(Node {
            plan: parts.plan,
            settings: parts.settings,
            report: parts.report,
            interrupt: parts.interrupt,
            member,
            rows: Evaluator {
                plan: parts.plan,
                decoder: parts.decoder,
                origins: match parts.outputs.late {
                    Some(_) => Origins::Keep,
                    None => Origins::Forget,
                },
                for_journal: false,
                skip_bad: options.skip_bad || parts.outputs.bad.is_some(),
                first_skipped: None,
            },
            sink: parts.sink,
            outputs: parts.outputs,
            silence,
            open: open_transactions::Watch::new(parts.settings),
            lookout,
            admin: parts.admin,
            results: results.partitions.len() as i32,
            topics,
            commit: Commit::new(parts.producer, &options),
            metrics: parts.metrics,
            snapshots: parts.snapshots,
            slots: BTreeMap::new(),
            starts,
            counted: Counts::default(),
            has_given_up: false,
            panes: Panes::default(),
            arena: Bump::new(),
            shared: None,
            told: None,
            asked: clock::now(),
            unshown: Cell::default(),
            options,
        })
    }

    /// Returns where every record went that this process has read, without what it has given up.
    pub fn account(&self) -> Account {
        self.counts().account
    }

    /// Returns the line about the first malformed record that was skipped.
    pub fn first_skipped(&self) -> Option<String> {
        let skipped = self.rows.first_skipped.as_ref()?;
        Some(skipped.to_line(&format!("topic {}", self.options.topic)))
    }

    fn counts(&self) -> Counts {
        let mut counts = self.counted;
        self.tasks().for_each(|task| {
            if self.has_given_up {
                counts.absorb(task.counted())
            } else {
                counts.absorb(&task.counts())
            }
        });
        counts
    }

    /// Returns what this process leaves open. A state that was restored does not say of how many
    /// records it is.
    pub fn open(&self) -> Open {
        let mut on_grid = BTreeSet::new();
        let mut by_key = 0;
        let hands_on = |task: &Task| matches!(task.work, Work::Upstream(_));
        for task in self
            .tasks()
            .filter(|task| !hands_on(task) && !task.is_shown)
        {
            match task.operator.open_on_grid() {
                Some(windows) => on_grid.extend(windows),
                None => by_key += task.operator.open().windows,
            }
        }
        let windows = on_grid.len() + by_key;
        Open {
            windows,
            records: (windows == 0).then_some(0),
        }
    }

    /// Returns how far event time has come in the partition furthest behind.
    pub fn watermark(&self) -> i64 {
        let watermarks = self
            .tasks()
            .map(|task| task.operator.watermarks().combined());
        watermarks.min().unwrap_or(BEGINNING)
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.slots.values().filter_map(Slot::task)
    }

    /// Gets ready to send something.
    fn begin(&mut self) -> Result<()> {
        let tasks = self.slots.values().filter_map(Slot::task);
        self.commit.begin(tasks, &mut self.member)
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
        let is_all = ended.is_ok() && self.options.exit && !self.interrupt.is_set();
        if ended.is_err() {
            self.has_given_up = true;
            self.commit.give_up().unwrap_or(()); // brokers do it after some time
        }
        self.tell_strays();
        let stopped = self.interrupt.check();
        match ended {
            Err(error) if stopped.is_err() && error.remedy().is_passing() => {
                self.report.warning(format!(
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

    /// Tells of what was dropped, since upstream it was not late.
    fn tell_strays(&self) {
        let strays = self.counts().strays;
        if strays > 0 {
            self.report.warning(format!(
                "{} came after their windows had left and were dropped: their partition had been \
                 silent for longer than `--idle`, or a crash made them be sent twice",
                format_plural(strays, "partial result"),
            ));
        }
    }

    /// Works until everything is read, or a signal comes between two turns: in the middle of one,
    /// rows of what was read may still have to be sent.
    fn work(&mut self) -> Result<()> {
        while !self.interrupt.is_set() {
            let worked = self.turn();
            match worked {
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
        let mut read = false;
        let places: Vec<Place> = self.slots.keys().cloned().collect();
        for place in &places {
            read |= self.read(place)?;
        }
        self.tick()?;
        if !read {
            self.member.watch_silence()?;
            self.note_positions();
            self.watch_transactions();
            self.look_for_silence()?;
            self.member.wait(TURN.min(self.commit.due_in()));
        }
        self.end_tasks()?;
        if self.commit.is_due() || self.has_ended() {
            self.commit()?;
            self.check_state()?;
        }
        self.publish();
        Ok(self.options.exit && self.is_all_read()?)
    }

    /// Returns whether everything is read, and not all of it is committed.
    fn has_ended(&self) -> bool {
        let mut tasks = self.slots.values().map(Slot::task);
        let all_done = tasks.all(|task| task.is_some_and(|task| task.is_done));
        all_done && self.tasks().any(Task::is_changed)
    }

    fn is_open(&self, place: &Place) -> bool {
        matches!(self.slots.get(place), Some(Slot::Working(task)) if !task.is_done)
    }

    /// Reads some records of a partition and windows them; returns whether there were any.
    fn read(&mut self, place: &Place) -> Result<bool> {
        if !self.is_open(place) {
            return Ok(false);
        }
        let fetched = self.member.read(place, MAX_BATCH)?;
        if fetched.is_empty() {
            return Ok(false);
        }
        if !self.outputs.is_empty() {
            self.begin()?; // what is set aside belongs to it
        }
        let Some(Slot::Working(task)) = self.slots.get_mut(place) else {
            return Ok(false);
        };
        let end = task.end.unwrap_or(i64::MAX);
        let messages = (0..fetched.len()).map(|nth| fetched.get(nth));
        let messages: Vec<Message<'_>> = messages
            .take_while(|message| message.offset < end)
            .collect();
        let last = messages.last().map(|message| message.offset);
        let is_whole = messages.len() == fetched.len();
        let processed = match task.work {
            Work::Downstream(_) => repartition::take_in(task, &messages, &mut self.panes),
            Work::Window | Work::Upstream(_) => task::take_in(
                task,
                messages,
                self.starts.len() > 1,
                &mut self.rows,
                &mut self.outputs,
                &mut self.panes,
                &mut self.arena,
            ),
        };
        // What else came lies behind the end, and is not read.
        task.reach(last.filter(|_| is_whole).map_or(end, |last| last + 1));
        drop(fetched);
        self.write()?; // also what was due before a malformed record
        processed?;
        Ok(true)
    }

    /// Writes the rows that are due, or keeps them for after the commit.
    fn write(&mut self) -> Result<()> {
        if self.panes.is_empty() || self.options.guarantee == Guarantee::AtMostOnce {
            return Ok(());
        }
        self.begin()?;
        self.sink.write(&self.panes)?;
        self.panes.clear();
        Ok(())
    }

    /// Moves processing time, whether records come or not, unless they bring it.
    fn tick(&mut self) -> Result<()> {
        if self.plan.arrival.is_none() {
            let (now, panes) = (now_ms(), &mut self.panes);
            let tasks = self.slots.values_mut().filter_map(Slot::task_mut);
            tasks.for_each(|task| task.tick(now, panes));
        }
        self.write()
    }

    /// Moves positions past transaction markers, which are not records.
    fn note_positions(&mut self) {
        let positions = self.member.positions();
        for (place, slot) in &mut self.slots {
            if let (Slot::Working(task), Some(&position)) = (slot, positions.get(place))
                && !task.is_done
            {
                let position = match self.member.high_watermark(place) {
                    Some(end) if is_planted(Fault::PositionSkips) => end,
                    _ => position,
                };
                task.reach(position);
            }
        }
    }

    /// Ends the tasks that have read everything: their open windows leave, and stay in the state
    /// for the process that goes on.
    fn end_tasks(&mut self) -> Result<()> {
        for slot in self.slots.values_mut() {
            if let Slot::Working(task) = slot
                && !task.is_done
                && task.is_at_end()
            {
                task.finish(&mut self.panes);
            }
        }
        self.write()
    }

    /// Makes everything since the last commit visible, or nothing of it.
    fn commit(&mut self) -> Result<()> {
        let tasks = self.slots.values_mut().filter_map(Slot::task_mut);
        let sink = self.sink.as_mut();
        let (panes, outputs) = (&mut self.panes, &mut self.outputs);
        let (began, count) = (clock::now(), self.commit.count());
        self.commit
            .commit(tasks, &mut self.member, &self.topics, |is_kept| {
                // Rows that were held back for the commit.
                if is_kept {
                    sink.write(panes)?;
                    panes.clear();
                }
                let mut asides = outputs.late.iter_mut().chain(&mut outputs.bad);
                asides.try_for_each(SideOutput::flush)
            })?;
        self.add_to_snapshots();
        if let Some(metrics) = &self.metrics
            && self.commit.count() > count
        {
            metrics.committed(clock::since(began));
        }
        if let Some(repartition) = &mut self.topics.repartition {
            let tasks = self.slots.values().filter_map(Slot::task);
            repartition.purge(tasks);
        }
        Ok(())
    }

    /// Tells Prometheus how the process is, now and then.
    fn publish(&mut self) {
        let account = match &self.metrics {
            Some(metrics) if metrics.is_due() => self.account(),
            _ => return,
        };
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        let tasks = self.slots.values().filter_map(Slot::task);
        let restoring = self.slots.len() - tasks.clone().count();
        let tasks = tasks.map(|task| TaskFigures {
            place: &task.place,
            lag: self
                .member
                .high_watermark(&task.place)
                .map(|end| (end - task.position).max(0)),
            watermark: task.operator.watermarks().combined(),
            state: task.operator.logged(),
        });
        metrics.publish(now_ms(), &account, tasks, restoring);
    }

    /// Forgets what was not committed, and restores what the last commit has left.
    fn rewind(&mut self, error: &Error) -> Result<()> {
        if let Some(metrics) = &self.metrics {
            metrics.rewound();
        }
        self.report
            .warning(format!("{error}; going back to the last commit"));
        self.commit.give_up()?;
        if !is_planted(Fault::PanesKept) {
            self.panes.clear();
        }
        if is_planted(Fault::NotRolledBack) {
            return Ok(());
        }
        self.member.doubt_topics();
        if self.member.is_astray() {
            return self.rejoin();
        }
        let places: Vec<Place> = self.slots.keys().cloned().collect();
        places.into_iter().try_for_each(|place| self.restore(place))
    }

    /// Stops before the state outgrows the memory that the user has set.
    fn check_state(&self) -> Result<()> {
        let Some(max) = self.options.max_state else {
            return Ok(());
        };
        let logged = self.tasks().map(|task| task.operator.logged());
        let (rows, bytes) = logged.fold((0, 0), |(rows, bytes), logged| {
            (rows + logged.0, bytes + logged.1)
        });
        if bytes <= max {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the state has grown to {} in {} windows and keys, more than `--max-state {}`",
            format_bytes(bytes),
            format_count(rows),
            format_bytes(max),
        ))
        .hint("nothing is lost: start more processes of the group, or raise the limit"))
    }
}
