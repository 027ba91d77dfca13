//! NOTES.md is run as a student would: its commands are taken from the page.
//!
//! A block `sh` is one script; a line that ends with `# not right` is a mistake that `k check` has to
//! refuse. A block `sh live` waits for more and is ended by Ctrl-C. Blocks `sql` are run by `k ksql`; for
//! ksqlDB, which is not here, they are only looked at.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::broker::OwnBroker;
use crate::workdir::{Run, Workdir};

/// A piece of the page between two headings of exercises.
struct Exercise<'p> {
    number: u32,
    title: &'p str,
    text: &'p str,
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("NOTES.md")).expect("NOTES.md")
}

fn exercises(page: &str) -> Vec<Exercise<'_>> {
    let pieces = page.split("\n## Exercise ").skip(1);
    let exercise = |piece| {
        // A part's heading ends an exercise, too.
        let piece: &str = str::split(piece, "\n# ").next().expect("a piece");
        let (heading, text) = piece.split_once('\n').expect("text below a heading");
        let (number, title) = heading.split_once(": ").expect("a number and a title");
        let number = number.parse().expect("a number");
        Exercise {
            number,
            title,
            text,
        }
    };
    pieces.map(exercise).collect()
}

/// Returns the blocks of one kind.
fn blocks<'p>(text: &'p str, kind: &str) -> Vec<&'p str> {
    let opening = format!("```{kind}\n");
    let blocks = text.split(opening.as_str()).skip(1);
    let block = |piece: &'p str| piece.split("```").next().expect("a block");
    blocks.map(block).collect()
}

/// Makes a block a script that ends at the first line which does not what the page says.
fn script(block: &str, live: bool) -> String {
    // What runs in the background ends with the script, also where it fails.
    const END: &str = "if test -e nodes.txt; then test $failed = 0 || kill $(cat nodes.txt) || true; rm nodes.txt; fi";
    let mut script = format!("set -e\ntrap 'failed=$?; {END}' EXIT\n");
    for line in block.lines() {
        // Whoever asks again does not ask forever.
        let line = &line.replace(
            "do sleep 1;",
            "do sleep 1; asked=$((asked + 1)); test $asked -lt 300 || exit 8;",
        );
        script += &match (live, line.split_once("# not right")) {
            (true, _) => format!("timeout -s INT 2 {line} || test $? = 124 -o $? = 130\n"),
            (_, Some((line, _))) => format!(
                "if {line}; then echo 'this was not refused:' >&2; exit 9; else test $? = 1; fi\n"
            ),
            (_, None) => format!("{line}\n"),
        };
    }
    script
}

