//! The definitions of an app: the records of a topic of one partition, in their order.
//!
//! Whoever reads them carries them out one after the other and has the same streams, tables and
//! queries. The number of a query is the offset of its statement. A statement that cannot be carried
//! out, because another process was faster, changes nothing for anybody.

use std::sync::Arc;

use super::topics;
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::kafka::producer::{Block, Options, Producer, Record};
use crate::ksql::document::Document;
use crate::ksql::properties;

/// The configuration of the topic.
const SETTINGS: [(&str, &str); 2] = [("cleanup.policy", "delete"), ("retention.ms", "-1")];

/// A definition.
#[derive(Debug)]
pub(super) struct Command {
    /// Where it is in the topic.
    pub offset: i64,
    /// The statement.
    pub statement: String,
    /// What SET had set when it was typed.
    pub settings: properties::Settings,
}

/// The definitions of an app.
pub(super) struct Commands {
    topic: String,
    settings: Settings,
    exists: bool,
    next: i64,
}

impl Commands {
    /// Returns those in a topic; nothing is read yet.
    pub fn new(settings: &Settings, topic: String) -> Self {
        Commands {
            topic,
            settings: settings.clone(),
            exists: false,
            next: 0,
        }
    }

    /// Reads the definitions that have come since the last time.
    ///
    /// # Errors
    /// `retry` when no broker answers, `data` for a record that is no definition.
    pub fn read(&mut self, admin: &Admin) -> Result<Vec<Command>> {
        if !self.exists && admin.find_topic(&self.topic)?.is_none() {
            return Ok(Vec::new());
        }
        self.exists = true;
        let mut held = topics::held(admin, &self.topic, 0..1)?;
        for (_, range) in &mut held {
            range.start = range.start.max(self.next);
        }
        let mut commands = Vec::new();
        topics::read(
            &self.settings,
            &self.topic,
            &held,
            || false,
            |message| {
                let place = || format!("topic `{}`, offset {}", self.topic, message.offset);
                let command = parse(message.offset, message.value.unwrap_or_default());
                commands.push(command.map_err(|why| Error::data(format!("{}: {why}", place())))?);
                Ok(())
            },
        )?;
        if let Some((_, range)) = held.first() {
            self.next = self.next.max(range.end);
        }
        Ok(commands)
    }

    /// Adds a definition.
    ///
    /// # Errors
    /// `retry` when no broker answers, `refused` where the topic may not be written to.
    pub fn append(
        &mut self,
        admin: &Admin,
        statement: &str,
        settings: &properties::Settings,
    ) -> Result<()> {
        if !self.exists {
            admin.create_if_missing(&self.topic, 1, &SETTINGS)?;
            self.exists = true;
        }
        let text = |text: &str| Document::Text(text.to_owned());
        let set = settings
            .all()
            .map(|(name, value)| (name.to_owned(), text(value)));
        let command = Document::Object(vec![
            ("statement".to_owned(), text(statement)),
            ("settings".to_owned(), Document::Object(set.collect())),
        ]);
        let bytes = command.to_string().into_bytes();
        let range = 0..bytes.len();
        let options = Options {
            // The same definition twice is one.
            may_double: true,
            ..Options::default()
        };
        let mut producer = Producer::new(&self.settings, &options)?;
        let topic = producer.topic(&self.topic)?;
        let record = Record {
            value: Some(range),
            ..Record::default()
        };
        producer.send(topic, &Arc::new(Block::from(bytes)), &record)?;
        producer.flush(|_| {})
    }
}

fn parse(offset: i64, value: &[u8]) -> Result<Command, String> {
    let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
    let document = Document::parse(text)?;
    let statement = document.get("statement").and_then(Document::as_text);
    let mut settings = properties::Settings::default();
    if let Some(Document::Object(members)) = document.get("settings") {
        for (name, value) in members {
            settings.set(name, value.as_text().map(str::to_owned));
        }
    }
    Ok(Command {
        offset,
        statement: statement.ok_or("it holds no statement")?.to_owned(),
        settings,
    })
}
