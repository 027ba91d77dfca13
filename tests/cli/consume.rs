//! `k consume`: what it prints of a topic that kcat wrote, where it begins and ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::broker::{broker, unique};
use crate::skip::{Need, skipped};
use crate::workdir::{Run, Workdir};

/// Creates a topic of one partition in which kcat has written `lines`, each `key:value`.
/// Returns the broker and the topic, or says that the test is skipped.
fn topic_of(name: &str, lines: &[u8], flags: &[&str]) -> Option<(&'static str, String)> {
    let broker = broker()?;
    let topic = unique(name);
    let created = format!("topic create {topic} --partitions 1 -b {broker}");
    Workdir::new().k(&created).assert_status(0);
    kcat(broker, &topic, lines, flags)?;
    Some((broker, topic))
}

/// Writes lines of `key:value` with kcat.
fn kcat(broker: &str, topic: &str, lines: &[u8], flags: &[&str]) -> Option<()> {
    let kcat = Command::new("kcat")
        .args(["-P", "-b", broker, "-t", topic, "-K:"])
        .args(flags)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut kcat) = kcat else {
        skipped(
            Need::Program("kcat"),
            "no `kcat` here to write a topic with",
        );
        return None;
    };
    let mut stdin = kcat.stdin.take().expect("a pipe");
    stdin.write_all(lines).expect("kcat reads");
    drop(stdin);
    assert!(kcat.wait().expect("kcat ends").success());
    Some(())
}

fn consume(broker: &str, args: &str) -> Run {
    Workdir::new().k(&format!("consume {args} -b {broker}"))
}

/// Returns the values of envelopes.
fn values(lines: &str) -> Vec<String> {
    let value = |line: &str| {
        let envelope: serde_json::Value = serde_json::from_str(line).expect("JSON");
        envelope["value"].as_str().expect("text").to_owned()
    };
    lines.lines().map(value).collect()
}

#[test]
fn a_record_is_an_envelope_with_its_key_headers_and_bytes() {
    let Some((broker, topic)) = topic_of(
        "envelope",
        b"a:{\"n\":1}\nb\xc3\xa9:\xff\xfe\nc:\n",
        &["-H", "trace=1", "-H", "empty=", "-Z"],
    ) else {
        return;
    };
    let run = consume(broker, &format!("{topic} --exit"));
    run.assert_status(0);
    let lines: Vec<&str> = run.stdout().lines().collect();
    let time = |line: &str| {
        let envelope: serde_json::Value = serde_json::from_str(line).expect("JSON");
        envelope["timestamp"].as_i64().expect("a timestamp")
    };
    let head = |offset: usize| {
        let timestamp = time(lines[offset]);
        format!(
            "{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":{offset},\"timestamp\":{timestamp}"
        )
    };
    let headers = r#""headers":[["trace","1"],["empty",""]]"#;
    assert_eq!(
        lines,
        [
            format!(r#"{},"key":"a",{headers},"value":"{{\"n\":1}}"}}"#, head(0)),
            format!(
                r#"{},"key":"bé",{headers},"value_base64":"//4="}}"#,
                head(1)
            ),
            format!(r#"{},"key":"c",{headers},"value":null}}"#, head(2)),
        ]
    );
    assert!(
        run.stderr().starts_with("3 records in "),
        "{}",
        run.stderr()
    );
    let quiet = consume(broker, &format!("{topic} --exit -q"));
    assert_eq!((quiet.stdout(), quiet.stderr()), (run.stdout(), ""));
}

#[test]
fn what_is_consumed_can_be_produced_again() {
    let Some((broker, topic)) = topic_of(
        "again",
        b"a:{\"n\": \"\\u00e9\"}\n:\xff\x01\nb:\nc\xc3\xa9:quote \" and \\\n",
        &["-H", "trace=1", "-H", "trace=\u{e9}", "-Z"],
    ) else {
        return;
    };
    let copy = unique("copy");
    let dir = Workdir::new();
    let line = format!(
        "k topic create {copy} --partitions 1 -q -b {broker} &&
         k consume {topic} --exit -q -b {broker} | k produce -t {copy} -q -b {broker}"
    );
    dir.shell(&line).assert_status(0);
    let read = |topic: &str| {
        let run = consume(broker, &format!("{topic} --exit"));
        let lines = run.assert_status(0).stdout();
        lines.replace(&format!("\"topic\":\"{topic}\""), "")
    };
    assert_eq!(read(&copy).lines().count(), 4);
    assert_eq!(read(&copy), read(&topic));
}

#[test]
fn other_formats_are_a_table_csv_and_the_bare_values() {
    let Some((broker, topic)) = topic_of("formats", b"a:1,2\nb:\x1b[2J\tx\n", &[]) else {
        return;
    };
    let run = |format: &str| consume(broker, &format!("{topic} --exit --format {format}"));
    assert_eq!(run("raw").stdout(), "1,2\n\u{1b}[2J\tx\n");
    let csv = run("csv");
    let fields: Vec<Vec<String>> = csv::Reader::from_reader(csv.stdout().as_bytes())
        .records()
        .map(|record| record.expect("CSV").iter().map(str::to_owned).collect())
        .collect();
    let shown = [
        [&topic, "0", "0", "a", "1,2"],
        [&topic, "0", "1", "b", "\u{1b}[2J\tx"],
    ];
    for (record, shown) in fields.iter().zip(shown) {
        assert_eq!([&record[..3], &record[4..]].concat(), shown);
    }
    assert_eq!(fields.len(), 2);
    let table = run("table");
    let lines: Vec<&str> = table.stdout().lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0]
            .split_whitespace()
            .eq(["partition", "offset", "time", "key", "value"])
    );
    assert!(lines[2].ends_with("  b    \\u{1b}[2J\\tx"), "{}", lines[2]);
}

