//! Opens the input that was named, and finds out the format and columns of its records.

use std::path::Path;

use bumpalo::Bump;
use serde::de::IgnoredAny;

use super::why_silent::while_waiting;
use crate::column::known;
use crate::column::{DataType, Field, Schema};
use crate::context::Context;
use crate::error::{Error, Remedy, Result};
use crate::expression::suggestion;
use crate::format::delimited::{self, raw};
use crate::format::dialect::{
    DELIMITERS, Dialect, Spelling, csv_reader, delimiter_name, find_delimiter,
};
use crate::format::envelope::{self, Envelope};
use crate::format::header::parse_header;
use crate::format::{Decoder, Layout, TimeFrom, json, registry, schema};
use crate::kafka::Settings;
use crate::plan::{Plan, Query};
use crate::source::file::{FileSource, Framing};
use crate::source::kafka::{KafkaSource, Range};
use crate::source::reshape::Shape;
use crate::source::series::Piece;
use crate::source::{Records, Source};

/// What the flags say about an input, instead of its first records.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The columns of `--schema`.
    pub declared: Option<Schema>,
    /// `--input`.
    pub notation: Option<Notation>,
    /// `--delimiter`.
    pub delimiter: Option<u8>,
    /// `--null`.
    pub spelling: Spelling,
    /// Whether a single file is read on as it grows.
    pub grows: bool,
}

/// An input that is open, with the columns of its records.
pub struct Input {
    /// Where the records come from; none has been read yet.
    pub source: Box<dyn Source>,
    /// Their columns.
    pub schema: Schema,
    /// How they are written; for envelopes, how the values in them are.
    pub form: Form,
    /// Whether each line is an envelope around a record.
    enveloped: bool,
    /// Whether records carry a timestamp of their own.
    pub record_times: bool,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Notation {
    /// CSV.
    #[value(name = "csv")]
    Delimited,
    /// One JSON object a line or a message.
    Json,
    /// Any text: one column, `value`.
    Raw,
}

/// How records are written, in full.
#[derive(Debug, Clone)]
pub struct Form {
    /// CSV or JSON.
    pub notation: Notation,
    /// Delimiter, null texts and decimal comma.
    pub dialect: Dialect,
}

impl Form {
    /// Plans a query over records of this form: numbers of JSON have points, whatever those of CSV have.
    ///
    /// # Errors
    /// As [`Query::plan`].
    pub fn plan(&self, query: &Query, schema: Schema, record_times: bool) -> Result<Plan> {
        let query = Query {
            decimal_comma: query.decimal_comma && self.notation != Notation::Json,
            ..query.clone()
        };
        query.plan(schema, record_times)
    }

    /// Returns the decoder of a layout.
    pub fn decoder(&self, layout: Layout) -> Decoder {
        let (dialect, of) = (self.dialect.clone(), layout.clone());
        let decoder = match self.notation {
            Notation::Delimited => Decoder::Delimited(delimited::Decoder::new(of, dialect)),
            Notation::Json => Decoder::Json(json::Decoder::new(of, dialect.spelling)),
            Notation::Raw => Decoder::Raw(raw::Decoder::new(of, dialect.spelling)),
        };
        decoder.judged(&layout)
    }
}

impl Given {
    /// Returns the form of CSV or JSON; the delimiter of CSV is a comma by default.
    pub fn form(&self, notation: Notation) -> Form {
        let dialect = Dialect {
            delimiter: self.delimiter.unwrap_or(Dialect::default().delimiter),
            spelling: self.spelling.clone(),
        };
        Form { notation, dialect }
    }
}

impl Input {
    /// Returns the decoder of a layout of its columns.
    pub fn decoder(&self, layout: Layout) -> Decoder {
        let decoder = self.form.decoder(layout);
        if self.enveloped {
            Decoder::Envelopes(envelope::Decoder::new(decoder))
        } else {
            decoder
        }
    }
}

/// What the lines of a file or a pipe are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// CSV with this delimiter and a header.
    Rows(u8),
    /// JSON objects.
    Objects,
    /// Any text.
    Texts,
    /// What `k consume` prints.
    Envelopes,
}

