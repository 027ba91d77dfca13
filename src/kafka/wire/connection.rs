//! One socket to a broker: whole frames go out and come in, and nothing waits.
//!
//! Frames are read into buffers that are used again once all that borrows from them is gone: a fresh
//! page of memory costs as much as the records that fit on it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use super::bytes::Pieces;
use super::transport::Transport;

/// Which addresses of a host are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// All.
    Any,
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

impl Family {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// Why there is no connection, or none any more.
#[derive(Debug)]
pub enum Cut {
    /// The host's name means nothing.
    NoHost,
    /// Nothing answered in time.
    TimedOut,
    /// The broker has closed it.
    Closed,
    /// A web server answers.
    Web,
    /// It speaks TLS, and was spoken to in the clear.
    Encrypted,
    /// It ends where TLS is to be agreed upon.
    NoTls,
    /// The broker is not trusted, or does not trust this client, for a reason that does not pass.
    Untrusted(String),
    /// A frame of so many bytes is announced, more than are allowed.
    TooLarge(usize),
    /// The system says why.
    Io(io::Error),
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cut::NoHost => f.write_str("no such host"),
            Cut::TimedOut => f.write_str("the connection timed out"),
            Cut::Closed => f.write_str("it closed the connection"),
            Cut::Encrypted => f.write_str(SECURED),
            Cut::NoTls => f.write_str(
                "it closed the connection; perhaps it is not for `-X security.protocol=ssl`",
            ),
            Cut::Untrusted(reason) => f.write_str(reason),
            Cut::Web => f.write_str("a web server answers there, in HTTP"),
            Cut::TooLarge(size) => write!(f, "it announced an answer of {size} bytes"),
            Cut::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                f.write_str("connection refused")
            }
            Cut::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                f.write_str("connection reset by peer")
            }
            Cut::Io(error) => write!(f, "{error}"),
        }
    }
}

/// What is said of a broker that ends the conversation at its first word.
pub const SECURED: &str = "it closed the connection; perhaps it needs `-X security.protocol=ssl`";

/// The port of a broker that is named without one.
const PORT: u16 = 9092;

/// Connects to `HOST:PORT`. Waits, so it belongs on a thread of its own.
///
/// # Errors
/// The reason of the last address of the host.
pub fn connect(address: &str, family: Family, timeout: Duration) -> Result<TcpStream, Cut> {
    let address = address.rsplit("://").next().unwrap_or(address);
    let has_port = match address.rsplit_once(':') {
        Some((host, _)) => !host.contains(':') || host.ends_with(']'),
        None => false,
    };
    let found = if has_port {
        address.to_socket_addrs()
    } else {
        (address, PORT).to_socket_addrs()
    };
    let found = found.map_err(|_| Cut::NoHost)?;
    let deadline = Instant::now() + timeout;
    let mut cut = Cut::NoHost;
    for address in found.filter(|address| family.has(address)) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Cut::TimedOut);
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                let set = stream.set_nonblocking(true);
                let set = set.and_then(|()| stream.set_nodelay(true));
                return set.map(|()| stream).map_err(Cut::Io);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => cut = Cut::TimedOut,
            Err(error) => cut = Cut::Io(error),
        }
    }
    Err(cut)
}

/// Buffers of frames that are gone, for the next ones.
#[derive(Debug, Default)]
pub struct Pool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// As many bytes are kept at most: what is given back to the system comes back as pages to be cleared.
    const MOST: usize = 32 << 20;

    fn frame(self: &Arc<Self>, length: usize) -> Frame {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = buffers.pop().unwrap_or_default();
        drop(buffers);
        if bytes.len() < length {
            bytes = vec![0; length]; // from the system, so its zeros cost nothing until they are used
        }
        Frame {
            bytes,
            length,
            pool: self.clone(),
        }
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = buffers.iter().map(Vec::len).sum();
        if kept + bytes.len() <= Self::MOST {
            buffers.push(bytes);
            // The smallest lies at the end: most answers are small, or as large as the last.
            buffers.sort_by_key(|buffer| std::cmp::Reverse(buffer.len()));
        }
    }
}

/// What a broker has sent, without its length.
#[derive(Debug)]
pub struct Frame {
    /// At least `length`.
    bytes: Vec<u8>,
    length: usize,
    pool: Arc<Pool>,
}

