//! `k start --engine java` and its siblings: Kafka as a process, real where Java and its jars are here,
//! else a stand-in for Java.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::broker;
use crate::stack::Machine;

/// Returns where a program of this machine is.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Returns the folder of Kafka's jars, or says that the test is skipped.
fn jars() -> Option<PathBuf> {
    let classpath = broker::classpath()?;
    Some(PathBuf::from(classpath.trim_end_matches("/*")))
}

/// A machine that has nothing but Java, and Kafka in a folder: no container engine.
fn machine_with_java(jars: &Path) -> Machine {
    let java = program("java").expect("the jars are here, and so is Java");
    let tail = program("tail").expect("tail");
    Machine::bare()
        .with_program("java", &format!("exec {} \"$@\"", java.display()))
        .with_program("tail", &format!("exec {} \"$@\"", tail.display()))
        .with("KAFKA_HOME", jars.display().to_string())
        .with("K_KAFKA_PORT", free_port().to_string())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A machine with a stand-in for Java 17 that runs `script` for a broker and formats any storage.
fn machine_with_stand_in(script: &str) -> Machine {
    let java = format!(
        r#"case "$*" in
  -version) echo 'openjdk version "17.0.1" 2021-10-19' >&2 ;;
  *StorageTool*) ;;
  *) {script} ;;
esac"#
    );
    let machine = Machine::bare().with_program("java", &java);
    machine.workdir.write("kafka/libs/kafka_2.13-4.3.1.jar", "");
    let home = machine.workdir.path("kafka").display().to_string();
    machine
        .with("KAFKA_HOME", home)
        .with("K_KAFKA_PORT", free_port().to_string())
}

/// Ends what a test has started, however it ends.
struct Ended<'m>(&'m Machine);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.k("reset --yes");
    }
}

fn kept(machine: &Machine) -> serde_json::Value {
    let json = machine.workdir.read("state/k/java/broker.json");
    serde_json::from_str(&json).expect("JSON")
}

#[test]
fn kafka_without_containers_lives_through_stop_crash_and_start_and_leaves_with_its_data() {
    let Some(jars) = jars() else { return };
    let machine = machine_with_java(&jars);
    let _ended = Ended(&machine);
    let started = machine.k("start --timeout 10m");
    started.assert_status(0);
    let said = started.stderr();
    assert!(said.contains("no container engine works here"), "{said}");
    assert!(said.contains("left out: ksqldb, kafka-ui"), "{said}");
    assert!(
        started.stdout().contains("Kafka 4.3.1, Java "),
        "{}",
        started.stdout()
    );
    machine.workdir.write("calls.csv", "caller,at\na,1\nb,2\n");
    machine.k("produce calls.csv").assert_status(0);

    let again = machine.k("start");
    again.assert_status(0);
    assert!(
        again.stderr().contains("already running"),
        "{}",
        again.stderr()
    );
    let log = machine.k("logs kafka --tail 5");
    log.assert_status(0);
    assert_eq!(log.stdout().lines().count(), 5);
    machine.k("logs ksqldb").assert_refused(1, &["container"]);
    machine.k("shell kafka").assert_refused(1, &["k topic"]);
    machine
        .k("start --engine podman")
        .assert_refused(1, &["not installed"]);
    let opened = machine.k("start --listen 127.0.0.2");
    opened.assert_refused(1, &["only for this machine", "k stop"]);

    machine.k("stop").assert_status(0);
    let stopped = machine.k("status");
    stopped.assert_status(1);
    assert!(stopped.stdout().contains("stopped"), "{}", stopped.stdout());
    machine.k("start --timeout 10m").assert_status(0);
    let pid = kept(&machine)["process"]["id"].to_string();
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.expect("kill").success());
    while machine
        .k("status --format json")
        .stdout()
        .contains("ready\",\"is_ready\":true")
    {}
    let ended = machine.k("status");
    ended.assert_status(1);
    assert!(ended.stdout().contains("ended"), "{}", ended.stdout());

    machine.k("start --timeout 10m").assert_status(0);
    let ready = machine.k("status");
    ready.assert_status(0);
    let topic = ready
        .stdout()
        .lines()
        .find(|line| line.starts_with("calls "));
    assert!(
        topic.is_some_and(|line| line.ends_with(" 2")),
        "{}",
        ready.stdout()
    );
    let well = machine.k("doctor");
    for (check, words) in [("java", "ok"), ("broker", "ok"), ("engine", "warning")] {
        let line = well
            .stdout()
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(check));
        assert!(
            line.is_some_and(|line| line.starts_with(words)),
            "{check}: {}",
            well.stdout()
        );
    }
    machine.k("reset --yes").assert_status(0);
    assert!(!machine.workdir.path("state/k/java").exists());
    machine
        .k("status")
        .assert_refused(1, &["neither podman nor docker"]);
}

