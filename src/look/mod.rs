//! What records look like to one who has never seen them: columns, times, duplicates, and the flags to
//! type.
//!
//! In: decoded records with undeclared columns. Out: [`Findings`], for people and for programs.
//! Everything is counted; nothing is guessed from the first records alone.

pub mod advice;
mod column;
mod times;

use std::collections::HashSet;

use bumpalo::Bump;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::column::{DataType, Schema};
use crate::error::Result;
use crate::format::{Decoded, Place};
use crate::source::Records;
use column::Tally;
pub use column::{Among, ColumnFound};
use times::{Candidates, OfRecords};
pub use times::{Reading, TimeFound};

/// This many distinct values of a column, and records, are tracked; more are counted as at least
/// this many.
const MAX_DISTINCT: usize = 1_000_000;

/// Looks at records.
#[derive(Debug)]
pub struct Look {
    schema: Schema,
    tallies: Vec<Tally>,
    times: Candidates,
    of_records: OfRecords,
    /// Hashes of whole records.
    whole: Seen,
    records: u64,
    repeated: u64,
    malformed: u64,
    first_malformed: Option<String>,
    over_lines: OverLines,
}

/// The delimited records that go over several lines, which only quotes let them.
#[derive(Debug, Default)]
struct OverLines {
    /// Between fields; `None` where a line is a record.
    delimiter: Option<u8>,
    found: Option<LinesFound>,
}

/// What is known of records that go over several lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinesFound {
    /// How many there are.
    pub records: u64,
    /// Where the first of them begins; the quote that holds its lines together opens there, in the same
    /// line.
    pub at: String,
    /// Over how many lines it goes.
    pub lines: u64,
    /// Whether the lines in its quotes have as many fields as a record: the quote is not closed, perhaps.
    pub has_records: bool,
}

impl OverLines {
    fn add(&mut self, place: Place, record: &[u8], columns: usize) {
        let Some(delimiter) = self.delimiter else {
            return;
        };
        let record = record.trim_ascii_end();
        if memchr::memchr(b'\n', record).is_none() {
            return;
        }
        if let Some(found) = &mut self.found {
            found.records += 1;
            return;
        }
        let lines = || record.split(|&byte| byte == b'\n');
        let fields = |line: &[u8]| memchr::memchr_iter(delimiter, line).count() + 1;
        self.found = Some(LinesFound {
            records: 1,
            at: place.to_string(),
            lines: lines().count() as u64,
            has_records: columns > 1 && lines().skip(1).any(|line| fields(line) >= columns),
        });
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// How many well-formed records were looked at.
    pub records: u64,
    /// How many were not well-formed, and where and why the first was not.
    pub malformed: u64,
    /// Of the first of them, where it is and why.
    pub first_malformed: Option<String>,
    /// How many records are the same as an earlier one in every byte.
    pub repeated: u64,
    /// Of records that go over several lines.
    pub over_lines: Option<LinesFound>,
    /// In the order of the header.
    pub columns: Vec<ColumnFound>,
    /// The columns that may be the event time, the likeliest first.
    pub times: Vec<TimeFound>,
}

/// Values, by hashes that look random: two of a million are the same once in many millions of runs.
#[derive(Debug, Default)]
struct Seen(HashSet<u64>);

impl Seen {
    /// Notes a value; returns whether it came before.
    fn came_before(&mut self, value: &[u8]) -> bool {
        let hash = xxh3_64(value);
        if self.0.len() < MAX_DISTINCT {
            !self.0.insert(hash)
        } else {
            self.0.contains(&hash)
        }
    }

