//! `k look`: what is said of records that nobody knows, and that the flags it names work.

use std::process::Command;

use serde_json::Value;

use crate::broker::{broker, unique};
use crate::workdir::Workdir;

/// Runs the command that ends what `k look` has printed, by a shell.
fn run_the_last(dir: &Workdir, printed: &str) -> std::process::Output {
    let (_, command) = printed.rsplit_once("\n\n").expect("a command at the end");
    let arguments = command.strip_prefix("k ").expect("a command of k");
    let script = format!("exec '{}' {arguments}", env!("CARGO_BIN_EXE_k"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(dir.path("."));
    shell.output().expect("a shell")
}

const ORDERS: &str = "\
order_id,ts,Region,price,note
1,1767225600,north,19.90,
2,1767225660,south,5,\"a, b\"
3,1767225630,north,n/a,
4,1767225720,north,7.25,
4,1767225720,north,7.25,
5,1767225780,west,1,x
6,1767225840,south,2,x
7,1767225900,north,3,
8,1767225960,south,4,
9,1767226020,north,5,
10,1767226080,north,6,x
";

#[test]
fn a_foreign_file_is_described_in_80_columns_and_the_flags_work() {
    let dir = Workdir::new();
    dir.write("orders.csv", ORDERS);
    let run = dir.shell("COLUMNS=80 k look orders.csv");
    run.assert_status(0);
    let printed = run.stdout();
    assert!(
        printed.lines().all(|line| line.chars().count() <= 80),
        "{printed}"
    );
    assert_eq!(
        printed,
        "\
orders.csv: CSV between commas, 5 columns; 11 records

column    type     null  distinct  examples
order_id  bigint    0 %        10  1, 2, 3
ts        bigint    0 %        10  1767225600, 1767225660, 1767225630
Region    text      0 %         3  north, south, west
price     decimal   0 %         9  19.90, 5, n/a
note      text     64 %         2  a, b, x

time      ts, s
          2026-01-01T00:00:00Z to 2026-01-01T00:08:00Z
          9.1 % out of order, at most 30s behind
identity  order_id repeats an earlier one in 1 record
repeated  1 record the same as an earlier one
odd       price: 1 not decimal, first `n/a` in line 4

k window --from orders.csv --tumbling 1m --time ts --time-unit s \\
    --out-of-order 30s --distinct order_id --by Region
"
    );
    let output = run_the_last(&dir, printed);
    assert!(output.status.success(), "{output:?}");
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("11 records in: 10 on time"), "{summary}");
}

#[test]
fn a_program_reads_the_same_as_json() {
    let dir = Workdir::new();
    let lines = "\
{\"at\":\"2026-01-01T00:00:02Z\",\"user\":\"a\",\"ok\":true}
{\"at\":\"2026-01-01T00:00:01Z\",\"user\":\"b\",\"ok\":false}
{bad
{\"at\":\"2026-01-01T00:00:03Z\",\"user\":\"a\"}
";
    let run = dir.k_with_input("look - --format json", lines);
    run.assert_status(0);
    let told: Value = serde_json::from_str(run.stdout()).expect("JSON");
    assert_eq!(told["is_whole"], true);
    let found = &told["found"];
    assert_eq!(
        (found["records"].as_u64(), found["malformed"].as_u64()),
        (Some(3), Some(1))
    );
    let first = found["first_malformed"].as_str().expect("a reason");
    assert!(first.starts_with("line 3: "), "{first}");
    let types: Vec<_> = found["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| &column["type"])
        .collect();
    assert_eq!(types, ["timestamp", "text", "boolean"]);
    assert_eq!(found["columns"][2]["nulls"], 1);
    let time = &found["times"][0];
    assert_eq!(
        (&time["column"], &time["reading"]),
        (&"at".into(), &"iso".into())
    );
    assert_eq!(
        (&time["step_back_ms"], &time["out_of_order"]),
        (&1_000.into(), &1.into())
    );
    let command = told["command"].as_str().expect("a command");
    assert_eq!(
        command,
        "k window --from - --tumbling 1s --time at --out-of-order 1s --skip-bad"
    );
}

#[test]
fn of_a_long_input_the_first_records_are_looked_at_and_that_is_said() {
    let dir = Workdir::new();
    dir.k("gen -q --rate 100 --seconds 30 --seed 1 --start 2026-01-01 --out .")
        .assert_status(0);
    let run = dir.k("look mono_signal.csv --limit 1000");
    run.assert_status(0);
    assert!(
        run.stdout().starts_with(
            "mono_signal.csv: CSV between commas, 8 columns; 1,000 records, the first ones\n"
        ),
        "{}",
        run.stdout()
    );
    assert!(
        run.stdout().contains("\ntime      start_timestamp, ms\n"),
        "{}",
        run.stdout()
    );
    let output = run_the_last(&dir, run.stdout());
    assert!(output.status.success(), "{output:?}");
    dir.write("web.log", "2026-01-01T00:00:01Z\n2026-01-01T00:00:02Z\n");
    let run = dir.k("look web.log --input raw");
    let command = "\nk window --from web.log --input raw --tumbling 1s --time value\n";
    assert!(run.stdout().ends_with(command), "{}", run.stdout());
    let output = run_the_last(&dir, run.stdout());
    assert!(output.status.success(), "{output:?}");
    dir.write("odd.txt", "t;n\n2026-01-01;-\n2026-01-02;1,5\n");
    let run = dir.k("look odd.txt --null - --decimal-comma --delimiter semicolon");
    let flags = "--delimiter semicolon --null - --decimal-comma";
    assert!(run.stdout().contains(flags), "{}", run.stdout());
    let output = run_the_last(&dir, run.stdout());
    assert!(output.status.success(), "{output:?}");
    dir.k("look")
        .assert_refused(2, &["there is nothing to look at"]);
    dir.k("look mono_signal.csv --since 0")
        .assert_refused(2, &["`--since` is for topics"]);
}

#[test]
fn a_topic_has_the_time_of_its_records_too() {
    let Some(broker) = broker() else { return };
    let dir = Workdir::new();
    let topic = unique("look");
    dir.write(
        "in.csv",
        "start_timestamp,n\n1767225600000,1\n1767225599000,2\n",
    );
    dir.k(&format!(
        "produce in.csv -t {topic} --time none --partitions 1 -b {broker}"
    ))
    .assert_status(0);
    let run = dir.k(&format!("look {topic} -b {broker}"));
    run.assert_status(0);
    for part in [
        "JSON objects, 2 columns; 2 records",
        "time      start_timestamp, ms\n",
        "time      @record, its own\n",
        "at most 1s behind",
    ] {
        assert!(run.stdout().contains(part), "`{part}` in {}", run.stdout());
    }
}

#[test]
fn columns_named_like_words_of_expressions_are_quoted() {
    let dir = Workdir::new();
    dir.write(
        "shifts.csv",
        "when;case\n05.01.2026 10:01;3\n16.01.2026 10:02;4\n",
    );
    let run = dir.k("look shifts.csv");
    run.assert_status(0);
    assert!(
        run.stdout().contains("parse_timestamp(\"when\", "),
        "{}",
        run.stdout()
    );
}

/// Returns what `k look` prints of a file, in 80 columns, and says.
fn look(dir: &Workdir, content: &str) -> crate::workdir::Run {
    dir.write("in.csv", content);
    let run = dir.shell("COLUMNS=80 k look in.csv");
    let printed = run.stdout();
    let is_narrow = printed.lines().all(|line| line.chars().count() <= 80);
    assert!(is_narrow, "{printed}");
    run
}

#[test]
fn an_unclosed_quote_is_named_with_its_line_and_what_is_before_it_is_shown() {
    let dir = Workdir::new();
    let rows = "t,name,n\n1767225600,a,1\n1767225601,\"open,2\n1767225602,c,3\n";
    let run = look(&dir, rows);
    run.assert_status(1);
    let head = "in.csv: CSV between commas, 3 columns; 1 record, the first ones\n";
    assert!(run.stdout().starts_with(head), "{}", run.stdout());
    let said = run.stderr();
    assert!(
        said.contains("in.csv, line 3: the quote that opens here"),
        "{said}"
    );
    // Another quote further on closes it: what is between them is one field.
    let run = look(&dir, &format!("{rows}1767225603,d \",4\n1767225604,e,5\n"));
    run.assert_status(0);
    let lines: Vec<&str> = run.stdout().lines().collect();
    let lines = lines
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let told = "lines 1 record over several lines, the first of 3 lines in line 3; its lines look \
                like records: is the quote that opens there not closed?";
    assert!(lines.contains(told), "{lines}");
}

#[test]
fn decimal_commas_are_counted_and_the_flag_reads_them() {
    let dir = Workdir::new();
    let rows = "t;price\n2026-01-01;7\n2026-01-02;1,5\n2026-01-03;1.234,25\n";
    let run = look(&dir, rows);
    run.assert_status(0);
    let printed = run.stdout();
    let told = "commas    price: 2 with a comma, first `1,5` in line 3: `--decimal-comma`";
    assert!(printed.contains(told), "{printed}");
    assert!(printed.contains(" --decimal-comma "), "{printed}");
    let output = run_the_last(&dir, printed);
    let rows = String::from_utf8_lossy(&output.stdout);
    let first = rows.lines().nth(1).unwrap_or_default();
    assert!(first.ends_with(",1,7"), "{rows}");
    assert!(rows.contains(",1,1234.25\n"), "{rows}");
    // Where columns have points, the flag would take those away.
    let run = look(&dir, "t;a;b\n2026-01-01;1,5;1.5\n2026-01-02;2,5;2.5\n");
    let (_, command) = run.stdout().rsplit_once("\n\n").expect("a command");
    assert!(!command.contains("--decimal-comma"), "{command}");
}

#[test]
fn text_among_numbers_is_counted_and_the_first_has_a_line() {
    let dir = Workdir::new();
    let run = look(&dir, "t,n\n2026-01-01,1\n2026-01-02,n/a\n2026-01-03,x\n");
    let told = "mixed     n: 2 of 3 are not numbers, first `n/a` in line 3\n";
    assert!(run.stdout().contains(told), "{}", run.stdout());
}

#[test]
fn of_an_ambiguous_date_all_commands_read_the_day_first_and_say_so() {
    let dir = Workdir::new();
    let run = look(&dir, "day,n\n03/04/2026 12:00,1\n05/04/2026 12:00,2\n");
    let printed = run.stdout();
    let told = "time      day, dd/MM/yyyy HH:mm\n          or MM/dd/yyyy HH:mm: no value tells day from month\n";
    assert!(printed.contains(told), "{printed}");
    assert!(printed.contains("2026-04-03T12:00:00Z to"), "{printed}");
    let run = dir.k("window --tumbling 1d --time day in.csv");
    run.assert_status(1);
    let said = run.stderr();
    let told = "'dd/MM/yyyy HH:mm')\"` reads such a time, day first; this one may also be month first, which \
                is 'MM/dd/yyyy HH:mm'";
    assert!(said.contains(told), "{said}");
    // One value that cannot be a month decides.
    let run = look(&dir, "day,n\n03/04/2026 12:00,1\n05/14/2026 12:00,2\n");
    let printed = run.stdout();
    assert!(
        printed.contains("time      day, MM/dd/yyyy HH:mm\n          2026-"),
        "{printed}"
    );
}
