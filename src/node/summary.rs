//! What a run did, for people and for a program.

use serde_json::json;

use crate::engine::account::Account;
use crate::engine::operator::Open;
use crate::engine::watermark::{BEGINNING, END};
use crate::term::units::{
    DAY, HOUR, MINUTE, SECOND, format_count, format_duration, format_plural, format_time,
};

/// Returns the summary's lines: where every record went, by record and by record × window, and
/// what grace would have kept the expired ones. `to` says where the rows went, as ` to out.csv`,
/// and what is not among them.
pub fn lines(account: &Account, watermark: i64, to: &str) -> Vec<String> {
    let Account { windows, .. } = account;
    let duplicates = match account.duplicates {
        0 => String::new(),
        count => format!(" + {} duplicates", format_count(count)),
    };
    let ahead = match account.ahead {
        0 => String::new(),
        count => format!(" + {} ahead", format_count(count)),
    };
    let mut lines = vec![format!(
        "{} in = {} on time + {} late + {} expired + {} malformed + {} filtered{duplicates}{ahead} → {}{to}; \
         watermark {}",
        format_plural(account.records(), "record"),
        format_count(account.on_time),
        format_count(account.late),
        format_count(account.expired),
        format_count(account.malformed),
        format_count(account.filtered),
        format_plural(account.rows, "row"),
        shown_watermark(watermark),
    )];
    lines.push(format!(
        "record × window: {} on time, {} late, {} expired",
        format_count(windows.on_time),
        format_count(windows.late),
        format_count(windows.expired),
    ));
    if account.expired > 0 {
        lines.push(format!(
            "`--grace {}` would have kept every expired record",
            format_duration(rounded_up(account.grace_needed_ms))
        ));
    }
    lines
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

    #[test]
    fn the_grace_that_is_named_suffices_and_is_short() {
        for (needed, named) in [(1, 1), (999, 1_000), (1_001, 2_000), (61_000, 120_000)] {
            assert_eq!(rounded_up(needed), named, "{needed}");
        }
        assert_eq!(rounded_up(850), 850);
    }

    #[test]
    fn every_record_is_in_the_sum() {
        let account = Account {
            on_time: 5,
            late: 1,
            expired: 2,
            grace_needed_ms: 2_500,
            ..Account::default()
        };
        let lines = lines(&account, END, " to x.csv");
        assert!(lines[0].starts_with("8 records in = 5 on time + 1 late + 2 expired"));
        assert!(lines[0].contains("→ 0 rows to x.csv;"));
        assert_eq!(
            lines[2],
            "`--grace 3s` would have kept every expired record"
        );
    }
}
