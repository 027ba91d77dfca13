//! Brokers that go away and come back or do not, and topics that are deleted under a run.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::broker::{OwnBroker, broker, read_topic, unique};
use crate::running::Running;
use crate::workdir::{Run, Workdir};

/// Returns the rows of calls `from..to`, ten a second of event time, without a header.
fn rows(from: usize, to: usize) -> String {
    let row = |n: usize| format!("c{},{}\n", n % 7, 1_767_225_600_000 + 100 * n);
    (from..to).map(row).collect()
}

/// The three commands that stay connected, on one topic of one partition.
struct Trio {
    produce: Running,
    consume: Running,
    window: Running,
}

impl Trio {
    /// Starts them, and returns once the first thousand records have passed through all three.
    /// Readers end after `total` records.
    fn start(dir: &Workdir, broker: &str, topic: &str, total: usize) -> Self {
        let made = format!("topic create {topic} --partitions 1 --config retention.ms=-1");
        dir.k(&format!("{made} -b {broker}")).assert_status(0);
        let start = |args: &str| Running::start(dir, &format!("{args} -b {broker}"));
        let mut trio = Trio {
            produce: start(&format!("produce - -t {topic}")),
            consume: start(&format!(
                "consume {topic} --limit {total} --group {topic}-consume"
            )),
            window: start(&format!(
                "window --tumbling 10s --from {topic} --until {total} --group {topic}-window"
            )),
        };
        trio.produce.write("caller,start_timestamp\n");
        trio.produce.write(&rows(0, 1_000));
        trio.consume.await_lines(1_000);
        trio.window.await_lines(10); // a header and all windows but the last
        trio
    }

    fn all(&self) -> [&Running; 3] {
        [&self.produce, &self.consume, &self.window]
    }
}

/// Fails unless all that was said is `k`'s own.
#[track_caller]
fn assert_no_noise(run: &Run) {
    for line in run.stderr().lines() {
        let own = ["warning: ", "error: ", "hint: ", "  while ", "Kafka at "];
        let own = own.iter().any(|start| line.starts_with(start));
        // Every summary counts records.
        assert!(own || line.contains("record"), "noise: {line}");
    }
}

#[test]
fn a_broker_that_crashes_and_comes_back_costs_no_record_and_doubles_none() {
    let Some(own) = OwnBroker::start() else {
        return;
    };
    let (dir, broker) = (Workdir::new(), own.address.as_str());
    let mut trio = Trio::start(&dir, broker, "calls", 3_000);
    own.crash();
    trio.produce.write(&rows(1_000, 2_000));
    for running in trio.all() {
        running.await_said("warning: cannot reach Kafka at");
    }
    own.restart();
    for running in trio.all() {
        running.await_said("answers again");
    }
    trio.produce.write(&rows(2_000, 3_000));
    trio.produce.close();
    let [produced, consumed, windowed] =
        [trio.produce, trio.consume, trio.window].map(Running::ended);
    for run in [&produced, &consumed, &windowed] {
        run.assert_status(0);
        assert_no_noise(run);
    }
    assert!(produced.stderr().contains("produced 3,000 records"));
    let written = read_topic(broker, "calls");
    let times = written.iter().map(|record| record.timestamp);
    let expected = (0..3_000).map(|n| Some(1_767_225_600_000 + 100 * n));
    assert!(times.eq(expected), "other records than were sent");
    let offsets = consumed.stdout().lines().map(|line| {
        let envelope: serde_json::Value = serde_json::from_str(line).expect("JSON");
        envelope["offset"].as_u64().expect("an offset")
    });
    assert!(offsets.eq(0..3_000), "each record once and in order");
    let counts = windowed.stdout().lines().skip(1);
    let counts: Vec<&str> = counts
        .map(|row| row.rsplit(',').next().expect("a count"))
        .collect();
    assert_eq!(counts, ["100"; 30]);
}

#[test]
fn without_a_broker_a_signal_ends_each_run_and_so_does_half_a_minute() {
    let Some(own) = OwnBroker::start() else {
        return;
    };
    let (dir, broker) = (Workdir::new(), own.address.as_str());
    let mut stopped = Trio::start(&dir, broker, "stopped", 2_000);
    let waiting = Trio::start(&dir, broker, "waiting", 2_000);
    own.crash();
    stopped.produce.write(&rows(1_000, 1_010));
    for running in stopped.all().into_iter().chain(waiting.all()) {
        running.await_said("warning: cannot reach Kafka at");
    }
    let produced = stopped.produce.ended_by(Signal::INT);
    produced.assert_status(130);
    let acknowledged = "acknowledged 1,000 of 1,010 records";
    assert!(
        produced.stderr().contains(acknowledged),
        "{}",
        produced.stderr()
    );
    let consumed = stopped.consume.ended_by(Signal::TERM);
    consumed.assert_status(143);
    let windowed = stopped.window.ended_by(Signal::INT);
    windowed.assert_status(130);
    assert!(windowed.stderr().contains("1,000 records in"));
    for run in [produced, consumed, windowed] {
        assert_no_noise(&run);
    }
    for running in [waiting.produce, waiting.consume, waiting.window] {
        let run = running.ended();
        run.assert_status(1);
        assert_no_noise(&run);
        let said = run.stderr();
        for part in ["trying for 30 s", "error: cannot reach Kafka at", "hint: "] {
            assert!(said.contains(part), "`{part}` is missing in: {said}");
        }
    }
}

#[test]
fn a_topic_that_is_deleted_ends_whoever_writes_or_reads_it() {
    let Some(broker) = broker() else { return };
    let (dir, topic) = (Workdir::new(), unique("deleted"));
    let mut trio = Trio::start(&dir, broker, &topic, 2_000);
    let deleted = dir.k(&format!("topic delete {topic} --yes -b {broker}"));
    deleted.assert_status(0);
    trio.produce.write(&rows(1_000, 1_010));
    for running in [trio.produce, trio.consume, trio.window] {
        let run = running.ended();
        run.assert_status(1);
        assert_no_noise(&run);
        let gone = format!("error: topic `{topic}` is gone");
        assert!(run.stderr().contains(&gone), "{}", run.stderr());
    }
    let described = dir.k(&format!("topic describe {topic} -b {broker}"));
    described.assert_refused(1, &["does not exist"]);
}

#[test]
fn a_broker_that_is_away_from_the_start_is_told_within_ten_seconds() {
    // One port at which nobody listens, and one at which nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("an address").to_string();
    let dir = Workdir::new();
    dir.write("in.csv", "caller\na\n");
    for (address, reason) in [
        ("127.0.0.1:1", "connection refused"),
        (silent.as_str(), "no answer"),
    ] {
        let start = |command: &str| Running::start(&dir, &format!("{command} -b {address}"));
        let began = Instant::now();
        let commands = [
            "produce in.csv",
            "consume t",
            "window --tumbling 1s --from t",
            "group list",
        ];
        for running in commands.map(start) {
            let told = format!("cannot reach Kafka at `{address}`: {reason}");
            running
                .ended()
                .assert_refused(1, &[&told, "k start", "--broker"]);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{address}");
    }
}
