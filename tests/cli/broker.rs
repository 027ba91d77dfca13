//! One real Kafka for a test program: `K_TEST_BROKER`, or started by `scripts/kafka`.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Returns the broker's address, or says loudly that the test is skipped: without Java or Maven
/// there is no broker. Any other failure to start one fails the test.
pub fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Result<String, String>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| match std::env::var("K_TEST_BROKER") {
        Ok(broker) => Ok(broker),
        Err(_) => start(),
    });
    match broker {
        Ok(broker) => Some(broker),
        Err(reason) => {
            skipped(reason);
            None
        }
    }
}

/// Says that a test is skipped; not with `eprintln!`, which is shown for failed tests alone.
pub fn skipped(reason: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    writeln!(std::io::stderr(), "SKIPPED {test}: {reason}").expect("stderr");
}

/// Starts a broker that ends with this process, however that ends.
fn start() -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");
    let process = std::process::id().to_string();
    let output = Command::new(script)
        .args(["up", "--port", "0", "--with", &process])
        .stdin(Stdio::null())
        .output()
        .expect("scripts/kafka runs");
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Some(77) => Err(said.lines().next().unwrap_or_default().to_owned()),
        _ => panic!("no broker: {said}"),
    }
}

/// Returns a name that no other test of this or an earlier run uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{count}", std::process::id())
}
