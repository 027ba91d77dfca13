//! Lists of expressions: `--by` and `--select` items with names, `--agg` calls.

use super::lexer::TokenKind;
use super::parser::Parser;
use super::syntax::{Node, Precedence};
use super::{Expression, Span};
use crate::column::{DataType, Schema};
use crate::error::Result;

/// `expression [as name]`.
#[derive(Debug)]
pub struct Item {
    /// What is computed.
    pub expression: Expression,
    /// The name given with `as`, else the column's own, else the canonical text.
    pub name: String,
}

/// `function [( [distinct] argument, … )] [as name]`, whose function the caller knows.
#[derive(Debug)]
pub struct Call {
    /// In lower case: `count`, `p99.9`.
    pub function: String,
    /// Whether `distinct` stands before the arguments.
    pub distinct: bool,
    /// None for `count`, `count()` and `count(*)`, which mean the same.
    pub arguments: Vec<Expression>,
    /// The name given with `as`.
    pub alias: Option<String>,
    /// The call without its alias, for carets.
    pub span: Span,
}

/// Parses `expression [as name], …`.
///
/// # Errors
/// `usage` with a caret under the wrong part.
pub fn parse_list(text: &str, schema: &Schema) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (mut node, alias) in Parser::new(text)?.list(Parser::item)? {
        let expression = Expression::check(text, schema, &mut node, DataType::Text)?;
        let name = alias.unwrap_or_else(|| match expression.column() {
            Some(column) => schema.fields[column].name.clone(),
            None => expression.text().to_owned(),
        });
        items.push(Item { expression, name });
    }
    Ok(items)
}

/// Parses calls such as `count, sum(duration), count(distinct caller), p99.9(duration) as slow`.
///
/// # Errors
/// `usage` with a caret under the wrong part. Whether there is such a function, and what it
/// takes, the caller knows.
pub fn parse_calls(text: &str, schema: &Schema) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for mut call in Parser::new(text)?.list(Parser::call_item)? {
        let arguments: Result<Vec<Expression>> = call
            .arguments
            .iter_mut()
            .map(|argument| Expression::check(text, schema, argument, DataType::Text))
            .collect();
        calls.push(Call {
            function: call.function,
            distinct: call.distinct,
            arguments: arguments?,
            alias: call.alias,
            span: call.span,
        });
    }
    Ok(calls)
}

/// A call as it was typed.
struct ParsedCall {
    function: String,
    distinct: bool,
    arguments: Vec<Node>,
    alias: Option<String>,
    span: Span,
}

impl Parser<'_> {
    fn item(&mut self) -> Result<(Node, Option<String>)> {
        let node = self.expression(Precedence::Or)?;
        Ok((node, self.alias()?))
    }

    fn alias(&mut self) -> Result<Option<String>> {
        if self.take_keyword("as").is_none() {
            return Ok(None);
        }
        let name = match &self.peek().kind {
            TokenKind::Word => self.word().to_owned(),
            TokenKind::Name { name, .. } => name.clone(),
            _ => return Err(self.expected("a name")),
        };
        self.advance();
        Ok(Some(name))
    }

    fn call_item(&mut self) -> Result<ParsedCall> {
        if self.peek().kind != TokenKind::Word {
            return Err(self.expected("a function such as `count` or `sum(…)`"));
        }
        let name = self.advance();
        let mut span = name.span;
        // The fraction of `p99.9(x)` is a token of its own.
        let fraction = self.peek();
        if fraction.kind == TokenKind::Decimal
            && fraction.span.start == span.end
            && self.text[fraction.span.start..fraction.span.end].starts_with('.')
        {
            span = span.to(self.advance().span);
        }
        let function = self.text[span.start..span.end].to_lowercase();
        let mut distinct = false;
        let mut arguments = Vec::new();
        if self.take_symbol("(").is_some() {
            distinct = self.take_keyword("distinct").is_some();
            if distinct || self.take_symbol("*").is_none() {
                arguments = self.arguments(distinct)?;
            }
            span = span.to(self.need_symbol(")")?);
        }
        let alias = self.alias()?;
        Ok(ParsedCall {
            function,
            distinct,
            arguments,
            alias,
            span,
        })
    }
}
