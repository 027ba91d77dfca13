//! Which columns an input has, and of which types: declared, known by name, or inferred.
//!
//! Comes in: `--schema` text, a header, or the first records. Goes out: a [`Schema`].

use std::collections::BTreeMap;

use super::field::parse_bigint;
use crate::column::{DataType, Field, Schema};
use crate::error::{Error, Result};
use crate::source::Records;

/// How many records a type is inferred from.
pub const SAMPLE: usize = 1_000;

/// The column in which `-` takes an earlier record back, as a result of `k window` has it.
pub const CHANGE: &str = "change";

/// The columns of `mono_signal.csv`: one line a call.
pub const MONO_SIGNAL: [&str; 8] = [
    "call_id",
    "start_timestamp",
    "end_timestamp",
    "start_timestring",
    "end_timestring",
    "caller",
    "callee",
    "disposition",
];
/// The columns of `tower.csv`: one line for a call's stay at one antenna.
pub const TOWER: [&str; 4] = ["call_id", "tower", "start_timestamp", "end_timestamp"];

/// Returns the type of a column that the workshop's data has, whatever its values look like.
pub fn known_type(name: &str) -> Option<DataType> {
    match name {
        "call_id" | "start_timestamp" | "end_timestamp" | "arrival_timestamp" | "event_time"
        | "window_start" | "window_end" => Some(DataType::Bigint),
        "caller" | "callee" | "tower" | "disposition" | "start_timestring" | "end_timestring" => {
            Some(DataType::Text)
        }
        _ => None,
    }
}

/// Returns the header of CSV values in a topic, which carry none: that of the workshop's file
/// with as many fields, without or with an arrival time.
pub fn known_header(fields: usize) -> Option<Vec<String>> {
    let known: &[&str] = match fields {
        8 | 9 => &MONO_SIGNAL,
        4 | 5 => &TOWER,
        _ => return None,
    };
    let arrival = (fields > known.len()).then_some("arrival_timestamp");
    let names = known.iter().copied().chain(arrival);
    Some(names.map(str::to_owned).collect())
}

/// Reads a declaration such as `caller string, n bigint`.
///
/// # Errors
/// `usage` with carets under what is not `NAME TYPE`.
pub fn parse_declaration(text: &str) -> Result<Schema> {
    let mut schema = Schema::default();
    let mut start = 0;
    for part in text.split(',') {
        let at = start + part.len() - part.trim_start().len();
        let wrong = |message: String| {
            Error::usage(message)
                .at(text, at, at + part.trim().len())
                .hint("declare columns as `caller string, n bigint`; types are bigint, double, decimal, boolean, string")
        };
        start += part.len() + 1;
        let mut words = part.split_whitespace();
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong(
                "a column's declaration is a name and a type".to_owned(),
            ));
        };
        let data_type = match kind.to_ascii_lowercase().as_str() {
            "bigint" | "int" | "integer" => DataType::Bigint,
            "double" => DataType::Double,
            "decimal" | "numeric" => DataType::Decimal,
            "boolean" => DataType::Boolean,
            "string" | "varchar" | "text" => DataType::Text,
            _ => return Err(wrong(format!("unknown type `{kind}`"))),
        };
        if schema.index_of(name).is_some() {
            return Err(wrong(format!("column `{name}` is declared twice")));
        }
        schema.fields.push(Field {
            name: name.to_owned(),
            data_type,
        });
    }
    Ok(schema)
}

/// What the values of a column have been so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    bigint: bool,
    double: bool,
    boolean: bool,
    text: bool,
    /// `+` or `-`, which are text, too.
    sign: bool,
    /// What is neither `+` nor `-`.
    no_sign: bool,
}

impl Seen {
    fn data_type(self) -> DataType {
        match self {
            Seen { text: true, .. } => DataType::Text,
            Seen {
                boolean: true,
                bigint: false,
                double: false,
                ..
            } => DataType::Boolean,
            Seen { boolean: true, .. } => DataType::Text,
            Seen { double: true, .. } => DataType::Double,
            Seen { bigint: true, .. } => DataType::Bigint,
            _ => DataType::Text,
        }
    }

