//! Rows for a person: SELECT, PRINT and ASSERT.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{ClusterShell, Show, is_earliest};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::ksql::answer::{Answer, pulled, table};
use crate::ksql::asserts::Topics;
use crate::ksql::catalog::Source;
use crate::ksql::cluster::order::{self, Queue};
use crate::ksql::cluster::push::Stream;
use crate::ksql::cluster::topics::{self, record_of};
use crate::ksql::document::Document;
use crate::ksql::plan::{self, Plan, Target};
use crate::ksql::records::{self, Record};
use crate::ksql::run::Event;
use crate::ksql::syntax::Query;
use crate::ksql::time::timestamp_text;
use crate::source::Message;

impl ClusterShell {
    /// Answers a query with what its topics hold now.
    pub(super) fn pull(&mut self, query: &Query, text: &str) -> Result<Answer> {
        let mut plan = plan::plan(
            text,
            query,
            &self.session.catalog,
            Target::screen(&self.session.settings),
        )?;
        let now = Instant::now();
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
                        let queue = queues
                            .entry((nth, message.partition))
                            .or_insert_with(|| Queue::new(now, false));
                        queue.push(now, event.time, event);
                        queue.is_at_end = true;
                    }
                    Ok(())
                },
            )?;
        }
        self.context.interrupt.check()?;
        let (places, mut queues): (Vec<_>, Vec<_>) = queues.into_iter().unzip();
        let events = std::iter::from_fn(|| {
            let (_, nth) = order::next(queues.iter(), now)?;
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
    pub(super) fn push(&mut self, query: &Query, text: &str, show: &mut Show<'_>) -> Result<()> {
        let Plan {
            mut topology,
            inputs,
            schema,
            ..
        } = plan::plan(
            text,
            query,
            &self.session.catalog,
            Target::screen(&self.session.settings),
        )?;
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
    pub(super) fn print(
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
}

/// What the topics hold now, for ASSERT.
pub(super) struct Held<'a> {
    pub settings: &'a Settings,
    pub admin: &'a Admin,
}

impl Topics for Held<'_> {
    /// Records of several partitions are in the order of their times.
    fn records(&self, source: &Source) -> Result<Vec<Record>> {
        let partitions = self.admin.topic(&source.topic)?.partitions.len() as i32;
        let held = topics::held(self.admin, &source.topic, 0..partitions)?;
        let mut records = Vec::new();
        topics::read(
            self.settings,
            &source.topic,
            &held,
            || false,
            |message| {
                let record = record_of(source, message);
                records.push(record.map_err(|why| unreadable(source, message, &why))?);
                Ok(())
            },
        )?;
        records.sort_by_key(|record: &Record| record.time);
        Ok(records)
    }

    fn has(&self, topic: &str) -> Result<bool> {
        Ok(self.admin.find_topic(topic)?.is_some())
    }
}

fn unreadable(source: &Source, message: &Message<'_>, why: &str) -> Error {
    Error::data(format!("{}: {why}", place_of(source, message)))
}

fn place_of(source: &Source, message: &Message<'_>) -> String {
    format!(
        "topic {}, partition {}, offset {}",
        source.topic, message.partition, message.offset
    )
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
            unread.0 += 1;
            let place = place_of(source, message);
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
