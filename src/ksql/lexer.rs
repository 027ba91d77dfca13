//! Text → statements → tokens.
//!
//! Names fold to upper case unless they are in backticks or double quotes; texts are in single
//! quotes, a quote within one is doubled; `--` and `/* … */` are comments.

use crate::error::{Error, Result};

/// Bytes `start..end` of a statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The first byte after it.
    pub end: usize,
}

impl Span {
    /// Returns what reaches from one to the other.
    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start,
            end: other.end.max(self.end),
        }
    }
}

/// A word of the language, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub at: Span,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A keyword or a name, in upper case.
    Word(String),
    /// A name in backticks or double quotes, as it is written.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// `12`.
    Integer(String),
    /// `1.5`.
    Decimal(String),
    /// `1e3`.
    Float(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// The longest come first.
const SYMBOLS: [&str; 30] = [
    "<>", "!=", "<=", ">=", "->", "=>", ":=", "||", "=", "<", ">", "+", "-", "*", "/", "%", "(",
    ")", "[", "]", "{", "}", ",", ".", ";", ":", "?", "@", "|", "!",
];

/// Returns the statements of a text with where each begins, without their semicolons; one that is
/// nothing but blanks and comments is none.
///
/// # Errors
/// `usage` for a quote or a comment that is not closed.
pub fn statements(text: &str) -> Result<Vec<(usize, &str)>> {
    let mut found = Vec::new();
    let (mut start, mut is_blank) = (0, true);
    let mut scanner = Scanner { text, at: 0 };
    while let Some(piece) = scanner.piece()? {
        match piece.lead {
            ';' => {
                if !is_blank {
                    found.push((start, &text[start..piece.at.start]));
                }
                (start, is_blank) = (piece.at.end, true);
            }
            ' ' => {
                if is_blank {
                    start = piece.at.end;
                }
            }
            _ => is_blank = false,
        }
    }
    if !is_blank {
        found.push((start, &text[start..]));
    }
    Ok(found)
}

/// Returns whether a text ends with a statement's semicolon, and not within a quote or a comment.
pub fn is_complete(text: &str) -> bool {
    let mut scanner = Scanner { text, at: 0 };
    let mut is_closed = false;
    loop {
        match scanner.piece() {
            Ok(Some(piece)) if piece.lead == ' ' => {}
            Ok(Some(piece)) => is_closed = piece.lead == ';',
            Ok(None) => return is_closed,
            Err(_) => return false,
        }
    }
}

/// Returns a statement with as many line ends and blanks before it as there are in its text, so that
/// errors count lines and columns of the whole text.
pub fn in_place(text: &str, start: usize, statement: &str) -> String {
    let (line, column) = place(text, start);
    let (lines, blanks) = ("\n".repeat(line - 1), " ".repeat(column - 1));
    format!("{lines}{blanks}{statement}")
}

/// Returns the tokens of a statement; the last is [`Kind::End`].
///
/// # Errors
/// `usage` with line and column for what is no token.
pub fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(piece) = scanner.piece()? {
        let at = piece.at;
        let raw = &text[at.start..at.end];
        let kind = match piece.lead {
            ' ' => continue,
            'a' => Kind::Word(raw.to_uppercase()),
            '\'' => Kind::Text(unquoted(raw, '\'')),
            quote @ ('`' | '"') => Kind::Quoted(unquoted(raw, quote)),
            '0' => number(text, at, raw)?,
            _ => match SYMBOLS.iter().find(|symbol| **symbol == raw) {
                Some(symbol) => Kind::Symbol(symbol),
                None => {
                    let message = format!("unexpected character `{}`", raw.escape_debug());
                    return Err(error(text, at, &message));
                }
            },
        };
        tokens.push(Token { kind, at });
    }
    let at = Span {
        start: text.len(),
        end: text.len(),
    };
    tokens.push(Token {
        kind: Kind::End,
        at,
    });
    Ok(tokens)
}

/// Returns an error at a place of a statement, with line, column and carets.
pub fn error(text: &str, at: Span, message: &str) -> Error {
    let (line, column) = place(text, at.start);
    Error::usage(format!("line {line}:{column}: {message}")).at(text, at.start, at.end)
}

