//! `k topic`: list, create, alter, describe and delete topics; their open transactions are in
//! [`transactions`].

use std::collections::BTreeMap;

use super::broker::{BrokerOptions, ClientOptions};
use super::confirm::confirm;
use super::listing::{Format, Kind, Listing, number, number_or_null, text};
use super::{names, transactions};
use crate::column::Value;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kafka::admin::{Admin, Extent, OffsetInfo, OffsetOf, Topic};
use crate::term::units;

/// List, create, alter, describe, delete topics; open transactions.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(List),
    Create(Create),
    Alter(Alter),
    Describe(Describe),
    Delete(Delete),
    Transactions(transactions::Options),
}

/// List the topics with partitions, replicas and records.
#[derive(Debug, clap::Args)]
struct List {
    /// Also show Kafka's own topics.
    #[arg(long)]
    internal: bool,

    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// Create topics.
#[derive(Debug, clap::Args)]
struct Create {
    /// The names of the topics.
    #[arg(required = true, value_name = "TOPIC", value_parser = names::parse)]
    topics: Vec<String>,

    /// The number of partitions.
    #[arg(short, long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,

    /// The number of copies [default: set by the broker].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    replication: Option<i32>,

    /// A setting of the topic, such as `retention.ms=-1`; may be repeated.
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,

    /// Do not fail if a topic already exists.
    #[arg(long)]
    if_not_exists: bool,

    #[command(flatten)]
    broker: ClientOptions,
}

/// Change a topic: more partitions, other settings.
#[derive(Debug, clap::Args)]
struct Alter {
    /// The name of the topic.
    #[arg(value_parser = names::parse)]
    topic: String,

    /// The new total number of partitions; keys then move to other partitions.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// A setting of the topic, such as `retention.ms=-1`; may be repeated.
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,

    /// Reset a setting to the broker's default; may be repeated.
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,

    #[command(flatten)]
    broker: ClientOptions,
}

/// Describe a topic: offsets, records, first and highest timestamp of each partition.
#[derive(Debug, clap::Args)]
struct Describe {
    /// The name of the topic.
    #[arg(value_parser = names::parse)]
    topic: String,

    /// List the settings of the topic instead.
    #[arg(long)]
    settings: bool,

    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// Delete topics and all their records.
#[derive(Debug, clap::Args)]
struct Delete {
    /// The names of the topics.
    #[arg(required = true, value_name = "TOPIC", value_parser = names::parse)]
    topics: Vec<String>,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    match options.action {
        Action::List(options) => list(&options, context),
        Action::Create(options) => create(&options, context),
        Action::Alter(options) => alter(&options, context),
        Action::Describe(options) => describe(&options, context),
        Action::Delete(options) => delete(&options, context),
        Action::Transactions(options) => transactions::run(&options, context),
    }
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write NAME=VALUE, such as `retention.ms=-1`".to_owned()),
    }
}

/// Returns the partitions of some topics for an admin request.
pub(super) fn partitions_of<'a>(
    topics: impl IntoIterator<Item = &'a Topic>,
) -> Vec<(&'a str, i32)> {
    let topics = topics.into_iter();
    topics
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| (topic.name.as_str(), partition.number))
        })
        .collect()
}

fn list(options: &List, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let mut topics = admin.topics()?;
    topics.retain(|topic| options.internal || !topic.name.starts_with("__"));
    topics.retain(|topic| names::is_own(&topic.name));
    let extents = admin.extents(&partitions_of(&topics))?;
    let mut records: BTreeMap<&str, i64> = BTreeMap::new();
    for ((topic, _), extent) in &extents {
        *records.entry(topic).or_default() += extent.records();
    }
    let mut listing = Listing::new(&[
        ("topic", Kind::Text),
        ("partitions", Kind::Number),
        ("replication", Kind::Number),
        ("records", Kind::Number),
    ]);
    for topic in &topics {
        let replicas = topic
            .partitions
            .iter()
            .map(|partition| partition.replicas.len());
        listing.row([
            text(topic.name.as_str()),
            number(topic.partitions.len() as i64),
            number(replicas.max().unwrap_or(0) as i64),
            number(records.get(topic.name.as_str()).copied().unwrap_or(0)),
        ]);
    }
    listing.print(options.format, &context.report)?;
    if topics.is_empty() {
        context.report.status("there are no topics yet");
        context
            .report
            .hint("`k topic create` creates one, `k produce` creates and fills one");
    }
    Ok(())
}

fn create(options: &Create, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    for topic in &options.topics {
        if options.if_not_exists && admin.find_topic(topic)?.is_some() {
            context
                .report
                .status(format!("topic `{topic}` already exists"));
            continue;
        }
        admin.create_topic(
            topic,
            options.partitions,
            options.replication,
            &options.settings,
        )?;
        let partitions = units::format_plural(options.partitions as u64, "partition");
        context
            .report
            .status(format!("created topic `{topic}` with {partitions}"));
    }
    Ok(())
}

