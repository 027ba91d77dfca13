//! Flags that say where Kafka is; shared by all commands that connect to it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::kafka::{Settings, own};
use crate::stack::state::running_broker;

/// Where Kafka is and how to speak to it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub(super) struct BrokerOptions {
    #[command(flatten)]
    connection: Connection,

    /// Read librdkafka properties from a file: one NAME=VALUE per line; `#` starts a comment.
    #[arg(long = "config", visible_alias = "client-config", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// As [`BrokerOptions`], for commands in which `--config` means something else.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Kafka")]
pub(super) struct ClientOptions {
    #[command(flatten)]
    connection: Connection,

    /// Read librdkafka properties from a file: one NAME=VALUE per line; `#` starts a comment.
    #[arg(long, value_name = "FILE")]
    client_config: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
struct Connection {
    /// Brokers as HOST:PORT,… Without it: K_BROKER, else the running stack, else 127.0.0.1:9092.
    #[arg(short, long, value_name = "LIST")]
    broker: Option<String>,

    /// Set a librdkafka property; pass secrets as NAME=@FILE or NAME=env:VAR.
    ///
    /// Topics are read directly, and at most 64 MiB of their records wait in memory
    /// (`queued.max.messages.kbytes=65536`); `client=librdkafka` has librdkafka read and write them.
    #[arg(short = 'X', value_name = "NAME=VALUE")]
    properties: Vec<String>,

    /// Set once the warning about ignored properties of the file was printed.
    #[arg(skip)]
    told: OnceCell<()>,
}

impl BrokerOptions {
    /// Returns the settings that the flags ask for.
    ///
    /// # Errors
    /// `usage` for a property that cannot be parsed or does not exist, `refused` for a file that cannot
    /// be read.
    pub fn settings(&self, context: &Context) -> Result<Settings> {
        self.connection.settings(self.config.as_deref(), context)
    }
}

impl ClientOptions {
    /// As [`BrokerOptions::settings`].
    pub fn settings(&self, context: &Context) -> Result<Settings> {
        self.connection
            .settings(self.client_config.as_deref(), context)
    }
}

impl Connection {
    fn settings(&self, config: Option<&Path>, context: &Context) -> Result<Settings> {
        let mut properties = Vec::new();
        if let Some(path) = config {
            let name = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|source| Error::io(format!("read `{name}`"), source))?;
            let mut passed_over = Vec::new();
            for (line, text) in (1..).zip(text.lines()) {
                let text = text.trim();
                if !text.is_empty() && !text.starts_with('#') {
                    let property = parse_property(text);
                    let place = format!("reading `{name}`, line {line}");
                    let property = property.map_err(|error| error.during(place))?;
                    match own::find(&property.0) {
                        Some(_) => passed_over.push(format!("`{}`", property.0)),
                        None => properties.push(property),
                    }
                }
            }
            if !passed_over.is_empty() && self.told.set(()).is_ok() {
                context.report.warning(format!(
                    "`k` sets {} itself, for its guarantees: ignored in `{name}`",
                    passed_over.join(", ")
                ));
            }
        }
        for text in &self.properties {
            if let Some((name, value)) = text.split_once('=')
                && is_secret(name)
                && !value.starts_with('@')
                && !value.starts_with("env:")
            {
                return Err(Error::usage(format!(
                    "`-X {name}=…` would show the secret to everyone: `ps` lists command lines"
                ))
                .hint(format!(
                    "pass it by file or variable: `-X {name}=@FILE` or `-X {name}=env:VAR`"
                )));
            }
            let property = parse_property(text)?;
            if let Some(own) = own::find(&property.0) {
                let message = format!("`k` sets property `{}` itself: {}", property.0, own.why);
                return Err(Error::usage(message).hint(own.instead));
            }
            properties.push(property);
        }
        let brokers = self.brokers(&properties);
        properties.retain(|(name, _)| !is_broker_list(name));
        let (report, interrupt) = (context.report.clone(), context.interrupt.clone());
        Settings::new(brokers, properties, report, interrupt)
    }

    fn brokers(&self, properties: &[(String, String)]) -> String {
        let set = || {
            properties
                .iter()
                .rev()
                .find(|(name, _)| is_broker_list(name))
        };
        let environment = || {
            std::env::var("K_BROKER")
                .ok()
                .filter(|list| !list.trim().is_empty())
        };
        self.broker
            .clone()
            .or_else(|| set().map(|(_, value)| value.clone()))
            .or_else(environment)
            .unwrap_or_else(default_broker)
    }
}

/// Returns the broker that is asked where none is named: the running stack's, else the usual address.
pub(super) fn default_broker() -> String {
    running_broker().unwrap_or_else(|| "127.0.0.1:9092".to_owned())
}

fn is_broker_list(name: &str) -> bool {
    matches!(name, "bootstrap.servers" | "metadata.broker.list")
}

fn is_secret(name: &str) -> bool {
    let ends = ["password", "secret", "passphrase", "key.pem"];
    ends.iter().any(|end| name.trim().ends_with(end))
}

/// Reads `NAME=VALUE`, and the value from a file or a variable where it says so.
fn parse_property(text: &str) -> Result<(String, String)> {
    let Some((name, value)) = text.split_once('=') else {
        // What follows the name may be a secret.
        let in_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name = text.split(|c| !in_name(c)).next().unwrap_or_default();
        return Err(Error::usage(format!(
            "a property is written NAME=VALUE, and behind `{name}` is no `=`"
        )));
    };
    let (name, value) = (name.trim(), value.trim());
    let value = if let Some(path) = value.strip_prefix('@') {
        std::fs::read_to_string(path)
            .map_err(|source| Error::io(format!("read `{path}` for property `{name}`"), source))?
            .trim_end_matches(['\r', '\n'])
            .to_owned()
    } else if let Some(variable) = value.strip_prefix("env:") {
        std::env::var(variable).map_err(|_| {
            Error::usage(format!(
                "property `{name}`: the variable `{variable}` is not set"
            ))
        })?
    } else {
        value.to_owned()
    };
    Ok((name.to_owned(), value))
}
