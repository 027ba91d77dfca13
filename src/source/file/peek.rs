//! A look at the first records, which are read again afterwards, and the header.

use std::time::{Duration, Instant};

use super::framing::QuotedRecords;
use super::{FileSource, Framing, MAX_RECORD_BYTES, SAMPLE_SILENCE};
use crate::error::Result;
use crate::format::header::without_newlines;
use crate::interrupt::Interrupt;
use crate::source::Survey;
use crate::source::reshape::{Reshape, Shape};

impl FileSource {
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
    pub(super) fn cut_header(&mut self, end: usize) -> (u64, Vec<u8>) {
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
    pub(super) fn first_record(&self) -> Option<usize> {
        let bytes = &self.buffer[..self.filled];
        match self.framing {
            Framing::Lines => memchr::memchr(b'\n', bytes).map(|at| at + 1),
            Framing::Delimited(delimiter) => QuotedRecords::new(bytes, delimiter).next(),
        }
    }

    /// Reads ahead until `records` lines are there, the input ends, or a pipe falls silent after
    /// its first record.
    pub(super) fn gather(&mut self, records: usize, interrupt: &Interrupt) -> Result<()> {
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
}
