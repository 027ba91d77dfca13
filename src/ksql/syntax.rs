//! Statements and expressions as trees, and how ksqlDB prints them.

use std::collections::BTreeMap;
use std::fmt;

use super::decimal::Decimal;
use super::lexer::Span;
use super::names::typed;
use super::types::Type;

/// What is declared by CREATE: an endless sequence of rows, or the last row of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Rows.
    Stream,
    /// The last row of each key.
    Table,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        })
    }
}

/// A name and where it is written.
#[derive(Debug, Clone, Default)]
pub struct Name {
    /// In upper case unless it was quoted.
    pub text: String,
    /// Where.
    pub at: Span,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// CREATE STREAM|TABLE name (columns) WITH (…).
    Create(Create),
    /// CREATE STREAM|TABLE name WITH (…) AS SELECT ….
    CreateAs(CreateAs),
    /// INSERT INTO name SELECT ….
    InsertInto {
        /// The stream that takes the rows.
        name: Name,
        /// WITH (…).
        properties: Properties,
        /// Where they come from.
        query: Box<Query>,
    },
    /// INSERT INTO name (columns) VALUES (…).
    InsertValues {
        /// The stream or table that takes the row.
        name: Name,
        /// None for all columns.
        columns: Vec<Name>,
        /// The values.
        values: Vec<Expr>,
    },
    /// SELECT ….
    Query(Box<Query>),
    /// DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC].
    Drop {
        /// Stream or table.
        kind: SourceKind,
        /// Whether it may be missing.
        if_exists: bool,
        /// Which.
        name: Name,
        /// Whether its topic goes, too.
        delete_topic: bool,
    },
    /// ALTER STREAM|TABLE name ADD COLUMN ….
    Alter {
        /// Stream or table.
        kind: SourceKind,
        /// Which.
        name: Name,
        /// The new columns.
        columns: Vec<Element>,
    },
    /// CREATE TYPE name AS type.
    CreateType {
        /// The new name.
        name: Name,
        /// Whether it may be there already.
        if_not_exists: bool,
        /// What it stands for.
        of: Type,
    },
    /// DROP TYPE name.
    DropType {
        /// Which.
        name: Name,
        /// Whether it may be missing.
        if_exists: bool,
    },
    /// SET 'name'='value', or UNSET 'name'.
    Set {
        /// The property.
        name: String,
        /// `None` for UNSET.
        value: Option<String>,
    },
    /// DEFINE name='value', or UNDEFINE name.
    Define {
        /// The variable.
        name: String,
        /// `None` for UNDEFINE.
        value: Option<String>,
    },
    /// SHOW or LIST.
    Show {
        /// STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, PROPERTIES, TYPES, VARIABLES.
        what: String,
        /// Whether EXTENDED or ALL was said.
        extended: bool,
    },
    /// `DESCRIBE name [EXTENDED]`.
    Describe {
        /// A stream or table.
        name: Name,
        /// Whether EXTENDED was said.
        extended: bool,
    },
    /// DESCRIBE STREAMS, DESCRIBE TABLES.
    DescribeAll(SourceKind),
    /// DESCRIBE FUNCTION name.
    DescribeFunction(Name),
    /// EXPLAIN query or statement.
    Explain(Box<Statement>),
    /// EXPLAIN id.
    ExplainQuery(Name),
    /// PRINT topic.
    Print {
        /// Which.
        topic: String,
        /// From the beginning, not from now on.
        from_beginning: bool,
        /// Every n-th record.
        interval: Option<u64>,
        /// How many.
        limit: Option<u64>,
    },
    /// TERMINATE, PAUSE, RESUME id|ALL.
    Control {
        /// TERMINATE, PAUSE or RESUME.
        action: String,
        /// A query; `None` for all.
        query: Option<Name>,
    },
    /// RUN SCRIPT 'file'.
    RunScript(String),
    /// ASSERT …, as it is written after ASSERT.
    Assert(Assertion),
}

/// CREATE STREAM|TABLE name (columns) WITH (…).
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// Stream or table.
    pub kind: SourceKind,
    /// Whether it may take the place of another.
    pub or_replace: bool,
    /// Whether it may be there already.
    pub if_not_exists: bool,
    /// Whether it is only read: CREATE SOURCE ….
    pub is_source: bool,
    /// Its name.
    pub name: Name,
    /// Its columns.
    pub elements: Vec<Element>,
    /// WITH (…).
    pub properties: Properties,
}

