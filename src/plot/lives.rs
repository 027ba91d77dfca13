//! Windows from their first record to their last pane, by key, in bounded memory.
//!
//! Where there are too many, those of the keys with the fewest records go first; of a single key,
//! neighbours that are over become one box.

use hashbrown::HashMap;

use super::sample::Thinned;
use crate::engine::pane::Timing;
use crate::engine::window::Window;

/// How many windows are kept.
const MOST_LIVES: usize = 20_000;
/// How many keys are told apart; records of others count as of one.
const MOST_KEYS: usize = 50_000;
/// How many panes of a window are kept, and how many stages of a session.
const MOST_PANES: usize = 256;

/// The number of a key.
pub type Key = u32;

/// A pane where it was fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// When, in processing time.
    pub when: i64,
    /// Before its window's close, at it, or after.
    pub timing: Timing,
    /// How many came before it.
    pub index: u32,
    /// Whether none follows.
    pub is_last: bool,
    /// Whether it takes an earlier one back.
    pub is_retraction: bool,
    /// Why it was fired.
    pub why: &'static str,
    /// Its first value.
    pub value: String,
}

/// A window, or several side by side that are drawn as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// Its key.
    pub key: Key,
    /// When its first record came, in processing time.
    pub first: i64,
    /// When it was seen last.
    pub last: i64,
    /// What it was, from when on: a session grows.
    pub stages: Thinned<(i64, Window), MOST_PANES>,
    /// How many records it took, and how many of these late.
    pub records: u64,
    /// How many of its records were late.
    pub late: u64,
    /// How many of its records came after its grace.
    pub expired: u64,
    /// Its panes.
    pub panes: Thinned<Shown, MOST_PANES>,
    /// Of how many windows this is.
    pub windows: u64,
    /// Whether it became part of another session.
    pub is_merged: bool,
    /// Whether its last pane was shown, or it left without one.
    pub has_left: bool,
}

impl Life {
    fn new(key: Key, window: Window, when: i64) -> Self {
        let mut stages = Thinned::default();
        stages.push((when, window));
        Life {
            key,
            first: when,
            last: when,
            stages,
            records: 0,
            late: 0,
            expired: 0,
            panes: Thinned::default(),
            windows: 1,
            is_merged: false,
            has_left: false,
        }
    }

    /// Returns what it is in the end.
    pub fn window(&self) -> Window {
        let all = self.stages.last().map(|(_, window)| *window);
        all.unwrap_or(Window { start: 0, end: 0 })
    }

    /// Returns what is seen of it in a stretch of processing time; `None` where it is over before, or
    /// has not begun.
    pub fn within(&self, (from, to): (i64, i64)) -> Option<Self> {
        if self.first > to || (self.is_over() && self.last < from) {
            return None;
        }
        let mut seen = Life {
            last: self.last.min(to),
            stages: Thinned::default(),
            panes: Thinned::default(),
            ..self.clone()
        };
        let stages = self.stages.iter().filter(|(when, _)| *when <= to);
        stages.for_each(|stage| seen.stages.push(*stage));
        let panes = self.panes.iter();
        let panes = panes.filter(|pane| (from..=to).contains(&pane.when));
        panes.for_each(|pane| seen.panes.push(pane.clone()));
        seen.is_merged &= self.last <= to;
        seen.has_left &= self.last <= to;
        Some(seen)
    }

    /// Returns whether nothing follows.
    pub fn is_over(&self) -> bool {
        self.is_merged || self.has_left
    }

    /// Makes one of two that are side by side.
    fn fold(&mut self, other: Life) {
        let (own, its) = (self.window(), other.window());
        let window = Window {
            start: own.start.min(its.start),
            end: own.end.max(its.end),
        };
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.stages = Thinned::default();
        self.stages.push((self.first, window));
        self.records += other.records;
        self.late += other.late;
        self.expired += other.expired;
        self.windows += other.windows;
        self.has_left &= other.has_left;
        self.panes.append(other.panes);
    }
}

/// What is known of a key.
#[derive(Debug, Clone, Default)]
struct Known {
    name: String,
    records: u64,
    /// Whether its windows are no longer kept.
    is_left_out: bool,
}

/// How many windows that are over a record may belong to that came after the grace.
const MOST_EXPIRED: usize = 64;

/// The windows of all keys, or of the one that was asked for.
#[derive(Debug, Default)]
pub struct Lives {
    numbers: HashMap<Box<[u8]>, Key>,
    keys: Vec<Known>,
    open: HashMap<(Key, Window), Life>,
    over: Vec<Life>,
    /// Where the last of `over` are, by what they are.
    last: HashMap<(Key, Window), usize>,
    /// How many windows were left out.
    pub left_out: u64,
}

/// The key of the records beyond [`MOST_KEYS`].
pub const OTHERS: Key = Key::MAX;

