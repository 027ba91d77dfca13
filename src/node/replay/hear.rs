//! Those who hear a replay: for the lives of records, for the stories of windows, for ways out.

use std::collections::HashSet;

use super::{Hearer, Looked, Wants};
use crate::engine::pane::trigger::Trigger;
use crate::engine::window::Window;
use crate::error::Result;
use crate::explain::trial::Trials;
use crate::explain::{Clock, Moment, Stories, Wanted, Witness};
use crate::expression::Expression;
use crate::format::Place;
use crate::journal::{self, Event, Malformed};
use crate::plan::Plan;
use crate::source;

/// Which records a person asks about.
#[derive(Debug)]
pub enum Choice {
    /// Those for which a condition holds.
    Where(Expression),
    /// The one at a line of a file, which is named if there are several.
    Line(Option<String>, u64),
    /// The one at an offset of a partition.
    Offset(i32, i64),
}

impl Choice {
    /// Returns whether a record at a place is meant by its place.
    pub fn is_at(&self, place: Place) -> bool {
        match (self, place) {
            (Choice::Line(_, wanted), Place::Line(line)) => *wanted == line,
            (Choice::Line(None, wanted), Place::FileLine(_, line)) => *wanted == line,
            (Choice::Line(Some(file), wanted), Place::FileLine(other, line)) => {
                file == other && *wanted == line
            }
            (Choice::Offset(partition, offset), Place::Offset(of, at)) => {
                (*partition, *offset) == (of, at)
            }
            _ => false,
        }
    }
}

/// Hears for the lives of records.
#[derive(Debug)]
pub struct Records {
    /// What it has seen.
    pub witness: Witness,
    choice: Choice,
    /// The most lives.
    most: usize,
    /// Whether windows show rows only when they leave.
    fires_once: bool,
    /// The numbers of the records of this batch that were chosen.
    chosen: HashSet<u64>,
}

impl Records {
    /// Returns what hears for at most so many of the chosen records.
    pub fn new(plan: &Plan, journal: journal::Plan, choice: Choice, most: usize) -> Self {
        Records {
            witness: Witness::new(journal),
            choice,
            most,
            fires_once: plan.trigger == Trigger::Final,
            chosen: HashSet::new(),
        }
    }

    fn choose(&mut self, batch: &Looked<'_, '_, '_>) {
        self.chosen.clear();
        let wanted = self.most.saturating_sub(self.witness.len());
        if wanted == 0 {
            return;
        }
        match &self.choice {
            Choice::Where(condition) => {
                let columns = &batch.decoded.columns;
                let holds = condition.select(columns, batch.arena).rows;
                let rows = holds.iter().enumerate().filter(|(_, holds)| **holds);
                let numbers = rows.map(|(row, _)| batch.number_of(row));
                self.chosen.extend(numbers.take(wanted));
            }
            choice => {
                let rows = batch.decoded.origins.iter().enumerate();
                let rows = rows.filter(|(_, (place, _))| choice.is_at(*place));
                let misfits = batch.misfits().filter(|(_, place)| choice.is_at(*place));
                self.chosen
                    .extend(rows.map(|(row, _)| batch.number_of(row)));
                self.chosen.extend(misfits.map(|(number, _)| number));
            }
        }
    }
}

impl Hearer for Records {
    fn look(&mut self, batch: &Looked<'_, '_, '_>) -> Wants {
        self.choose(batch);
        let is_near = !self.chosen.is_empty();
        Wants {
            records: is_near || self.witness.needs_records(),
            rows: is_near || !self.fires_once || !self.witness.is_done(),
        }
    }

    fn hear(&mut self, event: &Event) -> Result<()> {
        let chosen = &self.chosen;
        let is_chosen = |event: &Event| match event {
            Event::Read(read) => chosen.contains(&read.record),
            Event::Malformed(record) | Event::Ahead(record) => chosen.contains(&record.record),
            _ => false,
        };
        self.witness.hear(event, is_chosen);
        Ok(())
    }

    fn is_done(&mut self, batch: &Looked<'_, '_, '_>) -> bool {
        name_mover(&mut self.witness.clock, batch);
        self.witness.pause();
        self.witness.len() >= self.most && self.witness.is_done()
    }
}

/// Hears for the stories of windows.
#[derive(Debug)]
pub struct WindowsAt<'p> {
    plan: &'p Plan,
    journal: journal::Plan,
    moment: Moment,
    wanted: Wanted,
    /// Once the moment is known.
    stories: Option<Stories>,
    /// The span of event time that the windows on a grid cover; `None` for others.
    span: Option<Window>,
}

impl<'p> WindowsAt<'p> {
    /// Returns what hears for the windows at a moment; `wanted` says the rest.
    pub fn new(plan: &'p Plan, journal: journal::Plan, moment: Moment, wanted: Wanted) -> Self {
        WindowsAt {
            plan,
            journal,
            moment,
            wanted,
            stories: None,
            span: None,
        }
    }

    /// Returns what was seen; `None` where no record came.
    pub fn into_stories(self) -> Option<Stories> {
        self.stories
    }

    fn begin(&mut self, first: i64) {
        let at = self.moment.after(first, self.plan.zone.as_ref());
        if self.plan.is_on_a_grid() {
            let mut windows = Vec::new();
            self.plan.windows.span(at, &mut windows);
            let start = windows.iter().map(|window| window.start).min();
            let end = windows.iter().map(|window| window.end).max();
            self.span = start.zip(end).map(|(start, end)| Window { start, end });
        }
        self.stories = Some(Stories::new(self.journal.clone(), at, self.wanted.clone()));
    }
}

