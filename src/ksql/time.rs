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
    let moment = parse_timestamp(text)?;
    Some(i32::try_from(moment.div_euclid(86_400_000)).unwrap_or_default())
}

/// Reads `21:58`, `21:58:33.123`, in ms.
pub fn parse_time(text: &str) -> Option<i32> {
    let text = text.trim();
    let time: Time = text.parse().ok()?;
    // Hours alone, and digits without colons, are no time of day in ksqlDB.
    if text.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let ms =
        (i32::from(time.hour()) * 3_600 + i32::from(time.minute()) * 60 + i32::from(time.second()))
            * 1_000;
    Some(ms + i32::from(time.millisecond()))
}

/// Reads a moment of which the end may be missing: `2020`, `2020-05`, `2020-05-11T21`,
/// `2020-05-11T21:58:33.123`, with a zone behind the `T`: `Z`, `+01:00`, `+0100`; UTC without one.
/// Each part has all of its digits.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let is_whole = [4, 7, 10].contains(&date.len());
    let date = completed(date, "0000-01-01").filter(|_| is_whole)?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone_at);
    let zone = match zone {
        "" | "Z" => TimeZone::UTC,
        _ => offset(zone)?,
    };
    let time = completed(time, "00:00:00.000")?;
    let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let small = |text: &str, from: usize| i8::try_from(number(text, from, from + 2)?).ok();
    let date = Date::new(number(&date, 0, 4)?, small(&date, 5)?, small(&date, 8)?).ok()?;
    let nanos = i32::from(number(&time, 9, 12)?) * 1_000_000;
    let (hour, minute, second) = (small(&time, 0)?, small(&time, 3)?, small(&time, 6)?);
    let time = Time::new(hour, minute, second, nanos).ok()?;
    let moment = zone.to_timestamp(DateTime::from_parts(date, time)).ok()?;
    Some(moment.as_millisecond())
}

/// Returns a text with the end of a template where its own is missing; none for a text that has
/// another form.
fn completed(text: &str, template: &str) -> Option<String> {
    let fits = |(found, wanted): (char, char)| match wanted {
        '0' | '1' => found.is_ascii_digit(),
        _ => found == wanted,
    };
    let is_prefix = text.len() <= template.len() && text.chars().zip(template.chars()).all(fits);
    is_prefix.then(|| format!("{text}{}", &template[text.len()..]))
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
    fn a_time_of_day_has_hours_and_minutes() {
        assert_eq!(parse_time("10:00"), Some(36_000_000));
        for text in ["10", "1000", "1:00", "25:00", ""] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_moment_may_be_missing() {
        let day = 1_514_764_800_000;
        for (text, ms) in [
            ("2018", Some(day)),
            ("2018-01", Some(day)),
            ("2018-01-01T00:00:00.001", Some(day + 1)),
            ("2018-01-01T01+01:00", Some(day)),
            ("2018-01-01T00:00:01Z", Some(day + 1_000)),
            ("2018-01-01T00:00:00.1", Some(day + 100)),
            ("2018-01-01T0:00", None),
            ("2018-01-01 00:00", None),
            ("2018-1-1", None),
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
