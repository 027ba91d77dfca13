//! Whether brokers can be reached: what clients have said of it, and how long a run waits for one.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::admin::Admin;
use super::wire::connection::SECURED;
use super::{Settings, lower_first};
use crate::clock;
use crate::error::{Remedy, Result};

/// What a client has said about its connections.
#[derive(Debug, Default)]
pub(crate) struct Health {
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// The last error in librdkafka's words.
    said: String,
    /// Why the last connection failed, in few words.
    reason: Option<String>,
    /// The addresses of the brokers whose connections have failed.
    away: BTreeSet<String>,
    /// Whether no broker can be reached.
    all_down: bool,
    /// An error after which the client is unusable.
    pub(super) fatal: Option<(RDKafkaErrorCode, String)>,
}

impl Health {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.lock().reason.clone()
    }

    /// Returns those of some brokers whose connections have failed; all where it is none of them,
    /// since brokers may be known by other addresses than those named.
    pub(super) fn away(&self, brokers: &str) -> String {
        let trouble = self.lock();
        let named = brokers.split(',').map(str::trim);
        let away: Vec<&str> = named.filter(|name| trouble.away.contains(*name)).collect();
        if away.is_empty() {
            brokers.to_owned()
        } else {
            away.join(",")
        }
    }

    /// Returns whether no broker can be reached.
    pub(super) fn all_down(&self) -> bool {
        self.lock().all_down
    }

    /// Notes an error in librdkafka's words; whether they are not those of the last one.
    pub(super) fn is_news(&self, reason: &str) -> bool {
        let mut trouble = self.lock();
        let news = trouble.said != reason;
        trouble.said = reason.to_owned();
        news
    }

    /// Forgets the trouble, because a broker has answered.
    pub(super) fn forget(&self) {
        *self.lock() = Trouble::default();
    }

    /// Notes that a broker of an address cannot be reached.
    pub(super) fn note_lost(&self, address: &str, reason: &str) {
        let mut trouble = self.lock();
        trouble.reason = Some(reason.to_owned());
        trouble.away.insert(address.to_owned());
    }

    /// Notes that no broker can be reached.
    pub(super) fn note_all_lost(&self) {
        self.lock().all_down = true;
    }

    /// Notes that a broker refuses this client's login.
    pub(super) fn note_refused(&self, reason: &str) {
        self.note_fatal(RDKafkaErrorCode::Authentication, reason);
    }

    /// Notes that a broker cannot be trusted by TLS, or does not trust this client.
    pub(super) fn note_untrusted(&self, reason: &str) {
        self.note_fatal(RDKafkaErrorCode::SSL, reason);
    }

    fn note_fatal(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut trouble = self.lock();
        trouble.fatal.get_or_insert((code, reason.to_owned()));
    }

    pub(super) fn note(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut trouble = self.lock();
        match code {
            RDKafkaErrorCode::AllBrokersDown => trouble.all_down = true,
            RDKafkaErrorCode::Fatal
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::SSL => {
                let reason = short_reason(reason);
                trouble.fatal.get_or_insert((code, reason));
            }
            _ => {
                trouble.reason = Some(short_reason(reason));
                trouble.away.extend(address_in(reason));
            }
        }
    }
}

/// A time in which no broker can be reached, while a run goes on.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    since: Option<Instant>,
    probed: Option<Instant>,
    /// Whether it is waited for as long as it lasts.
    endless: bool,
}

impl Outage {
    /// How long a run waits for a broker to come back.
    const MAX_OUTAGE: Duration = Duration::from_secs(30);
    /// How often it looks.
    const PROBE_INTERVAL: Duration = Duration::from_secs(1);

    /// Returns the outages of a run that continues until the user ends it.
    pub(crate) fn endless() -> Self {
        Outage {
            endless: true,
            ..Outage::default()
        }
    }

