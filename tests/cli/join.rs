//! `k join` over files and pipes.

use std::collections::{BTreeMap, HashMap};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::running::Running;
use crate::workdir::{Run, Workdir};

/// The calls and segments of a data set, as the tests read them: by column.
struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    fn of(csv: &str) -> Self {
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let owned = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
        let names = owned(reader.headers().expect("a header"));
        let rows = reader.records().map(|record| owned(&record.expect("CSV")));
        let rows = rows.collect();
        Rows { names, rows }
    }

    /// Returns the values of one column.
    fn column(&self, name: &str) -> Vec<&str> {
        let at = self.names.iter().position(|other| other == name);
        let at = at.unwrap_or_else(|| panic!("no column {name} in {:?}", self.names));
        self.rows.iter().map(|row| row[at].as_str()).collect()
    }

    fn times(&self, name: &str) -> Vec<i64> {
        let times = self.column(name).into_iter();
        times.map(|time| time.parse().expect("a time")).collect()
    }
}

/// Makes calls and segments, 40 a second over three minutes.
fn generate(workdir: &Workdir, seed: u64, more: &str) {
    let made = workdir.k(&format!(
        "gen --rate 40 --seconds 180 --seed {seed} --start 2026-01-01 --max-duration 10m --out data {more}"
    ));
    made.assert_status(0);
}

const JOIN: &str = "join data/mono_signal.csv data/tower.csv --on call_id";

fn stats(run: &Run) -> serde_json::Value {
    let line = run.stderr().lines().last().expect("a line");
    serde_json::from_str(line).expect("JSON at the end of stderr")
}

#[test]
fn every_connected_call_appears_once_a_segment() {
    let workdir = Workdir::new();
    generate(&workdir, 1, "");
    let run = workdir.k(&format!("{JOIN} --within 10m --stats json"));
    run.assert_status(0);
    let calls = Rows::of(&workdir.read("data/mono_signal.csv"));
    let segments = Rows::of(&workdir.read("data/tower.csv"));
    let joined = Rows::of(run.stdout());
    assert_eq!(
        joined.names.join(","),
        "call_id,l_start_timestamp,l_end_timestamp,start_timestring,end_timestring,caller,callee,\
         disposition,tower,r_start_timestamp,r_end_timestamp,event_time"
    );
    // Each row is a segment as it is in its file, beside its call as it is in its own.
    let by_id: HashMap<&str, &Vec<String>> = calls
        .column("call_id")
        .into_iter()
        .zip(&calls.rows)
        .collect();
    let mut expected: Vec<String> = segments
        .rows
        .iter()
        .map(|segment| {
            let call = by_id[segment[0].as_str()];
            assert_eq!(call[7], "connected");
            // A segment never starts before its call.
            format!(
                "{},{},{}",
                call.join(","),
                segment[1..].join(","),
                segment[2]
            )
        })
        .collect();
    let mut rows: Vec<String> = run.stdout().lines().skip(1).map(str::to_owned).collect();
    assert!(
        joined.times("event_time").is_sorted(),
        "inputs in order give rows in order"
    );
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);

    let connected = calls.column("disposition").into_iter();
    let connected = connected.filter(|word| *word == "connected").count();
    let stats = stats(&run);
    assert_eq!(stats["left"]["in"], 7_200);
    assert_eq!(stats["left"]["joined"], connected);
    assert_eq!(stats["left"]["unmatched"], 7_200 - connected);
    assert_eq!(stats["right"]["joined"], segments.rows.len());
    assert_eq!(stats["pairs"], segments.rows.len());
    assert_eq!(stats["watermark"], "end");
    assert_eq!(stats["right"]["open"], 0);
}

/// Returns the rows of a join of calls with segments as (call's line, segment's line), by looking
/// at every pair that has one id.
fn product(calls: &Rows, segments: &Rows, within: i64, kind: &str) -> Vec<[Option<usize>; 2]> {
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for (nth, id) in segments.column("call_id").into_iter().enumerate() {
        by_id.entry(id).or_default().push(nth);
    }
    let call_times = calls.times("start_timestamp");
    let segment_times = segments.times("start_timestamp");
    let mut met = vec![false; segments.rows.len()];
    let mut rows = Vec::new();
    for (call, id) in calls.column("call_id").into_iter().enumerate() {
        let near = |segment: &&usize| {
            let apart: i64 = call_times[call] - segment_times[**segment];
            apart.abs() <= within
        };
        let of_call = by_id.get(id).map_or(&[][..], Vec::as_slice);
        let partners: Vec<usize> = of_call.iter().filter(near).copied().collect();
        if partners.is_empty() && kind != "inner" {
            rows.push([Some(call), None]);
        }
        for segment in partners {
            met[segment] = true;
            rows.push([Some(call), Some(segment)]);
        }
    }
    if kind == "outer" {
        let alone = (0..met.len()).filter(|&segment| !met[segment]);
        rows.extend(alone.map(|segment| [None, Some(segment)]));
    }
    rows
}