/// CREATE STREAM|TABLE name WITH (…) AS SELECT ….
#[derive(Debug, Clone, PartialEq)]
pub struct CreateAs {
    /// Stream or table.
    pub kind: SourceKind,
    /// Whether it may take the place of another.
    pub or_replace: bool,
    /// Whether it may be there already.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name,
    /// WITH (…).
    pub properties: Properties,
    /// Where its rows come from.
    pub query: Box<Query>,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub of: Type,
    /// What it is beside a column of the value.
    pub role: Role,
}

/// What ASSERT says of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Assertion {
    /// ASSERT VALUES name (columns) VALUES (…): the next record has these values.
    Values {
        /// Whose records.
        name: Name,
        /// Which columns; all if none is named.
        columns: Vec<Name>,
        /// Their values.
        values: Vec<Expr>,
    },
    /// ASSERT NULL VALUES name (columns) KEY (…): the next record is a tombstone.
    Tombstone {
        /// Whose records.
        name: Name,
        /// Which columns of the key; all if none is named.
        columns: Vec<Name>,
        /// Their values.
        key: Vec<Expr>,
    },
    /// ASSERT STREAM|TABLE name (columns) WITH (…).
    Source {
        /// Stream or table.
        kind: SourceKind,
        /// Its name.
        name: Name,
        /// Its columns; not looked at if there are none.
        elements: Vec<Element>,
        /// WITH (…).
        properties: Properties,
    },
    /// ASSERT [NOT EXISTS] TOPIC name WITH (…) TIMEOUT ….
    Topic {
        /// Its name.
        name: Name,
        /// Whether it is to be there.
        is_there: bool,
        /// WITH (…).
        properties: Properties,
        /// How long to wait for it, in ms.
        timeout_ms: Option<i64>,
    },
}

/// What a declared column is filled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The record's value.
    Value,
    /// KEY.
    Key,
    /// PRIMARY KEY.
    PrimaryKey,
    /// HEADERS.
    Headers,
    /// HEADER('name').
    Header(String),
}

/// WITH (name = value, …): names in upper case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties {
    /// Each with where its value is written.
    pub entries: BTreeMap<String, (Literal, Span)>,
    /// Where WITH is written.
    pub at: Span,
}

/// A constant of WITH (…).
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `'text'`.
    Text(String),
    /// `12`, `1.5`.
    Number(String),
    /// `true`.
    Boolean(bool),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) | Literal::Number(text) => f.write_str(text),
            Literal::Boolean(value) => write!(f, "{value}"),
        }
    }
}

/// SELECT … FROM ….
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected.
    pub select: Vec<SelectItem>,
    /// The first source.
    pub from: Relation,
    /// The sources joined to it, in order.
    pub joins: Vec<Join>,
    /// WINDOW ….
    pub window: Option<Window>,
    /// WHERE ….
    pub filter: Option<Expr>,
    /// PARTITION BY ….
    pub partition_by: Option<Grouping>,
    /// GROUP BY ….
    pub group_by: Option<Grouping>,
    /// HAVING ….
    pub having: Option<Expr>,
    /// EMIT ….
    pub emit: Option<Emit>,
    /// LIMIT ….
    pub limit: Option<u64>,
    /// Where SELECT is written.
    pub at: Span,
}

/// Expressions by which rows are put together, or keyed.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// In order; none where only `()` is written.
    pub by: Vec<Expr>,
    /// Where.
    pub at: Span,
}

/// When rows of a query leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// EMIT CHANGES.
    Changes,
    /// EMIT FINAL.
    Final,
}

/// An item after SELECT.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// `*`, `source.*`.
    Star {
        /// All sources if none.
        source: Option<Name>,
        /// Where.
        at: Span,
    },
    /// `struct->*`.
    StructStar(Expr),
    /// `expression [AS alias]`.
    Single {
        /// What.
        expr: Expr,
        /// Its name.
        alias: Option<Name>,
    },
}

/// A source and the name it has in the query.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// The stream or table.
    pub name: Name,
    /// The alias, or the same name.
    pub alias: Name,
}

