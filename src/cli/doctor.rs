//! `k doctor`: whether this machine can run the stack, and what to do if it cannot.

use std::io::Write as _;

use super::broker::{BrokerOptions, default_broker};
use super::listing::{Format, Kind, Listing, text};
use crate::column::Value;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::stack::command::Runner;
use crate::stack::doctor::{self, Broker, Finding, Verdict};
use crate::stack::state::running_broker;
use crate::term::entries::paragraph;
use crate::term::grid::room;
use crate::term::printable::printable;
use crate::term::units;

/// Check what this machine lacks, and print how to fix it.
///
/// Checks the container engine, names, memory, ports, disk, broker and clock.
///
/// Prints a line for each: ok, warning or problem, and what to do. Exit status 1 if there is a
/// problem.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The format of the output [default: plain lines]
    #[arg(long, value_enum)]
    format: Option<Format>,

    #[command(flatten)]
    broker: BrokerOptions,
}

pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    let settings = options.broker.settings(context)?;
    let is_expected = running_broker().is_some() || settings.brokers != default_broker();
    let broker = Broker {
        settings,
        is_expected,
    };
    let findings = doctor::examine(&Runner::new(&context.report, &context.interrupt), &broker)?;
    match options.format {
        None | Some(Format::Table) => std::io::stdout()
            .write_all(lines(&findings, room()).as_bytes())
            .map_err(|source| Error::io("write to stdout", source))?,
        format => listing(&findings).print(format, &context.report)?,
    }
    let problems = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Problem)
        .count();
    match problems {
        0 => Ok(()),
        count => {
            let count = units::format_plural(count as u64, "problem");
            Err(Error::refused(format!("{count} in the way of the stack"))
                .hint("without containers, `k demo` and windows over files and pipes work"))
        }
    }
}

/// Returns a line for each finding, and one below it if there is something to do. What is found goes on
/// below itself; what is to be done holds commands, which are pasted, and stays in one line.
fn lines(findings: &[Finding], room: Option<usize>) -> String {
    let mut lines = String::new();
    let mut line = |verdict: &str, check: &str, says: &str, room| {
        let head = format!("{verdict:<8} {check:<9} ");
        let says = paragraph(&printable(says.as_bytes()), head.len(), room);
        lines.push_str(&format!("{head}{says}\n"));
    };
    for finding in findings {
        line(finding.verdict.word(), finding.check, &finding.says, room);
        if let Some(fix) = &finding.fix {
            line("", "", &format!("fix: {fix}"), None);
        }
    }
    lines
}

fn listing(findings: &[Finding]) -> Listing {
    let mut listing = Listing::new(&[
        ("check", Kind::Text),
        ("verdict", Kind::Text),
        ("says", Kind::Text),
        ("fix", Kind::Text),
    ]);
    for finding in findings {
        listing.row([
            text(finding.check),
            text(finding.verdict.word()),
            text(finding.says.as_str()),
            finding.fix.as_deref().map_or(Value::Null, text),
        ]);
    }
    listing
}
