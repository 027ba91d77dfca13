//! One of several files that are read as one input, one behind the other.

use super::{FileSource, Framing};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::source::reshape::Reshape;
use crate::source::series::{Header, Piece, Section, Series};

impl FileSource {
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
    pub(super) fn section_after(&self, before: u64) -> Section {
        // It identifies records as long as the process lives.
        let file = Box::leak(self.name.clone().into_boxed_str());
        Section { file, before }
    }

    /// Goes on with the next of several files, where this one was read to its end; returns whether
    /// there is one.
    pub(super) fn begin_next(&mut self) -> Result<bool> {
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
    pub(super) fn begin_records(&mut self) -> Result<()> {
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
}
