//! Thousands of random expressions come to what SQLite says.
//!
//! Left out is what differs on purpose: a bigint beyond its range (SQLite continues in floating
//! point, `k` fails the row), `%` of doubles (SQLite makes them whole), `cast` of text (SQLite
//! reads a prefix), doubles as text (SQLite prints 15 digits), `instr` and `substr` at the edges,
//! letters beyond ASCII in other case.

use std::io::Write;
use std::process::{Command, Stdio};

use bumpalo::Bump;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

use super::generate::{Grammar, Production};
use crate::column::{Column, Columns, DataType, Field, Schema, Value};
use crate::expression::{Evaluated, Expression};

const ROWS: usize = 60;
const EXPRESSIONS: usize = 6_000;

const COMMON: Grammar = Grammar {
    bigints: Production {
        leaves: &["n", "m", "0", "2", "-1", "7", "9223372036854775807", "null"],
        shapes: &[
            "(b + b)",
            "b - b",
            "b * b",
            "b / b",
            "b % b",
            "- b",
            "length(t)",
            "case when o then b else b end",
            "case b when b then b when b then b end",
            "coalesce(b, b)",
            "ifnull(b, b)",
            "nullif(b, b)",
        ],
    },
    doubles: Production {
        leaves: &["x", "0.5", "-2.25", "1e10", "3.0"],
        shapes: &[
            "(d + d)",
            "d - d",
            "d * d",
            "d / d",
            "x + b",
            "b / d",
            "- d",
            "abs(d)",
            "case when o then d end",
            "case d when d then d else d end",
            "coalesce(d, d)",
        ],
    },
    decimals: Production {
        leaves: &[],
        shapes: &[],
    },
    booleans: Production {
        leaves: &["flag", "true", "false", "null"],
        shapes: &[
            "o and o",
            "o or o",
            "(o or o)",
            "not o",
            "not (o and o)",
            "b = b",
            "b == b",
            "d < d",
            "d != d",
            "t <> t",
            "t >= t",
            "b > d",
            "t like t",
            "t not like '%a%'",
            "t like '_a%' escape '_'",
            "b between b and b",
            "d not between b and d",
            "b in (b, b, 3)",
            "b not in (b, d)",
            "t in ('a', t)",
            "n in (1, 2, 3, 4, 5, 6, 7, 8, 9, null)",
            "text not in ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'café')",
            "(b is null)",
            "t is not null",
            "o is true",
            "o is not false",
            "t is distinct from t",
            "b is not distinct from b",
            "o = (o)",
        ],
    },
    texts: Production {
        leaves: &[
            "text", "word", "'a'", "''", "'it''s'", "'é%'", "'a_%'", "null",
        ],
        shapes: &[
            "t || t",
            "substr(t, 2)",
            "substr(t, 1, 2)",
            "substr(t, -2)",
            "trim(t)",
            "replace(t, 'a', t)",
            "case when o then t else t end",
            "coalesce(t, t)",
            "nullif(t, t)",
            "cast(b as text)",
        ],
    },
};

#[test]
fn random_expressions_come_to_what_sqlite_says() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(10);
    let schema = schema();
    let rows: Vec<Json> = (0..ROWS).map(|_| random_row(&mut random)).collect();
    let expressions: Vec<Expression> = (0..EXPRESSIONS)
        .filter_map(|_| {
            let text = COMMON.expression(&mut random);
            Expression::parse(&text, &schema).ok() // refused: a constant beyond its range
        })
        .collect();
    assert!(expressions.len() > EXPRESSIONS / 2);
    let texts: Vec<&str> = expressions
        .iter()
        .map(|parsed| parsed.source.as_str())
        .collect();
    let job = json!({"columns": columns(&schema), "rows": rows, "expressions": texts});
    let Some(answers) = ask_sqlite(&job) else {
        return skipped();
    };
    let batch = batch(&schema, &rows);
    let mut compared = 0;
    for (expression, answer) in expressions.iter().zip(&answers) {
        let Json::Array(answer) = answer else {
            panic!("{}: SQLite says {answer}", expression.source);
        };
        let arena = Bump::new();
        let evaluated = expression.evaluate(&batch, &arena);
        for (row, theirs) in answer.iter().enumerate() {
            if evaluated.errors.iter().any(|error| error.row == row) {
                continue;
            }
            let ours = as_sqlite_has_it(&evaluated, row);
            assert!(
                same(&ours, theirs),
                "{}\nover {}\nis {ours} and not {theirs}",
                expression.source,
                rows[row],
            );
            compared += 1;
        }
    }
    assert!(compared > EXPRESSIONS * ROWS / 2, "{compared}");
}

