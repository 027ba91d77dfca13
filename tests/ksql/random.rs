//! Random queries over random inputs, against plain code.
//!
//! Each generated record is a call: a key, seconds or null, and a time that may lie before that of the
//! record before it. What a query writes is compared with what a few lines of plain code expect.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use k::ksql::document::Document;
use k::ksql::replay::Replay;
use proptest::prelude::*;

/// A call: who, how long, when in ms.
type Call = (u8, Option<i64>, i64);

/// A key, the bounds of its window, and the numbers of its row.
type Rows = BTreeMap<(String, i64, i64), Vec<i64>>;

const CALLS: &str = "CREATE STREAM calls (caller STRING KEY, seconds INT) WITH (kafka_topic='calls', value_format='JSON');";

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0u8..3, proptest::option::of(0i64..100), 0i64..40_000);
    proptest::collection::vec(call, 0..40)
}

fn name(key: u8) -> String {
    ["ada", "bob", "cyd"][usize::from(key)].to_owned()
}

fn records(topic: &str, calls: &[Call]) -> String {
    let mut lines = String::new();
    for (key, seconds, at) in calls {
        let seconds = seconds.map_or("null".to_owned(), |seconds| seconds.to_string());
        let key = name(*key);
        // Writing to a String does not fail.
        let _ = writeln!(
            lines,
            r#"{{"topic":"{topic}","key":"{key}","value":{{"SECONDS":{seconds}}},"timestamp":{at}}}"#
        );
    }
    lines
}

/// Returns what is written to a topic, each record as JSON.
fn written(statements: &str, input: &str, topic: &str) -> Vec<Document> {
    let mut replay = Replay::default();
    replay.read_input(input).expect("records");
    replay.execute(statements).expect("statements");
    replay.run().expect("a run");
    let lines = replay.output.iter().map(|record| record.line());
    let documents = lines.map(|line| Document::parse(&line).expect("a line of JSON"));
    let is_of_topic =
        |document: &Document| document.get("topic").and_then(Document::as_text) == Some(topic);
    documents.filter(is_of_topic).collect()
}

/// Returns the last row of each key and window; one that was taken back is not there.
fn last_rows(written: &[Document], columns: &[&str]) -> Rows {
    let mut rows = Rows::new();
    for record in written {
        let text = |name: &str| {
            record
                .get(name)
                .and_then(Document::as_text)
                .unwrap_or_default()
        };
        let bound = |name: &str| {
            let window = record.get("window")?;
            window.get(name)?.as_i64()
        };
        let key = (
            text("key").to_owned(),
            bound("start").unwrap_or_default(),
            bound("end").unwrap_or_default(),
        );
        let value = record.get("value").expect("a value");
        if matches!(value, Document::Null) {
            rows.remove(&key);
            continue;
        }
        let numbers = columns.iter().map(|column| {
            let number = value.get(column).and_then(Document::as_i64);
            number.unwrap_or_else(|| panic!("no {column} in {value}"))
        });
        rows.insert(key, numbers.collect());
    }
    rows
}

/// The windows of a grid that hold a time; none begins before 1970.
fn windows_of(at: i64, size: i64, advance: i64) -> Vec<(i64, i64)> {
    let last = at - at.rem_euclid(advance);
    let starts = (0..)
        .map(|nth| last - nth * advance)
        .take_while(|start| *start >= 0 && start + size > at);
    starts.map(|start| (start, start + size)).collect()
}

/// Count and sum of each key in windows of a grid; what is too late for its grace is left out.
fn expected_in_grid(calls: &[Call], (size, advance, grace): (i64, i64, i64), least: i64) -> Rows {
    let mut rows = Rows::new();
    let mut stream_time = i64::MIN;
    for (key, seconds, at) in calls
        .iter()
        .filter(|(_, seconds, _)| seconds.is_some_and(|seconds| seconds >= least))
    {
        stream_time = stream_time.max(*at);
        for (start, end) in windows_of(*at, size, advance) {
            if end + grace <= stream_time {
                continue;
            }
            let row = rows
                .entry((name(*key), start, end))
                .or_insert_with(|| vec![0, 0]);
            row[0] += 1;
            row[1] += seconds.unwrap_or_default();
        }
    }
    rows
}

