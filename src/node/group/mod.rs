//! The node of a group: several processes share the partitions of a topic, and any of them may
//! end at any moment.
//!
//! Comes in: the partitions that the group gives to this process, and their records. Goes out: rows
//! in a topic, what has changed of the state in a changelog topic, and the group's offsets; with
//! `--guarantee exactly-once` all three in one transaction.
//!
//! Life of a task, one for each partition:
//! 1. The group gives the partition to this process: `restore` builds its state again from the
//!    changelog, on a thread of its own, while other tasks go on.
//! 2. [`task`]: its records are windowed with a watermark of their own.
//! 3. [`commit`]: every so often the rows, the changes and the offsets become visible.
//! 4. The group takes it away: what it has done is committed first, and the rest forgotten.
//!
//! Whatever goes wrong with a commit, the remedy is the same: forget what was not committed, and
//! restore. `changelog` names the topic and its rows, [`plan`] refuses a state of another plan,
//! [`note`] is what a commit says beside its offset.

mod changelog;
pub mod commit;
pub mod note;
pub mod plan;
mod restore;
mod task;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bumpalo::Bump;

use crate::column::ValueRef;
use crate::engine::account::Account;
use crate::engine::operator::Input;
use crate::engine::pane::Panes;
use crate::engine::watermark::BEGINNING;
use crate::error::{Error, Remedy, Result};
use crate::format::{Decoder, Origins};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::fetch::Fetcher;
use crate::kafka::member::{Member, Place, Rebalance};
use crate::node::Outputs;
use crate::node::aside::Aside;
use crate::node::rows::{Rows, now_ms};
use crate::plan::Plan;
use crate::sink::Sink;
use crate::sink::topic::Shared;
use crate::source::kafka::Starts;
use crate::source::{Batch, Committed, Message, Records};
use crate::term::printable::printable;
use crate::term::report::Report;
use crate::term::units::{format_bytes, format_count, format_plural};
use changelog::Changelog;
use commit::{Commit, Crash, Guarantee};
use note::Note;
use restore::{Job, LogReader, Restored, Restoring};
use task::Task;

/// The most records that are taken from a partition at once.
const MOST: usize = 4_096;
/// How long nothing may come before a signal or the group is looked at.
const TURN: Duration = Duration::from_millis(5);
/// How long a member without partitions may have to wait for some.
const SETTLING: Duration = Duration::from_secs(3);
/// How often the group is asked whether it has read everything.
const ASK: Duration = Duration::from_millis(300);

/// How the node of a group runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The group.
    pub group: String,
    /// The topic that is shared.
    pub topic: String,
    /// What a crash may do to the results.
    pub guarantee: Guarantee,
    /// How often results, state and offsets are committed.
    pub commit_every: Duration,
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
    member: Member,
    rows: Rows<'n>,
    sink: Box<dyn Sink + 'n>,
    outputs: Outputs,
    changelog: Changelog,
    commit: Commit,
    slots: BTreeMap<Place, Slot>,
    /// Where each partition begins if the group has not committed, and where it ended at the start.
    starts: Starts,
    /// What tasks that were given away have counted.
    account: Account,
    panes: Panes,
    arena: Bump,
    /// When the group last shared the partitions anew; `None` before this process is a member.
    shared: Option<Instant>,
    /// When the group was last asked whether it has read everything.
    asked: Instant,
}

