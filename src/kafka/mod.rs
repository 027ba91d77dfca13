//! What sources and sinks share of Kafka: settings, connecting, logs, errors.
//!
//! In: a broker list and librdkafka properties. Out: clients whose log and errors reach the user
//! only through [`Report`], as lines in `k`'s own words.
//!
//! - [`admin`]: topics, configurations, groups and offsets
//! - [`fetch`], [`member`]: records of partitions that the caller chooses, or that a group assigns
//! - [`slot`]: a partition that a group has given to this process
//! - [`queue`]: where records wait, and how they are read
//! - [`producer`], [`transaction`]: records to topics, one by one, or all or none
//! - [`health`]: whether brokers can be reached
//! - [`fetched`]: records, wherever they lie
//! - [`client`], [`direct`]: reading and writing without librdkafka, and the choice of it
//! - [`batch`], [`wire`]: records and requests as bytes
//! - [`open_transactions`]: transactions that keep readers waiting
//! - [`own`]: properties that only `k` may set
//! - [`port`]: the seam to librdkafka, or to what takes its place
//! - [`partitioner`]: which partition a key belongs to
//! - [`security`]: logins and TLS of the direct client; [`tls`]: whether librdkafka has TLS
//! - `native`: the librdkafka calls that the `rdkafka` crate lacks, and most of the unsafe code

pub mod admin;
pub mod batch;
pub(crate) mod client;
pub(crate) mod direct;
pub(crate) mod fetch;
pub mod fetched;
pub(crate) mod health;
pub mod member;
mod native;
pub(crate) mod open_transactions;
pub(crate) mod own;
pub mod partitioner;
pub(crate) mod port;
pub mod producer;
pub(crate) mod queue;
pub(crate) mod security;
pub(crate) mod slot;
pub(crate) mod tls;
pub(crate) mod transaction;
pub(crate) mod unreadable;
pub(crate) mod wire;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaRespErr;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::kafka::client::{Choice, Client};
use crate::kafka::port::Cluster;
use crate::term::report::Report;

pub(crate) use health::{Health, Outage};

use health::HUNG_UP;
use wire::connection::SECURED;

/// Names of librdkafka's that mean one property, of those that are set here.
const SAME: [[&str; 2]; 7] = [
    ["bootstrap.servers", "metadata.broker.list"],
    ["acks", "request.required.acks"],
    ["compression.codec", "compression.type"],
    ["message.timeout.ms", "delivery.timeout.ms"],
    ["max.in.flight.requests.per.connection", "max.in.flight"],
    ["queue.buffering.max.ms", "linger.ms"],
    ["fetch.message.max.bytes", "max.partition.fetch.bytes"],
];

/// How long a broker may take to answer before it is called out of reach.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// Where Kafka is and how to speak to it.
#[derive(Clone)]
pub struct Settings {
    /// `HOST:PORT`, comma-separated.
    pub(crate) brokers: String,
    /// librdkafka properties that the user set; they win over `k`'s own.
    properties: Vec<(String, String)>,
    /// Who reads topics.
    client: Choice,
    /// Whether records of transactions that are open or were aborted are read, too.
    uncommitted: bool,
    /// What stands in for librdkafka, and the brokers behind it.
    cluster: Option<Arc<dyn Cluster>>,
    report: Report,
    interrupt: Interrupt,
}

