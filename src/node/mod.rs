//! The consumer → process → producer node: only it knows source, engine and sink, and it moves
//! time.
//!
//! In: batches of a source. Out: rows in a sink, the account of every record, and on request the
//! records set aside and a journal.

pub(crate) mod consume;
mod evaluate;
mod footer;
mod future;
pub(crate) mod group;
pub(crate) mod input;
pub(crate) mod join;
pub mod journal;
pub(crate) mod parallel;
pub(crate) mod produce;
mod progress;
pub(crate) mod replay;
pub(crate) mod side_output;
pub(crate) mod summary;
pub(crate) mod why_silent;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bumpalo::Bump;

use crate::engine::account::Account;
use crate::engine::operator::{Input, Open, Operator};
use crate::engine::pane::Panes;
use crate::engine::pane::journal::Journal;
use crate::error::{Remedy, Result};
use crate::format::{Decoded, Decoder, Origins, Skipped};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::source::{Batch, Polled, Records, Source};
use evaluate::{Evaluator, Unfit, now_ms};
use footer::Footer;
use journal::JournalFile;
use progress::Progress;
use side_output::SideOutput;
use why_silent::Watch;

/// How long a poll may wait: the time within which a signal is seen and an idle partition noticed.
const POLL: Duration = Duration::from_millis(50);
/// How often a group's progress is committed.
const COMMIT: Duration = Duration::from_secs(1);

/// How a node runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether malformed records are counted instead of ending the run.
    pub(crate) skip_bad: bool,
    /// How long a partition that is at its end holds the watermark back.
    pub idle: Duration,
    /// Whether the source reads for a group, whose progress is committed.
    pub(crate) commit: bool,
}

impl Default for Options {
    /// As `k window` runs without a flag.
    fn default() -> Self {
        Options {
            skip_bad: false,
            idle: Duration::from_secs(5),
            commit: false,
        }
    }
}

/// What a node writes beside its rows.
#[derive(Default)]
pub struct Outputs {
    /// Late and expired records, and those too far ahead.
    pub late: Option<SideOutput>,
    /// Malformed records, which then do not end the run.
    pub bad: Option<SideOutput>,
    /// What the engine did.
    pub journal: Option<JournalFile>,
    /// Someone else who wants to know that.
    pub listener: Option<Box<dyn Journal>>,
}

impl Outputs {
    /// Returns whether nothing but rows is written.
    pub fn is_empty(&self) -> bool {
        self.late.is_none()
            && self.bad.is_none()
            && self.journal.is_none()
            && self.listener.is_none()
    }

    /// Hands the rows of a batch to an operator, sets aside what is asked for.
    fn take_in(
        &mut self,
        operator: &mut Operator,
        input: &Input<'_, '_>,
        decoded: &Decoded<'_>,
        unfit: &[Unfit<'_>],
        panes: &mut Panes,
    ) -> Result<()> {
        operator.on_batch(input, panes)?;
        for (unfit, &watermark) in unfit.iter().zip(operator.malformed_at()) {
            let (aside, outcome) = if unfit.is_ahead {
                (&mut self.late, "ahead")
            } else {
                (&mut self.bad, "malformed")
            };
            if let Some(aside) = aside {
                aside.write_unfit(outcome, &unfit.record, watermark)?;
            }
        }
        if let Some(aside) = &mut self.late {
            for late in operator.take_lates() {
                aside.write_late(&late, decoded.origins[late.row])?;
            }
        }
        Ok(())
    }
}

/// A windowed aggregation from one source to one sink, in memory.
pub struct Node<'n> {
    plan: &'n Plan,
    rows: Evaluator<'n>,
    operator: Operator,
    sink: Box<dyn Sink + 'n>,
    outputs: Outputs,
    options: Options,
    interrupt: &'n Interrupt,
    panes: Panes,
    arena: Bump,
    /// Where the group may begin again; none without a group.
    progress: Option<Progress>,
    /// Who wonders when no row comes.
    watch: Option<Watch>,
    /// Whether someone listens to what the engine does.
    is_noted: bool,
    /// Who wants to know how much is left to read.
    gauge: Option<Gauge>,
    /// Engines that take the same records, for what else could have come of them; their rows are not
    /// shown.
    others: Vec<Operator>,
    unseen: Panes,
}

/// How many records a source has that were not read, for another thread.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Returns how many were left; `None` where the source does not know.
    pub fn lag(&self) -> Option<u64> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    fn set(&self, lag: Option<u64>) {
        let known = lag.map_or(0, |lag| lag.saturating_add(1));
        self.0.store(known, Ordering::Relaxed);
    }
}

/// What has ended the reading of a source.
enum Until {
    End,
    Signal,
}

