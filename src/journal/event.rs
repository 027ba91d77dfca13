//! One event of the engine, with all that it says.

use serde::{Deserialize, Serialize};

use super::{Json, Plan};
use crate::column::{Value, ValueRef};
use crate::engine::key;
use crate::engine::pane::journal as engine;
use crate::engine::watermark::{BEGINNING, END};
use crate::engine::window::Window;

/// One line of a journal. In each but the first `now` is processing time, where it is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// What is computed: the first line.
    Plan(Box<Plan>),
    /// A record was read.
    Read(Read),
    /// A watermark moved.
    Watermark(Moved),
    /// A partition fell silent.
    Idle(Idle),
    /// Processing time came to a moment at which panes may leave.
    Tick(Tick),
    /// `--where` did not select a record.
    Filtered(Filtered),
    /// A window had taken a record of the same `--distinct` value.
    Duplicate(Duplicate),
    /// A record went into a window.
    Assigned(Assigned),
    /// A sliding window was made of what earlier records brought.
    Made(Made),
    /// A record came after a window's grace.
    Expired(Expired),
    /// The watermark has reached a window's close.
    Closed(Closed),
    /// A window's grace has passed, and it leaves without a pane.
    Left(Closed),
    /// A pane was fired.
    Pane(Pane),
    /// A record did not fit its format or its columns.
    Malformed(Malformed),
    /// A record was too far ahead of its arrival.
    Ahead(Malformed),
    /// The input ended, and with it every window closes.
    End(End),
}

/// A window's first ms, and the one after its last; of a session and a sliding window the last. `None`
/// for the beginning and the end of all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(
    from = "(Option<i64>, Option<i64>)",
    into = "(Option<i64>, Option<i64>)"
)]
pub struct Bounds {
    /// The first ms in it.
    pub start: Option<i64>,
    /// The first ms after it, or the last in it.
    pub end: Option<i64>,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Its number among all that were read, from 0; later events name it.
    pub record: u64,
    /// Its partition.
    pub partition: usize,
    /// Its offset, or its line.
    pub place: u64,
    /// Which of several files it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its event time.
    pub at: i64,
    /// When it came, in processing time, where that is known.
    pub arrival: Option<i64>,
    /// Its grouping values.
    pub key: Vec<Json>,
    /// The arguments of the aggregates.
    pub arguments: Vec<Json>,
    /// The columns that were asked for.
    #[serde(default)]
    pub columns: Vec<Json>,
    /// Whether it counts, or takes an earlier one back.
    pub change: Change,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// Whether something counts or is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It counts.
    #[serde(rename = "+")]
    Added,
    /// It takes an earlier one back.
    #[serde(rename = "-")]
    TakenBack,
}

