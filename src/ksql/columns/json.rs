//! A plain line of JSON → the columns of a batch.
//!
//! Plain is what ksqlDB reads as it is written: an object whose members have the columns' names,
//! whatever their case, with numbers for numbers and strings for STRINGs. All else is left to
//! [`records`](crate::ksql::records), which knows the rules: nothing is decided twice.

use std::fmt;

use bumpalo::Bump;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::de::StrRead;

use super::batch::Batch;
use super::data_type;
use crate::column::{Column, DataType};
use crate::ksql::catalog::Source;
use crate::ksql::folder::TIME;
use crate::ksql::types::Type;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A row of this time, in ms; its columns are in the batch.
    Row(i64),
    /// Nothing that can be read here; the batch is as it was.
    Unusual,
}

/// Reads plain lines.
#[derive(Debug)]
pub struct Lines {
    /// The names of the columns, and what is done with their values.
    names: Vec<(String, Use)>,
    /// Which columns of the batch are INT, and so wrap.
    is_int: Vec<bool>,
    /// The column of the batch that is ROWTIME.
    row_time: Option<usize>,
    /// The column of the batch that the time is read from; else it is the member of the time.
    time: Option<usize>,
    /// The members in the order in which they came last.
    order: Vec<Known>,
}

/// What a query does with a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Reads them into this column of the batch.
    Read(usize),
    /// Nothing; but a record of which one column cannot be read is not a row.
    Checked(Check),
}

/// What a value has to be, for a column to be able to hold it without further rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    /// Anything: it becomes a text.
    Text,
    Whole,
    Real,
    Boolean,
    /// Only null is plain.
    Other,
}

impl Check {
    fn of(of: &Type) -> Self {
        match data_type(of) {
            Some(DataType::Text) => Check::Text,
            Some(DataType::Bigint) => Check::Whole,
            Some(DataType::Double) => Check::Real,
            Some(DataType::Boolean) => Check::Boolean,
            _ => Check::Other,
        }
    }
}

/// A member's name and what happens to its value.
#[derive(Debug, Clone, Default)]
struct Known {
    name: String,
    target: Target,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Target {
    #[default]
    Nothing,
    Column(usize),
    /// Of a column that the query does not read.
    Checked(Check),
    /// The time of records that have no column of it.
    Time,
    /// Both.
    TimeAndColumn(usize),
    /// Nothing that may be decided here.
    Unusual,
}

impl Lines {
    /// Returns the reader of the columns `read` of a source's rows, each at its place there; `times`
    /// says where ROWTIME and the column of the time are in a row.
    pub fn new(source: &Source, read: &[(usize, Type)], times: (usize, Option<usize>)) -> Self {
        let (row_time, time) = times;
        let place = |at: usize| read.iter().position(|(known, _)| *known == at);
        let keys = source.schema.key.len();
        let values = source.schema.value.iter().enumerate();
        // A line has no key: the columns of the key are null.
        let names = values.map(|(nth, column)| {
            let checked = || Use::Checked(Check::of(&column.of));
            let of = place(keys + nth).map_or_else(checked, Use::Read);
            (column.name.clone(), of)
        });
        Lines {
            names: names.collect(),
            is_int: read
                .iter()
                .map(|(_, of)| matches!(of, Type::Int | Type::Date | Type::Time))
                .collect(),
            row_time: place(row_time),
            time: time.and_then(place),
            order: Vec::new(),
        }
    }

    /// Reads a line into the batch.
    pub fn read<'a>(&mut self, line: &'a [u8], batch: &mut Batch<'a>, arena: &'a Bump) -> Line {
        let nth = batch.times.len();
        let Some(time) = self.read_line(line, batch, arena) else {
            batch.truncate(nth);
            return Line::Unusual;
        };
        Line::Row(time)
    }

