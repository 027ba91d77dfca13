//! Where a record's event time comes from, and how it is read: from a column, as ms, in another unit or
//! ISO 8601, or from what an expression makes of some columns.

use std::sync::Arc;

use bumpalo::Bump;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Decoded, EARLIEST, LATEST, NO_TIME, shown};
use crate::column::name::quoted_name;
use crate::column::{Column, DataType, Misfit, Schema, ValueRef, Values};
use crate::error::{Error, Result};
use crate::expression::{
    Expression, Kind, add_column, column_as_it_stands, column_text, open_up, other_order,
    pattern_of, unknown_column,
};
use crate::number::Number;
use crate::term::units;

/// Where a record's event time comes from.
#[derive(Debug, Clone)]
pub enum TimeFrom {
    /// A column, a number in a unit or text in ISO 8601; it must be among the wanted ones.
    Column(usize, TimeUnit),
    /// What an expression makes of some columns, which must be among the wanted ones.
    Computed(Arc<Computed>),
    /// The record's own timestamp in its topic.
    Record,
    /// Nowhere: records have no event time, and 0 is in its place.
    Nowhere,
}

/// An event time that an expression computes.
#[derive(Debug)]
pub struct Computed {
    expression: Expression,
    unit: TimeUnit,
    zone: Option<TimeZone>,
}

/// The unit of a time that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    #[default]
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// How `--time` names the source of event times.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The unit of numbers.
    pub unit: TimeUnit,
    /// The zone of texts that name none; `None` for UTC.
    pub zone: Option<TimeZone>,
}

impl TimeFrom {
    /// Returns the event time of `--time`: the exact name of a column, or an expression over
    /// columns.
    ///
    /// # Errors
    /// `usage` for what is neither, and for what is not a time.
    pub fn named(text: &str, reading: &Reading, schema: &Schema) -> Result<TimeFrom> {
        if let Some(index) = column_as_it_stands(schema, text) {
            return TimeFrom::column(index, reading, schema);
        }
        let zone = reading.zone.as_ref().and_then(TimeZone::iana_name);
        let expression = Expression::parse_time(text, schema, zone).map_err(|error| {
            if is_name(text) {
                unknown_column(schema, text, "--time")
            } else {
                error
            }
        })?;
        match expression.column() {
            Some(index) => TimeFrom::column(index, reading, schema),
            None => TimeFrom::computed(expression, reading),
        }
    }

    /// Returns the event time in a column.
    ///
    /// # Errors
    /// `usage` for a column that holds no times.
    pub fn column(index: usize, reading: &Reading, schema: &Schema) -> Result<TimeFrom> {
        let field = &schema.fields[index];
        match field.data_type {
            DataType::Boolean => Err(Error::usage(format!(
                "column `{}` is a boolean; a time is a number, a timestamp or ISO 8601 text",
                field.name
            ))),
            // Those are read by a zone, and a column is not.
            DataType::Text | DataType::Any if reading.zone.is_some() => {
                let name = column_text(schema, index);
                TimeFrom::computed(Expression::parse(&name, schema)?, reading)
            }
            DataType::Timestamp => Ok(TimeFrom::Column(index, TimeUnit::Ms)),
            _ => Ok(TimeFrom::Column(index, reading.unit)),
        }
    }

    fn computed(expression: Expression, reading: &Reading) -> Result<TimeFrom> {
        if expression.data_type() == DataType::Boolean {
            return Err(Error::usage(format!(
                "`--time {expression}` is a boolean; a time is a number, a timestamp or ISO 8601 text"
            )));
        }
        Ok(TimeFrom::Computed(Arc::new(Computed {
            unit: match expression.data_type() {
                DataType::Timestamp => TimeUnit::Ms,
                _ => reading.unit,
            },
            zone: reading.zone.clone(),
            expression,
        })))
    }

    /// Returns the columns that are decoded for it.
    pub fn columns(&self) -> &[usize] {
        match self {
            TimeFrom::Column(index, _) => std::slice::from_ref(index),
            TimeFrom::Computed(computed) => computed.expression.columns(),
            TimeFrom::Record | TimeFrom::Nowhere => &[],
        }
    }

    /// Returns it as `--time` names it; `schema` has the columns.
    pub fn text(&self, schema: &Schema) -> String {
        match self {
            TimeFrom::Column(index, _) => column_text(schema, *index),
            TimeFrom::Computed(computed) => computed.expression.text().to_owned(),
            TimeFrom::Record => "@record".to_owned(),
            TimeFrom::Nowhere => "@arrival".to_owned(),
        }
    }