/// What this process has of a partition that is its own.
enum Slot {
    Restoring(Restoring),
    Working(Box<Task>),
}

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
    /// Where Kafka is.
    pub settings: &'n Settings,
    /// Who is told.
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
        let admin = Admin::new(parts.settings)?;
        let changelog = Changelog::open(&admin, &options.group, starts.len(), &parts.producer)?;
        if options.guarantee == Guarantee::ExactlyOnce {
            parts.producer.lock().init_transactions()?;
        }
        let member = Member::join(parts.settings, &options.group, &[&options.topic])?;
        Ok(Node {
            plan: parts.plan,
            settings: parts.settings,
            report: parts.report,
            interrupt: parts.interrupt,
            member,
            rows: Rows {
                plan: parts.plan,
                decoder: parts.decoder,
                origins: match parts.outputs.late {
                    Some(_) => Origins::Keep,
                    None => Origins::Forget,
                },
                skip_bad: options.skip_bad || parts.outputs.bad.is_some(),
            },
            sink: parts.sink,
            outputs: parts.outputs,
            changelog,
            commit: Commit::new(parts.producer, &options),
            slots: BTreeMap::new(),
            starts,
            account: Account::default(),
            panes: Panes::default(),
            arena: Bump::new(),
            shared: None,
            asked: Instant::now(),
            options,
        })
    }

    /// Returns where every record went that this process has read.
    pub fn account(&self) -> Account {
        let mut account = self.account;
        self.tasks()
            .for_each(|task| account.absorb(task.operator.account()));
        account
    }

    /// Returns how far event time has come in the partition furthest behind.
    pub fn watermark(&self) -> i64 {
        let watermarks = self
            .tasks()
            .map(|task| task.operator.watermarks().combined());
        watermarks.min().unwrap_or(BEGINNING)
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Working(task) => Some(&**task),
            Slot::Restoring(_) => None,
        })
    }

    /// Works for the group until a signal, or with [`Options::exit`] until everything is read.
    ///
    /// # Errors
    /// `stopped` after a signal, when everything was committed; `data` at a malformed record,
    /// unless they are skipped; `refused` where the world does not let it go on.
    pub fn run(&mut self) -> Result<()> {
        let ended = self.work();
        // What was done up to a signal is kept; after an error nothing is since the last commit.
        let kept = match &ended {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => self.commit(),
            Err(_) => self.commit.give_up(),
        };
        ended.and(kept)
    }

    fn work(&mut self) -> Result<()> {
        loop {
            self.interrupt.check()?;
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
    }

    /// Does what there is to do; returns whether the run is over.
    fn turn(&mut self) -> Result<bool> {
        while let Some(rebalance) = self.member.serve()? {
            self.rebalance(rebalance)?;
        }
        self.take_restored()?;
        let mut read = false;
        let places: Vec<Place> = self.slots.keys().cloned().collect();
        for place in &places {
            read |= self.read(place, Duration::ZERO)?;
        }
        if !read {
            self.member.watch_silence()?;
            self.note_positions();
            match places.iter().find(|place| self.is_open(place)) {
                Some(place) => drop(self.read(place, TURN)?),
                None => std::thread::sleep(TURN),
            }
        }
        self.end_tasks()?;
        if self.commit.is_due() {
            self.commit()?;
            self.check_state()?;
        }
        Ok(self.options.exit && self.is_all_read()?)
    }

    fn is_open(&self, place: &Place) -> bool {
        matches!(self.slots.get(place), Some(Slot::Working(task)) if !task.is_done)
    }

    /// Answers what the group has decided.
    fn rebalance(&mut self, rebalance: Rebalance) -> Result<()> {
        self.shared = Some(Instant::now());
        match rebalance {
            Rebalance::Given(places) => {
                self.member.accept()?;
                self.report.detail(format!("given {}", names(&places)));
                places.into_iter().try_for_each(|place| self.restore(place))
            }
            Rebalance::Taken { places, lost } => {
                self.report.detail(format!("taken {}", names(&places)));
                // Others begin where this commit ends.
                let committed = match lost {
                    false => self.commit(),
                    true => Err(Error::fenced("the group has gone on without this member")),
                };
                if committed.is_err() {
                    self.commit.give_up()?;
                }
                for place in &places {
                    if let Some(Slot::Working(task)) = self.slots.remove(place) {
                        self.account.absorb(task.operator.account());
                    }
                }
                self.member.release(&places)?;
                committed
            }
        }
    }

    /// Begins to build the state of a partition from its changelog.
    fn restore(&mut self, place: Place) -> Result<()> {
        let mut operator = self.plan.operator(1)?;
        operator.log_changes();
        if self.outputs.late.is_some() {
            operator.keep_lates();
        }
        let restoring = Restoring::begin(Job {
            operator,
            place: place.clone(),
            offsets: self.member.offsets(),
            log: LogReader {
                topic: self.changelog.topic().to_owned(),
                settings: self.settings.clone(),
            },
        });
        self.slots.insert(place, Slot::Restoring(restoring));
        Ok(())
    }

    /// Puts tasks to work whose state is there.
    fn take_restored(&mut self) -> Result<()> {
        let mut restored = Vec::new();
        for (place, slot) in &mut self.slots {
            let Slot::Restoring(restoring) = slot else {
                continue;
            };
            if let Some(answer) = restoring.answer() {
                restored.push((place.clone(), answer?));
            } else if let Some(offset) = restoring.is_held() {
                self.report.status(format!(
                    "partition {}: waiting for a transaction that is open in topic `{}` at offset {offset}",
                    place.partition,
                    self.changelog.topic()
                ));
            }
        }
        for (place, restored) in restored {
            self.tell_restored(&place, &restored);
            let start = self.starts.of(place.partition)?;
            let end = self.options.exit.then_some(start.end);
            let task = Task::new(&place, restored, start.first, end);
            self.member.begin(&place, task.position)?;
            self.slots.insert(place, Slot::Working(Box::new(task)));
        }
        Ok(())
    }

    fn tell_restored(&self, place: &Place, restored: &Restored) {
        let (rows, bytes) = restored.operator.logged();
        if rows > 0 {
            self.report.status(format!(
                "partition {}: restored {} of state, {}, in {:.1} s",
                place.partition,
                format_plural(rows, "row"),
                format_bytes(bytes),
                restored.took.as_secs_f64(),
            ));
        }
    }

    /// Reads some records of a partition and windows them; returns whether there were any.
    fn read(&mut self, place: &Place, timeout: Duration) -> Result<bool> {
        let Some(Slot::Working(task)) = self.slots.get_mut(place) else {
            return Ok(false);
        };
        if task.is_done {
            return Ok(false);
        }
        let fetched = self.member.read(place, timeout, MOST)?;
        if fetched.is_empty() {
            return Ok(false);
        }
        if !self.outputs.is_empty() {
            self.commit.begin()?; // what is set aside belongs to it
        }
        let end = task.end.unwrap_or(i64::MAX);
        let messages = (0..fetched.len()).map(|nth| fetched.get(nth));
        let messages: Vec<Message<'_>> = messages
            .take_while(|message| message.offset < end)
            .collect();
        let last = messages.last().map(|message| message.offset);
        let processed = process(
            task,
            messages,
            self.starts.len() > 1,
            &mut self.rows,
            &mut self.outputs,
            &mut self.panes,
            &mut self.arena,
        );
        task.has_read = true;
        task.position = match last {
            // What follows is after the end, and is not read.
            Some(last) if last + 1 < end => last + 1,
            _ => end,
        };
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
        self.commit.begin()?;
        self.sink.write(&self.panes)?;
        self.panes.clear();
        Ok(())
    }

    /// Moves positions past transaction markers, which are no records.
    fn note_positions(&mut self) {
        let positions = self.member.positions();
        for (place, slot) in &mut self.slots {
            if let (Slot::Working(task), Some(&position)) = (slot, positions.get(place))
                && task.has_read
            {
                task.position = task.position.max(position);
            }
        }
    }

    /// Ends the tasks that have read everything: their open windows leave, and stay in the state
    /// for whoever goes on.
    fn end_tasks(&mut self) -> Result<()> {
        for slot in self.slots.values_mut() {
            if let Slot::Working(task) = slot
                && !task.is_done
                && task.end.is_some_and(|end| task.position >= end)
            {
                task.finish(&mut self.panes);
            }
        }
        self.write()
    }

    /// Makes everything since the last commit visible, or nothing of it.
    fn commit(&mut self) -> Result<()> {
        let tasks = self.slots.values_mut().filter_map(|slot| match slot {
            Slot::Working(task) => Some(&mut **task),
            Slot::Restoring(_) => None,
        });
        let sink = self.sink.as_mut();
        let (panes, outputs) = (&mut self.panes, &mut self.outputs);
        self.commit
            .commit(tasks, &mut self.member, &self.changelog, |is_kept| {
                // Rows that were held back for the commit.
                if is_kept {
                    sink.write(panes)?;
                    panes.clear();
                }
                let mut asides = outputs.late.iter_mut().chain(&mut outputs.bad);
                asides.try_for_each(Aside::flush)
            })
    }

    /// Forgets what was not committed, and restores what the last commit has left.
    fn rewind(&mut self, error: &Error) -> Result<()> {
        self.report
            .warning(format!("{error}; going back to the last commit"));
        self.commit.give_up()?;
        self.panes.clear();
        let places: Vec<Place> = self.slots.keys().cloned().collect();
        places.into_iter().try_for_each(|place| self.restore(place))
    }

    /// Returns whether the group has read what the topic held at the start.
    fn is_all_read(&mut self) -> Result<bool> {
        // A new member gets its partitions when the others have let go of them.
        let is_settled = self
            .shared
            .is_some_and(|shared| !self.slots.is_empty() || shared.elapsed() > SETTLING);
        let mut tasks = self.slots.values();
        let done =
            |slot: &Slot| matches!(slot, Slot::Working(task) if task.is_done && !task.is_changed());
        if !is_settled || !tasks.all(done) || self.asked.elapsed() < ASK {
            return Ok(false);
        }
        self.asked = Instant::now();
        // Without an answer it is asked again.
        let Ok(committed) = committed(self.settings, &self.options.group, &self.starts) else {
            return Ok(false);
        };
        let mut partitions = self.starts.iter().zip(committed);
        Ok(partitions.all(|((_, start), committed)| {
            let reached = committed.map_or(start.first, |committed| committed.offset);
            reached >= start.end
        }))
    }

    /// Stops before the state outgrows the memory that a person has set.
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
            "the state has grown to {} in {} windows and keys, past `--max-state {}`",
            format_bytes(bytes),
            format_count(rows),
            format_bytes(max),
        ))
        .hint("nothing is lost: start more processes of the group, or give this one more"))
    }
}

