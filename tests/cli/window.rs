//! `k window` over files and pipes, and `k demo`; topics are in `window_topic`.

use std::io::Write;
use std::process::Stdio;

use crate::workdir::{Run, Workdir};

const CALLS: &str = "\
call_id,start_timestamp,end_timestamp,start_timestring,end_timestring,caller,callee,disposition
0,1000,3000,,,a,b,connected
1,2000,2000,,,b,a,busy
2,12000,15000,,,a,c,connected
3,9000,9500,,,a,b,connected
4,31000,31000,,,c,a,failed
";

/// Runs `k window` over [`CALLS`] with the flags as given, each one argument.
fn window(flags: &[&str]) -> Run {
    let workdir = Workdir::new();
    workdir.write("calls.csv", CALLS);
    let args = ["window", "--from", "calls.csv"].iter().chain(flags);
    workdir.k_args(args.copied())
}

fn over(content: impl AsRef<[u8]>, flags: &[&str]) -> Run {
    let flags = [&["--tumbling", "10s"], flags].concat();
    Workdir::new().window_over(content, &flags)
}

#[test]
fn calls_are_counted_by_window_and_every_record_is_accounted_for() {
    let run = window(&["--tumbling", "10s"]);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,count\n0,10000,2\n10000,20000,1\n30000,40000,1\n"
    );
    assert!(
        run.stderr()
            .starts_with("5 records in: 4 on time, 1 expired → 3 rows")
    );
    assert!(
        run.stderr()
            .contains("`--grace 3s` would have kept every expired record")
    );
}

#[test]
fn grace_keeps_late_records_and_groups_come_in_the_order_of_their_keys() {
    let run = window(&[
        "--tumbling",
        "10s",
        "--grace",
        "3s",
        "--by",
        "caller",
        "--agg",
        "count, sum(duration), avg(duration) as mean, min(callee), max(duration)",
    ]);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,caller,count,sum_duration,mean,min_callee,max_duration\n\
         0,10000,a,2,2500,1250.0,b,2000\n\
         0,10000,b,1,0,0.0,a,0\n\
         10000,20000,a,1,3000,3000.0,c,3000\n\
         30000,40000,c,1,0,0.0,a,0\n"
    );
    assert!(run.stderr().contains("4 on time, 1 late →"));
}

#[test]
fn a_file_a_pipe_and_json_lines_give_the_same_bytes() {
    let flags = "--tumbling 10s --grace 3s --by caller --agg count,sum(duration)";
    let workdir = Workdir::new();
    workdir.write("calls.csv", CALLS);
    let file = workdir.k(&format!("window {flags} --from calls.csv"));
    let pipe = workdir.k_with_input(&format!("window {flags}"), CALLS);
    let dash = workdir.k_with_input(&format!("window {flags} --from -"), CALLS);
    let mut json = String::new();
    for line in CALLS.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        json += &format!(
            "{{\"start_timestamp\":{},\"end_timestamp\":{},\"more\":[1],\"caller\":\"{}\"}}\n",
            fields[1], fields[2], fields[5]
        );
    }
    let json = workdir.k_with_input(&format!("window {flags}"), json);
    assert!(file.stdout().lines().count() > 4);
    for other in [&pipe, &dash, &json] {
        other.assert_status(0);
        assert_eq!(other.stdout(), file.stdout());
    }
}

