//! `k ksql`: ksqlDB's language without a server.

mod prompt;
mod replay;
mod rows;
mod runner;
mod screen;
mod trial;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::Context;
use super::broker::BrokerOptions;
use crate::error::{Error, Remedy, Result};
use crate::ksql::cluster::shell::ClusterShell;
use crate::ksql::lexer;
use crate::ksql::server::Client;
use crate::ksql::shell::Shell;
use replay::ReplayOptions;
use rows::Output;
use runner::Runner;
use screen::Screen;

/// Run statements in ksqlDB's language, without a server.
///
/// Queries that go on (CREATE … AS, INSERT INTO … SELECT) run while some `k ksql` of their app does: with
/// `-f` until Ctrl-C, with `--exit` until what their topics hold now is done. Several processes share the
/// partitions, and results are written exactly once. Definitions are kept in the topic
/// `k-ksql-APP-commands`.
///
/// With `--data` the files of a folder are the topics: `data/mono_signal.csv` is `mono_signal`, and what
/// queries write are files beside it. Without `-e` and `-f` statements are read from the terminal, each
/// up to its semicolon; `help` says which there are, `exit` ends.
///
/// With `--replay` the queries of a file run over records in another one, deterministically: one
/// partition, event time alone, every change written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  k ksql -e \"SHOW TOPICS; SHOW STREAMS;\"
  k ksql -f app.sql --exit
  k ksql --data data -e \"SHOW TOPICS;\"
  k ksql --data data -f app.sql
  k ksql --data data -e \"SELECT * FROM calls EMIT CHANGES LIMIT 3;\" --output json
  k ksql --server http://localhost:8088 -e \"SHOW STREAMS;\"
  k ksql --file app.sql --replay calls.jsonl --capture out.jsonl
  k ksql test tests/ksql/cases",
    args_conflicts_with_subcommands = true
)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// Run these statements and leave
    #[arg(short, long, value_name = "STATEMENTS", conflicts_with = "file")]
    execute: Option<String>,

    /// Run the statements of this file, then its queries until Ctrl-C
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The folder whose files are the topics
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// End when what the topics hold now is done; over a folder it always does
    #[arg(long)]
    exit: bool,

    /// Put VALUE in the place of ${NAME}, as DEFINE does
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = setting)]
    define: Vec<(String, String)>,

    /// Set a ksqlDB property, as SET does
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,

    /// How rows are written [default: table on a terminal, else csv]
    #[arg(long, value_enum, value_name = "FORMAT", ignore_case = true)]
    output: Option<Output>,

    /// Give at most so many rows for a SELECT
    #[arg(long, value_name = "N")]
    query_row_limit: Option<u64>,

    /// End a SELECT with EMIT CHANGES after so many ms
    #[arg(long, value_name = "MS")]
    query_timeout: Option<u64>,

    /// Send the statements to a ksqlDB server's REST interface: http://localhost:8088
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "replay"])]
    server: Option<String>,

    /// The app whose definitions these are
    #[arg(long, value_name = "NAME", default_value = "default_")]
    app: String,

    #[command(flatten)]
    replay: ReplayOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(trial::TestOptions),
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    if let Some(Command::Test(options)) = &options.command {
        return trial::run(options);
    }
    if options.replay.is_wanted() {
        let file = options
            .file
            .as_deref()
            .ok_or_else(|| Error::usage("--replay needs --file, the statements"))?;
        return replay::run(&options.replay, &read(file)?, &options.set, context);
    }
    let mut runner = match (&options.data, &options.server) {
        (Some(data), _) => Runner::Folder(Box::new(Shell::open(data, &options.app)?)),
        (None, Some(url)) => Runner::Server(Box::new(Client::open(url, &context.interrupt)?)),
        (None, None) => {
            let settings = options.broker.settings(context)?;
            let name = super::names::prefixed;
            let shell = ClusterShell::open(&settings, context, &options.app, name)?;
            Runner::Cluster(Box::new(shell))
        }
    };
    runner.limit_rows(options.query_row_limit);
    let session = runner.session();
    for (name, value) in &options.set {
        session.settings.set(name, Some(value.clone()));
    }
    session.variables.extend(options.define.iter().cloned());
    let mut screen = Screen::new(
        options.output.unwrap_or_else(Output::by_default),
        &context.report,
    );
    screen.timeout = options.query_timeout.map(Duration::from_millis);
    let result = run_statements(&mut runner, options, &mut screen, context);
    if let (count @ 1.., Some(first)) = runner.unread() {
        context.report.warning(format!(
            "{count} records could not be read and were left out; the first: {first}"
        ));
    }
    result
}

