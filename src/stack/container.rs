//! The containers of the stack, found by the labels that every compose tool sets.
//!
//! In: the JSON of `podman inspect` or `docker inspect`. Out: one [`Container`] each.

use std::collections::HashMap;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::stack::service::Service;

/// The label that names the compose project of a container.
pub const PROJECT_LABEL: &str = "com.docker.compose.project";
const SERVICE_LABEL: &str = "com.docker.compose.service";

/// A container of the stack as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// What the engine calls it; unique.
    pub id: String,
    /// Its readable name, such as `kworkshop_kafka_1`.
    pub name: String,
    /// What it runs.
    pub service: Service,
    /// The image it was made from.
    pub image: String,
    /// What it does.
    pub state: State,
    /// The port of this machine that leads to it, if it has one.
    pub port: Option<u16>,
    /// Bytes written in it since it was made, if they were asked for.
    pub written_bytes: Option<u64>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its program runs.
    Running,
    /// Its program is frozen.
    Paused,
    /// Its program has ended.
    Ended {
        /// 0, the program's own number, or 128 + the signal that ended it.
        exit_status: i64,
        /// Whether the kernel ended it for want of memory.
        out_of_memory: bool,
    },
    /// It was made, and its program has never run.
    NeverRan,
    /// A start or a stop was cut off half-way; a stop brings it to an end.
    HalfWay,
    /// It is half removed, or in a state that the engine cannot say.
    Broken,
}

impl State {
    /// Returns whether something of it runs that the engine's `stop` would end.
    pub fn can_be_stopped(self) -> bool {
        matches!(self, State::Running | State::Paused | State::HalfWay)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    config: InspectedConfig,
    state: InspectedState,
    host_config: InspectedHostConfig,
    size_rw: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    image: String,
    labels: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: String,
    exit_code: i64,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
    /// In the year 1 where it never was.
    #[serde(default)]
    started_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedHostConfig {
    port_bindings: Option<HashMap<String, Option<Vec<InspectedBinding>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedBinding {
    host_port: String,
}

/// Returns the containers in the answer of `inspect`, in the order in which services start;
/// those of other services are left out.
///
/// # Errors
/// `refused` when the answer is not understood.
pub fn parse_inspected(json: &str) -> Result<Vec<Container>> {
    let inspected: Vec<Inspected> = serde_json::from_str(json).map_err(|source| {
        Error::refused(format!(
            "cannot parse the output of the container engine: {source}"
        ))
        .hint("check the engine and its version with `k doctor`")
        .caused_by(source)
    })?;
    let mut containers: Vec<Container> = inspected.into_iter().filter_map(container).collect();
    containers.sort_by_key(|container| container.service);
    Ok(containers)
}

fn container(from: Inspected) -> Option<Container> {
    let labels = from.config.labels.unwrap_or_default();
    let service = Service::from_name(labels.get(SERVICE_LABEL)?)?;
    let bindings = from.host_config.port_bindings.unwrap_or_default();
    let port = bindings
        .values()
        .flatten()
        .flatten()
        .find_map(|binding| binding.host_port.parse().ok());
    let never_ran = from.state.started_at.is_empty() || from.state.started_at.starts_with("0001-");
    let state = match from.state.status.as_str() {
        "running" | "restarting" => State::Running,
        "paused" => State::Paused,
        "initialized" | "stopping" => State::HalfWay,
        "created" | "configured" if never_ran => State::NeverRan,
        // Podman calls one that ran when the machine went down `created` again.
        "exited" | "stopped" | "created" | "configured" => State::Ended {
            exit_status: from.state.exit_code,
            out_of_memory: from.state.oom_killed,
        },
        _ => State::Broken,
    };
    Some(Container {
        id: from.id,
        name: from.name.trim_start_matches('/').to_owned(), // docker begins it with a slash
        service,
        image: from.config.image,
        state,
        port,
        written_bytes: from.size_rw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut from `podman inspect --size` 4.3.1 and `docker inspect` 28.
    const PODMAN: &str = r#"[{"Id": "e62752", "Name": "kworkshop_kafka_1", "SizeRw": 32780,
        "Config": {"Image": "docker.io/apache/kafka:4.3.1",
                   "Labels": {"com.docker.compose.service": "kafka"}},
        "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true},
        "HostConfig": {"PortBindings": {"9092/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9093"}]}}}]"#;
    const DOCKER: &str = r#"[{"Id": "77", "Name": "/kworkshop-kafka-ui-1",
        "Config": {"Image": "ghcr.io/kafbat/kafka-ui:v1.5.0",
                   "Labels": {"com.docker.compose.service": "kafka-ui"}},
        "State": {"Status": "running", "ExitCode": 0, "OOMKilled": false},
        "HostConfig": {"PortBindings": {"8080/tcp": null}}},
       {"Id": "78", "Name": "/other", "Config": {"Image": "x", "Labels": null},
        "State": {"Status": "running", "ExitCode": 0}, "HostConfig": {"PortBindings": null}}]"#;

    #[test]
    fn podman_tells_how_a_container_ended() {
        let containers = parse_inspected(PODMAN).expect("podman's JSON");
        let [kafka] = containers.as_slice() else {
            panic!("one container: {containers:?}");
        };
        assert_eq!(
            (kafka.service, kafka.port, kafka.written_bytes),
            (Service::Kafka, Some(9093), Some(32_780))
        );
        let killed = State::Ended {
            exit_status: 137,
            out_of_memory: true,
        };
        assert_eq!(kafka.state, killed);
    }

    #[test]
    fn only_one_that_was_never_started_never_ran() {
        let state = |status: &str, started_at: &str| {
            let json = PODMAN.replace(
                "\"exited\"",
                &format!("\"{status}\", \"StartedAt\": \"{started_at}\""),
            );
            parse_inspected(&json).expect("podman's JSON")[0].state
        };
        let (never, once) = ("0001-01-01T00:00:00Z", "2026-11-21T05:48:15.402159993Z");
        assert_eq!(state("created", never), State::NeverRan);
        assert!(matches!(state("created", once), State::Ended { .. }));
        assert_eq!(state("initialized", once), State::HalfWay);
        assert_eq!(state("stopping", once), State::HalfWay);
    }

    #[test]
    fn docker_is_understood_and_strangers_are_left_out() {
        let containers = parse_inspected(DOCKER).expect("docker's JSON");
        let [ui] = containers.as_slice() else {
            panic!("one container: {containers:?}");
        };
        assert_eq!(
            (ui.name.as_str(), ui.state, ui.port),
            ("kworkshop-kafka-ui-1", State::Running, None)
        );
    }
}
