//! The configuration of a Kafka that runs as a process: what the compose file sets for its container,
//! with listeners of its own.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::stack::compose;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// For this machine alone: a port of 127.0.0.1.
    pub local: u16,
    /// For Kafka's own controller: another one.
    pub controller: u16,
    /// For other machines, where they may come.
    pub open: Option<Open>,
}

/// Where other machines reach a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// At which of this machine's addresses it listens; 0.0.0.0 for all of them.
    pub listen: Ipv4Addr,
    /// The address that it advertises to other machines.
    pub told: Ipv4Addr,
    /// The port.
    pub port: u16,
}

/// What is set here and not by the compose file.
const OWN: [&str; 9] = [
    "node.id",
    "process.roles",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "controller.listener.names",
    "controller.quorum.voters",
    "log.dirs",
];

/// Returns the text of `server.properties` for a broker that keeps its records in `data`.
pub fn server_properties(listeners: &Listeners, data: &Path) -> String {
    let (local, controller) = (listeners.local, listeners.controller);
    let mut listen = format!("LOCAL://127.0.0.1:{local}");
    let mut tell = listen.clone();
    if let Some(open) = &listeners.open {
        write!(listen, ",OPEN://{}:{}", open.listen, open.port).unwrap_or(());
        write!(tell, ",OPEN://{}:{}", open.told, open.port).unwrap_or(());
    }
    let own = [
        "1".to_owned(),
        "broker,controller".to_owned(),
        format!("{listen},CONTROLLER://127.0.0.1:{controller}"),
        tell,
        "LOCAL:PLAINTEXT,OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        "LOCAL".to_owned(),
        "CONTROLLER".to_owned(),
        format!("1@127.0.0.1:{controller}"),
        escaped(&data.display().to_string()),
    ];
    let shared = compose::kafka_environment();
    let shared = shared.iter().filter_map(|(name, value)| {
        let name = name
            .strip_prefix("KAFKA_")?
            .to_lowercase()
            .replace('_', ".");
        let is_set_here = OWN.contains(&name.as_str()) || name == "heap.opts";
        (!is_set_here).then(|| (name, (*value).to_owned()))
    });
    let own = OWN.into_iter().map(str::to_owned).zip(own);
    own.chain(shared)
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

/// Returns a value as Java's properties take it: a backslash begins an escape there.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_settings_are_kept_and_the_listeners_are_its_own() {
        let mut listeners = Listeners {
            local: 9092,
            controller: 29093,
            open: None,
        };
        let text = server_properties(&listeners, Path::new(r"/state/a\b/data"));
        for line in [
            "listeners=LOCAL://127.0.0.1:9092,CONTROLLER://127.0.0.1:29093",
            "advertised.listeners=LOCAL://127.0.0.1:9092",
            "controller.quorum.voters=1@127.0.0.1:29093",
            r"log.dirs=/state/a\\b/data",
            "log.retention.ms=-1",
            "log.message.timestamp.after.max.ms=9223372036854775807",
            "group.initial.rebalance.delay.ms=0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        let mut names: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "each once\n{text}");
        listeners.open = Some(Open {
            listen: Ipv4Addr::UNSPECIFIED,
            told: Ipv4Addr::new(192, 0, 2, 7),
            port: 9093,
        });
        let text = server_properties(&listeners, Path::new("/data"));
        assert!(text.contains(
            "listeners=LOCAL://127.0.0.1:9092,OPEN://0.0.0.0:9093,CONTROLLER://127.0.0.1:29093\n"
        ));
        assert!(
            text.contains("advertised.listeners=LOCAL://127.0.0.1:9092,OPEN://192.0.2.7:9093\n")
        );
    }
}
