//! Batches of bytes → the input of the engine.
//!
//! Decodes a batch and evaluates the plan's expressions by column. Records that do not fit their
//! format, and records for which an expression fails, are malformed and kept apart.

use std::borrow::Cow;

use bumpalo::Bump;

use super::future::{self, Ahead};
use crate::clock;
use crate::column::{Column, Columns, Misfit, ValueRef};
use crate::engine::operator::{Input, Noted};
use crate::engine::pane::journal;
use crate::error::{Error, Result};
use crate::expression::{Expression, RowError};
use crate::format::{Decoded, Decoder, Malformed, Origins, Skipped, time_of};
use crate::plan::Plan;
use crate::source::{Batch, Records};

/// How the records of a batch are made rows.
pub(super) struct Evaluator<'n> {
    /// What is computed over them.
    pub plan: &'n Plan,
    /// Their format.
    pub decoder: Decoder,
    /// Whether the place of every row is kept, and not only of those that do not fit.
    pub origins: Origins,
    /// Whether someone listens, who wants to know more of each record.
    pub for_journal: bool,
    /// Whether malformed records are skipped; otherwise they end the batch.
    pub skip_bad: bool,
    /// The first that was skipped.
    pub first_skipped: Option<Skipped>,
}

/// A record that is not a row.
pub(super) struct Unfit<'a> {
    /// The record, and why.
    pub record: Malformed<'a>,
    /// Whether it would be one, if its time were not too far ahead.
    pub is_ahead: bool,
}

impl<'a> Unfit<'a> {
    /// Returns the first that is malformed, which ends a run unless those are skipped.
    pub fn first_malformed<'u>(unfit: &'u [Unfit<'a>]) -> Option<&'u Malformed<'a>> {
        let malformed = unfit.iter().find(|unfit| !unfit.is_ahead);
        malformed.map(|unfit| &unfit.record)
    }
}

/// What the expressions of a plan came to over a batch.
struct Evaluated<'b, 'a> {
    arrivals: Vec<i64>,
    selected: Option<Vec<bool>>,
    keys: Vec<Cow<'b, Column<'a>>>,
    arguments: Vec<Option<Cow<'b, Column<'a>>>>,
    carried: Vec<Option<Cow<'b, Column<'a>>>>,
    taken_back: Option<Vec<bool>>,
    distinct: Option<Cow<'b, Column<'a>>>,
    /// What a journal shows of the records.
    noted: Vec<Cow<'b, Column<'a>>>,
}

/// What is known of records besides their values.
#[derive(Default)]
struct Places<'m> {
    /// Of each row; empty where it was not kept.
    rows: Vec<u64>,
    /// When the broker appended each row, for a journal.
    appended: Vec<Option<i64>>,
    malformed: Vec<journal::Misfit<'m>>,
}

impl<'m> Places<'m> {
    fn of(
        rows: &Evaluator<'_>,
        batch: &Batch<'_>,
        decoded: &Decoded<'_>,
        unfit: &'m [Unfit<'_>],
    ) -> Self {
        let appended = if rows.for_journal {
            future::appended(decoded, &batch.records)
        } else {
            Vec::new()
        };
        let plan = rows.plan;
        let rows = decoded.origins.iter();
        let misfit = |Unfit { record, is_ahead }: &'m Unfit<'_>| journal::Misfit {
            before: record.before,
            place: record.place.number(),
            at: record.at.filter(|_| !plan.by_arrival),
            reason: &record.misfit.reason,
            is_ahead: *is_ahead,
        };
        Places {
            rows: rows.map(|(place, _)| place.number()).collect(),
            appended,
            malformed: unfit.iter().map(misfit).collect(),
        }
    }
}

/// Rows that do not fit, and why.
type Misfits = Vec<(usize, Misfit)>;

