//! Logging in to a broker, and again before the login ends (KIP-368).
//!
//! While that goes on nothing else is asked there; what was asked before is answered first.

use std::time::{Duration, Instant};

use super::super::super::wire::bytes::Input;
use super::super::super::wire::sasl;
use super::super::super::wire::versions::Versions;
use super::super::super::wire::{Api, code};
use super::super::login::Exchange;
use super::{Cluster, Lasting, Link, Question, SOON, Useless};

/// A broker's side of a login.
#[derive(Debug, Default)]
pub struct Session {
    /// What goes on.
    exchange: Option<Exchange>,
    /// When a login that ends by itself is to be renewed.
    renew_at: Option<Instant>,
}

impl Session {
    /// Returns when the login is to be renewed, if it is.
    pub fn renews_at(&self) -> Option<Instant> {
        self.renew_at
    }
}

fn refused(reason: String) -> Useless {
    Useless {
        reason,
        lasting: Some(Lasting::Login),
    }
}

impl<Q> Cluster<Q> {
    /// Begins to log in to a broker that has said what it knows, where a login is asked for.
    pub(super) fn log_in(
        &mut self,
        node: usize,
        versions: Versions,
        now: Instant,
    ) -> Result<(), Useless> {
        let Some(login) = &self.options.login else {
            self.open(node, versions);
            return Ok(());
        };
        let mechanism = login.mechanism.name();
        self.nodes[node].link = Link::LoggingIn(versions);
        self.nodes[node].session = Session::default();
        let version = versions.of(Api::SaslHandshake);
        let version = version.ok_or_else(|| refused("it takes no login".to_owned()))?;
        let times = (now, Duration::ZERO);
        self.send(
            node,
            Api::SaslHandshake,
            version,
            Question::Mechanism,
            times,
            |output| sasl::write_handshake(output, mechanism),
        );
        Ok(())
    }

    /// A broker can be asked from now on.
    fn open(&mut self, node: usize, versions: Versions) {
        let node = &mut self.nodes[node];
        node.link = Link::Up(versions);
        node.has_failed = false;
        node.backoff = SOON;
    }

    /// Takes the mechanisms that a broker has.
    pub(super) fn take_mechanisms(
        &mut self,
        node: usize,
        input: Input<'_>,
        now: Instant,
    ) -> Result<(), Useless> {
        let Some(login) = &self.options.login else {
            return Err("it answers a login that was not asked for".into());
        };
        let (error, mechanisms) = sasl::read_handshake(input)?;
        match error {
            code::NONE => {}
            code::UNSUPPORTED_MECHANISM => {
                return Err(refused(format!(
                    "it does not take a login by {}, but by {}",
                    login.mechanism.name(),
                    mechanisms.join(", ")
                )));
            }
            code::ILLEGAL_LOGIN => {
                let reason = "it asks for no login: leave `sasl_` out of `security.protocol`";
                return Err(refused(reason.to_owned()));
            }
            error => return Err(format!("it refuses to begin a login: error {error}").into()),
        }
        let (exchange, message) = Exchange::begin(login).map_err(refused)?;
        self.nodes[node].session.exchange = Some(exchange);
        self.say(node, &message, now)
    }

    fn say(&mut self, node: usize, message: &[u8], now: Instant) -> Result<(), Useless> {
        let version = match self.nodes[node].link {
            Link::LoggingIn(versions) => versions.of(Api::SaslAuthenticate),
            _ => None,
        };
        let version = version.ok_or_else(|| refused("it takes no login".to_owned()))?;
        let times = (now, Duration::ZERO);
        self.send(
            node,
            Api::SaslAuthenticate,
            version,
            Question::Login,
            times,
            |output| sasl::write_message(output, message),
        );
        Ok(())
    }

    /// Takes what a broker says to the last message of a login.
    pub(super) fn take_login(
        &mut self,
        node: usize,
        (input, version): (Input<'_>, i16),
        now: Instant,
    ) -> Result<(), Useless> {
        let answer = sasl::read_message(input, version)?;
        if answer.error != code::NONE {
            let reason = answer.reason.filter(|reason| !reason.is_empty());
            let reason = reason.unwrap_or_else(|| format!("error {}", answer.error));
            return Err(refused(format!("SASL authentication error: {reason}")));
        }
        let Some(exchange) = &mut self.nodes[node].session.exchange else {
            return Err("it goes on with a login that was not begun".into());
        };
        if let Some(message) = exchange.take(&answer.message).map_err(refused)? {
            return self.say(node, &message, now);
        }
        // Some time before its end, as Kafka's own clients do.
        let renew_at = answer.lifetime.map(|lifetime| now + lifetime * 17 / 20);
        self.nodes[node].session = Session {
            exchange: None,
            renew_at,
        };
        if let Link::LoggingIn(versions) = self.nodes[node].link {
            self.open(node, versions);
        }
        Ok(())
    }

    /// Logs in again where a login ends soon.
    pub(super) fn renew_login(&mut self, node: usize, now: Instant) {
        let renewed = &self.nodes[node];
        let is_due = renewed.session.renew_at.is_some_and(|due| due <= now);
        if let (true, Link::Up(versions)) = (is_due, renewed.link)
            && self.log_in(node, versions, now).is_err()
        {
            self.close(node, None); // a broker that had a login has one
        }
    }
}
