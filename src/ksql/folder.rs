//! Topics that are files of a folder: `k ksql --data DIR`.
//!
//! Topic `t` is `DIR/t.json`, a line a record: an envelope as `k consume` prints it, or a value
//! alone. Else it is `DIR/t.csv`, as `k produce` would put it there: the header names the columns,
//! the key is the column caller, else call_id, and the time is start_timestamp. What queries write
//! are envelopes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{self, Bytes};
use super::catalog::Source;
use super::document::Document;
use super::format::Kind;
use super::records::Record;
use super::run::Headers;
use super::value::{Value, base64, from_base64};
use crate::cdr::RECIPE_FILE;
use crate::error::{Error, Result};
use crate::source::file::FileSource;

/// The columns that are the key of a file's rows, the preferred one first.
const KEYS: [&str; 2] = ["caller", "call_id"];
/// The column that is the time of a file's rows.
pub(super) const TIME: &str = "start_timestamp";

/// A folder whose files are topics.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// `refused` if it is none.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::refused(format!("`{}` is not a folder", path.display()))
                .hint("--data takes the folder whose files are the topics: data/mono_signal.csv is mono_signal"));
        }
        Ok(Folder {
            path: path.to_owned(),
        })
    }

    /// Returns the file of a name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the topics there are: every file of records, and not the recipe of `k gen`.
    ///
    /// # Errors
    /// Of reading the folder.
    pub fn topics(&self) -> Result<Vec<String>> {
        let failed = |source| Error::io(format!("read `{}`", self.path.display()), source);
        let mut topics = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_recipe = path.file_name().is_some_and(|name| name == RECIPE_FILE);
            let is_topic = !is_recipe
                && path
                    .extension()
                    .is_some_and(|ending| ending == "csv" || ending == "json");
            if let Some(name) = path
                .file_stem()
                .and_then(|name| name.to_str())
                .filter(|_| is_topic)
            {
                topics.push(name.to_owned());
            }
        }
        topics.sort();
        topics.dedup();
        Ok(topics)
    }

    /// Returns a topic's records as a source reads them; none where there is no file yet.
    ///
    /// # Errors
    /// `data` with file and line.
    pub fn read(&self, source: &Source) -> Result<Vec<Record>> {
        match self.file_of(&source.topic) {
            Some(file) if is_table(&file) => read_table(&file, source),
            Some(file) => read_lines(&file, source),
            None => Ok(Vec::new()),
        }
    }

    /// Returns the file of a topic, if there is one.
    pub fn file_of(&self, topic: &str) -> Option<PathBuf> {
        let files = [".json", ".csv"].map(|ending| self.file(&format!("{topic}{ending}")));
        files.into_iter().find(|file| file.exists())
    }

    /// Returns what a topic holds, to be read piece by piece where it has lines.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub fn content(&self, source: &Source) -> Result<Content> {
        match self.file_of(&source.topic) {
            Some(file) if !is_table(&file) => {
                Ok(Content::Lines(Box::new(FileSource::open(&file)?)))
            }
            _ => Ok(Content::Records(self.read(source)?)),
        }
    }

    /// Returns what a sink's lines are written to; they take the place of those that are there once
    /// all are written.
    ///
    /// # Errors
    /// Of making the file.
    pub fn begin(&self, sink: &Source) -> Result<Replaced> {
        let path = self.file(&format!("{}.json", sink.topic));
        let failed = |source| Error::io(format!("write `{}`", path.display()), source);
        let file = tempfile::Builder::new()
            .prefix(".k-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&self.path)
            .map_err(failed)?;
        Ok(Replaced { file, path })
    }

    /// Writes a sink's records, in the place of those that are there.
    ///
    /// # Errors
    /// Of writing the file.
    pub fn write(&self, sink: &Source, records: &[Record]) -> Result<()> {
        let path = self.file(&format!("{}.json", sink.topic));
        let lines: String = records
            .iter()
            .map(|record| envelope(record, sink) + "\n")
            .collect();
        std::fs::write(&path, lines)
            .map_err(|source| Error::io(format!("write `{}`", path.display()), source))
    }
}

