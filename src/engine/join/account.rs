//! Where every record of both sides went: none vanishes unaccounted.

use super::Side;

/// 1980-01-01 in ms since 1970, UTC.
const YEAR_1980: i64 = 315_532_800_000;

/// Counts of records by side, each counted once, and of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    sides: [SideAccount; 2],
    /// Rows of two records.
    pub pairs: u64,
    /// Rows of one record without a partner.
    pub alone: u64,
}

/// Counts of one side's records.
///
/// in + taken over = joined + unmatched + late + malformed + open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SideAccount {
    /// All that came in.
    pub records: u64,
    /// Were held by another process of a group before, without a partner.
    pub taken_over: u64,
    /// Met at least one record of the other side; of a table: were the value of one.
    pub joined: u64,
    /// Found no partner before the bound had passed, or the table had another value; null keys,
    /// too.
    pub unmatched: u64,
    /// Came when the watermark had passed them: a record that they should have met may be gone.
    pub late: u64,
    /// Did not fit their format or their columns.
    pub malformed: u64,
    /// The `--out-of-order`, in ms beyond the given one, that would have kept every late record
    /// but those `late_for_idle`.
    pub late_by_ms: i64,
    /// Those of the late ones that came to a table that was not waited for, since it was idle.
    pub late_for_idle: u64,
    /// Have an event time before 1980, which a wrong unit makes likely.
    pub before_1980: u64,
}

impl Account {
    /// Returns the counts of a side.
    pub fn side(&self, side: Side) -> &SideAccount {
        &self.sides[side.index()]
    }

    pub(super) fn of(&mut self, side: Side) -> &mut SideAccount {
        &mut self.sides[side.index()]
    }

    /// Returns the number of rows that left.
    pub fn rows(&self) -> u64 {
        self.pairs + self.alone
    }

    /// Counts records of a side that never became one.
    pub(crate) fn add_malformed(&mut self, side: Side, count: u64) {
        let of_side = self.of(side);
        of_side.records += count;
        of_side.malformed += count;
    }

    /// Adds what another join has counted.
    pub(crate) fn absorb(&mut self, other: &Account) {
        self.pairs += other.pairs;
        self.alone += other.alone;
        for (side, other) in self.sides.iter_mut().zip(&other.sides) {
            let SideAccount {
                records,
                taken_over,
                joined,
                unmatched,
                late,
                malformed,
                late_by_ms,
                late_for_idle,
                before_1980,
            } = *other;
            side.records += records;
            side.taken_over += taken_over;
            side.joined += joined;
            side.unmatched += unmatched;
            side.late += late;
            side.malformed += malformed;
            side.late_by_ms = side.late_by_ms.max(late_by_ms);
            side.late_for_idle += late_for_idle;
            side.before_1980 += before_1980;
        }
    }
}

impl SideAccount {
    /// Returns how many records are neither joined nor given up: 0 at the end of both inputs.
    pub fn open(&self) -> u64 {
        let closed = self.joined + self.unmatched + self.late + self.malformed;
        self.records + self.taken_over - closed
    }

    #[inline]
    pub(super) fn read(&mut self, time: i64) {
        self.records += 1;
        self.before_1980 += u64::from(time < YEAR_1980);
    }

    pub(super) fn late(&mut self, by_ms: i64) {
        self.late += 1;
        self.late_by_ms = self.late_by_ms.max(by_ms);
    }

    pub(super) fn late_for_idle(&mut self) {
        self.late += 1;
        self.late_for_idle += 1;
    }
}
