//! Records of topics as they are: JSON envelopes, CSV, bare values, a table.
//!
//! In: messages. Out: lines on an [`Outlet`].

use console::truncate_str;

use super::spread::{Field, Spread};
use crate::column::ValueRef;
use crate::error::Result;
use crate::format::envelope;
use crate::notation::{push_csv, push_csv_text};
use crate::outlet::Outlet;
use crate::source::Message;
use crate::term::grid::{self, ALL_IN_CSV, Cell, Column, Grid, Times};
use crate::term::printable::printable;
use crate::term::report::Report;
use crate::term::table::Align;
use crate::term::units::format_time;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, in one line each, times in ISO 8601.
    Table,
    /// topic, partition, offset, timestamp, key, the value's columns, and `value` where it has others;
    /// null is an empty field.
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

/// How records are laid out.
#[derive(Debug, Clone)]
pub struct Look {
    /// How wide a row of a table may be.
    pub room: Option<usize>,
    /// How times are written, if not as usual: in a table ISO 8601, else ms.
    pub times: Option<Times>,
    /// Where to say which columns have no room.
    pub report: Report,
}

enum Layout {
    /// Not before the first records are there, which say what the columns are.
    Undecided(Format, Look),
    Table(Box<Table>),
    Csv(Csv),
    /// A writer for each topic.
    Json(Vec<envelope::Writer>),
    Raw,
}

impl<'t> RecordSink<'t> {
    /// Returns a sink for records of `topics`, which are named by their index.
    pub fn new(topics: &'t [String], format: Format, outlet: Outlet, look: Look) -> Self {
        let layout = match format {
            Format::Table | Format::Csv => Layout::Undecided(format, look),
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
            lines: Vec::new(),
            pending: 0,
            written: 0,
        }
    }

