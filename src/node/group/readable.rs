//! Whether readers can read: which open transactions hide the group's input from it, and its
//! results from others.

use std::time::Duration;

use super::{Node, Slot};
use crate::clock;
use crate::error::{Error, Result};
use crate::kafka::admin::OffsetOf;
use crate::kafka::open_transactions::Open;

/// How often the end of the results is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Node<'_> {
    /// Reports which open transaction hides the rest of a partition of the input, and which one hides
    /// results from their readers though nothing will end it.
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

    /// Waits until what the result topic holds now can be read: a transaction that was left
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
            // A hopeless one ends the run, and is reported then.
            let waited_for = self.open.look(due).into_iter();
            for open in waited_for.filter(|open| !open.is_hopeless()) {
                self.report.status(open.waited_for());
            }
            let to = self.options.to.as_str();
            if let Some(open) = self.open.hopeless().filter(|open| open.topic == to) {
                let error = Error::refused(story(open));
                return Err(ways_out(open).into_iter().fold(error, Error::hint));
            }
            self.interrupt.sleep_until(clock::now() + POLL_INTERVAL);
            self.interrupt.check()?;
        }
    }
}

fn story(open: &Open) -> String {
    format!(
        "everything is computed and committed, but readers of committed records cannot see what is \
         behind an open transaction: {}",
        open.story()
    )
}

fn ways_out(open: &Open) -> [String; 2] {
    [
        open.way_out(),
        "or compute everything again into another topic: another `--group` and `--to`".to_owned(),
    ]
}
