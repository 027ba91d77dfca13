//! Columns that are no field of their own: paths into nested JSON, and the parts of a record in a topic.

use crate::broker::{broker, unique};
use crate::workdir::Workdir;

const NESTED: &str = r#"{"t":1000,"user":{"id":"a","age":3,"address":{"city":"Ulm"}},"items":[{"name":"x"},{"name":"y"}]}
{"t":2000,"user":{"id":"b","age":4.5},"items":[]}
{"t":3000,"user":null,"items":{"name":"z"}}
{"t":4000,"user.id":"c","user":{"id":"a","age":"n/a"}}
{"t":5000,"user":{"id":"d"},"user":{"age":7}}
"#;

/// Windows `input`, a file of JSON lines, with flags, and returns the rows.
#[track_caller]
fn windowed(input: &str, flags: &[&str]) -> String {
    let workdir = Workdir::new();
    workdir.write("in.jsonl", input);
    let window = [
        "window",
        "in.jsonl",
        "--tumbling",
        "10s",
        "-q",
        "--format",
        "csv",
    ];
    let run = workdir.k_args(window.into_iter().chain(flags.iter().copied()));
    run.assert_status(0);
    let rows = run.stdout().lines().skip(1);
    let rows = rows.map(|row| row.strip_prefix("0,10000,").unwrap_or(row));
    rows.collect::<Vec<_>>().join("|")
}

#[test]
fn a_path_leads_into_objects_and_lists() {
    let by = |by| windowed(NESTED, &["--time", "t", "--by", by]);
    for user_id in ["user.id", "user->id", "user . \"id\"", "\"user\".id"] {
        assert_eq!(by(user_id), ",2|a,1|b,1|c,1", "{user_id}");
    }
    // A name in quotes is that of a member.
    assert_eq!(by("\"user.id\""), ",4|c,1");
    assert_eq!(by("user->address->city"), ",4|Ulm,1");
    assert_eq!(by("items[0].name, items[1].name"), ",,4|x,y,1");
    assert_eq!(by("items[-1]"), ",5");
    assert_eq!(by("items[2].name"), ",5");
    assert_eq!(
        by("items[0]"),
        r#",4|"{""name"":""x""}",1"#,
        "an object is its JSON"
    );
    assert_eq!(
        by("extractjsonfield(user, '$.address.city')"),
        by("user.address.city")
    );
}

#[test]
fn each_record_tells_whether_a_path_is_a_member_of_its_own() {
    let times = |first: &str, second: &str| {
        let path = format!("{{\"m\":{{\"t\":{second}}}}}\n");
        format!("{{\"m.t\":{first}}}\n{path}{path}")
    };
    let numbers = times("1000", "2000");
    for flags in [
        &["--time", "m.t"][..],
        &["--time", "m.t", "--schema", "m.t bigint"],
        &["--time", "m.t", "--schema", "\"m.t\" bigint"],
        &["--time", "m->t"],
        &["--time", "m.t + 0"],
    ] {
        assert_eq!(windowed(&numbers, flags), "3", "{flags:?}");
    }
    let texts = times("\"1970-01-01 01:00:01\"", "\"1970-01-01 01:00:02\"");
    let zone = ["--time", "m.t", "--zone", "Europe/Paris"];
    assert_eq!(windowed(&texts, &zone), "3");
    assert_eq!(
        windowed(&texts, &["--time", "m.t", "--schema", "m.t timestamp"]),
        "3600000,3610000,3"
    );
    // A name in quotes is that of a member.
    let workdir = Workdir::new();
    workdir.write("in.jsonl", &numbers);
    let assert_told = |flags: &[&str], counts: &str| {
        let window = ["window", "in.jsonl", "--tumbling", "10s", "--skip-bad"];
        let run = workdir.k_args(window.iter().chain(flags).copied());
        assert!(run.stderr().contains(counts), "{flags:?}: {}", run.stderr());
    };
    assert_told(&["--time", "\"m.t\""], ": 1 on time, 2 malformed");
    // What is declared holds for what lies at the path.
    assert_told(
        &["--time", "m.t", "--schema", "m.t decimal(3)"],
        "3 records in, all malformed",
    );
}

