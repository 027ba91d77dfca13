//! `k window`: flags → plan → node, and the account at the end.

mod group;
mod model;

use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use console::Term;

use crate::cli::Context;
use crate::cli::broker::BrokerOptions;
use crate::cli::dialect::DialectOptions;
use crate::cli::endpoint::{self, Endpoint, OneInput, stdin_is_input};
use crate::cli::input::{self, Form, Given, Input, Notation as InputNotation};
use crate::cli::names::prefixed;
use crate::cli::output::{Format, StatsOptions, is_json};
use crate::cli::range::RangeOptions;
use crate::column::Schema;
use crate::engine::account::Account;
use crate::engine::operator::Open;
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::error::{Error, Remedy, Result};
use crate::format::{Reading, TimeUnit, schema};
use crate::kafka::producer::{Options as ProducerOptions, Producer};
use crate::node::journal::JournalFile;
use crate::node::parallel::Parallel;
use crate::node::side_output::SideOutput;
use crate::node::summary::WayOut;
use crate::node::why_silent::Watch;
use crate::node::{Node, Options as NodeOptions, Outputs, summary};
use crate::outlet::Outlet;
use crate::plan::{Change, Noted, Plan, Query, Ranked};
use crate::sink::Sink;
use crate::sink::rank::RankSink;
use crate::sink::select::SelectSink;
use crate::sink::table::TableSink;
use crate::sink::text::{Notation, TextSink};
use crate::sink::topic::{Shared, TopicSink};
use crate::source::series::Piece;
use crate::term::units::format_count;
use group::GroupOptions;
use model::questions::{WHAT, WHERE};
use model::{Alignment, When, Where};

/// The heading of where records come from and where rows go.
const STREAMS: &str = "Input and output";

/// Aggregate over event-time windows of a file, a pipe or a topic.
///
/// Event times come from a column, not from the clock. The watermark is the highest event time
/// seen less `--out-of-order`: no older record is expected. Every well-formed record advances it,
/// also one that `--where` leaves out. A window `[start, end)` closes when the watermark reaches
/// its end. Its row is written once `--grace` has passed as well. The end of a file or pipe closes
/// every window. A record that comes after the grace of all its windows has expired: it is dropped
/// and counted in the summary.
#[derive(Debug, clap::Args)]
#[command(override_usage = "k window [OPTIONS] WINDOW [SOURCE]...
       WINDOW: --tumbling SIZE | --hopping SIZE,ADVANCE | --session GAP[,MAX] |
               --sliding DURATION | --global")]
#[command(after_help = "Examples:
  k gen --rate 100 --seconds 60 --out - | k window --tumbling 10s
  k window --hopping 1m,10s --by caller --agg 'count, sum(duration)' --from data/mono_signal.csv
  k window --tumbling 10s --where \"disposition = 'connected'\" --format json")]
pub(super) struct Options {
    /// Group by these columns or expressions [default: one group]. Write fields of nested JSON as
    /// `user.id` and `items[0]`. A record of a topic also has `@key`, `@timestamp`, `@partition`,
    /// `@offset`, `@topic` and `@header('x')`; use them wherever a column is expected.
    #[arg(long, value_name = "COLUMN,…", help_heading = WHAT)]
    by: Option<String>,

    /// Compute these; `as NAME` names the column: count, sum, min, max, avg, stddev,
    /// count(distinct x), approx_distinct, p50(x) to p99.9(x), quantile(x, q), top(x, n), first,
    /// last, collect(x, n), max_by(x, y), min_by(x, y), mode.
    #[arg(long, value_name = "AGGREGATE,…", default_value = "count", help_heading = WHAT)]
    agg: String,

    /// Count only records for which this holds: `disposition = 'connected' and duration > 60000`.
    #[arg(long = "where", value_name = "CONDITION", help_heading = WHAT)]
    filter: Option<String>,

    /// Count each value of this column or expression once per window and key; count repeats as
    /// duplicates.
    #[arg(long, value_name = "COLUMN", help_heading = WHAT)]
    distinct: Option<String>,

    /// Write these columns of the result, or expressions over them: `window_start, count * 2 as n`.
    #[arg(long, value_name = "COLUMN,…", help_heading = WHAT)]
    select: Option<String>,

    /// Write only rows for which this holds; it sees the columns of the row: `count > 10 and
    /// avg_duration > 60000`
    #[arg(long, value_name = "CONDITION", help_heading = WHAT)]
    having: Option<String>,

