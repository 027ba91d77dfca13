//! Opens what a person named as input, and finds out the shape of its records.

use std::path::Path;

use bumpalo::Bump;

use crate::cli::Context;
use crate::column::{DataType, Field, Schema};
use crate::error::{Error, Result};
use crate::expression::suggestion;
use crate::format::delimited::{self, parse_header, raw};
use crate::format::envelope::{self, Envelope};
use crate::format::{Decoder, Layout, TimeFrom, json, registry, schema};
use crate::kafka::Settings;
use crate::node::why_silent::while_waiting;
use crate::source::file::{FileSource, Framing};
use crate::source::kafka::{KafkaSource, Range};
use crate::source::reshape::Shape;
use crate::source::{Records, Source};

/// The delimiter of CSV.
const COMMA: u8 = b',';

/// What a person says of an input that it need not say itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// The columns of `--schema`.
    pub declared: Option<Schema>,
    /// `--input`.
    pub notation: Option<Notation>,
}

/// An input that is open, with the columns of its records.
pub(crate) struct Input {
    /// Where the records come from; none is consumed yet.
    pub source: Box<dyn Source>,
    /// Their columns.
    pub schema: Schema,
    /// How they are written, or, in envelopes, their values.
    pub notation: Notation,
    /// Whether each is a line that holds it in an envelope.
    enveloped: bool,
    /// Whether records carry a timestamp of their own.
    pub record_times: bool,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Notation {
    /// CSV.
    #[value(name = "csv")]
    Delimited,
    /// One JSON object a line or a message.
    Json,
    /// Any text: one column, `value`.
    Raw,
}

impl Notation {
    /// Returns the decoder of a layout.
    pub fn decoder(self, layout: Layout) -> Decoder {
        match self {
            Notation::Delimited => Decoder::Delimited(delimited::Decoder::new(layout, COMMA)),
            Notation::Json => Decoder::Json(json::Decoder::new(layout)),
            Notation::Raw => Decoder::Raw(raw::Decoder::new(layout)),
        }
    }
}

impl Input {
    /// Returns the decoder of a layout of its columns.
    pub fn decoder(&self, layout: Layout) -> Decoder {
        let decoder = self.notation.decoder(layout);
        match self.enveloped {
            true => Decoder::Envelopes(envelope::Decoder::new(decoder)),
            false => decoder,
        }
    }
}

/// What the lines of a file or a pipe are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// CSV, the first of them a header.
    Rows,
    /// JSON objects.
    Objects,
    /// Any text.
    Texts,
    /// What `k consume` prints.
    Envelopes,
}

/// Opens a file, or stdin where `path` is `None`, and waits for its first line, which says what
/// the lines are.
pub(crate) fn open_lines(
    path: Option<&Path>,
    notation: Option<Notation>,
    context: &Context,
) -> Result<(FileSource, LineKind)> {
    let mut source = match path {
        Some(path) => FileSource::open(path)?,
        None => FileSource::stdin()?,
    };
    let name = source.name();
    let first = while_waiting(&context.report, &name, || source.peek(&context.interrupt))?;
    let is_csv = notation == Some(Notation::Delimited);
    let is_raw = notation == Some(Notation::Raw);
    let first = match first {
        Some(b'{' | b'[') if !is_csv && !is_raw => {
            let shape = source.one_value_a_line(&context.interrupt);
            if shape.map_err(|error| error.during(format!("reading `{name}`")))? == Shape::Values {
                let told =
                    "values of JSON that span lines or are elements of an array are a line each";
                context.report.detail(told);
            }
            source.peek(&context.interrupt)?
        }
        first => first,
    };
    let is_envelope = first == Some(b'{') && Envelope::is(source.peek_line(&context.interrupt)?);
    let kind = match first {
        None => {
            return Err(
                Error::data(format!("`{}` is empty", source.name())).hint(match path {
                    Some(_) => "a CSV begins with a line that names its columns",
                    None => "nothing came through the pipe: what does the command before it say?",
                }),
            );
        }
        Some(_) if is_envelope => LineKind::Envelopes,
        Some(_) if notation == Some(Notation::Json) => LineKind::Objects,
        Some(_) if is_raw => LineKind::Texts,
        Some(b'{') if !is_csv => LineKind::Objects,
        Some(_) => LineKind::Rows,
    };
    source.set_framing(match kind {
        LineKind::Rows => Framing::Delimited(COMMA),
        LineKind::Objects | LineKind::Texts | LineKind::Envelopes => Framing::Lines,
    });
    Ok((source, kind))
}

