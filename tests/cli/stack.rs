//! `k start`, `stop`, `status`, `logs`, `reset`, `pull` and `shell`.
//!
//! Two kinds of tests: with stand-ins for podman and podman-compose, anywhere; and with the real
//! ones where podman works and has an image of Kafka. The latter say so where they are skipped.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workdir::{Run, Workdir};

/// The variables of a developer's own stack, which no test may touch.
const VARIABLES: [&str; 7] = [
    "K_KAFKA_PORT",
    "K_KSQL_PORT",
    "K_UI_PORT",
    "K_KAFKA_IMAGE",
    "K_KSQL_IMAGE",
    "K_UI_IMAGE",
    "COMPOSE_PROJECT_NAME",
];

/// A temporary folder with its own state and a PATH that can be chosen.
pub struct Machine {
    workdir: Workdir,
    variables: Vec<(&'static str, String)>,
}

impl Machine {
    /// A machine with no program at all beside `k`.
    pub fn bare() -> Self {
        let workdir = Workdir::new();
        std::fs::create_dir(workdir.path("bin")).expect("a folder");
        let path = workdir.path("bin").display().to_string();
        let state = workdir.path("state").display().to_string();
        let variables = vec![("PATH", path), ("XDG_STATE_HOME", state)];
        Machine { workdir, variables }
    }

    /// Adds a program, a script for `sh`.
    pub fn with_program(self, name: &str, script: &str) -> Self {
        let file = self
            .workdir
            .write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("a program");
        self
    }

    /// Puts folders of this machine behind the programs that were added.
    fn with_path(mut self, folders: &str) -> Self {
        self.variables[0].1 += &format!(":{folders}");
        self
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub fn k(&self, args: &str) -> Run {
        Run::of(
            self.command(args)
                .stdin(Stdio::null())
                .output()
                .expect("the binary runs"),
        )
    }

    fn spawn(&self, args: &str) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k"));
        command
            .args(args.split_whitespace())
            .current_dir(self.workdir.path(""));
        for variable in VARIABLES.iter().chain(&["K_BROKER", "NO_COLOR"]) {
            command.env_remove(variable);
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    fn state(&self) -> serde_json::Value {
        let json = self.workdir.read("state/k/stack.json");
        serde_json::from_str(&json).expect("JSON")
    }
}

/// A podman that has nothing, and notes what it is asked to change.
const EMPTY_PODMAN: &str = r#"
case "$1 $2" in
  "--version "*) echo "podman version 4.3.1" ;;
  "ps "*) ;;
  "image inspect") exit 1 ;;
  *) echo "$*" >> changes ;;
esac"#;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

#[test]
fn without_podman_it_says_how_to_install_it_and_what_works_without() {
    for command in [
        "start",
        "stop",
        "status",
        "reset --yes",
        "logs kafka",
        "pull",
    ] {
        let run = Machine::bare().k(command);
        run.assert_refused(1, &["podman podman-compose", "k demo", "k doctor"]);
    }
}

