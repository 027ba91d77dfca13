//! Names of ksqlDB's language: which words are reserved, and how a name is typed.

/// Words that are no names unless they are quoted.
const RESERVED: [&str; 46] = [
    "AND",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CREATE",
    "DELETE",
    "DESCRIBE",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "OUTER",
    "PRINT",
    "RIGHT",
    "SELECT",
    "STREAM",
    "TABLE",
    "TERMINATE",
    "THEN",
    "TRUE",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// Returns whether a word is no name unless it is quoted.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// Returns a name in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Returns a name as it would be typed: in backticks where it must be.
pub fn typed(name: &str) -> String {
    let mut chars = name.chars();
    let is_plain = chars
        .next()
        .is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if is_plain {
        name.to_owned()
    } else {
        quoted(name)
    }
}
