//! Restores a task of `k window`: its windows, rebuilt from its changelog on a thread of its own.
//!
//! First the group's offset is requested, which waits for a transaction that may still commit
//! another one. Only then is the end of the changelog looked up, since the previous owner of the
//! partition can write no more. Rows are read up to that end, by position: control records and
//! aborted records take offsets, too. A transaction of a killed process delays the reader until the
//! broker has timed it out. One that the broker has forgotten ends the run.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::commit::Guarantee;
use super::commit_metadata::{CommitMetadata, Role};
use super::log::Log;
use super::snapshot::file::Flaw;
use super::snapshot::{Draft, Home};
use super::state_position::{self, Kept, Misfit};
use crate::clock;
use crate::engine::codec::{self, Corrupt};
use crate::engine::operator::Operator;
use crate::error::{Error, Remedy, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, OffsetOf};
use crate::kafka::fetch::Fetcher;
use crate::kafka::member::{Offsets, Place};
use crate::kafka::open_transactions::Open;
use crate::kafka::slot::Restoring;
use crate::node::evaluate::now_ms;
use crate::source::Committed;

/// How long a wait for rows lasts before a signal is looked for.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// How long it is before a broker that has not answered is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// The most rows that are taken at once.
const MAX_ROWS: usize = 10_000;

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
    /// What the offset has to fit to.
    pub belongs: Belongs,
    /// Where its rows are found.
    pub log: LogReader,
    /// Where the first of them may be found on this machine, too.
    pub home: Option<Home>,
}

/// What a state and the group's offset are looked at by.
pub(super) struct Belongs {
    pub group: String,
    /// The topic that the group reads.
    pub input: Arc<str>,
    /// Its id now.
    pub id: Option<String>,
    pub guarantee: Guarantee,
    /// Where a group begins that has committed nothing.
    pub first: i64,
}

/// Reads a changelog topic.
pub(in crate::node) struct LogReader {
    pub topic: String,
    pub settings: Settings,
}

