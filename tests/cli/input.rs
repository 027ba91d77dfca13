//! Files and pipes as inputs: what their first lines say, quotes, times, named pipes.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::running::Running;
use crate::workdir::{Run, Workdir};

/// Windows `content`, a file of the given name, with flags.
fn windowed(name: &str, content: &str, flags: &str) -> Run {
    let dir = Workdir::new();
    dir.write(name, content);
    dir.k(&format!("window --tumbling 10s --from {name} {flags}"))
}

fn assert_rows(run: &Run, rows: &[&str]) {
    run.assert_status(0);
    assert_eq!(run.stdout().lines().skip(1).collect::<Vec<_>>(), rows);
}

#[test]
fn a_quote_that_is_not_closed_is_named_where_it_opens_and_never_skipped() {
    let rows = "a,start_timestamp\n1,1000\n\"x\ny\",2000\n2,\"3000\n3,4000\n4,5000\n";
    for flags in ["", "--skip-bad"] {
        let run = windowed("in.csv", rows, flags);
        run.assert_status(1);
        assert!(
            run.stderr()
                .contains("in.csv, line 5: the quote that opens here"),
            "{}",
            run.stderr()
        );
    }
    let header = "a,\"start_timestamp\n1,1000\n";
    windowed("in.csv", header, "").assert_refused(1, &["line 1", "quote"]);
}

#[test]
fn a_record_without_end_is_refused_with_the_longest_there_may_be() {
    let long = "x".repeat(17 << 20);
    for (value, message) in [
        (long.clone(), "the record is longer than 16 MiB"),
        (
            format!("\"{long}"),
            "the quote that opens here is not closed before the end of 16 MiB",
        ),
    ] {
        let run = windowed("in.csv", &format!("a,start_timestamp\n1,{value}"), "");
        run.assert_status(1);
        let message = format!("in.csv, line 2: {message}");
        assert!(run.stderr().contains(&message), "{}", run.stderr());
    }
}

#[test]
fn a_header_may_follow_blank_lines_and_hold_quoted_newlines() {
    let run = windowed(
        "in.csv",
        "\n\r\n  \n\"a\n\"\"b\",start_timestamp\n1,1000\n2,x\n",
        "--skip-bad",
    );
    assert_rows(&run, &["0,10000,1"]);
    let run = windowed("in.csv", "\n\"a\nb\",start_timestamp\n1,x\n", "");
    assert!(run.stderr().contains("in.csv, line 4"), "{}", run.stderr());
    windowed("in.csv", "\n\na,a\n", "").assert_refused(1, &["twice", "line 3"]);
    windowed("in.csv", "\n\n", "").assert_refused(1, &["empty"]);
}

#[test]
fn a_declared_type_wins_in_json_too() {
    let dir = Workdir::new();
    dir.write(
        "in.jsonl",
        "{\"start_timestamp\":1000,\"n\":\"007\",\"m\":3}\n{\"start_timestamp\":2000,\"n\":\"8\",\"m\":4}\n",
    );
    let windowed = |schema: &str| {
        let from = ["window", "--tumbling", "10s", "--from", "in.jsonl"];
        let flags = ["--agg", "max(n), sum(m)", "--schema", schema];
        dir.k_args(from.into_iter().chain(flags))
    };
    assert_rows(&windowed("m double"), &["0,10000,8,7.0"]);
    assert_rows(&windowed("n string"), &["0,10000,8,7"]);
    let run = windowed("n bigint, start_timestamp boolean");
    run.assert_status(2);
    let run = windowed("n timestamp, m decimal(5, 2)");
    assert_rows(&run, &["0,10000,8,7"]);
}

#[test]
fn the_line_of_json_that_does_not_parse_is_named() {
    let run = windowed(
        "in.jsonl",
        "{\"start_timestamp\":1}\n\n{\"start_timestamp\":\n",
        "",
    );
    run.assert_status(1);
    assert!(
        run.stderr().contains("in.jsonl, line 3: not JSON"),
        "{}",
        run.stderr()
    );
}