/// Returns the topics that hold a group's state.
///
/// # Errors
/// `retry` when no broker answers.
pub fn state_topics(admin: &Admin, group: &str) -> Result<Vec<String>> {
    let name = changelog::name_of(group);
    let found = admin.find_topic(&name)?;
    Ok(found.into_iter().map(|topic| topic.name).collect())
}

/// Forgets a group's state and offsets; no process of it may be running.
///
/// # Errors
/// `refused` where one is.
pub fn reset(admin: &Admin, group: &str) -> Result<()> {
    admin.delete_group(group)?;
    let topics = state_topics(admin, group)?;
    topics
        .iter()
        .try_for_each(|topic| admin.delete_topic(topic))
}

/// Refuses a plan whose groups may lie in several partitions, each with a task of its own.
///
/// # Errors
/// `refused`, with the way out.
pub fn refuse_scattered(plan: &Plan, topic: &str, partitions: usize) -> Result<()> {
    let by_one_column = matches!(plan.by.as_slice(), [item] if item.expression.column().is_some());
    match partitions == 1 || by_one_column {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "the records of a group may lie in each of the {partitions} partitions of topic `{topic}`: \
             `--by` is not one column, the records' key"
        ))
        .hint("group by the key, or take a topic of one partition, or leave `--group` away")),
    }
}

