//! How the windows of a record, and its slots in them, are found: three ways, and what they share.
//!
//! Windows of a `grid` are the same for all keys. `session`s and `sliding` windows are those of each
//! key, and `timers` say when one of them is due.

pub mod grid;
pub mod session;
pub mod sliding;
mod timers;

use super::aggregate::Slot;
use super::lateness::Lateness;
use super::state::history::History;
use super::state::store::Store;
use super::window::{Window, Windows};
use grid::Grid;
use session::Sessions;
use sliding::Sliding;

/// The slots of all windows that are open.
#[derive(Debug)]
pub enum Placement {
    Grid(Grid),
    Sessions(Sessions),
    Sliding(Sliding),
}

/// Slots that are due at a watermark, in the order of their rows.
#[derive(Debug)]
pub struct Due {
    pub slots: Vec<Slot>,
    /// How many of them leave, the first ones; of the others the window has closed.
    pub leaving: usize,
}

impl Placement {
    pub fn new(windows: &Windows, lateness: Lateness, fires_once: bool) -> Self {
        match *windows {
            Windows::Session { gap_ms, max_ms } => {
                Placement::Sessions(Sessions::new(gap_ms, max_ms))
            }
            Windows::Sliding { apart_ms } => Placement::Sliding(Sliding::new(apart_ms)),
            Windows::Aligned(_) | Windows::Calendar(_) | Windows::Global => {
                Placement::Grid(Grid::new(lateness, !fires_once))
            }
        }
    }

    /// Returns the watermark at which some window has something to do.
    #[inline]
    pub fn due(&self) -> i64 {
        match self {
            Placement::Grid(grid) => grid.due(),
            Placement::Sessions(sessions) => sessions.timers.due(),
            Placement::Sliding(sliding) => sliding.timers.due(),
        }
    }

    /// Returns some of the slots that are due at a watermark, those that are due first; to be called
    /// until there are none. What leaves is not open any more. `sorted` says whether order matters.
    pub fn take_due(
        &mut self,
        watermark: i64,
        sorted: bool,
        lateness: &Lateness,
        history: &History,
        store: &mut Store,
    ) -> Option<Due> {
        match self {
            Placement::Grid(grid) => grid.take_due(watermark, sorted, store),
            Placement::Sessions(sessions) => {
                let due = sessions
                    .timers
                    .take_due(watermark, lateness, history, store)?;
                due.leaving().for_each(|slot| sessions.remove(slot, store));
                Some(due)
            }
            Placement::Sliding(sliding) => {
                let due = sliding
                    .timers
                    .take_due(watermark, lateness, history, store)?;
                due.leaving().for_each(|slot| sliding.remove(slot, store));
                Some(due)
            }
        }
    }

    /// Takes the slots of all windows out; none is open any more.
    pub fn take_all(&mut self) -> Vec<Slot> {
        match self {
            Placement::Grid(grid) => grid.take_all(),
            Placement::Sessions(sessions) => sessions.take_all(),
            Placement::Sliding(sliding) => sliding.take_all(),
        }
    }

    /// Takes up a slot of an earlier run, which is due at `due` first. `closed` says whether what is
    /// to be done at its window's close was done.
    pub fn load(&mut self, slot: Slot, closed: bool, due: i64, store: &Store) {
        match self {
            Placement::Grid(grid) => grid.load(slot, closed, store),
            Placement::Sessions(sessions) => {
                sessions.add(slot, store);
                sessions.timers.set(due, slot, store);
            }
            Placement::Sliding(sliding) => {
                sliding.add(slot, store);
                sliding.timers.set(due, slot, store);
            }
        }
    }

    /// Returns the slots of windows that have not left.
    pub fn slots(&self) -> Box<dyn Iterator<Item = Slot> + '_> {
        match self {
            Placement::Grid(grid) => Box::new(grid.slots()),
            Placement::Sessions(sessions) => Box::new(sessions.slots()),
            Placement::Sliding(sliding) => Box::new(sliding.slots()),
        }
    }

    /// Returns how many windows would leave if the input ended, and with how many records.
    pub fn open_count(&self, store: &Store) -> (usize, u64) {
        let records = |slot: Slot| u64::from(store.entry(slot).records);
        match self {
            Placement::Grid(grid) => grid.open_count(store),
            Placement::Sessions(_) | Placement::Sliding(_) => {
                (self.slots().count(), self.slots().map(records).sum())
            }
        }
    }

    /// Returns the windows of all keys whose row has not left; `None` where each key has its own.
    pub fn windows_of_all_keys(&self) -> Option<impl Iterator<Item = Window>> {
        match self {
            Placement::Grid(grid) => Some(grid.not_closed()),
            Placement::Sessions(_) | Placement::Sliding(_) => None,
        }
    }
}

impl Due {
    fn leaving(&self) -> impl Iterator<Item = Slot> {
        self.slots[..self.leaving].iter().copied()
    }
}