    /// Returns how many there are, at least.
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Returns the columns of a schema as if undeclared: to be looked at as they are.
pub fn undeclared(mut schema: Schema) -> Schema {
    schema.change = None;
    for field in &mut schema.fields {
        field.data_type = DataType::Any;
    }
    schema
}

impl Look {
    /// Looks at records with these columns, all of them [`undeclared`]; the `delimiter` is that of
    /// records that quotes may hold together over several lines.
    pub fn new(schema: Schema, delimiter: Option<u8>) -> Self {
        Look {
            tallies: vec![Tally::default(); schema.fields.len()],
            times: Candidates::default(),
            of_records: OfRecords::default(),
            whole: Seen::default(),
            records: 0,
            repeated: 0,
            malformed: 0,
            first_malformed: None,
            over_lines: OverLines {
                delimiter,
                found: None,
            },
            schema,
        }
    }

    /// Returns how many records were looked at, malformed ones among them.
    pub fn records(&self) -> u64 {
        self.records + self.malformed
    }

    /// Looks at the records of a partition, in its order. Every row's origin is to be kept.
    ///
    /// # Errors
    /// `bug` where a reading of times cannot be tried.
    pub fn add<'a>(
        &mut self,
        partition: usize,
        decoded: &Decoded<'a>,
        records: &Records<'a>,
        arena: &'a Bump,
    ) -> Result<()> {
        let columns = &decoded.columns;
        self.records += columns.rows as u64;
        self.malformed += decoded.malformed.len() as u64;
        if let (None, Some(first)) = (&self.first_malformed, decoded.malformed.first()) {
            self.first_malformed = Some(format!("{}: {}", first.place, first.misfit.reason));
        }
        for (_, bytes) in &decoded.origins {
            self.repeated += u64::from(self.whole.came_before(bytes));
        }
        for (place, bytes) in &decoded.origins {
            self.over_lines.add(*place, bytes, self.schema.fields.len());
        }
        let place = |row: usize| {
            let origin = decoded.origins.get(row);
            origin.map_or(String::new(), |(place, _)| place.to_string())
        };
        for (tally, column) in self.tallies.iter_mut().zip(&columns.columns) {
            for row in 0..columns.rows {
                tally.add(column.value_ref(row), columns.decimal_comma, || place(row));
            }
        }
        self.times
            .add(partition, &self.schema, columns, &self.tallies, arena)?;
        if let Records::Messages(messages) = records {
            let times = messages.iter().map(|message| message.timestamp);
            times.for_each(|time| self.of_records.add(partition, time));
        }
        Ok(())
    }

    /// Returns what was found.
    pub fn finish(self) -> Findings {
        let fields = self.schema.fields.into_iter();
        let columns = fields.zip(self.tallies);
        let columns: Vec<ColumnFound> = columns
            .map(|(field, tally)| tally.finish(field.name))
            .collect();
        let mut times = self.times.finish(&columns);
        times.extend(self.of_records.finish());
        Findings {
            records: self.records,
            malformed: self.malformed,
            first_malformed: self.first_malformed,
            repeated: self.repeated,
            over_lines: self.over_lines.found,
            columns,
            times,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_over_several_lines_is_found_where_its_quote_opens() {
        let mut lines = OverLines {
            delimiter: Some(b','),
            found: None,
        };
        lines.add(Place::Line(2), b"a,1,2\n", 3);
        assert_eq!(lines.found, None);
        lines.add(Place::Line(3), b"b,\"x,3\nc,4,5\nd \",5\n", 3);
        lines.add(Place::Line(6), b"e,\"two\nlines\",5\n", 3);
        let expected = LinesFound {
            records: 2,
            at: "line 3".to_owned(),
            lines: 3,
            has_records: true,
        };
        assert_eq!(lines.found, Some(expected));
    }

    #[test]
    fn lines_of_a_text_are_not_taken_for_records() {
        let mut lines = OverLines {
            delimiter: Some(b','),
            found: None,
        };
        lines.add(Place::Line(6), b"e,\"two\nlines, and a comma\",5\n", 4);
        let found = lines.found.map(|found| (found.lines, found.has_records));
        assert_eq!(found, Some((2, false)));
    }
}
