//! The node of a join: reads both sources, steps the engine, writes rows.
//!
//! In: two sources of any kind. Out: rows in a sink, and the account of every record.
//!
//! The next source to read is the one furthest behind in event time. The join waits for it, so that
//! the same records give the same rows. The exception is a topic at its end: then the other source
//! is read on, and `idle` later the silent one no longer holds event time back.

mod feed;
pub mod group;
mod part;
mod stage;
pub mod summary;

use std::time::Duration;

use crate::engine::join::account::Account;
use crate::engine::join::{Join, Pace, Side};
use crate::error::Result;
use crate::format::Decoder;
use crate::format::dialect::Dialect;
use crate::interrupt::Interrupt;
use crate::notation::Notation;
use crate::plan::JoinPlan;
use crate::sink::joined::{Frame, JoinedSink};
use crate::source::Source;
use crate::term::grid::Times;
use feed::{Feed, Filled};
use part::Part;
use stage::Stage;

/// How long a poll may wait: the time within which a signal is seen and an idle partition noticed.
const POLL: Duration = Duration::from_millis(50);

/// How a join is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether malformed records are counted instead of ending the run.
    pub skip_bad: bool,
    /// How long a partition that is at its end holds the watermark back.
    pub idle: Duration,
    /// How the pieces of rows are written, as in the sink's [`Frame`].
    pub notation: Notation,
}

/// A join from two sources to one sink, in memory.
pub struct Node<'n> {
    join: Join,
    /// The line about the first malformed record of each side that was skipped.
    first_skipped: [Option<String>; 2],
    /// One per side.
    feeds: [Feed; 2],
    sink: JoinedSink,
    idle: Duration,
    interrupt: &'n Interrupt,
}

/// Returns what the rows of a plan hold besides the pieces of its records.
pub fn frame(plan: &JoinPlan, notation: Notation) -> Frame {
    let nulls = plan.sides.each_ref().map(|side| {
        let mut nulls = Vec::new();
        Part::new(side, notation, Dialect::default()).push_nulls(&mut nulls);
        nulls
    });
    Frame {
        notation,
        nulls,
        times: Times::Ms,
    }
}

impl<'n> Node<'n> {
    /// Returns a node that has joined nothing yet; `sources` come with the decoders of the layouts
    /// in the plan.
    ///
    /// # Errors
    /// `refused` when the machine has no thread left.
    pub fn new(
        plan: &JoinPlan,
        sources: [(Box<dyn Source>, Decoder); 2],
        sink: JoinedSink,
        options: Options,
        interrupt: &'n Interrupt,
    ) -> Result<Self> {
        let partitions = sources.each_ref().map(|(source, _)| source.partitions());
        let join = Join::new(&plan.settings(partitions));
        let feed = |side: Side, (source, decoder): (Box<dyn Source>, Decoder)| {
            let is_table = side == Side::Right && plan.has_table();
            let planned = &plan.sides[side.index()];
            let stage = Stage::new(source.name(), planned, decoder, is_table, &options);
            Feed::start(source, stage, || join.records())
        };
        let [left, right] = sources;
        Ok(Node {
            feeds: [feed(Side::Left, left)?, feed(Side::Right, right)?],
            join,
            first_skipped: [None, None],
            sink,
            idle: options.idle,
            interrupt,
        })
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        self.join.account()
    }

    /// Returns the line about the first malformed record of a side that was skipped.
    pub fn first_skipped(&self, side: Side) -> Option<&str> {
        self.first_skipped[side.index()].as_deref()
    }

    /// Returns how far event time has come, on both sides.
    pub fn watermark(&self) -> i64 {
        self.join.watermark()
    }

    /// Reads both sources to their ends and writes every row.
    ///
    /// # Errors
    /// Those of sources and sink; `data` at a malformed record, unless they are skipped; `stopped`
    /// after a signal. Rows of records that may still meet another are then not written.
    pub fn run(&mut self) -> Result<()> {
        let ended = self.read();
        // The rows that were certain are out, unless a signal came while they were being written.
        let flushed = self.sink.flush();
        ended.and(flushed)
    }

    fn read(&mut self) -> Result<()> {
        loop {
            let side = self.join.furthest_behind();
            if self.feed(side).load.has_more() {
                self.step(side, Pace::Together)?;
                continue;
            }
            self.sink.write()?;
            self.interrupt.check()?;
            if self.feeds.iter().all(Feed::has_ended) {
                return Ok(());
            }
            self.wait_for(side)?;
            self.mark_idle()?;
            let other = side.other();
            if self.feed(side).is_at_end() && self.feed(other).load.has_more() {
                self.step(other, Pace::Ahead)?;
            }
        }
    }

    fn feed(&mut self, side: Side) -> &mut Feed {
        &mut self.feeds[side.index()]
    }

    /// Hands the current records to the engine: all, or as many as are due.
    fn step(&mut self, side: Side, pace: Pace) -> Result<()> {
        let load = &mut self.feeds[side.index()].load;
        self.join.on_malformed(side, load.take_malformed());
        if let Some(skipped) = load.take_first_skipped() {
            self.first_skipped[side.index()].get_or_insert(skipped);
        }
        self.join
            .on_batch(side, &mut load.records, pace, &mut self.sink)?;
        load.take_stop().map_or(Ok(()), Err)
    }

    /// Asks a side for more. The other one is asked, too, where it may be read on or has been silent.
    fn wait_for(&mut self, side: Side) -> Result<()> {
        let other = side.other();
        let must_wait = !self.feed(side).is_at_end() || self.feed(other).has_ended();
        self.fill(side, if must_wait { POLL } else { Duration::ZERO })?;
        let is_silent = self.feed(other).is_at_end();
        if !self.feed(other).load.has_more() && (!must_wait || is_silent) {
            let must_wait = !must_wait && !self.feed(side).load.has_more();
            self.fill(other, if must_wait { POLL } else { Duration::ZERO })?;
        }
        Ok(())
    }

    /// Takes a side's next batch, waiting at most `wait` for it.
    fn fill(&mut self, side: Side, wait: Duration) -> Result<()> {
        if let Some(partition) = self.join.partition_behind(side) {
            self.feed(side).prefer(partition);
        }
        match self.feed(side).fill(wait)? {
            Filled::Nothing => Ok(()),
            Filled::Batch(partition) => self.join.on_idle(side, partition, false, &mut self.sink),
            Filled::End => self.join.on_end(side, &mut self.sink),
        }
    }

    /// A partition that is at its end and has been silent no longer holds event time back.
    fn mark_idle(&mut self) -> Result<()> {
        for side in Side::BOTH {
            for partition in self.feeds[side.index()].idle_partitions(self.idle) {
                self.join.on_idle(side, partition, true, &mut self.sink)?;
            }
        }
        Ok(())
    }
}
