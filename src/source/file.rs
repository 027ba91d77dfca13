//! Files and pipes: whole records, a chunk at a time.
//!
//! In: a path or stdin. Out: [`Lines`] of at most about [`CHUNK`] bytes that end with a record's
//! end. A pipe hands over what is there, so that a slow writer is followed at once. Files are read,
//! not mapped: a mapped file that is truncated while it is read would kill the process.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::ahead::Ahead;
use super::reshape::{Open, Reshape, Shape};
use super::series::{Header, Piece, Section, Series};
use super::unpack::{MAGIC_BYTES, packing};
use super::{Batch, Lines, Polled, Records, Source, Survey};
use crate::error::{Error, Result};
use crate::format::schema::SAMPLE;
use crate::interrupt::Interrupt;
use crate::term::units::format_plural;

/// How many bytes are read ahead; some thousand records, and they stay in the processor's cache.
pub(crate) const CHUNK: usize = 256 << 10;
/// The longest record that is taken for one.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// How long a pipe may be silent before the types are inferred from what has come.
const SAMPLE_SILENCE: Duration = Duration::from_millis(500);

/// How often it is looked whether a file has grown.
const GROWTH_POLL: Duration = Duration::from_millis(50);

/// What ends a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A newline outside quotes; fields are between the delimiter.
    Delimited(u8),
    /// A newline.
    Lines,
}

/// Where bytes come from.
#[derive(Debug)]
enum Input {
    /// A file with an end that is not packed.
    Regular(File),
    /// A pipe, a terminal, or a file that is packed.
    Ahead(Ahead),
}

/// Whole records at the front of a buffer.
#[derive(Debug, Clone, Copy, Default)]
struct Whole {
    length: usize,
    /// How many, blank lines among them.
    records: usize,
    survey: Survey,
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

    /// Reads other files behind this one, as one input.
    pub(crate) fn read_on(&mut self, rest: Vec<Piece>) {
        self.series = Some(Box::new(Series::new(&self.name, rest)));
        self.section = Some(self.section_after(0));
    }

    /// Looks at the files behind this one, which has this header, if it has any.
    ///
    /// # Errors
    /// `refused` when one cannot be read, `data` when its header is another one.
    pub(crate) fn check_rest(
        &mut self,
        header: Option<&[u8]>,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let (framing, file) = (self.framing, self.name.clone());
        let Some(series) = &mut self.series else {
            return Ok(());
        };
        let header = match (header, framing) {
            (Some(bytes), Framing::Delimited(delimiter)) => Some(Header {
                file,
                bytes: bytes.to_vec(),
                delimiter,
            }),
            _ => None,
        };
        series.check(header, framing, interrupt)
    }

    /// Goes on with the next of several files, where this one is empty; returns whether there is one.
    ///
    /// # Errors
    /// `refused` when it cannot be read.
    pub(crate) fn skip_empty(&mut self) -> Result<bool> {
        let began = self.begin_next()?;
        self.fresh = false; // its header tells the columns
        Ok(began)
    }

    /// Returns the section that this file is behind this many lines.
    fn section_after(&self, before: u64) -> Section {
        // It identifies records as long as the process lives.
        let file = Box::leak(self.name.clone().into_boxed_str());
        Section { file, before }
    }

    /// Goes on with the next of several files, where this one was read to its end; returns whether
    /// there is one.
    fn begin_next(&mut self) -> Result<bool> {
        let Some(series) = &mut self.series else {
            return Ok(false);
        };
        let Some(next) = series.open_next()? else {
            return Ok(false);
        };
        let before = self.section.map_or(0, |section| section.before) + self.line - 1;
        // Values that need not be lines are read so in each file.
        self.reshape = self.reshape.is_some().then(Reshape::default);
        (self.name, self.input, self.is_regular) = (next.name, next.input, next.is_regular);
        (self.filled, self.line, self.records) = (0, 1, 0);
        (self.ended, self.fresh) = (false, true);
        self.section = Some(self.section_after(before));
        Ok(true)
    }

