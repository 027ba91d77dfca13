//! The journal as JSON lines: what the engine did, one event a line.
//!
//! | event | members |
//! |---|---|
//! | `plan` | the first line: `keys` (their names), `aggregates` (each `name`, `function`, `argument` or null), `refinement` |
//! | `read` | `record` (its number, from 0), `partition`, `place` (offset or line), `file` if there are several, `at`, `arrival` or null, `key` and `arguments` as lists, `change`: `-` where it takes an earlier one back |
//! | `watermark` | `partition` and its `at`, or null; `combined` |
//! | `idle` | `partition`, `idle` |
//! | `tick` | `at`: processing time came to where panes may leave |
//! | `filtered` | `record` |
//! | `assigned` | `record`, `window`, `late`, `joins`: the sessions that are part of it from now on |
//! | `made` | `window`, `key`, `moments`: a sliding window and the times of the records that it begins with |
//! | `expired` | `record`, `window`, `by`: how far the watermark is past the window's close |
//! | `pane` | `window`, `key`, `timing`, `pane`, `is_last`, `change`, `why` (close, grace, count, every), `values` |
//! | `malformed` | `record`, `partition`, `place`, `file` if there are several, `at` or null where it could not be read, `reason` |
//! | `end` | none |
//!
//! A record has one number, whether it is read or malformed, and events stand in the order of the
//! records: how these were cut into batches changes nothing.
//!
//! Windows are lists of start and end. Times are ms since 1970, UTC; null stands for the beginning
//! and the end of all time.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::column::{Value, ValueRef};
use crate::engine::key;
use crate::engine::pane::journal::{Event, Journal};
use crate::engine::watermark::{BEGINNING, END};
use crate::engine::window::Window;
use crate::error::Result;
use crate::expression::Expression;
use crate::outlet::Outlet;
use crate::plan::Plan;
use crate::sink::text::push_json;

/// What is not written yet, shared by the engine that makes it and the node.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    lines: Vec<u8>,
    /// Which of several files the records are of that come now.
    file: Option<&'static str>,
}

/// A file that the journal is written to.
#[derive(Debug)]
pub struct JournalFile {
    lines: Lines,
    output: Outlet,
}

/// The engine's side of a [`JournalFile`].
#[derive(Debug)]
struct Writer(Lines);

impl JournalFile {
    /// Returns a journal that is written to `output`.
    pub fn new(output: Outlet) -> Self {
        let lines = Lines::default();
        JournalFile { lines, output }
    }

    /// Says what is computed, before anything happens.
    pub fn begin(&mut self, plan: &Plan) {
        let aggregates = plan.aggregates.iter().map(|aggregate| {
            json!({
                "name": aggregate.name,
                "function": aggregate.function.name(),
                "argument": aggregate.argument.as_ref().map(Expression::to_string),
            })
        });
        let line = json!({
            "event": "plan",
            "keys": plan.by.iter().map(|item| &item.name).collect::<Vec<_>>(),
            "aggregates": aggregates.collect::<Vec<_>>(),
            "refinement": plan.refinement.name(),
        });
        let mut held = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.lines.extend_from_slice(format!("{line}\n").as_bytes());
    }

    /// Says which of several files the records are of that come next.
    pub fn set_file(&mut self, file: Option<&'static str>) {
        let mut held = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.file = file;
    }

    /// Returns the listener that the engine reports to.
    pub fn listener(&self) -> Box<dyn Journal> {
        Box::new(Writer(self.lines.clone()))
    }

    /// Writes what the engine has reported so far.
    ///
    /// # Errors
    /// As [`Outlet::write`].
    pub fn write(&mut self) -> Result<()> {
        let mut held = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.output.write(&held.lines);
        held.lines.clear();
        written
    }
}

impl Journal for Writer {
    fn note(&mut self, event: Event<'_>) {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let file = held.file;
        push_event(&mut held.lines, event, file);
    }
}

