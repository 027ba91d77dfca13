//! What operators remember, and which of it has changed: the rows of a changelog.
//!
//! An operator keeps its entries in maps. Where asked, it also notes the keys of those that
//! change, so that a commit writes them and no others. Bytes are those of [`codec`].

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Event, Headers, Key, Row};
use crate::engine::codec::{self, Corrupt};
use crate::engine::window::Window;
use crate::error::Result;
use crate::ksql::decimal::Decimal;
use crate::ksql::value::Value;

/// Something that can be written to a changelog or an internal topic, and read again.
pub trait Saved: Sized {
    /// Appends it to `bytes`.
    ///
    /// # Errors
    /// `bug` where it cannot be written.
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()>;

    /// Takes it off the front of `bytes`.
    ///
    /// # Errors
    /// [`Corrupt`] where no such thing is there.
    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt>;

    /// Returns its bytes.
    ///
    /// # Errors
    /// As [`Saved::save`].
    fn saved(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.save(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads it from all of `bytes`.
    ///
    /// # Errors
    /// [`Corrupt`] where they are anything else.
    fn loaded(mut bytes: &[u8]) -> Result<Self, Corrupt> {
        let loaded = Self::load(&mut bytes)?;
        bytes.is_empty().then_some(loaded).ok_or(Corrupt)
    }
}

/// A [`Value`] as it is written.
#[derive(Serialize)]
enum Written<'a> {
    Null,
    Boolean(bool),
    Int(i32),
    Bigint(i64),
    Double(f64),
    Decimal(&'a Decimal),
    String(&'a str),
    Bytes(&'a [u8]),
    Date(i32),
    Time(i32),
    Timestamp(i64),
    Array(&'a [Value]),
    Map(&'a [(Value, Value)]),
    Struct(&'a [Value]),
}

/// A [`Value`] as it is read: the variants are those of [`Written`].
#[derive(Deserialize)]
enum Read {
    Null,
    Boolean(bool),
    Int(i32),
    Bigint(i64),
    Double(f64),
    Decimal(Decimal),
    String(String),
    Bytes(Vec<u8>),
    Date(i32),
    Time(i32),
    Timestamp(i64),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Vec<Value>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => Written::Null,
            Value::Boolean(value) => Written::Boolean(*value),
            Value::Int(value) => Written::Int(*value),
            Value::Bigint(value) => Written::Bigint(*value),
            Value::Double(value) => Written::Double(*value),
            Value::Decimal(value) => Written::Decimal(value),
            Value::String(value) => Written::String(value),
            Value::Bytes(value) => Written::Bytes(value),
            Value::Date(value) => Written::Date(*value),
            Value::Time(value) => Written::Time(*value),
            Value::Timestamp(value) => Written::Timestamp(*value),
            Value::Array(values) => Written::Array(values),
            Value::Map(entries) => Written::Map(entries),
            Value::Struct(values) => Written::Struct(values),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Read::deserialize(deserializer)? {
            Read::Null => Value::Null,
            Read::Boolean(value) => Value::Boolean(value),
            Read::Int(value) => Value::Int(value),
            Read::Bigint(value) => Value::Bigint(value),
            Read::Double(value) => Value::Double(value),
            Read::Decimal(value) => Value::Decimal(value),
            Read::String(value) => Value::from(value),
            Read::Bytes(value) => Value::Bytes(value.into()),
            Read::Date(value) => Value::Date(value),
            Read::Time(value) => Value::Time(value),
            Read::Timestamp(value) => Value::Timestamp(value),
            Read::Array(values) => Value::array(values),
            Read::Map(entries) => Value::Map(Arc::new(entries)),
            Read::Struct(values) => Value::structure(values),
        })
    }
}

/// What postcard writes as it is.
macro_rules! saved_by_serde {
    ($($of:ty),*) => {$(
        impl Saved for $of {
            fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
                codec::put(bytes, self)
            }

            fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
                codec::take(bytes)
            }
        }
    )*};
}

saved_by_serde!(i64, u64, u8, bool, String, Vec<Value>);

impl Saved for Row {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        codec::put(bytes, &&self[..])
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        Vec::load(bytes).map(Row::from)
    }
}

impl Saved for Window {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        codec::put(bytes, &(self.start, self.end))
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        codec::take(bytes).map(|(start, end)| Window { start, end })
    }
}

impl Saved for Key {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.values.save(bytes)?;
        codec::put(bytes, &self.window.map(|window| (window.start, window.end)))
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        let values = Row::load(bytes)?;
        let window: Option<(i64, i64)> = codec::take(bytes)?;
        let window = window.map(|(start, end)| Window { start, end });
        Ok(Key { values, window })
    }
}

