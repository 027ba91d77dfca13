//! Windows of the calendar: days, weeks, months and years as people count them where they live.
//!
//! A day in a zone with daylight saving has 23, 24 or 25 hours, a month 28 to 31 days; windows
//! follow them. In: a time in ms since 1970, UTC. Out: windows in the same, half open.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::span::{MAX_WINDOWS, Window};
use crate::error::{Error, Result};
use crate::term::period::Period;
use crate::term::units::DAY;

/// Day 0.
const EPOCH: Date = date(1970, 1, 1);
/// The Monday of the week of day 0, a Thursday.
pub(crate) const MONDAY: i64 = -3;
/// Every month has this many days.
const SHORTEST_MONTH: i64 = 28;
/// In this many months the calendar comes round.
const CYCLE_MONTHS: i64 = 400 * 12;
const CYCLE_DAYS: i64 = 146_097;

/// Windows of some days or months that start every this many days or months.
///
/// Days are counted from 1970-01-01, weeks from the Monday of its week, months from January 1970. A
/// month after a day is the same day of the next month or, where that is shorter, its last, as in
/// PostgreSQL and Java: a window of a month that starts on 31 January ends where 28 February begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    size: Length,
    advance: Length,
    /// The month that a window starts with, from January 1970, where they start by months.
    first_month: i64,
    /// The day that a window starts with, from 1970-01-01, or from the first of its month.
    first_day: i64,
    /// How long after midnight a day begins.
    offset_ms: i64,
    zone: TimeZone,
}

/// A length that the calendar knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Days(i64),
    Months(i64),
}

impl Calendar {
    /// Returns windows of a size that start every `advance`, in a zone, as much later as `align` says:
    /// months and days where windows start by months, days where they start by days, and a time of day.
    ///
    /// # Errors
    /// `usage` for lengths other than whole days, an advance that can be longer than the size, which
    /// would leave gaps, and a shift by more days than some month has.
    pub fn new(size: Period, advance: Period, zone: TimeZone, align: Period) -> Result<Self> {
        let (size_length, advance_length) = (Length::of(size)?, Length::of(advance)?);
        let ((shortest, longest), (least, most)) = (size_length.days(), advance_length.days());
        let leaves_gaps = match (size_length, advance_length) {
            (Length::Months(size), Length::Months(advance)) => advance > size,
            _ => most > shortest,
        };
        if leaves_gaps {
            return Err(Error::usage(format!(
                "the advance {advance} can be larger than the size {size}: records between two windows would be lost"
            )));
        }
        if longest / least > MAX_WINDOWS {
            return Err(Error::usage(format!(
                "every record would lie in {} windows; at most {MAX_WINDOWS} are possible",
                longest / least
            ))
            .hint("choose a longer advance or a shorter size"));
        }
        let by_months = matches!(advance_length, Length::Months(_));
        let align_days = align.fixed_ms().div_euclid(DAY);
        if align.months > 0 && !by_months {
            return Err(Error::usage(
                "`--align` in months needs windows that start by months",
            ));
        }
        if by_months && align_days >= SHORTEST_MONTH {
            return Err(Error::usage(format!(
                "windows that start by months need an `--align` of less than {SHORTEST_MONTH} days: not every month has more"
            )));
        }
        Ok(Calendar {
            size: size_length,
            advance: advance_length,
            first_month: align.months,
            first_day: if advance.is_weeks() { MONDAY } else { 0 } + align_days,
            offset_ms: align.fixed_ms().rem_euclid(DAY),
            zone,
        })
    }

    /// Returns how long each is.
    pub fn size(&self) -> Period {
        self.size.period()
    }

    /// Returns how long after one the next starts.
    pub fn advance(&self) -> Period {
        self.advance.period()
    }

    /// Returns how much later windows start than they would by themselves, less than the advance: by
    /// days from 1970-01-01, which is a Thursday, or from the first of a month.
    pub(crate) fn shift(&self) -> Period {
        let (months, days) = match self.advance {
            Length::Days(days) => (0, self.first_day.rem_euclid(days)),
            Length::Months(months) => (self.first_month.rem_euclid(months), self.first_day),
        };
        Period {
            months,
            weeks: 0,
            ms: days * DAY + self.offset_ms,
        }
    }

