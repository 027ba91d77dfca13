//! Tests in the form of ksqlDB's `run-ksql-test`:
//!
//! ```text
//! --@test: what the test shows
//! --@expected.error: any error             the test has to end with an error
//! --@expected.message: part of its message
//! CREATE STREAM …; INSERT INTO … VALUES …; ASSERT VALUES … VALUES …;
//! ```
//! A script without `--@test` is one test. The class of an error is not compared: `k` has one.

use std::path::Path;

use super::Outcome;
use crate::error::Error;
use crate::ksql::lexer;
use crate::ksql::live::Live;

struct Test<'a> {
    title: &'a str,
    /// The line on which it begins, from 1.
    line: usize,
    /// The byte of the script at which it ends.
    end: usize,
    expects_error: bool,
    message: Option<&'a str>,
}

pub(super) fn run(content: &str, file: &Path) -> Vec<Outcome> {
    let tests = tests(content, file);
    let mut start = 0;
    let mut outcomes = Vec::new();
    for test in &tests {
        outcomes.push(Outcome {
            title: test.title.to_owned(),
            line: test.line,
            difference: difference(test, carry_out(content, start, test.end)),
        });
        start = test.end;
    }
    outcomes
}

fn tests<'a>(content: &'a str, file: &'a Path) -> Vec<Test<'a>> {
    let mut tests: Vec<Test> = Vec::new();
    let mut at = 0;
    for (nth, line) in content.split_inclusive('\n').enumerate() {
        let directive = |name: &str| {
            let rest = line.trim().strip_prefix("--@")?.strip_prefix(name)?;
            Some(rest.strip_prefix(':')?.trim())
        };
        if let Some(title) = directive("test") {
            if let Some(before) = tests.last_mut() {
                before.end = at;
            }
            tests.push(test(title, nth + 1, content.len()));
        } else if let Some(test) = tests.last_mut() {
            test.expects_error |= directive("expected.error").is_some();
            if let Some(message) = directive("expected.message") {
                (test.expects_error, test.message) = (true, Some(message));
            }
        }
        at += line.len();
    }
    if tests.is_empty() {
        let title = file.file_stem().and_then(|name| name.to_str());
        tests.push(test(title.unwrap_or_default(), 1, content.len()));
    }
    tests
}

fn test(title: &str, line: usize, end: usize) -> Test<'_> {
    Test {
        title,
        line,
        end,
        expects_error: false,
        message: None,
    }
}

/// Carries out the statements of a part of a script.
fn carry_out(content: &str, start: usize, end: usize) -> Result<(), Error> {
    let mut live = Live::default();
    for (at, statement) in lexer::statements(&content[start..end])? {
        live.execute(&lexer::in_place(content, start + at, statement))?;
    }
    Ok(())
}

fn difference(test: &Test, ran: Result<(), Error>) -> Vec<String> {
    match ran {
        Ok(()) if test.expects_error => vec!["expected an error, and there was none".to_owned()],
        Ok(()) => Vec::new(),
        Err(error) if !test.expects_error => error.lines(),
        Err(error) => {
            let message = error.to_string();
            match test.message {
                Some(wanted) if !message.contains(wanted) => {
                    vec![format!("expected: {wanted}"), format!("found: {message}")]
                }
                _ => Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(content: &str) -> Vec<Outcome> {
        run(content, Path::new("app.sql"))
    }

    const STREAMS: &str =
        "CREATE STREAM s (id INT KEY, foo INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE c AS SELECT id, COUNT(*) AS n FROM s GROUP BY id HAVING COUNT(*) < 2;
INSERT INTO s (rowtime, id, foo) VALUES (7, 1, 2);
";

    #[test]
    fn rows_go_through_queries_at_once_and_assertions_look_at_one_after_the_other() {
        let script = format!(
            "--@test: counts\n{STREAMS}ASSERT VALUES c (rowtime, id, n) VALUES (7, 1, 1);
INSERT INTO s (rowtime, id) VALUES (8, 1);
ASSERT NULL VALUES c (id) KEY (1);
ASSERT STREAM s (id INT KEY, foo INT) WITH (kafka_topic='s');
ASSERT TOPIC s; ASSERT NOT EXISTS TOPIC other;
--@test: differs\n{STREAMS}ASSERT VALUES c (id, n) VALUES (1, 5);\n"
        );
        let outcomes = outcomes(&script);
        assert!(outcomes[0].difference.is_empty(), "{:?}", outcomes[0]);
        let difference = outcomes[1].difference.join("\n");
        assert!(difference.contains("N is 1, expected 5"), "{difference}");
    }

    #[test]
    fn an_error_that_is_expected_has_to_come() {
        let script = "--@test: refused\n--@expected.message: X\nSELECT x FROM nowhere;\nCREATE STREAM o AS SELECT x FROM X;\n--@test: fine\n--@expected.error: any\nSHOW STREAMS;\n";
        let outcomes = outcomes(script);
        assert_eq!(
            outcomes[1].difference,
            ["expected an error, and there was none"]
        );
    }

    #[test]
    fn a_paused_query_goes_on_where_it_was() {
        let script =
            "CREATE STREAM s (id INT KEY, foo INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, foo FROM s;
PAUSE CSAS_O_0;
INSERT INTO s VALUES (1, 2);
RESUME ALL;
INSERT INTO s VALUES (1, 3);
ASSERT VALUES o VALUES (1, 2);
ASSERT VALUES o VALUES (1, 3);
";
        let outcomes = outcomes(script);
        assert!(outcomes[0].difference.is_empty(), "{:?}", outcomes[0]);
    }
}
