//! One run of a seed: the scheduler, which lets one thing happen after the other.
//!
//! Each process is a coroutine that runs the very code of production. It is left at each call of its
//! clients, and resumed when the world has come to the time that the call has asked for. So a process
//! may die or sleep at each of them, and a run is a sequence of steps that a seed decides.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use generator::{Generator, Gn};

use super::client::View;
use super::dice::Dice;
use super::log::{Log, State};
use super::process;
use super::scenario::{INPUT, RESULTS, Scenario};
use super::world::{EPOCH_MS, Event, MS, Process, SECOND, SharedWorld, Time, World, lock};
use super::{Failure, truth};
use crate::clock::stand_in::{self, StandIn};
use crate::error::{Remedy, Result};
use crate::fault::{Fault, plant};
use crate::interrupt::Interrupt;

/// The stack of a coroutine, in words.
const STACK: usize = 0x2_0000;
/// How long the processes may take to read everything, once nothing goes wrong any more.
const PROGRESS_TIMEOUT: Time = 150 * SECOND;

/// More steps than any run takes.
const MAX_STEPS: u64 = 60_000;

/// What has come of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What is wrong, if something is.
    pub failure: Option<Failure>,
    /// A number that is the same in each run of the seed.
    pub hash: u64,
    /// How many things have gone wrong.
    pub faults: u64,
    /// How long it was for those in it.
    pub lasted: Duration,
}

/// Why a coroutine is unwound: its process is dead.
struct Killed;

/// Lets time pass for a process, which may find itself dead after it.
#[expect(deprecated, reason = "the other way needs a handle in each client")]
pub(super) fn pause(world: &SharedWorld, process: usize, time: Time) {
    if std::thread::panicking() || !generator::is_generator() {
        return;
    }
    {
        let mut world = lock(world);
        world.wake = world.now + time;
    }
    generator::yield_with(());
    if lock(world).processes[process].is_dead {
        std::panic::resume_unwind(Box::new(Killed));
    }
}

/// The clock and the threads of whoever runs.
struct SimulatedClock {
    world: SharedWorld,
    began: Instant,
    current: Rc<Cell<usize>>,
}

impl StandIn for SimulatedClock {
    fn now(&self) -> Instant {
        lock(&self.world).instant(self.began)
    }

    fn now_ms(&self) -> i64 {
        EPOCH_MS + (lock(&self.world).now / MS) as i64
    }

    fn sleep(&self, time: Duration) {
        let time = time.as_micros() as Time;
        pause(&self.world, self.current.get(), time);
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) {
        let process = self.current.get();
        let mut world = lock(&self.world);
        world.spawned.push(super::world::Work(process, work));
    }

    fn note(&self, line: &str) {
        let line = format!("process {}: {line}", self.current.get());
        lock(&self.world).note(&line);
    }
}

/// What a coroutine belongs to.
struct Fiber {
    process: usize,
    wake: Time,
    body: Generator<'static, (), ()>,
}

/// A place that a process is started in again when it has ended.
#[derive(Default)]
struct Slot {
    /// The process that is there.
    process: Option<usize>,
    interrupt: Interrupt,
    restart_at: Option<Time>,
    /// Whether it has read everything.
    is_done: bool,
}

/// How a process has ended.
type Ended = Arc<Mutex<Vec<(usize, Result<()>)>>>;

struct Scheduler {
    world: SharedWorld,
    scenario: Arc<Scenario>,
    fibers: Vec<Fiber>,
    slots: Vec<Slot>,
    ended: Ended,
    current: Rc<Cell<usize>>,
    /// What goes wrong has chances of its own, so that it does not depend on what processes do.
    dice: Dice,
    fed: usize,
    is_quiet: bool,
    folder: Option<PathBuf>,
    failure: Option<Failure>,
}

