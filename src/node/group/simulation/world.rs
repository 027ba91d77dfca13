//! The simulated world: brokers, the network, the processes and their clocks.
//!
//! Nothing in it happens by itself. Each thing that is on its way (a batch, an answer, a heartbeat, a
//! marker) is an [`Event`] at a time, and the scheduler in [`super::run`] takes one after the other.
//! What a process does beside its own code happens in its clients: these stand still while it
//! sleeps, and what has left it arrives all the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::group::{Group, MemberClient};
use super::log::Log;
use super::sender::SenderClient;
use super::transaction::{Transactional, Transactions};
use crate::kafka::member::Place;

/// A time in µs since the world began.
pub(super) type Time = u64;

pub(super) const MS: Time = 1_000;
pub(super) const SECOND: Time = 1_000 * MS;

/// The date on which every world begins, in ms since 1970, UTC.
pub(super) const EPOCH_MS: i64 = 1_767_268_800_000;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A client sends what waits in it.
    Flush(usize),
    /// A client's next batch comes to its partition.
    Arrive(usize, Place),
    /// A client hears that a batch was written.
    Acknowledge {
        sender: usize,
        transaction: u64,
        count: u64,
        place: Place,
        last: i64,
    },
    /// A transaction is ended in a partition.
    Mark {
        id: Transactional,
        place: Place,
        is_committed: bool,
    },
    /// A transaction is ended in the group's offsets.
    MarkOffsets {
        id: Transactional,
        is_committed: bool,
    },
    /// A member's client says that it is there.
    Heartbeat(usize),
    /// A member's client hears what it is assigned.
    Assigned {
        client: usize,
        generation: i32,
        places: BTreeSet<Place>,
    },
    /// The coordinators look for members and transactions whose time is over.
    Expire,
    /// Compaction.
    Clean,
    /// A producer of the input writes some records.
    Feed,
    /// A process dies, sleeps, or the brokers restart.
    Fault,
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trouble {
    /// How often an answer is lost, in 1,000.
    pub lost_answers: u64,
    /// How often a request takes long, in 1,000.
    pub slow: u64,
}

/// A process of the group.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Whether it was killed, or has ended: its clients do nothing more.
    pub is_dead: bool,
    /// Until when it sleeps.
    pub asleep_until: Time,
}

/// Everything that there is.
#[derive(Debug)]
pub(super) struct World {
    pub now: Time,
    pub dice: Dice,
    pub trouble: Trouble,
    pub topics: BTreeMap<String, Vec<Log>>,
    /// Those whose old rows are dropped.
    pub compacted: BTreeSet<String>,
    pub group: Group,
    pub members: Vec<MemberClient>,
    pub senders: Vec<SenderClient>,
    pub transactions: Transactions,
    pub processes: Vec<Process>,
    /// Until when no broker answers.
    pub down_until: Time,
    /// Until when the group's and the transactions' coordinator loads.
    pub loading_until: Time,
    events: BinaryHeap<Reverse<(Time, u64)>>,
    due: BTreeMap<(Time, u64), Event>,
    number: u64,
    /// What the process that runs wants: to be woken at a time.
    pub wake: Time,
    /// Work that it has begun beside its own.
    pub spawned: Vec<Work>,
    trace: Trace,
}

/// A process, and what it has begun.
pub(super) struct Work(pub usize, pub Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "work of process {}", self.0)
    }
}

/// What has happened, to be compared with another run of the same seed.
#[derive(Debug, Default)]
struct Trace {
    hash: u64,
    is_shown: bool,
    faults: u64,
}

/// The world, shared by all that is in it. One thread runs it all.
pub(super) type SharedWorld = Arc<Mutex<World>>;