#[test]
fn joins_are_the_product_of_both_files_for_random_bounds_and_disorder() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for round in 0..6 {
        let workdir = Workdir::new();
        let delay = rng.random_range(1..60);
        let disorder = [
            String::new(),
            "--order end".to_owned(),
            format!("--delay 20%:{delay}s --duplicates 5%"),
        ];
        generate(&workdir, round, &disorder[round as usize % 3]);
        // A file in no order at all.
        if round > 2 {
            let tower = workdir.read("data/tower.csv");
            let (header, lines) = tower.split_once('\n').expect("a header");
            let mut lines: Vec<&str> = lines.lines().collect();
            for at in (1..lines.len()).rev() {
                lines.swap(at, rng.random_range(0..=at));
            }
            workdir.write(
                "data/tower.csv",
                format!("{header}\n{}\n", lines.join("\n")),
            );
        }
        let calls = Rows::of(&workdir.read("data/mono_signal.csv"));
        let segments = Rows::of(&workdir.read("data/tower.csv"));
        for kind in ["inner", "left", "outer"] {
            let within = [0, 1, rng.random_range(2..600_000)][rng.random_range(0..3)];
            let run = workdir.k(&format!(
                "{JOIN} --within {within}ms --type {kind} --out-of-order 1h --stats json"
            ));
            run.assert_status(0);
            let text = |rows: &Rows, nth: usize| rows.rows[nth].join(",");
            let mut expected: Vec<String> = product(&calls, &segments, within, kind)
                .into_iter()
                .map(|row| match row {
                    [Some(call), Some(segment)] => {
                        let (call, segment) = (&calls.rows[call], &segments.rows[segment]);
                        let time = call[1].parse::<i64>().max(segment[2].parse());
                        let time = time.expect("times");
                        format!("{},{},{time}", call.join(","), segment[1..].join(","))
                    }
                    [Some(call), None] => {
                        format!("{},,,,{}", text(&calls, call), calls.rows[call][1])
                    }
                    [_, segment] => {
                        let segment = &segments.rows[segment.expect("one side")];
                        let [id, rest] = [&segment[0], &segment[1..].join(",")];
                        format!("{id},,,,,,,,{rest},{}", segment[2])
                    }
                })
                .collect();
            let mut rows: Vec<&str> = run.stdout().lines().skip(1).collect();
            rows.sort_unstable();
            expected.sort_unstable();
            assert!(rows == expected, "round {round}, {kind} within {within} ms");
            let stats = stats(&run);
            for (side, read) in [("left", &calls), ("right", &segments)] {
                let side = &stats[side];
                assert_eq!(side["in"], read.rows.len());
                let count = |name: &str| side[name].as_u64().expect("a count");
                assert_eq!(count("late") + count("malformed") + count("open"), 0);
                assert_eq!(side["in"], count("joined") + count("unmatched"));
            }
        }
    }
}

trait OrLater {
    fn max(self, other: Self) -> Self;
}

impl<E> OrLater for Result<i64, E> {
    fn max(self, other: Self) -> Self {
        Ok(self?.max(other?))
    }
}

#[test]
fn late_records_are_counted_and_the_hint_keeps_them() {
    let workdir = Workdir::new();
    generate(&workdir, 3, "--order end");
    let run = workdir.k(&format!("{JOIN} --within 1s --stats json"));
    run.assert_status(0);
    let late = stats(&run)["left"]["late"].as_u64().expect("a count");
    assert!(late > 1_000, "calls leave when they end: {}", run.stderr());
    let side = run.stderr().lines().next().expect("a line");
    assert!(side.starts_with("left: 7,200 records in: "), "{side}");
    let hint = run.stderr().lines().find_map(|line| {
        let rest = line.strip_prefix("an `--out-of-order` longer by ")?;
        rest.split(' ').next()
    });
    let more = hint.expect("a hint");
    let kept = workdir.k(&format!(
        "{JOIN} --within 1s --out-of-order {more} --stats json"
    ));
    assert_eq!(stats(&kept)["left"]["late"], 0);
    // Nothing is dropped, so nothing is missing: the rows of a run that holds all there is.
    let held = workdir.k(&format!("{JOIN} --within 1s --out-of-order 2h"));
    let sorted = |run: &Run| {
        let mut rows: Vec<_> = run.stdout().lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    };
    assert_eq!(sorted(&kept), sorted(&held));
    assert!(run.stdout().len() < held.stdout().len());
}

