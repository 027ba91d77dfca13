//! What a ksqlDB server answers.

use crate::error::{Error, Result};
use crate::ksql::answer::Answer;
use crate::ksql::document::Document;

/// An element of an answer to a query.
pub(super) enum Element {
    /// Nothing to show.
    Nothing,
    /// A row.
    Row(Answer),
    /// Anything else that is shown.
    Said(Answer),
}

/// An answer to a query, as its lines come.
#[derive(Default)]
pub(super) struct Stream {
    columns: Vec<String>,
    query_id: Option<String>,
    has_begun: bool,
    has_rows: bool,
    is_complete: bool,
}

impl Stream {
    /// Returns the query's id, by which it can be ended.
    pub fn query_id(&self) -> Option<String> {
        self.query_id.clone()
    }

    /// Takes in a line.
    ///
    /// # Errors
    /// Of a query that failed; `refused` for what is no element.
    pub fn take(&mut self, line: &str) -> Result<Element> {
        let mut text = line.trim();
        if text.is_empty() {
            return Ok(Element::Nothing);
        }
        // PRINT answers in plain lines.
        let is_json = text.starts_with(['[', '{', ']', ',']);
        if !is_json && !self.has_begun {
            self.is_complete = true;
            return Ok(Element::Said(Answer::Lines(vec![line.to_owned()])));
        }
        self.has_begun = true;
        if let Some(rest) = text.strip_prefix('[') {
            text = rest;
        }
        // The end of the array, not that of a row within an object.
        if let Some(rest) = text.strip_suffix(']') {
            self.is_complete = true;
            text = rest;
        }
        let text = text.trim_matches(',').trim();
        if text.is_empty() {
            return Ok(Element::Nothing);
        }
        let element = Document::parse(text)
            .map_err(|reason| Error::refused(format!("the server sent `{text}`: {reason}")))?;
        self.element(&element)
    }

    fn element(&mut self, element: &Document) -> Result<Element> {
        if let Some(header) = element.get("header") {
            let text = |name: &str| header.get(name).and_then(Document::as_text);
            self.query_id = text("queryId").map(str::to_owned);
            self.columns = columns(text("schema").unwrap_or_default());
            return Ok(Element::Nothing);
        }
        if let Some(row) = element.get("row") {
            let Some(Document::Array(values)) = row.get("columns") else {
                return Err(Error::refused("the server sent a row without columns"));
            };
            let is_first = !std::mem::replace(&mut self.has_rows, true);
            return Ok(Element::Row(Answer::Rows {
                columns: self.columns.clone(),
                rows: vec![values.iter().map(cell).collect()],
                is_first,
            }));
        }
        if let Some(error) = element.get("errorMessage") {
            return Err(self::error(500, Some(error), ""));
        }
        match element.get("finalMessage").and_then(Document::as_text) {
            Some(message) => Ok(Element::Said(Answer::Said(message.to_owned()))),
            // continuationToken, consistencyToken, and what a later server adds.
            None => Ok(Element::Nothing),
        }
    }

    /// Takes in the end of the answer.
    ///
    /// # Errors
    /// `retry` for one that was cut off.
    pub fn end(&self) -> Result<()> {
        match self.is_complete {
            true => Ok(()),
            false => Err(Error::retry("the server's answer was cut off")),
        }
    }
}

/// Returns a value as it is shown.
fn cell(value: &Document) -> (Option<String>, Document) {
    let text = match value {
        Document::Null => None,
        Document::Text(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    (text, value.clone())
}

/// Returns the names of a schema: `` `ID` BIGINT KEY, `S` STRUCT<`A` INT, `B` INT> ``.
fn columns(schema: &str) -> Vec<String> {
    let (mut names, mut name) = (Vec::new(), String::new());
    let (mut depth, mut is_quoted, mut is_named) = (0i32, false, false);
    for c in schema.chars() {
        match c {
            '`' if depth == 0 && !is_named => {
                is_named = is_quoted;
                is_quoted = !is_quoted;
            }
            _ if is_quoted => name.push(c),
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                is_named = false;
            }
            _ => {}
        }
    }
    if !name.is_empty() {
        names.push(name);
    }
    names
}

/// Returns a command's id and its number, of an answer that names one.
pub(super) fn command(entity: &Document) -> Option<(String, i64)> {
    let id = entity.get("commandId")?.as_text()?.to_owned();
    let sequence = entity
        .get("commandSequenceNumber")
        .and_then(Document::as_i64);
    Some((id, sequence.unwrap_or(-1)))
}

/// Returns the warnings of an answer.
pub(super) fn warnings(entity: &Document) -> Vec<String> {
    list(entity, "warnings")
        .iter()
        .filter_map(|warning| Some(warning.get("message")?.as_text()?.to_owned()))
        .collect()
}

fn list<'d>(entity: &'d Document, name: &str) -> &'d [Document] {
    match entity.get(name) {
        Some(Document::Array(elements)) => elements,
        _ => &[],
    }
}

