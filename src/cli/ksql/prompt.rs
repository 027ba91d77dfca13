//! The prompt: statements over several lines, with history and completion.

use std::io::ErrorKind;
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Editor, Helper};
use signal_hook::consts::SIGTERM;

use super::Context;
use super::runner::Runner;
use super::screen::Screen;
use crate::error::{Error, Remedy, Result};
use crate::ksql::lexer;
use crate::ksql::parser::WORDS;
use crate::stack::state;

/// How many statements are kept.
const MAX_HISTORY: usize = 1_000;

/// What the editor knows of the language.
struct Words {
    /// The names of streams, tables and their columns.
    names: Vec<String>,
}

impl Helper for Words {}
impl Highlighter for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Completer for Words {
    type Candidate = String;

    /// Completes the word before the cursor: a name as it is known, a keyword as it was begun.
    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..at];
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = before
            .char_indices()
            .rev()
            .find(|(_, c)| !is_of_word(*c))
            .map_or(0, |(at, c)| at + c.len_utf8());
        Ok((start, self.completions(&before[start..])))
    }
}

impl Words {
    fn completions(&self, begun: &str) -> Vec<String> {
        if begun.is_empty() {
            return Vec::new();
        }
        let is_lower = begun.chars().any(char::is_lowercase);
        let upper = begun.to_uppercase();
        let all = self
            .names
            .iter()
            .map(String::as_str)
            .chain(WORDS.iter().copied());
        let fitting = all.filter(|word| word.to_uppercase().starts_with(&upper));
        let mut found: Vec<String> = fitting
            .map(|word| match is_lower {
                // Names fold to upper case: either spelling means the same.
                true => word.to_lowercase(),
                false => word.to_owned(),
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

impl Validator for Words {
    /// A statement goes on until its semicolon.
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let is_complete = text.trim().is_empty() || own(text).is_some() || lexer::is_complete(text);
        Ok(match is_complete {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

/// What the prompt itself answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Own {
    Exit,
    Help,
}

/// Returns what is meant if a line is not a statement; a semicolon may stand behind it.
pub(super) fn own(text: &str) -> Option<Own> {
    match text
        .trim()
        .trim_end_matches(';')
        .trim_end()
        .to_lowercase()
        .as_str()
    {
        "exit" | "quit" => Some(Own::Exit),
        "help" => Some(Own::Help),
        _ => None,
    }
}

/// Reads statements from the terminal until `exit` or its end. One that is refused ends nothing, and
/// Ctrl-C ends a query, or empties the line.
pub(super) fn run(runner: &mut Runner, screen: &mut Screen, context: &Context) -> Result<()> {
    let failed =
        |error: ReadlineError| Error::refused(format!("cannot read the terminal: {error}"));
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(MAX_HISTORY)
        .map_err(failed)?
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(failed)?;
    let history = history();
    if let Some(file) = &history
        && let Err(error) = editor.load_history(file)
        && !is_missing(&error)
    {
        context
            .report
            .warning(format!("cannot read `{}`: {error}", file.display()));
    }
    crate::cli::print(b"`help` says what there is, `exit` leaves.\n")?;
    let ended = loop {
        let names = runner.names();
        editor.set_helper(Some(Words { names }));
        let text = match editor.readline("ksql> ") {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break Ok(()),
            Err(error) => return Err(failed(error)),
        };
        match own(&text) {
            Some(Own::Exit) => break Ok(()),
            Some(Own::Help) => {
                help()?;
                continue;
            }
            None => screen.note_typed(&text)?,
        }
        let ran = super::run_all(runner, &text, screen, context);
        // Ctrl-C has ended a query, not the prompt.
        if context.interrupt.take() == SIGTERM {
            break Err(Error::stopped(SIGTERM));
        }
        if let Err(error) = ran
            && !matches!(error.remedy(), Remedy::Stopped(_))
        {
            context.report.error(&error);
        }
    };
    // A history that cannot be kept is no reason to fail what was typed.
    if let Some(file) = &history {
        let kept = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = kept
            .map_err(ReadlineError::from)
            .and_then(|()| editor.save_history(file))
        {
            context
                .report
                .warning(format!("cannot write `{}`: {error}", file.display()));
        }
    }
    ended
}

/// Prints what there is.
pub(super) fn help() -> Result<()> {
    crate::cli::print(HELP.as_bytes())
}

fn history() -> Option<PathBuf> {
    state::folder().map(|folder| folder.join("ksql-history"))
}

fn is_missing(error: &ReadlineError) -> bool {
    matches!(error, ReadlineError::Io(error) if error.kind() == ErrorKind::NotFound)
}

const HELP: &str = "\
SELECT … FROM … [EMIT CHANGES] [LIMIT n];      rows, once or as they come; Ctrl-C ends them
CREATE STREAM|TABLE name (…) WITH (…);         what a topic holds
CREATE STREAM|TABLE name AS SELECT …;          a query whose rows go to a topic
INSERT INTO name SELECT …;  INSERT INTO name VALUES (…);
SHOW STREAMS|TABLES|TOPICS|QUERIES|FUNCTIONS;  DESCRIBE name;  DESCRIBE FUNCTION name;
EXPLAIN SELECT …;  PRINT topic;  DROP STREAM|TABLE name;
TERMINATE|PAUSE|RESUME id;  ASSERT VALUES name (…) VALUES (…);
SET 'property' = 'value';  UNSET 'property';  DEFINE name = 'value';  UNDEFINE name;
RUN SCRIPT 'file';  SPOOL 'file' copies what is shown to a file;  SPOOL OFF;
exit
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keywords_are_completed_in_the_case_that_was_begun() {
        let words = Words {
            names: vec!["CALLS".to_owned(), "CALLER".to_owned()],
        };
        assert_eq!(words.completions("cal"), ["caller", "calls"]);
        assert_eq!(words.completions("SELE"), ["SELECT"]);
        assert!(words.completions("").is_empty());
    }

    #[test]
    fn the_prompt_has_words_of_its_own() {
        assert_eq!(own(" EXIT; "), Some(Own::Exit));
        assert_eq!(own("help"), Some(Own::Help));
        assert_eq!(own("SHOW STREAMS"), None);
    }
}
