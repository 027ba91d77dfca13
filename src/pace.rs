//! When something is due: item i of a rate, or a record by its event time at a speed.
//!
//! The arithmetic is pure, durations after the start of a run; [`Pacer`] adds the clock. A
//! due time never depends on the ones before it, so that no waiting adds up.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::interrupt::Interrupt;

/// What `--pace` says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Pace {
    /// Everything is due at once.
    #[default]
    None,
    /// Event time runs this many times as fast as the clock; 1 is real time.
    Speed(f64),
}

impl Pace {
    /// Parses `none`, `real` or a speed such as `60x`.
    ///
    /// # Errors
    /// What is wrong, for clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Pace::None),
            "real" => Ok(Pace::Speed(1.0)),
            _ => text
                .strip_suffix('x')
                .and_then(|speed| speed.parse().ok())
                .filter(|speed: &f64| speed.is_finite() && *speed > 0.0)
                .map(Pace::Speed)
                .ok_or_else(|| "write `none`, `real` or a speed such as `60x`".to_owned()),
        }
    }

    /// Returns how long after the start a record is due whose event time is `ms` after that
    /// of the first; one before the first is due at once.
    pub fn due_after(self, ms: i64) -> Duration {
        match self {
            Pace::None => Duration::ZERO,
            Pace::Speed(speed) => seconds(ms as f64 / 1_000.0 / speed),
        }
    }
}

/// Returns how long after the start item `item` (from 0) of `rate` items a second is due.
pub fn item_due_after(item: u64, rate: f64) -> Duration {
    seconds(item as f64 / rate)
}

/// Returns seconds as a duration: nothing for negative ones, and at most some centuries.
fn seconds(seconds: f64) -> Duration {
    const MAX_SECONDS: f64 = 1e10;
    Duration::from_secs_f64(seconds.clamp(0.0, MAX_SECONDS))
}

/// A run that has started, and waits for what is due.
#[derive(Debug, Clone)]
pub struct Pacer {
    started: Instant,
    interrupt: Interrupt,
}

impl Pacer {
    /// Starts now.
    pub fn start(interrupt: Interrupt) -> Self {
        Pacer {
            started: Instant::now(),
            interrupt,
        }
    }

    /// Returns how long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until `due_after` has passed since the start.
    ///
    /// # Errors
    /// `stopped` when a signal comes first.
    pub fn wait_until(&self, due_after: Duration) -> Result<()> {
        self.interrupt.sleep_until(self.started + due_after);
        self.interrupt.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_none_real_or_a_speed() {
        assert_eq!(Pace::parse("none"), Ok(Pace::None));
        assert_eq!(Pace::parse("real"), Ok(Pace::Speed(1.0)));
        assert_eq!(Pace::parse("60x"), Ok(Pace::Speed(60.0)));
        assert_eq!(Pace::parse("0.5x"), Ok(Pace::Speed(0.5)));
        for text in ["", "x", "0x", "-1x", "infx", "NaNx", "60", "fast"] {
            assert!(Pace::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_is_due_by_its_event_time() {
        let due = |pace: Pace, ms| pace.due_after(ms).as_micros();
        assert_eq!(due(Pace::None, 5_000), 0);
        assert_eq!(due(Pace::Speed(1.0), 5_000), 5_000_000);
        assert_eq!(due(Pace::Speed(60.0), 60_000), 1_000_000);
        assert_eq!(due(Pace::Speed(1.0), -5_000), 0);
    }

    #[test]
    fn due_times_do_not_add_up_rounding() {
        assert_eq!(item_due_after(0, 3.0), Duration::ZERO);
        assert_eq!(
            item_due_after(3_000_000, 3.0),
            Duration::from_secs(1_000_000)
        );
        assert_eq!(item_due_after(1, 1_000_000.0), Duration::from_micros(1));
    }

    #[test]
    fn absurd_due_times_are_far_away_and_no_panic() {
        assert!(Pace::Speed(1e-300).due_after(i64::MAX) > Duration::from_secs(1_000_000_000));
        assert!(item_due_after(u64::MAX, 1e-300) > Duration::from_secs(1_000_000_000));
    }
}
