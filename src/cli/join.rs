//! `k join`: flags → plan → node, and the account at the end.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crate::cli::Context;
use crate::cli::broker::BrokerOptions;
use crate::cli::dialect::{SpellingOptions, parse_delimiter};
use crate::cli::endpoint::{Endpoint, OneInput, one_input, refuse_collisions};
use crate::cli::input::{self, Input, Notation as InputNotation};
use crate::cli::output::{Format, StatsOptions, is_json};
use crate::cli::range::PlaceOptions;
use crate::engine::join::{Kind, Method, Side};
use crate::error::{Error, Remedy, Result};
use crate::format::{Reading, TimeFrom, TimeUnit, schema};
use crate::node::join::{Node, Options as NodeOptions, frame, summary};
use crate::outlet::Outlet;
use crate::plan::join::{Given, SideQuery, name_of};
use crate::plan::time::time_zone;
use crate::plan::{JoinPlan, JoinQuery};
use crate::sink::joined::JoinedSink;
use crate::sink::text::Notation;
use crate::term::units::parse_duration;

/// Join two inputs by key and event time, or a stream with a table.
///
/// LEFT RIGHT --within D gives every pair of records that are equal in what `--on` says and whose event
/// times differ by at most D, both ends included. With `--type left` or `outer`, a record without a
/// partner gives a row once the watermark has passed its time by more than D, and not before. A
/// null equals nothing. A duplicate is a record like any other.
///
/// LEFT --table SOURCE gives each record of LEFT the latest value of its key as of its time, from
/// SOURCE, which is read as far as that first. A table without a time column holds from the
/// beginning on; in a topic, a null value deletes its key.
///
/// The watermark is the highest event time seen less `--out-of-order`, of the side further behind,
/// which is read first. What it has passed by more than D is dropped. A record below it is late:
/// dropped, too, and counted, since a partner of it may be gone. 0 late means that every pair is
/// there. Rows leave as soon as they are certain: for files always in the same order.
///
/// Columns: what is equal, by the left's name, the left's others, the right's others, as they were
/// written, and `event_time`, the later of the two, which `k window` takes by default. A name that both
/// sides have becomes `l_…` and `r_…`; `duration` is that of the left then. `--time`, `--time-unit`,
/// `--zone`, `--schema`, `--delimiter` and
/// `--out-of-order` are for both sides; given twice, for the left and for the right.
///
/// One process does it all, and holds in memory what may still be joined; joining in a consumer
/// group comes later.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k join data/mono_signal.csv data/tower.csv --on call_id --within 1h
  k join mono_signal tower --on call_id --within 1h --exit | k window --tumbling 10s --by tower
  k join calls.csv --table customers.csv --on 'caller = number' --type left
  k join - data/tower.csv --on call_id --within 1h < data/mono_signal.csv")]
pub(super) struct Options {
    /// A file, a topic, or `-` for stdin. A name with `/`, with the ending of a file (.csv, .txt,
    /// .jsonl, …) or of a file that exists is a file, any other a topic; `file:NAME` and
    /// `topic:NAME` say which. A pattern in quotes, such as 'calls-*.csv', is all its files, read as one
    /// in the order of their names; .gz and .zst are unpacked
    #[arg(value_name = "LEFT")]
    left: Endpoint,

