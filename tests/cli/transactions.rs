//! Topics that others write to in transactions: markers and records that were given up at the end of
//! a partition, and transactions that stay open.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::broker::{broker, unique};
use crate::running::Running;
use crate::window_group::{Shared, calls};

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
