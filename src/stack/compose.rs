//! The compose file, built into the binary, and what the compose tool is asked to do with it.
//!
//! In: which broker, which ports. Out: calls of the compose tool, and the engine's own commands
//! that it runs, for those who want to have a look.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::stack::command::{Call, Runner};
use crate::stack::engine::Engine;
use crate::stack::service::{BrokerFamily, BrokerImage, Service};
use crate::stack::state;

const BASE: (&str, &str) = (
    "podman-compose.yml",
    include_str!("../../scripts/podman-compose.yml"),
);
const CONFLUENT: (&str, &str) = (
    "podman-compose.confluent.yml",
    include_str!("../../scripts/podman-compose.confluent.yml"),
);
const REDPANDA: (&str, &str) = (
    "podman-compose.redpanda.yml",
    include_str!("../../scripts/podman-compose.redpanda.yml"),
);

/// Stands in for podman while podman-compose says what it would run: its own `--dry-run`
/// still asks podman, and makes the network.
const STAND_IN: &str = r#"#!/bin/sh
case "$1 $2" in
  "network exists") test -e "$0.network" ;;
  "network create") : > "$0.network" ;;
  "ps "*) echo '[]' ;;
  "--version "*) echo 'podman version 4.3.1' ;;
esac
"#;

/// The compose files of one broker, with the ports that the services get.
#[derive(Debug, Clone)]
pub struct Compose {
    engine: Engine,
    project: String,
    files: Vec<(&'static str, &'static str)>,
    folder: PathBuf,
    broker_image: Option<String>,
    ports: Vec<(Service, u16)>,
    talk: Option<&'static str>,
}

impl Compose {
    /// Returns the files for `broker`, to be kept in `folder`.
    pub fn new(engine: Engine, project: &str, folder: &Path, broker: &BrokerImage) -> Self {
        let mut files = vec![BASE];
        match broker.family {
            BrokerFamily::Apache => {}
            BrokerFamily::Confluent => files.push(CONFLUENT),
            BrokerFamily::Redpanda => files.push(REDPANDA),
        }
        Compose {
            engine,
            project: project.to_owned(),
            files,
            folder: folder.to_owned(),
            broker_image: broker.image.clone(),
            ports: Vec::new(),
            talk: None,
        }
    }

    /// Has podman-compose say what it runs, for [`podman_command`] to find: since 1.1 it must be asked.
    ///
    /// # Errors
    /// `stopped` after a signal, `refused` where podman-compose cannot be run.
    pub fn make_talk(&mut self, runner: &Runner) -> Result<()> {
        if self.engine == Engine::Podman {
            let version = podman_compose_version(runner)?;
            self.talk = version
                .is_none_or(|version| version >= (1, 1, 0))
                .then_some("--verbose");
        }
        Ok(())
    }

    /// Gives a service its port.
    pub fn set_port(&mut self, service: Service, port: u16) {
        self.ports.push((service, port));
    }

    /// Returns the port of a service.
    pub fn port(&self, service: Service) -> u16 {
        let given = self.ports.iter().find(|(given, _)| *given == service);
        given.map_or(service.default_port(), |(_, port)| *port)
    }

    /// Returns the image of a service: of Kafka the one asked for, of another its variable's,
    /// else the file's.
    pub fn image(&self, service: Service) -> String {
        let wanted = match service {
            Service::Kafka => self.broker_image.clone(),
            other => variable(other.image_variable()),
        };
        wanted
            .or_else(|| {
                let mut files = self.files.iter().rev(); // a later file overrides
                files.find_map(|(_, text)| default_image(text, service))
            })
            .unwrap_or_default()
    }

    /// Writes the files.
    ///
    /// # Errors
    /// `refused` when the folder cannot be written.
    pub fn write(&self) -> Result<()> {
        for (name, text) in &self.files {
            state::write(&self.folder, name, text)?;
        }
        Ok(())
    }