    fn read_line<'a>(
        &mut self,
        line: &'a [u8],
        batch: &mut Batch<'a>,
        arena: &'a Bump,
    ) -> Option<i64> {
        let nth = batch.times.len();
        let text = simdutf8::basic::from_utf8(line).ok()?;
        let mut order = std::mem::take(&mut self.order);
        let mut time = None;
        let mut json = serde_json::Deserializer::new(StrRead::new(text));
        let members = Members {
            lines: self,
            order: &mut order,
            columns: &mut batch.columns,
            time: &mut time,
            arena,
        };
        let read = json.deserialize_map(members).and_then(|()| json.end());
        self.order = order;
        read.ok()?;
        for column in batch.columns.iter_mut().take(self.is_int.len()) {
            match column.len().checked_sub(nth)? {
                0 => column.push_null(),
                1 => {}
                _ => return None, // a member that was there twice
            }
        }
        let time = match self.time.map(|at| &batch.columns[at]) {
            None => time.unwrap_or_default(),
            Some(Column::Bigint(times)) => times.get(nth).filter(|time| *time >= 0)?,
            Some(_) => return None,
        };
        if let Some(Column::Bigint(times)) = self.row_time.map(|at| &mut batch.columns[at]) {
            times.truncate(nth);
            times.push(Some(time));
        }
        Some(time)
    }

    /// Returns what happens to the value of a member.
    fn target(&self, name: &str) -> Target {
        // Of an envelope, or with letters whose other case is another number of them.
        if ["topic", "partition", "offset"].contains(&name) || !name.is_ascii() {
            return Target::Unusual;
        }
        let is_time = self.time.is_none() && name == TIME;
        let is_meant = |(known, _): &&(String, Use)| known.eq_ignore_ascii_case(name);
        let mut found = self.names.iter().filter(is_meant);
        let (known, of) = match (found.next(), found.next()) {
            (None, _) if is_time => return Target::Time,
            (None, _) => return Target::Nothing,
            (Some(found), None) => found,
            (Some(_), Some(_)) => return Target::Unusual,
        };
        // A name in backticks that has small letters is found by nothing else.
        if known != name && *known != name.to_ascii_uppercase() {
            return Target::Unusual;
        }
        match of {
            Use::Read(at) if is_time => Target::TimeAndColumn(*at),
            Use::Read(at) => Target::Column(*at),
            Use::Checked(Check::Boolean | Check::Other) if is_time => Target::Unusual,
            Use::Checked(_) if is_time => Target::Time,
            Use::Checked(Check::Text) => Target::Nothing,
            Use::Checked(check) => Target::Checked(*check),
        }
    }
}

/// Reads the members of an object, which came last in some order.
struct Members<'a, 'd> {
    lines: &'d Lines,
    order: &'d mut Vec<Known>,
    columns: &'d mut [Column<'a>],
    time: &'d mut Option<i64>,
    arena: &'a Bump,
}

/// What ends the reading of a line; it is read again as a record.
fn unusual<E: serde::de::Error>() -> E {
    E::custom("unusual")
}

impl<'de> Visitor<'de> for Members<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        for nth in 0.. {
            if nth == self.order.len() {
                self.order.push(Known::default());
            }
            let name = Name {
                lines: self.lines,
                known: &mut self.order[nth],
            };
            match members.next_key_seed(name)? {
                None => break,
                Some(Target::Nothing) => drop(members.next_value::<IgnoredAny>()?),
                Some(Target::Column(at)) => members.next_value_seed(Member {
                    column: &mut self.columns[at],
                    is_int: self.lines.is_int[at],
                    arena: self.arena,
                })?,
                Some(Target::Checked(check)) => members.next_value_seed(check)?,
                Some(Target::Time) if self.time.is_none() => {
                    *self.time = Some(members.next_value::<i64>()?);
                }
                Some(Target::TimeAndColumn(at)) if self.time.is_none() => {
                    let time = members.next_value::<i64>()?;
                    *self.time = Some(time);
                    match &mut self.columns[at] {
                        Column::Bigint(values) if !self.lines.is_int[at] => values.push(Some(time)),
                        _ => return Err(unusual()),
                    }
                }
                Some(_) => return Err(unusual()),
            }
        }
        Ok(())
    }
}

/// Finds what happens to a member by its name, or by the member that was there last.
struct Name<'d> {
    lines: &'d Lines,
    known: &'d mut Known,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Target;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Target, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Target, E> {
        if self.known.name != name || name.is_empty() {
            self.known.target = self.lines.target(name);
            self.known.name.clear();
            self.known.name.push_str(name);
        }
        Ok(self.known.target)
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl Check {
    fn take<E: serde::de::Error>(self, fitting: &[Check]) -> Result<(), E> {
        if fitting.contains(&self) {
            Ok(())
        } else {
            Err(unusual())
        }
    }
}

impl Visitor<'_> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.take(&[Check::Whole, Check::Real])
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.take(&[Check::Real]),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.take(&[Check::Real])
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.take(&[Check::Boolean])
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(unusual())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a value into the end of its column, if it is of its type.
struct Member<'a, 'd> {
    column: &'d mut Column<'a>,
    is_int: bool,
    arena: &'a Bump,
}

impl<'de> DeserializeSeed<'de> for Member<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.column {
            Column::Bigint(values) if self.is_int => values.push(Some((value as i32).into())),
            Column::Bigint(values) => values.push(Some(value)),
            Column::Double(values) => values.push(Some(value as f64)),
            _ => return Err(unusual()),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(unusual()),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match self.column {
            Column::Double(values) => values.push(Some(value)),
            _ => return Err(unusual()),
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        match self.column {
            Column::Boolean(values) => values.push(Some(value)),
            _ => return Err(unusual()),
        }
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<(), E> {
        match self.column {
            Column::Text(values) => values.push(Some(value)),
            _ => return Err(unusual()),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let text = self.arena.alloc_str(value);
        self.visit_borrowed_str(text)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.column.push_null();
        Ok(())
    }
}