/// Opens files and stdin, to be read one after the other, and waits for the first line, which shows the
/// format.
pub fn open_lines(
    pieces: &[Piece],
    given: &Given,
    context: &Context,
) -> Result<(FileSource, LineKind)> {
    let (first, rest) = pieces
        .split_first()
        .ok_or_else(|| Error::bug("there is no input"))?;
    let path = first.path();
    let mut source = first.open().map_err(|error| or_a_topic(first, error))?;
    if !rest.is_empty() {
        source.read_on(rest.to_vec());
    } else if given.grows {
        source.follow();
    }
    let first = loop {
        let name = source.name();
        let first = while_waiting(&context.report, &name, || source.peek(&context.interrupt))?;
        // One of several files may be empty.
        if first.is_some() || !source.skip_empty()? {
            break first;
        }
    };
    let is_csv = given.notation == Some(Notation::Delimited);
    let name = source.name();
    let is_raw = given.notation == Some(Notation::Raw);
    let first = match first {
        Some(b'{' | b'[') if !is_csv && !is_raw => {
            let shape = source.one_value_a_line(&context.interrupt);
            if shape.map_err(|error| error.during(format!("reading `{name}`")))? == Shape::Values {
                let told = "JSON values that span lines, or are elements of an array, must be one per line";
                context.report.detail(told);
            }
            source.peek(&context.interrupt)?
        }
        first => first,
    };
    // A line that cannot be read may be an exception; as raw text, every line can be read.
    let is_telling = |line: &[u8]| is_raw || is_object(line);
    let is_envelope =
        first == Some(b'{') && Envelope::is(source.peek_line(is_telling, &context.interrupt)?);
    let kind = match first {
        None => {
            return Err(
                Error::data(format!("`{}` is empty", source.name())).hint(match path {
                    Some(_) => "CSV starts with a line that names its columns",
                    None => "nothing came through the pipe: check the command before it",
                }),
            );
        }
        Some(_) if is_envelope => LineKind::Envelopes,
        Some(_) if given.notation == Some(Notation::Json) => LineKind::Objects,
        Some(_) if is_raw => LineKind::Texts,
        Some(b'{') if !is_csv => LineKind::Objects,
        Some(_) => LineKind::Rows(delimiter(&mut source, path, given, context)?),
    };
    source.set_framing(match kind {
        LineKind::Rows(delimiter) => Framing::Delimited(delimiter),
        LineKind::Objects | LineKind::Texts | LineKind::Envelopes => Framing::Lines,
    });
    Ok((source, kind))
}

/// Returns whether a line is a JSON object.
fn is_object(line: &[u8]) -> bool {
    line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// Returns the delimiter of CSV: as given by `--delimiter`, else by the file's name, else by its header.
fn delimiter(
    source: &mut FileSource,
    path: Option<&Path>,
    given: &Given,
    context: &Context,
) -> Result<u8> {
    let (delimiter, by) = if let Some(delimiter) = given.delimiter {
        (delimiter, "`--delimiter`")
    } else {
        let headers = DELIMITERS.map(|(delimiter, _)| {
            let header = source.peek_record(delimiter, &context.interrupt);
            header.map(|header| (delimiter, header))
        });
        let headers = headers.into_iter().collect::<Result<Vec<_>>>()?;
        let header = |delimiter: u8| {
            let mut headers = headers.iter();
            let found = headers.find(|(its, _)| *its == delimiter)?;
            found.1.as_deref()
        };
        let found = find_delimiter(header);
        let is_in_header = |delimiter: u8| {
            let header = header(delimiter);
            header.is_some_and(|header| header.contains(&delimiter))
        };
        // A .tsv file whose header has no tab, but another delimiter, is read by that one.
        if path.is_some_and(is_tab_separated) && (is_in_header(b'\t') || !is_in_header(found)) {
            (b'\t', "the file's name")
        } else {
            (found, "the header")
        }
    };
    context.report.detail(format!(
        "delimiter of `{}`: {}, by {by}",
        source.name(),
        delimiter_name(delimiter)
    ));
    Ok(delimiter)
}

fn ends_with(path: &Path, ending: &str) -> bool {
    let own = path.extension();
    own.is_some_and(|own| own.eq_ignore_ascii_case(ending))
}

/// Returns the name of a file without the ending of its compression.
pub fn unpacked_name(path: &Path) -> &Path {
    let is_packed = ["gz", "zst"].iter().any(|ending| ends_with(path, ending));
    let bare = path.file_stem().map(Path::new).filter(|_| is_packed);
    bare.unwrap_or(path)
}

/// Returns whether a file's name says that its delimiter is a tab.
fn is_tab_separated(path: &Path) -> bool {
    ends_with(unpacked_name(path), "tsv")
}

/// Adds to the error about a missing file that a topic may have been meant.
fn or_a_topic(piece: &Piece, error: Error) -> Error {
    let name = piece.path().and_then(Path::to_str);
    match name.filter(|name| !name.contains('/') && !Path::new(name).exists()) {
        Some(name) => error.hint(format!("a topic of that name is `topic:{name}`")),
        None => error,
    }
}

/// Adds to the error about a missing topic what else its name may have meant.
pub fn or_a_file(topic: &str, error: Error) -> Error {
    if !matches!(error.remedy(), Remedy::ChangeWorld | Remedy::Retry) {
        return error;
    }
    let path = Path::new(topic);
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => error.hint(format!(
            "`{topic}` is also a folder: `'{topic}/*.csv'` reads the files in it"
        )),
        Ok(_) => error.hint(format!("there is a file of that name: `file:{topic}`")),
        Err(_) => error.hint(format!("there is no file `{topic}` either")),
    }
}

