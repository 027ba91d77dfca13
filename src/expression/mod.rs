//! Expressions: `disposition = 'connected' and duration > 60000`.
//!
//! The life of an expression:
//! 1. `lexer`: text → tokens, each with its place.
//! 2. `parser`: tokens → an untyped tree (`syntax`), which also prints the canonical text.
//! 3. `types` and `names`: tree + [`Schema`] → a typed tree (`tree`): columns by index, types
//!    settled, constants folded. Everything that is wrong is reported here, with a caret, before the
//!    first record.
//! 4. `eval`: typed tree × [`Columns`] → a column, by the loops of `kernel` and, row by row, by
//!    the [`functions`].
//!
//! The rules are SQL's, and ksqlDB's where SQL leaves a choice: three-valued logic with null;
//! bigint / bigint cuts the fraction off; `+` joins two texts. Division by zero gives null. A
//! bigint beyond its range, and a `cast` of a text that is not a number, fail the row: it is
//! malformed, never silently null or wrapped. `try_cast` gives null instead.

mod cast;
mod convert;
mod eval;
mod failure;
pub mod functions;
mod kernel;
mod lexer;
pub(crate) mod like;
mod list;
mod logic;
mod names;
mod parser;
mod reference;
mod scalar;
mod syntax;
mod tree;
mod types;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use bumpalo::Bump;

pub use functions::{exchanged, other_order, pattern_of};
pub use list::{
    Call, Equality, Item, Kind, Order, open_up, parse_calls, parse_equalities, parse_list,
    parse_order,
};
pub use reference::{
    add_column, column_as_it_stands, column_named, column_text, is_path, suggestion, unknown_column,
};
pub use syntax::Span;

use crate::column::{Column, Columns, DataType, Misfit, Schema, Value};
use crate::error::{Error, Result};
use eval::Batch;
use failure::Failure;
use scalar::Scalar;
use syntax::Node;
use tree::{Operation, Typed};
use types::Checker;

/// An expression, checked against a schema and ready to be evaluated.
///
/// ```text
/// n % 2 = 0  over n = 1, 2, null  keeps the rows  false, true, false
/// ```
#[derive(Debug)]
pub struct Expression {
    typed: Typed,
    /// The typed text, for failures of rows.
    source: String,
    /// The canonical text.
    text: String,
    span: Span,
    columns: Vec<usize>,
}

/// A row that has no result, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row's index in the batch.
    pub row: usize,
    /// For people: "`a * b` is beyond the range of bigint".
    pub misfit: Misfit,
}

/// What an expression came to over a batch.
#[derive(Debug)]
pub struct Evaluated<'b, 'a> {
    /// One value a row, of the expression's type; null in the rows that failed.
    pub column: Cow<'b, Column<'a>>,
    /// The rows that failed, by row, each once: malformed records.
    pub errors: Vec<RowError>,
}

/// Which rows of a batch a condition keeps.
#[derive(Debug)]
pub struct Selection {
    /// One per row: true where the condition is true, neither false nor null.
    pub rows: Vec<bool>,
    /// The rows that failed, by row, each once: malformed records. They are not kept.
    pub errors: Vec<RowError>,
}