/// Refuses to go on where a group has committed offsets of a topic and its state is gone.
///
/// # Errors
/// `refused`, with the ways out.
pub fn refuse_lost_state(settings: &Settings, group: &str, starts: &Starts) -> Result<()> {
    let topic = starts.topic();
    let commits = committed(settings, group, starts)?;
    let of_a_task = |commit: &Committed| Note::parse(&commit.metadata).is_some();
    match commits.iter().flatten().any(of_a_task) {
        true => Err(Error::refused(format!(
            "group `{group}` has read topic `{topic}`, and there is no state of it"
        ))
        .hint("begin anew with `--reset`, which forgets its offsets, or as another `--group`")),
        false => Ok(()),
    }
}

/// Returns where a group has come to in each partition, asked as a consumer would: librdkafka's
/// request for administrators crashes on a coordinator that is still loading.
fn committed(settings: &Settings, group: &str, starts: &Starts) -> Result<Vec<Option<Committed>>> {
    let numbers: Vec<i32> = starts.iter().map(|(number, _)| number).collect();
    Fetcher::new(settings, starts.topic(), Some(group))?.committed(&numbers)
}

/// Hands the records of a partition to its task; the first malformed one ends the run, unless they
/// are skipped.
fn process(
    task: &mut Task,
    messages: Vec<Message<'_>>,
    check_keys: bool,
    rows: &mut Rows<'_>,
    outputs: &mut Outputs,
    panes: &mut Panes,
    arena: &mut Bump,
) -> Result<()> {
    let batch = Batch {
        partition: 0,
        records: Records::Messages(messages),
    };
    let skip_bad = rows.skip_bad;
    let operator = &mut task.operator;
    let processed = rows.decode(&batch, arena, |input, decoded, malformed| {
        if check_keys && let Some(message) = first_of_another_key(&batch, input) {
            return Err(another_key(&task.name, message));
        }
        outputs.take_in(operator, input, decoded, malformed, panes)?;
        match malformed.first() {
            Some(first) if !skip_bad => Err(first.told(&task.name)),
            _ => Ok(()),
        }
    });
    if operator.trigger().periods().next().is_some() && rows.plan.arrival.is_none() {
        operator.on_tick(now_ms(), panes);
    }
    arena.reset();
    processed
}

