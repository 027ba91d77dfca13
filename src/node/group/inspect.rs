//! What a group has done so far, from outside: from its offsets, its changelog and the ends of its topic.
//!
//! Nothing is joined, committed or written: a group at work does not notice. What is seen is what the
//! group's last commits have left, which is at most one commit old.

use std::sync::atomic::AtomicBool;

use super::changelog;
use super::plan::Described;
use super::restore::{LogReader, take_up};
use super::start::{REPARTITION, YES, built_columns};
use super::topics;
use crate::engine::operator::Operator;
use crate::error::{Error, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::node::input::Given;
use crate::plan::Plan;
use crate::source::kafka::Starts;

/// What a group computes.
pub struct Built {
    /// Its plan, over the columns that it was begun with.
    pub plan: Plan,
    /// The topic that it reads.
    pub topic: String,
    /// Whether records are brought together by what they are grouped by.
    pub is_repartitioned: bool,
}

/// Returns what a group computes, as the first row of its changelog says; `None` where it has no state.
///
/// # Errors
/// `retry` when no broker answers, `refused` for a plan that this version cannot read.
pub fn built(admin: &Admin, settings: &Settings, group: &str) -> Result<Option<Built>> {
    let Some(built_with) = Described::load(admin, settings, group)? else {
        return Ok(None);
    };
    let columns = built_columns(&built_with)?;
    let (Some((schema, notation)), Some(topic)) = (columns, built_with.get("--from")) else {
        return Err(Error::refused(format!(
            "the state of group `{group}` does not say its columns"
        ))
        .hint("an earlier version of `k` has built it, and can go on with it"));
    };
    let form = Given::default().form(notation);
    let plan = form.plan(&built_with.query(group)?, schema, true);
    Ok(Some(Built {
        plan: plan.map_err(|why| Described::unreadable(group, &built_with.flags(), &why))?,
        topic: topic.to_owned(),
        is_repartitioned: built_with.get(REPARTITION) == Some(YES),
    }))
}

/// A task that holds windows, as its last commit has left it.
pub struct Held {
    /// The partition of the input or, where records are brought together, of the group's own topic.
    pub partition: i32,
    /// Its windows and its watermark.
    pub operator: Operator,
}

/// How far a group has read a partition of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The partition.
    pub partition: i32,
    /// The offset that it goes on at; `None` where it has committed nothing.
    pub committed: Option<i64>,
    /// The first offset that is there.
    pub first: i64,
    /// One past the last record that is there.
    pub end: i64,
}

impl Reached {
    /// Returns how many offsets it is behind the end.
    pub fn behind(&self) -> u64 {
        let at = self.committed.unwrap_or(self.first);
        self.end.saturating_sub(at).max(0).unsigned_abs()
    }
}

/// Returns how far a group has read each partition.
///
/// # Errors
/// `retry` when no broker answers.
pub fn reached(settings: &Settings, group: &str, starts: &Starts) -> Result<Vec<Reached>> {
    let committed = topics::committed(settings, group, starts)?;
    let reached = starts.iter().zip(committed);
    let reached = reached.map(|((partition, start), committed)| Reached {
        partition,
        committed: committed.map(|committed| committed.offset),
        first: start.first,
        end: start.end,
    });
    Ok(reached.collect())
}

/// Returns the tasks of a group that hold windows; `is_repartitioned` says whether records are brought
/// together by what they are grouped by.
///
/// # Errors
/// `retry` when no broker answers, `refused` for a state that cannot be read.
pub fn held(
    plan: &Plan,
    settings: &Settings,
    group: &str,
    starts: &Starts,
    is_repartitioned: bool,
) -> Result<Vec<Held>> {
    let log = LogReader {
        topic: changelog::name_of(group),
        settings: settings.clone(),
    };
    let upstream = if is_repartitioned { starts.len() } else { 1 };
    let held = starts.iter().map(|(partition, _)| {
        let mut operator = plan.operator(upstream)?;
        let (rows, ..) = log.read(partition, None, &AtomicBool::new(false))?;
        take_up(&mut operator, rows).map_err(|_| {
            Error::refused(format!(
                "the state in topic `{}`, partition {partition}, cannot be read",
                log.topic
            ))
            .hint("the version of `k` that has written it reads it")
        })?;
        Ok(Held {
            partition,
            operator,
        })
    });
    held.collect()
}
