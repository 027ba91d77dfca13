//! A case's input on the way into an operator, and its panes on the way out.

use std::borrow::Cow;

use k::column::{Column, Value, ValueRef, Values};
use k::engine::operator::{Input, Late, Operator};
use k::engine::pane::Panes;

use crate::case::{Action, Case, Outcome, Pane, Record};

/// An operator that is fed with a case.
pub struct Run<'c> {
    case: &'c Case,
    pub operator: Operator,
    /// How many records went in.
    place: u64,
}

impl<'c> Run<'c> {
    pub fn new(case: &'c Case) -> Self {
        let mut operator = case.plan.operator();
        operator.keep_lates();
        Run {
            case,
            operator,
            place: 0,
        }
    }

    /// Feeds one thing that goes in; returns the panes that came out.
    pub fn act(&mut self, action: &Action) -> Vec<Pane> {
        let mut panes = Panes::default();
        match action {
            Action::Record(record) => return self.feed(&[record]),
            Action::Malformed => self.operator.on_malformed(),
            Action::Watermark(partition, at) => {
                self.operator.on_watermark(*partition, *at, &mut panes);
            }
            Action::Idle(partition, idle) => self.operator.on_idle(*partition, *idle, &mut panes),
            Action::Tick(at) => self.operator.on_tick(*at, &mut panes),
            Action::End => self.operator.on_end(&mut panes),
        }
        self.taken(&panes)
    }

    /// Feeds some records of one partition as one batch.
    pub fn feed(&mut self, records: &[&Record]) -> Vec<Pane> {
        let keys: Option<Values<&str>> = records
            .iter()
            .map(|record| record.key.as_ref().map(Option::as_deref))
            .collect::<Option<Vec<_>>>()
            .map(Values::from_iter);
        let keys: Vec<Cow<'_, Column<'_>>> = keys.into_iter().map(owned_text).collect();
        let values: Values<i64> = records.iter().map(|record| record.value).collect();
        let arguments = self.case.plan.aggregates.iter().map(|aggregate| {
            let column = || Cow::Owned(Column::Bigint(values.clone()));
            aggregate.of_value.then(column)
        });
        let arguments: Vec<Option<Cow<'_, Column<'_>>>> = arguments.collect();
        let arrivals: Option<Vec<i64>> = records.iter().map(|record| record.arrival).collect();
        let times: Vec<i64> = match (&arrivals, self.case.plan.by_arrival) {
            (Some(arrivals), true) => arrivals.clone(),
            _ => records.iter().map(|record| record.at).collect(),
        };
        let selected: Vec<bool> = records
            .iter()
            .map(|record| record.outcome != Outcome::Filtered)
            .collect();
        let input = Input {
            partition: records.first().map_or(0, |record| record.partition),
            first: self.place,
            times: &times,
            arrivals: arrivals.as_deref(),
            selected: selected.contains(&false).then_some(&selected),
            keys: &keys,
            arguments: &arguments,
            taken_back: None,
            distinct: None,
        };
        self.place += records.len() as u64;
        let mut panes = Panes::default();
        self.operator.on_batch(&input, &mut panes);
        self.taken(&panes)
    }

    /// Goes on with an operator that was restored from what this one saves.
    pub fn restore(&mut self) -> Result<(), String> {
        let saved = self.operator.save();
        let mut restored = self.case.plan.operator();
        restored.keep_lates();
        restored
            .load(&saved)
            .map_err(|_| "what was saved cannot be loaded".to_owned())?;
        if restored.save() != saved {
            return Err("what was restored is not saved as it was".to_owned());
        }
        self.operator = restored;
        Ok(())
    }

    /// Returns the late record of the last step, if there was one.
    pub fn late(&mut self) -> Option<Late> {
        self.operator.take_lates().pop()
    }

    fn taken(&self, panes: &Panes) -> Vec<Pane> {
        let panes = panes.iter().map(|pane| {
            let key = pane.key().next().map(|key| match key {
                ValueRef::Text(text) => Some(text.to_owned()),
                _ => None,
            });
            Pane {
                is_retraction: pane.firing.is_retraction,
                window: pane.firing.window,
                key: if self.case.is_keyed() { key } else { None },
                values: pane.values.to_vec(),
                timing: pane.firing.timing,
                index: pane.firing.index,
                is_last: pane.firing.is_last,
            }
        });
        panes.collect()
    }
}

fn owned_text(keys: Values<&str>) -> Cow<'_, Column<'_>> {
    Cow::Owned(Column::Text(keys))
}

/// Returns an integer of a pane, null being none.
pub fn integer(value: &Value) -> i128 {
    match value {
        Value::Integer(value) => *value,
        _ => 0,
    }
}
