//! Axes: from values to dots, and the values that are written beside them.
//!
//! Ticks lie at 1, 2 and 5 times a power of ten (W. Cleveland's and every plot's choice), ticks of time
//! at what a clock or a calendar has a word for.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::ink::Ink;
use super::{Anchor, Area, CELL, Mark, Medium, Shape, Size, point};
use crate::term::units::{DAY, HOUR, MINUTE, SECOND, format_count};

/// A stretch of values and the dots that it is drawn on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    from: f64,
    to: f64,
    first: f64,
    last: f64,
}

impl Scale {
    /// Puts the values `from..=to` on the dots `first..=last`, which go down where `last` is less. A
    /// single value lies in the middle.
    pub fn new((from, to): (f64, f64), (first, last): (f64, f64)) -> Self {
        let (from, to) = match from < to {
            true => (from, to),
            false => (from - 0.5, from + 0.5),
        };
        Scale {
            from,
            to,
            first,
            last,
        }
    }

    /// Returns the dot of a value, which may lie outside.
    pub fn place(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from);
        self.first + share * (self.last - self.first)
    }

    /// Returns the dot of a value, or the nearest one.
    pub fn clamped(&self, value: f64) -> f64 {
        self.place(value.clamp(self.from, self.to))
    }

    /// Returns whether a value lies on it.
    pub fn holds(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// Returns the first and the last value.
    pub fn range(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Returns how many dots it has.
    pub fn length(&self) -> f64 {
        (self.last - self.first).abs()
    }
}

/// A value beside an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// The value.
    pub at: f64,
    /// How it is written.
    pub label: String,
}

/// Returns at most about `most` round numbers from `from` to `to`; whole ones alone if `whole`.
pub fn numbers((from, to): (f64, f64), most: usize, whole: bool) -> Vec<Tick> {
    let step = round_step((to - from) / most.max(1) as f64);
    let step = if whole { step.max(1.0).round() } else { step };
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let (first, last) = ((from / step).ceil(), (to / step).floor());
    let count = (last - first).max(0.0) as usize;
    let values = (0..=count).map(|nth| (first + nth as f64) * step);
    values
        .filter(|value| (from..=to).contains(value))
        .map(|at| Tick {
            at,
            label: number(at, step),
        })
        .collect()
}

