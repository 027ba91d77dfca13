//! The first line of a journal: what is computed, and over what.

use serde::{Deserialize, Serialize};

use super::{Bounds, VERSION};
use crate::engine::lateness::Lateness;
use crate::engine::watermark::Bound;
use crate::engine::window::{self, Window};
use crate::expression::Expression;
use crate::plan;

/// What is computed, as the first line says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Of the format: [`VERSION`].
    pub version: u32,
    /// What is read, as the user named it.
    pub sources: Vec<String>,
    /// How many partitions that has.
    pub partitions: usize,
    /// Where in event time.
    pub windows: Windows,
    /// For how long after its close a window takes late records, in ms.
    pub grace: i64,
    /// How far the watermark stays behind the highest event time, in ms; `None` where that is learned.
    pub out_of_order: Option<i64>,
    /// The percentile of the delays by which it is learned; `None` where it is fixed.
    pub percentile: Option<f64>,
    /// How far ahead of its arrival a record's time may be, in ms; `None` for any time.
    pub ahead: Option<i64>,
    /// When panes leave, as `--trigger` takes it.
    pub trigger: String,
    /// How a pane relates to the one before.
    pub refinement: String,
    /// The column or expression of event times, `@record` or `@arrival`.
    pub time: String,
    /// The column of arrivals; `None` for the clock.
    pub arrival: Option<String>,
    /// The time zone of days and of times without one; `None` for UTC.
    pub zone: Option<String>,
    /// Which records count; `None` for all.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// What tells records apart; `None` where all count.
    pub distinct: Option<String>,
    /// The names of the grouping values.
    pub keys: Vec<String>,
    /// What is computed.
    pub aggregates: Vec<Aggregate>,
    /// The names of the columns that are shown of a record.
    pub columns: Vec<String>,
}

/// Where in event time; what a kind does not have is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// Which kind.
    pub kind: Kind,
    /// How long each is: of sliding windows from the first to the last ms.
    pub size: Option<Length>,
    /// How long after one the next starts.
    pub advance: Option<Length>,
    /// What ends a session, in ms.
    pub gap: Option<i64>,
    /// The longest session, in ms.
    pub max: Option<i64>,
    /// How long after its `end` a window closes, in ms.
    pub closes_after: i64,
}

/// A kind of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One after the other.
    Tumbling,
    /// One every so often.
    Hopping,
    /// Of records at most a gap apart.
    Session,
    /// Of records at most so far apart.
    Sliding,
    /// One.
    Global,
}

/// A length of windows: a number of ms, or a period of the calendar such as `1mo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Length {
    /// In ms.
    Ms(i64),
    /// As the calendar says.
    Calendar(String),
}

/// One aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// The name of its column in the result.
    pub name: String,
    /// The function.
    pub function: String,
    /// What it is computed over; `None` for `count(*)`.
    pub argument: Option<String>,
}

impl Plan {
    /// Returns what a plan computes over some sources.
    pub fn of(plan: &plan::Plan, sources: &[String], partitions: usize) -> Self {
        let schema = &plan.layout.schema;
        let (out_of_order, percentile) = match plan.bound {
            Bound::Fixed(bound_ms) => (Some(bound_ms), None),
            Bound::Percentile(percent) => (None, Some(percent)),
        };
        let text = |expression: &Option<Expression>| {
            let expression = expression.as_ref();
            expression.map(|expression| expression.text().to_owned())
        };
        let aggregate = |aggregate: &plan::Aggregate| Aggregate {
            name: aggregate.name.clone(),
            function: aggregate.function.name().to_owned(),
            argument: text(&aggregate.argument),
        };
        let zone = plan.zone.as_ref();
        let zone = zone.and_then(|zone| zone.iana_name().map(str::to_owned));
        let arrival = plan.arrival.map(|(index, _)| &schema.fields[index].name);
        Plan {
            version: VERSION,
            sources: sources.to_vec(),
            partitions,
            windows: Windows::of(&plan.windows),
            grace: plan.grace_ms,
            out_of_order,
            percentile,
            ahead: plan.ahead_ms,
            trigger: plan.trigger.to_string(),
            refinement: plan.refinement.name().to_owned(),
            time: if plan.by_arrival {
                "@arrival".to_owned()
            } else {
                plan.layout.time.text(schema)
            },
            arrival: arrival.cloned(),
            zone,
            filter: text(&plan.filter),
            distinct: text(&plan.distinct),
            keys: plan.by.iter().map(|item| item.name.clone()).collect(),
            aggregates: plan.aggregates.iter().map(aggregate).collect(),
            columns: plan.noted.iter().map(|item| item.name.clone()).collect(),
        }
    }
}

impl Plan {
    /// Returns the watermark at which a window closes; `None` at the end of the input.
    pub(crate) fn closes_at(&self, window: Bounds) -> Option<i64> {
        let end = window.end?;
        Some(end.saturating_add(self.windows.closes_after))
    }

    /// Returns the watermark at which a window's grace has passed; `None` at the end of the input.
    pub fn expires_at(&self, window: Bounds) -> Option<i64> {
        Some(self.closes_at(window)?.saturating_add(self.grace))
    }
}

impl Windows {
    /// Returns whether a window holds a time; one with an end after its last ms does not hold its end.
    pub(crate) fn hold(&self, window: Bounds, at: i64) -> bool {
        let is_before_end = |end: i64| match self.kind {
            Kind::Session | Kind::Sliding => at <= end,
            Kind::Tumbling | Kind::Hopping | Kind::Global => at < end,
        };
        window.start.is_none_or(|start| start <= at) && window.end.is_none_or(is_before_end)
    }

    fn of(windows: &window::Windows) -> Self {
        let kind_of = |is_tumbling: bool| {
            if is_tumbling {
                Kind::Tumbling
            } else {
                Kind::Hopping
            }
        };
        let (kind, size, advance) = match windows {
            window::Windows::Aligned(aligned) => {
                let (size, advance) = (aligned.size_ms(), aligned.advance_ms());
                let kind = kind_of(size == advance);
                (kind, Some(Length::Ms(size)), Some(Length::Ms(advance)))
            }
            window::Windows::Calendar(calendar) => {
                let (size, advance) = (calendar.size(), calendar.advance());
                let length = |period: crate::term::period::Period| {
                    Some(Length::Calendar(period.to_string()))
                };
                (kind_of(size == advance), length(size), length(advance))
            }
            window::Windows::Session { .. } => (Kind::Session, None, None),
            window::Windows::Sliding { apart_ms } => {
                (Kind::Sliding, Some(Length::Ms(*apart_ms)), None)
            }
            window::Windows::Global => (Kind::Global, None, None),
        };
        let (gap, max) = match *windows {
            window::Windows::Session { gap_ms, max_ms } => (Some(gap_ms), max_ms),
            _ => (None, None),
        };
        Windows {
            kind,
            size,
            advance,
            gap,
            max,
            closes_after: Lateness::new(windows, 0).closes_at(Window::instant(0)),
        }
    }
}
