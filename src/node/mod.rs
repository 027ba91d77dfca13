//! The consumer → process → producer node: alone knows source, engine and sink, and moves time.
//!
//! Comes in: batches of a source. Goes out: rows in a sink, the account of every record, and on
//! demand what was set aside and a journal.

pub mod aside;
pub mod journal;
mod progress;
pub mod summary;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bumpalo::Bump;

use crate::column::Column;
use crate::engine::account::Account;
use crate::engine::operator::{Input, Operator};
use crate::engine::pane::Panes;
use crate::error::{Error, Remedy, Result};
use crate::expression::{Expression, RowError};
use crate::format::{Decoded, Decoder, Origins, time_of};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::source::{Batch, Polled, Records, Source};
use aside::Aside;
use journal::JournalFile;
use progress::Progress;

/// How long a poll may wait: the time within which a signal is seen and an idle partition noticed.
const POLL: Duration = Duration::from_millis(50);
/// How often a group's progress is committed.
const COMMIT: Duration = Duration::from_secs(1);
/// How often open windows are drawn for a person.
const REDRAW: Duration = Duration::from_millis(250);

/// How a node runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether malformed records are counted instead of ending the run.
    pub skip_bad: bool,
    /// How long a partition that is at its end holds the watermark back.
    pub idle: Duration,
    /// Whether the source reads for a group, whose progress is committed.
    pub commit: bool,
}

/// What a node writes beside its rows.
#[derive(Default)]
pub struct Outputs {
    /// Late and expired records.
    pub late: Option<Aside>,
    /// Malformed records, which then do not end the run.
    pub bad: Option<Aside>,
    /// What the engine did.
    pub journal: Option<JournalFile>,
}

/// What became of a batch.
enum Step {
    /// The engine has taken it in.
    Done,
    /// It holds malformed records, or expressions fail over these rows: nothing was taken in.
    Refused(Vec<(usize, String)>),
}