    /// Returns the unit of times that are numbers, if they come from the record's columns.
    pub fn unit(&self) -> Option<TimeUnit> {
        match self {
            TimeFrom::Column(_, unit) => Some(*unit),
            TimeFrom::Computed(computed) => Some(computed.unit),
            TimeFrom::Record | TimeFrom::Nowhere => None,
        }
    }

    /// Says for people where times come from; `schema` has the columns.
    pub fn describe(&self, schema: &Schema) -> String {
        match self {
            TimeFrom::Column(index, unit) => {
                let name = &schema.fields[*index].name;
                format!("column `{name}`{}", unit.of_numbers())
            }
            TimeFrom::Computed(computed) => {
                let zone = computed.zone.as_ref().and_then(TimeZone::iana_name);
                let zone = zone.map_or(String::new(), |zone| format!(", read in {zone}"));
                let unit = computed.unit.of_numbers();
                format!("`{}`{unit}{zone}", computed.expression)
            }
            TimeFrom::Record => "the records' own timestamps".to_owned(),
            TimeFrom::Nowhere => "none".to_owned(),
        }
    }
}

/// Adds the columns that `--time` names and a schema has not, where it may have them.
pub(crate) fn open_up_time(schema: &mut Schema, text: &str) {
    // What is not an expression may be a name with blanks.
    if column_as_it_stands(schema, text).is_none()
        && open_up(schema, text, Kind::One).is_err()
        && is_name(text)
    {
        add_column(schema, text);
    }
}

/// Returns whether a text is rather a column's name than an expression.
fn is_name(text: &str) -> bool {
    !text.contains(|c: char| "()'\"*/+|<>=,%".contains(c))
}

impl Computed {
    /// Sets the times of all rows; returns the rows that have none, and why.
    pub(super) fn compute<'a>(
        &self,
        decoded: &mut Decoded<'a>,
        arena: &'a Bump,
    ) -> Vec<(usize, Misfit)> {
        let evaluated = self.expression.evaluate(&decoded.columns, arena);
        let failed = evaluated.errors.into_iter().map(|error| {
            let cure = "fix the value, or the expression of `--time`";
            let misfit = match error.misfit.cure {
                Some(_) => error.misfit,
                None => error.misfit.or(cure),
            };
            (error.row, misfit)
        });
        // Of a row that failed, the first reason counts.
        let mut misfits: Vec<(usize, Misfit)> = failed.collect();
        let column = &*decoded.with_decimal_points(evaluated.column, arena);
        let times = (0..column.len()).map(|row| {
            read(column, row, self.unit, self.zone.as_ref()).unwrap_or_else(|misfit| {
                let text = self.expression.text();
                let misfit = about(misfit, column, row, &format!("`{text}`"), text);
                misfits.push((row, misfit));
                NO_TIME
            })
        });
        let times = times.collect();
        decoded.times = times;
        misfits
    }
}

impl TimeUnit {
    /// Returns a time in this unit as ms since 1970, rounded down, if it lies in the years 1–9999.
    fn to_ms(self, time: i64) -> Result<i64, Misfit> {
        let ms = match self {
            TimeUnit::S => time.saturating_mul(1_000),
            TimeUnit::Ms => time,
            TimeUnit::Us => time.div_euclid(1_000),
            TimeUnit::Ns => time.div_euclid(1_000_000),
        };
        in_range(ms)
    }

    /// As [`TimeUnit::to_ms`], of a number that may have a fraction.
    fn number_to_ms(self, time: Number) -> Result<i64, Misfit> {
        let factor = match self {
            TimeUnit::S => Decimal::ONE_THOUSAND,
            TimeUnit::Ms => Decimal::ONE,
            TimeUnit::Us => Decimal::new(1, 3),
            TimeUnit::Ns => Decimal::new(1, 6),
        };
        let ms = match time {
            Number::Integer(time) => return self.to_ms(time),
            time => time.to_decimal().and_then(|time| time.checked_mul(factor)),
        };
        let ms = ms.and_then(|ms| ms.floor().to_i64());
        match ms {
            Some(ms) => in_range(ms),
            None => Err(out_of_range("the time".to_owned())),
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::S => "s",
            TimeUnit::Ms => "ms",
            TimeUnit::Us => "us",
            TimeUnit::Ns => "ns",
        }
    }

    /// Returns the unit of a name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
        all.into_iter().find(|unit| unit.name() == name)
    }

    fn of_numbers(self) -> &'static str {
        match self {
            TimeUnit::S => ", numbers in s",
            TimeUnit::Ms => "",
            TimeUnit::Us => ", numbers in us",
            TimeUnit::Ns => ", numbers in ns",
        }
    }
}

