//! What went wrong with a container or its engine, and the likely cause.
//!
//! In: what was printed, and how a container ended. Out: one error with the words that matter, a
//! cause, and what to do about it.

use crate::error::Error;
use crate::stack::command::{Call, Outcome};
use crate::stack::container::{Container, State};
use crate::stack::service::Service;

/// Lines of a log that an error shows.
const LOG_LINES: usize = 3;
/// Characters of a log line that an error shows.
const LOG_WIDTH: usize = 110;

/// What is known to cause what is printed: any of the phrases, the cause, what to do.
const CAUSES: [(&[&str], &str); 15] = [
    (
        &[
            "OutOfMemoryError",
            "Cannot allocate memory",
            "insufficient memory",
        ],
        "it ran out of memory: close other programs, or start less with `k start --only kafka`",
    ),
    (
        &["no space left on device", "No space left on device"],
        "the disk of the containers is full: free some space, or remove unused images with `podman image prune`",
    ),
    (
        &[
            "UnknownHostException",
            "No resolvable bootstrap urls",
            "Name or service not known",
        ],
        "containers cannot find each other by name: `k doctor` shows which package is missing",
    ),
    (
        &[
            "address already in use",
            "Address already in use",
            "port is already allocated",
        ],
        "another program uses the port: end it, then run `k start` again",
    ),
    (
        &["exec format error", "Exec format error"],
        "the image was made for another kind of processor: name one for yours with `--broker-image`",
    ),
    (
        &["toomanyrequests", "rate limit"],
        "the registry limits the rate of downloads: log in with `podman login docker.io`, or wait some hours",
    ),
    (
        &["manifest unknown", "name unknown", "not found in registry"],
        "the registry has no such image: check its name and tag",
    ),
    (
        &["unauthorized", "authentication required", "denied: "],
        "the registry refuses access: check the image's name, or log in with `podman login`",
    ),
    (
        &["x509: ", "certificate signed by unknown authority"],
        "a proxy intercepts the connection: give the engine its certificate, or pull from another network",
    ),
    (
        &[
            "no such host",
            "i/o timeout",
            "network is unreachable",
            "connection refused",
            "Temporary failure in name resolution",
            "server misbehaving",
            "TLS handshake timeout",
            "EOF",
        ],
        "the registry cannot be reached: run `k pull` once with a network; `k start` then needs none",
    ),
    (
        &["Cannot connect to Podman", "unable to connect to Podman"],
        "podman's machine is not running: `podman machine start`",
    ),
    (
        &[
            "Cannot connect to the Docker daemon",
            "docker daemon is not running",
            "docker.sock",
        ],
        "docker is not running: start it, or use podman with `--engine podman`",
    ),
    (
        &[
            "newuidmap",
            "newgidmap",
            "insufficient UIDs or GIDs",
            "subuid",
        ],
        "podman has no user ids to run containers as you: `k doctor` shows how to add some",
    ),
    (
        &[
            "InconsistentClusterIdException",
            "CorruptRecordException",
            "Found existing but corrupt",
        ],
        "the data in its container does not fit: `k reset` deletes it, then `k start` starts over",
    ),
    // Apache's own image says so, too, and goes on; the end of its log is another then.
    (
        &["is already formatted. Use --ignore-formatted"],
        "this image can start only once: name another with `--broker-image`, or delete its data with `k reset`",
    ),
];

/// Returns the likely cause of what was printed and what to do about it, if it is known.
pub fn likely_cause(printed: &str) -> Option<&'static str> {
    CAUSES
        .iter()
        .find(|(phrases, _)| phrases.iter().any(|phrase| printed.contains(phrase)))
        .map(|(_, cause)| *cause)
}

/// Returns the error of a program that did not succeed, in its own last words.
pub fn of_call(program: &str, call: &Call, outcome: &Outcome) -> Error {
    let words = outcome.last_words().unwrap_or("it printed nothing");
    let error = Error::refused(format!("{program} failed: {}", innermost(words)))
        .during(format!("running `{}`", call.summary()));
    match likely_cause(&outcome.stderr) {
        Some(cause) => error.hint(cause),
        None => error.hint("check the engine with `k doctor`"),
    }
}

/// Returns the error of a service whose container no longer runs, with the end of its log.
pub fn of_service(container: &Container, log: &str) -> Error {
    let service = container.service;
    let (how, cause) = match container.state {
        State::Ended {
            out_of_memory: true,
            ..
        } => (
            "was ended because memory ran out".to_owned(),
            Some(memory_advice(service)),
        ),
        State::Ended {
            exit_status: 137, ..
        } => (
            "was killed (exit status 137), usually because memory ran out".to_owned(),
            Some(memory_advice(service)),
        ),
        State::Ended { exit_status, .. } => (format!("ended with exit status {exit_status}"), None),
        _ => ("is not running".to_owned(), None),
    };
    let message = format!("`{service}` {how}{}", last_lines(log));
    let error = Error::refused(message).during("waiting until it is ready");
    let error = match cause.or_else(|| likely_cause(log).map(str::to_owned)) {
        Some(cause) => error.hint(cause),
        None => error,
    };
    error.hint(format!("see its full log with `k logs {service}`"))
}

