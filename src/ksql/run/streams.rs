//! Two streams joined by key within a span of time: Kafka Streams' `KStreamKStreamJoin`.
//!
//! Without GRACE PERIOD a row without a partner is given out at once, and stays even if a partner
//! comes; with it such a row waits until none can come, and leaves in order of time.

use std::collections::{BTreeMap, HashMap};

use super::store::{Changed, Changes, STREAM_TIME, Saved, StreamTime, Sweep};
use super::tables::joined;
use super::{Event, Key, Operator};
use crate::engine::codec::Corrupt;
use crate::error::Result;
use crate::ksql::syntax::{JoinKind, Within};
use crate::ksql::window::DEFAULT_GRACE_MS;

/// Rows of one key by time and arrival.
type Rows = BTreeMap<(i64, u64), Event>;

/// The join.
pub struct StreamJoin {
    kind: JoinKind,
    widths: (usize, usize),
    appends_key: bool,
    within: Within,
    /// The rows of each side by key and time.
    sides: [HashMap<Key, Rows>; 2],
    /// How many rows there are on both.
    kept: usize,
    /// Rows that have had no partner yet, by time, side and arrival.
    lonely: BTreeMap<(i64, u64, u64), Event>,
    changed: [Changed<(Key, i64, u64)>; 2],
    changed_lonely: Changed<(i64, u64, u64)>,
    stream_time: StreamTime,
    arrivals: u64,
    sweep: Sweep,
}

/// The map of the rows without a partner in a changelog; those of the sides are 0 and 1.
const LONELY: u8 = 2;

impl StreamJoin {
    /// Returns a join.
    pub fn new(kind: JoinKind, widths: (usize, usize), appends_key: bool, within: Within) -> Self {
        StreamJoin {
            kind,
            widths,
            appends_key,
            within,
            sides: Default::default(),
            kept: 0,
            lonely: BTreeMap::new(),
            changed: Default::default(),
            changed_lonely: Changed::default(),
            stream_time: StreamTime::default(),
            arrivals: 0,
            sweep: Sweep::default(),
        }
    }

    fn keeps_lonely(&self, port: usize) -> bool {
        match self.kind {
            JoinKind::Inner => false,
            JoinKind::Left => port == 0,
            JoinKind::Right => port == 1,
            JoinKind::Outer => true,
        }
    }

    /// Returns how much earlier and later a partner of a row of a side may be.
    fn span(&self, port: usize) -> (i64, i64) {
        match port {
            0 => (self.within.before_ms, self.within.after_ms),
            _ => (self.within.after_ms, self.within.before_ms),
        }
    }

    fn grace_ms(&self) -> i64 {
        let size = self.within.before_ms.saturating_add(self.within.after_ms);
        self.within
            .grace_ms
            .unwrap_or_else(|| (DEFAULT_GRACE_MS - size).max(0))
    }

    fn pair(&self, port: usize, this: &Event, other: Option<&Event>) -> Event {
        let (left, right) = match port {
            0 => (Some(&this.row), other.map(|other| &other.row)),
            _ => (other.map(|other| &other.row), Some(&this.row)),
        };
        let row = joined(
            left,
            right,
            self.widths,
            self.appends_key.then_some(&this.key),
        );
        let time = other.map_or(this.time, |other| other.time.max(this.time));
        Event {
            time,
            ..this.with_row(Some(row))
        }
    }

    /// Gives out the rows that no partner can come for any more.
    fn give_out_lonely(&mut self, out: &mut Vec<Event>) {
        let grace_ms = self.grace_ms();
        let closes_at = |time: i64, after: i64| time.saturating_add(after).saturating_add(grace_ms);
        let soonest = self.within.before_ms.min(self.within.after_ms);
        let mut given = Vec::new();
        for (&(time, side, arrival), event) in &self.lonely {
            if closes_at(time, soonest) >= self.stream_time.now {
                break;
            }
            let port = usize::from(side != 0);
            if closes_at(time, self.span(port).1) < self.stream_time.now {
                out.push(self.pair(port, event, None));
                given.push((time, side, arrival));
            }
        }
        for place in given {
            self.lonely.remove(&place);
            self.changed_lonely.note(|| place);
        }
    }

    /// Forgets the rows of a key on a side that no partner can come for.
    fn forget(&mut self, port: usize, key: &Key) {
        let oldest = self.oldest(port);
        let Some(rows) = self.sides[port].get_mut(key) else {
            return;
        };
        while let Some(first) = rows.first_entry() {
            let &(time, arrival) = first.key();
            if time >= oldest {
                break;
            }
            first.remove();
            self.kept -= 1;
            self.changed[port].note(|| (key.clone(), time, arrival));
        }
        if rows.is_empty() {
            self.sides[port].remove(key);
        }
    }

