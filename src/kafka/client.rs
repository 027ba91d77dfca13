//! Which client reads and writes topics: `k`'s own, or librdkafka.
//!
//! `-X client=direct|librdkafka` chooses. Without it, a property that the direct client does not heed is left to
//! librdkafka.

use std::fmt;

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
const UNHEEDED: [(&str, &[&str]); 12] = [
    ("security.protocol", &["plaintext"]),
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

/// Returns whether the direct client heeds all that was set for writing.
pub(super) fn heeds_writing(properties: &[(String, String)]) -> bool {
    !properties
        .iter()
        .any(|property| is_unheeded(property, &UNHEEDED_WRITING))
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
        let unheeded = unheeded(brokers, properties);
        match (chosen, unheeded) {
            (Some(Client::Direct), Some(what)) => Err(Error::usage(format!(
                "the direct client does not heed {what}"
            ))
            .hint("leave `-X client=direct` out: librdkafka does")),
            (None, Some(what)) => Ok(Choice {
                client: Client::Librdkafka,
                unheeded: Some(what),
            }),
            (chosen, _) => Ok(Choice {
                client: chosen.unwrap_or(DEFAULT),
                unheeded: None,
            }),
        }
    }
}

/// Returns what of the properties the direct client does not heed.
fn unheeded(brokers: &str, properties: &[(String, String)]) -> Option<String> {
    let is_other = |property: &&(String, String)| {
        let login = ["sasl.", "ssl.", "https.", "enable.sasl", "oauthbearer"];
        is_unheeded(property, &UNHEEDED) || login.iter().any(|start| property.0.starts_with(start))
    };
    // A value may be a secret.
    if let Some((name, _)) = properties.iter().find(is_other) {
        return Some(format!("`{name}`"));
    }
    let mut schemes = brokers
        .split(',')
        .filter_map(|broker| broker.trim().split_once("://"));
    let scheme = schemes.find(|(scheme, _)| !scheme.eq_ignore_ascii_case("plaintext"));
    scheme.map(|(scheme, _)| format!("`{scheme}://`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(brokers: &str, name: &str, value: &str) -> Option<String> {
        unheeded(brokers, &[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_only_librdkafka_speaks_is_named_and_no_secret_is() {
        assert_eq!(named("h:1", "linger.ms", "5"), None);
        assert_eq!(
            named("h:1,PLAINTEXT://h:2", "security.protocol", "PLAINTEXT"),
            None
        );
        let what = named("h:1", "security.protocol", "ssl");
        assert_eq!(what.as_deref(), Some("`security.protocol`"));
        let what = named("h:1", "sasl.password", "hush");
        assert_eq!(what.as_deref(), Some("`sasl.password`"));
        let what = named("h:1, SSL://h:2", "linger.ms", "5");
        assert_eq!(what.as_deref(), Some("`SSL://`"));
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
        assert!(properties.is_empty());
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
