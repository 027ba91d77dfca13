//! The columns that a clause of a query may name.

use super::lexer::{self, Span};
use super::syntax::Name;
use super::types::Type;
use crate::error::Result;

/// A column of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The alias of the source that it comes from; empty of what a query itself makes.
    pub source: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Whether it is one that every row has: ROWTIME, WINDOWSTART. `*` leaves it out.
    pub is_pseudo: bool,
}

/// The columns of a row, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    /// Each with its source.
    pub columns: Vec<Named>,
}

impl Scope {
    /// Returns the index of a column.
    ///
    /// # Errors
    /// `usage` for a source or column that is not there, and for a name that several sources have.
    pub fn find(
        &self,
        text: &str,
        clause: &str,
        at: Span,
        source: Option<&Name>,
        name: &Name,
    ) -> Result<usize> {
        if let Some(source) = source {
            let mut sources = self.columns.iter().map(|column| &column.source);
            if !sources.any(|known| *known == source.text) {
                let message = format!("'{source}' is not a valid stream/table name or alias.");
                return Err(lexer::error(text, source.at, &message));
            }
        }
        let is_found = |column: &&Named| {
            column.name == name.text && source.is_none_or(|source| column.source == source.text)
        };
        let found: Vec<&Named> = self.columns.iter().filter(is_found).collect();
        match found[..] {
            [] => {
                let shown = source.map_or(name.to_string(), |source| format!("{source}.{name}"));
                let error = lexer::error(
                    text,
                    at,
                    &format!("{clause} column '{shown}' cannot be resolved."),
                );
                Err(match self.similar(&name.text) {
                    Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                    None => error,
                })
            }
            [_] => Ok(self
                .columns
                .iter()
                .position(|column| is_found(&column))
                .unwrap_or_default()),
            _ => {
                let options: Vec<String> = found
                    .iter()
                    .map(|column| format!("{}.{}", column.source, column.name))
                    .collect();
                let message = format!(
                    "Column '{name}' is ambiguous. Could be {}.",
                    options.join(" or ")
                );
                Err(lexer::error(text, at, &message))
            }
        }
    }

    fn similar(&self, name: &str) -> Option<&str> {
        let names = self.columns.iter().map(|column| column.name.as_str());
        let near = names.map(|known| (strsim::damerau_levenshtein(known, name), known));
        near.filter(|(distance, _)| *distance <= 2)
            .min()
            .map(|(_, known)| known)
    }
}
