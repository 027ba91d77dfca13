//! Records of several partitions in the order of their times.
//!
//! The earliest of the first records goes next, as Kafka Streams chooses it, once it is known of each
//! partition what its first record is or that there is none. A partition that should have one and
//! brings none, such as behind an open transaction, is not waited for longer than [`PATIENCE`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a partition that brings nothing holds the others back.
const PATIENCE: Duration = Duration::from_millis(500);

/// What waits of one partition.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: VecDeque<(i64, T)>,
    /// Whether all that the partition holds has come.
    pub is_at_end: bool,
    /// When something came last.
    since: Instant,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            waiting: VecDeque::new(),
            is_at_end: false,
            since: Instant::now(),
        }
    }
}

impl<T> Queue<T> {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds what comes next in the partition.
    pub fn push(&mut self, time: i64, item: T) {
        self.since = Instant::now();
        self.is_at_end = false;
        self.waiting.push_back((time, item));
    }

    /// Returns the time of what is next.
    pub fn head(&self) -> Option<i64> {
        self.waiting.front().map(|(time, _)| *time)
    }

    pub fn pop(&mut self) -> Option<T> {
        self.waiting.pop_front().map(|(_, item)| item)
    }

    /// Returns whether something may still come that is earlier than what the others have.
    pub fn holds_back(&self) -> bool {
        self.waiting.is_empty() && !self.is_at_end && self.since.elapsed() < PATIENCE
    }
}

/// Returns which of some queues is next; of the same time the first. `None` where one holds the
/// others back, or all are empty.
pub(super) fn next<'q, T: 'q>(queues: impl Iterator<Item = &'q Queue<T>>) -> Option<(i64, usize)> {
    let mut first = None;
    for (nth, queue) in queues.enumerate() {
        match queue.head() {
            Some(time) if first.is_none_or(|(earliest, _)| time < earliest) => {
                first = Some((time, nth));
            }
            Some(_) => {}
            None if queue.holds_back() => return None,
            None => {}
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_goes_first_and_waits_for_what_may_be_earlier() {
        let mut queues = [Queue::default(), Queue::default()];
        queues[0].push(5, 'a');
        assert_eq!(next(queues.iter()), None);
        queues[1].is_at_end = true;
        assert_eq!(next(queues.iter()), Some((5, 0)));
        queues[1].push(4, 'b');
        assert_eq!(next(queues.iter()), Some((4, 1)));
        queues[1].push(9, 'c');
        assert_eq!(queues[1].pop(), Some('b'));
        assert_eq!(next(queues.iter()), Some((5, 0)));
    }
}