#[test]
fn the_last_moment_of_the_year_9999_is_a_time() {
    let run = windowed("in.csv", "t\n9999-12-31T23:59:59.999Z\n", "--time t");
    assert_rows(&run, &["253402300790000,253402300800000,1"]);
    let run = windowed("in.csv", "t\nnow\n", "--time t");
    assert!(
        run.stderr()
            .contains("`now` is not a time: a number, or ISO 8601"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_duration_beyond_all_time_is_a_usage_error_that_says_the_longest() {
    for duration in ["9223372036854775807ms", "99999999999999d"] {
        windowed(
            "in.csv",
            "start_timestamp\n1\n",
            &format!("--grace {duration}"),
        )
        .assert_refused(2, &["--grace", "at most 4000000d"]);
    }
}

#[test]
#[cfg(target_os = "linux")] // which says what a process has open
fn a_named_pipe_nobody_writes_to_or_reads_from_is_waited_for_and_left_on_a_signal() {
    let dir = Workdir::new();
    let pipe = dir.path("pipe.csv");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    dir.write("in.csv", "start_timestamp\n1\n");

    let reading = Running::start(&dir, "window --tumbling 10s --from pipe.csv");
    let deadline = Instant::now() + Duration::from_secs(180);
    while !reading.has_open(&pipe) {
        assert!(Instant::now() < deadline, "the pipe is not opened");
        std::thread::yield_now();
    }
    reading.ended_by(Signal::INT).assert_status(130);

    let writing = Running::start(&dir, "-v window --tumbling 10s --from in.csv --to pipe.csv");
    writing.await_said("schema: ");
    writing.ended_by(Signal::TERM).assert_status(143);

    // With somebody at the other end it is a pipe like any other.
    let from_pipe = Running::start(&dir, "window --tumbling 10s --from pipe.csv");
    dir.k("window --tumbling 1s --from in.csv --to pipe.csv")
        .assert_status(0);
    let run = from_pipe.ended();
    run.assert_status(2); // a result has no start_timestamp
    assert!(run.stderr().contains("window_start"), "{}", run.stderr());
}

#[test]
fn an_array_and_objects_that_span_lines_are_read_as_one_object_a_line_would_be() {
    let objects = [
        r#"{"t":1000,"k":"a","o":{"x":[1,2]}}"#,
        r#"{"t":2000,"k":"],[{\"","o":{}}"#,
        r#"{"t":"n/a","k":"a"}"#,
        r#"{"t":9000,"k":"a"}"#,
    ];
    let spread = |object: &str| object.replace("\":", "\":\n\t").replace('}', "\n}");
    let laid_out = [
        objects.join("\n"),
        format!("[{}]", objects.join(",")),
        format!("[\n  {}\n]\n", objects.join(",\n  ")),
        objects.map(spread).join("\n"),
        format!("\n[ {} ]", objects.map(spread).join("\r\n,")),
    ];
    let workdir = Workdir::new();
    let window = "window --tumbling 10s --time t --by k,o.x --skip-bad --format csv";
    for (nth, text) in laid_out.iter().enumerate() {
        workdir.write("in.json", text);
        let from_file = workdir.k(&format!("{window} --from in.json"));
        let piped = workdir.k_with_input(window, text);
        for run in [from_file, piped] {
            run.assert_status(0);
            let expected = "window_start,window_end,k,o.x,count\n\
                            0,10000,\"],[{\"\"\",,1\n0,10000,a,,1\n0,10000,a,\"[1,2]\",1\n";
            // Blanks in an object are those that it came with.
            let rows = run.stdout().replace("\n\t", "").replace("  ", "");
            assert_eq!(rows, expected, "layout {nth}: {text}");
            assert!(run.stderr().contains(", 1 malformed"), "{}", run.stderr());
        }
        let told = workdir.k("window --tumbling 10s --time t --from in.json");
        told.assert_status(1);
        let line = "line 3: column `t`: `n/a` is not a time";
        assert!(told.stderr().contains(line), "{}", told.stderr());
    }
    // A value that is not whole costs itself.
    workdir.write("in.json", "[{\"t\":1},\n{\"t\":2 2},\n{\"t\":3},\n7]");
    let run = workdir.k("window --tumbling 10s --time t --from in.json --skip-bad");
    assert!(
        run.stderr().contains("4 records in: 2 on time"),
        "{}",
        run.stderr()
    );
    workdir.write("in.json", "{\"t\":1}\r{\"t\":2}\r");
    workdir
        .k("window --tumbling 10s --time t --from in.json")
        .assert_refused(
            1,
            &["carriage returns instead of newlines", "tr '\\r' '\\n'"],
        );
}

#[test]
fn json_without_its_end_ends_the_run_and_tells_where_it_begins() {
    let workdir = Workdir::new();
    let objects: Vec<String> = (1..=100).map(|t| format!("{{\"t\":{t}}}")).collect();
    let mut broken = objects.clone();
    broken[10].pop();
    let mut text = objects.clone();
    text[10] = "{\"t\":11,\"k\":\"x}".to_owned();
    let array = |objects: &[String], comma: &str| format!("[{}]\n", objects.join(comma));
    let whole = array(&objects, ",\n");
    let value = |line: u8| format!("after 10 records, the value that begins in line {line} of");
    let every = ": the array that begins in line 1 of".to_owned();
    for (input, told) in [
        (array(&broken, ",\n"), value(11)),
        (array(&broken, ","), value(1)),
        (broken.join("\n\n").replace(":", ":\n"), value(31)),
        (
            objects[..10].join("\n").replace(":", ":\n") + "\n{\"t\":",
            value(21),
        ),
        (whole.replace("}]\n", "}"), every.clone()),
        (whole.replace("}]\n", "},\n"), every),
    ] {
        workdir.write("in.json", &input);
        for threads in [1, 3] {
            for skip_bad in ["", " --skip-bad"] {
                let window = "window --tumbling 1s --time t in.json";
                let run = workdir.k(&format!("{window} --threads {threads}{skip_bad}"));
                run.assert_status(1);
                let said = run.stderr();
                assert!(said.contains(&told), "`{told}` is missing in: {said}");
            }
        }
    }
    // The text ends where the line does: what came so far is one malformed record.
    workdir.write("in.json", array(&text, ","));
    let run = workdir.k("window --tumbling 1s --time t in.json --skip-bad");
    run.assert_status(1);
    let told = "after 11 records, the value that begins in line 1 of";
    assert!(run.stderr().contains(told), "{}", run.stderr());
    workdir.write("in.json", &whole);
    let run = workdir.k("window --tumbling 1s --time t in.json in.json -q");
    assert_eq!(run.stdout(), "window_start,window_end,count\n0,1000,200\n");
    // A file that is cut off is not passed over for the next one.
    workdir.write("cut.json", whole.replace("}]\n", "}"));
    let run = workdir.k("window --tumbling 1s --time t cut.json in.json");
    run.assert_status(1);
    let told = "error: cut.json, one value a line: the array";
    assert!(run.stderr().contains(told), "{}", run.stderr());
}

#[test]
fn the_first_record_that_is_skipped_is_named_with_the_reason() {
    let dir = Workdir::new();
    let mut rows = "t,n\n".to_owned();
    for second in 0..100_000 {
        let n = if second % 30_000 == 29_999 { "x" } else { "1" };
        rows.push_str(&format!("{},{n}\n", 1_767_225_600 + second));
    }
    dir.write("in.csv", rows);
    for threads in [1, 3] {
        let run = dir.k(&format!(
            "window --tumbling 1h --time t --time-unit s --agg sum(n) in.csv --skip-bad --threads {threads}"
        ));
        run.assert_status(0).assert_malformed(3);
        let told = "\nfirst malformed: in.csv, line 30001: ";
        let said = run.stderr();
        assert!(said.contains(told), "{threads}: {said}");
        let reason = said.split(told).nth(1).unwrap_or_default();
        assert!(reason.contains("`x` is not a"), "{threads}: {said}");
    }
    dir.write("left.csv", "t,k\n1,a\nx,b\n");
    dir.write("right.csv", "t,k\n1,a\n2,b\n");
    let run = dir.k("join left.csv right.csv --on k --time t --within 1s --skip-bad");
    run.assert_status(0);
    let told = "first malformed: left.csv, line 3: ";
    assert!(run.stderr().contains(told), "{}", run.stderr());
}