fn in_range(ms: i64) -> Result<i64, Misfit> {
    if (EARLIEST..=LATEST).contains(&ms) {
        Ok(ms)
    } else {
        Err(out_of_range(format!("the time {ms} ms")))
    }
}

fn out_of_range(time: String) -> Misfit {
    let misfit = format!("{time} is outside the years 1–9999");
    Misfit::from(misfit).or("name the unit of the time with `--time-unit s|ms|us|ns`")
}

/// Reads a time in a text: a number in the unit, or ISO 8601, of `zone` where it names none.
pub(super) fn text_to_ms(
    text: &str,
    unit: TimeUnit,
    zone: Option<&TimeZone>,
) -> Result<i64, Misfit> {
    // All digits may be a date in ISO 8601's basic format, too; here they never are.
    if let Some(number) = Number::parse(text.as_bytes()) {
        return unit.number_to_ms(number);
    }
    match units::parse_iso_in(text.trim_ascii(), zone) {
        Some(time) => in_range(time),
        None => {
            let text = shown(text.as_bytes());
            let misfit = Misfit::from(format!("{text} is not a time: a number, or ISO 8601"));
            Err(misfit.or("choose another column with `--time`, or mend the value"))
        }
    }
}

/// Returns the event times in a time column; where there is none, what `misfit` makes of the row
/// and the reason.
pub(super) fn times_of(
    column: &Column<'_>,
    unit: TimeUnit,
    name: &str,
    mut misfit: impl FnMut(usize, Misfit) -> i64,
) -> Vec<i64> {
    if let Column::Bigint(Values { values, nulls }) = column
        && unit == TimeUnit::Ms
        && nulls.is_empty()
        && values
            .iter()
            .fold(true, |fit, time| fit & (EARLIEST..=LATEST).contains(time))
    {
        return values.clone();
    }
    (0..column.len())
        .map(|row| time_of(column, row, unit, name).unwrap_or_else(|reason| misfit(row, reason)))
        .collect()
}

/// Returns a record's event time from its time column.
pub(crate) fn time_of(
    column: &Column<'_>,
    row: usize,
    unit: TimeUnit,
    name: &str,
) -> Result<i64, Misfit> {
    read(column, row, unit, None).map_err(|misfit| {
        let what = format!("column `{name}`");
        about(misfit, column, row, &what, &quoted_name(name))
    })
}

fn read(
    column: &Column<'_>,
    row: usize,
    unit: TimeUnit,
    zone: Option<&TimeZone>,
) -> Result<i64, Misfit> {
    let time = match column {
        Column::Bigint(values) => values.get(row).map(|time| unit.to_ms(time)),
        Column::Text(values) | Column::Any(values) => {
            let text = values.get(row);
            text.map(|text| text_to_ms(text, unit, zone))
        }
        Column::Number(values) => values.get(row).map(|time| unit.number_to_ms(time)),
        Column::Double(values) => {
            let time = values.get(row).map(Number::Double);
            time.map(|time| unit.number_to_ms(time))
        }
        Column::Decimal(values) => {
            let time = values.get(row).map(Number::Decimal);
            time.map(|time| unit.number_to_ms(time))
        }
        Column::Boolean(_) => Some(Err("is not a time".to_owned().into())),
    };
    time.unwrap_or_else(|| Err("the time is null".to_owned().into()))
}

/// Says what has no time, and of a text in a local form what to type for it; `expression` is how an
/// expression names what was read.
fn about(misfit: Misfit, column: &Column<'_>, row: usize, what: &str, expression: &str) -> Misfit {
    let local = match column.value_ref(row) {
        ValueRef::Text(text) | ValueRef::Any(text) => {
            pattern_of(text).map(|pattern| (other_order(&pattern, text), pattern))
        }
        _ => None,
    };
    let cure = local.map(|(other, pattern)| {
        let mut shell = String::new();
        for c in format!("parse_timestamp({expression}, '{pattern}')").chars() {
            if matches!(c, '"' | '$' | '`' | '\\') {
                shell.push('\\');
            }
            shell.push(c);
        }
        let order = other.map_or(String::new(), |other| {
            format!(", day first; this one may also be month first, which is '{other}'")
        });
        format!(
            "`--time \"{shell}\"` reads such a time{order}; for local time add a zone, such as `--zone Europe/Berlin`"
        )
    });
    Misfit {
        reason: format!("{what}: {}", misfit.reason),
        cure: cure.or(misfit.cure),
    }
}