/// What `k` and SQLite call the same of the times in `at`, which are whole seconds in ms.
const TIMES: [(&str, &str); 14] = [
    (
        "extract(year from at)",
        "cast(strftime('%Y', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(month from at)",
        "cast(strftime('%m', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(day from at)",
        "cast(strftime('%d', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(hour from at)",
        "cast(strftime('%H', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(minute from at)",
        "cast(strftime('%M', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(second from at)",
        "cast(strftime('%S', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(doy from at)",
        "cast(strftime('%j', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "extract(dow from at)",
        "cast(strftime('%w', at / 1000, 'unixepoch') as integer)",
    ),
    (
        "unix_timestamp(date_trunc('day', at))",
        "1000 * unixepoch(at / 1000, 'unixepoch', 'start of day')",
    ),
    (
        "unix_timestamp(date_trunc('month', at))",
        "1000 * unixepoch(at / 1000, 'unixepoch', 'start of month')",
    ),
    (
        "unix_timestamp(date_trunc('year', at))",
        "1000 * unixepoch(at / 1000, 'unixepoch', 'start of year')",
    ),
    (
        "unix_timestamp(timestampadd(days, -3, at))",
        "1000 * unixepoch(at / 1000, 'unixepoch', '-3 days')",
    ),
    (
        "format_timestamp(at, 'yyyy-MM-dd HH:mm:ss')",
        "strftime('%Y-%m-%d %H:%M:%S', at / 1000, 'unixepoch')",
    ),
    (
        "stringtotimestamp(format_timestamp(at, 'D yyyy, h a s:m'), 'D yyyy, h a s:m')",
        "at",
    ),
];

#[test]
fn times_come_to_what_sqlite_says() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let field = Field {
        name: "at".to_owned(),
        data_type: DataType::Bigint,
    };
    let schema = Schema {
        fields: vec![field],
        ..Schema::default()
    };
    // From the year 1 to 9999.
    let seconds = || random.random_range(-62_135_596_800_i64..253_402_300_800);
    let rows: Vec<Json> = std::iter::repeat_with(seconds)
        .take(2_000)
        .map(|seconds| json!([1_000 * seconds]))
        .collect();
    pairs_agree(&TIMES, &schema, &rows);
}

