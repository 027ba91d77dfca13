//! The stages composed: records, watermarks and idle partitions in, panes out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::account::Account;
use super::aggregate::{Accumulator, Slot};
use super::key::{self, KeyId, Keys, Mark};
use super::pane::Panes;
use super::trigger::Trigger;
use super::watermark::Watermarks;
use super::window::{Aligned, Window};
use crate::column::Column;

/// When the first of no windows is due; the loop over due windows ends by there being none.
const NEVER: i64 = i64::MAX;

/// 1980-01-01 in ms since 1970, UTC.
const YEAR_1980: i64 = 315_532_800_000;

/// What an operator computes.
#[derive(Debug)]
pub struct Settings {
    /// Where: the windows.
    pub windows: Aligned,
    /// For how long after a window's end its late records are kept, in ms.
    pub grace_ms: i64,
    /// How far the watermark stays behind the highest event time, in ms.
    pub out_of_order_ms: i64,
    /// When rows leave.
    pub trigger: Trigger,
    /// What: one entry an aggregate.
    pub aggregates: Vec<Box<dyn Accumulator>>,
}

/// Some records of one partition, in its order, by column.
#[derive(Debug)]
pub struct Input<'b, 'a> {
    /// Which partition, from 0.
    pub partition: usize,
    /// Event times in ms since 1970, UTC; one a record.
    pub times: &'b [i64],
    /// Which records `--where` selects; `None` for all. The others move the watermark, too.
    pub selected: Option<&'b [bool]>,
    /// The grouping columns; empty for one group.
    pub keys: &'b [Cow<'b, Column<'a>>],
    /// The arguments, one entry an aggregate; `None` for `count(*)`.
    pub arguments: &'b [Option<Cow<'b, Column<'a>>>],
}

/// A windowed aggregation.
#[derive(Debug)]
pub struct Operator {
    windows: Aligned,
    grace_ms: i64,
    trigger: Trigger,
    aggregates: Vec<Box<dyn Accumulator>>,
    watermarks: Watermarks,
    account: Account,
    /// The account as it was before records that are not counted.
    uncounted: Option<Account>,
    keys: Keys,
    slots: Slots,
    open: OpenWindows,
    /// The windows of the last record, most often those of the next one.
    nearby: Nearby,
    /// Records that have a slot and are not yet added to the states.
    pending: Pending,
    /// What the last record has changed, latest window first; filled only where changes leave.
    changed: Vec<(Window, Slot)>,
    /// The keys of the batch, one a row.
    key_ids: Vec<KeyId>,
    /// The bytes of the last record's key.
    key: Vec<u8>,
}

/// The slots of window × key. Created by the first record, free again when the window leaves.
#[derive(Debug, Default)]
struct Slots {
    /// Whose slot it is; means nothing in a free slot.
    keys: Vec<KeyId>,
    free: Vec<Slot>,
}

/// The windows that hold records, by when they leave.
#[derive(Debug)]
struct OpenWindows {
    /// The watermark at which the first of them leaves.
    due: i64,
    by_end: BTreeMap<Window, usize>,
    all: Vec<OpenWindow>,
    free: Vec<usize>,
}

/// One window that holds records. Created by its first record, dropped at its end and grace.
#[derive(Debug, Default)]
struct OpenWindow {
    /// The slot of each key, found by the key's number.
    slots: HashTable<Slot>,
}

/// The windows that contain the times `[start, start + advance)`, and the slots that keys have
/// in them. Found anew when a record lies elsewhere or a window leaves.
#[derive(Debug, Default)]
struct Nearby {
    start: i64,
    windows: Vec<Window>,
    /// The slots of the keys met since, `windows.len()` a key; its mark says where they begin.
    slots: Vec<Slot>,
    /// Tells the marks of these windows from earlier ones.
    generation: u64,
}

/// Stands in [`Nearby::slots`] for a slot that has not been looked for.
const UNKNOWN: Slot = Slot::MAX;

#[derive(Debug, Default)]
struct Pending {
    slots: Vec<Slot>,
    rows: Vec<u32>,
}

