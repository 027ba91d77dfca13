//! Statements over records in a file, deterministically: the same input gives the same output.
//!
//! One partition, every change given out, event time alone; the wall clock stands still and the end
//! of the input closes no window. Each query reads all of its input before the next one starts, in
//! the order of the statements. A topic with replayed records gives those alone, any other gives
//! what earlier queries and INSERT VALUES wrote to it.

use std::collections::BTreeMap;

use super::document::Document;
use super::lexer;
use super::records::{self, Misfit, Record};
use super::session::{Effect, Persistent, Session};
use super::syntax::{SourceKind, Statement};
use crate::error::{Error, Result};

/// A topic's records, in order.
type Log = Vec<Record>;

/// A replay under way.
#[derive(Default)]
pub struct Replay {
    /// What the statements have declared.
    pub session: Session,
    /// The records that are replayed, in order of arrival over all topics.
    input: Log,
    written: BTreeMap<String, Log>,
    /// All that was written, in order.
    pub output: Log,
    /// How many records could not be read, and the first of them.
    pub(crate) unread: (usize, Option<String>),
}

impl Replay {
    /// Takes the records that are replayed: a line of JSON each.
    ///
    /// # Errors
    /// `data` with the line.
    pub fn read_input(&mut self, text: &str) -> Result<()> {
        let mut offsets: BTreeMap<String, i64> = BTreeMap::new();
        for (nth, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let next = |topic: &str| {
                let offset = offsets.entry(topic.to_owned()).or_insert(-1);
                *offset += 1;
                *offset
            };
            let record = Record::parse(line, next).map_err(|reason| {
                Error::data(format!("line {} of the records: {reason}", nth + 1))
            })?;
            self.input.push(record);
        }
        Ok(())
    }

    /// Takes records that are replayed, in order of arrival.
    pub fn take_input(&mut self, records: Vec<Record>) {
        self.input.extend(records);
    }

    /// Carries out the statements of a text.
    ///
    /// # Errors
    /// Of the first that is refused, with its place in the text.
    pub fn execute(&mut self, text: &str) -> Result<()> {
        for (start, statement) in lexer::statements(text)? {
            let doing = || {
                let (line, _) = lexer::place(text, start);
                format!("carrying out the statement that begins on line {line}")
            };
            match self
                .session
                .execute(&lexer::in_place(text, start, statement))
                .map_err(|error| error.during(doing()))?
            {
                Effect::Said(_) | Effect::Unchanged(_) => {}
                Effect::Inserted(record) => self.write(record),
                Effect::Asked(statement, typed) => match *statement {
                    Statement::Show { .. }
                    | Statement::Describe { .. }
                    | Statement::DescribeAll(_) => {}
                    Statement::Control { action, query } if action == "TERMINATE" => {
                        let said = self.session.terminate(&typed, query.as_ref());
                        said.map_err(|error| error.during(doing()))?;
                    }
                    Statement::Query(_) => {
                        let what = "SELECT in a replay: CREATE STREAM … AS SELECT …";
                        return Err(Error::not_yet(what).during(doing()));
                    }
                    _ => return Err(Error::not_yet("this statement in a replay").during(doing())),
                },
            }
        }
        Ok(())
    }

    /// Runs all queries, one after the other.
    ///
    /// # Errors
    /// `data` for a record without a time where the settings want one.
    pub fn run(&mut self) -> Result<()> {
        for mut query in std::mem::take(&mut self.session.queries) {
            let records = self.records_for(&query);
            for record in &records {
                self.push(&mut query, record)?;
            }
        }
        Ok(())
    }

    /// Returns what a query reads: the replayed records of its topics in order of arrival, then
    /// those of its other topics, one topic after the other.
    fn records_for(&self, query: &Persistent) -> Log {
        let topics: Vec<&str> = query
            .plan
            .inputs
            .iter()
            .map(|(source, _)| source.topic.as_str())
            .collect();
        let is_replayed = |topic: &str| self.input.iter().any(|record| record.topic == topic);
        let mut records: Log = self
            .input
            .iter()
            .filter(|record| topics.contains(&record.topic.as_str()))
            .cloned()
            .collect();
        for (nth, topic) in topics.iter().enumerate() {
            if !is_replayed(topic) && !topics[..nth].contains(topic) {
                records.extend(self.written.get(*topic).into_iter().flatten().cloned());
            }
        }
        records
    }

    fn push(&mut self, query: &mut Persistent, record: &Record) -> Result<()> {
        let (written, misfits) = query.take(record);
        written.into_iter().for_each(|record| self.write(record));
        for misfit in misfits {
            self.skip(&misfit, record)?;
        }
        query.check()
    }

    fn skip(&mut self, misfit: &Misfit, record: &Record) -> Result<()> {
        let place = format!(
            "topic {}, offset {}: {}",
            record.topic,
            record.offset,
            misfit.reason()
        );
        if matches!(misfit, Misfit::Timeless(_))
            && self
                .session
                .settings
                .is_true("ksql.timestamp.throw.on.invalid")
        {
            return Err(Error::data(format!(
                "Fatal user code error in TimestampExtractor callback for record: {place}"
            )));
        }
        self.unread.0 += 1;
        self.unread.1.get_or_insert(place);
        Ok(())
    }

    fn write(&mut self, record: Record) {
        let log = self.written.entry(record.topic.clone()).or_default();
        log.push(Record {
            offset: log.len() as i64,
            ..record.clone()
        });
        self.output.push(record);
    }

    /// Returns each source's name, kind, columns and formats as JSON.
    pub(crate) fn described(&self) -> Document {
        let text = |text: String| Document::Text(text);
        let source = |source: &super::catalog::Source| {
            let columns = |columns: &[super::schema::Column]| {
                Document::Array(columns.iter().map(records::described).collect())
            };
            let kind = if source.kind == SourceKind::Stream {
                "stream"
            } else {
                "table"
            };
            Document::Object(vec![
                ("name".to_owned(), text(source.name.clone())),
                ("kind".to_owned(), text(kind.to_owned())),
                ("topic".to_owned(), text(source.topic.clone())),
                ("key".to_owned(), columns(&source.schema.key)),
                ("value".to_owned(), columns(&source.schema.value)),
                (
                    "keyFormat".to_owned(),
                    text(source.key_format.kind.to_string()),
                ),
                (
                    "valueFormat".to_owned(),
                    text(source.value_format.kind.to_string()),
                ),
            ])
        };
        Document::Array(self.session.catalog.sources().map(source).collect())
    }
}
