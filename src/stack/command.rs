//! Runs other programs: podman, podman-compose, docker.
//!
//! In: a [`Call`]. Out: what it printed and how it ended. The program gets a process group of its
//! own, so that Ctrl-C reaches `k` alone, which then ends the program in order.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::term::report::Report;

/// How often a running program and Ctrl-C are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A program, its arguments, and the variables it is given beside the environment.
/// Prints itself as a shell would take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    program: String,
    args: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    silent_variables: Vec<(String, OsString)>,
}

impl Call {
    /// Returns the call of `program` with `args`.
    pub fn new<I: Into<OsString>>(program: &str, args: impl IntoIterator<Item = I>) -> Self {
        Call {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            silent_variables: Vec::new(),
        }
    }

    /// Adds arguments.
    pub fn args<I: Into<OsString>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable; `shown` says whether it is part of what is printed.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>, shown: bool) -> Self {
        let list = if shown {
            &mut self.variables
        } else {
            &mut self.silent_variables
        };
        list.push((name.to_owned(), value.into()));
        self
    }

    /// Returns the call on one line of a message: the program and the arguments that show what it
    /// does.
    pub fn summary(&self) -> String {
        const WIDTH: usize = 70;
        let all = Call {
            variables: Vec::new(),
            ..self.clone()
        }
        .to_string();
        let after_program = self.program.len();
        let ends = all.match_indices(' ').map(|(at, _)| at);
        match ends.skip(1).find(|at| all.len() - at <= WIDTH) {
            Some(at) if all.len() > WIDTH => format!("{} …{}", &all[..after_program], &all[at..]),
            _ => all,
        }
    }

    /// Returns the program as the operating system starts it, its standard streams as they are.
    pub fn to_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        for (name, value) in self.variables.iter().chain(&self.silent_variables) {
            command.env(name, value);
        }
        command
    }

    /// Returns the error of a program that could not be started.
    pub fn not_started(&self, source: std::io::Error) -> Error {
        Error::io(format!("run `{}`", self.program), source)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", shell_word(value))?;
        }
        f.write_str(&self.program)?;
        for arg in &self.args {
            write!(f, " {}", shell_word(arg))?;
        }
        Ok(())
    }
}

/// Returns a word as a shell takes it, in single quotes where it must be.
fn shell_word(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Returns the last line that says something, without the program's own label and log
    /// decoration; standard error before standard output.
    pub fn last_words(&self) -> Option<&str> {
        self.stderr
            .lines()
            .rev()
            .chain(self.stdout.lines().rev())
            .map(|line| line.trim().trim_start_matches("Error: "))
            .find(|line| !line.is_empty() && !is_noise(line))
    }
}

/// Returns whether a line of podman or podman-compose says nothing about what went wrong.
fn is_noise(line: &str) -> bool {
    const NOISE: [&str; 4] = [
        "failed to connect to syslog",
        "exit code:",
        "ERROR:__main__",
        "ERROR:podman_compose",
    ];
    NOISE.iter().any(|noise| line.starts_with(noise))
}

/// Runs calls for people: shows them with `-v`, ends them on Ctrl-C.
#[derive(Debug, Clone)]
pub struct Runner {
    report: Report,
    interrupt: Interrupt,
}

impl Runner {
    /// Returns a runner that says what it runs through `report` and stops on `interrupt`.
    pub fn new(report: &Report, interrupt: &Interrupt) -> Self {
        let (report, interrupt) = (report.clone(), interrupt.clone());
        Runner { report, interrupt }
    }

    /// Returns a runner that a signal already noted does not stop: to tidy up after it.
    pub fn undisturbed(&self) -> Self {
        Runner::new(&self.report, &Interrupt::default())
    }

    /// Returns a runner that does not show what it runs: for what is asked again and again.
    pub fn discreet(&self) -> Self {
        Runner::new(&self.report.without_details(), &self.interrupt)
    }

