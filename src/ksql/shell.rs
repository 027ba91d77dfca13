//! Statements over a folder whose files are topics: each is answered at once.
//!
//! A query that goes on reads what the topics hold now, in order of time over all of its topics, and
//! writes its rows to a file. Definitions are kept in a file of the folder, so that the next run has
//! the same streams and tables.

mod notes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::answer;
use super::answer::Answer;
use super::asserts::Asserter;
use super::catalog::Source;
use super::columns::{self, Taker, Windowing, Writer};
use super::folder::{Folder, Replaced};
use super::lexer;
use super::plan::{self, Plan, Target};
use super::records::{self, Record};
use super::run::{Event, Topology};
use super::session::{Effect, Persistent, Session};
use super::syntax::{Query, SourceKind, Statement};
use crate::engine::pane::Panes;
use crate::error::{Error, Result};
pub use notes::Note;
use notes::Waiting;

/// Lines are handed on before they fill more than this.
const FLUSH_BYTES: usize = 256 << 10;

/// Writes what the window engine gives to a sink's file.
struct ToFile<'s> {
    file: Replaced,
    writer: Writer,
    lines: Vec<u8>,
    shell: &'s mut Shell,
}

impl Taker for ToFile<'_> {
    fn take(&mut self, panes: &Panes) -> Result<bool> {
        self.writer.write(panes, &mut self.lines);
        if self.lines.len() >= FLUSH_BYTES {
            self.file.write(&self.lines)?;
            self.lines.clear();
        }
        Ok(true)
    }

    fn skip(&mut self, place: String) {
        self.shell.skip(place);
    }
}

/// Makes rows of what the window engine gives.
struct ToRows<'s> {
    windowing: &'s Windowing,
    rest: &'s mut Topology,
    given: Vec<Event>,
    limit: usize,
    shell: &'s mut Shell,
}

impl Taker for ToRows<'_> {
    fn take(&mut self, panes: &Panes) -> Result<bool> {
        columns::lead_on(self.windowing, panes, self.rest, &mut self.given);
        Ok(self.given.len() < self.limit)
    }

    fn skip(&mut self, place: String) {
        self.shell.skip(place);
    }
}

/// Statements over a folder.
pub struct Shell {
    /// What the statements have declared.
    pub session: Session,
    folder: Folder,
    definitions: std::path::PathBuf,
    /// How many rows a SELECT gives at most.
    pub row_limit: Option<u64>,
    /// How many records could not be read, and the first of them.
    pub unread: (usize, Option<String>),
    /// What a person may wonder about since it was last told.
    pub notes: Vec<Note>,
    asserter: Asserter,
    /// What the windows wait for of a query that gave no row.
    waiting: Option<Waiting>,
}

impl Shell {
    /// Opens a folder and carries out the definitions that are kept in it.
    ///
    /// # Errors
    /// Of reading the folder, and of a definition that no longer holds.
    pub fn open(path: &Path, app: &str) -> Result<Self> {
        let folder = Folder::open(path)?;
        let definitions = folder.file(&format!("k-ksql-{app}.sql"));
        let mut session = Session::default();
        session.takes_equal = true;
        session.folder = Some(folder.clone());
        let mut shell = Shell {
            session,
            folder,
            definitions,
            row_limit: None,
            unread: (0, None),
            notes: Vec::new(),
            asserter: Asserter::default(),
            waiting: None,
        };
        if let Ok(text) = std::fs::read_to_string(&shell.definitions) {
            for (_, statement) in lexer::statements(&text)? {
                let doing = || {
                    format!(
                        "carrying out the definitions of `{}`",
                        shell.definitions.display()
                    )
                };
                shell
                    .session
                    .execute(statement)
                    .map_err(|error| error.during(doing()))?;
            }
        }
        Ok(shell)
    }

