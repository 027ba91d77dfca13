//! Cases as text:
//!
//! ```text
//! == what the case shows
//! CREATE STREAM …;
//! < calls @1000 "ada" : {"SECONDS": 3}       a record: topic, time, key, value
//! > LONG @1000 "ada" : {"SECONDS": 3}        what is written, in order
//! > COUNTS @1000 [0, 60000) "ada" : {…}      with a window; a session is [0, 60000]
//! ! SECONDS                                  instead: refused, and the message names this
//! ```
//! What stands before the first case is a comment. Topics that no `>` names are not looked at; a case
//! without `>` and `!` only has to run.

use std::fmt::Write;

use super::Outcome;
use crate::engine::window::Window;
use crate::ksql::records::Record;
use crate::ksql::replay::Replay;

struct Case {
    title: String,
    line: usize,
    statements: String,
    input: Vec<Record>,
    expected: Vec<Record>,
    refused: Option<String>,
}

pub(super) fn run(content: &str) -> Result<Vec<Outcome>, String> {
    let cases = parse(content)?;
    let outcome = |case: &Case| Outcome {
        title: case.title.clone(),
        line: case.line,
        difference: check(case),
    };
    Ok(cases.iter().map(outcome).collect())
}

fn parse(content: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (nth, line) in content.lines().enumerate() {
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case {
                title: title.to_owned(),
                line: nth + 1,
                statements: String::new(),
                input: Vec::new(),
                expected: Vec::new(),
                refused: None,
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        let at = |reason: String| format!("line {}: {reason}", nth + 1);
        match line.split_once(' ') {
            Some(("<", record)) => {
                let offset = |topic: &str| {
                    let before = case.input.iter().filter(|record| record.topic == topic);
                    before.count() as i64
                };
                let record = record_of(record, offset).map_err(at)?;
                case.input.push(record);
            }
            Some((">", record)) => case.expected.push(record_of(record, |_| 0).map_err(at)?),
            Some(("!", name)) => case.refused = Some(name.to_owned()),
            _ => {
                case.statements.push_str(line);
                case.statements.push('\n');
            }
        }
    }
    Ok(cases)
}

/// Reads `topic @time [start, end) key : value`.
fn record_of(text: &str, offset_of: impl Fn(&str) -> i64) -> Result<Record, String> {
    let wrong = |what: &str| format!("no {what} in `{text}`: write TOPIC @TIME KEY : VALUE");
    let (head, value) = text.split_once(" : ").ok_or_else(|| wrong("` : `"))?;
    let (topic, rest) = head.split_once(" @").ok_or_else(|| wrong("` @TIME`"))?;
    let (time, rest) = rest.split_once(' ').ok_or_else(|| wrong("key"))?;
    let (window, key) = window_of(rest);
    let window = window.map_or(String::new(), |(window, is_session)| {
        let kind = if is_session { "session" } else { "time" };
        let Window { start, end } = window;
        format!(r#","window":{{"start":{start},"end":{end},"type":"{kind}"}}"#)
    });
    let line =
        format!(r#"{{"topic":"{topic}","key":{key},"value":{value},"timestamp":{time}{window}}}"#);
    Record::parse(&line, offset_of).map_err(|reason| format!("`{text}`: {reason}"))
}

/// Reads `[0, 60000) "ada"`: the window, whether it is a session, and the key.
fn window_of(text: &str) -> (Option<(Window, bool)>, &str) {
    let read = || {
        let rest = text.strip_prefix('[')?;
        let (bounds, key) = rest.split_once([')', ']'])?;
        let (start, end) = bounds.split_once(", ")?;
        let window = Window {
            start: start.parse().ok()?,
            end: end.parse().ok()?,
        };
        // A key that is an array has no `)` behind its numbers, and something in it before a blank.
        let is_session = rest[bounds.len()..].starts_with(']');
        let key = key.strip_prefix(' ')?;
        Some(((window, is_session), key))
    };
    match read() {
        Some((window, key)) => (Some(window), key),
        None => (None, text),
    }
}

/// Writes a record as cases have it.
fn shown(record: &Record) -> String {
    let mut text = format!("{} @{}", record.topic, record.time);
    if let Some((Window { start, end }, is_session)) = record.window {
        let close = if is_session { ']' } else { ')' };
        // Writing to a String does not fail.
        let _ = write!(text, " [{start}, {end}{close}");
    }
    format!("{text} {} : {}", record.key, record.value)
}

/// Runs a case; returns what differs.
fn check(case: &Case) -> Vec<String> {
    let mut replay = Replay::default();
    replay.take_input(case.input.clone());
    let ran = replay.execute(&case.statements).and_then(|()| replay.run());
    match (&case.refused, ran) {
        (None, Err(error)) => return error.lines(),
        (Some(name), Ok(())) => return vec![format!("it was not refused; expected: {name}")],
        (Some(name), Err(error)) => {
            let message = error.to_string();
            return match message.contains(name.as_str()) {
                true => Vec::new(),
                false => vec![format!("expected: {name}"), format!("found: {message}")],
            };
        }
        (None, Ok(())) => {}
    }
    let mut topics: Vec<&str> = Vec::new();
    for record in &case.expected {
        if !topics.contains(&record.topic.as_str()) {
            topics.push(&record.topic);
        }
    }
    let of_topic = |records: &[Record], topic: &str| -> Vec<String> {
        let records = records.iter().filter(|record| record.topic == topic);
        records.map(shown).collect()
    };
    let differences = topics.iter().flat_map(|topic| {
        let (expected, found) = (
            of_topic(&case.expected, topic),
            of_topic(&replay.output, topic),
        );
        difference(&expected, &found)
    });
    differences.collect()
}

/// Returns the first records that differ, expected and found.
fn difference(expected: &[String], found: &[String]) -> Vec<String> {
    let same = expected
        .iter()
        .zip(found)
        .take_while(|(left, right)| left == right);
    let same = same.count();
    if same == expected.len() && same == found.len() {
        return Vec::new();
    }
    let shown = |records: &[String]| {
        records
            .get(same)
            .cloned()
            .unwrap_or_else(|| "nothing".to_owned())
    };
    vec![
        format!(
            "record {} of {} expected, {} found",
            same + 1,
            expected.len(),
            found.len()
        ),
        format!("  expected {}", shown(expected)),
        format!("  found    {}", shown(found)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = "A comment.\n\n== doubles\nCREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic='s', value_format='JSON');\nCREATE STREAM o AS SELECT k, v * 2 AS d FROM s;\n< s @5 1 : {\"V\": 2}\n> O @5 1 : {\"D\": 4}\n";

    #[test]
    fn a_case_passes_or_says_what_differs() {
        let outcomes = run(CASE).expect("a case");
        assert_eq!((outcomes.len(), outcomes[0].line), (1, 3));
        assert!(outcomes[0].difference.is_empty(), "{outcomes:?}");
        let wrong = CASE.replace("\"D\": 4", "\"D\": 5");
        let difference = &run(&wrong).expect("a case")[0].difference;
        assert_eq!(
            difference[1..],
            [
                "  expected O @5 1 : {\"D\":5}",
                "  found    O @5 1 : {\"D\":4}"
            ]
        );
        let refused = CASE.replace("> O @5 1 : {\"D\": 4}", "! V");
        assert_eq!(
            run(&refused).expect("a case")[0].difference,
            ["it was not refused; expected: V"]
        );
        assert!(run("== x\n< s 1\n").is_err());
    }

    #[test]
    fn windows_and_keys_that_are_arrays_are_told_apart() {
        let window = |text: &str| {
            window_of(text)
                .0
                .map(|(window, is_session)| (window.end, is_session))
        };
        assert_eq!(window("[0, 10) \"a\""), Some((10, false)));
        assert_eq!(window("[0, 10] \"a\""), Some((10, true)));
        assert_eq!(window("[0, 10]"), None);
    }
}
