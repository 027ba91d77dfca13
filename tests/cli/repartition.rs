//! `k window --group` where records are grouped by something else than their key, and so are brought
//! together by a topic of the group's own.

use rustix::process::Signal;

use crate::broker::{broker, read_topic};
use crate::running::await_that;
use crate::window_group::{Shared, assert_runs_over_pieces_give_the_rows_of_the_file, calls};

const BY_CALLEE: &str = "--tumbling 10s --by callee --agg count,sum(duration)";

/// Calls by caller in four partitions, and a window that groups them by something else.
fn shared(broker: &str, window: &str) -> Shared {
    Shared {
        window: window.to_owned(),
        ..Shared::new(broker)
    }
}

/// As [`shared`], by callee, but for the second half of the calls, which are in the file that is
/// returned.
fn half(broker: &str) -> (Shared, String) {
    let shared = Shared {
        window: BY_CALLEE.to_owned(),
        ..Shared::without_records(broker)
    };
    let [before, after] = shared.pieces();
    shared.produce(&before);
    (shared, after)
}

#[test]
fn processes_that_group_by_another_column_than_the_key_give_the_rows_of_the_file() {
    let Some(broker) = broker() else { return };
    shared(broker, BY_CALLEE).assert_two_give_the_rows_of_the_file();
}

#[test]
fn every_kind_of_window_is_that_of_the_file() {
    let Some(broker) = broker() else { return };
    for window in [
        "--hopping 20s,5s --by callee --agg count,sum(duration),p50(duration),first(call_id)",
        "--tumbling 10s --by callee,disposition",
        "--tumbling 10s --agg count,avg(duration)",
        "--session 3s --by callee --agg count,sum(duration)",
        "--sliding 2s --by callee --agg count,sum(duration)",
        "--tumbling 10s --by callee --where duration>0 --grace 20s --trigger watermark",
    ] {
        let shared = shared(broker, window);
        shared.k("--exit").assert_status(0);
        assert!(shared.last_rows() == shared.expected(), "{window}");
    }
    // A row for each change: their order is another one, the last of each window is the same.
    let shared = shared(broker, &format!("{BY_CALLEE} --emit changes"));
    shared.k("--exit").assert_status(0);
    assert!(shared.last_rows() == shared.expected_of(BY_CALLEE));
    assert_eq!(shared.rows().len(), 9_000);
}

#[test]
fn windows_whose_state_is_restored_are_those_of_the_file() {
    let Some(broker) = broker() else { return };
    for (window, how) in [
        ("--sliding 2s --by callee --agg count,sum(duration)", ""),
        ("--session 3s --by callee --agg count,sum(duration)", ""),
        (
            "--session 3s --by callee --agg count,sum(duration)",
            "--refine retracting --emit changes",
        ),
    ] {
        assert_runs_over_pieces_give_the_rows_of_the_file(broker, window, how);
    }
}

#[test]
fn a_crash_shows_what_each_guarantee_is_worth_across_the_repartition_topic() {
    let Some(broker) = broker() else { return };
    let crashed = |guarantee: &str, step: &str| {
        let shared = shared(broker, BY_CALLEE);
        let crash = format!("--guarantee {guarantee} --commit 20ms --crash-at {step} --exit");
        let run = shared.k(&crash);
        assert_eq!(run.status, None, "it was to die: {}", run.stderr());
        shared
            .k(&format!("--guarantee {guarantee} --exit"))
            .assert_status(0);
        shared
    };
    // What is handed on is committed before it is read: there are two commits.
    for step in ["produced", "committed", "produced,2"] {
        let shared = crashed("exactly-once", step);
        assert!(shared.rows() == shared.expected(), "{step}");
    }
    // More comes after the crash: who goes on reads past what the first one has sent.
    let (shared, after) = half(broker);
    let run = shared.k("--guarantee at-least-once --commit 20ms --crash-at produced --exit");
    assert_eq!(run.status, None, "it was to die: {}", run.stderr());
    shared.produce(&after);
    shared
        .k("--guarantee at-least-once --exit")
        .assert_status(0);
    let counted = calls(&shared.last_rows());
    assert!(counted > 9_000, "a crash must double some: {counted}");
    let shared = crashed("at-most-once", "committed");
    let counted = calls(&shared.last_rows());
    assert!(counted < 9_000, "a crash must lose some: {counted}");
}

