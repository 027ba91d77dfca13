//! What names a column beside one word: paths such as `user.id`, parts of the record such as `@key`; in
//! expressions, and in flags that take a column.

use super::lexer::TokenKind;
use super::parser::{MAX_DEPTH, Parser};
use super::syntax::{Node, NodeKind, Span};
use crate::column::Schema;
use crate::column::derived::{Derived, PARTS, Part, Path, Step};
use crate::column::known::field;
use crate::column::name::{nearest, quoted_name};
use crate::error::{Error, Result};

impl Parser<'_> {
    /// Reads what follows a column's name: the steps of a path, or nothing.
    pub(super) fn column(&mut self, name: String, quoted: bool, mut span: Span) -> Result<Node> {
        let mut steps = Vec::new();
        loop {
            if self
                .take_symbol(".")
                .or_else(|| self.take_symbol("->"))
                .is_some()
            {
                let name = match &self.peek().kind {
                    TokenKind::Word => self.word().to_owned(),
                    TokenKind::Name { name, .. } => name.clone(),
                    _ => return Err(self.expected("the name of a member")),
                };
                span = span.to(self.advance().span);
                steps.push(Step::Member(name));
            } else if self.take_symbol("[").is_some() {
                let sign = self.take_symbol("-").map_or("", |_| "-");
                let nth = match self.peek().kind {
                    TokenKind::Integer => format!("{sign}{}", self.word()).parse().ok(),
                    _ => None,
                };
                let nth = nth.ok_or_else(|| self.expected("the number of an element, from 0"))?;
                self.advance();
                span = span.to(self.need_symbol("]")?);
                steps.push(Step::Element(nth));
            } else {
                break;
            }
            if steps.len() > MAX_DEPTH {
                return Err(self.too_deep(span));
            }
        }
        let kind = if steps.is_empty() {
            NodeKind::Column { name, quoted }
        } else {
            NodeKind::Derived(Derived::Path(Path {
                member: name,
                steps,
            }))
        };
        self.node(kind, span)
    }

    /// Reads `@key` or `@header('…')`.
    pub(super) fn part(&mut self) -> Result<Node> {
        let name = self.word().trim_start_matches('@').to_lowercase();
        let mut span = self.advance().span;
        let part = match Part::named(&name) {
            Some(part) => part,
            None if name == "header" => {
                self.need_symbol("(")?;
                let TokenKind::Text(header) = self.peek().kind.clone() else {
                    return Err(self.expected("the name of a header, in quotes"));
                };
                self.advance();
                span = span.to(self.need_symbol(")")?);
                Part::Header(header)
            }
            None => {
                let error = Error::usage(format!("unknown part `@{name}` of a record"));
                return Err(error
                    .at(self.text, span.start, span.end)
                    .hint(format!("the parts are {PARTS}"))
                    .hint(format!("if a column has that name, write `\"@{name}\"`")));
            }
        };
        self.node(NodeKind::Derived(Derived::Part(part)), span)
    }
}

/// What a flag means by a name.
enum Reference {
    Field(String),
    Derived(Derived),
}

/// Reads a name as expressions do, where they read a column; else it is one already.
fn reference(name: &str) -> Reference {
    match Parser::new(name).and_then(|mut parser| parser.whole()) {
        Ok(node) => match node.kind {
            NodeKind::Derived(derived) => Reference::Derived(derived),
            NodeKind::Column { name, .. } => Reference::Field(name),
            _ => Reference::Field(name.to_owned()),
        },
        Err(_) => Reference::Field(name.to_owned()),
    }
}

/// Returns the index of the column that a flag names.
pub fn column_named(schema: &Schema, name: &str) -> Option<usize> {
    match reference(name) {
        Reference::Field(name) => schema.index_of(&name),
        Reference::Derived(derived) => schema.index_of_derived(&derived),
    }
}

/// Returns a column as expressions, and flags that take a column, name it.
pub fn column_text(schema: &Schema, index: usize) -> String {
    let name = &schema.fields[index].name;
    match schema.is_derived(index) {
        true => name.clone(),
        // `none` says for some flags that there is no column.
        false if name == "none" => format!("\"{name}\""),
        false => quoted_name(name),
    }
}

/// Returns the index of the field or member that is called exactly `name`; `None` for a path in
/// records of which each may have a member of that name, or not: those are read by the path.
pub fn column_as_it_stands(schema: &Schema, name: &str) -> Option<usize> {
    let index = schema.index_of(name)?;
    (!schema.open || !is_path(name)).then_some(index)
}

/// Returns whether a name is that of a path, as messages write it.
pub fn is_path(name: &str) -> bool {
    match reference(name) {
        Reference::Derived(Derived::Path(path)) => path.to_string() == name,
        _ => false,
    }
}

/// Adds the column that a flag names and a schema has not, where it may have it.
pub fn add_column(schema: &mut Schema, name: &str) {
    match reference(name) {
        Reference::Derived(derived) => schema.add_derived(&derived),
        Reference::Field(name) if schema.open && schema.index_of(&name).is_none() => {
            schema.fields.push(field(name));
        }
        Reference::Field(_) => {}
    }
}

/// Returns the error of a flag that names a column which is not there.
pub fn unknown_column(schema: &Schema, name: &str, flag: &str) -> Error {
    let error = Error::usage(format!("unknown column `{name}` in `{flag}`"));
    match reference(name) {
        Reference::Derived(Derived::Part(part)) => without_parts(error, &part),
        _ => error.hint(format!("the columns are {}", schema.names())),
    }
}

/// Adds to the error about a part of records that have none, where there are some.
pub(super) fn without_parts(error: Error, part: &Part) -> Error {
    error
        .hint(format!(
            "only records of a topic have {PARTS}: read the topic, or the JSON that `k consume` prints"
        ))
        .hint(format!("if a column has that name, write `\"{part}\"`"))
}

/// Returns what was probably meant by the name of a column that no record has had so far.
pub fn suggestion(schema: &Schema, name: &str) -> Option<String> {
    let lies_deeper = schema.nested.iter().find(|path| match path.steps.last() {
        Some(Step::Member(last)) => last.eq_ignore_ascii_case(name),
        _ => false,
    });
    if let Some(path) = lies_deeper {
        return Some(path.to_string());
    }
    let nested: Vec<String> = schema.nested.iter().map(Path::to_string).collect();
    let fields = (0..schema.fields.len()).filter(|&index| !schema.is_derived(index));
    let fields = fields.map(|index| schema.fields[index].name.as_str());
    let others = fields.chain(nested.iter().map(String::as_str));
    nearest(name, others.filter(|other| *other != name)).map(str::to_owned)
}
