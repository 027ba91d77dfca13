//! What is in other people's files: random tables with odd values anywhere, read in every way,
//! against an oracle of plain code that says which values can be used and what comes of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::value::RawValue;

use crate::broker::{broker, unique};
use crate::workdir::{Run, Workdir};

/// Texts of a time, and the ms that each is, if it is one.
const TIMES: [(&str, Option<i64>); 12] = [
    ("1767225600000", Some(1_767_225_600_000)),
    ("1767225603000", Some(1_767_225_603_000)),
    ("1767225611999", Some(1_767_225_611_999)),
    (" 1767225625000", Some(1_767_225_625_000)),
    ("+1767225600001", Some(1_767_225_600_001)),
    ("1767225609999.9", Some(1_767_225_609_999)),
    ("2026-01-01T00:00:12.5Z", Some(1_767_225_612_500)),
    ("2026-01-01 00:00:29", Some(1_767_225_629_000)),
    ("n/a", None),
    ("", None),
    ("99999999999999999", None),
    ("t", None),
];

/// Texts of a number, and how many tenths it is; an empty one is null, `None` is not a number.
const NUMBERS: [(&str, Option<i128>); 16] = [
    ("1", Some(10)),
    ("7", Some(70)),
    ("007", Some(70)),
    ("1.5", Some(15)),
    ("1.50", Some(15)),
    (".5", Some(5)),
    ("-2", Some(-20)),
    ("+3", Some(30)),
    (" 4 ", Some(40)),
    ("9223372036854775807", Some(92_233_720_368_547_758_070)),
    ("12345678901234567890", Some(123_456_789_012_345_678_900)),
    ("12345678901234567891.5", Some(123_456_789_012_345_678_915)),
    ("", Some(0)),
    ("x", None),
    ("1e400", None),
    ("1.2.3", None),
];

/// Texts that are told apart by every character; an empty one is null.
const KEYS: [&str; 14] = [
    "7",
    "007",
    "7.0",
    "12e5",
    "1200000",
    "12345678901234567890",
    "12345678901234567891",
    "x",
    "",
    "true",
    "TRUE",
    "-0",
    "ün 7",
    "+7",
];

/// How often the first of some texts is taken, and not any of them.
const PLAIN: f64 = 0.8;

/// A record: the indexes of its texts, or one that is broken.
#[derive(Debug, Clone, Copy)]
enum Record {
    Whole { t: usize, k: usize, v: usize },
    Broken,
}

fn records(random: &mut ChaCha8Rng, count: usize) -> Vec<Record> {
    let pick = |random: &mut ChaCha8Rng, of: usize, plain: usize| {
        if random.random_bool(PLAIN) {
            random.random_range(0..plain)
        } else {
            random.random_range(0..of)
        }
    };
    let record = |_| match random.random_range(0..40) {
        0 => Record::Broken,
        _ => Record::Whole {
            t: pick(random, TIMES.len(), 3),
            k: pick(random, KEYS.len(), 2),
            v: pick(random, NUMBERS.len(), 2),
        },
    };
    (0..count).map(record).collect()
}

/// Writes records as CSV with a header.
fn csv(records: &[Record]) -> String {
    let mut text = "t,k,v\n".to_owned();
    for record in records {
        match *record {
            Record::Whole { t, k, v } => {
                writeln!(text, "{},{},{}", TIMES[t].0, KEYS[k], NUMBERS[v].0)
            }
            Record::Broken => writeln!(text, "1767225600000,x"),
        }
        .expect("a string");
    }
    text
}

