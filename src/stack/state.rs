//! What `k` keeps about the stack between commands: `$XDG_STATE_HOME/k/stack.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::outlet;
use crate::stack::engine::EngineKind;
use crate::stack::service::Service;

/// The stack as it was last started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackState {
    /// What runs it.
    pub engine: EngineKind,
    /// Whether it was started since it was last stopped.
    pub running: bool,
    /// Where Kafka listens on this machine.
    pub kafka_port: Option<u16>,
    /// Where ksqlDB listens on this machine.
    pub ksqldb_port: Option<u16>,
    /// Where the web UI listens on this machine.
    pub ui_port: Option<u16>,
}

impl StackState {
    /// Returns the state of a stack that has no ports yet.
    pub fn new(engine: EngineKind) -> Self {
        StackState {
            engine,
            running: false,
            kafka_port: None,
            ksqldb_port: None,
            ui_port: None,
        }
    }

    /// Keeps where a service listens.
    pub fn set_port(&mut self, service: Service, port: Option<u16>) {
        *match service {
            Service::Kafka => &mut self.kafka_port,
            Service::Ksqldb => &mut self.ksqldb_port,
            Service::KafkaUi => &mut self.ui_port,
        } = port;
    }

    /// Returns what was kept in `folder`; `None` where there is nothing that can be read:
    /// the containers themselves know better.
    pub fn load(folder: &Path) -> Option<Self> {
        let json = std::fs::read(file(folder)).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Keeps the state in `folder`, all of it or nothing.
    ///
    /// # Errors
    /// `refused` when the folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| Error::bug("the stack's state is not JSON").caused_by(source))?;
        write(folder, "stack.json", &json)?;
        Ok(())
    }

    /// Forgets the stack.
    ///
    /// # Errors
    /// `refused` when the file is there and cannot be removed.
    pub fn forget(folder: &Path) -> Result<()> {
        let file = file(folder);
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove `{}`", file.display()), source))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the address of the running stack's Kafka, if one was started and not stopped since.
pub fn running_broker() -> Option<String> {
    let state = StackState::load(&folder()?)?;
    let port = state.kafka_port.filter(|_| state.running)?;
    Some(Service::Kafka.address(port))
}

/// What helps where the state cannot be written.
pub const HINT: &str = "name a writable folder: `XDG_STATE_HOME=/tmp/k-state k start`";

/// As [`folder`].
///
/// # Errors
/// `refused` where it is not known.
pub fn needed_folder() -> Result<PathBuf> {
    folder().ok_or_else(|| {
        Error::refused("there is no folder to store the stack's state in")
            .hint("set HOME, or XDG_STATE_HOME to a writable folder")
    })
}

/// Returns the folder where `k` keeps its state: `$XDG_STATE_HOME/k`, else `~/.local/state/k`.
/// `None` where neither is known.
pub fn folder() -> Option<PathBuf> {
    let variable = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute()) // as the XDG specification has it
    };
    variable("XDG_STATE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/state")))
        .map(|state| state.join("k"))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("stack.json")
}

/// Writes a file of `folder`, which is made where it is missing; a reader sees the old text or
/// the new one. Returns the file's path.
///
/// # Errors
/// `refused` when it cannot be written.
pub fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let write = || {
        std::fs::create_dir_all(folder)?;
        outlet::replace(&path, text)
    };
    write()
        .map_err(|source| Error::io(format!("write `{}`", path.display()), source).hint(HINT))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_comes_back_as_it_was_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let within = folder.path().join("not/yet/there");
        let mut state = StackState::new(EngineKind::Podman);
        state.set_port(Service::Kafka, Some(9093));
        assert_eq!(StackState::load(&within), None);
        state.save(&within).expect("written");
        assert_eq!(StackState::load(&within), Some(state));
        StackState::forget(&within).expect("removed");
        StackState::forget(&within).expect("removing nothing is fine");
        assert_eq!(StackState::load(&within), None);
    }
}
