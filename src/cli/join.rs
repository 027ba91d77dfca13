//! `k join`: flags → plan → node, and the account at the end.

mod group;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crate::cli::broker::BrokerOptions;
use crate::cli::dialect::{SpellingOptions, parse_delimiter};
use crate::cli::endpoint::{Endpoint, OneInput, one_input, refuse_collisions};
use crate::cli::output::{Format, StatsOptions, TimesOption, is_json};
use crate::cli::range::PlaceOptions;
use crate::context::Context;
use crate::engine::join::account::Account;
use crate::engine::join::{Kind, Method, Side};
use crate::error::{Error, Remedy, Result};
use crate::format::{Reading, TimeFrom, TimeUnit, schema};
use crate::node::input::{self, Input, Notation as InputNotation};
use crate::node::join::{Node, Options as NodeOptions, frame, summary};
use crate::notation::Notation;
use crate::outlet::Outlet;
use crate::plan::join::{Given, SideQuery, name_of};
use crate::plan::time::time_zone;
use crate::plan::{JoinPlan, JoinQuery};
use crate::sink::joined::{Frame, JoinedSink};
use crate::sink::table::Look;
use crate::term::grid::room;
use crate::term::units::parse_duration;
use group::GroupOptions;

/// Join two inputs by key and event time, or a stream with a table.
///
/// LEFT RIGHT --within D joins two streams: each pair of records that are equal in `--on` and whose
/// event times differ by at most D, inclusive, gives a row. With `--type left` or `outer`, a record
/// without a partner gives a row once the watermark has passed its time by more than D. A null
/// equals nothing. A duplicate is a record like any other.
///
/// LEFT --table SOURCE joins each record of LEFT with the latest value of its key, as of its time,
/// from SOURCE. The table is read up to that time first. Values of a table without a time column
/// are valid from the beginning. In a topic, a null value deletes its key.
///
/// The watermark is the highest event time seen less `--out-of-order`, of the side further behind;
/// that side is read first. Records that it has passed by more than D are removed from memory. A
/// record below it is late: it is dropped and counted, since its partner may be gone. 0 late means
/// that no pair is missing. Rows are written as soon as they are certain; for files always in the
/// same order.
///
/// Columns of the result: those of `--on`, by the left's name; the other columns of the left, then
/// of the right, unchanged; and `event_time`, the later of the two, which `k window` uses by
/// default. A name that both sides have becomes `l_…` and `r_…`; `duration` is then the left's.
/// `--time`, `--time-unit`, `--zone`, `--schema`, `--delimiter` and `--out-of-order` apply to both
/// sides; given twice, to the left and to the right.
///
/// A join holds in memory what may still be joined. With `--group NAME`, processes that are started with the
/// same line share the partitions of two topics, and each row is in the topic `--to` once, also after a
/// crash: rows, what is held (in the topic NAME-join-changelog) and offsets are committed together. Each
/// partition then has a watermark of its own. A topic whose records do not lie by what is joined on is
/// repartitioned through a topic of the group. A table cannot be joined in a group yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k join data/mono_signal.csv data/tower.csv --on call_id --within 1h
  k join mono_signal tower --on call_id --within 1h --exit | k window --tumbling 10s --by tower
  k join calls.csv --table customers.csv --on 'caller = number' --type left
  k join - data/tower.csv --on call_id --within 1h < data/mono_signal.csv
  k join mono_signal tower --on call_id --within 1h --to joined --group g")]
pub(super) struct Options {
    /// A file, a topic, or `-` for stdin. A name is a file if it contains `/`, ends like a file
    /// (.csv, .txt, .jsonl, …) or if such a file exists; otherwise it is a topic. `file:NAME` and
    /// `topic:NAME` are explicit. A quoted pattern such as 'calls-*.csv' stands for all its files,
    /// read one after the other, sorted by name; .gz and .zst are unpacked
    #[arg(value_name = "LEFT")]
    left: Endpoint,