    /// Sort the rows of each window: `sum_duration desc, caller`; nulls come last [default: by key]
    #[arg(long, value_name = "COLUMN,…", help_heading = WHAT)]
    order_by: Option<String>,

    /// Write only the first N rows of each window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = WHAT)]
    limit: Option<u64>,

    /// The column that marks retractions: `-` takes an earlier record back, `+` adds one; `none`:
    /// there is no such column. A group whose records were all taken back shows a row with count 0
    /// [default: `change`, if `window_start` and `window_end` are there too]
    #[arg(long, value_name = "COLUMN", help_heading = WHAT)]
    change: Option<String>,

    #[command(flatten)]
    windows: Where,

    #[command(flatten)]
    alignment: Alignment,

    /// The event time: a column, or an expression such as `ts * 1000` or
    /// `parse_timestamp(at, 'dd.MM.yyyy HH:mm:ss')`; `@record` is the timestamp of a topic's record,
    /// `@arrival` is processing time [default: `event_time` or `start_timestamp` if there, else
    /// `@record`]
    #[arg(long, value_name = "EXPRESSION", help_heading = WHERE)]
    time: Option<String>,

    /// Take processing time from this column instead of the clock, as for a replay.
    #[arg(long, value_name = "COLUMN", help_heading = WHERE)]
    arrival: Option<String>,

    /// The unit of numeric times.
    #[arg(long, value_enum, default_value = "ms", value_name = "UNIT", help_heading = WHERE)]
    time_unit: TimeUnit,

    #[command(flatten)]
    when: When,

    /// Same as `--from`.
    #[arg(value_name = "SOURCE")]
    named: Vec<Endpoint>,

    /// Read from a file, a topic, or `-` for stdin. A name is a file if it contains `/`, ends like a
    /// file (.csv, .tsv, .txt, .log, .json, .jsonl, .ndjson, .gz, .zst, …) or if such a file exists;
    /// otherwise it is a topic. `file:NAME` and `topic:NAME` are explicit. JSON printed by `k consume`
    /// is read as the records inside it. Several files, named one by one or by a pattern such as
    /// 'calls-*.csv' (sorted by name), are read one after the other; they share their columns. .gz
    /// and .zst are unpacked [default: a pipe on stdin, else topic mono_signal]
    #[arg(long, value_name = "SOURCE", help_heading = STREAMS)]
    from: Vec<Endpoint>,

    /// Write to a file, a topic, or `-` for stdout; names work as for `--from`. A topic that does not
    /// exist is created. With `--group`, rows are appended to a file, and a crash may leave some of
    /// them twice.
    #[arg(long, value_name = "SINK", default_value = "-", help_heading = STREAMS)]
    to: Endpoint,

    /// Declare column types: 'caller string, n bigint' [default: inferred from use]
    #[arg(long, value_name = "COLUMNS", help_heading = STREAMS)]
    schema: Option<String>,

    /// The format of the records [default: found from the first ones]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = STREAMS)]
    input: Option<InputNotation>,

    #[command(flatten, next_help_heading = STREAMS)]
    dialect: DialectOptions,

    /// The format of the rows [default: a table on a terminal, else csv; json for a .json file]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = STREAMS)]
    format: Option<Format>,

    /// Skip and count malformed records instead of ending at the first.
    #[arg(long, help_heading = STREAMS)]
    skip_bad: bool,

    /// Write malformed records, with the reason, to a file or topic instead of ending at the first;
    /// with `--group` as for `--late-to`.
    #[arg(long, value_name = "SINK", help_heading = STREAMS)]
    bad_to: Option<Endpoint>,

    /// Write late and expired records, and those set aside by `--ahead`, with the reason, to a file or
    /// topic. With `--group`, processes may share a file: lines are appended, and a crash may leave
    /// some of them twice. In a topic the guarantee applies.
    #[arg(long, value_name = "SINK", help_heading = STREAMS)]
    late_to: Option<Endpoint>,

    /// Write each step of the engine to a file, as JSON lines.
    #[arg(long, value_name = "FILE", help_heading = STREAMS)]
    journal: Option<PathBuf>,

    /// Show these columns of each record in the journal, or expressions over them [default: those
    /// of the keys, the time, `--where` and `--distinct`]
    #[arg(long, value_name = "COLUMN,…", requires = "journal", help_heading = STREAMS)]
    journal_columns: Option<String>,