/// Opens files and stdin as one input.
pub fn open_files(pieces: &[Piece], given: Given, context: &Context) -> Result<Input> {
    let (source, kind) = open_lines(pieces, &given, context)?;
    columns(source, kind, given, context)
}

/// Finds out the columns of lines; envelopes have theirs in their values.
pub fn columns(
    mut source: FileSource,
    kind: LineKind,
    given: Given,
    context: &Context,
) -> Result<Input> {
    let (interrupt, name) = (&context.interrupt, source.name());
    let (form, schema) = match kind {
        LineKind::Rows(delimiter) => {
            let (line, header) = source.take_header(interrupt)?;
            source.check_rest(Some(&header), interrupt)?;
            let names = parse_header(&header, delimiter)
                .map_err(|error| error.during(format!("reading `{name}`, line {line}")))?;
            let mut form = given.form(Notation::Delimited);
            form.dialect.delimiter = delimiter;
            (form, delimited_schema(&names, given.declared)?)
        }
        LineKind::Objects => {
            source.check_rest(None, interrupt)?;
            let found = match source.sample(interrupt)? {
                Some(records) => schema::of_objects(&records),
                None => Schema::default(),
            };
            let form = given.form(Notation::Json);
            let declared = given.declared.unwrap_or_default();
            (form, schema::declare(found, &declared))
        }
        LineKind::Texts => {
            source.check_rest(None, interrupt)?;
            let form = given.form(Notation::Raw);
            (form, text_schema(given.declared)?)
        }
        LineKind::Envelopes => {
            source.check_rest(None, interrupt)?;
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
        form,
        enveloped,
        record_times: enveloped,
    })
}

/// Opens a topic and waits for its first record, which shows the format of its values.
///
/// Returns `None` for a topic that ends before any record.
pub fn open_topic(
    topic: &str,
    range: &Range,
    given: Given,
    settings: &Settings,
    context: &Context,
) -> Result<Option<Input>> {
    let mut source =
        KafkaSource::open(settings, topic, range).map_err(|error| or_a_file(topic, error))?;
    let name = source.name();
    let sampled = while_waiting(&context.report, &name, || source.sample(&context.interrupt));
    let Some(records) = sampled? else {
        return Ok(None);
    };
    let (form, schema) = topic_columns(topic, &records, given, context)?;
    Ok(Some(Input {
        source: Box::new(source),
        schema,
        form,
        enveloped: false,
        record_times: true,
    }))
}

/// Finds out the format and columns of a topic's values from its first records.
pub fn topic_columns(
    topic: &str,
    records: &Records<'_>,
    given: Given,
    context: &Context,
) -> Result<(Form, Schema)> {
    let found = message_schema(records, given)
        .map_err(|error| error.during(format!("reading topic `{topic}`")))?;
    tell_schema(&found.1, context);
    Ok(found)
}

/// JSON objects name their members. CSV values have no header: their columns are declared or known. The
/// format is JSON if one of the first values is an object, unless `--input` says otherwise.
fn message_schema(records: &Records<'_>, given: Given) -> Result<(Form, Schema)> {
    let (form, mut schema) = value_schema(records, given)?;
    schema.has_parts = true;
    Ok((form, schema))
}

