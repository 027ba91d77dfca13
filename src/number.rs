//! Numbers that are as wide as their values, and the order of undeclared values.
//!
//! A column without a declared type is text until something uses it as a number. Then each value
//! is read by its own digits: an integer of 64 bits, else a decimal, which is exact; a double
//! only where it has an exponent, or more digits than a decimal holds. So what one value comes to
//! depends on nothing but that value.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

/// Returns a double in its canonical form: -0 is 0, and NaN is one value.
#[inline]
pub(crate) fn canonical_double(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else {
        value + 0.0
    }
}

/// Orders two doubles by size: -0 equals 0; NaN equals itself and is above the others.
#[inline]
pub(crate) fn compare_doubles(left: f64, right: f64) -> Ordering {
    let order = left.partial_cmp(&right);
    order.unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// Returns a decimal whose zero has no sign: SQL knows no -0.
pub(crate) fn unsigned_zero(value: Decimal) -> Decimal {
    if value.is_zero() { value.abs() } else { value }
}

/// A number by its value: the narrowest that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Number {
    /// An integer of 64 bits.
    Integer(i64),
    /// At most 28 digits, exactly.
    Decimal(Decimal),
    /// What has an exponent, or too many digits.
    Double(f64),
}

impl Default for Number {
    fn default() -> Self {
        Number::Integer(0)
    }
}

impl Number {
    /// Reads a number: digits with at most one point among them, after at most one sign, and
    /// perhaps an exponent; blanks around it are passed over. `Infinity`, `-Infinity` and `NaN` are
    /// what `k` writes of doubles that are not finite.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Number> {
        match parse_integer(bytes) {
            Some(value) => Some(Number::Integer(value)),
            None => parse_wide(bytes.trim_ascii()),
        }
    }

    /// Returns the nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Decimal(value) => nearest_double(value),
            Number::Double(value) => value,
        }
    }

    /// Returns it as a decimal, if its digits are few enough; a double by its shortest digits.
    pub fn to_decimal(self) -> Option<Decimal> {
        match self {
            Number::Integer(value) => Some(value.into()),
            Number::Decimal(value) => Some(value),
            Number::Double(value) => parse_decimal(ryu::Buffer::new().format(value).as_bytes()),
        }
    }

    /// Returns the same number for all that are equal: an integer if it is whole, else a decimal
    /// without zeros at its end, a double where it is not a decimal.
    #[must_use]
    pub fn canonical(self) -> Number {
        if let Number::Integer(_) = self {
            return self;
        }
        let Some(decimal) = self.to_decimal() else {
            return self;
        };
        let decimal = decimal.normalize();
        match decimal.to_i64() {
            Some(value) if decimal.scale() == 0 => Number::Integer(value),
            _ => Number::Decimal(unsigned_zero(decimal)),
        }
    }

    /// Orders two numbers by size, exactly; NaN comes last.
    pub fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Integer(left), Number::Integer(right)) => left.cmp(&right),
            (Number::Double(left), Number::Double(right)) => compare_doubles(left, right),
            (Number::Double(left), right) => compare_to_double(right, left).reverse(),
            (left, Number::Double(right)) => compare_to_double(left, right),
            (Number::Decimal(left), Number::Decimal(right)) => left.cmp(&right),
            (Number::Integer(left), Number::Decimal(right)) => Decimal::from(left).cmp(&right),
            (Number::Decimal(left), Number::Integer(right)) => left.cmp(&right.into()),
        }
    }

    /// Returns whether it is not a number, as IEEE 754 has it.
    pub fn is_nan(self) -> bool {
        matches!(self, Number::Double(value) if value.is_nan())
    }
}

/// Orders an integer or a decimal and a double. Where they are the same double, the double's own
/// digits decide, of which it may have many more.
fn compare_to_double(exact: Number, double: f64) -> Ordering {
    let near = compare_doubles(exact.to_f64(), double);
    let own = match near {
        Ordering::Equal => Number::Double(double).to_decimal(),
        _ => None,
    };
    match (own, exact.to_decimal()) {
        (Some(own), Some(exact)) => exact.cmp(&own),
        _ => near,
    }
}

