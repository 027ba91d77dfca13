//! The engine's own side: versions, the compose tool and its bugs, names, images, clock.

use std::path::Path;

use super::Finding;
use crate::error::Result;
use crate::stack::command::{Call, Runner, find_program};
use crate::stack::compose::{Compose, parse_version, podman_compose_version};
use crate::stack::container::{Container, State};
use crate::stack::engine::{Engine, install_command_here};
use crate::stack::service::Service;
use crate::stack::{DEFAULT_BROKER, failure, project};
use crate::term::units;

/// The numbers of a version.
type Version = (u32, u32, u32);

/// What is known to be wrong with a range of podman-compose's versions, and what `k` does about it.
const COMPOSE_BUGS: [(Version, Version, &str); 3] = [
    ((1, 0, 0), (1, 0, 4), "hides failed starts (`k` does not)"),
    ((1, 0, 4), (1, 3, 0), "may drop changes (`k` avoids that)"),
    (
        (1, 3, 0),
        (u32::MAX, 0, 0),
        "hangs on health checks (`k` has none)",
    ),
];

/// What the engine says of itself.
pub(super) struct Facts {
    engine: Engine,
    /// The answer of `podman info`; null for docker.
    info: serde_json::Value,
}

impl Facts {
    /// Asks the engine. `None` where there is none that works: the findings say why.
    pub fn gather(runner: &Runner, findings: &mut Vec<Finding>) -> Result<Option<Self>> {
        let Ok(engine) = Engine::find() else {
            findings.push(Finding::problem(
                "engine",
                "neither podman nor docker is installed",
                install_command_here("podman podman-compose"),
            ));
            return Ok(None);
        };
        let version = runner.run(&engine.call(["--version"]), |_| ())?;
        let says = version.stdout.trim().to_owned();
        let format = match engine {
            Engine::Podman => "json",
            Engine::Docker => "{{json .}}",
        };
        let call = engine.call(["info", "--format", format]);
        let outcome = runner.run(&call, |_| ())?;
        let info = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let does_not_work = match &info {
            _ if !outcome.status.success() => outcome.last_words(),
            // docker answers, though its daemon does not.
            serde_json::Value::Object(info) => info
                .get("ServerErrors")
                .and_then(|errors| errors.as_array()?.first()?.as_str()),
            _ => Some("its output cannot be parsed"),
        };
        if let Some(words) = does_not_work {
            let fix = failure::likely_cause(words).unwrap_or("run it by hand and read its output");
            let says = format!("{says} does not work: {words}");
            findings.push(Finding::problem(
                "engine",
                says,
                format!("{fix} (`{call}`)"),
            ));
            return Ok(None);
        }
        findings.push(match (engine, parse_version(&says)) {
            (Engine::Podman, Some(version)) if version < (4, 0, 0) => Finding::warning(
                "engine",
                format!("{says} is old: containers may not find each other by name"),
                "upgrade to podman 4 or newer",
            ),
            _ => Finding::ok("engine", says),
        });
        Ok(Some(Facts { engine, info }))
    }

    /// Returns the value of `podman info` at `pointer`.
    pub fn get(&self, pointer: &str) -> Option<&serde_json::Value> {
        self.info.pointer(pointer)
    }

    /// Returns whether the engine is podman, whose `info` is known.
    pub fn is_podman(&self) -> bool {
        self.engine == Engine::Podman
    }

    /// Looks at the compose tool and what is known of its version.
    pub fn compose(&self, runner: &Runner) -> Result<Finding> {
        const CHECK: &str = "compose";
        if self.engine == Engine::Docker {
            let version = runner.run(&Call::new("docker", ["compose", "version"]), |_| ())?;
            return Ok(if version.status.success() {
                Finding::ok(CHECK, version.stdout.trim())
            } else {
                Finding::problem(
                    CHECK,
                    "docker has no compose plugin",
                    "https://docs.docker.com/compose/install",
                )
            });
        }
        if find_program("podman-compose").is_none() {
            let fix = install_command_here("podman-compose");
            return Ok(Finding::problem(
                CHECK,
                "podman-compose is not installed",
                fix,
            ));
        }
        Ok(match podman_compose_version(runner)? {
            Some(version) => compose_finding(version),
            None => Finding::warning(
                CHECK,
                "podman-compose does not print its version",
                "run `podman-compose --version` and read its output",
            ),
        })
    }

