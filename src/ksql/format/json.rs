//! JSON documents ⇄ values, by the rules of ksqlDB's `KsqlJsonDeserializer`: names match without
//! regard to case, numbers may stand in quotes, an object or array where a STRING is wanted becomes
//! its text.

use std::sync::Arc;

use crate::ksql::decimal::Decimal;
use crate::ksql::document::Document;
use crate::ksql::schema::Column;
use crate::ksql::types::Type;
use crate::ksql::value::{Value, base64, from_base64, java_double};

/// Reads the members of an object.
pub(super) fn read_object(document: &Document, columns: &[Column]) -> Result<Vec<Value>, String> {
    let Document::Object(members) = document else {
        return Err(format!("expected a JSON object, found {}", document.kind()));
    };
    let read_member = |column: &Column| {
        let found = member(members, &column.name);
        let value = found.map_or(Ok(Value::Null), |found| read(found, &column.of));
        value.map_err(|reason| format!("column {}: {reason}", column.name))
    };
    columns.iter().map(read_member).collect()
}

/// Returns the member of exactly this name, else one that differs in case alone.
fn member<'d>(members: &'d [(String, Document)], name: &str) -> Option<&'d Document> {
    let exact = members.iter().rfind(|(member, _)| member == name);
    let found = exact.or_else(|| {
        members
            .iter()
            .rfind(|(member, _)| member.to_uppercase() == name)
    });
    found.map(|(_, value)| value)
}

/// Reads a value of a type.
///
/// # Errors
/// What does not fit.
pub fn read(document: &Document, of: &Type) -> Result<Value, String> {
    let misfit = || format!("cannot read {} as {of}", document.shown());
    let value = match (document, of) {
        (Document::Null, _) => Value::Null,
        (Document::Boolean(value), Type::Boolean) => Value::Boolean(*value),
        (Document::Number(text) | Document::Text(text), Type::Int) => match whole(document, text) {
            Some(value) => Value::Int(value as i32),
            None => return Err(misfit()),
        },
        (Document::Number(text) | Document::Text(text), Type::Bigint) => {
            match whole(document, text) {
                Some(value) => Value::Bigint(value),
                None => return Err(misfit()),
            }
        }
        (Document::Number(text) | Document::Text(text), Type::Double) => {
            Value::Double(java_parse_double(text).ok_or_else(misfit)?)
        }
        (Document::Number(text) | Document::Text(text), Type::Decimal { precision, scale }) => {
            let value =
                Decimal::parse(text.trim()).and_then(|value| value.fit_exactly(*precision, *scale));
            Value::Decimal(value.ok_or_else(misfit)?)
        }
        (Document::Text(text), Type::String) => Value::from(text.as_str()),
        (Document::Number(text), Type::String) => Value::from(number_text(text)),
        (Document::Boolean(value), Type::String) => Value::from(value.to_string()),
        (Document::Array(_) | Document::Object(_), Type::String) => {
            Value::from(document.to_string())
        }
        (Document::Text(text), Type::Bytes) => from_base64(text).ok_or_else(misfit)?,
        (Document::Number(text), Type::Date) => {
            Value::Date(whole(document, text).ok_or_else(misfit)? as i32)
        }
        (Document::Number(text), Type::Time) => {
            Value::Time(whole(document, text).ok_or_else(misfit)? as i32)
        }
        (Document::Number(text), Type::Timestamp) => {
            Value::Timestamp(whole(document, text).ok_or_else(misfit)?)
        }
        (Document::Array(elements), Type::Array(element)) => {
            let values: Result<Vec<Value>, String> =
                elements.iter().map(|value| read(value, element)).collect();
            Value::array(values?)
        }
        (Document::Object(members), Type::Map(key, value)) => {
            let entries: Result<Vec<(Value, Value)>, String> = members
                .iter()
                .map(|(name, member)| {
                    Ok((
                        read(&Document::Text(name.clone()), key)?,
                        read(member, value)?,
                    ))
                })
                .collect();
            Value::map(entries?)
        }
        (Document::Object(members), Type::Struct(fields)) => {
            let values: Result<Vec<Value>, String> = fields
                .iter()
                .map(|field| {
                    member(members, &field.name)
                        .map_or(Ok(Value::Null), |found| read(found, &field.of))
                })
                .collect();
            Value::Struct(Arc::new(values?))
        }
        _ => return Err(misfit()),
    };
    Ok(value)
}

/// Returns a number's text as Java's `asText` has it: a whole number as it is, any other as a double.
fn number_text(text: &str) -> String {
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return match Decimal::parse(text) {
            Some(value) if !text.contains(['e', 'E']) => value.to_string(),
            _ => text.parse().map_or_else(|_| text.to_owned(), java_double),
        };
    }
    text.to_owned()
}

/// Returns a whole number: of a JSON number without its fraction, of a text if it is one.
fn whole(document: &Document, text: &str) -> Option<i64> {
    if let Ok(value) = text.trim().parse::<i64>() {
        return Some(value);
    }
    match document {
        Document::Number(_) => Decimal::parse(text).map(|value| value.to_i64_wrapping()),
        _ => None,
    }
}

/// Reads a double as Java's `Double.parseDouble`.
fn java_parse_double(text: &str) -> Option<f64> {
    match text.trim() {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

/// Writes columns as an object.
pub(super) fn object_of(values: &[Value], columns: &[Column]) -> Document {
    let members = columns.iter().zip(values);
    Document::Object(
        members
            .map(|(column, value)| (column.name.clone(), document_of(value, &column.of)))
            .collect(),
    )
}

/// Writes a value.
pub fn document_of(value: &Value, of: &Type) -> Document {
    match (value, of) {
        (Value::Null, _) => Document::Null,
        (Value::Boolean(value), _) => Document::Boolean(*value),
        (Value::Double(value), _) if !value.is_finite() => Document::Text(java_double(*value)),
        (Value::Double(value), _) => Document::Number(java_double(*value)),
        (Value::Decimal(value), _) => Document::Number(value.to_string()),
        (Value::String(value), _) => Document::Text(value.to_string()),
        (Value::Bytes(value), _) => Document::Text(base64(value)),
        (Value::Array(values), Type::Array(element)) => Document::Array(
            values
                .iter()
                .map(|value| document_of(value, element))
                .collect(),
        ),
        (Value::Map(entries), Type::Map(key, of)) => {
            let name = |name: &Value| {
                super::super::value::text_of(name, key).unwrap_or_else(|| "null".to_owned())
            };
            let members = entries
                .iter()
                .map(|(key, value)| (name(key), document_of(value, of)));
            Document::Object(members.collect())
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            let members = fields.iter().zip(values.iter());
            Document::Object(
                members
                    .map(|(field, value)| (field.name.clone(), document_of(value, &field.of)))
                    .collect(),
            )
        }
        _ => value
            .as_i64()
            .map_or(Document::Null, |value| Document::Number(value.to_string())),
    }
}
