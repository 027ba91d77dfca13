//! `k ksql test`: statements with inputs and expected outputs, and what differs.
//!
//! A `.txt` file holds cases ([`mod@text`]): statements, the records that come in, those that are
//! written. A `.sql` file holds tests in the form of ksqlDB's own tool ([`mod@script`]): statements
//! with INSERT and ASSERT.

mod script;
mod text;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A case that was run.
#[derive(Debug)]
pub struct Outcome {
    /// What it shows.
    pub title: String,
    /// The line of its file on which it begins, from 1.
    pub line: usize,
    /// What differs, a line each; none if it passes.
    pub difference: Vec<String>,
}

/// Returns the files of cases that a path means: itself, or those below a folder, by name.
///
/// # Errors
/// Of reading the folder; `usage` if there is none.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(path, &mut found)?;
    found.sort();
    if found.is_empty() {
        let message = format!("no .txt or .sql file in `{}`", path.display());
        return Err(Error::usage(message));
    }
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let failed = |source| Error::io(format!("read `{}`", path.display()), source);
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        let is_case = entry
            .extension()
            .is_some_and(|ending| ending == "txt" || ending == "sql");
        if entry.is_dir() || is_case {
            collect(&entry, found)?;
        }
    }
    Ok(())
}

/// Runs the cases of a file.
///
/// # Errors
/// Of reading it, and of a line that is none of a case.
pub fn run(file: &Path) -> Result<Vec<Outcome>> {
    let content = std::fs::read_to_string(file)
        .map_err(|source| Error::io(format!("read `{}`", file.display()), source))?;
    let is_script = file.extension().is_some_and(|ending| ending == "sql");
    let outcomes = match is_script {
        true => Ok(script::run(&content, file)),
        false => text::run(&content),
    };
    outcomes.map_err(|reason| Error::data(format!("{}: {reason}", file.display())))
}
