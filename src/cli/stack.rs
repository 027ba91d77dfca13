//! `k start`, `stop`, `status`, `logs`, `reset`, `pull` and `shell`: the stack, in containers or as
//! Kafka alone.

use std::io::{IsTerminal, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use super::broker::BrokerOptions;
use super::confirm::confirm;
use super::names;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::stack::command::Runner;
use crate::stack::compose;
use crate::stack::engine::EngineKind;
use crate::stack::java;
use crate::stack::service::{BrokerImage, Service};
use crate::stack::setup::Setup;
use crate::stack::start::{Running, Started, Wanted};
use crate::stack::status::{ServiceStatus, Status};
use crate::stack::{DEFAULT_BROKER, Stack};
use crate::term::grid::{self, Column, Spare};
use crate::term::table::{Align, Table};
use crate::term::units;

/// Start Kafka, ksqlDB and a web UI, and wait until they are ready.
///
/// Services that are already running are kept; those that have ended are started again. If a port
/// is in use by another program, the next free one is taken; `k status` shows it. K_KAFKA_PORT,
/// K_KSQL_PORT and K_UI_PORT set the ports, COMPOSE_PROJECT_NAME names the stack.
///
/// Without a working container engine, but with Java 17, only Kafka is started, as with `--engine
/// java`: Apache Kafka from `--kafka-home`, or fetched once from Maven Central (45 MB; K_MAVEN
/// names a mirror, HTTPS_PROXY a proxy). ksqlDB and the web UI need containers.
#[derive(Debug, clap::Args)]
pub(super) struct Start {
    #[command(flatten)]
    choice: Choice,

    /// How long to wait for each service to be ready.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = units::parse_positive_duration)]
    timeout: i64,

    /// Print the commands without running those that change anything.
    #[arg(long)]
    dry_run: bool,

    /// Accept connections from other machines at this address; 0.0.0.0: at all addresses. Only
    /// without containers. Everyone who can reach it may read, write and delete.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Ipv4Addr>,

    /// Run Kafka from this folder, without containers: an unpacked archive of Apache Kafka, or what
    /// `k pull --to` wrote [default: the variable KAFKA_HOME, else what was fetched].
    #[arg(long, value_name = "DIR")]
    kafka_home: Option<PathBuf>,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Stop the stack; its data is kept.
#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    #[command(flatten)]
    engine: EngineChoice,
}

/// Show the services, their addresses, and what Kafka holds.
#[derive(Debug, clap::Args)]
pub(super) struct StatusOptions {
    /// The format of the output.
    #[arg(long, value_enum, default_value = "table")]
    format: StatusFormat,

    #[command(flatten)]
    broker: BrokerOptions,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Show the log of a service.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// The service.
    #[arg(value_enum)]
    service: Service,

    /// Keep printing new lines until Ctrl-C.
    #[arg(short, long)]
    follow: bool,

    /// Print only this many lines from the end.
    #[arg(long, value_name = "N")]
    tail: Option<u64>,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Remove the stack and all its data.
#[derive(Debug, clap::Args)]
pub(super) struct Reset {
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Fetch the images, or Kafka itself, in advance.
#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    #[command(flatten)]
    choice: Choice,

    /// Fetch Kafka into this folder, to hand out: `k start --kafka-home DIR` then needs neither
    /// containers nor a network.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Open a shell with Kafka's own tools, or the ksql prompt.
///
/// `k shell kafka -- kafka-topics.sh --bootstrap-server kafka:19092 --list` runs one command.
#[derive(Debug, clap::Args)]
pub(super) struct Shell {
    /// The container.
    #[arg(value_enum)]
    service: Service,

    /// A command to run instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Which services and which broker.
#[derive(Debug, clap::Args)]
struct Choice {
    /// Start only these services; Kafka is always included.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SERVICE,…")]
    only: Vec<Service>,

    /// Leave ksqlDB out.
    #[arg(long, conflicts_with = "only")]
    no_ksql: bool,

    /// The broker: `apache`, `confluent`, `redpanda`, or an image of one of them [default: the
    /// variable K_KAFKA_IMAGE, else the existing broker, else `apache`].
    #[arg(long, value_name = "IMAGE", value_parser = BrokerImage::parse)]
    broker_image: Option<BrokerImage>,
}

#[derive(Debug, clap::Args)]
struct EngineChoice {
    /// What runs the stack [default: what it was started with, else the first that works of podman,
    /// docker, java].
    #[arg(long, value_enum)]
    engine: Option<EngineKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StatusFormat {
    Table,
    /// One JSON document.
    Json,
}

impl Choice {
    /// Returns the services in the order in which they start.
    fn services(&self) -> Vec<Service> {
        let is_wanted = |service: &Service| match service {
            Service::Kafka => true,
            Service::Ksqldb if self.no_ksql => false,
            service => self.only.is_empty() || self.only.contains(service),
        };
        Service::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Returns the broker named by flag or variable; an empty variable counts as unset.
    fn broker(&self) -> Result<Option<BrokerImage>> {
        let name = Service::Kafka.image_variable();
        match (&self.broker_image, compose::variable(name)) {
            (None, Some(image)) => BrokerImage::parse(&image).map(Some).map_err(|message| {
                Error::usage(format!("the variable {name} is `{image}`: {message}"))
            }),
            (flag, _) => Ok(flag.clone()),
        }
    }
}

pub(super) fn start(options: Start, context: &Context) -> Result<()> {
    let runner = Runner::new(&context.report, &context.interrupt);
    let timeout = Duration::from_millis(options.timeout.unsigned_abs());
    match Setup::to_start(options.engine_kind(), &runner)? {
        Setup::Containers(stack) => {
            options.check_in_containers()?;
            let wanted = Wanted {
                services: options.choice.services(),
                broker: options.choice.broker()?,
                timeout,
            };
            if options.dry_run {
                return print(&stack.start_commands(&wanted)?.join("\n"));
            }
            report_started(&stack.start(&wanted)?, context)?;
        }
        Setup::Process(broker) => {
            options.choice.check_without_containers()?;
            let wanted = java::Wanted {
                home: options.kafka_home.or_else(kafka_home),
                listen: options.listen,
                timeout,
            };
            if options.dry_run {
                return print(&broker.start_commands(&wanted)?.join("\n"));
            }
            report_started(&broker.start(&wanted)?, context)?;
            if options.choice.only.is_empty() {
                context.report.status(
                    "left out: ksqldb, kafka-ui; they need containers (`k start --engine podman`)",
                );
            }
            if let Some(address) = broker.open_address() {
                open_to_others(&address, context);
            }
        }
    }
    context.report.status("");
    for line in next_steps() {
        context.report.status(line);
    }
    Ok(())
}

/// Returns the folder in KAFKA_HOME, the variable of Kafka's own scripts.
fn kafka_home() -> Option<PathBuf> {
    compose::variable("KAFKA_HOME").map(PathBuf::from)
}

/// Reports what was started.
fn report_started(started: &Started, context: &Context) -> Result<()> {
    if started.ran_before {
        context
            .report
            .status("the stack is already running and answers");
    }
    context.report.status("");
    print_fitted(services_table(&started.services), context)
}

/// Reports what `--listen` has opened, and what to type on other machines.
fn open_to_others(address: &str, context: &Context) {
    context.report.warning(format!(
        "Kafka is open to everyone who can reach {address}, to read, write and delete"
    ));
    context.report.status(format!(
        "on the other machines: export K_BROKER={address} K_PREFIX=NAME-"
    ));
}

impl Start {
    /// Returns the engine that was asked for: flags that only work without containers ask for Java.
    fn engine_kind(&self) -> Option<EngineKind> {
        let wants_java = self.listen.is_some() || self.kafka_home.is_some();
        self.engine
            .engine
            .or(wants_java.then_some(EngineKind::Java))
    }

    /// Refuses flags that only work without containers.
    fn check_in_containers(&self) -> Result<()> {
        let flag = match (self.listen, &self.kafka_home) {
            (Some(listen), _) => format!("--listen {listen}"),
            (_, Some(home)) => format!("--kafka-home {}", home.display()),
            (None, None) => return Ok(()),
        };
        Err(Error::usage(format!(
            "`{flag}` is for Kafka without containers; in a container only this machine can reach it"
        ))
        .hint(format!("`k start --engine java {flag}`")))
    }
}

impl Choice {
    /// Refuses flags that only work in containers.
    fn check_without_containers(&self) -> Result<()> {
        if let Some(service) = self.only.iter().find(|service| !service.keeps_data()) {
            return Err(java::not_without_containers(*service));
        }
        match &self.broker_image {
            None => Ok(()),
            Some(_) => Err(Error::refused(
                "`--broker-image` needs containers, and Kafka runs without them",
            )
            .hint("for another version of Apache Kafka, use `--kafka-home DIR`")),
        }
    }
}

pub(super) fn stop(options: Stop, context: &Context) -> Result<()> {
    context
        .report
        .status(if at_hand(&options.engine, context)?.stop()? {
            "the data is kept: `k start` continues with it, `k reset` deletes it"
        } else {
            "nothing is running"
        });
    Ok(())
}

pub(super) fn status(options: StatusOptions, context: &Context) -> Result<()> {
    let mut status = status_of(&options, context)?;
    if let Some(topics) = &mut status.topics {
        topics.retain(|topic| names::is_own(&topic.topic));
    }
    match options.format {
        StatusFormat::Table if status.services.is_empty() => {}
        StatusFormat::Table => {
            let (services, topics) = status_tables(&status);
            print_fitted(services, context)?;
            if status.topics.is_some() {
                print(&"")?;
                match topics {
                    Some(topics) => print_fitted(topics, context)?,
                    None => print(&"no topics yet")?,
                }
            }
        }
        StatusFormat::Json => {
            let json = serde_json::to_string(&status);
            print(&json.map_err(|source| Error::bug("the status is not JSON").caused_by(source))?)?;
        }
    }
    if status.services.is_empty() {
        return Err(Error::refused("there is no stack").hint("start it with `k start`"));
    }
    match status.services.iter().find(|service| !service.is_ready) {
        None => Ok(()),
        Some(service) => Err(Error::refused(not_ready(service))
            .hint("`k start` starts what is not running, `k logs` shows why it is not")),
    }
}

/// Returns the status of the stack; without one, that of a Kafka started by other means.
fn status_of(options: &StatusOptions, context: &Context) -> Result<Status> {
    let own = at_hand(&options.engine, context).and_then(|setup| setup.status());
    match &own {
        Ok(status) if !status.services.is_empty() => return own,
        Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => return own,
        _ => {}
    }
    let broker = options.broker.settings(context)?.brokers;
    let runner = Runner::new(&context.report, &context.interrupt);
    match Status::of_stranger(&broker, &runner)? {
        Some(status) => Ok(status),
        None => own,
    }
}

fn not_ready(service: &ServiceStatus) -> String {
    let reason = service.reason.as_ref();
    let reason = reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    format!("`{}` is not ready{reason}", service.service)
}

pub(super) fn logs(options: Logs, context: &Context) -> Result<()> {
    at_hand(&options.engine, context)?.logs(options.service, options.follow, options.tail)
}

pub(super) fn reset(options: Reset, context: &Context) -> Result<()> {
    let setup = at_hand(&options.engine, context)?;
    let question = match setup {
        Setup::Containers(_) => {
            "This removes the containers of the stack and all topics and records. Go on?"
        }
        Setup::Process(_) => "This stops Kafka and removes all topics and records. Go on?",
    };
    confirm(question, options.yes, context)?;
    if !setup.reset()? {
        context.report.status("there was nothing to remove");
    }
    Ok(())
}

pub(super) fn pull(options: Pull, context: &Context) -> Result<()> {
    let runner = Runner::new(&context.report, &context.interrupt);
    if options.to.is_some() || options.engine.engine == Some(EngineKind::Java) {
        options.choice.check_without_containers()?;
        let home = java::pull(options.to.clone(), &runner)?;
        let folder = home.folder.display();
        context
            .report
            .status(format!("Kafka {} is in {folder}", home.version));
        if options.to.is_some() {
            context.report.status(format!(
                "with Java 17 and this folder, no network is needed: k start --engine java --kafka-home {folder}"
            ));
        }
        return Ok(());
    }
    let broker = options.choice.broker()?.unwrap_or(DEFAULT_BROKER);
    let engine = options.engine.engine.and_then(EngineKind::container);
    Stack::at_hand(engine, &runner)?.pull(&options.choice.services(), &broker)
}

pub(super) fn shell(options: Shell, context: &Context) -> Result<()> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let stack = match at_hand(&options.engine, context)? {
        Setup::Containers(stack) => stack,
        Setup::Process(_) if options.service != Service::Kafka => {
            return Err(java::not_without_containers(options.service));
        }
        Setup::Process(_) => {
            return Err(Error::refused(
                "Kafka runs without containers: there is no container to open a shell in",
            )
            .hint("`k topic`, `k group` and `k consume` do what Kafka's own tools do"));
        }
    };
    let status = stack.shell(options.service, &options.command, is_terminal)?;
    match status.success() {
        true => Ok(()),
        // An interactive shell ends with the status of the last command typed.
        false if options.command.is_empty() => Ok(()),
        false => Err(Error::refused(format!("the command ended with {status}"))),
    }
}

fn at_hand(choice: &EngineChoice, context: &Context) -> Result<Setup> {
    Setup::at_hand(
        choice.engine,
        &Runner::new(&context.report, &context.interrupt),
    )
}

/// Returns what to type once the stack is running.
fn next_steps() -> [&'static str; 4] {
    [
        "what to type next:",
        "  k gen --rate 100 --seconds 60                        # a minute of calls",
        "  k produce                                            # to Kafka",
        "  k window --from mono_signal --tumbling 10s --exit    # calls in every 10 s",
    ]
}

fn services_table(services: &[Running]) -> Table {
    let columns = ["service", "address", "image"];
    let mut table = Table::new(columns.map(column).to_vec(), grid::room());
    for service in services {
        table.row([
            service.service.name(),
            service.address.as_str(),
            short_name(&service.image),
        ]);
    }
    table
}

/// Returns the services of a stack and its topics, if there are any.
fn status_tables(status: &Status) -> (Table, Option<Table>) {
    let columns = ["service", "state", "address", "image"].map(column);
    let disk = Column::new("disk", Align::Right);
    let columns = columns.into_iter().chain([disk]).collect();
    let mut services = Table::new(columns, grid::room());
    for service in &status.services {
        let disk = service
            .written_bytes
            .map(units::format_bytes)
            .unwrap_or_default();
        let address = service.address.as_deref().unwrap_or_default();
        services.row([
            service.service,
            &service.state,
            address,
            short_name(&service.image),
            &disk,
        ]);
    }
    let topics = status.topics.as_deref().unwrap_or_default();
    if topics.is_empty() {
        return (services, None);
    }
    let numbers = ["partitions", "records"].map(|name| Column::new(name, Align::Right));
    let columns = [column("topic")].into_iter().chain(numbers).collect();
    let mut table = Table::new(columns, grid::room());
    for topic in topics {
        let records = units::format_count(topic.records.unsigned_abs());
        table.row([
            topic.topic.as_str(),
            &topic.partitions.to_string(),
            &records,
        ]);
    }
    (services, Some(table))
}

/// Returns a column of text; an image is the first that is left out.
fn column(name: &str) -> Column {
    let spare = (name == "image").then_some(Spare::Then(0));
    Column::new(name, Align::Left).spare(spare)
}

/// Prints a table, and says what it has no room for.
fn print_fitted(table: Table, context: &Context) -> Result<()> {
    let (lines, shortage) = table.fitted();
    print(&lines.trim_end_matches('\n'))?;
    let hint = shortage.hint("`k status --format json`");
    hint.into_iter().for_each(|hint| context.report.hint(hint));
    Ok(())
}

/// Returns an image's name and tag without registry and owner, so that a row fits 80 columns.
fn short_name(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

fn print(text: &impl std::fmt::Display) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").map_err(|source| Error::io("write to stdout", source))
}
