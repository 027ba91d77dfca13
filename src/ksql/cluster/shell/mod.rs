//! Statements over Kafka, each answered at once; queries that go on are left to a crew.

mod define;
mod select;

use std::collections::BTreeMap;
use std::time::Duration;

use super::commands::Commands;
use super::crew::{Crew, Group};
use super::worker::Work;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kafka::admin::Admin;
use crate::kafka::{Settings, check_topic_name};
use crate::ksql::answer::{self, Answer};
use crate::ksql::asserts::Asserter;
use crate::ksql::lexer;
use crate::ksql::parser;
use crate::ksql::properties;
use crate::ksql::session::{Effect, Session};
use crate::ksql::syntax::Statement;
use select::Held;

/// How often a process that only runs queries looks for definitions of others.
const LOOK: Duration = Duration::from_millis(500);

/// How often a query commits where nothing is set.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// What answers are given to.
pub(crate) type Show<'a> = dyn FnMut(Answer) -> Result<()> + 'a;

/// Statements over Kafka.
pub(crate) struct ClusterShell {
    /// What the statements have declared.
    pub session: Session,
    /// How many rows a SELECT gives at most.
    pub row_limit: Option<u64>,
    /// How many records could not be read, and the first of them.
    pub unread: (usize, Option<String>),
    name_topic: fn(&str) -> String,
    app: String,
    settings: Settings,
    context: Context,
    admin: Admin,
    commands: Commands,
    /// What was set when the statement of a query was typed.
    set: BTreeMap<String, properties::Settings>,
    crew: Crew,
    /// Whether queries that go on run in this process.
    works: bool,
    asserter: Asserter,
    /// Whether a statement of this process has created one.
    has_created: bool,
}

