//! The seeded iterator: when calls start, who calls whom, how long, and through which towers.
//!
//! Calls are made in chunks of [`CHUNK`]. The calls, the towers, the delays and the gaps of
//! Poisson arrivals of a chunk come from four random streams numbered by the chunk, so that
//! chunks can be made by any thread, and the calls are the same with or without delays.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::callers::{Callers, scaled};
use super::duration::{BITS, Durations};
use super::recipe::{Arrival, Order, Recipe};
use super::reorder::Leaves;
use super::{Call, Disposition, Segment, towers};
use crate::error::Result;

/// How many calls a chunk has; the last one has what is left.
pub const CHUNK: usize = 8_192;

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
            callers: Callers::new(recipe.callers, recipe.skew),
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
        let (caller, callee) = {
            let word = rng.next_u64();
            self.callers.draw(word, || rng.next_u64())
        };
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
                let delay_ms = match self.recipe.delay {
                    Some(delay) if chance(delay.share, rng.next_u64()) => {
                        1 + scaled(rng.next_u64(), delay.max_ms).0
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
