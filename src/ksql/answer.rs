//! What statements answer that ask about the session alone, wherever its topics are.

use std::collections::HashMap;

use super::catalog::Source;
use super::document::Document;
use super::explain::explain;
use super::format::document_of;
use super::functions;
use super::lexer;
use super::plan::{self, Plan, Target};
use super::run::Event;
use super::schema::Schema;
use super::session::{Persistent, Session};
use super::syntax::{Emit, Query, SourceKind, Statement};
use super::value::text_of;
use crate::error::{Error, Result};

/// The answer to a statement.
#[derive(Debug)]
pub enum Answer {
    /// A sentence; empty for nothing.
    Said(String),
    /// Lines as they are.
    Lines(Vec<String>),
    /// Rows under headings.
    Table {
        /// The headings.
        columns: Vec<String>,
        /// The rows, each value as text and as JSON; `None` for null.
        rows: Vec<Vec<(Option<String>, Document)>>,
    },
    /// Rows as they come.
    Rows {
        /// The headings.
        columns: Vec<String>,
        /// As in a table.
        rows: Vec<Vec<(Option<String>, Document)>>,
        /// Whether they are the first of their query.
        is_first: bool,
    },
}

/// Answers a statement that asks about streams, tables, functions, queries, settings or plans.
///
/// # Errors
/// `usage` for a name that is not there, "not supported yet" for what cannot be shown.
pub fn about(session: &Session, statement: Statement, text: &str) -> Result<Answer> {
    match statement {
        Statement::Show { what, .. } => show(session, &what),
        Statement::Describe { name, .. } => Ok(described(session.catalog.named(text, &name)?)),
        Statement::DescribeAll(kind) => {
            let sources = session.catalog.sources();
            let rows = sources
                .filter(|source| source.kind == kind)
                .flat_map(|source| {
                    fields(source).map(|(field, of)| vec![source.name.clone(), field, of])
                });
            Ok(listed(&["name", "field", "type"], rows.collect()))
        }
        Statement::DescribeFunction(name) => {
            let all = functions::all();
            let lines: Vec<String> = all
                .into_iter()
                .filter(|(signature, ..)| signature.name == name.text)
                .map(|(signature, kind, about)| format!("{signature} — {about} ({kind})"))
                .collect();
            match lines.is_empty() {
                true => Err(lexer::error(
                    text,
                    name.at,
                    &format!("Can't find any functions with the name '{name}'"),
                )),
                false => Ok(Answer::Lines(lines)),
            }
        }
        Statement::Explain(inner) => {
            let query = match *inner {
                Statement::Query(query) => query,
                Statement::CreateAs(create) => create.query,
                Statement::InsertInto { query, .. } => query,
                _ => {
                    return Err(Error::usage(
                        "EXPLAIN takes SELECT, CREATE … AS SELECT or INSERT INTO … SELECT",
                    ));
                }
            };
            let plan = plan::plan(
                text,
                &query,
                &session.catalog,
                Target::screen(&session.settings),
            )?;
            Ok(Answer::Lines(explain(&query, &plan, session)))
        }
        Statement::ExplainQuery(id) => {
            let query = session.queries.iter().find(|query| query.id == id.text);
            let query = query.ok_or_else(|| {
                lexer::error(
                    text,
                    id.at,
                    &format!("There is no query {id}; SHOW QUERIES lists them"),
                )
            })?;
            let statement = query.text.clone();
            about(
                session,
                Statement::Explain(Box::new(super::parser::statement(
                    &statement,
                    &session.catalog.types,
                )?)),
                &statement,
            )
        }
        _ => Err(Error::bug(
            "a statement that the session carries out was not carried out",
        )),
    }
}

/// Returns rows of texts.
pub fn listed(columns: &[&str], rows: Vec<Vec<String>>) -> Answer {
    let cell = |text: String| (Some(text.clone()), Document::Text(text));
    Answer::Table {
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        rows: rows
            .into_iter()
            .map(|row| row.into_iter().map(cell).collect())
            .collect(),
    }
}

fn show(session: &Session, what: &str) -> Result<Answer> {
    let sources = |kind: SourceKind| -> Vec<Vec<String>> {
        let of_kind = session
            .catalog
            .sources()
            .filter(|source| source.kind == kind);
        let row = |source: &Source| {
            let windows = source.windows.map_or("", |windows| windows.word());
            vec![
                source.name.clone(),
                source.topic.clone(),
                source.key_format.kind.to_string(),
                source.value_format.kind.to_string(),
                windows.to_owned(),
            ]
        };
        of_kind.map(row).collect()
    };
    let columns = ["name", "topic", "key format", "value format", "windows"];
    Ok(match what {
        "STREAMS" => listed(&columns, sources(SourceKind::Stream)),
        "TABLES" => listed(&columns, sources(SourceKind::Table)),
        "QUERIES" => {
            let row = |query: &Persistent| {
                vec![
                    query.id.clone(),
                    query.sink.name.clone(),
                    query.sink.topic.clone(),
                    query.text.replace('\n', " "),
                ]
            };
            listed(
                &["id", "sink", "topic", "query"],
                session.queries.iter().map(row).collect(),
            )
        }
        "FUNCTIONS" => {
            let mut rows: Vec<Vec<String>> = functions::all()
                .into_iter()
                .map(|(signature, kind, _)| vec![signature.name.clone(), kind.to_owned()])
                .collect();
            rows.dedup();
            listed(&["function", "kind"], rows)
        }
        "PROPERTIES" => listed(
            &["property", "value"],
            session
                .settings
                .all()
                .map(|(name, value)| vec![name.to_owned(), value.to_owned()])
                .collect(),
        ),
        "TYPES" => listed(
            &["type", "schema"],
            session
                .catalog
                .types
                .iter()
                .map(|(name, of)| vec![name.clone(), of.to_string()])
                .collect(),
        ),
        "VARIABLES" => listed(
            &["variable", "value"],
            session
                .variables
                .iter()
                .map(|(name, value)| vec![name.clone(), value.clone()])
                .collect(),
        ),
        other => return Err(Error::not_yet(format!("SHOW {other}"))),
    })
}

