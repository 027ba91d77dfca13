//! Durations, times, shares, rates, counts and bytes: parsed from flags, printed for people.
//!
//! Durations and times are whole milliseconds; times count from 1970, UTC.

use jiff::civil::{Date, DateTime, Time, date};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::SystemTime;

/// Milliseconds in a second.
pub const SECOND: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Milliseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Milliseconds in a day of 24 hours.
pub const DAY: i64 = 24 * HOUR;

/// The longest duration, in days: more than the years 1 to 9999 hold.
const MAX_DAYS: i64 = 4_000_000;

const UNITS: [(&str, i64); 5] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", 1),
];

/// Parses `250ms`, `10s`, `5m`, `1h`, `1d` or a combination such as `1m30s` into ms.
///
/// Zero and above; fractions (`1.5s`) are taken where they are whole ms.
///
/// # Errors
/// What is wrong, for clap: no unit, an unknown unit, a sign, more than 4,000,000 days.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let mut total: i64 = 0;
    let example = "write a number and a unit, such as `250ms`, `10s`, `5m`, `1h`, `1d` or `1m30s`";
    each_part(text, example, |number, unit| {
        total = total.saturating_add(ms_of(number, unit, example)?);
        Ok(())
    })?;
    at_most_longest(total)
}

/// Returns a duration that is not too long.
pub(super) fn at_most_longest(duration_ms: i64) -> Result<i64, String> {
    if duration_ms <= MAX_DAYS * DAY {
        Ok(duration_ms)
    } else {
        Err(format!("a duration can be at most {MAX_DAYS}d"))
    }
}

/// Hands each number of `1m30s` and its unit to `add`; `example` says what to write instead of what
/// is none.
pub(super) fn each_part(
    text: &str,
    example: &str,
    mut add: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("a duration is missing; {example}"));
    }
    if rest.starts_with('-') {
        return Err("a duration cannot be negative".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        if number.is_empty() {
            return Err(example.to_owned());
        }
        if unit.is_empty() {
            return Err(format!("`{number}` has no unit; {example}"));
        }
        add(number, unit)?;
        rest = next;
    }
    Ok(())
}

/// Returns so many of a unit in ms.
pub(super) fn ms_of(number: &str, unit: &str, example: &str) -> Result<i64, String> {
    let Some(&(_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unknown unit `{unit}`; {example}"));
    };
    scaled(number, factor)
        .ok_or_else(|| format!("`{number}{unit}` is not a whole number of milliseconds"))
}

/// Parses a duration that may not be zero.
///
/// # Errors
/// As [`parse_duration`], and for zero.
pub(crate) fn parse_positive_duration(text: &str) -> Result<i64, String> {
    match parse_duration(text)? {
        0 => Err("the duration must be above zero".to_owned()),
        duration => Ok(duration),
    }
}

/// Returns `number` × `factor` if that is whole; the largest number for all that is larger.
fn scaled(number: &str, factor: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() {
        return None;
    }
    // Digits alone: nothing but their number can be wrong.
    let whole = whole.parse::<i64>().unwrap_or(i64::MAX);
    let mut total = whole.saturating_mul(factor);
    if number.contains('.') {
        let digits = fraction.trim_end_matches('0');
        if fraction.is_empty() || digits.len() > 12 {
            return None;
        }
        if !digits.is_empty() {
            let parts = 10_i128.pow(digits.len() as u32);
            let scaled = digits.parse::<i128>().ok()? * i128::from(factor);
            if scaled % parts != 0 {
                return None;
            }
            total = total.saturating_add(i64::try_from(scaled / parts).ok()?);
        }
    }
    Some(total)
}

/// Prints a duration in ms as [`parse_duration`] reads it: `1m30s`, `250ms`, `0s`.
pub fn format_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = ms.unsigned_abs();
    if ms < 0 {
        text.push('-');
    }
    for (unit, size) in UNITS {
        let count = rest / size as u64;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest %= size as u64;
        }
    }
    text
}

/// Parses a time: whole ms since 1970, ISO 8601 (UTC where no zone is given), or relative to
/// `now` such as `-10m`. Returns ms since 1970, UTC.
///
/// # Errors
/// What is wrong, for clap.
pub fn parse_time(text: &str, now: i64) -> Result<i64, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    for (sign, direction) in [('-', -1), ('+', 1)] {
        if let Some(duration) = text.strip_prefix(sign) {
            return Ok(now.saturating_add(direction * parse_duration(duration)?));
        }
    }
    parse_iso(text).ok_or_else(|| {
        "write ms since 1970, ISO 8601 such as `2026-01-01T00:00:00Z`, or relative to now such as `-10m`"
            .to_owned()
    })
}