/// Writes records as lines of JSON: what JSON has a number for, with or without quotes.
fn json(records: &[Record], random: &mut ChaCha8Rng) -> String {
    let mut value = |name: &str, text: &str| {
        let is_bare = serde_json::from_str::<&RawValue>(text).is_ok();
        match text {
            "" if random.random_bool(0.5) => String::new(),
            "" => format!("\"{name}\":null,"),
            text if is_bare && random.random_bool(0.5) => format!("\"{name}\":{text},"),
            text => format!("\"{name}\":\"{text}\","),
        }
    };
    const NOBODY_ASKED: [&str; 4] = [
        r#""o":{"a":[1e400]}"#,
        r#""o":"\ud800""#,
        r#""o":[[[[[]]]]]"#,
        r#""o":null"#,
    ];
    let mut text = String::new();
    for (nth, record) in records.iter().enumerate() {
        match *record {
            Record::Whole { t, k, v } => {
                let other = NOBODY_ASKED[nth % NOBODY_ASKED.len()];
                let t = value("t", TIMES[t].0);
                let (k, v) = (value("k", KEYS[k]), value("v", NUMBERS[v].0));
                writeln!(text, "{{{k}{t}{v}{other}}}")
            }
            Record::Broken => writeln!(text, "{{bad"),
        }
        .expect("a string");
    }
    text
}