    /// Says when an outage begins and ends; a broker that restarts is waited for.
    ///
    /// # Errors
    /// `retry` when it lasts too long, `refused` when the client is unusable.
    pub(crate) fn ride_out(&mut self, settings: &Settings, health: &Health) -> Result<()> {
        let down = match settings.check_health(health) {
            Err(error) if error.remedy() == Remedy::Retry => error,
            healthy => {
                if self.since.take().is_some() {
                    self.tell_end(settings);
                }
                return healthy;
            }
        };
        let now = clock::now();
        if self.since.is_none() {
            let patience = if self.endless {
                "waiting for it".to_owned()
            } else {
                format!("trying for {} s", Self::MAX_OUTAGE.as_secs())
            };
            settings.report.warning(format!("{down}; {patience}"));
        }
        let since = *self.since.get_or_insert(now);
        if self
            .probed
            .is_some_and(|probed| now < probed + Self::PROBE_INTERVAL)
        {
            return Ok(());
        }
        self.probed = Some(now);
        // librdkafka says that all brokers are down, and never that one is back.
        match Admin::new(settings)?.topics() {
            Ok(_) => {
                self.tell_end(settings);
                health.forget();
                self.since = None;
                Ok(())
            }
            Err(error) if error.remedy() != Remedy::Retry => Err(error),
            Err(error) if !self.endless && now >= since + Self::MAX_OUTAGE => Err(error),
            Err(_) => Ok(()),
        }
    }

    fn tell_end(&self, settings: &Settings) {
        let answers = format!("Kafka at `{}` answers again", settings.brokers);
        settings.report.status(answers);
    }
}

/// What librdkafka's log says of a broker that ends the conversation at its first word.
pub(super) const HUNG_UP: [&str; 2] = ["closed by peer", "in state APIVERSION_QUERY"];

/// What librdkafka says about common mistakes, and what is reported instead.
const MISTAKES: [(&str, &str); 4] = [
    // The four bytes `HTTP`, taken for a length.
    (
        "Invalid response size 1213486160",
        "a web server answers there, in HTTP",
    ),
    ("Failed to resolve", "no such host"),
    ("Connection setup timed out", "the connection timed out"),
    ("connecting to a SSL listener?", SECURED),
];

/// Returns the useful part of a connection error: `h:9092/bootstrap: Connect to ipv4#h:9092 failed:
/// Connection refused (after 0ms in state CONNECT)` becomes `connection refused`.
fn short_reason(reason: &str) -> String {
    if let Some((_, told)) = MISTAKES.iter().find(|(said, _)| reason.contains(said)) {
        return (*told).to_owned();
    }
    let reason = reason.split(" (after ").next().unwrap_or_default();
    let reason = match reason.rsplit_once("failed: ") {
        Some((_, cause)) => cause,
        None => match reason.split_once(": ") {
            Some((broker, cause)) if broker.contains(':') => cause,
            _ => reason,
        },
    };
    lower_first(reason.trim())
}

/// Returns the address of the broker that a connection error is about.
fn address_in(reason: &str) -> Option<String> {
    // `TxnCoordinator: h:9092: …`, `h:9092/bootstrap: …`
    let mut words = reason.split(": ").take(2);
    let broker = words.find(|word| word.contains(':'))?;
    let broker = broker.rsplit("://").next().unwrap_or_default();
    let address = broker
        .split_once('/')
        .map_or(broker, |(address, _)| address);
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_error_is_cut_to_its_cause() {
        for (said, told) in [
            (
                "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
                "connection refused",
            ),
            (
                "nohost:9092/bootstrap: Failed to resolve 'nohost:9092': Name or service not known (after 3ms in state CONNECT)",
                "no such host",
            ),
            (
                "10.255.255.1:9092/bootstrap: Connection setup timed out in state CONNECT (after 5000ms in state CONNECT)",
                "the connection timed out",
            ),
            (
                "127.0.0.1:8080/bootstrap: Receive failed: Invalid response size 1213486160 (0..100000000): increase receive.message.max.bytes",
                "a web server answers there, in HTTP",
            ),
        ] {
            assert_eq!(short_reason(said), told);
        }
    }

    #[test]
    fn of_several_brokers_those_are_named_whose_connections_have_failed() {
        let health = Health::default();
        assert_eq!(health.away("h:1,h:2,h:3"), "h:1,h:2,h:3");
        for said in [
            "h:2/bootstrap: Connect to ipv4#127.0.0.1:2 failed: Connection refused (after 0ms in state CONNECT)",
            "GroupCoordinator: h:3: Disconnected (after 12ms in state UP)",
        ] {
            health.note(RDKafkaErrorCode::BrokerTransportFailure, said);
        }
        assert_eq!(health.away("h:1, h:2, h:3"), "h:2,h:3");
        assert_eq!(health.away("elsewhere:9092"), "elsewhere:9092");
    }
}