/// Reads ISO 8601, UTC where no zone is given, as ms since 1970; `None` for any other text.
pub fn parse_iso(text: &str) -> Option<i64> {
    parse_iso_in(text, None)
}

/// As [`parse_iso`], of a zone where the text names none. Of a time that its clocks show twice it is the
/// earlier one; one that they skip is as far behind the gap as it is into it.
pub(crate) fn parse_iso_in(text: &str, zone: Option<&TimeZone>) -> Option<i64> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return i64::try_from(at.as_nanosecond().div_euclid(NANOS_A_MS)).ok();
    }
    // Without a zone, or of the last day of the year 9999, which a `Timestamp` has not.
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces
        .date()
        .to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let ahead_ms = match pieces.to_numeric_offset() {
        Some(offset) => i64::from(offset.seconds()) * SECOND,
        None if pieces.time_zone_annotation().is_some() => return None,
        None => match zone {
            Some(zone) => return Some(zone.to_timestamp(local).ok()?.as_millisecond()),
            None => 0,
        },
    };
    let since = local.duration_since(EPOCH.to_datetime(Time::midnight()));
    let ms = since.as_nanos().div_euclid(NANOS_A_MS);
    i64::try_from(ms).ok()?.checked_sub(ahead_ms)
}

/// This many ns are a ms; a time between two of them belongs to the one before.
const NANOS_A_MS: i128 = 1_000_000;

/// 1970-01-01.
const EPOCH: Date = date(1970, 1, 1);

/// Returns ms since 1970, UTC, of this moment.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Prints ms since 1970 as ISO 8601 in UTC, whole seconds without a fraction:
/// `2026-01-01T00:00:10Z`, `2026-01-01T00:00:10.25Z`; a time outside years -9999 to 9999 as its number.
pub fn format_time(ms: i64) -> String {
    let epoch: DateTime = EPOCH.to_datetime(Time::midnight());
    match epoch.checked_add(SignedDuration::from_millis(ms)) {
        Ok(at) => format!("{at}Z"),
        Err(_) => ms.to_string(),
    }
}

/// Prints ms since 1970 without year and zone, for where there is no room: `01-01 00:00:10.25`, in UTC.
pub(crate) fn format_short_time(ms: i64) -> String {
    let full = format_time(ms);
    let bare = full.strip_suffix('Z').and_then(|full| full.split_once('T'));
    match bare.and_then(|(date, time)| Some((date.get(date.len().checked_sub(5)?..)?, time))) {
        Some((day, time)) => format!("{day} {time}"),
        None => full,
    }
}

/// Prints ms since 1970 as the time of the day alone, where the day is known: `00:00:10.25`, in UTC.
pub fn format_time_of_day(ms: i64) -> String {
    let full = format_time(ms);
    let bare = full.strip_suffix('Z').and_then(|full| full.split_once('T'));
    bare.map_or(full.clone(), |(_, time)| time.to_owned())
}

/// Returns the local time, such as `20:07`.
pub(crate) fn format_clock(at: SystemTime) -> String {
    match jiff::Zoned::try_from(at) {
        Ok(at) => at
            .with_time_zone(jiff::tz::TimeZone::system())
            .strftime("%H:%M")
            .to_string(),
        Err(_) => "later".to_owned(),
    }
}

/// Parses `5%` or `0.05` into a share from 0 to 1.
///
/// # Errors
/// What is wrong, for clap.
pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text.trim(), 1.0),
    };
    match number.trim_end().parse::<f64>() {
        Ok(value) if (0.0..=scale).contains(&value) => Ok(value / scale),
        Ok(_) => Err("a share must be between 0 and 1, or 0% and 100%".to_owned()),
        Err(_) => Err("write a share such as `5%` or `0.05`".to_owned()),
    }
}

/// Prints a count with thousands apart: `1,234,567`.
pub(crate) fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a count with its noun: `1 record`, `2,000 records`.
pub fn format_plural(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", format_count(count))
}

