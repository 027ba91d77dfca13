//! `k check`: right answers are right, wrong ones are told their cause.

use crate::broker::{broker, unique};
use crate::workdir::Workdir;

const GEN: &str =
    "gen -q --rate 100 --seconds 60 --callers 200 --seed 7 --start 2026-01-01T00:00:03";

/// What is typed before `| k check N`: `window …` reads the calls, `join …` both files.
struct Case {
    exercise: u32,
    data: &'static str,
    right: &'static str,
    /// Wrong answers and a part of their cause.
    wrong: &'static [(&'static str, &'static str)],
}

/// Rows that a crash makes come twice, or not at all.
const AGAIN: &str = "head -500 data/mono_signal.csv | cat data/mono_signal.csv - | grep -v '^call' | cat header.csv - |";
const LOST: &str = "sed 1000,1400d data/mono_signal.csv |";
/// The other file.
const TOWER: &str = "cat data/tower.csv |";
const TWICE: &str =
    "cat data/mono_signal.csv data/mono_signal.csv | grep -v '^call' | cat header.csv - |";

const CASES: &[Case] = &[
    Case {
        exercise: 1,
        data: "",
        right: "window --global --by disposition",
        wrong: &[
            ("window --global", "not grouped"),
            ("window --tumbling 1h --by disposition", "asks for all time"),
            (
                "window --global --by disposition,caller",
                "also grouped by caller",
            ),
            (
                "LOST window --global --by disposition",
                "records are missing",
            ),
            (
                "window --global --by disposition --agg 'sum(duration)'",
                "no column `count`, but sum_duration",
            ),
        ],
    },
    Case {
        exercise: 2,
        data: "",
        right: "window --tumbling 10s",
        wrong: &[
            (
                "window --tumbling 10s --time end_timestamp",
                "wrong time column",
            ),
            (
                "window --tumbling 10s --time end_timestamp --grace 2h",
                "wrong time column",
            ),
            (
                "window --tumbling 10s --align 3s",
                "off by their start: they begin 3s after each full 10s",
            ),
            ("window --tumbling 1m", "the windows last 1m, not 10s"),
            (
                "window --tumbling 10s --where \"disposition = 'connected'\"",
                "filtered",
            ),
            (
                "TWICE window --tumbling 10s --grace 2h",
                "every count is 2 times as large",
            ),
            (
                "window --tumbling 10s --arrival end_timestamp --time @arrival --grace 2h",
                "wrong time column",
            ),
            (
                "window --tumbling 10s --where 'call_id < 0'",
                "the answer has no rows",
            ),
        ],
    },
    Case {
        exercise: 3,
        data: "",
        right: "window --tumbling 1m --by caller --where \"disposition = 'connected'\" --agg 'count, sum(duration), avg(duration)'",
        wrong: &[
            (
                "window --tumbling 1m --by caller --agg 'count, sum(duration), avg(duration)'",
                "not filtered",
            ),
            (
                "window --tumbling 1m --by callee --where \"disposition = 'connected'\" --agg 'count, sum(duration), avg(duration)'",
                "grouped by callee, not by caller",
            ),
            (
                "window --tumbling 1m --by caller --where \"disposition = 'connected'\"",
                "no column `sum_duration`",
            ),
            (
                "window --tumbling 1m --by 'callee as caller' --where \"disposition = 'connected'\" --agg 'count, sum(duration), avg(duration)'",
                "different key: the rows are by callee",
            ),
            (
                "window --tumbling 1m --by caller --where \"disposition = 'busy'\" --agg 'count, sum(duration), avg(duration)'",
                "only busy calls are counted",
            ),
            (
                "window --tumbling 1m --by caller --where \"disposition = 'connected'\" --agg 'count, sum(duration), max(duration) as avg_duration'",
                "another aggregate",
            ),
        ],
    },
    Case {
        exercise: 4,
        data: "",
        right: "window --hopping 30s,10s",
        wrong: &[
            ("window --tumbling 30s", "do not overlap"),
            ("window --tumbling 10s", "the windows last 10s, not 30s"),
            ("window --hopping 30s,5s", "begin more often than every 10s"),
            ("window --hopping 30s,10s --align 5s", "off by their start"),
        ],
    },
    Case {
        exercise: 5,
        data: "",
        right: "window --session 5s --by caller",
        wrong: &[
            (
                "window --session 7s --by caller",
                "gap of the sessions is 7s, not 5s",
            ),
            ("window --tumbling 5s --by caller", "these are not sessions"),
            ("window --session 5s", "not grouped"),
            (
                "window --session 5s --by caller --time end_timestamp --grace 2h",
                "wrong time column",
            ),
            (
                "window --session 5s --by caller --time end_timestamp",
                "the windows are where calls end",
            ),
            ("LOST window --session 5s --by caller", "other bounds"),
        ],
    },
    Case {
        exercise: 6,
        data: "--order end",
        right: "window --tumbling 10s --grace 1h --agg 'count, sum(duration)'",
        wrong: &[
            (
                "window --tumbling 10s --agg 'count, sum(duration)'",
                "late records were dropped: their windows had closed",
            ),
            (
                "window --tumbling 10s --grace 30s --agg 'count, sum(duration)'",
                "30s of grace or out-of-orderness are too little",
            ),
            (
                "window --tumbling 10s --out-of-order 33s --agg 'count, sum(duration)'",
                "late ones were dropped",
            ),
            (
                "window --tumbling 10s --time end_timestamp --agg 'count, sum(duration)'",
                "wrong time column",
            ),
        ],
    },
    Case {
        exercise: 7,
        data: "--order end",
        right: "window --tumbling 10s --grace 1h --trigger 'early(count 100) watermark late(count 1)' --refine retracting",
        wrong: &[
            (
                "window --tumbling 10s --grace 1h --trigger 'early(count 100) watermark late(count 1)' --refine discarding",
                "discarding panes",
            ),
            (
                "window --tumbling 10s --trigger 'early(count 100) watermark'",
                "late records were dropped",
            ),
            (
                "window --tumbling 20s --grace 1h --trigger 'early(count 100) watermark late(count 1)'",
                "last 20s",
            ),
        ],
    },
    Case {
        exercise: 8,
        data: "--duplicates 5% --delay 10%:20s",
        right: "window --tumbling 10s --distinct call_id --grace 1m",
        wrong: &[
            ("window --tumbling 10s --grace 1m", "duplicates are counted"),
            (
                "window --tumbling 10s --distinct call_id",
                "late records were dropped",
            ),
            (
                "window --tumbling 10s",
                "duplicates are counted: some calls came twice; also, late",
            ),
            (
                "window --tumbling 10s --distinct caller --grace 1m",
                "other calls taken for duplicates",
            ),
        ],
    },
    Case {
        exercise: 9,
        data: "",
        right: "join --within 1h | k window -q --tumbling 10s --by tower",
        wrong: &[
            (
                "join --within 10s | k window -q --tumbling 10s --by tower",
                "bound of 10s is too short",
            ),
            (
                "join --within 1h | k window -q --tumbling 10s --by tower --time l_start_timestamp --grace 2h",
                "go by the start of the call",
            ),
            (
                "join --within 1h --type left | k window -q --tumbling 10s --by tower --grace 3h",
                "an outer join",
            ),
            (
                "join --within 1h | k window -q --tumbling 10s --by caller",
                "grouped by caller, not by tower",
            ),
        ],
    },
    Case {
        exercise: 10,
        data: "",
        right: "window --tumbling 10s --format json",
        wrong: &[
            (
                "window --tumbling 10s --time end_timestamp",
                "wrong time column",
            ),
            (
                "TWICE window --tumbling 10s --grace 2h",
                "`k produce` run more than once",
            ),
            (
                "window --tumbling 10s --time end_timestamp --grace 17s",
                "wrong time column: the windows are where calls end",
            ),
            ("TOWER window --tumbling 10s", "segments of `tower`"),
            (
                "window --tumbling 10s --by caller",
                "also grouped by caller",
            ),
        ],
    },
    Case {
        exercise: 11,
        data: "",
        right: "window --global --by disposition",
        wrong: &[
            (
                "AGAIN window --global --by disposition",
                "counted more than once",
            ),
            (
                "LOST window --global --by disposition",
                "records are missing",
            ),
            ("window --tumbling 1d --by disposition", "asks for all time"),
        ],
    },
    Case {
        exercise: 12,
        data: "",
        right: "window --tumbling 1m --by caller --emit changes",
        wrong: &[
            (
                "window --tumbling 1m --by caller --emit changes --refine discarding",
                "discarding panes",
            ),
            (
                "window --tumbling 1m --by callee --emit changes",
                "grouped by callee",
            ),
            (
                "window --tumbling 10s --by caller --emit changes",
                "last 10s",
            ),
        ],
    },
    Case {
        exercise: 13,
        data: "",
        right: "window --global --by disposition",
        wrong: &[
            (
                "LOST window --global --by disposition",
                "lost (at most once)",
            ),
            (
                "AGAIN window --global --by disposition",
                "after a crash (at least once)",
            ),
            (
                "window --global --by caller",
                "grouped by caller, not by disposition",
            ),
        ],
    },
    Case {
        exercise: 14,
        data: "",
        right: "window --tumbling 10s --by caller --agg 'count, sum(duration)'",
        wrong: &[
            (
                "AGAIN window --tumbling 10s --by caller --grace 2h --agg 'count, sum(duration)'",
                "after a crash (at least once)",
            ),
            (
                "LOST window --tumbling 10s --by caller --agg 'count, sum(duration)'",
                "lost (at most once)",
            ),
            (
                "window --tumbling 10s --by caller --where \"disposition = 'connected'\" --agg 'count, sum(duration)'",
                "filtered",
            ),
        ],
    },
    Case {
        exercise: 15,
        data: "",
        right: "window --tumbling 10s --by 'caller as CALLER_ID' --agg 'count as COUNT' --format json",
        wrong: &[
            (
                "window --tumbling 10s --by caller --time end_timestamp --grace 2h",
                "wrong time column",
            ),
            ("window --tumbling 10s", "not grouped"),
            ("window --hopping 10s,5s --by caller", "begin more often"),
        ],
    },
    Case {
        exercise: 16,
        data: "",
        right: "window --hopping 30s,10s --by disposition",
        wrong: &[
            ("window --tumbling 30s --by disposition", "do not overlap"),
            ("window --hopping 30s,10s", "not grouped"),
            ("window --hopping 10s,10s --by disposition", "last 10s"),
        ],
    },
    Case {
        exercise: 17,
        data: "",
        right: "window --session 5s --by caller",
        wrong: &[
            (
                "window --session 10s --by caller",
                "gap of the sessions is 10s",
            ),
            ("window --hopping 5s,1s --by caller", "not sessions"),
            ("window --session 5s --by callee", "grouped by callee"),
        ],
    },
    Case {
        exercise: 18,
        data: "",
        right: "join --within 1h | k window -q --tumbling 10s --by tower",
        wrong: &[
            (
                "join --within 1m | k window -q --tumbling 10s --by tower",
                "bound of 1m is too short",
            ),
            (
                "join --within 1h | k window -q --tumbling 10s",
                "not grouped",
            ),
            (
                "join --within 1h | k window -q --tumbling 10s --by tower --time l_start_timestamp",
                "start of the call",
            ),
        ],
    },
];

