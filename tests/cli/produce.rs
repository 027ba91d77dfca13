//! `k produce`, read back by a consumer that is not ours.

use std::time::{Duration, Instant};

use crate::broker::{Record, broker, read_topic, unique};
use crate::workdir::{Run, Workdir};

fn produce(dir: &Workdir, broker: &str, args: &str) -> Run {
    dir.k(&format!("produce {args} -b {broker}"))
}

fn text(bytes: &Option<Vec<u8>>) -> Option<&str> {
    bytes
        .as_deref()
        .map(|bytes| std::str::from_utf8(bytes).expect("UTF-8"))
}

/// Returns the values in the order of their timestamps.
fn values(records: &[Record]) -> Vec<String> {
    let mut sorted = records.to_vec();
    sorted.sort_by_key(|record| (record.timestamp, record.offset));
    sorted
        .iter()
        .filter_map(|record| text(&record.value))
        .map(str::to_owned)
        .collect()
}

const CALLS: &str = "call_id,start_timestamp,end_timestamp,start_timestring,end_timestring,caller,callee,disposition\n\
    1,1767225600000,1767225660000,2026-01-01T00:00:00.000Z,2026-01-01T00:01:00.000Z,+4915100000001,0049302,connected\n\
    2,1767225600100,1767225600100,2026-01-01T00:00:00.100Z,2026-01-01T00:00:00.100Z,+4915100000002,+4915100000001,busy\n";

#[test]
fn the_generated_files_go_to_their_topics_with_event_time_and_key() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let (calls, towers) = (unique("mono_signal"), unique("tower"));
    dir.write(&format!("{calls}.csv"), CALLS);
    dir.write(
        &format!("{towers}.csv"),
        "call_id,tower,start_timestamp,end_timestamp\n1,T7,1767225600000,1767225660000\n",
    );
    let run = produce(&dir, broker, &format!("{calls}.csv {towers}.csv"));
    run.assert_status(0);
    assert!(
        run.stderr()
            .contains(&format!("created topic `{calls}` with 3 partitions")),
        "{}",
        run.stderr()
    );
    assert!(
        run.stderr().contains("produced 3 records"),
        "{}",
        run.stderr()
    );
    let records = read_topic(broker, &calls);
    assert_eq!(
        values(&records)[0],
        concat!(
            r#"{"call_id":1,"start_timestamp":1767225600000,"end_timestamp":1767225660000,"#,
            r#""start_timestring":"2026-01-01T00:00:00.000Z","end_timestring":"2026-01-01T00:01:00.000Z","#,
            r#""caller":"+4915100000001","callee":"0049302","disposition":"connected"}"#
        )
    );
    let first = records
        .iter()
        .find(|record| record.timestamp == Some(1_767_225_600_000));
    assert_eq!(
        text(&first.expect("the first call").key),
        Some("+4915100000001")
    );
    let tower = &read_topic(broker, &towers)[0];
    assert_eq!(
        (text(&tower.key), tower.timestamp),
        (Some("1"), Some(1_767_225_600_000))
    );
    let settings = dir.k(&format!("topic describe {calls} --settings -b {broker}"));
    for line in [
        "retention.ms,-1,true",
        "message.timestamp.after.max.ms,9223372036854775807,true",
    ] {
        assert!(settings.stdout().contains(line), "{}", settings.stdout());
    }
}

#[test]
fn csv_values_are_the_rows_as_they_are() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("rows");
    dir.write("in.csv", "id,note,n\n7,\"a, \"\"b\"\"\nc\",007\n8,plain,\n");
    produce(
        &dir,
        broker,
        &format!("in.csv -t {topic} --value csv --key id --partition 0"),
    )
    .assert_status(0);
    let records = read_topic(broker, &topic);
    let values: Vec<_> = records
        .iter()
        .map(|record| text(&record.value).expect("a value"))
        .collect();
    assert_eq!(values, ["7,\"a, \"\"b\"\"\nc\",007", "8,plain,"]);
    let keys: Vec<_> = records.iter().map(|record| text(&record.key)).collect();
    assert_eq!(keys, [Some("7"), Some("8")]);
}

