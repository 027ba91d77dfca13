//! `k start`, `stop`, `status`, `logs`, `reset`, `pull` and `shell`: the stack in containers.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::Context;
use super::confirm::confirm;
use crate::error::{Error, Result};
use crate::stack::command::Runner;
use crate::stack::compose;
use crate::stack::engine::Engine;
use crate::stack::service::{BrokerImage, Service};
use crate::stack::start::{Running, Wanted};
use crate::stack::status::{ServiceStatus, Status};
use crate::stack::{DEFAULT_BROKER, Stack};
use crate::term::table::{Align, Table};
use crate::term::units;

/// Start Kafka, ksqlDB and a web UI; returns once a message can flow.
///
/// What is there is kept: started twice it says so, and what is dead is started again.
/// A port that another program holds is replaced by the next free one; `k status` shows it.
/// K_KAFKA_PORT, K_KSQL_PORT and K_UI_PORT fix a port, COMPOSE_PROJECT_NAME names the stack.
#[derive(Debug, clap::Args)]
pub(super) struct Start {
    #[command(flatten)]
    choice: Choice,

    /// How long each service may take until it is ready.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = units::parse_positive_duration)]
    timeout: i64,

    /// Print the commands, and run none that changes anything.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Stop the stack; its data stays in the containers.
#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    #[command(flatten)]
    engine: EngineChoice,
}

/// Show the services, their addresses, and what Kafka holds.
#[derive(Debug, clap::Args)]
pub(super) struct StatusOptions {
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: StatusFormat,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Show the log of a service.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// Of which service.
    #[arg(value_enum)]
    service: Service,

    /// Go on with what comes, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,

    /// Only so many lines from the end.
    #[arg(long, value_name = "N")]
    tail: Option<u64>,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Remove the stack with all its data.
#[derive(Debug, clap::Args)]
pub(super) struct Reset {
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Fetch the images, before a lesson and while the network is good.
#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    #[command(flatten)]
    choice: Choice,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Open Kafka's own tools, or the ksql prompt.
///
/// `k shell kafka -- kafka-topics.sh --bootstrap-server kafka:19092 --list` runs one command.
#[derive(Debug, clap::Args)]
pub(super) struct Shell {
    /// Inside which container.
    #[arg(value_enum)]
    service: Service,

    /// What to run instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    engine: EngineChoice,
}

/// Which services and which broker.
#[derive(Debug, clap::Args)]
struct Choice {
    /// Only these services; Kafka is always one of them.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SERVICE,…")]
    only: Vec<Service>,

    /// Leave ksqlDB out.
    #[arg(long, conflicts_with = "only")]
    no_ksql: bool,

