//! Where records lie, without those that lie so far outside that the rest could not be read.
//!
//! One record of 1970 among those of today would make a picture of fifty years. So the first few show what
//! is usual; what is [`FAR`] times as far away waits, and is let in once it is more than an exception.

use super::Fate;
use super::density::Density;

/// A record is astray that is so many times as far outside as the rest is wide.
const FAR: i64 = 50;
/// The least width that the rest is taken to have, in ms.
const LEAST: i64 = 1_000;
/// How many records show what is usual, and so many at least are let in together.
const FIRST: usize = 64;
/// Of so many records one may be astray.
const SHARE: u64 = 50;

/// Where records lie.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    /// How many are where.
    pub(crate) density: Density,
    range: Option<(i64, i64)>,
    placed: u64,
    /// Those that wait.
    waiting: Vec<Placed>,
}

#[derive(Debug, Clone, Copy)]
struct Placed {
    fate: Fate,
    at: i64,
    up: i64,
    of: u32,
}

impl Spread {
    /// Adds a record that stands for `of`.
    #[inline]
    pub(crate) fn add(&mut self, fate: Fate, at: i64, up: i64, of: u32) {
        let record = Placed { fate, at, up, of };
        if self.range.is_some() && self.is_near(at) {
            self.place(record);
        } else {
            self.wait(record);
        }
    }

    #[cold]
    fn wait(&mut self, record: Placed) {
        self.waiting.push(record);
        let waiting = self.waiting.len();
        if self.range.is_none() {
            if waiting >= FIRST {
                self.finish();
            }
        } else if waiting as u64 > (self.placed / SHARE).max(FIRST as u64 / 4) {
            for record in std::mem::take(&mut self.waiting) {
                self.place(record);
            }
        }
    }

    fn place(&mut self, Placed { fate, at, up, of }: Placed) {
        let (least, most) = self.range.get_or_insert((at, at));
        (*least, *most) = ((*least).min(at), (*most).max(at));
        self.density.add(fate, at, up, of);
        self.placed += 1;
    }

    /// Says that no record follows for now.
    pub(crate) fn finish(&mut self) {
        if self.range.is_some() || self.waiting.is_empty() {
            return;
        }
        let mut times: Vec<i64> = self.waiting.iter().map(|record| record.at).collect();
        times.sort_unstable();
        // Of few, one on either side may be astray.
        let aside = if times.len() < 5 {
            0
        } else {
            times.len() / 10 + 1
        };
        self.range = Some((times[aside], times[times.len() - 1 - aside]));
        let (near, far) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|record| self.is_near(record.at));
        self.waiting = far;
        for record in Vec::into_iter(near) {
            self.place(record);
        }
    }

    /// Returns whether an event time is not far from those of the others.
    #[inline]
    pub(crate) fn is_near(&self, at: i64) -> bool {
        let Some((least, most)) = self.range else {
            return true;
        };
        let far = most.saturating_sub(least).max(LEAST).saturating_mul(FAR);
        at >= least.saturating_sub(far) && at <= most.saturating_add(far)
    }

    /// Returns the least and the highest event time of those that are not astray.
    pub(crate) fn range(&self) -> Option<(i64, i64)> {
        self.range
    }

    /// Returns how many are astray.
    pub(crate) fn astray(&self) -> u64 {
        if self.range.is_none() {
            return 0;
        }
        self.waiting.iter().map(|record| u64::from(record.of)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(times: impl IntoIterator<Item = i64>) -> Spread {
        let mut spread = Spread::default();
        for (up, at) in times.into_iter().enumerate() {
            spread.add(Fate::OnTime, at, up as i64, 1);
        }
        spread.finish();
        spread
    }

    #[test]
    fn a_record_of_another_age_is_astray_wherever_it_comes() {
        const TODAY: i64 = 1_767_225_600_000;
        for count in [9_i64, 1_000, 100_000] {
            for nth in [0, 5, count - 1] {
                let time = |n| if n == nth { 0 } else { TODAY + n * 100 };
                let spread = spread((0..count).map(time));
                assert_eq!(spread.astray(), 1, "{nth} of {count}");
                assert!(spread.range().is_some_and(|(least, _)| least >= TODAY));
            }
        }
    }

    #[test]
    fn a_stream_that_goes_on_elsewhere_is_not_astray() {
        let later = (0..1_000).map(|n| 1_000_000_000 + n * 100);
        let all = spread((0..1_000).map(|n| n * 100).chain(later));
        assert_eq!(all.astray(), 0);
        assert_eq!(all.range(), Some((0, 1_000_099_900)));
        let few = [0, 1_000, 2_000];
        assert_eq!(spread(few).range(), Some((0, 2_000)));
        assert_eq!(spread([]).range(), None);
    }
}