/// Prints records a second with three digits: `950/s`, `12.3 k/s`, `1.70 M/s`.
pub(crate) fn format_rate(per_second: f64) -> String {
    let (value, unit) = match per_second {
        v if v >= 1e6 => (v / 1e6, " M/s"),
        v if v >= 1e4 => (v / 1e3, " k/s"),
        v => (v, "/s"),
    };
    format!("{}{unit}", three_digits(value))
}

/// Reads bytes: a number with B, kB, MB, GB (powers of 1,000) or KiB, MiB, GiB (of 1,024).
///
/// # Errors
/// What is wrong, for clap.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 7] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("B", 1.0),
    ];
    let found = UNITS.iter().find_map(|&(unit, factor)| {
        let number = text.trim().strip_suffix(unit)?.trim_end();
        let number: f64 = number.parse().ok()?;
        (number > 0.0 && number.is_finite()).then_some(number * factor)
    });
    found
        .map(|bytes| bytes as u64)
        .ok_or_else(|| "write a number of bytes with a unit, such as `512MiB` or `1GB`".to_owned())
}

/// Prints bytes with three digits, by powers of 1,000: `512 B`, `1.09 GB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    let value = bytes as f64;
    let (value, unit) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (value / 1e3, "kB"),
        1_000_000..1_000_000_000 => (value / 1e6, "MB"),
        _ => (value / 1e9, "GB"),
    };
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_need_a_unit() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1.5 kB"), Ok(1_500));
        assert_eq!(parse_bytes("7B"), Ok(7));
        for wrong in ["", "512", "-1MB", "0B", "MB", "1 TB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_combine_and_come_back() {
        for (text, ms) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1d", DAY),
            ("1.5s", 1_500),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        assert_eq!(format_duration(90_250), "1m30s250ms");
        assert_eq!(
            parse_duration(&format_duration(123_456_789)),
            Ok(123_456_789)
        );
    }

    #[test]
    fn durations_without_sense_are_refused() {
        for text in [
            "", "10", "s", "-5s", "10 s", "1.5ms", "1x", "1..5s", ".5s", "1s2",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        let longest = "4000000d";
        assert!(parse_duration(longest).is_ok());
        for text in [
            "4000000d1ms",
            "9223372036854775807ms",
            "99999999999999999999999s",
            "3000000d3000000d",
        ] {
            let refused = parse_duration(text).expect_err(text);
            assert!(refused.contains(longest), "{refused}");
        }
    }

    #[test]
    fn times_are_ms_or_iso_or_relative() {
        assert_eq!(parse_time("1767225600000", 0), Ok(1_767_225_600_000));
        assert_eq!(parse_time("2026-01-01T00:00:00Z", 0), Ok(1_767_225_600_000));
        assert_eq!(
            parse_time("2026-01-01T00:00:00.250", 0),
            Ok(1_767_225_600_250)
        );
        assert_eq!(parse_time("2026-01-01", 0), Ok(1_767_225_600_000));
        assert_eq!(
            parse_time("2026-01-01T01:00:00+01:00", 0),
            Ok(1_767_225_600_000)
        );
        assert_eq!(parse_time("-10m", 3_600_000), Ok(3_000_000));
        assert_eq!(parse_time("-5", 0), Ok(-5));
        for text in ["9999-12-31T23:59:59.999Z", "9999-12-31T22:59:59.999-01:00"] {
            assert_eq!(parse_time(text, 0), Ok(253_402_300_799_999), "{text}");
        }
        assert_eq!(parse_iso("0001-01-01T00:00Z"), Some(-62_135_596_800_000));
        for text in [
            "now",
            "-10m",
            "2026-13-01",
            "2026-01-01T00:00[Europe/Paris]",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        assert!(parse_time("yesterday", 0).is_err());
        assert!(parse_time("-é", 0).is_err());
    }

    #[test]
    fn shares_lie_between_nothing_and_all() {
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.05"), Ok(0.05));
        for text in ["-1%", "101%", "2", "five", "NaN"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_printed_short() {
        assert_eq!(format_count(1_234_567), "1,234,567");
        assert_eq!(format_rate(1_700_000.0), "1.70 M/s");
        assert_eq!(format_bytes(1_090_000_000), "1.09 GB");
        assert_eq!(format_time(1_767_225_610_250), "2026-01-01T00:00:10.25Z");
        assert_eq!(format_time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_time(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
        assert_eq!(format_time(253_402_300_800_000), "253402300800000");
    }
}
