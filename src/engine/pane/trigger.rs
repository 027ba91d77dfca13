//! When in processing time panes leave ("The Dataflow Model", §2.3; Beam's triggers).
//!
//! ```text
//! trigger  final | watermark [late(…)] | early(…) watermark [late(…)] | repeat
//! repeat   every DURATION | count N | changes, or several joined by `or`
//! ```

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::term::units::{format_duration, parse_positive_duration};

/// What makes a window's panes leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trigger {
    /// One pane a window and key, when the watermark is at or past its close and grace
    /// (ksql's EMIT FINAL, Kafka Streams' `EmitStrategy.onWindowClose`).
    #[default]
    Final,
    /// Panes before, at and after the close; and when its grace has passed, a last one if records
    /// came since the one before.
    Panes {
        /// Repeated until the window closes.
        early: Repeat,
        /// Whether a pane leaves when the window closes, even if no record came since the last.
        watermark: bool,
        /// Repeated once the window has closed.
        late: Repeat,
    },
}

/// What makes pane after pane leave, whichever comes first; nothing if all are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repeat {
    /// At multiples of this many ms of processing time since 1970, if records came since the
    /// last pane (Beam's aligned delay).
    pub every_ms: Option<i64>,
    /// When this many records came since the last pane.
    pub count: Option<u64>,
}

impl Trigger {
    /// A pane for every record (ksql's EMIT CHANGES).
    pub(crate) const CHANGES: Trigger = {
        let every_record = Repeat {
            every_ms: None,
            count: Some(1),
        };
        Trigger::Panes {
            early: every_record,
            watermark: false,
            late: every_record,
        }
    };

    /// Returns the spans of processing time after whose multiples panes may leave.
    pub(crate) fn periods(&self) -> impl Iterator<Item = i64> + use<> {
        let (early, late) = match self {
            Trigger::Final => (None, None),
            Trigger::Panes { early, late, .. } => (early.every_ms, late.every_ms),
        };
        early.into_iter().chain(late)
    }

    /// Returns whether panes may leave after a number of records.
    pub fn counts(&self) -> bool {
        match self {
            Trigger::Final => false,
            Trigger::Panes { early, late, .. } => early.count.is_some() || late.count.is_some(),
        }
    }
}

impl FromStr for Trigger {
    type Err = Error;

