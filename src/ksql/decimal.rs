//! DECIMAL(p, s): an integer of any size and a scale, as Java's `BigDecimal`.
//!
//! `rust_decimal`, which `k window` uses, holds 28 digits; DECIMAL(33, 16) holds more, and two
//! decimals are the same value to ksqlDB only if their scales are. Rounding is half up.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, Sign};
use serde::{Deserialize, Serialize};

/// The most digits that a declared decimal, or one that is read, may have.
pub const MAX_PRECISION: u32 = 1_000;

/// A number of `unscaled` × 10^-`scale`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decimal {
    unscaled: BigInt,
    scale: u32,
}

impl Decimal {
    /// Returns `unscaled` × 10^-`scale`.
    pub fn new(unscaled: impl Into<BigInt>, scale: u32) -> Self {
        let unscaled = unscaled.into();
        Decimal { unscaled, scale }
    }

    /// Reads `-12.50`, `.5`, `1e3`; `None` for anything else and for more than
    /// [`MAX_PRECISION`] digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let is_number = digits
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit());
        if !is_number || digits.len() + fraction.len() == 0 {
            return None;
        }
        if digits.len() + fraction.len() > MAX_PRECISION as usize {
            return None;
        }
        let unscaled: BigInt = format!("{whole}{fraction}").parse().ok()?;
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        if scale.unsigned_abs() > u64::from(MAX_PRECISION) {
            return None;
        }
        Some(match u32::try_from(scale) {
            Ok(scale) => Decimal { unscaled, scale },
            Err(_) => Decimal::new(unscaled * ten_to(scale.unsigned_abs() as u32), 0),
        })
    }

    /// Returns the decimal of a double's shortest digits, as `BigDecimal.valueOf`; `None` for NaN
    /// and the infinities.
    pub fn of_double(value: f64) -> Option<Self> {
        Decimal::parse(&format!("{value:e}"))
    }

    /// Returns how many digits stand behind the point.
    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// Returns how many digits it has, one for zero.
    pub fn precision(&self) -> u32 {
        let digits = self.unscaled.magnitude().to_string().len();
        u32::try_from(digits).unwrap_or(u32::MAX)
    }

    /// Returns -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        match self.unscaled.sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        }
    }

    /// Returns it with `scale` digits behind the point, rounded half up (away from zero).
    pub fn with_scale(&self, scale: u32) -> Self {
        if scale >= self.scale {
            let unscaled = &self.unscaled * ten_to(scale - self.scale);
            return Decimal { unscaled, scale };
        }
        let unscaled = divide_half_up(&self.unscaled, &ten_to(self.scale - scale));
        Decimal { unscaled, scale }
    }

    /// Returns it as DECIMAL(`precision`, `scale`), rounded; `None` where it has too many digits
    /// in front of the point.
    pub fn fit(&self, precision: u32, scale: u32) -> Option<Self> {
        let fitted = self.with_scale(scale);
        (fitted.is_zero() || fitted.precision() <= precision).then_some(fitted)
    }

    /// Returns it as DECIMAL(`precision`, `scale`) if no digit is lost.
    pub fn fit_exactly(&self, precision: u32, scale: u32) -> Option<Self> {
        self.fit(precision, scale)
            .filter(|fitted| fitted.compare(self).is_eq())
    }

    /// Returns the sum.
    pub fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        Decimal::new(
            self.with_scale(scale).unscaled + other.with_scale(scale).unscaled,
            scale,
        )
    }

    /// Returns the difference.
    pub fn subtract(&self, other: &Self) -> Self {
        self.add(&other.negate())
    }

    /// Returns the product.
    pub fn multiply(&self, other: &Self) -> Self {
        Decimal::new(&self.unscaled * &other.unscaled, self.scale + other.scale)
    }

    /// Returns the quotient with `scale` digits behind the point; `None` of division by zero.
    pub fn divide(&self, other: &Self, scale: u32) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        // self / other = (self.unscaled × 10^(scale + other.scale)) / (other.unscaled × 10^self.scale)
        let dividend = &self.unscaled * ten_to(scale + other.scale);
        let divisor = &other.unscaled * ten_to(self.scale);
        Some(Decimal::new(divide_half_up(&dividend, &divisor), scale))
    }

    /// Returns the remainder, which has the sign of the dividend; `None` of division by zero.
    pub fn remainder(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let scale = self.scale.max(other.scale);
        let remainder = self.with_scale(scale).unscaled % other.with_scale(scale).unscaled;
        Some(Decimal::new(remainder, scale))
    }

    /// Returns it with the other sign.
    pub fn negate(&self) -> Self {
        Decimal::new(-&self.unscaled, self.scale)
    }

    /// Returns it without its sign.
    pub fn abs(&self) -> Self {
        if self.signum() < 0 {
            self.negate()
        } else {
            self.clone()
        }
    }

    /// Returns the integer at or below it.
    pub fn floor(&self) -> BigInt {
        let (quotient, remainder) = self.split();
        if remainder.sign() == Sign::Minus {
            quotient - 1
        } else {
            quotient
        }
    }

    /// Returns the integer at or above it.
    pub fn ceil(&self) -> BigInt {
        let (quotient, remainder) = self.split();
        if remainder.sign() == Sign::Plus {
            quotient + 1
        } else {
            quotient
        }
    }

    /// Returns it without what is behind the point.
    pub fn truncate(&self) -> BigInt {
        self.split().0
    }

    fn split(&self) -> (BigInt, BigInt) {
        let unit = ten_to(self.scale);
        (&self.unscaled / &unit, &self.unscaled % &unit)
    }

    /// Returns the nearest double.
    pub fn to_f64(&self) -> f64 {
        // The digits and the exponent are a number as Rust reads it.
        format!("{}e-{}", self.unscaled, self.scale)
            .parse()
            .unwrap_or(f64::NAN)
    }

    /// Returns the low 64 bits of the whole part, as `BigDecimal.longValue`.
    pub fn to_i64_wrapping(&self) -> i64 {
        let low = self.truncate() & BigInt::from(u64::MAX);
        u64::try_from(low).unwrap_or_default() as i64
    }

    /// Returns whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.unscaled.sign() == Sign::NoSign
    }

    /// Compares by value: 1.0 is 1.00.
    pub fn compare(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.with_scale(scale)
            .unscaled
            .cmp(&other.with_scale(scale).unscaled)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Decimal::new(value, 0)
    }
}