#[test]
fn reading_begins_and_ends_where_it_is_told() {
    let Some((broker, topic)) = topic_of("range", b"a:0\nb:1\na:2\nc:3\na:4\n", &[]) else {
        return;
    };
    for (flags, expected) in [
        ("--exit", "0 1 2 3 4"),
        ("--since 3 --exit", "3 4"),
        ("--since end --exit", ""),
        ("--since 1 --until 3", "1 2"),
        ("--since 9 --exit", ""),
        ("--limit 2", "0 1"),
        ("--limit 0", ""),
        ("--key a --exit", "0 2 4"),
        ("--key a --limit 2", "0 2"),
        ("--key A --exit", ""),
        ("--since -1h --until -0s", "0 1 2 3 4"),
        ("--since 2020-01-01 --until 2021-01-01", ""),
        ("--since -0s --exit", ""),
    ] {
        let run = consume(broker, &format!("{topic} {flags}"));
        run.assert_status(0);
        assert_eq!(values(run.stdout()).join(" "), expected, "{flags}");
    }
}

#[test]
fn a_group_goes_on_after_what_was_written_out() {
    let Some((broker, topic)) = topic_of("group", b"a:0\na:1\na:2\n", &[]) else {
        return;
    };
    let read = |flags: &str| {
        let run = consume(broker, &format!("{topic} --group {topic} {flags}"));
        run.assert_status(0);
        values(run.stdout()).join(" ")
    };
    assert_eq!(read("--limit 1"), "0");
    assert_eq!(read("--limit 1"), "1");
    assert_eq!(read("--exit"), "2");
    assert_eq!(read("--exit"), "");
    kcat(broker, &topic, b"a:3\n", &[]).expect("kcat is there");
    assert_eq!(read("--exit"), "3");
    let unbound = consume(broker, &format!("{topic} --exit"));
    assert_eq!(values(unbound.stdout()).len(), 4);
}

#[test]
fn topics_are_read_together() {
    let Some((broker, one)) = topic_of("one", b"a:0\na:1\n", &[]) else {
        return;
    };
    let (_, other) = topic_of("other", b"a:2\n", &[]).expect("kcat is there");
    let run = consume(broker, &format!("{one} topic:{other} --exit"));
    run.assert_status(0);
    let mut values = values(run.stdout());
    values.sort();
    assert_eq!(values, ["0", "1", "2"]);
    consume(broker, &format!("{one} topic:{one}")).assert_refused(2, &["named twice", &one]);
    consume(broker, &format!("{one} {one}-not")).assert_refused(1, &["does not exist"]);
}

