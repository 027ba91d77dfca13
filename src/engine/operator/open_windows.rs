//! Windows that have not left: what they wait for, and what is shown of them before.
//!
//! A run that ends while windows are open shows them as they are. Where each fires more than once that
//! is a pane like any other; where each fires once, what was shown is remembered, for its one row to
//! take back.

use std::collections::BTreeSet;

use super::{Books, Operator};
use crate::engine::aggregate::Slot;
use crate::engine::lateness::Judgement;
use crate::engine::pane::journal::Why;
use crate::engine::pane::trigger::Trigger;
use crate::engine::pane::{Firing, Panes, Timing};
use crate::engine::window::Window;

/// What the next row that the watermark brings waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    /// The open window that is due first.
    pub window: Window,
    /// The watermark at which it is.
    pub watermark: i64,
    /// How many windows are open.
    pub windows: usize,
}

/// What has not left when a run is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// How many windows are open; of sessions and sliding windows those of each key.
    pub windows: usize,
    /// How many records they hold, each as often as it lies in one; `None` where that is not known.
    pub records: Option<u64>,
}

impl Operator {
    /// Shows the open windows as they are, since no other process may continue. They stay open:
    /// what is shown of them is a pane like any other, which the next one replaces, or takes back.
    pub fn show_open(&mut self, panes: &mut Panes) {
        let slots = self.open_slots();
        let books = &mut self.books;
        for slot in slots {
            if books.history.fires_once() || books.history.since(slot) > 0 {
                books.fire(slot, Why::Stop, panes);
            }
        }
    }

    /// Takes the open windows for shown as they are: a run of an earlier version has shown them, and did
    /// not say so in its state.
    pub fn take_for_shown(&mut self) {
        let account = self.books.account;
        self.show_open(&mut Panes::default());
        self.books.account = account;
    }

    /// Returns the open window that the watermark makes leave next.
    pub fn awaited(&self) -> Option<Awaited> {
        let books = &self.books;
        let windows = self.placement.slots();
        let windows = windows.map(|slot| books.store.entry(slot).window);
        let windows = windows.map(|window| (books.due_at(window), window));
        let windows: BTreeSet<(i64, Window)> = windows.collect();
        let &(watermark, window) = windows.first()?;
        Some(Awaited {
            window,
            watermark,
            windows: windows.len(),
        })
    }

    /// Returns the watermark at which an open window has something to do next.
    pub fn due_at(&self, window: Window) -> i64 {
        self.books.due_at(window)
    }

    /// Adds the rows of all open windows as they are now to `panes`, in order, without closing them.
    pub fn open_panes(&mut self, panes: &mut Panes) {
        let slots = self.open_slots();
        let store = &self.books.store;
        for slot in slots {
            let entry = *store.entry(slot);
            let firing = Firing {
                window: entry.window,
                timing: Timing::Early,
                index: 0,
                is_last: false,
                is_retraction: false,
            };
            let push_key = |bytes: &mut Vec<u8>| store.keys.push_bytes(entry.key, bytes);
            panes.push(firing, push_key, store.values(slot));
        }
    }

    /// Returns what would leave if the input ended.
    pub fn open(&self) -> Open {
        let (windows, records) = self.placement.open_count(&self.books.store);
        let records = Some(records);
        Open { windows, records }
    }

    /// Returns the windows that are open; `None` where each key has its own.
    pub fn open_on_grid(&self) -> Option<impl Iterator<Item = Window>> {
        self.placement.windows_of_all_keys()
    }

    /// Returns the slots of windows that have not left, in the order of their rows.
    fn open_slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.placement.slots().collect();
        self.books.store.sort(&mut slots);
        slots
    }
}

impl Books {
    /// Returns the watermark at which an open window has something to do next.
    fn due_at(&self, window: Window) -> i64 {
        let judged = self.lateness.judge(window, self.watermarks.combined());
        match (self.trigger, judged) {
            (
                Trigger::Panes {
                    watermark: true, ..
                },
                Judgement::OnTime,
            ) => self.lateness.closes_at(window),
            _ => self.lateness.expires_at(window),
        }
    }
}
