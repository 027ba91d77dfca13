//! How the name of a column is written: as one word, or in double quotes.

/// Words that cannot name a column unless quoted: those that the grammar needs.
const RESERVED: [&str; 21] = [
    "and", "as", "between", "case", "cast", "distinct", "else", "end", "escape", "false", "from",
    "in", "is", "like", "not", "null", "or", "then", "true", "try_cast", "when",
];

/// Returns whether `word` needs quotes to name a column.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// Returns whether a name or keyword may begin with `c`.
pub(crate) fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Returns whether a name or keyword may continue with `c`.
pub(crate) fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns whether a text is one word, as names and keywords are.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(begins_word) && text.chars().all(continues_word)
}

/// Returns a column's name as an expression has it: in double quotes where it would not be read as a
/// name otherwise.
pub fn quoted_name(name: &str) -> String {
    if is_word(name) && !is_reserved(name) {
        name.to_owned()
    } else {
        in_quotes(name)
    }
}

/// Returns a name in double quotes.
pub(super) fn in_quotes(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the name nearest to `name`, if one is near.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    names
        .map(|other| {
            (
                strsim::damerau_levenshtein(&name, &other.to_lowercase()),
                other,
            )
        })
        .filter(|(distance, other)| *distance <= 1 + other.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}
