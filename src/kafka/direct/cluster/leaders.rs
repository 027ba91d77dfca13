//! Who leads the partitions of a topic, as far as brokers have said.

use std::time::Instant;

use super::super::super::wire::metadata::{Found, TopicId};

/// A topic whose leaders are known, or are asked for.
#[derive(Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id, where topics have any.
    pub id: Option<TopicId>,
    /// By the numbers of its partitions.
    pub(super) leaders: Vec<Led>,
    /// Since when no broker knows it.
    pub(super) forgotten_since: Option<Instant>,
    pub(super) is_lost: bool,
}

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Led {
    /// The broker's number; none while nobody leads, or nobody has said who does.
    pub by: Option<i32>,
    /// Counts the leaders; -1 where that is not known.
    pub epoch: i32,
    /// Whether the brokers themselves know of no leader.
    pub is_orphaned: bool,
}

const UNKNOWN: Led = Led {
    by: None,
    epoch: -1,
    is_orphaned: false,
};

impl Topic {
    /// Returns one of which nothing but the name is known.
    pub(super) fn new(name: &str) -> Self {
        Topic {
            name: name.to_owned(),
            id: None,
            leaders: Vec::new(),
            forgotten_since: None,
            is_lost: false,
        }
    }

    /// Returns who leads a partition.
    pub fn led(&self, partition: i32) -> Led {
        let nth = usize::try_from(partition).ok();
        let led = nth.and_then(|nth| self.leaders.get(nth));
        led.copied().unwrap_or(UNKNOWN)
    }

    /// Returns how many partitions it has, as far as is known.
    pub fn partitions(&self) -> usize {
        self.leaders.len()
    }

    /// Takes up what a broker knows of it.
    pub(super) fn take(&mut self, found: &Found) {
        self.forgotten_since = None;
        self.id = self.id.or(found.id);
        for leader in &found.leaders {
            let Ok(nth) = usize::try_from(leader.partition) else {
                continue;
            };
            // An array of a frame has as many bytes at least, but numbers may be anything.
            if nth >= found.leaders.len().max(self.leaders.len()) {
                continue;
            }
            if self.leaders.len() <= nth {
                self.leaders.resize(nth + 1, UNKNOWN);
            }
            let led = &mut self.leaders[nth];
            // One that is older than what is known comes from a broker that is behind.
            if leader.epoch < 0 || leader.epoch >= led.epoch || found.id.is_none() {
                *led = Led {
                    by: leader.broker,
                    epoch: leader.epoch,
                    is_orphaned: leader.broker.is_none(),
                };
            }
        }
    }
}