#[test]
fn a_path_stands_wherever_a_column_does() {
    let flags = [
        "--time",
        "t",
        "--where",
        "user.age > 3 or user.id = 'c'",
        "--agg",
        "sum(user.age) as sum, max(user->address->city)",
        "--skip-bad",
    ];
    // Of the fourth record the age cannot be used, of the fifth it is 7.
    assert_eq!(windowed(NESTED, &flags), "11.5,");
    let time = "{\"at\":{\"ms\":1000}}\n{\"at\":{\"ms\":9999}}\n{\"at\":[1]}\n";
    assert_eq!(windowed(time, &["--time", "at.ms", "--skip-bad"]), "2");
    let typed = ["--time", "t", "--agg", "max(user.age)", "--skip-bad"];
    let schema = ["--schema", "\"user.age\" bigint"];
    assert_eq!(windowed(NESTED, &[&typed[..], &schema[..]].concat()), "7");

    let workdir = Workdir::new();
    workdir.write("in.jsonl", NESTED);
    let rows = workdir.k("window in.jsonl --tumbling 10s --time t --by user.id --format json -q");
    workdir.write("rows.jsonl", rows.stdout());
    let again =
        "window rows.jsonl --tumbling 1h --time window_end --by user.id --agg sum(count) -q";
    let again = workdir.k(again);
    assert_eq!(
        again.stdout(),
        "window_start,window_end,user.id,sum_count\n0,3600000,,2\n0,3600000,a,1\n0,3600000,b,1\n0,3600000,c,1\n"
    );
    workdir.write("rows.csv", again.stdout());
    let chosen = [
        "window",
        "rows.csv",
        "--tumbling",
        "1h",
        "--time",
        "window_start",
        "--by",
        "user.id",
        "--where",
        "user.id <> 'b'",
        "--select",
        "user.id",
        "-q",
    ];
    assert_eq!(workdir.k_args(chosen).stdout(), "user.id\na\nc\n");
}

#[test]
fn a_path_that_is_wrong_names_itself_and_one_that_is_not_there_what_is() {
    let workdir = Workdir::new();
    workdir.write("in.jsonl", NESTED);
    let window = |flags: &[&str]| {
        let window = ["window", "in.jsonl", "--tumbling", "10s", "--time", "t"];
        workdir.k_args(window.into_iter().chain(flags.iter().copied()))
    };
    let run = window(&["--schema", "\"user.age\" bigint", "--agg", "max(user.age)"]);
    run.assert_status(1);
    for part in [
        "line 2",
        "column `user.age`: `4.5` is not a bigint",
        "--schema '\"user.age\" string'",
    ] {
        assert!(run.stderr().contains(part), "{}", run.stderr());
    }
    for (by, near) in [
        ("id", "user.id"),
        ("user.idd", "user.id"),
        ("items[0].nam", "items[0].name"),
    ] {
        let run = window(&["--by", by]);
        run.assert_status(0);
        let said = format!("none of the first records has `{by}`");
        assert!(run.stderr().contains(&said), "{}", run.stderr());
        let meant = format!("did you mean `{near}`?");
        assert!(run.stderr().contains(&meant), "{}", run.stderr());
    }
    for by in ["user.id", "items[1].name", "\"user.id\"", "user"] {
        let run = window(&["--by", by]);
        assert!(
            !run.stderr().contains("none of the first"),
            "{by}: {}",
            run.stderr()
        );
    }
    let none = workdir.k("window in.jsonl --tumbling 10s");
    none.assert_refused(
        2,
        &[
            "the columns are t, user, items, user.id, items.name, items[0]",
            "user.address.city",
        ],
    );
    let deep = "user".to_owned() + &".user".repeat(129);
    window(&["--by", &deep]).assert_refused(2, &["deeper than 128 levels"]);
    window(&["--by", "items[x]"]).assert_refused(2, &["the number of an element, from 0"]);
    window(&["--by", "user."]).assert_refused(2, &["the name of a member"]);
    window(&["--by", "@key"]).assert_refused(2, &["do not have `@key`", "k consume", "\"@key\""]);
    window(&["--by", "@kee"]).assert_refused(2, &["unknown part `@kee`", "@key, @timestamp"]);
    workdir.write("in.csv", "t,user\n1000,\"{\"\"id\"\":7}\"\n");
    workdir
        .k("window in.csv --tumbling 10s --time t --by user.id")
        .assert_refused(2, &["extractjsonfield(user, '$.id')", "columns: t, user"]);
    // What other programs call so is a column where records have no parts.
    workdir.write("logs.jsonl", "{\"@timestamp\":\"1970-01-01T00:00:01Z\"}\n");
    let run = workdir.k("window logs.jsonl --tumbling 10s --time @timestamp -q");
    assert_eq!(run.stdout(), "window_start,window_end,count\n0,10000,1\n");
}

