//! `k window --group`, from a topic to a topic: processes that share the work, crash and restore.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;

use crate::broker::{OwnBroker, broker, read_topic, unique};
use crate::running::{Running, await_that};
use crate::workdir::{Run, Workdir};

const WINDOW: &str = "--tumbling 10s --by caller --agg count,sum(duration)";

/// A topic of calls in four partitions, and a group that nobody has used.
pub struct Shared {
    pub dir: Workdir,
    pub broker: String,
    pub topic: String,
    pub group: String,
    pub to: String,
    /// What is computed.
    pub window: String,
}

impl Shared {
    pub fn new(broker: &str) -> Self {
        let shared = Self::without_records(broker);
        shared.produce("data/mono_signal.csv");
        shared
    }

    pub fn without_records(broker: &str) -> Self {
        let shared = Shared {
            dir: Workdir::new(),
            broker: broker.to_owned(),
            topic: unique("shared"),
            group: unique("group"),
            to: unique("rows"),
            window: WINDOW.to_owned(),
        };
        let generate = "gen --rate 50 --seconds 180 --seed 7 --start 2026-01-01 --callers 40";
        shared
            .dir
            .k(&format!("{generate} --out data"))
            .assert_status(0);
        shared
    }

    /// Puts every record into one of four partitions of a new topic.
    pub fn produce_to_one_of_four(&self) {
        let Shared { broker, topic, .. } = self;
        let create = format!("topic create {topic} --partitions 4 -b {broker}");
        self.dir.k(&create).assert_status(0);
        let produce = format!("produce data/mono_signal.csv -t {topic} --partition 2 -b {broker}");
        self.dir.k(&produce).assert_status(0);
    }

    /// Waits for the rows of every window but the last, which nothing moves time past, by a process that
    /// does not wait long for partitions that are silent.
    pub fn assert_silence_holds_nothing_back(&self) {
        let running = self.start("--idle 300ms");
        let closed = |row: &String| !row.contains("\"window_end\":1767225780000");
        let expected: Vec<String> = self.expected().into_iter().filter(closed).collect();
        await_that("not every closed window came", || {
            self.rows().len() >= expected.len()
        });
        assert!(self.rows() == expected);
        running.ended_by(Signal::TERM).assert_status(143);
    }

    pub fn produce(&self, file: &str) {
        let Shared { topic, broker, .. } = self;
        let produce = format!("produce {file} -t {topic} --partitions 4 -b {broker}");
        self.dir.k(&produce).assert_status(0);
    }

    /// Cuts the calls in some pieces, and windows with them; returns the names of the files.
    pub fn pieces<const N: usize>(&self) -> [String; N] {
        let calls = self.dir.read("data/mono_signal.csv");
        let lines: Vec<&str> = calls.lines().collect();
        let (header, rows) = lines.split_first().expect("a header");
        let mut chunks = rows.chunks(rows.len() / N + 50);
        let names = std::array::from_fn(|nth| {
            let rows = chunks.next().expect("few pieces");
            let name = format!("piece-{nth}.csv");
            let lines = format!("{header}\n{}\n", rows.join("\n"));
            self.dir.write(&name, lines);
            name
        });
        assert_eq!(chunks.len(), 0, "few pieces");
        names
    }

    pub fn args(&self, more: &str) -> String {
        let Shared {
            broker,
            topic,
            group,
            to,
            window,
            ..
        } = self;
        format!("window {window} --from {topic} --to {to} --group {group} -b {broker} {more}")
    }

    pub fn k(&self, more: &str) -> Run {
        self.dir.k(&self.args(more))
    }

    pub fn start(&self, more: &str) -> Running {
        Running::start(&self.dir, &self.args(more))
    }

