//! Bytes out: a file or stdout, whole lines at a time, and never deaf to a signal.
//!
//! In: text that ends with a newline. Out: the same bytes, or an error that says which file refused
//! them. A file that is cut short still ends with a whole line.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FlockOperation;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// Opens a file for writing without waiting, which a signal would not end, for the reader of a
/// named pipe: without one it is an error.
fn open_at_once(path: &Path, is_added_to: bool) -> io::Result<File> {
    let mut options = File::options();
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    // To read how a file begins that is added to; of a pipe only its reader may read.
    let is_read = is_added_to && path.metadata().map_or(true, |metadata| metadata.is_file());
    options.read(is_read).create(true).write(true);
    if is_added_to {
        options.append(true)
    } else {
        options.truncate(false)
    };
    let file = options.open(path)?;
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

/// Writes a small file that others read: they see the old text or the new one, also when the
/// process is killed amid. Anything but a regular file is written to instead of replaced: a link,
/// such as /dev/stdout, a pipe, a device; and so is a file in a folder where none may be made.
///
/// # Errors
/// Those of the file system.
pub fn replace(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => return std::fs::write(path, content),
        Ok(metadata) => metadata.permissions().mode(),
        Err(_) => 0o666,
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let made = tempfile::Builder::new()
        .prefix(".k-")
        .permissions(std::fs::Permissions::from_mode(mode & 0o777))
        .tempfile_in(folder);
    let mut file = match made {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return std::fs::write(path, content);
        }
        Err(error) => return Err(error),
    };
    file.write_all(content.as_ref())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file or stdout that lines are written to.
#[derive(Debug)]
pub struct Outlet {
    name: String,
    file: File,
    interrupt: Interrupt,
    written: u64,
    /// Whether it is a file that others may add to, too.
    is_added_to: bool,
    has_begun: bool,
}

impl Outlet {
    /// Creates a file, or empties it; waits for the reader of a named pipe.
    ///
    /// # Errors
    /// `refused` when that is not allowed, `stopped` on a signal.
    pub fn create(path: &Path, interrupt: Interrupt) -> Result<Self> {
        let outlet = Self::open(path, interrupt)?;
        outlet.empty()?;
        Ok(outlet)
    }

    /// Opens a file as [`Outlet::create`] does, and leaves what it holds until it is emptied.
    ///
    /// # Errors
    /// As [`Outlet::create`].
    pub fn open(path: &Path, interrupt: Interrupt) -> Result<Self> {
        Self::open_to(path, false, interrupt)
    }

    /// Opens a file to add lines behind those that it holds. Several processes may: lines are written
    /// whole, each behind all that is there.
    ///
    /// # Errors
    /// As [`Outlet::create`].
    pub(crate) fn append(path: &Path, interrupt: Interrupt) -> Result<Self> {
        Self::open_to(path, true, interrupt)
    }

    fn open_to(path: &Path, is_added_to: bool, interrupt: Interrupt) -> Result<Self> {
        const POLL_INTERVAL: Duration = Duration::from_millis(50);
        let name = format!("`{}`", path.display());
        let nobody_reads = Some(rustix::io::Errno::NXIO.raw_os_error());
        let file = loop {
            match open_at_once(path, is_added_to) {
                Ok(file) => break file,
                Err(error) if error.raw_os_error() == nobody_reads => {
                    interrupt.sleep_until(Instant::now() + POLL_INTERVAL);
                    interrupt.check()?;
                }
                Err(error) => return Err(Error::io(format!("write {name}"), error)),
            }
        };
        Ok(Outlet {
            is_added_to: is_added_to && is_regular(&file),
            name,
            file,
            interrupt,
            written: 0,
            has_begun: false,
        })
    }

    /// Empties a regular file.
    ///
    /// # Errors
    /// `refused` when that is not allowed.
    pub fn empty(&self) -> Result<()> {
        let emptied = if is_regular(&self.file) {
            self.file.set_len(0)
        } else {
            Ok(())
        };
        emptied.map_err(|source| Error::io(format!("write {}", self.name), source))
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
            is_added_to: false,
            has_begun: false,
        })
    }

    /// Returns how many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes the line that everything begins with, if that was not done: none where it is empty. A
    /// file that is added to has it already, unless it is empty.
    ///
    /// # Errors
    /// As [`Outlet::write`]; `refused` for a file that begins with another line.
    pub fn begin(&mut self, head: impl FnOnce() -> Vec<u8>) -> Result<()> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        let head = head();
        match (self.is_added_to, head.is_empty()) {
            (true, _) => {}
            (false, false) => return self.write(&head),
            (false, true) => return Ok(()),
        }
        self.await_lock(); // of several that begin one writes the head
        let begun = self.begin_behind(&head);
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock); // as the end of the process does
        begun
    }

    /// Waits for others that begin, but not for long: one of them may have been stopped.
    fn await_lock(&self) {
        const POLL_INTERVAL: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + Duration::from_secs(1);
        let lock = || rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive);
        while lock() == Err(rustix::io::Errno::WOULDBLOCK) && Instant::now() < deadline {
            self.interrupt.sleep_until(Instant::now() + POLL_INTERVAL);
        }
    }

    /// Adds the head to a file that is empty; ends a line that a process which was killed has left open.
    fn begin_behind(&mut self, head: &[u8]) -> Result<()> {
        let failed = |source| Error::io(format!("read {}", self.name), source);
        let length = self.file.metadata().map_err(failed)?.len();
        if length == 0 {
            return self.write(head);
        }
        let mut first = vec![0; head.len()];
        let mut last = [0];
        let read = self.file.read_exact_at(&mut first, 0);
        self.file
            .read_exact_at(&mut last, length - 1)
            .map_err(failed)?;
        if read.is_err() || first != head {
            let head = String::from_utf8_lossy(head);
            return Err(Error::refused(format!(
                "{} starts with another line than `{}`, so nothing can be appended to it",
                self.name,
                head.trim_end()
            ))
            .hint("name another file, or move this one"));
        }
        match last {
            [b'\n'] => Ok(()),
            _ => self.write(b"\n"),
        }
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// `refused` by a full disk and the like, `ClosedPipe` if the reader has gone, `stopped` on a
    /// signal: before the first byte, or while a reader keeps a pipe full.
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
    /// `ClosedPipe` if the reader has gone.
    pub(crate) fn check_reader(&self) -> Result<()> {
        let mut wanted = [PollFd::new(&self.file, PollFlags::empty())];
        let at_once = Timespec::default();
        match rustix::event::poll(&mut wanted, Some(&at_once)) {
            Ok(1..)
                if wanted[0]
                    .revents()
                    .intersects(PollFlags::ERR | PollFlags::HUP) =>
            {
                Err(Error::io(
                    format!("write {}", self.name),
                    io::ErrorKind::BrokenPipe.into(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Writes what fits. Waits with `poll` and not in `write`, which a signal would not end;
    /// a `write` that has begun to fill a pipe does return early on a signal.
    fn write_some(&self, rest: &mut &[u8]) -> Result<()> {
        const POLL_INTERVAL: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        let mut wanted = [PollFd::new(&self.file, PollFlags::OUT)];
        match rustix::event::poll(&mut wanted, Some(&POLL_INTERVAL)) {
            Ok(1..) => match (&self.file).write(rest) {
                Ok(written) => *rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(format!("write {}", self.name), error)),
            },
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::io(format!("write {}", self.name), errno.into())),
        }
        if rest.is_empty() {
            Ok(())
        } else {
            self.interrupt.check()
        }
    }

    /// Takes the beginning of a line off a regular file again after a failed write.
    fn cut_to_whole_lines(&mut self, partly: &[u8]) {
        let whole = memchr::memrchr(b'\n', partly).map_or(0, |at| at + 1) as u64;
        self.written += whole;
        if is_regular(&self.file) && whole < partly.len() as u64 {
            let length = self.file.metadata().map_or(0, |metadata| metadata.len());
            let surplus = partly.len() as u64 - whole;
            // Unless others have added something behind it.
            if (&self.file).stream_position().is_ok_and(|at| at == length) {
                let _ = self.file.set_len(length.saturating_sub(surplus)); // the error at hand counts
            }
        }
    }
}

fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_what_a_link_leads_to_is_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let read = |name: &str| std::fs::read_to_string(at(name)).expect("a file");
        let mut before = File::create_new(at("file")).expect("a file");
        replace(&at("file"), "new").expect("written");
        before
            .write_all(b"who has the old one keeps it")
            .expect("written");
        assert_eq!(read("file"), "new");
        // As /dev/stdout is one, to what need not have a name.
        for target in ["file", "none", "/dev/null"] {
            std::os::unix::fs::symlink(target, at("link")).expect("a link");
            replace(&at("link"), "more").expect("written");
            assert!(at("link").is_symlink(), "{target}");
            std::fs::remove_file(at("link")).expect("removed");
        }
        assert_eq!(
            (read("file"), read("none")),
            ("more".to_owned(), "more".to_owned())
        );
        let names = std::fs::read_dir(folder.path()).expect("a folder");
        assert_eq!(names.count(), 2);
    }
}
