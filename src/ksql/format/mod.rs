//! How keys and values are written: JSON, DELIMITED, KAFKA, NONE.
//!
//! A format reads a [document](super::document::Document), which is what a topic's bytes are, into
//! values of declared types, and writes values as a document.

mod delimited;
mod json;
mod kafka;

use std::fmt;

use super::document::Document;
use super::schema::Column;
use super::types::Type;
use super::value::Value;
use crate::error::{Error, Result};

pub use json::document_of;

/// A format by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A JSON document.
    Json,
    /// A line of values between delimiters.
    Delimited,
    /// One value as Kafka's own serializers write it.
    Kafka,
    /// No columns at all.
    None,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Json => "JSON",
            Kind::Delimited => "DELIMITED",
            Kind::Kafka => "KAFKA",
            Kind::None => "NONE",
        })
    }
}

/// A format and what a statement says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Which.
    pub kind: Kind,
    /// Between the values of DELIMITED.
    pub delimiter: char,
    /// Whether the only column stands within an object; `None` where nothing was said.
    pub is_wrapped: Option<bool>,
}

/// As WITH (…) would say it: `JSON`, `DELIMITED with ;`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.kind == Kind::Delimited && self.delimiter != ',' {
            write!(f, " with {}", self.delimiter)?;
        }
        match self.is_wrapped {
            Some(true) => f.write_str(", wrapped"),
            Some(false) => f.write_str(", unwrapped"),
            None => Ok(()),
        }
    }
}

impl Format {
    /// Returns the format without anything said of it.
    pub fn plain(kind: Kind) -> Self {
        Format {
            kind,
            delimiter: ',',
            is_wrapped: None,
        }
    }

    /// Reads a format's name.
    ///
    /// # Errors
    /// `usage` for an unknown name; "not supported yet" for one that needs a registry.
    pub fn named(name: &str) -> Result<Kind> {
        Ok(match name.to_uppercase().as_str() {
            "JSON" => Kind::Json,
            "DELIMITED" => Kind::Delimited,
            "KAFKA" => Kind::Kafka,
            "NONE" => Kind::None,
            other @ ("AVRO" | "PROTOBUF" | "PROTOBUF_NOSR" | "JSON_SR") => {
                return Err(Error::not_yet(format!("the format {other}"))
                    .hint("JSON, DELIMITED and KAFKA need no schema registry"));
            }
            other => {
                return Err(Error::usage(format!("Unknown format: {other}"))
                    .hint("the formats are JSON, DELIMITED, KAFKA and NONE"));
            }
        })
    }

    /// Checks that columns can be written in it.
    ///
    /// # Errors
    /// The reason, in a sentence that names format, columns and types.
    pub fn check(&self, columns: &[Column], is_key: bool) -> Result<(), String> {
        let list = || {
            let key = if is_key { " KEY" } else { "" };
            let columns: Vec<String> = columns
                .iter()
                .map(|column| format!("{column}{key}"))
                .collect();
            columns.join(", ")
        };
        let kind = self.kind;
        if kind == Kind::None && !columns.is_empty() {
            return Err(format!(
                "The 'NONE' format can only be used when no columns are defined. Got: [{}]",
                list()
            ));
        }
        if kind == Kind::Kafka && columns.len() > 1 {
            return Err(format!(
                "The 'KAFKA' format only supports a single field. Got: [{}]",
                list()
            ));
        }
        for column in columns {
            if let Some(refused) = self.refused(&column.of) {
                return Err(format!("column {}: {refused}", column.name));
            }
        }
        Ok(())
    }

    fn refused(&self, of: &Type) -> Option<String> {
        let unsupported = || {
            Some(format!(
                "The '{}' format does not support type '{}'",
                self.kind,
                of.base()
            ))
        };
        match (self.kind, of) {
            (Kind::Delimited, Type::Array(_) | Type::Map(..) | Type::Struct(_)) => unsupported(),
            (Kind::Kafka, Type::Int | Type::Bigint | Type::Double | Type::String | Type::Bytes) => {
                None
            }
            (Kind::Kafka, _) => unsupported(),
            (Kind::Json, Type::Map(key, _)) if **key != Type::String => {
                Some("JSON only supports MAP types with STRING keys".to_owned())
            }
            (Kind::Json, Type::Map(_, value) | Type::Array(value)) => self.refused(value),
            (Kind::Json, Type::Struct(fields)) => {
                fields.iter().find_map(|field| self.refused(&field.of))
            }
            _ => None,
        }
    }

    /// Returns whether the only column of such values stands within an object.
    fn wraps(&self, columns: &[Column], is_key: bool) -> bool {
        columns.len() != 1 || self.is_wrapped.unwrap_or(!is_key)
    }

    /// Reads columns from a document; `None` of none at all: no key, a tombstone.
    ///
    /// # Errors
    /// What does not fit, in a sentence.
    pub fn read(
        &self,
        document: &Document,
        columns: &[Column],
        is_key: bool,
    ) -> Result<Option<Vec<Value>>, String> {
        if matches!(document, Document::Null) {
            return Ok(None);
        }
        if columns.is_empty() {
            return Ok(Some(Vec::new()));
        }
        match self.kind {
            Kind::Json if self.wraps(columns, is_key) => {
                json::read_object(document, columns).map(Some)
            }
            Kind::Json => Ok(Some(vec![json::read(document, &columns[0].of)?])),
            Kind::Delimited => delimited::read(document, columns, self.delimiter).map(Some),
            Kind::Kafka => Ok(Some(vec![kafka::read(document, &columns[0].of)?])),
            Kind::None => Ok(Some(Vec::new())),
        }
    }

    /// Writes columns as a document. A key whose only column is null is no key.
    pub fn write(&self, values: &[Value], columns: &[Column], is_key: bool) -> Document {
        if is_key && (values.is_empty() || (values.len() == 1 && values[0].is_null())) {
            return Document::Null;
        }
        match self.kind {
            Kind::Json if self.wraps(columns, is_key) => json::object_of(values, columns),
            Kind::Json => json::document_of(&values[0], &columns[0].of),
            Kind::Delimited => delimited::write(values, columns, self.delimiter),
            Kind::Kafka if columns.is_empty() => Document::Null,
            Kind::Kafka => json::document_of(&values[0], &columns[0].of),
            Kind::None => Document::Null,
        }
    }
}