    /// Returns where messages go.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Returns whether to stop.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Runs `call` to its end. Each line it prints goes to `on_line` as it comes.
    ///
    /// # Errors
    /// `refused` when it cannot be started or read, `stopped` after a signal, once the program has
    /// ended.
    pub fn run(&self, call: &Call, mut on_line: impl FnMut(&str)) -> Result<Outcome> {
        self.interrupt.check()?;
        self.report.detail(format!("running: {call}"));
        let not_started = |source| call.not_started(source);
        let mut child = call
            .to_command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(not_started)?;
        let mut stdout = Output::of(child.stdout.take()).map_err(not_started)?;
        let mut stderr = Output::of(child.stderr.take()).map_err(not_started)?;
        let status = loop {
            // Asked before the pipes are read: all that an ended program wrote is in them. Their
            // end is not waited for, as a container's monitor may keep them open.
            let ended = child.try_wait().map_err(not_started)?;
            stdout.read(&mut on_line).map_err(not_started)?;
            stderr.read(&mut on_line).map_err(not_started)?;
            if let Some(status) = ended {
                break status;
            }
            if self.interrupt.is_set() {
                end_group(&mut child);
            }
            self.interrupt.check()?;
            wait_for_output(&stdout, &stderr).map_err(not_started)?;
        };
        Ok(Outcome {
            status,
            stdout: stdout.finish(&mut on_line),
            stderr: stderr.finish(&mut on_line),
        })
    }

