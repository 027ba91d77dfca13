//! How many come in a second, over the last moments.

use std::time::{Duration, Instant};

/// Over how long a rate is taken.
const OVER: Duration = Duration::from_secs(2);

/// Counts at some moments, the oldest first.
#[derive(Debug)]
pub(crate) struct Rate(Vec<(Instant, u64)>);

impl Rate {
    /// Returns the rate of something that begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Rate(vec![(now, 0)])
    }

    /// Returns how many came in a second, of which `count` have come by now.
    pub(crate) fn take(&mut self, now: Instant, count: u64) -> f64 {
        let came = &mut self.0;
        came.push((now, count));
        // One moment at least that long ago stays.
        while came.len() > 2 && now.duration_since(came[1].0) >= OVER {
            came.remove(0);
        }
        let (then, before) = came[0];
        let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
        (count.saturating_sub(before) as f64 / seconds).round()
    }
}