    #[command(flatten, next_help_heading = STREAMS)]
    stats: StatsOptions,

    /// Read a file with this many threads, with the same result; for tumbling, hopping and global
    /// windows that show each row once [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = STREAMS)]
    threads: Option<u16>,

    #[command(flatten)]
    range: RangeOptions,

    #[command(flatten)]
    group: GroupOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(mut options: Options, context: &Context) -> Result<()> {
    options.from.append(&mut options.named);
    let query = options.query()?;
    if let Some(topics) = options.grouped()? {
        return options.run_grouped(&query, topics, context);
    }
    let Some(mut input) = options.open(&query, context)? else {
        context.report.status("0 records in: the topic is empty");
        return Ok(());
    };
    let schema = std::mem::take(&mut input.schema);
    let plan = plan(&query, schema, &input.form, input.record_times)?;
    options.refuse_collisions()?;
    let (asked, layout) = (options.time.is_some(), &plan.layout);
    input::tell_time(asked, &layout.time, &layout.schema, "the records", context);
    input::warn_of_unseen(&plan.layout.schema, plan.unseen, context);
    let sink = options.sink(&plan, context)?;
    let sink = in_front(&plan, sink);
    options.run(&plan, input, sink, context)
}

/// Puts `--having`, `--order-by`, `--limit` and `--select` in front of a sink.
fn in_front(plan: &Plan, mut sink: Box<dyn Sink>) -> Box<dyn Sink> {
    if let Some(selection) = &plan.selection {
        sink = Box::new(SelectSink::new(selection.clone(), sink));
    }
    if let Some(ranking) = &plan.ranking {
        sink = Box::new(RankSink::new(ranking.clone(), sink));
    }
    sink
}

/// Plans a query over records of a form. `--decimal-comma` is for CSV: JSON has decimal points.
fn plan(query: &Query, schema: Schema, form: &Form, record_times: bool) -> Result<Plan> {
    let query = Query {
        decimal_comma: query.decimal_comma && form.notation != InputNotation::Json,
        ..query.clone()
    };
    query.plan(schema, record_times)
}

impl Options {
    fn ranked(&self) -> Ranked {
        Ranked {
            having: self.having.clone(),
            order_by: self.order_by.clone(),
            limit: self.limit,
        }
    }

    fn query(&self) -> Result<Query> {
        Ok(Query {
            filter: self.filter.clone(),
            by: self.by.clone(),
            aggregates: self.agg.clone(),
            distinct: self.distinct.clone(),
            change: match self.change.as_deref() {
                None => Change::AsSeen,
                Some("none") => Change::Never,
                Some(column) => Change::Column(column.to_owned()),
            },
            select: self.select.clone(),
            ranked: self.ranked(),
            time: self.time.clone(),
            arrival: self.arrival.clone(),
            reading: Reading {
                unit: self.time_unit,
                zone: self.alignment.zone()?,
            },
            decimal_comma: self.dialect.decimal_comma,
            windows: self.windows.windows(&self.alignment)?,
            grace_ms: self.when.grace,
            ahead_ms: self.when.ahead,
            bound: self.when.bound(),
            trigger: self.when.trigger()?,
            refinement: self.when.refine,
            panes: self.when.panes,
            noted: self.noted(),
        })
    }

    /// Returns which columns of a record the journal shows.
    fn noted(&self) -> Noted {
        match (&self.journal, &self.journal_columns) {
            (None, _) => Noted::Nothing,
            (Some(_), None) => Noted::Used,
            (Some(_), Some(columns)) => Noted::Named(columns.clone()),
        }
    }

    /// Returns where records come from: as named, else a pipe, else the workshop's own topic.
    fn source(&self) -> Result<OneInput> {
        match &self.from[..] {
            [] if stdin_is_input() => Ok(OneInput::Lines(vec![Piece::Stdin])),
            [] => Ok(OneInput::Topic(prefixed("mono_signal"))),
            named => endpoint::one_input(named),
        }
    }

    /// Returns what the flags say about the input.
    fn given(&self) -> Result<Given> {
        let declared = self.schema.as_deref().map(schema::parse_declaration);
        Ok(Given {
            declared: declared.transpose()?,
            notation: self.input,
            delimiter: self.dialect.delimiter,
            spelling: self.dialect.spelling(),
        })
    }