    /// Adds the windows that contain `at`, the one that closes last first, and those among them
    /// that end after the last of them starts but not after `at`; returns when the last starts
    /// and when the next one would.
    pub(super) fn push_containing(&self, at: i64, windows: &mut Vec<Window>) -> (i64, i64) {
        let last = self.last_started(at);
        let from = self.start_of(self.first_day_of(last));
        let mut nth = last;
        loop {
            let first_day = self.first_day_of(nth);
            let end = self.start_of(self.size.after(first_day));
            if end <= from && nth < last {
                break;
            }
            let start = self.start_of(first_day);
            windows.push(Window { start, end });
            nth -= 1;
        }
        (from, self.start_of(self.first_day_of(last + 1)))
    }

    /// Returns the number of the last window that starts at `at` or before.
    fn last_started(&self, at: i64) -> i64 {
        let shifted = at.saturating_sub(self.offset_ms);
        let day = match Timestamp::from_millisecond(shifted) {
            Ok(time) => day_of(self.zone.to_datetime(time).date()),
            Err(_) => shifted.div_euclid(DAY),
        };
        let mut nth = match self.advance {
            Length::Days(days) => (day - self.first_day).div_euclid(days),
            Length::Months(months) => (month_of(day).0 - self.first_month).div_euclid(months),
        };
        // Where the clock changes between midnight and the day's beginning the day is another one;
        // so is the month before the day of the month that it begins with.
        while at < self.start_of(self.first_day_of(nth)) {
            nth -= 1;
        }
        while at >= self.start_of(self.first_day_of(nth + 1)) {
            nth += 1;
        }
        nth
    }

    /// Returns the first day of a window, from 1970-01-01.
    fn first_day_of(&self, nth: i64) -> i64 {
        let start = match self.advance {
            Length::Days(days) => nth * days,
            Length::Months(months) => first_of_month(self.first_month + nth * months),
        };
        start + self.first_day
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

impl Length {
    fn period(self) -> Period {
        match self {
            Length::Months(months) => Period {
                months,
                ..Period::default()
            },
            Length::Days(days) => Period {
                ms: days * DAY,
                ..Period::default()
            },
        }
    }

    fn of(period: Period) -> Result<Self> {
        let ms = period.fixed_ms();
        match period.months {
            0 if ms > 0 && ms % DAY == 0 => Ok(Length::Days(ms / DAY)),
            months if months > 0 && ms == 0 => Ok(Length::Months(months)),
            _ => Err(Error::usage("windows of a time zone need whole days")
                .hint("write `1d`, `1w`, `1mo` or `1y`; shorter ones need no `--zone`")),
        }
    }

    /// Returns the day on which so much time has passed since the beginning of a day. In a month
    /// that has no such day it is the last.
    fn after(self, day: i64) -> i64 {
        match self {
            Length::Days(days) => day + days,
            Length::Months(months) => {
                let (month, nth) = month_of(day);
                let (first, next) = (
                    first_of_month(month + months),
                    first_of_month(month + months + 1),
                );
                (first + nth).min(next - 1)
            }
        }
    }

    /// Returns how many days it has at least and at most.
    fn days(self) -> (i64, i64) {
        let Length::Months(_) = self else {
            return (self.after(0), self.after(0));
        };
        // The last day of a month and the first of the next one: the days between are in between.
        let days =
            (0..CYCLE_MONTHS).flat_map(|month| [-1, 0].map(|nth| first_of_month(month) + nth));
        let lengths = days.map(|day| self.after(day) - day);
        lengths.fold((i64::MAX, 0), |(least, most), length| {
            (least.min(length), most.max(length))
        })
    }
}

/// Returns a date as days from 1970-01-01.
fn day_of(date: Date) -> i64 {
    date.duration_since(EPOCH).as_hours() / 24
}

/// Returns the month of a day, from January 1970, and how many days of it came before.
fn month_of(day: i64) -> (i64, i64) {
    let mut month = (day * CYCLE_MONTHS).div_euclid(CYCLE_DAYS); // or the one beside it
    while first_of_month(month) > day {
        month -= 1;
    }
    while first_of_month(month + 1) <= day {
        month += 1;
    }
    (month, day - first_of_month(month))
}

/// Returns the first day of a month from January 1970, in days from 1970-01-01; for months before
/// and after those that a [`Date`] can hold, too.
fn first_of_month(month: i64) -> i64 {
    // Years begin with March here, so that a leap year's day is its last (H. Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms", `days_from_civil`).
    let since_march = month + 1970 * 12 - 2;
    let (year, month) = (since_march.div_euclid(12), since_march.rem_euclid(12));
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::window::Windows;

    fn calendar(size: &str, advance: &str, zone: &str, align: &str) -> Result<Calendar> {
        let period = |text| Period::parse(text).expect("a period");
        let zone = TimeZone::get(zone).expect("a zone");
        Calendar::new(period(size), period(advance), zone, period(align))
    }

    fn days(days: i64, advance_days: i64, zone: &str, offset_ms: i64) -> Calendar {
        let [size, advance] = [days, advance_days].map(|days| format!("{days}d"));
        calendar(&size, &advance, zone, &format!("{offset_ms}ms")).expect("a calendar")
    }

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
        let paris = days(1, 1, "Europe/Paris", 0);
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
        for (size_days, advance_days, zone, offset_ms) in cases {
            let calendar = days(size_days, advance_days, zone, offset_ms);
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
                            end: calendar.start_of(day + size_days),
                        })
                        .filter(|window| window.start <= at && at < window.end)
                        .collect();
                    naive.reverse();
                    let windows = Windows::Calendar(calendar.clone());
                    let mut found = Vec::new();
                    let span = windows.span(at, &mut found);
                    assert_eq!(found, naive, "{size_days} {advance_days} {zone} at {at}");
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
        let early = days(1, 1, "America/New_York", 3 * 3_600_000);
        let (start, hours) = window(&early, "2026-06-01T06:59:59Z");
        assert_eq!((start.as_str(), hours), ("2026-05-31T07:00:00Z", 24));
        let (start, _) = window(&early, "2026-06-01T07:00:00Z");
        assert_eq!(start, "2026-06-01T07:00:00Z");
    }

