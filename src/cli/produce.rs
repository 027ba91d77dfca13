//! `k produce`: files and pipes → topics.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::broker::BrokerOptions;
use super::dialect::DialectOptions;
use super::endpoint::{Endpoint, expand, stdin_is_input};
use super::names::prefixed;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::format::schema::parse_declaration;
use crate::format::{Reading, TimeUnit};
use crate::kafka::partitioner::Partitioning;
use crate::kafka::producer::Acks;
use crate::node::input::{Given, Notation, unpacked_name};
use crate::node::produce::{self, Feed, Mapping, ValueNotation};
use crate::pace::Pace;
use crate::plan::time::time_zone;
use crate::source::series::Piece;

/// The files that `k gen` makes, sent where nobody names others.
const GENERATED: [&str; 2] = ["data/mono_signal.csv", "data/tower.csv"];
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
            grows: false,
        },
        skip_bad: options.skip_bad,
        rename: prefixed,
    };
    let mut feeds = Vec::new();
    for source in &sources {
        let feed = Feed::open(&piece(source)?, &mapping, context)?;
        let topic = topic_of(source, options.topic.as_deref(), feed.has_envelopes())?;
        feeds.push((feed, topic));
    }
    produce::run(&mut feeds, &options.sending(), settings, context)
}

impl Options {
    /// Returns how records are sent.
    fn sending(&self) -> produce::Options {
        produce::Options {
            acks: self.acks,
            compression: self.compression.clone(),
            partitions: self.partitions,
            partitioning: match (self.partition, self.partitioner) {
                (Some(partition), _) => Partitioning::Fixed(partition),
                (None, PartitionerName::Murmur2) => Partitioning::Murmur2,
                (None, PartitionerName::RoundRobin) => Partitioning::RoundRobin,
            },
            keep_partition: self.keep_partition,
            pace: self.pace,
            rate: self.rate,
        }
    }

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

/// Returns the file or stdin that a source is.
fn piece(source: &Endpoint) -> Result<Piece> {
    match source {
        Endpoint::Pipe => Ok(Piece::Stdin),
        Endpoint::File(path) => Ok(Piece::File(path.clone())),
        Endpoint::Topic(name) => Err(Error::usage(format!(
            "`{name}` is a topic; `k produce` reads files and pipes"
        ))
        .hint(format!(
            "to copy a topic: `k consume {name} --exit --format json | k produce -t COPY`"
        ))
        .hint(format!("to read a file of that name: `file:{name}`"))),
    }
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
