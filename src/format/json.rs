//! JSON lines → columns.
//!
//! Comes in: one object a line or a message. Goes out: the wanted members by column; a member
//! that is absent is null, others are passed over without being kept. Read by `serde_json`
//! straight into the columns: text without escapes still borrows from the source.

use std::fmt;

use bumpalo::Bump;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{Decoded, Layout, Malformed, Origin, Origins, Place, TimeFrom, time_of};
use crate::column::{Column, Columns, DataType};
use crate::source::Records;

/// Decodes JSON objects that have the members of a [`Layout`].
#[derive(Debug, Clone)]
pub struct Decoder {
    layout: Layout,
    /// Which column a member is, by the order in which members came last time.
    order: Vec<usize>,
}

impl Decoder {
    /// Returns a decoder of the layout's members.
    pub fn new(layout: Layout) -> Self {
        Decoder {
            layout,
            order: Vec::new(),
        }
    }

    /// Decodes some records; blank lines are no records.
    pub fn decode<'a>(
        &mut self,
        records: &Records<'a>,
        origins: Origins,
        arena: &'a Bump,
    ) -> Decoded<'a> {
        let fields = &self.layout.schema.fields;
        let mut decoded = Decoded::default();
        decoded.columns.columns = fields
            .iter()
            .map(|field| Column::with_capacity(field.data_type, 0))
            .collect();
        match records {
            Records::Lines(lines) => {
                let mut start = 0;
                for (line, end) in (lines.first_line..).zip(memchr::memchr_iter(b'\n', lines.bytes))
                {
                    let object = lines.bytes[start..end].trim_ascii();
                    start = end + 1;
                    if !object.is_empty() {
                        let origin = (Place::Line(line), object);
                        self.decode_object(origin, None, arena, &mut decoded);
                    }
                }
            }
            Records::Messages(messages) => {
                for message in messages {
                    let place = Place::Offset(message.partition, message.offset);
                    let origin = (place, message.value.unwrap_or(b"null"));
                    self.decode_object(origin, message.timestamp, arena, &mut decoded);
                }
            }
        }
        if origins == Origins::Forget {
            decoded.origins.clear();
        }
        decoded
    }

    /// Adds one row, or one malformed record and no row.
    fn decode_object<'a>(
        &mut self,
        (place, object): Origin<'a>,
        record_time: Option<i64>,
        arena: &'a Bump,
        decoded: &mut Decoded<'a>,
    ) {
        let row = decoded.columns.rows;
        let read = self
            .read_object(object, arena, &mut decoded.columns, row)
            .and_then(|()| self.time(&decoded.columns, row, record_time));
        match read {
            Ok(time) => {
                decoded.times.push(time);
                decoded.origins.push((place, object));
                decoded.columns.rows += 1;
            }
            Err(reason) => {
                let columns = decoded.columns.columns.iter_mut();
                columns.for_each(|column| column.truncate(row));
                decoded.malformed.push(Malformed {
                    before: row,
                    place,
                    reason,
                    bytes: object,
                });
            }
        }
    }

    fn read_object<'a>(
        &mut self,
        object: &'a [u8],
        arena: &'a Bump,
        columns: &mut Columns<'a>,
        row: usize,
    ) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_slice(object);
        let members = Members {
            layout: &self.layout,
            order: &mut self.order,
            columns: &mut columns.columns,
            arena,
            row,
        };
        json.deserialize_map(members)
            .and_then(|()| json.end())
            .map_err(|error| reason_of(&error))?;
        for &index in &self.layout.wanted {
            let column = &mut columns.columns[index];
            if column.len() == row {
                push_null(column);
            }
        }
        Ok(())
    }

    fn time(&self, columns: &Columns<'_>, row: usize, record: Option<i64>) -> Result<i64, String> {
        match self.layout.time {
            TimeFrom::Column(index, unit) => {
                let name = &self.layout.schema.fields[index].name;
                time_of(&columns.columns[index], row, unit, name)
            }
            TimeFrom::Record => record.ok_or_else(|| "the record has no timestamp".to_owned()),
            TimeFrom::Nowhere => Ok(0),
        }
    }
}

