//! `k window` from and to topics of a real Kafka.

use std::io::Read;
use std::process::Stdio;

use crate::broker::{broker, unique};
use crate::workdir::{Run, Workdir};

/// Calls in order of their starts, over three minutes.
fn calls(workdir: &Workdir) {
    workdir
        .k("gen --rate 50 --seconds 180 --seed 7 --start 2026-01-01 --callers 40 --out data")
        .assert_status(0);
}

fn produce(workdir: &Workdir, broker: &str, topic: &str, more: &str) {
    let produce = format!("produce data/mono_signal.csv -t {topic} -b {broker} {more}");
    workdir.k(&produce).assert_status(0);
}

fn window(workdir: &Workdir, broker: &str, more: &str) -> Run {
    let run = workdir.k(&format!(
        "window --tumbling 10s --by caller --agg count,sum(duration) -b {broker} {more}"
    ));
    run.assert_status(0);
    run
}

#[test]
fn a_topic_gives_the_same_rows_as_its_file() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    calls(&workdir);
    let file = window(&workdir, broker, "--from data/mono_signal.csv");
    for (name, more) in [
        ("json", "--partitions 1"),
        ("csv", "--partitions 1 --value csv"),
        ("spread", "--partitions 4 --value csv"),
    ] {
        let topic = unique(name);
        produce(&workdir, broker, &topic, more);
        let from_topic = window(&workdir, broker, &format!("--from {topic} --exit"));
        assert_eq!(from_topic.stdout(), file.stdout(), "{more}");
        assert!(
            from_topic
                .stderr()
                .contains("9,000 records in, all on time")
        );
    }
}

#[test]
fn what_is_consumed_gives_the_same_rows_as_its_topic() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    calls(&workdir);
    let file = window(&workdir, broker, "--from data/mono_signal.csv");
    for more in ["--partitions 3", "--partitions 5 --value csv"] {
        let topic = unique("piped");
        produce(&workdir, broker, &topic, more);
        let piped = workdir.shell(&format!(
            "k consume {topic} --exit -q -b {broker} |
             k window --tumbling 10s --by caller --agg 'count,sum(duration)'"
        ));
        piped.assert_status(0);
        assert_eq!(piped.stdout(), file.stdout(), "{more}");
        let account = "9,000 records in, all on time";
        assert!(piped.stderr().contains(account), "{}", piped.stderr());
    }
}

#[test]
fn results_in_a_topic_are_keyed_timed_and_an_input_again() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    calls(&workdir);
    let (from, to) = (unique("calls"), unique("calls_10s"));
    produce(&workdir, broker, &from, "");
    let written = window(&workdir, broker, &format!("--from {from} --exit --to {to}"));
    assert_eq!(written.stdout(), "");
    let again = workdir.k(&format!(
        "window --tumbling 3m --agg sum(count) --time window_start --from {to} --exit -b {broker}"
    ));
    again.assert_status(0);
    assert_eq!(
        again.stdout(),
        "window_start,window_end,sum_count\n1767225600000,1767225780000,9000\n"
    );
    // A caller's windows stay together, in the partition of the caller's calls.
    let places = |topic: &str, caller: &dyn Fn(&serde_json::Value) -> String| {
        let run = workdir.k(&format!("consume {topic} --exit -b {broker} --format json"));
        run.assert_status(0);
        let mut places: Vec<(String, i64)> = run
            .stdout()
            .lines()
            .map(|line| {
                let envelope: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let value: serde_json::Value =
                    serde_json::from_str(envelope["value"].as_str().expect("text")).expect("JSON");
                if topic == to {
                    assert_eq!(envelope["timestamp"], value["window_end"]);
                    let key: serde_json::Value =
                        serde_json::from_str(envelope["key"].as_str().expect("text"))
                            .expect("JSON");
                    assert_eq!(key["window_start"], value["window_start"]);
                    assert_eq!(key["caller"], value["caller"]);
                }
                (
                    caller(&value),
                    envelope["partition"].as_i64().expect("a number"),
                )
            })
            .collect();
        places.sort();
        places.dedup();
        places
    };
    let caller = |value: &serde_json::Value| value["caller"].as_str().expect("text").to_owned();
    assert_eq!(places(&from, &caller), places(&to, &caller));
}