/// What is computed of a window and key.
#[derive(Debug, Default)]
struct Cell {
    count: u64,
    tenths: Option<i128>,
    /// By size, then by its characters.
    numbers: BTreeSet<(i128, &'static str)>,
}

/// Returns the rows, as CSV without a header, and which records are malformed, from 0.
fn oracle(records: &[Record]) -> (BTreeSet<String>, BTreeSet<usize>) {
    let mut cells: BTreeMap<(i64, &str), Cell> = BTreeMap::new();
    let mut malformed = BTreeSet::new();
    for (nth, record) in records.iter().enumerate() {
        let used = match *record {
            Record::Whole { t, k, v } => TIMES[t]
                .1
                .zip(NUMBERS[v].1)
                .map(|(t, v_is)| (t, k, v, v_is)),
            Record::Broken => None,
        };
        let Some((at, k, v, tenths)) = used else {
            malformed.insert(nth);
            continue;
        };
        let cell = cells
            .entry((at.div_euclid(10_000) * 10_000, KEYS[k]))
            .or_default();
        cell.count += 1;
        if !NUMBERS[v].0.is_empty() {
            *cell.tenths.get_or_insert(0) += tenths;
            cell.numbers.insert((tenths, NUMBERS[v].0));
        }
    }
    let rows = cells.into_iter().map(|((start, key), cell)| {
        let end = start + 10_000;
        let sum = cell.tenths.map_or(String::new(), |tenths| {
            let sign = if tenths < 0 { "-" } else { "" };
            let (ones, tenth) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
            match tenth {
                0 => format!("{sign}{ones}"),
                tenth => format!("{sign}{ones}.{tenth}"),
            }
        });
        let edge = |number: Option<&(i128, &'static str)>| number.map_or("", |(_, text)| *text);
        let (low, high) = (edge(cell.numbers.first()), edge(cell.numbers.last()));
        format!("{start},{end},{key},{},{sum},{low},{high}", cell.count)
    });
    (rows.collect(), malformed)
}

const WINDOW: &str = "window --tumbling 10s --time t --by k --grace 1000d --skip-bad";
const AGGREGATES: &str = "--agg count,sum(v),min(v),max(v)";

fn rows(run: &Run) -> BTreeSet<String> {
    run.assert_status(0);
    run.stdout().lines().skip(1).map(str::to_owned).collect()
}

/// Fails unless a run has the oracle's rows and counts its malformed records.
#[track_caller]
fn assert_as_told(run: &Run, records: &[Record], how: &str) {
    let (expected, malformed) = oracle(records);
    let rows = rows(run);
    let differ: Vec<_> = rows.symmetric_difference(&expected).collect();
    assert!(differ.is_empty(), "{how}: {differ:#?}");
    run.assert_malformed(malformed.len());
}

/// Feeds `k` through a pipe in pieces of random lengths with pauses between some.
fn piped(workdir: &Workdir, args: &str, input: &str, random: &mut ChaCha8Rng) -> Run {
    let mut child = workdir.spawn(args, Stdio::piped());
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut rest = input.as_bytes().to_vec();
    let mut random = ChaCha8Rng::seed_from_u64(random.random());
    let feeder = std::thread::spawn(move || {
        while !rest.is_empty() {
            let length = random.random_range(1..=rest.len().min(400));
            let piece: Vec<u8> = rest.drain(..length).collect();
            stdin.write_all(&piece).expect("k reads");
            if random.random_bool(0.2) {
                std::thread::sleep(Duration::from_millis(random.random_range(0..4)));
            }
        }
    });
    let output = child.wait_with_output().expect("the binary ends");
    feeder.join().expect("the input was handed over");
    Run::of(output)
}

#[test]
fn odd_values_cost_their_own_records_whatever_way_they_come() {
    let mut random = ChaCha8Rng::seed_from_u64(17);
    for count in [1, 3, 40, 300, 2_500] {
        let workdir = Workdir::new();
        let records = records(&mut random, count);
        workdir.write("in.csv", csv(&records));
        workdir.write("in.jsonl", json(&records, &mut random));
        let (_, malformed) = oracle(&records);
        for (name, header) in [("in.csv", 1), ("in.jsonl", 0)] {
            let window = format!("{WINDOW} {AGGREGATES}");
            for threads in [1, 3] {
                let run = workdir.k(&format!("{window} --threads {threads} --from {name}"));
                assert_as_told(&run, &records, &format!("{name}, {threads} threads"));
            }
            let run = piped(&workdir, &window, &workdir.read(name), &mut random);
            assert_as_told(&run, &records, &format!("{name} through a pipe"));

            let run = workdir.k(&format!("{window} --from {name} --bad-to bad.jsonl"));
            assert_as_told(&run, &records, name);
            let places = workdir.read("bad.jsonl");
            let place = |line: &str| {
                let bad: HashMap<String, Box<RawValue>> = serde_json::from_str(line).expect("JSON");
                bad["place"].get().to_owned()
            };
            let places: BTreeSet<String> = places.lines().map(place).collect();
            let line = |nth: &usize| format!("\"line {}\"", nth + 1 + header);
            let expected: BTreeSet<String> = malformed.iter().map(line).collect();
            assert_eq!(places, expected, "{name}");
        }
    }
}

#[test]
fn chunks_of_a_large_file_agree_wherever_the_odd_values_are() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let workdir = Workdir::new();
    let records = records(&mut random, 60_000);
    workdir.write("in.csv", csv(&records));
    for threads in [1, 3] {
        let run = workdir.k(&format!(
            "{WINDOW} {AGGREGATES} --threads {threads} --from in.csv"
        ));
        assert_as_told(&run, &records, &format!("{threads} threads"));
    }
}

#[test]
fn a_topic_and_a_group_give_what_a_file_does() {
    let Some(broker) = broker() else { return };
    let mut random = ChaCha8Rng::seed_from_u64(3);
    // Of three partitions those of one key lie in any, and are brought together.
    for partitions in [1, 3] {
        let records = records(&mut random, 300);
        assert_topic_and_group(broker, partitions, &records, &mut random);
    }
}

fn assert_topic_and_group(
    broker: &str,
    partitions: usize,
    records: &[Record],
    random: &mut ChaCha8Rng,
) {
    let workdir = Workdir::new();
    let lines = json(records, random);
    let values: Vec<&str> = lines.lines().collect();
    let topic = topic_of(&workdir, broker, "odd", partitions, &values);
    let window = format!("{WINDOW} {AGGREGATES} --from {topic} --exit -b {broker}");
    assert_as_told(
        &workdir.k(&window),
        records,
        &format!("a topic of {partitions}"),
    );

    let (group, result) = (unique("g"), unique("result"));
    let run = workdir.k(&format!("{window} --group {group} --to {result}"));
    run.assert_status(0);
    let (expected, malformed) = oracle(records);
    run.assert_malformed(malformed.len());
    let run = workdir.k(&format!("consume {result} --exit --format raw -b {broker}"));
    run.assert_status(0);
    let row = |line: &str| {
        let row: HashMap<String, Box<RawValue>> = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| {
            let raw = row[name].get();
            let text = serde_json::from_str::<Option<String>>(raw);
            text.map_or_else(|_| raw.to_owned(), Option::unwrap_or_default)
        };
        let names = [
            "window_start",
            "window_end",
            "k",
            "count",
            "sum_v",
            "min_v",
            "max_v",
        ];
        names.map(text).join(",")
    };
    let rows: BTreeSet<String> = run.stdout().lines().map(row).collect();
    assert_eq!(rows, expected, "a group of {partitions}");
}

/// Windows of 10 s over what is in a pipe; `|` in `expected` parts the rows.
#[track_caller]
fn assert_windows(flags: &[&str], input: &str, expected: &str, malformed: usize) {
    let workdir = Workdir::new();
    for name in ["in.csv", "-"] {
        let window = ["window", "--tumbling", "10s", "--time", "t", "--from", name];
        workdir.write("in.csv", input);
        let args = window.iter().chain(flags).copied();
        let run = match name {
            "-" => workdir.shell(&format!(
                "k {} < in.csv",
                args.map(|arg| format!("'{}'", arg.replace('\'', "'\\''")))
                    .collect::<Vec<_>>()
                    .join(" ")
            )),
            _ => workdir.k_args(args),
        };
        run.assert_status(0);
        let rows: Vec<&str> = run.stdout().lines().skip(1).collect();
        assert_eq!(rows.join("|"), expected, "{name}: {input}");
        run.assert_malformed(malformed);
    }
}

#[test]
fn a_time_that_is_none_is_one_malformed_record_wherever_it_stands() {
    let bad = &["--skip-bad"][..];
    let two = "1767225600000,1767225610000,2";
    assert_windows(bad, "t\n1767225600000\nn/a\n1767225601000\n", two, 1);
    assert_windows(bad, "t\n1767225600000\nt\n1767225600000\n", two, 1);
    assert_windows(&[], "t\n 1767225600000\n+1767225601000\n", two, 0);
    for odd in [501, 2_001] {
        let mut input = "t\n".to_owned();
        for row in 1..=5_001 {
            input.push_str(if row == odd {
                "n/a\n"
            } else {
                "1767225600000\n"
            });
        }
        assert_windows(bad, &input, "1767225600000,1767225610000,5000", 1);
    }
    assert_windows(&[], "t\n1969-12-31T23:59:59.9999Z\n", "-10000,0,1", 0);
}

#[test]
fn json_that_does_not_fit_costs_its_own_line() {
    let bad = &["--skip-bad"][..];
    assert_windows(bad, "{bad\n{\"t\":1000,\"v\":1}\n", "0,10000,1", 1);
    let sum = &["--skip-bad", "--agg", "sum(v)"];
    let lines = "{\"t\":1,\"v\":1}\n{bad\n{\"t\":2,\"v\":1.5}\n";
    assert_windows(sum, lines, "0,10000,2.5", 1);
    let by = &["--by", "v"];
    assert_windows(
        by,
        "{\"t\":1,\"v\":\"1\"}\n{\"t\":2,\"v\":1}\n",
        "0,10000,1,2",
        0,
    );
    let deep = format!("{{\"t\":1,\"o\":{}{}}}\n", "[".repeat(200), "]".repeat(200));
    let asked_for_nothing =
        format!("{deep}{{\"t\":2,\"o\":1e400}}\n{{\"t\":3,\"o\":\"\\ud800\"}}\n");
    assert_windows(&[], &asked_for_nothing, "0,10000,3", 0);
    let json = &["--skip-bad", "--input", "json"];
    assert_windows(json, "hello\n{\"t\":1}\n", "0,10000,1", 1);
}

#[test]
fn every_character_tells_keys_apart() {
    let by = &["--by", "id"];
    let ids = "id,t\n12345678901234567890,1\n12345678901234567891,2\n";
    let rows = "0,10000,12345678901234567890,1|0,10000,12345678901234567891,1";
    assert_windows(by, ids, rows, 0);
    let codes = format!("t,id\n{}1,017\n", "1,17\n".repeat(1_000));
    assert_windows(by, &codes, "0,10000,017,1|0,10000,17,1000", 0);
    let distinct = &["--agg", "count(distinct id), approx_distinct(id)"];
    assert_windows(
        distinct,
        "t,id\n1,7\n1,007\n1,7.0\n1,12e5\n1,7\n",
        "0,10000,4,4",
        0,
    );
    let once = &["--distinct", "id"];
    assert_windows(once, "t,id\n1,7\n1,007\n1,7\n", "0,10000,2", 0);
    // Numbers come in their order, before texts.
    assert_windows(
        by,
        "t,id\n1,10\n1,b\n1,9\n1,9.5\n1,\n",
        "0,10000,,1|0,10000,9,1|0,10000,9.5,1|0,10000,10,1|0,10000,b,1",
        0,
    );
}

#[test]
fn numbers_widen_as_their_values_need() {
    for (values, sum) in [
        (".5 1.5", "2"),
        ("1 1.5", "2.5"),
        (
            "9223372036854775807 9223372036854775807",
            "18446744073709551614",
        ),
        (
            "12345678901234567890 12345678901234567891",
            "24691357802469135781",
        ),
        ("0.1 0.2", "0.3"),
        ("1e3 1", "1001.0"),
        (
            "79228162514264337593543950335 79228162514264337593543950335",
            "158456325028528675187087900670",
        ),
    ] {
        let input = values
            .split(' ')
            .fold("t,v\n".to_owned(), |all, v| all + "1," + v + "\n");
        let flags = &["--agg", "sum(v)"];
        assert_windows(flags, &input, &format!("0,10000,{sum}"), 0);
    }
    let infinite = "t,v\n1,1e308\n2,1e308\n";
    assert_windows(&["--agg", "sum(v)"], infinite, "0,10000,Infinity", 0);
    assert_windows(
        &["--agg", "sum(v)"],
        "t,v\n1,Infinity\n",
        "0,10000,Infinity",
        0,
    );
    let same = format!("t,v\n{}", "1,1000\n".repeat(200));
    for schema in ["v any", "v bigint", "v double"] {
        let flags = &["--agg", "p50(v), p99(v)", "--schema", schema];
        let thousand = if schema == "v double" {
            "1000.0"
        } else {
            "1000"
        };
        assert_windows(flags, &same, &format!("0,10000,{thousand},{thousand}"), 0);
    }
    let mixed = &["--agg", "min(v), max(v), top(v, 2)"];
    assert_windows(
        mixed,
        "t,v\n1,10\n1,n/a\n1,9.50\n",
        "0,10000,9.50,10,\"[10,9.50]\"",
        0,
    );
}

#[test]
fn a_number_in_another_spelling_names_the_flag_that_reads_it() {
    let workdir = Workdir::new();
    for (value, flag) in [
        ("0,5", Some("--decimal-comma")),
        ("1.234,56", Some("--decimal-comma")),
        ("N/A", Some("--null=N/A")),
        ("-", Some("--null=-")),
        ("x", None),
    ] {
        workdir.write("in.csv", format!("t;v\n1;5\n2;{value}\n"));
        let run = workdir.k("window --tumbling 10s --time t --from in.csv --agg sum(v)");
        run.assert_status(1);
        let said = run.stderr();
        let cast = said.find("try_cast(v as double)").expect("a way for all");
        match flag {
            Some(flag) => {
                assert!(said.find(flag).is_some_and(|at| at < cast), "{said}");
                let window = "window --tumbling 10s --time t --from in.csv --agg sum(v)";
                workdir.k(&format!("{window} {flag}")).assert_status(0);
            }
            None => assert!(
                !said.contains("--null") && !said.contains("--decimal"),
                "{said}"
            ),
        }
    }
}

#[test]
fn a_column_that_no_record_has_is_warned_of_and_not_listed() {
    let workdir = Workdir::new();
    workdir.write("n.jsonl", "{\"t\":1,\"v\":2}\n{\"t\":2,\"v\":3}\n");
    let said =
        "none of the first records has `nope`: missing values are null; the columns are t, v\n";
    for command in [
        "window n.jsonl --tumbling 1s --time t --by nope",
        "produce n.jsonl -b 127.0.0.1:1 --key nope",
        "join n.jsonl n.jsonl --time t --within 1s --on nope",
        "join n.jsonl n.jsonl --time t --within 1s --on v=nope",
    ] {
        let run = workdir.k(command);
        assert!(run.stderr().contains(said), "{command}: {}", run.stderr());
    }
    let run = workdir.k("join n.jsonl n.jsonl --time t --within 1s --on v");
    assert!(!run.stderr().contains("none of"), "{}", run.stderr());
}

#[test]
fn a_value_that_cannot_be_used_names_itself_and_the_cure_that_keeps_it() {
    let workdir = Workdir::new();
    workdir.write("in.csv", "t,v,k\n1,5,a\n2,x,b\n3,10,a\n");
    let window = "window --tumbling 10s --time t --from in.csv --agg";
    let run = workdir.k(&format!("{window} sum(v)"));
    run.assert_status(1);
    let said = run.stderr();
    let (keeps, drops) = (said.find("try_cast(v as double)"), said.find("--skip-bad"));
    assert!(said.contains("in.csv, line 3: `v`: `x`"), "{said}");
    assert!(keeps.is_some() && keeps < drops, "{said}");
    let args = ["--agg", "sum(v)", "--where", "v <> 'x'"];
    let window = [
        "window",
        "--tumbling",
        "10s",
        "--time",
        "t",
        "--from",
        "in.csv",
    ];
    let run = workdir.k_args(window.iter().chain(&args).copied());
    assert_eq!(run.stdout().lines().last(), Some("0,10000,15"));
    let args = ["--where", "k = 'a' and v > 6"];
    let run = workdir.k_args(window.iter().chain(&args).copied());
    assert_eq!(run.stdout().lines().last(), Some("0,10000,1"));
    let args = ["--by", "v", "--schema", "v bigint"];
    let run = workdir.k_args(window.iter().chain(&args).copied());
    run.assert_status(1);
    let said = run.stderr();
    assert!(said.contains("`x` is not a bigint"), "{said}");
    assert!(said.contains("--schema 'v string'"), "{said}");
}

#[test]
fn a_declared_decimal_has_no_more_digits_than_it_was_declared_with() {
    let flags = &[
        "--schema",
        "p decimal(5, 2)",
        "--agg",
        "count,sum(p)",
        "--skip-bad",
    ];
    let input = "t,p\n1,123.45\n1,-999.99\n1,1000\n1,1.234\n1,0001.500\n1,\n1,x\n1,5e2\n";
    assert_windows(flags, input, "0,10000,5,-375.04", 3);
    let lines = "{\"t\":1,\"p\":1.5}\n{\"t\":1,\"p\":\"1.505\"}\n{\"t\":1,\"p\":12345}\n";
    assert_windows(flags, lines, "0,10000,1,1.5", 2);
    let whole = &[
        "--schema",
        "p decimal(3)",
        "--agg",
        "count,sum(p)",
        "--skip-bad",
    ];
    assert_windows(whole, "t,p\n1,999\n1,1.5\n1,1000\n", "0,10000,1,999", 2);
    let workdir = Workdir::new();
    workdir.write("in.csv", input);
    let window = [
        "window",
        "--tumbling",
        "10s",
        "--time",
        "t",
        "--from",
        "in.csv",
    ];
    let run =
        workdir.k_args(
            window
                .into_iter()
                .chain(["--agg", "sum(p)", "--schema", "p decimal(5,2)"]),
        );
    run.assert_status(1);
    let said = "in.csv, line 4: column `p`: `1000` is beyond decimal(5, 2)\nhint: `decimal` without numbers in parentheses keeps every digit";
    assert!(run.stderr().contains(said), "{}", run.stderr());
}

#[test]
fn a_first_record_of_forty_thousand_lines_is_a_record() {
    let input = format!("t,v\n1,\"{}\"\n2,y\n", "x\n".repeat(40_000));
    assert_windows(&["--agg", "count(v)"], &input, "0,10000,2", 0);
}

#[test]
fn a_join_pairs_by_every_character_and_counts_what_is_malformed_alone() {
    let workdir = Workdir::new();
    workdir.write("a.csv", "id,t\n12345678901234567890,1\n007,2\n5,3\n");
    workdir.write(
        "b.jsonl",
        "{\"id\":12345678901234567891,\"t\":1}\n{\"id\":7,\"t\":2}\n{\"id\":\"5\",\"t\":3}\n",
    );
    let run = workdir.k("join a.csv b.jsonl --on id --within 1h --time t");
    run.assert_status(0);
    assert_eq!(run.stdout(), "id,l_t,r_t,event_time\n5,3,3,3\n");
    workdir.write("customers.csv", "id,name\n5,Zoë\n");
    let run = workdir.k("join a.csv --table customers.csv --on id --time t");
    run.assert_status(0);
    assert_eq!(run.stdout(), "id,t,name,event_time\n5,3,Zoë,3\n");
    workdir.write("bad.csv", "id,t\n1,x\n2,x\n");
    let run = workdir.k("join bad.csv a.csv --on id --within 1h --time t --skip-bad");
    run.assert_status(0);
    let said = run.stderr();
    assert!(said.contains("left: 2 records in, all malformed"), "{said}");
}

#[test]
fn compare_tells_keys_and_numbers_of_many_digits_apart() {
    let workdir = Workdir::new();
    for (name, id) in [
        ("a.csv", 12_345_678_901_234_567_890_u64),
        ("b.csv", 12_345_678_901_234_567_891),
    ] {
        workdir.write(
            name,
            format!("window_start,window_end,id,count\n0,10,{id},1\n"),
        );
    }
    let run = workdir.k("compare a.csv b.csv");
    run.assert_status(1);
    workdir.k("compare a.csv a.csv").assert_status(0);
}

/// Writes values to the partitions of a topic in turn, as they are.
fn topic_of(
    workdir: &Workdir,
    broker: &str,
    name: &str,
    partitions: usize,
    values: &[&str],
) -> String {
    let topic = unique(name);
    let mut lines = String::new();
    for (offset, value) in values.iter().enumerate() {
        let value = serde_json::to_string(value).expect("a string");
        writeln!(
            lines,
            "{{\"topic\":\"{topic}\",\"partition\":{},\"offset\":{offset},\"timestamp\":1767225600000,\
             \"key\":null,\"headers\":[],\"value\":{value}}}",
            offset % partitions
        )
        .expect("a string");
    }
    workdir.write("values.jsonl", lines);
    let produce = format!(
        "produce values.jsonl -t {topic} --partitions {partitions} --keep-partition -b {broker}"
    );
    workdir.k(&produce).assert_status(0);
    topic
}

#[test]
fn a_first_value_that_is_none_costs_one_record_of_a_topic() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    for first in ["hello", ""] {
        let topic = topic_of(
            &workdir,
            broker,
            "first",
            1,
            &[first, "{\"t\":1000,\"v\":20}", "{\"t\":2000,\"v\":20.5}"],
        );
        let run = workdir.k(&format!(
            "window --tumbling 10s --time t --agg count,sum(v) --skip-bad --exit --from {topic} -b {broker}"
        ));
        assert_eq!(rows(&run), BTreeSet::from(["0,10000,2,40.5".to_owned()]));
        assert!(run.stderr().contains(", 1 malformed"), "{}", run.stderr());
    }
}

