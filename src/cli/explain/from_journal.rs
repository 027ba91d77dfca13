//! Answers from the journal of a run.

use std::path::Path;

use bumpalo::Bump;

use super::answer::{Lives, Told};
use super::replayed::nothing_there;
use super::target::Target;
use crate::column::{Column, Columns, DataType, Field, Schema, Values};
use crate::error::Result;
use crate::explain::trial::Trials;
use crate::explain::{Ending, Moment, Stories, Teller, Wanted, Witness};
use crate::expression::Expression;
use crate::journal::{Event, Json, Plan, Reader};
use crate::term::units::format_time;

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
    let (plan, events) = Reader::open(journal)?;
    let choice = Choice::new(target, &plan)?;
    let mut witness = Witness::new(plan.clone());
    let (mut read, mut malformed) = (0, 0);
    for event in events {
        let event = event?;
        read += u64::from(matches!(event, Event::Read(_)));
        malformed += u64::from(matches!(event, Event::Malformed(_)));
        let begun = witness.len();
        witness.hear(&event, |event| begun < most && choice.is_chosen(event));
        if witness.len() >= most && witness.is_done() {
            break;
        }
    }
    witness.pause();
    if witness.is_empty() {
        let name = format!("the journal `{}`", journal.display());
        return Err(target.not_found(&name, read + malformed, malformed));
    }
    witness.find_ways_out();
    if let Some(mut trials) = Trials::new(&plan, witness.lives()) {
        let (_, events) = Reader::open(journal)?;
        for event in events {
            trials.hear(&event?)?;
            if trials.are_done() {
                break;
            }
        }
    }
    Ok(Lives {
        teller: Teller::new(plan, witness.clock.watermark),
        lives: witness.into_lives(),
    })
}

/// Returns the stories of the windows at a moment.
pub(super) fn stories(journal: &Path, at: Moment, wanted: Wanted) -> Result<Told> {
    let (plan, events) = Reader::open(journal)?;
    let zone = plan.zone.as_deref();
    let zone = zone.and_then(|zone| jiff::tz::TimeZone::get(zone).ok());
    let mut stories: Option<Stories> = None;
    let mut read = 0;
    for event in events {
        let event = event?;
        if let Event::Read(record) = &event {
            read += 1;
            stories.get_or_insert_with(|| {
                let at = at.after(record.at, zone.as_ref());
                Stories::new(plan.clone(), at, wanted.clone())
            });
        }
        if let Some(stories) = &mut stories {
            stories.hear(&event);
        }
    }
    let watermark = stories.as_ref().and_then(|stories| stories.clock.watermark);
    let stories = stories.map_or(Vec::new(), Stories::take);
    if stories.is_empty() {
        return Err(nothing_there(read));
    }
    let waits = |story: &crate::explain::Story| {
        let due = if plan.trigger.contains("watermark") && !story.has_closed {
            story.closes_at
        } else {
            story.expires_at
        };
        match due {
            None => "Its next row waits for the end of the input.".to_owned(),
            Some(due) => format!(
                "Its next row waits for the watermark to reach {}; the journal ends at {}.",
                format_time(due),
                watermark.map_or_else(|| "none".to_owned(), format_time)
            ),
        }
    };
    let told = stories.into_iter().map(|story| {
        let waits = (story.ending == Ending::Open).then(|| waits(&story));
        (story, waits)
    });
    Ok(Told {
        teller: Teller::new(plan.clone(), watermark),
        stories: told.collect(),
    })
}
