//! One field of CSV → its value.

use rust_decimal::Decimal;
use wide::{bytemuck, i16x8, u8x16};

use super::{TimeUnit, text_to_ms};
use crate::column::{Column, DataType};
use crate::number::{Number, parse_decimal, parse_double, parse_integer};

/// A value that is read from a field of the form `F`.
pub(super) trait FromField<F>: Copy + Default {
    /// Reads a field; an empty one is null.
    ///
    /// # Errors
    /// What the field is not, to be said behind "is".
    fn from_field(field: F) -> Result<Option<Self>, &'static str>;
}

impl FromField<Ending<'_>> for i64 {
    #[inline(always)] // as all that is done once a field: the compiler leaves it out of line else
    fn from_field(field: Ending<'_>) -> Result<Option<i64>, &'static str> {
        match field.bytes {
            [] => Ok(None),
            _ => field.bigint().map(Some).ok_or("not a bigint"),
        }
    }
}

/// A declared timestamp: ms since 1970, or ISO 8601.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Time(pub i64);

impl FromField<&[u8]> for Time {
    fn from_field(field: &[u8]) -> Result<Option<Time>, &'static str> {
        let text = std::str::from_utf8(field).unwrap_or_default();
        match field {
            [] => Ok(None),
            _ => text_to_ms(text, TimeUnit::Ms, None)
                .map(|at| Some(Time(at)))
                .map_err(|_| "not a timestamp"),
        }
    }
}

impl FromField<&[u8]> for f64 {
    fn from_field(field: &[u8]) -> Result<Option<f64>, &'static str> {
        match field {
            [] => Ok(None),
            _ => parse_double(field).map(Some).ok_or("not a double"),
        }
    }
}

impl FromField<&[u8]> for Decimal {
    fn from_field(field: &[u8]) -> Result<Option<Decimal>, &'static str> {
        match field {
            [] => Ok(None),
            _ => parse_decimal(field.trim_ascii())
                .map(Some)
                .ok_or("not a decimal"),
        }
    }
}

impl FromField<&[u8]> for Number {
    fn from_field(field: &[u8]) -> Result<Option<Number>, &'static str> {
        match field {
            [] => Ok(None),
            _ => Number::parse(field).map(Some).ok_or("not a number"),
        }
    }
}

impl FromField<&[u8]> for bool {
    fn from_field(field: &[u8]) -> Result<Option<bool>, &'static str> {
        match field {
            [] => Ok(None),
            _ if field.eq_ignore_ascii_case(b"true") => Ok(Some(true)),
            _ if field.eq_ignore_ascii_case(b"false") => Ok(Some(false)),
            _ => Err("not a boolean"),
        }
    }
}

/// Text comes as such, or as `None` where it is not UTF-8.
impl<'a> FromField<Option<&'a str>> for &'a str {
    #[inline(always)]
    fn from_field(field: Option<&'a str>) -> Result<Option<&'a str>, &'static str> {
        match field {
            Some("") => Ok(None),
            Some(text) => Ok(Some(text)),
            None => Err("not UTF-8"),
        }
    }
}

/// A field, and where it lies in more bytes the sixteen that end with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending<'a> {
    pub bytes: &'a [u8],
    pub last: Option<&'a [u8; 16]>,
}

impl Ending<'_> {
    /// Reads a decimal integer of 64 bits, as [`parse_integer`]. A field that is empty is none, and
    /// not to be asked for.
    #[inline(always)]
    fn bigint(self) -> Option<i64> {
        /// Behind 16 - n zeros the mask of the last n bytes.
        const MASKS: [u8; 32] = {
            let mut masks = [0; 32];
            masks.split_at_mut(16).1.copy_from_slice(&[u8::MAX; 16]);
            masks
        };
        if let Some(last) = self.last
            && let Some(masks) = MASKS.get(self.bytes.len()..)
            && let Some(mask) = masks.first_chunk()
            && let Some(value) = join((u8x16::new(*last) ^ u8x16::splat(b'0')) & u8x16::new(*mask))
        {
            return Some(value);
        }
        parse_integer(self.bytes)
    }
}

