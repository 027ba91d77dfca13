//! How far event time has come: per partition, and combined.
//!
//! In: event times as they are read, and which partitions are idle. Out: the combined watermark,
//! which says that nothing below it is expected and never goes back (T. Akidau et al., "The
//! Dataflow Model", VLDB 2015, §2.3; Flink's bounded out-of-orderness).

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// Before any record: below every event time.
pub const BEGINNING: i64 = i64::MIN;
/// After the last record of a bounded input: above every event time.
pub const END: i64 = i64::MAX;

/// How far the watermark stays behind the highest event time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This long, in ms.
    Fixed(i64),
    /// So long that this share of the records so far, in percent, was not late; learned.
    Percentile(f64),
}

/// The watermarks of one operator's input, in ms since 1970, UTC.
#[derive(Debug, Clone)]
pub struct Watermarks {
    bound: Bound,
    partitions: Vec<Partition>,
    combined: i64,
}

/// One partition; created with the operator, never dropped.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Partition {
    /// The highest event time seen; [`BEGINNING`] before the first record.
    high: i64,
    /// The watermark, which never goes back.
    reached: i64,
    /// Does not hold the others back: it is at its end and nothing has come for a while.
    idle: bool,
    /// How late records came; counted only where the bound is learned.
    delays: Delays,
}

impl Watermarks {
    /// Returns the watermarks of `partitions` partitions before any record.
    pub fn new(partitions: usize, bound: Bound) -> Self {
        let partition = Partition {
            high: BEGINNING,
            reached: BEGINNING,
            idle: false,
            delays: Delays::default(),
        };
        Watermarks {
            bound,
            partitions: vec![partition; partitions],
            combined: BEGINNING,
        }
    }

    /// Returns the combined watermark: the minimum over the partitions that are not idle, and
    /// never less than it has been.
    #[inline]
    pub fn combined(&self) -> i64 {
        self.combined
    }

    /// Returns how far the watermark stays behind.
    #[inline]
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Returns how many partitions there are.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Returns the watermark of one partition.
    pub fn of(&self, partition: usize) -> i64 {
        self.partitions[partition].reached
    }

    /// Returns the highest event time seen in a partition.
    pub fn high(&self, partition: usize) -> i64 {
        self.partitions[partition].high
    }

    /// Returns whether a partition is idle.
    pub(crate) fn is_idle(&self, partition: usize) -> bool {
        self.partitions[partition].idle
    }

    /// Notes an event time; returns whether the combined watermark has moved.
    #[inline]
    pub fn observe(&mut self, partition: usize, at: i64) -> bool {
        let seen = &mut self.partitions[partition];
        if let Bound::Fixed(_) = self.bound
            && at <= seen.high
            && !seen.idle
        {
            return false;
        }
        seen.high = seen.high.max(at);
        let bound = match self.bound {
            Bound::Fixed(bound_ms) => bound_ms,
            Bound::Percentile(percent) => seen.delays.add(seen.high.saturating_sub(at), percent),
        };
        let high = seen.high;
        self.advance(partition, high.saturating_sub(bound))
    }

    /// Moves a partition's watermark to `at` if that is ahead of it, and ends its idleness;
    /// returns whether the combined watermark has moved.
    pub fn advance(&mut self, partition: usize, at: i64) -> bool {
        let seen = &mut self.partitions[partition];
        let held_back = seen.reached <= self.combined || seen.idle;
        seen.reached = seen.reached.max(at);
        seen.idle = false;
        held_back && self.combine()
    }

    /// Goes on from the highest event time of the input before, read elsewhere.
    pub(crate) fn resume(&mut self, partition: usize, high: i64) {
        if high > BEGINNING {
            self.observe(partition, high);
        }
    }

    /// Marks a partition as idle or not; returns whether the combined watermark has moved.
    pub(crate) fn set_idle(&mut self, partition: usize, idle: bool) -> bool {
        self.partitions[partition].idle = idle;
        self.combine()
    }

    /// Takes up the combined watermark of an earlier run, which never goes back.
    pub fn restore(&mut self, combined: i64) {
        self.combined = self.combined.max(combined);
    }

    /// Ends the input: the watermark is above every event time.
    pub fn end(&mut self) -> bool {
        let moved = self.combined < END;
        self.combined = END;
        moved
    }

    /// Returns the partition that holds the combined watermark back, if one does.
    pub(crate) fn furthest_behind(&self) -> Option<usize> {
        (0..self.partitions.len())
            .filter(|&partition| !self.is_idle(partition))
            .min_by_key(|&partition| self.of(partition))
    }

    /// Returns the least watermark of the partitions beside one that are not idle.
    pub(crate) fn beside(&self, partition: usize) -> Option<i64> {
        (0..self.partitions.len())
            .filter(|&other| other != partition && !self.is_idle(other))
            .map(|other| self.of(other))
            .min()
    }

