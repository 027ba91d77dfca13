//! `k produce`: files and pipes → topics.

mod feed;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Context;
use super::broker::BrokerOptions;
use super::dialect::DialectOptions;
use super::endpoint::{Endpoint, expand, stdin_is_input};
use super::input::{Given, Notation, unpacked_name};
use super::names::prefixed;
use crate::error::{Error, Remedy, Result};
use crate::format::schema::parse_declaration;
use crate::format::{Reading, TimeUnit};
use crate::kafka::Settings;
use crate::kafka::admin::{Admin, Extent, Topic};
use crate::kafka::partitioner::{Partitioner, Partitioning};
use crate::kafka::producer::{self, Acks, Producer, Record, TopicId};
use crate::pace::{self, Pace};
use crate::plan::time::time_zone;
use crate::term::progress::Progress;
use crate::term::units;
use feed::{Feed, Mapping, Ready, Row};

/// The files that `k gen` makes, sent where nobody names others.
const GENERATED: [&str; 2] = ["data/mono_signal.csv", "data/tower.csv"];
/// How long to wait for records in flight after a run has ended early.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an input before the producer is polled.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// How long an input may be silent before that is reported, once.
const SILENCE: Duration = Duration::from_secs(5);

/// Write records to topics, from CSV, JSON lines, or `k consume`.
///
/// Each record goes to the partition that was named; else to the one that the hash of its key
/// selects, as in the Java client; else to each partition in turn. The command ends with status 0
/// only if every record was acknowledged.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Files, patterns such as 'calls-*.csv', or `-` for stdin; .gz and .zst are unpacked [default: stdin if it is a pipe, else data/mono_signal.csv and
    /// data/tower.csv]
    #[arg(value_name = "SOURCE")]
    sources: Vec<Endpoint>,

    /// The topic [default: the file's name without its ending, or the topic of an envelope]
    #[arg(short, long)]
    topic: Option<String>,

    /// The column of the key, such as `id`, `user.id` in nested JSON, or `none` [default: caller if
    /// there, else call_id, else none]
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,

    /// The timestamp of a record: a column of numbers or ISO 8601, an expression such as
    /// `parse_timestamp(at, 'dd.MM.yyyy HH:mm:ss')`, or `none` for the time of sending [default:
    /// start_timestamp if there, else none]
    #[arg(long, value_name = "EXPRESSION")]
    time: Option<String>,

    /// The unit of numeric times.
    #[arg(long, value_enum, default_value = "ms", value_name = "UNIT")]
    time_unit: TimeUnit,

    /// The time zone of times without one, such as `Europe/Paris`; `local`: this machine's [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// The format of the values sent [default: json; raw with `--key-separator`]
    #[arg(long, value_enum, value_name = "FORMAT")]
    value: Option<ValueNotation>,

    /// Split a raw line at this text: the key is before it, the value after it; `\t` is a tab
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = parse_separator)]
    key_separator: Option<String>,

    /// Send the empty value of a raw line as null: a tombstone, which deletes its key from a
    /// compacted topic. An envelope with `"value":null` is always sent as one
    #[arg(short = 'Z', long)]
    tombstones: bool,

    /// How partitions are chosen; records without a key go to each in turn.
    #[arg(long, value_enum, default_value_t)]
    partitioner: PartitionerName,

    /// Send all records to this partition.
    #[arg(long, value_name = "N", conflicts_with = "partitioner", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// Send envelopes to the partitions they name.
    #[arg(long, conflicts_with_all = ["partition", "partitioner"])]
    keep_partition: bool,

    /// Who must have a record before it counts as written: nobody, the leader, all replicas in
    /// sync.
    #[arg(long, default_value = "all", value_parser = parse_acks, value_name = "0|1|all")]
    acks: Acks,

    /// The compression: none, gzip, snappy, lz4 or zstd [default: none]
    #[arg(long, value_name = "CODEC", value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    compression: Option<String>,

    /// Create missing topics with this many partitions.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,

    /// Send records at the pace of their timestamps: `real`, or faster, such as `60x`.
    #[arg(long, default_value = "none", value_name = "none|real|Nx", value_parser = Pace::parse)]
    pace: Pace,

    /// Send this many records per second.
    #[arg(long, value_name = "N", conflicts_with = "pace", value_parser = parse_rate)]
    rate: Option<f64>,

    /// Declare column types: 'id string, n bigint' [default: values are copied unchanged]
    #[arg(long, value_name = "COLUMNS")]
    schema: Option<String>,

    #[command(flatten)]
    dialect: DialectOptions,

    /// Skip and count malformed records instead of ending at the first.
    #[arg(long)]
    skip_bad: bool,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum ValueNotation {
    /// A JSON object with the names of the columns.
    #[default]
    Json,
    /// The row as CSV, without a header.
    Csv,
    /// Each line unchanged; none is a header.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum PartitionerName {
    /// By the hash of the key, like the Java client.
    #[default]
    Murmur2,
    /// Each in turn, whatever the key.
    RoundRobin,
}

fn parse_acks(text: &str) -> Result<Acks, String> {
    match text {
        "0" => Ok(Acks::Zero),
        "1" => Ok(Acks::One),
        "all" | "-1" => Ok(Acks::All),
        _ => Err("write `0`, `1` or `all`".to_owned()),
    }
}

