//! `k group`: consumer groups, their lag, and resetting their offsets.

use std::collections::BTreeMap;

use super::broker::BrokerOptions;
use super::confirm::confirm;
use super::listing::{Format, Kind, Listing, number, text};
use super::names;
use crate::column::Value;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kafka::admin::{Admin, Extent, Member, OffsetOf};
use crate::node;
use crate::term::units;

/// List, describe and reset consumer groups.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(List),
    Describe(Describe),
    Reset(Reset),
}

/// List the groups with their state and protocol.
#[derive(Debug, clap::Args)]
struct List {
    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// Describe a group: committed offset, end, lag and reader of each partition.
#[derive(Debug, clap::Args)]
struct Describe {
    /// The name of the group.
    #[arg(value_parser = names::parse)]
    group: String,

    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// Set where a group without members starts next. Deletes the state that `k window` keeps for it.
#[derive(Debug, clap::Args)]
struct Reset {
    /// The name of the group; it is created if it does not exist.
    #[arg(value_parser = names::parse)]
    group: String,

    /// `beginning`, `end`, an OFFSET (digits alone) or a TIME: ISO 8601, or `-10m`.
    #[arg(long, value_name = "WHERE", value_parser = parse_place)]
    to: Place,

    /// The topics [default: all for which the group has committed offsets]
    #[arg(short, long = "topic", value_name = "TOPIC", value_parser = names::parse)]
    topics: Vec<String>,