/// What `k` and SQLite, with some functions of Python's, call the same.
const FUNCTIONS: [(&str, &str); 23] = [
    (
        "concat(text, word)",
        "coalesce(text, '') || coalesce(word, '')",
    ),
    (
        "elt(n, text, word)",
        "case n when 1 then text when 2 then word end",
    ),
    (
        "field(text, 'abc', word)",
        "case when text = 'abc' then 1 when text = word then 2 else 0 end",
    ),
    (
        "chr(len(text) + 230)",
        "case when text is not null then char(length(text) + 230) end",
    ),
    ("is_json_string(text)", "coalesce(json_valid(text), 0)"),
    (
        "extractjsonfield('{\"a\":[1,{\"b\":\"' || word || '\"}]}', '$.a[1].b')",
        "json_extract('{\"a\":[1,{\"b\":\"' || word || '\"}]}', '$.a[1].b')",
    ),
    ("regexp_like(text, '^[a-c]+$')", "py_like(text, '^[a-c]+$')"),
    (
        "regexp_extract('([a-z])(.)', text, 2)",
        "py_extract('([a-z])(.)', text, 2)",
    ),
    (
        "regexp_replace(text, '[ac]', '<$0>')",
        "py_replace(text, '[ac]', '<\\g<0>>')",
    ),
    (
        "regexp_replace(text, '(.)(.)', '$2$1')",
        "py_replace(text, '(.)(.)', '\\2\\1')",
    ),
    ("mask(text)", "py_mask(text, 0, length(text))"),
    ("mask_left(text, 2)", "py_mask(text, 0, 2)"),
    (
        "mask_right(text, 1)",
        "py_mask(text, length(text) - 1, length(text))",
    ),
    ("mask_keep_left(text, 1)", "py_mask(text, 1, length(text))"),
    (
        "mask_keep_right(text, 1)",
        "py_mask(text, 0, length(text) - 1)",
    ),
    (
        "initcap(word)",
        "upper(substr(word, 1, 1)) || substr(word, 2)",
    ),
    (
        "lpad(word, 4, 'xy')",
        "substr('xyxy', 1, max(4 - length(word), 0)) || substr(word, 1, 4)",
    ),
    ("rpad(word, 4, 'xy')", "substr(word || 'xyxy', 1, 4)"),
    ("sign(x)", "sign(x)"),
    ("floor(x / 3)", "floor(x / 3)"),
    ("ceil(x / 3)", "ceil(x / 3)"),
    ("sqrt(abs(x))", "sqrt(abs(x))"),
    ("greatest(n, m)", "max(coalesce(n, m), coalesce(m, n))"),
];

#[test]
fn functions_come_to_what_sqlite_and_python_say() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(12);
    let rows: Vec<Json> = (0..500).map(|_| random_row(&mut random)).collect();
    pairs_agree(&FUNCTIONS, &schema(), &rows);
}

/// Fails where an expression of `k` does not come to what the one beside it does in SQLite.
fn pairs_agree(pairs: &[(&str, &str)], schema: &Schema, rows: &[Json]) {
    let theirs: Vec<&str> = pairs.iter().map(|(_, theirs)| *theirs).collect();
    let job = json!({"columns": columns(schema), "rows": rows, "expressions": theirs});
    let Some(answers) = ask_sqlite(&job) else {
        return skipped();
    };
    let batch = batch(schema, rows);
    for ((ours, _), answer) in pairs.iter().zip(&answers) {
        let expression = Expression::parse(ours, schema).expect(ours);
        let arena = Bump::new();
        let evaluated = expression.evaluate(&batch, &arena);
        assert!(
            evaluated.errors.is_empty(),
            "{ours}: {:?}",
            evaluated.errors
        );
        let Json::Array(answer) = answer else {
            panic!("{ours}: SQLite says {answer}");
        };
        for (row, theirs) in answer.iter().enumerate() {
            let value = as_sqlite_has_it(&evaluated, row);
            assert!(
                same(&value, theirs),
                "{ours} over {}: {value}, not {theirs}",
                rows[row]
            );
        }
    }
}

/// Returns the columns as `sqlite.py` wants them.
fn columns(schema: &Schema) -> Vec<Json> {
    let fields = schema.fields.iter();
    fields
        .map(|field| match field.data_type {
            DataType::Bigint | DataType::Boolean | DataType::Timestamp => {
                json!([field.name, "integer"])
            }
            DataType::Double | DataType::Decimal | DataType::Number => {
                json!([field.name, "real"])
            }
            DataType::Text | DataType::Any => json!([field.name, "text"]),
        })
        .collect()
}

fn schema() -> Schema {
    let fields = [
        ("n", DataType::Bigint),
        ("m", DataType::Bigint),
        ("x", DataType::Double),
        ("flag", DataType::Boolean),
        ("text", DataType::Text),
        ("word", DataType::Text),
    ];
    let field = |(name, data_type): (&str, DataType)| Field {
        name: name.to_owned(),
        data_type,
    };
    Schema {
        fields: fields.map(field).to_vec(),
        ..Schema::default()
    }
}

