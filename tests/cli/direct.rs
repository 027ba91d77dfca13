//! Reading topics without librdkafka: the same records as librdkafka reads, whatever packs them, and
//! each of them once over a connection that fails in every way.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{OwnBroker, Record, broker, read_topic, unique};
use crate::proxy::{Kind, Proxy, is_bad};
use crate::running::Running;
use crate::workdir::Workdir;

/// Returns the records that `k consume` prints, ordered as [`read_topic`] orders them.
fn consumed(dir: &Workdir, broker: &str, topic: &str, more: &str) -> Vec<Record> {
    consumed_by(dir, "direct", broker, topic, more)
}

fn consumed_by(dir: &Workdir, client: &str, broker: &str, topic: &str, more: &str) -> Vec<Record> {
    let line = format!("consume {topic} -b {broker} -X client={client} {more}");
    let run = dir.k(&line);
    run.assert_status(0);
    let mut records: Vec<Record> = run.stdout().lines().map(record_of).collect();
    records.sort();
    records
}

fn record_of(line: &str) -> Record {
    use base64::Engine as _;
    let envelope: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let bytes = |value: &serde_json::Value| value.as_str().map(|text| text.as_bytes().to_vec());
    let either = |plain: &str, packed: &str| match envelope.get(packed) {
        Some(packed) => {
            let text = packed.as_str().expect("text");
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            Some(decoded.expect("base64"))
        }
        None => bytes(&envelope[plain]),
    };
    let headers = envelope["headers"].as_array().into_iter().flatten();
    Record {
        partition: envelope["partition"].as_i64().expect("a number") as i32,
        offset: envelope["offset"].as_i64().expect("a number"),
        timestamp: envelope["timestamp"].as_i64(),
        key: either("key", "key_base64"),
        value: either("value", "value_base64"),
        headers: headers
            .map(|header| {
                (
                    header[0].as_str().expect("a name").to_owned(),
                    bytes(&header[1]),
                )
            })
            .collect(),
    }
}

/// Writes `count` records with odd keys, values and headers, by librdkafka.
fn produce(broker: &str, topic: &str, codec: &str, count: usize) {
    produce_keyed(broker, topic, codec, count, |n| n % 7 != 0);
}

/// As [`produce`]; `has_key` says of which records.
fn produce_keyed(
    broker: &str,
    topic: &str,
    codec: &str,
    count: usize,
    has_key: impl Fn(usize) -> bool,
) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("compression.codec", codec)
        .set("linger.ms", "20")
        .set("batch.num.messages", "300")
        .create()
        .expect("a producer");
    for n in 0..count {
        let (key, value) = (format!("key-{}", n % 13), format!("{n},").repeat(n % 50));
        let mut record =
            BaseRecord::<[u8], [u8]>::to(topic).timestamp(1_767_225_600_000 + n as i64);
        if has_key(n) {
            record = record.key(key.as_bytes());
        }
        if n % 11 != 0 {
            record = record.payload(value.as_bytes());
        }
        if n % 5 == 0 {
            let (name, none) = (format!("h{n}"), None::<&[u8]>);
            let headers = OwnedHeaders::new();
            let headers = headers.insert(Header {
                key: &name,
                value: Some("x"),
            });
            record = record.headers(headers.insert(Header {
                key: "none",
                value: none,
            }));
        }
        let mut sent = producer.send(record);
        while let Err((_, again)) = sent {
            producer.poll(Duration::from_millis(10));
            sent = producer.send(again);
        }
    }
    producer.flush(Duration::from_secs(60)).expect("all sent");
}

fn create(dir: &Workdir, broker: &str, topic: &str, more: &str) {
    let made = format!("topic create {topic} --config retention.ms=-1 -b {broker} {more}");
    dir.k(&made).assert_status(0);
}

#[test]
fn whatever_packs_records_they_are_read_as_librdkafka_reads_them() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("packed"));
    create(&dir, broker, &topic, "--partitions 3");
    // All in one topic: batches of any codec lie side by side.
    for codec in ["none", "gzip", "snappy", "lz4", "zstd", "none"] {
        produce(broker, &topic, codec, 1_000);
    }
    let expected = read_topic(broker, &topic);
    assert_eq!(expected.len(), 6_000);
    assert_eq!(consumed(&dir, broker, &topic, "--exit"), expected);
    // In answers that have room for a part of a batch.
    let small = "--exit -X max.partition.fetch.bytes=1000 -X fetch.max.bytes=3000";
    assert_eq!(consumed(&dir, broker, &topic, small), expected);

    let appended = unique("appended");
    let more = "--partitions 1 --config message.timestamp.type=LogAppendTime";
    create(&dir, broker, &appended, more);
    produce(broker, &appended, "lz4", 500);
    let expected = read_topic(broker, &appended);
    assert_eq!(consumed(&dir, broker, &appended, "--exit"), expected);
}

#[test]
fn a_range_begins_and_ends_within_a_batch() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("range"));
    create(&dir, broker, &topic, "--partitions 1");
    produce(broker, &topic, "zstd", 1_000);
    let mut expected = read_topic(broker, &topic);
    expected.retain(|record| (333..777).contains(&record.offset));
    let read = consumed(&dir, broker, &topic, "--since 333 --until 777");
    assert_eq!(read, expected);
}

