//! Sockets to brokers: what a [`Machine`] wants goes out to them, and what they answer comes back to
//! it. All waiting for the network is here.
//!
//! A name is looked up, and a connection made, on another thread each: neither can be waited for
//! together with sockets.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::Health;
use super::super::wire::connection::{Connection, Cut, Family, Frame, Pool, connect};
use super::super::wire::tls;
use super::cluster::{Action, Cluster, Lasting, Useless};
use crate::error::{Error, Result};
use crate::term::report::Report;

/// What is stepped by what comes from sockets.
pub trait Machine {
    /// What it asks.
    type Question;

    /// Returns what it knows of the brokers.
    fn cluster(&mut self) -> &mut Cluster<Self::Question>;

    /// Does what is due.
    fn tick(&mut self, now: Instant);

    /// Takes an answer of a broker.
    ///
    /// # Errors
    /// Why its connection is of no use; it is to be closed, and [`Cluster::lost`].
    fn answered(&mut self, node: usize, frame: Frame, now: Instant) -> Result<(), Useless>;
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
    /// How they are encrypted, if they are.
    pub tls: Option<tls::Config>,
    /// Told of trouble.
    pub health: Arc<Health>,
    /// Told what is done, for `-v`.
    pub report: Report,
}

/// Wakes a thread that waits for its sockets.
#[derive(Debug)]
pub struct Bell(PipeWriter);

impl Bell {
    /// Returns one, and what hears it.
    ///
    /// # Errors
    /// `refused` where the system gives no pipe.
    pub fn new() -> Result<(Self, PipeReader)> {
        let made = std::io::pipe().map_err(|source| Error::io("make a pipe to a thread", source));
        made.map(|(ear, bell)| (Bell(bell), ear))
    }

    /// Rings.
    pub fn ring(&self) {
        // Where nobody listens any more there is no one to wake.
        let _ = (&self.0).write(&[0]);
    }

    fn try_clone(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Bell)
    }
}

/// A connection that was made or not, of the `nth` attempt for its broker.
type Made = (usize, u64, Result<TcpStream, Cut>);

/// See the module.
pub struct Sockets {
    wiring: Wiring,
    bell: Bell,
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

impl Sockets {
    /// Returns none yet; `ear` hears the bell.
    ///
    /// # Errors
    /// `refused` where the system gives no more of the bell.
    pub fn new(wiring: Wiring, bell: &Bell, ear: PipeReader) -> Result<Self> {
        let bell = bell.try_clone();
        Ok(Sockets {
            wiring,
            bell: bell.map_err(|source| Error::io("make a pipe to a thread", source))?,
            ear,
            pool: Arc::default(),
            links: Vec::new(),
            made: mpsc::channel(),
            is_cut_off: false,
        })
    }