/// Returns the line of shell that is behind a case's words.
fn pipe(words: &str) -> String {
    let inputs = [
        ("AGAIN ", AGAIN),
        ("LOST ", LOST),
        ("TOWER ", TOWER),
        ("TWICE ", TWICE),
    ];
    let (input, words) = inputs
        .into_iter()
        .find_map(|(name, input)| Some((input, words.strip_prefix(name)?)))
        .unwrap_or(("", words));
    let from = if input.is_empty() {
        "--from data/mono_signal.csv"
    } else {
        ""
    };
    match words.split_once(' ') {
        Some(("window", flags)) => format!("{input} k window -q {from} {flags}"),
        Some(("join", flags)) => {
            format!("k join -q data/mono_signal.csv data/tower.csv --on call_id {flags}")
        }
        _ => panic!("{words}"),
    }
}

#[test]
fn every_exercise_accepts_the_right_answer_and_knows_its_typical_mistakes() {
    let dir = Workdir::new();
    let mut data = None;
    for case in CASES {
        if data.replace(case.data) != Some(case.data) {
            dir.k(&format!("{GEN} {}", case.data)).assert_status(0);
            dir.shell("head -1 data/mono_signal.csv > header.csv")
                .assert_status(0);
        }
        let number = case.exercise;
        let run = dir.shell(&format!("{} | k check {number}", pipe(case.right)));
        run.assert_status(0);
        assert!(
            run.stdout()
                .contains(&format!("exercise {number} is right"))
        );
        assert!(case.wrong.len() >= 3);
        for (words, cause) in case.wrong {
            let line = format!("{} | k check {number} -", pipe(words));
            let run = dir.shell(&line);
            assert_eq!(
                run.status,
                Some(1),
                "{line}: {}{}",
                run.stdout(),
                run.stderr()
            );
            run.assert_refused(1, &["not right yet", "cause: ", cause, "hint: "]);
        }
    }
}

