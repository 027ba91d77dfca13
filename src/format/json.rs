//! JSON lines → columns.
//!
//! Comes in: one object a line or a message. Goes out: the wanted members by column; a member
//! that is absent is null, others are passed over without being kept. Read by `serde_json`
//! straight into the columns: text without escapes still borrows from the source.

use std::borrow::Cow;
use std::fmt;

use bumpalo::Bump;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::de::{Read, SliceRead, StrRead};
use serde_json::value::RawValue;

use super::field::{Ending, FromField, Time};
use super::{Decoded, Layout, Malformed, Misfit, Origin, Origins, Place, TimeFrom, time_of};
use crate::column::{Column, Columns, DataType, Field};
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
                let takes_back = self.layout.schema.change;
                let takes_back = takes_back.is_some_and(|at| self.layout.wanted.contains(&at));
                for message in messages {
                    let place = Place::Offset(message.partition, message.offset);
                    let row = message.value.or_else(|| match takes_back {
                        true => message.taken_back(),
                        false => None,
                    });
                    let origin = (place, row.unwrap_or(b"null"));
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
        let mut read = |by_text: bool| match simdutf8::basic::from_utf8(object) {
            Ok(text) => self.read_object(StrRead::new(text), arena, columns, row, by_text),
            Err(_) => self.read_object(SliceRead::new(object), arena, columns, row, by_text),
        };
        // A string, a number and a field of CSV are judged alike: where the parser's types do not
        // fit, which is rare, the object is read again by its texts.
        let read = read(false).or_else(|_| read(true));
        let read = read.and_then(|()| self.time(&decoded.columns, row, record_time));
        match read {
            Ok(time) => {
                decoded.times.push(time);
                if origins == Origins::Keep {
                    decoded.origins.push((place, object));
                }
                decoded.columns.rows += 1;
            }
            Err(misfit) => {
                let columns = decoded.columns.columns.iter_mut();
                columns.for_each(|column| column.truncate(row));
                decoded.malformed.push(Malformed {
                    before: row,
                    place,
                    at: None,
                    misfit,
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
        by_text: bool,
    ) -> Result<(), Misfit> {
        if by_text {
            let columns = columns.columns.iter_mut();
            columns.for_each(|column| column.truncate(row)); // what the first reading has left
        }
        let mut json = serde_json::Deserializer::new(object);
        let members = Members {
            layout: &self.layout,
            order: &mut self.order,
            columns: &mut columns.columns,
            arena,
            row,
            by_text,
        };
        json.deserialize_map(members)
            .and_then(|()| json.end())
            .map_err(|error| misfit(&self.layout, reason_of(&error)))?;
        for &index in &self.layout.wanted {
            let column = &mut columns.columns[index];
            if column.len() == row {
                column.push_null();
            }
        }
        Ok(())
    }

    fn time(&self, columns: &Columns<'_>, row: usize, record: Option<i64>) -> Result<i64, Misfit> {
        match self.layout.time {
            TimeFrom::Column(index, unit) => {
                let name = &self.layout.schema.fields[index].name;
                time_of(&columns.columns[index], row, unit, name)
            }
            TimeFrom::Record => {
                record.ok_or_else(|| "the record has no timestamp".to_owned().into())
            }
            TimeFrom::Nowhere => Ok(0),
        }
    }
}

/// Returns a reason, and where it is about a column's type how such a value is kept.
fn misfit(layout: &Layout, reason: String) -> Misfit {
    let mut fields = layout.schema.fields.iter();
    let field = fields.find(|field| reason.starts_with(&format!("column `{}`: ", field.name)));
    let misfit = Misfit::from(reason);
    match field {
        Some(field) => misfit.or(super::declare_cure(&field.name)),
        None => misfit,
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

/// Reads the members of one object into the row `row` of the columns.
struct Members<'a, 'd> {
    layout: &'d Layout,
    order: &'d mut Vec<Known>,
    columns: &'d mut [Column<'a>],
    arena: &'a Bump,
    row: usize,
    by_text: bool,
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
                field: &self.layout.schema.fields[index],
                column: &mut self.columns[index],
                arena: self.arena,
                by_text: self.by_text,
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
    field: &'d Field,
    column: &'d mut Column<'a>,
    arena: &'a Bump,
    by_text: bool,
}

impl<'de> serde::de::DeserializeSeed<'de> for Member<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let is_plain = match self.field.data_type {
            DataType::Any | DataType::Decimal | DataType::Timestamp | DataType::Number => false,
            DataType::Bigint | DataType::Double | DataType::Boolean | DataType::Text => true,
        };
        if is_plain && !self.by_text {
            return value.deserialize_any(self);
        }
        // By its text, of which a number's digits would be lost on the way through a float.
        let raw = <&RawValue>::deserialize(value)?.get();
        let Some(text) = text_of(raw, self.arena).map_err(D::Error::custom)? else {
            self.column.push_null();
            return Ok(());
        };
        push_text(self.column, self.field.data_type, text).map_err(|expected| {
            let (name, shown) = (&self.field.name, super::shown(text.as_bytes()));
            D::Error::custom(format_args!("column `{name}`: {shown} is {expected}"))
        })
    }
}

/// Returns the text of a value: of a string without its quotes, of all else as it is written;
/// `None` for null.
fn text_of<'a>(raw: &'a str, arena: &'a Bump) -> serde_json::Result<Option<&'a str>> {
    let Some(inner) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) else {
        return Ok((raw != "null").then_some(raw));
    };
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Some(inner));
    }
    let text: String = serde_json::from_str(raw)?;
    Ok(Some(arena.alloc_str(&text)))
}

