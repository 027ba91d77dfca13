//! One run of the generator: chunks → rows in order → written when due, with counts and progress.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::Only;
use crate::cdr::{
    self, Chunk, Departure, Disposition, Format, Generator, Leaves, Recipe, Reorder, Rows, Segment,
};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::outlet::Outlet;
use crate::pace::{Pace, Pacer};
use crate::term::progress::Progress;
use crate::term::report::Report;
use crate::term::units;

/// The state that the streams of one run share.
pub(super) struct Job<'a> {
    generator: &'a Generator,
    format: Format,
    pace: Pace,
    threads: usize,
    pacer: Pacer,
    /// The first error of any stream; the others stop at their next write.
    failure: OnceLock<Error>,
    watch: Watch,
    tail: Mutex<Tail>,
    report: Report,
}

/// What follows once all calls have started; reported when every stream has got that far.
#[derive(Default)]
struct Tail {
    /// How many streams have not got that far.
    before: usize,
    /// When the last row of a stream is due, in ms since 1970 of event time; `None` if all were
    /// written.
    last: [Option<i64>; 2],
}

/// What a run wrote, for each output that was asked for.
pub(super) struct Written {
    pub(super) calls: Option<Tally>,
    pub(super) segments: Option<Tally>,
    pub(super) elapsed: Duration,
}

/// The rows that a thread made from a chunk.
struct Product<T> {
    calls: u64,
    rows: Vec<T>,
    /// No later chunk has a row that is due before this time.
    horizon: i64,
    /// When the last of the rows is due.
    last: i64,
}

impl<'a> Job<'a> {
    /// Starts the clock of a run, with a progress bar if there is room for one.
    pub(super) fn new(
        generator: &'a Generator,
        format: Format,
        pace: Pace,
        threads: usize,
        has_bar: bool,
        context: &Context,
    ) -> Self {
        let recipe = generator.recipe();
        let total = match pace {
            Pace::None => Total::Calls(recipe.calls()),
            Pace::Speed(_) => Total::Time(pace.due_after((recipe.seconds * 1_000.0) as i64)),
        };
        Job {
            generator,
            format,
            pace,
            threads,
            pacer: Pacer::start(context.interrupt.clone()),
            failure: OnceLock::new(),
            watch: Watch::new(total, has_bar, &context.report),
            tail: Mutex::default(),
            report: context.report.clone(),
        }
    }

