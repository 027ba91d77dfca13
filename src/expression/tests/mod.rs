//! Expressions as typed, against the expectations in `tests/expression/`.
//!
//! Each file has blocks: a line `> expression` (or `where> …`, `list> …`, `calls> …`), then what it
//! comes to over the rows of [`batch`]: canonical text and type, one value a row, or the error.
//! `UPDATE_EXPECTED=1 cargo test expression` rewrites the files.

mod fuzz;
mod generate;
mod page;
mod sqlite;

use std::fmt::Write;
use std::path::Path;

use bumpalo::Bump;
use rand::SeedableRng;
use rust_decimal::Decimal;

use self::generate::EVERYTHING;
use super::*;
use crate::column::{Field, Values};

/// Returns the columns of the tests: a call's, and `n`, `x`, `flag`, `text` with awkward values.
fn schema() -> Schema {
    let fields = [
        ("caller", DataType::Text),
        ("disposition", DataType::Text),
        ("start_timestamp", DataType::Bigint),
        ("end_timestamp", DataType::Bigint),
        ("n", DataType::Bigint),
        ("x", DataType::Double),
        ("flag", DataType::Boolean),
        ("text", DataType::Text),
        ("My Column", DataType::Bigint),
        ("twin", DataType::Bigint),
        ("Twin", DataType::Bigint),
        ("price", DataType::Decimal),
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

/// Returns four rows, the last one null.
fn batch() -> Columns<'static> {
    fn column<T: Copy + Default>(rows: [T; 3]) -> Values<T> {
        rows.into_iter().map(Some).chain([None]).collect()
    }
    let columns = vec![
        Column::Text(column(["+491", "+492", "+493"])),
        Column::Text(column(["connected", "busy", "failed"])),
        Column::Bigint(column([1_000, 2_000, 3_000])),
        Column::Bigint(column([61_500, 2_000, 9_000])),
        Column::Bigint(column([1, -7, i64::MAX])),
        Column::Double(column([0.5, -2.5, 1e300])),
        Column::Boolean(column([true, false, true])),
        Column::Text(column(["", "café", "it's 5%"])),
        Column::Bigint(column([10, 20, 30])),
        Column::Bigint(column([1, 2, 3])),
        Column::Bigint(column([4, 5, 6])),
        Column::Decimal(column([
            Decimal::new(1990, 2),
            Decimal::new(-5, 1),
            Decimal::MAX,
        ])),
    ];
    Columns {
        rows: 4,
        columns,
        ..Columns::default()
    }
}

fn describe(expression: &Expression) -> String {
    let (columns, arena) = (batch(), Bump::new());
    let evaluated = expression.evaluate(&columns, &arena);
    let physical = match expression.data_type() {
        DataType::Timestamp => DataType::Bigint,
        data_type => data_type,
    };
    assert_eq!(evaluated.column.data_type(), physical);
    let mut rows: Vec<String> = (0..columns.rows)
        .map(|row| match evaluated.column.value(row) {
            Value::Null => "null".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Double(value) => format!("{value:?}"),
            Value::Decimal(value) => value.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Text(value) | Value::Any(value) => format!("'{value}'"),
            Value::List(_) => unreachable!("no expression is a list"),
        })
        .collect();
    for error in &evaluated.errors {
        assert_eq!(rows[error.row], "null", "a row that failed is null");
        rows[error.row] = format!("! {}", error.misfit.reason);
    }
    rows.dedup(); // a constant's rows are shown once
    let shown = rows.join(" | ");
    format!("{expression} : {}\n  {shown}\n", expression.data_type())
}

fn outcome(kind: &str, text: &str) -> String {
    let schema = schema();
    let mut shown = String::new();
    let result = match kind {
        "" => Expression::parse(text, &schema).map(|parsed| shown = describe(&parsed)),
        "where" => Expression::parse_condition(text, &schema).map(|parsed| {
            let kept = parsed.select(&batch(), &Bump::new()).rows;
            shown = format!("{parsed}\n  {kept:?}\n");
        }),
        "list" => parse_list(text, &schema).map(|items| {
            for item in items {
                writeln!(shown, "{} = {}", item.name, item.expression).expect("a string");
            }
        }),
        "calls" => parse_calls(text, &schema).map(|calls| {
            for call in calls {
                let arguments: Vec<&str> = call.arguments.iter().map(Expression::text).collect();
                let distinct = if call.distinct { "distinct " } else { "" };
                let arguments = arguments.join(", ");
                let typed = &text[call.span.start..call.span.end];
                writeln!(
                    shown,
                    "{} = {}({distinct}{arguments}) from `{typed}`",
                    call.name, call.function
                )
                .expect("a string");
            }
        }),
        _ => panic!("unknown kind `{kind}`"),
    };
    match result {
        Ok(()) => shown,
        Err(error) => {
            assert_eq!(error.exit_status(), 2, "{text}");
            error.lines().join("\n") + "\n"
        }
    }
}

#[test]
fn expressions_come_to_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expression");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("tests/expression is there")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for path in files {
        let expected = std::fs::read_to_string(&path).expect("readable");
        let mut actual = String::new();
        for block in expected.split("\n\n") {
            let line = block.lines().next().unwrap_or_default();
            if !actual.is_empty() {
                actual.push('\n');
            }
            match line.split_once("> ") {
                Some((kind, text)) if !line.starts_with('#') => {
                    write!(actual, "{line}\n{}", outcome(kind, text)).expect("a string");
                }
                _ => writeln!(actual, "{}", block.trim_end()).expect("a string"),
            }
        }
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, actual).expect("writable");
        } else {
            assert_eq!(actual, expected, "{}", path.display());
        }
    }
}

