//! `k ksql` over Kafka: definitions of an app, SELECT, and queries that several processes share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::broker::{broker, read_topic, unique};
use crate::running::{Running, await_that};
use crate::terminal::dialogue;
use crate::workdir::{Run, Workdir};

/// An app that nobody else uses.
struct App {
    dir: Workdir,
    broker: &'static str,
    /// Its name, and what the names of its topics begin with.
    name: String,
}

impl App {
    fn new() -> Option<Self> {
        Some(App {
            dir: Workdir::new(),
            broker: broker()?,
            name: unique("app"),
        })
    }

    fn flags(&self) -> Vec<String> {
        let prefix = format!("ksql.output.topic.name.prefix={}.", self.name);
        let flags = [
            "ksql",
            "-b",
            self.broker,
            "--app",
            &self.name,
            "--set",
            &prefix,
        ];
        let earliest = ["--set", "auto.offset.reset=earliest"];
        flags
            .iter()
            .chain(&earliest)
            .map(|&flag| flag.to_owned())
            .collect()
    }

    fn with(&self, more: &[&str]) -> Vec<String> {
        let more = more.iter().map(|&flag| flag.to_owned());
        self.flags().into_iter().chain(more).collect()
    }

    /// Runs statements; topics in them that begin with `%` are the app's own.
    fn run(&self, statements: &str) -> Run {
        self.run_with(&["-e", &self.own(statements)])
    }

    fn run_with(&self, more: &[&str]) -> Run {
        self.dir.k_args(self.with(more).iter().map(String::as_str))
    }

    fn start(&self, more: &[&str]) -> Running {
        let flags = self.with(more);
        Running::start_args(&self.dir, flags.iter().map(String::as_str).collect())
    }

    fn own(&self, text: &str) -> String {
        text.replace('%', &format!("{}.", self.name))
    }

    /// Returns whether a query has sent rows to tasks by another key.
    fn has_repartitioned(&self) -> bool {
        let own = format!("k-ksql-{}-", self.name);
        let topics = self.topics();
        let mut lines = topics.lines();
        lines.any(|line| line.contains(&own) && line.contains("-repartition"))
    }

    fn topics(&self) -> String {
        let listed = self.dir.k(&format!("topic list -b {}", self.broker));
        listed.assert_status(0).stdout().to_owned()
    }
}

#[test]
fn what_one_process_defines_others_see_and_do_not_define_otherwise() {
    let Some(app) = App::new() else { return };
    let create = "CREATE STREAM calls (k VARCHAR KEY, s INT) WITH (KAFKA_TOPIC = '%calls', VALUE_FORMAT = 'JSON', PARTITIONS = 2);";
    assert!(
        app.run(create)
            .assert_status(0)
            .stdout()
            .contains("Stream created")
    );
    let shown = app.run("SHOW STREAMS; DESCRIBE calls;");
    let shown = shown.assert_status(0).stdout();
    assert!(
        shown.contains("CALLS") && shown.contains("VARCHAR (key)") | shown.contains("STRING (key)"),
        "{shown}"
    );
    assert!(app.topics().contains(&app.own("%calls")));
    app.run(create).assert_status(0);
    app.run(&create.replace("s INT", "s BIGINT"))
        .assert_refused(
            2,
            &["same name already exists", "`S` INTEGER", "`S` BIGINT"],
        );
    app.run("CREATE STREAM none (s INT) WITH (KAFKA_TOPIC = '%none', VALUE_FORMAT = 'JSON');")
        .assert_refused(1, &["topic does not exist", "PARTITIONS"]);
    let count = "CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM calls GROUP BY k;";
    let created = app.run(count);
    created.assert_status(0);
    assert!(
        created.stderr().contains("k ksql -f FILE"),
        "{}",
        created.stderr()
    );
    let id = created
        .stdout()
        .trim()
        .rsplit(' ')
        .next()
        .expect("an id")
        .to_owned();
    assert!(id.starts_with("CTAS_COUNTS_"), "{id}");
    app.run(&count.replace("COUNT(*)", "SUM(s)"))
        .assert_refused(2, &["same name already exists", &id]);
    app.run("DROP STREAM calls;")
        .assert_refused(2, &[&id, "TERMINATE"]);
    // Its group and topics come into being where it runs, and go with it.
    app.run_with(&["-e", "SHOW QUERIES;", "--exit"])
        .assert_status(0);
    assert!(app.topics().contains(&format!("{id}-0-changelog")));
    app.run(&format!("TERMINATE {id};")).assert_status(0);
    await_that("the query's topics are still there", || {
        !app.topics().contains(&id)
    });
    assert!(!app.run("SHOW QUERIES;").stdout().contains(&id));
    app.run("DROP TABLE counts DELETE TOPIC; DROP STREAM calls DELETE TOPIC;")
        .assert_status(0);
    await_that("the topics are still there", || {
        !app.topics().contains(&app.own("%calls"))
    });
}

