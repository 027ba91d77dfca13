//! Where every record went: no record vanishes unaccounted.

/// Counts of records, each counted once by its best window, and of record × window.
///
/// in = on time + late + expired + malformed + filtered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
        self.on_time + self.late + self.expired + self.malformed + self.filtered
    }
}