/// Opens a file, or stdin where `path` is `None`.
pub(crate) fn open_file(path: Option<&Path>, given: Given, context: &Context) -> Result<Input> {
    let (source, kind) = open_lines(path, given.notation, context)?;
    columns(source, kind, given, context)
}

/// Finds out the columns of lines; those of envelopes are in their values.
pub(crate) fn columns(
    mut source: FileSource,
    kind: LineKind,
    given: Given,
    context: &Context,
) -> Result<Input> {
    let (interrupt, name) = (&context.interrupt, source.name());
    let (notation, schema) = match kind {
        LineKind::Rows => {
            let (line, header) = source.take_header(interrupt)?;
            let names = parse_header(&header, COMMA)
                .map_err(|error| error.during(format!("reading `{name}`, line {line}")))?;
            let schema = delimited_schema(&names, given.declared)?;
            (Notation::Delimited, schema)
        }
        LineKind::Objects => {
            let found = match source.sample(interrupt)? {
                Some(records) => schema::of_objects(&records),
                None => Schema::default(),
            };
            let declared = given.declared.unwrap_or_default();
            (Notation::Json, schema::declare(found, &declared))
        }
        LineKind::Texts => (Notation::Raw, text_schema(given.declared)?),
        LineKind::Envelopes => {
            let arena = Bump::new();
            let records = match source.sample(interrupt)? {
                Some(Records::Lines(lines)) => envelope::records(lines, &arena),
                _ => Records::Messages(Vec::new()),
            };
            message_schema(&records, given)
                .map_err(|error| error.during(format!("reading the envelopes of `{name}`")))?
        }
    };
    tell_schema(&schema, context);
    let enveloped = kind == LineKind::Envelopes;
    Ok(Input {
        source: Box::new(source),
        schema,
        notation,
        enveloped,
        record_times: enveloped,
    })
}

/// Opens a topic; waits for its first record, which says how values are written.
///
/// Returns `None` for a topic that ends before any record.
pub(crate) fn open_topic(
    topic: &str,
    range: &Range,
    given: Given,
    settings: &Settings,
    context: &Context,
) -> Result<Option<Input>> {
    let mut source = KafkaSource::open(settings, topic, range)?;
    let name = source.name();
    let sampled = while_waiting(&context.report, &name, || source.sample(&context.interrupt));
    let Some(records) = sampled? else {
        return Ok(None);
    };
    let (notation, schema) = topic_columns(topic, &records, given, context)?;
    Ok(Some(Input {
        source: Box::new(source),
        schema,
        notation,
        enveloped: false,
        record_times: true,
    }))
}

/// Finds out how a topic's values are written, and their columns, from its first records.
pub(crate) fn topic_columns(
    topic: &str,
    records: &Records<'_>,
    given: Given,
    context: &Context,
) -> Result<(Notation, Schema)> {
    let found = message_schema(records, given)
        .map_err(|error| error.during(format!("reading topic `{topic}`")))?;
    tell_schema(&found.1, context);
    Ok(found)
}

/// JSON objects name their members; CSV values have no header, so it is declared or known. Where
/// nobody says which they are, one object among the first values does.
fn message_schema(records: &Records<'_>, given: Given) -> Result<(Notation, Schema)> {
    let (notation, mut schema) = value_schema(records, given)?;
    schema.has_parts = true;
    Ok((notation, schema))
}

