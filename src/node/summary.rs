//! What a run did, for people and for a program.

use serde_json::json;

use crate::engine::account::Account;
use crate::engine::operator::Open;
use crate::engine::watermark::{BEGINNING, END};
use crate::term::units::{
    DAY, HOUR, MINUTE, SECOND, format_count, format_duration, format_plural, format_time,
};

/// Returns the summary's lines: where every record went, by record, and by record × window where that
/// says more, and what grace would have kept the expired ones. `to` says where the rows went, as
/// ` to out.csv`, and what is not among them.
pub fn lines(account: &Account, watermark: i64, to: &str) -> Vec<String> {
    let Account { windows, .. } = account;
    let duplicates = match account.duplicates {
        1 => "duplicate",
        _ => "duplicates",
    };
    let records = [
        (account.on_time, "on time"),
        (account.late, "late"),
        (account.expired, "expired"),
        (account.malformed, "malformed"),
        (account.filtered, "filtered"),
        (account.duplicates, duplicates),
        (account.ahead, "ahead"),
    ];
    let mut lines = vec![format!(
        "{} → {}{to}; watermark {}",
        came_to(account.records(), &records),
        format_plural(account.rows, "row"),
        shown_watermark(watermark),
    )];
    let by_window = [windows.on_time, windows.late, windows.expired];
    if by_window != [account.on_time, account.late, account.expired] {
        let counts = by_window.into_iter().zip(["on time", "late", "expired"]);
        lines.push(format!("record × window: {}", in_all(counts)));
    }
    if account.expired > 0 {
        lines.push(format!(
            "`--grace {}` would have kept every expired record",
            format_duration(rounded_up(account.grace_needed_ms))
        ));
    }
    lines
}

/// Returns what became of some records: `6,000 records in, all on time`, or
/// `6,000 records in: 2,944 on time, 3,056 expired`.
pub(super) fn came_to(records: u64, counts: &[(u64, &str)]) -> String {
    let came = format!("{} in", format_plural(records, "record"));
    match counts.iter().find(|(count, _)| *count == records) {
        _ if records == 0 => came,
        Some((_, outcome)) if records > 1 => format!("{came}, all {outcome}"),
        Some((_, outcome)) => format!("{came}, {outcome}"),
        None => format!("{came}: {}", in_all(counts.iter().copied())),
    }
}

/// Returns what is not zero: `2,944 on time, 3,056 expired`.
pub(super) fn in_all<'o>(counts: impl Iterator<Item = (u64, &'o str)>) -> String {
    let counts = counts.filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, outcome)| format!("{} {outcome}", format_count(count)));
    counts.collect::<Vec<_>>().join(", ")
}

/// What happens to windows that a run leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// What would have shown them.
    Shows(&'static str),
    /// Their group continues with them.
    Kept,
    /// Each record has shown its row.
    Shown,
}

/// Returns what a run that was stopped leaves open, behind the number of its rows:
/// `, 1 window open with 5 records (--exit shows it)`.
pub fn open_windows(open: Open, account: &Account, way_out: WayOut) -> String {
    let them = match open.windows {
        0 => return String::new(),
        1 => "it",
        _ => "them",
    };
    let apart = account.on_time + account.late;
    let how_often = if account.windows.on_time + account.windows.late > apart {
        ", each counted once per window"
    } else {
        ""
    };
    let records = open.records.map_or(String::new(), |records| {
        format!(" with {}{how_often}", format_plural(records, "record"))
    });
    let way_out = match way_out {
        WayOut::Shows(what) => format!(" ({what} shows {them})"),
        WayOut::Kept => format!(" (the group's next run continues with {them})"),
        WayOut::Shown => String::new(),
    };
    let windows = format_plural(open.windows as u64, "window");
    format!(", {windows} open{records}{way_out}")
}

/// Returns the account as one line of JSON; times in ms since 1970, UTC, the watermark null
/// before the first record and "end" at the end of a bounded input. `open` is what a run that was
/// stopped leaves open; its records are null where they are not known.
pub fn json(account: &Account, open: Open, watermark: i64) -> String {
    json!({
        "in": account.records(),
        "on_time": account.on_time,
        "late": account.late,
        "expired": account.expired,
        "malformed": account.malformed,
        "filtered": account.filtered,
        "duplicates": account.duplicates,
        "ahead": account.ahead,
        "panes": account.rows,
        "open_windows": open.windows,
        "open_records": open.records,
        "watermark": json_watermark(watermark),
    })
    .to_string()
}

pub(super) fn json_watermark(watermark: i64) -> serde_json::Value {
    match watermark {
        BEGINNING => serde_json::Value::Null,
        END => json!("end"),
        at => json!(at),
    }
}

pub(super) fn shown_watermark(watermark: i64) -> String {
    match watermark {
        BEGINNING => "not set".to_owned(),
        END => "at the end".to_owned(),
        at => format_time(at),
    }
}

/// Rounds a duration up to one that people would type: two leading digits of its unit.
pub(super) fn rounded_up(ms: i64) -> i64 {
    let unit = [DAY, HOUR, MINUTE, SECOND, 1]
        .into_iter()
        .find(|&unit| ms >= unit)
        .unwrap_or(1);
    let step = if ms >= 100 * unit { 10 * unit } else { unit };
    (ms / step + i64::from(ms % step > 0)).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::account::WindowAccount;

    #[test]
    fn the_grace_that_is_named_suffices_and_is_short() {
        for (needed, named) in [(1, 1), (999, 1_000), (1_001, 2_000), (61_000, 120_000)] {
            assert_eq!(rounded_up(needed), named, "{needed}");
        }
        assert_eq!(rounded_up(850), 850);
    }

    #[test]
    fn what_is_not_zero_is_in_the_sum() {
        let account = Account {
            on_time: 5,
            late: 1,
            expired: 2,
            grace_needed_ms: 2_500,
            windows: WindowAccount {
                on_time: 10,
                late: 2,
                expired: 4,
            },
            ..Account::default()
        };
        assert_eq!(
            lines(&account, END, " to x.csv"),
            [
                "8 records in: 5 on time, 1 late, 2 expired → 0 rows to x.csv; watermark at the end",
                "record × window: 10 on time, 2 late, 4 expired",
                "`--grace 3s` would have kept every expired record",
            ]
        );
    }

    #[test]
    fn what_became_of_all_records_is_said_once() {
        let account = |on_time, duplicates| Account {
            on_time,
            duplicates,
            rows: 1,
            windows: WindowAccount {
                on_time,
                ..WindowAccount::default()
            },
            ..Account::default()
        };
        for (account, line) in [
            (account(6_000, 0), "6,000 records in, all on time → 1 row"),
            (account(1, 0), "1 record in, on time → 1 row"),
            (
                account(1, 1),
                "2 records in: 1 on time, 1 duplicate → 1 row",
            ),
            (account(0, 0), "0 records in → 1 row"),
        ] {
            assert_eq!(
                lines(&account, BEGINNING, ""),
                [format!("{line}; watermark not set")]
            );
        }
    }
}
