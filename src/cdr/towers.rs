//! Which towers carry a call, and for how long each.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::callers::scaled;
use super::{Call, Disposition, Segment};

/// The most towers there can be.
pub(super) const MAX_TOWERS: u32 = 1_000_000;

/// The mean time that a call stays with a tower before it is handed over, in ms.
///
/// Dwell times are exponential, so that a handover is as likely in one second as in the next;
/// with the default durations about half of the connected calls are handed over at least once.
pub(super) const MEAN_DWELL_MS: f64 = 60_000.0;

/// Adds the segments of `call` to `segments`, in the order of time; none unless connected.
///
/// The first tower is any of `towers`, each next one any other; a single tower keeps the call.
pub(super) fn walk(call: &Call, towers: u32, rng: &mut ChaCha8Rng, segments: &mut Vec<Segment>) {
    if call.disposition != Disposition::Connected {
        return;
    }
    let end = call.end();
    let mut start = call.start;
    let (mut tower, _) = scaled(rng.next_u64(), towers);
    loop {
        let dwell = dwell_ms(rng.next_u64());
        if towers == 1 || dwell >= end - start {
            break;
        }
        segments.push(Segment {
            call_id: call.id,
            start,
            duration_ms: dwell as u32,
            tower,
        });
        start += dwell;
        let (other, _) = scaled(rng.next_u64(), towers - 1);
        tower = other + u32::from(other >= tower);
    }
    segments.push(Segment {
        call_id: call.id,
        start,
        duration_ms: (end - start) as u32,
        tower,
    });
}

/// Returns an exponential time in whole ms, at least 1.
#[inline]
fn dwell_ms(random: u64) -> i64 {
    (exponential(random) * MEAN_DWELL_MS) as i64 + 1
}

/// Returns an exponential value with mean 1: −ln u for a uniform u in (0, 1].
#[inline]
pub(super) fn exponential(random: u64) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    -libm::log(((random >> 11) + 1) as f64 * STEP)
}
