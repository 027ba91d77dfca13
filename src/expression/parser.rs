//! Tokens → untyped tree: a parser by operator precedence, without backtracking.
//!
//! Loosest first: `or`, `and`, `not`, comparisons (with `is`, `between`, `in`, `like`), `||`,
//! `+ -`, `* / %`, the sign. Its time is linear in the text; what is nested deeper than
//! [`MAX_DEPTH`] is refused, so that no later stage runs out of stack.

use super::cast::time_named;
use super::lexer::{self, Token, TokenKind};
use super::scalar::Scalar;
use super::syntax::{
    Arithmetic, Binary, Comparison, Connective, Node, NodeKind, Precedence, Span, Test,
};
use crate::column::DataType;
use crate::column::name::is_reserved;
use crate::error::{Error, Result};
use crate::number::parse_decimal;

/// How many levels an expression may have.
pub(super) const MAX_DEPTH: usize = 128;

/// Reads tokens from left to right.
pub(super) struct Parser<'t> {
    pub text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    /// # Errors
    /// As [`lexer::tokens`].
    pub fn new(text: &'t str) -> Result<Self> {
        Ok(Parser {
            text,
            tokens: lexer::tokens(text)?,
            next: 0,
            depth: 0,
        })
    }

    /// Reads one expression and nothing behind it.
    pub fn whole(&mut self) -> Result<Node> {
        let node = self.expression(Precedence::Or)?;
        self.end("an operator")?;
        Ok(node)
    }

    /// Reads `item, …` and nothing behind it.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_symbol(",").is_some() {
            items.push(item(self)?);
        }
        self.end("a comma")?;
        Ok(items)
    }

    fn end(&self, instead: &str) -> Result<()> {
        match self.peek().kind {
            TokenKind::End => Ok(()),
            _ => Err(self.expected(&format!("{instead} or the end"))),
        }
    }

    /// Reads expressions between commas, none where a `)` follows at once.
    pub fn arguments(&mut self, at_least_one: bool) -> Result<Vec<Node>> {
        let mut arguments = Vec::new();
        if !at_least_one && self.at_symbol(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(Precedence::Or)?);
            if self.take_symbol(",").is_none() {
                return Ok(arguments);
            }
        }
    }

    /// Reads an expression whose operators all bind at least as tightly as `loosest`.
    pub fn expression(&mut self, loosest: Precedence) -> Result<Node> {
        if self.depth == MAX_DEPTH {
            return Err(self.too_deep(self.peek().span));
        }
        self.depth += 1;
        let node = self.prefix().and_then(|node| self.infix(node, loosest));
        self.depth -= 1;
        node
    }

    /// Reads what follows `left`, as long as it binds at least as tightly as `loosest`.
    fn infix(&mut self, mut left: Node, loosest: Precedence) -> Result<Node> {
        let mut left_compares = false;
        loop {
            if let Some((connective, precedence)) = self.peek_connective() {
                if precedence < loosest {
                    return Ok(left);
                }
                left = self.connected(left, connective, precedence)?;
                left_compares = false;
            } else if let Some(operator) = self.peek_operator() {
                let precedence = operator.precedence();
                if precedence < loosest {
                    return Ok(left);
                }
                let compares = matches!(operator, Binary::Compare(_));
                if compares && left_compares {
                    let span = self.peek().span;
                    return Err(Error::usage("comparisons cannot be chained")
                        .at(self.text, span.start, span.end)
                        .hint("write `a < b and b < c`"));
                }
                self.advance();
                let right = self.expression(precedence.tighter())?;
                let span = left.span.to(right.span);
                let kind = NodeKind::Binary {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                };
                left = self.node(kind, span)?;
                left_compares = compares;
            } else if self.peek_test() && Precedence::Comparison >= loosest {
                left = self.test(left)?;
                left_compares = false;
            } else {
                return Ok(left);
            }
        }
    }

    /// Reads `and b and c` behind `a`: one node, however many operands.
    fn connected(
        &mut self,
        left: Node,
        connective: Connective,
        precedence: Precedence,
    ) -> Result<Node> {
        let mut span = left.span;
        let mut operands = vec![left];
        while self.peek_connective() == Some((connective, precedence)) {
            self.advance();
            let operand = self.expression(precedence.tighter())?;
            span = span.to(operand.span);
            operands.push(operand);
        }
        self.node(NodeKind::Logical(connective, operands), span)
    }

    fn peek_connective(&self) -> Option<(Connective, Precedence)> {
        if self.at_keyword("or") {
            Some((Connective::Or, Precedence::Or))
        } else if self.at_keyword("and") {
            Some((Connective::And, Precedence::And))
        } else {
            None
        }
    }

    fn peek_operator(&self) -> Option<Binary> {
        if self.peek().kind != TokenKind::Symbol {
            return None;
        }
        Some(match self.word() {
            "=" | "==" => Binary::Compare(Comparison::Equal),
            "<>" | "!=" => Binary::Compare(Comparison::NotEqual),
            "<" => Binary::Compare(Comparison::Less),
            "<=" => Binary::Compare(Comparison::LessOrEqual),
            ">" => Binary::Compare(Comparison::Greater),
            ">=" => Binary::Compare(Comparison::GreaterOrEqual),
            "+" => Binary::Arithmetic(Arithmetic::Add),
            "-" => Binary::Arithmetic(Arithmetic::Subtract),
            "*" => Binary::Arithmetic(Arithmetic::Multiply),
            "/" => Binary::Arithmetic(Arithmetic::Divide),
            "%" => Binary::Arithmetic(Arithmetic::Remainder),
            "||" => Binary::Concatenate,
            _ => return None,
        })
    }

    fn peek_test(&self) -> bool {
        ["is", "not", "between", "in", "like"]
            .iter()
            .any(|keyword| self.at_keyword(keyword))
    }

    /// Reads `is …`, `[not] between …`, `[not] in …` or `[not] like …` behind its operand.
    fn test(&mut self, operand: Node) -> Result<Node> {
        let operand = Box::new(operand);
        if self.take_keyword("is").is_some() {
            return self.is(operand);
        }
        let negated = self.take_keyword("not").is_some();
        if self.take_keyword("between").is_some() {
            let low = self.expression(Precedence::Concatenate)?;
            self.need_keyword("and")?;
            let high = self.expression(Precedence::Concatenate)?;
            let span = operand.span.to(high.span);
            let (low, high) = (Box::new(low), Box::new(high));
            let kind = NodeKind::Between {
                operand,
                low,
                high,
                negated,
            };
            return self.node(kind, span);
        }
        if self.take_keyword("in").is_some() {
            self.need_symbol("(")?;
            let list = self.arguments(true)?;
            let span = operand.span.to(self.need_symbol(")")?);
            let kind = NodeKind::In {
                operand,
                list,
                negated,
            };
            return self.node(kind, span);
        }
        if self.take_keyword("like").is_none() {
            return Err(self.expected("`between`, `in` or `like`"));
        }
        let pattern = self.expression(Precedence::Concatenate)?;
        let mut span = operand.span.to(pattern.span);
        let mut escape = None;
        if self.take_keyword("escape").is_some() {
            let (character, its_span) = self.escape_character()?;
            escape = Some(character);
            span = span.to(its_span);
        }
        let pattern = Box::new(pattern);
        let kind = NodeKind::Like {
            operand,
            pattern,
            escape,
            negated,
        };
        self.node(kind, span)
    }

    fn is(&mut self, operand: Box<Node>) -> Result<Node> {
        let negated = self.take_keyword("not").is_some();
        if self.take_keyword("distinct").is_some() {
            self.need_keyword("from")?;
            let right = self.expression(Precedence::Concatenate)?;
            let span = operand.span.to(right.span);
            let comparison = if negated {
                Comparison::NotDistinct
            } else {
                Comparison::Distinct
            };
            let kind = NodeKind::Binary {
                operator: Binary::Compare(comparison),
                left: operand,
                right: Box::new(right),
            };
            return self.node(kind, span);
        }
        let tests = [
            ("null", Test::Null),
            ("true", Test::True),
            ("false", Test::False),
        ];
        for (keyword, test) in tests {
            if let Some(span) = self.take_keyword(keyword) {
                let span = operand.span.to(span);
                let kind = NodeKind::Is {
                    operand,
                    test,
                    negated,
                };
                return self.node(kind, span);
            }
        }
        Err(self.expected("`null`, `true`, `false` or `distinct from`"))
    }

    fn escape_character(&mut self) -> Result<(char, Span)> {
        let one = match &self.peek().kind {
            TokenKind::Text(text) => {
                let mut chars = text.chars();
                chars.next().filter(|_| chars.next().is_none())
            }
            _ => None,
        };
        match one {
            Some('%' | '_') | None => Err(self.expected("one character in quotes, not % or _")),
            Some(character) => Ok((character, self.advance().span)),
        }
    }

    /// Reads a literal, a column, a call, or what is behind a sign, `not` or a bracket.
    fn prefix(&mut self) -> Result<Node> {
        let span = self.peek().span;
        let kind = match &self.peek().kind {
            TokenKind::Integer | TokenKind::Decimal => return self.number(""),
            TokenKind::Text(text) => NodeKind::Literal(Scalar::Text(text.as_str().into())),
            TokenKind::Name {
                name,
                double_quoted,
            } => {
                let (name, quoted) = (name.clone(), *double_quoted);
                self.advance();
                return self.column(name, quoted, span);
            }
            TokenKind::Part => return self.part(),
            TokenKind::Symbol => return self.prefix_symbol(),
            TokenKind::Word => return self.prefix_word(),
            TokenKind::End => return Err(self.expected("an expression")),
        };
        self.advance();
        self.node(kind, span)
    }

    fn number(&mut self, sign: &str) -> Result<Node> {
        let Token { kind, span } = self.advance();
        let number = format!("{sign}{}", &self.text[span.start..span.end]);
        let value = if kind == TokenKind::Integer {
            let Ok(value) = number.parse::<i64>() else {
                return Err(self.out_of_range(span, "bigint"));
            };
            Scalar::Bigint(value)
        } else {
            match number.parse::<f64>() {
                Ok(value) if value.is_finite() => Scalar::Double(value),
                _ => return Err(self.out_of_range(span, "double")),
            }
        };
        self.node(NodeKind::Literal(value), span)
    }

    fn prefix_symbol(&mut self) -> Result<Node> {
        if let Some(open) = self.take_symbol("(") {
            let mut node = self.expression(Precedence::Or)?;
            node.span = open.to(self.need_symbol(")")?);
            return Ok(node);
        }
        if let Some(sign) = self.take_symbol("-") {
            // The sign belongs to the number: the lowest bigint has no positive twin.
            if matches!(self.peek().kind, TokenKind::Integer | TokenKind::Decimal) {
                let mut node = self.number("-")?;
                node.span = sign.to(node.span);
                return Ok(node);
            }
            let operand = self.expression(Precedence::Negate)?;
            let span = sign.to(operand.span);
            return self.node(NodeKind::Negate(Box::new(operand)), span);
        }
        if self.take_symbol("+").is_some() {
            return self.expression(Precedence::Negate);
        }
        Err(self.expected("an expression"))
    }

    fn prefix_word(&mut self) -> Result<Node> {
        let word = self.word();
        match word.to_ascii_lowercase().as_str() {
            "not" => {
                let not = self.advance().span;
                let operand = self.expression(Precedence::Not)?;
                let span = not.to(operand.span);
                return self.node(NodeKind::Not(Box::new(operand)), span);
            }
            "case" => return self.case(),
            "cast" => return self.cast(false),
            "try_cast" => return self.cast(true),
            "timestamp" if self.is_text(1) => return self.time(),
            "decimal" if self.is_text(1) => return self.decimal(),
            _ => {}
        }
        let literal = match word.to_ascii_lowercase().as_str() {
            "null" => Some(Scalar::Null),
            "true" => Some(Scalar::Boolean(true)),
            "false" => Some(Scalar::Boolean(false)),
            _ => None,
        };
        if literal.is_none() && is_reserved(word) {
            return Err(self.expected("an expression"));
        }
        let name_span = self.advance().span;
        if let Some(value) = literal {
            return self.node(NodeKind::Literal(value), name_span);
        }
        if self.take_symbol("(").is_some() {
            let arguments = if word.eq_ignore_ascii_case("extract") && self.is_keyword(1, "from") {
                self.part_and_time()?
            } else {
                self.arguments(false)?
            };
            let span = name_span.to(self.need_symbol(")")?);
            let kind = NodeKind::Call {
                name: word.to_lowercase(),
                name_span,
                arguments,
            };
            return self.node(kind, span);
        }
        self.column(word.to_owned(), false, name_span)
    }

    /// Reads `timestamp '…'`.
    fn time(&mut self) -> Result<Node> {
        let start = self.advance().span;
        let Token { kind, span } = self.advance();
        let span = start.to(span);
        let TokenKind::Text(text) = kind else {
            return Err(self.expected("a time in quotes"));
        };
        match time_named(&text) {
            Some(at) => self.node(NodeKind::Time(at), span),
            None => Err(Error::usage(format!("`{text}` is not a timestamp"))
                .at(self.text, span.start, span.end)
                .hint("write ISO 8601: `timestamp '2026-01-01T00:00:00Z'`")),
        }
    }

    /// Reads `decimal '…'`.
    fn decimal(&mut self) -> Result<Node> {
        let start = self.advance().span;
        let Token { kind, span } = self.advance();
        let span = start.to(span);
        let value = match &kind {
            TokenKind::Text(text) => parse_decimal(text.trim().as_bytes()),
            _ => None,
        };
        match value {
            Some(value) => self.node(NodeKind::Literal(Scalar::Decimal(value)), span),
            None => Err(Error::usage("a decimal has at most 28 digits")
                .at(self.text, span.start, span.end)
                .hint("write digits and a point: `decimal '19.90'`")),
        }
    }

    /// Reads `hour from x`, which is short for `'hour', x`.
    fn part_and_time(&mut self) -> Result<Vec<Node>> {
        let part = self.word().to_lowercase();
        let span = self.advance().span;
        self.need_keyword("from")?;
        let part = self.node(NodeKind::Literal(Scalar::Text(part.into())), span)?;
        Ok(vec![part, self.expression(Precedence::Or)?])
    }

    fn case(&mut self) -> Result<Node> {
        let start = self.advance().span;
        let operand = if self.at_keyword("when") {
            None
        } else {
            Some(Box::new(self.expression(Precedence::Or)?))
        };
        let mut branches = Vec::new();
        self.need_keyword("when")?;
        loop {
            let when = self.expression(Precedence::Or)?;
            self.need_keyword("then")?;
            branches.push((when, self.expression(Precedence::Or)?));
            if self.take_keyword("when").is_none() {
                break;
            }
        }
        let otherwise = match self.take_keyword("else") {
            Some(_) => Some(Box::new(self.expression(Precedence::Or)?)),
            None => None,
        };
        let span = start.to(self.need_keyword("end")?);
        let kind = NodeKind::Case {
            operand,
            branches,
            otherwise,
        };
        self.node(kind, span)
    }

    fn cast(&mut self, attempt: bool) -> Result<Node> {
        let start = self.advance().span;
        self.need_symbol("(")?;
        let operand = Box::new(self.expression(Precedence::Or)?);
        self.need_keyword("as")?;
        let to = self.data_type()?;
        let span = start.to(self.need_symbol(")")?);
        let kind = NodeKind::Cast {
            operand,
            to,
            attempt,
        };
        self.node(kind, span)
    }

    fn data_type(&mut self) -> Result<DataType> {
        let named = match self.peek().kind {
            TokenKind::Word => DataType::named(self.word()),
            _ => None,
        };
        let Some(data_type) = named else {
            return Err(
                self.expected("a type (bigint, double, decimal, boolean, text or timestamp)")
            );
        };
        self.advance();
        Ok(data_type)
    }

    pub fn node(&self, kind: NodeKind, span: Span) -> Result<Node> {
        let node = Node::new(kind, span);
        if node.depth > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        Ok(node)
    }

    pub fn too_deep(&self, span: Span) -> Error {
        let message = format!("the expression is nested deeper than {MAX_DEPTH} levels");
        Error::usage(message).at(self.text, span.start, span.end)
    }

    fn out_of_range(&self, span: Span, data_type: &str) -> Error {
        let number = &self.text[span.start..span.end];
        Error::usage(format!("`{number}` is beyond the range of {data_type}"))
            .at(self.text, span.start, span.end)
    }

    /// Returns "expected …, found …" with the caret under what was found.
    pub fn expected(&self, what: &str) -> Error {
        let token = self.peek();
        let found = match token.kind {
            TokenKind::End => "the end of the text".to_owned(),
            _ => format!("`{}`", self.word()),
        };
        Error::usage(format!("expected {what}, found {found}")).at(
            self.text,
            token.span.start,
            token.span.end,
        )
    }

    pub fn peek(&self) -> &Token {
        // The last token is the end, and `advance` stays on it.
        &self.tokens[self.next]
    }

    /// Returns the next token's letters, as typed.
    pub fn word(&self) -> &'t str {
        let span = self.peek().span;
        &self.text[span.start..span.end]
    }

    pub fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Returns the token this many places behind the next one.
    fn peek_behind(&self, places: usize) -> &Token {
        &self.tokens[(self.next + places).min(self.tokens.len() - 1)]
    }

    fn is_text(&self, places: usize) -> bool {
        matches!(self.peek_behind(places).kind, TokenKind::Text(_))
    }

    fn is_keyword(&self, places: usize, keyword: &str) -> bool {
        let Token { kind, span } = self.peek_behind(places);
        let word = &self.text[span.start..span.end];
        *kind == TokenKind::Word && word.eq_ignore_ascii_case(keyword)
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        self.peek().kind == TokenKind::Word && self.word().eq_ignore_ascii_case(keyword)
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        self.peek().kind == TokenKind::Symbol && self.word() == symbol
    }

    pub fn take_keyword(&mut self, keyword: &str) -> Option<Span> {
        self.at_keyword(keyword).then(|| self.advance().span)
    }

    pub fn take_symbol(&mut self, symbol: &str) -> Option<Span> {
        self.at_symbol(symbol).then(|| self.advance().span)
    }

    fn need_keyword(&mut self, keyword: &str) -> Result<Span> {
        self.take_keyword(keyword)
            .ok_or_else(|| self.expected(&format!("`{keyword}`")))
    }

    pub fn need_symbol(&mut self, symbol: &str) -> Result<Span> {
        self.take_symbol(symbol)
            .ok_or_else(|| self.expected(&format!("`{symbol}`")))
    }
}