    /// The other side; only one can be stdin
    #[arg(
        value_name = "RIGHT",
        required_unless_present = "table",
        conflicts_with = "table"
    )]
    right: Option<Endpoint>,

    /// The files of a pattern without quotes.
    #[arg(hide = true)]
    more: Vec<Endpoint>,

    /// Join with a table: the latest value of each key in this file, topic or `-`.
    #[arg(long, value_name = "SOURCE")]
    table: Option<Endpoint>,

    /// Join records that are equal in this: a column of both sides, a column of each as `id = key`,
    /// or expressions as `lower(name) = lower(who)`.
    #[arg(long, value_name = "COLUMN,…")]
    on: String,

    /// Join records whose event times differ by at most this, inclusive.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    #[arg(required_unless_present = "table", conflicts_with = "table")]
    within: Option<i64>,

    /// Which records without a partner give a row: none, those of the left, or of both sides
    #[arg(
        long = "type",
        value_enum,
        default_value = "inner",
        value_name = "TYPE"
    )]
    kind: Kind,

    /// Write to a file, a topic (created if it does not exist), or `-` for stdout.
    #[arg(long, value_name = "SINK", default_value = "-")]
    to: Endpoint,

    /// The event time: a column, or an expression such as `ts * 1000` or `parse_timestamp(at,
    /// 'dd.MM.yyyy HH:mm:ss')`; `@record` is the timestamp of a topic's record (default:
    /// event_time or start_timestamp if there, else @record)
    #[arg(long, value_name = "EXPRESSION")]
    time: Vec<String>,

    /// The unit of numeric times [default: ms]
    #[arg(long, value_enum, value_name = "UNIT")]
    time_unit: Vec<TimeUnit>,

    /// The time zone of times without one, such as `Europe/Paris`; `local`: this machine's [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Vec<String>,

    /// Declare column types: 'caller string, n bigint' [default: inferred from use]
    #[arg(long, value_name = "COLUMNS")]
    schema: Vec<String>,

    /// Hold the watermark this far behind the highest event time [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    out_of_order: Vec<i64>,

    /// A partition that stays at its end this long no longer holds the watermark back.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    idle: i64,

    /// The format of the records [default: found from the first ones]
    #[arg(long, value_enum, value_name = "FORMAT")]
    input: Option<InputNotation>,

    /// The character between the fields of CSV: `tab`, `semicolon`, `bar`, `comma`, or any other
    /// ASCII character [default: tab for .tsv, comma for a topic, else the one of these four that
    /// splits the header into most columns]
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    delimiter: Vec<u8>,

    #[command(flatten)]
    spelling: SpellingOptions,

    /// The format of the rows [default: a table on a terminal, else csv; json for a .json file]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    #[command(flatten)]
    times: TimesOption,

    /// Skip and count malformed records instead of ending at the first.
    #[arg(long)]
    skip_bad: bool,

    #[command(flatten)]
    stats: StatsOptions,

    #[command(flatten)]
    range: PlaceOptions,

    #[command(flatten)]
    group: GroupOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    if let Some(group) = options.group.name()? {
        return options.run_grouped(group, context);
    }
    if options.input == Some(InputNotation::Raw) {
        return Err(no_raw_lines());
    }
    let sources = options.sources()?;
    let query = options.query()?;
    let query_times = query.sides.each_ref().map(|side| side.time.is_some());
    let declared = options.given()?;
    let [left, right] = declared;
    let mut left = options.open(&sources[0], left, context)?;
    let mut right = options.open(&sources[1], right, context)?;
    let known = [&left, &right].map(|input| input.schema.fields.len());
    let given = [&mut left, &mut right].map(|input| Given {
        schema: std::mem::take(&mut input.schema),
        record_times: input.record_times,
    });
    let plan = query.plan(given)?;
    context.report.detail(format!("join: {plan}"));
    let stats = options.stats.file();
    let stats = stats.iter().map(|to| ("--stats-to", to));
    let read = sources.iter().map(|source| source.endpoints());
    let read: Vec<Endpoint> = read.flatten().collect();
    refuse_collisions(&read, [("--to", &options.to)].into_iter().chain(stats))?;
    for (side, asked) in Side::BOTH.into_iter().zip(&query_times) {
        let planned = &plan.sides[side.index()];
        let of = format!("the {} records", name_of(side));
        input::tell_time(*asked, &planned.time, &planned.schema, &of, context);
        // The columns of an empty topic are not known yet.
        let known = known[side.index()];
        if known > 0 {
            input::warn_of_unseen(&planned.schema, known, context);
        }
    }
    options.run(&plan, [left, right], context)
}

