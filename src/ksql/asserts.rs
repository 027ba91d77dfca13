//! ASSERT: whether what a script says of streams, tables, records and topics holds.
//!
//! As ksqlDB's test tool has it: ASSERT VALUES and ASSERT NULL VALUES look at the records of a topic
//! one after the other, in the order in which they were written.

use std::collections::BTreeMap;

use super::catalog::Source;
use super::folder::Folder;
use super::lexer::{self, Span};
use super::properties::{Settings, With};
use super::records::{self, Record};
use super::schema::Column;
use super::session::{Session, inserted};
use super::syntax::{Assertion, Element, Expr, Name, Properties, Role, SourceKind};
use super::value::{Value, text_of};
use crate::error::{Error, Result};

/// Where records are.
pub trait Topics {
    /// Returns the records of a source's topic.
    ///
    /// # Errors
    /// Of reading them.
    fn records(&self, source: &Source) -> Result<Vec<Record>>;

    /// Returns whether there is a topic of this name.
    ///
    /// # Errors
    /// Of asking for it.
    fn has(&self, topic: &str) -> Result<bool>;
}

impl Topics for Folder {
    fn records(&self, source: &Source) -> Result<Vec<Record>> {
        self.read(source)
    }

    fn has(&self, topic: &str) -> Result<bool> {
        Ok(self.topics()?.iter().any(|known| known == topic))
    }
}

/// Checks assertions; knows which record of each topic is the next.
#[derive(Debug, Default)]
pub struct Asserter {
    next: BTreeMap<String, usize>,
}

impl Asserter {
    /// Checks one assertion; returns what holds, in a sentence.
    ///
    /// # Errors
    /// `refused` with what differs; `usage` for a name that is not there.
    pub fn check(
        &mut self,
        text: &str,
        assertion: &Assertion,
        session: &Session,
        topics: &dyn Topics,
    ) -> Result<String> {
        match assertion {
            Assertion::Values {
                name,
                columns,
                values,
            } => {
                let source = session.catalog.named(text, name)?;
                let (record, place) = self.next_record(text, name, source, topics)?;
                let expected = expected(text, source, columns, values, false)?;
                let event = records::read(source, &record)
                    .map_err(|misfit| failed(text, name.at, &[misfit.reason().to_owned()]))?;
                if event.is_null {
                    let found = format!("{place}: found a tombstone of key {}", record.key);
                    return Err(failed(text, name.at, &[found]));
                }
                compare(text, name, source, &place, &expected, &event.row)
            }
            Assertion::Tombstone { name, columns, key } => {
                let source = session.catalog.named(text, name)?;
                let (record, place) = self.next_record(text, name, source, topics)?;
                let expected = expected(text, source, columns, key, true)?;
                let event = records::read(source, &record)
                    .map_err(|misfit| failed(text, name.at, &[misfit.reason().to_owned()]))?;
                if !event.is_null {
                    let found = format!("{place}: found the value {}", record.value);
                    return Err(failed(text, name.at, &[found]));
                }
                compare(text, name, source, &place, &expected, &event.row)
            }
            Assertion::Source {
                kind,
                name,
                elements,
                properties,
            } => {
                let source = session.catalog.named(text, name)?;
                let differences = source_differences(text, source, *kind, elements, properties)?;
                if !differences.is_empty() {
                    return Err(failed(text, name.at, &differences));
                }
                Ok(format!("{kind} {name} is as asserted"))
            }
            Assertion::Topic {
                name,
                is_there,
                properties,
                ..
            } => {
                let is_found = topics.has(&name.text)?;
                if is_found != *is_there {
                    let found = if is_found { "is there" } else { "is not there" };
                    return Err(failed(text, name.at, &[format!("topic {name} {found}")]));
                }
                // A file has one partition and is there once.
                for (property, (value, at)) in properties.entries.iter().filter(|_| *is_there) {
                    let is_right = matches!(property.as_str(), "PARTITIONS" | "REPLICAS")
                        && value.to_string() == "1";
                    if !is_right {
                        let found = format!("topic {name}: {property} is not {value}");
                        return Err(failed(text, *at, &[found]));
                    }
                }
                let said = if *is_there {
                    "exists"
                } else {
                    "does not exist"
                };
                Ok(format!("Topic {name} {said}"))
            }
        }
    }

    /// Returns the next record of a source's topic, and how it is named in messages.
    fn next_record(
        &mut self,
        text: &str,
        name: &Name,
        source: &Source,
        topics: &dyn Topics,
    ) -> Result<(Record, String)> {
        let next = self.next.entry(source.topic.clone()).or_default();
        let mut records = topics.records(source)?;
        if *next >= records.len() {
            let found = format!(
                "topic {} has {} record(s), and no further one",
                source.topic,
                records.len()
            );
            return Err(failed(text, name.at, &[found]));
        }
        *next += 1;
        let place = format!("topic {}, record {next}", source.topic);
        Ok((records.swap_remove(*next - 1), place))
    }
}

