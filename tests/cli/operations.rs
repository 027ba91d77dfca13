//! A group at work while the world changes, and what Prometheus is told of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::broker::{OwnBroker, broker, read_topic, tool, unique};
use crate::interop::kcat;
use crate::running::Running;
use crate::transactions::{abort, begin};
use crate::window_group::{Shared, sorted};
use crate::workdir::Workdir;

/// How long Kafka may take for anything.
const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn a_transaction_that_somebody_leaves_open_is_named_and_waited_for() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    shared.k("--exit").assert_status(0);
    let topic = format!("{}-window-changelog", shared.group);
    let other = begin(broker, &topic, &[2]);

    let running = shared.start("-v");
    running.await_said("partition 3: restored");
    let waits = format!("waiting for an open transaction in topic `{topic}`, partition 2");
    running.await_said(&waits);
    abort(&other);
    running.await_said("partition 2: restored");
    running.ended_by(Signal::TERM).assert_status(143);
    assert!(shared.last_rows() == shared.expected());
}

/// A sample of Prometheus's text: its name with its labels, and its value.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name, value.parse().expect("a number"))
    });
    samples.collect()
}

/// Asks for a page until it is as it should be.
fn await_page(url: &str, is_right: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = ureq::get(url).call();
        let mut answer = answer.expect("an answer");
        let page = answer.body_mut().read_to_string().expect("text");
        if is_right(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "{page}");
        std::thread::sleep(Duration::from_millis(100)); // the next look
    }
}

#[test]
fn figures_for_prometheus_tell_how_the_process_is() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let running = shared.start("--metrics 127.0.0.1:0 -v");
    running.await_said("/metrics");
    let said = running.said();
    let url = said
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let url = url.expect("an address");
    let is_read = |page: &str| {
        let samples = samples(page);
        let committed = samples.get("k_commit_duration_seconds_count");
        let on_time = samples.get("k_records_total{outcome=\"on_time\"}");
        // What is read last is in the state with the next commit.
        let states = samples.iter();
        let states =
            states.filter(|(name, rows)| name.starts_with("k_state_rows{") && **rows > 0.0);
        let is_committed = committed.is_some_and(|&count| count > 0.0) && states.count() == 4;
        on_time == Some(&9_000.0) && is_committed
    };
    let page = await_page(url, is_read);
    let found = samples(&page);
    for partition in 0..4 {
        let of = |name: &str| {
            let sample = format!(
                "{name}{{topic=\"{}\",partition=\"{partition}\"}}",
                shared.topic
            );
            found
                .get(sample.as_str())
                .copied()
                .unwrap_or_else(|| panic!("{sample}\n{page}"))
        };
        assert_eq!(of("k_lag_records"), 0.0);
        assert!(of("k_state_rows") > 0.0 && of("k_state_bytes") > of("k_state_rows"));
        assert!(of("k_watermark_delay_seconds").is_finite());
    }
    assert_eq!(found["k_restore_duration_seconds_count"], 4.0);
    assert_eq!(found["k_rewinds_total"], 0.0);
    // Each name has its help and its type once, before its samples.
    for name in [
        "k_records",
        "k_rows",
        "k_lag_records",
        "k_commit_duration_seconds",
    ] {
        for about in ["HELP", "TYPE"] {
            let start = format!("# {about} {name} ");
            let lines = page.lines().filter(|line| line.starts_with(&start));
            assert_eq!(lines.count(), 1, "{start}\n{page}");
        }
    }

    let address = url
        .trim_start_matches("http://")
        .trim_end_matches("/metrics");
    let taken = shared.k(&format!("--metrics {address}"));
    taken.assert_refused(1, &["cannot serve metrics at", "in use", "127.0.0.1:0"]);
    shared
        .k("--metrics nowhere")
        .assert_refused(2, &["--metrics"]);
    running.ended_by(Signal::TERM).assert_status(143);
}

#[test]
fn a_topic_that_is_deleted_ends_its_group_and_is_named() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let running = shared.start("-v");
    running.await_said("given partitions 0, 1, 2, 3");
    let Shared { dir, topic, .. } = &shared;
    dir.k(&format!("topic delete {topic} --yes -b {broker}"))
        .assert_status(0);
    let ended = running.ended();
    ended.assert_status(1);
    let said = ended.stderr();
    assert!(said.contains(&format!("topic `{topic}` is gone")), "{said}");
}

#[test]
fn partitions_that_are_added_end_a_group_that_cannot_know_where_its_keys_lie_now() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let running = shared.start("-v");
    running.await_said("given partitions 0, 1, 2, 3");
    let Shared { dir, topic, .. } = &shared;
    let alter = format!("topic alter {topic} --partitions 6 -b {broker}");
    dir.k(&alter).assert_status(0);
    let ended = running.ended();
    ended.assert_status(1);
    let differs = "was built with 4";
    for part in ["partitions, and the state of group", differs, "`--reset`"] {
        assert!(ended.stderr().contains(part), "{}", ended.stderr());
    }
    let again = shared.k("--exit");
    again.assert_refused(1, &["the topic has 6 partitions", differs]);
    shared.k("--exit --reset").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn a_record_too_large_for_the_result_topic_ends_the_run_and_nothing_is_lost() {
    let Some(broker) = broker() else { return };
    for guarantee in ["exactly-once", "at-least-once"] {
        let shared = Shared::new(broker);
        let Shared { dir, to, .. } = &shared;
        let k = |args: &str| {
            dir.k(&format!("{args} -b {broker}")).assert_status(0);
        };
        let limit = "max.message.bytes";
        k(&format!(
            "topic create {to} --partitions 3 --config retention.ms=-1 --config {limit}=100"
        ));
        let too_large = format!("too large for topic `{to}`");
        let run = shared.k(&format!("--guarantee {guarantee} --exit"));
        run.assert_refused(1, &[&too_large, "max.message.bytes=N"]);
        assert!(shared.rows().is_empty());
        k(&format!("topic alter {to} --config {limit}=1000000"));
        shared
            .k(&format!("--guarantee {guarantee} --exit"))
            .assert_status(0);
        assert!(shared.rows() == shared.expected(), "{guarantee}");
    }
}