#[test]
fn there_is_a_case_for_each_exercise() {
    let listed = Workdir::new().k("check");
    listed.assert_status(0);
    let numbers = listed
        .stdout()
        .lines()
        .skip(1)
        .map(|line| line.split(',').next());
    let cases = CASES.iter().map(|case| case.exercise.to_string());
    assert!(numbers.flatten().eq(cases));
}

#[test]
fn an_answer_about_other_data_is_told_so() {
    let dir = Workdir::new();
    dir.k(GEN).assert_status(0);
    dir.shell("k window -q --tumbling 10s --from data/mono_signal.csv > old.csv")
        .assert_status(0);
    dir.k("gen -q --rate 100 --seconds 60 --start 2026-02-01")
        .assert_status(0);
    dir.k("check 2 old.csv").assert_refused(
        1,
        &[
            "no window is where the data have calls",
            "2026-01-01",
            "2026-02-01",
        ],
    );
}

#[test]
fn data_that_were_not_written_to_their_end_are_told_so() {
    let dir = Workdir::new();
    dir.k(GEN).assert_status(0);
    let recipe = dir.read("data/gen.json");
    dir.write(
        "data/gen.json",
        recipe.replace("\"complete\": true", "\"complete\": false"),
    );
    dir.shell("head -1000 data/mono_signal.csv | k window -q --tumbling 10s > part.csv")
        .assert_status(0);
    dir.k("check 2 part.csv")
        .assert_refused(1, &["`data/gen.json` says that `k gen` was stopped"]);
}

