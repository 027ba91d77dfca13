//! Who calls whom: subscribers by rank, even or by Zipf's law, and their phone numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rand_distr::Distribution;
use rand_distr::weighted::WeightedAliasIndex;

use super::digits::{PAIRS, TRIPLES};
use crate::error::{Error, Result};

/// The most subscribers there can be: as many as there are numbers `0151` with seven digits.
pub(super) const MAX_CALLERS: u32 = 10_000_000;

/// Draws a caller and a different callee.
///
/// A caller of rank k (from 1) has a weight of 1/k^skew; the callee is any other subscriber,
/// each as likely as the next.
#[derive(Debug, Clone)]
pub(super) struct Callers {
    count: u32,
    /// Draws skewed callers; none where all are alike.
    skewed: Option<WeightedAliasIndex<f64>>,
}

impl Callers {
    /// Returns `count` subscribers, at least two; a `skew` of 0 makes them all alike.
    ///
    /// Weights come from `libm`, and the alias table is made and drawn from by `+ - * /` alone, so
    /// that all platforms agree. rand_distr's `Zipf` takes the platform's powers and logarithms.
    ///
    /// # Errors
    /// `usage` for weights that no table can be made of; a skew of 0 to 10 has none.
    pub(super) fn new(count: u32, skew: f64) -> Result<Self> {
        let weight = |rank: u32| libm::pow(f64::from(rank), -skew);
        let table = || WeightedAliasIndex::new((1..=count).map(weight).collect());
        let skewed = (skew > 0.0).then(table).transpose();
        let skewed = skewed.map_err(|source| {
            Error::usage(format!("`--skew {skew}` gives callers no weights")).caused_by(source)
        })?;
        Ok(Callers { count, skewed })
    }

    /// Returns a caller and a callee, `0..count`.
    #[inline]
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> (u32, u32) {
        let (caller, rest) = match &self.skewed {
            None => scaled(rng.next_u64(), self.count),
            Some(skewed) => (skewed.sample(rng) as u32, rng.next_u64()),
        };
        let (other, _) = scaled(rest, self.count - 1);
        (caller, other + u32::from(other >= caller))
    }
}

/// Returns a number in `0..count` and the randomness that is left: D. Lemire, "Fast random
/// integer generation in an interval" (2019), without the rejection of one word in 2^64 / count.
#[inline]
pub(super) fn scaled(random: u64, count: u32) -> (u32, u64) {
    let product = u128::from(random) * u128::from(count);
    ((product >> 64) as u32, product as u64)
}

/// Returns a subscriber's number, `0151` and seven digits: text that no reader may take for
/// a number. Neighbouring ranks have numbers far apart, and no two the same.
#[inline]
pub(super) fn phone_number(subscriber: u32) -> [u8; 11] {
    // 6,180,339 has no factor in common with 10,000,000: the product runs through all of them.
    let digits = (u64::from(subscriber) * 6_180_339 + 1_234_567) % u64::from(MAX_CALLERS);
    let (high, low) = ((digits / 10_000) as usize, (digits % 10_000) as usize);
    let mut text = *b"01510000000";
    text[4..7].copy_from_slice(&TRIPLES[high][..3]);
    text[7..9].copy_from_slice(&PAIRS[low / 100]);
    text[9..11].copy_from_slice(&PAIRS[low % 100]);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn drawn(count: u32, skew: f64, draws: usize) -> Vec<(u32, u32)> {
        let callers = Callers::new(count, skew).expect("a skew of 0 to 10");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..draws).map(|_| callers.draw(&mut rng)).collect()
    }

    #[test]
    fn nobody_calls_themselves_and_everybody_is_called() {
        for (count, skew) in [(2, 0.0), (2, 3.0), (2, 10.0), (3, 1.0), (50, 0.0)] {
            let pairs = drawn(count, skew, 20_000);
            assert!(pairs.iter().all(|(caller, callee)| caller != callee));
            assert!(
                pairs
                    .iter()
                    .all(|&(caller, callee)| caller.max(callee) < count)
            );
            let called: HashSet<u32> = pairs.iter().map(|pair| pair.1).collect();
            assert_eq!(called.len(), count as usize);
        }
    }

    #[test]
    fn callers_without_skew_are_equally_likely() {
        let mut counts = [0_u32; 10];
        for (caller, _) in drawn(10, 0.0, 100_000) {
            counts[caller as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_600..10_400).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn skewed_callers_follow_zipf_s_law() {
        let mut counts = [0_f64; 1000];
        let draws = 1_000_000;
        for (caller, _) in drawn(1000, 1.2, draws) {
            counts[caller as usize] += 1.0;
        }
        let total: f64 = (1..=1000)
            .map(|rank| libm::pow(f64::from(rank), -1.2))
            .sum();
        for rank in [1, 2, 3, 10, 100] {
            let expected = draws as f64 * libm::pow(f64::from(rank), -1.2) / total;
            let counted = counts[rank as usize - 1];
            // Five standard deviations of a Poisson count.
            assert!(
                (counted - expected).abs() < 5.0 * expected.sqrt(),
                "{rank}: {counted} {expected}"
            );
        }
    }

    #[test]
    fn numbers_are_distinct_text_of_eleven_digits() {
        let numbers: HashSet<[u8; 11]> = (0..200_000).map(phone_number).collect();
        assert_eq!(numbers.len(), 200_000);
        assert!(numbers.iter().all(|number| number.starts_with(b"0151")));
        assert!(numbers.iter().flatten().all(u8::is_ascii_digit));
    }
}