/// Returns whether an object's member is a string.
pub fn is_string(object: &[u8], name: &str) -> bool {
    struct Find<'n>(&'n str);
    impl<'de> Visitor<'de> for Find<'_> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<bool, M::Error> {
            let mut is_string = false;
            while let Some(name) = members.next_key::<Cow<'de, str>>()? {
                let raw = members.next_value::<&RawValue>()?;
                if name == self.0 {
                    is_string = raw.get().starts_with('"');
                }
            }
            Ok(is_string)
        }
    }
    let mut json = serde_json::Deserializer::from_slice(object);
    json.deserialize_map(Find(name)).unwrap_or(false)
}

/// Reads a text as a column's type, as a field of CSV is read; an empty one stays an empty text.
///
/// # Errors
/// What it is not.
fn push_text<'a>(
    column: &mut Column<'a>,
    data_type: DataType,
    text: &'a str,
) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    match column {
        Column::Bigint(values) if data_type == DataType::Timestamp => {
            let time = Time::from_field(bytes)?;
            values.push(time.map(|Time(at)| at));
        }
        Column::Bigint(values) => {
            let last = None;
            values.push(FromField::from_field(Ending { bytes, last })?);
        }
        Column::Double(values) => values.push(FromField::from_field(bytes)?),
        Column::Decimal(values) => values.push(FromField::from_field(bytes)?),
        Column::Boolean(values) => values.push(FromField::from_field(bytes)?),
        Column::Number(values) => values.push(FromField::from_field(bytes)?),
        Column::Text(values) | Column::Any(values) => values.push(Some(text)),
    }
    Ok(())
}

/// What the text of a value has to say.
fn needs_text<E: serde::de::Error>() -> E {
    E::custom("the text of the value decides")
}

impl<'de> Visitor<'de> for Member<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { name, data_type } = self.field;
        write!(f, "a {data_type} in column `{name}`")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.column {
            Column::Bigint(values) => values.push(Some(value)),
            Column::Double(values) => values.push(Some(value as f64)),
            _ => return Err(needs_text()),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(needs_text()),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match self.column {
            Column::Double(values) => values.push(Some(value)),
            _ => return Err(needs_text()),
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        match self.column {
            Column::Boolean(values) => values.push(Some(value)),
            _ => return Err(needs_text()),
        }
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<(), E> {
        match self.column {
            Column::Text(values) => values.push(Some(value)),
            _ => return Err(needs_text()),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let arena = self.arena;
        self.visit_borrowed_str(arena.alloc_str(value))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.column.push_null();
        Ok(())
    }

    fn visit_seq<S: serde::de::SeqAccess<'de>>(self, _: S) -> Result<(), S::Error> {
        Err(needs_text())
    }

    fn visit_map<M: MapAccess<'de>>(self, _: M) -> Result<(), M::Error> {
        Err(needs_text())
    }
}

#[cfg(test)]
mod tests;
