//! Sizes of windows, of which some are as long as the calendar says: `1mo`, `1y`.

use std::fmt;

use super::units::{DAY, at_most_longest, each_part, format_duration, ms_of};

/// The most months of a period: a thousand years.
const MAX_MONTHS: i64 = 12_000;

/// A length of time as typed, of months and weeks and the rest. A month has no length in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// Months; a year is twelve.
    pub months: i64,
    /// Weeks, which begin on Monday.
    pub weeks: i64,
    /// Days of 24 hours and less.
    pub ms: i64,
}

impl Period {
    /// Parses what [`parse_duration`](super::units::parse_duration) reads and `1w`, `1mo`, `1y`.
    ///
    /// # Errors
    /// As there, and for a part of a week, a month or a year.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut period = Period::default();
        let example = "write a number and a unit, such as `10s`, `1h`, `1d`, `1w`, `1mo` or `1y`";
        each_part(text, example, |number, unit| {
            let (part, size) = match unit {
                "y" => (&mut period.months, 12),
                "mo" => (&mut period.months, 1),
                "w" => (&mut period.weeks, 1),
                _ => {
                    period.ms = period.ms.saturating_add(ms_of(number, unit, example)?);
                    return Ok(());
                }
            };
            let count: i64 = number.parse().map_err(|_| {
                format!("`{number}{unit}`: weeks, months and years must be whole numbers")
            })?;
            *part = part.saturating_add(count.saturating_mul(size));
            Ok(())
        })?;
        at_most_longest(period.fixed_ms())?;
        if period.months <= MAX_MONTHS {
            Ok(period)
        } else {
            Err(format!("a period can be at most {}y", MAX_MONTHS / 12))
        }
    }

    /// Parses a window's size, which is not zero, and either of months and years or of the rest.
    ///
    /// # Errors
    /// As [`Period::parse`].
    pub(crate) fn parse_size(text: &str) -> Result<Self, String> {
        let period = Period::parse(text)?;
        match (period.months, period.fixed_ms()) {
            (0, 0) => Err("the duration must be above zero".to_owned()),
            (1.., 1..) => {
                Err("a size has either years and months, or weeks, days and less".to_owned())
            }
            _ => Ok(period),
        }
    }

    /// Returns how long all but the months is, with weeks of seven days of 24 hours, in ms.
    pub fn fixed_ms(&self) -> i64 {
        self.ms.saturating_add(self.weeks.saturating_mul(7 * DAY))
    }

    /// Returns whether it is of weeks alone.
    pub(crate) fn is_weeks(&self) -> bool {
        self.months == 0 && self.ms == 0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.months / 12, "y"),
            (self.months % 12, "mo"),
            (self.weeks, "w"),
        ];
        let mut is_empty = true;
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{count}{unit}")?;
            is_empty = false;
        }
        if self.ms == 0 && !is_empty {
            Ok(())
        } else {
            f.write_str(&format_duration(self.ms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_combine_and_come_back() {
        for (text, months, weeks, ms) in [
            ("1d", 0, 0, DAY),
            ("1w", 0, 1, 0),
            ("1w1d12h", 0, 1, DAY + DAY / 2),
            ("1mo", 1, 0, 0),
            ("1y6mo", 18, 0, 0),
            ("1mo6h", 1, 0, DAY / 4),
            ("5m", 0, 0, 300_000),
            ("0s", 0, 0, 0),
        ] {
            let period = Period { months, weeks, ms };
            assert_eq!(Period::parse(text), Ok(period), "{text}");
            assert_eq!(period.to_string(), text);
        }
        assert_eq!(Period::parse("18mo"), Period::parse("1y6mo"));
    }

    #[test]
    fn sizes_without_sense_are_refused() {
        for text in [
            "",
            "1",
            "mo",
            "-1mo",
            "0mo",
            "0w",
            "0s",
            "1.5mo",
            "0.5w",
            "1M",
            "1mo1d",
            "1y1w",
            "1001y",
            "12001mo",
            "600000w",
            "99999999999999999999w",
            "99999999999999999999y",
        ] {
            assert!(Period::parse_size(text).is_err(), "{text}");
        }
    }
}
