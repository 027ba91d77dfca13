//! `k window` comes to what Kafka Streams makes of the same topic, with records out of order, late
//! and expired.

use std::process::{Command, Stdio};

use crate::broker::{Record, broker, read_topic, unique};
use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams/Windows.java");

/// What both compute; `k` also in a group, whose tasks are Kafka Streams'.
const AGGREGATES: &str = "--by caller --agg count,sum(duration) --time start_timestamp";
const COLUMNS: [&str; 5] = [
    "window_start",
    "window_end",
    "caller",
    "count",
    "sum_duration",
];

/// As Kafka Streams is told, and as `k` is. Times are multiples of 50 ms, and the sums of gap and
/// grace are not: Kafka Streams' store in memory forgets a session one ms before it expires.
/// With sliding windows nothing expires here: Kafka Streams makes a new window of its neighbour's
/// state, which lacks what has expired there alone.
const WINDOWS: [(&str, &str); 6] = [
    ("tumbling:0:10000", "--tumbling 10s"),
    ("tumbling:7003:10000", "--tumbling 10s --grace 7003ms"),
    ("hopping:7003:10000:3000", "--hopping 10s,3s --grace 7003ms"),
    ("session:0:4001", "--session 4001ms"),
    ("session:7003:4001", "--session 4001ms --grace 7003ms"),
    ("sliding:120000:8000", "--sliding 8s --grace 2m"),
];

/// Runs a Java program with Kafka Streams, or says that the test is skipped.
fn streams(arguments: &[&str]) -> Option<String> {
    let mut script = Command::new(SCRIPT);
    let script = script.args(["streams", PROGRAM]).args(arguments);
    let output = script.stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Some(String::from_utf8(output.stdout).expect("rows")),
        Some(77) => {
            skipped(Need::Broker, said.lines().next().unwrap_or_default());
            None
        }
        _ => panic!("{said}"),
    }
}

/// Returns the rows of `k` over each partition alone, since time there is that of each, and how many
/// records were late and expired.
fn windowed(dir: &Workdir, envelopes: &str, flags: &str) -> (Vec<String>, u64, u64) {
    let (mut rows, mut late, mut expired) = (Vec::new(), 0, 0);
    for partition in 0..3 {
        let is_in = |line: &&str| line.contains(&format!("\"partition\":{partition},"));
        let lines: Vec<&str> = envelopes.lines().filter(is_in).collect();
        let input = lines.join("\n") + "\n";
        let line = format!("window {AGGREGATES} {flags} --stats json -q");
        let run = dir.k_with_input(&line, input);
        let lines = run.assert_status(0).stdout().lines().skip(1);
        rows.extend(lines.map(str::to_owned));
        let stats = run.stderr().lines().last().expect("an account");
        let stats: serde_json::Value = serde_json::from_str(stats).expect("JSON");
        late += stats["late"].as_u64().expect("a count");
        expired += stats["expired"].as_u64().expect("a count");
    }
    rows.sort();
    (rows, late, expired)
}

/// Returns the rows that `k` as a member of a group writes to a topic.
fn grouped(dir: &Workdir, broker: &str, topic: &str, flags: &str) -> Vec<String> {
    let to = unique("rows");
    let line = format!("window {AGGREGATES} {flags} --from {topic} --to {to} -b {broker}");
    dir.k(&format!("{line} --group {to} --exit -q"))
        .assert_status(0);
    let row = |record: Record| {
        let row: serde_json::Value =
            serde_json::from_slice(&record.value.expect("a value")).expect("JSON");
        let text = |name: &str| match &row[name] {
            serde_json::Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        COLUMNS.map(text).join(",")
    };
    let mut rows: Vec<String> = read_topic(broker, &to).into_iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn every_window_is_that_of_kafka_streams_whatever_the_order_of_records() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("calls"));
    dir.k(
        "gen --rate 20 --seconds 300 --seed 5 --start 2026-01-01 --callers 100 --median-duration 3s \
         --max-duration 30s --order end --delay 10%:60s --only mono --out . -q",
    )
    .assert_status(0);
    dir.k(&format!(
        "produce mono_signal.csv -t {topic} --value csv --partitions 3 -q -b {broker}"
    ))
    .assert_status(0);
    let mut arguments = vec![broker, topic.as_str()];
    arguments.extend(WINDOWS.map(|(windows, _)| windows));
    let Some(theirs) = streams(&arguments) else {
        return;
    };

    let read = dir.k(&format!("consume {topic} --exit -q -b {broker}"));
    let envelopes = read.assert_status(0).stdout();
    for (name, flags) in WINDOWS {
        let of_name = |row| str::strip_prefix(row, name)?.strip_prefix(',');
        let mut theirs: Vec<&str> = theirs.lines().filter_map(of_name).collect();
        theirs.sort();
        assert!(theirs.len() > 1_000, "{name}: {}", theirs.len());
        let (ours, late, expired) = windowed(&dir, envelopes, flags);
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(late > 0, !name.contains(":0:"), "{name}");
        assert_eq!(expired > 0, !name.starts_with("sliding"), "{name}");
        assert_eq!(grouped(&dir, broker, &topic, flags), theirs, "{name}");
    }
}
