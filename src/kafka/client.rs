//! Which client reads and writes topics: `k`'s own, or librdkafka.
//!
//! `-X client=direct|librdkafka` chooses. Without it, what the direct client does not speak or heed is left to
//! librdkafka.

use std::fmt;

use super::security::{Security, Unspoken};
use crate::error::{Error, Result};

/// Who reads topics without a group's assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `k` itself.
    Direct,
    /// librdkafka.
    Librdkafka,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Client::Direct => "the direct client",
            Client::Librdkafka => "librdkafka",
        })
    }
}

/// The name of the property that chooses, which is not librdkafka's.
const PROPERTY: &str = "client";
/// Who reads where nothing else is asked for.
const DEFAULT: Client = Client::Direct;

/// Properties that the direct client does not heed; other values than these ask for librdkafka.
const UNHEEDED: [(&str, &[&str]); 11] = [
    ("client.rack", &[""]),
    ("debug", &[""]),
    ("plugin.library.paths", &[""]),
    ("client.dns.lookup", &["use_all_dns_ips"]),
    ("broker.version.fallback", &[]),
    ("api.version.request", &["true"]),
    ("socket.send.buffer.bytes", &["0"]),
    ("socket.receive.buffer.bytes", &["0"]),
    ("socket.keepalive.enable", &["false"]),
    ("socket.nagle.disable", &["true"]),
    ("topic.blacklist", &[""]),
];

/// Properties of writing that the direct client does not heed; other values than these ask for librdkafka.
const UNHEEDED_WRITING: [(&str, &[&str]); 14] = [
    ("transactional.id", &[""]),
    ("acks", &[]),
    ("request.required.acks", &[]),
    ("enable.idempotence", &[]),
    ("enable.gapless.guarantee", &["false"]),
    ("compression.level", &["-1"]),
    ("message.send.max.retries", &["2147483647"]),
    ("retries", &["2147483647"]),
    ("queue.buffering.max.messages", &[]),
    ("batch.num.messages", &[]),
    ("queuing.strategy", &["fifo"]),
    ("dr_msg_cb", &[]),
    ("message.copy.max.bytes", &[]),
    ("queue.buffering.backpressure.threshold", &[]),
];

/// Returns which of the properties of writing the direct client does not heed, if there is one.
pub(super) fn unheeded_writing(properties: &[(String, String)]) -> Option<&str> {
    let mut unheeded = properties.iter();
    let found = unheeded.find(|property| is_unheeded(property, &UNHEEDED_WRITING));
    found.map(|(name, _)| name.as_str())
}

/// Returns whether a property is one of some, and has another value than its usual ones.
fn is_unheeded((name, value): &(String, String), among: &[(&str, &[&str])]) -> bool {
    let mut known = among.iter().filter(|(known, _)| known == name);
    known.any(|(_, usual)| !usual.contains(&value.to_ascii_lowercase().as_str()))
}

/// Which client, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub client: Client,
    /// How the direct client speaks to brokers, where it can.
    pub security: Option<Security>,
    /// What the direct client does not heed, if that has decided.
    unheeded: Option<String>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)?;
        match &self.unheeded {
            Some(what) => write!(f, " (the direct client does not heed {what})"),
            None => Ok(()),
        }
    }
}

impl Default for Choice {
    fn default() -> Self {
        Choice {
            client: DEFAULT,
            security: Some(Security::default()),
            unheeded: None,
        }
    }
}

impl Choice {
    /// Takes the property that chooses out of some, and chooses.
    ///
    /// # Errors
    /// `usage` for another client, or where the direct one is asked for something that it does not heed.
    pub fn of(brokers: &str, properties: &mut Vec<(String, String)>) -> Result<Self> {
        let mut chosen = None;
        for (_, name) in properties.extract_if(.., |(name, _)| name == PROPERTY) {
            chosen = Some(match name.as_str() {
                "direct" => Client::Direct,
                "librdkafka" => Client::Librdkafka,
                other => {
                    let message = format!("property `{PROPERTY}`: there is no client `{other}`");
                    return Err(
                        Error::usage(message).hint("the clients are `direct` and `librdkafka`")
                    );
                }
            });
        }
        let spoken = Security::of(brokers, properties)?;
        let mut all = properties.iter();
        let unheeded = match (
            &spoken,
            all.find(|property| is_unheeded(property, &UNHEEDED)),
        ) {
            (Err(Unspoken(what)), _) => Some(what.clone()),
            // A value may be a secret.
            (_, unheeded) => unheeded.map(|(name, _)| format!("`{name}`")),
        };
        let (client, unheeded) = match (chosen, unheeded) {
            (Some(Client::Direct), Some(what)) => {
                let message = format!("the direct client does not heed {what}");
                return Err(
                    Error::usage(message).hint("leave `-X client=direct` out: librdkafka does")
                );
            }
            (None, Some(what)) => (Client::Librdkafka, Some(what)),
            (chosen, _) => (chosen.unwrap_or(DEFAULT), None),
        };
        Ok(Choice {
            client,
            security: spoken.ok(),
            unheeded,
        })
    }

    /// Adds to an error of librdkafka's why it was chosen.
    pub fn blame(&self, error: Error) -> Error {
        match &self.unheeded {
            Some(what) => error.hint(format!(
                "the direct client has TLS in every build, but does not heed {what}"
            )),
            None => error,
        }
    }

    /// Returns whether topics and groups are asked about without librdkafka: wherever it can be.
    pub fn administers(&self) -> bool {
        let is_chosen = self.client == Client::Librdkafka && self.unheeded.is_none();
        self.security.is_some() && !is_chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_librdkafka_heeds_is_named() {
        let named = |name: &str, value: &str| {
            let property = (name.to_owned(), value.to_owned());
            let choice = Choice::of("h:1", &mut vec![property]).expect("sound properties");
            assert!(choice.administers());
            choice.unheeded
        };
        assert_eq!(named("linger.ms", "5"), None);
        assert_eq!(named("security.protocol", "PLAINTEXT"), None);
        assert_eq!(named("client.rack", "a").as_deref(), Some("`client.rack`"));
        let writing = |name: &str, value: &str| {
            let property = (name.to_owned(), value.to_owned());
            unheeded_writing(&[property]).map(str::to_owned)
        };
        assert_eq!(writing("retries", "5").as_deref(), Some("retries"));
        assert_eq!(writing("linger.ms", "5"), None);
    }

    #[test]
    fn the_last_choice_counts_and_is_no_property_any_more() {
        let set = |values: &[&str]| -> Vec<(String, String)> {
            let set = values.iter();
            set.map(|value| (PROPERTY.to_owned(), (*value).to_owned()))
                .collect()
        };
        let mut properties = set(&["direct", "librdkafka"]);
        let choice = Choice::of("h:1", &mut properties).expect("a choice");
        assert_eq!(choice.client, Client::Librdkafka);
        assert!(properties.is_empty() && !choice.administers());
        let choice = Choice::of("h:1", &mut set(&["direct"])).expect("a choice");
        assert_eq!(choice.client, Client::Direct);
        let choice = Choice::of("SSL://h:1", &mut set(&[])).expect("a choice");
        assert_eq!(
            choice.to_string(),
            "librdkafka (the direct client does not heed `SSL://`)"
        );
        assert!(Choice::of("h:1", &mut set(&["other"])).is_err());
        assert!(Choice::of("SSL://h:1", &mut set(&["direct"])).is_err());
    }
}
