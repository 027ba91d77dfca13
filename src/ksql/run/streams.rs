//! Two streams joined by key within a span of time: Kafka Streams' `KStreamKStreamJoin`.
//!
//! Without GRACE PERIOD a row without a partner is given out at once, and stays even if a partner
//! comes; with it such a row waits until none can come, and leaves in order of time.

use std::collections::{BTreeMap, HashMap};

use super::tables::joined;
use super::{Event, Key, Operator};
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
    /// Rows that have had no partner yet, by time, side and arrival.
    lonely: BTreeMap<(i64, usize, u64), Event>,
    stream_time: i64,
    arrivals: u64,
}

impl StreamJoin {
    /// Returns a join.
    pub fn new(kind: JoinKind, widths: (usize, usize), appends_key: bool, within: Within) -> Self {
        StreamJoin {
            kind,
            widths,
            appends_key,
            within,
            sides: Default::default(),
            lonely: BTreeMap::new(),
            stream_time: i64::MIN,
            arrivals: 0,
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
        let mut given = Vec::new();
        for (&(time, port, arrival), event) in &self.lonely {
            let closes_at = time
                .saturating_add(self.span(port).1)
                .saturating_add(grace_ms);
            if closes_at < self.stream_time {
                out.push(self.pair(port, event, None));
                given.push((time, port, arrival));
            }
        }
        for place in given {
            self.lonely.remove(&place);
        }
    }

    fn forget(&mut self, port: usize, key: &Key) {
        // A row of this side may have a partner that is as much earlier or later as the span allows.
        let (before, after) = self.span(port);
        let kept_ms = before
            .max(after)
            .saturating_add(self.grace_ms())
            .saturating_add(before.saturating_add(after));
        let oldest = self.stream_time.saturating_sub(kept_ms);
        if let Some(rows) = self.sides[port].get_mut(key) {
            while rows
                .first_key_value()
                .is_some_and(|((time, _), _)| *time < oldest)
            {
                rows.pop_first();
            }
        }
    }
}

impl Operator for StreamJoin {
    fn process(&mut self, port: usize, event: Event, out: &mut Vec<Event>) {
        if event.is_null {
            return;
        }
        if event.key.is_null() {
            return;
        }
        self.stream_time = self.stream_time.max(event.time);
        self.arrivals += 1;
        let arrival = self.arrivals;
        let (before, after) = self.span(port);
        let window_end = event.time.saturating_add(after);
        let is_late = window_end < self.stream_time.saturating_sub(self.grace_ms());
        let waits = self.within.grace_ms.is_some();
        let mut has_partner = false;
        if waits {
            self.give_out_lonely(out);
        }
        if !is_late {
            self.sides[port]
                .entry(event.key.clone())
                .or_default()
                .insert((event.time, arrival), event.clone());
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
            self.lonely.remove(&(*time, 1 - port, *other_arrival));
            out.push(self.pair(port, &event, Some(other)));
        }
        if !has_partner && self.keeps_lonely(port) {
            if !waits || is_late {
                if !is_late || waits {
                    out.push(self.pair(port, &event, None));
                }
            } else {
                self.lonely
                    .insert((event.time, port, arrival), event.clone());
            }
        }
        self.forget(port, &event.key);
        self.forget(1 - port, &event.key);
    }
}
