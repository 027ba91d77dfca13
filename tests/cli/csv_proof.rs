//! CSV as Python's csv module reads it: the same fields, whatever the dialect.
//!
//! The rule, where RFC 4180 leaves something open or a file breaks it:
//! - A record ends with a newline outside quotes, with or without a carriage return before it; the
//!   last one may lack it. Blank lines are not records, and a byte order mark is none of a field.
//! - A quote opens a field only at its start; elsewhere it is a character like any other. What
//!   is behind the closing quote belongs to the field.
//! - A record with another number of fields than the header is one malformed record, and no other.
//! - A quote that nothing closes ends the run, with the line on which it opens.
//!
//! All but the last two are Python's rules, too; there the number of fields is whatever it is, and the
//! end of the file closes a quote. A carriage return without a newline ends a line in Python: such
//! fields are in quotes here.

use std::io::Write;
use std::process::{Command, Stdio};

use bumpalo::Bump;
use k::column::known::of_names;
use k::column::{Schema, ValueRef};
use k::format::delimited::Decoder;
use k::format::dialect::{DELIMITERS, Dialect, find_delimiter};
use k::format::header::parse_header;
use k::format::{Layout, Origins, Place, TimeFrom};
use k::interrupt::Interrupt;
use k::source::Records;
use k::source::file::{FileSource, Framing};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::skip::{Need, skipped};
use crate::workdir::Workdir;

const COUNT: usize = 1_000;

/// Reads lines of `[delimiter, text]` and prints the records of each.
const PYTHON: &str = r#"
import csv, io, json, sys
csv.field_size_limit(1 << 30)
for line in sys.stdin:
    delimiter, text = json.loads(line)
    text = io.StringIO(text.removeprefix("\ufeff"), newline="")
    print(json.dumps([row for row in csv.reader(text, delimiter=delimiter) if row]))
"#;

/// A file, and what is wrong with it.
struct Sample {
    text: String,
    delimiter: char,
    width: usize,
    /// Which record, the header being 0, has another number of fields, or opens a quote for good.
    wrong: Option<(usize, Wrong)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Width,
    Unclosed,
}

/// Writes one field as a dialect has it: in quotes where it must be, and else sometimes.
fn push_field(text: &mut String, field: &str, delimiter: char, quoted: bool) {
    let special = |c: char| c == delimiter || matches!(c, '\n' | '\r');
    let must = field.contains(special) || field.starts_with('"');
    if must || quoted {
        text.push('"');
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(field);
    }
}

fn sample(rng: &mut impl Rng) -> Sample {
    let delimiter = *[',', ';', '\t', '|', ',', ';', ':', '^', ' ']
        .choose(rng)
        .expect("some");
    let end = *["\n", "\r\n"].choose(rng).expect("some");
    let width = rng.random_range(1..6);
    let quoting = *[0.0, 0.2, 0.5, 1.0].choose(rng).expect("some");
    let (blank, odd) = (rng.random_bool(0.3), rng.random_bool(0.5));
    let mut letters: Vec<&str> = vec!["a", "7", "0", ".", "é", "€", "N/A", "-"];
    if odd {
        letters.extend([
            ",", ";", "\t", "|", ":", "\"", "\"\"", "\n", "\r\n", "\r", " ",
        ]);
    }
    let records = rng.random_range(0..40);
    let wrong = match rng.random_range(0..10) {
        0 if records > 0 && width > 1 => Some((rng.random_range(1..=records), Wrong::Width)),
        1 if records > 0 => Some((records, Wrong::Unclosed)),
        _ => None,
    };
    let mut text = String::new();
    if rng.random_bool(0.2) {
        text.push('\u{feff}');
    }
    for record in 0..=records {
        if blank && rng.random_bool(0.2) {
            text.push_str(end);
        }
        let is_wrong = |kind| wrong == Some((record, kind));
        let fields = if is_wrong(Wrong::Width) {
            width + 1 - 2 * rng.random_range(0..=1)
        } else {
            width
        };
        for nth in 0..fields {
            if nth > 0 {
                text.push(delimiter);
            }
            let letters = (0..rng.random_range(0..6)).filter_map(|_| letters.choose(rng).copied());
            let mut field: String = letters.collect();
            if record == 0 {
                field = format!(
                    "column{}{nth}",
                    if odd && quoting > 0.0 { "\n" } else { "" }
                );
            }
            // A single empty field would be a blank line.
            let quoted = rng.random_bool(quoting) || fields == 1 && field.trim().is_empty();
            push_field(&mut text, &field, delimiter, quoted);
            if record > 0 && quoted && rng.random_bool(0.02) {
                text.push_str("behind");
            }
        }
        if is_wrong(Wrong::Unclosed) {
            text.push_str(&format!("{delimiter}\"open{end}and on"));
        }
        if record < records || rng.random_bool(0.7) {
            text.push_str(end);
        }
    }
    Sample {
        text,
        delimiter,
        width,
        wrong,
    }
}

/// What `k` reads of a file.
#[derive(Default)]
struct Told {
    records: Vec<Vec<String>>,
    /// The record that each malformed one is before, and its line.
    malformed: Vec<(usize, Place)>,
    error: Option<String>,
}