/// Returns the double nearest to a decimal.
pub fn nearest_double(value: Decimal) -> f64 {
    // By its digits: `to_f64` divides, and so rounds twice.
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// Returns a number that is written with a decimal comma as [`Number::parse`] reads it: `0.5` of
/// `0,5`. Points are between groups of three digits: `1.234,5` is 1234.5 and `1.234` is 1234.
/// `None` for what is not written so, `1.5` among it: with a comma for a point it is not a number.
pub fn with_decimal_point(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim_ascii();
    if !text.contains([',', '.']) {
        return Some(Cow::Borrowed(text));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, _) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
    let (whole, fraction) = number.split_once(',').unwrap_or((number, ""));
    let is_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_grouped = |mut groups: std::str::Split<'_, char>| {
        let first = groups.next().unwrap_or_default();
        (1..=3).contains(&first.len())
            && is_digits(first)
            && groups.all(|group| group.len() == 3 && is_digits(group))
    };
    let is_whole = is_digits(whole) || is_grouped(whole.split('.'));
    let is_number = is_whole && is_digits(fraction) && number.len() > 1;
    is_number.then(|| Cow::Owned(text.replace('.', "").replace(',', ".")))
}

/// Reads an integer of 64 bits as [`Number::parse`] reads numbers.
#[inline]
pub fn parse_integer(bytes: &[u8]) -> Option<i64> {
    /// This many digits fit, whatever they are.
    const FITS: usize = 18;
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > FITS {
        let text = std::str::from_utf8(bytes).ok()?;
        return text.trim_ascii().parse().ok();
    }
    let mut value = 0_i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let trimmed = bytes.trim_ascii();
            return if trimmed.len() < bytes.len() {
                parse_integer(trimmed)
            } else {
                None
            };
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Reads a double as [`Number::parse`] reads numbers.
pub fn parse_double(bytes: &[u8]) -> Option<f64> {
    let bytes = bytes.trim_ascii();
    let unsigned = unsigned(bytes);
    if !unsigned
        .first()
        .is_some_and(|first| first.is_ascii_digit() || *first == b'.')
    {
        return match bytes {
            b"Infinity" => Some(f64::INFINITY),
            b"-Infinity" => Some(f64::NEG_INFINITY),
            b"NaN" => Some(f64::NAN),
            _ => None,
        };
    }
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn unsigned(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'+' | b'-', rest @ ..] => rest,
        rest => rest,
    }
}

/// Reads a number that is not an integer of 64 bits.
fn parse_wide(bytes: &[u8]) -> Option<Number> {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let digits = unsigned(bytes);
    if digits.iter().all(is_plain)
        && digits.iter().any(u8::is_ascii_digit)
        && let Some(value) = parse_decimal(bytes)
    {
        return Some(Number::Decimal(value));
    }
    parse_double(bytes).map(Number::Double)
}

/// Reads a decimal number, also as `1.5e3`, if its digits are few enough to be kept exactly.
pub fn parse_decimal(bytes: &[u8]) -> Option<Decimal> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('+').unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    if number.starts_with('+') || number.contains('_') {
        return None;
    }
    let number = Decimal::from_str_exact(number).ok()?;
    let (mut mantissa, mut scale) = (number.mantissa(), number.scale());
    let power = exponent.unsigned_abs();
    if exponent > 0 {
        mantissa = mantissa.checked_mul(10_i128.checked_pow(power)?)?
    } else {
        scale = scale.checked_add(power)?
    }
    let value = Decimal::try_from_i128_with_scale(mantissa, scale).ok();
    value.map(unsigned_zero)
}

/// Compares two undeclared values: as numbers where both are numbers, else as texts; a number comes
/// before what is none. 1.5 and 1.50 are equal.
pub fn compare(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.compare(right),
        (None, None) => left.cmp(right),
        (left, right) => right.is_some().cmp(&left.is_some()),
    }
}

/// Orders two undeclared values as [`compare`] does; those that it takes for equal, by their bytes.
/// Only the same text is equal.
pub fn order(left: &str, right: &str) -> Ordering {
    compare(left, right).then_with(|| left.cmp(right))
}

fn number(text: &str) -> Option<Number> {
    Number::parse(text.as_bytes()).filter(|number| !number.is_nan())
}