/// A watermark that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The partition whose own watermark is `at`; `None` where only the combined one moved.
    pub partition: Option<usize>,
    /// The partition's watermark.
    pub at: Option<i64>,
    /// The combined one, which may be where it was; `None` before there is one.
    pub combined: Option<i64>,
    /// The record that moved it, if one did.
    #[serde(default)]
    pub record: Option<u64>,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A partition that holds the watermark back no more, or again; a record of it ends its silence, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// The partition.
    pub partition: usize,
    /// Whether it is idle.
    pub idle: bool,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A moment of processing time at which panes may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The moment.
    pub at: i64,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A record that `--where` did not select.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filtered {
    /// The record.
    pub record: u64,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A record of whose `--distinct` value a window has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The record.
    pub record: u64,
    /// The window.
    pub window: Bounds,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A record that went into a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The record.
    pub record: u64,
    /// The window; of a session what it is with the record.
    pub window: Bounds,
    /// Whether the window had closed.
    pub late: bool,
    /// By how much the watermark was past its close, in ms; `None` before it.
    #[serde(default)]
    pub by: Option<i64>,
    /// The sessions of the key that are part of it from now on.
    pub joins: Vec<Bounds>,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A sliding window that was made of what the key's records at some moments brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The window.
    pub window: Bounds,
    /// Its key.
    pub key: Vec<Json>,
    /// The moments, in their order.
    pub moments: Vec<i64>,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A record that came after a window's grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// The record.
    pub record: u64,
    /// The window.
    pub window: Bounds,
    /// How far the watermark was past the window's close, in ms.
    pub by: i64,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A window that closes, or leaves without a pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The window.
    pub window: Bounds,
    /// Its key.
    pub key: Vec<Json>,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A pane that was fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pane {
    /// Its window.
    pub window: Bounds,
    /// Its key.
    pub key: Vec<Json>,
    /// `early`, `on_time` or `late`.
    pub timing: String,
    /// How many panes of the window and key came before it.
    pub pane: u32,
    /// Whether none can follow.
    pub is_last: bool,
    /// Whether it counts, or takes an earlier one back.
    pub change: Change,
    /// The rule that fired it: `close`, `grace`, `count`, `every` or `stop`.
    pub why: String,
    /// The values of the aggregates.
    pub values: Vec<Json>,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// A record that is not a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Malformed {
    /// Its number among all that were read.
    pub record: u64,
    /// Its partition.
    pub partition: usize,
    /// Its offset, or its line.
    pub place: u64,
    /// Which of several files it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its event time, where that could be read.
    pub at: Option<i64>,
    /// Why.
    pub reason: String,
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

/// The end of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Processing time.
    #[serde(default)]
    pub now: Option<i64>,
}

impl Event {
    /// Returns what the engine has reported at processing time `now`, of records that lie in `file`
    /// if they are of several.
    pub fn of(event: engine::Event<'_>, now: Option<i64>, file: Option<&str>) -> Self {
        match event {
            engine::Event::Read {
                record,
                partition,
                place,
                at,
                arrival,
                key,
                arguments,
                columns,
                taken_back,
            } => Event::Read(Read {
                record,
                partition,
                place,
                file: file.map(str::to_owned),
                at,
                arrival,
                key: key_values(key),
                arguments: values(arguments),
                columns: values(columns),
                change: Change::of(taken_back),
                now,
            }),
            engine::Event::Watermark {
                partition,
                combined,
                record,
            } => {
                let (partition, at) = partition.unzip();
                Event::Watermark(Moved {
                    partition,
                    at: at.and_then(time),
                    combined: time(combined),
                    record,
                    now,
                })
            }
            engine::Event::Idle { partition, idle } => Event::Idle(Idle {
                partition,
                idle,
                now,
            }),
            engine::Event::Tick { at } => Event::Tick(Tick { at, now }),
            engine::Event::Filtered { record } => Event::Filtered(Filtered { record, now }),
            engine::Event::Duplicate { record, window } => Event::Duplicate(Duplicate {
                record,
                window: window.into(),
                now,
            }),
            engine::Event::Assigned {
                record,
                window,
                late_by_ms,
                joins,
            } => Event::Assigned(Assigned {
                record,
                window: window.into(),
                late: late_by_ms.is_some(),
                by: late_by_ms,
                joins: joins.iter().copied().map(Bounds::from).collect(),
                now,
            }),
            engine::Event::Made {
                window,
                key,
                moments,
            } => Event::Made(Made {
                window: window.into(),
                key: key_values(key),
                moments: moments.to_vec(),
                now,
            }),
            engine::Event::Expired {
                record,
                window,
                by_ms,
            } => Event::Expired(Expired {
                record,
                window: window.into(),
                by: by_ms,
                now,
            }),
            engine::Event::Closed { window, key } => Event::Closed(Closed::of(window, key, now)),
            engine::Event::Left { window, key } => Event::Left(Closed::of(window, key, now)),
            engine::Event::Pane {
                firing,
                key,
                why,
                values: of_pane,
            } => Event::Pane(Pane {
                window: firing.window.into(),
                key: key_values(key),
                timing: firing.timing.name().to_owned(),
                pane: firing.index,
                is_last: firing.is_last,
                change: Change::of(firing.is_retraction),
                why: why.name().to_owned(),
                values: values(of_pane),
                now,
            }),
            engine::Event::Malformed {
                record,
                partition,
                misfit,
            } => {
                let malformed = Malformed {
                    record,
                    partition,
                    place: misfit.place,
                    file: file.map(str::to_owned),
                    at: misfit.at,
                    reason: misfit.reason.to_owned(),
                    now,
                };
                if misfit.is_ahead {
                    Event::Ahead(malformed)
                } else {
                    Event::Malformed(malformed)
                }
            }
            engine::Event::End => Event::End(End { now }),
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// Where it is not an event.
    pub fn parse(line: &str) -> serde_json::Result<Self> {
        // The members keep their digits only where they are read straight from the text, so the
        // event's name is looked for first.
        #[derive(Deserialize)]
        struct Named<'l> {
            #[serde(borrow)]
            event: std::borrow::Cow<'l, str>,
        }
        let Named { event } = serde_json::from_str(line)?;
        Ok(match event.as_ref() {
            "plan" => Event::Plan(serde_json::from_str(line)?),
            "read" => Event::Read(serde_json::from_str(line)?),
            "watermark" => Event::Watermark(serde_json::from_str(line)?),
            "idle" => Event::Idle(serde_json::from_str(line)?),
            "tick" => Event::Tick(serde_json::from_str(line)?),
            "filtered" => Event::Filtered(serde_json::from_str(line)?),
            "duplicate" => Event::Duplicate(serde_json::from_str(line)?),
            "assigned" => Event::Assigned(serde_json::from_str(line)?),
            "made" => Event::Made(serde_json::from_str(line)?),
            "expired" => Event::Expired(serde_json::from_str(line)?),
            "closed" => Event::Closed(serde_json::from_str(line)?),
            "left" => Event::Left(serde_json::from_str(line)?),
            "pane" => Event::Pane(serde_json::from_str(line)?),
            "malformed" => Event::Malformed(serde_json::from_str(line)?),
            "ahead" => Event::Ahead(serde_json::from_str(line)?),
            "end" => Event::End(serde_json::from_str(line)?),
            other => {
                let told = format!("unknown event `{other}`");
                return Err(serde::de::Error::custom(told));
            }
        })
    }
}

impl From<Window> for Bounds {
    fn from(window: Window) -> Self {
        Bounds {
            start: time(window.start),
            end: time(window.end),
        }
    }
}

impl From<Bounds> for Window {
    fn from(bounds: Bounds) -> Self {
        Window {
            start: bounds.start.unwrap_or(BEGINNING),
            end: bounds.end.unwrap_or(END),
        }
    }
}

impl From<(Option<i64>, Option<i64>)> for Bounds {
    fn from((start, end): (Option<i64>, Option<i64>)) -> Self {
        Bounds { start, end }
    }
}

impl From<Bounds> for (Option<i64>, Option<i64>) {
    fn from(bounds: Bounds) -> Self {
        (bounds.start, bounds.end)
    }
}

impl Change {
    fn of(taken_back: bool) -> Self {
        if taken_back {
            Change::TakenBack
        } else {
            Change::Added
        }
    }
}

impl Closed {
    fn of(window: Window, key: &[u8], now: Option<i64>) -> Self {
        Closed {
            window: window.into(),
            key: key_values(key),
            now,
        }
    }
}

fn time(at: i64) -> Option<i64> {
    (at != BEGINNING && at != END).then_some(at)
}

fn key_values(key: &[u8]) -> Vec<Json> {
    key::values(key).map(Json::of).collect()
}

fn values(values: &[Value]) -> Vec<Json> {
    let values = values.iter().map(Value::as_ref);
    values.map(|value: ValueRef<'_>| Json::of(value)).collect()
}
