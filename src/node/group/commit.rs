//! When and in which order results, state and offsets become visible: the guarantee.
//!
//! ```text
//! exactly once    begin  rows … changes  offsets  commit      all of it, or none
//! at least once   rows … changes  ‖ acknowledged ‖  offsets   a crash between: twice
//! at most once    offsets  ‖ committed ‖  rows, changes       a crash between: never
//! ```
//!
//! A transaction is fenced by the group. Records sent without one are not fenced, so they are sent
//! on a [`Lease`]: for as long as no other process can have taken over.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};

use super::Options;
use super::task::Task;
use super::topics::Topics;
use crate::clock;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::member::{Answer, Member};
use crate::sink::topic::Shared;

/// What a crash may do to the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "the terms of the field")]
pub enum Guarantee {
    /// Some may be lost.
    AtMostOnce,
    /// Some may count twice.
    AtLeastOnce,
    /// None: readers of committed records see each result once.
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

/// Where a process dies as if killed, so that a lesson can show what a guarantee is worth.
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
                    "write `produced` or `committed`, optionally with `,N` for the Nth commit"
                        .to_owned(),
                );
            }
        };
        match nth.parse() {
            Ok(nth) if nth > 0 => Ok(Crash { step, nth }),
            _ => Err("the number of the commit is at least 1".to_owned()),
        }
    }
}

/// How long a process may send without a transaction after an answer from the group.
///
/// ```text
/// answered ──── holds ────┤ last record is sent ──── within ────┤ it has arrived, or never does
/// answered ──────────────────────── session ───────────────────────────┤ others may take over
/// ```
///
/// So a process that was stopped for a long time, or could not reach the coordinator, does not
/// overwrite the newer state of others when it wakes up.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// How long an answer is valid.
    holds: Duration,
    /// How long a record may be in flight.
    pub within: Duration,
}

