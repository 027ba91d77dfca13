//! A group at work while the world changes, and what Prometheus is told of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    let deadline = Instant::now() + PATIENCE;
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
        on_time == Some(&9_000.0) && committed.is_some_and(|&count| count > 0.0)
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
        // The calls are of the past.
        assert!(of("k_watermark_delay_seconds") > 86_400.0);
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