    /// Forgets such rows of all keys, now and then.
    fn sweep(&mut self) {
        if !self.sweep.is_due(self.kept) {
            return;
        }
        for port in [0, 1] {
            let keys: Vec<Key> = self.sides[port].keys().cloned().collect();
            keys.iter().for_each(|key| self.forget(port, key));
        }
        self.sweep.done(self.kept);
    }

    /// Returns before which time no row of a side finds a partner.
    fn oldest(&self, port: usize) -> i64 {
        // A row of this side may have a partner that is as much earlier or later as the span allows.
        let (before, after) = self.span(port);
        let kept_ms = before
            .max(after)
            .saturating_add(self.grace_ms())
            .saturating_add(before.saturating_add(after));
        self.stream_time.now.saturating_sub(kept_ms)
    }

    fn keep(&mut self, port: usize, key: Key, place: (i64, u64), event: Event) {
        let rows = self.sides[port].entry(key).or_default();
        self.kept += usize::from(rows.insert(place, event).is_none());
    }
}

impl Operator for StreamJoin {
    fn process(&mut self, port: usize, event: Event, out: &mut Vec<Event>) {
        if event.is_null {
            return;
        }
        self.stream_time.reach(event.time);
        if event.key.is_null() {
            // It can have no partner: an outer join gives it out at once (KIP-962).
            if self.keeps_lonely(port) {
                out.push(self.pair(port, &event, None));
            }
            return;
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        let (before, after) = self.span(port);
        let window_end = event.time.saturating_add(after);
        let is_late = window_end < self.stream_time.now.saturating_sub(self.grace_ms());
        let waits = self.within.grace_ms.is_some();
        let mut has_partner = false;
        if waits {
            self.give_out_lonely(out);
        }
        if !is_late {
            let key = event.key.clone();
            self.changed[port].note(|| (key.clone(), event.time, arrival));
            self.keep(port, key, (event.time, arrival), event.clone());
        }
        let from = (event.time.saturating_sub(before), 0);
        let to = (window_end, u64::MAX);
        let others: Vec<((i64, u64), Event)> = match self.sides[1 - port].get(&event.key) {
            Some(rows) if from <= to => rows
                .range(from..=to)
                .map(|(place, other)| (*place, other.clone()))
                .collect(),
            _ => Vec::new(),
        };
        for ((time, other_arrival), other) in &others {
            if is_late && !waits {
                break;
            }
            has_partner = true;
            let place = (*time, (1 - port) as u64, *other_arrival);
            if self.lonely.remove(&place).is_some() {
                self.changed_lonely.note(|| place);
            }
            out.push(self.pair(port, &event, Some(other)));
        }
        if !has_partner && self.keeps_lonely(port) {
            if !waits || is_late {
                if !is_late || waits {
                    out.push(self.pair(port, &event, None));
                }
            } else {
                let place = (event.time, port as u64, arrival);
                self.changed_lonely.note(|| place);
                self.lonely.insert(place, event.clone());
            }
        }
        self.forget(port, &event.key);
        self.forget(1 - port, &event.key);
        self.sweep();
    }

    fn has_state(&self) -> bool {
        true
    }

    fn log_changes(&mut self) {
        self.changed.iter_mut().for_each(Changed::keep);
        self.changed_lonely.keep();
    }

    fn changes(&mut self, changes: &mut Changes) -> Result<()> {
        for (side, (changed, rows)) in (0..).zip(self.changed.iter_mut().zip(&self.sides)) {
            changed.take(side, changes, |(key, time, arrival)| {
                rows.get(key)?.get(&(*time, *arrival))
            })?;
        }
        let lonely = &self.lonely;
        self.changed_lonely
            .take(LONELY, changes, |place| lonely.get(place))?;
        self.stream_time.changes(changes)
    }

    fn restore(&mut self, map: u8, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if map == STREAM_TIME {
            return self.stream_time.restore(value);
        }
        let event = Event::loaded(value)?;
        if map == LONELY {
            self.lonely.insert(<(i64, u64, u64)>::loaded(key)?, event);
            return Ok(());
        }
        if map > LONELY {
            return Err(Corrupt);
        }
        let (key, time, arrival) = <(Key, i64, u64)>::loaded(key)?;
        self.arrivals = self.arrivals.max(arrival);
        self.keep(usize::from(map), key, (time, arrival), event);
        Ok(())
    }
}
