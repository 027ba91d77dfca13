//! `k window`'s answers to where, when and how, and what it says beside its rows.

#[path = "../transcripts/rebuild.rs"]
mod rebuild;

use k::term::units::parse_iso;
use serde_json::{Value, json};

use crate::workdir::{Run, Workdir};

/// The published example of the model: scores with the time at which they were made and the time
/// at which they came. The 9 comes long after its neighbours.
const SCORES: &str = "\
made,came,team,score
2026-01-01T12:00:26Z,2026-01-01T12:05:19Z,red,5
2026-01-01T12:02:26Z,2026-01-01T12:05:39Z,red,7
2026-01-01T12:03:39Z,2026-01-01T12:06:13Z,red,3
2026-01-01T12:04:19Z,2026-01-01T12:06:39Z,red,4
2026-01-01T12:03:06Z,2026-01-01T12:07:06Z,red,8
2026-01-01T12:06:39Z,2026-01-01T12:07:19Z,red,3
2026-01-01T12:01:26Z,2026-01-01T12:08:19Z,red,9
2026-01-01T12:07:26Z,2026-01-01T12:08:39Z,red,8
2026-01-01T12:07:46Z,2026-01-01T12:09:00Z,red,1
";

/// Noon of that day in ms since 1970, UTC.
const NOON: i64 = 1_767_268_800_000;
const MINUTE: i64 = 60_000;

/// Runs `k window` over [`SCORES`] with the flags as given, each one argument.
fn scores(workdir: &Workdir, flags: &[&str]) -> Run {
    workdir.write("scores.csv", SCORES);
    let args = ["window", "--from", "scores.csv", "--time", "made"];
    let agg = ["--agg", "sum(score) as sum"];
    workdir.k_args(args.iter().chain(&agg).chain(flags).copied())
}

/// Returns the account, which is the last line of stderr.
fn stats(run: &Run) -> Value {
    let last = run.stderr().lines().last().expect("a line");
    serde_json::from_str(last).expect("JSON")
}

/// Returns rows of CSV with their windows as minutes after noon.
fn rows(run: &Run) -> Vec<String> {
    run.assert_status(0);
    let minutes = |field: &str| match field.parse::<i64>() {
        Ok(at) if at >= NOON => format!("{}", (at - NOON) as f64 / MINUTE as f64),
        _ => field.to_owned(),
    };
    let lines = run.stdout().lines().skip(1);
    let rows = lines.map(|line| line.split(',').map(minutes).collect::<Vec<_>>().join(","));
    rows.collect()
}

#[test]
fn the_worked_example_without_grace_drops_the_nine_and_says_what_would_have_kept_it() {
    let workdir = Workdir::new();
    let flags = [
        "--tumbling",
        "2m",
        "--out-of-order",
        "40s",
        "--late-to",
        "late.csv",
    ];
    let run = scores(&workdir, &flags);
    assert_eq!(rows(&run), ["0,2,5", "2,4,18", "4,6,4", "6,8,12"]);
    assert!(run.stderr().contains("8 on time, 1 expired"));
    assert!(run.stderr().contains("`--grace 4m` would have kept"));
    assert_eq!(
        workdir.read("late.csv"),
        format!(
            "outcome,reason,window_start,window_end,watermark,late_by_ms,place,record\n\
             expired,the watermark was 3m59s past the window's close,{},{},{},239000,line 8,\
             \"2026-01-01T12:01:26Z,2026-01-01T12:08:19Z,red,9\"\n",
            NOON,
            NOON + 2 * MINUTE,
            NOON + 5 * MINUTE + 59_000,
        )
    );
}

