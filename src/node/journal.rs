//! Writes the [`journal`](crate::journal) to a file, as lines of JSON.
//!
//! A record has one number, whether it is read or malformed, and events are in the order of the
//! records: how these were cut into batches changes nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::pane::journal as engine;
use crate::error::{Error, Result};
use crate::journal::{Event, Plan};
use crate::outlet::Outlet;
use crate::plan;

/// What is not written yet, shared by the engine that makes it and the node.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    lines: Vec<u8>,
    /// Why an event is missing among them.
    failed: Option<serde_json::Error>,
    /// Which of several files the records are of that come now.
    file: Option<&'static str>,
}

/// A file that the journal is written to.
#[derive(Debug)]
pub struct JournalFile {
    lines: Lines,
    output: Outlet,
    /// What is read, as the user named it.
    sources: Vec<String>,
}

/// The engine's side of a [`JournalFile`].
#[derive(Debug)]
struct Writer(Lines);

impl JournalFile {
    /// Returns a journal of what is made of some sources, written to `output`.
    pub fn new(output: Outlet, sources: Vec<String>) -> Self {
        JournalFile {
            lines: Lines::default(),
            output,
            sources,
        }
    }

    /// Says what is computed, before anything happens.
    pub fn begin(&mut self, plan: &plan::Plan, partitions: usize) {
        let plan = Plan::of(plan, &self.sources, partitions);
        self.lines.lock().push(&Event::Plan(Box::new(plan)));
    }

    /// Says which of several files the records are of that come next.
    pub(crate) fn set_file(&mut self, file: Option<&'static str>) {
        self.lines.lock().file = file;
    }

    /// Returns the listener that the engine reports to.
    pub fn listener(&self) -> Box<dyn engine::Journal> {
        Box::new(Writer(self.lines.clone()))
    }

    /// Writes what the engine has reported so far.
    ///
    /// # Errors
    /// As [`Outlet::write`]; `bug` where an event could not be written as JSON.
    pub fn write(&mut self) -> Result<()> {
        let mut held = self.lines.lock();
        let written = self.output.write(&held.lines);
        held.lines.clear();
        match held.failed.take() {
            Some(error) => Err(Error::bug(format!("an event is not JSON: {error}"))),
            None => written,
        }
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn push(&mut self, event: &Event) {
        match serde_json::to_writer(&mut self.lines, event) {
            Ok(()) => self.lines.push(b'\n'),
            Err(error) => self.failed = Some(error),
        }
    }
}

impl engine::Journal for Writer {
    fn note(&mut self, now: Option<i64>, event: engine::Event<'_>) {
        let mut held = self.0.lock();
        let file = held.file;
        held.push(&Event::of(event, now, file));
    }
}
