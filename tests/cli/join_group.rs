//! `k join --group`: processes that share the work, crash and restore.

use rustix::process::Signal;

use crate::broker::{broker, read_topic, unique};
use crate::running::{Running, await_that};
use crate::window_group::sorted;
use crate::workdir::{Run, Workdir};

/// Calls and their segments in two topics, and a group that nobody has used.
struct Shared {
    dir: Workdir,
    broker: String,
    topics: [String; 2],
    group: String,
    to: String,
    /// How they are joined.
    join: String,
}

const FILES: [&str; 2] = ["data/mono_signal.csv", "data/tower.csv"];

impl Shared {
    fn new(broker: &str, join: &str) -> Self {
        let dir = Workdir::new();
        let generate = "gen --rate 20 --seconds 120 --seed 9 --start 2026-01-01 --max-duration 5m";
        dir.k(&format!("{generate} --out data")).assert_status(0);
        Shared {
            dir,
            broker: broker.to_owned(),
            topics: ["calls", "segments"].map(unique),
            group: unique("joins"),
            to: unique("joined"),
            join: format!("--on call_id --within 5m {join}"),
        }
    }

    fn produce(&self, side: usize, file: &str, how: &str) {
        let (topic, broker) = (&self.topics[side], &self.broker);
        let produce = format!("produce {file} -t {topic} -b {broker} {how}");
        self.dir.k(&produce).assert_status(0);
    }

    fn args(&self, more: &str) -> String {
        let [left, right] = &self.topics;
        let Shared {
            broker,
            group,
            to,
            join,
            ..
        } = self;
        format!("join {left} {right} {join} --to {to} --group {group} -b {broker} {more}")
    }

    fn k(&self, more: &str) -> Run {
        self.dir.k(&self.args(more))
    }

    fn start(&self, more: &str) -> Running {
        Running::start(&self.dir, &self.args(more))
    }

    /// Returns the rows of the files that the topics were made from.
    fn expected(&self, files: [&str; 2]) -> Vec<String> {
        let ([left, right], join) = (files, &self.join);
        let run = self
            .dir
            .k(&format!("join {left} {right} {join} --format json"));
        run.assert_status(0);
        sorted(run.stdout().lines().map(str::to_owned).collect())
    }

    /// Returns every committed row.
    fn rows(&self) -> Vec<String> {
        let text = |value: Option<Vec<u8>>| String::from_utf8(value.expect("a value"));
        let records = read_topic(&self.broker, &self.to).into_iter();
        let values = records.map(|record| text(record.value).expect("UTF-8"));
        sorted(values.collect())
    }

    #[track_caller]
    fn assert_rows(&self, expected: &[String]) {
        let rows = self.rows();
        assert!(
            rows == expected,
            "{} rows instead of {}",
            rows.len(),
            expected.len()
        );
    }

    /// Has two processes read the topics to their ends, and another one after them.
    #[track_caller]
    fn assert_two_give_the_rows_of_the_files(&self, how: &str) {
        let flags = format!("--exit -v {how}");
        let runs = [self.start(&flags), self.start(&flags)].map(Running::ended);
        for run in &runs {
            run.assert_status(0);
        }
        let expected = self.expected(FILES);
        self.assert_rows(&expected);
        // Whoever comes later has nothing to add.
        let again = self.k("--exit");
        again.assert_status(0);
        let said = again.stderr();
        assert!(said.contains("left: 0 records in"), "{said}");
        self.assert_rows(&expected);
    }

    /// Cuts a file in two and returns the names of the halves.
    fn halves(&self, file: &str) -> [String; 2] {
        let lines = self.dir.read(file);
        let lines: Vec<&str> = lines.lines().collect();
        let (header, rows) = lines.split_first().expect("a header");
        let (first, second) = rows.split_at(rows.len() / 2);
        let mut nth = 0;
        [first, second].map(|rows| {
            nth += 1;
            let name = format!("{file}.{nth}.csv");
            self.dir
                .write(&name, format!("{header}\n{}\n", rows.join("\n")));
            name
        })
    }
}

#[test]
fn topics_that_lie_alike_are_joined_partition_by_partition() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker, "");
    for (side, file) in FILES.into_iter().enumerate() {
        shared.produce(side, file, "--partitions 4 --key call_id");
    }
    let run = shared.k("--exit -v");
    run.assert_status(0);
    let said = run.stderr();
    assert!(said.contains("lie alike"), "{said}");
    shared.assert_rows(&shared.expected(FILES));
}

#[test]
fn two_processes_give_the_rows_of_the_files() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker, "");
    for (side, file) in FILES.into_iter().enumerate() {
        shared.produce(side, file, "--partitions 4 --key call_id");
    }
    shared.assert_two_give_the_rows_of_the_files("");
}

#[test]
fn topics_that_do_not_lie_alike_are_repartitioned() {
    let Some(broker) = broker() else { return };
    // By the caller, and by nothing; of two and of three partitions.
    let shared = Shared::new(broker, "--out-of-order 1h");
    shared.produce(0, FILES[0], "--partitions 2 --key caller");
    shared.produce(1, FILES[1], "--partitions 3 --key call_id");
    shared.assert_two_give_the_rows_of_the_files("");
    let other = Shared {
        group: unique("joins"),
        to: unique("joined"),
        ..shared
    };
    // Both, though one need not be.
    other.assert_two_give_the_rows_of_the_files("--repartition");
}

