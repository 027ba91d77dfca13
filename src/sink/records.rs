//! Records of topics as they are: JSON envelopes, CSV, bare values, a table.
//!
//! In: messages. Out: lines on an [`Outlet`].

use console::{Alignment, Term, pad_str, truncate_str};

use super::text::{push_csv, push_csv_text};
use crate::column::ValueRef;
use crate::error::Result;
use crate::format::envelope;
use crate::outlet::Outlet;
use crate::source::Message;
use crate::term::printable::printable;
use crate::term::units::format_time;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, cut at the terminal's width, times in ISO 8601.
    Table,
    /// topic, partition, offset, timestamp, key, value; null is an empty field.
    Csv,
    /// One JSON envelope a line, which `k produce` reads.
    Json,
    /// The values alone, each followed by a newline.
    Raw,
}

/// Lines are handed on before they fill more than this.
const FLUSH_BYTES: usize = 256 << 10;

/// Records as lines.
pub struct RecordSink<'t> {
    topics: &'t [String],
    layout: Layout,
    outlet: Outlet,
    lines: Vec<u8>,
    /// How many records are in `lines`.
    pending: u64,
    written: u64,
}

enum Layout {
    Table(Table),
    Csv,
    /// A writer for each topic.
    Json(Vec<envelope::Writer>),
    Raw,
}

impl<'t> RecordSink<'t> {
    /// Returns a sink for records of `topics`, which are named by their index. A table fits
    /// into `terminal`, and is as wide as it is without one.
    pub fn new(
        topics: &'t [String],
        format: Format,
        outlet: Outlet,
        terminal: Option<Term>,
    ) -> Self {
        let mut lines = Vec::new();
        let layout = match format {
            Format::Table => {
                let table = Table::new(topics, terminal);
                table.push_header(&mut lines);
                Layout::Table(table)
            }
            Format::Csv => {
                lines.extend_from_slice(b"topic,partition,offset,timestamp,key,value\n");
                Layout::Csv
            }
            Format::Json => {
                let writers = topics.iter().map(|topic| envelope::Writer::new(topic));
                Layout::Json(writers.collect())
            }
            Format::Raw => Layout::Raw,
        };
        RecordSink {
            topics,
            layout,
            outlet,
            lines,
            pending: 0,
            written: 0,
        }
    }

    /// Adds a record of the `nth` topic; it leaves at the next flush.
    pub fn push(&mut self, nth: usize, message: &Message<'_>) {
        let lines = &mut self.lines;
        self.pending += 1;
        match &mut self.layout {
            Layout::Table(table) => table.push(lines, &self.topics[nth], message),
            Layout::Csv => push_csv_record(lines, &self.topics[nth], message),
            Layout::Json(writers) => writers[nth].push(lines, message),
            Layout::Raw => {
                lines.extend_from_slice(message.value.unwrap_or_default());
                lines.push(b'\n');
            }
        }
    }

    /// Returns whether the lines should leave before more are added.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= FLUSH_BYTES
    }

    /// Writes out every record added so far.
    ///
    /// # Errors
    /// As [`Outlet::write`]; `ClosedPipe` as soon as the reader has gone, also when there is
    /// nothing to write.
    pub fn flush(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return self.outlet.check_reader();
        }
        let written = self.outlet.write(&self.lines);
        self.lines.clear();
        self.lines.shrink_to(2 * FLUSH_BYTES);
        if let Layout::Table(table) = &mut self.layout {
            table.measure();
        }
        written?;
        self.written += std::mem::take(&mut self.pending);
        Ok(())
    }

    /// Returns how many records were written out.
    pub fn written(&self) -> u64 {
        self.written
    }
}

fn push_csv_record(lines: &mut Vec<u8>, topic: &str, message: &Message<'_>) {
    let integer = |value: i64| ValueRef::Integer(value.into());
    push_csv(lines, ValueRef::Text(topic));
    for value in [
        integer(message.partition.into()),
        integer(message.offset),
        message.timestamp.map_or(ValueRef::Null, integer),
    ] {
        lines.push(b',');
        push_csv(lines, value);
    }
    for bytes in [message.key, message.value] {
        lines.push(b',');
        if let Some(bytes) = bytes {
            push_csv_text(lines, bytes);
        }
    }
    lines.push(b'\n');
}

/// Columns that stand below each other, though no row is held back to measure it.
struct Table {
    terminal: Option<Term>,
    /// Of a line; none where nothing is cut.
    width: Option<usize>,
    /// Of the columns but the value, which is the last; grow with what comes.
    widths: Vec<usize>,
    /// Whether a column names the topic.
    several: bool,
}

