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
    assert_eq!(events(&workdir), of_file);
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
