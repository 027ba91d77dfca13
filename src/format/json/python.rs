//! Thousands of documents against Python's json, which says what is at each path and what is
//! malformed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};

use super::*;
use crate::column::Schema;
use crate::column::derived::Step;
use crate::expression::{Kind, open_up};
use crate::source::Lines;

const DOCUMENTS: usize = 8_000;

/// The paths as expressions name them.
const PATHS: [&str; 13] = [
    "a",
    "b",
    "\"a.b\"",
    "a.b",
    "a->b->a",
    "a[0]",
    "a[1].b",
    "a[-1]",
    "b[0][1]",
    "b.a[0].\"c d\"",
    "\"c d\".a",
    "\"c d\"[1]",
    "\"é\".b",
];

/// Names of members, some of them escaped; what a path is called is one, too.
const NAMES: [&str; 14] = [
    "a",
    "a",
    "b",
    "b",
    "c d",
    "é",
    "a.b",
    "a[0]",
    "x",
    "",
    "\\u0061",
    "c\\u0020d",
    "\\ud83d\\ude00",
    "\\\"",
];

const SCALARS: [&str; 34] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-12",
    "1.50",
    "1e5",
    "1E+400",
    "-1e-400",
    "12345678901234567890123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890",
    "\"\"",
    "\"7\"",
    "\"null\"",
    "\"text\"",
    "\"é\u{1F600}\"",
    "\"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
    "\"\\ud83d\"",
    "\"\\ude00\\ud83d\"",
    "\"\\u0000\"",
    "\"\u{7f}\u{2028}\"",
    // None of these is JSON.
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "NaN",
    "Infinity",
    "\"\\u12\"",
    "\"\\x\"",
    "\"\t\"",
    "'a'",
];

fn pick<'t>(random: &mut ChaCha8Rng, texts: &[&'t str]) -> &'t str {
    texts[random.random_range(0..texts.len())]
}

/// Appends a blank, as a rule none.
fn blank(random: &mut ChaCha8Rng, text: &mut String) {
    text.push_str(pick(random, &["", "", "", " ", "\t", "\r", "  "]));
}

fn scalar(random: &mut ChaCha8Rng, text: &mut String) {
    let last = if random.random_bool(0.97) {
        23
    } else {
        SCALARS.len()
    };
    text.push_str(pick(random, &SCALARS[..last]));
}

fn value(random: &mut ChaCha8Rng, depth: usize, text: &mut String) {
    blank(random, text);
    match random.random_range(0..4) {
        0 if depth > 0 => object(random, depth - 1, text),
        1 if depth > 0 => {
            let count = random.random_range(0..4);
            text.push('[');
            for nth in 0..count {
                text.push_str(if nth > 0 { "," } else { "" });
                value(random, depth - 1, text);
            }
            text.push(']');
        }
        2 if random.random_bool(0.02) => {
            text.push_str(&("[".repeat(200) + &"]".repeat(200))); // deep, and nothing in it
        }
        _ => scalar(random, text),
    }
    blank(random, text);
}

fn object(random: &mut ChaCha8Rng, depth: usize, text: &mut String) {
    let count = random.random_range(0..6);
    text.push('{');
    for nth in 0..count {
        text.push_str(if nth > 0 { "," } else { "" });
        blank(random, text);
        let name = if random.random_bool(0.01) {
            "\\ud83d"
        } else {
            pick(random, &NAMES)
        };
        text.push('"');
        text.push_str(name);
        text.push('"');
        blank(random, text);
        text.push(':');
        value(random, depth, text);
    }
    text.push('}');
}

/// Returns a document in one line, now and then with a byte too many, too few, or another one.
fn document(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut text = String::new();
    if random.random_bool(0.97) {
        object(random, 4, &mut text)
    } else {
        value(random, 2, &mut text)
    }
    let mut bytes = text.into_bytes();
    if random.random_bool(0.2) && !bytes.is_empty() {
        let at = random.random_range(0..bytes.len());
        let other = b"{}[]\",:\\ eE-.0u\xff\x01"[random.random_range(0..17)];
        match random.random_range(0..3) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, other),
            _ => bytes[at] = other,
        }
    }
    bytes
}

