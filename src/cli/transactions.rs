//! `k topic transactions`: who holds readers back, and how one is ended from outside.

use super::broker::BrokerOptions;
use super::confirm::confirm;
use super::listing::{Format, Kind, Listing, number, text};
use super::names;
use super::topic::partitions_of;
use crate::column::Value;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kafka::admin::{Admin, OpenTransaction, Topic};
use crate::term::units;

/// List producers with an open transaction, which holds readers of committed records back; or abort one.
///
/// `held_back` says how many offsets such readers cannot come to, and `open_s` for how many seconds the
/// transaction has been open. In the state `forgotten` no coordinator knows it, so nothing will end it:
/// `--abort` does, as `kafka-transactions.sh abort` does. Needs Kafka 3.0 or newer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k topic transactions
  k topic transactions calls --format json
  k topic transactions calls --abort --partition 2 --start-offset 1700")]
pub(super) struct Options {
    /// The names of the topics [default: all].
    #[arg(value_name = "TOPIC", value_parser = names::parse)]
    topics: Vec<String>,

    /// Abort a transaction: its records in this partition then do not count.
    #[arg(long, requires = "partition", requires = "topics")]
    abort: bool,

    /// The partition of the transaction to abort.
    #[arg(long, value_name = "N", requires = "abort", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,

    /// Its first offset there [default: of the only one].
    #[arg(long, value_name = "OFFSET", requires = "abort", value_parser = clap::value_parser!(i64).range(0..))]
    start_offset: Option<i64>,

    /// Do not ask for confirmation.
    #[arg(short, long, requires = "abort")]
    yes: bool,

    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let admin = Admin::new(&options.broker.settings(context)?)?;
    match (options.topics.as_slice(), options.partition) {
        ([topic], Some(partition)) => abort(&admin, (topic, partition), options, context),
        (_, Some(_)) => Err(Error::usage("`--abort` takes one topic")),
        (_, None) => list(&admin, options, context),
    }
}

fn list(admin: &Admin, options: &Options, context: &Context) -> Result<()> {
    let topics = if options.topics.is_empty() {
        let mut topics = admin.topics()?;
        topics.retain(|topic| !topic.name.starts_with("__") && names::is_own(&topic.name));
        topics
    } else {
        let topics = options.topics.iter().map(|topic| admin.topic(topic));
        topics.collect::<Result<Vec<Topic>>>()?
    };
    let open = admin.transactions(&partitions_of(&topics))?;
    let mut listing = Listing::new(&[
        ("topic", Kind::Text),
        ("partition", Kind::Number),
        ("start_offset", Kind::Number),
        ("held_back", Kind::Number),
        ("state", Kind::Text),
        ("open_s", Kind::Number),
        ("timeout_s", Kind::Number),
        ("producer", Kind::Number),
        ("transactional_id", Kind::Text),
    ]);
    let now = units::now_ms();
    for open in &open {
        let open_s = open.began_ms().map(|began| (now - began).max(0) / 1_000);
        listing.row([
            text(open.topic.as_str()),
            number(open.partition),
            number(open.start_offset()),
            open.held_back.map_or(Value::Null, number),
            text(open.state().as_str()),
            open_s.map_or(Value::Null, number),
            open.timeout_ms()
                .map_or(Value::Null, |timeout| number(timeout / 1_000)),
            number(open.producer()),
            open.name().map_or(Value::Null, text),
        ]);
    }
    listing.print(options.format, &context.report)?;
    if open.is_empty() {
        context.report.status("no transaction is open");
    }
    Ok(())
}

fn abort(
    admin: &Admin,
    (topic, partition): (&str, i32),
    options: &Options,
    context: &Context,
) -> Result<()> {
    let place = format!("topic `{topic}`, partition {partition}");
    let known = admin.topic(topic)?;
    if !known
        .partitions
        .iter()
        .any(|known| known.number == partition)
    {
        return Err(Error::refused(format!(
            "topic `{topic}` has no partition {partition}"
        )));
    }
    let mut open = admin.transactions(&[(topic, partition)])?;
    if let Some(offset) = options.start_offset {
        open.retain(|open| open.start_offset() == offset);
    }
    let open = match open.as_slice() {
        [open] => open,
        [] => return Err(none_open(&place, options.start_offset)),
        several => return Err(several_open(&place, several)),
    };
    confirm(&question(&place, open), options.yes, context)?;
    admin.abort_transaction(open)?;
    context.report.status(format!(
        "aborted the transaction in {place}, at offset {}",
        open.start_offset()
    ));
    Ok(())
}

fn none_open(place: &str, offset: Option<i64>) -> Error {
    let at = offset.map_or(String::new(), |offset| format!(", at offset {offset}"));
    Error::refused(format!("no transaction is open in {place}{at}"))
        .hint("`k topic transactions` shows those that are")
}

fn several_open(place: &str, open: &[OpenTransaction]) -> Error {
    let offsets = open.iter().map(|open| open.start_offset().to_string());
    let offsets = offsets.collect::<Vec<_>>().join(", ");
    Error::usage(format!(
        "several transactions are open in {place}: at offsets {offsets}"
    ))
    .hint("`--start-offset` names one")
}

fn question(place: &str, open: &OpenTransaction) -> String {
    let whose = match open.name() {
        Some(name) => format!("of `{name}`, whose program may still be running,"),
        None => format!(
            "of producer {}, which no coordinator knows any more,",
            open.producer()
        ),
    };
    let offset = open.start_offset();
    format!(
        "Abort the transaction {whose} in {place}, at offset {offset}, and discard its records there?"
    )
}
