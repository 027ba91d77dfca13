//! Statements over a folder, as a person types them.

use super::Shell;
use crate::error::Remedy;
use crate::ksql::answer::Answer;

const CALLS: &str = "CREATE STREAM calls (caller STRING, seconds INT, at BIGINT) WITH (kafka_topic='calls', value_format='JSON', timestamp='at', partitions=1)";

fn shell(folder: &tempfile::TempDir) -> Shell {
    Shell::open(folder.path(), "test").expect("a shell")
}

fn run(shell: &mut Shell, statements: &[&str]) {
    for statement in statements {
        let ran = shell.run(statement);
        ran.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

#[test]
fn an_inserted_row_goes_through_the_queries_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shell = shell(&folder);
    run(
        &mut shell,
        &[
            CALLS,
            "CREATE STREAM long AS SELECT * FROM calls WHERE seconds > 60",
            "CREATE STREAM others (caller STRING, seconds INT, at BIGINT) WITH (kafka_topic='others', value_format='JSON', partitions=1)",
            "INSERT INTO others SELECT * FROM long",
            "CREATE TABLE n AS SELECT caller, COUNT(*) AS n FROM long WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY caller",
            "INSERT INTO calls (caller, seconds, at) VALUES ('ada', 61, 1000)",
            "ASSERT VALUES long (caller, seconds, at, rowtime) VALUES ('ada', 61, 1000, 1000)",
            "ASSERT VALUES others (caller, seconds, at, rowtime) VALUES ('ada', 61, 1000, 1000)",
            "INSERT INTO calls (caller, seconds, at) VALUES ('bob', 5, 2000)",
            "INSERT INTO calls (caller, seconds, at) VALUES ('ada', 99, 3000)",
            "ASSERT VALUES others (caller, seconds, at, rowtime) VALUES ('ada', 99, 3000, 3000)",
        ],
    );
    let others = std::fs::read_to_string(folder.path().join("others.json")).expect("rows");
    assert_eq!(others.lines().count(), 2, "{others}");
    let counts = std::fs::read_to_string(folder.path().join("N.json")).expect("rows");
    assert_eq!(counts.lines().count(), 2, "{counts}");
}

#[test]
fn a_windowed_table_is_shown_with_its_windows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shell = shell(&folder);
    run(
        &mut shell,
        &[
            CALLS,
            "INSERT INTO calls (caller, seconds, at) VALUES ('ada', 61, 12000)",
            "CREATE TABLE n AS SELECT caller, COUNT(*) AS n FROM calls WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY caller",
        ],
    );
    for query in ["SELECT * FROM n", "SELECT * FROM n EMIT CHANGES"] {
        let Answer::Table { columns, rows } = shell.run(query).expect("rows") else {
            panic!("{query} gives rows");
        };
        assert_eq!(columns, ["CALLER", "WINDOWSTART", "WINDOWEND", "N"]);
        let row: Vec<_> = rows[0].iter().map(|(text, _)| text.as_deref()).collect();
        assert_eq!(row, [Some("ada"), Some("10000"), Some("20000"), Some("1")]);
    }
}

#[test]
fn a_file_that_is_missing_and_a_row_that_does_not_come_are_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shell = shell(&folder);
    run(&mut shell, &[&CALLS.replace(", partitions=1", "")]);
    let note = shell.notes.pop().expect("a note");
    assert!(note.warning.contains("calls.json"), "{note:?}");

    run(
        &mut shell,
        &["INSERT INTO calls (caller, seconds, at) VALUES ('ada', 61, 12000)"],
    );
    assert_eq!(shell.notes, []);
    let count = "SELECT caller, COUNT(*) AS n FROM calls WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY caller EMIT FINAL";
    run(&mut shell, &[count]);
    let note = shell.notes.pop().expect("a note");
    for words in [
        "1970-01-01T00:00:20Z",
        "1970-01-01T00:00:25Z",
        "1970-01-01T00:00:12Z",
    ] {
        assert!(note.warning.contains(words), "{note:?}");
    }
    assert!(note.hint.contains("k explain silence --from"), "{note:?}");

    run(
        &mut shell,
        &[
            "INSERT INTO calls (caller, seconds, at) VALUES ('ada', 61, 25000)",
            count,
        ],
    );
    assert_eq!(shell.notes, []);
}

#[test]
fn explain_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calls.json");
    std::fs::write(&file, "").expect("a file");
    let mut shell = shell(&folder);
    run(&mut shell, &[CALLS]);
    let query = "EXPLAIN SELECT caller, COUNT(*) FROM calls WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY caller";
    let answer = format!("{:?}", shell.run(query).expect("lines"));
    let from = format!("k window --from {}", file.display());
    assert!(answer.contains(&from), "{answer}");
}

#[test]
fn a_typing_error_of_show_is_an_error_of_usage_with_what_was_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = shell(&folder).run("SHOW TOPCS").expect_err("refused");
    assert_eq!(error.remedy(), Remedy::Retype);
    assert!(format!("{error:?}").contains("SHOW TOPICS"), "{error:?}");
}