    /// Returns the call that makes and starts the containers of `services`.
    pub fn up(&self, services: &[Service]) -> Call {
        self.call()
            .args(["up", "-d"])
            .args(services.iter().map(|service| service.name()))
    }

    fn call(&self) -> Call {
        let files: Vec<PathBuf> = self
            .files
            .iter()
            .map(|(name, _)| self.folder.join(name))
            .collect();
        let mut call = self.engine.compose(&files, &self.project).args(self.talk);
        for (service, port) in &self.ports {
            let moved = *port != service.default_port();
            call = call.variable(service.port_variable(), port.to_string(), moved);
        }
        // Always set: the person's own variable may name the image of another family.
        let image = self.image(Service::Kafka);
        let is_shown = self.broker_image.is_some();
        call.variable(Service::Kafka.image_variable(), image, is_shown)
    }

    /// Returns what podman-compose would have podman do to bring `services` up, by its own word.
    /// Nothing is changed, and podman itself is not run. Empty where it will not say.
    ///
    /// # Errors
    /// `stopped` after a signal.
    pub fn podman_commands(&self, runner: &Runner, services: &[Service]) -> Result<Vec<String>> {
        if self.engine != Engine::Podman {
            return Ok(Vec::new());
        }
        let Ok(stand_in) = stand_in_for_podman() else {
            return Ok(Vec::new());
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders =
            std::iter::once(stand_in.path().to_owned()).chain(std::env::split_paths(&path));
        let Ok(path) = std::env::join_paths(folders) else {
            return Ok(Vec::new());
        };
        let call = self.call().args(["--dry-run", "up", "-d"]);
        let call = call.args(services.iter().map(|service| service.name()));
        let outcome = runner.run(&call.variable("PATH", path, false), |_| ())?;
        let lines = outcome.stdout.lines().chain(outcome.stderr.lines());
        Ok(lines
            .filter_map(podman_command)
            .filter(|command| changes(command))
            .collect())
    }
}

/// Returns the variables that the compose file sets for Kafka, in its order.
pub fn kafka_environment() -> Vec<(&'static str, &'static str)> {
    let lines = BASE.1.lines().skip_while(|line| *line != "  kafka:");
    lines
        .skip_while(|line| line.trim() != "environment:")
        .skip(1)
        .take_while(|line| line.starts_with("      "))
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect()
}

/// Returns a variable of the compose file that the user set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns podman-compose's version; `None` where it does not say.
///
/// # Errors
/// `stopped` after a signal, `refused` where it is not installed.
pub fn podman_compose_version(runner: &Runner) -> Result<Option<(u32, u32, u32)>> {
    let outcome = runner.run(&Call::new("podman-compose", ["--version"]), |_| ())?;
    let own_line = outcome
        .stdout
        .lines()
        .find(|line| line.contains("podman-compose"));
    Ok(own_line.and_then(parse_version))
}

/// Returns the first three numbers of a version within a line: `podman version 4.3.1`.
pub fn parse_version(line: &str) -> Option<(u32, u32, u32)> {
    let word = line.split([' ', ',']).find(|word| {
        word.trim_start_matches('v')
            .starts_with(|c: char| c.is_ascii_digit())
    })?;
    let mut numbers = word
        .trim_start_matches('v')
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    Some((
        numbers.next()?,
        numbers.next().unwrap_or(0),
        numbers.next().unwrap_or(0),
    ))
}

/// Returns the podman command in a line of podman-compose's output, if there is one: it prints them
/// plainly, or as a list in Python's way, behind the label of its log.
pub fn podman_command(line: &str) -> Option<String> {
    let line = line.trim();
    let line = line.strip_prefix("INFO:podman_compose:").unwrap_or(line);
    if line.starts_with("podman ") {
        return Some(line.to_owned());
    }
    let list = line.strip_prefix("['podman', ")?.strip_suffix(']')?;
    let words: Vec<&str> = list
        .split(", ")
        .map(|word| word.trim_matches('\''))
        .collect();
    Some(format!("podman {}", words.join(" ")))
}

/// Returns whether a podman command changes anything.
fn changes(command: &str) -> bool {
    const QUESTIONS: [&str; 5] = [
        "ps",
        "--version",
        "network exists",
        "volume inspect",
        "image",
    ];
    let rest = command.trim_start_matches("podman ");
    !QUESTIONS.iter().any(|question| rest.starts_with(question))
}

fn stand_in_for_podman() -> std::io::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("podman");
    std::fs::write(&program, STAND_IN)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
    Ok(folder)
}

