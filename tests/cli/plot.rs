//! `k plot`: each record, pane and step of the watermark is where the stream says.
//!
//! Pictures are compared by their elements and positions, after parsing: how a number is written or a
//! style sheet is ordered does not matter. `K_BLESS=1` writes the expected ones again, to be looked at.

use std::collections::BTreeMap;
use std::path::Path;

use crate::workdir::Workdir;

/// On time, late by 2 s, expired, filtered and malformed records; `seen` is when each came.
const LINES: &str = "\
at,seen,who
1000,1500,a
3000,3200,b
8000,8100,a
12000,12500,a
9000,13000,b
16000,16200,b
4000,17000,a
13000,18000,b
14000,18500,x
oops,19000,a
21000,21500,a
";
const FLAGS: &str =
    "plot --tumbling 10s --grace 5s --time at --arrival seen --where who!='x' --skip-bad";

/// An element that is drawn: its name, what it says of itself, its text, its positions.
#[derive(Debug, PartialEq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) said: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) positions: Vec<f64>,
}

/// Returns the drawn elements of an SVG.
pub(crate) fn elements(svg: &str) -> Vec<Element> {
    let document = roxmltree::Document::parse(svg).expect("XML");
    let groups = document.descendants().filter(|node| node.has_tag_name("g"));
    let drawn = groups.flat_map(|group| group.children().filter(|node| node.is_element()));
    let element = |node: roxmltree::Node<'_, '_>| {
        let (mut said, mut positions) = (BTreeMap::new(), Vec::new());
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            match name {
                "x" | "y" | "width" | "height" | "d" => {
                    let numbers =
                        value.split(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
                    positions.extend(numbers.filter_map(|number| number.parse::<f64>().ok()));
                }
                _ => drop(said.insert(name.to_owned(), value.to_owned())),
            }
        }
        let text = node.children().filter(|child| child.is_text());
        Element {
            name: node.tag_name().name().to_owned(),
            said,
            text: text.filter_map(|text| text.text()).collect(),
            positions,
        }
    };
    drawn.map(element).collect()
}

/// Compares a picture with the expected one of tests/pictures.
#[track_caller]
fn assert_looks_as(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let path = path.join(name);
    if std::env::var_os("K_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, svg).expect("written");
    }
    let expected = std::fs::read_to_string(&path).expect("an expected picture");
    let (expected, drawn) = (elements(&expected), elements(svg));
    assert_eq!(expected.len(), drawn.len(), "{name}: elements");
    for (expected, drawn) in expected.iter().zip(&drawn) {
        let near = |(one, other): (&f64, &f64)| (one - other).abs() < 0.6;
        let is_same = expected.name == drawn.name
            && expected.said == drawn.said
            && expected.text == drawn.text
            && expected.positions.len() == drawn.positions.len()
            && expected.positions.iter().zip(&drawn.positions).all(near);
        assert!(is_same, "{name}: {expected:?} is now {drawn:?}");
    }
}

/// Draws the lines; returns the SVG.
fn draw(workdir: &Workdir, lines: &str, flags: &str) -> String {
    workdir.write("calls.csv", lines);
    workdir
        .k(&format!("{flags} calls.csv --out picture.svg"))
        .assert_status(0);
    workdir.read("picture.svg")
}

/// Returns the marks of records by what became of them, with a value that each says of itself.
fn records(svg: &str, value: &str) -> BTreeMap<String, Vec<i64>> {
    let mut records: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for element in elements(svg) {
        if let Some(value) = element
            .said
            .get(&format!("data-{value}"))
            .filter(|_| element.name == "use")
        {
            let fate = element.said["class"].clone();
            records
                .entry(fate)
                .or_default()
                .push(value.parse().expect("a number"));
        }
    }
    records
}

#[test]
fn each_record_is_a_mark_by_what_became_of_it_at_its_place() {
    let workdir = Workdir::new();
    let svg = draw(&workdir, LINES, FLAGS);
    let by_fate = records(&svg, "place");
    let expected = [
        ("on-time", vec![2, 3, 4, 5, 7, 9, 12]),
        ("late", vec![6]),
        ("expired", vec![8]),
        ("filtered", vec![10]),
    ];
    for (fate, places) in expected {
        assert_eq!(by_fate[fate], places, "{fate}");
    }
    // What could not be read has no event time: it is said, not drawn.
    assert!(svg.contains("malformed 1"));
    // Positions are linear in the times.
    let dots: Vec<Element> = elements(&svg)
        .into_iter()
        .filter(|element| element.said.contains_key("data-at"))
        .collect();
    let value = |element: &Element, name: &str| element.said[name].parse::<f64>().expect("a time");
    for (nth, name) in ["data-at", "data-when"].into_iter().enumerate() {
        let (first, last) = (&dots[0], &dots[dots.len() - 1]);
        let slope =
            (last.positions[nth] - first.positions[nth]) / (value(last, name) - value(first, name));
        assert!(slope.abs() > 1e-4);
        for dot in dots.iter() {
            let expected = first.positions[nth] + slope * (value(dot, name) - value(first, name));
            assert!((dot.positions[nth] - expected).abs() < 0.5, "{dot:?}");
        }
    }
    assert_looks_as("ten.svg", &svg);
}

