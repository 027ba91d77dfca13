//! Opens what a person named as input, and finds out what its records look like.

use std::path::Path;

use crate::cli::Context;
use crate::column::Schema;
use crate::error::{Error, Result};
use crate::format::delimited::{self, parse_header};
use crate::format::{Decoder, Layout, json, schema};
use crate::kafka::Settings;
use crate::source::file::{FileSource, Framing};
use crate::source::kafka::{KafkaSource, Range};
use crate::source::{Lines, Records, Source};

/// The delimiter of CSV.
const COMMA: u8 = b',';

/// An input that is open, with the columns of its records.
pub(crate) struct Input {
    /// Where the records come from; none is consumed yet.
    pub source: Box<dyn Source>,
    /// Their columns.
    pub schema: Schema,
    /// How they are written.
    pub notation: Notation,
    /// Whether records carry a timestamp of their own.
    pub record_times: bool,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// CSV.
    Delimited,
    /// One JSON object a line or a message.
    Json,
}

impl Notation {
    /// Returns the decoder of a layout.
    pub fn decoder(self, layout: Layout) -> Decoder {
        match self {
            Notation::Delimited => Decoder::Delimited(delimited::Decoder::new(layout, COMMA)),
            Notation::Json => Decoder::Json(json::Decoder::new(layout)),
        }
    }
}

/// Opens a file, or stdin where `path` is `None`. `declared` are the columns of `--schema`.
pub(crate) fn open_file(
    path: Option<&Path>,
    declared: Option<Schema>,
    context: &Context,
) -> Result<Input> {
    let mut source = match path {
        Some(path) => FileSource::open(path)?,
        None => FileSource::stdin()?,
    };
    let interrupt = &context.interrupt;
    let (notation, schema) = match source.peek(interrupt)? {
        None => {
            return Err(Error::data(format!("`{}` is empty", source.name()))
                .hint("a CSV begins with a line that names its columns"));
        }
        Some(b'{') => {
            source.set_framing(Framing::Lines);
            let inferred = match source.sample(interrupt)? {
                Some(records) => schema::infer_json(&records),
                None => Schema::default(),
            };
            let declared = declared.unwrap_or_default();
            (Notation::Json, schema::declare(inferred, &declared))
        }
        Some(_) => {
            source.set_framing(Framing::Delimited(COMMA));
            let (line, header) = source.take_header(interrupt)?;
            let name = source.name();
            let names = parse_header(&header, COMMA)
                .map_err(|error| error.during(format!("reading `{name}`, line {line}")))?;
            let schema = delimited_schema(&mut source, names, declared, context)?;
            (Notation::Delimited, schema)
        }
    };
    tell_schema(&schema, context);
    Ok(Input {
        source: Box::new(source),
        schema,
        notation,
        record_times: false,
    })
}

/// Opens a topic; waits for its first record, which says how values are written.
///
/// Returns `None` for a topic that ends before any record.
pub(crate) fn open_topic(
    topic: &str,
    range: &Range,
    declared: Option<Schema>,
    settings: &Settings,
    context: &Context,
) -> Result<Option<Input>> {
    let mut source = KafkaSource::open(settings, topic, range)?;
    let Some(records) = source.sample(&context.interrupt)? else {
        return Ok(None);
    };
    let (notation, schema) = message_schema(&records, declared)
        .map_err(|error| error.during(format!("reading topic `{topic}`")))?;
    tell_schema(&schema, context);
    Ok(Some(Input {
        source: Box::new(source),
        schema,
        notation,
        record_times: true,
    }))
}

/// JSON objects name their members; CSV values have no header, so it is declared or known.
fn message_schema(records: &Records<'_>, declared: Option<Schema>) -> Result<(Notation, Schema)> {
    let Records::Messages(messages) = records else {
        return Err(Error::bug("a topic holds messages"));
    };
    let values = || messages.iter().filter_map(|message| message.value);
    let is_json = |value: &[u8]| value.trim_ascii_start().starts_with(b"{");
    match (values().next(), declared) {
        (Some(value), declared) if is_json(value) => {
            let declared = declared.unwrap_or_default();
            let schema = schema::declare(schema::infer_json(records), &declared);
            Ok((Notation::Json, schema))
        }
        (_, Some(declared)) => Ok((Notation::Delimited, declared)),
        (Some(value), None) => {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(value);
            let fields = reader
                .byte_records()
                .flatten()
                .next()
                .map_or(0, |record| record.len());
            let names = schema::known_header(fields).ok_or_else(|| {
                Error::usage(format!(
                    "the values are CSV of {fields} fields, and no header names them"
                ))
                .hint("name and type them with `--schema 'caller string, n bigint'`")
            })?;
            Ok((
                Notation::Delimited,
                schema::infer_delimited(&names, COMMA, records),
            ))
        }
        (None, None) => Err(Error::data("the first records have no values")
            .hint("declare the columns with `--schema 'caller string, n bigint'`")),
    }
}

/// Takes the declared types by name, known ones for the workshop's columns, and infers the rest.
fn delimited_schema(
    source: &mut FileSource,
    names: Vec<String>,
    declared: Option<Schema>,
    context: &Context,
) -> Result<Schema> {
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
    let declared_type = |name: &str| {
        let declared = declared.as_ref()?;
        declared
            .index_of(name)
            .map(|index| declared.fields[index].data_type)
    };
    let all_known = names.iter().all(|name| {
        let known = declared_type(name).or_else(|| schema::known_type(name));
        known.is_some() && name != schema::CHANGE
    });
    // A slow pipe need not be waited for where nothing has to be inferred.
    let nothing = Records::Lines(Lines {
        bytes: b"",
        first_line: 1,
    });
    let inferred = match all_known {
        true => schema::infer_delimited(&names, COMMA, &nothing),
        false => {
            let sample = source.sample(&context.interrupt)?;
            schema::infer_delimited(&names, COMMA, sample.as_ref().unwrap_or(&nothing))
        }
    };
    Ok(schema::declare(inferred, &declared.unwrap_or_default()))
}

/// Says with `-v` which types were taken, in the words of `--schema`.
fn tell_schema(schema: &Schema, context: &Context) {
    if context.report.is_verbose() {
        let fields = schema.fields.iter();
        let fields: Vec<String> = fields
            .map(|field| format!("{} {}", field.name, field.data_type))
            .collect();
        context
            .report
            .detail(format!("schema: {}", fields.join(", ")));
        if schema.change.is_some() {
            context
                .report
                .detail("change: `-` takes an earlier record back (`--change none`: it does not)");
        }
    }
}