/// Returns an answer as it is shown; `None` of a kind that `k` does not know.
pub(super) fn answer(entity: &Document) -> Option<Answer> {
    let table = |list_name: &str, columns: &[(&str, &str)]| {
        let row = |element: &Document| {
            let cells = columns
                .iter()
                .map(|(_, member)| cell(element.get(member).unwrap_or(&Document::Null)));
            cells.collect()
        };
        Some(Answer::Table {
            columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: list(entity, list_name).iter().map(row).collect(),
        })
    };
    let sources = [
        ("name", "name"),
        ("topic", "topic"),
        ("key format", "keyFormat"),
        ("value format", "valueFormat"),
        ("windowed", "isWindowed"),
    ];
    match entity.get("@type")?.as_text()? {
        "streams" => table("streams", &sources),
        "tables" => table("tables", &sources),
        "queries" => table(
            "queries",
            &[
                ("id", "id"),
                ("type", "queryType"),
                ("state", "state"),
                ("query", "queryString"),
            ],
        ),
        "kafka_topics" | "kafka_topics_extended" => table(
            "topics",
            &[("topic", "name"), ("partitions", "replicaInfo")],
        ),
        "function_names" => table("functions", &[("function", "name"), ("kind", "type")]),
        "properties" => table("properties", &[("property", "name"), ("value", "value")]),
        "variables" => table("variables", &[("variable", "name"), ("value", "value")]),
        "type_list" => Some(types(entity)),
        "sourceDescription" => Some(described(entity.get("sourceDescription")?)),
        "queryDescription" => {
            let query = entity.get("queryDescription")?;
            let text = |name: &str| {
                query
                    .get(name)
                    .and_then(Document::as_text)
                    .unwrap_or_default()
            };
            let plan = [
                text("statementText"),
                text("executionPlan"),
                text("topology"),
            ];
            Some(Answer::Lines(
                plan.join("\n").lines().map(str::to_owned).collect(),
            ))
        }
        "describe_function" => {
            let text = |name: &str| {
                entity
                    .get(name)
                    .and_then(Document::as_text)
                    .unwrap_or_default()
            };
            Some(Answer::Lines(vec![format!(
                "{} — {}",
                text("name"),
                text("description")
            )]))
        }
        "terminate_query" => {
            let id = entity.get("queryId")?.as_text()?;
            Some(Answer::Said(format!("query {id} terminated")))
        }
        "warning_entity" => Some(Answer::Said(entity.get("message")?.as_text()?.to_owned())),
        _ => None,
    }
}

fn types(entity: &Document) -> Answer {
    let rows = match entity.get("types") {
        Some(Document::Object(types)) => types
            .iter()
            .map(|(name, of)| {
                vec![
                    cell(&Document::Text(name.clone())),
                    cell(&Document::Text(type_of(of))),
                ]
            })
            .collect(),
        _ => Vec::new(),
    };
    Answer::Table {
        columns: vec!["type".to_owned(), "schema".to_owned()],
        rows,
    }
}

fn described(source: &Document) -> Answer {
    let row = |field: &Document| {
        let name = field.get("name").unwrap_or(&Document::Null);
        let of = field.get("schema").map(type_of).unwrap_or_default();
        let role = match field.get("type").and_then(Document::as_text) {
            Some("KEY") => " (key)",
            _ => "",
        };
        vec![cell(name), cell(&Document::Text(format!("{of}{role}")))]
    };
    Answer::Table {
        columns: vec!["field".to_owned(), "type".to_owned()],
        rows: list(source, "fields").iter().map(row).collect(),
    }
}

/// Returns a type as it is written: `{"type":"ARRAY","memberSchema":{…}}` is `ARRAY<…>`.
fn type_of(schema: &Document) -> String {
    let base = schema
        .get("type")
        .and_then(Document::as_text)
        .unwrap_or_default();
    let member = || schema.get("memberSchema").map(type_of).unwrap_or_default();
    match base {
        "ARRAY" => format!("ARRAY<{}>", member()),
        "MAP" => format!("MAP<STRING, {}>", member()),
        "STRUCT" => {
            let field = |field: &Document| {
                let name = field
                    .get("name")
                    .and_then(Document::as_text)
                    .unwrap_or_default();
                format!(
                    "`{name}` {}",
                    field.get("schema").map(type_of).unwrap_or_default()
                )
            };
            let fields: Vec<String> = list(schema, "fields").iter().map(field).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        base => base.to_owned(),
    }
}

/// Returns the error that a server has answered with, by what a person can do about it.
pub(super) fn error(status: u16, body: Option<&Document>, text: &str) -> Error {
    let message = body
        .and_then(|body| body.get("message"))
        .and_then(Document::as_text)
        .unwrap_or(text.trim());
    let code = body
        .and_then(|body| body.get("error_code"))
        .and_then(Document::as_i64)
        .unwrap_or(i64::from(status) * 100);
    let message = match message {
        "" => format!("the server answered with status {status}"),
        message => message.to_owned(),
    };
    match code / 100 {
        401 => Error::refused(format!("the server wants to know who you are: {message}"))
            .hint("K_KSQL_AUTH=user:password says it"),
        403 => Error::refused(format!("the server does not allow it: {message}")),
        400 => Error::usage(message),
        429 | 503 => Error::retry(format!("{message} ({code})")),
        _ => Error::refused(format!("{message} ({code})")),
    }
}