#[test]
fn rows_without_a_partner_come_when_the_bound_has_passed_and_in_order() {
    let workdir = Workdir::new();
    workdir.write(
        "l.csv",
        "id,at,n\na,1000,1\n,1500,2\nb,2000,3\na,9000,4\nb,9000,\n",
    );
    workdir.write("r.csv", "at,id,m\n1999,a,x\n2001,a,y\n3000,b,z\n,,\n");
    let join = |kind: &str, more: &str| {
        let run = workdir.k(&format!(
            "join l.csv r.csv --on id --within 1s --time at --type {kind} {more}"
        ));
        run.assert_status(0);
        run
    };
    let skip = "--skip-bad";
    assert_eq!(
        join("outer", skip).stdout(),
        "id,l_at,n,r_at,m,event_time\n\
         a,1000,1,1999,x,1999\n\
         ,1500,2,,,1500\n\
         b,2000,3,3000,z,3000\n\
         a,,,2001,y,2001\n\
         a,9000,4,,,9000\n\
         b,9000,,,,9000\n"
    );
    assert_eq!(
        join("left", skip).stdout(),
        "id,l_at,n,r_at,m,event_time\n\
         a,1000,1,1999,x,1999\n\
         ,1500,2,,,1500\n\
         b,2000,3,3000,z,3000\n\
         a,9000,4,,,9000\n\
         b,9000,,,,9000\n"
    );
    assert_eq!(
        join("left", "--skip-bad --format table").stdout(),
        "id    l_at  n  r_at  m     event_time\n\
         a     1000  1  1999  x     1970-01-01T00:00:01.999Z\n\
         null  1500  2  null  null  1970-01-01T00:00:01.5Z\n\
         b     2000  3  3000  z     1970-01-01T00:00:03Z\n\
         a     9000  4     null  null  1970-01-01T00:00:09Z\n\
         b     9000  null  null  null  1970-01-01T00:00:09Z\n"
    );
    let said = join("inner", skip);
    assert_eq!(
        said.stderr(),
        "left: 5 records in: 2 joined, 3 unmatched\n\
         right: 4 records in: 2 joined, 1 unmatched, 1 malformed\n\
         2 pairs → 2 rows; watermark at the end\n\
         first malformed: r.csv, line 5: column `at`: the time is null\n\
         warning: all event times of the left side are before 1980: is the unit right? See `--time-unit s|ms|us|ns`\n\
         warning: all event times of the right side are before 1980: is the unit right? See `--time-unit s|ms|us|ns`\n"
    );
    let stopped = workdir.k("join l.csv r.csv --on id --within 1s --time at");
    stopped.assert_status(1);
    assert!(
        stopped
            .stderr()
            .contains("r.csv, line 5: column `at`: the time is null"),
        "{}",
        stopped.stderr()
    );
    assert!(
        stopped.stdout().contains("b,2000,3,3000,z,3000"),
        "what came before"
    );
}

#[test]
fn pipes_and_files_give_the_same_bytes() {
    let workdir = Workdir::new();
    generate(&workdir, 4, "--order end");
    let more = "--on call_id --within 20s --type outer";
    let files = workdir.k(&format!("join data/mono_signal.csv data/tower.csv {more}"));
    files.assert_status(0);
    let calls = workdir.read("data/mono_signal.csv");
    let left = workdir.k_with_input(&format!("join - data/tower.csv {more}"), &calls);
    assert_eq!(left.assert_status(0).stdout(), files.stdout());
    let segments = workdir.read("data/tower.csv");
    let right = workdir.k_with_input(&format!("join data/mono_signal.csv - {more}"), segments);
    assert_eq!(right.assert_status(0).stdout(), files.stdout());
    // Dribbled in, a few bytes at a time.
    let mut slow = Running::start(&workdir, &format!("join - data/tower.csv {more}"));
    let few: String = calls
        .lines()
        .take(300)
        .map(|line| format!("{line}\n"))
        .collect();
    workdir.write("few.csv", &few);
    for piece in few.as_bytes().chunks(97) {
        slow.write(std::str::from_utf8(piece).expect("ASCII"));
    }
    slow.close();
    let slow = slow.ended();
    let few = workdir.k(&format!("join few.csv data/tower.csv {more}"));
    assert_eq!(slow.stdout(), few.assert_status(0).stdout());
    let to = workdir.k(&format!("join few.csv data/tower.csv {more} --to out.csv"));
    assert_eq!(to.assert_status(0).stdout(), "");
    assert_eq!(workdir.read("out.csv"), few.stdout());
}

#[test]
fn a_pipe_is_followed_as_it_comes() {
    let workdir = Workdir::new();
    workdir.write(
        "r.csv",
        "id,start_timestamp,m\na,1700000000500,x\nb,1700000003000,y\n",
    );
    let mut running = Running::start(&workdir, "join - r.csv --on id --within 1s --type left");
    running.write("id,start_timestamp,n\na,1700000000000,1\n");
    running.await_lines(2);
    running.write("c,1700000001000,2\nb,1700000002100,3\nd,1700000002200,4\n");
    running.await_lines(4);
    let run = running.ended_by(Signal::INT);
    run.assert_status(130);
    assert_eq!(
        run.stdout(),
        "id,l_start_timestamp,n,r_start_timestamp,m,event_time\n\
         a,1700000000000,1,1700000000500,x,1700000000500\n\
         c,1700000001000,2,,,1700000001000\n\
         b,1700000002100,3,1700000003000,y,1700000003000\n"
    );
    assert!(run.stderr().contains(", 1 open"), "{}", run.stderr());
}

