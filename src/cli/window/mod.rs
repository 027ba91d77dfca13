//! `k window`: flags → plan → node, and the account at the end.

pub(super) mod asked;
mod group;
pub(super) use group::commit_every;
mod model;

use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use console::Term;

use crate::chart::ChartSink;
use crate::cli::endpoint::{self, Endpoint, OneInput};
use crate::cli::output::{StatsOptions, TimesOption, is_json};
use crate::cli::picture::terminal_medium;
use crate::context::Context;
use crate::engine::account::Account;
use crate::engine::operator::Open;
use crate::engine::pane::Refinement;
use crate::engine::pane::trigger::Trigger;
use crate::error::{Error, Remedy, Result};
use crate::kafka::producer::{Options as ProducerOptions, Producer};
use crate::node::input::{self, Input};
use crate::node::journal::JournalFile;
use crate::node::parallel::{Outcome, Parallel};
use crate::node::side_output::SideOutput;
use crate::node::summary::WayOut;
use crate::node::why_silent::Watch;
use crate::node::{Node, Options as NodeOptions, Outputs, summary};
use crate::notation::Notation;
use crate::outlet::Outlet;
use crate::plan::window::foreign::{Dialect, Origin};
use crate::plan::{Noted, Plan, Query};
use crate::result::Header;
use crate::sink::RankSink;
use crate::sink::SelectSink;
use crate::sink::Sink;
use crate::sink::table::{Look, TableSink};
use crate::sink::text::TextSink;
use crate::sink::topic::{Shared, TopicSink};
use crate::term::grid::room;
use crate::term::units::format_count;
use asked::Asked;
use group::GroupOptions;

/// The heading of where records come from and where rows go.
const STREAMS: &str = "Input and output";

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RowFormat {
    Table,
    Csv,
    Json,
    Chart,
}

/// Aggregate over event-time windows of a file, a pipe or a topic.
///
/// Event times come from a column, not from the clock. The watermark is the highest event time
/// seen less `--out-of-order`: no older record is expected. Every well-formed record advances it,
/// also one that `--where` leaves out. A window `[start, end)` closes when the watermark reaches
/// its end. Its row is written once `--grace` has passed as well. The end of a file or pipe closes
/// every window. A record that comes after the grace of all its windows has expired: it is dropped
/// and counted in the summary.
///
/// With `--group` the next run goes on, in one of two ways. From a topic to a topic it restores: any
/// number of processes share the partitions, their state is in a changelog, and each partition has a
/// watermark of its own. To a file or a pipe it replays: one process reads the records of open
/// windows again, and all partitions have one watermark.
#[derive(Debug, clap::Args)]
#[command(override_usage = "k window [OPTIONS] WINDOW [SOURCE]...
       WINDOW: --tumbling SIZE | --hopping SIZE,ADVANCE | --session GAP[,MAX] |
               --sliding DURATION | --global")]
#[command(after_help = "Examples:
  k gen --rate 100 --seconds 60 --out - | k window --tumbling 10s
  k window --hopping 1m,10s --by caller --from data/mono_signal.csv
  k window --tumbling 10s --where \"disposition = 'connected'\" --format json")]
pub(super) struct Options {
    #[command(flatten)]
    asked: Asked,

    /// Write to a file, a topic, or `-` for stdout; names work as for `--from`. A topic that does not
    /// exist is created. With `--group`, rows are appended to a file, and a crash may leave some of
    /// them twice.
    #[arg(long, value_name = "SINK", default_value = "-", help_heading = STREAMS)]
    to: Endpoint,

    /// The format of the rows; `chart` draws them, on a terminal while they come [default: a table
    /// on a terminal, else csv; json for a .json file]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = STREAMS)]
    format: Option<RowFormat>,

    #[command(flatten, next_help_heading = STREAMS)]
    times: TimesOption,

    /// Write malformed records, with the reason, to a file or topic instead of ending at the first;
    /// with `--group` as for `--late-to`.
    #[arg(long, value_name = "SINK", help_heading = STREAMS)]
    bad_to: Option<Endpoint>,

    /// Write late and expired records, and those set aside by `--ahead`, with the reason, to a file or
    /// topic. With `--group`, processes may share a file: lines are appended, and a crash may leave
    /// some of them twice. In a topic the guarantee applies.
    #[arg(long, value_name = "SINK", help_heading = STREAMS)]
    late_to: Option<Endpoint>,

    /// Write each step of the engine to a file, as JSON lines; not with a group that writes to a topic,
    /// whose engines, one for each partition, move from process to process
    #[arg(long, value_name = "FILE", help_heading = STREAMS)]
    journal: Option<PathBuf>,

