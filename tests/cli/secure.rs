//! TLS and logins, against a real broker that asks for them: by `-X` and by `--config`.

use std::time::{Duration, Instant};

use crate::broker::SecureBroker;
use crate::running::Running;
use crate::workdir::Workdir;

const CALLS: &str = "call_id,start_timestamp,caller\n1,1767225600000,a\n2,1767225600500,b\n";

/// Returns the clients that speak TLS here, as flags.
fn clients() -> &'static [&'static str] {
    if cfg!(feature = "tls") {
        &["", " -X client=librdkafka"]
    } else {
        &[""]
    }
}

#[test]
fn tls_and_logins_work_by_flags_and_files_and_secrets_are_never_shown() {
    let Some(broker) = SecureBroker::start() else {
        return;
    };
    let dir = Workdir::new();
    dir.write("calls.csv", CALLS);
    for (nth, client) in clients().iter().enumerate() {
        let topic = format!("calls{nth}");
        dir.write("bob.secret", "bob-secret\n");
        let trust = format!("-X ssl.ca.location={}{client}", broker.certificate);

        // TLS, by flags: in over TLS, out without.
        let tls = format!("-b {} -X security.protocol=ssl {trust}", broker.tls);
        dir.k(&format!("produce calls.csv -t {topic} {tls}"))
            .assert_status(0);
        let read = dir.k(&format!(
            "consume {topic} --exit -q --format raw -b {}",
            broker.plain()
        ));
        assert_eq!(read.assert_status(0).stdout().lines().count(), 2);

        // SCRAM, by flags, the password from the environment.
        let login = format!("-b {} -X security.protocol=sasl_ssl {trust}", broker.login);
        let scram = format!(
            "{login} -X sasl.mechanism=SCRAM-SHA-256 -X sasl.username=alice -X sasl.password=env:PASSWORD"
        );
        let window = format!("k window --global --from {topic} --exit -q {scram}");
        let run = dir.shell(&format!("PASSWORD=alice-secret {window}"));
        assert_eq!(
            run.assert_status(0).stdout(),
            "window_start,window_end,count\n,,2\n"
        );

        // PLAIN, from a file that names another file for the password.
        dir.write(
            "client.properties",
            format!(
                "bootstrap.servers={}\nsecurity.protocol=sasl_ssl\nssl.ca.location={}\n\
                 sasl.mechanism=PLAIN\nsasl.username=bob\nsasl.password=@bob.secret\n",
                broker.login, broker.certificate
            ),
        );
        let run = dir.k(&format!("topic list -q --config client.properties{client}"));
        let list = run.assert_status(0).stdout();
        assert!(list.contains(&format!("\n{topic},3,1,2\n")), "{list}");

        // What is wrong is told at once, and never with a secret in it.
        let began = Instant::now();
        let chatty = dir.shell(&format!("PASSWORD=wrong-secret {window} -v"));
        let wrong = dir.shell(&format!("PASSWORD=wrong-secret {window}"));
        wrong.assert_refused(1, &["Authentication failed", "sasl."]);
        dir.write("bob.secret", "wrong-secret");
        let plain = dir.k(&format!("topic list --config client.properties{client}"));
        plain.assert_refused(1, &["refused the connection", "sasl."]);
        let untrusted = format!(
            "topic list -b {} -X security.protocol=ssl{client}",
            broker.tls
        );
        dir.k(&untrusted)
            .assert_refused(1, &["certificate", "ssl.ca.location"]);
        let unsecured = format!("topic list -b {}{client}", broker.tls);
        dir.k(&unsecured)
            .assert_refused(1, &["perhaps it needs `-X security.protocol=ssl`"]);
        assert!(began.elapsed() < Duration::from_secs(40));
        for run in [chatty, wrong, plain] {
            assert!(!run.stderr().contains("wrong-secret"), "{}", run.stderr());
        }
    }
}

/// Records that come while logins end, which they do every 2 s there.
#[test]
fn a_login_that_ends_is_renewed_while_records_come() {
    let Some(broker) = SecureBroker::start() else {
        return;
    };
    let dir = Workdir::new();
    dir.write("calls.csv", CALLS);
    dir.write("carol.secret", "carol-secret");
    let login = format!(
        "-b {} -X security.protocol=sasl_plaintext -X sasl.mechanism=SCRAM-SHA-512 \
         -X sasl.username=carol -X sasl.password=@carol.secret",
        broker.clear
    );
    dir.k(&format!("topic create calls {login}"))
        .assert_status(0);
    let began = Instant::now();
    let running = Running::start(&dir, &format!("consume calls --format raw -v {login}"));
    let mut lines = 0;
    // Three logins at least have ended by then.
    while began.elapsed() < Duration::from_secs(7) {
        dir.k(&format!("produce calls.csv -t calls {login}"))
            .assert_status(0);
        lines += 2;
        running.await_lines(lines);
    }
    let run = running.ended_by(rustix::process::Signal::INT);
    assert_eq!(run.stdout().lines().count(), lines);
    // A broker ends the connection of whoever asks for something after that.
    let closed = ["closed the connection", "reset by peer"];
    for closed in closed {
        assert!(!run.stderr().contains(closed), "{}", run.stderr());
    }
}

#[test]
fn what_librdkafka_does_needs_its_own_tls() {
    let dir = Workdir::new();
    let locked =
        "consume calls -b 127.0.0.1:1 -X security.protocol=ssl -X ssl.key.password=env:HOME";
    if cfg!(feature = "tls") {
        dir.k(locked).assert_status(1);
    } else {
        let refused = dir.k(&format!("{locked} -v"));
        refused.assert_refused(
            1,
            &[
                "needs TLS in librdkafka",
                "does not heed `ssl.key.password`",
                "tls-vendored",
            ],
        );
    }
    let described = dir.k("group describe g -b 127.0.0.1:1 -X security.protocol=ssl");
    if cfg!(feature = "tls") {
        described.assert_refused(1, &["cannot reach"]);
    } else {
        described.assert_refused(1, &["needs TLS in librdkafka", "without `--group`"]);
    }
}

#[test]
fn a_secret_typed_without_its_sign_is_not_repeated() {
    let dir = Workdir::new();
    dir.write("client.properties", "sasl.password hunter2\n");
    for line in [
        "topic list --config client.properties",
        "topic list -X sasl.password:hunter2",
        "topic list -X sasl.oauthbearer.assertion.private.key.passphrase=hunter2",
    ] {
        let run = dir.k(line);
        run.assert_refused(2, &["sasl."]);
        assert!(!run.stderr().contains("hunter2"), "{}", run.stderr());
    }
}

#[test]
fn a_build_says_whether_librdkafka_speaks_tls_and_the_way_out_where_it_does_not() {
    let dir = Workdir::new();
    let version = dir.k("--version");
    let line = "topic list -b 127.0.0.1:1 -X security.protocol=ssl -X client=librdkafka";
    let run = dir.k(line);
    run.assert_status(1);
    let said = version.stdout();
    if cfg!(feature = "tls") {
        assert!(said.contains(", with TLS"), "{said}");
        assert!(run.stderr().contains("cannot reach"), "{}", run.stderr());
    } else {
        assert!(said.contains(", without TLS in librdkafka"), "{said}");
        let way_out = [
            "was built without it",
            "`security.protocol=ssl`",
            "--features tls-vendored",
        ];
        run.assert_refused(1, &way_out);
        // The direct client has its own.
        let direct = dir.k("topic list -b 127.0.0.1:1 -X security.protocol=ssl -X enable.ssl.certificate.verification=false");
        direct.assert_refused(1, &["cannot reach"]);
    }
}
