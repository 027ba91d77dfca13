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
use crate::format::Decoded;
use crate::source::Records;
pub use column::ColumnFound;
use column::Tally;
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
    /// Looks at records with these columns, all of them [`undeclared`].
    pub fn new(schema: Schema) -> Self {
        Look {
            tallies: vec![Tally::default(); schema.fields.len()],
            times: Candidates::default(),
            of_records: OfRecords::default(),
            whole: Seen::default(),
            records: 0,
            repeated: 0,
            malformed: 0,
            first_malformed: None,
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
        for (tally, column) in self.tallies.iter_mut().zip(&columns.columns) {
            for row in 0..columns.rows {
                tally.add(column.value_ref(row));
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
            columns,
            times,
        }
    }
}