/// Returns the first record whose key is not the one value that records are grouped by: others of
/// its group may lie in other partitions. Where a record was malformed nobody looks.
fn first_of_another_key<'b, 'a>(
    batch: &'b Batch<'a>,
    input: &Input<'_, 'a>,
) -> Option<&'b Message<'a>> {
    let (Records::Messages(messages), [grouped]) = (&batch.records, input.keys) else {
        return None;
    };
    if messages.len() != input.times.len() {
        return None;
    }
    let mut number = itoa::Buffer::new();
    let mut is_key = |row: usize, key: Option<&[u8]>| match (grouped.value_ref(row), key) {
        (ValueRef::Text(text), Some(key)) => text.as_bytes() == key,
        (ValueRef::Integer(value), Some(key)) => number.format(value).as_bytes() == key,
        (ValueRef::Null, key) => key.is_none(),
        _ => false,
    };
    let mut messages = messages.iter().enumerate();
    let found = messages.find(|&(row, message)| !is_key(row, message.key));
    found.map(|(_, message)| message)
}

fn another_key(topic: &str, message: &Message<'_>) -> Error {
    let key = match message.key {
        Some(key) => format!("`{}`", printable(key)),
        None => "null".to_owned(),
    };
    Error::refused(format!(
        "a record's key, {key}, is not what `--by` groups it by: others of its group may lie in \
         other partitions, and each would give rows of its own"
    ))
    .during(format!(
        "reading {topic}, partition {}, offset {}",
        message.partition, message.offset
    ))
    .hint("write the topic anew with that key (`k produce --key COLUMN`), or leave `--group` away")
}

fn names(places: &[Place]) -> String {
    let mut numbers: Vec<i32> = places.iter().map(|place| place.partition).collect();
    numbers.sort_unstable();
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    format!("partitions {}", numbers.join(", "))
}
