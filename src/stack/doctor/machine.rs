//! The machine's side: rootless set-up, limits, memory, disk, ports, system.

use std::path::Path;

use super::Finding;
use super::containers::Facts;
use crate::error::{Error, Result};
use crate::stack::command::Runner;
use crate::stack::container::{Container, State};
use crate::stack::engine::install_command_here;
use crate::stack::service::Service;
use crate::stack::{ports, probe, state};
use crate::term::units;

/// Bytes of memory that the whole stack takes, and Kafka alone.
const MEMORY: (u64, u64) = (2_500_000_000, 1_000_000_000);
/// Bytes of disk for the images and a workshop's data, and for the data alone.
const DISK: (u64, u64) = (6_000_000_000, 1_000_000_000);

/// Looks whether podman can run containers as this person.
pub(super) fn rootless(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "rootless";
    let is_rootless = facts.get("/host/security/rootless")?.as_bool()?;
    if !is_rootless {
        return Some(Finding::ok(CHECK, "podman runs as root"));
    }
    if cfg!(target_os = "macos") {
        return Some(Finding::ok(CHECK, "inside podman's machine"));
    }
    if !Path::new("/usr/bin/newuidmap").exists() {
        let says = "newuidmap is missing: podman cannot map user ids";
        return Some(Finding::problem(
            CHECK,
            says,
            install_command_here("uidmap"),
        ));
    }
    let user = std::env::var("USER").unwrap_or_default();
    let id = rustix::process::getuid().as_raw().to_string();
    let table = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    if !has_subordinate_ids(&table, &user, &id) {
        return Some(Finding::problem(
            CHECK,
            "you have no user ids for running containers",
            "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER; podman system migrate",
        ));
    }
    Some(
        match facts
            .get("/host/cgroupVersion")
            .and_then(|version| version.as_str())
        {
            Some("v1") => Finding::ok(CHECK, "set up; cgroups v1, so memory limits have no effect"),
            _ => Finding::ok(CHECK, "set up"),
        },
    )
}

/// Returns whether `/etc/subuid` gives this user subordinate ids: `name:first:count`, by name or
/// number.
fn has_subordinate_ids(table: &str, user: &str, id: &str) -> bool {
    table.lines().any(|line| {
        let mut parts = line.split(':');
        let owner = parts.next().unwrap_or_default();
        let count: u64 = parts
            .nth(1)
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0);
        !owner.is_empty() && (owner == user || owner == id) && count >= 65_536
    })
}

/// Looks how many files a program may hold open.
pub(super) fn open_files() -> Finding {
    const CHECK: &str = "files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.maximum {
        Some(most) if most < 4_096 => Finding::warning(
            CHECK,
            format!("a program may open {most} files: too few for Kafka"),
            "raise `nofile` in /etc/security/limits.conf and log in again",
        ),
        Some(most) => Finding::ok(
            CHECK,
            format!("a program may open {} files", units::format_count(most)),
        ),
        None => Finding::ok(CHECK, "a program may open any number of files"),
    }
}

/// Looks whether there is memory for the stack: in podman's machine on macOS, else what is left.
pub(super) fn memory(facts: Option<&Facts>) -> Option<Finding> {
    if cfg!(target_os = "macos") {
        let bytes = facts?
            .get("/host/memTotal")
            .or_else(|| facts?.get("/MemTotal"))?
            .as_u64()?;
        let fix = "podman machine stop; podman machine set --memory 4096; podman machine start";
        return Some(memory_finding(bytes, "in podman's machine", fix));
    }
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let available = available_memory(&table)?;
    Some(memory_finding(
        available,
        "available",
        "close other programs, or `k start --only kafka`",
    ))
}

/// Returns the bytes that `/proc/meminfo` says are available.
fn available_memory(table: &str) -> Option<u64> {
    let line = table
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

fn memory_finding(bytes: u64, where_it_is: &str, fix: &str) -> Finding {
    const CHECK: &str = "memory";
    let (whole, kafka) = MEMORY;
    let says = format!("{} {where_it_is}", units::format_bytes(bytes));
    match bytes {
        bytes if bytes < kafka => {
            Finding::problem(CHECK, format!("{says}: too little for Kafka"), fix)
        }
        bytes if bytes < whole => Finding::warning(
            CHECK,
            format!("{says}: enough for Kafka, but not for everything"),
            fix,
        ),
        _ => Finding::ok(CHECK, says),
    }
}

/// Looks at what kind of system this is.
pub(super) fn system() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let is_wsl = release.to_lowercase().contains("microsoft");
    system_finding(
        std::env::consts::OS,
        is_wsl,
        Path::new("/run/systemd/system").exists(),
    )
}

fn system_finding(system: &str, is_wsl: bool, has_systemd: bool) -> Finding {
    const CHECK: &str = "system";
    match (is_wsl, has_systemd) {
        (true, false) => Finding::warning(
            CHECK,
            "WSL without systemd: containers end with the window",
            "write `[boot]` and `systemd=true` in /etc/wsl.conf, then `wsl --shutdown`",
        ),
        (true, true) => Finding::ok(CHECK, "WSL with systemd"),
        (false, true) => Finding::ok(CHECK, format!("{system} with systemd")),
        (false, false) if system == "linux" => {
            Finding::ok(CHECK, "linux without systemd, which `k` does not need")
        }
        (false, false) => Finding::ok(CHECK, system),
    }
}

