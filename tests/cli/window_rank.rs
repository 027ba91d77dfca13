//! `k window --having`, `--order-by`, `--limit`: which rows of a window leave.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::workdir::{Run, Workdir};

const CALLS: &str = "\
start_timestamp,caller,n
1000,a,5
2000,b,7
3000,a,4
4000,c,
11000,b,1
12000,c,1
13000,a,2
";

fn over(content: &str, flags: &[&str]) -> Run {
    Workdir::new().window_over(content, flags)
}

#[test]
fn the_busiest_caller_of_each_window_is_one_line() {
    let flags = ["--tumbling", "10s", "--by", "caller", "--agg", "sum(n)"];
    let run = over(
        CALLS,
        &[&flags[..], &["--order-by", "sum_n desc", "--limit", "1"]].concat(),
    );
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,caller,sum_n\n0,10000,a,9\n10000,20000,a,2\n"
    );
    assert!(
        run.stderr().contains("→ 2 rows, 4 left out by `--limit`;"),
        "{}",
        run.stderr()
    );
    // Nulls come last in either direction; of equal rows the keys decide.
    for (order, callers) in [
        ("sum_n desc", "abcabc"),
        ("sum_n", "bacbca"),
        ("SUM_N ASC, caller desc", "baccba"),
    ] {
        let run = over(CALLS, &[&flags[..], &["--order-by", order]].concat());
        run.assert_status(0);
        let rows = run.stdout().lines().skip(1);
        let found: String = rows.filter_map(|row| row.split(',').nth(2)).collect();
        assert_eq!(found, callers, "{order}");
    }
}

#[test]
fn a_window_of_many_keys_is_put_in_order_as_a_whole_by_any_number_of_threads() {
    let mut content = "start_timestamp,caller,n\n".to_owned();
    for row in 0..40_000_u64 {
        let (at, caller) = (row / 2, (row * 7_919) % 3_001);
        content += &format!("{at},c{caller},{}\n", (row * 31) % 97);
    }
    let flags = [
        "--tumbling",
        "5s",
        "--by",
        "caller",
        "--agg",
        "sum(n)",
        "--format",
        "json",
    ];
    let all = over(&content, &flags);
    let mut windows: BTreeMap<i64, Vec<(i64, String, String)>> = BTreeMap::new();
    for line in all.stdout().lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let start = row["window_start"].as_i64().expect("a time");
        let (sum, caller) = (row["sum_n"].as_i64().expect("a sum"), &row["caller"]);
        let caller = caller.as_str().expect("a caller").to_owned();
        windows
            .entry(start)
            .or_default()
            .push((-sum, caller, line.to_owned()));
    }
    assert_eq!(windows.len(), 4);
    let mut expected = String::new();
    for rows in windows.values_mut() {
        assert!(rows.len() > 2_000, "more rows than are handed on at once");
        rows.sort();
        rows.iter()
            .take(700)
            .for_each(|(.., line)| expected += &format!("{line}\n"));
    }
    for threads in ["1", "3"] {
        let more = [
            "--order-by",
            "sum_n desc",
            "--limit",
            "700",
            "--threads",
            threads,
        ];
        let run = over(&content, &[&flags[..], &more].concat());
        run.assert_status(0);
        assert!(run.stdout() == expected, "with {threads} threads");
    }
}

#[test]
fn having_judges_rows_by_all_their_columns_before_some_are_chosen() {
    let flags = [
        "--tumbling",
        "10s",
        "--by",
        "caller",
        "--agg",
        "count, sum(n) as total",
    ];
    let having = "total >= 2 and window_start < 10000 or caller = 'a'";
    let more = ["--having", having, "--select", "caller, total * 10 as ten"];
    let run = over(CALLS, &[&flags[..], &more].concat());
    run.assert_status(0);
    assert_eq!(run.stdout(), "caller,ten\na,90\nb,70\na,20\n");
    assert!(
        run.stderr().contains("→ 3 rows, 3 left out by `--having`;"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_row_that_holds_no_more_is_taken_back() {
    let content = "start_timestamp,n\n1000,5\n2000,-4\n3000,6\n4000,1\n";
    let flags = ["--tumbling", "10s", "--agg", "sum(n)", "--emit", "changes"];
    let more = ["--refine", "retracting", "--having", "sum_n > 4"];
    let run = over(content, &[&flags[..], &more].concat());
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,sum_n,change\n\
         0,10000,5,+\n\
         0,10000,5,-\n\
         0,10000,7,+\n\
         0,10000,7,-\n\
         0,10000,8,+\n"
    );
    // Parts stand for themselves.
    let more = ["--refine", "discarding", "--having", "sum_n > 4"];
    let run = over(content, &[&flags[..], &more].concat());
    assert_eq!(
        run.stdout(),
        "window_start,window_end,sum_n\n0,10000,5\n0,10000,6\n"
    );
}

#[test]
fn what_has_no_meaning_is_refused_with_the_way_out() {
    let grouped = ["--group", "g", "--to", "topic:x", "--from", "topic:y"];
    let cases: [(&[&str], &str, &str); 8] = [
        (
            &["--session", "1m", "--limit", "1"],
            "has only one",
            "apply it to a second window",
        ),
        (
            &["--sliding", "1m", "--order-by", "count"],
            "has only one",
            "apply it to a second window",
        ),
        (
            &["--tumbling", "1m", "--limit", "1", "--emit", "changes"],
            "`--limit` needs all rows of a window at once",
            "leave `--emit` and `--trigger` out",
        ),
        (
            &[
                "--tumbling",
                "1m",
                "--having",
                "count > 1",
                "--trigger",
                "count 3",
            ],
            "must be taken back",
            "add `--refine retracting`",
        ),
        (
            &["--tumbling", "1m", "--having", "count(*) > 1"],
            "count",
            "name aggregates by their columns: window_start, window_end, count",
        ),
        (
            &["--tumbling", "1m", "--having", "pane > 1", "--panes"],
            "unknown column `pane`",
            "columns:",
        ),
        (
            &[&["--tumbling", "1m", "--order-by", "count"][..], &grouped].concat(),
            "each process of a group has only some",
            "`k window --from topic:x --time window_start … --order-by …`",
        ),
        (
            &[
                &["--tumbling", "1m", "--exit", "--having", "count > 1"][..],
                &grouped,
            ]
            .concat(),
            "shows windows that are still open",
            "`k consume topic:x --where …`",
        ),
    ];
    let workdir = Workdir::new();
    workdir.write("in.csv", CALLS);
    for (flags, what, way_out) in cases {
        let from: &[&str] = if flags.contains(&"--from") {
            &[]
        } else {
            &["--from", "in.csv"]
        };
        let args = [&["window"][..], from, flags].concat();
        let run = workdir.k_args(args);
        run.assert_status(2);
        let told = run.stderr();
        assert!(
            told.contains(what) && told.contains(way_out),
            "{flags:?}: {told}"
        );
    }
}