    /// Has a process commit the rows of a first half of the calls and die in the next commit, when the
    /// rows of the second half have reached the broker.
    #[track_caller]
    pub fn crash_between_rows(&self) {
        let [before, after] = self.pieces();
        self.produce(&before);
        let running = self.start("--crash-at produced,2");
        await_that("no row came", || !self.rows().is_empty());
        self.produce(&after);
        let run = running.ended();
        assert_eq!(run.status, None, "it was to die: {}", run.stderr());
    }

    /// Returns the rows of the file that the topic was made from.
    pub fn expected(&self) -> Vec<String> {
        self.expected_of(&self.window)
    }

    /// Returns the rows of another window over that file.
    pub fn expected_of(&self, window: &str) -> Vec<String> {
        let run = self.dir.k(&format!(
            "window {window} --from data/mono_signal.csv --format json"
        ));
        run.assert_status(0);
        sorted(run.stdout().lines().map(str::to_owned).collect())
    }

    /// Has two processes read the topic to its end, and another one after them.
    #[track_caller]
    pub fn assert_two_give_the_rows_of_the_file(&self) {
        let runs = [self.start("--exit"), self.start("--exit")].map(Running::ended);
        for run in &runs {
            run.assert_status(0);
        }
        assert!(self.rows() == self.expected());
        // Whoever comes later has nothing to add.
        let again = self.k("--exit");
        again.assert_status(0);
        let said = again.stderr();
        assert!(said.contains("0 records in"), "{said}");
        assert!(self.rows() == self.expected());
    }

    /// Returns every committed row of the result.
    pub fn rows(&self) -> Vec<String> {
        let values = read_topic(&self.broker, &self.to).into_iter();
        sorted(values.map(|record| text(record.value)).collect())
    }

    /// Returns how many rows were sent, committed or not.
    fn sent(&self) -> usize {
        let Shared { broker, to, .. } = self;
        let run = self
            .dir
            .k(&format!("consume {to} --exit -q -b {broker} --uncommitted"));
        run.stdout().lines().count()
    }

    /// Returns the last row of each window and caller.
    pub fn last_rows(&self) -> Vec<String> {
        let records = read_topic(&self.broker, &self.to).into_iter();
        let rows = records.map(|record| (record.key, text(record.value)));
        sorted(rows.collect::<BTreeMap<_, _>>().into_values().collect())
    }
}

/// Produces some calls piece by piece, and windows each with runs that end; whoever applies what has
/// left in its order has the rows of the file.
#[track_caller]
pub fn assert_runs_over_pieces_give_the_rows_of_the_file(broker: &str, window: &str, how: &str) {
    let shared = Shared {
        window: window.to_owned(),
        ..Shared::without_records(broker)
    };
    for piece in shared.pieces::<3>() {
        shared.produce(&piece);
        shared.k(&format!("{how} --exit")).assert_status(0);
    }
    let mut table = BTreeMap::new();
    for record in read_topic(broker, &shared.to) {
        let row = record.value.map(|value| text(Some(value)));
        match row.filter(|row| !row.contains("\"change\":\"-\"")) {
            Some(row) => table.insert(record.key, row.replace(",\"change\":\"+\"", "")),
            None => Some(table.remove(&record.key).expect("it was shown")),
        };
    }
    let rows = sorted(table.into_values().collect());
    assert!(rows == shared.expected(), "{window} {how}");
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.expect("a value")).expect("UTF-8")
}

pub fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// Returns how many calls some rows count.
pub fn calls(rows: &[String]) -> u64 {
    let count = |row: &String| {
        let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
        row["count"].as_u64().expect("a count")
    };
    rows.iter().map(count).sum()
}

#[test]
fn a_process_that_logs_every_step_of_its_client_comes_to_its_end() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let run = shared.k("--exit -v -X debug=cgrp");
    run.assert_status(0);
    assert!(run.stderr().contains("librdkafka: "), "{}", run.stderr());
    assert!(shared.rows() == shared.expected());
}