/// Returns the image that a compose file names for a service, its variable's default:
/// `image: ${K_UI_IMAGE:-ghcr.io/kafbat/kafka-ui:v1.5.0}`.
fn default_image(text: &str, service: Service) -> Option<String> {
    let heading = format!("  {service}:");
    let line = text
        .lines()
        .skip_while(|line| *line != heading)
        .find_map(|line| line.trim().strip_prefix("image: "))?;
    let (_, default) = line.split_once(":-")?;
    Some(default.trim_end_matches('}').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose(broker: &str) -> Compose {
        let broker = BrokerImage::parse(broker).expect("a broker");
        Compose::new(Engine::Podman, "kworkshop", Path::new("/s"), &broker)
    }

    #[test]
    fn every_service_has_an_image_with_registry_and_tag() {
        for broker in ["apache", "confluent", "redpanda"] {
            for service in Service::ALL {
                let image = compose(broker).image(service);
                let (registry, rest) = image.split_once('/').unwrap_or_default();
                assert!(
                    registry.contains('.') && rest.contains(':'),
                    "{broker} {service}: `{image}`"
                );
            }
        }
        assert_eq!(
            compose("redpanda").image(Service::KafkaUi),
            compose("apache").image(Service::KafkaUi)
        );
        assert!(
            compose("redpanda")
                .image(Service::Kafka)
                .contains("redpanda")
        );
        assert_eq!(compose("x.y/z:1").image(Service::Kafka), "x.y/z:1");
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_shown_before_a_command() {
        let mut compose = compose("docker.io/apache/kafka:3.9.1");
        compose.set_port(Service::Kafka, 9092);
        compose.set_port(Service::KafkaUi, 8081);
        assert_eq!(
            compose.up(&[Service::Kafka]).to_string(),
            "K_UI_PORT=8081 K_KAFKA_IMAGE=docker.io/apache/kafka:3.9.1 \
             podman-compose -f /s/podman-compose.yml -p kworkshop up -d kafka"
        );
    }

    #[test]
    fn podmans_commands_are_found_in_what_old_and_new_podman_compose_print() {
        for (line, command) in [
            ("podman run --name=x -d y", Some("podman run --name=x -d y")),
            (
                "INFO:podman_compose:podman create --name=x",
                Some("podman create --name=x"),
            ),
            (
                "['podman', 'network', 'create', 'x_default']",
                Some("podman network create x_default"),
            ),
            ("** excluding:  {'ksqldb'}", None),
            (
                "DEBUG:podman_compose:** skipping create: kwd_ksqldb_1",
                None,
            ),
            ("podman-compose version 1.0.3", None),
        ] {
            assert_eq!(podman_command(line).as_deref(), command, "{line}");
        }
        assert!(!changes("podman network exists x") && changes("podman network create x"));
    }

    #[test]
    fn versions_are_found_in_what_tools_say() {
        assert_eq!(
            parse_version("podman-compose version 1.0.3"),
            Some((1, 0, 3))
        );
        assert_eq!(
            parse_version("Docker Compose version v2.39.1-desktop.1"),
            Some((2, 39, 1))
        );
        assert_eq!(
            parse_version("Docker version 28.2, build e65"),
            Some((28, 2, 0))
        );
        assert_eq!(parse_version("podman version 5.7.0-dev"), Some((5, 7, 0)));
        assert_eq!(parse_version("no version"), None);
    }
}
