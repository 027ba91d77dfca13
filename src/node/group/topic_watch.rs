//! Watches the topics that a group depends on while it works.
//!
//! librdkafka does not report a topic that was deleted and created again at once, nor a topic from
//! which nothing is read and to which nothing is sent. So their ids are asked for now and then, on a
//! thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::state_position::made_again;
use crate::clock::{self, Errand};
use crate::error::Result;
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, TopicIdentity};
use crate::kafka::unreadable::gone;

/// How often the topics are looked up.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(2);

/// Ids by topic.
type Ids = BTreeMap<String, TopicIdentity>;

/// Watches topics.
pub(in crate::node) struct TopicWatch {
    settings: Settings,
    topics: Arc<[String]>,
    known: Ids,
    /// The look that is not back yet, with the client that is to be used again.
    look: Option<Errand<Result<(Ids, Admin)>>>,
    client: Option<Admin>,
    looked: Instant,
    /// A topic that the last look has missed.
    missed: Option<String>,
}

impl TopicWatch {
    /// Begins to watch topics as they are now.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn begin(admin: &Admin, settings: &Settings, topics: Vec<String>) -> Result<Self> {
        Ok(TopicWatch {
            settings: settings.clone(),
            known: admin.topic_ids(&names(&topics))?,
            topics: topics.into(),
            look: None,
            client: None,
            looked: clock::now(),
            missed: None,
        })
    }

    /// Looks the topics up, now and then. A broker that is away reports nothing about its topics.
    ///
    /// # Errors
    /// `refused` once one is gone or another one.
    pub fn check(&mut self) -> Result<()> {
        match self.look.as_mut().map(Errand::answer) {
            None if clock::since(self.looked) < LOOKUP_INTERVAL => Ok(()),
            None => {
                let (client, settings) = (self.client.take(), self.settings.clone());
                let topics = self.topics.clone();
                self.look = Some(Errand::begin(move || {
                    let admin = client.map_or_else(|| Admin::new(&settings), Ok)?;
                    Ok((admin.topic_ids(&names(&topics))?, admin))
                }));
                Ok(())
            }
            Some(None) => Ok(()),
            Some(Some(answer)) => {
                self.look = None;
                self.looked = clock::now();
                let Ok((found, admin)) = answer.flatten() else {
                    return Ok(());
                };
                self.client = Some(admin);
                self.judge(&found)
            }
        }
    }

    fn judge(&mut self, found: &Ids) -> Result<()> {
        let mut topics = self.topics.iter();
        let change = topics.find_map(|name| change(name, &self.known, found));
        match change {
            Some(Change::MadeAgain(name)) => return Err(made_again(&name)),
            // One broker may know less than the others.
            Some(Change::Gone(name)) if self.missed.as_ref() == Some(&name) => {
                return Err(
                    gone(&name).hint("to compute everything again: `--reset`, or another group")
                );
            }
            Some(Change::Gone(name)) => self.missed = Some(name),
            None => self.missed = None,
        }
        Ok(())
    }
}

fn names(topics: &[String]) -> Vec<&str> {
    topics.iter().map(String::as_str).collect()
}

/// What happened to a topic.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Gone(String),
    MadeAgain(String),
}

fn change(name: &str, known: &Ids, found: &Ids) -> Option<Change> {
    match (known.get(name), found.get(name)) {
        (Some(Ok(Some(was))), Some(Ok(Some(is)))) if was != is => {
            Some(Change::MadeAgain(name.to_owned()))
        }
        (_, Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition))) => {
            Some(Change::Gone(name.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_another_one_by_its_id_where_brokers_have_ids() {
        let ids = |id: TopicIdentity| Ids::from([("t".to_owned(), id)]);
        let id = |id: &str| Ok(Some(id.to_owned()));
        let (gone, again) = (Change::Gone("t".into()), Change::MadeAgain("t".into()));
        for (known, found, expected) in [
            (id("a"), id("a"), None),
            (id("a"), id("b"), Some(again)),
            (Ok(None), Ok(None), None),
            (Ok(None), id("b"), None),
            (id("a"), Err(RDKafkaErrorCode::LeaderNotAvailable), None),
            (
                id("a"),
                Err(RDKafkaErrorCode::UnknownTopicOrPartition),
                Some(gone),
            ),
        ] {
            assert_eq!(change("t", &ids(known), &ids(found)), expected);
        }
    }
}