fn failed(text: &str, at: Span, differences: &[String]) -> Error {
    let (line, column) = lexer::place(text, at.start);
    let message = format!(
        "line {line}:{column}: assertion failed\n{}",
        differences.join("\n")
    );
    Error::refused(message).at(text, at.start, at.end)
}

/// Returns the values that columns are to have; one that is not named is null.
fn expected(
    text: &str,
    source: &Source,
    columns: &[Name],
    values: &[Expr],
    of_key: bool,
) -> Result<Vec<(Column, Value)>> {
    let own: Vec<Column> = match of_key {
        true => source.schema.key.clone(),
        false => source.schema.columns().cloned().collect(),
    };
    let names: Vec<&str> = match columns {
        [] => own.iter().map(|column| column.name.as_str()).collect(),
        _ => columns.iter().map(|column| column.text.as_str()).collect(),
    };
    if names.len() != values.len() {
        let at = values.first().map_or(Span::default(), |value| value.at);
        let message = format!(
            "Expected a value for each column. Expected Columns: [{}]. Got {} value(s).",
            names.join(", "),
            values.len()
        );
        return Err(lexer::error(text, at, &message));
    }
    let scope = source.scope(&source.name);
    let mut expected = Vec::new();
    for (nth, value) in values.iter().enumerate() {
        let Some(known) = scope.columns.iter().find(|known| known.name == names[nth]) else {
            let at = columns.get(nth).map_or(value.at, |column| column.at);
            let message = format!("Column name {} does not exist.", names[nth]);
            return Err(lexer::error(text, at, &message));
        };
        let column = Column {
            name: known.name.clone(),
            of: known.of.clone(),
        };
        let value = inserted(text, value, &column)?;
        expected.push((column, value));
    }
    for column in own
        .iter()
        .filter(|column| !names.contains(&column.name.as_str()))
    {
        expected.push((column.clone(), Value::Null));
    }
    Ok(expected)
}

fn compare(
    text: &str,
    name: &Name,
    source: &Source,
    place: &str,
    expected: &[(Column, Value)],
    row: &[Value],
) -> Result<String> {
    let scope = source.scope(&source.name);
    let shown = |value: &Value, column: &Column| {
        text_of(value, &column.of).unwrap_or_else(|| "null".to_owned())
    };
    let mut differences = Vec::new();
    for (column, value) in expected {
        let at = scope
            .columns
            .iter()
            .position(|known| known.name == column.name);
        let found = at.and_then(|at| row.get(at)).unwrap_or(&Value::Null);
        if !(found == value || found.equals(value)) {
            differences.push(format!(
                "{place}: {} is {}, expected {}",
                column.name,
                shown(found, column),
                shown(value, column)
            ));
        }
    }
    if differences.is_empty() {
        Ok(format!("{place} is as asserted"))
    } else {
        Err(failed(text, name.at, &differences))
    }
}

/// Returns how a stream or table differs from what is asserted.
fn source_differences(
    text: &str,
    source: &Source,
    kind: SourceKind,
    elements: &[Element],
    properties: &Properties,
) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    if source.kind != kind {
        differences.push(format!(
            "{} is a {}, not a {kind}",
            source.name, source.kind
        ));
    }
    let is_key = |element: &Element| matches!(element.role, Role::Key | Role::PrimaryKey);
    let column = |element: &Element| Column {
        name: element.name.text.clone(),
        of: element.of.clone(),
    };
    let key: Vec<Column> = elements
        .iter()
        .filter(|element| is_key(element))
        .map(column)
        .collect();
    let value: Vec<Column> = elements
        .iter()
        .filter(|element| !is_key(element))
        .map(column)
        .collect();
    let said = super::schema::Schema { key, value };
    if !elements.is_empty() && said != source.schema {
        differences.push(format!(
            "the columns of {} are [{}], expected [{said}]",
            source.name, source.schema
        ));
    }
    let settings = Settings::default();
    let with = With {
        text,
        properties,
        settings: &settings,
    };
    with.check()?;
    let mut differ = |what: &str, found: String, wanted: String| {
        if found != wanted {
            differences.push(format!(
                "{what} of {} is {found}, expected {wanted}",
                source.name
            ));
        }
    };
    if let Some(topic) = with.get("KAFKA_TOPIC") {
        differ("the topic", source.topic.clone(), topic);
    }
    if let Some(format) = with.key_format()? {
        let found = source.key_format.kind.to_string();
        differ("the key format", found, format.kind.to_string());
    }
    if let Some(format) = with.value_format()? {
        let found = source.value_format.kind.to_string();
        differ("the value format", found, format.kind.to_string());
    }
    if let Some(time) = with.time(super::declare::fold) {
        let found = source.time.as_ref().map(|time| time.name.clone());
        differ(
            "the TIMESTAMP",
            found.unwrap_or_else(|| "none".to_owned()),
            time.name,
        );
    }
    if let Some(windows) = with.windows()? {
        let found = source.windows.map_or("none", |windows| windows.word());
        differ(
            "the WINDOW_TYPE",
            found.to_owned(),
            windows.word().to_owned(),
        );
    }
    Ok(differences)
}
