//! A task's state, built again from its changelog on a thread of its own.
//!
//! First the group's offset is asked for, which waits for a transaction that may still commit
//! another one; only then is the end of the changelog looked up, since whoever had the partition
//! before can write no more. Rows are read up to that end, by position: control records and those
//! of aborted transactions take offsets, too. A transaction of a process that was killed holds the
//! reader up until the broker has timed it out; one that the broker has forgotten ends the run.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::log::Log;
use super::note::{Note, Role};
use super::snapshot::file::Flaw;
use super::snapshot::{Draft, Home};
use crate::engine::operator::Operator;
use crate::engine::save::{self, Corrupt};
use crate::error::{Error, Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, OffsetOf};
use crate::kafka::fetch::Fetcher;
use crate::kafka::member::{Offsets, Place};
use crate::node::rows::now_ms;
use crate::source::Committed;

/// How long a wait for rows lasts before a signal is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// How long it is before a broker that has not answered is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a restoration may come no further before the broker is asked for the reason.
const STILL: Duration = Duration::from_secs(5);
/// How long an open transaction is waited for: much longer than one that a process has left behind
/// stays open, which is 10 s and `--commit`, and the time until the broker looks.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most rows that are taken at once.
const MOST: usize = 10_000;

/// What a restoration needs.
pub(super) struct Job {
    /// The operator of the plan, without any state.
    pub operator: Operator,
    /// What it is for.
    pub role: Role,
    /// How many tasks there are upstream of it.
    pub upstream: usize,
    /// The partition whose state it is.
    pub place: Place,
    /// Where the group's offset is found.
    pub offsets: Offsets,
    /// Where its rows are found.
    pub log: LogReader,
    /// Where the first of them may be found on this machine, too.
    pub home: Option<Home>,
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
    /// How far each task upstream has read, as this one knows.
    pub positions: Vec<i64>,
    /// Where it was found.
    pub found: Found,
    /// What came of the snapshot, where there may be one.
    pub local: Option<Local>,
    /// How long it took.
    pub took: Duration,
}

/// Where a state was found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// How many rows of windows and keys were in a snapshot that was right.
    pub rows: u64,
    /// How many records were read of the changelog after it.
    pub records: u64,
}

/// What came of a snapshot that there may have been.
pub(super) struct Local {
    pub home: Home,
    /// What was wrong with it.
    pub flaw: Option<Flaw>,
    /// The rows as they are now, for the next one.
    pub draft: io::Result<Draft>,
}

/// A restoration under way; given up when it is dropped.
pub(super) struct Restoring {
    answer: mpsc::Receiver<Result<Restored>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The offset of the open transaction that a person was told of.
    told: Option<i64>,
}

/// What the reader of a changelog and whoever waits for it tell each other.
#[derive(Debug)]
pub(super) struct Shared {
    /// Whether nobody needs more rows.
    is_enough: AtomicBool,
    /// The first offset of an open transaction that holds the reader up; below zero without one.
    held_at: AtomicI64,
}

impl Shared {
    pub fn new() -> Self {
        Shared {
            is_enough: AtomicBool::new(false),
            held_at: AtomicI64::new(-1),
        }
    }

    /// Tells the reader that no more rows are needed.
    pub fn stop(&self) {
        self.is_enough.store(true, Ordering::Relaxed);
    }

    fn is_enough(&self) -> bool {
        self.is_enough.load(Ordering::Relaxed)
    }
}

impl Restoring {
    /// Begins to restore.
    pub fn begin(job: Job) -> Self {
        let (sender, answer) = mpsc::channel();
        let shared = Arc::new(Shared::new());
        let with = shared.clone();
        let thread = std::thread::spawn(move || {
            sender.send(restore(job, &with)).unwrap_or(()); // nobody may wait any more
        });
        Restoring {
            answer,
            shared,
            thread: Some(thread),
            told: None,
        }
    }

