//! The exercises of the lesson, as data: number, title, what is asked.
//!
//! NOTES.md has the same numbers and titles; `k check` grades by the questions. Adding an exercise
//! is a row here and a section there; a test compares the two.

use super::truth::{By, Measure, Over, Question, Time, Windows};
use crate::cdr::{Disposition, Order, Recipe};

/// One exercise that checks itself.
#[derive(Debug, Clone)]
pub struct Exercise {
    /// Its number in NOTES.md.
    pub number: u32,
    /// Its title in NOTES.md.
    pub title: &'static str,
    /// What the answer holds, in words.
    pub asked: &'static str,
    /// What the generated data must be like.
    pub data: Data,
    /// What the right answer is.
    pub question: Question,
}

/// What the data of an exercise must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Anything.
    Any,
    /// Rows leave when calls end.
    OutOfOrder,
    /// Some calls leave twice.
    Duplicated,
}

impl Data {
    /// Returns what is missing for the exercise in a recipe, as a flag of `k gen`.
    pub fn missing(self, recipe: &Recipe) -> Option<&'static str> {
        match self {
            Data::OutOfOrder if recipe.order != Order::End => Some("--order end"),
            Data::Duplicated if recipe.duplicates == 0.0 => Some("--duplicates 5%"),
            _ => None,
        }
    }
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

const COUNT: &[Measure] = &[Measure::Count];
const COUNT_SUM: &[Measure] = &[Measure::Count, Measure::SumDuration];
const COUNT_SUM_AVG: &[Measure] = &[Measure::Count, Measure::SumDuration, Measure::AvgDuration];

/// Counts calls every 10 s by their starts.
const CALLS: Question = Question {
    over: Over::Calls,
    windows: Windows::Tumbling(10 * SECOND),
    by: None,
    measures: COUNT,
    only: None,
    time: Time::Start,
    distinct: true,
    dropped_after_ms: None,
    part: None,
};

const BY_DISPOSITION: Question = Question {
    windows: Windows::AllTime,
    by: Some(By::Disposition),
    ..CALLS
};

const HOPPING: Question = Question {
    windows: Windows::Hopping(30 * SECOND, 10 * SECOND),
    ..CALLS
};

const SESSIONS: Question = Question {
    windows: Windows::Session(5 * SECOND),
    by: Some(By::Caller),
    ..CALLS
};

const BY_TOWER: Question = Question {
    over: Over::Segments {
        within_ms: i64::MAX,
        with_unmatched: false,
    },
    by: Some(By::Tower),
    ..CALLS
};

/// In the order of the lesson.
pub const EXERCISES: &[Exercise] = &[
    Exercise {
        number: 1,
        title: "a stream is a file that has not ended",
        asked: "calls by disposition, over all time",
        data: Data::Any,
        question: BY_DISPOSITION,
    },
    Exercise {
        number: 2,
        title: "event time",
        asked: "calls every 10 s of their start",
        data: Data::Any,
        question: CALLS,
    },
    Exercise {
        number: 3,
        title: "what, and for whom",
        asked: "connected calls by caller every minute: count, sum(duration), avg(duration)",
        data: Data::Any,
        question: Question {
            windows: Windows::Tumbling(MINUTE),
            by: Some(By::Caller),
            measures: COUNT_SUM_AVG,
            only: Some(Disposition::Connected),
            ..CALLS
        },
    },
    Exercise {
        number: 4,
        title: "windows that overlap",
        asked: "calls in windows of 30 s, one every 10 s",
        data: Data::Any,
        question: HOPPING,
    },
    Exercise {
        number: 5,
        title: "sessions",
        asked: "calls by caller in sessions with a gap of 5 s",
        data: Data::Any,
        question: SESSIONS,
    },
    Exercise {
        number: 6,
        title: "disorder, watermark, grace",
        asked: "calls every 10 s of their start, and sum(duration), though rows are written at the end",
        data: Data::OutOfOrder,
        question: Question {
            measures: COUNT_SUM,
            ..CALLS
        },
    },
    Exercise {
        number: 7,
        title: "triggers and refinements",
        asked: "calls every 10 s, from rows that are shown early and corrected later",
        data: Data::OutOfOrder,
        question: CALLS,
    },
    Exercise {
        number: 8,
        title: "duplicates",
        asked: "calls every 10 s, each call once",
        data: Data::Duplicated,
        question: CALLS,
    },
    Exercise {
        number: 9,
        title: "calls joined with towers",
        asked: "segments of connected calls by tower every 10 s of the handover",
        data: Data::Any,
        question: BY_TOWER,
    },
    Exercise {
        number: 10,
        title: "topics, partitions, keys",
        asked: "calls every 10 s of their start, from the topic",
        data: Data::Any,
        question: CALLS,
    },
    Exercise {
        number: 11,
        title: "offsets and groups",
        asked: "calls by disposition, over all time, read in parts by one group",
        data: Data::Any,
        question: BY_DISPOSITION,
    },
    Exercise {
        number: 12,
        title: "a table is a changelog",
        asked: "calls by caller every minute, from the topic of updates",
        data: Data::Any,
        question: Question {
            windows: Windows::Tumbling(MINUTE),
            by: Some(By::Caller),
            ..CALLS
        },
    },
    Exercise {
        number: 13,
        title: "replicas and acknowledgements",
        asked: "calls by disposition, over all time, from the topic of three replicas",
        data: Data::Any,
        question: BY_DISPOSITION,
    },
    Exercise {
        number: 14,
        title: "the node",
        asked: "calls by caller every 10 s, and sum(duration), from the node's topic",
        data: Data::Any,
        question: Question {
            by: Some(By::Caller),
            measures: COUNT_SUM,
            ..CALLS
        },
    },
    Exercise {
        number: 15,
        title: "ksql: tumbling windows",
        asked: "calls every 10 s by caller, from ksqlDB's topic",
        data: Data::Any,
        question: Question {
            by: Some(By::Caller),
            ..CALLS
        },
    },
    Exercise {
        number: 16,
        title: "ksql: hopping windows",
        asked: "calls by disposition in windows of 30 s, one every 10 s, from ksqlDB's topic",
        data: Data::Any,
        question: Question {
            by: Some(By::Disposition),
            ..HOPPING
        },
    },
    Exercise {
        number: 17,
        title: "ksql: sessions",
        asked: "calls by caller in sessions with a gap of 5 s, from ksqlDB's topic",
        data: Data::Any,
        question: SESSIONS,
    },
    Exercise {
        number: 18,
        title: "ksql: joins",
        asked: "segments of connected calls by tower every 10 s of the handover, from ksqlDB's topic",
        data: Data::Any,
        question: BY_TOWER,
    },
];

/// Returns the exercise of a number.
pub fn find(number: u32) -> Option<&'static Exercise> {
    let mut exercises = EXERCISES.iter();
    exercises.find(|exercise| exercise.number == number)
}