#[test]
fn every_function_gives_what_its_example_says() {
    let schema = Schema::default();
    for function in functions::all() {
        assert!(function.summary.ends_with('.'), "{}", function.name);
        let expression = Expression::parse(function.example, &schema)
            .unwrap_or_else(|error| panic!("{}: {error}", function.example));
        let result = match expression.constant() {
            Some(Value::Text(text) | Value::Any(text)) => text.into_string(),
            Some(Value::Integer(value)) => value.to_string(),
            Some(Value::Double(value)) => format!("{value:?}"),
            Some(Value::Decimal(value)) => value.to_string(),
            Some(Value::Boolean(value)) => value.to_string(),
            Some(Value::Null) => "null".to_owned(),
            Some(Value::List(_)) | None => panic!("{} is no constant", function.example),
        };
        assert_eq!(result, function.result, "{}", function.example);
    }
}

#[test]
fn only_the_columns_that_are_read_are_named() {
    let read = |text| {
        Expression::parse(text, &schema())
            .expect("valid")
            .columns()
            .to_vec()
    };
    assert_eq!(read("duration > 5 and disposition = 'busy'"), [1, 2, 3]);
    assert_eq!(read("n + n * n"), [4]);
    assert!(read("1 + 1").is_empty());
}

#[test]
fn nesting_is_refused_before_the_stack_ends() {
    let deep = |open: &str, close: &str, times: usize| {
        let text = format!("{}n{}", open.repeat(times), close.repeat(times));
        Expression::parse(&text, &schema()).map(|expression| {
            let evaluated = expression.evaluate(&batch(), &Bump::new()).column.len();
            assert_eq!(evaluated, batch().rows);
        })
    };
    for (open, close) in [
        ("(", ")"),
        ("- ", ""),
        ("abs(", ")"),
        ("1 + (", ")"),
        ("n + ", ""),
    ] {
        deep(open, close, 120)
            .or_else(|_| deep(open, close, 60))
            .expect(open);
    }
    let cases = [
        ("(", ")"),
        ("- ", ""),
        ("not ", ""),
        ("abs(", ")"),
        ("case when ", ""),
        ("cast(", " as text)"),
        ("n in (", ")"),
        ("n between (", ")"),
        ("n + ", ""),
        ("n || ", ""),
        ("n = (", ")"),
    ];
    for (open, close) in cases {
        let error = deep(open, close, 100_000).expect_err(open);
        assert!(error.to_string().contains("deeper than"), "{open}: {error}");
    }
}

#[test]
fn a_chain_of_conditions_is_not_nesting() {
    let text = vec!["caller = '+491'"; 10_000].join(" or ");
    let expression = Expression::parse_condition(&text, &schema()).expect("valid");
    let selection = expression.select(&batch(), &Bump::new());
    assert_eq!(selection.rows, [true, false, false, false]);
}

#[test]
fn a_row_comes_to_the_same_alone_and_in_company() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (whole, schema) = (batch(), schema());
    for _ in 0..20_000 {
        let text = EVERYTHING.expression(&mut random);
        let Ok(expression) = Expression::parse(&text, &schema) else {
            continue;
        };
        let arena = Bump::new();
        let together = expression.evaluate(&whole, &arena);
        for row in 0..whole.rows {
            let columns = whole
                .columns
                .iter()
                .map(|column| only(column, row))
                .collect();
            let single = Columns {
                rows: 1,
                columns,
                ..Columns::default()
            };
            let alone = expression.evaluate(&single, &arena);
            assert_eq!(shown(&alone, 0), shown(&together, row), "{text}");
        }
    }
}

#[test]
fn canonical_text_reads_back_as_the_same_expression() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(8);
    let (columns, schema, arena) = (batch(), schema(), Bump::new());
    let mut read_back = 0;
    for _ in 0..20_000 {
        let text = EVERYTHING.expression(&mut random);
        let Ok(first) = Expression::parse(&text, &schema) else {
            continue;
        };
        let again = Expression::parse(first.text(), &schema)
            .unwrap_or_else(|error| panic!("{text} → {first}: {:?}", error.lines()));
        assert_eq!(first.text(), again.text(), "{text}");
        let (one, other) = (
            first.evaluate(&columns, &arena),
            again.evaluate(&columns, &arena),
        );
        for row in 0..columns.rows {
            assert_eq!(shown(&one, row).0, shown(&other, row).0, "{text}");
        }
        read_back += 1;
    }
    assert!(read_back > 2_000, "{read_back}");
}

/// Returns a row's value as text (so that NaN equals itself) and its error.
fn shown(evaluated: &Evaluated, row: usize) -> (String, Option<String>) {
    let error = evaluated.errors.iter().find(|error| error.row == row);
    let reason = error.map(|error| error.misfit.reason.clone());
    (format!("{:?}", evaluated.column.value(row)), reason)
}

fn only<'a>(column: &Column<'a>, row: usize) -> Column<'a> {
    match column {
        Column::Bigint(values) => Column::Bigint([values.get(row)].into_iter().collect()),
        Column::Double(values) => Column::Double([values.get(row)].into_iter().collect()),
        Column::Decimal(values) => Column::Decimal([values.get(row)].into_iter().collect()),
        Column::Boolean(values) => Column::Boolean([values.get(row)].into_iter().collect()),
        Column::Text(values) => Column::Text([values.get(row)].into_iter().collect()),
        Column::Any(values) => Column::Any([values.get(row)].into_iter().collect()),
        Column::Number(values) => Column::Number([values.get(row)].into_iter().collect()),
    }
}
