//! One file, several threads, the same bytes as with one.
//!
//! Readers take chunks of the file in turn. Each reader decodes its chunk, learns from the previous
//! reader how far event time had come, and reports how far it has come after its own chunk. It puts
//! its records into windows of its own, and judges lateness record by record, as one reader would.
//! When a window has left every reader, its parts are merged and written, the earliest first.
//!
//! This works for windows on a grid that fire once: their parts merge into the whole.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bumpalo::Bump;

use super::evaluate::{Evaluator, Unfit};
use crate::engine::account::Account;
use crate::engine::combine::merge::Merger;
use crate::engine::operator::{Open, Operator};
use crate::engine::pane::Panes;
use crate::engine::watermark::{BEGINNING, highest};
use crate::engine::window::Window;
use crate::error::{Error, Result};
use crate::format::{Decoder, Origins, Skipped};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::sink::Sink;
use crate::source::file::FileSource;
use crate::source::{Batch, Lines, Records, Source};

/// How many bytes a reader takes at a time: enough to be worth the handing over, few enough to
/// stay near the processor.
const CHUNK: usize = 512 << 10;

/// A windowed aggregation of one file by several threads.
pub struct Parallel<'n> {
    /// What is computed: a plan that [can be computed in parts](Plan::can_be_computed_in_parts).
    pub plan: &'n Plan,
    /// The file's format.
    pub decoder: Decoder,
    /// Whether malformed records are counted instead of ending the run.
    pub skip_bad: bool,
    /// How many threads read.
    pub threads: usize,
    /// Ends the run.
    pub interrupt: &'n Interrupt,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Where every record went.
    pub account: Account,
    /// The first malformed record that was skipped.
    pub first_skipped: Option<Skipped>,
    /// What is open where the run was stopped.
    pub open: Open,
    /// How far event time has come.
    pub watermark: i64,
}

/// What the readers share.
struct Shared<'n> {
    file: Mutex<Chunks<'n>>,
    turn: Mutex<Turn>,
    turned: Condvar,
    results: Mutex<Results<'n>>,
    name: String,
}

/// The file, and the number of the next chunk.
struct Chunks<'n> {
    source: &'n mut FileSource,
    next: u64,
    /// Whether reading has failed: no chunk follows that.
    failed: bool,
}

/// How far the chunks before some chunk have come.
#[derive(Debug)]
struct Turn {
    /// The number of the chunk whose reader may go on.
    next: u64,
    /// The highest event time before it.
    high: i64,
    /// Whether the run has ended before it, and the error if that was not reported yet.
    stopped: Option<Option<Error>>,
}

/// The windows that have left some reader.
struct Results<'n> {
    merger: Merger,
    /// The watermark up to which each reader has handed its windows over.
    reached: Vec<i64>,
    /// The rows that were written, and what readers that are done have counted.
    account: Account,
    /// The first malformed record that readers that are done have skipped, and its chunk.
    first_skipped: Option<(u64, Skipped)>,
    /// The windows that readers have left open.
    open: BTreeSet<Window>,
    sink: Box<dyn Sink + 'n>,
}

/// One thread's part.
struct Reader<'s, 'n> {
    nth: usize,
    shared: &'s Shared<'n>,
    rows: Evaluator<'n>,
    operator: Operator,
    /// The first chunk in which a record was skipped.
    skipped_in: Option<u64>,
    interrupt: &'n Interrupt,
}

