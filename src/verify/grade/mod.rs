//! Grades an answer to an exercise: right, or which mistake makes exactly this of the data.
//!
//! In: the [`World`] of gen.json, an [`Exercise`] and the answer. Out: a [`Verdict`]. A mistake is
//! not guessed where it can be made: the question is computed again with it (late records dropped,
//! the other time column, one partition, …), and what equals the answer is its cause. Most mistakes
//! are ruled out by a few keys alone, so that a million calls are graded in seconds. Only what no
//! single mistake explains is described by its differences.

use std::collections::HashSet;

use super::compare::{Cause, Comparison, compare, describe};
use super::exercises::Exercise;
use super::foreign::Foreign;
use super::mistakes::{LATE_REMEDY, mistakes};
use super::seen::seen_in_rows;
use super::table::{Cell, Key, ResultTable, number};
use super::truth::{By, Question, Sample, Time, Windows, World};
use crate::column::Value;
use crate::error::Result;
use crate::term::units;

/// What is thought of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is right, in this many windows × keys.
    Right(u64),
    /// It is not.
    Wrong(Mistake),
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mistake {
    /// What differs: how much, and the first windows of it.
    pub differs: Vec<String>,
    /// Why.
    pub cause: String,
    /// Whether the data with this mistake equals the answer, or it is only likely.
    pub certain: bool,
    /// What to do about it.
    pub remedy: String,
}

/// A mistake's cause and remedy.
pub(super) type Why = (String, String);

/// Grades an answer.
///
/// # Errors
/// Those of comparing tables, of which the columns have been looked at.
pub fn grade(exercise: &Exercise, world: &World, answer: &ResultTable) -> Result<Verdict> {
    let question = &exercise.question;
    let wrong = |(cause, remedy), certain, differs| {
        Ok(Verdict::Wrong(Mistake {
            differs,
            cause,
            certain,
            remedy,
        }))
    };
    if let Some(why) = wrong_columns(question, answer) {
        return wrong(why, true, Vec::new());
    }
    if answer.rows.is_empty() {
        let why = why(
            "the answer has no rows",
            "the row of a window is written once the watermark has passed its end, at the latest at the end of the input",
        );
        return wrong(why, true, Vec::new());
    }
    let truth = world.answer(question);
    let comparison = compare(&truth, answer)?;
    if comparison.is_same() {
        return Ok(Verdict::Right(truth.rows.len() as u64));
    }
    let differs = differences(&comparison);
    if let Some(why) = seen_in_rows(question, world, &truth, answer)? {
        return wrong(why, true, differs);
    }
    let foreign = Foreign::find(&truth, answer);
    if let Some(why) = foreign.beside_the_truth(&truth, world)? {
        return wrong(why, true, differs);
    }
    let suspect = Suspect::new(question, world, answer);
    for (question, why) in mistakes(question, world) {
        if suspect.is_made_by(&question)? {
            return wrong(why, true, differs);
        }
    }
    let why = suspect.goes_by_other_time(&truth);
    wrong(
        why.unwrap_or_else(|| likely(&comparison, &foreign, &suspect)),
        false,
        differs,
    )
}

/// A wrong answer, and what a few of its keys hold.
struct Suspect<'a> {
    question: &'a Question,
    world: &'a World,
    answer: &'a ResultTable,
    /// None for a question without keys.
    sampled: Option<(Sample, ResultTable)>,
}

impl<'a> Suspect<'a> {
    fn new(question: &'a Question, world: &'a World, answer: &'a ResultTable) -> Self {
        let sampled = world.sample(question).map(|sample| {
            let part = sample.of(answer);
            (sample, part)
        });
        Suspect {
            question,
            world,
            answer,
            sampled,
        }
    }

    /// Returns whether a question with a mistake has exactly this answer.
    fn is_made_by(&self, question: &Question) -> Result<bool> {
        if let Some((sample, part)) = &self.sampled {
            let made = self.world.answer_of(question, Some(sample));
            if !compare(&made, part)?.is_same() {
                return Ok(false);
            }
        }
        Ok(compare(&self.world.answer(question), self.answer)?.is_same())
    }