/// Runs the blocks of some exercises in their order, in one folder. Returns each exercise's number with
/// what came of its blocks.
fn run(
    exercises: &[Exercise<'_>],
    before: &str,
    change: impl Fn(&str) -> String,
) -> Vec<(u32, Run)> {
    let mut runs = Vec::new();
    let dir = Workdir::new();
    symlink(Path::new(ROOT).join("scripts"), dir.path("scripts")).expect("a link");
    for exercise in exercises {
        for piece in exercise.text.split("```sh").skip(1) {
            let (kind, block) = piece.split_once('\n').expect("a block");
            let block = block.split("```").next().expect("a block ends");
            let script = script(block, kind == " live");
            let run = dir.shell(&format!("{before}\n{}", change(&script)));
            assert_eq!(
                run.status,
                Some(0),
                "exercise {}\n{script}\n{}{}",
                exercise.number,
                String::from_utf8_lossy(&run.stdout_bytes),
                run.stderr()
            );
            runs.push((exercise.number, run));
        }
    }
    runs
}

/// Returns what the page promises of the panes in exercise 7: three timings, and rows of one window
/// before and behind those of another one.
fn assert_panes_mix(rows: &str) {
    let mut rows = csv::Reader::from_reader(rows.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map_while(Result::ok).collect();
    let windows: Vec<&str> = rows.iter().map(|row| &row[0]).collect();
    let first = windows[0];
    let others = windows.iter().skip_while(|window| **window == first);
    assert!(others.clone().any(|window| *window == first), "{rows:?}");
    for timing in ["early", "on_time", "late"] {
        assert!(
            rows.iter().any(|row| &row[3] == timing),
            "no {timing}: {rows:?}"
        );
    }
}

/// Checks that two nodes have shared the records, each with some of them.
fn assert_shared(told: &str) {
    let counts = told
        .lines()
        .filter_map(|line| line.split_once(" records in"));
    // `k explain` has sentences with these words, too; a summary begins with the number.
    let counts = counts.map(|(count, _)| count.replace(',', "").parse::<u32>());
    let counts: Vec<u32> = counts.filter_map(Result::ok).collect();
    let is_shared = counts.len() == 2 && counts.iter().all(|count| (1_000..6_000).contains(count));
    assert!(
        is_shared && counts.iter().sum::<u32>() <= 6_000,
        "{counts:?}: {told}"
    );
}

#[test]
fn every_exercise_has_its_parts_and_is_one_that_k_check_knows() {
    let page = page();
    let exercises = exercises(&page);
    let listed = Workdir::new().k("check --format json");
    let listed: Vec<(u64, String)> = listed
        .stdout()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|exercise| {
            let title = exercise["title"].as_str().expect("a title").to_owned();
            (exercise["exercise"].as_u64().expect("a number"), title)
        })
        .collect();
    let on_page: Vec<(u64, String)> = exercises
        .iter()
        .map(|exercise| (exercise.number.into(), exercise.title.to_owned()))
        .collect();
    assert_eq!(on_page, listed);
    for exercise in exercises {
        let check = format!("k check {}", exercise.number);
        for part in ["Goal: ", "What to see: ", "Question: ", &check] {
            assert!(
                exercise.text.contains(part),
                "exercise {}: no `{part}`",
                exercise.number
            );
        }
    }
}

#[test]
fn part_one_works_with_nothing_but_the_binary() {
    let page = page();
    let exercises: Vec<Exercise> = exercises(&page)
        .into_iter()
        .filter(|exercise| exercise.number < 10)
        .collect();
    assert_eq!(exercises.len(), 9);
    // No broker is at this port.
    let runs = run(&exercises, "export K_BROKER=127.0.0.1:1", str::to_owned);
    let (_, panes) = runs
        .iter()
        .find(|(number, _)| *number == 7)
        .expect("a block");
    assert_panes_mix(panes.stdout());
}

#[test]
fn part_two_works_with_a_bare_kafka() {
    let Some(broker) = OwnBroker::start() else {
        return;
    };
    let page = page();
    let exercises: Vec<Exercise> = exercises(&page)
        .into_iter()
        .filter(|exercise| (10..15).contains(&exercise.number))
        .collect();
    assert_eq!(exercises.len(), 5);
    let own_port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    // The controllers listen 10000 above: both lie above the ports that scripts/kafka takes by itself
    // and below those that systems give to whoever connects.
    let own_port = 21_100 + own_port % 80 * 10;
    let with = format!("--with {} --port {own_port}", std::process::id());
    let change = |script: &str| {
        let script = script.replace("--brokers 3 --port 9192", &format!("--brokers 3 {with}"));
        script.replace("--port 9192", &format!("--port {own_port}"))
    };
    let before = format!("export K_BROKER={}", broker.address);
    let runs = run(&exercises, &before, change);
    let (_, nodes) = runs
        .iter()
        .find(|(number, _)| *number == 14)
        .expect("a block");
    assert_shared(nodes.stderr());
}

#[test]
fn statements_for_ksqldb_are_whole() {
    const BEGIN: [&str; 5] = ["SET ", "CREATE ", "SELECT", "SHOW ", "INSERT "];
    let page = page();
    let mut count = 0;
    for block in blocks(&page, "sql") {
        let statements = block.trim_end().strip_suffix(';').expect("a `;` ends it");
        for statement in statements.split(';') {
            let statement = statement.trim();
            assert!(
                BEGIN.iter().any(|begin| statement.starts_with(begin)),
                "{statement}"
            );
            let of = |wanted: char| statement.matches(wanted).count();
            assert_eq!(of('('), of(')'), "{statement}");
            assert_eq!(of('\'') % 2, 0, "{statement}");
            assert!(statement.is_ascii(), "{statement}");
            count += 1;
        }
    }
    assert!(count >= 10);
}

#[test]
fn part_three_runs_over_files_and_over_kafka() {
    const RESULTS: [(u32, &str); 4] = [
        (15, "ksql_10s"),
        (16, "ksql_30s"),
        (17, "ksql_sessions"),
        (18, "ksql_towers"),
    ];
    let dir = Workdir::new();
    dir.write("part3.sql", blocks(&page(), "sql").join("\n"));
    dir.k("gen --rate 40 --seconds 60 --callers 50 --seed 5")
        .assert_status(0);
    dir.k("ksql --data data -f part3.sql").assert_status(0);
    for (exercise, topic) in RESULTS {
        let check = format!("check {exercise} data/{topic}.json");
        dir.k(&check).assert_status(0);
    }
    let Some(broker) = OwnBroker::start() else {
        return;
    };
    let at = format!("-b {}", broker.address);
    dir.k(&format!("produce {at}")).assert_status(0);
    dir.k(&format!("ksql -f part3.sql --exit {at}"))
        .assert_status(0);
    for (exercise, topic) in RESULTS {
        dir.k(&format!("check {exercise} {topic} {at}"))
            .assert_status(0);
    }
}
