//! Every parameter of a run of the generator: the recipe of the ground truth.

use serde::{Deserialize, Serialize};

use super::delay::Delay;
use super::duration::MAX_MS;
use super::{callers, towers};
use crate::error::{Error, Result};
use crate::term::units;

/// The file beside generated calls that holds their recipe. It is no data.
pub const RECIPE_FILE: &str = "gen.json";

/// What to generate; the same recipe gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Where all randomness comes from.
    pub seed: u64,
    /// The time of the first call, in ms since 1970, UTC.
    pub start_timestamp: i64,
    /// Calls a second.
    pub rate: f64,
    /// For how many seconds calls start.
    pub seconds: f64,
    /// The median of the durations before they are cut at the maximum.
    pub median_duration_ms: u32,
    /// The standard deviation of the durations' logarithm.
    pub sigma: f64,
    /// The longest call there is.
    pub max_duration_ms: u32,
    /// How many subscribers call and are called.
    pub callers: u32,
    /// How many towers carry calls.
    pub towers: u32,
    /// The exponent of Zipf's law for callers; 0 makes all alike.
    pub skew: f64,
    /// The share of calls that find the callee busy.
    pub busy: f64,
    /// The share of calls that fail.
    pub failed: f64,
    /// How calls follow one another.
    pub arrivals: Arrival,
    /// When rows leave.
    pub order: Order,
    /// Which rows leave later than that.
    pub delay: Option<Delay>,
    /// The share of calls that leave twice.
    pub duplicates: f64,
    /// Whether rows carry the time they leave.
    pub with_arrival: bool,
}

/// How calls follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// One every 1/rate seconds.
    Regular,
    /// At random, rate a second on average: exponential gaps.
    Poisson,
}

/// When the row of a call leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// When the call starts: start times are in order.
    Start,
    /// When the call ends, as real call records do: start times are out of order.
    End,
}

/// The most calls: their ids and the arithmetic on them stay exact.
const MAX_CALLS: f64 = 1e12;
/// 0001-01-01T00:00:00Z.
const FIRST_TIME: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z.
const LAST_TIME: i64 = 253_402_300_799_999;

