//! Grouping keys as small numbers that states are found by.
//!
//! In: the grouping columns of a row. Out: a [`KeyId`] for as long as some window holds the key.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::column::Column;
use crate::engine::key::{SHORT_ANY, SHORT_TEXT, compare, prefix, push_row};

/// A key's number; it may name another key once it has been released.
pub type KeyId = u32;

/// Fills a block with the next rows that are selected; returns how many there are.
#[inline]
fn fill(block: &mut [usize], next: &mut usize, rows: usize, selected: Option<&[bool]>) -> usize {
    let Some(selected) = selected else {
        let count = block.len().min(rows - *next);
        let following = block[..count].iter_mut().zip(*next..);
        following.for_each(|(place, row)| *place = row);
        *next += count;
        return count;
    };
    let mut count = 0;
    while *next < rows && count < block.len() {
        // Without a branch: which rows are selected cannot be foretold.
        block[count] = *next;
        count += usize::from(selected[*next]);
        *next += 1;
    }
    count
}

/// The keys that some open window holds.
///
/// A number stays with its key until [`Keys::sweep`], though its last window lets go of it before.
#[derive(Debug, Default)]
pub struct Keys {
    hasher: DefaultHashBuilder,
    ids: HashTable<KeyId>,
    /// The keys by their numbers. Created by a first row, dropped by the sweep after the last
    /// window has let go of it.
    heads: Vec<u128>,
    tails: Vec<u128>,
    holders: Vec<u32>,
    prefixes: Vec<u128>,
    /// The numbers in the order of their keys, but for those of `unsorted`.
    sorted: Vec<KeyId>,
    unsorted: Vec<KeyId>,
    /// Whether a number in `sorted` names another key than it did.
    disordered: bool,
    /// The bytes of keys that are too long to be in place.
    long: HashMap<KeyId, Box<[u8]>>,
    free: Vec<KeyId>,
    /// How often a number was taken from its key.
    taken_away: u64,
    /// How many keys are held, and the most since the last sweep.
    held: usize,
    most_held: usize,
    /// How many rows came since the last sweep.
    rows: usize,
    /// Keys that no window held at some time since the last sweep, and since the one before: most
    /// often the next window holds them again.
    unheld: Vec<KeyId>,
    unheld_before: Vec<KeyId>,
    /// How many sweeps there were, and how many there had been when each key was last let go of.
    sweeps: u32,
    let_go: Vec<u32>,
    /// The bytes of the key that is looked up.
    key: Vec<u8>,
}

/// A key's bytes in place: their number, the bytes, zeros behind them; of a long key its first
/// bytes. In two halves, because most keys fit into the first, and then it alone is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    head: u128,
    tail: u128,
}

/// How many bytes of a key are in the head, behind the one that says how many there are: a phone
/// number, say.
const HEAD: usize = 15;
/// How many bytes of a key are in place.
const PLACE: usize = HEAD + 16;
/// The length of a key that is not in place.
const LONG: u8 = u8::MAX;

impl Short {
    fn of(key: &[u8]) -> Self {
        let length = if key.len() > PLACE {
            LONG
        } else {
            key.len() as u8
        };
        let (head, tail) = key[..key.len().min(PLACE)].split_at(key.len().min(HEAD));
        Short {
            head: packed(head) << 8 | u128::from(length),
            tail: packed(tail),
        }
    }

    /// Returns what [`Short::of`] returns for the key of one text, without writing its bytes to
    /// memory first; `None` for a text that is too long for that.
    #[inline]
    fn of_text(tag: u8, text: &str) -> Option<Self> {
        /// The length of the key, the tag, the length of the text.
        const MARKS: usize = 3;
        let bytes = text.as_bytes();
        let most = HEAD + 1 - MARKS;
        let spare = most.checked_sub(bytes.len())?;
        let marks = [bytes.len() as u8 + 2, tag, bytes.len() as u8];
        let marks = packed(&marks) as u64;
        let head = match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => {
                let low = u64::from_le_bytes(*first) << (8 * MARKS) | marks;
                // The last eight bytes, without those that are in the lower half.
                let high = u64::from_le_bytes(*last) >> (8 * spare);
                u128::from(high) << 64 | u128::from(low)
            }
            _ => packed(bytes) << (8 * MARKS) | u128::from(marks),
        };
        Some(Short { head, tail: 0 })
    }

    #[inline]
    fn length(self) -> u8 {
        self.head as u8
    }

    /// Returns whether the head is all there is.
    #[inline]
    fn is_head(self) -> bool {
        usize::from(self.length()) <= HEAD
    }

    fn is_long(self) -> bool {
        self.length() == LONG
    }

    /// Returns a key's hash; `bytes` are those of a key that is not in place.
    #[inline]
    fn hash(self, hasher: &DefaultHashBuilder, bytes: &[u8]) -> u64 {
        match self.length() {
            length if usize::from(length) <= HEAD => hasher.hash_one(self.head),
            LONG => hasher.hash_one(bytes),
            _ => hasher.hash_one((self.head, self.tail)),
        }
    }
}

