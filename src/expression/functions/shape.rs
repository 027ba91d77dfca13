//! A time in a local form → the pattern that reads it.

use jiff::tz::TimeZone;

use super::pattern;

/// Which part of a date a number is.
const YEAR: char = 'y';
const MONTH: char = 'M';
const DAY: char = 'd';

/// Returns the pattern by which `parse_timestamp` reads a text such as `29.03.2026 12:00:00`,
/// `3/29/2026 1:05 PM` or `29/Mar/2026:12:00:00 +0100`; `None` where it is not a time in such a
/// form, or in ISO 8601, which needs no pattern.
///
/// Where either of two numbers may be the month, as in `03/04/2026`, the first is the day;
/// [`other_order`] has the other reading.
pub fn pattern_of(text: &str) -> Option<String> {
    let mut shape = Shape {
        rest: text,
        pattern: String::new(),
        is_padded: false,
    };
    shape.weekday();
    shape.date()?;
    if !shape.rest.is_empty() {
        shape.gap();
        shape.clock()?;
        shape.half_day();
        shape.zone();
    }
    // Whatever was made of it, only its reader needs a comment.
    reads(&shape.pattern, text).then_some(shape.pattern)
}

fn reads(pattern: &str, text: &str) -> bool {
    pattern::check(pattern).is_ok() && pattern::parse(text, pattern, &TimeZone::UTC).is_some()
}

/// Returns the pattern with day and month exchanged, if it reads the text as well: then the text does not
/// say which of them it is.
pub fn other_order(pattern: &str, text: &str) -> Option<String> {
    exchanged(pattern).filter(|other| reads(other, text))
}

/// Returns a pattern that begins with day and month, in numbers between `/` or `-`, the other way round.
pub fn exchanged(pattern: &str) -> Option<String> {
    let end = pattern.find(YEAR)?;
    let (date, rest) = pattern.split_at(end);
    let numbers: Vec<&str> = date.split_inclusive(['/', '-']).collect();
    let [first, second] = numbers[..] else {
        return None;
    };
    let is_number = |part: &str, letter| {
        let width = part.len().saturating_sub(1);
        matches!(width, 1 | 2) && part[..width].chars().all(|c| c == letter)
    };
    let has_both = |a, b| is_number(first, a) && is_number(second, b);
    let exchange = |c| match c {
        DAY => MONTH,
        MONTH => DAY,
        other => other,
    };
    (has_both(DAY, MONTH) || has_both(MONTH, DAY))
        .then(|| date.chars().map(exchange).collect::<String>() + rest)
}

/// A text that is read from left to right, and the pattern of what was read.
struct Shape<'t> {
    rest: &'t str,
    pattern: String,
    /// Whether the hour has a zero before it.
    is_padded: bool,
}

impl<'t> Shape<'t> {
    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn push(&mut self, letter: char, times: usize) {
        self.pattern.extend(std::iter::repeat_n(letter, times));
    }

    /// Takes the text between two parts literally.
    fn gap(&mut self) {
        let gap = self.take(|c| !c.is_ascii_digit());
        self.literal(gap);
    }

    fn literal(&mut self, text: &str) {
        if text.contains(|c: char| c.is_ascii_alphabetic() || c == '\'') {
            let quoted = text.replace('\'', "''");
            self.pattern.push_str(&format!("'{quoted}'"));
        } else {
            self.pattern.push_str(text);
        }
    }

    fn weekday(&mut self) {
        let before = self.rest;
        let word = self.take(char::is_alphabetic);
        if pattern::is_weekday(word) {
            self.push('E', word.len().min(4));
            let gap = self.take(|c| matches!(c, ',' | ' '));
            self.literal(gap);
        } else {
            self.rest = before
        }
    }

    /// Takes three parts, of which one may be the name of a month.
    fn date(&mut self) -> Option<()> {
        let mut parts = [""; 3];
        let mut gaps = [""; 2];
        for at in 0..3 {
            let is_word = self.rest.starts_with(char::is_alphabetic);
            parts[at] = if is_word {
                self.take(char::is_alphabetic)
            } else {
                self.take(|c| c.is_ascii_digit())
            };
            if at < 2 {
                gaps[at] = self.take(|c| matches!(c, '.' | '/' | '-' | ',' | ' '));
            }
        }
        let number = |at: usize| parts[at].parse::<u32>().ok();
        let order = match (number(0), number(1), number(2)) {
            (Some(_), Some(_), Some(_)) if parts[0].len() == 4 => [YEAR, MONTH, DAY],
            (Some(_), Some(second), Some(_)) if second > 12 => [MONTH, DAY, YEAR],
            (Some(_), Some(_), Some(_)) => [DAY, MONTH, YEAR],
            (Some(_), None, Some(_)) if parts[0].len() == 4 => [YEAR, MONTH, DAY],
            (Some(_), None, Some(_)) => [DAY, MONTH, YEAR],
            (None, Some(_), Some(_)) => [MONTH, DAY, YEAR],
            _ => return None,
        };
        // One letter reads numbers of one digit and of two.
        let is_short = |part: &&str| part.len() == 1;
        let numbers = if parts.iter().any(is_short) { 1 } else { 2 };
        for (at, letter) in order.into_iter().enumerate() {
            let part = parts[at];
            let width = match letter {
                YEAR if part.len() == 2 => 2,
                YEAR => 4,
                // A name: three letters, or all of them.
                MONTH if part.starts_with(char::is_alphabetic) => part.len().clamp(3, 4),
                _ => numbers,
            };
            self.push(letter, width);
            if at < 2 {
                self.literal(gaps[at]);
            }
        }
        Some(())
    }