#[test]
fn a_record_of_another_age_lies_at_the_edge_and_leaves_the_rest_readable() {
    let workdir = Workdir::new();
    let line = |n: i64| format!("{},{n},a\n", 1_767_225_600_000 + n * 100);
    let lines = (0..100).map(|n| {
        if n == 40 {
            "0,40,a\n".to_owned()
        } else {
            line(n)
        }
    });
    let lines = format!("at,seen,who\n{}", lines.collect::<String>());
    let svg = draw(&workdir, &lines, "plot --tumbling 10s --time at");
    assert!(svg.contains("1 record far outside"), "{svg}");
    let drawn = elements(&svg);
    let dots = drawn
        .iter()
        .filter(|element| element.said.contains_key("data-record"));
    let mut across: Vec<f64> = dots.map(|dot| dot.positions[0]).collect();
    assert_eq!(across.len(), 100);
    across.sort_by(f64::total_cmp);
    // Ten seconds take most of the width, and the stray record is left of them.
    assert!(across[99] - across[1] > 400.0, "{across:?}");
    assert!(across[0] < across[1], "{across:?}");
}

#[test]
fn panes_say_what_the_rows_say() {
    let workdir = Workdir::new();
    let svg = draw(&workdir, LINES, FLAGS);
    let rows = workdir.k("window --tumbling 10s --grace 5s --time at --arrival seen --where who!='x' --skip-bad calls.csv --panes");
    rows.assert_status(0);
    let rows: Vec<Vec<&str>> = rows
        .stdout()
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect())
        .collect();
    let panes: Vec<Element> = elements(&svg)
        .into_iter()
        .filter(|element| element.said.contains_key("data-pane"))
        .collect();
    assert_eq!(panes.len(), rows.len());
    for (pane, row) in panes.iter().zip(&rows) {
        let said = [
            "data-start",
            "data-end",
            "data-value",
            "data-timing",
            "data-pane",
        ];
        assert_eq!(
            said.map(|name| pane.said[name].as_str()),
            row[..5],
            "{row:?}"
        );
    }
}

