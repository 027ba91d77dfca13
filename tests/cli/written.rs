//! Writing topics without librdkafka: other clients read what was written, whatever packs it, and each
//! record is there once, in its order, over a connection that fails in every way.

use std::process::Command;

use crate::broker::{OwnBroker, Record, broker, read_topic, unique};
use crate::proxy::{Kind, Proxy, is_bad};
use crate::running::Running;
use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

/// Returns `count` rows of today from a number on; a caller's follow one another. A broker that restarts
/// forgets who has sent records of long ago.
fn rows(from: usize, count: usize) -> String {
    let today = std::time::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_millis();
    let row = |n: usize| format!("{n},{},c{}\n", today, n % 13);
    let rows: String = (from..from + count).map(row).collect();
    format!("call_id,start_timestamp,caller\n{rows}")
}

fn values(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| {
        let value = record.value.clone().expect("a value");
        String::from_utf8(value).expect("text")
    };
    records.iter().map(text).collect()
}

/// Asserts that a topic has the rows from 0 on, once each, and those of a caller in their order.
fn assert_holds(broker: &str, topic: &str, count: usize) {
    let records = read_topic(broker, topic);
    let id = |record: &Record| {
        let value =
            String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        let id: usize = value
            .split(',')
            .next()
            .and_then(|id| id.parse().ok())
            .expect("an id");
        (record.key.clone(), id)
    };
    let mut ids: Vec<usize> = Vec::new();
    let mut last = std::collections::BTreeMap::new();
    for record in &records {
        let (key, id) = id(record);
        let before = last.insert(key, id);
        assert!(before < Some(id), "{id} comes after {before:?}");
        ids.push(id);
    }
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(0..count), "{} of {count}", ids.len());
}

fn lines(said: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn other_clients_read_what_was_written_whatever_packs_it() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("packed"));
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (nth, codec) in codecs.into_iter().enumerate() {
        dir.write("calls.csv", rows(nth * 2_000, 2_000));
        let line = format!(
            "produce calls.csv -t {topic} -q --value csv --compression {codec} -b {broker} -X client=direct"
        );
        dir.k(&line).assert_status(0);
    }
    let count = 2_000 * codecs.len();
    assert_holds(broker, &topic, count);
    let mut expected = values(&read_topic(broker, &topic));
    expected.sort();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
    let mut java = Command::new(script);
    java.args(["tool", "org.apache.kafka.tools.consumer.ConsoleConsumer"]);
    java.args([
        "--bootstrap-server",
        broker,
        "--topic",
        &topic,
        "--from-beginning",
    ]);
    java.args([
        "--max-messages",
        &count.to_string(),
        "--timeout-ms",
        "60000",
    ]);
    let java = java.output().expect("Java");
    assert!(
        java.status.success(),
        "{}",
        String::from_utf8_lossy(&java.stderr)
    );
    assert_eq!(lines(&java.stdout), expected, "Java");

    let mut kcat = Command::new("kcat");
    kcat.args(["-C", "-q", "-e", "-b", broker, "-t", &topic]);
    match kcat.output() {
        Ok(kcat) => assert_eq!(lines(&kcat.stdout), expected, "kcat"),
        Err(_) => skipped(Need::Program("kcat"), "no `kcat` here to read a topic with"),
    }
}

#[test]
fn over_a_bad_connection_each_record_is_written_once_and_in_order() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("badly"));
    dir.write("calls.csv", rows(0, 20_000));
    let proxy = Proxy::start(broker, Kind::Produce, is_bad);
    // Small batches, so that there are many; given up after a second.
    let small = "-X batch.size=5000 -X socket.timeout.ms=500 -X request.timeout.ms=500";
    let line = format!(
        "produce calls.csv -t {topic} --value csv -b {} -X client=direct {small}",
        proxy.address
    );
    dir.k(&line).assert_status(0);
    assert_holds(broker, &topic, 20_000);
    assert!(
        proxy.carried() > 22,
        "every fate came twice: {}",
        proxy.carried()
    );
}

#[test]
fn batches_that_a_topic_does_not_take_are_sent_in_smaller_ones() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("small"));
    dir.k(&format!(
        "topic create {topic} --config max.message.bytes=2000 --config retention.ms=-1 -b {broker}"
    ))
    .assert_status(0);
    dir.write("calls.csv", rows(0, 5_000));
    let line = format!("produce calls.csv -t {topic} --value csv -b {broker} -X client=direct");
    dir.k(&line).assert_status(0);
    assert_holds(broker, &topic, 5_000);
}

#[test]
fn a_broker_that_crashes_twice_gets_every_record_once() {
    let Some(own) = OwnBroker::start() else {
        return;
    };
    let (dir, topic) = (Workdir::new(), unique("crashed"));
    let line = format!(
        "produce - -t {topic} --value csv -b {} -X client=direct -X message.timeout.ms=600000",
        own.address
    );
    let mut running = Running::start(&dir, &line);
    let mut from = 0;
    for round in 0..2 {
        let some = rows(from, 30_000);
        let some = if round == 0 {
            &some
        } else {
            some.split_once('\n').expect("a header").1
        };
        running.write(some);
        running.await_said("created topic"); // the first time: then it writes
        own.crash();
        running.await_so("it says that the broker is away", || {
            running.said().matches("cannot reach").count() > round
        });
        own.restart();
        running.await_so("it says that the broker answers", || {
            running.said().matches("answers again").count() > round
        });
        from += 30_000;
    }
    running.close();
    running.ended().assert_status(0);
    assert_holds(&own.address, &topic, from);
}
