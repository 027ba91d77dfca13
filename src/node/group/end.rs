//! When a run to the end is over, and what it waits for: the group has read what the topic held, and
//! readers can read its results. Which open transactions keep the one or the other from it.

use std::time::{Duration, Instant};

use super::note::Note;
use super::topics::committed;
use super::{Node, Slot};
use crate::error::{Error, Result};
use crate::kafka::admin::OffsetOf;
use crate::kafka::open::Open;

/// How long a member without partitions may have to wait for some.
const SETTLING: Duration = Duration::from_secs(3);
/// How often the group is asked whether it has read everything.
const ASK: Duration = Duration::from_millis(300);
/// How often the end of the results is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl Node<'_> {
    /// Returns whether the group has read what the topic held at the start.
    pub(super) fn is_all_read(&mut self) -> Result<bool> {
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
        Ok(passed_on.into_iter().all(|committed| {
            let note = committed.and_then(|committed| Note::parse(&committed.metadata));
            note.is_some_and(|note| note.has_seen(ends()))
        }))
    }

    /// Says which open transaction a partition of the input waits for that is not read to its end, and
    /// which one keeps readers of the results from them though nobody may end it any more.
    pub(super) fn watch_transactions(&mut self) {
        let places = self.open.is_due().then(|| {
            let tasks = self.slots.values().filter_map(Slot::task);
            let behind = tasks.filter(|task| {
                let end = self.member.high_watermark(&task.place);
                !task.is_done && end.is_some_and(|end| task.position < end)
            });
            let behind = behind.map(|task| (task.place.topic.to_string(), task.place.partition));
            behind.chain(self.results()).collect()
        });
        for open in self.open.look(places) {
            match open.topic == self.options.to {
                // Those of the group itself are short.
                true if !open.is_hopeless() => {}
                true => {
                    let ways = ways_out(&open).join("; ");
                    self.report.warning(format!("{}; {ways}", story(&open)));
                }
                false => self.report.status(open.waited_for()),
            }
        }
    }

    fn results(&self) -> impl Iterator<Item = (String, i32)> {
        (0..self.results).map(|number| (self.options.to.clone(), number))
    }

    /// Waits until what the result topic holds now can be read: a transaction that somebody has left
    /// open keeps readers of committed records from all that lies behind it.
    ///
    /// # Errors
    /// `refused` where one stays open, `stopped` on a signal.
    pub(super) fn await_readable(&mut self) -> Result<()> {
        let places: Vec<(String, i32)> = self.results().collect();
        let named: Vec<(&str, i32)> = places.iter().map(|(to, nth)| (to.as_str(), *nth)).collect();
        let ends = self.admin.offsets(&named, OffsetOf::Latest)?;
        loop {
            let stable = self.admin.offsets(&named, OffsetOf::LastStable)?;
            let is_readable = ends.iter().all(|end| {
                let mut stable = stable.iter();
                let stable = stable.find(|stable| stable.partition == end.partition);
                match (stable.map(|stable| &stable.offset), &end.offset) {
                    (Some(Ok(stable)), Ok(end)) => stable >= end,
                    _ => true, // it is gone, or has no leader: nobody can tell
                }
            });
            if is_readable {
                return Ok(());
            }
            let due = self.open.is_due().then(|| places.clone());
            for open in self.open.look(due) {
                self.report.status(open.waited_for());
            }
            let to = self.options.to.as_str();
            if let Some(open) = self.open.hopeless().filter(|open| open.topic == to) {
                let error = Error::refused(story(open));
                return Err(ways_out(open).into_iter().fold(error, Error::hint));
            }
            self.interrupt.sleep_until(Instant::now() + LOOK);
            self.interrupt.check()?;
        }
    }
}

fn story(open: &Open) -> String {
    format!(
        "everything is computed and committed, but readers of committed records see none of it from \
         there on: {}",
        open.story()
    )
}

fn ways_out(open: &Open) -> [String; 2] {
    [
        open.way_out(),
        "or compute all again into another topic: another `--group` and `--to`".to_owned(),
    ]
}
