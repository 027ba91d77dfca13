//! The keys of held records, of both sides together: one search finds whom a record meets and
//! where it belongs itself.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Side;
use super::held::{Id, NONE};

/// The newest held record of each key, by side; the older ones are its chain.
#[derive(Debug, Default)]
pub(super) struct Keys(HashTable<Key>);

/// Created by the first record of its key, dropped with the last.
#[derive(Debug, Clone, Copy)]
struct Key {
    hash: u64,
    newest: [Id; 2],
}

/// A key's place, whether it is there or not.
pub(super) struct Place<'k> {
    hash: u64,
    entry: Entry<'k, Key>,
}

impl Keys {
    /// Finds a key; `is_it` says whether the key that has these newest records is the one.
    #[inline]
    pub fn place(&mut self, hash: u64, is_it: impl Fn([Id; 2]) -> bool) -> Place<'_> {
        let is_it = |key: &Key| key.hash == hash && is_it(key.newest);
        let entry = self.0.entry(hash, is_it, |key| key.hash);
        Place { hash, entry }
    }

    /// Returns the newest records of a key that is likely the one of this hash.
    #[inline]
    pub fn likely(&self, hash: u64) -> [Id; 2] {
        let key = self.0.find(hash, |key| key.hash == hash);
        key.map_or([NONE; 2], |key| key.newest)
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.0 = HashTable::new();
    }

    /// Puts `older` in the place of `id`, the newest record of its key on a side.
    pub fn replace(&mut self, side: Side, hash: u64, id: Id, older: Id) {
        let is_it = |key: &Key| key.newest[side.index()] == id;
        if let Ok(mut entry) = self.0.find_entry(hash, is_it) {
            entry.get_mut().newest[side.index()] = older;
            if entry.get().newest == [NONE; 2] {
                entry.remove();
            }
        }
    }
}

impl Place<'_> {
    /// Returns the newest records of the key; none of a key that is not there.
    #[inline]
    pub fn newest(&self) -> [Id; 2] {
        match &self.entry {
            Entry::Occupied(key) => key.get().newest,
            Entry::Vacant(_) => [NONE; 2],
        }
    }

    /// Makes a record the newest of the key on a side.
    #[inline]
    pub fn set(self, side: Side, id: Id) {
        match self.entry {
            Entry::Occupied(mut key) => key.get_mut().newest[side.index()] = id,
            Entry::Vacant(vacant) => {
                let mut newest = [NONE; 2];
                newest[side.index()] = id;
                let hash = self.hash;
                vacant.insert(Key { hash, newest });
            }
        }
    }
}