    /// The broker: `apache`, `confluent`, `redpanda`, or an image of one of them [default: the
    /// variable K_KAFKA_IMAGE, else the broker that is there, else `apache`].
    #[arg(long, value_name = "IMAGE", value_parser = BrokerImage::parse)]
    broker_image: Option<BrokerImage>,
}

#[derive(Debug, clap::Args)]
struct EngineChoice {
    /// What runs the containers; default: what the stack was started with, else podman, else docker.
    #[arg(long, value_enum)]
    engine: Option<Engine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StatusFormat {
    Table,
    /// One document.
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

    /// Returns the broker that was asked for by flag or variable; an empty variable is none.
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
    let wanted = Wanted {
        services: options.choice.services(),
        broker: options.choice.broker()?,
        timeout: Duration::from_millis(options.timeout.unsigned_abs()),
    };
    let engine = options.engine.engine;
    if options.dry_run {
        return print(
            &Stack::to_start(engine, &runner)?
                .start_commands(&wanted)?
                .join("\n"),
        );
    }
    let started = Stack::to_start(engine, &runner)?.start(&wanted)?;
    if started.ran_before {
        context.report.status("the stack runs already, and answers");
    }
    context.report.status("");
    print(&services_table(&started.services))?;
    context.report.status("");
    for line in next_steps() {
        context.report.status(line);
    }
    Ok(())
}

pub(super) fn stop(options: Stop, context: &Context) -> Result<()> {
    let stopped = at_hand(&options.engine, context)?.stop()?;
    context.report.status(match stopped.is_empty() {
        true => "nothing runs",
        false => "the data is kept: `k start` goes on with it, `k reset` drops it",
    });
    Ok(())
}

pub(super) fn status(options: StatusOptions, context: &Context) -> Result<()> {
    let status = at_hand(&options.engine, context)?.status()?;
    match options.format {
        StatusFormat::Table if status.services.is_empty() => {}
        StatusFormat::Table => print(&status_tables(&status))?,
        StatusFormat::Json => {
            let json = serde_json::to_string(&status);
            print(&json.map_err(|source| Error::bug("the status is no JSON").caused_by(source))?)?;
        }
    }
    if status.services.is_empty() {
        return Err(Error::refused("there is no stack").hint("start it with `k start`"));
    }
    match status.services.iter().find(|service| !service.is_ready) {
        None => Ok(()),
        Some(service) => Err(Error::refused(not_ready(service))
            .hint("`k start` starts what does not run, `k logs` shows why it does not")),
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
    let stack = at_hand(&options.engine, context)?;
    let question = "This removes the stack's containers with all topics and records. Go on?";
    confirm(question, options.yes, context)?;
    if stack.reset()?.is_empty() {
        context.report.status("there was nothing to remove");
    }
    Ok(())
}

pub(super) fn pull(options: Pull, context: &Context) -> Result<()> {
    let broker = options.choice.broker()?.unwrap_or(DEFAULT_BROKER);
    at_hand(&options.engine, context)?.pull(&options.choice.services(), &broker)
}

pub(super) fn shell(options: Shell, context: &Context) -> Result<()> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let stack = at_hand(&options.engine, context)?;
    let status = stack.shell(options.service, &options.command, is_terminal)?;
    match status.success() {
        true => Ok(()),
        // An interactive shell ends with the status of whatever was typed last.
        false if options.command.is_empty() => Ok(()),
        false => Err(Error::refused(format!("the command ended with {status}"))),
    }
}

fn at_hand(choice: &EngineChoice, context: &Context) -> Result<Stack> {
    Stack::at_hand(
        choice.engine,
        &Runner::new(&context.report, &context.interrupt),
    )
}

/// Returns what a newcomer types once the stack runs.
fn next_steps() -> [&'static str; 4] {
    [
        "what to type next:",
        "  k gen --rate 100 --seconds 60                        # a minute of calls",
        "  k produce                                            # to Kafka",
        "  k window --from mono_signal --tumbling 10s --exit    # calls in every 10 s",
    ]
}

fn services_table(services: &[Running]) -> Table {
    let mut table = Table::new(&[
        ("service", Align::Left),
        ("address", Align::Left),
        ("image", Align::Left),
    ]);
    for service in services {
        table.row([
            service.service.name(),
            service.address.as_str(),
            short_name(&service.image),
        ]);
    }
    table
}

fn status_tables(status: &Status) -> String {
    let mut services = Table::new(&[
        ("service", Align::Left),
        ("state", Align::Left),
        ("address", Align::Left),
        ("image", Align::Left),
        ("disk", Align::Right),
    ]);
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
    let Some(topics) = &status.topics else {
        return services.to_string();
    };
    if topics.is_empty() {
        return format!("{services}\n\nno topics yet");
    }
    let mut table = Table::new(&[
        ("topic", Align::Left),
        ("partitions", Align::Right),
        ("records", Align::Right),
    ]);
    for topic in topics {
        let records = units::format_count(topic.records.unsigned_abs());
        table.row([
            topic.topic.as_str(),
            &topic.partitions.to_string(),
            &records,
        ]);
    }
    format!("{services}\n\n{table}")
}

/// Returns an image's name and tag without registry and owner, so that a row fits 80 columns.
fn short_name(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

fn print(text: &impl std::fmt::Display) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").map_err(|source| Error::io("write to stdout", source))
}
