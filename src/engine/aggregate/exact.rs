//! Sums of doubles and of squares without any rounding, so that they are free of order.
//!
//! A double is an integer × 2^exponent. Sums of doubles of similar size fit an integer of 256 bits
//! with one exponent (32 bytes instead of the 270 of a full superaccumulator: there may be a state
//! for each caller and window). What does not fit goes to a big integer. Rounding is done once,
//! when the sum is asked for.

use num_bigint::{BigInt, BigUint, Sign};
use serde::{Deserialize, Serialize};

use crate::number::Number;

/// A two's complement integer, its lowest bits first.
type Limbs = [u64; LIMBS];
const LIMBS: usize = 4;

/// The exponent of the lowest bit that the square of a double has.
const LOWEST: i32 = 2 * -1074;

/// A sum that is exact.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Exact {
    limbs: Limbs,
    /// Of the lowest bit of `limbs`; means nothing while they are 0.
    exponent: i16,
    /// What else was added. Created by the first addend that does not fit.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Rare {
    /// × 2^[`LOWEST`].
    rest: BigInt,
    /// How many addends were ∞, -∞ and NaN.
    infinite: [i64; 2],
    undefined: i64,
}

/// A number that a sum takes.
pub(super) trait Addend: Copy {
    /// Returns it as an integer × 2^exponent, or itself where it is not finite.
    fn scaled(self) -> Result<(i64, i32), f64>;
}

impl Addend for i64 {
    #[inline]
    fn scaled(self) -> Result<(i64, i32), f64> {
        Ok((self, 0))
    }
}

impl Addend for f64 {
    #[inline]
    fn scaled(self) -> Result<(i64, i32), f64> {
        const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
        let bits = self.to_bits();
        let biased = (bits >> FRACTION & 0x7ff) as i32;
        if biased == 0x7ff {
            return Err(self);
        }
        let fraction = (bits & ((1 << FRACTION) - 1)) as i64;
        let (mantissa, exponent) = match biased {
            0 => (fraction, -1074),
            _ => (fraction | 1 << FRACTION, biased - 1075),
        };
        if mantissa == 0 {
            return Ok((0, 0));
        }
        let zeros = mantissa.trailing_zeros();
        let mantissa = mantissa >> zeros;
        let signed = if self < 0.0 { -mantissa } else { mantissa };
        Ok((signed, exponent + zeros as i32))
    }
}

impl Addend for Number {
    #[inline]
    fn scaled(self) -> Result<(i64, i32), f64> {
        match self {
            Number::Integer(value) => value.scaled(),
            value => value.to_f64().scaled(),
        }
    }
}

impl Exact {
    /// Adds a number; takes it back with `times` = -1.
    #[inline]
    pub fn add(&mut self, addend: impl Addend, times: i64) {
        match addend.scaled() {
            Ok((integer, exponent)) => {
                self.add_scaled(i128::from(integer) * i128::from(times), exponent);
            }
            Err(beyond) => self.add_beyond(beyond, times),
        }
    }

