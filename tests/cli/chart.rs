//! `k chart`, `k window --format chart` and `k plot --vary`: what is drawn is what rows and runs say.

use std::collections::BTreeMap;

use crate::workdir::Workdir;

const ROWS: &str = "\
window_start,window_end,who,count,sum_n
0,10000,a,4,1.5
0,10000,b,2,7
10000,20000,a,8,-2
20000,30000,b,1,3
";

/// Returns what the marks of a group of an SVG say of themselves, by name.
fn marks(svg: &str, group: &str) -> Vec<BTreeMap<String, String>> {
    let document = roxmltree::Document::parse(svg).expect("XML");
    let of_group = |node: &roxmltree::Node<'_, '_>| {
        let parent = node.parent();
        parent.is_some_and(|parent| parent.attribute("class") == Some(group))
    };
    let drawn = document
        .descendants()
        .filter(|node| node.is_element() && of_group(node));
    let said = |node: roxmltree::Node<'_, '_>| {
        let attributes = node.attributes();
        attributes
            .map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()))
            .collect()
    };
    drawn.map(said).collect()
}

#[test]
fn a_line_a_key_with_a_symbol_a_window() {
    let workdir = Workdir::new();
    workdir.write("rows.csv", ROWS);
    workdir
        .k("chart rows.csv --value sum_n --out chart.svg")
        .assert_status(0);
    let marks = marks(&workdir.read("chart.svg"), "values");
    let values: Vec<(&str, &str, &str)> = marks
        .iter()
        .filter(|mark| mark.contains_key("data-value"))
        .map(|mark| {
            (
                mark["data-key"].as_str(),
                mark["data-start"].as_str(),
                mark["data-value"].as_str(),
            )
        })
        .collect();
    // The key with the highest sum lies above.
    assert_eq!(
        values,
        [
            ("a", "0", "1.5"),
            ("a", "10000", "-2"),
            ("b", "0", "7"),
            ("b", "20000", "3")
        ]
    );
    let run = workdir.k("chart rows.csv");
    run.assert_status(0);
    let legend = run.stdout().lines().nth(1).expect("a legend");
    assert!(
        legend.starts_with("• a") && legend.contains("▲ b"),
        "{}",
        run.stdout()
    );
}