#[test]
fn processes_that_share_a_topic_give_the_rows_of_its_file() {
    let Some(broker) = broker() else { return };
    Shared::new(broker).assert_two_give_the_rows_of_the_file();
}

#[test]
fn without_a_crash_every_guarantee_gives_the_rows_of_the_file() {
    let Some(broker) = broker() else { return };
    for guarantee in ["exactly-once", "at-least-once", "at-most-once"] {
        let shared = Shared::new(broker);
        shared
            .k(&format!("--guarantee {guarantee} --exit"))
            .assert_status(0);
        assert!(shared.rows() == shared.expected(), "{guarantee}");
    }
}

#[test]
fn a_crash_in_a_commit_shows_what_each_guarantee_is_worth() {
    let Some(broker) = broker() else { return };
    let crashed = |guarantee: &str, step: &str| {
        let shared = Shared::new(broker);
        let crash = format!("--guarantee {guarantee} --commit 20ms --crash-at {step} --exit");
        let run = shared.k(&crash);
        assert_eq!(run.status, None, "it was to die: {}", run.stderr());
        shared
            .k(&format!("--guarantee {guarantee} --exit"))
            .assert_status(0);
        shared
    };
    for step in ["produced", "committed"] {
        let shared = crashed("exactly-once", step);
        assert!(shared.rows() == shared.expected(), "{step}");
    }
    let shared = Shared::without_records(broker);
    shared.crash_between_rows();
    shared.k("--exit").assert_status(0);
    assert!(shared.rows() == shared.expected());
    let shared = crashed("at-least-once", "produced");
    assert!(
        calls(&shared.last_rows()) > 9_000,
        "a crash must double some"
    );
    let shared = crashed("at-least-once", "committed");
    assert!(shared.last_rows() == shared.expected());
    let shared = crashed("at-most-once", "committed");
    assert!(calls(&shared.rows()) < 9_000, "a crash must lose some");
}

#[test]
fn a_signal_while_rows_wait_for_room_loses_none_of_them() {
    let Some(broker) = broker() else { return };
    for guarantee in ["exactly-once", "at-least-once"] {
        let mut shared = Shared::new(broker);
        shared.window += " --emit changes";
        let few_at_once = "-X queue.buffering.max.messages=100 -X linger.ms=20";
        let running = shared.start(&format!("--guarantee {guarantee} {few_at_once}"));
        await_that("no row was sent", || shared.sent() > 0);
        running.ended_by(Signal::TERM).assert_status(143);
        shared
            .k(&format!("--guarantee {guarantee} --exit"))
            .assert_status(0);
        let (rows, expected) = (shared.rows(), shared.expected());
        assert!(rows == expected, "{guarantee}: {} rows", rows.len());
    }
}

#[test]
fn the_work_of_a_process_that_is_killed_or_paused_is_done_by_another() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let first = shared.start("-v");
    first.await_said("given partitions 0, 1, 2, 3");
    let second = shared.start("-v");
    second.await_said("given partitions");
    // A zombie: it wakes up when others have had its partitions for a while.
    first.signal(Signal::STOP);
    second.await_said("restored");
    let third = shared.start("-v");
    third.await_said("given partitions");
    second.signal(Signal::KILL);
    second.ended();
    first.signal(Signal::CONT);
    let last = shared.start("--exit");
    last.ended().assert_status(0);
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
fn a_process_does_not_count_what_it_has_given_up() {
    let Some(broker) = broker() else { return };
    let mut shared = Shared::new(broker);
    shared.window += " --emit changes";
    let first = shared.start("-v --commit 25s");
    await_that("not all rows were sent", || shared.sent() == 9_000);
    // Before its first commit; others do its work.
    first.signal(Signal::STOP);
    shared.k("--exit").assert_status(0);
    first.signal(Signal::CONT);
    first.await_said("going back to the last commit");
    let run = first.ended_by(Signal::TERM);
    run.assert_status(143);
    assert!(run.stderr().contains("0 records in"), "{}", run.stderr());
    assert!(!run.stderr().contains("9,000"), "{}", run.stderr());
}