#[test]
fn the_worked_example_with_early_and_late_panes_under_each_refinement() {
    let workdir = Workdir::new();
    let run = |how| {
        let flags = [
            "--tumbling",
            "2m",
            "--arrival",
            "came",
            "--out-of-order",
            "40s",
            "--grace",
            "10m",
            "--trigger",
            "early(every 1m) watermark late(count 1)",
            "--panes",
            "--refine",
            how,
        ];
        rows(&scores(&workdir, &flags))
    };
    assert_eq!(
        run("accumulating"),
        [
            "0,2,5,early,0,false",
            "2,4,7,early,0,false",
            "0,2,5,on_time,1,false",
            "2,4,10,early,1,false",
            "4,6,4,early,0,false",
            "2,4,18,on_time,2,false",
            "6,8,3,early,0,false",
            "0,2,14,late,2,false",
            "4,6,4,on_time,1,false",
            "6,8,11,early,1,false",
            "6,8,12,on_time,2,true",
        ]
    );
    assert_eq!(
        run("discarding"),
        [
            "0,2,5,early,0,false",
            "2,4,7,early,0,false",
            "0,2,,on_time,1,false",
            "2,4,3,early,1,false",
            "4,6,4,early,0,false",
            "2,4,8,on_time,2,false",
            "6,8,3,early,0,false",
            "0,2,9,late,2,false",
            "4,6,,on_time,1,false",
            "6,8,8,early,1,false",
            "6,8,1,on_time,2,true",
        ]
    );
    let retracting = run("retracting");
    assert_eq!(retracting.len(), 18);
    assert_eq!(
        retracting[9..12],
        [
            "6,8,3,+,early,0,false",
            "0,2,5,-,on_time,1,false",
            "0,2,14,+,late,2,false",
        ]
    );
}

#[test]
fn the_worked_example_as_sessions_and_by_processing_time() {
    let workdir = Workdir::new();
    let all = ["--out-of-order", "1h"];
    let session = |gap| rows(&scores(&workdir, &[&["--session", gap], &all[..]].concat()));
    let one_minute = session("1m");
    assert_eq!(one_minute.len(), 2);
    assert!(one_minute[0].ends_with(",36") && one_minute[1].ends_with(",12"));
    let sums: Vec<String> = session("59s")
        .iter()
        .map(|row| row.rsplit(',').next().unwrap_or("").to_owned())
        .collect();
    assert_eq!(sums, ["5", "9", "22", "12"]);
    // The last `--time` counts: processing time, which is a column.
    workdir.write("scores.csv", SCORES);
    let run = workdir.k(
        "window --from scores.csv --tumbling 2m --time @arrival --arrival came --agg sum(score)",
    );
    assert_eq!(rows(&run), ["4,6,12", "6,8,18", "8,10,18"]);
}

#[test]
fn sessions_that_grow_take_their_rows_back() {
    let workdir = Workdir::new();
    let run = workdir.k_with_input(
        "window --session 5s --time at --by who --emit changes",
        "at,who\n1000,a\n4000,a\n12000,a\n",
    );
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,who,count,change\n\
         1000,1000,a,1,+\n1000,1000,a,1,-\n1000,4000,a,2,+\n12000,12000,a,1,+\n"
    );
    let bounded = workdir.k_with_input(
        "window --session 5s,6s --time at --out-of-order 1m",
        "at\n1000\n5000\n7000\n8000\n",
    );
    assert_eq!(
        bounded.stdout(),
        "window_start,window_end,count\n1000,7000,3\n8000,8000,1\n"
    );
}

#[test]
fn sliding_windows_hold_what_is_at_most_so_far_apart() {
    let workdir = Workdir::new();
    let run = workdir.k_with_input(
        "window --sliding 4s --time at --agg sum(n) --out-of-order 1m",
        "at,n\n1000,1\n3000,2\n6000,4\n",
    );
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,sum_n\n\
         -3000,1000,1\n-1000,3000,3\n1001,5001,2\n2000,6000,6\n3001,7001,4\n"
    );
}

#[test]
fn the_window_of_all_time_has_no_bounds_and_a_row_every_so_many_records() {
    let workdir = Workdir::new();
    workdir.write("in.csv", "at\n1\n2\n3\n");
    let flags = ["window", "--from", "in.csv", "--time", "at", "--global"];
    let every_two = workdir.k_args(flags.iter().copied().chain(["--trigger", "count 2"]));
    every_two.assert_status(0);
    assert_eq!(
        every_two.stdout(),
        "window_start,window_end,count\n,,2\n,,3\n"
    );
    let json = workdir.k_args(flags.iter().copied().chain(["--format", "json"]));
    assert_eq!(
        json.stdout(),
        "{\"window_start\":null,\"window_end\":null,\"count\":3}\n"
    );
}

