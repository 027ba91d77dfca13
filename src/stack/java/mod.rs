//! Kafka without containers: Apache's own broker as a process of this machine. The life of a start:
//!
//! 1. [`runtime`]: Java 17 or newer. 2. [`jars`]: Kafka's programs, from a folder or Maven Central.
//! 3. [`properties`]: its configuration, beside its data and its log in the folder `java` of the state.
//! 4. The data is formatted where there is none; the broker begins, and is known again by its
//!    [`process`], however many commands of `k` come and go. 5. It is asked until a topic could be made.
//!
//! ksqlDB and the web UI are not there: both are larger than what they would be of use for here.

pub mod jars;
mod kept;
pub mod process;
pub mod properties;
pub mod runtime;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use self::jars::Home;
use self::kept::Kept;
use self::process::Process;
use self::properties::{Listeners, Open, server_properties};
use self::runtime::Java;
use crate::error::{Error, Remedy, Result};
use crate::stack::command::{Call, Runner};
use crate::stack::compose::{self, variable};
use crate::stack::service::Service;
use crate::stack::start::{ASK_EVERY, Running, Started, choose_port, taken};
use crate::stack::state::{self, StackState};
use crate::stack::status::{ServiceStatus, Status, topics_at};
use crate::stack::{ended_by_closed_pipe, failure, ports, probe};
use crate::term::step::Step;

/// By how much the controller's port is above the clients': 29093 beside 9092, as in the compose file.
const TO_CONTROLLER: u16 = 20_001;
/// Kafka writes this file where it has formatted its storage.
const FORMATTED: &str = "meta.properties";
/// How long the broker may take to end in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the log from which a start begins a new one.
const LOG_LIMIT: u64 = 16 << 20;

/// The broker of this machine that needs no container, running or not.
#[derive(Debug)]
pub struct Broker {
    state_folder: PathBuf,
    folder: PathBuf,
    runner: Runner,
}

/// What is asked of it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Kafka's programs; `None`: KAFKA_HOME, else the cache.
    pub home: Option<PathBuf>,
    /// The address of this machine at which others may come.
    pub listen: Option<Ipv4Addr>,
    /// How long it may take until it is ready.
    pub timeout: Duration,
}

impl Broker {
    /// Returns the broker of this person.
    ///
    /// # Errors
    /// `refused` when there is no folder to keep its state in.
    pub fn new(runner: &Runner) -> Result<Self> {
        let state_folder = state::needed_folder()?;
        Ok(Broker {
            folder: state_folder.join("java"),
            state_folder,
            runner: runner.clone(),
        })
    }

    /// Returns whether there is one: its data, running or not.
    pub fn exists(&self) -> bool {
        self.kept().is_some()
    }

    /// Returns whether it runs.
    pub fn runs(&self) -> bool {
        self.kept().is_some_and(|kept| kept.runs())
    }

    /// Returns where other machines reach it while it runs, if they may.
    pub fn open_address(&self) -> Option<String> {
        self.kept().filter(Kept::runs)?.open
    }

    /// Starts it and returns once it is ready.
    ///
    /// # Errors
    /// `refused` when Java, Kafka or a port is missing or when it ends, `retry` when it is not ready in
    /// time, `stopped` after a signal: then it is ended.
    pub fn start(&self, wanted: &Wanted) -> Result<Started> {
        let _lock = self.lock()?;
        let before = self.kept();
        if let Some(kept) = before.clone().filter(Kept::runs) {
            return self.keep_running(kept, wanted);
        }
        let java = Java::find(&self.runner)?;
        let home = self.home(wanted)?;
        let (kept, listeners) = self.prepare(before.as_ref(), wanted, &java, &home)?;
        let data = self.folder.join("data");
        let properties = server_properties(&listeners, &data);
        let properties = state::write(&self.folder, "server.properties", &properties)?;
        if !data.join(FORMATTED).exists() {
            self.format(&java, &home, &properties)?;
        }
        let kept = self.spawn(kept, &self.broker_call(&java, &home, &properties))?;
        self.keep_state(&kept, true)?;
        self.finish(kept, wanted, false)
    }

