//! Grades an answer to an exercise: right, or which mistake makes exactly this of the data.
//!
//! Comes in: the [`World`] of gen.json, an [`Exercise`] and the answer. Goes out: a [`Verdict`].
//! A mistake is not guessed where it can be made: the question is computed again with it (late
//! records dropped, the other time column, one partition, …), and what equals the answer is its
//! cause. Only what no single mistake explains is told by what differs.

use super::compare::{Cause, Comparison, compare, told};
use super::exercises::Exercise;
use super::seen::seen_in_rows;
use super::table::ResultTable;
use super::truth::{By, Over, Part, Question, Time, Windows, World};
use crate::column::Value;
use crate::error::Result;
use crate::term::units;

/// What is thought of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is right, in so many windows × keys.
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
            "there is no row",
            "a window's row leaves when the watermark has passed its end, so at the latest at the end of the input",
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
    for (question, why) in mistakes(question, world) {
        if compare(&world.answer(&question), answer)?.is_same() {
            return wrong(why, true, differs);
        }
    }
    wrong(likely(&comparison, world), false, differs)
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
    let examples = comparison.differences.iter().take(2).map(told);
    std::iter::once(how_much).chain(examples).collect()
}

/// Looks at the names of columns.
fn wrong_columns(question: &Question, answer: &ResultTable) -> Option<Why> {
    let has = |name: &str| format!("there is no column `{name}`");
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
                format!("compute `--agg '{}'`", typed.join(", ")),
            ));
        }
    }
    // ksqlDB needs another name for the copy of a key: `caller_id`.
    let begins = |key: &String, name: &str| key.to_ascii_lowercase().starts_with(name);
    match (by, &answer.keys[..]) {
        (None, []) => None,
        (Some(name), [key]) if begins(key, name) => None,
        (Some(name), []) => Some(why(
            format!("{}: the rows are not grouped by it", has(name)),
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
                format!("the rows are grouped by {}, too", surplus.join(", ")),
                match by {
                    "" => "count without `--by`".to_owned(),
                    by => format!("group with `--by {by}` alone"),
                },
            ))
        }
    }
}