fn alter(options: &Alter, context: &Context) -> Result<()> {
    if options.partitions.is_none() && options.settings.is_empty() && options.unset.is_empty() {
        return Err(
            Error::usage("nothing to change").hint("give `--partitions`, `--config` or `--unset`")
        );
    }
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let topic = admin.topic(&options.topic)?;
    if let Some(total) = options.partitions {
        let now = topic.partitions.len();
        if (total as usize) < now {
            return Err(Error::refused(format!(
                "topic `{}` has {now} partitions; Kafka can add partitions, but not remove them",
                topic.name
            )));
        }
        if total as usize > now {
            admin.create_partitions(&topic.name, total)?;
            context
                .report
                .status(format!("topic `{}` now has {total} partitions", topic.name));
            context
                .report
                .warning("the records of a key may now be spread over two partitions");
        }
    }
    let set = options
        .settings
        .iter()
        .cloned()
        .map(|(name, value)| (name, Some(value)));
    let unset = options.unset.iter().cloned().map(|name| (name, None));
    let changes: Vec<(String, Option<String>)> = set.chain(unset).collect();
    if !changes.is_empty() {
        admin.alter_topic(&topic.name, &changes)?;
        let count = units::format_plural(changes.len() as u64, "setting");
        context
            .report
            .status(format!("changed {count} of topic `{}`", topic.name));
    }
    Ok(())
}

fn describe(options: &Describe, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let topic = admin.topic(&options.topic)?;
    if options.settings {
        return describe_settings(&admin, &topic.name, options.format, context);
    }
    let partitions = partitions_of([&topic]);
    let extents = admin.extents(&partitions)?;
    let timestamps = |wanted| -> Result<BTreeMap<i32, i64>> {
        let found = admin.offsets(&partitions, wanted)?.into_iter();
        Ok(found
            .filter(|info: &OffsetInfo| info.offset.is_ok())
            .map(|info| (info.partition, info.timestamp))
            .collect())
    };
    let firsts = timestamps(OffsetOf::Time(0))?;
    let highest = timestamps(OffsetOf::MaxTimestamp)?;
    let mut listing = Listing::new(&[
        ("partition", Kind::Number),
        ("leader", Kind::Number),
        ("replicas", Kind::Text),
        ("in_sync", Kind::Text),
        ("first_offset", Kind::Number),
        ("end_offset", Kind::Number),
        ("records", Kind::Number),
        ("first_timestamp", Kind::Time),
        ("highest_timestamp", Kind::Time),
    ]);
    for partition in &topic.partitions {
        let extent = extents.get(&(topic.name.clone(), partition.number));
        let offset =
            |of: fn(&Extent) -> i64| extent.map_or(Value::Null, |extent| number(of(extent)));
        let timestamp = |of: &BTreeMap<i32, i64>| {
            of.get(&partition.number)
                .map_or(Value::Null, |&at| number_or_null(at))
        };
        listing.row([
            number(partition.number),
            partition.leader.map_or(Value::Null, number),
            text(joined(&partition.replicas)),
            text(joined(&partition.in_sync)),
            offset(|extent| extent.first),
            offset(|extent| extent.end),
            offset(Extent::records),
            timestamp(&firsts),
            timestamp(&highest),
        ]);
    }
    let spare = [
        "first_timestamp",
        "highest_timestamp",
        "replicas",
        "in_sync",
    ];
    listing.print_fitting(options.format, &spare, &context.report)
}

fn describe_settings(
    admin: &Admin,
    topic: &str,
    format: Option<Format>,
    context: &Context,
) -> Result<()> {
    let mut listing = Listing::new(&[
        ("setting", Kind::Text),
        ("value", Kind::Text),
        ("set_for_topic", Kind::Text),
    ]);
    for setting in admin.topic_settings(topic)? {
        listing.row([
            text(setting.name),
            setting.value.map_or(Value::Null, text),
            Value::Boolean(!setting.is_default),
        ]);
    }
    listing.print(format, &context.report)
}

/// Returns broker numbers as `1 2 3`.
fn joined(numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    numbers.join(" ")
}

fn delete(options: &Delete, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    // All topics are looked up first, so that a typo in the second name does not delete the first
    // topic.
    let topics = options.topics.iter().map(|name| admin.topic(name));
    let topics = topics.collect::<Result<Vec<Topic>>>()?;
    let records: i64 = admin
        .extents(&partitions_of(&topics))?
        .values()
        .map(Extent::records)
        .sum();
    let names: Vec<String> = topics
        .iter()
        .map(|topic| format!("`{}`", topic.name))
        .collect();
    let names = names.join(", ");
    let noun = if topics.len() == 1 { "topic" } else { "topics" };
    let records = units::format_plural(records as u64, "record");
    confirm(
        &format!("Delete {noun} {names} with {records}?"),
        options.yes,
        context,
    )?;
    for topic in &topics {
        admin.delete_topic(&topic.name)?;
        context
            .report
            .status(format!("deleted topic `{}`", topic.name));
    }
    Ok(())
}
