//! Stream with stream: records of one key whose event times differ by at most a bound.
//!
//! In: records of either side, and the combined watermark. Out: a row a pair as soon as both are
//! there, and, for the sides whose records are kept, a row for each without a partner, once the
//! watermark has passed its time by more than the bound and not before.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::account::Account;
use super::changes::{Changes, Kept};
use super::held::{Held, Id, NONE};
use super::keys::Keys;
use super::{Content, Emit, Joined, Kind, Record, Side};
use crate::engine::watermark::{BEGINNING, END};
use crate::error::Result;

/// How many records are looked ahead to at once.
pub(super) const AHEAD: usize = 32;

/// A join within a bound.
#[derive(Debug)]
pub(super) struct Streams {
    within_ms: i64,
    kind: Kind,
    sides: [Held; 2],
    keys: Keys,
    hasher: DefaultHashBuilder,
    /// The combined watermark: a record with a time below it is late.
    watermark: i64,
    /// Held records with a time below this one have passed: the watermark less the bound.
    passed: i64,
    /// The partners of the current record.
    partners: Vec<Id>,
    /// What has changed of what is held, where someone keeps it.
    changes: Option<Changes>,
}

impl Streams {
    pub fn new(within_ms: i64, kind: Kind, hasher: DefaultHashBuilder) -> Self {
        Streams {
            within_ms,
            kind,
            sides: Side::BOTH.map(|side| Held::new(within_ms, kind.keeps(side))),
            keys: Keys::default(),
            hasher,
            watermark: BEGINNING,
            passed: BEGINNING,
            partners: Vec::new(),
            changes: None,
        }
    }

    /// Keeps changes from now on, until they are taken.
    pub fn log_changes(&mut self) {
        self.changes = Some(Changes::default());
    }

    /// Hands over what has changed, in pieces, each with the latest time in it.
    pub fn take_changes(&mut self, piece: impl FnMut(i64, &[u8])) {
        if let Some(changes) = &mut self.changes {
            changes.take(piece);
        }
    }

    /// Returns the time before which records have passed: none of them is held.
    pub fn passed(&self) -> i64 {
        self.passed
    }

    /// Goes on from a combined watermark, before anything is held.
    pub fn resume(&mut self, combined: i64) {
        self.watermark = combined;
        self.passed = combined.saturating_sub(self.within_ms);
    }

    /// Holds a record that another process has held.
    pub fn take_over(&mut self, kept: &Kept<'_>, account: &mut Account) {
        let Kept {
            side,
            record,
            settled,
        } = kept;
        if !settled {
            account.of(*side).taken_over += 1;
        }
        if record.content != Content::Keyed {
            self.sides[side.index()].insert(record, NONE, *settled);
            return;
        }
        let [left, right] = &self.sides;
        let hash = self.hasher.hash_one(record.key());
        let place = self.keys.place(hash, |newest| {
            key_of([left, right], newest, *side) == record.key()
        });
        let newest = place.newest();
        place.set(
            *side,
            self.sides[side.index()].insert(record, newest[side.index()], *settled),
        );
    }

    #[cfg(test)]
    pub fn held(&self, side: Side) -> usize {
        self.sides[side.index()].len()
    }

