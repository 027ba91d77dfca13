//! Aggregates of a stream in sessions: Kafka Streams' `KStreamSessionWindowAggregate`.
//!
//! A record joins every session of its key that is at most the gap away. Where that changes a
//! session's bounds, those that were joined are taken back, each by a tombstone, before the new one.

use std::collections::HashMap;

use super::aggregate::{Adder, Aggregated, State};
use super::{Event, Key, Operator, Row};
use crate::engine::window::{Window, Windows};
use crate::ksql::window::Lateness;

/// Aggregates in sessions.
pub struct Sessions {
    adder: Adder,
    gap_ms: i64,
    lateness: Lateness,
    /// The sessions of each key, in order of their ends.
    sessions: HashMap<Row, Vec<(Window, State)>>,
    stream_time: i64,
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
            sessions: HashMap::new(),
            stream_time: i64::MIN,
        }
    }
}

impl Operator for Sessions {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.is_null() || event.is_null {
            return;
        }
        self.stream_time = self.stream_time.max(event.time);
        let single = Window {
            start: event.time,
            end: event.time,
        };
        let known = self.sessions.entry(event.key.values.clone()).or_default();
        let is_near = |window: &Window| {
            window.end >= event.time.saturating_sub(self.gap_ms)
                && window.start <= event.time.saturating_add(self.gap_ms)
        };
        let mut merged = single;
        for (window, _) in known.iter().filter(|(window, _)| is_near(window)) {
            merged.start = merged.start.min(window.start);
            merged.end = merged.end.max(window.end);
        }
        if self.lateness.is_expired(merged, self.stream_time) {
            return;
        }
        let (near, far): (Vec<_>, Vec<_>) = std::mem::take(known)
            .into_iter()
            .partition(|(window, _)| is_near(window));
        *known = far;
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
        let (lateness, stream_time) = (self.lateness, self.stream_time);
        known.retain(|(window, _)| !lateness.is_expired(*window, stream_time));
        out.push(Event {
            key,
            old,
            time: merged.end,
            ..event.with_row(Some(row))
        });
    }
}
