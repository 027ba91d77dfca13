//! Event times of other people's data: local forms, other units, expressions over columns.

use crate::broker::{broker, read_topic, unique};
use crate::workdir::{Run, Workdir};

const LOCAL: &str = "parse_timestamp(Zeit, 'dd.MM.yyyy HH:mm:ss')";

/// Runs `k window` over what a file holds, and over the same in a pipe, which gives the same.
#[track_caller]
fn windowed(input: &str, flags: &[&str]) -> Run {
    let workdir = Workdir::new();
    let name = if input.starts_with('{') {
        "in.jsonl"
    } else {
        "in.csv"
    };
    workdir.write(name, input);
    let args = ["window", "-v"].into_iter().chain(flags.iter().copied());
    let file = workdir.k_args(args.clone().chain(["--from", name]));
    let quoted = args.map(|arg| format!("'{}'", arg.replace('\'', "'\\''")));
    let line = format!("k {} < {name}", quoted.collect::<Vec<_>>().join(" "));
    let pipe = workdir.shell(&line);
    assert_eq!(file.stdout(), pipe.stdout(), "{flags:?}");
    file
}

#[track_caller]
fn assert_rows(input: &str, flags: &[&str], expected: &str) -> Run {
    let run = windowed(input, flags);
    run.assert_status(0);
    let rows: Vec<&str> = run.stdout().lines().skip(1).collect();
    assert_eq!(rows.join("|"), expected, "{flags:?}");
    run
}

/// Fails unless a run has ended with a status and said all parts.
#[track_caller]
fn assert_said(run: &Run, status: i32, parts: &[&str]) {
    run.assert_status(status);
    for part in parts {
        assert!(run.stderr().contains(part), "{part}: {}", run.stderr());
    }
}

#[test]
fn an_expression_over_columns_is_an_event_time() {
    let zeit = "Zeit,Müll\n29.03.2026 12:00:00,a\n29.03.2026 12:00:09,b\n";
    let flags = &["--tumbling", "10s", "--time", LOCAL];
    let run = assert_rows(zeit, flags, "1774785600000,1774785610000,2");
    assert!(
        run.stderr()
            .contains(&format!("time of the records: `{LOCAL}`"))
    );
    let by = &[
        "--tumbling",
        "10s",
        "--time",
        LOCAL,
        "--by",
        "Müll",
        "--threads",
        "3",
    ];
    let two = "1774785600000,1774785610000,a,1|1774785600000,1774785610000,b,1";
    assert_rows(zeit, by, two);

    let seconds = "ts\n1767225600\n1767225600.75\n";
    let scaled = &["--tumbling", "1s", "--time", "ts * 1000"];
    assert_rows(seconds, scaled, "1767225600000,1767225601000,2");
    let either = "a,b\n,1767225600000\n2026-01-01T00:00:00.5,\n";
    let coalesced = &["--tumbling", "1s", "--time", "coalesce(a, b)"];
    assert_rows(either, coalesced, "1767225600000,1767225601000,2");
    let parts = "day,at\n2026-01-01,00:00:01\n";
    let joined = &["--tumbling", "1s", "--time", "day || 'T' || at"];
    assert_rows(parts, joined, "1767225601000,1767225602000,1");
    // A name with blanks goes as it is, and in an expression in quotes.
    let blank = "Order Time,Größe\n1767225600000,7\n";
    let first = "1767225600000,1767225601000,1";
    assert_rows(blank, &["--tumbling", "1s", "--time", "Order Time"], first);
    assert_rows(
        blank,
        &["--tumbling", "1s", "--time", "\"Order Time\""],
        first,
    );
    let added = &["--tumbling", "1s", "--time", "\"Order Time\" + Größe - 7"];
    assert_rows(blank, added, first);
    let json = "{\"Zeit\":\"01.01.2026 00:00:00\"}\n{\"o\":\"1767225600000\"}\n";
    let known_later = "coalesce(o, parse_timestamp(Zeit, 'dd.MM.yyyy HH:mm:ss'))";
    let flags = &["--tumbling", "1s", "--time", "o", "--skip-bad"];
    assert_rows(json, flags, first);
    let flags = &["--tumbling", "1s", "--time", known_later, "--format", "csv"];
    assert_rows(json, flags, "1767225600000,1767225601000,2");
}