#[test]
fn ctrl_c_at_the_prompt_ends_what_is_shown_and_not_the_queries() {
    let Some(app) = App::new() else { return };
    let flags = app.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let create = app.own(
        "CREATE STREAM calls (id STRING KEY, v INT) WITH (KAFKA_TOPIC='%calls', VALUE_FORMAT='JSON', PARTITIONS=1);\\r",
    );
    let steps = [
        ("ksql> ", &*create),
        (
            "Stream created",
            "CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM calls GROUP BY id EMIT CHANGES;\\r",
        ),
        ("Created query", "INSERT INTO calls VALUES ('first', 1);\\r"),
        ("1 row inserted", "SELECT * FROM calls EMIT CHANGES;\\r"),
        ("first", "\\x03INSERT INTO calls VALUES ('second', 1);\\r"),
        ("1 row inserted", "SELECT * FROM t EMIT CHANGES LIMIT 2;\\r"),
        ("second", "exit\\r"),
    ];
    let Some((status, seen)) = dialogue(&app.dir, &flags, &steps) else {
        return;
    };
    assert_eq!(status, 0, "{seen}");
}

#[test]
fn rows_that_are_inserted_are_selected_pulled_and_printed() {
    let Some(app) = App::new() else { return };
    let inserted = app.run(
        "CREATE TABLE names (k VARCHAR PRIMARY KEY, name VARCHAR) WITH (KAFKA_TOPIC = '%names', VALUE_FORMAT = 'JSON', PARTITIONS = 3);
         INSERT INTO names VALUES ('a', 'Ada'); INSERT INTO names VALUES ('b', 'Bob');
         INSERT INTO names VALUES ('a', 'Adele'); INSERT INTO names (k) VALUES ('c');",
    );
    inserted.assert_status(0);
    let pulled = app.run("SELECT * FROM names WHERE k = 'a';");
    assert_eq!(pulled.assert_status(0).stdout(), "K,NAME\na,Adele\n");
    let pushed = app.run("SELECT name FROM names EMIT CHANGES LIMIT 3;");
    let pushed = pushed.assert_status(0).stdout().to_owned();
    let names: BTreeSet<&str> = pushed.lines().skip(1).collect();
    assert_eq!(pushed.lines().count(), 4);
    assert!(
        names.is_subset(&["Ada", "Adele", "Bob", ""].into()),
        "{pushed}"
    );
    let printed = app.run("PRINT '%names' FROM BEGINNING INTERVAL 2 LIMIT 2;");
    assert_eq!(printed.assert_status(0).stdout().lines().count(), 2);
    assert!(
        printed.stdout().contains("key: a, value: {\"NAME\":"),
        "{}",
        printed.stdout()
    );
    // From now on, until Ctrl-C.
    let latest = ["--set", "auto.offset.reset=latest", "-e"];
    let select = app.start(&[&latest[..], &["SELECT name FROM names EMIT CHANGES;"]].concat());
    select.await_lines(1);
    app.run("INSERT INTO names VALUES ('d', 'Dora');")
        .assert_status(0);
    select.await_lines(2);
    let ended = select.ended_by(Signal::INT);
    assert_eq!(ended.assert_status(130).stdout(), "NAME\nDora\n");
}

