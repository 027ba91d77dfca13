//! Windows as flags ask for them: `--tumbling 1mo`, `--hopping 1m,10s`, `--session 30s`, shifted by
//! `--align` in a `--zone`; read, and printed.

use jiff::tz::TimeZone;

use crate::engine::window::calendar::{Calendar, MONDAY};
use crate::engine::window::{Aligned, Windows};
use crate::error::{Error, Result};
use crate::plan::clauses::Clause;
use crate::term::period::Period;
use crate::term::units::{DAY, format_duration, parse_positive_duration};

/// Seven days of 24 hours, in ms.
const WEEK: i64 = 7 * DAY;

/// The kind of windows and their sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpec {
    /// Windows of a size, one after the other.
    Tumbling(Period),
    /// Windows of a size, one every so often.
    Hopping(Period, Period),
    /// A key's records of which each is at most a gap from the next, in ms; at most so long.
    Session(i64, Option<i64>),
    /// Every set of a key's records that are at most this far apart, in ms.
    Sliding(i64),
    /// One window for all time.
    Global,
}

/// Reads `SIZE,ADVANCE`.
///
/// # Errors
/// What is wrong, for clap.
pub fn parse_hopping(text: &str) -> Result<(Period, Period), String> {
    let (size, advance) = text
        .split_once(',')
        .ok_or_else(|| "write a size and an advance, such as `1m,10s`".to_owned())?;
    Ok((Period::parse_size(size)?, Period::parse_size(advance)?))
}

/// Reads `GAP[,MAX]`, in ms.
///
/// # Errors
/// What is wrong, for clap.
pub fn parse_session(text: &str) -> Result<(i64, Option<i64>), String> {
    let Some((gap, max)) = text.split_once(',') else {
        return Ok((parse_positive_duration(text)?, None));
    };
    let (gap, max) = (parse_positive_duration(gap)?, parse_positive_duration(max)?);
    if max < gap {
        return Err("MAX is shorter than GAP".to_owned());
    }
    Ok((gap, Some(max)))
}

impl WindowSpec {
    /// Reads a flag and its value; `None` for a flag that asks for no windows.
    ///
    /// # Errors
    /// Says what is wrong with the value.
    pub(super) fn parse(flag: &str, value: &str) -> Option<Result<Self, String>> {
        Some(match flag {
            "--tumbling" => Period::parse_size(value).map(WindowSpec::Tumbling),
            "--hopping" => {
                parse_hopping(value).map(|(size, advance)| WindowSpec::Hopping(size, advance))
            }
            "--session" => parse_session(value).map(|(gap, max)| WindowSpec::Session(gap, max)),
            "--sliding" => parse_positive_duration(value).map(WindowSpec::Sliding),
            _ => return None,
        })
    }

    /// Returns the windows, shifted by `align`, of the days of a zone.
    ///
    /// # Errors
    /// `usage` for sizes that make no windows, and where the shift does not fit them.
    pub fn windows(self, align: Option<Period>, zone: Option<&TimeZone>) -> Result<Windows> {
        let (size, advance) = match self {
            WindowSpec::Tumbling(size) => (size, size),
            WindowSpec::Hopping(size, advance) => (size, advance),
            WindowSpec::Session(..) | WindowSpec::Sliding(_) | WindowSpec::Global
                if align.is_some() =>
            {
                return Err(Error::usage("`--align` needs `--tumbling` or `--hopping`"));
            }
            WindowSpec::Session(gap_ms, max_ms) => return Ok(Windows::Session { gap_ms, max_ms }),
            WindowSpec::Sliding(apart_ms) => return Ok(Windows::Sliding { apart_ms }),
            WindowSpec::Global => return Ok(Windows::Global),
        };
        grid(size, advance, align.unwrap_or_default(), zone)
    }
}

fn grid(size: Period, advance: Period, align: Period, zone: Option<&TimeZone>) -> Result<Windows> {
    // In UTC every day and every week has the same length.
    let by_months = size.months > 0 || advance.months > 0;
    let is_shorter = |period: Period| period.months == 0 && period.fixed_ms() % DAY != 0;
    // For windows of hours and less the zone only matters to reading times.
    let zone = zone.filter(|_| !(is_shorter(size) && is_shorter(advance)));
    if let Some(zone) = zone.or(by_months.then_some(&TimeZone::UTC)) {
        let calendar = Calendar::new(size, advance, zone.clone(), align)?;
        return Ok(Windows::Calendar(calendar));
    }
    if align.months > 0 {
        return Err(Error::usage(
            "`--align` in months needs windows that start by months",
        ));
    }
    let windows = Aligned::hopping(size.fixed_ms(), advance.fixed_ms())?;
    let monday = if advance.is_weeks() { MONDAY * DAY } else { 0 };
    Ok(Windows::Aligned(
        windows.aligned_at(align.fixed_ms() + monday),
    ))
}