    /// Returns the commands of a start, as lines of shell; runs none that changes anything.
    ///
    /// # Errors
    /// As [`start`](Self::start), as far as they can be foreseen.
    pub fn start_commands(&self, wanted: &Wanted) -> Result<Vec<String>> {
        let before = self.kept();
        if let Some(kept) = before.as_ref().filter(|kept| kept.runs()) {
            let address = Service::Kafka.address(kept.port);
            return Ok(vec![format!("# Kafka is already running at {address}")]);
        }
        let java = Java::find(&self.runner)?;
        let mut lines = Vec::new();
        let home = match named_home(wanted)? {
            Some(home) => home,
            None => Home::cached().map_or_else(
                || {
                    let folder = cache()?;
                    let libs = folder.join("libs");
                    lines.push(format!(
                        "# fetch {} from {} into {}",
                        jars::description(),
                        jars::repository(),
                        libs.display()
                    ));
                    let version = jars::VERSION.to_owned();
                    Ok(Home {
                        folder,
                        libs,
                        version,
                    })
                },
                Ok,
            )?,
        };
        let (kept, _) = self.prepare(before.as_ref(), wanted, &java, &home)?;
        let properties = self.folder.join("server.properties");
        if !self.folder.join("data").join(FORMATTED).exists() {
            lines.push(format_call(&java, &home, &properties).to_string());
        }
        lines.push(self.broker_call(&java, &home, &properties).to_string());
        lines.push(format!(
            "# wait until {}",
            probe::ready_when(Service::Kafka, kept.port)
        ));
        Ok(lines)
    }

    /// Ends it in order; its data stays. Returns whether it ran.
    ///
    /// # Errors
    /// `refused` when its state cannot be kept.
    pub fn stop(&self) -> Result<bool> {
        let Some(kept) = self.kept() else {
            return Ok(false);
        };
        let running = kept.process.as_ref().filter(|process| process.runs());
        if let Some(process) = running {
            let step = Step::begin(self.runner.report(), "stopping");
            let was_killed = process.end(STOP_TIMEOUT);
            step.done("stopped kafka");
            if was_killed {
                let seconds = STOP_TIMEOUT.as_secs();
                self.runner.report().warning(format!(
                    "Kafka did not end within {seconds} s and was killed; its next start will check its data"
                ));
            }
        }
        self.keep_state(&kept, false)?;
        Ok(running.is_some())
    }

    /// Ends it and removes its data. Returns whether there was anything.
    ///
    /// # Errors
    /// `refused` when its data cannot be removed.
    pub fn reset(&self) -> Result<bool> {
        if let Some(process) = self.kept().and_then(|kept| kept.process) {
            process.kill();
        }
        let was_there = self.folder.exists();
        if was_there {
            let step = Step::begin(self.runner.report(), "removing");
            std::fs::remove_dir_all(&self.folder).map_err(|source| {
                Error::io(format!("remove `{}`", self.folder.display()), source)
            })?;
            step.done("removed kafka");
        }
        StackState::forget(&self.state_folder)?;
        Ok(was_there)
    }

    /// Prints its log to stdout, the last `tail` lines if given; `follow` continues with what
    /// comes.
    ///
    /// # Errors
    /// `refused` for another service, and where there is no log.
    pub fn logs(&self, service: Service, follow: bool, tail: Option<u64>) -> Result<()> {
        let log = self.log();
        if service != Service::Kafka || !log.exists() {
            return Err(match service {
                Service::Kafka => Error::refused("Kafka has no log: it was never started")
                    .hint("start it with `k start`"),
                other => not_without_containers(other),
            });
        }
        let first = tail.map_or_else(|| "+1".to_owned(), |tail| tail.to_string());
        let call = Call::new("tail", ["-n", &first]).args(follow.then_some("-f"));
        let status = self.runner.hand_over(&call.args([log.as_os_str()]))?;
        if status.success() || ended_by_closed_pipe(status) {
            Ok(())
        } else {
            Err(Error::refused(format!(
                "the log of `{service}` cannot be read: {status}"
            )))
        }
    }

    /// Looks at it and asks it for its topics.
    ///
    /// # Errors
    /// `stopped` after a signal.
    pub fn status(&self) -> Result<Status> {
        let Some(kept) = self.kept() else {
            return Ok(Status::nothing());
        };
        let address = Service::Kafka.address(kept.port);
        let reason = if kept.runs() {
            probe::ask(Service::Kafka, kept.port, &self.runner)?.err()
        } else {
            None
        };
        let was_stopped = StackState::load(&self.state_folder).is_some_and(|state| !state.running);
        let state = match (kept.runs(), &reason) {
            (true, None) => "ready",
            (true, Some(_)) => "not ready",
            (false, _) if was_stopped => "stopped",
            (false, _) => "ended",
        };
        let is_ready = state == "ready";
        let topics = if is_ready {
            topics_at(&address, &self.runner)?
        } else {
            None
        };
        Ok(Status {
            services: vec![ServiceStatus {
                service: Service::Kafka.name(),
                state: state.to_owned(),
                is_ready,
                reason,
                address: Some(address),
                image: kept.version,
                written_bytes: Some(bytes_below(&self.folder.join("data"))),
            }],
            topics,
        })
    }

