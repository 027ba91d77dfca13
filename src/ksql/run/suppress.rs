//! EMIT FINAL: the last row of each window, once it takes no more records.

use std::collections::BTreeMap;

use super::store::{Changed, Changes, STREAM_TIME, Saved, StreamTime};
use super::{Event, Operator};
use crate::engine::codec::Corrupt;
use crate::engine::window::{Window, Windows};
use crate::error::Result;
use crate::ksql::window::Lateness;

/// Keeps windows back until their grace has passed, by stream time.
pub struct Suppress {
    lateness: Lateness,
    held: BTreeMap<Place, Event>,
    changed: Changed<Place>,
    stream_time: StreamTime,
}

/// End and start of a window, and the key as it is written.
type Place = (i64, i64, String);

fn place_of(event: &Event, window: Window) -> Place {
    (window.end, window.start, format!("{:?}", event.key.values))
}

impl Suppress {
    /// Returns the operator for windows with a grace.
    pub fn new(windows: &Windows, grace_ms: i64) -> Self {
        Suppress {
            lateness: Lateness::new(windows, grace_ms),
            held: BTreeMap::new(),
            changed: Changed::default(),
            stream_time: StreamTime::default(),
        }
    }
}

impl Operator for Suppress {
    fn process(&mut self, _: usize, event: Event, out: &mut Vec<Event>) {
        self.stream_time.reach(event.time);
        let Some(window) = event.key.window else {
            return out.push(event);
        };
        let place = place_of(&event, window);
        self.changed.note(|| place.clone());
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
                .is_none_or(|window| self.lateness.is_expired(window, self.stream_time.now));
            if !is_final {
                break;
            }
            self.changed.note(|| first.key().clone());
            out.push(first.remove());
        }
    }

    fn has_state(&self) -> bool {
        true
    }

    fn log_changes(&mut self) {
        self.changed.keep();
    }

    fn changes(&mut self, changes: &mut Changes) -> Result<()> {
        let held = &self.held;
        self.changed.take(0, changes, |place| held.get(place))?;
        self.stream_time.changes(changes)
    }

    fn restore(&mut self, map: u8, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if map == STREAM_TIME {
            return self.stream_time.restore(value);
        }
        self.held.insert(Place::loaded(key)?, Event::loaded(value)?);
        Ok(())
    }
}
