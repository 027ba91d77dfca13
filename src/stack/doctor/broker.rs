//! Kafka as this machine sees it: does each address of the broker accept, and does Kafka answer?

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{Broker, Finding};
use crate::error::{Remedy, Result};
use crate::kafka::admin::Admin;

/// How long an address may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const CHECK: &str = "broker";

/// Looks at the first broker of the list by IPv4 and IPv6, and asks Kafka for its topics.
pub(super) fn examine(broker: &Broker) -> Result<Vec<Finding>> {
    let list = &broker.settings.brokers;
    let address = list.split(',').next().unwrap_or_default().trim();
    let addresses: Vec<SocketAddr> = match with_port(address).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(source) => {
            let says = format!("`{address}` is not a valid address: {source}");
            return Ok(vec![Finding::problem(
                CHECK,
                says,
                "check `--broker` and K_BROKER",
            )]);
        }
    };
    let accepting = |is_ipv4: bool| {
        let mut family = addresses
            .iter()
            .filter(|address| address.is_ipv4() == is_ipv4);
        let known = family.clone().next().is_some();
        known.then(|| {
            family.any(|address| TcpStream::connect_timeout(address, CONNECT_TIMEOUT).is_ok())
        })
    };
    let (ipv4, ipv6) = (accepting(true), accepting(false));
    if ipv4 != Some(true) && !broker.is_expected {
        let says = format!("nothing listens at {address} yet");
        return Ok(vec![Finding::ok(
            CHECK,
            format!("{says}; `k start` changes that"),
        )]);
    }
    let mut findings = vec![answer(broker, address, ipv4)?];
    findings.extend(family_finding(address, ipv4, ipv6));
    Ok(findings)
}

/// Judges how the two kinds of addresses differ. `None` means that the name has none of the kind.
fn family_finding(address: &str, ipv4: Option<bool>, ipv6: Option<bool>) -> Option<Finding> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match (ipv4, ipv6) {
        (Some(false), Some(true)) => Some(Finding::problem(
            CHECK,
            format!("{host} accepts connections by IPv6, but not by IPv4, which `k` uses"),
            "name an IPv4 address with `--broker`, or set `-X broker.address.family=v6`",
        )),
        (Some(true), Some(true)) if host == "localhost" => Some(Finding::warning(
            CHECK,
            "localhost is also ::1, where containers may accept and then reset connections",
            "write 127.0.0.1 instead of localhost, also in other programs",
        )),
        (Some(true), Some(false)) => Some(Finding::warning(
            CHECK,
            format!("{host} refuses IPv6: programs that try it first fail or wait"),
            "write 127.0.0.1 instead of localhost, also in other programs",
        )),
        _ => None,
    }
}

/// Asks Kafka for its topics, as every command does before anything else.
fn answer(broker: &Broker, address: &str, ipv4: Option<bool>) -> Result<Finding> {
    let began = Instant::now();
    match Admin::new(&broker.settings).and_then(|admin| admin.topics()) {
        Ok(topics) => {
            let ms = began.elapsed().as_millis();
            Ok(Finding::ok(
                CHECK,
                format!("{address} answers in {ms} ms, {} topics", topics.len()),
            ))
        }
        Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
        Err(error) => {
            let fix = match ipv4 {
                Some(true) => {
                    "the program there is not Kafka, or not ready: see `k status`, `k logs kafka`"
                }
                _ => "start it with `k start`, or name another one with `--broker` or K_BROKER",
            };
            Ok(Finding::problem(CHECK, error.to_string(), fix))
        }
    }
}

/// Returns an address with Kafka's port where it names none.
fn with_port(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => address.to_owned(),
        _ => format!("{address}:9092"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn localhost_that_is_two_addresses_is_warned_about() {
        let verdict = |ipv4, ipv6| {
            family_finding("localhost:9092", ipv4, ipv6).map(|finding| finding.verdict)
        };
        assert_eq!(verdict(Some(true), None), None);
        assert_eq!(verdict(Some(true), Some(true)), Some(Verdict::Warning));
        assert_eq!(verdict(Some(true), Some(false)), Some(Verdict::Warning));
        assert_eq!(verdict(Some(false), Some(true)), Some(Verdict::Problem));
        assert_eq!(
            family_finding("kafka.example:9092", Some(true), Some(true)),
            None
        );
    }

    #[test]
    fn a_broker_without_port_has_kafkas() {
        assert_eq!(with_port("kafka"), "kafka:9092");
        assert_eq!(with_port("kafka:19092"), "kafka:19092");
    }
}