    /// Reads a trigger.
    ///
    /// # Errors
    /// `usage` with a caret under what is wrong.
    fn from_str(text: &str) -> Result<Self> {
        let mut words = Words::of(text);
        let trigger = words.trigger()?;
        match words.next() {
            None => Ok(trigger),
            Some(word) => Err(words.unexpected(Some(word))),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (early, late) = match self {
            Trigger::Final => return f.write_str("final"),
            Trigger::Panes {
                early,
                watermark: false,
                ..
            } => return early.fmt(f),
            Trigger::Panes { early, late, .. } => (early, late),
        };
        let never = Repeat::default();
        if *early != never {
            write!(f, "early({early}) ")?;
        }
        f.write_str("watermark")?;
        if *late != never {
            write!(f, " late({late})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.every_ms, self.count) {
            (Some(every), None) => write!(f, "every {}", format_duration(every)),
            (None, Some(1)) => f.write_str("changes"),
            (None, Some(count)) => write!(f, "count {count}"),
            (Some(every), Some(count)) => {
                write!(f, "every {} or count {count}", format_duration(every))
            }
            (None, None) => f.write_str("never"),
        }
    }
}

/// The words of a trigger's text with their places in it.
struct Words<'t> {
    text: &'t str,
    words: Vec<(usize, &'t str)>,
    next: usize,
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Self {
        let mut words = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let at = text.len() - rest.len();
            let length = match first {
                '(' | ')' => 1,
                _ if first.is_whitespace() => {
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
                _ => rest
                    .find(|c: char| c.is_whitespace() || c == '(' || c == ')')
                    .unwrap_or(rest.len()),
            };
            words.push((at, &rest[..length]));
            rest = &rest[length..];
        }
        let next = 0;
        Words { text, words, next }
    }

    fn peek(&self) -> Option<&'t str> {
        self.words.get(self.next).map(|(_, word)| *word)
    }

    fn next(&mut self) -> Option<(usize, &'t str)> {
        let word = self.words.get(self.next).copied();
        self.next += usize::from(word.is_some());
        word
    }

    fn take(&mut self, wanted: &str) -> Result<()> {
        match self.next() {
            Some((_, word)) if word == wanted => Ok(()),
            other => Err(self.unexpected(other)),
        }
    }

    fn trigger(&mut self) -> Result<Trigger> {
        match self.peek() {
            Some("final") => {
                self.next();
                Ok(Trigger::Final)
            }
            Some("early" | "watermark") => {
                let early = self.part("early")?;
                self.take("watermark")?;
                let late = self.part("late")?;
                Ok(Trigger::Panes {
                    early,
                    watermark: true,
                    late,
                })
            }
            _ => {
                let always = self.repeat()?;
                Ok(Trigger::Panes {
                    early: always,
                    watermark: false,
                    late: always,
                })
            }
        }
    }

    /// Reads `early(…)` or `late(…)` if it is here.
    fn part(&mut self, name: &str) -> Result<Repeat> {
        if self.peek() != Some(name) {
            return Ok(Repeat::default());
        }
        self.next();
        self.take("(")?;
        let repeat = self.repeat()?;
        self.take(")")?;
        Ok(repeat)
    }

    fn repeat(&mut self) -> Result<Repeat> {
        let mut repeat = Repeat::default();
        loop {
            match self.next() {
                Some((_, "changes")) => repeat.count = Some(1),
                Some((_, "count")) => {
                    let count = self.number(|word| {
                        let count: Option<u64> = word.parse().ok();
                        count.filter(|&count| count > 0).ok_or_else(|| {
                            format!("`{word}` is not a number of records: write `count 100`")
                        })
                    })?;
                    repeat.count = Some(repeat.count.map_or(count, |known| known.min(count)));
                }
                Some((_, "every")) => {
                    let every = self.number(parse_positive_duration)?;
                    repeat.every_ms = Some(repeat.every_ms.map_or(every, |known| known.min(every)));
                }
                other => return Err(self.unexpected(other)),
            }
            if self.peek() != Some("or") {
                return Ok(repeat);
            }
            self.next();
        }
    }

    fn number<T>(&mut self, parse: impl Fn(&str) -> Result<T, String>) -> Result<T> {
        let Some((at, word)) = self.next() else {
            return Err(self.unexpected(None));
        };
        parse(word).map_err(|reason| {
            let wrong = Error::usage(format!("invalid trigger: {reason}"));
            wrong.at(self.text, at, at + word.len())
        })
    }

    fn unexpected(&self, word: Option<(usize, &str)>) -> Error {
        let (at, end, told) = match word {
            Some((at, word)) => (at, at + word.len(), format!("`{word}` does not fit here")),
            None => (
                self.text.len(),
                self.text.len(),
                "it ends too early".to_owned(),
            ),
        };
        Error::usage(format!("invalid trigger: {told}"))
            .at(self.text, at, end)
            .hint("`final`, `watermark`, `changes`, `every 5s`, `count 100`, or all parts: `early(every 5s) watermark late(count 1)`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeat(every_ms: Option<i64>, count: Option<u64>) -> Repeat {
        Repeat { every_ms, count }
    }

    #[test]
    fn every_form_is_read() {
        let cases = [
            ("final", Trigger::Final),
            ("changes", Trigger::CHANGES),
            (
                " every 5s ",
                Trigger::Panes {
                    early: repeat(Some(5_000), None),
                    watermark: false,
                    late: repeat(Some(5_000), None),
                },
            ),
            (
                "watermark",
                Trigger::Panes {
                    early: repeat(None, None),
                    watermark: true,
                    late: repeat(None, None),
                },
            ),
            (
                "early(every 5s or count 100)watermark late( changes )",
                Trigger::Panes {
                    early: repeat(Some(5_000), Some(100)),
                    watermark: true,
                    late: repeat(None, Some(1)),
                },
            ),
        ];
        for (text, trigger) in cases {
            let read: Trigger = text.parse().expect(text);
            assert_eq!(read, trigger, "{text}");
            let printed = trigger.to_string();
            assert_eq!(printed.parse::<Trigger>().ok(), Some(trigger), "{printed}");
        }
    }

    #[test]
    fn a_trigger_has_one_text_whatever_was_typed() {
        for (typed, text) in [
            ("count 1", "changes"),
            (
                "every 5000ms or count 100 or count 7",
                "every 5s or count 7",
            ),
            ("early(count 1) watermark", "early(changes) watermark"),
            ("watermark  late( every 1m )", "watermark late(every 1m)"),
        ] {
            let trigger: Trigger = typed.parse().expect(typed);
            assert_eq!(trigger.to_string(), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_pointed_at() {
        let cases = [
            ("", "ends too early"),
            ("early(count 1)", "ends too early"),
            ("late(count 1) watermark", "`late` does not fit"),
            ("count 0", "`0` is not a number of records"),
            ("count", "ends too early"),
            ("every 5", "5"),
            ("watermark watermark", "`watermark` does not fit"),
            ("early() watermark", "`)` does not fit"),
            ("final late(count 1)", "`late` does not fit"),
            ("every 5s or", "ends too early"),
        ];
        for (text, told) in cases {
            let read = text.parse::<Trigger>();
            let error = read.expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