#[test]
fn a_broker_that_goes_away_costs_a_group_nothing() {
    let Some(own) = OwnBroker::start() else {
        return;
    };
    let shared = Shared::without_records(&own.address);
    let [before, after] = shared.pieces();
    shared.produce(&before);
    let running = shared.start("-v");
    running.await_said("given partitions 0, 1, 2, 3");
    own.crash();
    running.await_said("waiting for it");
    own.restart();
    running.await_said("answers again");
    shared.produce(&after);
    shared.start("--exit").ended().assert_status(0);
    running.ended_by(Signal::INT).assert_status(130);
    shared.k("--exit").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn who_is_stopped_while_the_broker_is_away_says_what_is_given_up() {
    let Some(own) = OwnBroker::start() else {
        return;
    };
    let mut shared = Shared::new(&own.address);
    shared.window += " --emit changes";
    let running = shared.start("-v --commit 25s");
    await_that("no row was sent", || shared.sent() > 0);
    own.crash();
    running.await_said("waiting for it");
    let run = running.ended_by(Signal::TERM);
    run.assert_status(143);
    let said = run.stderr();
    assert!(
        said.contains("since the last commit is discarded"),
        "{said}"
    );
    assert!(said.contains("0 records in"), "{said}");
}

#[test]
fn a_state_of_another_plan_is_refused_until_the_group_begins_anew() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    shared.k("--exit").assert_status(0);
    let changed = shared.k("--where duration>0 --exit");
    changed.assert_refused(
        1,
        &[
            "another plan: --where was not given and is `duration > 0`",
            "--reset",
            "--group",
        ],
    );
    let anew = shared.k("--where duration>0 --exit --reset");
    anew.assert_status(0);
    assert!(
        anew.stderr().contains("9,000 records in"),
        "{}",
        anew.stderr()
    );
    let Shared { group, broker, .. } = &shared;
    let topic = format!("{group}-window-changelog");
    shared
        .dir
        .k(&format!("topic delete {topic} --yes -b {broker}"))
        .assert_status(0);
    shared
        .k("--where duration>0 --exit")
        .assert_refused(1, &["there is no state of it", "--reset"]);
}

#[test]
fn a_plan_is_the_same_however_it_is_spelled() {
    let Some(broker) = broker() else { return };
    let spellings = [
        [
            &["--where", "duration>0"][..],
            &["--where", "duration > 0"],
            &[
                "--where",
                "(Duration)>0",
                "--grace",
                "0ms",
                "--time",
                "start_timestamp",
            ],
        ],
        [
            &["--trigger", "count 1"],
            &["--emit", "changes"],
            &["--trigger", "changes", "--out-of-order", "0s"],
        ],
    ];
    for spellings in spellings {
        let mut shared = Shared::without_records(broker);
        let pieces: [String; 3] = shared.pieces();
        for (piece, spelling) in pieces.iter().zip(spellings) {
            shared.produce(piece);
            let args = shared.args("--exit");
            let args = args.split_whitespace().chain(spelling.iter().copied());
            shared.dir.k_args(args).assert_status(0);
        }
        if spellings[0][0] == "--where" {
            shared.window += " --where duration>0";
        }
        assert!(shared.last_rows() == shared.expected(), "{spellings:?}");
    }
}

#[test]
fn a_state_that_outgrows_its_limit_ends_the_run_and_loses_nothing() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    shared
        .k("--max-state 100B")
        .assert_refused(1, &["more than `--max-state 100 B`", "nothing is lost"]);
    shared.k("--exit").assert_status(0);
    assert!(shared.rows() == shared.expected());
}