    /// Returns the offset of an open transaction that is waited for, once for each.
    pub fn is_held(&mut self) -> Option<i64> {
        let at = self.shared.held_at.load(Ordering::Relaxed);
        let is_news = at >= 0 && self.told != Some(at);
        is_news.then(|| *self.told.insert(at))
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
        self.shared.stop();
    }
}

fn restore(job: Job, shared: &Shared) -> Result<Restored> {
    let began = Instant::now();
    let Job {
        mut operator,
        role,
        upstream,
        place,
        offsets,
        log,
        home,
    } = job;
    let committed = offsets.committed(&place)?;
    drop(offsets); // a member that is held here could not leave its group
    let unreadable = |_| {
        Error::refused(format!(
            "the state in topic `{}`, partition {}, cannot be read",
            log.topic, place.partition
        ))
        .hint("begin anew with `--reset`, or as another group")
    };
    if role == Role::Upstream {
        // All it has to know stands beside the offset.
        let note = committed.as_ref();
        let note = note.and_then(|committed| Note::parse(&committed.metadata));
        if let Some(note) = note {
            operator.load_header(&note.state).map_err(unreadable)?;
        }
        return Ok(Restored {
            operator,
            committed,
            is_shown: false,
            positions: Vec::new(),
            found: Found::default(),
            local: None,
            took: began.elapsed(),
        });
    }
    let (rows, found, local) = loop {
        match log.read(place.partition, home.as_ref(), shared) {
            // The node waits for the broker, and says so; an answer that nobody wants is dropped.
            Err(error) if error.remedy() == Remedy::Retry && !shared.is_enough() => {
                std::thread::sleep(AGAIN);
            }
            read => break read?,
        }
    };
    let taken_up = take_up(&mut operator, rows);
    let (is_shown, mut positions) = taken_up.map_err(unreadable)?;
    positions.resize(upstream, 0);
    Ok(Restored {
        operator,
        committed,
        is_shown,
        positions,
        found,
        local,
        took: began.elapsed(),
    })
}

impl LogReader {
    /// Reads a partition to its end, from where its snapshot ends if there is one that is right.
    fn read(
        &self,
        partition: i32,
        home: Option<&Home>,
        shared: &Shared,
    ) -> Result<(Log, Found, Option<Local>)> {
        let now = now_ms(); // nothing after the end was written before
        // A client of its own: one that has seen all brokers go is of no more use.
        let admin = Admin::new(&self.settings)?;
        let mut held = self.extent(&admin, partition)?;
        let end = held.end;
        let (mut log, mut flaw) = (Log::default(), None);
        match home.map(|home| home.load(&held, now)) {
            None => {}
            Some(Ok(loaded)) => {
                log = loaded.log;
                held.start = loaded.reaches;
                flaw = (!loaded.is_whole).then_some(Flaw::CutOff);
            }
            Some(Err(found)) => flaw = Some(found),
        }
        let mut found = Found {
            rows: log.len() as u64,
            records: 0,
        };
        self.each(&admin, partition, held, shared, |key, value| {
            found.records += 1;
            log.take_up(key, value);
        })?;
        let local = home.map(|home| Local {
            flaw,
            draft: home.write(&log, end, now),
            home: home.clone(),
        });
        Ok((log, found, local))
    }