/// JOIN relation [WITHIN …] ON ….
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// INNER, LEFT, RIGHT, FULL.
    pub kind: JoinKind,
    /// The right side.
    pub right: Relation,
    /// WITHIN … [GRACE PERIOD …].
    pub within: Option<Within>,
    /// ON ….
    pub on: Expr,
    /// Where JOIN is written.
    pub at: Span,
}

/// Which rows without a partner are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left side.
    Left,
    /// Those of the right side.
    Right,
    /// All.
    Outer,
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT OUTER",
            JoinKind::Right => "RIGHT OUTER",
            JoinKind::Outer => "FULL OUTER",
        })
    }
}

/// How far apart the rows of a stream-stream join may be, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// How much earlier the right row may be.
    pub before_ms: i64,
    /// How much later the right row may be.
    pub after_ms: i64,
    /// GRACE PERIOD.
    pub grace_ms: Option<i64>,
}

/// WINDOW ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Which windows.
    pub kind: WindowKind,
    /// RETENTION, in ms.
    pub retention_ms: Option<i64>,
    /// GRACE PERIOD, in ms.
    pub grace_ms: Option<i64>,
    /// Where.
    pub at: Span,
}

/// Kinds of windows; sizes in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// TUMBLING (SIZE …).
    Tumbling {
        /// From start to end.
        size_ms: i64,
    },
    /// HOPPING (SIZE …, ADVANCE BY …).
    Hopping {
        /// From start to end.
        size_ms: i64,
        /// From start to start.
        advance_ms: i64,
    },
    /// SESSION (gap).
    Session {
        /// The longest time without a record.
        gap_ms: i64,
    },
}

/// An expression and where it is written. Equality is by what it says alone.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it says.
    pub kind: Box<ExprKind>,
    /// Where.
    pub at: Span,
    /// How deeply its parts are nested.
    pub depth: u32,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// NULL.
    Null,
    /// TRUE, FALSE.
    Boolean(bool),
    /// A whole number of 32 bits.
    Int(i32),
    /// A whole number of 64 bits.
    Bigint(i64),
    /// A number with an exponent.
    Double(f64),
    /// A number with a fraction.
    Decimal(Decimal),
    /// A text.
    String(String),
    /// A column, or a parameter of a lambda.
    Column {
        /// The source before the dot.
        source: Option<Name>,
        /// Its name.
        name: Name,
    },
    /// DAYS, HOURS, … as an argument.
    Unit(String),
    /// `-x`.
    Negate(Expr),
    /// `NOT x`.
    Not(Expr),
    /// `a + b`, `a || b`.
    Arithmetic(Operator, Expr, Expr),
    /// `a < b`.
    Comparison(Comparison, Expr, Expr),
    /// `a AND b`.
    And(Expr, Expr),
    /// `a OR b`.
    Or(Expr, Expr),
    /// `x BETWEEN low AND high`.
    Between(Expr, Expr, Expr),
    /// `x IN (…)`.
    In(Expr, Vec<Expr>),
    /// `x LIKE pattern ESCAPE c`.
    Like(Expr, Expr, Option<char>),
    /// `x IS NULL`.
    IsNull(Expr),
    /// `CASE [operand] WHEN … THEN … ELSE … END`.
    Case {
        /// The simple form's operand.
        operand: Option<Expr>,
        /// Conditions and results.
        whens: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Expr>,
    },
    /// `f(a, b)`.
    Call(Name, Vec<Expr>),
    /// `CAST(x AS type)`.
    Cast(Expr, Type),
    /// `x->name`.
    Field(Expr, Name),
    /// `x[i]`.
    Index(Expr, Expr),
    /// `ARRAY[…]`.
    Array(Vec<Expr>),
    /// `MAP(k := v, …)`.
    Map(Vec<(Expr, Expr)>),
    /// `STRUCT(name := v, …)`.
    Struct(Vec<(Name, Expr)>),
    /// `(a, b) => body`.
    Lambda(Vec<Name>, Expr),
}

/// An operator between numbers or texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`, `||`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Operator {
    /// Returns how it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
        }
    }
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// IS DISTINCT FROM
    Distinct,
    /// IS NOT DISTINCT FROM
    NotDistinct,
}