#[test]
fn partitions_are_merged_by_time_and_each_keeps_its_order() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("merged"));
    let line = |(n, (partition, time)): (usize, (i32, i64))| {
        format!(
            "{{\"topic\":\"t\",\"partition\":{partition},\"offset\":0,\"timestamp\":{time},\
             \"value\":\"{n}\"}}\n"
        )
    };
    let records = [(0, 5), (0, 9), (0, 7), (2, 1), (2, 6), (2, 8), (2, 20)];
    let lines: String = records.into_iter().enumerate().map(line).collect();
    let produced = dir.k_with_input(
        &format!("produce - -t {topic} --keep-partition -b {broker}"),
        lines,
    );
    produced.assert_status(0);
    let run = consume(broker, &format!("{topic} --exit"));
    // 9 waits for nothing that comes after it in its own partition.
    let expected = ["3", "0", "4", "5", "1", "2", "6"];
    assert_eq!(values(run.assert_status(0).stdout()), expected);
    let first = consume(broker, &format!("{topic} --limit 2"));
    assert_eq!(values(first.stdout()), expected[..2]);
    let later = consume(broker, &format!("{topic} --since 1 --limit 4"));
    assert_eq!(values(later.stdout()), ["4", "5", "1", "2"]);
}

#[test]
fn new_records_are_followed_until_ctrl_c() {
    let Some((broker, topic)) = topic_of("follow", b"a:0\n", &[]) else {
        return;
    };
    let dir = Workdir::new();
    let mut child = dir.spawn(&format!("consume {topic} -b {broker}"), Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || values(&lines.next().expect("a line").expect("UTF-8")).remove(0);
    assert_eq!(next(), "0");
    for value in ["1", "2"] {
        kcat(broker, &topic, format!("a:{value}\n").as_bytes(), &[]).expect("kcat is there");
        assert_eq!(next(), value);
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("UTF-8");
    assert!(said.starts_with("3 records in "), "{said}");
}

#[test]
fn a_reader_that_leaves_ends_the_run_though_nothing_more_comes() {
    let Some((broker, topic)) = topic_of("left", b"a:0\na:1\n", &[]) else {
        return;
    };
    // The status of `k`, and not of `head`, is what the shell says.
    let line = format!("{{ k consume {topic} -b {broker}; echo $? >&2; }} | head -n 1");
    let run = Workdir::new().shell(&line);
    assert_eq!(values(run.stdout()), ["0"]);
    assert_eq!(run.stderr(), "0\n");
}

#[test]
fn places_that_are_none_are_told() {
    for (flags, parts) in [
        ("--since yesterday", ["--since", "yesterday"]),
        ("--until 5x", ["--until", "5x"]),
        ("--limit -1", ["--limit", "-1"]),
        ("--format xml", ["--format", "xml"]),
        ("--until 5 --exit", ["--until", "--exit"]),
    ] {
        consume("127.0.0.1:1", &format!("t {flags}")).assert_refused(2, &parts);
    }
}

/// Creates a topic with values of `n` and `name`, one of them a tombstone, one malformed.
fn topic_of_objects(name: &str) -> Option<(&'static str, String)> {
    let lines = b"a:{\"n\":1,\"name\":\"x\"}\nb:{\"n\":20,\"name\":null}\nc:\n\
                  a:{\"n\":300,\"name\":\"z\"}\nb:no object\na:{\"n\":4,\"name\":\"w\"}\n";
    topic_of(name, lines, &["-Z"])
}

#[test]
fn where_takes_the_records_whose_value_fulfils_it() {
    let Some((broker, topic)) = topic_of_objects("where") else {
        return;
    };
    for (flags, expected) in [
        ("--where 'n>3' --limit 2", "20 300"),
        ("--where 'n>3' --skip-bad --exit", "20 300 4"),
        ("--where 'name is null' --skip-bad --exit", "20"),
        // What is malformed under another key is not looked at.
        ("--key a --where 'n<>300' --exit", "1 4"),
        ("--key c --where 'n>0' --exit", ""),
    ] {
        let run = shell(broker, &topic, flags);
        let n = |value: &String| {
            let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
            value["n"].to_string()
        };
        let taken: Vec<String> = values(run.assert_status(0).stdout())
            .iter()
            .map(n)
            .collect();
        assert_eq!(taken.join(" "), expected, "{flags}");
    }
    let run = shell(broker, &topic, "--where 'n>3' --skip-bad --exit");
    let said = run.stderr();
    assert!(said.starts_with("3 of 6 records in "), "{said}");
    let told = format!(", 1 malformed\nfirst malformed: topic {topic}, partition 0, offset 4: ");
    assert!(said.contains(&told), "{said}");
}

#[test]
fn select_makes_new_values_and_keeps_keys_offsets_and_tombstones() {
    let Some((broker, topic)) = topic_of_objects("select") else {
        return;
    };
    let flags = "--select 'name, n * 2 as twice' --skip-bad --exit --format csv";
    let run = shell(broker, &topic, flags);
    let records: Vec<Vec<String>> =
        csv::Reader::from_reader(run.assert_status(0).stdout().as_bytes())
            .records()
            .map(|record| record.expect("CSV").iter().map(str::to_owned).collect())
            .collect();
    // The offset, the key, both columns of the value, and what does not fit them.
    let picked: Vec<String> = records
        .iter()
        .map(|record| [&record[2..3], &record[4..]].concat().join(" "))
        .collect();
    assert_eq!(
        picked,
        ["0 a x 2 ", "1 b  40 ", "2 c   ", "3 a z 600 ", "5 a w 8 "]
    );
    let both = shell(
        broker,
        &topic,
        "--where 'n>3' --select n --skip-bad --exit --format raw",
    );
    assert_eq!(both.stdout(), "{\"n\":20}\n{\"n\":300}\n{\"n\":4}\n");
}

#[test]
fn a_malformed_value_ends_the_run_after_the_records_before_it() {
    let Some((broker, topic)) = topic_of_objects("malformed") else {
        return;
    };
    let run = shell(broker, &topic, "--where 'n>3' --group g --exit");
    run.assert_status(1);
    assert_eq!(values(run.stdout()).len(), 2);
    let place = format!("topic {topic}, partition 0, offset 4: ");
    assert!(run.stderr().contains(&place), "{}", run.stderr());
    assert!(run.stderr().contains("--skip-bad"), "{}", run.stderr());
    // The group continues at the record that does not fit.
    let group = format!("{topic}-g");
    let grouped = |flags: &str| shell(broker, &topic, &format!("--group {group} {flags}"));
    grouped("--where 'n>3' --exit").assert_status(1);
    let rest = grouped("--exit");
    assert_eq!(values(rest.stdout())[0], "no object");
    // So does an expression that fails.
    let beyond = shell(
        broker,
        &topic,
        "--select 'cast(n as bigint) * 100000000000000000 as m' --exit",
    );
    beyond.assert_status(1);
    assert_eq!(beyond.stdout().lines().count(), 3);
    let said = "offset 3: `cast(n as bigint) * 100000000000000000` is beyond the range of bigint";
    assert!(beyond.stderr().contains(said), "{}", beyond.stderr());
}

#[test]
fn what_is_wrong_with_an_expression_is_told_before_the_first_record() {
    let Some((broker, topic)) = topic_of_objects("types") else {
        return;
    };
    for (flags, said) in [
        (
            "--where 'n+1'",
            ["a condition is needed, not number", "  n+1\n  ^"],
        ),
        ("--where \"'a' > 3\"", ["text", "^"]),
        ("--select 'n, sbstr(name)'", ["sbstr", "     ^^^^^"]),
    ] {
        let run = shell(broker, &topic, flags);
        run.assert_refused(2, &said);
        assert_eq!(run.stdout(), "");
    }
}

#[test]
fn values_of_csv_are_read_by_declared_columns() {
    let Some((broker, topic)) = topic_of("declared", b"a:x,1\nb:y,2\n", &[]) else {
        return;
    };
    let unnamed = shell(broker, &topic, "--where 'n=2' --exit");
    unnamed.assert_refused(2, &["CSV with 2 fields", "--schema"]);
    let flags = "--schema 'name string, n bigint' --where 'n=2' --select name --exit";
    let run = shell(broker, &topic, flags);
    assert_eq!(values(run.assert_status(0).stdout()), [r#"{"name":"y"}"#]);
}

/// Runs `k consume` with flags that need a shell's quotes.
fn shell(broker: &str, topic: &str, flags: &str) -> Run {
    Workdir::new().shell(&format!("k consume {topic} -b {broker} {flags}"))
}
