//! `k group`, over groups that a plain librdkafka consumer has made.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::broker::{broker, unique};
use crate::workdir::{Run, Workdir};

fn group(broker: &str, args: &str) -> Run {
    Workdir::new().k(&format!("group {args} -b {broker}"))
}

/// Makes a topic of 3 partitions with 2 records in each, at 1767225600000 and the next ms.
fn topic(broker: &str) -> String {
    let dir = Workdir::new();
    let name = unique("grouped");
    for partition in 0..3 {
        dir.write(
            "in.csv",
            "n,start_timestamp\n1,1767225600000\n2,1767225600001\n",
        );
        dir.k(&format!(
            "produce in.csv -t {name} --partition {partition} -b {broker}"
        ))
        .assert_status(0);
    }
    name
}

fn member(broker: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("heartbeat.interval.ms", "500")
        .set("session.timeout.ms", "6000")
        .create()
        .expect("a consumer")
}

/// Commits offsets without joining the group.
fn commit(broker: &str, group: &str, topic: &str, offsets: &[(i32, i64)]) {
    let mut list = TopicPartitionList::new();
    for &(partition, offset) in offsets {
        let added = list.add_partition_offset(topic, partition, Offset::Offset(offset));
        added.expect("an offset");
    }
    let committed = member(broker, group).commit(&list, CommitMode::Sync);
    committed.expect("committed");
}

#[test]
fn a_group_without_members_is_listed_described_and_reset() {
    let Some(broker) = broker() else { return };
    let (topic, name) = (topic(broker), unique("idle"));
    commit(broker, &name, &topic, &[(0, 2), (1, 1)]);
    let listed = group(broker, "list");
    listed.assert_status(0);
    assert!(
        listed.stdout().contains(&format!("{name},empty,")),
        "{}",
        listed.stdout()
    );
    let described = group(broker, &format!("describe {name}"));
    described.assert_status(0);
    assert_eq!(
        described.stdout(),
        format!(
            "topic,partition,committed,end_offset,lag,member,host\n\
             {topic},0,2,2,0,,\n\
             {topic},1,1,2,1,,\n"
        )
    );
    assert!(
        described
            .stderr()
            .contains("is empty with 0 members, 1 record behind"),
        "{}",
        described.stderr()
    );

    group(broker, &format!("reset {name} --to beginning"))
        .assert_refused(1, &["3 partitions", "--yes"]);
    let rehearsed = group(broker, &format!("reset {name} --to beginning --dry-run"));
    let table = format!(
        "topic,partition,committed,new_offset\n{topic},0,2,0\n{topic},1,1,0\n{topic},2,,0\n"
    );
    assert_eq!(rehearsed.assert_status(0).stdout(), table);
    let reset = group(broker, &format!("reset {name} --to beginning --yes"));
    assert_eq!(reset.assert_status(0).stdout(), table);
    for (to, offset) in [
        ("end", 2),
        ("1", 1),
        ("99", 2),
        ("2026-01-01T00:00:00.001Z", 1),
        ("2027-01-01", 2),
    ] {
        group(broker, &format!("reset {name} --to {to} --yes")).assert_status(0);
        let described = group(broker, &format!("describe {name}"));
        let row = format!("{topic},2,{offset},2,{},,\n", 2 - offset);
        assert!(
            described.stdout().contains(&row),
            "--to {to}: {}",
            described.stdout()
        );
    }
}

#[test]
fn a_group_with_members_shows_them_and_keeps_its_offsets() {
    let Some(broker) = broker() else { return };
    let (topic, name) = (topic(broker), unique("live"));
    let consumer = member(broker, &name);
    consumer.subscribe(&[&topic]).expect("subscribed");
    let deadline = Instant::now() + Duration::from_secs(120);
    while consumer.assignment().expect("an assignment").count() < 3 {
        consumer.poll(Duration::from_millis(50));
        assert!(Instant::now() < deadline, "no partitions");
    }
    let described = group(broker, &format!("describe {name} --format json"));
    described.assert_status(0);
    assert!(
        described
            .stderr()
            .contains("is stable with 1 member, 6 records behind"),
        "{}",
        described.stderr()
    );
    assert_eq!(
        described.stdout().matches("\"host\":\"127.0.0.1\"").count(),
        3,
        "{}",
        described.stdout()
    );
    group(
        broker,
        &format!("reset {name} --to end --topic {topic} --yes"),
    )
    .assert_refused(1, &["cannot set the offsets", "stop its members first"]);
}

#[test]
fn an_unknown_group_is_told_with_the_nearest_name() {
    let Some(broker) = broker() else { return };
    let (topic, name) = (topic(broker), unique("nearest"));
    commit(broker, &name, &topic, &[(0, 0)]);
    group(broker, &format!("describe {name}s"))
        .assert_refused(1, &["does not exist", &format!("did you mean `{name}`")]);
    group(broker, "reset nobody-at-all --to end --yes")
        .assert_refused(1, &["does not exist", "k group list"]);
    group(broker, &format!("reset {name} --to soon --yes"))
        .assert_refused(2, &["--to", "ISO 8601"]);
    // A new group may begin anywhere.
    let fresh = unique("fresh");
    group(
        broker,
        &format!("reset {fresh} --to end --topic {topic} --yes"),
    )
    .assert_status(0);
    assert!(group(broker, "list").stdout().contains(&fresh));
}

/// Groups that share records are listed as what they are, beside those that share partitions.
#[test]
fn groups_of_each_kind_are_told_apart() {
    let Some(broker) = broker() else { return };
    let Some(classpath) = crate::broker::classpath() else {
        return;
    };
    let dir = Workdir::new();
    let (topic, shared, named) = (unique("kinds"), unique("shared"), unique("named"));
    dir.k(&format!("topic create {topic} -b {broker}"))
        .assert_status(0);
    dir.write("one.csv", "a,b\n1,2\n");
    dir.k(&format!("produce one.csv -t {topic} -b {broker}"))
        .assert_status(0);
    let consume = format!("consume {topic} --group {named} --exit -b {broker}");
    dir.k(&consume).assert_status(0);
    let mut share = std::process::Command::new("java");
    share.args([
        "-cp",
        &classpath,
        "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    ]);
    share.args([
        "--bootstrap-server",
        broker,
        "--topic",
        &topic,
        "--group",
        &shared,
    ]);
    share.stdout(std::process::Stdio::null());
    share.stderr(std::process::Stdio::null());
    let mut share = share.spawn().expect("the jars are here, and so is Java");
    let has = |name: &str, kinds: &[&str]| {
        let run = dir.k(&format!("group list --format csv -b {broker}"));
        let list = run.assert_status(0).stdout().to_owned();
        let mut rows = list.lines().map(|line| line.split(',').collect::<Vec<_>>());
        rows.any(|row| row[0] == name && kinds.contains(&row[2]))
    };
    crate::running::await_that("the share group is listed", || has(&shared, &["share"]));
    assert!(has(&named, &["classic", "consumer"]));
    share.kill().expect("it runs");
    share.wait().expect("it ends");
}
