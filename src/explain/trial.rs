//! What would have kept a record: the engine, asked again with other flags.
//!
//! Which session a record joins, and so when that closes, depends on the records of its key before it,
//! and on how long those are remembered: on the grace itself. So a trial hands the records of the key
//! to an operator, each at the watermark that it came at, and looks what becomes of the last one. A
//! bound that is longer by 1 ms moves every watermark back by 1 ms.

use std::collections::HashMap;

use super::{Life, Outcome, WayOut};
use crate::engine::aggregate::Function;
use crate::engine::operator::{Input, Noted, Operator, Settings};
use crate::engine::pane::trigger::Trigger;
use crate::engine::pane::{Panes, Refinement};
use crate::engine::watermark::Bound;
use crate::engine::window::Windows;
use crate::error::{Error, Result};
use crate::journal::{Event, Json, Kind, Plan};

/// The records of a key up to one that was dropped, each with its time and the combined watermark.
type Log = Vec<(i64, Option<i64>)>;

/// Finds the ways out of records that were dropped, in a second hearing of the run.
#[derive(Debug)]
pub struct Trials<'l> {
    plan: Plan,
    windows: Windows,
    /// The lives to be completed, by key, in the order of their records.
    by_key: HashMap<Vec<Json>, Vec<&'l mut Life>>,
    logs: HashMap<Vec<Json>, Log>,
    watermark: Option<i64>,
    /// The record at hand: its key and time.
    at_hand: Option<(Vec<Json>, i64, u64)>,
    left: usize,
}

/// Returns the windows whose close depends on other records, if those of a plan do.
fn windows_of(plan: &Plan) -> Option<Windows> {
    let windows = &plan.windows;
    match (windows.kind, windows.gap, &windows.size) {
        (Kind::Session, Some(gap_ms), _) => Some(Windows::Session {
            gap_ms,
            max_ms: windows.max,
        }),
        (Kind::Sliding, _, Some(crate::journal::Length::Ms(apart_ms))) => Some(Windows::Sliding {
            apart_ms: *apart_ms,
        }),
        _ => None,
    }
}

impl<'l> Trials<'l> {
    /// Returns the trials of those lives that ended by being late; `None` where none did, or the events
    /// have said enough.
    pub fn new(plan: &Plan, lives: &'l mut [Life]) -> Option<Self> {
        let windows = windows_of(plan)?;
        let dropped = lives
            .iter_mut()
            .filter(|life| life.outcome == Outcome::Expired && !life.windows.is_empty());
        let mut by_key: HashMap<Vec<Json>, Vec<&mut Life>> = HashMap::new();
        let mut left = 0;
        for life in dropped {
            by_key.entry(life.key.clone()).or_default().push(life);
            left += 1;
        }
        (left > 0).then(|| Trials {
            plan: plan.clone(),
            windows,
            by_key,
            logs: HashMap::new(),
            watermark: None,
            at_hand: None,
            left,
        })
    }

    /// Returns whether all are found.
    pub fn are_done(&self) -> bool {
        self.left == 0
    }

    /// Hears an event of the run; it has to have every record.
    ///
    /// # Errors
    /// `bug` where the engine does not take its own records.
    pub fn hear(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Read(read) => {
                let is_watched = self.by_key.contains_key(&read.key);
                self.at_hand = is_watched.then(|| (read.key.clone(), read.at, read.record));
                Ok(())
            }
            Event::Watermark(moved) => {
                self.watermark = moved.combined;
                Ok(())
            }
            // Whatever becomes of it, its windows are looked for.
            Event::Assigned(_) | Event::Expired(_) => match self.at_hand.take() {
                Some((key, at, record)) => self.take(&key, at, record),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn take(&mut self, key: &[Json], at: i64, record: u64) -> Result<()> {
        let log = self.logs.entry(key.to_vec()).or_default();
        log.push((at, self.watermark));
        let Some(lives) = self.by_key.get_mut(key) else {
            return Ok(());
        };
        if let Some(life) = lives.iter_mut().find(|life| life.origin.record == record) {
            life.way_out = Some(way_out(&self.plan, &self.windows, log)?);
            self.left -= 1;
        }
        Ok(())
    }
}

/// Returns what would have kept the last record of a log.
fn way_out(plan: &Plan, windows: &Windows, log: &Log) -> Result<WayOut> {
    let Some(&(at, Some(watermark))) = log.last() else {
        return Ok(WayOut::default());
    };
    // No window of it ends before it: so late it is at most.
    let most = watermark.saturating_sub(at).max(0) + 1;
    let kept = |grace, earlier| is_kept(windows, log, grace, earlier);
    let grace = first(plan.grace, most, |grace| kept(grace, 0))?;
    let out_of_order = match plan.out_of_order {
        None => None,
        Some(bound) => first(0, most, |earlier| kept(plan.grace, earlier))?
            .map(|earlier| bound.saturating_add(earlier)),
    };
    Ok(WayOut {
        grace,
        out_of_order,
    })
}

/// Returns a number above `low`, at most `high`, at which something holds, while it does not 1 below.
fn first(mut low: i64, mut high: i64, holds: impl Fn(i64) -> Result<bool>) -> Result<Option<i64>> {
    high = high.max(low + 1);
    if !holds(high)? {
        return Ok(None);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            high = middle
        } else {
            low = middle
        }
    }
    Ok(Some(high))
}

/// Returns whether the last record of a log is kept with a grace, and watermarks that are some ms
/// earlier.
fn is_kept(windows: &Windows, log: &Log, grace_ms: i64, earlier_ms: i64) -> Result<bool> {
    let settings = Settings {
        windows: windows.clone(),
        grace_ms,
        // Records move no watermark: each is moved to where it was.
        bound: Bound::Fixed(i64::MAX),
        trigger: Trigger::Final,
        refinement: Refinement::Accumulating,
        aggregates: vec![Function::Count.accumulator(None)?],
        distinct: None,
    };
    let mut operator = Operator::new(settings, 1);
    let mut panes = Panes::default();
    for (nth, &(at, watermark)) in log.iter().enumerate() {
        if let Some(watermark) = watermark {
            operator.on_watermark(0, watermark.saturating_sub(earlier_ms), &mut panes);
        }
        let input = Input {
            partition: 0,
            origin: 0,
            first: nth as u64,
            noted: Noted::default(),
            malformed: &[],
            times: &[at],
            arrivals: None,
            selected: None,
            keys: &[],
            arguments: &[None],
            carried: &[],
            taken_back: None,
            distinct: None,
            parts: None,
        };
        let before = operator.account().expired;
        operator.on_batch(&input, &mut panes)?;
        panes.clear();
        if nth + 1 == log.len() {
            return Ok(operator.account().expired == before);
        }
    }
    Err(Error::bug("a trial without a record"))
}