/// Returns the question with one mistake each, the likelier ones first, and what to say of it.
fn mistakes(question: &Question, world: &World) -> Vec<(Question, Why)> {
    let mut mistakes = Vec::new();
    let mut add = |question: Question, cause: String, remedy: &str| {
        mistakes.push((question, why(cause, remedy)));
    };
    let recipe = world.recipe();
    let of_calls = question.over == Over::Calls;

    let other_times: &[(Time, &str)] = match of_calls {
        true => &[(Time::End, "`end_timestamp`")],
        false => &[
            (Time::CallStart, "the start of the call"),
            (Time::End, "`end_timestamp`"),
        ],
    };
    for &(time, name) in other_times {
        let cause = format!("wrong time column: the windows go by {name}");
        let remedy = match of_calls {
            true => "event time is `start_timestamp`, see `--time`",
            false => "the event time of a handover is the start of its segment: `event_time`",
        };
        // These times are out of order, so that most often late records are dropped as well.
        for dropped_after_ms in [None, Some(0)] {
            let question = Question {
                time,
                dropped_after_ms,
                ..question.clone()
            };
            add(question, cause.clone(), remedy);
        }
    }
    let filtered = Question {
        connected: !question.connected,
        ..question.clone()
    };
    match question.connected {
        true => add(
            filtered,
            "not filtered: busy and failed calls are counted, too".to_owned(),
            "take connected calls alone: `--where \"disposition = 'connected'\"`",
        ),
        false => add(
            filtered,
            "filtered: only connected calls are counted".to_owned(),
            "leave `--where` away",
        ),
    }
    let twice = Question {
        distinct: false,
        ..question.clone()
    };
    let duplicates = "duplicates are counted: some calls came twice";
    add(
        twice.clone(),
        duplicates.to_owned(),
        "take one record of a call: `--distinct call_id`",
    );
    late_mistakes(question, world, &mut add);
    if recipe.duplicates > 0.0 {
        let cause = format!("{duplicates}; and late records were dropped");
        let twice = Question {
            dropped_after_ms: Some(0),
            ..twice
        };
        add(
            twice,
            cause,
            "`--distinct call_id`, and `--grace` or `--out-of-order`",
        );
    }
    for (part, cause) in partitions() {
        let part = Some(part);
        let remedy = "read all partitions: does another member of the group read the others?";
        add(
            Question {
                part,
                ..question.clone()
            },
            cause,
            remedy,
        );
    }
    if question.by == Some(By::Caller) {
        let by = Some(By::Callee);
        let cause = "different key: the rows are by callee".to_owned();
        add(
            Question {
                by,
                ..question.clone()
            },
            cause,
            "group with `--by caller`",
        );
    }
    if let Windows::Session(asked) = question.windows {
        for gap in
            [1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 30, 60].map(|seconds| seconds * units::SECOND)
        {
            let windows = Windows::Session(gap);
            let gaps = [gap, asked].map(units::format_duration);
            let cause = format!("the sessions' gap is {}, and {} is asked", gaps[0], gaps[1]);
            add(
                Question {
                    windows,
                    ..question.clone()
                },
                cause,
                "see `--session GAP`",
            );
        }
    }
    if !of_calls {
        for seconds in [0, 1, 5, 10, 20, 30, 60, 120, 300, 600, 1_800] {
            let over = Over::Segments {
                within_ms: seconds * units::SECOND,
                with_unmatched: false,
            };
            let cause = format!(
                "the join's bound of {} is too short: later handovers of a call met nobody",
                units::format_duration(seconds * units::SECOND)
            );
            let remedy = "the longest call lasts as long as `max_duration_ms` in gen.json says";
            add(
                Question {
                    over,
                    ..question.clone()
                },
                cause,
                remedy,
            );
        }
        let over = Over::Segments {
            within_ms: i64::MAX,
            with_unmatched: true,
        };
        let cause = "calls without a tower are counted, too: an outer join".to_owned();
        add(
            Question {
                over,
                ..question.clone()
            },
            cause,
            "take pairs alone: `--type inner`",
        );
    }
    mistakes
}

/// What has come too late was dropped, at some allowance.
fn late_mistakes(question: &Question, world: &World, add: &mut impl FnMut(Question, String, &str)) {
    let has_grid = matches!(
        question.windows,
        Windows::Tumbling(_) | Windows::Hopping(..)
    );
    if !world.recipe().reorders() || !has_grid {
        return;
    }
    for seconds in [0, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1_200, 1_800] {
        let after = seconds * units::SECOND;
        let cause = match seconds {
            0 => "late records were dropped: their windows had closed".to_owned(),
            _ => format!(
                "late records were dropped: {} of grace or out-of-orderness are too little",
                units::format_duration(after)
            ),
        };
        let question = Question {
            dropped_after_ms: Some(after),
            ..question.clone()
        };
        add(question, cause, LATE_REMEDY);
    }
}

const LATE_REMEDY: &str =
    "the summary of `k window` says which `--grace` keeps them; `--out-of-order` waits for them";

/// One of a topic's partitions alone, and all but one.
fn partitions() -> impl Iterator<Item = (Part, String)> {
    let parts = [3, 2, 4, 6]
        .into_iter()
        .flat_map(|of| (0..of).map(move |nth| (nth, of)));
    parts.flat_map(|(nth, of)| {
        let part = |alone| Part { nth, of, alone };
        [
            (
                part(true),
                format!("one partition only: {nth} of {of} was read"),
            ),
            (
                part(false),
                format!("one partition of {of} is missing: {nth}"),
            ),
        ]
    })
}

