//! Whether a group has read everything, for a run with `--exit`, including what other processes
//! read.

use std::time::Duration;

use super::commit_metadata::CommitMetadata;
use super::topics::committed;
use super::{Node, Slot};
use crate::clock;
use crate::error::Result;

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
        // Without an answer, it asks again.
        let (settings, group) = (self.settings, &self.options.group);
        let Ok(read) = committed(settings, group, &self.starts) else {
            return Ok(false);
        };
        let mut partitions = self.starts.iter().zip(read);
        let is_read = partitions.all(|((_, start), committed)| {
            let reached = committed.map_or(start.first, |committed| committed.offset);
            reached >= start.end
        });
        let Some(repartition) = self.topics.repartition.as_ref().filter(|_| is_read) else {
            return Ok(is_read);
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
        for (partition, committed) in (0..).zip(passed_on) {
            let note = committed.and_then(|committed| CommitMetadata::parse(&committed.metadata));
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
        Ok(unnamed.all(|partition| {
            let positions = log.positions(partition); // without an answer it is asked again
            positions.is_ok_and(|positions| have_seen(&positions))
        }))
    }
}
