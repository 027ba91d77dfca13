//! When and in which order results, state and offsets become visible: the guarantee.
//!
//! ```text
//! exactly once    begin  rows … changes  offsets  commit      all of it, or none
//! at least once   rows … changes  ‖ acknowledged ‖  offsets   a crash between: twice
//! at most once    offsets  ‖ committed ‖  rows, changes       a crash between: never
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};

use super::Options;
use super::task::Task;
use super::topics::Topics;
use crate::error::{Error, Result};
use crate::kafka::member::Member;
use crate::sink::topic::Shared;

/// What a crash may do to the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Guarantee {
    /// Lose some.
    AtMostOnce,
    /// Double some.
    AtLeastOnce,
    /// Nothing: readers of committed records see each result once.
    #[default]
    ExactlyOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guarantee::AtMostOnce => "at-most-once",
            Guarantee::AtLeastOnce => "at-least-once",
            Guarantee::ExactlyOnce => "exactly-once",
        })
    }
}

/// Where a process dies as if it was killed, so that a lesson can show what a guarantee is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    step: Step,
    /// At which commit, from 1.
    nth: u32,
}

/// A step of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Results and state have reached the broker.
    Produced,
    /// The group's offsets are committed.
    Committed,
}

impl FromStr for Crash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (step, nth) = text.split_once(',').unwrap_or((text, "1"));
        let step = match step {
            "produced" => Step::Produced,
            "committed" => Step::Committed,
            _ => {
                return Err(
                    "write `produced` or `committed`, and perhaps `,N` for the Nth commit"
                        .to_owned(),
                );
            }
        };
        match nth.parse() {
            Ok(nth) if nth > 0 => Ok(Crash { step, nth }),
            _ => Err("which commit is a number from 1".to_owned()),
        }
    }
}

/// Commits for a process.
pub(super) struct Commit {
    producer: Shared,
    guarantee: Guarantee,
    every: Duration,
    crash: Option<Crash>,
    last: Instant,
    /// How many commits there were.
    count: u32,
    /// Whether a transaction has begun.
    is_open: bool,
}

impl Commit {
    pub fn new(producer: Shared, options: &Options) -> Self {
        Commit {
            producer,
            guarantee: options.guarantee,
            every: options.commit_every,
            crash: options.crash,
            last: Instant::now(),
            count: 0,
            is_open: false,
        }
    }

    /// Returns whether it is time for the next commit.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// Begins a transaction, if the guarantee asks for one and none has begun: to be called before
    /// anything is sent.
    pub fn begin(&mut self) -> Result<()> {
        if self.guarantee == Guarantee::ExactlyOnce && !self.is_open {
            self.producer.lock().begin_transaction()?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Commits what tasks have done. `flush` writes the rows that were held back, if it is told so,
    /// and what was set aside.
    ///
    /// # Errors
    /// `fenced` where nothing was committed, and what was done has to be done again.
    pub fn commit<'t>(
        &mut self,
        tasks: impl Iterator<Item = &'t mut Task>,
        member: &mut Member,
        topics: &Topics,
        mut flush: impl FnMut(bool) -> Result<()>,
    ) -> Result<()> {
        self.last = Instant::now();
        let mut tasks: Vec<&mut Task> = tasks.filter(|task| task.is_changed()).collect();
        if tasks.is_empty() {
            return Ok(());
        }
        let offsets = offsets(&tasks)?;
        self.count += 1;
        match self.guarantee {
            Guarantee::ExactlyOnce => {
                self.begin()?;
                flush(false)?;
                self.write(&mut tasks, topics)?;
                self.crash_at(Step::Produced)?;
                self.producer.lock().commit_transaction(member, &offsets)?;
                self.is_open = false;
                self.crash_at(Step::Committed)?;
            }
            Guarantee::AtLeastOnce => {
                flush(false)?;
                // Rows first: a row whose window the state has forgotten would never come again.
                self.producer.lock().deliver()?;
                self.write(&mut tasks, topics)?;
                self.producer.lock().deliver()?;
                self.crash_at(Step::Produced)?;
                if !member.commit(&offsets)? {
                    return Ok(());
                }
                self.crash_at(Step::Committed)?;
            }
            Guarantee::AtMostOnce => {
                if !member.commit(&offsets)? {
                    return Ok(());
                }
                self.crash_at(Step::Committed)?;
                flush(true)?;
                self.write(&mut tasks, topics)?;
                self.producer.lock().deliver()?;
                self.crash_at(Step::Produced)?;
            }
        }
        tasks.iter_mut().for_each(|task| task.committed());
        Ok(())
    }

    fn write(&self, tasks: &mut [&mut Task], topics: &Topics) -> Result<()> {
        let mut producer = self.producer.lock();
        let mut tasks = tasks.iter_mut();
        tasks.try_for_each(|task| topics.write(task, &mut producer))
    }

    /// Gives up what was sent since the last commit.
    pub fn give_up(&mut self) -> Result<()> {
        let mut producer = self.producer.lock();
        match (self.guarantee, self.is_open) {
            (Guarantee::ExactlyOnce, true) => producer.abort_transaction()?,
            (Guarantee::ExactlyOnce, false) => {}
            _ => producer.renew()?,
        }
        self.is_open = false;
        Ok(())
    }

    /// Dies here, if that was asked for.
    fn crash_at(&self, step: Step) -> Result<()> {
        let here = Crash {
            step,
            nth: self.count,
        };
        if self.crash != Some(here) {
            return Ok(());
        }
        self.producer.lock().deliver()?;
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL)
            .map_err(|source| Error::io("crash", source.into()))
    }
}

/// Returns the offsets of tasks, with their notes.
fn offsets(tasks: &[&mut Task]) -> Result<TopicPartitionList> {
    let mut offsets = TopicPartitionList::with_capacity(tasks.len());
    for task in tasks {
        let note = task.note().to_string();
        let mut element = offsets.add_partition(&task.place.topic, task.place.partition);
        element.set_metadata(note);
        let set = element.set_offset(Offset::Offset(task.position));
        set.map_err(|error| Error::bug(format!("no list of offsets: {error}")))?;
    }
    Ok(offsets)
}