#[test]
#[cfg(target_os = "linux")] // elsewhere the machine has but one address of its own
fn a_broker_that_is_opened_answers_at_the_address_that_it_names() {
    let Some(jars) = jars() else { return };
    let machine = machine_with_java(&jars);
    let _ended = Ended(&machine);
    let started = machine.k("start --listen 127.0.0.2 --timeout 10m");
    started.assert_status(0);
    let said = started.stderr();
    assert!(said.contains("to read, write and delete"), "{said}");
    let open = kept(&machine)["open"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert!(
        open.starts_with("127.0.0.2:") && said.contains(&format!("K_BROKER={open}")),
        "{said}"
    );
    let guest = Machine::bare()
        .with("K_BROKER", open)
        .with("K_PREFIX", "ada-");
    guest.workdir.write("calls.csv", "caller,at\na,1\n");
    guest.k("produce calls.csv").assert_status(0);
    let topics = machine.k("topic list");
    assert!(topics.stdout().contains("ada-calls"), "{}", topics.stdout());
}

#[test]
fn a_broker_that_somebody_else_has_started_is_recognised() {
    let Some(broker) = broker::broker() else {
        return;
    };
    let machine = Machine::bare().with("K_BROKER", broker);
    let status = machine.k("status");
    status.assert_status(0);
    let kafka = status
        .stdout()
        .lines()
        .find(|line| line.starts_with("kafka "));
    let kafka = kafka.unwrap_or_default();
    assert!(
        kafka.contains("ready") && kafka.contains(broker),
        "{}",
        status.stdout()
    );
    assert!(kafka.contains("not started by k"), "{}", status.stdout());
    let by_flag = Machine::bare().k(&format!("status --broker {broker} --format json"));
    by_flag.assert_status(0);
    let json: serde_json::Value = serde_json::from_str(by_flag.stdout()).expect("JSON");
    assert_eq!(json["services"][0]["address"], broker);
}

#[test]
fn java_that_is_missing_or_too_old_is_named_with_what_to_install() {
    let machine = Machine::bare();
    let missing = machine.k("start --engine java");
    missing.assert_refused(
        1,
        &[
            "Java is not installed",
            "Java 17",
            "install it with",
            "JAVA_HOME",
        ],
    );
    let old = machine.with_program("java", "echo 'openjdk version \"11.0.2\"' >&2");
    old.k("start --engine java")
        .assert_refused(1, &["Java 11.0.2", "Java 17"]);
    let silent = old.with_program(
        "java",
        "echo 'Unable to locate a Java Runtime.' >&2; exit 1",
    );
    silent
        .k("start --engine java")
        .assert_refused(1, &["Java is not installed"]);
}

#[test]
fn what_there_is_in_containers_only_is_refused_without_them() {
    let machine = machine_with_stand_in("exit 1");
    for (line, part) in [
        (
            "start --engine java --only ksqldb",
            "`ksqldb` needs containers",
        ),
        (
            "start --engine java --broker-image redpanda",
            "--kafka-home",
        ),
        (
            "pull --to kafka --only kafka-ui",
            "`kafka-ui` needs containers",
        ),
        ("start --kafka-home nowhere", "no Kafka in"),
    ] {
        machine.k(line).assert_refused(1, &[part]);
    }
    let in_containers = machine
        .with_program("podman", "exit 0")
        .with_program("podman-compose", "exit 0");
    in_containers
        .k("start --engine podman --listen 0.0.0.0")
        .assert_refused(2, &["--engine java --listen 0.0.0.0"]);
}

#[test]
fn java_is_chosen_where_an_engine_is_there_and_does_not_work_and_left_where_it_does() {
    let machine =
        machine_with_stand_in("echo 'java.net.BindException: Address already in use'; exit 1");
    let docker = r#"case "$1" in compose) ;; *) echo "Cannot connect to the Docker daemon" >&2; exit 1 ;; esac"#;
    let machine = machine.with_program("docker", docker);
    let run = machine.k("start");
    let parts = [
        "no container engine works here",
        "Cannot connect",
        "Kafka ended before it was ready",
        "Address already in use",
    ];
    run.assert_refused(1, &parts);
    let ended = machine.k("status");
    ended.assert_status(1);
    machine.k("reset --yes").assert_status(0);
    let working = machine.with_program("docker", "exit 0");
    let run = working.k("start --dry-run");
    run.assert_status(0);
    assert!(run.stdout().contains("docker compose"), "{}", run.stdout());
}

#[test]
fn a_dry_run_prints_the_commands_and_makes_nothing() {
    let machine = machine_with_stand_in("exit 1");
    let run = machine.k("start --engine java --dry-run");
    run.assert_status(0);
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].contains("kafka.tools.StorageTool format"),
        "{lines:?}"
    );
    assert!(lines[1].contains("kafka/libs/*' kafka.Kafka "), "{lines:?}");
    assert!(
        lines[2].starts_with("# wait until Kafka would create a topic"),
        "{lines:?}"
    );
    assert!(!machine.workdir.path("state").exists());
}

