//! The three questions of the Dataflow model that flags answer: where, when, how.

use jiff::tz::TimeZone;

use crate::cli::input::time_zone;
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::Bound;
use crate::engine::window::calendar::{Calendar, MONDAY};
use crate::engine::window::{Aligned, Windows};
use crate::error::{Error, Result};
use crate::term::period::Period;
use crate::term::units::{DAY, format_duration, parse_duration, parse_positive_duration};

/// The four questions of the Dataflow model, as `--help` asks them.
pub(super) mod questions {
    pub const WHAT: &str = "What is computed";
    pub const WHERE: &str = "Where in event time (one window, and what time is)";
    pub const WHEN: &str = "When rows leave";
    pub const HOW: &str = "How later rows of a window relate to earlier ones";
}
use questions::{HOW, WHEN, WHERE};

/// Where in event time: exactly one window.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = WHERE)]
#[group(id = "window", required = true, multiple = false,
    args = ["tumbling", "hopping", "session", "sliding", "global"])]
pub(super) struct Where {
    /// Windows of this size, one after the other: `10s`, `1h`, `1d`; weeks from Monday `1w`, months
    /// `1mo`, years `1y`.
    #[arg(long, value_name = "SIZE", value_parser = Period::parse_size)]
    tumbling: Option<Period>,

    /// Windows of this size that start every ADVANCE, which need not divide the size. With `1mo,1d`
    /// each ends on the same day of the next month, or where that is shorter on its last.
    #[arg(long, value_name = "SIZE,ADVANCE", value_parser = parse_hopping)]
    hopping: Option<(Period, Period)>,

    /// Sessions: a key's records of which each is at most GAP from the next; at most MAX long.
    #[arg(long, value_name = "GAP[,MAX]", value_parser = parse_session)]
    session: Option<(i64, Option<i64>)>,

    /// Every set of a key's records that are at most this far apart.
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    sliding: Option<i64>,

    /// One window for all time.
    #[arg(long)]
    global: bool,
}

/// What shifts the windows of a grid.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = WHERE)]
pub(super) struct Alignment {
    /// Shift the windows' starts by this much: with `1d` by `3h`, with `1w` by `6d` (from Sunday),
    /// with `1y` by `3mo` (from April).
    #[arg(long, value_name = "DURATION", value_parser = Period::parse)]
    align: Option<Period>,

    /// Let days, weeks, months and years begin at midnight of this time zone, such as `Europe/Paris`, and
    /// read times of it that name no zone; `local`: this machine's [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

/// When in processing time rows leave, and how later ones relate to earlier ones.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = WHEN)]
pub(super) struct When {
    /// Rows when a window is final, or at every update [default: final]
    #[arg(long, value_enum, value_name = "WHEN", conflicts_with = "trigger")]
    emit: Option<Emit>,

    /// When rows leave: `watermark`, `changes`, `every 5s`, `count 100`,
    /// or `early(every 5s) watermark late(count 1)`.
    #[arg(long, value_name = "TRIGGER")]
    trigger: Option<String>,

    /// How a later row of a window relates to an earlier one.
    #[arg(long, value_enum, value_name = "HOW", default_value = "accumulating", help_heading = HOW)]
    pub refine: Refinement,

    /// Add the columns `timing`, `pane`, `is_last`.
    #[arg(long, help_heading = HOW)]
    pub panes: bool,

    /// Let the watermark stay this far behind the highest event time [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "watermark")]
    out_of_order: Option<i64>,

    /// Learn how far the watermark stays behind: `percentile:99` of the delays so far, at most an
    /// eighth above.
    #[arg(long, value_name = "HOW", value_parser = parse_percentile)]
    watermark: Option<f64>,

    /// Set records aside, and count them, whose time is further ahead of their arrival than this: one
    /// wrong clock does not make all others late. Arrival is the column of `--arrival`, else when the
    /// broker appended the record (of a topic with LogAppendTime), else the clock.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub ahead: Option<i64>,

    /// Keep records that come this late after their window's close, and its last row as long.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub grace: i64,

    /// Let a partition that is at its end hold the watermark back no longer than this.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub idle: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Emit {
    /// One row a window and key, once its grace has passed.
    Final,
    /// A row for every update.
    Changes,
}

fn parse_hopping(text: &str) -> Result<(Period, Period), String> {
    let (size, advance) = text
        .split_once(',')
        .ok_or_else(|| "write size and advance, such as `1m,10s`".to_owned())?;
    Ok((Period::parse_size(size)?, Period::parse_size(advance)?))
}

fn parse_session(text: &str) -> Result<(i64, Option<i64>), String> {
    let Some((gap, max)) = text.split_once(',') else {
        return Ok((parse_positive_duration(text)?, None));
    };
    let (gap, max) = (parse_positive_duration(gap)?, parse_positive_duration(max)?);
    match max < gap {
        true => Err("the longest session is shorter than the gap".to_owned()),
        false => Ok((gap, Some(max))),
    }
}

fn parse_percentile(text: &str) -> Result<f64, String> {
    let percent = text.strip_prefix("percentile:").map(str::parse::<f64>);
    match percent {
        Some(Ok(percent)) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("write `percentile:99`, above 0 and at most 100".to_owned()),
    }
}

impl Where {
    /// Returns the windows.
    ///
    /// # Errors
    /// `usage` for sizes that make no windows, and where the alignment does not fit them.
    pub fn windows(&self, alignment: &Alignment) -> Result<Windows> {
        if let Some((size, advance)) = self.grid() {
            return alignment.grid(size, advance);
        }
        alignment.refuse()?;
        Ok(match (self.session, self.sliding) {
            (Some((gap_ms, max_ms)), _) => Windows::Session { gap_ms, max_ms },
            (_, Some(apart_ms)) => Windows::Sliding { apart_ms },
            _ => Windows::Global,
        })
    }