impl Options {
    /// Returns the two inputs.
    fn sources(&self) -> Result<[OneInput; 2]> {
        if let Some(more) = self.more.first() {
            return Err(Error::usage(format!(
                "LEFT and RIGHT are one source each, and `{more}` is a third"
            ))
            .hint("quote a pattern, to make all its files one source: 'calls-*.csv'"));
        }
        let right = self.right.as_ref().or(self.table.as_ref());
        let right =
            right.ok_or_else(|| Error::bug("clap lets neither RIGHT nor `--table` pass"))?;
        let sources = [&self.left, right];
        if sources == [&Endpoint::Pipe; 2] {
            return Err(Error::usage(
                "only one side can be `-`: there is only one stdin",
            ));
        }
        if let Some(flag) = self.range.given()
            && !sources
                .iter()
                .any(|from| matches!(from, Endpoint::Topic(_)))
        {
            return Err(Error::usage(format!(
                "`{flag}` is for topics, and neither side is a topic"
            )));
        }
        let [left, right] = sources.map(|source| one_input(std::slice::from_ref(source)));
        Ok([left?, right?])
    }

    fn query(&self) -> Result<JoinQuery> {
        let method = self.within.map_or(Method::Table, Method::Within);
        if method == Method::Table && self.kind == Kind::Outer {
            return Err(Error::usage(
                "`--type outer` is for two streams: the values of a table are not rows by themselves",
            )
            .hint("`--type left` keeps every record of the stream"));
        }
        let times = for_sides("--time", &self.time)?;
        let units = for_sides("--time-unit", &self.time_unit)?;
        let [left, right] = for_sides("--zone", &self.zone)?
            .map(|zone| zone.map(|zone| time_zone(zone)).transpose());
        let zones = [left?, right?];
        let out_of_order = for_sides("--out-of-order", &self.out_of_order)?;
        let side = |side: Side| SideQuery {
            time: times[side.index()].cloned().filter(|name| !name.is_empty()),
            shared: self.time.len() == 1,
            reading: Reading {
                unit: units[side.index()].copied().unwrap_or_default(),
                zone: zones[side.index()].clone(),
            },
            out_of_order_ms: out_of_order[side.index()].copied().unwrap_or_default(),
        };
        Ok(JoinQuery {
            on: self.on.clone(),
            method,
            kind: self.kind,
            sides: Side::BOTH.map(side),
        })
    }

    /// Returns what the flags say about each side.
    fn given(&self) -> Result<[input::Given; 2]> {
        let [left, right] = for_sides("--schema", &self.schema)?.map(|text| {
            let text = text.filter(|text| !text.trim().is_empty());
            text.map(|text| schema::parse_declaration(text)).transpose()
        });
        let delimiters = for_sides("--delimiter", &self.delimiter)?;
        let given = |declared, delimiter: Option<&u8>| input::Given {
            declared,
            notation: self.input,
            delimiter: delimiter.copied(),
            spelling: self.spelling.spelling(),
            grows: false,
        };
        let [left_delimiter, right_delimiter] = delimiters;
        Ok([given(left?, left_delimiter), given(right?, right_delimiter)])
    }

    fn open(&self, from: &OneInput, given: input::Given, context: &Context) -> Result<Input> {
        match from {
            OneInput::Lines(pieces) => input::open_files(pieces, given, context),
            OneInput::Topic(topic) => {
                let (settings, range) = (self.broker.settings(context)?, self.range.range()?);
                let input = input::open_topic(topic, &range, given, &settings, context)?;
                input.ok_or_else(|| {
                    Error::refused(format!("topic `{topic}` has no record to show its columns"))
                        .hint("to wait for the first one, leave `--exit` and `--until` out")
                })
            }
        }
    }

