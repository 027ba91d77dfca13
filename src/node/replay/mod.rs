//! A source that is windowed again, for someone who wants to know what becomes of its records.
//!
//! The engine is the one that `k window` runs, with a listener and without a sink. Records go through
//! it as fast where no listener wants them one by one: the listener is asked before each batch.

pub mod hear;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bumpalo::Bump;

use crate::engine::operator::{Input, Operator};
use crate::engine::pane::Panes;
use crate::engine::pane::journal as engine;
use crate::error::Result;
use crate::format::{Decoded, Decoder, Origins, Place};
use crate::interrupt::Interrupt;
use crate::journal::Event;
use crate::node::POLL;
use crate::node::evaluate::{Evaluator, Unfit, now_ms};
use crate::plan::Plan;
use crate::source::{Batch, Polled, Records, Source};
use crate::term::progress::Progress;

/// Someone who hears of a run.
pub trait Hearer {
    /// Looks at a batch before the engine takes it; returns what of it is wanted.
    fn look(&mut self, batch: &Looked<'_, '_, '_>) -> Wants;

    /// Hears an event.
    ///
    /// # Errors
    /// What ends the run.
    fn hear(&mut self, event: &Event) -> Result<()>;

    /// Looks at the batch again, once the engine has taken it; returns whether to go on.
    fn is_done(&mut self, batch: &Looked<'_, '_, '_>) -> bool;
}

/// What of a batch a [`Hearer`] wants, beside watermarks, silences and what is malformed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// Each record.
    pub records: bool,
    /// Rows and windows that leave.
    pub rows: bool,
}

/// A batch that was decoded.
pub struct Looked<'l, 'b, 'a> {
    /// Its rows.
    pub input: &'l Input<'b, 'a>,
    /// Their columns and places.
    pub decoded: &'l Decoded<'a>,
    /// What an expression makes its texts in.
    pub arena: &'a Bump,
    /// How many records were read before it.
    pub before: u64,
    /// The records as they came.
    pub records: &'l Records<'a>,
    unfit: &'l [Unfit<'a>],
}

impl Looked<'_, '_, '_> {
    /// Returns the number of a row among all records that were read.
    pub fn number_of(&self, row: usize) -> u64 {
        let malformed = self.input.malformed;
        let malformed = malformed.partition_point(|misfit| misfit.before <= row);
        self.before + (row + malformed) as u64
    }

    /// Returns the row of a number, if it is one of the batch.
    pub fn row_of(&self, number: u64) -> Option<usize> {
        let (mut low, mut high) = (0, self.input.times.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.number_of(middle) < number {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let is_it = low < self.input.times.len() && self.number_of(low) == number;
        is_it.then_some(low)
    }

    /// Returns where a row stands.
    pub fn place_of(&self, row: usize) -> Option<Place> {
        self.decoded.origins.get(row).map(|(place, _)| *place)
    }

    /// Returns the records that are not rows, each with its number and its place.
    pub fn misfits(&self) -> impl Iterator<Item = (u64, Place)> {
        let places = self.unfit.iter().map(|unfit| unfit.record.place);
        let befores = self.input.malformed.iter().map(|misfit| misfit.before);
        let numbered = befores.zip(places).enumerate();
        numbered.map(|(nth, (before, place))| (self.before + (before + nth) as u64, place))
    }
}

/// How long a partition that is at its end holds the watermark back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// No longer than it is read, as with `--exit`.
    AtEnd,
    /// So long after the timestamp of its last record.
    After(Duration),
    /// For ever.
    Never,
}

/// How a run is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a partition that is at its end holds the watermark back.
    pub idle: Idle,
    /// Whether the end of what is read closes every window.
    pub ends: bool,
}

/// Repeats a run.
pub struct Replay<'n> {
    rows: Evaluator<'n>,
    operator: Operator,
    tap: Tap,
    options: Options,
    /// When the last record of each partition came, in ms since 1970, UTC.
    last: Vec<Option<i64>>,
}

/// The engine's side of a replay: keeps what it reports until it is heard.
#[derive(Debug, Clone, Default)]
struct Tap(Arc<Tapped>);

#[derive(Debug, Default)]
struct Tapped {
    events: Mutex<Vec<Event>>,
    records: AtomicBool,
    rows: AtomicBool,
    /// Which of several files the records are of that come now.
    file: Mutex<Option<&'static str>>,
}

impl Tap {
    fn set(&self, wants: Wants) {
        self.0.records.store(wants.records, Ordering::Relaxed);
        self.0.rows.store(wants.rows, Ordering::Relaxed);
    }

    fn set_file(&self, file: Option<&'static str>) {
        *self.0.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
    }

    fn take(&self) -> Vec<Event> {
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut events)
    }
}