#[test]
fn sessions_grow_and_merge_in_the_picture() {
    let workdir = Workdir::new();
    let lines = "at,who\n0,a\n2000,a\n9000,a\n11000,a\n5000,a\n30000,a\n0,b\n";
    let svg = draw(
        &workdir,
        lines,
        "plot --session 4s --out-of-order 20s --time at --by who --key a",
    );
    let boxes: Vec<Element> = elements(&svg)
        .into_iter()
        .filter(|element| element.said.contains_key("data-windows"))
        .collect();
    let spans: Vec<(&str, &str)> = boxes
        .iter()
        .map(|element| {
            (
                element.said["data-start"].as_str(),
                element.said["data-end"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        spans,
        [
            ("0", "2000"),
            ("0", "11000"),
            ("9000", "11000"),
            ("30000", "30000")
        ]
    );
    assert_eq!(records(&svg, "record")["other"], [6]);
    assert_looks_as("sessions.svg", &svg);
}

#[test]
fn a_journal_and_the_run_that_wrote_it_are_one_picture() {
    let workdir = Workdir::new();
    let svg = draw(
        &workdir,
        LINES,
        &FLAGS.replace("--skip-bad", "--skip-bad --by who --key a"),
    );
    workdir.k("window --tumbling 10s --grace 5s --time at --arrival seen --where who!='x' --by who --skip-bad calls.csv --journal journal.jsonl --to rows.csv").assert_status(0);
    workdir
        .k("plot --journal journal.jsonl --key a --out again.svg")
        .assert_status(0);
    let again = workdir.read("again.svg");
    let bare = |svg: &str| {
        elements(svg)
            .into_iter()
            .filter(|element| element.name != "text")
            .collect::<Vec<_>>()
    };
    assert_eq!(bare(&svg), bare(&again));
}

#[test]
fn the_same_input_gives_the_same_bytes_in_every_form() {
    let workdir = Workdir::new();
    for (file, begins) in [
        ("a.svg", &b"<svg "[..]),
        ("a.png", b"\x89PNG"),
        ("a.html", b"<!DOCTYPE html>"),
    ] {
        workdir.write("calls.csv", LINES);
        let mut drawn = Vec::new();
        for _ in 0..2 {
            workdir
                .k(&format!("{FLAGS} calls.csv --out {file}"))
                .assert_status(0);
            drawn.push(std::fs::read(workdir.path(file)).expect("drawn"));
        }
        assert!(drawn[0].starts_with(begins), "{file}");
        assert_eq!(drawn[0], drawn[1], "{file}");
    }
    let light = draw(&workdir, LINES, &format!("{FLAGS} --theme light"));
    assert!(!light.contains("prefers-color-scheme"));
}

#[test]
fn a_terminal_has_24_lines_of_80_characters() {
    let workdir = Workdir::new();
    workdir.write("calls.csv", LINES);
    let run = workdir.k(&format!("{FLAGS} calls.csv"));
    run.assert_status(0);
    let lines: Vec<&str> = run.stdout().lines().collect();
    assert_eq!(lines.len(), 24, "{}", run.stdout());
    assert!(lines.iter().all(|line| line.chars().count() <= 80));
    assert!(!run.stdout().contains('\x1b'));
    let count = |letter: char| run.stdout().matches(letter).count();
    // Each once in the legend.
    assert_eq!(
        (count('▲'), count('×'), count('•')),
        (2, 2, 8),
        "{}",
        run.stdout()
    );
    // Without a colour, too, a pane is not a watermark.
    assert!(count('━') > 10, "{}", run.stdout());
    let small = workdir.k(&format!("{FLAGS} calls.csv --size 40x12 --color always"));
    assert!(small.stdout().contains("\x1b["));
    assert!(small.stdout().lines().count() <= 12);
}

#[test]
fn many_records_become_shades_and_every_one_is_counted() {
    let workdir = Workdir::new();
    workdir.k("gen -q --rate 1000 --seconds 60 --seed 1 --start 2026-01-01 --order end --only mono --out calls").assert_status(0);
    let from = workdir.path("calls/mono_signal.csv");
    std::fs::rename(from, workdir.path("calls.csv")).expect("moved");
    workdir
        .k("plot --tumbling 1s --grace 5s --by caller calls.csv --out picture.svg")
        .assert_status(0);
    let svg = workdir.read("picture.svg");
    assert!(svg.len() < 600_000, "{} bytes", svg.len());
    let stats = workdir
        .k("window --tumbling 1s --grace 5s --by caller calls.csv --to rows.csv --stats json");
    let stats: serde_json::Value =
        serde_json::from_str(stats.stderr().lines().last().expect("stats")).expect("JSON");
    let counts: BTreeMap<String, u64> = elements(&svg)
        .into_iter()
        .filter_map(|element| {
            Some((
                element.said.get("data-fate")?.clone(),
                element.said["data-count"].parse().ok()?,
            ))
        })
        .collect();
    assert!(!counts.is_empty());
    for (fate, name) in [
        ("on time", "on_time"),
        ("late", "late"),
        ("expired", "expired"),
    ] {
        assert_eq!(
            counts.get(fate).copied().unwrap_or(0),
            stats[name],
            "{fate}"
        );
    }
}

#[test]
fn the_picture_of_the_readme_is_what_its_command_draws() {
    let workdir = Workdir::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a page");
    let command = readme.split("```sh\n").nth(1).expect("a block");
    let command = command.split("```").next().expect("it ends");
    workdir
        .shell(&format!("set -e; {command}"))
        .assert_status(0);
    let drawn = elements(&workdir.read("stream.svg"));
    let shown = std::fs::read_to_string(root.join("docs/pictures/stream-light.svg"));
    assert_eq!(
        drawn,
        elements(&shown.expect("a picture")),
        "scripts/pictures draws it again"
    );
}

#[test]
fn what_cannot_be_drawn_is_refused_with_the_way_out() {
    let workdir = Workdir::new();
    workdir.write("calls.csv", LINES);
    workdir
        .k("plot calls.csv")
        .assert_refused(2, &["--tumbling"]);
    workdir
        .k("plot --tumbling 1s calls.csv --out a.gif")
        .assert_refused(2, &[".svg, .png or .html"]);
    workdir
        .k("plot --tumbling 1s calls.csv --size 9x9")
        .assert_refused(2, &["960x600"]);
    workdir
        .k("plot --tumbling 1s calls.csv --between 5,1")
        .assert_refused(2, &["not after the first"]);
    workdir
        .k("plot --tumbling 1s --time at calls.csv")
        .assert_refused(1, &["calls.csv", "line 11"]);
    workdir
        .k("plot --tumbling 1s --group g")
        .assert_refused(2, &["not for a group"]);
    workdir
        .k("plot --journal calls.csv")
        .assert_refused(1, &["not a journal"]);
    workdir.write("picture.svg", LINES);
    workdir
        .k("plot --tumbling 1s --time at --skip-bad file:picture.svg --out picture.svg")
        .assert_refused(1, &["overwrite it"]);
    let empty = workdir.k_with_input("plot --tumbling 1s --time at -", "at\n");
    empty.assert_status(0);
    assert!(empty.stdout().contains("no record"));
}