    fn clock(&mut self) -> Option<()> {
        let hour = self.take(|c| c.is_ascii_digit());
        self.is_padded = hour.starts_with('0');
        self.push('H', hour.len());
        for letter in ['m', 's'] {
            if let Some(rest) = self.rest.strip_prefix(':') {
                self.rest = rest;
                self.pattern.push(':');
                let part = self.take(|c| c.is_ascii_digit());
                self.push(letter, part.len());
            } else if letter == 'm' {
                return None;
            }
        }
        if self.rest.starts_with(['.', ',']) {
            let (mark, rest) = self.rest.split_at(1);
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            self.pattern.push_str(mark);
            self.push('S', digits);
            self.rest = &rest[digits..];
        }
        Some(())
    }

    /// Takes AM or PM, which makes the hours those of half a day.
    fn half_day(&mut self) {
        let word = self.rest.trim_start_matches(' ');
        let half = word.get(..2).unwrap_or_default();
        if half.eq_ignore_ascii_case("am") || half.eq_ignore_ascii_case("pm") {
            let (hours, hour) = if self.pattern.contains("HH") {
                ("HH", if self.is_padded { "hh" } else { "h" })
            } else {
                ("H", "h")
            };
            self.pattern = self.pattern.replace(hours, hour);
            let blanks = self.rest.len() - word.len();
            self.push(' ', blanks);
            self.pattern.push('a');
            self.rest = &word[2..];
        }
    }

    fn zone(&mut self) {
        let word = self.rest.trim_start_matches(' ');
        let blanks = self.rest.len() - word.len();
        self.push(' ', blanks);
        let zone = match word.as_bytes() {
            [] => "",
            [b'Z'] => "X",
            [b'+' | b'-', ..] if word.contains(':') => "XXX",
            [b'+' | b'-', ..] => "Z",
            _ => "VV",
        };
        self.pattern.push_str(zone);
        self.rest = "";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_forms_have_patterns_that_read_them() {
        for (text, pattern) in [
            ("29.03.2026 12:00:00", "dd.MM.yyyy HH:mm:ss"),
            ("29.03.2026", "dd.MM.yyyy"),
            ("1.3.26 7:05", "d.M.yy H:mm"),
            ("29.03.2026, 12:00:00,250", "dd.MM.yyyy, HH:mm:ss,SSS"),
            ("29.03.2026T12:00", "dd.MM.yyyy'T'HH:mm"),
            ("3/29/2026 1:05:09 PM", "M/d/yyyy h:mm:ss a"),
            ("03/04/2026", "dd/MM/yyyy"),
            ("03/29/2026", "MM/dd/yyyy"),
            ("29/03/2026 12:00", "dd/MM/yyyy HH:mm"),
            ("29-03-2026 12:00:00.123456", "dd-MM-yyyy HH:mm:ss.SSSSSS"),
            ("2026/03/29 12:00:00", "yyyy/MM/dd HH:mm:ss"),
            ("2026-3-9 7:05", "yyyy-M-d H:mm"),
            ("29-Mar-2026 12:00:00", "dd-MMM-yyyy HH:mm:ss"),
            ("29/Mar/2026:12:00:00 +0100", "dd/MMM/yyyy:HH:mm:ss Z"),
            (
                "Sun, 29 Mar 2026 12:00:00 +0100",
                "EEE, dd MMM yyyy HH:mm:ss Z",
            ),
            ("March 29, 2026 12:00 am", "MMMM dd, yyyy h:mm a"),
            (
                "29.03.2026 um 12:00 Europe/Berlin",
                "dd.MM.yyyy' um 'HH:mm VV",
            ),
        ] {
            assert_eq!(pattern_of(text).as_deref(), Some(pattern), "{text}");
        }
    }

    #[test]
    fn where_day_and_month_may_be_exchanged_there_is_another_pattern() {
        for (text, other) in [
            ("03/04/2026 12:00", Some("MM/dd/yyyy HH:mm")),
            ("3-4-2026", Some("M-d-yyyy")),
            ("03/29/2026", None),
            ("29/03/2026", None),
            ("03.04.2026", None),
            ("03/Apr/2026", None),
            ("2026/03/04", None),
        ] {
            let pattern = pattern_of(text).expect("a time");
            assert_eq!(other_order(&pattern, text).as_deref(), other, "{text}");
        }
        assert_eq!(exchanged("MM/dd/yyyy").as_deref(), Some("dd/MM/yyyy"));
        assert_eq!(exchanged("yyyy"), None);
    }

    #[test]
    fn what_is_no_time_has_no_pattern() {
        for text in [
            "",
            "n/a",
            "t",
            "12:00",
            "31.02.2026",
            "29.03.2026 25:00",
            "1.2.3.4",
            "ün",
            "29.03.2026x",
            "1767225600000",
            "Mar 2026",
            "29.03.2026 12",
            "a'b.c'd.e",
            "Sun",
        ] {
            assert_eq!(pattern_of(text), None, "{text}");
        }
    }
}
