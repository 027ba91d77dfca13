//! `k node`: the groups that `k window` works in, as their last commits report them.

use std::collections::BTreeMap;

use super::broker::BrokerOptions;
use super::group::{by_partition, host_of, lag_of};
use super::listing::{Format, Kind, Listing, number, text};
use super::names;
use crate::column::Value;
use crate::context::Context;
use crate::engine::watermark::{BEGINNING, END};
use crate::error::{Error, Result};
use crate::kafka::admin::{Admin, OffsetOf};
use crate::node::group::commit_metadata::{CommitMetadata, Role};
use crate::source::Committed;
use crate::term::units;

/// Show the groups of `k window --group`: tasks, state and lag.
///
/// The tasks of a group report their progress with each commit, so this works even if no process of
/// the group is running.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(List),
    Describe(Describe),
}

/// List the groups with their tasks, processes, state, lag and watermark.
#[derive(Debug, clap::Args)]
struct List {
    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// Describe the tasks of a group, one for each partition: position, lag, watermark, state, last
/// commit and process. If records are not grouped by their key, tasks upstream read the topic and
/// tasks downstream hold the windows.
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

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    match &options.action {
        Action::List(options) => list(options, context),
        Action::Describe(options) => describe(options, context),
    }
}

/// A task as of its last commit.
struct Task {
    topic: String,
    partition: i32,
    position: i64,
    note: CommitMetadata,
}

/// Returns the tasks for which a group has committed.
fn tasks(commits: BTreeMap<(String, i32), Committed>) -> Vec<Task> {
    let tasks = commits
        .into_iter()
        .filter_map(|((topic, partition), committed)| {
            Some(Task {
                topic,
                partition,
                position: committed.offset,
                note: CommitMetadata::parse(&committed.metadata)?,
            })
        });
    tasks.collect()
}

/// Returns how far each task is behind its partition's end, in records.
fn lags(admin: &Admin, tasks: &[Task]) -> Result<Vec<Option<i64>>> {
    let places = places(tasks);
    let extents = admin.extents(&places)?;
    let lag = |task: &Task| {
        let extent = extents.get(&(task.topic.clone(), task.partition))?;
        Some(lag_of(Some(task.position), *extent))
    };
    Ok(tasks.iter().map(lag).collect())
}

fn places(tasks: &[Task]) -> Vec<(&str, i32)> {
    let places = tasks
        .iter()
        .map(|task| (task.topic.as_str(), task.partition));
    places.collect()
}

fn list(options: &List, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let mut listing = Listing::new(&[
        ("group", Kind::Text),
        ("tasks", Kind::Number),
        ("processes", Kind::Number),
        ("lag", Kind::Number),
        ("state_rows", Kind::Number),
        ("state_bytes", Kind::Number),
        ("watermark", Kind::Time),
        ("committed", Kind::Time),
    ]);
    let mut found = 0;
    let groups = admin.groups()?.into_iter();
    for group in groups.filter(|group| names::is_own(&group.name)) {
        let tasks = tasks(admin.group_commits(&group.name)?);
        if tasks.is_empty() {
            continue;
        }
        found += 1;
        let (_, members) = admin.group(&group.name)?;
        let lag: i64 = lags(&admin, &tasks)?.into_iter().flatten().sum();
        let notes = || tasks.iter().map(|task| &task.note);
        listing.row([
            text(group.name.as_str()),
            number(tasks.len() as i64),
            number(members.len() as i64),
            number(lag),
            number(notes().map(|note| note.rows as i64).sum::<i64>()),
            number(notes().map(|note| note.bytes as i64).sum::<i64>()),
            time(notes().map(|note| note.watermark).min()),
            time(notes().map(|note| note.at).max()),
        ]);
    }
    let spare = ["committed", "state_bytes", "watermark"];
    listing.print_fitting(options.format, &spare, &context.report)?;
    if found == 0 {
        context
            .report
            .status("no group of `k window --group`, from a topic to a topic, has committed yet");
    }
    Ok(())
}

fn describe(options: &Describe, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    let (group, members) = admin.group(&options.group)?;
    let tasks = tasks(admin.group_commits(&options.group)?);
    if tasks.is_empty() {
        return Err(Error::refused(format!(
            "no task of group `{}` has committed anything",
            options.group
        ))
        .hint("`k node list` shows the groups with tasks, `k group describe` any other"));
    }
    let workers = by_partition(&members);
    let latest: BTreeMap<(String, i32), i64> = admin
        .offsets(&places(&tasks), OffsetOf::MaxTimestamp)?
        .into_iter()
        .filter(|info| info.timestamp >= 0)
        .map(|info| ((info.topic, info.partition), info.timestamp))
        .collect();
    let lags = lags(&admin, &tasks)?;

    let mut listing = Listing::new(&[
        ("topic", Kind::Text),
        ("partition", Kind::Number),
        ("task", Kind::Text),
        ("position", Kind::Number),
        ("lag", Kind::Number),
        ("lag_ms", Kind::Number),
        ("watermark", Kind::Time),
        ("state_rows", Kind::Number),
        ("state_bytes", Kind::Number),
        ("committed", Kind::Time),
        ("process", Kind::Text),
        ("host", Kind::Text),
    ]);
    for (task, lag) in tasks.iter().zip(&lags) {
        let Task {
            topic,
            partition,
            position,
            note,
        } = task;
        // How far event time is behind the latest record of the partition.
        let latest = latest.get(&(topic.clone(), *partition));
        let behind = latest.filter(|_| note.watermark > BEGINNING && has_event_times(note));
        let behind = behind.map(|latest| (latest - note.watermark).max(0));
        let worker = workers.get(&(topic.as_str(), *partition));
        listing.row([
            text(topic.as_str()),
            number(*partition),
            text(note.role.name()),
            number(*position),
            lag.map_or(Value::Null, number),
            behind.map_or(Value::Null, number),
            time(Some(note.watermark)),
            number(note.rows as i64),
            number(note.bytes as i64),
            time(Some(note.at)),
            worker.map_or(Value::Null, |member| text(member.id.as_str())),
            worker.map_or(Value::Null, |member| host_of(member)),
        ]);
    }
    let spare = [
        "host",
        "committed",
        "state_bytes",
        "lag_ms",
        "process",
        "state_rows",
    ];
    listing.print_fitting(options.format, &spare, &context.report)?;
    context.report.status(format!(
        "group `{}` is {}: {} by {}, {} behind",
        group.name,
        group.state,
        units::format_plural(tasks.len() as u64, "task"),
        units::format_plural(members.len() as u64, "member"),
        units::format_plural(lags.iter().flatten().sum::<i64>() as u64, "record"),
    ));
    Ok(())
}

/// Returns whether the timestamps of a task's records are near their event times; those of the
/// repartition topic are the times of sending.
fn has_event_times(note: &CommitMetadata) -> bool {
    note.role != Role::Downstream
}

/// Returns a time; `None` for a watermark that has not started or is at the end.
fn time(at: Option<i64>) -> Value {
    match at {
        None | Some(BEGINNING | END) => Value::Null,
        Some(at) => number(at),
    }
}