impl Expression {
    /// Parses one expression and checks it against a schema.
    ///
    /// # Errors
    /// `usage` with a caret under the wrong part.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self> {
        Expression::parse_as(text, schema, DataType::Text)
    }

    /// Parses a condition, as `--where` takes it.
    ///
    /// # Errors
    /// Like [`Expression::parse`], and for what is not a boolean.
    pub fn parse_condition(text: &str, schema: &Schema) -> Result<Self> {
        let expression = Expression::parse_as(text, schema, DataType::Boolean)?;
        if expression.data_type() != DataType::Boolean {
            let message = format!("a condition is needed, not {}", expression.data_type());
            let span = expression.span;
            return Err(Error::usage(message)
                .at(text, span.start, span.end)
                .hint("compare it with something: `duration > 60000`, `tower = 'T1'`"));
        }
        Ok(expression)
    }

    /// Parses an expression of times; what it reads by a pattern is of `zone` where a call names
    /// none, `None` for UTC.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn parse_time(text: &str, schema: &Schema, zone: Option<&str>) -> Result<Self> {
        let checker = Checker { text, schema, zone };
        let mut node = parser::Parser::new(text)?.whole()?;
        Expression::check_by(&checker, &mut node, DataType::Text)
    }

    /// Parses one expression; `null_type` is what a bare `null` would be.
    fn parse_as(text: &str, schema: &Schema, null_type: DataType) -> Result<Self> {
        let mut node = parser::Parser::new(text)?.whole()?;
        Expression::check(text, schema, &mut node, null_type)
    }

    /// Checks a part of `text` that was parsed.
    fn check(text: &str, schema: &Schema, node: &mut Node, null_type: DataType) -> Result<Self> {
        let zone = None;
        Expression::check_by(&Checker { text, schema, zone }, node, null_type)
    }

    fn check_by(checker: &Checker<'_>, node: &mut Node, null_type: DataType) -> Result<Self> {
        let text = checker.text;
        let typed = checker.check_whole(node, null_type)?;
        let mut columns = Vec::new();
        typed.visit(&mut |typed| {
            if let Operation::Column(index) = typed.operation {
                columns.push(index);
            }
        });
        columns.sort_unstable();
        columns.dedup();
        Ok(Expression {
            typed,
            source: text.to_owned(),
            text: node.to_string(),
            span: node.span,
            columns,
        })
    }

    /// Returns the type of its results.
    pub fn data_type(&self) -> DataType {
        self.typed.data_type
    }

    /// Returns the indexes of the columns that it reads, ascending: the ones to decode.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Returns the index of the column that it is, if it is nothing but a column.
    pub fn column(&self) -> Option<usize> {
        match self.typed.operation {
            Operation::Column(index) => Some(index),
            _ => None,
        }
    }

    /// Returns the value that it has in every row, if it reads no column.
    pub fn constant(&self) -> Option<Value> {
        self.typed.constant().map(Scalar::value)
    }

    /// Returns the canonical text, with the schema's names of columns; parsed again it gives the
    /// same expression.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the same expression as a number, if it is undeclared.
    #[must_use]
    pub fn into_number(mut self) -> Self {
        self.typed = convert::used_as(self.typed, DataType::Number);
        self
    }

    /// Returns the same text as an undeclared value.
    #[must_use]
    pub fn into_any(mut self) -> Self {
        self.typed = convert::kept_as(self.typed, DataType::Any);
        self
    }

    /// Becomes an expression of the type of an undeclared column, or of its use as a number, where
    /// its values fit there as they are; returns whether they do.
    pub fn keep_as(&mut self, data_type: DataType) -> bool {
        let is = self.data_type();
        let fits = match data_type {
            DataType::Any => is == DataType::Text,
            DataType::Number => convert::is_number(is),
            _ => false,
        };
        if fits {
            let span = self.typed.span;
            let nothing = convert::null(is, span);
            let typed = std::mem::replace(&mut self.typed, nothing);
            self.typed = convert::kept_as(typed, data_type);
        }
        fits
    }

    /// Returns the same expression as a double, where it is a decimal.
    #[must_use]
    pub fn decimal_as_double(mut self) -> Self {
        if self.data_type() == DataType::Decimal {
            self.typed = convert::converted(self.typed, DataType::Double);
        }
        self
    }

    /// Returns its place in the text that was parsed, for carets.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Returns its value in every row of a batch.
    ///
    /// Texts that the expression makes live in `arena`, which the caller resets between batches.
    /// The columns of [`Expression::columns`] have to be decoded.
    pub(crate) fn evaluate<'b, 'a>(
        &'b self,
        columns: &'b Columns<'a>,
        arena: &'a Bump,
    ) -> Evaluated<'b, 'a> {
        let outcome = Batch { columns, arena }.evaluate(&self.typed);
        Evaluated {
            column: outcome.operand.into_column(self.data_type(), columns.rows),
            errors: self.errors(&outcome.failures),
        }
    }

    /// Returns the rows of a batch in which a condition is true.
    ///
    /// `arena` as in [`Expression::evaluate`]. If it is not a boolean, every row is left out.
    pub fn select<'a>(&self, columns: &Columns<'a>, arena: &'a Bump) -> Selection {
        let evaluated = self.evaluate(columns, arena);
        let mut rows = match evaluated.column.into_owned() {
            Column::Boolean(condition) => {
                let mut rows = condition.values;
                let nulls = condition.nulls.iter();
                rows.iter_mut()
                    .zip(nulls)
                    .for_each(|(row, null)| *row &= !null);
                rows
            }
            _ => Vec::new(),
        };
        rows.resize(columns.rows, false);
        let errors = evaluated.errors;
        Selection { rows, errors }
    }

    fn errors(&self, failures: &[Failure]) -> Vec<RowError> {
        let error = |failure: &Failure| RowError {
            row: failure.row,
            misfit: failure.describe(&self.source),
        };
        failures.iter().map(error).collect()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