impl Hearer for WindowsAt<'_> {
    fn look(&mut self, batch: &Looked<'_, '_, '_>) -> Wants {
        let times = batch.input.times;
        if let (None, Some(&first)) = (&self.stories, times.first()) {
            self.begin(first);
        }
        let lies_in = |at: &i64| match self.span {
            Some(Window { start, end }) => (start..end).contains(at),
            None => true,
        };
        let records = times.iter().any(lies_in);
        Wants {
            records,
            rows: records || self.stories.as_ref().is_some_and(Stories::has_any),
        }
    }

    fn hear(&mut self, event: &Event) -> Result<()> {
        if let Some(stories) = &mut self.stories {
            stories.hear(event);
        }
        Ok(())
    }

    fn is_done(&mut self, batch: &Looked<'_, '_, '_>) -> bool {
        if let Some(stories) = &mut self.stories {
            name_mover(&mut stories.clock, batch);
            stories.pause();
        }
        false
    }
}

/// Hears for what would have kept records.
#[derive(Debug)]
pub struct Retried<'t, 'l>(pub &'t mut Trials<'l>);

impl Hearer for Retried<'_, '_> {
    fn look(&mut self, _: &Looked<'_, '_, '_>) -> Wants {
        Wants {
            records: true,
            rows: false,
        }
    }

    fn hear(&mut self, event: &Event) -> Result<()> {
        self.0.hear(event)
    }

    fn is_done(&mut self, _: &Looked<'_, '_, '_>) -> bool {
        self.0.are_done()
    }
}

/// Looks at first whether event times are the timestamps of their records in the topic, by which the
/// broker finds them.
#[derive(Debug)]
pub struct Probe {
    /// The partition and offset of the record that is looked at; `None`: any.
    wanted: Option<(i32, i64)>,
    /// What is looked for, if any record will do.
    at: i64,
    of_record: bool,
    found: Option<i64>,
    is_done: bool,
}

impl Probe {
    /// Returns what looks at one record.
    pub fn record(partition: i32, offset: i64) -> Self {
        Probe {
            wanted: Some((partition, offset)),
            ..Probe::first(0)
        }
    }

    /// Returns what looks at the first records, for a time.
    pub fn first(at: i64) -> Self {
        Probe {
            wanted: None,
            at,
            of_record: false,
            found: None,
            is_done: false,
        }
    }

    /// Says that event times are timestamps by the plan.
    pub fn set_of_record(&mut self, of_record: bool) {
        self.of_record = of_record;
    }

    /// Returns the time that was looked for, if it is a timestamp, too.
    pub fn found(&self) -> Option<i64> {
        self.found
    }
}

impl Hearer for Probe {
    fn look(&mut self, batch: &Looked<'_, '_, '_>) -> Wants {
        let source::Records::Messages(messages) = batch.records else {
            return Wants::default();
        };
        let mut stamps = messages.iter();
        let places = batch.decoded.origins.iter().map(|(place, _)| *place);
        let mut all_same = true;
        for (place, &at) in places.zip(batch.input.times) {
            let Place::Offset(partition, offset) = place else {
                continue;
            };
            let is_it = |message: &&source::Message<'_>| message.offset == offset;
            let stamp = stamps.find(is_it).and_then(|message| message.timestamp);
            let is_same = self.of_record || stamp == Some(at);
            match self.wanted {
                Some(wanted) if wanted == (partition, offset) => {
                    self.found = is_same.then_some(at);
                    self.is_done = true;
                }
                Some(_) => {}
                None => all_same &= is_same,
            }
        }
        if self.wanted.is_none() {
            self.found = all_same.then_some(self.at);
            self.is_done = true;
        }
        Wants::default()
    }

    fn hear(&mut self, _: &Event) -> Result<()> {
        Ok(())
    }

    fn is_done(&mut self, _: &Looked<'_, '_, '_>) -> bool {
        self.is_done
    }
}

/// Counts what each partition brings, and keeps the first record that does not fit.
#[derive(Debug, Default)]
pub struct Counted {
    /// How many records came, by partition.
    pub records: Vec<u64>,
    /// The first malformed record.
    pub malformed: Option<Malformed>,
}

impl Hearer for Counted {
    fn look(&mut self, batch: &Looked<'_, '_, '_>) -> Wants {
        let partition = batch.input.partition;
        if self.records.len() <= partition {
            self.records.resize(partition + 1, 0);
        }
        let records = batch.input.times.len() + batch.input.malformed.len();
        self.records[partition] += records as u64;
        Wants::default()
    }

    fn hear(&mut self, event: &Event) -> Result<()> {
        if let Event::Malformed(malformed) = event {
            self.malformed.get_or_insert_with(|| malformed.clone());
        }
        Ok(())
    }

    fn is_done(&mut self, _: &Looked<'_, '_, '_>) -> bool {
        false
    }
}

/// Says where the record is that has moved the watermark, if it was not read one by one.
fn name_mover(clock: &mut Clock, batch: &Looked<'_, '_, '_>) {
    let mover = clock.moved_by.as_mut();
    let Some(mover) = mover.filter(|mover| mover.place.is_none()) else {
        return;
    };
    let Some(row) = batch.row_of(mover.record) else {
        return;
    };
    mover.at = Some(batch.input.times[row]);
    mover.place = batch.place_of(row).map(Place::number);
    if let Some(Place::FileLine(file, _)) = batch.place_of(row) {
        mover.file = Some(file.to_owned());
    }
}
