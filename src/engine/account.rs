//! Where every record went: no record vanishes unaccounted.

use serde::{Deserialize, Serialize};

/// Counts of records, each counted once by its best window, and of record × window.
///
/// in = on time + late + expired + malformed + filtered + duplicates + ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// In at least one window, and none of its windows had closed.
    pub on_time: u64,
    /// Kept, though at least one of its windows had closed.
    pub late: u64,
    /// Dropped: every one of its windows was past its grace.
    pub expired: u64,
    /// Did not fit its format or its columns.
    pub malformed: u64,
    /// Not selected by `--where`.
    pub filtered: u64,
    /// Their `--distinct` value had been counted in each of their windows.
    pub duplicates: u64,
    /// Set aside: their time was too far ahead of their arrival.
    pub ahead: u64,
    /// The same by record × window.
    pub windows: WindowAccount,
    /// The grace, in ms, that would have kept every expired record.
    pub grace_needed_ms: i64,
    /// Rows that left.
    pub rows: u64,
    /// Records with an event time before 1980, which a wrong unit makes likely.
    pub before_1980: u64,
}

/// Counts of record × window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowAccount {
    /// The window was open.
    pub on_time: u64,
    /// The window had closed.
    pub late: u64,
    /// The window was past its grace.
    pub expired: u64,
}

impl Account {
    /// Returns the number of records that came in.
    pub fn records(&self) -> u64 {
        let kept = self.on_time + self.late;
        kept + self.expired + self.malformed + self.filtered + self.duplicates + self.ahead
    }

    /// Adds what another part of the input came to.
    pub fn absorb(&mut self, other: &Account) {
        self.on_time += other.on_time;
        self.late += other.late;
        self.expired += other.expired;
        self.malformed += other.malformed;
        self.filtered += other.filtered;
        self.duplicates += other.duplicates;
        self.ahead += other.ahead;
        self.windows.on_time += other.windows.on_time;
        self.windows.late += other.windows.late;
        self.windows.expired += other.windows.expired;
        self.grace_needed_ms = self.grace_needed_ms.max(other.grace_needed_ms);
        self.rows += other.rows;
        self.before_1980 += other.before_1980;
    }
}
