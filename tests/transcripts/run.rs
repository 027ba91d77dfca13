//! An operator that is fed with a case.

use k::engine::operator::{Late, Operator};
use k::engine::pane::Panes;
use k::engine::pane::journal::Misfit;

use crate::case::{Action, Case, Record};
use crate::feed::{Log, Pane, Row, feed, taken};

/// A run of a case.
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
            Action::Malformed => self.operator.on_malformed(0, &Misfit::default()),
            Action::Watermark(partition, at) => {
                self.operator.on_watermark(*partition, *at, &mut panes);
            }
            Action::Idle(partition, idle) => self.operator.on_idle(*partition, *idle, &mut panes),
            Action::Tick(at) => self.operator.on_tick(*at, &mut panes),
            Action::End => self.operator.on_end(&mut panes),
        }
        taken(&panes)
    }

    /// Feeds some records of one partition as one batch.
    pub fn feed(&mut self, records: &[&Record]) -> Vec<Pane> {
        let rows: Vec<&Row> = records.iter().map(|record| &record.row).collect();
        let aggregates = self.case.plan.aggregates.iter();
        let of_value: Vec<bool> = aggregates.map(|aggregate| aggregate.of_value).collect();
        let first = self.place;
        self.place += rows.len() as u64;
        feed(&mut self.operator, &rows, first, &of_value)
    }

    /// Adds what has changed to a log, whose last rows are kept, and continues with an operator
    /// that was restored from it.
    pub fn replay(&mut self, log: &mut Log) -> Result<(), String> {
        log.take(&mut self.operator);
        let mut empty = self.case.plan.operator();
        empty.log_changes();
        let mut restored = log
            .restore(empty)
            .map_err(|_| "what was logged cannot be restored".to_owned())?;
        restored.keep_lates();
        let rows = log.rows.iter();
        let bytes: usize = rows.map(|(key, value)| key.len() + value.len()).sum();
        if [self.operator.logged(), restored.logged()] != [(log.rows.len() as u64, bytes as u64); 2]
        {
            return Err("the log is not of the size that it is said to be".to_owned());
        }
        if restored.slots_in_use() != self.operator.slots_in_use() {
            return Err("the log holds other states than there were".to_owned());
        }
        self.operator = restored;
        Ok(())
    }

    /// Returns the late record of the last step, if there was one.
    pub fn late(&mut self) -> Option<Late> {
        self.operator.take_lates().pop()
    }
}
