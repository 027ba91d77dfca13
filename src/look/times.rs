//! Which columns may be the event time, from when to when, and how far out of order.

use std::collections::HashSet;

use bumpalo::Bump;
use serde::Serialize;

use super::column::{ColumnFound, Tally, is_code};
use crate::column::{Column, Columns, Schema, ValueRef};
use crate::error::{Error, Result};
use crate::expression::{Expression, exchanged, pattern_of};
use crate::number::Number;
use crate::term::units::parse_iso;

/// Patterns of local time that people write, for `parse_timestamp`. Where a day may be a month the first
/// that reads all values counts: day first, as [`pattern_of`] has it for one text.
const PATTERNS: [&str; 10] = [
    "dd.MM.yyyy HH:mm:ss",
    "dd.MM.yyyy HH:mm",
    "dd.MM.yyyy",
    "dd/MM/yyyy HH:mm:ss",
    "MM/dd/yyyy HH:mm:ss",
    "dd/MM/yyyy HH:mm",
    "MM/dd/yyyy HH:mm",
    "dd/MM/yyyy",
    "MM/dd/yyyy",
    "yyyy/MM/dd HH:mm:ss",
];

/// A reading that most values do not fit is given up after so many of them.
const MAX_MISFITS: u64 = 100;

/// How a column's values are read as times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Seconds since 1970.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
    /// Text in ISO 8601.
    Iso,
    /// The record's own timestamp.
    Record,
    /// Text by a pattern of `parse_timestamp`.
    #[serde(untagged)]
    Pattern(String),
}

impl Reading {
    /// Returns its name for people.
    pub fn name(&self) -> &str {
        match self {
            Reading::S => "s",
            Reading::Ms => "ms",
            Reading::Us => "us",
            Reading::Ns => "ns",
            Reading::Iso => "ISO 8601",
            Reading::Pattern(pattern) => pattern,
            Reading::Record => "its own",
        }
    }

    /// Returns a time in ms since 1970; `None` for what is none in this reading. A number is a time
    /// from 1990 to 2100, so that its size shows its unit.
    fn read(&self, value: ValueRef<'_>) -> Option<i64> {
        /// 1990-01-01 and 2100-01-01 in ms since 1970, UTC.
        const LIKELY: std::ops::Range<i64> = 631_152_000_000..4_102_444_800_000;
        let (ValueRef::Any(text) | ValueRef::Text(text)) = value else {
            return None;
        };
        let number = Number::parse(text.as_bytes()).filter(|_| !is_code(text));
        let ms = match (self, number) {
            (Reading::S, Some(Number::Integer(time))) => time.checked_mul(1_000)?,
            (Reading::S, Some(time @ Number::Decimal(_))) => (time.to_f64() * 1_000.0) as i64,
            (Reading::Ms, Some(Number::Integer(time))) => time,
            (Reading::Us, Some(Number::Integer(time))) => time.div_euclid(1_000),
            (Reading::Ns, Some(Number::Integer(time))) => time.div_euclid(1_000_000),
            (Reading::Iso, None) if !is_code(text) => return parse_iso(text.trim_ascii()),
            _ => return None,
        };
        LIKELY.contains(&ms).then_some(ms)
    }
}

/// A column that may be the event time.
#[derive(Debug, Clone, Serialize)]
pub struct TimeFound {
    /// Its name; `@record` for the record's own timestamp.
    pub column: String,
    /// How it is read.
    pub reading: Reading,
    /// A pattern that reads as many values, with day and month exchanged: the data does not say which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_order: Option<String>,
    /// The earliest and the latest, in ms since 1970, UTC.
    pub from: i64,
    /// The latest.
    pub to: i64,
    /// How many values are times.
    pub times: u64,
    /// How many are not.
    pub others: u64,
    /// How many come after a later one, of their partition.
    pub out_of_order: u64,
    /// How far behind a later one they are at most, in ms: what `--out-of-order` would keep all.
    pub step_back_ms: i64,
}

/// How event times go in the partitions of an input.
#[derive(Debug, Default)]
struct Course {
    /// The highest so far, by partition.
    highest: Vec<Option<i64>>,
    range: Option<(i64, i64)>,
    times: u64,
    others: u64,
    out_of_order: u64,
    step_back_ms: i64,
}

impl Course {
    fn add(&mut self, partition: usize, time: Option<i64>) {
        let Some(at) = time else {
            self.others += 1;
            return;
        };
        self.times += 1;
        let (from, to) = self.range.unwrap_or((at, at));
        self.range = Some((from.min(at), to.max(at)));
        if partition >= self.highest.len() {
            self.highest.resize(partition + 1, None);
        }
        let highest = self.highest[partition].get_or_insert(at);
        if at < *highest {
            self.out_of_order += 1;
            self.step_back_ms = self.step_back_ms.max(*highest - at);
        }
        *highest = at.max(*highest);
    }

