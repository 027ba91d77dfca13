//! Tests that cannot run on this machine.
//!
//! They say so and pass. Where everything is meant to be there, a test that does not run would only look
//! as if it had passed: with `K_TEST_MAY_SKIP` set, what it does not name may not be missing.
//! `scripts/test --install` sets it to what it could not provide, such as `containers,ipv6`.

use std::io::Write;

/// What a test needs besides `k`.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// A real Kafka, by Java and Maven.
    Broker,
    /// A podman that runs containers, and images for them.
    Containers,
    /// podman-compose, of an old and of a new version.
    Compose,
    /// The address `::1`.
    Ipv6,
    /// A program on the PATH.
    Program(&'static str),
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Need::Broker => "broker",
            Need::Containers => "containers",
            Need::Compose => "compose",
            Need::Ipv6 => "ipv6",
            Need::Program(name) => name,
        }
    }
}

/// Says that a test does not run for want of something; fails it where that has to be there.
#[track_caller]
pub fn skipped(need: Need, why: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // On the real stderr, which the harness holds back for tests that pass; in one piece, for tests run
    // side by side.
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("stderr");
    if let Ok(may) = std::env::var("K_TEST_MAY_SKIP") {
        let need = need.name();
        let may_be_missing = may.split(',').any(|missing| missing == need);
        assert!(
            may_be_missing,
            "{why}; `{need}` has to be here: K_TEST_MAY_SKIP is `{may}`"
        );
    }
}
