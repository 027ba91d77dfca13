//! Java's side: whether Kafka can run without containers, and whether it does.

use super::{Finding, Verdict};
use crate::error::{Error, Remedy, Result};
use crate::stack::command::Runner;
use crate::stack::java::jars::{self, Home};
use crate::stack::java::runtime::Java;

const CHECK: &str = "java";

/// What there is to run Kafka without containers.
pub(super) struct Facts {
    java: Result<Java>,
}

impl Facts {
    /// Asks Java for its version.
    pub fn gather(runner: &Runner) -> Result<Self> {
        match Java::find(runner) {
            Err(error) if matches!(error.remedy(), Remedy::Stopped(_)) => Err(error),
            java => Ok(Facts { java }),
        }
    }

    /// Returns whether Kafka can run.
    pub fn can_run(&self) -> bool {
        self.java.is_ok()
    }

    /// Says what there is; without Java nothing is wrong where containers work.
    pub fn finding(&self) -> Finding {
        match &self.java {
            Ok(java) => {
                let kafka = match Home::cached() {
                    Some(home) => format!("Kafka {} is fetched", home.version),
                    None => format!("Kafka {} will be fetched by its first start", jars::VERSION),
                };
                Finding::ok(CHECK, format!("Java {}; {kafka}", java.version))
            }
            Err(error) => Finding::ok(CHECK, without(error)),
        }
    }
}

fn without(error: &Error) -> String {
    let error = error.to_string();
    let what = error.split(';').next().unwrap_or_default();
    format!("{what}: Kafka needs a container")
}

/// Takes what is wrong with the container engine for what it is where Java runs Kafka.
pub(super) fn suffices(finding: &mut Finding) {
    if finding.verdict == Verdict::Problem {
        finding.verdict = Verdict::Warning;
        let fix = finding.fix.take().unwrap_or_default();
        finding.fix = Some(format!(
            "`k start` runs only Kafka, with Java; for ksqlDB and the web UI: {fix}"
        ));
    }
}
