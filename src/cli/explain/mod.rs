//! `k explain`: the arguments of `k window`, and a question.

mod answer;
mod from_journal;
mod of_group;
mod replayed;
mod target;

use std::path::PathBuf;

use super::window::asked::Asked;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::explain::{Moment, Wanted};
use crate::look::advice::for_shell;
use target::Target;

/// Tell where a record went, and why a window shows what it does.
///
/// Takes the arguments of `k window` and repeats its work without writing anything; what it says is what
/// the engine has done.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, clap::Subcommand)]
enum Question {
    Record(Box<RecordOptions>),
    Window(Box<WindowOptions>),
    Silence(Box<SilenceOptions>),
}

/// Where answers come from beside a source, and how they are written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = ANSWER)]
struct How {
    /// Answer from the journal that `k window --journal FILE` has written, in place of windows and a source
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Show these columns of each record, or expressions over them [default: those of the keys, the
    /// time, `--where` and `--distinct`]
    #[arg(long, value_name = "COLUMN,…")]
    journal_columns: Option<String>,

    /// How answers are written [default: sentences]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Sentences for a person.
    Text,
    /// One object a line, for programs.
    Json,
}

/// The heading of what answers are.
const ANSWER: &str = "The answer";

/// Tell the life of a record: its time, the watermark then, its windows and their rows; or why it was
/// dropped, and the smallest flags that would have kept it.
#[derive(Debug, clap::Args)]
#[command(override_usage = "k explain record [OPTIONS] RECORD WINDOW [SOURCE]...
       RECORD: FILE:LINE | TOPIC:PARTITION:OFFSET | CONDITION | --where CONDITION
       WINDOW: as of `k window`, or --journal FILE")]
#[command(after_help = "Examples:
  k explain record data/mono_signal.csv:17 --tumbling 10s --grace 5s
  k explain record --where 'call_id = 4711' --tumbling 10s --from calls.csv
  k explain record mono_signal:2:1041 --session 30s --by caller
  k explain record 'call_id = 4711' --journal run.jsonl")]
struct RecordOptions {
    /// Where the record is: `calls.csv:17`, `mono_signal:2:1041`; or a condition that is true of it. With
    /// one of these `--where` is that of the windows, as in `k window`; else it chooses the record
    #[arg(value_name = "RECORD")]
    record: Option<String>,

    /// Tell of so many records at most for which the condition is true, the first ones
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    most: u32,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    asked: Asked,
}

/// Tell the story of a window: its records, each of its rows with the rule that fired it, or what the next
/// one waits for.
#[derive(Debug, clap::Args)]
#[command(override_usage = "k explain window [OPTIONS] TIME WINDOW [SOURCE]...
       WINDOW: as of `k window`, or --journal FILE, or --group GROUP")]
#[command(after_help = "Examples:
  k explain window 12:00:10 --tumbling 10s --from calls.csv
  k explain window 12:00:10 --key C17 --session 30s --by caller
  k explain window 12:00:10 --group calls
  k explain window 2026-01-01T12:00:10Z --journal run.jsonl --format json")]
struct WindowOptions {
    /// The windows that begin at this event time, or else those that hold it: `12:00:10` on the first day
    /// of the stream, or with its date
    #[arg(value_name = "TIME", value_parser = Moment::parse)]
    at: Moment,

    /// Tell of the windows of this key alone: its grouping values, with commas between
    #[arg(long, value_name = "VALUE,…")]
    key: Option<String>,

    /// Name so many records and rows of a window at most, the first and the last ones
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    most: u32,

    #[command(flatten)]
    how: How,

    #[command(flatten)]
    asked: Asked,
}

/// Tell why no row comes: what the next one waits for, and how far each partition is.
#[derive(Debug, clap::Args)]
#[command(override_usage = "k explain silence [OPTIONS] [WINDOW] [SOURCE]...
       WINDOW: as of `k window`, or --group GROUP")]
#[command(after_help = "Examples:
  k explain silence
  k explain silence --tumbling 10s --from calls
  k explain silence --group calls")]
struct SilenceOptions {
    #[command(flatten)]
    how: How,

    #[command(flatten)]
    asked: Asked,
}

/// Lets the questions do without what `k window` has to have.
pub(super) fn relax(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|question| match question.get_name() {
        "record" | "window" | "silence" => {
            question.mut_group("window", |windows| windows.required(false))
        }
        _ => question,
    })
}