impl<'n> Node<'n> {
    /// Returns a node that has read nothing yet.
    ///
    /// # Errors
    /// `usage` when the plan does not fit.
    pub fn new(
        plan: &'n Plan,
        decoder: Decoder,
        partitions: usize,
        sink: Box<dyn Sink + 'n>,
        mut outputs: Outputs,
        options: Options,
        interrupt: &'n Interrupt,
    ) -> Result<Self> {
        let mut operator = plan.operator(partitions)?;
        if outputs.late.is_some() {
            operator.keep_lates();
        }
        let is_noted = outputs.journal.is_some() || outputs.listener.is_some();
        if let Some(journal) = &mut outputs.journal {
            journal.begin(plan, partitions);
            operator.set_journal(journal.listener());
        }
        if let Some(listener) = outputs.listener.take() {
            operator.set_journal(listener);
        }
        Ok(Node {
            plan,
            rows: Evaluator {
                plan,
                decoder,
                origins: if outputs.late.is_some() || is_noted {
                    Origins::Keep
                } else {
                    Origins::Forget
                },
                for_journal: is_noted,
                skip_bad: options.skip_bad || outputs.bad.is_some(),
                first_skipped: None,
            },
            operator,
            sink,
            outputs,
            options,
            interrupt,
            panes: Panes::default(),
            arena: Bump::new(),
            progress: None,
            watch: None,
            is_noted,
            gauge: None,
            others: Vec::new(),
            unseen: Panes::default(),
        })
    }

    /// Says from now on why no row comes, when none has come for a while.
    pub(crate) fn set_watch(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    /// Says from now on how much is left to read.
    pub fn set_gauge(&mut self, gauge: Gauge) {
        self.gauge = Some(gauge);
    }

    /// Hands the records to other engines, too.
    pub(crate) fn set_others(&mut self, others: Vec<Operator>) {
        self.others = others;
    }

    /// Returns the other engines, and hands them no more.
    pub(crate) fn take_others(&mut self) -> Vec<Operator> {
        std::mem::take(&mut self.others)
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        self.operator.account()
    }

    /// Returns the first malformed record that was skipped.
    pub fn first_skipped(&self) -> Option<&Skipped> {
        self.rows.first_skipped.as_ref()
    }

    /// Returns how far event time has come, over all partitions.
    pub fn watermark(&self) -> i64 {
        self.operator.watermarks().combined()
    }

    /// Returns what a run that was stopped has not shown.
    pub fn open(&self) -> Open {
        self.operator.open()
    }

    /// Reads the source to its end and writes every row.
    ///
    /// # Errors
    /// Those of source and sink; `data` at a malformed record, unless they are skipped; `stopped`
    /// after a signal. Rows of windows that are still open are then not written.
    pub fn run(&mut self, source: &mut dyn Source) -> Result<()> {
        if self.options.commit {
            let (progress, watermark) = Progress::restore(source);
            self.operator.restore_watermark(watermark);
            self.progress = Some(progress);
        }
        let read = self.read(source);
        let reached = self.watermark();
        if matches!(read, Ok(Until::End)) {
            self.operator.on_end(&mut self.panes);
            let others = self.others.iter_mut();
            others.for_each(|other| other.on_end(&mut self.unseen));
            self.write()?;
        }
        // The rows of windows that have closed are out, unless a signal came while they were written.
        let flushed = self.flush();
        if flushed.is_ok() && read.is_ok() {
            self.commit(source, reached, true)?;
        }
        match read? {
            Until::End => flushed,
            Until::Signal => flushed.and(self.interrupt.check()),
        }
    }

    /// Reads until the end, or a signal between two batches: in the middle of one, some of its rows
    /// may not be written yet.
    fn read(&mut self, source: &mut dyn Source) -> Result<Until> {
        let mut heard = vec![Instant::now(); source.partitions()];
        let (mut footer, mut committed) = (Footer::new(), Instant::now());
        let name = source.name();
        loop {
            if self.interrupt.is_set() {
                return Ok(Until::Signal);
            }
            match source.poll(POLL)? {
                Polled::Batch(batch) => {
                    heard[batch.partition] = Instant::now();
                    let processed = self.process_batch(batch, &name);
                    self.write()?; // also what was due before a malformed record
                    processed?;
                }
                // Rows may be far between: a reader that has gone is noticed without one.
                Polled::Pending => self.sink.check_reader()?,
                Polled::End => return Ok(Until::End),
            }
            self.mark_idle(source, &heard);
            if self.plan.arrival.is_none() && self.plan.trigger.periods().next().is_some() {
                self.operator.on_tick(now_ms(), &mut self.panes);
            }
            if self.is_noted && source.is_live() {
                self.operator.on_clock(now_ms());
            }
            self.write()?;
            if self.sink.wants_open() && footer.is_due() {
                let line = footer.line(self.operator.account(), self.watermark(), source.lag());
                self.draw_open(&line)?;
            }
            self.tell_why_not(source)?;
            if let Some(gauge) = &self.gauge {
                gauge.set(source.lag());
            }
            if committed.elapsed() >= COMMIT {
                self.commit(source, self.watermark(), false)?;
                committed = Instant::now();
            }
        }
    }

    /// Commits, for the group, what no open window needs any more; the sink has its rows.
    /// Without a broker only the `last` commit fails: the next one says as much.
    fn commit(&mut self, source: &mut dyn Source, watermark: i64, last: bool) -> Result<()> {
        let Some(progress) = &mut self.progress else {
            return Ok(());
        };
        let positions = progress.positions(source, watermark);
        if positions.is_empty() {
            return Ok(());
        }
        self.flush()?; // first the rows, then the offsets: at least once
        let committed = source.commit(&positions);
        if committed.is_err() {
            self.progress
                .iter_mut()
                .for_each(Progress::forget_committed);
        }
        match committed {
            Err(error) if error.remedy() == Remedy::Retry && !last => Ok(()),
            committed => committed,
        }
    }

    /// Processes a batch; what an earlier run of the group has counted only fills open windows.
    fn process_batch(&mut self, batch: Batch<'_>, source: &str) -> Result<()> {
        let mut arena = std::mem::take(&mut self.arena);
        let processed = match &self.progress {
            None => self.process(&batch, source, &arena),
            Some(progress) => {
                let [old, new] = progress.split(batch);
                self.operator.set_counting(false);
                let filled = self.process(&old, source, &arena);
                self.operator.set_counting(true);
                filled.and_then(|()| self.process(&new, source, &arena))
            }
        };
        arena.reset();
        self.arena = arena;
        processed
    }

    /// Hands a batch to the engine; the first malformed record ends the run, unless they are skipped.
    fn process<'a>(&mut self, batch: &Batch<'a>, source: &str, arena: &'a Bump) -> Result<()> {
        let (operator, outputs) = (&mut self.operator, &mut self.outputs);
        let (panes, progress) = (&mut self.panes, &mut self.progress);
        let (others, unseen) = (&mut self.others, &mut self.unseen);
        let skip_bad = self.rows.skip_bad;
        if let (Some(journal), Records::Lines(lines)) = (&mut outputs.journal, &batch.records) {
            journal.set_file(lines.section.map(|section| section.file));
        }
        self.rows.decode(batch, arena, |input, decoded, unfit| {
            if let Some(progress) = progress {
                progress.add(batch, input.times, |at| operator.forgotten_at(at));
            }
            outputs.take_in(operator, input, decoded, unfit, panes)?;
            for other in others {
                other.on_batch(input, unseen)?;
                unseen.clear();
            }
            match Unfit::first_malformed(unfit) {
                Some(first) if !skip_bad => Err(first.to_error(source)),
                _ => Ok(()),
            }
        })
    }