impl Table {
    fn new(topics: &[String], terminal: Option<Term>) -> Self {
        let several = topics.len() > 1;
        let topic = topics.iter().map(String::len).max().filter(|_| several);
        // As wide as most partitions, offsets, times and keys are.
        let widths = topic.into_iter().chain([9, 9, 24, 12]).collect();
        let mut table = Table {
            terminal,
            width: None,
            widths,
            several,
        };
        table.measure();
        table
    }

    /// Asks for the width of the terminal, which may have changed.
    fn measure(&mut self) {
        let terminal = self.terminal.as_ref();
        self.width = terminal.map(|terminal| usize::from(terminal.size().1));
    }

    fn push_header(&self, lines: &mut Vec<u8>) {
        let names = ["topic", "partition", "offset", "time", "key", "value"];
        let names = &names[usize::from(!self.several)..];
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.push_line(lines, &names);
    }

    fn push(&mut self, lines: &mut Vec<u8>, topic: &str, message: &Message<'_>) {
        // A long key leaves the value some room.
        let key_width = self.width.map_or(usize::MAX, |width| width / 3);
        let cells: Vec<String> = self
            .several
            .then(|| topic.to_owned())
            .into_iter()
            .chain([
                message.partition.to_string(),
                message.offset.to_string(),
                message
                    .timestamp
                    .map_or_else(|| "null".to_owned(), format_time),
                truncate_str(&self.cell(message.key), key_width, "…").into_owned(),
                self.cell(message.value),
            ])
            .collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(console::measure_text_width(cell));
        }
        self.push_line(lines, &cells);
    }

    /// Returns a key or a value, of a long one no more than any terminal shows.
    fn cell(&self, bytes: Option<&[u8]>) -> String {
        let Some(bytes) = bytes else {
            return "null".to_owned();
        };
        let most = self.width.map_or(usize::MAX, |width| 16 * width);
        printable(&bytes[..bytes.len().min(most)])
    }

    fn push_line(&self, lines: &mut Vec<u8>, cells: &[String]) {
        let mut line = String::new();
        let numbers = usize::from(self.several)..usize::from(self.several) + 2;
        for (nth, cell) in cells.iter().enumerate() {
            let alignment = if numbers.contains(&nth) {
                Alignment::Right
            } else {
                Alignment::Left
            };
            match self.widths.get(nth) {
                Some(&width) => {
                    line.push_str(&pad_str(cell, width, alignment, None));
                    line.push_str("  ");
                }
                None => line.push_str(cell),
            }
        }
        let line = match self.width {
            Some(width) => truncate_str(line.trim_end(), width, "…"),
            None => line.trim_end().into(),
        };
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Headers;

    const MESSAGE: Message<'static> = Message {
        partition: 2,
        offset: 41,
        timestamp: Some(1_767_225_600_250),
        key: Some(b"a\x1b[2Jb"),
        value: Some(b"one, \"two\"\n\xff three"),
        headers: Headers::NONE,
    };

    fn table(width: usize) -> Table {
        let mut table = Table::new(&["t".to_owned()], None);
        table.width = Some(width);
        table
    }

    #[test]
    fn a_row_of_a_table_is_one_line_that_fits() {
        for width in [20, 40, 80] {
            let mut lines = Vec::new();
            table(width).push(&mut lines, "t", &MESSAGE);
            let text = String::from_utf8(lines).expect("UTF-8");
            let line = text.strip_suffix('\n').expect("a line");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert_eq!(console::measure_text_width(line), width, "{line}");
            assert!(line.ends_with('…'), "{line}");
        }
    }

    #[test]
    fn a_value_of_megabytes_is_not_looked_at_beyond_the_screen() {
        let value = vec![b'x'; 10 << 20];
        let message = Message {
            value: Some(&value),
            ..MESSAGE
        };
        assert_eq!(table(80).cell(message.value).len(), 1_280);
    }

    #[test]
    fn csv_tells_null_from_empty_and_keeps_every_byte() {
        let mut lines = Vec::new();
        push_csv_record(&mut lines, "t", &MESSAGE);
        let nothing = Message {
            timestamp: None,
            key: None,
            value: Some(b""),
            ..MESSAGE
        };
        push_csv_record(&mut lines, "t", &nothing);
        assert_eq!(
            lines,
            b"t,2,41,1767225600250,a\x1b[2Jb,\"one, \"\"two\"\"\n\xff three\"\nt,2,41,,,\"\"\n"
        );
    }
}