impl Comparison {
    /// Returns how it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Distinct => "IS DISTINCT FROM",
            Comparison::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }

    /// Returns ksqlDB's word for it, as its messages have it.
    pub fn word(self) -> &'static str {
        match self {
            Comparison::Equal => "EQUAL",
            Comparison::NotEqual => "NOT_EQUAL",
            Comparison::Less => "LESS_THAN",
            Comparison::LessOrEqual => "LESS_THAN_OR_EQUAL",
            Comparison::Greater => "GREATER_THAN",
            Comparison::GreaterOrEqual => "GREATER_THAN_OR_EQUAL",
            Comparison::Distinct => "IS_DISTINCT_FROM",
            Comparison::NotDistinct => "IS_NOT_DISTINCT_FROM",
        }
    }
}

impl Expr {
    /// Returns an expression.
    pub fn new(kind: ExprKind, at: Span) -> Self {
        let mut depth = 0;
        kind.for_each(&mut |part: &Expr| depth = depth.max(part.depth));
        Expr {
            kind: Box::new(kind),
            at,
            depth: depth + 1,
        }
    }

    /// Returns a column without a source.
    pub fn column(name: &str, at: Span) -> Self {
        let name = Name {
            text: name.to_owned(),
            at,
        };
        Expr::new(ExprKind::Column { source: None, name }, at)
    }

    /// Calls `visit` with it and, while that returns true, with its parts.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr) -> bool) {
        if visit(self) {
            self.kind.for_each(&mut |part| part.walk(visit));
        }
    }

    /// Returns whether it or a part of it is so.
    pub fn any(&self, is: &mut impl FnMut(&Expr) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |part| {
            found = found || is(part);
            !found
        });
        found
    }

    /// Returns it with the parts that `replace` gives something for replaced by that.
    pub fn rewrite(&self, replace: &mut impl FnMut(&Expr) -> Option<Expr>) -> Expr {
        if let Some(other) = replace(self) {
            return other;
        }
        let mut copy = self.clone();
        copy.kind
            .for_each_mut(&mut |part| *part = part.rewrite(replace));
        Expr::new(*copy.kind, self.at)
    }
}

/// Goes through the parts of an expression; for a shared and for an exclusive borrow.
macro_rules! parts {
    ($name:ident, $part:ty, $iter:ident, $($mut:tt)?) => {
        pub(crate) fn $name<'a>(self: &'a $($mut)? ExprKind, visit: &mut impl FnMut($part)) {
            match self {
                ExprKind::Negate(a) | ExprKind::Not(a) | ExprKind::IsNull(a)
                | ExprKind::Cast(a, _) | ExprKind::Field(a, _) | ExprKind::Lambda(_, a) => visit(a),
                ExprKind::Arithmetic(_, a, b) | ExprKind::Comparison(_, a, b)
                | ExprKind::And(a, b) | ExprKind::Or(a, b) | ExprKind::Like(a, b, _)
                | ExprKind::Index(a, b) => {
                    visit(a);
                    visit(b);
                }
                ExprKind::Between(a, b, c) => {
                    visit(a);
                    visit(b);
                    visit(c);
                }
                ExprKind::In(a, list) => {
                    visit(a);
                    list.$iter().for_each(visit);
                }
                ExprKind::Case { operand, whens, otherwise } => {
                    operand.$iter().for_each(&mut *visit);
                    for (when, then) in whens {
                        visit(when);
                        visit(then);
                    }
                    otherwise.$iter().for_each(visit);
                }
                ExprKind::Call(_, list) | ExprKind::Array(list) => list.$iter().for_each(visit),
                ExprKind::Map(entries) => {
                    for (key, value) in entries {
                        visit(key);
                        visit(value);
                    }
                }
                ExprKind::Struct(fields) => {
                    for (_, value) in fields {
                        visit(value);
                    }
                }
                ExprKind::Null | ExprKind::Boolean(_) | ExprKind::Int(_) | ExprKind::Bigint(_)
                | ExprKind::Double(_) | ExprKind::Decimal(_) | ExprKind::String(_)
                | ExprKind::Column { .. } | ExprKind::Unit(_) => {}
            }
        }
    };
}

