//! Functions of times, which are ms since 1970; where no zone is given it is UTC.
//!
//! ksqlDB's functions of this moment are left out: the same input is to give the same output.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};

use super::Parameter::{Bigint, Text, Time, Unit};
use super::{Arguments, Constants, Function, Parameter, Returned, Returns, pattern};
use crate::column::DataType;
use crate::expression::scalar::{Reason, Scalar};
use crate::term::units::{DAY, HOUR, MINUTE, SECOND};

const ZONE: &[(&str, Parameter)] = &[("zone", Text)];
pub(super) const PATTERN: &[(&str, Parameter)] = &[("text", Text), ("pattern", Text)];
const UNIT_OF: &[(&str, Parameter)] = &[("unit", Unit), ("time", Time)];
const ADDED: &[(&str, Parameter)] = &[("unit", Unit), ("n", Bigint), ("time", Time)];

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("from_unixtime", &[("ms", Bigint)], Returns::Time, |arguments, _| {
        Ok(arguments.get(0))
    })
    .says("The time for milliseconds since 1970.")
    .example("from_unixtime(1767225600000) = timestamp '2026-01-01'", "true"),
    Function::new("unix_timestamp", &[("time", Time)], Returns::Bigint, |arguments, _| {
        Ok(arguments.get(0))
    })
    .says("The milliseconds since 1970 of a time.")
    .example("unix_timestamp(timestamp '2026-01-01')", "1767225600000"),
    Function::new(
        "format_timestamp",
        &[("time", Time), ("pattern", Text)],
        Returns::Text,
        format,
    )
    .optional(ZONE)
    .alias("timestamptostring")
    .checks(|constants| check_pattern(constants, 1).and_then(|()| check_zone(constants, 2)))
    .says("The time as text, by a pattern of Java's `DateTimeFormatter`.")
    .example(
        "format_timestamp(timestamp '2026-07-01', 'yyyy-MM-dd HH:mm', 'Europe/Paris')",
        "2026-07-01 02:00",
    ),
    Function::new("parse_timestamp", PATTERN, Returns::Time, parse)
        .optional(ZONE)
        .checks(|constants| check_pattern(constants, 1).and_then(|()| check_zone(constants, 2)))
        .says("The time in a text, read by a pattern.")
        .example(
            "parse_timestamp('01.07.2026', 'dd.MM.yyyy') = timestamp '2026-07-01'",
            "true",
        ),
    Function::new("stringtotimestamp", PATTERN, Returns::Bigint, parse)
        .optional(ZONE)
        .checks(|constants| check_pattern(constants, 1).and_then(|()| check_zone(constants, 2)))
        .says("The same, in milliseconds since 1970.")
        .example("stringtotimestamp('1970-01-02', 'yyyy-MM-dd')", "86400000"),
    Function::new("date_trunc", UNIT_OF, Returns::Time, truncate)
        .optional(ZONE)
        .checks(|constants| check_unit(constants, is_unit).and_then(|()| check_zone(constants, 2)))
        .says("The start of the second, minute, hour, day, week, month, quarter or year.")
        .example(
            "date_trunc('month', timestamp '2026-07-14') = timestamp '2026-07-01'",
            "true",
        ),
    Function::new("extract", UNIT_OF, Returns::Bigint, extract)
        .optional(ZONE)
        .checks(|constants| check_unit(constants, is_part).and_then(|()| check_zone(constants, 2)))
        .says("A part of a time: year, quarter, month, week, day, dow, doy, hour, minute, second, millisecond.")
        .example("extract(hour from timestamp '2026-07-01T12:30:00')", "12"),
    Function::new("timestampadd", ADDED, Returns::Time, |arguments, _| add(arguments, 1))
        .checks(|constants| check_unit(constants, is_unit))
        .says("The time plus a number of units.")
        .example(
            "timestampadd(days, 1, timestamp '2026-07-01') = timestamp '2026-07-02'",
            "true",
        ),
    Function::new("timestampsub", ADDED, Returns::Time, |arguments, _| add(arguments, -1))
        .checks(|constants| check_unit(constants, is_unit))
        .says("The time minus a number of units.")
        .example(
            "timestampsub(months, 1, timestamp '2026-03-31') = timestamp '2026-02-28'",
            "true",
        ),
    Function::new(
        "convert_tz",
        &[("time", Time), ("from", Text), ("to", Text)],
        Returns::Time,
        |arguments, _| {
            let at = instant(arguments, 0)?;
            let (from, to) = (zone(arguments.text(1))?, zone(arguments.text(2))?);
            let local = to.to_datetime(at);
            let moved = from.to_timestamp(local).map_err(|_| beyond())?;
            Ok(Scalar::Bigint(moved.as_millisecond()))
        },
    )
    .checks(|constants| check_zone(constants, 1).and_then(|()| check_zone(constants, 2)))
    .says("The time at which the clock of one zone shows what another zone's clock showed.")
    .example(
        "convert_tz(timestamp '2026-07-01', 'UTC', 'Europe/Paris') = timestamp '2026-07-01T02:00'",
        "true",
    ),
];