    /// Carries out one statement.
    ///
    /// # Errors
    /// Of a statement that is refused, or of the folder.
    pub fn run(&mut self, statement: &str) -> Result<Answer> {
        if let Some(answer) = self.known(statement)? {
            return Ok(answer);
        }
        let started = self.session.queries.len();
        let effect = self.session.execute(statement)?;
        match effect {
            Effect::Said(said) => {
                if self.session.queries.len() > started {
                    self.compute(self.session.queries.len() - 1)?;
                }
                self.keep(statement)?;
                self.note_missing(statement);
                Ok(Answer::Said(said))
            }
            Effect::Unchanged(said) => Ok(Answer::Said(said)),
            Effect::Inserted(record) => {
                let sources: Vec<Source> = self.session.catalog.sources().cloned().collect();
                let sink = sources.iter().find(|source| source.topic == record.topic);
                if let Some(sink) = sink {
                    let mut records = self.folder.read(sink)?;
                    records.push(Record {
                        offset: records.len() as i64,
                        ..record
                    });
                    self.folder.write(sink, &records)?;
                    self.feed(&sink.topic, records.len() - 1)?;
                }
                Ok(Answer::Said("1 row inserted".to_owned()))
            }
            Effect::Asked(statement, text) => self.answer(*statement, &text),
        }
    }

    /// Answers a query that is there already: its rows are computed again.
    fn known(&mut self, statement: &str) -> Result<Option<Answer>> {
        let same = self
            .session
            .running(statement)
            .map(|query| query.id.clone());
        let is_same = |query: &Persistent| same.as_ref() == Some(&query.id);
        let same = self.session.queries.iter().position(is_same);
        let Some(at) = same else {
            return Ok(None);
        };
        // Planned again, for its state is that of the rows that it has read.
        let old = self.session.queries.remove(at);
        if old.is_own {
            self.session.catalog.remove(&old.sink.name);
        }
        let effect = self.session.execute(statement)?;
        self.compute(self.session.queries.len() - 1)?;
        match effect {
            Effect::Said(said) => Ok(Some(Answer::Said(said))),
            _ => Err(Error::bug("a query that goes on did not start")),
        }
    }

    /// Lets the queries that go on take in what a topic holds from its record `from` on, and those that
    /// read what they write.
    fn feed(&mut self, topic: &str, from: usize) -> Result<()> {
        let mut grown = BTreeMap::from([(topic.to_owned(), from)]);
        for at in 0..self.session.queries.len() {
            let query = &self.session.queries[at];
            let reads = |(source, _): &(Source, _)| grown.contains_key(&source.topic);
            if !query.plan.inputs.iter().any(reads) {
                continue;
            }
            let (sink, is_own) = (query.sink.clone(), query.is_own);
            let before = self.folder.read(&sink)?.len();
            if is_own {
                // Whatever it has read in this process or another: from the beginning.
                self.session.queries[at].plan = query.recipe.plan()?;
                self.compute(at)?;
            } else {
                self.add_rows(at, &grown)?;
            }
            grown.entry(sink.topic).or_insert(before);
        }
        Ok(())
    }

    /// Adds what INSERT INTO … SELECT makes of new records behind what others have written.
    fn add_rows(&mut self, at: usize, grown: &BTreeMap<String, usize>) -> Result<()> {
        let mut query = self.session.queries.swap_remove(at);
        let mut added = Vec::new();
        let mut topics: Vec<&Source> = query.plan.inputs.iter().map(|(source, _)| source).collect();
        topics.dedup_by_key(|source| &source.topic);
        for source in topics
            .into_iter()
            .filter(|source| grown.contains_key(&source.topic))
        {
            let from = grown.get(&source.topic).copied().unwrap_or_default();
            added.extend(self.folder.read(source)?.into_iter().skip(from));
        }
        let mut written = self.folder.read(&query.sink)?;
        for record in added {
            let (rows, misfits) = query.take(&record);
            for row in rows {
                let offset = written.len() as i64;
                written.push(Record { offset, ..row });
            }
            let places = misfits
                .iter()
                .map(|misfit| misfit.place(&record.topic, record.offset));
            places.for_each(|place| self.skip(place));
        }
        let result = query
            .check()
            .and_then(|()| self.folder.write(&query.sink, &written));
        self.session.queries.push(query);
        let last = self.session.queries.len() - 1;
        self.session.queries.swap(at, last);
        result
    }