#[test]
fn a_group_goes_on_where_it_was_and_counts_nothing_twice() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    calls(&workdir);
    let (topic, group) = (unique("halves"), unique("group"));
    let lines = workdir.read("data/mono_signal.csv");
    let (header, rows) = lines.split_once('\n').expect("a header");
    let rows: Vec<&str> = rows.lines().collect();
    let half = |name: &str, rows: &[&str]| {
        workdir.write(name, format!("{header}\n{}\n", rows.join("\n")));
        let run = workdir.k(&format!(
            "produce {name} -t {topic} --partitions 1 -b {broker}"
        ));
        run.assert_status(0);
    };
    let count = |more: &str| {
        let run = workdir.k(&format!("window --tumbling 10s -b {broker} {more}"));
        run.assert_status(0);
        run
    };
    half("first.csv", &rows[..4_750]); // cuts a window in two
    let first = count(&format!("--from {topic} --exit --group {group}"));
    assert!(first.stderr().starts_with("4,750 records in"));
    half("second.csv", &rows[4_750..]);
    let second = count(&format!("--from {topic} --exit --group {group}"));
    assert!(
        second.stderr().starts_with("4,250 records in, all on time"),
        "{}",
        second.stderr()
    );
    // The window that was open is whole in the second run.
    let whole = count("--from data/mono_signal.csv");
    let body =
        |run: &Run| -> Vec<String> { run.stdout().lines().skip(1).map(str::to_owned).collect() };
    let mut rows = body(&first);
    assert_eq!(rows.pop().map(|row| row.ends_with(",250")), Some(true));
    rows.extend(body(&second));
    assert_eq!(rows, body(&whole));
}

#[test]
fn a_topic_is_followed_until_ctrl_c_and_silent_partitions_do_not_stop_it() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    calls(&workdir);
    let topic = unique("followed");
    // Of five partitions one has records.
    produce(&workdir, broker, &topic, "--partitions 5 --partition 2");
    let mut child = workdir.spawn(
        &format!("window --tumbling 10s --idle 200ms --from {topic} -b {broker}"),
        Stdio::null(),
    );
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut seen = String::new();
    let expected = "1767225760000,1767225770000,500\n"; // the last but one: the last stays open
    while !seen.ends_with(expected) {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("another row");
        seen.push(byte[0].into());
    }
    let id = rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a process");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signalled");
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!(output.status.code(), Some(143));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("9,000 records in, all on time"), "{said}");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "");
}

#[test]
fn what_is_wrong_with_a_topic_is_told_with_its_place() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let window = |more: &str| workdir.k(&format!("window --tumbling 10s -b {broker} {more}"));
    window("--from no_such_topic --exit")
        .assert_refused(1, &["topic `no_such_topic` does not exist"]);
    let topic = unique("bad");
    workdir.write(
        "some.jsonl",
        "{\"at\":1767225600000}\n{\"at\":\"x\"}\n{\"at\":1767225605000}\n",
    );
    workdir
        .k(&format!(
            "produce some.jsonl -t {topic} --time none --partitions 1 -b {broker}"
        ))
        .assert_status(0);
    let bad = window(&format!(
        "--from {topic} --exit --time at --schema at,bigint"
    ));
    bad.assert_refused(2, &["a name and a type"]);
    let flags = [
        "--from",
        &topic,
        "--exit",
        "--time",
        "at",
        "--schema",
        "at bigint",
    ];
    let args = ["window", "--tumbling", "10s", "-b", broker]
        .into_iter()
        .chain(flags);
    workdir.k_args(args.clone()).assert_status(1);
    let run = workdir.k_args(args.clone());
    assert!(
        run.stderr().contains("partition 0, offset 1: column `at`"),
        "{}",
        run.stderr()
    );
    let skipped = workdir.k_args(args.chain(["--skip-bad"]));
    skipped.assert_status(0);
    assert!(
        skipped
            .stdout()
            .ends_with("1767225600000,1767225610000,2\n")
    );
}

/// A batch of zstd may be some thousand times as large as what is sent of it.
#[test]
fn a_batch_that_is_too_large_when_it_is_unpacked_is_told_as_that() {
    let Some(broker) = broker() else { return };
    let (workdir, topic) = (Workdir::new(), unique("large"));
    let blanks = " ".repeat(9_000);
    let rows: String = (0..300).map(|n| format!("{n},x{blanks}\n")).collect();
    workdir.write("large.csv", format!("t,blanks\n{rows}"));
    // Lines wait for each other, or there would be no large batch on a busy machine.
    let produce = format!(
        "produce large.csv -t {topic} --key none --compression zstd -X linger.ms=1000 -b {broker}"
    );
    workdir.k(&produce).assert_status(0);
    let read = |limit: &str| {
        let from = format!("--from {topic} --time t --exit -b {broker} {limit}");
        workdir.k(&format!("window --global {from}"))
    };
    let limit =
        "-X message.max.bytes=50000 -X fetch.max.bytes=50000 -X receive.message.max.bytes=100000";
    let parts = ["too large to be unpacked", "receive.message.max.bytes"];
    read(limit).assert_refused(1, &parts);
    read("").assert_status(0);
}
