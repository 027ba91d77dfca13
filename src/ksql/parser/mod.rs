//! Tokens → statements, by recursive descent: the grammar of ksqlDB's `SqlBase.g4`.
//!
//! Every error says line and column, what is there and what could be. How deeply expressions and
//! types nest is bounded, so that no text makes the stack overflow.

mod expression;
mod query;
mod statement;
mod types;

use std::collections::BTreeMap;

use super::lexer::{self, Kind, Span, Token};
use super::names;
use super::syntax::{Expr, ExprKind, Name, Statement};
use super::types::Type;
use crate::error::{Error, Result};

/// How deeply brackets may nest.
const MAX_NESTING: u32 = 64;
/// How deep an expression's tree may be.
const MAX_DEPTH: u32 = 400;

/// The words of the language that a person types, for completion.
pub const WORDS: &[&str] = &[
    "ADVANCE",
    "ALTER",
    "AND",
    "ARRAY",
    "AS",
    "ASSERT",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTES",
    "CASE",
    "CAST",
    "CHANGES",
    "CREATE",
    "DATE",
    "DECIMAL",
    "DEFINE",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DOUBLE",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "EXISTS",
    "EXPLAIN",
    "EXTENDED",
    "FINAL",
    "FROM",
    "FULL",
    "FUNCTION",
    "FUNCTIONS",
    "GRACE",
    "GROUP",
    "HAVING",
    "HOPPING",
    "INNER",
    "INSERT",
    "INT",
    "INTO",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MAP",
    "NOT",
    "NULL",
    "OUTER",
    "PARTITION",
    "PAUSE",
    "PERIOD",
    "PRIMARY",
    "PRINT",
    "PROPERTIES",
    "QUERIES",
    "REPLACE",
    "RESUME",
    "RIGHT",
    "SCRIPT",
    "SELECT",
    "SESSION",
    "SHOW",
    "SIZE",
    "SPOOL",
    "STREAM",
    "STREAMS",
    "STRING",
    "STRUCT",
    "TABLE",
    "TABLES",
    "TERMINATE",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TOPIC",
    "TOPICS",
    "TUMBLING",
    "TYPE",
    "TYPES",
    "UNDEFINE",
    "UNSET",
    "VALUES",
    "VARCHAR",
    "VARIABLES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// Types by the names that CREATE TYPE gave them.
pub type Types = BTreeMap<String, Type>;

/// Reads one statement, without its semicolon.
///
/// # Errors
/// `usage` with line, column and carets.
pub fn statement(text: &str, types: &Types) -> Result<Statement> {
    let mut parser = Parser::new(text, types)?;
    let statement = parser.statement()?;
    parser.end()?;
    Ok(statement)
}

/// Reads an expression, as in a test or a signature.
///
/// # Errors
/// `usage` with line, column and carets.
#[cfg(test)]
pub fn expression(text: &str, types: &Types) -> Result<Expr> {
    let mut parser = Parser::new(text, types)?;
    let expression = parser.expression()?;
    parser.end()?;
    Ok(expression)
}

/// Reads a type: `MAP<STRING, DECIMAL(4, 2)>`.
///
/// # Errors
/// `usage` with line, column and carets.
#[cfg(test)]
pub fn type_of(text: &str, types: &Types) -> Result<Type> {
    let mut parser = Parser::new(text, types)?;
    let of = parser.of_type()?;
    parser.end()?;
    Ok(of)
}

struct Parser<'a> {
    text: &'a str,
    types: &'a Types,
    tokens: Vec<Token>,
    at: usize,
    nesting: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, types: &'a Types) -> Result<Self> {
        let tokens = lexer::tokens(text)?;
        Ok(Parser {
            text,
            types,
            tokens,
            at: 0,
            nesting: 0,
        })
    }

    /// Returns the token `ahead` tokens from here.
    fn ahead(&self, ahead: usize) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)]
    }

    fn here(&self) -> Span {
        self.ahead(0).at
    }

    /// Returns where the token before this one is.
    fn before(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].at
    }

    fn next(&mut self) -> Token {
        let token = self.ahead(0).clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_ahead(0, word)
    }

    fn is_word_ahead(&self, ahead: usize, word: &str) -> bool {
        matches!(&self.ahead(ahead).kind, Kind::Word(found) if found == word)
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        self.is_symbol_ahead(0, symbol)
    }

    fn is_symbol_ahead(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.ahead(ahead).kind, Kind::Symbol(found) if found == symbol)
    }

    /// Takes these words if all of them are next.
    fn take_words(&mut self, words: &[&str]) -> bool {
        let are_next = words
            .iter()
            .enumerate()
            .all(|(nth, word)| self.is_word_ahead(nth, word));
        if are_next {
            self.at += words.len();
        }
        are_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.take_words(&[word])
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let is_next = self.is_symbol(symbol);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word) {
            Ok(())
        } else {
            Err(self.unexpected(word))
        }
    }

    fn symbol(&mut self, symbol: &str) -> Result<()> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    /// Returns the word that is next, without taking it; empty if it is none.
    fn peeked_word(&self) -> &str {
        match &self.ahead(0).kind {
            Kind::Word(word) => word,
            _ => "",
        }
    }

    /// Takes a name, quoted or not reserved.
    fn name(&mut self, what: &str) -> Result<Name> {
        let Token { kind, at } = self.ahead(0).clone();
        let text = match kind {
            Kind::Quoted(text) => text,
            Kind::Word(word) if !names::is_reserved(&word) => word,
            Kind::Word(word) => {
                let message =
                    format!("`{word}` is a reserved word; as {what} write it in backticks");
                return Err(self.error(at, &message));
            }
            _ => return Err(self.unexpected(what)),
        };
        self.at += 1;
        Ok(Name { text, at })
    }

    fn text(&mut self, what: &str) -> Result<String> {
        match self.ahead(0).kind.clone() {
            Kind::Text(text) => {
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn whole_number(&mut self, what: &str) -> Result<u64> {
        let Token { kind, at } = self.ahead(0).clone();
        let Kind::Integer(digits) = kind else {
            return Err(self.unexpected(what));
        };
        self.at += 1;
        digits
            .parse()
            .map_err(|_| self.error(at, &format!("{digits} is too large")))
    }

    /// Reads `item, item, …`.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Runs `inner` one bracket deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let message = format!("nested too deeply: {MAX_NESTING} levels are the most");
            return Err(self.error(self.here(), &message));
        }
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Returns an expression, unless its tree is too deep.
    fn made(&self, kind: ExprKind, at: Span) -> Result<Expr> {
        let made = Expr::new(kind, at);
        if made.depth > MAX_DEPTH {
            let message = format!("the expression is too deep: {MAX_DEPTH} levels are the most");
            return Err(self.error(at, &message));
        }
        Ok(made)
    }

    fn end(&self) -> Result<()> {
        if self.ahead(0).kind == Kind::End {
            Ok(())
        } else {
            Err(self.unexpected("the end of the statement"))
        }
    }

    fn error(&self, at: Span, message: &str) -> Error {
        lexer::error(self.text, at, message)
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found = self.ahead(0);
        let shown = match found.kind {
            Kind::End => "the statement ends here".to_owned(),
            _ => format!("unexpected `{}`", &self.text[found.at.start..found.at.end]),
        };
        self.error(found.at, &format!("{shown}; expected {wanted}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        expression(text, &Types::new())
            .expect("an expression")
            .to_string()
    }

    #[test]
    fn operators_bind_as_in_sql() {
        for (text, tree) in [
            ("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)"),
            ("not a > 1 and b or c", "(((NOT (A > 1)) AND B) OR C)"),
            ("a between 1 and 2 and b", "((A BETWEEN 1 AND 2) AND B)"),
            ("a not in (1, 'x')", "(NOT (A IN (1, 'x')))"),
            ("-a[1]->b", "-A[1]->B"),
            (
                "a is not distinct from 1.50",
                "(A IS NOT DISTINCT FROM 1.50)",
            ),
            (
                "transform(m, (k, v) => k || 'x', x => -1)",
                "TRANSFORM(M, (K, V) => CONCAT(K, 'x'), X => -1)",
            ),
            (
                "case when a then 1 else 2 end",
                "(CASE WHEN A THEN 1 ELSE 2 END)",
            ),
            ("map('a' := 1)['a']", "MAP('a':=1)['a']"),
            ("s.`x y`", "S.`x y`"),
        ] {
            assert_eq!(printed(text), tree, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        for (text, message) in [
            (
                "CREATE STREAM s (a INT) WITH (",
                "line 1:31: the statement ends here; expected a property's name",
            ),
            (
                "SELECT a\nFROM s s2 s3",
                "line 2:11: unexpected `s3`; expected the end of the statement",
            ),
            (
                "SELECT 9223372036854775808 FROM s",
                "line 1:8: 9223372036854775808 is outside the range of BIGINT",
            ),
            (
                "CREATE STREAM s (a NOPE) WITH (x=1)",
                "line 1:20: unknown type `NOPE`",
            ),
        ] {
            let error = statement(text, &Types::new()).expect_err("wrong");
            assert_eq!(error.to_string(), message);
        }
    }

    proptest::proptest! {
        /// Whatever the words and their order: a statement or an error, no panic.
        #[test]
        fn no_text_makes_the_parser_panic(words in proptest::collection::vec(0..TOKENS.len(), 0..40), noise in ".{0,20}") {
            let mut text: Vec<&str> = words.into_iter().map(|word| TOKENS[word]).collect();
            let _ = statement(&text.join(" "), &Types::new());
            text.push(&noise);
            let text = text.join(" ");
            let _ = statement(&text, &Types::new());
            if let Ok(expression) = expression(&text, &Types::new()) {
                // What is printed is read again as the same.
                let printed = expression.to_string();
                let read = super::expression(&printed, &Types::new());
                proptest::prop_assert_eq!(read.ok(), Some(expression), "{}", printed);
            }
        }
    }

    /// Texts of random words and noise, for as long as `K_FUZZ_SECONDS` says, from `K_FUZZ_SEED`; those
    /// that are statements are carried out.
    #[test]
    #[ignore = "as long as K_FUZZ_SECONDS says; `scripts/fuzz-ksql` runs it"]
    fn no_text_makes_the_language_panic_or_hang_for_long() {
        use rand::{RngExt, SeedableRng};
        use std::time::{Duration, Instant};
        let number = |name, default| {
            let given = std::env::var(name).ok();
            given.map_or(default, |given| given.parse().expect("a number"))
        };
        let (seed, seconds) = (number("K_FUZZ_SEED", 1), number("K_FUZZ_SECONDS", 10));
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let end = Instant::now() + Duration::from_secs(seconds);
        let (mut rounds, mut valid) = (0u64, 0u64);
        while Instant::now() < end {
            rounds += 1;
            // Half of the texts are statements of which a few words are others.
            let mut words: Vec<&str> = match random.random_bool(0.5) {
                true => SEEDS[random.random_range(0..SEEDS.len())]
                    .split(' ')
                    .collect(),
                false => Vec::new(),
            };
            for _ in 0..random.random_range(0..12) {
                let at = random.random_range(0..=words.len());
                match words.len() > at && random.random_bool(0.5) {
                    true => words[at] = TOKENS[random.random_range(0..TOKENS.len())],
                    false => words.insert(at, TOKENS[random.random_range(0..TOKENS.len())]),
                }
            }
            let text = words.join(" ");
            let began = Instant::now();
            let mut session = crate::ksql::session::Session::default();
            for source in [
                "CREATE STREAM a (b INT KEY, c STRING, d ARRAY<INT>, e MAP<STRING, INT>, f STRUCT<g INT>) WITH (kafka_topic='a', value_format='JSON')",
                "CREATE TABLE t (b INT PRIMARY KEY, c STRING) WITH (kafka_topic='t', value_format='JSON')",
            ] {
                session.execute(source).expect("a source");
            }
            valid += u64::from(session.execute(&text).is_ok());
            let took = began.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?} for `{text}`");
        }
        println!("seed {seed}: {rounds} texts, {valid} of them carried out, no panic, no hang");
    }

    /// Statements that are changed word by word.
    const SEEDS: [&str; 8] = [
        "CREATE STREAM o AS SELECT b , c , d [ 1 ] , e [ 'x' ] , f -> g FROM a WHERE b > 1 AND c LIKE '%x'",
        "CREATE TABLE o AS SELECT b , COUNT ( * ) , TOPK ( b , 2 ) FROM a WINDOW TUMBLING ( SIZE 1 SECONDS ) GROUP BY b HAVING COUNT ( * ) > 1 EMIT FINAL",
        "CREATE STREAM o AS SELECT a . b , t . c FROM a LEFT JOIN t ON a . b = t . b",
        "CREATE STREAM o AS SELECT b , TRANSFORM ( d , x => x + 1 ) , FILTER ( e , ( k , v ) => v > 1 ) FROM a",
        "CREATE STREAM o WITH ( KAFKA_TOPIC = 'o' , PARTITIONS = 1 ) AS SELECT * FROM a PARTITION BY c",
        "INSERT INTO a ( b , c ) VALUES ( 1 , 'x' )",
        "CREATE STREAM o AS SELECT b , CASE WHEN c IS NULL THEN 1 ELSE CAST ( c AS INT ) END FROM a",
        "CREATE STREAM s ( a DECIMAL ( 4 , 2 ) KEY , b STRUCT < c ARRAY < INT > > ) WITH ( KAFKA_TOPIC = 's' , FORMAT = 'JSON' )",
    ];

    /// The words of the language, so that a text of them gets somewhere.
    const TOKENS: [&str; 66] = [
        "CREATE", "STREAM", "TABLE", "AS", "SELECT", "FROM", "WHERE", "GROUP", "BY", "WINDOW",
        "TUMBLING", "SIZE", "SECONDS", "JOIN", "WITHIN", "ON", "WITH", "INSERT", "INTO", "VALUES",
        "DROP", "CASE", "WHEN", "THEN", "END", "CAST", "ARRAY", "MAP", "STRUCT", "NOT", "AND",
        "OR", "IN", "BETWEEN", "LIKE", "IS", "NULL", "TRUE", "EMIT", "CHANGES", "a", "b", "`c d`",
        "f", "INT", "DECIMAL", "1", "2.50", "1e3", "'t'", "(", ")", "[", "]", "<", ">", ",", ".",
        "->", "=>", ":=", "=", "+", "-", "*", ";",
    ];

    #[test]
    fn deep_nesting_is_refused_politely() {
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("array[", "1", "]"),
            ("- ", "a", ""),
            ("not ", "a", ""),
            ("a + ", "a", ""),
            ("f(x => ", "x", ")"),
        ] {
            let text = format!("{}{middle}{}", open.repeat(5_000), close.repeat(5_000));
            let error = expression(&text, &Types::new()).expect_err("too deep");
            assert!(error.to_string().contains("too deep"), "{error}");
        }
        let of = format!("{}INT{}", "ARRAY<".repeat(5_000), ">".repeat(5_000));
        assert!(type_of(&of, &Types::new()).is_err());
    }
}
