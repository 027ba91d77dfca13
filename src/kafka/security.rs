//! How the direct client speaks to brokers: in the clear or by TLS, with a login or without.
//!
//! In: properties by librdkafka's names. Out: plain values, or the first property that only librdkafka heeds.

use std::fmt;

use crate::error::{Error, Result};

/// What must not be seen: a password, a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text for secret.
    pub fn new(text: &str) -> Self {
        Secret(text.to_owned())
    }

    /// Returns it, for the broker alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How a password is shown to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// As it is.
    Plain,
    /// Neither it nor what could be used in its place is sent (RFC 7677).
    ScramSha256,
    /// The same, with the longer hash.
    ScramSha512,
}

impl Mechanism {
    const ALL: [Mechanism; 3] = [
        Mechanism::Plain,
        Mechanism::ScramSha256,
        Mechanism::ScramSha512,
    ];

    /// Returns its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who logs in, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// How the password is shown.
    pub mechanism: Mechanism,
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A certificate or key: in a file, or as PEM text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pem {
    /// A path.
    File(String),
    /// The text itself, which may be a key.
    Text(Secret),
}

/// What TLS needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Which authorities are trusted; those that the machine trusts where none is named.
    pub authorities: Option<Pem>,
    /// This client's certificates, its own first.
    pub certificate: Option<Pem>,
    /// Their private key.
    pub key: Option<Pem>,
    /// Whether a certificate is taken that is for another host.
    pub any_host: bool,
    /// Whether any certificate is taken.
    pub any_certificate: bool,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// How connections are encrypted, if they are.
    pub tls: Option<Tls>,
    /// Who logs in, if anyone does.
    pub login: Option<Login>,
}

/// What only librdkafka heeds, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unspoken(pub String);

/// Names that mean the same, the usual one first.
const MECHANISM: [&str; 2] = ["sasl.mechanism", "sasl.mechanisms"];
/// Beginnings of the names of properties that are about security.
const STARTS: [&str; 6] = [
    "sasl.",
    "ssl.",
    "https.",
    "enable.sasl",
    "enable.ssl",
    "oauthbearer",
];
/// Those of them that are heeded.
const HEEDED: [&str; 12] = [
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
];

/// Returns whether librdkafka takes a property only where it is built with TLS.
pub fn is_of_tls(name: &str) -> bool {
    name == "security.protocol" || name.starts_with("ssl.") || name.starts_with("enable.ssl")
}

impl Security {
    /// Reads it from properties, and from the schemes of the brokers' addresses.
    ///
    /// # Errors
    /// `usage` for a value that none of these properties has, or a login without its name. Within,
    /// what only librdkafka speaks.
    pub fn of(
        brokers: &str,
        properties: &[(String, String)],
    ) -> Result<std::result::Result<Self, Unspoken>> {
        let set = Set(properties);
        let protocol = set
            .get("security.protocol")
            .unwrap_or("plaintext")
            .to_ascii_lowercase();
        let (is_tls, is_login) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            _ => {
                return Err(wrong(
                    "security.protocol",
                    "plaintext, ssl, sasl_plaintext or sasl_ssl",
                ));
            }
        };
        let is_unheeded = |(name, _): &&(String, String)| {
            STARTS.iter().any(|start| name.starts_with(start)) && !HEEDED.contains(&name.as_str())
        };
        // A value may be a secret.
        if let Some((name, _)) = properties.iter().find(is_unheeded) {
            return Ok(Err(Unspoken(format!("`{name}`"))));
        }
        let mut schemes = brokers
            .split(',')
            .filter_map(|broker| broker.trim().split_once("://"));
        if let Some((scheme, _)) =
            schemes.find(|(scheme, _)| !scheme.eq_ignore_ascii_case(&protocol))
        {
            return Ok(Err(Unspoken(format!("`{scheme}://`"))));
        }
        let login = match is_login.then(|| set.login()).transpose()? {
            Some(Err(unspoken)) => return Ok(Err(unspoken)),
            Some(Ok(login)) => Some(login),
            None => None,
        };
        let tls = is_tls.then(|| set.tls()).transpose()?;
        Ok(Ok(Security { tls, login }))
    }
}

fn wrong(name: &str, values: &str) -> Error {
    Error::usage(format!("property `{name}`: the values are {values}"))
}

/// The properties that a person has set.
struct Set<'a>(&'a [(String, String)]);