#[test]
fn csv_and_json_mix_and_values_keep_their_digits() {
    let workdir = Workdir::new();
    let [csv, jsonl] = ["l.csv", "l.jsonl"];
    workdir.write(
        csv,
        "id,start_timestamp,price,big,text\n\
         7,1700000000000,1.50,12345678901234567890,\"say \"\"so\"\", é\"\n\
         8,1700000001000,,,\n",
    );
    workdir.write(
        jsonl,
        "{\"id\":7,\"start_timestamp\":1700000000000,\"price\":1.50,\"big\":12345678901234567890,\"text\":\"say \\\"so\\\", é\"}\n\
         {\"id\":8,\"start_timestamp\":1700000001000,\"price\":null,\"big\":null,\"text\":null}\n",
    );
    workdir.write(
        "r.csv",
        "tag,id,start_timestamp\n007,7,1700000000000\nx,8,1700000001000\n",
    );
    for left in [csv, jsonl] {
        let run = |more: &str| {
            let run = workdir.k(&format!("join {left} r.csv --on id --within 0s {more}"));
            run.assert_status(0);
            run
        };
        assert_eq!(
            run("").stdout(),
            "id,l_start_timestamp,price,big,text,tag,r_start_timestamp,event_time\n\
             7,1700000000000,1.50,12345678901234567890,\"say \"\"so\"\", é\",007,1700000000000,1700000000000\n\
             8,1700000001000,,,,x,1700000001000,1700000001000\n"
        );
        assert_eq!(
            run("--format json").stdout(),
            "{\"id\":7,\"l_start_timestamp\":1700000000000,\"price\":1.50,\"big\":12345678901234567890,\"text\":\"say \\\"so\\\", é\",\"tag\":\"007\",\"r_start_timestamp\":1700000000000,\"event_time\":1700000000000}\n\
             {\"id\":8,\"l_start_timestamp\":1700000001000,\"price\":null,\"big\":null,\"text\":null,\"tag\":\"x\",\"r_start_timestamp\":1700000001000,\"event_time\":1700000001000}\n"
        );
    }
    workdir
        .k("join l.csv r.csv --on id --within 0s --to out.jsonl")
        .assert_status(0);
    assert!(workdir.read("out.jsonl").starts_with("{\"id\":7,"));
}

#[test]
fn a_table_gives_its_latest_value_as_of_the_record() {
    let workdir = Workdir::new();
    workdir.write(
        "orders.csv",
        "number,caller,start_timestamp\n1,a,1000\n2,b,1500\n3,a,2000\n4,a,1999\n5,,2500\n6,a,9000\n",
    );
    workdir.write(
        "plans.csv",
        "caller,plan,start_timestamp\na,old,0\na,new,2000\nc,other,3000\na,newest,5000\n",
    );
    let join = |more: &str| {
        let run = workdir.k(&format!("join orders.csv --on caller {more}"));
        run.assert_status(0);
        run
    };
    let names = "caller,number,l_start_timestamp,plan,r_start_timestamp,event_time\n";
    let inner = join("--table plans.csv --out-of-order 1s");
    assert_eq!(
        inner.stdout(),
        format!(
            "{names}a,1,1000,old,0,1000\na,4,1999,old,0,1999\na,3,2000,new,2000,2000\n\
             a,6,9000,newest,5000,9000\n"
        )
    );
    let left = join("--table plans.csv --type left --out-of-order 1s");
    assert!(
        left.stdout().contains("b,2,1500,,,1500\n"),
        "{}",
        left.stdout()
    );
    assert!(
        left.stdout().contains(",5,2500,,,2500\n"),
        "{}",
        left.stdout()
    );
    assert!(
        left.stderr()
            .contains("right: 4 records in: 3 joined, 1 unmatched"),
        "{}",
        left.stderr()
    );
    // Out of order beyond the bound: the value of 1999 is gone by then.
    let late = join("--table plans.csv");
    assert!(late.stderr().contains(", 1 late"), "{}", late.stderr());
    // Without a time column a table holds from the beginning on, and its last line counts.
    workdir.write("names.csv", "name,caller\nAnna,b\nAnn,a\nAnne,a\n");
    assert_eq!(
        join("--table names.csv").stdout(),
        "caller,number,start_timestamp,name,event_time\n\
         a,1,1000,Anne,1000\nb,2,1500,Anna,1500\na,3,2000,Anne,2000\na,4,1999,Anne,1999\n\
         a,6,9000,Anne,9000\n"
    );
}

