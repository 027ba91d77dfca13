//! Asks a service from outside its container whether it is ready.
//!
//! A container that runs says little: Kafka accepts connections before it elects itself, ksqlDB
//! serves pages before it can read a topic.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::error::{Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::stack::command::Runner;
use crate::stack::service::Service;

/// How long a service may take to answer one question over HTTP.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks once. The inner error says in few words why the service is not ready.
///
/// # Errors
/// `stopped` after a signal.
pub fn ask(service: Service, port: u16, runner: &Runner) -> Result<Result<(), String>> {
    match service {
        Service::Kafka => kafka(&service.address(port), runner),
        Service::Ksqldb => http(
            &url(service, port),
            "/KsqlServerInfo/serverStatus",
            "RUNNING",
            runner,
        ),
        Service::KafkaUi => http(&url(service, port), "/status", "UP", runner),
    }
}

/// Returns what [`ask`] takes for ready: completes "wait until …".
pub fn ready_when(service: Service, port: u16) -> String {
    match service {
        Service::Kafka => format!("Kafka would create a topic at {}", service.address(port)),
        Service::Ksqldb => format!("{} says RUNNING", url(service, port)),
        Service::KafkaUi => format!("{} says UP", url(service, port)),
    }
}

/// The numeric address: `localhost` may mean ::1, where nothing is published.
fn url(service: Service, port: u16) -> String {
    let path = match service {
        Service::KafkaUi => "actuator/health",
        _ => "info",
    };
    format!("http://127.0.0.1:{port}/{path}")
}

/// Asks the Kafka at `broker` whether it would create a topic, at the address that it advertises.
/// As [`ask`] otherwise.
///
/// # Errors
/// `stopped` after a signal.
pub fn kafka(broker: &str, runner: &Runner) -> Result<Result<(), String>> {
    let (report, interrupt) = (
        runner.report().without_details(),
        runner.interrupt().clone(),
    );
    let settings = Settings::new(broker.to_owned(), Vec::new(), report, interrupt)?;
    match Admin::new(&settings)?.check_topic_creation() {
        Ok(()) => Ok(Ok(())),
        Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Asks for a JSON document in which the member at `pointer` must be `expected`.
fn http(url: &str, pointer: &str, expected: &str, runner: &Runner) -> Result<Result<(), String>> {
    let (sender, answer) = mpsc::channel();
    let asked = url.to_owned();
    // On a thread of its own, so that a signal need not wait for the answer.
    std::thread::spawn(move || sender.send(get(&asked)).unwrap_or(()));
    let text = loop {
        match answer.recv_timeout(Duration::from_millis(20)) {
            Ok(Ok(text)) => break text,
            Ok(Err(reason)) => return Ok(Err(reason)),
            Err(RecvTimeoutError::Timeout) => runner.interrupt().check()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(Err("no answer".to_owned())),
        }
    };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(
        match json.pointer(pointer).and_then(|member| member.as_str()) {
            Some(member) if member == expected => Ok(()),
            Some(member) => Err(format!("it reports {member}")),
            None => Err("it answers, but not as expected".to_owned()),
        },
    )
}

fn get(url: &str) -> Result<String, String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_TIMEOUT))
        .http_status_as_error(false) // a service that is not ready says so with its status
        .proxy(None) // never for this machine
        .build()
        .new_agent();
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    response
        .body_mut()
        .read_to_string()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::interrupt::Interrupt;
    use crate::term::report::{ColorChoice, Report, Verbosity};

    /// Answers one request with `response` and returns its port.
    fn server(response: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a request");
            let mut request = [0; 4096];
            let length = client.read(&mut request).expect("a request");
            assert!(request[..length].starts_with(b"GET /"));
            client.write_all(response.as_bytes()).expect("answered");
        });
        port
    }

    fn asked(service: Service, port: u16) -> Result<(), String> {
        let report = Report::new(Verbosity::Quiet, ColorChoice::Never);
        ask(service, port, &Runner::new(&report, &Interrupt::default())).expect("no signal")
    }

    #[test]
    fn ksqldb_is_ready_once_it_says_running() {
        let running = server(
            "HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n{\"KsqlServerInfo\":{\"serverStatus\": \"RUNNING\" }}",
        );
        assert_eq!(asked(Service::Ksqldb, running), Ok(()));
        let not_yet = server(
            "HTTP/1.1 200 OK\r\nContent-Length: 47\r\n\r\n{\"KsqlServerInfo\":{\"serverStatus\":\"STARTING\" }}",
        );
        assert_eq!(
            asked(Service::Ksqldb, not_yet),
            Err("it reports STARTING".to_owned())
        );
    }

    #[test]
    fn the_web_ui_is_ready_once_it_says_up() {
        let up = server("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"UP\"}");
        assert_eq!(asked(Service::KafkaUi, up), Ok(()));
        let down =
            server("HTTP/1.1 503 Unavailable\r\nContent-Length: 17\r\n\r\n{\"status\":\"DOWN\"}");
        assert_eq!(
            asked(Service::KafkaUi, down),
            Err("it reports DOWN".to_owned())
        );
    }

    #[test]
    fn something_else_at_the_port_is_not_ready() {
        let other = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        let answer = asked(Service::KafkaUi, other);
        assert_eq!(answer, Err("it answers, but not as expected".to_owned()));
    }

    #[test]
    fn a_port_where_nobody_listens_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        assert!(asked(Service::Ksqldb, port).is_err());
    }
}
