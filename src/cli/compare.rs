//! `k compare`: compares two results and says why they differ.

use super::broker::BrokerOptions;
use super::dialect::{SpellingOptions, parse_delimiter};
use super::endpoint::Endpoint;
use super::listing::{Format, Kind, Listing, text};
use super::result;
use crate::column::Value;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::node::input::Given;
use crate::term::units;
use crate::verify::compare::{Comparison, compare};
use crate::verify::table::{ResultTable, Span, key_text};

/// Compare two results: which windows differ, and why.
///
/// A and B are results of `k window`: a file, a topic, `-` for stdin, or the output of a command,
/// `<(…)` in bash and zsh. Rows are paired by window and key. Of several rows for one window the
/// last one counts; `-` in the column `change` takes a row back. Column names are compared ignoring
/// case, so that a topic of ksqlDB fits. Exit status 0: the same up to rounding; 1: different.
///
/// Causes: `missing` from B; `extra` in B; `fewer`: late records dropped, or records lost; `more`:
/// duplicates counted; `shifted`: windows start elsewhere; `bounds`: windows have another length;
/// `edge`: the first or last window is partial; `key`: the same values under another key;
/// `rounding`; `value`: other values from the same number of records.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k compare exact.csv calls_10s
  k compare <(k window --tumbling 10s --from a.csv) <(k window --tumbling 10s --from b.csv)")]
pub(super) struct Options {
    /// The reference.
    #[arg(value_name = "A")]
    a: Endpoint,

    /// The result to compare with it.
    #[arg(value_name = "B")]
    b: Endpoint,

    /// The key columns, separated by commas [default: the columns of text]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    by: Option<Vec<String>>,

    /// The format of the output [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// The character between the fields of CSV, as for `k window`.
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    delimiter: Option<u8>,

    #[command(flatten)]
    spelling: SpellingOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    if [&options.a, &options.b] == [&Endpoint::Pipe; 2] {
        return Err(Error::usage(
            "only one side can be `-`: there is only one stdin",
        ));
    }
    let given = Given {
        delimiter: options.delimiter,
        spelling: options.spelling.spelling(),
        ..Given::default()
    };
    let read = |from| {
        result::read(
            from,
            options.by.as_deref(),
            &given,
            &options.broker,
            context,
        )
    };
    let (a, b) = (read(&options.a)?, read(&options.b)?);
    let comparison = compare(&a, &b)?;
    if !comparison.differences.is_empty() {
        print(&comparison, options.format, context)?;
    }
    tell(&comparison, [&a, &b], context);
    if comparison.is_same() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "`{}` and `{}` differ in {} of {}",
        options.a,
        options.b,
        units::format_count(comparison.differences.len() as u64),
        windows(comparison.same + comparison.differences.len() as u64),
    )))
}

fn print(comparison: &Comparison, format: Option<Format>, context: &Context) -> Result<()> {
    let mut listing = Listing::new(&[
        ("window_start", Kind::Time),
        ("window_end", Kind::Time),
        ("key", Kind::Text),
        ("measure", Kind::Text),
        ("a", Kind::Number),
        ("b", Kind::Number),
        ("cause", Kind::Text),
    ]);
    for difference in &comparison.differences {
        let span = difference.cell.span;
        let bound = |at: i64| match span {
            Span::ALL_TIME => Value::Null,
            _ => Value::Integer(at.into()),
        };
        listing.row([
            bound(span.start),
            bound(span.end),
            text(key_text(&difference.cell.key)),
            text(difference.measure.as_str()),
            difference.a.clone().unwrap_or(Value::Null),
            difference.b.clone().unwrap_or(Value::Null),
            text(difference.cause.name()),
        ]);
    }
    listing.print_fitting(format, &["window_end"], &context.report)
}

/// Reports how many rows are the same, and how often each cause was found.
fn tell(comparison: &Comparison, [a, b]: [&ResultTable; 2], context: &Context) {
    context.report.status(format!(
        "A has {}, B has {}: {} the same, {} not",
        windows(a.rows.len() as u64),
        windows(b.rows.len() as u64),
        units::format_count(comparison.same),
        units::format_count(comparison.differences.len() as u64),
    ));
    for (example, count) in comparison.causes() {
        context.report.status(format!(
            "{} × {}: B's window {}",
            units::format_count(count),
            example.cause.name(),
            example.cause
        ));
    }
}

fn windows(count: u64) -> String {
    format!("{} × key", units::format_plural(count, "window"))
}
