//! The tables of functions in docs/functions.md are those of the code.

use std::fmt::Write;
use std::path::Path;

use super::functions;
use crate::engine::aggregate;

/// Writes a table.
type Table = fn() -> String;

/// What is around each table in the page.
const TABLES: [(&str, Table); 2] = [
    ("<!-- aggregates -->", aggregates),
    ("<!-- functions -->", expression_functions),
];

fn aggregates() -> String {
    let mut table = "| aggregate | gives | example |\n|---|---|---|\n".to_owned();
    for aggregate in aggregate::all() {
        let example = format!("`{}` → `{}`", aggregate.example, aggregate.result);
        row(&mut table, aggregate.usage, aggregate.summary, &example);
    }
    table
}

fn expression_functions() -> String {
    let mut table = "| function | gives | example |\n|---|---|---|\n".to_owned();
    for function in functions::all() {
        let mut usage = function.usage();
        for alias in function.names().skip(1) {
            write!(usage, ", {alias}").expect("a string");
        }
        let example = format!("`{}` → `{}`", function.example, function.result);
        row(&mut table, &usage, function.summary, &example);
    }
    table
}

fn row(table: &mut String, usage: &str, summary: &str, example: &str) {
    let cell = |text: &str| text.replace('|', "\\|");
    let (usage, summary, example) = (cell(usage), cell(summary), cell(example));
    writeln!(table, "| `{usage}` | {summary} | {example} |").expect("a string");
}

#[test]
fn the_page_has_every_function_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/functions.md");
    let page = std::fs::read_to_string(&path).expect("a page");
    let mut expected = page.clone();
    for (mark, table) in TABLES {
        let parts: Vec<&str> = expected.split(mark).collect();
        let [before, _, behind] = parts[..] else {
            panic!("`{mark}` stands before and behind a table in docs/functions.md");
        };
        expected = format!("{before}{mark}\n{}{mark}{behind}", table());
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path, expected).expect("writable");
    } else {
        assert_eq!(
            page, expected,
            "UPDATE_EXPECTED=1 cargo test the_page_has_every writes it again"
        );
    }
}
