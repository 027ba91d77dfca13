//! A temporary folder to run the built binary in, and what came of a run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Names the client that every `k` of a run of the tests reads topics by, `direct` or `librdkafka`.
const CLIENT: &str = "K_TEST_CLIENT";

/// A temporary folder, taken away with its files at the end of the test.
pub struct Workdir {
    folder: tempfile::TempDir,
}

impl Workdir {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("k-test-")
            .tempdir()
            .expect("a temporary folder");
        Workdir { folder }
    }

    /// Returns where `name` is or would be in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("inside the folder")).expect("folders");
        std::fs::write(&path, content).expect("a file written");
        path
    }

    /// Returns what a file holds.
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// Runs `k` with arguments split at spaces, nothing on its stdin, and waits for its end.
    pub fn k(&self, args: &str) -> Run {
        self.k_args(args.split_whitespace())
    }

    /// Runs `k` with arguments as given, nothing on its stdin, and waits for its end.
    pub fn k_args<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        let output = self.command(args).stdin(Stdio::null()).output();
        Run::of(output.expect("the binary runs"))
    }

    /// Windows what a file `in.csv` is to hold.
    pub fn window_over(&self, content: impl AsRef<[u8]>, flags: &[&str]) -> Run {
        self.write("in.csv", content);
        self.k_args(["window", "--from", "in.csv"].iter().chain(flags).copied())
    }

    /// Runs `k` with arguments split at spaces and `input` in a pipe on its stdin.
    pub fn k_with_input(&self, args: &str, input: impl AsRef<[u8]>) -> Run {
        let mut child = self.spawn(args, Stdio::piped());
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.as_ref().to_vec();
        // From another thread: `k` may fill its stdout before it has read all of its stdin.
        let feeder = std::thread::spawn(move || stdin.write_all(&input).unwrap_or(()));
        let output = child.wait_with_output().expect("the binary ends");
        feeder.join().expect("the input was handed over");
        Run::of(output)
    }

    /// Starts `k` with arguments split at spaces; its stdout and stderr are pipes.
    /// Whoever starts it waits for it.
    pub fn spawn(&self, args: &str, stdin: Stdio) -> Child {
        self.spawn_args(args.split_whitespace(), stdin)
    }

    /// As [`Workdir::spawn`], with arguments as given.
    pub fn spawn_args<'a>(&self, args: impl IntoIterator<Item = &'a str>, stdin: Stdio) -> Child {
        self.command(args)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// Runs a line of shell in which `k` is the binary, nothing on its stdin.
    pub fn shell(&self, line: &str) -> Run {
        let folder = Path::new(env!("CARGO_BIN_EXE_k"))
            .parent()
            .expect("a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .env("PATH", std::env::join_paths(folders).expect("a path"))
            .stdin(Stdio::null());
        Run::of(self.inside(&mut command).output().expect("a shell"))
    }

    fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k"));
        let args: Vec<&str> = args.into_iter().collect();
        command.args(&args);
        if let Ok(client) = std::env::var(CLIENT)
            && args.contains(&"-b")
            && !args
                .iter()
                .any(|arg| arg.starts_with("client=") || arg.starts_with("debug="))
        {
            command.args(["-X", &format!("client={client}")]);
        }
        self.inside(&mut command);
        command
    }

    /// Sets the folder and takes away what the developer's own shell would change.
    fn inside<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.folder.path())
            .env_remove("K_BROKER")
            .env_remove("NO_COLOR")
            .env("XDG_STATE_HOME", self.path("state"))
            .env("COLUMNS", "100")
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// The exit status; `None` after a signal that `k` did not handle.
    pub status: Option<i32>,
    pub stdout_bytes: Vec<u8>,
    pub stderr_bytes: Vec<u8>,
}

impl Run {
    pub fn of(output: Output) -> Self {
        Run {
            status: output.status.code(),
            stdout_bytes: output.stdout,
            stderr_bytes: output.stderr,
        }
    }

    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout_bytes).expect("UTF-8 on stdout")
    }

    pub fn stderr(&self) -> &str {
        std::str::from_utf8(&self.stderr_bytes).expect("UTF-8 on stderr")
    }

    /// Fails with what the run said unless it ended with `status`; no run may panic.
    #[track_caller]
    pub fn assert_status(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "stderr: {}", self.stderr());
        assert!(!self.stderr().contains("panicked"), "{}", self.stderr());
        self
    }

    /// Fails unless the summary counts so many malformed records, or names none where there are none.
    #[track_caller]
    pub fn assert_malformed(&self, count: usize) {
        let said = self.stderr().replace(',', "");
        let is_told = match count {
            0 => !said.contains("malformed"),
            1 if said.contains("1 record in malformed") => true,
            _ => {
                said.contains(&format!(" {count} malformed"))
                    || said.contains(&format!("{count} records in all malformed"))
            }
        };
        assert!(is_told, "{count}: {said}");
    }

    /// Fails unless the run was refused with `status`, in at most eight lines that hold each
    /// of `parts`, and nothing on stdout.
    #[track_caller]
    pub fn assert_refused(&self, status: i32, parts: &[&str]) -> &Self {
        self.assert_status(status);
        let said = self.stderr();
        assert!(said.lines().count() <= 8, "more than eight lines: {said}");
        assert!(self.stdout_bytes.is_empty(), "stdout: {}", self.stdout());
        for part in parts {
            assert!(said.contains(part), "`{part}` is missing in: {said}");
        }
        self
    }
}