#[cfg(test)]
impl Frame {
    /// Returns one of some bytes, as if they had been sent.
    pub fn of(bytes: Vec<u8>) -> Self {
        Frame {
            length: bytes.len(),
            bytes,
            pool: Arc::default(),
        }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

/// A socket that frames go through.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    /// The largest frame that is taken.
    limit: usize,
    pool: Arc<Pool>,
    /// What is to be sent yet, and how much of the first piece was.
    unsent: VecDeque<Arc<Vec<u8>>>,
    sent: usize,
    /// The length of the next frame, and how much of that has come.
    head: ([u8; 4], usize),
    /// The next frame once its length is known, and how much of it has come.
    frame: Option<(Frame, usize)>,
}

impl Connection {
    /// Takes a socket that does not wait; frames larger than `limit` bytes are refused.
    pub fn new(
        stream: TcpStream,
        tls: Option<ClientConnection>,
        limit: usize,
        pool: &Arc<Pool>,
    ) -> Self {
        Connection {
            transport: Transport::new(stream, tls),
            limit,
            pool: pool.clone(),
            unsent: VecDeque::new(),
            sent: 0,
            head: ([0; 4], 0),
            frame: None,
        }
    }

    /// Returns the socket, to wait for.
    pub fn socket(&self) -> &TcpStream {
        self.transport.socket()
    }

    /// Returns whether something is still to be sent.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.transport.has_unsent()
    }

    /// Returns whether something is sent as soon as the socket takes it.
    pub fn waits_to_send(&self) -> bool {
        let is_next = self.transport.is_open() && !self.unsent.is_empty();
        is_next || self.transport.has_unsent()
    }

    /// Adds bytes to those that are to be sent, and sends what can be.
    ///
    /// # Errors
    /// The connection's end.
    pub fn send(&mut self, pieces: Pieces) -> Result<(), Cut> {
        self.unsent.extend(pieces);
        self.flush()
    }

    /// Sends what can be sent of the rest.
    ///
    /// # Errors
    /// The connection's end.
    pub fn flush(&mut self) -> Result<(), Cut> {
        /// As many pieces go out at once.
        const AT_ONCE: usize = 64;
        while !self.unsent.is_empty() {
            let pieces = self.unsent.iter().take(AT_ONCE).enumerate();
            let slices = pieces.map(|(nth, piece)| {
                IoSlice::new(if nth == 0 { &piece[self.sent..] } else { piece })
            });
            let slices: Vec<IoSlice<'_>> = slices.collect();
            match self.transport.write(&slices)? {
                0 => break,
                sent => self.pass(sent),
            }
        }
        self.transport.flush()
    }

    /// Takes so many bytes for sent.
    fn pass(&mut self, sent: usize) {
        self.sent += sent;
        while let Some(first) = self.unsent.front()
            && first.len() <= self.sent
        {
            self.sent -= first.len();
            self.unsent.pop_front();
        }
    }

    /// Returns the next frame, once all of it has come.
    ///
    /// # Errors
    /// The connection's end.
    pub fn receive(&mut self) -> Result<Option<Frame>, Cut> {
        loop {
            let room = match &mut self.frame {
                None => &mut self.head.0[self.head.1..],
                Some((frame, filled)) => &mut frame.bytes[*filled..frame.length],
            };
            let Some(read) = self.transport.read(room)? else {
                // TLS may have been agreed upon by now.
                if self.has_unsent() {
                    self.flush()?;
                }
                return Ok(None);
            };
            match &mut self.frame {
                None => {
                    self.head.1 += read;
                    if self.head.1 == self.head.0.len() {
                        self.head.1 = 0;
                        self.frame = Some((self.pool.frame(self.length()?), 0));
                    }
                }
                Some((frame, filled)) => {
                    *filled += read;
                    if *filled == frame.length {
                        return Ok(self.frame.take().map(|(frame, _)| frame));
                    }
                }
            }
        }
    }

    /// Returns the length of the frame that follows.
    fn length(&self) -> Result<usize, Cut> {
        /// An answer has the number of its request at least.
        const SMALLEST: usize = 4;
        if &self.head.0 == b"HTTP" {
            return Err(Cut::Web);
        }
        // An alert of TLS 1, in whichever version.
        if self.head.0.starts_with(&[0x15, 3]) {
            return Err(Cut::Encrypted);
        }
        let length = u32::from_be_bytes(self.head.0) as usize;
        if (SMALLEST..=self.limit).contains(&length) {
            Ok(length)
        } else {
            Err(Cut::TooLarge(length))
        }
    }
}