    /// Adds the square of a number; takes it back with `times` = -1.
    #[inline]
    pub fn add_square(&mut self, addend: impl Addend, times: i64) {
        match addend.scaled() {
            Ok((integer, exponent)) => {
                let integer = i128::from(integer);
                self.add_scaled(integer * integer * i128::from(times), 2 * exponent);
            }
            Err(beyond) => self.add_beyond(beyond * beyond, times),
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Exact) {
        self.add_limbs(other.limbs, other.exponent.into());
        if let Some(theirs) = &other.rare {
            let ours = self.rare.get_or_insert_default();
            ours.rest += &theirs.rest;
            ours.infinite[0] += theirs.infinite[0];
            ours.infinite[1] += theirs.infinite[1];
            ours.undefined += theirs.undefined;
        }
    }

    fn add_scaled(&mut self, integer: i128, exponent: i32) {
        let sign = (integer >> 127) as u64;
        let limbs = [integer as u64, (integer >> 64) as u64, sign, sign];
        self.add_limbs(limbs, exponent);
    }

    fn add_limbs(&mut self, limbs: Limbs, exponent: i32) {
        if limbs == [0; LIMBS] {
            return;
        }
        if self.limbs == [0; LIMBS] {
            // Those of squares go down to LOWEST, and up to less than its opposite.
            self.exponent = exponent as i16;
        }
        if !self.add_fitting(limbs, exponent) {
            let rare = self.rare.get_or_insert_default();
            rare.rest += integer(&limbs) << (exponent - LOWEST);
        }
    }

    /// Adds an integer × 2^exponent if the sum fits; returns whether it did.
    #[inline]
    fn add_fitting(&mut self, limbs: Limbs, exponent: i32) -> bool {
        let above = exponent - i32::from(self.exponent);
        if above < 0 {
            // Finer than all before.
            let down = above.unsigned_abs();
            if down >= spare_bits(&self.limbs) {
                return false;
            }
            self.limbs = shifted(&self.limbs, down);
            self.exponent = exponent as i16;
        }
        let up = above.max(0).unsigned_abs();
        if up >= spare_bits(&limbs) {
            return false;
        }
        let limbs = shifted(&limbs, up);
        let mut sum = [0; LIMBS];
        let mut carry = false;
        for (sum, (left, right)) in sum.iter_mut().zip(self.limbs.into_iter().zip(limbs)) {
            let (low, first) = left.overflowing_add(right);
            let (low, second) = low.overflowing_add(carry.into());
            *sum = low;
            carry = first | second;
        }
        let negative = |limbs: &Limbs| limbs[LIMBS - 1] >> 63 == 1;
        let overflows =
            negative(&self.limbs) == negative(&limbs) && negative(&sum) != negative(&limbs);
        if !overflows {
            self.limbs = sum;
        }
        !overflows
    }

    fn add_beyond(&mut self, beyond: f64, times: i64) {
        let rare = self.rare.get_or_insert_default();
        if beyond.is_nan() {
            rare.undefined += times;
        } else {
            rare.infinite[usize::from(beyond < 0.0)] += times;
        }
    }

    /// Returns what the sum is where some addend was not finite: ∞, -∞ or NaN.
    pub fn beyond(&self) -> Option<f64> {
        let Rare {
            infinite: [plus, minus],
            undefined,
            ..
        } = **self.rare.as_ref()?;
        match (plus != 0, minus != 0, undefined != 0) {
            (false, false, false) => None,
            (true, false, false) => Some(f64::INFINITY),
            (false, true, false) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    /// Returns the sum of the finite addends.
    pub fn sum(&self) -> Scaled {
        let (mut integer, mut exponent) = (integer(&self.limbs), i32::from(self.exponent));
        if let Some(rare) = &self.rare {
            integer = &rare.rest + (integer << (exponent - LOWEST));
            exponent = LOWEST;
        }
        Scaled { integer, exponent }
    }

    /// Returns the sum as the nearest double; ∞ or -∞ beyond the range of doubles.
    pub fn to_f64(&self) -> f64 {
        if let Some(beyond) = self.beyond() {
            return beyond;
        }
        if let Some(integer) = self.small() {
            return libm::scalbn(integer as f64, self.exponent.into());
        }
        let (number, exponent) = self.sum().rounded();
        libm::scalbn(number, exponent)
    }

    /// Returns the sum over a divisor that is not 0 as the nearest double: rounded once.
    pub fn over(&self, divisor: i64) -> f64 {
        if let Some(beyond) = self.beyond() {
            return beyond;
        }
        if let Some(integer) = self.small() {
            return quotient(integer, divisor, self.exponent.into());
        }
        let sum = self.sum();
        let (top, below, exponent) = top(sum.integer.magnitude());
        let over = quotient_of(top, below, divisor.unsigned_abs(), sum.exponent + exponent);
        if (sum.integer.sign() == Sign::Minus) != (divisor < 0) {
            0.0 - over
        } else {
            over
        }
    }

    /// Returns the integer if the sum is one of 128 bits × 2^`exponent`.
    fn small(&self) -> Option<i128> {
        let [low, high, rest @ ..] = self.limbs;
        let sign = (high as i64 >> 63) as u64;
        let fits = self.rare.is_none() && rest == [sign; 2];
        fits.then(|| i128::from(high as i64) << 64 | i128::from(low))
    }
}

/// Returns an integer × 2^`exponent` over a divisor that is not 0 as the nearest double.
pub(super) fn quotient(integer: i128, divisor: i64, exponent: i32) -> f64 {
    const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    let exact = integer.unsigned_abs() < EXACT.into() && divisor.unsigned_abs() < EXACT;
    if exact && exponent == 0 {
        return integer as f64 / divisor as f64 + 0.0; // most often; the processor rounds it once
    }
    let (top, below) = (integer.unsigned_abs(), false);
    let over = quotient_of(top, below, divisor.unsigned_abs(), exponent);
    if (integer < 0) != (divisor < 0) {
        0.0 - over
    } else {
        over
    }
}

/// Returns an integer × 2^`exponent` over a divisor as the nearest double; `below` says whether
/// the integer is larger by less than one, which it may be if its highest bit is set.
fn quotient_of(integer: u128, below: bool, divisor: u64, exponent: i32) -> f64 {
    if integer == 0 {
        return 0.0;
    }
    let (up, divisor) = (integer.leading_zeros(), u128::from(divisor));
    let integer = integer << up;
    let rest = below || !integer.is_multiple_of(divisor);
    nearest(integer / divisor, rest, exponent - up as i32)
}

/// Returns an integer of 64 bits or more × 2^`exponent` as the nearest double; `rest` says whether
/// it is larger by less than one.
fn nearest(integer: u128, rest: bool, exponent: i32) -> f64 {
    /// The smallest double above 0 is 2^this.
    const LEAST: i32 = -1074;
    let above = u128::BITS as i32 - integer.leading_zeros() as i32 + exponent;
    if above >= f64::MIN_EXP {
        // The lowest bit is below those that are kept.
        return libm::scalbn((integer | u128::from(rest)) as f64, exponent);
    }
    // Doubles so small have fewer bits: to the nearest of their units, ties to the even one.
    let down = (LEAST - 2 - exponent) as u32;
    let rest = rest || integer.trailing_zeros() < down;
    let quarters = integer.checked_shr(down).unwrap_or(0) | u128::from(rest);
    let units = (quarters + 1 + (quarters >> 2 & 1)) >> 2;
    units as f64 * f64::from_bits(1)
}

/// Returns the highest 128 bits of an integer, whether any below them was set, and the exponent of
/// the lowest of them.
fn top(integer: &BigUint) -> (u128, bool, i32) {
    let down = integer.bits().saturating_sub(128);
    let top: BigUint = integer >> down;
    let below = integer.trailing_zeros().is_some_and(|zeros| zeros < down);
    let digits = top.iter_u64_digits().rev();
    let top = digits.fold(0, |top: u128, digit| top << 64 | u128::from(digit));
    (top, below, down as i32) // less than 4,300 bits and their products
}

/// Returns by how many bits an integer can be shifted up, plus one.
fn spare_bits(limbs: &Limbs) -> u32 {
    let sign = ((limbs[LIMBS - 1] as i64) >> 63) as u64;
    let mut spare = 0;
    for limb in limbs.iter().rev() {
        let alike = (limb ^ sign).leading_zeros();
        spare += alike;
        if alike < u64::BITS {
            break;
        }
    }
    spare
}

/// Returns limbs × 2^`up`; the caller knows that it fits.
#[inline]
fn shifted(limbs: &Limbs, up: u32) -> Limbs {
    let (words, bits) = ((up / u64::BITS) as usize, up % u64::BITS);
    let limb = |place: usize| place.checked_sub(words).map_or(0, |place| limbs[place]);
    std::array::from_fn(|place| {
        let below = match (place, bits) {
            (0, _) | (_, 0) => 0,
            _ => limb(place - 1) >> (u64::BITS - bits),
        };
        limb(place) << bits | below
    })
}

fn integer(limbs: &Limbs) -> BigInt {
    let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigInt::from_signed_bytes_le(&bytes)
}

/// An integer × 2^exponent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scaled {
    pub integer: BigInt,
    pub exponent: i32,
}

impl Scaled {
    /// Returns `factor` × this − `other`².
    pub fn times_less_square(self, factor: u64, other: &Scaled) -> Scaled {
        let (left, right) = (self.integer * factor, &other.integer * &other.integer);
        let exponent = self.exponent.min(2 * other.exponent);
        Scaled {
            integer: (left << (self.exponent - exponent))
                - (right << (2 * other.exponent - exponent)),
            exponent,
        }
    }

    /// Returns the nearest double × 2^exponent; the double is below 2^129.
    pub fn rounded(&self) -> (f64, i32) {
        let (top, below, exponent) = top(self.integer.magnitude());
        // That something is below is all that rounding to 53 bits needs to know.
        let number = (top | u128::from(below)) as f64;
        let is_negative = self.integer.sign() == Sign::Minus;
        let signed = if is_negative { -number } else { number };
        (signed, self.exponent + exponent)
    }

    /// Returns √(this / `divisor`) as the nearest double: rounded once; 0 where this is below 0.
    pub fn root_over(self, divisor: u128) -> f64 {
        let Some(integer) = self.integer.to_biguint().filter(|it| it.bits() > 0) else {
            return 0.0;
        };
        let divisor = BigUint::from(divisor);
        // A root of 64 bits or more, of an even exponent.
        let up = (130 + divisor.bits()).saturating_sub(integer.bits());
        let up = up + u64::from((self.exponent - up as i32) % 2 != 0);
        let integer = integer << up;
        let quotient = &integer / &divisor;
        let root = quotient.sqrt();
        let rest = &root * &root * divisor != integer;
        let (top, below, exponent) = top(&root);
        nearest(
            top,
            rest || below,
            (self.exponent - up as i32) / 2 + exponent,
        )
    }
}
