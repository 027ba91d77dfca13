//! Statements over Kafka, each answered at once; queries that go on are left to a crew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::commands::Commands;
use super::crew::{self, Crew, Group, layout_of};
use super::order::{self, Queue};
use super::outbox::Outbox;
use super::push::Stream;
use super::topics::{self, record_of};
use super::worker::Work;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::kafka::admin::Admin;
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::kafka::producer::{Options, Producer};
use crate::kafka::{Settings, check_topic_name};
use crate::ksql::answer::{self, Answer, pulled, table};
use crate::ksql::bytes::Bytes;
use crate::ksql::catalog::Source;
use crate::ksql::document::Document;
use crate::ksql::lexer;
use crate::ksql::parser;
use crate::ksql::plan::{self, Plan, Target};
use crate::ksql::properties;
use crate::ksql::records::{self, Record};
use crate::ksql::run::Event;
use crate::ksql::session::{Effect, Persistent, Session};
use crate::ksql::syntax::{Literal, Name, Properties, Query, SourceKind, Statement};
use crate::ksql::time::timestamp_text;
use crate::source::Message;

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
    /// Whether a statement of this process has created one.
    has_created: bool,
}

impl ClusterShell {
    /// Reads the definitions of an app.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn open(settings: &Settings, context: &Context, app: &str) -> Result<Self> {
        check_topic_name(app)?;
        let mut session = Session::default();
        session.takes_equal = true;
        let mut shell = ClusterShell {
            session,
            row_limit: None,
            unread: (0, None),
            app: app.to_owned(),
            settings: settings.clone(),
            context: context.clone(),
            admin: Admin::new(settings)?,
            commands: Commands::new(settings, app),
            set: BTreeMap::new(),
            crew: Crew::new(settings, context),
            works: false,
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
        format!("k-ksql-{}-{id}", self.app)
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
            } => self.print(&topic, from_beginning, interval, limit, show),
            Statement::Show { what, extended } if what == "TOPICS" => show(self.topics(extended)?),
            Statement::Show { what, .. } if what == "QUERIES" => show(self.queries()?),
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
            Effect::Asked(statement, _) => {
                if let Statement::Control { query, .. } = *statement {
                    let is_ended = |known: &Persistent| {
                        query.as_ref().is_none_or(|query| known.id == query.text)
                    };
                    let before = self.session.queries.len();
                    self.session.queries.retain(|known| !is_ended(known));
                    let ended = before - self.session.queries.len();
                    return Ok(format!("{ended} query(s) terminated"));
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

    /// Adds a definition to those of the app, once it is known to hold.
    fn define(&mut self, text: &str, parsed: &Statement) -> Result<String> {
        let mut trial = self.session.fork()?;
        let before: Vec<String> = self
            .session
            .queries
            .iter()
            .map(|query| query.id.clone())
            .collect();
        if let Effect::Unchanged(said) = trial.execute(text)? {
            return Ok(said);
        }
        self.has_created |= trial.queries.len() > self.session.queries.len();
        self.create_topics(text, parsed, &trial)?;
        self.commands
            .append(&self.admin, text, &self.session.settings)?;
        let known: BTreeMap<String, Source> = self
            .session
            .catalog
            .sources()
            .map(|source| (source.name.clone(), source.clone()))
            .collect();
        let layouts = self.layouts();
        let said = self.catch_up(Some(text))?.unwrap_or_default();
        let ended = before
            .iter()
            .filter(|id| !self.session.queries.iter().any(|query| query.id == **id));
        let ended: Vec<String> = ended.cloned().collect();
        self.clean_up(&ended, &layouts)?;
        if let Statement::Drop {
            name,
            delete_topic: true,
            ..
        } = parsed
            && let Some(source) = known.get(&name.text)
        {
            self.admin.delete_topic(&source.topic)?;
        }
        Ok(said)
    }

    /// Creates the topics that a definition asks for.
    fn create_topics(&self, text: &str, parsed: &Statement, trial: &Session) -> Result<()> {
        let (name, properties, query) = match parsed {
            Statement::Create(create) => (&create.name, &create.properties, None),
            Statement::CreateAs(create) => (&create.name, &create.properties, Some(&create.query)),
            _ => return Ok(()),
        };
        let Some(source) = trial.catalog.get(&name.text) else {
            return Ok(());
        };
        let partitions = count(text, properties, "PARTITIONS")?;
        let replicas = count(text, properties, "REPLICAS")?;
        check_topic_name(&source.topic)?;
        if let Some(topic) = self.admin.find_topic(&source.topic)? {
            let found = topic.partitions.len() as i32;
            return match partitions {
                Some(wanted) if wanted != found => Err(lexer::error(
                    text,
                    properties.at,
                    &format!(
                        "A Kafka topic with the name '{}' already exists, with different partition/replica configuration than required. KafkaTopic{{partitions={found}}}, required {wanted}",
                        source.topic
                    ),
                )),
                _ => Ok(()),
            };
        }
        let partitions = match (partitions, query) {
            (Some(partitions), _) => partitions,
            (None, None) => return Err(crew::missing(&source.topic)),
            // As many as the first source's.
            (None, Some(query)) => {
                let first = trial.catalog.named(text, &query.from.name)?;
                self.admin.topic(&first.topic)?.partitions.len() as i32
            }
        };
        let is_table = source.kind == SourceKind::Table;
        let policy = match (is_table, source.windows) {
            (true, None) => "compact",
            (true, Some(_)) => "compact,delete",
            (false, _) => "delete",
        };
        let settings = [
            ("cleanup.policy".to_owned(), policy.to_owned()),
            // Event times may be of any age, and ahead.
            ("retention.ms".to_owned(), "-1".to_owned()),
            (
                "message.timestamp.after.max.ms".to_owned(),
                i64::MAX.to_string(),
            ),
        ];
        self.admin
            .create_topic(&source.topic, partitions, replicas, &settings)
    }

    fn terminate(&mut self, text: &str, query: Option<&Name>) -> Result<String> {
        let ids: Vec<String> = match query {
            None => self
                .session
                .queries
                .iter()
                .map(|query| query.id.clone())
                .collect(),
            Some(id) => {
                let known = self.session.queries.iter().any(|query| query.id == id.text);
                if !known {
                    let message = format!("Unknown queryId: {id}; SHOW QUERIES lists them");
                    return Err(lexer::error(text, id.at, &message));
                }
                vec![id.text.clone()]
            }
        };
        let layouts = self.layouts();
        self.commands
            .append(&self.admin, text, &self.session.settings)?;
        let said = self.catch_up(Some(text))?.unwrap_or_default();
        self.clean_up(&ids, &layouts)?;
        Ok(said)
    }

    /// Returns how the queries are laid out, for those whose topics are there.
    fn layouts(&self) -> BTreeMap<String, super::layout::Layout> {
        let queries = self.session.queries.iter();
        let layout = |query: &Persistent| {
            let group = self.group_of(&query.id);
            let layout = layout_of(&self.admin, &query.recipe, &group).ok()?;
            Some((query.id.clone(), layout))
        };
        queries.filter_map(layout).collect()
    }

    /// Deletes the groups and the internal topics of queries that were ended.
    fn clean_up(
        &self,
        ids: &[String],
        layouts: &BTreeMap<String, super::layout::Layout>,
    ) -> Result<()> {
        for id in ids {
            if !crew::clean_up(&self.admin, layouts.get(id), &self.group_of(id))? {
                self.context.report.warning(format!(
                    "query {id} is still at work elsewhere: its group and internal topics are left"
                ));
            }
        }
        Ok(())
    }

    /// Writes a row of INSERT VALUES.
    fn insert(&self, record: &Record) -> Result<()> {
        let mut sources = self.session.catalog.sources();
        let Some(sink) = sources.find(|source| source.topic == record.topic) else {
            return Ok(());
        };
        let partitions = self.admin.topic(&sink.topic)?.partitions.len() as i32;
        let mut producer = Producer::new(&self.settings, &Options::default())?;
        let topic = producer.topic(&sink.topic)?;
        let bytes = Bytes::of(record, sink);
        let key = bytes.key.as_deref();
        let partition = Partitioner::new(Partitioning::Murmur2, partitions).choose(key);
        let mut outbox = Outbox::default();
        let (time, headers) = (Some(record.time), record.headers.clone());
        outbox.push(
            (topic, partition),
            time,
            key,
            bytes.value.as_deref(),
            headers,
        );
        outbox.send(&mut producer)?;
        producer.flush(|_| {})
    }

    /// Answers a query with what its topics hold now.
    fn pull(&mut self, query: &Query, text: &str) -> Result<Answer> {
        let mut plan = plan::plan(text, query, &self.session.catalog, Target { name: None })?;
        let mut queues: BTreeMap<(usize, i32), Queue<Event>> = BTreeMap::new();
        for (nth, (source, _)) in plan.inputs.clone().iter().enumerate() {
            let partitions = self.admin.topic(&source.topic)?.partitions.len() as i32;
            let held = topics::held(&self.admin, &source.topic, 0..partitions)?;
            let interrupt: &Interrupt = &self.context.interrupt;
            let unread = &mut self.unread;
            topics::read(
                &self.settings,
                &source.topic,
                &held,
                || interrupt.is_set(),
                |message| {
                    if let Some(event) = event_of(source, message, unread) {
                        let queue = queues.entry((nth, message.partition)).or_default();
                        queue.push(event.time, event);
                        queue.is_at_end = true;
                    }
                    Ok(())
                },
            )?;
        }
        self.context.interrupt.check()?;
        let (places, mut queues): (Vec<_>, Vec<_>) = queues.into_iter().unzip();
        let events = std::iter::from_fn(|| {
            let (_, nth) = order::next(queues.iter())?;
            let event = queues[nth].pop()?;
            // Nothing follows the last of them.
            queues[nth].is_at_end = true;
            Some((places[nth].0, event))
        });
        Ok(pulled(&mut plan, query, events, self.limit(query)))
    }

    fn limit(&self, query: &Query) -> Option<u64> {
        match (query.limit, self.row_limit) {
            (Some(limit), Some(most)) => Some(limit.min(most)),
            (limit, most) => limit.or(most),
        }
    }

    /// Answers a query with rows as they come, until there are enough or a signal.
    fn push(&mut self, query: &Query, text: &str, show: &mut Show<'_>) -> Result<()> {
        let Plan {
            mut topology,
            inputs,
            schema,
            ..
        } = plan::plan(text, query, &self.session.catalog, Target { name: None })?;
        let limit = self.limit(query).unwrap_or(u64::MAX);
        if !self.session.queries.is_empty() {
            self.work()?;
        }
        let topics: Vec<&str> = inputs
            .iter()
            .map(|(source, _)| source.topic.as_str())
            .collect();
        let from_beginning = is_earliest(&self.session.settings);
        let stream = Stream::begin(
            &self.settings,
            &self.context,
            &self.admin,
            &topics,
            from_beginning,
        )?;
        let rows = std::cell::RefCell::new(Vec::new());
        let (mut count, mut is_first) = (0, true);
        let (unread, crew) = (&mut self.unread, &mut self.crew);
        stream.run(
            |nth, message| {
                let event = event_of(&inputs[nth].0, message, unread)?;
                Some((event.time, event))
            },
            |nth, event| {
                let mut given = Vec::new();
                topology.push(inputs[nth].1, event, &mut given);
                let left = usize::try_from(limit - count).unwrap_or(usize::MAX);
                given.truncate(left);
                count += given.len() as u64;
                rows.borrow_mut().extend(given);
                Ok(count >= limit)
            },
            || {
                crew.check()?;
                let rows: Vec<Event> = std::mem::take(&mut *rows.borrow_mut());
                if rows.is_empty() && !is_first {
                    return Ok(());
                }
                let Answer::Table { columns, rows } = table(&schema, &rows) else {
                    return Ok(());
                };
                let is_first = std::mem::take(&mut is_first);
                show(Answer::Rows {
                    columns,
                    rows,
                    is_first,
                })
            },
        )
    }

    /// Prints the records of a topic as they come.
    fn print(
        &mut self,
        topic: &str,
        from_beginning: bool,
        interval: Option<u64>,
        limit: Option<u64>,
        show: &mut Show<'_>,
    ) -> Result<()> {
        let mut sources = self.session.catalog.sources();
        let source = sources.find(|source| source.topic == topic).cloned();
        let stream = Stream::begin(
            &self.settings,
            &self.context,
            &self.admin,
            &[topic],
            from_beginning,
        )?;
        let (step, limit) = (interval.unwrap_or(1).max(1), limit.unwrap_or(u64::MAX));
        let lines = std::cell::RefCell::new(Vec::new());
        let (mut seen, mut shown) = (0, 0);
        if limit == 0 {
            return Ok(());
        }
        stream.run(
            |_, message| {
                let time = message.timestamp.unwrap_or_default();
                Some((time, printed(source.as_ref(), message)))
            },
            |_, line| {
                if seen % step == 0 {
                    lines.borrow_mut().push(line);
                    shown += 1;
                }
                seen += 1;
                Ok(shown >= limit)
            },
            || match std::mem::take(&mut *lines.borrow_mut()) {
                lines if lines.is_empty() => Ok(()),
                lines => show(Answer::Lines(lines)),
            },
        )
    }

    fn topics(&self, extended: bool) -> Result<Answer> {
        let mut topics = self.admin.topics()?;
        topics.retain(|topic| {
            extended || !(topic.name.starts_with("__") || topic.name.starts_with("k-ksql-"))
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

fn event_of(
    source: &Source,
    message: &Message<'_>,
    unread: &mut (usize, Option<String>),
) -> Option<Event> {
    let read = record_of(source, message).and_then(|record| {
        records::read(source, &record).map_err(|misfit| misfit.reason().to_owned())
    });
    match read {
        Ok(event) => Some(event),
        Err(why) => {
            let place = format!(
                "topic {}, partition {}, offset {}",
                source.topic, message.partition, message.offset
            );
            unread.0 += 1;
            unread.1.get_or_insert(format!("{place}: {why}"));
            None
        }
    }
}

/// Returns a record as PRINT shows it: by the formats of a source, else as text.
fn printed(source: Option<&Source>, message: &Message<'_>) -> String {
    let plain = |bytes: Option<&[u8]>| match bytes.map(std::str::from_utf8) {
        None => "<null>".to_owned(),
        Some(Ok(text)) => text.escape_debug().to_string().replace("\\\"", "\""),
        Some(Err(_)) => format!(
            "0x{}",
            bytes
                .unwrap_or_default()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        ),
    };
    let shown = |document: &Document| match document {
        Document::Null => "<null>".to_owned(),
        Document::Text(text) => text.clone(),
        other => other.to_string(),
    };
    let record = source.and_then(|source| record_of(source, message).ok());
    let (key, value) = match record {
        Some(record) => {
            let window = record.window.map_or_else(String::new, |(window, _)| {
                format!("@{}/{}", window.start, window.end)
            });
            (
                format!("{}{window}", shown(&record.key)),
                shown(&record.value),
            )
        }
        None => (plain(message.key), plain(message.value)),
    };
    format!(
        "rowtime: {}, key: {key}, value: {value}, partition: {}",
        timestamp_text(message.timestamp.unwrap_or_default()),
        message.partition
    )
}

/// Returns a whole number of WITH (…).
fn count(text: &str, properties: &Properties, name: &str) -> Result<Option<i32>> {
    let Some((value, at)) = properties.entries.get(name) else {
        return Ok(None);
    };
    let number = match value {
        Literal::Boolean(_) => None,
        Literal::Number(digits) | Literal::Text(digits) => digits.parse().ok(),
    };
    match number {
        Some(number @ 1..) => Ok(Some(number)),
        _ => Err(lexer::error(
            text,
            *at,
            &format!("{name} is a number above 0"),
        )),
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