#[test]
fn without_a_crash_every_guarantee_gives_the_rows_of_the_file_by_another_column() {
    let Some(broker) = broker() else { return };
    for guarantee in ["at-least-once", "at-most-once"] {
        let shared = shared(broker, BY_CALLEE);
        shared
            .k(&format!("--guarantee {guarantee} --exit"))
            .assert_status(0);
        assert!(shared.rows() == shared.expected(), "{guarantee}");
    }
}

#[test]
fn a_process_that_is_killed_in_the_middle_costs_nothing_and_doubles_nothing() {
    let Some(broker) = broker() else { return };
    let (shared, after) = half(broker);
    let first = shared.start("-v --commit 20ms");
    first.await_said("given partitions 0, 1, 2, 3");
    let second = shared.start("-v --commit 20ms");
    second.await_said("given partitions");
    // Rows have left, so both sides of the topic are at work.
    await_that("no row came", || !read_topic(broker, &shared.to).is_empty());
    let third = shared.start("-v --commit 20ms");
    third.await_said("given partitions");
    second.signal(Signal::KILL);
    second.ended();
    shared.produce(&after);
    shared.start("--exit").ended().assert_status(0);
    for running in [first, third] {
        running.ended_by(Signal::TERM).assert_status(143);
    }
    shared.k("--exit").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
    assert_eq!(
        shared.rows().len(),
        shared.expected().len(),
        "each window once"
    );
}

#[test]
fn lateness_is_that_of_each_partition_whatever_records_are_grouped_by() {
    let Some(broker) = broker() else { return };
    let shared = shared(broker, BY_CALLEE);
    // The same calls, some of them out of order, into a topic of its own.
    let generate = "gen --rate 50 --seconds 180 --seed 7 --start 2026-01-01 --callers 40";
    let late = Shared {
        topic: format!("{}-late", shared.topic),
        ..shared
    };
    late.dir
        .k(&format!("{generate} --delay 20%:15s --out late"))
        .assert_status(0);
    late.produce("late/mono_signal.csv");
    let account = |by: &str| {
        let Shared { topic, broker, .. } = &late;
        let (to, group) = (format!("{}-{by}", late.to), format!("{}-{by}", late.group));
        let run = late.dir.k(&format!(
            "window --tumbling 10s --grace 2s --by {by} --from {topic} --to {to} --group {group} \
             -b {broker} --exit --stats json"
        ));
        run.assert_status(0);
        let stats = run.stderr().lines().last().expect("a line").to_owned();
        let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
        let rows = read_topic(broker, &to).into_iter();
        let rows: Vec<String> = rows
            .map(|record| String::from_utf8(record.value.expect("a value")).expect("UTF-8"))
            .collect();
        let number = |name: &str| stats[name].as_u64().expect("a number");
        let of_records = ["on_time", "late", "expired"].map(number);
        (of_records, calls(&rows))
    };
    let ([on_time, late_ones, expired], counted) = account("callee");
    assert!(late_ones > 0 && expired > 0, "{late_ones} {expired}");
    assert_eq!(counted, on_time + late_ones);
    // By the key no topic is between.
    assert_eq!(([on_time, late_ones, expired], counted), account("caller"));
}

#[test]
fn a_silent_partition_holds_the_others_back_no_longer_than_it_may() {
    let Some(broker) = broker() else { return };
    let shared = Shared {
        window: BY_CALLEE.to_owned(),
        ..Shared::without_records(broker)
    };
    // All calls in one partition of four.
    shared.produce_to_one_of_four();
    shared.assert_silence_holds_nothing_back();
}