#[test]
fn without_podman_compose_it_says_how_to_install_it() {
    let machine = Machine::bare().with_program("podman", EMPTY_PODMAN);
    machine
        .k("start")
        .assert_refused(1, &["`podman-compose` is not", "install it with"]);
    machine
        .k("start --engine docker")
        .assert_refused(1, &["`docker` is not installed"]);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named_before_anything_is_changed() {
    let machine = Machine::bare()
        .with_program("podman", EMPTY_PODMAN)
        .with_program("podman-compose", "echo \"$*\" >> changes");
    machine
        .workdir
        .write("state", "a file where a folder should be");
    let run = machine.k("start");
    run.assert_refused(
        1,
        &[
            "state/k/podman-compose.yml",
            "not a directory",
            "XDG_STATE_HOME",
        ],
    );
    assert!(
        !machine.workdir.path("changes").exists(),
        "{}",
        machine.workdir.read("changes")
    );
}

#[test]
fn an_image_that_cannot_be_pulled_is_told_with_the_likely_cause() {
    let script = format!(
        "if [ \"$1\" = pull ]; then echo 'Error: pinging registry: dial tcp: lookup docker.io: no such host' >&2; exit 125; fi\n{EMPTY_PODMAN}"
    );
    let machine = Machine::bare()
        .with_program("podman", &script)
        .with_program("podman-compose", "echo 'podman-compose version 1.6.0'");
    let run = machine.k("start");
    run.assert_refused(
        1,
        &[
            "no such host",
            "podman pull docker.io/apache/kafka",
            "k pull",
        ],
    );
    machine.k("pull").assert_refused(1, &["no such host"]);
}

#[test]
fn what_cannot_be_understood_on_the_command_line_is_a_usage_error() {
    let machine = Machine::bare();
    machine
        .k("start --broker-image kafka")
        .assert_refused(2, &["redpanda", "docker.io/"]);
    machine
        .k("start --only zookeeper")
        .assert_refused(2, &["zookeeper", "ksqldb"]);
    machine
        .k("start --timeout -5s")
        .assert_refused(2, &["--timeout", "negative"]);
    machine
        .k("logs zookeeper")
        .assert_refused(2, &["zookeeper"]);
    let machine = machine
        .with_program("podman", EMPTY_PODMAN)
        .with_program("podman-compose", "echo 'podman-compose version 1.6.0'")
        .with("K_UI_PORT", "http");
    machine
        .k("start")
        .assert_refused(2, &["K_UI_PORT", "`http`"]);
}

#[test]
fn reset_asks_first_and_takes_silence_for_no() {
    let machine = Machine::bare().with_program("podman", EMPTY_PODMAN);
    machine.k("reset").assert_refused(1, &["--yes"]);
    assert!(!machine.workdir.path("changes").exists());
}

#[test]
fn a_status_without_a_stack_is_refused_with_the_way_to_start_one() {
    let machine = Machine::bare().with_program("podman", EMPTY_PODMAN);
    machine
        .k("status")
        .assert_refused(1, &["no stack", "k start"]);
    machine
        .k("logs kafka")
        .assert_refused(1, &["no container of `kafka`", "k start"]);
}

// ------------------------------------------------------------------------- what compose would run

/// Says on the real stderr, which the test harness does not hold back, that a test did not run.
fn skipped(test: &str, why: &str) {
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").expect("stderr");
}

/// Every podman-compose on the PATH, in the folder that holds it.
fn compose_tools() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("podman-compose"));
    let mut tools: Vec<PathBuf> = found.filter(|tool| tool.is_file()).collect();
    tools.dedup();
    tools
}

/// Runs `k start --dry-run` with each podman-compose of this machine and a podman that has
/// nothing, and hands over what it printed.
fn dry_runs(test: &str, args: &str, look: impl Fn(&str)) {
    let tools = compose_tools();
    if tools.is_empty() {
        skipped(test, "there is no podman-compose");
    }
    for tool in tools {
        let script = format!("exec {} \"$@\"", tool.display());
        let machine = Machine::bare()
            .with_program("podman", EMPTY_PODMAN)
            .with_program("podman-compose", &script)
            .with_path("/usr/bin:/bin");
        let run = machine.k(&format!("start --dry-run {args}"));
        run.assert_status(0);
        look(run.stdout());
        let changes = machine.workdir.path("changes");
        assert!(
            !changes.exists(),
            "{} changed: {}",
            tool.display(),
            machine.workdir.read("changes")
        );
        assert!(!machine.workdir.path("state/k/stack.json").exists());
    }
}

/// Returns the podman command that makes the container of a service.
fn creation<'a>(commands: &'a str, service: &str) -> &'a str {
    let name = format!("--name=kworkshop_{service}_1 ");
    let mut lines = commands.lines().filter(|line| line.contains(&name));
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("`{service}` is not made in: {commands}"));
    assert!(
        line.starts_with("  podman run ") || line.starts_with("  podman create "),
        "{line}"
    );
    line
}

