//! KAFKA: one value as Kafka's own serializers write it. A document holds it as a number or a text.

use crate::ksql::document::Document;
use crate::ksql::types::Type;
use crate::ksql::value::{Value, from_base64};

/// Reads the value.
pub(super) fn read(document: &Document, of: &Type) -> Result<Value, String> {
    let value = match (document, of) {
        (Document::Number(text), Type::Int) => text.parse().ok().map(Value::Int),
        (Document::Number(text), Type::Bigint) => text.parse().ok().map(Value::Bigint),
        (Document::Number(text), Type::Double) => text.parse().ok().map(Value::Double),
        (Document::Text(text), Type::String) => Some(Value::from(text.as_str())),
        (Document::Number(_) | Document::Boolean(_), Type::String) => {
            Some(Value::from(document.to_string()))
        }
        (Document::Text(text), Type::Bytes) => from_base64(text),
        _ => None,
    };
    value.ok_or_else(|| format!("cannot read {} as {of}", document.shown()))
}
