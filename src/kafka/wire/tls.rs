//! TLS by rustls: whom to trust, who this client is, and what is said where a broker is not trusted.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    RootCertStore, SignatureScheme,
};

use super::connection::Cut;
use crate::error::{Error, Result};
use crate::kafka::security::{Pem, Tls};

/// How connections are encrypted.
#[derive(Debug, Clone)]
pub struct Config(Arc<ClientConfig>);

impl Config {
    /// Reads the certificates and the key that are named.
    ///
    /// # Errors
    /// `refused`, with the property, for a file that cannot be read or holds something else.
    pub fn new(tls: &Tls) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(tls, &provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::bug(format!("TLS has no version: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => {
                let certificates = certificates("ssl.certificate", certificate)?;
                let key = private_key(key)?;
                config
                    .with_client_auth_cert(certificates, key)
                    .map_err(|error| {
                        let what =
                            "`ssl.key.location` is not the key of `ssl.certificate.location`";
                        Error::refused(format!("{what}: {error}"))
                    })?
            }
            _ => config.with_no_client_auth(),
        };
        Ok(Config(Arc::new(config)))
    }

    /// Begins to talk to a broker by its address, `HOST:PORT`.
    ///
    /// # Errors
    /// [`Cut`] for a host that no certificate can be for.
    pub fn connect(&self, address: &str) -> Result<ClientConnection, Cut> {
        let name = ServerName::try_from(host(address)).map_err(|_| Cut::NoHost)?;
        let made = ClientConnection::new(self.0.clone(), name.to_owned());
        made.map_err(|error| refused(&error))
    }
}

