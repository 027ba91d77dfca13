//! Brings the stack up: what each service needs, in which order, and waiting until it is ready.

use std::time::{Duration, Instant};

use crate::error::{Error, Remedy, Result};
use crate::stack::command::Call;
use crate::stack::compose::{self, Compose};
use crate::stack::container::{Container, State};
use crate::stack::service::{BrokerImage, Service};
use crate::stack::state::StackState;
use crate::stack::{DEFAULT_BROKER, Stack, failure, names, ports, probe};
use crate::term::report::Report;
use crate::term::step::Step;

/// How often a service is asked whether it is ready.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(250);
/// How often its container is looked at meanwhile.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which services; Kafka is one of them.
    pub services: Vec<Service>,
    /// Which broker; `None`: the one that is there, else Apache Kafka.
    pub broker: Option<BrokerImage>,
    /// How long each service may take until it is ready.
    pub timeout: Duration,
}

/// A service that runs and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Which.
    pub service: Service,
    /// Where, as text.
    pub address: String,
    /// The image it runs.
    pub image: String,
}

/// What came of a start.
#[derive(Debug)]
pub struct Started {
    /// The services, in the order in which they start.
    pub services: Vec<Running>,
    /// Whether all of them ran and answered before.
    pub ran_before: bool,
}

/// What a service needs in order to run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// Its container continued.
    Unpause(Container),
    /// Its container started.
    Start(Container),
    /// Its container, half started or half stopped, stopped and started.
    Restart(Container),
    /// A container.
    Create,
    /// Its container is removed and created again; no data is lost.
    Recreate(Container),
}

/// What is to be done, decided before anything is.
#[derive(Debug)]
struct Plan {
    compose: Compose,
    needs: Vec<(Service, Need)>,
}

impl Stack {
    /// Brings the wanted services up and returns once all of them are ready.
    ///
    /// # Errors
    /// `refused` when a service, an image, a port or the engine fails, `retry` when a service is not
    /// ready in time, `stopped` after a signal: then what this start made or started is taken back.
    pub fn start(&self, wanted: &Wanted) -> Result<Started> {
        let before = self.containers()?;
        if self.answer_already(wanted, &before)? {
            self.keep_state(&before)?;
            let services = running(wanted, &before);
            return Ok(Started {
                services,
                ran_before: true,
            });
        }
        let plan = self.plan(wanted, &before)?;
        let result = self.carry_out(&plan, wanted);
        if let Err(error) = &result
            && matches!(error.remedy(), Remedy::Stopped(_))
        {
            self.take_back(&before);
        }
        let services = result?;
        Ok(Started {
            services,
            ran_before: false,
        })
    }

    /// Returns the commands of a start, as lines of shell; runs none that changes anything.
    ///
    /// # Errors
    /// As [`start`](Self::start), as far as they can be foreseen.
    pub fn start_commands(&self, wanted: &Wanted) -> Result<Vec<String>> {
        let before = self.containers()?;
        let plan = self.plan(wanted, &before)?;
        plan.compose.write()?;
        let mut talking = plan.compose.clone();
        talking.make_talk(&self.runner)?;
        let mut lines = Vec::new();
        for stage in plan.stages() {
            let missing = self.missing_images(&plan, stage)?;
            lines.extend(
                missing
                    .iter()
                    .map(|image| self.pull_call(image).to_string()),
            );
            lines.extend(self.calls(&plan, stage).iter().map(ToString::to_string));
            let created = created(stage);
            if !created.is_empty() {
                let commands = talking.podman_commands(&self.runner, &created)?;
                lines.extend(commands.iter().map(|command| format!("  {command}")));
            }
            lines.extend(stage.iter().map(|(service, _)| {
                format!(
                    "# wait until {}",
                    probe::ready_when(*service, plan.compose.port(*service))
                )
            }));
        }
        Ok(lines)
    }

    /// Returns whether every wanted service runs and answers, asked once.
    fn answer_already(&self, wanted: &Wanted, containers: &[Container]) -> Result<bool> {
        for service in &wanted.services {
            let Some(container) = find(containers, *service) else {
                return Ok(false);
            };
            let Some(port) = container.port.filter(|_| container.state == State::Running) else {
                return Ok(false);
            };
            if probe::ask(*service, port, &self.runner)?.is_err() {
                return Ok(false);
            }
        }
        self.check_broker(wanted, containers)?;
        Ok(true)
    }