/// Returns line and column of a byte, both counted from 1.
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// A stretch of text: what it begins with says what it is: `a` a word, `0` a number, ` ` blanks or
/// a comment, a quote a quoted text, anything else itself.
struct Piece {
    lead: char,
    at: Span,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn piece(&mut self) -> Result<Option<Piece>> {
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        let (lead, length) = if first.is_whitespace() {
            (' ', length_while(rest, char::is_whitespace))
        } else if rest.starts_with("--") {
            (' ', rest.find('\n').unwrap_or(rest.len()))
        } else if let Some(comment) = rest.strip_prefix("/*") {
            match comment.find("*/") {
                Some(end) => (' ', end + 4),
                None => return Err(self.unclosed("a comment", "*/")),
            }
        } else if matches!(first, '\'' | '`' | '"') {
            match quoted_length(rest, first) {
                Some(length) => (first, length),
                None if first == '\'' => return Err(self.unclosed("a text", "'")),
                None => return Err(self.unclosed("a name", &first.to_string())),
            }
        } else if first.is_alphabetic() || first == '_' {
            ('a', length_while(rest, is_of_word))
        } else if first.is_ascii_digit() || is_fraction(rest) {
            ('0', number_length(rest))
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            (
                first,
                symbol.map_or(first.len_utf8(), |symbol| symbol.len()),
            )
        };
        self.at = start + length;
        Ok(Some(Piece {
            lead,
            at: Span {
                start,
                end: self.at,
            },
        }))
    }

    fn unclosed(&self, what: &str, close: &str) -> Error {
        let at = Span {
            start: self.at,
            end: self.at + 1,
        };
        let message = format!("{what} begins here and is not closed by `{close}`");
        error(self.text, at, &message)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn is_fraction(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next() == Some(b'.') && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
}

fn length_while(text: &str, holds: impl Fn(char) -> bool) -> usize {
    text.find(|c| !holds(c)).unwrap_or(text.len())
}

fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => chars.next(),
                _ => return Some(at + 1),
            };
        }
    }
    None
}

fn unquoted(raw: &str, quote: char) -> String {
    let doubled = format!("{quote}{quote}");
    raw[1..raw.len() - 1].replace(&doubled, &quote.to_string())
}

/// Digits, a fraction, an exponent, and letters that directly follow, which are a mistake.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| from + length_while(&text[from..], |c| c.is_ascii_digit());
    let mut at = digits(0);
    if is_fraction(&text[at..])
        || (text[at..].starts_with('.') && !text[at + 1..].starts_with(is_of_word))
    {
        at = digits(at + 1);
    }
    let exponent = text[at..].strip_prefix(['e', 'E']);
    if let Some(exponent) = exponent {
        let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if signed.starts_with(|c: char| c.is_ascii_digit()) {
            at = digits(text.len() - signed.len());
        }
    }
    at + length_while(&text[at..], is_of_word)
}

fn number(text: &str, at: Span, raw: &str) -> Result<Kind> {
    let is_plain = raw.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain {
        return Ok(Kind::Integer(raw.to_owned()));
    }
    if raw
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Ok(Kind::Decimal(raw.to_owned()));
    }
    if raw.parse::<f64>().is_ok() {
        return Ok(Kind::Float(raw.to_owned()));
    }
    let message = format!("a name must not begin with a digit: write `{raw}` in backticks");
    Err(error(text, at, &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let tokens = tokens(text).expect("tokens");
        tokens.into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn names_fold_to_upper_case_unless_they_are_quoted() {
        let word = |text: &str| Kind::Word(text.to_owned());
        let quoted = |text: &str| Kind::Quoted(text.to_owned());
        let expected = [
            word("A1"),
            quoted("a`b"),
            quoted("c"),
            Kind::Text("it's".to_owned()),
        ];
        assert_eq!(kinds("a1 `a``b` \"c\" 'it''s'")[..4], expected);
    }

    #[test]
    fn numbers_are_of_three_kinds() {
        let expected = [
            Kind::Integer("007".to_owned()),
            Kind::Decimal("1.50".to_owned()),
            Kind::Float("1e-3".to_owned()),
            Kind::Decimal(".5".to_owned()),
            Kind::End,
        ];
        assert_eq!(kinds("007 1.50 1e-3 .5"), expected);
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let text = "a ';' -- ; \n b; /* ; */ ;; c";
        let found: Vec<&str> = statements(text)
            .expect("closed")
            .into_iter()
            .map(|(_, s)| s)
            .collect();
        assert_eq!(found, ["a ';' -- ; \n b", "c"]);
    }

    #[test]
    fn what_is_not_closed_is_named_with_its_place() {
        for text in ["a\n 'b", "a\n `b", "a\n /*b"] {
            let error = tokens(text).expect_err("not closed");
            assert!(error.to_string().starts_with("line 2:2: "), "{error}");
        }
    }
}