    /// Takes what is not a record off the front of one of several files, of which whole records are
    /// there: its byte order mark and its header.
    fn begin_records(&mut self) -> Result<()> {
        self.fresh = false;
        if self.buffer[..self.filled].starts_with(b"\xEF\xBB\xBF") {
            self.consume(3);
        }
        let has_header = self
            .series
            .as_ref()
            .is_some_and(|series| series.has_header());
        while has_header && self.filled > 0 {
            let end = self.first_record().unwrap_or(self.filled);
            let (line, header) = self.cut_header(end);
            if let (false, Some(series)) = (header.is_empty(), &self.series) {
                return series.check_header(&self.name, line, &header);
            }
        }
        Ok(())
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

    /// Waits for the first byte that is not white space and returns it without consuming it; `None`
    /// for an input that ends before. A byte order mark is dropped.
    ///
    /// # Errors
    /// `refused` when reading fails, `stopped` on a signal.
    pub fn peek(&mut self, interrupt: &Interrupt) -> Result<Option<u8>> {
        loop {
            if self.buffer[..self.filled].starts_with(b"\xEF\xBB\xBF") {
                self.consume(3);
            }
            let mut unread = self.buffer[..self.filled].iter();
            // A first byte of 0xEF may be two thirds of a byte order mark.
            let marked = self.filled < 3 && self.buffer[0] == 0xEF && !self.ended;
            if let Some(&byte) = unread.find(|byte| !byte.is_ascii_whitespace())
                && !marked
            {
                return Ok(Some(byte));
            }
            if self.ended {
                return Ok(None);
            }
            self.wait_and_read(interrupt)?;
        }
    }

    /// Waits for enough bytes to see how JSON values are laid out in the input; from now on each of
    /// them is a line, and counts as one.
    ///
    /// # Errors
    /// `refused` when reading fails, `data` when the first value does not end or lines end in carriage
    /// returns, `stopped` on a signal.
    pub(crate) fn one_value_a_line(&mut self, interrupt: &Interrupt) -> Result<Shape> {
        let shape = loop {
            if let Some(shape) = Shape::of(&self.buffer[..self.filled], self.ended) {
                break shape;
            }
            self.make_room()?;
            self.wait_and_read(interrupt)?;
        };
        match shape {
            Shape::Lines => {}
            Shape::Values => {
                let reshape = self.reshape.insert(Reshape::default());
                reshape.apply(&mut self.buffer[..self.filled]);
                self.name += ", one value a line";
            }
            Shape::Returns => return Err(without_newlines()),
        }
        Ok(shape)
    }

    /// Waits for the first line that `is_meant` and returns it without consuming it; where there is
    /// none, the first that is not blank, which may be empty.
    ///
    /// # Errors
    /// `refused` when reading fails, `data` when a line does not end, `stopped` on a signal.
    pub(crate) fn peek_line(
        &mut self,
        is_meant: impl Fn(&[u8]) -> bool,
        interrupt: &Interrupt,
    ) -> Result<&[u8]> {
        let (mut first, mut start) = (None, 0);
        let line = loop {
            let unread = &self.buffer[..self.filled];
            let blank = unread[start..].iter();
            start += blank.take_while(|byte| byte.is_ascii_whitespace()).count();
            let newline = memchr::memchr(b'\n', &unread[start..]);
            let is_full = first.is_some() && self.filled >= MAX_RECORD_BYTES;
            if newline.is_none() && !self.ended && !is_full {
                self.make_room()?;
                self.wait_and_read(interrupt)?;
                continue;
            }
            let end = newline.map_or(self.filled, |length| start + length);
            if is_meant(&unread[start..end]) {
                break start..end;
            }
            let first = first.get_or_insert(start..end);
            if newline.is_none() {
                break first.clone();
            }
            start = end;
        };
        Ok(&self.buffer[line])
    }

    /// Waits for the first record that is not a blank line, with fields between `delimiter`s, and
    /// returns it without consuming it; `None` if it has no end.
    ///
    /// # Errors
    /// `refused` when reading fails, `stopped` on a signal.
    pub fn peek_record(&mut self, delimiter: u8, interrupt: &Interrupt) -> Result<Option<Vec<u8>>> {
        loop {
            let unread = &self.buffer[..self.filled];
            let blank = unread.iter().take_while(|byte| byte.is_ascii_whitespace());
            // White space before the first name may be delimiters.
            let mut blank = unread[..blank.count()].iter();
            let start = blank
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |at| at + 1);
            let mut records = QuotedRecords::new(&unread[start..], delimiter);
            let end = records.next();
            if end.is_some() || self.ended || self.filled >= MAX_RECORD_BYTES {
                let is_whole = end.is_some() || self.ended && !records.is_quoted;
                let end = end.unwrap_or(unread.len() - start);
                return Ok(is_whole.then(|| unread[start..start + end].to_vec()));
            }
            self.make_room()?;
            self.wait_and_read(interrupt)?;
        }
    }

