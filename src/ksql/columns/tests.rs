//! Random statements over random lines: the window engine writes what the row engine writes.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ksql::folder::{Folder, envelope};
use crate::ksql::records;
use crate::ksql::session::Persistent;
use crate::ksql::shell::Shell;

const CREATE: &str = "CREATE STREAM calls (id INT KEY, caller STRING, kind INT, seconds BIGINT, price DOUBLE, free BOOLEAN, at BIGINT, parts ARRAY<INT>) WITH (kafka_topic='calls', value_format='JSON'";

/// Returns one of some texts.
fn one<'t>(random: &mut impl Rng, texts: &[&'t str]) -> &'t str {
    texts.choose(random).copied().unwrap_or_default()
}

/// Returns lines as people and programs write them: most plain, some that are read in another way.
fn lines(random: &mut ChaCha8Rng) -> String {
    let mut lines = String::new();
    let mut now = if random.random_bool(0.3) {
        0
    } else {
        1_000_000_i64
    };
    for _ in 0..random.random_range(0..60) {
        now += random.random_range(0..3_000);
        let at = now - random.random_range(0..9_000);
        let caller = one(
            random,
            &[
                r#""ada""#,
                r#""bob""#,
                r#""c\u0079d""#,
                r#""é\"ü""#,
                "null",
                "7",
                r#"{"a":1}"#,
            ],
        );
        let kind = one(
            random,
            &[
                "1",
                "2",
                "-3",
                r#""1""#,
                "1.9",
                "null",
                "5000000000",
                r#""x""#,
            ],
        );
        let seconds = one(
            random,
            &[
                "10",
                "61",
                "-7",
                "9223372036854775807",
                "null",
                r#""12""#,
                "2.5",
                "true",
            ],
        );
        let price = one(
            random,
            &[
                "0.1",
                "0.2",
                "-0.0",
                "3",
                "1e300",
                r#""NaN""#,
                "null",
                "123456789.5",
            ],
        );
        let free = one(random, &["true", "false", "null", r#""true""#]);
        let at = match random.random_range(0..20) {
            0 => "null".to_owned(),
            1 => format!("\"{at}\""),
            2 => format!("{at}.7"),
            _ => at.to_string(),
        };
        let caller_name = one(random, &["caller", "CALLER", "Caller", "caller", "caller"]);
        let value = match random.random_range(0..24) {
            0 => format!(r#"{{"{caller_name}":{caller},"at":{at},"start_timestamp":{at}}}"#),
            1 => format!(
                r#"{{"caller":{caller},"CALLER":"eve","seconds":{seconds},"SECONDS":1,"at":{at}}}"#
            ),
            2 => "null".to_owned(),
            3 => "[1]".to_owned(),
            4 => format!(
                r#" {{ "at" : {at} , "start_timestamp":{now}, "other":[{{"caller":1}}], "parts":[1,2], "caller":{caller} }} "#
            ),
            5 => String::new(),
            _ => format!(
                r#"{{"{caller_name}":{caller},"kind":{kind},"seconds":{seconds},"price":{price},"free":{free},"at":{at},"start_timestamp":{now}}}"#
            ),
        };
        // What a query or INSERT has written.
        let line = match random.random_range(0..8) {
            0 if !value.is_empty() => {
                let value = serde_json::to_string(&value).expect("a text");
                format!(
                    r#"{{"topic":"calls","partition":0,"offset":3,"timestamp":{now},"key":"\u0000\u0000\u0000\u0002","headers":[],"value":{value}}}"#
                )
            }
            _ => value,
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    if random.random_bool(0.3) {
        lines.truncate(lines.trim_end().len());
    }
    lines
}

fn statement(random: &mut ChaCha8Rng) -> String {
    let window = one(
        random,
        &[
            "TUMBLING (SIZE 10 SECONDS)",
            "TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 2 SECONDS)",
            "TUMBLING (SIZE 3 SECONDS, GRACE PERIOD 0 SECONDS)",
            "HOPPING (SIZE 6 SECONDS, ADVANCE BY 2 SECONDS, GRACE PERIOD 1 SECONDS)",
            "HOPPING (SIZE 7 SECONDS, ADVANCE BY 3 SECONDS)",
        ],
    );
    let filter = one(
        random,
        &[
            "",
            "",
            "WHERE seconds > 10",
            "WHERE caller <> 'bob' OR kind IS NULL",
            "WHERE NOT (price > 1)",
            "WHERE ROWTIME > 1005000",
            "WHERE ARRAY_LENGTH(parts) = 2",
            "WHERE free",
            "WHERE LEN(caller) = 3",
        ],
    );
    let key = one(
        random,
        &[
            "caller",
            "caller",
            "kind",
            "seconds",
            "UCASE(caller)",
            "id",
            "caller, kind",
            "free, caller",
            "kind + 1",
        ],
    );
    let is_final = random.random_bool(0.5);
    let having = if is_final {
        one(
            random,
            &["", "", "HAVING COUNT(*) > 1", "HAVING SUM(price) > 0.3"],
        )
    } else {
        ""
    };
    let all = [
        "COUNT(*)",
        "COUNT(seconds)",
        "COUNT(parts)",
        "SUM(kind)",
        "SUM(seconds)",
        "SUM(price)",
        "AVG(kind)",
        "AVG(price)",
        "MIN(seconds)",
        "MAX(kind)",
        "MIN(price)",
        "MAX(price)",
        "SUM(seconds * 2)",
        "SUM(seconds) + COUNT(*)",
        "WINDOWSTART",
        "WINDOWEND",
    ];
    let some: Vec<String> = (0..random.random_range(1..6))
        .map(|nth| format!("{} AS c{nth}", one(random, &all)))
        .collect();
    let keys: Vec<String> = key
        .split(", ")
        .enumerate()
        .map(|(nth, key)| format!("{key} AS k{nth}"))
        .collect();
    let copy = if key == "caller" && random.random_bool(0.5) {
        ", AS_VALUE(caller) AS again"
    } else {
        ""
    };
    let format = one(
        random,
        &[
            "",
            "",
            "WITH (value_format='DELIMITED')",
            "WITH (key_format='JSON')",
        ],
    );
    // Of several columns a key is an object, or a line.
    let format = if key.contains(", ") && format.is_empty() {
        "WITH (key_format='JSON')"
    } else {
        format
    };
    let format = if key.contains(", ") && format.contains("DELIMITED") {
        "WITH (format='JSON')"
    } else {
        format
    };
    let format = if key.starts_with("free") {
        "WITH (key_format='JSON')"
    } else {
        format
    };
    format!(
        "CREATE TABLE o {format} AS SELECT {}, {}{copy}, COUNT(*) AS n FROM calls WINDOW {window} {filter} GROUP BY {key} {having} EMIT {}",
        keys.join(", "),
        some.join(", "),
        if is_final { "FINAL" } else { "CHANGES" }
    )
}

/// Returns the lines that the row engine writes.
fn by_row(folder: &Folder, query: &Persistent) -> Vec<String> {
    let mut plan = query.recipe.plan().expect("a plan");
    let (source, place) = plan.inputs[0].clone();
    let mut given = Vec::new();
    for record in folder.read(&source).expect("records") {
        if let Ok(event) = records::read(&source, &record) {
            plan.topology.push(place, event, &mut given);
        }
    }
    let rows = given.iter().enumerate();
    rows.map(|(nth, event)| {
        let record = records::write(&query.sink, event, nth as i64).expect("a record");
        envelope(&record, &query.sink)
    })
    .collect()
}

/// Returns the lines without their offsets, in order: within a window that leaves any order is right.
fn unordered(lines: &[String]) -> Vec<String> {
    let without_offset = |line: &String| {
        let (front, rest) = line.split_once("\"offset\":").expect("an offset");
        let (_, rest) = rest.split_once(',').expect("more");
        format!("{front}{rest}")
    };
    let mut lines: Vec<String> = lines.iter().map(without_offset).collect();
    lines.sort();
    lines
}

#[test]
fn both_engines_write_the_same() {
    let mut random = ChaCha8Rng::seed_from_u64(41);
    let (mut rows, mut finals) = (0, 0);
    for case in 0..400 {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = lines(&mut random);
        std::fs::write(folder.path().join("calls.json"), &lines).expect("a file");
        let mut shell = Shell::open(folder.path(), "test").expect("a shell");
        let time = one(
            &mut random,
            &[", timestamp='at')", ", timestamp='at')", ")"],
        );
        shell.run(&format!("{CREATE}{time}")).expect("a stream");
        let statement = statement(&mut random);
        let shown = || format!("case {case}: {statement}\n{lines}");
        shell
            .run(&statement)
            .unwrap_or_else(|error| panic!("{error}\n{}", shown()));
        let query = shell.session.queries.last().expect("a query");
        assert!(query.plan.windowing.is_some(), "{}", shown());
        let expected = by_row(&Folder::open(folder.path()).expect("a folder"), query);
        let written = std::fs::read_to_string(folder.path().join("O.json")).expect("rows");
        let written: Vec<String> = written.lines().map(str::to_owned).collect();
        if statement.ends_with("CHANGES") {
            assert_eq!(written, expected, "{}", shown());
        } else {
            assert_eq!(unordered(&written), unordered(&expected), "{}", shown());
            finals += expected.len();
        }
        rows += expected.len();
    }
    assert!(
        rows > finals && finals > 0,
        "rows {rows}, of them {finals} of EMIT FINAL"
    );
}

#[test]
fn what_the_window_engine_has_not_runs_on_the_row_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut shell = Shell::open(folder.path(), "test").expect("a shell");
    shell.run(&format!("{CREATE})")).expect("a stream");
    for query in [
        "SELECT caller, COUNT(*) FROM calls GROUP BY caller",
        "SELECT caller, COUNT(*) FROM calls WINDOW SESSION (5 SECONDS) GROUP BY caller",
        "SELECT caller, COUNT(*) FROM calls WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY caller HAVING COUNT(*) > 1",
        "SELECT price, COUNT(*) FROM calls WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY price",
        "SELECT caller, COLLECT_LIST(kind) FROM calls WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY caller",
    ] {
        let answer = format!("{:?}", shell.run(&format!("EXPLAIN {query}")).expect(query));
        assert!(
            answer.contains("Runs on: the row engine"),
            "{query}: {answer}"
        );
    }
    let query =
        "SELECT caller, COUNT(*) FROM calls WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY caller";
    let answer = format!("{:?}", shell.run(&format!("EXPLAIN {query}")).expect(query));
    assert!(answer.contains("Runs on: the window engine"), "{answer}");
}