    /// Lets records go that the combined watermark has passed by more than the bound.
    #[inline]
    pub fn on_time(
        &mut self,
        combined: i64,
        account: &mut Account,
        out: &mut impl Emit,
    ) -> Result<()> {
        self.watermark = combined;
        self.passed = match combined {
            END => END,
            combined => combined.saturating_sub(self.within_ms),
        };
        if self.sides.iter().any(|side| side.wake_at() <= self.passed) {
            self.let_go(account, out)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn let_go(&mut self, account: &mut Account, out: &mut impl Emit) -> Result<()> {
        loop {
            let due = self
                .sides
                .each_mut()
                .map(|side| side.first_due(self.passed));
            let (side, id) = match due {
                [None, None] => break,
                [Some((left, id)), Some((right, _))] if left <= right => (Side::Left, id),
                [Some((_, id)), None] => (Side::Left, id),
                [_, Some((_, id))] => (Side::Right, id),
            };
            self.sides[side.index()].settle(id);
            account.of(side).unmatched += 1;
            account.alone += 1;
            out.emit(&alone(side, &self.sides[side.index()].record(id)))?;
        }
        if self.passed == END {
            self.keys.clear();
            for side in Side::BOTH {
                account.of(side).unmatched += self.sides[side.index()].clear();
            }
            return Ok(());
        }
        for side in Side::BOTH {
            let (keys, hasher) = (&mut self.keys, &self.hasher);
            let on_newest = |key: &[u8], id, older| {
                keys.replace(side, hasher.hash_one(key), id, older);
            };
            let held = &mut self.sides[side.index()];
            account.of(side).unmatched += held.drop_passed(self.passed, on_newest);
        }
        Ok(())
    }

    /// Brings what the next records of a side will meet into the processor's cache: keys, then
    /// rows, then bytes, each for all of them.
    pub fn look_ahead(&self, side: Side, hashes: impl Iterator<Item = u64>) {
        let other = side.other().index();
        let mut met = [NONE; AHEAD];
        for (met, hash) in met.iter_mut().zip(hashes) {
            *met = self.keys.likely(hash)[other];
        }
        let met = met.iter().filter(|&&id| id != NONE);
        let mut rows = [(0, 0); AHEAD];
        let mut count = 0;
        for &id in met {
            rows[count] = self.sides[other].look_up(id);
            count += 1;
        }
        let touched = rows[..count]
            .iter()
            .map(|&row| self.sides[other].touch(row));
        std::hint::black_box(touched.fold(0, |all, byte| all ^ byte));
    }

    /// Takes in a record; its pairs leave.
    pub fn on_record(
        &mut self,
        side: Side,
        record: &Record<'_>,
        hash: u64,
        account: &mut Account,
        out: &mut impl Emit,
    ) -> Result<()> {
        if record.time < self.watermark {
            account.of(side).late(self.watermark - record.time);
            return Ok(());
        }
        if record.content != Content::Keyed {
            if self.kind.keeps(side) {
                self.sides[side.index()].insert(record, NONE, false);
                if let Some(changes) = &mut self.changes {
                    changes.hold(side, record, false);
                }
            } else {
                account.of(side).unmatched += 1;
            }
            return Ok(());
        }
        let [left, right] = &self.sides;
        let is_it = |newest: [Id; 2]| key_of([left, right], newest, side) == record.key();
        let place = self.keys.place(hash, is_it);
        let newest = place.newest();
        let [left, right] = &mut self.sides;
        let (own, others) = match side {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        // It is not below the watermark, so nothing that it meets has passed.
        let earliest = record.time.saturating_sub(self.within_ms);
        let latest = record.time.saturating_add(self.within_ms);
        let met = newest[side.other().index()];
        others.find(met, earliest..=latest, &mut self.partners);
        let has_met = !self.partners.is_empty();
        account.pairs += self.partners.len() as u64;
        account.of(side).joined += u64::from(has_met);
        place.set(side, own.insert(record, newest[side.index()], has_met));
        if let Some(changes) = &mut self.changes {
            changes.hold(side, record, has_met);
        }
        for partner in self.partners.drain(..) {
            let is_new = others.settle(partner);
            account.of(side.other()).joined += u64::from(is_new);
            let partner = others.record(partner);
            if let Some(changes) = &mut self.changes
                && is_new
            {
                changes.found(side.other(), &partner);
            }
            let (left, right) = match side {
                Side::Left => (record.rest(), partner.rest()),
                Side::Right => (partner.rest(), record.rest()),
            };
            out.emit(&Joined {
                key: record.key(),
                left: Some(left),
                right: Some(right),
                time: record.time.max(partner.time),
            })?;
        }
        Ok(())
    }
}

/// Returns the key of held records that `newest` names; rather by one of the other side than `side`, whose
/// bytes are wanted anyway.
#[inline]
fn key_of(held: [&Held; 2], newest: [Id; 2], side: Side) -> &[u8] {
    let other = side.other().index();
    match newest[other] {
        NONE => held[side.index()].record(newest[side.index()]).key(),
        id => held[other].record(id).key(),
    }
}

/// Returns the row of a record without a partner.
pub(super) fn alone<'a>(side: Side, record: &Record<'a>) -> Joined<'a> {
    let of = |wanted: Side| (side == wanted).then_some(record.rest());
    Joined {
        key: record.key(),
        left: of(Side::Left),
        right: of(Side::Right),
        time: record.time,
    }
}