/// Envelopes of a topic: two partitions, keys of three, one null and one that is not text, headers.
fn envelopes(topic: &str) -> String {
    let record = |partition: u8, offset: u8, key: &str, headers: &str, value: &str| {
        let (topic, time) = (topic, 1_767_225_600_000_u64 + u64::from(offset) * 1_000);
        let value = serde_json::to_string(value).expect("a string");
        format!(
            "{{\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":{offset},\"timestamp\":{time},\
             {key},\"headers\":[{headers}],\"value\":{value}}}\n"
        )
    };
    [
        record(
            0,
            0,
            "\"key\":\"a\"",
            "[\"trace\",\"x\"],[\"trace\",\"y\"],[\"n\",\"5\"]",
            "{\"v\":1,\"u\":{\"id\":7}}",
        ),
        record(
            0,
            1,
            "\"key\":\"a\"",
            "[\"trace\",null],[\"n\",\"1.5\"]",
            "{\"v\":2,\"u\":{\"id\":7}}",
        ),
        record(0, 2, "\"key\":\"007\"", "", "{\"v\":3}"),
        record(1, 0, "\"key\":null", "[\"trace\",\"y\"]", "{\"v\":4}"),
        record(1, 1, "\"key_base64\":\"/w==\"", "", "{\"v\":5}"),
        record(1, 2, "\"key\":\"\"", "", "{\"v\":6}"),
    ]
    .concat()
}

/// Makes a topic of two partitions that holds the envelopes.
fn topic_of_envelopes(workdir: &Workdir, broker: &str, name: &str) -> String {
    let topic = unique(name);
    workdir.write("in.jsonl", envelopes(&topic));
    let produce = format!("produce in.jsonl --keep-partition --partitions 2 -b {broker}");
    workdir.k(&produce).assert_status(0);
    topic
}

#[test]
fn the_parts_of_a_record_are_columns_of_a_topic_and_of_what_was_printed_of_it() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = topic_of_envelopes(&workdir, broker, "parts");
    let from = format!("{topic} --exit -b {broker}");
    let printed = workdir.k(&format!("consume {from}"));
    workdir.write("printed.jsonl", printed.stdout());
    let window = |flags: &[&str], expected: &str, malformed: usize| {
        for from in ["printed.jsonl", &from] {
            let window = [
                "window",
                "--tumbling",
                "1h",
                "--skip-bad",
                "--format",
                "csv",
                "--from",
            ];
            let from = from.split_whitespace();
            let run = workdir.k_args(window.into_iter().chain(from).chain(flags.iter().copied()));
            run.assert_status(0);
            let rows = run.stdout().lines().skip(1);
            let rows = rows.map(|row| {
                row.strip_prefix("1767225600000,1767229200000,")
                    .unwrap_or(row)
            });
            assert_eq!(rows.collect::<Vec<_>>().join("|"), expected, "{flags:?}");
            run.assert_malformed(malformed);
        }
    };
    // A key that is not text costs its own record.
    window(&["--by", "@key"], ",1|007,1|\"\",1|a,2", 1);
    window(
        &["--by", "@partition", "--agg", "count, sum(@offset)"],
        "0,3,3|1,3,3",
        0,
    );
    window(&["--by", "@header('trace')"], ",4|y,2", 0);
    window(
        &["--agg", "sum(@header('n')), count(@header('none'))"],
        "6.5,0",
        0,
    );
    window(
        &[
            "--time",
            "@timestamp",
            "--where",
            "@topic like 'parts%' and @offset > 0",
        ],
        "4",
        0,
    );
    window(
        &["--agg", "min(@timestamp), max(@timestamp)"],
        "1767225600000,1767225602000",
        0,
    );
    window(
        &[
            "--by",
            "@key, u.id",
            "--where",
            "@key = 'a'",
            "--agg",
            "sum(v)",
        ],
        "a,7,3",
        1,
    );

    let consume = format!("consume {from} --format raw --skip-bad");
    let select = [
        "--where",
        "@key = 'a'",
        "--select",
        "@offset, @key, @header('trace') as h, u, v",
    ];
    let run = workdir.k_args(consume.split_whitespace().chain(select));
    assert_eq!(
        run.stdout(),
        "{\"offset\":0,\"key\":\"a\",\"h\":\"y\",\"u\":{\"id\":7},\"v\":1}\n\
         {\"offset\":1,\"key\":\"a\",\"h\":null,\"u\":{\"id\":7},\"v\":2}\n"
    );
}