/// Returns whether a text is what JSON writes for a number, `true` or `false`: then it needs no
/// quotes there.
pub fn is_bare(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut rest = match (rest.first(), digits(rest)) {
        (_, 0) => return matches!(bytes, b"true" | b"false"),
        (Some(b'0'), 2..) => return false,
        (_, whole) => &rest[whole..],
    };
    if let [b'.', fraction @ ..] = rest {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = unsigned(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Number> {
        Number::parse(text.as_bytes())
    }

    #[test]
    fn a_decimal_comma_is_a_point_and_points_stand_between_thousands() {
        for (text, expected) in [
            ("0,5", "0.5"),
            ("-1.234,56", "-1234.56"),
            ("+12.345.678", "+12345678"),
            ("1234,5", "1234.5"),
            (",5", ".5"),
            ("5,", "5."),
            (" 1,5e3 ", "1.5e3"),
            ("17", "17"),
            ("Infinity", "Infinity"),
        ] {
            assert_eq!(
                with_decimal_point(text).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        for text in [
            "1.5",
            "1.23,4",
            "1234.567",
            "1,2,3",
            ".123",
            ",",
            "a,b",
            "29.03.2026",
            "1.234.5",
        ] {
            assert_eq!(with_decimal_point(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_as_wide_as_its_digits() {
        let decimal = |text: &str| {
            let value = Decimal::from_str_exact(text).expect("a decimal");
            Some(Number::Decimal(value))
        };
        for (text, number) in [
            ("7", Some(Number::Integer(7))),
            ("007", Some(Number::Integer(7))),
            (" +1767225600000", Some(Number::Integer(1_767_225_600_000))),
            ("-9223372036854775808", Some(Number::Integer(i64::MIN))),
            ("9223372036854775808", decimal("9223372036854775808")),
            ("12345678901234567891", decimal("12345678901234567891")),
            (".5", decimal("0.5")),
            ("5.", decimal("5")),
            ("-1.50 ", decimal("-1.50")),
            ("12e5", Some(Number::Double(1_200_000.0))),
            (
                "1234567890123456789012345678901",
                Some(Number::Double(1.234_567_890_123_456_8e30)),
            ),
            ("Infinity", Some(Number::Double(f64::INFINITY))),
        ] {
            assert_eq!(read(text), number, "{text}");
        }
        for text in [
            "", " ", "-", ".", "+-1", "1 2", "0x10", "inf", "nan", "1e400", "1e", "1_000", "½",
            "1,5",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn integers_are_read_as_the_standard_library_reads_them() {
        for digits in [
            "1234567890123456789012",
            "9999999999999999999",
            "0000000000000000000001",
        ] {
            for sign in ["", "-", "+", "--"] {
                for length in 0..=digits.len() {
                    let text = format!("{sign}{}", &digits[..length]);
                    assert_eq!(parse_integer(text.as_bytes()), text.parse().ok(), "{text}");
                }
            }
        }
    }

    #[test]
    fn numbers_come_in_their_exact_order_and_before_texts() {
        let ordered = [
            "-1e400",
            "-Infinity",
            "-2",
            "-1.5",
            "0",
            "1",
            "1.50",
            "2",
            "10",
            "9007199254740992",
            "9007199254740993",
            "12345678901234567890",
            "12345678901234567891",
            "1e30",
            "Infinity",
        ];
        for pair in ordered[1..].windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1.5", "1.50"), Ordering::Equal);
        assert_eq!(compare("007", "7e0"), Ordering::Equal);
        assert_eq!(order("1.5", "1.50"), Ordering::Less);
        assert_eq!(compare("99", "9a"), Ordering::Less);
        assert_eq!(compare("a", "B"), Ordering::Greater);
        assert_eq!(compare("NaN", "1"), Ordering::Greater);
    }

    #[test]
    fn equal_numbers_have_one_canonical_form() {
        for (one, other) in [
            ("2", "2.0"),
            ("2", "2e0"),
            ("0.5", "5e-1"),
            ("0", "-0.0"),
            ("1.5", "1.500"),
        ] {
            let canonical = |text| read(text).map(Number::canonical);
            assert_eq!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn bare_is_what_json_writes_without_quotes() {
        for text in [
            "0", "-7", "1.50", "12e5", "1E+9", "true", "false", "1e400", "0.5",
        ] {
            assert!(is_bare(text), "{text}");
            let json: Result<&serde_json::value::RawValue, _> = serde_json::from_str(text);
            assert!(json.is_ok(), "{text}");
        }
        for text in [
            "", "007", "+7", ".5", "5.", "1e", "-", " 1", "null", "TRUE", "1.5.2", "-.5", "0x1",
        ] {
            assert!(!is_bare(text), "{text}");
        }
    }
}