    /// Returns whether sessions begin and end at other moments than those at which the calls of their
    /// keys start: so they are of other calls.
    fn has_foreign_sessions(&self) -> bool {
        let (Windows::Session(_), Some((sample, part))) = (self.question.windows, &self.sampled)
        else {
            return false;
        };
        !part.rows.is_empty() && !lie_in(part, &self.world.times(self.question, sample))
    }

    /// Says so if the windows lie where calls end and none starts. How many of these late records
    /// are dropped depends on their order, which in a topic is not that of the data; but never that
    /// of the call which ends last.
    fn goes_by_other_time(&self, truth: &ResultTable) -> Option<Why> {
        let by_end = Question {
            time: Time::End,
            ..self.question.clone()
        };
        let sample = self.sampled.as_ref().map(|(sample, _)| sample);
        let part = self.sampled.as_ref().map_or(self.answer, |(_, part)| part);
        let is_found = match (self.question.windows, sample) {
            (Windows::AllTime, _) | (Windows::Session(_), None) => false,
            (Windows::Session(_), Some(sample)) => {
                let starts = self.world.times(self.question, sample);
                let ends = self.world.times(&by_end, sample);
                lie_in(part, &ends) && !lie_in(part, &starts)
            }
            (Windows::Tumbling(_) | Windows::Hopping(..), sample) => {
                let whole = self.world.answer_of(&by_end, sample);
                let count = |table: &ResultTable, cell: &Cell| {
                    let at = table.measure("count")?;
                    number(&table.rows.get(cell)?.values[at])
                };
                let is_part = |cell: &Cell| count(part, cell) <= count(&whole, cell);
                let last = self.world.extent().end;
                let is_last = |cell: &Cell| cell.span.start <= last && last < cell.span.end;
                self.answer.rows.keys().any(is_last)
                    && part.rows.keys().all(is_part)
                    && part.rows.keys().any(|cell| !truth.rows.contains_key(cell))
            }
        };
        (is_found && !part.rows.is_empty()).then(|| {
            why(
                "wrong time column: the windows are where calls end, by `end_timestamp`; also, late records were dropped",
                "event time is `start_timestamp`, see `--time`",
            )
        })
    }
}

/// Returns whether windows begin and end at some moments of their keys.
fn lie_in(table: &ResultTable, times: &HashSet<(Key, i64)>) -> bool {
    let mut cells = table.rows.keys();
    cells.all(|cell| {
        let bounds = [cell.span.start, cell.span.end];
        let mut bounds = bounds.into_iter();
        bounds.all(|at| times.contains(&(cell.key.clone(), at)))
    })
}

pub(super) fn why(cause: impl Into<String>, remedy: impl Into<String>) -> Why {
    (cause.into(), remedy.into())
}

/// Returns how much differs and the first two windows of it.
fn differences(comparison: &Comparison) -> Vec<String> {
    let count = comparison.differences.len() as u64;
    let all = comparison.same + count;
    let how_much = format!(
        "{} of {} differ",
        units::format_count(count),
        units::format_plural(all, "row")
    );
    let examples = comparison.differences.iter().take(2).map(describe);
    std::iter::once(how_much).chain(examples).collect()
}

/// Looks at the names of columns.
fn wrong_columns(question: &Question, answer: &ResultTable) -> Option<Why> {
    if answer.measure("call_id").is_some() {
        return Some(why(
            "these are single records, not a result: each has its `call_id`",
            "pipe the output of `k window …` into `k check`",
        ));
    }
    let has = |name: &str| match &answer.measures[..] {
        [] => format!("there is no column `{name}`"),
        others => format!("there is no column `{name}`, but {}", others.join(", ")),
    };
    let by = question.by.map(By::name);
    for measure in question.measures {
        if answer.measure(measure.name()).is_none() {
            let typed: Vec<&str> = question
                .measures
                .iter()
                .map(|measure| measure.typed())
                .collect();
            return Some(why(
                has(measure.name()),
                format!(
                    "compute `--agg '{}'`; `as {}` names the column",
                    typed.join(", "),
                    measure.name()
                ),
            ));
        }
    }
    // ksqlDB needs another name for the copy of a key: `caller_id`.
    let begins = |key: &String, name: &str| key.to_ascii_lowercase().starts_with(name);
    match (by, &answer.keys[..]) {
        (None, []) => None,
        (Some(name), [key]) if begins(key, name) => None,
        (Some(name), []) => Some(why(
            format!("the rows are not grouped by `{name}`"),
            format!("group with `--by {name}`"),
        )),
        (Some(name), keys) if !keys.iter().any(|key| begins(key, name)) => Some(why(
            format!("the rows are grouped by {}, not by {name}", keys.join(", ")),
            format!("group with `--by {name}`"),
        )),
        (by, keys) => {
            let by = by.unwrap_or_default();
            let surplus = keys.iter().filter(|key| by.is_empty() || !begins(key, by));
            let surplus: Vec<&str> = surplus.map(String::as_str).collect();
            Some(why(
                format!("the rows are also grouped by {}", surplus.join(", ")),
                match by {
                    "" => "count without `--by`".to_owned(),
                    by => format!("group only with `--by {by}`"),
                },
            ))
        }
    }
}