fn run_statements(
    runner: &mut Runner,
    options: &Options,
    screen: &mut Screen,
    context: &Context,
) -> Result<()> {
    match (&options.execute, &options.file) {
        (Some(statements), _) => run_all(runner, statements, screen, context)?,
        (None, Some(file)) => {
            if !options.exit {
                runner.work()?;
            }
            run_all(runner, &read(file)?, screen, context)?;
        }
        (None, None) if std::io::stdin().is_terminal() => {
            runner.work()?;
            return prompt::run(runner, screen, context);
        }
        (None, None) => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|source| Error::io("read stdin", source))?;
            run_all(runner, &text, screen, context)?;
        }
    }
    context.interrupt.check()?;
    match (options.exit, &options.file) {
        (true, _) => runner.finish(),
        (false, Some(_)) => runner.stay(),
        (false, None) => {
            runner.tell_idle(context);
            Ok(())
        }
    }
}

/// Runs the statements of a text, and shows what each gives.
fn run_all(runner: &mut Runner, text: &str, screen: &mut Screen, context: &Context) -> Result<()> {
    let statements = lexer::statements(text)?;
    let is_script = statements.len() > 1;
    for (start, statement) in statements {
        let (line, _) = lexer::place(text, start);
        let during = |error: Error| match is_script {
            true => error.during(format!(
                "carrying out the statement that begins on line {line}"
            )),
            false => error,
        };
        if screen.spool(statement).map_err(during)? {
            continue;
        }
        match prompt::own(statement) {
            Some(prompt::Own::Exit) => break,
            Some(prompt::Own::Help) => {
                prompt::help()?;
                continue;
            }
            None => {}
        }
        let timer = screen.timeout.map(|timeout| Timer::start(timeout, context));
        let statement = lexer::in_place(text, start, statement);
        let ran = runner.run(&statement, &mut |answer| screen.show(&answer));
        for note in runner.take_notes() {
            context.report.warning(note.warning);
            context.report.hint(note.hint);
        }
        let is_over = timer.is_some_and(Timer::has_stopped_it);
        if is_over {
            context.interrupt.take();
        }
        match ran {
            Err(error) if is_over && matches!(error.remedy(), Remedy::Stopped(_)) => {}
            ran => ran.map_err(during)?,
        }
    }
    Ok(())
}

/// Ends a query after a time, as Ctrl-C does.
struct Timer {
    /// Dropped when the query is done.
    is_done: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Timer {
    fn start(timeout: Duration, context: &Context) -> Self {
        let (is_done, wait) = std::sync::mpsc::channel();
        let interrupt = context.interrupt.clone();
        let thread = std::thread::spawn(move || {
            let is_over = wait.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
            if is_over {
                interrupt.set(signal_hook::consts::SIGINT);
            }
            is_over
        });
        Timer { is_done, thread }
    }

    /// Returns whether it has ended the query.
    fn has_stopped_it(self) -> bool {
        drop(self.is_done);
        self.thread.join().unwrap_or(false)
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|source| Error::io(format!("read `{}`", path.display()), source))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if path == Path::new("-") {
        return super::print(text.as_bytes());
    }
    std::fs::write(path, text)
        .map_err(|source| Error::io(format!("write `{}`", path.display()), source))
}
