//! How far event time has come: per partition, and combined.
//!
//! Comes in: event times as they are read, and which partitions are idle. Goes out: the
//! combined watermark, which says that nothing below it is expected and never goes back
//! (T. Akidau et al., "The Dataflow Model", VLDB 2015, §2.3; Flink's bounded out-of-orderness).

/// Before any record: below every event time.
pub const BEGINNING: i64 = i64::MIN;
/// After the last record of a bounded input: above every event time.
pub const END: i64 = i64::MAX;

/// The watermarks of one operator's input, in ms since 1970, UTC.
#[derive(Debug, Clone)]
pub struct Watermarks {
    out_of_order_ms: i64,
    partitions: Vec<Partition>,
    combined: i64,
}

/// One partition; created with the operator, never dropped.
#[derive(Debug, Clone, Copy)]
struct Partition {
    /// The highest event time seen; [`BEGINNING`] before the first record.
    high: i64,
    /// Does not hold the others back: it is at its end and nothing has come for a while.
    idle: bool,
}

impl Watermarks {
    /// Returns the watermarks of `partitions` partitions, each the highest event time seen less
    /// `out_of_order_ms`.
    pub fn new(partitions: usize, out_of_order_ms: i64) -> Self {
        let partition = Partition {
            high: BEGINNING,
            idle: false,
        };
        Watermarks {
            out_of_order_ms,
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

    /// Returns the watermark of one partition.
    pub fn of(&self, partition: usize) -> i64 {
        match self.partitions[partition].high {
            high @ (BEGINNING | END) => high,
            high => high.saturating_sub(self.out_of_order_ms),
        }
    }

    /// Returns whether a partition is idle.
    pub fn is_idle(&self, partition: usize) -> bool {
        self.partitions[partition].idle
    }

    /// Takes note of an event time; returns whether the combined watermark has moved.
    #[inline]
    pub fn observe(&mut self, partition: usize, at: i64) -> bool {
        let seen = &mut self.partitions[partition];
        if at <= seen.high && !seen.idle {
            return false;
        }
        seen.high = seen.high.max(at);
        seen.idle = false;
        self.combine()
    }

    /// Marks a partition as idle or not; returns whether the combined watermark has moved.
    pub fn set_idle(&mut self, partition: usize, idle: bool) -> bool {
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
    pub fn furthest_behind(&self) -> Option<usize> {
        (0..self.partitions.len())
            .filter(|&partition| !self.is_idle(partition))
            .min_by_key(|&partition| self.of(partition))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_which_partitions_fall_silent_does_not_matter() {
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut watermarks = Watermarks::new(3, 0);
            watermarks.observe(1, 70);
            watermarks.observe(2, 50);
            for partition in order {
                watermarks.set_idle(partition, true);
            }
            assert_eq!(watermarks.combined(), 70, "{order:?}");
            assert!(!watermarks.observe(0, 10), "it never goes back");
        }
    }
}
