//! `--delay`: which rows leave late, and by how much.
//!
//! In: `5%:30s`, `5%:pareto(1s,2)`, `5%:exp(10s)` or `5%:lognormal(2s,1)`. Out: a delay in ms for a
//! random word.
//!
//! Each law is drawn by the inverse of its distribution, cut at [`MAX_MS`], with logarithms and
//! powers from `libm`. rand_distr's `Pareto`, `Exp` and `LogNormal` draw the same laws by num_traits'
//! `Float`, which is the platform's own mathematics wherever any crate of the build asks for
//! `num-traits/std`: their last bits differ between platforms. They are what the tests compare with.

use serde::{Deserialize, Serialize};

use super::callers::scaled;
use super::duration::{Durations, MAX_MS, parse_ms};
use crate::term::units;

/// A share of rows that leave late.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// Which share, 0 to 1.
    pub share: f64,
    /// How much later each of them leaves.
    #[serde(flatten)]
    pub law: Law,
}

/// How delays are distributed; none is longer than 30 days, as if drawn again until it fits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Law {
    /// From 1 ms to this many, all as likely.
    #[serde(rename = "max_ms")]
    Uniform(u32),
    /// At least `scale_ms`, longer than x times that with the probability x^-shape: a long tail.
    #[serde(rename = "pareto")]
    Pareto {
        /// The shortest delay.
        scale_ms: u32,
        /// The smaller, the longer the tail: without the cut, the mean is infinite up to 1.
        shape: f64,
    },
    /// With a constant chance to end in each ms.
    #[serde(rename = "exp")]
    Exponential {
        /// The mean before the cut.
        mean_ms: u32,
    },
    /// With a normal logarithm.
    #[serde(rename = "lognormal")]
    Lognormal {
        /// The median before the cut.
        median_ms: u32,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
}

const LAWS: &str = "a longest delay such as `30s`, `pareto(1s,2)` (scale, shape), `exp(10s)` (mean) \
                    or `lognormal(2s,1)` (median, sigma)";

impl Delay {
    /// Parses `5%:30s`, `5%:pareto(1s,2)`, `5%:exp(10s)` or `5%:lognormal(2s,1)`.
    ///
    /// # Errors
    /// What is wrong, for clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (share, law) = text
            .split_once(':')
            .ok_or("write a share and the longest delay, such as `5%:30s`, or `5%:pareto(1s,2)`")?;
        Ok(Delay {
            share: units::parse_share(share)?,
            law: Law::parse(law.trim())?,
        })
    }
}

impl Law {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((name, rest)) = text.split_once('(') else {
            return if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
                Err(format!("write {LAWS}"))
            } else {
                parse_ms(text).map(Self::Uniform)
            };
        };
        let arguments = rest
            .strip_suffix(')')
            .ok_or_else(|| format!("`{text}` has no `)` at its end"))?;
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        match (name.trim(), &arguments[..]) {
            ("pareto", [scale, shape]) => Ok(Self::Pareto {
                scale_ms: parse_ms(scale)?,
                shape: parse_number("shape", shape, 0.01, 100.0)?,
            }),
            ("exp", [mean]) => Ok(Self::Exponential {
                mean_ms: parse_ms(mean)?,
            }),
            ("lognormal", [median, sigma]) => Ok(Self::Lognormal {
                median_ms: parse_ms(median)?,
                sigma: parse_number("sigma", sigma, 0.0, 10.0)?,
            }),
            _ => Err(format!("`{text}`: write {LAWS}")),
        }
    }

    /// Returns a delay in ms that all but a few rows keep to: 999 of 1,000.
    pub(crate) fn common_ms(self) -> u32 {
        match self {
            Self::Uniform(max_ms) => max_ms,
            law => Delays::new(law).at(0.999),
        }
    }
}

fn parse_number(what: &str, text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!(
            "`{text}`: the {what} is a number from {least} to {most}"
        )),
    }
}

/// Draws the delays of a law.
#[derive(Debug, Clone)]
pub(super) enum Delays {
    Uniform(u32),
    Pareto { scale: f64, power: f64, within: f64 },
    Exponential { mean: f64, within: f64 },
    Lognormal(Box<Durations>),
}

