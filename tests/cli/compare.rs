//! `k compare`: files, pipes, topics.

use crate::broker::{broker, unique};
use crate::workdir::Workdir;

const CALLS: &str =
    "gen -q --rate 100 --seconds 60 --seed 1 --start 2026-01-01T00:00:03 --callers 50";

fn workdir(more: &str) -> Workdir {
    let dir = Workdir::new();
    dir.k(&format!("{CALLS} {more}")).assert_status(0);
    dir
}

/// Returns the words in the column `cause`, each once, in order.
fn causes(stdout: &str) -> Vec<&str> {
    let mut causes: Vec<&str> = stdout
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit(',').next())
        .collect();
    causes.sort_unstable();
    causes.dedup();
    causes
}

#[test]
fn the_same_result_in_csv_and_json_does_not_differ() {
    let dir = workdir("");
    let agg = "--by caller --agg 'count, avg(duration)' --from data/mono_signal.csv";
    let run = dir.shell(&format!(
        "k window -q --session 2s {agg} --to a.json && k window -q --session 2s {agg} | k compare a.json -"
    ));
    run.assert_status(0);
    assert_eq!(run.stdout(), "");
    assert!(run.stderr().contains("0 not"), "{}", run.stderr());
}

#[test]
fn each_way_to_be_wrong_has_its_cause() {
    let dir = workdir("--order end --duplicates 5%");
    let exact = "--grace 2h --distinct call_id";
    dir.shell(&format!("k window -q --tumbling 10s {exact} --by caller --agg 'count, avg(duration)' --from data/mono_signal.csv --to exact.csv"))
        .assert_status(0);
    for (flags, cause) in [
        ("--tumbling 10s --distinct call_id --by caller", "fewer"),
        ("--tumbling 10s --grace 2h --by caller", "more"),
        (
            "--tumbling 10s --align 3s --grace 2h --distinct call_id --by caller",
            "shifted",
        ),
        (
            "--tumbling 30s --grace 2h --distinct call_id --by caller",
            "bounds",
        ),
        (
            "--tumbling 10s --grace 2h --distinct call_id --by callee",
            "value",
        ),
    ] {
        let run = dir.shell(&format!(
            "k window -q {flags} --agg 'count, avg(duration)' --from data/mono_signal.csv | k compare exact.csv -"
        ));
        run.assert_status(1);
        assert!(
            causes(run.stdout()).contains(&cause),
            "{flags}: {:?}",
            causes(run.stdout())
        );
        assert!(run.stderr().contains("differ in"), "{}", run.stderr());
    }
}

#[test]
fn rounding_alone_is_told_and_is_the_same() {
    let dir = Workdir::new();
    dir.write(
        "a.csv",
        "window_start,window_end,avg_duration\n0,10,75017.033333\n",
    );
    dir.write(
        "b.csv",
        "WINDOW_START,WINDOW_END,AVG_DURATION\n0,10,75017.03\n",
    );
    let run = dir.k("compare a.csv b.csv");
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,key,measure,a,b,cause\n0,10,,avg_duration,75017.033333,75017.03,rounding\n"
    );
}

#[test]
fn whole_numbers_are_compared_by_all_their_digits() {
    let dir = Workdir::new();
    let header = "window_start,window_end,sum_v";
    let rows = |sum: &str| format!("{header}\n0,10,1\n10,20,{sum}\n20,30,1\n");
    for (a, b, cause) in [
        ("9007199254740992", "9007199254740993", Some("more")),
        (
            "12345678901234567891",
            "12345678901234567890",
            Some("fewer"),
        ),
        (
            "1234567890123456789012345678901234567",
            "1234567890123456789012345678901234568",
            Some("more"),
        ),
        ("9007199254740993", "9007199254740993.0", None),
        ("0.1", "0.10", None),
    ] {
        dir.write("a.csv", rows(a));
        dir.write("b.csv", rows(b));
        let run = dir.k("compare a.csv b.csv");
        let found = run.stdout().lines().nth(1);
        let found = found.and_then(|line| line.rsplit(',').next());
        assert_eq!(found, cause, "{a} {b}");
        run.assert_status(if cause.is_some() { 1 } else { 0 });
    }
    let doubles = "{\"window_start\":0,\"window_end\":10,\"sum_v\":9007199254740992.0}\n";
    dir.write("b.jsonl", doubles);
    dir.write("a.csv", format!("{header}\n0,10,9007199254740993\n"));
    let run = dir.k("compare a.csv b.jsonl");
    run.assert_status(0);
    assert!(run.stdout().ends_with(",rounding\n"), "{}", run.stdout());
}

#[test]
fn rows_taken_back_and_updates_are_folded_to_the_last_state() {
    let dir = workdir("");
    let run = dir.shell(
        "k window -q --session 200ms --by caller --from data/mono_signal.csv --to exact.csv; \
         k window -q --session 200ms --by caller --emit changes --refine retracting --from data/mono_signal.csv | k compare exact.csv -",
    );
    run.assert_status(0);
}

#[test]
fn what_is_no_result_is_refused_with_a_way_out() {
    let dir = workdir("");
    dir.shell("k window -q --tumbling 10s --from data/mono_signal.csv --to a.csv && k window -q --tumbling 10s --from data/mono_signal.csv --format table > t.csv")
        .assert_status(0);
    dir.k("compare a.csv t.csv")
        .assert_refused(1, &["output of `--format table`", "CSV"]);
    dir.k("compare a.csv none.csv")
        .assert_refused(1, &["none.csv"]);
    dir.k("compare - -").assert_refused(2, &["one stdin"]);
    dir.k("compare a.csv a.csv --by caller").assert_refused(
        1,
        &["no key column `caller`", "window_start, window_end, count"],
    );
    dir.shell(
        "k window -q --tumbling 10s --by caller --from data/mono_signal.csv | k compare a.csv -",
    )
    .assert_refused(1, &["A has no key, B has key caller"]);
}

#[test]
fn a_topic_of_updates_and_tombstones_is_its_table() {
    let Some(broker) = broker() else { return };
    let dir = workdir("");
    let topic = unique("sessions");
    let window = "k window -q --session 200ms --by caller --from data/mono_signal.csv";
    dir.shell(&format!(
        "{window} --to exact.csv && {window} --emit changes --to {topic} -b {broker}"
    ))
    .assert_status(0);
    let run = dir.k(&format!("compare exact.csv {topic} -b {broker}"));
    run.assert_status(0);
    // What is no topic is told as everywhere.
    dir.k(&format!("compare exact.csv {topic}-none -b {broker}"))
        .assert_refused(1, &["does not exist"]);
}