/// Returns what asks for windows: those that are the same have one text, whatever was typed.
pub(super) fn clause(windows: &Windows) -> Clause {
    let text = match windows {
        Windows::Aligned(aligned) => {
            let (size, advance) = (of_ms(aligned.size_ms()), of_ms(aligned.advance_ms()));
            shifted(size, advance, of_ms(aligned.offset_ms()))
        }
        Windows::Calendar(calendar) => {
            shifted(calendar.size(), calendar.advance(), calendar.shift())
        }
        Windows::Session { gap_ms, max_ms } => {
            let max = max_ms.map(|max| format!(",{}", format_duration(max)));
            let max = max.unwrap_or_default();
            format!("--session {}{max}", format_duration(*gap_ms))
        }
        Windows::Sliding { apart_ms } => format!("--sliding {}", format_duration(*apart_ms)),
        Windows::Global => "--global".to_owned(),
    };
    Clause::of_windows(text)
}

/// Windows that start every `advance`, shifted from 1970-01-01 or the first of a month.
fn shifted(size: Period, advance: Period, shift: Period) -> String {
    // Those that start every this many weeks count from a Monday, where that makes them shorter to
    // say.
    let is_of_weeks = advance.months == 0 && advance.ms % WEEK == 0;
    let (size, advance, shift) = if is_of_weeks && shift.ms != 0 {
        let from_monday = (shift.ms - MONDAY * DAY).rem_euclid(advance.ms);
        (in_weeks(size), in_weeks(advance), of_ms(from_monday))
    } else {
        (size, advance, shift)
    };
    let windows = if size == advance {
        format!("--tumbling {size}")
    } else {
        format!("--hopping {size},{advance}")
    };
    if shift == Period::default() {
        return windows;
    }
    format!("{windows} --align {shift}")
}

fn of_ms(ms: i64) -> Period {
    Period {
        ms,
        ..Period::default()
    }
}

fn in_weeks(period: Period) -> Period {
    Period {
        weeks: period.ms / WEEK,
        ms: period.ms % WEEK,
        ..period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(flag: &str, size: &str, align: Option<&str>, zone: Option<&str>) -> String {
        let spec = WindowSpec::parse(flag, size).expect(flag).expect(size);
        let align = align.map(|align| Period::parse(align).expect(align));
        let zone = zone.map(|zone| TimeZone::get(zone).expect(zone));
        let windows = spec.windows(align, zone.as_ref()).expect(size);
        clause(&windows).to_string()
    }

    #[test]
    fn windows_that_are_the_same_have_one_text() {
        let paris = Some("Europe/Paris");
        for (flag, size, align, zone, expected) in [
            ("--tumbling", "60s", None, None, "--tumbling 1m"),
            ("--hopping", "10s,10s", Some("20s"), None, "--tumbling 10s"),
            (
                "--hopping",
                "1m,10s",
                Some("13s"),
                None,
                "--hopping 1m,10s --align 3s",
            ),
            ("--tumbling", "1w", None, None, "--tumbling 1w"),
            ("--tumbling", "7d", None, None, "--tumbling 7d"),
            ("--tumbling", "7d", Some("4d"), None, "--tumbling 1w"),
            (
                "--tumbling",
                "1w",
                Some("6d"),
                None,
                "--tumbling 1w --align 6d",
            ),
            ("--tumbling", "1w", Some("3d"), None, "--tumbling 7d"),
            ("--hopping", "10d,1w", None, None, "--hopping 1w3d,1w"),
            (
                "--tumbling",
                "24h",
                Some("27h"),
                paris,
                "--tumbling 1d --align 3h",
            ),
            ("--tumbling", "1w", None, paris, "--tumbling 1w"),
            ("--tumbling", "1d", None, Some("UTC"), "--tumbling 1d"),
            (
                "--tumbling",
                "12mo",
                Some("3mo"),
                None,
                "--tumbling 1y --align 3mo",
            ),
            (
                "--tumbling",
                "1mo",
                Some("2mo1d6h"),
                None,
                "--tumbling 1mo --align 1d6h",
            ),
            ("--hopping", "1mo,1d", None, None, "--hopping 1mo,1d"),
            (
                "--hopping",
                "1mo,1d",
                Some("5d6h"),
                None,
                "--hopping 1mo,1d --align 6h",
            ),
            (
                "--hopping",
                "1mo,1w",
                Some("1d"),
                None,
                "--hopping 1mo,1w --align 1d",
            ),
            ("--hopping", "31d,1mo", None, None, "--hopping 31d,1mo"),
            ("--session", "90s,10m", None, None, "--session 1m30s,10m"),
            ("--sliding", "1000ms", None, None, "--sliding 1s"),
        ] {
            let told = text(flag, size, align, zone);
            assert_eq!(told, expected, "{flag} {size} {align:?} {zone:?}");
        }
    }
}
