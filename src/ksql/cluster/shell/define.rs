//! Definitions: what they need, and what becomes of it.

use std::collections::BTreeMap;

use super::ClusterShell;
use crate::error::Result;
use crate::kafka::check_topic_name;
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::kafka::producer::{Options, Producer};
use crate::ksql::bytes::Bytes;
use crate::ksql::catalog::Source;
use crate::ksql::cluster::crew::{self, layout_of};
use crate::ksql::cluster::layout::Layout;
use crate::ksql::cluster::outbox::Outbox;
use crate::ksql::lexer;
use crate::ksql::records::Record;
use crate::ksql::session::{Effect, Persistent, Session};
use crate::ksql::syntax::{Literal, Name, Properties, SourceKind, Statement};

impl ClusterShell {
    /// Adds a definition to those of the app, once it is known to hold.
    pub(super) fn define(&mut self, text: &str, parsed: &Statement) -> Result<String> {
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
        let ahead = i64::MAX.to_string();
        let settings = [
            ("cleanup.policy", policy),
            // Event times may be of any age, and ahead.
            ("retention.ms", "-1"),
            ("message.timestamp.after.max.ms", ahead.as_str()),
        ];
        // Another process that runs the same file may be faster.
        let Some(replicas) = replicas else {
            let created = self
                .admin
                .create_if_missing(&source.topic, partitions, &settings);
            return created.map(drop);
        };
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.admin
            .create_topic(&source.topic, partitions, Some(replicas), &settings)
    }

    pub(super) fn terminate(&mut self, text: &str, query: Option<&Name>) -> Result<String> {
        let ids: Vec<String> = match query {
            None => self
                .session
                .queries
                .iter()
                .map(|query| query.id.clone())
                .collect(),
            Some(id) => {
                self.session.check_query(text, id)?;
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
    fn layouts(&self) -> BTreeMap<String, Layout> {
        let queries = self.session.queries.iter();
        let layout = |query: &Persistent| {
            let group = self.group_of(&query.id);
            let layout = layout_of(&self.admin, &query.recipe, &group).ok()?;
            Some((query.id.clone(), layout))
        };
        queries.filter_map(layout).collect()
    }

    /// Deletes the groups and the internal topics of queries that were ended.
    fn clean_up(&self, ids: &[String], layouts: &BTreeMap<String, Layout>) -> Result<()> {
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
    pub(super) fn insert(&self, record: &Record) -> Result<()> {
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
