//! The values of a table, as of any time that may still be asked for.
//!
//! In: values with their keys and times, in any order. Out: the latest of a key as of a time.
//! Values of one key are a chain, newest first; of two of one time the one that came later is the
//! newer. Up to the watermark only the latest of each key is kept. Bytes lie in one piece, which is
//! copied without its gaps when these are the greater part: no allocation a value.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Content, Record};

/// A value's place; another may have it once it is dropped.
pub(super) type Id = u32;

const NONE: Id = Id::MAX;
/// Gaps of fewer bytes than this are left alone.
const GAPS: usize = 1 << 20;

/// The values of a table.
#[derive(Debug, Default)]
pub(super) struct Versions {
    versions: Vec<Version>,
    free: Vec<Id>,
    /// The newest value of each key.
    newest: HashTable<Id>,
    /// Values that have a newer one, by the time of that.
    superseded: BinaryHeap<Reverse<(i64, Id)>>,
    bytes: Vec<u8>,
    /// How many of the bytes are of values that were dropped.
    gaps: usize,
}

#[derive(Debug)]
struct Version {
    time: i64,
    hash: u64,
    older: Id,
    newer: Id,
    start: usize,
    key_len: u32,
    len: u32,
    deleted: bool,
    /// Whether it has been counted, as joined or as late.
    settled: bool,
    in_use: bool,
}

/// What is asked of the values, or put among them.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub record: &'a Record<'a>,
    /// Of its key.
    pub hash: u64,
    /// Up to this time only the latest value of each key may be there.
    pub known: i64,
}

/// What a table has for a key as of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// This value.
    Value(Id),
    /// None, or it was deleted.
    Nothing,
    /// It is not known any more: a newer value has been certain, by this many ms.
    Superseded(i64),
}

impl Versions {
    /// Returns how many values are kept, deleted ones included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.versions.len() - self.free.len()
    }

    /// Finds the latest value of a record's key as of its time.
    pub fn find(&self, asked: &Asked<'_>) -> Found {
        let (time, known) = (asked.record.time, asked.known);
        let newest = self.newest.find(asked.hash, |&id| self.is_asked(id, asked));
        let mut next = newest.copied().unwrap_or(NONE);
        while next != NONE {
            let version = &self.versions[next as usize];
            if version.time <= time {
                return if version.deleted {
                    Found::Nothing
                } else {
                    Found::Value(next)
                };
            }
            if version.time <= known {
                return Found::Superseded(known - time);
            }
            next = version.older;
        }
        Found::Nothing
    }

    /// Returns what a value carries besides its key.
    pub fn rest(&self, id: Id) -> &[u8] {
        let version = &self.versions[id as usize];
        &self.bytes[version.start..][version.key_len as usize..version.len as usize]
    }

    /// Notes that a value has been counted; returns whether that is new.
    pub fn settle(&mut self, id: Id) -> bool {
        !std::mem::replace(&mut self.versions[id as usize].settled, true)
    }

    /// Adds a value, unless a newer one of its key is known.
    pub fn insert(&mut self, asked: &Asked<'_>, settled: bool) {
        let &Asked {
            record,
            hash,
            known,
        } = asked;
        let newest = self.newest.find(hash, |&id| self.is_asked(id, asked));
        let (mut newer, mut older) = (NONE, newest.copied().unwrap_or(NONE));
        while older != NONE && self.versions[older as usize].time > record.time {
            if self.versions[older as usize].time <= known {
                return;
            }
            (newer, older) = (older, self.versions[older as usize].older);
        }
        let id = self.add(Version {
            time: record.time,
            hash,
            older,
            newer,
            start: self.bytes.len(),
            key_len: record.key_len as u32,
            len: record.bytes.len() as u32,
            deleted: record.content == Content::Tombstone,
            settled,
            in_use: true,
        });
        self.bytes.extend_from_slice(record.bytes);
        if older != NONE {
            self.versions[older as usize].newer = id;
            self.superseded.push(Reverse((record.time, older)));
        }
        if newer != NONE {
            self.versions[newer as usize].older = id;
            let by = self.versions[newer as usize].time;
            self.superseded.push(Reverse((by, id)));
        } else {
            self.set_newest(id, older, hash);
        }
    }

    fn add(&mut self, version: Version) -> Id {
        match self.free.pop() {
            Some(id) => {
                self.versions[id as usize] = version;
                id
            }
            None => {
                self.versions.push(version);
                self.versions.len() as Id - 1
            }
        }
    }

    /// Puts a value in the place of `older`, the newest of its key so far.
    fn set_newest(&mut self, id: Id, older: Id, hash: u64) {
        let versions = &self.versions;
        let entry = self.newest.entry(
            hash,
            |&other| other == older,
            |&other| versions[other as usize].hash,
        );
        match entry {
            Entry::Occupied(mut newest) => *newest.get_mut() = id,
            Entry::Vacant(vacant) => {
                vacant.insert(id);
            }
        }
    }

    /// Drops the values that have a newer one at or below `known`; returns how many of them were
    /// not settled.
    pub fn drop_superseded(&mut self, known: i64) -> u64 {
        let mut unsettled = 0;
        while let Some(&Reverse((by, id))) = self.superseded.peek() {
            if by > known {
                break;
            }
            self.superseded.pop();
            // It may have been dropped for another one, and its place taken by a third.
            let version = &self.versions[id as usize];
            let is_superseded = version.in_use
                && version.newer != NONE
                && self.versions[version.newer as usize].time <= known;
            if is_superseded {
                unsettled += u64::from(!version.settled);
                self.remove(id);
            }
        }
        self.close_gaps();
        unsettled
    }

    /// Drops all values; returns how many of them were not settled.
    pub fn clear(&mut self) -> u64 {
        let versions = std::mem::take(self).versions;
        let unsettled = versions.iter().filter(|v| v.in_use && !v.settled);
        unsettled.count() as u64
    }

    /// Takes a value that has a newer one out of the chain of its key.
    fn remove(&mut self, id: Id) {
        let version = &mut self.versions[id as usize];
        version.in_use = false;
        self.gaps += version.len as usize;
        let (older, newer) = (version.older, version.newer);
        self.versions[newer as usize].older = older;
        if older != NONE {
            self.versions[older as usize].newer = newer;
        }
        self.free.push(id);
    }

    fn close_gaps(&mut self) {
        if self.gaps < GAPS || 2 * self.gaps < self.bytes.len() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.gaps + GAPS);
        for version in self.versions.iter_mut().filter(|version| version.in_use) {
            let start = bytes.len();
            bytes.extend_from_slice(&self.bytes[version.start..][..version.len as usize]);
            version.start = start;
        }
        self.bytes = bytes;
        self.gaps = 0;
    }

    fn is_asked(&self, id: Id, asked: &Asked<'_>) -> bool {
        let version = &self.versions[id as usize];
        let key = &self.bytes[version.start..][..version.key_len as usize];
        version.hash == asked.hash && key == asked.record.key()
    }
}
