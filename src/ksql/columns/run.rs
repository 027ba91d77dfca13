//! A query's windows over the file of a topic.

use std::time::Duration;

use bumpalo::Bump;

use super::Windowing;
use super::batch::{Batch, Reader};
use crate::engine::operator::Operator;
use crate::engine::pane::Panes;
use crate::error::{Error, Result};
use crate::ksql::catalog::Source;
use crate::ksql::folder::{Content, Folder, record_of_line};
use crate::ksql::records::{self, Record};
use crate::source::file::FileSource;
use crate::source::{self, Polled, Records};

/// How many rows the engine takes in at once where they are not lines of a file.
const ROWS: usize = 4_096;
/// How long a file is waited for: one that is packed is unpacked meanwhile.
const POLL: Duration = Duration::from_millis(50);

/// Who takes what a query gives.
pub trait Taker {
    /// Takes panes; returns whether more are wanted.
    ///
    /// # Errors
    /// Of writing them.
    fn take(&mut self, panes: &Panes) -> Result<bool>;

    /// Takes note of a record that could not be read.
    fn skip(&mut self, place: String);
}

/// Leads what a topic of a folder holds through the windows of a query; its end closes none.
///
/// # Errors
/// As [`Folder::read`], and of the taker.
pub fn run(
    windowing: &Windowing,
    source: &Source,
    folder: &Folder,
    taker: &mut impl Taker,
) -> Result<Operator> {
    let mut run = Run {
        reader: Reader::new(windowing, source),
        operator: windowing.operator()?,
        panes: Panes::default(),
        source,
        records: 0,
    };
    match folder.content(source)? {
        Content::Lines(mut file) => run.read_lines(&mut file, taker)?,
        Content::Records(records) => run.read_records(&records, taker)?,
    }
    Ok(run.operator)
}

struct Run<'q> {
    reader: Reader,
    operator: Operator,
    panes: Panes,
    source: &'q Source,
    /// How many records there were so far.
    records: i64,
}

impl Run<'_> {
    fn read_lines(&mut self, file: &mut FileSource, taker: &mut impl Taker) -> Result<()> {
        use source::Source;
        let mut arena = Bump::new();
        let name = file.name();
        loop {
            let lines = match file.poll(POLL)? {
                Polled::Batch(batch) => match batch.records {
                    Records::Lines(lines) => lines,
                    Records::Messages(_) => return Err(Error::bug("a file has no messages")),
                },
                Polled::Pending => continue,
                Polled::End => return Ok(()),
            };
            let mut batch = self.reader.batch();
            let ends = memchr::memchr_iter(b'\n', lines.bytes);
            let mut start = 0;
            for (nth, end) in (lines.first_line..).zip(ends) {
                let line = &lines.bytes[start..end];
                start = end + 1;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                if !self.reader.add_line(line, &mut batch, &arena) {
                    let record = record_of_line(line, self.source, self.records)
                        .map_err(|reason| Error::data(format!("{name}, line {nth}: {reason}")))?;
                    self.add(&record, &mut batch, &arena, taker);
                }
                self.records += 1;
            }
            let goes_on = self.hand_over(batch, taker)?;
            if !goes_on {
                return Ok(());
            }
            arena.reset();
        }
    }

    fn read_records(&mut self, records: &[Record], taker: &mut impl Taker) -> Result<()> {
        for records in records.chunks(ROWS) {
            let arena = Bump::new();
            let mut batch = self.reader.batch();
            for record in records {
                self.add(record, &mut batch, &arena, taker);
            }
            if !self.hand_over(batch, taker)? {
                break;
            }
        }
        Ok(())
    }

    /// Adds a record as the row engine reads it.
    fn add<'a>(
        &mut self,
        record: &Record,
        batch: &mut Batch<'a>,
        arena: &'a Bump,
        taker: &mut impl Taker,
    ) {
        match records::read(self.source, record) {
            Ok(event) => self.reader.add_row(&event, batch, arena),
            Err(misfit) => taker.skip(misfit.place(&record.topic, record.offset)),
        }
    }

    fn hand_over(&mut self, batch: Batch<'_>, taker: &mut impl Taker) -> Result<bool> {
        if batch.is_empty() {
            return Ok(true);
        }
        self.reader
            .hand_over(&batch, &mut self.operator, &mut self.panes)?;
        let goes_on = self.panes.is_empty() || taker.take(&self.panes)?;
        self.panes.clear();
        Ok(goes_on)
    }
}