/// Without the values of properties: some are secrets.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.properties.iter().map(|(name, _)| name);
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("properties", &names.collect::<Vec<_>>())
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Checks the brokers' addresses, and the properties by their names and values.
    ///
    /// # Errors
    /// `usage` for an address that is none, a property that librdkafka does not know, or a value
    /// that it does not take; `refused` for TLS of librdkafka's where it is not built in.
    pub fn new(
        brokers: String,
        mut properties: Vec<(String, String)>,
        report: Report,
        interrupt: Interrupt,
    ) -> Result<Self> {
        check_brokers(&brokers)?;
        let client = Choice::of(&brokers, &mut properties)?;
        let is_direct = client.client == Client::Direct;
        if !is_direct {
            tls::check(&brokers, &properties).map_err(|error| client.blame(error))?;
        }
        for (name, value) in &properties {
            // A librdkafka without TLS knows none of these, and the direct client has read them.
            if is_direct && !tls::IS_BUILT_IN && security::is_of_tls(name) {
                continue;
            }
            ClientConfig::new()
                .set(name, value)
                .create_native_config()
                .map_err(|error| bad_property(&error, name))?;
        }
        Ok(Settings {
            client,
            brokers,
            properties,
            uncommitted: false,
            cluster: None,
            report,
            interrupt,
        })
    }

    /// Returns settings by which clients reach a cluster that is not behind librdkafka.
    #[cfg(test)]
    pub(crate) fn of_cluster(
        cluster: Arc<dyn Cluster>,
        report: Report,
        interrupt: Interrupt,
    ) -> Self {
        Settings {
            client: Choice::default(),
            brokers: "cluster".to_owned(),
            properties: Vec::new(),
            uncommitted: false,
            cluster: Some(cluster),
            report,
            interrupt,
        }
    }

    /// Returns the same settings for work that stops when another interrupt says so.
    pub(crate) fn stopped_by(self, interrupt: Interrupt) -> Self {
        Settings { interrupt, ..self }
    }

    /// Returns the same settings for a reader of all records, whatever became of their
    /// transactions.
    pub(crate) fn reading_uncommitted(self, uncommitted: bool) -> Self {
        Settings {
            uncommitted,
            ..self
        }
    }

    /// Returns who reads topics.
    pub fn client(&self) -> Client {
        self.client.client
    }

    /// Returns which client writes records without a group, and says so with `-v`.
    fn writer(&self) -> Client {
        let (client, why) = match client::unheeded_writing(&self.properties) {
            Some(name) if self.client() == Client::Direct => {
                let why = format!(" (the direct client does not heed `{name}`)");
                (Client::Librdkafka, why)
            }
            _ => (self.client(), String::new()),
        };
        let by = match client {
            Client::Librdkafka if why.is_empty() => self.client.to_string(),
            client => format!("{client}{why}"),
        };
        self.report.detail(format!("writing by {by}"));
        client
    }

    /// Returns a property that is a number, or what it is where a person has not set it; its range is
    /// checked by librdkafka.
    fn number(&self, name: &str, default: u64) -> u64 {
        let set = self.property(name).and_then(|value| value.parse().ok());
        set.unwrap_or(default)
    }

    /// Returns which addresses of a name are tried. Under rootless podman `localhost` is ::1 first,
    /// which accepts and then resets; `[::1]:9092` is meant as written.
    fn address_family(&self) -> &'static str {
        if self.brokers.contains('[') {
            "any"
        } else {
            "v4"
        }
    }

    /// Returns the configuration of a client of librdkafka's: `own` defaults, then what the person set.
    ///
    /// # Errors
    /// `refused` for TLS where librdkafka has none.
    fn config(&self, own: &[(&str, &str)]) -> Result<ClientConfig> {
        tls::check(&self.brokers, &self.properties).map_err(|error| {
            error.hint(
                "reading and writing without `--group` need no librdkafka, and no TLS of its own",
            )
        })?;
        // Without `-v` the log is not shown, but some reasons are only there.
        let level = match self.property("debug") {
            Some(_) => RDKafkaLogLevel::Debug,
            None => RDKafkaLogLevel::Info,
        };
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "k")
            .set("broker.address.family", self.address_family())
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000")
            // Topics are created by `k` with its own settings, never by asking for them.
            .set("allow.auto.create.topics", "false")
            .set_log_level(level);
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            // Of two names of one property librdkafka would take whichever it meets last.
            let is_meant = |names: &&[&str; 2]| names.contains(&name.as_str());
            for same in SAME.iter().filter(is_meant).flatten() {
                config.remove(same);
            }
            config.set(name, value);
        }
        Ok(config)
    }

    /// Returns a context for a new client and the health that it reports to.
    fn context(&self) -> (Context, Arc<Health>) {
        let health = Arc::new(Health::default());
        let context = Context {
            report: self.report.clone(),
            health: health.clone(),
        };
        (context, health)
    }

    /// Returns the property that the user set, if they did.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        let mut set = self.properties.iter().rev();
        set.find(|(set, _)| set == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns an error once no broker can be reached or the client is unusable.
    fn check_health(&self, health: &Health) -> Result<()> {
        if let Some((code, reason)) = &health.lock().fatal {
            if *code == RDKafkaErrorCode::SSL {
                return Err(Error::refused(format!(
                    "no connection to Kafka at `{}`: {reason}",
                    self.brokers
                )));
            }
            return Err(Error::refused(format!(
                "Kafka at `{}` refused the connection: {reason}",
                self.brokers
            ))
            .hint("to log in, set `-X security.protocol=…` and `-X sasl.…=…`"));
        }
        if health.all_down() {
            Err(self.unreachable(health))
        } else {
            Ok(())
        }
    }

    /// Returns the error of a broker that is out of reach.
    fn unreachable(&self, health: &Health) -> Error {
        let reason = health.reason().unwrap_or_else(|| "no answer".to_owned());
        let away = health.away(&self.brokers);
        Error::retry(format!("cannot reach Kafka at `{away}`: {reason}"))
            .hint("start the stack with `k start`, or name another broker with `--broker`")
    }
}

