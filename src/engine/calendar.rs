//! Windows of calendar days: midnight to midnight where people live.
//!
//! A day in a zone with daylight saving has 23, 24 or 25 hours; windows follow it. Comes in: a
//! time in ms since 1970, UTC. Goes out: windows in the same, half open.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::window::Window;
use crate::error::{Error, Result};
use crate::term::units::DAY;

/// Day 0.
const EPOCH: Date = date(1970, 1, 1);

/// Windows of some days that start every so many days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    days: i64,
    advance_days: i64,
    /// How long after midnight a day begins.
    offset_ms: i64,
    zone: TimeZone,
}

impl Calendar {
    /// Returns windows of `days` that start every `advance_days`, counted from 1970-01-01, in the
    /// zone of this IANA name. A day begins `offset_ms` after midnight.
    ///
    /// # Errors
    /// `usage` for an unknown zone, and an offset of a day or more.
    pub fn new(days: i64, advance_days: i64, zone: &str, offset_ms: i64) -> Result<Self> {
        let zone = TimeZone::get(zone).map_err(|_| {
            Error::usage(format!("unknown time zone `{zone}`"))
                .hint("write it as `Europe/Paris` or `UTC`")
        })?;
        if !(0..DAY).contains(&offset_ms) {
            return Err(Error::usage(
                "with `--zone`, `--align` is a time of day: less than 24 hours",
            ));
        }
        Ok(Calendar {
            days,
            advance_days,
            offset_ms,
            zone,
        })
    }

    /// Adds the windows that contain `at`, the one that closes last first, and those among them
    /// that end after the last of them starts but not after `at`; returns when the last starts
    /// and when the next one would.
    pub(super) fn push_containing(&self, at: i64, windows: &mut Vec<Window>) -> (i64, i64) {
        let day = self.day_of(at);
        let last = day - day.rem_euclid(self.advance_days);
        let mut first_day = last;
        while last - first_day < self.days {
            windows.push(Window {
                start: self.start_of(first_day),
                end: self.start_of(first_day + self.days),
            });
            first_day -= self.advance_days;
        }
        (self.start_of(last), self.start_of(last + self.advance_days))
    }

    /// Returns the day that `at` lies in, from 1970-01-01.
    fn day_of(&self, at: i64) -> i64 {
        let shifted = at.saturating_sub(self.offset_ms);
        let day = match Timestamp::from_millisecond(shifted) {
            Ok(time) => {
                let local = self.zone.to_datetime(time).date();
                local.duration_since(EPOCH).as_hours() / 24
            }
            Err(_) => shifted.div_euclid(DAY),
        };
        // Where the clock changes between midnight and the day's beginning, it is off by one.
        match at {
            at if at < self.start_of(day) => day - 1,
            at if at >= self.start_of(day + 1) => day + 1,
            _ => day,
        }
    }

    /// Returns when a day begins. Where the clock skips its beginning, it is when the clock has
    /// skipped it; beyond the last date that has a time zone, it is midnight UTC.
    fn start_of(&self, day: i64) -> i64 {
        let start = EPOCH
            .checked_add(Span::new().days(day))
            .map(|day| day.to_datetime(jiff::civil::Time::midnight()))
            .and_then(|day| day.checked_add(SignedDuration::from_millis(self.offset_ms)))
            .and_then(|start| self.zone.to_timestamp(start));
        start.map_or(day * DAY + self.offset_ms, Timestamp::as_millisecond)
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Windows;
    use super::*;

    fn window(calendar: &Calendar, at: &str) -> (String, i64) {
        let at: Timestamp = at.parse().expect("a time");
        let mut windows = Vec::new();
        calendar.push_containing(at.as_millisecond(), &mut windows);
        let start = Timestamp::from_millisecond(windows[0].start).expect("a time");
        let hours = (windows[0].end - windows[0].start) / 3_600_000;
        (start.to_string(), hours)
    }

    #[test]
    fn days_follow_the_clock_of_the_zone() {
        let paris = Calendar::new(1, 1, "Europe/Paris", 0).expect("a zone");
        let cases = [
            ("2026-01-15T12:00:00Z", "2026-01-14T23:00:00Z", 24),
            ("2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", 23),
            ("2026-03-29T21:59:59.999Z", "2026-03-28T23:00:00Z", 23),
            ("2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z", 24),
            ("2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", 25),
            ("1969-12-31T22:30:00Z", "1969-12-30T23:00:00Z", 24),
        ];
        for (at, start, hours) in cases {
            assert_eq!(window(&paris, at), (start.to_owned(), hours), "{at}");
        }
    }

    #[test]
    fn every_window_that_is_returned_contains_the_time_and_none_is_missed() {
        let cases = [
            (7, 3, "UTC", 0),
            (5, 2, "Europe/Paris", 0),
            (3, 2, "America/New_York", 2 * 3_600_000 + 1_800_000),
            (4, 3, "Pacific/Apia", 0),
            (1, 1, "Pacific/Apia", 0),
        ];
        for (days, advance_days, zone, offset_ms) in cases {
            let calendar = Calendar::new(days, advance_days, zone, offset_ms).expect("a zone");
            // The first has a day that Apia left out, the others the nights of changed clocks.
            for from in [
                "2011-12-20T00:00:00Z",
                "2026-03-01T00:00:00Z",
                "2026-10-20T00:00:00Z",
            ] {
                let from: Timestamp = from.parse().expect("a time");
                for hour in 0..24 * 20 {
                    let at = from.as_millisecond() + hour * 3_600_000 + 1;
                    let today = at.div_euclid(DAY);
                    let mut naive: Vec<Window> = (today - 20..today + 20)
                        .filter(|day| day.rem_euclid(advance_days) == 0)
                        .map(|day| Window {
                            start: calendar.start_of(day),
                            end: calendar.start_of(day + days),
                        })
                        .filter(|window| window.start <= at && at < window.end)
                        .collect();
                    naive.reverse();
                    let windows = Windows::Calendar(calendar.clone());
                    let mut found = Vec::new();
                    let span = windows.span(at, &mut found);
                    assert_eq!(found, naive, "{days} {advance_days} {zone} at {at}");
                    assert!(span.from <= at && at < span.to, "{span:?} at {at}");
                    for same in [span.from, span.to - 1] {
                        let mut others = Vec::new();
                        windows.span(same, &mut others);
                        assert_eq!(others, found, "{zone} at {same} as at {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_day_may_begin_after_midnight() {
        let early = Calendar::new(1, 1, "America/New_York", 3 * 3_600_000).expect("a zone");
        let (start, hours) = window(&early, "2026-06-01T06:59:59Z");
        assert_eq!((start.as_str(), hours), ("2026-05-31T07:00:00Z", 24));
        let (start, _) = window(&early, "2026-06-01T07:00:00Z");
        assert_eq!(start, "2026-06-01T07:00:00Z");
    }

    #[test]
    fn the_first_and_the_last_times_have_their_day() {
        for zone in ["Pacific/Apia", "America/New_York", "UTC"] {
            let calendar = Calendar::new(1, 1, zone, 0).expect("a zone");
            for at in [crate::format::EARLIEST, crate::format::LATEST] {
                let mut windows = Vec::new();
                calendar.push_containing(at, &mut windows);
                assert!(windows[0].start <= at && at < windows[0].end, "{zone} {at}");
            }
        }
    }
}
