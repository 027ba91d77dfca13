//! Whether a group has read everything, for a run with `--exit`, including what other processes read.

use std::time::Duration;

use super::layout::Layout;
use super::{Node, Slot};
use crate::clock;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::admin::OffsetOf;
use crate::kafka::member::Place;
use crate::node::group::topics::committed;
use crate::source::kafka::Starts;

/// How long a member without partitions may have to wait for some.
const ASSIGNMENT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the group is asked whether it has read everything.
const ASK_INTERVAL: Duration = Duration::from_millis(300);
/// How often the end of the rows is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Node<'_> {
    /// Returns whether this process has the partitions that the group gives to it: a new member gets
    /// them when the others have released them.
    pub(super) fn is_settled(&self) -> bool {
        self.shared.is_some_and(|shared| {
            !self.slots.is_empty() || clock::since(shared) > ASSIGNMENT_TIMEOUT
        })
    }

    /// Returns whether the group has joined what the topics held at the start.
    pub(super) fn is_all_read(&mut self) -> Result<bool> {
        let is_done = |slot: &Slot| {
            let done = |task: &super::Task| task.is_done() && !task.is_changed();
            slot.task().is_some_and(done)
        };
        let is_due = clock::since(self.asked) >= ASK_INTERVAL;
        if !self.is_settled() || !is_due || !self.slots.values().all(is_done) {
            return Ok(false);
        }
        self.asked = clock::now();
        if is_planted(Fault::EndsEarly) {
            return Ok(true);
        }
        let Layout { sides, .. } = &self.parts.layout;
        for side in sides {
            let ends = side.starts.iter().map(|(_, start)| start.end).collect();
            if !self.has_come_to(&side.starts, ends) {
                return Ok(false);
            }
        }
        self.is_all_passed_on()
    }

    /// Returns whether what tasks have sent to each other was read. All of it was sent by now.
    fn is_all_passed_on(&mut self) -> Result<bool> {
        if self.sent_ends.is_none() {
            let layout = &self.parts.layout;
            let sent = layout.sides.iter().filter_map(|side| side.via.as_ref());
            let places = sent
                .flat_map(|topic| (0..layout.partitions).map(|partition| (&**topic, partition)));
            let places: Vec<(&str, i32)> = places.collect();
            let mut ends = Vec::new();
            for found in self.parts.admin.offsets(&places, OffsetOf::Latest)? {
                let Ok(end) = found.offset else {
                    return Ok(false); // it is asked again
                };
                let (topic, partition) = (found.topic.into(), found.partition);
                ends.push((Place { topic, partition }, end));
            }
            self.sent_ends = Some(ends);
        }
        let ends = self.sent_ends.as_deref().unwrap_or_default();
        if ends.is_empty() {
            return Ok(true);
        }
        let places: Vec<Place> = ends.iter().map(|(place, _)| place.clone()).collect();
        let reached = self.member.offsets().committed(&places)?;
        let mut reached = reached.iter().zip(ends);
        Ok(reached.all(|(committed, (_, end))| {
            let reached = committed.as_ref().map_or(0, |committed| committed.offset);
            reached >= *end
        }))
    }

    /// Returns whether the group has committed these ends of a topic.
    fn has_come_to(&self, starts: &Starts, ends: Vec<i64>) -> bool {
        // Without an answer, it asks again.
        let Ok(read) = committed(self.parts.settings, &self.options.group, starts) else {
            return false;
        };
        let mut partitions = starts.iter().zip(&read).zip(ends);
        partitions.all(|(((_, start), committed), end)| {
            let reached = committed.as_ref();
            reached.map_or(start.first, |committed| committed.offset) >= end
        })
    }

    /// Waits until what the rows' topic holds now can be read: a transaction of a killed process keeps
    /// readers of committed records from all that lies behind it until it has timed out.
    ///
    /// # Errors
    /// `refused` where one stays open, `stopped` on a signal.
    pub(super) fn await_readable(&mut self) -> Result<()> {
        let partitions = self.parts.admin.topic(&self.options.to)?.partitions.len() as i32;
        let to = self.options.to.as_str();
        let places: Vec<(&str, i32)> = (0..partitions).map(|number| (to, number)).collect();
        let began = clock::now();
        loop {
            let open = self.parts.admin.open_transactions(&places)?;
            let Some((_, partition, at)) = open.first() else {
                return Ok(());
            };
            if clock::since(began) > crate::kafka::open_transactions::OPEN_TIMEOUT {
                return Err(Error::refused(format!(
                    "everything is joined and committed, but a transaction is open in topic `{to}`, partition \
                     {partition}, offset {at}: readers of committed records see nothing behind it"
                ))
                .hint(format!("`k topic describe {to}` shows whether it is still open")));
            }
            self.parts
                .interrupt
                .sleep_until(clock::now() + POLL_INTERVAL);
            self.parts.interrupt.check()?;
        }
    }
}