/// A state as the last commit has left it.
pub(super) struct Restored {
    pub operator: Operator,
    /// The group's offset, or that of the state.
    pub committed: Option<Committed>,
    /// Whether it continues at the state's offset, since the group has forgotten its offset.
    pub goes_on: bool,
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

impl Job {
    /// Begins to restore.
    pub fn begin(self) -> Restoring<Restored> {
        Restoring::begin(|is_enough| restore(self, is_enough))
    }
}

fn restore(job: Job, is_enough: &AtomicBool) -> Result<Restored> {
    let began = clock::now();
    let Job {
        mut operator,
        role,
        upstream,
        place,
        offsets,
        belongs,
        log,
        home,
    } = job;
    let inputs = (0..upstream as i32).map(|partition| Place {
        topic: belongs.input.clone(),
        partition,
    });
    let places: Vec<Place> = [place.clone()].into_iter().chain(inputs).collect();
    let mut told = offsets.committed(&places)?.into_iter();
    let committed = told.next().flatten();
    drop(offsets); // a member that is held here could not leave its group
    let unreadable = |_| {
        Error::refused(format!(
            "the state in topic `{}`, partition {}, cannot be read",
            log.topic, place.partition
        ))
        .hint("the version of `k` that wrote it can continue with it")
        .hint("or start over with `--reset`, or use another group: everything is computed again")
    };
    if role == Role::Upstream {
        // All it has to know is in the metadata beside the offset.
        let note = committed.as_ref();
        let note = note.and_then(|committed| CommitMetadata::parse(&committed.metadata));
        let note = note.filter(|_| !is_planted(Fault::UpstreamGoesBack));
        if let Some(note) = note {
            operator.load_header(&note.state).map_err(unreadable)?;
        }
        return Ok(Restored {
            operator,
            committed,
            goes_on: false,
            is_shown: false,
            positions: Vec::new(),
            found: Found::default(),
            local: None,
            took: clock::since(began),
        });
    }
    let (rows, found, local) = loop {
        match log.read(place.partition, home.as_ref(), is_enough) {
            // The node waits for the broker, and says so; an answer that is no longer awaited is
            // dropped.
            Err(error) if error.remedy() == Remedy::Retry && !is_enough.load(Ordering::Relaxed) => {
                clock::sleep(RETRY_INTERVAL);
            }
            read => break read?,
        }
    };
    let taken_up = take_up(&mut operator, rows);
    let (is_shown, mut positions, kept) = taken_up.map_err(unreadable)?;
    positions.resize(upstream, 0);
    let (id, guarantee) = (belongs.id.as_deref(), belongs.guarantee);
    let begins = (guarantee, belongs.first);
    let misfit = |found: Misfit, place| {
        // It may have been created again since this process began.
        let found = match &kept {
            Kept::State(stand) if stand.is_of_another(log.id_of(&belongs.input).as_deref()) => {
                Misfit::MadeAgain
            }
            _ => found,
        };
        found.to_error(&belongs.group, place, &belongs.input, &log.topic)
    };
    let goes_on = match state_position::fit(&kept, committed.as_ref(), id, role, begins) {
        // The user has said to continue without them.
        Err(Misfit::Elsewhere { .. }) if log.are_gone(&kept, committed.as_ref(), &place) => None,
        fitted => fitted.map_err(|found| misfit(found, &place))?,
    };
    // Those upstream have no state but beside their offsets.
    for ((place, upstream), &seen) in places[1..].iter().zip(told).zip(&positions) {
        if seen > 0 {
            state_position::fit_upstream(upstream.as_ref(), guarantee)
                .map_err(|found| misfit(found, place))?;
        }
    }
    Ok(Restored {
        operator,
        committed: committed.or_else(|| {
            let metadata = String::new();
            goes_on.map(|offset| Committed { offset, metadata })
        }),
        goes_on: goes_on.is_some(),
        is_shown,
        positions,
        found,
        local,
        took: clock::since(began),
    })
}

impl LogReader {
    /// Reads a partition to its end, from where its snapshot ends if there is one that is right.
    pub(super) fn read(
        &self,
        partition: i32,
        home: Option<&Home>,
        is_enough: &AtomicBool,
    ) -> Result<(Log, Found, Option<Local>)> {
        let now = now_ms(); // nothing after the end was written before
        // A client of its own: a client that has lost all brokers is unusable.
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
        self.each(partition, held, is_enough, |key, value| {
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

    /// Returns how far a task downstream had seen those upstream at its last commit.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` where a transaction stays open.
    pub fn positions(&self, partition: i32) -> Result<Vec<i64>> {
        let (mut log, ..) = self.read(partition, None, &AtomicBool::new(false))?;
        let header = log.take_header().map(|header| read_header(&header));
        Ok(header
            .and_then(Result::ok)
            .map_or_else(Vec::new, |(_, _, positions, _)| positions))
    }

    /// Returns the offsets that a partition holds: up to the high watermark, transaction markers
    /// included.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn extent(&self, admin: &Admin, partition: i32) -> Result<Range<i64>> {
        let first = self.offset(admin, partition, OffsetOf::Earliest)?;
        let wanted = if is_planted(Fault::RestoredToStable) {
            OffsetOf::LastStable
        } else {
            OffsetOf::Latest
        };
        let end = self.offset(admin, partition, wanted)?;
        Ok(first..end)
    }

    /// Hands over the rows of a partition between two offsets, until there are enough.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` where a transaction stays open.
    pub fn each(
        &self,
        partition: i32,
        Range { start: first, end }: Range<i64>,
        is_enough: &AtomicBool,
        mut row: impl FnMut(&[u8], Option<&[u8]>),
    ) -> Result<()> {
        if first >= end {
            return Ok(());
        }
        let mut fetcher = Fetcher::new(&self.settings, &self.topic, None)?;
        fetcher.assign(&[(partition, first)])?;
        let mut position = first;
        let end = end - i64::from(is_planted(Fault::RestoreCutShort));
        while position < end && !is_enough.load(Ordering::Relaxed) {
            fetcher.serve()?;
            let fetched = fetcher.read(0, POLL_TIMEOUT, MAX_ROWS)?;
            for nth in 0..fetched.len() {
                let message = fetched.get(nth);
                position = message.offset + 1;
                row(message.key.unwrap_or_default(), message.value);
            }
            if fetched.is_empty() {
                position = fetcher.positions()[0].unwrap_or(position);
                fetcher.watch_silence(|_| position < end)?;
                if let Some(open) = fetcher.hopeless() {
                    return Err(hanging(open));
                }
            }
        }
        Ok(())
    }

    /// Returns whether no record is left of those between a state and the offset behind it of its group.
    fn are_gone(&self, kept: &Kept, committed: Option<&Committed>, place: &Place) -> bool {
        let (Kept::State(stand), Some(committed)) = (kept, committed) else {
            return false;
        };
        let input = LogReader {
            topic: place.topic.to_string(),
            settings: self.settings.clone(),
        };
        let first = || {
            let admin = Admin::new(&self.settings)?;
            input.offset(&admin, place.partition, OffsetOf::Earliest)
        };
        committed.offset > stand.position && first().is_ok_and(|first| first >= committed.offset)
    }

    /// Returns the id of a topic as it is now, if it is known.
    fn id_of(&self, topic: &str) -> Option<String> {
        let ids = Admin::new(&self.settings).and_then(|admin| admin.topic_ids(&[topic]));
        ids.ok()?.remove(topic)?.ok().flatten()
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

/// Returns the error of a transaction that nothing will end.
fn hanging(open: &Open) -> Error {
    Error::refused(open.story())
        .during("restoring state")
        .hint(open.way_out())
        .hint("or start over with `--reset`, or use another group: everything is computed again")
}

/// Makes an operator hold what the log holds; returns whether its open windows were shown, how far the
/// tasks upstream had read, and what it belongs to.
pub(super) fn take_up(
    operator: &mut Operator,
    mut log: Log,
) -> Result<(bool, Vec<i64>, Kept), Corrupt> {
    // Without a transaction a first commit may have broken off before its header.
    let (is_shown, positions, kept) = match log.take_header() {
        Some(header) => {
            let (saved, is_shown, positions, kept) = read_header(&header)?;
            if !is_planted(Fault::WatermarkGoesBack) {
                operator.load_header(&saved)?;
            }
            (is_shown, positions, kept)
        }
        None => (false, Vec::new(), Kept::Nothing),
    };
    for (key, value) in log.into_rows() {
        operator.restore_row(&key, &value)?;
    }
    if is_shown && kept == Kept::Unsaid {
        operator.take_for_shown();
    }
    Ok((is_shown, positions, kept))
}

/// Returns what a header holds: the operator's own, whether its open windows were shown, how far the
/// tasks upstream had read, and what the state belongs to.
fn read_header(mut header: &[u8]) -> Result<(Vec<u8>, bool, Vec<i64>, Kept), Corrupt> {
    let (saved, is_shown) = codec::take(&mut header)?;
    let positions = if header.is_empty() {
        Vec::new()
    } else {
        codec::take(&mut header)?
    };
    let kept = if header.is_empty() {
        Kept::Unsaid
    } else {
        Kept::State(codec::take(&mut header)?)
    };
    Ok((saved, is_shown, positions, kept))
}
