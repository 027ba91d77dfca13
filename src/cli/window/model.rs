//! The three questions of the Dataflow model that flags answer: where, when, how.

use jiff::tz::TimeZone;

use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::engine::watermark::Bound;
use crate::engine::window::Windows;
use crate::error::{Error, Result};
use crate::plan::time::time_zone;
use crate::plan::window::parse_percentile;
use crate::plan::window::spec::{WindowSpec, parse_hopping, parse_session};
use crate::term::period::Period;
use crate::term::units::{parse_duration, parse_positive_duration};

/// The four questions of the Dataflow model, as `--help` asks them.
pub(super) mod questions {
    pub const WHAT: &str = "What is computed";
    pub const WHERE: &str = "Where in event time (one window is required)";
    pub const WHEN: &str = "When rows leave";
    pub const HOW: &str = "How later rows of a window relate to earlier ones";
}
use questions::{HOW, WHEN, WHERE};

/// Where in event time: exactly one window.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = WHERE)]
#[group(id = "window", required = true, multiple = false,
    args = ["tumbling", "hopping", "session", "sliding", "global"])]
pub(in crate::cli) struct Where {
    /// Windows of this size, one after the other: `10s`, `1h`, `1d`, `1w` (from Monday), `1mo`, `1y`.
    #[arg(long, value_name = "SIZE", value_parser = Period::parse_size)]
    tumbling: Option<Period>,

    /// Windows of this size, one every ADVANCE, which need not divide the size. With `1mo,1d` a window
    /// ends on the same day of the next month, or on its last day if it is shorter.
    #[arg(long, value_name = "SIZE,ADVANCE", value_parser = parse_hopping)]
    hopping: Option<(Period, Period)>,

    /// Sessions: records of one key, each at most GAP after the one before; at most MAX long.
    #[arg(long, value_name = "GAP[,MAX]", value_parser = parse_session)]
    session: Option<(i64, Option<i64>)>,

    /// Sliding windows: every set of records of one key that lie within this duration.
    #[arg(long, value_name = "DURATION", value_parser = parse_positive_duration)]
    sliding: Option<i64>,

    /// One window for all time.
    #[arg(long)]
    global: bool,
}

/// What shifts tumbling and hopping windows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = WHERE)]
pub(in crate::cli) struct Alignment {
    /// Shift where windows start: `1d` by `3h`, `1w` by `6d` (from Sunday), `1y` by `3mo` (from
    /// April).
    #[arg(long, value_name = "DURATION", value_parser = Period::parse)]
    align: Option<Period>,

    /// The time zone, such as `Europe/Paris`, in which days, weeks, months and years begin, and of times
    /// without a zone; `local`: this machine's [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

/// When in processing time rows leave, and how later ones relate to earlier ones.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = WHEN)]
pub(in crate::cli) struct When {
    /// Write rows when a window is final, or at every update [default: final]
    #[arg(long, value_enum, value_name = "WHEN", conflicts_with = "trigger")]
    emit: Option<Emit>,

    /// When a window shows its row: `watermark`, `changes`, `every 5s`, `count 100`, or
    /// `early(every 5s) watermark late(count 1)`.
    #[arg(long, value_name = "TRIGGER")]
    trigger: Option<String>,

    /// How a later row of a window relates to an earlier one.
    #[arg(long, value_enum, value_name = "HOW", default_value = "accumulating", help_heading = HOW)]
    pub refine: Refinement,

    /// Add the columns `timing`, `pane`, `is_last`.
    #[arg(long, help_heading = HOW)]
    pub panes: bool,

    /// Hold the watermark this far behind the highest event time [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "watermark")]
    out_of_order: Option<i64>,

    /// Learn how far to hold the watermark back: `percentile:99` of the delays seen so far, or up to an
    /// eighth more.
    #[arg(long, value_name = "HOW", value_parser = parse_percentile)]
    watermark: Option<f64>,

    /// Set aside and count records whose event time is further ahead of their arrival than this, so that
    /// one wrong clock does not make all others late. Arrival is the column of `--arrival`, else the
    /// broker's timestamp (for a topic with LogAppendTime), else the clock.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub ahead: Option<i64>,

    /// Accept records this long after their window has closed; its final row waits as long.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub grace: i64,

    /// A partition that stays at its end this long no longer holds the watermark back.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub idle: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Emit {
    /// One row per window and key, once its grace has passed.
    Final,
    /// A row for every update.
    Changes,
}

impl Where {
    /// Returns the windows.
    ///
    /// # Errors
    /// `usage` for sizes that make no windows, and for an alignment that does not fit them.
    pub fn windows(&self, alignment: &Alignment) -> Result<Windows> {
        let zone = alignment.zone()?;
        self.spec().windows(alignment.align, zone.as_ref())
    }

    /// Returns whether one was named.
    pub fn is_given(&self) -> bool {
        self.global
            || self.tumbling.is_some()
            || self.hopping.is_some()
            || self.session.is_some()
            || self.sliding.is_some()
    }

    fn spec(&self) -> WindowSpec {
        match self {
            Where {
                tumbling: Some(size),
                ..
            } => WindowSpec::Tumbling(*size),
            Where {
                hopping: Some((size, advance)),
                ..
            } => WindowSpec::Hopping(*size, *advance),
            Where {
                session: Some((gap, max)),
                ..
            } => WindowSpec::Session(*gap, *max),
            Where {
                sliding: Some(apart),
                ..
            } => WindowSpec::Sliding(*apart),
            _ => WindowSpec::Global,
        }
    }
}

impl Alignment {
    /// Returns the time zone, if one was named.
    pub fn zone(&self) -> Result<Option<TimeZone>> {
        self.zone.as_deref().map(time_zone).transpose()
    }
}

impl When {
    /// Returns when rows leave.
    ///
    /// # Errors
    /// `usage` for a trigger that cannot be read.
    pub fn trigger(&self) -> Result<Trigger> {
        match (&self.trigger, self.emit) {
            (Some(text), _) => text.parse(),
            (None, Some(Emit::Changes)) => Ok(Trigger::CHANGES),
            (None, Some(Emit::Final) | None) => Ok(Trigger::Final),
        }
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
/// `usage` for the global window, if its trigger only waits for its close.
pub(super) fn refuse_endless(windows: &Windows, trigger: &Trigger) -> Result<()> {
    let fires = match trigger {
        Trigger::Final => false,
        Trigger::Panes { early, .. } => early.count.is_some() || early.every_ms.is_some(),
    };
    match windows {
        Windows::Global if !fires => Err(Error::usage(
            "`--global` closes when the input ends, and without `--exit` a topic never ends",
        )
        .hint("add `--exit`, or show rows earlier: `--trigger 'every 5s'`")),
        _ => Ok(()),
    }
}