/// Returns the values at the paths of each document; `None` where it is malformed.
fn decoded(documents: &[Vec<u8>], paths: &Schema) -> Vec<Option<Vec<Option<String>>>> {
    let bytes = [documents.join(&b'\n'), b"\n".to_vec()].concat();
    let layout = Layout {
        schema: paths.clone(),
        wanted: (0..paths.fields.len()).collect(),
        time: TimeFrom::Nowhere,
    };
    let arena = Bump::new();
    let lines = Records::Lines(Lines::new(&bytes, 0));
    let decoded = Decoder::new(layout, Spelling::default()).decode(&lines, Origins::Keep, &arena);
    let mut values = vec![None; documents.len()];
    for (row, (place, _)) in decoded.origins.iter().enumerate() {
        let Place::Line(line) = place else {
            panic!("{place}")
        };
        let columns = decoded.columns.columns.iter().take(PATHS.len());
        let texts = columns.map(|column| match column.value_ref(row) {
            crate::column::ValueRef::Any(text) => Some(text.to_owned()),
            _ => None,
        });
        values[*line as usize] = Some(texts.collect());
    }
    let told = decoded.origins.len() + decoded.malformed.len();
    assert_eq!(told, documents.len(), "each is a row or malformed");
    values
}

/// Returns the judgement of `judge.py`, or `None` without Python.
fn ask_python(job: &Json) -> Option<Json> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/json/judge.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = python.stdin.take().expect("piped");
    // It reads everything before it writes anything.
    stdin
        .write_all(job.to_string().as_bytes())
        .expect("python reads");
    drop(stdin);
    let output = python.wait_with_output().expect("its output");
    assert!(output.status.success(), "the judge fails");
    Some(serde_json::from_slice(&output.stdout).expect("a judgement"))
}

#[test]
fn values_at_paths_and_malformed_documents_are_those_of_python() {
    let mut random = ChaCha8Rng::seed_from_u64(17);
    // A line end would end the record.
    let documents = (0..DOCUMENTS).map(|_| document(&mut random));
    let documents: Vec<Vec<u8>> = documents
        .filter(|document| !document.trim_ascii().is_empty())
        .collect();
    let mut schema = Schema {
        open: true,
        ..Schema::default()
    };
    open_up(&mut schema, &PATHS.join(", "), Kind::List).expect("paths");
    assert_eq!(schema.fields.len(), PATHS.len());
    let steps = |step: &Step| match step {
        Step::Member(name) => json!(name),
        Step::Element(nth) => json!(nth),
    };
    let paths = (0..PATHS.len()).map(|index| {
        let ways = schema.ways(index);
        let way = ways.last().into_iter().flatten().map(steps);
        json!([schema.fields[index].name, way.collect::<Vec<_>>()])
    });
    let values = decoded(&documents, &schema);
    let hexadecimal = |document: &Vec<u8>| -> String {
        document.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let judged = documents.iter().map(hexadecimal).zip(&values);
    let job = json!({
        "paths": paths.collect::<Vec<_>>(),
        "documents": judged.collect::<Vec<_>>(),
    });
    let Some(judgement) = ask_python(&job) else {
        eprintln!("SKIPPED JSON against Python: no python3 here");
        return;
    };
    let wrong = judgement["wrong"].as_array().expect("a list");
    assert!(
        wrong.is_empty(),
        "{} wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
    for (kind, least) in [("good", DOCUMENTS / 2), ("malformed", DOCUMENTS / 20)] {
        assert!(judgement[kind].as_u64() > Some(least as u64), "{judgement}");
    }

    // The same, where a member of another type has each object read by its texts.
    schema.fields.push(Field {
        name: "n".to_owned(),
        data_type: DataType::Bigint,
    });
    let with_text = documents.iter().map(|document| {
        let inner = document.strip_prefix(b"{");
        let inner = inner.filter(|inner| !inner.trim_ascii().starts_with(b"}"));
        match inner {
            Some(inner) => [b"{\"n\":\"7\",", inner].concat(),
            None => document.clone(),
        }
    });
    let by_text = decoded(&with_text.collect::<Vec<_>>(), &schema);
    for ((document, value), by_text) in documents.iter().zip(&values).zip(&by_text) {
        assert_eq!(value, by_text, "{}", document.escape_ascii());
    }
}
