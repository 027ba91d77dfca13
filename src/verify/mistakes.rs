//! The mistakes that can be made again: each is the question with one thing wrong.
//!
//! In: a question and the world that it is about. Out: wrong questions, the likelier ones first,
//! each with what to say about it.

use super::grade::{Why, why};
use super::truth::{By, Over, Part, Question, Time, Windows, World};
use crate::cdr::Disposition;
use crate::term::units;

/// Returns the question with one mistake each, the likelier ones first, and what to say of it.
pub(super) fn mistakes(question: &Question, world: &World) -> Vec<(Question, Why)> {
    let mut mistakes = Vec::new();
    let mut add = |question: Question, cause: String, remedy: &str| {
        mistakes.push((question, why(cause, remedy)));
    };
    let recipe = world.recipe();
    let of_calls = question.over == Over::Calls;

    let other_times: &[(Time, &str)] = if of_calls {
        &[(Time::End, "`end_timestamp`")]
    } else {
        &[
            (Time::CallStart, "the start of the call"),
            (Time::End, "`end_timestamp`"),
        ]
    };
    for &(time, name) in other_times {
        let cause = format!("wrong time column: the windows go by {name}");
        let remedy = if of_calls {
            "event time is `start_timestamp`, see `--time`"
        } else {
            "the event time of a handover is the start of its segment: `event_time`"
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
    let kinds = Disposition::ALL.into_iter().map(Some);
    for only in std::iter::once(None).chain(kinds) {
        let cause = match (only, question.only) {
            (only, asked) if only == asked => continue,
            (None, _) => "not filtered: busy and failed calls are also counted".to_owned(),
            (Some(only), _) => format!("filtered: only {} calls are counted", only.name()),
        };
        let remedy = match question.only {
            None => "leave `--where` out",
            Some(_) => "count only connected calls: `--where \"disposition = 'connected'\"`",
        };
        let question = Question {
            only,
            ..question.clone()
        };
        add(question, cause, remedy);
    }
    let twice = Question {
        distinct: false,
        ..question.clone()
    };
    let duplicates = "duplicates are counted: some calls came twice";
    add(
        twice.clone(),
        duplicates.to_owned(),
        "count each call once: `--distinct call_id`",
    );
    late_mistakes(question, world, &mut add);
    if recipe.duplicates > 0.0 {
        let cause = format!("{duplicates}; also, late records were dropped");
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
        let remedy = "read all partitions: does another member of the group read the others, or did a crash lose them (at most once)?";
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
            let cause = format!("the gap of the sessions is {}, not {}", gaps[0], gaps[1]);
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
    if of_calls && question.by.is_none() {
        let over = Over::Segments {
            within_ms: i64::MAX,
            with_unmatched: false,
        };
        add(
            Question {
                over,
                ..question.clone()
            },
            "these are the segments of `tower`, not the calls".to_owned(),
            "read `mono_signal`",
        );
    }
    if !of_calls {
        for seconds in [0, 1, 5, 10, 20, 30, 60, 120, 300, 600, 1_800] {
            let over = Over::Segments {
                within_ms: seconds * units::SECOND,
                with_unmatched: false,
            };
            let cause = format!(
                "the join's bound of {} is too short: later handovers of a call found no partner",
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
        let cause = "calls without a tower are also counted: an outer join".to_owned();
        add(
            Question {
                over,
                ..question.clone()
            },
            cause,
            "count only pairs: `--type inner`",
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

pub(super) const LATE_REMEDY: &str =
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