fn push_event(lines: &mut Vec<u8>, event: Event<'_>, file: Option<&str>) {
    let mut line = Line(lines);
    match event {
        Event::Read {
            record,
            partition,
            place,
            at,
            arrival,
            key,
            arguments,
            taken_back,
        } => {
            line.event("read");
            line.number("record", record);
            line.number("partition", partition as u64);
            line.number("place", place);
            line.file(file);
            line.time("at", at);
            line.time("arrival", arrival.unwrap_or(BEGINNING));
            line.list("key", key::values(key));
            line.list("arguments", arguments.iter().map(Value::as_ref));
            line.change(taken_back);
        }
        Event::Watermark {
            partition,
            combined,
        } => {
            line.event("watermark");
            let (nth, at) = partition.unzip();
            let nth = nth.map_or(ValueRef::Null, |nth| ValueRef::Integer(nth as i128));
            line.value("partition", nth);
            line.time("at", at.unwrap_or(BEGINNING));
            line.time("combined", combined);
        }
        Event::Idle { partition, idle } => {
            line.event("idle");
            line.number("partition", partition as u64);
            line.value("idle", ValueRef::Boolean(idle));
        }
        Event::Tick { at } => {
            line.event("tick");
            line.time("at", at);
        }
        Event::Filtered { record } => {
            line.event("filtered");
            line.number("record", record);
        }
        Event::Assigned {
            record,
            window,
            late,
            joins,
        } => {
            line.event("assigned");
            line.number("record", record);
            line.list("window", bounds(window));
            line.value("late", ValueRef::Boolean(late));
            line.name("joins");
            line.items(joins.iter(), |line, window| line.values(bounds(*window)));
        }
        Event::Made {
            window,
            key,
            moments,
        } => {
            line.event("made");
            line.list("window", bounds(window));
            line.list("key", key::values(key));
            line.list("moments", moments.iter().map(|&at| time(at)));
        }
        Event::Duplicate { record, window } => {
            line.event("duplicate");
            line.number("record", record);
            line.list("window", bounds(window));
        }
        Event::Expired {
            record,
            window,
            by_ms,
        } => {
            line.event("expired");
            line.number("record", record);
            line.list("window", bounds(window));
            line.value("by", ValueRef::Integer(by_ms.into()));
        }
        Event::Pane {
            firing,
            key,
            why,
            values,
        } => {
            line.event("pane");
            line.list("window", bounds(firing.window));
            line.list("key", key::values(key));
            line.value("timing", ValueRef::Text(firing.timing.name()));
            line.number("pane", firing.index.into());
            line.value("is_last", ValueRef::Boolean(firing.is_last));
            line.change(firing.is_retraction);
            line.value("why", ValueRef::Text(why.name()));
            line.list("values", values.iter().map(Value::as_ref));
        }
        Event::Malformed {
            record,
            partition,
            misfit,
        } => {
            line.event(if misfit.is_ahead {
                "ahead"
            } else {
                "malformed"
            });
            line.number("record", record);
            line.number("partition", partition as u64);
            line.number("place", misfit.place);
            line.file(file);
            line.time("at", misfit.at.unwrap_or(BEGINNING));
            line.value("reason", ValueRef::Text(misfit.reason));
        }
        Event::End => line.event("end"),
    }
    lines.extend_from_slice(b"}\n");
}

fn time(at: i64) -> ValueRef<'static> {
    match at {
        BEGINNING | END => ValueRef::Null,
        at => ValueRef::Integer(at.into()),
    }
}

fn bounds(window: Window) -> impl Iterator<Item = ValueRef<'static>> {
    [window.start, window.end].map(time).into_iter()
}

/// A line of JSON that is being written.
struct Line<'l>(&'l mut Vec<u8>);

impl Line<'_> {
    fn event(&mut self, name: &str) {
        self.0.extend_from_slice(b"{\"event\":");
        push_json(self.0, ValueRef::Text(name));
    }

    fn name(&mut self, name: &str) {
        self.0.push(b',');
        push_json(self.0, ValueRef::Text(name));
        self.0.push(b':');
    }

    fn value(&mut self, name: &str, value: ValueRef<'_>) {
        self.name(name);
        push_json(self.0, value);
    }

    fn file(&mut self, file: Option<&str>) {
        if let Some(file) = file {
            self.value("file", ValueRef::Text(file));
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.value(name, ValueRef::Integer(number.into()));
    }

    fn time(&mut self, name: &str, at: i64) {
        self.value(name, time(at));
    }

    fn change(&mut self, taken_back: bool) {
        let change = if taken_back { "-" } else { "+" };
        self.value("change", ValueRef::Text(change));
    }

    fn list<'v>(&mut self, name: &str, values: impl Iterator<Item = ValueRef<'v>>) {
        self.name(name);
        self.values(values);
    }

    fn values<'v>(&mut self, values: impl Iterator<Item = ValueRef<'v>>) {
        self.items(values, |line, value| push_json(line.0, value));
    }

    fn items<T>(&mut self, items: impl Iterator<Item = T>, mut push: impl FnMut(&mut Line<'_>, T)) {
        self.0.push(b'[');
        for (nth, item) in items.enumerate() {
            if nth > 0 {
                self.0.push(b',');
            }
            push(&mut Line(self.0), item);
        }
        self.0.push(b']');
    }
}
