//! Bytes out: a file or stdout, whole lines at a time, and never deaf to a signal.
//!
//! Comes in: text that ends with a newline. Goes out: the same bytes, or an error that says
//! which file refused them. A file that is cut short still ends with a whole line.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// Opens a file for writing without waiting, which a signal would not end, for the reader of a
/// named pipe: without one it is an error.
fn create_at_once(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.write(true).create(true).truncate(true).open(path)?;
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

/// A file or stdout that lines are written to.
#[derive(Debug)]
pub struct Outlet {
    name: String,
    file: File,
    interrupt: Interrupt,
    written: u64,
}

impl Outlet {
    /// Creates a file, or empties it; waits for the reader of a named pipe.
    ///
    /// # Errors
    /// `refused` when that is not allowed, `stopped` on a signal.
    pub fn create(path: &Path, interrupt: Interrupt) -> Result<Self> {
        const LOOK: Duration = Duration::from_millis(50);
        let name = format!("`{}`", path.display());
        let nobody_reads = Some(rustix::io::Errno::NXIO.raw_os_error());
        let file = loop {
            match create_at_once(path) {
                Ok(file) => break file,
                Err(error) if error.raw_os_error() == nobody_reads => {
                    interrupt.sleep_until(Instant::now() + LOOK);
                    interrupt.check()?;
                }
                Err(error) => return Err(Error::io(format!("write {name}"), error)),
            }
        };
        Ok(Outlet {
            name,
            file,
            interrupt,
            written: 0,
        })
    }

    /// Takes stdout, without the search for newlines that the standard library's handle does.
    ///
    /// # Errors
    /// `refused` when the process has no stdout.
    pub fn stdout(interrupt: Interrupt) -> Result<Self> {
        let name = "stdout".to_owned();
        let owned = io::stdout().as_fd().try_clone_to_owned();
        let file = owned
            .map_err(|source| Error::io("write stdout", source))?
            .into();
        Ok(Outlet {
            name,
            file,
            interrupt,
            written: 0,
        })
    }

    /// Returns how many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// `refused` by a full disk and the like, `ClosedPipe` when nobody reads any more,
    /// `stopped` on a signal: before the first byte, or while a reader keeps a pipe full.
    pub fn write(&mut self, lines: &[u8]) -> Result<()> {
        self.interrupt.check()?;
        let mut rest = lines;
        while !rest.is_empty() {
            if let Err(error) = self.write_some(&mut rest) {
                self.cut_to_whole_lines(&lines[..lines.len() - rest.len()]);
                return Err(error);
            }
        }
        self.written += lines.len() as u64;
        Ok(())
    }

    /// Looks whether anybody still reads, for times when there is nothing to write.
    ///
    /// # Errors
    /// `ClosedPipe` when nobody does.
    pub fn check_reader(&self) -> Result<()> {
        let mut wanted = [PollFd::new(&self.file, PollFlags::empty())];
        let at_once = Timespec::default();
        match rustix::event::poll(&mut wanted, Some(&at_once)) {
            Ok(1..) if wanted[0].revents().contains(PollFlags::ERR) => Err(Error::io(
                format!("write {}", self.name),
                io::ErrorKind::BrokenPipe.into(),
            )),
            _ => Ok(()),
        }
    }

    /// Writes what fits. Waits with `poll` and not in `write`, which a signal would not end;
    /// a `write` that has begun to fill a pipe does return early on a signal.
    fn write_some(&self, rest: &mut &[u8]) -> Result<()> {
        const LOOK: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        let mut wanted = [PollFd::new(&self.file, PollFlags::OUT)];
        match rustix::event::poll(&mut wanted, Some(&LOOK)) {
            Ok(1..) => match (&self.file).write(rest) {
                Ok(written) => *rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(format!("write {}", self.name), error)),
            },
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::io(format!("write {}", self.name), errno.into())),
        }
        match rest.is_empty() {
            true => Ok(()),
            false => self.interrupt.check(),
        }
    }

    /// Takes the beginning of a line off a regular file again after a failed write.
    fn cut_to_whole_lines(&mut self, partly: &[u8]) {
        let whole = memchr::memrchr(b'\n', partly).map_or(0, |at| at + 1) as u64;
        self.written += whole;
        let regular = self
            .file
            .metadata()
            .is_ok_and(|metadata| metadata.is_file());
        if regular && whole < partly.len() as u64 {
            let length = self.file.metadata().map_or(0, |metadata| metadata.len());
            let surplus = partly.len() as u64 - whole;
            self.file
                .set_len(length.saturating_sub(surplus))
                .unwrap_or(()); // the error at hand counts
        }
    }
}