    /// Decides what each service needs and which port it gets.
    fn plan(&self, wanted: &Wanted, containers: &[Container]) -> Result<Plan> {
        self.check_broker(wanted, containers)?;
        let broker = wanted.broker.as_ref().unwrap_or(&DEFAULT_BROKER);
        let mut compose = Compose::new(self.engine, &self.project, &self.folder, broker);
        if self.report().is_verbose() {
            compose.make_talk(&self.runner)?;
        }
        let mut needs = Vec::new();
        let mut given: Vec<u16> = containers
            .iter()
            .filter_map(|container| container.port)
            .collect();
        for service in &wanted.services {
            let need = need(*service, find(containers, *service), ports::is_free)?;
            let port = match &need {
                Need::Nothing | Need::Unpause(_) | Need::Start(_) | Need::Restart(_) => {
                    find(containers, *service).and_then(|container| container.port)
                }
                Need::Create | Need::Recreate(_) => None,
            };
            let port = match port {
                Some(port) => port,
                None => choose_port(*service, &given, self.report())?,
            };
            given.push(port);
            compose.set_port(*service, port);
            needs.push((*service, need));
        }
        Ok(Plan { compose, needs })
    }

    /// Refuses another broker than the one whose data is there.
    fn check_broker(&self, wanted: &Wanted, containers: &[Container]) -> Result<()> {
        let (Some(broker), Some(kafka)) = (&wanted.broker, find(containers, Service::Kafka)) else {
            return Ok(());
        };
        let image =
            Compose::new(self.engine, &self.project, &self.folder, broker).image(Service::Kafka);
        if image == kafka.image {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the stack already has a broker, of the image `{}`",
            kafka.image
        ))
        .during(format!("starting one of the image `{image}`"))
        .hint("remove it and its data with `k reset`, then start again"))
    }

    fn carry_out(&self, plan: &Plan, wanted: &Wanted) -> Result<Vec<Running>> {
        plan.compose.write()?;
        for stage in plan.stages() {
            let kafka_runs = stage.iter().all(|(service, _)| !service.keeps_data());
            for image in self.missing_images(plan, stage)? {
                self.pull_image(&image).map_err(|error| {
                    if kafka_runs {
                        error.hint("Kafka is running: `k start --only kafka` is enough for `k`")
                    } else {
                        error
                    }
                })?;
            }
            self.bring_up(plan, stage)?;
            for (service, _) in stage {
                self.wait_until_ready(*service, plan.compose.port(*service), wanted.timeout)?;
            }
            // Kafka is of use even where another service fails.
            self.keep_state(&self.containers()?)?;
        }
        Ok(running(wanted, &self.containers()?))
    }

    /// Returns the images of the containers that a stage makes, where they are to be fetched yet.
    fn missing_images(&self, plan: &Plan, stage: &[(Service, Need)]) -> Result<Vec<String>> {
        let created = created(stage).into_iter();
        let mut images: Vec<String> = created.map(|service| plan.compose.image(service)).collect();
        let mut is_here = self.have_images(&images)?.into_iter();
        images.retain(|_| is_here.next() == Some(false));
        Ok(images)
    }

    /// Runs what a stage needs and checks that its containers are there.
    fn bring_up(&self, plan: &Plan, stage: &[(Service, Need)]) -> Result<()> {
        let calls = self.calls(plan, stage);
        if calls.is_empty() {
            return Ok(());
        }
        let to_start = stage.iter().filter(|(_, need)| *need != Need::Nothing);
        let services = names(to_start.map(|(service, _)| *service));
        let step = Step::begin(self.report(), format!("starting {services}"));
        let mut last = None;
        for call in calls {
            let outcome = self.runner.run(&call, |line| {
                if let Some(command) = compose::podman_command(line) {
                    self.report().detail(format!("  {command}"));
                }
            })?;
            if !outcome.status.success() {
                drop(step);
                return Err(failure::of_call(self.engine.program(), &call, &outcome));
            }
            last = Some((call, outcome));
        }
        // Old versions of podman-compose report success where a container could not be started.
        let containers = self.containers()?;
        let missing = stage.iter().find(|(service, _)| {
            find(&containers, *service).is_none_or(|container| container.state == State::NeverRan)
        });
        if let (Some(_), Some((call, outcome))) = (missing, &last) {
            drop(step);
            return Err(failure::of_call(self.engine.program(), call, outcome));
        }
        step.done(&format!("started {services}"));
        Ok(())
    }

    /// Returns the calls that a stage needs, in order.
    fn calls(&self, plan: &Plan, stage: &[(Service, Need)]) -> Vec<Call> {
        let on =
            |words: &[&str], container: &Container| self.engine.call(words).args([&container.name]);
        let mut calls = Vec::new();
        for (_, need) in stage {
            match need {
                Need::Nothing | Need::Create => {}
                Need::Unpause(container) => calls.push(on(&["unpause"], container)),
                Need::Start(container) => calls.push(on(&["start"], container)),
                Need::Restart(container) => {
                    calls.extend([on(&["stop"], container), on(&["start"], container)]);
                }
                Need::Recreate(container) => {
                    calls.push(on(&["rm", "--force", "--volumes"], container));
                }
            }
        }
        let created = created(stage);
        if !created.is_empty() {
            calls.push(plan.compose.up(&created));
        }
        calls
    }

    /// Asks a service until it is ready, and looks after its container meanwhile.
    fn wait_until_ready(&self, service: Service, port: u16, timeout: Duration) -> Result<()> {
        let step = Step::begin(self.report(), format!("waiting for {service}"));
        let looking = self.with_runner(self.runner.discreet());
        let began = Instant::now();
        let mut look_at = began + PROBE_INTERVAL;
        loop {
            let reason = match probe::ask(service, port, &looking.runner)? {
                Ok(()) => break,
                Err(reason) => reason,
            };
            step.at(&reason);
            let now = Instant::now();
            if now >= look_at {
                look_at = now + PROBE_INTERVAL;
                let container = looking.container(service)?;
                if container.state != State::Running {
                    let log = self.log_of(&container)?;
                    return Err(failure::of_service(&container, &log));
                }
                if now >= began + timeout {
                    let log = self.log_of(&container)?;
                    return Err(failure::of_silence(
                        service,
                        timeout.as_secs(),
                        &reason,
                        &log,
                    ));
                }
            }
            self.runner.interrupt().sleep_until(now + ASK_EVERY);
        }
        step.done(&format!("{service} is ready at {}", service.address(port)));
        Ok(())
    }

    /// Keeps where the services listen, for every other command.
    fn keep_state(&self, containers: &[Container]) -> Result<()> {
        let mut state = StackState::new(self.engine.into());
        for container in containers {
            state.set_port(container.service, container.port);
        }
        state.running =
            find(containers, Service::Kafka).is_some_and(|kafka| kafka.state == State::Running);
        if StackState::load(&self.folder).as_ref() == Some(&state) {
            return Ok(());
        }
        state.save(&self.folder)
    }

    /// Undoes a start that a signal ended, and says what cannot be undone.
    fn take_back(&self, before: &[Container]) {
        const TRIES: usize = 10;
        self.report()
            .status("stopping: undoing what this start has created");
        let stack = self.with_runner(self.runner.undisturbed());
        for left in (0..TRIES).rev() {
            match stack.undo(before) {
                Ok(()) => return,
                // What was ended half-way may hold its container for a moment.
                Err(_) if left > 0 => std::thread::sleep(ASK_EVERY),
                Err(error) => {
                    self.report()
                        .warning(format!("not everything could be undone: {error}"));
                    self.report()
                        .hint("`k status` shows what is left, `k reset` removes it");
                }
            }
        }
    }

    /// Removes the containers that were not there `before`, stops those that did not run.
    fn undo(&self, before: &[Container]) -> Result<()> {
        let now = self.containers()?;
        let known = |container: &Container| before.iter().find(|old| old.id == container.id);
        let made = now.iter().filter(|container| known(container).is_none());
        let made: Vec<Container> = made.cloned().collect();
        if !made.is_empty() {
            self.remove(&made)?;
        }
        let started = now.iter().filter(|container| {
            matches!(container.state, State::Running | State::HalfWay)
                && known(container).is_some_and(|old| old.state != State::Running)
        });
        let started: Vec<&str> = started.map(|container| container.id.as_str()).collect();
        if !started.is_empty() {
            self.engine
                .run(&self.runner, ["stop"].into_iter().chain(started))?;
        }
        match before {
            [] => self.remove_network(),
            _ => Ok(()),
        }
    }
}