/// What is wrong with which argument.
type Checked = Result<(), (usize, String)>;

fn check_pattern(constants: Constants<'_>, at: usize) -> Checked {
    match constants.text(at) {
        Some(text) => pattern::check(text).map_err(|wrong| (at, wrong)),
        None => Ok(()),
    }
}

fn check_zone(constants: Constants<'_>, at: usize) -> Checked {
    match constants.text(at).map(TimeZone::get) {
        Some(Err(_)) => Err((at, "unknown time zone".to_owned())),
        _ => Ok(()),
    }
}

fn check_unit(constants: Constants<'_>, known: fn(&str) -> bool) -> Checked {
    match constants.text(0) {
        Some(unit) if !known(singular(unit).as_str()) => {
            Err((0, format!("`{unit}` is not a unit of time here")))
        }
        _ => Ok(()),
    }
}

fn is_unit(unit: &str) -> bool {
    [
        "millisecond",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
    ]
    .contains(&unit)
}

fn is_part(part: &str) -> bool {
    is_unit(part) || ["dow", "isodow", "doy"].contains(&part)
}

/// Returns a unit in lower case and without its plural: ksqlDB takes both `DAY` and `DAYS`.
fn singular(unit: &str) -> String {
    let unit = unit.to_ascii_lowercase();
    unit.strip_suffix('s').unwrap_or(&unit).to_owned()
}

fn beyond() -> Reason {
    Reason::OutOfRange(DataType::Timestamp)
}

fn instant(arguments: Arguments, at: usize) -> Result<Timestamp, Reason> {
    let ms = arguments.bigint(at).unwrap_or(0);
    Timestamp::from_millisecond(ms).map_err(|_| beyond())
}

fn zone(name: &str) -> Result<TimeZone, Reason> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        name => {
            TimeZone::get(name).map_err(|_| Reason::Wrong(format!("unknown time zone `{name}`")))
        }
    }
}

fn zoned(arguments: Arguments, time: usize, zone_at: usize) -> Result<Zoned, Reason> {
    Ok(instant(arguments, time)?.to_zoned(zone(arguments.text(zone_at))?))
}

fn valid_pattern(pattern: &str) -> Result<&str, Reason> {
    pattern::check(pattern).map_err(Reason::Wrong)?;
    Ok(pattern)
}

fn format<'a>(arguments: Arguments<'_, 'a>, arena: &'a Bump) -> Returned<'a> {
    let (time, pattern) = (zoned(arguments, 0, 2)?, valid_pattern(arguments.text(1))?);
    let mut text = ArenaString::new_in(arena);
    // A string takes all that is written.
    let written = pattern::format(&time, pattern, &mut text);
    debug_assert!(written.is_ok());
    Ok(Scalar::Text(text.into_bump_str()))
}

fn parse<'a>(arguments: Arguments<'_, 'a>, _: &'a Bump) -> Returned<'a> {
    let (text, pattern) = (arguments.text(0), valid_pattern(arguments.text(1))?);
    match pattern::parse(text, pattern, &zone(arguments.text(2))?) {
        Some(at) => Ok(Scalar::Bigint(at.as_millisecond())),
        None => Err(Reason::Wrong(format!(
            "`{}` does not match the time pattern `{pattern}`",
            text.chars().take(40).collect::<String>()
        ))),
    }
}

