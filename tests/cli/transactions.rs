//! Topics that others write to in transactions: markers and records that were given up at the end of
//! a partition, and transactions that stay open.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{broker, unique};
use crate::running::Running;
use crate::window_group::{Shared, calls};
use crate::workdir::Workdir;

/// How long Kafka may take for anything.
const DEADLINE: Duration = Duration::from_secs(180);

/// Begins a transaction that holds one record in each of some partitions.
pub fn begin(broker: &str, topic: &str, partitions: &[i32]) -> BaseProducer {
    let other: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("transactional.id", unique("other"))
        .create()
        .expect("a producer");
    other.init_transactions(DEADLINE).expect("a transaction");
    other.begin_transaction().expect("a transaction");
    for &partition in partitions {
        let record = BaseRecord::to(topic).key("?").payload("?");
        other.send(record.partition(partition)).expect("room");
    }
    other.flush(DEADLINE).expect("it is written");
    other
}

pub fn abort(other: &BaseProducer) {
    other.abort_transaction(DEADLINE).expect("it is aborted");
}

/// A transaction that is given up leaves its record and a marker at the end of each partition: behind
/// what a group has committed, and in partitions that hold nothing else.
#[test]
fn what_was_given_up_at_the_end_of_a_partition_is_no_record_that_is_waited_for() {
    let Some(broker) = broker() else { return };
    for window in ["--by caller", "--by callee"] {
        let mut shared = Shared::without_records(broker);
        shared.window = format!("--tumbling 10s {window}");
        let Shared { topic, dir, .. } = &shared;
        let create = format!("topic create {topic} --partitions 4 -b {broker}");
        dir.k(&create).assert_status(0);
        abort(&begin(broker, topic, &[0, 1, 2, 3]));
        // Partitions that hold nothing but that.
        let empty = shared.start("--exit").ended();
        empty.assert_status(0);
        assert!(
            empty.stderr().contains("0 records in"),
            "{}",
            empty.stderr()
        );
        shared.produce("data/mono_signal.csv");
        abort(&begin(broker, topic, &[0, 1, 2, 3]));
        shared.start("--exit").ended().assert_status(0);
        assert!(shared.last_rows() == shared.expected(), "{window}");
        // Behind what is committed, too.
        abort(&begin(broker, topic, &[1, 3]));
        shared.start("--exit").ended().assert_status(0);
        assert!(shared.last_rows() == shared.expected(), "{window}");
    }
}

/// As above, in a topic whose records all lie in one partition: the others let go after `--idle`.
#[test]
fn what_was_given_up_at_the_end_of_a_partition_does_not_hold_time_back() {
    let Some(broker) = broker() else { return };
    let mut shared = Shared::without_records(broker);
    shared.window = "--tumbling 10s --by callee".to_owned();
    shared.produce_to_one_of_four();
    abort(&begin(broker, &shared.topic, &[0, 1, 2, 3]));
    shared.assert_silence_holds_nothing_back();
}

/// A transaction that is open holds the records behind it back: `--exit` waits for them, and says for
/// what, with a group and without one.
#[test]
fn an_open_transaction_of_the_input_is_named_and_waited_for() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let Shared { topic, dir, .. } = &shared;
    let other = begin(broker, topic, &[1]);
    let plain = format!("window --tumbling 10s --from {topic} -b {broker} --exit");
    let running = [shared.start("--exit"), Running::start(dir, &plain)];
    let said =
        format!("waiting for an open transaction in topic `{topic}`, partition 1, at offset");
    for running in &running {
        running.await_said(&said);
    }
    abort(&other);
    let [group, plain] = running.map(Running::ended);
    group.assert_status(0);
    plain.assert_status(0);
    assert!(shared.last_rows() == shared.expected());
    assert_eq!(calls(&shared.last_rows()), 9_000);
}

/// Who holds readers back is listed with its name, and ended from outside once that is confirmed.
#[test]
fn an_open_transaction_is_listed_and_aborted_from_outside() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("held");
    let create = format!("topic create {topic} --partitions 2 -b {broker}");
    dir.k(&create).assert_status(0);
    let list = |dir: &Workdir| {
        let run = dir.k(&format!(
            "topic transactions {topic} --format json -b {broker}"
        ));
        let lines = run.assert_status(0).stdout();
        let lines = lines.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect::<Vec<serde_json::Value>>()
    };
    assert_eq!(list(&dir), Vec::<serde_json::Value>::new());
    let other = begin(broker, &topic, &[1]);
    dir.write("one.csv", "a,b\n1,2\n");
    let produce = format!("produce one.csv -t {topic} --partition 1 -b {broker}");
    dir.k(&produce).assert_status(0);
    let open = list(&dir);
    assert_eq!(open.len(), 1, "{open:?}");
    let of = |name: &str| &open[0][name];
    assert_eq!(
        (of("topic"), of("partition")),
        (&topic.as_str().into(), &1.into())
    );
    assert_eq!(
        (of("start_offset"), of("held_back")),
        (&0.into(), &2.into())
    );
    assert_eq!(of("state"), "ongoing");
    assert!(
        of("transactional_id")
            .as_str()
            .is_some_and(|id| id.starts_with("other"))
    );
    assert!(of("open_s").as_i64().is_some_and(|seconds| seconds >= 0));

    let abort = format!("topic transactions {topic} --abort --partition 1 -b {broker}");
    let asked = dir.k(&abort);
    asked.assert_refused(1, &["discard its records", "--yes"]);
    let elsewhere = dir.k(&format!("{abort} --start-offset 7 --yes"));
    elsewhere.assert_refused(1, &["no transaction is open", "at offset 7"]);
    assert_eq!(list(&dir).len(), 1);
    let aborted = dir.k(&format!("{abort} --start-offset 0 --yes"));
    aborted.assert_status(0);
    assert!(
        aborted.stderr().contains("aborted the transaction"),
        "{}",
        aborted.stderr()
    );
    assert_eq!(list(&dir), Vec::<serde_json::Value>::new());
    // What stood behind it is read, and its own record is not.
    let read = dir.k(&format!(
        "consume {topic} --exit -q --format raw -b {broker}"
    ));
    assert_eq!(read.assert_status(0).stdout().lines().count(), 1);
    drop(other);
}