#[test]
fn json_values_keep_every_character() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("types");
    dir.write(
        "in.csv",
        "n,x,flag,code,phone,empty\n12,0.1,true,007,+49151,\n-3,2.5e3,false,100,0,\n",
    );
    produce(&dir, broker, &format!("in.csv -t {topic} --partition 1")).assert_status(0);
    let records = read_topic(broker, &topic);
    let values: Vec<_> = records
        .iter()
        .map(|record| text(&record.value).expect("a value"))
        .collect();
    assert_eq!(
        values,
        [
            r#"{"n":12,"x":0.1,"flag":true,"code":"007","phone":"+49151","empty":null}"#,
            r#"{"n":-3,"x":2.5e3,"flag":false,"code":100,"phone":0,"empty":null}"#,
        ]
    );
    assert!(records.iter().all(|record| record.key.is_none()));
}

#[test]
fn partitions_are_named_or_hashed_or_taken_in_turn() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let lines: String = (0..12)
        .map(|n| format!("{{\"caller\":\"c{}\",\"n\":{n}}}\n", n % 4))
        .collect();
    dir.write("in.jsonl", lines);
    let partitions = |topic: &str| -> Vec<i32> {
        read_topic(broker, topic)
            .iter()
            .map(|record| record.partition)
            .collect()
    };
    let (named, hashed, turned, keyless) = (
        unique("named"),
        unique("hashed"),
        unique("turned"),
        unique("keyless"),
    );
    produce(&dir, broker, &format!("in.jsonl -t {named} --partition 2")).assert_status(0);
    assert_eq!(partitions(&named), [2; 12]);
    produce(&dir, broker, &format!("in.jsonl -t {hashed}")).assert_status(0);
    for record in read_topic(broker, &hashed) {
        let key = record.key.expect("a key");
        assert_eq!(
            record.partition,
            k::kafka::partitioner::partition_of(&key, 3)
        );
    }
    for (topic, flag) in [
        (&turned, "--partitioner round-robin"),
        (&keyless, "--key none"),
    ] {
        produce(&dir, broker, &format!("in.jsonl -t {topic} {flag}")).assert_status(0);
        assert_eq!(partitions(topic), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    }
    produce(&dir, broker, &format!("in.jsonl -t {named} --partition 3"))
        .assert_refused(1, &["has no partition 3", "its last one is 2"]);
}