    /// Returns what is saved: every partition's part, and the combined watermark.
    pub(super) fn saved(&self) -> impl Serialize {
        (&self.partitions, self.combined)
    }

    /// Takes up what was saved, unless it is of another number of partitions.
    pub(super) fn load(&mut self, bytes: &mut &[u8]) -> Result<(), super::codec::Corrupt> {
        let (partitions, combined): (Vec<Partition>, i64) = super::codec::take(bytes)?;
        if partitions.len() != self.partitions.len() {
            return Err(super::codec::Corrupt);
        }
        (self.partitions, self.combined) = (partitions, combined);
        Ok(())
    }

    fn combine(&mut self) -> bool {
        let all = 0..self.partitions.len();
        let active = all.clone().filter(|&partition| !self.is_idle(partition));
        let lowest = active.map(|partition| self.of(partition)).min();
        // Where all are idle, none holds back: the one furthest ahead counts, in whatever order
        // they fell silent (Flink's `StatusWatermarkValve`).
        let furthest = || all.map(|partition| self.of(partition)).max();
        let lowest = lowest.or_else(furthest).unwrap_or(BEGINNING);
        let moved = lowest > self.combined;
        self.combined = self.combined.max(lowest);
        moved
    }
}

/// How late records came behind the highest event time before them: counts by delay, exact below
/// 16 ms and in steps of at most an eighth above.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Delays {
    counts: Vec<u64>,
    total: u64,
    /// The step that holds the percentile, and how many records lie below it.
    step: usize,
    below: u64,
}

impl Delays {
    /// Adds a delay in ms; returns the longest delay in the step that `percent` of all lie in.
    fn add(&mut self, delay_ms: i64, percent: f64) -> i64 {
        let step = step_of(delay_ms.max(0) as u64);
        if step >= self.counts.len() {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
        self.below += u64::from(step < self.step);
        let wanted = (percent / 100.0 * self.total as f64).ceil().max(1.0) as u64;
        while self.below + self.counts[self.step] < wanted {
            self.below += self.counts[self.step];
            self.step += 1;
        }
        while self.below >= wanted {
            self.step -= 1;
            self.below -= self.counts[self.step];
        }
        longest_of(self.step)
    }
}

/// How many steps each doubling is cut into, as a power of two.
const STEP_BITS: u32 = 3;
/// Delays below this have a step of their own.
const EXACT: u64 = 2 << STEP_BITS;

fn step_of(delay: u64) -> usize {
    if delay < EXACT {
        return delay as usize;
    }
    let doubling = delay.ilog2() - STEP_BITS;
    (u64::from(doubling) << STEP_BITS) as usize + (delay >> doubling) as usize
}

fn longest_of(step: usize) -> i64 {
    let (step, eighths) = (step as u64, 1 << STEP_BITS);
    if step < EXACT {
        return step as i64;
    }
    let doubling = step / eighths - 1;
    let next = (step % eighths + eighths + 1) << doubling;
    i64::try_from(next - 1).unwrap_or(i64::MAX)
}

/// Returns the highest of some times.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn highest(times: &[i64]) -> Option<i64> {
    times.iter().copied().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_partitions_fall_silent_does_not_matter() {
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut watermarks = Watermarks::new(3, Bound::Fixed(0));
            watermarks.observe(1, 70);
            watermarks.observe(2, 50);
            for partition in order {
                watermarks.set_idle(partition, true);
            }
            assert_eq!(watermarks.combined(), 70, "{order:?}");
            assert!(!watermarks.observe(0, 10), "it never goes back");
        }
    }

    #[test]
    fn a_step_holds_the_delays_up_to_its_longest() {
        let mut last = None;
        for delay in (0..5_000).chain([1 << 20, (1 << 20) + 1, u64::MAX >> 2]) {
            let longest = longest_of(step_of(delay)) as u64;
            assert!(
                delay <= longest && longest <= delay + delay / 8,
                "{delay}: {longest}"
            );
            assert!(last.is_none_or(|last| last <= step_of(delay)));
            last = Some(step_of(delay));
        }
    }

    #[test]
    fn a_learned_bound_is_the_percentile_of_the_delays() {
        let mut delays = Delays::default();
        let mut bound = 0;
        for n in 0..1_000_u64 {
            bound = delays.add((n * 7 % 100) as i64, 90.0);
        }
        // 90 of 100 delays are 89 ms or less; 88 to 95 share a step.
        assert_eq!(bound, 95);
        let mut watermarks = Watermarks::new(1, Bound::Percentile(50.0));
        for at in [100, 90, 110, 95, 120, 100, 130] {
            watermarks.observe(0, at);
        }
        assert!((110..=130).contains(&watermarks.combined()));
    }
}