#[test]
fn calendar_days_follow_the_clock_of_their_zone() {
    let workdir = Workdir::new();
    let run = workdir.k_with_input(
        "window --tumbling 1d --zone Europe/Paris --time at",
        "at\n2026-03-28T23:00:00Z\n2026-03-29T21:59:59Z\n2026-03-29T22:00:00Z\n",
    );
    run.assert_status(0);
    // 23 hours, then 24.
    assert_eq!(
        run.stdout(),
        "window_start,window_end,count\n\
         1774738800000,1774821600000,2\n1774821600000,1774908000000,1\n"
    );
}

#[test]
fn weeks_months_and_years_are_those_of_the_calendar() {
    let workdir = Workdir::new();
    workdir.write("in.csv", "at\n2024-02-29T22:30:00Z\n2024-02-29T23:30:00Z\n");
    let starts = |flags: &str| {
        let run = workdir.k(&format!(
            "window {flags} --time at --from in.csv --select window_start,count"
        ));
        run.assert_status(0);
        run.stdout().replacen("window_start,count\n", "", 1)
    };
    let time = |text: &str| parse_iso(text).expect("a time");
    for (flags, windows) in [
        ("--tumbling 1w", &["2024-02-26,2"][..]),
        ("--tumbling 1mo", &["2024-02-01,2"]),
        ("--tumbling 1y", &["2024-01-01,2"]),
        ("--tumbling 7d", &["2024-02-29,2"]),
        ("--tumbling 1w --align 6d", &["2024-02-25,2"]),
        (
            "--tumbling 1mo --zone Europe/Paris",
            &["2024-01-31T23:00:00,1", "2024-02-29T23:00:00,1"],
        ),
        (
            "--tumbling 1y --align 2mo --zone europe/paris",
            &["2023-02-28T23:00:00,1", "2024-02-29T23:00:00,1"],
        ),
    ] {
        let expected = windows.iter().map(|window| {
            let (start, count) = window.split_once(',').expect("a window");
            format!("{},{count}\n", time(start))
        });
        assert_eq!(starts(flags), expected.collect::<String>(), "{flags}");
    }
}

#[test]
fn a_machines_own_zone_goes_by_its_name() {
    let workdir = Workdir::new();
    workdir.write("in.csv", "at\n2024-02-29T23:30:00Z\n");
    let local = |tz: &str| {
        let flags =
            "window --tumbling 1d --zone local --time at --from in.csv --select window_start";
        workdir.shell(&format!("TZ={tz} k {flags}"))
    };
    for (tz, start) in [
        ("Asia/Tokyo", "2024-02-29T15:00:00Z"),
        ("UTC", "2024-02-29"),
    ] {
        let start = parse_iso(start).expect("a time");
        assert_eq!(
            local(tz).stdout(),
            format!("window_start\n{start}\n"),
            "{tz}"
        );
    }
    local("JST-9").assert_refused(2, &["time zone of this machine", "`--zone Europe/Paris`"]);
}

#[test]
fn a_learned_watermark_waits_for_what_has_been_late_before() {
    let workdir = Workdir::new();
    // Every tenth record comes 15 s late.
    let records: String = (0..1_000)
        .map(|n| format!("{}\n", n * 1_000 - if n % 10 == 9 { 15_000 } else { 0 }))
        .collect();
    workdir.write("in.csv", format!("at\n{records}"));
    let expired = |flags: &str| {
        let run = workdir.k(&format!(
            "window --tumbling 10s --time at --from in.csv -q --stats json {flags}"
        ));
        run.assert_status(0);
        stats(&run)["expired"].as_u64().expect("a count")
    };
    assert_eq!(expired("--out-of-order 15s"), 0);
    assert_eq!(
        expired("--watermark percentile:99"),
        1,
        "it learns from the first"
    );
    assert_eq!(expired("--watermark percentile:50"), 100);
    let run = workdir.k_with_input(
        "window --tumbling 1s --time at -q --stats json --watermark percentile:100",
        "at\n10000\n7000\n20000\n17500\n",
    );
    let stats = stats(&run);
    assert_eq!(
        (&stats["expired"], &stats["on_time"]),
        (&json!(1), &json!(3))
    );
}