/// Answers a query by events of its inputs, in their order.
pub fn pulled(
    plan: &mut Plan,
    query: &Query,
    events: impl IntoIterator<Item = (usize, Event)>,
    limit: Option<u64>,
) -> Answer {
    let mut given = Vec::new();
    for (nth, event) in events {
        plan.topology.push(plan.inputs[nth].1, event, &mut given);
    }
    rows_now(plan, query, given, limit)
}

/// Answers a query by what has left it: of a table, unless its changes are asked for, by the rows that it
/// has then.
pub fn rows_now(plan: &Plan, query: &Query, mut given: Vec<Event>, limit: Option<u64>) -> Answer {
    if plan.kind == SourceKind::Table && query.emit.is_none() {
        given = last_of_each(given);
    }
    given.retain(|event| !event.is_null || query.emit == Some(Emit::Changes));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    given.truncate(limit.unwrap_or(usize::MAX));
    table(&plan.schema, &given)
}

/// Returns the last event of each key, in the order in which the keys came first.
fn last_of_each(events: Vec<Event>) -> Vec<Event> {
    let mut places = HashMap::new();
    let mut last: Vec<Event> = Vec::new();
    for event in events {
        let place = *places.entry(event.key.clone()).or_insert(last.len());
        match last.get_mut(place) {
            Some(known) => *known = event,
            None => last.push(event),
        }
    }
    last
}

/// Returns rows: the key's columns, then the value's.
pub fn table(schema: &Schema, events: &[Event]) -> Answer {
    let columns = schema.columns().map(|column| column.name.clone()).collect();
    let row = |event: &Event| {
        let key = schema.key.iter().zip(event.key.columns(schema.key.len()));
        let nulls = std::iter::repeat(&super::value::Value::Null);
        let value = schema.value.iter().zip(event.row.iter().chain(nulls));
        key.chain(value)
            .map(|(column, value)| (text_of(value, &column.of), document_of(value, &column.of)))
            .collect()
    };
    Answer::Table {
        columns,
        rows: events.iter().map(row).collect(),
    }
}

fn described(source: &Source) -> Answer {
    let rows = fields(source).map(|(field, of)| vec![field, of]);
    listed(&["field", "type"], rows.collect())
}

/// Returns the name of each column, and its type as DESCRIBE says it.
fn fields(source: &Source) -> impl Iterator<Item = (String, String)> + '_ {
    let word = match source.kind {
        SourceKind::Stream => "(key)",
        SourceKind::Table => "(primary key)",
    };
    let keys = source.schema.key.iter();
    let keys = keys.map(move |column| format!("{} {word}", column.of));
    let values = source.schema.value.iter();
    let values = values.map(|column| column.of.to_string());
    let names = source.schema.columns().map(|column| column.name.clone());
    names.zip(keys.chain(values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksql::session::Effect;
    use crate::ksql::syntax::Name;

    fn session() -> Session {
        let mut session = Session::default();
        for text in [
            "CREATE STREAM calls (caller STRING KEY, seconds INT) WITH (kafka_topic='calls', value_format='JSON')",
            "CREATE TABLE counts AS SELECT caller, COUNT(*) AS n FROM calls GROUP BY caller",
        ] {
            session.execute(text).expect(text);
        }
        session
    }

    #[test]
    fn describe_streams_and_tables_list_all_of_their_columns() {
        let mut session = session();
        for (text, columns) in [
            (
                "DESCRIBE STREAMS",
                [["CALLS", "CALLER"], ["CALLS", "SECONDS"]],
            ),
            (
                "DESCRIBE TABLES EXTENDED",
                [["COUNTS", "CALLER"], ["COUNTS", "N"]],
            ),
        ] {
            let Effect::Asked(statement, text) = session.execute(text).expect(text) else {
                panic!("{text} only asks");
            };
            let answer = about(&session, *statement, &text).expect(&text);
            let Answer::Table { rows, .. } = answer else {
                panic!("{text} gives a table");
            };
            let names = rows
                .iter()
                .map(|row| [0, 1].map(|at: usize| row[at].0.as_deref().unwrap_or_default()));
            assert_eq!(names.collect::<Vec<_>>(), columns, "{text}");
        }
    }

    #[test]
    fn only_a_query_that_runs_is_terminated() {
        let mut session = session();
        let named = |text: &str| Name {
            text: text.to_owned(),
            at: Default::default(),
        };
        let error = session
            .terminate("TERMINATE nope", Some(&named("NOPE")))
            .expect_err("no such query");
        assert!(error.to_string().contains("NOPE"), "{error}");
        let said = session.terminate("", Some(&named("CTAS_COUNTS_0")));
        assert_eq!(said.expect("a query"), "1 query(s) terminated");
        assert!(session.queries.is_empty());
    }
}
