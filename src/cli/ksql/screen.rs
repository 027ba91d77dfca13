//! Where answers are shown: stdout, and the file of SPOOL.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use super::rows::{Output, Stream};
use crate::error::{Error, Result};
use crate::ksql::answer::Answer;
use crate::term::entries::paragraph;
use crate::term::grid;
use crate::term::report::Report;

/// Shows answers.
pub(super) struct Screen {
    output: Output,
    report: Report,
    /// The query whose rows come.
    stream: Option<Stream>,
    spool: Option<(String, File)>,
    /// How long a query may take.
    pub timeout: Option<Duration>,
}

impl Screen {
    /// Returns the screen that writes rows in a form.
    pub fn new(output: Output, report: &Report) -> Self {
        Screen {
            output,
            report: report.clone(),
            stream: None,
            spool: None,
            timeout: None,
        }
    }

    /// Shows an answer.
    ///
    /// # Errors
    /// Of writing it.
    pub fn show(&mut self, answer: &Answer) -> Result<()> {
        let (text, hint) = match answer {
            Answer::Said(said) if said.is_empty() => return Ok(()),
            Answer::Said(said) => (format!("{said}\n"), None),
            Answer::Lines(lines) => {
                let room = grid::room().filter(|_| self.output == Output::Table);
                (shown(lines, room), None)
            }
            Answer::Table { columns, rows } => self.output.text(columns, rows)?,
            Answer::Rows {
                columns,
                rows,
                is_first,
            } => {
                if *is_first {
                    self.stream = None;
                }
                let stream = self
                    .stream
                    .get_or_insert_with(|| Stream::new(self.output, columns, rows));
                stream.next(columns, rows, *is_first)?
            }
        };
        self.copy(&text)?;
        crate::cli::print(text.as_bytes())?;
        hint.into_iter().for_each(|hint| self.report.hint(hint));
        Ok(())
    }

    /// Carries out SPOOL 'file' and SPOOL OFF; returns whether a statement is one of them.
    ///
    /// # Errors
    /// Of a file that cannot be made; `usage` for what SPOOL does not take.
    pub fn spool(&mut self, statement: &str) -> Result<bool> {
        let mut words = statement.split_whitespace();
        if !words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("SPOOL"))
        {
            return Ok(false);
        }
        let rest = words.collect::<Vec<_>>().join(" ");
        let name = rest
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''));
        match name {
            Some(name) if !name.is_empty() => {
                let file = File::create(name)
                    .map_err(|source| Error::io(format!("write `{name}`"), source))?;
                self.spool = Some((name.to_owned(), file));
                crate::cli::print(format!("What is shown goes to `{name}`, too\n").as_bytes())?;
            }
            None if rest.eq_ignore_ascii_case("OFF") => {
                if let Some((name, _)) = self.spool.take() {
                    crate::cli::print(format!("`{name}` is written\n").as_bytes())?;
                }
            }
            _ => return Err(Error::usage("write SPOOL 'file'; or SPOOL OFF;")),
        }
        Ok(true)
    }

    /// Copies what was typed to the file of SPOOL.
    ///
    /// # Errors
    /// Of writing it.
    pub fn note_typed(&mut self, text: &str) -> Result<()> {
        self.copy(&format!("ksql> {text}\n"))
    }

    fn copy(&mut self, text: &str) -> Result<()> {
        let Some((name, file)) = &mut self.spool else {
            return Ok(());
        };
        file.write_all(text.as_bytes())
            .map_err(|source| Error::io(format!("write `{name}`"), source))
    }
}

/// Returns lines, each ended; one that has no room goes on below itself, but for what is copied: a command
/// and a record.
fn shown(lines: &[String], room: Option<usize>) -> String {
    /// How much further to the right it goes on.
    const STEP: usize = 4;
    let line = |line: &String| {
        let text = line.trim_start_matches(' ');
        let is_copied = ["k ", "rowtime: "]
            .iter()
            .any(|start| text.starts_with(start));
        let blank = line.len() - text.len();
        let text = paragraph(text, blank + STEP, room.filter(|_| !is_copied));
        format!("{}{text}\n", " ".repeat(blank))
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_below_itself_unless_it_is_to_be_copied() {
        let sentence = "  keep rows where the duration is above a hundred seconds";
        let command = "  k window --from mono_signal --tumbling 10s --by disposition";
        let lines = [sentence, command, ""].map(str::to_owned);
        assert_eq!(
            shown(&lines, Some(40)),
            format!(
                "  keep rows where the duration is\n      above a hundred seconds\n{command}\n\n"
            )
        );
        assert_eq!(shown(&lines, None), format!("{sentence}\n{command}\n\n"));
    }
}
