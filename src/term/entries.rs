//! Lists of sentences, which are read and not looked up: a name, and beside it or below it what is said.
//!
//! In: names and sentences. Out: lines that have some room; a sentence goes on below itself, between
//! words, so that nothing is cut.

use console::measure_text_width;

use super::printable::printable;

/// A longer name has a line of its own.
const MAX_NAME: usize = 24;
/// The gap between a name and its sentence.
const GAP: usize = 2;
/// A sentence has at least so much room, whatever the terminal.
const LEAST: usize = 20;

/// Returns entries, each line ended.
pub fn entries(rows: impl IntoIterator<Item = (String, String)>, room: Option<usize>) -> String {
    let escaped = |text: String| printable(text.as_bytes());
    let rows = rows.into_iter();
    let rows: Vec<(String, String)> = rows
        .map(|(name, sentence)| (escaped(name), escaped(sentence)))
        .collect();
    let widths = rows.iter().map(|(name, _)| measure_text_width(name));
    let names = widths.filter(|&width| width <= MAX_NAME).max().unwrap_or(0);
    let margin = names + GAP;
    let mut lines = String::new();
    for (name, sentence) in &rows {
        let gap = (margin).saturating_sub(measure_text_width(name));
        lines.push_str(name);
        if gap < GAP {
            lines.push('\n');
            lines.push_str(&" ".repeat(margin));
        } else {
            lines.push_str(&" ".repeat(gap));
        }
        lines.push_str(&paragraph(sentence, margin, room));
        lines.push('\n');
    }
    lines
}

/// Returns a text that begins at a margin and goes on there, between words, where a line is full. A
/// word that is longer than a line stays whole.
pub fn paragraph(text: &str, margin: usize, room: Option<usize>) -> String {
    let room = room.map_or(usize::MAX, |room| room.saturating_sub(margin).max(LEAST));
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let wide = measure_text_width(word);
        if width > 0 && width + 1 + wide > room {
            lines.push('\n');
            lines.push_str(&" ".repeat(margin));
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += wide;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [(&str, &str); 3] = [
        ("one", "Calls of each caller in windows of ten seconds"),
        ("seventeen", "Short"),
        (
            "a name that is longer than any other",
            "It has a line of its own",
        ),
    ];

    fn shown(room: Option<usize>) -> String {
        let rows = ROWS.map(|(name, sentence)| (name.to_owned(), sentence.to_owned()));
        entries(rows, room)
    }

    #[test]
    fn a_sentence_goes_on_below_itself() {
        assert_eq!(
            shown(Some(40)),
            "one        Calls of each caller in\n           windows of ten seconds\n\
             seventeen  Short\n\
             a name that is longer than any other\n           It has a line of its own\n"
        );
    }

    #[test]
    fn where_there_is_no_terminal_a_sentence_is_one_line() {
        assert_eq!(shown(None).lines().count(), ROWS.len() + 1);
    }

    #[test]
    fn no_line_is_wider_than_the_room_and_no_word_is_lost() {
        for room in MAX_NAME + LEAST..100 {
            let lines = shown(Some(room));
            let widest = lines.lines().map(measure_text_width).max();
            assert!(widest <= Some(room), "{room}: {lines}");
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let all = ROWS.map(|(name, sentence)| format!("{name} {sentence}"));
            assert_eq!(words(&lines), words(&all.join(" ")));
        }
    }
}
