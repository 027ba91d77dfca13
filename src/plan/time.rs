//! Where the event times of a query come from.

use jiff::tz::TimeZone;

use crate::column::Schema;
use crate::error::{Error, Result};
use crate::format::{Reading, TimeFrom, TimeUnit, open_up_time};

/// What `--time` calls the records' own timestamps.
const RECORD: [&str; 2] = ["@record", "@timestamp"];
/// What it calls processing time.
pub(super) const ARRIVAL: &str = "@arrival";

/// Why there is no event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The records' own timestamps are wanted, and they have none.
    OfRecords,
    /// None is named, and there is no column of a default.
    Column,
}

/// Adds the columns that `--time` names and a schema has not, where it may have them.
pub(super) fn open_up(schema: &mut Schema, time: Option<&str>) {
    if let Some(time) = time.filter(|name| *name != ARRIVAL && !RECORD.contains(name)) {
        open_up_time(schema, time);
    }
}

/// Takes what is named, else `event_time` (a join's result) or `start_timestamp` if there, else
/// the record's own timestamp where records have one.
pub(super) fn event_time(
    named: Option<&str>,
    reading: &Reading,
    schema: &Schema,
    record_times: bool,
) -> Result<Result<TimeFrom, Missing>> {
    let mut defaults = ["event_time", "start_timestamp"].into_iter();
    let time = match named {
        Some(name) if record_times && RECORD.contains(&name) => TimeFrom::Record,
        Some("@record") => return Ok(Err(Missing::OfRecords)),
        Some(text) => TimeFrom::named(text, reading, schema)?,
        None => match defaults.find_map(|name| schema.index_of(name)) {
            Some(index) => TimeFrom::column(index, reading, schema)?,
            None if record_times => TimeFrom::Record,
            None => return Ok(Err(Missing::Column)),
        },
    };
    Ok(Ok(time))
}

impl Missing {
    /// Returns the error about the records of a file or pipe; `of` is a side of a join, if they are one's.
    pub fn error(self, of: Option<&str>, schema: &Schema) -> Error {
        let columns = schema.names();
        let (has_no_column, there_are) = match of {
            None => (
                "there is no column `start_timestamp`".to_owned(),
                format!("the columns are {columns}"),
            ),
            Some(side) => (
                format!("the {side} side has no column `start_timestamp`"),
                format!("the {side} side has {columns}"),
            ),
        };
        let message = match self {
            Missing::OfRecords => {
                "records of a file or pipe have no timestamp of their own".to_owned()
            }
            Missing::Column => format!("no event time: {has_no_column}"),
        };
        Error::usage(message).hint(format!(
            "name a column with `--time` (`k look` finds those of times); {there_are}"
        ))
    }
}

/// Returns the name of a unit as `--time-unit` takes it; `None` for ms, which is the default.
pub(super) fn unit_name(unit: TimeUnit) -> Option<&'static str> {
    (unit != TimeUnit::default()).then(|| unit.name())
}

/// Returns the name of a zone as `--zone` takes it; `None` for UTC, which is the default.
pub(super) fn zone_name(zone: Option<&TimeZone>) -> Option<&str> {
    let name = zone.filter(|zone| **zone != TimeZone::UTC)?.iana_name()?;
    (name != "UTC").then_some(name)
}

/// Returns the time zone of a name such as `Europe/Paris`; of this machine for `local`.
///
/// # Errors
/// `usage` for an unknown zone.
pub(crate) fn time_zone(name: &str) -> Result<TimeZone> {
    if name == "local" {
        // Other processes of a group, on other machines, go by its name.
        let zone = TimeZone::try_system()
            .ok()
            .filter(|zone| zone.iana_name().is_some());
        return zone.ok_or_else(|| {
            Error::usage("the time zone of this machine is unknown")
                .hint("name it: `--zone Europe/Paris`, or set the variable `TZ`")
        });
    }
    TimeZone::get(name).map_err(|_| {
        Error::usage(format!("unknown time zone `{name}`"))
            .hint("write it as `Europe/Paris`, `UTC` or `local`")
    })
}
