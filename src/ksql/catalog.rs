//! The streams, tables and types there are.

use std::collections::BTreeMap;

use super::format::Format;
use super::lexer::{self, Span};
use super::schema::{Column, PSEUDO, Schema, WINDOWEND, WINDOWSTART};
use super::scope::{Named, Scope};
use super::syntax::{Name, Role, SourceKind};
use super::types::Type;
use crate::error::{Error, Result};

/// The windows of a windowed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWindows {
    /// Of any length.
    Session,
    /// Of one size, in ms, one after the other.
    Tumbling(i64),
    /// Of one size, in ms, that overlap.
    Hopping(i64),
}

impl KeyWindows {
    /// Returns the size of its windows, in ms, if they have one.
    pub fn size_ms(self) -> Option<i64> {
        match self {
            KeyWindows::Session => None,
            KeyWindows::Tumbling(size_ms) | KeyWindows::Hopping(size_ms) => Some(size_ms),
        }
    }

    /// Returns ksqlDB's word for it.
    pub fn word(self) -> &'static str {
        match self {
            KeyWindows::Session => "SESSION",
            KeyWindows::Tumbling(_) => "TUMBLING",
            KeyWindows::Hopping(_) => "HOPPING",
        }
    }
}

/// The column that a record's time is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeColumn {
    /// Its name.
    pub name: String,
    /// The pattern of its texts.
    pub pattern: Option<String>,
}

/// A stream or a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// Its columns.
    pub schema: Schema,
    /// Columns of the value that are read from headers.
    pub headers: Vec<(usize, Role)>,
    /// Where its records are.
    pub topic: String,
    /// How their keys are written.
    pub key_format: Format,
    /// How their values are written.
    pub value_format: Format,
    /// The windows of their keys.
    pub windows: Option<KeyWindows>,
    /// Where their time is read from.
    pub time: Option<TimeColumn>,
    /// Whether nothing may be written to it: CREATE SOURCE.
    pub is_read_only: bool,
    /// Whether a query made it.
    pub is_derived: bool,
}

impl Source {
    /// Returns its columns as a query names them.
    pub fn scope(&self, alias: &str) -> Scope {
        let named = |name: &str, of: &Type, is_pseudo: bool| Named {
            source: alias.to_owned(),
            name: name.to_owned(),
            of: of.clone(),
            is_pseudo,
        };
        let own = self
            .schema
            .columns()
            .map(|column| named(&column.name, &column.of, false));
        let mut columns: Vec<Named> = own.collect();
        columns.extend(PSEUDO.iter().map(|(name, of)| named(name, of, true)));
        if self.windows.is_some() {
            columns.extend([WINDOWSTART, WINDOWEND].map(|name| named(name, &Type::Bigint, true)));
        }
        Scope { columns }
    }

    /// Returns in what it is not another one, a sentence each.
    pub fn differences(&self, other: &Source) -> Vec<String> {
        let windows = |source: &Source| source.windows.map_or("not windowed", KeyWindows::word);
        let time = |source: &Source| match &source.time {
            Some(time) => format!("{time:?}"),
            None => "the record's".to_owned(),
        };
        let parts = [
            (
                "columns are",
                self.schema.to_string(),
                other.schema.to_string(),
            ),
            ("topic is", self.topic.clone(), other.topic.clone()),
            (
                "keys are",
                self.key_format.to_string(),
                other.key_format.to_string(),
            ),
            (
                "values are",
                self.value_format.to_string(),
                other.value_format.to_string(),
            ),
            (
                "keys are",
                windows(self).to_owned(),
                windows(other).to_owned(),
            ),
            ("time is", time(self), time(other)),
        ];
        let differ = parts.into_iter().filter(|(_, one, other)| one != other);
        let told = |(what, one, other)| format!("its {what} {one}, and here: {other}");
        differ.map(told).collect()
    }

    /// Returns the columns of the value that the record's value is read into.
    pub fn written_value(&self) -> Vec<Column> {
        let is_header = |at: usize| self.headers.iter().any(|(header, _)| *header == at);
        let columns = self
            .schema
            .value
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_header(*at));
        columns.map(|(_, column)| column.clone()).collect()
    }
}

/// The streams, tables and types by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    sources: BTreeMap<String, Source>,
    /// The types of CREATE TYPE.
    pub types: BTreeMap<String, Type>,
}

impl Catalog {
    /// Returns a stream or table.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.sources.get(name)
    }

    /// Returns all of them.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values()
    }

    /// Adds one, or puts it in the place of another.
    pub fn put(&mut self, source: Source) {
        self.sources.insert(source.name.clone(), source);
    }

    /// Removes one.
    pub fn remove(&mut self, name: &str) -> Option<Source> {
        self.sources.remove(name)
    }

    /// Returns the stream or table that a statement names.
    ///
    /// # Errors
    /// `usage` if there is none, with the name that may be meant.
    pub fn named(&self, text: &str, name: &Name) -> Result<&Source> {
        self.sources.get(&name.text).ok_or_else(|| {
            let message = format!("{name} does not exist.");
            self.hinted(lexer::error(text, name.at, &message), &name.text)
        })
    }

    /// Adds the name that may be meant to an error about one that is not there.
    pub fn hinted(&self, error: Error, name: &str) -> Error {
        if self.sources.contains_key(&name.to_uppercase()) {
            let upper = name.to_uppercase();
            return error.hint(format!(
                "did you mean {upper}? Without quotes a name folds to upper case"
            ));
        }
        let near = self
            .sources
            .keys()
            .map(|known| (strsim::damerau_levenshtein(known, name), known));
        match near.filter(|(distance, _)| *distance <= 2).min() {
            Some((_, known)) => error.hint(format!("did you mean {known}?")),
            None => error,
        }
    }

    /// Refuses a name that is taken.
    ///
    /// # Errors
    /// `usage` if there is such a stream or table.
    pub fn refuse_known(&self, text: &str, at: Span, name: &str, kind: SourceKind) -> Result<()> {
        let Some(known) = self.sources.get(name) else {
            return Ok(());
        };
        let (wanted, found) = (
            kind.to_string().to_lowercase(),
            known.kind.to_string().to_lowercase(),
        );
        let message =
            format!("Cannot add {wanted} '{name}': A {found} with the same name already exists");
        Err(lexer::error(text, at, &message)
            .hint("CREATE OR REPLACE takes its place, DROP removes it"))
    }
}
