//! The seeded iterator: when calls start, who calls whom, how long, and through which towers.
//!
//! Calls are made in chunks of [`CHUNK`]. The calls, the towers, the delays and the gaps of
//! Poisson arrivals of a chunk come from four random streams numbered by the chunk, so that
//! chunks can be made by any thread, and the calls are the same with or without delays.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::callers::Callers;
use super::delay::Delays;
use super::duration::{BITS, Durations};
use super::recipe::{Arrival, Order, Recipe};
use super::reorder::Leaves;
use super::{Call, Disposition, Segment, towers};
use crate::error::Result;

/// How many calls a chunk has; the last one has what is left.
///
/// Their text, 240 kB, stays in a processor's cache between the thread that makes it and the
/// write: four times as many took twice as long to a file. Another number gives other calls.
pub const CHUNK: usize = 2_048;

/// What a random stream is for.
#[derive(Clone, Copy)]
enum Purpose {
    Calls,
    Towers,
    Departures,
    Arrivals,
}

/// Returns the random stream of a chunk for a purpose.
fn stream(seed: u64, purpose: Purpose, chunk: u64) -> ChaCha8Rng {
    let mut key = *b"........k gen: calls, version 1.";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[31] = purpose as u8;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(chunk);
    rng
}

/// Consecutive calls that are made together: when each starts.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// The place of the chunk, from 0; its first call has the id `number` × [`CHUNK`].
    pub number: u64,
    /// In ms since 1970, UTC; never falling, from chunk to chunk neither.
    pub starts: Vec<i64>,
}

/// When calls start, chunk by chunk.
#[derive(Debug, Clone)]
pub struct Arrivals {
    seed: u64,
    origin: i64,
    rate: f64,
    arrivals: Arrival,
    chunk: u64,
    left: u64,
    /// ms from the origin to the latest Poisson arrival.
    elapsed_ms: f64,
}

impl Arrivals {
    /// Returns the arrivals of a recipe, from the first.
    pub fn new(recipe: &Recipe) -> Self {
        Arrivals {
            seed: recipe.seed,
            origin: recipe.start_timestamp,
            rate: recipe.rate,
            arrivals: recipe.arrivals,
            chunk: 0,
            left: recipe.calls(),
            elapsed_ms: 0.0,
        }
    }

    /// Puts the next chunk into `chunk`; returns false when there is none.
    ///
    /// Regular call i starts i / rate seconds after the first, cut to ms. A Poisson call starts
    /// an exponential time with the mean 1 / rate after the one before it.
    pub fn next_into(&mut self, chunk: &mut Chunk) -> bool {
        chunk.starts.clear();
        chunk.number = self.chunk;
        let count = self.left.min(CHUNK as u64);
        let first = self.chunk * CHUNK as u64;
        self.chunk += 1;
        self.left -= count;
        match self.arrivals {
            Arrival::Regular => {
                // Less than a thousandth of the gap at a million calls a second, and more than
                // the rounding of the division: call 3 at 0.1 a second is at 30,000 ms.
                const ROUNDING: f64 = 1e-6;
                let starts = (first..first + count)
                    .map(|id| self.origin + (id as f64 * 1_000.0 / self.rate + ROUNDING) as i64);
                chunk.starts.extend(starts);
            }
            Arrival::Poisson => {
                let mut rng = stream(self.seed, Purpose::Arrivals, chunk.number);
                let mean_ms = 1_000.0 / self.rate;
                chunk.starts.extend((0..count).map(|_| {
                    self.elapsed_ms += towers::exponential(rng.next_u64()) * mean_ms;
                    self.origin + self.elapsed_ms as i64
                }));
            }
        }
        count > 0
    }
}

/// Makes the calls of a recipe; shared by the threads.
#[derive(Debug, Clone)]
pub struct Generator {
    recipe: Recipe,
    durations: Durations,
    callers: Callers,
    /// The share of rows that leave late, and by how much.
    delays: Option<(f64, Delays)>,
    /// Of 2^24 equally likely outcomes, those below are busy.
    busy_below: u32,
    /// Those from `busy_below` to below this failed; all others are connected.
    failed_below: u32,
}

impl Generator {
    /// Returns the generator of a recipe.
    ///
    /// # Errors
    /// As [`Recipe::check`].
    pub fn new(recipe: Recipe) -> Result<Self> {
        recipe.check()?;
        let outcomes = (1_u64 << (64 - BITS)) as f64;
        Ok(Generator {
            durations: Durations::new(
                recipe.median_duration_ms,
                recipe.sigma,
                recipe.max_duration_ms,
            ),
            callers: Callers::new(recipe.callers, recipe.skew)?,
            delays: recipe
                .delay
                .map(|delay| (delay.share, Delays::new(delay.law))),
            busy_below: (recipe.busy * outcomes).round() as u32,
            failed_below: ((recipe.busy + recipe.failed) * outcomes).round() as u32,
            recipe,
        })
    }

