//! The bytes of a connection, in the clear or by TLS. Nothing waits.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

use rustls::ClientConnection;

use super::connection::Cut;
use super::tls;

/// A socket, and what encrypts it.
#[derive(Debug)]
pub struct Transport {
    stream: TcpStream,
    secured: Option<Box<Secured>>,
}

#[derive(Debug)]
struct Secured {
    tls: ClientConnection,
    /// What came from the socket and was not decrypted yet lies in a part of it.
    raw: Box<[u8]>,
    start: usize,
    end: usize,
}

/// As many encrypted bytes are taken from the socket at once: four times what TLS encrypts at once.
const RAW_BYTES: usize = 64 << 10;

impl Transport {
    /// Returns one that encrypts where TLS is given.
    pub fn new(stream: TcpStream, tls: Option<ClientConnection>) -> Self {
        let secured = tls.map(|tls| {
            Box::new(Secured {
                tls,
                raw: vec![0; RAW_BYTES].into(),
                start: 0,
                end: 0,
            })
        });
        Transport { stream, secured }
    }

    /// Returns the socket, to wait for.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns whether something lies here that is not sent.
    pub fn has_unsent(&self) -> bool {
        let secured = self.secured.as_ref();
        secured.is_some_and(|secured| secured.tls.wants_write())
    }

    /// Returns whether new bytes can be sent once the socket takes any: not while TLS is agreed upon.
    pub fn is_open(&self) -> bool {
        let secured = self.secured.as_ref();
        secured.is_none_or(|secured| !secured.tls.is_handshaking())
    }

    /// Reads what has come; none where nothing has.
    ///
    /// # Errors
    /// The connection's end.
    pub fn read(&mut self, room: &mut [u8]) -> Result<Option<usize>, Cut> {
        match &mut self.secured {
            Some(secured) => secured.read(&mut self.stream, room),
            None => match ready(|| self.stream.read(room))? {
                Some(0) => Err(Cut::Closed),
                read => Ok(read),
            },
        }
    }

    /// Takes bytes to be sent, as many as it can now; returns how many.
    ///
    /// # Errors
    /// The connection's end.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Cut> {
        match &mut self.secured {
            Some(secured) => secured.write(&mut self.stream, slices),
            None => match ready(|| self.stream.write_vectored(slices))? {
                Some(0) => Err(Cut::Closed),
                sent => Ok(sent.unwrap_or(0)),
            },
        }
    }

    /// Sends what lies here, as far as the socket takes it.
    ///
    /// # Errors
    /// The connection's end.
    pub fn flush(&mut self) -> Result<(), Cut> {
        match &mut self.secured {
            Some(secured) => secured.flush(&mut self.stream),
            None => Ok(()),
        }
    }
}

/// Does what a socket may not be ready for; none where it is not.
fn ready(mut act: impl FnMut() -> io::Result<usize>) -> Result<Option<usize>, Cut> {
    loop {
        match act() {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Cut::Io(error)),
        }
    }
}

impl Secured {
    fn read(&mut self, stream: &mut TcpStream, room: &mut [u8]) -> Result<Option<usize>, Cut> {
        loop {
            match self.tls.reader().read(room) {
                Ok(0) => return Err(Cut::Closed),
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Cut::Io(error)),
            }
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
                match ready(|| stream.read(&mut self.raw))? {
                    None => return Ok(None),
                    Some(0) if self.tls.is_handshaking() => return Err(Cut::NoTls),
                    Some(0) => return Err(Cut::Closed),
                    Some(read) => self.end = read,
                }
            }
            self.decrypt(stream)?;
        }
    }

    /// Decrypts some of what came from the socket, and answers what belongs to TLS itself.
    fn decrypt(&mut self, stream: &mut TcpStream) -> Result<(), Cut> {
        let mut raw = &self.raw[self.start..self.end];
        self.start += self.tls.read_tls(&mut raw).map_err(Cut::Io)?;
        match self.tls.process_new_packets() {
            Ok(_) => self.flush(stream),
            Err(error) => {
                // The broker is told why, if it still listens.
                let _ = self.flush(stream);
                Err(tls::refused(&error))
            }
        }
    }

    fn write(&mut self, stream: &mut TcpStream, slices: &[IoSlice<'_>]) -> Result<usize, Cut> {
        self.flush(stream)?;
        if self.tls.is_handshaking() || self.tls.wants_write() {
            return Ok(0);
        }
        let taken = self.tls.writer().write_vectored(slices);
        let taken = taken.map_err(Cut::Io)?;
        self.flush(stream)?;
        Ok(taken)
    }

    fn flush(&mut self, stream: &mut TcpStream) -> Result<(), Cut> {
        while self.tls.wants_write() {
            match ready(|| self.tls.write_tls(stream))? {
                None => break,
                Some(0) => return Err(Cut::Closed),
                Some(_) => {}
            }
        }
        Ok(())
    }
}
