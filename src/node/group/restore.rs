//! A task's state, built again from its changelog on a thread of its own.
//!
//! First the group's offset is asked for, which waits for a transaction that may still commit
//! another one; only then is the end of the changelog looked up, since whoever had the partition
//! before can write no more. Rows are read up to that end, by position: control records and those
//! of aborted transactions take offsets, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::changelog::HEADER;
use super::plan::PLAN;
use crate::engine::operator::Operator;
use crate::engine::save::{self, Corrupt};
use crate::error::{Error, Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, OffsetOf};
use crate::kafka::fetch::Fetcher;
use crate::kafka::member::{Offsets, Place};
use crate::source::Committed;

/// How long a wait for rows lasts before a signal is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long it is before a broker that has not answered is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a restoration may take before a person is told: longer than a transaction that somebody
/// has left open.
const LONG: Duration = Duration::from_secs(15);
/// The most rows that are taken at once.
const MOST: usize = 10_000;

/// What a restoration needs.
pub(super) struct Job {
    /// The operator of the plan, without any state.
    pub operator: Operator,
    /// The partition whose state it is.
    pub place: Place,
    /// Where the group's offset is found.
    pub offsets: Offsets,
    /// Where its rows are found.
    pub log: LogReader,
}

/// Reads a changelog topic.
pub(super) struct LogReader {
    pub topic: String,
    pub settings: Settings,
}

/// A state as the last commit has left it.
pub(super) struct Restored {
    pub operator: Operator,
    /// Where the group had come to.
    pub committed: Option<Committed>,
    /// Whether the open windows were shown at the end of the input.
    pub is_shown: bool,
    /// How long it took.
    pub took: Duration,
}

/// A restoration under way; given up when it is dropped.
pub(super) struct Restoring {
    answer: mpsc::Receiver<Result<Restored>>,
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// When a person is told that it takes long; `None` once that was done.
    tell_at: Option<Instant>,
}

/// The last row of each key.
type Log = HashMap<Box<[u8]>, Box<[u8]>>;

impl Restoring {
    /// Begins to restore.
    pub fn begin(job: Job) -> Self {
        let (sender, answer) = mpsc::channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = given_up.clone();
        let thread = std::thread::spawn(move || {
            sender.send(restore(job, &stop)).unwrap_or(()); // nobody may wait any more
        });
        Restoring {
            answer,
            given_up,
            thread: Some(thread),
            tell_at: Some(Instant::now() + LONG),
        }
    }

    /// Returns whether it takes so long that a person should know, once.
    pub fn is_long(&mut self) -> bool {
        let is_long = self.tell_at.is_some_and(|at| Instant::now() > at);
        if is_long {
            self.tell_at = None;
        }
        is_long
    }

    /// Returns the state, once it is there.
    pub fn answer(&mut self) -> Option<Result<Restored>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let ended = self.thread.take().map(JoinHandle::join);
                if let Some(Err(panic)) = ended {
                    std::panic::resume_unwind(panic);
                }
                Some(Err(Error::bug("a restoration came to no answer")))
            }
        }
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

fn restore(job: Job, given_up: &AtomicBool) -> Result<Restored> {
    let began = Instant::now();
    let Job {
        mut operator,
        place,
        offsets,
        log,
    } = job;
    let committed = offsets.committed(&place)?;
    drop(offsets); // a member that is held here could not leave its group
    let (rows, header) = loop {
        match log.read(place.partition, given_up) {
            // The node waits for the broker, and says so; an answer that nobody wants is dropped.
            Err(error) if error.remedy() == Remedy::Retry && !given_up.load(Ordering::Relaxed) => {
                std::thread::sleep(AGAIN);
            }
            read => break read?,
        }
    };
    let is_shown = take_up(&mut operator, rows, header.as_deref()).map_err(|_| {
        Error::refused(format!(
            "the state in topic `{}`, partition {}, cannot be read",
            log.topic, place.partition
        ))
        .hint("begin anew with `--reset`, or as another group")
    })?;
    Ok(Restored {
        operator,
        committed,
        is_shown,
        took: began.elapsed(),
    })
}

impl LogReader {
    /// Reads a partition to its end; returns the last row of each key, and the header.
    fn read(&self, partition: i32, given_up: &AtomicBool) -> Result<(Log, Option<Box<[u8]>>)> {
        let (mut log, mut header) = (Log::default(), None);
        let go_on = || !given_up.load(Ordering::Relaxed);
        self.each(partition, go_on, |key, value| match (key, value) {
            (HEADER, value) => header = value.map(Into::into),
            (PLAN, _) => {}
            (key, Some(value)) => match log.get_mut(key) {
                Some(known) => *known = value.into(),
                None => drop(log.insert(key.into(), value.into())),
            },
            (key, None) => drop(log.remove(key)),
        })?;
        Ok((log, header))
    }

    /// Hands over the rows of a partition as far as it goes now, while `go_on` says so.
    pub fn each(
        &self,
        partition: i32,
        go_on: impl Fn() -> bool,
        mut row: impl FnMut(&[u8], Option<&[u8]>),
    ) -> Result<()> {
        // A client of its own: one that has seen all brokers go is of no more use.
        let admin = Admin::new(&self.settings)?;
        let (first, end) = (
            self.offset(&admin, partition, OffsetOf::Earliest)?,
            self.offset(&admin, partition, OffsetOf::Latest)?,
        );
        if first >= end {
            return Ok(());
        }
        let mut fetcher = Fetcher::new(&self.settings, &self.topic, None)?;
        fetcher.assign(&[(partition, first)])?;
        let mut position = first;
        while position < end && go_on() {
            fetcher.serve()?;
            let fetched = fetcher.read(0, LOOK, MOST)?;
            for nth in 0..fetched.len() {
                let message = fetched.get(nth);
                position = message.offset + 1;
                row(message.key.unwrap_or_default(), message.value);
            }
            if fetched.is_empty() {
                position = fetcher.positions()[0].unwrap_or(position);
                fetcher.watch_silence()?;
            }
        }
        Ok(())
    }

    fn offset(&self, admin: &Admin, partition: i32, wanted: OffsetOf) -> Result<i64> {
        let topic = self.topic.as_str();
        let found = admin.offsets(&[(topic, partition)], wanted)?;
        let found = found.first().and_then(|info| info.offset.as_ref().ok());
        found.copied().ok_or_else(|| {
            Error::retry(format!(
                "cannot find the end of topic `{topic}`, partition {partition}"
            ))
        })
    }
}

/// Makes an operator hold what the log holds; returns whether its open windows were shown.
fn take_up(operator: &mut Operator, log: Log, header: Option<&[u8]>) -> Result<bool, Corrupt> {
    let mut is_shown = false;
    // Without a transaction a first commit may have broken off before its header.
    if let Some(mut header) = header {
        let saved: Vec<u8>;
        (saved, is_shown) = save::take(&mut header)?;
        operator.load_header(&saved)?;
    }
    for (key, value) in log {
        operator.restore_row(&key, &value)?;
    }
    Ok(is_shown)
}
