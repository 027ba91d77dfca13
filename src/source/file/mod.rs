//! Files and pipes: whole records, a chunk at a time.
//!
//! In: a path or stdin. Out: [`Lines`] of at most about [`CHUNK`] bytes that end with a record's
//! end. A pipe hands over what is there, so that a slow writer is followed at once. Files are read,
//! not mapped: a mapped file that is truncated while it is read would kill the process.

mod framing;
mod peek;
mod several;
mod unended;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::read_ahead::{Ahead, CHUNK};
use super::reshape::{Open, Reshape};
use super::series::{Section, Series};
use super::unpack::{MAGIC_BYTES, packing};
use super::{Batch, Lines, Polled, Records, SAMPLE, Source};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::term::units::format_plural;

pub use framing::Framing;

use framing::Whole;

/// The longest record that is taken for one.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// How long a pipe may be silent before the types are inferred from what has come.
const SAMPLE_SILENCE: Duration = Duration::from_millis(500);

/// How often it is looked whether a file has grown.
const GROWTH_POLL: Duration = Duration::from_millis(50);

/// Where bytes come from.
#[derive(Debug)]
enum Input {
    /// A file with an end that is not packed.
    Regular(File),
    /// A pipe, a terminal, or a file that is packed.
    Ahead(Ahead),
}

/// A file or a pipe that records are read from; one partition.
#[derive(Debug)]
pub struct FileSource {
    name: String,
    /// Whether it is a file with an end, packed or not.
    is_regular: bool,
    input: Input,
    framing: Framing,
    /// What gives each value of JSON a line of its own, where they have none.
    reshape: Option<Reshape>,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that were read.
    filled: usize,
    /// The records at the front of `buffer` that the last batch handed over.
    handed: Whole,
    /// The number of the next record's first line in this file.
    line: u64,
    /// How many records of this file were handed over before.
    records: u64,
    ended: bool,
    /// Whether a file goes on growing: its end is not the end of the input.
    grows: bool,
    /// What has ended it before its end; told once all whole records are handed over.
    failed: Option<io::Error>,
    /// What comes behind this file.
    series: Option<Box<Series>>,
    /// Which of several files this is.
    section: Option<Section>,
    /// Whether this is one of several files of which nothing was read yet.
    fresh: bool,
}

