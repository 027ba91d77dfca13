//! `k window --ahead`: records of wrong clocks are as good as not there, and counted.

use k::term::units::now_ms;
use serde_json::Value;

use crate::broker::{broker, unique};
use crate::workdir::{Run, Workdir};

/// A phone whose clock is in 2027, and a record that does not fit.
const CALLS: &str = "\
at,came,caller
2026-01-01T00:00:01Z,2026-01-01T00:00:02Z,a
2026-01-01T00:00:04Z,2026-01-01T00:00:04Z,b
2027-01-01T00:00:04Z,2026-01-01T00:00:05Z,b
soon,2026-01-01T00:00:05Z,a
2026-01-01T01:00:06Z,2026-01-01T00:00:06Z,a
2026-01-01T01:00:06.001Z,2026-01-01T00:00:06Z,a
2026-01-01T01:00:12Z,2026-01-01T00:00:12Z,b
";

fn stats(run: &Run) -> Value {
    let last = run.stderr().lines().last().expect("a line");
    serde_json::from_str(last).expect("JSON")
}

/// Returns counts of the account by name.
fn counts<const N: usize>(run: &Run, names: [&str; N]) -> [u64; N] {
    let stats = stats(run);
    names.map(|name| stats[name].as_u64().expect("a count"))
}

#[test]
fn one_wrong_clock_makes_no_other_record_late() {
    let workdir = Workdir::new();
    workdir.write("in.csv", CALLS);
    let window = |more: &str| {
        let run = workdir.k(&format!(
            "window --tumbling 10s --time at --arrival came --from in.csv --skip-bad \
             --stats json {more}"
        ));
        run.assert_status(0);
        run
    };
    let without = window("");
    let names = ["on_time", "expired", "malformed", "ahead"];
    assert_eq!(counts(&without, names), [3, 3, 1, 0]);
    assert!(!without.stderr().contains("ahead →"));
    // Exactly an hour ahead is not further ahead than that.
    let with = window("--ahead 1h --late-to late.csv --bad-to bad.csv --journal journal.json");
    assert_eq!(counts(&with, names), [4, 0, 1, 2]);
    let summary = "7 records in: 4 on time, 1 malformed, 2 ahead → 3";
    assert!(with.stderr().contains(summary), "{}", with.stderr());
    assert_eq!(
        workdir.read("late.csv"),
        "outcome,reason,window_start,window_end,watermark,late_by_ms,place,record\n\
         ahead,364d23h59m59s ahead of its arrival at 2026-01-01T00:00:05Z,,,1767225604000,,line 4,\
         \"2027-01-01T00:00:04Z,2026-01-01T00:00:05Z,b\"\n\
         ahead,1h1ms ahead of its arrival at 2026-01-01T00:00:06Z,,,1767229206000,,line 7,\
         \"2026-01-01T01:00:06.001Z,2026-01-01T00:00:06Z,a\"\n"
    );
    let bad = workdir.read("bad.csv");
    assert!(
        bad.lines().count() == 2 && bad.contains("malformed,"),
        "{bad}"
    );
    let journal = workdir.read("journal.json");
    let events = |name: &str| {
        let event = format!("{{\"event\":\"{name}\"");
        journal
            .lines()
            .filter(|line| line.starts_with(&event))
            .count()
    };
    assert_eq!(
        [events("read"), events("ahead"), events("malformed")],
        [4, 2, 1]
    );
    // Whatever `--where` says of it, its clock is wrong.
    let filtered = window("--ahead 1h --where caller='z'");
    assert_eq!(counts(&filtered, ["filtered", "ahead"]), [4, 2]);
}

#[test]
fn a_malformed_record_still_ends_the_run_and_one_ahead_does_not() {
    let workdir = Workdir::new();
    workdir.write("in.csv", CALLS);
    let run = workdir
        .k("window --tumbling 10s --time at --arrival came --from in.csv --ahead 1h --stats json");
    assert_eq!(run.status, Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("line 5"), "{}", run.stderr());
    workdir
        .k("window --tumbling 10s --time @arrival --arrival came --from in.csv --ahead 1h")
        .assert_refused(2, &["no record can be ahead of its arrival"]);
}

