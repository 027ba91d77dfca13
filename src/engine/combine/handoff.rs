//! Parts of states that one operator hands on to another, which holds the whole of each window.
//!
//! Where the records of a key are read in several places, each place has an operator that judges
//! them by its own watermark and adds them up; what it has since the last time leaves as parts, and
//! its states start again. Comes in at the other side: the parts of one place after the other, each
//! followed by the watermark of that place. So it is decided upstream who is late, and the minimum
//! of the watermarks says downstream when a window is whole.
//!
//! Windows of a grid are the same for all records, so those of a window and key are one part.
//! Sessions and sliding windows depend on all records of a key. A record of a session that is on time
//! even alone becomes a part with its neighbours; any other is one of its own, with the watermark by
//! which it is to be judged once its window is known.

use crate::engine::aggregate::{Accumulator, Slot};
use crate::engine::codec::{self, Corrupt};
use crate::engine::window::Window;

/// What becomes a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combining {
    /// All records of a window and key since the last parts were taken.
    ByWindow,
    /// Each record, in each of its windows.
    ByRecord,
}

/// Parts that were handed on, in their order.
#[derive(Debug)]
pub struct Parts {
    /// The keys' bytes, one after the other, and where each ends.
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    /// The window's start, or the event time of a single record.
    times: Vec<i64>,
    heads: Vec<Head>,
    /// By aggregate; the slot `i` holds the state of part `i`.
    states: Vec<Box<dyn Accumulator>>,
}

/// What is known of a part beside its states.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub window: Window,
    pub(crate) judged_at: Option<i64>,
    pub(crate) born_late: bool,
}

impl Parts {
    /// Returns room for parts, whose states are added to `states`.
    pub(crate) fn new(states: Vec<Box<dyn Accumulator>>) -> Self {
        Parts {
            keys: Vec::new(),
            key_ends: Vec::new(),
            times: Vec::new(),
            heads: Vec::new(),
            states,
        }
    }

    /// Takes up a part that [`Operator::take_parts`](crate::engine::operator::Operator::take_parts) has handed over.
    ///
    /// # Errors
    /// [`Corrupt`] where it is none of the same plan; then nothing more may be added.
    pub fn push(&mut self, key: &[u8], mut value: &[u8]) -> Result<(), Corrupt> {
        let slot = self.len() as Slot;
        let (window, judged_at): (Window, Option<i64>) = codec::take(&mut value)?;
        let born_late = codec::take(&mut value)?;
        for states in &mut self.states {
            states.reset(slot);
            states.load(slot, &mut value)?;
        }
        if !value.is_empty() {
            return Err(Corrupt);
        }
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.times.push(window.start);
        self.heads.push(Head {
            window,
            judged_at,
            born_late,
        });
        Ok(())
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.key_ends.clear();
        self.times.clear();
        self.heads.clear();
    }

    /// Returns the bytes of each part's key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.key_ends.iter().map(move |&end| {
            let key = &self.keys[start..end];
            start = end;
            key
        })
    }

    /// Returns the start of each part's window, or the event time of a single record.
    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    /// Returns what is known of each part.
    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Returns the window of a part that was judged.
    pub(crate) fn judged_whole(&self, nth: usize) -> Option<Window> {
        let head = self.heads[nth];
        head.judged_at.is_none().then_some(head.window)
    }

    /// Returns the states, by aggregate.
    pub(crate) fn states(&self) -> &[Box<dyn Accumulator>] {
        &self.states
    }
}
