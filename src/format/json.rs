//! JSON lines → columns.
//!
//! Comes in: one object a line or a message. Goes out: the wanted members by column; a member
//! that is absent is null, others are passed over without being kept. Read by `serde_json`
//! straight into the columns: text without escapes still borrows from the source.

use std::fmt;

use bumpalo::Bump;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::de::{Read, SliceRead, StrRead};
use serde_json::value::RawValue;

use super::{Decoded, Layout, Malformed, Origin, Origins, Place, TimeFrom, parse_decimal, time_of};
use crate::column::{Column, Columns, DataType};
use crate::source::Records;

/// Decodes JSON objects that have the members of a [`Layout`].
#[derive(Debug, Clone)]
pub struct Decoder {
    layout: Layout,
    /// The members in the order in which they came last.
    order: Vec<Known>,
}

/// A member's name and its column, if it is wanted.
#[derive(Debug, Clone, Default)]
struct Known {
    name: String,
    column: Option<usize>,
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
                        self.decode_object(origin, None, origins, arena, &mut decoded);
                    }
                }
            }
            Records::Messages(messages) => {
                for message in messages {
                    let place = Place::Offset(message.partition, message.offset);
                    let origin = (place, message.value.unwrap_or(b"null"));
                    self.decode_object(origin, message.timestamp, origins, arena, &mut decoded);
                }
            }
        }
        decoded
    }

    /// Adds one row, or one malformed record and no row.
    fn decode_object<'a>(
        &mut self,
        (place, object): Origin<'a>,
        record_time: Option<i64>,
        origins: Origins,
        arena: &'a Bump,
        decoded: &mut Decoded<'a>,
    ) {
        let row = decoded.columns.rows;
        let columns = &mut decoded.columns;
        // Text is validated at once: by member it takes longer than all the rest.
        let read = match simdutf8::basic::from_utf8(object) {
            Ok(text) => self.read_object(StrRead::new(text), arena, columns, row),
            Err(_) => self.read_object(SliceRead::new(object), arena, columns, row),
        };
        let read = read.and_then(|()| self.time(&decoded.columns, row, record_time));
        match read {
            Ok(time) => {
                decoded.times.push(time);
                if origins == Origins::Keep {
                    decoded.origins.push((place, object));
                }
                decoded.columns.rows += 1;
            }
            Err(reason) => {
                let columns = decoded.columns.columns.iter_mut();
                columns.for_each(|column| column.truncate(row));
                decoded.malformed.push(Malformed {
                    before: row,
                    place,
                    at: None,
                    reason,
                    bytes: object,
                });
            }
        }
    }

    fn read_object<'a>(
        &mut self,
        object: impl Read<'a>,
        arena: &'a Bump,
        columns: &mut Columns<'a>,
        row: usize,
    ) -> Result<(), String> {
        let mut json = serde_json::Deserializer::new(object);
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
        Column::Decimal(values) => values.push(None),
        Column::Boolean(values) => values.push(None),
        Column::Text(values) => values.push(None),
    }
}

/// Reads the members of one object into the row `row` of the columns.
struct Members<'a, 'd> {
    layout: &'d Layout,
    order: &'d mut Vec<Known>,
    columns: &'d mut [Column<'a>],
    arena: &'a Bump,
    row: usize,
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
                layout: self.layout,
                known: &mut self.order[nth],
            };
            let Some(column) = members.next_key_seed(name)? else {
                break;
            };
            let Some(index) = column else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            self.columns[index].truncate(self.row); // of a member named twice the last one counts
            members.next_value_seed(Member {
                name: &self.layout.schema.fields[index].name,
                column: &mut self.columns[index],
                arena: self.arena,
            })?;
        }
        Ok(())
    }
}

/// Finds the column of a member's name, if it is wanted, by the member that stood there last.
struct Name<'d> {
    layout: &'d Layout,
    known: &'d mut Known,
}

impl<'de> serde::de::DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        let Known {
            name: known,
            column,
        } = self.known;
        if known != name || known.is_empty() {
            let Layout { schema, wanted, .. } = self.layout;
            let is_named = |&index: &usize| schema.fields[index].name == name;
            *column = wanted.iter().copied().find(is_named);
            known.clear();
            known.push_str(name);
        }
        Ok(*column)
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
            DataType::Bigint | DataType::Timestamp => "a bigint",
            DataType::Double => "a double",
            DataType::Decimal => "a decimal",
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
        let Column::Decimal(values) = self.column else {
            return value.deserialize_any(self);
        };
        // By its digits, which would be lost on the way through a float.
        let text = <&RawValue>::deserialize(value)?.get();
        let digits = text.trim_matches('"').as_bytes();
        values.push(match digits {
            b"null" | b"" => None,
            _ => match parse_decimal(digits) {
                Some(value) => Some(value),
                None => return Err(self.misfit(super::shown(digits))),
            },
        });
        Ok(())
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

#[cfg(test)]
mod tests;
