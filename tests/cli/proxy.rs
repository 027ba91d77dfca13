//! A bad connection to a broker: a proxy that delays answers, cuts them off in the middle, gives
//! none, or says that another broker leads.
//!
//! It takes the broker's place in answers that name its address, so everything goes through it. What
//! it does depends on how many answers it has carried, so a run is the same again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Passes,
    /// It arrives later.
    IsLate(Duration),
    /// Half of it arrives, and the connection ends.
    IsCut,
    /// Nothing arrives any more, and the connection stays open.
    IsLost,
    /// The broker says that it does not lead the first partition; what it wrote stays written.
    IsRefused,
}

/// Listens until it is dropped.
pub struct Proxy {
    pub address: String,
    state: Arc<State>,
}

struct State {
    broker: String,
    port: u16,
    /// Counts the answers.
    carried: AtomicU64,
    kind: Kind,
    fate: fn(u64) -> Fate,
    has_ended: AtomicBool,
}

/// Whose answers are disturbed: only what reads or writes, or librdkafka's own repetitions would be
/// tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Those to writers.
    Produce = 0,
    /// Those to readers.
    Fetch = 1,
}

impl Proxy {
    /// Stands before a broker; `fate` says what becomes of the nth answer of a kind.
    pub fn start(broker: &str, kind: Kind, fate: fn(u64) -> Fate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            broker: broker.to_owned(),
            port,
            carried: AtomicU64::new(0),
            kind,
            fate,
            has_ended: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let state = shared.clone();
                std::thread::spawn(move || state.carry(client));
            }
        });
        Proxy {
            address: format!("127.0.0.1:{port}"),
            state,
        }
    }

    /// Returns how many answers came by.
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address); // wakes the listener
    }
}

impl State {
    /// Carries one connection, until either side ends it. Requests are answered in their order, so one
    /// is carried after the other.
    fn carry(&self, mut client: TcpStream) -> Option<()> {
        let mut broker = TcpStream::connect(&self.broker).ok()?;
        loop {
            let request = frame(&mut client)?;
            let kind = i16::from_be_bytes([request[4], request[5]]);
            let version = i16::from_be_bytes([request[6], request[7]]);
            broker.write_all(&request).ok()?;
            let mut answer = frame(&mut broker)?;
            self.take_the_brokers_place(&mut answer);
            let fate = if kind == self.kind as i16 {
                (self.fate)(self.carried.fetch_add(1, Ordering::Relaxed))
            } else {
                Fate::Passes
            };
            match fate {
                Fate::Passes => {}
                Fate::IsLate(by) => std::thread::sleep(by), // what is tested is slowness
                Fate::IsCut => {
                    let half = answer.len() / 2;
                    client.write_all(&answer[..half]).ok()?;
                    return None;
                }
                Fate::IsLost => {
                    let mut rest = Vec::new();
                    client.read_to_end(&mut rest).ok()?; // until the reader gives it up
                    return None;
                }
                Fate::IsRefused => refuse(&mut answer, self.kind, version),
            }
            client.write_all(&answer).ok()?;
        }
    }

    /// Names the proxy where the broker names itself.
    fn take_the_brokers_place(&self, answer: &mut [u8]) {
        let (host, port) = self.broker.rsplit_once(':').expect("HOST:PORT");
        let port: u16 = port.parse().expect("a number");
        let with_port = |port: u16| [host.as_bytes(), &i32::from(port).to_be_bytes()].concat();
        let (old, new) = (with_port(port), with_port(self.port));
        let mut at = 0;
        while at + old.len() <= answer.len() {
            if answer[at..].starts_with(&old) {
                answer[at..at + new.len()].copy_from_slice(&new);
            }
            at += 1;
        }
    }
}

/// Reads a frame with its length; none at the end.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// Makes the first partition of an answer say that its leader is elsewhere.
fn refuse(answer: &mut [u8], kind: Kind, version: i16) {
    const NOT_LEADER: [u8; 2] = [0, 6];
    assert_eq!(
        version, 13,
        "its place in the answer is that of this version"
    );
    // Length, number, tags, then of a fetch throttle, error, session; one topic, its id, partitions
    // below 127.
    let head = match kind {
        Kind::Fetch => 4 + 2 + 4,
        Kind::Produce => 0,
    };
    let at = 4 + 4 + 1 + head + 1 + 16 + 1;
    if let Some(error) = answer.get_mut(at + 4..at + 6) {
        error.copy_from_slice(&NOT_LEADER);
    }
}

/// What a bad connection does to every few answers.
pub fn is_bad(nth: u64) -> Fate {
    match nth % 11 {
        2 => Fate::IsLate(Duration::from_millis(300)),
        4 => Fate::IsCut,
        6 => Fate::IsRefused,
        9 => Fate::IsLost,
        _ => Fate::Passes,
    }
}
