//! `k help`: the commands in groups, the help of one of them, and pages about what they share.

use std::ffi::OsString;
use std::fmt::Write;

use crate::engine::aggregate;
use crate::error::{Error, Result};
use crate::expression::functions;
use crate::term::entries::entries;
use crate::term::grid::room;

/// The summary of clap's own command.
const HELP: &str = "Show a command's help, or functions, sources, times, formats";

/// The commands, in the order in which the workshop uses them.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Make", &["gen", "demo"]),
    ("Move", &["produce", "consume", "topic", "group"]),
    ("Compute", &["window", "join", "ksql", "node"]),
    (
        "Look",
        &[
            "look", "explain", "plot", "watch", "chart", "top", "compare",
        ],
    ),
    ("Learn", &["check", "help", "completions", "man"]),
    (
        "Stack",
        &[
            "start", "stop", "status", "logs", "reset", "pull", "shell", "doctor",
        ],
    ),
];

/// Examples for commands that have none beside their flags.
const EXAMPLES: [(&str, &[&str]); 16] = [
    ("demo", &["k demo", "k demo --out calls"]),
    (
        "produce",
        &[
            "k produce",
            "k produce data/mono_signal.csv --key caller --acks all",
            "k gen --rate 100 --seconds 60 --pace real --out - | k produce - -t calls",
        ],
    ),
    (
        "topic",
        &[
            "k topic list",
            "k topic create calls --partitions 3 --config retention.ms=-1",
            "k topic describe mono_signal",
            "k topic transactions",
        ],
    ),
    (
        "explain",
        &[
            "k explain record calls.csv:17 --tumbling 10s --grace 5s",
            "k explain window 12:00:10 --tumbling 10s --from calls.csv",
            "k explain silence --tumbling 10s --from calls",
        ],
    ),
    ("group", &["k group list", "k group describe calls"]),
    ("node", &["k node list", "k node describe calls"]),
    (
        "start",
        &[
            "k start",
            "k start --only kafka",
            "k start --dry-run",
            "k start --engine java                    # Kafka alone, without containers",
            "k start --kafka-home /media/usb/kafka    # from a folder made by `k pull --to`",
            "k start --listen 0.0.0.0                 # for a class with K_BROKER and K_PREFIX",
        ],
    ),
    ("stop", &["k stop"]),
    ("status", &["k status", "k status --format json"]),
    ("logs", &["k logs kafka --tail 20", "k logs kafka --follow"]),
    ("reset", &["k reset"]),
    ("pull", &["k pull", "k pull --to /media/usb/kafka"]),
    (
        "shell",
        &[
            "k shell ksqldb",
            "k shell kafka -- kafka-topics.sh --bootstrap-server kafka:19092 --list",
        ],
    ),
    ("doctor", &["k doctor"]),
    (
        "completions",
        &["k completions bash > ~/.local/share/bash-completion/completions/k"],
    ),
    ("man", &["k man ~/.local/share/man/man1"]),
];

/// The flags in the short help of `k window`, `k plot`, `k watch` and `k explain`; `--help` shows all of them in full.
const SHORT: [(&str, &str); 33] = [
    (
        "record",
        "`calls.csv:17`, `TOPIC:PARTITION:OFFSET`, a condition",
    ),
    ("at", "The windows at this time: `12:00:10`"),
    ("most", "Name so many at most"),
    ("key", "The windows of this key"),
    ("between", "Draw event times from A to B"),
    ("show", "Show so much processing time"),
    ("web", "Serve a page, and open it"),
    ("out", "Draw to a file: .svg, .png or .html"),
    ("by", "Group by these columns or expressions"),
    ("agg", "Compute these: `sum(x), p99(x)` [default: count]"),
    ("filter", "Count only records for which this holds"),
    ("select", "Write these columns of the result"),
    ("having", "Write only rows for which this holds"),
    ("order_by", "Sort the rows of each window"),
    ("limit", "Write the first N rows of each window"),
    ("tumbling", "Windows one after the other: `10s`, `1d`"),
    ("hopping", "Windows of SIZE, one every ADVANCE"),
    ("session", "Records of a key, at most GAP apart"),
    ("sliding", "Records of a key that lie within DURATION"),
    ("global", "One window for all time"),
    ("time", "The event time: a column or an expression"),
    (
        "out_of_order",
        "Hold the watermark back, for records this late",
    ),
    ("grace", "Accept records this late [default: 0s]"),
    ("emit", "Rows that are `final`, or all `changes`"),
    ("trigger", "Rows leave: `early(every 5s) watermark`, …"),
    ("refine", "`accumulating`, `discarding`, `retracting`"),
    ("from", "A file, a topic, or `-`; `k help sources`"),
    ("to", "A file, a topic, or `-`"),
    ("format", "The format of the rows"),
    ("skip_bad", "Skip and count malformed records"),
    ("exit", "End where the topic ends now"),
    ("group", "Share the topic with processes of this group"),
    ("broker", "Brokers as HOST:PORT,…"),
];

/// Pages that are text alone.
const PAGES: [(&str, &str); 3] = [
    ("sources", include_str!("help/sources.txt")),
    ("times", include_str!("help/times.txt")),
    ("formats", include_str!("help/formats.txt")),
];

