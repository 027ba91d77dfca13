//! WITH (…) and SET: which properties there are, and what they mean.

use std::collections::BTreeMap;

use super::catalog::{KeyWindows, TimeColumn};
use super::format::{Format, Kind};
use super::lexer;
use super::syntax::{Literal, Properties};
use crate::error::{Error, Result};

/// What WITH may say only of columns that it declares: a query's windows are its own.
const OF_DECLARATIONS: [&str; 2] = ["WINDOW_TYPE", "WINDOW_SIZE"];

/// What WITH may say.
const KNOWN: [&str; 18] = [
    "KAFKA_TOPIC",
    "FORMAT",
    "KEY_FORMAT",
    "VALUE_FORMAT",
    "VALUE_DELIMITER",
    "KEY_DELIMITER",
    "WRAP_SINGLE_VALUE",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "WINDOW_TYPE",
    "WINDOW_SIZE",
    "PARTITIONS",
    "REPLICAS",
    "KEY_SCHEMA_ID",
    "VALUE_SCHEMA_ID",
    "KEY_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_FULL_NAME",
    "RETENTION_MS",
];

/// Properties of a session: SET, and `--set`.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Sets or unsets one.
    pub fn set(&mut self, name: &str, value: Option<String>) {
        match value {
            Some(value) => self.0.insert(name.to_owned(), value),
            None => self.0.remove(name),
        };
    }

    /// Returns one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns all, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns whether one is `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// The WITH clause of a statement.
#[derive(Debug, Clone, Copy)]
pub struct With<'a> {
    /// The statement's text.
    pub text: &'a str,
    /// What is written.
    pub properties: &'a Properties,
    /// What holds where nothing is written.
    pub settings: &'a Settings,
}