impl Plan {
    /// Returns Kafka first, then the services that need it.
    fn stages(&self) -> impl Iterator<Item = &[(Service, Need)]> {
        self.needs
            .chunk_by(|(left, _), (right, _)| left.keeps_data() == right.keeps_data())
    }
}

/// Returns what a service needs, given its container, if it has one.
fn need(
    service: Service,
    container: Option<&Container>,
    is_free: impl Fn(u16) -> bool,
) -> Result<Need> {
    let Some(container) = container else {
        return Ok(Need::Create);
    };
    let port_is_free = container.port.is_some_and(is_free);
    let container = container.clone();
    Ok(match container.state {
        State::Running => Need::Nothing,
        State::Paused => Need::Unpause(container),
        State::HalfWay => Need::Restart(container), // its port is held by itself
        State::NeverRan | State::Ended { .. } if port_is_free => Need::Start(container),
        State::NeverRan => Need::Recreate(container),
        State::Ended { .. } | State::Broken if !service.keeps_data() => Need::Recreate(container),
        State::Ended { .. } => {
            let port = container.port.unwrap_or(service.default_port());
            return Err(taken(service, port)
                .hint("or remove its container and data with `k reset`: the next start takes another port"));
        }
        State::Broken => {
            return Err(
                Error::refused(format!("the container of `{service}` is half removed"))
                    .hint("remove the rest and its data with `k reset`, then start again"),
            );
        }
    })
}