/// Looks whether the stack's state can be kept.
pub(super) fn state_folder() -> Finding {
    const CHECK: &str = "state";
    let Some(folder) = state::folder() else {
        return Finding::problem(
            CHECK,
            "no folder to store the ports in",
            "set HOME or XDG_STATE_HOME",
        );
    };
    let shown = folder.display();
    match std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder)) {
        Ok(_) => Finding::ok(CHECK, format!("stored in {shown}")),
        Err(source) => Finding::problem(
            CHECK,
            Error::io(format!("write in {shown}"), source).to_string(),
            "set XDG_STATE_HOME to a writable folder",
        ),
    }
}

/// Looks at the usual port of each service.
///
/// # Errors
/// `stopped` after a signal.
pub(super) fn ports(containers: &[Container], runner: &Runner) -> Result<Vec<Finding>> {
    const CHECK: &str = "ports";
    let is_ours = |port| {
        let mut running = containers
            .iter()
            .filter(|container| container.state == State::Running);
        running.any(|container| container.port == Some(port))
    };
    let taken: Vec<(Service, u16)> = Service::ALL
        .into_iter()
        .map(|service| (service, service.default_port()))
        .filter(|(_, port)| !is_ours(*port) && !ports::is_free(*port))
        .collect();
    if taken.is_empty() {
        let list = Service::ALL
            .map(|service| service.default_port().to_string())
            .join(", ");
        let says = format!("{list} are free or used by the stack");
        return Ok(vec![Finding::ok(CHECK, says)]);
    }
    let finding = |(service, port): &(Service, u16)| {
        let who = ports::holder(*port).unwrap_or_else(|| "another program".to_owned());
        let says = format!("{port} is in use by {who}");
        let is_kafka =
            *service == Service::Kafka && probe::kafka(&service.address(*port), runner)?.is_ok();
        Ok(if is_kafka {
            Finding::ok(CHECK, format!("{says}: Kafka, without a container"))
        } else {
            Finding::warning(
                CHECK,
                says,
                format!("end it; otherwise `k start` gives `{service}` the next free port"),
            )
        })
    };
    taken.iter().map(finding).collect()
}

/// Looks whether there is room for images, if they are yet to come, and data.
pub(super) fn disk(facts: &Facts, images_are_here: bool) -> Option<Finding> {
    let folder = if facts.is_podman() {
        facts.get("/store/graphRoot")?.as_str()?
    } else {
        facts.get("/DockerRootDir")?.as_str()?
    };
    // The folder of a machine or of another host is not this machine's.
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(disk_finding(
        space.f_bavail * space.f_frsize,
        images_are_here,
        folder,
    ))
}

fn disk_finding(free: u64, images_are_here: bool, folder: &str) -> Finding {
    const CHECK: &str = "disk";
    let (with_images, alone) = DISK;
    let says = format!("{} free at {folder}", units::format_bytes(free));
    let fix = "free some space, for example with `podman image prune`";
    match free {
        free if free < alone => Finding::problem(CHECK, says, fix),
        free if free < with_images && !images_are_here => {
            Finding::warning(CHECK, format!("{says}: not much for the images"), fix)
        }
        _ => Finding::ok(CHECK, says),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn user_ids_are_given_by_name_or_number() {
        assert!(has_subordinate_ids("ann:100000:65536\n", "ann", "1000"));
        assert!(has_subordinate_ids(
            "bob:1:65536\n1000:200000:65536",
            "ann",
            "1000"
        ));
        assert!(!has_subordinate_ids(
            "anna:100000:65536\nann:100000:1\n:1:65536",
            "ann",
            "1000"
        ));
        assert!(!has_subordinate_ids("", "", ""));
    }

    #[test]
    fn memory_is_judged_by_what_the_stack_takes() {
        let available = available_memory("MemTotal: 9 kB\nMemAvailable:    1048576 kB\n");
        assert_eq!(available, Some(1 << 30));
        for (bytes, verdict) in [
            (900_000_000, Verdict::Problem),
            (2_000_000_000, Verdict::Warning),
            (4_000_000_000, Verdict::Ok),
        ] {
            assert_eq!(memory_finding(bytes, "", "").verdict, verdict, "{bytes}");
        }
    }

    #[test]
    fn little_disk_matters_while_images_are_to_come() {
        assert_eq!(
            disk_finding(3_000_000_000, false, "/").verdict,
            Verdict::Warning
        );
        assert_eq!(disk_finding(3_000_000_000, true, "/").verdict, Verdict::Ok);
        assert_eq!(
            disk_finding(300_000_000, true, "/").verdict,
            Verdict::Problem
        );
    }

    #[test]
    fn wsl_wants_systemd_and_linux_does_not() {
        assert_eq!(
            system_finding("linux", true, false).verdict,
            Verdict::Warning
        );
        assert_eq!(system_finding("linux", true, true).verdict, Verdict::Ok);
        assert_eq!(system_finding("linux", false, false).verdict, Verdict::Ok);
    }
}
