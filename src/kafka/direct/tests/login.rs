//! Logins to brokers that a test plays.

use std::time::Duration;

use super::super::super::security::{Login, Mechanism, Secret};
use super::super::super::wire::answers;
use super::super::super::wire::code;
use super::super::super::wire::connection::Frame;
use super::super::cluster;
use super::super::reading::{Options, Reading};
use super::super::sockets::Machine as _;
use super::reading::options;
use super::{FETCH, METADATA, Stage, VERSIONS, cluster_options};

const HANDSHAKE: i16 = 17;
const AUTHENTICATE: i16 = 36;
const AUTHENTICATION_FAILED: i16 = 58;

/// Starts to read one partition of a broker that asks for a login, and has it say what it knows.
fn greeted(mechanism: Mechanism) -> Stage<Reading> {
    let login = Login {
        mechanism,
        user: "alice".to_owned(),
        password: Secret::new("hush"),
    };
    let options = Options {
        cluster: cluster::Options {
            login: Some(login),
            ..cluster_options()
        },
        ..options()
    };
    let mut stage = Stage::of(|brokers, now| Reading::new(options, "t", brokers, &[(0, 0)], now));
    stage.connect(0, false);
    stage
}

impl Stage<Reading> {
    #[track_caller]
    fn take_mechanism(&mut self) {
        let (number, request) = self.take(0, HANDSHAKE);
        assert!(request.ends_with(b"PLAIN"));
        let answer = answers::mechanisms(number, code::NONE, &["PLAIN"]);
        self.answer(0, answer);
    }

    #[track_caller]
    fn log_in(&mut self, lifetime_ms: i64) {
        self.take_mechanism();
        let (number, request) = self.take(0, AUTHENTICATE);
        assert!(request.ends_with(b"\0alice\0hush\0"));
        self.answer(0, answers::login(number, code::NONE, "", b"", lifetime_ms));
    }

    #[track_caller]
    fn refuse(&mut self, frame: Vec<u8>) -> cluster::Useless {
        let answered = self.machine.answered(0, Frame::of(frame), self.now);
        let useless = answered.expect_err("it is refused");
        assert!(!useless.reason.contains("hush"), "{}", useless.reason);
        useless
    }
}

#[test]
fn nothing_is_asked_before_the_login_and_a_login_that_ends_is_renewed() {
    let mut stage = greeted(Mechanism::Plain);
    assert_eq!(stage.kinds(0), [HANDSHAKE]);
    stage.log_in(10_000);
    stage.lead(0, &[(1, 1)], &[(1, 5)]);
    assert_eq!(stage.kinds(0), [FETCH]);
    stage.step(Duration::from_secs(8));
    assert_eq!(stage.kinds(0), [FETCH]);
    // What was asked before is answered first, and nothing more is asked.
    stage.step(Duration::from_secs(1));
    assert_eq!(stage.kinds(0), [FETCH, HANDSHAKE]);
    let (number, _) = stage.take(0, FETCH);
    stage.answer(0, answers::fetched(number, 0, &[]));
    assert_eq!(stage.kinds(0), [HANDSHAKE]);
    stage.log_in(0);
    assert_eq!(stage.kinds(0), [FETCH]);
    // This one does not end.
    let (number, _) = stage.take(0, FETCH);
    stage.answer(0, answers::fetched(number, 0, &[]));
    stage.step(Duration::from_secs(10));
    assert!(!stage.kinds(0).contains(&HANDSHAKE));
}

#[test]
fn a_login_that_is_refused_ends_the_run_in_the_brokers_words() {
    let mut stage = greeted(Mechanism::Plain);
    stage.take_mechanism();
    let (number, _) = stage.take(0, AUTHENTICATE);
    let reason = "Authentication failed: Invalid username or password";
    let useless = stage.refuse(answers::login(
        number,
        AUTHENTICATION_FAILED,
        reason,
        b"",
        0,
    ));
    assert!(useless.lasting.is_some());
    assert_eq!(
        useless.reason,
        format!("SASL authentication error: {reason}")
    );
}

#[test]
fn a_mechanism_that_the_broker_does_not_take_is_answered_by_those_that_it_does() {
    let mut stage = greeted(Mechanism::ScramSha512);
    let (number, _) = stage.take(0, HANDSHAKE);
    let others = ["PLAIN", "SCRAM-SHA-256"];
    let answer = answers::mechanisms(number, code::UNSUPPORTED_MECHANISM, &others);
    let useless = stage.refuse(answer);
    assert!(useless.lasting.is_some());
    assert!(
        useless.reason.ends_with("by PLAIN, SCRAM-SHA-256"),
        "{}",
        useless.reason
    );
    // A listener without logins.
    let mut stage = greeted(Mechanism::Plain);
    let (number, _) = stage.take(0, HANDSHAKE);
    assert!(
        stage
            .refuse(answers::mechanisms(number, code::ILLEGAL_LOGIN, &[]))
            .lasting
            .is_some()
    );
}

#[test]
fn a_broker_that_does_not_know_the_password_itself_is_not_trusted() {
    let mut stage = greeted(Mechanism::ScramSha256);
    let (number, _) = stage.take(0, HANDSHAKE);
    stage.answer(
        0,
        answers::mechanisms(number, code::NONE, &["SCRAM-SHA-256"]),
    );
    let (number, request) = stage.take(0, AUTHENTICATE);
    let request = String::from_utf8_lossy(&request).into_owned();
    let (_, nonce) = request.rsplit_once("n=alice,r=").expect("a nonce");
    let nonce = nonce.trim_end_matches('\0');
    let challenge = format!("r={nonce}more,s=QSXCR+Q6sek8bf92,i=4096");
    stage.answer(
        0,
        answers::login(number, code::NONE, "", challenge.as_bytes(), 0),
    );
    let (number, _) = stage.take(0, AUTHENTICATE);
    let forged = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    let useless = stage.refuse(answers::login(number, code::NONE, "", forged, 0));
    assert!(useless.lasting.is_some());
    assert!(!stage.kinds(0).contains(&METADATA) && !stage.kinds(0).contains(&VERSIONS));
}
