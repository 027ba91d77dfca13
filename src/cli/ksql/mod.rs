//! `k ksql`: ksqlDB's language without a server.

use std::path::{Path, PathBuf};

use super::Context;
use crate::error::{Error, Result};
use crate::ksql::replay::Replay;

/// Run statements in ksqlDB's language, without a server.
///
/// `--replay` runs the statements of a file over records in another one, deterministically: one
/// partition, event time alone, every change written. A record is a line of JSON:
/// `{"topic", "key", "value", "timestamp", "window"?, "headers"?}`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k ksql --file app.sql --replay calls.jsonl --capture out.jsonl
  k ksql --file app.sql --replay calls.jsonl --capture - --set ksql.output.topic.name.prefix=x-")]
pub(super) struct Options {
    /// The statements
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// Run the queries over these records, a line of JSON each
    #[arg(long, value_name = "FILE")]
    replay: PathBuf,

    /// Write all that the queries write here, a line of JSON each; `-` for stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    capture: PathBuf,

    /// The topics there are, as JSON: `[{"name", "partitions"}]`
    #[arg(long, value_name = "FILE")]
    topics: Option<PathBuf>,

    /// Set a ksqlDB property
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,

    /// Write what each stream and table is here, as JSON
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let mut replay = Replay::default();
    for (name, value) in &options.set {
        replay.session.settings.set(name, Some(value.clone()));
    }
    if let Some(topics) = &options.topics {
        read(topics)?;
    }
    replay.read_input(&read(&options.replay)?)?;
    replay.execute(&read(&options.file)?)?;
    if let Some(path) = &options.describe {
        write(path, &format!("{}\n", replay.described()))?;
    }
    let ran = replay.run();
    let lines: String = replay
        .output
        .iter()
        .map(|record| record.line() + "\n")
        .collect();
    write(&options.capture, &lines)?;
    if let (count @ 1.., Some(first)) = &replay.unread {
        context.report.warning(format!(
            "{count} records could not be read and were left out; the first: {first}"
        ));
    }
    ran
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|source| Error::io(format!("read `{}`", path.display()), source))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if path == Path::new("-") {
        return super::print(text.as_bytes());
    }
    std::fs::write(path, text)
        .map_err(|source| Error::io(format!("write `{}`", path.display()), source))
}