#[test]
fn envelopes_keep_key_value_timestamp_and_headers() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("envelopes");
    dir.write("in", format!(
        "{}\n{}\n{}\n",
        format_args!(r#"{{"topic":"{topic}","partition":1,"offset":5,"timestamp":1767225600000,"key":"","headers":[["h","1"],["h",null],["b",null,"/w=="]],"value":"v\u0000"}}"#),
        format_args!(r#"{{"topic":"{topic}","partition":1,"offset":6,"timestamp":1767225600001,"key":null,"headers":[],"value":null}}"#),
        format_args!(r#"{{"topic":"{topic}","partition":1,"offset":7,"timestamp":1767225600002,"key_base64":"/w==","headers":[],"value_base64":"/v8="}}"#),
    ));
    let run = dir.k(&format!("produce file:in --keep-partition -b {broker}"));
    run.assert_status(0);
    let record = |offset: i64, timestamp, key: Option<&[u8]>, value: Option<&[u8]>| Record {
        partition: 1,
        offset,
        timestamp: Some(timestamp),
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Vec::new(),
    };
    let mut expected = [
        record(0, 1_767_225_600_000, Some(b""), Some(b"v\x00")),
        record(1, 1_767_225_600_001, None, None),
        record(2, 1_767_225_600_002, Some(&[0xff]), Some(&[0xfe, 0xff])),
    ];
    expected[0].headers = vec![
        ("h".to_owned(), Some(b"1".to_vec())),
        ("h".to_owned(), None),
        ("b".to_owned(), Some(vec![0xff])),
    ];
    assert_eq!(read_topic(broker, &topic), expected);
}

#[test]
fn a_pipe_needs_a_topic_and_its_records_arrive() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("piped");
    let refused = dir.k_with_input(&format!("produce -b {broker}"), CALLS);
    refused.assert_refused(2, &["records from a pipe need a topic", "-t TOPIC"]);
    dir.k_with_input(&format!("produce -t {topic} -b {broker}"), CALLS)
        .assert_status(0);
    assert_eq!(read_topic(broker, &topic).len(), 2);
}

#[test]
fn malformed_records_stop_the_run_or_are_counted() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let rows = "caller,start_timestamp\na,1767225600000\nb,1767225600001,surplus\nc,0\nd,-5\ne,\nf,soon\ng,1767225600002\n";
    dir.write("bad.csv", rows);
    let topic = unique("bad");
    let run = produce(&dir, broker, &format!("bad.csv -t {topic}"));
    run.assert_refused(
        1,
        &[
            "bad.csv, line 3",
            "--skip-bad",
            "acknowledged 1 of 1 record",
        ],
    );
    let skipping = unique("skipping");
    let run = produce(&dir, broker, &format!("bad.csv -t {skipping} --skip-bad"));
    run.assert_status(0);
    for told in [
        "skipped 5 malformed records",
        "first malformed: bad.csv, line 3",
    ] {
        assert!(run.stderr().contains(told), "{}", run.stderr());
    }
    let mut keys: Vec<_> = read_topic(broker, &skipping)
        .into_iter()
        .map(|record| record.key)
        .collect();
    keys.sort();
    assert_eq!(keys, [Some(b"a".to_vec()), Some(b"g".to_vec())]);
    dir.write("zero.csv", "caller,start_timestamp\na,0\n");
    produce(&dir, broker, &format!("zero.csv -t {topic}"))
        .assert_refused(1, &["line 2", "the time 0 ms is not after 1970"]);
}

#[test]
fn envelopes_behind_a_broken_line_are_still_envelopes() {
    let dir = Workdir::new();
    let envelope = |offset: u64, key: &str| {
        format!(
            r#"{{"topic":"t","partition":0,"offset":{offset},"timestamp":176722560000{offset},"key":"{key}","value":"{{}}"}}"#
        )
    };
    let [first, second] = [envelope(0, "a"), envelope(1, "b")];
    for broken in ["{bad", &first[..20], "{bad\n\n{bad"] {
        let lines = format!("{broken}\n{first}\n{second}\n");
        dir.write("in.jsonl", &lines);
        let run = dir.k("window in.jsonl --tumbling 1s --skip-bad");
        run.assert_status(0);
        let rows = "window_start,window_end,count\n1767225600000,1767225601000,2\n";
        assert_eq!(run.stdout(), rows, "{broken}");
        let run = dir.k("window in.jsonl --tumbling 1s");
        run.assert_status(1);
        let said = run.stderr();
        assert!(said.contains("in.jsonl, line 1"), "{said}");
        let Some(broker) = broker() else { continue };
        let topic = unique("broken");
        let produce = format!("produce - -t {topic} -b {broker} --skip-bad");
        dir.k_with_input(&produce, &lines).assert_status(0);
        let records = read_topic(broker, &topic);
        let mut read: Vec<_> = records
            .into_iter()
            .map(|read| (read.key, read.value))
            .collect();
        read.sort();
        let expected = ["a", "b"].map(|key| (Some(key.into()), Some(b"{}".to_vec())));
        assert_eq!(read, expected, "{broken}");
    }
}

