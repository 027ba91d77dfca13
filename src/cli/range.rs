//! Flags that choose which part of a topic is read; shared by all commands that read topics.

use super::names;
use crate::error::{Error, Result};
use crate::source::kafka::{Range, Since, Until};
use crate::term::units::{now_ms, parse_time};

/// Which part of a topic is read, and for which group.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Reading a topic")]
pub(super) struct RangeOptions {
    #[command(flatten)]
    places: PlaceOptions,

    /// Continue where this group has committed, and commit its progress.
    #[arg(long, value_name = "NAME", value_parser = names::parse)]
    group: Option<String>,
}

/// From where to where a topic is read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Reading a topic")]
pub(super) struct PlaceOptions {
    /// Start at `beginning`, `end`, an OFFSET (digits alone) or a TIME: ISO 8601, or `-10m`
    /// [default: beginning, or where the group has committed]
    #[arg(long, value_name = "WHERE")]
    since: Option<String>,

    /// End before an OFFSET (digits alone) or a TIME.
    #[arg(long, value_name = "WHERE")]
    until: Option<String>,

    /// End where the partitions end now, instead of waiting for more.
    #[arg(long, conflicts_with = "until")]
    exit: bool,
}

impl PlaceOptions {
    /// Returns the range that the flags ask for, without a group.
    ///
    /// # Errors
    /// `usage` for a place that is neither an offset nor a time.
    pub fn range(&self) -> Result<Range> {
        let now = now_ms();
        let wrong = |flag: &str, value: &str, reason: String| {
            Error::usage(format!("invalid value `{value}` for `{flag}`: {reason}"))
        };
        let since = match self.since.as_deref() {
            None | Some("beginning") => Since::Beginning,
            Some("end") => Since::End,
            Some(place) => match place.parse() {
                Ok(offset) if is_digits(place) => Since::Offset(offset),
                _ => Since::Time(
                    parse_time(place, now).map_err(|reason| wrong("--since", place, reason))?,
                ),
            },
        };
        let until = match self.until.as_deref() {
            None if self.exit => Until::End,
            None => Until::Never,
            Some(place) => match place.parse() {
                Ok(offset) if is_digits(place) => Until::Offset(offset),
                _ => Until::Time(
                    parse_time(place, now).map_err(|reason| wrong("--until", place, reason))?,
                ),
            },
        };
        Ok(Range {
            since,
            until,
            group: None,
        })
    }

    /// Returns whether any flag was given, and which.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--since", self.since.is_some()),
            ("--until", self.until.is_some()),
            ("--exit", self.exit),
        ];
        flags
            .into_iter()
            .find(|(_, given)| *given)
            .map(|(flag, _)| flag)
    }

    /// Returns whether reading ends at the partitions' ends.
    pub fn exits(&self) -> bool {
        self.exit
    }

    /// Returns whether `--until` was given.
    pub fn ends_early(&self) -> bool {
        self.until.is_some()
    }
}

impl RangeOptions {
    /// Returns the range that the flags ask for.
    ///
    /// # Errors
    /// `usage` for a place that is neither an offset nor a time, and for an empty group name.
    pub fn range(&self) -> Result<Range> {
        if self.group.as_deref().is_some_and(str::is_empty) {
            return Err(Error::usage("the name of the group is empty"));
        }
        let group = self.group.clone();
        Ok(Range {
            group,
            ..self.places.range()?
        })
    }

    /// Returns where reading should begin.
    pub fn begins(&self) -> Option<&str> {
        self.places.since.as_deref()
    }

    /// Returns whether any flag was given, and which.
    pub fn given(&self) -> Option<&'static str> {
        let group = self.group.as_ref().map(|_| "--group");
        self.places.given().or(group)
    }

    /// Returns whether `--until` was given.
    pub fn ends_early(&self) -> bool {
        self.places.ends_early()
    }

    /// Lets reading end at the ends that the partitions have now, unless it ends earlier.
    pub fn end_at_present(&mut self) {
        self.places.exit = self.places.until.is_none();
    }

    /// Returns the group, if one was named, and lets reading have nothing to do with it.
    pub fn take_group(&mut self) -> Option<String> {
        self.group.take()
    }

    /// Returns the group, if one was named.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Returns whether reading ends at the partitions' ends.
    pub fn exits(&self) -> bool {
        self.places.exits()
    }
}

fn is_digits(place: &str) -> bool {
    place.bytes().all(|byte| byte.is_ascii_digit())
}
