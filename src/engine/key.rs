//! Grouping keys as bytes, and as small numbers that states are found by.
//!
//! Comes in: the grouping columns of a row. Goes out: a [`KeyId`] for as long as some window
//! holds the key. Two rows have one key when all their grouping values are equal; null equals
//! null and is a group of its own.

use std::cmp::Ordering;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable, hash_table::Entry};

use crate::column::{Column, ValueRef};

/// A key's number; it may name another key once it has been released.
pub type KeyId = u32;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const DOUBLE: u8 = 2;
const BOOLEAN: u8 = 3;
const TEXT: u8 = 4;

/// Appends one value of a row to a key's bytes: a tag, then the value.
pub fn push(key: &mut Vec<u8>, column: &Column<'_>, row: usize) {
    match column {
        Column::Bigint(values) => push_fixed(key, INTEGER, values.get(row).map(i64::to_le_bytes)),
        // -0 and 0 are one group.
        Column::Double(values) => {
            push_fixed(
                key,
                DOUBLE,
                values.get(row).map(|v| (v + 0.0).to_le_bytes()),
            );
        }
        Column::Boolean(values) => push_fixed(key, BOOLEAN, values.get(row).map(|v| [v.into()])),
        Column::Text(values) => match values.get(row) {
            Some(text) => {
                key.push(TEXT);
                key.extend((text.len() as u32).to_le_bytes());
                key.extend(text.as_bytes());
            }
            None => key.push(NULL),
        },
    }
}

fn push_fixed<const N: usize>(key: &mut Vec<u8>, tag: u8, bytes: Option<[u8; N]>) {
    match bytes {
        Some(bytes) => {
            key.push(tag);
            key.extend(bytes);
        }
        None => key.push(NULL),
    }
}

/// Returns the values in a key's bytes, in the order in which they were pushed.
pub fn values(mut key: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    std::iter::from_fn(move || {
        let (&tag, rest) = key.split_first()?;
        let (value, rest) = match tag {
            INTEGER => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (ValueRef::Integer(i64::from_le_bytes(*bytes).into()), rest)
            }
            DOUBLE => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (ValueRef::Double(f64::from_le_bytes(*bytes)), rest)
            }
            BOOLEAN => {
                let (&[value], rest) = rest.split_first_chunk()?;
                (ValueRef::Boolean(value != 0), rest)
            }
            TEXT => {
                let (length, rest) = rest.split_first_chunk()?;
                let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                (ValueRef::Text(std::str::from_utf8(text).ok()?), rest)
            }
            _ => (ValueRef::Null, rest),
        };
        key = rest;
        Some(value)
    })
}

/// Orders two keys by their values, column by column: null first, numbers by size, text by bytes.
pub fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let mut left = values(left);
    let mut right = values(right);
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(left), Some(right)) => compare_values(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_values(left: ValueRef<'_>, right: ValueRef<'_>) -> Ordering {
    match (left, right) {
        (ValueRef::Integer(left), ValueRef::Integer(right)) => left.cmp(&right),
        (ValueRef::Double(left), ValueRef::Double(right)) => left.total_cmp(&right),
        (ValueRef::Boolean(left), ValueRef::Boolean(right)) => left.cmp(&right),
        (ValueRef::Text(left), ValueRef::Text(right)) => left.cmp(right),
        // One column has one type: here one of them is null.
        (left, right) => (left != ValueRef::Null).cmp(&(right != ValueRef::Null)),
    }
}

/// The keys that some open window holds.
///
/// A number stays with its key until [`Keys::sweep`], though its last window lets go of it before.
#[derive(Debug, Default)]
pub struct Keys {
    hasher: DefaultHashBuilder,
    ids: HashTable<KeyId>,
    keys: Vec<Key>,
    /// What its user notes beside each key.
    marks: Vec<Mark>,
    /// The bytes of keys that are too long to stand in place.
    long: HashMap<KeyId, Box<[u8]>>,
    free: Vec<KeyId>,
    /// Keys that no window may hold any more, or yet.
    unheld: Vec<KeyId>,
}

/// One key; two stand in a cache line, for looking keys up is waiting for memory. Created by its
/// first row, dropped by the sweep after its last window has let go of it.
#[derive(Debug)]
struct Key {
    short: Short,
    holders: u32,
}

/// A key's bytes with zeros behind them, and how many they are; of a long key its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Short {
    bytes: [u8; PLACE],
    length: u8,
}

/// How many bytes of a key stand in place: enough for a phone number or two.
const PLACE: usize = 27;
/// The length of a key that does not stand in place.
const LONG: u8 = u8::MAX;

/// What a user of the keys notes beside one; it means nothing when the key is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Says when the note was taken; 0 for no note.
    pub generation: u64,
    /// The note.
    pub value: u32,
}

impl Short {
    #[inline]
    fn of(key: &[u8]) -> Self {
        let mut bytes = [0; PLACE];
        let (length, kept) = match key.len() {
            length @ ..=PLACE => (length as u8, key),
            _ => (LONG, &key[..PLACE]),
        };
        bytes[..kept.len()].copy_from_slice(kept);
        Short { bytes, length }
    }

    fn is_long(&self) -> bool {
        self.length == LONG
    }
}

