//! Lognormal durations of calls, cut at a maximum by the inverse of the truncated distribution.

use crate::term::units;

/// Parses a duration of 1 ms to `MAX_MS`.
///
/// # Errors
/// What is wrong, for clap.
pub fn parse_ms(text: &str) -> Result<u32, String> {
    match units::parse_positive_duration(text)? {
        ms if ms <= i64::from(MAX_MS) => Ok(ms as u32),
        _ => Err(format!("at most {}", units::format_duration(MAX_MS.into()))),
    }
}

/// The longest call or delay, 30 days: durations are kept in 32 bits.
pub(super) const MAX_MS: u32 = 30 * 86_400_000;
/// Lognormal durations in whole ms, truncated to `1 ..= max`.
///
/// The distribution is that of a lognormal value rounded to ms and drawn again until it lies
/// within the bounds, but each draw costs the same: a uniform u picks the probability
/// p = F(0.5) + u (F(max + 0.5) − F(0.5)) of the untruncated distribution F, whose quantile is
/// the duration. Nothing piles up at the maximum.
///
/// The quantile is exact at 2,048 equally likely knots and linear between them; in the outer
/// 64 of either end, where it bends, it is exact everywhere. So a draw mostly costs a look at a
/// table, and the probability below any duration is off by 2 × 10⁻⁶ at most (for sigma 1):
/// a hundred thousand million calls would not show it.
#[derive(Debug, Clone)]
pub(super) struct Durations {
    exact: Truncated,
    /// Durations in ms at u = 0, 1/2048, … 1.
    knots: Vec<f64>,
}

const KNOTS_LOG2: u32 = 11;
const KNOTS: usize = 1 << KNOTS_LOG2;
/// How many bins at either end are not interpolated.
const OUTER: usize = 64;
/// Bits of a random word that a draw uses.
pub(super) const BITS: u32 = 40;
const FRACTION_BITS: u32 = BITS - KNOTS_LOG2;

impl Durations {
    /// Returns the distribution with this median and maximum in ms and the standard deviation
    /// `sigma` of the logarithm. The median may lie above the maximum.
    pub(super) fn new(median_ms: u32, sigma: f64, max_ms: u32) -> Self {
        let exact = Truncated::new(f64::from(median_ms), sigma, f64::from(max_ms));
        let knots = (0..=KNOTS)
            .map(|knot| exact.quantile(knot as f64 / KNOTS as f64))
            .collect();
        Durations { exact, knots }
    }

    /// Returns the duration in ms that belongs to the lowest [`BITS`] bits of `random`.
    #[inline]
    pub(super) fn draw(&self, random: u64) -> u32 {
        let random = random & ((1 << BITS) - 1);
        let bin = (random >> FRACTION_BITS) as usize;
        if !(OUTER..KNOTS - OUTER).contains(&bin) {
            return self.draw_exact(random);
        }
        let within = (random & ((1 << FRACTION_BITS) - 1)) as f64 / (1_u64 << FRACTION_BITS) as f64;
        let low = self.knots[bin];
        self.exact.round(low + (self.knots[bin + 1] - low) * within)
    }

    /// Returns what [`Durations::draw`] approximates; both round alike.
    #[cold]
    fn draw_exact(&self, random: u64) -> u32 {
        // The middle of the step: never 0 and never 1.
        self.at((random as f64 + 0.5) / (1_u64 << BITS) as f64)
    }

    /// Returns the duration in ms below which lies a share of `uniform`, 0 to 1.
    pub(super) fn at(&self, uniform: f64) -> u32 {
        self.exact.round(self.exact.quantile(uniform))
    }
}

/// A lognormal distribution between 0.5 and max + 0.5 ms.
#[derive(Debug, Clone)]
struct Truncated {
    log_median: f64,
    sigma: f64,
    max: f64,
    /// The untruncated distribution's function at the lower bound.
    below: f64,
    /// The probability of the untruncated distribution between the bounds.
    between: f64,
}

impl Truncated {
    fn new(median: f64, sigma: f64, max: f64) -> Self {
        let log_median = libm::log(median);
        let probability_below = |bound: f64| match sigma > 0.0 {
            true => normal_cdf((libm::log(bound) - log_median) / sigma),
            false if bound < median => 0.0,
            false => 1.0,
        };
        let below = probability_below(0.5);
        let between = probability_below(max + 0.5) - below;
        Truncated {
            log_median,
            sigma,
            max,
            below,
            between,
        }
    }

