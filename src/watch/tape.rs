//! The journal of the last while, in memory: what explanations are made of.

use std::collections::VecDeque;
use std::sync::Arc;

use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};

use crate::error::{Error, Result};
use crate::journal::Event;

/// How many bytes of events are packed together: they become about a seventh.
const CHUNK: usize = 256 << 10;
/// How many packed bytes are kept: about a million records.
const MOST: usize = 64 << 20;

/// Events as lines of JSON, the oldest dropped where there are too many.
#[derive(Debug, Default)]
pub(super) struct Tape {
    packed: VecDeque<Arc<[u8]>>,
    size: usize,
    /// Lines that are not packed yet.
    open: Vec<u8>,
    is_cut: bool,
}

/// The events that a tape had at a moment.
#[derive(Debug, Clone)]
pub(super) struct Taped {
    packed: Vec<Arc<[u8]>>,
    open: Vec<u8>,
    /// Whether events before them are no longer kept.
    pub(crate) is_cut: bool,
}

impl Tape {
    /// Adds an event.
    ///
    /// # Errors
    /// `bug` where it cannot be written as JSON.
    pub(crate) fn push(&mut self, event: &Event) -> Result<()> {
        serde_json::to_writer(&mut self.open, event)
            .map_err(|error| Error::bug(format!("an event is not JSON: {error}")))?;
        self.open.push(b'\n');
        if self.open.len() >= CHUNK {
            let packed: Arc<[u8]> = compress_prepend_size(&self.open).into();
            self.open.clear();
            self.size += packed.len();
            self.packed.push_back(packed);
            while self.size > MOST {
                let oldest = self.packed.pop_front();
                self.size -= oldest.map_or(self.size, |oldest| oldest.len());
                self.is_cut = true;
            }
        }
        Ok(())
    }

    /// Returns what there is now; later events are not among them.
    pub(crate) fn taped(&self) -> Taped {
        Taped {
            packed: self.packed.iter().cloned().collect(),
            open: self.open.clone(),
            is_cut: self.is_cut,
        }
    }
}

impl Taped {
    /// Returns the events, in their order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Result<Event>> {
        let packed = self.packed.iter().map(|packed| {
            decompress_size_prepended(packed)
                .map_err(|error| Error::bug(format!("a tape cannot be unpacked: {error}")))
        });
        let chunks = packed.chain(std::iter::once(Ok(self.open.clone())));
        chunks.flat_map(|chunk| {
            let (lines, error) = match chunk {
                Ok(lines) => (lines, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let lines = String::from_utf8_lossy(&lines).into_owned();
            let events = lines.lines().map(|line| {
                Event::parse(line)
                    .map_err(|error| Error::bug(format!("an event of a tape: {error}")))
            });
            error.into_iter().chain(events.collect::<Vec<_>>())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Tick;

    #[test]
    fn the_last_events_are_kept_in_their_order() {
        let mut tape = Tape::default();
        let count = 20_000;
        for at in 0..count {
            let tick = Event::Tick(Tick { at, now: Some(at) });
            tape.push(&tick).expect("JSON");
        }
        assert!(tape.packed.len() > 1 && !tape.open.is_empty());
        let at = |event: Result<Event>| match event.expect("an event") {
            Event::Tick(tick) => tick.at,
            other => panic!("{other:?}"),
        };
        let taped: Vec<i64> = tape.taped().events().map(at).collect();
        assert_eq!(taped, (0..count).collect::<Vec<i64>>());
    }
}
