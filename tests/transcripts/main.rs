//! The window engine told as transcripts: what goes in, and which panes come out of it.
//!
//! A file of `cases/` holds cases; one begins with a line `== title` that says what it shows:
//!
//! ```text
//! == A record on the border belongs to the window that it starts
//! window: tumbling 10ms
//!
//! 9: a 5
//! 10: a 7
//!     + [0, 10) a: count 1, sum 5; on time, pane 0, last
//! end
//!     + [10, 20) a: count 1, sum 7; on time, pane 0, last
//! ```
//!
//! First come the settings: `window`, and where they differ from the default `trigger` (default
//! `final`), `refinement` (`accumulating`), `grace` (`0s`), `out-of-order` (`0s`) or `watermark:
//! percentile:50`, `partitions` (1), `compute` (`count, sum`), `time: arrival` (event time is when
//! a record came). Windows are `tumbling 10s`, `hopping 10s, 4s`, either with `, align 3s` or
//! `, zone Europe/Paris` and then of weeks, months or years, too; `session 5s`, `session 5s, max 12s`; `sliding 10s`; `global`.
//!
//! What goes in is at the margin: records as `event time -> processing time: key value` (without
//! `->` nobody asks when it came; without a key there is one group; `p1 ` before it says which
//! partition, else 0), `watermark 10` and `watermark p1 10`, `tick 12:00:05` (processing time),
//! `idle p1`, `active p1`, `malformed`, `end`. A record that is not on time says so: `9: a 5,
//! late`, or `expired`, or `filtered`; a late one may say more: `late by 3ms for [0, 10)`.
//!
//! What comes out is indented: panes, in their order, `+` a result and `-` one taken back, and
//! where it matters `watermark 10`, `states 2` (how many are held), `windows 3 on time, 1 late, 2
//! expired` (record × window), `grace needed 5ms`. Panes that are not there, or are there and
//! should not be, fail the case.
//!
//! Times are ms since 1970 (`17`), times of day of 1970-01-01 (`12:00:26`), or ISO 8601. Windows
//! of a grid are `[start, end)`, sessions and sliding windows `[first, last]`, the window of all
//! time is `all time`. A `#` begins a comment.
//!
//! Expected panes are worked out by hand from the model, not copied from a run. With
//! `K_TRANSCRIPTS=show` a run prints what came out; nothing rewrites a file.

mod case;
mod clock;
mod feed;
mod parse;
mod rebuild;
mod run;
mod runner;
mod ways;

use std::path::{Path, PathBuf};

use case::Case;
use ways::Failure;

/// Reads every file of cases, in the order of their names.
fn all_cases() -> Result<Vec<Case>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/cases");
    let entries = std::fs::read_dir(&folder).expect("the folder of cases");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text file");
        let name = file.file_name().expect("a name").to_string_lossy();
        cases.extend(parse::parse(&name, &text)?);
    }
    Ok(cases)
}

/// Fails with what is wrong in any case, all of them together.
#[track_caller]
fn check_all(check: impl Fn(&Case) -> Result<(), Failure>) {
    let cases = all_cases().unwrap_or_else(|failure| panic!("\n{failure}"));
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}

#[test]
fn every_case_gives_its_panes_record_by_record() {
    if std::env::var_os("K_TRANSCRIPTS").is_some_and(|wish| wish == "show") {
        let cases = all_cases().unwrap_or_else(|failure| panic!("\n{failure}"));
        cases
            .iter()
            .for_each(|case| print!("{}", ways::shown(case)));
    }
    check_all(ways::record_by_record);
}

#[test]
fn every_case_gives_the_same_panes_in_batches_of_one_two_and_all() {
    for records in [1, 2, usize::MAX] {
        check_all(|case| ways::in_batches(case, records));
    }
}

#[test]
fn every_case_gives_the_same_panes_replayed_from_its_changes_before_each_step() {
    check_all(ways::replayed);
}

#[test]
fn every_case_fires_alike_under_every_refinement_and_the_panes_add_up() {
    check_all(ways::refined);
}

#[test]
fn every_pane_and_the_account_can_be_rebuilt_from_the_journal_alone() {
    check_all(ways::rebuilt);
}

#[test]
fn there_are_enough_cases_and_each_has_a_title_of_its_own() {
    let cases = all_cases().unwrap_or_else(|failure| panic!("\n{failure}"));
    let mut titles: Vec<&str> = cases.iter().map(|case| case.title.as_str()).collect();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), cases.len(), "two cases have one title");
    assert!(cases.len() >= 80, "{} cases", cases.len());
}