impl Recipe {
    /// Returns how many calls there are: rate × seconds, rounded.
    pub fn calls(&self) -> u64 {
        (self.rate * self.seconds).round() as u64
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// `usage` for what cannot be generated, naming the flags.
    pub fn check(&self) -> Result<()> {
        let calls = self.rate * self.seconds;
        if self.calls() == 0 {
            return Err(Error::usage(format!(
                "`--rate {}` for `--seconds {}` makes no calls",
                self.rate, self.seconds
            ))
            .hint("rate × seconds is rounded to whole calls; make one of them larger"));
        }
        if calls > MAX_CALLS {
            return Err(Error::usage(format!(
                "`--rate {}` for `--seconds {}` makes more than 10^12 calls",
                self.rate, self.seconds
            )));
        }
        if self.busy + self.failed > 1.0 + 1e-9 {
            return Err(Error::usage(format!(
                "`--busy` {}% and `--failed` {}% are more than 100%",
                self.busy * 100.0,
                self.failed * 100.0
            )));
        }
        if !(2..=callers::MAX_CALLERS).contains(&self.callers) {
            return Err(Error::usage(format!(
                "`--callers {}`: 2 to {} are possible: a caller needs someone to call",
                self.callers,
                callers::MAX_CALLERS
            )));
        }
        if !(1..=towers::MAX_TOWERS).contains(&self.towers) {
            return Err(Error::usage(format!(
                "`--towers {}`: 1 to {} are possible",
                self.towers,
                towers::MAX_TOWERS
            )));
        }
        self.check_years()
    }

    /// Checks that every time lies within the years 1 to 9999. Poisson arrivals may run on
    /// for longer than `seconds`; twice as long is beyond chance but for a handful of calls.
    fn check_years(&self) -> Result<()> {
        let span = self.seconds * 2_000.0 + 100_000.0 / self.rate;
        let last = self.start_timestamp as f64 + span + 2.0 * f64::from(MAX_MS);
        if self.start_timestamp < FIRST_TIME || last > LAST_TIME as f64 {
            return Err(Error::usage(format!(
                "from `--start {}` for `--seconds {}` is outside the years 1 to 9999",
                units::format_time(self.start_timestamp),
                self.seconds
            ))
            .hint(
                "`--start` takes ms since 1970, ISO 8601 such as `2026-01-01T00:00:00Z`, or `-10m`",
            ));
        }
        Ok(())
    }

    /// Returns whether rows leave in another order than the one calls start in.
    pub fn reorders(&self) -> bool {
        self.order == Order::End || self.delay.is_some() || self.duplicates > 0.0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A hundred calls a second for a hundred seconds, all else as by default.
    pub(crate) fn recipe() -> Recipe {
        Recipe {
            seed: 1,
            start_timestamp: 1_767_225_600_000,
            rate: 100.0,
            seconds: 100.0,
            median_duration_ms: 60_000,
            sigma: 1.0,
            max_duration_ms: 3_600_000,
            callers: 10_000,
            towers: 100,
            skew: 0.0,
            busy: 0.1,
            failed: 0.1,
            arrivals: Arrival::Regular,
            order: Order::Start,
            delay: None,
            duplicates: 0.0,
            with_arrival: false,
        }
    }

    #[test]
    fn the_number_of_calls_is_rate_times_seconds_rounded() {
        let calls = |rate, seconds| {
            Recipe {
                rate,
                seconds,
                ..recipe()
            }
            .calls()
        };
        assert_eq!(calls(100.0, 60.0), 6_000);
        assert_eq!(calls(0.1, 10.0), 1);
        assert_eq!(calls(0.3, 5.0), 2);
        assert_eq!(calls(0.1, 1.0), 0);
    }

    #[test]
    fn what_cannot_be_generated_is_refused_by_flag() {
        let good = recipe();
        assert!(good.check().is_ok());
        for (flag, bad) in [
            (
                "--rate",
                Recipe {
                    rate: 0.001,
                    seconds: 1.0,
                    ..good.clone()
                },
            ),
            (
                "--rate",
                Recipe {
                    rate: 1e300,
                    seconds: 1e300,
                    ..good.clone()
                },
            ),
            (
                "--busy",
                Recipe {
                    busy: 0.6,
                    failed: 0.5,
                    ..good.clone()
                },
            ),
            (
                "--callers",
                Recipe {
                    callers: 1,
                    ..good.clone()
                },
            ),
            (
                "--callers",
                Recipe {
                    callers: 10_000_001,
                    ..good.clone()
                },
            ),
            (
                "--towers",
                Recipe {
                    towers: 0,
                    ..good.clone()
                },
            ),
            (
                "--start",
                Recipe {
                    start_timestamp: LAST_TIME,
                    ..good.clone()
                },
            ),
            (
                "--start",
                Recipe {
                    start_timestamp: i64::MIN,
                    ..good.clone()
                },
            ),
            (
                "--seconds",
                Recipe {
                    rate: 1e-6,
                    seconds: 1e12,
                    ..good.clone()
                },
            ),
        ] {
            let error = bad.check().expect_err(flag);
            assert!(error.to_string().contains(flag), "{error}");
            assert_eq!(error.exit_status(), 2);
        }
    }

    #[test]
    fn a_recipe_comes_back_from_its_file() {
        let delay = Delay::parse("5%:pareto(1s,2)").ok();
        let recipe = Recipe {
            seed: u64::MAX,
            delay,
            rate: 0.1,
            ..recipe()
        };
        let text = serde_json::to_string(&recipe).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Recipe>(&text).expect("a recipe"),
            recipe
        );
    }
}
