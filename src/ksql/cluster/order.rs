//! Records of several partitions in the order of their times.
//!
//! The earliest of the first records goes next, as Kafka Streams chooses it, once it is known of each
//! partition what its first record is or that there is none. A partition that should have one and
//! brings none, because a transaction is open, is not waited for longer than [`PATIENCE`]. What one
//! transaction has sent to several topics between stages may come one after the other: beside such a
//! topic that is empty, a record waits for [`SETTLING`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a partition that brings nothing holds the others back.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a record waits for what was committed with it.
const SETTLING: Duration = Duration::from_millis(30);

/// What waits of one partition.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    /// Whether all that the partition holds has come.
    pub is_at_end: bool,
    /// Whether it is of a topic between stages.
    is_internal: bool,
    /// When something came last.
    since: Instant,
}

#[derive(Debug)]
struct Waiting<T> {
    time: i64,
    came: Instant,
    item: T,
}

impl<T> Queue<T> {
    pub fn new(now: Instant, is_internal: bool) -> Self {
        Queue {
            waiting: VecDeque::new(),
            is_at_end: false,
            is_internal,
            since: now,
        }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds what comes next in the partition.
    pub fn push(&mut self, now: Instant, time: i64, item: T) {
        self.since = now;
        self.is_at_end = false;
        self.waiting.push_back(Waiting {
            time,
            came: now,
            item,
        });
    }

    pub fn pop(&mut self) -> Option<T> {
        self.waiting.pop_front().map(|waiting| waiting.item)
    }

    /// Returns whether something may still come that is earlier than what the others have.
    pub fn holds_back(&self, now: Instant) -> bool {
        self.waiting.is_empty()
            && !self.is_at_end
            && now.saturating_duration_since(self.since) < PATIENCE
    }
}

/// Returns which of some queues is next, and the time of its first record; of the same time the first.
/// `None` where one holds the others back, or all are empty.
pub(super) fn next<'q, T: 'q>(
    queues: impl Iterator<Item = &'q Queue<T>>,
    now: Instant,
) -> Option<(i64, usize)> {
    let mut first: Option<(i64, usize, Instant)> = None;
    let mut may_settle = false;
    for (nth, queue) in queues.enumerate() {
        match queue.waiting.front() {
            Some(head) if first.is_none_or(|(earliest, ..)| head.time < earliest) => {
                first = Some((head.time, nth, head.came));
            }
            Some(_) => {}
            None if queue.holds_back(now) => return None,
            None => may_settle |= queue.is_internal,
        }
    }
    let (time, nth, came) = first?;
    let has_settled = !may_settle || now.saturating_duration_since(came) >= SETTLING;
    has_settled.then_some((time, nth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_goes_first_and_waits_for_what_may_be_earlier() {
        let now = Instant::now();
        let mut queues = [Queue::new(now, false), Queue::new(now, false)];
        queues[0].push(now, 5, 'a');
        assert_eq!(next(queues.iter(), now), None);
        assert_eq!(next(queues.iter(), now + PATIENCE), Some((5, 0)));
        queues[1].is_at_end = true;
        assert_eq!(next(queues.iter(), now), Some((5, 0)));
        queues[1].push(now, 4, 'b');
        assert_eq!(next(queues.iter(), now), Some((4, 1)));
        queues[1].push(now, 9, 'c');
        assert_eq!(queues[1].pop(), Some('b'));
        assert_eq!(next(queues.iter(), now), Some((5, 0)));
    }

    #[test]
    fn what_was_committed_together_comes_together() {
        let now = Instant::now();
        let mut queues = [Queue::new(now, true), Queue::new(now, true)];
        queues[1].is_at_end = true;
        queues[0].push(now, 5, 'a');
        assert_eq!(next(queues.iter(), now), None);
        assert_eq!(next(queues.iter(), now + SETTLING), Some((5, 0)));
        queues[1].push(now, 4, 'b');
        assert_eq!(next(queues.iter(), now), Some((4, 1)));
    }
}
