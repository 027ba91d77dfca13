//! Watches the topics that a group depends on while it works.
//!
//! librdkafka does not report a topic that was deleted and created again at once, nor a topic from
//! which nothing is read and to which nothing is sent. So a thread of its own asks for their ids
//! now and then.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

use super::state_position::made_again;
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, TopicIdentity};
use crate::kafka::fetch::gone;

/// How often the topics are looked up.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(2);

/// Ids by topic.
type Ids = BTreeMap<String, TopicIdentity>;

/// Watches topics until it is dropped.
pub(super) struct TopicWatch {
    news: mpsc::Receiver<Error>,
    /// Nothing is sent; closing it ends the thread.
    _end: mpsc::Sender<()>,
}

impl TopicWatch {
    /// Begins to watch topics as they are now.
    ///
    /// # Errors
    /// `retry` when no broker answers.
    pub fn begin(admin: &Admin, settings: &Settings, topics: Vec<String>) -> Result<Self> {
        let known = admin.topic_ids(&names(&topics))?;
        let (tell, news) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let settings = settings.clone();
        std::thread::spawn(move || {
            let (mut client, mut missed) = (None, None);
            while ended.recv_timeout(LOOKUP_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let admin = client.take().map_or_else(|| Admin::new(&settings), Ok);
                let found = admin.and_then(|admin| Ok((admin.topic_ids(&names(&topics))?, admin)));
                // A broker that is away reports nothing about its topics.
                let Ok((found, admin)) = found else { continue };
                client = Some(admin);
                let change = topics.iter().find_map(|name| change(name, &known, &found));
                match change {
                    Some(Change::MadeAgain(name)) => {
                        return tell.send(made_again(&name)).unwrap_or(());
                    }
                    // One broker may know less than the others.
                    Some(Change::Gone(name)) if missed.as_ref() == Some(&name) => {
                        let gone = gone(&name)
                            .hint("to compute everything again: `--reset`, or another group");
                        return tell.send(gone).unwrap_or(());
                    }
                    Some(Change::Gone(name)) => missed = Some(name),
                    None => missed = None,
                }
            }
        });
        Ok(TopicWatch { news, _end: end })
    }

    /// Returns the error of a topic that is gone or another one, once one is.
    ///
    /// # Errors
    /// `refused` then.
    pub fn check(&self) -> Result<()> {
        match self.news.try_recv() {
            Ok(error) => Err(error),
            Err(_) => Ok(()),
        }
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