    /// Show what would be set without setting it.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// The offsets where a group is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Beginning,
    End,
    Offset(i64),
    Time(i64),
}

fn parse_place(place: &str) -> Result<Place, String> {
    match place {
        "beginning" => Ok(Place::Beginning),
        "end" => Ok(Place::End),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let offset = digits.parse().map(Place::Offset);
            offset.map_err(|_| "write `beginning`, `end`, an offset or a time".to_owned())
        }
        time => units::parse_time(time, units::now_ms()).map(Place::Time),
    }
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    match &options.action {
        Action::List(options) => list(options, context),
        Action::Describe(options) => describe(options, context),
        Action::Reset(options) => reset(options, context),
    }
}

fn list(options: &List, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let mut groups = admin.groups()?;
    groups.retain(|group| names::is_own(&group.name));
    let mut listing = Listing::new(&[
        ("group", Kind::Text),
        ("state", Kind::Text),
        ("protocol", Kind::Text),
    ]);
    for group in &groups {
        listing.row([
            text(group.name.as_str()),
            text(group.state.as_str()),
            text(group.protocol.as_str()),
        ]);
    }
    listing.print(options.format, &context.report)?;
    if groups.is_empty() {
        context.report.status("there are no groups yet");
    }
    Ok(())
}

fn describe(options: &Describe, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let (group, members) = admin.group(&options.group)?;
    let committed = admin.group_offsets(&options.group)?;
    let readers = by_partition(&members);
    // A partition may be read before anything is committed, and have a commit while it is not read.
    let committed_of = committed
        .keys()
        .map(|(topic, number)| (topic.as_str(), *number));
    let mut partitions: Vec<(&str, i32)> = committed_of.chain(readers.keys().copied()).collect();
    partitions.sort_unstable();
    partitions.dedup();
    let extents = admin.extents(&partitions)?;

    let mut listing = Listing::new(&[
        ("topic", Kind::Text),
        ("partition", Kind::Number),
        ("committed", Kind::Number),
        ("end_offset", Kind::Number),
        ("lag", Kind::Number),
        ("member", Kind::Text),
        ("host", Kind::Text),
    ]);
    let mut behind = 0;
    for (topic, partition) in partitions {
        let key = (topic.to_owned(), partition);
        let (committed, extent) = (committed.get(&key), extents.get(&key));
        let lag = extent.map(|extent| lag_of(committed.copied(), *extent));
        behind += lag.unwrap_or(0);
        let reader = readers.get(&(topic, partition));
        listing.row([
            text(topic),
            number(partition),
            committed.map_or(Value::Null, |&offset| number(offset)),
            extent.map_or(Value::Null, |extent| number(extent.end)),
            lag.map_or(Value::Null, number),
            reader.map_or(Value::Null, |member| text(member.id.as_str())),
            reader.map_or(Value::Null, |member| host_of(member)),
        ]);
    }
    listing.print_fitting(options.format, &["host"], &context.report)?;
    context.report.status(format!(
        "group `{}` is {} with {}, {} behind",
        group.name,
        group.state,
        units::format_plural(members.len() as u64, "member"),
        units::format_plural(behind as u64, "record"),
    ));
    Ok(())
}

/// Returns the member to which each partition is assigned.
pub(super) fn by_partition(members: &[Member]) -> BTreeMap<(&str, i32), &Member> {
    let members = members.iter();
    let given = members.flat_map(|member| {
        let partitions = member.partitions.iter();
        partitions.map(move |(topic, number)| ((topic.as_str(), *number), member))
    });
    given.collect()
}

pub(super) fn host_of(member: &Member) -> Value {
    text(member.host.trim_start_matches('/'))
}

/// Returns the lag of a group; without a commit, all records.
pub(super) fn lag_of(committed: Option<i64>, extent: Extent) -> i64 {
    let next = committed.unwrap_or(extent.first).max(extent.first);
    (extent.end - next).max(0)
}

fn reset(options: &Reset, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let committed = admin.group_offsets(&options.group)?;
    let state = node::group::state_topics(&admin, &options.group)?;
    let topics: Vec<String> = if options.topics.is_empty() {
        let mut topics: Vec<String> = committed.keys().map(|(topic, _)| topic.clone()).collect();
        topics.dedup();
        topics.retain(|topic| !state.contains(topic));
        topics
    } else {
        options.topics.clone()
    };
    if topics.is_empty() {
        // An error about the group, if it does not exist, says more.
        admin.group(&options.group)?;
        return Err(
            Error::refused(format!("group `{}` has committed nothing", options.group))
                .hint("name the topics with `--topic`"),
        );
    }
    let offsets = places(&admin, &topics, options.to)?;

    let mut listing = Listing::new(&[
        ("topic", Kind::Text),
        ("partition", Kind::Number),
        ("committed", Kind::Number),
        ("new_offset", Kind::Number),
    ]);
    for ((topic, partition), offset) in &offsets {
        let before = committed.get(&(topic.clone(), *partition));
        listing.row([
            text(topic.as_str()),
            number(*partition),
            before.map_or(Value::Null, |&offset| number(offset)),
            number(*offset),
        ]);
    }
    if options.dry_run {
        listing.print(options.format, &context.report)?;
        context.report.status("nothing was set");
        return Ok(());
    }
    let partitions = units::format_plural(offsets.len() as u64, "partition");
    // A state computed up to the old offsets does not fit the new ones.
    let also = if state.is_empty() {
        String::new()
    } else {
        format!(" and delete its state in {}", state.join(", "))
    };
    let question = format!(
        "Set the offsets of group `{}` in {partitions}{also}?",
        options.group
    );
    confirm(&question, options.yes, context)?;
    // The broker forgets the offsets of a deleted topic only later; by then the topic may exist
    // again.
    let mut all = offsets.clone();
    let of_state = committed.keys().filter(|(topic, _)| state.contains(topic));
    all.extend(of_state.map(|place| (place.clone(), 0)));
    admin.set_group_offsets(&options.group, &all)?;
    for topic in &state {
        admin.delete_topic(topic)?;
        context.report.status(format!("deleted topic `{topic}`"));
    }
    listing.print(options.format, &context.report)?;
    context.report.status(format!(
        "set the offsets of group `{}` in {partitions}",
        options.group
    ));
    Ok(())
}

/// Returns the offset of a place in each partition of the topics.
fn places(admin: &Admin, topics: &[String], place: Place) -> Result<BTreeMap<(String, i32), i64>> {
    let mut partitions = Vec::new();
    for name in topics {
        let topic = admin.topic(name)?;
        partitions.extend(
            topic
                .partitions
                .iter()
                .map(|partition| (name.as_str(), partition.number)),
        );
    }
    let extents = admin.extents(&partitions)?;
    let found: BTreeMap<(String, i32), i64> = match place {
        Place::Time(time) => admin
            .offsets(&partitions, OffsetOf::Time(time))?
            .into_iter()
            .filter_map(|info| {
                Some((
                    (info.topic, info.partition),
                    info.offset.ok().filter(|&at| at >= 0)?,
                ))
            })
            .collect(),
        _ => BTreeMap::new(),
    };
    let offset = |(key, extent): (&(String, i32), &Extent)| match place {
        Place::Beginning => extent.first,
        Place::End => extent.end,
        Place::Offset(offset) => offset.clamp(extent.first, extent.end),
        // The end if no record has such a late time.
        Place::Time(_) => found.get(key).copied().unwrap_or(extent.end),
    };
    Ok(extents
        .iter()
        .map(|entry| (entry.0.clone(), offset(entry)))
        .collect())
}