    /// Another; only one can be stdin
    #[arg(
        value_name = "RIGHT",
        required_unless_present = "table",
        conflicts_with = "table"
    )]
    right: Option<Endpoint>,

    /// What a pattern without quotes has become.
    #[arg(hide = true)]
    more: Vec<Endpoint>,

    /// Take the latest value of each key from this file or topic, or from `-`.
    #[arg(long, value_name = "SOURCE")]
    table: Option<Endpoint>,

    /// Join where these are equal: columns of both sides, or of the left and the right as `id = key`,
    /// expressions as `lower(name) = lower(who)`.
    #[arg(long, value_name = "COLUMN,…")]
    on: String,

    /// Join where event times differ by at most this, both ends included.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    #[arg(required_unless_present = "table", conflicts_with = "table")]
    within: Option<i64>,

    /// Which records without a partner give a row: none, the left's, or both sides'
    #[arg(
        long = "type",
        value_enum,
        default_value = "inner",
        value_name = "TYPE"
    )]
    kind: Kind,

    /// Write to a file, a topic, which is created if it does not exist, or `-` for stdout.
    #[arg(long, value_name = "SINK", default_value = "-")]
    to: Endpoint,

    /// Take the event time from this column or expression, such as `ts * 1000` or
    /// `parse_timestamp(at, 'dd.MM.yyyy HH:mm:ss')`, or from `@record`, a topic's own timestamp.
    /// Default: `event_time` or `start_timestamp` if there, else `@record`.
    #[arg(long, value_name = "EXPRESSION")]
    time: Vec<String>,

    /// The unit of times that are numbers [default: ms]
    #[arg(long, value_enum, value_name = "UNIT")]
    time_unit: Vec<TimeUnit>,

    /// The zone of times that name none, such as `Europe/Paris`; `local`: this machine's [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Vec<String>,

    /// Declare column types: 'caller string, n bigint' [default: as their use asks]
    #[arg(long, value_name = "COLUMNS")]
    schema: Vec<String>,

    /// Let the watermark stay this far behind the highest event time [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    out_of_order: Vec<i64>,

    /// Let a partition that is at its end hold the watermark back no longer than this.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    idle: i64,

    /// How records are written, where the first ones do not say
    #[arg(long, value_enum, value_name = "FORMAT")]
    input: Option<InputNotation>,

    /// What stands between the fields of CSV: `tab`, `semicolon`, `bar`, `comma`, or any other ASCII
    /// character [default: tab for .tsv; else of these the one that makes the most columns of the
    /// header; comma for values in a topic]
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    delimiter: Vec<u8>,

    #[command(flatten)]
    spelling: SpellingOptions,

    /// How rows are written [default: a table on a terminal, else csv; json for a .json file]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    /// Count malformed records instead of ending at the first.
    #[arg(long)]
    skip_bad: bool,

    #[command(flatten)]
    stats: StatsOptions,

    #[command(flatten)]
    range: PlaceOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    if options.input == Some(InputNotation::Raw) {
        return Err(
            Error::usage("a join needs columns, and `--input raw` has one")
                .hint("write the records as JSON or CSV with a header"),
        );
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
    let stats = options.stats.file();
    let stats = stats.iter().map(|to| ("--stats-to", to));
    let read = sources.iter().map(|source| source.endpoints());
    let read: Vec<Endpoint> = read.flatten().collect();
    refuse_collisions(&read, [("--to", &options.to)].into_iter().chain(stats))?;
    for (side, asked) in Side::BOTH.into_iter().zip(&query_times) {
        let planned = &plan.sides[side.index()];
        let of = format!("the {} records", name_of(side));
        input::tell_time(*asked, &planned.time, &planned.schema, &of, context);
        // A topic that is empty as yet has no columns.
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
                "LEFT and RIGHT are one source each, and `{more}` is one more"
            ))
            .hint("quote a pattern, so that all its files are one source: 'calls-*.csv'"));
        }
        let right = self.right.as_ref().or(self.table.as_ref());
        let right =
            right.ok_or_else(|| Error::bug("clap lets neither RIGHT nor `--table` pass"))?;
        let sources = [&self.left, right];
        if sources == [&Endpoint::Pipe; 2] {
            return Err(Error::usage("only one side can be `-`: there is one stdin"));
        }
        if let Some(flag) = self.range.given()
            && !sources
                .iter()
                .any(|from| matches!(from, Endpoint::Topic(_)))
        {
            return Err(Error::usage(format!(
                "`{flag}` is for topics, and neither side is one"
            )));
        }
        let [left, right] = sources.map(|source| one_input(std::slice::from_ref(source)));
        Ok([left?, right?])
    }

    fn query(&self) -> Result<JoinQuery> {
        let method = self.within.map_or(Method::Table, Method::Within);
        if method == Method::Table && self.kind == Kind::Outer {
            return Err(Error::usage(
                "`--type outer` is for two streams: a table's values are not rows of their own",
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

    /// Returns what the flags say of each side.
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
                    Error::refused(format!(
                        "topic `{topic}` has no record that would tell its columns"
                    ))
                    .hint("without `--exit` and `--until` the first one is waited for")
                })
            }
        }
    }

    /// Opens the sink; a file is emptied only now that the plan is known to be right.
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
        let sink = match format {
            Format::Table => JoinedSink::table(outlet, frame, columns),
            Format::Csv | Format::Json => JoinedSink::text(outlet, frame, columns),
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
        // After an error the sums would say less than the error does.
        if let Err(error) = &ended
            && !matches!(error.remedy(), Remedy::Stopped(_))
        {
            return ended;
        }
        self.tell(plan, &node, context)?;
        ended
    }

    /// Says where every record went.
    fn tell(&self, plan: &JoinPlan, node: &Node<'_>, context: &Context) -> Result<()> {
        let (account, watermark) = (node.account(), node.watermark());
        for line in summary::lines(account, watermark, &self.to.behind_rows()) {
            context.report.status(line);
        }
        for side in Side::BOTH {
            let counts = account.side(side);
            let has_time = !matches!(plan.sides[side.index()].time, TimeFrom::Nowhere);
            let old = counts.before_1980;
            if has_time && old > 0 && old == counts.records - counts.malformed {
                context.report.warning(format!(
                    "all event times of the {} side lie before 1980: is the unit right? See `--time-unit s|ms|us|ns`",
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

/// Returns what a flag says for each side: its one value for both, or two for left and right.
fn for_sides<'o, T>(flag: &str, values: &'o [T]) -> Result<[Option<&'o T>; 2]> {
    match values {
        [] => Ok([None, None]),
        [both] => Ok([Some(both); 2]),
        [left, right] => Ok([Some(left), Some(right)]),
        _ => Err(Error::usage(format!(
            "`{flag}` stands more than twice: there are two sides"
        ))
        .hint("give it once for both, or twice: for the left and for the right")),
    }
}