/// Runs a seed.
pub(super) fn run(seed: u64, is_shown: bool, fault: Option<Fault>) -> Outcome {
    plant(fault);
    let scenario = Arc::new(Scenario::of(seed));
    let world = Arc::new(Mutex::new(World::new(seed, is_shown)));
    let current = Rc::new(Cell::new(0));
    let clock = SimulatedClock {
        world: world.clone(),
        began: Instant::now(),
        current: current.clone(),
    };
    let folder = scenario.keeps_snapshots.then(tempfile::tempdir);
    let folder = folder.and_then(std::result::Result::ok);
    stand_in::with(Rc::new(clock), || {
        lock(&world).note(&format!("{scenario:?}"));
        prepare(&world, &scenario);
        let mut scheduler = Scheduler {
            world: world.clone(),
            slots: (0..scenario.slots).map(|_| Slot::default()).collect(),
            scenario: scenario.clone(),
            fibers: Vec::new(),
            ended: Ended::default(),
            current,
            dice: Dice::new(seed, 2),
            fed: 0,
            is_quiet: false,
            folder: folder.as_ref().map(|folder| folder.path().to_owned()),
            failure: None,
        };
        for slot in &mut scheduler.slots {
            slot.restart_at = Some(scheduler.dice.between(0, SECOND));
        }
        scheduler.run();
        let failure = scheduler.failure.take();
        scheduler.kill_all();
        scheduler.outlast_transactions();
        let failure = failure.or_else(|| {
            let world = lock(&world);
            let open = world.left_open();
            if !open.is_empty() {
                return Some(Failure::new(
                    "left open",
                    format!("transactions of {open:?}"),
                ));
            }
            let stable = |log: &Log| log.stable() == log.end;
            if !world.topics.values().flatten().all(stable) {
                return Some(Failure::new("left open", "a transaction".to_owned()));
            }
            drop(world);
            plant(None);
            truth::compare(&scenario, &world_results(&scheduler.world))
        });
        let world = lock(&world);
        let (hash, faults) = world.trace();
        Outcome {
            failure,
            hash,
            faults,
            lasted: Duration::from_micros(world.now),
        }
    })
}

/// The committed records of the input, by partition, and those of the results in order.
pub(super) struct Records {
    pub input: Vec<Vec<crate::kafka::port::OwnRecord>>,
    pub results: Vec<crate::kafka::port::OwnRecord>,
}

fn world_results(world: &SharedWorld) -> Records {
    let world = lock(world);
    let read = |log: &Log| log.read(0, usize::MAX).0;
    Records {
        input: world.topics[INPUT].iter().map(read).collect(),
        results: world.topics[RESULTS].iter().flat_map(read).collect(),
    }
}

pub(super) fn prepare(world: &SharedWorld, scenario: &Scenario) {
    let mut world = lock(world);
    let logs = |count: i32| (0..count).map(|_| Log::default()).collect::<Vec<_>>();
    world
        .topics
        .insert(INPUT.to_owned(), logs(scenario.partitions));
    world.topics.insert(RESULTS.to_owned(), logs(2));
    world.trouble = scenario.trouble;
    world.after(0, Event::Expire);
    world.after(SECOND, Event::Clean);
    world.after(0, Event::Feed);
    world.after(SECOND, Event::Fault);
}

impl Scheduler {
    /// Lets everything happen, until all is read.
    fn run(&mut self) {
        let deadline = self.scenario.quiet_at + PROGRESS_TIMEOUT;
        let mut steps = 0;
        while self.failure.is_none() {
            steps += 1;
            if steps > MAX_STEPS {
                let now = lock(&self.world).now / MS;
                let failure = Failure::new("no end", format!("{steps} steps, at {now} ms"));
                return self.failure = Some(failure);
            }
            self.start_due();
            self.spawn();
            let event_at = lock(&self.world).next_at().unwrap_or(Time::MAX);
            let (nth, fiber_at) = self.next_fiber().unwrap_or((0, Time::MAX));
            let start_at = self.slots.iter().filter_map(|slot| slot.restart_at).min();
            let start_at = start_at.unwrap_or(Time::MAX);
            let at = event_at.min(fiber_at).min(start_at);
            if self.slots.iter().all(|slot| slot.is_done) {
                return;
            }
            if at > deadline {
                let fibers = self.fibers.len();
                self.failure = Some(Failure::new(
                    "no progress",
                    format!("not everything is read, {fibers} coroutines"),
                ));
                return;
            }
            let mut world = lock(&self.world);
            world.now = world.now.max(at);
            if start_at <= at {
                continue;
            }
            if event_at <= at {
                let event = world.next();
                drop(world);
                match event {
                    Some(Event::Feed) => self.feed(),
                    Some(Event::Fault) => self.fault(),
                    Some(event) => lock(&self.world).happen(event),
                    None => {}
                }
            } else {
                drop(world);
                self.resume(nth);
            }
        }
    }