    fn open(&self, query: &Query, context: &Context) -> Result<Option<Input>> {
        let given = self.given()?;
        match self.source()? {
            OneInput::Lines(pieces) => {
                if let Some(flag) = self.range.given() {
                    let from = self.from.first().unwrap_or(&Endpoint::Pipe);
                    return Err(Error::usage(format!(
                        "`{flag}` is for topics, and `{from}` is not a topic"
                    )));
                }
                input::open_files(&pieces, given, context).map(Some)
            }
            OneInput::Topic(topic) => {
                if !self.range.exits() {
                    model::refuse_endless(&query.windows, &query.trigger)?;
                }
                let (settings, range) = (self.broker.settings(context)?, self.range.range()?);
                input::open_topic(&topic, &range, given, &settings, context)
            }
        }
    }

    /// Opens the sink. A file is truncated only now, when the plan is known to be valid.
    fn sink(&self, plan: &Plan, context: &Context) -> Result<Box<dyn Sink>> {
        let header = plan.header();
        let outlet = match &self.to {
            Endpoint::Topic(name) => {
                let settings = self.broker.settings(context)?;
                return Ok(Box::new(TopicSink::open(
                    &settings,
                    name,
                    header,
                    self.tombstones(plan),
                )?));
            }
            Endpoint::Pipe => Outlet::stdout(context.interrupt.clone())?,
            Endpoint::File(path) => self.outlet(path, context)?,
        };
        let terminal = self.to == Endpoint::Pipe && io::stdout().is_terminal();
        let format = self.format.unwrap_or(match &self.to {
            _ if terminal => Format::Table,
            Endpoint::File(path) if is_json(path) => Format::Json,
            _ => Format::Csv,
        });
        Ok(match format {
            Format::Table => Box::new(TableSink::new(outlet, header, terminal.then(Term::stdout))),
            Format::Csv => Box::new(TextSink::new(outlet, Notation::Csv, header)),
            Format::Json => Box::new(TextSink::new(outlet, Notation::Json, header)),
        })
    }

    /// Returns whether a retraction becomes a tombstone in a topic.
    fn tombstones(&self, plan: &Plan) -> bool {
        plan.refinement != Refinement::Retracting
    }

    fn threads(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.map_or_else(processors, usize::from)
    }

    /// Opens the outputs beside the rows; those that are topics use the `shared` producer, if any.
    fn outputs(&self, context: &Context, shared: Option<&Shared>) -> Result<Outputs> {
        let aside = |to: &Option<Endpoint>| {
            let to = to.as_ref();
            to.map(|to| self.aside(to, context, shared)).transpose()
        };
        let journal = self.journal.as_ref().map(|path| {
            let sources = self.source()?.endpoints();
            let sources = sources.iter().map(Endpoint::to_string).collect();
            Ok(JournalFile::new(self.outlet(path, context)?, sources))
        });
        Ok(Outputs {
            late: aside(&self.late_to)?,
            bad: aside(&self.bad_to)?,
            journal: journal.transpose()?,
        })
    }

    fn aside(
        &self,
        to: &Endpoint,
        context: &Context,
        shared: Option<&Shared>,
    ) -> Result<SideOutput> {
        if *to == self.to {
            return Err(Error::usage(format!(
                "`{to}` is where the rows go: late and malformed records need another output"
            )));
        }
        Ok(match to {
            Endpoint::Topic(name) => {
                let settings = self.broker.settings(context)?;
                let producer = match shared {
                    Some(shared) => shared.clone(),
                    None => Shared::new(Producer::new(&settings, &ProducerOptions::default())?),
                };
                SideOutput::topic(&settings, name, producer)?
            }
            Endpoint::Pipe => {
                SideOutput::text(Outlet::stdout(context.interrupt.clone())?, Notation::Csv)
            }
            Endpoint::File(path) => {
                let notation = if is_json(path) {
                    Notation::Json
                } else {
                    Notation::Csv
                };
                SideOutput::text(self.outlet(path, context)?, notation)
            }
        })
    }

    /// Opens a file for writing. With a group it is appended to: what earlier runs wrote is not
    /// computed again, and other processes write to it as well.
    fn outlet(&self, path: &Path, context: &Context) -> Result<Outlet> {
        match self.range.group() {
            Some(_) => Outlet::append(path, context.interrupt.clone()),
            None => Outlet::create(path, context.interrupt.clone()),
        }
    }

