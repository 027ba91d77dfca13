//! What is neither CSV nor an object a line: raw lines and values, tombstones, kcat's envelopes, and
//! the frames of a Schema Registry.

use crate::broker::{Record, broker, read_topic, unique};
use crate::workdir::Workdir;

/// Returns keys and values in their order.
fn pairs(records: &[Record]) -> Vec<(Option<&str>, Option<&str>)> {
    fn text(bytes: &Option<Vec<u8>>) -> Option<&str> {
        let bytes = bytes.as_deref();
        bytes.map(|bytes| std::str::from_utf8(bytes).expect("UTF-8"))
    }
    let pairs = records.iter();
    pairs
        .map(|record| (text(&record.key), text(&record.value)))
        .collect()
}

#[test]
fn raw_lines_are_values_as_they_stand_or_keys_and_values() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let produce = |topic: &str, content: &str, flags: &str| {
        dir.write("lines.txt", content);
        dir.k(&format!(
            "produce lines.txt -t {topic} --partitions 1 -b {broker} {flags}"
        ))
    };
    let topic = unique("raw");
    let lines =
        "id,\"open\n\n{\"topic\":\"x\",\"partition\":0,\"offset\":1,\"value\":\"y\"}\n  last ";
    produce(&topic, lines, "--value raw").assert_status(0);
    let records = read_topic(broker, &topic);
    let values = lines.split('\n').map(|line| (None, Some(line)));
    assert_eq!(pairs(&records), values.collect::<Vec<_>>());

    let topic = unique("keyed");
    let lines = "a:1:2\n:no key\nnothing\nb:\n";
    let run = produce(&topic, lines, "--key-separator :");
    run.assert_refused(1, &["lines.txt, line 3: the line has no `:`", "--skip-bad"]);
    let run = produce(&topic, lines, "-K : -Z --skip-bad");
    run.assert_status(0);
    assert!(
        run.stderr().contains("skipped 1 malformed record"),
        "{}",
        run.stderr()
    );
    let records = read_topic(broker, &topic);
    assert_eq!(
        pairs(&records)[2..], // behind those before the line that ended the first run
        [
            (Some("a"), Some("1:2")),
            (Some(""), Some("no key")),
            (Some("b"), None)
        ]
    );
    let topic = unique("tabs");
    produce(&topic, "k\tv\n", "--key-separator \\t").assert_status(0);
    assert_eq!(pairs(&read_topic(broker, &topic)), [(Some("k"), Some("v"))]);
}

#[test]
fn flags_that_do_not_fit_raw_lines_are_refused_before_a_broker_is_asked() {
    let dir = Workdir::new();
    dir.write("in.csv", "a\n1\n");
    for (flags, told) in [
        (
            "--value raw --key a",
            "`--key` names a column, and raw lines have no columns",
        ),
        ("--value raw --time a", "`--time` names a column"),
        (
            "--value json --key-separator :",
            "`--key-separator` is for raw lines",
        ),
        ("--tombstones", "`--tombstones` is for raw lines"),
    ] {
        let run = dir.k(&format!("produce in.csv -t t {flags}"));
        run.assert_refused(2, &[told]);
    }
}

const KCAT: &str = concat!(
    r#"{"topic":"calls","partition":0,"offset":0,"tstype":"create","ts":1000,"broker":1,"headers":["h","1"],"key":"a","payload":"{\"n\":1}"}"#,
    "\n",
    r#"{"topic":"calls","partition":0,"offset":1,"tstype":"create","ts":11000,"broker":1,"key":"a","payload":{"n":2}}"#,
    "\n",
);

#[test]
fn what_kcat_prints_counts_as_the_records_in_it() {
    let dir = Workdir::new();
    let run = dir.k_with_input("window --tumbling 10s --agg sum(n)", KCAT);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,sum_n\n0,10000,1\n10000,20000,2\n"
    );
    let Some(broker) = broker() else { return };
    let topic = unique("kcat");
    let gone = r#"{"topic":"calls","partition":0,"offset":2,"tstype":"create","ts":12000,"broker":1,"key":"a","payload":null}"#;
    let args = format!("produce - -t {topic} --partitions 1 -b {broker}");
    dir.k_with_input(&args, format!("{KCAT}{gone}\n"))
        .assert_status(0);
    let records = read_topic(broker, &topic);
    assert_eq!(
        pairs(&records),
        [
            (Some("a"), Some("{\"n\":1}")),
            (Some("a"), Some("{\"n\":2}")),
            (Some("a"), None)
        ]
    );
    let times: Vec<_> = records.iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [Some(1_000), Some(11_000), Some(12_000)]);
}

#[test]
fn raw_input_is_one_column_of_any_text() {
    let dir = Workdir::new();
    let log = "2026-01-01T00:00:01Z GET /\n2026-01-01T00:00:02Z \"POST\" /a,b\n\n2026-01-01T00:00:12Z GET /\n";
    dir.write("web.log", log);
    let flags = [
        "window",
        "--from",
        "web.log",
        "--input",
        "raw",
        "--global",
        "--agg",
        "count, max(len(value)) as long",
    ];
    let args = [
        &flags[..],
        &[
            "--by",
            "regexp_extract(' \"?([A-Z]+)', value, 1) as verb",
            "--time",
            "@arrival",
        ],
    ]
    .concat();
    let run = dir.k_args(args);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "window_start,window_end,verb,count,long\n,,,1,\n,,GET,2,26\n,,POST,1,32\n"
    );
    let run = dir.k("join web.log web.log --on value --within 1s --input raw");
    run.assert_refused(2, &["a join needs named columns"]);
}

#[test]
fn a_frame_of_a_schema_registry_is_called_by_its_name() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("framed");
    // {"value_base64": …} is zero, the id 17, and some bytes.
    let line = r#"{"topic":"x","partition":0,"offset":0,"timestamp":1000,"key":"a","headers":[],"value_base64":"AAAAABH/YQ=="}"#;
    let args = format!("produce - -t {topic} -b {broker}");
    dir.k_with_input(&args, format!("{line}\n"))
        .assert_status(0);
    let told = "in the format of a Schema Registry (schema id 17)";
    for args in [
        format!("window --tumbling 10s --from {topic} --exit"),
        format!("window --tumbling 10s --from {topic} --exit --input json"),
        format!("consume {topic} --exit --where a=1"),
        format!("join {topic} {topic} --on a --within 1s --exit"),
    ] {
        let run = dir.k(&format!("{args} -b {broker}"));
        run.assert_status(1);
        let said = run.stderr();
        assert!(
            said.contains(told) && said.contains("kcat -s value=avro"),
            "{args}: {said}"
        );
        assert!(!said.contains("fields"), "{args}: {said}");
    }
    let run = dir.k(&format!("consume {topic} --exit --format json -b {broker}"));
    run.assert_status(0);
    assert!(run.stdout().contains("AAAAABH/YQ=="), "{}", run.stdout());
    assert!(run.stderr().contains(told), "{}", run.stderr());
}
