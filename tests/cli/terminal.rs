//! `k` on a terminal: what it draws, and what it does with keys.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

/// Runs `k` on a terminal of its own: types `keys` once it has written `drawn`, as [`dialogue`] does.
pub fn on_a_terminal(
    dir: &Workdir,
    args: &[&str],
    drawn: &str,
    keys: &str,
) -> Option<(i32, String)> {
    dialogue(dir, args, &[(drawn, keys)])
}

/// Runs `k` on a terminal of its own, by Python's `pty`. Each step waits until something new was written
/// that holds its first text, then types its second. Returns the exit status and what was written; `None`
/// where there is no Python.
pub fn dialogue(dir: &Workdir, args: &[&str], steps: &[(&str, &str)]) -> Option<(i32, String)> {
    const DRIVER: &str = r#"
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:-1])
seen, begin, steps, end = b"", 0, json.loads(sys.argv[-1]), time.monotonic() + 60
while time.monotonic() < end:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            break
        if not read:
            break
        seen += read
    if steps and steps[0][0].encode() in seen[begin:]:
        begin = len(seen)
        os.write(terminal, steps.pop(0)[1].encode().decode("unicode_escape").encode())
else:
    os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let driver = Command::new("python3")
        .args(["-c", DRIVER, env!("CARGO_BIN_EXE_k")])
        .args(args)
        .arg(serde_json::to_string(steps).expect("JSON"))
        .current_dir(dir.path("."))
        .env("NO_COLOR", "1")
        .env("XDG_STATE_HOME", dir.path("state"))
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
