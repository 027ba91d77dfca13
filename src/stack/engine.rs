//! The container engine and its compose tool: which there is, and how each is asked.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Remedy, Result};
use crate::stack::command::{Call, Outcome, Runner, find_program};
use crate::stack::container::{self, Container, PROJECT_LABEL};
use crate::stack::failure;

/// What runs the stack.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// podman with podman-compose.
    Podman,
    /// docker with its compose plugin.
    Docker,
    /// Java alone: Kafka as a process, without containers.
    Java,
}

impl EngineKind {
    /// Returns the engine, if it runs containers.
    pub fn container(self) -> Option<Engine> {
        match self {
            EngineKind::Podman => Some(Engine::Podman),
            EngineKind::Docker => Some(Engine::Docker),
            EngineKind::Java => None,
        }
    }
}

impl From<Engine> for EngineKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Podman => EngineKind::Podman,
            Engine::Docker => EngineKind::Docker,
        }
    }
}

/// Which program runs the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// podman with podman-compose.
    Podman,
    /// docker with its compose plugin.
    Docker,
}

impl Engine {
    /// Returns the program that manages containers.
    pub fn program(self) -> &'static str {
        match self {
            Engine::Podman => "podman",
            Engine::Docker => "docker",
        }
    }

    /// Returns whether the engine is installed.
    pub fn is_installed(self) -> bool {
        find_program(self.program()).is_some()
    }

    /// Returns whether its compose tool is installed.
    pub fn has_compose(self, runner: &Runner) -> bool {
        match self {
            Engine::Podman => find_program("podman-compose").is_some(),
            Engine::Docker => {
                let version = Call::new("docker", ["compose", "version"]);
                runner
                    .run(&version, |_| ())
                    .is_ok_and(|outcome| outcome.status.success())
            }
        }
    }

    /// Returns the engine to manage containers with: podman before docker.
    ///
    /// # Errors
    /// `refused` when neither is installed.
    pub fn find() -> Result<Self> {
        [Engine::Podman, Engine::Docker]
            .into_iter()
            .find(|engine| engine.is_installed())
            .ok_or_else(nothing_installed)
    }

    /// Returns the engine to start the stack with, which needs its compose tool, too.
    ///
    /// # Errors
    /// `refused` when something is not installed: the error says how to install it.
    pub fn find_for_start(choice: Option<Engine>, runner: &Runner) -> Result<Self> {
        let candidates = match choice {
            Some(engine) => vec![engine],
            None => vec![Engine::Podman, Engine::Docker],
        };
        let installed: Vec<Engine> = candidates
            .iter()
            .copied()
            .filter(|engine| engine.is_installed())
            .collect();
        if let Some(engine) = installed.iter().find(|engine| engine.has_compose(runner)) {
            return Ok(*engine);
        }
        Err(match (installed.first(), choice) {
            (Some(Engine::Podman), _) => {
                Error::refused("podman is installed, but `podman-compose` is not")
                    .hint(install("podman-compose"))
            }
            (Some(Engine::Docker), _) => {
                Error::refused("docker is installed, but its compose plugin is not")
                    .hint("install it: https://docs.docker.com/compose/install")
            }
            (None, Some(engine)) => {
                Error::refused(format!("`{}` is not installed", engine.program()))
            }
            (None, None) => nothing_installed(),
        })
    }

    /// Returns the call of the compose tool on `files` for `project`, to which a command is added.
    pub fn compose(self, files: &[impl AsRef<Path>], project: &str) -> Call {
        let call = match self {
            Engine::Podman => Call::new("podman-compose", [""; 0]),
            Engine::Docker => Call::new("docker", ["compose"]),
        };
        let files = files
            .iter()
            .flat_map(|file| [OsString::from("-f"), file.as_ref().as_os_str().to_owned()]);
        call.args(files).args(["-p", project])
    }

    /// Returns the engine's call with `args`.
    pub fn call<I: Into<OsString>>(self, args: impl IntoIterator<Item = I>) -> Call {
        Call::new(self.program(), args)
    }

    /// Runs the engine with `args`.
    ///
    /// # Errors
    /// `refused` in the engine's own words, with the likely cause, when it does not succeed.
    pub fn run<I: Into<OsString>>(
        self,
        runner: &Runner,
        args: impl IntoIterator<Item = I>,
    ) -> Result<Outcome> {
        let call = self.call(args);
        let outcome = runner.run(&call, |_| ())?;
        if outcome.status.success() {
            Ok(outcome)
        } else {
            Err(failure::of_call(self.program(), &call, &outcome))
        }
    }

    /// Returns the containers of a project, running or not, in the order in which services start.
    ///
    /// # Errors
    /// `refused` when the engine does not answer, or not in a way that is understood.
    pub fn containers(
        self,
        runner: &Runner,
        project: &str,
        with_sizes: bool,
    ) -> Result<Vec<Container>> {
        // Podman fails on any container, a stranger's too, that is being removed meanwhile.
        const TRIES: usize = 3;
        const PAUSE: Duration = Duration::from_millis(100);
        for _ in 1..TRIES {
            match self.look_at_containers(runner, project, with_sizes) {
                Err(error) if error.remedy() == Remedy::ChangeWorld => {
                    runner.interrupt().sleep_until(Instant::now() + PAUSE);
                }
                answer => return answer,
            }
        }
        self.look_at_containers(runner, project, with_sizes)
    }

    fn look_at_containers(
        self,
        runner: &Runner,
        project: &str,
        with_sizes: bool,
    ) -> Result<Vec<Container>> {
        let filter = format!("label={PROJECT_LABEL}={project}");
        let listed = self.run(
            runner,
            ["ps", "--all", "--quiet", "--filter", filter.as_str()],
        )?;
        let ids: Vec<&str> = listed.stdout.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sizes = with_sizes.then_some("--size");
        let inspect = self.call(["container", "inspect"]).args(sizes).args(&ids);
        let inspected = runner.run(&inspect, |_| ())?;
        // One that has just been removed fails the call; the others are notified all the same.
        if !inspected.status.success() && inspected.stdout.trim().is_empty() {
            return Err(failure::of_call(self.program(), &inspect, &inspected));
        }
        container::parse_inspected(&inspected.stdout)
    }

    /// Returns whether an image is on this machine.
    ///
    /// # Errors
    /// `refused` when the engine cannot be run.
    pub fn has_image(self, runner: &Runner, image: &str) -> Result<bool> {
        let call = self.call(["image", "inspect", "--format", "{{.Id}}", image]);
        Ok(runner.run(&call, |_| ())?.status.success())
    }
}

