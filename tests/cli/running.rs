//! `k` while it runs: what it has written so far, and signals to it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::workdir::{Run, Workdir};

/// How long anything is waited for that comes at once on a machine at rest.
const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until something is so.
#[track_caller]
pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A `k` that was started and not waited for.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Heard,
    stderr: Heard,
    args: String,
}

impl Running {
    /// Starts `k` with arguments split at spaces; its stdin is a pipe that stays open.
    pub fn start(dir: &Workdir, args: &str) -> Self {
        Self::start_args(dir, args.split_whitespace().collect())
    }

    /// Starts `k` with arguments as given; its stdin is a pipe that stays open.
    pub fn start_args(dir: &Workdir, args: Vec<&str>) -> Self {
        let mut child = dir.spawn_args(args.iter().copied(), Stdio::piped());
        Running {
            stdin: child.stdin.take(),
            stdout: Heard::from(child.stdout.take().expect("a pipe")),
            stderr: Heard::from(child.stderr.take().expect("a pipe")),
            child,
            args: args.join(" "),
        }
    }

    /// Writes to its stdin, and waits while the pipe is full.
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("still open");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// Ends its stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until something is so that it does elsewhere.
    #[track_caller]
    pub fn await_so(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so() {
            let (args, said) = (&self.args, self.said());
            assert!(
                Instant::now() < deadline,
                "`k {args}`: {what}\nstderr: {said}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until it has written `lines` lines to stdout.
    #[track_caller]
    pub fn await_lines(&self, lines: usize) {
        let enough = |text: &str| text.lines().count() >= lines && text.ends_with('\n');
        self.await_that(&self.stdout, &format!("{lines} lines"), enough);
    }

    /// Returns what it has said on stderr so far.
    pub fn said(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has said `part` on stderr.
    #[track_caller]
    pub fn await_said(&self, part: &str) {
        self.await_that(&self.stderr, part, |text| text.contains(part));
    }

    #[track_caller]
    fn await_that(&self, heard: &Heard, what: &str, enough: impl Fn(&str) -> bool) {
        if !heard.wait(enough) {
            let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
            let args = &self.args;
            panic!("`k {args}`: {what} did not come\nstdout: {stdout}\nstderr: {stderr}");
        }
    }

    /// Returns whether it has a file open.
    #[cfg(target_os = "linux")]
    pub fn has_open(&self, file: &std::path::Path) -> bool {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
        open.flatten()
            .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == file))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for its end, whether its stdin is closed or not.
    #[track_caller]
    pub fn ended(mut self) -> Run {
        // Its pipes end with it.
        let (Some(stdout_bytes), Some(stderr_bytes)) = (self.stdout.all(), self.stderr.all())
        else {
            panic!("`k {}` did not end: {}", self.args, self.stderr.text());
        };
        let status = self.child.wait().expect("it has ended");
        Run {
            status: status.code(),
            stdout_bytes,
            stderr_bytes,
        }
    }

    /// Sends a signal and waits for the end, which must come soon.
    #[track_caller]
    pub fn ended_by(self, signal: Signal) -> Run {
        let began = Instant::now();
        self.signal(signal);
        let run = self.ended();
        // A tenth of a second each on a machine at rest, and half a second for a last commit.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "it took {took:?}");
        run
    }
}

impl Drop for Running {
    /// Ends what a failed test leaves behind.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().expect("it runs");
            self.child.wait().expect("it was killed");
        }
    }
}

/// What a pipe has brought so far, read by a thread of its own.
struct Heard {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Heard {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 1 << 16];
            loop {
                let read = pipe.read(&mut chunk).unwrap_or(0);
                let mut state = shared.0.lock().expect("no panic");
                state.bytes.extend_from_slice(&chunk[..read]);
                state.ended = read == 0;
                shared.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Heard { state }
    }

    /// Waits until the text is as wanted; returns whether it came to be.
    fn wait(&self, enough: impl Fn(&str) -> bool) -> bool {
        let enough = |state: &State| enough(&String::from_utf8_lossy(&state.bytes));
        let state = self.state.0.lock().expect("no panic");
        let waited = |state: &mut State| !enough(state) && !state.ended;
        let (state, _) = (self.state.1)
            .wait_timeout_while(state, DEADLINE, waited)
            .expect("no panic");
        enough(&state)
    }

    fn text(&self) -> String {
        let state = self.state.0.lock().expect("no panic");
        String::from_utf8_lossy(&state.bytes).into_owned()
    }

    /// Returns everything once the pipe has ended; `None` if it does not.
    fn all(&self) -> Option<Vec<u8>> {
        self.wait(|_| false);
        let state = self.state.0.lock().expect("no panic");
        state.ended.then(|| state.bytes.clone())
    }
}