    /// Waits for a broker that was started before, if it listens where it should.
    fn keep_running(&self, kept: Kept, wanted: &Wanted) -> Result<Started> {
        if let Some(listen) = wanted.listen
            && kept.open.is_none()
        {
            return Err(Error::refused(format!(
                "Kafka is already running, and listens only for this machine, not at {listen}"
            ))
            .hint(format!(
                "`k stop`, then `k start --listen {listen}`; its data is kept"
            )));
        }
        let address = Service::Kafka.address(kept.port);
        let ran_before = probe::kafka(&address, &self.runner)?.is_ok();
        self.keep_state(&kept, true)?;
        self.finish(kept, wanted, ran_before)
    }

    /// Returns Kafka's programs, which are fetched where they are in no folder.
    fn home(&self, wanted: &Wanted) -> Result<Home> {
        if let Some(home) = named_home(wanted)? {
            return Ok(home);
        }
        match Home::cached() {
            Some(home) => Ok(home),
            None => jars::fetch(&cache()?, &self.runner),
        }
    }

    /// Chooses the ports: those it had, so that clients find it again, where they are free.
    fn prepare(
        &self,
        before: Option<&Kept>,
        wanted: &Wanted,
        java: &Java,
        home: &Home,
    ) -> Result<(Kept, Listeners)> {
        let had =
            before.filter(|kept| ports::is_free(kept.port) && variable("K_KAFKA_PORT").is_none());
        let local = match had {
            Some(kept) => kept.port,
            None => choose_port(Service::Kafka, &[], self.runner.report())?,
        };
        let usual = local
            .checked_add(TO_CONTROLLER)
            .unwrap_or_else(|| local.saturating_sub(TO_CONTROLLER));
        let controller = ports::next_free(usual, &[local], ports::is_free)
            .ok_or_else(|| taken(Service::Kafka, usual))?;
        let open = match wanted.listen {
            None => None,
            Some(listen) => Some(open_at(listen, [local, controller])?),
        };
        let kept = Kept {
            process: None,
            port: local,
            open: open
                .as_ref()
                .map(|open| format!("{}:{}", open.told, open.port)),
            version: format!("Kafka {}, Java {}", home.version, java.version),
        };
        let listeners = Listeners {
            local,
            controller,
            open,
        };
        Ok((kept, listeners))
    }

    /// Formats the storage, once in the life of its data.
    fn format(&self, java: &Java, home: &Home, properties: &Path) -> Result<()> {
        let call = format_call(java, home, properties);
        let outcome = self.runner.run(&call, |_| ())?;
        if outcome.status.success() {
            Ok(())
        } else {
            let words = outcome.last_words().unwrap_or("it printed nothing");
            Err(
                Error::refused(format!("Kafka cannot format its storage: {words}"))
                    .during(format!("running `{call}`")),
            )
        }
    }

    fn broker_call(&self, java: &Java, home: &Home, properties: &Path) -> Call {
        let heap = variable("KAFKA_HEAP_OPTS").unwrap_or_else(|| {
            let environment = compose::kafka_environment();
            let heap = environment
                .iter()
                .find(|(name, _)| *name == "KAFKA_HEAP_OPTS");
            heap.map(|(_, value)| (*value).to_owned())
                .unwrap_or_default()
        });
        let call = Call::new(&java.program.to_string_lossy(), heap.split_whitespace());
        // Kafka's archives come with one of two loggers, and its jars alone with a third.
        let mut logging = vec![
            "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS".to_owned(),
            "-Dlog4j2.level=INFO".to_owned(),
        ];
        let old = home.folder.join("config/log4j.properties");
        if old.exists() {
            logging.push(format!("-Dlog4j.configuration=file:{}", old.display()));
            logging.push(format!("-Dkafka.logs.dir={}", self.folder.display()));
        }
        call.args(logging)
            .args(["-Djava.awt.headless=true", "-cp"])
            .args([home.libs.join("*")])
            .args(["kafka.Kafka"])
            .args([properties])
    }