    /// Takes the first record that is not a blank line off, as a header, with the number of its
    /// first line; empty when there is none.
    ///
    /// # Errors
    /// `refused` when reading fails, `data` when it does not end, `stopped` on a signal.
    pub fn take_header(&mut self, interrupt: &Interrupt) -> Result<(u64, Vec<u8>)> {
        loop {
            let end = match self.first_record() {
                Some(end) => end,
                None if self.ended => match self.open_quote() {
                    Some(opened) => return Err(self.not_closed(opened)),
                    None => self.filled,
                },
                None => {
                    self.make_room()?;
                    self.wait_and_read(interrupt)?;
                    continue;
                }
            };
            let (line, header) = self.cut_header(end);
            if self.filled == 0 && self.ended || !header.is_empty() {
                return Ok((line, header));
            }
        }
    }

    /// Takes the record that ends at `end` off, as a header, with the number of its first line;
    /// empty if it is a blank line.
    fn cut_header(&mut self, end: usize) -> (u64, Vec<u8>) {
        let (line, mut header) = (self.line, self.buffer[..end].to_vec());
        self.consume(end);
        self.line += Survey::of(&header).newlines as u64;
        let ending = header.iter().rposition(|byte| !b"\r\n".contains(byte));
        header.truncate(ending.map_or(0, |at| at + 1));
        if header.trim_ascii().is_empty() {
            header.clear();
        }
        (line, header)
    }

    /// Returns the length of the first record, if all of it is there.
    fn first_record(&self) -> Option<usize> {
        let bytes = &self.buffer[..self.filled];
        match self.framing {
            Framing::Lines => memchr::memchr(b'\n', bytes).map(|at| at + 1),
            Framing::Delimited(delimiter) => QuotedRecords::new(bytes, delimiter).next(),
        }
    }