impl Lives {
    /// Returns the number of a key; `name` says what it is called.
    pub fn key(&mut self, bytes: &[u8], name: impl FnOnce() -> String) -> Key {
        if let Some(&key) = self.numbers.get(bytes) {
            return key;
        }
        if self.keys.len() >= MOST_KEYS {
            return OTHERS;
        }
        let key = self.keys.len() as Key;
        self.numbers.insert(bytes.into(), key);
        self.keys.push(Known {
            name: name(),
            ..Known::default()
        });
        key
    }

    /// Counts a record of a key.
    #[inline]
    pub fn count(&mut self, key: Key) {
        if let Some(known) = self.keys.get_mut(key as usize) {
            known.records += 1;
        }
    }

    /// Returns how many keys there are, and whether there are more.
    pub fn keys(&self) -> (usize, bool) {
        (self.keys.len(), self.keys.len() >= MOST_KEYS)
    }

    /// Returns what a key is called.
    pub fn name(&self, key: Key) -> &str {
        self.keys.get(key as usize).map_or("", |known| &known.name)
    }

    /// Returns the key with most records among those whose windows are kept; the first of several.
    pub fn busiest(&self) -> Option<Key> {
        let kept = self
            .keys
            .iter()
            .enumerate()
            .filter(|(_, known)| !known.is_left_out);
        let busiest = kept.max_by_key(|(nth, known)| (known.records, std::cmp::Reverse(*nth)));
        busiest.map(|(nth, _)| nth as Key)
    }

    /// Returns whether the windows of a key are kept.
    #[inline]
    pub fn keeps(&self, key: Key) -> bool {
        let known = self.keys.get(key as usize);
        known.is_some_and(|known| !known.is_left_out)
    }

    /// Adds `records` more to a window that has one, the last of them at `when`.
    pub fn add(&mut self, key: Key, window: Window, when: i64, records: u64) {
        if let Some(life) = self.life(key, window, &[], when) {
            life.records += records;
            life.last = life.last.max(when);
        }
    }

    /// Adds a record to a window at `when`; sessions in `joins` are part of it from now on.
    pub fn assign(&mut self, key: Key, window: Window, joins: &[Window], when: i64, is_late: bool) {
        let Some(life) = self.life(key, window, joins, when) else {
            return;
        };
        life.records += 1;
        life.late += u64::from(is_late);
        life.last = life.last.max(when);
    }

    /// Counts a record that came after a window's grace; one that has left, or never was, stays so.
    pub fn expire(&mut self, key: Key, window: Window) {
        let place = self.last.get(&(key, window)).copied();
        if let Some(life) = place.and_then(|place| self.over.get_mut(place)) {
            life.expired += 1;
        }
    }

    /// Says that a window was made of what others hold.
    pub fn make(&mut self, key: Key, window: Window, when: i64, records: u64) {
        if let Some(life) = self.life(key, window, &[], when) {
            life.records += records;
        }
    }

    /// Adds a pane.
    pub fn show(&mut self, key: Key, window: Window, shown: Shown) {
        let (when, is_last) = (shown.when, shown.is_last);
        let Some(life) = self.life(key, window, &[], when) else {
            return;
        };
        life.last = life.last.max(when);
        life.panes.push(shown);
        if is_last {
            self.leave(key, window, when);
        }
    }

    /// Says that a window is over at `when`.
    pub fn leave(&mut self, key: Key, window: Window, when: i64) {
        if let Some(mut life) = self.open.remove(&(key, window)) {
            life.has_left = true;
            life.last = life.last.max(when);
            self.end(life);
            self.make_room(None);
        }
    }

    /// Forgets windows that were over before.
    pub fn forget(&mut self, before: i64) {
        self.over.retain(|life| life.last >= before);
        self.find_last();
    }

    /// Returns the windows of a key, by when they began.
    pub fn of(&self, key: Key) -> Vec<&Life> {
        let all = self.open.values().chain(&self.over);
        let mut lives: Vec<&Life> = all.filter(|life| life.key == key).collect();
        lives.sort_by_key(|life| (life.window().start, life.window().end, life.first));
        lives
    }

    /// Keeps a window that is over.
    fn end(&mut self, life: Life) {
        self.last.insert((life.key, life.window()), self.over.len());
        self.over.push(life);
        if let Some(before) = self.over.len().checked_sub(MOST_EXPIRED + 1) {
            let life = &self.over[before];
            let place = (life.key, life.window());
            if self.last.get(&place) == Some(&before) {
                self.last.remove(&place);
            }
        }
    }

    /// Finds the last of those that are over again, now that they lie elsewhere.
    fn find_last(&mut self) {
        self.last.clear();
        let last = self.over.len().saturating_sub(MOST_EXPIRED);
        for (nth, life) in self.over.iter().enumerate().skip(last) {
            self.last.insert((life.key, life.window()), nth);
        }
    }

    #[inline]
    fn life(&mut self, key: Key, window: Window, joins: &[Window], when: i64) -> Option<&mut Life> {
        if !self.keeps(key) {
            self.left_out += u64::from((key as usize) < self.keys.len());
            return None;
        }
        let place = (key, window);
        let is_there = joins.is_empty() && self.open.contains_key(&place);
        if !is_there {
            let joined = self.join(place, joins, when);
            if joined.is_none() {
                self.make_room(Some(key));
            }
            let life = joined.unwrap_or_else(|| Life::new(key, window, when));
            self.open.insert(place, life);
        }
        self.open.get_mut(&place)
    }

