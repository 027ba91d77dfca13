//! `k start`, `stop`, `status`, `logs`, `reset`, `pull` and `shell`.
//!
//! With stand-ins for podman and podman-compose; those with the real ones are in `podman`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::skip::{Need, skipped};
use crate::workdir::{Run, Workdir};

/// The variables of a developer's own stack, which no test may touch.
const VARIABLES: [&str; 12] = [
    "K_KAFKA_PORT",
    "K_KSQL_PORT",
    "K_UI_PORT",
    "K_KAFKA_IMAGE",
    "K_KSQL_IMAGE",
    "K_UI_IMAGE",
    "COMPOSE_PROJECT_NAME",
    "JAVA_HOME",
    "KAFKA_HOME",
    "KAFKA_HEAP_OPTS",
    "K_MAVEN",
    "K_PREFIX",
];

/// A temporary folder with its own state and a PATH that can be chosen.
pub struct Machine {
    pub workdir: Workdir,
    pub variables: Vec<(&'static str, String)>,
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
    pub fn with_path(mut self, folders: &str) -> Self {
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

    pub fn spawn(&self, args: &str) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the binary starts")
    }

    pub fn command(&self, args: &str) -> Command {
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

    pub fn state(&self) -> serde_json::Value {
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
    let machine = machine.with("K_KAFKA_IMAGE", "kafka");
    machine
        .k("start")
        .assert_refused(2, &["K_KAFKA_IMAGE", "`kafka`", "redpanda"]);
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

/// Every podman-compose on the PATH.
pub fn compose_tools() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut tools: Vec<PathBuf> = std::env::split_paths(&path)
        .filter_map(|folder| folder.join("podman-compose").canonicalize().ok())
        .collect();
    tools.sort();
    tools.dedup();
    tools
}

/// Returns whether a podman-compose is of the old kind that Debian 12 has, which prints other words.
fn is_old(tool: &Path) -> bool {
    let output = Command::new(tool)
        .arg("--version")
        .output()
        .expect("it runs");
    let version = String::from_utf8_lossy(&output.stdout);
    version
        .lines()
        .any(|line| line.starts_with("podman-compose") && line.contains(" 1.0."))
}

/// Runs `k start --dry-run` with each podman-compose of this machine and a podman that has
/// nothing, and hands over what it printed.
fn dry_runs(args: &str, look: impl Fn(&str)) {
    let tools = compose_tools();
    for (kind, wants_old) in [("1.0", true), ("1.1 or newer", false)] {
        if !tools.iter().any(|tool| is_old(tool) == wants_old) {
            skipped(Need::Compose, &format!("there is no podman-compose {kind}"));
        }
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
    dry_runs("", |commands| {
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
fn an_empty_variable_names_no_image_and_no_port() {
    let mut machine = Machine::bare()
        .with_program("podman", EMPTY_PODMAN)
        .with_program("podman-compose", "echo 'podman-compose version 1.6.0'");
    for variable in VARIABLES {
        machine = machine.with(variable, "");
    }
    let run = machine.k("start --dry-run --only kafka");
    run.assert_status(0);
    assert!(
        run.stdout()
            .starts_with("podman pull docker.io/apache/kafka:"),
        "{}",
        run.stdout()
    );
}

#[test]
fn a_dry_run_leaves_out_what_is_not_wanted() {
    dry_runs("--only kafka", |commands| {
        creation(commands, "kafka");
        assert!(
            !commands.contains("ksqldb_1") && !commands.contains("kafka-ui_1"),
            "{commands}"
        );
    });
    dry_runs("--no-ksql", |commands| {
        creation(commands, "kafka-ui");
        assert!(!commands.contains("ksqldb_1"), "{commands}");
    });
}

#[test]
fn confluents_image_takes_the_same_settings() {
    dry_runs("--broker-image confluent --only kafka", |commands| {
        let creation = creation(commands, "kafka");
        assert!(
            creation.contains(" docker.io/confluentinc/cp-kafka:"),
            "{creation}"
        );
        assert!(
            creation.contains("CLUSTER_ID=") && creation.contains("KAFKA_PROCESS_ROLES="),
            "{creation}"
        );
    });
    dry_runs("--broker-image apache/kafka:3.9.1", |commands| {
        assert!(
            creation(commands, "kafka").ends_with(" docker.io/apache/kafka:3.9.1"),
            "{commands}"
        );
    });
}

#[test]
fn redpanda_is_started_with_the_listeners_that_the_others_expect() {
    dry_runs("--broker-image redpanda", |commands| {
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
    });
}
