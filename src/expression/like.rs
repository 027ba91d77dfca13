//! `like`: `%` stands for any characters, `_` for any one; compiled once for a constant pattern.

use memchr::memmem::Finder;

/// A constant pattern, by the quickest way to match it.
#[derive(Debug)]
pub(super) struct Matcher(Shape);

#[derive(Debug)]
enum Shape {
    /// No wildcard.
    Whole(String),
    /// `literal%`.
    Prefix(String),
    /// `%literal`.
    Suffix(String),
    /// `%literal%`.
    Within(Box<Finder<'static>>),
    Any(String, Option<char>),
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Character(char),
    AnyOne,
    AnyNumber,
}

/// The parts of a pattern, read from left to right.
#[derive(Debug, Clone)]
struct Pieces<'p> {
    chars: std::str::Chars<'p>,
    escape: Option<char>,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let next = self.chars.next()?;
        Some(match next {
            // An escape character at the very end stands for itself.
            _ if Some(next) == self.escape => Piece::Character(self.chars.next().unwrap_or(next)),
            '%' => Piece::AnyNumber,
            '_' => Piece::AnyOne,
            _ => Piece::Character(next),
        })
    }
}

fn pieces(pattern: &str, escape: Option<char>) -> Pieces<'_> {
    let chars = pattern.chars();
    Pieces { chars, escape }
}

impl Matcher {
    pub fn new(pattern: &str, escape: Option<char>) -> Self {
        let pieces: Vec<Piece> = pieces(pattern, escape).collect();
        let literal = |pieces: &[Piece]| {
            let characters = pieces.iter().map(|piece| match piece {
                Piece::Character(character) => Some(*character),
                _ => None,
            });
            characters.collect::<Option<String>>()
        };
        let shape = match pieces.as_slice() {
            [Piece::AnyNumber, inner @ .., Piece::AnyNumber] => literal(inner)
                .map(|inner| Shape::Within(Box::new(Finder::new(&inner).into_owned()))),
            [Piece::AnyNumber, rest @ ..] => literal(rest).map(Shape::Suffix),
            [rest @ .., Piece::AnyNumber] => literal(rest).map(Shape::Prefix),
            all => literal(all).map(Shape::Whole),
        };
        Matcher(shape.unwrap_or_else(|| Shape::Any(pattern.to_owned(), escape)))
    }

    #[inline]
    pub fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Shape::Whole(whole) => text == whole,
            Shape::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Shape::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Shape::Within(finder) => finder.find(text.as_bytes()).is_some(),
            Shape::Any(pattern, escape) => like(text, pattern, *escape),
        }
    }
}

/// Returns whether the whole of `text` matches `pattern`, in at most text × pattern steps.
///
/// Only the last `%` ever needs another try: what an earlier one took stays taken.
pub(crate) fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let mut rest = text.chars();
    let mut wanted = pieces(pattern, escape);
    // Behind the last `%`: the pattern, and the text from where it is tried next.
    let mut retry: Option<(Pieces, std::str::Chars)> = None;
    loop {
        let (mut next_rest, mut next_wanted) = (rest.clone(), wanted.clone());
        let matched = match (next_wanted.next(), next_rest.next()) {
            (None, None) => return true,
            (Some(Piece::AnyNumber), _) => {
                wanted = next_wanted;
                retry = Some((wanted.clone(), rest.clone()));
                continue;
            }
            (Some(Piece::AnyOne), Some(_)) => true,
            (Some(Piece::Character(wanted)), Some(found)) => wanted == found,
            _ => false,
        };
        if matched {
            (rest, wanted) = (next_rest, next_wanted);
            continue;
        }
        let Some((behind, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        (rest, wanted) = (from.clone(), behind.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_text() {
        for (text, pattern, matches) in [
            ("connected", "connected", true),
            ("connected", "con%", true),
            ("connected", "%ted", true),
            ("connected", "%nec%", true),
            ("connected", "con", false),
            ("connected", "_onnecte_", true),
            ("connected", "c%n%d", true),
            ("connected", "c%x%d", false),
            ("", "", true),
            ("", "%", true),
            ("", "%%", true),
            ("", "_", false),
            ("é", "_", true),
            ("aab", "%ab", true),
            ("mississippi", "m%iss%ip_i", true),
            ("50%", "50!%", true),
            ("500", "50!%", false),
            ("a!", "a!", true),
        ] {
            let escape = Some('!');
            assert_eq!(
                like(text, pattern, escape),
                matches,
                "{text} like {pattern}"
            );
            let compiled = Matcher::new(pattern, escape);
            assert_eq!(
                compiled.matches(text),
                matches,
                "{text} like {pattern}, compiled"
            );
        }
    }

    #[test]
    fn many_wildcards_take_no_exponential_time() {
        let text = "a".repeat(2_000);
        assert!(!like(&text, &format!("{}b", "%a".repeat(50)), None));
    }
}