    /// Returns whether nine of ten values are times, or of few all but one.
    fn holds(&self) -> bool {
        self.times > 0 && self.others * 9 <= self.times || self.times > 1 && self.others == 1
    }

    fn found(&self, column: String, reading: Reading) -> Option<TimeFound> {
        let (from, to) = self.range?;
        Some(TimeFound {
            column,
            reading,
            other_order: None,
            from,
            to,
            times: self.times,
            others: self.others,
            out_of_order: self.out_of_order,
            step_back_ms: self.step_back_ms,
        })
    }
}

/// The timestamps of a topic's records.
#[derive(Debug, Default)]
pub(super) struct OfRecords(Course);

impl OfRecords {
    pub fn add(&mut self, partition: usize, time: Option<i64>) {
        self.0.add(partition, time);
    }

    pub fn finish(&self) -> Option<TimeFound> {
        self.0.found("@record".to_owned(), Reading::Record)
    }
}

/// A column in a reading that may be right.
#[derive(Debug)]
struct Candidate {
    index: usize,
    reading: Reading,
    /// For a pattern.
    expression: Option<Expression>,
    course: Course,
}

/// All columns in all readings that may be right.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    left: Option<Vec<Candidate>>,
}

impl Candidates {
    /// Reads some records' times.
    pub fn add<'a>(
        &mut self,
        partition: usize,
        schema: &Schema,
        columns: &Columns<'a>,
        tallies: &[Tally],
        arena: &'a Bump,
    ) -> Result<()> {
        if columns.rows == 0 {
            return Ok(());
        }
        if self.left.is_none() {
            self.left = Some(all(schema, tallies)?);
        }
        let Some(left) = &mut self.left else {
            return Ok(());
        };
        for candidate in left.iter_mut() {
            let column = &columns.columns[candidate.index];
            let expression = candidate.expression.as_ref();
            let read = expression.map(|expression| expression.evaluate(columns, arena).column);
            for row in 0..columns.rows {
                let value = column.value_ref(row);
                if value == ValueRef::Null {
                    continue;
                }
                let time = match read.as_deref() {
                    Some(Column::Bigint(times)) => times.get(row),
                    Some(_) => None,
                    None => candidate.reading.read(value),
                };
                candidate.course.add(partition, time);
            }
        }
        left.retain(|candidate| candidate.course.others <= candidate.course.times + MAX_MISFITS);
        Ok(())
    }

    /// Returns those that are times, the likeliest first.
    pub fn finish(self, columns: &[ColumnFound]) -> Vec<TimeFound> {
        let mut right: Vec<Candidate> = self.left.unwrap_or_default();
        right.retain(|candidate| candidate.course.holds());
        // Of several readings of one column that which reads most, and then the first.
        right.sort_by_key(|candidate| (candidate.index, candidate.course.others));
        let others: Vec<(usize, String, u64)> = right
            .iter()
            .filter_map(|candidate| match &candidate.reading {
                Reading::Pattern(pattern) => {
                    Some((candidate.index, pattern.clone(), candidate.course.others))
                }
                _ => None,
            })
            .collect();
        let other_order = |candidate: &Candidate| {
            let Reading::Pattern(pattern) = &candidate.reading else {
                return None;
            };
            let other = exchanged(pattern)?;
            let as_good = (candidate.index, other, candidate.course.others);
            others.contains(&as_good).then_some(as_good.1)
        };
        right.dedup_by_key(|candidate| candidate.index);
        right.sort_by_key(|candidate| {
            let column = &columns[candidate.index];
            let is_default = ["event_time", "start_timestamp"].contains(&column.name.as_str());
            let lacking = column.nulls + candidate.course.others;
            (!is_default, lacking > 0, !is_named_so(&column.name))
        });
        let found = right.into_iter();
        found
            .filter_map(|candidate| {
                let name = columns[candidate.index].name.clone();
                let found = candidate.course.found(name, candidate.reading.clone());
                Some(TimeFound {
                    other_order: other_order(&candidate),
                    ..found?
                })
            })
            .collect()
    }
}

/// Returns whether a column's name says that it holds times.
fn is_named_so(name: &str) -> bool {
    let name = name.to_lowercase();
    let parts = ["time", "date", "zeit", "datum", "stamp", "when"];
    parts.iter().any(|part| name.contains(part)) || ["t", "ts", "at"].contains(&name.as_str())
}

