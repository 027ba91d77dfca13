//! Where the events of `k window --journal` say that records stand, and in which order they come.

use serde_json::{Value, json};

use crate::workdir::Workdir;

/// Blank lines, a record of two lines, and three that do not fit, each between others that move the
/// watermark.
const LINES: &str = "\
at,who,n
1000,a,1

1500,\"b
c\",2
oops,a,3
12000,a,4
11000,a,oops

11500,a
23000,a,6
";
/// Of a window, and of what it is computed over.
const ARGS: [&str; 11] = [
    "window",
    "-q",
    "--skip-bad",
    "--journal",
    "journal.jsonl",
    "--agg",
    "sum(n)",
    "--tumbling",
    "10s",
    "--schema",
    "at bigint, who string, n bigint",
];

/// Returns the events of the journal in the folder.
fn events(workdir: &Workdir) -> Vec<Value> {
    let lines = workdir.read("journal.jsonl");
    let events = lines.lines().map(serde_json::from_str);
    events.collect::<Result<_, _>>().expect("JSON")
}

/// Returns of each record, malformed or not, its number, its place and its event time.
fn places(events: &[Value]) -> Vec<Value> {
    let is_record = |event: &&Value| event["event"] == "read" || event["event"] == "malformed";
    let of = |event: &Value| json!([event["record"], event["place"], event["at"]]);
    events.iter().filter(is_record).map(of).collect()
}

#[test]
fn every_record_has_its_place_and_malformed_ones_stand_where_they_came() {
    let workdir = Workdir::new();
    workdir.write("lines.csv", LINES);
    let more = "--time at --from lines.csv --bad-to bad.csv".split(' ');
    workdir
        .k_args(ARGS.into_iter().chain(more))
        .assert_status(0);
    let of_file = events(&workdir);
    assert_eq!(
        places(&of_file),
        [
            json!([0, 2, 1_000]),
            json!([1, 4, 1_500]),
            json!([2, 6, null]),
            json!([3, 7, 12_000]),
            json!([4, 8, 11_000]),
            json!([5, 10, null]),
            json!([6, 11, 23_000]),
        ],
        "a time that could be read is there though another column does not fit"
    );
    let malformed = |event: &&Value| event["event"] == "malformed";
    let reasons: Vec<&Value> = of_file
        .iter()
        .filter(malformed)
        .map(|event| &event["reason"])
        .collect();
    assert_eq!(
        reasons,
        [
            "column `at`: `oops` is not a bigint",
            "column `n`: `oops` is not a bigint",
            "2 fields where the header has 3",
        ]
    );
    // The first window had closed when the second malformed record came, and is in a pane before it.
    let pane = of_file.iter().position(|event| event["event"] == "pane");
    let second = of_file.iter().rposition(|event| malformed(&event));
    assert!(pane.expect("a pane") < second.expect("a malformed record"));
    let bad = workdir.read("bad.csv");
    assert!(bad.contains(",12000,,line 8,"), "the watermark then: {bad}");

    // A pipe that brings one line after the other is cut into other batches.
    let line = ARGS.map(|arg| format!("'{arg}'")).join(" ");
    let slowly = "while IFS= read -r line; do printf '%s\\n' \"$line\"; sleep 0.02; done";
    workdir
        .shell(&format!("{slowly} < lines.csv | k {line} --time at"))
        .assert_status(0);
    let mut of_pipe = events(&workdir);
    assert_eq!(of_pipe[0]["sources"], json!(["-"]));
    of_pipe[0]["sources"] = of_file[0]["sources"].clone();
    assert_eq!(of_pipe, of_file);
}