/// Checks a list of `HOST:PORT`, each with a scheme such as `SSL://` or without a port.
fn check_brokers(list: &str) -> Result<()> {
    let wrong = |reason: String| {
        Error::usage(reason).hint("write a broker as HOST:PORT, such as `127.0.0.1:9092`")
    };
    for broker in list.split(',').map(str::trim) {
        let (scheme, address) = broker.split_once("://").unwrap_or(("", broker));
        if address.is_empty() {
            return Err(wrong(format!("`{list}` names no broker")));
        }
        if scheme.starts_with("http") {
            let reason = "is a web address, but Kafka has its own protocol";
            return Err(wrong(format!("`{broker}` {reason}")));
        }
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        match address.rsplit_once(':') {
            // Colons are also within an IPv6 address, which is in brackets before a port.
            Some((host, _)) if host.contains(':') && !host.ends_with(']') => {}
            Some((host, port)) if host.is_empty() || !is_port(port) => {
                return Err(wrong(format!("`{broker}` is not the address of a broker")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks a topic's name by Kafka's rule.
///
/// # Errors
/// `usage` for a name that no topic can have.
pub(crate) fn check_topic_name(name: &str) -> Result<()> {
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() {
        return Err(Error::usage("the name of a topic is empty"));
    }
    if name.bytes().all(is_taken) && name.len() <= 249 && name != "." && name != ".." {
        Ok(())
    } else {
        Err(
            Error::usage(format!("`{name}` is not a valid name for a topic"))
                .hint("a name has at most 249 letters, digits, `.`, `_` and `-`"),
        )
    }
}

fn bad_property(error: &KafkaError, name: &str) -> Error {
    let reason = match error {
        KafkaError::ClientConfig(_, reason, _, _) => reason.trim_end_matches('.').to_owned(),
        other => other.to_string(),
    };
    Error::usage(format!("property `{name}`: {}", lower_first(&reason)))
        .hint("the names are those of librdkafka, listed in its CONFIGURATION.md")
}

/// Returns the error of a client that could not be made, such as of two properties at odds.
fn not_created(error: KafkaError) -> Error {
    let reason = match &error {
        KafkaError::ClientCreation(reason) => reason.clone(),
        KafkaError::ClientConfig(_, reason, name, _) => format!("property `{name}`: {reason}"),
        other => other.to_string(),
    };
    Error::usage(format!(
        "cannot use these Kafka properties: {}",
        lower_first(&reason)
    ))
    .caused_by(error)
}

/// Makes a call of librdkafka's that no signal could end, on a thread of its own; `tick` is called
/// while it is waited for, and its error ends the wait.
fn aside<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<T> {
    let (sender, answer) = mpsc::channel();
    std::thread::spawn(move || sender.send(call()).unwrap_or(())); // nobody may wait any more
    loop {
        match answer.recv_timeout(Duration::from_millis(20)) {
            Ok(answer) => return Ok(answer),
            Err(mpsc::RecvTimeoutError::Timeout) => tick()?,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Error::bug(
                    "the thread of a request to Kafka ended without an answer",
                ));
            }
        }
    }
}

/// Returns the refusal that a code in an answer means.
fn refusal_of(code: i16) -> Failure {
    match RDKafkaRespErr::try_from(i32::from(code)).map(RDKafkaErrorCode::from) {
        Ok(code) => Failure::Refused(code, words_of(code)),
        Err(_) => Failure::Refused(RDKafkaErrorCode::Unknown, format!("error {code}")),
    }
}

/// Returns whether a coordinator only needs some time, as after a broker's start.
fn is_settling(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
    )
}

/// Returns what an error code means, as it reads after a colon: `not coordinator`, and not
/// `NotCoordinator (Broker: Not coordinator)`.
fn words_of(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let words = text.split_once(" (").map(|(_, words)| words);
    lower_first(words.map_or(&text, |words| words.trim_end_matches(')')))
}

/// Takes librdkafka's log and errors; nothing of them is printed but with `-v`.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    report: Report,
    health: Arc<Health>,
}

impl Context {
    fn take_log(&self, facility: &str, message: &str) {
        self.report
            .detail(format!("librdkafka: {facility}: {message}"));
        if facility == "FAIL" && HUNG_UP.iter().all(|part| message.contains(part)) {
            let code = RDKafkaErrorCode::BrokerTransportFailure;
            self.health.note(code, SECURED);
        }
    }

    fn take_error(&self, code: RDKafkaErrorCode, reason: &str) {
        // The crate hands some errors over twice.
        if self.health.is_news(reason) {
            self.report.detail(format!("librdkafka: {reason}"));
        }
        self.health.note(code, reason);
    }
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.take_log(facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        self.take_error(code.unwrap_or(RDKafkaErrorCode::Fail), reason);
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, _opaque: ()) {}
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The broker answered with an error.
    Refused(RDKafkaErrorCode, String),
    /// There was no answer.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl Failure {
    /// Returns the code of a refusal.
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Failure::Refused(code, _) => Some(*code),
            Failure::Error(_) => None,
        }
    }

    /// Returns the error for people; `what` completes "cannot …".
    pub fn into_error(self, what: impl std::fmt::Display) -> Error {
        match self {
            Failure::Refused(_, reason) => {
                Error::refused(format!("cannot {what}: {}", lower_first(&reason)))
            }
            Failure::Error(error) => error,
        }
    }
}