    #[test]
    fn the_first_and_the_last_times_have_their_day() {
        for zone in ["Pacific/Apia", "America/New_York", "UTC"] {
            for size in ["1d", "1w", "1mo", "1y", "1000y"] {
                let calendar = calendar(size, size, zone, "0s").expect("a calendar");
                for at in [crate::format::EARLIEST, crate::format::LATEST] {
                    let mut windows = Vec::new();
                    calendar.push_containing(at, &mut windows);
                    assert!(
                        windows[0].start <= at && at < windows[0].end,
                        "{size} {zone} {at}"
                    );
                }
            }
        }
    }

    #[test]
    fn months_begin_where_their_dates_do() {
        for year in [
            -400, 0, 1, 1899, 1900, 1904, 1969, 1970, 2000, 2023, 2024, 2026, 2100, 9999,
        ] {
            for month in 1..=12 {
                let first = date(year, month, 1);
                let nth = (i64::from(year) - 1970) * 12 + i64::from(month) - 1;
                assert_eq!(first_of_month(nth), day_of(first), "{first}");
                let last = first.last_of_month();
                let days_before = i64::from(last.day()) - 1;
                assert_eq!(month_of(day_of(last)), (nth, days_before), "{last}");
            }
        }
    }

    #[test]
    fn a_length_of_months_knows_its_shortest_and_longest_days() {
        let months = [
            (1, 28, 31),
            (2, 59, 62),
            (3, 89, 92),
            (12, 365, 366),
            (48, 1_460, 1_461),
        ];
        for (months, least, most) in months {
            assert_eq!(Length::Months(months).days(), (least, most), "{months}");
        }
        assert_eq!(Length::Days(7).days(), (7, 7));
    }

    #[test]
    fn windows_between_which_records_would_be_lost_are_refused() {
        for (size, advance) in [
            ("28d", "1mo"),
            ("30d", "1mo"),
            ("1mo", "29d"),
            ("1mo", "2mo"),
            ("365d", "1y"),
            ("1y", "366d"),
            ("1w", "8d"),
            ("1000y", "1d"),
            ("1d", "1h"),
            ("36h", "1d"),
        ] {
            assert!(
                calendar(size, advance, "UTC", "0s").is_err(),
                "{size} {advance}"
            );
        }
        for (size, advance) in [
            ("31d", "1mo"),
            ("1mo", "28d"),
            ("2mo", "59d"),
            ("366d", "1y"),
            ("1y", "12mo"),
        ] {
            assert!(
                calendar(size, advance, "UTC", "0s").is_ok(),
                "{size} {advance}"
            );
        }
        for (size, align) in [("1w", "1mo"), ("1mo", "28d"), ("1y", "1mo28d")] {
            assert!(
                calendar(size, size, "UTC", align).is_err(),
                "{size} {align}"
            );
        }
    }
}
