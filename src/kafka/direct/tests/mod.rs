//! The machines against scripted brokers: the test has the time and answers what is asked.

mod fuzz;
mod login;
mod reading;
mod writing;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::wire::answers::{self, ID, whole};
use super::super::wire::code;
use super::super::wire::connection::Frame;
use super::cluster::{self, Action};
use super::sockets::Machine;

/// A machine, and the time and the brokers as the test has them.
struct Stage<M> {
    machine: M,
    now: Instant,
    /// The last request of each broker that is to be answered: its kind, its number and its bytes.
    asked: BTreeMap<usize, Vec<(i16, i32, Vec<u8>)>>,
    connecting: Vec<usize>,
    closed: Vec<usize>,
}

const FETCH: i16 = 1;
const METADATA: i16 = 3;
const VERSIONS: i16 = 18;

impl<M: Machine> Stage<M> {
    /// Starts a machine; `h:1` is the address that is known.
    fn of(machine: impl FnOnce(&[String], Instant) -> M) -> Self {
        let now = Instant::now();
        let mut stage = Stage {
            machine: machine(&["h:1".to_owned()], now),
            now,
            asked: BTreeMap::new(),
            connecting: Vec::new(),
            closed: Vec::new(),
        };
        stage.step(Duration::ZERO);
        stage
    }

    /// Lets time pass, and takes what the machine wants.
    fn step(&mut self, time: Duration) {
        self.now += time;
        self.machine.tick(self.now);
        while let Some(action) = self.machine.cluster().action() {
            match action {
                Action::Connect(node) => self.connecting.push(node),
                Action::Close(node, _) => {
                    self.closed.push(node);
                    self.asked.remove(&node);
                }
                Action::Send(node, pieces) => {
                    let bytes = whole(&pieces);
                    let kind = i16::from_be_bytes([bytes[4], bytes[5]]);
                    let number = i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
                    self.asked
                        .entry(node)
                        .or_default()
                        .push((kind, number, bytes));
                }
            }
        }
    }

    /// Returns the oldest request to a broker, which has to be of a kind, for its answer.
    #[track_caller]
    fn take(&mut self, node: usize, kind: i16) -> (i32, Vec<u8>) {
        let asked = self.asked.get_mut(&node).filter(|asked| !asked.is_empty());
        let (asked, number, bytes) = asked.expect("a request").remove(0);
        assert_eq!(asked, kind, "the kind of the request");
        (number, bytes)
    }

    fn kinds(&self, node: usize) -> Vec<i16> {
        let asked = self.asked.get(&node).into_iter().flatten();
        asked.map(|(kind, ..)| *kind).collect()
    }

    #[track_caller]
    fn answer(&mut self, node: usize, frame: Vec<u8>) {
        let answered = self.machine.answered(node, Frame::of(frame), self.now);
        answered.expect("a sound answer");
        self.step(Duration::ZERO);
    }

    #[track_caller]
    fn connect(&mut self, node: usize, is_old: bool) {
        let at = self.connecting.iter().position(|it| *it == node);
        self.connecting
            .remove(at.expect("it is being connected to"));
        self.machine.cluster().connected(node, self.now);
        self.step(Duration::ZERO);
        let (number, _) = self.take(node, VERSIONS);
        self.answer(node, answers::versions(number, is_old));
    }

    #[track_caller]
    fn lead(&mut self, node: usize, brokers: &[(i32, i32)], leaders: &[(i32, i32)]) {
        let (number, _) = self.take(node, METADATA);
        let answer = answers::metadata(number, brokers, (code::NONE, ID), leaders);
        self.answer(node, answer);
    }

    /// Loses the connection to a broker.
    fn lose(&mut self, node: usize) {
        self.asked.remove(&node);
        self.machine.cluster().lost(node, self.now);
        self.step(Duration::ZERO);
    }
}

fn cluster_options() -> cluster::Options {
    cluster::Options {
        client: "k".to_owned(),
        patience: Duration::from_secs(20),
        metadata_age: Duration::from_secs(300),
        login: None,
    }
}