/// Returns at most sixteen bytes as a number, the first in the lowest place.
#[inline]
fn packed(bytes: &[u8]) -> u128 {
    let fold = |packed, &byte: &u8| packed << 8 | u128::from(byte);
    bytes.iter().rev().fold(0, fold)
}

impl Keys {
    /// Appends to `ids` the number of each row's key, a new one for a key that has none yet; any
    /// number for a row that is not `selected`.
    ///
    /// Looking keys up is waiting for memory. So a block of rows takes each step together, and
    /// the short loops let many rows wait at once.
    pub fn intern_rows(
        &mut self,
        columns: &[Cow<'_, Column<'_>>],
        rows: usize,
        selected: Option<&[bool]>,
        ids: &mut Vec<KeyId>,
    ) {
        const BLOCK: usize = 64;
        /// Names no key.
        const NONE: KeyId = KeyId::MAX;
        let text = match columns {
            [column] => match column.as_ref() {
                Column::Text(texts) => Some((SHORT_TEXT, texts)),
                Column::Any(texts) => Some((SHORT_ANY, texts)),
                _ => None,
            },
            _ => None,
        };
        let first = ids.len();
        ids.resize(first + rows, 0);
        let mut next = 0;
        let mut block = [0; BLOCK];
        let mut shorts = [Short { head: 0, tail: 0 }; BLOCK];
        let mut likely = [NONE; BLOCK];
        let mut bytes = std::mem::take(&mut self.key);
        while next < rows {
            let count = fill(&mut block, &mut next, rows, selected);
            let block = &block[..count];
            for ((&row, short), likely) in block.iter().zip(&mut shorts).zip(&mut likely) {
                let text = text.and_then(|(tag, texts)| Short::of_text(tag, texts.get(row)?));
                *short = text.unwrap_or_else(|| {
                    push_row(&mut bytes, columns, row);
                    Short::of(&bytes)
                });
                // Any key whose hash begins alike; whether it is the same is seen below.
                let hash = short.hash(&self.hasher, &[]);
                *likely = self.ids.find(hash, |_| true).map_or(NONE, |&id| id);
            }
            for ((&row, &short), &likely) in block.iter().zip(&shorts).zip(&likely) {
                let is_known = self.heads.get(likely as usize) == Some(&short.head)
                    && (short.is_head() || !short.is_long() && self.short(likely) == short);
                ids[first + row] = if is_known {
                    likely
                } else {
                    // Another key's hash began alike; one that is long is not found by this.
                    let hash = short.hash(&self.hasher, &[]);
                    self.find(hash, short, &[]).unwrap_or_else(|| {
                        push_row(&mut bytes, columns, row);
                        self.intern(&bytes)
                    })
                };
            }
        }
        self.key = bytes; // keeps its room
    }

    /// Returns the number of a key, a new one if it has none yet.
    pub fn intern(&mut self, bytes: &[u8]) -> KeyId {
        let short = Short::of(bytes);
        let hash = short.hash(&self.hasher, bytes);
        match self.find(hash, short, bytes) {
            Some(id) => id,
            None => self.add(hash, short, bytes),
        }
    }

    /// Returns the number of a key, if it has one; its `bytes` matter if it is not in
    /// place.
    fn find(&self, hash: u64, short: Short, bytes: &[u8]) -> Option<KeyId> {
        let same = |&id: &KeyId| {
            let is_long = || self.long.get(&id).is_some_and(|known| **known == *bytes);
            self.short(id) == short && (!short.is_long() || is_long())
        };
        self.ids.find(hash, same).copied()
    }

    #[cold]
    fn add(&mut self, hash: u64, short: Short, bytes: &[u8]) -> KeyId {
        let prefix = prefix(bytes);
        let id = match self.free.pop() {
            Some(id) => {
                (self.heads[id as usize], self.tails[id as usize]) = (short.head, short.tail);
                self.prefixes[id as usize] = prefix;
                self.let_go[id as usize] = self.sweeps;
                self.disordered = true;
                id
            }
            None => {
                self.heads.push(short.head);
                self.tails.push(short.tail);
                self.holders.push(0);
                self.let_go.push(self.sweeps);
                self.prefixes.push(prefix);
                (self.heads.len() - 1) as KeyId
            }
        };
        self.unsorted.push(id);
        if short.is_long() {
            self.long.insert(id, bytes.into());
        }
        let mut ids = std::mem::take(&mut self.ids);
        ids.insert_unique(hash, id, |&id| self.hash(id));
        self.ids = ids;
        self.unheld.push(id);
        id
    }