#[test]
fn a_unit_is_that_of_every_number_whatever_it_stands_in() {
    for (unit, time) in [
        ("s", "1767225600.25"),
        ("ms", "1767225600250"),
        ("us", "1767225600250999"),
        ("ns", "1767225600250999999"),
    ] {
        let row = "1767225600250,1767225600251,1";
        let flags = &["--tumbling", "1ms", "--time", "t", "--time-unit", unit];
        assert_rows(&format!("t\n{time}\n"), flags, row);
        assert_rows(&format!("{{\"t\":{time}}}\n"), flags, row);
        assert_rows(&format!("{{\"t\":\"{time}\"}}\n"), flags, row);
        let schema = if unit == "s" { "t decimal" } else { "t bigint" };
        let declared = [flags, &["--schema", schema][..]].concat();
        assert_rows(&format!("t\n{time}\n"), &declared, row);
    }
    // What is a time by itself has no unit.
    let flags = &["--tumbling", "1s", "--time-unit", "ns", "--time"];
    let iso = [flags, &["t"][..]].concat();
    assert_rows("t\n2026-01-01\n", &iso, "1767225600000,1767225601000,1");
    let parsed = [flags, &["parse_timestamp(t, 'd.M.yyyy')"][..]].concat();
    assert_rows("t\n1.1.2026\n", &parsed, "1767225600000,1767225601000,1");
}

#[test]
fn a_zone_is_that_of_times_that_name_none() {
    let berlin = &["--zone", "Europe/Berlin", "--tumbling", "1h", "--time"];
    let noon = "1774778400000,1774782000000,1"; // 12:00 in summer, which began that day
    let local = [berlin, &[LOCAL][..]].concat();
    assert_rows("Zeit\n29.03.2026 12:00:00\n", &local, noon);
    let iso = [berlin, &["t"][..]].concat();
    for text in [
        "2026-03-29 12:00:00",
        "2026-03-29T10:00Z",
        "2026-03-29T11:00+01:00",
        "1774778400000",
    ] {
        let run = assert_rows(&format!("t\n{text}\n"), &iso, noon);
        assert!(
            run.stderr().contains("`t`, read in Europe/Berlin"),
            "{}",
            run.stderr()
        );
    }
    let own = [berlin, &["parse_timestamp(t, 'yyyy-MM-dd', 'UTC')"][..]].concat();
    assert_rows("t\n2026-03-29\n", &own, "1774742400000,1774746000000,1");
    // Days are the zone's, too, and sessions have none.
    let days = ["--zone", "Europe/Berlin", "--tumbling", "1d", "--time", "t"];
    assert_rows("t\n2026-03-29\n", &days, "1774738800000,1774821600000,1");
    let session = ["--zone", "Europe/Berlin", "--session", "1h", "--time", "t"];
    assert_rows("t\n2026-03-29\n", &session, "1774738800000,1774738800000,1");
}

#[test]
fn what_an_expression_makes_no_time_of_costs_its_own_record() {
    let zeit = "Zeit,n\n29.03.2026 12:00:00,1\n29.03.26,2\n,3\n31.02.2026 00:00:00,4\n29.03.2026 12:00:01,5\n";
    let flags = &[
        "--tumbling",
        "10s",
        "--time",
        LOCAL,
        "--agg",
        "count,sum(n)",
    ];
    assert_said(
        &windowed(zeit, flags),
        1,
        &[
            "line 3: `parse_timestamp(Zeit, 'dd.MM.yyyy HH:mm:ss')`: `29.03.26` does not match the time pattern",
            "hint: fix the value, or the expression of `--time`\nhint: skip and count such records",
        ],
    );
    for threads in ["1", "3"] {
        let skipped = [flags, &["--skip-bad", "--threads", threads][..]].concat();
        let run = assert_rows(zeit, &skipped, "1774785600000,1774785610000,2,6");
        assert!(run.stderr().contains(", 3 malformed"), "{}", run.stderr());
    }
    let number = &["--tumbling", "10s", "--time", "t * 1000"];
    assert_said(
        &windowed("t\nx\n", number),
        1,
        &["line 2: `t`: `x` is not a number", "try_cast"],
    );
    let beyond = &["--tumbling", "10s", "--time", "t * 1000"];
    assert_said(
        &windowed("t\n1767225600000\n", beyond),
        1,
        &["outside the years 1–9999"],
    );
    let boolean = &["--tumbling", "10s", "--time", "t > 1"];
    assert_said(
        &windowed("t\n1\n", boolean),
        2,
        &["`--time t > 1` is a boolean"],
    );
    let unknown = &["--tumbling", "10s", "--time", "lower(tt)"];
    windowed("t\n1\n", unknown)
        .assert_refused(2, &["unknown column `tt`\n  lower(tt)\n        ^^"]);
}