    /// Takes note of the first records of the `nth` topic before they are added: they say what the columns
    /// of a table and of CSV are. The values of several topics have none.
    pub fn begin(&mut self, nth: usize, first: &[Message<'_>]) {
        let Layout::Undecided(format, look) = &self.layout else {
            return;
        };
        let spread = match self.topics {
            [_] => Spread::of(first),
            _ => None,
        };
        self.layout = if *format == Format::Csv {
            let csv = Csv::new(look.times, spread);
            csv.push_header(&mut self.lines);
            Layout::Csv(csv)
        } else {
            let mut table = Table::new(look, self.topics, spread, first);
            table.fit(&self.topics[nth], first, look);
            self.lines
                .extend_from_slice(table.grid.heading().as_bytes());
            self.lines.push(b'\n');
            Layout::Table(Box::new(table))
        };
    }

    /// Writes out what is left, and the headings where no record came.
    ///
    /// # Errors
    /// As [`RecordSink::flush`].
    pub fn end(&mut self) -> Result<()> {
        self.begin(0, &[]);
        self.flush()
    }

    /// Adds a record of the `nth` topic; it leaves at the next flush.
    pub fn push(&mut self, nth: usize, message: &Message<'_>) {
        self.begin(nth, std::slice::from_ref(message));
        let lines = &mut self.lines;
        self.pending += 1;
        match &mut self.layout {
            Layout::Undecided(..) => {} // it has begun
            Layout::Table(table) => table.push(lines, &self.topics[nth], message),
            Layout::Csv(csv) => csv.push(lines, &self.topics[nth], message),
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
        if let Layout::Table(table) = &mut self.layout
            && table.width.is_some()
        {
            table.grid.set_width(grid::room()); // it may have changed
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

/// Records as lines of CSV.
struct Csv {
    times: Times,
    /// The columns of the values, in front of a column `value` that has those that do not fit.
    spread: Option<Spread>,
    is_time: Vec<bool>,
}

impl Csv {
    fn new(times: Option<Times>, spread: Option<Spread>) -> Self {
        let times = times.unwrap_or(Times::Ms);
        let is_time = spread.iter().flat_map(Spread::times);
        Csv {
            times,
            is_time: is_time
                .map(|is_time| is_time && times == Times::Iso)
                .collect(),
            spread,
        }
    }

    fn push_header(&self, lines: &mut Vec<u8>) {
        lines.extend_from_slice(OWN.join(",").as_bytes());
        let taken = [&OWN[..], &["value"]].concat();
        for name in self.spread.iter().flat_map(|spread| spread.columns(&taken)) {
            lines.push(b',');
            push_csv_text(lines, name.as_bytes());
        }
        lines.extend_from_slice(b",value\n");
    }

    fn push(&self, lines: &mut Vec<u8>, topic: &str, message: &Message<'_>) {
        push_csv(lines, ValueRef::Text(topic));
        for number in [message.partition.into(), message.offset] {
            lines.push(b',');
            push_csv(lines, ValueRef::Integer(number.into()));
        }
        lines.push(b',');
        if let Some(at) = message.timestamp {
            self.push_time(lines, at);
        }
        lines.push(b',');
        message
            .key
            .into_iter()
            .for_each(|key| push_csv_text(lines, key));
        let fields = self.spread.as_ref().zip(message.value);
        let fields = fields.and_then(|(spread, value)| spread.fields(value));
        for (nth, &is_time) in self.is_time.iter().enumerate() {
            lines.push(b',');
            let field = fields.as_ref().and_then(|fields| fields.get(nth));
            match field.unwrap_or(&Field::Null) {
                Field::Null => {}
                Field::Text(text) => push_csv_text(lines, text.as_bytes()),
                Field::Bare(text) => match text.parse() {
                    Ok(at) if is_time => self.push_time(lines, at),
                    _ => push_csv_text(lines, text.as_bytes()),
                },
            }
        }
        lines.push(b',');
        if let (None, Some(value)) = (fields, message.value) {
            push_csv_text(lines, value);
        }
        lines.push(b'\n');
    }

    fn push_time(&self, lines: &mut Vec<u8>, at: i64) {
        match self.times {
            Times::Iso => lines.extend_from_slice(format_time(at).as_bytes()),
            Times::Ms => push_csv(lines, ValueRef::Integer(at.into())),
        }
    }
}

/// The record's own columns in front of its value's.
const OWN: [&str; 5] = ["topic", "partition", "offset", "timestamp", "key"];

/// Records below each other, each in one line.
struct Table {
    grid: Grid,
    /// Whether a column tells the topic.
    several: bool,
    /// The columns of the values; none: they are shown as they are.
    spread: Option<Spread>,
    is_time: Vec<bool>,
    width: Option<usize>,
}

impl Table {
    /// Returns a table as wide as a terminal, and as the columns of the first records are.
    fn new(look: &Look, topics: &[String], spread: Option<Spread>, first: &[Message<'_>]) -> Self {
        let several = topics.len() > 1;
        let own = ["topic", "partition", "offset", "time", "key"];
        let own = own.iter().skip(usize::from(!several));
        let own = own.map(|&name| {
            let align = match name {
                "partition" | "offset" => Align::Right,
                _ => Align::Left,
            };
            Column::new(name, align)
        });
        let columns = match &spread {
            Some(spread) => {
                let names = spread.columns(&OWN).zip(spread.are_numbers(first));
                let align = |is_number| if is_number { Align::Right } else { Align::Left };
                names
                    .map(|(name, is_number)| Column::new(&name, align(is_number)))
                    .collect()
            }
            None => vec![Column::new("value", Align::Left)],
        };
        let is_time = spread.iter().flat_map(Spread::times);
        Table {
            grid: Grid::new(
                own.chain(columns).collect(),
                look.room,
                look.times.unwrap_or(Times::Iso),
            ),
            several,
            is_time: match look.times {
                // Unless a person asks, values are as they are.
                Some(Times::Iso) => is_time.collect(),
                _ => is_time.map(|_| false).collect(),
            },
            spread,
            width: look.room,
        }
    }

    /// Makes room for the first records, and says which columns have none.
    fn fit(&mut self, topic: &str, first: &[Message<'_>], look: &Look) {
        // Of values as they are the rest of the line is room.
        const ENOUGH: usize = 1_000;
        for message in first.iter().take(ENOUGH) {
            let mut cells = self.cells(topic, message);
            if self.spread.is_none() {
                cells.pop();
            }
            self.grid.measure(&cells);
        }
        if let Some(hint) = self.grid.fit().hint(ALL_IN_CSV) {
            look.report.hint(hint);
        }
    }

    fn push(&mut self, lines: &mut Vec<u8>, topic: &str, message: &Message<'_>) {
        let cells = self.cells(topic, message);
        self.grid
            .measure(&cells[..cells.len() - usize::from(self.spread.is_none())]);
        lines.extend_from_slice(self.grid.line(&cells).as_bytes());
        lines.push(b'\n');
    }

    fn cells(&self, topic: &str, message: &Message<'_>) -> Vec<Cell> {
        // A long key leaves the value some room.
        let key_width = self.width.map_or(usize::MAX, |width| width / 3);
        let time = message.timestamp.map_or_else(null, Cell::Time);
        let key = truncate_str(&self.text(message.key), key_width, "…").into_owned();
        let mut cells = vec![
            Cell::Number(message.partition.to_string()),
            Cell::Number(message.offset.to_string()),
            time,
            Cell::Text(key),
        ];
        if self.several {
            cells.insert(0, Cell::Text(topic.to_owned()));
        }
        let fields = self.spread.as_ref().zip(message.value);
        match fields.and_then(|(spread, value)| spread.fields(value)) {
            Some(fields) => cells.extend(fields.into_iter().zip(&self.is_time).map(cell)),
            // A value that does not fit is shown as it is.
            None => cells.push(Cell::Text(self.text(message.value))),
        }
        cells
    }

    /// Returns a key or a value, of a long one no more than any terminal shows.
    fn text(&self, bytes: Option<&[u8]>) -> String {
        let Some(bytes) = bytes else {
            return "null".to_owned();
        };
        let most = self.width.map_or(usize::MAX, |width| 16 * width);
        printable(&bytes[..bytes.len().min(most)])
    }
}

fn null() -> Cell {
    Cell::Text("null".to_owned())
}

fn cell((field, &is_time): (Field<'_>, &bool)) -> Cell {
    match field {
        Field::Null => null(),
        Field::Text(text) => Cell::Text(printable(text.as_bytes())),
        Field::Bare(digits) => match digits.parse::<i64>() {
            Ok(at) if is_time => Cell::Time(at),
            Ok(_) => Cell::Number(digits.into_owned()),
            Err(_) => Cell::Text(printable(digits.as_bytes())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Headers;
    use crate::term::report::{ColorChoice, Verbosity};

    const MESSAGE: Message<'static> = Message {
        partition: 2,
        offset: 41,
        timestamp: Some(1_767_225_600_250),
        key: Some(b"a\x1b[2Jb"),
        value: Some(b"one, \"two\"\n\xff three"),
        headers: Headers::NONE,
    };

    fn look(room: Option<usize>) -> Look {
        Look {
            room,
            times: None,
            report: Report::new(Verbosity::Quiet, ColorChoice::Never),
        }
    }

    fn table(width: usize, first: &[Message<'_>]) -> Table {
        let look = look(Some(width));
        let mut table = Table::new(&look, &["t".to_owned()], Spread::of(first), first);
        table.fit("t", first, &look);
        table
    }

    fn row(table: &mut Table, message: &Message<'_>) -> String {
        let mut lines = Vec::new();
        table.push(&mut lines, "t", message);
        let text = String::from_utf8(lines).expect("UTF-8");
        text.strip_suffix('\n').expect("a line").to_owned()
    }

    #[test]
    fn a_row_of_a_table_is_one_line_that_fits() {
        for width in [20, 40, 60] {
            let line = row(&mut table(width, &[MESSAGE]), &MESSAGE);
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(console::measure_text_width(&line) <= width, "{line}");
        }
    }

    #[test]
    fn values_are_spread_over_columns_and_those_that_do_not_fit_are_shown_as_they_are() {
        let of = |value: &'static str| Message {
            value: Some(value.as_bytes()),
            key: Some(b"a"),
            ..MESSAGE
        };
        let first = [of(r#"{"n":7,"at":"x"}"#), of(r#"{"n":12,"at":null}"#)];
        let mut table = table(80, &first);
        assert_eq!(
            table.grid.heading(),
            "partition  offset  time                     key   n  at"
        );
        assert_eq!(
            row(&mut table, &first[1]),
            "        2      41  2026-01-01T00:00:00.25Z  a    12  null"
        );
        assert!(row(&mut table, &of("other")).ends_with("  a    other"));
    }

    #[test]
    fn a_value_of_megabytes_is_not_looked_at_beyond_the_screen() {
        let value = vec![b'x'; 10 << 20];
        assert_eq!(table(80, &[MESSAGE]).text(Some(&value)).len(), 1_280);
    }

    #[test]
    fn csv_of_values_with_columns_keeps_what_does_not_fit() {
        let of = |value: &'static [u8]| Message {
            value: Some(value),
            ..MESSAGE
        };
        let first = of(br#"{"key":"a,b","start_timestamp":1000}"#);
        for (times, at, start) in [
            (Times::Ms, "1767225600250", "1000"),
            (
                Times::Iso,
                "2026-01-01T00:00:00.25Z",
                "1970-01-01T00:00:01Z",
            ),
        ] {
            let csv = Csv::new(Some(times), Spread::of(&[first]));
            let mut lines = Vec::new();
            csv.push_header(&mut lines);
            csv.push(&mut lines, "t", &first);
            csv.push(&mut lines, "t", &of(b"[1]"));
            let text = String::from_utf8(lines).expect("UTF-8");
            let key = "a\x1b[2Jb";
            assert_eq!(
                text,
                format!(
                    "topic,partition,offset,timestamp,key,value.key,start_timestamp,value\n\
                     t,2,41,{at},{key},\"a,b\",{start},\n\
                     t,2,41,{at},{key},,,[1]\n"
                )
            );
        }
    }

    #[test]
    fn csv_tells_null_from_empty_and_keeps_every_byte() {
        let mut lines = Vec::new();
        let csv = Csv::new(None, None);
        csv.push(&mut lines, "t", &MESSAGE);
        let nothing = Message {
            timestamp: None,
            key: None,
            value: Some(b""),
            ..MESSAGE
        };
        csv.push(&mut lines, "t", &nothing);
        assert_eq!(
            lines,
            b"t,2,41,1767225600250,a\x1b[2Jb,\"one, \"\"two\"\"\n\xff three\"\nt,2,41,,,\"\"\n"
        );
    }
}
