//! `k ksql test`: the cases of files, and what differs.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::ksql::trial;

/// Run tests of statements: no broker, no server.
///
/// A `.txt` file holds cases: statements, the records that come in (`<`), and those that are written
/// (`>`), or what the refusal names (`!`). A `.sql` file holds tests in the form of ksqlDB's
/// run-ksql-test: `--@test: title`, then statements with INSERT INTO … VALUES and ASSERT VALUES. Of a
/// folder all such files are run. docs/ksql.md describes both.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k ksql test tests/ksql/cases
  k ksql test app.sql")]
pub(super) struct TestOptions {
    /// Files, and folders of them
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(options: &TestOptions) -> Result<()> {
    let (mut count, mut failed) = (0, 0);
    for path in &options.paths {
        for file in trial::files(path)? {
            let outcomes = trial::run(&file)?;
            count += outcomes.len();
            let mut text = String::new();
            for outcome in outcomes
                .iter()
                .filter(|outcome| !outcome.difference.is_empty())
            {
                failed += 1;
                let place = format!("{}:{}", file.display(), outcome.line);
                text.push_str(&format!("FAIL {place}: {}\n", outcome.title));
                for line in &outcome.difference {
                    text.push_str(&format!("  {line}\n"));
                }
            }
            if text.is_empty() {
                text = format!("ok   {}: {} case(s)\n", file.display(), outcomes.len());
            }
            crate::cli::print(text.as_bytes())?;
        }
    }
    if failed > 0 {
        return Err(Error::refused(format!("{failed} of {count} cases differ")));
    }
    crate::cli::print(format!("{count} cases pass\n").as_bytes())
}