#[test]
fn a_local_form_is_told_with_the_flag_that_reads_it() {
    let workdir = Workdir::new();
    workdir.write(
        "in.csv",
        "Zeit,Order Time\n29.03.2026 12:00,3/29/2026 12:00 PM\n",
    );
    for (name, pattern) in [
        ("Zeit", "dd.MM.yyyy HH:mm"),
        ("\"Order Time\"", "M/d/yyyy h:mm a"),
    ] {
        let window = ["window", "--tumbling", "1h", "--from", "in.csv", "--time"];
        let run = workdir.k_args(window.into_iter().chain([name]));
        run.assert_status(1);
        let hint = run.stderr().lines().find_map(|line| {
            let flag = line.strip_prefix("hint: `--time ")?;
            flag.split_once("` reads such a time").map(|(flag, _)| flag)
        });
        let flag = hint.unwrap_or_else(|| panic!("{}", run.stderr()));
        assert!(flag.contains(pattern), "{flag}");
        // It can be typed as it is printed.
        let run = workdir.shell(&format!(
            "k window --tumbling 1h --from in.csv --time {flag}"
        ));
        run.assert_status(0);
        assert!(
            run.stdout().ends_with("\n1774785600000,1774789200000,1\n"),
            "{}",
            run.stdout()
        );
    }
}

#[test]
fn each_side_of_a_join_may_compute_its_times() {
    let workdir = Workdir::new();
    workdir.write("l.csv", "id,Zeit\n1,01.01.2026 01:00:00\n2,x\n");
    workdir.write("r.csv", "id,t\n1,1767225600\n");
    let join = |flags: &[&str]| {
        let args = [
            "join",
            "l.csv",
            "r.csv",
            "--on",
            "id",
            "--within",
            "1s",
            "--skip-bad",
        ];
        workdir.k_args(args.into_iter().chain(flags.iter().copied()))
    };
    let zoned = [
        "--time",
        LOCAL,
        "--time",
        "t * 1000",
        "--zone",
        "Europe/Berlin",
        "-v",
    ];
    let run = join(&zoned);
    run.assert_status(0);
    let rows = "id,Zeit,t,event_time\n1,01.01.2026 01:00:00,1767225600,1767225600000\n";
    assert_eq!(run.stdout(), rows);
    assert!(run.stderr().contains(", 1 malformed"), "{}", run.stderr());
    assert!(
        run.stderr()
            .contains("time of the right records: `t * 1000`"),
        "{}",
        run.stderr()
    );
    let units = [
        "--time",
        LOCAL,
        "--time",
        "t",
        "--time-unit",
        "ns",
        "--time-unit",
        "s",
    ];
    let run = join(&[&units[..], &["--zone", "Europe/Berlin", "--zone", "UTC"]].concat());
    assert_eq!(run.stdout(), rows);
    // A table may not have what the stream's time is made of.
    workdir.write("table.csv", "id,name\n1,anna\n");
    let table = [
        "join",
        "l.csv",
        "--table",
        "table.csv",
        "--on",
        "id",
        "--skip-bad",
        "--time",
        LOCAL,
    ];
    let run = workdir.k_args(table);
    assert_eq!(
        run.stdout(),
        "id,Zeit,name,event_time\n1,01.01.2026 01:00:00,anna,1767229200000\n"
    );
}

