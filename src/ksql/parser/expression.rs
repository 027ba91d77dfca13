//! Expressions, the loosest operator first.

use super::Parser;
use crate::error::Result;
use crate::ksql::decimal::Decimal;
use crate::ksql::functions;
use crate::ksql::lexer::{Kind, Span, Token};
use crate::ksql::names;
use crate::ksql::syntax::{Comparison, Expr, ExprKind, Name, Operator};

/// The units of time that may stand as an argument: `TIMESTAMPADD(MINUTES, 5, t)`.
const UNITS: [&str; 14] = [
    "DAY",
    "DAYS",
    "HOUR",
    "HOURS",
    "MINUTE",
    "MINUTES",
    "SECOND",
    "SECONDS",
    "MILLISECOND",
    "MILLISECONDS",
    "YEAR",
    "YEARS",
    "MONTH",
    "MONTHS",
];

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.nested(Self::or)
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.take_word("OR") {
            let right = self.and()?;
            let at = left.at.to(right.at);
            left = self.made(ExprKind::Or(left, right), at)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.not()?;
        while self.take_word("AND") {
            let right = self.not()?;
            let at = left.at.to(right.at);
            left = self.made(ExprKind::And(left, right), at)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        let at = self.here();
        if self.take_word("NOT") {
            let inner = self.nested(Self::not)?;
            let at = at.to(inner.at);
            return self.made(ExprKind::Not(inner), at);
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<Expr> {
        let left = self.sum()?;
        if let Kind::Symbol(symbol) = self.ahead(0).kind {
            let comparison = match symbol {
                "=" => Some(Comparison::Equal),
                "<>" | "!=" => Some(Comparison::NotEqual),
                "<" => Some(Comparison::Less),
                "<=" => Some(Comparison::LessOrEqual),
                ">" => Some(Comparison::Greater),
                ">=" => Some(Comparison::GreaterOrEqual),
                _ => None,
            };
            if let Some(comparison) = comparison {
                self.next();
                let right = self.sum()?;
                let at = left.at.to(right.at);
                return self.made(ExprKind::Comparison(comparison, left, right), at);
            }
        }
        if self.take_word("IS") {
            return self.is(left);
        }
        let is_negated = self.take_word("NOT");
        let start = left.at;
        let found = if self.take_word("BETWEEN") {
            let low = self.sum()?;
            self.word("AND")?;
            let high = self.sum()?;
            ExprKind::Between(left, low, high)
        } else if self.take_word("IN") {
            self.symbol("(")?;
            let items = self.list(Self::expression)?;
            self.symbol(")")?;
            ExprKind::In(left, items)
        } else if self.take_word("LIKE") {
            let pattern = self.sum()?;
            let escape = self.escape()?;
            ExprKind::Like(left, pattern, escape)
        } else if is_negated {
            return Err(self.unexpected("BETWEEN, IN or LIKE"));
        } else {
            return Ok(left);
        };
        let at = start.to(self.before());
        let found = self.made(found, at)?;
        if is_negated {
            self.made(ExprKind::Not(found), at)
        } else {
            Ok(found)
        }
    }

    fn escape(&mut self) -> Result<Option<char>> {
        if !self.take_word("ESCAPE") {
            return Ok(None);
        }
        let at = self.here();
        let text = self.text("a character in quotes")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(escape), None) => Ok(Some(escape)),
            _ => Err(self.error(at, "ESCAPE takes exactly one character")),
        }
    }

    fn is(&mut self, left: Expr) -> Result<Expr> {
        let is_negated = self.take_word("NOT");
        if self.take_words(&["DISTINCT", "FROM"]) {
            let comparison = if is_negated {
                Comparison::NotDistinct
            } else {
                Comparison::Distinct
            };
            let right = self.sum()?;
            let at = left.at.to(right.at);
            return self.made(ExprKind::Comparison(comparison, left, right), at);
        }
        if !self.take_word("NULL") {
            return Err(self.unexpected("NULL or DISTINCT FROM"));
        }
        let at = left.at.to(self.before());
        let found = self.made(ExprKind::IsNull(left), at)?;
        if is_negated {
            self.made(ExprKind::Not(found), at)
        } else {
            Ok(found)
        }
    }

    fn sum(&mut self) -> Result<Expr> {
        let mut left = self.product()?;
        loop {
            let operator = match self.ahead(0).kind {
                Kind::Symbol("+") => Some(Operator::Add),
                Kind::Symbol("-") => Some(Operator::Subtract),
                Kind::Symbol("||") => None,
                _ => return Ok(left),
            };
            let symbol = self.next().at;
            let right = self.product()?;
            let at = left.at.to(right.at);
            let kind = match operator {
                Some(operator) => ExprKind::Arithmetic(operator, left, right),
                None => {
                    let concat = Name {
                        text: "CONCAT".to_owned(),
                        at: symbol,
                    };
                    ExprKind::Call(concat, vec![left, right])
                }
            };
            left = self.made(kind, at)?;
        }
    }

    fn product(&mut self) -> Result<Expr> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.ahead(0).kind {
                Kind::Symbol("*") => Operator::Multiply,
                Kind::Symbol("/") => Operator::Divide,
                Kind::Symbol("%") => Operator::Remainder,
                _ => return Ok(left),
            };
            self.next();
            let right = self.unary()?;
            let at = left.at.to(right.at);
            left = self.made(ExprKind::Arithmetic(operator, left, right), at)?;
        }
    }

    fn unary(&mut self) -> Result<Expr> {
        let at = self.here();
        if self.take_symbol("-") {
            let is_number = matches!(
                self.ahead(0).kind,
                Kind::Integer(_) | Kind::Decimal(_) | Kind::Float(_)
            );
            let inner = match is_number {
                true => return self.number(at, "-"),
                false => self.nested(Self::unary)?,
            };
            let at = at.to(inner.at);
            return self.made(ExprKind::Negate(inner), at);
        }
        if self.take_symbol("+") {
            return self.nested(Self::unary);
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Expr> {
        let mut base = self.primary()?;
        loop {
            let kind = if self.take_symbol("[") {
                let index = self.expression()?;
                self.symbol("]")?;
                ExprKind::Index(base.clone(), index)
            } else if self.is_symbol("->") && !self.is_symbol_ahead(1, "*") {
                self.next();
                let name = self.field_name()?;
                ExprKind::Field(base.clone(), name)
            } else {
                return Ok(base);
            };
            let at = base.at.to(self.before());
            base = self.made(kind, at)?;
        }
    }

    /// A field may be called as any word.
    fn field_name(&mut self) -> Result<Name> {
        let Token { kind, at } = self.ahead(0).clone();
        match kind {
            Kind::Word(text) | Kind::Quoted(text) => {
                self.next();
                Ok(Name { text, at })
            }
            _ => Err(self.unexpected("a field's name")),
        }
    }

    fn number(&mut self, start: Span, sign: &str) -> Result<Expr> {
        let Token { kind, at } = self.next();
        let at = start.to(at);
        let kind = match kind {
            Kind::Integer(digits) => {
                let text = format!("{sign}{digits}");
                match (text.parse::<i32>(), text.parse::<i64>()) {
                    (Ok(value), _) => ExprKind::Int(value),
                    (_, Ok(value)) => ExprKind::Bigint(value),
                    _ => {
                        let message = format!("{text} is outside the range of BIGINT");
                        return Err(self.error(at, &message));
                    }
                }
            }
            Kind::Decimal(digits) => match Decimal::parse(&format!("{sign}{digits}")) {
                Some(value) => ExprKind::Decimal(value),
                None => return Err(self.error(at, "a decimal with too many digits")),
            },
            Kind::Float(digits) => {
                let value: f64 = digits.parse().unwrap_or(f64::NAN);
                if !value.is_finite() {
                    return Err(self.error(at, "outside the range of DOUBLE"));
                }
                ExprKind::Double(if sign.is_empty() { value } else { -value })
            }
            _ => return Err(self.unexpected("a number")),
        };
        self.made(kind, at)
    }

    fn primary(&mut self) -> Result<Expr> {
        let Token { kind, at } = self.ahead(0).clone();
        match kind {
            Kind::Integer(_) | Kind::Decimal(_) | Kind::Float(_) => self.number(at, ""),
            Kind::Text(text) => {
                self.next();
                self.made(ExprKind::String(text), at)
            }
            Kind::Symbol("(") => {
                self.next();
                let inner = self.expression()?;
                self.symbol(")")?;
                Ok(inner)
            }
            Kind::Word(word) => self.worded(&word, at),
            Kind::Quoted(_) => self.column(),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn worded(&mut self, word: &str, at: Span) -> Result<Expr> {
        let constant = match word {
            "NULL" => Some(ExprKind::Null),
            "TRUE" => Some(ExprKind::Boolean(true)),
            "FALSE" => Some(ExprKind::Boolean(false)),
            _ => None,
        };
        if let Some(constant) = constant {
            self.next();
            return self.made(constant, at);
        }
        let is_call = self.is_symbol_ahead(1, "(");
        match word {
            "CASE" => self.case(),
            "CAST" if is_call => self.cast(),
            "ARRAY" if self.is_symbol_ahead(1, "[") => self.array(),
            "MAP" if is_call => self.map(),
            "STRUCT" if is_call => self.structure_of(),
            _ if is_call && (!names::is_reserved(word) || matches!(word, "LEFT" | "RIGHT")) => {
                self.call()
            }
            _ => self.column(),
        }
    }

    fn column(&mut self) -> Result<Expr> {
        let name = self.name("a column")?;
        let at = name.at;
        if self.is_symbol(".") && !self.is_symbol_ahead(1, "*") {
            self.next();
            let column = self.name("a column")?;
            let at = at.to(column.at);
            return self.made(
                ExprKind::Column {
                    source: Some(name),
                    name: column,
                },
                at,
            );
        }
        self.made(ExprKind::Column { source: None, name }, at)
    }

    fn case(&mut self) -> Result<Expr> {
        let at = self.next().at;
        let operand = if self.is_word("WHEN") {
            None
        } else {
            Some(self.expression()?)
        };
        let mut whens = Vec::new();
        while self.take_word("WHEN") {
            let when = self.expression()?;
            self.word("THEN")?;
            whens.push((when, self.expression()?));
        }
        if whens.is_empty() {
            return Err(self.unexpected("WHEN"));
        }
        let otherwise = if self.take_word("ELSE") {
            Some(self.expression()?)
        } else {
            None
        };
        self.word("END")?;
        let at = at.to(self.before());
        self.made(
            ExprKind::Case {
                operand,
                whens,
                otherwise,
            },
            at,
        )
    }

    fn cast(&mut self) -> Result<Expr> {
        let at = self.next().at;
        self.symbol("(")?;
        let inner = self.expression()?;
        self.word("AS")?;
        let of = self.of_type()?;
        self.symbol(")")?;
        let at = at.to(self.before());
        self.made(ExprKind::Cast(inner, of), at)
    }

    fn array(&mut self) -> Result<Expr> {
        let at = self.next().at;
        self.symbol("[")?;
        let items = if self.is_symbol("]") {
            Vec::new()
        } else {
            self.list(Self::expression)?
        };
        self.symbol("]")?;
        let at = at.to(self.before());
        self.made(ExprKind::Array(items), at)
    }

    fn map(&mut self) -> Result<Expr> {
        let at = self.next().at;
        let entries = self.entries(|parser| {
            let key = parser.expression()?;
            parser.symbol(":=")?;
            Ok((key, parser.expression()?))
        })?;
        let at = at.to(self.before());
        self.made(ExprKind::Map(entries), at)
    }

    fn structure_of(&mut self) -> Result<Expr> {
        let at = self.next().at;
        let fields = self.entries(|parser| {
            let name = parser.field_name()?;
            parser.symbol(":=")?;
            Ok((name, parser.expression()?))
        })?;
        let at = at.to(self.before());
        self.made(ExprKind::Struct(fields), at)
    }

    fn entries<T>(&mut self, entry: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.symbol("(")?;
        let entries = if self.is_symbol(")") {
            Vec::new()
        } else {
            self.list(entry)?
        };
        self.symbol(")")?;
        Ok(entries)
    }

    fn call(&mut self) -> Result<Expr> {
        let Token { kind, at } = self.next();
        let Kind::Word(text) = kind else {
            return Err(self.unexpected("a function"));
        };
        let name = Name { text, at };
        self.symbol("(")?;
        let arguments = match (
            self.is_symbol(")"),
            self.is_symbol("*") && self.is_symbol_ahead(1, ")"),
        ) {
            (true, _) => Vec::new(),
            (_, true) => {
                self.next();
                Vec::new()
            }
            _ => {
                let mut may_be_unit = functions::takes_unit(&name.text);
                self.list(|parser| parser.argument(std::mem::take(&mut may_be_unit)))?
            }
        };
        self.symbol(")")?;
        let at = at.to(self.before());
        self.made(ExprKind::Call(name, arguments), at)
    }

    /// Reads an argument; the first of a function that takes one may be a unit of time.
    fn argument(&mut self, may_be_unit: bool) -> Result<Expr> {
        let at = self.here();
        let is_alone = self.is_symbol_ahead(1, ",") || self.is_symbol_ahead(1, ")");
        if may_be_unit && is_alone && UNITS.contains(&self.peeked_word()) {
            let unit = self.peeked_word().to_owned();
            self.next();
            return self.made(ExprKind::Unit(unit), at);
        }
        if self.is_symbol_ahead(1, "=>") {
            let name = self.name("a parameter's name")?;
            return self.lambda(vec![name], at);
        }
        if self.is_symbol("(") && self.is_lambda() {
            self.next();
            let names = self.list(|parser| parser.name("a parameter's name"))?;
            self.symbol(")")?;
            return self.lambda(names, at);
        }
        self.expression()
    }

    /// Returns whether `(a, b) =>` is next.
    fn is_lambda(&self) -> bool {
        let mut ahead = 1;
        while matches!(
            self.ahead(ahead).kind,
            Kind::Word(_) | Kind::Quoted(_) | Kind::Symbol(",")
        ) {
            ahead += 1;
        }
        self.is_symbol_ahead(ahead, ")") && self.is_symbol_ahead(ahead + 1, "=>")
    }

    fn lambda(&mut self, names: Vec<Name>, at: Span) -> Result<Expr> {
        self.symbol("=>")?;
        let body = self.expression()?;
        let at = at.to(body.at);
        self.made(ExprKind::Lambda(names, body), at)
    }
}