    /// Returns what is generated.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns the calls of a chunk, in the order of their starts.
    pub fn calls<'a>(&'a self, chunk: &'a Chunk) -> impl Iterator<Item = Call> + 'a {
        let mut rng = stream(self.recipe.seed, Purpose::Calls, chunk.number);
        let first = chunk.number * CHUNK as u64;
        chunk
            .starts
            .iter()
            .zip(first..)
            .map(move |(&start, id)| self.call(id, start, &mut rng))
    }

    #[inline]
    fn call(&self, id: u64, start: i64, rng: &mut ChaCha8Rng) -> Call {
        let (caller, callee) = self.callers.draw(rng);
        // 24 bits say how the call ends, the other 40 how long it lasts.
        let random = rng.next_u64();
        let outcome = (random >> BITS) as u32;
        let disposition = if outcome >= self.failed_below {
            Disposition::Connected
        } else if outcome >= self.busy_below {
            Disposition::Failed
        } else {
            Disposition::Busy
        };
        let duration_ms = match disposition {
            Disposition::Connected => self.durations.draw(random),
            Disposition::Busy | Disposition::Failed => 0,
        };
        Call {
            id,
            start,
            duration_ms,
            caller,
            callee,
            disposition,
        }
    }

    /// Adds the tower segments of a chunk's calls to `segments`, call by call.
    pub fn segments_into(&self, chunk: &Chunk, segments: &mut Vec<Segment>) {
        let mut rng = stream(self.recipe.seed, Purpose::Towers, chunk.number);
        for call in self.calls(chunk) {
            towers::walk(&call, self.recipe.towers, &mut rng, segments);
        }
    }

    /// Adds the rows of a chunk's calls and when each leaves to `departures`, call by call.
    ///
    /// Each copy of a call that leaves twice has its own delay, as if sent again.
    pub fn departures_into(&self, chunk: &Chunk, departures: &mut Vec<Departure>) {
        let mut rng = stream(self.recipe.seed, Purpose::Departures, chunk.number);
        for call in self.calls(chunk) {
            let due = match self.recipe.order {
                Order::Start => call.start,
                Order::End => call.end(),
            };
            let copies = 1 + u32::from(chance(self.recipe.duplicates, rng.next_u64()));
            for _ in 0..copies {
                let delay_ms = match &self.delays {
                    Some((share, delays)) if chance(*share, rng.next_u64()) => {
                        delays.draw(rng.next_u64())
                    }
                    _ => 0,
                };
                departures.push(Departure {
                    leaves: due + i64::from(delay_ms),
                    call,
                });
            }
        }
    }
}

/// Returns true with the probability `share`.
fn chance(share: f64, random: u64) -> bool {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    ((random >> 11) as f64 * STEP) < share
}

/// A row of a call on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// When the row leaves, in ms since 1970, UTC; not before the call starts.
    pub leaves: i64,
    /// The call.
    pub call: Call,
}

impl Leaves for Departure {
    fn leaves(&self) -> (i64, u64) {
        (self.leaves, self.call.id)
    }
}

