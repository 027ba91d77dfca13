//! The same results worked out from all records at once, in the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use k::engine::account::Account;
use k::engine::window::{ALL_TIME, Window};

use crate::Table;
use crate::feed::Row;
use crate::inputs::{Plan, Shape};

/// Returns count and sum of every window and key.
pub fn table(shape: Shape, rows: &[Row]) -> Table {
    let mut by_key: BTreeMap<Option<String>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_key
            .entry(row.key.clone().flatten())
            .or_default()
            .push(row);
    }
    let mut table = Table::new();
    for (key, rows) in by_key {
        let times: BTreeSet<i64> = rows.iter().map(|row| row.at).collect();
        for (window, holds) in windows_of(shape, &times) {
            let held = rows.iter().filter(|row| holds.contains(&row.at));
            let values: Vec<i64> = held.clone().filter_map(|row| row.value).collect();
            let sum: i64 = values.iter().sum();
            let count = held.count() as i128;
            table.insert((window, key.clone()), [count, i128::from(sum)]);
        }
    }
    table
}

/// Returns the windows of one key with the times of its records in each.
fn windows_of(shape: Shape, times: &BTreeSet<i64>) -> Vec<(Window, BTreeSet<i64>)> {
    match shape {
        Shape::Session { gap, .. } => components(times, gap)
            .into_iter()
            .filter_map(|times| {
                let (&start, &end) = times.first().zip(times.last())?;
                Some((Window { start, end }, times))
            })
            .collect(),
        Shape::Sliding { apart } => sliding(times, apart),
        _ => {
            let mut holds: BTreeMap<Window, BTreeSet<i64>> = BTreeMap::new();
            for &at in times {
                for window in grid(shape, at) {
                    holds.entry(window).or_default().insert(at);
                }
            }
            holds.into_iter().collect()
        }
    }
}

/// Returns the connected components of the graph in which times at most a gap apart are joined.
fn components(times: &BTreeSet<i64>, gap_ms: i64) -> Vec<BTreeSet<i64>> {
    let mut left = times.clone();
    let mut components = Vec::new();
    while let Some(first) = left.pop_first() {
        let (mut component, mut frontier) = (BTreeSet::from([first]), vec![first]);
        while let Some(at) = frontier.pop() {
            let joined = left.iter().copied();
            let joined: Vec<i64> = joined
                .filter(|other| (other - at).abs() <= gap_ms)
                .collect();
            for other in joined {
                left.remove(&other);
                component.insert(other);
                frontier.push(other);
            }
        }
        components.push(component);
    }
    components
}

/// Returns the windows that end with a record, and those that begin right after one and hold
/// another (KIP-450).
fn sliding(times: &BTreeSet<i64>, apart_ms: i64) -> Vec<(Window, BTreeSet<i64>)> {
    let starts = times.iter().flat_map(|at| [at - apart_ms, at + 1]);
    let starts: BTreeSet<i64> = starts.collect();
    let windows = starts.into_iter().map(|start| {
        let end = start + apart_ms;
        let holds = times.range(start..=end).copied().collect();
        (Window { start, end }, holds)
    });
    let windows = windows.filter(|(_, holds): &(_, BTreeSet<i64>)| !holds.is_empty());
    windows.collect()
}

/// Returns the windows of a grid that contain a time, by looking at every start near it.
fn grid(shape: Shape, at: i64) -> Vec<Window> {
    let Shape::Grid {
        size,
        advance,
        offset,
    } = shape
    else {
        return vec![ALL_TIME];
    };
    let starts = at - size..=at;
    let starts = starts.filter(|start| (start - offset).rem_euclid(advance) == 0);
    let windows = starts.map(|start| Window {
        start,
        end: start + size,
    });
    windows.filter(|window| window.end > at).collect()
}

/// Counts a record of a plan with windows of a grid by the rules of the command line's contract.
pub fn account(plan: &Plan, row: &Row, watermark: i64, account: &mut Account) {
    if row.filtered {
        account.filtered += 1;
        return;
    }
    if !plan.shape.is_grid() {
        return;
    }
    let (mut kept, mut closed, mut last_close) = (false, false, i64::MIN);
    for window in grid(plan.shape, row.at) {
        let expires_at = window.end.saturating_add(plan.grace_ms);
        last_close = last_close.max(window.end);
        closed |= watermark >= window.end;
        kept |= watermark < expires_at;
        match (watermark >= window.end, watermark >= expires_at) {
            (false, _) => account.windows.on_time += 1,
            (true, false) => account.windows.late += 1,
            (true, true) => account.windows.expired += 1,
        }
    }
    match (kept, closed) {
        (true, false) => account.on_time += 1,
        (true, true) => account.late += 1,
        (false, _) => {
            account.expired += 1;
            let needed = watermark - last_close + 1;
            account.grace_needed_ms = account.grace_needed_ms.max(needed);
        }
    }
}