/// Takes the world; nobody keeps it while something else runs.
pub(super) fn lock(world: &SharedWorld) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64, is_shown: bool) -> Self {
        World {
            now: 0,
            dice: Dice::new(seed, 0),
            trouble: Trouble::default(),
            topics: BTreeMap::new(),
            compacted: BTreeSet::new(),
            group: Group::default(),
            members: Vec::new(),
            senders: Vec::new(),
            transactions: Transactions::default(),
            processes: Vec::new(),
            down_until: 0,
            loading_until: 0,
            events: BinaryHeap::new(),
            due: BTreeMap::new(),
            number: 0,
            wake: 0,
            spawned: Vec::new(),
            trace: Trace {
                is_shown,
                ..Trace::default()
            },
        }
    }

    /// Has something happen later.
    pub fn after(&mut self, delay: Time, event: Event) {
        let at = (self.now + delay, self.number);
        self.number += 1;
        self.events.push(Reverse(at));
        self.due.insert(at, event);
    }

    /// Returns when the next thing happens.
    pub fn next_at(&self) -> Option<Time> {
        self.events.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next thing that happens.
    pub fn next(&mut self) -> Option<Event> {
        let Reverse(at) = self.events.pop()?;
        self.due.remove(&at)
    }

    /// Lets what has come happen.
    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Flush(sender) => self.flush(sender),
            Event::Arrive(sender, place) => self.arrive(sender, place),
            Event::Acknowledge {
                sender,
                transaction,
                count,
                place,
                last,
            } => self.acknowledge((sender, transaction), count, place, last),
            Event::Mark {
                id,
                place,
                is_committed,
            } => self.mark(&id, &place, is_committed),
            Event::MarkOffsets { id, is_committed } => self.mark_offsets(&id, is_committed),
            Event::Heartbeat(client) => self.heartbeat(client),
            Event::Assigned {
                client,
                generation,
                places,
            } => self.assigned(client, generation, places),
            Event::Expire => {
                self.expire_members();
                self.expire_transactions();
                self.after(200 * MS, Event::Expire);
            }
            Event::Clean => {
                let compacted = self.compacted.clone();
                for topic in compacted {
                    for log in self.topics.get_mut(&topic).into_iter().flatten() {
                        log.compact(log.end - 20);
                    }
                }
                let delay = self.dice.between(2 * SECOND, 6 * SECOND);
                self.after(delay, Event::Clean);
            }
            // The scheduler's own.
            Event::Feed | Event::Fault => {}
        }
    }

    /// Returns how long a request is on its way, in one direction.
    pub fn latency(&mut self) -> Time {
        if self.dice.happens(self.trouble.slow) {
            self.dice.between(20 * MS, 150 * MS)
        } else {
            self.dice.between(MS / 2, 5 * MS)
        }
    }

    /// Returns whether the answer to a request is lost.
    pub fn loses_answer(&mut self) -> bool {
        self.dice.happens(self.trouble.lost_answers)
    }

    pub fn is_down(&self) -> bool {
        self.now < self.down_until
    }

    /// Returns whether coordinators answer.
    pub fn coordinates(&self) -> bool {
        self.now >= self.down_until.max(self.loading_until)
    }

    /// Returns until when a process sleeps, or `None` where it is dead.
    pub fn asleep(&self, process: usize) -> Option<Time> {
        let process = &self.processes[process];
        (!process.is_dead).then_some(process.asleep_until)
    }

    pub fn log(&mut self, place: &Place) -> Option<&mut Log> {
        let logs = self.topics.get_mut(&*place.topic)?;
        logs.get_mut(usize::try_from(place.partition).ok()?)
    }

    /// Returns the time as a process sees it.
    pub fn instant(&self, began: Instant) -> Instant {
        began + Duration::from_micros(self.now)
    }

    /// Notes what has happened.
    pub fn note(&mut self, line: &str) {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (self.trace.hash, self.now, line).hash(&mut hasher);
        self.trace.hash = hasher.finish();
        if self.trace.is_shown {
            println!("{:>10.3} {line}", self.now as f64 / SECOND as f64);
        }
    }

    /// Notes something that goes wrong.
    pub fn note_fault(&mut self, line: &str) {
        self.trace.faults += 1;
        self.note(line);
    }

    /// Returns a number by which two runs of a seed are told apart if they differ, and how much has
    /// gone wrong.
    pub fn trace(&self) -> (u64, u64) {
        (self.trace.hash, self.trace.faults)
    }
}