    /// Show these columns of each record in the journal, or expressions over them [default: those
    /// of the keys, the time, `--where` and `--distinct`]
    #[arg(long, value_name = "COLUMN,…", requires = "journal", help_heading = STREAMS)]
    journal_columns: Option<String>,

    #[command(flatten, next_help_heading = STREAMS)]
    stats: StatsOptions,

    /// Print the plan as a statement of another engine, with its source, and read nothing more than
    /// the first records
    #[arg(long = "as", value_enum, value_name = "ENGINE", help_heading = STREAMS)]
    dialect: Option<Dialect>,

    /// Read a file with this many threads, with the same result; for tumbling, hopping and global
    /// windows that show each row once [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = STREAMS)]
    threads: Option<u16>,

    #[command(flatten)]
    group: GroupOptions,
}

pub(super) fn run(mut options: Options, context: &Context) -> Result<()> {
    options.asked.from.append(&mut options.asked.named);
    let query = Query {
        noted: options.noted(),
        ..options.asked.query()?
    };
    if let Some(topics) = options.grouped()? {
        return options.run_grouped(&query, topics, context);
    }
    let Some(mut input) = options.asked.open(&query, context)? else {
        context.report.status("0 records in: the topic is empty");
        return Ok(());
    };
    let schema = std::mem::take(&mut input.schema);
    let plan = input.form.plan(&query, schema, input.record_times)?;
    if let Some(dialect) = options.dialect {
        let statement = plan.statement(dialect, &options.origin()?)?;
        return crate::cli::print(statement.as_bytes());
    }
    options.refuse_collisions()?;
    options.times.refuse_for(&options.to)?;
    let (asked, layout) = (options.asked.time.is_some(), &plan.layout);
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

impl Options {
    /// Returns which columns of a record the journal shows.
    fn noted(&self) -> Noted {
        match (&self.journal, &self.journal_columns) {
            (None, _) => Noted::Nothing,
            (Some(_), None) => Noted::Used,
            (Some(_), Some(columns)) => Noted::Named(columns.clone()),
        }
    }

    /// Returns where a statement of another engine reads the records.
    fn origin(&self) -> Result<Origin> {
        let [from] = &self.asked.from[..] else {
            return Err(Error::usage("--as takes one file or topic"));
        };
        let stem = |text: &str| {
            text.chars()
                .map(|c| if c.is_alphanumeric() { c } else { '_' })
                .collect()
        };
        match from {
            Endpoint::Topic(name) => Ok(Origin {
                name: stem(name),
                place: name.clone(),
                is_topic: true,
                is_json: true,
            }),
            Endpoint::File(path) => {
                let name = path
                    .file_stem()
                    .and_then(|name| name.to_str())
                    .unwrap_or("records");
                let ending = path.extension().and_then(|ending| ending.to_str());
                Ok(Origin {
                    name: stem(name),
                    place: path.display().to_string(),
                    is_topic: false,
                    is_json: ending.is_some_and(|ending| ending.starts_with("json")),
                })
            }
            Endpoint::Pipe => Err(Error::usage(
                "--as needs a file or topic that the statement can name",
            )),
        }
    }

    /// Opens the sink. A file is truncated only now, when the plan is known to be valid.
    fn sink(&self, plan: &Plan, context: &Context) -> Result<Box<dyn Sink>> {
        let header = plan.header();
        let outlet = match &self.to {
            Endpoint::Topic(name) => {
                let settings = self.asked.broker.settings(context)?;
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
            _ if terminal => RowFormat::Table,
            Endpoint::File(path) if is_json(path) => RowFormat::Json,
            _ => RowFormat::Csv,
        });
        let times = self.times.within(format == RowFormat::Table);
        let text = |outlet, notation, header| {
            Box::new(TextSink::new(outlet, notation, header).with_times(times))
        };
        Ok(match format {
            RowFormat::Chart => Box::new(self.chart(outlet, header, plan, terminal)?),
            RowFormat::Table => {
                let look = Look {
                    room: (self.to == Endpoint::Pipe).then(room).flatten(),
                    times,
                    report: context.report.clone(),
                };
                let terminal = terminal.then(Term::stdout);
                Box::new(TableSink::new(outlet, header, look, terminal))
            }
            RowFormat::Csv => text(outlet, Notation::Csv, header),
            RowFormat::Json => text(outlet, Notation::Json, header),
        })
    }

    /// Returns a chart of the rows; on a terminal it is redrawn as they come.
    fn chart(
        &self,
        outlet: Outlet,
        header: Header,
        plan: &Plan,
        terminal: bool,
    ) -> Result<ChartSink> {
        if self.asked.range.group().is_some() {
            return Err(Error::usage(
                "`--format chart` needs all keys, and each process of a group has only some",
            )
            .hint("draw what the group has written: `k chart TOPIC`"));
        }
        let sources = self.asked.source()?.endpoints();
        let source = match sources.first() {
            Some(Endpoint::Pipe) | None => "stdin".to_owned(),
            Some(source) => source.to_string(),
        };
        let title = format!("{source}: {}", plan.clauses().headline());
        let on = (terminal_medium(2), terminal.then(Term::stdout));
        Ok(ChartSink::new(outlet, title, header, plan.refinement, on))
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
            let sources = self.asked.source()?.endpoints();
            let sources = sources.iter().map(Endpoint::to_string).collect();
            Ok(JournalFile::new(self.outlet(path, context)?, sources))
        });
        Ok(Outputs {
            late: aside(&self.late_to)?,
            bad: aside(&self.bad_to)?,
            journal: journal.transpose()?,
            listener: None,
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
                let settings = self.asked.broker.settings(context)?;
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
        match self.asked.range.group() {
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
        endpoint::refuse_collisions(&self.asked.source()?.endpoints(), outputs)
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
            skip_bad: self.asked.skip_bad,
            commit: self.asked.range.group().is_some(),
            idle: if self.asked.range.exits() {
                Duration::ZERO
            } else {
                Duration::from_millis(self.asked.when.idle.unsigned_abs())
            },
        };
        let outputs = self.outputs(context, None)?;
        let name = input.source.name();
        let (account, first_skipped, watermark, open, ended) = match input.source.as_file() {
            Some(file)
                if outputs.is_empty() && self.threads() > 1 && plan.can_be_computed_in_parts() =>
            {
                let parallel = Parallel {
                    plan,
                    decoder,
                    skip_bad: self.asked.skip_bad,
                    threads: self.threads(),
                    interrupt: &context.interrupt,
                };
                let (outcome, ended) = parallel.run(file, sink);
                let Outcome {
                    account,
                    first_skipped,
                    open,
                    watermark,
                } = outcome;
                (account, first_skipped, watermark, open, ended)
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
                node.set_watch(self.watch(context));
                let ended = node.run(input.source.as_mut());
                let skipped = node.first_skipped().cloned();
                (
                    *node.account(),
                    skipped,
                    node.watermark(),
                    node.open(),
                    ended,
                )
            }
        };
        // After an error the summary would only distract from it.
        let stopped = |error: &Error| matches!(error.remedy(), Remedy::Stopped(_));
        match ended {
            Err(error) if !stopped(&error) => {
                let stats = summary::json(&account, Open::default(), watermark);
                self.stats
                    .write(&stats, self.asked.range.group().is_some())?;
                Err(error)
            }
            ended => {
                let first = first_skipped.map(|skipped| skipped.to_line(&name));
                self.tell(plan, &account, watermark, open, first, context)?;
                ended
            }
        }
    }

    /// Returns who says why no row comes, and what tells more: of a topic, which can be read again.
    fn watch(&self, context: &Context) -> Option<Watch> {
        let watch = Watch::new(&context.report)?;
        Some(match self.asked.source() {
            Ok(OneInput::Topic(_)) => {
                watch.with_more(super::explain::silence_as_typed(std::env::args()))
            }
            _ => watch,
        })
    }

    /// Returns what happens to open windows when a run is stopped.
    fn way_out(&self) -> Result<WayOut> {
        Ok(match (self.asked.source()?, self.asked.range.exits()) {
            _ if self.asked.when.trigger()? == Trigger::CHANGES => WayOut::Shown,
            _ if self.asked.range.group().is_some() => WayOut::Kept,
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
        first_skipped: Option<String>,
        context: &Context,
    ) -> Result<()> {
        let left_out = plan.left_out();
        let account = &Account {
            rows: account.rows.saturating_sub(left_out),
            ..*account
        };
        let stats = summary::json(account, open, watermark);
        self.stats
            .write(&stats, self.asked.range.group().is_some())?;
        let open = summary::open_windows(open, account, self.way_out()?);
        let left_out = match (left_out, self.asked.ranked().leaves_out()) {
            (1.., Some(flags)) => format!(", {} left out by {flags}", format_count(left_out)),
            _ => String::new(),
        };
        let behind_rows = format!("{}{left_out}{open}", self.to.behind_rows());
        for line in summary::lines(account, watermark, &behind_rows) {
            context.report.account(line, "expired");
        }
        let first_skipped = first_skipped.into_iter();
        first_skipped.for_each(|line| context.report.status(line));
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
