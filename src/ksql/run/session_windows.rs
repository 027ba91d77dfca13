//! Aggregates of a stream in sessions: Kafka Streams' `KStreamSessionWindowAggregate`.
//!
//! A record joins every session of its key that is at most the gap away. Where that changes a
//! session's bounds, those that were joined are taken back, each by a tombstone, before the new one.

use super::aggregate::{Adder, Aggregated, State};
use super::store::{Saved, Store, StreamTime, Sweep, remembers};
use super::{Event, Key, Operator, Row};
use crate::engine::codec::Corrupt;
use crate::engine::window::{Window, Windows};
use crate::error::Result;
use crate::ksql::window::Lateness;

/// Aggregates in sessions.
pub struct Sessions {
    adder: Adder,
    gap_ms: i64,
    lateness: Lateness,
    /// The sessions of each key, in order of their ends.
    sessions: Store<Row, Known>,
    stream_time: StreamTime,
    sweep: Sweep,
}

/// The sessions of a key.
type Known = Vec<(Window, State)>;

impl Saved for Known {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.len() as u64).save(bytes)?;
        self.iter().try_for_each(|(window, state)| {
            window.save(bytes)?;
            state.save(bytes)
        })
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        let count = u64::load(bytes)?;
        (0..count).map(|_| <(Window, State)>::load(bytes)).collect()
    }
}

impl Sessions {
    /// Returns the operator of some aggregates in sessions with a gap.
    pub fn new(aggregates: Vec<Aggregated>, gap_ms: i64, grace_ms: i64) -> Self {
        let lateness = Lateness::new(
            &Windows::Session {
                gap_ms,
                max_ms: None,
            },
            grace_ms,
        );
        Sessions {
            adder: Adder::new(aggregates),
            gap_ms,
            lateness,
            sessions: Store::default(),
            stream_time: StreamTime::default(),
            sweep: Sweep::default(),
        }
    }
}

impl Operator for Sessions {
    fn failure(&self) -> Option<&str> {
        self.adder.failure()
    }

    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.is_null() || event.is_null {
            return;
        }
        self.stream_time.reach(event.time);
        let now = self.stream_time.now;
        let single = Window {
            start: event.time,
            end: event.time,
        };
        let known = self.sessions.get(&event.key.values);
        let is_near = |window: &Window| {
            window.end >= event.time.saturating_sub(self.gap_ms)
                && window.start <= event.time.saturating_add(self.gap_ms)
        };
        let mut merged = single;
        let sessions = known.into_iter().flatten();
        for (window, _) in sessions.filter(|(window, _)| is_near(window)) {
            merged.start = merged.start.min(window.start);
            merged.end = merged.end.max(window.end);
        }
        if self.lateness.is_expired(merged, now) {
            return;
        }
        let known = self.sessions.remove(&event.key.values).unwrap_or_default();
        let (near, mut known): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(window, _)| is_near(window));
        let mut state = self.adder.start(event.time);
        let mut old = None;
        for (window, joined) in near {
            let key = Key {
                values: event.key.values.clone(),
                window: Some(window),
            };
            let row = self.adder.row(&key, &joined);
            state = self.adder.merge(state, joined);
            if merged == single {
                old = Some(row);
            } else {
                out.push(Event {
                    key,
                    old: Some(row),
                    time: window.end,
                    ..event.with_row(None)
                });
            }
        }
        self.adder.add(&mut state, &event.row, event.time);
        let key = Key {
            values: event.key.values.clone(),
            window: Some(merged),
        };
        let row = self.adder.row(&key, &state);
        let at = known.partition_point(|(window, _)| *window < merged);
        known.insert(at, (merged, state));
        let lateness = self.lateness;
        let is_kept = |(window, _): &(Window, State)| !lateness.is_expired(*window, now);
        known.retain(is_kept);
        self.sessions.insert(event.key.values.clone(), known);
        if self.sweep.is_due(self.sessions.len()) {
            self.sessions
                .remove_where(|_, known| !known.iter().any(is_kept));
            self.sweep.done(self.sessions.len());
        }
        out.push(Event {
            key,
            old,
            time: merged.end,
            ..event.with_row(Some(row))
        });
    }

    remembers!(sessions, stream_time);
}