const COUNTS: &str = "
    CREATE STREAM calls (k VARCHAR KEY, caller VARCHAR, disposition VARCHAR)
        WITH (KAFKA_TOPIC = '%calls', VALUE_FORMAT = 'JSON');
    CREATE TABLE by_caller WITH (VALUE_FORMAT = 'JSON') AS
        SELECT k, AS_VALUE(k) AS what, COUNT(*) AS n FROM calls GROUP BY k;
    CREATE TABLE by_disposition WITH (VALUE_FORMAT = 'JSON') AS
        SELECT disposition, AS_VALUE(disposition) AS what, COUNT(*) AS n
        FROM calls GROUP BY disposition;";

#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "WHAT")]
    what: String,
    #[serde(rename = "N")]
    n: u64,
}

impl App {
    /// Returns what committed readers see of counts: for each key all of them, in order.
    fn counts(&self, topic: &str) -> BTreeMap<String, Vec<u64>> {
        let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for record in read_topic(self.broker, &self.own(topic)) {
            let value = record.value.expect("a row");
            let Counted { what, n } = serde_json::from_slice(&value).expect("a count");
            counts.entry(what).or_default().push(n);
        }
        counts
    }

    /// Asserts that each key was counted up to what a file of calls holds, by one and from one.
    fn assert_counted(&self, topic: &str, column: usize) {
        let mut truth: BTreeMap<String, u64> = BTreeMap::new();
        let calls = self.dir.read("data/mono_signal.csv");
        for line in calls.lines().skip(1) {
            let value = line.split(',').nth(column).expect("the column");
            *truth.entry(value.to_owned()).or_default() += 1;
        }
        let expected = truth
            .into_iter()
            .map(|(key, count)| (key, (1..=count).collect()));
        let expected: BTreeMap<String, Vec<u64>> = expected.collect();
        let found = self.counts(topic);
        assert!(found == expected, "{topic} is not counted exactly once");
    }
}

#[test]
fn a_killed_process_leaves_counts_that_are_exactly_once() {
    let Some(app) = App::new() else { return };
    let generate = "gen --rate 100 --seconds 100 --callers 50 --seed 11 --out data";
    app.dir.k(generate).assert_status(0);
    let (broker, topic) = (app.broker, app.own("%calls"));
    let create = format!("topic create {topic} --partitions 4 -b {broker}");
    app.dir.k(&create).assert_status(0);
    app.dir.write("app.sql", app.own(COUNTS));
    let first = app.start(&["-f", "app.sql"]);
    let second = app.start(&["-f", "app.sql"]);
    await_that("not both are at work", || {
        let queries = app.run("SHOW QUERIES;");
        queries.stdout().matches("127.0.0.1 (2)").count() == 2
    });
    let produce = format!("produce data/mono_signal.csv -t {topic} --rate 2000 -b {broker}");
    let produced = Running::start(&app.dir, &produce);
    // In the midst of it.
    await_that("nothing is counted", || app.counts("%BY_CALLER").len() > 10);
    second.signal(Signal::KILL);
    produced.ended().assert_status(0);
    app.run_with(&["-f", "app.sql", "--exit"]).assert_status(0);
    first.ended_by(Signal::INT).assert_status(130);
    let header = app.dir.read("data/mono_signal.csv");
    let header: Vec<&str> = header
        .lines()
        .next()
        .expect("a header")
        .split(',')
        .collect();
    let column = |name: &str| header.iter().position(|known| *known == name).expect("it");
    app.assert_counted("%BY_CALLER", column("caller"));
    app.assert_counted("%BY_DISPOSITION", column("disposition"));
}