#[test]
fn commits_tell_any_process_how_the_tasks_are() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let Shared { dir, group, .. } = &shared;
    let k = |args: &str| dir.k(&format!("{args} -b {broker}"));
    k(&format!("node describe {group}")).assert_refused(1, &["does not exist", "k group list"]);
    shared.k("--exit").assert_status(0);
    let described = k(&format!("node describe {group} --format json"));
    described.assert_status(0);
    assert!(
        described
            .stderr()
            .contains("is empty: 4 tasks by 0 members, 0 records behind")
    );
    let tasks: Vec<serde_json::Value> = described
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(tasks.len(), 4);
    let sum = |name: &str| {
        tasks
            .iter()
            .map(|task| task[name].as_u64().expect("a number"))
            .sum::<u64>()
    };
    assert_eq!((sum("position"), sum("lag")), (9_000, 0));
    // The windows that are still open: the last of each caller.
    assert_eq!(sum("state_rows"), 40);
    let listed = k("node list");
    listed.assert_status(0);
    let row = format!("{group},4,0,0,40,");
    assert!(listed.stdout().contains(&row), "{}", listed.stdout());

    let reset = k(&format!("group reset {group} --to beginning --yes"));
    reset.assert_status(0);
    let deleted = format!("deleted topic `{group}-window-changelog`");
    assert!(reset.stderr().contains(&deleted), "{}", reset.stderr());
    shared.k("--exit").assert_status(0);
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn a_process_that_has_caught_up_tells_of_every_window_that_it_holds() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    let Shared { dir, group, .. } = &shared;
    let running = shared.start("--commit 1s");
    let sums = || {
        let described = dir.k(&format!("node describe {group} --format json -b {broker}"));
        let tasks = described.stdout().lines();
        let tasks = tasks.map(serde_json::from_str::<serde_json::Value>);
        let tasks: Vec<_> = tasks.collect::<Result<_, _>>().expect("JSON");
        ["position", "state_rows"].map(|name| {
            let numbers = tasks.iter().map(|task| task[name].as_u64());
            numbers.map(|number| number.expect("a number")).sum::<u64>()
        })
    };
    await_that("it did not read all", || sums()[0] >= 9_000);
    // The last of each caller.
    assert_eq!(sums(), [9_000, 40]);
    running.ended_by(Signal::TERM).assert_status(143);
}

#[test]
fn sessions_that_a_run_has_shown_open_are_taken_back_when_they_grow() {
    let Some(broker) = broker() else { return };
    let window = "--session 3s --by caller --agg count,sum(duration)";
    for how in ["", "--refine retracting", "--trigger watermark"] {
        assert_runs_over_pieces_give_the_rows_of_the_file(broker, window, how);
    }
}

#[test]
fn panes_that_wait_for_the_clock_leave_though_no_record_comes() {
    let Some(broker) = broker() else { return };
    for by in ["caller", "callee"] {
        let shared = Shared {
            window: format!("--tumbling 10s --by {by} --agg count"),
            ..Shared::new(broker)
        };
        let args = shared.args("--commit 20ms");
        let args = args.split_whitespace().chain(["--trigger", "every 1s"]);
        let running = Running::start_args(&shared.dir, args.collect());
        // Those of open windows among them.
        let all_left = || shared.last_rows() == shared.expected();
        await_that("not all rows have left", all_left);
        running.ended_by(Signal::TERM).assert_status(143);
    }
}

#[test]
fn a_commit_may_be_as_far_off_as_a_person_likes() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker);
    // Longer than a transaction is usually let open.
    let run = shared.k("--commit 11s --exit");
    run.assert_status(0);
    let went_back = run.stderr().contains("going back to the last commit");
    assert!(!went_back, "{}", run.stderr());
    assert!(shared.last_rows() == shared.expected());
}

