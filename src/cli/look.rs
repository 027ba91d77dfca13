//! `k look`: describes records, and the flags to read them.

use std::time::Duration;

use bumpalo::Bump;
use clap::ValueEnum;
use serde_json::json;

use super::broker::BrokerOptions;
use super::dialect::DialectOptions;
use super::endpoint::{Endpoint, OneInput, one_input, stdin_is_input};
use super::range::PlaceOptions;
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::format::dialect::{DELIMITERS, delimiter_name};
use crate::format::{Layout, Origins, TimeFrom};
use crate::look::{Among, ColumnFound, Findings, Look, undeclared};
use crate::node::input::{self, Given, Input, Notation};
use crate::outlet::Outlet;
use crate::source::Polled;
use crate::source::kafka::Until;
use crate::term::entries::paragraph;
use crate::term::grid::{self, Column, GAP, Shortage};
use crate::term::printable::printable;
use crate::term::table::{Align, Table};
use crate::term::units::{format_count, format_duration, format_plural, format_time};

/// How long a wait lasts before signals are checked.
const POLL: Duration = Duration::from_millis(50);
/// The width of the output where there is no terminal.
const WIDTH: usize = 80;
/// The maximum width of a column's name.
const NAME: usize = 24;
/// How many columns that may be times are described.
const TIMES: usize = 3;
/// The width of the label of a line.
const MARGIN: usize = 10;

/// Describe unknown records, and suggest the flags to read them.
///
/// For each column: its type, how many values are null, how many are distinct, and examples. For
/// each column that may be the event time: its unit or pattern, its range, and how far it is out of
/// order, which is the value for `--out-of-order`. At the end: a command line of `k window` to
/// start with.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  k look orders.csv
  k look orders --since -10m
  zcat old.json.gz | k look - --limit 1000 --format json")]
pub(super) struct Options {
    /// A file, a topic, or `-` for stdin, as for `k window --from` [default: a pipe on stdin]
    #[arg(value_name = "SOURCE")]
    source: Option<Endpoint>,

    /// Read only the first N records
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    /// The format of the records [default: found from the first ones]
    #[arg(long, value_enum, value_name = "FORMAT")]
    input: Option<Notation>,

    /// As text, or as one JSON object for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    dialect: DialectOptions,

    #[command(flatten)]
    range: PlaceOptions,

