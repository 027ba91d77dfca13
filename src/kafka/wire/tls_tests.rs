//! TLS against a server in the test: who is trusted, what is said where it is not, and frames of any size.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::connection::{Connection, Cut, Frame, Pool};
use super::tls::Config;
use crate::kafka::security::{Pem, Secret, Tls};

/// An authority of its own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
struct Identity {
    certificate: String,
    key: String,
}

fn params(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    CertificateParams::new(hosts).expect("names")
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn text(pem: &str) -> Option<Pem> {
    Some(Pem::Text(Secret::new(pem)))
}

fn trusting(pem: &str) -> Tls {
    Tls {
        authorities: text(pem),
        ..Tls::default()
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_slice_iter(pem.as_bytes());
    read.map(|read| read.expect("a certificate")).collect()
}

/// Returns a server that sends back what comes, and asks clients for certificates of an authority if
/// there is one.
fn server(identity: &Identity, clients: Option<&str>) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(certificates(authority));
            let built = WebPkiClientVerifier::builder_with_provider(store.into(), provider).build();
            config.with_client_cert_verifier(built.expect("a check of clients"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let config = config.with_single_cert(certificates(&identity.certificate), key);
    let config = Arc::new(config.expect("a certificate"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let tls = ServerConnection::new(config).expect("a connection");
        let mut stream = rustls::StreamOwned::new(tls, stream);
        let mut bytes = vec![0; 100_000];
        // Until the client is gone, or the handshake fails.
        while let Ok(read) = std::io::Read::read(&mut stream, &mut bytes)
            && read > 0
            && std::io::Write::write_all(&mut stream, &bytes[..read]).is_ok()
        {}
    });
    port
}

/// Sends frames of some sizes to a server, which is called `host`, and returns what it sends back.
fn talk(port: u16, host: &str, tls: &Tls, sizes: &[usize]) -> Result<Vec<Frame>, Cut> {
    let config = Config::new(tls).expect("sound certificates");
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_nonblocking(true).expect("a socket");
    let tls = config.connect(&format!("{host}:{port}"))?;
    let mut connection = Connection::new(stream, Some(tls), 10_000_000, &Arc::<Pool>::default());
    for &size in sizes {
        let mut bytes = (size as u32).to_be_bytes().to_vec();
        bytes.extend((0..size).map(|at| at as u8));
        connection.send(vec![Arc::new(bytes)])?;
    }
    let mut frames = Vec::new();
    while frames.len() < sizes.len() {
        connection.flush()?;
        while let Some(frame) = connection.receive()? {
            frames.push(frame);
        }
        if frames.len() < sizes.len() {
            wait(&connection);
        }
    }
    Ok(frames)
}

fn wait(connection: &Connection) {
    let mut flags = PollFlags::IN;
    flags.set(PollFlags::OUT, connection.waits_to_send());
    let timeout = Timespec {
        tv_sec: Duration::from_secs(60).as_secs() as i64,
        tv_nsec: 0,
    };
    let mut wanted = [PollFd::new(connection.socket(), flags)];
    let ready = poll(&mut wanted, Some(&timeout)).expect("a socket to wait for");
    assert_eq!(ready, 1, "the server answers");
}

#[track_caller]
fn assert_untrusted(talked: Result<Vec<Frame>, Cut>, said: &str) {
    match talked {
        Err(Cut::Untrusted(reason)) => assert!(reason.contains(said), "{reason}"),
        Err(cut) => panic!("another end: {cut}"),
        Ok(_) => panic!("it is trusted"),
    }
}

#[test]
fn frames_of_any_size_go_both_ways() {
    let authority = Authority::new();
    let identity = authority.sign(&params(&["localhost", "127.0.0.1"]));
    let sizes = [4, 1_000, 16_384, 3_000_000, 5, 200_000];
    for host in ["localhost", "127.0.0.1"] {
        let frames = talk(
            server(&identity, None),
            host,
            &trusting(&authority.pem),
            &sizes,
        );
        let frames = frames.expect("what was sent");
        for (frame, size) in frames.iter().zip(sizes) {
            assert!(
                frame.iter().copied().eq((0..size).map(|at| at as u8)),
                "{size}"
            );
        }
    }
}

#[test]
fn who_is_not_trusted_is_told_with_the_way_out() {
    let authority = Authority::new();
    let identity = authority.sign(&params(&["localhost"]));
    let stranger = Authority::new();
    let talked = talk(
        server(&identity, None),
        "localhost",
        &trusting(&stranger.pem),
        &[4],
    );
    assert_untrusted(talked, "ssl.ca.location");

    let elsewhere = authority.sign(&params(&["kafka.example"]));
    let tls = trusting(&authority.pem);
    let talked = talk(server(&elsewhere, None), "localhost", &tls, &[4]);
    assert_untrusted(talked, "is for kafka.example, not for this host");
    let any_host = Tls {
        any_host: true,
        ..tls.clone()
    };
    assert!(talk(server(&elsewhere, None), "localhost", &any_host, &[4]).is_ok());
    // Its authority still counts.
    let any_host = Tls {
        any_host: true,
        ..trusting(&stranger.pem)
    };
    let talked = talk(server(&elsewhere, None), "localhost", &any_host, &[4]);
    assert_untrusted(talked, "ssl.ca.location");

    let mut old = params(&["localhost"]);
    (old.not_before, old.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    let talked = talk(server(&authority.sign(&old), None), "localhost", &tls, &[4]);
    assert_untrusted(talked, "has expired");
    let anyone = Tls {
        any_certificate: true,
        ..Tls::default()
    };
    assert!(
        talk(
            server(&authority.sign(&old), None),
            "localhost",
            &anyone,
            &[4]
        )
        .is_ok()
    );
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_by_name() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let key = KeyPair::generate().expect("a key");
        let mut own = params(&["localhost"]);
        own.is_ca = is_ca;
        let identity = Identity {
            certificate: own.self_signed(&key).expect("a certificate").pem(),
            key: key.serialize_pem(),
        };
        let tls = trusting(&identity.certificate);
        assert!(talk(server(&identity, None), "localhost", &tls, &[4]).is_ok());
        let talked = talk(server(&identity, None), "127.0.0.1", &tls, &[4]);
        assert_untrusted(talked, "is for localhost");
    }
}

#[test]
fn a_broker_that_asks_for_a_certificate_gets_this_clients() {
    let authority = Authority::new();
    let identity = authority.sign(&params(&["localhost"]));
    let client = authority.sign(&params(&["client"]));
    let port = server(&identity, Some(&authority.pem));
    let tls = Tls {
        certificate: text(&client.certificate),
        key: text(&client.key),
        ..trusting(&authority.pem)
    };
    assert!(talk(port, "localhost", &tls, &[4]).is_ok());
    let port = server(&identity, Some(&authority.pem));
    let talked = talk(port, "localhost", &trusting(&authority.pem), &[4]);
    assert_untrusted(talked, "ssl.certificate.location");
    // A key of another certificate is noticed before anything is sent.
    let other = Tls {
        key: text(&identity.key),
        ..tls
    };
    let said = Config::new(&other)
        .expect_err("another key")
        .lines()
        .join("\n");
    assert!(said.contains("ssl.key.location"), "{said}");
}

#[test]
fn a_listener_without_tls_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let closing = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        // As Kafka does with a request that is too large to be one.
        let _ = std::io::Read::read(&mut stream, &mut [0; 4]);
    });
    let anyone = Tls {
        any_certificate: true,
        ..Tls::default()
    };
    match talk(port, "localhost", &anyone, &[4]) {
        Err(Cut::NoTls | Cut::Io(_)) => {}
        Err(cut) => panic!("another end: {cut}"),
        Ok(_) => panic!("it answers"),
    }
    closing.join().expect("it ends");
}