    /// Runs `call` on the person's own terminal or pipes, to its end.
    ///
    /// # Errors
    /// `refused` when it cannot be started, `stopped` after a signal.
    pub fn hand_over(&self, call: &Call) -> Result<ExitStatus> {
        const TERM_TIMEOUT: Duration = Duration::from_secs(2);
        self.report.detail(format!("running: {call}"));
        let not_started = |source| call.not_started(source);
        let mut child = call.to_command().spawn().map_err(not_started)?;
        let mut patience_ends = None;
        loop {
            if let Some(status) = child.try_wait().map_err(not_started)? {
                self.interrupt.check()?;
                return Ok(status);
            }
            match patience_ends {
                None if self.interrupt.is_set() => {
                    signal(&child, Signal::TERM);
                    patience_ends = Some(Instant::now() + TERM_TIMEOUT);
                }
                Some(at) if Instant::now() >= at => signal(&child, Signal::KILL),
                _ => {}
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// One output of a running program, read without waiting.
struct Output<R> {
    /// `None` once it has ended.
    pipe: Option<R>,
    bytes: Vec<u8>,
    /// Up to where `bytes` were handed over as lines.
    told: usize,
}

impl<R: Read + AsFd> Output<R> {
    fn of(pipe: Option<R>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let (bytes, told) = (Vec::new(), 0);
        Ok(Output { pipe, bytes, told })
    }

    /// Reads what is there and hands over each line that it completes.
    fn read(&mut self, on_line: &mut impl FnMut(&str)) -> io::Result<()> {
        if let Some(pipe) = &mut self.pipe {
            match pipe.read_to_end(&mut self.bytes) {
                Ok(_) => self.pipe = None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        while let Some(length) = memchr::memchr(b'\n', &self.bytes[self.told..]) {
            self.tell(self.told + length, on_line);
            self.told += 1;
        }
        Ok(())
    }

    /// Returns all of it, bytes that are not UTF-8 replaced; a last line without an end is handed
    /// over, too.
    fn finish(mut self, on_line: &mut impl FnMut(&str)) -> String {
        if self.told < self.bytes.len() {
            self.tell(self.bytes.len(), on_line);
        }
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn tell(&mut self, end: usize, on_line: &mut impl FnMut(&str)) {
        on_line(String::from_utf8_lossy(&self.bytes[self.told..end]).trim_end());
        self.told = end;
    }
}

/// Waits until one of two outputs has something, or for a moment.
fn wait_for_output(stdout: &Output<impl AsFd>, stderr: &Output<impl AsFd>) -> io::Result<()> {
    let stdout = stdout.pipe.as_ref().map(AsFd::as_fd);
    let stderr = stderr.pipe.as_ref().map(AsFd::as_fd);
    let mut pipes: Vec<PollFd<'_>> = [stdout, stderr]
        .into_iter()
        .flatten()
        .map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN))
        .collect();
    let look = Timespec::try_from(POLL_INTERVAL).map_err(io::Error::other)?;
    match poll(&mut pipes, Some(&look)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn process_id(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// An error means that the program is gone already.
fn signal(child: &Child, signal: Signal) {
    if let Some(id) = process_id(child) {
        kill_process(id, signal).unwrap_or(());
    }
}

/// Ends a program and what it started, in order where it can, and waits until they are gone.
fn end_group(child: &mut Child) {
    const STOP_TIMEOUT: Duration = Duration::from_secs(10);
    let Some(group) = process_id(child) else {
        return;
    };
    // Errors mean that nothing of the group is left.
    kill_process_group(group, Signal::TERM).unwrap_or(());
    let patience_ends = Instant::now() + STOP_TIMEOUT;
    while child.try_wait().is_ok_and(|status| status.is_none())
        || test_kill_process_group(group).is_ok()
    {
        if Instant::now() >= patience_ends {
            kill_process_group(group, Signal::KILL).unwrap_or(());
            return;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Returns where a program is on the PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| {
            rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::report::{ColorChoice, Verbosity};

    fn runner(interrupt: &Interrupt) -> Runner {
        Runner::new(
            &Report::new(Verbosity::Quiet, ColorChoice::Never),
            interrupt,
        )
    }

    #[test]
    fn a_call_prints_as_a_shell_takes_it() {
        let call = Call::new("podman", ["logs", "it's", "", "a b"])
            .variable("K_UI_PORT", "8081", true)
            .variable("PATH", "/bin", false);
        assert_eq!(
            call.to_string(),
            r"K_UI_PORT=8081 podman logs 'it'\''s' '' 'a b'"
        );
    }

    #[test]
    fn a_long_call_is_told_by_its_end() {
        let long = format!("/{}/podman-compose.yml", "state".repeat(20));
        let call = Call::new(
            "podman-compose",
            ["-f", &long, "-p", "kworkshop", "up", "-d", "kafka"],
        );
        assert_eq!(call.summary(), "podman-compose … -p kworkshop up -d kafka");
        assert_eq!(
            Call::new("podman", ["stop", "1"]).summary(),
            "podman stop 1"
        );
        assert_eq!(
            Call::new("podman", ["stop", &long]).summary(),
            format!("podman stop {long}")
        );
    }

    #[test]
    fn both_streams_and_the_status_come_back() {
        let call = Call::new("sh", ["-c", "echo out; echo 'Error: no' >&2; exit 3"]);
        let mut seen = Vec::new();
        let outcome = runner(&Interrupt::default())
            .run(&call, |line| seen.push(line.to_owned()))
            .expect("sh runs");
        seen.sort();
        assert_eq!(seen, ["Error: no", "out"]);
        assert_eq!(
            (outcome.stdout.as_str(), outcome.status.code()),
            ("out\n", Some(3))
        );
        assert_eq!(outcome.last_words(), Some("no"));
    }

    #[test]
    fn a_program_that_leaves_another_with_its_pipes_has_ended_and_said_all() {
        let call = Call::new("sh", ["-c", "sleep 30 & echo $!; seq 9000; printf end"]);
        let began = Instant::now();
        let mut lines = Vec::new();
        let outcome = runner(&Interrupt::default())
            .run(&call, |line| lines.push(line.to_owned()))
            .expect("sh runs");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!((lines.len(), lines[9001].as_str()), (9002, "end"));
        let left = lines[0].parse().ok().and_then(Pid::from_raw);
        kill_process(left.expect("a process id"), Signal::KILL).expect("it ran");
        assert!(outcome.stdout.ends_with("9000\nend"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = runner(&Interrupt::default())
            .run(&Call::new("no-such-program", [""; 0]), |_| ())
            .expect_err("it is not there");
        assert_eq!(
            error.to_string(),
            "cannot run `no-such-program`: no such file or directory"
        );
    }
}