impl<'a> Set<'a> {
    /// Returns the last value of a name.
    fn get(&self, name: &str) -> Option<&'a str> {
        let mut set = self.0.iter().rev();
        set.find(|(set, _)| set == name)
            .map(|(_, value)| value.as_str())
    }

    fn login(&self) -> Result<std::result::Result<Login, Unspoken>> {
        let mut set = self.0.iter().rev();
        let set = set.find(|(name, _)| MECHANISM.contains(&name.as_str()));
        // Kerberos is what librdkafka takes where none is named.
        let name = set.map_or("GSSAPI", |(_, value)| value);
        let mut all = Mechanism::ALL.into_iter();
        let Some(mechanism) = all.find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
        else {
            return Ok(Err(Unspoken(format!("`{}={name}`", MECHANISM[0]))));
        };
        let needed = |property: &str| {
            self.get(property).ok_or_else(|| {
                Error::usage(format!(
                    "a login by {} needs `-X {property}=…`",
                    mechanism.name()
                ))
            })
        };
        Ok(Ok(Login {
            mechanism,
            user: needed("sasl.username")?.to_owned(),
            password: Secret::new(needed("sasl.password")?),
        }))
    }

    fn tls(&self) -> Result<Tls> {
        let algorithm = "ssl.endpoint.identification.algorithm";
        let any_host = match self.get(algorithm).map(str::to_ascii_lowercase).as_deref() {
            None | Some("https") => false,
            Some("none" | "") => true,
            Some(_) => return Err(wrong(algorithm, "https and none")),
        };
        let verification = "enable.ssl.certificate.verification";
        let any_certificate = match self.get(verification) {
            None | Some("true" | "t" | "1") => false,
            Some("false" | "f" | "0") => true,
            Some(_) => return Err(wrong(verification, "true and false")),
        };
        let tls = Tls {
            // It says where OpenSSL looks by itself.
            authorities: self
                .pem("ssl.ca")
                .filter(|pem| *pem != Pem::File("probe".into())),
            certificate: self.pem("ssl.certificate"),
            key: self.pem("ssl.key"),
            any_host,
            any_certificate,
        };
        match (&tls.certificate, &tls.key) {
            (Some(_), None) => Err(half("ssl.certificate", "ssl.key")),
            (None, Some(_)) => Err(half("ssl.key", "ssl.certificate")),
            _ => Ok(tls),
        }
    }

    fn pem(&self, of: &str) -> Option<Pem> {
        let text = self.get(&format!("{of}.pem"));
        let text = text.map(|text| Pem::Text(Secret::new(text)));
        let file = || self.get(&format!("{of}.location"));
        text.or_else(|| file().map(|file| Pem::File(file.to_owned())))
    }
}

fn half(set: &str, missing: &str) -> Error {
    Error::usage(format!(
        "`{set}.location` is of no use without `-X {missing}.location=FILE`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(brokers: &str, set: &[(&str, &str)]) -> Result<std::result::Result<Security, Unspoken>> {
        let set = set.iter();
        let set: Vec<_> = set
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Security::of(brokers, &set)
    }

    fn spoken(set: &[(&str, &str)]) -> Security {
        of("h:1", set).expect("sound properties").expect("spoken")
    }

    fn unspoken(brokers: &str, set: &[(&str, &str)]) -> String {
        of(brokers, set)
            .expect("sound properties")
            .expect_err("only librdkafka")
            .0
    }

    #[test]
    fn a_login_and_tls_are_read_from_librdkafkas_names() {
        assert_eq!(spoken(&[("linger.ms", "5")]), Security::default());
        let set = [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanisms", "scram-sha-512"),
            ("sasl.username", "alice"),
            ("sasl.password", "hush"),
            ("ssl.ca.location", "ca.pem"),
            ("ssl.endpoint.identification.algorithm", "none"),
        ];
        let Security { tls, login } = spoken(&set);
        let login = login.expect("a login");
        assert_eq!(
            (login.mechanism, login.user.as_str()),
            (Mechanism::ScramSha512, "alice")
        );
        assert_eq!(login.password.reveal(), "hush");
        assert!(!format!("{login:?}").contains("hush"));
        let tls = tls.expect("TLS");
        assert_eq!(tls.authorities, Some(Pem::File("ca.pem".into())));
        assert!(tls.any_host && !tls.any_certificate);
    }

    #[test]
    fn what_only_librdkafka_speaks_is_named_and_no_secret_is() {
        let kerberos = [("security.protocol", "sasl_ssl")];
        assert_eq!(unspoken("h:1", &kerberos), "`sasl.mechanism=GSSAPI`");
        let bearer = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "OAUTHBEARER"),
        ];
        assert_eq!(unspoken("h:1", &bearer), "`sasl.mechanism=OAUTHBEARER`");
        let locked = [("security.protocol", "ssl"), ("ssl.key.password", "hush")];
        assert_eq!(unspoken("h:1", &locked), "`ssl.key.password`");
        assert_eq!(unspoken("h:1, SSL://h:2", &[]), "`SSL://`");
        assert!(of("SSL://h:1", &[("security.protocol", "ssl")]).is_ok_and(|found| found.is_ok()));
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for set in [
            &[("security.protocol", "tls")][..],
            &[
                ("security.protocol", "sasl_plaintext"),
                ("sasl.mechanism", "PLAIN"),
            ],
            &[
                ("security.protocol", "ssl"),
                ("ssl.endpoint.identification.algorithm", "yes"),
            ],
            &[
                ("security.protocol", "ssl"),
                ("ssl.certificate.location", "x.pem"),
            ],
        ] {
            assert!(of("h:1", set).is_err(), "{set:?}");
        }
    }
}