    /// Refuses outputs that would overwrite one another, or the input.
    fn refuse_collisions(&self) -> Result<()> {
        let journal = self.journal.clone().map(Endpoint::File);
        let stats = self.stats.file();
        let outputs = [
            ("--to", Some(&self.to)),
            ("--late-to", self.late_to.as_ref()),
            ("--bad-to", self.bad_to.as_ref()),
            ("--journal", journal.as_ref()),
            ("--stats-to", stats.as_ref()),
        ];
        let outputs = outputs
            .into_iter()
            .filter_map(|(flag, to)| Some((flag, to?)));
        endpoint::refuse_collisions(&self.source()?.endpoints(), outputs)
    }

    fn run(
        &self,
        plan: &Plan,
        mut input: Input,
        sink: Box<dyn Sink>,
        context: &Context,
    ) -> Result<()> {
        let decoder = input.decoder(plan.layout.clone());
        let options = NodeOptions {
            skip_bad: self.skip_bad,
            commit: self.range.group().is_some(),
            idle: if self.range.exits() {
                Duration::ZERO
            } else {
                Duration::from_millis(self.when.idle.unsigned_abs())
            },
        };
        let outputs = self.outputs(context, None)?;
        let (account, watermark, open, ended) = match input.source.as_file() {
            Some(file)
                if outputs.is_empty() && self.threads() > 1 && plan.can_be_computed_in_parts() =>
            {
                let parallel = Parallel {
                    plan,
                    decoder,
                    skip_bad: self.skip_bad,
                    threads: self.threads(),
                    interrupt: &context.interrupt,
                };
                let (outcome, ended) = parallel.run(file, sink);
                (outcome.account, outcome.watermark, outcome.open, ended)
            }
            _ => {
                let partitions = input.source.partitions();
                let mut node = Node::new(
                    plan,
                    decoder,
                    partitions,
                    sink,
                    outputs,
                    options,
                    &context.interrupt,
                )?;
                node.set_watch(Watch::new(&context.report));
                let ended = node.run(input.source.as_mut());
                (*node.account(), node.watermark(), node.open(), ended)
            }
        };
        // After an error the summary would only distract from it.
        let stopped = |error: &Error| matches!(error.remedy(), Remedy::Stopped(_));
        match ended {
            Err(error) if !stopped(&error) => {
                let stats = summary::json(&account, Open::default(), watermark);
                self.stats.write(&stats, self.range.group().is_some())?;
                Err(error)
            }
            ended => {
                self.tell(plan, &account, watermark, open, context)?;
                ended
            }
        }
    }

    /// Returns what happens to open windows when a run is stopped.
    fn way_out(&self) -> Result<WayOut> {
        Ok(match (self.source()?, self.range.exits()) {
            _ if self.when.trigger()? == Trigger::CHANGES => WayOut::Shown,
            _ if self.range.group().is_some() => WayOut::Kept,
            (OneInput::Topic(_), false) => WayOut::Shows("`--exit`"),
            _ => WayOut::Shows("the end of the input"),
        })
    }

    /// Reports where every record went.
    fn tell(
        &self,
        plan: &Plan,
        account: &Account,
        watermark: i64,
        open: Open,
        context: &Context,
    ) -> Result<()> {
        let left_out = plan.left_out();
        let account = &Account {
            rows: account.rows.saturating_sub(left_out),
            ..*account
        };
        let stats = summary::json(account, open, watermark);
        self.stats.write(&stats, self.range.group().is_some())?;
        let open = summary::open_windows(open, account, self.way_out()?);
        let left_out = match (left_out, self.ranked().leaves_out()) {
            (1.., Some(flags)) => format!(", {} left out by {flags}", format_count(left_out)),
            _ => String::new(),
        };
        let behind_rows = format!("{}{left_out}{open}", self.to.behind_rows());
        for line in summary::lines(account, watermark, &behind_rows) {
            context.report.status(line);
        }
        if account.before_1980 > 0
            && account.before_1980 == account.records() - account.malformed - account.ahead
        {
            context.report.warning(
                "all event times are before 1980: is the unit right? See `--time-unit s|ms|us|ns`",
            );
        }
        self.stats.tell(&stats, context);
        Ok(())
    }
}
