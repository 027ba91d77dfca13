//! Rows put into the order in which they leave, within a bounded memory.
//!
//! In: rows, none of which leaves before a time that only moves forward (the start of the latest
//! call). Out: rows in order, as soon as no earlier one can come.

use std::collections::{BTreeMap, VecDeque};

/// Something that leaves at a time.
pub trait Leaves {
    /// Returns when it leaves, in ms since 1970, UTC, and what decides between two that leave
    /// together. Rows equal in both have the same bytes.
    fn leaves(&self) -> (i64, u64);
}

/// A calendar queue (R. Brown, 1988): rows wait in buckets of time, and a bucket is sorted
/// when it is due. It holds what waits at one time, whatever the length of the run; the few rows
/// beyond the calendar, those of a long tail, wait in a map of buckets.
#[derive(Debug)]
pub struct Reorder<T> {
    bucket_ms: i64,
    /// Which bucket since 1970 the front one is.
    front: i64,
    /// From the next one that is due up to the last one with a row; freed as they leave.
    buckets: VecDeque<Vec<T>>,
    /// Rows that were [`CALENDAR`] or more buckets ahead when they came, by their bucket since 1970.
    far: BTreeMap<i64, Vec<T>>,
}

/// How many buckets the calendar has at most.
const CALENDAR: usize = 20_000;

impl<T: Leaves> Reorder<T> {
    /// Returns an empty queue with buckets of `bucket_ms`, at least 1; no row leaves before
    /// `origin`, in ms since 1970, UTC.
    pub fn new(origin: i64, bucket_ms: i64) -> Self {
        let bucket_ms = bucket_ms.max(1);
        Reorder {
            bucket_ms,
            front: origin.div_euclid(bucket_ms),
            buckets: VecDeque::new(),
            far: BTreeMap::new(),
        }
    }

    /// Takes rows in and leaves `rows` empty.
    pub fn push_all(&mut self, rows: &mut Vec<T>) {
        for row in rows.drain(..) {
            let since_1970 = row.leaves().0.div_euclid(self.bucket_ms);
            let bucket = (since_1970 - self.front) as usize;
            if bucket >= CALENDAR {
                self.far.entry(since_1970).or_default().push(row);
                continue;
            }
            if bucket >= self.buckets.len() {
                self.buckets.resize_with(bucket + 1, Vec::new);
            }
            self.buckets[bucket].push(row);
        }
    }

    /// Puts the next rows in order into `due` and returns true, or returns false when all
    /// buckets wholly before `horizon` are empty; no row that leaves before it may come later.
    pub fn next_before(&mut self, horizon: i64, due: &mut Vec<T>) -> bool {
        due.clear();
        let horizon = horizon.div_euclid(self.bucket_ms);
        while self.front < horizon {
            let mut bucket = match self.buckets.pop_front() {
                Some(bucket) => bucket,
                // All buckets up to the first far one are empty.
                None => {
                    let first = self.far.keys().next();
                    self.front = first.map_or(horizon, |&first| first.min(horizon));
                    if self.front == horizon {
                        break;
                    }
                    Vec::new()
                }
            };
            if let Some(far) = self
                .far
                .first_entry()
                .filter(|far| *far.key() == self.front)
            {
                bucket.append(&mut far.remove());
            }
            self.front += 1;
            if !bucket.is_empty() {
                *due = bucket;
                due.sort_unstable_by_key(T::leaves);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Row(i64, u64);

    impl Leaves for Row {
        fn leaves(&self) -> (i64, u64) {
            (self.0, self.1)
        }
    }

    #[test]
    fn rows_leave_as_a_plain_sort_would_have_them() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for bucket_ms in [1, 7, 100, 100_000] {
            // One in eight leaves beyond the calendar, or where a bucket of it will be.
            let mut wait = || match rng.next_u64() % 8 {
                0 => rng.next_u64() % (3 * CALENDAR as u64 * bucket_ms as u64),
                _ => rng.next_u64() % 900,
            };
            let rows: Vec<Row> = (0..3_000_u64)
                .map(|id| Row(id as i64 - 1_500 + wait() as i64, id))
                .collect();
            let mut reorder = Reorder::new(-1_500, bucket_ms);
            let (mut due, mut left) = (Vec::new(), Vec::new());
            for (number, part) in rows.chunks(100).enumerate() {
                reorder.push_all(&mut part.to_vec());
                let horizon = number as i64 * 100 + 99 - 1_500;
                while reorder.next_before(horizon, &mut due) {
                    assert!(due.iter().all(|row| row.0 < horizon));
                    left.append(&mut due);
                }
            }
            while reorder.next_before(i64::MAX, &mut due) {
                left.append(&mut due);
            }
            let mut sorted = rows;
            sorted.sort_by_key(Row::leaves);
            assert_eq!(left, sorted, "buckets of {bucket_ms} ms");
        }
    }
}