const CARRIED: &str = "
    CREATE STREAM calls (k VARCHAR KEY, call_id BIGINT, caller VARCHAR)
        WITH (KAFKA_TOPIC = '%calls', VALUE_FORMAT = 'JSON');
    CREATE STREAM segments (k VARCHAR KEY, call_id BIGINT, tower VARCHAR)
        WITH (KAFKA_TOPIC = '%segments', VALUE_FORMAT = 'JSON');
    CREATE STREAM carried WITH (KEY_FORMAT = 'JSON') AS
        SELECT c.call_id AS call_id, AS_VALUE(c.call_id) AS id, s.tower AS tower
        FROM calls c JOIN segments s WITHIN 1 HOUR GRACE PERIOD 1 HOUR ON c.call_id = s.call_id;";

#[derive(Deserialize)]
struct CarriedBy {
    #[serde(rename = "ID")]
    id: u64,
    #[serde(rename = "TOWER")]
    tower: String,
}

#[test]
fn a_join_goes_on_while_processes_come_and_are_killed() {
    let Some(app) = App::new() else { return };
    let generate = "gen --rate 100 --seconds 80 --callers 50 --seed 12 --out data";
    app.dir.k(generate).assert_status(0);
    let topics = [("calls", "mono_signal", 4), ("segments", "tower", 3)];
    for (topic, _, partitions) in topics {
        let topic = app.own(&format!("%{topic}"));
        let create = format!(
            "topic create {topic} --partitions {partitions} -b {}",
            app.broker
        );
        app.dir.k(&create).assert_status(0);
    }
    app.dir.write("app.sql", app.own(CARRIED));
    let mut first = vec![app.start(&["-f", "app.sql"])];
    let second = app.start(&["-f", "app.sql"]);
    await_that("not both are at work", || {
        app.run("SHOW QUERIES;").stdout().contains("127.0.0.1 (2)")
    });
    let produced = topics.map(|(topic, file, _)| {
        let topic = app.own(&format!("%{topic}"));
        let produce = format!(
            "produce data/{file}.csv -t {topic} --rate 3000 -b {}",
            app.broker
        );
        Running::start(&app.dir, &produce)
    });
    let carried = app.own("%CARRIED");
    await_that("nothing is joined", || {
        !read_topic(app.broker, &carried).is_empty()
    });
    first.push(app.start(&["-f", "app.sql"]));
    second.signal(Signal::KILL);
    for produced in produced {
        produced.ended().assert_status(0);
    }
    app.run_with(&["-f", "app.sql", "--exit"]).assert_status(0);
    for running in first {
        running.ended_by(Signal::INT).assert_status(130);
    }
    let towers = app.dir.read("data/tower.csv");
    let mut lines = towers
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let column = |name: &str| header.iter().position(|known| *known == name).expect("it");
    let (id, tower) = (column("call_id"), column("tower"));
    let truth = lines.map(|line| (line[id].parse().expect("an id"), line[tower].to_owned()));
    let mut truth: Vec<(u64, String)> = truth.collect();
    let row = |record: crate::broker::Record| {
        let value = record.value.expect("a row");
        let CarriedBy { id, tower } = serde_json::from_slice(&value).expect("a row");
        (id, tower)
    };
    let mut found: Vec<_> = read_topic(app.broker, &carried)
        .into_iter()
        .map(row)
        .collect();
    truth.sort();
    found.sort();
    assert!(found == truth, "{} rows of {}", found.len(), truth.len());
}

/// What times are moved by: Kafka's begin behind 1970, and a week is whole windows.
const WEEK_MS: i64 = 604_800_000;

/// A case of `tests/ksql/cases`: statements, and the lines of its records.
struct Case {
    title: String,
    statements: String,
    input: Vec<Input>,
}

struct Input {
    topic: String,
    time: i64,
    key: Option<String>,
    value: Option<String>,
}

/// `topic @time "key" : value`, of which the key is a text or null.
static INPUT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^(\S+) @(\d+) (null|"[^"\\]*") : (.*)$"#).expect("a pattern"));
static TOPIC: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(KAFKA_TOPIC\s*=\s*')([^']*)'").expect("a pattern"));
static JSON_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\b(KEY_)?FORMAT\s*=\s*'JSON'").expect("a pattern"));

