//! `k top`: plain tables for scripts, a screen for people, and clear words without a broker.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::broker::{broker, unique};
use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

#[test]
fn once_prints_topics_groups_and_nodes_of_a_real_broker() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    dir.k("gen -q --rate 10 --seconds 10 --seed 1")
        .assert_status(0);
    let (topic, group) = (unique("calls"), unique("readers"));
    let node = unique("node");
    for command in [
        format!("produce -q data/mono_signal.csv -t {topic} -b {broker}"),
        format!("consume -q {topic} --group {group} --limit 40 -b {broker}"),
        format!("window -q --tumbling 1s --from {topic} --group {node} --exit -b {broker}"),
    ] {
        dir.k(&command).assert_status(0);
    }
    let run = dir.k(&format!("top --once --interval 100ms -b {broker}"));
    run.assert_status(0);
    let row = |name: &str| -> Vec<&str> {
        let mut lines = run.stdout().lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name));
        line.expect("a row").split_whitespace().collect()
    };
    assert_eq!(row(&topic), [&*topic, "3", "100", "0/s"]);
    let of_group = row(&group);
    assert_eq!(of_group[..5], [&*group, &*topic, "empty", "0", "60"]);
    assert_eq!(of_group.last(), Some(&"never"));
    assert_eq!(row(&node)[..3], [&*node, &*topic, "empty"]);
    // What the node has noted beside its offsets.
    let noted = format!("{topic} 0");
    let mut lines = run.stdout().lines();
    let noted = lines.find(|line| line.starts_with(&node) && line.contains(&noted));
    assert!(
        noted.is_some_and(|line| line.contains("Z ")),
        "{}",
        run.stdout()
    );
    assert_eq!(run.stderr(), "");
}

#[test]
fn without_a_broker_or_a_terminal_it_says_so() {
    let dir = Workdir::new();
    dir.k("top --once -b 127.0.0.1:1")
        .assert_refused(1, &["cannot reach Kafka at `127.0.0.1:1`"]);
    dir.k("top -b 127.0.0.1:1")
        .assert_refused(2, &["not a terminal", "k top --once"]);
}

/// Runs `k top` on a terminal of its own, by Python's `pty`: types `keys` once it has drawn, and
/// returns its exit status and what it wrote.
fn on_a_terminal(broker: &str, keys: &str) -> Option<(i32, String)> {
    const DRIVER: &str = r#"
import fcntl, os, pty, select, signal, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:-1])
seen, typed, end = b"", False, time.monotonic() + 30
while time.monotonic() < end:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            break
        if not read:
            break
        seen += read
    if not typed and b"leaves" in seen:
        os.write(terminal, sys.argv[-1].encode().decode("unicode_escape").encode())
        typed = True
else:
    os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let driver = Command::new("python3")
        .args([
            "-c",
            DRIVER,
            env!("CARGO_BIN_EXE_k"),
            "top",
            "-b",
            broker,
            keys,
        ])
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = driver else {
        skipped(
            Need::Program("python3"),
            "no `python3` here to make a terminal with",
        );
        return None;
    };
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.stderr.is_empty() {
        std::io::stderr().write_all(&output.stderr).expect("stderr");
    }
    Some((output.status.code().expect("an exit status"), seen))
}

#[test]
fn the_terminal_is_given_back_whichever_key_leaves() {
    let Some(broker) = broker() else { return };
    for (keys, status) in [("q", 0), ("\\x03", 130)] {
        let Some((ended, seen)) = on_a_terminal(broker, keys) else {
            return;
        };
        assert_eq!(ended, status, "{seen}");
        let entered = seen.find("\u{1b}[?1049h").expect("a screen of its own");
        let left = seen.rfind("\u{1b}[?1049l").expect("the old screen again");
        assert!(entered < left, "{seen}");
        assert!(seen.contains("topic"), "{seen}");
        // Without colour: no foreground or background but the default.
        let colored = (30..=37)
            .chain(40..=47)
            .any(|code| seen.contains(&format!("\u{1b}[{code}m")));
        assert!(!colored, "{seen:?}");
    }
}
