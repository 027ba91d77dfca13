//! What became of one record, as data.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal::{Bounds, Change, Json, Malformed, Pane, Plan, Read};

/// Which record, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Its number among all that were read, from 0.
    pub record: u64,
    /// Its partition.
    pub partition: usize,
    /// Its offset, or its line; `None` where nobody has looked.
    pub place: Option<u64>,
    /// Which of several files it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its event time in ms since 1970, UTC; `None` where it could not be read.
    pub at: Option<i64>,
    /// When it came, in processing time, where that is known.
    pub arrival: Option<i64>,
}

/// What a record is to a window, or to all of them: its best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It came before the close.
    OnTime,
    /// After the close, within the grace.
    Late,
    /// After the grace: it was dropped.
    Expired,
    /// The window had a record of the same `--distinct` value.
    Duplicate,
    /// `--where` did not select it.
    Filtered,
    /// It does not fit its format or its columns.
    Malformed,
    /// It is too far ahead of its arrival.
    Ahead,
}

impl Outcome {
    /// Returns its name for a person.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::OnTime => "on time",
            Outcome::Late => "late",
            Outcome::Expired => "expired",
            Outcome::Duplicate => "duplicate",
            Outcome::Filtered => "filtered",
            Outcome::Malformed => "malformed",
            Outcome::Ahead => "ahead",
        }
    }

    /// Returns whether the record is in a window.
    pub fn is_kept(self) -> bool {
        matches!(self, Outcome::OnTime | Outcome::Late)
    }
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Life {
    /// Which record.
    #[serde(flatten)]
    pub origin: Origin,
    /// Its grouping values.
    pub key: Vec<Json>,
    /// The columns that are shown of it, by name.
    pub columns: BTreeMap<String, Json>,
    /// Whether it takes an earlier record back.
    pub(crate) takes_back: bool,
    /// The watermark that it was judged by; `None` before there was one.
    pub watermark: Option<i64>,
    /// The record that had moved the watermark there: maybe itself.
    pub moved_by: Option<Origin>,
    /// What it is to the best of its windows.
    pub outcome: Outcome,
    /// Why it does not fit, of one that is malformed or ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its windows, those that close first first.
    pub windows: Vec<InWindow>,
    /// What would have kept it, if it was dropped for being late.
    pub way_out: Option<WayOut>,
}

/// The smallest flags that would have kept a record, each by itself; in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WayOut {
    /// Of `--grace`; `None` where no grace would.
    pub grace: Option<i64>,
    /// Of `--out-of-order`; `None` where none would.
    pub out_of_order: Option<i64>,
}

/// A record in one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InWindow {
    /// The window; of a session what it was with the record.
    pub window: Bounds,
    /// What the record is to it.
    pub outcome: Outcome,
    /// The watermark at which it closes; `None` at the end of the input.
    pub(crate) closes_at: Option<i64>,
    /// The watermark at which its grace has passed.
    pub expires_at: Option<i64>,
    /// How far the watermark was past its close, in ms; `None` before that.
    pub by: Option<i64>,
    /// The sessions that the record has made one of.
    pub joins: Vec<Bounds>,
    /// The record that had the same `--distinct` value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same_as: Option<Origin>,
    /// The last row that it had shown before the record came.
    pub before: Option<Row>,
    /// The first row that holds the record.
    pub carried_by: Option<Row>,
    /// The last row that came.
    pub last: Option<Row>,
    /// How many rows came after the record.
    pub rows: u64,
    /// What the session had become when the last row came, if it grew.
    pub became: Option<Bounds>,
    /// Whether the window has left: no row can follow.
    pub(crate) has_left: bool,
}

/// A row that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `early`, `on_time` or `late`.
    pub timing: String,
    /// How many rows of the window and key came before it.
    pub pane: u32,
    /// Whether none could follow.
    pub is_last: bool,
    /// Whether it takes an earlier one back.
    pub(crate) takes_back: bool,
    /// The rule that fired it: `close`, `grace`, `count`, `every`, or `end` of the input.
    pub why: String,
    /// The values, by the names of the result's columns.
    pub values: BTreeMap<String, Json>,
    /// The watermark then.
    pub watermark: Option<i64>,
    /// The record that had moved it there.
    pub moved_by: Option<Origin>,
    /// The record that made them enough, of a row that was fired by `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_record: Option<Origin>,
    /// Processing time, where it is known.
    pub now: Option<i64>,
}

impl Origin {
    /// Returns that of a record that was read.
    pub fn of(read: &Read) -> Self {
        Origin {
            record: read.record,
            partition: read.partition,
            place: Some(read.place),
            file: read.file.clone(),
            at: Some(read.at),
            arrival: read.arrival,
        }
    }

    /// Returns that of a record that does not fit.
    pub(crate) fn of_malformed(malformed: &Malformed) -> Self {
        Origin {
            record: malformed.record,
            partition: malformed.partition,
            place: Some(malformed.place),
            file: malformed.file.clone(),
            at: malformed.at,
            arrival: None,
        }
    }
}

impl Row {
    /// Returns a row of some plan, without what time it was.
    pub fn of(pane: &Pane, plan: &Plan) -> Self {
        let names = plan.aggregates.iter();
        let names = names.map(|aggregate| aggregate.name.clone());
        Row {
            timing: pane.timing.clone(),
            pane: pane.pane,
            is_last: pane.is_last,
            takes_back: pane.change == Change::TakenBack,
            why: pane.why.clone(),
            values: names.zip(pane.values.iter().cloned()).collect(),
            watermark: None,
            moved_by: None,
            last_record: None,
            now: pane.now,
        }
    }
}

impl InWindow {
    /// Returns what a record is to a window of which nothing else is known.
    pub fn new(window: Bounds, outcome: Outcome, plan: &Plan) -> Self {
        InWindow {
            window,
            outcome,
            closes_at: plan.closes_at(window),
            expires_at: plan.expires_at(window),
            by: None,
            joins: Vec::new(),
            same_as: None,
            before: None,
            carried_by: None,
            last: None,
            rows: 0,
            became: None,
            has_left: !outcome.is_kept(),
        }
    }

    /// Returns the window as it is now.
    pub fn now(&self) -> Bounds {
        self.became.unwrap_or(self.window)
    }
}

impl Life {
    /// Returns whether all is known that will come of it.
    pub fn is_over(&self) -> bool {
        self.windows.iter().all(|window| window.has_left)
    }
}
