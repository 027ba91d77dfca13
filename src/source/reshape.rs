//! JSON values that span lines, or are in one array → one value per line, in place.
//!
//! In: bytes as they are read. Out: as many bytes. Changed are only blanks, line ends, and the
//! brackets and commas of an array, between the values and inside them. No byte that is part of a
//! value's meaning is touched, so text that is not JSON stays so.

use serde::de::IgnoredAny;

/// How JSON values lie in a file or a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One per line.
    Lines,
    /// Some span lines, or they are in an array.
    Values,
    /// One per line, and lines end in carriage returns alone.
    Returns,
}

impl Shape {
    /// Returns how values lie by the first bytes of an input, which are all of it if it has
    /// `ended`; `None` if more bytes are needed.
    pub fn of(bytes: &[u8], ended: bool) -> Option<Shape> {
        let bytes = bytes.trim_ascii_start();
        let unless_ended = ended.then_some(Shape::Lines);
        if let Some(inner) = bytes.strip_prefix(b"[") {
            return match inner.trim_ascii_start().first() {
                Some(b'{' | b']') => Some(Shape::Values),
                Some(_) => Some(Shape::Lines),
                None => unless_ended,
            };
        }
        let end = memchr::memchr(b'\n', bytes);
        let line = match end {
            Some(end) => &bytes[..end],
            None if ended => bytes,
            None => return None,
        };
        let is_cut_off = |error: &serde_json::Error| error.is_eof();
        match first_value(line) {
            Ok(length) => Some(match line[length..].trim_ascii_end() {
                [b'\r', ..] => Shape::Returns,
                _ => Shape::Lines,
            }),
            Err(error) if is_cut_off(&error) => match first_value(bytes) {
                Ok(_) => Some(Shape::Values),
                Err(error) if is_cut_off(&error) => unless_ended,
                Err(_) => Some(Shape::Lines),
            },
            Err(_) => Some(Shape::Lines),
        }
    }
}

/// Returns the length of the JSON value that bytes begin with.
fn first_value(bytes: &[u8]) -> serde_json::Result<usize> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    values.next().transpose()?;
    Ok(values.byte_offset())
}

/// Gives each value a line of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reshape {
    /// Whether the line has something by now; without that it does not end, so that lines count values.
    has_value: bool,
    /// In how many brackets the next byte is, the array's not among them.
    depth: u32,
    /// Whether the values are elements of an array.
    in_array: bool,
    in_text: bool,
    is_escaped: bool,
    /// How many line ends there were, those that are none any more among them.
    line_ends: u64,
    /// How many there were before the last value and before the last array.
    before: Before,
    /// Whether the value begins with a brace, and not with a bracket.
    is_object: bool,
    /// Whether the value has ended as one of the other kind does: with what ends the array, say.
    is_odd: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Before {
    value: u64,
    array: u64,
}

/// What has not ended, with the line of the input as it is that it begins in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// A value: all that follows is taken for a part of it.
    Value(u64),
    /// The array, between two values.
    Array(u64),
}

impl Reshape {
    /// Returns what the bytes so far leave open.
    pub fn open(&self) -> Option<Open> {
        match (self.depth, self.in_array) {
            (0, false) => None,
            (0, true) if !self.is_odd => Some(Open::Array(self.before.array + 1)),
            _ => Some(Open::Value(self.before.value + 1)),
        }
    }

