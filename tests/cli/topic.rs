//! `k topic`, and what all commands say when there is no broker.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::broker::{broker, unique};
use crate::skip::{Need, skipped};
use crate::workdir::{Run, Workdir};

fn topic(broker: &str, args: &str) -> Run {
    Workdir::new().k(&format!("topic {args} -b {broker}"))
}

#[test]
fn a_topic_is_created_described_altered_and_deleted() {
    let Some(broker) = broker() else { return };
    let name = unique("life");
    let created = topic(broker, &format!("create {name} --config retention.ms=-1"));
    created.assert_status(0);
    assert_eq!(
        created.stderr(),
        format!("created topic `{name}` with 3 partitions\n")
    );
    let described = topic(broker, &format!("describe {name}"));
    described.assert_status(0);
    assert_eq!(
        described.stdout(),
        "partition,leader,replicas,in_sync,first_offset,end_offset,records,first_timestamp,highest_timestamp\n\
         0,1,1,1,0,0,0,,\n\
         1,1,1,1,0,0,0,,\n\
         2,1,1,1,0,0,0,,\n"
    );
    topic(
        broker,
        &format!(
            "alter {name} --partitions 4 --config max.message.bytes=2000 --unset retention.ms"
        ),
    )
    .assert_status(0);
    let settings = topic(broker, &format!("describe {name} --settings"));
    assert!(
        settings.stdout().contains("max.message.bytes,2000,true\n"),
        "{}",
        settings.stdout()
    );
    assert!(
        settings.stdout().contains("retention.ms,604800000,false\n"),
        "{}",
        settings.stdout()
    );
    let listed = topic(broker, "list --format json");
    let line =
        format!("{{\"topic\":\"{name}\",\"partitions\":4,\"replication\":1,\"records\":0}}\n");
    assert!(listed.stdout().contains(&line), "{}", listed.stdout());
    topic(broker, &format!("delete {name} --yes")).assert_status(0);
    assert!(!topic(broker, "list").stdout().contains(&name));
}

#[test]
fn nothing_is_deleted_where_nobody_can_be_asked() {
    let Some(broker) = broker() else { return };
    let name = unique("kept");
    topic(broker, &format!("create {name}")).assert_status(0);
    topic(broker, &format!("delete {name}")).assert_refused(1, &["0 records", "--yes"]);
    topic(broker, &format!("delete {name} {name}-not-there --yes"))
        .assert_refused(1, &["does not exist"]);
    topic(broker, &format!("describe {name}")).assert_status(0);
}

#[test]
fn the_brokers_refusals_are_told_in_its_words() {
    let Some(broker) = broker() else { return };
    let name = unique("refused");
    topic(broker, &format!("create {name}")).assert_status(0);
    topic(broker, &format!("create {name}")).assert_refused(1, &["already exists"]);
    topic(broker, &format!("create {name} --if-not-exists")).assert_status(0);
    topic(broker, "create fine --config no.such=1")
        .assert_refused(1, &["unknown topic config name: no.such"]);
    topic(broker, &format!("alter {name} --partitions 1")).assert_refused(1, &["has 3 partitions"]);
    topic(broker, &format!("describe {name}x"))
        .assert_refused(1, &["did you mean", &name, "k topic list"]);
}

#[test]
fn a_refused_connection_is_told_at_once() {
    // Port 1 of this machine: nobody listens there.
    let run = topic("127.0.0.1:1", "list");
    run.assert_refused(
        1,
        &[
            "cannot reach Kafka at `127.0.0.1:1`: connection refused",
            "--broker",
        ],
    );
    let lines = run.stderr().lines();
    assert!(
        lines
            .clone()
            .all(|line| line.starts_with("error: ") || line.starts_with("hint: ")),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_broker_that_never_answers_is_told_within_ten_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let start = Instant::now();
    topic(&address, "list").assert_refused(1, &["cannot reach Kafka", &address, "no answer"]);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_web_server_is_not_taken_for_a_broker() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in server.incoming().map_while(Result::ok) {
            let (mut connection, mut request) = (connection, [0; 16]);
            if connection.read(&mut request).is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
                connection.write_all(answer).unwrap_or(()); // `k` may have left
            }
        }
    });
    let dir = Workdir::new();
    dir.write("in.csv", "caller\na\n");
    for command in ["topic list", "consume t", "produce in.csv"] {
        dir.k(&format!("{command} -b {address}")).assert_refused(
            1,
            &[&format!("cannot reach Kafka at `{address}`: a web server")],
        );
    }
}