    /// Makes a session of those that are part of it from now on; `None` where there are none.
    fn join(&mut self, place: (Key, Window), joins: &[Window], when: i64) -> Option<Life> {
        let (key, window) = place;
        let life = self.open.remove(&place);
        match joins {
            // It grows.
            [before] if *before != window => {
                let mut life = self.open.remove(&(key, *before))?;
                life.stages.push((when, window));
                Some(life)
            }
            [] | [_] => life,
            several => {
                let mut all = Life::new(key, window, when);
                for before in several {
                    if let Some(mut part) = self.open.remove(&(key, *before)) {
                        all.records += part.records;
                        all.late += part.late;
                        part.last = when;
                        part.is_merged = true;
                        self.end(part);
                    }
                }
                Some(all)
            }
        }
    }

    /// Leaves windows out where there are too many; the key at hand stays, so that what goes on now is
    /// seen.
    fn make_room(&mut self, at_hand: Option<Key>) {
        if self.open.len() + self.over.len() < MOST_LIVES {
            return;
        }
        let mut keys: Vec<Key> = (0..self.keys.len() as Key).collect();
        keys.retain(|&key| !self.keys[key as usize].is_left_out);
        if keys.len() > 1 {
            keys.sort_by_key(|&key| {
                let records = self.keys[key as usize].records;
                (std::cmp::Reverse(records), key)
            });
            for &key in keys.iter().skip(keys.len().div_ceil(2)) {
                if Some(key) != at_hand || self.keys[key as usize].records == 0 {
                    self.keys[key as usize].is_left_out = true;
                }
            }
            let before = self.open.len() + self.over.len();
            let keys = &self.keys;
            let is_kept = |key: Key| {
                keys.get(key as usize)
                    .is_some_and(|known| !known.is_left_out)
            };
            self.open.retain(|(key, _), _| is_kept(*key));
            self.over.retain(|life| is_kept(life.key));
            self.find_last();
            self.left_out += (before - self.open.len() - self.over.len()) as u64;
            return;
        }
        let half = self.over.len().div_ceil(2);
        self.over = fold(std::mem::take(&mut self.over), half);
        self.find_last();
    }
}

/// Makes boxes of neighbours until there are at most so many.
pub fn fold(lives: Vec<Life>, most: usize) -> Vec<Life> {
    let each = lives.len().div_ceil(most.max(1));
    let mut folded: Vec<Life> = Vec::with_capacity(most);
    for (nth, life) in lives.into_iter().enumerate() {
        match folded.last_mut() {
            Some(last) if nth % each != 0 => last.fold(life),
            _ => folded.push(life),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> Window {
        Window { start, end }
    }

    fn shown(when: i64) -> Shown {
        Shown {
            when,
            timing: Timing::OnTime,
            index: 0,
            is_last: true,
            is_retraction: false,
            why: "close",
            value: "1".to_owned(),
        }
    }

    #[test]
    fn sessions_grow_and_merge() {
        let mut lives = Lives::default();
        let key = lives.key(b"a", || "a".to_owned());
        lives.assign(key, window(0, 0), &[], 1, false);
        lives.assign(key, window(0, 5), &[window(0, 0)], 2, false);
        lives.assign(key, window(20, 20), &[], 3, false);
        lives.assign(key, window(0, 20), &[window(0, 5), window(20, 20)], 4, true);
        let all = lives.of(key);
        let merged = all.iter().find(|life| !life.is_merged).expect("one");
        assert_eq!((merged.records, merged.late, merged.first), (4, 1, 4));
        assert_eq!(all.iter().filter(|life| life.is_merged).count(), 2);
        let grown = all.iter().find(|life| life.stages.len() == 2).expect("one");
        assert_eq!(
            (grown.first, grown.last, grown.window()),
            (1, 4, window(0, 5))
        );
    }

    #[test]
    fn the_busiest_key_stays_and_its_neighbours_become_one() {
        let mut lives = Lives::default();
        let busy = lives.key(b"busy", || "busy".to_owned());
        for nth in 0..100_000 {
            let other = lives.key(format!("{}", nth % 1_000).as_bytes(), || nth.to_string());
            for key in [busy, other] {
                let place = window(nth * 10, nth * 10 + 10);
                lives.count(key);
                lives.assign(key, place, &[], nth, false);
                lives.show(key, place, shown(nth));
            }
        }
        assert_eq!(lives.busiest(), Some(busy));
        let all = lives.of(busy);
        assert!(all.len() <= MOST_LIVES);
        assert_eq!(all.iter().map(|life| life.records).sum::<u64>(), 100_000);
        assert_eq!(all.iter().map(|life| life.windows).sum::<u64>(), 100_000);
        assert!(lives.left_out > 0);
    }
}