#[test]
fn the_result_feeds_windows_and_joins_again() {
    let workdir = Workdir::new();
    generate(&workdir, 5, "");
    let run = workdir.shell(
        "k join -q data/mono_signal.csv data/tower.csv --on call_id --within 10m \
         | k window -q --tumbling 10s --by tower",
    );
    run.assert_status(0);
    let segments = Rows::of(&workdir.read("data/tower.csv"));
    let mut counts: BTreeMap<(i64, String), u64> = BTreeMap::new();
    let towers = segments.column("tower").into_iter();
    for (tower, start) in towers.zip(segments.times("start_timestamp")) {
        let window = (start / 10_000 * 10_000, tower.to_owned());
        *counts.entry(window).or_default() += 1;
    }
    let expected: String = counts
        .iter()
        .map(|((start, tower), count)| format!("{start},{},{tower},{count}\n", start + 10_000))
        .collect();
    assert_eq!(
        run.stdout(),
        format!("window_start,window_end,tower,count\n{expected}")
    );
    // Three inputs: a result has a name for every column, and its event time is the default one.
    workdir.write("names.csv", "caller,name\n");
    let chain = workdir.shell(
        "k join -q data/mono_signal.csv data/tower.csv --on call_id --within 10m \
         | k join -q - data/tower.csv --on call_id --within 0s \
         | k join - --table names.csv --on caller --type left",
    );
    chain.assert_status(0);
    let chained = Rows::of(chain.stdout());
    assert_eq!(chained.rows.len(), segments.rows.len());
    assert_eq!(chained.column("l_tower"), chained.column("r_tower"));
    assert_eq!(chained.column("name").concat(), "");
}

#[test]
fn what_is_typed_wrongly_is_told() {
    let workdir = Workdir::new();
    workdir.write("l.csv", "id,start_timestamp,n\n1,1000,2\n");
    workdir.write("r.csv", "id,start_timestamp,m\nx,1000,2\n");
    workdir.write("no_time.csv", "id,m\n1,2\n");
    let refused = |args: &str, parts: &[&str]| {
        workdir.k(&format!("join {args}")).assert_refused(2, parts);
    };
    refused("- - --on id --within 1s", &["only one side can be `-`"]);
    refused("l.csv --on id --within 1s", &["RIGHT"]);
    refused("l.csv r.csv --on id", &["--within"]);
    refused("l.csv r.csv --on id --within 5", &["has no unit"]);
    refused("l.csv r.csv --table r.csv --on id", &["--table"]);
    refused("l.csv --table r.csv --on id --within 1s", &["--within"]);
    refused("l.csv --table r.csv --on id --type outer", &["--type left"]);
    refused(
        "l.csv r.csv --on n --within 1s",
        &[
            "unknown column `n` in `--on`: the right side",
            "id, start_timestamp, m",
        ],
    );
    let join = "join l.csv r.csv --on id --within 1s".split_whitespace();
    let types = ["--schema", "id bigint", "--schema", "id string"];
    workdir.k_args(join.chain(types)).assert_refused(
        2,
        &[
            "column `id` is a bigint on the left and a text on the right",
            "--schema 'id string'",
        ],
    );
    refused(
        "l.csv l.csv --on id --within 1s --time at",
        &["unknown column `at`", "left"],
    );
    refused(
        "l.csv no_time.csv --on id --within 1s",
        &["the right side has no column"],
    );
    refused(
        "l.csv r.csv --on id --within 1s --time a --time b --time c",
        &["more than twice"],
    );
    refused(
        "l.csv r.csv --on id --within 1s --exit",
        &["`--exit` is for topics"],
    );
    let group = |more: &str, told: &[&str]| {
        refused(&format!("l r --on id --within 1s {more}"), told);
    };
    refused(
        "l.csv r.csv --on id --within 1s --to joined --group g",
        &["a side is not a topic", "k produce"],
    );
    group("--group g", &["a group writes to a topic", "--to joined"]);
    group("--group g --to ./rows.csv", &["a group writes to a topic"]);
    group("--group g --to l", &["topic `l` is an input"]);
    group("--group g --to joined --until 5", &["`--until`", "--exit"]);
    group("--group g --to joined --commit 1h", &["at most 30 s"]);
    for flag in ["--commit 1s", "--reset", "--repartition"] {
        group(&format!("--to joined {flag}"), &["needs `--group`"]);
    }
    refused(
        "l l --on id --within 1s --to joined --group g",
        &["with itself", "leave `--group` out"],
    );
    refused(
        "l --table t --on id --to joined --group g",
        &["a table cannot be joined in a group", "leave `--group` out"],
    );
    let destroyed = workdir.k("join l.csv l.csv --on id --within 1s --to ./l.csv");
    destroyed.assert_refused(1, &["`./l.csv` is an input"]);
    let run = workdir.k("join l.csv r.csv --on id --within 1s --schema 'id string'");
    run.assert_status(2); // the shell would have taken the quotes away
    let args = ["join", "l.csv", "r.csv", "--on", "id", "--within", "1s"];
    let declared = args.into_iter().chain(["--schema", "id string"]);
    workdir.k_args(declared).assert_status(0);
    // Once for both sides, twice for left and right; empty for what is not said.
    workdir.write("s.csv", "id,at\n1,1\n");
    let sides = args[..1]
        .iter()
        .chain(&["l.csv", "s.csv"])
        .chain(&args[3..]);
    let sides = sides.copied().chain(["--time", "", "--time", "at"]);
    let run = workdir.k_args(sides.chain(["--time-unit", "ms", "--time-unit", "s"]));
    run.assert_status(0);
    assert!(
        run.stdout().ends_with("1,1000,2,1,1000\n"),
        "{}",
        run.stdout()
    );
}

