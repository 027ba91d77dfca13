//! Stream with table: each record of the stream takes the latest value of its key as of its time.
//!
//! In: records of the stream (left) and of the table (right), and the clock. Out: a row a record of
//! the stream, once the table's watermark has passed its time: in order of their times for those
//! that waited, at once for the others.
//!
//! A record of the stream that is out of order is still answered as of its time, unless a newer
//! value of its key has been certain by then: it is late. A record of the table is late when the
//! watermark, combined or the table's own, has passed its time, or when a record of the stream that
//! should have taken it has been answered, for an idle table is not waited for. Where it is the
//! newest of its key it counts from then on.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::account::Account;
use super::clock::Clock;
use super::held::{Held, NONE};
use super::streams::alone;
use super::versions::{Asked, Found, Versions};
use super::{Content, Emit, Joined, Kind, Record, Side};
use crate::engine::watermark::{BEGINNING, END};
use crate::error::Result;

/// A join with a table.
#[derive(Debug)]
pub(super) struct Table {
    kind: Kind,
    versions: Versions,
    /// Records of the stream that wait for the table.
    waiting: Held,
    /// The combined watermark: up to it only the latest value of each key is kept.
    known: i64,
    /// The highest time of a record of the stream that was answered without waiting for the table.
    unawaited: i64,
    hasher: DefaultHashBuilder,
}

impl Table {
    pub fn new(kind: Kind, hasher: DefaultHashBuilder) -> Self {
        Table {
            kind,
            versions: Versions::default(),
            waiting: Held::new(0, true),
            known: BEGINNING,
            unawaited: BEGINNING,
            hasher,
        }
    }

    #[cfg(test)]
    pub fn held(&self, side: Side) -> usize {
        match side {
            Side::Left => self.waiting.len(),
            Side::Right => self.versions.len(),
        }
    }

    /// Answers the records that have waited for the table, then drops what can no longer be asked
    /// for.
    pub fn on_time(
        &mut self,
        clock: &Clock,
        account: &mut Account,
        out: &mut impl Emit,
    ) -> Result<()> {
        let reached = clock.reach(Side::Right);
        if self.waiting.wake_at() <= reached {
            while let Some((_, id)) = self.waiting.first_due(reached) {
                self.waiting.settle(id);
                let record = self.waiting.record(id);
                let asked = Asked {
                    record: &record,
                    hash: self.hasher.hash_one(record.key()),
                    known: self.known,
                };
                if reached == END {
                    self.unawaited = self.unawaited.max(record.time);
                }
                answer(&mut self.versions, self.kind, &asked, account, out)?;
            }
            self.waiting.drop_passed(reached, |_, _, _| {});
        }
        self.known = clock.combined();
        account.of(Side::Right).unmatched += self.versions.drop_superseded(self.known);
        if clock.has_ended() {
            account.of(Side::Right).unmatched += self.versions.clear();
        }
        Ok(())
    }

    /// Takes in a record of either side.
    pub fn on_record(
        &mut self,
        side: Side,
        record: &Record<'_>,
        hash: u64,
        clock: &Clock,
        account: &mut Account,
        out: &mut impl Emit,
    ) -> Result<()> {
        let asked = Asked {
            record,
            hash,
            known: self.known,
        };
        let reached = clock.reach(Side::Right);
        match side {
            Side::Left if record.time < reached => {
                if reached == END {
                    self.unawaited = self.unawaited.max(record.time);
                }
                answer(&mut self.versions, self.kind, &asked, account, out)?;
            }
            Side::Left => {
                self.waiting.insert(record, NONE, false);
            }
            Side::Right => {
                let expected = asked.known.max(reached);
                let late = record.time < expected || record.time <= self.unawaited;
                if record.time <= self.unawaited {
                    account.of(side).late_for_idle();
                } else if late {
                    account.of(side).late(expected - record.time);
                }
                if record.content == Content::NullKey {
                    account.of(side).unmatched += u64::from(!late);
                } else {
                    self.versions.insert(&asked, late);
                }
            }
        }
        Ok(())
    }
}

/// Gives a record of the stream its row.
fn answer(
    versions: &mut Versions,
    kind: Kind,
    asked: &Asked<'_>,
    account: &mut Account,
    out: &mut impl Emit,
) -> Result<()> {
    let record = asked.record;
    let found = match record.content {
        Content::Keyed => versions.find(asked),
        Content::NullKey | Content::Tombstone => Found::Nothing,
    };
    match found {
        Found::Value(id) => {
            account.of(Side::Left).joined += 1;
            account.of(Side::Right).joined += u64::from(versions.settle(id));
            account.pairs += 1;
            out.emit(&Joined {
                key: record.key(),
                left: Some(record.rest()),
                right: Some(versions.rest(id)),
                time: record.time,
            })
        }
        Found::Nothing => {
            account.of(Side::Left).unmatched += 1;
            if !kind.keeps(Side::Left) {
                return Ok(());
            }
            account.alone += 1;
            out.emit(&alone(Side::Left, record))
        }
        Found::Superseded(by_ms) => {
            account.of(Side::Left).late(by_ms);
            Ok(())
        }
    }
}
