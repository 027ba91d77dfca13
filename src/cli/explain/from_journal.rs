//! Answers from the journal of a run.

use std::path::Path;

use bumpalo::Bump;

use super::replayed::nothing_there;
use super::target::Target;
use crate::column::{Column, Columns, DataType, Field, Schema, Values};
use crate::error::Result;
use crate::explain::{Lives, Moment, Told, Wanted, lives_in, stories_in};
use crate::expression::Expression;
use crate::journal::{Event, Json, Plan, Reader};

/// Chooses records of a journal.
enum Choice<'t> {
    Line(&'t str, u64),
    Offset(usize, u64),
    Where(Expression),
}

impl<'t> Choice<'t> {
    fn new(target: &'t Target, plan: &Plan) -> Result<Self> {
        Ok(match target {
            Target::Line(file, line) => Choice::Line(file, *line),
            Target::Offset(_, partition, offset) => {
                Choice::Offset(*partition as usize, offset.unsigned_abs())
            }
            Target::Where(condition) => {
                let field = |name: &String| Field {
                    name: name.clone(),
                    data_type: DataType::Any,
                };
                let schema = Schema {
                    fields: plan.columns.iter().map(field).collect(),
                    ..Schema::default()
                };
                let condition = Expression::parse_condition(condition, &schema);
                Choice::Where(condition.map_err(|error| {
                    error.hint("a journal has the columns that `--journal-columns` names")
                })?)
            }
        })
    }

    fn is_at(&self, partition: usize, place: u64, file: Option<&str>) -> bool {
        match *self {
            Choice::Line(wanted, line) => line == place && file.is_none_or(|file| file == wanted),
            Choice::Offset(of, offset) => (of, offset) == (partition, place),
            Choice::Where(_) => false,
        }
    }

    fn is_chosen(&self, event: &Event) -> bool {
        match (self, event) {
            (Choice::Where(condition), Event::Read(read)) => holds(condition, &read.columns),
            (Choice::Where(_), _) => false,
            (_, Event::Read(read)) => self.is_at(read.partition, read.place, read.file.as_deref()),
            (_, Event::Malformed(record) | Event::Ahead(record)) => {
                self.is_at(record.partition, record.place, record.file.as_deref())
            }
            _ => false,
        }
    }
}

/// Returns whether a condition holds for the columns that a journal shows of a record.
fn holds(condition: &Expression, columns: &[Json]) -> bool {
    let texts: Vec<Option<String>> = columns
        .iter()
        .map(|value| (!value.is_null()).then(|| value.plain()))
        .collect();
    let texts = texts.iter().map(Option::as_deref);
    let columns = texts.map(|text| Column::Any(Values::from_iter([text])));
    let columns: Vec<Column<'_>> = columns.collect();
    let row = Columns {
        rows: 1,
        columns,
        ..Columns::default()
    };
    let arena = Bump::new();
    condition.select(&row, &arena).rows == [true]
}

/// Returns the lives of the records that are meant.
pub(super) fn lives(journal: &Path, target: &Target, most: usize) -> Result<Lives> {
    let (plan, _) = Reader::open(journal)?;
    let choice = Choice::new(target, &plan)?;
    let events = || Ok(Reader::open(journal)?.1);
    let (lives, heard) = lives_in(&plan, most, events, |event| choice.is_chosen(event))?;
    if lives.lives.is_empty() {
        let name = format!("the journal `{}`", journal.display());
        return Err(target.not_found(&name, heard.records, heard.malformed));
    }
    Ok(lives)
}

/// Returns the stories of the windows at a moment.
pub(super) fn stories(journal: &Path, at: Moment, wanted: Wanted) -> Result<Told> {
    let (plan, events) = Reader::open(journal)?;
    let (told, heard) = stories_in(&plan, events, at, &wanted, "the journal ends at")?;
    if told.stories.is_empty() {
        return Err(nothing_there(heard.records));
    }
    Ok(told)
}
