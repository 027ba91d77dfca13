//! How far a run has come, and what its next row waits for, as data.

use serde::Serialize;

use crate::engine::operator::Operator;
use crate::engine::watermark::{BEGINNING, END};
use crate::journal::Bounds;
use crate::term::units::{format_count, format_duration, format_plural, format_time};

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// Where every record went, by outcome.
    pub records: Records,
    /// The combined watermark; `None` before there is one.
    pub watermark: Option<i64>,
    /// What the next row waits for; `None` where no window is open.
    pub(crate) waits: Option<Waits>,
    /// Why no row comes, for a person.
    pub reason: String,
    /// Each partition.
    pub partitions: Vec<Partition>,
}

/// Counts of records, as the summary of `k window` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Records {
    /// All that were read.
    pub read: u64,
    /// In windows, none of which had closed.
    pub on_time: u64,
    /// In a window though one had closed.
    pub late: u64,
    /// Dropped.
    pub expired: u64,
    /// Not selected.
    pub filtered: u64,
    /// Of a `--distinct` value that had been counted.
    pub duplicates: u64,
    /// Did not fit.
    pub malformed: u64,
    /// Set aside by `--ahead`.
    pub ahead: u64,
    /// Rows that left.
    pub rows: u64,
}

/// What the next row that the watermark brings waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Waits {
    /// The open window that is due first.
    pub window: Bounds,
    /// The watermark at which it is; `None` for the end of the input.
    pub until: Option<i64>,
    /// By how much the watermark falls short, in ms.
    pub missing: Option<i64>,
    /// How many windows are open.
    pub open: usize,
}

/// One partition of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Partition {
    /// Its number.
    pub partition: usize,
    /// How many records of it were read.
    pub records: u64,
    /// The highest event time in it.
    pub(crate) highest: Option<i64>,
    /// Its watermark.
    pub watermark: Option<i64>,
    /// Whether all that is in it now was read.
    pub(crate) at_end: bool,
    /// Whether it has been silent for so long that it holds nothing back.
    pub idle: bool,
    /// Whether the combined watermark is where it is because of this partition.
    pub(crate) holds_back: bool,
}

impl Standing {
    /// Returns how far a run has come. `counts` has the records of each partition, `at_end` says
    /// whether one was read to its end.
    pub fn of(
        operator: &Operator,
        counts: &[u64],
        at_end: impl Fn(usize) -> bool,
        reason: String,
    ) -> Self {
        let (account, watermarks) = (operator.account(), operator.watermarks());
        let time = |at: i64| (at != BEGINNING && at != END).then_some(at);
        let behind = watermarks.furthest_behind();
        let combined = watermarks.combined();
        let partition = |nth: usize| Partition {
            partition: nth,
            records: counts.get(nth).copied().unwrap_or(0),
            highest: time(watermarks.high(nth)),
            watermark: time(watermarks.of(nth)),
            at_end: at_end(nth),
            idle: watermarks.is_idle(nth),
            holds_back: behind.is_some_and(|behind| {
                !watermarks.is_idle(nth) && watermarks.of(nth) == watermarks.of(behind)
            }),
        };
        Standing {
            records: Records {
                read: account.records(),
                on_time: account.on_time,
                late: account.late,
                expired: account.expired,
                filtered: account.filtered,
                duplicates: account.duplicates,
                malformed: account.malformed,
                ahead: account.ahead,
                rows: account.rows,
            },
            watermark: time(combined),
            waits: operator.awaited().map(|awaited| Waits {
                window: awaited.window.into(),
                until: time(awaited.watermark),
                missing: time(awaited.watermark)
                    .zip(time(combined))
                    .map(|(until, at)| until.saturating_sub(at)),
                open: awaited.windows,
            }),
            reason,
            partitions: (0..watermarks.partitions()).map(partition).collect(),
        }
    }

    /// Returns it in lines; `idle` is how long a silent partition holds the watermark back, in ms.
    pub fn lines(&self, idle: i64) -> Vec<String> {
        let mut reason = self.reason.clone();
        if let Some(first) = reason.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let mut lines = vec![
            format!(
                "{} read, {} so far.",
                format_plural(self.records.read, "record"),
                format_plural(self.records.rows, "row")
            ),
            format!("{reason}."),
        ];
        lines.extend(self.partitions.iter().map(|partition| partition.line(idle)));
        lines
    }
}

impl Partition {
    fn line(&self, idle: i64) -> String {
        let records = match self.records {
            0 => "empty".to_owned(),
            records => format!("{} records", format_count(records)),
        };
        let records = match self.records {
            1 => "1 record".to_owned(),
            _ => records,
        };
        let time = match (self.highest, self.watermark) {
            (Some(highest), Some(watermark)) => format!(
                ", the highest of {}, watermark {}",
                format_time(highest),
                format_time(watermark)
            ),
            _ => ", no watermark".to_owned(),
        };
        let end = match (self.at_end, self.idle) {
            (_, true) => format!(
                "; silent for longer than `--idle {}`, it holds nothing back",
                format_duration(idle)
            ),
            (true, false) => "; read to its end".to_owned(),
            (false, false) => "; still being read".to_owned(),
        };
        let holds = if self.holds_back {
            " ← holds the watermark back"
        } else {
            ""
        };
        format!(
            "  partition {}: {records}{time}{end}{holds}",
            self.partition
        )
    }
}
