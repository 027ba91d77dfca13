//! The untyped tree of an expression, as typed.
//!
//! In: what the parser read. Out: the tree that [`super::types`] checks, and the canonical text
//! ([`std::fmt::Display`]): lower-case keywords, single spaces, no needless parentheses; parsed
//! again it gives the same tree.

use std::fmt;

use super::scalar::Scalar;
use crate::column::DataType;
use crate::column::derived::Derived;
use crate::column::name::quoted_name;
use crate::term::units::format_time;

/// A part of the typed text, in bytes, half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Returns the smallest span that holds both.
    pub(super) fn to(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// One node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub kind: NodeKind,
    pub span: Span,
    /// The longest way down to a leaf; a leaf has 1.
    pub depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Literal(Scalar<Box<str>>),
    /// `timestamp '…'`, in ms since 1970, UTC.
    Time(i64),
    Column {
        name: String,
        /// Whether it was in double quotes, as people from other languages write text.
        quoted: bool,
    },
    /// A path into JSON, or a part of the record.
    Derived(Derived),
    Negate(Box<Node>),
    Not(Box<Node>),
    /// Two or more operands, never of the same connective.
    Logical(Connective, Vec<Node>),
    Binary {
        operator: Binary,
        left: Box<Node>,
        right: Box<Node>,
    },
    Is {
        operand: Box<Node>,
        test: Test,
        negated: bool,
    },
    Between {
        operand: Box<Node>,
        low: Box<Node>,
        high: Box<Node>,
        negated: bool,
    },
    In {
        operand: Box<Node>,
        list: Vec<Node>,
        negated: bool,
    },
    Like {
        operand: Box<Node>,
        pattern: Box<Node>,
        escape: Option<char>,
        negated: bool,
    },
    Case {
        operand: Option<Box<Node>>,
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Cast {
        operand: Box<Node>,
        to: DataType,
        /// `try_cast`: null where the value does not fit.
        attempt: bool,
    },
    Call {
        name: String,
        name_span: Span,
        arguments: Vec<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

/// What `is` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Null,
    True,
    False,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Compare(Comparison),
    Arithmetic(Arithmetic),
    Concatenate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// As `<>`, but null is a value like any other.
    Distinct,
    /// As `=`, but null is a value like any other.
    NotDistinct,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// How tightly an operator binds, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    Or,
    And,
    Not,
    Comparison,
    Concatenate,
    Add,
    Multiply,
    Negate,
    Atom,
}

impl Node {
    pub fn new(kind: NodeKind, span: Span) -> Self {
        let mut depth = 0;
        kind.for_each_child(|child| depth = depth.max(child.depth));
        Node {
            kind,
            span,
            depth: depth + 1,
        }
    }
}

impl NodeKind {
    pub fn for_each_child(&self, mut visit: impl FnMut(&Node)) {
        match self {
            NodeKind::Literal(_)
            | NodeKind::Time(_)
            | NodeKind::Column { .. }
            | NodeKind::Derived(_) => {}
            NodeKind::Negate(operand)
            | NodeKind::Not(operand)
            | NodeKind::Is { operand, .. }
            | NodeKind::Cast { operand, .. } => visit(operand),
            NodeKind::Logical(_, operands) => operands.iter().for_each(visit),
            NodeKind::Call { arguments, .. } => arguments.iter().for_each(visit),
            NodeKind::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            NodeKind::Between {
                operand, low, high, ..
            } => {
                visit(operand);
                visit(low);
                visit(high);
            }
            NodeKind::In { operand, list, .. } => {
                visit(operand);
                list.iter().for_each(visit);
            }
            NodeKind::Like {
                operand, pattern, ..
            } => {
                visit(operand);
                visit(pattern);
            }
            NodeKind::Case {
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

    fn precedence(&self) -> Precedence {
        match self {
            NodeKind::Logical(Connective::Or, _) => Precedence::Or,
            NodeKind::Logical(Connective::And, _) => Precedence::And,
            NodeKind::Not(_) => Precedence::Not,
            NodeKind::Is { .. }
            | NodeKind::Between { .. }
            | NodeKind::In { .. }
            | NodeKind::Like { .. } => Precedence::Comparison,
            NodeKind::Binary { operator, .. } => operator.precedence(),
            NodeKind::Negate(_) => Precedence::Negate,
            _ => Precedence::Atom,
        }
    }
}

impl Binary {
    pub fn precedence(self) -> Precedence {
        match self {
            Binary::Compare(_) => Precedence::Comparison,
            Binary::Concatenate => Precedence::Concatenate,
            Binary::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => Precedence::Add,
            Binary::Arithmetic(_) => Precedence::Multiply,
        }
    }
}

impl Precedence {
    /// Returns the next tighter one: what the right operand of a left-associative operator needs.
    pub fn tighter(self) -> Precedence {
        match self {
            Precedence::Or => Precedence::And,
            Precedence::And => Precedence::Not,
            Precedence::Not => Precedence::Comparison,
            Precedence::Comparison => Precedence::Concatenate,
            Precedence::Concatenate => Precedence::Add,
            Precedence::Add => Precedence::Multiply,
            Precedence::Multiply => Precedence::Negate,
            Precedence::Negate | Precedence::Atom => Precedence::Atom,
        }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Binary::Compare(Comparison::Equal) => "=",
            Binary::Compare(Comparison::NotEqual) => "<>",
            Binary::Compare(Comparison::Less) => "<",
            Binary::Compare(Comparison::LessOrEqual) => "<=",
            Binary::Compare(Comparison::Greater) => ">",
            Binary::Compare(Comparison::GreaterOrEqual) => ">=",
            Binary::Compare(Comparison::Distinct) => "is distinct from",
            Binary::Compare(Comparison::NotDistinct) => "is not distinct from",
            Binary::Arithmetic(Arithmetic::Add) => "+",
            Binary::Arithmetic(Arithmetic::Subtract) => "-",
            Binary::Arithmetic(Arithmetic::Multiply) => "*",
            Binary::Arithmetic(Arithmetic::Divide) => "/",
            Binary::Arithmetic(Arithmetic::Remainder) => "%",
            Binary::Concatenate => "||",
        })
    }
}

impl fmt::Display for Connective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Connective::And => "and",
            Connective::Or => "or",
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.kind.precedence();
        match &self.kind {
            NodeKind::Literal(value) => write_literal(f, value),
            NodeKind::Time(at) => write!(f, "timestamp '{}'", format_time(*at)),
            NodeKind::Column { name, .. } => write_name(f, name),
            NodeKind::Derived(derived) => write!(f, "{derived}"),
            NodeKind::Negate(operand) => match operand.kind {
                NodeKind::Literal(_) => write!(f, "-({operand})"), // not the literal -1
                NodeKind::Negate(_) => write!(f, "- {operand}"),   // not a comment
                _ => write!(f, "-{}", Within(operand, own)),
            },
            NodeKind::Not(operand) => write!(f, "not {}", Within(operand, own)),
            NodeKind::Logical(connective, operands) => {
                for (at, operand) in operands.iter().enumerate() {
                    if at > 0 {
                        write!(f, " {connective} ")?;
                    }
                    write!(f, "{}", Within(operand, own.tighter()))?;
                }
                Ok(())
            }
            NodeKind::Binary {
                operator,
                left,
                right,
            } => {
                let left_needs = match operator {
                    Binary::Compare(_) => own.tighter(),
                    _ => own,
                };
                let (left, right) = (Within(left, left_needs), Within(right, own.tighter()));
                write!(f, "{left} {operator} {right}")
            }
            NodeKind::Is {
                operand,
                test,
                negated,
            } => {
                let test = match test {
                    Test::Null => "null",
                    Test::True => "true",
                    Test::False => "false",
                };
                let operand = Within(operand, own.tighter());
                write!(f, "{operand} is {}{test}", not(*negated))
            }
            NodeKind::Between {
                operand,
                low,
                high,
                negated,
            } => {
                let [operand, low, high] =
                    [operand, low, high].map(|child| Within(child, own.tighter()));
                write!(f, "{operand} {}between {low} and {high}", not(*negated))
            }
            NodeKind::In {
                operand,
                list,
                negated,
            } => {
                let operand = Within(operand, own.tighter());
                write!(f, "{operand} {}in ({})", not(*negated), List(list))
            }
            NodeKind::Like {
                operand,
                pattern,
                escape,
                negated,
            } => {
                let [operand, pattern] =
                    [operand, pattern].map(|child| Within(child, own.tighter()));
                write!(f, "{operand} {}like {pattern}", not(*negated))?;
                match escape {
                    Some('\'') => f.write_str(" escape ''''"),
                    Some(escape) => write!(f, " escape '{escape}'"),
                    None => Ok(()),
                }
            }
            NodeKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                f.write_str("case")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                for (when, then) in branches {
                    write!(f, " when {when} then {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " else {otherwise}")?;
                }
                f.write_str(" end")
            }
            NodeKind::Cast {
                operand,
                to,
                attempt,
            } => {
                let name = if *attempt { "try_cast" } else { "cast" };
                write!(f, "{name}({operand} as {to})")
            }
            NodeKind::Call {
                name, arguments, ..
            } => write!(f, "{name}({})", List(arguments)),
        }
    }
}

/// A child, in parentheses where it binds more loosely than its place needs.
struct Within<'n>(&'n Node, Precedence);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.kind.precedence() < self.1 {
            write!(f, "({})", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

struct List<'n>(&'n [Node]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{node}")?;
        }
        Ok(())
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

fn write_literal(f: &mut fmt::Formatter<'_>, value: &Scalar<Box<str>>) -> fmt::Result {
    match value {
        Scalar::Null => f.write_str("null"),
        Scalar::Bigint(value) => write!(f, "{value}"),
        Scalar::Double(value) => write!(f, "{value:?}"),
        Scalar::Decimal(value) => write!(f, "decimal '{value}'"),
        Scalar::Boolean(value) => write!(f, "{value}"),
        Scalar::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
    }
}

/// Writes a column's name, in double quotes where it would not be read as a name otherwise.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    f.write_str(&quoted_name(name))
}
