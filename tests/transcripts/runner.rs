//! The runner itself: transcripts that are wrong fail, and say where and why.

use crate::parse::parse;
use crate::rebuild::rebuild;
use crate::ways;

const RIGHT: &str = "\
== Two windows, one late record
window: tumbling 10ms
trigger: watermark late(changes)
grace: 5ms

3: a 5
12: a 1
    + [0, 10) a: count 1, sum 5; on time, pane 0
7: a 2, late by 2ms for [0, 10)
    + [0, 10) a: count 2, sum 7; late, pane 1
end
    + [10, 20) a: count 1, sum 1; on time, pane 0, last
";

/// Returns what the runner says to the right transcript with `from` replaced by `to`.
fn told(from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "`{from}` is not in the transcript");
    let text = RIGHT.replacen(from, to, 1);
    let failure = match parse("some.txt", &text) {
        Err(failure) => failure,
        Ok(cases) => ways::record_by_record(&cases[0]).expect_err(to),
    };
    failure.to_string()
}

#[test]
fn the_right_transcript_is_right() {
    let cases = parse("some.txt", RIGHT).expect("a case");
    for case in &cases {
        ways::record_by_record(case).expect("right");
        ways::in_batches(case, 2).expect("right");
        ways::replayed(case).expect("right");
        ways::refined(case).expect("right");
        ways::rebuilt(case).expect("right");
    }
}

#[test]
fn a_wrong_pane_fails_with_the_line_the_case_and_both_panes() {
    let text = told("count 2, sum 7; late", "count 2, sum 8; late");
    assert_eq!(
        text,
        "tests/transcripts/cases/some.txt, line 9, \"Two windows, one late record\":\n  \
         after `7: a 2, late by 2ms for [0, 10)`\n  \
         expected     + [0, 10) a: count 2, sum 8; late, pane 1   (line 10)\n  \
         got          + [0, 10) a: count 2, sum 7; late, pane 1"
    );
    for (from, to) in [
        ("on time, pane 0, last", "on time, pane 0"),
        ("late, pane 1", "late, pane 2"),
        ("late, pane 1", "on time, pane 1"),
        ("+ [0, 10) a: count 2", "- [0, 10) a: count 2"),
        ("[10, 20) a", "[10, 30) a"),
        ("[10, 20) a", "[10, 20) b"),
        ("count 1, sum 1;", "count 1, sum null;"),
    ] {
        let text = told(from, to);
        assert!(
            text.contains("expected     ") && text.contains("got"),
            "{text}"
        );
    }
}

#[test]
fn a_missing_and_a_surplus_pane_fail() {
    let missing = told("    + [0, 10) a: count 2, sum 7; late, pane 1\n", "");
    assert!(missing.contains("expected     no more panes"), "{missing}");
    let last = "    + [10, 20) a: count 1, sum 1; on time, pane 0, last\n";
    let surplus = told(last, &last.repeat(2));
    assert!(surplus.contains("got          no more panes"), "{surplus}");
    assert!(surplus.contains("as expected  "), "{surplus}");
}

#[test]
fn panes_in_another_order_fail() {
    let text = "\
== Two keys
window: tumbling 10ms

1: a 1
2: b 1
end
    + [0, 10) b: count 1, sum 1; on time, pane 0, last
    + [0, 10) a: count 1, sum 1; on time, pane 0, last
";
    let cases = parse("some.txt", text).expect("a case");
    let failure = ways::record_by_record(&cases[0]).expect_err("the order is wrong");
    assert_eq!(failure.line, 6);
    let failure = ways::in_batches(&cases[0], 2).expect_err("the order is wrong");
    assert!(failure.to_string().contains("in batches"), "{failure}");
    ways::replayed(&cases[0]).expect_err("the order is wrong");
}

