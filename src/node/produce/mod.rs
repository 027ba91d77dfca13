//! `k produce`'s loop: records of files and pipes → topics, when they are due.
//!
//! Comes in: [`Feed`]s, each with the topic of its records. Goes out: records by a producer, and an
//! account of what was acknowledged. Topics are looked up, or created, before their first record.

mod feed;
mod rows;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, Extent, Topic};
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::kafka::producer::{self, Acks, Producer, Record, TopicId};
use crate::pace::{self, Pace};
use crate::term::progress::Progress;
use crate::term::units;
use feed::Ready;
pub use feed::{Feed, Mapping, ValueNotation};
use rows::Row;

/// How long to wait for records in flight after a run has ended early.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an input before the producer is polled.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// How long an input may be silent before that is reported, once.
const SILENCE: Duration = Duration::from_secs(5);

/// How records are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which acknowledgement a record needs before it counts as written.
    pub acks: Acks,
    /// By which codec batches are compressed; `None` for none.
    pub compression: Option<String>,
    /// How many partitions a topic gets that does not exist.
    pub partitions: i32,
    /// How partitions are chosen.
    pub partitioning: Partitioning,
    /// Whether an envelope goes to the partition that it names.
    pub keep_partition: bool,
    /// When records are due by their times.
    pub pace: Pace,
    /// How many are due a second; `None`: that does not count.
    pub rate: Option<f64>,
}

/// An input, and the topic of its records; `None` where every record names its own.
pub type Routed = (Feed, Option<Arc<str>>);

/// Sends every record of some inputs, and says what became of them.
///
/// # Errors
/// `data` at a malformed record, `retry` when no broker answers, `refused` for a topic or a record
/// that the broker does not take.
pub fn run(
    feeds: &mut [Routed],
    options: &Options,
    settings: Settings,
    context: &Context,
) -> Result<()> {
    let is_paced = options.rate.is_some() || options.pace != Pace::None;
    let producer_options = producer::Options {
        acks: options.acks,
        compression: options.compression.clone(),
        // At a pace it costs nothing.
        one_at_a_time: is_paced,
        ..producer::Options::default()
    };
    let mut run = Run {
        options,
        context,
        admin: Admin::new(&settings)?,
        producer: Producer::new(&settings, &producer_options)?,
        settings,
        targets: Vec::new(),
        by_name: HashMap::new(),
        clock: Clock::default(),
    };
    let started = Instant::now();
    let bar = Bar::new(feeds, is_paced, context);
    let mut sent = run.send_all(feeds, &bar);
    if sent.is_ok() {
        sent = run
            .producer
            .flush(|acknowledged| bar.progress.set(acknowledged));
    }
    drop(bar);
    if let Err(error) = sent {
        return Err(run.give_up(error));
    }
    run.summarize(feeds, started.elapsed());
    Ok(())
}

/// A topic that records go to.
struct Target {
    name: Arc<str>,
    id: TopicId,
    partitions: i32,
    partitioner: Partitioner,
    records: u64,
    /// How many records it held when the first one was sent.
    held: i64,
}

/// When records are due.
#[derive(Default)]
struct Clock {
    started: Option<(Instant, i64)>,
}

/// A run in progress.
struct Run<'a> {
    options: &'a Options,
    context: &'a Context,
    settings: Settings,
    admin: Admin,
    producer: Producer,
    targets: Vec<Target>,
    by_name: HashMap<Arc<str>, usize>,
    clock: Clock,
}