/// Returns the length of a unit that is as long everywhere and always, in ms.
fn fixed(unit: &str) -> Option<i64> {
    Some(match unit {
        "millisecond" => 1,
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        "week" => 7 * DAY,
        _ => return None,
    })
}

fn truncate<'a>(arguments: Arguments<'_, 'a>, _: &'a Bump) -> Returned<'a> {
    let unit = singular(arguments.text(0));
    let ms = arguments.bigint(1).unwrap_or(0);
    let in_utc = matches!(arguments.text(2), "" | "UTC");
    if in_utc && let Some(length) = fixed(&unit) {
        // 1970 began on a Thursday, weeks begin on Mondays.
        let shift = if unit == "week" { 3 * DAY } else { 0 };
        let into = ms.wrapping_add(shift).rem_euclid(length);
        return ms.checked_sub(into).map(Scalar::Bigint).ok_or_else(beyond);
    }
    let time = zoned(arguments, 1, 2)?;
    let day = time.date();
    let first = match unit.as_str() {
        "year" => day.first_of_year(),
        "quarter" => {
            let month = (day.month() - 1) / 3 * 3 + 1;
            day.with()
                .month(month)
                .day(1)
                .build()
                .map_err(|_| beyond())?
        }
        "month" => day.first_of_month(),
        "week" => {
            let back = i64::from(day.weekday().to_monday_zero_offset()).days();
            day.checked_sub(back).map_err(|_| beyond())?
        }
        "day" => day,
        other => {
            // Within a day clocks are off by minutes at most: those of the zone's offset.
            let length = fixed(other)
                .ok_or_else(|| Reason::Wrong(format!("`{other}` is not a unit of time here")))?;
            let offset = i64::from(time.offset().seconds()) * SECOND;
            return Ok(Scalar::Bigint(ms - (ms + offset).rem_euclid(length)));
        }
    };
    let start = first
        .to_zoned(time.time_zone().clone())
        .map_err(|_| beyond())?;
    Ok(Scalar::Bigint(start.timestamp().as_millisecond()))
}

fn extract<'a>(arguments: Arguments<'_, 'a>, _: &'a Bump) -> Returned<'a> {
    let time = zoned(arguments, 1, 2)?;
    let part = singular(arguments.text(0));
    let value: i64 = match part.as_str() {
        "year" => time.year().into(),
        "quarter" => i64::from((time.month() + 2) / 3),
        "month" => time.month().into(),
        "week" => time.date().iso_week_date().week().into(),
        "day" => time.day().into(),
        "dow" => time.weekday().to_sunday_zero_offset().into(),
        "isodow" => time.weekday().to_monday_one_offset().into(),
        "doy" => time.day_of_year().into(),
        "hour" => time.hour().into(),
        "minute" => time.minute().into(),
        "second" => time.second().into(),
        "millisecond" => time.millisecond().into(),
        other => return Err(Reason::Wrong(format!("`{other}` is not a part of a time"))),
    };
    Ok(Scalar::Bigint(value))
}

fn add<'a>(arguments: Arguments<'_, 'a>, sign: i64) -> Returned<'a> {
    let unit = singular(arguments.text(0));
    let (count, ms) = (
        arguments.bigint(1).unwrap_or(0),
        arguments.bigint(2).unwrap_or(0),
    );
    let count = count.checked_mul(sign).ok_or_else(beyond)?;
    if let Some(length) = fixed(&unit) {
        let later = count.checked_mul(length).and_then(|by| ms.checked_add(by));
        return later.map(Scalar::Bigint).ok_or_else(beyond);
    }
    let months = match unit.as_str() {
        "month" => 1,
        "quarter" => 3,
        "year" => 12,
        other => {
            return Err(Reason::Wrong(format!(
                "`{other}` is not a unit of time here"
            )));
        }
    };
    let months = count.checked_mul(months).ok_or_else(beyond)?;
    let span = Span::new().try_months(months).map_err(|_| beyond())?;
    let time = instant(arguments, 2)?.to_zoned(TimeZone::UTC);
    let later = time.checked_add(span).map_err(|_| beyond())?;
    Ok(Scalar::Bigint(later.timestamp().as_millisecond()))
}