/// Returns the cases whose results do not depend on how records of several topics or partitions are
/// interleaved, as far as their text tells.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ksql/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the cases")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a text"));
    let texts: Vec<String> = texts.collect();
    let pieces = texts.iter().flat_map(|text| text.split("\n== ").skip(1));
    pieces.filter_map(case).collect()
}

fn case(text: &str) -> Option<Case> {
    // And what a second process cannot do once more, and topics that are named by a variable: each
    // run has names of its own.
    const BY_PLACE: [&str; 13] = [
        "${",
        "TERMINATE",
        "DROP",
        "REPLACE",
        "ROWPARTITION",
        "ROWOFFSET",
        "GRACE",
        "FINAL",
        "VALUES",
        "LEFT",
        "RIGHT",
        "OUTER",
        "'KAFKA'",
    ];
    let (title, body) = text.split_once('\n')?;
    let mut case = Case {
        title: title.to_owned(),
        statements: String::new(),
        input: Vec::new(),
    };
    for line in body.lines() {
        match line.split_once(' ') {
            Some(("<", record)) => {
                let [topic, time, key, value] = INPUT.captures(record)?.extract().1;
                let text = |text: &str| (text != "null").then(|| text.to_owned());
                case.input.push(Input {
                    topic: topic.to_owned(),
                    time: time.parse::<i64>().ok()? + WEEK_MS,
                    key: text(key),
                    value: text(value),
                });
            }
            Some((">", _)) => {}
            Some(("!", _)) => return None,
            _ => {
                case.statements.push_str(line);
                case.statements.push('\n');
            }
        }
    }
    // Keys are texts: as they are, or as JSON, in all of a case's topics.
    let sources = case.statements.lines().filter(|line| TOPIC.is_match(line));
    let are_json: Vec<bool> = sources.map(|line| JSON_KEY.is_match(line)).collect();
    if are_json.iter().all(|is_json| !is_json) {
        for key in case.input.iter_mut().filter_map(|input| input.key.as_mut()) {
            *key = key.trim_matches('"').to_owned();
        }
    } else if are_json.contains(&false) {
        return None;
    }
    let upper = case.statements.to_uppercase();
    let mut times = case
        .input
        .windows(2)
        .map(|pair| pair[0].time < pair[1].time);
    let is_in_order = !upper.contains("JOIN") || times.all(|is_later| is_later);
    let is_fit = is_in_order
        && !case.input.is_empty()
        && !BY_PLACE.iter().any(|word| upper.contains(word))
        && case.input.iter().all(|input| {
            input
                .value
                .as_deref()
                .is_none_or(|value| value.starts_with('{'))
        });
    is_fit.then_some(case)
}

/// A record as the replay writes it.
#[derive(Deserialize)]
struct Written<'a> {
    topic: String,
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    window: Option<Span>,
}

#[derive(Deserialize)]
struct Span {
    start: i64,
    end: i64,
    r#type: String,
}

/// A key as text, and the bytes of its window.
type Key = (String, Vec<u8>);

/// Values by key, in order: what a topic holds.
type Rows = BTreeMap<Key, Vec<Vec<u8>>>;

impl Case {
    /// Runs the case by a replay; returns what is in each topic that it writes.
    fn replayed(&self, app: &App, statements: &str) -> BTreeMap<String, Rows> {
        let line = |input: &Input| {
            let key = input.key.as_ref().map_or("null".to_owned(), |key| {
                format!("\"{}\"", key.trim_matches('"'))
            });
            let value = input.value.as_deref().unwrap_or("null");
            let (topic, time) = (app.own(&format!("%{}", input.topic)), input.time);
            format!(
                "{{\"topic\":\"{topic}\",\"key\":{key},\"value\":{value},\"timestamp\":{time}}}\n"
            )
        };
        app.dir
            .write("in.jsonl", self.input.iter().map(line).collect::<String>());
        app.dir.write("app.sql", statements);
        let prefix = format!("ksql.output.topic.name.prefix={}.", app.name);
        let replay = [
            "ksql", "--file", "app.sql", "--replay", "in.jsonl", "--set", &prefix,
        ];
        let run = app.dir.k_args(replay);
        let mut topics: BTreeMap<String, Rows> = BTreeMap::new();
        for line in run.assert_status(0).stdout().lines() {
            let written: Written<'_> = serde_json::from_str(line).expect("a record");
            let mut window = Vec::new();
            if let Some(Span { start, end, r#type }) = &written.window {
                if r#type == "session" {
                    window.extend(end.to_be_bytes());
                }
                window.extend(start.to_be_bytes());
            }
            let rows = topics.entry(written.topic).or_default();
            let key = (written.key.get().trim_matches('"').to_owned(), window);
            rows.entry(key)
                .or_default()
                .push(written.value.get().into());
        }
        topics
    }