    /// Reshapes the bytes that come next.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.line_ends += u64::from(*byte == b'\n');
            if self.in_text {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    // No text of JSON has a line end: what was not closed ends here.
                    b'"' | b'\n' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            let is_between = self.depth == 0;
            let ends_line = is_between && self.has_value;
            match byte {
                b'"' => self.in_text = true,
                b'[' if is_between && !self.in_array => {
                    self.in_array = true;
                    self.before.array = self.line_ends;
                    *byte = b' ';
                }
                b']' if is_between && self.in_array => {
                    self.in_array = false;
                    *byte = if ends_line { b'\n' } else { b' ' };
                }
                b',' if is_between && self.in_array => *byte = b'\n',
                b'\n' if !ends_line || self.in_array => *byte = b' ',
                b'{' | b'[' => {
                    if is_between && !self.has_value {
                        self.before.value = self.line_ends;
                        (self.is_object, self.is_odd) = (*byte == b'{', false);
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.is_odd |= self.depth == 1 && self.is_object != (*byte == b'}');
                    self.depth = self.depth.saturating_sub(1);
                }
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.has_value = true;
            } else if *byte == b'\n' {
                self.has_value = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_how_values_lie_as_soon_as_they_can() {
        for (bytes, more, whole) in [
            ("{\"a\":1}\n", Some(Shape::Lines), Shape::Lines),
            ("{\"a\":1}", None, Shape::Lines),
            ("{bad\n{\"a\":1}\n", Some(Shape::Lines), Shape::Lines),
            ("{\"a\":\n{\"b\":1}\n", None, Shape::Lines),
            ("{\"a\":1,\n{\"b\":1}\n", Some(Shape::Lines), Shape::Lines),
            ("{\n", None, Shape::Lines),
            ("{\n  \"a\": [\n  1]\n}", Some(Shape::Values), Shape::Values),
            (" [\n", None, Shape::Lines),
            ("[\n {", Some(Shape::Values), Shape::Values),
            ("[]", Some(Shape::Values), Shape::Values),
            ("[1,2]", Some(Shape::Lines), Shape::Lines),
            ("{\"a\":1}\r{\"a\":2}\r", None, Shape::Returns),
            ("{\"a\":1}\r\n", Some(Shape::Lines), Shape::Lines),
            ("{\"a\":1} {\"a\":2}\n", Some(Shape::Lines), Shape::Lines),
        ] {
            assert_eq!(Shape::of(bytes.as_bytes(), false), more, "{bytes}");
            assert_eq!(Shape::of(bytes.as_bytes(), true), Some(whole), "{bytes}");
        }
    }

    #[test]
    fn what_does_not_end_is_told_with_the_line_that_it_begins_in() {
        for (bytes, open) in [
            ("[{\"a\":1},\n{\"a\":[2]}\n]\n", None),
            ("[]\n{\n}", None),
            ("\n[{\"a\":1},\n{\"a\":2}\n", Some(Open::Array(2))),
            ("[{\"a\":1},", Some(Open::Array(1))),
            // Of what is missing a bracket or a quote.
            ("[{\"a\":1},\n{\"a\":2,\n{\"a\":3}]", Some(Open::Value(2))),
            ("[{\"a\":1,{}]\n[{}]\n", Some(Open::Value(1))),
            ("[{\"a\":1],{\"a\":2}]\n", None),
            ("[{\"a\":1],{\"a\":2}\n", Some(Open::Array(1))),
            ("[{},\n{\"a\":[2},\n{\"a\":3}", Some(Open::Value(2))),
            ("[{},\n{\"a\":\"2},\n{\"a\":3}]", Some(Open::Value(2))),
            ("{\n\"a\":1\n}\n{\n\"a\":2\n\n{\n}\n", Some(Open::Value(4))),
        ] {
            for size in 1..=bytes.len() {
                let mut reshape = Reshape::default();
                let mut reshaped = bytes.as_bytes().to_vec();
                reshaped
                    .chunks_mut(size)
                    .for_each(|chunk| reshape.apply(chunk));
                assert_eq!(reshape.open(), open, "{bytes} by {size}");
            }
        }
    }

    #[test]
    fn each_value_gets_a_line_however_the_bytes_are_cut() {
        for (bytes, lines) in [
            (
                "[{\"a\":[1,{}],\"b\":\"],{\\\"\"},\n {\"a\":2}\n]\n",
                " {\"a\":[1,{}],\"b\":\"],{\\\"\"}\n  {\"a\":2} \n ",
            ),
            ("{\n\"a\": [\n1]\n}\n{ }\n", "{ \"a\": [ 1] }\n{ }\n"),
            ("[[1],[2]]", " [1]\n[2]\n"),
            ("\n\n[ ]\n{}\n\n\n{}\n", "      {}\n  {}\n"),
            // A text with a line end is not a text before it, nor after it.
            (
                "{\n\"a\":\"x\n}\n{\"b\":1}\n",
                "{ \"a\":\"x\n}\n{\"b\":1}\n",
            ),
            ("}\n]\n{\n}", "}\n]\n{ }"),
        ] {
            for size in 1..=bytes.len() {
                let (mut reshape, mut reshaped) = (Reshape::default(), bytes.as_bytes().to_vec());
                reshaped
                    .chunks_mut(size)
                    .for_each(|chunk| reshape.apply(chunk));
                assert_eq!(String::from_utf8_lossy(&reshaped), lines, "by {size}");
            }
        }
    }
}
