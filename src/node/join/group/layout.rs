//! How a join is spread over the processes of a group: which partition is read by which task.
//!
//! A task that joins reads one partition of each side's feed. The feed of a side is its topic, where the
//! topic's records lie in the partition that what is joined on belongs to. Otherwise it is a topic of the
//! group's own, which a task for each partition of the side's topic fills.

use std::sync::Arc;

use crate::engine::join::Side;
use crate::kafka::member::Place;
use crate::plan::join::name_of;
use crate::source::kafka::Starts;

/// How a join is spread.
pub(crate) struct Layout {
    /// Both inputs.
    pub(super) sides: [SideLayout; 2],
    /// How many tasks join; each feed has as many partitions.
    pub(super) partitions: i32,
    /// Where the tasks that join keep what they hold.
    pub(super) changelog: String,
}

/// How one input is read.
pub(super) struct SideLayout {
    /// Its name.
    pub topic: Arc<str>,
    /// Where its partitions begin and end.
    pub starts: Starts,
    /// The group's own topic through which its records are brought together, where they are.
    pub via: Option<Arc<str>>,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Sends the records of a side to where they are joined.
    Spread(Side),
    /// Joins.
    Join,
}

/// A task: what it does, and of which partition.
pub(super) type TaskId = (Role, i32);

/// Returns the name of the changelog of a group that joins.
pub(super) fn changelog_of(group: &str) -> String {
    format!("{group}-join-changelog")
}

/// Returns the name of the topic through which a side's records are brought together.
pub(super) fn repartition_of(group: &str, side: Side) -> String {
    format!("{group}-join-{}-repartition", name_of(side))
}

/// Returns the names that a group's own topics have, whether they are there or not.
pub fn internal_topics(group: &str) -> impl Iterator<Item = String> {
    let repartition = Side::BOTH.map(|side| repartition_of(group, side));
    std::iter::once(changelog_of(group)).chain(repartition)
}

impl SideLayout {
    /// Returns the topic that the tasks that join read.
    pub fn feed(&self) -> &Arc<str> {
        self.via.as_ref().unwrap_or(&self.topic)
    }

    /// Returns how many partitions hold event time back in a task that joins.
    pub fn clocks(&self) -> usize {
        if self.via.is_some() {
            self.starts.len()
        } else {
            1
        }
    }
}

impl Layout {
    /// Returns a side.
    pub(super) fn side(&self, side: Side) -> &SideLayout {
        &self.sides[side.index()]
    }

    /// Returns the topics whose partitions the group shares: whoever gets a partition of one does its task,
    /// which may read partitions of other topics, too.
    pub(super) fn leads(&self) -> Vec<&str> {
        let spread = self.sides.iter().filter(|side| side.via.is_some());
        let spread = spread.map(|side| &*side.topic);
        spread.chain([&**self.side(Side::Left).feed()]).collect()
    }

    /// Returns the role of the tasks that a topic leads.
    pub(super) fn role_of(&self, topic: &str) -> Option<Role> {
        if *topic == **self.side(Side::Left).feed() {
            return Some(Role::Join);
        }
        let leads = |side: &Side| {
            let of_side = self.side(*side);
            of_side.via.is_some() && *topic == *of_side.topic
        };
        Side::BOTH.into_iter().find(leads).map(Role::Spread)
    }

    /// Returns the partitions that a task reads.
    pub(super) fn places(&self, (role, partition): TaskId) -> Vec<Place> {
        let place = |topic: &Arc<str>| Place {
            topic: topic.clone(),
            partition,
        };
        match role {
            Role::Spread(side) => vec![place(&self.side(side).topic)],
            Role::Join => self.sides.iter().map(|side| place(side.feed())).collect(),
        }
    }

    /// Returns the partitions of the inputs whose clocks a task that joins has of a side, in their order.
    pub(super) fn clock_places(
        &self,
        side: Side,
        partition: i32,
    ) -> impl Iterator<Item = (&str, i32)> {
        let of_side = self.side(side);
        let numbers = match of_side.via {
            Some(_) => 0..of_side.starts.len() as i32,
            None => partition..partition + 1,
        };
        numbers.map(|number| (&*of_side.topic, number))
    }
}
