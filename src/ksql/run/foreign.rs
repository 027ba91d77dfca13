//! A table joined with another by a column that is the other's key: KIP-213.
//!
//! The result has the left table's key. A change on the left is looked up on the right once; a
//! change on the right reaches every left row that names it.

use std::collections::{BTreeMap, HashMap};

use super::store::{Changes, Store};
use super::tables::{joined, key_of};
use super::{Event, Key, Operator, Row};
use crate::engine::codec::Corrupt;
use crate::error::Result;
use crate::ksql::expr::Node;
use crate::ksql::syntax::JoinKind;

/// The join.
pub struct ForeignJoin {
    /// Inner or left.
    pub kind: JoinKind,
    /// How many columns the sides have.
    pub widths: (usize, usize),
    /// What of a left row names a right one.
    pub foreign_key: Node,
    left: Store<Key, (Row, i64)>,
    right: Store<Key, (Row, i64)>,
    /// The left rows by the right one that they name, in the order of their keys as they are written.
    named: HashMap<Key, BTreeMap<String, Key>>,
}

impl ForeignJoin {
    /// Returns a join.
    pub fn new(kind: JoinKind, widths: (usize, usize), foreign_key: Node) -> Self {
        ForeignJoin {
            kind,
            widths,
            foreign_key,
            left: Store::default(),
            right: Store::default(),
            named: HashMap::new(),
        }
    }

    fn row(&self, left: Option<&Row>, right: Option<&Row>) -> Option<Row> {
        let left = left?;
        let is_kept = right.is_some() || self.kind == JoinKind::Left;
        is_kept.then(|| joined(Some(left), right, self.widths, None))
    }

    fn change_left(&mut self, event: Event, out: &mut Vec<Event>) {
        let name = format!("{:?}", event.key.values);
        let old_key = event.old.as_ref().map(|row| key_of(&self.foreign_key, row));
        let new_key = event.new_row().map(|row| key_of(&self.foreign_key, row));
        if let Some(names) = old_key.as_ref().and_then(|key| self.named.get_mut(key)) {
            names.remove(&name);
        }
        match (event.new_row(), &new_key) {
            (Some(row), Some(key)) => {
                self.left
                    .insert(event.key.clone(), (row.clone(), event.time));
                if !key.is_null() {
                    self.named
                        .entry(key.clone())
                        .or_default()
                        .insert(name, event.key.clone());
                }
            }
            _ => {
                self.left.remove(&event.key);
            }
        }
        let partner = |key: &Option<Key>| key.as_ref().and_then(|key| self.right.get(key)).cloned();
        let (old_right, new_right) = (partner(&old_key), partner(&new_key));
        let old = self.row(event.old.as_ref(), old_right.as_ref().map(|(row, _)| row));
        let new = self.row(event.new_row(), new_right.as_ref().map(|(row, _)| row));
        // A row that was there before may have had a result: whatever it was is replaced.
        if new.is_none() && event.old.is_none() {
            return;
        }
        let time = new_right.map_or(event.time, |(_, time)| time.max(event.time));
        out.push(Event {
            old,
            time,
            ..event.with_row(new)
        });
    }

    fn change_right(&mut self, event: Event, out: &mut Vec<Event>) {
        match event.new_row() {
            Some(row) => self
                .right
                .insert(event.key.clone(), (row.clone(), event.time)),
            None => self.right.remove(&event.key),
        };
        let Some(names) = self.named.get(&event.key) else {
            return;
        };
        for key in names.values() {
            let Some((left, left_time)) = self.left.get(key) else {
                continue;
            };
            let (new, old) = (
                self.row(Some(left), event.new_row()),
                self.row(Some(left), event.old.as_ref()),
            );
            if new.is_some() || old.is_some() {
                let time = event.time.max(*left_time);
                out.push(Event {
                    key: key.clone(),
                    old,
                    time,
                    ..event.with_row(new)
                });
            }
        }
    }
}

impl Operator for ForeignJoin {
    fn process(&mut self, port: usize, event: Event, out: &mut Vec<Event>) {
        if event.key.is_null() {
            return;
        }
        match port {
            0 => self.change_left(event, out),
            _ => self.change_right(event, out),
        }
    }

    fn has_state(&self) -> bool {
        true
    }

    fn log_changes(&mut self) {
        self.left.log_changes();
        self.right.log_changes();
    }

    fn changes(&mut self, changes: &mut Changes) -> Result<()> {
        self.left.changes(0, changes)?;
        self.right.changes(1, changes)
    }

    fn restore(&mut self, side: u8, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if side != 0 {
            return self.right.restore(key, value).map(drop);
        }
        let (key, (row, _)) = self.left.restore(key, value)?;
        let named = key_of(&self.foreign_key, row);
        if !named.is_null() {
            let names = self.named.entry(named).or_default();
            names.insert(format!("{:?}", key.values), key);
        }
        Ok(())
    }
}
