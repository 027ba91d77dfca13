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
            table.insert((window, key.clone()), values(held.copied()));
        }
    }
    table
}

/// Returns count and sum of records, less those that were taken back.
fn values<'r>(rows: impl Iterator<Item = &'r Row>) -> [i128; 2] {
    rows.fold([0; 2], |[count, sum], row| {
        let sign = if row.taken_back { -1 } else { 1 };
        [
            count + sign,
            sum + sign * i128::from(row.value.unwrap_or(0)),
        ]
    })
}

/// A record, and the watermark when it came.
pub type Judged<'r> = (&'r Row, i64);

/// Returns of each record whether some window took it.
pub fn kept(plan: &Plan, rows: &[Judged]) -> Vec<bool> {
    let mut held: Vec<*const Row> = Vec::new();
    for rows in by_key(rows).into_values() {
        let windows = judged_windows(plan, &rows);
        held.extend(windows.into_values().flatten().map(std::ptr::from_ref));
    }
    let is_held = |row: &Row| held.contains(&std::ptr::from_ref(row));
    rows.iter().map(|(row, _)| is_held(row)).collect()
}

fn by_key<'r>(rows: &[Judged<'r>]) -> BTreeMap<Option<String>, Vec<Judged<'r>>> {
    let mut by_key: BTreeMap<Option<String>, Vec<Judged>> = BTreeMap::new();
    for &(row, watermark) in rows {
        let key = row.key.clone().flatten();
        by_key.entry(key).or_default().push((row, watermark));
    }
    by_key
}

fn judged_windows<'r>(plan: &Plan, rows: &[Judged<'r>]) -> BTreeMap<Window, Vec<&'r Row>> {
    match plan.shape {
        Shape::Session { gap, .. } => judged_sessions(rows, gap, plan.grace_ms),
        Shape::Sliding { apart } => judged_sliding(rows, apart, plan.grace_ms),
        shape => judged_grid(rows, shape, plan.grace_ms),
    }
}

/// Returns count and sum of every window and key over the records that came before it expired.
pub fn judged_table(plan: &Plan, rows: &[Judged]) -> Table {
    let mut table = Table::new();
    for (key, rows) in by_key(rows) {
        for (window, held) in judged_windows(plan, &rows) {
            table.insert((window, key.clone()), values(held.into_iter()));
        }
    }
    table
}

fn judged_grid<'r>(
    rows: &[Judged<'r>],
    shape: Shape,
    grace_ms: i64,
) -> BTreeMap<Window, Vec<&'r Row>> {
    let mut windows: BTreeMap<Window, Vec<&Row>> = BTreeMap::new();
    for &(row, watermark) in rows {
        for window in grid(shape, row.at) {
            if watermark < window.end.saturating_add(grace_ms) {
                windows.entry(window).or_default().push(row);
            }
        }
    }
    windows
}

/// A record joins the sessions that have not expired and that it is near to, unless what they
/// become has expired.
fn judged_sessions<'r>(
    rows: &[Judged<'r>],
    gap_ms: i64,
    grace_ms: i64,
) -> BTreeMap<Window, Vec<&'r Row>> {
    let (mut all, mut open) = (BTreeMap::new(), Vec::<(Window, Vec<&Row>)>::new());
    for &(row, watermark) in rows {
        let has_expired = |window: Window| watermark >= window.end + gap_ms + 1 + grace_ms;
        all.extend(open.extract_if(.., |(window, _)| has_expired(*window)));
        let is_near =
            |window: Window| (window.start - gap_ms..=window.end + gap_ms).contains(&row.at);
        let near = open.iter().filter(|(window, _)| is_near(*window));
        let alone = Window {
            start: row.at,
            end: row.at,
        };
        let whole = near.fold(alone, |whole, (window, _)| Window {
            start: whole.start.min(window.start),
            end: whole.end.max(window.end),
        });
        if !has_expired(whole) {
            let joined = open.extract_if(.., |(window, _)| is_near(*window));
            let joined = joined.flat_map(|(_, held)| held);
            let held = joined.chain([row]).collect();
            open.push((whole, held));
        }
    }
    all.extend(open);
    all
}

/// A record is kept if a window that it lies in has not expired: one that ends with it, or with
/// another that was kept, or begins right after one.
fn judged_sliding<'r>(
    rows: &[Judged<'r>],
    apart_ms: i64,
    grace_ms: i64,
) -> BTreeMap<Window, Vec<&'r Row>> {
    let window = |start: i64| Window {
        start,
        end: start + apart_ms,
    };
    let takes = |window: Window, (row, watermark): Judged| {
        (window.start..=window.end).contains(&row.at) && watermark < window.end + 1 + grace_ms
    };
    let around = |row: &Row| [row.at - apart_ms, row.at + 1].map(window);
    let mut kept: Vec<Judged> = Vec::new();
    for &judged in rows {
        let made = kept.iter().flat_map(|(other, _)| around(other));
        if made
            .chain(around(judged.0))
            .any(|window| takes(window, judged))
        {
            kept.push(judged);
        }
    }
    let made = kept
        .iter()
        .flat_map(|(row, _)| around(row).map(|window| (window, row.at)));
    let mut windows = BTreeMap::new();
    for (window, by) in made {
        let held = kept.iter().filter(|judged| takes(window, **judged));
        let held: Vec<&Row> = held.map(|(row, _)| *row).collect();
        // The window that ends with a record is there if it took it.
        let is_made = by < window.start || held.iter().any(|row| row.at == by);
        if is_made && !held.is_empty() {
            windows.insert(window, held);
        }
    }
    windows
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
    let (size, advance, offset) = match shape {
        Shape::Grid {
            size,
            advance,
            offset,
        } => (size, advance, offset),
        Shape::Days { days, advance } => return days_around(at, days, advance),
        _ => return vec![ALL_TIME],
    };
    let starts = at - size..=at;
    let starts = starts.filter(|start| (start - offset).rem_euclid(advance) == 0);
    let windows = starts.map(|start| Window {
        start,
        end: start + size,
    });
    windows.filter(|window| window.end > at).collect()
}

/// Returns the windows of days in Paris that contain a time of 2026.
fn days_around(at: i64, days: i64, advance: i64) -> Vec<Window> {
    const HOUR: i64 = 3_600_000;
    /// That begin with summer time: from the 30th of March to the 25th of October.
    const SUMMER: std::ops::RangeInclusive<i64> = 20_542..=20_751;
    let midnight = |day: i64| {
        let ahead = if SUMMER.contains(&day) { 2 } else { 1 };
        (day * 24 - ahead) * HOUR
    };
    let today = at / (24 * HOUR);
    let firsts = today - days - 1..=today + 1;
    let firsts = firsts.filter(|first| first % advance == 0);
    let windows = firsts.map(|first| Window {
        start: midnight(first),
        end: midnight(first + days),
    });
    windows
        .filter(|window| (window.start..window.end).contains(&at))
        .collect()
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
