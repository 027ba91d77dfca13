//! `k chart`: a result as bars or lines.

use super::broker::BrokerOptions;
use super::dialect::DialectOptions;
use super::endpoint::{Endpoint, expand, stdin_is_input};
use super::picture::{PICTURE, PictureOptions};
use super::result;
use crate::chart::{self, What};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::node::input::{Given, Notation};
use crate::verify::table::number;

/// Draw a result: bars of windows or keys, a line a key.
///
/// A result has a column of numbers and, if it is of `k window`, `window_start` and `window_end`. Windows of one
/// key are bars in the order of time, windows of several keys a line a key, and rows without windows a
/// bar a key, the highest first. What does not fit is left out, and the heading says how much.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k chart counts.csv
  k chart counts.csv --value sum_duration --out sums.svg
  k window --tumbling 10s --by disposition --format json data/mono_signal.csv | k chart -")]
pub(super) struct Options {
    /// A file, a topic, or `-` for stdin, in CSV or JSON lines [default: a pipe on stdin]
    #[arg(value_name = "RESULT")]
    from: Option<Endpoint>,

    /// Draw this column [default: the first that holds numbers]
    #[arg(long, value_name = "COLUMN", help_heading = PICTURE)]
    value: Option<String>,

    /// Take these columns as keys [default: those that hold text]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', help_heading = PICTURE)]
    key: Option<Vec<String>>,

    #[command(flatten)]
    picture: PictureOptions,

    /// How rows are written, where the first ones do not say
    #[arg(long, value_enum, value_name = "FORMAT")]
    input: Option<Notation>,

    #[command(flatten)]
    dialect: DialectOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let from = match &options.from {
        Some(from) => from.clone(),
        None if stdin_is_input() => Endpoint::Pipe,
        None => {
            return Err(Error::usage("no result is named")
                .hint("name a file or a topic, or pipe rows in: `k window … | k chart`"));
        }
    };
    options.picture.refuse_collisions(&expand([&from])?)?;
    let given = Given {
        declared: None,
        notation: options.input,
        delimiter: options.dialect.delimiter,
        spelling: options.dialect.spelling(),
        grows: false,
    };
    let key = options.key.as_deref();
    let table = result::read(&from, key, &given, &options.broker, context)?;
    let measure = match &options.value {
        Some(name) => table.measure(name).ok_or_else(|| {
            Error::usage(format!("there is no column `{name}` of numbers"))
                .hint(format!("there are {}", table.measures.join(", ")))
        })?,
        None => {
            let has_numbers = |nth: &usize| {
                let mut rows = table.rows.values();
                rows.any(|row| row.values.get(*nth).and_then(number).is_some())
            };
            (0..table.measures.len()).find(has_numbers).unwrap_or(0)
        }
    };
    if options.value.is_none() && !table.is_of_windows() && !table.has_aggregates() {
        context.report.hint(format!(
            "{from} may hold records and not a result, which has `window_start` or a column like `count`: try `k window --tumbling 10s --from {from} | k chart`",
        ));
        context
            .report
            .hint("`--value` and `--key` say which columns are drawn");
    }
    let title = match &from {
        Endpoint::Pipe => "stdin".to_owned(),
        from => from.to_string(),
    };
    let what = What {
        title: &title,
        measure,
        adds_up: false,
    };
    let scene = chart::draw(&table, what, options.picture.medium(2));
    options.picture.show(&scene, context)
}