impl Leaves for Segment {
    fn leaves(&self) -> (i64, u64) {
        (self.start, self.call_id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::recipe::tests::recipe;
    use super::super::{Delay, in_order};
    use super::*;

    fn chunks(recipe: &Recipe) -> Vec<Chunk> {
        let mut arrivals = Arrivals::new(recipe);
        let mut chunks = Vec::new();
        let mut chunk = Chunk::default();
        while arrivals.next_into(&mut chunk) {
            chunks.push(chunk.clone());
        }
        chunks
    }

    fn calls(recipe: &Recipe) -> Vec<Call> {
        let generator = Generator::new(recipe.clone()).expect("a good recipe");
        chunks(recipe)
            .iter()
            .flat_map(|chunk| generator.calls(chunk).collect::<Vec<_>>())
            .collect()
    }

    fn departures(recipe: &Recipe) -> Vec<Departure> {
        let generator = Generator::new(recipe.clone()).expect("a good recipe");
        let mut departures = Vec::new();
        for chunk in chunks(recipe) {
            generator.departures_into(&chunk, &mut departures);
        }
        departures
    }

    fn many() -> Recipe {
        Recipe {
            rate: 1_000.0,
            ..recipe()
        }
    }

    /// Returns whether a count of `n` trials is within five standard deviations of a share.
    fn is_share(count: usize, n: usize, share: f64) -> bool {
        let (count, n) = (count as f64, n as f64);
        (count - n * share).abs() <= 5.0 * (n * share * (1.0 - share)).sqrt()
    }

    #[test]
    fn regular_calls_fill_every_second_alike() {
        for rate in [0.3, 1.0, 3.0, 7.0, 100.0, 333.3, 2_000.0, 100_000.0] {
            let recipe = Recipe {
                rate,
                seconds: (300_000.0 / rate).min(1e5).floor(),
                ..recipe()
            };
            let calls = calls(&recipe);
            assert_eq!(calls.len() as u64, recipe.calls());
            for call in &calls {
                let exact = call.id as f64 * 1_000.0 / rate;
                let late = exact - (call.start - recipe.start_timestamp) as f64;
                assert!((-1e-6..1.0).contains(&late), "{rate} {} {late}", call.id);
            }
            let whole = rate.fract() == 0.0;
            let mut counts = HashMap::new();
            for call in &calls {
                *counts
                    .entry((call.start - recipe.start_timestamp) / 1_000)
                    .or_insert(0) += 1;
            }
            assert!(!whole || counts.values().all(|&count| f64::from(count) == rate));
        }
    }

    #[test]
    fn poisson_calls_have_exponential_gaps() {
        let recipe = Recipe {
            arrivals: Arrival::Poisson,
            rate: 100.0,
            seconds: 2_000.0,
            ..recipe()
        };
        let calls = calls(&recipe);
        let gaps: Vec<f64> = calls
            .windows(2)
            .map(|pair| (pair[1].start - pair[0].start) as f64)
            .collect();
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps
            .iter()
            .map(|gap| (gap - mean) * (gap - mean))
            .sum::<f64>()
            / gaps.len() as f64;
        assert!((mean - 10.0).abs() < 0.12, "{mean}");
        assert!((variance.sqrt() - 10.0).abs() < 0.25, "{variance}");
        // The gaps are cut to ms: one above 20.5 ms on average stands for one above 20 ms.
        let long = gaps.iter().filter(|gap| **gap >= 21.0).count() as f64 / gaps.len() as f64;
        assert!((long - libm::exp(-2.05)).abs() < 0.006, "{long}");
        // Counts a second have the variance of their mean.
        let mut counts = vec![0.0_f64; 1_900];
        for call in &calls {
            let second = (call.start - recipe.start_timestamp) as usize / 1_000;
            if let Some(count) = counts.get_mut(second) {
                *count += 1.0;
            }
        }
        let variance = counts
            .iter()
            .map(|count| (count - 100.0) * (count - 100.0))
            .sum::<f64>()
            / 1_900.0;
        assert!((variance - 100.0).abs() < 17.0, "{variance}");
    }

    #[test]
    fn dispositions_come_by_their_shares() {
        for (busy, failed) in [(0.1, 0.1), (0.0, 0.0), (0.3, 0.001), (1.0, 0.0), (0.5, 0.5)] {
            let calls = calls(&Recipe {
                busy,
                failed,
                ..many()
            });
            for (disposition, share) in
                Disposition::ALL
                    .into_iter()
                    .zip([1.0 - busy - failed, busy, failed])
            {
                let count = calls
                    .iter()
                    .filter(|call| call.disposition == disposition)
                    .count();
                assert!(
                    is_share(count, calls.len(), share),
                    "{disposition:?} {share}: {count}"
                );
            }
            let fits = |call: &Call| {
                (call.disposition == Disposition::Connected) == (call.duration_ms > 0)
            };
            assert!(calls.iter().all(fits));
        }
    }

    #[test]
    fn durations_are_lognormal_up_to_the_maximum() {
        let durations = |recipe: &Recipe| -> Vec<f64> {
            let calls = calls(recipe).into_iter();
            let connected = calls.filter(|call| call.disposition == Disposition::Connected);
            let mut sorted: Vec<f64> = connected.map(|call| call.duration_ms.into()).collect();
            sorted.sort_by(f64::total_cmp);
            sorted
        };
        let sorted = durations(&many());
        let quantile =
            |share: f64| libm::log(sorted[(sorted.len() as f64 * share) as usize] / 60_000.0);
        for (share, z) in [
            (0.0228, -2.0),
            (0.1587, -1.0),
            (0.5, 0.0),
            (0.8413, 1.0),
            (0.9772, 2.0),
        ] {
            assert!(
                (quantile(share) - z).abs() < 0.05,
                "{share}: {}",
                quantile(share)
            );
        }
        // Half of the untruncated distribution lies above this maximum: the median of the
        // other half is its quartile, and the last ms are no more likely than those before.
        let sorted = durations(&Recipe {
            max_duration_ms: 60_000,
            ..many()
        });
        let median = sorted[sorted.len() / 2];
        assert!(
            (median / 60_000.0 - libm::exp(-0.6745)).abs() < 0.01,
            "{median}"
        );
        let count =
            |from: f64, to: f64| sorted.iter().filter(|ms| (from..to).contains(*ms)).count() as f64;
        let (last, before) = (count(59_001.0, 60_001.0), count(58_001.0, 59_001.0));
        assert!(last < before + 5.0 * before.sqrt(), "{last} {before}");
    }

    #[test]
    fn segments_tile_connected_calls_and_change_the_tower() {
        for towers in [1, 2, 100] {
            let recipe = Recipe { towers, ..many() };
            let generator = Generator::new(recipe.clone()).expect("a good recipe");
            let mut segments = Vec::new();
            for chunk in chunks(&recipe) {
                generator.segments_into(&chunk, &mut segments);
            }
            let mut rest = segments.as_slice();
            for call in calls(&recipe) {
                let count = rest
                    .iter()
                    .take_while(|segment| segment.call_id == call.id)
                    .count();
                let (own, others) = rest.split_at(count);
                rest = others;
                if call.disposition != Disposition::Connected {
                    assert!(own.is_empty());
                    continue;
                }
                assert_eq!(own[0].start, call.start);
                assert_eq!(own[count - 1].end(), call.end());
                assert!(
                    own.iter()
                        .all(|segment| segment.duration_ms > 0 && segment.tower < towers)
                );
                assert!(own.windows(2).all(|pair| pair[0].end() == pair[1].start));
                assert!(own.windows(2).all(|pair| pair[0].tower != pair[1].tower));
                assert!(towers > 1 || count == 1);
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_call_stays_with_a_tower_for_a_minute_on_average() {
        let long = Recipe {
            median_duration_ms: 86_400_000,
            sigma: 0.0,
            max_duration_ms: 86_400_000,
            ..recipe()
        };
        let long = Recipe {
            seconds: 1.0,
            ..long
        };
        let generator = Generator::new(long.clone()).expect("a good recipe");
        let mut segments = Vec::new();
        for chunk in chunks(&long) {
            generator.segments_into(&chunk, &mut segments);
        }
        let mean = segments
            .iter()
            .map(|segment| f64::from(segment.duration_ms))
            .sum::<f64>()
            / segments.len() as f64;
        assert!((mean / 60_000.0 - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn delays_and_copies_leave_the_calls_as_they_are() {
        let delay = Delay::parse("5%:30s").ok();
        let recipe = Recipe {
            delay,
            duplicates: 0.02,
            order: Order::End,
            ..many()
        };
        let departures = departures(&recipe);
        let late: Vec<i64> = departures
            .iter()
            .map(|row| row.leaves - row.call.end())
            .filter(|ms| *ms != 0)
            .collect();
        assert!(late.iter().all(|ms| (1..=30_000).contains(ms)));
        assert!(
            is_share(late.len(), departures.len(), 0.05),
            "{}",
            late.len()
        );
        let mean = late.iter().sum::<i64>() / late.len() as i64;
        assert!((14_300..15_700).contains(&mean), "{mean}");
        let mut once: Vec<Call> = departures.iter().map(|row| row.call).collect();
        let rows = once.len();
        once.dedup();
        assert!(
            is_share(rows - once.len(), once.len(), 0.02),
            "{}",
            rows - once.len()
        );
        assert_eq!(once, calls(&many()));
    }

    #[test]
    fn any_number_of_threads_makes_the_same_calls_in_the_same_order() {
        for arrivals in [Arrival::Regular, Arrival::Poisson] {
            let recipe = Recipe {
                arrivals,
                skew: 1.1,
                ..many()
            };
            let expected = calls(&recipe);
            let generator = Generator::new(recipe.clone()).expect("a good recipe");
            for threads in [1, 2, 3, 7] {
                let make = |chunk: &Chunk, calls: &mut Vec<Call>| {
                    calls.clear();
                    calls.extend(generator.calls(chunk));
                };
                let mut taken = Vec::new();
                let take = |calls: &mut Vec<Call>| {
                    taken.extend_from_slice(calls);
                    Ok(())
                };
                in_order(&recipe, threads, Vec::new, make, take).expect("nothing fails");
                assert_eq!(taken, expected, "{threads} threads");
            }
        }
    }

    #[test]
    fn another_seed_makes_other_calls() {
        let pairs = |seed| -> Vec<(u32, u32)> {
            let calls = calls(&Recipe { seed, ..recipe() });
            calls
                .iter()
                .map(|call| (call.caller, call.duration_ms))
                .collect()
        };
        let (one, other) = (pairs(1), pairs(2));
        let same = one
            .iter()
            .zip(&other)
            .filter(|(one, other)| one == other)
            .count();
        assert!(same * 50 < one.len(), "{same}");
    }
}
