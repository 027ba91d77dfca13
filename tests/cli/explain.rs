//! `k explain`: the life of a record, the story of a window, and silence.

use serde_json::{Value, json};

use crate::workdir::{Run, Workdir};

const CALLS: &str = "\
call_id,at,caller,duration
1,2026-01-01T12:00:01Z,C17,40
2,2026-01-01T12:00:04Z,C20,12
3,2026-01-01T12:00:09Z,C17,5
4,2026-01-01T12:00:13Z,C20,33
5,2026-01-01T12:00:08Z,C17,7
6,2026-01-01T12:00:27Z,C20,21
7,2026-01-01T12:00:05Z,C17,9
8,yesterday,C17,9
9,2026-01-01T12:00:31Z,C17,2
";

/// How the calls are windowed.
const PLAN: &str = "--tumbling 10s --grace 5s --time at --by caller --agg count,sum(duration)";

fn calls() -> Workdir {
    let workdir = Workdir::new();
    workdir.write("calls.csv", CALLS);
    workdir
}

/// Returns the JSON lines of an answer.
fn answers(run: &Run) -> Vec<Value> {
    run.assert_status(0);
    let lines = run.stdout().lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON")
}

/// Returns the lines that an answer has.
#[track_caller]
fn assert_says(run: &Run, lines: &[&str]) {
    run.assert_status(0);
    for line in lines {
        assert!(run.stdout().contains(line), "{line}\n{}", run.stdout());
    }
}

#[test]
fn a_record_that_was_dropped_is_told_with_what_would_have_kept_it() {
    let workdir = calls();
    assert_says(
        &workdir.k(&format!("explain record calls.csv:8 {PLAN}")),
        &[
            "calls.csv:8: event time 2026-01-01T12:00:05Z.\n",
            "  Grouped by caller C17.\n",
            "The watermark was 2026-01-01T12:00:27Z, 22s past its time: calls.csv:7",
            "expired: it had closed 17s before, and its grace of 5s had passed 12s before.",
            "Dropped. The smallest that would have kept it: `--grace 17s1ms`, or `--out-of-order 12s1ms`.",
        ],
    );
    let outcome = |flags: &str| {
        let run = workdir.k(&format!(
            "explain record calls.csv:8 --time at --tumbling 10s --format json {flags}"
        ));
        answers(&run)[0]["outcome"].clone()
    };
    assert_eq!(outcome("--grace 17s1ms"), "late");
    assert_eq!(outcome("--grace 17s"), "expired");
    assert_eq!(outcome("--grace 5s --out-of-order 12s1ms"), "late");
    assert_eq!(outcome("--grace 5s --out-of-order 12s"), "expired");
}

#[test]
fn every_outcome_is_told_with_its_reason() {
    let workdir = calls();
    let explain =
        |question: &str| workdir.k(&format!("explain record {question} --from calls.csv"));
    assert_says(
        &explain(&format!("calls.csv:6 {PLAN}")),
        &[
            "late by 3s, within the grace of 5s.",
            "The record left in row 0, on time: count 3, sum_duration 52; as its grace had passed: \
             the watermark reached 2026-01-01T12:00:27Z with calls.csv:7",
        ],
    );
    assert_says(
        &explain(&format!("calls.csv:9 {PLAN}")),
        &[
            "no event time.",
            "Malformed: column `at`: `yesterday` is not a time",
        ],
    );
    assert_says(
        &explain(&format!("calls.csv:6 {PLAN} --where duration>8")),
        &[
            "Filtered: `--where` asks for duration > 8",
            "counts for the watermark all the same",
        ],
    );
    assert_says(
        &explain("calls.csv:4 --time at --tumbling 1m --distinct caller"),
        &["a duplicate: calls.csv:2 had the same value of `--distinct`."],
    );
    assert_says(
        &explain("--where call_id=6 --tumbling 10s --time at --ahead 1h"),
        &["calls.csv:7: event time", "on time"],
    );
    workdir.write("came.csv", "at,came\n1000,1500\n9000000,2000\n");
    assert_says(
        &workdir.k("explain record came.csv:3 --time at --arrival came --tumbling 10s --ahead 1h"),
        &["Ahead of its arrival, and set aside: 2h29m58s ahead of its arrival"],
    );
    assert_says(
        &workdir.k("explain record came.csv:2 --time at --arrival came --tumbling 10s"),
        &["it arrived at 1970-01-01T00:00:01.5Z, 500ms after that."],
    );
}