    /// Lets the transactions of processes that were killed time out.
    fn outlast_transactions(&mut self) {
        let mut world = lock(&self.world);
        let until = world.now + 30 * SECOND;
        while let Some(at) = world.next_at().filter(|&at| at <= until) {
            world.now = world.now.max(at);
            if let Some(event) = world.next() {
                world.happen(event);
            }
        }
    }

    /// Returns which coroutine is next, and when.
    fn next_fiber(&self) -> Option<(usize, Time)> {
        let world = lock(&self.world);
        let fibers = self.fibers.iter().enumerate();
        let at = fibers.map(|(nth, fiber)| {
            let asleep = world.processes[fiber.process].asleep_until;
            (nth, fiber.wake.max(asleep))
        });
        at.min_by_key(|&(_, at)| at)
    }

    fn resume(&mut self, nth: usize) {
        let process = self.fibers[nth].process;
        self.current.set(process);
        let is_over = self.fibers[nth].body.resume().is_none();
        let wake = lock(&self.world).wake;
        self.fibers[nth].wake = wake;
        if is_over || self.fibers[nth].body.is_done() {
            drop(self.fibers.swap_remove(nth));
        }
        self.take_ended();
    }

    /// Takes in the processes that have ended by themselves.
    fn take_ended(&mut self) {
        let ended = std::mem::take(&mut *self.ended.lock().expect("one thread"));
        for (process, result) in ended {
            let is_there = |slot: &&mut Slot| slot.process == Some(process);
            let Some(slot) = self.slots.iter_mut().find(is_there) else {
                continue;
            };
            slot.process = None;
            let mut world = lock(&self.world);
            world.note(&format!("process {process} has ended: {result:?}"));
            let now = world.now;
            match result {
                Ok(()) if self.is_quiet => slot.is_done = true,
                Ok(()) => slot.restart_at = Some(now + self.dice.between(0, 2 * SECOND)),
                Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => {
                    slot.restart_at = Some(now + self.dice.between(MS, 2 * SECOND));
                }
                Err(error) => {
                    self.failure = Some(Failure::new("a process ended", error.to_string()));
                }
            }
            drop(world);
            self.kill(process);
        }
    }

    /// Makes coroutines of the work that was begun.
    fn spawn(&mut self) {
        let mut world = lock(&self.world);
        let (now, spawned) = (world.now, std::mem::take(&mut world.spawned));
        drop(world);
        for super::world::Work(process, work) in spawned {
            self.fibers.push(Fiber {
                process,
                wake: now,
                body: coroutine(work),
            });
        }
    }

    /// Starts the processes whose time has come.
    fn start_due(&mut self) {
        let now = lock(&self.world).now;
        for nth in 0..self.slots.len() {
            if self.slots[nth].restart_at.is_none_or(|at| at > now) {
                continue;
            }
            let mut world = lock(&self.world);
            world.processes.push(Process::default());
            let process = world.processes.len() - 1;
            world.note(&format!("process {process} starts in slot {nth}"));
            drop(world);
            let interrupt = Interrupt::default();
            self.slots[nth] = Slot {
                process: Some(process),
                interrupt: interrupt.clone(),
                ..Slot::default()
            };
            let view = View {
                world: self.world.clone(),
                process,
            };
            let (scenario, ended) = (self.scenario.clone(), self.ended.clone());
            let (folder, exits) = (self.folder.clone(), self.is_quiet);
            let body = coroutine(Box::new(move || {
                let result = process::work(view, &scenario, folder.as_deref(), exits, interrupt);
                ended.lock().expect("one thread").push((process, result));
            }));
            self.fibers.push(Fiber {
                process,
                wake: now,
                body,
            });
        }
    }

    /// Ends a process at once, wherever it is.
    fn kill(&mut self, process: usize) {
        lock(&self.world).processes[process].is_dead = true;
        let mut left = std::mem::take(&mut self.fibers);
        left.retain_mut(|fiber| {
            if fiber.process == process {
                self.current.set(process);
                while !fiber.body.is_done() && fiber.body.resume().is_some() {}
            }
            fiber.process != process
        });
        self.fibers = left;
        lock(&self.world).spawned.retain(|work| work.0 != process);
    }

    fn kill_all(&mut self) {
        let count = lock(&self.world).processes.len();
        (0..count).for_each(|process| self.kill(process));
    }

