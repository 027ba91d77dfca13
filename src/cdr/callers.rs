//! Who calls whom: subscribers by rank, even or by Zipf's law, and their phone numbers.

/// The most subscribers there can be: as many as there are numbers `0151` with seven digits.
pub(super) const MOST: u32 = 10_000_000;

/// Draws a caller and a different callee.
///
/// A caller of rank k (from 1) has a weight of 1/k^skew; the callee is any other subscriber,
/// each as likely as the next.
#[derive(Debug, Clone)]
pub(super) struct Callers {
    count: u32,
    /// Empty without skew.
    aliases: Vec<Alias>,
}

/// One column of Walker's table: itself below the threshold, the other one above.
#[derive(Debug, Clone, Copy)]
struct Alias {
    threshold: u32,
    other: u32,
}

impl Callers {
    /// Returns `count` subscribers, at least two; a `skew` of 0 makes them all alike.
    pub(super) fn new(count: u32, skew: f64) -> Self {
        let aliases = match skew > 0.0 {
            true => alias_table(
                (1..=count)
                    .map(|rank| libm::pow(f64::from(rank), -skew))
                    .collect(),
            ),
            false => Vec::new(),
        };
        Callers { count, aliases }
    }

    /// Returns whether a draw takes a second word of randomness.
    #[inline]
    pub(super) fn is_skewed(&self) -> bool {
        !self.aliases.is_empty()
    }

    /// Returns a caller and a callee, `0..count`. The second word is asked for where the
    /// callers are skewed.
    #[inline]
    pub(super) fn draw(&self, random: u64, second: impl FnOnce() -> u64) -> (u32, u32) {
        let (mut caller, rest) = scaled(random, self.count);
        let mut rest_of_callee = rest;
        if self.is_skewed() {
            let alias = self.aliases[caller as usize];
            if (rest >> 32) as u32 >= alias.threshold {
                caller = alias.other;
            }
            rest_of_callee = second();
        }
        let (other, _) = scaled(rest_of_callee, self.count - 1);
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

/// Returns the table that draws an index by its weight in constant time: M. D. Vose, "A linear
/// algorithm for generating random numbers with a given distribution" (1991).
fn alias_table(weights: Vec<f64>) -> Vec<Alias> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let mut height: Vec<f64> = weights.into_iter().map(|weight| weight / mean).collect();
    let mut table: Vec<Alias> = (0..height.len() as u32)
        .map(|own| Alias {
            threshold: u32::MAX,
            other: own,
        })
        .collect();
    let (mut low, mut high): (Vec<u32>, Vec<u32>) =
        (0..height.len() as u32).partition(|&index| height[index as usize] < 1.0);
    while let (Some(short), Some(&tall)) = (low.pop(), high.last()) {
        let threshold = (height[short as usize] * 4_294_967_296.0) as u32;
        table[short as usize] = Alias {
            threshold,
            other: tall,
        };
        height[tall as usize] -= 1.0 - height[short as usize];
        if height[tall as usize] < 1.0 {
            high.pop();
            low.push(tall);
        }
    }
    table
}

/// Returns a subscriber's number, `0151` and seven digits: text that no reader may take for
/// a number. Neighbouring ranks have numbers far apart, and no two the same.
#[inline]
pub(super) fn phone_number(subscriber: u32) -> [u8; 11] {
    // 6,180,339 has no factor in common with 10,000,000: the product runs through all of them.
    let digits = (u64::from(subscriber) * 6_180_339 + 1_234_567) % u64::from(MOST);
    let (high, low) = ((digits / 10_000) as usize, (digits % 10_000) as usize);
    let mut text = *b"01510000000";
    text[4..7].copy_from_slice(&super::rows::TRIPLES[high][..3]);
    text[7..9].copy_from_slice(&super::rows::PAIRS[low / 100]);
    text[9..11].copy_from_slice(&super::rows::PAIRS[low % 100]);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn drawn(callers: &Callers, draws: usize) -> Vec<(u32, u32)> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..draws)
            .map(|_| {
                let word = rng.next_u64();
                callers.draw(word, || rng.next_u64())
            })
            .collect()
    }

    #[test]
    fn nobody_calls_themselves_and_everybody_is_called() {
        for (count, skew) in [(2, 0.0), (2, 3.0), (3, 1.0), (50, 0.0)] {
            let pairs = drawn(&Callers::new(count, skew), 20_000);
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
        for (caller, _) in drawn(&Callers::new(10, 0.0), 100_000) {
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
        for (caller, _) in drawn(&Callers::new(1000, 1.2), draws) {
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
