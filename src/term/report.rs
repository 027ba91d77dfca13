//! The one door to the person: status, warning, hint and error, all on stderr.
//!
//! Results go to stdout through a sink, never through here. Lines stay readable while a
//! progress bar is drawn: the bars belong to the same [`Report`]. Names and values in them are
//! from outside: what would move the cursor is escaped here.

use std::ops::Range;

use console::{Style, Term};
use indicatif::{MultiProgress, ProgressDrawTarget};

use super::printable::printable_lines;
use crate::error::Error;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// `-q`: errors and warnings alone.
    Quiet,
    /// What was asked.
    #[default]
    Normal,
    /// `-v`: what is run, and what was inferred.
    Verbose,
}

/// Writes to stderr.
#[derive(Debug, Clone)]
pub struct Report {
    verbosity: Verbosity,
    color: bool,
    bars: MultiProgress,
}

impl Report {
    /// Returns a report for the process's stderr.
    pub fn new(verbosity: Verbosity, choice: ColorChoice) -> Self {
        let terminal = Term::stderr().is_term();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !no_color,
        };
        console::set_colors_enabled_stderr(color);
        console::set_colors_enabled(match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => Term::stdout().is_term() && !no_color,
        });
        let bars = MultiProgress::with_draw_target(if verbosity == Verbosity::Quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr() // hides itself where stderr is no terminal
        });
        Report {
            verbosity,
            color,
            bars,
        }
    }

    /// Returns the same report without what `-v` adds: for what is done again and again.
    pub(crate) fn without_details(&self) -> Self {
        Report {
            verbosity: self.verbosity.min(Verbosity::Normal),
            ..self.clone()
        }
    }

    /// Returns whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// Returns whether `-q` was given.
    pub(crate) fn is_quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Returns the bars' common home, which [`crate::term::progress`] draws in.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Says what happened; silent with `-q`.
    pub fn status(&self, line: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            self.plain(line.as_ref());
        }
    }

    /// Says what is run or inferred; only with `-v`.
    pub(crate) fn detail(&self, line: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Verbose {
            self.plain(line.as_ref());
        }
    }

    /// Says what the user should look at, though the run goes on; said with `-q`, too.
    pub(crate) fn warning(&self, line: impl AsRef<str>) {
        let label = self.paint("warning:", Style::new().yellow().bold());
        self.line(&format!("{label} {}", printable_lines(line.as_ref())));
    }

    /// Says where records went; the number of those that were `lost`, a word such as `expired`, is yellow.
    pub fn account(&self, line: impl AsRef<str>, lost: &str) {
        if self.verbosity < Verbosity::Normal {
            return;
        }
        let line = printable_lines(line.as_ref());
        self.line(&match number_of(&line, lost) {
            Some(part) => {
                let painted = self.paint(&line[part.clone()], Style::new().yellow());
                format!("{}{painted}{}", &line[..part.start], &line[part.end..])
            }
            None => line,
        });
    }

    /// Says what the user can do next; silent with `-q`.
    pub fn hint(&self, line: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            let label = self.paint("hint:", Style::new().cyan().bold());
            self.line(&format!("{label} {}", printable_lines(line.as_ref())));
        }
    }

    /// Prints what was asked for on stderr, such as statistics; with `-q`, too.
    pub(crate) fn result(&self, line: impl AsRef<str>) {
        self.plain(line.as_ref());
    }

    /// Says why the run ends.
    pub fn error(&self, error: &Error) {
        for line in error.lines() {
            let line = printable_lines(&line);
            let painted = match line.split_once(' ') {
                Some(("error:", rest)) => {
                    let label = self.paint("error:", Style::new().red().bold());
                    format!("{label} {rest}")
                }
                Some(("hint:", rest)) => {
                    let label = self.paint("hint:", Style::new().cyan().bold());
                    format!("{label} {rest}")
                }
                _ => line,
            };
            self.line(&painted);
        }
    }

    fn paint(&self, label: &str, style: Style) -> String {
        if self.color {
            style.force_styling(true).apply_to(label).to_string()
        } else {
            label.to_owned()
        }
    }

    fn plain(&self, text: &str) {
        self.line(&printable_lines(text));
    }

    /// A closed stderr must not end the run: no one is left to report to.
    fn line(&self, line: &str) {
        use std::io::Write;
        #[cfg(test)]
        if let Some(stand_in) = crate::clock::stand_in::current() {
            return stand_in.note(line);
        }
        self.bars
            .suspend(|| writeln!(std::io::stderr(), "{line}").unwrap_or(()));
    }
}

/// Returns where `3,056 expired` stands in a line, or `all expired`.
fn number_of(line: &str, outcome: &str) -> Option<Range<usize>> {
    let outcomes = line.match_indices(outcome).map(|(at, _)| at);
    outcomes.into_iter().find_map(|at| {
        let before = line[..at].strip_suffix(' ')?;
        let number = before.trim_end_matches(|digit: char| digit.is_ascii_digit() || digit == ',');
        let is_number = number.len() < before.len();
        let start = if is_number {
            number.len()
        } else {
            before.strip_suffix("all")?.len()
        };
        Some(start..at + outcome.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_lost_is_found() {
        for (line, part) in [
            (
                "6 records in: 2 on time, 3,056 expired → 3 rows",
                Some("3,056 expired"),
            ),
            ("6 records in, all expired → 0 rows", Some("all expired")),
            ("`--grace 3s` would have kept every expired record", None),
            ("6 records in, all on time → 3 rows", None),
        ] {
            let found = number_of(line, "expired").map(|range| &line[range]);
            assert_eq!(found, part, "{line}");
        }
    }
}
