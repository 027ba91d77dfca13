//! Lists of expressions: `--by` and `--select` items, `--agg` calls, each with a name.
//!
//! The name is the one given with `as`; else that of the column, where the item is nothing but a
//! column; else the words of its text, joined by underscores: `n / 2` is `n_2`, `sum(n / 2)` is
//! `sum_n_2`, `count(distinct caller)` is `count_distinct_caller`. So a result's columns can be
//! named in the next command without quotes.

use std::fmt;

use super::functions::takes_unit;
use super::lexer::TokenKind;
use super::parser::Parser;
use super::reference::column_text;
use super::syntax::{Binary, Comparison, Node, NodeKind, Precedence};
use super::types::Checker;
use super::{Expression, Span};
use crate::column::known::field;
use crate::column::name::{continues_word, quoted_name};
use crate::column::{DataType, Schema};
use crate::error::Result;

/// `expression [as name]`.
#[derive(Debug)]
pub struct Item {
    /// What is computed.
    pub expression: Expression,
    /// The name of its column in a result.
    pub name: String,
    /// Whether that is another name than it would have by itself.
    renamed: bool,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)?;
        write_alias(f, &self.name, self.renamed)
    }
}

fn write_alias(f: &mut impl fmt::Write, name: &str, is_needed: bool) -> fmt::Result {
    if is_needed {
        write!(f, " as {}", quoted_name(name))
    } else {
        Ok(())
    }
}

impl Item {
    /// Returns a column as it is, under its own name.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn of_column(schema: &Schema, index: usize) -> Result<Self> {
        let name = schema.fields[index].name.clone();
        Ok(Item {
            expression: Expression::parse(&column_text(schema, index), schema)?,
            name,
            renamed: false,
        })
    }
}

/// `function [( [distinct] argument, … )] [as name]`, whose function the caller knows.
#[derive(Debug)]
pub struct Call {
    /// In lower case: `count`, `p99.9`.
    pub function: String,
    /// Whether `distinct` is before the arguments.
    pub distinct: bool,
    /// None for `count`, `count()` and `count(*)`, which mean the same.
    pub arguments: Vec<Expression>,
    /// The name of its column in a result.
    pub name: String,
    /// The call without its `as`, for carets.
    pub span: Span,
    renamed: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if !self.arguments.is_empty() {
            let distinct = if self.distinct { "distinct " } else { "" };
            let arguments: Vec<&str> = self.arguments.iter().map(Expression::text).collect();
            write!(f, "({distinct}{})", arguments.join(", "))?;
        }
        write_alias(f, &self.name, self.renamed)
    }
}

/// Parses `expression [as name], …`.
///
/// # Errors
/// `usage` with a caret under the wrong part.
pub fn parse_list(text: &str, schema: &Schema) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for (mut node, alias) in Parser::new(text)?.list(Parser::item)? {
        let expression = Expression::check(text, schema, &mut node, DataType::Text)?;
        let own = name_of(&expression, schema);
        let name = alias.unwrap_or_else(|| own.clone());
        items.push(Item {
            expression,
            renamed: name != own,
            name,
        });
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
        let arguments = arguments?;
        let distinct = if call.distinct { "distinct " } else { "" };
        let texts: Vec<&str> = arguments.iter().map(Expression::text).collect();
        let own = words_of(&format!("{} {distinct}{}", call.function, texts.join(" ")));
        let name = call.alias.unwrap_or_else(|| own.clone());
        calls.push(Call {
            function: call.function,
            distinct: call.distinct,
            arguments,
            renamed: name != own,
            name,
            span: call.span,
        });
    }
    Ok(calls)
}

/// What rows are put in order by.
#[derive(Debug)]
pub struct Order {
    /// What is compared.
    pub expression: Expression,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descending = if self.descending { " desc" } else { "" };
        write!(f, "{}{descending}", self.expression)
    }
}

/// Parses `expression [asc | desc], …`.
///
/// # Errors
/// `usage` with a caret under the wrong part.
pub fn parse_order(text: &str, schema: &Schema) -> Result<Vec<Order>> {
    let mut orders = Vec::new();
    for (mut node, descending) in Parser::new(text)?.list(Parser::order_item)? {
        let expression = Expression::check(text, schema, &mut node, DataType::Text)?;
        orders.push(Order {
            expression,
            descending,
        });
    }
    Ok(orders)
}

/// `left = right [as name]` over the columns of two inputs, or one expression that stands for both.
#[derive(Debug)]
pub struct Equality {
    text: String,
    sides: [Node; 2],
    alias: Option<String>,
}

/// Parses `left = right [as name], …`.
///
/// # Errors
/// `usage` with a caret where the text cannot be read.
pub fn parse_equalities(text: &str) -> Result<Vec<Equality>> {
    let items = Parser::new(text)?.list(Parser::item)?.into_iter();
    let equalities = items.map(|(node, alias)| Equality {
        text: text.to_owned(),
        sides: match node.kind {
            NodeKind::Binary {
                operator: Binary::Compare(Comparison::Equal),
                left,
                right,
            } => [*left, *right],
            _ => [node.clone(), node],
        },
        alias,
    });
    Ok(equalities.collect())
}