    /// Returns the offsets that a partition holds: up to the high watermark, transaction markers
    /// included.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn extent(&self, admin: &Admin, partition: i32) -> Result<Range<i64>> {
        let first = self.offset(admin, partition, OffsetOf::Earliest)?;
        let end = self.offset(admin, partition, OffsetOf::Latest)?;
        Ok(first..end)
    }

    /// Hands over the rows of a partition between two offsets, until there are enough.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` where a transaction stays open.
    pub fn each(
        &self,
        admin: &Admin,
        partition: i32,
        Range { start: first, end }: Range<i64>,
        shared: &Shared,
        mut row: impl FnMut(&[u8], Option<&[u8]>),
    ) -> Result<()> {
        if first >= end {
            return Ok(());
        }
        let mut fetcher = Fetcher::new(&self.settings, &self.topic, None)?;
        fetcher.assign(&[(partition, first)])?;
        let mut position = first;
        let mut hold = Hold::new(Instant::now());
        while position < end && !shared.is_enough() {
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
            let now = Instant::now();
            if hold.is_long_at(position, now) {
                let stable = self.offset(admin, partition, OffsetOf::LastStable)?;
                hold.at = (stable < end).then_some(stable);
                shared
                    .held_at
                    .store(hold.at.unwrap_or(-1), Ordering::Relaxed);
            }
            if hold.is_hopeless(now) {
                return Err(self.hanging(partition, hold.at.unwrap_or(position)));
            }
        }
        Ok(())
    }

    /// Returns the error of a transaction that nobody ends any more.
    fn hanging(&self, partition: i32, at: i64) -> Error {
        let topic = &self.topic;
        Error::refused(format!(
            "in topic `{topic}`, partition {partition}, a transaction has been open at offset {at} \
             for {} s: the broker has forgotten it (KAFKA-20734)",
            PATIENCE.as_secs(),
        ))
        .during("restoring state")
        .hint("begin anew with `--reset`, or as another group: all is computed again")
        .hint(format!(
            "or `kafka-transactions.sh abort --topic {topic} --partition {partition} --start-offset {at}` \
             ends it; what it held is dropped"
        ))
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

/// How long a reader has been held up.
struct Hold {
    position: i64,
    /// Since when it is at this position.
    since: Instant,
    /// When the broker was last asked for the reason.
    asked: Instant,
    /// Where the transaction begins that is the reason.
    at: Option<i64>,
}

impl Hold {
    fn new(now: Instant) -> Self {
        Hold {
            position: -1,
            since: now,
            asked: now,
            at: None,
        }
    }

    /// Returns whether the reader has been at a position for so long that the broker should be
    /// asked for the reason.
    fn is_long_at(&mut self, position: i64, now: Instant) -> bool {
        if position != self.position {
            *self = Hold {
                position,
                ..Hold::new(now)
            };
        }
        let is_long = now.duration_since(self.asked) >= STILL;
        if is_long {
            self.asked = now;
        }
        is_long
    }

    /// Returns whether an open transaction was waited for long enough.
    fn is_hopeless(&self, now: Instant) -> bool {
        self.at.is_some() && now.duration_since(self.since) >= PATIENCE
    }
}

/// Makes an operator hold what the log holds; returns whether its open windows were shown, and how
/// far the tasks upstream had read.
fn take_up(operator: &mut Operator, mut log: Log) -> Result<(bool, Vec<i64>), Corrupt> {
    let (mut is_shown, mut positions) = (false, Vec::new());
    // Without a transaction a first commit may have broken off before its header.
    if let Some(mut header) = log.take_header().as_deref() {
        let saved: Vec<u8>;
        (saved, is_shown) = save::take(&mut header)?;
        operator.load_header(&saved)?;
        if !header.is_empty() {
            positions = save::take(&mut header)?;
        }
    }
    for (key, value) in log.into_rows() {
        operator.restore_row(&key, &value)?;
    }
    Ok((is_shown, positions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_that_an_open_transaction_holds_up_for_long_gives_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut hold = Hold::new(start);
        assert!(!hold.is_long_at(7, at(0)));
        assert!(!hold.is_long_at(7, at(4)));
        assert!(hold.is_long_at(7, at(5)));
        assert!(!hold.is_long_at(7, at(6)), "the broker was just asked");
        hold.at = Some(7);
        assert!(!hold.is_hopeless(at(59)));
        assert!(hold.is_hopeless(at(60)));
        // It goes on.
        assert!(!hold.is_long_at(8, at(61)));
        assert!(!hold.is_hopeless(at(121)));
        // A broker that is slow for another reason is waited for.
        assert!(hold.is_long_at(8, at(200)));
        assert!(!hold.is_hopeless(at(200)));
    }
}
