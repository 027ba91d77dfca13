//! Text from outside as it may stand on a terminal.

use std::fmt::Write;

/// Returns bytes as text that moves no cursor: control characters and those that turn the direction
/// of writing are escaped, bytes that are not UTF-8 are written `\xff`.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_invisible_order(c) {
                text.extend(c.escape_default())
            } else {
                text.push(c)
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").unwrap_or(()); // a string takes everything
        }
    }
    text
}

/// Returns lines with what is in each as [`printable`] has it: newlines alone stay.
pub fn printable_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| printable(line.as_bytes()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Line separators, and the marks that begin and end text of the other direction.
fn is_invisible_order(c: char) -> bool {
    matches!(
        c,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_is_not_utf_8_is_escaped() {
        assert_eq!(printable("café\n\u{1b}[2J".as_bytes()), "café\\n\\u{1b}[2J");
        assert_eq!(printable(b"\xff!"), "\\xff!");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let controls = (0..=0x9f).filter_map(char::from_u32);
        let marks = "\u{61c}\u{200e}\u{202e}\u{2066}".chars();
        for c in controls.filter(|c| c.is_control()).chain(marks) {
            let shown = printable_lines(&format!("a{c}b\nc"));
            let left = shown
                .chars()
                .filter(|c| c.is_control() || is_invisible_order(*c));
            let newlines = if c == '\n' { 2 } else { 1 };
            assert_eq!(left.collect::<String>(), "\n".repeat(newlines), "{c:?}");
        }
    }

    #[test]
    fn what_was_made_printable_stays_as_it_is() {
        let once = printable(b"\x1b]0;\xc2\x9bx\xff\\");
        assert_eq!(once, "\\u{1b}]0;\\u{9b}x\\xff\\");
        assert_eq!(printable(once.as_bytes()), once);
    }
}