    /// A partition that is at its end and has been silent no longer holds event time back; of the
    /// others the one furthest behind is read first.
    fn mark_idle(&mut self, source: &mut dyn Source, heard: &[Instant]) {
        for (partition, heard) in heard.iter().enumerate() {
            let idle = source.at_end(partition) && heard.elapsed() >= self.options.idle;
            if idle != self.operator.watermarks().is_idle(partition) {
                self.operator.on_idle(partition, idle, &mut self.panes);
                for other in &mut self.others {
                    other.on_idle(partition, idle, &mut self.unseen);
                }
                self.unseen.clear();
            }
        }
        if heard.len() > 1
            && let Some(partition) = self.operator.watermarks().furthest_behind()
        {
            source.prefer(partition);
        }
    }

    fn write(&mut self) -> Result<()> {
        if let Some(journal) = &mut self.outputs.journal {
            journal.write()?;
        }
        if !self.panes.is_empty() {
            self.sink.write(&self.panes)?;
            self.sink.end_windows()?; // a window's rows were fired together
            self.panes.clear();
            if let Some(watch) = &mut self.watch {
                watch.row();
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Outputs {
            late, bad, journal, ..
        } = &mut self.outputs;
        let journal = journal.as_mut().map_or(Ok(()), JournalFile::write);
        let asides = late.iter_mut().chain(bad).map(SideOutput::flush);
        let asides: Result<()> = asides.collect();
        self.sink.flush().and(journal).and(asides)
    }

    /// Says why no row comes, if someone may wonder by now.
    fn tell_why_not(&mut self, source: &dyn Source) -> Result<()> {
        if !self.watch.as_ref().is_some_and(Watch::is_due) {
            return Ok(());
        }
        // Open windows are drawn below messages, not above them.
        self.sink.show_open(&Panes::default(), "")?;
        if let Some(watch) = &mut self.watch {
            watch.tell(&self.operator, source);
        }
        Ok(())
    }

    fn draw_open(&mut self, footer: &str) -> Result<()> {
        let mut open = Panes::default();
        self.operator.open_panes(&mut open);
        self.sink.show_open(&open, footer)
    }
}
