//! JSON lines → columns.
//!
//! In: one object a line or a message. Out: the wanted members by column, or what lies in them; a
//! member that is absent is null, others are passed over without being kept. Read by `serde_json`
//! straight into the columns: text without escapes still borrows from the source.

mod find;

use std::fmt;

use bumpalo::Bump;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::de::{Read, SliceRead, StrRead};
use serde_json::value::RawValue;

pub use find::find;
pub(crate) use find::text_of;

use super::dialect::Spelling;
use super::field::push_text;
use super::parts::Parts;
use super::tree::{Target, Tree};
use super::{
    Decoded, Layout, Malformed, Misfit, NO_TIME, Origin, Origins, Place, TimeFrom, time_of,
};
use crate::column::{Column, Columns, DataType, Field};
use crate::source::{Message, Records};

/// Decodes JSON objects that have the members of a [`Layout`].
#[derive(Debug, Clone)]
pub struct Decoder {
    layout: Layout,
    spelling: Spelling,
    tree: Tree,
    parts: Parts,
    /// The wanted columns without the parts.
    members: Vec<usize>,
    /// For each object of the tree its members in the order in which they came last.
    orders: Vec<Order>,
    /// Which columns of paths have the value of a member that is called so; empty without paths.
    is_named: Vec<bool>,
}

type Order = Vec<Known>;

/// A member's name and what happens to its value.
#[derive(Debug, Clone, Default)]
struct Known {
    name: String,
    target: Target,
}

impl Decoder {
    /// Returns a decoder of the layout's members.
    pub fn new(layout: Layout, spelling: Spelling) -> Self {
        let tree = Tree::of(&layout);
        let columns = if tree.has_paths {
            layout.schema.fields.len()
        } else {
            0
        };
        let (parts, wanted) = (Parts::of(&layout), layout.wanted.iter().copied());
        Decoder {
            orders: vec![Vec::new(); tree.len()],
            members: wanted.filter(|&index| !parts.has(index)).collect(),
            parts,
            is_named: vec![false; columns],
            tree,
            layout,
            spelling,
        }
    }

    /// Returns how values are spelled.
    pub(crate) fn spelling(&self) -> &Spelling {
        &self.spelling
    }

    /// Decodes some records; blank lines are not records.
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
                        let origin = (Place::of(lines, line), object);
                        self.decode_object(origin, None, origins, arena, &mut decoded);
                    }
                }
            }
            Records::Messages(messages) => {
                let takes_back = self.layout.schema.change;
                let takes_back = takes_back.is_some_and(|at| self.layout.wanted.contains(&at));
                for message in messages {
                    let place = Place::Offset(message.partition, message.offset);
                    let row = message.value.or_else(|| {
                        if takes_back {
                            message.taken_back()
                        } else {
                            None
                        }
                    });
                    let origin = (place, row.unwrap_or(b"null"));
                    self.decode_object(origin, Some(message), origins, arena, &mut decoded);
                }
            }
        }
        decoded
    }

    /// Adds one row, or one malformed record and no row.
    fn decode_object<'a>(
        &mut self,
        (place, object): Origin<'a>,
        message: Option<&Message<'a>>,
        origins: Origins,
        arena: &'a Bump,
        decoded: &mut Decoded<'a>,
    ) {
        let row = decoded.columns.rows;
        let columns = &mut decoded.columns;
        let by_text = !self.spelling.nulls.is_empty();
        // Text is validated at once: by member it takes longer than all the rest.
        let mut read = |by_text: bool| match simdutf8::basic::from_utf8(object) {
            Ok(text) => self.read_object(StrRead::new(text), arena, columns, row, by_text),
            Err(_) => self.read_object(SliceRead::new(object), arena, columns, row, by_text),
        };
        // A string, a number and a field of CSV are judged alike: where the parser's types do not
        // fit, which is rare, the object is read again by its texts.
        let read = read(by_text).or_else(|_| read(true));
        let read = read.and_then(|()| {
            let columns = &mut decoded.columns;
            if let Some(message) = message {
                self.parts.push(message, &mut columns.columns)?;
            }
            let timestamp = message.and_then(|message| message.timestamp);
            self.time(columns, row, timestamp)
        });
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
        self.is_named.fill(false);
        let mut json = serde_json::Deserializer::new(object);
        let members = Members {
            layout: &self.layout,
            spelling: &self.spelling,
            tree: &self.tree,
            orders: &mut self.orders,
            is_named: &mut self.is_named,
            columns: &mut columns.columns,
            arena,
            at: 0,
            row,
            by_text,
        };
        json.deserialize_map(members)
            .and_then(|()| json.end())
            .map_err(|error| misfit(&self.layout, reason_of(&error)))?;
        for &index in &self.members {
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
            TimeFrom::Computed(_) => Ok(NO_TIME), // of whole columns, later
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
            "not JSON: {} at byte {}",
            text.replace(&place, ""),
            error.column()
        ),
    }
}

/// Reads what is wanted of one value, the members of an object or the elements of a list, into the row
/// `row` of the columns.
struct Members<'a, 'd> {
    layout: &'d Layout,
    spelling: &'d Spelling,
    tree: &'d Tree,
    orders: &'d mut [Order],
    is_named: &'d mut [bool],
    columns: &'d mut [Column<'a>],
    arena: &'a Bump,
    /// The node of the tree that the value is.
    at: usize,
    row: usize,
    by_text: bool,
}