/// Reads a file as the command line does, some bytes at a time.
fn read(dir: &Workdir, sample: &Sample, chunk: usize) -> k::error::Result<Told> {
    let path = dir.write("in.csv", &sample.text);
    let interrupt = Interrupt::default();
    let mut source = FileSource::open(&path)?;
    source.peek(&interrupt)?;
    let delimiter = u8::try_from(sample.delimiter).expect("ASCII");
    if DELIMITERS.iter().any(|(known, _)| *known == delimiter) {
        let headers = DELIMITERS.map(|(delimiter, _)| {
            let header = source.peek_record(delimiter, &interrupt);
            (delimiter, header.expect("a header"))
        });
        let header = |wanted| {
            let mut headers = headers.iter();
            headers.find(|(its, _)| *its == wanted)?.1.as_deref()
        };
        let expected = if sample.width == 1 { b',' } else { delimiter };
        assert_eq!(find_delimiter(header), expected, "{:?}", sample.text);
    }
    source.set_framing(Framing::Delimited(delimiter));
    let (_, header) = source.take_header(&interrupt)?;
    let schema: Schema = of_names(&parse_header(&header, delimiter)?);
    let mut told = Told {
        records: vec![
            schema
                .fields
                .iter()
                .map(|field| field.name.clone())
                .collect(),
        ],
        ..Told::default()
    };
    let layout = Layout {
        wanted: (0..schema.fields.len()).collect(),
        schema,
        time: TimeFrom::Nowhere,
    };
    let dialect = Dialect {
        delimiter,
        ..Dialect::default()
    };
    let mut decoder = Decoder::new(layout, dialect);
    let mut room = Vec::new();
    loop {
        let lines = match source.take_chunk(chunk, &mut room) {
            Ok(Some(lines)) => lines,
            Ok(None) => return Ok(told),
            Err(error) => {
                told.error = Some(error.lines().join("\n"));
                return Ok(told);
            }
        };
        let arena = Bump::new();
        let decoded = decoder.decode(&Records::Lines(lines), Origins::Forget, &arena);
        let before = told.records.len();
        let malformed = decoded.malformed.iter();
        told.malformed
            .extend(malformed.map(|malformed| (before + malformed.before, malformed.place)));
        let columns = &decoded.columns.columns;
        let text = |row, column: &k::column::Column<'_>| match column.value_ref(row) {
            ValueRef::Any(text) | ValueRef::Text(text) => text.to_owned(),
            ValueRef::Null => String::new(),
            other => panic!("a field is a text: {other:?}"),
        };
        let record = |row| columns.iter().map(|column| text(row, column)).collect();
        told.records.extend((0..decoded.columns.rows).map(record));
    }
}

/// Returns the records that Python reads of each file, or says that the test is skipped.
fn read_by_python(samples: &[Sample]) -> Option<Vec<Vec<Vec<String>>>> {
    let python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        skipped(
            Need::Program("python3"),
            "no `python3` here to read CSV with",
        );
        return None;
    };
    let line = |sample: &Sample| {
        serde_json::json!([sample.delimiter.to_string(), sample.text]).to_string() + "\n"
    };
    let lines: String = samples.iter().map(line).collect();
    let mut stdin = python.stdin.take().expect("a pipe");
    let feeder = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = python.wait_with_output().expect("python3 ends");
    feeder
        .join()
        .expect("no panic")
        .expect("all files were handed over");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let records = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("records"));
    Some(records.collect())
}

#[test]
fn a_thousand_dialects_are_read_as_python_reads_them() {
    let mut rng = ChaCha8Rng::seed_from_u64(4180);
    let samples: Vec<Sample> = (0..COUNT).map(|_| sample(&mut rng)).collect();
    let Some(by_python) = read_by_python(&samples) else {
        return;
    };
    assert_eq!(by_python.len(), COUNT);
    let dir = Workdir::new();
    let (mut widths, mut unclosed) = (0, 0);
    for (nth, (sample, mut expected)) in samples.iter().zip(by_python).enumerate() {
        let chunk = [1, 64, 1 << 20][nth % 3];
        let told = read(&dir, sample, chunk).expect("a header");
        let shown = || format!("{:?}, separated by {:?}", sample.text, sample.delimiter);
        for name in &mut expected[0] {
            *name = name.trim().to_owned();
        }
        match sample.wrong {
            None => {
                assert_eq!(told.malformed, [], "{}", shown());
                assert_eq!(told.error, None, "{}", shown());
            }
            Some((record, Wrong::Width)) => {
                assert_ne!(expected.remove(record).len(), sample.width, "{}", shown());
                let before: Vec<usize> = told.malformed.iter().map(|(before, _)| *before).collect();
                assert_eq!(before, [record], "{}", shown());
                assert_eq!(told.error, None, "{}", shown());
                widths += 1;
            }
            Some((record, Wrong::Unclosed)) => {
                expected.truncate(record);
                let error = told.error.unwrap_or_default();
                assert!(error.contains("is not closed"), "{error}: {}", shown());
                assert_eq!(told.malformed, [], "{}", shown());
                unclosed += 1;
            }
        }
        assert_eq!(told.records, expected, "{}", shown());
    }
    assert!(
        widths > COUNT / 50 && unclosed > COUNT / 50,
        "{widths}, {unclosed}"
    );
}