#[test]
fn a_record_that_is_not_there_is_told_with_the_way_out() {
    let workdir = calls();
    let explain = |question: &str| workdir.k(&format!("explain record {question}"));
    explain(&format!("calls.csv:1 {PLAN}")).assert_refused(
        1,
        &[
            "no record begins in line 1 of `calls.csv`",
            "looking at 9 records",
        ],
    );
    explain(&format!("call_id=77 {PLAN} --from calls.csv"))
        .assert_refused(1, &["has call_id=77", "1 is malformed"]);
    explain(&format!("call_di=7 {PLAN} --from calls.csv"))
        .assert_refused(2, &["unknown column `call_di`"]);
    explain("calls.csv:6").assert_refused(2, &["which windows?", "--journal"]);
    explain(&format!("{PLAN} --from calls.csv")).assert_refused(2, &["which record?"]);
    workdir
        .k(&format!("explain window 13:00 {PLAN} --from calls.csv"))
        .assert_refused(1, &["no record was in such a window", "needs its date"]);
    workdir
        .k("explain silence --journal run.jsonl")
        .assert_refused(2, &["a journal is of a run that has been"]);
}

#[test]
fn a_window_is_told_with_its_records_and_what_fired_it() {
    let workdir = calls();
    let run = workdir.k(&format!(
        "explain window 12:00 --key C17 {PLAN} --from calls.csv"
    ));
    assert_says(
        &run,
        &[
            "Window 2026-01-01T12:00:00Z to 2026-01-01T12:00:10Z, caller C17: 3 records, 1 of them \
             late; 1 record refused.\n",
            "  It closes when the watermark reaches 2026-01-01T12:00:10Z, and takes late records until \
             2026-01-01T12:00:15Z.\n",
            "    calls.csv:6  2026-01-01T12:00:08Z  late by 3s\n",
            "    calls.csv:8  2026-01-01T12:00:05Z  expired, 17s after the close\n",
            "  Fired row 0, on time: count 3, sum_duration 52; as its grace had passed",
        ],
    );
    assert!(!run.stdout().contains("C20"), "{}", run.stdout());
    let run = workdir.k(&format!(
        "explain window 12:00:03 {PLAN} --from calls.csv --format json"
    ));
    let stories = answers(&run);
    let of = |name: &str| {
        stories
            .iter()
            .map(|story| story[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("key"), [json!(["C17"]), json!(["C20"])]);
    assert_eq!(of("records"), [3, 1]);
    // A session is told as it became.
    let run = workdir.k(
        "explain window 12:00:09 --key C17 --session 5s --out-of-order 1m --by caller --time at \
                         --from calls.csv",
    );
    assert_says(
        &run,
        &["Window 2026-01-01T12:00:01Z to 2026-01-01T12:00:09Z, caller C17: 4 records."],
    );
}

#[test]
fn a_journal_gives_the_same_answers_as_the_run() {
    let workdir = Workdir::new();
    workdir
        .shell("k gen --seconds 60 --rate 20 --seed 3 --delay 20%:20s --duplicates 5% --out - -q > calls.csv")
        .assert_status(0);
    for plan in [
        "--tumbling 10s --grace 2s",
        "--hopping 10s,3s --by caller --grace 1s --trigger changes",
        "--session 4s --by caller --out-of-order 1s",
        "--session 4s,12s --grace 2s --trigger watermark",
        "--sliding 5s --by caller --grace 1s",
        "--tumbling 10s --distinct call_id --grace 3s",
        "--tumbling 10s --watermark percentile:90",
    ] {
        let run = workdir.k(&format!(
            "window {plan} --from calls.csv --journal run.jsonl --stats json -q --to rows.csv"
        ));
        run.assert_status(0);
        let account: Value = serde_json::from_str(run.stderr().trim()).expect("JSON");
        let all = "--where 'start_timestamp > 0' --most 100000 --format json";
        let replayed = workdir.shell(&format!("k explain record {all} {plan} --from calls.csv"));
        let replayed = answers(&replayed);
        let journal = workdir.shell(&format!("k explain record {all} --journal run.jsonl"));
        let journal = answers(&journal);
        assert_eq!(replayed.len(), journal.len(), "{plan}");
        for (replayed, journal) in replayed.iter().zip(&journal) {
            let (mut replayed, mut journal) = (replayed.clone(), journal.clone());
            // A condition adds its columns to what is shown.
            replayed["columns"] = Value::Null;
            journal["columns"] = Value::Null;
            assert_eq!(replayed, journal, "{plan}");
        }
        for (outcome, name) in [
            ("on_time", "on_time"),
            ("late", "late"),
            ("expired", "expired"),
        ] {
            let told = replayed
                .iter()
                .filter(|life| life["outcome"] == outcome)
                .count();
            assert_eq!(account[name], told, "{plan}: {name}");
        }
    }
}

#[test]
fn a_pipe_is_explained_as_a_file_is() {
    let workdir = calls();
    for plan in [
        "--tumbling 10s --grace 1s",
        "--session 3s --grace 1s --by caller",
    ] {
        let of_file = workdir.k(&format!(
            "explain record calls.csv:8 --time at {plan} --format json"
        ));
        let of_pipe = workdir.shell(&format!(
            "cat calls.csv | k explain record stdin:8 --time at {plan} --format json"
        ));
        assert_eq!(answers(&of_pipe), answers(&of_file));
    }
}

#[test]
fn what_moved_the_watermark_is_found_where_nobody_looked_at_its_batch() {
    let workdir = Workdir::new();
    // Quoted lines and blank ones, before a record some batches later.
    let mut lines = "at,text\n".to_owned();
    for nth in 0..40_000 {
        lines += &format!("{},\"a\nb\"\n\n", 1_000 + nth % 7);
    }
    lines += "1,late\n";
    workdir.write("long.csv", &lines);
    let run = workdir
        .k("explain record text='late' --tumbling 1s --time at --from long.csv --format json");
    let life = &answers(&run)[0];
    assert_eq!(life["outcome"], "expired");
    assert_eq!(life["place"], 120_002);
    assert_eq!(life["moved_by"]["record"], 6);
    assert_eq!(life["moved_by"]["place"], 20);
    assert_eq!(life["moved_by"]["at"], 1_006);
}

#[test]
fn a_source_without_a_record_is_asked_for_one_and_kafka_is_not() {
    let workdir = Workdir::new();
    workdir.write("calls.csv", "at\n1000\n");
    for (question, way_out) in [
        ("calls.csv", "calls.csv:17"),
        ("file:calls.csv", "file:calls.csv:17"),
        ("missing.csv", "missing.csv:17"),
        ("topic:calls", "calls:2:1041"),
        ("-", "stdin:17"),
    ] {
        workdir
            .k(&format!(
                "explain record {question} --tumbling 10s --time at"
            ))
            .assert_refused(2, &["which record of", way_out, "--where"]);
    }
}

#[test]
fn silence_says_why_no_record_fits() {
    let workdir = Workdir::new();
    workdir.write("calls.csv", "at,who\noops,a\nx,b\n");
    let silence = workdir.k("explain silence --tumbling 10s --time at --from calls.csv");
    silence.assert_status(0);
    let told = silence.stdout();
    assert!(told.contains("2 malformed"), "{told}");
    assert!(
        told.contains("in line 2: ") && told.contains("oops"),
        "{told}"
    );
}