/// Returns what the kinds of differences let think. Data of another `k gen` may look like those with
/// some mistake: where they may, the answer says so.
fn likely(comparison: &Comparison, foreign: &Foreign, suspect: &Suspect) -> Why {
    let of = |wanted: &dyn Fn(&Cause) -> bool| {
        let mut causes = comparison
            .differences
            .iter()
            .map(|difference| &difference.cause);
        causes.any(wanted)
    };
    let is_only = |wanted: &dyn Fn(&Cause) -> bool| !of(&|cause| !wanted(cause));
    let recipe = suspect.world.recipe();
    if is_only(&|cause| matches!(cause, Cause::OtherKey(_) | Cause::Rounding)) {
        return why("different key: values are under other keys", "check `--by`");
    }
    if suspect.has_foreign_sessions() {
        return why(
            "the sessions start or end where no call starts: another column, or another `k gen`",
            "event time is `start_timestamp`; was the answer computed from the data of gen.json?",
        );
    }
    if of(&|cause| *cause == Cause::Bounds) && foreign.before == 0 {
        return why(
            "sessions have other bounds: another gap, or records in between are missing",
            "a session ends where no record comes for longer than its gap, see `--session GAP`",
        );
    }
    if let Some(why) = foreign.likely(suspect.world) {
        return why;
    }
    match (foreign.fewer, foreign.more) {
        (true, false) if is_only(&|cause| *cause == Cause::Edge) => why(
            "only the first or last windows are partial: the input was not read to its end, or is from another `k gen`",
            "let the command run to its end; from a topic, `--exit` reads what is there",
        ),
        (true, false) if recipe.duplicates > 0.0 => why(
            "records are missing: late ones were dropped, other calls taken for duplicates, or it is another `k gen`",
            "is it `--distinct call_id`? The summary of `k window` says which `--grace` keeps late ones",
        ),
        (true, false) if recipe.reorders() => why(
            "records are missing: late ones were dropped, some were not read, or it is another `k gen`",
            LATE_REMEDY,
        ),
        (true, false) => why(
            "records are missing: some were not read, filtered out, or lost (at most once), or it is another `k gen`",
            "was the whole input read, and every partition of it?",
        ),
        (false, true) => why(
            "records were counted more than once (duplicates, or processed again after a crash (at least once)), or the topic also holds other records",
            "count each call once (`--distinct call_id`), commit with `--guarantee exactly-once`, or `k topic delete` and produce again",
        ),
        (true, true) => why(
            "some windows hold more records and some fewer: another column, or another `k gen`",
            "is the data folder still the one that the answer was computed from?",
        ),
        (false, false) => why(
            "the same number of records, but other values: another aggregate or argument, or another `k gen`",
            "`duration` is end_timestamp − start_timestamp in ms",
        ),
    }
}

/// Returns how many records a right answer counts, for the person who gave it.
pub fn records(answer: &ResultTable) -> Option<u64> {
    let at = answer.measure("count")?;
    let counts = answer.rows.values().map(|row| match row.values[at] {
        Value::Integer(count) => u64::try_from(count).ok(),
        _ => None,
    });
    counts.sum()
}

#[cfg(test)]
mod tests;