    /// Reads ahead until `records` lines are there, the input ends, or a pipe falls silent after
    /// its first record.
    fn gather(&mut self, records: usize, interrupt: &Interrupt) -> Result<()> {
        let mut heard = Instant::now();
        while !self.ended && self.failed.is_none() {
            interrupt.check()?;
            let lines = memchr::memchr_iter(b'\n', &self.buffer[..self.filled]).count();
            let silent = lines > 0 && heard.elapsed() >= SAMPLE_SILENCE;
            if lines >= records || silent || self.filled >= MAX_RECORD_BYTES {
                break;
            }
            self.make_room()?;
            if self.is_ready(Duration::from_millis(20)) && self.read()? > 0 {
                heard = Instant::now();
            }
        }
        Ok(())
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
                    whole = self.surveyed(self.filled);
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

    /// Sees to it that a read has room.
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

    /// Returns where the quote opens that what was read does not close: it makes one field of all
    /// that follows.
    fn open_quote(&self) -> Option<usize> {
        let Framing::Delimited(delimiter) = self.framing else {
            return None;
        };
        let mut records = QuotedRecords::new(&self.buffer[..self.filled], delimiter);
        records.by_ref().for_each(drop);
        records.is_quoted.then_some(records.opened)
    }

    /// Returns how far was looked for an end.
    fn looked_through(&self) -> String {
        if self.ended {
            "the input".to_owned()
        } else {
            format!("{} MiB", MAX_RECORD_BYTES >> 20)
        }
    }

    /// Returns what of JSON that is not lines has not ended so far.
    fn open_json(&self) -> Option<Open> {
        self.reshape.and_then(|reshape| reshape.open())
    }

    fn without_end(&self, open: Open) -> Error {
        let (what, line) = match open {
            Open::Value(line) => {
                let before = format_plural(self.records, "record");
                (format!("after {before}, the value"), line)
            }
            Open::Array(line) => ("the array".to_owned(), line),
        };
        Error::data(format!(
            "{}: {what} that begins in line {line} of the input is not closed before the end of {}",
            self.name,
            self.looked_through(),
        ))
        .hint(match open {
            Open::Value(_) => "close its bracket or quote",
            Open::Array(_) => "the input may be cut off; if it is complete, close it with `]`",
        })
    }

    fn not_closed(&self, opened: usize) -> Error {
        Error::data(format!(
            "{}, line {}: the quote that opens here is not closed before the end of {}",
            self.name,
            self.line + Survey::of(&self.buffer[..opened]).newlines as u64,
            self.looked_through(),
        ))
        .hint("close it; a quote inside a quoted field is written twice")
    }

    /// Returns the whole records at the front of the buffer.
    fn whole_records(&self) -> Whole {
        let bytes = &self.buffer[..self.filled];
        let lines = self.surveyed(memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1));
        match self.framing {
            Framing::Delimited(delimiter) if lines.survey.quoted => {
                let ends = QuotedRecords::new(bytes, delimiter);
                let (records, end) = ends.fold((0, 0), |(records, _), end| (records + 1, end));
                Whole {
                    records,
                    ..self.surveyed(end)
                }
            }
            _ => lines,
        }
    }

    fn surveyed(&self, length: usize) -> Whole {
        let survey = Survey::of(&self.buffer[..length]);
        Whole {
            length,
            records: survey.newlines,
            survey,
        }
    }
}

/// Returns the error of lines that end in carriage returns alone.
pub(crate) fn without_newlines() -> Error {
    Error::data("lines end with carriage returns instead of newlines")
        .hint("`tr '\\r' '\\n' < FILE | k …` converts them")
}

/// Reads from a growing file. One that has become shorter was written anew: what comes now is not what
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

/// The ends of the whole records in CSV bytes that hold quotes. A quote opens only at a field's
/// start, as the `csv` crate has it.
struct QuotedRecords<'a> {
    bytes: &'a [u8],
    delimiter: u8,
    at: usize,
    at_field_start: bool,
    is_quoted: bool,
    /// Whether the byte before is a quote that closes.
    has_closed: bool,
    /// Where the last field in quotes begins.
    opened: usize,
}

impl<'a> QuotedRecords<'a> {
    fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        QuotedRecords {
            bytes,
            delimiter,
            at: 0,
            at_field_start: true,
            is_quoted: false,
            has_closed: false,
            opened: 0,
        }
    }
}

impl Iterator for QuotedRecords<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let at = self.at;
            let had_closed = std::mem::take(&mut self.has_closed);
            match byte {
                b'"' if self.at_field_start => (self.is_quoted, self.opened) = (true, at),
                b'"' if self.is_quoted => (self.is_quoted, self.has_closed) = (false, true),
                // A doubled quote closes and opens again.
                b'"' if had_closed => self.is_quoted = true,
                _ => {}
            }
            self.at += 1;
            let is_end = byte == b'\n' && !self.is_quoted;
            self.at_field_start = is_end || byte == self.delimiter && !self.is_quoted;
            if is_end {
                return Some(self.at);
            }
        }
        None
    }
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