impl Delays {
    /// Returns the delays of a law, cut at [`MAX_MS`].
    pub(super) fn new(law: Law) -> Self {
        let longest = f64::from(MAX_MS);
        // `within` is the probability of the whole law that lies below the longest delay.
        match law {
            Law::Uniform(max_ms) => Self::Uniform(max_ms),
            Law::Pareto { scale_ms, shape } => {
                let scale = f64::from(scale_ms);
                Self::Pareto {
                    scale,
                    power: -1.0 / shape,
                    within: 1.0 - libm::pow(scale / longest, shape),
                }
            }
            Law::Exponential { mean_ms } => {
                let mean = f64::from(mean_ms);
                Self::Exponential {
                    mean,
                    within: -libm::expm1(-longest / mean),
                }
            }
            Law::Lognormal { median_ms, sigma } => {
                Self::Lognormal(Box::new(Durations::new(median_ms, sigma, MAX_MS)))
            }
        }
    }

    /// Returns a delay in ms, at least 1 and at most [`MAX_MS`].
    #[inline]
    pub(super) fn draw(&self, random: u64) -> u32 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        match self {
            Self::Uniform(max_ms) => 1 + scaled(random, *max_ms).0,
            Self::Lognormal(durations) => durations.draw(random),
            tail => tail.at((random >> 11) as f64 * STEP),
        }
    }

    /// Returns the delay in ms below which lies a share of `uniform`, 0 to 1.
    fn at(&self, uniform: f64) -> u32 {
        let ms = match self {
            Self::Uniform(max_ms) => uniform * f64::from(*max_ms),
            Self::Pareto {
                scale,
                power,
                within,
            } => scale * libm::pow(1.0 - uniform * within, *power),
            Self::Exponential { mean, within } => -mean * libm::log1p(-uniform * within),
            Self::Lognormal(durations) => return durations.at(uniform),
        };
        (ms + 0.5).clamp(1.0, f64::from(MAX_MS)) as u32
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    use rand_distr::{Distribution, Exp, LogNormal, Pareto};

    use super::*;

    fn law(text: &str) -> Law {
        Law::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn a_delay_is_a_share_and_a_law() {
        for (text, law) in [
            ("5%:30s", Law::Uniform(30_000)),
            (
                "0.05:pareto(1s,2)",
                Law::Pareto {
                    scale_ms: 1_000,
                    shape: 2.0,
                },
            ),
            ("5% : exp( 10s )", Law::Exponential { mean_ms: 10_000 }),
            (
                "5%:lognormal(2s, 0.5)",
                Law::Lognormal {
                    median_ms: 2_000,
                    sigma: 0.5,
                },
            ),
        ] {
            assert_eq!(Delay::parse(text), Ok(Delay { share: 0.05, law }), "{text}");
        }
        for (text, reason) in [
            ("", "5%:30s"),
            ("5%", "5%:30s"),
            ("5%:", "a duration is missing"),
            (":30s", "a share"),
            ("5%:30", "has no unit"),
            ("101%:30s", "between 0 and 1"),
            ("-5%:1s", "between 0 and 1"),
            ("5%:0s", "above zero"),
            ("5%:31d", "at most 30d"),
            ("5%:pareto", "pareto(1s,2)"),
            ("5%:pareto(1s)", "(scale, shape)"),
            ("5%:pareto(1s,2", "no `)`"),
            ("5%:pareto(1s,0)", "the shape is a number from 0.01 to 100"),
            ("5%:pareto(1s,nan)", "the shape"),
            ("5%:pareto(1,2)", "has no unit"),
            ("5%:exp(0s)", "above zero"),
            ("5%:exp(31d)", "at most 30d"),
            ("5%:lognormal(2s,11)", "the sigma is a number from 0 to 10"),
            ("5%:weibull(1s,2)", "exp(10s)"),
        ] {
            let wrong = Delay::parse(text).expect_err(text);
            assert!(wrong.contains(reason), "{text}: {wrong}");
        }
    }

    #[test]
    fn a_law_comes_back_from_its_recipe() {
        for (text, json) in [
            ("5%:30s", r#"{"share":0.05,"max_ms":30000}"#),
            (
                "5%:pareto(1s,2)",
                r#"{"share":0.05,"pareto":{"scale_ms":1000,"shape":2.0}}"#,
            ),
            ("5%:exp(10s)", r#"{"share":0.05,"exp":{"mean_ms":10000}}"#),
            (
                "5%:lognormal(2s,1)",
                r#"{"share":0.05,"lognormal":{"median_ms":2000,"sigma":1.0}}"#,
            ),
        ] {
            let delay = Delay::parse(text).expect(text);
            assert_eq!(serde_json::to_string(&delay).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<Delay>(json).expect("a delay"), delay);
        }
    }

    /// Kolmogorov and Smirnov's distance between two samples of equal size.
    fn distance(mut one: Vec<f64>, mut other: Vec<f64>) -> f64 {
        one.sort_by(f64::total_cmp);
        other.sort_by(f64::total_cmp);
        let up_to = |sample: &[f64], ms: f64| sample.partition_point(|drawn| *drawn <= ms) as f64;
        let apart = one
            .iter()
            .map(|&ms| (up_to(&one, ms) - up_to(&other, ms)).abs());
        apart.fold(0.0, f64::max) / one.len() as f64
    }

    #[test]
    fn delays_are_distributed_as_rand_distr_draws_them_again_until_they_fit() {
        const DRAWS: usize = 100_000;
        fn peer(law: impl Distribution<f64>) -> Vec<f64> {
            let rng = ChaCha8Rng::seed_from_u64(2);
            let rounded = law.sample_iter(rng).map(|ms: f64| ms.round());
            let fits = rounded.filter(|ms| (1.0..=f64::from(MAX_MS)).contains(ms));
            fits.take(DRAWS).collect()
        }
        let pareto = |scale, shape| peer(Pareto::new(scale, shape).expect("above zero"));
        let exp = |mean: f64| peer(Exp::new(1.0 / mean).expect("above zero"));
        let lognormal =
            |median, sigma| peer(LogNormal::new(libm::log(median), sigma).expect("finite"));
        for (text, peer) in [
            ("pareto(1s,2)", pareto(1e3, 2.0)),
            // One in nine would be longer than 30 days.
            ("pareto(1s,0.15)", pareto(1e3, 0.15)),
            ("exp(10s)", exp(1e4)),
            // A third would be.
            ("exp(27d)", exp(27.0 * 86_400e3)),
            ("lognormal(2s,1)", lognormal(2e3, 1.0)),
            ("lognormal(20d,3)", lognormal(20.0 * 86_400e3, 3.0)),
        ] {
            let delays = Delays::new(law(text));
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let drawn = (0..DRAWS).map(|_| delays.draw(rng.next_u64()).into());
            // Exceeded once in a thousand pairs of seeds.
            let apart = distance(drawn.collect(), peer);
            let chance = 1.95 * (2.0 / DRAWS as f64).sqrt();
            assert!(apart < chance, "{text}: {apart}");
        }
    }

    #[test]
    fn no_law_leaves_the_bounds() {
        for text in [
            "1ms",
            "30d",
            "pareto(1ms,0.01)",
            "pareto(1ms,100)",
            "pareto(30d,2)",
            "exp(1ms)",
            "exp(30d)",
            "lognormal(1ms,10)",
            "lognormal(30d,0)",
        ] {
            let delays = Delays::new(law(text));
            for word in [0, 1, 1 << 11, 1 << 40, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                let ms = delays.draw(word);
                assert!((1..=MAX_MS).contains(&ms), "{text} {word}: {ms}");
            }
        }
    }

    #[test]
    fn the_common_delay_is_that_of_999_in_1000() {
        assert_eq!(law("30s").common_ms(), 30_000);
        // 1,000 ^ (1 / shape) times the scale; ln 1,000 times the mean.
        assert_eq!(law("pareto(1s,2)").common_ms(), 31_623);
        assert_eq!(law("exp(10s)").common_ms(), 69_078);
        assert_eq!(law("lognormal(2s,0)").common_ms(), 2_000);
    }
}