impl Evaluator<'_> {
    /// Hands the rows of a batch to `take`, and the records that are none: all of them, or where
    /// malformed ones are not skipped up to the first, and then only the rows before it.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn decode<'a, T>(
        &mut self,
        batch: &Batch<'a>,
        arena: &'a Bump,
        take: impl FnOnce(&Input<'_, 'a>, &Decoded<'a>, &[Unfit<'a>]) -> Result<T>,
    ) -> Result<T> {
        let mut decoded = self.decoder.decode(&batch.records, self.origins, arena);
        let ahead = self.plan.ahead_ms.map(|allowed_ms| Ahead {
            allowed_ms,
            now: now_ms(),
        });
        let may_be_ahead = |decoded: &Decoded<'_>, arrivals: &[i64]| {
            ahead.is_some_and(|ahead| ahead.may_hold(&decoded.times, arrivals, &batch.records))
        };
        let misfits = match evaluate(self.plan, &decoded, arena) {
            Ok(evaluated) if !may_be_ahead(&decoded, &evaluated.arrivals) => {
                let places = Places::of(self, batch, &decoded, &[]);
                let input = evaluated.input(self.plan, batch, &decoded, &places);
                return take(&input, &decoded, &[]);
            }
            Ok(_) => Vec::new(),
            Err(misfits) => misfits,
        };
        // Some record does not fit: rare, so only now are the places of rows looked for.
        if !misfits.is_empty() || ahead.is_some() {
            decoded = self.decoder.decode(&batch.records, Origins::Keep, arena);
            let origins = decoded.origins.clone();
            decoded.refuse(misfits, |row| origins[row]);
        }
        let mut malformed = std::mem::take(&mut decoded.malformed);
        if self.skip_bad {
            let first = malformed.first().map(Malformed::to_skipped);
            self.first_skipped = self.first_skipped.take().or(first);
        } else {
            malformed.truncate(1);
            if let Some(first) = malformed.first() {
                decoded.truncate(first.before);
            }
        }
        let unfit = match ahead {
            Some(ahead) => self.take_out(ahead, &mut decoded, malformed, batch),
            None => unfit(malformed, false).collect(),
        };
        let evaluated = evaluate(self.plan, &decoded, arena)
            .map_err(|_| Error::bug("rows without the malformed ones failed again"))?;
        let places = Places::of(self, batch, &decoded, &unfit);
        let input = evaluated.input(self.plan, batch, &decoded, &places);
        take(&input, &decoded, &unfit)
    }

    /// Takes the rows out that are too far ahead; returns all records that are not rows, in their order.
    fn take_out<'a>(
        &self,
        ahead: Ahead,
        decoded: &mut Decoded<'a>,
        mut malformed: Vec<Malformed<'a>>,
        batch: &Batch<'a>,
    ) -> Vec<Unfit<'a>> {
        let arrivals = match self.plan.arrival {
            Some(_) => arrivals(self.plan, decoded, &mut Vec::new()),
            None => Vec::new(),
        };
        let found = ahead.find(decoded, &arrivals, &batch.records);
        for record in &mut malformed {
            record.before -= found.partition_point(|(row, _)| *row < record.before);
        }
        let origins = decoded.origins.clone();
        decoded.refuse(found, |row| origins[row]);
        let ahead = std::mem::take(&mut decoded.malformed);
        let mut all: Vec<_> = unfit(malformed, false).chain(unfit(ahead, true)).collect();
        all.sort_by_key(|unfit| unfit.record.place.number());
        all
    }
}

fn unfit(records: Vec<Malformed<'_>>, is_ahead: bool) -> impl Iterator<Item = Unfit<'_>> {
    let records = records.into_iter();
    records.map(move |record| Unfit { record, is_ahead })
}

/// Evaluates the plan's expressions, unless some record does not fit; of those that fail here the
/// rows are returned.
fn evaluate<'b, 'a>(
    plan: &'b Plan,
    decoded: &'b Decoded<'a>,
    arena: &'a Bump,
) -> Result<Evaluated<'b, 'a>, Misfits> {
    let columns = &decoded.columns;
    let mut errors = Vec::new();
    let arrivals = arrivals(plan, decoded, &mut errors);
    let selected = plan.filter.as_ref().map(|filter| {
        let selection = filter.select(columns, arena);
        errors.extend(selection.errors);
        selection.rows
    });
    let mut evaluate = |expression: &'b Expression| {
        let evaluated = expression.evaluate(columns, arena);
        // What a filtered record would have given does not matter.
        let counts = |error: &RowError| selected.as_ref().is_none_or(|rows| rows[error.row]);
        errors.extend(evaluated.errors.into_iter().filter(counts));
        evaluated.column
    };
    let by = plan.by.iter().map(|item| evaluate(&item.expression));
    let keys = by.collect();
    let aggregates = || plan.aggregates.iter();
    let arguments = aggregates()
        .map(|aggregate| {
            let column = aggregate.argument.as_ref().map(&mut evaluate)?;
            Some(if aggregate.function.orders_or_shows() {
                decoded.with_decimal_points(column, arena)
            } else {
                column
            })
        })
        .collect();
    let carried = aggregates()
        .map(|aggregate| {
            let column = aggregate.carried.as_ref().map(&mut evaluate)?;
            Some(decoded.with_decimal_points(column, arena))
        })
        .collect();
    let distinct = plan.distinct.as_ref().map(&mut evaluate);
    // What a journal alone shows makes no record malformed: it is null there.
    let noted = plan.noted.iter();
    let noted = noted.map(|item| item.expression.evaluate(columns, arena).column);
    let noted = noted.collect();
    let taken_back = plan
        .change
        .map(|index| changes(plan, index, columns, &mut errors));
    if !errors.is_empty() || !decoded.malformed.is_empty() {
        let misfits = errors.into_iter().map(|error| (error.row, error.misfit));
        return Err(misfits.collect());
    }
    Ok(Evaluated {
        arrivals,
        selected,
        keys,
        arguments,
        carried,
        taken_back,
        distinct,
        noted,
    })
}