#[test]
fn a_dry_run_prints_every_command_of_a_start_and_changes_nothing() {
    dry_runs("dry run", "", |commands| {
        let lines: Vec<&str> = commands.lines().collect();
        assert_eq!(lines[0], "podman pull docker.io/apache/kafka:4.3.1");
        assert!(
            lines
                .iter()
                .any(|line| line.trim().starts_with("podman network create ")),
            "{commands}"
        );
        for (service, parts) in [
            (
                "kafka",
                [
                    "-p 127.0.0.1:",
                    ":9092 ",
                    "KAFKA_LOG_RETENTION_MS=-1",
                    "docker.io/apache/kafka:4.3.1",
                ],
            ),
            (
                "ksqldb",
                [
                    "-p 127.0.0.1:",
                    ":8088 ",
                    "KSQL_BOOTSTRAP_SERVERS=kafka:19092",
                    "cp-ksqldb-server:",
                ],
            ),
            (
                "kafka-ui",
                [
                    "-p 127.0.0.1:",
                    ":8080 ",
                    "KAFKA_CLUSTERS_0_KSQLDBSERVER=http://ksqldb:8088",
                    "kafbat/kafka-ui:",
                ],
            ),
        ] {
            let creation = creation(commands, service);
            for part in parts {
                assert!(
                    creation.contains(part),
                    "`{part}` is missing in: {creation}"
                );
            }
            // Ties between containers, a pod, or a mount would break what `k` does with them.
            for part in ["--requires", "--pod", "-v ", "--mount", "--healthcheck"] {
                assert!(!creation.contains(part), "`{part}` is in: {creation}");
            }
        }
        let waits: Vec<&&str> = lines
            .iter()
            .filter(|line| line.starts_with("# wait until "))
            .collect();
        assert_eq!(waits.len(), 3, "{commands}");
        assert!(
            waits[1].contains("/info") && waits[2].contains("/actuator/health"),
            "{commands}"
        );
    });
}

#[test]
fn a_dry_run_leaves_out_what_is_not_wanted() {
    dry_runs("dry run of kafka alone", "--only kafka", |commands| {
        creation(commands, "kafka");
        assert!(
            !commands.contains("ksqldb_1") && !commands.contains("kafka-ui_1"),
            "{commands}"
        );
    });
    dry_runs("dry run without ksql", "--no-ksql", |commands| {
        creation(commands, "kafka-ui");
        assert!(!commands.contains("ksqldb_1"), "{commands}");
    });
}

#[test]
fn confluents_image_takes_the_same_settings() {
    dry_runs(
        "dry run of Confluent",
        "--broker-image confluent --only kafka",
        |commands| {
            let creation = creation(commands, "kafka");
            assert!(
                creation.contains(" docker.io/confluentinc/cp-kafka:"),
                "{creation}"
            );
            assert!(
                creation.contains("CLUSTER_ID=") && creation.contains("KAFKA_PROCESS_ROLES="),
                "{creation}"
            );
        },
    );
    dry_runs(
        "dry run of an old Kafka",
        "--broker-image apache/kafka:3.9.1",
        |commands| {
            assert!(
                creation(commands, "kafka").ends_with(" docker.io/apache/kafka:3.9.1"),
                "{commands}"
            );
        },
    );
}

#[test]
fn redpanda_is_started_with_the_listeners_that_the_others_expect() {
    dry_runs(
        "dry run of Redpanda",
        "--broker-image redpanda",
        |commands| {
            let creation = creation(commands, "kafka");
            for part in [
                " docker.io/redpandadata/redpanda:",
                "redpanda start --mode=dev-container",
                "--advertise-kafka-addr=internal://kafka:19092,external://127.0.0.1:9",
            ] {
                assert!(
                    creation.contains(part),
                    "`{part}` is missing in: {creation}"
                );
            }
        },
    );
}

