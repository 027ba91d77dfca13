//! Texts that hold JSON.

use super::{Scalar, lenient, strict};
use crate::ksql::document::Document;
use crate::ksql::format::document_of;
use crate::ksql::time::{date_text, time_text, timestamp_text};
use crate::ksql::types::Type;
use crate::ksql::value::Value;

pub(super) const FUNCTIONS: &[Scalar] = &[
    strict(
        "EXTRACTJSONFIELD(json STRING, path STRING) STRING",
        "What lies at a path: `$.user.towers[0]`.",
        |call| {
            let document = Document::parse(call.text(0))?;
            let found =
                steps(call.text(1))?
                    .into_iter()
                    .try_fold(&document, |at, step| match step {
                        Step::Member(name) => at.get(&name),
                        Step::Element(index) => match at {
                            Document::Array(elements) => elements.get(index),
                            _ => None,
                        },
                    });
            Ok(found.map_or(Value::Null, text))
        },
    ),
    lenient(
        "IS_JSON_STRING(json STRING) BOOLEAN",
        "Whether a text is JSON.",
        |call| {
            Ok(call
                .some_text(0)
                .is_some_and(|json| Document::parse(json).is_ok())
                .into())
        },
    ),
    lenient(
        "JSON_ARRAY_CONTAINS(json STRING, value T) BOOLEAN",
        "Whether an array has a value.",
        |call| {
            let wanted = call.value(1);
            let of_wanted = document_of(wanted, &call.types[1]);
            // A number with a fraction or an exponent is a DOUBLE, any other an INT or BIGINT.
            let same = |element: &Document| match (element, wanted) {
                (Document::Number(text), Value::Double(wanted)) => {
                    text.contains(['.', 'e', 'E']) && text.parse() == Ok(*wanted)
                }
                (Document::Number(text), wanted) => wanted
                    .as_i64()
                    .is_some_and(|wanted| text.parse() == Ok(wanted)),
                (element, _) => *element == of_wanted,
            };
            Ok(call
                .some_text(0)
                .and_then(|json| elements(json).ok())
                .is_some_and(|elements| elements.iter().any(same))
                .into())
        },
    ),
    strict(
        "JSON_ARRAY_LENGTH(json STRING) INT",
        "How many elements an array has.",
        |call| Ok(Value::Int(elements(call.text(0))?.len() as i32)),
    ),
    strict(
        "JSON_KEYS(json STRING) ARRAY<STRING>",
        "The names of an object's members.",
        |call| {
            let members = members(call.text(0))?;
            Ok(Value::array(
                members.into_iter().map(|(name, _)| name.into()).collect(),
            ))
        },
    ),
    strict(
        "JSON_RECORDS(json STRING) MAP<STRING, STRING>",
        "An object's members, each value as JSON.",
        |call| {
            Ok(Value::map(members(call.text(0))?.into_iter().map(
                |(name, value)| (Value::from(name), Value::from(value.to_string())),
            )))
        },
    ),
    strict(
        "JSON_ITEMS(json STRING) ARRAY<STRING>",
        "The objects of an array, each as JSON; null if one is not an object.",
        |call| {
            let objects = elements(call.text(0))?;
            if let Some(other) = objects
                .iter()
                .find(|element| !matches!(element, Document::Object(_)))
            {
                return Err(format!("{} is not an object", other.kind()));
            }
            Ok(Value::array(
                objects
                    .iter()
                    .map(|element| Value::from(element.to_string()))
                    .collect(),
            ))
        },
    ),
    strict(
        "JSON_CONCAT(json STRING...) STRING",
        "Objects as one, of one name the last; else all as one array.",
        |call| {
            let documents: Result<Vec<Document>, String> = (0..call.count())
                .map(|at| Document::parse(call.text(at)))
                .collect();
            let documents = documents?;
            if documents
                .iter()
                .all(|document| matches!(document, Document::Object(_)))
            {
                let mut all: Vec<(String, Document)> = Vec::new();
                for document in documents {
                    let Document::Object(members) = document else {
                        continue;
                    };
                    for (name, value) in members {
                        match all.iter_mut().find(|(known, _)| *known == name) {
                            Some((_, known)) => *known = value,
                            None => all.push((name, value)),
                        }
                    }
                }
                return Ok(Document::Object(all).to_string().into());
            }
            let parts = documents.into_iter().flat_map(|document| match document {
                Document::Array(elements) => elements,
                other => vec![other],
            });
            Ok(Document::Array(parts.collect()).to_string().into())
        },
    ),
    lenient(
        "TO_JSON_STRING(value T) STRING",
        "A value as JSON.",
        |call| Ok(json_of(call.value(0), &call.types[0]).to_string().into()),
    ),
];

/// Writes times as texts, everything else as a topic's JSON.
fn json_of(value: &Value, of: &Type) -> Document {
    match (value, of) {
        (Value::Date(days), _) => Document::Text(date_text(*days)),
        (Value::Time(ms), _) => Document::Text(time_text(*ms)),
        (Value::Timestamp(ms), _) => Document::Text(timestamp_text(*ms)),
        (Value::Array(values), Type::Array(of)) => {
            Document::Array(values.iter().map(|value| json_of(value, of)).collect())
        }
        (Value::Map(entries), Type::Map(key, of)) => {
            let name = |key: &Value, of: &Type| {
                crate::ksql::value::text_of(key, of).unwrap_or_else(|| "null".to_owned())
            };
            Document::Object(
                entries
                    .iter()
                    .map(|(entry, value)| (name(entry, key), json_of(value, of)))
                    .collect(),
            )
        }
        (Value::Struct(values), Type::Struct(fields)) => Document::Object(
            fields
                .iter()
                .zip(values.iter())
                .map(|(field, value)| (field.name.clone(), json_of(value, &field.of)))
                .collect(),
        ),
        _ => document_of(value, of),
    }
}

/// A string's text, or the JSON of anything else: null is `null`.
fn text(document: &Document) -> Value {
    match document {
        Document::Text(text) => Value::from(text.as_str()),
        other => Value::from(other.to_string()),
    }
}

fn elements(json: &str) -> Result<Vec<Document>, String> {
    match Document::parse(json)? {
        Document::Array(elements) => Ok(elements),
        other => Err(format!("{} is not an array", other.kind())),
    }
}

fn members(json: &str) -> Result<Vec<(String, Document)>, String> {
    match Document::parse(json)? {
        Document::Object(members) => Ok(members),
        other => Err(format!("{} is not an object", other.kind())),
    }
}

enum Step {
    Member(String),
    Element(usize),
}

/// Reads `$.a.b[0]["c d"]`.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let invalid = || format!("invalid JSON path: {path}");
    let mut rest = path.strip_prefix('$').ok_or_else(invalid)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return Err(invalid());
            }
            steps.push(Step::Member(name[..end].to_owned()));
            rest = &name[end..];
        } else {
            let inner = rest.strip_prefix('[').ok_or_else(invalid)?;
            let end = inner.find(']').ok_or_else(invalid)?;
            let quoted = inner[..end].trim_matches(['"', '\'']);
            steps.push(match quoted.parse() {
                Ok(index) if quoted.len() == end => Step::Element(index),
                _ => Step::Member(quoted.to_owned()),
            });
            rest = &inner[end + 1..];
        }
    }
    Ok(steps)
}