#[test]
fn a_stranger_that_has_the_brokers_number_is_left_alone() {
    let machine = machine_with_stand_in("exit 1");
    let mut stranger = Command::new("sleep").arg("600").spawn().expect("a process");
    let id = stranger.id();
    let kept = format!(
        r#"{{"process": {{"id": {id}, "began": "long ago"}}, "port": 9092, "open": null, "version": ""}}"#
    );
    machine.workdir.write("state/k/java/broker.json", kept);
    let state = r#"{"engine": "java", "running": true, "kafka_port": 9092, "ksqldb_port": null, "ui_port": null}"#;
    machine.workdir.write("state/k/stack.json", state);
    for command in ["status", "stop", "reset --yes"] {
        machine.k(command);
        assert_eq!(stranger.try_wait().expect("a process"), None, "{command}");
    }
    assert!(!machine.workdir.path("state/k/java").exists());
    stranger.kill().expect("it runs");
    stranger.wait().expect("ended");
}

/// Serves the files of a folder by their names, as a Maven repository does; returns its address and
/// how often it was asked. A file whose name holds `spoilt` comes with another first byte.
fn repository(folder: PathBuf, spoilt: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}/maven2", listener.local_addr().expect("bound"));
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            asked.fetch_add(1, Ordering::SeqCst);
            serve(client, &folder, spoilt);
        }
    });
    (address, count)
}

fn serve(mut client: TcpStream, folder: &Path, spoilt: &str) {
    let mut lines = BufReader::new(client.try_clone().expect("a socket")).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    while lines
        .next()
        .and_then(Result::ok)
        .is_some_and(|line| !line.is_empty())
    {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let Ok(mut body) = std::fs::read(folder.join(name)) else {
        let gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        client.write_all(gone).expect("answered");
        return;
    };
    if !spoilt.is_empty() && name.contains(spoilt) {
        body[0] ^= 1;
    }
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let answered = client
        .write_all(head.as_bytes())
        .and_then(|()| client.write_all(&body));
    answered.expect("answered");
}

#[test]
fn kafka_is_fetched_once_into_a_folder_that_is_handed_out() {
    let Some(jars) = jars() else { return };
    let (address, asked) = repository(jars, "");
    let machine = Machine::bare().with("K_MAVEN", address);
    let first = machine.k("pull --to handed/out");
    first.assert_status(0);
    assert!(
        first.stderr().contains("--kafka-home"),
        "{}",
        first.stderr()
    );
    let count = asked.load(Ordering::SeqCst);
    assert!(
        machine
            .workdir
            .path("handed/out/libs/kafka_2.13-4.3.1.jar")
            .is_file()
    );
    let libs = std::fs::read_dir(machine.workdir.path("handed/out/libs")).expect("a folder");
    assert_eq!(libs.count(), count, "nothing but what was fetched");
    machine.k("pull --to handed/out").assert_status(0);
    assert_eq!(
        asked.load(Ordering::SeqCst),
        count,
        "what is there is not fetched again"
    );
    let stand_in = machine.with_program("java", "echo 'openjdk version \"21\"' >&2");
    let run = stand_in.k("start --kafka-home handed/out --dry-run");
    run.assert_status(0);
    assert!(
        run.stdout().contains("handed/out/libs/*"),
        "{}",
        run.stdout()
    );
}

#[test]
fn what_is_not_the_file_is_not_kept_and_what_came_whole_is() {
    let Some(jars) = jars() else { return };
    let (address, _) = repository(jars, "kafka_2.13");
    let machine = Machine::bare()
        .with_program("java", "echo 'openjdk version \"21\"' >&2")
        .with("K_MAVEN", address);
    let run = machine.k("pull --to out");
    run.assert_refused(
        1,
        &[
            "the download is not `kafka_2.13-4.3.1.jar`",
            "SHA-256",
            "K_MAVEN",
        ],
    );
    let libs = std::fs::read_dir(machine.workdir.path("out/libs")).expect("a folder");
    let names: Vec<String> = libs
        .map(|file| {
            file.expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(
        !names.is_empty() && names.iter().all(|name| name.ends_with(".jar")),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.starts_with("kafka_2.13")),
        "{names:?}"
    );
    machine
        .k("start --kafka-home out")
        .assert_refused(1, &["no Kafka in", "k pull --to"]);
}

#[test]
fn a_repository_out_of_reach_is_told_with_the_ways_round_it() {
    let machine = Machine::bare().with("K_MAVEN", format!("http://127.0.0.1:{}", free_port()));
    let run = machine.k("pull --to out");
    run.assert_refused(
        1,
        &["does not answer", "HTTPS_PROXY", "K_MAVEN", "--kafka-home"],
    );
}
