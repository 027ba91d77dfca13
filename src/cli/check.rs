//! `k check`: compares a student's answer with the truth of gen.json.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::broker::BrokerOptions;
use super::endpoint::{Endpoint, stdin_is_input};
use super::listing::{Format, Kind, Listing, number, text};
use super::result;
use crate::cdr::Recipe;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::node::input::Given;
use crate::term::units;
use crate::verify::exercises::{self, EXERCISES, Exercise};
use crate::verify::grade::{Mistake, Verdict, grade, records};
use crate::verify::truth::World;

/// Grade an answer to an exercise of NOTES.md, and name the mistake.
///
/// The answer is a result of `k window`, in CSV or JSON lines. The truth is computed from the
/// recipe that `k gen` writes beside its data, so everyone can have data of their own. Without N,
/// lists the exercises. Exit status 0: right; 1: wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k window --tumbling 10s --from data/mono_signal.csv | k check 2
  k check 2 answer.csv
  k check 14 calls_10s")]
pub(super) struct Options {
    /// The number of the exercise.
    #[arg(value_name = "N", value_parser = parse_number)]
    number: Option<u32>,

    /// The answer: a file, a topic, or `-` for stdin [default: stdin]
    #[arg(value_name = "SOURCE")]
    answer: Option<Endpoint>,

    /// The recipe of the data, as written by `k gen`.
    #[arg(long, value_name = "FILE", default_value = "data/gen.json")]
    truth: PathBuf,

    /// The format of the list of exercises [default: a table on a terminal, csv in a pipe]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

/// The part of gen.json that is read.
#[derive(serde::Deserialize)]
struct RecipeText {
    #[serde(flatten)]
    recipe: Recipe,
    /// Whether `k gen` ran to its end.
    complete: Option<bool>,
}

fn parse_number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "the number of the exercise comes first: `k check 2 answer.csv`".to_owned())
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let Some(wanted) = options.number else {
        return list(options.format, context);
    };
    let exercise = exercises::find(wanted).ok_or_else(|| {
        Error::usage(format!("there is no exercise {wanted}"))
            .hint("`k check` without arguments lists the exercises")
    })?;
    let answer = match &options.answer {
        Some(answer) => answer,
        None if stdin_is_input() => &Endpoint::Pipe,
        None => {
            return Err(
                Error::usage("no answer: name a file or a topic, or pipe it in")
                    .hint(format!("`k window … | k check {wanted}`")),
            );
        }
    };
    let text = read_recipe(&options.truth, exercise)?;
    let world = World::new(&text.recipe)?;
    let answer = result::read(answer, None, &Given::default(), &options.broker, context)?;
    match grade(exercise, &world, &answer)? {
        Verdict::Right(rows) => {
            let records = records(&answer)
                .map(units::format_count)
                .unwrap_or_default();
            let rows = units::format_plural(rows, "row");
            print(&format!(
                "exercise {wanted} is right: {rows}, count {records} in all\n"
            ))
        }
        Verdict::Wrong(mistake) => {
            if text.complete == Some(false) {
                context.report.warning(format!(
                    "`{}` says that `k gen` was stopped early: the truth is that of the full run",
                    options.truth.display()
                ));
            }
            Err(error_of(exercise, mistake))
        }
    }
}

/// Returns an error with what differs, why, and what to do.
fn error_of(exercise: &Exercise, mistake: Mistake) -> Error {
    let mut lines = vec![format!("exercise {} is not right yet", exercise.number)];
    lines.push(format!("  asked: {}", exercise.asked));
    lines.extend(mistake.differs.into_iter().map(|line| format!("  {line}")));
    let sure = if mistake.certain {
        "cause"
    } else {
        "likely cause"
    };
    lines.push(format!("  {sure}: {}", mistake.cause));
    Error::refused(lines.join("\n")).hint(mistake.remedy)
}

fn print(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|source| Error::io("write", source))
}

fn read_recipe(path: &Path, exercise: &Exercise) -> Result<RecipeText> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|source| {
        Error::io(format!("read the truth `{shown}`"), source)
            .hint("`k gen` writes it beside its data; name another one with `--truth`")
    })?;
    let text: RecipeText = serde_json::from_slice(&text).map_err(|source| {
        Error::data(format!("`{shown}` is not a recipe of `k gen`: {source}")).caused_by(source)
    })?;
    match exercise.data.missing(&text.recipe) {
        None => Ok(text),
        Some(flag) => Err(Error::refused(format!(
            "the data described by `{shown}` are not the data of exercise {}",
            exercise.number
        ))
        .hint(format!(
            "make it with `k gen … {flag}`, as the exercise says"
        ))),
    }
}

fn list(format: Option<Format>, context: &Context) -> Result<()> {
    let mut listing = Listing::new(&[
        ("exercise", Kind::Number),
        ("title", Kind::Text),
        ("asked", Kind::Text),
    ]);
    for exercise in EXERCISES {
        listing.row([
            number(exercise.number),
            text(exercise.title),
            text(exercise.asked),
        ]);
    }
    listing.sentences().print(format, &context.report)
}