#[test]
fn what_is_typed_wrongly_is_told_before_a_broker_is_needed() {
    let dir = Workdir::new();
    dir.write("in.csv", CALLS);
    let nobody = "127.0.0.1:1";
    produce(&dir, nobody, "in.csv --key calller")
        .assert_refused(2, &["unknown column `calller` in `--key`", "callee"]);
    produce(&dir, nobody, "in.csv --time when")
        .assert_refused(2, &["unknown column `when` in `--time`", "start_timestamp"]);
    produce(&dir, nobody, "in.csv --acks some").assert_refused(2, &["--acks", "`0`, `1` or `all`"]);
    produce(&dir, nobody, "in.csv --partition -1").assert_refused(2, &["--partition"]);
    produce(&dir, nobody, "missing.csv").assert_refused(1, &["missing.csv", "no such file"]);
    produce(&dir, nobody, "some_topic")
        .assert_refused(2, &["`some_topic` is a topic", "k consume"]);
    produce(&dir, nobody, "").assert_refused(1, &["data/mono_signal.csv", "k gen"]);
    produce(&dir, nobody, "in.csv").assert_refused(
        1,
        &["cannot reach Kafka at `127.0.0.1:1`: connection refused"],
    );
}

#[test]
fn old_event_times_in_a_topic_that_forgets_are_warned_of() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("forgetful");
    dir.k(&format!(
        "topic create {topic} --config retention.ms=3600000 -b {broker}"
    ))
    .assert_status(0);
    dir.write("old.csv", "caller,start_timestamp\na,1000000000000\n");
    let run = produce(&dir, broker, &format!("old.csv -t {topic}"));
    run.assert_status(0);
    for part in [
        "keeps records for 1h",
        "2001-09-09T01:46:40Z",
        "retention.ms=-1",
    ] {
        assert!(run.stderr().contains(part), "{}", run.stderr());
    }
}

#[test]
fn a_time_that_the_topic_does_not_take_ends_the_run_with_the_remedy() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("present");
    dir.k(&format!("topic create {topic} -b {broker}"))
        .assert_status(0);
    dir.write("far.csv", "caller,start_timestamp\na,4102444800000\n");
    let run = produce(&dir, broker, &format!("far.csv -t {topic}"));
    run.assert_refused(
        1,
        &[
            "so far from now",
            "message.timestamp.after.max.ms",
            "acknowledged 0 of 1 record",
        ],
    );
    // A topic that `k produce` creates takes it.
    produce(&dir, broker, &format!("far.csv -t {topic}-own")).assert_status(0);
}

#[test]
fn a_record_that_is_too_large_is_named() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("large");
    dir.write(
        "large.csv",
        format!("caller,note\na,{}\n", "x".repeat(1_500_000)),
    );
    let run = produce(&dir, broker, &format!("large.csv -t {topic} --value csv"));
    run.assert_refused(1, &["1500002 bytes is too large", "message.max.bytes"]);
    let run = produce(
        &dir,
        broker,
        &format!("large.csv -t {topic} --value csv -X message.max.bytes=3000000"),
    );
    run.assert_refused(1, &["too large", "max.message.bytes"]);
}

#[test]
fn several_files_with_a_pace_are_merged_on_one_clock() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("paced");
    dir.write(
        "odd.csv",
        "n,start_timestamp\n1,1767225600000\n3,1767225600200\n5,1767225600400\n",
    );
    dir.write(
        "even.csv",
        "n,start_timestamp\n2,1767225600100\n4,1767225600300\n6,1767225600500\n",
    );
    let start = Instant::now();
    let run = produce(
        &dir,
        broker,
        &format!("odd.csv even.csv -t {topic} --partition 0 --value csv --pace real"),
    );
    run.assert_status(0);
    assert!(start.elapsed() >= Duration::from_millis(500));
    let records = read_topic(broker, &topic);
    let order: Vec<_> = records
        .iter()
        .map(|record| text(&record.value).expect("a value").as_bytes()[0])
        .collect();
    assert_eq!(order, *b"123456");
}