impl Operator {
    /// Returns an operator over an input of `partitions` partitions.
    pub fn new(settings: Settings, partitions: usize) -> Self {
        Operator {
            windows: settings.windows,
            grace_ms: settings.grace_ms,
            trigger: settings.trigger,
            aggregates: settings.aggregates,
            watermarks: Watermarks::new(partitions, settings.out_of_order_ms),
            account: Account::default(),
            uncounted: None,
            keys: Keys::default(),
            slots: Slots::default(),
            open: OpenWindows::new(),
            nearby: Nearby::default(),
            pending: Pending::default(),
            changed: Vec::new(),
            key_ids: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Takes in some records; panes that became due leave into `panes`.
    ///
    /// Its meaning is record by record: how records are cut into batches changes nothing.
    pub fn on_batch(&mut self, input: &Input<'_, '_>, panes: &mut Panes) {
        self.intern_keys(input);
        for row in 0..input.times.len() {
            let at = input.times[row];
            if self.watermarks.observe(input.partition, at) {
                self.fire_due(input, panes);
            }
            self.account.before_1980 += u64::from(at < YEAR_1980);
            if input.selected.is_some_and(|selected| !selected[row]) {
                self.account.filtered += 1;
                continue;
            }
            self.assign(row, at);
            if self.trigger == Trigger::Changes {
                self.fire_changes(input, panes);
            }
        }
        self.flush(input);
        self.keys.sweep();
    }

    /// Ends the input: every window closes.
    pub fn on_end(&mut self, panes: &mut Panes) {
        self.watermarks.end();
        self.close_due(panes);
        self.keys.sweep();
    }

    /// Marks a partition as idle, or as active again, so that it holds the others back no more.
    pub fn on_idle(&mut self, partition: usize, idle: bool, panes: &mut Panes) {
        if self.watermarks.set_idle(partition, idle) {
            self.close_due(panes);
            self.keys.sweep();
        }
    }

    /// Takes up the combined watermark of an earlier run: windows that it had closed stay closed.
    pub fn restore_watermark(&mut self, combined: i64) {
        self.watermarks.restore(combined);
    }

    /// Counts a record that never became a row.
    pub fn on_malformed(&mut self) {
        self.account.malformed += 1;
    }

    /// Says whether records are counted from now on. Those that an earlier run has counted, and
    /// that are read again for the windows that were open, are not.
    pub fn set_counting(&mut self, counting: bool) {
        match counting {
            true => self.account = self.uncounted.take().unwrap_or(self.account),
            false => self.uncounted = Some(self.account),
        }
    }

    /// Returns where every record went so far.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Returns how far event time has come.
    pub fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    /// Returns the watermark at which a record of time `at` is in no open window any more.
    pub fn forgotten_at(&self, at: i64) -> i64 {
        let window = self.windows.starting_at(self.windows.last_start(at));
        window.end.saturating_add(self.grace_ms)
    }

    /// Adds the rows of all open windows as they are now to `panes`, in order, without closing them.
    pub fn open_panes(&self, panes: &mut Panes) {
        for (window, &index) in &self.open.by_end {
            self.push_window(*window, &self.sorted_slots(index), panes);
        }
    }

    /// Returns the earliest open window and how many are open.
    pub fn open_windows(&self) -> (Option<Window>, usize) {
        let earliest = self
            .open
            .by_end
            .first_key_value()
            .map(|(window, _)| *window);
        (earliest, self.open.by_end.len())
    }

    /// Returns how many states are held, one for each window and key.
    pub fn slots_in_use(&self) -> usize {
        self.slots.keys.len() - self.slots.free.len()
    }

    /// Finds the numbers of the rows' keys, all in one loop, so that one row's cache misses
    /// overlap with the next one's. A row that is filtered gets any number.
    fn intern_keys(&mut self, input: &Input<'_, '_>) {
        self.key_ids.clear();
        let rows = input.times.len();
        if input.keys.is_empty() {
            let only = self.keys.intern(&[]);
            self.key_ids.resize(rows, only);
            return;
        }
        for row in 0..rows {
            if input.selected.is_some_and(|selected| !selected[row]) {
                self.key_ids.push(0);
                continue;
            }
            self.key.clear();
            for column in input.keys {
                key::push(&mut self.key, column, row);
            }
            self.key_ids.push(self.keys.intern(&self.key));
        }
    }

    /// Finds the record's windows, counts its fate, and leaves it pending in each open one.
    #[inline]
    fn assign(&mut self, row: usize, at: i64) {
        if !self.nearby.contains(at, self.windows.advance_ms()) {
            self.nearby.find(at, self.windows);
        }
        let key = self.key_ids[row];
        let first = self.nearby.first_slot(self.keys.mark(key));
        let watermark = self.watermarks.combined();
        let (mut any_kept, mut any_closed) = (false, false);
        for nth in 0..self.nearby.windows.len() {
            let window = self.nearby.windows[nth];
            if window.end <= at {
                continue; // an advance that does not divide the size: some windows end in between
            }
            if watermark >= window.end {
                any_closed = true;
                if watermark >= window.end.saturating_add(self.grace_ms) {
                    self.account.windows.expired += 1;
                    continue;
                }
                self.account.windows.late += 1;
            } else {
                self.account.windows.on_time += 1;
            }
            any_kept = true;
            let mut slot = self.nearby.slots[first + nth];
            if slot == UNKNOWN {
                slot = self.slot(window, key);
                self.nearby.slots[first + nth] = slot;
            }
            self.pending.slots.push(slot);
            self.pending.rows.push(row as u32);
            if self.trigger == Trigger::Changes {
                self.changed.push((window, slot));
            }
        }
        match (any_kept, any_closed) {
            (true, false) => self.account.on_time += 1,
            (true, true) => self.account.late += 1,
            (false, _) => self.count_expired(at),
        }
    }

    fn count_expired(&mut self, at: i64) {
        self.account.expired += 1;
        let last = self.windows.starting_at(self.windows.last_start(at));
        let behind = self.watermarks.combined().saturating_sub(last.end);
        let needed = behind.saturating_add(1);
        self.account.grace_needed_ms = self.account.grace_needed_ms.max(needed);
    }

    /// Returns the slot of a key in a window, an empty one the first time.
    fn slot(&mut self, window: Window, key: KeyId) -> Slot {
        let index = self.open.index_of(window, self.grace_ms);
        let slots = &mut self.slots;
        let window = &mut self.open.all[index];
        let hash = spread(key);
        let known = window
            .slots
            .find(hash, |&slot| slots.keys[slot as usize] == key);
        if let Some(&slot) = known {
            return slot;
        }
        let slot = slots.take(key);
        for aggregate in &mut self.aggregates {
            aggregate.reset(slot);
        }
        self.keys.hold(key);
        let owner = |&slot: &Slot| spread(slots.keys[slot as usize]);
        window.slots.insert_unique(hash, slot, owner);
        slot
    }

    /// Adds the pending records to the states.
    fn flush(&mut self, input: &Input<'_, '_>) {
        if self.pending.slots.is_empty() {
            return;
        }
        for (aggregate, arguments) in self.aggregates.iter_mut().zip(input.arguments) {
            aggregate.add(
                &self.pending.slots,
                &self.pending.rows,
                arguments.as_deref(),
            );
        }
        self.pending.slots.clear();
        self.pending.rows.clear();
    }

    /// Fires what the watermark makes due, once the states hold every record read before.
    fn fire_due(&mut self, input: &Input<'_, '_>, panes: &mut Panes) {
        if self.open.due <= self.watermarks.combined() {
            self.flush(input);
            self.close_due(panes);
        }
    }

    /// Fires a row for each window that the last record has changed, the earliest first.
    fn fire_changes(&mut self, input: &Input<'_, '_>, panes: &mut Panes) {
        self.flush(input);
        let mut changed = std::mem::take(&mut self.changed);
        for (window, slot) in changed.drain(..).rev() {
            self.push_window(window, &[slot], panes);
            self.account.rows += 1;
        }
        self.changed = changed; // keeps its room
    }

    /// Lets go of the windows whose end and grace the watermark has reached, in their order.
    fn close_due(&mut self, panes: &mut Panes) {
        while self.open.due <= self.watermarks.combined()
            && let Some((&window, &index)) = self.open.by_end.first_key_value()
        {
            let slots = self.sorted_slots(index);
            if self.trigger == Trigger::Final {
                self.push_window(window, &slots, panes);
                self.account.rows += slots.len() as u64;
            }
            for &slot in &slots {
                self.keys.release(self.slots.keys[slot as usize]);
            }
            self.slots.free.extend_from_slice(&slots);
            self.open.close(window, index, self.grace_ms);
            self.nearby.forget();
        }
    }

    /// Returns the slots of a window in the order of their keys.
    fn sorted_slots(&self, index: usize) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.open.all[index].slots.iter().copied().collect();
        let bytes = |slot: Slot| self.keys.bytes(self.slots.keys[slot as usize]);
        slots.sort_unstable_by(|&left, &right| key::compare(bytes(left), bytes(right)));
        slots
    }

    fn push_window(&self, window: Window, slots: &[Slot], panes: &mut Panes) {
        for &slot in slots {
            let key = self.keys.bytes(self.slots.keys[slot as usize]);
            let values = self
                .aggregates
                .iter()
                .map(|aggregate| aggregate.result(slot));
            panes.push(window, key, values);
        }
    }
}

impl Slots {
    fn take(&mut self, key: KeyId) -> Slot {
        match self.free.pop() {
            Some(slot) => {
                self.keys[slot as usize] = key;
                slot
            }
            None => {
                self.keys.push(key);
                (self.keys.len() - 1) as Slot
            }
        }
    }
}

impl OpenWindows {
    fn new() -> Self {
        OpenWindows {
            due: NEVER,
            by_end: BTreeMap::new(),
            all: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Returns the place of a window, which is opened if it is not open.
    fn index_of(&mut self, window: Window, grace_ms: i64) -> usize {
        if let Some(&index) = self.by_end.get(&window) {
            return index;
        }
        let index = self.free.pop().unwrap_or(self.all.len());
        if index == self.all.len() {
            self.all.push(OpenWindow::default());
        }
        self.by_end.insert(window, index);
        self.set_due(grace_ms);
        index
    }

    fn close(&mut self, window: Window, index: usize, grace_ms: i64) {
        self.by_end.remove(&window);
        self.all[index].slots.clear();
        self.free.push(index);
        self.set_due(grace_ms);
    }

    fn set_due(&mut self, grace_ms: i64) {
        let first = self.by_end.first_key_value();
        self.due = first.map_or(NEVER, |(window, _)| window.end.saturating_add(grace_ms));
    }
}

impl Nearby {
    #[inline]
    fn contains(&self, at: i64, advance_ms: i64) -> bool {
        !self.windows.is_empty() && at >= self.start && at - self.start < advance_ms
    }

    fn find(&mut self, at: i64, windows: Aligned) {
        self.start = windows.last_start(at);
        self.windows.clear();
        // The windows of the span's first ms are those of all its times, and perhaps some more.
        self.windows.extend(windows.containing(self.start));
        self.slots.clear();
        self.generation += 1;
    }

    fn forget(&mut self) {
        self.windows.clear();
    }

    /// Returns where a key's slots begin.
    #[inline]
    fn first_slot(&mut self, mark: &mut Mark) -> usize {
        if mark.generation != self.generation {
            mark.generation = self.generation;
            mark.value = self.slots.len() as u32;
            self.slots
                .resize(self.slots.len() + self.windows.len(), UNKNOWN);
        }
        mark.value as usize
    }
}

/// Spreads the bits of a key's number for a hash table (Fibonacci hashing).
#[inline]
fn spread(key: KeyId) -> u64 {
    u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