    /// Writes calls and segments concurrently, each if it has an outlet.
    ///
    /// Returns what was written, and the error that ended the run early, if any.
    pub(super) fn run(
        self,
        calls: Option<Outlet>,
        segments: Option<Outlet>,
    ) -> (Written, Result<()>) {
        let stream = |outlet, which| {
            self.watch.advance(which, 0);
            Stream::new(&self, which, outlet)
        };
        let mut calls = calls.map(|outlet| stream(outlet, Only::Mono));
        let mut segments = segments.map(|outlet| stream(outlet, Only::Tower));
        self.tail().before = usize::from(calls.is_some()) + usize::from(segments.is_some());
        thread::scope(|scope| {
            if let Some(segments) = &mut segments {
                scope.spawn(|| self.note(self.write_segments(segments)));
            }
            if let Some(calls) = &mut calls {
                self.note(self.write_calls(calls));
            }
        });
        let written = Written {
            calls: calls.map(Stream::into_tally),
            segments: segments.map(Stream::into_tally),
            elapsed: self.pacer.elapsed(),
        };
        (written, self.failure.into_inner().map_or(Ok(()), Err))
    }

    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.failure.set(error).unwrap_or(()); // another stream was faster
        }
    }

    fn recipe(&self) -> &Recipe {
        self.generator.recipe()
    }

    /// Writes the calls: directly from the threads if they are written at once and in order.
    fn write_calls(&self, stream: &mut Stream) -> Result<()> {
        stream.start(stream.rows.call_header())?;
        if self.pace == Pace::None && !self.recipe().reorders() {
            return self.write_calls_at_once(stream);
        }
        let mut newest = i64::MIN;
        self.write_ordered(
            stream,
            |chunk, rows| self.generator.departures_into(chunk, rows),
            |departure: &Departure, stream| {
                let Departure { leaves, call } = departure;
                let behind = newest.saturating_sub(call.start);
                newest = newest.max(call.start);
                stream.pending.count(call.disposition);
                if behind > 0 {
                    stream.pending.out_of_order += 1;
                    stream.pending.furthest_ms = stream.pending.furthest_ms.max(behind);
                }
                stream.rows.call(call, *leaves, &mut stream.text);
            },
        )
    }

    fn write_calls_at_once(&self, stream: &mut Stream) -> Result<()> {
        let new = || {
            (
                Rows::new(self.recipe(), self.format),
                Vec::new(),
                Tally::default(),
            )
        };
        let make = |chunk: &Chunk, (rows, text, tally): &mut (Rows, Vec<u8>, Tally)| {
            text.clear();
            *tally = Tally::default();
            for call in self.generator.calls(chunk) {
                tally.count(call.disposition);
                rows.call(&call, call.start, text);
            }
        };
        cdr::in_order(
            self.recipe(),
            self.threads,
            new,
            make,
            |(_, text, tally)| {
                stream.write(text, tally)?;
                self.watch.advance(stream.which, stream.tally.rows);
                Ok(())
            },
        )
    }

    /// Writes the tower segments in order of their starts.
    fn write_segments(&self, stream: &mut Stream) -> Result<()> {
        stream.start(stream.rows.segment_header())?;
        self.write_ordered(
            stream,
            |chunk, rows| self.generator.segments_into(chunk, rows),
            |segment: &Segment, stream| {
                stream.pending.rows += 1;
                stream.rows.segment(segment, &mut stream.text);
            },
        )
    }

    /// Writes rows in the order of their due times, each when it is due.
    fn write_ordered<T: Leaves + Send>(
        &self,
        stream: &mut Stream,
        fill: impl Fn(&Chunk, &mut Vec<T>) + Sync,
        mut push: impl FnMut(&T, &mut Stream),
    ) -> Result<()> {
        let mut reorder = Reorder::new(self.recipe().start_timestamp, self.bucket_ms());
        let mut due = Vec::new();
        let (mut last, mut last_start) = (i64::MIN, i64::MIN);
        let new = || Product {
            calls: 0,
            rows: Vec::new(),
            horizon: i64::MIN,
            last: i64::MIN,
        };
        let make = |chunk: &Chunk, product: &mut Product<T>| {
            product.calls = chunk.starts.len() as u64;
            product.horizon = chunk.starts.last().copied().unwrap_or(i64::MIN);
            fill(chunk, &mut product.rows);
            let leave = product.rows.iter().map(|row| row.leaves().0);
            product.last = leave.max().unwrap_or(i64::MIN);
        };
        cdr::in_order(self.recipe(), self.threads, new, make, |product| {
            stream.made.0 += product.calls;
            stream.made.1 += product.rows.len() as u64;
            reorder.push_all(&mut product.rows);
            last = product.last.max(last);
            last_start = product.horizon;
            while reorder.next_before(last_start, &mut due) {
                due.iter()
                    .try_for_each(|row| self.leave(row, stream, &mut push))?;
                stream.flush()?;
            }
            Ok(())
        })?;
        let mut waits = Some(last).filter(|&last| last > last_start);
        while reorder.next_before(i64::MAX, &mut due) {
            for row in &due {
                if row.leaves().0 > last_start && waits.is_some() {
                    stream.flush()?;
                    self.tell_tail(stream.which, waits.take());
                }
                self.leave(row, stream, &mut push)?;
            }
            stream.flush()?;
        }
        if last <= last_start {
            self.tell_tail(stream.which, None);
        }
        Ok(())
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a stream has written everything due before the last call starts. The last stream
    /// to get that far reports what follows, if that takes long.
    fn tell_tail(&self, which: Only, last: Option<i64>) {
        const SHORT_TAIL: Duration = Duration::from_secs(2);
        let mut tail = self.tail();
        tail.last[which as usize] = last;
        tail.before = tail.before.saturating_sub(1);
        let (0, Some(last)) = (tail.before, tail.last.into_iter().max().flatten()) else {
            return;
        };
        let due_after = self.pace.due_after(last - self.recipe().start_timestamp);
        let left = due_after.saturating_sub(self.pacer.elapsed());
        if left < SHORT_TAIL {
            return;
        }
        self.watch.lengthen(due_after);
        let what = match tail.last {
            [None, _] => "all calls are written; segments",
            [Some(_), None] => "all calls have started; their rows",
            [Some(_), Some(_)] => "all calls have started; their rows and segments",
        };
        let until = units::format_clock(SystemTime::now() + left);
        self.report.status(format!(
            "{what} follow until {until}; Ctrl-C ends the run here"
        ));
    }

    /// A bucket holds about as many rows as a chunk, but there are some ten thousand at most.
    fn bucket_ms(&self) -> i64 {
        const MAX_BUCKETS: i64 = 10_000;
        let recipe = self.recipe();
        let chunk_ms = cdr::CHUNK as f64 / recipe.rate * 1_000.0;
        let delay_ms = recipe.delay.map_or(0, |delay| delay.law.common_ms());
        let longest_wait_ms = i64::from(recipe.max_duration_ms) + i64::from(delay_ms);
        (chunk_ms as i64).max(longest_wait_ms / MAX_BUCKETS)
    }

    /// Waits until a row is due, and adds it to the text to write next.
    fn leave<T: Leaves>(
        &self,
        row: &T,
        stream: &mut Stream,
        push: &mut impl FnMut(&T, &mut Stream),
    ) -> Result<()> {
        let (leaves, _) = row.leaves();
        if self.pace != Pace::None {
            let due_after = self.pace.due_after(leaves - self.recipe().start_timestamp);
            if due_after > stream.now {
                stream.flush()?;
                self.pacer.wait_until(due_after)?;
                stream.now = self.pacer.elapsed();
            }
        }
        push(row, stream);
        if stream.text.len() < WRITE_AT {
            Ok(())
        } else {
            stream.flush()
        }
    }
}