    /// Returns the duration in ms, not rounded, that a share of `uniform` (0 to 1) falls below.
    fn quantile(&self, uniform: f64) -> f64 {
        if self.between <= 0.0 {
            // All of it lies so far above the maximum that what fits lies next to it.
            return self.max;
        }
        let z = normal_quantile(self.below + uniform * self.between);
        let z = if self.sigma > 0.0 {
            z * self.sigma
        } else {
            0.0
        };
        libm::exp(self.log_median + z).clamp(0.5, self.max + 0.5)
    }

    /// Returns whole ms within the bounds.
    #[inline]
    fn round(&self, ms: f64) -> u32 {
        (ms + 0.5).clamp(1.0, self.max) as u32
    }
}

/// Returns the probability that a standard normal value lies below `z`.
fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// Returns the standard normal value below which lies the probability `p`; ∓infinity at 0 and 1.
///
/// M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution",
/// Applied Statistics 37 (1988), routine PPND16: sixteen digits.
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * ratio(r, &CENTRAL);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail <= 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = libm::sqrt(-libm::log(tail));
    let magnitude = if r <= 5.0 {
        ratio(r - 1.6, &MIDDLE)
    } else {
        ratio(r - 5.0, &FAR)
    };
    magnitude.copysign(q)
}

/// Returns the quotient of two polynomials in `x`, coefficients from the highest power down.
fn ratio(x: f64, [above, below]: &[[f64; 8]; 2]) -> f64 {
    let polynomial = |coefficients: &[f64; 8]| {
        coefficients
            .iter()
            .fold(0.0, |sum, coefficient| sum * x + coefficient)
    };
    polynomial(above) / polynomial(below)
}

#[allow(clippy::excessive_precision)] // as printed in the paper
const CENTRAL: [[f64; 8]; 2] = [
    [
        2.5090809287301226727e+3,
        3.3430575583588128105e+4,
        6.7265770927008700853e+4,
        4.5921953931549871457e+4,
        1.3731693765509461125e+4,
        1.9715909503065514427e+3,
        1.3314166789178437745e+2,
        3.3871328727963666080e+0,
    ],
    [
        5.2264952788528545610e+3,
        2.8729085735721942674e+4,
        3.9307895800092710610e+4,
        2.1213794301586595867e+4,
        5.3941960214247511077e+3,
        6.8718700749205790830e+2,
        4.2313330701600911252e+1,
        1.0,
    ],
];

#[allow(clippy::excessive_precision)] // as printed in the paper
const MIDDLE: [[f64; 8]; 2] = [
    [
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e+0,
        3.64784832476320460504e+0,
        5.76949722146069140550e+0,
        4.63033784615654529590e+0,
        1.42343711074968357734e+0,
    ],
    [
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e+0,
        2.05319162663775882187e+0,
        1.0,
    ],
];

