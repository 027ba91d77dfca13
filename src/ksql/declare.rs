//! CREATE STREAM|TABLE name (columns) WITH (…): checked, and made a source.

use super::catalog::{Catalog, Source};
use super::format::Format;
use super::lexer::{self, Span};
use super::properties::{Settings, With};
use super::schema::{Column, Schema, is_reserved};
use super::syntax::{Create, Element, Name, Role, SourceKind};
use super::types::{Field, Type};
use crate::error::Result;

/// Returns the source that a statement declares; its name may be taken.
///
/// # Errors
/// `usage` with line, column and the names at fault.
pub fn declare(text: &str, create: &Create, settings: &Settings) -> Result<Source> {
    let with = With {
        text,
        properties: &create.properties,
        settings,
    };
    with.check()?;
    let name = &create.name;
    if create.elements.is_empty() {
        if create.kind == SourceKind::Table {
            return Err(lexer::error(
                text,
                name.at,
                "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.",
            ));
        }
        let message = "The statement does not define any columns.";
        return Err(lexer::error(text, name.at, message)
            .hint("no schema registry says which columns there are: list them"));
    }
    let (schema, headers) = columns(text, create)?;
    let Some(topic) = with.get("KAFKA_TOPIC") else {
        let message = "Missing required property \"KAFKA_TOPIC\" which has no default value.";
        return Err(with.error("KAFKA_TOPIC", message));
    };
    let key_format = match with.key_format()? {
        Some(format) => format,
        None => with.default_key_format()?,
    };
    let value_format = match with.value_format()? {
        Some(format) => format,
        None => with.default_value_format()?,
    };
    with.check_delimiters(key_format, value_format)?;
    let windows = with.windows()?;
    if windows.is_some() && schema.key.is_empty() {
        return Err(with.error("WINDOW_TYPE", "Windowed sources require a key column."));
    }
    let source = Source {
        name: name.text.clone(),
        kind: create.kind,
        schema,
        headers,
        topic,
        key_format,
        value_format: Format::plain(value_format.kind),
        windows,
        time: with.time(fold),
        is_read_only: create.is_source,
        is_derived: false,
    };
    let columns = source.written_value();
    let value_format = with.wrapped(value_format, columns.len())?;
    check_formats(
        text,
        name.at,
        &source.schema.key,
        &columns,
        key_format,
        value_format,
    )?;
    check_time(&with, &source)?;
    Ok(Source {
        value_format,
        ..source
    })
}

/// Returns a column's name as a statement means it: folded unless it is in backticks.
pub fn fold(text: &str) -> String {
    match text
        .strip_prefix('`')
        .and_then(|text| text.strip_suffix('`'))
    {
        Some(quoted) => quoted.replace("``", "`"),
        None => text.to_uppercase(),
    }
}

/// Checks that formats hold the columns.
///
/// # Errors
/// `usage` that names format, columns and types.
pub fn check_formats(
    text: &str,
    at: Span,
    key: &[Column],
    value: &[Column],
    key_format: Format,
    value_format: Format,
) -> Result<()> {
    for column in key {
        if column.of.has_map() {
            let message = format!(
                "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to inconsistent serialization. Key column name: `{}`. Column type: {}.",
                column.name, column.of
            );
            return Err(lexer::error(text, at, &message));
        }
    }
    let refused = |part: &str, reason: String| {
        lexer::error(
            text,
            at,
            &format!("{part} format does not support schema: {reason}"),
        )
    };
    key_format
        .check(key, true)
        .map_err(|reason| refused("Key", reason))?;
    value_format
        .check(value, false)
        .map_err(|reason| refused("Value", reason))
}

/// Checks the column that a record's time is read from.
///
/// # Errors
/// `usage` if it is not there, or of another type.
pub fn check_time(with: &With, source: &Source) -> Result<()> {
    let Some(time) = &source.time else {
        return Ok(());
    };
    let Some(column) = source
        .schema
        .columns()
        .find(|column| column.name == time.name)
    else {
        let message = format!(
            "The TIMESTAMP column set in the WITH clause does not exist in the schema: '{}'",
            time.name
        );
        return Err(with.error("TIMESTAMP", &message));
    };
    match (&column.of, &time.pattern) {
        (Type::Bigint | Type::Timestamp, None) | (Type::String, Some(_)) => Ok(()),
        (Type::String, None) => {
            let message = format!(
                "A String timestamp field {} has been specified without also specifying the timestamp_format",
                time.name
            );
            Err(with.error("TIMESTAMP", &message))
        }
        (of, Some(_)) => {
            let message = format!(
                "Timestamp column {} should be VARCHAR where timestamp_format is given; it is {of}",
                time.name
            );
            Err(with.error("TIMESTAMP_FORMAT", &message))
        }
        (of, None) => {
            let message = format!(
                "Timestamp column, {}, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified; it is {of}",
                time.name
            );
            Err(with.error("TIMESTAMP", &message))
        }
    }
}