impl ExprKind {
    parts!(for_each, &'a Expr, iter,);
    parts!(for_each_mut, &'a mut Expr, iter_mut, mut);
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns what stands before `->` or `[`, in brackets where a sign would take it all.
fn base(expr: &Expr) -> String {
    let text = expr.to_string();
    if text.starts_with('-') {
        format!("({text})")
    } else {
        text
    }
}

/// As ksqlDB prints expressions.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[Expr]| {
            items
                .iter()
                .map(Expr::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        match &*self.kind {
            ExprKind::Null => f.write_str("null"),
            ExprKind::Boolean(value) => write!(f, "{value}"),
            ExprKind::Int(value) => write!(f, "{value}"),
            ExprKind::Bigint(value) => write!(f, "{value}"),
            // With an exponent, or it would be a decimal when it is read again.
            ExprKind::Double(value) => write!(f, "{value:E}"),
            ExprKind::Decimal(value) if value.scale() == 0 => write!(f, "{value}."),
            ExprKind::Decimal(value) => write!(f, "{value}"),
            ExprKind::String(value) => f.write_str(&text(value)),
            ExprKind::Column {
                source: Some(source),
                name,
            } if !source.text.is_empty() => {
                write!(f, "{}.{}", typed(&source.text), typed(&name.text))
            }
            ExprKind::Column { name, .. } => f.write_str(&typed(&name.text)),
            ExprKind::Unit(unit) => f.write_str(unit),
            ExprKind::Negate(a) => {
                let text = a.to_string();
                // `--` begins a comment, and a number takes the sign for its own.
                match text.starts_with(|c: char| c == '-' || c == '.' || c.is_ascii_digit()) {
                    true => write!(f, "-({text})"),
                    false => write!(f, "-{text}"),
                }
            }
            ExprKind::Not(a) => write!(f, "(NOT {a})"),
            ExprKind::Arithmetic(operator, a, b) => write!(f, "({a} {} {b})", operator.symbol()),
            ExprKind::Comparison(comparison, a, b) => {
                write!(f, "({a} {} {b})", comparison.symbol())
            }
            ExprKind::And(a, b) => write!(f, "({a} AND {b})"),
            ExprKind::Or(a, b) => write!(f, "({a} OR {b})"),
            ExprKind::Between(a, low, high) => write!(f, "({a} BETWEEN {low} AND {high})"),
            ExprKind::In(a, items) => write!(f, "({a} IN ({}))", list(items)),
            ExprKind::Like(a, pattern, None) => write!(f, "({a} LIKE {pattern})"),
            ExprKind::Like(a, pattern, Some(escape)) => {
                let escape = text(&escape.to_string());
                write!(f, "({a} LIKE {pattern} ESCAPE {escape})")
            }
            ExprKind::IsNull(a) => write!(f, "({a} IS NULL)"),
            ExprKind::Case {
                operand,
                whens,
                otherwise,
            } => {
                f.write_str("(CASE")?;
                operand
                    .iter()
                    .try_for_each(|operand| write!(f, " {operand}"))?;
                whens
                    .iter()
                    .try_for_each(|(when, then)| write!(f, " WHEN {when} THEN {then}"))?;
                otherwise
                    .iter()
                    .try_for_each(|otherwise| write!(f, " ELSE {otherwise}"))?;
                f.write_str(" END)")
            }
            ExprKind::Call(name, arguments) => write!(f, "{name}({})", list(arguments)),
            ExprKind::Cast(a, of) => write!(f, "CAST({a} AS {of})"),
            ExprKind::Field(a, name) => write!(f, "{}->{}", base(a), typed(&name.text)),
            ExprKind::Index(a, index) => write!(f, "{}[{index}]", base(a)),
            ExprKind::Array(items) => write!(f, "ARRAY[{}]", list(items)),
            ExprKind::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{key}:={value}"));
                write!(f, "MAP({})", entries.collect::<Vec<_>>().join(", "))
            }
            ExprKind::Struct(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("{}:={value}", typed(&name.text)));
                write!(f, "STRUCT({})", fields.collect::<Vec<_>>().join(", "))
            }
            ExprKind::Lambda(names, body) => {
                let names: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
                match names[..] {
                    [name] => write!(f, "{name} => {body}"),
                    _ => write!(f, "({}) => {body}", names.join(", ")),
                }
            }
        }
    }
}
