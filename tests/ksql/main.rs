//! Cases of ksqlDB's language: statements, records, and what the queries write.
//!
//! A file in `cases/` holds cases that a person can read:
//!
//! ```text
//! == what the case shows
//! CREATE STREAM …;
//! < calls @1000 "ada" : {"SECONDS": 3}       a record: topic, time, key, value
//! > LONG @1000 "ada" : {"SECONDS": 3}        what is written, in order
//! > COUNTS @1000 [0, 60000) "ada" : {…}      with a window; a session is [0, 60000]
//! ! SECONDS                                  instead: refused, and the message names this
//! ```
//! Topics that no `>` names are not looked at.

use std::path::{Path, PathBuf};

use k::ksql::document::Document;
use k::ksql::replay::Replay;

/// One case.
struct Case {
    title: String,
    statements: String,
    input: String,
    expected: Vec<String>,
    refused: Option<String>,
}

#[test]
fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ksql/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the cases")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        for case in text.split("\n== ").skip(1) {
            let case = parse(case);
            cases += 1;
            if let Err(difference) = check(&case) {
                wrong.push(format!("{}: {}\n{difference}", file.display(), case.title));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {cases} cases differ\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(cases > 0, "no case in {}", folder.display());
}

fn parse(text: &str) -> Case {
    let (title, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut case = Case {
        title: title.to_owned(),
        statements: String::new(),
        input: String::new(),
        expected: Vec::new(),
        refused: None,
    };
    for line in body.lines() {
        match line.split_once(' ') {
            Some(("<", record)) => {
                case.input.push_str(&record_of(record));
                case.input.push('\n');
            }
            Some((">", record)) => case.expected.push(record_of(record)),
            Some(("!", name)) => case.refused = Some(name.to_owned()),
            _ => {
                case.statements.push_str(line);
                case.statements.push('\n');
            }
        }
    }
    case
}

/// Returns a record's line of JSON.
fn record_of(text: &str) -> String {
    let (head, value) = text
        .split_once(" : ")
        .unwrap_or_else(|| panic!("no ` : ` in `{text}`"));
    let (topic, rest) = head
        .split_once(" @")
        .unwrap_or_else(|| panic!("no ` @time` in `{text}`"));
    let (time, rest) = rest
        .split_once(' ')
        .unwrap_or_else(|| panic!("no key in `{text}`"));
    let (window, key) = match rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once([')', ']']))
    {
        Some((bounds, key)) if bounds.split(", ").all(|bound| bound.parse::<i64>().is_ok()) => {
            let kind = if rest.contains(&format!("{bounds})")) {
                "time"
            } else {
                "session"
            };
            let (start, end) = bounds
                .split_once(", ")
                .unwrap_or_else(|| panic!("no window in `{text}`"));
            (
                format!(r#","window":{{"start":{start},"end":{end},"type":"{kind}"}}"#),
                key.trim_start(),
            )
        }
        _ => (String::new(), rest),
    };
    let line =
        format!(r#"{{"topic":"{topic}","key":{key},"value":{value},"timestamp":{time}{window}}}"#);
    // As the replay writes it.
    Document::parse(&line)
        .unwrap_or_else(|error| panic!("`{text}`: {error}"))
        .to_string()
}

fn check(case: &Case) -> Result<(), String> {
    let mut replay = Replay::default();
    replay
        .read_input(&case.input)
        .map_err(|error| error.lines().join("\n"))?;
    let ran = replay.execute(&case.statements).and_then(|()| replay.run());
    match (&case.refused, ran) {
        (None, Err(error)) => return Err(error.lines().join("\n")),
        (Some(_), Ok(())) => return Err("it was not refused".to_owned()),
        (Some(name), Err(error)) => {
            let message = error.to_string();
            return match message.contains(name.as_str()) {
                true => Ok(()),
                false => Err(format!("the message does not name {name}: {message}")),
            };
        }
        (None, Ok(())) => {}
    }
    let topic_of = |line: &str| {
        let document = Document::parse(line).expect("a line of JSON");
        document
            .get("topic")
            .and_then(Document::as_text)
            .expect("a topic")
            .to_owned()
    };
    let topics: Vec<String> = case.expected.iter().map(|line| topic_of(line)).collect();
    for topic in &topics {
        let of_topic = |line: &&String| topic_of(line) == *topic;
        let expected: Vec<&String> = case.expected.iter().filter(of_topic).collect();
        let lines: Vec<String> = replay.output.iter().map(|record| record.line()).collect();
        let found: Vec<&String> = lines.iter().filter(of_topic).collect();
        if found != expected {
            let list = |lines: &[&String]| {
                lines
                    .iter()
                    .map(|line| format!("\n    {line}"))
                    .collect::<String>()
            };
            return Err(format!(
                "  expected{}\n  found{}",
                list(&expected),
                list(&found)
            ));
        }
    }
    Ok(())
}