impl<'a> Members<'a, '_> {
    /// Reads the members of an object, which came last in some order.
    fn read<M: MapAccess<'a>>(
        &mut self,
        mut members: M,
        order: &mut Order,
    ) -> Result<(), M::Error> {
        for nth in 0.. {
            if nth == order.len() {
                order.push(Known::default());
            }
            let name = Name {
                tree: self.tree,
                at: self.at,
                known: &mut order[nth],
            };
            match members.next_key_seed(name)? {
                None => break,
                Some(Target::Nothing) => drop(members.next_value::<IgnoredAny>()?),
                Some(target) => members.next_value_seed(self.value(target))?,
            }
        }
        Ok(())
    }

    fn value(&mut self, target: Target) -> Value<'a, '_> {
        Value {
            of: Members {
                layout: self.layout,
                spelling: self.spelling,
                tree: self.tree,
                orders: &mut *self.orders,
                is_named: &mut *self.is_named,
                columns: &mut *self.columns,
                arena: self.arena,
                at: self.at,
                row: self.row,
                by_text: self.by_text,
            },
            target,
        }
    }

    /// Forgets what a column has of this row, for of a member named twice the last one counts; returns
    /// whether it takes a value: not where it has that of a member that is called as its whole path.
    fn clear(&mut self, index: usize) -> bool {
        let is_named = self.is_named.get(index) == Some(&true);
        if !is_named {
            self.columns[index].truncate(self.row);
        }
        !is_named
    }

    /// Returns what reads a value into a column, if that takes one.
    fn member(&mut self, index: usize) -> Option<Member<'a, '_>> {
        self.clear(index).then(|| Member {
            field: &self.layout.schema.fields[index],
            column: &mut self.columns[index],
            arena: self.arena,
            by_text: self.by_text,
            spelling: self.spelling,
        })
    }

    /// Takes a value that is itself wanted, or in which something may be.
    fn take<D: Deserializer<'a>>(mut self, value: D) -> Result<(), D::Error> {
        let tree = self.tree;
        let node = tree.node(self.at);
        for &index in &node.within {
            self.clear(index);
        }
        let is_itself = !node.columns.is_empty() || !node.namesakes.is_empty();
        if !is_itself && !self.by_text {
            return value.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(value)?.get();
        for &index in &node.namesakes {
            self.is_named[index] = false;
        }
        for &index in node.columns.iter().chain(&node.namesakes) {
            if let Some(member) = self.member(index) {
                member.push(raw).map_err(D::Error::custom)?;
            }
        }
        for &index in &node.namesakes {
            self.is_named[index] = true;
        }
        // Of a number or a text nothing is wanted, so it need not be one that can be read.
        if node.within.is_empty() || !raw.starts_with(['{', '[']) {
            return Ok(());
        }
        let mut json = serde_json::Deserializer::from_str(raw);
        let read = json.deserialize_any(self);
        read.map_err(|error| D::Error::custom(reason_of(&error)))
    }
}

impl<'de> Visitor<'de> for Members<'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, members: M) -> Result<(), M::Error> {
        let mut order = std::mem::take(&mut self.orders[self.at]);
        let read = self.read(members, &mut order);
        self.orders[self.at] = order;
        read
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut elements: S) -> Result<(), S::Error> {
        for nth in 0.. {
            let target = self.tree.target_of_element(self.at, nth);
            if elements.next_element_seed(self.value(target))?.is_none() {
                break;
            }
        }
        Ok(())
    }

    // Nothing lies in any other value.

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads one value of a member or an element, if it is wanted.
struct Value<'a, 'd> {
    of: Members<'a, 'd>,
    target: Target,
}

impl<'de> DeserializeSeed<'de> for Value<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, value: D) -> Result<(), D::Error> {
        match self.target {
            Target::Nothing => {}
            Target::Column(index) => {
                if let Some(member) = self.of.member(index) {
                    return member.deserialize(value);
                }
            }
            Target::Node(at) => {
                self.of.at = at;
                return self.of.take(value);
            }
        }
        IgnoredAny::deserialize(value).map(|_| ())
    }
}

/// Finds what happens to a member by its name, or by the member that was there last.
struct Name<'d> {
    tree: &'d Tree,
    at: usize,
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
        let Known {
            name: known,
            target,
        } = self.known;
        if known != name || known.is_empty() {
            *target = self.tree.target_of_member(self.at, name);
            known.clear();
            known.push_str(name);
        }
        Ok(*target)
    }
}

/// Reads one value into the end of its column.
struct Member<'a, 'd> {
    field: &'d Field,
    column: &'d mut Column<'a>,
    arena: &'a Bump,
    by_text: bool,
    spelling: &'d Spelling,
}

impl<'de> DeserializeSeed<'de> for Member<'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let is_plain = match self.field.data_type {
            DataType::Any | DataType::Decimal | DataType::Timestamp | DataType::Number => false,
            DataType::Bigint | DataType::Double | DataType::Boolean | DataType::Text => true,
        };
        if is_plain && !self.by_text {
            return value.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(value)?.get();
        self.push(raw).map_err(D::Error::custom)
    }
}

impl<'a> Member<'a, '_> {
    /// Reads a value by its text, of which a number's digits would be lost on the way through a float.
    fn push(self, raw: &'a str) -> Result<(), String> {
        let text = text_of(raw, self.arena).map_err(|error| error.to_string())?;
        let text = text.filter(|text| !self.spelling.is_null(text.as_bytes()));
        let Some(text) = text else {
            self.column.push_null();
            return Ok(());
        };
        push_text(self.column, self.field.data_type, text).map_err(|expected| {
            let (name, shown) = (&self.field.name, super::shown(text.as_bytes()));
            format!("column `{name}`: {shown} is {expected}")
        })
    }
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
mod python;
#[cfg(test)]
mod tests;