impl ClusterShell {
    /// Reads the definitions of an app. `name_topic` gives the names that topics have where they are.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn open(
        settings: &Settings,
        context: &Context,
        app: &str,
        name_topic: fn(&str) -> String,
    ) -> Result<Self> {
        check_topic_name(app)?;
        let mut session = Session::default();
        session.takes_equal = true;
        session.name_topic = Some(name_topic);
        let mut shell = ClusterShell {
            session,
            row_limit: None,
            unread: (0, None),
            name_topic,
            app: app.to_owned(),
            settings: settings.clone(),
            context: context.clone(),
            admin: Admin::new(settings)?,
            commands: Commands::new(settings, name_topic(&format!("k-ksql-{app}-commands"))),
            set: BTreeMap::new(),
            crew: Crew::new(settings, context),
            works: false,
            asserter: Asserter::default(),
            has_created: false,
        };
        shell.catch_up(None)?;
        Ok(shell)
    }

    /// Runs the app's queries in this process from now on.
    ///
    /// # Errors
    /// `refused` for a topic that is missing.
    pub fn work(&mut self) -> Result<()> {
        self.works = true;
        self.staff()
    }

    /// Runs the app's queries until a signal.
    ///
    /// # Errors
    /// What ends one of them, and `stopped` after the signal.
    pub fn stay(&mut self) -> Result<()> {
        self.work()?;
        while !self.context.interrupt.is_set() && !self.session.queries.is_empty() {
            self.crew.check()?;
            self.catch_up(None)?;
            let next = std::time::Instant::now() + LOOK;
            self.context.interrupt.sleep_until(next);
        }
        self.crew.end()?;
        self.context.interrupt.check()
    }

    /// Runs the app's queries until they have done what their topics hold now.
    ///
    /// # Errors
    /// What ends one of them, and `stopped` on a signal.
    pub fn finish(&mut self) -> Result<()> {
        self.work()?;
        let names: Vec<String> = self
            .session
            .queries
            .iter()
            .map(|query| self.group_of(&query.id))
            .collect();
        let groups: Vec<Group<'_>> = self
            .session
            .queries
            .iter()
            .zip(&names)
            .map(|(query, name)| Group {
                name,
                recipe: &query.recipe,
                sink: &query.sink.topic,
            })
            .collect();
        self.crew.finish(&self.admin, &groups)?;
        self.crew.end()
    }

    /// Returns whether this process has created a query, and runs none.
    pub fn has_created(&self) -> bool {
        self.has_created && !self.works
    }

    /// Returns the group of a query.
    fn group_of(&self, id: &str) -> String {
        (self.name_topic)(&format!("k-ksql-{}-{id}", self.app))
    }

    /// Carries out one statement.
    ///
    /// # Errors
    /// Of a statement that is refused, or of Kafka.
    pub fn run(&mut self, statement: &str, show: &mut Show<'_>) -> Result<()> {
        self.crew.check()?;
        self.catch_up(None)?;
        self.session.now = jiff::Timestamp::now().as_millisecond();
        // As it stands in its script, so that an error counts the script's lines.
        let typed = self.session.with_variables(statement);
        let parsed = parser::statement(&typed, &self.session.catalog.types)?;
        let text = typed.trim().to_owned();
        match parsed {
            Statement::Create(_)
            | Statement::CreateAs(_)
            | Statement::InsertInto { .. }
            | Statement::Drop { .. }
            | Statement::Alter { .. }
            | Statement::CreateType { .. }
            | Statement::DropType { .. } => {
                let said = self.define(&text, &parsed)?;
                show(Answer::Said(said))
            }
            Statement::Control { action, query } if action == "TERMINATE" => {
                let said = self.terminate(&text, query.as_ref())?;
                show(Answer::Said(said))
            }
            Statement::Control { action, .. } => {
                Err(Error::not_yet(format!("{action} of a query")).hint("TERMINATE ends one"))
            }
            Statement::Query(query) if query.emit.is_some() => self.push(&query, &text, show),
            Statement::Query(query) => {
                let answer = self.pull(&query, &text)?;
                show(answer)
            }
            Statement::Print {
                topic,
                from_beginning,
                interval,
                limit,
            } => {
                let topic = (self.name_topic)(&topic);
                self.print(&topic, from_beginning, interval, limit, show)
            }
            Statement::Show { what, extended } if what == "TOPICS" => show(self.topics(extended)?),
            Statement::Show { what, .. } if what == "QUERIES" => show(self.queries()?),
            Statement::Assert(assertion) => {
                let held = Held {
                    settings: &self.settings,
                    admin: &self.admin,
                };
                let said = self
                    .asserter
                    .check(&text, &assertion, &self.session, &held)?;
                show(Answer::Said(said))
            }
            Statement::RunScript(file) => {
                let script = std::fs::read_to_string(&file)
                    .map_err(|source| Error::io(format!("read `{file}`"), source))?;
                for (_, statement) in lexer::statements(&script)? {
                    self.run(statement, show)?;
                }
                Ok(())
            }
            _ => match self.session.execute(&text)? {
                Effect::Said(said) | Effect::Unchanged(said) => show(Answer::Said(said)),
                Effect::Inserted(record) => {
                    self.insert(&record)?;
                    show(Answer::Said("1 row inserted".to_owned()))
                }
                Effect::Asked(statement, text) => {
                    show(answer::about(&self.session, *statement, &text)?)
                }
            },
        }
    }

    /// Carries out the definitions that have come; returns what was said to the last one that reads
    /// like `own`.
    fn catch_up(&mut self, own: Option<&str>) -> Result<Option<String>> {
        let mut said = None;
        let commands = self.commands.read(&self.admin)?;
        let has_changed = !commands.is_empty();
        for command in commands {
            let typed = std::mem::replace(&mut self.session.settings, command.settings);
            self.session
                .number_next(usize::try_from(command.offset).unwrap_or_default());
            let carried_out = self.carry_out(&command.statement);
            let set = std::mem::replace(&mut self.session.settings, typed);
            for query in &self.session.queries {
                self.set
                    .entry(query.id.clone())
                    .or_insert_with(|| set.clone());
            }
            match carried_out {
                Ok(answer) if own == Some(&command.statement) => said = Some(answer),
                Ok(_) => {}
                // Another process was faster, and it is so for all who read it.
                Err(error) if own == Some(&command.statement) => return Err(error),
                Err(error) => self.context.report.detail(format!(
                    "definition at offset {} changes nothing: {error}",
                    command.offset
                )),
            }
        }
        if has_changed {
            self.staff()?;
        }
        Ok(said)
    }

    /// Does what a definition says to the session.
    fn carry_out(&mut self, statement: &str) -> Result<String> {
        match self.session.execute(statement)? {
            Effect::Said(said) | Effect::Unchanged(said) => Ok(said),
            Effect::Asked(statement, text) => {
                if let Statement::Control { query, .. } = *statement {
                    return self.session.terminate(&text, query.as_ref());
                }
                Ok(String::new())
            }
            Effect::Inserted(_) => Ok(String::new()),
        }
    }

    /// Ends queries here that are no longer defined, and starts the others if they run here.
    fn staff(&mut self) -> Result<()> {
        let queries = &self.session.queries;
        self.crew
            .keep(|id| queries.iter().any(|query| query.id == id))?;
        if !self.works {
            return Ok(());
        }
        for query in &self.session.queries {
            if self.crew.runs(&query.id) {
                continue;
            }
            let set = self.set.get(&query.id);
            let work = Work {
                id: query.id.clone(),
                group: self.group_of(&query.id),
                recipe: query.recipe.clone(),
                sink: query.sink.clone(),
                from_beginning: set.is_some_and(is_earliest),
                commit_every: set.and_then(commit_every).unwrap_or(COMMIT_EVERY),
            };
            self.crew.start(&self.admin, work)?;
        }
        Ok(())
    }

    fn topics(&self, extended: bool) -> Result<Answer> {
        let mut topics = self.admin.topics()?;
        let (own, internal) = ((self.name_topic)(""), (self.name_topic)("k-ksql-"));
        topics.retain(|topic| {
            let is_internal = topic.name.starts_with("__") || topic.name.starts_with(&internal);
            topic.name.starts_with(&own) && (extended || !is_internal)
        });
        let row = |topic: crate::kafka::admin::Topic| {
            let replicas = topic
                .partitions
                .first()
                .map_or(0, |first| first.replicas.len());
            vec![
                topic.name,
                topic.partitions.len().to_string(),
                replicas.to_string(),
            ]
        };
        let rows = topics.into_iter().map(row).collect();
        Ok(answer::listed(&["topic", "partitions", "replicas"], rows))
    }

    fn queries(&self) -> Result<Answer> {
        let mut rows = Vec::new();
        for query in &self.session.queries {
            let group = self.admin.group(&self.group_of(&query.id));
            let members = group.map(|(_, members)| members).unwrap_or_default();
            let here = self.crew.runs(&query.id);
            let mut hosts: BTreeMap<String, usize> = BTreeMap::new();
            for member in &members {
                *hosts
                    .entry(member.host.trim_start_matches('/').to_owned())
                    .or_default() += 1;
            }
            let hosts: Vec<String> = hosts
                .into_iter()
                .map(|(host, count)| match count {
                    1 => host,
                    _ => format!("{host} ({count})"),
                })
                .collect();
            let runs = match (hosts.is_empty(), here) {
                (true, true) => "starting here".to_owned(),
                (true, false) => "nowhere".to_owned(),
                (false, _) => hosts.join(", "),
            };
            rows.push(vec![
                query.id.clone(),
                query.sink.name.clone(),
                query.sink.topic.clone(),
                runs,
                query.text.split_whitespace().collect::<Vec<_>>().join(" "),
            ]);
        }
        Ok(answer::listed(
            &["id", "sink", "topic", "runs on", "query"],
            rows,
        ))
    }
}

/// Returns whether topics are read from their beginnings.
fn is_earliest(settings: &properties::Settings) -> bool {
    let names = ["auto.offset.reset", "ksql.streams.auto.offset.reset"];
    let mut set = names.iter().filter_map(|name| settings.get(name));
    set.any(|value| value.eq_ignore_ascii_case("earliest"))
}

/// Returns how often queries commit.
fn commit_every(settings: &properties::Settings) -> Option<Duration> {
    let names = ["commit.interval.ms", "ksql.streams.commit.interval.ms"];
    let mut set = names.iter().filter_map(|name| settings.get(name));
    set.find_map(|value| value.parse().ok())
        .map(Duration::from_millis)
}