/// The flags of `k window` that say where its rows go, which a question does not have; each has a value.
const WRITES: [&str; 9] = [
    "--to",
    "--format",
    "--bad-to",
    "--late-to",
    "--journal",
    "--journal-columns",
    "--stats",
    "--stats-to",
    "--threads",
];

/// Returns the question of silence with the arguments of a `k window` that was typed.
pub(super) fn silence_as_typed(typed: impl Iterator<Item = String>) -> String {
    let mut words = vec!["k explain silence".to_owned()];
    let mut typed = typed.skip(1);
    words.extend(typed.by_ref().take_while(|word| word != "window"));
    while let Some(word) = typed.next() {
        let flag = word.split_once('=').map_or(word.as_str(), |(flag, _)| flag);
        if !WRITES.contains(&flag) {
            words.push(for_shell(&word));
        } else if flag == word {
            typed.next(); // its value
        }
    }
    words.join(" ")
}

pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    match options.question {
        Question::Record(options) => record(*options, context),
        Question::Window(options) => window(*options, context),
        Question::Silence(options) => silence(*options, context),
    }
}

fn record(options: RecordOptions, context: &Context) -> Result<()> {
    let RecordOptions {
        record,
        most,
        how,
        mut asked,
    } = options;
    asked.from.append(&mut asked.named);
    let target = target::take(record.as_deref(), &mut asked.filter, &mut asked.from)?;
    let most = match target {
        Target::Where(_) => most as usize,
        Target::Line(..) | Target::Offset(..) => 1,
    };
    let answered = match &how.journal {
        Some(journal) => from_journal::lives(journal, &target, most)?,
        None => {
            need_windows(&asked)?;
            replayed::lives(&asked, &how, &target, most, context)?
        }
    };
    answer::lives(&answered, how.is_json())
}

fn window(options: WindowOptions, context: &Context) -> Result<()> {
    let WindowOptions {
        at,
        key,
        most,
        how,
        mut asked,
    } = options;
    asked.from.append(&mut asked.named);
    let wanted = Wanted {
        key: key.map(|key| key.split(',').map(str::to_owned).collect()),
        most: most as usize,
    };
    if let Some(group) = asked.range.group().filter(|_| how.journal.is_none()) {
        let mut group = of_group::Group::look(group, &asked, context)?;
        let at = group.moment(at);
        let tasks = group.tasks(Some((at, &wanted)));
        let answer = group.answer(tasks, true, how.is_json())?;
        return crate::cli::print(answer.as_bytes());
    }
    let answered = match &how.journal {
        Some(journal) => from_journal::stories(journal, at, wanted)?,
        None => {
            need_windows(&asked)?;
            replayed::stories(&asked, &how, at, wanted, context)?
        }
    };
    answer::stories(&answered, how.is_json())
}

fn silence(options: SilenceOptions, context: &Context) -> Result<()> {
    let SilenceOptions { how, mut asked } = options;
    asked.from.append(&mut asked.named);
    if how.journal.is_some() {
        return Err(Error::usage(
            "a journal is of a run that has been; silence is a question about one to come",
        )
        .hint("name what is read: `k explain silence --from TOPIC`"));
    }
    if let Some(group) = asked.range.group() {
        let mut group = of_group::Group::look(group, &asked, context)?;
        let tasks = group.tasks(None);
        let answer = group.answer(tasks, false, how.is_json())?;
        return crate::cli::print(answer.as_bytes());
    }
    let standing = replayed::standing(&asked, &how, context)?;
    answer::standing(&standing, asked.when.idle, how.is_json())
}

/// Refuses a question without windows.
fn need_windows(asked: &Asked) -> Result<()> {
    if asked.windows.is_given() {
        return Ok(());
    }
    Err(
        Error::usage("which windows? Say it as to `k window`: `--tumbling 10s`")
            .hint("or name the journal of a run: `--journal FILE`"),
    )
}

impl How {
    /// Returns whether answers are JSON.
    fn is_json(&self) -> bool {
        self.format == Some(Format::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_more_has_the_arguments_as_they_were_typed() {
        let typed = [
            "k",
            "-v",
            "window",
            "--where",
            "a = 'x'",
            "--to",
            "out.csv",
            "--format=json",
            "--tumbling",
            "10s",
        ];
        assert_eq!(
            silence_as_typed(typed.into_iter().map(str::to_owned)),
            "k explain silence -v --where \"a = 'x'\" --tumbling 10s"
        );
    }
}
