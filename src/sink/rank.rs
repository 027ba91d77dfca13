//! A sink of the rows that are kept: `--having`, `--order-by`, `--limit`.
//!
//! An order and a limit are of the rows of one window, and wait until the window has all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;

use bumpalo::Bump;

use super::Sink;
use crate::engine::pane::Panes;
use crate::error::Result;
use crate::result::rank::Ranking;

/// A sink of the rows that are kept in front of another sink.
pub struct RankSink {
    ranking: Arc<Ranking>,
    next: Box<dyn Sink>,
    arena: Bump,
    /// The rows of a window that has not left as a whole.
    held: Panes,
    kept: Panes,
}

impl RankSink {
    /// Returns a sink that hands what is kept to `next`.
    pub fn new(ranking: Arc<Ranking>, next: Box<dyn Sink>) -> Self {
        RankSink {
            ranking,
            next,
            arena: Bump::new(),
            held: Panes::default(),
            kept: Panes::default(),
        }
    }

    fn hand_on(&mut self, panes: &Panes) -> Result<()> {
        self.arena.reset();
        self.kept.clear();
        self.ranking.choose(panes, &self.arena, &mut self.kept)?;
        let left_out = (panes.len() - self.kept.len()) as u64;
        self.ranking.left_out.fetch_add(left_out, Memory::Relaxed);
        self.next.write(&self.kept)
    }
}

impl Sink for RankSink {
    fn write(&mut self, panes: &Panes) -> Result<()> {
        if !self.ranking.needs_windows() {
            return self.hand_on(panes);
        }
        for pane in panes.iter() {
            let push_key = |bytes: &mut Vec<u8>| bytes.extend_from_slice(pane.key_bytes());
            self.held
                .push(pane.firing, push_key, pane.values.iter().cloned());
        }
        Ok(())
    }

    fn end_windows(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        let handed_on = self.hand_on(&held);
        held.clear();
        self.held = held; // keeps its room
        handed_on
    }

    fn flush(&mut self) -> Result<()> {
        self.next.flush()
    }

    fn check_reader(&self) -> Result<()> {
        self.next.check_reader()
    }

    fn wants_open(&self) -> bool {
        self.next.wants_open()
    }

    fn show_open(&mut self, open: &Panes, footer: &str) -> Result<()> {
        self.arena.reset();
        self.kept.clear();
        self.ranking.choose(open, &self.arena, &mut self.kept)?;
        self.next.show_open(&self.kept, footer)
    }
}
