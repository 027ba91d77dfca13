//! A sink of columns that are chosen from those of results: `--select`.

use std::sync::Arc;

use bumpalo::Bump;

use super::Sink;
use crate::engine::pane::Panes;
use crate::error::Result;
use crate::result::select::Selection;

/// A sink of chosen columns in front of another sink.
pub struct SelectSink {
    selection: Arc<Selection>,
    next: Box<dyn Sink>,
    /// The texts that expressions make of some rows.
    arena: Bump,
    chosen: Panes,
}

impl SelectSink {
    /// Returns a sink that hands what is chosen to `next`.
    pub fn new(selection: Arc<Selection>, next: Box<dyn Sink>) -> Self {
        SelectSink {
            selection,
            next,
            arena: Bump::new(),
            chosen: Panes::default(),
        }
    }

    /// Makes `chosen` what is chosen of some rows.
    fn choose(&mut self, panes: &Panes) -> Result<()> {
        self.arena.reset();
        self.chosen.clear();
        self.selection.choose(panes, &self.arena, &mut self.chosen)
    }
}

impl Sink for SelectSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        self.choose(panes)?;
        self.next.write(&self.chosen)
    }

    fn check_reader(&self) -> Result<()> {
        self.next.check_reader()
    }

    fn flush(&mut self) -> Result<()> {
        self.next.flush()
    }

    fn wants_open(&self) -> bool {
        self.next.wants_open()
    }

    fn show_open(&mut self, open: &Panes, footer: &str) -> Result<()> {
        self.choose(open)?;
        self.next.show_open(&self.chosen, footer)
    }
}
