//! Days, times of day and moments. Patterns are those of Java's `DateTimeFormatter`; without a zone
//! a moment is in UTC. None of the functions reads a clock: the same input gives the same output.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Call, Outcome, Scalar, strict};
use crate::expression::functions::pattern;
use crate::ksql::time::{date_of, days_of, parse_by_pattern};
use crate::ksql::value::Value;

const DAY_MS: i64 = 86_400_000;

pub(super) const FUNCTIONS: &[Scalar] = &[
    strict(
        "UNIX_TIMESTAMP(time TIMESTAMP) BIGINT",
        "A moment as ms since 1970.",
        |call| Ok(Value::Bigint(call.whole(0))),
    ),
    strict(
        "UNIX_DATE(day DATE) INT",
        "A day as days since 1970.",
        |call| Ok(Value::Int(call.whole(0) as i32)),
    ),
    strict(
        "FROM_UNIXTIME(ms BIGINT) TIMESTAMP",
        "The moment so many ms after 1970 began.",
        |call| Ok(Value::Timestamp(call.whole(0))),
    ),
    strict(
        "FROM_DAYS(days INT) DATE",
        "The day so many days after 1970 began.",
        |call| Ok(Value::Date(call.whole(0) as i32)),
    ),
    strict(
        "TIMESTAMPTOSTRING(ms BIGINT, pattern STRING) STRING",
        "A moment as text.",
        format,
    ),
    strict(
        "TIMESTAMPTOSTRING(ms BIGINT, pattern STRING, zone STRING) STRING",
        "A moment as text in a zone.",
        format,
    ),
    strict(
        "FORMAT_TIMESTAMP(time TIMESTAMP, pattern STRING) STRING",
        "A moment as text.",
        format,
    ),
    strict(
        "FORMAT_TIMESTAMP(time TIMESTAMP, pattern STRING, zone STRING) STRING",
        "A moment as text in a zone.",
        format,
    ),
    strict(
        "FORMAT_DATE(day DATE, pattern STRING) STRING",
        "A day as text.",
        format_days,
    ),
    strict(
        "DATETOSTRING(days INT, pattern STRING) STRING",
        "A day as text.",
        format_days,
    ),
    strict(
        "FORMAT_TIME(time TIME, pattern STRING) STRING",
        "A time of day as text.",
        |call| {
            refuse_letters(call.text(1), OF_DATES, "a time of day")?;
            format(call)
        },
    ),
    strict(
        "STRINGTOTIMESTAMP(text STRING, pattern STRING) BIGINT",
        "A text as ms since 1970.",
        |call| Ok(Value::Bigint(parse(call)?.as_millisecond())),
    ),
    strict(
        "STRINGTOTIMESTAMP(text STRING, pattern STRING, zone STRING) BIGINT",
        "A text in a zone as ms since 1970.",
        |call| Ok(Value::Bigint(parse(call)?.as_millisecond())),
    ),
    strict(
        "PARSE_TIMESTAMP(text STRING, pattern STRING) TIMESTAMP",
        "A text as a moment.",
        |call| Ok(Value::Timestamp(parse(call)?.as_millisecond())),
    ),
    strict(
        "PARSE_TIMESTAMP(text STRING, pattern STRING, zone STRING) TIMESTAMP",
        "A text in a zone as a moment.",
        |call| Ok(Value::Timestamp(parse(call)?.as_millisecond())),
    ),
    strict(
        "PARSE_DATE(text STRING, pattern STRING) DATE",
        "A text as a day.",
        |call| {
            refuse_letters(call.text(1), OF_TIMES, "a day")?;
            Ok(Value::Date(parsed_day(call)?))
        },
    ),
    strict(
        "STRINGTODATE(text STRING, pattern STRING) INT",
        "A text as days since 1970.",
        |call| Ok(Value::Int(parsed_day(call)?)),
    ),
    strict(
        "PARSE_TIME(text STRING, pattern STRING) TIME",
        "A text as a time of day.",
        |call| {
            refuse_letters(call.text(1), OF_DATES, "a time of day")?;
            Ok(Value::Time(
                parse(call)?.as_millisecond().rem_euclid(DAY_MS) as i32,
            ))
        },
    ),
    strict(
        "CONVERT_TZ(time TIMESTAMP, from STRING, to STRING) TIMESTAMP",
        "What the clocks of another zone show then.",
        |call| {
            let (from, to) = (zone(call.text(1))?, zone(call.text(2))?);
            let moment = moment(call.whole(0))?;
            let offset = |zone: &TimeZone| i64::from(zone.to_offset(moment).seconds()) * 1_000;
            Ok(Value::Timestamp(
                call.whole(0) + offset(&to) - offset(&from),
            ))
        },
    ),
    strict(
        "TIMESTAMPADD(unit UNIT, count INT, time TIMESTAMP) TIMESTAMP",
        "A moment so much later.",
        |call| moved(call, 1).map(Value::Timestamp),
    ),
    strict(
        "TIMESTAMPSUB(unit UNIT, count INT, time TIMESTAMP) TIMESTAMP",
        "A moment so much earlier.",
        |call| moved(call, -1).map(Value::Timestamp),
    ),
    strict(
        "DATEADD(unit UNIT, count INT, day DATE) DATE",
        "A day so much later.",
        |call| moved_day(call, 1),
    ),
    strict(
        "DATESUB(unit UNIT, count INT, day DATE) DATE",
        "A day so much earlier.",
        |call| moved_day(call, -1),
    ),
    strict(
        "TIMEADD(unit UNIT, count INT, time TIME) TIME",
        "A time of day so much later, past midnight if need be.",
        |call| Ok(Value::Time(moved(call, 1)?.rem_euclid(DAY_MS) as i32)),
    ),
    strict(
        "TIMESUB(unit UNIT, count INT, time TIME) TIME",
        "A time of day so much earlier, past midnight if need be.",
        |call| Ok(Value::Time(moved(call, -1)?.rem_euclid(DAY_MS) as i32)),
    ),
];