/// Count of each key in sessions: the calls in order of time, cut where the gap is exceeded.
fn expected_in_sessions(calls: &[Call], gap: i64) -> Rows {
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, _, at) in calls {
        times.entry(name(*key)).or_default().push(*at);
    }
    let mut rows = Rows::new();
    for (key, mut times) in times {
        times.sort_unstable();
        let mut first = 0;
        for nth in 0..times.len() {
            let is_last = times
                .get(nth + 1)
                .is_none_or(|next| next - times[nth] > gap);
            if is_last {
                let count = (nth + 1 - first) as i64;
                rows.insert((key.clone(), times[first], times[nth]), vec![count]);
                first = nth + 1;
            }
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn windows_of_a_grid_hold_what_plain_code_counts(
        calls in calls(), size in 1i64..12, hops in 1i64..4, grace in 0i64..20, least in 0i64..50,
    ) {
        let (size, grace) = (size * 1_000 * hops, grace * 1_000);
        let advance = size / hops;
        let statements = format!(
            "{CALLS} CREATE TABLE o AS SELECT caller, COUNT(*) AS n, SUM(seconds) AS s FROM calls WINDOW HOPPING (SIZE {size} MILLISECONDS, ADVANCE BY {advance} MILLISECONDS, GRACE PERIOD {grace} MILLISECONDS) WHERE seconds >= {least} GROUP BY caller;"
        );
        let found = last_rows(&written(&statements, &records("calls", &calls), "O"), &["N", "S"]);
        prop_assert_eq!(found, expected_in_grid(&calls, (size, advance, grace), least));
    }

    #[test]
    fn sessions_hold_what_plain_code_counts(calls in calls(), gap in 0i64..10_000) {
        let statements = format!(
            "{CALLS} CREATE TABLE o AS SELECT caller, COUNT(*) AS n FROM calls WINDOW SESSION ({gap} MILLISECONDS) GROUP BY caller;"
        );
        let gap_or_one = gap.max(1);
        let statements = statements.replace(&format!("({gap} MILL"), &format!("({gap_or_one} MILL"));
        let found = last_rows(&written(&statements, &records("calls", &calls), "O"), &["N"]);
        prop_assert_eq!(found, expected_in_sessions(&calls, gap_or_one));
    }

    #[test]
    fn groups_pass_having_as_plain_code_says(calls in calls(), more in 0i64..5) {
        let statements = format!(
            "{CALLS} CREATE TABLE o AS SELECT caller, COUNT(*) AS n FROM calls GROUP BY caller HAVING COUNT(*) > {more};"
        );
        let mut expected = Rows::new();
        for (key, ..) in &calls {
            expected.entry((name(*key), 0, 0)).or_insert_with(|| vec![0])[0] += 1;
        }
        expected.retain(|_, row| row[0] > more);
        prop_assert_eq!(last_rows(&written(&statements, &records("calls", &calls), "O"), &["N"]), expected);
    }

    #[test]
    fn streams_join_every_pair_within_the_span(left in calls(), right in calls(), within in 0i64..5_000) {
        let statements = format!(
            "{CALLS} CREATE STREAM texts (caller STRING KEY, seconds INT) WITH (kafka_topic='texts', value_format='JSON'); CREATE STREAM o AS SELECT calls.caller AS caller, calls.ROWTIME AS l, texts.ROWTIME AS r FROM calls JOIN texts WITHIN {within} MILLISECONDS ON calls.caller = texts.caller;"
        );
        let input = records("calls", &left) + &records("texts", &right);
        let mut found: Vec<(String, i64, i64)> = written(&statements, &input, "O")
            .iter()
            .map(|record| {
                let time = |name: &str| record.get("value").and_then(|value| value.get(name)?.as_i64()).expect("a time");
                (record.get("key").and_then(Document::as_text).expect("a key").to_owned(), time("L"), time("R"))
            })
            .collect();
        found.sort();
        let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
        let mut expected: Vec<(String, i64, i64)> = pairs
            .filter(|(l, r)| l.0 == r.0 && (l.2 - r.2).abs() <= within)
            .map(|(l, r)| (name(l.0), l.2, r.2))
            .collect();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_stream_finds_the_tables_row_of_the_moment(table in calls(), stream in calls()) {
        let statements = format!(
            "{CALLS} CREATE TABLE plans (caller STRING PRIMARY KEY, seconds INT) WITH (kafka_topic='plans', value_format='JSON'); CREATE STREAM o AS SELECT calls.caller AS caller, calls.seconds AS s, plans.seconds AS p FROM calls LEFT JOIN plans ON calls.caller = plans.caller;"
        );
        // By turns, so that the table changes between the stream's rows.
        let (mut input, mut last, mut expected) = (String::new(), BTreeMap::new(), Vec::new());
        for nth in 0..table.len().max(stream.len()) {
            if let Some(call) = table.get(nth) {
                input += &records("plans", std::slice::from_ref(call));
                last.insert(call.0, call.1);
            }
            if let Some(call) = stream.get(nth) {
                input += &records("calls", std::slice::from_ref(call));
                expected.push((name(call.0), call.1, last.get(&call.0).copied().flatten()));
            }
        }
        let found: Vec<(String, Option<i64>, Option<i64>)> = written(&statements, &input, "O")
            .iter()
            .map(|record| {
                let number = |name: &str| record.get("value").and_then(|value| value.get(name)?.as_i64());
                (record.get("key").and_then(Document::as_text).expect("a key").to_owned(), number("S"), number("P"))
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}

/// The line that EXPLAIN prints gives the windows that the statement gives.
#[test]
fn the_flags_of_explain_give_the_same_rows() {
    use rand::{RngExt, SeedableRng};
    let k = env!("CARGO_BIN_EXE_k");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20);
    for window in [
        "TUMBLING (SIZE 5 SECONDS, GRACE PERIOD 2 SECONDS)",
        "HOPPING (SIZE 6 SECONDS, ADVANCE BY 2 SECONDS, GRACE PERIOD 1 SECONDS)",
        "SESSION (2 SECONDS, GRACE PERIOD 30 SECONDS)",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        // Not at 1970, before which ksqlDB has no windows.
        let (mut lines, mut at) = (String::new(), 1_000_000_i64);
        let mut calls: Vec<Call> = Vec::new();
        for _ in 0..300 {
            at += random.random_range(0..400);
            // Some come late, and some too late.
            let began = (at - random.random_range(0..4_000)).max(0);
            let call = (
                random.random_range(0..3u8),
                Some(random.random_range(0..100)),
                began,
            );
            let _ = writeln!(
                lines,
                r#"{{"caller":"{}","seconds":{},"began":{began}}}"#,
                name(call.0),
                call.1.unwrap_or_default()
            );
            calls.push(call);
        }
        std::fs::write(folder.path().join("calls.json"), &lines).expect("a file");
        let create = "CREATE STREAM calls (caller STRING, seconds INT, began BIGINT) WITH (kafka_topic='calls', value_format='JSON', timestamp='began');";
        let select = format!(
            "SELECT caller, COUNT(*) AS n, SUM(seconds) AS s FROM calls WINDOW {window} GROUP BY caller"
        );
        let explained = Command::new(k)
            .args(["ksql", "--data"])
            .arg(folder.path())
            .args(["-e", &format!("{create} EXPLAIN {select} EMIT FINAL;")])
            .output()
            .expect("EXPLAIN");
        let explained = String::from_utf8(explained.stdout).expect("a text");
        let line = explained
            .lines()
            .find_map(|line| line.trim().strip_prefix("k window "));
        let line = line.unwrap_or_else(|| panic!("no line in {explained}"));
        let line = line.replace(" --emit final", "");
        let flags: Vec<String> = shlex::split(&line).expect("words");
        let rows = Command::new(k)
            .args(["window", "-q", "--format", "json", "--times", "ms"])
            .args(&flags)
            .output()
            .expect("k window");
        assert!(
            rows.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&rows.stderr)
        );
        let mut by_flags = Rows::new();
        for row in String::from_utf8(rows.stdout).expect("a text").lines() {
            let row = Document::parse(row).expect("a row");
            let number = |name: &str| {
                row.get(name)
                    .and_then(Document::as_i64)
                    .unwrap_or_else(|| panic!("no {name} in {row}"))
            };
            let caller = row
                .get("caller")
                .and_then(Document::as_text)
                .expect("a caller")
                .to_owned();
            by_flags.insert(
                (caller, number("window_start"), number("window_end")),
                vec![number("n"), number("s")],
            );
        }
        let input: String = lines
            .lines()
            .map(|line| {
                format!("{{\"topic\":\"calls\",\"key\":null,\"value\":{line},\"timestamp\":0}}\n")
            })
            .collect();
        let table = format!("{create} CREATE TABLE o AS {select};");
        let by_statement = last_rows(&written(&table, &input, "O"), &["N", "S"]);
        assert_eq!(by_statement, by_flags, "{line}");
    }
}
