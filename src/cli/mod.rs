//! The command line: flags in, one command run, one exit status out.
//!
//! Each command is one file that turns its flags into checked options and runs them.
//! Nothing below this folder knows a flag.

mod broker;
mod chart;
mod check;
mod compare;
mod completions;
mod confirm;
mod consume;
mod demo;
mod dialect;
mod doctor;
mod endpoint;
mod explain;
mod r#gen;
mod group;
mod help;
mod join;
mod ksql;
mod listing;
mod look;
mod man;
mod names;
mod node;
mod output;
mod picture;
mod plot;
mod produce;
mod range;
mod result;
mod stack;
mod top;
mod topic;
mod transactions;
mod watch;
mod window;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::kafka::tls;
use crate::term::report::{ColorChoice, Report, Verbosity};

/// What `k --version` prints.
const VERSION: &str = if tls::IS_BUILT_IN {
    concat!(env!("CARGO_PKG_VERSION"), ", with TLS")
} else {
    concat!(env!("CARGO_PKG_VERSION"), ", without TLS in librdkafka")
};

/// The streaming workshop in one binary: make calls, move them, window them.
#[derive(Debug, Parser)]
#[command(name = "k", version = VERSION, max_term_width = 100)]
struct Cli {
    /// Print only warnings and errors.
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Messages"
    )]
    quiet: bool,

    /// Print what is run and what was inferred.
    #[arg(short, long, global = true, help_heading = "Messages")]
    verbose: bool,

    /// Colour messages: auto, always or never
    ///
    /// NO_COLOR is respected.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    #[arg(hide_possible_values = true, help_heading = "Messages")]
    color: ColorChoice,

    #[command(subcommand)]
    command: Command,
}

/// In the order in which the workshop uses them.
#[derive(Debug, Subcommand)]
enum Command {
    Gen(r#gen::Options),
    Produce(produce::Options),
    Consume(consume::Options),
    Topic(topic::Options),
    Group(group::Options),
    Window(Box<window::Options>),
    Explain(explain::Options),
    Join(Box<join::Options>),
    Plot(Box<plot::Options>),
    Watch(Box<watch::Options>),
    Ksql(Box<ksql::Options>),
    Chart(chart::Options),
    Node(node::Options),
    Demo(demo::Options),
    Look(look::Options),
    Top(top::Options),
    Check(check::Options),
    Compare(compare::Options),
    Start(stack::Start),
    Stop(stack::Stop),
    Status(stack::StatusOptions),
    Logs(stack::Logs),
    Reset(stack::Reset),
    Pull(stack::Pull),
    Shell(stack::Shell),
    Doctor(doctor::Options),
    Completions(completions::Options),
    Man(man::Options),
}

impl Command {
    fn run(self, context: &Context) -> Result<()> {
        match self {
            Command::Gen(options) => r#gen::run(options, context),
            Command::Produce(options) => produce::run(&options, context),
            Command::Consume(options) => consume::run(options, context),
            Command::Look(options) => look::run(&options, context),
            Command::Topic(options) => topic::run(options, context),
            Command::Group(options) => group::run(&options, context),
            Command::Window(options) => window::run(*options, context),
            Command::Explain(options) => explain::run(options, context),
            Command::Join(options) => join::run(&options, context),
            Command::Plot(options) => plot::run(*options, context),
            Command::Watch(options) => watch::run(*options, context),
            Command::Ksql(options) => ksql::run(&options, context),
            Command::Chart(options) => chart::run(&options, context),
            Command::Node(options) => node::run(&options, context),
            Command::Demo(options) => demo::run(options, context),
            Command::Top(options) => top::run(&options, context),
            Command::Check(options) => check::run(&options, context),
            Command::Compare(options) => compare::run(&options, context),
            Command::Start(options) => stack::start(options, context),
            Command::Stop(options) => stack::stop(options, context),
            Command::Status(options) => stack::status(options, context),
            Command::Logs(options) => stack::logs(options, context),
            Command::Reset(options) => stack::reset(options, context),
            Command::Pull(options) => stack::pull(options, context),
            Command::Shell(options) => stack::shell(options, context),
            Command::Doctor(options) => doctor::run(options, context),
            Command::Completions(options) => completions::run(options, context),
            Command::Man(options) => man::run(options, context),
        }
    }
}

/// Runs the process: parses its arguments, runs the command, prints the one error.
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    if let Some(page) = help::page(typed.get(1..).unwrap_or_default()) {
        return match page.and_then(|page| print(page.as_bytes())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                Report::new(Verbosity::Normal, ColorChoice::Auto).error(&error);
                ExitCode::from(error.exit_status())
            }
        };
    }
    let cli = match parse(typed) {
        Ok(cli) => cli,
        Err(error) => return told_by_clap(&error),
    };
    let verbosity = match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let report = Report::new(verbosity, cli.color);
    let result = names::check().and_then(|()| {
        let interrupt = Interrupt::listen()?;
        let report = report.clone();
        cli.command.run(&Context { report, interrupt })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.exit_status())
        }
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let is_short = args.iter().any(|arg| arg == "-h");
    Cli::from_arg_matches(&command(is_short).try_get_matches_from(args)?)
}

/// Returns the command line's description. A value may begin with `-`, so that it is reported as a bad
/// value of its flag instead of an unknown flag. `is_short` says that it is for `-h`.
fn command(is_short: bool) -> clap::Command {
    fn values_may_begin_with_a_dash(command: clap::Command) -> clap::Command {
        command
            .mut_args(|arg| {
                if arg.get_action().takes_values() && !arg.is_positional() {
                    arg.allow_hyphen_values(true)
                } else {
                    arg
                }
            })
            .mut_subcommands(values_may_begin_with_a_dash)
    }
    let command = values_may_begin_with_a_dash(Cli::command());
    // A journal says what its windows are.
    let command = command.mut_subcommand("plot", |plot| {
        plot.mut_group("window", |window| window.required(false))
    });
    let command = help::arrange(command.mut_subcommand("explain", explain::relax), is_short);
    command.mut_subcommand("watch", watch::adapt)
}

/// Prints help and version to stdout, with status 0. Prints to stderr, with status 2, the whole help if a
/// command is missing, and otherwise the mistake in at most eight lines.
fn told_by_clap(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        let Err(error) = printed.map_err(|source| Error::io("write to stdout", source)) else {
            return ExitCode::SUCCESS;
        };
        // None of a closed pipe: `k --help | head -1`.
        error.lines().iter().for_each(|line| eprintln!("{line}"));
        return ExitCode::from(error.exit_status());
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.print().unwrap_or(());
        return ExitCode::from(Error::usage("").exit_status());
    }
    let rendered = error.render();
    let text = if console::colors_enabled_stderr() {
        rendered.ansi().to_string()
    } else {
        rendered.to_string()
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(8) {
        eprintln!("{line}");
    }
    ExitCode::from(Error::usage("").exit_status())
}

/// Prints a page to stdout.
fn print(page: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout();
    let printed = stdout.write_all(page).and_then(|()| stdout.flush());
    printed.map_err(|source| Error::io("write to stdout", source))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command(false).debug_assert();
    }
}
