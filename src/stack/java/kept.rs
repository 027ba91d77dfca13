//! What is kept about the broker between commands, and the lock that lets one command start it.

use std::fs::{File, OpenOptions};

use serde::{Deserialize, Serialize};

use super::Broker;
use super::process::Process;
use crate::error::{Error, Result};
use crate::stack::engine::EngineKind;
use crate::stack::service::Service;
use crate::stack::state::{self, StackState};

/// What is kept about it between commands, in `broker.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// As it was started last.
    pub process: Option<Process>,
    pub port: u16,
    /// Where other machines reach it, if they may.
    pub open: Option<String>,
    /// Kafka's version and Java's.
    pub version: String,
}

impl Kept {
    pub fn runs(&self) -> bool {
        self.process.as_ref().is_some_and(Process::runs)
    }
}

impl Broker {
    pub(super) fn kept(&self) -> Option<Kept> {
        let json = std::fs::read(self.folder.join("broker.json")).ok()?;
        serde_json::from_slice(&json).ok()
    }

    pub(super) fn keep(&self, kept: &Kept) -> Result<()> {
        let json = serde_json::to_string_pretty(kept)
            .map_err(|source| Error::bug("the broker's state is not JSON").caused_by(source))?;
        state::write(&self.folder, "broker.json", &json).map(drop)
    }

    /// Keeps where it listens, for every other command.
    pub(super) fn keep_state(&self, kept: &Kept, running: bool) -> Result<()> {
        let mut state = StackState::new(EngineKind::Java);
        state.set_port(Service::Kafka, Some(kept.port));
        state.running = running;
        state.save(&self.state_folder)
    }

    /// Keeps a second start of the same broker away while one is under way.
    pub(super) fn lock(&self) -> Result<File> {
        use rustix::fs::{FlockOperation, flock};
        let path = self.folder.join("lock");
        let failed =
            |source| Error::io(format!("lock `{}`", path.display()), source).hint(state::HINT);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::refused("another `k start` is running")
                    .hint("wait for it; `k status` shows its result"))
            }
            Err(error) => Err(failed(error.into())),
        }
    }
}