/// What a topic holds.
pub enum Content {
    /// Lines, none of which is read yet.
    Lines(Box<FileSource>),
    /// Records.
    Records(Vec<Record>),
}

/// A file that will take the place of another.
pub struct Replaced {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Replaced {
    /// Adds some lines.
    ///
    /// # Errors
    /// Of writing the file.
    pub fn write(&mut self, lines: &[u8]) -> Result<()> {
        let written = self.file.write_all(lines);
        written.map_err(|source| Error::io(format!("write `{}`", self.path.display()), source))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// Of renaming it.
    pub fn finish(self) -> Result<()> {
        let path = self.path;
        let kept = self.file.persist(&path);
        kept.map_err(|error| Error::io(format!("write `{}`", path.display()), error.error))?;
        Ok(())
    }
}

fn is_table(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "csv")
}

fn text_of(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|source| Error::io(format!("read `{}`", path.display()), source))
}

fn read_lines(path: &Path, source: &Source) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (nth, line) in text_of(path)?
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let offset = records.len() as i64;
        let record = Document::parse(line).and_then(|document| of_line(document, source, offset));
        let place = || format!("{}, line {}", path.display(), nth + 1);
        records.push(record.map_err(|reason| Error::data(format!("{}: {reason}", place())))?);
    }
    Ok(records)
}

/// Reads a line: an envelope, or a value alone.
///
/// # Errors
/// What is wrong with it.
pub(super) fn record_of_line(line: &[u8], source: &Source, offset: i64) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    Document::parse(text).and_then(|document| of_line(document, source, offset))
}

fn of_line(document: Document, source: &Source, offset: i64) -> Result<Record, String> {
    let is_envelope = ["topic", "partition", "offset"]
        .iter()
        .all(|name| document.get(name).is_some());
    if !is_envelope {
        return Ok(Record {
            topic: source.topic.clone(),
            key: Document::Null,
            time: document
                .get(TIME)
                .and_then(Document::as_i64)
                .unwrap_or_default(),
            value: document,
            window: None,
            headers: Headers::default(),
            partition: 0,
            offset,
        });
    }
    let part = |name: &str| -> Result<Option<Vec<u8>>, String> {
        if let Some(text) = document.get(name).and_then(Document::as_text) {
            return Ok(Some(text.as_bytes().to_vec()));
        }
        match document
            .get(&format!("{name}_base64"))
            .and_then(Document::as_text)
            .map(from_base64)
        {
            None => Ok(None),
            Some(Some(Value::Bytes(bytes))) => Ok(Some(bytes.to_vec())),
            Some(_) => Err(format!("{name}_base64 is not base64")),
        }
    };
    let record = bytes::record(
        source,
        part("key")?.as_deref(),
        part("value")?.as_deref(),
        headers_of(&document),
    )?;
    let number = |name: &str| document.get(name).and_then(Document::as_i64);
    Ok(Record {
        time: number("timestamp").unwrap_or_default(),
        offset,
        ..record
    })
}

/// Reads `[[name, text], [name, null, base64], …]`.
fn headers_of(document: &Document) -> Headers {
    let Some(Document::Array(headers)) = document.get("headers") else {
        return Headers::default();
    };
    let header = |header: &Document| {
        let Document::Array(parts) = header else {
            return None;
        };
        let name = parts.first()?.as_text()?.to_owned();
        let value = match (parts.get(1), parts.get(2)) {
            (Some(Document::Text(text)), _) => Some(text.as_bytes().to_vec()),
            (_, Some(Document::Text(text))) => match from_base64(text) {
                Some(Value::Bytes(bytes)) => Some(bytes.to_vec()),
                _ => None,
            },
            _ => None,
        };
        Some((name, value))
    };
    Arc::new(headers.iter().filter_map(header).collect())
}

