//! The stack: Kafka, ksqlDB and a web UI in containers, or Kafka alone as a process ([`java`]);
//! [`setup`] says which of the two it is. The life of a start in containers:
//!
//! 1. [`engine`]: podman with podman-compose, else docker with its compose plugin.
//! 2. [`container`]: what is there already, found by its labels; if all of it answers, that is it.
//! 3. [`start`]: what each service needs (nothing, `start`, a container), at which of the [`ports`].
//! 4. [`compose`]: the files, built into the binary, are written where the [`state`] is kept.
//! 5. Kafka's image is pulled where it is missing, Kafka is brought up and [`probe`]d from outside its
//!    container until a topic could be created; then the others, until they say over HTTP that they are
//!    ready. Where one of them fails, Kafka stays.
//! 6. [`state`] keeps the ports, so that every other command finds Kafka.
//!
//! Failures are explained by [`failure`]: the last words of the log and the likely cause. Compose
//! is asked only to make containers. All else goes by label through the engine: `up` on what is
//! there may take it away first, data and all, and `down` may leave parts of it.

pub mod command;
pub mod compose;
pub mod container;
pub mod doctor;
pub mod engine;
pub mod failure;
pub mod java;
pub mod ports;
pub mod probe;
pub mod service;
pub mod setup;
pub mod start;
pub mod state;
pub mod status;

use std::path::PathBuf;
use std::process::ExitStatus;

use crate::error::{Error, Result};
use crate::stack::command::{Call, Runner};
use crate::stack::compose::Compose;
use crate::stack::container::{Container, PROJECT_LABEL, State};
use crate::stack::engine::Engine;
use crate::stack::service::{BrokerFamily, BrokerImage, Service};
use crate::stack::state::StackState;
use crate::term::report::Report;
use crate::term::step::Step;

/// The compose project, unless the variable that compose tools know says otherwise.
const PROJECT: &str = "kworkshop";

/// Apache Kafka's own image, as the compose file has it.
pub const DEFAULT_BROKER: BrokerImage = BrokerImage {
    family: BrokerFamily::Apache,
    image: None,
};

/// The stack on this machine, running or not.
#[derive(Debug)]
pub struct Stack {
    engine: Engine,
    project: String,
    folder: PathBuf,
    runner: Runner,
}

impl Stack {
    /// Returns the stack to start, on an engine that has a compose tool.
    ///
    /// # Errors
    /// `refused` when something is not installed.
    pub fn to_start(choice: Option<Engine>, runner: &Runner) -> Result<Self> {
        let engine = choice.or_else(|| last_engine().filter(|engine| engine.is_installed()));
        Self::on(Engine::find_for_start(engine, runner)?, runner)
    }

    /// Returns the stack that was started, to be looked at, stopped or removed.
    ///
    /// # Errors
    /// `refused` when no engine is installed.
    pub fn at_hand(choice: Option<Engine>, runner: &Runner) -> Result<Self> {
        let engine = match choice.or_else(last_engine) {
            Some(engine) if engine.is_installed() => engine,
            _ => Engine::find()?,
        };
        Self::on(engine, runner)
    }

    fn on(engine: Engine, runner: &Runner) -> Result<Self> {
        Ok(Stack {
            engine,
            project: project(),
            folder: state::needed_folder()?,
            runner: runner.clone(),
        })
    }

    /// Stops the containers, which keep their data. Returns the services that ran.
    ///
    /// # Errors
    /// `refused` when the engine fails.
    pub fn stop(&self) -> Result<Vec<Service>> {
        let containers = self.containers()?;
        let running: Vec<&Container> = containers
            .iter()
            .rev() // Kafka last
            .filter(|container| container.state.can_be_stopped())
            .collect();
        if !running.is_empty() {
            let step = Step::begin(self.report(), "stopping");
            let ids = running.iter().map(|container| container.id.as_str());
            self.engine
                .run(&self.runner, ["stop"].into_iter().chain(ids))?;
            step.done(&format!(
                "stopped {}",
                names(running.iter().map(|container| container.service))
            ));
        }
        if let Some(mut state) = StackState::load(&self.folder) {
            state.running = false;
            state.save(&self.folder)?;
        }
        Ok(running.iter().map(|container| container.service).collect())
    }

    /// Removes the containers with their data, and their network. Returns the services that were there.
    ///
    /// # Errors
    /// `refused` when the engine fails.
    pub fn reset(&self) -> Result<Vec<Service>> {
        let containers = self.containers()?;
        if !containers.is_empty() {
            let step = Step::begin(self.report(), "removing");
            self.remove(&containers)?;
            step.done(&format!(
                "removed {}",
                names(containers.iter().map(|container| container.service))
            ));
        }
        self.remove_network()?;
        StackState::forget(&self.folder)?;
        Ok(containers
            .iter()
            .map(|container| container.service)
            .collect())
    }

    /// Fetches the images of `services` that are not on this machine.
    ///
    /// # Errors
    /// `refused` when an image cannot be had.
    pub fn pull(&self, services: &[Service], broker: &BrokerImage) -> Result<()> {
        let compose = Compose::new(self.engine, &self.project, &self.folder, broker);
        let images: Vec<String> = services
            .iter()
            .map(|service| compose.image(*service))
            .collect();
        for (image, is_here) in images.iter().zip(self.have_images(&images)?) {
            if is_here {
                self.report().status(format!("{image} is already fetched"))
            } else {
                self.pull_image(image)?
            }
        }
        Ok(())
    }