/// Returns what the kinds of differences let think.
fn likely(comparison: &Comparison, world: &World) -> Why {
    let of = |wanted: &dyn Fn(&Cause) -> bool| {
        let mut causes = comparison
            .differences
            .iter()
            .map(|difference| &difference.cause);
        causes.any(wanted)
    };
    let some_fewer = of(&|cause| matches!(cause, Cause::Fewer | Cause::Missing));
    let some_more = of(&|cause| matches!(cause, Cause::More | Cause::Extra));
    let some_other = of(&|cause| matches!(cause, Cause::OtherKey(_)));
    let other_bounds = of(&|cause| matches!(cause, Cause::Bounds));
    let same_count = of(&|cause| matches!(cause, Cause::Value));
    match (some_fewer, some_more) {
        _ if other_bounds => why(
            "sessions have other bounds: another gap, or records between are missing",
            "a session ends where no record comes for longer than its gap, see `--session GAP`",
        ),
        (true, false) if world.recipe().reorders() => why(
            "records are missing: late ones were dropped, or some were not read",
            LATE_REMEDY,
        ),
        (true, false) => why(
            "records are missing: some were not read, filtered out, or lost (at most once)",
            "was the whole input read, and every partition of it?",
        ),
        (false, true) => why(
            "records were counted more than once: duplicates, or processed again after a crash (at least once)",
            "take one record of a call (`--distinct call_id`), or commit with `--guarantee exactly-once`",
        ),
        (true, true) => why(
            "some windows hold more and some fewer records: another column, or other data",
            "is the data folder still the one that the answer was computed from?",
        ),
        (false, false) if some_other => why(
            "different key: values stand under other keys",
            "look at `--by`",
        ),
        (false, false) if same_count => why(
            "as many records, but other values: another aggregate or argument",
            "`duration` is end_timestamp − start_timestamp in ms",
        ),
        (false, false) => why(
            "only the first or last windows are partial: the input was not read to its end",
            "let the command come to its end; from a topic, `--exit` reads what is there",
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
mod tests {
    use super::super::exercises::{EXERCISES, find};
    use super::*;
    use crate::cdr::{Delay, Order, Recipe};

    fn world() -> World {
        let recipe = Recipe {
            seed: 7,
            start_timestamp: 1_767_225_603_000,
            rate: 10.0,
            seconds: 60.0,
            median_duration_ms: 60_000,
            sigma: 1.0,
            max_duration_ms: 3_600_000,
            callers: 30,
            towers: 20,
            skew: 0.0,
            busy: 0.1,
            failed: 0.1,
            arrivals: crate::cdr::Arrival::Regular,
            order: Order::End,
            delay: Some(Delay {
                share: 0.1,
                max_ms: 20_000,
            }),
            duplicates: 0.05,
            with_arrival: false,
        };
        World::new(&recipe).expect("a good recipe")
    }

    #[test]
    fn the_truth_is_right_and_each_mistake_is_told_by_its_own_cause() {
        let world = world();
        for exercise in EXERCISES {
            let truth = world.answer(&exercise.question);
            let verdict = grade(exercise, &world, &truth).expect("a table");
            assert_eq!(verdict, Verdict::Right(truth.rows.len() as u64));
            let mut told = 0;
            // Some of each kind: all of them would take a minute.
            let mistakes = mistakes(&exercise.question, &world).into_iter().step_by(3);
            for (question, (cause, _)) in mistakes {
                let answer = world.answer(&question);
                if compare(&truth, &answer).expect("one shape").is_same() {
                    continue; // no mistake in these data
                }
                let verdict = grade(exercise, &world, &answer).expect("a table");
                let Verdict::Wrong(mistake) = verdict else {
                    panic!("exercise {}: {cause}", exercise.number);
                };
                assert!(mistake.certain, "exercise {}: {mistake:?}", exercise.number);
                told += u32::from(mistake.cause == cause);
            }
            assert!(told >= 3, "exercise {}: {told}", exercise.number);
        }
    }

    #[test]
    fn one_partition_of_three_is_recognised() {
        let world = world();
        let exercise = find(10).expect("an exercise");
        let part = Some(Part {
            nth: 1,
            of: 3,
            alone: true,
        });
        let question = Question {
            part,
            ..exercise.question.clone()
        };
        let verdict = grade(exercise, &world, &world.answer(&question)).expect("a table");
        let Verdict::Wrong(mistake) = verdict else {
            panic!("right");
        };
        assert_eq!(mistake.cause, "one partition only: 1 of 3 was read");
        assert!(mistake.differs[1].contains("should be"), "{mistake:?}");
    }
}