/// Returns the least of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter();
    let mut steps = factor.map(|factor| factor * power);
    steps
        .find(|&round| round >= step * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// Writes a number with as many digits as a step needs: `12,000`, `0.25`, `1.5M`.
pub fn number(value: f64, step: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M")];
    if let Some((unit, name)) = units
        .iter()
        .find(|(unit, _)| step >= unit / 1e3 && value.abs() >= *unit)
    {
        return format!("{}{name}", number(value / unit, step / unit));
    }
    if step >= 1.0 && value.abs() < 1e15 {
        let sign = if value <= -0.5 { "−" } else { "" };
        return format!("{sign}{}", format_count(value.abs().round() as u64));
    }
    if value.abs() >= 1e15 || (value != 0.0 && step < 1e-6) {
        return format!("{value:e}");
    }
    let digits = (-step.log10()).ceil().max(0.0) as usize;
    let text = format!("{value:.digits$}");
    text.replacen('-', "−", 1)
}

/// The steps of a clock, in ms.
const STEPS: [i64; 27] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    20 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// Returns at most about `most` round times from `from` to `to`, in ms since 1970, UTC.
pub fn times((from, to): (f64, f64), most: usize) -> Vec<Tick> {
    let most = most.max(1) as f64;
    let (first, last) = (from.ceil() as i64, to.floor() as i64);
    if last < first {
        return Vec::new();
    }
    let least = (to - from) / most;
    let Some(step) = STEPS.into_iter().find(|&step| step as f64 >= least) else {
        return dates(first, last, most);
    };
    let begin = first.div_euclid(step) * step;
    let ticks = (0..).map(|nth: i64| begin.saturating_add(nth.saturating_mul(step)));
    let ticks = ticks
        .skip_while(|&at| at < first)
        .take_while(|&at| at <= last);
    let ticks: Vec<i64> = ticks.collect();
    let day = |at: Option<&i64>| at.map(|at| at.div_euclid(DAY));
    let spans_days = day(ticks.first()) != day(ticks.last());
    ticks
        .into_iter()
        .map(|at| Tick {
            at: at as f64,
            label: clock(at, step, spans_days),
        })
        .collect()
}

/// Returns days, or first days of months or years, of a long stretch.
fn dates(first: i64, last: i64, most: f64) -> Vec<Tick> {
    const STEPS: [(i32, i32); 17] = [
        (0, 2),
        (0, 7),
        (0, 14),
        (1, 0),
        (2, 0),
        (3, 0),
        (6, 0),
        (12, 0),
        (24, 0),
        (60, 0),
        (120, 0),
        (240, 0),
        (600, 0),
        (1_200, 0),
        (6_000, 0),
        (12_000, 0),
        (24_000, 0),
    ];
    const MONTH: f64 = 30.44 * DAY as f64;
    let least = (last as f64 - first as f64) / most;
    let length =
        |(months, days): (i32, i32)| f64::from(months) * MONTH + f64::from(days) * DAY as f64;
    let Some(step) = STEPS.into_iter().find(|&step| length(step) >= least) else {
        return Vec::new();
    };
    let Some(begin) = zoned(first) else {
        return Vec::new();
    };
    let months = i32::from(begin.year()) * 12 + i32::from(begin.month()) - 1;
    let begin = match step {
        // Weeks begin on Mondays, and every second day with the day.
        (0, _) => begin.start_of_day().ok(),
        (each, _) => {
            let month = months.div_euclid(each) * each;
            let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
            let year = i16::try_from(year).ok();
            let date = year.and_then(|year| jiff::civil::Date::new(year, month as i8, 1).ok());
            date.and_then(|date| date.to_zoned(TimeZone::UTC).ok())
        }
    };
    let Some(mut at) = begin else {
        return Vec::new();
    };
    let mut ticks = Vec::new();
    while at.timestamp().as_millisecond() <= last {
        let ms = at.timestamp().as_millisecond();
        if ms >= first {
            let label = match step {
                (months, _) if months >= 12 => at.strftime("%Y").to_string(),
                (1.., _) => at.strftime("%Y-%m").to_string(),
                _ => at.strftime("%m-%d").to_string(),
            };
            ticks.push(Tick {
                at: ms as f64,
                label,
            });
        }
        match at.checked_add(step.0.months().days(step.1)) {
            Ok(next) => at = next,
            Err(_) => break,
        }
    }
    ticks
}

fn zoned(at: i64) -> Option<Zoned> {
    let timestamp = Timestamp::from_millisecond(at).ok()?;
    Some(timestamp.to_zoned(TimeZone::UTC))
}

/// Writes a time as finely as a step needs; with its day at midnight, where there are several.
fn clock(at: i64, step: i64, spans_days: bool) -> String {
    let Some(zoned) = zoned(at) else {
        return at.to_string();
    };
    let is_midnight = at.rem_euclid(DAY) == 0;
    let format = match step {
        DAY => "%m-%d",
        _ if spans_days && is_midnight => "%m-%d",
        MINUTE.. => "%H:%M",
        SECOND.. => "%H:%M:%S",
        _ => "%H:%M:%S%.3f",
    };
    zoned.strftime(format).to_string()
}

/// Returns the days that a stretch of time lies in: `2026-01-01`, `2026-01-01 to 2026-01-03`.
pub fn days((from, to): (f64, f64)) -> String {
    let day = |at: f64| zoned(at as i64).map(|zoned| zoned.strftime("%Y-%m-%d").to_string());
    match (day(from), day(to)) {
        (Some(from), Some(to)) if from == to => from,
        (Some(from), Some(to)) => format!("{from} to {to}"),
        _ => String::new(),
    }
}

/// Writes a time of day with as much of it as a person needs: `12:00:10`, `12:00:10.250`.
pub fn time_of_day(at: i64) -> String {
    let step = if at.rem_euclid(SECOND) == 0 {
        SECOND
    } else {
        1
    };
    clock(at, step, false)
}

/// Draws the axes of an area at its left and lower edges, with what is written beside them; on a page
/// with lines across it.
pub fn draw(
    medium: Medium,
    area: Area,
    (across, across_ticks): (&Scale, &[Tick]),
    (up, up_ticks): (&Scale, &[Tick]),
) -> Vec<Mark> {
    let (mut lines, mut words) = (Vec::new(), Vec::new());
    let line = |from, to| Shape::Line(vec![from, to]);
    for tick in across_ticks {
        let x = across.place(tick.at);
        if !medium.is_cells {
            let shape = line(point(x, area.top), point(x, area.bottom));
            lines.push(Mark::new(Ink::Grid, shape));
        }
        let base = area.bottom + medium.either(17.0, 1.0 + CELL.1);
        let half = medium.text_width(&tick.label, Size::Label) / 2.0;
        // At the edges it stays on the page.
        let at = point(x.clamp(half, medium.width - half), base);
        let label = Mark::text(Ink::Faint, Size::Label, at, &tick.label);
        words.push(label.anchored(Anchor::Middle));
    }
    for tick in up_ticks {
        let y = up.place(tick.at);
        if !medium.is_cells {
            let shape = line(point(area.left, y), point(area.right, y));
            lines.push(Mark::new(Ink::Grid, shape));
        }
        let base = match medium.is_cells {
            true => (y / CELL.1).floor() * CELL.1 + CELL.1,
            false => y + 4.0,
        };
        let at = point(area.left - medium.either(8.0, CELL.0), base);
        let label = Mark::text(Ink::Faint, Size::Label, at, &tick.label);
        words.push(label.anchored(Anchor::End));
    }
    let corner = point(area.left, area.bottom);
    for end in [point(area.left, area.top), point(area.right, area.bottom)] {
        lines.push(Mark::new(Ink::Axis, line(corner, end)));
    }
    lines.extend(words);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn numbers_are_round() {
        assert_eq!(
            labels(&numbers((0.0, 97.0), 5, true)),
            ["0", "20", "40", "60", "80"]
        );
        assert_eq!(labels(&numbers((0.0, 0.9), 4, false)), ["0.0", "0.5"]);
        assert_eq!(labels(&numbers((0.0, 3.0), 10, true)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&numbers((-3.0, 3.0), 3, false)), ["−2", "0", "2"]);
        assert_eq!(labels(&numbers((0.0, 5e6), 3, true)), ["0", "2M", "4M"]);
        assert!(numbers((1.0, 1.0), 5, false).len() <= 1);
        assert!(numbers((f64::NAN, 1.0), 5, false).is_empty());
    }

    #[test]
    fn times_are_those_of_a_clock() {
        let day = 20_454 * DAY; // 2026-01-01
        let at = |ms: i64| (day + ms) as f64;
        let minute = labels_of(times((at(0), at(MINUTE)), 4));
        assert_eq!(minute, ["00:00:00", "00:00:20", "00:00:40", "00:01:00"]);
        let two_days = labels_of(times((at(HOUR), at(DAY + HOUR)), 3));
        assert_eq!(two_days, ["12:00", "01-02"]);
        let weeks = labels_of(times((at(0), at(20 * DAY)), 4));
        assert_eq!(weeks, ["01-01", "01-08", "01-15"]);
        let year = labels_of(times((at(0), at(364 * DAY)), 5));
        assert_eq!(year, ["2026-01", "2026-04", "2026-07", "2026-10"]);
        let ages = times((-62e12, 250e12), 6);
        assert!((2..=8).contains(&ages.len()), "{ages:?}");
        assert_eq!(labels_of(times((at(1), at(4)), 9)).len(), 4);
    }

    fn labels_of(ticks: Vec<Tick>) -> Vec<String> {
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn a_single_value_lies_in_the_middle() {
        assert_eq!(Scale::new((7.0, 7.0), (0.0, 10.0)).place(7.0), 5.0);
        assert_eq!(Scale::new((0.0, 10.0), (100.0, 0.0)).place(2.0), 80.0);
    }
}
