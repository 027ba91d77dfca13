//! Records in an answer that are not of the data: older or newer ones beside them, or others alone.
//!
//! In: the truth and an answer that differs from it. Out: how much each counts in all, which
//! windows lie outside of the truth's, and what can be said for certain of them.

use std::collections::BTreeSet;

use super::compare::compare;
use super::grade::{Why, why};
use super::table::{Cell, ResultTable, Span, number};
use super::truth::World;
use crate::error::Result;
use crate::term::units;

/// What an answer counts, held against the truth, and where its windows lie.
#[derive(Debug)]
pub(super) struct Foreign {
    /// How many records both count in all, a record in each of its windows.
    pub right: f64,
    pub given: f64,
    /// Whether some window of the truth holds fewer records, or is not there.
    pub fewer: bool,
    /// Whether some window holds more than the truth's, or is not in the truth.
    pub more: bool,
    /// Whether some window and key is not in the truth.
    pub extra: bool,
    /// How many windows lie before the truth's first one. No call starts or ends there, so no mistake
    /// makes such a window of these data.
    pub before: usize,
    /// How many lie after its last one.
    pub after: usize,
    /// The answer without these.
    rest: ResultTable,
}

impl Foreign {
    /// Looks for windows before and after the truth's.
    pub fn find(truth: &ResultTable, answer: &ResultTable) -> Self {
        let counts = |table: &ResultTable, cell: &Cell| -> f64 {
            let value = || number(&table.rows.get(cell)?.values[table.measure("count")?]);
            value().unwrap_or_default()
        };
        let total = |table: &ResultTable| table.rows.keys().map(|cell| counts(table, cell)).sum();
        let first = truth.rows.keys().map(|cell| cell.span.start).min();
        let last = truth.rows.keys().map(|cell| cell.span.end).max();
        let (first, last) = (first.unwrap_or(i64::MIN), last.unwrap_or(i64::MAX));
        let is_before = |span: Span| span.end <= first && span.start < first;
        let is_after = |span: Span| span.start >= last && span.end > last;
        let windows = |is_there: &dyn Fn(Span) -> bool| {
            let spans = answer.rows.keys().map(|cell| cell.span);
            let found: BTreeSet<Span> = spans.filter(|&span| is_there(span)).collect();
            found.len()
        };
        let mut rest = ResultTable::new(answer.keys.clone(), answer.measures.clone());
        let within = answer.rows.iter();
        let within = within.filter(|(cell, _)| !is_before(cell.span) && !is_after(cell.span));
        rest.rows
            .extend(within.map(|(cell, row)| (cell.clone(), row.clone())));
        Foreign {
            right: total(truth),
            given: total(answer),
            fewer: (truth.rows.keys()).any(|cell| counts(answer, cell) < counts(truth, cell)),
            more: (answer.rows.keys()).any(|cell| counts(answer, cell) > counts(truth, cell)),
            extra: answer
                .rows
                .keys()
                .any(|cell| !truth.rows.contains_key(cell)),
            before: windows(&is_before),
            after: windows(&is_after),
            rest,
        }
    }

    /// Says for certain that there are other records if the answer is right but for windows that lie
    /// elsewhere.
    pub fn beside_the_truth(&self, truth: &ResultTable, world: &World) -> Result<Option<Why>> {
        let is_beside = self.before + self.after > 0 && compare(truth, &self.rest)?.is_same();
        Ok(is_beside.then(|| self.beside(world)))
    }

    /// Says where the other windows lie.
    fn beside(&self, world: &World) -> Why {
        let windows = |count: usize| {
            let lie = if count == 1 { "lies" } else { "lie" };
            format!("{} {lie}", units::format_plural(count as u64, "window"))
        };
        let (place, ages) = match (self.before, self.after) {
            (before, 0) => (format!("{} before your data", windows(before)), "older"),
            (0, after) => (format!("{} after your data", windows(after)), "newer"),
            (before, after) => (
                format!(
                    "{} before your data and {after} after them",
                    windows(before)
                ),
                "older and newer",
            ),
        };
        why(
            format!("{place}: the topic also holds {ages} records"),
            format!(
                "`k topic delete`, and produce again; or read from the first call on, `--since {}`",
                units::format_time(world.extent().start)
            ),
        )
    }

    /// Says what the windows let think; `None` where the records may well be those of the data.
    pub fn likely(&self, world: &World) -> Option<Why> {
        let is_other = |how: String| {
            why(
                format!("{how}: these look like another `k gen`"),
                "compute the answer again from the data of gen.json, or name the right recipe with `--truth`",
            )
        };
        match self {
            Foreign {
                before: 1..,
                fewer: false,
                ..
            } => Some(self.beside(world)),
            Foreign {
                before: count @ 1..,
                ..
            } => Some(is_other(format!(
                "{} before your data, and the others differ",
                units::format_plural(*count as u64, "window")
            ))),
            _ if self.right == self.given && (self.fewer || self.more) => Some(is_other(
                "the same number of records, but in other windows or under other keys".to_owned(),
            )),
            Foreign {
                after: 1..,
                fewer: false,
                ..
            } => Some(self.beside(world)),
            Foreign {
                extra: true,
                fewer: false,
                ..
            } => Some(why(
                "nothing is missing, but there are windows or keys that your data do not have: the topic also holds other records",
                "`k topic delete`, and produce again",
            )),
            Foreign { extra: true, .. } => Some(is_other(
                "some windows or keys are missing, and others do not belong to your data"
                    .to_owned(),
            )),
            _ => None,
        }
    }
}