/// Rows are handed on before they exceed this size.
const WRITE_AT: usize = 256 << 10;

/// What was written, or is about to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) rows: u64,
    /// Rows by disposition.
    pub(super) dispositions: [u64; 3],
    /// Rows that are written after one that starts later.
    pub(super) out_of_order: u64,
    /// How far the worst of them is behind the newest start.
    pub(super) furthest_ms: i64,
    pub(super) bytes: u64,
}

impl Tally {
    fn count(&mut self, disposition: Disposition) {
        self.rows += 1;
        self.dispositions[disposition as usize] += 1;
    }

    fn add(&mut self, other: &Tally) {
        self.rows += other.rows;
        for (sum, count) in self.dispositions.iter_mut().zip(other.dispositions) {
            *sum += count;
        }
        self.out_of_order += other.out_of_order;
        self.furthest_ms = self.furthest_ms.max(other.furthest_ms);
    }
}

/// One output in progress: rows become text, text is written, written rows are counted.
struct Stream<'a> {
    job: &'a Job<'a>,
    which: Only,
    outlet: Outlet,
    rows: Rows,
    text: Vec<u8>,
    /// Counts what is in `text`.
    pending: Tally,
    /// Counts what is written.
    tally: Tally,
    /// How long the run had lasted when the stream last waited.
    now: Duration,
    /// Calls made so far, and their rows, some of which are still waiting.
    made: (u64, u64),
}

impl<'a> Stream<'a> {
    fn new(job: &'a Job<'a>, which: Only, outlet: Outlet) -> Self {
        Stream {
            job,
            which,
            outlet,
            rows: Rows::new(job.recipe(), job.format),
            text: Vec::new(),
            pending: Tally::default(),
            tally: Tally::default(),
            now: Duration::ZERO,
            made: (0, 0),
        }
    }

    /// Writes the header at once, so that a reader learns the columns before the first row.
    fn start(&mut self, header: &str) -> Result<()> {
        self.write(header.as_bytes(), &Tally::default())
    }

    fn flush(&mut self) -> Result<()> {
        let (text, pending) = (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.pending),
        );
        self.write(&text, &pending)?;
        self.text = text;
        self.text.clear();
        let (calls, rows) = self.made;
        let left = self.tally.rows as f64 / rows.max(1) as f64;
        self.job
            .watch
            .advance(self.which, (calls as f64 * left) as u64);
        Ok(())
    }

    /// Writes rows, which `counted` has counted.
    fn write(&mut self, text: &[u8], counted: &Tally) -> Result<()> {
        if self.job.failure.get().is_some() {
            return Err(Error::bug(
                "another output failed first, and its error is reported",
            ));
        }
        let before = self.outlet.written();
        match self.outlet.write(text) {
            Ok(()) => self.tally.add(counted),
            Err(error) => {
                let written = (self.outlet.written() - before) as usize;
                self.tally.rows += memchr::memchr_iter(b'\n', &text[..written]).count() as u64;
                return Err(error);
            }
        }
        Ok(())
    }

    fn into_tally(self) -> Tally {
        Tally {
            bytes: self.outlet.written(),
            ..self.tally
        }
    }
}

/// What a progress bar counts up to.
#[derive(Debug, Clone, Copy)]
enum Total {
    Calls(u64),
    /// With a pace: the duration of the run, the only thing that is uncertain.
    Time(Duration),
}

/// Shows a bar once the run has lasted a second.
struct Watch {
    report: Report,
    total: Total,
    has_bar: bool,
    started: Instant,
    /// Calls that were written, by output; unlimited for an output that is not asked for. The
    /// slower one is shown.
    done: [AtomicU64; 2],
    bar: Mutex<Option<Progress>>,
}

impl Watch {
    fn new(total: Total, has_bar: bool, report: &Report) -> Self {
        Watch {
            report: report.clone(),
            total,
            has_bar,
            started: Instant::now(),
            done: [AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)],
            bar: Mutex::new(None),
        }
    }

    /// Notes how many of the calls were written to one output.
    fn advance(&self, which: Only, calls: u64) {
        const QUIET_TIME: Duration = Duration::from_secs(1);
        self.done[which as usize].store(calls, Ordering::Relaxed);
        if !self.has_bar || self.started.elapsed() < QUIET_TIME {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| match self.total {
            Total::Calls(total) => Progress::new(&self.report, "generating", Some(total)),
            Total::Time(total) => {
                Progress::of_time(&self.report, "generating", self.started, total)
            }
        });
        if let Total::Calls(_) = self.total {
            let done = self.done.iter().map(|done| done.load(Ordering::Relaxed));
            bar.set(done.min().unwrap_or(0));
        }
    }

    /// Lets a run at a pace last longer.
    fn lengthen(&self, total: Duration) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = &*bar {
            bar.set_total(total.as_secs());
        }
    }
}