    #[inline]
    fn short(&self, id: KeyId) -> Short {
        Short {
            head: self.heads[id as usize],
            tail: self.tails[id as usize],
        }
    }

    fn hash(&self, id: KeyId) -> u64 {
        let bytes = self.long.get(&id).map_or(&[][..], |bytes| bytes);
        self.short(id).hash(&self.hasher, bytes)
    }

    /// Returns a number that orders keys as far as it can; see [`prefix`].
    #[inline]
    pub fn prefix(&self, id: KeyId) -> u128 {
        self.prefixes[id as usize]
    }

    /// Orders two keys; see [`compare`].
    #[inline]
    pub fn compare(&self, left: KeyId, right: KeyId) -> Ordering {
        let order = self.prefix(left).cmp(&self.prefix(right));
        order.then_with(|| {
            let bytes = |id: KeyId| {
                let mut bytes = Vec::new();
                self.push_bytes(id, &mut bytes);
                bytes
            };
            if left == right {
                Ordering::Equal
            } else {
                compare(&bytes(left), &bytes(right))
            }
        })
    }

    /// Returns all numbers in the order of their keys, and perhaps some that name none.
    pub fn sorted(&mut self) -> &[KeyId] {
        if self.disordered {
            self.unsorted.clear();
            self.unsorted.extend(self.ids.iter());
            self.sorted.clear();
            self.disordered = false;
        }
        if !self.unsorted.is_empty() {
            let mut unsorted = std::mem::take(&mut self.unsorted);
            unsorted.sort_unstable_by(|&left, &right| self.compare(left, right));
            let mut known = std::mem::take(&mut self.sorted).into_iter().peekable();
            for id in unsorted {
                while let Some(before) = known.next_if(|&known| self.compare(known, id).is_lt()) {
                    self.sorted.push(before);
                }
                self.sorted.push(id);
            }
            self.sorted.extend(known);
        }
        &self.sorted
    }

    /// Appends a key's bytes to `bytes`.
    pub fn push_bytes(&self, id: KeyId, bytes: &mut Vec<u8>) {
        let head = Short {
            head: self.heads[id as usize],
            tail: 0,
        };
        if head.is_long() {
            bytes.extend_from_slice(self.long.get(&id).map_or(&[], |bytes| bytes));
            return;
        }
        // All of the place at once: as many bytes as there are would take longer.
        let end = bytes.len() + usize::from(head.length());
        if head.is_head() {
            bytes.extend_from_slice(&(head.head >> 8).to_le_bytes());
        } else {
            let tail = self.tails[id as usize];
            bytes.extend_from_slice(&(head.head >> 8 | tail << 120).to_le_bytes());
            bytes.extend_from_slice(&(tail >> 8).to_le_bytes());
        }
        bytes.truncate(end);
    }

    /// Keeps a key for one more window.
    pub fn hold(&mut self, id: KeyId) {
        let holders = &mut self.holders[id as usize];
        *holders += 1;
        if *holders == 1 {
            self.held += 1;
            self.most_held = self.most_held.max(self.held);
        }
    }

    /// Lets go of a key for one window.
    pub fn release(&mut self, id: KeyId) {
        let holders = &mut self.holders[id as usize];
        *holders -= 1;
        if *holders == 0 {
            self.held -= 1;
            self.let_go[id as usize] = self.sweeps;
            self.unheld.push(id);
        }
    }

    /// Drops keys that no window has held for a while, now that `rows` more were read; their
    /// numbers may name others from now on. At most some times as many stay as windows held.
    pub fn sweep(&mut self, rows: usize) {
        /// So few keys are no room, and those of some thousands come again in this many rows.
        const FEW: usize = 1 << 17;
        self.rows += rows;
        if self.rows < FEW.max(2 * self.most_held) {
            return;
        }
        let mut unheld = std::mem::take(&mut self.unheld_before);
        for id in unheld.drain(..) {
            let again = self.let_go[id as usize] == self.sweeps;
            if self.holders[id as usize] > 0 || again {
                continue; // when it is let go of again, it stands in the list again
            }
            let hash = self.hash(id);
            // A key let go of twice is dropped once.
            if let Ok(entry) = self.ids.find_entry(hash, |&other| other == id) {
                entry.remove();
                self.long.remove(&id);
                self.free.push(id);
                self.taken_away += 1;
            }
        }
        self.unheld_before = std::mem::replace(&mut self.unheld, unheld); // keeps the room
        self.sweeps = self.sweeps.wrapping_add(1);
        self.most_held = self.held;
        self.rows = 0;
    }