impl FileSource {
    /// Opens a file.
    ///
    /// # Errors
    /// `refused` when it is not there, is a folder or may not be read.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let input =
            open_at_once(path).map_err(|source| Error::io(format!("read `{name}`"), source))?;
        if input.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Error::refused(format!(
                "cannot read `{name}`: it is a folder"
            )));
        }
        Self::new(name, input)
    }

    /// Takes stdin.
    ///
    /// # Errors
    /// `refused` when the process has no stdin.
    pub fn stdin() -> Result<Self> {
        let owned: io::Result<OwnedFd> = io::stdin().as_fd().try_clone_to_owned();
        let input = owned.map_err(|source| Error::io("read stdin", source))?;
        Self::new("stdin".to_owned(), File::from(input))
    }

    fn new(name: String, input: File) -> Result<Self> {
        let is_regular = input.metadata().is_ok_and(|metadata| metadata.is_file());
        let mut first = [0; MAGIC_BYTES];
        let is_packed = |first: &[u8]| packing(first).is_some();
        let input = match is_regular {
            // What was redirected may have been read in part.
            true if !input
                .read_at(&mut first, (&input).stream_position().unwrap_or(0))
                .is_ok_and(|length| is_packed(&first[..length])) =>
            {
                Input::Regular(input)
            }
            _ => Input::Ahead(
                Ahead::begin(input).map_err(|source| Error::io("start a thread", source))?,
            ),
        };
        Ok(FileSource {
            name,
            is_regular,
            input,
            framing: Framing::Lines,
            reshape: None,
            buffer: vec![0; CHUNK],
            filled: 0,
            handed: Whole::default(),
            line: 1,
            records: 0,
            ended: false,
            grows: false,
            failed: None,
            series: None,
            section: None,
            fresh: false,
        })
    }

    /// Waits at the end of the file for what is written to it from then on, as for a pipe.
    pub fn follow(&mut self) {
        self.grows = matches!(self.input, Input::Regular(_));
    }

    /// Returns how many bytes it has, if it is a file that is not packed.
    pub fn size(&self) -> Option<u64> {
        match &self.input {
            Input::Regular(file) => file.metadata().ok().map(|metadata| metadata.len()),
            Input::Ahead(_) => None,
        }
    }

    /// Says what ends a record; a newline until it is set.
    pub fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// Reads about `bytes` ahead, or what comes within `timeout`; returns the whole records at the
    /// front of the buffer. Those of a file are available before the next one is begun.
    fn fill(&mut self, bytes: usize, timeout: Duration) -> Result<Whole> {
        loop {
            let whole = self.fill_from_file(bytes, timeout)?;
            if whole.length > 0 && self.fresh {
                self.begin_records()?;
            } else if whole.length > 0 || !self.ended || !self.begin_next()? {
                return Ok(whole);
            }
        }
    }

    /// As [`fill`](Self::fill), from the file that is being read.
    fn fill_from_file(&mut self, bytes: usize, timeout: Duration) -> Result<Whole> {
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
        // Looking for the end of the last record takes time: once, if one read brings enough.
        let (mut whole, mut looked_at, mut wait) = (Whole::default(), 0, timeout);
        loop {
            if looked_at < self.filled && (whole.length == 0 || self.filled >= bytes || self.ended)
            {
                whole = self.whole_records();
                looked_at = self.filled;
            }
            let is_over = self.ended || self.failed.is_some();
            if is_over || (whole.length > 0 && self.filled >= bytes) {
                break;
            }
            self.make_room()?;
            // The first read may wait; then only what is there already is taken.
            if !self.is_ready(wait) {
                break;
            }
            wait = Duration::ZERO;
            self.read()?;
        }
        if looked_at < self.filled {
            whole = self.whole_records();
        }
        if whole.length == 0
            && let Some(error) = self.failed.take()
        {
            return Err(self.unreadable(error));
        }
        if self.ended && whole.length == self.filled {
            match self.open_json() {
                Some(open) if whole.length == 0 => return Err(self.without_end(open)),
                _ => {}
            }
        } else if self.ended {
            match (self.open_quote(), self.open_json()) {
                (Some(opened), _) if whole.length == 0 => return Err(self.not_closed(opened)),
                (_, Some(open @ Open::Value(_))) if whole.length == 0 => {
                    return Err(self.without_end(open));
                }
                (Some(_), _) | (_, Some(Open::Value(_))) => {} // first the records before it
                _ => {
                    self.end_last_record();
                    whole = Whole::surveyed(&self.buffer, self.filled);
                }
            }
        }
        Ok(whole)
    }

    /// Takes about `bytes` of whole records into `chunk` and returns them, or `None` at the end.
    /// For readers that share the source.
    ///
    /// # Errors
    /// As [`Source::poll`].
    pub fn take_chunk<'c>(
        &mut self,
        bytes: usize,
        chunk: &'c mut Vec<u8>,
    ) -> Result<Option<Lines<'c>>> {
        // The room of a reader stays near its processor; only what is left over changes hands.
        if chunk.len() < self.filled.max(bytes) {
            chunk.resize(self.filled.max(bytes), 0);
        }
        chunk[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
        std::mem::swap(&mut self.buffer, chunk);
        // After an error what was read stays here, with its room.
        let whole = self.fill(bytes, SAMPLE_SILENCE)?;
        let Whole { length, survey, .. } = whole;
        std::mem::swap(&mut self.buffer, chunk);
        let rest = self.filled - length;
        if self.buffer.len() < rest {
            self.buffer.resize(rest, 0);
        }
        self.buffer[..rest].copy_from_slice(&chunk[length..self.filled]);
        self.filled = rest;
        let lines = Lines {
            bytes: &chunk[..length],
            first_line: self.first_line(),
            survey,
            section: self.section,
        };
        self.pass(whole);
        Ok((length > 0 || !self.ended).then_some(lines))
    }

    /// Counts records that were handed over.
    /// Returns the whole records at the front of the buffer.
    fn whole_records(&self) -> Whole {
        Whole::of(&self.buffer[..self.filled], self.framing)
    }

    fn pass(&mut self, whole: Whole) {
        self.line += whole.survey.newlines as u64;
        self.records += whole.records as u64;
    }

    /// Returns the number of the next line, counted on from the files before.
    fn first_line(&self) -> u64 {
        self.section.map_or(0, |section| section.before) + self.line
    }

    /// Gives the last record of an input that has ended the newline that it may lack.
    fn end_last_record(&mut self) {
        let ended = self.ended && !matches!(self.open_json(), Some(Open::Value(_)));
        if ended && self.filled > 0 && self.buffer[self.filled - 1] != b'\n' {
            self.buffer.truncate(self.filled);
            self.buffer.push(b'\n');
            self.filled += 1;
        }
    }

    fn wait_and_read(&mut self, interrupt: &Interrupt) -> Result<()> {
        while !self.is_ready(Duration::from_millis(50)) {
            interrupt.check()?;
        }
        interrupt.check()?;
        self.read()?;
        match self.failed.take() {
            Some(error) => Err(self.unreadable(error)),
            None => Ok(()),
        }
    }

    /// Returns whether a read would not wait. Waiting here, and not in the read, lets a signal be
    /// seen.
    fn is_ready(&mut self, timeout: Duration) -> bool {
        match &mut self.input {
            Input::Regular(file) if self.grows => has_more(file, timeout),
            Input::Regular(_) => true,
            Input::Ahead(ahead) => ahead.is_ready(timeout),
        }
    }

    /// Reads once into the free part of the buffer; 0 at the end, and where it fails behind other
    /// bytes.
    fn read(&mut self) -> Result<usize> {
        let room = &mut self.buffer[self.filled..];
        let read = loop {
            let read = match &mut self.input {
                Input::Regular(file) if self.grows => read_on(file, room),
                Input::Regular(file) => file.read(room),
                Input::Ahead(ahead) => ahead.read(room),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = match read {
            Ok(read) => read,
            Err(error) if self.filled > 0 => {
                self.failed = Some(error);
                return Ok(0);
            }
            Err(error) => return Err(self.unreadable(error)),
        };
        if let Some(reshape) = &mut self.reshape {
            reshape.apply(&mut self.buffer[self.filled..self.filled + read]);
        }
        self.filled += read;
        self.ended |= read == 0 && !self.grows;
        Ok(read)
    }

    fn unreadable(&self, source: io::Error) -> Error {
        let name = &self.name;
        let error = match source.kind() {
            io::ErrorKind::UnexpectedEof => Error::refused(format!(
                "`{name}` is cut off: its compressed data is incomplete"
            ))
            .caused_by(source),
            _ => Error::io(format!("read `{name}`"), source),
        };
        error.during(format!(
            "reading `{name}`, after {}, at line {}",
            format_plural(self.records, "record"),
            self.line
        ))
    }

    /// Drops `bytes` from the front.
    fn consume(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Makes sure that a read has room.
    fn make_room(&mut self) -> Result<()> {
        if self.filled < self.buffer.len() {
            return Ok(());
        }
        if self.filled >= MAX_RECORD_BYTES {
            if let Some(opened) = self.open_quote() {
                return Err(self.not_closed(opened));
            }
            if let Some(open @ Open::Value(_)) = self.open_json() {
                return Err(self.without_end(open));
            }
            return Err(Error::data(format!(
                "{}, line {}: the record is longer than {} MiB",
                self.name,
                self.line,
                MAX_RECORD_BYTES >> 20
            )));
        }
        self.buffer.resize(2 * self.buffer.len(), 0);
        Ok(())
    }
}

/// Reads from a growing file. One that has become shorter was written again: what comes now is not what
/// follows.
fn read_on(file: &mut File, room: &mut [u8]) -> io::Result<usize> {
    if file.metadata()?.len() < file.stream_position()? {
        return Err(io::Error::other("it has become shorter while it was read"));
    }
    file.read(room)
}

/// Returns whether a growing file has more than was read of it, or less, which the read will say; waits at
/// most `timeout` for that.
fn has_more(file: &mut File, timeout: Duration) -> bool {
    let has_more = |file: &mut File| {
        let read = file.stream_position();
        let length = file.metadata().map(|metadata| metadata.len());
        !matches!((read, length), (Ok(read), Ok(length)) if read == length)
    };
    if has_more(file) {
        return true;
    }
    if timeout.is_zero() {
        return false;
    }
    // The system tells nobody that a file has grown.
    std::thread::sleep(timeout.min(GROWTH_POLL));
    has_more(file)
}

/// Opens a file for reading without waiting for the writer of a named pipe: reads are waited for
/// with `poll`, which a signal ends.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.read(true).open(path)?;
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

impl Source for FileSource {
    fn partitions(&self) -> usize {
        1
    }

    fn sample(&mut self, interrupt: &Interrupt) -> Result<Option<Records<'_>>> {
        self.gather(SAMPLE, interrupt)?;
        self.end_last_record();
        let whole = if self.ended {
            self.filled
        } else {
            self.whole_records().length
        };
        let lines = Lines::new(&self.buffer[..whole], self.line);
        Ok((whole > 0).then_some(Records::Lines(lines)))
    }

    fn poll(&mut self, timeout: Duration) -> Result<Polled<'_>> {
        let handed = std::mem::take(&mut self.handed);
        self.pass(handed);
        self.consume(handed.length);
        self.handed = self.fill(CHUNK, timeout)?;
        let Whole { length, survey, .. } = self.handed;
        if length > 0 {
            let lines = Lines {
                bytes: &self.buffer[..length],
                first_line: self.first_line(),
                survey,
                section: self.section,
            };
            return Ok(Polled::Batch(Batch {
                partition: 0,
                records: Records::Lines(lines),
            }));
        }
        Ok(if self.ended {
            Polled::End
        } else {
            Polled::Pending
        })
    }

    fn at_end(&self, _partition: usize) -> bool {
        self.ended && self.series.as_ref().is_none_or(|series| series.is_empty())
    }

    fn as_file(&mut self) -> Option<&mut FileSource> {
        self.is_regular.then_some(self)
    }

    fn name(&self) -> String {
        let series = self.series.as_ref();
        series.map_or_else(|| self.name.clone(), |series| series.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::framing::QuotedRecords;
    use super::*;
    use std::io::Write;

    fn batches(text: &str, framing: Framing) -> Vec<(u64, String)> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let mut source = FileSource::open(file.path()).expect("opened");
        source.set_framing(framing);
        let mut batches = Vec::new();
        loop {
            match source.poll(Duration::ZERO).expect("read") {
                Polled::Batch(batch) => {
                    let Records::Lines(lines) = batch.records else {
                        panic!("a file has lines");
                    };
                    let text = String::from_utf8_lossy(lines.bytes).into_owned();
                    batches.push((lines.first_line, text));
                }
                Polled::Pending => {}
                Polled::End => return batches,
            }
        }
    }

    #[test]
    fn every_byte_is_handed_over_once_in_whole_lines() {
        let text: String = (0..60_000_u64)
            .map(|n| format!("{n},{}\n", n * n))
            .collect();
        let batches = batches(&text, Framing::Lines);
        assert!(batches.len() > 2);
        assert!(batches.iter().all(|(_, bytes)| bytes.ends_with('\n')));
        let joined: String = batches.iter().map(|(_, bytes)| bytes.as_str()).collect();
        assert_eq!(joined, text);
        let (last_line, last) = batches.last().expect("some");
        assert_eq!(*last_line as usize + last.lines().count(), 60_001);
    }

    #[test]
    fn a_last_line_without_newline_is_a_record() {
        assert_eq!(batches("a\nb", Framing::Lines), [(1, "a\nb\n".to_owned())]);
    }

    #[test]
    fn a_growing_file_is_followed_and_one_that_shrinks_is_an_error() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let write = |mut file: &File, text: &str| file.write_all(text.as_bytes()).expect("written");
        write(file.as_file(), "a\nb");
        let mut source = FileSource::open(file.path()).expect("opened");
        source.follow();
        let mut read = || match source.poll(Duration::from_millis(1))? {
            Polled::Batch(Batch {
                records: Records::Lines(lines),
                ..
            }) => Ok(Some(String::from_utf8_lossy(lines.bytes).into_owned())),
            Polled::End => panic!("it may grow"),
            _ => Ok::<_, Error>(None),
        };
        assert_eq!(read().expect("read").as_deref(), Some("a\n"));
        assert_eq!(read().expect("read"), None);
        write(file.as_file(), "c\nd\n");
        assert_eq!(read().expect("read").as_deref(), Some("bc\nd\n"));
        assert_eq!(read().expect("read"), None);
        file.as_file().set_len(1).expect("cut");
        assert!(read().is_err());
    }

    #[test]
    fn a_newline_inside_quotes_ends_no_record() {
        let whole = |text: &str| {
            let records = QuotedRecords::new(text.as_bytes(), b',');
            records.last().unwrap_or(0)
        };
        assert_eq!(whole("1,\"a\nb\",2\n3,\"c\n"), 10);
        assert_eq!(whole("1,\"a\"\"\n\",2\n"), 11);
        assert_eq!(whole("1,5\" pipe\n2,x\n"), 14);
        assert_eq!(whole("\"\"\n\"\n"), 3);
        assert_eq!(whole("1,5\"\" pipe\n2,x\n"), 15);
    }

    #[test]
    fn an_unclosed_quote_is_found_where_it_opened() {
        let open = |text: &str| {
            let mut records = QuotedRecords::new(text.as_bytes(), b',');
            records.by_ref().for_each(drop);
            records.is_quoted.then_some(records.opened)
        };
        assert_eq!(open("a,\"b\nc"), Some(2));
        assert_eq!(open("a,\"b\"\"\nc,d"), Some(2));
        assert_eq!(open("a,\"b\nc\"\nd\"e,f\n"), None);
    }
}