#[test]
fn the_topic_is_shown_purged_and_cleared_with_the_group() {
    let Some(broker) = broker() else { return };
    let shared = shared(broker, BY_CALLEE);
    let Shared { dir, group, .. } = &shared;
    let k = |args: &str| dir.k(&format!("{args} -b {broker}"));
    shared.k("--exit").assert_status(0);
    let described = k(&format!("node describe {group} --format json"));
    described.assert_status(0);
    let tasks: Vec<serde_json::Value> = described
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |role: &str| {
        let tasks = tasks.iter();
        let tasks: Vec<_> = tasks.filter(|task| task["task"] == role).collect();
        tasks
    };
    assert_eq!((of("upstream").len(), of("downstream").len()), (4, 4));
    let sum = |role: &str, name: &str| {
        let tasks = of(role).into_iter();
        let numbers = tasks.map(|task| task[name].as_u64().expect("a number"));
        numbers.sum::<u64>()
    };
    assert_eq!(
        (sum("upstream", "position"), sum("upstream", "lag")),
        (9_000, 0)
    );
    // The last of each callee.
    assert_eq!(sum("downstream", "state_rows"), 40);

    let topic = format!("{group}-window-repartition");
    let reset = k(&format!("group reset {group} --to beginning --yes"));
    reset.assert_status(0);
    assert!(
        reset.stderr().contains(&format!("deleted topic `{topic}`")),
        "{}",
        reset.stderr()
    );
    assert!(!reset.stdout().contains(&topic), "{}", reset.stdout());
    shared.k("--exit").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
    let running = shared.start("");
    await_purged(&shared);
    running.ended_by(Signal::TERM).assert_status(143);
}

/// Waits until what was read of the topic is deleted, but for the last transactions' markers.
#[track_caller]
fn await_purged(shared: &Shared) {
    let Shared {
        dir, broker, group, ..
    } = shared;
    let topic = format!("{group}-window-repartition");
    await_that("nothing was purged", || {
        let listed = dir.k(&format!("topic list --format json -b {broker}"));
        let line = listed.stdout().lines().find(|line| line.contains(&topic));
        let line: serde_json::Value = serde_json::from_str(line.expect("it")).expect("JSON");
        line["records"].as_u64().expect("a number") < 100
    });
}

#[test]
fn who_wakes_up_where_others_have_purged_what_they_have_read_goes_on() {
    let Some(broker) = broker() else { return };
    let (shared, after) = half(broker);
    let first = shared.start("-v");
    await_that("no row came", || !shared.rows().is_empty());
    first.signal(Signal::STOP);
    let second = shared.start("-v");
    second.await_said("restored");
    shared.produce(&after);
    await_purged(&shared);
    first.signal(Signal::CONT);
    let is_back = || first.said().matches("given partitions").count() > 1;
    await_that("it did not come back", is_back);
    shared.start("--exit").ended().assert_status(0);
    for running in [first, second] {
        running.ended_by(Signal::TERM).assert_status(143);
    }
    shared.k("--exit").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
}

fn has_repartition(shared: &Shared) -> bool {
    let Shared {
        dir, broker, group, ..
    } = shared;
    let listed = dir.k(&format!("topic list -b {broker}"));
    listed
        .stdout()
        .contains(&format!("{group}-window-repartition"))
}

#[test]
fn the_first_records_of_a_topic_that_was_empty_say_whether_they_take_another_one() {
    let Some(broker) = broker() else { return };
    let shared = Shared::without_records(broker);
    let Shared { dir, topic, .. } = &shared;
    let create = format!("topic create {topic} --partitions 4 -b {broker}");
    dir.k(&create).assert_status(0);
    let running = shared.start("-v");
    running.await_said("reading topic");
    shared.produce("data/mono_signal.csv");
    running.await_so("no row came", || !shared.rows().is_empty());
    running.ended_by(Signal::TERM).assert_status(143);
    assert!(!has_repartition(&shared));
    shared.k("--exit").assert_status(0);
    assert!(shared.rows() == shared.expected());
}