#[test]
fn what_is_set_aside_says_why_and_where_it_stood() {
    let workdir = Workdir::new();
    workdir.write(
        "in.csv",
        "at,n\n5000,1\n11000,2\n9000,3\nsoon,4\n13000,5\n9000,6\n7,8,9\n",
    );
    let flags = "window --tumbling 10s --time at --grace 2s --from in.csv --late-to late.json \
                 --bad-to bad.csv --stats json --schema";
    let run = workdir.k_args(flags.split_whitespace().chain(["at bigint"]));
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,count\n0,10000,2\n10000,20000,2\n"
    );
    let late: Vec<Value> = workdir
        .read("late.json")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        late,
        [
            json!({
                "outcome": "late", "reason": "the watermark was 1s past the window's close",
                "window_start": 0, "window_end": 10000, "watermark": 11000, "late_by_ms": 1000,
                "place": "line 4", "record": "9000,3",
            }),
            json!({
                "outcome": "expired", "reason": "the watermark was 3s past the window's close",
                "window_start": 0, "window_end": 10000, "watermark": 13000, "late_by_ms": 3000,
                "place": "line 7", "record": "9000,6",
            }),
        ]
    );
    let bad = workdir.read("bad.csv");
    let bad: Vec<&str> = bad.lines().collect();
    assert_eq!(bad.len(), 3);
    assert!(
        bad[1].starts_with("malformed,column `at`: `soon` is not a bigint"),
        "{}",
        bad[1]
    );
    assert!(bad[1].ends_with(",line 5,\"soon,4\""), "{}", bad[1]);
    assert!(bad[2].ends_with(",line 8,\"7,8,9\""), "{}", bad[2]);
    assert_eq!(
        stats(&run),
        json!({
            "in": 7, "on_time": 3, "late": 1, "expired": 1, "malformed": 2, "filtered": 0,
            "duplicates": 0, "ahead": 0, "panes": 2, "open_windows": 0, "open_records": 0,
            "watermark": "end",
        })
    );
}

#[test]
fn a_record_late_for_one_of_its_windows_says_for_which() {
    let workdir = Workdir::new();
    let run = workdir.k_with_input(
        "window --hopping 10s,5s --time at --late-to late.csv",
        "at\n12000\n7000\n",
    );
    run.assert_status(0);
    let late = workdir.read("late.csv");
    assert!(
        late.ends_with(
            "late,the watermark was 2s past the window's close,0,10000,12000,2000,line 3,7000\n"
        ),
        "{late}"
    );
}

#[test]
fn the_account_goes_to_a_file_where_it_is_wanted() {
    let workdir = Workdir::new();
    let run = workdir.k_with_input(
        "window --tumbling 10s --time at --where n<>2 -q --stats-to stats.json",
        "at,n\n2026-01-01,1\n2026-01-01,2\n2026-01-01,3\n",
    );
    run.assert_status(0);
    assert_eq!(run.stderr(), "");
    assert_eq!(
        workdir.read("stats.json"),
        "{\"ahead\":0,\"duplicates\":0,\"expired\":0,\"filtered\":1,\"in\":3,\"late\":0,\"malformed\":0,\"on_time\":2,\
         \"open_records\":0,\"open_windows\":0,\"panes\":1,\"watermark\":\"end\"}\n"
    );
}

