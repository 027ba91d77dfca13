//! `k ksql --replay`: the queries of a file over records in another one.

use std::path::PathBuf;

use super::{read, write};
use crate::cli::Context;
use crate::error::Result;
use crate::ksql::replay::Replay;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Replay")]
pub(super) struct ReplayOptions {
    /// Run the queries of --file over these records, a line of JSON each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "execute"])]
    replay: Option<PathBuf>,

    /// Write all that the queries write here, a line of JSON each; `-` for stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    capture: PathBuf,

    /// The topics there are, as JSON: `[{"name", "partitions"}]`; read and not needed
    #[arg(long, value_name = "FILE")]
    topics: Option<PathBuf>,

    /// Write what each stream and table is here, as JSON
    #[arg(long, value_name = "FILE")]
    describe: Option<PathBuf>,
}

impl ReplayOptions {
    /// Returns whether records are replayed.
    pub fn is_wanted(&self) -> bool {
        self.replay.is_some()
    }
}

pub(super) fn run(
    options: &ReplayOptions,
    statements: &str,
    settings: &[(String, String)],
    context: &Context,
) -> Result<()> {
    let mut replay = Replay::default();
    for (name, value) in settings {
        replay.session.settings.set(name, Some(value.clone()));
    }
    if let Some(topics) = &options.topics {
        read(topics)?;
    }
    if let Some(records) = &options.replay {
        replay.read_input(&read(records)?)?;
    }
    replay.execute(statements)?;
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