impl Keys {
    /// Returns the number of a key, a new one if it has none yet.
    #[inline]
    pub fn intern(&mut self, bytes: &[u8]) -> KeyId {
        let short = Short::of(bytes);
        let hash = hash(&self.hasher, &short, bytes);
        let (keys, long, hasher) = (&self.keys, &self.long, &self.hasher);
        let rest = |id: KeyId| long.get(&id).map_or(&[][..], |bytes| bytes);
        let entry = self.ids.entry(
            hash,
            |&id| keys[id as usize].short == short && (!short.is_long() || rest(id) == bytes),
            |&id| self::hash(hasher, &keys[id as usize].short, rest(id)),
        );
        match entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let id = self.free.pop().unwrap_or(keys.len() as KeyId);
                vacant.insert(id);
                self.add(id, short, bytes);
                id
            }
        }
    }

    #[cold]
    fn add(&mut self, id: KeyId, short: Short, bytes: &[u8]) {
        let key = Key { short, holders: 0 };
        if id as usize == self.keys.len() {
            self.keys.push(key);
            self.marks.push(Mark::default());
        } else {
            self.keys[id as usize] = key;
            self.marks[id as usize] = Mark::default();
        }
        if short.is_long() {
            self.long.insert(id, bytes.into());
        }
        self.unheld.push(id);
    }

    /// Returns a key's bytes.
    pub fn bytes(&self, id: KeyId) -> &[u8] {
        let short = &self.keys[id as usize].short;
        match short.is_long() {
            true => self.long.get(&id).map_or(&[], |bytes| bytes),
            false => &short.bytes[..short.length.into()],
        }
    }

    /// Returns the note beside a key.
    #[inline]
    pub fn mark(&mut self, id: KeyId) -> &mut Mark {
        &mut self.marks[id as usize]
    }

    /// Keeps a key for one more window.
    pub fn hold(&mut self, id: KeyId) {
        self.keys[id as usize].holders += 1;
    }

    /// Lets go of a key for one window.
    pub fn release(&mut self, id: KeyId) {
        let key = &mut self.keys[id as usize];
        key.holders -= 1;
        if key.holders == 0 {
            self.unheld.push(id);
        }
    }

    /// Drops the keys that no window holds; their numbers may name others from now on.
    pub fn sweep(&mut self) {
        let mut unheld = std::mem::take(&mut self.unheld);
        for id in unheld.drain(..) {
            if self.keys[id as usize].holders > 0 {
                continue;
            }
            let hash = hash(&self.hasher, &self.keys[id as usize].short, self.bytes(id));
            // A key let go of twice since the last sweep is dropped once.
            if let Ok(entry) = self.ids.find_entry(hash, |&other| other == id) {
                entry.remove();
                self.long.remove(&id);
                self.free.push(id);
            }
        }
        self.unheld = unheld; // keeps its room
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Hashes a key; one that stands in place as three words of fixed size, which is quicker.
#[inline]
fn hash(hasher: &DefaultHashBuilder, short: &Short, bytes: &[u8]) -> u64 {
    match short.is_long() {
        true => hasher.hash_one(bytes),
        false => hasher.hash_one((short.bytes, short.length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Values;

    fn key(columns: &[Column<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        columns
            .iter()
            .for_each(|column| push(&mut bytes, column, 0));
        bytes
    }

    fn text(text: Option<&str>) -> Column<'_> {
        Column::Text(Values::from_iter([text]))
    }

    fn bigint(value: i64) -> Column<'static> {
        Column::Bigint(Values::from_iter([Some(value)]))
    }

    #[test]
    fn keys_give_back_their_values() {
        let bytes = key(&[text(Some("a\0b")), bigint(-7), text(None)]);
        let found: Vec<ValueRef<'_>> = values(&bytes).collect();
        assert_eq!(
            found,
            [
                ValueRef::Text("a\0b"),
                ValueRef::Integer(-7),
                ValueRef::Null
            ]
        );
    }

    #[test]
    fn no_two_rows_share_a_key_by_accident() {
        assert_ne!(
            key(&[text(Some("ab")), text(Some("c"))]),
            key(&[text(Some("a")), text(Some("bc"))])
        );
        assert_ne!(key(&[text(None)]), key(&[text(Some(""))]));
    }

    #[test]
    fn keys_order_by_value_with_null_first() {
        let ascending = [
            text(None),
            text(Some("")),
            text(Some("a")),
            text(Some("aa")),
            text(Some("b")),
        ];
        let keys: Vec<Vec<u8>> = ascending.into_iter().map(|column| key(&[column])).collect();
        assert!(keys.is_sorted_by(|left, right| compare(left, right) == Ordering::Less));
        assert_eq!(
            compare(&key(&[bigint(-2)]), &key(&[bigint(1)])),
            Ordering::Less
        );
    }

    #[test]
    fn a_key_that_is_let_go_of_makes_room_after_the_sweep() {
        let mut keys = Keys::default();
        let first = keys.intern(b"first");
        keys.hold(first);
        keys.sweep();
        assert_eq!(keys.intern(b"first"), first);
        keys.release(first);
        assert_eq!(keys.bytes(first), b"first");
        keys.sweep();
        assert!(keys.is_empty());
        assert_eq!(keys.intern(b"second"), first);
        assert_eq!(keys.bytes(first), b"second");
    }

    #[test]
    fn long_keys_that_begin_alike_are_told_apart() {
        let mut keys = Keys::default();
        let texts: Vec<String> = (0..100).map(|n| format!("{}{n}", "x".repeat(26))).collect();
        let ids: Vec<KeyId> = texts
            .iter()
            .map(|text| keys.intern(text.as_bytes()))
            .collect();
        assert_eq!(keys.len(), 100);
        for (text, id) in texts.iter().zip(ids) {
            assert_eq!(keys.intern(text.as_bytes()), id);
            assert_eq!(keys.bytes(id), text.as_bytes());
        }
        keys.sweep();
        assert!(keys.is_empty());
    }

    #[test]
    fn a_key_that_no_window_took_is_swept() {
        let mut keys = Keys::default();
        keys.intern(b"expired");
        let kept = keys.intern(b"kept");
        keys.hold(kept);
        keys.release(kept);
        keys.hold(kept);
        keys.sweep();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys.bytes(kept), b"kept");
    }
}