fn value_schema(records: &Records<'_>, given: Given) -> Result<(Notation, Schema)> {
    let Records::Messages(messages) = records else {
        return Err(Error::bug("a topic holds messages"));
    };
    if given.notation == Some(Notation::Raw) {
        return Ok((Notation::Raw, text_schema(given.declared)?));
    }
    let values = || messages.iter().filter_map(|message| message.value);
    let is_json = |value: &[u8]| value.trim_ascii_start().starts_with(b"{");
    let fields = |value: &[u8]| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(value);
        let first = reader.byte_records().flatten().next();
        first.map_or(0, |record| record.len())
    };
    let first = values().find(|value| !value.trim_ascii().is_empty());
    let known = first.and_then(|value| schema::known_header(fields(value)));
    let is_json = match given.notation {
        Some(notation) => notation == Notation::Json,
        None => values().any(is_json),
    };
    let framed = first.and_then(registry::schema_id);
    if let (Some(id), None, false) = (framed, &given.declared, is_json) {
        let told = registry::told(id);
        return Err(Error::data(format!("the first value is {told}")).hint(registry::CURE));
    }
    match (known, given.declared) {
        (_, declared) if is_json => {
            let declared = declared.unwrap_or_default();
            let schema = schema::declare(schema::of_objects(records), &declared);
            Ok((Notation::Json, schema))
        }
        (_, Some(declared)) => Ok((Notation::Delimited, declared)),
        (Some(names), None) => Ok((Notation::Delimited, schema::of_names(&names))),
        (None, None) => match first {
            Some(value) => Err(Error::usage(format!(
                "the values are CSV of {} fields, and no header names them",
                fields(value)
            ))
            .hint("name and type them with `--schema 'caller string, n bigint'`")
            .hint("objects may follow: `--input json` says so")),
            None => Err(Error::data("the first records have no values")
                .hint("say what they are: `--input json`, or for CSV `--schema 'caller string, n bigint'`")),
        },
    }
}

/// Returns the one column of any text, with its type if that was declared.
fn text_schema(declared: Option<Schema>) -> Result<Schema> {
    delimited_schema(&[raw::COLUMN.to_owned()], declared)
}

/// Takes the declared types by name, known ones for the workshop's columns, and leaves the others
/// to their use.
fn delimited_schema(names: &[String], declared: Option<Schema>) -> Result<Schema> {
    if let Some(declared) = &declared
        && let Some(unknown) = declared
            .fields
            .iter()
            .find(|field| !names.contains(&field.name))
    {
        return Err(Error::usage(format!(
            "`--schema` declares column `{}`, which the header has not",
            unknown.name
        ))
        .hint(format!("there are {}", names.join(", "))));
    }
    Ok(schema::declare(
        schema::of_names(names),
        &declared.unwrap_or_default(),
    ))
}

/// Says where event times come from when they are those of the records and nobody asked for that,
/// though there are columns: the same records in a file would be refused. `of` names the records.
pub(crate) fn tell_time(asked: bool, time: TimeFrom, schema: &Schema, of: &str, context: &Context) {
    let columns = schema.fields.iter();
    let columns = columns.filter(|field| may_hold_times(field));
    let columns: Vec<String> = columns.map(|field| format!("`{}`", field.name)).collect();
    if asked || time != TimeFrom::Record || schema.fields.is_empty() {
        return;
    }
    let column = match columns.as_slice() {
        [] => format!("one of {}", schema.names()),
        [column] => column.clone(),
        columns => columns.join(" or "),
    };
    context.report.status(format!(
        "event times are {of}' own timestamps; `--time COLUMN` takes {column}, `--time @record` says that they are meant"
    ));
}

/// Returns whether a column may hold times, by its name and type.
fn may_hold_times(field: &Field) -> bool {
    const WORDS: [&str; 8] = [
        "time",
        "timestamp",
        "date",
        "at",
        "ts",
        "when",
        "start",
        "end",
    ];
    let words = field.name.split(|c: char| !c.is_alphanumeric());
    let named = words
        .map(str::to_lowercase)
        .any(|word| WORDS.contains(&word.as_str()));
    let typed = matches!(
        field.data_type,
        DataType::Bigint | DataType::Text | DataType::Timestamp | DataType::Any
    );
    named && typed
}

/// Warns of columns from `known` on, which no record had so far: a name may be mistyped, or its first
/// record yet to come.
pub(crate) fn warn_of_unseen(schema: &Schema, known: usize, context: &Context) {
    for (index, field) in schema.fields.iter().enumerate().skip(known) {
        if schema.is_seen(index) {
            continue;
        }
        let name = &field.name;
        let meant = match suggestion(schema, name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", schema.names()),
        };
        context.report.warning(format!(
            "none of the first records has `{name}`: it is null where it is missing; {meant}"
        ));
    }
}

/// Says with `-v` which types were taken, in the words of `--schema`.
fn tell_schema(schema: &Schema, context: &Context) {
    if context.report.is_verbose() {
        context
            .report
            .detail(format!("schema: {}", schema::declaration(schema)));
        if schema.change.is_some() {
            context
                .report
                .detail("change: `-` takes an earlier record back (`--change none`: it does not)");
        }
    }
}