/// Returns a sentence as it reads after a colon: first letter small, no full stop.
fn lower_first(text: &str) -> String {
    let text = text
        .strip_prefix("Broker: ")
        .or(text.strip_prefix("Local: "))
        .unwrap_or(text);
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        // An abbreviation such as SSL stays as it is.
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_sets_counts_by_whatever_name() {
        let set = [("max.partition.fetch.bytes", "2"), ("acks", "1")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let report = Report::new(
            crate::term::report::Verbosity::Quiet,
            crate::term::report::ColorChoice::Never,
        );
        let settings = Settings::new("h:1".into(), set.into(), report, Interrupt::default());
        let settings = settings.expect("settings");
        let config = settings.config(&[
            ("fetch.message.max.bytes", "1"),
            ("request.required.acks", "0"),
            ("linger.ms", "3"),
        ]);
        let config = config.expect("no TLS is asked for");
        let names = SAME
            .iter()
            .flatten()
            .filter(|name| config.get(name).is_some());
        let names: Vec<&str> = names.copied().collect();
        let counted = [
            "bootstrap.servers",
            "acks",
            "linger.ms",
            "max.partition.fetch.bytes",
        ];
        assert_eq!(names, counted);
    }

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        for list in [
            "127.0.0.1:9092",
            "a:1, b:65535",
            "localhost",
            "SSL://h:9093",
            "[::1]:9092",
            "::1",
        ] {
            assert!(check_brokers(list).is_ok(), "{list}");
        }
        for list in [
            "",
            " ",
            "a:1,",
            ":9092",
            "h:",
            "h:port",
            "h:99999",
            "h:0",
            "http://h:80",
        ] {
            let error = check_brokers(list).expect_err(list);
            assert_eq!(error.exit_status(), 2, "{list}");
        }
    }

    #[test]
    fn names_of_topics_follow_kafkas_rule() {
        let longest = "x".repeat(249);
        for name in ["a", "A.b_c-9", "...", &longest] {
            assert!(check_topic_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "ä", &format!("{longest}x")] {
            assert!(check_topic_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_brokers_words_follow_a_colon() {
        assert_eq!(
            lower_first("Broker: Unknown topic or partition"),
            "unknown topic or partition"
        );
        assert_eq!(lower_first("SSL handshake failed."), "SSL handshake failed");
        assert_eq!(lower_first(""), "");
        assert_eq!(
            words_of(RDKafkaErrorCode::NotCoordinator),
            "not coordinator"
        );
    }
}