    /// Starts the broker apart from this process: in a group of its own, so that Ctrl-C and the end of
    /// a terminal do not reach it, with its log in a file.
    fn spawn(&self, kept: Kept, call: &Call) -> Result<Kept> {
        self.runner.interrupt().check()?;
        self.runner.report().detail(format!("running: {call}"));
        let path = self.log();
        let is_long = path.metadata().is_ok_and(|log| log.len() > LOG_LIMIT);
        let log = OpenOptions::new()
            .create(true)
            .append(!is_long)
            .write(true)
            .truncate(is_long)
            .open(&path);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) =
            log.map_err(|source| Error::io(format!("write `{}`", path.display()), source))?;
        let child = call
            .to_command()
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .map_err(|source| call.not_started(source))?;
        let process = Process::of(child.id());
        let kept = Kept { process, ..kept };
        match self.keep(&kept) {
            Ok(()) => Ok(kept),
            Err(error) => {
                // Nobody would know it again.
                if let Some(process) = kept.process {
                    process.kill();
                }
                Err(error)
            }
        }
    }

    /// Waits until it is ready and returns how it runs.
    fn finish(&self, kept: Kept, wanted: &Wanted, ran_before: bool) -> Result<Started> {
        if !ran_before {
            let waited = self.wait_until_ready(&kept, wanted.timeout);
            if let Err(error) = &waited
                && matches!(error.remedy(), Remedy::Stopped(_))
                && let Some(process) = &kept.process
            {
                self.runner
                    .report()
                    .status("stopping: Kafka is stopped again");
                process.end(STOP_TIMEOUT);
                self.keep_state(&kept, false)?;
            }
            waited?;
        }
        Ok(Started {
            services: vec![Running {
                service: Service::Kafka,
                address: Service::Kafka.address(kept.port),
                image: kept.version,
            }],
            ran_before,
        })
    }

    fn wait_until_ready(&self, kept: &Kept, timeout: Duration) -> Result<()> {
        let step = Step::begin(self.runner.report(), "waiting for kafka");
        let address = Service::Kafka.address(kept.port);
        let began = Instant::now();
        loop {
            let runs = kept.runs(); // asked before the probe: what answers later is another
            let reason = match probe::kafka(&address, &self.runner)? {
                Ok(()) if runs => break,
                Ok(()) => "another program answers there".to_owned(),
                Err(reason) => reason,
            };
            let now = Instant::now();
            if !runs {
                drop(step);
                self.keep_state(kept, false)?;
                return Err(failure::of_process(&self.end_of_log()));
            }
            if now >= began + timeout {
                drop(step);
                let (seconds, log) = (timeout.as_secs(), self.end_of_log());
                return Err(failure::of_silence(Service::Kafka, seconds, &reason, &log));
            }
            step.at(&reason);
            self.runner.interrupt().sleep_until(now + ASK_EVERY);
        }
        step.done(&format!("kafka is ready at {address}"));
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Returns the end of the log; empty where it cannot be read.
    fn end_of_log(&self) -> String {
        const END: u64 = 1 << 14;
        let read = || {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            std::io::Result::Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}

/// Fetches Kafka's programs into a folder, by default `k`'s cache, and returns that.
///
/// # Errors
/// As [`jars::fetch`].
pub fn pull(to: Option<PathBuf>, runner: &Runner) -> Result<Home> {
    match to {
        Some(folder) => jars::fetch(&folder, runner),
        None => jars::fetch(&cache()?, runner),
    }
}

/// Returns the error of a service that is not there without containers.
pub fn not_without_containers(service: Service) -> Error {
    Error::refused(format!(
        "`{service}` needs containers, and Kafka is running without"
    ))
    .hint("with podman or docker: `k stop`, then `k start --engine podman`")
}

fn cache() -> Result<PathBuf> {
    jars::cache().ok_or_else(|| {
        Error::refused("there is no folder to store Kafka in")
            .hint("set HOME or XDG_CACHE_HOME, or name a folder that has it with `--kafka-home`")
    })
}

/// Returns the Kafka that the user named by flag or variable.
fn named_home(wanted: &Wanted) -> Result<Option<Home>> {
    wanted.home.as_deref().map(Home::of).transpose()
}

fn format_call(java: &Java, home: &Home, properties: &Path) -> Call {
    const CLUSTER: &str = "k-streams-workshop-00w";
    Call::new(
        &java.program.to_string_lossy(),
        ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"],
    )
    .args([home.libs.join("*")])
    .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
    .args([properties])
}

/// Returns where other machines are let in: at `listen`, under the address that they see.
fn open_at(listen: Ipv4Addr, given: [u16; 2]) -> Result<Open> {
    let told = if listen.is_unspecified() {
        own_address().ok_or_else(|| {
            Error::refused("this machine has no address that others can reach")
                .during(format!("listening at {listen}"))
                .hint("join a network, or name the address of this machine: `--listen 192.168.1.5`")
        })?
    } else {
        listen
    };
    let is_free = |port| std::net::TcpListener::bind((listen, port)).is_ok();
    let first = given[0].saturating_add(1);
    let port = ports::next_free(first, &given, is_free).ok_or_else(|| {
        Error::refused(format!("cannot listen at {listen}, port {first}"))
            .hint("is it an address of this machine? `--listen 0.0.0.0` means all of them")
    })?;
    Ok(Open { listen, told, port })
}

/// Returns the address by which this machine goes to others. Nothing is sent: a datagram's socket
/// only chooses its way.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()? {
        std::net::SocketAddr::V4(address) if !address.ip().is_unspecified() => Some(*address.ip()),
        _ => None,
    }
}

/// Returns the bytes of all files below a folder, those left out that go meanwhile.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let bytes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => {
            use std::os::unix::fs::MetadataExt;
            // Indexes are made long and are mostly holes.
            entry.metadata().map_or(0, |file| file.blocks() * 512)
        }
        _ => 0,
    });
    bytes.sum()
}
