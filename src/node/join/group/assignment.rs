//! The partitions that the group gives to a process and takes away.
//!
//! In: what the group has decided. Out: tasks with what they hold. A task that moves to another process is
//! committed first.

use super::super::Options as StageOptions;
use super::super::stage::Stage;
use super::feed::{Feed, From, KeyCheck};
use super::layout::{Role, TaskId};
use super::restore::{self, Job, Restored};
use super::task::{Joining, Spread, Task, Work};
use super::{Node, Slot, handover};
use crate::clock;
use crate::engine::join::account::Account;
use crate::engine::join::{Join, Records, Side};
use crate::engine::watermark::BEGINNING;
use crate::error::{Error, Result};
use crate::fault::{Fault, is_planted};
use crate::kafka::member::{Place, Rebalance};
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::node::group::restore::LogReader;
use crate::node::group::topics;
use crate::notation::Notation;
use crate::sink::joined::RecordKeys;
use crate::term::units::format_plural;

impl Node<'_> {
    /// Carries out what the group has decided.
    pub(super) fn rebalance(&mut self, rebalance: Rebalance) -> Result<()> {
        self.shared = Some(clock::now());
        match rebalance {
            Rebalance::Given(places) => {
                self.member.accept()?;
                for place in places {
                    if let Some(role) = self.parts.layout.role_of(&place.topic) {
                        self.restore((role, place.partition))?;
                    }
                }
                Ok(())
            }
            Rebalance::Taken { places, lost } => {
                // Other processes continue where this commit ends.
                let committed = if is_planted(Fault::ReleasedBeforeCommit) {
                    Ok(())
                } else if lost {
                    Err(Error::fenced("the group has continued without this member"))
                } else {
                    self.commit()
                };
                if committed.is_err() {
                    self.give_up()?;
                }
                let mut released = Vec::new();
                for place in &places {
                    if let Some(role) = self.parts.layout.role_of(&place.topic) {
                        let task = (role, place.partition);
                        self.forget(task);
                        released.extend(self.parts.layout.places(task));
                    }
                }
                self.member.release(&released)?;
                committed
            }
        }
    }

    /// Drops a task; what was committed stays.
    pub(super) fn forget(&mut self, task: TaskId) {
        if let Some(Slot::Working(task)) = self.slots.remove(&task) {
            self.counted.absorb(task.counted());
        }
    }

    /// Begins to restore a task; what it was doing is forgotten.
    pub(super) fn restore(&mut self, id: TaskId) -> Result<()> {
        self.forget(id);
        let (role, partition) = id;
        let layout = &self.parts.layout;
        let had = match role {
            Role::Spread(side) => layout.side(side).starts.len(),
            Role::Join => layout.partitions as usize,
        };
        if partition as usize >= had {
            let has = partition as usize + 1;
            return Err(topics::has_grown(&self.options.group, has, had));
        }
        let log = LogReader {
            topic: layout.changelog.clone(),
            settings: self.parts.settings.clone(),
        };
        let restoring = Job {
            offsets: self.member.offsets(),
            places: layout.places(id),
            log: (role == Role::Join).then_some((log, partition)),
        }
        .begin();
        self.slots.insert(id, Slot::Restoring(restoring));
        Ok(())
    }

    /// Starts the tasks whose state was restored.
    pub(super) fn take_restored(&mut self) -> Result<()> {
        let mut restored = Vec::new();
        for (id, slot) in &mut self.slots {
            if let Slot::Restoring(restoring) = slot
                && let Some(answer) = restoring.answer()
            {
                restored.push((*id, answer?));
            }
        }
        for (id, restored) in restored {
            let task = self.task(id, &restored)?;
            for feed in &task.feeds {
                self.member.begin(&feed.place, feed.position())?;
            }
            let held: u64 = Side::BOTH
                .map(|side| task.account().side(side).taken_over)
                .iter()
                .sum();
            if held > 0 {
                self.parts.report.status(format!(
                    "partition {}: restored {} that wait for a partner",
                    id.1,
                    format_plural(held, "record"),
                ));
            }
            self.slots.insert(id, Slot::Working(Box::new(task)));
        }
        Ok(())
    }

    /// Makes a task of what was restored.
    fn task(&self, id: TaskId, restored: &Restored) -> Result<Task> {
        let is_committed = restored.committed.iter().all(Option::is_some);
        match id.0 {
            Role::Spread(side) => {
                let plan = self.parts.plan;
                let out_of_order_ms = plan.settings([1, 1]).out_of_order_ms[side.index()];
                let spread = Spread {
                    side,
                    keys: RecordKeys::new(plan.keys()),
                    partitioner: Partitioner::new(
                        Partitioning::Murmur2,
                        self.parts.layout.partitions,
                    ),
                    out_of_order_ms,
                    high: BEGINNING,
                    account: Account::default(),
                    outbox: handover::Outbox::default(),
                };
                let records = Join::new(&plan.settings([1, 1])).records();
                let kept = restored.committed.first().copied().flatten();
                let feed = self.feed(side, Role::Spread(side), id.1, records, kept)?;
                Ok(Task::new(
                    id,
                    vec![feed],
                    Work::Spread(Box::new(spread)),
                    is_committed,
                ))
            }
            Role::Join => self.joining(id, restored, is_committed),
        }
    }

    fn joining(&self, id: TaskId, restored: &Restored, is_committed: bool) -> Result<Task> {
        let layout = &self.parts.layout;
        let clocks = Side::BOTH.map(|side| layout.side(side).clocks());
        let mut joining = Joining::new(Join::new(&self.parts.plan.settings(clocks)), clocks);
        let mut positions = restored.committed.clone();
        if let Some(header) = &restored.header {
            let kept = joining.take_over(header, &restored.rows);
            let kept = kept.map_err(|_| restore::unreadable(&layout.changelog, id.1))?;
            for ((position, kept), place) in positions.iter_mut().zip(kept).zip(layout.places(id)) {
                match *position {
                    Some(offset) if offset != kept => {
                        let group = &self.options.group;
                        return Err(restore::elsewhere(&place, offset, kept, group));
                    }
                    // The group may have forgotten its offset; the state has not.
                    _ => *position = Some(kept),
                }
            }
        }
        let mut feeds = Vec::with_capacity(2);
        for (side, position) in Side::BOTH.into_iter().zip(positions) {
            let records = joining.join.records();
            feeds.push(self.feed(side, Role::Join, id.1, records, position)?);
        }
        let work = Work::Join(Box::new(joining));
        Ok(Task::new(id, feeds, work, is_committed))
    }

    /// Returns what reads a partition of a side, from where the group has come to.
    fn feed(
        &self,
        side: Side,
        role: Role,
        partition: i32,
        records: Records,
        committed: Option<i64>,
    ) -> Result<Feed> {
        let of_side = self.parts.layout.side(side);
        let is_sent = role == Role::Join && of_side.via.is_some();
        let topic = if is_sent {
            of_side.feed()
        } else {
            &of_side.topic
        };
        let place = Place {
            topic: topic.clone(),
            partition,
        };
        if is_sent {
            let position = committed.unwrap_or(0); // nothing is deleted before it is committed
            return Ok(Feed::new(place, From::Tasks, records, position, None));
        }
        let start = of_side.starts.of(partition)?;
        let options = StageOptions {
            skip_bad: self.options.skip_bad,
            idle: self.options.idle,
            notation: Notation::Json,
        };
        let planned = &self.parts.plan.sides[side.index()];
        let decoder = self.parts.forms[side.index()].decoder(planned.layout());
        let name = format!("topic `{topic}`");
        let stage = Stage::new(name, planned, decoder, false, &options);
        let partitions = of_side.starts.len() as i32;
        let check = (role == Role::Join && partitions > 1).then(|| KeyCheck {
            keys: RecordKeys::new(self.parts.plan.keys()),
            partitions,
        });
        let position = committed.unwrap_or(start.first);
        let end = self.options.exit.then_some(start.end);
        let source = From::Input(Box::new(stage), check);
        Ok(Feed::new(place, source, records, position, end))
    }

    /// Says in one line what this process does, once it is settled, unless it was said last.
    pub(super) fn tell_work(&mut self) {
        let is_restoring = |slot: &Slot| matches!(slot, Slot::Restoring(_));
        if !self.is_settled() || self.slots.values().any(is_restoring) {
            return;
        }
        let tasks: Vec<TaskId> = self.slots.keys().copied().collect();
        if self.told.as_ref() != Some(&tasks) {
            let joined = tasks.iter().filter(|(role, _)| *role == Role::Join);
            let joined: Vec<String> = joined.map(|(_, number)| number.to_string()).collect();
            let spread = tasks.len() - joined.len();
            let beside = match spread {
                0 => String::new(),
                spread => format!(
                    ", and spreads {}",
                    format_plural(spread as u64, "partition")
                ),
            };
            let group = &self.options.group;
            self.parts.report.status(match joined.as_slice() {
                [] => format!("group `{group}`: joins nothing{beside}"),
                _ => format!(
                    "group `{group}`: joins {} of {}: {}{beside}",
                    joined.len(),
                    format_plural(self.topics.partitions as u64, "partition"),
                    joined.join(", "),
                ),
            });
            self.told = Some(tasks);
        }
    }
}