    /// Returns the windows as they were typed, with the zone's own name.
    ///
    /// # Errors
    /// `usage` for an unknown zone.
    pub fn told(&self, alignment: &Alignment) -> Result<String> {
        let window = match self {
            Where {
                tumbling: Some(size),
                ..
            } => format!("--tumbling {size}"),
            Where {
                hopping: Some((size, advance)),
                ..
            } => format!("--hopping {size},{advance}"),
            Where {
                session: Some((gap, max)),
                ..
            } => {
                let max = max.map(|max| format!(",{}", format_duration(max)));
                let max = max.unwrap_or_default();
                format!("--session {}{max}", format_duration(*gap))
            }
            Where {
                sliding: Some(apart),
                ..
            } => format!("--sliding {}", format_duration(*apart)),
            _ => "--global".to_owned(),
        };
        let align = alignment.align.map(|align| format!(" --align {align}"));
        let zone = alignment.zone()?;
        let zone = zone.as_ref().and_then(TimeZone::iana_name);
        let zone = zone.map(|zone| format!(" --zone {zone}"));
        Ok(window + &align.unwrap_or_default() + &zone.unwrap_or_default())
    }

    fn grid(&self) -> Option<(Period, Period)> {
        self.hopping.or(self.tumbling.map(|size| (size, size)))
    }
}

impl Alignment {
    fn grid(&self, size: Period, advance: Period) -> Result<Windows> {
        let align = self.align.unwrap_or_default();
        let zone = self.zone()?;
        // Weeks and days of UTC are all of one length.
        let by_months = size.months > 0 || advance.months > 0;
        let is_shorter = |period: Period| period.months == 0 && period.fixed_ms() % DAY != 0;
        // The days of a zone do not matter to windows of hours and less; it is for reading times.
        let zone = zone.filter(|_| !(is_shorter(size) && is_shorter(advance)));
        if let Some(zone) = zone.or(by_months.then_some(TimeZone::UTC)) {
            let calendar = Calendar::new(size, advance, zone, align)?;
            return Ok(Windows::Calendar(calendar));
        }
        if align.months > 0 {
            return Err(Error::usage(
                "`--align` takes months where windows start by months",
            ));
        }
        let windows = Aligned::hopping(size.fixed_ms(), advance.fixed_ms())?;
        let monday = if advance.is_weeks() { MONDAY * DAY } else { 0 };
        Ok(Windows::Aligned(
            windows.aligned_at(align.fixed_ms() + monday),
        ))
    }

    /// Returns the time zone, if one was named.
    pub fn zone(&self) -> Result<Option<TimeZone>> {
        self.zone.as_deref().map(time_zone).transpose()
    }

    fn refuse(&self) -> Result<()> {
        match self.align {
            Some(_) => Err(Error::usage(
                "`--align` shifts windows of a fixed grid: it needs `--tumbling` or `--hopping`",
            )),
            None => Ok(()),
        }
    }
}

impl When {
    /// Returns when rows leave.
    ///
    /// # Errors
    /// `usage` for a trigger that cannot be read.
    pub fn trigger(&self) -> Result<Trigger> {
        match (&self.trigger, self.emit) {
            (Some(text), _) => Trigger::parse(text),
            (None, Some(Emit::Changes)) => Ok(Trigger::CHANGES),
            (None, Some(Emit::Final) | None) => Ok(Trigger::Final),
        }
    }

    /// Returns what a state depends on, by flag.
    pub fn told(&self) -> [(&'static str, String); 5] {
        let refine = self.refine.name();
        let trigger = self.trigger.clone().or_else(|| {
            let changes = matches!(self.emit, Some(Emit::Changes));
            changes.then(|| "changes".to_owned())
        });
        let bound = match self.watermark {
            Some(percent) => format!("percentile:{percent}"),
            None => format_duration(self.out_of_order.unwrap_or(0)),
        };
        [
            ("--trigger", trigger.unwrap_or_default()),
            ("--refine", refine.to_owned()),
            ("--out-of-order", bound),
            (
                "--ahead",
                self.ahead.map(format_duration).unwrap_or_default(),
            ),
            ("--grace", format_duration(self.grace)),
        ]
    }

    /// Returns how far the watermark stays behind.
    pub fn bound(&self) -> Bound {
        match self.watermark {
            Some(percent) => Bound::Percentile(percent),
            None => Bound::Fixed(self.out_of_order.unwrap_or(0)),
        }
    }
}

/// Refuses windows that would never fire on an input that never ends.
///
/// # Errors
/// `usage` for the window of all time whose trigger waits for its close alone.
pub(super) fn refuse_endless(windows: &Windows, trigger: &Trigger) -> Result<()> {
    let fires = match trigger {
        Trigger::Final => false,
        Trigger::Panes { early, .. } => early.count.is_some() || early.every_ms.is_some(),
    };
    match windows {
        Windows::Global if !fires => Err(Error::usage(
            "`--global` closes when the input ends, and a topic that is followed never ends",
        )
        .hint("add `--exit`, or let rows leave earlier: `--trigger 'every 5s'`")),
        _ => Ok(()),
    }
}