    /// Shows the log of a service on the person's stdout, the last `tail` lines if given; `follow`
    /// continues with what comes.
    ///
    /// # Errors
    /// `refused` when the service has no container or its log cannot be read.
    pub fn logs(&self, service: Service, follow: bool, tail: Option<u64>) -> Result<()> {
        let container = self.container(service)?;
        let mut call = self
            .engine
            .call(["logs"])
            .args(follow.then_some("--follow"));
        if let Some(tail) = tail {
            call = call.args(["--tail".to_owned(), tail.to_string()]);
        }
        let status = self.runner.hand_over(&call.args([container.id]))?;
        if status.success() || ended_by_closed_pipe(status) {
            Ok(())
        } else {
            Err(Error::refused(format!(
                "the log of `{service}` cannot be read: {status}"
            )))
        }
    }

    /// Runs `command` inside the container of a service on the person's terminal; without one, a
    /// shell, which for ksqlDB is its SQL prompt. Returns how it ended.
    ///
    /// # Errors
    /// `refused` when the service does not run.
    pub fn shell(
        &self,
        service: Service,
        command: &[String],
        is_terminal: bool,
    ) -> Result<ExitStatus> {
        let container = self.container(service)?;
        if container.state != State::Running {
            return Err(Error::refused(format!("`{service}` is not running"))
                .hint("start it with `k start`"));
        }
        // Kafka's own tools are not on the PATH of its image.
        const WITH_TOOLS: &str = r#"PATH="$PATH:/opt/kafka/bin"; exec "$@""#;
        let call = self.engine.call(["exec", "--interactive"]);
        let call = call
            .args(is_terminal.then_some("--tty"))
            .args([container.id.as_str()]);
        let call = call.args(["sh", "-c", WITH_TOOLS, "sh"]);
        self.runner.hand_over(&match (command, service) {
            ([], Service::Kafka) => call.args(["bash"]),
            ([], Service::Ksqldb) => call.args(["ksql", "http://localhost:8088"]),
            ([], Service::KafkaUi) => call.args(["sh"]),
            (command, _) => call.args(command),
        })
    }

    fn with_runner(&self, runner: Runner) -> Self {
        Stack {
            engine: self.engine,
            project: self.project.clone(),
            folder: self.folder.clone(),
            runner,
        }
    }

    fn report(&self) -> &Report {
        self.runner.report()
    }

    fn containers(&self) -> Result<Vec<Container>> {
        self.engine.containers(&self.runner, &self.project, false)
    }

    fn container(&self, service: Service) -> Result<Container> {
        self.containers()?
            .into_iter()
            .find(|container| container.service == service)
            .ok_or_else(|| {
                Error::refused(format!("there is no container of `{service}`"))
                    .hint("create it with `k start`")
            })
    }

    fn remove(&self, containers: &[Container]) -> Result<()> {
        let ids = containers.iter().map(|container| container.id.as_str());
        // There is nothing to be ended in order, for which podman would wait ten seconds; and one
        // removed half-way through a stop leaves its port taken.
        let running = containers
            .iter()
            .filter(|container| container.state.can_be_stopped());
        let running: Vec<&str> = running.map(|container| container.id.as_str()).collect();
        if !running.is_empty() {
            let kill = self.engine.call(["kill"]).args(running);
            self.runner.run(&kill, |_| ())?; // where it cannot, there is nothing to end
        }
        self.engine
            .run(
                &self.runner,
                ["rm", "--force", "--volumes"].into_iter().chain(ids),
            )
            .map(drop)
    }

    fn remove_network(&self) -> Result<()> {
        let filter = format!("label={PROJECT_LABEL}={}", self.project);
        let listed = self.engine.run(
            &self.runner,
            ["network", "ls", "--quiet", "--filter", filter.as_str()],
        )?;
        let ids: Vec<&str> = listed.stdout.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.engine
            .run(&self.runner, ["network", "rm"].into_iter().chain(ids))
            .map(drop)
    }

    /// Returns for each image whether it is on this machine.
    fn have_images(&self, images: &[String]) -> Result<Vec<bool>> {
        images
            .iter()
            .map(|image| self.engine.has_image(&self.runner, image))
            .collect()
    }

    fn pull_image(&self, image: &str) -> Result<()> {
        let step = Step::begin(self.report(), format!("pulling {image}"));
        let call = self.pull_call(image);
        let outcome = self.runner.run(&call, |line| step.at(line))?;
        if !outcome.status.success() {
            drop(step);
            return Err(failure::of_call(self.engine.program(), &call, &outcome));
        }
        step.done(&format!("pulled {image}"));
        Ok(())
    }

    fn pull_call(&self, image: &str) -> Call {
        self.engine.call(["pull", image])
    }

    /// Returns the end of a container's log; empty where it cannot be read.
    fn log_of(&self, container: &Container) -> Result<String> {
        let call = self.engine.call(["logs", "--tail", "50", &container.id]);
        let outcome = self.runner.run(&call, |_| ())?;
        Ok(outcome.stdout + &outcome.stderr)
    }
}

/// Returns the name of the compose project.
pub fn project() -> String {
    std::env::var("COMPOSE_PROJECT_NAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| PROJECT.to_owned())
}

/// Returns the container engine that the stack was started with.
fn last_engine() -> Option<Engine> {
    StackState::load(&state::folder()?)?.engine.container()
}

/// Returns whether a program ended because the reader of its output has gone.
fn ended_by_closed_pipe(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(rustix::process::Signal::PIPE.as_raw())
}

/// Returns services as a list for people: `kafka, ksqldb`.
fn names(services: impl Iterator<Item = Service>) -> String {
    services.map(Service::name).collect::<Vec<_>>().join(", ")
}