    /// Returns how often a number was taken from its key: while it stays the same, numbers name
    /// what they named.
    pub fn taken_away(&self) -> u64 {
        self.taken_away
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::ValueRef;
    use crate::engine::key::tests::{bigint, key, text};
    use crate::engine::key::values;

    fn bytes(keys: &Keys, id: KeyId) -> Vec<u8> {
        let mut bytes = Vec::new();
        keys.push_bytes(id, &mut bytes);
        bytes
    }

    /// Sweeps until nothing is left that may go.
    fn sweep(keys: &mut Keys) {
        (0..2).for_each(|_| keys.sweep(1 << 20));
    }

    #[test]
    fn a_key_that_is_let_go_of_makes_room_after_the_sweep() {
        let mut keys = Keys::default();
        let first = keys.intern(b"first");
        keys.hold(first);
        sweep(&mut keys);
        assert_eq!(keys.intern(b"first"), first);
        keys.release(first);
        assert_eq!(bytes(&keys, first), b"first");
        sweep(&mut keys);
        assert_eq!(keys.len(), 0);
        assert_eq!(keys.intern(b"second"), first);
        assert_eq!(bytes(&keys, first), b"second");
    }

    #[test]
    fn long_keys_that_begin_alike_are_told_apart() {
        let mut keys = Keys::default();
        let texts: Vec<String> = (0..100).map(|n| format!("{}{n}", "x".repeat(30))).collect();
        let ids: Vec<KeyId> = texts
            .iter()
            .map(|text| keys.intern(text.as_bytes()))
            .collect();
        assert_eq!(keys.len(), 100);
        for (text, id) in texts.iter().zip(ids) {
            assert_eq!(keys.intern(text.as_bytes()), id);
            assert_eq!(bytes(&keys, id), text.as_bytes());
        }
        sweep(&mut keys);
        assert_eq!(keys.len(), 0);
    }

    #[test]
    fn texts_have_one_number_by_either_way() {
        for length in (0..40).chain(250..260) {
            let value = "0123456789".repeat(26)[..length].to_owned();
            let column = text(Some(&value));
            let mut keys = Keys::default();
            let mut ids = vec![keys.intern(&key(std::slice::from_ref(&column)))];
            keys.intern_rows(&[Cow::Borrowed(&column)], 1, None, &mut ids);
            assert_eq!(ids, [0, 0], "{length} bytes");
            let read = bytes(&keys, 0);
            assert_eq!(values(&read).collect::<Vec<_>>(), [ValueRef::Text(&value)]);
        }
    }

    #[test]
    fn keys_that_come_again_stay_and_others_do_not_pile_up() {
        let mut keys = Keys::default();
        for nth in 0..1_000_u64 {
            let mut held = vec![keys.intern(b"again")];
            let once = (0..1_000).map(|n| (nth * 1_000 + n).to_be_bytes());
            held.extend(once.map(|key| keys.intern(&key)));
            assert_eq!(held[0], 0, "it kept its number");
            held.iter().for_each(|&id| keys.hold(id));
            held.iter().for_each(|&id| keys.release(id));
            keys.sweep(1_001);
            assert!(keys.len() <= 4 << 17, "{} keys", keys.len());
        }
    }

    #[test]
    fn keys_stay_sorted_while_some_come_and_go() {
        let mut keys = Keys::default();
        for round in 0..20_i64 {
            let value = |n: i64| (n * 7_919 + round * 131) % 1_000;
            for n in 0..50 {
                let id = keys.intern(&key(&[bigint(value(n))]));
                if n % 3 == 0 && keys.holders[id as usize] == 0 {
                    keys.hold(id);
                }
            }
            let read = |id: KeyId| bytes(&keys, id);
            let mut expected: Vec<KeyId> = keys.ids.iter().copied().collect();
            expected.sort_by(|&left, &right| compare(&read(left), &read(right)));
            assert_eq!(keys.sorted(), expected);
            if round % 4 == 3 {
                sweep(&mut keys);
                let mut known = keys.sorted().to_vec();
                known.retain(|id| keys.holders[*id as usize] > 0);
                assert_eq!(known.len(), keys.len());
            }
        }
    }

    #[test]
    fn a_key_that_no_window_took_is_swept() {
        let mut keys = Keys::default();
        keys.intern(b"expired");
        let kept = keys.intern(b"kept");
        keys.hold(kept);
        keys.release(kept);
        keys.hold(kept);
        sweep(&mut keys);
        assert_eq!(keys.len(), 1);
        assert_eq!(bytes(&keys, kept), b"kept");
    }
}