    /// Keeps a definition for the next run.
    fn keep(&self, statement: &str) -> Result<()> {
        let word = statement
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_uppercase();
        if !["CREATE", "INSERT", "DROP", "ALTER"].contains(&word.as_str()) {
            return Ok(());
        }
        let failed = |source| Error::io(format!("write `{}`", self.definitions.display()), source);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.definitions)
            .map_err(failed)?;
        writeln!(file, "{};", statement.trim()).map_err(failed)
    }

    /// Computes a query's rows and writes them.
    fn compute(&mut self, at: usize) -> Result<()> {
        let mut query = self.session.queries.swap_remove(at);
        let result = match self.written_by_column(&query) {
            Some(result) => result,
            None => self.compute_rows(&mut query),
        };
        if let Ok(rows) = result {
            self.note_silence(&query.recipe.query, rows);
        }
        let result = result.map(|_| ());
        self.session.queries.push(query);
        let last = self.session.queries.len() - 1;
        self.session.queries.swap(at, last);
        result
    }

    /// Computes a query on the window engine and writes what it gives as it comes; `None` where groups
    /// have to become rows first.
    fn written_by_column(&mut self, query: &Persistent) -> Option<Result<usize>> {
        let windowing = query.plan.windowing.as_ref().filter(|_| query.is_own)?;
        let [(source, _)] = &query.plan.inputs[..] else {
            return None;
        };
        let writer = Writer::new(windowing, &query.sink)?;
        let folder = self.folder.clone();
        let run = || {
            let mut taker = ToFile {
                file: folder.begin(&query.sink)?,
                writer,
                lines: Vec::new(),
                shell: self,
            };
            let operator = columns::run(windowing, source, &folder, &mut taker)?;
            let rows = taker.writer.rows();
            taker.file.write(&taker.lines)?;
            taker.file.finish()?;
            self.waiting = Some(Waiting::of(&operator));
            Ok(rows)
        };
        Some(run())
    }

    /// Computes a query's rows and writes them; returns how many.
    fn compute_rows(&mut self, query: &mut Persistent) -> Result<usize> {
        let events = self.rows_of(&mut query.plan, None)?;
        let Persistent { sink, is_own, .. } = query;
        // What other queries have written to the same stream stays.
        let mut written = if *is_own {
            Vec::new()
        } else {
            self.folder.read(sink)?
        };
        for event in events {
            match records::write(sink, &event, written.len() as i64) {
                Ok(record) => written.push(record),
                Err(misfit) => self.skip(misfit.reason().to_owned()),
            }
        }
        let rows = written.len();
        self.folder.write(sink, &written).map(|()| rows)
    }

    /// Runs a query over what its topics hold, in order of time; at most so many rows.
    fn rows_of(&mut self, plan: &mut Plan, limit: Option<u64>) -> Result<Vec<Event>> {
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let inputs = plan.inputs.clone();
        if let (Some(windowing), [(source, _)]) = (&plan.windowing, &inputs[..]) {
            let folder = self.folder.clone();
            let mut taker = ToRows {
                windowing,
                rest: &mut plan.topology,
                given: Vec::new(),
                limit,
                shell: self,
            };
            let operator = columns::run(windowing, source, &folder, &mut taker)?;
            let mut given = taker.given;
            given.truncate(limit);
            self.waiting = Some(Waiting::of(&operator));
            return Ok(given);
        }
        let mut events = Vec::new();
        for (nth, (source, _)) in inputs.iter().enumerate() {
            for record in self.folder.read(source)? {
                match records::read(source, &record) {
                    Ok(event) => events.push((nth, event)),
                    Err(misfit) => self.skip(misfit.place(&source.topic, record.offset)),
                }
            }
        }
        if inputs.len() > 1 {
            events.sort_by_key(|(_, event)| event.time);
        }
        let mut given = Vec::new();
        for (nth, event) in events {
            if given.len() >= limit {
                break;
            }
            plan.topology.push(inputs[nth].1, event, &mut given);
        }
        if let Some(reason) = plan.topology.failure() {
            return Err(Error::data(format!("the query ended: {reason}")));
        }
        given.truncate(limit);
        Ok(given)
    }

    fn skip(&mut self, place: String) {
        self.unread.0 += 1;
        self.unread.1.get_or_insert(place);
    }

    fn answer(&mut self, statement: Statement, text: &str) -> Result<Answer> {
        match statement {
            Statement::Query(query) => self.select(&query, text),
            Statement::Show { what, .. } if what == "TOPICS" => {
                let topics = self.folder.topics()?.into_iter();
                let rows = topics.map(|topic| vec![topic]).collect();
                Ok(answer::listed(&["topic"], rows))
            }
            Statement::Print {
                topic,
                limit,
                interval,
                ..
            } => self.print(&topic, limit, interval),
            Statement::Control { action, query } if action == "TERMINATE" => self
                .session
                .terminate(text, query.as_ref())
                .map(Answer::Said),
            Statement::Control { action, .. } => Err(Error::not_yet(format!(
                "{action} over a folder, where queries end by themselves"
            ))),
            Statement::RunScript(file) => {
                let script = std::fs::read_to_string(&file)
                    .map_err(|source| Error::io(format!("read `{file}`"), source))?;
                let mut said = Vec::new();
                for (start, statement) in lexer::statements(&script)? {
                    let statement = lexer::in_place(&script, start, statement);
                    if let Answer::Said(line) = self.run(&statement)? {
                        said.push(line);
                    }
                }
                Ok(Answer::Lines(said))
            }
            Statement::Assert(assertion) => {
                let mut asserter = std::mem::take(&mut self.asserter);
                let said = asserter.check(text, &assertion, &self.session, &self.folder);
                self.asserter = asserter;
                said.map(Answer::Said)
            }
            other => answer::about(&self.session, other, text),
        }
    }

    fn select(&mut self, query: &Query, text: &str) -> Result<Answer> {
        let mut plan = plan::plan(
            text,
            query,
            &self.session.catalog,
            Target::screen(&self.session.settings),
        )?;
        let limit = match (query.limit, self.row_limit) {
            (Some(limit), Some(most)) => Some(limit.min(most)),
            (limit, most) => limit.or(most),
        };
        let is_table = plan.kind == SourceKind::Table && query.emit.is_none();
        let given = self.rows_of(&mut plan, limit.filter(|_| !is_table))?;
        self.note_silence(query, given.len());
        Ok(answer::rows_now(&plan, query, given, limit))
    }

    fn print(&self, topic: &str, limit: Option<u64>, interval: Option<u64>) -> Result<Answer> {
        let source = self
            .session
            .catalog
            .sources()
            .find(|source| source.topic == topic)
            .cloned();
        let Some(source) = source else {
            return Err(
                Error::refused(format!("no stream or table reads topic {topic}")).hint(
                    "CREATE STREAM … WITH (KAFKA_TOPIC = '…') says how its records are written",
                ),
            );
        };
        let step = usize::try_from(interval.unwrap_or(1)).unwrap_or(1).max(1);
        let most = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let line = |record: &Record| {
            format!(
                "rowtime: {}, key: {}, value: {}",
                super::time::timestamp_text(record.time),
                record.key,
                record.value
            )
        };
        let records = self.folder.read(&source)?;
        Ok(Answer::Lines(
            records.iter().step_by(step).take(most).map(line).collect(),
        ))
    }
}
