//! What a join did, for people and for a program.

use serde_json::{Value, json};

use super::super::summary::{came_to, in_all, json_watermark, rounded_up, shown_watermark};
use crate::engine::join::Side;
use crate::engine::join::account::{Account, SideAccount};
use crate::plan::join::name_of;
use crate::term::units::{format_count, format_duration, format_plural};

/// Returns the summary's lines: where every record of each side went, the rows, and what would
/// have kept the late records. Records that may still meet another are `open`.
/// `to` says where the rows went, as ` to out.csv`.
pub fn lines(account: &Account, watermark: i64, to: &str) -> Vec<String> {
    let side = |side: Side| {
        let counts = account.side(side);
        let outcomes = [
            (counts.joined, "joined"),
            (counts.unmatched, "unmatched"),
            (counts.late, "late"),
            (counts.malformed, "malformed"),
            (counts.open(), "open"),
        ];
        let of_side = match counts.taken_over {
            0 => came_to(counts.records, &outcomes),
            held => format!(
                "{} in, {} held before: {}",
                format_plural(counts.records, "record"),
                format_count(held),
                in_all(outcomes.into_iter()),
            ),
        };
        format!("{}: {of_side}", name_of(side))
    };
    let mut lines: Vec<String> = Side::BOTH.map(side).into();
    let alone = match account.alone {
        0 => String::new(),
        alone => format!(" + {} alone", format_count(alone)),
    };
    lines.push(format!(
        "{}{alone} → {}{to}; watermark {}",
        format_plural(account.pairs, "pair"),
        format_plural(account.rows(), "row"),
        shown_watermark(watermark),
    ));
    let late_for_idle = account.side(Side::Right).late_for_idle;
    if late_for_idle > 0 {
        lines.push(format!(
            "a longer `--idle` would have waited for the {} of a table that was idle",
            format_plural(late_for_idle, "late record")
        ));
    }
    let late_by_ms = Side::BOTH.map(|side| account.side(side).late_by_ms);
    if let Some(by @ 1..) = late_by_ms.into_iter().max() {
        lines.push(format!(
            "an `--out-of-order` longer by {} would have kept every {}late record",
            format_duration(rounded_up(by)),
            if late_for_idle > 0 { "other " } else { "" }
        ));
    }
    lines
}

/// Returns the account as one line of JSON; times in ms since 1970, UTC, the watermark null
/// before the first records and "end" at the end of bounded inputs.
pub fn json(account: &Account, watermark: i64) -> String {
    let side = |side: Side| -> Value {
        let counts: &SideAccount = account.side(side);
        json!({
            "in": counts.records,
            "taken_over": counts.taken_over,
            "joined": counts.joined,
            "unmatched": counts.unmatched,
            "late": counts.late,
            "malformed": counts.malformed,
            "open": counts.open(),
        })
    };
    json!({
        "left": side(Side::Left),
        "right": side(Side::Right),
        "pairs": account.pairs,
        "rows": account.rows(),
        "watermark": json_watermark(watermark),
    })
    .to_string()
}
