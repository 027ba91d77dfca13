//! Text from outside as it may stand on a terminal.

use std::fmt::Write;

/// Returns bytes as text that moves no cursor: control characters and those that turn the
/// direction of writing are escaped, bytes that are no UTF-8 are written `\xff`.
///
/// ```
/// use k::term::printable::printable;
/// assert_eq!(printable("café\n\u{1b}[2J".as_bytes()), "café\\n\\u{1b}[2J");
/// assert_eq!(printable(b"\xff!"), "\\xff!");
/// ```
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c.is_control() || is_invisible_order(c) {
                true => text.extend(c.escape_default()),
                false => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").unwrap_or(()); // a string takes everything
        }
    }
    text
}

/// Line separators, and the marks that begin and end text of the other direction.
fn is_invisible_order(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