impl engine::Journal for Tap {
    fn note(&mut self, now: Option<i64>, event: engine::Event<'_>) {
        let is_row = matches!(
            event,
            engine::Event::Pane { .. } | engine::Event::Left { .. } | engine::Event::Closed { .. }
        );
        if is_row && !self.0.rows.load(Ordering::Relaxed) {
            return;
        }
        let file = *self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event::of(event, now, file);
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }

    fn detail(&self) -> engine::Detail {
        if self.0.records.load(Ordering::Relaxed) {
            engine::Detail::Each
        } else {
            engine::Detail::Outline
        }
    }
}

impl<'n> Replay<'n> {
    /// Returns a run of a plan that has read nothing yet. Malformed records never end it.
    ///
    /// # Errors
    /// `usage` when the plan does not fit.
    pub fn new(
        plan: &'n Plan,
        decoder: Decoder,
        partitions: usize,
        options: Options,
    ) -> Result<Self> {
        let mut operator = plan.operator(partitions)?;
        let tap = Tap::default();
        operator.set_journal(Box::new(tap.clone()));
        Ok(Replay {
            rows: Evaluator {
                plan,
                decoder,
                origins: Origins::Keep,
                for_journal: true,
                skip_bad: true,
                first_skipped: None,
            },
            operator,
            tap,
            options,
            last: vec![None; partitions],
        })
    }

    /// Returns the engine, as the run has left it.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Reads a source until it ends, is at the end that it has now, or nothing more is wanted; shows
    /// meanwhile how many records were read.
    ///
    /// # Errors
    /// Those of the source and of who hears; `stopped` after a signal.
    pub fn run(
        &mut self,
        source: &mut dyn Source,
        hearer: &mut dyn Hearer,
        progress: &Progress,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let (mut arena, mut panes) = (Bump::new(), Panes::default());
        loop {
            interrupt.check()?;
            let polled = source.poll(POLL)?;
            let is_end = matches!(polled, Polled::End);
            if let Polled::Batch(batch) = polled {
                let is_done = self.take(&batch, &arena, hearer, &mut panes)?;
                arena.reset();
                progress.set(self.operator.account().records());
                if is_done {
                    return Ok(());
                }
            }
            self.mark_idle(source, &mut panes);
            self.report(hearer)?;
            panes.clear();
            let mut partitions = 0..source.partitions();
            if is_end || source.is_live() && partitions.all(|nth| source.at_end(nth)) {
                break;
            }
        }
        if self.options.ends {
            self.tap.set(Wants {
                records: false,
                rows: true,
            });
            self.operator.on_end(&mut panes);
            self.report(hearer)?;
        }
        Ok(())
    }

    fn take<'a>(
        &mut self,
        batch: &Batch<'a>,
        arena: &'a Bump,
        hearer: &mut dyn Hearer,
        panes: &mut Panes,
    ) -> Result<bool> {
        match &batch.records {
            Records::Lines(lines) => {
                let file = lines.section.map(|section| section.file);
                self.tap.set_file(file);
            }
            Records::Messages(messages) => {
                let last = messages.last().and_then(|message| message.timestamp);
                self.last[batch.partition] = last.or(self.last[batch.partition]);
            }
        }
        let (operator, tap) = (&mut self.operator, &self.tap);
        self.rows.decode(batch, arena, |input, decoded, unfit| {
            let looked = Looked {
                input,
                decoded,
                arena,
                before: operator.account().records(),
                records: &batch.records,
                unfit,
            };
            tap.set(hearer.look(&looked));
            operator.on_batch(input, panes)?;
            panes.clear();
            for event in tap.take() {
                hearer.hear(&event)?;
            }
            Ok(hearer.is_done(&looked))
        })
    }

    fn report(&self, hearer: &mut dyn Hearer) -> Result<()> {
        let events = self.tap.take();
        events.iter().try_for_each(|event| hearer.hear(event))
    }

    /// A partition that is at its end and silent holds event time back no more; of the others the one
    /// furthest behind is read first.
    fn mark_idle(&mut self, source: &mut dyn Source, panes: &mut Panes) {
        let now = now_ms();
        let partitions = self.last.len();
        for partition in 0..partitions {
            let is_silent = match self.options.idle {
                Idle::AtEnd => true,
                Idle::Never => false,
                Idle::After(idle) => self.last[partition].is_none_or(|last| {
                    now.saturating_sub(last) >= i64::try_from(idle.as_millis()).unwrap_or(i64::MAX)
                }),
            };
            let is_idle = source.at_end(partition) && is_silent;
            if is_idle != self.operator.watermarks().is_idle(partition) {
                self.operator.on_idle(partition, is_idle, panes);
            }
        }
        if partitions > 1
            && let Some(partition) = self.operator.watermarks().furthest_behind()
        {
            source.prefer(partition);
        }
    }
}