impl Run<'_> {
    /// Sends every record: input by input or, with a pace, in the order of their times.
    fn send_all(&mut self, feeds: &mut [Routed], bar: &Bar) -> Result<()> {
        let merged = self.options.pace != Pace::None;
        let mut open: Vec<usize> = (0..feeds.len()).collect();
        let mut silent: Option<Instant> = None;
        let mut told = false;
        loop {
            // With a pace, the next record may come from any input, so each must have one ready.
            let looked_at = if merged {
                open.len()
            } else {
                open.len().min(1)
            };
            let mut at = 0;
            let mut waiting = false;
            while at < looked_at.min(open.len()) {
                match feeds[open[at]].0.fill(if waiting {
                    Duration::ZERO
                } else {
                    POLL_TIMEOUT
                })? {
                    Ready::Yes => at += 1,
                    Ready::Never => {
                        open.remove(at);
                    }
                    Ready::NotYet => {
                        waiting = true;
                        at += 1;
                    }
                }
            }
            self.context.interrupt.check()?;
            if waiting {
                let since = *silent.get_or_insert_with(Instant::now);
                if since.elapsed() >= SILENCE && !std::mem::replace(&mut told, true) {
                    self.tell_silence(feeds.iter().map(|(feed, _)| feed));
                }
                self.producer.serve(Duration::ZERO)?;
                bar.show(&self.producer, feeds);
                continue;
            }
            (silent, told) = (None, false);
            let time_of = |&index: &usize| feeds[index].0.head().and_then(|row| row.time);
            let next = if merged {
                open.iter().copied().min_by_key(time_of)
            } else {
                open.first().copied()
            };
            let Some(next) = next else { return Ok(()) };
            let (feed, topic) = &mut feeds[next];
            let whole_batch = !merged && self.options.rate.is_none();
            while let Some(row) = feed.head() {
                self.send(feed, row, topic.as_ref(), bar)?;
                feed.advance();
                if !whole_batch {
                    break;
                }
            }
            bar.show(&self.producer, feeds);
        }
    }

    /// Reports which inputs are waited for.
    fn tell_silence<'f>(&self, feeds: impl Iterator<Item = &'f Feed>) {
        let silent: Vec<&str> = feeds
            .filter(|feed| feed.head().is_none())
            .map(|feed| feed.name.as_str())
            .collect();
        self.context.report.status(format!(
            "waiting for records from {}: none for {}, {} sent so far",
            silent.join(" and "),
            units::format_duration(SILENCE.as_millis() as i64),
            units::format_count(self.producer.sent()),
        ));
    }

    /// Sends one record once it is due.
    fn send(&mut self, feed: &Feed, row: &Row, topic: Option<&Arc<str>>, bar: &Bar) -> Result<()> {
        let name = match (topic, &row.from) {
            (Some(topic), _) => topic,
            (None, Some((topic, _))) => topic,
            (None, None) => return Err(Error::bug("a record without a topic")),
        };
        let known = self
            .targets
            .first()
            .filter(|target| Arc::ptr_eq(&target.name, name));
        let target = match known {
            Some(_) => 0,
            None => match self.by_name.get(name) {
                Some(&target) => target,
                None => self.add_target(name, row.time)?,
            },
        };
        self.wait_until_due(row.time, bar)?;
        let key = feed.key(row);
        let target = &mut self.targets[target];
        let partition = match row.from {
            Some((_, partition)) if self.options.keep_partition => {
                check_partition(target, partition)?
            }
            _ => target.partitioner.choose(key),
        };
        let headers = row.headers();
        let record = Record {
            partition,
            timestamp: row.time,
            key,
            value: row.value.clone(),
            headers: &headers,
        };
        self.producer.send(target.id, feed.block(), &record)?;
        target.records += 1;
        Ok(())
    }

    fn wait_until_due(&mut self, time: Option<i64>, bar: &Bar) -> Result<()> {
        let after = match (self.options.rate, time) {
            (Some(rate), _) => pace::item_due_after(self.producer.sent(), rate),
            (None, Some(time)) if self.options.pace != Pace::None => {
                let (_, first) = self.clock.started.unwrap_or((Instant::now(), time));
                self.options.pace.due_after(time.saturating_sub(first))
            }
            _ => return Ok(()),
        };
        let now = Instant::now();
        let (started, _) = *self.clock.started.get_or_insert((now, time.unwrap_or(0)));
        loop {
            let left = (started + after).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.context.interrupt.check()?;
            self.producer.serve(left.min(POLL_TIMEOUT))?;
            bar.progress.set(self.producer.acknowledged());
        }
    }

    /// Looks up a topic, or creates it, before its first record is sent.
    fn add_target(&mut self, name: &Arc<str>, first_time: Option<i64>) -> Result<usize> {
        let mut held = 0;
        let topic = match self.admin.find_topic(name)? {
            Some(topic) => {
                self.warn_of_retention(name, first_time)?;
                held = self.held(&topic)?;
                if held > 0 {
                    self.context.report.status(format!(
                        "topic `{name}` already holds {}; these are appended",
                        units::format_plural(held.unsigned_abs(), "record"),
                    ));
                }
                topic
            }
            None => self
                .admin
                .create_data_topic(name, self.options.partitions)?,
        };
        let partitions = topic.partitions.len() as i32;
        let target = Target {
            name: name.clone(),
            id: self.producer.topic(name)?,
            partitions,
            partitioner: Partitioner::new(self.options.partitioning, partitions),
            records: 0,
            held,
        };
        if let Partitioning::Fixed(partition) = self.options.partitioning {
            check_partition(&target, partition)?;
        }
        self.targets.push(target);
        self.by_name.insert(name.clone(), self.targets.len() - 1);
        Ok(self.targets.len() - 1)
    }

    /// Returns how many records a topic holds.
    fn held(&self, topic: &Topic) -> Result<i64> {
        let partitions = topic.partitions.iter();
        let partitions: Vec<(&str, i32)> = partitions
            .map(|partition| (topic.name.as_str(), partition.number))
            .collect();
        let extents = self.admin.extents(&partitions)?;
        Ok(extents.values().map(Extent::records).sum())
    }

    /// Describes how many records a topic that was not empty holds now; empty if the broker does
    /// not answer.
    fn holds_now(&self, target: &Target) -> String {
        let now = match target.held {
            0 => None,
            _ => self
                .admin
                .topic(&target.name)
                .and_then(|topic| self.held(&topic))
                .ok(),
        };
        now.map_or(String::new(), |now| {
            let [held, now] =
                [target.held, now].map(|count| units::format_count(count.unsigned_abs()));
            format!("; it held {held} and now holds {now}")
        })
    }

    /// Warns if the broker will soon delete the records because their times are old: the default of
    /// 7 days empties such a topic within minutes.
    fn warn_of_retention(&self, topic: &str, first_time: Option<i64>) -> Result<()> {
        let Some(first_time) = first_time else {
            return Ok(());
        };
        let settings = self.admin.topic_settings(topic)?;
        let value = |name: &str| {
            let setting = settings.iter().find(|setting| setting.name == name);
            setting
                .and_then(|setting| setting.value.as_deref())
                .unwrap_or_default()
        };
        let retention: i64 = value("retention.ms").parse().unwrap_or(-1);
        let deletes = value("cleanup.policy").contains("delete")
            && value("message.timestamp.type") != "LogAppendTime";
        if deletes && retention >= 0 && first_time.saturating_add(retention) < units::now_ms() {
            self.context.report.warning(format!(
                "topic `{topic}` keeps records for {} after their timestamp; the first one is from {}, so Kafka will delete it soon",
                units::format_duration(retention),
                units::format_time(first_time),
            ));
            self.context.report.hint(format!(
                "`k topic alter {topic} --config retention.ms=-1` keeps them"
            ));
        }
        Ok(())
    }

    /// Ends a run early: reports how many records were acknowledged, and where Kafka is.
    fn give_up(&mut self, error: Error) -> Error {
        let settle = match error.remedy() {
            // No broker can be reached to acknowledge anything.
            Remedy::Retry => Duration::ZERO,
            _ => SETTLE_TIMEOUT,
        };
        let acknowledged = self.producer.settle(settle);
        let sent = self.producer.sent();
        if sent > 0 {
            self.context.report.status(format!(
                "acknowledged {} of {}",
                units::format_count(acknowledged),
                units::format_plural(sent, "record"),
            ));
        }
        self.context
            .report
            .detail(format!("the broker was `{}`", self.settings.brokers));
        error
    }

    fn summarize(&self, feeds: &[Routed], took: Duration) {
        let report = &self.context.report;
        let verb = match self.options.acks {
            Acks::Zero => "sent, none acknowledged",
            _ => "acknowledged",
        };
        for target in &self.targets {
            report.status(format!(
                "topic `{}` ({}): {} {verb}{}",
                target.name,
                units::format_plural(target.partitions as u64, "partition"),
                units::format_plural(target.records, "record"),
                self.holds_now(target),
            ));
        }
        let sent = self.producer.sent();
        let rate = sent as f64 / took.as_secs_f64().max(1e-6);
        report.status(format!(
            "produced {} in {:.1} s, {}",
            units::format_plural(sent, "record"),
            took.as_secs_f64(),
            units::format_rate(rate),
        ));
        let (timed, old) = feeds.iter().fold((0, 0), |(timed, old), (feed, _)| {
            (timed + feed.timed, old + feed.before_1980)
        });
        if timed > 0 && old == timed {
            report.warning(
                "all times are before 1980: is the unit right? See `--time-unit s|ms|us|ns`",
            );
        }
        let skipped: u64 = feeds.iter().map(|(feed, _)| feed.skipped.count).sum();
        if skipped > 0 {
            report.warning(format!(
                "skipped {}",
                units::format_plural(skipped, "malformed record")
            ));
        }
        let mut first = feeds
            .iter()
            .filter_map(|(feed, _)| feed.skipped.first.as_ref());
        first
            .next()
            .into_iter()
            .for_each(|line| report.status(line));
    }
}