    /// Returns what a topic of Kafka holds in the form of the replay, given the keys that are expected.
    fn found(app: &App, topic: &str, expected: &Rows) -> Rows {
        let mut rows = Rows::new();
        let windowed = expected
            .keys()
            .map(|(_, window)| window.len())
            .max()
            .unwrap_or(0);
        let is_number = |(key, _): &Key| key.parse::<i64>().is_ok();
        let are_numbers = expected.keys().all(is_number);
        for record in read_topic(app.broker, topic) {
            let key = match record.key {
                None => ("null".to_owned(), Vec::new()),
                Some(mut key) => {
                    let window = key.split_off(key.len().saturating_sub(windowed));
                    let key = match <[u8; 4]>::try_from(key.as_slice()) {
                        Ok(number) if are_numbers => i32::from_be_bytes(number).to_string(),
                        _ => String::from_utf8_lossy(&key).trim_matches('"').to_owned(),
                    };
                    (key, window)
                }
            };
            let value = record.value.unwrap_or_else(|| b"null".to_vec());
            rows.entry(key).or_default().push(value);
        }
        rows
    }

    /// Runs the case over Kafka by some processes, and compares with the replay.
    fn check(&self, processes: usize) -> Result<(), String> {
        let app = App::new().expect("a broker");
        let own = format!("${{1}}{}.$2'", app.name);
        let statements = TOPIC
            .replace_all(&self.statements, own.as_str())
            .into_owned();
        let expected = self.replayed(&app, &statements);
        let mut topics: BTreeSet<String> = TOPIC
            .captures_iter(&statements)
            .map(|found| found[2].to_owned())
            .collect();
        topics.extend(
            self.input
                .iter()
                .map(|input| app.own(&format!("%{}", input.topic))),
        );
        for topic in &topics {
            // The records are of 1970: by default Kafka deletes them at its next look.
            let kept = "--partitions 3 --config retention.ms=-1";
            let create = format!("topic create {topic} {kept} -b {}", app.broker);
            app.dir.k(&create).assert_status(0);
        }
        let envelope = |(nth, input): (usize, &Input)| {
            let envelope = serde_json::json!({
                "topic": app.own(&format!("%{}", input.topic)), "partition": 0, "offset": nth,
                "timestamp": input.time, "key": input.key, "headers": [], "value": input.value,
            });
            format!("{envelope}\n")
        };
        let envelopes: String = self.input.iter().enumerate().map(envelope).collect();
        app.dir.write("in.json", envelopes);
        let produce = format!("produce in.json -b {}", app.broker);
        app.dir.k(&produce).assert_status(0);
        let running = (0..processes).map(|_| app.start(&["-f", "app.sql", "--exit"]));
        let running: Vec<Running> = running.collect();
        for running in running {
            running.ended().assert_status(0);
        }
        for (topic, expected) in expected
            .iter()
            .filter(|(topic, _)| !topics.contains(*topic))
        {
            let found = Self::found(&app, topic, expected);
            let name = topic.rsplit('.').next().unwrap_or_default();
            let allowed = Allowed {
                is_mixed: app.has_repartitioned(),
                is_table: statements
                    .to_uppercase()
                    .contains(&format!("TABLE {name} ")),
            };
            if !are_same(expected, &found, allowed) {
                let shown = |rows: &Rows| {
                    let lines = rows.iter().map(|(key, values)| {
                        let values = values.iter().map(|value| String::from_utf8_lossy(value));
                        format!("  {key:?}: {}", values.collect::<Vec<_>>().join(" "))
                    });
                    lines.collect::<Vec<_>>().join("\n")
                };
                return Err(format!(
                    "{} by {processes}, topic {topic}: expected\n{}\nfound\n{}",
                    self.title,
                    shown(expected),
                    shown(&found)
                ));
            }
        }
        Ok(())
    }
}

