//! One real Kafka for a test program: `K_TEST_BROKER`, or started by `scripts/kafka`; and others
//! for tests that let theirs crash.

use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::skip::{Need, skipped};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka");

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
            skipped(Need::Broker, reason);
            None
        }
    }
}

/// Starts a broker that ends with this process, however that ends.
fn start() -> Result<String, String> {
    start_many(1)
}

/// Starts so many brokers of one cluster, as [`start`] does.
fn start_many(brokers: usize) -> Result<String, String> {
    let (process, brokers) = (std::process::id().to_string(), brokers.to_string());
    let line = [
        "up",
        "--port",
        "0",
        "--brokers",
        &brokers,
        "--with",
        &process,
    ];
    answer(&script(&line))
}

/// Set where no broker is wanted: what needs one, or a container, is skipped.
const QUICK: &str = "K_TEST_QUICK";

/// Returns whether tests that need a broker or containers are left out.
pub fn is_quick() -> bool {
    std::env::var_os(QUICK).is_some()
}

fn script(arguments: &[&str]) -> Output {
    let mut script = Command::new(SCRIPT);
    if is_quick() {
        script = Command::new("sh");
        script.args([
            "-c",
            "echo 'no broker is wanted (K_TEST_QUICK)' >&2; exit 77",
        ]);
    }
    let output = script.args(arguments).stdin(Stdio::null()).output();
    output.expect("scripts/kafka runs")
}

/// Returns what the script has printed, or what has to be installed for it. Fails where the
/// script has failed.
fn answer(output: &Output) -> Result<String, String> {
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Some(77) => Err(said.lines().next().unwrap_or_default().to_owned()),
        _ => panic!("scripts/kafka: {said}"),
    }
}

/// Returns where Kafka's own Java programs are, or says that the test is skipped.
pub fn classpath() -> Option<String> {
    answer(&script(&["classpath"]))
        .map_err(|reason| skipped(Need::Broker, &reason))
        .ok()
}

/// Runs one of Kafka's own Java programs and returns what it printed, or says that the test is
/// skipped.
pub fn tool(arguments: &[&str]) -> Option<String> {
    let arguments: Vec<&str> = ["tool"].iter().chain(arguments).copied().collect();
    answer(&script(&arguments))
        .map_err(|reason| skipped(Need::Broker, &reason))
        .ok()
}

/// A broker of one test's own, which may crash and come back; ended with the test.
pub struct OwnBroker {
    pub address: String,
}

impl OwnBroker {
    /// Starts one, or says that the test is skipped.
    pub fn start() -> Option<Self> {
        let address = start()
            .map_err(|reason| skipped(Need::Broker, &reason))
            .ok()?;
        Some(OwnBroker { address })
    }

    /// Starts a cluster of so many, or says that the test is skipped.
    pub fn start_many(brokers: usize) -> Option<Self> {
        let started = start_many(brokers).map_err(|reason| skipped(Need::Broker, &reason));
        let first = started.ok()?;
        Some(OwnBroker { address: first })
    }

    /// Ends one of several as a loss of power would.
    pub fn crash_node(&self, node: usize) {
        let output = script(&["crash", "--port", self.port(), "--node", &node.to_string()]);
        answer(&output).expect("it was started here");
    }

    /// Ends it as a loss of power would.
    pub fn crash(&self) {
        self.script("crash");
    }

    /// Starts it again with the data that it had, and waits until it answers.
    pub fn restart(&self) {
        self.script("restart");
    }

    /// Returns the number of its process.
    pub fn pid(&self) -> i32 {
        let status = self.script("status");
        let words: Vec<&str> = status.split([' ', ',']).collect();
        let pid = words.iter().skip_while(|&&word| word != "process").nth(1);
        pid.expect("it runs").parse().expect("a number")
    }

    /// Waits until it has ended by itself.
    pub fn await_end(&self) {
        let deadline = Instant::now() + Duration::from_secs(180);
        while script(&["status", "--port", self.port()]).status.success() {
            assert!(Instant::now() < deadline, "the broker still runs");
            std::thread::sleep(Duration::from_millis(200)); // the next look
        }
    }

    fn port(&self) -> &str {
        // Of several, the first one's is the cluster's.
        let first = self.address.split(',').next().unwrap_or_default();
        first.split_once(':').expect("a port").1
    }

    fn script(&self, command: &str) -> String {
        let output = script(&[command, "--port", self.port()]);
        answer(&output).expect("it was started here")
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        self.script("down");
    }
}

/// Returns a name that no other test of this or an earlier run uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{count}", std::process::id())
}

/// A record as a plain librdkafka consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Reads a topic to its end, by the `rdkafka` crate's own consumer; ordered by partition and offset.
pub fn read_topic(broker: &str, topic: &str) -> Vec<Record> {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::error::KafkaError;
    use rdkafka::message::{Headers, Message};
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", unique("reader"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let timeout = Duration::from_secs(60);
    let metadata = consumer
        .fetch_metadata(Some(topic), timeout)
        .expect("metadata");
    let partitions = metadata.topics()[0].partitions();
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        let added = assignment.add_partition_offset(topic, partition.id(), Offset::Beginning);
        added.expect("a partition");
    }
    consumer.assign(&assignment).expect("assigned");
    let mut records = Vec::new();
    let mut open = partitions.len();
    while open > 0 {
        match consumer
            .poll(timeout)
            .expect("records or an end within the time")
        {
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            Err(error) => panic!("cannot read {topic}: {error}"),
            Ok(message) => {
                let headers = message.headers().map(|headers| {
                    let headers = headers.iter();
                    let owned = headers
                        .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
                    owned.collect()
                });
                records.push(Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp: message.timestamp().to_millis(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers.unwrap_or_default(),
                });
            }
        }
    }
    records.sort();
    records
}

/// A broker of one test's own with TLS: a certificate that signs itself; user alice by
/// SCRAM-SHA-256, user bob by PLAIN; without TLS user carol by SCRAM-SHA-512, for 2 s at a time.
pub struct SecureBroker {
    own: OwnBroker,
    /// Where TLS is spoken.
    pub tls: String,
    /// Where a login is asked for in the clear.
    pub clear: String,
    /// Where TLS is spoken and a login is asked for.
    pub login: String,
    /// The file of its certificate.
    pub certificate: String,
}

impl SecureBroker {
    /// Starts one, or says that the test is skipped.
    pub fn start() -> Option<Self> {
        let process = std::process::id().to_string();
        let line = ["up", "--port", "0", "--secure", "--with", &process];
        let address = answer(&script(&line))
            .map_err(|reason| skipped(Need::Broker, &reason))
            .ok()?;
        let (_, port) = address.split_once(':').expect("a port");
        let certificate = answer(&script(&["certificate", "--port", port])).expect("it runs");
        let first: u16 = port.parse().expect("a number");
        let at = |port: u16| format!("127.0.0.1:{port}");
        Some(SecureBroker {
            clear: at(first + 3),
            tls: at(first + 4),
            login: at(first + 7),
            certificate,
            own: OwnBroker { address },
        })
    }

    /// Returns the address that asks for nothing.
    pub fn plain(&self) -> &str {
        &self.own.address
    }
}
