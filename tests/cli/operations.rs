//! A group at work while the world changes: transactions that somebody leaves open.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::Signal;

use crate::broker::{broker, unique};
use crate::window_group::Shared;

/// How long Kafka may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_transaction_that_somebody_leaves_open_is_named_and_waited_for() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    shared.k("--exit").assert_status(0);
    let other: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("transactional.id", unique("other"))
        .create()
        .expect("a producer");
    other.init_transactions(PATIENCE).expect("a transaction");
    other.begin_transaction().expect("a transaction");
    let topic = format!("{}-window-changelog", shared.group);
    let record = BaseRecord::to(&topic).partition(2).key("?").payload("?");
    other.send(record).expect("room");
    other.flush(PATIENCE).expect("it is written");

    let running = shared.start("-v");
    running.await_said("partition 3: restored");
    let waits = format!("partition 2: waiting for a transaction that is open in topic `{topic}`");
    running.await_said(&waits);
    other.abort_transaction(PATIENCE).expect("it is aborted");
    running.await_said("partition 2: restored");
    running.ended_by(Signal::TERM).assert_status(143);
    assert!(shared.last_rows() == shared.expected());
}
