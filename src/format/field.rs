//! One field of CSV → its value.

/// A value that is read from a field of the form `F`.
pub(super) trait FromField<F>: Copy + Default {
    /// Reads a field; an empty one is null.
    ///
    /// # Errors
    /// What the field is not, to be said behind "is".
    fn from_field(field: F) -> Result<Option<Self>, &'static str>;
}

impl FromField<&[u8]> for i64 {
    #[inline(always)] // as all that is done once a field: the compiler leaves it out of line else
    fn from_field(field: &[u8]) -> Result<Option<i64>, &'static str> {
        match field {
            [] => Ok(None),
            _ => parse_bigint(field).map(Some).ok_or("not a bigint"),
        }
    }
}

impl FromField<&[u8]> for f64 {
    fn from_field(field: &[u8]) -> Result<Option<f64>, &'static str> {
        if field.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(field).unwrap_or_default();
        let finite = text.parse().ok().filter(|value: &f64| value.is_finite());
        finite.map(Some).ok_or("not a double")
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

/// Reads a decimal integer of 64 bits: digits, after at most one `-`.
#[inline(always)]
pub(super) fn parse_bigint(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let value = match digits.len() {
        // Two loads that overlap hold the digits, whatever their number.
        9..=16 => {
            let (first, last) = (digits.first_chunk()?, digits.last_chunk()?);
            // Of the first eight those that the last eight hold, too, make way for zeros.
            let shared = 16 - digits.len();
            let first = digit_values(*first) << (8 * shared);
            let last = digit_values(*last);
            if !are_digits(first) || !are_digits(last) {
                return None;
            }
            join(first) * 100_000_000 + join(last)
        }
        1..=8 => {
            let mut eight = [b'0'; 8];
            eight[8 - digits.len()..].copy_from_slice(digits);
            let digits = digit_values(eight);
            if !are_digits(digits) {
                return None;
            }
            join(digits)
        }
        _ => {
            // 19 digits may or may not fit, and `+` is no digit.
            let text = std::str::from_utf8(bytes).ok()?;
            return text.parse().ok().filter(|_| !text.starts_with('+'));
        }
    };
    Some(if negative { -value } else { value })
}

/// Turns eight characters into eight digits, the first in the lowest byte; what is no digit becomes
/// greater than 9.
#[inline]
fn digit_values(characters: [u8; 8]) -> u64 {
    u64::from_le_bytes(characters) ^ 0x3030_3030_3030_3030
}

/// Returns whether eight bytes are at most 9.
#[inline]
fn are_digits(bytes: u64) -> bool {
    let beyond_nine = bytes.wrapping_add(0x7676_7676_7676_7676) | bytes;
    beyond_nine & 0x8080_8080_8080_8080 == 0
}

/// Returns the number that eight digits make: pairs, then fours, then all eight, each by one
/// multiplication (D. Lemire, "Quickly parsing eight digits", 2018).
#[inline]
fn join(digits: u64) -> i64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let upper = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    (upper.wrapping_add(lower) >> 32) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an integer as the standard library does, which allows a `+`.
    fn plainly(text: &str) -> Option<i64> {
        text.parse().ok().filter(|_| !text.starts_with('+'))
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
                    assert_eq!(parse_bigint(text.as_bytes()), plainly(&text), "{text}");
                }
            }
        }
        for text in [
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
        ] {
            assert_eq!(parse_bigint(text.as_bytes()), plainly(text), "{text}");
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_is_found_at_every_place() {
        for length in 1..=20 {
            for at in 0..length {
                for wrong in (0..=255_u8).filter(|byte| !byte.is_ascii_digit()) {
                    let mut bytes = vec![b'7'; length];
                    bytes[at] = wrong;
                    let fits = at == 0 && wrong == b'-' && (2..=20).contains(&length);
                    assert_eq!(
                        parse_bigint(&bytes).is_some(),
                        fits,
                        "{:?}",
                        bytes.escape_ascii()
                    );
                }
            }
        }
    }
}