/// Runs a plan over generated calls and rebuilds its rows and its account from its journal.
fn check_journal(workdir: &Workdir, flags: &[&str]) {
    let args = [
        "window",
        "--from",
        "calls.csv",
        "--by",
        "disposition",
        "--agg",
        "count, sum(duration), min(duration), max(duration), avg(duration), count(callee)",
        "--where",
        "caller <> callee",
        "--panes",
        "--format",
        "json",
        "--journal",
        "journal.jsonl",
        "--stats-to",
        "stats.json",
    ];
    let run = workdir.k_args(args.iter().chain(flags).copied());
    run.assert_status(0);
    let journal = workdir.read("journal.jsonl");
    let rebuilt = rebuild::rebuild(&journal).unwrap_or_else(|told| panic!("{flags:?}: {told}"));
    let names = [
        "count",
        "sum_duration",
        "min_duration",
        "max_duration",
        "avg_duration",
        "count_callee",
    ];
    let rows: Vec<Value> = run
        .stdout()
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            json!({
                "window": [row["window_start"], row["window_end"]],
                "key": [row["disposition"]],
                "values": names.map(|name| &row[name]),
                "timing": row["timing"],
                "pane": row["pane"],
                "is_last": row["is_last"],
                "change": row.get("change").unwrap_or(&json!("+")),
            })
        })
        .collect();
    assert!(rows.len() > 10, "{flags:?}: {} rows", rows.len());
    assert_eq!(rebuilt.panes, rows, "{flags:?}");
    let account = rebuilt.account;
    let stats: Value = serde_json::from_str(&workdir.read("stats.json")).expect("JSON");
    assert_eq!(
        stats,
        json!({
            "in": account.records(), "on_time": account.on_time, "late": account.late,
            "expired": account.expired, "malformed": account.malformed,
            "filtered": account.filtered, "duplicates": account.duplicates,
            "ahead": account.ahead, "panes": account.rows, "open_windows": 0, "open_records": 0,
            "watermark": "end",
        })
    );
    assert!(
        account.late + account.expired > 0,
        "{flags:?}: nothing was late"
    );
}

#[test]
fn every_row_and_the_account_can_be_rebuilt_from_the_journal() {
    let workdir = Workdir::new();
    let generated = workdir.k(
        "gen --rate 20 --seconds 30 --seed 3 --start 2026-01-01 --callers 9 --delay 20%:20s \
         --duplicates 3% --with-arrival --out - --only mono",
    );
    generated.assert_status(0);
    // One record that does not fit, in the middle.
    let calls = generated.stdout().replacen("\n300,", "\n300;", 1);
    workdir.write("calls.csv", calls);
    let arrival = ["--arrival", "arrival_timestamp", "--skip-bad"];
    let parts = "early(every 2s or count 9) watermark late(changes)";
    for flags in [
        &["--tumbling", "5s"][..],
        &["--tumbling", "5s", "--grace", "9s", "--distinct", "call_id"],
        &["--hopping", "7s,3s", "--grace", "4s", "--trigger", parts],
        &["--session", "200ms", "--grace", "3s", "--trigger", parts],
        &["--sliding", "2s", "--grace", "2s", "--trigger", "watermark"],
    ] {
        for refinement in ["discarding", "accumulating", "retracting"] {
            let more = ["--refine", refinement];
            check_journal(&workdir, &[flags, &more, &arrival].concat());
        }
    }
}