    #[command(flatten)]
    broker: BrokerOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<()> {
    let source = match &options.source {
        Some(source) => source.clone(),
        None if stdin_is_input() => Endpoint::Pipe,
        None => {
            return Err(Error::usage("there is nothing to look at")
                .hint("name a file or a topic: `k look orders.csv`"));
        }
    };
    let mut input = options.open(&source, context)?;
    let written = written(&input);
    let (findings, end) = options.look(&mut input, context)?;
    let is_whole = matches!(end, End::OfInput);
    let source = match &source {
        Endpoint::Pipe => "-".to_owned(),
        other => other.to_string(),
    };
    let command = findings.command(&source, &options.reading());
    let mut hint = None;
    let printed = match options.format {
        Format::Json => json!({
            "source": source,
            "format": written,
            "is_whole": is_whole,
            "found": findings,
            "command": command.map(|words| words.join(" ")),
        })
        .to_string(),
        Format::Table => {
            let part = if is_whole { "" } else { ", the first ones" };
            let head = format!(
                "{}: {written}, {}; {}{part}",
                printable(source.as_bytes()),
                format_plural(findings.columns.len() as u64, "column"),
                format_plural(findings.records, "record"),
            );
            let command = command.map_or_else(
                || "no column looks like a time: `--time COLUMN` names one, `--time @arrival` needs none".to_owned(),
                |words| wrapped(&words),
            );
            let room = grid::room().unwrap_or(WIDTH);
            let (columns, shortage) = columns(&findings, room);
            hint = shortage.hint("`--format json`");
            let lines = lines(&findings, room).join("\n");
            let head = paragraph(&head, 0, Some(room));
            format!("{head}\n\n{columns}\n{lines}\n\n{command}")
        }
    };
    let mut outlet = Outlet::stdout(context.interrupt.clone())?;
    outlet.write(format!("{printed}\n").as_bytes())?;
    hint.into_iter().for_each(|hint| context.report.hint(hint));
    match end {
        End::OfInput | End::Enough => Ok(()),
        End::Broken(error) => Err(error),
    }
}

/// Where looking ended.
enum End {
    OfInput,
    /// At as many records as were wanted.
    Enough,
    /// At records that cannot be read on.
    Broken(Error),
}

impl Options {
    /// Returns the flags to read the records, for another command; a flag without a value has an
    /// empty one.
    fn reading(&self) -> Vec<(&'static str, String)> {
        let notation = self.input.as_ref().and_then(ValueEnum::to_possible_value);
        let notation = notation.map(|notation| ("--input", notation.get_name().to_owned()));
        let delimiter = self.dialect.delimiter;
        let delimiter = delimiter.map(|delimiter| ("--delimiter", delimiter_word(delimiter)));
        // An empty field is null anyway.
        let nulls = self.dialect.spelling.null.iter();
        let nulls = nulls.filter(|null| !null.is_empty());
        let nulls = nulls.map(|null| ("--null", null.clone()));
        let comma = self.dialect.decimal_comma;
        let comma = comma.then(|| ("--decimal-comma", String::new()));
        let flags = notation.into_iter().chain(delimiter);
        flags.chain(nulls).chain(comma).collect()
    }

    fn open(&self, source: &Endpoint, context: &Context) -> Result<Input> {
        let given = Given {
            declared: None,
            notation: self.input,
            delimiter: self.dialect.delimiter,
            spelling: self.dialect.spelling(),
            grows: false,
        };
        if let Some(flag) = self.range.given()
            && !matches!(source, Endpoint::Topic(_))
        {
            return Err(Error::usage(format!(
                "`{flag}` is for topics, and `{source}` is not a topic"
            )));
        }
        match &one_input(std::slice::from_ref(source))? {
            OneInput::Lines(pieces) => input::open_files(pieces, given, context),
            OneInput::Topic(topic) => {
                let mut range = self.range.range()?;
                if range.until == Until::Never {
                    range.until = Until::End;
                }
                let settings = self.broker.settings(context)?;
                let input = input::open_topic(topic, &range, given, &settings, context)?;
                input.ok_or_else(|| Error::data(format!("topic `{topic}` has no records there")))
            }
        }
    }