/// Returns the port that the user set by the compose file's variable, else the usual one or the
/// next above it that is free.
pub(super) fn choose_port(service: Service, given: &[u16], report: &Report) -> Result<u16> {
    let variable = service.port_variable();
    if let Some(text) = compose::variable(variable) {
        let port = text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            Error::usage(format!(
                "the variable {variable} is `{text}`, which is not a port"
            ))
        })?;
        return if ports::is_free(port) {
            Ok(port)
        } else {
            Err(taken(service, port).hint(format!("or set {variable} to another port")))
        };
    }
    let usual = service.default_port();
    let port =
        ports::next_free(usual, given, ports::is_free).ok_or_else(|| taken(service, usual))?;
    if port != usual {
        let who = ports::holder(usual).unwrap_or_else(|| "another program".to_owned());
        report.status(format!(
            "port {usual} is in use by {who}: `{service}` gets port {port}"
        ));
    }
    Ok(port)
}

pub(super) fn taken(service: Service, port: u16) -> Error {
    let who = ports::holder(port).unwrap_or_else(|| "another program".to_owned());
    Error::refused(format!(
        "port {port}, where `{service}` listens, is in use by {who}"
    ))
    .hint("end that program, then run `k start` again")
}

fn find(containers: &[Container], service: Service) -> Option<&Container> {
    containers
        .iter()
        .find(|container| container.service == service)
}

/// Returns the services of a stage for which compose makes a container.
fn created(stage: &[(Service, Need)]) -> Vec<Service> {
    let is_created = |need: &Need| matches!(need, Need::Create | Need::Recreate(_));
    let created = stage.iter().filter(|(_, need)| is_created(need));
    created.map(|(service, _)| *service).collect()
}

fn running(wanted: &Wanted, containers: &[Container]) -> Vec<Running> {
    let containers = containers
        .iter()
        .filter(|container| wanted.services.contains(&container.service));
    containers
        .map(|container| Running {
            service: container.service,
            address: container
                .service
                .address(container.port.unwrap_or(container.service.default_port())),
            image: container.image.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(service: Service, state: State) -> Container {
        Container {
            id: "1".to_owned(),
            name: format!("kworkshop_{service}_1"),
            service,
            image: "image".to_owned(),
            state,
            port: Some(9092),
            written_bytes: None,
        }
    }

    const ENDED: State = State::Ended {
        exit_status: 137,
        out_of_memory: false,
    };

    fn need_of(service: Service, state: State, port_is_free: bool) -> Result<Need> {
        need(service, Some(&container(service, state)), |_| port_is_free)
    }

    #[test]
    fn a_half_dead_stack_needs_only_what_is_dead() {
        let ui = Service::KafkaUi;
        assert_eq!(
            need(Service::Kafka, None, |_| false).ok(),
            Some(Need::Create)
        );
        assert_eq!(need_of(ui, State::Running, false).ok(), Some(Need::Nothing));
        assert!(matches!(
            need_of(ui, State::Paused, false),
            Ok(Need::Unpause(_))
        ));
        assert!(matches!(need_of(ui, ENDED, true), Ok(Need::Start(_))));
        assert!(matches!(
            need_of(Service::Kafka, ENDED, true),
            Ok(Need::Start(_))
        ));
        assert!(matches!(
            need_of(Service::Kafka, State::HalfWay, false),
            Ok(Need::Restart(_))
        ));
        assert!(matches!(
            need_of(Service::Kafka, State::NeverRan, true),
            Ok(Need::Start(_))
        ));
        assert!(matches!(
            need_of(Service::Kafka, State::NeverRan, false),
            Ok(Need::Recreate(_))
        ));
    }

    #[test]
    fn a_container_is_made_anew_only_where_no_data_is_lost() {
        assert!(matches!(
            need_of(Service::KafkaUi, ENDED, false),
            Ok(Need::Recreate(_))
        ));
        assert!(matches!(
            need_of(Service::Ksqldb, State::Broken, false),
            Ok(Need::Recreate(_))
        ));
        for state in [ENDED, State::Broken] {
            let error =
                need_of(Service::Kafka, state, false).expect_err("Kafka's data is in there");
            assert!(
                error.lines().iter().any(|line| line.contains("k reset")),
                "{:?}",
                error.lines()
            );
        }
    }
}
