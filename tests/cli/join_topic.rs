//! `k join` from and to topics of a real Kafka.

use rustix::process::Signal;

use crate::broker::{broker, read_topic, unique};
use crate::running::Running;
use crate::workdir::{Run, Workdir};

/// Makes calls and segments, 30 a second over two minutes, and returns their join as files.
fn generate(workdir: &Workdir, more: &str) -> Run {
    workdir
        .k("gen --rate 30 --seconds 120 --seed 9 --start 2026-01-01 --max-duration 5m --out data")
        .assert_status(0);
    let run = workdir.k(&format!(
        "join data/mono_signal.csv data/tower.csv --on call_id --within 5m {more}"
    ));
    run.assert_status(0);
    run
}

/// Writes a file to a topic of its own and returns the topic's name.
fn produce(workdir: &Workdir, broker: &str, file: &str, more: &str) -> String {
    let topic = unique("join");
    workdir
        .k(&format!("produce {file} -t {topic} -b {broker} {more}"))
        .assert_status(0);
    topic
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn topics_and_mixed_kinds_give_the_rows_of_their_files() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let files = generate(&workdir, "--type outer");
    let join = |left: &str, right: &str| {
        let run = workdir.k(&format!(
            "join {left} {right} --on call_id --within 5m --type outer --exit -b {broker}"
        ));
        run.assert_status(0);
        run
    };
    let [calls, segments] = ["data/mono_signal.csv", "data/tower.csv"];
    let one = produce(&workdir, broker, calls, "--partitions 1 --value csv");
    let other = produce(&workdir, broker, segments, "--partitions 1");
    assert_eq!(join(&one, &other).stdout(), files.stdout());
    assert_eq!(join(calls, &other).stdout(), files.stdout());
    // Several partitions: the same rows, in an order that depends on how they are read.
    let calls = produce(&workdir, broker, calls, "--partitions 3 --value csv");
    let segments = produce(&workdir, broker, segments, "--partitions 2");
    let run = join(&calls, &segments);
    assert_eq!(sorted(run.stdout()), sorted(files.stdout()));
    let told = run.stderr();
    assert!(
        !told.contains("late") && !told.contains("malformed"),
        "{told}"
    );
}

#[test]
fn a_result_in_a_topic_is_keyed_timed_and_an_input_again() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let json = generate(&workdir, "--format json");
    let topic = unique("joined");
    workdir
        .k(&format!(
            "join data/mono_signal.csv data/tower.csv --on call_id --within 5m --to {topic} -b {broker}"
        ))
        .assert_status(0);
    let records = read_topic(broker, &topic);
    let mut values: Vec<String> = Vec::new();
    for record in &records {
        let value = String::from_utf8(record.value.clone().expect("a value")).expect("UTF-8");
        let row: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        assert_eq!(row["event_time"].as_i64(), record.timestamp);
        let key = record.key.as_deref().expect("a key");
        assert_eq!(row["call_id"].to_string().as_bytes(), key);
        values.push(value);
    }
    values.sort();
    assert_eq!(values, sorted(json.stdout()));
    let window = |from: &str| {
        let run = workdir.k(&format!(
            "window --tumbling 10s --by tower --exit --from {from} -b {broker}"
        ));
        run.assert_status(0);
        run.stdout().to_owned()
    };
    let by_file = workdir.k("window --tumbling 10s --by tower --from data/tower.csv");
    assert_eq!(window(&topic), by_file.stdout());
}

#[test]
fn a_live_join_waits_for_the_side_behind_and_then_for_nobody() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    workdir.write("r.csv", "id,start_timestamp,m\na,1700000000500,x\n");
    workdir.write(
        "l.csv",
        "id,start_timestamp,n\na,1700000000000,1\nb,1700000001000,2\n",
    );
    workdir.write("more.csv", "id,start_timestamp,n\nc,1700000009000,3\n");
    let left = produce(&workdir, broker, "l.csv", "--partitions 2");
    let right = produce(&workdir, broker, "r.csv", "--partitions 2");
    let running = Running::start(
        &workdir,
        &format!("join {left} {right} --on id --within 1s --type left --idle 200ms -b {broker}"),
    );
    running.await_lines(2); // the pair, at once
    workdir
        .k(&format!("produce more.csv -t {left} -b {broker}"))
        .assert_status(0);
    // The right side is silent: only by its idleness can the watermark pass.
    running.await_lines(3);
    let run = running.ended_by(Signal::TERM);
    run.assert_status(143);
    assert!(
        run.stdout()
            .ends_with("b,1700000001000,2,,,1700000001000\n"),
        "{}",
        run.stdout()
    );
    assert!(run.stderr().contains(", 1 open"), "{}", run.stderr());
}

#[test]
fn a_null_value_deletes_from_a_table() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let table = unique("plans");
    let envelope = |at: i64, key: &str, value: Option<&str>| {
        let value = value.map(|plan| format!("{{\"caller\":\"{key}\",\"plan\":\"{plan}\"}}"));
        let record = serde_json::json!({
            "topic": table, "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000 + at,
            "key": key, "headers": [], "value": value,
        });
        format!("{record}\n")
    };
    let records = [
        envelope(0, "a", Some("basic")),
        envelope(0, "b", Some("basic")),
        envelope(2_000, "a", None),
        envelope(3_000, "a", Some("plus")),
    ];
    workdir
        .k_with_input(
            &format!("produce - --partitions 1 -b {broker}"),
            records.concat(),
        )
        .assert_status(0);
    let orders = ["a,1000", "a,2000", "b,2500", "a,3500"].map(|order| {
        let (caller, at) = order.split_once(',').expect("two");
        format!("{caller},170000000{at}\n")
    });
    workdir.write(
        "orders.csv",
        format!("caller,start_timestamp\n{}", orders.concat()),
    );
    let run = workdir.k(&format!(
        "join orders.csv --table {table} --on caller --type left --exit -b {broker}"
    ));
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "caller,start_timestamp,plan,event_time\n\
         a,1700000001000,basic,1700000001000\n\
         a,1700000002000,,1700000002000\n\
         b,1700000002500,basic,1700000002500\n\
         a,1700000003500,plus,1700000003500\n"
    );
    // Of a stream, a null value is malformed.
    let run = workdir.k(&format!(
        "join orders.csv {table} --on caller --within 1h --exit -b {broker} --skip-bad"
    ));
    assert!(
        run.assert_status(0).stderr().contains(", 1 malformed"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_topic_that_is_not_there_or_empty_is_told() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    workdir.write("l.csv", "id,start_timestamp\n1,1000\n");
    let join = |topic: &str| {
        workdir.k(&format!(
            "join l.csv {topic} --on id --within 1s --exit -b {broker}"
        ))
    };
    join("no_such_topic").assert_refused(1, &["topic `no_such_topic` does not exist"]);
    let empty = unique("empty");
    workdir
        .k(&format!("topic create {empty} --partitions 1 -b {broker}"))
        .assert_status(0);
    join(&empty).assert_refused(1, &["has no record to show its columns"]);
}