fn read_table(path: &Path, source: &Source) -> Result<Vec<Record>> {
    let wrong = |error: csv::Error| Error::data(format!("{}: {error}", path.display()));
    let text = text_of(path)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let names: Vec<String> = reader
        .headers()
        .map_err(wrong)?
        .iter()
        .map(str::to_owned)
        .collect();
    let column = |name: &str| names.iter().position(|known| known == name);
    let key_at = KEYS.iter().find_map(|name| column(name));
    let time_at = column(TIME);
    let is_line = source.value_format.kind == Kind::Delimited;
    let mut records = Vec::new();
    for row in reader.into_records() {
        let row = row.map_err(wrong)?;
        let field = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or_default();
        let value = match is_line {
            true => Document::Text(line_of(&row).map_err(wrong)?),
            false => Document::Object(names.iter().cloned().zip(row.iter().map(plain)).collect()),
        };
        records.push(Record {
            topic: source.topic.clone(),
            key: key_at.map_or(Document::Null, |_| match source.schema.key.first() {
                Some(_) => plain_key(field(key_at), source),
                None => Document::Null,
            }),
            value,
            time: field(time_at).parse().unwrap_or_default(),
            window: None,
            headers: Headers::default(),
            partition: 0,
            offset: records.len() as i64,
        });
    }
    Ok(records)
}

/// Returns a row as a line of its own, without the header.
fn line_of(row: &csv::StringRecord) -> csv::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(row)?;
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// Returns a field as JSON would have it: a number if it is written as one.
fn plain(field: &str) -> Document {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number =
        is_digits(whole) && is_digits(fraction) && (whole == "0" || !whole.starts_with('0'));
    match field {
        "" => Document::Null,
        "true" => Document::Boolean(true),
        "false" => Document::Boolean(false),
        _ if is_number => Document::Number(field.to_owned()),
        _ => Document::Text(field.to_owned()),
    }
}

fn plain_key(field: &str, source: &Source) -> Document {
    use super::types::Type;
    let is_text = source
        .schema
        .key
        .first()
        .is_some_and(|column| column.of == Type::String);
    match source.key_format.kind {
        Kind::Kafka if !is_text => plain(field),
        Kind::Json if !is_text => plain(field),
        _ => Document::Text(field.to_owned()),
    }
}

/// Writes a record as `k consume` prints it.
pub(super) fn envelope(record: &Record, sink: &Source) -> String {
    let Bytes { key, value, .. } = Bytes::of(record, sink);
    let part = |name: &str, bytes: Option<Vec<u8>>| match bytes.map(String::from_utf8) {
        None => (name.to_owned(), Document::Null),
        Some(Ok(text)) => (name.to_owned(), Document::Text(text)),
        Some(Err(error)) => (
            format!("{name}_base64"),
            Document::Text(base64(error.as_bytes())),
        ),
    };
    let header = |(name, value): &(String, Option<Vec<u8>>)| {
        let name = Document::Text(name.clone());
        Document::Array(match value.clone().map(String::from_utf8) {
            None => vec![name, Document::Null],
            Some(Ok(text)) => vec![name, Document::Text(text)],
            Some(Err(error)) => vec![
                name,
                Document::Null,
                Document::Text(base64(error.as_bytes())),
            ],
        })
    };
    let number = |number: i64| Document::Number(number.to_string());
    Document::Object(vec![
        ("topic".to_owned(), Document::Text(record.topic.clone())),
        ("partition".to_owned(), number(0)),
        ("offset".to_owned(), number(record.offset)),
        ("timestamp".to_owned(), number(record.time)),
        part("key", key),
        (
            "headers".to_owned(),
            Document::Array(record.headers.iter().map(header).collect()),
        ),
        part("value", value),
    ])
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_not_a_topic() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "calls.csv",
            "calls.json",
            "rows.json",
            RECIPE_FILE,
            "notes.txt",
        ] {
            std::fs::write(folder.path().join(name), "").expect("a file");
        }
        let topics = Folder::open(folder.path()).and_then(|folder| folder.topics());
        assert_eq!(
            topics.ok(),
            Some(vec!["calls".to_owned(), "rows".to_owned()])
        );
    }
}
