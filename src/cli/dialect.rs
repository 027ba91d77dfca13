//! Flags for files that differ from plain CSV: delimiters, null texts, decimal commas.

use crate::format::dialect::{DELIMITERS, Spelling};

/// The delimiter, null texts and decimal comma of an input.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DialectOptions {
    /// The character between the fields of CSV: `tab`, `semicolon`, `bar`, `comma`, or any other ASCII
    /// character [default: tab for .tsv, comma for a topic, else the one of these four that splits the
    /// header into most columns]
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,

    #[command(flatten)]
    pub spelling: SpellingOptions,

    /// Read numbers in CSV with a decimal comma: `1.234,56`.
    #[arg(long)]
    pub decimal_comma: bool,
}

impl DialectOptions {
    /// Returns how values are spelled.
    pub fn spelling(&self) -> Spelling {
        Spelling {
            decimal_comma: self.decimal_comma,
            ..self.spelling.spelling()
        }
    }
}

/// Which texts are null.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SpellingOptions {
    /// Read this text as null, like an empty field; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub null: Vec<String>,
}

impl SpellingOptions {
    /// Returns how values are spelled.
    pub fn spelling(&self) -> Spelling {
        Spelling {
            nulls: self.null.clone().into(),
            decimal_comma: false,
        }
    }
}

/// Reads `;`, `tab` or `\t`.
pub(crate) fn parse_delimiter(text: &str) -> Result<u8, String> {
    let named = DELIMITERS.iter().find(|(_, name)| *name == text);
    match (text.as_bytes(), named) {
        (_, Some((delimiter, _))) => Ok(*delimiter),
        (br"\t", _) => Ok(b'\t'),
        ([byte], _) if !matches!(byte, b'"' | b'\n' | b'\r' | 0 | 0x80..) => Ok(*byte),
        _ => Err(
            "write one ASCII character (not a quote, not a line break), or `tab`, `semicolon`, \
             `bar`, `comma`"
                .to_owned(),
        ),
    }
}
