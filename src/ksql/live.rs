//! Statements that act at once: a row that is inserted goes through every query that reads it, and
//! what those write through the next ones, before the next statement.
//!
//! One partition, no clock, no file: for tests of scripts. A query that starts later reads what its
//! topics hold by then, in order of time.

use std::collections::BTreeMap;

use super::asserts::{Asserter, Topics};
use super::catalog::Source;
use super::records::Record;
use super::session::{Effect, Session};
use super::syntax::Statement;
use crate::error::{Error, Result};

/// How many records of each topic a query has read.
type Positions = BTreeMap<String, usize>;

/// A session whose queries run as rows come in.
#[derive(Default)]
pub struct Live {
    session: Session,
    topics: Logs,
    /// How far each query has read, by its id, and whether it is paused.
    queries: BTreeMap<String, (Positions, bool)>,
    asserter: Asserter,
}

/// The records of each topic.
#[derive(Default)]
struct Logs(BTreeMap<String, Vec<Record>>);

impl Topics for Logs {
    fn records(&self, source: &Source) -> Result<Vec<Record>> {
        Ok(self.0.get(&source.topic).cloned().unwrap_or_default())
    }

    fn has(&self, topic: &str) -> Result<bool> {
        Ok(self.0.contains_key(topic))
    }
}

impl Live {
    /// Carries out one statement.
    ///
    /// # Errors
    /// Of a statement that is refused, an assertion that does not hold, or a query that ends.
    pub fn execute(&mut self, statement: &str) -> Result<()> {
        // A query that takes the place of another goes on where that one was.
        let before: BTreeMap<String, Positions> = self
            .session
            .queries
            .iter()
            .filter_map(|query| {
                let (positions, _) = self.queries.get(&query.id)?;
                Some((query.sink.name.clone(), positions.clone()))
            })
            .collect();
        match self.session.execute(statement)? {
            Effect::Said(_) | Effect::Unchanged(_) => {}
            Effect::Inserted(record) => self.write(record),
            Effect::Asked(asked, text) => match *asked {
                Statement::Assert(assertion) => {
                    self.asserter
                        .check(&text, &assertion, &self.session, &self.topics)?;
                }
                Statement::Control { action, query } => self.control(&action, query.as_ref()),
                Statement::Show { .. } | Statement::Describe { .. } | Statement::DescribeAll(_) => {
                }
                _ => return Err(Error::not_yet("this statement in a test")),
            },
        }
        for source in self.session.catalog.sources() {
            self.topics.0.entry(source.topic.clone()).or_default();
        }
        for query in &self.session.queries {
            let start = || {
                (
                    before.get(&query.sink.name).cloned().unwrap_or_default(),
                    false,
                )
            };
            self.queries.entry(query.id.clone()).or_insert_with(start);
        }
        self.advance()
    }

    fn control(&mut self, action: &str, query: Option<&super::syntax::Name>) {
        let is_meant = |id: &str| query.is_none_or(|query| query.text == id);
        if action == "TERMINATE" {
            self.session.queries.retain(|query| !is_meant(&query.id));
            return;
        }
        for (id, (_, is_paused)) in &mut self.queries {
            if is_meant(id) {
                *is_paused = action == "PAUSE";
            }
        }
    }

    fn write(&mut self, record: Record) {
        let log = self.topics.0.entry(record.topic.clone()).or_default();
        let offset = log.len() as i64;
        log.push(Record { offset, ..record });
    }

    /// Leads records through queries until all have read all that there is.
    fn advance(&mut self) -> Result<()> {
        loop {
            let mut has_moved = false;
            for at in 0..self.session.queries.len() {
                while let Some(record) = self.next_of(at) {
                    has_moved = true;
                    // What cannot be read is left out, as ksqlDB does.
                    let (written, _) = self.session.queries[at].take(&record);
                    self.session.queries[at].check()?;
                    written.into_iter().for_each(|record| self.write(record));
                }
            }
            if !has_moved {
                return Ok(());
            }
        }
    }

    /// Returns the record that a query reads next: of several topics the one with the earliest time.
    fn next_of(&mut self, at: usize) -> Option<Record> {
        let query = self.session.queries.get(at)?;
        let (positions, is_paused) = self.queries.get_mut(&query.id)?;
        if *is_paused {
            return None;
        }
        let topics = query.plan.inputs.iter().map(|(source, _)| &source.topic);
        let next = topics.filter_map(|topic| {
            let position = positions.get(topic).copied().unwrap_or_default();
            self.topics.0.get(topic)?.get(position)
        });
        let record = next.min_by_key(|record| record.time)?.clone();
        *positions.entry(record.topic.clone()).or_default() += 1;
        Some(record)
    }
}