/// Lets a broker write nothing more, as on a full disk: no file may grow.
#[cfg(target_os = "linux")]
fn fill_disk(own: &OwnBroker) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_raw(own.pid()).expect("a process");
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    prlimit(Some(pid), Resource::Fsize, none).expect("the broker is ours");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_costs_a_group_nothing_once_there_is_room() {
    let Some(own) = OwnBroker::start() else {
        return;
    };
    let shared = Shared::without_records(&own.address);
    shared.produce("data/mono_signal.csv");
    let running = shared.start("-v");
    running.await_said("given partitions 0, 1, 2, 3");
    fill_disk(&own);
    // Kafka ends a broker that can write to none of its disks.
    own.await_end();
    running.await_said("waiting for it");
    own.restart();
    running.await_said("answers again");
    shared.start("--exit").ended().assert_status(0);
    running.ended_by(Signal::INT).assert_status(130);
    shared.k("--exit").assert_status(0);
    assert!(shared.rows() == shared.expected());
}

/// Writes values to a partition of a topic of two, under the key `a`.
fn write_values(dir: &Workdir, broker: &str, topic: &str, values: &[&str]) {
    let envelope = |(offset, value): (usize, &&str)| {
        let record = serde_json::json!({
            "topic": topic, "partition": 1, "offset": offset, "timestamp": 1_767_225_600_000_i64,
            "key": "a", "value": value,
        });
        format!("{record}\n")
    };
    let lines: String = values.iter().enumerate().map(envelope).collect();
    dir.write("records.jsonl", lines);
    let produce = format!("produce records.jsonl -t {topic} --keep-partition --partitions 2");
    dir.k(&format!("{produce} -b {broker}")).assert_status(0);
}

#[test]
fn a_schema_that_changes_in_mid_stream_is_told_with_its_place_or_counted() {
    let Some(broker) = broker() else { return };
    let good = r#"{"caller":"a","start_timestamp":1767225600000,"n":1}"#;
    for (changed, reason) in [
        (
            r#"{"caller":"a","start_timestamp":1767225601000,"n":"one"}"#,
            "`n`",
        ),
        (r#"{"caller":"a","n":1}"#, "`start_timestamp`"),
        ("a,1767225601000,1", "JSON"),
    ] {
        let (dir, topic, group) = (Workdir::new(), unique("changed"), unique("group"));
        write_values(&dir, broker, &topic, &[good, good, good]);
        let window = format!(
            "window --tumbling 10s --by caller --agg count,sum(n) --from {topic} --to {topic}-rows \
             --group {group} -b {broker}"
        );
        let running = Running::start(&dir, &format!("{window} -v"));
        running.await_said("given partitions 0, 1");
        write_values(&dir, broker, &topic, &[changed, good]);
        let ended = running.ended();
        ended.assert_status(1);
        let place = format!("topic `{topic}`, partition 1, offset 3");
        for part in [reason, &place] {
            assert!(ended.stderr().contains(part), "{part}: {}", ended.stderr());
        }
        let skipped = dir.k(&format!("{window} --skip-bad --exit"));
        skipped.assert_status(0);
        let rows = read_topic(broker, &format!("{topic}-rows"));
        let value = rows
            .last()
            .and_then(|row| row.value.clone())
            .expect("a row");
        let row: serde_json::Value = serde_json::from_slice(&value).expect("JSON");
        assert_eq!((&row["count"], &row["sum_n"]), (&4.into(), &4.into()));
    }
}

#[test]
fn readers_that_are_not_ours_see_the_same_rows() {
    let Some(broker) = broker() else { return };
    let shared = Shared::without_records(broker);
    // Rows of a transaction that nobody commits lie among the others.
    shared.crash_between_rows();
    shared.k("--exit").assert_status(0);
    let expected = shared.expected();
    let to = shared.to.as_str();
    let ends = expected.len().to_string();
    let java = tool(&[
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "--bootstrap-server",
        broker,
        "--topic",
        to,
        "--from-beginning",
        "--isolation-level",
        "read_committed",
        "--max-messages",
        &ends,
        "--timeout-ms",
        "60000",
    ]);
    if let Some(java) = java {
        assert!(sorted(java.lines().map(str::to_owned).collect()) == expected);
    }
    let read = [
        "-C",
        "-t",
        to,
        "-o",
        "beginning",
        "-e",
        "-X",
        "isolation.level=read_committed",
    ];
    if let Some(kcat) = kcat(broker, &read, "") {
        assert!(sorted(kcat.lines().map(str::to_owned).collect()) == expected);
    }
}