    /// Opens the sink. A file is truncated only now, when the plan is known to be valid.
    fn sink(&self, plan: &JoinPlan, context: &Context) -> Result<(JoinedSink, Notation)> {
        let outlet = match &self.to {
            Endpoint::Topic(name) => {
                let (settings, frame) =
                    (self.broker.settings(context)?, frame(plan, Notation::Json));
                let sink = JoinedSink::topic(&settings, name, frame, plan.keys())?;
                return Ok((sink, Notation::Json));
            }
            Endpoint::Pipe => Outlet::stdout(context.interrupt.clone())?,
            Endpoint::File(path) => Outlet::create(path, context.interrupt.clone())?,
        };
        let format = self.format.unwrap_or(match &self.to {
            Endpoint::File(path) if is_json(path) => Format::Json,
            Endpoint::Pipe if io::stdout().is_terminal() => Format::Table,
            _ => Format::Csv,
        });
        let notation = match format {
            Format::Csv => Notation::Csv,
            Format::Json | Format::Table => Notation::Json,
        };
        let (frame, columns) = (frame(plan, notation), &plan.columns);
        let times = self.times.within(format == Format::Table);
        let sink = match format {
            Format::Table => {
                let look = Look {
                    room: (self.to == Endpoint::Pipe).then(room).flatten(),
                    times,
                    report: context.report.clone(),
                };
                JoinedSink::table(outlet, frame, columns, look)
            }
            Format::Csv | Format::Json => {
                JoinedSink::text(outlet, Frame { times, ..frame }, columns)
            }
        };
        Ok((sink, notation))
    }

    fn run(&self, plan: &JoinPlan, inputs: [Input; 2], context: &Context) -> Result<()> {
        let (sink, notation) = self.sink(plan, context)?;
        let [left, right] = inputs;
        let sources = [(left, &plan.sides[0]), (right, &plan.sides[1])].map(|(input, side)| {
            let decoder = input.decoder(side.layout());
            (input.source, decoder)
        });
        let node_options = NodeOptions {
            skip_bad: self.skip_bad,
            idle: if self.range.exits() {
                Duration::ZERO
            } else {
                Duration::from_millis(self.idle.unsigned_abs())
            },
            notation,
        };
        let mut node = Node::new(plan, sources, sink, node_options, &context.interrupt)?;
        let ended = node.run();
        // After an error the summary would only distract from it.
        if let Err(error) = &ended
            && !matches!(error.remedy(), Remedy::Stopped(_))
        {
            return ended;
        }
        let skipped = Side::BOTH.map(|side| node.first_skipped(side));
        let came_to = (node.account(), node.watermark());
        self.tell(plan, came_to, skipped, context)?;
        ended
    }

    /// Reports where every record went.
    fn tell(
        &self,
        plan: &JoinPlan,
        (account, watermark): (&Account, i64),
        first_skipped: [Option<&str>; 2],
        context: &Context,
    ) -> Result<()> {
        for line in summary::lines(account, watermark, &self.to.behind_rows()) {
            context.report.account(line, "late");
        }
        let first_skipped = first_skipped.into_iter().flatten();
        first_skipped.for_each(|line| context.report.status(line));
        for side in Side::BOTH {
            let counts = account.side(side);
            let has_time = !matches!(plan.sides[side.index()].time, TimeFrom::Nowhere);
            let old = counts.before_1980;
            if has_time && old > 0 && old == counts.records - counts.malformed {
                context.report.warning(format!(
                    "all event times of the {} side are before 1980: is the unit right? See `--time-unit s|ms|us|ns`",
                    name_of(side)
                ));
            }
        }
        let stats = summary::json(account, watermark);
        self.stats.write(&stats, false)?;
        self.stats.tell(&stats, context);
        Ok(())
    }
}

fn no_raw_lines() -> Error {
    Error::usage("a join needs named columns, and raw lines have none")
        .hint("write the records as JSON or CSV with a header")
}

/// Returns the values of a flag for both sides: one value for both, or two for left and right.
fn for_sides<'o, T>(flag: &str, values: &'o [T]) -> Result<[Option<&'o T>; 2]> {
    match values {
        [] => Ok([None, None]),
        [both] => Ok([Some(both); 2]),
        [left, right] => Ok([Some(left), Some(right)]),
        _ => Err(Error::usage(format!(
            "`{flag}` is given more than twice, but there are two sides"
        ))
        .hint("give it once for both, or twice: first for the left, then for the right")),
    }
}
