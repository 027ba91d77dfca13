//! `k` on a terminal: what it draws, and what it does with keys.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

/// Runs `k` on a terminal of its own, by Python's `pty`: types `keys` once it has written `drawn`, and returns
/// its exit status and what it wrote; `None` where there is no Python.
pub fn on_a_terminal(
    dir: &Workdir,
    args: &[&str],
    drawn: &str,
    keys: &str,
) -> Option<(i32, String)> {
    const DRIVER: &str = r#"
import fcntl, os, pty, select, signal, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:-2])
seen, typed, end = b"", False, time.monotonic() + 60
while time.monotonic() < end:
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            break
        if not read:
            break
        seen += read
    if not typed and sys.argv[-2].encode() in seen:
        os.write(terminal, sys.argv[-1].encode().decode("unicode_escape").encode())
        typed = True
else:
    os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let driver = Command::new("python3")
        .args(["-c", DRIVER, env!("CARGO_BIN_EXE_k")])
        .args(args)
        .args([drawn, keys])
        .current_dir(dir.path("."))
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