    /// Does what a machine wants.
    ///
    /// # Errors
    /// Why nothing can go on.
    pub fn act(&mut self, machine: &mut impl Machine) -> Result<(), String> {
        while let Some(action) = machine.cluster().action() {
            match action {
                Action::Connect(node) => self.connect(node, machine.cluster().address(node))?,
                Action::Close(node, silent_for) => {
                    self.link(node).connection = None;
                    if silent_for.is_some() {
                        self.note_trouble(machine, node, &"no answer".into());
                    }
                }
                Action::Send(node, pieces) => {
                    let connection = self.link(node).connection.as_mut();
                    if let Some(Err(cut)) = connection.map(|connection| connection.send(pieces)) {
                        self.lose(machine, node, cut.into());
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

    fn connect(&mut self, node: usize, address: &str) -> Result<(), String> {
        let link = self.link(node);
        link.attempt += 1;
        let (attempt, made) = (link.attempt, self.made.0.clone());
        let bell = self.bell.try_clone();
        let bell = bell.map_err(|error| format!("no pipe to a thread: {error}"))?;
        let address = address.to_owned();
        let Wiring {
            family, timeout, ..
        } = self.wiring;
        std::thread::spawn(move || {
            let connected = connect(&address, family, timeout);
            let _ = made.send((node, attempt, connected)); // nobody may wait any more
            bell.ring();
        });
        Ok(())
    }

    /// Returns whether something is still to be sent.
    pub fn has_unsent(&self) -> bool {
        let mut connections = self
            .links
            .iter()
            .filter_map(|link| link.connection.as_ref());
        connections.any(Connection::has_unsent)
    }

    /// Waits until a socket has something, the bell rings, or so much time has passed.
    ///
    /// # Errors
    /// Why nothing can go on.
    pub fn wait(&mut self, left: Duration) -> Result<(), String> {
        let mut wanted = vec![PollFd::new(&self.ear, PollFlags::IN)];
        for connection in self
            .links
            .iter()
            .filter_map(|link| link.connection.as_ref())
        {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, connection.waits_to_send());
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
        if has_rung {
            // As often as it rang; what it rang for is looked at anyway.
            let _ = self.ear.read(&mut [0; 64]);
        }
        Ok(())
    }

    /// Takes what has come from all brokers, and sends what could not be sent; whether anything has.
    pub fn receive(&mut self, machine: &mut impl Machine) -> bool {
        self.take_made(machine);
        let mut is_any = false;
        for node in 0..self.links.len() {
            match self.receive_from(machine, node) {
                Ok(has_come) => is_any |= has_come,
                Err(useless) => self.lose(machine, node, useless),
            }
        }
        if is_any {
            self.note_health(machine);
        }
        is_any
    }

    fn take_made(&mut self, machine: &mut impl Machine) {
        while let Ok((node, attempt, made)) = self.made.1.try_recv() {
            let (limit, pool) = (self.wiring.limit, self.pool.clone());
            let tls = self.wiring.tls.clone();
            let link = self.link(node);
            if link.attempt != attempt {
                continue;
            }
            let address = machine.cluster().address(node);
            let made = made.and_then(|stream| {
                let tls = tls.map(|tls| tls.connect(address)).transpose()?;
                Ok(Connection::new(stream, tls, limit, &pool))
            });
            match made {
                Ok(connection) => {
                    link.connection = Some(connection);
                    machine.cluster().connected(node, Instant::now());
                }
                Err(cut) => self.lose(machine, node, cut.into()),
            }
        }
    }

    /// Takes what has come from a broker; whether anything has.
    fn receive_from(&mut self, machine: &mut impl Machine, node: usize) -> Result<bool, Useless> {
        let Some(connection) = &mut self.links[node].connection else {
            return Ok(false);
        };
        let mut is_any = false;
        connection.flush()?;
        while let Some(frame) = connection.receive()? {
            machine.answered(node, frame, Instant::now())?;
            is_any = true;
        }
        Ok(is_any)
    }

    fn lose(&mut self, machine: &mut impl Machine, node: usize, mut useless: Useless) {
        self.link(node).connection = None;
        if useless.reason == Cut::Closed.to_string()
            && let Some(reason) = machine.cluster().why_closed(node)
        {
            useless.reason = reason.to_owned();
        }
        machine.cluster().lost(node, Instant::now());
        self.note_trouble(machine, node, &useless);
    }

    fn note_trouble(&mut self, machine: &mut impl Machine, node: usize, useless: &Useless) {
        let address = machine.cluster().address(node);
        let reason = &useless.reason;
        let said = format!("{address}: {reason}");
        if self.wiring.health.is_news(&said) {
            self.wiring.report.detail(format!("kafka: {said}"));
        }
        match useless.lasting {
            Some(Lasting::Untrusted) => self.wiring.health.note_untrusted(reason),
            Some(Lasting::Login) => self.wiring.health.note_refused(reason),
            None => {}
        }
        self.wiring.health.note_lost(address, reason);
        // Said each time: a probe that was answered may have had it forgotten before any connection
        // of these came back.
        if machine.cluster().is_cut_off() {
            self.wiring.health.note_all_lost();
        }
        self.note_health(machine);
    }

    /// Has the trouble forgotten once a broker can be reached again.
    fn note_health(&mut self, machine: &mut impl Machine) {
        let is_cut_off = machine.cluster().is_cut_off();
        if !is_cut_off && self.is_cut_off {
            self.wiring.health.forget();
        }
        self.is_cut_off = is_cut_off;
    }
}

#[cfg(test)]
mod tests {
    use super::super::cluster::Options;
    use super::*;
    use crate::term::report::{ColorChoice, Verbosity};

    /// Asks nothing.
    struct Quiet(Cluster<()>);

    impl Machine for Quiet {
        type Question = ();

        fn cluster(&mut self) -> &mut Cluster<()> {
            &mut self.0
        }

        fn tick(&mut self, now: Instant) {
            self.0.tick(now);
        }

        fn answered(&mut self, _: usize, _: Frame, _: Instant) -> Result<(), Useless> {
            Ok(())
        }
    }

    #[test]
    fn brokers_that_are_lost_again_before_they_were_reached_are_noted_again() {
        let health = Arc::new(Health::default());
        let wiring = Wiring {
            family: Family::Any,
            timeout: Duration::from_secs(1),
            limit: 1_000,
            tls: None,
            health: health.clone(),
            report: Report::new(Verbosity::Quiet, ColorChoice::Never),
        };
        let (bell, ear) = Bell::new().unwrap();
        let mut sockets = Sockets::new(wiring, &bell, ear).unwrap();
        let options = Options {
            client: "k".to_owned(),
            patience: Duration::from_secs(1),
            metadata_age: Duration::from_secs(1),
            login: None,
        };
        let brokers = ["a:1".to_owned()];
        let mut machine = Quiet(Cluster::new(options, &brokers, Instant::now()));
        sockets.lose(&mut machine, 0, "connection refused".into());
        assert!(health.all_down());
        health.forget(); // another client was answered
        sockets.lose(&mut machine, 0, "connection refused".into());
        assert!(health.all_down());
    }
}