// ------------------------------------------------------------------------------ with real podman

/// Kafka as on the machine, but its container can be started again: the test machine's image
/// stops at data that is there already, which Apache's own does not.
const KAFKA: (&str, &str) = (
    "localhost/k-test/kafka:1",
    r#"CMD ["bash", "-c", "test -e /etc/kafka/docker/launch || sed -i 's/^set -e$//' /etc/kafka/docker/run; exec /etc/kafka/docker/run"]"#,
);
/// Answers as ksqlDB and as the web UI do once they are ready.
const READY: (&str, &str) = (
    "localhost/k-test/ready:1",
    r#"CMD ["perl", "-MIO::Socket::INET", "-e", "$SIG{TERM} = sub { exit }; $| = 1; my $port = $ENV{KSQL_LISTENERS} ? 8088 : 8080; my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 9, ReuseAddr => 1) or die; my $body = $port == 8088 ? '{\"KsqlServerInfo\":{\"serverStatus\":\"RUNNING\"}}' : '{\"status\":\"UP\"}'; print \"listening\\n\"; while (my $client = $server->accept) { my $line = <$client>; print $client \"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: \", length $body, \"\\r\\n\\r\\n$body\"; close $client }"]"#,
);
/// Ends as ksqlDB does where containers do not find each other.
const FAILING: (&str, &str) = (
    "localhost/k-test/failing:1",
    r#"CMD ["sh", "-c", "echo starting; echo 'java.net.UnknownHostException: kafka: Name or service not known'; exit 1"]"#,
);

/// Containers are heavy: one test at a time.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// A stack of its own on the real podman, removed at the end.
struct Podman {
    machine: Machine,
    project: String,
    _turn: std::sync::MutexGuard<'static, ()>,
}

impl Podman {
    /// Returns `None`, and says so, where podman does not work or has no image of Kafka.
    fn new(test: &str) -> Option<Self> {
        let turn = ONE_AT_A_TIME
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if compose_tools().is_empty() {
            skipped(test, "there is no podman-compose");
            return None;
        }
        let image = "docker.io/apache/kafka:4.3.1";
        if podman(&["run", "--rm", "--pull=never", image, "true"]).is_none() {
            skipped(test, &format!("podman cannot run the image {image}"));
            return None;
        }
        for (name, command) in [KAFKA, READY, FAILING] {
            build(name, command);
        }
        let project = format!("k-test-{}-{}", std::process::id(), test.replace(' ', "-"));
        let path = std::env::var("PATH").expect("a PATH");
        let machine = Machine::bare()
            .with_path(&path)
            .with("COMPOSE_PROJECT_NAME", project.as_str())
            .with("K_KAFKA_IMAGE", KAFKA.0)
            .with("K_KAFKA_PORT", free_port().to_string());
        Some(Podman {
            machine,
            project,
            _turn: turn,
        })
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.machine.variables.retain(|(set, _)| *set != name);
        self.machine.variables.push((name, value.into()));
    }

    fn k(&self, args: &str) -> Run {
        self.machine.k(args)
    }

    /// Returns the ids of the stack's containers, running or not.
    fn containers(&self) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let ids = podman(&["ps", "--all", "--quiet", "--filter", &filter]).expect("podman works");
        ids.split_whitespace().map(str::to_owned).collect()
    }

    fn networks(&self) -> String {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        podman(&["network", "ls", "--quiet", "--filter", &filter]).expect("podman works")
    }

    fn container_of(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let ids = podman(&[
            "ps", "--all", "--quiet", "--filter", &project, "--filter", &service,
        ]);
        ids.expect("podman works").trim().to_owned()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.k("reset --yes");
    }
}

/// Runs podman; `None` where it is not there or does not succeed.
fn podman(args: &[&str]) -> Option<String> {
    let output = Command::new("podman")
        .args(args)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let stdout = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(stdout)
}