#[test]
fn produced_timestamps_are_read_as_event_times_are() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    workdir.write("zeit.csv", "Zeit,n\n29.03.2026 12:00:00,1\nx,2\n");
    workdir.write("seconds.jsonl", "{\"t\":1767225600.5}\n");
    workdir.write("iso.csv", "t\n2026-03-29 12:00:00\n");
    let produce = |name: &str, flags: &[&str]| {
        let topic = unique("times");
        let args = ["produce", "-v", name, "-t", &topic, "-b", broker];
        let run = workdir.k_args(args.into_iter().chain(flags.iter().copied()));
        run.assert_status(0);
        let records = read_topic(broker, &topic);
        let times: Vec<i64> = records
            .iter()
            .filter_map(|record| record.timestamp)
            .collect();
        (times, run)
    };
    let (times, run) = produce("zeit.csv", &["--time", LOCAL, "--skip-bad"]);
    assert_eq!(times, [1_774_785_600_000]);
    assert!(
        run.stderr().contains("skipped 1 malformed record"),
        "{}",
        run.stderr()
    );
    assert!(
        run.stderr()
            .contains(&format!("time of the records: `{LOCAL}`")),
        "{}",
        run.stderr()
    );
    let (times, run) = produce("seconds.jsonl", &["--time", "t", "--time-unit", "s"]);
    assert_eq!(times, [1_767_225_600_500]);
    assert!(!run.stderr().contains("before 1980"), "{}", run.stderr());
    let (times, _) = produce("iso.csv", &["--time", "t", "--zone", "Europe/Berlin"]);
    assert_eq!(times, [1_774_778_400_000]);
    let (times, run) = produce("seconds.jsonl", &["--time", "t"]);
    assert_eq!(times, [1_767_225_600]);
    let warning =
        "warning: all times are before 1980: is the unit right? See `--time-unit s|ms|us|ns`";
    assert!(run.stderr().contains(warning), "{}", run.stderr());
    let (_, run) = produce("seconds.jsonl", &[]);
    assert!(
        run.stderr()
            .contains("time of the records: the time of sending"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_topic_and_a_group_compute_times_as_a_file_does() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    workdir.write(
        "in.csv",
        "Zeit,n\n29.03.2026 12:00:00,1\nx,2\n29.03.2026 12:00:11,3\n29.03.2026 12:00:12,4\n",
    );
    let topic = unique("zeit");
    let produce = [
        "produce", "in.csv", "--time", "none", "-t", &topic, "-b", broker,
    ];
    workdir.k_args(produce).assert_status(0);
    let window = [
        "window",
        "--tumbling",
        "10s",
        "--time",
        LOCAL,
        "--skip-bad",
        "--exit",
        "-b",
        broker,
    ];
    let window = |flags: &[&str]| {
        let args = window
            .into_iter()
            .chain(["--from", &topic, "--grace", "1d"]);
        let run = workdir.k_args(args.chain(flags.iter().copied()));
        run.assert_status(0);
        assert!(run.stderr().contains(", 1 malformed"), "{}", run.stderr());
        run
    };
    let rows = "1774785600000,1774785610000,1\n1774785610000,1774785620000,2\n";
    let run = window(&[]);
    assert_eq!(
        run.stdout(),
        format!("window_start,window_end,count\n{rows}")
    );
    let (group, result) = (unique("g"), unique("result"));
    window(&["--group", &group, "--to", &result]);
    let mut counts: Vec<String> = read_topic(broker, &result)
        .iter()
        .map(|record| {
            String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
        })
        .collect();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [
            r#"{"window_start":1774785600000,"window_end":1774785610000,"count":1}"#,
            r#"{"window_start":1774785610000,"window_end":1774785620000,"count":2}"#,
        ]
    );
    // Times that are the records' own though there are columns are told, once.
    let run = workdir.k_args([
        "window",
        "--tumbling",
        "1d",
        "--exit",
        "--from",
        &topic,
        "-b",
        broker,
    ]);
    let told = run
        .stderr()
        .matches("event times are the records' own timestamps")
        .count();
    assert_eq!(told, 1, "{}", run.stderr());
}
