//! Which stack a command is about: containers of an engine, or Kafka as a process.
//!
//! The engine that the user names wins, then the one that the stack was started with. Else it is
//! containers where they work, and Kafka alone where they do not and Java is there.

use crate::error::{Error, Remedy, Result};
use crate::stack::command::Runner;
use crate::stack::engine::{Engine, EngineKind};
use crate::stack::java::Broker;
use crate::stack::java::runtime::Java;
use crate::stack::service::Service;
use crate::stack::state::{self, StackState};
use crate::stack::status::Status;
use crate::stack::{Stack, last_engine};

/// The stack, in one of its two forms.
#[derive(Debug)]
pub enum Setup {
    /// In containers.
    Containers(Stack),
    /// Kafka alone, as a process.
    Process(Broker),
}

impl Setup {
    /// Returns the stack to start, and reports its form if it was not asked for.
    ///
    /// # Errors
    /// `refused` when something is not installed, or when the stack runs in its other form;
    /// `stopped` after a signal.
    pub fn to_start(choice: Option<EngineKind>, runner: &Runner) -> Result<Self> {
        let last = state::folder().and_then(|folder| StackState::load(&folder));
        let last_kind = last.as_ref().map(|state| state.engine);
        let kind = choice.or(last_kind.filter(|kind| *kind == EngineKind::Java));
        let setup = match kind {
            Some(EngineKind::Java) => Setup::Process(Broker::new(runner)?),
            kind => Self::containers_or_java(kind.and_then(EngineKind::container), runner)?,
        };
        let runs_in_containers =
            || last.is_some_and(|state| state.running && state.engine != EngineKind::Java);
        match &setup {
            Setup::Process(broker) if !broker.runs() && runs_in_containers() => {
                Err(runs_otherwise("in containers"))
            }
            Setup::Containers(_) if Broker::new(runner)?.runs() => {
                Err(runs_otherwise("without containers"))
            }
            _ => Ok(setup),
        }
    }

    /// Returns the stack in containers where an engine works, else Kafka alone where Java is there.
    fn containers_or_java(choice: Option<Engine>, runner: &Runner) -> Result<Self> {
        let stack = Stack::to_start(choice, runner);
        if choice.is_some() {
            return stack.map(Setup::Containers);
        }
        // Installed is not enough: docker may not run, podman may have no rights.
        let works = match &stack {
            Ok(stack) => stack.containers().map(drop),
            Err(error) => Err(Error::refused(error.to_string())),
        };
        let Err(why) = works else {
            return stack.map(Setup::Containers);
        };
        if matches!(why.remedy(), Remedy::Stopped(_)) {
            return Err(why);
        }
        match Java::find(&runner.discreet()) {
            Ok(java) => {
                runner.report().status(format!(
                    "no container engine works here ({why}): starting only Kafka, with Java {}, as with `--engine java`",
                    java.version
                ));
                Broker::new(runner).map(Setup::Process)
            }
            Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            // The first request to the engine shows what is wrong with it.
            Err(_) => stack.map(Setup::Containers),
        }
    }

    /// Returns the stack that was started, to be looked at, stopped or removed.
    ///
    /// # Errors
    /// `refused` when no engine is installed.
    pub fn at_hand(choice: Option<EngineKind>, runner: &Runner) -> Result<Self> {
        let last = state::folder().and_then(|folder| StackState::load(&folder));
        let kind = choice.or_else(|| last.map(|state| state.engine));
        if kind == Some(EngineKind::Java) {
            return Broker::new(runner).map(Setup::Process);
        }
        let engine = kind.and_then(EngineKind::container).or_else(last_engine);
        match Stack::at_hand(engine, runner) {
            Ok(stack) => Ok(Setup::Containers(stack)),
            Err(error) => match Broker::new(runner) {
                Ok(broker) if choice.is_none() && broker.exists() => Ok(Setup::Process(broker)),
                _ => Err(error),
            },
        }
    }

    /// Ends what runs; the data is kept. Returns whether anything ran.
    ///
    /// # Errors
    /// `refused` when the engine fails.
    pub fn stop(&self) -> Result<bool> {
        match self {
            Setup::Containers(stack) => Ok(!stack.stop()?.is_empty()),
            Setup::Process(broker) => broker.stop(),
        }
    }

    /// Removes the stack with its data. Returns whether there was anything.
    ///
    /// # Errors
    /// `refused` when the engine fails.
    pub fn reset(&self) -> Result<bool> {
        match self {
            Setup::Containers(stack) => Ok(!stack.reset()?.is_empty()),
            Setup::Process(broker) => broker.reset(),
        }
    }

    /// Looks at every service.
    ///
    /// # Errors
    /// `refused` when the engine does not answer, `stopped` after a signal.
    pub fn status(&self) -> Result<Status> {
        match self {
            Setup::Containers(stack) => stack.status(),
            Setup::Process(broker) => broker.status(),
        }
    }

    /// Shows the log of a service on stdout.
    ///
    /// # Errors
    /// `refused` when the service has none.
    pub fn logs(&self, service: Service, follow: bool, tail: Option<u64>) -> Result<()> {
        match self {
            Setup::Containers(stack) => stack.logs(service, follow, tail),
            Setup::Process(broker) => broker.logs(service, follow, tail),
        }
    }
}

fn runs_otherwise(how: &str) -> Error {
    Error::refused(format!("the stack is already running {how}"))
        .hint("stop it with `k stop`, which keeps its data, then start again")
}
