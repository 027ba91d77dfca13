//! What the stack does at this moment: services, where they are, what Kafka holds.

use serde::Serialize;

use crate::error::{Remedy, Result};
use crate::kafka::Settings;
use crate::kafka::admin::Admin;
use crate::stack::command::Runner;
use crate::stack::container::{Container, State};
use crate::stack::service::Service;
use crate::stack::state::StackState;
use crate::stack::{Stack, probe};

/// The stack at one moment.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The services that have a container, in the order in which they start.
    pub services: Vec<ServiceStatus>,
    /// What Kafka holds, internal topics left out; `None` unless Kafka is ready.
    pub topics: Option<Vec<TopicStatus>>,
}

/// A service at one moment.
#[derive(Debug, Serialize)]
pub struct ServiceStatus {
    /// Its name in the compose file.
    pub service: &'static str,
    /// `ready`, `not ready`, `stopped`, `paused`, or how it ended.
    pub state: String,
    /// Whether it runs and answers.
    pub is_ready: bool,
    /// Why it runs and is not ready.
    pub reason: Option<String>,
    /// Where the user finds it.
    pub address: Option<String>,
    /// The image that it runs, or Kafka's version and Java's.
    pub image: String,
    /// Bytes written in its container; for Kafka the records and their indexes.
    pub written_bytes: Option<u64>,
}

/// A topic and how much it holds.
#[derive(Debug, Serialize)]
pub struct TopicStatus {
    /// Its name.
    pub topic: String,
    /// Its number of partitions.
    pub partitions: usize,
    /// Its records; transaction markers are counted, too.
    pub records: i64,
}

impl Stack {
    /// Looks at every container of the stack and asks each service that runs.
    ///
    /// # Errors
    /// `refused` when the engine does not answer, `stopped` after a signal.
    pub fn status(&self) -> Result<Status> {
        let containers = self.engine.containers(&self.runner, &self.project, true)?;
        let was_stopped = StackState::load(&self.folder).is_some_and(|state| !state.running);
        let services = containers
            .iter()
            .map(|container| self.service_status(container, was_stopped))
            .collect::<Result<Vec<_>>>()?;
        let kafka_is_ready = services
            .iter()
            .any(|service| service.is_ready && service.service == Service::Kafka.name());
        let kafka = containers
            .iter()
            .find(|container| container.service == Service::Kafka);
        let topics = match kafka.and_then(|kafka| kafka.port) {
            Some(port) if kafka_is_ready => topics_at(&Service::Kafka.address(port), &self.runner)?,
            _ => None,
        };
        Ok(Status { services, topics })
    }

    fn service_status(&self, container: &Container, was_stopped: bool) -> Result<ServiceStatus> {
        let service = container.service;
        let reason = match (container.state, container.port) {
            (State::Running, Some(port)) => probe::ask(service, port, &self.runner)?.err(),
            (State::Running, None) => Some("it has no port on this machine".to_owned()),
            _ => None,
        };
        let state = match (container.state, &reason) {
            (State::Running, None) => "ready".to_owned(),
            (State::Running, Some(_)) => "not ready".to_owned(),
            (State::Paused, _) => "paused".to_owned(),
            (
                State::Ended {
                    out_of_memory: true,
                    ..
                },
                _,
            ) => "ended: out of memory".to_owned(),
            // 143: told to end, as `k stop` does.
            (
                State::Ended {
                    exit_status: 0 | 143,
                    ..
                },
                _,
            ) => "stopped".to_owned(),
            // One that takes longer than ten seconds to stop is killed.
            (
                State::Ended {
                    exit_status: 137, ..
                },
                _,
            ) if was_stopped => "stopped".to_owned(),
            (State::Ended { exit_status, .. }, _) => format!("ended: exit status {exit_status}"),
            (State::NeverRan, _) => "never ran".to_owned(),
            (State::HalfWay, _) => "half started or stopped".to_owned(),
            (State::Broken, _) => "half removed".to_owned(),
        };
        Ok(ServiceStatus {
            service: service.name(),
            is_ready: state == "ready",
            state,
            reason,
            address: container.port.map(|port| service.address(port)),
            image: container.image.clone(),
            written_bytes: container.written_bytes,
        })
    }
}

impl Status {
    /// Returns the status where there is no stack.
    pub fn nothing() -> Self {
        Status {
            services: Vec::new(),
            topics: None,
        }
    }

    /// Returns the status of a Kafka that `k` has not started, if one answers at `broker`.
    ///
    /// # Errors
    /// `stopped` after a signal, `usage` where `broker` is not an address.
    pub fn of_stranger(broker: &str, runner: &Runner) -> Result<Option<Self>> {
        if probe::kafka(broker, runner)?.is_err() {
            return Ok(None);
        }
        let service = ServiceStatus {
            service: Service::Kafka.name(),
            state: "ready".to_owned(),
            is_ready: true,
            reason: None,
            address: Some(broker.to_owned()),
            image: "not started by k".to_owned(),
            written_bytes: None,
        };
        Ok(Some(Status {
            services: vec![service],
            topics: topics_at(broker, runner)?,
        }))
    }
}

/// Returns the topics of a Kafka by name; `None` where it has gone meanwhile.
///
/// # Errors
/// `stopped` after a signal.
pub fn topics_at(broker: &str, runner: &Runner) -> Result<Option<Vec<TopicStatus>>> {
    let (report, interrupt) = (
        runner.report().without_details(),
        runner.interrupt().clone(),
    );
    let settings = Settings::new(broker.to_owned(), Vec::new(), report, interrupt)?;
    match Admin::new(&settings).and_then(|admin| count_topics(&admin)) {
        Ok(topics) => Ok(Some(topics)),
        Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn count_topics(admin: &Admin) -> Result<Vec<TopicStatus>> {
    let mut topics = admin.topics()?;
    topics.retain(|topic| !topic.name.starts_with("__"));
    let partitions: Vec<(&str, i32)> = topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| (topic.name.as_str(), partition.number))
        })
        .collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let extents = admin.extents(&partitions)?;
    let records = |name: &str| {
        let of_topic = extents.iter().filter(|((topic, _), _)| topic == name);
        of_topic.map(|(_, extent)| extent.records()).sum()
    };
    Ok(topics
        .iter()
        .map(|topic| TopicStatus {
            topic: topic.name.clone(),
            partitions: topic.partitions.len(),
            records: records(&topic.name),
        })
        .collect())
}
