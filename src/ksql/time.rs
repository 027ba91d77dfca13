//! Days, times of day and moments as text.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::expression::functions::pattern;

/// Writes a day: `2020-05-11`.
pub fn date_text(days: i32) -> String {
    date_of(days).map_or_else(|| days.to_string(), |date| date.to_string())
}

/// Writes a time of day: `21:58`, `21:58:33`; ms are not shown, as in ksqlDB.
pub fn time_text(ms: i32) -> String {
    let seconds = ms / 1_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

/// Writes a moment: `2020-05-11T21:58:33.000`, UTC.
pub fn timestamp_text(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string(),
        Err(_) => ms.to_string(),
    }
}

/// Returns the day so many days after 1970 began.
pub fn date_of(days: i32) -> Option<Date> {
    Date::constant(1970, 1, 1).checked_add(days.days()).ok()
}

/// Returns how many days after 1970 began a day is.
pub fn days_of(date: Date) -> i32 {
    Date::constant(1970, 1, 1)
        .until(date)
        .map_or(0, |span| span.get_days())
}

/// Reads `2020-05-11`.
pub fn parse_date(text: &str) -> Option<i32> {
    let moment = parse_timestamp(text.trim())?;
    Some(i32::try_from(moment.div_euclid(86_400_000)).unwrap_or_default())
}

/// Reads `21:58`, `21:58:33.123`, in ms.
pub fn parse_time(text: &str) -> Option<i32> {
    let time: Time = text.trim().parse().ok()?;
    let ms =
        (i32::from(time.hour()) * 3_600 + i32::from(time.minute()) * 60 + i32::from(time.second()))
            * 1_000;
    Some(ms + i32::from(time.millisecond()))
}

/// Reads a moment of which the end may be missing: `2020`, `2020-05`, `2020-05-11T21`,
/// `2020-05-11T21:58:33.123`, with a zone behind the `T`: `Z`, `+01:00`, `+0100`; UTC without one.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i16>());
    let year = parts.next()?.ok()?;
    let month = parts.next().unwrap_or(Ok(1)).ok()?;
    let day = parts.next().unwrap_or(Ok(1)).ok()?;
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = Date::new(year, month, day).ok()?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let zone = match zone {
        "" | "Z" => TimeZone::UTC,
        _ => offset(zone)?,
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':').map(|part| {
        if part.is_empty() {
            Ok(0)
        } else {
            part.parse::<i8>()
        }
    });
    let mut next = || parts.next().unwrap_or(Ok(0)).ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    let nanos: i32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let time = Time::new(hour, minute, second, nanos).ok()?;
    let moment = zone.to_timestamp(DateTime::from_parts(date, time)).ok()?;
    Some(moment.as_millisecond())
}

/// Reads a moment by a pattern of Java's `DateTimeFormatter`; `zone` counts where the text has none.
pub fn parse_by_pattern(text: &str, pattern: &str, zone: &TimeZone) -> Option<Timestamp> {
    pattern::check(pattern).ok()?;
    pattern::parse(text, pattern, zone)
}

/// Reads `+01:00`, `-0130`, `+01`.
fn offset(text: &str) -> Option<TimeZone> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = match digits.len() {
        2 => 0,
        4 => digits.get(2..)?.parse().ok()?,
        _ => return None,
    };
    let seconds = sign * (hours * 3_600 + minutes * 60);
    jiff::tz::Offset::from_seconds(seconds)
        .ok()
        .map(TimeZone::fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_moment_may_be_missing() {
        let day = 1_514_764_800_000;
        for (text, ms) in [
            ("2018", Some(day)),
            ("2018-01", Some(day)),
            ("2018-01-01T00:00:00.001", Some(day + 1)),
            ("2018-01-01T01+01:00", Some(day)),
            ("2018-01-01T00:00:01Z", Some(day + 1_000)),
            ("2018-13", None),
            ("then", None),
            ("", None),
        ] {
            assert_eq!(parse_timestamp(text), ms, "{text}");
        }
        assert_eq!(timestamp_text(day + 1), "2018-01-01T00:00:00.001");
        assert_eq!(
            (date_text(10), parse_date("1970-01-11")),
            ("1970-01-11".to_owned(), Some(10))
        );
        assert_eq!(
            (time_text(36_000_000), parse_time("10:00:00.005")),
            ("10:00".to_owned(), Some(36_000_005))
        );
    }
}
