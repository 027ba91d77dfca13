//! How a person says what their files do differently.

use crate::format::dialect::{DELIMITERS, Spelling};

/// What stands between fields, and which texts are null.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DialectOptions {
    /// What stands between the fields of CSV: `tab`, `semicolon`, `bar`, `comma`, or any other ASCII
    /// character [default: tab for .tsv; else of these the one that makes the most columns of the
    /// header; comma for values in a topic]
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,

    #[command(flatten)]
    pub spelling: SpellingOptions,

    /// Read numbers of CSV with a decimal comma, as `1.234,56`; points stand between thousands.
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
    /// Take this text for null, as an empty field is; may be given several times.
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
            "write one ASCII character that is no quote and no end of a line, or `tab`, `semicolon`, \
             `bar`, `comma`"
                .to_owned(),
        ),
    }
}
