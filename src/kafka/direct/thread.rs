//! The thread that owns the sockets: it carries what the [`Machine`] wants to the brokers, and what
//! they answer to the machine. All waiting for the network is here.
//!
//! A name is looked up, and a connection made, on another thread each: neither can be waited for
//! together with sockets.

use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::Health;
use super::super::wire::connection::{Connection, Cut, Family, Pool, connect};
use super::chunk::Chunk;
use super::machine::{Action, Failure, Machine};
use crate::error::{Error, Result};
use crate::term::report::Report;

/// What the thread and the reader share.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// Something has come.
    arrived: Condvar,
    /// Wakes the thread.
    bell: PipeWriter,
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
        let (ear, bell) =
            std::io::pipe().map_err(|source| Error::io("make a pipe to a thread", source))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queues: (0..partitions).map(|_| Queue::default()).collect(),
                arrivals: 0,
                taken: Vec::new(),
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
            ring(&self.bell);
        }
    }
}

fn ring(mut bell: &PipeWriter) {
    // Where nobody listens any more there is no one to wake.
    let _ = bell.write(&[0]);
}

/// How connections are made.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// Which addresses of a host are tried.
    pub family: Family,
    /// How long a connection may take to be made.
    pub timeout: Duration,
    /// How large an answer may be.
    pub limit: usize,
    /// Told of trouble.
    pub health: Arc<Health>,
    /// Told what is done, for `-v`.
    pub report: Report,
}

/// A connection that was made or not, of the `nth` attempt for its broker.
type Made = (usize, u64, Result<TcpStream, Cut>);

/// What the thread has.
struct Thread {
    machine: Machine,
    wiring: Wiring,
    shared: Arc<Shared>,
    ear: PipeReader,
    pool: Arc<Pool>,
    /// By broker.
    links: Vec<Link>,
    made: (mpsc::Sender<Made>, mpsc::Receiver<Made>),
    is_cut_off: bool,
}

#[derive(Debug, Default)]
struct Link {
    connection: Option<Connection>,
    /// Counts the attempts to connect: an earlier one that ends later means nothing.
    attempt: u64,
}

/// Starts the thread; it ends by [`Shared::close`].
///
/// # Errors
/// `refused` where the system gives no thread.
pub fn start(
    machine: Machine,
    wiring: Wiring,
    shared: Arc<Shared>,
    ear: PipeReader,
) -> Result<std::thread::JoinHandle<()>> {
    let mut thread = Thread {
        machine,
        wiring,
        shared,
        ear,
        pool: Arc::default(),
        links: Vec::new(),
        made: mpsc::channel(),
        is_cut_off: false,
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
            self.act()?;
            self.hand_over();
            self.wait()?;
            self.take_made();
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

    fn act(&mut self) -> Result<(), String> {
        while let Some(action) = self.machine.action() {
            match action {
                Action::Connect(node) => self.connect(node)?,
                Action::Close(node, silent_for) => {
                    self.link(node).connection = None;
                    if silent_for.is_some() {
                        self.note_trouble(node, "no answer");
                    }
                }
                Action::Send(node, bytes) => {
                    let connection = self.link(node).connection.as_mut();
                    if let Some(Err(cut)) = connection.map(|connection| connection.send(&bytes)) {
                        self.lose(node, &cut.to_string());
                    }
                }
            }
        }
        Ok(())
    }

    fn link(&mut self, node: usize) -> &mut Link {
        if self.links.len() <= node {
            self.links.resize_with(node + 1, Link::default);
        }
        &mut self.links[node]
    }

    fn connect(&mut self, node: usize) -> Result<(), String> {
        let link = self.link(node);
        link.attempt += 1;
        let (attempt, made) = (link.attempt, self.made.0.clone());
        let bell = self.shared.bell.try_clone();
        let bell = bell.map_err(|error| format!("no pipe to a thread: {error}"))?;
        let address = self.machine.address(node).to_owned();
        let Wiring {
            family, timeout, ..
        } = self.wiring;
        std::thread::spawn(move || {
            let connected = connect(&address, family, timeout);
            let _ = made.send((node, attempt, connected)); // nobody may wait any more
            ring(&bell);
        });
        Ok(())
    }

    fn take_made(&mut self) {
        while let Ok((node, attempt, made)) = self.made.1.try_recv() {
            let (limit, pool) = (self.wiring.limit, self.pool.clone());
            let link = self.link(node);
            if link.attempt != attempt {
                continue;
            }
            match made {
                Ok(stream) => {
                    link.connection = Some(Connection::new(stream, limit, &pool));
                    self.machine.connected(node, Instant::now());
                }
                Err(cut) => self.lose(node, &cut.to_string()),
            }
        }
    }

    fn lose(&mut self, node: usize, reason: &str) {
        self.link(node).connection = None;
        self.machine.lost(node, Instant::now());
        self.note_trouble(node, reason);
    }

    fn note_trouble(&mut self, node: usize, reason: &str) {
        let address = self.machine.address(node);
        let said = format!("{address}: {reason}");
        if self.wiring.health.is_news(&said) {
            self.wiring.report.detail(format!("kafka: {said}"));
        }
        self.wiring.health.note_lost(address, reason);
        self.note_health();
    }

    /// Tells the reader whether any broker can be reached.
    fn note_health(&mut self) {
        let is_cut_off = self.machine.is_cut_off();
        if is_cut_off && !self.is_cut_off {
            self.wiring.health.note_all_lost();
        } else if !is_cut_off && self.is_cut_off {
            self.wiring.health.forget();
        }
        self.is_cut_off = is_cut_off;
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
        let mut wanted = vec![PollFd::new(&self.ear, PollFlags::IN)];
        for connection in self
            .links
            .iter()
            .filter_map(|link| link.connection.as_ref())
        {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, connection.has_unsent());
            wanted.push(PollFd::new(connection.socket(), flags));
        }
        // Rounded up, or the last part of a millisecond would be waited for in circles.
        let left = left.saturating_add(Duration::from_micros(999));
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_millis()) * 1_000_000,
        };
        let polled = poll(&mut wanted, Some(&timeout));
        let has_rung = wanted[0].revents().contains(PollFlags::IN);
        match polled {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("sockets cannot be waited for: {error}")),
        }
        self.shared.lock().is_waiting = false;
        if has_rung {
            // As often as it rang; what it rang for is looked at anyway.
            let _ = self.ear.read(&mut [0; 64]);
        }
        Ok(())
    }

    /// Takes what has come from all brokers, and sends what could not be sent.
    fn receive(&mut self) {
        let mut is_any = false;
        for node in 0..self.links.len() {
            match self.receive_from(node) {
                Ok(has_come) => is_any |= has_come,
                Err(reason) => self.lose(node, &reason),
            }
        }
        if is_any {
            self.note_health();
            // Before the records are handed over: a partition is at its end once they were read.
            let mut state = self.shared.lock();
            for (nth, queue) in state.queues.iter_mut().enumerate() {
                queue.high_watermark = self.machine.high_watermark(nth);
            }
        }
    }

    /// Takes what has come from a broker; whether anything has.
    fn receive_from(&mut self, node: usize) -> Result<bool, String> {
        let Some(connection) = &mut self.links[node].connection else {
            return Ok(false);
        };
        let mut is_any = false;
        let cut = |cut: Cut| cut.to_string();
        connection.flush().map_err(cut)?;
        while let Some(frame) = connection.receive().map_err(cut)? {
            self.machine.answered(node, frame, Instant::now())?;
            is_any = true;
        }
        Ok(is_any)
    }
}