/// Returns the error of a Kafka without container that no longer runs, with the end of its log.
pub fn of_process(log: &str) -> Error {
    let message = format!("Kafka ended before it was ready{}", last_lines(log));
    let error = Error::refused(message).during("waiting until it is ready");
    let error = match likely_cause(log) {
        Some(cause) => error.hint(cause),
        None => error,
    };
    error.hint("see its full log with `k logs kafka`; `k reset` deletes its data")
}

/// Returns the error of a service that runs but does not answer in time, with the end of its log.
pub fn of_silence(service: Service, seconds: u64, reason: &str, log: &str) -> Error {
    let message = format!(
        "`{service}` is not ready after {seconds} s: {}{}",
        shortened(reason),
        last_lines(log)
    );
    let error = Error::retry(message);
    let error = match likely_cause(log) {
        Some(cause) => error.hint(cause),
        None => error.hint("on a slow machine, wait longer: `k start --timeout 10m`"),
    };
    error.hint(format!("see its full log with `k logs {service}`"))
}

fn memory_advice(service: Service) -> String {
    match (cfg!(target_os = "macos"), service) {
        (true, _) => "give podman's machine 4 GB: `podman machine stop; podman machine set --memory 4096; podman machine start`".to_owned(),
        (false, Service::Kafka) => "close other programs, or start less with `k start --only kafka`".to_owned(),
        (false, _) => format!("close other programs, or go on without it: `k` does not need `{}`", service),
    }
}

/// Returns the last lines of a log that say something, each on a line of its own.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| tells(line))
        .collect();
    lines[lines.len().saturating_sub(LOG_LINES)..]
        .iter()
        .map(|line| format!("\n  {}", shortened(line)))
        .collect()
}

/// Returns whether a line of a log is more than a frame of a Java stack trace.
fn tells(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("at ") && !line.starts_with("... ")
}

/// Returns the end of an error in Go's way, `doing this: doing that: reason`: the reason matters.
fn innermost(words: &str) -> String {
    const WIDTH: usize = 150;
    let starts = words
        .match_indices(": ")
        .map(|(at, colon)| at + colon.len());
    match starts
        .into_iter()
        .find(|start| words.len() - start <= WIDTH)
    {
        Some(start) if words.len() > WIDTH => format!("…{}", &words[start..]),
        _ => shortened(words),
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LOG_WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit_status: i64) -> Container {
        Container {
            id: "1".to_owned(),
            name: "kworkshop_kafka_1".to_owned(),
            service: Service::Kafka,
            image: "docker.io/apache/kafka:4.3.1".to_owned(),
            state: State::Ended {
                exit_status,
                out_of_memory: false,
            },
            port: Some(9092),
            written_bytes: None,
        }
    }

    #[test]
    fn a_failed_service_shows_its_last_words_and_not_the_stack_trace() {
        let log = "starting\nlog.dirs is bad\njava.net.UnknownHostException: kafka\n\tat java.base/X(Y.java:1)\n\t... 7 more\n";
        assert_eq!(
            of_service(&ended(1), log).lines(),
            [
                "error: `kafka` ended with exit status 1",
                "  starting",
                "  log.dirs is bad",
                "  java.net.UnknownHostException: kafka",
                "  while waiting until it is ready",
                "hint: containers cannot find each other by name: `k doctor` shows which package is missing",
                "hint: see its full log with `k logs kafka`",
            ]
        );
    }

    #[test]
    fn a_killed_service_wanted_memory() {
        let lines = of_service(&ended(137), "").lines();
        assert!(
            lines[0].ends_with("usually because memory ran out"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn the_reason_at_the_end_of_a_long_error_is_kept() {
        let long = format!(
            "initializing source: {}: dial tcp: lookup docker.io: no such host",
            "x".repeat(150)
        );
        assert_eq!(
            innermost(&long),
            "…dial tcp: lookup docker.io: no such host"
        );
        assert_eq!(innermost("short: no"), "short: no");
        assert_eq!(innermost(&"é: ".repeat(300)).chars().next(), Some('…'));
    }

    #[test]
    fn errors_stay_within_eight_lines_whatever_the_log() {
        let log = "é".repeat(5_000) + "\n" + &"x\n".repeat(5_000);
        for error in [
            of_service(&ended(1), &log),
            of_silence(Service::Kafka, 60, &log, &log),
        ] {
            assert!(error.lines().len() <= 8);
            assert!(error.lines().iter().all(|line| line.chars().count() < 160));
        }
    }
}