#[test]
fn bytes_that_are_no_text_are_malformed_wherever_they_stand() {
    let workdir = Workdir::new();
    workdir.write(
        "l.csv",
        b"id,start_timestamp,n\n1,1000,a\n2,1000,\xff\n3,1000,c\n",
    );
    workdir.write("r.csv", "id,start_timestamp\n1,1000\n2,1000\n3,1000\n");
    let run = workdir.k("join l.csv r.csv --on id --within 1s");
    run.assert_status(1);
    assert!(run.stderr().contains("l.csv, line 3: "), "{}", run.stderr());
    let run = workdir.k("join l.csv r.csv --on id --within 1s --skip-bad");
    assert_eq!(run.assert_status(0).stdout().lines().count(), 3);
    assert!(
        run.stderr()
            .contains("left: 3 records in: 2 joined, 1 malformed")
    );
    workdir.write("l.jsonl", "{\"id\":1,\"start_timestamp\":1000,\"n\":1}\n{\"id\":2,\"start_timestamp\":1000,\"n\":[1, {}]}\n");
    // An object or a list is carried as it is written.
    for (flags, row) in [
        ("csv", "2,1000,\"[1, {}]\",1000,1000"),
        (
            "json",
            r#"{"id":2,"l_start_timestamp":1000,"n":[1, {}],"r_start_timestamp":1000,"event_time":1000}"#,
        ),
    ] {
        let run = workdir.k(&format!(
            "join l.jsonl r.csv --on id --within 0s --format {flags}"
        ));
        let rows = run.assert_status(0).stdout();
        assert_eq!(rows.lines().last(), Some(row));
    }
}

/// Joins what two files hold.
#[track_caller]
fn joined(left: (&str, &str), right: (&str, &str), flags: &[&str]) -> Run {
    let workdir = Workdir::new();
    workdir.write(left.0, left.1);
    workdir.write(right.0, right.1);
    let args = ["join", left.0, right.0, "--within", "1s", "--time", "t"];
    workdir.k_args(args.into_iter().chain(flags.iter().copied()))
}

#[test]
fn columns_of_other_names_are_joined_on_and_stand_once() {
    let left = "t,id,x\n1000,007,a\n1001,7,b\n1002,,c\n";
    let right = "key,t,id\n7,1000,y\n007,1000,z\n,1000,w\n";
    // The left has no `key`, and the right has both.
    for on in ["id = key", "key = id"] {
        let run = joined(("l.csv", left), ("r.csv", right), &["--on", on]);
        run.assert_status(0);
        assert_eq!(
            run.stdout(),
            "id,l_t,x,r_t,r_id,event_time\n7,1001,b,1000,y,1001\n007,1000,a,1000,z,1000\n",
            "{on}"
        );
    }
    let named = [
        "--on",
        "id = key as number",
        "--type",
        "outer",
        "--format",
        "json",
    ];
    let run = joined(("l.csv", left), ("r.csv", right), &named);
    let pair = "{\"number\":\"007\",\"l_t\":1000,\"x\":\"a\",\"r_t\":1000,\"id\":\"z\",\"event_time\":1000}\n";
    let alone =
        "{\"number\":null,\"l_t\":null,\"x\":null,\"r_t\":1000,\"id\":\"w\",\"event_time\":1000}\n";
    assert!(run.stdout().contains(pair), "{}", run.stdout());
    assert!(run.stdout().contains(alone), "{}", run.stdout());
    let json = "{\"t\":1000,\"k e y\":7}\n";
    let run = joined(
        ("l.csv", left),
        ("r.jsonl", json),
        &["--on", "id = \"k e y\""],
    );
    assert_eq!(
        run.stdout(),
        "id,l_t,x,r_t,event_time\n7,1001,b,1000,1001\n"
    );
}

#[test]
fn several_columns_are_equal_together() {
    let left = "a,t,b,n\n1,1000,x,1\n1,1000,y,2\n\"1,x\",1000,y,3\n,1000,x,4\n";
    let right = "b,m,t,a\nx,5,1000,1\n\"x,y\",6,1000,1\nx,7,1000,\n";
    let run = joined(("l.csv", left), ("r.csv", right), &["--on", "a,b"]);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "a,b,l_t,n,m,r_t,event_time\n1,x,1000,1,5,1000,1000\n"
    );
    assert!(
        run.stderr()
            .contains("left: 4 records in: 1 joined, 3 unmatched")
    );
    // In JSON and CSV alike.
    let objects = "{\"b\":\"x\",\"m\":5,\"t\":1000,\"a\":1}\n{\"b\":\"x\",\"t\":1000}\n";
    let on = ["--on", "a = a, b = b", "--format", "json"];
    let run = joined(("l.csv", left), ("r.jsonl", objects), &on);
    assert_eq!(
        run.stdout(),
        "{\"a\":1,\"b\":\"x\",\"l_t\":1000,\"n\":1,\"m\":5,\"r_t\":1000,\"event_time\":1000}\n"
    );
}

