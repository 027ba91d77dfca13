//! How `k window` and `k join` write their rows, and their account.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::endpoint::Endpoint;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::outlet::replace;
use crate::term::grid::Times;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    Csv,
    Json,
}

/// How times are written.
#[derive(Debug, clap::Args)]
pub(super) struct TimesOption {
    /// Write times in ISO 8601, or as ms since 1970, UTC [default: iso in a table, else ms]
    #[arg(long, value_enum, value_name = "HOW")]
    times: Option<Times>,
}

impl TimesOption {
    /// Returns how times are written in a table, or in other lines.
    pub fn within(&self, is_table: bool) -> Times {
        let usual = if is_table { Times::Iso } else { Times::Ms };
        self.times.unwrap_or(usual)
    }

    /// Returns how times are written, if that was said.
    pub fn given(&self) -> Option<Times> {
        self.times
    }

    /// Refuses the flag where rows go to a topic.
    pub fn refuse_for(&self, to: &Endpoint) -> Result<()> {
        match (self.times, to) {
            (Some(_), Endpoint::Topic(_)) => Err(Error::usage(format!(
                "`--times` is for files and stdout; times in {to} are ms since 1970"
            ))),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stats {
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatsOptions {
    /// Print the account as one line of JSON at the end of stderr.
    #[arg(long, value_enum, value_name = "FORMAT")]
    stats: Option<Stats>,

    /// Write the account as one line of JSON to a file; with `--group`, append it.
    #[arg(long, value_name = "FILE")]
    stats_to: Option<PathBuf>,
}

impl StatsOptions {
    /// Returns the file that the account goes to.
    pub fn file(&self) -> Option<Endpoint> {
        self.stats_to.clone().map(Endpoint::File)
    }

    /// Writes the account to the named file; that of a group is appended to those of other processes
    /// and runs.
    pub fn write(&self, stats: &str, of_group: bool) -> Result<()> {
        let Some(path) = &self.stats_to else {
            return Ok(());
        };
        let line = format!("{stats}\n");
        let written = if of_group {
            let file = File::options().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
        } else {
            replace(path, &line)
        };
        written.map_err(|source| Error::io(format!("write `{}`", path.display()), source))
    }

    /// Prints the account at the end of stderr, if `--stats` asks for it.
    pub fn tell(&self, stats: &str, context: &Context) {
        if self.stats.is_some() {
            context.report.result(stats);
        }
    }
}

/// Returns whether a file's name says that it holds JSON.
pub(super) fn is_json(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let json = ["json", "jsonl", "ndjson"];
    ending.is_some_and(|ending| json.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}
