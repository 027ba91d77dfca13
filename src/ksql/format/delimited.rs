//! A line of values between delimiters ⇄ values: what ksqlDB's DELIMITED, which is Apache Commons
//! CSV, reads and writes.

use crate::ksql::decimal::Decimal;
use crate::ksql::document::Document;
use crate::ksql::schema::Column;
use crate::ksql::types::Type;
use crate::ksql::value::{Value, from_base64, text_of};

/// Reads a line; an empty field is null.
pub(super) fn read(
    document: &Document,
    columns: &[Column],
    delimiter: char,
) -> Result<Vec<Value>, String> {
    let (Document::Text(line) | Document::Number(line)) = document else {
        return Err(format!(
            "expected a line of text, found {}",
            document.kind()
        ));
    };
    let fields = split(line, delimiter)?;
    if fields.len() != columns.len() {
        return Err(format!(
            "found {} fields where {} columns are declared: {line}",
            fields.len(),
            columns.len()
        ));
    }
    let values = fields.iter().zip(columns).map(|(field, column)| {
        read_field(field, &column.of).ok_or_else(|| {
            format!(
                "column {}: cannot read '{field}' as {}",
                column.name, column.of
            )
        })
    });
    values.collect()
}

fn read_field(field: &str, of: &Type) -> Option<Value> {
    if field.is_empty() {
        return Some(Value::Null);
    }
    let trimmed = field.trim();
    Some(match of {
        Type::Boolean => Value::Boolean(trimmed.eq_ignore_ascii_case("true")),
        Type::Int => Value::Int(trimmed.parse().ok()?),
        Type::Bigint => Value::Bigint(trimmed.parse().ok()?),
        Type::Double => Value::Double(trimmed.parse().ok()?),
        Type::Decimal { precision, scale } => {
            Value::Decimal(Decimal::parse(trimmed)?.fit_exactly(*precision, *scale)?)
        }
        Type::String => Value::from(field),
        Type::Bytes => from_base64(field)?,
        Type::Date => Value::Date(trimmed.parse().ok()?),
        Type::Time => Value::Time(trimmed.parse().ok()?),
        Type::Timestamp => Value::Timestamp(trimmed.parse().ok()?),
        Type::Array(_) | Type::Map(..) | Type::Struct(_) => return None,
    })
}

/// Cuts a line into its fields; one in double quotes may hold delimiters and doubled quotes.
fn split(line: &str, delimiter: char) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest
            .trim_start_matches(|c: char| c == ' ' && c != delimiter)
            .strip_prefix('"')
        {
            Some(quoted) => quoted_field(quoted, delimiter)
                .ok_or_else(|| format!("a quote is not closed: {line}"))?,
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(delimiter) {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// Reads a field after its opening quote; returns it with what follows, from the delimiter on.
fn quoted_field(text: &str, delimiter: char) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            field.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            field.push('"');
        } else {
            let after = &text[at + 1..];
            let blank = after.find(delimiter).unwrap_or(after.len());
            return after[..blank]
                .trim()
                .is_empty()
                .then(|| (field, &after[blank..]));
        }
    }
    None
}

/// Writes values as a line.
pub(super) fn write(values: &[Value], columns: &[Column], delimiter: char) -> Document {
    let mut line = String::new();
    for (nth, (value, column)) in values.iter().zip(columns).enumerate() {
        if nth > 0 {
            line.push(delimiter);
        }
        let field = match value {
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
                value.as_i64().map(|value| value.to_string())
            }
            Value::Decimal(value) => Some(value.to_string()),
            _ => text_of(value, &column.of),
        };
        if let Some(field) = field {
            push_field(&mut line, &field, nth == 0, delimiter);
        }
    }
    Document::Text(line)
}

/// Quotes a field as Commons CSV does where it quotes as little as it dares: the first of a line
/// unless it begins with a letter or digit, any that begins like a comment or ends with a blank.
fn push_field(line: &mut String, field: &str, is_first: bool, delimiter: char) {
    let needs_quotes = match (field.chars().next(), field.chars().last()) {
        (Some(first), Some(last)) => {
            (is_first && !first.is_ascii_alphanumeric())
                || first <= '#'
                || field.contains(['\n', '\r', '"', delimiter])
                || last <= ' '
        }
        _ => is_first,
    };
    if needs_quotes {
        line.push('"');
        line.push_str(&field.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_quotes_may_hold_anything() {
        let fields = split("a,\"b,\"\"c\",,d ", ',').expect("closed");
        assert_eq!(fields, ["a", "b,\"c", "", "d "]);
        assert_eq!(split("x\ty", '\t').expect("fields"), ["x", "y"]);
        assert!(split("\"a", ',').is_err());
    }

    #[test]
    fn quotes_are_written_where_commons_csv_writes_them() {
        for (field, first, later) in [
            ("a", "a", "a"),
            ("-1", "\"-1\"", "-1"),
            ("a b", "a b", "a b"),
            (" a", "\" a\"", "\" a\""),
            ("a ", "\"a \"", "\"a \""),
            ("", "\"\"", ""),
        ] {
            let (mut line, mut rest) = (String::new(), String::new());
            push_field(&mut line, field, true, ',');
            push_field(&mut rest, field, false, ',');
            assert_eq!((line.as_str(), rest.as_str()), (first, later));
        }
    }
}