#[test]
fn produced_keys_and_values_keep_every_character() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = unique("keys");
    workdir.write(
        "in.csv",
        "id,n\n12345678901234567890,007\n12345678901234567891,7\n007,1.50\n",
    );
    let produce = format!("produce in.csv -t {topic} --key id --partitions 1 -b {broker}");
    workdir.k(&produce).assert_status(0);
    let consume = format!("consume {topic} --exit -b {broker}");
    let run = workdir.k(&consume);
    run.assert_status(0);
    let record = |line: &str| {
        let record: HashMap<String, Box<RawValue>> = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| serde_json::from_str::<String>(record[name].get()).expect("text");
        (text("key"), text("value"))
    };
    let records: Vec<(String, String)> = run.stdout().lines().map(record).collect();
    let expected = [
        (
            "12345678901234567890",
            r#"{"id":12345678901234567890,"n":"007"}"#,
        ),
        (
            "12345678901234567891",
            r#"{"id":12345678901234567891,"n":7}"#,
        ),
        ("007", r#"{"id":"007","n":1.50}"#),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(records, expected);
    // A string of JSON stays one, also if it looks like a number.
    let topic = topic_of(
        &workdir,
        broker,
        "strings",
        1,
        &[r#"{"a":"7","b":7,"c":"1.50"}"#],
    );
    let run = workdir.k_args([
        "consume",
        &topic,
        "--exit",
        "--format",
        "raw",
        "--select",
        "a, b, c, b + 1 as d",
        "-b",
        broker,
    ]);
    assert_eq!(
        run.stdout(),
        "{\"a\":\"7\",\"b\":7,\"c\":\"1.50\",\"d\":8}\n"
    );
}

#[test]
fn a_group_goes_on_when_a_type_is_declared() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = topic_of(
        &workdir,
        broker,
        "declared",
        1,
        &[
            "{\"t\":1000,\"k\":\"a\",\"v\":20}",
            "{\"t\":2000,\"k\":\"7\",\"v\":1}",
        ],
    );
    let (group, result) = (unique("g"), unique("result"));
    let window = format!(
        "window --tumbling 10s --time t --by k --agg count,sum(v) --exit --from {topic} --to {result} \
         --group {group} -b {broker}"
    );
    workdir.k(&window).assert_status(0);
    let more = "{\"topic\":\"x\",\"partition\":0,\"offset\":0,\"timestamp\":1767225600000,\"key\":null,\
                \"headers\":[],\"value\":\"{\\\"t\\\":3000,\\\"k\\\":7,\\\"v\\\":0.5}\"}\n";
    workdir.write("more.jsonl", more);
    workdir
        .k(&format!("produce more.jsonl -t {topic} -b {broker}"))
        .assert_status(0);
    let schema = ["--schema", "k string, v decimal(10, 2), t timestamp"];
    let run = workdir.k_args(window.split_whitespace().chain(schema));
    run.assert_status(0);
    let run = workdir.k(&format!("consume {result} --exit --format raw -b {broker}"));
    let seven = r#"{"window_start":0,"window_end":10000,"k":7,"count":2,"sum_v":1.5}"#;
    assert!(
        run.stdout().lines().any(|line| line == seven),
        "{}",
        run.stdout()
    );
    let other = ["--schema", "k bigint"];
    let run = workdir.k_args(window.split_whitespace().chain(other));
    run.assert_refused(1, &["`k` was any and is bigint", "--reset"]);
}

#[test]
fn tombstones_take_back_what_they_say() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    workdir.write("in.csv", "t,k\n1000,a\n2000,a\n60000,a\n61000,a\n");
    let sessions = "window --session 5s --time t --by k --emit changes --from in.csv";
    workdir
        .k(&format!("{sessions} --to s.csv"))
        .assert_status(0);
    let result = unique("sessions");
    workdir
        .k(&format!("{sessions} --to {result} -b {broker}"))
        .assert_status(0);
    let again = "window --tumbling 1h --time window_end --agg count,sum(count)";
    let from_file = workdir.k(&format!("{again} --from s.csv"));
    let from_topic = workdir.k(&format!("{again} --from {result} --exit -b {broker}"));
    assert_eq!(
        rows(&from_topic),
        BTreeSet::from(["0,3600000,2,4".to_owned()])
    );
    assert_eq!(from_topic.stdout(), from_file.stdout());
}