/// The letters of patterns that a time of day has nothing to write for, and those of a day.
const OF_DATES: &str = "GuyDMLdQqYwWEecFgVvzOXxZ";
const OF_TIMES: &str = "aBhKkHmsSAnNVvzOXxZ";

/// Refuses letters of a pattern that stand outside of quotes.
fn refuse_letters(pattern: &str, refused: &str, what: &str) -> Result<(), String> {
    let outside = pattern.split('\'').step_by(2);
    match outside.flat_map(str::chars).find(|c| refused.contains(*c)) {
        Some(letter) => Err(format!("{what} has no `{letter}`: {pattern}")),
        None => Ok(()),
    }
}

/// Returns a zone by its name as Java has it: `Europe/Berlin`, `UTC`, `Z`, `+2`, `-0930`, `+01:00`,
/// and such an offset behind `UTC`, `GMT` or `UT`.
fn zone(name: &str) -> Result<TimeZone, String> {
    let unknown = || format!("unknown zone {name}");
    if ["UTC", "GMT", "UT", "Z"]
        .iter()
        .any(|utc| utc.eq_ignore_ascii_case(name))
    {
        return Ok(TimeZone::UTC);
    }
    let prefixes = ["UTC", "GMT", "UT", ""].into_iter();
    let offset = prefixes
        .filter_map(|prefix| name.strip_prefix(prefix))
        .find(|rest| rest.starts_with(['+', '-']));
    match offset {
        Some(offset) => offset_of(offset).ok_or_else(unknown),
        None => TimeZone::get(name).map_err(|_| unknown()),
    }
}

/// Reads `+2`, `+02`, `-0930`, `-09:30`.
fn offset_of(text: &str) -> Option<TimeZone> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = &text[1..];
    if !digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b':')
    {
        return None;
    }
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some((hours, minutes)), 5) => (hours, minutes),
        (None, 4) => digits.split_at_checked(2)?,
        (None, 1 | 2) => (digits, "0"),
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60))
        .ok()
        .map(TimeZone::fixed)
}