#[test]
fn a_group_that_begins_at_the_end_misses_nothing_that_comes_between_two_runs() {
    let Some(broker) = broker() else { return };
    for window in [
        WINDOW,
        "--tumbling 10s --by callee --agg count,sum(duration)",
    ] {
        let shared = Shared {
            window: window.to_owned(),
            ..Shared::without_records(broker)
        };
        let [before, after] = shared.pieces();
        shared.produce(&before);
        shared.k("--since end --exit").assert_status(0);
        assert_eq!(shared.sent(), 0);
        shared.produce(&after);
        shared.k("--since end --exit").assert_status(0);
        let run = shared
            .dir
            .k(&format!("window {window} --from {after} --format json"));
        let expected = sorted(run.stdout().lines().map(str::to_owned).collect());
        assert!(!expected.is_empty());
        assert!(shared.last_rows() == expected, "{window}");
    }
    // Of one reader, too, which may be stopped before anything came.
    let shared = Shared::new(broker);
    let Shared { dir, topic, .. } = &shared;
    for reader in [
        "consume TOPIC",
        "window --tumbling 10s --from TOPIC --stats json",
    ] {
        let reader = reader.replace("TOPIC", topic);
        let group = unique("end");
        let command = format!("{reader} --since end --group {group} -b {broker}");
        let running = Running::start(dir, &command);
        let described = || dir.k(&format!("group describe {group} -b {broker}"));
        await_that("nothing is committed", || {
            described().stdout().contains(topic)
        });
        running.ended_by(Signal::TERM).assert_status(143);
        shared.produce("data/mono_signal.csv");
        let run = dir.k(&format!("{command} --exit"));
        run.assert_status(0);
        let said = format!("{}{}", run.stdout(), run.stderr());
        assert!(said.contains("9,000 records"), "{said}");
    }
}

/// Writes four calls that are in order, eight that are late, and one that is malformed; returns the
/// name of the file.
fn late_and_bad(shared: &Shared, first: u32) -> String {
    let on_time = (first..first + 4).map(|n| format!("{n},a,2026-01-01T00:{n:02}:00Z\n"));
    let late = (first..first + 8).map(|n| format!("{n},a,2025-12-31T23:59:00Z\n"));
    let calls: String = on_time.chain(late).collect();
    let name = format!("late-{first}.csv");
    let calls = format!("call_id,caller,start\n{calls}{first},a,soon\n");
    shared.dir.write(&name, calls);
    name
}

#[test]
fn what_is_set_aside_of_a_group_is_added_to_a_file() {
    let Some(broker) = broker() else { return };
    let shared = Shared {
        window: "--tumbling 10s --time start --by caller".to_owned(),
        ..Shared::without_records(broker)
    };
    let produce = |first| {
        let Shared { topic, .. } = &shared;
        let file = late_and_bad(&shared, first);
        let command = format!("produce {file} -t {topic} --partitions 1 -b {broker}");
        shared.dir.k(&command).assert_status(0);
    };
    let aside = "--late-to late.csv --bad-to bad.jsonl --stats-to stats.jsonl";
    for first in [0, 10] {
        produce(first);
        shared.k(&format!("{aside} --exit")).assert_status(0);
    }
    let late = shared.dir.read("late.csv");
    let (header, lines) = late.split_once('\n').expect("a header");
    assert!(header.starts_with("outcome,reason,"), "{late}");
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.starts_with("expired,"))
            .count(),
        16
    );
    assert_eq!(lines.lines().count(), 16, "{late}");
    assert_eq!(shared.dir.read("bad.jsonl").lines().count(), 2);
    assert_eq!(shared.dir.read("stats.jsonl").lines().count(), 2);
    // A line that a process which was killed has left open is not gone on with.
    shared.dir.write("late.csv", late.trim_end());
    produce(20);
    shared.k(&format!("{aside} --exit")).assert_status(0);
    assert_eq!(shared.dir.read("late.csv").lines().count(), 25);
    // Lines of another kind are not mixed with them.
    shared.dir.write("late.csv", "a,b\n1,2\n");
    produce(30);
    let run = shared.k(&format!("{aside} --exit"));
    run.assert_refused(1, &["starts with another line", "another file"]);
    assert_eq!(shared.dir.read("late.csv"), "a,b\n1,2\n");
}

