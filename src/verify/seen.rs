//! Mistakes that an answer shows by itself, without being computed again.
//!
//! In: the truth and an answer that differs from it. Out: a cause and a remedy where the windows
//! lie elsewhere, are of another kind, length or start, where all is there several times, or where
//! panes are parts.

use super::compare::compare;
use super::grade::{Why, why};
use super::table::{ResultTable, Span, number};
use super::truth::{Question, Windows, World};
use crate::error::Result;
use crate::term::units;

/// Looks at what the rows show by themselves: where and how long the windows are, panes that are
/// parts, everything twice.
pub(super) fn seen_in_rows(
    question: &Question,
    world: &World,
    truth: &ResultTable,
    answer: &ResultTable,
) -> Result<Option<Why>> {
    let found = elsewhere(world, answer)
        .or_else(|| other_windows(question.windows, answer))
        .or_else(|| multiple(truth, answer));
    Ok(match found {
        Some(why) => Some(why),
        None => parts(truth, answer)?,
    })
}

/// All windows lie where the data have no time at all.
fn elsewhere(world: &World, answer: &ResultTable) -> Option<Why> {
    let data = world.extent();
    let in_time = |span: &Span| *span != Span::ALL_TIME;
    let outside = |span: Span| span.end < data.start || span.start > data.end;
    let mut spans = answer.rows.keys().map(|cell| cell.span).filter(in_time);
    let first = spans.next()?;
    (outside(first) && spans.all(outside)).then(|| {
        why(
            format!(
                "no window is where the data have calls: the windows begin at {}, the calls at {}",
                units::format_time(first.start),
                units::format_time(data.start)
            ),
            "is it processing time instead of event time (`--time`), or has `k gen` made other data since?",
        )
    })
}

/// Windows of another kind, length, step or start.
fn other_windows(asked: Windows, answer: &ResultTable) -> Option<Why> {
    let mut spans: Vec<Span> = answer.rows.keys().map(|cell| cell.span).collect();
    spans.dedup();
    let first = *spans.first()?;
    let shown = units::format_duration;
    let one_length = spans.iter().all(|span| span.length() == first.length());
    let (size, advance, flag) = match asked {
        Windows::AllTime if first == Span::ALL_TIME => return None,
        Windows::AllTime => {
            return Some(why(
                "the rows have windows, but the exercise asks for all time",
                "compute with `--global`",
            ));
        }
        _ if first == Span::ALL_TIME => {
            return Some(why(
                "the rows have no windows",
                "see `k window --help`, Where",
            ));
        }
        Windows::Session(_) => {
            let is_grid = one_length && spans.len() > 1 && first.length() > 0;
            return is_grid.then(|| {
                why(
                    format!(
                        "all windows last {}: these are not sessions",
                        shown(first.length())
                    ),
                    "compute with `--session GAP`",
                )
            });
        }
        Windows::Tumbling(size) => (size, size, format!("--tumbling {}", shown(size))),
        Windows::Hopping(size, advance) => {
            let flag = format!("--hopping {},{}", shown(size), shown(advance));
            (size, advance, flag)
        }
    };
    if !one_length {
        return Some(why(
            "the windows are not all of the same length: are they sessions?",
            format!("compute with `{flag}`"),
        ));
    }
    if first.length() != size {
        return Some(why(
            format!(
                "the windows last {}, not {}",
                shown(first.length()),
                shown(size)
            ),
            format!("compute with `{flag}`"),
        ));
    }
    let offset = first.start.rem_euclid(advance);
    let aligned = |step: i64| {
        spans
            .iter()
            .all(|span| (span.start - first.start) % step == 0)
    };
    if offset != 0 && aligned(advance) {
        return Some(why(
            format!(
                "the windows are off by their start: they begin {} after each full {}",
                shown(offset),
                shown(advance)
            ),
            "windows are aligned to 1970-01-01, not to the first record: leave `--align` out",
        ));
    }
    if spans.len() > 1 && size > advance && aligned(size) {
        return Some(why(
            "the windows do not overlap",
            format!("compute with `{flag}`: one starts every {}", shown(advance)),
        ));
    }
    if !aligned(advance) {
        return Some(why(
            format!("the windows begin more often than every {}", shown(advance)),
            format!("compute with `{flag}`"),
        ));
    }
    None
}

/// Every value is the same multiple of the truth.
fn multiple(truth: &ResultTable, answer: &ResultTable) -> Option<Why> {
    let counts = |table: &ResultTable| -> Option<Vec<f64>> {
        let at = table.measure("count")?;
        table
            .rows
            .values()
            .map(|row| number(&row.values[at]))
            .collect()
    };
    let (right, given) = (counts(truth)?, counts(answer)?);
    let factor = given.first()? / right.first()?;
    let is_same = right.len() == given.len() && factor >= 2.0 && factor.fract() == 0.0;
    (is_same
        && right
            .iter()
            .zip(&given)
            .all(|(right, given)| right * factor == *given))
    .then(|| {
        why(
            format!("every count is {factor} times as large as it should be"),
            "was `k produce` run more than once? Then `k topic delete`, and produce again; or is it another `k gen`?",
        )
    })
}

/// Panes that hold only what came since the one before.
fn parts(truth: &ResultTable, answer: &ResultTable) -> Result<Option<Why>> {
    if answer.rows.values().all(|row| row.panes == 1) {
        return Ok(None);
    }
    let mut added = answer.clone();
    for row in added.rows.values_mut() {
        row.values = row.sums.clone();
    }
    Ok(compare(truth, &added)?.is_same().then(|| {
        why(
            "each row holds only what came since the previous one: discarding panes",
            "add up the rows of each window, or let each hold everything: `--refine accumulating`",
        )
    }))
}
