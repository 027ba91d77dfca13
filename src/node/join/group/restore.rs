//! Restores a task: how far it has read, and what it holds, as its last commit has left them.
//!
//! First the group's offsets, which waits for a transaction of a process that is gone; then the changelog, up
//! to where it ended after that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;
use crate::error::{Error, Remedy, Result};
use crate::kafka::admin::Admin;
use crate::kafka::member::{Offsets, Place};
use crate::kafka::slot::Restoring;
use crate::node::group::changelog::HEADER;
use crate::node::group::plan::is_plan;
use crate::node::group::restore::LogReader;

/// How long it is before a broker that has not answered is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What a restoration needs.
pub(super) struct Job {
    pub offsets: Offsets,
    /// What the task reads.
    pub places: Vec<Place>,
    /// Where it keeps what it holds, and in which partition.
    pub log: Option<(LogReader, i32)>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Restored {
    /// What the group has committed of each place.
    pub committed: Vec<Option<i64>>,
    /// The header of the changelog.
    pub header: Option<Vec<u8>>,
    /// Its other rows.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Job {
    /// Begins to restore.
    pub fn begin(self) -> Restoring<Restored> {
        Restoring::begin(|is_enough| restore(self, is_enough))
    }
}

fn restore(job: Job, is_enough: &AtomicBool) -> Result<Restored> {
    let Job {
        offsets,
        places,
        log,
    } = job;
    let committed = offsets.committed(&places)?;
    drop(offsets); // a member that is held here could not leave its group
    let offset = committed
        .into_iter()
        .map(|found| found.map(|found| found.offset));
    let mut restored = Restored {
        committed: offset.collect(),
        ..Restored::default()
    };
    let Some((log, partition)) = log else {
        return Ok(restored);
    };
    loop {
        match read(&log, partition, is_enough) {
            // The node waits for the broker, and says so.
            Err(error) if error.remedy() == Remedy::Retry && !is_enough.load(Ordering::Relaxed) => {
                clock::sleep(RETRY_INTERVAL);
            }
            rows => {
                restored.rows = rows?;
                restored.header = restored.rows.remove(HEADER);
                return Ok(restored);
            }
        }
    }
}

fn read(
    log: &LogReader,
    partition: i32,
    is_enough: &AtomicBool,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let admin = Admin::new(&log.settings)?;
    let held = log.extent(&admin, partition)?;
    let mut rows = BTreeMap::new();
    log.each(partition, held, is_enough, |key, value| {
        if is_plan(key) {
            return;
        }
        match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
    })?;
    Ok(rows)
}

/// Returns the error of offsets that do not go together with what is held.
pub(super) fn elsewhere(place: &Place, offset: i64, kept: i64, group: &str) -> Error {
    let Place { topic, partition } = place;
    Error::refused(format!(
        "group `{group}` is at offset {offset} of topic `{topic}`, partition {partition}, and its state \
         belongs to offset {kept}"
    ))
    .hint(format!("set the group back to offset {kept}, or start over with `--reset`"))
}

/// Returns the error of a changelog that another version of `k` has written.
pub(super) fn unreadable(topic: &str, partition: i32) -> Error {
    Error::refused(format!(
        "the state in topic `{topic}`, partition {partition}, cannot be read"
    ))
    .hint("the version of `k` that wrote it can continue with it")
    .hint("or start over with `--reset`, or use another group: everything is computed again")
}