impl Lease {
    /// Returns the lease of a member that is removed after `session` of silence.
    pub fn of(session: Duration) -> Self {
        Lease {
            holds: session / 3,
            // The rest is reserved for the heartbeat before the answer.
            within: session * 7 / 12,
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
    lease: Lease,
    /// When the group last confirmed that this process is a member.
    answered: Option<Instant>,
}

impl Commit {
    pub fn new(producer: Shared, options: &Options) -> Self {
        Commit {
            producer,
            guarantee: options.guarantee,
            every: options.commit_every,
            crash: options.crash,
            last: clock::now(),
            count: 0,
            is_open: false,
            lease: options.lease,
            answered: None,
        }
    }

    /// Returns the producer.
    pub fn producer(&self) -> &Shared {
        &self.producer
    }

    /// Returns how many commits there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether it is time for the next commit.
    pub fn is_due(&self) -> bool {
        self.due_in().is_zero()
    }

    /// Returns how long it is until the next commit.
    pub fn due_in(&self) -> Duration {
        self.every.saturating_sub(clock::since(self.last))
    }

    /// Begins a transaction, if the guarantee asks for one and none has begun, or renews the lease:
    /// to be called before anything is sent for `tasks`.
    ///
    /// # Errors
    /// `fenced` if the group has continued without this process.
    pub fn begin<'t>(
        &mut self,
        tasks: impl Iterator<Item = &'t Task>,
        member: &mut Member,
    ) -> Result<()> {
        match (self.guarantee, self.is_open) {
            (Guarantee::ExactlyOnce, true) => {}
            (Guarantee::ExactlyOnce, false) => {
                self.producer.lock().begin_transaction()?;
                self.is_open = true;
            }
            _ if self.holds() => {}
            // To ask without changing anything, it commits the last offsets again.
            _ => {
                let base = offsets(tasks.map(|task| (task, task.last_commit())))?;
                self.ask(member, &base)?;
            }
        }
        Ok(())
    }

    /// Returns whether the lease is still long enough.
    fn holds(&self) -> bool {
        // Half of it, because what is sent next takes time.
        let half = self.lease.holds / 2;
        self.answered.is_some_and(|at| clock::since(at) < half)
    }

    /// Commits offsets without a transaction; the answer renews the lease.
    fn ask(&mut self, member: &mut Member, offsets: &TopicPartitionList) -> Result<Answer> {
        let now = clock::now();
        let answer = member.commit(offsets)?;
        if answer == Answer::Gone && !is_planted(Fault::AnswerIgnored) {
            self.answered = None;
            return Err(Error::fenced("the group has continued without this member"));
        }
        self.answered = Some(now);
        self.producer.lock().lend_until(now + self.lease.holds);
        Ok(answer)
    }

    /// Commits the work of tasks. `flush` writes what was set aside and, on request, the rows that
    /// were held back.
    ///
    /// # Errors
    /// `fenced` if nothing was committed and the work has to be repeated.
    pub fn commit<'t>(
        &mut self,
        tasks: impl Iterator<Item = &'t mut Task>,
        member: &mut Member,
        topics: &Topics,
        mut flush: impl FnMut(bool) -> Result<()>,
    ) -> Result<()> {
        self.last = clock::now();
        let mut tasks: Vec<&mut Task> = tasks.filter(|task| task.is_changed()).collect();
        if tasks.is_empty() {
            return Ok(());
        }
        tasks.iter_mut().try_for_each(|task| task.gather())?;
        let notes = tasks.iter().map(|task| Ok(task.note()?.to_string()));
        let notes: Vec<String> = notes.collect::<Result<_>>()?;
        let too_far = i64::from(is_planted(Fault::CommittedTooFar));
        let reached = tasks.iter().zip(&notes);
        let offsets =
            offsets(reached.map(|(task, note)| (&**task, (task.position + too_far, &**note))))?;
        self.count += 1;
        if self.guarantee != Guarantee::AtMostOnce {
            self.begin(tasks.iter().map(|task| &**task), member)?;
        }
        match self.guarantee {
            Guarantee::ExactlyOnce if is_planted(Fault::OffsetsOutsideTransaction) => {
                self.ask(member, &offsets)?;
                flush(false)?;
                self.write(&mut tasks, topics)?;
                let none = TopicPartitionList::new();
                self.producer.lock().commit_transaction(member, &none)?;
                self.is_open = false;
            }
            Guarantee::ExactlyOnce => {
                flush(false)?;
                self.write(&mut tasks, topics)?;
                self.crash_at(Step::Produced)?;
                self.producer.lock().commit_transaction(member, &offsets)?;
                self.is_open = false;
                self.crash_at(Step::Committed)?;
            }
            Guarantee::AtLeastOnce => {
                if is_planted(Fault::OffsetsBeforeRows) {
                    self.ask(member, &offsets)?;
                }
                flush(false)?;
                // Rows first: a row of a window that is no longer in the state could not be
                // computed again.
                self.producer.lock().deliver()?;
                self.begin(tasks.iter().map(|task| &**task), member)?; // that may have taken a while
                self.write(&mut tasks, topics)?;
                if !is_planted(Fault::NotDelivered) {
                    self.producer.lock().deliver()?;
                }
                self.crash_at(Step::Produced)?;
                if self.ask(member, &offsets)? == Answer::Later {
                    return Ok(());
                }
                self.crash_at(Step::Committed)?;
            }
            Guarantee::AtMostOnce => {
                if self.ask(member, &offsets)? == Answer::Later {
                    return Ok(());
                }
                self.crash_at(Step::Committed)?;
                flush(true)?;
                self.write(&mut tasks, topics)?;
                self.producer.lock().deliver()?;
                self.crash_at(Step::Produced)?;
            }
        }
        let committed = tasks.iter_mut().zip(notes);
        committed.for_each(|(task, note)| task.committed(note));
        Ok(())
    }

    fn write(&self, tasks: &mut [&mut Task], topics: &Topics) -> Result<()> {
        let mut producer = self.producer.lock();
        let mut tasks = tasks.iter_mut();
        tasks.try_for_each(|task| topics.write(task, &mut producer))
    }

    /// Discards what was sent since the last commit: aborts the transaction, or starts a new
    /// client.
    pub fn give_up(&mut self) -> Result<()> {
        let mut producer = self.producer.lock();
        match (self.guarantee, self.is_open) {
            (Guarantee::ExactlyOnce, true) if is_planted(Fault::NotAborted) => {}
            (Guarantee::ExactlyOnce, true) => producer.abort_transaction()?,
            (Guarantee::ExactlyOnce, false) => {}
            _ => producer.renew()?,
        }
        self.is_open = false;
        Ok(())
    }

    /// Dies here if `--crash-at` asks for it.
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

/// Returns the offsets of tasks, each with its metadata.
fn offsets<'t>(
    tasks: impl Iterator<Item = (&'t Task, (i64, &'t str))>,
) -> Result<TopicPartitionList> {
    let mut offsets = TopicPartitionList::new();
    for (task, (offset, note)) in tasks {
        let mut element = offsets.add_partition(&task.place.topic, task.place.partition);
        element.set_metadata(note);
        let set = element.set_offset(Offset::Offset(offset));
        set.map_err(|error| Error::bug(format!("no list of offsets: {error}")))?;
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_on_a_lease_arrives_before_others_may_take_over() {
        let session = Duration::from_secs(6);
        let Lease { holds, within } = Lease::of(session);
        let heartbeat = Duration::from_millis(500);
        assert!(holds + within + heartbeat <= session);
    }
}