fn parse_separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("write the text between key and value, such as `:`".to_owned()),
        "tab" => Ok("\t".to_owned()),
        text => Ok(text.replace("\\t", "\t")),
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write a number above 0".to_owned())
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let settings = options.broker.settings(context)?;
    let sources = sources(options)?;
    let value = options.value()?;
    let mapping = Mapping {
        key: options.key.clone(),
        time: options.time.clone(),
        reading: Reading {
            unit: options.time_unit,
            zone: options.zone.as_deref().map(time_zone).transpose()?,
        },
        value,
        separator: options.key_separator.clone(),
        tombstones: options.tombstones,
        given: Given {
            declared: options
                .schema
                .as_deref()
                .map(parse_declaration)
                .transpose()?,
            notation: (value == ValueNotation::Raw).then_some(Notation::Raw),
            delimiter: options.dialect.delimiter,
            spelling: options.dialect.spelling(),
        },
        skip_bad: options.skip_bad,
    };
    let mut feeds = Vec::new();
    for source in &sources {
        let feed = Feed::open(source, &mapping, context)?;
        let topic = topic_of(source, options.topic.as_deref(), feed.has_envelopes())?;
        feeds.push((feed, topic));
    }
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
    let bar = Bar::new(&feeds, is_paced, context);
    let mut sent = run.send_all(&mut feeds, &bar);
    if sent.is_ok() {
        sent = run
            .producer
            .flush(|acknowledged| bar.progress.set(acknowledged));
    }
    drop(bar);
    if let Err(error) = sent {
        return Err(run.give_up(error));
    }
    run.summarize(&feeds, started.elapsed());
    Ok(())
}

impl Options {
    /// Returns the format of the values, and checks the flags that depend on it.
    fn value(&self) -> Result<ValueNotation> {
        let default = match self.key_separator {
            Some(_) => ValueNotation::Raw,
            None => ValueNotation::Json,
        };
        let value = self.value.unwrap_or(default);
        let of_column = |name: &Option<String>| name.as_ref().is_some_and(|name| name != "none");
        if value == ValueNotation::Raw {
            let flags = [
                ("--key", of_column(&self.key)),
                ("--time", of_column(&self.time)),
                ("--schema", self.schema.is_some()),
            ];
            return match flags.into_iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(Error::usage(format!(
                    "`{flag}` names a column, and raw lines have no columns"
                ))
                .hint("`--key-separator :` takes the key from the start of each line")),
                None => Ok(value),
            };
        }
        let flags = [
            ("--key-separator", self.key_separator.is_some()),
            ("--tombstones", self.tombstones),
        ];
        match flags.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::usage(format!("`{flag}` is for raw lines"))
                .hint("add `--value raw`: each line is sent unchanged")
                .hint("for other formats, send an envelope with `\"value\":null`, as `k consume` prints it")),
            None => Ok(value),
        }
    }
}

/// Returns the inputs.
fn sources(options: &Options) -> Result<Vec<Endpoint>> {
    if options.sources.is_empty() && !stdin_is_input() {
        for path in GENERATED {
            if !Path::new(path).exists() {
                return Err(Error::refused(format!("there is no file `{path}`"))
                    .hint("`k gen` makes it; or name another one: `k produce FILE`"));
            }
        }
        return Ok(GENERATED
            .map(|path| Endpoint::File(PathBuf::from(path)))
            .into());
    }
    if options.sources.is_empty() {
        return Ok(vec![Endpoint::Pipe]);
    }
    expand(&options.sources)
}

/// Returns the topic of a source; `None` if every record names its own.
fn topic_of(source: &Endpoint, topic: Option<&str>, envelopes: bool) -> Result<Option<Arc<str>>> {
    if let Some(topic) = topic {
        return Ok(Some(Arc::from(prefixed(topic))));
    }
    if envelopes {
        return Ok(None);
    }
    let stem = match source {
        Endpoint::File(path) => {
            let path = unpacked_name(path);
            path.file_stem().map(|stem| stem.to_string_lossy())
        }
        Endpoint::Pipe | Endpoint::Topic(_) => None,
    };
    match stem {
        Some(stem) => Ok(Some(Arc::from(prefixed(&stem)))),
        None => {
            Err(Error::usage("records from a pipe need a topic").hint("name it with `-t TOPIC`"))
        }
    }
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
    fn send_all(&mut self, feeds: &mut [(Feed, Option<Arc<str>>)], bar: &Bar) -> Result<()> {
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
        let partitioning = match (self.options.partition, self.options.partitioner) {
            (Some(partition), _) => Partitioning::Fixed(partition),
            (None, PartitionerName::Murmur2) => Partitioning::Murmur2,
            (None, PartitionerName::RoundRobin) => Partitioning::RoundRobin,
        };
        let target = Target {
            name: name.clone(),
            id: self.producer.topic(name)?,
            partitions,
            partitioner: Partitioner::new(partitioning, partitions),
            records: 0,
            held,
        };
        if let Some(partition) = self.options.partition {
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

    fn summarize(&self, feeds: &[(Feed, Option<Arc<str>>)], took: Duration) {
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
        let skipped: u64 = feeds.iter().map(|(feed, _)| feed.skipped).sum();
        if skipped > 0 {
            report.warning(format!(
                "skipped {}",
                units::format_plural(skipped, "malformed record")
            ));
        }
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
    fn new(feeds: &[(Feed, Option<Arc<str>>)], is_paced: bool, context: &Context) -> Self {
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

    fn show(&self, producer: &Producer, feeds: &[(Feed, Option<Arc<str>>)]) {
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
