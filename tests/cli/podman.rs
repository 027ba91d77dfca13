//! The stack on the real podman, where it works and has an image of Kafka; skipped elsewhere,
//! which is said.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::skip::{Need, skipped};
use crate::stack::{Machine, compose_tools};
use crate::workdir::Run;

/// Images made for these tests, from the Containerfiles in `tests/images`.
const KAFKA: &str = "localhost/k-test/kafka";
const READY: &str = "localhost/k-test/ready";
const FAILING: &str = "localhost/k-test/failing";

/// Waits for this test's turn: containers are heavy, and checkouts side by side share one podman.
/// The turn ends when the file is closed.
fn turn() -> File {
    let path = std::env::temp_dir().join("k-test-podman.lock");
    let file = File::create(path).expect("a lock file");
    file.lock().expect("its lock");
    file
}

/// A stack of its own on the real podman, removed at the end.
struct Podman {
    machine: Machine,
    project: String,
    _turn: File,
}

impl Podman {
    /// Returns `None`, and says so, where podman does not work or has no image of Kafka.
    fn new(test: &str) -> Option<Self> {
        if crate::broker::is_quick() {
            skipped(Need::Containers, "no containers are wanted (K_TEST_QUICK)");
            return None;
        }
        let turn = turn();
        if compose_tools().is_empty() {
            skipped(Need::Compose, "there is no podman-compose");
            return None;
        }
        let image = "docker.io/apache/kafka:4.3.1";
        if podman(&["run", "--rm", "--pull=never", image, "true"]).is_none() {
            skipped(
                Need::Containers,
                &format!("podman cannot run the image {image}"),
            );
            return None;
        }
        for image in [KAFKA, READY, FAILING] {
            build(image);
        }
        let project = format!("k-test-{}-{}", std::process::id(), test.replace(' ', "-"));
        let path = std::env::var("PATH").expect("a PATH");
        let machine = Machine::bare()
            .with_path(&path)
            .with("COMPOSE_PROJECT_NAME", project.as_str())
            .with("K_KAFKA_IMAGE", KAFKA)
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

fn build(image: &str) {
    let name = image.rsplit('/').next().expect("a name");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images");
    let file = format!("{folder}/{name}.Containerfile");
    podman(&["build", "--quiet", "--tag", image, "--file", &file, folder])
        .unwrap_or_else(|| panic!("{file} was not built"));
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

    // What it says to type next works as it is: every command finds this Kafka by itself.
    let typed: Vec<&str> = started
        .stderr()
        .lines()
        .filter_map(|line| line.strip_prefix("  k "))
        .collect();
    assert_eq!(typed.len(), 3, "{}", started.stderr());
    let runs: Vec<Run> = typed
        .iter()
        .map(|line| stack.k(line.split('#').next().expect("a command")))
        .collect();
    for run in &runs {
        run.assert_status(0);
    }
    let windows = runs[2].stdout();
    assert!(
        windows.lines().count() >= 7,
        "a header and a row every 10 s of a minute: {windows}"
    );
    let status = stack.k("status");
    status.assert_status(0);
    assert!(
        status.stdout().contains("ready") && status.stdout().contains("6,000"),
        "{}",
        status.stdout()
    );
    let same_windows = |stack: &Podman| {
        let again = stack.k("window --from mono_signal --tumbling 10s --exit");
        again.assert_status(0);
        assert_eq!(again.stdout(), windows);
    };

    // Started again it says so, in under a second; the quickest counts, for other programs run too.
    let quickest = (0..3).map(|_| {
        let began = Instant::now();
        let again = stack.k("start --only kafka");
        again.assert_status(0);
        assert!(
            again.stderr().contains("already running"),
            "{}",
            again.stderr()
        );
        began.elapsed()
    });
    let quickest = quickest.min().expect("three");
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");

    // Where another image cannot be had, Kafka is of use all the same.
    let mut with_ui = stack.machine.command("start --no-ksql");
    with_ui.env("K_UI_IMAGE", "localhost:1/k-test/missing:1");
    let with_ui = Run::of(
        with_ui
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs"),
    );
    with_ui.assert_refused(1, &["k-test/missing", "Kafka is running"]);
    stack.k("status").assert_status(0);

    // Stopped, it keeps its data.
    stack.k("stop").assert_status(0);
    let stopped = stack.k("status");
    stopped.assert_status(1);
    assert!(stopped.stdout().contains("stopped"), "{}", stopped.stdout());
    stack.k("stop").assert_status(0);
    stack.k("start --only kafka").assert_status(0);
    same_windows(&stack);

    // Killed behind its back, it is started again with its data.
    podman(&["kill", &stack.container_of("kafka")]).expect("killed");
    let killed = stack.k("status");
    killed.assert_status(1);
    assert!(killed.stdout().contains("137"), "{}", killed.stdout());
    assert!(killed.stderr().contains("`kafka` is not ready"));
    stack.k("start --only kafka").assert_status(0);
    same_windows(&stack);

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
    if podman(&["run", "--rm", READY, "perl", "-v"]).is_none() {
        return skipped(
            Need::Containers,
            "the image of Kafka has no perl to stand in for the others",
        );
    }
    let mut stack = stack
        .with("K_KSQL_IMAGE", READY)
        .with("K_UI_IMAGE", READY)
        .with("K_KSQL_PORT", free_port().to_string());
    // Held by this test, or by whoever held it before.
    let _taken = TcpListener::bind("127.0.0.1:8080");

    let started = stack.k("start");
    started.assert_status(0);
    let ui_port = stack.machine.state()["ui_port"].as_u64().expect("a port");
    assert!(ui_port > 8080, "{ui_port}");
    assert!(
        started.stderr().contains("port 8080 is in use by"),
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

    // Logs and shells reach their service; whoever stops reading is not an error.
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
    stack.set("K_KSQL_IMAGE", FAILING);
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
fn an_interrupted_start_or_stop_of_a_stack_with_data_keeps_it() {
    let Some(stack) = Podman::new("kept") else {
        return;
    };
    stack.k("start --only kafka").assert_status(0);
    stack.k("topic create kept").assert_status(0);
    stack.k("stop").assert_status(0);
    let container = stack.containers();

    // At whatever moment of the start the signal comes.
    for wait_ms in [0, 200, 500] {
        let child = stack.machine.spawn("start --only kafka");
        wait_until_it_heeds_signals(&child);
        std::thread::sleep(Duration::from_millis(wait_ms));
        interrupt(&child, "INT");
        let run = Run::of(child.wait_with_output().expect("it ends"));
        run.assert_status(130);
        assert_eq!(stack.containers(), container, "{}", run.stderr());
    }
    // A stop cut off leaves a container that neither runs nor has ended.
    podman(&["start", &container[0]]).expect("started");
    let child = stack.machine.spawn("stop");
    let deadline = Instant::now() + Duration::from_secs(180);
    while podman(&["inspect", "--format", "{{.State.Status}}", &container[0]]).as_deref()
        == Some("running\n")
    {
        assert!(Instant::now() < deadline, "the container never stops");
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child, "INT");
    child.wait_with_output().expect("it ends");

    stack.k("start --only kafka").assert_status(0);
    assert_eq!(stack.containers(), container);
    let topics = stack.k("topic list");
    assert!(topics.stdout().contains("kept"), "{}", topics.stdout());
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
        let deadline = Instant::now() + Duration::from_secs(180);
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
        interrupt(&child, signal);
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

/// Waits until the process has taken Ctrl-C over; before that, it dies of one.
fn wait_until_it_heeds_signals(child: &Child) {
    const SIGINT: u64 = 1 << (2 - 1);
    let status = format!("/proc/{}/status", child.id());
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let text = std::fs::read_to_string(&status).expect("the process is there");
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("its signals").trim(), 16);
        if caught.expect("a mask") & SIGINT != 0 {
            return;
        }
        assert!(Instant::now() < deadline, "it never heeds a signal");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn interrupt(child: &Child, signal: &str) {
    let id = child.id().to_string();
    let mut kill = Command::new("kill");
    let status = kill.args(["-s", signal, &id]).status();
    assert!(status.expect("kill runs").success());
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