    /// Writes the records of the input whose time has come.
    fn feed(&mut self) {
        let mut world = lock(&self.world);
        let now = world.now;
        let feed = &self.scenario.feed;
        while let Some(record) = feed.get(self.fed).filter(|record| record.at <= now) {
            let log = world.topics.get_mut(INPUT).expect("the input");
            let log = &mut log[record.partition as usize];
            let state = record
                .within
                .map_or(State::Committed, |(id, _)| State::Open(id));
            log.append(record.partition, state, record.record.clone());
            self.fed += 1;
            if let Some((id, is_committed)) = record.within {
                let goes_on = feed
                    .get(self.fed)
                    .is_some_and(|next| next.within.is_some_and(|(next, _)| next == id));
                if !goes_on {
                    let logs = world.topics.get_mut(INPUT).expect("the input");
                    for (partition, log) in logs.iter_mut().enumerate() {
                        if log.stable() < log.end {
                            log.end_transaction(partition as i32, id, is_committed);
                        }
                    }
                }
            }
        }
        if let Some(next) = feed.get(self.fed) {
            world.after(next.at - now, Event::Feed);
        }
    }

    /// Has something go wrong, or the time of that end.
    fn fault(&mut self) {
        let now = lock(&self.world).now;
        if now >= self.scenario.quiet_at {
            return self.be_quiet();
        }
        let delay = self.dice.between(50 * MS, self.scenario.fault_every);
        let delay = delay.min(self.scenario.quiet_at - now);
        lock(&self.world).after(delay, Event::Fault);
        let nth = self.dice.below(self.slots.len() as u64) as usize;
        let process = self.slots[nth].process;
        match (self.dice.below(10), process) {
            (0..=3, Some(process)) => {
                lock(&self.world).note_fault(&format!("process {process} is killed"));
                self.kill(process);
                self.slots[nth].process = None;
                let delay = self.dice.between(0, 4 * SECOND);
                self.slots[nth].restart_at = Some(now + delay);
            }
            (4..=6, Some(process)) => {
                let time = match self.dice.below(3) {
                    0 => self.dice.between(10 * MS, SECOND),
                    1 => self.dice.between(SECOND, 7 * SECOND),
                    _ => self.dice.between(7 * SECOND, 14 * SECOND),
                };
                let mut world = lock(&self.world);
                world.note_fault(&format!("process {process} sleeps for {} ms", time / MS));
                let until = now + time;
                world.processes[process].asleep_until = until;
            }
            (7, Some(process)) => {
                lock(&self.world).note_fault(&format!("process {process} is asked to stop"));
                self.slots[nth].interrupt.set(15);
            }
            (8, _) => {
                let time = self.dice.between(100 * MS, 4 * SECOND);
                let mut world = lock(&self.world);
                world.note_fault(&format!("brokers restart for {} ms", time / MS));
                world.down_until = world.down_until.max(now + time);
                world.loading_until = world.down_until + SECOND / 2;
                world.hear_all();
            }
            (9, _) => {
                let time = self.dice.between(50 * MS, 2 * SECOND);
                let mut world = lock(&self.world);
                world.note_fault(&format!("coordinators move for {} ms", time / MS));
                world.loading_until = world.loading_until.max(now + time);
                world.hear_all();
            }
            _ => {}
        }
    }

    /// Nothing goes wrong from now on; each process is to end, and another one to read the rest.
    fn be_quiet(&mut self) {
        self.is_quiet = true;
        let mut world = lock(&self.world);
        world.note("nothing goes wrong from now on");
        let now = world.now;
        world.trouble = super::world::Trouble::default();
        world
            .processes
            .iter_mut()
            .for_each(|process| process.asleep_until = now);
        for slot in &mut self.slots {
            slot.interrupt.set(15);
            if slot.process.is_none() {
                slot.restart_at = Some(now);
            }
        }
    }
}

/// Returns a coroutine that runs something to its end, or to the death of its process.
fn coroutine(work: Box<dyn FnOnce() + Send>) -> Generator<'static, (), ()> {
    Gn::<()>::new_opt(STACK, move || {
        let work = std::panic::AssertUnwindSafe(work);
        if let Err(panic) = std::panic::catch_unwind(work)
            && !panic.is::<Killed>()
        {
            std::panic::resume_unwind(panic);
        }
    })
}