#[test]
fn processes_of_a_group_may_set_aside_in_one_file() {
    let Some(broker) = broker() else { return };
    let shared = Shared {
        window: "--tumbling 1s --by caller --late-to late.csv".to_owned(),
        ..Shared::without_records(broker)
    };
    let Shared { dir, topic, .. } = &shared;
    let create = format!("topic create {topic} --partitions 4 -b {broker}");
    dir.k(&create).assert_status(0);
    let generate = "gen --rate 50 --seconds 180 --seed 7 --start 2026-01-01 --callers 40";
    let late = "--out late --delay 20%:20s";
    dir.k(&format!("{generate} {late}")).assert_status(0);
    shared.produce("late/mono_signal.csv");
    let stats = |nth| format!("--exit -v --stats-to stats-{nth}.json");
    let processes = [0, 1].map(|nth| shared.start(&stats(nth)));
    for process in processes {
        process.ended().assert_status(0);
    }
    let set_aside: u64 = (0..2)
        .map(|nth| {
            let stats = dir.read(&format!("stats-{nth}.json"));
            let stats: serde_json::Value = serde_json::from_str(&stats).expect("an account");
            ["late", "expired"]
                .map(|name| stats[name].as_u64().expect("a count"))
                .iter()
                .sum::<u64>()
        })
        .sum();
    let lines = dir.read("late.csv");
    let (headers, lines): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| line.starts_with("outcome,"));
    assert_eq!(headers.len(), 1);
    assert!(set_aside > 0);
    // A file is in no transaction: where a process loses a partition before a commit, whoever reads
    // on writes its lines again. Each names its record's place.
    let once: BTreeSet<&str> = lines.into_iter().collect();
    assert_eq!(once.len() as u64, set_aside);
}

#[test]
fn rows_of_a_group_that_reads_alone_are_added_to_a_file() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let (topic, group) = (unique("alone"), unique("group"));
    for (nth, lines) in ["a,1000\na,11000\n", "a,21000\na,31000\n"]
        .iter()
        .enumerate()
    {
        dir.write("in.csv", format!("caller,start_timestamp\n{lines}"));
        let produce = format!("produce in.csv -t {topic} --partitions 1 -b {broker}");
        dir.k(&produce).assert_status(0);
        let window = "window --tumbling 10s --by caller --to rows.csv --exit";
        let run = dir.k(&format!(
            "{window} --from {topic} --group {group} -b {broker}"
        ));
        run.assert_status(0);
        let rows = dir.read("rows.csv");
        assert!(
            rows.starts_with("window_start,window_end,caller,count\n0,"),
            "{rows}"
        );
        assert_eq!(rows.matches("window_start").count(), 1, "{rows}");
        assert_eq!(rows.lines().count(), [3, 6][nth], "{rows}");
    }
}

#[test]
fn flags_of_a_group_that_has_no_topics_are_refused() {
    let dir = Workdir::new();
    dir.write("in.csv", "caller,start_timestamp\na,1767225600000\n");
    for (args, part) in [
        ("--from in.csv --guarantee exactly-once", "needs `--group`"),
        (
            "--from t --group g --commit 1s",
            "reads one topic and writes another",
        ),
        ("--from t --to u --state s", "needs `--group`"),
        ("--from t --to u --group g --journal j.jsonl", "`--journal`"),
        ("--from t --to u --group g --until 7", "`--until`"),
        ("--from t --to u --group g --commit 31s", "at most 30 s"),
        (
            "--from t --to u --group g --crash-at never",
            "`produced` or `committed`",
        ),
    ] {
        let run = dir.k(&format!("window --tumbling 1s {args} -b 127.0.0.1:1"));
        run.assert_refused(2, &[part]);
    }
}
