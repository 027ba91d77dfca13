//! Whether a group has read everything, for a run with `--exit`, including what other processes
//! read.

use std::time::Duration;

use super::commit_metadata::CommitMetadata;
use super::topics::committed;
use super::{Node, Slot};
use crate::clock;
use crate::error::Result;
use crate::fault::{Fault, is_planted};
use crate::kafka::member::Member;
use crate::source::Committed;

/// How long a member without partitions may have to wait for some.
const ASSIGNMENT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the group is asked whether it has read everything.
const ASK_INTERVAL: Duration = Duration::from_millis(300);

impl Node<'_> {
    /// Returns whether this process has the partitions that the group gives to it: a new member gets
    /// them when the others have released them.
    pub(super) fn is_settled(&self) -> bool {
        self.shared.is_some_and(|shared| {
            !self.slots.is_empty() || clock::since(shared) > ASSIGNMENT_TIMEOUT
        })
    }

    /// Returns whether the group has read what the topic held at the start.
    pub(super) fn is_all_read(&mut self) -> Result<bool> {
        let mut tasks = self.slots.values();
        let done =
            |slot: &Slot| matches!(slot, Slot::Working(task) if task.is_done && !task.is_changed());
        if !self.is_settled() || !tasks.all(done) || clock::since(self.asked) < ASK_INTERVAL {
            return Ok(false);
        }
        self.asked = clock::now();
        if is_planted(Fault::EndsEarly) {
            return Ok(true);
        }
        // Without an answer, it asks again.
        let (settings, group) = (self.settings, &self.options.group);
        let Ok(read) = committed(settings, group, &self.starts) else {
            return Ok(false);
        };
        let mut partitions = self.starts.iter().zip(&read);
        let is_read = partitions.all(|((_, start), committed)| {
            let reached = committed.as_ref();
            let reached = reached.map_or(start.first, |committed| committed.offset);
            reached >= start.end
        });
        let Some(repartition) = self.topics.repartition.as_ref().filter(|_| is_read) else {
            return Ok(is_read && self.are_shown(&read)?);
        };
        let Ok(passed_on) = committed(settings, group, repartition.starts()) else {
            return Ok(false);
        };
        let ends = || self.starts.iter().map(|(_, start)| start.end);
        let have_seen = |positions: &[i64]| {
            let mut ends = ends().enumerate();
            ends.all(|(nth, end)| positions.get(nth).is_some_and(|&at| at >= end))
        };
        let mut unnamed = Vec::new();
        for (partition, committed) in (0..).zip(&passed_on) {
            let note = committed.as_ref();
            let note = note.and_then(|committed| CommitMetadata::parse(&committed.metadata));
            match note.map(|note| note.positions()) {
                Some(Some(positions)) if have_seen(&positions) => {}
                Some(None) => unnamed.push(partition),
                _ => return Ok(false),
            }
        }
        // The tasks of this process are done.
        let topic = repartition.starts().topic();
        let is_own = |partition: &i32| {
            let mut own = self.slots.keys();
            own.any(|place| place.partition == *partition && *place.topic == *topic)
        };
        unnamed.retain(|partition| !is_own(partition));
        let log = self.log_reader();
        let mut unnamed = unnamed.into_iter();
        let have_all_seen = unnamed.all(|partition| {
            let positions = log.positions(partition); // without an answer it is asked again
            positions.is_ok_and(|positions| have_seen(&positions))
        });
        Ok(have_all_seen && self.are_shown(&passed_on)?)
    }

    /// Returns whether the open windows of all partitions were shown. A process that was killed before
    /// this run has read everything and shown nothing, and keeps its partitions for a session: so long
    /// they are waited for. Those of a process that follows the topic are shown when they close.
    fn are_shown(&self, commits: &[Option<Committed>]) -> Result<bool> {
        let notes = commits.iter().flatten();
        let mut notes = notes.filter_map(|committed| CommitMetadata::parse(&committed.metadata));
        if is_planted(Fault::EndsUnshown) || notes.all(|note| note.is_shown || note.rows == 0) {
            return Ok(true);
        }
        let session = Member::session(self.settings)?;
        let since = self.unshown.get().unwrap_or_else(clock::now);
        self.unshown.set(Some(since));
        Ok(clock::since(since) > session + ASSIGNMENT_TIMEOUT)
    }
}