impl<'b, 'a> Evaluated<'b, 'a> {
    fn input<'i>(
        &'i self,
        plan: &Plan,
        batch: &Batch<'a>,
        decoded: &'i Decoded<'a>,
        places: &'i Places<'_>,
    ) -> Input<'i, 'a>
    where
        'b: 'i,
    {
        Input {
            partition: batch.partition,
            origin: origin(batch),
            first: first_place(&batch.records),
            noted: Noted {
                places: &places.rows,
                appended: &places.appended,
                columns: &self.noted,
            },
            malformed: &places.malformed,
            times: if plan.by_arrival {
                &self.arrivals
            } else {
                &decoded.times
            },
            arrivals: (!self.arrivals.is_empty()).then_some(&self.arrivals),
            selected: self.selected.as_deref(),
            keys: &self.keys,
            arguments: &self.arguments,
            carried: &self.carried,
            taken_back: self.taken_back.as_deref(),
            distinct: self.distinct.as_deref(),
            parts: None,
        }
    }
}

/// Returns when each record came, where that is a column or the event time; else nothing.
fn arrivals(plan: &Plan, decoded: &Decoded<'_>, errors: &mut Vec<RowError>) -> Vec<i64> {
    let rows = decoded.columns.rows;
    let Some((index, unit)) = plan.arrival else {
        return vec![now_ms(); if plan.by_arrival { rows } else { 0 }];
    };
    let column = &decoded.columns.columns[index];
    let name = &plan.layout.schema.fields[index].name;
    let arrival = |row: usize| {
        time_of(column, row, unit, name).unwrap_or_else(|misfit| {
            errors.push(RowError { row, misfit });
            0
        })
    };
    (0..rows).map(arrival).collect()
}

/// Returns which records take an earlier one back, by the column at an index.
fn changes(
    plan: &Plan,
    index: usize,
    columns: &Columns<'_>,
    errors: &mut Vec<RowError>,
) -> Vec<bool> {
    let name = &plan.layout.schema.fields[index].name;
    let column = &columns.columns[index];
    let taken_back = |row: usize| match column.value_ref(row) {
        ValueRef::Text("+") | ValueRef::Any("+") => false,
        ValueRef::Text("-") | ValueRef::Any("-") => true,
        _ => {
            let misfit = format!("column `{name}`: neither `+` nor `-`");
            let misfit = Misfit::from(misfit).or("with `--change none` every record counts");
            errors.push(RowError { row, misfit });
            false
        }
    };
    (0..columns.rows).map(taken_back).collect()
}

/// Returns processing time by the clock, in ms since 1970, UTC.
pub(super) fn now_ms() -> i64 {
    clock::now_ms()
}

/// Returns the number of the partition that some records lie in.
fn origin(batch: &Batch<'_>) -> u32 {
    match &batch.records {
        Records::Lines(_) => batch.partition as u32,
        Records::Messages(messages) => messages
            .first()
            .map_or(0, |message| message.partition.unsigned_abs()),
    }
}

/// Returns the line or offset of the first of some records.
fn first_place(records: &Records<'_>) -> u64 {
    match records {
        Records::Lines(lines) => lines.first_line,
        Records::Messages(messages) => messages
            .first()
            .map_or(0, |message| message.offset.unsigned_abs()),
    }
}