#[test]
fn expressions_are_joined_on_and_their_columns_stay() {
    let left = "t,name\n1000,ANNA\n1000,Bea\n";
    let right = "t,who,v\n1000,Anna,1\n1000,bea,2\n";
    let on = ["--on", "lower(name) = lower(who)"];
    let run = joined(("l.csv", left), ("r.csv", right), &on);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "lower_name,l_t,name,r_t,who,v,event_time\nanna,1000,ANNA,1000,Anna,1,1000\nbea,1000,Bea,1000,bea,2,1000\n"
    );
    let half = ["--on", "lower(name) = who as who"];
    let run = joined(("l.csv", left), ("r.csv", right), &half);
    assert_eq!(
        run.stdout(),
        "who,l_t,name,r_t,r_who,v,event_time\nbea,1000,Bea,1000,bea,2,1000\n"
    );
    // Numbers are equal by value where arithmetic makes them ones; what is none costs its own record.
    let left = "t,n\n1000,1\n1000,1.5\n1000,x\n";
    let right = "t,m\n1000,002\n1000,2.50\n";
    let sums = ["--on", "n + 1 = m as sum", "--skip-bad"];
    let run = joined(("l.csv", left), ("r.csv", right), &sums);
    assert_eq!(
        run.stdout(),
        "sum,l_t,n,r_t,m,event_time\n2,1000,1,1000,002,1000\n2.5,1000,1.5,1000,2.50,1000\n"
    );
    assert!(
        run.stderr()
            .contains("left: 3 records in: 2 joined, 1 malformed")
    );
    let stopped = joined(("l.csv", left), ("r.csv", right), &["--on", "n + 1 = m"]);
    stopped.assert_status(1);
    assert!(
        stopped
            .stderr()
            .contains("l.csv, line 4: `n`: `x` is not a number"),
        "{}",
        stopped.stderr()
    );
}

#[test]
fn what_lies_deeper_is_joined_on_and_not_carried() {
    let left = "{\"t\":1000,\"user\":{\"id\":7},\"n\":1}\n";
    let right = "t,id,v\n1000,7,x\n";
    let run = joined(
        ("l.jsonl", left),
        ("r.csv", right),
        &["--on", "user.id = id"],
    );
    run.assert_status(0);
    let (header, row) = run.stdout().trim_end().split_once('\n').expect("a row");
    assert_eq!(header, "user.id,l_t,user,n,r_t,v,event_time");
    assert_eq!(row, "7,1000,\"{\"\"id\"\":7}\",1,1000,x,1000");
}

#[test]
fn each_record_tells_whether_what_is_joined_on_is_a_member_of_its_own() {
    let json = "{\"t\":1,\"user\":{\"id\":7}}\n{\"t\":2,\"user.id\":9}\n";
    let csv = "t,user.id\n1,7\n2,9\n";
    let keys = |left, right, flags: &[&str]| {
        let run = joined(left, right, flags);
        run.assert_status(0);
        let rows = run.stdout().lines();
        let keys = rows.map(|row| row.split(',').next().unwrap_or_default().to_owned());
        keys.collect::<Vec<_>>().join(" ")
    };
    let on = ["--on", "user.id"];
    let (left, right) = (("l.jsonl", json), ("r.jsonl", json));
    for more in [
        &[][..],
        &["--schema", "user.id string"],
        &["--schema", "\"user.id\" string"],
        &["--schema", "user.id bigint"],
    ] {
        let flags = [&on, more].concat();
        assert_eq!(keys(left, right, &flags), "user.id 7 9", "{more:?}");
    }
    let equal = ["--on", "user.id = user.id"];
    assert_eq!(keys(left, right, &equal), "user.id 7 9");
    assert_eq!(keys(left, ("r.csv", csv), &on), "user.id 7 9");
    assert_eq!(keys(("l.csv", csv), right, &on), "user.id 7 9");
    assert_eq!(keys(("l.csv", csv), ("r.csv", csv), &on), "user.id 7 9");
    // The member is not carried besides.
    let run = joined(left, right, &on);
    let header = run.stdout().lines().next();
    assert_eq!(header, Some("user.id,l_t,l_user,r_t,r_user,event_time"));
}

