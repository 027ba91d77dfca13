//! `k doctor`: whether this machine can run the stack, a finding for each thing it needs.
//!
//! In: the machine. Out: a list of [`Finding`]s; each that is not well says what to do.
//! - `containers`: engine, compose tool, name resolution, images, clock
//! - `java`: what runs Kafka without containers
//! - `machine`: rootless set-up, limits, memory, disk, ports, system
//! - `broker`: whether Kafka can be reached, by IPv4 and IPv6

mod broker;
mod containers;
mod java;
mod machine;

use crate::error::Result;
use crate::kafka::Settings;
use crate::stack::command::Runner;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It may do harm.
    Warning,
    /// The stack cannot run like this.
    Problem,
}

impl Verdict {
    /// Returns it in one word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        }
    }
}

/// What was found about one thing that the stack needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which thing, in one word.
    pub check: &'static str,
    /// How to take it.
    pub verdict: Verdict,
    /// What was found.
    pub says: String,
    /// What to do; `None` where all is well.
    pub fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        let (verdict, says, fix) = (Verdict::Ok, says.into(), None);
        Finding {
            check,
            verdict,
            says,
            fix,
        }
    }

    fn warning(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        let (verdict, says, fix) = (Verdict::Warning, says.into(), Some(fix.into()));
        Finding {
            check,
            verdict,
            says,
            fix,
        }
    }

    fn problem(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        let verdict = Verdict::Problem;
        Finding {
            verdict,
            ..Finding::warning(check, says, fix)
        }
    }
}

/// Which broker to look at.
#[derive(Debug)]
pub struct Broker {
    /// How to reach it.
    pub settings: Settings,
    /// Whether it must be there: the user named it, or the stack was started.
    pub is_expected: bool,
}

/// Examines the machine and the broker.
///
/// # Errors
/// `stopped` after a signal.
pub fn examine(runner: &Runner, broker: &Broker) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let facts = containers::Facts::gather(runner, &mut findings)?;
    let java = java::Facts::gather(runner)?;
    if facts.is_none() && java.can_run() {
        findings.iter_mut().for_each(java::suffices);
    }
    findings.push(java.finding());
    if let Some(facts) = &facts {
        findings.push(facts.compose(runner)?);
        findings.push(facts.dns());
        findings.extend(machine::rootless(facts));
    }
    findings.push(machine::open_files());
    findings.extend(machine::memory(facts.as_ref()));
    findings.push(machine::system());
    findings.push(machine::state_folder());
    let containers = match &facts {
        Some(facts) => facts.containers(runner)?,
        None => Vec::new(),
    };
    findings.extend(machine::ports(&containers, runner)?);
    if let Some(facts) = &facts {
        let images = facts.images(runner)?;
        findings.extend(machine::disk(facts, images.verdict == Verdict::Ok));
        findings.push(images);
        findings.push(facts.clock(runner, &containers)?);
    }
    findings.extend(broker::examine(broker)?);
    Ok(findings)
}