#[test]
fn the_work_of_a_killed_process_goes_on() {
    let Some(broker) = broker() else { return };
    for how in ["call_id", "caller"] {
        let shared = Shared::new(broker, "");
        let (calls, segments) = (shared.halves(FILES[0]), shared.halves(FILES[1]));
        let keys = [how, "call_id"];
        let produce = |nth: usize| {
            for (side, file) in [&calls[nth], &segments[nth]].into_iter().enumerate() {
                let key = keys[side];
                shared.produce(side, file, &format!("--partitions 3 --key {key}"));
            }
        };
        produce(0);
        // Both sides are silent meanwhile, and nothing of them may be late.
        let [first, second] = [shared.start("--idle 1h"), shared.start("--idle 1h")];
        await_that("no row came", || !shared.rows().is_empty());
        first.signal(Signal::KILL);
        produce(1);
        let last = shared.start("--exit");
        last.ended().assert_status(0);
        second.ended_by(Signal::TERM).assert_status(143);
        assert_eq!(first.ended().status, None, "it was killed");
        shared.assert_rows(&shared.expected(FILES));
    }
}

#[test]
fn what_waits_for_a_partner_is_kept_from_run_to_run() {
    let Some(broker) = broker() else { return };
    for (key, partitions) in [("call_id", 1), ("caller", 2)] {
        let shared = Shared::new(broker, "--type outer --out-of-order 1h");
        let [calls, segments] = FILES.map(|file| shared.halves(file));
        // Segments come only after all calls; a late day lets whatever is alone leave.
        let runs = [
            (0, calls[0].as_str()),
            (0, calls[1].as_str()),
            (1, segments[0].as_str()),
            (1, segments[1].as_str()),
        ];
        let all = format!("--partitions {partitions}");
        shared.produce(1, &segments[0], &format!("{all} --key tower"));
        for (nth, (side, file)) in runs.into_iter().enumerate() {
            if nth != 2 {
                let key = [key, "tower"][side];
                shared.produce(side, file, &format!("{all} --key {key}"));
            }
            shared.k("--exit").assert_status(0);
        }
        let mut ends = Vec::new();
        for (side, file) in FILES.into_iter().enumerate() {
            let header = shared.dir.read(file);
            let header = header.lines().next().expect("a header");
            let time = 1_767_225_600_000_i64 + 86_400_000;
            let value = |column: &str| match column {
                "call_id" => format!("end-{side}"),
                column if column.ends_with("timestamp") => time.to_string(),
                column if column.contains("duration") => "1".to_owned(),
                _ => String::new(),
            };
            let values: Vec<String> = header.split(',').map(value).collect();
            let name = format!("end-{side}.csv");
            let line = format!("{header}\n{}\n", values.join(","));
            shared.dir.write(&name, line);
            for partition in 0..partitions {
                shared.produce(side, &name, &format!("--partition {partition}"));
            }
            ends.push(name);
        }
        let run = shared.k("--exit");
        run.assert_status(0);
        let is_end = |row: &String| row.contains("end-0") || row.contains("end-1");
        let expected = shared.expected(FILES);
        assert!(
            expected.iter().any(|row| row.contains(":null")),
            "nothing is alone"
        );
        assert!(!shared.rows().iter().any(is_end), "the end waits, too");
        shared.assert_rows(&expected);
        let said = run.stderr();
        assert!(said.contains("held before"), "{said}");
        assert!(said.contains("open"), "{said}");
    }
}

#[test]
fn another_plan_another_use_and_lost_state_are_refused() {
    let Some(broker) = broker() else { return };
    let shared = Shared::new(broker, "");
    for (side, file) in FILES.into_iter().enumerate() {
        shared.produce(side, file, "--partitions 2 --key call_id");
    }
    shared.k("--exit").assert_status(0);
    let other = shared.args("--exit").replace("--within 5m", "--within 6m");
    let run = shared.dir.k(&other);
    run.assert_refused(1, &["another plan", "--within 6m", "--reset"]);
    let window = format!(
        "window --tumbling 10s --by call_id --from {} --to {} --group {} --exit -b {broker}",
        shared.topics[0],
        unique("rows"),
        shared.group
    );
    let windows = format!("{}-w", shared.group);
    let window = window.replace(&shared.group, &windows);
    shared.dir.k(&window).assert_status(0);
    let as_windows = shared.args("--exit").replace(&shared.group, &windows);
    let run = shared.dir.k(&as_windows);
    run.assert_refused(1, &["is one of `k window`", "another `--group`"]);
    let log = format!("{}-join-changelog", shared.group);
    let delete = format!("topic delete {log} --yes -b {broker}");
    shared.dir.k(&delete).assert_status(0);
    let run = shared.k("--exit");
    run.assert_refused(1, &["there is no state of it", "--reset"]);
    // Everything is joined again.
    shared.k("--exit --reset").assert_status(0);
    let twice = shared
        .expected(FILES)
        .into_iter()
        .flat_map(|row| [row.clone(), row]);
    shared.assert_rows(&sorted(twice.collect()));
}