impl Saved for Event {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.key.save(bytes)?;
        self.row.save(bytes)?;
        let old = self.old.as_ref().map(|row| &row[..]);
        codec::put(bytes, &(self.is_null, old, self.time, &*self.headers))
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        let (key, row) = (Key::load(bytes)?, Row::load(bytes)?);
        let (is_null, old, time, headers) = codec::take(bytes)?;
        let old: Option<Vec<Value>> = old;
        let headers: Vec<(String, Option<Vec<u8>>)> = headers;
        Ok(Event {
            key,
            row,
            is_null,
            old: old.map(Row::from),
            time,
            headers: Headers::new(headers),
        })
    }
}

impl<A: Saved, B: Saved> Saved for (A, B) {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.0.save(bytes)?;
        self.1.save(bytes)
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        Ok((A::load(bytes)?, B::load(bytes)?))
    }
}

impl<A: Saved, B: Saved, C: Saved> Saved for (A, B, C) {
    fn save(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.0.save(bytes)?;
        self.1.save(bytes)?;
        self.2.save(bytes)
    }

    fn load(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        Ok((A::load(bytes)?, B::load(bytes)?, C::load(bytes)?))
    }
}

/// An entry of a changelog: key, and value or `None` for what is gone.
pub type Entry = (Vec<u8>, Option<Vec<u8>>);

/// Entries of a changelog.
#[derive(Debug, Default)]
pub struct Changes {
    /// What is put before each key: whose entries they are.
    prefix: Vec<u8>,
    /// The entries.
    pub rows: Vec<Entry>,
}

impl Changes {
    /// Begins with the entries of an operator.
    ///
    /// # Errors
    /// `bug` where the number cannot be written.
    pub(super) fn of(&mut self, node: u64) -> Result<()> {
        self.prefix.clear();
        node.save(&mut self.prefix)
    }

    /// Adds an entry of one of an operator's maps.
    pub(super) fn add(
        &mut self,
        map: u8,
        key: &impl Saved,
        value: Option<&impl Saved>,
    ) -> Result<()> {
        let mut bytes = self.prefix.clone();
        map.save(&mut bytes)?;
        key.save(&mut bytes)?;
        self.rows
            .push((bytes, value.map(Saved::saved).transpose()?));
        Ok(())
    }
}

/// Takes the number of the operator off a key of the changelog.
///
/// # Errors
/// [`Corrupt`] where there is none.
pub(super) fn node_of(key: &mut &[u8]) -> Result<usize, Corrupt> {
    usize::try_from(u64::load(key)?).map_err(|_| Corrupt)
}

/// The keys of entries that have changed; none are kept until it is asked for.
#[derive(Debug)]
pub(super) struct Changed<K>(Option<HashSet<K>>);

impl<K> Default for Changed<K> {
    fn default() -> Self {
        Changed(None)
    }
}

impl<K: Eq + Hash + Saved> Changed<K> {
    /// Keeps them from now on.
    pub fn keep(&mut self) {
        self.0.get_or_insert_default();
    }

    /// Notes that an entry has changed.
    pub fn note(&mut self, key: impl FnOnce() -> K) {
        if let Some(changed) = &mut self.0 {
            changed.insert(key());
        }
    }

    /// Hands over the entries that have changed as they are now, and forgets that they have.
    pub fn take<'v, V: Saved + 'v>(
        &mut self,
        map: u8,
        changes: &mut Changes,
        value: impl Fn(&K) -> Option<&'v V>,
    ) -> Result<()> {
        let changed = self.0.as_mut().map(std::mem::take).unwrap_or_default();
        let mut changed = changed.into_iter();
        changed.try_for_each(|key| changes.add(map, &key, value(&key)))
    }
}

/// Entries by key.
#[derive(Debug)]
pub(super) struct Store<K, V> {
    entries: HashMap<K, V>,
    changed: Changed<K>,
}

impl<K, V> Default for Store<K, V> {
    fn default() -> Self {
        Store {
            entries: HashMap::new(),
            changed: Changed::default(),
        }
    }
}

impl<K: Eq + Hash + Clone + Saved, V: Saved> Store<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts an entry, and returns the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.changed.note(|| key.clone());
        self.entries.insert(key, value)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.entries.remove(key);
        if removed.is_some() {
            self.changed.note(|| key.clone());
        }
        removed
    }

    /// Removes the entries of which something holds.
    pub fn remove_where(&mut self, is_gone: impl Fn(&K, &mut V) -> bool) {
        let Store { entries, changed } = self;
        entries.retain(|key, value| {
            let is_gone = is_gone(key, value);
            if is_gone {
                changed.note(|| key.clone());
            }
            !is_gone
        });
    }

    pub fn log_changes(&mut self) {
        self.changed.keep();
    }

    pub fn changes(&mut self, map: u8, changes: &mut Changes) -> Result<()> {
        let entries = &self.entries;
        self.changed.take(map, changes, |key| entries.get(key))
    }

    /// Takes an entry of a changelog in.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(K, &V), Corrupt> {
        let key = K::loaded(key)?;
        let value = V::loaded(value)?;
        Ok((
            key.clone(),
            &*self.entries.entry(key).insert_entry(value).into_mut(),
        ))
    }
}

