//! Windows of the calendar worked out from the dates alone.

use jiff::civil::{Date, Time, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use k::engine::window::calendar::Calendar;
use k::engine::window::{Window, Windows};
use k::term::period::Period;
use k::term::units::DAY;
use proptest::prelude::*;

/// Clocks that change at midnight, by half an hour, by a day, and never.
const ZONES: [&str; 8] = [
    "Europe/Paris",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
    "Asia/Beirut",
    "UTC",
];

/// Windows as they would be typed.
#[derive(Debug, Clone)]
struct Case {
    size: Period,
    advance: Period,
    align: Period,
    zone: &'static str,
}

fn days(days: i64) -> Period {
    Period {
        ms: days * DAY,
        ..Period::default()
    }
}

fn weeks(weeks: i64) -> Period {
    Period {
        weeks,
        ..Period::default()
    }
}

fn months(months: i64) -> Period {
    Period {
        months,
        ..Period::default()
    }
}

fn period() -> impl Strategy<Value = Period> {
    prop_oneof![
        (1_i64..40).prop_map(days),
        (1_i64..8).prop_map(weeks),
        (1_i64..30).prop_map(months),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let advance = prop::option::of(period());
    let of_day = prop_oneof![Just(0), 0_i64..86_400_000];
    let align = (0_i64..6, 0_i64..28, of_day);
    let zone = prop::sample::select(&ZONES[..]);
    (period(), advance, align, zone).prop_map(|(size, advance, (later, days, of_day), zone)| {
        let advance = advance.unwrap_or(size);
        let align = Period {
            months: if advance.months > 0 { later } else { 0 },
            weeks: 0,
            ms: days * DAY + of_day,
        };
        Case {
            size,
            advance,
            align,
            zone,
        }
    })
}

impl Case {
    /// Returns whether a window starts with a date.
    fn starts_on(&self, day: Date) -> bool {
        let shifted = day.checked_sub((self.align.ms / DAY).days());
        let shifted = shifted.expect("a date far from the calendar's ends");
        let day_number = shifted.duration_since(date(1970, 1, 1)).as_hours() / 24;
        let Period { months, weeks, ms } = self.advance;
        match (months, weeks) {
            (0, 0) => day_number.rem_euclid(ms / DAY) == 0,
            (0, weeks) => {
                let monday = shifted.weekday() == Weekday::Monday;
                let since = day_number
                    - date(1969, 12, 29)
                        .duration_since(date(1970, 1, 1))
                        .as_hours()
                        / 24;
                monday && (since / 7).rem_euclid(weeks) == 0
            }
            (months, _) => {
                let month =
                    (i64::from(shifted.year()) - 1970) * 12 + i64::from(shifted.month()) - 1;
                shifted.day() == 1 && (month - self.align.months).rem_euclid(months) == 0
            }
        }
    }

    /// Returns when a date begins.
    fn beginning(&self, day: Date) -> i64 {
        let of_day = SignedDuration::from_millis(self.align.ms % DAY);
        let clock = day.to_datetime(Time::midnight()).checked_add(of_day);
        let zone = TimeZone::get(self.zone).expect("a zone");
        let begins = zone.to_timestamp(clock.expect("a date far from the calendar's ends"));
        begins.expect("a time").as_millisecond()
    }

    /// Returns the windows that contain a time, the one that closes last first.
    fn windows_of(&self, at: i64) -> Vec<Window> {
        let today = Timestamp::from_millisecond(at).expect("a time");
        let today = today.to_zoned(TimeZone::UTC).date();
        let Period { months, weeks, ms } = self.size;
        let size = months.months().days(7 * weeks + ms / DAY);
        let reach = 31 * months + 7 * weeks + ms / DAY + 3;
        let near = (-reach..3).map(|nth| today.checked_add(nth.days()).expect("a date"));
        let starts = near.filter(|day| self.starts_on(*day));
        let windows = starts.map(|day| Window {
            start: self.beginning(day),
            end: self.beginning(day.checked_add(size).expect("a date")),
        });
        let mut windows: Vec<Window> = windows
            .filter(|window| window.start <= at && at < window.end)
            .collect();
        windows.sort_unstable();
        windows.reverse();
        windows
    }
}

/// The moments at which something changes: around the beginnings of days, and anywhere.
fn moment() -> impl Strategy<Value = i64> {
    let (from, to) = (-40_i64 * 365, 70_i64 * 365);
    // Apia left out 2011-12-30; the last of the days are those on which clocks change.
    let days = prop_oneof![
        4 => from..to,
        1 => 15_335_i64..15_342,
        1 => prop::sample::select(vec![17_838_i64, 20_540, 20_541, 20_750, 20_751, 19_782, 19_783]),
    ];
    let of_day = prop_oneof![
        3 => (-15_i64..15).prop_map(|hours| hours * 3_600_000),
        1 => 0_i64..DAY,
    ];
    (days, of_day, -1_i64..2).prop_map(|(day, of_day, beside)| day * DAY + of_day + beside)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::config().cases / 3, ..crate::config() })]

    /// Over changed clocks, months of every length and leap years.
    #[test]
    fn windows_of_the_calendar_are_those_that_its_dates_make(
        case in case(),
        moments in prop::collection::vec(moment(), 1..6),
    ) {
        let zone = TimeZone::get(case.zone).expect("a zone");
        // What leaves gaps is refused.
        let Ok(calendar) = Calendar::new(case.size, case.advance, zone, case.align) else {
            return Ok(());
        };
        let windows = Windows::Calendar(calendar);
        for at in moments {
            let mut found = Vec::new();
            let span = windows.span(at, &mut found);
            prop_assert_eq!(&found, &case.windows_of(at), "at {}", at);
            prop_assert!(!found.is_empty(), "a record at {} would be lost", at);
            prop_assert!(span.from <= at && at < span.to);
            for same in [span.from, span.to - 1] {
                let mut others = Vec::new();
                prop_assert_eq!(windows.span(same, &mut others), span);
                prop_assert_eq!(&others, &found, "at {} as at {}", same, at);
            }
        }
    }
}