#[test]
fn records_that_lie_where_they_are_grouped_take_no_other_topic_unless_told_to() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let has_topic = || has_repartition(&shared);
    shared.k("--exit").assert_status(0);
    assert!(!has_topic());
    shared
        .k("--exit --repartition")
        .assert_refused(1, &["another plan: --repartition", "--reset"]);
    shared.k("--exit --repartition --reset").assert_status(0);
    assert!(has_topic());
    assert!(shared.last_rows() == shared.expected());
}

/// Lines of calls: the caller and the time, by number, and a callee of its own in each.
fn lines(of: impl Fn(u64) -> (&'static str, String)) -> String {
    let line = |n| {
        let (caller, time) = of(n);
        format!("{n},{caller},{},{time}\n", n % 7)
    };
    let lines: String = (0..2_000).map(line).collect();
    format!("call_id,caller,callee,at\n{lines}")
}

/// A topic of some lines, by caller, in four partitions.
fn shared_lines(broker: &str, window: &str, lines: &str) -> Shared {
    let shared = Shared {
        window: window.to_owned(),
        ..Shared::without_records(broker)
    };
    shared.dir.write("data/mono_signal.csv", lines);
    shared.produce("data/mono_signal.csv");
    shared
}

fn caller(n: u64) -> &'static str {
    ["a", "b", "c", "d", "e"][n as usize % 5]
}

fn time(n: u64) -> String {
    format!("2026-01-01T00:{:02}:{:02}Z", n / 60, n % 60)
}

#[test]
fn a_null_is_another_key_than_every_key() {
    let Some(broker) = broker() else { return };
    let nulls = lines(|n| (if n % 2 == 0 { "" } else { caller(n) }, time(n)));
    for (window, needs_topic) in [
        ("--tumbling 10m --time at --by caller --agg count", true),
        (
            "--tumbling 10m --time at --by caller --where caller<>''",
            false,
        ),
    ] {
        let shared = shared_lines(broker, window, &nulls);
        shared.k("--exit").assert_status(0);
        assert!(shared.last_rows() == shared.expected(), "{window}");
        assert_eq!(shared.rows().len(), shared.expected().len(), "{window}");
        assert_eq!(has_repartition(&shared), needs_topic, "{window}");
    }
    // The first ones had a key.
    let shared = shared_lines(
        broker,
        "--tumbling 10m --time at --by caller",
        &lines(|n| (caller(n), time(n))),
    );
    shared.k("--exit").assert_status(0);
    shared.dir.write("nulls.csv", &nulls);
    shared.produce("nulls.csv");
    let run = shared.k("--exit");
    run.assert_refused(
        1,
        &["a record has no key", "offset", "`--reset --repartition`"],
    );
}

#[test]
fn keys_are_looked_at_where_some_records_are_malformed_too() {
    let Some(broker) = broker() else { return };
    let window = "--tumbling 10m --time at --by callee --skip-bad";
    let some_bad = lines(|n| {
        let time = if n % 10 == 3 {
            "soon".to_owned()
        } else {
            time(n)
        };
        (caller(n * 3 % 11), time)
    });
    let shared = shared_lines(broker, window, &some_bad);
    let run = shared.k("--exit");
    run.assert_status(0);
    assert!(run.stderr().contains("200 malformed"), "{}", run.stderr());
    assert!(has_repartition(&shared));
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn what_needs_the_records_of_a_group_in_one_partition_is_refused() {
    let Some(broker) = broker() else { return };
    for (window, part) in [
        (
            "--tumbling 10s --by callee --distinct call_id",
            "`--distinct`",
        ),
        (
            "--session 10s --by callee --late-to late.csv",
            "`--late-to`",
        ),
    ] {
        let run = shared(broker, window).k("--exit");
        run.assert_refused(1, &[part, "`k produce --key COLUMN`"]);
    }
}