#[allow(clippy::excessive_precision)] // as printed in the paper
const FAR: [[f64; 8]; 2] = [
    [
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e+0,
        5.46378491116411436990e+0,
        6.65790464350110377720e+0,
    ],
    [
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spread words of 40 bits, the middles of `n` equal parts.
    fn spread(n: u64) -> impl Iterator<Item = u64> {
        (0..n).map(move |i| ((2 * i + 1) << (BITS - 1)) / n)
    }

    #[test]
    fn the_normal_quantile_has_known_values_and_inverts_the_distribution() {
        assert_eq!(normal_quantile(0.5), 0.0);
        assert!((normal_quantile(0.975) - 1.959963984540054).abs() < 1e-14);
        assert!((normal_quantile(1e-10) + 6.361340902404056).abs() < 1e-13);
        assert!((normal_quantile(1e-300) + 37.0471).abs() < 1e-4);
        for p in [1e-12, 0.001, 0.0749, 0.0751, 0.3, 0.9, 0.9999] {
            let there_and_back = normal_cdf(normal_quantile(p));
            assert!(
                (there_and_back / p - 1.0).abs() < 1e-12,
                "{p} {there_and_back}"
            );
        }
    }

    #[test]
    fn the_median_is_the_median_where_the_maximum_is_far_away() {
        let durations = Durations::new(60_000, 1.0, u32::MAX - 1);
        assert_eq!(durations.draw(1 << (BITS - 1)), 60_000);
        let quartile = 60_000.0 * libm::exp(-0.6744897501960817);
        let drawn = f64::from(durations.draw(1 << (BITS - 2)));
        assert!((drawn - quartile).abs() < 1.0, "{drawn} {quartile}");
    }

    #[test]
    fn draws_are_distributed_as_if_drawn_again_until_they_fit() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, LogNormal};
        const DRAWS: usize = 200_000;
        for (median, sigma, max) in [
            (60_000, 1.0, 3_600_000),
            (60_000, 1.0, 90_000),
            (20, 2.0, 100),
            (60_000, 1.0, 10_000),
        ] {
            let durations = Durations::new(median, sigma, max);
            let lognormal = LogNormal::new(libm::log(f64::from(median)), sigma).expect("finite");
            let rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
            let peer = lognormal.sample_iter(rng).map(|ms| ms.round());
            let peer = peer.filter(|ms| (1.0..=f64::from(max)).contains(ms));
            let mut drawn_again: Vec<f64> = peer.take(DRAWS).collect();
            drawn_again.sort_by(f64::total_cmp);
            let mut drawn: Vec<u32> = spread(DRAWS as u64)
                .map(|word| durations.draw(word))
                .collect();
            drawn.sort_unstable();
            // Kolmogorov and Smirnov's distance between a sample and what is all but its
            // distribution: 1.95 / sqrt(n) is exceeded once in a thousand seeds.
            let share_up_to = |ms: f64| drawn_again.partition_point(|drawn| *drawn <= ms) as f64;
            for (rank, ms) in drawn.iter().enumerate().step_by(97) {
                let rank = drawn[rank..].partition_point(|other| other == ms) + rank;
                let apart = (share_up_to(f64::from(*ms)) - rank as f64).abs() / DRAWS as f64;
                assert!(
                    apart < 1.95 / (DRAWS as f64).sqrt(),
                    "{median} {sigma} {max}, {ms}: {apart}"
                );
            }
        }
    }

    #[test]
    fn nothing_piles_up_at_the_maximum() {
        // A third of the untruncated distribution lies above this maximum.
        let durations = Durations::new(60_000, 1.0, 90_000);
        let drawn: Vec<u32> = spread(1_000_000).map(|word| durations.draw(word)).collect();
        let share = |from: u32, to: u32| {
            drawn.iter().filter(|ms| (from..to).contains(*ms)).count() as f64 / 1e6
        };
        assert!(drawn.iter().all(|ms| (1..=90_000).contains(ms)));
        // The last second is no more likely than the one before it, the density falls there.
        assert!(share(89_001, 90_001) < share(88_001, 89_001));
        assert!(share(89_001, 90_001) > 0.9 * share(88_001, 89_001));
    }

    #[test]
    fn the_table_agrees_with_the_exact_quantile() {
        for (median, sigma, max) in [(60_000, 1.0, 3_600_000), (60_000, 0.1, 61_000), (5, 3.0, 9)] {
            let durations = Durations::new(median, sigma, max);
            for word in spread(200_003) {
                let table = f64::from(durations.draw(word));
                let exact = f64::from(durations.draw_exact(word));
                assert!(
                    (table - exact).abs() <= 1.0 + 3e-4 * exact,
                    "{table} {exact}"
                );
            }
        }
    }

    #[test]
    fn the_table_has_the_exact_distribution_but_for_two_millionths() {
        let durations = Durations::new(60_000, 1.0, 3_600_000);
        let exact = &durations.exact;
        for knot in OUTER..KNOTS - OUTER {
            for within in [0.25, 0.5, 0.75] {
                let low = durations.knots[knot];
                let ms = low + (durations.knots[knot + 1] - low) * within;
                let claimed = (knot as f64 + within) / KNOTS as f64;
                let z = (libm::log(ms) - exact.log_median) / exact.sigma;
                let true_share = (normal_cdf(z) - exact.below) / exact.between;
                assert!(
                    (claimed - true_share).abs() < 2e-6,
                    "{claimed} {true_share}"
                );
            }
        }
    }

    #[test]
    fn extreme_settings_stay_within_the_bounds() {
        for (median, sigma, max) in [
            (1, 0.0, 1),
            (1, 100.0, 1),
            (60_000, 0.0, 3_600_000),
            (1, 1e-9, u32::MAX - 1),
            (60_000, 0.0, 10_000),
            (60_000, 1e-3, 10_000),
            (u32::MAX - 1, 100.0, u32::MAX - 1),
        ] {
            let durations = Durations::new(median, sigma, max);
            for word in [0, 1, 1 << 20, (1 << BITS) - 1, u64::MAX]
                .into_iter()
                .chain(spread(1_000))
            {
                let drawn = durations.draw(word);
                assert!(
                    (1..=max).contains(&drawn),
                    "{median} {sigma} {max}: {drawn}"
                );
                assert!(sigma > 0.0 || drawn == median.min(max));
            }
        }
    }
}