    /// Reads the records; also returns where they end. What was read before records that cannot be read
    /// is worth looking at.
    fn look(&self, input: &mut Input, context: &Context) -> Result<(Findings, End)> {
        let schema = undeclared(std::mem::take(&mut input.schema));
        let mut decoder = input.decoder(Layout {
            wanted: (0..schema.fields.len()).collect(),
            schema: schema.clone(),
            time: TimeFrom::Nowhere,
        });
        let delimiter = input.form.dialect.delimiter;
        let is_delimited = input.form.notation == Notation::Delimited;
        let mut look = Look::new(schema, is_delimited.then_some(delimiter));
        let mut arena = Bump::new();
        loop {
            context.interrupt.check()?;
            match input.source.poll(POLL) {
                Err(error) if error.remedy() == Remedy::MendData && look.records() > 0 => {
                    return Ok((look.finish(), End::Broken(error)));
                }
                Err(error) => return Err(error),
                Ok(Polled::End) => return Ok((look.finish(), End::OfInput)),
                Ok(Polled::Pending) => {}
                Ok(Polled::Batch(batch)) => {
                    let mut decoded = decoder.decode(&batch.records, Origins::Keep, &arena);
                    let left = self.limit - look.records();
                    let rows = decoded.columns.rows as u64;
                    let is_enough = rows + decoded.malformed.len() as u64 > left;
                    if is_enough {
                        decoded.truncate(rows.min(left) as usize);
                        let rows = decoded.columns.rows;
                        decoded
                            .malformed
                            .retain(|malformed| malformed.before < rows);
                    }
                    look.add(batch.partition, &decoded, &batch.records, &arena)?;
                    if is_enough || look.records() >= self.limit {
                        return Ok((look.finish(), End::Enough));
                    }
                }
            }
            arena.reset();
        }
    }
}

/// Returns a delimiter in the syntax of `--delimiter`.
fn delimiter_word(delimiter: u8) -> String {
    let named = DELIMITERS.iter().find(|(known, _)| *known == delimiter);
    named.map_or_else(
        || char::from(delimiter).to_string(),
        |(_, name)| (*name).to_owned(),
    )
}

/// Describes the format of the records.
fn written(input: &Input) -> String {
    match input.form.notation {
        Notation::Delimited => match input.form.dialect.delimiter {
            b',' => "CSV between commas".to_owned(),
            b';' => "CSV between semicolons".to_owned(),
            b'\t' => "CSV between tabs".to_owned(),
            b'|' => "CSV between bars".to_owned(),
            other => format!("CSV between {}", delimiter_name(other)),
        },
        Notation::Json => "JSON objects".to_owned(),
        Notation::Raw => "any text".to_owned(),
    }
}

/// Returns the table of columns, and what it has no room for.
fn columns(findings: &Findings, room: usize) -> (String, Shortage) {
    const HEADINGS: [(&str, Align); 5] = [
        ("column", Align::Left),
        ("type", Align::Left),
        ("null", Align::Right),
        ("distinct", Align::Right),
        ("examples", Align::Left),
    ];
    let cells = |column: &ColumnFound| {
        [
            cut(&column.name, NAME),
            column.data_type.to_owned(),
            share(column.nulls, column.nulls + column.values),
            format_count(column.distinct),
        ]
    };
    let rows: Vec<[String; 4]> = findings.columns.iter().map(cells).collect();
    let width_of = |nth: usize| {
        let widths = rows
            .iter()
            .map(|row| console::measure_text_width(&row[nth]));
        widths.chain([HEADINGS[nth].0.len()]).max().unwrap_or(0) + GAP
    };
    let taken: usize = (0..4).map(width_of).sum();
    let columns = HEADINGS.map(|(name, align)| Column::new(name, align));
    let mut table = Table::new(columns.to_vec(), Some(room));
    for (row, column) in rows.into_iter().zip(&findings.columns) {
        let examples = as_many(&column.examples, room.saturating_sub(taken));
        table.row(row.into_iter().chain([examples]));
    }
    table.fitted()
}

/// Returns the examples that have room, the first in any case.
fn as_many(examples: &[String], room: usize) -> String {
    let mut shown = String::new();
    for example in examples {
        let example = printable(example.as_bytes());
        let gap = if shown.is_empty() { "" } else { ", " };
        let next = format!("{shown}{gap}{example}");
        if !shown.is_empty() && console::measure_text_width(&next) > room {
            break;
        }
        shown = next;
    }
    shown
}

/// Returns the lines about times, duplicates, and values that do not fit.
fn lines(findings: &Findings, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |word: &str, text: String| {
        let text = paragraph(&printable(text.as_bytes()), MARGIN, Some(room));
        lines.push(format!("{word:MARGIN$}{text}"));
    };
    for time in findings.times.iter().take(TIMES) {
        say(
            "time",
            format!("{}, {}", cut(&time.column, NAME), time.reading.name()),
        );
        if let Some(other) = &time.other_order {
            say("", format!("or {other}: no value tells day from month"));
        }
        say(
            "",
            format!("{} to {}", format_time(time.from), format_time(time.to)),
        );
        let order = match time.out_of_order {
            0 => "in order".to_owned(),
            count => format!(
                "{} out of order, at most {} behind",
                share(count, time.times),
                format_duration(time.step_back_ms)
            ),
        };
        let others = match time.others {
            0 => String::new(),
            others => format!("; {} not times", format_count(others)),
        };
        say("", format!("{order}{others}"));
    }
    let others = findings
        .times
        .iter()
        .skip(TIMES)
        .map(|time| cut(&time.column, NAME));
    let others: Vec<String> = others.collect();
    if !others.is_empty() {
        say("", format!("perhaps also {}", others.join(", ")));
    }
    if let Some(identity) = findings.identity() {
        let name = cut(&identity.name, NAME);
        let repeated = match findings.repeated_identities() {
            0 => "is different in every record".to_owned(),
            count => format!(
                "repeats an earlier one in {}",
                format_plural(count, "record")
            ),
        };
        say("identity", format!("{name} {repeated}"));
    }
    if findings.repeated > 0 {
        let repeated = format_plural(findings.repeated, "record");
        say("repeated", format!("{repeated} the same as an earlier one"));
    }
    for column in findings.columns.iter().filter(|column| column.odd > 0) {
        let first = column.first_odd.as_deref().unwrap_or_default();
        say(
            "odd",
            format!(
                "{}: {} not {}, first `{}`{}",
                cut(&column.name, NAME),
                format_count(column.odd),
                column.data_type,
                cut(first, 20),
                column.odd_at.as_deref().map_or(String::new(), place)
            ),
        );
    }
    for column in &findings.columns {
        let name = cut(&column.name, NAME);
        let first =
            |among: &Among| format!("first `{}`{}", cut(&among.first, 20), place(&among.at));
        if let Some(texts) = &column.text_among_numbers {
            let (count, all) = (format_count(texts.count), format_count(column.values));
            let first = first(texts);
            say(
                "mixed",
                format!("{name}: {count} of {all} are not numbers, {first}"),
            );
        }
        if let Some(commas) = &column.decimal_commas {
            let count = format_count(commas.count);
            let reading = match column.has_decimal_comma {
                true => "`--decimal-comma` reads them as numbers",
                false => "`--decimal-comma` reads it as a decimal point; without it they are text",
            };
            let first = first(commas);
            say(
                "commas",
                format!("{name}: {count} with a comma, {first}: {reading}"),
            );
        }
    }
    if let Some(found) = &findings.over_lines {
        let records = format_plural(found.records, "record");
        let suspicion = match found.has_records {
            true => "; its lines look like records: is the quote that opens there not closed?",
            false => "",
        };
        let lines = format_plural(found.lines, "line");
        say(
            "lines",
            format!(
                "{records} over several lines, the first of {lines}{}{suspicion}",
                place(&found.at)
            ),
        );
    }
    if let Some(first) = &findings.first_malformed {
        let count = format_count(findings.malformed);
        say("malformed", format!("{count}, first {first}"));
    }
    lines
}

/// Returns where something is, behind it.
fn place(at: &str) -> String {
    format!(" in {}", printable(at.as_bytes()))
}

/// Describes a share.
fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    match part {
        0 => "0 %".to_owned(),
        _ if percent < 0.1 => "<0.1 %".to_owned(),
        _ if percent < 10.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// Returns a text, cut to the width of a line.
fn cut(text: &str, width: usize) -> String {
    let text = printable(text.as_bytes());
    console::truncate_str(&text, width, "…").into_owned()
}

/// Returns a command on as many lines as it needs.
fn wrapped(words: &[String]) -> String {
    let (mut command, mut width) = (String::new(), 0);
    for word in words {
        let wide = console::measure_text_width(word);
        if width > 0 && width + 1 + wide > WIDTH - 2 {
            command.push_str(" \\\n    ");
            width = 4;
        } else if width > 0 {
            command.push(' ');
            width += 1;
        }
        command.push_str(word);
        width += wide;
    }
    command
}