fn value_schema(records: &Records<'_>, given: Given) -> Result<(Form, Schema)> {
    let Records::Messages(messages) = records else {
        return Err(Error::bug("a topic holds messages"));
    };
    if given.notation == Some(Notation::Raw) {
        return Ok((given.form(Notation::Raw), text_schema(given.declared)?));
    }
    let values = || messages.iter().filter_map(|message| message.value);
    let is_json = |value: &[u8]| value.trim_ascii_start().starts_with(b"{");
    let delimited = given.form(Notation::Delimited);
    let fields = |value: &[u8]| {
        let mut reader = csv_reader(value, delimited.dialect.delimiter);
        let first = reader.byte_records().flatten().next();
        first.map_or(0, |record| record.len())
    };
    let first = values().find(|value| !value.trim_ascii().is_empty());
    let known = first.and_then(|value| known::known_header(fields(value)));
    let is_json = match given.notation {
        Some(notation) => notation == Notation::Json,
        None => values().any(is_json),
    };
    let framed = first.and_then(registry::schema_id);
    if let (Some(id), None, false) = (framed, &given.declared, is_json) {
        let told = registry::describe(id);
        return Err(Error::data(format!("the first value is {told}")).hint(registry::CURE));
    }
    let json = given.form(Notation::Json);
    match (known, given.declared) {
        (_, declared) if is_json => {
            let declared = declared.unwrap_or_default();
            let schema = schema::declare(schema::of_objects(records), &declared);
            Ok((json, schema))
        }
        (_, Some(declared)) => Ok((delimited, declared)),
        (Some(names), None) => Ok((delimited, known::of_names(&names))),
        (None, None) => match first {
            Some(value) => Err(Error::usage(format!(
                "the values are CSV with {} fields, and nothing names their columns",
                fields(value)
            ))
            .hint("name and type them with `--schema 'caller string, n bigint'`")
            .hint("if JSON objects follow, add `--input json`")),
            None => Err(Error::data("the first records have no values")
                .hint("name their format: `--input json`, or for CSV `--schema 'caller string, n bigint'`")),
        },
    }
}

/// Returns the one column of raw text, with its type if one was declared.
fn text_schema(declared: Option<Schema>) -> Result<Schema> {
    delimited_schema(&[raw::COLUMN.to_owned()], declared)
}

/// Gives columns their declared types; the workshop's own columns have known ones, and the types of
/// others are inferred from use.
fn delimited_schema(names: &[String], declared: Option<Schema>) -> Result<Schema> {
    if let Some(declared) = &declared
        && let Some(unknown) = declared
            .fields
            .iter()
            .find(|field| !names.contains(&field.name))
    {
        return Err(Error::usage(format!(
            "`--schema` declares column `{}`, which the header does not have",
            unknown.name
        ))
        .hint(format!("the columns are {}", names.join(", "))));
    }
    Ok(schema::declare(
        known::of_names(names),
        &declared.unwrap_or_default(),
    ))
}

/// Reports where event times come from, with `-v`. Reports it without `-v` too if they are the
/// records' own timestamps by default although there are columns: the same records in a file would
/// be refused. `of` names the records.
pub fn tell_time(asked: bool, time: &TimeFrom, schema: &Schema, of: &str, context: &Context) {
    let is_record = matches!(time, TimeFrom::Record);
    if context.report.is_verbose() {
        let told = time.describe(schema);
        context.report.detail(format!("time of {of}: {told}"));
    }
    if asked || !is_record || schema.fields.is_empty() {
        return;
    }
    let columns = schema.fields.iter();
    let columns = columns.filter(|field| may_hold_times(field));
    let columns: Vec<String> = columns.map(|field| format!("`{}`", field.name)).collect();
    let column = match columns.as_slice() {
        [] => format!("one of {}", schema.names()),
        [column] => column.clone(),
        columns => columns.join(" or "),
    };
    context.report.status(format!(
        "event times are {of}' own timestamps; to use {column}, write `--time COLUMN`; to confirm them, `--time @record`"
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

/// Warns about columns from `known` on, which no record has had so far: a name may be mistyped, or its
/// first record is still to come.
pub fn warn_of_unseen(schema: &Schema, known: usize, context: &Context) {
    for (index, field) in schema.fields.iter().enumerate().skip(known) {
        if schema.is_seen(index) {
            continue;
        }
        let name = &field.name;
        let meant = match suggestion(schema, name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are {}", schema.names_before(known)),
        };
        context.report.warning(format!(
            "none of the first records has `{name}`: missing values are null; {meant}"
        ));
    }
}

/// Reports with `-v` the types of columns, in the syntax of `--schema`.
fn tell_schema(schema: &Schema, context: &Context) {
    if context.report.is_verbose() {
        context
            .report
            .detail(format!("schema: {}", schema::declaration(schema)));
        if schema.change.is_some() {
            context.report.detail(
                "change: `-` takes an earlier record back (turn this off with `--change none`)",
            );
        }
    }
}