impl Equality {
    /// Returns the equality of a column that both inputs have, whatever its name looks like.
    pub fn of_column(name: &str) -> Self {
        let span = Span { start: 0, end: 0 };
        let column = NodeKind::Column {
            name: name.to_owned(),
            quoted: true,
        };
        let node = Node::new(column, span);
        Equality {
            text: String::new(),
            sides: [node.clone(), node],
            alias: None,
        }
    }

    /// Takes what was written first for the second input.
    pub fn swap(&mut self) {
        self.sides.swap(0, 1);
    }

    /// Returns what stands for an input, the first or the second, over its columns.
    ///
    /// # Errors
    /// `usage` with a caret under the wrong part.
    pub fn side(&self, nth: usize, schema: &Schema) -> Result<Expression> {
        let mut node = self.sides[nth].clone();
        Expression::check(&self.text, schema, &mut node, DataType::Text)
    }

    /// Returns the name of the column that stands for an input, if it is nothing but a column.
    pub fn column(&self, nth: usize) -> Option<&str> {
        match &self.sides[nth].kind {
            NodeKind::Column { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Adds to a schema the columns of an input that are named and that it has not, where it may have
    /// them.
    pub fn open_up(&self, nth: usize, schema: &mut Schema) {
        add_columns(schema, &self.text, &self.sides[nth]);
    }

    /// Returns it in canonical spelling; `schema` has the columns of the first input.
    ///
    /// # Errors
    /// `usage`, if an expression could not be read from its own text: a fault of `k`.
    pub fn text(&self, sides: [&Expression; 2], schema: &Schema) -> Result<String> {
        let node = |of: &Expression| Parser::new(of.text())?.whole();
        let [left, right] = [node(sides[0])?, node(sides[1])?];
        let operator = Binary::Compare(Comparison::Equal);
        let is_equality =
            matches!(&left.kind, NodeKind::Binary { operator: own, .. } if *own == operator);
        let span = left.span.to(right.span);
        let text = if sides[0].text() == sides[1].text() && !is_equality {
            left.to_string()
        } else {
            let (left, right) = (Box::new(left), Box::new(right));
            let equal = NodeKind::Binary {
                operator,
                left,
                right,
            };
            Node::new(equal, span).to_string()
        };
        let own = name_of(sides[0], schema);
        Ok(match self.alias.as_ref().filter(|alias| **alias != own) {
            Some(alias) => format!("{text} as {}", quoted_name(alias)),
            None => text,
        })
    }

    /// Returns the name of what is equal: as given, else what an item of a list would have.
    pub fn name(&self, left: &Expression, schema: &Schema) -> String {
        self.alias.clone().unwrap_or_else(|| name_of(left, schema))
    }
}

/// Returns the name of an expression that was given none.
fn name_of(expression: &Expression, schema: &Schema) -> String {
    match expression.column() {
        // Of a part of the record the word alone: `@key` would be another one in the next command.
        Some(column) if !expression.text().starts_with('@') => schema.fields[column].name.clone(),
        _ => words_of(expression.text()),
    }
}

/// Adds the columns that expressions name and a schema has not, where it may have them: parts of the
/// record, and to an open one any. The text is one expression such as `a = 1`, a list of `expression [as
/// name]`, or a list of calls.
///
/// # Errors
/// `usage` with a caret where a text cannot be read.
pub fn open_up(schema: &mut Schema, text: &str, kind: Kind) -> Result<()> {
    if !schema.open && !schema.has_parts {
        return Ok(());
    }
    let mut parser = Parser::new(text)?;
    let nodes: Vec<Node> = match kind {
        Kind::One => vec![parser.whole()?],
        Kind::List => parser
            .list(Parser::item)?
            .into_iter()
            .map(|(node, _)| node)
            .collect(),
        Kind::Calls => {
            let calls = parser.list(Parser::call_item)?.into_iter();
            calls.flat_map(|call| call.arguments).collect()
        }
    };
    nodes
        .iter()
        .for_each(|node| add_columns(schema, text, node));
    Ok(())
}

/// What a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One expression.
    One,
    /// Expressions with names.
    List,
    /// Calls with names.
    Calls,
}

fn add_columns(schema: &mut Schema, text: &str, node: &Node) {
    let mut skipped = None;
    match &node.kind {
        NodeKind::Column { name, .. } => {
            let zone = None;
            let checker = Checker { text, schema, zone };
            if schema.open && !checker.knows(name) {
                schema.fields.push(field(name));
            }
        }
        NodeKind::Derived(derived) => schema.add_derived(derived),
        // A bare unit of time is not a column.
        NodeKind::Call { name, .. } if takes_unit(name) => skipped = Some(0),
        _ => {}
    }
    let mut nth = 0;
    node.kind.for_each_child(|child| {
        if skipped != Some(nth) {
            add_columns(schema, text, child);
        }
        nth += 1;
    });
}

/// Returns the words of an expression's text, joined by underscores; the text itself where it has
/// no word.
fn words_of(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c| !continues_word(c))
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        text.to_owned()
    } else {
        words.join("_")
    }
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

    fn order_item(&mut self) -> Result<(Node, bool)> {
        let node = self.expression(Precedence::Or)?;
        let descending = self.take_keyword("desc").is_some();
        if !descending {
            self.take_keyword("asc");
        }
        Ok((node, descending))
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