/// How far event time has come in an operator: an entry of its own.
#[derive(Debug)]
pub(super) struct StreamTime {
    /// The latest time seen; `i64::MIN` before the first.
    pub now: i64,
    written: i64,
}

/// The map of an operator that [`StreamTime`] is the only entry of.
pub(super) const STREAM_TIME: u8 = 255;

impl Default for StreamTime {
    fn default() -> Self {
        StreamTime {
            now: i64::MIN,
            written: i64::MIN,
        }
    }
}

impl StreamTime {
    /// Moves it on; returns whether it has.
    pub fn reach(&mut self, time: i64) -> bool {
        let has_moved = time > self.now;
        self.now = self.now.max(time);
        has_moved
    }

    pub fn changes(&mut self, changes: &mut Changes) -> Result<()> {
        if self.now == self.written {
            return Ok(());
        }
        self.written = self.now;
        changes.add(STREAM_TIME, &0_u8, Some(&self.now))
    }

    pub fn restore(&mut self, value: &[u8]) -> Result<(), Corrupt> {
        self.now = i64::loaded(value)?;
        self.written = self.now;
        Ok(())
    }
}

/// What an [operator](super::Operator) does whose only state is a [`Store`], or one and its
/// [`StreamTime`].
macro_rules! remembers {
    ($store:ident $(, $time:ident)?) => {
        fn has_state(&self) -> bool {
            true
        }

        fn log_changes(&mut self) {
            self.$store.log_changes();
        }

        fn changes(
            &mut self,
            changes: &mut $crate::ksql::run::Changes,
        ) -> $crate::error::Result<()> {
            $(self.$time.changes(changes)?;)?
            self.$store.changes(0, changes)
        }

        fn restore(
            &mut self,
            map: u8,
            key: &[u8],
            value: &[u8],
        ) -> Result<(), $crate::engine::codec::Corrupt> {
            $(
                if map == $crate::ksql::run::store::STREAM_TIME {
                    return self.$time.restore(value);
                }
            )?
            if map != 0 {
                return Err($crate::engine::codec::Corrupt);
            }
            self.$store.restore(key, value).map(drop)
        }
    };
}

pub(super) use remembers;

/// Says when it is worth the time to look for entries that are no longer needed: once there are
/// twice as many as were left the last time.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    left: usize,
}

impl Sweep {
    /// The least number of entries that are looked through.
    const FEW: usize = 1_000;

    pub fn is_due(&self, entries: usize) -> bool {
        entries > Self::FEW + 2 * self.left
    }

    pub fn done(&mut self, left: usize) {
        self.left = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let nested = Value::Map(Arc::new(vec![(
            Value::from("a"),
            Value::array(vec![Value::Null, Value::Decimal(Decimal::new(-150, 2))]),
        )]));
        let row: Row = vec![
            nested,
            Value::Double(f64::NAN),
            Value::Bytes(vec![0, 255].into()),
            Value::structure(vec![Value::Timestamp(-1), Value::Boolean(true)]),
        ]
        .into();
        let key = Key {
            values: row.clone(),
            window: Some(Window { start: -5, end: 5 }),
        };
        let event = Event {
            key: key.clone(),
            row: row.clone(),
            is_null: false,
            old: Some(row),
            time: 1,
            headers: Headers::new(vec![("h".to_owned(), None)]),
        };
        let loaded = Event::loaded(&event.saved().expect("bytes")).expect("an event");
        assert_eq!(loaded.key, key);
        assert_eq!((loaded.row, loaded.old), (event.row, event.old));
        assert_eq!(loaded.headers, event.headers);
        let mut cut = key.saved().expect("bytes");
        cut.pop();
        assert_eq!(Key::loaded(&cut), Err(Corrupt));
    }

    #[test]
    fn a_commit_writes_what_has_changed_and_only_once() {
        let mut store: Store<i64, i64> = Store::default();
        store.insert(1, 1);
        store.log_changes();
        store.insert(2, 2);
        store.insert(2, 3);
        store.insert(4, 4);
        store.remove(&4);
        let mut changes = Changes::default();
        store.changes(7, &mut changes).expect("changes");
        let mut values: Vec<_> = changes
            .rows
            .iter()
            .map(|(_, value)| value.clone())
            .collect();
        values.sort();
        assert_eq!(values, [None, Some(3_i64.saved().expect("bytes"))]);
        store.changes(7, &mut changes).expect("changes");
        assert_eq!(changes.rows.len(), 2);
    }
}
