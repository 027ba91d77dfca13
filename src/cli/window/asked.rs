//! What is windowed and how: the flags that every command has that windows records, whatever it then
//! does with them.

use super::STREAMS;
use super::model::questions::{WHAT, WHERE};
use super::model::{self, Alignment, When, Where};
use crate::cli::broker::BrokerOptions;
use crate::cli::dialect::DialectOptions;
use crate::cli::endpoint::{self, Endpoint, OneInput, stdin_is_input};
use crate::cli::names::prefixed;
use crate::cli::range::RangeOptions;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::format::{Reading, TimeUnit, schema};
use crate::node::input::{self, Given, Input, Notation};
use crate::plan::{Change, Noted, Query, Ranked};
use crate::source::series::Piece;

/// Windows over the records of a source.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Asked {
    /// Group by these columns or expressions [default: one group]. Write fields of nested JSON as
    /// `user.id` and `items[0]`. A record of a topic also has `@key`, `@timestamp`, `@partition`,
    /// `@offset`, `@topic` and `@header('x')`; use them wherever a column is expected.
    #[arg(long, value_name = "COLUMN,…", help_heading = WHAT)]
    pub by: Option<String>,

    /// Compute these; `as NAME` names the column: count, sum, min, max, avg, stddev,
    /// count(distinct x), approx_distinct, p50(x) to p99.9(x), quantile(x, q), top(x, n), first,
    /// last, collect(x, n), max_by(x, y), min_by(x, y), mode.
    #[arg(long, value_name = "AGGREGATE,…", default_value = "count", help_heading = WHAT)]
    pub agg: String,

    /// Count only records for which this holds: `disposition = 'connected' and duration > 60000`.
    #[arg(long = "where", value_name = "CONDITION", help_heading = WHAT)]
    pub filter: Option<String>,

    /// Count each value of this column or expression once per window and key; count repeats as
    /// duplicates.
    #[arg(long, value_name = "COLUMN", help_heading = WHAT)]
    pub distinct: Option<String>,

    /// Write these columns of the result, or expressions over them: `window_start, count * 2 as n`.
    #[arg(long, value_name = "COLUMN,…", help_heading = WHAT)]
    pub select: Option<String>,

    /// Write only rows for which this holds; it sees the columns of the row: `count > 10 and
    /// avg_duration > 60000`
    #[arg(long, value_name = "CONDITION", help_heading = WHAT)]
    pub having: Option<String>,

    /// Sort the rows of each window: `sum_duration desc, caller`; nulls come last [default: by key]
    #[arg(long, value_name = "COLUMN,…", help_heading = WHAT)]
    pub order_by: Option<String>,

    /// Write only the first N rows of each window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = WHAT)]
    pub limit: Option<u64>,

    /// The column that marks retractions: `-` takes an earlier record back, `+` adds one; `none`:
    /// there is no such column. A group whose records were all taken back shows a row with count 0
    /// [default: `change`, if `window_start` and `window_end` are there too]
    #[arg(long, value_name = "COLUMN", help_heading = WHAT)]
    pub change: Option<String>,

    #[command(flatten)]
    pub windows: Where,

    #[command(flatten)]
    pub alignment: Alignment,

    /// The event time: a column, or an expression such as `ts * 1000` or
    /// `parse_timestamp(at, 'dd.MM.yyyy HH:mm:ss')`; `@record` is the timestamp of a topic's record,
    /// `@arrival` is processing time (default: event_time or start_timestamp if there, else
    /// @record)
    #[arg(long, value_name = "EXPRESSION", help_heading = WHERE)]
    pub time: Option<String>,

    /// Take processing time from this column instead of the clock, as for a replay.
    #[arg(long, value_name = "COLUMN", help_heading = WHERE)]
    pub arrival: Option<String>,

    /// The unit of numeric times.
    #[arg(long, value_enum, default_value = "ms", value_name = "UNIT", help_heading = WHERE)]
    pub time_unit: TimeUnit,

    #[command(flatten)]
    pub when: When,

    /// Same as `--from`.
    #[arg(value_name = "SOURCE")]
    pub named: Vec<Endpoint>,

    /// Read from a file, a topic, or `-` for stdin. A name is a file if it contains `/`, ends like a
    /// file (.csv, .tsv, .txt, .log, .json, .jsonl, .ndjson, .gz, .zst, …) or if such a file exists;
    /// otherwise it is a topic. `file:NAME` and `topic:NAME` are explicit. JSON printed by `k consume`
    /// is read as the records inside it. Several files, named one by one or by a pattern such as
    /// 'calls-*.csv' (sorted by name), are read one after the other; they share their columns. .gz
    /// and .zst are unpacked [default: a pipe on stdin, else topic mono_signal]
    #[arg(long, value_name = "SOURCE", help_heading = STREAMS)]
    pub from: Vec<Endpoint>,

    /// Declare column types: 'caller string, n bigint' [default: inferred from use]
    #[arg(long, value_name = "COLUMNS", help_heading = STREAMS)]
    pub schema: Option<String>,

    /// The format of the records [default: found from the first ones]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = STREAMS)]
    pub input: Option<Notation>,

    #[command(flatten, next_help_heading = STREAMS)]
    pub dialect: DialectOptions,

    /// Skip and count malformed records instead of ending at the first.
    #[arg(long, help_heading = STREAMS)]
    pub skip_bad: bool,

    #[command(flatten)]
    pub range: RangeOptions,

    #[command(flatten)]
    pub broker: BrokerOptions,
}

impl Asked {
    pub fn ranked(&self) -> Ranked {
        Ranked {
            having: self.having.clone(),
            order_by: self.order_by.clone(),
            limit: self.limit,
        }
    }

    pub fn query(&self) -> Result<Query> {
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
            noted: Noted::Nothing,
        })
    }

    /// Returns where records come from: as named, else a pipe, else the workshop's own topic.
    pub fn source(&self) -> Result<OneInput> {
        match &self.from[..] {
            [] if stdin_is_input() => Ok(OneInput::Lines(vec![Piece::Stdin])),
            [] => Ok(OneInput::Topic(prefixed("mono_signal"))),
            named => endpoint::one_input(named),
        }
    }

    /// Returns what the flags say about the input.
    pub fn given(&self) -> Result<Given> {
        let declared = self.schema.as_deref().map(schema::parse_declaration);
        Ok(Given {
            declared: declared.transpose()?,
            notation: self.input,
            delimiter: self.dialect.delimiter,
            spelling: self.dialect.spelling(),
            grows: false,
        })
    }

    pub fn open(&self, query: &Query, context: &Context) -> Result<Option<Input>> {
        self.open_given(query, self.given()?, context)
    }

    /// Opens the source, and reads on as it grows.
    pub fn open_growing(&self, query: &Query, context: &Context) -> Result<Option<Input>> {
        let given = Given {
            grows: true,
            ..self.given()?
        };
        self.open_given(query, given, context)
    }

    fn open_given(&self, query: &Query, given: Given, context: &Context) -> Result<Option<Input>> {
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
}
