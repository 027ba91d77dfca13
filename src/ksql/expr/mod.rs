//! Expressions of which every part has a type, and their values over rows.
//!
//! [`compile()`] finds columns, functions and types once for a query; [`Node::eval`] is then called
//! for each row. An expression that fails for a row, by a division by zero or a text that is not a
//! number, is null there, as in ksqlDB.

mod cast;
mod compile;
mod eval;
mod unify;

use std::collections::BTreeSet;

use super::functions::Scalar;
use super::syntax::{Comparison, Operator};
use super::types::Type;
use super::value::Value;

pub use cast::{can_cast, cast};
pub use compile::{Compiler, compile};
pub use eval::Env;

/// An expression with its type.
#[derive(Debug, Clone)]
pub struct Node {
    kind: Kind,
    /// `None` of a bare NULL, which has none.
    pub of: Option<Type>,
}

/// What an expression does.
#[derive(Debug, Clone)]
enum Kind {
    Constant(Value),
    Column(usize),
    /// A lambda's parameter: of the lambda so many levels out, which of them.
    Parameter(usize, usize),
    Negate(Box<Node>),
    Not(Box<Node>),
    Arithmetic(Operator, Box<Node>, Box<Node>),
    Comparison(Comparison, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Between(Box<Node>, Box<Node>, Box<Node>),
    In(Box<Node>, Vec<Node>),
    Like(Box<Node>, Box<Node>, Option<char>),
    IsNull(Box<Node>),
    /// Conditions with results, and ELSE.
    Case(Vec<(Node, Node)>, Box<Node>),
    Call(&'static Scalar, Vec<Node>, Vec<Type>),
    Cast(Box<Node>),
    Field(Box<Node>, usize),
    Element(Box<Node>, Box<Node>),
    Entry(Box<Node>, Box<Node>),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Struct(Vec<Node>),
    /// The body, as an argument of a call.
    Lambda(Box<Node>),
}

impl Node {
    /// Returns the type of a column made of it: STRING for a bare NULL, which has none of its own.
    pub fn type_or_string(&self) -> Type {
        self.of.clone().unwrap_or(Type::String)
    }

    /// Returns the constant it is.
    pub fn as_constant(&self) -> Option<&Value> {
        match &self.kind {
            Kind::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Returns a column of the row.
    pub fn column(index: usize, of: Type) -> Self {
        Node {
            kind: Kind::Column(index),
            of: Some(of),
        }
    }

    /// Returns the index of the column that it is, if it is nothing but a column.
    pub fn as_column(&self) -> Option<usize> {
        match self.kind {
            Kind::Column(index) => Some(index),
            _ => None,
        }
    }

    /// Adds the indexes of the columns that it reads.
    pub fn add_columns(&self, columns: &mut BTreeSet<usize>) {
        let mut add = |node: &Node| node.add_columns(columns);
        match &self.kind {
            Kind::Column(index) => {
                columns.insert(*index);
            }
            Kind::Constant(_) | Kind::Parameter(..) => {}
            Kind::Negate(inner)
            | Kind::Not(inner)
            | Kind::IsNull(inner)
            | Kind::Cast(inner)
            | Kind::Field(inner, _)
            | Kind::Lambda(inner) => add(inner),
            Kind::Arithmetic(_, left, right)
            | Kind::Comparison(_, left, right)
            | Kind::And(left, right)
            | Kind::Or(left, right)
            | Kind::Like(left, right, _)
            | Kind::Element(left, right)
            | Kind::Entry(left, right) => [left, right].into_iter().for_each(|node| add(node)),
            Kind::Between(inner, low, high) => {
                [inner, low, high].into_iter().for_each(|node| add(node));
            }
            Kind::In(inner, items) => {
                add(inner);
                items.iter().for_each(add);
            }
            Kind::Case(whens, otherwise) => {
                whens
                    .iter()
                    .for_each(|(when, then)| [when, then].into_iter().for_each(&mut add));
                add(otherwise);
            }
            Kind::Call(_, items, _) | Kind::Array(items) | Kind::Struct(items) => {
                items.iter().for_each(add);
            }
            Kind::Map(entries) => {
                entries
                    .iter()
                    .for_each(|(key, value)| [key, value].into_iter().for_each(&mut add));
            }
        }
    }

    /// Returns it as a value of another type.
    pub fn cast_to(self, of: Type) -> Self {
        if self.of.as_ref() == Some(&of) {
            return self;
        }
        match self.of {
            None => Node {
                of: Some(of),
                ..self
            },
            Some(_) => Node {
                kind: Kind::Cast(Box::new(self)),
                of: Some(of),
            },
        }
    }
}
