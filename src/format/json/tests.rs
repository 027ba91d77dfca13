//! The columns against a plain reading: objects made at random, each read as a whole value.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

use super::*;
use crate::column::{DataType, Field, Schema, ValueRef};
use crate::source::Lines;

/// The columns `n` bigint, `x` double, `b` boolean, `t` text, and `unwanted`.
fn layout() -> Layout {
    let fields = [
        ("n", DataType::Bigint),
        ("x", DataType::Double),
        ("b", DataType::Boolean),
        ("t", DataType::Text),
        ("unwanted", DataType::Text),
    ];
    let fields = fields.map(|(name, data_type)| Field {
        name: name.to_owned(),
        data_type,
    });
    Layout {
        schema: Schema {
            fields: fields.into(),
            ..Schema::default()
        },
        wanted: vec![0, 1, 2, 3],
        time: TimeFrom::Nowhere,
    }
}

/// Returns what happens to each line that is not blank: its number and values, or `malformed`.
fn decoded(bytes: &[u8]) -> Vec<String> {
    let arena = Bump::new();
    let lines = Lines::new(bytes, 1);
    let decoded = Decoder::new(layout(), Spelling::default()).decode(
        &Records::Lines(lines),
        Origins::Keep,
        &arena,
    );
    let rows = decoded.origins.iter().enumerate().map(|(row, (place, _))| {
        let columns = &decoded.columns.columns[..4];
        let values: Vec<_> = columns.iter().map(|column| column.value_ref(row)).collect();
        (*place, format!("{place}: {values:?}"))
    });
    let malformed = decoded.malformed.iter();
    let malformed = malformed.map(|record| (record.place, format!("{}: malformed", record.place)));
    let mut told: Vec<_> = rows.chain(malformed).collect();
    told.sort_by_key(|(place, _)| match place {
        Place::Line(line) | Place::FileLine(_, line) => *line,
        Place::Offset(..) => 0,
    });
    told.into_iter().map(|(_, told)| told).collect()
}

/// Returns the values of the wanted members; `None` where the object is malformed.
fn read_plainly(object: &[u8]) -> Option<String> {
    // Bytes that are not text are accepted in members that are not read.
    let object = match std::str::from_utf8(object) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(object).replace("\"t\":\"\u{FFFD}\"", "\"n\":[]"),
    };
    let object: serde_json::Map<String, Json> = serde_json::from_str(&object).ok()?;
    let mut values = Vec::new();
    for name in ["n", "x", "b", "t"] {
        let text = match object.get(name) {
            None | Some(Json::Null) => {
                values.push(format!("{:?}", ValueRef::Null));
                continue;
            }
            Some(Json::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let value = match name {
            "n" => ValueRef::Integer(text.parse::<i64>().ok()?.into()),
            "x" => ValueRef::Double(text.parse().ok()?),
            "b" => ValueRef::Boolean(text.parse().ok()?),
            _ => ValueRef::Text(&text),
        };
        values.push(format!("{value:?}"));
    }
    Some(format!("[{}]", values.join(", ")))
}

#[test]
fn random_objects_are_read_as_whole_values_are() {
    const MEMBERS: [&[u8]; 24] = [
        br#""n":1"#,
        br#""n": -9223372036854775808"#,
        br#""n":null"#,
        br#""\u006e":7"#,
        br#""x":0.5"#,
        br#""x":12"#,
        br#""x":18446744073709551615"#,
        br#""b":true"#,
        br#""b":false"#,
        br#""t":"plain""#,
        br#""t":"esc\"aped \u00eb""#,
        "\"t\":\"Zo\u{eb}\"".as_bytes(),
        br#""t":"""#,
        br#""unwanted":"x""#,
        br#""other":{"n":[1,"}"]}"#,
        br#""":0"#,
        br#""n":9223372036854775808"#,
        br#""n":1.5"#,
        br#""n":"1""#,
        br#""t":1"#,
        b"\"t\":\"\xFF\"",
        b"\"unwanted\":\"\xFF\"",
        br#""b":[]"#,
        br#"n:1"#,
    ];
    /// How many of the members fit.
    const WELL: usize = 16;
    let mut random = ChaCha8Rng::seed_from_u64(13);
    for _ in 0..2_000 {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for line in 1..=random.random_range(0..20) {
            let mut members: Vec<&[u8]> = (0..random.random_range(0..6))
                .map(|_| MEMBERS[random.random_range(0..WELL)])
                .collect();
            // Last, so that no member of the same name takes its place.
            if random.random_range(0..3) == 0 {
                members.push(MEMBERS[random.random_range(WELL..MEMBERS.len())]);
            }
            let mut object = [b"{", &members.join(&b","[..])[..], b"}"].concat();
            match random.random_range(0..40) {
                0 => object.clear(),
                1 => object.truncate(object.len() - 1),
                2 => object.extend_from_slice(b" {}"),
                3 => object = b"[1]".to_vec(),
                4 => object.extend_from_slice(b" \r"),
                _ => {}
            }
            let read = read_plainly(&object).unwrap_or("malformed".to_owned());
            expected.extend((!object.is_empty()).then(|| format!("line {line}: {read}")));
            bytes.extend_from_slice(&object);
            bytes.push(b'\n');
        }
        assert_eq!(decoded(&bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_misfit_names_its_column_and_value() {
    let arena = Bump::new();
    let reason = |object: &'static str| {
        let lines = Lines::new(object.as_bytes(), 1);
        let decoded = Decoder::new(layout(), Spelling::default()).decode(
            &Records::Lines(lines),
            Origins::Forget,
            &arena,
        );
        decoded
            .malformed
            .into_iter()
            .map(|record| record.misfit.reason)
            .collect::<String>()
    };
    for (object, expected) in [
        ("{\"n\":\"x\"}\n", "column `n`: `x` is not a bigint"),
        ("{\"n\":1.50}\n", "column `n`: `1.50` is not a bigint"),
        ("{\"b\":[]}\n", "column `b`: `[]` is not a boolean"),
    ] {
        assert_eq!(reason(object), expected);
    }
}