#[test]
fn names_that_are_none_are_told_before_anything_is_sent() {
    let dir = Workdir::new();
    dir.write("in.csv", "caller\na\n");
    for (args, part) in [
        (vec!["consume", "t", "-b", ""], "`` names no broker"),
        (
            vec!["consume", "t", "-b", "http://h:8080"],
            "is a web address",
        ),
        (
            vec!["topic", "list", "-b", "h:http"],
            "`h:http` is not the address of a broker",
        ),
        (
            vec!["consume", "", "-b", "h:1"],
            "the name of a topic is empty",
        ),
        (
            vec!["consume", "t", "--group", "", "-b", "h:1"],
            "the name of the group is empty",
        ),
        (
            vec!["produce", "in.csv", "-t", "", "-b", "h:1"],
            "the name of a topic is empty",
        ),
        (
            vec!["topic", "create", "a/b", "-b", "h:1"],
            "`a/b` is not a valid name for a topic",
        ),
    ] {
        dir.k_args(args).assert_refused(2, &[part]);
    }
}

#[test]
fn properties_are_checked_before_anything_is_sent() {
    for (flags, parts) in [
        (
            "-X no.such=1",
            ["no.such", "no such configuration property"],
        ),
        (
            "-X fetch.min.bytes=few",
            ["fetch.min.bytes", "invalid value"],
        ),
        ("-X fetch.min.bytes", ["NAME=VALUE", "fetch.min.bytes"]),
        (
            "-X sasl.password=hunter2",
            ["sasl.password=@FILE", "sasl.password=env:VAR"],
        ),
        ("-X sasl.password=env:K_NOT_SET", ["K_NOT_SET", "not set"]),
    ] {
        let run = topic("127.0.0.1:1", &format!("list {flags}"));
        run.assert_refused(2, &parts);
        assert!(!run.stderr().contains("hunter2"), "{}", run.stderr());
    }
}

#[test]
fn properties_and_secrets_come_from_files() {
    let dir = Workdir::new();
    dir.write(
        "client.properties",
        "# where\nbootstrap.servers = 127.0.0.1:1\nsasl.password=@secret\n",
    );
    dir.write("secret", "hunter2\n");
    let run = dir.k("topic list --config client.properties");
    run.assert_refused(1, &["cannot reach Kafka at `127.0.0.1:1`"]);
    dir.write("bad.properties", "\nno.equals.sign\n");
    dir.k("topic list --config bad.properties")
        .assert_refused(2, &["bad.properties", "line 2"]);
    dir.k("topic list --config missing")
        .assert_refused(1, &["missing", "no such file"]);
}

/// What `k` promises rests on these.
const OWN: [&str; 12] = [
    "isolation.level=read_uncommitted",
    "enable.auto.commit=true",
    "auto.commit.enable=true",
    "enable.auto.offset.store=true",
    "auto.offset.reset=latest",
    "transactional.id=mine",
    "group.id=mine",
    "partition.assignment.strategy=range",
    "enable.idempotence=false",
    "acks=1",
    "request.required.acks=0",
    "max.in.flight=5",
];

#[test]
fn what_would_take_a_guarantee_away_is_refused_or_passed_over() {
    let dir = Workdir::new();
    dir.write("calls.csv", "start_timestamp,caller\n1,1\n");
    dir.write("shared.properties", OWN.join("\n"));
    for command in [
        "consume calls",
        "produce calls.csv -t calls",
        "window --tumbling 1m --from topic:calls",
        "window --tumbling 1m --from topic:calls --group g --to topic:rows",
        "join topic:calls topic:others --on caller --within 1m",
        "topic list",
    ] {
        let command = format!("{command} -b 127.0.0.1:1");
        for property in OWN {
            let name = property.split('=').next().expect("a name");
            let run = dir.k(&format!("{command} -X {property}"));
            run.assert_refused(
                2,
                &[&format!("`k` sets property `{name}` itself"), "hint: "],
            );
        }
        let run = dir.k(&format!("{command} --config shared.properties"));
        let said = run.stderr();
        assert_eq!(said.matches("warning: ").count(), 1, "{command}: {said}");
        for property in OWN {
            let name = property.split('=').next().expect("a name");
            assert!(said.contains(&format!("`{name}`")), "{said}");
        }
        // It continues with its own.
        assert!(said.contains("cannot reach Kafka"), "{command}: {said}");
    }
}

#[test]
fn a_broker_may_have_an_address_of_ipv6() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return skipped(Need::Ipv6, "there is no IPv6 here");
    };
    let address = listener.local_addr().expect("an address");
    let answered = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("k connects");
        let mut asked = [0; 64];
        connection.read(&mut asked).expect("a request")
    });
    topic(&address.to_string(), "list").assert_refused(1, &["[::1]"]);
    assert!(answered.join().expect("no panic") > 0);
}
