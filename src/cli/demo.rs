//! `k demo`: the main tasks with nothing but the binary, as commands that you could type.

use std::io::Write;
use std::path::Path;

use crate::cdr::RECIPE_FILE;
use crate::context::Context;
use crate::error::{Error, Result};

/// Show the first steps: calls, windows, late records, a picture.
///
/// Makes a minute of calls in a temporary folder and computes windows over them. Every line that
/// starts with `$` is a command that you can type yourself.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Keep the files in this folder instead of a temporary one. None of them may exist yet.
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

pub(super) fn run(options: Options, context: &Context) -> Result<()> {
    let temporary = tempfile::Builder::new()
        .prefix("k-demo-")
        .tempdir()
        .map_err(|source| Error::io("make a temporary folder", source))?;
    let folder = options.out.as_deref().unwrap_or(temporary.path());
    refuse_to_overwrite(folder)?;
    let in_folder = |file: &str| folder.join(file).display().to_string();
    let (calls, counts) = (in_folder("mono_signal.csv"), in_folder("calls_10s.csv"));
    let out = folder.display().to_string();

    let generate = "gen --rate 100 --seconds 60 --seed 1 --start 2026-01-01 --arrivals poisson";
    let generate: Vec<&str> = generate.split(' ').chain(["--out", &out]).collect();
    let window = ["window", "--tumbling", "10s", "--from", &calls];
    let table = [&window[..], &["--format", "table"]].concat();
    let show = |title: &str, command: &[&str], flags: &[&str]| {
        say(context, title)?;
        step(&[command, flags].concat(), context)
    };

    show(
        "1. A minute of calls, 100 a second, in the order of their starts:",
        &generate,
        &[],
    )?;
    let what = ["--agg", "count, avg(duration), max(duration)"];
    show(
        "2. How many, and how long? Windows of 10 s of event time:",
        &table,
        &what,
    )?;
    show(
        "3. The same to a file, and as a chart:",
        &window,
        &["--to", &counts],
    )?;
    step(&["chart", &counts, "--size", "60x8"], context)?;
    let title = "4. Real records leave when a call ends, so starts are out of order:";
    show(title, &generate, &["--order", "end"])?;
    show("   Where did the records go? See the summary:", &table, &[])?;
    let plot = ["plot", "--tumbling", "10s", "--from", &calls];
    show(
        "   And see the picture: records left of the stepped line, the watermark, came late:",
        &plot,
        &["--size", "80x20"],
    )?;
    show(
        "5. It also says what would have kept them:",
        &table,
        &["--grace", "1m"],
    )?;
    context.report.hint(
        "the lesson continues in NOTES.md; `k gen --help` and `k window --help` list every flag",
    );
    Ok(())
}

fn refuse_to_overwrite(folder: &Path) -> Result<()> {
    const FILES: [&str; 4] = ["mono_signal.csv", "tower.csv", RECIPE_FILE, "calls_10s.csv"];
    let mut paths = FILES.iter().map(|name| folder.join(name));
    match paths.find(|path| path.exists()) {
        Some(path) => Err(
            Error::refused(format!("`{}` already exists", path.display()))
                .hint("name another folder with `--out`, or leave it out for a temporary one"),
        ),
        None => Ok(()),
    }
}

fn say(context: &Context, text: &str) -> Result<()> {
    context.interrupt.check()?;
    print(&format!("\n{text}\n"))
}

/// Prints a command as it would be typed, and runs it.
fn step(words: &[&str], context: &Context) -> Result<()> {
    let quoted = words.iter().map(|word| {
        if word.contains([' ', '(', '*']) {
            format!("'{word}'")
        } else {
            (*word).to_owned()
        }
    });
    print(&format!("$ k {}\n", quoted.collect::<Vec<_>>().join(" ")))?;
    let arguments = ["k"].iter().chain(words).map(Into::into);
    let cli = super::parse(arguments)
        .map_err(|error| Error::bug("a command of the demo is invalid").caused_by(error))?;
    cli.command.run(context)
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|source| Error::io("write", source))
}