fn columns(text: &str, create: &Create) -> Result<(Schema, Vec<(usize, Role)>)> {
    let mut schema = Schema::default();
    let mut headers: Vec<(usize, Role)> = Vec::new();
    for element in &create.elements {
        check_element(text, create.kind, element)?;
        let name = &element.name;
        if schema.has(&name.text) {
            return Err(lexer::error(
                text,
                name.at,
                &format!("Duplicate column names: {name}"),
            ));
        }
        let column = Column {
            name: name.text.clone(),
            of: element.of.clone(),
        };
        match element.role {
            Role::Key | Role::PrimaryKey => schema.key.push(column),
            Role::Value => schema.value.push(column),
            Role::Headers | Role::Header(_) => {
                check_header(text, element, &headers)?;
                headers.push((schema.value.len(), element.role.clone()));
                schema.value.push(column);
            }
        }
    }
    if create.kind == SourceKind::Table && schema.key.is_empty() {
        let message = "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.";
        return Err(lexer::error(text, create.name.at, message));
    }
    Ok((schema, headers))
}

fn check_element(text: &str, kind: SourceKind, element: &Element) -> Result<()> {
    let Name { text: name, at } = &element.name;
    if is_reserved(name) {
        return Err(lexer::error(
            text,
            *at,
            &format!("'{name}' is a reserved column name."),
        ));
    }
    match (kind, &element.role) {
        (SourceKind::Stream, Role::PrimaryKey) => {
            let message =
                format!("Column `{name}` is a 'PRIMARY KEY' column: please use 'KEY' for streams.");
            Err(lexer::error(text, *at, &message))
        }
        (SourceKind::Table, Role::Key) => {
            let message =
                format!("Column `{name}` is a 'KEY' column: please use 'PRIMARY KEY' for tables.");
            Err(lexer::error(text, *at, &message))
        }
        _ => Ok(()),
    }
}

fn check_header(text: &str, element: &Element, known: &[(usize, Role)]) -> Result<()> {
    let name = &element.name;
    let all = Type::array(Type::Struct(vec![
        Field {
            name: "KEY".to_owned(),
            of: Type::String,
        },
        Field {
            name: "VALUE".to_owned(),
            of: Type::Bytes,
        },
    ]));
    let has_all = known.iter().any(|(_, role)| *role == Role::Headers);
    let wrong = |message: &str| Err(lexer::error(text, name.at, message));
    match &element.role {
        Role::Headers if element.of != all => wrong(&format!(
            "Invalid type for HEADERS column: expected ARRAY<STRUCT<`KEY` STRING, `VALUE` BYTES>>, got {} ({name})",
            element.of
        )),
        Role::Header(_) if element.of != Type::Bytes => wrong(&format!(
            "Invalid type for HEADER('key') column: expected BYTES, got {} ({name})",
            element.of
        )),
        Role::Headers if !known.is_empty() && !has_all => wrong(&format!(
            "Schema already contains a HEADER('key') column; {name} cannot be HEADERS"
        )),
        Role::Headers if has_all => wrong(&format!(
            "Schema already contains a HEADERS column; {name} cannot be another"
        )),
        Role::Header(_) if has_all => wrong(&format!(
            "Schema already contains a HEADERS column; {name} cannot be HEADER('key')"
        )),
        Role::Header(key) if known.iter().any(|(_, role)| *role == element.role) => wrong(
            &format!("Schema already contains a HEADER('{key}') column; {name} cannot be another"),
        ),
        _ => Ok(()),
    }
}

/// Refuses what CREATE OR REPLACE cannot do to a source.
///
/// # Errors
/// `usage` that says what differs.
pub fn check_replaced(text: &str, catalog: &Catalog, new: &Source, at: Span) -> Result<()> {
    let Some(old) = catalog.get(&new.name) else {
        return Ok(());
    };
    let kind = new.kind.to_string().to_lowercase();
    let refuse = |reason: String| {
        Err(lexer::error(
            text,
            at,
            &format!("Cannot add {kind} '{}': {reason}", new.name),
        ))
    };
    if old.is_read_only {
        return refuse(format!(
            "CREATE OR REPLACE is not supported on source {kind}s."
        ));
    }
    if old.kind != new.kind {
        return refuse(format!(
            "A {} with the same name already exists",
            old.kind.to_string().to_lowercase()
        ));
    }
    if old.topic != new.topic {
        return refuse(format!(
            "DataSource topics differ: '{}' and '{}'",
            old.topic, new.topic
        ));
    }
    for (part, old, new) in [
        ("key", old.key_format, new.key_format),
        ("value", old.value_format, new.value_format),
    ] {
        if old != new {
            return refuse(format!("{part} formats differ: {old} and {new}"));
        }
    }
    if old.windows != new.windows {
        return refuse("the windows of its keys differ".to_owned());
    }
    let added = |old: &[Column], new: &[Column]| old.iter().all(|column| new.contains(column));
    if !added(&old.schema.value, &new.schema.value) || old.schema.key != new.schema.key {
        return refuse(format!(
            "The following columns are changed, missing or reordered: [{}] → [{}]",
            old.schema, new.schema
        ));
    }
    Ok(())
}