impl<'n> Parallel<'n> {
    /// Reads the file to its end and writes every row.
    ///
    /// # Errors
    /// As [`super::Node::run`].
    pub fn run(
        self,
        source: &'n mut FileSource,
        sink: Box<dyn Sink + 'n>,
    ) -> (Outcome, Result<()>) {
        let shared = Shared::new(source, sink, self.threads);
        std::thread::scope(|scope| {
            let read = |nth| shared.run(|| self.reader(nth, &shared).map(Reader::run));
            let threads = (1..self.threads).map(|nth| {
                let thread = std::thread::Builder::new().name("reader".to_owned());
                let started = thread.spawn_scoped(scope, move || read(nth));
                started.map_err(|source| shared.stop(Error::io("start a thread", source)))
            });
            let threads: Vec<_> = threads.collect();
            read(0);
            for thread in threads.into_iter().flatten() {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
        let turn = shared
            .turn
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut results = shared
            .results
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let unfinished: Vec<Window> = results.merger.windows().collect();
        results.open.extend(unfinished);
        let watermark = results.reached.iter().copied().min().unwrap_or(BEGINNING);
        let outcome = Outcome {
            account: results.account,
            first_skipped: results.first_skipped.map(|(_, skipped)| skipped),
            open: Open {
                windows: results.open.len(),
                records: results.open.is_empty().then_some(0),
            },
            watermark,
        };
        let flushed = results.sink.flush();
        let stopped = turn.stopped.flatten().map_or(Ok(()), Err);
        (outcome, stopped.and(flushed))
    }

    fn reader<'s>(&self, nth: usize, shared: &'s Shared<'n>) -> Result<Reader<'s, 'n>> {
        let mut operator = self.plan.operator(1)?;
        operator.keep_partials();
        Ok(Reader {
            nth,
            shared,
            rows: Evaluator {
                plan: self.plan,
                decoder: self.decoder.clone(),
                origins: Origins::Forget,
                for_journal: false,
                skip_bad: self.skip_bad,
                first_skipped: None,
            },
            operator,
            skipped_in: None,
            interrupt: self.interrupt,
        })
    }
}

impl Reader<'_, '_> {
    /// Reads chunks until none is left, or the run is stopped.
    fn run(mut self) {
        let (mut chunk, mut arena) = (Vec::new(), Bump::new());
        loop {
            let went_on = self.read_chunk(&mut chunk, &arena);
            arena.reset();
            match went_on {
                Ok(true) => self.hand_over(),
                Ok(false) => break,
                // The others end where they are; the error is reported once.
                Err(error) => {
                    self.shared.stop(error);
                    break;
                }
            }
        }
        self.end();
    }

    /// Takes the next chunk into windows; returns whether there was one and the run goes on.
    fn read_chunk(&mut self, chunk: &mut Vec<u8>, arena: &Bump) -> Result<bool> {
        self.interrupt.check()?;
        let Some((number, taken)) = self.shared.take_chunk(chunk) else {
            return Ok(false);
        };
        let lines = match taken {
            Ok(lines) => lines,
            // Chunks before this one may have an error of their own, which is reported instead.
            Err(error) => {
                self.shared.take_turn(number, BEGINNING, Some(error));
                return Ok(false);
            }
        };
        let batch = Batch {
            partition: 0,
            records: Records::Lines(lines),
        };
        let (shared, operator) = (self.shared, &mut self.operator);
        let skip_bad = self.rows.skip_bad;
        let went_on = self.rows.decode(&batch, arena, |input, _, unfit| {
            let stop = Unfit::first_malformed(unfit).filter(|_| !skip_bad);
            let high = highest(input.times).unwrap_or(BEGINNING);
            let stop = stop.map(|first| first.to_error(&shared.name));
            let Some(before) = shared.take_turn(number, high, stop) else {
                return Ok(false);
            };
            let mut none = Panes::default(); // parts of windows leave, not panes
            operator.resume(0, before, &mut none);
            operator.on_batch(input, &mut none)?;
            Ok(true)
        });
        if self.rows.first_skipped.is_some() {
            self.skipped_in.get_or_insert(number);
        }
        went_on
    }

    /// Hands over the windows that have left, and how far this reader has come; unless another one
    /// is about it, which may be writing: then there is time until the next chunk.
    fn hand_over(&mut self) {
        /// As many windows stay with a reader that finds others there each time.
        const MAX_LEFT_BEHIND: usize = 4;
        match self.shared.results.try_lock() {
            Ok(results) => self.hand_over_to(results),
            Err(_) if self.operator.partials() <= MAX_LEFT_BEHIND => {}
            Err(_) => self.hand_over_to(lock(&self.shared.results)),
        }
    }

    /// Hands over what there is, and writes what is complete by that.
    fn hand_over_to(&mut self, mut results: MutexGuard<'_, Results<'_>>) {
        let merged = self.operator.hand_over(self.nth, &mut results.merger);
        results.reached[self.nth] = self.operator.watermarks().combined();
        let written =
            merged.and_then(|()| results.write(|window| self.operator.expires_at(window)));
        drop(results);
        if let Err(error) = written {
            self.shared.stop(error);
        }
    }

    /// Hands over the windows that leave at the end of the input, or of what was read of it.
    fn end(mut self) {
        let turn = lock(&self.shared.turn);
        let (high, stopped) = (turn.high, turn.stopped.is_some());
        drop(turn);
        let mut none = Panes::default();
        if stopped {
            self.operator.resume(0, high, &mut none)
        } else {
            self.operator.on_end(&mut none)
        }
        let mut results = lock(&self.shared.results);
        results.account.absorb(self.operator.account());
        let mine = self.skipped_in.zip(self.rows.first_skipped.take());
        let both = results.first_skipped.take().into_iter().chain(mine);
        results.first_skipped = both.min_by_key(|(chunk, _)| *chunk);
        results
            .open
            .extend(self.operator.open_on_grid().into_iter().flatten());
        self.hand_over_to(results);
    }
}

impl<'n> Shared<'n> {
    fn new(source: &'n mut FileSource, sink: Box<dyn Sink + 'n>, threads: usize) -> Self {
        Shared {
            name: source.name(),
            file: Mutex::new(Chunks {
                source,
                next: 0,
                failed: false,
            }),
            turn: Mutex::new(Turn {
                next: 0,
                high: BEGINNING,
                stopped: None,
            }),
            turned: Condvar::new(),
            results: Mutex::new(Results {
                merger: Merger::default(),
                reached: vec![BEGINNING; threads],
                account: Account::default(),
                first_skipped: None,
                open: BTreeSet::new(),
                sink,
            }),
        }
    }

    /// Runs a reader. Whatever ends it before its time, a panic as well, ends the others.
    fn run(&self, reader: impl FnOnce() -> Result<()>) {
        match std::panic::catch_unwind(AssertUnwindSafe(reader)) {
            Ok(ended) => ended.unwrap_or_else(|error| self.stop(error)),
            Err(panic) => {
                lock(&self.turn).stopped.get_or_insert(None);
                self.turned.notify_all();
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Returns the next chunk with its number, or the error that takes its place; `None` after
    /// the last.
    fn take_chunk<'c>(&self, chunk: &'c mut Vec<u8>) -> Option<(u64, Result<Lines<'c>>)> {
        let mut chunks = lock_soon(&self.file);
        if chunks.failed {
            return None;
        }
        let taken = chunks.source.take_chunk(CHUNK, chunk).transpose()?;
        chunks.failed = taken.is_err();
        chunks.next += 1;
        Some((chunks.next - 1, taken))
    }

    /// Waits for the chunks before this one, says how far event time has come in it, and whether
    /// the run ends with it; returns how far it had come before, or `None` where the run has ended.
    fn take_turn(&self, number: u64, high: i64, stop: Option<Error>) -> Option<i64> {
        let turn = lock(&self.turn);
        let wait = |turn: &mut Turn| turn.next != number && turn.stopped.is_none();
        let waited = self.turned.wait_while(turn, wait);
        let mut turn = waited.unwrap_or_else(PoisonError::into_inner);
        if turn.stopped.is_some() {
            return None;
        }
        let before = turn.high;
        turn.next += 1;
        turn.high = before.max(high);
        turn.stopped = stop.map(Some);
        self.turned.notify_all();
        Some(before)
    }

    /// Ends the run with an error, unless it has ended.
    fn stop(&self, error: Error) {
        lock(&self.turn).stopped.get_or_insert(Some(error));
        self.turned.notify_all();
    }
}

impl Results<'_> {
    /// Writes the windows that every reader has handed over.
    fn write(&mut self, expires_at: impl Fn(Window) -> i64) -> Result<()> {
        let reached = self.reached.iter().copied().min().unwrap_or(BEGINNING);
        let leaves = |window| expires_at(window) <= reached;
        let (account, sink) = (&mut self.account, &mut self.sink);
        let mut written = || {
            self.merger
                .fire_first(leaves, account, |panes| sink.write(panes))
        };
        while written()? {}
        self.sink.end_windows()
    }
}

/// Locks what another reader gives back within some tens of microseconds, which is sooner than a
/// thread that sleeps is woken.
fn lock_soon<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    /// About a tenth of a millisecond.
    const SPINS: usize = 200;
    for _ in 0..SPINS {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(_) => std::thread::yield_now(), // its owner may be waiting for this processor
        }
    }
    lock(mutex)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A reader that panics ends the run; what it has left is not looked at.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Sink for Nowhere {
        fn write(&mut self, _: &Panes) -> Result<()> {
            Ok(())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_panics_ends_those_that_wait_for_it() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut source = FileSource::open(file.path()).expect("opened");
        let shared = Shared::new(&mut source, Box::new(Nowhere), 2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| shared.take_turn(1, 0, None));
            let broken = scope.spawn(|| shared.run(|| panic!("broken")));
            assert!(broken.join().is_err());
            assert_eq!(waiting.join().expect("no panic"), None);
        });
    }
}
