//! The thread of a reader: it steps the [`Reading`] machine by what comes from its sockets, and hands
//! over what was read.

use std::collections::VecDeque;
use std::io::PipeReader;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::chunk::Chunk;
use super::reading::{Failure, Reading};
use super::sockets::{Bell, Machine as _, Sockets, Wiring};
use crate::error::{Error, Result};

/// What the thread and the reader share.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// Something has come.
    arrived: Condvar,
    /// Wakes the thread.
    bell: Bell,
}

/// See [`Shared`].
#[derive(Debug)]
pub struct State {
    /// What came for each partition.
    pub queues: Vec<Queue>,
    /// Counts what has come.
    pub arrivals: u64,
    /// What the reader is done with: partitions and bytes.
    taken: Vec<(usize, usize)>,
    /// The numbers of the partitions that nobody leads.
    pub orphans: Vec<i32>,
    looks_up: bool,
    is_closing: bool,
    /// Whether the thread waits for its sockets.
    is_waiting: bool,
    /// Why the thread has ended by itself.
    pub ended: Option<String>,
}

/// What came for a partition.
#[derive(Debug, Default)]
pub struct Queue {
    /// In order; nothing follows a failure.
    pub chunks: VecDeque<Result<Arc<Chunk>, Failure>>,
    /// One past its last replicated record; none before the first answer.
    pub high_watermark: Option<i64>,
}

impl Shared {
    /// Returns the state of so many partitions, and what rings for the thread.
    ///
    /// # Errors
    /// `refused` where the system gives no pipe.
    pub fn new(partitions: usize) -> Result<(Arc<Self>, PipeReader)> {
        let (bell, ear) = Bell::new()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queues: (0..partitions).map(|_| Queue::default()).collect(),
                arrivals: 0,
                taken: Vec::new(),
                orphans: Vec::new(),
                looks_up: false,
                is_closing: false,
                is_waiting: false,
                ended: None,
            }),
            arrived: Condvar::new(),
            bell,
        });
        Ok((shared, ear))
    }

    /// Returns the state.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has come, at most until `deadline`.
    pub fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> MutexGuard<'a, State> {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.arrived.wait_timeout(state, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Reports that so many bytes of a partition were read.
    pub fn give_back(&self, partition: usize, bytes: usize) {
        self.tell(|state| state.taken.push((partition, bytes)));
    }

    /// Has the brokers asked whether the topic is still there.
    pub fn look_up(&self) {
        self.tell(|state| state.looks_up = true);
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.tell(|state| state.is_closing = true);
    }

    fn tell(&self, tell: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        tell(&mut state);
        if std::mem::take(&mut state.is_waiting) {
            self.bell.ring();
        }
    }
}

/// What the thread has.
struct Thread {
    machine: Reading,
    sockets: Sockets,
    shared: Arc<Shared>,
}

/// Starts the thread; it ends by [`Shared::close`].
///
/// # Errors
/// `refused` where the system gives no thread.
pub fn start(
    machine: Reading,
    wiring: Wiring,
    shared: Arc<Shared>,
    ear: PipeReader,
) -> Result<std::thread::JoinHandle<()>> {
    let mut thread = Thread {
        machine,
        sockets: Sockets::new(wiring, &shared.bell, ear)?,
        shared,
    };
    let run = move || {
        let ended = thread.run();
        let mut state = thread.shared.lock();
        state.ended = ended.err();
        thread.shared.arrived.notify_all();
    };
    let started = std::thread::Builder::new().name("k-fetch".to_owned());
    started
        .spawn(run)
        .map_err(|source| Error::io("start a thread", source))
}

impl Thread {
    /// Runs until the reader is done.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn run(&mut self) -> Result<(), String> {
        while self.hear() {
            self.machine.tick(Instant::now());
            self.sockets.act(&mut self.machine)?;
            self.hand_over();
            self.wait()?;
            self.receive();
        }
        Ok(())
    }

    /// Takes note of what the reader has said; whether it is to go on.
    fn hear(&mut self) -> bool {
        let mut state = self.shared.lock();
        for (partition, bytes) in state.taken.drain(..) {
            self.machine.taken(partition, bytes);
        }
        if std::mem::take(&mut state.looks_up) {
            self.machine.look_up();
        }
        !state.is_closing
    }

    /// Hands the next pieces over, if there are any.
    fn hand_over(&mut self) {
        let Some((nth, pieces)) = self.machine.deliver() else {
            return;
        };
        let mut state = self.shared.lock();
        let pieces = pieces.into_iter().map(|piece| piece.map(Arc::new));
        state.queues[nth].chunks.extend(pieces);
        state.arrivals += 1;
        self.shared.arrived.notify_all();
    }

    /// Waits until a socket, the reader or the time asks for something.
    fn wait(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let mut left = self.machine.wakes_at(now).saturating_duration_since(now);
        if self.machine.has_deliverable() {
            left = Duration::ZERO;
        }
        {
            let mut state = self.shared.lock();
            if state.is_closing || !state.taken.is_empty() || state.looks_up {
                left = Duration::ZERO;
            }
            state.is_waiting = !left.is_zero();
        }
        self.sockets.wait(left)?;
        self.shared.lock().is_waiting = false;
        Ok(())
    }

    fn receive(&mut self) {
        if self.sockets.receive(&mut self.machine) {
            // Before the records are handed over: a partition is at its end once they were read.
            let mut state = self.shared.lock();
            for (nth, queue) in state.queues.iter_mut().enumerate() {
                queue.high_watermark = self.machine.high_watermark(nth);
            }
            state.orphans.clear();
            state.orphans.extend(self.machine.orphans());
        }
    }
}