#[test]
fn places_in_a_topic_are_offsets_whatever_gaps_they_have() {
    let workdir = Workdir::new();
    let envelope = |offset: u64, at: u64, value: &str| {
        json!({
            "topic": "t", "partition": 0, "offset": offset, "timestamp": at, "key": "a",
            "headers": [], "value": value,
        })
    };
    let lines = [
        envelope(3, 1_000, r#"{"n":1}"#),
        envelope(7, 2_000, r#"{"n":true}"#),
        envelope(8, 3_000, "{"),
        envelope(20, 4_000, r#"{"n":2}"#),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    workdir.write("records.jsonl", lines);
    let line = ARGS.map(|arg| match arg {
        "at bigint, who string, n bigint" => "n bigint",
        other => other,
    });
    let more = "--time @record --from records.jsonl".split(' ');
    workdir
        .k_args(line.into_iter().chain(more))
        .assert_status(0);
    let events = events(&workdir);
    assert_eq!(
        places(&events),
        [
            json!([0, 3, 1_000]),
            json!([1, 7, null]),
            json!([2, 8, null]),
            json!([3, 20, 4_000]),
        ]
    );
}

/// Returns the events of a name, each with some of its members.
fn named(events: &[Value], name: &str, members: &[&str]) -> Vec<Vec<Value>> {
    let named = events.iter().filter(|event| event["event"] == name);
    let of = |event: &Value| {
        let members = members.iter();
        members.map(|&member| event[member].clone()).collect()
    };
    named.map(of).collect()
}

/// Returns lines of JSON as some values each.
fn rows(lines: &[&str]) -> Vec<Vec<Value>> {
    let lines = lines.iter().map(|line| serde_json::from_str(line));
    lines.collect::<Result<_, _>>().expect("JSON")
}

#[test]
fn the_first_line_says_what_is_computed() {
    let workdir = Workdir::new();
    workdir.write("in.csv", "at,who,n\n2026-01-05T00:00:00Z,a,1\n");
    workdir
        .k(
            "window -q --from in.csv --time at --hopping 1mo,1d --zone Europe/Paris --by who \
             --where n>0 --agg sum(n),count --grace 1h --watermark percentile:99 \
             --trigger changes --ahead 1d --arrival at --distinct n \
             --journal journal.jsonl",
        )
        .assert_status(0);
    assert_eq!(
        events(&workdir)[0],
        json!({
            "event": "plan", "version": 1, "sources": ["in.csv"], "partitions": 1,
            "windows": {
                "kind": "hopping", "size": "1mo", "advance": "1d", "gap": null, "max": null,
                "closes_after": 0,
            },
            "grace": 3_600_000, "out_of_order": null, "percentile": 99.0, "ahead": 86_400_000,
            "trigger": "changes", "refinement": "accumulating", "time": "at", "arrival": "at",
            "zone": "Europe/Paris", "where": "n > 0", "distinct": "n", "keys": ["who"],
            "aggregates": [
                { "name": "sum_n", "function": "sum", "argument": "n" },
                { "name": "count", "function": "count", "argument": null },
            ],
            "columns": ["at", "who", "n"],
        })
    );
}

#[test]
fn a_drawing_has_all_that_it_needs() {
    let workdir = Workdir::new();
    workdir.write(
        "in.csv",
        "at,came,who,n\n\
         1000,5000,a,1\n\
         11000,6000,b,2\n\
         2000,7000,a,3\n\
         21000,8000,b,4\n\
         30000,9000,a,5\n\
         3000,10000,a,6\n",
    );
    workdir
        .k(
            "window -q --from in.csv --time at --arrival came --tumbling 10s --by who --grace 5s \
             --trigger watermark --journal journal.jsonl --journal-columns n*2,who",
        )
        .assert_status(0);
    let events = events(&workdir);
    assert_eq!(events[0]["columns"], json!(["n_2", "who"]));
    assert_eq!(
        named(&events, "read", &["arrival", "columns", "now"]),
        rows(&[
            r#"[5000, [2, "a"], 5000]"#,
            r#"[6000, [4, "b"], 6000]"#,
            r#"[7000, [6, "a"], 7000]"#,
            r#"[8000, [8, "b"], 8000]"#,
            r#"[9000, [10, "a"], 9000]"#,
            r#"[10000, [12, "a"], 10000]"#,
        ])
    );
    assert_eq!(
        named(&events, "watermark", &["combined", "record", "now"]),
        rows(&[
            "[1000, 0, 5000]",
            "[11000, 1, 6000]",
            "[21000, 3, 8000]",
            "[30000, 4, 9000]",
        ])
    );
    let assigned = named(&events, "assigned", &["record", "late", "by"]);
    assert_eq!(
        assigned[1..3],
        rows(&["[1, false, null]", "[2, true, 1000]"])
    );
    assert_eq!(
        named(&events, "expired", &["record", "by", "window"]),
        rows(&["[5, 20000, [0, 10000]]"])
    );
    assert_eq!(
        named(&events, "closed", &["window", "key", "now"]),
        rows(&[
            r#"[[0, 10000], ["a"], 6000]"#,
            r#"[[10000, 20000], ["b"], 8000]"#,
            r#"[[20000, 30000], ["b"], 9000]"#,
            r#"[[30000, 40000], ["a"], 10000]"#,
        ])
    );
    assert_eq!(
        named(&events, "pane", &["window", "why", "now"]),
        rows(&[
            r#"[[0, 10000], "close", 6000]"#,
            r#"[[0, 10000], "grace", 8000]"#,
            r#"[[10000, 20000], "close", 8000]"#,
            r#"[[20000, 30000], "close", 9000]"#,
            r#"[[30000, 40000], "close", 10000]"#,
        ])
    );
    // Their rows at the close had shown all of them.
    assert_eq!(
        named(&events, "left", &["window", "key"]),
        rows(&[r#"[[10000, 20000], ["b"]]"#, r#"[[20000, 30000], ["b"]]"#,])
    );
}
