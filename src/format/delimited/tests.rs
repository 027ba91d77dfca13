//! The fast path against a plain one: records made at random, each read alone by the `csv` crate.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::shown;
use super::*;
use crate::column::{Field, Schema, ValueRef};

const TYPES: [DataType; 4] = [
    DataType::Bigint,
    DataType::Text,
    DataType::Double,
    DataType::Text,
];

fn layout(width: usize, wanted: Vec<usize>) -> Layout {
    let fields = TYPES.iter().take(width).enumerate();
    let fields = fields.map(|(at, &data_type)| Field {
        name: format!("c{at}"),
        data_type,
    });
    Layout {
        schema: Schema {
            fields: fields.collect(),
            ..Schema::default()
        },
        wanted,
        time: TimeFrom::Nowhere,
    }
}

/// What became of some records: a line each, in their order.
type Told = Vec<String>;

fn told_row(place: impl std::fmt::Display, bytes: &[u8], values: &[ValueRef<'_>]) -> String {
    format!("{place} `{}`: {values:?}", bytes.escape_ascii())
}

fn told_malformed(place: impl std::fmt::Display, bytes: &[u8], reason: &str) -> String {
    format!("{place} `{}`: {reason}", bytes.escape_ascii())
}

/// Decodes some records in one batch.
fn decoded(layout: &Layout, records: &Records<'_>) -> Told {
    let arena = Bump::new();
    // A lifetime of its own for the text that the arena keeps.
    let decoded =
        Decoder::new(layout.clone(), Dialect::default()).decode(records, Origins::Keep, &arena);
    let mut malformed = decoded.malformed.iter().peekable();
    let mut told = Vec::new();
    for row in 0..=decoded.columns.rows {
        while let Some(malformed) = malformed.next_if(|malformed| malformed.before == row) {
            told.push(told_malformed(
                malformed.place,
                malformed.bytes,
                &malformed.misfit.reason,
            ));
        }
        if let Some((place, bytes)) = decoded.origins.get(row) {
            let columns = layout
                .wanted
                .iter()
                .map(|&index| &decoded.columns.columns[index]);
            let values: Vec<_> = columns.map(|column| column.value_ref(row)).collect();
            told.push(told_row(place, bytes, &values));
        }
    }
    told
}

/// Reads one record, field by field; `None` for a blank line.
fn read_plainly(layout: &Layout, place: Place, record: &[u8]) -> Option<String> {
    let ended = record.strip_suffix(b"\r").unwrap_or(record);
    if ended.is_empty() {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(ended);
    let fields = reader.byte_records().next()?.ok()?;
    let width = layout.schema.fields.len();
    if fields.len() != width {
        return Some(told_malformed(
            place,
            ended,
            &wrong_width(fields.len(), width),
        ));
    }
    let mut values = Vec::new();
    for &index in &layout.wanted {
        let (bytes, name) = (&fields[index], &layout.schema.fields[index].name);
        let text = std::str::from_utf8(bytes).ok();
        let expected = match (layout.schema.fields[index].data_type, text) {
            _ if bytes.is_empty() => {
                values.push(ValueRef::Null);
                continue;
            }
            (DataType::Bigint, text) => {
                let value = text.and_then(|text| text.trim_ascii().parse::<i64>().ok());
                values.extend(value.map(|value| ValueRef::Integer(value.into())));
                "not a bigint"
            }
            (DataType::Double, text) => {
                let value = text.and_then(|text| text.trim_ascii().parse::<f64>().ok());
                let finite = value.filter(|value| value.is_finite());
                values.extend(finite.map(ValueRef::Double));
                "not a double"
            }
            (_, text) => {
                values.extend(text.map(ValueRef::Text));
                "not UTF-8"
            }
        };
        if values.len() <= layout.wanted.iter().position(|&wanted| wanted == index)? {
            let reason = format!("column `{name}`: {} is {expected}", shown(bytes));
            return Some(told_malformed(place, ended, &reason));
        }
    }
    Some(told_row(place, ended, &values))
}

/// Returns a record, as a rule of `width` fields and mostly of the right types.
fn random_record(random: &mut ChaCha8Rng, width: usize, quotes: bool) -> Vec<u8> {
    const FIELDS: [&[u8]; 24] = [
        b"0",
        b"7",
        b"-1",
        b"12345678",
        b"123456789",
        b"1767225600000",
        b"-1767225600000",
        b"9223372036854775807",
        b"-9223372036854775808",
        b"9223372036854775808",
        b"00000000000000000001",
        b"+5",
        b"1.5",
        b"-2e3",
        b"inf",
        b"12345678x",
        b"",
        "Zo\u{eb}".as_bytes(),
        b"\xFF\xFE",
        b"a\0b",
        b"a\rb",
        b"say \"x\"",
        b"a longer text",
        b"\r",
    ];
    const QUOTED: [&[u8]; 5] = [
        b"\"\"",
        b"\"a,b\"",
        b"\"two\nlines\"",
        b"\"a \"\"b\"\"\"",
        b"\"12\r\"",
    ];
    const WELL: usize = 7;
    let width = match random.random_range(0..12) {
        0 => random.random_range(0..=width + 2),
        _ => width,
    };
    let mut record = Vec::new();
    for column in 0..width {
        if column > 0 {
            record.push(b',');
        }
        let field: &[u8] = match random.random_range(0..20) {
            0 => FIELDS[random.random_range(0..FIELDS.len())],
            1 if quotes => QUOTED[random.random_range(0..QUOTED.len())],
            _ => FIELDS[random.random_range(0..WELL)],
        };
        let quote = memchr::memchr(b'"', field).is_some();
        record.extend_from_slice(if quote && !quotes { b"x" } else { field });
    }
    if random.random_range(0..8) == 0 {
        record.push(b'\r');
    }
    record
}

#[test]
fn random_lines_are_read_as_the_csv_crate_reads_each_of_them() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for round in 0..3_000 {
        let quotes = round % 3 == 0;
        let width = random.random_range(1..=TYPES.len());
        let wanted = (0..width).filter(|_| random.random_range(0..3) > 0);
        let layout = layout(width, wanted.collect());
        let (mut bytes, mut line, mut expected) = (Vec::new(), 7, Vec::new());
        for _ in 0..random.random_range(0..40) {
            let record = random_record(&mut random, width, quotes);
            expected.extend(read_plainly(&layout, Place::Line(line), &record));
            bytes.extend_from_slice(&record);
            bytes.push(b'\n');
            line += memchr::memchr_iter(b'\n', &record).count() as u64 + 1;
        }
        let lines = Lines::new(&bytes, 7);
        let told = decoded(&layout, &Records::Lines(lines));
        assert_eq!(told, expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn random_messages_are_read_as_the_csv_crate_reads_each_of_them() {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    for _ in 0..1_000 {
        let layout = layout(TYPES.len(), vec![0, 2, 3]);
        let records: Vec<_> = (0..20)
            .map(|_| random_record(&mut random, TYPES.len(), true))
            .filter(|record| !without_return(record).is_empty())
            .collect();
        let message = |(offset, value)| Message {
            partition: 3,
            offset,
            timestamp: None,
            key: None,
            value: Some(value),
            headers: crate::source::Headers::NONE,
        };
        let values = (0_i64..).zip(records.iter().map(Vec::as_slice));
        let messages = values.clone().map(message).collect();
        let expected: Told = values
            .filter_map(|(offset, value)| read_plainly(&layout, Place::Offset(3, offset), value))
            .collect();
        assert_eq!(decoded(&layout, &Records::Messages(messages)), expected);
    }
}

#[test]
fn messages_that_are_cut_together_are_the_rows_that_each_of_them_is() {
    let layout = layout(2, vec![0, 1]);
    let told = |values: &[&'static str]| {
        let message = |(offset, value): (usize, &&'static str)| Message {
            partition: 3,
            offset: offset as i64,
            timestamp: None,
            key: None,
            value: Some(value.as_bytes()),
            headers: crate::source::Headers::NONE,
        };
        let messages = values.iter().enumerate().map(message);
        decoded(&layout, &Records::Messages(messages.collect()))
    };
    assert_eq!(
        told(&["1,a", "2,b\n", "3,c\r\n", ",\r"]),
        [
            "partition 3, offset 0 `1,a`: [Integer(1), Text(\"a\")]",
            "partition 3, offset 1 `2,b`: [Integer(2), Text(\"b\")]",
            "partition 3, offset 2 `3,c`: [Integer(3), Text(\"c\")]",
            "partition 3, offset 3 `,`: [Null, Null]",
        ]
    );
    // Two lines in one and a blank one are as many lines as messages, and none is a row for another.
    assert_eq!(
        told(&["1,a\n2,b", ""]),
        [
            "partition 3, offset 0 `1,a`: [Integer(1), Text(\"a\")]",
            "partition 3, offset 0 `2,b`: [Integer(2), Text(\"b\")]",
            "partition 3, offset 1 ``: 1 field where the header has 2",
        ]
    );
}

#[test]
fn a_message_without_a_record_is_malformed() {
    let values: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"\n\n"), Some(b"\"\",\n")];
    let messages = values.iter().map(|&value| Message {
        partition: 0,
        offset: 5,
        timestamp: None,
        key: None,
        value,
        headers: crate::source::Headers::NONE,
    });
    let told = decoded(&layout(2, vec![0]), &Records::Messages(messages.collect()));
    assert_eq!(
        told,
        [
            "partition 0, offset 5 ``: the value is null",
            "partition 0, offset 5 ``: 1 field where the header has 2",
            "partition 0, offset 5 `\\n`: the value is blank",
            "partition 0, offset 5 `\"\",`: [Null]",
        ]
        .map(|told| told.replace("`\"\",`", "`\\\"\\\",`"))
    );
}

#[test]
fn rows_of_the_right_number_of_fields_are_cut_whatever_stands_around_them() {
    let layout = layout(2, vec![0, 1]);
    let lines = |text: &'static str| {
        let lines = Lines::new(text.as_bytes(), 1);
        decoded(&layout, &Records::Lines(lines))
    };
    assert_eq!(lines(""), Told::new());
    // As many separators as two rows have, but not in their places.
    assert_eq!(
        lines("1\n2,b,c\n"),
        [
            "line 1 `1`: 1 field where the header has 2",
            "line 2 `2,b,c`: 3 fields where the header has 2",
        ]
    );
    assert_eq!(
        lines("\r\n1,a\r\n\n,\n"),
        [
            "line 2 `1,a`: [Integer(1), Text(\"a\")]",
            "line 4 `,`: [Null, Null]",
        ]
    );
}

#[test]
fn a_time_that_is_missing_or_out_of_range_makes_its_row_malformed() {
    let mut layout = layout(2, vec![0]);
    layout.time = TimeFrom::Column(0, super::super::TimeUnit::Ms);
    let lines = Lines::new(b"1,a\n,b\n-62135596800001,c\n253402300799999,d\n", 1);
    let arena = Bump::new();
    let decoded = Decoder::new(layout, Dialect::default()).decode(
        &Records::Lines(lines),
        Origins::Forget,
        &arena,
    );
    assert_eq!(decoded.times, [1, 253_402_300_799_999]);
    let lines: Vec<_> = decoded
        .malformed
        .iter()
        .map(|record| record.place)
        .collect();
    assert_eq!(lines, [Place::Line(2), Place::Line(3)]);
}