#[test]
fn the_parts_of_a_record_are_columns_beside_values_of_csv() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = unique("parts-csv");
    let lines = envelopes(&topic)
        .replace(r#"{\"v\":1,\"u\":{\"id\":7}}"#, r#"1,\"x\"\n10,y"#) // two rows
        .replace(r#"{\"v\":2,\"u\":{\"id\":7}}"#, "2,z")
        .replace(r#"{\"v\":"#, "")
        .replace("3}\"", "3,\"")
        .replace("4}\"", "4,w,w\"")
        .replace("5}\"", "5,\"")
        .replace("6}\"", "6,\"");
    workdir.write("in.jsonl", lines);
    let produce = format!("produce in.jsonl --keep-partition --partitions 2 -b {broker}");
    workdir.k(&produce).assert_status(0);
    let window =
        format!("window --from {topic} --exit --tumbling 1h --skip-bad --time @record -b {broker}");
    let flags = [
        "--schema",
        "v int, s string",
        "--by",
        "@key",
        "--agg",
        "count, sum(v), sum(@offset)",
    ];
    let run = workdir.k_args(window.split_whitespace().chain(flags));
    run.assert_status(0);
    let rows: Vec<&str> = run.stdout().lines().skip(1).collect();
    let bounds = "1767225600000,1767229200000";
    assert_eq!(
        rows,
        [
            format!("{bounds},007,1,3,2"),
            format!("{bounds},\"\",1,6,2"),
            format!("{bounds},a,3,13,1"),
        ]
    );
    // One of three fields, and one whose key is not text.
    assert!(run.stderr().contains(", 2 malformed"), "{}", run.stderr());
}

#[test]
fn a_group_counts_by_parts_of_the_record() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = topic_of_envelopes(&workdir, broker, "parts-group");
    for (by, header) in [
        ("@key", "key"),
        ("@header('trace')", "header_trace"),
        ("u.id", "u.id"),
    ] {
        let (group, result) = (unique("g"), unique("result"));
        let flags = format!(
            "window --from {topic} --to {result} --group {group} --exit --skip-bad --tumbling 1h -b {broker} --by"
        );
        for _ in 0..2 {
            let run = workdir.k_args(flags.split_whitespace().chain([by]));
            run.assert_status(0);
            assert!(
                !run.stderr().contains("none of the first"),
                "{}",
                run.stderr()
            );
        }
        let alone = format!(
            "window --from {topic} --exit --skip-bad --tumbling 1h -b {broker} --format json --by"
        );
        let alone = workdir.k_args(alone.split_whitespace().chain([by]));
        let mut expected: Vec<&str> = alone.stdout().lines().collect();
        assert!(
            expected[0].contains(&format!("\"{header}\":")),
            "{}",
            alone.stdout()
        );
        let rows = workdir.k(&format!("consume {result} --exit --format raw -b {broker}"));
        let mut rows: Vec<&str> = rows.stdout().lines().collect();
        expected.sort_unstable();
        rows.sort_unstable();
        assert_eq!(rows, expected, "{by}");
    }
}

#[test]
fn a_key_is_what_lies_at_a_path() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    workdir.write("in.jsonl", NESTED);
    for (value, first) in [
        ("json", NESTED.lines().next().expect("a line")),
        ("csv", "1000,"),
    ] {
        let topic = unique("path");
        let produce = format!(
            "produce in.jsonl -t {topic} --key user.id --time t --value {value} -b {broker}"
        );
        workdir.k(&produce).assert_status(0);
        let run = workdir.k(&format!("consume {topic} --exit -b {broker} --key a"));
        let envelope: serde_json::Value = serde_json::from_str(run.stdout().trim()).expect("one");
        let text = envelope["value"].as_str().expect("text");
        assert!(text.starts_with(first), "{text}");
        assert_eq!(envelope["timestamp"], 1000);
    }
}

#[test]
fn parts_of_the_record_need_no_value_that_can_be_read() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let topic = unique("parts-raw");
    let record = |offset: u8, headers: &str, value: &str| {
        format!(
            "{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":{offset},\"timestamp\":1767225600000,\
             \"key\":\"k\",\"headers\":[{headers}],\"value{value}}}\n"
        )
    };
    let lines = [
        record(0, "[\"h\",\"1\"]", "\":\"some, text, of any, kind\""),
        record(1, "[\"h\",\"1\"]", "_base64\":\"/w==\""),
        record(2, "", "\":\"left out\""),
        record(3, "[\"h\",\"1\"]", "\":null"),
    ];
    workdir.write("in.jsonl", lines.concat());
    let produce = format!("produce in.jsonl --partitions 1 -b {broker}");
    workdir.k(&produce).assert_status(0);
    let consume = format!("consume {topic} --exit -b {broker}");
    let taken = ["--where", "@header('h') = 1 and @key like 'k%'"];
    let run = workdir.k_args(consume.split_whitespace().chain(taken));
    run.assert_status(0);
    assert_eq!(run.stdout(), [&lines[0][..], &lines[1], &lines[3]].concat());
    let select = ["--format", "raw", "--select", "@offset * 2 as n"];
    let run = workdir.k_args(consume.split_whitespace().chain(select));
    let values: Vec<&str> = run.stdout().lines().take(3).collect();
    assert_eq!(values, ["{\"n\":0}", "{\"n\":2}", "{\"n\":4}"]);
}
