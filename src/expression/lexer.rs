//! Text → tokens, each with its place.
//!
//! Blanks and SQL comments (`-- …` to the end of the line, `/* … */`) are left out.

use super::syntax::Span;
use crate::column::name::{begins_word, continues_word};
use crate::error::{Error, Result};

/// A token and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A keyword or a name; the text has its letters.
    Word,
    /// A name in `"…"` or `` `…` ``, where the quote doubled stands for itself.
    Name { name: String, double_quoted: bool },
    /// `12`.
    Integer,
    /// `1.5`, `.5`, `1e9`.
    Decimal,
    /// `'it''s'`.
    Text(String),
    /// `@key`, the name of a part of a record.
    Part,
    /// An operator or a bracket; the text has its characters.
    Symbol,
    /// The end of the text, once, last.
    End,
}

/// Operators of two characters, before those of one.
const SYMBOLS: [&str; 21] = [
    "<=", ">=", "<>", "!=", "==", "||", "->", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")",
    ",", ".", "[", "]",
];

/// Returns the tokens of `text`, closed by one [`TokenKind::End`].
///
/// # Errors
/// `usage` with a caret: a quote or comment without its end, a character that begins no token.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if let Some(length) = comment(text, at)? {
            at += length;
            continue;
        }
        let is_part = first == '@' && rest[1..].starts_with(begins_word);
        let (kind, length) = if begins_word(first) || is_part {
            let more = rest[first.len_utf8()..].find(|c| !continues_word(c));
            let length = more.map_or(rest.len(), |more| first.len_utf8() + more);
            let kind = if is_part {
                TokenKind::Part
            } else {
                TokenKind::Word
            };
            (kind, length)
        } else if begins_number(rest) {
            number(text, at)?
        } else if matches!(first, '\'' | '"' | '`') {
            quoted(text, at, first)?
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (TokenKind::Symbol, symbol.len())
        } else {
            return Err(unexpected(text, at, first));
        };
        let span = Span {
            start: at,
            end: at + length,
        };
        tokens.push(Token { kind, span });
        at += length;
    }
    let span = Span {
        start: text.trim_end().len(),
        end: text.trim_end().len(),
    };
    tokens.push(Token {
        kind: TokenKind::End,
        span,
    });
    Ok(tokens)
}

/// Returns the length of the comment that begins at `at`, if one does.
fn comment(text: &str, at: usize) -> Result<Option<usize>> {
    let rest = &text[at..];
    if rest.starts_with("--") {
        return Ok(Some(rest.find('\n').unwrap_or(rest.len())));
    }
    let Some(comment) = rest.strip_prefix("/*") else {
        return Ok(None);
    };
    match comment.find("*/") {
        Some(end) => Ok(Some(2 + end + 2)),
        None => Err(Error::usage("the comment is not closed").at(text, at, at + 2)),
    }
}

fn begins_number(rest: &str) -> bool {
    let digits = rest.strip_prefix('.').unwrap_or(rest);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

fn number(text: &str, at: usize) -> Result<(TokenKind, usize)> {
    let bytes = &text.as_bytes()[at..];
    let digits = |from: usize| {
        let digit = |byte: &&u8| byte.is_ascii_digit();
        from + bytes[from..].iter().take_while(digit).count()
    };
    let mut end = digits(0);
    let mut kind = TokenKind::Integer;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
        kind = TokenKind::Decimal;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
            kind = TokenKind::Decimal;
        }
    }
    let tail = text[at + end..]
        .find(|c| !continues_word(c))
        .unwrap_or(text.len() - at - end);
    if tail > 0 {
        let whole = &text[at..at + end + tail];
        let error =
            Error::usage(format!("`{whole}` is not a number")).at(text, at, at + end + tail);
        return Err(match crate::term::units::parse_duration(whole) {
            Ok(ms) => error.hint(format!("write a duration in ms: `{ms}`")),
            Err(_) => error,
        });
    }
    Ok((kind, end))
}

/// Returns the text or name that begins with `quote`; the quote doubled stands for itself.
fn quoted(text: &str, at: usize, quote: char) -> Result<(TokenKind, usize)> {
    let mut content = String::new();
    let mut next = at + 1;
    loop {
        let Some(end) = text[next..].find(quote) else {
            let what = if quote == '\'' { "text" } else { "name" };
            let message = format!("the {what} has no closing {quote}");
            return Err(Error::usage(message).at(text, at, text.trim_end().len()));
        };
        content.push_str(&text[next..next + end]);
        next += end + 1;
        if !text[next..].starts_with(quote) {
            break;
        }
        content.push(quote);
        next += 1;
    }
    let kind = match quote {
        '\'' => TokenKind::Text(content),
        _ => TokenKind::Name {
            name: content,
            double_quoted: quote == '"',
        },
    };
    Ok((kind, next - at))
}

fn unexpected(text: &str, at: usize, found: char) -> Error {
    let end = at + found.len_utf8();
    let error = Error::usage(format!("unexpected `{}`", found.escape_debug())).at(text, at, end);
    match found {
        '‘' | '’' | '“' | '”' => {
            error.hint("text goes in straight single quotes: `'connected'`")
        }
        '!' => error.hint("write `not`, or `<>` between values"),
        '&' => error.hint("write `and`"),
        '|' => error.hint("write `or`; `||` joins texts"),
        _ => error,
    }
}
