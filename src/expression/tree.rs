//! The typed tree: columns by index, types settled, constants folded. It is what is evaluated.

use hashbrown::HashSet;

use super::functions::Function;
use super::like::Matcher;
use super::scalar::Scalar;
use super::syntax::{Arithmetic, Comparison, Connective, Span, Test};
use crate::column::DataType;

/// A node whose operands have the types its operation needs.
#[derive(Debug)]
pub(super) struct Typed {
    pub operation: Operation,
    pub data_type: DataType,
    /// Where it is in the typed text, for failures.
    pub span: Span,
}

#[derive(Debug)]
pub(super) enum Operation {
    /// A bare `null`, which takes the type of its neighbours; its data type means nothing yet.
    Null,
    Constant(Scalar<Box<str>>),
    /// A column's index in the schema.
    Column(usize),
    Negate(Box<Typed>),
    Not(Box<Typed>),
    Logical(Connective, Vec<Typed>),
    /// Both sides have one type.
    Compare(Comparison, Box<Typed>, Box<Typed>),
    /// Both sides are bigint, or double, or decimal.
    Arithmetic(Arithmetic, Box<Typed>, Box<Typed>),
    Concatenate(Box<Typed>, Box<Typed>),
    Is {
        operand: Box<Typed>,
        test: Test,
        negated: bool,
    },
    Between {
        operand: Box<Typed>,
        low: Box<Typed>,
        high: Box<Typed>,
    },
    In {
        operand: Box<Typed>,
        list: Vec<Typed>,
    },
    /// `in` with more constants than are worth comparing one by one.
    Member {
        operand: Box<Typed>,
        set: Set,
        has_null: bool,
    },
    Like {
        operand: Box<Typed>,
        pattern: Pattern,
    },
    Case {
        /// What the branches are compared with; without it they are conditions.
        operand: Option<Box<Typed>>,
        branches: Vec<(Typed, Typed)>,
        otherwise: Option<Box<Typed>>,
    },
    /// To the node's own data type.
    Cast {
        operand: Box<Typed>,
        attempt: bool,
    },
    Call {
        function: &'static Function,
        arguments: Vec<Typed>,
    },
}

/// What a text is matched with.
#[derive(Debug)]
pub(super) enum Pattern {
    Constant(Matcher),
    Each {
        pattern: Box<Typed>,
        escape: Option<char>,
    },
}

#[derive(Debug)]
pub(super) enum Set {
    Bigint(HashSet<i64>),
    Text(HashSet<Box<str>>),
}

impl Typed {
    /// Returns the constant that it is, if it is one.
    pub fn constant(&self) -> Option<&Scalar<Box<str>>> {
        match &self.operation {
            Operation::Null => Some(&Scalar::Null),
            Operation::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// Visits this node and all below it.
    pub fn visit<'t>(&'t self, visit: &mut impl FnMut(&'t Typed)) {
        visit(self);
        self.for_each_child(&mut |child| child.visit(visit));
    }

    /// Calls `visit` with each operand, from left to right.
    pub fn for_each_child<'t>(&'t self, visit: &mut dyn FnMut(&'t Typed)) {
        match &self.operation {
            Operation::Null | Operation::Constant(_) | Operation::Column(_) => {}
            Operation::Negate(operand)
            | Operation::Not(operand)
            | Operation::Is { operand, .. }
            | Operation::Member { operand, .. }
            | Operation::Cast { operand, .. } => visit(operand),
            Operation::Logical(_, operands)
            | Operation::Call {
                arguments: operands,
                ..
            } => operands.iter().for_each(visit),
            Operation::Compare(_, left, right)
            | Operation::Arithmetic(_, left, right)
            | Operation::Concatenate(left, right) => {
                visit(left);
                visit(right);
            }
            Operation::Between { operand, low, high } => {
                visit(operand);
                visit(low);
                visit(high);
            }
            Operation::In { operand, list } => {
                visit(operand);
                list.iter().for_each(visit);
            }
            Operation::Like { operand, pattern } => {
                visit(operand);
                if let Pattern::Each { pattern, .. } = pattern {
                    visit(pattern);
                }
            }
            Operation::Case {
                operand,
                branches,
                otherwise,
            } => {
                operand.iter().for_each(|operand| visit(operand));
                for (when, then) in branches {
                    visit(when);
                    visit(then);
                }
                otherwise.iter().for_each(|otherwise| visit(otherwise));
            }
        }
    }
}