#[test]
fn envelopes_count_as_the_records_in_them() {
    let envelopes = |values: [&str; 3]| -> String {
        let line = |(offset, value): (i64, &str)| {
            let value = serde_json::Value::from(value);
            let timestamp = 5_000 * offset;
            format!(
                "{{\"topic\":\"t\",\"partition\":2,\"offset\":{offset},\"timestamp\":{timestamp},\
                 \"key\":null,\"headers\":[],\"value\":{value}}}\n"
            )
        };
        (1..).zip(values).map(line).collect()
    };
    let rows = "window_start,window_end,sum_n\n0,10000,1\n10000,20000,5\n";
    let json = envelopes([r#"{"n":1,"m":"x"}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    let by_record_time = over(&json, &["--agg", "sum(n)"]);
    by_record_time.assert_status(0);
    assert_eq!(by_record_time.stdout(), rows);
    let csv = envelopes(["1,x", "2,", "3,y"]);
    over(&csv, &["--agg", "sum(n)"])
        .assert_refused(2, &["nothing names their columns", "--schema"]);
    let declared = over(&csv, &["--agg", "sum(n)", "--schema", "n bigint, m string"]);
    assert_eq!(declared.assert_status(0).stdout(), rows);
    // A column named as usual is the event time.
    let timed = json.replace(r#"\"n\":"#, r#"\"start_timestamp\":7,\"n\":"#);
    let timed = over(&timed, &["--agg", "sum(n)"]);
    assert!(timed.stdout().ends_with("\n0,10000,6\n"), "{timed:?}");
    // A value is placed where it was in its topic, a line by its number.
    let bad = envelopes([r#"{"n":1}"#, r#"{"n":"x"}"#, "{"]);
    let misfit = over(&bad, &["--agg", "sum(n)", "--schema", "n bigint"]);
    let told = "error: in.csv, partition 2, offset 2: column `n`";
    assert!(
        misfit.assert_status(1).stderr().contains(told),
        "{misfit:?}"
    );
    let misfit = over(format!("{json}{{}}\n"), &["--agg", "sum(n)"]);
    let told = "error: in.csv, line 4: missing field";
    assert!(
        misfit.assert_status(1).stderr().contains(told),
        "{misfit:?}"
    );
    let flags = ["--agg", "sum(n)", "--schema", "n bigint", "--skip-bad"];
    let skipped = over(format!("{json}{{}}\n{bad}"), &flags);
    let told = skipped.assert_status(0).stderr();
    assert!(told.contains("3 malformed"), "{told}");
}

#[test]
fn results_feed_another_window() {
    let workdir = Workdir::new();
    workdir.write("calls.csv", CALLS);
    let first = workdir.k("window --tumbling 10s --from calls.csv --to out.csv --grace 3s");
    first.assert_status(0);
    assert_eq!(first.stdout(), "");
    let again =
        "window --tumbling 1m --time window_start --agg sum(count) --format json --from out.csv";
    let second = workdir.k(again);
    second.assert_status(0);
    assert_eq!(
        second.stdout(),
        "{\"window_start\":0,\"window_end\":60000,\"sum_count\":5}\n"
    );
}

#[test]
fn hopping_windows_overlap_and_changes_leave_at_once() {
    let hopping = window(&["--hopping", "20s,10s", "--grace", "1m"]);
    assert_eq!(
        hopping.stdout(),
        "window_start,window_end,count\n-10000,10000,3\n0,20000,4\n10000,30000,1\n20000,40000,1\n30000,50000,1\n"
    );
    let changes = window(&["--tumbling", "1m", "--emit", "changes"]);
    let counts: Vec<&str> = changes
        .stdout()
        .lines()
        .skip(1)
        .map(|row| row.rsplit(',').next().unwrap_or(""))
        .collect();
    assert_eq!(counts, ["1", "2", "3", "4", "5"]);
}

#[test]
fn filtered_records_are_counted_and_nulls_are_a_group() {
    let run = window(&[
        "--tumbling",
        "1m",
        "--where",
        "disposition = 'connected'",
        "--format",
        "json",
    ]);
    assert_eq!(
        run.stdout(),
        "{\"window_start\":0,\"window_end\":60000,\"count\":3}\n"
    );
    assert!(run.stderr().contains("3 on time, 2 filtered"));
    let run = over(
        "n,at\n1,5\n,6\n2,7\n",
        &["--time", "at", "--by", "n", "--agg", "count, count(n)"],
    );
    assert_eq!(
        run.stdout(),
        "window_start,window_end,n,count,count_n\n0,10000,,1,0\n0,10000,1,1,1\n0,10000,2,1,1\n"
    );
}

#[test]
fn quoted_fields_may_hold_commas_quotes_and_newlines() {
    let text = "at,who\r\n1,\"a,b\"\r\n2,\"a,b\"\r\n3,\"say \"\"so\"\"\nor not\"\r\n";
    let run = over(text, &["--time", "at", "--by", "who"]);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,who,count\n0,10000,\"a,b\",2\n0,10000,\"say \"\"so\"\"\nor not\",1\n"
    );
}

#[test]
fn a_malformed_record_is_named_or_skipped_and_counted() {
    let cases: [(&[u8], &str); 7] = [
        (b"at,n\n1,2\n2\n", "line 3: 1 field where the header has 2"),
        (b"at,n\n1,2\n2,3", "OK"),
        (
            b"at,n\n1,2\n2,3\n2,3,4\n",
            "line 4: 3 fields where the header has 2",
        ),
        (
            b"at,n\n1,2\nsoon,3\n",
            "line 3: column `at`: `soon` is not a bigint",
        ),
        (b"at,n\n1,2\n,3\n", "line 3: column `at`: the time is null"),
        (
            b"at,n\n1,2\n9223372036854775807,3\n",
            "the time 9223372036854775807 ms is outside the years 1–9999",
        ),
        (
            b"at,n\n1,x\n2,\xff\xfe\n",
            "line 3: column `n`: `\u{fffd}\u{fffd}` is not UTF-8",
        ),
    ];
    for (content, message) in cases {
        let flags = [
            "--time",
            "at",
            "--agg",
            "count, max(n)",
            "--schema",
            "at bigint",
        ];
        let run = over(content, &flags);
        let skipped = over(content, &[&flags[..], &["--skip-bad"]].concat());
        skipped.assert_status(0);
        if message == "OK" {
            run.assert_status(0);
            continue;
        }
        run.assert_status(1);
        assert!(
            run.stderr().starts_with("error: in.csv, line "),
            "{}",
            run.stderr()
        );
        assert!(
            run.stderr().contains(message),
            "{message} in {}",
            run.stderr()
        );
        assert!(
            run.stderr()
                .contains("hint: skip and count such records with `--skip-bad`")
        );
        assert!(
            skipped.stderr().contains("1 malformed"),
            "{}",
            skipped.stderr()
        );
    }
}

#[test]
fn rows_before_a_malformed_record_are_written() {
    let run = over(
        "at\n1\n10001\n20001\nnever\n",
        &["--time", "at", "--schema", "at bigint"],
    );
    run.assert_status(1);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,count\n0,10000,1\n10000,20000,1\n"
    );
}

#[test]
fn what_is_typed_wrongly_is_told_in_few_lines() {
    let cases: [(&[&str], &str); 15] = [
        (&[], "required arguments were not provided"),
        (
            &["--tumbling", "10s", "--hopping", "10s,5s"],
            "cannot be used with",
        ),
        (&["--tumbling", "10"], "`10` has no unit"),
        (&["--tumbling", "-5s"], "a duration cannot be negative"),
        (&["--tumbling", "0s"], "the duration must be above zero"),
        (
            &["--hopping", "10s,20s"],
            "the advance 20s is larger than the size 10s",
        ),
        (&["--tumbling", "10s", "--where", "durtion > 3"], "^^^^^^^"),
        (&["--tumbling", "10s", "--where", "duration >"], "^"),
        (
            &["--tumbling", "10s", "--where", "duration"],
            "a condition is needed, not bigint",
        ),
        (&["--tumbling", "10s", "--by", "town"], "`town`"),
        (
            &["--tumbling", "10s", "--agg", "median(duration)"],
            "unknown aggregate `median`",
        ),
        (
            &["--tumbling", "10s", "--agg", "sum(caller)"],
            "`sum` takes no text",
        ),
        (
            &["--tumbling", "10s", "--agg", "count, count"],
            "two columns of the result have the name `count`",
        ),
        (
            &["--tumbling", "10s", "--time", "when"],
            "unknown column `when` in `--time`",
        ),
        (&["--tumbling", "10s", "--exit"], "`--exit` is for topics"),
    ];
    for (flags, message) in cases {
        let run = window(flags);
        run.assert_status(2);
        assert_eq!(run.stdout(), "", "{flags:?}");
        assert!(
            run.stderr().contains(message),
            "{message} in {}",
            run.stderr()
        );
        assert!(run.stderr().lines().count() <= 8, "{}", run.stderr());
    }
}

#[test]
fn an_input_that_is_not_there_or_holds_no_time_says_so() {
    let workdir = Workdir::new();
    let run = workdir.k("window --tumbling 10s --from none.csv");
    run.assert_status(1);
    assert_eq!(
        run.stderr(),
        "error: cannot read `none.csv`: no such file or directory\n\
         hint: a topic of that name is `topic:none.csv`\n"
    );
    let run = workdir.k("window --tumbling 10s --from ./");
    run.assert_status(1);
    assert!(run.stderr().contains("it is a folder"));
    let run = workdir.k_with_input("window --tumbling 10s", "");
    run.assert_status(1);
    assert!(run.stderr().starts_with("error: `stdin` is empty"));
    assert!(run.stderr().contains("check the command before it"));
    let run = workdir.k_with_input("window --tumbling 10s", "a,b\n1,2\n");
    run.assert_status(2);
    assert!(
        run.stderr().contains("the columns are a, b"),
        "{}",
        run.stderr()
    );
    let run = workdir.k_with_input("window --tumbling 10s", "a,a\n1,2\n");
    run.assert_status(1);
    assert!(run.stderr().contains("names column `a` twice"));
}

#[test]
fn times_before_1980_are_warned_of() {
    let run = over("at\n1767225600\n1767225601\n", &["--time", "at"]);
    run.assert_status(0);
    assert!(
        run.stderr()
            .contains("warning: all event times are before 1980")
    );
    let run = over(
        "at\n1767225600\n1767225611\n",
        &["--time", "at", "--time-unit", "s"],
    );
    assert!(run.stdout().contains("1767225600000,1767225610000,1"));
    let run = over(
        "at\n2026-01-01T00:00:00Z\n2026-01-01T00:00:11+00:00\n",
        &["--time", "at"],
    );
    assert!(run.stdout().contains("1767225600000,1767225610000,1"));
}

#[test]
fn the_account_is_there_for_programs() {
    let workdir = Workdir::new();
    workdir.write("calls.csv", CALLS);
    let run =
        workdir.k("window --tumbling 10s --from calls.csv -q --stats json --stats-to stats.json");
    run.assert_status(0);
    let expected = "{\"ahead\":0,\"duplicates\":0,\"expired\":1,\"filtered\":0,\"in\":5,\"late\":0,\"malformed\":0,\"on_time\":4,\"open_records\":0,\"open_windows\":0,\"panes\":3,\"watermark\":\"end\"}\n";
    assert!(run.stderr().ends_with(expected), "{}", run.stderr());
    assert_eq!(workdir.read("stats.json"), expected);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let workdir = Workdir::new();
    let rows: String = (0..200_000)
        .map(|n| format!("{}\n", n * 10_000_i64))
        .collect();
    workdir.write("in.csv", format!("at\n{rows}"));
    let mut child = workdir.spawn(
        "window --tumbling 10s --time at --from in.csv",
        Stdio::null(),
    );
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the binary ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn ctrl_c_shows_no_open_window_as_final() {
    let workdir = Workdir::new();
    let mut child = workdir.spawn("window --tumbling 10s", Stdio::piped());
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(CALLS.as_bytes()).expect("written");
    // The first rows are out, so the records have been read.
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut seen = String::new();
    while seen.lines().count() < 3 {
        let mut byte = [0];
        std::io::Read::read_exact(&mut stdout, &mut byte).expect("a row");
        seen.push(byte[0].into());
    }
    let id = rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a process");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("signalled");
    let output = child.wait_with_output().expect("the binary ends");
    drop(stdin);
    assert_eq!(output.status.code(), Some(130));
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).expect("the rest");
    assert!(
        !(seen + &rest).contains("30000,40000"),
        "the last window is open"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("5 records in"));
}

#[test]
fn the_demo_overwrites_nothing() {
    let workdir = Workdir::new();
    workdir.write("mine/tower.csv", "mine");
    workdir
        .k("demo --out mine")
        .assert_refused(1, &["`mine/tower.csv` already exists", "--out"]);
    assert_eq!(workdir.read("mine/tower.csv"), "mine");
}

#[test]
fn the_demo_needs_nothing_and_shows_windows() {
    let workdir = Workdir::new();
    let run = workdir.k("demo");
    run.assert_status(0);
    assert!(run.stdout().contains("$ k window --tumbling 10s"));
    assert!(run.stdout().contains("2026-01-01T00:00:50Z"));
    assert!(run.stdout().contains("█"));
    assert!(run.stderr().contains("records in, all on time"));
}

#[test]
fn windows_can_be_shifted() {
    let run = window(&["--tumbling", "10s", "--align", "3s", "--grace", "1m"]);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,count\n-7000,3000,2\n3000,13000,2\n23000,33000,1\n"
    );
}

#[test]
fn lines_that_end_in_carriage_returns_alone_are_refused() {
    let dir = Workdir::new();
    dir.write(
        "old.csv",
        "t,v\r2026-01-01T00:00:00Z,1\r2026-01-01T00:00:01Z,2\r",
    );
    dir.k("window --tumbling 1m --time t --from old.csv")
        .assert_refused(1, &["old.csv", "carriage returns", "hint: "]);
}

#[test]
fn a_header_of_200_000_columns_takes_no_longer_than_its_bytes() {
    let dir = Workdir::new();
    let wide = |columns: usize| {
        let names: Vec<String> = (0..columns).map(|n| format!("c{n}")).collect();
        let values = vec!["1"; columns].join(",");
        dir.write("wide.csv", format!("{}\n{values}\n", names.join(",")));
        let began = std::time::Instant::now();
        let run = dir.k("window --tumbling 1m --time c7 --agg sum(c9) --from wide.csv");
        run.assert_status(0);
        assert!(run.stdout().ends_with(",1\n"), "{}", run.stdout());
        began.elapsed()
    };
    let (few, many) = (wide(20_000), wide(200_000));
    // By the square it would be a hundred times as long.
    assert!(many < 40 * few, "{few:?}, {many:?}");
}

#[test]
fn no_name_of_a_column_moves_the_cursor() {
    let dir = Workdir::new();
    let name = "a\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}b";
    dir.write("names.csv", format!("t,{name}\n0,1\n"));
    dir.write(
        "names.json",
        format!("{{\"t\":0,\"{name}\":1}}\n")
            .replace('\u{1b}', "\\u001b")
            .replace('\u{7}', "\\u0007"),
    );
    let quoted = format!("\"{name}\"");
    let is_obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    for file in ["names.csv", "names.json"] {
        for flags in [
            "--agg sum(nothing)",
            "--time nothing",
            "-v --format table --by",
        ] {
            let mut args: Vec<&str> = vec!["window", "--tumbling", "1m", "--from", file];
            args.extend(flags.split(' '));
            if flags.ends_with("--by") {
                args.extend([quoted.as_str(), "--time", "t"]);
            } else if !flags.contains("--time") {
                args.extend(["--time", "t"]);
            }
            let run = dir.k_args(args);
            assert!(
                run.stderr().contains("owned"),
                "{file} {flags}: {}",
                run.stderr()
            );
            for said in [run.stdout(), run.stderr()] {
                assert!(!said.contains(is_obeyed), "{file} {flags}: {said:?}");
            }
        }
    }
}