impl With<'_> {
    /// Checks the names of CREATE … AS SELECT.
    ///
    /// # Errors
    /// As [`With::check`], and `usage` for what is said of declared columns alone.
    pub fn check_query(&self) -> Result<()> {
        self.check_names(&|name| KNOWN.contains(&name) && !OF_DECLARATIONS.contains(&name))?;
        self.check()
    }

    /// Returns the name that INSERT INTO … SELECT gives its query, in upper case.
    ///
    /// # Errors
    /// `usage` for any other property, and for what cannot be part of a topic's name.
    pub fn query_id(&self) -> Result<Option<String>> {
        self.check_names(&|name| name == "QUERY_ID")?;
        let Some(id) = self.get("QUERY_ID").map(|id| id.to_uppercase()) else {
            return Ok(None);
        };
        let is_plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if id.is_empty() || !is_plain {
            let message =
                format!("Query IDs may contain only alphanumeric characters and '_'. Got: '{id}'");
            return Err(self.error("QUERY_ID", &message));
        }
        Ok(Some(id))
    }

    fn check_names(&self, is_known: &dyn Fn(&str) -> bool) -> Result<()> {
        for (name, (_, at)) in &self.properties.entries {
            if !is_known(name) {
                let message = format!("Invalid config variable(s) in the WITH clause: {name}");
                let known: Vec<&str> = KNOWN[..13]
                    .iter()
                    .chain(&["QUERY_ID"])
                    .copied()
                    .filter(|name| is_known(name))
                    .collect();
                return Err(lexer::error(self.text, *at, &message)
                    .hint(format!("known are {}", known.join(", "))));
            }
        }
        Ok(())
    }

    /// Checks the names.
    ///
    /// # Errors
    /// `usage` for one that there is not, and for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        self.check_names(&|name| KNOWN.contains(&name))?;
        for name in self.properties.entries.keys() {
            if name.contains("_SCHEMA_") {
                return Err(Error::not_yet(format!(
                    "{name}: there is no schema registry"
                )));
            }
        }
        for part in ["KEY_FORMAT", "VALUE_FORMAT"] {
            if self.has("FORMAT") && self.has(part) {
                let message = format!(
                    "Cannot supply both '{part}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
                );
                return Err(self.error(part, &message));
            }
        }
        if self.has("TIMESTAMP_FORMAT") && !self.has("TIMESTAMP") {
            return Err(self.error(
                "TIMESTAMP_FORMAT",
                "TIMESTAMP_FORMAT needs TIMESTAMP, the column that it is the pattern of",
            ));
        }
        if let Some((literal, at)) = self.properties.entries.get("PARTITIONS")
            && literal
                .to_string()
                .parse::<i32>()
                .is_ok_and(|count| count < 1)
        {
            let message = format!("PARTITIONS must be at least 1, not {literal}");
            return Err(lexer::error(self.text, *at, &message));
        }
        if let Some(pattern) = self.get("TIMESTAMP_FORMAT") {
            let known = crate::expression::functions::pattern::check(&pattern);
            known.map_err(|reason| self.error("TIMESTAMP_FORMAT", &reason))?;
        }
        self.delimiter("KEY_DELIMITER")?;
        self.delimiter("VALUE_DELIMITER")?;
        Ok(())
    }

    /// Refuses a delimiter of a format that has none.
    ///
    /// # Errors
    /// `usage` that names the format.
    pub fn check_delimiters(&self, key: Format, value: Format) -> Result<()> {
        for (name, format) in [("KEY_DELIMITER", key), ("VALUE_DELIMITER", value)] {
            if self.has(name) && format.kind != Kind::Delimited {
                let message = format!(
                    "{} does not support the following configs: [delimiter]",
                    format.kind
                );
                return Err(self.error(name, &message));
            }
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.properties.entries.contains_key(name)
    }

    /// Returns a property's text.
    pub fn get(&self, name: &str) -> Option<String> {
        self.properties
            .entries
            .get(name)
            .map(|(value, _)| value.to_string())
    }

    /// Returns an error at a property.
    pub fn error(&self, name: &str, message: &str) -> Error {
        let at = self
            .properties
            .entries
            .get(name)
            .map_or(self.properties.at, |(_, at)| *at);
        lexer::error(self.text, at, message)
    }

    /// Returns the format of keys that is written.
    ///
    /// # Errors
    /// `usage` for an unknown format.
    pub fn key_format(&self) -> Result<Option<Format>> {
        self.format("KEY_FORMAT", "KEY_DELIMITER")
    }

    /// Returns the format of values that is written.
    ///
    /// # Errors
    /// `usage` for an unknown format, and for one that cannot be written with or without an object.
    pub fn value_format(&self) -> Result<Option<Format>> {
        self.format("VALUE_FORMAT", "VALUE_DELIMITER")
    }

    fn format(&self, name: &str, delimiter: &str) -> Result<Option<Format>> {
        let Some((name, written)) = [name, "FORMAT"]
            .iter()
            .find_map(|name| Some((*name, self.get(name)?)))
        else {
            return Ok(None);
        };
        let kind = Format::named(&written).map_err(|error| match error.exit_status() {
            2 => self.error(name, &error.to_string()),
            _ => error,
        })?;
        let delimiter = self.delimiter(delimiter)?.unwrap_or(',');
        Ok(Some(Format {
            kind,
            delimiter,
            is_wrapped: None,
        }))
    }

    /// Returns the format of keys where none is written.
    ///
    /// # Errors
    /// `usage` for an unknown format in the settings.
    pub fn default_key_format(&self) -> Result<Format> {
        let name = self
            .settings
            .get("ksql.persistence.default.format.key")
            .unwrap_or("KAFKA");
        Ok(Format {
            delimiter: self.delimiter("KEY_DELIMITER")?.unwrap_or(','),
            ..Format::plain(Format::named(name)?)
        })
    }

    /// Returns the format of values where none is written.
    ///
    /// # Errors
    /// `usage` if there is none.
    pub fn default_value_format(&self) -> Result<Format> {
        match self.settings.get("ksql.persistence.default.format.value") {
            Some(name) => Ok(Format::plain(Format::named(name)?)),
            None => Err(self.error(
                "VALUE_FORMAT",
                "Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set a default via the 'ksql.persistence.default.format.value' config.",
            )),
        }
    }

    /// Returns a delimiter.
    ///
    /// # Errors
    /// `usage` for what is not one character, TAB or SPACE.
    pub fn delimiter(&self, name: &str) -> Result<Option<char>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let mut chars = text.chars();
        match (text.as_str(), chars.next(), chars.next()) {
            ("TAB", ..) => Ok(Some('\t')),
            ("SPACE", ..) => Ok(Some(' ')),
            (_, Some(delimiter), None) if !delimiter.is_whitespace() => Ok(Some(delimiter)),
            (_, None, _) | (_, Some(_), None) => Err(self.error(
                name,
                &format!("Configuration {name} is invalid: Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use the special values 'TAB' or 'SPACE'"),
            )),
            _ => Err(self.error(name, &format!("Configuration {name} is invalid: Invalid delimiter value: '{text}'. Delimiter must be a single character or TAB,SPACE"))),
        }
    }

    /// Returns what WRAP_SINGLE_VALUE says.
    ///
    /// # Errors
    /// `usage` for what is neither true nor false.
    pub fn wrap(&self) -> Result<Option<bool>> {
        match self.properties.entries.get("WRAP_SINGLE_VALUE") {
            None => Ok(None),
            Some((Literal::Boolean(value), _)) => Ok(Some(*value)),
            Some((value, _)) => match value.to_string().to_lowercase().as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(self.error("WRAP_SINGLE_VALUE", "WRAP_SINGLE_VALUE is true or false")),
            },
        }
    }

    /// Returns a format of values with what is said about its only column.
    ///
    /// # Errors
    /// `usage` where there is more than one column, or the format has no such choice.
    pub fn wrapped(&self, format: Format, columns: usize) -> Result<Format> {
        let written = self.wrap()?;
        if written.is_some() && columns != 1 {
            return Err(self.error(
                "WRAP_SINGLE_VALUE",
                "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas",
            ));
        }
        if let Some(written) = written {
            let has_choice = match format.kind {
                Kind::Json => true,
                Kind::Kafka | Kind::Delimited => !written,
                Kind::None => false,
            };
            if !has_choice {
                let message = format!(
                    "Format '{}' does not support 'WRAP_SINGLE_VALUE' set to '{written}'.",
                    format.kind
                );
                return Err(self.error("WRAP_SINGLE_VALUE", &message));
            }
        }
        let default = self
            .settings
            .get("ksql.persistence.wrap.single.values")
            .map(|value| value.eq_ignore_ascii_case("true"));
        Ok(Format {
            is_wrapped: written.or(default),
            ..format
        })
    }

    /// Returns the column that a record's time is read from.
    pub fn time(&self, fold: impl Fn(&str) -> String) -> Option<TimeColumn> {
        let name = fold(&self.get("TIMESTAMP")?);
        Some(TimeColumn {
            name,
            pattern: self.get("TIMESTAMP_FORMAT"),
        })
    }

    /// Returns the windows of keys.
    ///
    /// # Errors
    /// `usage` for an unknown kind, or a size that is missing or not wanted.
    pub fn windows(&self) -> Result<Option<KeyWindows>> {
        let Some(kind) = self.get("WINDOW_TYPE") else {
            return match self.has("WINDOW_SIZE") {
                true => Err(self.error("WINDOW_SIZE", "WINDOW_SIZE needs WINDOW_TYPE")),
                false => Ok(None),
            };
        };
        let size = || {
            let text = self.get("WINDOW_SIZE").ok_or_else(|| {
                self.error("WINDOW_TYPE", &format!("{} windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: 'WINDOW_SIZE'='10 SECONDS'", kind.to_uppercase()))
            })?;
            duration_ms(&text).ok_or_else(|| {
                self.error(
                    "WINDOW_SIZE",
                    &format!("Configuration WINDOW_SIZE is invalid: {text}; write '10 SECONDS'"),
                )
            })
        };
        Ok(Some(match kind.to_uppercase().as_str() {
            "SESSION" if self.has("WINDOW_SIZE") => {
                return Err(self.error(
                    "WINDOW_SIZE",
                    "'WINDOW_SIZE' should not be set for SESSION windows.",
                ));
            }
            "SESSION" => KeyWindows::Session,
            "TUMBLING" => KeyWindows::Tumbling(size()?),
            "HOPPING" => KeyWindows::Hopping(size()?),
            _ => {
                return Err(self.error(
                    "WINDOW_TYPE",
                    &format!("WINDOW_TYPE is SESSION, TUMBLING or HOPPING, not {kind}"),
                ));
            }
        }))
    }
}

/// Reads `10 SECONDS`, in ms.
fn duration_ms(text: &str) -> Option<i64> {
    let (count, unit) = text.trim().split_once(' ')?;
    let unit_ms = match unit.trim().to_uppercase().trim_end_matches('S') {
        "DAY" => 86_400_000,
        "HOUR" => 3_600_000,
        "MINUTE" => 60_000,
        "SECOND" => 1_000,
        "MILLISECOND" => 1,
        _ => return None,
    };
    count
        .parse::<i64>()
        .ok()
        .filter(|count| *count > 0)?
        .checked_mul(unit_ms)
}
