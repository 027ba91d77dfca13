//! TLS and logins, against a real broker that asks for them: by `-X` and by `--config`.

use std::time::{Duration, Instant};

use crate::broker::SecureBroker;
use crate::workdir::Workdir;

const CALLS: &str = "call_id,start_timestamp,caller\n1,1767225600000,a\n2,1767225600500,b\n";

#[test]
fn tls_and_logins_work_by_flags_and_files_and_secrets_are_never_shown() {
    let Some(broker) = SecureBroker::start() else {
        return;
    };
    let dir = Workdir::new();
    dir.write("calls.csv", CALLS);
    dir.write("bob.secret", "bob-secret\n");
    let trust = format!("-X ssl.ca.location={}", broker.certificate);

    // TLS, by flags: in over TLS, out without.
    let tls = format!("-b {} -X security.protocol=ssl {trust}", broker.tls);
    dir.k(&format!("produce calls.csv -t calls {tls}"))
        .assert_status(0);
    let read = dir.k(&format!(
        "consume calls --exit -q --format raw -b {}",
        broker.plain()
    ));
    assert_eq!(read.assert_status(0).stdout().lines().count(), 2);

    // SCRAM, by flags, the password from the environment.
    let login = format!("-b {} -X security.protocol=sasl_ssl {trust}", broker.login);
    let scram = format!(
        "{login} -X sasl.mechanism=SCRAM-SHA-256 -X sasl.username=alice -X sasl.password=env:PASSWORD"
    );
    let window = format!("k window --global --from calls --exit -q {scram}");
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
    let run = dir.k("topic list -q --config client.properties");
    assert_eq!(
        run.assert_status(0).stdout(),
        "topic,partitions,replication,records\ncalls,3,1,2\n"
    );

    // What is wrong is told at once, and never with a secret in it.
    let began = Instant::now();
    let chatty = dir.shell(&format!("PASSWORD=wrong-secret {window} -v"));
    let wrong = dir.shell(&format!("PASSWORD=wrong-secret {window}"));
    wrong.assert_refused(1, &["Authentication failed", "sasl."]);
    dir.write("bob.secret", "wrong-secret");
    let plain = dir.k("topic list --config client.properties");
    plain.assert_refused(1, &["refused the connection", "sasl."]);
    let untrusted = format!("topic list -b {} -X security.protocol=ssl", broker.tls);
    dir.k(&untrusted)
        .assert_refused(1, &["certificate", "ssl.ca.location"]);
    let unsecured = format!("topic list -b {}", broker.tls);
    dir.k(&unsecured)
        .assert_refused(1, &["perhaps it needs `-X security.protocol=ssl`"]);
    assert!(began.elapsed() < Duration::from_secs(20));
    for run in [chatty, wrong, plain] {
        assert!(!run.stderr().contains("wrong-secret"), "{}", run.stderr());
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
fn a_build_says_whether_it_speaks_tls_and_the_way_out_where_it_does_not() {
    let dir = Workdir::new();
    let version = dir.k("--version");
    let run = dir.k("topic list -b 127.0.0.1:1 -X security.protocol=ssl");
    run.assert_status(1);
    if cfg!(feature = "tls") {
        assert!(
            version.stdout().contains(", with TLS"),
            "{}",
            version.stdout()
        );
        assert!(run.stderr().contains("cannot reach"), "{}", run.stderr());
    } else {
        assert!(
            version.stdout().contains(", without TLS"),
            "{}",
            version.stdout()
        );
        let way_out = [
            "was built without it",
            "`security.protocol=ssl`",
            "--features tls-vendored",
        ];
        run.assert_refused(1, &way_out);
    }
}