fn random_row(random: &mut impl rand::Rng) -> Json {
    const INTEGERS: [i64; 9] = [0, 1, -1, 2, 7, -40, 1 << 53, i64::MAX, i64::MIN];
    const DOUBLES: [f64; 6] = [0.0, 0.5, -2.5, 7.0, 1e10, 0.1];
    const TEXTS: [&str; 9] = ["", "a", "b", "abc", "it's", "café", "%", "a_c", "日本語"];
    let mut value = |values: &[Json]| match random.random_range(0..6) {
        0 => Json::Null,
        _ => values[random.random_range(0..values.len())].clone(),
    };
    let integers = INTEGERS.map(Json::from);
    let texts = TEXTS.map(Json::from);
    json!([
        value(&integers),
        value(&integers),
        value(&DOUBLES.map(Json::from)),
        value(&[json!(0), json!(1)]),
        value(&texts),
        value(&texts),
    ])
}

fn batch<'a>(schema: &Schema, rows: &'a [Json]) -> Columns<'a> {
    let mut columns = Columns {
        rows: rows.len(),
        ..Columns::default()
    };
    for (index, field) in schema.fields.iter().enumerate() {
        let values = rows.iter().map(|row| &row[index]);
        columns.columns.push(match field.data_type {
            DataType::Bigint | DataType::Timestamp => {
                Column::Bigint(values.map(Json::as_i64).collect())
            }
            DataType::Double => Column::Double(values.map(Json::as_f64).collect()),
            DataType::Boolean => Column::Boolean(
                values
                    .map(|value| value.as_i64().map(|bit| bit == 1))
                    .collect(),
            ),
            DataType::Decimal | DataType::Number | DataType::Any => {
                unreachable!("SQLite has no such type")
            }
            DataType::Text => Column::Text(values.map(Json::as_str).collect()),
        });
    }
    columns
}

/// Returns the answers of `sqlite.py`, or `None` where Python has no SQLite.
fn ask_sqlite(job: &Json) -> Option<Vec<Json>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/expression/sqlite.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = python.stdin.take().expect("piped");
    let question = job.to_string();
    // It reads everything before it writes anything. A refusal shows in its answer.
    let _ = stdin.write_all(question.as_bytes());
    drop(stdin);
    let output = python.wait_with_output().expect("its output");
    serde_json::from_slice(&output.stdout).ok()
}

/// Says that there is no SQLite here; fails where it has to be there, as in `tests/cli/skip.rs`.
fn skipped() {
    eprintln!("SKIPPED expressions against SQLite: no python3 with sqlite3 here");
    if let Ok(may) = std::env::var("K_TEST_MAY_SKIP") {
        let may_be_missing = may.split(',').any(|missing| missing == "sqlite3");
        assert!(
            may_be_missing,
            "`sqlite3` has to be here: K_TEST_MAY_SKIP is `{may}`"
        );
    }
}

fn as_sqlite_has_it(evaluated: &Evaluated, row: usize) -> Json {
    match evaluated.column.value(row) {
        Value::Null => json!(["null", null]),
        Value::Integer(value) => json!(["integer", value as i64]),
        Value::Double(value) if value.is_nan() => json!(["null", null]),
        Value::Double(value) => json!(["real", format!("{value:?}")]),
        Value::Boolean(value) => json!(["integer", i64::from(value)]),
        Value::Text(value) => json!(["text", &*value]),
        Value::Decimal(_) | Value::List(_) | Value::Any(_) => {
            unreachable!("SQLite has no such values")
        }
    }
}

/// Returns whether two values are the same; doubles as numbers, so that -0.0 is 0.0.
fn same(ours: &Json, theirs: &Json) -> bool {
    let double = |value: &Json| value[1].as_str().and_then(|text| text.parse::<f64>().ok());
    let reals = ours[0] == "real" && theirs[0] == "real";
    ours == theirs || (reals && double(ours) == double(theirs))
}