fn nothing_installed() -> Error {
    Error::refused("neither podman nor docker is installed, so no container can run")
        .hint(install("podman podman-compose"))
        .hint("with Java 17 Kafka runs without containers: `k start --engine java`; `k doctor` shows what is missing")
        .hint("without containers, `k demo` and windows over files and pipes work")
}

fn install(packages: &str) -> String {
    format!("install it with `{}`", install_command_here(packages))
}

/// Returns the command that installs packages on this system.
pub fn install_command_here(packages: &str) -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_command(packages, &release, cfg!(target_os = "macos"))
}

/// Returns the command that installs packages, given the text of `/etc/os-release`.
fn install_command(packages: &str, release: &str, is_macos: bool) -> String {
    if is_macos {
        return format!("brew install {packages}");
    }
    let ids: Vec<&str> = release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|ids| ids.trim_matches('"').split(' '))
        .collect();
    let knows = |names: &[&str]| ids.iter().any(|id| names.contains(id));
    let command = match () {
        () if knows(&["fedora", "rhel", "centos"]) => "sudo dnf install",
        () if knows(&["arch"]) => "sudo pacman -S",
        () if knows(&["suse", "opensuse"]) => "sudo zypper install",
        () if knows(&["alpine"]) => "sudo apk add",
        () => "sudo apt install",
    };
    format!("{command} {packages}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_installs_in_its_own_way() {
        for (release, command) in [
            ("ID=debian\n", "sudo apt install podman"),
            (
                "NAME=x\nID=rocky\nID_LIKE=\"rhel centos fedora\"\n",
                "sudo dnf install podman",
            ),
            ("ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S podman"),
            ("", "sudo apt install podman"),
        ] {
            assert_eq!(
                install_command("podman", release, false),
                command,
                "{release}"
            );
        }
        assert_eq!(install_command("podman", "", true), "brew install podman");
    }

    #[test]
    fn compose_is_told_its_files_and_project() {
        let files = ["a.yml", "b.yml"];
        assert_eq!(
            Engine::Podman.compose(&files, "k").args(["up"]).to_string(),
            "podman-compose -f a.yml -f b.yml -p k up"
        );
        assert_eq!(
            Engine::Docker.compose(&files[..1], "k").to_string(),
            "docker compose -f a.yml -p k"
        );
    }
}
