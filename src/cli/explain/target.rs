//! Which record is meant: by where it is, or by a condition.

use std::path::Path;

use crate::cli::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::look::advice::for_shell;

/// How the lines of a pipe are named.
const STDIN: &str = "stdin";

/// What a person says of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The line of a file, as the file is named.
    Line(String, u64),
    /// The offset of a topic's partition.
    Offset(String, i32, i64),
    /// A condition that holds for it.
    Where(String),
}

impl Target {
    /// Reads `calls.csv:17`, `mono_signal:2:1041`, or a condition.
    pub fn parse(text: &str) -> Self {
        let Some((name, number)) = last_number(text) else {
            return Target::Where(text.to_owned());
        };
        let of_topic = last_number(name).filter(|_| !Path::new(name).exists());
        if let Some((topic, partition)) = of_topic
            && let (Ok(partition), Ok(offset)) = (i32::try_from(partition), i64::try_from(number))
        {
            return Target::Offset(topic.to_owned(), partition, offset);
        }
        Target::Line(name.to_owned(), number)
    }

    /// Returns the source that it names.
    pub fn source(&self) -> Option<Endpoint> {
        let name = match self {
            Target::Line(file, _) => match file.as_str() {
                STDIN if !Path::new(STDIN).exists() => "-".to_owned(),
                name if name.starts_with("file:") => name.to_owned(),
                name => format!("file:{name}"),
            },
            Target::Offset(topic, ..) => {
                if topic.starts_with("topic:") {
                    topic.clone()
                } else {
                    format!("topic:{topic}")
                }
            }
            Target::Where(_) => return None,
        };
        let Ok(source) = name.parse();
        Some(source)
    }

    /// Returns the condition.
    pub fn condition(&self) -> Option<&str> {
        match self {
            Target::Where(condition) => Some(condition),
            Target::Line(..) | Target::Offset(..) => None,
        }
    }

    /// Returns the error about a record that did not come.
    pub fn not_found(&self, source: &str, read: u64, malformed: u64) -> Error {
        let records = crate::term::units::format_plural(read, "record");
        let told = match self {
            Target::Line(file, line) => {
                return Error::data(format!("no record begins in line {line} of `{file}`"))
                    .during(format!("looking at {records}"))
                    .hint(
                        "the header is not a record, and one of several lines begins in its first",
                    );
            }
            Target::Offset(topic, partition, offset) => {
                return Error::data(format!(
                    "there is no record at offset {offset} in partition {partition} of topic `{topic}`"
                ))
                .hint("`k topic describe` shows where its partitions begin and end");
            }
            Target::Where(condition) => {
                Error::data(format!("no record of {source} has {condition}"))
                    .during(format!("looking at {records}"))
            }
        };
        match malformed {
            0 => told,
            count => told.hint(format!(
                "{} malformed, which no condition is true of: name the line or offset of one",
                match count {
                    1 => "1 is".to_owned(),
                    count => format!("{} are", crate::term::units::format_count(count)),
                }
            )),
        }
    }
}

/// Returns what stands before the last colon, and the number behind it.
fn last_number(text: &str) -> Option<(&str, u64)> {
    let (before, number) = text.rsplit_once(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number)?;
    (!before.is_empty() && !before.ends_with(':')).then_some((before, number))
}

/// Returns the error of a question without a record.
pub(super) fn none_named() -> Error {
    Error::usage("which record? Name its place or a condition")
        .hint("its place: `k explain record calls.csv:17 …`, or `TOPIC:PARTITION:OFFSET`")
        .hint("a condition: `k explain record 'call_id = 4711' …`, or `--where 'call_id = 4711'`")
}

/// Returns the error of a question that names where the record is, and not which.
fn none_named_of(source: &str) -> Error {
    let topic = source.strip_prefix("topic:");
    let place = match topic {
        Some(topic) => format!("its partition and offset: `k explain record {topic}:2:1041 …`"),
        None if source == "-" => "its line: `k explain record stdin:17 …`".to_owned(),
        None => format!("its line: `k explain record {}:17 …`", for_shell(source)),
    };
    Error::usage(format!("which record of `{source}`?"))
        .hint(place)
        .hint(format!(
            "a condition: `k explain record {} --where 'call_id = 4711' …`",
            for_shell(source)
        ))
}

/// Returns whether a word can only name a file or a topic, there or not: no condition looks like it.
fn names_a_source(word: &str) -> bool {
    const ENDINGS: [&str; 8] = ["csv", "tsv", "json", "jsonl", "ndjson", "txt", "gz", "zst"];
    let is_one_word =
        !word.contains(|letter: char| letter.is_whitespace() || "'\"=<>()".contains(letter));
    let ending = word.rsplit_once('.').map(|(_, ending)| ending);
    let is_file = ending.is_some_and(|ending| ENDINGS.contains(&ending));
    let is_marked = ["file:", "topic:"]
        .iter()
        .any(|mark| word.starts_with(mark));
    is_one_word && (is_file || is_marked && last_number(word).is_none())
}

/// Takes the record out of what was typed: the first word, or the condition of `--where`.
///
/// # Errors
/// `usage` where neither is there.
pub(super) fn take(
    word: Option<&str>,
    filter: &mut Option<String>,
    sources: &mut Vec<Endpoint>,
) -> Result<Target> {
    let is_source = |word: &str| Path::new(word).exists() || word == "-" || names_a_source(word);
    let target = match (word, filter.as_ref()) {
        (Some(word), Some(_)) if is_source(word) => {
            let Ok(source) = word.parse();
            sources.push(source);
            filter.take().map(Target::Where)
        }
        (Some(word), None) if is_source(word) => return Err(none_named_of(word)),
        (Some(word), _) => Some(Target::parse(word)),
        (None, _) => filter.take().map(Target::Where),
    };
    let target = target.ok_or_else(none_named)?;
    if sources.is_empty() {
        sources.extend(target.source());
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_conditions_are_told_apart() {
        let line = |name: &str, line| Target::Line(name.to_owned(), line);
        let condition = |text: &str| Target::Where(text.to_owned());
        for (text, target) in [
            ("calls.csv:17", line("calls.csv", 17)),
            ("stdin:3", line("stdin", 3)),
            (
                "mono_signal:2:1041",
                Target::Offset("mono_signal".to_owned(), 2, 1041),
            ),
            ("call_id = 4711", condition("call_id = 4711")),
            ("at = '12:00:10x'", condition("at = '12:00:10x'")),
            (":7", condition(":7")),
            ("x::7", condition("x::7")),
        ] {
            assert_eq!(Target::parse(text), target, "{text}");
        }
    }

    #[test]
    fn a_condition_chooses_the_record_unless_a_place_does() {
        let (mut filter, mut sources) = (Some("n = 1".to_owned()), Vec::new());
        let target = take(Some("calls.csv:17"), &mut filter, &mut sources);
        assert_eq!(
            target.expect("a place"),
            Target::Line("calls.csv".to_owned(), 17)
        );
        assert_eq!(filter.as_deref(), Some("n = 1"), "it is the windows' own");
        assert_eq!(sources, [Endpoint::File("calls.csv".into())]);
        let target = take(None, &mut filter, &mut sources).expect("a condition");
        assert_eq!((target.condition(), filter), (Some("n = 1"), None));
        assert!(take(None, &mut None, &mut Vec::new()).is_err());
    }
}