/// Records around `now`, some of them hours ahead and some that do not fit: once with and once without
/// those.
fn disordered(now: i64, with_arrivals: bool) -> [String; 2] {
    let header = if with_arrivals {
        "at,caller,came\n"
    } else {
        "at,caller\n"
    };
    let (mut all, mut good) = (header.to_owned(), header.to_owned());
    for n in 0..60_000_i64 {
        let came = now - 90_000_000 + n * 1_000;
        let caller = n * 7 % 13;
        let arrival = if with_arrivals {
            format!(",{came}")
        } else {
            String::new()
        };
        let at = came - n * 3_701 % 5_000;
        let record = format!("{at},{caller}{arrival}\n");
        match n % 997 {
            3 => {
                all += &format!(
                    "{},{caller}{arrival}\n",
                    now + 8_000_000 + n % 71 * 1_000_000
                )
            }
            5 => all += &format!("{at}\n"),
            _ => {
                all += &record;
                good += &record;
            }
        }
    }
    [all, good]
}

#[test]
fn records_ahead_are_as_good_as_not_there_however_the_input_is_read() {
    let workdir = Workdir::new();
    for with_arrivals in [true, false] {
        let [all, good] = disordered(now_ms(), with_arrivals);
        workdir.write("all.csv", &all);
        workdir.write("good.csv", &good);
        let arrival = if with_arrivals { "--arrival came" } else { "" };
        let flags = format!(
            "window --tumbling 10s --out-of-order 2s --by caller --time at {arrival} --skip-bad \
             --ahead 2h --stats json -q"
        );
        let names = ["on_time", "expired", "malformed", "ahead"];
        let expected = workdir.k(&format!("{flags} --from good.csv --threads 1"));
        let [on_time, expired, ..] = counts(&expected, names);
        assert!(expired > 0);
        let runs = [
            workdir.k(&format!("{flags} --from all.csv --threads 1")),
            workdir.k(&format!("{flags} --from all.csv --threads 3")),
            workdir.k_with_input(&flags, &all),
        ];
        for run in runs {
            run.assert_status(0);
            assert!(run.stdout() == expected.stdout(), "other rows");
            assert_eq!(counts(&run, names), [on_time, expired, 61, 61]);
        }
    }
}

#[test]
fn a_topic_that_keeps_when_records_were_appended_tells_their_arrival() {
    let Some(broker) = broker() else { return };
    let workdir = Workdir::new();
    let at = now_ms() + 3_600_000;
    let window = |topic: &str, more: &str| {
        let run = workdir.k(&format!(
            "window --tumbling 10s --out-of-order 2m --by caller --time at --from {topic} --exit -b {broker} \
             --stats json {more}"
        ));
        run.assert_status(0);
        counts(&run, ["on_time", "ahead"])
    };
    for (kind, expected) in [("LogAppendTime", [1, 1]), ("CreateTime", [2, 0])] {
        let topic = unique("ahead");
        workdir
            .k(&format!(
                "topic create {topic} --partitions 1 -b {broker} --config message.timestamp.type={kind}"
            ))
            .assert_status(0);
        workdir.write("in.csv", format!("at,caller\n{at},a\n{},b\n", at - 60_000));
        workdir
            .k(&format!("produce in.csv -t {topic} -b {broker}"))
            .assert_status(0);
        let consumed = workdir.k(&format!("consume {topic} --exit -b {broker} --format json"));
        let first = consumed.stdout().lines().next().expect("a record");
        let first: Value = serde_json::from_str(first).expect("JSON");
        let appended = first["timestamp"].as_i64().expect("a time");
        // By when it was appended it is ahead by a ms, by the clock, which has continued, it is
        // not.
        let allowed = at - appended - 1;
        let flags = format!("--ahead {allowed}ms");
        assert_eq!(window(&topic, &flags), expected, "{kind}");
        let group = format!("{flags} --group {topic} --to {topic}-out");
        assert_eq!(window(&topic, &group), expected, "{kind}, as a group");
    }
}
