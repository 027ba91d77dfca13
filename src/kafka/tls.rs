//! TLS of librdkafka's: what asks for it, and the way out where this `k` was built without.
//!
//! OpenSSL takes longer to build than all else, so that it is a feature of the build: `tls` takes the
//! system's, `tls-vendored` builds its own. The direct client has rustls, and needs none of it.

use crate::error::{Error, Result};

/// Whether librdkafka has TLS, and the logins that hash passwords.
pub const IS_BUILT_IN: bool = cfg!(feature = "tls");

/// Refuses what only a build with TLS can do, where this is none.
///
/// # Errors
/// `refused`, with what asks for it and how to have it.
pub(super) fn check(brokers: &str, properties: &[(String, String)]) -> Result<()> {
    match who_asks(brokers, properties).filter(|_| !IS_BUILT_IN) {
        None => Ok(()),
        Some(who) => Err(Error::refused(format!(
            "{who} needs TLS in librdkafka, and this `k` was built without it"
        ))
        .hint("build one with it: `cargo install --locked --path . --features tls-vendored`")
        .hint("released binaries have it, too")),
    }
}

/// Returns what asks for TLS, or for OpenSSL's digests.
fn who_asks(brokers: &str, properties: &[(String, String)]) -> Option<String> {
    let asks = |(name, value): &&(String, String)| {
        let value = value.to_ascii_lowercase();
        match name.as_str() {
            "security.protocol" => value.ends_with("ssl"),
            "sasl.mechanism" | "sasl.mechanisms" => value.starts_with("scram"),
            name => name.starts_with("ssl."),
        }
    };
    if let Some((name, value)) = properties.iter().find(asks) {
        // What is behind `ssl.` may be a secret.
        return Some(if name.starts_with("ssl.") {
            format!("`{name}`")
        } else {
            format!("`{name}={value}`")
        });
    }
    let mut brokers = brokers.split(',').map(str::trim);
    let secured = brokers.find(|broker| {
        let scheme = broker.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| scheme.to_ascii_lowercase().ends_with("ssl"))
    });
    secured.map(|broker| format!("`{broker}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(brokers: &str, name: &str, value: &str) -> Option<String> {
        who_asks(brokers, &[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_asks_for_tls_is_named_and_no_secret_is() {
        for (name, value, who) in [
            ("security.protocol", "SSL", "`security.protocol=SSL`"),
            (
                "security.protocol",
                "sasl_ssl",
                "`security.protocol=sasl_ssl`",
            ),
            (
                "sasl.mechanism",
                "SCRAM-SHA-256",
                "`sasl.mechanism=SCRAM-SHA-256`",
            ),
            ("ssl.key.password", "hush", "`ssl.key.password`"),
        ] {
            assert_eq!(asked("h:9092", name, value).as_deref(), Some(who));
        }
        assert_eq!(asked("h:9092", "security.protocol", "sasl_plaintext"), None);
        assert_eq!(asked("h:9092", "sasl.mechanism", "PLAIN"), None);
        let secured = asked("a:1, SSL://b:9093", "client.id", "x");
        assert_eq!(secured.as_deref(), Some("`SSL://b:9093`"));
    }

    #[test]
    fn a_build_without_tls_names_the_way_out() {
        let property = ("security.protocol".to_owned(), "ssl".to_owned());
        let checked = check("h:9092", &[property]);
        assert_eq!(checked.is_ok(), IS_BUILT_IN);
        if let Err(error) = checked {
            let said = error.lines().join("\n");
            assert!(said.contains("--features tls-vendored"), "{said}");
        }
    }
}