fn build(name: &str, command: &str) {
    let mut child = Command::new("podman")
        .args(["build", "--quiet", "--tag", name, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("podman starts");
    let text = format!("FROM docker.io/apache/kafka:4.3.1\nUSER root\n{command}\n");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("podman reads");
    drop(stdin);
    assert!(
        child.wait().expect("podman ends").success(),
        "{name} was not built"
    );
}

#[test]
fn the_life_of_a_stack() {
    let Some(stack) = Podman::new("life") else {
        return;
    };

    let started = stack.k("start --only kafka");
    started.assert_status(0);
    let port = stack.machine.state()["kafka_port"]
        .as_u64()
        .expect("a port");
    assert!(
        started.stdout().contains(&format!("127.0.0.1:{port}")),
        "{}",
        started.stdout()
    );
    assert!(
        started.stdout().lines().all(|line| line.len() <= 80),
        "{}",
        started.stdout()
    );
    assert!(
        started.stderr().contains("kafka is ready"),
        "{}",
        started.stderr()
    );

    // Every other command finds it without being told.
    stack.k("topic create calls").assert_status(0);
    let status = stack.k("status");
    status.assert_status(0);
    assert!(
        status.stdout().contains("ready") && status.stdout().contains("calls"),
        "{}",
        status.stdout()
    );

    // Started again it says so, in under a second; the quickest counts, for other programs run too.
    let quickest = (0..3).map(|_| {
        let began = Instant::now();
        let again = stack.k("start --only kafka");
        again.assert_status(0);
        assert!(
            again.stderr().contains("runs already"),
            "{}",
            again.stderr()
        );
        began.elapsed()
    });
    let quickest = quickest.min().expect("three");
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");

    // Stopped, it keeps its data.
    stack.k("stop").assert_status(0);
    let stopped = stack.k("status");
    stopped.assert_status(1);
    assert!(stopped.stdout().contains("stopped"), "{}", stopped.stdout());
    stack.k("stop").assert_status(0);
    stack.k("start --only kafka").assert_status(0);
    assert!(stack.k("topic list").stdout().contains("calls"));

    // Killed behind its back, it is started again with its data.
    podman(&["kill", &stack.container_of("kafka")]).expect("killed");
    let killed = stack.k("status");
    killed.assert_status(1);
    assert!(killed.stdout().contains("137"), "{}", killed.stdout());
    stack.k("start --only kafka").assert_status(0);
    assert!(stack.k("topic list").stdout().contains("calls"));

    // A program that takes the port meanwhile is named; the data is not touched.
    stack.k("stop").assert_status(0);
    let before = stack.containers();
    let taken =
        TcpListener::bind(("127.0.0.1", u16::try_from(port).expect("a port"))).expect("free now");
    stack
        .k("start --only kafka")
        .assert_refused(1, &[&format!("port {port}"), "process", "k reset"]);
    assert_eq!(stack.containers(), before);
    drop(taken);

    // Another broker does not take the place of one with data.
    let mut other = stack
        .machine
        .command("start --only kafka --broker-image redpanda");
    let other = Run::of(
        other
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs"),
    );
    other.assert_refused(1, &["k-test/kafka", "redpanda", "k reset"]);

    let reset = stack.k("reset --yes");
    reset.assert_status(0);
    assert_eq!(
        (stack.containers().len(), stack.networks().as_str()),
        (0, "")
    );
    assert!(!stack.machine.workdir.path("state/k/stack.json").exists());
    assert!(
        stack
            .k("reset --yes")
            .stderr()
            .contains("nothing to remove")
    );
}

#[test]
fn the_whole_stack_comes_up_and_is_repaired_piece_by_piece() {
    let Some(stack) = Podman::new("whole") else {
        return;
    };
    if podman(&["run", "--rm", READY.0, "perl", "-v"]).is_none() {
        return skipped(
            "whole stack",
            "the image of Kafka has no perl to stand in for the others",
        );
    }
    let mut stack = stack
        .with("K_KSQL_IMAGE", READY.0)
        .with("K_UI_IMAGE", READY.0)
        .with("K_KSQL_PORT", free_port().to_string());
    // Held by this test, or by whoever held it before.
    let _taken = TcpListener::bind("127.0.0.1:8080");

    let started = stack.k("start");
    started.assert_status(0);
    let ui_port = stack.machine.state()["ui_port"].as_u64().expect("a port");
    assert!(ui_port > 8080, "{ui_port}");
    assert!(
        started.stderr().contains("port 8080 is held by"),
        "{}",
        started.stderr()
    );
    assert!(
        started
            .stdout()
            .contains(&format!("http://localhost:{ui_port}")),
        "{}",
        started.stdout()
    );
    assert!(
        started.stdout().lines().all(|line| line.len() <= 80),
        "{}",
        started.stdout()
    );
    assert_eq!(stack.containers().len(), 3);

    let json = stack.k("status --format json");
    json.assert_status(0);
    let status: serde_json::Value = serde_json::from_str(json.stdout()).expect("JSON");
    assert_eq!(
        status["services"].as_array().map(Vec::len),
        Some(3),
        "{status}"
    );

    // Logs and shells reach their service; whoever stops reading is no error.
    let logs = stack.k("logs ksqldb --tail 1");
    logs.assert_status(0);
    assert_eq!(logs.stdout(), "listening\n");
    let shell = stack.k("shell kafka -- kafka-topics.sh --version");
    shell.assert_status(0);
    assert!(shell.stdout().starts_with("4."), "{}", shell.stdout());
    stack
        .k("shell kafka -- false")
        .assert_refused(1, &["exit status: 1"]);

    // One container gone and one stopped: only they are brought back.
    let (kafka, ksqldb) = (stack.container_of("kafka"), stack.container_of("ksqldb"));
    podman(&["rm", "--force", &stack.container_of("kafka-ui")]).expect("removed");
    podman(&["stop", "--time", "1", &ksqldb]).expect("stopped");
    stack.k("start").assert_status(0);
    assert_eq!(
        (stack.container_of("kafka"), stack.container_of("ksqldb")),
        (kafka.clone(), ksqldb.clone())
    );
    assert_eq!(stack.containers().len(), 3);

    // A service that fails is told with its last words and the likely cause; Kafka stays.
    podman(&["rm", "--force", &ksqldb]).expect("removed");
    stack.set("K_KSQL_IMAGE", FAILING.0);
    let failed = stack.k("-q start");
    failed.assert_refused(
        1,
        &[
            "`ksqldb` ended",
            "UnknownHostException",
            "k doctor",
            "k logs ksqldb",
        ],
    );
    assert_eq!(stack.container_of("kafka"), kafka);
    stack.k("topic list").assert_status(0);

    stack.k("reset --yes").assert_status(0);
    assert_eq!(stack.containers().len(), 0);
}

#[test]
fn a_start_that_is_interrupted_leaves_nothing_behind() {
    let Some(stack) = Podman::new("interrupted") else {
        return;
    };
    for (signal, status, until_container) in
        [("INT", 130, false), ("INT", 130, true), ("TERM", 143, true)]
    {
        let child = stack.machine.spawn("start --only kafka");
        let deadline = Instant::now() + Duration::from_secs(60);
        // Either as soon as podman is at work, or once there is a container to take away.
        while until_container && stack.containers().is_empty() {
            assert!(Instant::now() < deadline, "no container in a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
        while !until_container
            && !stack
                .machine
                .workdir
                .path("state/k/podman-compose.yml")
                .exists()
        {
            assert!(Instant::now() < deadline, "no compose file in a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &id])
                .status()
                .expect("kill runs")
                .success()
        );
        let run = Run::of(child.wait_with_output().expect("it ends"));
        run.assert_status(status);
        assert_eq!(
            (stack.containers().len(), stack.networks().as_str()),
            (0, ""),
            "{}",
            run.stderr()
        );
    }
}
