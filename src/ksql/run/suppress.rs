//! EMIT FINAL: the last row of each window, once it takes no more records.

use std::collections::BTreeMap;

use super::{Event, Operator};
use crate::engine::window::Windows;
use crate::ksql::window::Lateness;

/// Keeps windows back until their grace has passed, by stream time.
pub struct Suppress {
    lateness: Lateness,
    /// By end and start of the window, then by key as it is written.
    held: BTreeMap<(i64, i64, String), Event>,
    stream_time: i64,
}

impl Suppress {
    /// Returns the operator for windows with a grace.
    pub fn new(windows: &Windows, grace_ms: i64) -> Self {
        Suppress {
            lateness: Lateness::new(windows, grace_ms),
            held: BTreeMap::new(),
            stream_time: i64::MIN,
        }
    }
}

impl Operator for Suppress {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        self.stream_time = self.stream_time.max(event.time);
        let Some(window) = event.key.window else {
            return out.push(event);
        };
        let place = (window.end, window.start, format!("{:?}", event.key.values));
        // A session that was joined to another is forgotten, not shown.
        if event.is_null {
            self.held.remove(&place);
        } else {
            self.held.insert(place, Event { old: None, ..event });
        }
        while let Some(first) = self.held.first_entry() {
            let is_final = first
                .get()
                .key
                .window
                .is_none_or(|window| self.lateness.is_expired(window, self.stream_time));
            if !is_final {
                break;
            }
            out.push(first.remove());
        }
    }
}