/// Returns the command line's description with its commands in groups, and examples for each.
///
/// For `-h` the commands of many flags name a few of them, in as few lines as they need.
pub(super) fn arrange(mut command: clap::Command, is_short: bool) -> clap::Command {
    let shorten = |command| {
        if is_short {
            gather(shorten(command))
        } else {
            shorten(command)
        }
    };
    command = command.mut_subcommands(|command| {
        let examples = EXAMPLES
            .iter()
            .find(|(name, _)| command.get_name() == *name);
        let command = match examples {
            Some((_, lines)) => command.after_help(format!("Examples:\n  {}", lines.join("\n  "))),
            None => command,
        };
        match command.get_name() {
            "window" | "plot" | "watch" => shorten(command),
            "explain" => command.mut_subcommands(shorten),
            _ => command,
        }
    });
    let mut list = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(list, "{group}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(|of| of.get_about());
            let about = about.map_or_else(|| HELP.to_owned(), ToString::to_string);
            let _ = writeln!(list, "  {name:<13}{about}");
        }
        list.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}\
         `k help COMMAND` shows more. Pages: `k help functions`, sources, times, formats.\n\n\
         Options:\n{{options}}"
    ))
}

/// Shortens a command's `-h` to the flags of [`SHORT`].
fn shorten(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let short = SHORT.iter().find(|(id, _)| arg.get_id() == id);
        let full = arg.get_long_help().or(arg.get_help()).cloned();
        match (short, full) {
            (Some((_, text)), Some(full)) => arg.help(*text).long_help(full),
            _ => arg.hide_short_help(true),
        }
    })
}

/// Lets the few flags of a short help take few lines: values that the text names are not listed again,
/// and no heading is there for one flag.
fn gather(command: clap::Command) -> clap::Command {
    let usage = "k window [OPTIONS] WINDOW [SOURCE]...";
    let command = match command.get_name() {
        "window" => command.override_usage(usage),
        _ => command,
    };
    let help = clap::Arg::new("help").short('h').long("help");
    let help = help.action(clap::ArgAction::Help);
    let help = help.help("Print help (see more with '--help')");
    let headings = ["exit", "group", "broker"].map(|id| (id, "Input and output"));
    let headings = headings.into_iter().chain([("refine", "When rows leave")]);
    let headings: Vec<(&str, &str)> = headings.collect();
    command
        .mut_args(|arg| {
            let heading = headings.iter().find(|(id, _)| arg.get_id() == id);
            let has_values = arg.get_action().takes_values();
            let values = arg.get_possible_values();
            let values: Vec<String> = values
                .iter()
                .map(|of| format!("`{}`", of.get_name()))
                .collect();
            let arg = arg.hide_possible_values(has_values);
            let arg = match arg.get_id().as_str() {
                "format" => arg.help(values.join(", ")),
                "agg" | "grace" | "refine" => arg.hide_default_value(true),
                _ => arg,
            };
            match heading {
                Some((_, heading)) => arg.help_heading(*heading),
                None => arg,
            }
        })
        .disable_help_flag(true)
        .arg(help.help_heading("Messages"))
}

/// Returns the page for the words behind `k`; `None` if they do not ask for one.
///
/// # Errors
/// `usage` for an unknown function.
pub(super) fn page(typed: &[OsString]) -> Option<Result<String>> {
    let typed: Vec<&str> = typed.iter().map_while(|word| word.to_str()).collect();
    match typed[..] {
        ["help", "functions"] => Some(Ok(every_function())),
        ["help", "functions", name] => Some(function(name)),
        ["help", name] => {
            let page = PAGES.iter().find(|(page, _)| *page == name);
            page.map(|(_, text)| Ok((*text).to_owned()))
        }
        _ => None,
    }
}

fn every_function() -> String {
    let aggregates = aggregate::all().iter();
    let aggregates = aggregates.map(|one| (one.usage.to_owned(), one.summary.to_owned()));
    let others = functions::all().map(|function| {
        let names: Vec<&str> = function.names().collect();
        (names.join(", "), function.summary.to_owned())
    });
    let room = room();
    let (aggregates, others) = (entries(aggregates, room), entries(others, room));
    format!(
        "Aggregates, for `--agg`:\n\n{aggregates}\nFunctions, for `--by`, `--where`, `--select` and the \
         arguments of aggregates:\n\n{others}\n`k help functions NAME` shows how to use one.\n"
    )
}

/// Shows the usage of an aggregate or a function.
fn function(name: &str) -> Result<String> {
    let name = name.to_lowercase();
    let mut text = String::new();
    let mut show = |usage: &str, summary: &str, example: &str, result: &str| {
        let _ = writeln!(text, "{usage}\n  {summary}\n  {example} → {result}");
    };
    for aggregate in aggregate::all() {
        let mut names = aggregate
            .usage
            .split(|other: char| !other.is_alphanumeric() && other != '_');
        if names.any(|part| part == name) {
            let over = format!("{} over 4, 1, 3, 3 and null", aggregate.example);
            show(aggregate.usage, aggregate.summary, &over, aggregate.result);
        }
    }
    for function in functions::all() {
        if function.names().any(|known| known == name) {
            show(
                &function.usage(),
                function.summary,
                function.example,
                function.result,
            );
        }
    }
    if text.is_empty() {
        Err(Error::usage(format!("there is no function `{name}`"))
            .hint("`k help functions` lists them all"))
    } else {
        Ok(text)
    }
}