/// How a topic may differ from what the replay writes.
#[derive(Clone, Copy)]
struct Allowed {
    /// What was repartitioned comes from several partitions at once: the rows of a key may be in
    /// another order, and of a table that takes rows back only the last one is the same.
    is_mixed: bool,
    /// A table's topic is compacted, and old records soon: transaction markers, which are of now, roll
    /// its segments.
    is_table: bool,
}

/// Returns whether a topic holds what is expected. Rows without a key are in any partition.
fn are_same(expected: &Rows, found: &Rows, allowed: Allowed) -> bool {
    let sorted = |values: &Vec<Vec<u8>>| {
        let mut values = values.clone();
        values.sort();
        values
    };
    let is_same = |(key, one): (&Key, &Vec<Vec<u8>>)| {
        let Some(other) = found.get(key) else {
            return false;
        };
        let is_mixed = allowed.is_mixed || key.0 == "null";
        let has_last = (is_mixed || allowed.is_table) && one.last() == other.last();
        one == other || has_last || (is_mixed && sorted(one) == sorted(other))
    };
    expected.len() == found.len() && expected.iter().all(is_same)
}

#[test]
fn cases_give_the_rows_of_the_replay_over_kafka_by_one_and_by_two_processes() {
    if broker().is_none() {
        return;
    }
    let cases = cases();
    // A tenth of all cases and more, spread over the files.
    const WANTED: usize = 20;
    let step = (cases.len() / WANTED).max(1);
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases.iter().step_by(step) {
        for processes in [1, 2] {
            count += 1;
            wrong.extend(case.check(processes).err());
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} differ\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(count >= 20, "only {count} were run");
}

#[test]
fn joins_of_rows_in_the_order_of_their_times_are_those_of_the_replay() {
    if broker().is_none() {
        return;
    }
    let statements = "
        CREATE STREAM l (k VARCHAR KEY, a INT) WITH (KAFKA_TOPIC = 'l', VALUE_FORMAT = 'JSON');
        CREATE STREAM r (k VARCHAR KEY, o VARCHAR, b INT) WITH (KAFKA_TOPIC = 'r', VALUE_FORMAT = 'JSON');
        CREATE TABLE t (k VARCHAR PRIMARY KEY, c VARCHAR) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'JSON');
        CREATE STREAM by_key AS SELECT l.k, a, b FROM l JOIN r WITHIN 1 MINUTE ON l.k = r.k;
        CREATE STREAM by_other AS SELECT l.k, a, b FROM l JOIN r WITHIN 1 MINUTE ON l.k = r.o;
        CREATE STREAM with_table AS SELECT l.k, a, c FROM l LEFT JOIN t ON l.k = t.k;
        CREATE TABLE totals AS SELECT c, COUNT(*) AS n FROM t GROUP BY c;";
    let mut input = Vec::new();
    for nth in 0..60_i64 {
        let key = |of: i64| Some(format!("k{}", of % 7));
        let (topic, value) = match nth % 3 {
            0 => ("t", format!("{{\"C\":\"c{}\"}}", nth % 5)),
            1 => ("l", format!("{{\"A\":{nth}}}")),
            _ => ("r", format!("{{\"O\":\"k{}\",\"B\":{nth}}}", (nth + 3) % 7)),
        };
        input.push(Input {
            topic: topic.to_owned(),
            time: 1_000 + nth,
            key: key(nth),
            value: Some(value),
        });
    }
    let case = Case {
        title: "joins".to_owned(),
        statements: statements.to_owned(),
        input,
    };
    if let Err(difference) = case.check(1) {
        panic!("{difference}");
    }
}