/// A windowed aggregation from one source to one sink, in memory.
pub struct Node<'n> {
    plan: &'n Plan,
    decoder: Decoder,
    operator: Operator,
    sink: Box<dyn Sink + 'n>,
    outputs: Outputs,
    options: Options,
    interrupt: &'n Interrupt,
    panes: Panes,
    arena: Bump,
    /// Where the group may begin again; none without a group.
    progress: Option<Progress>,
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
        outputs: Outputs,
        options: Options,
        interrupt: &'n Interrupt,
    ) -> Result<Self> {
        let mut operator = plan.operator(partitions)?;
        if outputs.late.is_some() {
            operator.keep_lates();
        }
        if let Some(journal) = &outputs.journal {
            operator.set_journal(journal.listener());
        }
        Ok(Node {
            plan,
            decoder,
            operator,
            sink,
            outputs,
            options,
            interrupt,
            panes: Panes::default(),
            arena: Bump::new(),
            progress: None,
        })
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        self.operator.account()
    }

    /// Returns how far event time has come, over all partitions.
    pub fn watermark(&self) -> i64 {
        self.operator.watermarks().combined()
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
        let ended = self.read(source);
        let reached = self.watermark();
        if ended.is_ok() {
            self.operator.on_end(&mut self.panes);
            self.write()?;
        }
        // The rows of windows that have closed are out in any case.
        let flushed = self.flush();
        let stopped = |error: &Error| matches!(error.remedy(), Remedy::Stopped(_));
        if flushed.is_ok() && ended.as_ref().err().is_none_or(stopped) {
            self.commit(source, reached, true)?;
        }
        ended.and(flushed)
    }

    fn read(&mut self, source: &mut dyn Source) -> Result<()> {
        let mut heard = vec![Instant::now(); source.partitions()];
        let (mut drawn, mut committed) = (Instant::now(), Instant::now());
        let name = source.name();
        loop {
            self.interrupt.check()?;
            match source.poll(POLL)? {
                Polled::Batch(batch) => {
                    heard[batch.partition] = Instant::now();
                    let processed = self.process_batch(batch, &name);
                    self.write()?; // also what was due before a malformed record
                    processed?;
                }
                Polled::Pending => {}
                Polled::End => return Ok(()),
            }
            self.mark_idle(source, &heard);
            if self.plan.arrival.is_none() && self.plan.trigger.periods().next().is_some() {
                self.operator.on_tick(now_ms(), &mut self.panes);
            }
            self.write()?;
            if self.sink.wants_open() && drawn.elapsed() >= REDRAW {
                self.draw_open()?;
                drawn = Instant::now();
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

    /// Decodes a batch, evaluates the plan's expressions by column, and hands it to the engine.
    fn process<'a>(&mut self, batch: &Batch<'a>, source: &str, arena: &'a Bump) -> Result<()> {
        let origins = match self.outputs.late {
            Some(_) => Origins::Keep,
            None => Origins::Forget,
        };
        let mut decoded = self.decoder.decode(&batch.records, origins, arena);
        if let Some(progress) = &mut self.progress {
            progress.add(batch, &decoded.times, |at| self.operator.forgotten_at(at));
        }
        let misfits = match self.step(batch, &decoded, arena) {
            Step::Done => return self.set_late_aside(&decoded),
            Step::Refused(misfits) => misfits,
        };
        // Some record does not fit: rare, so only now are the places of rows looked for.
        if !misfits.is_empty() {
            decoded = self.decoder.decode(&batch.records, Origins::Keep, arena);
            let origins = decoded.origins.clone();
            decoded.refuse(misfits, |row| origins[row]);
        }
        let stop = self.account_malformed(&mut decoded, source)?;
        decoded.malformed.clear();
        match self.step(batch, &decoded, arena) {
            Step::Done => {
                self.set_late_aside(&decoded)?;
                stop.map_or(Ok(()), Err)
            }
            Step::Refused(_) => Err(Error::bug("rows that were taken out have failed again")),
        }
    }

    /// Counts the malformed records and sets them aside; where they end the run, keeps the rows
    /// before the first of them and returns the error to end with.
    fn account_malformed(
        &mut self,
        decoded: &mut Decoded<'_>,
        source: &str,
    ) -> Result<Option<Error>> {
        let goes_on = self.options.skip_bad || self.outputs.bad.is_some();
        let watermark = self.watermark();
        let counted = if goes_on { decoded.malformed.len() } else { 1 };
        for malformed in decoded.malformed.iter().take(counted) {
            self.operator.on_malformed();
            if let Some(bad) = &mut self.outputs.bad {
                bad.write_malformed(malformed, watermark)?;
            }
        }
        let first = decoded.malformed.first().filter(|_| !goes_on);
        let stop = first.map(|first| (first.before, first.told(source)));
        Ok(stop.map(|(rows, error)| {
            decoded.truncate(rows);
            error
        }))
    }

    fn set_late_aside(&mut self, decoded: &Decoded<'_>) -> Result<()> {
        if let Some(aside) = &mut self.outputs.late {
            for late in self.operator.take_lates() {
                aside.write_late(&late, decoded.origins[late.row])?;
            }
        }
        Ok(())
    }

    /// Hands the rows to the engine, unless some record does not fit.
    fn step<'a>(&mut self, batch: &Batch<'a>, decoded: &Decoded<'a>, arena: &'a Bump) -> Step {
        let columns = &decoded.columns;
        let plan = self.plan;
        let mut errors = Vec::new();
        let arrivals = self.arrivals(decoded, &mut errors);
        let selected = plan.filter.as_ref().map(|filter| {
            let selection = filter.select(columns, arena);
            errors.extend(selection.errors);
            selection.rows
        });
        let mut evaluate = |expression: &'n Expression| {
            let evaluated = expression.evaluate(columns, arena);
            // What a filtered record would have given does not matter.
            let counts = |error: &RowError| selected.as_ref().is_none_or(|rows| rows[error.row]);
            errors.extend(evaluated.errors.into_iter().filter(counts));
            evaluated.column
        };
        let by = plan.by.iter().map(|item| evaluate(&item.expression));
        let keys: Vec<Cow<'_, Column<'a>>> = by.collect();
        let arguments = plan
            .aggregates
            .iter()
            .map(|aggregate| aggregate.argument.as_ref());
        let arguments: Vec<Option<Cow<'_, Column<'a>>>> = arguments
            .map(|argument| argument.map(&mut evaluate))
            .collect();
        if !errors.is_empty() || !decoded.malformed.is_empty() {
            let misfits = errors.into_iter().map(|error| (error.row, error.reason));
            return Step::Refused(misfits.collect());
        }
        let input = Input {
            partition: batch.partition,
            first: first_place(&batch.records),
            times: if plan.by_arrival {
                &arrivals
            } else {
                &decoded.times
            },
            arrivals: (!arrivals.is_empty()).then_some(&arrivals),
            selected: selected.as_deref(),
            keys: &keys,
            arguments: &arguments,
        };
        self.operator.on_batch(&input, &mut self.panes);
        Step::Done
    }

    /// Returns when each record came, where that is a column or the event time; else nothing.
    fn arrivals(&self, decoded: &Decoded<'_>, errors: &mut Vec<RowError>) -> Vec<i64> {
        let Some((index, unit)) = self.plan.arrival else {
            let rows = if self.plan.by_arrival {
                decoded.columns.rows
            } else {
                0
            };
            return vec![now_ms(); rows];
        };
        let (column, field) = (
            &decoded.columns.columns[index],
            &self.plan.layout.schema.fields[index],
        );
        let rows = 0..decoded.columns.rows;
        rows.map(|row| {
            time_of(column, row, unit, &field.name).unwrap_or_else(|reason| {
                errors.push(RowError { row, reason });
                0
            })
        })
        .collect()
    }

    /// A partition that is at its end and has been silent holds event time back no more; of the
    /// others the one furthest behind is read first.
    fn mark_idle(&mut self, source: &mut dyn Source, heard: &[Instant]) {
        for (partition, heard) in heard.iter().enumerate() {
            let idle = source.at_end(partition) && heard.elapsed() >= self.options.idle;
            if idle != self.operator.watermarks().is_idle(partition) {
                self.operator.on_idle(partition, idle, &mut self.panes);
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
            self.panes.clear();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Outputs { late, bad, journal } = &mut self.outputs;
        let journal = journal.as_mut().map_or(Ok(()), JournalFile::write);
        let asides = late.iter_mut().chain(bad).map(Aside::flush);
        let asides: Result<()> = asides.collect();
        self.sink.flush().and(journal).and(asides)
    }

    fn draw_open(&mut self) -> Result<()> {
        let mut open = Panes::default();
        self.operator.open_panes(&mut open);
        self.sink.show_open(&open)
    }
}

/// Returns processing time by the clock, in ms since 1970, UTC.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Returns the line or offset of the first of some records.
fn first_place(records: &Records<'_>) -> u64 {
    match records {
        Records::Lines(lines) => lines.first_line,
        Records::Messages(messages) => messages
            .first()
            .map_or(0, |message| message.offset.unsigned_abs()),
    }
}
