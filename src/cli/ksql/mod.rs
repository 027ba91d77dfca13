//! `k ksql`: ksqlDB's language without a server.

mod replay;
mod rows;
mod runner;
mod trial;

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use super::Context;
use super::broker::BrokerOptions;
use crate::error::{Error, Result};
use crate::ksql::answer::Answer;
use crate::ksql::cluster::shell::ClusterShell;
use crate::ksql::lexer;
use crate::ksql::shell::Shell;
use replay::ReplayOptions;
use rows::Output;
use runner::Runner;

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
    let mut runner = match &options.data {
        Some(data) => Runner::Folder(Box::new(Shell::open(data, &options.app)?)),
        None => {
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
    let output = options.output.unwrap_or_else(Output::by_default);
    let result = run_statements(&mut runner, options, output, context);
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
    output: Output,
    context: &Context,
) -> Result<()> {
    match (&options.execute, &options.file) {
        (Some(statements), _) => run_all(runner, statements, output)?,
        (None, Some(file)) => {
            if !options.exit {
                runner.work()?;
            }
            run_all(runner, &read(file)?, output)?;
        }
        (None, None) if std::io::stdin().is_terminal() => {
            runner.work()?;
            return prompt(runner, output, context);
        }
        (None, None) => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|source| Error::io("read stdin", source))?;
            run_all(runner, &text, output)?;
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
fn run_all(runner: &mut Runner, text: &str, output: Output) -> Result<()> {
    for (start, statement) in lexer::statements(text)? {
        let (line, _) = lexer::place(text, start);
        let doing = || format!("carrying out the statement that begins on line {line}");
        runner
            .run(&lexer::in_place(text, start, statement), &mut |answer| {
                show(&answer, output)
            })
            .map_err(|error| error.during(doing()))?;
    }
    Ok(())
}

fn show(answer: &Answer, output: Output) -> Result<()> {
    let text = match answer {
        Answer::Said(said) if said.is_empty() => return Ok(()),
        Answer::Said(said) => format!("{said}\n"),
        Answer::Lines(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
        Answer::Table { columns, rows } => output.text(columns, rows)?,
        Answer::Rows {
            columns,
            rows,
            is_first,
        } => output.stream(columns, rows, *is_first)?,
    };
    super::print(text.as_bytes())
}

/// Reads statements from the terminal until `exit` or its end. One that is refused ends nothing.
fn prompt(runner: &mut Runner, output: Output, context: &Context) -> Result<()> {
    let mut typed = String::new();
    let mut lines = std::io::stdin().lock().lines();
    loop {
        print!("{}", if typed.is_empty() { "ksql> " } else { "   -> " });
        // A prompt that cannot be shown hides nothing that was asked for.
        let _ = std::io::stdout().flush();
        let Some(line) = lines.next() else {
            return Ok(());
        };
        let line = line.map_err(|source| Error::io("read stdin", source))?;
        match (typed.is_empty(), line.trim().trim_end_matches(';')) {
            (true, "exit" | "quit") => return Ok(()),
            (true, "help") => {
                super::print(HELP.as_bytes())?;
                continue;
            }
            _ => {}
        }
        typed.push_str(&line);
        typed.push('\n');
        if !line.trim_end().ends_with(';') {
            continue;
        }
        let ran = run_all(runner, &typed, output);
        typed.clear();
        if let Err(error) = ran {
            context.report.error(&error);
        }
    }
}

const HELP: &str = "\
SELECT … FROM … [EMIT CHANGES] [LIMIT n];      rows, once
CREATE STREAM|TABLE name (…) WITH (…);         what a topic holds
CREATE STREAM|TABLE name AS SELECT …;          a query whose rows go to a topic
INSERT INTO name SELECT …;  INSERT INTO name VALUES (…);
SHOW STREAMS|TABLES|TOPICS|QUERIES|FUNCTIONS;  DESCRIBE name;  DESCRIBE FUNCTION name;
EXPLAIN SELECT …;  PRINT topic;  DROP STREAM|TABLE name;  TERMINATE id;
SET 'property' = 'value';  DEFINE name = 'value';  RUN SCRIPT 'file';
exit
";

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