/// Returns every column in every reading; texts only where not all first values are numbers.
fn all(schema: &Schema, tallies: &[Tally]) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for (index, (field, tally)) in schema.fields.iter().zip(tallies).enumerate() {
        let mut add = |reading, expression| {
            candidates.push(Candidate {
                index,
                reading,
                expression,
                course: Course::default(),
            });
        };
        for reading in [Reading::S, Reading::Ms, Reading::Us, Reading::Ns] {
            add(reading, None);
        }
        if tally.is_of_numbers() {
            continue;
        }
        add(Reading::Iso, None);
        let known = PATTERNS.map(str::to_owned);
        let of_examples = tally.examples().iter();
        let of_examples = of_examples.filter_map(|example| pattern_of(example));
        let of_examples = of_examples.flat_map(|pattern| {
            let other = exchanged(&pattern);
            std::iter::once(pattern).chain(other)
        });
        let mut patterns: Vec<String> = known.into_iter().chain(of_examples).collect();
        let mut seen = HashSet::new();
        patterns.retain(|pattern| !pattern.contains('\'') && seen.insert(pattern.clone()));
        for pattern in patterns {
            let text = super::advice::parsed(&field.name, &pattern);
            let expression = Expression::parse(&text, schema).map_err(|error| {
                Error::bug(format!("a pattern of times cannot be read: {error}"))
            })?;
            add(Reading::Pattern(pattern), Some(expression));
        }
    }
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{DataType, Field, Values};

    /// Returns what is found of the times in a column.
    fn found(values: &[&str]) -> Vec<TimeFound> {
        let schema = Schema {
            fields: vec![Field {
                name: "c d".to_owned(),
                data_type: DataType::Any,
            }],
            ..Schema::default()
        };
        let column: Values<&str> = values
            .iter()
            .map(|value| Some(*value).filter(|value| !value.is_empty()))
            .collect();
        let columns = Columns {
            rows: values.len(),
            columns: vec![Column::Any(column)],
            ..Columns::default()
        };
        let mut tally = Tally::default();
        (0..values.len())
            .for_each(|row| tally.add(columns.columns[0].value_ref(row), false, String::new));
        let (mut candidates, arena) = (Candidates::default(), Bump::new());
        let tallies = [tally];
        candidates
            .add(0, &schema, &columns, &tallies, &arena)
            .expect("patterns");
        let [tally] = tallies;
        candidates.finish(&[tally.finish("c d".to_owned())])
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit_and_a_text_its_pattern() {
        for (values, reading) in [
            (["1767225600", "1767225601"], Some(Reading::S)),
            (["1767225600.25", "1767225601"], Some(Reading::S)),
            (["1767225600000", "1767225600001"], Some(Reading::Ms)),
            (["1767225600000000", ""], Some(Reading::Us)),
            (["1767225600000000000", ""], Some(Reading::Ns)),
            (["2026-01-01", "2026-01-01 00:00:01"], Some(Reading::Iso)),
            (
                ["29.03.2026 12:00:01", "01.04.2026 12:00:00"],
                Some(Reading::Pattern("dd.MM.yyyy HH:mm:ss".to_owned())),
            ),
            (
                ["03/29/2026", "03/30/2026"],
                Some(Reading::Pattern("MM/dd/yyyy".to_owned())),
            ),
            (
                ["3/9/2026 9:05", "12/31/2026 10:05"],
                Some(Reading::Pattern("M/d/yyyy H:mm".to_owned())),
            ),
            (["17", "18"], None),
            (["01514475312", "01519214272"], None),
            (["a", "2026-01-01"], None),
            (["a", "b"], None),
        ] {
            let found = found(&values);
            let first = found.first().map(|found| found.reading.clone());
            assert_eq!(first, reading, "{values:?}");
        }
    }

    #[test]
    fn that_day_and_month_may_be_exchanged_is_found_unless_some_value_tells() {
        for (values, pattern, other) in [
            (
                ["03/04/2026", "05/04/2026"],
                "dd/MM/yyyy",
                Some("MM/dd/yyyy"),
            ),
            (
                ["3/4/2026 1:05 PM", "5/4/2026 1:06 PM"],
                "d/M/yyyy h:mm a",
                Some("M/d/yyyy h:mm a"),
            ),
            (["03/04/2026", "13/04/2026"], "dd/MM/yyyy", None),
            (["03/04/2026", "04/13/2026"], "MM/dd/yyyy", None),
            (["03.04.2026", "05.04.2026"], "dd.MM.yyyy", None),
        ] {
            let found = found(&values);
            assert_eq!(found[0].reading.name(), pattern, "{values:?}");
            assert_eq!(found[0].other_order.as_deref(), other, "{values:?}");
        }
    }

    #[test]
    fn one_odd_value_of_few_hides_no_time() {
        let few = found(&["1767225600000", "n/a", "1767225601000"]);
        assert_eq!((&few[0].reading, few[0].others), (&Reading::Ms, 1));
        assert!(found(&["1767225600000", "n/a", "-", "1767225601000"]).is_empty());
    }

    #[test]
    fn the_largest_step_back_is_what_out_of_order_would_be() {
        let found = found(&["1767225600", "1767225610", "1767225603", "", "1767225609"]);
        let found = &found[0];
        assert_eq!((found.out_of_order, found.step_back_ms), (2, 7_000));
        assert_eq!(found.to - found.from, 10_000);
        assert_eq!((found.times, found.others), (4, 0));
    }
}