#[test]
fn a_wrong_outcome_fails() {
    for (from, to, said) in [
        (", late by 2ms for [0, 10)", "", "to be on time, it is late"),
        (
            ", late by 2ms",
            ", late by 3ms",
            "it is late by 2ms for [0, 10)",
        ),
        (
            "for [0, 10)",
            "for [10, 20)",
            "it is late by 2ms for [0, 10)",
        ),
        (
            "12: a 1",
            "12: a 1, expired",
            "to be expired, it is on time",
        ),
        ("end\n", "end\n    states 2\n", "got       states 0"),
        (
            "12: a 1\n",
            "12: a 1\n    watermark 13\n",
            "got       watermark 12",
        ),
    ] {
        let text = told(from, to);
        assert!(text.contains(said), "{said} in {text}");
        assert!(text.starts_with("tests/transcripts/cases/some.txt, line "));
    }
}

#[test]
fn what_cannot_be_read_is_quoted_with_its_line_and_case() {
    for (from, to, line, said) in [
        ("tumbling 10ms", "tumbling 10", 2, "`10` has no unit"),
        ("tumbling 10ms", "tumbling 0s", 2, "must be above zero"),
        ("tumbling", "tumbled", 2, "unknown window"),
        ("grace", "grease", 4, "unknown setting"),
        ("late(changes)", "late(change)", 3, "`change` does not fit"),
        ("3: a 5", "3 a 5", 6, "neither a record"),
        ("3: a 5", "three: a 5", 6, "unknown setting"),
        ("12: a 1", "twelve: a 1", 7, "`twelve` is not a timestamp"),
        ("12: a 1", "12: a one", 7, "a value is an integer or null"),
        (
            "12: a 1",
            "p1 12: a 1",
            7,
            "`p1` is none of the 1 partitions",
        ),
        (
            "12: a 1",
            "12: 1",
            7,
            "the records have keys and the pane has none",
        ),
        (
            "[0, 10) a: count 1",
            "[0, 10] a: count 1",
            8,
            "it ends with `)`",
        ),
        (
            "count 2, sum 7",
            "count 2",
            10,
            "a value for each aggregate",
        ),
        (
            "count 2, sum 7",
            "sum 7, count 2",
            10,
            "`count` stands here",
        ),
        ("late, pane 1", "soon, pane 1", 10, "`soon` is no timing"),
        ("late by 2ms", "early by 2ms", 9, "`early` is no outcome"),
    ] {
        let text = told(from, to);
        let place = format!("tests/transcripts/cases/some.txt, line {line}, \"Two windows");
        // A record without a key is seen where its case ends or a pane has one.
        assert!(text.starts_with(&place) || to == "12: 1", "{to}: {text}");
        assert!(text.contains(said) || to == "12: 1", "{said} in {text}");
    }
    let untitled = parse("some.txt", "3: a 5\n")
        .expect_err("no title")
        .to_string();
    assert!(
        untitled.contains("line 1:\n  a case begins with"),
        "{untitled}"
    );
    assert!(parse("some.txt", "== Nothing\nwindow: global\n").is_err());
}

#[test]
fn a_journal_that_lacks_a_line_cannot_be_rebuilt() {
    let lines = r#"{"event":"plan","aggregates":[{"function":"count","argument":null}],"refinement":"accumulating"}
{"event":"read","record":0,"partition":0,"place":0,"at":3,"arrival":null,"key":["a"],"arguments":[null],"change":"+"}
{"event":"assigned","record":0,"window":[0,10],"late":false,"joins":[]}
{"event":"pane","window":[0,10],"key":["a"],"timing":"on_time","pane":0,"is_last":true,"change":"+","why":"grace","values":[1]}
"#;
    let rebuilt = rebuild(lines).expect("whole");
    assert_eq!(rebuilt.panes[0]["values"], serde_json::json!([1]));
    assert_eq!(rebuilt.account.on_time, 1);
    for missing in 1..3 {
        let kept = lines.lines().enumerate().filter(|(nth, _)| *nth != missing);
        let kept: Vec<&str> = kept.map(|(_, line)| line).collect();
        let told = rebuild(&kept.join("\n")).expect_err("a line is missing");
        assert!(told.contains("does not fit"), "{told}");
    }
}