#[test]
fn what_is_missing_for_a_grade_is_told() {
    let dir = Workdir::new();
    dir.k("check 2 answer.csv")
        .assert_refused(1, &["data/gen.json", "k gen"]);
    dir.k(GEN).assert_status(0);
    dir.k("check 99")
        .assert_refused(2, &["no exercise 99", "k check"]);
    dir.k("check 2").assert_refused(2, &["no answer"]);
    dir.k("check answer.csv")
        .assert_refused(2, &["answer.csv", "exercise comes first"]);
    dir.k("check 2 answer.csv")
        .assert_refused(1, &["answer.csv"]);
    dir.k("check 2 data/mono_signal.csv")
        .assert_refused(1, &["single records, not a result", "k window"]);
    dir.k("check 6 answer.csv")
        .assert_refused(1, &["not the data of exercise 6", "--order end"]);
    dir.k("check 2 answer.csv --truth data/tower.csv")
        .assert_refused(1, &["not a recipe of `k gen`"]);
}

#[test]
fn one_partition_of_a_topic_is_not_all_of_it() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    dir.k(GEN).assert_status(0);
    let topic = unique("calls");
    dir.k(&format!(
        "produce -q data/mono_signal.csv -t {topic} -b {broker}"
    ))
    .assert_status(0);
    let run = dir.shell(&format!(
        "k window -q --tumbling 10s --from {topic} --exit -b {broker} | k check 10"
    ));
    run.assert_status(0);
    let run = dir.shell(&format!(
        "k consume -q {topic} --exit -b {broker} | grep '\"partition\":2' | k window -q --tumbling 10s --time start_timestamp | k check 10"
    ));
    run.assert_refused(1, &["one partition only: 2 of 3 was read"]);
}