    /// Text with a leading 0 or + stays text: it is a code or a phone number.
    fn add_text(&mut self, field: &[u8]) {
        let digits = field.strip_prefix(b"-").unwrap_or(field);
        let coded = matches!(digits, [b'0', next, ..] if *next != b'.') || digits.starts_with(b"+");
        let number = digits.first().is_some_and(u8::is_ascii_digit) && !coded;
        let double = || {
            let text = std::str::from_utf8(field).ok()?;
            text.parse::<f64>().ok().filter(|value| value.is_finite())
        };
        self.add_sign(field);
        match field {
            [] => {}
            _ if number && parse_bigint(field).is_some() => self.bigint = true,
            _ if number && double().is_some() => self.double = true,
            _ if field.eq_ignore_ascii_case(b"true") || field.eq_ignore_ascii_case(b"false") => {
                self.boolean = true;
            }
            _ => self.text = true,
        }
    }

    fn add_sign(&mut self, text: &[u8]) {
        match text {
            [] => {}
            b"+" | b"-" => self.sign = true,
            _ => self.no_sign = true,
        }
    }

    fn add_json(&mut self, value: &serde_json::Value) {
        if let serde_json::Value::String(text) = value {
            self.add_sign(text.as_bytes());
        }
        match value {
            serde_json::Value::Number(number) if number.is_i64() => self.bigint = true,
            serde_json::Value::Number(_) => self.double = true,
            serde_json::Value::Bool(_) => self.boolean = true,
            serde_json::Value::String(_) => self.text = true,
            _ => {}
        }
    }
}

/// Infers the types of a header's columns from the first [`SAMPLE`] of some records.
///
/// Records of another width are passed over; they are malformed, and decoding says so.
pub fn infer_delimited(names: &[String], delimiter: u8, records: &Records<'_>) -> Schema {
    let mut seen = vec![Seen::default(); names.len()];
    let mut left = SAMPLE;
    for bytes in pieces(records) {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(bytes);
        for record in reader.byte_records().flatten().take(left) {
            left -= 1;
            if record.len() == names.len() {
                seen.iter_mut()
                    .zip(&record)
                    .for_each(|(seen, field)| seen.add_text(field));
            }
        }
    }
    with_types(names.iter().cloned().zip(seen))
}

/// Infers columns and types from the first [`SAMPLE`] JSON objects of some records: every member
/// that is not an object or an array, in the order of their first appearance.
pub fn infer_json(records: &Records<'_>) -> Schema {
    let mut names: Vec<String> = Vec::new();
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut left = SAMPLE;
    for bytes in pieces(records) {
        let objects = serde_json::Deserializer::from_slice(bytes);
        let objects = objects.into_iter::<Ordered>().take(left);
        for Ordered(object) in objects.map_while(std::result::Result::ok) {
            left -= 1;
            for (name, value) in object {
                if value.is_object() || value.is_array() {
                    continue;
                }
                let known = seen.entry(name.clone()).or_insert_with(|| {
                    names.push(name);
                    Seen::default()
                });
                known.add_json(&value);
            }
        }
    }
    with_types(names.into_iter().map(|name| {
        let seen = seen.get(&name).copied().unwrap_or_default();
        (name, seen)
    }))
}

/// Returns the schema of columns whose values have been seen.
fn with_types(columns: impl Iterator<Item = (String, Seen)>) -> Schema {
    let mut schema = Schema::default();
    for (name, seen) in columns {
        if name == CHANGE && seen.sign && !seen.no_sign && seen.data_type() == DataType::Text {
            schema.change = Some(schema.fields.len());
        }
        let data_type = known_type(&name).unwrap_or(seen.data_type());
        schema.fields.push(Field { name, data_type });
    }
    schema
}

/// Returns `inferred` with the types that a person declared, and behind it the declared columns
/// that it has not.
pub fn declare(inferred: Schema, declared: &Schema) -> Schema {
    let mut schema = inferred;
    for field in &declared.fields {
        match schema.index_of(&field.name) {
            Some(index) => schema.fields[index].data_type = field.data_type,
            None => schema.fields.push(field.clone()),
        }
    }
    schema
}

/// Returns the bytes of some records: all lines in one piece, or a piece a message.
fn pieces<'a>(records: &'a Records<'_>) -> Vec<&'a [u8]> {
    match records {
        Records::Lines(lines) => vec![lines.bytes],
        Records::Messages(messages) => {
            let values = messages.iter().filter_map(|message| message.value);
            values.take(SAMPLE).collect()
        }
    }
}

/// The members of a JSON object in their order; `serde_json`'s own map sorts them.
struct Ordered(Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Ordered;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(
                self,
                mut map: M,
            ) -> Result<Ordered, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        object.deserialize_map(Members)
    }
}