#[test]
fn csv_json_and_the_run_itself_are_one_chart() {
    let workdir = Workdir::new();
    workdir
        .k("gen -q --rate 10 --seconds 60 --seed 1 --start 2026-01-01 --out calls")
        .assert_status(0);
    let window = "window --tumbling 10s --from calls/mono_signal.csv";
    let mut charts = Vec::new();
    for (flags, file) in [("", "rows.csv"), ("", "rows.json")] {
        workdir
            .k(&format!("{window} {flags} --to {file}"))
            .assert_status(0);
        let chart = workdir.k(&format!("chart {file} --size 60x8"));
        chart.assert_status(0);
        charts.push(
            chart
                .stdout()
                .lines()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(charts[0], charts[1]);
    assert_eq!(charts[0].len(), 6);
    assert!(
        charts[0]
            .iter()
            .all(|line| line.ends_with(" 100") && line.contains("█")),
        "{charts:?}"
    );
    let run = workdir.k(&format!("{window} --format chart"));
    run.assert_status(0);
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert_eq!(lines.len(), 7, "{}", run.stdout());
    for (line, start) in lines[1..].iter().zip(["00:00:00", "00:00:10"]) {
        assert!(line.starts_with(start) && line.ends_with(" 100"), "{line}");
    }
    // Many windows and keys fit, too, and what does not is said.
    let many =
        workdir.k("window --tumbling 1s --by caller --format chart --from calls/mono_signal.csv");
    many.assert_status(0);
    assert!(
        many.stdout().contains("with the highest sums"),
        "{}",
        many.stdout()
    );
    assert!(many.stdout().lines().all(|line| line.chars().count() <= 80));
    let one =
        workdir.k("window --global --by disposition --format chart --from calls/mono_signal.csv");
    let first = one.stdout().lines().nth(1).expect("a bar");
    assert!(
        first.trim_start().starts_with("connected"),
        "{}",
        one.stdout()
    );
}

#[test]
fn what_is_no_result_is_refused() {
    let workdir = Workdir::new();
    workdir.write("rows.csv", ROWS);
    workdir
        .k("chart rows.csv --value nothing")
        .assert_refused(2, &["no column `nothing`", "sum_n"]);
    workdir
        .k("chart missing.csv")
        .assert_refused(1, &["missing.csv"]);
    workdir.write("texts.csv", "who\na\n");
    let texts = workdir.k("chart texts.csv");
    assert!(
        texts.stdout().contains("no row holds a number"),
        "{texts:?}"
    );
    workdir
        .k("plot --tumbling 1s --vary idle=1s rows.csv")
        .assert_refused(2, &["out-of-order=0s,2s"]);
    // Records are drawn, too, and what is expected is said.
    workdir.write("records.csv", "call_id,at,who\n1,1000,a\n2,2000,b\n");
    let records = workdir.k("chart records.csv");
    records.assert_status(0);
    assert!(records.stderr().contains("k window --tumbling 10s --from"));
    let result = workdir.k("chart rows.csv");
    assert!(!result.stderr().contains("may hold records"));
}

/// Returns how many records a run of `k window` drops.
fn lost(workdir: &Workdir, flags: &str) -> u64 {
    let run = workdir.k(&format!(
        "window --from calls.csv --time at --to rows.csv --stats json {flags}"
    ));
    run.assert_status(0);
    let stats = run.stderr().lines().last().expect("stats");
    let stats: serde_json::Value = serde_json::from_str(stats).expect("JSON");
    stats["expired"].as_u64().expect("a count")
}

/// Reads `1m5s250ms`.
fn milliseconds(duration: &str) -> i64 {
    let (mut sum, mut number) = (0, 0);
    let mut letters = duration.chars().peekable();
    while let Some(letter) = letters.next() {
        if let Some(digit) = letter.to_digit(10) {
            number = number * 10 + i64::from(digit);
            continue;
        }
        let unit = match letter {
            'm' if letters.next_if_eq(&'s').is_some() => 1,
            'm' => 60_000,
            _ => 1_000,
        };
        sum += number * unit;
        number = 0;
    }
    sum
}

#[test]
fn what_other_values_would_lose_is_what_runs_with_them_lose() {
    let workdir = Workdir::new();
    for seed in 1..4_u64 {
        // Times that go on with delays of all lengths.
        let mut state = seed;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64
        };
        let mut lines = String::from("at,who\n");
        for nth in 0..3_000_i64 {
            let delay = if random() % 10 == 0 {
                random() % 40_000
            } else {
                random() % 500
            };
            lines += &format!("{},{}\n", 1_000_000 + nth * 50 - delay, random() % 3);
        }
        workdir.write("calls.csv", lines);
        for (windows, fixed, varied) in [
            ("--tumbling 5s", "--grace 2s", "out-of-order"),
            ("--hopping 10s,3s --by who", "--out-of-order 1s", "grace"),
            ("--tumbling 7s --where who!='1'", "", "grace"),
            ("--session 300ms --by who", "--grace 1s", "out-of-order"),
            ("--session 400ms,2s --by who", "", "grace"),
            ("--sliding 700ms", "--out-of-order 100ms", "grace"),
        ] {
            let run = workdir.k(&format!(
                "plot {windows} {fixed} --time at --vary {varied}=0s,1s,5s,20s calls.csv --out vary.svg"
            ));
            run.assert_status(0);
            let marks = marks(&workdir.read("vary.svg"), "choices");
            assert_eq!(marks.len(), 4);
            for mark in marks {
                let value = &mark["data-value"];
                let expected = lost(&workdir, &format!("{windows} {fixed} --{varied} {value}ms"));
                assert_eq!(
                    mark["data-lost"],
                    expected.to_string(),
                    "{windows} --{varied} {value}ms"
                );
            }
            if !windows.starts_with("--tumbling") && !windows.starts_with("--hopping") {
                // Only what was asked for was tried.
                let told = run.stderr();
                assert!(
                    told.contains("at most ") || told.contains("more than 20s"),
                    "{told}"
                );
                continue;
            }
            // The cost of all is the least that keeps all.
            let (_, all) = run.stderr().rsplit_once("all cost ").expect("a cost");
            let all = all.lines().next().expect("a duration");
            assert_eq!(
                lost(&workdir, &format!("{windows} {fixed} --{varied} {all}")),
                0,
                "{all}"
            );
            let less = milliseconds(all) - 1;
            assert!(
                lost(&workdir, &format!("{windows} {fixed} --{varied} {less}ms")) > 0,
                "{less}ms"
            );
        }
    }
}
