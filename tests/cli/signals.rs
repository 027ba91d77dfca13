//! Ctrl-C and SIGTERM at each moment of a run that speaks to Kafka: it ends with 130 or 143, and
//! what it says was acknowledged or committed is what Kafka has.

use std::net::TcpListener;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::broker::{broker, read_topic, unique};
use crate::running::Running;
use crate::workdir::{Run, Workdir};

/// Both signals, and the exit status after each.
const SIGNALS: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];
const HEADER: &str = "caller,start_timestamp\n";

fn rows(from: usize, to: usize) -> String {
    let row = |n: usize| format!("c{},{}\n", n % 7, 1_767_225_600_000 + n);
    (from..to).map(row).collect()
}

fn create(dir: &Workdir, broker: &str, name: &str) -> String {
    let topic = unique(name);
    let made = format!("topic create {topic} --partitions 1 --config retention.ms=-1");
    dir.k(&format!("{made} -b {broker}")).assert_status(0);
    topic
}

/// Returns a topic of one partition with `records` records.
fn filled(dir: &Workdir, broker: &str, name: &str, records: usize) -> String {
    let topic = create(dir, broker, name);
    let input = format!("{HEADER}{}", rows(0, records));
    dir.k_with_input(&format!("produce - -q -t {topic} -b {broker}"), input)
        .assert_status(0);
    topic
}

/// Returns what a group has committed in partition 0 of a topic.
fn committed(dir: &Workdir, broker: &str, group: &str) -> usize {
    let described = dir.k(&format!("group describe {group} -b {broker}"));
    let row = described.assert_status(0).stdout().lines().nth(1);
    let committed = row.and_then(|row| row.split(',').nth(2)?.parse().ok());
    committed.expect("an offset")
}

/// Fails unless the run has told exactly of the records that are in the topic.
#[track_caller]
fn assert_told(run: &Run, broker: &str, topic: &str) {
    let written = read_topic(broker, topic).len();
    let said = run.stderr().replace(',', "");
    let told = format!("acknowledged {written} of {written} record");
    assert!(said.contains(&told), "{written} written, said: {said}");
}

#[test]
fn a_run_that_connects_is_stopped() {
    let dir = Workdir::new();
    dir.write("in.csv", "caller\na\n");
    for command in [
        "produce in.csv",
        "consume t",
        "window --tumbling 1s --from t",
        "topic list",
        "group list",
    ] {
        for (signal, status) in SIGNALS {
            // Takes connections and says nothing.
            let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = silent.local_addr().expect("an address");
            let running = Running::start(&dir, &format!("{command} -b {address}"));
            silent.accept().expect("a connection");
            running.ended_by(signal).assert_status(status);
        }
    }
}

#[test]
fn a_writer_that_waits_for_its_input_is_stopped() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    for (signal, status) in SIGNALS {
        let topic = create(&dir, broker, "silent-input");
        let mut running = Running::start(&dir, &format!("produce - -t {topic} -v -b {broker}"));
        running.write(HEADER);
        // The types are told before the first row comes.
        running.await_said("schema: caller");
        running.ended_by(signal).assert_status(status);
        assert_eq!(read_topic(broker, &topic), []);

        let reader = Running::start(&dir, &format!("consume {topic} -b {broker}"));
        let mut running = Running::start(&dir, &format!("produce - -t {topic} -b {broker}"));
        running.write(HEADER);
        running.write(&rows(0, 10));
        reader.await_lines(10);
        let run = running.ended_by(signal);
        run.assert_status(status);
        assert_told(&run, broker, &topic);
    }
}

#[test]
fn a_writer_in_full_flight_tells_what_was_acknowledged() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    dir.write("in.csv", format!("{HEADER}{}", rows(0, 3_000_000)));
    for (pace, (signal, status)) in ["", "--rate 500"].into_iter().zip(SIGNALS) {
        let topic = create(&dir, broker, "in-flight");
        let reader = Running::start(&dir, &format!("consume {topic} --limit 1 -b {broker}"));
        let running = Running::start(
            &dir,
            &format!("produce in.csv -t {topic} {pace} -b {broker}"),
        );
        reader.ended().assert_status(0); // the first record is written
        let run = running.ended_by(signal);
        run.assert_status(status);
        assert_told(&run, broker, &topic);
    }
}

#[test]
fn a_reader_at_the_end_is_stopped_and_has_committed_all_that_it_wrote() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = filled(&dir, broker, "at-the-end", 1_000);
    for (signal, status) in SIGNALS {
        let group = unique("at-the-end");
        let reader = format!("consume {topic} --group {group} -b {broker}");
        let running = Running::start(&dir, &reader);
        running.await_lines(1_000);
        let run = running.ended_by(signal);
        run.assert_status(status);
        assert_eq!(run.stdout().lines().count(), 1_000);
        assert_eq!(committed(&dir, broker, &group), 1_000);
    }
}

#[test]
fn a_reader_of_an_empty_topic_is_stopped() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = create(&dir, broker, "empty");
    for command in ["consume", "window --tumbling 1s --from"] {
        for (signal, status) in SIGNALS {
            let reader = format!("{command} {topic} -v -b {broker}");
            let running = Running::start(&dir, &reader);
            running.await_said(&format!("reading topic `{topic}` from offset 0"));
            running.ended_by(signal).assert_status(status);
        }
    }
}

#[test]
fn a_reader_whose_output_nobody_takes_is_stopped_and_has_committed_no_more_than_it_wrote() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = filled(&dir, broker, "full-pipe", 20_000);
    for (signal, status) in SIGNALS {
        let group = unique("full-pipe");
        let reader = format!("consume {topic} --group {group} -b {broker}");
        let child = dir.spawn(&reader, Stdio::null());
        let pipe = child.stdout.as_ref().expect("a pipe");
        // A line does not fit into what is left of a full pipe.
        while rustix::io::ioctl_fionread(pipe).expect("a pipe") < 60_000 {
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let run = Run::of(child.wait_with_output().expect("it ends"));
        run.assert_status(status);
        let whole_lines = run.stdout_bytes.iter().filter(|&&byte| byte == b'\n');
        let written = whole_lines.count();
        let described = dir.k(&format!("group describe {group} -b {broker}"));
        if described.status == Some(0) {
            let committed = committed(&dir, broker, &group);
            assert!(committed <= written, "{committed} of {written}");
        }
    }
}