/// Returns the host of an address: without its scheme, its port and the brackets of IPv6.
fn host(address: &str) -> &str {
    let address = address.rsplit("://").next().unwrap_or(address);
    let host = match address.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
        _ => address,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

fn certificates(property: &str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = match pem {
        Pem::File(path) => CertificateDer::pem_file_iter(path).and_then(|read| read.collect()),
        Pem::Text(text) => CertificateDer::pem_slice_iter(text.reveal().as_bytes()).collect(),
    };
    match read {
        Ok(read) if read.is_empty() => Err(unreadable(property, pem, "it has no certificate")),
        read => read.map_err(|error| unreadable(property, pem, &error.to_string())),
    }
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>> {
    let read = match pem {
        Pem::File(path) => PrivateKeyDer::from_pem_file(path),
        Pem::Text(text) => PrivateKeyDer::from_pem_slice(text.reveal().as_bytes()),
    };
    read.map_err(|error| {
        let error = unreadable("ssl.key", pem, &error.to_string());
        error.hint("a key is read as PEM, without a password: `openssl pkcs8 -in KEY -out NEW`")
    })
}

fn unreadable(property: &str, pem: &Pem, reason: &str) -> Error {
    Error::refused(match pem {
        Pem::File(path) => format!("`{property}.location`: cannot read `{path}`: {reason}"),
        Pem::Text(_) => format!("`{property}.pem` cannot be read: {reason}"),
    })
}

/// Returns the authorities that are trusted, and their certificates.
fn authorities(pem: Option<&Pem>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    const PROPERTY: &str = "ssl.ca";
    let trusted = match pem {
        Some(Pem::File(path)) if std::path::Path::new(path).is_dir() => {
            rustls_native_certs::load_certs_from_paths(None, Some(path.as_ref())).certs
        }
        Some(pem) => certificates(PROPERTY, pem)?,
        // What of the machine's cannot be read is not trusted.
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(trusted.iter().cloned());
    match pem {
        Some(pem) if added == 0 => Err(unreadable(PROPERTY, pem, "it has no certificate")),
        None if added == 0 => Err(Error::refused(
            "this machine trusts no authority, so no broker's certificate can be checked",
        )
        .hint("`-X ssl.ca.location=FILE` names the authority of the brokers")),
        _ => Ok((store, trusted)),
    }
}

/// Checks brokers' certificates as asked for.
#[derive(Debug)]
struct Verifier {
    /// None where any certificate is taken.
    inner: Option<Arc<WebPkiServerVerifier>>,
    /// Taken also where they are authorities by themselves: a broker whose certificate was signed by
    /// itself, and is trusted by name.
    trusted: Vec<CertificateDer<'static>>,
    any_host: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let (inner, trusted) = if tls.any_certificate {
            (None, Vec::new())
        } else {
            let (store, trusted) = authorities(tls.authorities.as_ref())?;
            let built = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
            let built = built.build();
            let built = built.map_err(|error| Error::bug(format!("no check of TLS: {error}")))?;
            (Some(built), trusted)
        };
        Ok(Verifier {
            inner,
            trusted,
            any_host: tls.any_host,
            provider: provider.clone(),
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last, so all else was right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_host => Ok(ServerCertVerified::assertion()),
            // So are its dates, before whose certificate it is.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(error)))
                if is_of_an_authority(&error) && self.trusted.contains(end_entity) =>
            {
                if !self.any_host {
                    let parsed = rustls::server::ParsedCertificate::try_from(end_entity)?;
                    rustls::client::verify_server_name(&parsed, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Returns whether a certificate is that of an authority, and not of a broker.
fn is_of_an_authority(error: &rustls::OtherError) -> bool {
    let known = error.0.downcast_ref::<webpki::Error>();
    matches!(known, Some(webpki::Error::CaUsedAsEndEntity))
}

/// Returns why there is no connection, in words that name the way out.
pub fn refused(error: &rustls::Error) -> Cut {
    use CertificateError as Bad;
    let reason = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is signed by an authority that is not trusted here; \
                 `-X ssl.ca.location=FILE` names one"
                    .to_owned()
            }
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".to_owned(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet".to_owned()
            }
            Bad::NotValidForName => "its certificate is for another host".to_owned(),
            Bad::NotValidForNameContext { presented, .. } => names(presented),
            other => format!("its certificate cannot be trusted: {other}"),
        },
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate,
        ) => "it wants a certificate of this client, by `-X ssl.certificate.location` and \
              `-X ssl.key.location`, or another one"
            .to_owned(),
        rustls::Error::AlertReceived(alert) => {
            format!("it ended the handshake of TLS: {alert:?}")
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => format!("TLS: {other}"),
    };
    Cut::Untrusted(reason)
}

fn names(presented: &[String]) -> String {
    let hosts: Vec<&str> = presented.iter().map(|name| host_of_name(name)).collect();
    match hosts.as_slice() {
        [] => "its certificate names no host (as a subject alternative name)".to_owned(),
        hosts => format!(
            "its certificate is for {}, not for this host",
            hosts.join(", ")
        ),
    }
}

/// Returns the host of a name as rustls prints it: `DnsName("h")`, `IpAddress(127.0.0.1)`.
fn host_of_name(name: &str) -> &str {
    let within = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    within.unwrap_or(name).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_without_scheme_port_and_brackets() {
        for (address, expected) in [
            ("h:9092", "h"),
            ("SSL://h:9093", "h"),
            ("h", "h"),
            ("[::1]:9092", "::1"),
            ("::1", "::1"),
            ("127.0.0.1:1", "127.0.0.1"),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }

    #[test]
    fn files_that_hold_no_certificate_are_named() {
        let tls = Tls {
            authorities: Some(Pem::File("/no/such/file.pem".into())),
            ..Tls::default()
        };
        let said = Config::new(&tls).expect_err("no file").lines().join("\n");
        assert!(
            said.contains("ssl.ca.location") && said.contains("/no/such/file.pem"),
            "{said}"
        );
        let tls = Tls {
            authorities: Some(Pem::Text(crate::kafka::security::Secret::new("hush"))),
            ..Tls::default()
        };
        let said = Config::new(&tls)
            .expect_err("no certificate")
            .lines()
            .join("\n");
        assert!(
            said.contains("ssl.ca.pem") && !said.contains("hush"),
            "{said}"
        );
    }
}