    /// Looks whether containers find each other by name.
    pub fn dns(&self) -> Finding {
        const CHECK: &str = "names";
        if !self.is_podman() {
            return Finding::ok(CHECK, "docker resolves the names of containers itself");
        }
        let is_remote = self
            .get("/host/serviceIsRemote")
            .and_then(|is| is.as_bool());
        if is_remote == Some(true) || cfg!(target_os = "macos") {
            return Finding::ok(CHECK, "resolved inside podman's machine");
        }
        let backend = self
            .get("/host/networkBackend")
            .and_then(|name| name.as_str());
        let told = self
            .get("/host/networkBackendInfo/dns/path")
            .and_then(|path| path.as_str());
        let has_program = |names: &[&str]| names.iter().any(|name| Path::new(name).exists());
        match backend {
            Some("netavark")
                if told.is_some_and(|path| !path.is_empty())
                    || has_program(&[
                        "/usr/lib/podman/aardvark-dns",
                        "/usr/libexec/podman/aardvark-dns",
                        "/usr/local/lib/podman/aardvark-dns",
                        "/usr/local/libexec/podman/aardvark-dns",
                    ]) =>
            {
                Finding::ok(CHECK, "netavark with aardvark-dns")
            }
            Some("netavark") => Finding::problem(
                CHECK,
                "aardvark-dns is missing: containers cannot find each other",
                install_command_here("aardvark-dns"),
            ),
            _ if has_program(&["/usr/lib/cni/dnsname", "/usr/libexec/cni/dnsname"]) => {
                Finding::ok(CHECK, "CNI with dnsname")
            }
            _ => Finding::problem(
                CHECK,
                "CNI without dnsname: containers cannot find each other",
                install_command_here("golang-github-containernetworking-plugin-dnsname"),
            ),
        }
    }

    /// Returns the containers of the stack; none where the engine does not say.
    pub fn containers(&self, runner: &Runner) -> Result<Vec<Container>> {
        let containers = self.engine.containers(runner, &project(), false);
        runner.interrupt().check()?;
        Ok(containers.unwrap_or_default())
    }

    /// Looks whether the images are here, so that a start needs no network.
    pub fn images(&self, runner: &Runner) -> Result<Finding> {
        const CHECK: &str = "images";
        let compose = Compose::new(self.engine, "", Path::new(""), &DEFAULT_BROKER);
        let mut missing = Vec::new();
        for service in Service::ALL {
            if !self.engine.has_image(runner, &compose.image(service))? {
                missing.push(service.name());
            }
        }
        Ok(match missing.as_slice() {
            [] => Finding::ok(CHECK, "all fetched: starting needs no network"),
            missing => Finding::warning(
                CHECK,
                format!(
                    "not fetched yet: {} (about 2 GB for all)",
                    missing.join(", ")
                ),
                "run `k pull` while the network is good",
            ),
        })
    }

    /// Compares the clock inside the containers with this machine's.
    pub fn clock(&self, runner: &Runner, containers: &[Container]) -> Result<Finding> {
        const CHECK: &str = "clock";
        let Some(container) = containers
            .iter()
            .find(|container| container.state == State::Running)
        else {
            let now = units::format_time(units::now_ms());
            return Ok(Finding::ok(
                CHECK,
                format!("{now}; compared with the containers' clock once they run"),
            ));
        };
        let call = self
            .engine
            .call(["exec", container.id.as_str(), "date", "+%s"]);
        let outcome = runner.run(&call, |_| ())?;
        let now = units::now_ms() / units::SECOND;
        Ok(match outcome.stdout.trim().parse::<i64>() {
            Ok(inside) => clock_finding(inside - now),
            Err(_) => Finding::ok(
                CHECK,
                format!("`{}` does not print the time", container.service),
            ),
        })
    }
}

/// Judges a clock by the seconds that it is ahead of this machine's.
fn clock_finding(ahead: i64) -> Finding {
    const CHECK: &str = "clock";
    let fix = if cfg!(target_os = "macos") {
        "podman machine stop; podman machine start"
    } else {
        "set the clock: `sudo timedatectl set-ntp true`"
    };
    match ahead {
        -2..=2 => Finding::ok(CHECK, "the same in the containers"),
        _ => Finding::warning(
            CHECK,
            format!("the containers' clock differs by {ahead:+} s"),
            fix,
        ),
    }
}

fn compose_finding(version: Version) -> Finding {
    const CHECK: &str = "compose";
    let (major, minor, patch) = version;
    let says = format!("podman-compose {major}.{minor}.{patch}");
    let bug = COMPOSE_BUGS
        .iter()
        .find(|(from, before, _)| (*from..*before).contains(&version));
    match bug {
        Some((_, _, bug)) => Finding::ok(CHECK, format!("{says}: {bug}")),
        None => Finding::problem(
            CHECK,
            format!("{says} is too old"),
            "pipx install podman-compose",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn every_version_of_podman_compose_is_judged() {
        for (version, verdict) in [
            ((0, 1, 11), Verdict::Problem),
            ((1, 0, 3), Verdict::Ok),
            ((1, 0, 6), Verdict::Ok),
            ((1, 6, 0), Verdict::Ok),
            ((2, 0, 0), Verdict::Ok),
        ] {
            let finding = compose_finding(version);
            assert_eq!(finding.verdict, verdict, "{version:?}");
            assert!(
                finding.says.len() <= 61,
                "wider than 80 columns: {}",
                finding.says
            );
        }
        let says = compose_finding((1, 0, 3)).says;
        assert_eq!(
            says,
            "podman-compose 1.0.3: hides failed starts (`k` does not)"
        );
    }

    #[test]
    fn a_clock_may_be_two_seconds_off() {
        assert_eq!(clock_finding(2).verdict, Verdict::Ok);
        assert_eq!(clock_finding(-2).verdict, Verdict::Ok);
        let off = clock_finding(-3_600);
        assert_eq!(
            (off.verdict, off.says.contains("-3600 s")),
            (Verdict::Warning, true)
        );
    }
}
