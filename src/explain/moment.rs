//! A moment of event time as a person types it: with its date, or as the time of day of a stream that
//! is shorter than a day.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::term::units::{HOUR, parse_time};

/// A moment of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// In ms since 1970, UTC.
    At(i64),
    /// The first such time of a day at the beginning of the stream or later.
    OfDay(Time),
}

impl Moment {
    /// Reads `12:00:10`, ISO 8601, ms since 1970, or relative to now such as `-10m`.
    ///
    /// # Errors
    /// Says what is wrong, for clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_of_day = text.contains(':') && !text.contains(['-', 'T', ' ']);
        match text.parse::<Time>() {
            Ok(time) if is_of_day => Ok(Moment::OfDay(time)),
            _ => parse_time(text, crate::term::units::now_ms())
                .map(Moment::At)
                .map_err(|_| {
                    "write a time of day such as `12:00:10`, or with its date `2026-01-01T12:00:10Z`"
                        .to_owned()
                }),
        }
    }

    /// Returns the moment in a stream whose first record that was read is of `first`, in ms since
    /// 1970, UTC. Records may be out of order: an hour before that is still the beginning.
    pub fn after(self, first: i64, zone: Option<&TimeZone>) -> i64 {
        let time = match self {
            Moment::At(at) => return at,
            Moment::OfDay(time) => time,
        };
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let Ok(begins) = Timestamp::from_millisecond(first.saturating_sub(HOUR)) else {
            return first;
        };
        let date = zone.to_datetime(begins).date();
        let days = [Some(date), date.checked_add(1.day()).ok()];
        let moments = days.into_iter().flatten().filter_map(|date| {
            let at = zone.to_timestamp(date.to_datetime(time)).ok()?;
            Some(at.as_millisecond())
        });
        let mut later = moments.filter(|&at| at >= begins.as_millisecond());
        later.next().unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_of_the_day_of_the_stream() {
        let midnight = 1_767_225_600_000; // 2026-01-01T00:00:00Z
        let of_day = |text| Moment::parse(text).expect(text);
        assert_eq!(of_day("00:00:10").after(midnight, None), midnight + 10_000);
        assert_eq!(
            of_day("23:59:50").after(midnight, None),
            midnight - 10_000,
            "the first record is seldom the earliest"
        );
        assert_eq!(of_day("12:00").after(midnight, None), midnight + 12 * HOUR);
        let paris = TimeZone::get("Europe/Paris").expect("a zone");
        assert_eq!(of_day("01:00").after(midnight, Some(&paris)), midnight);
        assert_eq!(
            of_day("2026-01-01T00:00:10Z"),
            Moment::At(midnight + 10_000)
        );
        assert!(Moment::parse("noon").is_err());
    }
}