#[test]
fn plans_that_cannot_be_are_one_clear_error_each() {
    let workdir = Workdir::new();
    workdir.write("in.csv", "at\n1\n");
    let tumbling = ["--tumbling", "10s"];
    let cases: [(&[&str], &str); 24] = [
        (&["--tumbling", "-5s"], "a duration cannot be negative"),
        (&["--tumbling", "0s"], "the duration must be above zero"),
        (&["--hopping", "10s,0s"], "the duration must be above zero"),
        (&["--hopping", "10s"], "write a size and an advance"),
        (
            &["--hopping", "10s,20s"],
            "the advance 20s is larger than the size 10s",
        ),
        (&["--session", "0s"], "the duration must be above zero"),
        (&["--session", "-1s"], "a duration cannot be negative"),
        (&["--session", "10s,5s"], "MAX is shorter than GAP"),
        (&["--sliding", "0s"], "the duration must be above zero"),
        (&["--session", "5s", "--global"], "cannot be used with"),
        (
            &["--hopping", "1d,1h", "--zone", "Europe/Paris"],
            "whole days",
        ),
        (&["--tumbling", "1mo3d"], "either years and months, or"),
        (
            &["--tumbling", "1.5mo"],
            "weeks, months and years must be whole numbers",
        ),
        (&["--hopping", "30d,1mo"], "can be larger than the size 30d"),
        (
            &["--tumbling", "10s", "--align", "1mo"],
            "months needs windows that start by months",
        ),
        (
            &["--tumbling", "1d", "--zone", "Europe/Atlantis"],
            "unknown time zone `Europe/Atlantis`",
        ),
        (
            &["--session", "5s", "--align", "1s"],
            "`--align` needs `--tumbling` or `--hopping`",
        ),
        (
            &[
                "--tumbling",
                "10s",
                "--emit",
                "final",
                "--trigger",
                "watermark",
            ],
            "cannot be used with",
        ),
        (
            &[
                "--tumbling",
                "10s",
                "--trigger",
                "early(every 5s) late(count 1)",
            ],
            "\n                  ^^^^\n",
        ),
        (
            &["--tumbling", "10s", "--trigger", "every five"],
            "\n        ^^^^\n",
        ),
        (
            &["--tumbling", "10s", "--trigger", "count 0"],
            "`0` is not a number of records",
        ),
        (
            &["--tumbling", "10s", "--watermark", "percentile:0"],
            "above 0 and at most 100",
        ),
        (
            &[
                "--tumbling",
                "10s",
                "--watermark",
                "percentile:9",
                "--out-of-order",
                "1s",
            ],
            "cannot be used with",
        ),
        (
            &["--tumbling", "10s", "--refine", "replacing"],
            "retracting",
        ),
    ];
    for (flags, told) in cases {
        let args = ["window", "--from", "in.csv", "--time", "at"];
        let run = workdir.k_args(args.iter().chain(flags).copied());
        run.assert_refused(2, &[told]);
        assert_eq!(
            run.stderr().matches("error: ").count(),
            1,
            "{}",
            run.stderr()
        );
    }
    // Nothing would ever come: no broker is asked.
    for more in [&[][..], &["--trigger", "watermark late(count 1)"]] {
        let args = ["window", "--from", "topic:calls", "--global"];
        let run = workdir.k_args(args.iter().chain(more).copied());
        run.assert_refused(
            2,
            &["without `--exit` a topic never ends", "hint: add `--exit`"],
        );
    }
    let run = workdir.k_args(
        [
            "window",
            "--from",
            "in.csv",
            "--time",
            "at",
            "--late-to",
            "-",
        ]
        .into_iter()
        .chain(tumbling),
    );
    run.assert_refused(2, &["late and malformed records need another output"]);
}

#[test]
fn rows_that_take_earlier_ones_back_are_in_the_journal() {
    let workdir = Workdir::new();
    let first = workdir.k_with_input(
        "window --session 5s --time at --by who --emit changes --to sessions.csv",
        "at,who\n1000,a\n4000,a\n2000,b\n12000,a\n",
    );
    first.assert_status(0);
    let again = workdir.k(
        "window --global --time window_end --agg count,sum(count) --from sessions.csv \
         --journal journal.jsonl --emit changes",
    );
    again.assert_status(0);
    let rebuilt = rebuild::rebuild(&workdir.read("journal.jsonl")).expect("whole");
    let last = rebuilt.panes.last().expect("a pane");
    assert_eq!(
        last["values"],
        json!([3, 4]),
        "three sessions of four records"
    );
    assert!(again.stdout().ends_with(",,3,4\n"), "{}", again.stdout());
}

#[test]
fn a_double_is_the_same_from_csv_and_from_json() {
    let workdir = Workdir::new();
    let flags = "window --global --time at --agg max(x) --format json -q";
    for x in ["114742.63076923077", "90573.52857142857", "1e-7", "0.1"] {
        let csv = workdir.k_with_input(flags, format!("at,x\n2026-01-01,{x}\n"));
        let json = format!("{{\"at\":\"2026-01-01\",\"x\":{x}}}\n");
        let json = workdir.k_with_input(flags, json);
        csv.assert_status(0);
        assert_eq!(json.stdout(), csv.stdout(), "{x}");
    }
}