/// Returns `serde_json`'s words without "at line 1", which every record would have.
pub(super) fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => text.replace(&place, ""),
        _ => format!(
            "no JSON: {} at byte {}",
            text.replace(&place, ""),
            error.column()
        ),
    }
}

fn push_null(column: &mut Column<'_>) {
    match column {
        Column::Bigint(values) => values.push(None),
        Column::Double(values) => values.push(None),
        Column::Boolean(values) => values.push(None),
        Column::Text(values) => values.push(None),
    }
}

/// Reads the members of one object into the row `row` of the columns.
struct Members<'a, 'd> {
    layout: &'d Layout,
    order: &'d mut Vec<usize>,
    columns: &'d mut [Column<'a>],
    arena: &'a Bump,
    row: usize,
}

/// Stands in [`Decoder::order`] for a member that is not wanted.
const UNWANTED: usize = usize::MAX;

impl<'de> Visitor<'de> for Members<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        let mut nth = 0;
        loop {
            let name = Name {
                layout: self.layout,
                guess: self.order.get(nth).copied().unwrap_or(UNWANTED),
            };
            let Some(index) = members.next_key_seed(name)? else {
                return Ok(());
            };
            match self.order.get_mut(nth) {
                Some(known) => *known = index,
                None => self.order.push(index),
            }
            nth += 1;
            if index == UNWANTED {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            self.columns[index].truncate(self.row); // of a member named twice the last one counts
            members.next_value_seed(Member {
                name: &self.layout.schema.fields[index].name,
                column: &mut self.columns[index],
                arena: self.arena,
            })?;
        }
    }
}

/// Finds the column of a member's name without keeping the name.
struct Name<'d> {
    layout: &'d Layout,
    guess: usize,
}

impl<'de> serde::de::DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<usize, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        let fields = &self.layout.schema.fields;
        if fields
            .get(self.guess)
            .is_some_and(|field| field.name == name)
        {
            return Ok(self.guess);
        }
        let mut wanted = self.layout.wanted.iter().copied();
        Ok(wanted
            .find(|&index| fields[index].name == name)
            .unwrap_or(UNWANTED))
    }
}

/// Reads one value into the end of its column.
struct Member<'a, 'd> {
    name: &'d str,
    column: &'d mut Column<'a>,
    arena: &'a Bump,
}

impl Member<'_, '_> {
    fn misfit<E: serde::de::Error>(&self, value: impl fmt::Display) -> E {
        let article = match self.column.data_type() {
            DataType::Text => "text",
            DataType::Bigint => "a bigint",
            DataType::Double => "a double",
            DataType::Boolean => "a boolean",
        };
        E::custom(format_args!(
            "column `{}`: {value} is not {article}",
            self.name
        ))
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Member<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} in column `{}`", self.column.data_type(), self.name)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.column {
            Column::Bigint(values) => values.push(Some(value)),
            Column::Double(values) => values.push(Some(value as f64)),
            _ => return Err(self.misfit(format_args!("`{value}`"))),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match (i64::try_from(value), &mut *self.column) {
            (Ok(value), _) => self.visit_i64(value),
            (_, Column::Double(values)) => {
                values.push(Some(value as f64));
                Ok(())
            }
            _ => Err(self.misfit(format_args!("`{value}`"))),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match self.column {
            Column::Double(values) => values.push(Some(value)),
            _ => return Err(self.misfit(format_args!("`{value}`"))),
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        match self.column {
            Column::Boolean(values) => values.push(Some(value)),
            _ => return Err(self.misfit(format_args!("`{value}`"))),
        }
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<(), E> {
        match self.column {
            Column::Text(values) => values.push(Some(value)),
            _ => return Err(self.misfit(super::shown(value.as_bytes()))),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let arena = self.arena;
        self.visit_borrowed_str(arena.alloc_str(value))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        push_null(self.column);
        Ok(())
    }

    fn visit_seq<S: serde::de::SeqAccess<'de>>(self, _: S) -> Result<(), S::Error> {
        Err(S::Error::custom(format_args!(
            "column `{}`: an array is no value of a column",
            self.name
        )))
    }

    fn visit_map<M: MapAccess<'de>>(self, _: M) -> Result<(), M::Error> {
        Err(M::Error::custom(format_args!(
            "column `{}`: an object is no value of a column",
            self.name
        )))
    }
}