fn moment(ms: i64) -> Result<Timestamp, String> {
    Timestamp::from_millisecond(ms)
        .map_err(|_| format!("{ms} ms is outside the years -9999 to 9999"))
}

fn formatted(ms: i64, pattern: &str, zone: TimeZone) -> Outcome {
    pattern::check(pattern)?;
    let mut text = String::new();
    pattern::format(&moment(ms)?.to_zoned(zone), pattern, &mut text)
        .map_err(|_| format!("cannot write {pattern}"))?;
    Ok(text.into())
}

fn format(call: &Call) -> Outcome {
    let zone = if call.count() > 2 {
        zone(call.text(2))?
    } else {
        TimeZone::UTC
    };
    formatted(call.whole(0), call.text(1), zone)
}

fn format_days(call: &Call) -> Outcome {
    refuse_letters(call.text(1), OF_TIMES, "a day")?;
    formatted(call.whole(0) * DAY_MS, call.text(1), TimeZone::UTC)
}

fn parse(call: &Call) -> Result<Timestamp, String> {
    let zone = if call.count() > 2 {
        zone(call.text(2))?
    } else {
        TimeZone::UTC
    };
    let (text, pattern) = (call.text(0), call.text(1));
    parse_by_pattern(text, pattern, &zone).ok_or_else(|| format!("{text} does not fit {pattern}"))
}

fn parsed_day(call: &Call) -> Result<i32, String> {
    let days = parse(call)?.as_millisecond().div_euclid(DAY_MS);
    i32::try_from(days).map_err(|_| "a day that is too far away".to_owned())
}

/// Returns ms moved by a count of units, forwards or backwards.
fn moved(call: &Call, sign: i64) -> Result<i64, String> {
    let (unit, count, ms) = (call.text(0), call.whole(1) * sign, call.whole(2));
    let too_far = || format!("{count} {unit} is too far");
    let unit_ms = match unit.trim_end_matches('S') {
        "MILLISECOND" => 1,
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => DAY_MS,
        calendar => {
            let days = i32::try_from(ms.div_euclid(DAY_MS)).map_err(|_| too_far())?;
            let moved = moved_by_months(days, calendar, count).ok_or_else(too_far)?;
            return Ok(i64::from(moved) * DAY_MS + ms.rem_euclid(DAY_MS));
        }
    };
    count
        .checked_mul(unit_ms)
        .and_then(|distance| ms.checked_add(distance))
        .ok_or_else(too_far)
}

fn moved_by_months(days: i32, unit: &str, count: i64) -> Option<i32> {
    let months = if unit == "YEAR" {
        count.checked_mul(12)?
    } else {
        count
    };
    let span = jiff::Span::new().try_months(months).ok()?;
    Some(days_of(date_of(days)?.checked_add(span).ok()?))
}

fn moved_day(call: &Call, sign: i64) -> Outcome {
    let (unit, count) = (call.text(0), call.whole(1) * sign);
    let days = call.whole(2) as i32;
    let too_far = || format!("{count} {unit} is too far");
    let moved = match unit.trim_end_matches('S') {
        "DAY" => i32::try_from(i64::from(days) + count).ok(),
        calendar @ ("MONTH" | "YEAR") => moved_by_months(days, calendar, count),
        // What is left of a day is dropped, before 1970, too, as Java's TimeUnit does.
        _ => {
            let unit_ms = match unit.trim_end_matches('S') {
                "HOUR" => 3_600_000,
                "MINUTE" => 60_000,
                "SECOND" => 1_000,
                _ => 1,
            };
            count
                .checked_mul(unit_ms)
                .and_then(|ms| i32::try_from((i64::from(days) * DAY_MS + ms) / DAY_MS).ok())
        }
    };
    moved.map(Value::Date).ok_or_else(too_far)
}