#[test]
fn what_is_joined_on_is_told_where_it_is_wrong() {
    let (left, right) = (("l.csv", "t,id\n1,2\n"), ("r.csv", "t,key\n1,2\n"));
    for (on, parts) in [
        (
            "id = kay",
            &[
                "unknown column `kay` in `--on`: the right side does not have it",
                "it has t, key",
            ][..],
        ),
        (
            "id",
            &["unknown column `id` in `--on`: the right side does not have it"],
        ),
        (
            "lower(ix) = key",
            &[
                "unknown column `ix`",
                "  lower(ix) = key\n        ^^",
                "the left side",
            ],
        ),
        (
            "id = key, id = key",
            &["two columns of the result have the name `id`"],
        ),
        ("id =", &["expected an expression"]),
    ] {
        joined(left, right, &["--on", on]).assert_refused(2, parts);
    }
    let declared = [
        "--on",
        "id = key",
        "--schema",
        "id boolean",
        "--schema",
        "key bigint",
    ];
    joined(left, right, &declared).assert_refused(
        2,
        &["column `id` is a boolean on the left and `key` a bigint on the right"],
    );
}

#[test]
fn a_table_is_looked_up_by_several_columns_and_by_another_name() {
    let workdir = Workdir::new();
    workdir.write(
        "calls.csv",
        "start_timestamp,caller,net\n1000,1,a\n1001,1,b\n1002,2,a\n",
    );
    workdir.write("names.csv", "number,net,name\n1,a,anna\n1,b,bea\n");
    let run = workdir.k_args([
        "join",
        "calls.csv",
        "--table",
        "names.csv",
        "--on",
        "caller = number, net",
        "--type",
        "left",
    ]);
    run.assert_status(0);
    assert_eq!(
        run.stdout(),
        "caller,net,start_timestamp,name,event_time\n1,a,1000,anna,1000\n1,b,1001,bea,1001\n2,a,1002,,1002\n"
    );
}

#[test]
fn duration_stays_that_of_the_left_where_both_sides_have_times() {
    let workdir = Workdir::new();
    workdir.write(
        "calls.csv",
        "call_id,start_timestamp,end_timestamp\n7,1000,4000\n007,1000,1500\n",
    );
    workdir.write(
        "tower.csv",
        "call_id,tower,start_timestamp,end_timestamp\n7,A,1000,2000\n007,B,1000,1500\n",
    );
    for format in ["csv", "json"] {
        let line = format!(
            "k join calls.csv tower.csv --on call_id --within 1h --format {format} | \
             k window --global --by call_id --agg 'sum(duration) as d, sum(l_duration) as l, sum(r_duration) as r' --format csv"
        );
        let run = workdir.shell(&line);
        run.assert_status(0);
        assert_eq!(
            run.stdout(),
            "window_start,window_end,call_id,d,l,r\n,,007,500,500,500\n,,7,3000,3000,1000\n"
        );
    }
    // Where one side alone has them they keep their names.
    workdir.write("names.csv", "call_id,name\n7,anna\n");
    let run = workdir.shell(
        "k join calls.csv --table names.csv --on call_id | k window --global --by name --agg 'sum(duration)'",
    );
    assert_eq!(
        run.stdout(),
        "window_start,window_end,name,sum_duration\n,,anna,3000\n"
    );
}

#[test]
fn what_consume_prints_joins_as_the_records_in_it() {
    let workdir = Workdir::new();
    let envelope = |key: &str, value: &str| {
        let value = value.replace('"', "\\\"");
        format!(
            "{{\"topic\":\"a\",\"partition\":0,\"offset\":{key},\"timestamp\":1000,\"key\":\"{key}\",\
             \"value\":\"{value}\",\"headers\":[]}}\n"
        )
    };
    let json = r#"{"id":1,"t":1000,"v":"a,b"}"#;
    workdir.write(
        "json.jsonl",
        envelope("1", json) + &envelope("2", r#"{"id":2,"t":9000}"#),
    );
    workdir.write(
        "csv.jsonl",
        envelope("1", "1,1000,a") + &envelope("2", "2,9000,"),
    );
    workdir.write("right.csv", "id,t,w\n1,1000,x\n2,2000,y\n");
    for (left, on, more, expected) in [
        (
            "json.jsonl",
            "id",
            "",
            "id,l_t,v,r_t,w,event_time\n1,1000,\"a,b\",1000,x,1000\n",
        ),
        (
            "json.jsonl",
            "@key=id",
            "",
            "key,id,l_t,v,r_t,w,event_time\n1,1,1000,\"a,b\",1000,x,1000\n",
        ),
        (
            "csv.jsonl",
            "id",
            "--schema id_string,t_bigint,v_string --schema id_string,t_bigint,w_string",
            "id,l_t,v,r_t,w,event_time\n1,1000,a,1000,x,1000\n",
        ),
    ] {
        let line = format!("join -q {left} right.csv --on {on} --time t --within 1s {more}");
        let args: Vec<String> = line
            .split_whitespace()
            .map(|arg| arg.replace('_', " "))
            .collect();
        let run = workdir.k_args(args.iter().map(String::as_str));
        run.assert_status(0);
        assert_eq!(run.stdout(), expected, "{left} {on}");
    }
}
