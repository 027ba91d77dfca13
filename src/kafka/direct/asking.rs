//! Requests whose answers are waited for: administration.
//!
//! In: requests, and which broker each is for. Out: their answers. The caller's thread waits; nothing
//! goes on between requests but the connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::wire::bytes::{Garbled, Input, Output};
use super::super::wire::connection::Frame;
use super::super::wire::metadata::Broker;
use super::super::wire::{self, Api};
use super::super::{Health, Settings};
use super::cluster::{Cluster, Useless};
use super::sockets::{Bell, Machine, Sockets};
use super::{brokers, cluster_options, wiring};
use crate::error::{Error, Result};

/// Which broker a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Whichever answers.
    Any,
    /// The one of a number.
    Broker(i32),
}

/// Writes what stands behind a request's head, in some version.
type Body = Arc<dyn Fn(&mut Output, i16) + Send + Sync>;

/// A request.
#[derive(Clone)]
pub struct Ask {
    at: At,
    api: Api,
    body: Body,
}

impl Ask {
    /// Returns a request.
    pub fn new(at: At, api: Api, body: impl Fn(&mut Output, i16) + Send + Sync + 'static) -> Self {
        Ask {
            at,
            api,
            body: Arc::new(body),
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It was answered, in this version.
    Answer(Api, i16, Frame),
    /// Its broker cannot be reached, or was lost before it answered.
    Lost,
    /// Its broker does not know such requests.
    Unknown,
}

impl Outcome {
    /// Reads an answer; none where there is none.
    ///
    /// # Errors
    /// `refused` where it is garbled.
    pub fn read<T>(
        &self,
        read: impl FnOnce(Input<'_>, i16) -> Result<T, Garbled>,
    ) -> Result<Option<T>> {
        let Outcome::Answer(api, version, frame) = self else {
            return Ok(None);
        };
        let answer = wire::body(*api, *version, frame).and_then(|input| read(input, *version));
        let garbled = |error| Error::refused(format!("a broker cannot be understood: {error}"));
        answer.map(Some).map_err(garbled)
    }
}

/// The requests that are waited for.
struct Asking {
    cluster: Cluster<(u64, usize)>,
    /// Counts the times that requests were waited for: answers to earlier ones mean nothing.
    round: u64,
    asks: Vec<Ask>,
    is_sent: Vec<bool>,
    /// The brokers that were connected to for them.
    tried: Vec<usize>,
    outcomes: Vec<Option<Outcome>>,
}

impl Asking {
    fn begin(&mut self, asks: Vec<Ask>) {
        self.round += 1;
        self.tried.clear();
        self.is_sent = vec![false; asks.len()];
        self.outcomes = asks.iter().map(|_| None).collect();
        self.asks = asks;
    }

    fn node(&self, id: i32) -> Option<usize> {
        (0..self.cluster.nodes()).find(|&node| self.cluster.id(node) == Some(id))
    }

    /// Sends a request, or has its broker connected to.
    fn send(&mut self, nth: usize, now: Instant) {
        let Ask { at, api, .. } = self.asks[nth];
        let node = match at {
            At::Any => self.cluster.any(),
            At::Broker(id) => match self.node(id) {
                Some(node) if self.cluster.is_up(node) => Some(node),
                Some(node) if !self.cluster.is_down(node) => return,
                Some(node) if !self.tried.contains(&node) => {
                    if self.cluster.connect(node, now) {
                        self.tried.push(node);
                    }
                    return;
                }
                // Who leads may be another one by now: the caller asks.
                _ => {
                    self.outcomes[nth] = Some(Outcome::Lost);
                    return;
                }
            },
        };
        let Some(node) = node else {
            self.cluster.connect_to_any(now);
            return;
        };
        let Some(version) = self.cluster.version(node, api) else {
            self.outcomes[nth] = Some(Outcome::Unknown);
            return;
        };
        self.is_sent[nth] = true;
        let (question, body) = ((self.round, nth), &self.asks[nth].body);
        let times = (now, Duration::ZERO);
        self.cluster
            .ask(node, (api, version), question, times, |output| {
                body(output, version)
            });
    }
}

impl Machine for Asking {
    type Question = (u64, usize);

    fn cluster(&mut self) -> &mut Cluster<(u64, usize)> {
        &mut self.cluster
    }

    fn tick(&mut self, now: Instant) {
        self.cluster.tick(now);
        while let Some((round, nth)) = self.cluster.dropped() {
            if round == self.round {
                self.outcomes[nth] = Some(Outcome::Lost);
            }
        }
        for nth in 0..self.asks.len() {
            if !self.is_sent[nth] && self.outcomes[nth].is_none() {
                self.send(nth, now);
            }
        }
    }

    fn answered(&mut self, node: usize, frame: Frame, now: Instant) -> Result<(), Useless> {
        if let Some(((round, nth), version, frame)) = self.cluster.answered(node, frame, now)?
            && round == self.round
        {
            let api = self.asks[nth].api;
            self.outcomes[nth] = Some(Outcome::Answer(api, version, frame));
        }
        Ok(())
    }
}

/// See the module.
pub struct Asker {
    machine: Asking,
    sockets: Sockets,
}

impl Asker {
    /// Makes one; it connects with the first request.
    ///
    /// # Errors
    /// `refused` for certificates that cannot be read.
    pub fn new(settings: &Settings, health: &Arc<Health>) -> Result<Self> {
        let limit = settings.number("receive.message.max.bytes", 100_000_000) as usize;
        let (bell, ear) = Bell::new()?;
        let wiring = wiring(settings, limit, health.clone())?;
        let options = cluster_options(settings);
        Ok(Asker {
            machine: Asking {
                cluster: Cluster::new(options, &brokers(settings), Instant::now()),
                round: 0,
                asks: Vec::new(),
                is_sent: Vec::new(),
                tried: Vec::new(),
                outcomes: Vec::new(),
            },
            sockets: Sockets::new(wiring, &bell, ear)?,
        })
    }

    /// Sends requests, and waits until something has become of each, in their order; none where that
    /// takes longer than `patience`. `look` is called meanwhile, and its error ends the wait.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn ask(
        &mut self,
        asks: Vec<Ask>,
        patience: Duration,
        look: impl Fn() -> Result<()>,
    ) -> Result<Option<Vec<Outcome>>> {
        const LOOK_INTERVAL: Duration = Duration::from_millis(20);
        let failed = |reason| Error::refused(format!("cannot ask Kafka: {reason}"));
        let deadline = Instant::now() + patience;
        self.machine.begin(asks);
        loop {
            self.machine.tick(Instant::now());
            self.sockets.act(&mut self.machine).map_err(failed)?;
            if self.machine.outcomes.iter().all(Option::is_some) {
                let outcomes = std::mem::take(&mut self.machine.outcomes);
                self.machine.begin(Vec::new());
                return Ok(Some(outcomes.into_iter().flatten().collect()));
            }
            look()?;
            if Instant::now() >= deadline {
                return Ok(None);
            }
            self.sockets.wait(LOOK_INTERVAL).map_err(failed)?;
            self.sockets.receive(&mut self.machine);
        }
    }

    /// Takes up who the brokers are.
    pub fn know(&mut self, brokers: &[Broker]) {
        self.machine.cluster.take_brokers(brokers, Instant::now());
    }
}