/// Without an exponent: `BigDecimal.toPlainString`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.magnitude().to_string();
        let sign = if self.signum() < 0 { "-" } else { "" };
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

fn ten_to(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

fn divide_half_up(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    if remainder.magnitude() * 2u32 < *divisor.magnitude() {
        return quotient;
    }
    if (dividend.sign() == Sign::Minus) == (divisor.sign() == Sign::Minus) {
        quotient + 1
    } else {
        quotient - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a decimal")
    }

    #[test]
    fn a_decimal_keeps_its_scale() {
        for text in ["0", "1.50", "-0.001", "12345678987654321.2345678987654321"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        assert_eq!(decimal(".5").to_string(), "0.5");
        assert_eq!(decimal("1.5e3").to_string(), "1500");
        assert_eq!(decimal("15e-3").to_string(), "0.015");
        for text in ["", ".", "-", "1.2.3", "0x1", "1e99999", "NaN", "--1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn halves_go_away_from_zero() {
        for (text, rounded) in [("1.5", "2"), ("-1.5", "-2"), ("1.49", "1"), ("-0.5", "-1")] {
            assert_eq!(decimal(text).with_scale(0).to_string(), rounded);
        }
        let third = decimal("-1").divide(&decimal("3"), 4).expect("not zero");
        assert_eq!(third.to_string(), "-0.3333");
        assert_eq!(decimal("1").divide(&decimal("0.00"), 2), None);
    }

    #[test]
    fn a_decimal_fits_its_type_or_does_not() {
        assert_eq!(decimal("9.99").fit(3, 1).expect("10.0").to_string(), "10.0");
        assert_eq!(decimal("99.99").fit(3, 1), None);
        assert_eq!(decimal("9.99").fit_exactly(3, 1), None);
        assert_eq!(
            (decimal("-1.5").floor(), decimal("-1.5").ceil()),
            ((-2).into(), (-1).into())
        );
    }
}
