//! Restores a task of a query: what it remembers, and how far it has read, as its last commit has left
//! them. (`node::group::restore` does it for `k window`, whose state is made of windows.)
//!
//! First the group's offsets, which waits for a transaction of a process that is gone; then the
//! changelog, up to where it ended after that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::topics;
use crate::engine::codec;
use crate::error::{Error, Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::member::{Offsets, Place};
use crate::kafka::slot::Restoring;

/// The row of a changelog that says how far its task has read; no operator's key begins like it.
pub(super) const POSITIONS: &[u8] = b"positions";

/// How long it is before a broker that has not answered is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What a restoration needs.
pub(super) struct Job {
    pub settings: Settings,
    pub offsets: Offsets,
    /// The partitions that the task reads, and whether each begins at its end if it was never read.
    pub places: Vec<(Place, bool)>,
    /// Where the task keeps what it remembers.
    pub changelog: Option<(String, i32)>,
}

/// What was found.
pub(super) struct Restored {
    /// Where each partition goes on.
    pub positions: Vec<i64>,
    /// Whether the group has committed all of them.
    pub is_committed: bool,
    /// The entries of the changelog.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Job {
    /// Begins to restore.
    pub fn begin(self) -> Restoring<Restored> {
        Restoring::begin(|is_enough| restore(self, is_enough))
    }
}

fn restore(job: Job, is_enough: &AtomicBool) -> Result<Restored> {
    let places: Vec<Place> = job.places.iter().map(|(place, _)| place.clone()).collect();
    let committed = job.offsets.committed(&places)?;
    drop(job.offsets); // a member that is held here could not leave its group
    loop {
        let found = find(
            &job.settings,
            &job.places,
            job.changelog.as_ref(),
            is_enough,
        );
        let (rows, positions, extents) = match found {
            // The worker waits for the broker, and says so.
            Err(error) if error.remedy() == Remedy::Retry && !is_enough.load(Ordering::Relaxed) => {
                std::thread::sleep(RETRY_INTERVAL);
                continue;
            }
            found => found?,
        };
        let mut restored = Restored {
            positions: Vec::new(),
            is_committed: true,
            rows,
        };
        for (nth, (place, from_end)) in job.places.iter().enumerate() {
            let kept = positions.get(&*place.topic).copied();
            let offset = committed[nth].as_ref().map(|committed| committed.offset);
            let position = match (offset, kept) {
                (Some(offset), Some(kept)) if offset != kept => {
                    return Err(elsewhere(place, offset, kept));
                }
                (Some(offset), _) => offset,
                // The group has forgotten its offsets; what is remembered has not.
                (None, Some(kept)) => kept,
                (None, None) if *from_end => extents[nth].end,
                (None, None) => extents[nth].start,
            };
            restored.is_committed &= offset.is_some();
            restored.positions.push(position);
        }
        return Ok(restored);
    }
}

/// Rows of a changelog, how far the task had read by topic, and what its partitions hold.
type Found = (
    BTreeMap<Vec<u8>, Vec<u8>>,
    BTreeMap<String, i64>,
    Vec<std::ops::Range<i64>>,
);

fn find(
    settings: &Settings,
    places: &[(Place, bool)],
    changelog: Option<&(String, i32)>,
    is_enough: &AtomicBool,
) -> Result<Found> {
    let admin = Admin::new(settings)?;
    let mut rows = BTreeMap::new();
    if let Some((topic, partition)) = changelog {
        let held = topics::held(&admin, topic, *partition..*partition + 1)?;
        let is_enough = || is_enough.load(Ordering::Relaxed);
        topics::read(settings, topic, &held, is_enough, |message| {
            let key = message.key.unwrap_or_default().to_vec();
            match message.value {
                Some(value) => rows.insert(key, value.to_vec()),
                None => rows.remove(&key),
            };
            Ok(())
        })?;
    }
    let positions = match rows.remove(POSITIONS) {
        Some(bytes) => codec::take(&mut bytes.as_slice()).map_err(|_| unreadable(changelog))?,
        None => Vec::new(),
    };
    let extent = |(place, _): &(Place, bool)| {
        let held = topics::held(&admin, &place.topic, place.partition..place.partition + 1)?;
        Ok(held
            .into_iter()
            .map(|(_, range)| range)
            .next()
            .unwrap_or_default())
    };
    let extents = places.iter().map(extent).collect::<Result<_>>()?;
    Ok((rows, positions.into_iter().collect(), extents))
}

/// Returns the error of a changelog that another version of `k` has written.
pub(super) fn unreadable(changelog: Option<&(String, i32)>) -> Error {
    let (topic, partition) = changelog.cloned().unwrap_or_default();
    Error::refused(format!(
        "what is remembered in topic `{topic}`, partition {partition}, cannot be read"
    ))
    .hint("the version of `k` that wrote it can continue with it")
    .hint("or TERMINATE the query and create it again: everything is computed again")
}

fn elsewhere(place: &Place, offset: i64, kept: i64) -> Error {
    let Place { topic, partition } = place;
    Error::refused(format!(
        "the group is at offset {offset} of topic `{topic}`, partition {partition}, and what the query remembers belongs to offset {kept}"
    ))
    .hint(format!("set the group back to offset {kept}, or TERMINATE the query and create it again: everything is computed again"))
}