#[test]
fn a_compacted_topic_is_read_over_its_gaps() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("compacted"));
    let compact = "--partitions 1 --config cleanup.policy=compact --config segment.bytes=1048576 \
                   --config min.cleanable.dirty.ratio=0.01 --config max.compaction.lag.ms=100";
    create(&dir, broker, &topic, compact);
    produce_keyed(broker, &topic, "none", 30_000, |_| true);
    let deadline = Instant::now() + Duration::from_secs(180);
    let expected = loop {
        // The active segment is never compacted: more is written until another one is.
        produce_keyed(broker, &topic, "lz4", 3_000, |_| true);
        let read = read_topic(broker, &topic);
        let end = read.last().map_or(0, |record| record.offset + 1);
        if (read.len() as i64) < end {
            break read;
        }
        assert!(Instant::now() < deadline, "it was never compacted");
        std::thread::sleep(Duration::from_millis(500)); // the cleaner's next look
    };
    let last = expected.last().map(|record| record.offset);
    let read = consumed(&dir, broker, &topic, "--exit");
    // The cleaner may have been there once more between the two.
    assert_eq!(read.last().map(|record| record.offset), last);
    assert!(read.iter().all(|record| expected.contains(record)));
}

#[test]
fn over_a_bad_connection_each_record_arrives_once() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("bad"));
    create(&dir, broker, &topic, "--partitions 3");
    produce(broker, &topic, "none", 9_000);
    let expected = read_topic(broker, &topic);
    let proxy = Proxy::start(broker, Kind::Fetch, is_bad);
    // Small answers, so that there are many; given up after a second.
    let small = "--exit -X max.partition.fetch.bytes=20000 -X fetch.max.bytes=40000 -X socket.timeout.ms=1000";
    let read = consumed(&dir, &proxy.address, &topic, small);
    assert_eq!(read.len(), expected.len(), "nothing lost, nothing doubled");
    assert_eq!(read, expected);
    assert!(
        proxy.carried() > 22,
        "every fate came twice: {}",
        proxy.carried()
    );
}

#[test]
fn a_follower_over_a_bad_connection_reads_what_is_written_meanwhile() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("followed"));
    create(&dir, broker, &topic, "--partitions 2");
    let proxy = Proxy::start(broker, Kind::Fetch, is_bad);
    let line = format!(
        "consume {topic} --limit 600 -b {} -X client=direct -X socket.timeout.ms=1000",
        proxy.address
    );
    let mut running = Running::start(&dir, &line);
    for round in 1..=3 {
        produce(broker, &topic, "none", 200);
        running.await_lines(round * 200);
    }
    running.close();
    let run = running.ended();
    run.assert_status(0);
    let mut records: Vec<Record> = run.stdout().lines().map(record_of).collect();
    records.sort();
    assert_eq!(records, read_topic(broker, &topic));
}

#[test]
fn a_topic_that_is_made_again_ends_its_reader() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("again"));
    create(&dir, broker, &topic, "--partitions 1");
    produce(broker, &topic, "none", 100);
    let line = format!("consume {topic} -b {broker} -X client=direct");
    let running = Running::start(&dir, &line);
    running.await_lines(100);
    let deleted = dir.k(&format!("topic delete {topic} --yes -b {broker}"));
    deleted.assert_status(0);
    create(&dir, broker, &topic, "--partitions 1");
    let run = running.ended();
    run.assert_status(1);
    let gone = format!("topic `{topic}` is gone");
    assert!(run.stderr().contains(&gone), "{}", run.stderr());
}

#[test]
fn another_leader_is_followed_when_its_broker_dies() {
    let Some(own) = OwnBroker::start_many(3) else {
        return;
    };
    let dir = Workdir::new();
    let more = "--partitions 6 --replication 3";
    create(&dir, &own.address, "moved", more);
    produce(&own.address, "moved", "none", 3_000);
    let line = format!(
        "consume moved --limit 6000 -b {} -X client=direct",
        own.address
    );
    let mut running = Running::start(&dir, &line);
    running.await_lines(3_000);
    own.crash_node(3);
    produce(&own.address, "moved", "none", 3_000);
    running.close();
    let run = running.ended();
    run.assert_status(0);
    let mut records: Vec<Record> = run.stdout().lines().map(record_of).collect();
    records.sort();
    let expected = consumed_by(&dir, "librdkafka", &own.address, "moved", "--exit");
    assert_eq!(records, expected);
}

#[test]
fn what_the_direct_client_does_not_heed_is_refused_where_it_is_asked_for() {
    let dir = Workdir::new();
    let refused = dir.k("consume t -b h:1 -X client=direct -X security.protocol=sasl_plaintext");
    refused.assert_refused(
        2,
        &["does not heed `sasl.mechanism=GSSAPI`", "client=direct"],
    );
    let refused = dir.k("consume t -b h:1 -X client=other");
    refused.assert_refused(2, &["no client `other`", "`direct` and `librdkafka`"]);
}