fn check_partition(target: &Target, partition: i32) -> Result<i32> {
    if (0..target.partitions).contains(&partition) {
        return Ok(partition);
    }
    Err(Error::refused(format!(
        "topic `{}` has no partition {partition}; its last one is {}",
        target.name,
        target.partitions - 1
    ))
    .hint("`k topic alter --partitions` adds partitions"))
}

/// A progress bar of acknowledged records; their total is estimated from the sizes of the files.
struct Bar {
    progress: Progress,
    bytes: Option<u64>,
}

impl Bar {
    fn new(feeds: &[Routed], is_paced: bool, context: &Context) -> Self {
        let bytes: Option<u64> = feeds.iter().map(|(feed, _)| feed.size).sum();
        // With a pace, reading is far ahead of sending, so it is no measure of progress.
        let bytes = bytes.filter(|_| !is_paced);
        // A guess until the first records show their size.
        let total = bytes.map(|bytes| bytes / 100);
        Bar {
            progress: Progress::new(&context.report, "producing", total),
            bytes,
        }
    }

    fn show(&self, producer: &Producer, feeds: &[Routed]) {
        let consumed: u64 = feeds.iter().map(|(feed, _)| feed.consumed).sum();
        if let Some(bytes) = self.bytes
            && consumed > 0
        {
            let total = producer.sent() as f64 * (bytes as f64 / consumed as f64).max(1.0);
            self.progress.set_total(total as u64);
        }
        self.progress.set(producer.acknowledged());
    }
}
