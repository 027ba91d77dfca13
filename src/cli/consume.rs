//! `k consume`: topics → JSON envelopes, CSV, bare values or a table.

use std::io::{self, IsTerminal};

use crate::cli::broker::BrokerOptions;
use crate::cli::dialect::DialectOptions;
use crate::cli::names::prefixed;
use crate::cli::output::TimesOption;
use crate::cli::range::RangeOptions;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::format::schema::parse_declaration;
use crate::node::consume::{self, Consumption, Pick};
use crate::node::input::{Given, Notation};
use crate::outlet::Outlet;
use crate::sink::records::{Format, Look, RecordSink};
use crate::term::grid::room;

/// Read topics from the beginning, then wait for new records.
///
/// In a pipe, each record is one line of JSON with its topic, partition, offset, timestamp, key,
/// headers and value; `k produce` can write it back. Keys and values that are not UTF-8 are in
/// `key_base64` and `value_base64`. Records of one partition come in its order, those of several
/// partitions by timestamp.
///
/// `--where` and `--select` read JSON or CSV values with the expressions of `k window`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k consume mono_signal --limit 10
  k consume mono_signal tower --exit --format csv > records.csv
  k consume mono_signal --where \"disposition = 'busy'\" --select 'caller, start_timestamp'
  k consume mono_signal --since -10m --exit | k produce -t copy
  k consume mono_signal --group audit --key 4915112345678")]
pub(super) struct Options {
    /// Topics to read.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// End after this many records.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Read only records with this key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// The format of the output. A table and CSV have a column for each of the value's; those of several
    /// topics, which may have other columns each, are in one column `value` [default: a table on a
    /// terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    #[command(flatten)]
    times: TimesOption,

    /// Also show records of open and aborted transactions.
    #[arg(long)]
    uncommitted: bool,

    #[command(flatten)]
    pick: PickOptions,

    #[command(flatten)]
    range: RangeOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// Flags that choose records and change their values.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Filtering and changing values")]
struct PickOptions {
    /// Take only records for which this holds: `disposition = 'connected' and duration > 60000`. Besides
    /// the value's columns there are `@key`, `@timestamp`, `@partition`, `@offset`, `@topic` and
    /// `@header('x')`.
    #[arg(long = "where", value_name = "CONDITION")]
    filter: Option<String>,

    /// Write these columns of the value, or expressions over them, as a JSON value: `caller,
    /// duration / 1000 as seconds`. Keys, timestamps and headers stay as they are.
    #[arg(long, value_name = "COLUMN,…")]
    select: Option<String>,

    /// Declare column types: 'caller string, n bigint' [default: inferred from use]
    #[arg(long, value_name = "COLUMNS")]
    schema: Option<String>,

    /// The format of the values [default: found from the first ones]
    #[arg(long, value_enum, value_name = "FORMAT")]
    input: Option<Notation>,

    #[command(flatten)]
    dialect: DialectOptions,

    /// Skip and count records whose value is malformed.
    #[arg(long)]
    skip_bad: bool,
}

pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    let topics = options.topics()?;
    let (settings, range) = (options.broker.settings(context)?, options.range.range()?);
    let settings = settings.reading_uncommitted(options.uncommitted);
    let wanted = consume::Options {
        key: options.key.clone().map(String::into_bytes),
        pick: options.pick.pick()?,
        limit: options.limit.unwrap_or(u64::MAX),
    };
    let open_sink = || options.sink(&topics, context);
    let mut consumption =
        Consumption::open(&settings, &topics, &range, &wanted, open_sink, context)?;
    let ended = consumption.run();
    let is_told = match ended.as_ref().map_err(Error::remedy) {
        Ok(()) | Err(Remedy::Stopped(_)) => true,
        Err(Remedy::ClosedPipe) => false,
        Err(_) => consumption.written() > 0,
    };
    if is_told {
        context.report.status(consumption.summary());
        let first_skipped = consumption.first_skipped();
        first_skipped
            .into_iter()
            .for_each(|line| context.report.status(line));
    }
    ended
}

impl Options {
    /// Returns the topics without `topic:`, each once.
    fn topics(&self) -> Result<Vec<String>> {
        let mut topics: Vec<String> = Vec::new();
        for name in &self.topics {
            let name = prefixed(name.strip_prefix("topic:").unwrap_or(name));
            if topics.contains(&name) {
                return Err(Error::usage(format!("topic `{name}` is named twice")));
            }
            topics.push(name);
        }
        Ok(topics)
    }

    fn sink<'t>(&self, topics: &'t [String], context: &Context) -> Result<RecordSink<'t>> {
        let terminal = io::stdout().is_terminal();
        let format = self.format.unwrap_or(if terminal {
            Format::Table
        } else {
            Format::Json
        });
        let outlet = Outlet::stdout(context.interrupt.clone())?;
        let look = Look {
            room: room(),
            times: self.times.given(),
            report: context.report.clone(),
        };
        Ok(RecordSink::new(topics, format, outlet, look))
    }
}

impl PickOptions {
    fn pick(&self) -> Result<Pick> {
        let declared = self.schema.as_deref().map(parse_declaration);
        Ok(Pick {
            filter: self.filter.clone(),
            select: self.select.clone(),
            given: Given {
                declared: declared.transpose()?,
                notation: self.input,
                delimiter: self.dialect.delimiter,
                spelling: self.dialect.spelling(),
                grows: false,
            },
            skip_bad: self.skip_bad,
        })
    }
}
