//! One side's source, read and decoded in a thread of its own.
//!
//! In: a source. Out: its batches as [`Load`]s, in its order, and whether it is at its end for now.
//! A few loads circulate between the thread and the join, so that reading is never far ahead and no
//! batch allocates.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stage::{Load, Stage};
use crate::engine::join::Records;
use crate::error::{Error, Result};
use crate::source::{Polled, Source};

/// How long the source is waited for before its silence is reported.
const POLL: Duration = Duration::from_millis(50);
/// How many loads go round: one is joined, one is ready, one is filled.
const LOADS: usize = 3;

/// One side of a join, as its reader hands it over.
pub(super) struct Feed {
    /// The current records.
    pub load: Load,
    /// When something came last, by partition.
    heard: Vec<Instant>,
    /// Whether each partition had nothing more when it was looked at last.
    at_end: Vec<bool>,
    ended: bool,
    preferred: Arc<AtomicUsize>,
    /// What the thread hands over, and the loads that it may fill again. Gone before the thread is
    /// waited for: that ends it.
    channels: Option<(Receiver<Fed>, Sender<Load>)>,
    thread: Option<JoinHandle<()>>,
}

/// What a reader hands over.
enum Fed {
    /// A batch of this partition; whether each of the others is at its end.
    Batch(Load, Vec<bool>),
    /// Nothing for now; whether each partition is at its end.
    Silence(Vec<bool>),
    /// Nothing any more, or the error that has ended it.
    End(Result<()>),
}

/// What [`Feed::fill`] has found.
pub(super) enum Filled {
    /// Nothing for now.
    Nothing,
    /// Records of this partition, which are available.
    Batch(usize),
    /// Nothing any more.
    End,
}

impl Feed {
    /// Starts to read a source; `records` makes the places for its records.
    ///
    /// # Errors
    /// `refused` when the machine has no thread left.
    pub fn start(
        source: Box<dyn Source>,
        stage: Stage,
        records: impl Fn() -> Records,
    ) -> Result<Self> {
        let partitions = source.partitions();
        let (ready, receiver) = mpsc::sync_channel(LOADS);
        let (sender, spare) = mpsc::channel();
        for _ in 1..LOADS {
            // The receiver is here.
            sender.send(Load::new(records())).unwrap_or(());
        }
        let preferred = Arc::new(AtomicUsize::new(0));
        let reader = Reader {
            source,
            stage,
            preferred: preferred.clone(),
            ready,
            spare,
        };
        let thread = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || reader.run())
            .map_err(|source| Error::io("start a thread", source))?;
        Ok(Feed {
            load: Load::new(records()),
            heard: vec![Instant::now(); partitions],
            at_end: vec![false; partitions],
            ended: false,
            preferred,
            channels: Some((receiver, sender)),
            thread: Some(thread),
        })
    }

    /// Returns whether nothing will ever come.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns whether everything known to be there has been taken in.
    pub fn is_at_end(&self) -> bool {
        !self.load.has_more() && (self.ended || self.at_end.iter().all(|&at_end| at_end))
    }

    /// Returns the partitions that are at their end and have been silent for `idle`.
    pub fn idle_partitions(&self, idle: Duration) -> impl Iterator<Item = usize> {
        let is_open = !self.ended && !self.load.has_more();
        let partitions = self.at_end.iter().zip(&self.heard).enumerate();
        partitions
            .filter(move |(_, (at_end, heard))| is_open && **at_end && heard.elapsed() >= idle)
            .map(|(partition, _)| partition)
    }

    /// Asks for a partition to be read before the others.
    pub fn prefer(&self, partition: usize) {
        self.preferred.store(partition, Ordering::Relaxed);
    }

    /// Takes the next batch, waiting at most `wait` for it; what was available has been taken in.
    ///
    /// # Errors
    /// Those of the source.
    pub fn fill(&mut self, wait: Duration) -> Result<Filled> {
        let Some((ready, spare)) = self.channels.as_ref().filter(|_| !self.ended) else {
            return Ok(Filled::Nothing);
        };
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match ready.recv_timeout(left) {
                Ok(Fed::Batch(load, at_end)) => {
                    let partition = load.partition;
                    self.at_end = at_end;
                    self.heard[partition] = Instant::now();
                    let used = std::mem::replace(&mut self.load, load);
                    spare.send(used).unwrap_or(()); // the reader may have ended
                    return Ok(Filled::Batch(partition));
                }
                // It may be old: something may have come behind it.
                Ok(Fed::Silence(at_end)) => self.at_end = at_end,
                Ok(Fed::End(ended)) => {
                    self.ended = true;
                    return ended.map(|()| Filled::End);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => return Ok(Filled::Nothing),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(Error::bug("the thread of a reader ended without a result"));
                }
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.channels = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or(()); // the panic has been printed
        }
    }
}

/// The thread's part.
struct Reader {
    source: Box<dyn Source>,
    stage: Stage,
    preferred: Arc<AtomicUsize>,
    ready: SyncSender<Fed>,
    spare: Receiver<Load>,
}

impl Reader {
    /// Reads until the source ends or no one takes its batches any more.
    fn run(mut self) {
        while let Ok(load) = self.spare.recv() {
            let Some(fed) = self.next(load) else { return };
            let is_last = matches!(fed, Fed::End(_));
            if self.ready.send(fed).is_err() || is_last {
                return;
            }
        }
    }

    /// Waits for what comes next; `None` when no one wants it any more.
    fn next(&mut self, mut load: Load) -> Option<Fed> {
        let partitions = self.source.partitions();
        loop {
            self.source.prefer(self.preferred.load(Ordering::Relaxed));
            match self.source.poll(POLL) {
                Ok(Polled::Batch(batch)) => {
                    let read = batch.partition;
                    self.stage.fill(batch, &mut load);
                    let at_end = |nth| nth != read && self.source.at_end(nth);
                    let at_end = (0..partitions).map(at_end).collect();
                    return Some(Fed::Batch(load, at_end));
                }
                Ok(Polled::Pending) => {
                    let at_end = |nth| self.source.at_end(nth);
                    let at_end = (0..partitions).map(at_end).collect();
                    match self.ready.try_send(Fed::Silence(at_end)) {
                        Err(mpsc::TrySendError::Disconnected(_)) => return None,
                        // Those that are waiting say as much.
                        Ok(()) | Err(mpsc::TrySendError::Full(_)) => {}
                    }
                }
                Ok(Polled::End) => return Some(Fed::End(Ok(()))),
                Err(error) => return Some(Fed::End(Err(error))),
            }
        }
    }
}