/// Returns the number that sixteen digits make, if each is at most nine: pairs, then fours, then
/// eights, each by one multiplication (W. Muła, "Parsing series of integers with SIMD", 2018).
#[inline(always)]
fn join(digits: u8x16) -> Option<i64> {
    if digits.max(u8x16::splat(9)) != u8x16::splat(9) {
        return None;
    }
    let digits: i16x8 = bytemuck::cast(digits); // the first of two in the lower byte
    let pairs: i16x8 = (digits & i16x8::splat(0xFF)) * i16x8::splat(10) + (digits >> 8_i32);
    let fours = pairs.dot(i16x8::new([100, 1, 100, 1, 100, 1, 100, 1]));
    let fours = i16x8::from_i32x8_saturate(bytemuck::cast([fours, fours])); // below 10,000
    let eights = fours.dot(i16x8::new([10_000, 1, 10_000, 1, 10_000, 1, 10_000, 1]));
    let [first, last, ..] = eights.to_array();
    Some(i64::from(first) * 100_000_000 + i64::from(last))
}

/// Reads a text as a column's type, as a field of CSV is read; an empty one stays an empty text.
///
/// # Errors
/// What it is not.
pub(super) fn push_text<'a>(
    column: &mut Column<'a>,
    data_type: DataType,
    text: &'a str,
) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    match column {
        Column::Bigint(values) if data_type == DataType::Timestamp => {
            let time = Time::from_field(bytes)?;
            values.push(time.map(|Time(at)| at));
        }
        Column::Bigint(values) => {
            let last = None;
            values.push(FromField::from_field(Ending { bytes, last })?);
        }
        Column::Double(values) => values.push(FromField::from_field(bytes)?),
        Column::Decimal(values) => values.push(FromField::from_field(bytes)?),
        Column::Boolean(values) => values.push(FromField::from_field(bytes)?),
        Column::Number(values) => values.push(FromField::from_field(bytes)?),
        Column::Text(values) | Column::Any(values) => values.push(Some(text)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an integer alone and after other bytes, and sees that both are the same.
    fn bigint(field: &[u8]) -> Option<i64> {
        let alone = parse_integer(field);
        for before in [
            &b""[..],
            b"2026-01-01 00:00:00,",
            b"\xFF\xFF\xFF\xFF:::://///99999-",
        ] {
            let line = [before, field].concat();
            let ending = Ending {
                bytes: &line[before.len()..],
                last: line.last_chunk(),
            };
            let is_same = field.is_empty() || ending.bigint() == alone;
            assert!(is_same, "\"{}\"", line.escape_ascii());
        }
        alone
    }

    #[test]
    fn integers_of_every_length_are_read_as_the_standard_library_reads_them() {
        for digits in [
            "1234567890123456789012",
            "9999999999999999999999",
            "0000000000000000000001",
        ] {
            for sign in ["", "-", "+", "--"] {
                for length in 0..=digits.len() {
                    let text = format!("{sign}{}", &digits[..length]);
                    let fits = (1..=18).contains(&length) && sign != "--";
                    let value = bigint(text.as_bytes());
                    assert!(value.is_some() || !fits, "{text}");
                    assert!(value.is_none() || sign != "--", "{text}");
                    assert_eq!(value, text.parse().ok(), "{text}");
                }
            }
        }
        for text in [
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
        ] {
            assert_eq!(bigint(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn decimals_keep_their_digits_or_are_refused() {
        let read = |text: &str| parse_decimal(text.as_bytes()).map(|value| value.to_string());
        for (text, value) in [
            ("19.90", "19.90"),
            ("-0.00", "0.00"),
            ("1.5e3", "1500.0"),
            ("25E-4", "0.0025"),
            (
                "79228162514264337593543950335",
                "79228162514264337593543950335",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Some(value), "{text}");
        }
        for text in [
            "",
            "x",
            "1e",
            "1e40",
            "1e-40",
            "0.12345678901234567890123456789",
            "79228162514264337593543950336",
            "NaN",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_found_at_every_place() {
        for length in 1..=20 {
            for at in 0..length {
                for wrong in (0..=255_u8).filter(|byte| !byte.is_ascii_digit()) {
                    let mut bytes = vec![b'7'; length];
                    bytes[at] = wrong;
                    let is_sign = at == 0 && matches!(wrong, b'-' | b'+');
                    let is_blank = (at == 0 || at + 1 == length) && wrong.is_ascii_whitespace();
                    let fits = (is_sign || is_blank) && (2..=20).contains(&length);
                    assert_eq!(bigint(&bytes).is_some(), fits, "{:?}", bytes.escape_ascii());
                }
            }
        }
    }
}
